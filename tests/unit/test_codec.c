#include "wire/codec.h"

#include "base/buf.h"
#include "base/rng.h"
#include "test.h"
#include "wire/scan.h"

#include <cjson/cJSON.h>

#define A1                                                              \
	{                                                               \
		.ip = { 127, 0, 0, 1 }, .port = 7001, .family = ADDR_V4 \
	}
#define A2                                                             \
	{                                                              \
		.ip = { 10, 20, 30, 40 }, .port = 1, .family = ADDR_V4 \
	}
#define A3                                                           \
	{                                                            \
		.ip = { [15] = 1 }, .port = 65535, .family = ADDR_V6 \
	}
/* The longest text of all. */
#define AX                                                                \
	{                                                                 \
		.ip = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,   \
			0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff }, \
		.port = 65535, .family = ADDR_V6                          \
	}
#define TX "\"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535\""

#define HASH1                                                                 \
	{                                                                     \
		{                                                             \
			0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, \
				0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff      \
		}                                                             \
	}
#define HEX1 "\"00112233445566778899aabbccddeeff\""
#define HEX0 "\"00000000000000000000000000000000\""
#define MAX "9007199254740991" /* SEQ_MAX */

static const struct addr two[] = { A2, A3 };
static const struct addr six[] = { A1, A2, A3, AX, A1, A2 };
static const struct identity runs[] = { { 1, A1 }, { SEQ_MAX, AX } };
static const struct range ranges[] = {
	{ { 5, A1 }, 6, 7 },
	{ { SEQ_MAX, AX }, 1, SEQ_MAX },
	{ { 1, A3 }, SEQ_MAX, SEQ_MAX },
};
#define RANGES_TEXT                                                     \
	"\"ranges\":[[\"127.0.0.1:7001\",5,6,7],[" TX "," MAX ",1," MAX \
	"],[\"[::1]:65535\",1," MAX "," MAX "]]"
#define RUNS_TEXT "\"runs\":[[\"127.0.0.1:7001\",1],[" TX "," MAX "]]"

#define LIST(array)                    \
	{                              \
		array, COUNT_OF(array) \
	}
#define BYTES(text) (const uint8_t *)(text), sizeof(text) - 1

/* Each type with small, with extreme and with absent values; no two fields of
 * one message have the same value, so that none can stand for another. */
static const struct example {
	struct message m;
	const char *text;
} examples[] = {
	{ { .type = MSG_REGISTER,
	    .reg = { { 1700000000123, A1 }, 0, false, { { 0 } } } },
	  "{\"type\":\"Register\",\"address\":\"127.0.0.1:7001\","
	  "\"incarnation\":1700000000123,\"want\":0}" },
	{ { .type = MSG_REGISTER, .reg = { { SEQ_MAX, AX }, 32, true, HASH1 } },
	  "{\"type\":\"Register\",\"address\":" TX ",\"incarnation\":" MAX
	  ",\"want\":32,\"lease\":" HEX1 "}" },
	{ { .type = MSG_REGISTER, .reg = { { 1, A3 }, 1, true, { { 0 } } } },
	  "{\"type\":\"Register\",\"address\":\"[::1]:65535\","
	  "\"incarnation\":1,\"want\":1,\"lease\":" HEX0 "}" },
	{ { .type = MSG_GET_PEER_LIST, .get_peer_list = { 0 } },
	  "{\"type\":\"Get Peer List\",\"want\":0}" },
	{ { .type = MSG_GET_PEER_LIST, .get_peer_list = { 1000 } },
	  "{\"type\":\"Get Peer List\",\"want\":1000}" },
	{ { .type = MSG_PEER_LIST, .peer_list = { .count = 0 } },
	  "{\"type\":\"Peer List\",\"count\":0,\"peers\":[]}" },
	{ { .type = MSG_PEER_LIST,
	    .peer_list = { COUNT_MAX, LIST(two), true, A1, true, SEQ_MAX,
			   HASH1 } },
	  "{\"type\":\"Peer List\",\"count\":4294967295,\"peers\":["
	  "\"10.20.30.40:1\",\"[::1]:65535\"],\"you\":\"127.0.0.1:7001\","
	  "\"reachable\":true,\"period_ms\":" MAX ",\"lease\":" HEX1 "}" },
	{ { .type = MSG_PEER_LIST,
	    .peer_list = { 7, { 0 }, true, AX, false, 60000, { { 0 } } } },
	  "{\"type\":\"Peer List\",\"count\":7,\"peers\":[],\"you\":" TX
	  ",\"reachable\":false,\"period_ms\":60000,\"lease\":" HEX0 "}" },
	{ { .type = MSG_DEATH,
	    .death = { { 0, A1 },
		       { .port = 0 },
		       DEATH_LEFT,
		       false,
		       { { 0 } } } },
	  "{\"type\":\"Death\",\"address\":\"127.0.0.1:7001\","
	  "\"incarnation\":0,\"reason\":\"left\"}" },
	{ { .type = MSG_DEATH,
	    .death = { { SEQ_MAX, AX }, A2, DEATH_REFUSED, true, HASH1 } },
	  "{\"type\":\"Death\",\"address\":" TX ",\"incarnation\":" MAX
	  ",\"reporter\":\"10.20.30.40:1\",\"reason\":\"refused\","
	  "\"lease\":" HEX1 "}" },
	{ { .type = MSG_DEATH,
	    .death = { { 1, A3 }, A1, DEATH_SILENT, false, { { 0 } } } },
	  "{\"type\":\"Death\",\"address\":\"[::1]:65535\",\"incarnation\":1,"
	  "\"reporter\":\"127.0.0.1:7001\",\"reason\":\"silent\"}" },
	{ { .type = MSG_DEATH_REPLY, .death_reply = { VERDICT_REMOVED } },
	  "{\"type\":\"Death Reply\",\"verdict\":\"removed\"}" },
	{ { .type = MSG_DEATH_REPLY, .death_reply = { VERDICT_BUSY } },
	  "{\"type\":\"Death Reply\",\"verdict\":\"busy\"}" },
	{ { .type = MSG_PEER_REQUEST, .peer_request = { { 1, A1 }, 0, false } },
	  "{\"type\":\"Peer Request\",\"address\":\"127.0.0.1:7001\","
	  "\"incarnation\":1,\"neighbors\":0,\"urgent\":false}" },
	{ { .type = MSG_PEER_REQUEST,
	    .peer_request = { { SEQ_MAX, AX }, COUNT_MAX, true } },
	  "{\"type\":\"Peer Request\",\"address\":" TX ",\"incarnation\":" MAX
	  ",\"neighbors\":4294967295,\"urgent\":true}" },
	{ { .type = MSG_PEER_REPLY,
	    .peer_reply = { PEER_ACCEPTED, { 1, A1 }, 0, { 0 } } },
	  "{\"type\":\"Peer Reply\",\"verdict\":\"accepted\","
	  "\"address\":\"127.0.0.1:7001\",\"incarnation\":1,\"neighbors\":0,"
	  "\"redirect\":[]}" },
	{ { .type = MSG_PEER_REPLY,
	    .peer_reply = { PEER_SELF,
			    { SEQ_MAX, AX },
			    COUNT_MAX,
			    LIST(six) } },
	  "{\"type\":\"Peer Reply\",\"verdict\":\"self\",\"address\":" TX
	  ",\"incarnation\":" MAX ",\"neighbors\":4294967295,\"redirect\":["
	  "\"127.0.0.1:7001\",\"10.20.30.40:1\",\"[::1]:65535\"," TX
	  ",\"127.0.0.1:7001\",\"10.20.30.40:1\"]}" },
	{ { .type = MSG_LIVELINESS, .liveliness = { 0 } },
	  "{\"type\":\"Liveliness\",\"nonce\":0}" },
	{ { .type = MSG_LIVELINESS, .liveliness = { NONCE_MAX } },
	  "{\"type\":\"Liveliness\",\"nonce\":4503599627370496}" },
	{ { .type = MSG_LIVELINESS_REPLY,
	    .liveliness_reply = { 0, { 1, A1 }, 2 } },
	  "{\"type\":\"Liveliness Reply\",\"nonce\":0,"
	  "\"address\":\"127.0.0.1:7001\",\"incarnation\":1,"
	  "\"neighbors\":2}" },
	{ { .type = MSG_LIVELINESS_REPLY,
	    .liveliness_reply = { NONCE_MAX, { SEQ_MAX, AX }, COUNT_MAX } },
	  "{\"type\":\"Liveliness Reply\",\"nonce\":4503599627370496,"
	  "\"address\":" TX ",\"incarnation\":" MAX
	  ",\"neighbors\":4294967295}" },
	{ { .type = MSG_MESSAGE,
	    .message = { { 3, A1 }, 2, 0, BYTES(""), false } },
	  "{\"type\":\"Message\",\"origin\":\"127.0.0.1:7001\","
	  "\"incarnation\":3,\"seq\":2,\"time\":0,\"data\":\"\"}" },
	{ { .type = MSG_MESSAGE,
	    .message = { { SEQ_MAX - 2, AX },
			 SEQ_MAX,
			 SEQ_MAX - 1,
			 BYTES("\"\\/\b\f\n\r\t\x01\x7f\xc3\xa4\xf0\x9f\x98"
			       "\x80"),
			 false } },
	  "{\"type\":\"Message\",\"origin\":" TX
	  ",\"incarnation\":9007199254740989,\"seq\":" MAX
	  ",\"time\":9007199254740990,"
	  "\"data\":\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\x7f\xc3\xa4\xf0\x9f\x98"
	  "\x80\"}" },
	{ { .type = MSG_MESSAGE,
	    .message = { { 3, A1 }, 1, 2, BYTES("\0\xff\xfe"), true } },
	  "{\"type\":\"Message\",\"origin\":\"127.0.0.1:7001\","
	  "\"incarnation\":3,\"seq\":1,\"time\":2,\"data\":\"AP/+\","
	  "\"encoding\":\"base64\"}" },
	{ { .type = MSG_MESSAGE,
	    .message = { { 3, A1 }, 1, 2, BYTES(""), true } },
	  "{\"type\":\"Message\",\"origin\":\"127.0.0.1:7001\","
	  "\"incarnation\":3,\"seq\":1,\"time\":2,\"data\":\"\","
	  "\"encoding\":\"base64\"}" },
	{ { .type = MSG_HAVE, .have = { LIST(ranges), true, true } },
	  "{\"type\":\"Have\"," RANGES_TEXT ",\"all\":true,\"more\":true}" },
	{ { .type = MSG_HAVE, .have = { { 0 }, true, false } },
	  "{\"type\":\"Have\",\"ranges\":[],\"all\":true}" },
	{ { .type = MSG_HAVE, .have = { LIST(ranges), false, true } },
	  "{\"type\":\"Have\"," RANGES_TEXT ",\"more\":true}" },
	{ { .type = MSG_GET_DATA, .get_data = { .ranges = LIST(ranges) } },
	  "{\"type\":\"getData\"," RANGES_TEXT "}" },
	{ { .type = MSG_GET_DATA,
	    .get_data = { .has_id = true, .id = HASH1, .graft = true } },
	  "{\"type\":\"getData\",\"id\":" HEX1 ",\"graft\":true}" },
	{ { .type = MSG_NOT_FOUND, .not_found = { .ranges = LIST(ranges) } },
	  "{\"type\":\"Not Found\"," RANGES_TEXT "}" },
	{ { .type = MSG_NOT_FOUND, .not_found = { .has_id = true } },
	  "{\"type\":\"Not Found\",\"id\":" HEX0 "}" },
	{ { .type = MSG_GRAFT, .graft = { LIST(runs), false } },
	  "{\"type\":\"Graft\"," RUNS_TEXT "}" },
	{ { .type = MSG_GRAFT, .graft = { { 0 }, true } },
	  "{\"type\":\"Graft\",\"runs\":[],\"all\":true}" },
	{ { .type = MSG_PRUNE, .graft = { LIST(runs), false } },
	  "{\"type\":\"Prune\"," RUNS_TEXT "}" },
	{ { .type = MSG_BYE, .bye = { BYE_ROTATE } },
	  "{\"type\":\"Bye\",\"reason\":\"rotate\"}" },
	{ { .type = MSG_BYE, .bye = { BYE_SHUTDOWN } },
	  "{\"type\":\"Bye\",\"reason\":\"shutdown\"}" },
};

