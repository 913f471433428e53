#include "wire/codec.h"

#include "base/buf.h"
#include "base/utf8.h"
#include "wire/scan.h"

#include <cjson/cJSON.h>

#include <stdlib.h>
#include <string.h>

/* One table per type describes its fields in the order of protocol.md; one
 * reader and one writer follow the tables. A new message is a new table. */

#define WANT_DEFAULT 32 /* of somebody who does not say how many */

enum kind {
	KIND_INTEGER,
	KIND_WORD, /* an enum, by name */
	KIND_BOOLEAN,
	KIND_ADDRESS,
	KIND_HASH,
	/* At most one of these in a message: it owns message.memory. */
	KIND_ADDRESSES,
	KIND_RANGES,
	KIND_RUNS,
	KIND_DATA, /* with "encoding" behind it */
};

enum presence {
	ALWAYS,  /* required; the only one that need not be named */
	LENIENT, /* written always, but may be missing when read */
	IF_SET,  /* written unless zero, zero when missing */
	MARKS,   /* its being there is the flag, and the other way round */
	WITH,    /* required with the flag, else ignored */
	WITHOUT, /* required without the flag, else refused */
};

struct field {
	const char *key;
	const char *why; /* what to say when it is not right */
	enum kind kind;
	enum presence presence;
	uint16_t offset, size; /* in struct message */
	uint16_t flag;   /* offset of the bool that MARKS, WITH, WITHOUT mean */
	uint64_t lo, hi; /* of an integer; hi: last word, longest list */
	uint64_t missing; /* a LENIENT integer that is */
	const char *(*word)(unsigned);
};

#define AT(member) offsetof(struct message, member)
#define SIZE(member) ((uint16_t)sizeof(((struct message *)NULL)->member))
#define FIELD(name, text, of_kind, member)                    \
	.key = (name), .why = name ": missing, or not " text, \
	.kind = (of_kind), .offset = AT(member), .size = SIZE(member)

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

struct schema {
	const struct field *fields;
	size_t n;
};

#define SCHEMA(fields)                                       \
	{                                                    \
		(fields), sizeof(fields) / sizeof(fields)[0] \
	}

static const struct schema schemas[MSG_TYPES] = {
	[MSG_REGISTER] = SCHEMA(register_fields),
	[MSG_GET_PEER_LIST] = SCHEMA(get_peer_list_fields),
	[MSG_PEER_LIST] = SCHEMA(peer_list_fields),
	[MSG_DEATH] = SCHEMA(death_fields),
	[MSG_DEATH_REPLY] = SCHEMA(death_reply_fields),
	[MSG_PEER_REQUEST] = SCHEMA(peer_request_fields),
	[MSG_PEER_REPLY] = SCHEMA(peer_reply_fields),
	[MSG_LIVELINESS] = SCHEMA(liveliness_fields),
	[MSG_LIVELINESS_REPLY] = SCHEMA(liveliness_reply_fields),
	[MSG_MESSAGE] = SCHEMA(message_fields),
	[MSG_HAVE] = SCHEMA(have_fields),
	[MSG_GET_DATA] = SCHEMA(get_data_fields),
	[MSG_NOT_FOUND] = SCHEMA(not_found_fields),
	[MSG_GRAFT] = SCHEMA(graft_fields),
	[MSG_PRUNE] = SCHEMA(prune_fields),
	[MSG_BYE] = SCHEMA(bye_fields),
};

/* -- Integers of both widths, by offset. -- */

static void store(void *at, size_t size, uint64_t v)
{
	uint32_t narrow = (uint32_t)v;

	if (size == sizeof narrow)
		memcpy(at, &narrow, sizeof narrow);
	else
		memcpy(at, &v, sizeof v);
}

static uint64_t load(const void *at, size_t size)
{
	uint32_t narrow;
	uint64_t v;

	if (size == sizeof narrow) {
		memcpy(&narrow, at, sizeof narrow);
		return narrow;
	}
	memcpy(&v, at, sizeof v);
	return v;
}

/* -- Reading. What was wrong is said in one place, read_fields. -- */

