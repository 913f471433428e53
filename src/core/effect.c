#include "core/effect.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_EFFECTS 32

void effects_init(struct effects *e)
{
	memset(e, 0, sizeof *e);
}

void effects_free(struct effects *e)
{
	free(e->v);
	e->v = NULL;
	e->n = e->cap = 0;
}

void effects_clear(struct effects *e)
{
	e->n = 0;
	e->addr_count = 0;
	e->range_count = 0;
}

struct effect *effects_add(struct effects *e, enum effect_kind kind)
{
	struct effect *f = &e->spill;

	if (e->n == e->cap) {
		size_t cap = e->cap ? e->cap * 2 : FIRST_EFFECTS;
		struct effect *v = realloc(e->v, cap * sizeof *v);

		if (v != NULL) {
			e->v = v;
			e->cap = cap;
		}
	}
	if (e->n < e->cap)
		f = &e->v[e->n++];
	else
		e->dropped++;
	memset(f, 0, sizeof *f);
	f->kind = kind;
	f->link = LINK_NONE;
	return f;
}

struct addr *effects_addrs(struct effects *e, size_t *n)
{
	struct addr *a = e->addrs + e->addr_count;

	if (*n > EFFECT_ADDRS - e->addr_count)
		*n = EFFECT_ADDRS - e->addr_count;
	e->addr_count += *n;
	return a;
}

bool effects_range(struct effects *e, const struct range *r)
{
	if (e->range_count == EFFECT_RANGES)
		return false;
	e->ranges[e->range_count++] = *r;
	return true;
}
