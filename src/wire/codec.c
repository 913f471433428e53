#include "wire/codec.h"

#include "wire/codec_message.h"
#include "wire/schema.h"

#include <cjson/cJSON.h>

#include <stdlib.h>
#include <string.h>

/* Reading. The scan has noted where the members of the body are; fields are
 * read from there, and only the lists go through cJSON. What was wrong is said
 * in one place, read_fields. */

#define SHORT_MAX ADDR_TEXT_MAX /* no short text of ours is longer */

struct body {
	struct scan_members members;
	size_t next; /* where the next member is looked for first */
};

/* Members come in the order of the tables, as a rule. */
static const struct scan_member *find(struct body *b, const char *key, size_t n)
{
	size_t at = b->next < b->members.n ? b->next : 0;

	for (size_t left = b->members.n; left > 0; left--) {
		const struct scan_member *m = &b->members.v[at++];

		if (scan_text_is(&m->key, key, n)) {
			b->next = at;
			return m;
		}
		if (at == b->members.n)
			at = 0;
	}
	return NULL;
}

static bool is_string(const struct scan_member *m)
{
	return m->kind == '"';
}

static void store(void *at, size_t size, uint64_t v)
{
	uint32_t narrow = (uint32_t)v;

	if (size == sizeof narrow)
		memcpy(at, &narrow, sizeof narrow);
	else
		memcpy(at, &v, sizeof v);
}

/* The double nearest to what is written decides: 1e3 is an integer. */
static bool whole(double d, uint64_t *out)
{
	if (!(d >= 0) || !(d <= (double)SEQ_MAX) || (double)(uint64_t)d != d)
		return false;
	*out = (uint64_t)d;
	return true;
}

/* A number with a sign, a fraction, an exponent, or very long. */
static bool read_odd_number(const struct scan_text *t, uint64_t *out)
{
	char text[SCAN_NUMBER_MAX + 1];

	memcpy(text, t->at, t->n);
	text[t->n] = '\0';
	return whole(strtod(text, NULL), out);
}

static bool read_number(const struct scan_text *t, uint64_t *out)
{
	uint64_t v = 0;

	if (t->n > 16) /* what has no more digits fits, if not its range */
		return read_odd_number(t, out);
	for (size_t i = 0; i < t->n; i++) {
		unsigned digit = t->at[i] - (unsigned)'0';

		if (digit > 9)
			return read_odd_number(t, out);
		v = v * 10 + digit;
	}
	*out = v;
	return true;
}

static bool read_integer(const struct scan_member *m, uint64_t lo, uint64_t hi,
			 uint64_t *out)
{
	bool number = m->kind == '-' || (m->kind >= '0' && m->kind <= '9');
	uint64_t v = 0;

	if (!number || !read_number(&m->value, &v) || v < lo || v > hi)
		return false;
	*out = v;
	return true;
}

/* A short text where it stands, or unescaped in room; too much of it is too
 * long for whoever asked. NULL: no string. */
static const char *read_short(const struct scan_member *m, char room[SHORT_MAX],
			      size_t *n)
{
	*n = m->value.n;
	if (!is_string(m))
		return NULL;
	if (!m->value.escaped)
		return (const char *)m->value.at;
	*n = scan_text_copy(&m->value, room, SHORT_MAX);
	if (*n > SHORT_MAX)
		*n = SHORT_MAX;
	return room;
}

static bool read_address(const struct scan_member *m, struct addr *out)
{
	char room[SHORT_MAX];
	size_t n;
	const char *text = read_short(m, room, &n);

	return text != NULL && addr_parse(text, n, out);
}

static bool read_hash(const struct scan_member *m, struct hash *out)
{
	char room[SHORT_MAX];
	size_t n;
	const char *text = read_short(m, room, &n);

	return text != NULL && hash_parse(text, n, out);
}

static bool read_word(const struct scan_member *m, const struct field *f,
		      void *at)
{
	if (!is_string(m))
		return false;
	for (unsigned i = 0; i <= f->hi; i++) {
		const char *word = f->word(i);

		if (!scan_text_is(&m->value, word, strlen(word)))
			continue;
		store(at, f->size, i);
		return true;
	}
	return false;
}

/* -- Lists, as cJSON has them. -- */

static bool item_integer(const cJSON *item, uint64_t lo, uint64_t *out)
{
	uint64_t v = 0;

	/* valueint is 2^31-1 for 1e400. */
	if (!cJSON_IsNumber(item) || !whole(item->valuedouble, &v) || v < lo)
		return false;
	*out = v;
	return true;
}

static bool item_address(const cJSON *item, struct addr *out)
{
	return cJSON_IsString(item) &&
	       addr_parse(item->valuestring, strlen(item->valuestring), out);
}

/* Moves *item, in an array, over an address and an incarnation. */
static bool read_run(const cJSON **item, struct identity *out)
{
	if (!item_address(*item, &out->addr))
		return false;
	*item = (*item)->next;
	if (!item_integer(*item, 1, &out->incarnation))
		return false;
	*item = (*item)->next;
	return true;
}