static enum err decode_bytes(const void *bytes, size_t n, struct message *m,
			     const char **why)
{
	void *copy = exact_copy(bytes, n);
	enum err e = codec_decode(copy, n, m, why);

	/* Nothing may point into the body, but for the data of a Message: then
	 * message_clear shall free it. */
	if (e == ERR_OK && m->type == MSG_MESSAGE && m->memory == NULL)
		m->memory = copy;
	else
		free(copy);
	return e;
}

static enum err decode(const char *text, struct message *m, const char **why)
{
	return decode_bytes(text, strlen(text), m, why);
}

/* The verdict alone. */
static enum err verdict(const char *text)
{
	struct message m = { 0 };
	const char *why = NULL;
	enum err e = decode(text, &m, &why);

	if (e != ERR_OK && (why == NULL || m.memory != NULL))
		fail_msg("%s: no reason, or memory", text);
	message_clear(&m);
	return e;
}

static void assert_verdict(const char *text, enum err expected)
{
	enum err e = verdict(text);

	if (e != expected)
		fail_msg("%s: %s, not %s", text, err_text(e),
			 err_text(expected));
}

static void assert_encodes_to(const struct message *m, const char *text)
{
	struct frame *f = NULL;

	assert_int_equal(codec_encode(m, &f), ERR_OK);
	if (f->body_bytes != strlen(text) ||
	    memcmp(f->body, text, f->body_bytes) != 0)
		fail_msg("%.*s\nnot\n%s", (int)f->body_bytes,
			 (const char *)f->body, text);
	assert_int_equal(atomic_load(&f->refs), 1);
	frame_release(f);
}

static void writes_every_example_byte_for_byte(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(examples); i++)
		assert_encodes_to(&examples[i].m, examples[i].text);
}

/* With the test above this says that reading fills the right fields: what was
 * read is written as the struct literal was. */
static void reads_back_every_example(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(examples); i++) {
		struct message m;
		const char *why = "none";

		if (decode(examples[i].text, &m, &why) != ERR_OK)
			fail_msg("%s: %s", examples[i].text, why);
		assert_int_equal(m.type, examples[i].m.type);
		assert_encodes_to(&m, examples[i].text);
		message_clear(&m);
	}
}

static void has_an_example_of_every_type(void **state)
{
	bool seen[MSG_TYPES] = { false };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(examples); i++)
		seen[examples[i].m.type] = true;
	for (size_t i = 0; i < MSG_TYPES; i++)
		assert_true(seen[i]);
}

