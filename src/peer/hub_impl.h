/* The inside of the hub: what it holds, and a step with its effects. Shared by
 * hub.c (events in, questions answered) and hub_apply.c (effects out). */
#ifndef PEER_HUB_IMPL_H
#define PEER_HUB_IMPL_H

#include "peer/hub.h"

/* Locking key: (c) constant, (n) mu, (t) set before the ticker runs. */
struct hub {
	struct peer *peer;              /* (c) */
	struct mutex mu;                /* node.mu */
	struct node *node;              /* (n) */
	struct effects effects;         /* (n) */
	struct link *links[LINK_SLOTS]; /* (n) a reference each */
	uint64_t dropped;      /* (n) effects, as far as that was dealt with */
	link_set overflowed;   /* (n) EV_FULL is due after the effects, */
	link_set starved;      /* (n) or at the next tick: memory is short */
	bool output_slow;      /* (n) as the node was told last */
	link_set published_to; /* (n) links the last own messages went to */
	struct cond tick;      /* the deadline moved, or stop */
	struct cond changed;   /* links, answers, stop: for who waits */
	int64_t tick_ms;       /* (n) when the ticker will look next */
	uint64_t synced;       /* (n) EF_SYNCED so far */
	struct hash found_id;  /* (n) last answer to EV_FIND */
	struct frame *found;   /* (n) NULL: nobody had it */
	uint64_t finds;        /* (n) answers so far */
	bool settled;          /* (n) EF_SETTLED came */
	bool stopping;         /* (n) */
	pthread_t ticker;      /* (t) */
	bool has_ticker;       /* (t) */
};

/* One locked section: what it is about, and what it left to do without the
 * lock. hub_begin, steps, hub_end, and work_release at the very end. */
struct work {
	int64_t now_ms;
	struct link *subject;         /* of a request or a dial */
	struct parcel *const *frames; /* that came, with ev.frame */
	size_t stepped, passed_on;    /* of these, so far */
	bool printed;                 /* the output has something new */
	link_set told_full; /* EV_FULL was stepped: once in a section */
	size_t n;
	struct link *touched[2 * LINK_SLOTS]; /* n, a reference each */
};

void hub_begin(struct hub *h, struct work *w) ACQUIRES(h->mu);
/* Unlocks; sends and prints what the sockets and stdout take. */
void hub_end(struct hub *h, struct work *w) RELEASES(h->mu);

/* One step of the node and its effects. Some effects are questions whose
 * answers are events again; they follow at once. */
void hub_step_locked(struct hub *h, const struct event *ev, struct work *w)
	NEEDS(h->mu);
/* Passes on the messages that were delivered since it did so last. */
void hub_pass_on_locked(struct hub *h, struct work *w) NEEDS(h->mu);

/* EV_FULL for those of the links that were not told in this section: a full
 * link that the answer overflows again would be told for ever. From here on
 * nobody waits for them, until EV_DRAINED. */
void hub_full_locked(struct hub *h, link_set full, struct work *w) NEEDS(h->mu);

/* Remembers a link that was given something to send. */
void work_touch(struct work *w, struct link *l);
/* Without the lock: sends what the sockets take; waits until at most `high`
 * bytes are left on each (link_wait_room; false: some did not make it); lets
 * the links go. */
void work_flush(struct work *w);
bool work_wait(struct work *w, size_t high, int64_t stall_ms, int64_t bound_ms);
void work_release(struct work *w);

#endif
