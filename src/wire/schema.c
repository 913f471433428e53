#include "wire/schema.h"

#define WANT_DEFAULT 32 /* of somebody who does not say how many */

#define AT(member) offsetof(struct message, member)
#define SIZE(member) ((uint16_t)sizeof(((struct message *)NULL)->member))
#define FIELD(name, text, of_kind, member)                        \
	.key = (name), .key_bytes = sizeof(name) - 1,             \
	.why = name ": missing, or not " text, .kind = (of_kind), \
	.offset = AT(member), .size = SIZE(member)

#define INTEGER(name, member, least, most)                        \
	FIELD(name, "an integer in range", KIND_INTEGER, member), \
		.lo = (least), .hi = (most)
#define WORD(name, member, namer, last)                           \
	FIELD(name, "a word of the protocol", KIND_WORD, member), \
		.word = (namer), .hi = (last)
#define BOOLEAN(name, member) FIELD(name, "true or false", KIND_BOOLEAN, member)
#define ADDRESS(name, member) \
	FIELD(name, "a canonical address", KIND_ADDRESS, member)
#define HASH(name, member) FIELD(name, "32 hex digits", KIND_HASH, member)
#define ADDRESSES(name, member, most)                                   \
	FIELD(name, "a list of addresses, or too long", KIND_ADDRESSES, \
	      member),                                                  \
		.hi = (most)
#define RANGES(member)                                                     \
	FIELD("ranges",                                                    \
	      "a list of [origin, incarnation, first, last], or too long", \
	      KIND_RANGES, member),                                        \
		.hi = RANGES_MAX
#define RUNS(member)                                                  \
	FIELD("runs", "a list of [origin, incarnation], or too long", \
	      KIND_RUNS, member),                                     \
		.hi = RUNS_MAX
#define DATA(member)                                                           \
	FIELD("data", "a string, too long, or not of its encoding", KIND_DATA, \
	      member)
#define PRESENT(how, flag_member) .presence = (how), .flag = AT(flag_member)

static const char *reason_word(unsigned i)
{
	return death_reason_name((enum death_reason)i);
}

static const char *death_verdict_word(unsigned i)
{
	return death_verdict_name((enum death_verdict)i);
}

static const char *peer_verdict_word(unsigned i)
{
	return peer_verdict_name((enum peer_verdict)i);
}

static const char *bye_word(unsigned i)
{
	return bye_reason_name((enum bye_reason)i);
}