static void knows_every_word_of_every_vocabulary(void **state)
{
	char text[200];

	(void)state;
	for (unsigned i = 0; i <= DEATH_REFUSED; i++) {
		struct message m = {
			.type = MSG_DEATH,
			.death = { { 1, A1 }, A2, i, false, { { 0 } } }
		};

		sprintf(text,
			"{\"type\":\"Death\",\"address\":\"127.0.0.1:7001\","
			"\"incarnation\":1,\"reporter\":\"10.20.30.40:1\","
			"\"reason\":\"%s\"}",
			death_reason_name(i));
		assert_encodes_to(&m, text);
		assert_int_equal(decode(text, &m, NULL), ERR_OK);
		assert_int_equal(m.death.reason, i);
	}
	for (unsigned i = 0; i <= VERDICT_BUSY; i++) {
		struct message m;

		sprintf(text, "{\"type\":\"Death Reply\",\"verdict\":\"%s\"}",
			death_verdict_name(i));
		assert_int_equal(decode(text, &m, NULL), ERR_OK);
		assert_int_equal(m.death_reply.verdict, i);
	}
	for (unsigned i = 0; i <= PEER_SELF; i++) {
		struct message m;

		sprintf(text,
			"{\"type\":\"Peer Reply\",\"verdict\":\"%s\","
			"\"address\":\"127.0.0.1:7001\",\"incarnation\":1,"
			"\"neighbors\":1}",
			peer_verdict_name(i));
		assert_int_equal(decode(text, &m, NULL), ERR_OK);
		assert_int_equal(m.peer_reply.verdict, i);
	}
	for (unsigned i = 0; i <= BYE_SHUTDOWN; i++) {
		struct message m;

		sprintf(text, "{\"type\":\"Bye\",\"reason\":\"%s\"}",
			bye_reason_name(i));
		assert_int_equal(decode(text, &m, NULL), ERR_OK);
		assert_int_equal(m.bye.reason, i);
	}
}

/* -- Taking examples apart. -- */

struct member {
	size_t at, value, end; /* of the key's quote, the value, the comma */
	char key[16];
};

/* The members of a text without white space, as codec_encode writes it. */
static size_t take_apart(const char *text, struct member *out)
{
	size_t n = 0, i = 0;
	int depth = 0;
	bool quoted = false;

	for (; text[i] != '\0'; i++) {
		if (quoted) {
			if (text[i] == '\\')
				i++;
			quoted = text[i] != '"';
			continue;
		}
		quoted = text[i] == '"';
		if (depth == 1 && (text[i] == ',' || text[i] == '}'))
			out[n++].end = i;
		depth += text[i] == '{' || text[i] == '[';
		depth -= text[i] == '}' || text[i] == ']';
		if (depth == 1 && (text[i] == '{' || text[i] == ','))
			out[n].at = i + 1;
		if (depth == 1 && text[i] == ':')
			out[n].value = i + 1;
	}
	for (i = 0; i < n; i++)
		snprintf(out[i].key, sizeof out[i].key, "%.*s",
			 (int)(out[i].value - out[i].at - 3),
			 text + out[i].at + 1);
	return n;
}

static bool is_one_of(const char *word, const char *words)
{
	char framed[32];

	snprintf(framed, sizeof framed, " %s ", word);
	return strstr(words, framed) != NULL;
}

/* May this field be missing? */
static bool is_optional(const struct example *e, const char *key)
{
	if (strcmp(key, "lease") == 0 || strcmp(key, "period_ms") == 0)
		return e->m.type != MSG_PEER_LIST || key[0] == 'p';
	return is_one_of(key, " want reporter urgent redirect all more graft "
			      "encoding ");
}

static void refuses_every_example_without_one_field(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(examples); i++) {
		const char *text = examples[i].text;
		struct member f[12];
		size_t n = take_apart(text, f);

		assert_string_equal(f[0].key, "type");
		for (size_t k = 0; k < n; k++) {
			struct buf b = { 0 };
			/* With its comma: the one behind, or the last one's
			 * before. */
			size_t from = k + 1 < n ? f[k].at : f[k].at - (k > 0);
			size_t to = f[k].end + (k + 1 < n);

			buf_add(&b, text, from);
			buf_str(&b, text + to);
			assert_verdict(buf_text(&b),
				       is_optional(&examples[i], f[k].key)
					       ? ERR_OK
					       : ERR_SYNTAX);
			buf_free(&b);
		}
	}
}

/* May this field have this value? */
static bool is_allowed(const struct example *e, const struct member *f,
		       const char *value)
{
	if (is_one_of(f->key, " incarnation want count period_ms neighbors "
			      "nonce seq time "))
		return is_one_of(value, " 1 1.0 1e0 10E-1 ") ||
		       (is_one_of(value, " 0 -0 ") &&
			(!is_one_of(f->key, " incarnation seq ") ||
			 (e->m.type == MSG_DEATH && f->key[0] == 'i')));
	if (is_one_of(f->key, " reachable urgent all more graft "))
		return is_one_of(value, " true false ");
	if (is_one_of(f->key, " peers redirect ranges runs "))
		return strcmp(value, "[]") == 0;
	/* Words of 0, 4 ... letters happen to be base64. */
	if (strcmp(f->key, "data") == 0)
		return value[0] == '"' &&
		       (!e->m.message.base64 ||
			(strlen(value) % 4 == 2 && !strpbrk(value, ".:")));
	return false;
}

static void refuses_every_example_with_one_field_of_another_kind(void **state)
{
	static const char *const values[] = {
		"null",
		"true",
		"false",
		"0",
		"-0",
		"1",
		"1.0",
		"1e0",
		"10E-1",
		"-1",
		"1.5",
		"0.1",
		"-1e400",
		"1e400",
		"9007199254740992",
		"9007199254740993",
		"18446744073709551616",
		"-9223372036854775808",
		"\"\"",
		"\"x\"",
		"\"1\"",
		"\"true\"",
		"\"127.0.0.1:0\"",
		"\"127.0.0.01:1\"",
		"\"localhost:1\"",
		"\"Left\"",
		"\"left \"",
		"\"?\"",
		"\"base32\"",
		"\"BASE64\"",
		"\"00112233445566778899AABBCCDDEEFF\"",
		"[]",
		"{}",
		"[1]",
		"[[]]",
		"[null]",
		"[{}]",
		"[\"x\"]",
		"[\"127.0.0.1:0\"]",
		"{\"a\":1}",
		"[[\"127.0.0.1:1\"]]",
		"[[\"127.0.0.1:1\",1,1,1,1]]",
		"[[\"127.0.0.1:1\",1,1]]",
		"[[1,\"127.0.0.1:1\",1,1]]",
		"{\"0\":\"127.0.0.1:1\",\"1\":1}",
		"[{\"0\":\"127.0.0.1:1\",\"1\":1}]",
		"[{\"0\":\"127.0.0.1:1\",\"1\":1,\"2\":1,\"3\":1}]",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(examples); i++) {
		const char *text = examples[i].text;
		struct member f[12];
		size_t n = take_apart(text, f);

		for (size_t k = 0; k < n; k++)
			for (size_t v = 0; v < COUNT_OF(values); v++) {
				struct buf b = { 0 };
				bool ok = is_allowed(&examples[i], &f[k],
						     values[v]);
				bool unknown = k == 0 && values[v][0] == '"';

				buf_add(&b, text, f[k].value);
				buf_str(&b, values[v]);
				buf_str(&b, text + f[k].end);
				assert_verdict(buf_text(&b),
					       ok        ? ERR_OK
					       : unknown ? ERR_UNKNOWN
							 : ERR_SYNTAX);
				buf_free(&b);
			}
	}
}

