#include "core/index.h"

#include <stdlib.h>

#define FIRST_CELLS 256

/* The tag is kept, so that a cell's home can be found again without asking
 * the owner of the slot. */
static uint32_t tag_of(uint64_t hash)
{
	return (uint32_t)(hash >> 32) ^ (uint32_t)hash;
}

static uint64_t cell_of(uint32_t tag, uint32_t slot)
{
	return (uint64_t)tag << 32 | (slot + 1);
}

static void place(struct index *ix, uint64_t cell)
{
	size_t i = (size_t)(cell >> 32) & ix->mask;

	while (ix->cells[i] != 0)
		i = (i + 1) & ix->mask;
	ix->cells[i] = cell;
}

static enum err grow(struct index *ix)
{
	size_t old = ix->cells ? ix->mask + 1 : 0;
	size_t want = old ? old * 2 : FIRST_CELLS;
	struct index bigger = { .mask = want - 1, .used = ix->used };

	bigger.cells = calloc(want, sizeof *bigger.cells);
	if (bigger.cells == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < old; i++)
		if (ix->cells[i] != 0)
			place(&bigger, ix->cells[i]);
	free(ix->cells);
	*ix = bigger;
	return ERR_OK;
}

void index_free(struct index *ix)
{
	free(ix->cells);
	*ix = (struct index){ 0 };
}

enum err index_put(struct index *ix, uint64_t hash, uint32_t slot)
{
	if (ix->cells == NULL || (ix->used + 1) * 2 > ix->mask + 1) {
		enum err e = grow(ix);

		if (e != ERR_OK)
			return e;
	}
	place(ix, cell_of(tag_of(hash), slot));
	ix->used++;
	return ERR_OK;
}

uint32_t index_find(const struct index *ix, uint64_t hash, index_same *same,
		    const void *ctx)
{
	uint32_t tag = tag_of(hash);

	if (ix->cells == NULL)
		return INDEX_NONE;
	for (size_t i = tag & ix->mask; ix->cells[i] != 0;
	     i = (i + 1) & ix->mask) {
		uint32_t slot = (uint32_t)ix->cells[i] - 1;

		if ((uint32_t)(ix->cells[i] >> 32) == tag && same(ctx, slot))
			return slot;
	}
	return INDEX_NONE;
}

void index_remove(struct index *ix, uint64_t hash, uint32_t slot)
{
	uint64_t cell = cell_of(tag_of(hash), slot);
	size_t hole = tag_of(hash) & ix->mask, i;

	while (ix->cells[hole] != cell)
		hole = (hole + 1) & ix->mask;
	/* Move back every later cell of this run of full cells that would no
	 * longer be found behind the hole. */
	for (i = (hole + 1) & ix->mask; ix->cells[i] != 0;
	     i = (i + 1) & ix->mask) {
		size_t home = (size_t)(ix->cells[i] >> 32) & ix->mask;

		if (((i - home) & ix->mask) < ((i - hole) & ix->mask))
			continue;
		ix->cells[hole] = ix->cells[i];
		hole = i;
	}
	ix->cells[hole] = 0;
	ix->used--;
}
