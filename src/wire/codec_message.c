#include "wire/codec_message.h"

#include "base/buf.h"
#include "base/utf8.h"
#include <stdlib.h>
#include <string.h>

/* What stands between the values. */
#define HEAD "{\"type\":\"Message\",\"origin\":\""
#define INCARNATION "\",\"incarnation\":"
#define SEQ ",\"seq\":"
#define TIME ",\"time\":"
#define DATA ",\"data\":"
#define BASE64 ",\"encoding\":\"base64\""
#define END "}"

#define ENVELOPE_MAX                                                         \
	(sizeof(HEAD INCARNATION SEQ TIME DATA BASE64 END) + ADDR_TEXT_MAX + \
	 3 * DECIMAL_MAX)

/* -- Reading. What is not found leaves the place at NULL, which stays. -- */

struct reader {
	const unsigned char *p, *end;
};

static inline bool have(const struct reader *r, size_t n)
{
	return r->p != NULL && (size_t)(r->end - r->p) >= n;
}

/* Its length is a constant where it is called: compilers compare in place. */
static inline void skip(struct reader *r, const char *text, size_t n)
{
	r->p = have(r, n) && memcmp(r->p, text, n) == 0 ? r->p + n : NULL;
}
#define SKIP(r, text) skip(r, text, sizeof(text) - 1)

/* A number without fraction, exponent or leading zero, lo .. SEQ_MAX; its
 * first 17 digits are more than that if it has so many. */
static inline uint64_t take_integer(struct reader *r, uint64_t lo)
{
	const unsigned char *first = r->p, *p = first, *end;
	uint64_t v = 0;

	if (p == NULL)
		return 0;
	end = r->end - p > 17 ? p + 17 : r->end;
	while (p < end && *p >= '0' && *p <= '9')
		v = v * 10 + (*p++ - (unsigned)'0');
	if (p == first || (*first == '0' && p > first + 1) || v < lo ||
	    v > SEQ_MAX)
		p = NULL;
	r->p = p;
	return v;
}

/* Up to a quote; with a backslash in it, it is no address. */
static inline void take_address(struct reader *r, struct addr *out)
{
	const unsigned char *quote = NULL;

	if (have(r, 1)) {
		size_t left = (size_t)(r->end - r->p);

		quote = memchr(r->p, '"',
			       left < ADDR_TEXT_MAX ? left : ADDR_TEXT_MAX);
	}
	if (quote != NULL &&
	    !addr_parse((const char *)r->p, (size_t)(quote - r->p), out))
		quote = NULL;
	r->p = quote;
}

static inline void take_string(struct reader *r, struct scan_text *out)
{
	if (r->p == NULL || !scan_text(r->p, r->end, out))
		r->p = NULL;
	else
		r->p = out->at + out->n + 1;
}

bool message_read(const void *body, size_t n, struct message *out)
{
	struct reader r = { body,
			    n > 0 ? (const unsigned char *)body + n : body };
	struct message m = { .type = MSG_MESSAGE };
	struct msg_message *said = &m.message;
	struct scan_text data;
	bool base64;

	SKIP(&r, HEAD);
	take_address(&r, &said->origin.addr);
	SKIP(&r, INCARNATION);
	said->origin.incarnation = take_integer(&r, 1);
	SKIP(&r, SEQ);
	said->seq = take_integer(&r, 1);
	SKIP(&r, TIME);
	said->time_ms = (int64_t)take_integer(&r, 0);
	SKIP(&r, DATA);
	take_string(&r, &data);
	base64 = have(&r, 1) && *r.p == ',';
	if (base64)
		SKIP(&r, BASE64);
	SKIP(&r, END);
	if (r.p == NULL || r.p != r.end)
		return false;
	if (message_read_data(&data, base64, &m) != ERR_OK) {
		message_clear(&m);
		return false;
	}
	*out = m;
	return true;
}

/* -- Data: where it stands in the body if it means itself, else in memory;
 * never NULL, not even for no bytes. -- */

static enum err read_escaped(const struct scan_text *text, struct message *m)
{
	size_t room = text->n < DATA_MAX ? text->n : DATA_MAX;
	struct msg_message *said = &m->message;

	said->data = m->memory = malloc(room);
	if (m->memory == NULL)
		return ERR_NOMEM;
	said->data_bytes = scan_text_copy(text, m->memory, room);
	return said->data_bytes <= room ? ERR_OK : ERR_SYNTAX;
}

static enum err read_base64(const char *text, size_t n, struct message *m)
{
	struct msg_message *said = &m->message;
	size_t room = n / 4 * 3;

