#include "core/index.h"

#include <stdlib.h>

#define FIRST_CELLS 256
#define MOVES 8 /* cells looked at for each put or remove while it grows */

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

/* Of the smaller table a cell that moved on or was removed: whoever looks for
 * something goes on past it. No entry has it, as its slot would be none. */
#define GONE (UINT64_MAX << 32)

static void place(struct table *t, uint64_t cell)
{
	size_t i = (size_t)(cell >> 32) & t->mask;

	while (t->cells[i] != 0)
		i = (i + 1) & t->mask;
	t->cells[i] = cell;
}

/* Some more cells of the smaller table move. */
static void move_some(struct index *ix)
{
	for (unsigned n = 0; n < MOVES && ix->old.cells != NULL; n++) {
		uint64_t *cell = &ix->old.cells[ix->moved++];

		if (*cell != 0 && *cell != GONE) {
			place(&ix->now, *cell);
			*cell = GONE;
		}
		if (ix->moved > ix->old.mask) {
			free(ix->old.cells);
			ix->old = (struct table){ 0 };
		}
	}
}

/* A table twice as large becomes the one; moving all at once would take a
 * million entries 40 to 110 ms, with their owner's lock held. It is done long
 * before the larger one is full: that takes half as many puts as the smaller
 * one has cells. */
static enum err grow(struct index *ix)
{
	size_t cells = ix->now.cells ? (ix->now.mask + 1) * 2 : FIRST_CELLS;
	struct table bigger = { .mask = cells - 1 };

	bigger.cells = calloc(cells, sizeof *bigger.cells);
	if (bigger.cells == NULL)
		return ERR_NOMEM;
	ix->old = ix->now;
	ix->now = bigger;
	ix->moved = 0;
	return ERR_OK;
}

void index_free(struct index *ix)
{
	free(ix->now.cells);
	free(ix->old.cells);
	*ix = (struct index){ 0 };
}

enum err index_put(struct index *ix, uint64_t hash, uint32_t slot)
{
	if (ix->now.cells == NULL || (ix->used + 1) * 2 > ix->now.mask + 1) {
		enum err e = grow(ix);

		if (e != ERR_OK)
			return e;
	}
	move_some(ix);
	place(&ix->now, cell_of(tag_of(hash), slot));
	ix->used++;
	return ERR_OK;
}

static uint32_t find(const struct table *t, uint32_t tag, index_same *same,
		     const void *ctx)
{
	if (t->cells == NULL)
		return INDEX_NONE;
	for (size_t i = tag & t->mask; t->cells[i] != 0;
	     i = (i + 1) & t->mask) {
		uint32_t slot = (uint32_t)t->cells[i] - 1;

		if ((uint32_t)(t->cells[i] >> 32) == tag &&
		    t->cells[i] != GONE && same(ctx, slot))
			return slot;
	}
	return INDEX_NONE;
}

uint32_t index_find(const struct index *ix, uint64_t hash, index_same *same,
		    const void *ctx)
{
	uint32_t tag = tag_of(hash);
	uint32_t slot = find(&ix->now, tag, same, ctx);

	return slot == INDEX_NONE && ix->old.cells != NULL
		       ? find(&ix->old, tag, same, ctx)
		       : slot;
}

/* Where that cell is, or where the search for it ends. */
static size_t seek(const struct table *t, uint64_t cell)
{
	size_t i = (size_t)(cell >> 32) & t->mask;

	while (t->cells[i] != cell && t->cells[i] != 0)
		i = (i + 1) & t->mask;
	return i;
}

/* Moves back every later cell of this run of full cells that would no longer
 * be found behind the hole. */
static void close_hole(struct table *t, size_t hole)
{
	for (size_t i = (hole + 1) & t->mask; t->cells[i] != 0;
	     i = (i + 1) & t->mask) {
		size_t home = (size_t)(t->cells[i] >> 32) & t->mask;

		if (((i - home) & t->mask) < ((i - hole) & t->mask))
			continue;
		t->cells[hole] = t->cells[i];
		hole = i;
	}
	t->cells[hole] = 0;
}

void index_remove(struct index *ix, uint64_t hash, uint32_t slot)
{
	uint64_t cell = cell_of(tag_of(hash), slot);
	size_t at = seek(&ix->now, cell);

	if (ix->now.cells[at] == cell)
		close_hole(&ix->now, at);
	else
		ix->old.cells[seek(&ix->old, cell)] = GONE;
	ix->used--;
	move_some(ix);
}
