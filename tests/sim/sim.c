#include "sim/sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

double sim_wall_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void *sim_alloc(size_t n, size_t bytes)
{
	void *p = calloc(n > 0 ? n : 1, bytes);

	if (p == NULL) {
		fprintf(stderr, "sim: out of memory\n");
		exit(1);
	}
	return p;
}

void *sim_grow(void *v, size_t *cap, size_t n, size_t bytes)
{
	size_t more = *cap > 0 ? *cap : 4;

	if (n <= *cap)
		return v;
	while (more < n)
		more *= 2;
	v = realloc(v, more * bytes);
	if (v == NULL) {
		fprintf(stderr, "sim: out of memory\n");
		exit(1);
	}
	*cap = more;
	return v;
}

static void start(struct sim *s, uint32_t place)
{
	peers_start(s, place != NOBODY ? place : peers_new_place(s));
}

static void arrive(struct sim *s, const struct item *it)
{
	switch (it->kind) {
	case ITEM_ASK:
	case ITEM_PROBE:
	case ITEM_PROBED:
	case ITEM_SWEEP:
		seedside_arrive(s, it);
		break;
	case ITEM_START:
		start(s, it->number);
		break;
	case ITEM_PUBLISH:
		traffic_publish_due(s);
		break;
	case ITEM_FAULT:
		faults_arrive(s, it);
		break;
	default:
		peers_arrive(s, it);
		break;
	}
}

/* The state of thousands of peers fits into no cache: ask for it early. */
static void prefetch(const struct sim *s)
{
	const struct item *far = queue_ahead(&s->queue, 8);
	const struct item *near = queue_ahead(&s->queue, 3);

	if (far != NULL && far->kind <= ITEM_DOWN) {
		__builtin_prefetch(&s->net.v[far->conn]);
		__builtin_prefetch(&s->peers.v[far->peer]);
	}
	if (near != NULL && near->kind <= ITEM_DOWN) {
		const char *n = (const char *)s->peers.v[near->peer].node;

		for (unsigned i = 0; i < 4 && n != NULL; i++)
			__builtin_prefetch(n + 64 * i);
	}
}

void sim_run(struct sim *s, int64_t until_ms)
{
	struct item it;

	while (s->check.violations == 0 &&
	       queue_pop(&s->queue, until_ms, &it)) {
		prefetch(s);
		arrive(s, &it);
	}
}