	if (room > DATA_MAX)
		room = DATA_MAX; /* padding may have counted as data */
	said->data = m->memory = malloc(room + 1);
	if (m->memory == NULL)
		return ERR_NOMEM;
	return base64_decode(text, n, m->memory, room, &said->data_bytes) ==
			       ERR_OK
		       ? ERR_OK
		       : ERR_SYNTAX;
}

/* Nobody need escape base64, but one may. */
static enum err read_escaped_base64(const struct scan_text *text,
				    struct message *m)
{
	char *plain = malloc(text->n);
	enum err e = ERR_NOMEM;

	if (plain != NULL)
		e = read_base64(plain, scan_text_copy(text, plain, text->n), m);
	free(plain);
	return e;
}

enum err message_read_data(const struct scan_text *text, bool base64,
			   struct message *m)
{
	m->message.base64 = base64;
	if (base64)
		return text->escaped ? read_escaped_base64(text, m)
				     : read_base64((const char *)text->at,
						   text->n, m);
	if (text->escaped)
		return read_escaped(text, m);
	m->message.data = text->at;
	m->message.data_bytes = text->n;
	return text->n <= DATA_MAX ? ERR_OK : ERR_SYNTAX;
}

/* -- Writing. -- */

struct writer {
	char text[ENVELOPE_MAX];
	size_t n;
	enum err err; /* the first */
};

static inline void put(struct writer *w, const char *text, size_t n)
{
	memcpy(w->text + w->n, text, n);
	w->n += n;
}
#define PUT(w, text) put(w, text, sizeof(text) - 1)

static void fail(struct writer *w, enum err e)
{
	if (w->err == ERR_OK)
		w->err = e;
}

static void put_integer(struct writer *w, uint64_t v, uint64_t lo)
{
	if (v < lo || v > SEQ_MAX)
		fail(w, ERR_RANGE);
	w->n += decimal_write(w->text + w->n, v);
}

static void put_envelope(struct writer *w, const struct msg_message *m)
{
	if (addr_is_none(&m->origin.addr) || m->origin.addr.port == 0)
		fail(w, ERR_RANGE);
	PUT(w, HEAD);
	w->n += addr_format(&m->origin.addr, w->text + w->n);
	PUT(w, INCARNATION);
	put_integer(w, m->origin.incarnation, 1);
	PUT(w, SEQ);
	put_integer(w, m->seq, 1);
	PUT(w, TIME);
	put_integer(w, (uint64_t)m->time_ms, 0);
	PUT(w, DATA);
}

static bool is_text(const void *bytes, size_t n)
{
	return utf8_valid(bytes, n) && memchr(bytes, 0, n) == NULL;
}

/* With its quotes. */
static size_t data_size(struct writer *w, const struct msg_message *m,
			const void *data)
{
	if (m->data_bytes > DATA_MAX)
		fail(w, ERR_TOO_LONG);
	else if (m->base64)
		return base64_size(m->data_bytes) + 2;
	else if (is_text(data, m->data_bytes))
		return json_size(data, m->data_bytes);
	else
		fail(w, ERR_RANGE);
	return 0;
}

static void write_base64(char *out, const void *data, size_t n, size_t size)
{
	out[0] = '"';
	base64_encode(data, n, out + 1); /* and a NUL where the quote goes */
	out[size - 1] = '"';
}

enum err message_write(const struct msg_message *m, struct frame **out)
{
	const void *data = m->data_bytes > 0 ? (const void *)m->data : "";
	struct writer w = { .n = 0 };
	size_t tail = m->base64 ? strlen(BASE64 END) : strlen(END), size;
	struct frame *f;
	char *at;

	put_envelope(&w, m);
	size = data_size(&w, m, data);
	if (w.n + size + tail > FRAME_BODY_MAX)
		fail(&w, ERR_TOO_LONG);
	if (w.err != ERR_OK)
		return w.err;
	f = frame_new(w.n + size + tail);
	if (f == NULL)
		return ERR_NOMEM;
	at = (char *)f->body;
	memcpy(at, w.text, w.n);
	at += w.n;
	if (m->base64)
		write_base64(at, data, m->data_bytes, size);
	else
		json_write(at, data, m->data_bytes);
	memcpy(at + size, m->base64 ? BASE64 END : END, tail);
	*out = f;
	return ERR_OK;
}

bool codec_wants_base64(const void *data, size_t n)
{
	/* Compared as they would travel, with the field that says so. */
	size_t base64 = base64_size(n) + strlen("\"\"" BASE64);

	return n > 0 && (!is_text(data, n) || json_size(data, n) > base64);
}