/* Only valuedouble tells the truth: valueint is 2^31-1 for 1e400. */
static bool read_integer(const cJSON *item, uint64_t lo, uint64_t hi,
			 uint64_t *out)
{
	uint64_t v;

	if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0) ||
	    !(item->valuedouble <= (double)SEQ_MAX))
		return false;
	v = (uint64_t)item->valuedouble;
	if ((double)v != item->valuedouble || v < lo || v > hi)
		return false;
	*out = v;
	return true;
}

static bool read_address(const cJSON *item, struct addr *out)
{
	return cJSON_IsString(item) &&
	       addr_parse(item->valuestring, strlen(item->valuestring), out);
}

static bool read_hash(const cJSON *item, struct hash *out)
{
	return cJSON_IsString(item) &&
	       hash_parse(item->valuestring, strlen(item->valuestring), out);
}

static bool read_word(const cJSON *item, const struct field *f, void *at)
{
	if (!cJSON_IsString(item))
		return false;
	for (unsigned i = 0; i <= f->hi; i++) {
		if (strcmp(item->valuestring, f->word(i)) != 0)
			continue;
		store(at, f->size, i);
		return true;
	}
	return false;
}

/* Moves *item, in an array, over an address and an incarnation. */
static bool read_run(const cJSON **item, struct identity *out)
{
	if (!read_address(*item, &out->addr))
		return false;
	*item = (*item)->next;
	if (!read_integer(*item, 1, SEQ_MAX, &out->incarnation))
		return false;
	*item = (*item)->next;
	return true;
}

static bool read_range(const cJSON *array, struct range *out)
{
	const cJSON *item = cJSON_IsArray(array) ? array->child : NULL;

	if (!read_run(&item, &out->run) ||
	    !read_integer(item, 1, SEQ_MAX, &out->first))
		return false;
	item = item->next;
	return read_integer(item, out->first, SEQ_MAX, &out->last) &&
	       item->next == NULL;
}

static bool read_whole_run(const cJSON *array, struct identity *out)
{
	const cJSON *item = cJSON_IsArray(array) ? array->child : NULL;

	return read_run(&item, out) && item == NULL;
}

/* What addr_list, range_list and run_list have in common. */
struct any_list {
	const void *v;
	size_t n;
};
_Static_assert(sizeof(struct any_list) == sizeof(struct addr_list) &&
		       sizeof(struct any_list) == sizeof(struct range_list) &&
		       sizeof(struct any_list) == sizeof(struct run_list),
	       "lists are a pointer and a count");

static size_t element_size(const struct field *f)
{
	return f->kind == KIND_ADDRESSES ? sizeof(struct addr)
	       : f->kind == KIND_RANGES  ? sizeof(struct range)
					 : sizeof(struct identity);
}

static bool read_element(const struct field *f, const cJSON *item, void *at)
{
	return f->kind == KIND_ADDRESSES ? read_address(item, at)
	       : f->kind == KIND_RANGES  ? read_range(item, at)
					 : read_whole_run(item, at);
}

static enum err read_list(const struct field *f, const cJSON *array,
			  struct message *m)
{
	struct any_list list = { 0 };
	const cJSON *item;
	char *at;

	if (!cJSON_IsArray(array))
		return ERR_SYNTAX;
	list.n = (size_t)cJSON_GetArraySize(array);
	if (list.n > f->hi)
		return ERR_SYNTAX;
	if (list.n == 0)
		return ERR_OK;
	list.v = at = m->memory = calloc(list.n, element_size(f));
	if (at == NULL)
		return ERR_NOMEM;
	cJSON_ArrayForEach (item, array) {
		if (!read_element(f, item, at))
			return ERR_SYNTAX;
		at += element_size(f);
	}
	memcpy((char *)m + f->offset, &list, sizeof list);
	return ERR_OK;
}

