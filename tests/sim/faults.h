/* What happens to the network, and how long it takes to be whole again. */
#ifndef SIM_FAULTS_H
#define SIM_FAULTS_H

#include "base/rng.h"
#include "sim/queue.h"

#include <stdbool.h>

struct faults {
	struct rng rng;
	int64_t look_from_ms; /* the event after which parts are counted */
	int64_t whole_ms;     /* one_component_after, -1: not yet or never */
	int64_t end_ms;       /* when the last planned one is over */
	uint64_t ended, started;
};

struct sim;

/* How many peers there will be in all. */
uint32_t faults_most_peers(const struct sim *s);
void faults_init(struct sim *s);
/* Does anything happen at all? */
bool faults_any(const struct sim *s);
/* While peers join, within ms from now. */
void faults_plan_join(struct sim *s, int64_t ms);
/* In the stream that starts now. */
void faults_plan_stream(struct sim *s);
void faults_arrive(struct sim *s, const struct item *it);

#endif
