/* A set of sequence numbers as intervals: normally one, [1, newest]. Pure. */
#ifndef CORE_RANGES_H
#define CORE_RANGES_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RANGES_SPANS_MAX 1024 /* then the oldest hole closes */

/* Numbers first .. last, both included. */
struct span {
	uint64_t first, last;
};

struct ranges {
	struct span *v; /* ascending, never touching */
	size_t n, cap;
};

void ranges_free(struct ranges *r);
bool ranges_has(const struct ranges *r, uint64_t seq);
/* The whole span that seq is in; false: it is in none. */
bool ranges_span(const struct ranges *r, uint64_t seq, struct span *span);
uint64_t ranges_newest(const struct ranges *r); /* 0: it is empty */
/* Adds first .. last. ERR_NOMEM leaves the set unchanged. When a hole had to
 * be closed to stay within RANGES_SPANS_MAX, *closed (may be NULL) is that
 * hole; otherwise closed->first is 0. */
enum err MUST_CHECK ranges_add(struct ranges *r, uint64_t first, uint64_t last,
			       struct span *closed);
/* ERR_NOMEM leaves it in. */
enum err MUST_CHECK ranges_remove(struct ranges *r, uint64_t seq);
/* Forgets the lowest of several spans. */
void ranges_forget_first(struct ranges *r);

/* The first stretch within from .. to that is not in the set, or that is. */
bool ranges_gap(const struct ranges *r, uint64_t from, uint64_t to,
		struct span *gap);
bool ranges_overlap(const struct ranges *r, uint64_t from, uint64_t to,
		    struct span *common);

#endif