/* `data` is never NULL afterwards, not even for no bytes. */
static enum err read_data(struct message *m, const cJSON *object,
			  const cJSON *item, struct msg_message *out)
{
	const cJSON *encoding =
		cJSON_GetObjectItemCaseSensitive(object, "encoding");
	size_t n, room;

	if (!cJSON_IsString(item))
		return ERR_SYNTAX;
	if (encoding != NULL && (!cJSON_IsString(encoding) ||
				 strcmp(encoding->valuestring, "base64") != 0))
		return ERR_SYNTAX;
	n = strlen(item->valuestring);
	out->base64 = encoding != NULL;
	room = out->base64 ? n / 4 * 3 : n;
	if (out->base64 && room > DATA_MAX)
		room = DATA_MAX; /* padding may have counted as data */
	if (room > DATA_MAX)
		return ERR_SYNTAX;
	m->memory = malloc(room + 1);
	if (m->memory == NULL)
		return ERR_NOMEM;
	out->data = m->memory;
	out->data_bytes = room;
	if (!out->base64)
		memcpy(m->memory, item->valuestring, n);
	else if (base64_decode(item->valuestring, n, m->memory, room,
			       &out->data_bytes) != ERR_OK)
		return ERR_SYNTAX;
	return ERR_OK;
}

static enum err read_value(const struct field *f, const cJSON *object,
			   const cJSON *item, struct message *m)
{
	void *at = (char *)m + f->offset;
	uint64_t v;

	switch (f->kind) {
	case KIND_INTEGER:
		if (!read_integer(item, f->lo, f->hi, &v))
			return ERR_SYNTAX;
		store(at, f->size, v);
		return ERR_OK;
	case KIND_WORD:
		return read_word(item, f, at) ? ERR_OK : ERR_SYNTAX;
	case KIND_BOOLEAN:
		*(bool *)at = cJSON_IsTrue(item);
		return cJSON_IsBool(item) ? ERR_OK : ERR_SYNTAX;
	case KIND_ADDRESS:
		return read_address(item, at) ? ERR_OK : ERR_SYNTAX;
	case KIND_HASH:
		return read_hash(item, at) ? ERR_OK : ERR_SYNTAX;
	case KIND_ADDRESSES:
	case KIND_RANGES:
	case KIND_RUNS:
		return read_list(f, item, m);
	case KIND_DATA:
		return read_data(m, object, item, at);
	}
	return ERR_SYNTAX;
}

static bool *flag_of(const struct field *f, struct message *m)
{
	return (bool *)((char *)m + f->flag);
}

static enum err read_field(const struct field *f, const cJSON *object,
			   struct message *m)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, f->key);

	if (f->presence == WITH && !*flag_of(f, m))
		return ERR_OK;
	if (f->presence == WITHOUT && *flag_of(f, m))
		return item == NULL ? ERR_OK : ERR_SYNTAX;
	if (item != NULL)
		return read_value(f, object, item, m);
	switch (f->presence) {
	case LENIENT:
		if (f->kind == KIND_INTEGER)
			store((char *)m + f->offset, f->size, f->missing);
		return ERR_OK;
	case IF_SET:
	case MARKS:
		return ERR_OK;
	default:
		return ERR_SYNTAX;
	}
}

static enum err read_fields(const cJSON *object, struct message *m,
			    const char **why)
{
	const struct schema *s = &schemas[m->type];

	/* The flags first: fields before the one that MARKS may need it. */
	for (const struct field *f = s->fields; f < s->fields + s->n; f++)
		if (f->presence == MARKS)
			*flag_of(f, m) = cJSON_GetObjectItemCaseSensitive(
						 object, f->key) != NULL;
	for (const struct field *f = s->fields; f < s->fields + s->n; f++) {
		enum err e = read_field(f, object, m);

		if (e == ERR_OK)
			continue;
		*why = e == ERR_NOMEM ? err_text(e) : f->why;
		return e;
	}
	return ERR_OK;
}

static enum err read_message(const cJSON *object, struct message *m,
			     const char **why)
{
	const cJSON *type = cJSON_GetObjectItemCaseSensitive(object, "type");

	if (!cJSON_IsString(type)) {
		*why = "type: missing, or not a string";
		return ERR_SYNTAX;
	}
	for (unsigned t = 0; t < MSG_TYPES; t++) {
		m->type = (enum message_type)t;
		if (strcmp(type->valuestring, message_name(m->type)) == 0)
			return read_fields(object, m, why);
	}
	*why = "type: unknown";
	return ERR_UNKNOWN;
}

