/* What a node can be told. Everything an event points to is borrowed for the
 * duration of one node_step. */
#ifndef CORE_EVENT_H
#define CORE_EVENT_H

#include "base/addr.h"
#include "wire/frame.h"
#include "wire/message.h"

#include <stdbool.h>
#include <stdint.h>

/* Links live in slots; a set of links is one bit per slot. */
#define LINK_SLOTS 16
#define LINK_NONE 0xff /* no link: a connection that was one, or never was */
typedef uint16_t link_set;

enum event_kind {
	EV_START,   /* once, first */
	EV_TICK,    /* time passed; due at node_deadline_ms */
	EV_SEED,    /* a question to a seed ended */
	EV_REQUEST, /* a Peer Request on an accepted connection */
	EV_DIALED,  /* a dial ended */
	EV_HEARD,   /* bytes came over a link, no whole frame yet */
	EV_FRAME,   /* a frame came over a link */
	EV_DOWN,    /* a link broke */
	EV_CHECKED, /* the answer to EF_CHECK */
	EV_FULL, /* a link did not take what it was to send, or is far behind */
	EV_DRAINED, /* the answer to EF_WATCH */
	EV_OUTPUT,  /* the user's own output became slow, or has caught up */
	EV_PUBLISH, /* the user has a message */
	EV_SYNC,    /* the user wants to know when all is taken (EF_SYNCED) */
	EV_FIND, /* the user wants a message by id (EF_FOUND, EF_NOT_FOUND) */
	EV_STOP  /* leave; the last one */
};

enum seed_question { ASK_REGISTER, ASK_LIST, ASK_DEATH };
enum dial_result { DIAL_ANSWERED, DIAL_REFUSED, DIAL_TIMEOUT, DIAL_FAILED };
enum down_cause {
	DOWN_RESET,  /* reset, or closed without a Bye: the process is gone */
	DOWN_BREACH, /* it broke the protocol */
	DOWN_SLOW,   /* it does not take what we send */
	DOWN_LOCAL,  /* no thread or memory here to keep it */
	DOWN_RENEW   /* nothing is wrong with it: it is to be made anew */
};

struct ev_seed {
	unsigned seed; /* its place in the configuration */
	enum seed_question question;
	bool answered;
	const struct msg_peer_list *list; /* of ASK_REGISTER and ASK_LIST */
	struct msg_death death;           /* of ASK_DEATH: what was asked, */
	enum death_verdict verdict;       /* and the verdict */
};

struct ev_request {
	uint64_t conn;    /* the caller's name for it; the effects repeat it */
	struct addr from; /* the other end as the kernel sees it */
	const struct msg_peer_request *request;
};

struct ev_dialed {
	uint32_t dial; /* from EF_DIAL */
	uint64_t conn; /* likewise; of a dial that was answered */
	enum dial_result result;
	const struct msg_peer_reply *reply; /* if answered */
	int64_t rtt_ms;                     /* request to reply */
};

struct ev_frame {
	struct frame_head head;
	struct frame *frame; /* of a Message */
	const struct message *msg;
};

struct ev_publish {
	struct frame *frame; /* encoded with seq = node_next_seq */
	const struct msg_message *msg;
};

struct event {
	enum event_kind kind;
	uint8_t link; /* HEARD, FRAME, DOWN, CHECKED, FULL, DRAINED */
	union {
		struct ev_seed seed;
		struct ev_request request;
		struct ev_dialed dialed;
		struct ev_frame frame;
		enum down_cause down;
		bool bytes_wait;  /* EV_CHECKED */
		bool output_slow; /* EV_OUTPUT */
		struct ev_publish publish;
		struct hash find; /* EV_FIND */
	};
};

#endif
