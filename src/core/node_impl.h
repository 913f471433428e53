/* What the files of core share behind include/core/node.h.
 *
 * One struct per subject, each used by the file of its name; the links stand
 * in the middle because overlay, liveness and gossip all speak of them.
 * Everything runs inside of one node_step: a struct step is that call.
 */
#ifndef CORE_NODE_IMPL_H
#define CORE_NODE_IMPL_H

#include "base/rng.h"
#include "core/node.h"
#include "core/origins.h"
#include "core/store.h"
#include "core/wants.h"

#define DIALS_CAP 8        /* at once; config asks for 4 */
#define ALIASES_CAP 8      /* other addresses at which I met myself */
#define DEATHS_CAP 64      /* waiting to be reported; more are dropped */
#define FINDS_CAP 4        /* people waiting for a message by id */
#define UNNOTED_CAP 4      /* ranges of a link; more, and it says all again */
#define SPREAD_BYTES 16384 /* larger first messages are not worth a flood */
#define ACTIVE_MS 60000    /* a run is active so long after a message */
#define NEVER_MS INT64_MAX
#define NEVER_ASKED_MS (INT64_MIN / 2)

struct step {
	struct node *n;
	int64_t now;
	struct effects *out;
};

/* --- links.c: the table of neighbors ---------------------------------- */

/* How far a link has been told what the store holds (R7), a chunk at a time. */
struct walk {
	bool active;
	struct origin *at; /* NULL: behind the last */
	uint64_t seq;
};

/* What a neighbor asked for and did not get yet, and what it got since its
 * outbox was last seen empty. */
struct answers {
	struct range *v; /* n ranges from first on */
	size_t first, n, cap;
	uint64_t messages, bytes;
};

struct link_state {
	bool up;
	struct neighbor info;
	struct addr via;     /* whose redirect led here; none: a seed's list */
	struct addr from;    /* where it connected from; none: we dialed */
	int64_t ping_ms;     /* last Liveliness sent */
	uint64_t ping_nonce; /* unanswered if pinging */
	bool pinging, checking;
	bool listing; /* it was asked for a Peer List */
	/* own messages first .. last that were queued on it without a hole;
	 * last 0: none */
	struct span has, pinged; /* now, and before the open Liveliness */
	/* The tree, and what flows along it. */
	bool all;           /* R7: eager for runs not seen yet */
	bool watched;       /* EV_DRAINED will come */
	int64_t lazy_until; /* no run becomes eager on it before */
	unsigned asked;     /* messages asked from it and not come yet */
	int64_t asked_ms;   /* when it was last asked for any */
	uint64_t brought;   /* bytes of what was asked of it and came */
	/* messages it has that were not noted for want of memory, or of room;
	 * tried again */
	struct range unnoted[UNNOTED_CAP];
	unsigned unnoted_n;
	int64_t unnoted_ms; /* when that was tried last */
	bool missed;        /* it has more than could be noted, */
	int64_t again_ms;   /* and was asked about that last */
	int64_t told_ms;    /* when it was last told of the whole store */
	bool tell_again;    /* it asked for that too early */
	int64_t fed_ms;     /* when it last asked for everything */
	struct walk walk;
	struct answers answers;
};

link_set links_up(const struct node *n);
unsigned links_count(const struct node *n);
unsigned links_dialed(const struct node *n);
uint8_t links_by_addr(const struct node *n, const struct addr *a);
bool links_host_full(const struct node *n, const struct addr *a);
/* A new link in a free slot, or LINK_NONE. */
uint8_t link_add(struct step *s, const struct identity *id, bool dialed,
		 uint64_t neighbors, const struct addr *via);
/* Frees the slot, tells the shell and the other subjects. */
void link_remove(struct step *s, uint8_t slot, enum unlink_cause cause,
		 enum bye_reason bye);
/* Up to `want` random neighbors but `except`, in the effects' memory; returns
 * how many. */
size_t links_sample(struct step *s, const struct addr *except, size_t want,
		    struct addr_list *out);
/* An EF_SAY to these links, to be filled in; never NULL. */
struct message *say(struct step *s, link_set to, enum message_type type);

/* --- registration.c: the seeds ---------------------------------------- */

enum round_kind { ROUND_JOIN, ROUND_REPAIR, ROUND_RENEW };

/* Asking a random majority of the seeds, silent ones replaced (R1). */
struct round {
	bool active;
	enum round_kind kind;
	uint64_t asked, pending; /* a bit per seed */
	unsigned answered, target;
	int64_t deadline_ms;
};

struct pending_death {
	struct msg_death death;
	uint64_t seeds;
	int64_t due_ms;
};

