/* A hash index: 64-bit hash -> number of a slot in somebody's array.
 *
 * Why not uthash here: its 56 bytes and pointer walk for each of 262,144 stored
 * messages, or of a million peers in a seed's list, would be most of the memory;
 * this costs 8 bytes a cell. Open addressing, linear probing, deletion by
 * shifting back, at most half full. When it grows, the entries move over by and
 * by: no call takes long. Pure; hashes must already be well mixed and
 * keyed by something a stranger does not know.
 */
#ifndef CORE_INDEX_H
#define CORE_INDEX_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INDEX_NONE UINT32_MAX

struct table {
	uint64_t *cells; /* tag << 32 | slot + 1; 0: empty */
	size_t mask;     /* cells - 1 */
};

struct index {
	struct table now;
	struct table old; /* while its entries move over; else nothing */
	size_t moved;     /* cells of it */
	size_t used;      /* entries in both */
};

/* Is the entry in `slot` the one looked for? */
typedef bool index_same(const void *ctx, uint32_t slot);

void index_free(struct index *ix);
enum err MUST_CHECK index_put(struct index *ix, uint64_t hash, uint32_t slot);
/* The slot, or INDEX_NONE. */
uint32_t index_find(const struct index *ix, uint64_t hash, index_same *same,
		    const void *ctx);
/* Removes exactly this pair, which must be there. */
void index_remove(struct index *ix, uint64_t hash, uint32_t slot);

#endif
