#include "core/slab.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK_ITEMS 1024 /* at a time; a power of two */

void slab_free(struct slab *s)
{
	for (size_t i = 0; i < s->block_count; i++)
		free(s->blocks[i]);
	free(s->blocks);
	*s = slab_of(s->item_bytes);
}

static char *add_block(struct slab *s)
{
	size_t cap = s->block_cap * 2 + 4;
	char **grown;

	if (s->block_count == s->block_cap) {
		grown = realloc(s->blocks, cap * sizeof *grown);
		if (!grown)
			return NULL;
		s->blocks = grown;
		s->block_cap = cap;
	}
	s->blocks[s->block_count] = malloc(BLOCK_ITEMS * s->item_bytes);
	return s->blocks[s->block_count] ? s->blocks[s->block_count++] : NULL;
}

void *slab_at(const struct slab *s, uint32_t number)
{
	return s->blocks[number / BLOCK_ITEMS] +
	       number % BLOCK_ITEMS * s->item_bytes;
}

uint32_t slab_take(struct slab *s)
{
	uint32_t number = s->fresh;

	if (s->returned > 0) {
		number = s->returned - 1;
		memcpy(&s->returned, slab_at(s, number), sizeof s->returned);
	} else {
		if (number == SLAB_NONE ||
		    (number / BLOCK_ITEMS == s->block_count && !add_block(s)))
			return SLAB_NONE;
		s->fresh++;
	}
	memset(slab_at(s, number), 0, s->item_bytes);
	return number;
}

void slab_give(struct slab *s, uint32_t number)
{
	memcpy(slab_at(s, number), &s->returned, sizeof s->returned);
	s->returned = number + 1;
}
