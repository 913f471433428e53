/* The ids of the newest messages: the first and cheapest answer to "is this a
 * duplicate?" (R8). Exact within its window; behind it the origins' records
 * answer. Memory grows with use, up to 40 bytes an id. Pure. */
#ifndef CORE_SEEN_H
#define CORE_SEEN_H

#include "base/crypto.h"
#include "core/index.h"

struct seen {
	struct index index;
	struct hash *ring; /* oldest at head once it is full */
	uint32_t n, cap, head, max;
	uint64_t secret; /* strangers choose ids; they do not know this */
};

void seen_init(struct seen *s, uint32_t max, uint64_t secret);
void seen_free(struct seen *s);
bool seen_has(const struct seen *s, const struct hash *id);
/* The id must not be there yet. */
enum err MUST_CHECK seen_add(struct seen *s, const struct hash *id);

#endif
