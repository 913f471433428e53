#include "core/seen.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_IDS 128

void seen_init(struct seen *s, uint32_t max, uint64_t secret)
{
	memset(s, 0, sizeof *s);
	s->max = max;
	s->secret = secret | 1;
}

void seen_free(struct seen *s)
{
	index_free(&s->index);
	free(s->ring);
}

static uint64_t mix(const struct seen *s, const struct hash *id)
{
	uint64_t w;

	memcpy(&w, id->b, sizeof w);
	w *= s->secret;
	return w ^ (w >> 29);
}

struct probe {
	const struct seen *seen;
	const struct hash *id;
};

static bool same(const void *ctx, uint32_t slot)
{
	const struct probe *p = ctx;

	return memcmp(&p->seen->ring[slot], p->id, sizeof *p->id) == 0;
}

bool seen_has(const struct seen *s, const struct hash *id)
{
	struct probe p = { s, id };

	return index_find(&s->index, mix(s, id), same, &p) != INDEX_NONE;
}

static enum err make_room(struct seen *s)
{
	uint32_t cap = s->cap ? s->cap * 2 : FIRST_IDS;
	struct hash *ring;

	if (cap > s->max)
		cap = s->max;
	ring = realloc(s->ring, cap * sizeof *ring);
	if (ring == NULL)
		return ERR_NOMEM;
	s->ring = ring;
	s->cap = cap;
	return ERR_OK;
}

enum err seen_add(struct seen *s, const struct hash *id)
{
	uint32_t slot = s->n;
	enum err e = ERR_OK;

	if (s->n == s->max) {
		slot = s->head;
		index_remove(&s->index, mix(s, &s->ring[slot]), slot);
		s->head = (s->head + 1) % s->max;
		s->ring[slot] = *id;
		/* A cell was just freed: this cannot need memory. */
		return index_put(&s->index, mix(s, id), slot);
	}
	if (s->n == s->cap)
		e = make_room(s);
	if (e == ERR_OK)
		e = index_put(&s->index, mix(s, id), slot);
	if (e == ERR_OK)
		s->ring[s->n++] = *id;
	return e;
}