static void refuses_every_beginning_of_every_example(void **state)
{
	struct message m;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(examples); i++)
		for (size_t n = 0; n < strlen(examples[i].text); n++)
			assert_int_equal(
				decode_bytes(examples[i].text, n, &m, NULL),
				ERR_SYNTAX);
}

static void ignores_fields_it_does_not_know(void **state)
{
	static const char *const extras[] = {
		",\"x\":1}",
		",\"Type\":\"Bye\",\"ADDRESS\":1,\"\":null}",
		",\"x\":{\"type\":[1,[2,{\"y\":3}]]}}",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(examples); i++)
		for (size_t k = 0; k < COUNT_OF(extras); k++) {
			size_t n = strlen(examples[i].text);
			struct buf b = { 0 };
			struct message m;

			buf_add(&b, examples[i].text, n - 1);
			buf_str(&b, extras[k]);
			assert_int_equal(decode(buf_text(&b), &m, NULL),
					 ERR_OK);
			assert_encodes_to(&m, examples[i].text);
			message_clear(&m);
			buf_free(&b);
		}
}

static void does_not_mind_order_or_white_space(void **state)
{
	(void)state;
	assert_verdict(" { \"nonce\" : 5 ,\n\t\"type\" : \"Liveliness\" } \r\n",
		       ERR_OK);
	assert_verdict("{\"lease\":" HEX1 ",\"period_ms\":1,\"reachable\":true,"
		       "\"you\":\"1.2.3.4:5\",\"peers\":[],\"count\":1,"
		       "\"type\":\"Peer List\"}",
		       ERR_OK);
	assert_verdict("{\"n\\u006fnce\":5,\"type\":\"Live\\u006ciness\"}",
		       ERR_OK);
}

static void tells_an_unknown_type_from_a_broken_body(void **state)
{
	(void)state;
	assert_verdict("{\"type\":\"Hello\"}", ERR_UNKNOWN);
	assert_verdict("{\"type\":\"register\",\"x\":[1,2]}", ERR_UNKNOWN);
	assert_verdict("{\"type\":\"Bye \",\"reason\":\"slow\"}", ERR_UNKNOWN);
	assert_verdict("{\"type\":\"?\"}", ERR_UNKNOWN);
	assert_verdict("{\"type\":\"\"}", ERR_UNKNOWN);
	assert_verdict("{\"type\":\"Hello\"", ERR_SYNTAX);
	assert_verdict("{\"type\":\"Hello\",\"x\":01}", ERR_SYNTAX);
	assert_verdict("{\"Type\":\"Bye\",\"reason\":\"slow\"}", ERR_SYNTAX);
	assert_verdict("{}", ERR_SYNTAX);
	assert_verdict("{\"x\":{\"type\":\"Bye\"}}", ERR_SYNTAX);
}

static void leaves_a_broken_body_to_the_scan(void **state)
{
	static const char *const texts[] = {
		"",
		"[]",
		"\xef\xbb\xbf{\"type\":\"Liveliness\",\"nonce\":1}",
		"{\"type\":\"Liveliness\",\"nonce\":1}x",
		"{\"type\":\"Liveliness\",\"nonce\":1}{}",
		"{\"type\":\"Liveliness\",\"nonce\":01}",
		"{\"type\":\"Liveliness\",\"nonce\":1,\"nonce\":1}",
		"{\"type\":\"Liveliness\",\"nonce\":1,\"n\\u006fnce\":2}",
		"{\"type\":\"Bye\",\"type\":\"Liveliness\",\"nonce\":1}",
		"{\"type\":\"Liveliness\",\"nonce\":1,\"x\":\"\\u0000\"}",
		"{\"type\":\"Liveliness\",\"nonce\":1,\"x\":\"\xff\"}",
		"{\"type\":\"Liveliness\",\"x\":[[[[[[[[1]]]]]]]],\"nonce\":1}",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(texts); i++)
		assert_verdict(texts[i], ERR_SYNTAX);
}

static void keeps_every_integer_in_its_range(void **state)
{
	static const struct {
		const char *form;
		uint64_t lo, hi;
	} t[] = {
		{ "{\"type\":\"Register\",\"address\":\"1.2.3.4:5\","
		  "\"incarnation\":1,\"want\":%s}",
		  0, WANT_REGISTER_MAX },
		{ "{\"type\":\"Register\",\"address\":\"1.2.3.4:5\","
		  "\"incarnation\":%s,\"want\":1}",
		  1, SEQ_MAX },
		{ "{\"type\":\"Get Peer List\",\"want\":%s}", 0,
		  WANT_LIST_MAX },
		{ "{\"type\":\"Peer List\",\"peers\":[],\"count\":%s}", 0,
		  COUNT_MAX },
		{ "{\"type\":\"Peer List\",\"peers\":[],\"count\":0,"
		  "\"you\":\"1.2.3.4:5\",\"reachable\":true,"
		  "\"period_ms\":%s,\"lease\":" HEX1 "}",
		  0, SEQ_MAX },
		{ "{\"type\":\"Death\",\"address\":\"1.2.3.4:5\","
		  "\"incarnation\":%s,\"reason\":\"left\"}",
		  0, SEQ_MAX },
		{ "{\"type\":\"Peer Request\",\"address\":\"1.2.3.4:5\","
		  "\"incarnation\":%s,\"neighbors\":1}",
		  1, SEQ_MAX },
		{ "{\"type\":\"Peer Request\",\"address\":\"1.2.3.4:5\","
		  "\"incarnation\":1,\"neighbors\":%s}",
		  0, COUNT_MAX },
		{ "{\"type\":\"Peer Reply\",\"verdict\":\"busy\","
		  "\"address\":\"1.2.3.4:5\",\"incarnation\":%s,"
		  "\"neighbors\":1}",
		  1, SEQ_MAX },
		{ "{\"type\":\"Peer Reply\",\"verdict\":\"busy\","
		  "\"address\":\"1.2.3.4:5\",\"incarnation\":1,"
		  "\"neighbors\":%s}",
		  0, COUNT_MAX },
		{ "{\"type\":\"Liveliness\",\"nonce\":%s}", 0, NONCE_MAX },
		{ "{\"type\":\"Liveliness Reply\",\"nonce\":%s,"
		  "\"address\":\"1.2.3.4:5\",\"incarnation\":1,"
		  "\"neighbors\":1}",
		  0, NONCE_MAX },
		{ "{\"type\":\"Liveliness Reply\",\"nonce\":1,"
		  "\"address\":\"1.2.3.4:5\",\"incarnation\":%s,"
		  "\"neighbors\":1}",
		  1, SEQ_MAX },
		{ "{\"type\":\"Liveliness Reply\",\"nonce\":1,"
		  "\"address\":\"1.2.3.4:5\",\"incarnation\":1,"
		  "\"neighbors\":%s}",
		  0, COUNT_MAX },
		{ "{\"type\":\"Message\",\"origin\":\"1.2.3.4:5\","
		  "\"incarnation\":%s,\"seq\":1,\"time\":1,\"data\":\"\"}",
		  1, SEQ_MAX },
		{ "{\"type\":\"Message\",\"origin\":\"1.2.3.4:5\","
		  "\"incarnation\":1,\"seq\":%s,\"time\":1,\"data\":\"\"}",
		  1, SEQ_MAX },
		{ "{\"type\":\"Message\",\"origin\":\"1.2.3.4:5\","
		  "\"incarnation\":1,\"seq\":1,\"time\":%s,\"data\":\"\"}",
		  0, SEQ_MAX },
		{ "{\"type\":\"Have\",\"ranges\":[[\"1.2.3.4:5\",%s,1,1]]}", 1,
		  SEQ_MAX },
		{ "{\"type\":\"Have\",\"ranges\":[[\"1.2.3.4:5\",1,%s,"
		  "9007199254740991]]}",
		  1, SEQ_MAX },
		{ "{\"type\":\"Have\",\"ranges\":[[\"1.2.3.4:5\",1,7,%s]]}", 7,
		  SEQ_MAX },
		{ "{\"type\":\"Have\",\"ranges\":[[\"1.2.3.4:5\",1,%s,7]]}", 1,
		  7 },
		{ "{\"type\":\"Graft\",\"runs\":[[\"1.2.3.4:5\",%s]]}", 1,
		  SEQ_MAX },
		{ "{\"type\":\"Prune\",\"runs\":[[\"1.2.3.4:5\",%s]]}", 1,
		  SEQ_MAX },
	};
	static const char *const never[] = {
		"-1",   "1.5",   "1e400", "-1e400", "9007199254740993",
		"1e16", "\"1\"", "true"
	};
	char text[400], number[32];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(t); i++) {
		for (int edge = 0; edge < 4; edge++) {
			const int64_t v[] = { (int64_t)t[i].lo - 1,
					      (int64_t)t[i].lo,
					      (int64_t)t[i].hi,
					      (int64_t)t[i].hi + 1 };

			sprintf(number, "%lld", (long long)v[edge]);
			snprintf(text, sizeof text, t[i].form, number);
			assert_verdict(text, edge == 1 || edge == 2
						     ? ERR_OK
						     : ERR_SYNTAX);
		}
		for (size_t k = 0; k < COUNT_OF(never); k++) {
			snprintf(text, sizeof text, t[i].form, never[k]);
			assert_verdict(text, ERR_SYNTAX);
		}
	}
}

