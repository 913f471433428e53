#include "wire/codec.h"

#include "base/buf.h"
#include "wire/codec_message.h"
#include "wire/schema.h"

#include <string.h>

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
	case KIND_DATA: /* message_write does it */
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
	if (m->type == MSG_MESSAGE)
		return message_write(&m->message, out);
	write_message(&w, m);
	if (w.buf.failed)
		fail(&w, ERR_NOMEM);
	else if (w.buf.len > FRAME_BODY_MAX)
		fail(&w, ERR_TOO_LONG);
	if (w.err == ERR_OK) {
		/* Copied, so that a frame has no byte to spare. */
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
