/* A running seed: what its threads share, and how they start and end.
 *
 * Threads: main (seed_start, seed_stop, seed_join, seed_status), the server's
 * listener and connections (service.h), the verifiers (verify.h), and one
 * sweeper that looks for lapsed leases (R17). seed_stop only asks; seed_join
 * waits for all of them and frees everything. Times are clock_ms times.
 */
#ifndef SEED_SEED_H
#define SEED_SEED_H

#include "base/buf.h"
#include "base/config.h"
#include "core/registry.h"
#include "io/greeting.h"
#include "io/log.h"
#include "io/pool.h"
#include "io/reject.h"
#include "io/server.h"
#include "io/thread.h"
#include "io/waker.h"

#include <stdatomic.h>
#include <stdbool.h>

/* All since the start, any thread. */
struct seed_counters {
	atomic_uint_fast64_t registers, lists, deaths;
	atomic_uint_fast64_t deaths_confirmed, deaths_refuted;
};

/* (c) constant once started, (r) mu, (a) atomic, (m) main only */
struct seed {
	const struct config *config; /* (c) */
	struct log *log;             /* (c) may be NULL */
	struct greeting to_us,
		to_peers;          /* (c) without keys, if there are none */
	struct identity self;      /* (c) where it listens, when it started */
	struct server *server;     /* (c) */
	struct pool *verifiers;    /* (c) */
	struct mutex mu;           /* registry.mu of the lock order */
	struct registry *registry; /* (r) */
	struct seed_counters counters; /* (a) */
	struct rejects rejects;        /* (a) */
	struct waker sweeper_waker;    /* (c) */
	pthread_t sweeper;             /* (m) */
	bool sweeping;                 /* (m) */
};

struct seed_options {
	const struct config *config; /* outlives the seed */
	struct log *log;             /* so does this, */
	struct keys *keys;           /* and these; NULL: none */
	struct addr listen;
};

/* Listens and serves when it returns. ERR_SYSTEM with errno, ERR_NOMEM. */
enum err MUST_CHECK seed_start(struct seed **s, const struct seed_options *o);
/* Wakes everything; idempotent, never blocks. */
void seed_stop(struct seed *s);
void seed_join(struct seed *s); /* after seed_stop; frees it */

/* One JSON object: the counters and what the process holds. Any thread. */
void seed_status(struct seed *s, struct buf *out);

#endif
