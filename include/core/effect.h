/* What a node wants done, as plain values, in order.
 *
 * Effects are valid until the next node_step with the same struct effects.
 * Frames they name are borrowed: hold what is kept. Lists inside of messages
 * point into the struct effects itself.
 */
#ifndef CORE_EFFECT_H
#define CORE_EFFECT_H

#include "core/event.h"

enum effect_kind {
	EF_SEND,    /* a Message frame to a set of links */
	EF_SAY,     /* a control message to a set of links */
	EF_VERDICT, /* answer a Peer Request; if accepted, conn is the link */
	EF_DIAL,    /* connect and send a Peer Request: EV_DIALED */
	EF_ADOPT,   /* the connection of a dial is the link */
	EF_REFUSE,  /* it is not wanted: Bye, read to its end, close */
	EF_UNLINK,  /* the slot is free again; say Bye if told so, and close */
	EF_SEED,    /* ask one seed: EV_SEED */
	EF_DEATH,   /* report a death to a set of seeds: EV_SEED each */
	EF_LEAVE,   /* Death of myself to every seed that gave me a lease */
	EF_DELIVER, /* the message of this event is new: give it to the user */
	EF_CHECK,   /* do bytes wait on this link? EV_CHECKED */
	EF_WATCH,   /* EV_DRAINED once little is left to send on this link */
	EF_LOST,   /* nobody has these messages any more: tell the user (R10) */
	EF_SYNCED, /* a neighbor has taken all that was published */
	EF_FOUND,  /* the message that was asked for (EV_FIND) */
	EF_NOT_FOUND, /* nobody has it */
	EF_JOINED,    /* the first round with the seeds is over */
	EF_SETTLED,   /* and so are the first dials */
	EF_ADDRESS    /* a seed told me my address: self changed */
};

enum unlink_cause {
	UNLINK_BYE_SENT, /* with `bye` */
	UNLINK_BYE_GOT,  /* with `bye` */
	UNLINK_SILENT,
	UNLINK_RESET,
	UNLINK_BREACH,
	UNLINK_SLOW
};

struct effect {
	enum effect_kind kind;
	uint8_t link;   /* VERDICT, ADOPT, UNLINK, CHECK, WATCH */
	link_set links; /* SEND, SAY */
	uint64_t conn;  /* VERDICT, ADOPT, REFUSE */
	union {
		struct {
			struct frame_head head;
			struct frame *frame;
		} send;
		struct message say; /* SAY, VERDICT */
		struct {
			uint32_t id;
			struct addr to;
			struct msg_peer_request request;
		} dial;
		struct {
			enum unlink_cause cause;
			enum bye_reason bye;
		} unlink; /* REFUSE: bye alone */
		struct {
			unsigned seed;
			enum seed_question question;
			struct identity self;
			uint32_t want;
		} seed;
		struct {
			uint64_t seeds; /* a bit per seed */
			struct msg_death death;
		} death;
		struct {
			struct frame *frame; /* FOUND */
			struct hash id;      /* FOUND, NOT_FOUND */
		} found;
		struct range lost;
		struct {
			unsigned asked, answered;
			size_t candidates;
		} joined;
	};
};

/* Memory that the lists inside of effects point into; kept between steps. */
struct effect_block;

/* There is room for so many without any memory, half of it for effects that
 * nobody repeats: links that end, verdicts, messages delivered. */
#define EFFECTS_FIRST 64

struct effects {
	struct effect *v; /* first, or on the heap */
	size_t n, cap;
	struct effect_block *blocks; /* the one in use first */
	struct effect_block *spare;
	/* Effects lost to a failed allocation. Of what was to be sent the shell
	 * makes an EV_FULL; the rest has deadlines in the core. */
	uint64_t dropped;
	struct effect spill; /* where those are written */
	struct effect first[EFFECTS_FIRST];
};

void effects_init(struct effects *e);
void effects_free(struct effects *e);
void effects_clear(struct effects *e);
/* A zeroed effect of that kind, at the end of the list; never NULL. */
struct effect *effects_add(struct effects *e, enum effect_kind kind);
/* Memory that lives as long as the effects; NULL when there is none. */
void *effects_room(struct effects *e, size_t bytes);

#endif