static void supplies_what_may_be_missing(void **state)
{
	struct message m;

	(void)state;
	assert_int_equal(decode("{\"type\":\"Register\",\"address\":"
				"\"1.2.3.4:5\",\"incarnation\":9}",
				&m, NULL),
			 ERR_OK);
	assert_int_equal(m.reg.want, 32);
	assert_false(m.reg.has_lease);
	assert_int_equal(decode("{\"type\":\"Get Peer List\"}", &m, NULL),
			 ERR_OK);
	assert_int_equal(m.get_peer_list.want, 32);
	assert_int_equal(decode("{\"type\":\"Death\",\"address\":\"1.2.3.4:5\","
				"\"incarnation\":0,\"reason\":\"reset\"}",
				&m, NULL),
			 ERR_OK);
	assert_true(addr_is_none(&m.death.reporter));
	assert_false(m.death.has_lease);
	assert_int_equal(decode("{\"type\":\"Peer Request\",\"address\":"
				"\"1.2.3.4:5\",\"incarnation\":9,"
				"\"neighbors\":2}",
				&m, NULL),
			 ERR_OK);
	assert_false(m.peer_request.urgent);
	assert_int_equal(decode("{\"type\":\"Peer Reply\",\"verdict\":\"busy\","
				"\"address\":\"1.2.3.4:5\",\"incarnation\":9,"
				"\"neighbors\":2}",
				&m, NULL),
			 ERR_OK);
	assert_int_equal(m.peer_reply.redirect.n, 0);
	assert_null(m.memory);
}

static void knows_an_answer_to_register_by_its_period(void **state)
{
	struct message m;

	(void)state;
	assert_int_equal(decode("{\"type\":\"Peer List\",\"count\":3,"
				"\"peers\":[],\"you\":7,\"lease\":null,"
				"\"reachable\":[]}",
				&m, NULL),
			 ERR_OK);
	assert_false(m.peer_list.registered);
	assert_true(addr_is_none(&m.peer_list.you));
	assert_verdict("{\"type\":\"Peer List\",\"count\":3,\"peers\":[],"
		       "\"period_ms\":1}",
		       ERR_SYNTAX);
	assert_verdict("{\"type\":\"Peer List\",\"count\":3,\"peers\":[],"
		       "\"period_ms\":null}",
		       ERR_SYNTAX);
}

static void wants_ranges_or_an_id_but_not_both(void **state)
{
	static const char *const types[] = { "getData", "Not Found" };
	char text[200];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(types); i++) {
		sprintf(text, "{\"type\":\"%s\"}", types[i]);
		assert_verdict(text, ERR_SYNTAX);
		sprintf(text, "{\"type\":\"%s\",\"ranges\":[]}", types[i]);
		assert_verdict(text, ERR_OK);
		sprintf(text, "{\"type\":\"%s\",\"id\":" HEX1 "}", types[i]);
		assert_verdict(text, ERR_OK);
		sprintf(text, "{\"type\":\"%s\",\"id\":" HEX1 ",\"ranges\":[]}",
			types[i]);
		assert_verdict(text, ERR_SYNTAX);
		sprintf(text, "{\"type\":\"%s\",\"ranges\":[],\"id\":null}",
			types[i]);
		assert_verdict(text, ERR_SYNTAX);
	}
}

static void says_which_field_was_wrong(void **state)
{
	static const struct {
		const char *text, *field;
	} t[] = {
		{ "{\"x\":1}", "type:" },
		{ "{\"type\":\"Hello\"}", "type:" },
		{ "{\"type\":\"Liveliness\"}", "nonce:" },
		{ "{\"type\":\"Bye\",\"reason\":1}", "reason:" },
		{ "{\"type\":\"Have\",\"ranges\":1}", "ranges:" },
		{ "{\"type\":\"Have\",\"ranges\":[],\"more\":1}", "more:" },
		{ "{\"type\":\"Peer List\",\"count\":1,\"peers\":[1]}",
		  "peers:" },
	};
	struct message m;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(t); i++) {
		const char *why = NULL;

		assert_int_not_equal(decode(t[i].text, &m, &why), ERR_OK);
		assert_memory_equal(why, t[i].field, strlen(t[i].field));
	}
}

static void writes_nothing_when_it_refuses(void **state)
{
	struct message m, before;

	(void)state;
	memset(&m, 0x5a, sizeof m);
	memcpy(&before, &m, sizeof m);
	(void)!decode("{\"type\":\"Have\",\"ranges\":[[\"1.2.3.4:5\",1,1,1],"
		      "[]]}",
		      &m, NULL);
	(void)!decode("{\"type\":\"Hello\"}", &m, NULL);
	(void)!decode("{", &m, NULL);
	assert_memory_equal(&m, &before, sizeof m);
}

/* -- Lists. -- */

/* {"type":...,"key":[element,element,...] and `rest`, n elements. */
static enum err list_verdict(const char *head, const char *element, size_t n,
			     const char *rest)
{
	struct buf b = { 0 };
	enum err e;

	buf_str(&b, head);
	for (size_t i = 0; i < n; i++) {
		buf_str(&b, i > 0 ? "," : "");
		buf_str(&b, element);
	}
	buf_str(&b, rest);
	e = verdict(buf_text(&b));
	buf_free(&b);
	return e;
}

