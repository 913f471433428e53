/* A peer as a pure step: event + time -> effects.
 *
 * No sockets, no clock, no threads, no log, no files: the same code runs in
 * bin/peer and in a simulator. Time and chance come in as values; the same
 * configuration, seed and events give the same effects, bit for bit.
 * One caller at a time (node.mu in the peer). Times are ms of a clock that
 * never goes back.
 *
 * Order: node_new, EV_START, anything, EV_STOP, node_free.
 */
#ifndef CORE_NODE_H
#define CORE_NODE_H

#include "base/config.h"
#include "core/effect.h"
#include "core/event.h"

struct node;

struct node_options {
	const struct config *config; /* must outlive the node */
	struct identity self;
	bool learn_address; /* take the host a seed sees, once */
	uint64_t rng_seed;
};

/* One neighbor, for people to look at. */
struct neighbor {
	struct identity id;
	uint8_t link;
	bool dialed; /* by us */
	int64_t since_ms, heard_ms;
	int64_t rtt_ms;     /* smoothed; -1: not measured yet */
	uint64_t neighbors; /* as it last said */
};

struct node_stats {
	uint64_t published, delivered, duplicates, forwarded, recovered;
	uint64_t lost, conflicts, have_sent, getdata_sent, prunes, grafts;
	uint64_t deaths_reported;
	uint64_t rejected; /* frames that made no sense here */
	uint64_t starved;  /* messages not taken for want of memory; those of
			    * others are asked for again */
	uint64_t store_messages, store_bytes;
};

/* NULL when out of memory. */
struct node *node_new(const struct node_options *o);
void node_free(struct node *n);

/* Clears `out`, then fills it. */
void node_step(struct node *n, int64_t now_ms, const struct event *ev,
	       struct effects *out);
/* When the next EV_TICK is due. */
int64_t node_deadline_ms(const struct node *n);

const struct identity *node_self(const struct node *n);
/* Sequence number the next EV_PUBLISH must carry. It stays the same when there
 * was no memory for the last one: that was not published. */
uint64_t node_next_seq(const struct node *n);
size_t node_neighbors(const struct node *n, struct neighbor out[LINK_SLOTS]);
size_t node_neighbor_count(const struct node *n);
struct node_stats node_stats(const struct node *n);
/* The stored message whose id starts with these hex digits; NULL if there is
 * none, *several when there is more than one. Borrowed until the next step. */
struct frame *node_find(struct node *n, const char *hex, size_t digits,
			struct hash *id, bool *several);

#endif