struct registration {
	uint64_t registered; /* a bit per seed that lists me */
	uint64_t outdated;   /* and per seed asked before EF_ADDRESS */
	struct round round;
	int64_t renew_ms;   /* next renewal */
	int64_t period_ms;  /* as the seeds said */
	unsigned failures;  /* rounds in a row without a majority */
	struct addr rotate; /* a non-neighbor drawn from renewal answers (R6) */
	uint64_t rotate_drawn;
	struct pending_death *deaths; /* at most DEATHS_CAP */
	unsigned death_count, death_cap;
};

void registration_free(struct node *n);
void registration_begin(struct step *s, enum round_kind kind);
void registration_on_seed(struct step *s, const struct ev_seed *ev);
void registration_tick(struct step *s);
void registration_renew_now(struct step *s);
int64_t registration_deadline(const struct node *n);
/* Death of that identity to every seed, after a random short delay (R12). */
void registration_report(struct step *s, const struct identity *id,
			 enum death_reason reason);

/* --- overlay.c: whom to link to --------------------------------------- */

struct candidate {
	struct addr addr;
	struct addr via; /* none: listed by a seed */
};

enum dial_purpose { DIAL_LINK, DIAL_ROTATE, DIAL_CHECK };

struct dial {
	bool used, urgent;
	enum dial_purpose purpose;
	uint32_t id;
	struct candidate to;
	int64_t deadline_ms; /* the shell lost it if it says nothing till then
			      */
};

struct overlay {
	struct candidate *candidates; /* room for overlay.max_candidates */
	unsigned candidate_count;
	struct dial dials[DIALS_CAP];
	uint32_t dial_ids;
	bool joining;           /* still on the first round of dials (R1) */
	unsigned attempt;       /* of repair, since a lasting link was lost */
	int64_t repair_ms;      /* next repair round; NEVER_MS: none due */
	unsigned lonely_rounds; /* rounds that ended without any link */
	int64_t urgent_ms;      /* when an urgent request was last granted */
	struct addr aliases[ALIASES_CAP];
	unsigned alias_count;
};

/* False when out of memory. */
bool overlay_init(struct node *n);
void overlay_free(struct node *n);
/* True if it was news. via NULL: a seed listed it. */
bool overlay_candidate(struct step *s, const struct addr *a,
		       const struct addr *via);
bool overlay_is_new(const struct node *n, const struct addr *a);
/* Dials while links are missing; plans a repair when there is nobody left. */
void overlay_fill(struct step *s);
void overlay_round_done(struct step *s, enum round_kind kind,
			unsigned answered);
void overlay_on_bye(struct step *s, uint8_t slot, enum bye_reason reason);
/* A link broke: tell the seeds who may be dead (R12), then repair (R5). */
void overlay_lose(struct step *s, uint8_t slot, enum unlink_cause cause);
/* We cannot keep a link ourselves: a polite Bye, and no hurry to dial again. */
void overlay_give_up(struct step *s, uint8_t slot);
void overlay_renew(struct step *s, uint8_t slot);
void overlay_on_peer_list(struct step *s, uint8_t slot,
			  const struct msg_peer_list *list);
void overlay_on_get_peer_list(struct step *s, uint8_t slot,
			      const struct msg_get_peer_list *m);
void overlay_tick(struct step *s);
int64_t overlay_deadline(const struct node *n);

/* One of my own addresses, as far as I know them? */
bool overlay_is_self(const struct node *n, const struct addr *a);
/* The open dial to that address, or NULL. */
struct dial *overlay_dial_to(struct node *n, const struct addr *a);
/* False when too many are open. */
bool overlay_dial(struct step *s, const struct candidate *to,
		  enum dial_purpose purpose);

/* --- admission.c: which connections become links ---------------------- */

void admission_on_request(struct step *s, const struct ev_request *ev);
void admission_on_dialed(struct step *s, const struct ev_dialed *ev);

/* --- liveness.c: who is alive ----------------------------------------- */

struct liveness {
	int64_t tick_ms; /* last tick, to notice that we ourselves slept */
	uint64_t nonces;
};

void liveness_start(struct step *s);
void liveness_heard(struct step *s, uint8_t slot);
void liveness_on_ask(struct step *s, uint8_t slot,
		     const struct msg_liveliness *m);
void liveness_on_reply(struct step *s, uint8_t slot,
		       const struct msg_liveliness_reply *m);
void liveness_on_checked(struct step *s, uint8_t slot, bool bytes_wait);
void liveness_tick(struct step *s);
int64_t liveness_deadline(const struct node *n);
/* Sends a Liveliness; its answer proves that what was queued before came. */
void liveness_ping(struct step *s, uint8_t slot);

