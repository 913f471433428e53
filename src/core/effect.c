#include "core/effect.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define KEPT (EFFECTS_FIRST / 2) /* for vital ones */
#define BLOCK_BYTES 4096 /* a list that is longer gets a block of its own */

struct effect_block {
	struct effect_block *next;
	size_t bytes, used;
	max_align_t room[];
};

void effects_init(struct effects *e)
{
	memset(e, 0, sizeof *e);
	e->v = e->first;
	e->cap = EFFECTS_FIRST;
}

static void free_blocks(struct effect_block *b)
{
	while (b != NULL) {
		struct effect_block *next = b->next;

		free(b);
		b = next;
	}
}

void effects_free(struct effects *e)
{
	if (e->v != e->first)
		free(e->v);
	free_blocks(e->blocks);
	free_blocks(e->spare);
	effects_init(e);
}

/* One plain block is kept: most steps need no more. */
void effects_clear(struct effects *e)
{
	e->n = 0;
	while (e->blocks != NULL) {
		struct effect_block *b = e->blocks;

		e->blocks = b->next;
		if (e->spare == NULL && b->bytes == BLOCK_BYTES) {
			b->next = NULL;
			b->used = 0;
			e->spare = b;
		} else {
			free(b);
		}
	}
}

static bool add_block(struct effects *e, size_t bytes)
{
	struct effect_block *b = e->spare;

	if (bytes <= BLOCK_BYTES && b != NULL) {
		e->spare = NULL;
	} else {
		if (bytes < BLOCK_BYTES)
			bytes = BLOCK_BYTES;
		b = malloc(sizeof *b + bytes);
		if (b == NULL)
			return false;
		b->bytes = bytes;
		b->used = 0;
	}
	b->next = e->blocks;
	e->blocks = b;
	return true;
}

void *effects_room(struct effects *e, size_t bytes)
{
	struct effect_block *b = e->blocks;
	char *room;

	bytes = (bytes + sizeof(max_align_t) - 1) / sizeof(max_align_t) *
		sizeof(max_align_t);
	if (b == NULL || b->bytes - b->used < bytes) {
		if (!add_block(e, bytes))
			return NULL;
		b = e->blocks;
	}
	room = (char *)b->room + b->used;
	b->used += bytes;
	return room;
}

static void grow(struct effects *e)
{
	size_t cap = e->cap * 2;
	struct effect *old = e->v != e->first ? e->v : NULL;
	struct effect *v = realloc(old, cap * sizeof *v);

	if (v == NULL)
		return;
	if (old == NULL)
		memcpy(v, e->first, e->n * sizeof *v);
	e->v = v;
	e->cap = cap;
}

/* Would it be missed for good? What is sent is announced again, and a dial or
 * a question that has no answer is repeated. */
static bool is_vital(enum effect_kind kind)
{
	return kind != EF_SEND && kind != EF_SAY && kind != EF_DIAL &&
	       kind != EF_SEED;
}

struct effect *effects_add(struct effects *e, enum effect_kind kind)
{
	struct effect *f = &e->spill;

	if (e->n + KEPT >= e->cap)
		grow(e);
	if (e->n + (is_vital(kind) ? 0 : KEPT) < e->cap)
		f = &e->v[e->n++];
	else
		e->dropped++;
	memset(f, 0, sizeof *f);
	f->kind = kind;
	f->link = LINK_NONE;
	return f;
}