static void keeps_every_list_in_its_length(void **state)
{
#define RANGE "[\"1.2.3.4:5\",1,1,1]"
	static const struct {
		const char *head, *element, *rest;
		size_t max;
	} t[] = {
		{ "{\"type\":\"Peer List\",\"count\":1,\"peers\":[",
		  "\"1.2.3.4:5\"", "]}", WANT_LIST_MAX },
		{ "{\"type\":\"Peer Reply\",\"verdict\":\"busy\",\"address\":"
		  "\"1.2.3.4:5\",\"incarnation\":1,\"neighbors\":1,"
		  "\"redirect\":[",
		  "\"1.2.3.4:5\"", "]}", REDIRECT_MAX },
		{ "{\"type\":\"Graft\",\"runs\":[", "[\"1.2.3.4:5\",1]", "]}",
		  RUNS_MAX },
		{ "{\"type\":\"Prune\",\"runs\":[", "[\"1.2.3.4:5\",1]", "]}",
		  RUNS_MAX },
#if 3 + 5 * RANGES_MAX <= SCAN_VALUES_MAX
		{ "{\"type\":\"Have\",\"ranges\":[", RANGE, "]}", RANGES_MAX },
		{ "{\"type\":\"getData\",\"ranges\":[", RANGE, "]}",
		  RANGES_MAX },
		{ "{\"type\":\"Not Found\",\"ranges\":[", RANGE, "]}",
		  RANGES_MAX },
#endif
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(t); i++) {
		assert_int_equal(list_verdict(t[i].head, t[i].element, t[i].max,
					      t[i].rest),
				 ERR_OK);
		assert_int_equal(list_verdict(t[i].head, t[i].element,
					      t[i].max + 1, t[i].rest),
				 ERR_SYNTAX);
	}
}

static void reads_the_largest_list_it_writes(void **state)
{
	static struct range most[RANGES_MAX + 1];
	struct message m = { .type = MSG_HAVE,
			     .have = { { most, RANGES_MAX }, true, true } };
	struct message back;
	struct frame *f = NULL;

	(void)state;
	if (6 + 5 * RANGES_MAX > SCAN_VALUES_MAX)
		skip(); /* RANGES_MAX contradicts SCAN_VALUES_MAX */
	for (size_t i = 0; i <= RANGES_MAX; i++)
		most[i] =
			(struct range){ { SEQ_MAX, AX }, SEQ_MAX - i, SEQ_MAX };
	assert_int_equal(codec_encode(&m, &f), ERR_OK);
	assert_int_equal(decode_bytes(f->body, f->body_bytes, &back, NULL),
			 ERR_OK);
	frame_release(f);
	assert_int_equal(back.have.ranges.n, RANGES_MAX);
	for (size_t i = 0; i < RANGES_MAX; i++)
		assert_true(back.have.ranges.v[i].first == SEQ_MAX - i);
	message_clear(&back);
	m.have.ranges.n++;
	assert_int_equal(codec_encode(&m, &f), ERR_TOO_LONG);
}

/* -- Message data. -- */

static void carries_bytes_that_are_not_text(void **state)
{
	struct message m;

	(void)state;
	assert_int_equal(decode(examples[23].text, &m, NULL), ERR_OK);
	assert_true(m.message.base64);
	assert_int_equal(m.message.data_bytes, 3);
	assert_memory_equal(m.message.data, "\0\xff\xfe", 3);
	message_clear(&m);
}

static void unescapes_text(void **state)
{
	struct message m;
	static const char expected[] = "/A\xc3\xa4\xf0\x9f\x98\x80\x01\n";

	(void)state;
	assert_int_equal(decode("{\"type\":\"Message\",\"origin\":\"1.2.3.4:5\""
				",\"incarnation\":1,\"seq\":1,\"time\":1,"
				"\"data\":\"\\/\\u0041\\u00e4\\ud83d\\ude00"
				"\\u0001\\n\"}",
				&m, NULL),
			 ERR_OK);
	assert_int_equal(m.message.data_bytes, sizeof expected - 1);
	assert_memory_equal(m.message.data, expected, sizeof expected - 1);
	message_clear(&m);
}

static void has_data_even_where_there_is_none(void **state)
{
	struct message m;

	(void)state;
	assert_int_equal(decode(examples[21].text, &m, NULL), ERR_OK);
	assert_int_equal(m.message.data_bytes, 0);
	assert_non_null(m.message.data);
	message_clear(&m);
}

static void refuses_data_that_is_not_of_its_encoding(void **state)
{
	static const char *const bad[] = {
		"Z",    "Zg",   "Zg=",   "Zh==",       "Zg==Zg==", "Zm9v=",
		"Zm9-", "Zm 9", "Zm9v ", "\\u00e4===", "====",
	};
	char text[200];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		sprintf(text,
			"{\"type\":\"Message\",\"origin\":\"1.2.3.4:5\","
			"\"incarnation\":1,\"seq\":1,\"time\":1,"
			"\"data\":\"%s\",\"encoding\":\"base64\"}",
			bad[i]);
		assert_verdict(text, ERR_SYNTAX);
	}
}

/* A Message with n data bytes, as text or base64, encoded and decoded. */
static void assert_carries(uint8_t *data, size_t n, bool base64)
{
	/* Envelopes of every length modulo 4, to meet every edge of memory. */
	static const int64_t times[] = { SEQ_MAX, 0, 10, 100 };
	struct message m = {
		.type = MSG_MESSAGE,
		.message = { { SEQ_MAX, AX },
			     SEQ_MAX,
			     times[n % 4],
			     data,
			     n,
			     base64 },
	};
	struct message back;
	struct frame *f = NULL;

	assert_int_equal(codec_encode(&m, &f), ERR_OK);
	assert_true(f->body_bytes <= FRAME_BODY_MAX);
	assert_int_equal(decode_bytes(f->body, f->body_bytes, &back, NULL),
			 ERR_OK);
	frame_release(f);
	assert_int_equal(back.message.data_bytes, n);
	assert_memory_equal(back.message.data, data, n);
	assert_int_equal(back.message.base64, base64);
	message_clear(&back);
}

static void carries_data_of_every_length_up_to_the_limit(void **state)
{
	uint8_t *data = malloc(DATA_MAX + 1);
	struct message m = {
		.type = MSG_MESSAGE,
		.message = { { 1, A1 }, 1, 1, data, DATA_MAX + 1, false }
	};
	struct frame *f;

	(void)state;
	memset(data, 'x', DATA_MAX + 1);
	for (size_t n = 1; n < 1000; n++) {
		assert_carries(data, n, false);
		assert_carries(data, n, true);
	}
	for (size_t n = DATA_MAX - 3; n <= DATA_MAX; n++) {
		assert_carries(data, n, false);
		assert_carries(data, n, true);
	}
	assert_int_equal(codec_encode(&m, &f), ERR_TOO_LONG);
	m.message.base64 = true;
	assert_int_equal(codec_encode(&m, &f), ERR_TOO_LONG);
	free(data);
}

