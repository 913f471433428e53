/* A seed's peer list: a pure table that knows neither threads nor sockets.
 *
 * One entry per address. Entries are `listed` (handed out in samples) or, as a
 * rule while somebody checks them, hidden. All operations but growth are O(1),
 * a sample is O(want), expiry is O(expired). Times are ms of any one clock that
 * the caller passes in. The caller serializes access (registry.mu of the seed).
 * Rules: R2, R14, R17 of docs/protocol.md.
 */
#ifndef CORE_REGISTRY_H
#define CORE_REGISTRY_H

#include "base/addr.h"
#include "base/crypto.h"
#include "base/err.h"
#include "base/rng.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct registry;

struct registry_config {
	size_t peers_max;    /* registrations beyond this are refused */
	size_t per_host_max; /* and, off loopback, beyond this of one
			      * addr_source, so that nobody fills the lists
			      * with himself; 0: any number */
	int64_t period_ms;   /* renewal, at least; grows with the population */
	uint64_t lease_periods; /* a lease lasts this many periods */
	size_t seeds; /* n of the configuration, for the period formula */
	uint64_t rng_seed;
};

/* How a Register stands to what is known of its address. */
enum registry_match {
	MATCH_NEW,   /* unknown address: dial back first */
	MATCH_SAME,  /* this very run is known: a renewal */
	MATCH_NEWER, /* a larger incarnation than the known: dial back first */
	MATCH_OLDER  /* smaller: ignored unless the dial-back proves it */
};

struct registry_entry {
	struct identity id;
	struct hash lease;
	bool verifying;
	bool lapsed; /* its lease had run out at `now` */
};

struct registry *registry_new(const struct registry_config *c); /* or NULL */
void registry_free(struct registry *r);

enum registry_match registry_match(const struct registry *r,
				   const struct identity *id);
/* ERR_NOT_FOUND. */
enum err MUST_CHECK registry_get(const struct registry *r, const struct addr *a,
				 int64_t now_ms, struct registry_entry *out);

/* Lists a proven identity (replacing another run of its address) under that
 * lease. ERR_FULL, ERR_NOMEM. */
enum err MUST_CHECK registry_put(struct registry *r, const struct identity *id,
				 const struct hash *lease, int64_t now_ms);
/* Extends the lease of a known run; ERR_NOT_FOUND when it is not known. A
 * renewal does not end a verification that is under way (R14). */
enum err MUST_CHECK registry_renew(struct registry *r,
				   const struct identity *id, int64_t now_ms);
/* Removes that run; with incarnation 0 whichever is known. */
bool registry_remove(struct registry *r, const struct identity *id);

/* A check of that run begins: hidden until it ends, unless the run answered
 * another one within the last period. Else whoever keeps on forging Deaths
 * would keep the living out of all samples. ERR_NOT_FOUND, or ERR_FULL when
 * one is already under way. */
enum err MUST_CHECK registry_verify_begin(struct registry *r,
					  const struct identity *id,
					  int64_t now_ms);
/* alive: handed out again, a lapsed lease is extended; else removed. Nothing
 * happens when the address belongs to another run by now. True if removed. */
bool registry_verify_end(struct registry *r, const struct identity *id,
			 bool alive, int64_t now_ms);
/* The check could not be made (queue full): listed again, as it was. */
void registry_verify_cancel(struct registry *r, const struct identity *id);

/* A uniform sample without `asker` (may be NULL) of entries that are neither
 * hidden nor lapsed; returns how many of `want` there were. */
size_t registry_sample(struct registry *r, const struct addr *asker,
		       int64_t now_ms, size_t want, struct addr *out);
/* All known, hidden ones included. */
size_t registry_count(const struct registry *r);
/* Up to max runs whose lease has run out and that nobody verifies (R17). */
size_t registry_lapsed(struct registry *r, int64_t now_ms, size_t max,
		       struct identity *out);
/* Renewal period to announce now: max(period, N k / (n 5000/s)), where k is
 * the majority of the n seeds that each peer renews with. */
int64_t registry_period_ms(const struct registry *r);

#endif
