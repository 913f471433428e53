/* What travels, as C: one struct for every type of protocol.md section 2.
 *
 * Nothing here knows JSON. The arrays and bytes a struct points to belong to
 * whoever made it; what codec_decode made is freed by message_clear, but the
 * data of a Message may point into the body it was decoded from.
 * Plain data, no functions that block; share it between threads read-only.
 */
#ifndef WIRE_MESSAGE_H
#define WIRE_MESSAGE_H

#include "base/addr.h"
#include "base/crypto.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WANT_REGISTER_MAX 32
#define WANT_LIST_MAX 1000
#define REDIRECT_MAX 6
#define RANGES_MAX                                                           \
	800           /* in one Have, getData, Not Found; 5 JSON values each \
		       */
#define RUNS_MAX 1000 /* in one Graft or Prune */
#define DATA_MAX 1048576 /* bytes of user data in one Message */
#define SEQ_MAX ((UINT64_C(1) << 53) - 1) /* exact in JSON everywhere */
#define NONCE_MAX (UINT64_C(1) << 52)
#define COUNT_MAX UINT64_C(4294967295)

/* Name on the wire, enum. The name is also what logs print. */
#define MESSAGE_LIST(X)                         \
	X(REGISTER, "Register")                 \
	X(GET_PEER_LIST, "Get Peer List")       \
	X(PEER_LIST, "Peer List")               \
	X(DEATH, "Death")                       \
	X(DEATH_REPLY, "Death Reply")           \
	X(PEER_REQUEST, "Peer Request")         \
	X(PEER_REPLY, "Peer Reply")             \
	X(LIVELINESS, "Liveliness")             \
	X(LIVELINESS_REPLY, "Liveliness Reply") \
	X(MESSAGE, "Message")                   \
	X(HAVE, "Have")                         \
	X(GET_DATA, "getData")                  \
	X(NOT_FOUND, "Not Found")               \
	X(GRAFT, "Graft")                       \
	X(PRUNE, "Prune")                       \
	X(BYE, "Bye")

enum message_type {
#define MESSAGE_ENUM(name, text) MSG_##name,
	MESSAGE_LIST(MESSAGE_ENUM)
#undef MESSAGE_ENUM
		MSG_TYPES
};

enum death_reason { DEATH_LEFT, DEATH_SILENT, DEATH_RESET, DEATH_REFUSED };
enum death_verdict {
	VERDICT_REMOVED,
	VERDICT_VERIFYING,
	VERDICT_ALIVE,
	VERDICT_UNKNOWN,
	VERDICT_BUSY
};
enum peer_verdict { PEER_ACCEPTED, PEER_BUSY, PEER_DUPLICATE, PEER_SELF };
enum bye_reason { BYE_ROTATE, BYE_BUSY, BYE_DUPLICATE, BYE_SLOW, BYE_SHUTDOWN };

struct addr_list {
	const struct addr *v;
	size_t n;
};

/* Messages first .. last of one run, both included, first >= 1. */
struct range {
	struct identity run;
	uint64_t first, last;
};

struct range_list {
	const struct range *v;
	size_t n;
};

struct run_list {
	const struct identity *v;
	size_t n;
};

struct msg_register {
	struct identity id;
	uint32_t want;  /* 0 .. WANT_REGISTER_MAX */
	bool has_lease; /* shown at a renewal */
	struct hash lease;
};

struct msg_get_peer_list {
	uint32_t want; /* 0 .. WANT_LIST_MAX */
};

struct msg_peer_list {
	uint64_t count;
	struct addr_list peers; /* at most WANT_LIST_MAX */
	bool registered; /* an answer to Register: the fields below are there */
	struct addr you;
	bool reachable;
	uint64_t period_ms;
	struct hash lease; /* all zero: none given */
};

struct msg_death {
	struct identity id; /* incarnation 0: whichever run is listed */
	struct addr reporter;
	enum death_reason reason;
	bool has_lease;
	struct hash lease;
};

struct msg_death_reply {
	enum death_verdict verdict;
};

struct msg_peer_request {
	struct identity id;
	uint64_t neighbors;
	bool urgent;
};

struct msg_peer_reply {
	enum peer_verdict verdict;
	struct identity id;
	uint64_t neighbors;
	struct addr_list redirect; /* at most REDIRECT_MAX */
};

struct msg_liveliness {
	uint64_t nonce; /* 0 .. NONCE_MAX */
};

struct msg_liveliness_reply {
	uint64_t nonce;
	struct identity id;
	uint64_t neighbors;
};

struct msg_message {
	struct identity origin; /* the run that published it */
	uint64_t seq;           /* 1 .. SEQ_MAX */
	int64_t time_ms; /* since 1970, by the origin's clock; 0 .. SEQ_MAX */
	const uint8_t *data; /* the bytes as the user gave them; no NUL ends
			      * them */
	size_t data_bytes;   /* 0 .. DATA_MAX */
	bool base64;         /* the bytes travel as base64 */
};

struct msg_have {
	struct range_list ranges;
	bool all, more;
};

/* getData and Not Found name ranges or one id, never both. */
struct msg_get_data {
	struct range_list ranges;
	bool has_id;
	struct hash id;
	bool graft;
};

struct msg_not_found {
	struct range_list ranges;
	bool has_id;
	struct hash id;
};

struct msg_graft {
	struct run_list runs;
	bool all; /* always false in a Prune */
};

struct msg_bye {
	enum bye_reason reason;
};

struct message {
	enum message_type type;
	void *memory; /* what codec_decode allocated, or NULL */
	union {
		struct msg_register reg;
		struct msg_get_peer_list get_peer_list;
		struct msg_peer_list peer_list;
		struct msg_death death;
		struct msg_death_reply death_reply;
		struct msg_peer_request peer_request;
		struct msg_peer_reply peer_reply;
		struct msg_liveliness liveliness;
		struct msg_liveliness_reply liveliness_reply;
		struct msg_message message;
		struct msg_have have;
		struct msg_get_data get_data;
		struct msg_not_found not_found;
		struct msg_graft graft; /* and Prune */
		struct msg_bye bye;
	};
};

/* Names as they stand on the wire; never NULL. */
const char *message_name(enum message_type t);
const char *death_reason_name(enum death_reason r);
const char *death_verdict_name(enum death_verdict v);
const char *peer_verdict_name(enum peer_verdict v);
const char *bye_reason_name(enum bye_reason r);

/* Frees what codec_decode allocated for it; fine on a zeroed message. */
void message_clear(struct message *m);

#endif
