#include "sim/graph.h"

#include "sim/sim.h"

#include <stdlib.h>

static uint32_t root(uint32_t *part, uint32_t p)
{
	while (part[p] != p) {
		part[p] = part[part[p]];
		p = part[p];
	}
	return p;
}

/* Nobody is paused here: who will read again is connected. */
static bool joins(const struct sim *s, const struct conn *c)
{
	for (unsigned k = 0; k < 2; k++)
		if (c->side[k].state != SIDE_LINKED ||
		    s->peers.v[c->side[k].peer].node == NULL)
			return false;
	return !net_cut(s, c);
}

/* The smaller number becomes the root: the order of links does not matter. */
static void unite(uint32_t *part, uint32_t a, uint32_t b)
{
	a = root(part, a);
	b = root(part, b);
	if (a < b)
		part[b] = a;
	else
		part[a] = b;
}

void graph_parts(const struct sim *s, uint32_t *part)
{
	for (uint32_t i = 0; i < s->peers.n; i++)
		part[i] = i;
	for (uint32_t i = 0; i < s->net.n; i++) {
		const struct conn *c = &s->net.v[i];

		if (c->used && joins(s, c))
			unite(part, c->side[0].peer, c->side[1].peer);
	}
	for (uint32_t i = 0; i < s->peers.n; i++)
		part[i] = root(part, i);
}

uint32_t graph_components(const struct sim *s)
{
	uint32_t *part = sim_alloc(s->peers.n + 1, sizeof *part);
	uint32_t count = 0;

	graph_parts(s, part);
	for (uint32_t i = 0; i < s->peers.alive_n; i++)
		count += part[s->peers.alive[i]] == s->peers.alive[i];
	free(part);
	return count;
}

struct degrees graph_degrees(const struct sim *s)
{
	struct degrees d = { 0 };
	uint64_t sum = 0;

	for (uint32_t i = 0; i < s->peers.alive_n; i++) {
		const struct peer *p = &s->peers.v[s->peers.alive[i]];
		unsigned n = (unsigned)__builtin_popcount(p->links);

		sum += n;
		if (n > d.max)
			d.max = n;
	}
	if (s->peers.alive_n > 0)
		d.mean = (double)sum / s->peers.alive_n;
	return d;
}