static void refuses_data_over_the_limit(void **state)
{
	static const struct {
		size_t characters;
		const char *tail;
		enum err e;
	} t[] = {
		{ DATA_MAX, "\"}", ERR_OK },
		{ DATA_MAX + 1, "\"}", ERR_SYNTAX },
		{ DATA_MAX - 1, "\\n\"}", ERR_OK },
		{ DATA_MAX, "\\n\"}", ERR_SYNTAX },
		{ DATA_MAX - 2, "\\u00e4\"}", ERR_OK },
		{ DATA_MAX - 1, "\\u00e4\"}", ERR_SYNTAX },
		{ 1398100, "AA\\u003d=\",\"encoding\":\"base64\"}", ERR_OK },
		{ 1398100, "AAA\\u003d\",\"encoding\":\"base64\"}",
		  ERR_SYNTAX },
		/* 349,525 times 4 characters are one byte short of DATA_MAX */
		{ 1398100, "AA==\",\"encoding\":\"base64\"}", ERR_OK },
		{ 1398100, "AAA=\",\"encoding\":\"base64\"}", ERR_SYNTAX },
		{ 1398104, "\",\"encoding\":\"base64\"}", ERR_SYNTAX },
		{ 1398108, "\",\"encoding\":\"base64\"}", ERR_SYNTAX },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(t); i++) {
		struct buf b = { 0 };

		buf_str(&b, "{\"type\":\"Message\",\"origin\":\"1.2.3.4:5\","
			    "\"incarnation\":1,\"seq\":1,\"time\":1,"
			    "\"data\":\"");
		assert_true(buf_reserve(&b, t[i].characters));
		memset(b.data + b.len, 'A', t[i].characters);
		b.len += t[i].characters;
		buf_str(&b, t[i].tail);
		assert_int_equal(verdict(buf_text(&b)), t[i].e);
		buf_free(&b);
	}
}

static void carries_whatever_a_user_gives(void **state)
{
	struct rng r;
	uint8_t data[600];

	(void)state;
	rng_init(&r, 11);
	for (int round = 0; round < 3000; round++) {
		size_t n = (size_t)rng_below(&r, sizeof data);
		/* From bytes mostly printable to bytes of every kind. */
		uint64_t most = rng_below(&r, 2) ? 127 : 256;

		for (size_t i = 0; i < n; i++)
			data[i] = (uint8_t)rng_below(&r, most);
		assert_carries(data, n, codec_wants_base64(data, n));
	}
}

static void prefers_text_while_it_is_no_longer(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
		bool base64;
	} t[] = {
		{ "", 0, false },
		{ "hello", 5, false },
		{ "\xc3\xa4", 2, false },
		{ "line\nline\n", 10, false },
		{ "\0", 1, true },
		{ "text\0", 5, true },
		{ "\xff", 1, true },
		{ "\xc3", 1, true },
		{ "\xed\xa0\x80", 3, true },
		{ "\x01\x02", 2, false }, /* 14 against 26 with its field */
		{ "\x01\x02\x03\x04", 4, false },    /* 26 against 30 */
		{ "\x01\x02\x03\x04\x05", 5, true }, /* 32 against 30 */
	};
	struct message m = { .type = MSG_MESSAGE,
			     .message = { { 1, A1 }, 1, 1, NULL, 0, false } };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(t); i++) {
		struct frame *text = NULL, *base64 = NULL;

		assert_int_equal(codec_wants_base64(t[i].bytes, t[i].n),
				 t[i].base64);
		m.message.data = (const uint8_t *)t[i].bytes;
		m.message.data_bytes = t[i].n;
		m.message.base64 = true;
		assert_int_equal(codec_encode(&m, &base64), ERR_OK);
		m.message.base64 = false;
		if (codec_encode(&m, &text) == ERR_OK)
			assert_int_equal(t[i].base64,
					 text->body_bytes > base64->body_bytes);
		else
			assert_true(t[i].base64);
		frame_release(text);
		frame_release(base64);
	}
}

/* -- What must not be written. -- */

static void assert_not_written(struct message m, enum err expected)
{
	struct frame *f = NULL;

	assert_int_equal(codec_encode(&m, &f), expected);
	assert_null(f);
}

static void does_not_write_what_others_would_refuse(void **state)
{
	static const struct range backwards[] = { { { 1, A1 }, 2, 1 } };
	static const struct range from_zero[] = { { { 1, A1 }, 0, 1 } };
	static const struct range too_far[] = { { { 1, A1 }, 1, SEQ_MAX + 1 } };
	static const struct identity no_run[] = { { 0, A1 } };
	static const struct addr no_port[] = {
		{ .ip = { 1 }, .family = ADDR_V4 },
	};
	static const struct addr seven[7] = { A1, A1, A1, A1, A1, A1, A1 };
	const struct message bad[] = {
		{ .type = MSG_TYPES },
		{ .type = (enum message_type) - 1 },
		{ .type = MSG_REGISTER,
		  .reg = { { 0, A1 }, 1, false, { { 0 } } } },
		{ .type = MSG_REGISTER,
		  .reg = { { 1, A1 }, 33, false, { { 0 } } } },
		{ .type = MSG_REGISTER,
		  .reg = { { 1, { .port = 1 } }, 1, false, { { 0 } } } },
		{ .type = MSG_REGISTER,
		  .reg = { { SEQ_MAX + 1, A1 }, 1, false, { { 0 } } } },
		{ .type = MSG_LIVELINESS, .liveliness = { NONCE_MAX + 1 } },
		{ .type = MSG_BYE, .bye = { BYE_SHUTDOWN + 1 } },
		{ .type = MSG_HAVE, .have = { LIST(backwards), true, false } },
		{ .type = MSG_HAVE, .have = { LIST(from_zero), true, false } },
		{ .type = MSG_HAVE, .have = { LIST(too_far), true, false } },
		{ .type = MSG_PRUNE, .graft = { LIST(no_run), false } },
		{ .type = MSG_PEER_LIST,
		  .peer_list = { .peers = LIST(no_port) } },
		{ .type = MSG_PEER_LIST,
		  .peer_list = { .registered = true,
				 .you = A1,
				 .period_ms = SEQ_MAX + 1 } },
		{ .type = MSG_PEER_LIST,
		  .peer_list = { .count = COUNT_MAX + 1 } },
		{ .type = MSG_DEATH, .death = { .id = { SEQ_MAX + 1, A1 } } },
		{ .type = MSG_PEER_REQUEST,
		  .peer_request = { { SEQ_MAX + 1, A1 }, 1, false } },
		{ .type = MSG_PEER_REPLY,
		  .peer_reply = { .id = { SEQ_MAX + 1, A1 } } },
		{ .type = MSG_LIVELINESS_REPLY,
		  .liveliness_reply = { 1, { SEQ_MAX + 1, A1 }, 1 } },
		{ .type = MSG_MESSAGE,
		  .message = { { SEQ_MAX + 1, A1 }, 1, 1, BYTES("x"), false } },
		{ .type = MSG_MESSAGE,
		  .message = { { 1, A1 }, SEQ_MAX + 1, 1, BYTES("x"), false } },
		{ .type = MSG_MESSAGE,
		  .message = { { 1, A1 }, 1, SEQ_MAX + 1, BYTES("x"), false } },
		{ .type = MSG_MESSAGE,
		  .message = { { 1, A1 }, 1, -1, BYTES("x"), false } },
		{ .type = MSG_MESSAGE,
		  .message = { { 1, A1 }, 1, 1, BYTES("\xff"), false } },
		{ .type = MSG_MESSAGE,
		  .message = { { 1, A1 }, 1, 1, BYTES("\0"), false } },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_not_written(bad[i], ERR_RANGE);
	assert_not_written((struct message){ .type = MSG_PEER_REPLY,
					     .peer_reply = { PEER_BUSY,
							     { 1, A1 },
							     1,
							     LIST(seven) } },
			   ERR_TOO_LONG);
}

static void does_not_write_a_body_that_fits_no_frame(void **state)
{
	uint8_t *data = malloc(DATA_MAX);

	(void)state;
	memset(data, 1, DATA_MAX); /* six times as long when escaped */
	assert_not_written(
		(struct message){
			.type = MSG_MESSAGE,
			.message = { { 1, A1 }, 1, 1, data, DATA_MAX, false } },
		ERR_TOO_LONG);
	free(data);
}

/* Newlines are twice as long when escaped: their number sets the length. */
static void writes_a_body_of_the_largest_frame_and_no_larger(void **state)
{
	uint8_t *data = malloc(DATA_MAX);
	struct message m = { .type = MSG_MESSAGE,
			     .message = { { 1, A1 }, 1, 1, data, 0, false } };
	struct frame *f = NULL;
	size_t newlines;

	(void)state;
	assert_int_equal(codec_encode(&m, &f), ERR_OK);
	newlines = FRAME_BODY_MAX - DATA_MAX - f->body_bytes;
	frame_release(f);
	memset(data, 'x', DATA_MAX);
	memset(data, '\n', newlines);
	m.message.data_bytes = DATA_MAX;
	f = NULL;
	assert_int_equal(codec_encode(&m, &f), ERR_OK);
	assert_int_equal(f->body_bytes, FRAME_BODY_MAX);
	frame_release(f);
	data[newlines] = '\n';
	assert_not_written(m, ERR_TOO_LONG);
	free(data);
}

static void writes_a_message_without_data_bytes(void **state)
{
	struct message m = { .type = MSG_MESSAGE,
			     .message = { { 3, A1 }, 2, 0, NULL, 0, false } };

	(void)state;
	assert_encodes_to(&m, examples[21].text);
	m.message.base64 = codec_wants_base64(NULL, 0);
	assert_false(m.message.base64);
}

/* -- Whatever arrives. -- */

/* A body that was accepted is written to one that is accepted, and that is
 * written the same again. */
static void assert_settles(const void *bytes, size_t n)
{
	struct message m, back;
	struct frame *first = NULL, *second = NULL;

	if (decode_bytes(bytes, n, &m, NULL) != ERR_OK)
		return;
	assert_int_equal(codec_encode(&m, &first), ERR_OK);
	message_clear(&m);
	assert_int_equal(
		decode_bytes(first->body, first->body_bytes, &back, NULL),
		ERR_OK);
	assert_int_equal(codec_encode(&back, &second), ERR_OK);
	message_clear(&back);
	assert_int_equal(first->body_bytes, second->body_bytes);
	assert_memory_equal(first->body, second->body, first->body_bytes);
	frame_release(first);
	frame_release(second);
}

static void settles_on_every_changed_byte(void **state)
{
	static const char bytes[] = "{}[]\",:\\0159-.eEtnuA ~\xc3\xff\x01";
	char text[512];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(examples); i++) {
		size_t n = strlen(examples[i].text);

		assert_true(n < sizeof text);
		for (size_t at = 0; at < n; at++)
			for (size_t k = 0; k < sizeof bytes; k++) {
				memcpy(text, examples[i].text, n);
				text[at] = bytes[k];
				assert_settles(text, n);
				memmove(text + at + 1, examples[i].text + at,
					n - at);
				assert_settles(text, n + 1);
			}
	}
}

