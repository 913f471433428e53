/* A set of sequence numbers as intervals: normally one, [1, newest]. Pure. */
#ifndef CORE_RANGES_H
#define CORE_RANGES_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RANGES_SPANS_MAX 1024 /* then the oldest hole closes as lost */

struct span {
	uint64_t first, last;
};

struct ranges {
	struct span *v; /* ascending, never touching */
	size_t n, cap;
};

void ranges_free(struct ranges *r);
bool ranges_has(const struct ranges *r, uint64_t seq);
/* ERR_NOMEM leaves it unchanged. *lost (may be NULL) grows by the numbers of
 * a hole that had to be closed to stay within RANGES_SPANS_MAX. */
enum err MUST_CHECK ranges_add(struct ranges *r, uint64_t seq, uint64_t *lost);

#endif
