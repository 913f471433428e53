/* What this process uses, as the kernel counts it. Any thread. */
#ifndef IO_USAGE_H
#define IO_USAGE_H

#include <stdint.h>

uint64_t usage_threads(void);
uint64_t usage_fds(void);

#endif