static bool read_range(const cJSON *array, struct range *out)
{
	const cJSON *item = cJSON_IsArray(array) ? array->child : NULL;

	if (!read_run(&item, &out->run) || !item_integer(item, 1, &out->first))
		return false;
	item = item->next;
	return item_integer(item, out->first, &out->last) && item->next == NULL;
}

static bool read_whole_run(const cJSON *array, struct identity *out)
{
	const cJSON *item = cJSON_IsArray(array) ? array->child : NULL;

	return read_run(&item, out) && item == NULL;
}

static bool read_element(const struct field *f, const cJSON *item, void *at)
{
	return f->kind == KIND_ADDRESSES ? item_address(item, at)
	       : f->kind == KIND_RANGES  ? read_range(item, at)
					 : read_whole_run(item, at);
}

static enum err read_items(const struct field *f, const cJSON *array,
			   struct message *m)
{
	struct any_list list = { .n = (size_t)cJSON_GetArraySize(array) };
	const cJSON *item;
	char *at;

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

static enum err read_list(const struct field *f, const struct scan_member *item,
			  struct message *m)
{
	cJSON *array;
	enum err e;

	if (item->kind != '[')
		return ERR_SYNTAX;
	array = cJSON_ParseWithLengthOpts((const char *)item->value.at,
					  item->value.n, NULL, false);
	if (array == NULL)
		return ERR_NOMEM; /* all else the scan has refused */
	e = read_items(f, array, m);
	cJSON_Delete(array);
	return e;
}

/* -- All of it. -- */

static enum err read_data(struct body *b, const struct scan_member *item,
			  struct message *m)
{
	const struct scan_member *encoding = find(b, "encoding", 8);

	if (!is_string(item))
		return ERR_SYNTAX;
	if (encoding != NULL && (!is_string(encoding) ||
				 !scan_text_is(&encoding->value, "base64", 6)))
		return ERR_SYNTAX;
	return message_read_data(&item->value, encoding != NULL, m);
}

static enum err read_value(const struct field *f, struct body *b,
			   const struct scan_member *item, struct message *m)
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
		*(bool *)at = item->kind == 't';
		return item->kind == 't' || item->kind == 'f' ? ERR_OK
							      : ERR_SYNTAX;
	case KIND_ADDRESS:
		return read_address(item, at) ? ERR_OK : ERR_SYNTAX;
	case KIND_HASH:
		return read_hash(item, at) ? ERR_OK : ERR_SYNTAX;
	case KIND_ADDRESSES:
	case KIND_RANGES:
	case KIND_RUNS:
		return read_list(f, item, m);
	case KIND_DATA:
		return read_data(b, item, m);
	}
	return ERR_SYNTAX;
}

static bool *flag_of(const struct field *f, struct message *m)
{
	return (bool *)((char *)m + f->flag);
}

static enum err read_field(const struct field *f, struct body *b,
			   struct message *m)
{
	const struct scan_member *item = find(b, f->key, f->key_bytes);

	if (f->presence == WITH && !*flag_of(f, m))
		return ERR_OK;
	if (f->presence == WITHOUT && *flag_of(f, m))
		return item == NULL ? ERR_OK : ERR_SYNTAX;
	if (item != NULL)
		return read_value(f, b, item, m);
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

static enum err read_fields(struct body *b, struct message *m, const char **why)
{
	const struct schema *s = &schemas[m->type];

	/* The flags first: fields before the one that MARKS may need it. */
	for (const struct field *f = s->fields; f < s->fields + s->n; f++)
		if (f->presence == MARKS)
			*flag_of(f, m) = find(b, f->key, f->key_bytes) != NULL;
	for (const struct field *f = s->fields; f < s->fields + s->n; f++) {
		enum err e = read_field(f, b, m);

		if (e == ERR_OK)
			continue;
		*why = e == ERR_NOMEM ? err_text(e) : f->why;
		return e;
	}
	return ERR_OK;
}

static enum err read_message(struct body *b, struct message *m,
			     const char **why)
{
	const struct scan_member *type = find(b, "type", 4);

	if (type == NULL || !is_string(type)) {
		*why = "type: missing, or not a string";
		return ERR_SYNTAX;
	}
	for (unsigned t = 0; t < MSG_TYPES; t++) {
		m->type = (enum message_type)t;
		if (scan_text_is(&type->value, schemas[t].name,
				 schemas[t].name_bytes))
			return read_fields(b, m, why);
	}
	*why = "type: unknown";
	return ERR_UNKNOWN;
}

enum err codec_decode_any(const void *body, size_t n, struct message *out,
			  const char **why)
{
	struct message m = { 0 };
	const char *ignored;
	struct body b;
	enum err e;

	if (why == NULL)
		why = &ignored;
	e = scan_members(body, n, &b.members, why);
	if (e != ERR_OK)
		return e;
	b.next = 0;
	e = read_message(&b, &m, why);
	if (e == ERR_OK)
		*out = m;
	else
		message_clear(&m);
	return e;
}

enum err codec_decode(const void *body, size_t n, struct message *out,
		      const char **why)
{
	return message_read(body, n, out) ? ERR_OK
					  : codec_decode_any(body, n, out, why);
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
