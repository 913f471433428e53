/* The seeds: real registries, and the conversations around them.
 *
 * What src/seed does with threads and sockets is done here with items: a
 * Register of a run that is not known waits for a dial-back (R2), a Death or
 * a lapsed lease for a verification (R14, R17), up to so many at a time.
 */
#ifndef SIM_SEEDSIDE_H
#define SIM_SEEDSIDE_H

#include "base/rng.h"
#include "core/effect.h"
#include "core/registry.h"
#include "sim/queue.h"

struct check_job;

struct seed {
	struct registry *registry;
	uint64_t generation;            /* of its table: restarts so far */
	uint32_t verifying;             /* checks under way */
	struct check_job *first, *last; /* and those that wait */
	uint32_t waiting;
};

struct seedside {
	struct rng rng;
	struct seed *v;
	uint64_t registers, deaths, removed, refuted;
};

struct sim;

void seedside_init(struct sim *s);
void seedside_free(struct sim *s);
/* EF_SEED, EF_DEATH, EF_LEAVE. */
void seedside_ask(struct sim *s, uint32_t peer, const struct effect *e);
void seedside_report(struct sim *s, uint32_t peer, const struct effect *e);
void seedside_leave(struct sim *s, uint32_t peer);
/* ITEM_ASK, ITEM_PROBE, ITEM_PROBED, ITEM_SWEEP. */
void seedside_arrive(struct sim *s, const struct item *it);
/* ITEM_ANSWER to a peer that runs. */
void seedside_answered(struct sim *s, const struct item *it);
/* Any of these items will not be looked at any more. */
void seedside_forget(const struct item *it);
/* All seeds start again with empty tables. */
void seedside_restart(struct sim *s);

#endif