/* --- gossip.c: spreading messages ------------------------------------- */

struct find {
	bool used;
	struct hash id;
	link_set asked;
	int64_t deadline_ms;
};

/* Messages of a run that some links are still to hear of. */
struct fresh {
	struct origin *run;
	uint64_t first, last;
	link_set to;
};

/* What settled.c knows: how large history may have grown, as of when, and until
 * when nothing counts as settled. */
struct settling {
	uint64_t room;
	int64_t room_ms, keep_until_ms;
};

struct gossip {
	struct origins origins;
	struct store store;
	struct settling settling;
	struct wants wants;
	struct fresh *fresh; /* have.c: at most FRESH_MAX, */
	unsigned fresh_n, fresh_cap;
	unsigned fresh_messages; /* so many in all, */
	uint64_t fresh_bytes;    /* and of that size */
	int64_t flush_ms;        /* when they are announced; NEVER_MS */
	bool choked;             /* the user's output takes no more */
	bool history_over;       /* catch_up = no: what follows is wanted */
	uint8_t history_link;    /* whose `all` is the history; LINK_NONE */
	int64_t history_ms;      /* or until this time; 0: no link yet */
	struct find finds[FINDS_CAP];
	uint64_t taken; /* own seqs up to here are known to be with others */
	uint64_t resent_to; /* own seqs up to here were sent once more */
	bool syncing;
	uint64_t sync_seq; /* EF_SYNCED when taken is here */
};

void gossip_init(struct node *n);
void gossip_free(struct node *n);
void gossip_link_up(struct step *s, uint8_t slot);
void gossip_link_down(struct step *s, uint8_t slot);
void gossip_link_full(struct step *s, uint8_t slot);
void gossip_link_drained(struct step *s, uint8_t slot);
void gossip_on_output(struct step *s, bool slow);
void gossip_on_publish(struct step *s, const struct ev_publish *ev);
void gossip_on_message(struct step *s, uint8_t slot, const struct ev_frame *f);
void gossip_on_not_found(struct step *s, uint8_t slot,
			 const struct msg_not_found *m);
void gossip_tick(struct step *s);
int64_t gossip_deadline(const struct node *n);
/* The record of a run, made if need be; NULL when out of memory. */
struct origin *gossip_record(struct step *s, const struct identity *id);
/* A Message to these links. */
void gossip_send(struct step *s, link_set to, struct frame *f, uint8_t flags,
		 uint8_t hops);
/* Tell me when this link has drained. */
void gossip_watch(struct step *s, uint8_t slot);

/* --- tree.c: who is sent a run at once (R7, R8, R11, R12) ------------- */

/* The links that are sent this run's messages at once. */
link_set tree_eager(const struct step *s, const struct origin *r);
/* The links that can be sent anything: not those that have to drain first. */
link_set tree_usable(const struct node *n);
void tree_plant(struct step *s, struct origin *r);  /* a new record */
void tree_spread(struct step *s, struct origin *r); /* all links (R8) */
/* This run is wanted along this link, too. */
void tree_feed(struct step *s, struct origin *r, uint8_t slot);
/* Message seq was new, and came by that link when it was said. Returns a link
 * that will bring it, too: no need to send it there. */
link_set tree_on_news(struct step *s, struct origin *r, uint8_t slot,
		      uint64_t seq);
void tree_on_duplicate(struct step *s, struct origin *r, uint8_t slot,
		       uint64_t seq, uint8_t flags);
void tree_on_graft(struct step *s, uint8_t slot, const struct msg_graft *m);
void tree_on_prune(struct step *s, uint8_t slot, const struct msg_graft *m);
void tree_link_up(struct step *s, uint8_t slot);
/* The link is gone, or has become lazy: whatever grew along it needs another
 * one. */
void tree_link_down(struct step *s, uint8_t slot);
/* Prune everywhere: we can take no more. */
void tree_choke(struct step *s);
/* For how many active runs is this link eager? */
unsigned tree_load(const struct step *s, uint8_t slot);

/* --- have.c: announcing (R7, R8) -------------------------------------- */

/* These links are to hear of it with the next Have, and if there is much, all
 * are. */
void have_add(struct step *s, struct origin *r, uint64_t seq, link_set to,
	      uint32_t bytes);
/* A link has first .. last itself: it need not hear of them. */
void have_known(struct step *s, const struct origin *r, uint64_t first,
		uint64_t last, uint8_t slot);