enum err codec_decode(const void *body, size_t n, struct message *out,
		      const char **why)
{
	struct message m = { 0 };
	const char *ignored;
	cJSON *object;
	enum err e;

	if (why == NULL)
		why = &ignored;
	e = scan_object(body, n, why);
	if (e != ERR_OK)
		return e;
	object = cJSON_ParseWithLengthOpts(body, n, NULL, false);
	if (object == NULL) {
		/* All it could dislike, the scan has refused. */
		*why = err_text(ERR_NOMEM);
		return ERR_NOMEM;
	}
	e = read_message(object, &m, why);
	cJSON_Delete(object);
	if (e == ERR_OK)
		*out = m;
	else
		message_clear(&m);
	return e;
}

enum err codec_decode_frame(const struct frame_head *head,
			    const struct frame *f, struct message *out,
			    const char **why)
{
	enum err e = codec_decode(f->body, f->body_bytes, out, why);

	if (e != ERR_OK || out->type == MSG_MESSAGE ||
	    (head->flags == 0 && head->hops == 0))
		return e;
	message_clear(out);
	if (why != NULL)
		*why = "flags or hops of a Message on something else";
	return ERR_SYNTAX;
}

/* -- Writing. The first error stays; what would be refused when read is not
 * written. cJSON's own printing is not used: it rounds 2^53-1. -- */

struct writer {
	struct buf buf;
	enum err err;
};

static void fail(struct writer *w, enum err e)
{
	if (w->err == ERR_OK)
		w->err = e;
}

static void write_integer(struct writer *w, uint64_t v, uint64_t lo,
			  uint64_t hi)
{
	if (v < lo || v > hi)
		fail(w, ERR_RANGE);
	buf_u64(&w->buf, v);
}

/* Of a text that needs no escapes. */
static void write_text(struct writer *w, const char *text)
{
	buf_char(&w->buf, '"');
	buf_str(&w->buf, text);
	buf_char(&w->buf, '"');
}

static void write_address(struct writer *w, const struct addr *a)
{
	char text[ADDR_TEXT_MAX];

	if (addr_is_none(a) || a->port == 0)
		fail(w, ERR_RANGE);
	addr_format(a, text);
	write_text(w, text);
}

static void write_hash(struct writer *w, const struct hash *h)
{
	char text[HASH_HEX + 1];

	hash_format(h, text);
	write_text(w, text);
}

static void write_word(struct writer *w, const struct field *f, uint64_t v)
{
	if (v > f->hi)
		fail(w, ERR_RANGE);
	else
		write_text(w, f->word((unsigned)v));
}

static void write_run(struct writer *w, const struct identity *run)
{
	write_address(w, &run->addr);
	buf_char(&w->buf, ',');
	write_integer(w, run->incarnation, 1, SEQ_MAX);
}

static void write_range(struct writer *w, const struct range *r)
{
	write_run(w, &r->run);
	buf_char(&w->buf, ',');
	write_integer(w, r->first, 1, SEQ_MAX);
	buf_char(&w->buf, ',');
	write_integer(w, r->last, r->first, SEQ_MAX);
}

static void write_element(struct writer *w, const struct field *f,
			  const void *at)
{
	if (f->kind == KIND_ADDRESSES) {
		write_address(w, at);
		return;
	}
	buf_char(&w->buf, '[');
	if (f->kind == KIND_RANGES)
		write_range(w, at);
	else
		write_run(w, at);
	buf_char(&w->buf, ']');
}

static void write_list(struct writer *w, const struct field *f, const void *at)
{
	struct any_list list;

	memcpy(&list, at, sizeof list);
	if (list.n > f->hi) {
		fail(w, ERR_TOO_LONG);
		return;
	}
	buf_char(&w->buf, '[');
	for (size_t i = 0; i < list.n; i++) {
		if (i > 0)
			buf_char(&w->buf, ',');
		write_element(w, f, (const char *)list.v + i * element_size(f));
	}
	buf_char(&w->buf, ']');
}

static bool is_text(const void *bytes, size_t n)
{
	return utf8_valid(bytes, n) && memchr(bytes, 0, n) == NULL;
}

