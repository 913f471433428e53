/* A word on stderr that never hangs: a full pipe or a stopped terminal costs
 * the word, not the program. Any thread; waits COMPLAIN_WAIT_MS at most, and
 * not at all while nobody reads. */
#ifndef IO_COMPLAIN_H
#define IO_COMPLAIN_H

#include "base/err.h"

#include <stddef.h>

#define COMPLAIN_WAIT_MS 100
#define COMPLAIN_MAX 512 /* longer words are cut */

void complain(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* Bytes of any length, to any descriptor, as patiently. */
void complain_bytes(int fd, const char *p, size_t n);

#endif
