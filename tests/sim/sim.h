/* The whole simulated world, and what every file of it needs.
 *
 * One thread, one world. Files own the part that is named after them; nobody
 * looks at memory addresses, wall clocks or anything else that two equal runs
 * would not share. Peers, connections and messages are named by number.
 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include "sim/check.h"
#include "sim/faults.h"
#include "sim/net.h"
#include "sim/options.h"
#include "sim/peers.h"
#include "sim/queue.h"
#include "sim/seedside.h"
#include "sim/traffic.h"

#define SIM_START_MS 1000000
/* Incarnations and times of messages look like those of 2026. */
#define SIM_EPOCH_MS UINT64_C(1780000000000)

struct sim {
	struct options options;
	struct config config;
	struct queue queue;
	struct net net;
	struct peers peers;
	struct seedside seeds;
	struct traffic traffic;
	struct faults faults;
	struct check check;
	struct effects effects;
	uint64_t hash; /* of all effects so far */
	uint64_t steps;
	unsigned depth;     /* of steps that follow from a step */
	link_set told_full; /* in these: each link once */
	double wall_start;
};

static inline int64_t sim_now(const struct sim *s)
{
	return s->queue.now_ms;
}

static inline void sim_mix(struct sim *s, uint64_t value)
{
	uint64_t z = (s->hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);

	s->hash = z ^ (z >> 29);
}

/* Uniform in 0 .. n-1, fast. */
static inline uint32_t sim_chance(struct rng *r, uint32_t n)
{
	return (uint32_t)(((rng_u64(r) >> 32) * n) >> 32);
}

/* Real time, for the figures alone. */
double sim_wall_s(void);
/* Zeroed memory, or the end of the program. */
void *sim_alloc(size_t n, size_t bytes);
/* v with room for at least n, its growth by doubling. */
void *sim_grow(void *v, size_t *cap, size_t n, size_t bytes);

/* Until that time, or until a rule is broken. */
void sim_run(struct sim *s, int64_t until_ms);

#endif
