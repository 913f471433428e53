/* Many things of one size, each known by a number.
 *
 * They lie in blocks that never move: a table of a million grows without a
 * copy, hence without a stall, and a number costs half of a pointer. Memory is
 * kept for reuse until slab_free. Pure; the owner serializes access.
 */
#ifndef CORE_SLAB_H
#define CORE_SLAB_H

#include <stddef.h>
#include <stdint.h>

#define SLAB_NONE UINT32_MAX

struct slab {
	size_t item_bytes; /* a multiple of what they are aligned to, >= 4 */
	char **blocks;
	size_t block_count, block_cap;
	uint32_t fresh;    /* numbers from here on were never used */
	uint32_t returned; /* + 1: the last one given back; each names the one
			    * before in its first bytes */
};

static inline struct slab slab_of(size_t item_bytes)
{
	return (struct slab){ .item_bytes = item_bytes };
}

void slab_free(struct slab *s);
/* One more, zeroed. SLAB_NONE: no memory. */
uint32_t slab_take(struct slab *s);
void slab_give(struct slab *s, uint32_t number);
/* Valid as long as the number is taken. */
void *slab_at(const struct slab *s, uint32_t number);

#endif