static void write_base64(struct writer *w, const void *bytes, size_t n)
{
	struct buf *b = &w->buf;
	size_t size = base64_size(n);

	buf_char(b, '"');
	if (buf_reserve(b, size + 64)) { /* its NUL, and all that follows */
		base64_encode(bytes, n, b->data + b->len);
		b->len += size;
	}
	buf_str(b, "\",\"encoding\":\"base64\"");
}

static void write_data(struct writer *w, const struct msg_message *m)
{
	size_t n = m->data_bytes;
	const void *data = n > 0 ? (const void *)m->data : "";

	if (n > DATA_MAX) {
		fail(w, ERR_TOO_LONG);
	} else if (m->base64) {
		write_base64(w, data, n);
	} else if (is_text(data, n)) {
		buf_reserve(&w->buf, json_size(data, n) + 1);
		buf_json(&w->buf, data, n);
	} else {
		fail(w, ERR_RANGE);
	}
}

static void write_value(struct writer *w, const struct field *f,
			const struct message *m)
{
	const void *at = (const char *)m + f->offset;

	switch (f->kind) {
	case KIND_INTEGER:
		write_integer(w, load(at, f->size), f->lo, f->hi);
		break;
	case KIND_WORD:
		write_word(w, f, load(at, f->size));
		break;
	case KIND_BOOLEAN:
		buf_str(&w->buf, *(const bool *)at ? "true" : "false");
		break;
	case KIND_ADDRESS:
		write_address(w, at);
		break;
	case KIND_HASH:
		write_hash(w, at);
		break;
	case KIND_ADDRESSES:
	case KIND_RANGES:
	case KIND_RUNS:
		write_list(w, f, at);
		break;
	case KIND_DATA:
		write_data(w, at);
		break;
	}
}

static bool is_written(const struct field *f, const struct message *m)
{
	static const char zero[sizeof(struct addr)];
	const bool *flag = (const bool *)((const char *)m + f->flag);

	switch (f->presence) {
	case ALWAYS:
	case LENIENT:
		return true;
	case IF_SET:
		return memcmp((const char *)m + f->offset, zero, f->size) != 0;
	case MARKS:
	case WITH:
		return *flag;
	case WITHOUT:
		return !*flag;
	}
	return false;
}

static void write_message(struct writer *w, const struct message *m)
{
	const struct schema *s = &schemas[m->type];

	buf_str(&w->buf, "{\"type\":");
	write_text(w, message_name(m->type));
	for (const struct field *f = s->fields; f < s->fields + s->n; f++) {
		if (!is_written(f, m))
			continue;
		buf_char(&w->buf, ',');
		write_text(w, f->key);
		buf_char(&w->buf, ':');
		write_value(w, f, m);
	}
	buf_char(&w->buf, '}');
}

enum err codec_encode(const struct message *m, struct frame **out)
{
	struct writer w = { .err = ERR_OK };
	struct frame *f = NULL;

	if ((unsigned)m->type >= MSG_TYPES)
		return ERR_RANGE;
	write_message(&w, m);
	if (w.buf.failed)
		fail(&w, ERR_NOMEM);
	else if (w.buf.len > FRAME_BODY_MAX)
		fail(&w, ERR_TOO_LONG);
	if (w.err == ERR_OK) {
		/* Copied, so that a stored frame has no byte to spare. */
		f = frame_new(w.buf.len);
		if (f == NULL)
			fail(&w, ERR_NOMEM);
	}
	if (f != NULL) {
		memcpy(f->body, w.buf.data, w.buf.len);
		*out = f;
	}
	buf_free(&w.buf);
	return w.err;
}

bool codec_wants_base64(const void *data, size_t n)
{
	/* Compared as they would travel, with the field that says so. */
	size_t base64 = base64_size(n) + strlen("\"\",\"encoding\":\"base64\"");

	return n > 0 && (!is_text(data, n) || json_size(data, n) > base64);
}

bool codec_looks_like_message(const void *body, size_t n)
{
	static const char head[] = "{\"type\":\"Message\",";

	return n >= sizeof head - 1 && memcmp(body, head, sizeof head - 1) == 0;
}
