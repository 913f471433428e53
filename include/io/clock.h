/* Time. Timers use the monotonic clock only; wall time is for people. */
#ifndef IO_CLOCK_H
#define IO_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#define CLOCK_TEXT_MAX 32

int64_t clock_ms(void);      /* monotonic */
int64_t clock_wall_ms(void); /* since 1970 */
/* "2026-11-22T16:03:41.123Z" */
void clock_format(int64_t wall_ms, char out[CLOCK_TEXT_MAX]);

#endif
