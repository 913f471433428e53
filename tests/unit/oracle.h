/* What a Message says, by way of cJSON: how the codec read it before it was
 * made fast, and what it is compared with since. */
#ifndef ORACLE_H
#define ORACLE_H

#include "test.h"
#include "wire/codec_message.h"
#include "wire/scan.h"

#include <cjson/cJSON.h>

static inline bool oracle_integer(const cJSON *object, const char *key,
				  uint64_t lo, uint64_t *out)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);

	if (!cJSON_IsNumber(item) || !(item->valuedouble >= (double)lo) ||
	    !(item->valuedouble <= (double)SEQ_MAX))
		return false;
	*out = (uint64_t)item->valuedouble;
	return (double)*out == item->valuedouble;
}

static inline bool oracle_address(const cJSON *object, const char *key,
				  struct addr *out)
{
	const char *text = cJSON_GetStringValue(
		cJSON_GetObjectItemCaseSensitive(object, key));

	return text != NULL && addr_parse(text, strlen(text), out);
}

static inline bool oracle_data(const cJSON *object, struct message *m)
{
	const char *text = cJSON_GetStringValue(
		cJSON_GetObjectItemCaseSensitive(object, "data"));
	const cJSON *encoding =
		cJSON_GetObjectItemCaseSensitive(object, "encoding");
	const char *name = cJSON_GetStringValue(encoding);
	size_t n, *out = &m->message.data_bytes;

	if (text == NULL ||
	    (encoding != NULL && (name == NULL || strcmp(name, "base64") != 0)))
		return false;
	n = strlen(text);
	m->message.base64 = encoding != NULL;
	m->memory = malloc(n + 1);
	assert_non_null(m->memory);
	m->message.data = m->memory;
	*out = n;
	if (m->message.base64)
		return base64_decode(text, n, m->memory, n, out) == ERR_OK &&
		       *out <= DATA_MAX;
	memcpy(m->memory, text, n);
	return n <= DATA_MAX;
}

/* Of a body that the scan accepts. ERR_UNKNOWN: no Message; ERR_SYNTAX, then
 * *wrong is the first field that is. */
static inline enum err oracle_decode(const void *body, size_t n,
				     struct message *m, const char **wrong)
{
	cJSON *object = cJSON_ParseWithLengthOpts(body, n, NULL, false);
	const char *type = cJSON_GetStringValue(
		cJSON_GetObjectItemCaseSensitive(object, "type"));
	struct msg_message *out = &m->message;
	uint64_t time_ms = 0;

	assert_non_null(object);
	*wrong = NULL;
	*m = (struct message){ .type = MSG_MESSAGE };
	if (type == NULL)
		*wrong = "type";
	else if (strcmp(type, "Message") != 0)
		m->type = MSG_TYPES;
	else if (!oracle_address(object, "origin", &out->origin.addr))
		*wrong = "origin";
	else if (!oracle_integer(object, "incarnation", 1,
				 &out->origin.incarnation))
		*wrong = "incarnation";
	else if (!oracle_integer(object, "seq", 1, &out->seq))
		*wrong = "seq";
	else if (!oracle_integer(object, "time", 0, &time_ms))
		*wrong = "time";
	else if (!oracle_data(object, m))
		*wrong = "data";
	out->time_ms = (int64_t)time_ms;
	cJSON_Delete(object);
	return *wrong != NULL         ? ERR_SYNTAX
	       : m->type == MSG_TYPES ? ERR_UNKNOWN
				      : ERR_OK;
}

static inline void assert_same_message(const struct message *a,
				       const struct message *b)
{
	const struct msg_message *x = &a->message, *y = &b->message;

	assert_int_equal(a->type, b->type);
	assert_true(identity_equal(&x->origin, &y->origin));
	assert_true(x->seq == y->seq);
	assert_true(x->time_ms == y->time_ms);
	assert_int_equal(x->base64, y->base64);
	assert_non_null(x->data);
	assert_int_equal(x->data_bytes, y->data_bytes);
	assert_memory_equal(x->data, y->data, x->data_bytes);
}

typedef enum err decoder(const void *body, size_t n, struct message *out,
			 const char **why);

/* A decoder says what the oracle says. */
static inline void assert_decodes(decoder *decode, const void *body, size_t n,
				  enum err expected, const struct message *m,
				  const char *wrong)
{
	struct message got = { 0 };
	const char *why = NULL;
	enum err e = decode(body, n, &got, &why);

	if (expected == ERR_UNKNOWN) {
		assert_true(e != ERR_OK || got.type != MSG_MESSAGE);
	} else {
		assert_int_equal(e, expected);
		if (e == ERR_OK)
			assert_same_message(&got, m);
		else
			assert_true(memcmp(why, wrong, strlen(wrong)) == 0 &&
				    why[strlen(wrong)] == ':');
	}
	message_clear(&got);
}

/* Whatever the body is. Says whether it is a Message. */
static inline bool assert_agrees(const void *body, size_t n)
{
	struct message m = { 0 }, plain = { 0 };
	const char *wrong = NULL, *why = NULL;
	enum err e;

	if (scan_object(body, n, NULL) != ERR_OK) {
		assert_false(message_read(body, n, &plain));
		assert_int_equal(codec_decode(body, n, &m, &why), ERR_SYNTAX);
		return false;
	}
	e = oracle_decode(body, n, &m, &wrong);
	assert_decodes(codec_decode, body, n, e, &m, wrong);
	assert_decodes(codec_decode_any, body, n, e, &m, wrong);
	if (message_read(body, n, &plain)) {
		assert_int_equal(e, ERR_OK);
		assert_same_message(&plain, &m);
		message_clear(&plain);
	}
	free(m.memory);
	return e == ERR_OK;
}

#endif