/* -- Out of memory, in the part that is cJSON's. -- */

static int allocations_left;

static void *failing_malloc(size_t n)
{
	return allocations_left-- > 0 ? malloc(n) : NULL;
}

static void survives_every_allocation_that_cjson_misses(void **state)
{
	cJSON_Hooks hooks = { failing_malloc, free };
	int failures = 0;

	(void)state;
	cJSON_InitHooks(&hooks);
	for (size_t i = 0; i < COUNT_OF(examples); i++) {
		enum err e = ERR_NOMEM;
		struct message m;
		const char *why;

		for (int n = 0; e != ERR_OK; n++) {
			allocations_left = n;
			e = decode(examples[i].text, &m, &why);
			if (e != ERR_OK && e != ERR_NOMEM)
				fail_msg("%s", why);
			failures += e != ERR_OK;
		}
		message_clear(&m);
	}
	cJSON_InitHooks(NULL);
	assert_true(failures > 100);
}

static void only_a_message_has_flags_and_hops(void **state)
{
	static const struct frame_head heads[] = {
		{ .flags = FRAME_RECOVERY },
		{ .flags = FRAME_SPREAD },
		{ .hops = 1 },
		{ .hops = 255 },
	};
	(void)state;

	for (size_t i = 0; i < COUNT_OF(examples) * COUNT_OF(heads); i++) {
		const char *text = examples[i / COUNT_OF(heads)].text;
		const struct frame_head *head = &heads[i % COUNT_OF(heads)];
		struct frame *f = frame_new(strlen(text));
		struct message m = { 0 };
		const char *why = NULL;
		enum err e;

		memcpy(f->body, text, strlen(text));
		e = codec_decode_frame(head, f, &m, &why);
		if (examples[i / COUNT_OF(heads)].m.type == MSG_MESSAGE) {
			assert_int_equal(e, ERR_OK);
		} else {
			assert_int_equal(e, ERR_SYNTAX);
			assert_non_null(strstr(why, "hops"));
		}
		message_clear(&m);
		frame_release(f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_every_example_byte_for_byte),
		cmocka_unit_test(reads_back_every_example),
		cmocka_unit_test(has_an_example_of_every_type),
		cmocka_unit_test(knows_every_word_of_every_vocabulary),
		cmocka_unit_test(refuses_every_example_without_one_field),
		cmocka_unit_test(
			refuses_every_example_with_one_field_of_another_kind),
		cmocka_unit_test(refuses_every_beginning_of_every_example),
		cmocka_unit_test(only_a_message_has_flags_and_hops),
		cmocka_unit_test(ignores_fields_it_does_not_know),
		cmocka_unit_test(does_not_mind_order_or_white_space),
		cmocka_unit_test(tells_an_unknown_type_from_a_broken_body),
		cmocka_unit_test(leaves_a_broken_body_to_the_scan),
		cmocka_unit_test(keeps_every_integer_in_its_range),
		cmocka_unit_test(supplies_what_may_be_missing),
		cmocka_unit_test(knows_an_answer_to_register_by_its_period),
		cmocka_unit_test(wants_ranges_or_an_id_but_not_both),
		cmocka_unit_test(says_which_field_was_wrong),
		cmocka_unit_test(writes_nothing_when_it_refuses),
		cmocka_unit_test(keeps_every_list_in_its_length),
		cmocka_unit_test(reads_the_largest_list_it_writes),
		cmocka_unit_test(carries_bytes_that_are_not_text),
		cmocka_unit_test(unescapes_text),
		cmocka_unit_test(has_data_even_where_there_is_none),
		cmocka_unit_test(refuses_data_that_is_not_of_its_encoding),
		cmocka_unit_test(carries_data_of_every_length_up_to_the_limit),
		cmocka_unit_test(refuses_data_over_the_limit),
		cmocka_unit_test(carries_whatever_a_user_gives),
		cmocka_unit_test(prefers_text_while_it_is_no_longer),
		cmocka_unit_test(does_not_write_what_others_would_refuse),
		cmocka_unit_test(does_not_write_a_body_that_fits_no_frame),
		cmocka_unit_test(
			writes_a_body_of_the_largest_frame_and_no_larger),
		cmocka_unit_test(writes_a_message_without_data_bytes),
		cmocka_unit_test(settles_on_every_changed_byte),
		cmocka_unit_test(survives_every_allocation_that_cjson_misses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
