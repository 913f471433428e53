/* The peers: a core each, its life, and what is done with its effects.
 *
 * A peer is one process, a number that is never used twice. It lives at a
 * place, which is an address; who starts again there is another peer with a
 * larger incarnation. All peers are at hosts of their own.
 */
#ifndef SIM_PEERS_H
#define SIM_PEERS_H

#include "base/rng.h"
#include "core/node.h"
#include "sim/options.h"
#include "sim/queue.h"

enum peer_state {
	PEER_RUNS,
	PEER_PAUSED, /* its kernel still takes connections and bytes */
	PEER_GONE,   /* the process has ended, its host answers for it */
	PEER_SILENT  /* so has the host */
};

/* What one seed gave it. */
struct standing {
	bool listed, held;
	struct hash lease;
};

struct peer {
	struct node *node; /* NULL: gone or silent */
	uint64_t *got;     /* a bit for every message: published or delivered */
	uint64_t *waived; /* of these it has said that they are lost; or NULL */
	uint64_t *hasty;  /* and a neighbor held them then; or NULL */
	struct standing *standings; /* a seed each, once one has answered */
	struct item *backlog;       /* what came while it was paused */
	size_t backlog_n, backlog_cap;
	uint32_t *told; /* I7: peers that seeds named while it joined */
	size_t told_n, told_cap;
	int64_t tick_ms;   /* of the ITEM_TICK that counts; NEVER_MS: none */
	int64_t linked_ms; /* its first link; -1: none so far */
	int64_t resume_ms; /* the end of its last pause; -1: none so far */
	int64_t first_ms;  /* how long the first message published after that
			    * took to come; -1: it has not */
	int64_t caught_ms; /* its last one published before; -1: none */
	int64_t ended_ms;
	uint64_t incarnation;
	uint32_t *said; /* the numbers of its messages, by seq - 1 */
	size_t said_n, said_cap;
	uint32_t place;
	uint32_t before;     /* who was at this place before it, or NOBODY */
	uint32_t first_owed; /* messages that were there before its first link
			      */
	uint32_t alive_at;   /* its index in the list of living peers */
	uint32_t conn[LINK_SLOTS];
	link_set links;
	uint8_t state; /* enum peer_state */
	uint8_t half;  /* of a network that is split */
	bool joiner;   /* it came in mid-stream */
	bool leaving;  /* it will stop as soon as all it said is taken, */
	bool taken;    /* as it is now */
	bool joined;   /* its first round with the seeds is over, */
	bool settled;  /* and a majority has answered (I7) */
};

struct peers {
	struct rng rng;
	struct peer *v;
	uint32_t n, cap;
	uint32_t *at; /* the newest peer of each place */
	uint32_t places, places_cap;
	uint32_t *alive;
	uint32_t alive_n;
	bool mid_stream; /* who starts now is a joiner */
};

struct sim;

/* Room for so many in all. */
void peers_init(struct sim *s, uint32_t most);
void peers_free(struct sim *s);
struct addr peers_addr(uint32_t place);
/* The newest peer that has or had that address, or NOBODY. */
uint32_t peers_at(const struct sim *s, const struct addr *a);
struct identity peers_identity(const struct peer *p);
/* The peer that was that run, or NOBODY. */
uint32_t peers_of_run(const struct sim *s, const struct identity *id);

/* A new process at a place that is a new one, or one whose last peer ended. */
void peers_start(struct sim *s, uint32_t place);
uint32_t peers_new_place(struct sim *s);
void peers_end(struct sim *s, uint32_t peer, enum ending how);
void peers_pause(struct sim *s, uint32_t peer, int64_t until_ms);
/* Its user does not read what it prints. */
void peers_choke(struct sim *s, uint32_t peer, int64_t until_ms);
/* It leaves: once somebody has taken what it said, and then now. */
void peers_leave(struct sim *s, uint32_t peer);
void peers_synced(struct sim *s, uint32_t peer);
/* A random one that runs, or NOBODY. */
uint32_t peers_draw(struct sim *s, struct rng *r);

/* What an event was about, for its effects. */
struct about {
	uint32_t conn;   /* of a request or a dial, or NOBODY */
	uint32_t number; /* of a Message, or NOBODY */
	uint8_t hops;    /* that it has made */
};
void peers_step(struct sim *s, uint32_t peer, const struct event *ev,
		const struct about *about);
/* An item for a peer or a connection is due. */
void peers_arrive(struct sim *s, const struct item *it);
/* It never will be: its peer has ended. */
void peers_drop(struct sim *s, const struct item *it);

#endif
