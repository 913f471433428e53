/* The seed client: blocking conversations with the seeds, on workers of its
 * own, and the leases they gave us.
 *
 * The core chooses whom to ask what (EF_SEED, EF_DEATH, EF_LEAVE); the answer
 * comes back to it as EV_SEED. Names are resolved at every try. None of the
 * asking functions blocks (they are called under node.mu).
 */
#ifndef PEER_SEEDS_H
#define PEER_SEEDS_H

#include "core/effect.h"
#include "io/options.h"
#include "peer/peer.h"

struct seeds;

enum err MUST_CHECK seeds_start(struct seeds **s, struct peer *p);
void seeds_ask(struct seeds *s, const struct effect *e);    /* EF_SEED */
void seeds_report(struct seeds *s, const struct effect *e); /* EF_DEATH */
/* Death of myself, with the lease, to every seed that lists me. */
void seeds_leave(struct seeds *s, const struct identity *self);
/* Conversations under way. */
size_t seeds_busy(struct seeds *s);
void seeds_stop(struct seeds *s);
void seeds_join(struct seeds *s); /* frees it */

/* --list: asks every seed for its peers and prints them on stdout. Returns the
 * exit status. Main thread, no peer needed. */
int seeds_print_lists(const struct options *o);

#endif