void have_flush(struct step *s);
/* Before the good-byes (R15). */
void have_hand_over(struct step *s);
/* Announces the whole store to a link. */
void have_walk(struct step *s, uint8_t slot);
void have_walk_on(struct step *s, uint8_t slot);
/* The same to a link that missed some of it; not all the time. */
void have_again(struct step *s, uint8_t slot);
void have_tick(struct step *s);
/* Before a record goes. */
void have_forget_run(struct node *n, const struct origin *r);
void have_forget_link(struct step *s, uint8_t slot);

/* --- settled.c: what all neighbors have ------------------------------- */

/* The link has first .. last itself. */
void settled_note(struct origin *r, uint8_t slot, uint64_t first,
		  uint64_t last);
/* Message seq was stored; it came by that link, or LINK_NONE. */
void settled_took(struct origin *r, uint64_t seq, uint8_t slot);
void settled_link_down(struct node *n, uint8_t slot);
/* A neighbor was lost, and may come back. */
void settled_keep(struct step *s);
/* Nothing from .. to is held here, nor can it still come. */
bool settled_bridges(const struct origin *r, uint64_t from, uint64_t to);
/* The store is so large that neighbors should know what we have. */
bool settled_matters(const struct node *n);
/* Before a message is stored: instead of growing faster than history does the
 * store lets go of what is settled. */
void settled_make_room(struct step *s, const struct frame *f);

/* --- pull.c: fetching what is missing (R9, R10, R16) ------------------ */

/* What is known of a message that came: who else has it, and whether it was
 * asked for along the link it came by, with the run. */
struct pulled {
	link_set announced;
	bool graft;
};

/* TO1: what is announced and does not come by itself within this is asked for;
 * ms. */
int64_t pull_ask_after(const struct node *n);
/* The link has these messages, and they could not be noted, or not be noted as
 * wanted: that is tried again in a moment. */
void pull_unnoted(struct step *s, uint8_t slot, const struct identity *run,
		  uint64_t first, uint64_t last);
void pull_on_have(struct step *s, uint8_t slot, const struct msg_have *m);
void pull_on_not_found(struct step *s, uint8_t slot,
		       const struct range_list *ranges);
struct pulled pull_took(struct step *s, uint8_t slot, const struct identity *id,
			uint64_t seq, uint32_t bytes);
/* Message seq of r came when it was said: from the first of them on the run
 * shall be complete (R16). */
void pull_live(struct step *s, struct origin *r, uint64_t seq, uint8_t slot);
/* Message seq of r came by that link, maybe leaving a hole below it (R16). */
void pull_hole(struct step *s, struct origin *r, uint64_t seq, uint8_t slot);
/* Nobody will bring these any more. */
void pull_lost(struct step *s, const struct origin *r, uint64_t first,
	       uint64_t last);
void pull_link_up(struct step *s);
void pull_link_down(struct step *s, uint8_t slot);
/* Asks for all that is due. */
void pull_pump(struct step *s);
void pull_tick(struct step *s);
int64_t pull_deadline(const struct node *n);

/* --- answer.c: getData of others (R11) -------------------------------- */

void answer_get_data(struct step *s, uint8_t slot,
		     const struct msg_get_data *m);
/* Goes on with what did not fit. */
void answer_more(struct step *s, uint8_t slot);

/* --- find.c: messages by id, for people ------------------------------- */

void find_begin(struct step *s, const struct hash *id);
void find_came(struct step *s, const struct ev_frame *f);
void find_denied(struct step *s, uint8_t slot, const struct hash *id);
void find_link_down(struct step *s, uint8_t slot);
void find_tick(struct step *s);
int64_t find_deadline(const struct node *n);

/* --- sync.c: has everything been taken? ------------------------------- */

/* Own message seq was queued on these links. */
void sync_queued(struct step *s, link_set to, uint64_t seq);
void sync_begin(struct step *s);
/* Looks whether all is proven, and what would help. */
void sync_pump(struct step *s);
/* The answer to an open Liveliness came. */
void sync_answered(struct step *s, uint8_t slot);

/* --- the node --------------------------------------------------------- */

struct node {
	const struct config *config;
	struct identity self;
	bool learn_address, stopped;
	struct rng rng;
	struct link_state links[LINK_SLOTS];
	/* What every message asks about the links, as sets. */
	link_set up;     /* as links[].up says */
	link_set behind; /* take no more until they have drained */
	link_set lazy;   /* lazy_until may lie ahead */
	struct registration registration;
	struct overlay overlay;
	struct liveness liveness;
	struct gossip gossip;
	struct node_stats stats;
};

static inline link_set link_bit(uint8_t slot)
{
	return (link_set)(slot < LINK_SLOTS ? 1u << slot : 0);
}

#endif
