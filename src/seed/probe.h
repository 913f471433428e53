/* Looks whether somebody answers at an address, and who: dials it, sends a
 * Liveliness with a random nonce, waits for the reply with that nonce. A
 * connection alone proves nothing: a stopped process still accepts.
 * Blocks; the waker ends it. One thread at a time per waker.
 */
#ifndef SEED_PROBE_H
#define SEED_PROBE_H

#include "base/addr.h"
#include "io/greeting.h"
#include "io/log.h"
#include "io/waker.h"

enum probe_outcome {
	PROBE_ALIVE,   /* somebody answered, see *found */
	PROBE_REFUSED, /* nobody listens, or it hung up: worth a second try */
	PROBE_SILENT,  /* no answer in time, or not one of our protocol */
	PROBE_FAILED   /* we could not look: says nothing about them */
};

struct probe_limits {
	int64_t connect_ms; /* for connecting */
	int64_t reply_ms;   /* then for the answer */
	int64_t total_ms;   /* for both together */
};

/* The waker watches nothing afterwards. */
enum probe_outcome probe_run(struct log *log, const struct greeting *g,
			     const struct addr *to, struct waker *w,
			     const struct probe_limits *limits,
			     struct identity *found);
const char *probe_outcome_name(enum probe_outcome o);

#endif