static const struct field register_fields[] = {
	{ ADDRESS("address", reg.id.addr) },
	{ INTEGER("incarnation", reg.id.incarnation, 1, SEQ_MAX) },
	{ INTEGER("want", reg.want, 0, WANT_REGISTER_MAX), .presence = LENIENT,
	  .missing = WANT_DEFAULT },
	{ HASH("lease", reg.lease), PRESENT(MARKS, reg.has_lease) },
};
static const struct field get_peer_list_fields[] = {
	{ INTEGER("want", get_peer_list.want, 0, WANT_LIST_MAX),
	  .presence = LENIENT, .missing = WANT_DEFAULT },
};
static const struct field peer_list_fields[] = {
	{ INTEGER("count", peer_list.count, 0, COUNT_MAX) },
	{ ADDRESSES("peers", peer_list.peers, WANT_LIST_MAX) },
	{ ADDRESS("you", peer_list.you), PRESENT(WITH, peer_list.registered) },
	{ BOOLEAN("reachable", peer_list.reachable),
	  PRESENT(WITH, peer_list.registered) },
	{ INTEGER("period_ms", peer_list.period_ms, 0, SEQ_MAX),
	  PRESENT(MARKS, peer_list.registered) },
	{ HASH("lease", peer_list.lease), PRESENT(WITH, peer_list.registered) },
};
static const struct field death_fields[] = {
	{ ADDRESS("address", death.id.addr) },
	{ INTEGER("incarnation", death.id.incarnation, 0, SEQ_MAX) },
	{ ADDRESS("reporter", death.reporter), .presence = IF_SET },
	{ WORD("reason", death.reason, reason_word, DEATH_REFUSED) },
	{ HASH("lease", death.lease), PRESENT(MARKS, death.has_lease) },
};
static const struct field death_reply_fields[] = {
	{ WORD("verdict", death_reply.verdict, death_verdict_word,
	       VERDICT_BUSY) },
};
static const struct field peer_request_fields[] = {
	{ ADDRESS("address", peer_request.id.addr) },
	{ INTEGER("incarnation", peer_request.id.incarnation, 1, SEQ_MAX) },
	{ INTEGER("neighbors", peer_request.neighbors, 0, COUNT_MAX) },
	{ BOOLEAN("urgent", peer_request.urgent), .presence = LENIENT },
};
static const struct field peer_reply_fields[] = {
	{ WORD("verdict", peer_reply.verdict, peer_verdict_word, PEER_SELF) },
	{ ADDRESS("address", peer_reply.id.addr) },
	{ INTEGER("incarnation", peer_reply.id.incarnation, 1, SEQ_MAX) },
	{ INTEGER("neighbors", peer_reply.neighbors, 0, COUNT_MAX) },
	{ ADDRESSES("redirect", peer_reply.redirect, REDIRECT_MAX),
	  .presence = LENIENT },
};
static const struct field liveliness_fields[] = {
	{ INTEGER("nonce", liveliness.nonce, 0, NONCE_MAX) },
};
static const struct field liveliness_reply_fields[] = {
	{ INTEGER("nonce", liveliness_reply.nonce, 0, NONCE_MAX) },
	{ ADDRESS("address", liveliness_reply.id.addr) },
	{ INTEGER("incarnation", liveliness_reply.id.incarnation, 1, SEQ_MAX) },
	{ INTEGER("neighbors", liveliness_reply.neighbors, 0, COUNT_MAX) },
};
static const struct field message_fields[] = {
	{ ADDRESS("origin", message.origin.addr) },
	{ INTEGER("incarnation", message.origin.incarnation, 1, SEQ_MAX) },
	{ INTEGER("seq", message.seq, 1, SEQ_MAX) },
	{ INTEGER("time", message.time_ms, 0, SEQ_MAX) },
	{ DATA(message) },
};
static const struct field have_fields[] = {
	{ RANGES(have.ranges) },
	{ BOOLEAN("all", have.all), .presence = IF_SET },
	{ BOOLEAN("more", have.more), .presence = IF_SET },
};
static const struct field get_data_fields[] = {
	{ RANGES(get_data.ranges), PRESENT(WITHOUT, get_data.has_id) },
	{ HASH("id", get_data.id), PRESENT(MARKS, get_data.has_id) },
	{ BOOLEAN("graft", get_data.graft), .presence = IF_SET },
};
static const struct field not_found_fields[] = {
	{ RANGES(not_found.ranges), PRESENT(WITHOUT, not_found.has_id) },
	{ HASH("id", not_found.id), PRESENT(MARKS, not_found.has_id) },
};
static const struct field graft_fields[] = {
	{ RUNS(graft.runs) },
	{ BOOLEAN("all", graft.all), .presence = IF_SET },
};
static const struct field prune_fields[] = {
	{ RUNS(graft.runs) },
};
static const struct field bye_fields[] = {
	{ WORD("reason", bye.reason, bye_word, BYE_SHUTDOWN) },
};

#define NAME(type, text) \
	[MSG_##type].name = text, [MSG_##type].name_bytes = sizeof(text) - 1,
#define FIELDS(type, table)            \
	[MSG_##type].fields = (table), \
	[MSG_##type].n = sizeof(table) / sizeof(table)[0]

const struct schema schemas[MSG_TYPES] = {
	MESSAGE_LIST(NAME) FIELDS(REGISTER, register_fields),
	FIELDS(GET_PEER_LIST, get_peer_list_fields),
	FIELDS(PEER_LIST, peer_list_fields),
	FIELDS(DEATH, death_fields),
	FIELDS(DEATH_REPLY, death_reply_fields),
	FIELDS(PEER_REQUEST, peer_request_fields),
	FIELDS(PEER_REPLY, peer_reply_fields),
	FIELDS(LIVELINESS, liveliness_fields),
	FIELDS(LIVELINESS_REPLY, liveliness_reply_fields),
	FIELDS(MESSAGE, message_fields),
	FIELDS(HAVE, have_fields),
	FIELDS(GET_DATA, get_data_fields),
	FIELDS(NOT_FOUND, not_found_fields),
	FIELDS(GRAFT, graft_fields),
	FIELDS(PRUNE, prune_fields),
	FIELDS(BYE, bye_fields),
};
