/* Connections, and what is on its way over them.
 *
 * A connection has two ends, 0 the one that dialed. Each two hosts have one
 * latency, each frame up to 20 % more, and the frames of one direction arrive
 * in the order they were sent. What cannot arrive now waits: for a peer that
 * is paused at its host, for a cut network at the sender. A direction that
 * holds more than an outbox takes no more (EV_FULL). Times are ms.
 */
#ifndef SIM_NET_H
#define SIM_NET_H

#include "base/rng.h"
#include "core/effect.h"
#include "sim/control.h"
#include "sim/queue.h"

#define NET_SEED_PLACE 0x80000000u /* places from here on are seeds */

struct sim;

enum side_state {
	SIDE_OPEN,   /* dialed or accepted, not a link yet */
	SIDE_LINKED, /* in slot */
	SIDE_DRAIN,  /* after a Bye: reads to the end, sends nothing */
	SIDE_CLOSED
};

struct side {
	int64_t newest_ms;     /* nothing arrives here before this */
	int64_t drain_ms;      /* SIDE_DRAIN: until then */
	int64_t read_ms;       /* when it last read something that waited */
	uint32_t peer;         /* whose end it is */
	uint32_t queued_bytes; /* sent to this end and not read yet */
	uint8_t state, slot;
	bool downed;   /* an ITEM_DOWN is on its way to this end */
	bool watching; /* the node wants to know when the other end has read */
	bool timing;   /* an ITEM_SLOW is under way */
};

struct conn {
	struct side side[2];
	uint64_t *known[2]; /* I2: what side told or was told; or NULL */
	int64_t asked_ms;   /* when the Peer Request left */
	uint32_t dial;      /* the dialer's name for it */
	uint32_t pending;   /* items under way that name it */
	uint32_t base_ms;   /* latency */
	uint32_t next_free;
	bool used;
};

struct net {
	struct rng rng;
	uint64_t salt;
	struct conn *v;
	size_t cap;
	uint32_t n, free; /* made so far; first unused one */
	uint32_t used;
	bool split, seed_split; /* halves do not hear each other */
	int64_t split_ms;       /* since */
	int64_t healed_ms;      /* the last time */
	struct item *held;      /* frames that wait for a split to heal */
	size_t held_n, held_cap;
};

void net_init(struct sim *s);
void net_free(struct sim *s);

/* One way between two places, and the same with jitter. */
int64_t net_latency(const struct sim *s, uint32_t a, uint32_t b);
int64_t net_delay(struct sim *s, int64_t base_ms);
/* Can that peer talk to that seed? */
bool net_reaches_seed(const struct sim *s, uint32_t peer, uint32_t seed);
/* The end that this peer has in that slot. */
unsigned net_side(const struct sim *s, uint32_t conn, uint32_t peer,
		  uint8_t slot);
/* Its ends are in halves that do not hear each other. */
bool net_cut(const struct sim *s, const struct conn *c);
/* What is queued for that end has to wait. */
bool net_blocked(const struct sim *s, const struct conn *c, unsigned side);

/* A connection that is being dialed. */
uint32_t net_connect(struct sim *s, uint32_t from, uint32_t to, uint32_t dial);
/* To that end. False: too much waits there already, nothing was sent. */
bool net_message(struct sim *s, uint32_t conn, unsigned to, uint32_t number,
		 const struct frame_head *head);
bool net_control(struct sim *s, uint32_t conn, unsigned to, enum item_kind kind,
		 struct control *c, int64_t extra_ms);
/* More than half of an outbox waits for that end: it is far behind. */
bool net_behind(const struct sim *s, uint32_t conn, unsigned to);
/* The end of the stream, once. */
void net_down(struct sim *s, uint32_t conn, unsigned to);
/* Something else that names a connection. */
void net_push(struct sim *s, int64_t at_ms, enum item_kind kind, uint32_t conn,
	      unsigned side);
/* Tells the watching sender (EV_DRAINED) when little is left. */
void net_watch(struct sim *s, uint32_t conn, unsigned side);
/* An item over a connection was read, or is thrown away. */
void net_read(struct sim *s, const struct item *it);
void net_done(struct sim *s, const struct item *it);
void net_close(struct sim *s, uint32_t conn, unsigned side,
	       enum side_state state);

void net_split(struct sim *s);
void net_heal(struct sim *s);

#endif
