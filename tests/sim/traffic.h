/* What is published, who got it when, and what that cost.
 *
 * Messages are numbered in the order in which they are published. One that was
 * published after a peer's first link came up is owed to it, if both it and
 * somebody who has the message are alive in the end. Times are ms.
 */
#ifndef SIM_TRAFFIC_H
#define SIM_TRAFFIC_H

#include "base/rng.h"
#include "core/effect.h"
#include "sim/queue.h"

#define HIST_MS 131072 /* later deliveries count as this */

struct published {
	struct frame *frame;
	struct message msg;
	int64_t at_ms, last_ms; /* last_ms: the newest delivery of what is owed
				 */
	uint32_t origin;        /* the peer */
	bool first;             /* of its run: it grew the tree */
	bool after;             /* published after the crash, or the healing */
	bool spread;            /* somebody else has, or had it */
};

/* Frames of all links, as they were sent. */
struct cost {
	uint64_t copies, copies_first; /* Messages that were received */
	uint64_t have, get_data, not_found, graft, prune;
	uint64_t bytes; /* of all these and Messages, with headers */
};

/* What was published after a fault; the copies without first ones. */
struct aftermath {
	uint64_t messages, copies, deliveries;
	uint64_t hist[HIST_MS + 1]; /* of live deliveries */
	int64_t max_ms;
};

struct traffic {
	struct rng rng;
	struct published *v;
	uint32_t n, max;
	uint32_t *publishers; /* the peer that has each publisher's part */
	uint32_t roles, turn;
	uint64_t left; /* of the stream, to be published */
	double next_ms, gap_ms;
	uint8_t *text;     /* what all say */
	uint32_t *numbers; /* by address of the frame; NOBODY: empty cell */
	size_t mask;
	struct cost cost;
	struct aftermath after;
	uint64_t deliveries, deliveries_first, duplicates;
	uint64_t caught_up; /* deliveries that were not owed */
	uint64_t reported_lost;
	uint64_t full, slow;        /* EV_FULL, DOWN_SLOW */
	uint64_t hist[HIST_MS + 1]; /* of live deliveries */
	int64_t max_ms;
	uint8_t max_hops;
	int64_t busy_ms; /* when something new was last sent or told of */
};

struct sim;

void traffic_init(struct sim *s);
void traffic_free(struct sim *s);
/* 64-bit words of a set of messages. */
size_t traffic_words(const struct sim *s);

/* Picks the publishers; the first message of each is spread over ms. */
void traffic_warm(struct sim *s, int64_t ms);
/* All others, from now on. */
void traffic_stream(struct sim *s);
/* How long that will take. */
int64_t traffic_stream_ms(const struct sim *s);
void traffic_publish_due(struct sim *s);
/* One more of that peer. */
void traffic_publish(struct sim *s, uint32_t peer);

/* Which message is in this frame? */
uint32_t traffic_number(struct sim *s, const struct frame *f);
/* Its text, really decoded. */
bool traffic_decode(struct sim *s, uint32_t number, struct message *out);

/* Effects and arrivals. */
void traffic_sent(struct sim *s, uint32_t body_bytes);
void traffic_said(struct sim *s, const struct message *m, uint32_t bytes);
void traffic_copy(struct sim *s, uint32_t number);
void traffic_deliver(struct sim *s, uint32_t peer, uint32_t number,
		     uint8_t hops);
void traffic_lost(struct sim *s, uint32_t peer, const struct range *r);

/* Of living peers: what is owed, and of that what was delivered. What is
 * missing though a neighbor holds it is lost; the same of older messages means
 * that the peer has not caught up. Neither counts what the core has given up
 * and said so (EF_LOST): that is lost wrongly. */
struct account {
	uint64_t owed, delivered, lost, behind;
	uint64_t orphans; /* messages that nobody alive has, */
	uint64_t
		dropped; /* though who said them was told that they are taken */
	uint64_t wrong;  /* said to be lost while a neighbor held them */
	uint32_t peer, number; /* one that is lost, or behind */
};
void traffic_account(struct sim *s, struct account *out);

static inline bool traffic_has(const uint64_t *set, uint32_t number)
{
	return (set[number / 64] >> number % 64 & 1) != 0;
}

static inline void traffic_mark(uint64_t *set, uint32_t number)
{
	set[number / 64] |= UINT64_C(1) << number % 64;
}

#endif
