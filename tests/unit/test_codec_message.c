#include "wire/codec_message.h"

#include "base/buf.h"
#include "base/rng.h"
#include "oracle.h"
#include "scarce.h"

#define ORIGIN "\"origin\":\"127.0.0.1:6001\""
#define NUMBERS "\"incarnation\":1764000000123,\"seq\":1,\"time\":0"
#define START "{\"type\":\"Message\"," ORIGIN "," NUMBERS ",\"data\":"

/* -- The way we write it. -- */

static struct message example(const void *data, size_t n, bool base64)
{
	return (struct message){
		.type = MSG_MESSAGE,
		.message = { { 1764000000123,
			       { .ip = { 127, 0, 0, 1 },
				 .port = 6001,
				 .family = ADDR_V4 } },
			     7,
			     1764000001000,
			     data,
			     n,
			     base64 },
	};
}

static void reads_what_we_write_where_it_stands(void **state)
{
	static const char *const texts[] = {
		"",
		"a",
		"Hello, world",
		"gr\xc3\xbc\xc3\x9f dich",
		"\xe4\xbd\xa0\xe5\xa5\xbd\xf0\x9f\x98\x80 /\x7f",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		struct message m = example(texts[i], strlen(texts[i]), false);
		struct message back = { 0 };
		struct frame *f = NULL;

		assert_int_equal(codec_encode(&m, &f), ERR_OK);
		assert_true(message_read(f->body, f->body_bytes, &back));
		assert_same_message(&back, &m);
		assert_null(back.memory);
		assert_ptr_equal(back.message.data + m.message.data_bytes + 2,
				 f->body + f->body_bytes);
		frame_release(f);
	}
}

static void reads_what_we_write_in_other_words(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
		bool base64;
	} t[] = {
		{ "a line\nand \"another\"", 20, false },
		{ "\x01\x1f\t\\", 4, false },
		{ "\xff\0\xfe", 3, true },
		{ "", 0, true },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(t); i++) {
		struct message m = example(t[i].bytes, t[i].n, t[i].base64);
		struct message back = { 0 };
		struct frame *f = NULL;

		assert_int_equal(codec_encode(&m, &f), ERR_OK);
		assert_true(message_read(f->body, f->body_bytes, &back));
		frame_release(f); /* this data is in memory of its own */
		assert_same_message(&back, &m);
		message_clear(&back);
	}
}

static void leaves_every_other_body_to_the_codec(void **state)
{
	static const char *const texts[] = {
		START "\"a\"} ",
		START "\"a\" }",
		START "\"a\",\"x\":1}",
		START "\"a\"b\"}",
		START "\"a\n\"}",
		START "\"\xff\"}",
		START "\"a\\\"}",
		START "\"\xc3\"}",
		START "\"}",
		START "\"",
		START "}",
		START "\"a\"",
		"{\"type\":\"Message\"," ORIGIN,
		"{\"type\":\"Message\"," ORIGIN
		",\"incarnation\":1,\"seq\":01,\"time\":0,\"data\":\"\"}",
		"{\"type\":\"Message\"," ORIGIN
		",\"incarnation\":1,\"seq\":0,\"time\":0,\"data\":\"\"}",
		"{\"type\":\"Message\"," ORIGIN
		",\"incarnation\":0,\"seq\":1,\"time\":0,\"data\":\"\"}",
		"{\"type\":\"Message\"," ORIGIN
		",\"incarnation\":1,\"seq\":9007199254740992,\"time\":0,"
		"\"data\":\"\"}",
		"{\"type\":\"Message\"," ORIGIN
		",\"incarnation\":1,\"seq\":18446744073709551617,\"time\":0,"
		"\"data\":\"\"}",
		"{\"type\":\"Message\"," ORIGIN
		",\"incarnation\":1,\"seq\":1,\"time\":,\"data\":\"\"}",
		"{\"type\":\"Message\"," ORIGIN
		",\"incarnation\":1,\"seq\":1,\"time\":-0,\"data\":\"\"}",
		"{\"type\":\"Message\",\"origin\":\"127.0.0.1:06001\"," NUMBERS
		",\"data\":\"\"}",
		"{\"type\":\"Message\",\"origin\":\"\"," NUMBERS
		",\"data\":\"\"}",
		"{}",
		"",
	};
	struct message m;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		size_t n = strlen(texts[i]);
		char *copy = exact_copy(texts[i], n);

		if (message_read(copy, n, &m))
			fail_msg("%s", texts[i]);
		assert_agrees(copy, n);
		free(copy);
	}
}

static void no_memory_is_needed_for_plain_data(void **state)
{
	static const char plain[] = START "\"text\"}";
	static const char spaced[] =
		"{ \"data\" :\"text\"," ORIGIN
		",\"type\":\"Mess\\u0061ge\"," NUMBERS ",\"more\":[{}]}";
	struct message m;

	(void)state;
	scarce_after(0, true);
	assert_int_equal(codec_decode(plain, strlen(plain), &m, NULL), ERR_OK);
	assert_null(m.memory);
	assert_memory_equal(m.message.data, "text", 4);
	assert_ptr_equal(m.message.data, strstr(plain, "text"));
	assert_int_equal(codec_decode(spaced, strlen(spaced), &m, NULL),
			 ERR_OK);
	assert_null(m.memory);
	assert_ptr_equal(m.message.data, strstr(spaced, "text"));
	assert_int_equal(scarce_end(), 0);
}

static void survives_every_allocation_that_fails(void **state)
{
	static const char *const texts[] = {
		START "\"\\n\"}", START "\"AA==\",\"encoding\":\"base64\"}",
		START "\"AA\\u003d=\",\"encoding\":\"base64\"}"
	};
	struct message m = example("x", 1, false);
	struct frame *f = NULL;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		for (long n = 0;; n++) {
			const char *why = NULL;
			enum err e;

			scarce_after(n, true);
			e = codec_decode(texts[i], strlen(texts[i]), &m, &why);
			if (scarce_end() == 0) {
				assert_int_equal(e, ERR_OK);
				assert_int_equal(n, i == 2 ? 2 : 1);
				break;
			}
			assert_int_equal(e, ERR_NOMEM);
			assert_string_equal(why, err_text(ERR_NOMEM));
		}
		message_clear(&m);
	}
	m = example("x", 1, false);
	scarce_after(0, false);
	assert_int_equal(codec_encode(&m, &f), ERR_NOMEM);
	assert_int_equal(scarce_end(), 1);
	scarce_after(1, true); /* the frame, and nothing else */
	assert_int_equal(codec_encode(&m, &f), ERR_OK);
	scarce_end();
	frame_release(f);
}

/* -- Against cJSON: bodies made of right and wrong pieces. -- */

struct maker {
	struct rng r;
	struct buf b;
};

static bool one_in(struct maker *k, unsigned n)
{
	return rng_below(&k->r, n) == 0;
}

#define PICK(k, list) (list)[rng_below(&(k)->r, COUNT_OF(list))]

static void put_space(struct maker *k)
{
	while (one_in(k, 12))
		buf_char(&k->b, " \t\r\n"[rng_below(&k->r, 4)]);
}

/* ASCII of a text may stand as an escape. */
static void put_string(struct maker *k, const char *text)
{
	unsigned odds = one_in(k, 4) ? 3 : 1000;

	buf_char(&k->b, '"');
	for (const char *c = text; *c != '\0'; c++) {
		bool must = *c == '"' || *c == '\\';
		bool may = *c > 0 && *c < 0x7f;

		if (must || (may && one_in(k, odds)))
			buf_fmt(&k->b, one_in(k, 2) ? "\\u%04x" : "\\u%04X",
				(unsigned)*c);
		else
			buf_char(&k->b, *c);
	}
	buf_char(&k->b, '"');
}

static void put_number(struct maker *k)
{
	static const char *const odd[] = {
		"0",
		"1",
		"-0",
		"-1",
		"00",
		"01",
		"1.0",
		"1e3",
		"1E+2",
		"10e-1",
		"0.5",
		"1.5",
		"1e400",
		"-1e400",
		"1e-400",
		"1.",
		"1e",
		"+1",
		"9007199254740991",
		"9007199254740992",
		"9007199254740993",
		"9007199254740990.9999",
		"9007199254740991.4",
		"9999999999999999",
		"90071992547409910e-1",
		"10000000000000000",
		"18446744073709551616",
		"18446744073709551617",
		"00000000000000000000000000000000001",
		"1.0000000000000000000000000000000000001",
		"0.0",
		"0e0",
		"0x1",
		"1000000000000000000000000000000000000000000000000000000000000e"
		"-60",
		"0."
		"0000000000000000000000000000000000000000000000000000000000001",
		"0."
		"0000000000000000000000000000000000000000000000000000000000000"
		"1",
	};

	if (one_in(k, 8))
		buf_str(&k->b, PICK(k, odd));
	else
		buf_u64(&k->b,
			1 + (rng_u64(&k->r) >> rng_between(&k->r, 9, 63)));
}

static void put_address(struct maker *k)
{
	static const char *const texts[] = {
		"1.2.3.4:5",
		"127.0.0.1:16001",
		"255.255.255.255:65535",
		"[::1]:6003",
		"[2001:db8::1]:1",
		"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
		"1.2.3.4:0",
		"1.2.3.4",
		"1.2.3.256:5",
		"01.2.3.4:5",
		"",
		"x",
		"[::ffff:1.2.3.4]:5",
		"[0::1]:5",
		"1.2.3.4:65536",
		"[::1]",
		"1.2.3.4:5                                                  ",
	};

	put_string(k,
		   texts[rng_below(&k->r, one_in(k, 8) ? COUNT_OF(texts) : 6)]);
}

static void put_data(struct maker *k)
{
	static const char *const texts[] = {
		"",
		"a",
		"text",
		"eight by",
		"a longer text of 32 bytes, really",
		"gr\xc3\xbc\xc3\x9f",
		"\xe4\xbd\xa0\xe5\xa5\xbd",
		"AA==",
		"AAA=",
		"AAAA",
		"/wD+",
		"=",
		"\"quoted\" \\ text",
		"\xf0\x9f\x98\x80 and seven words that do not fit one word",
	};

	put_string(k, PICK(k, texts));
}

static void put_anything(struct maker *k)
{
	static const char *const values[] = {
		"null",
		"true",
		"false",
		"[]",
		"{}",
		"\"\"",
		"[1,[2,\"3\"]]",
		"{\"data\":\"no\",\"type\":\"Bye\"}",
		"\"\\ud83d\\ude00\"",
		"nul",
		"\"\\u0000\"",
		"\"\\ud83d\"",
		"\"\n\"",
		"\"\xc0\x80\"",
		"[1,]",
		"{\"a\":1,\"\\u0061\":2}",
	};

	buf_str(&k->b,
		values[rng_below(&k->r, one_in(k, 4) ? COUNT_OF(values) : 9)]);
}

static const char *const known[] = { "type", "origin", "incarnation", "seq",
				     "time", "data",   "encoding" };

static void put_value(struct maker *k, const char *key)
{
	static const char *const types[] = { "Message",  "message", "Messag",
					     "Messages", "Bye",     "" };

	put_space(k);
	if (one_in(k, 60))
		put_anything(k);
	else if (key == known[0])
		put_string(k, one_in(k, 30) ? PICK(k, types) : "Message");
	else if (key == known[1])
		put_address(k);
	else if (key == known[5])
		put_data(k);
	else if (key == known[6])
		put_string(k, one_in(k, 10) ? "Base64" : "base64");
	else if (key == NULL)
		put_anything(k);
	else
		put_number(k);
	put_space(k);
}

static void put_member(struct maker *k, const char *key)
{
	static const char *const others[] = {
		"x",   "",           "Type",         "datas",
		"dat", "incarnatio", "incarnation ", "\xc3\xa4"
	};

	if (k->b.len > 1)
		buf_char(&k->b, ',');
	put_space(k);
	put_string(k, key != NULL ? key : PICK(k, others));
	put_space(k);
	buf_char(&k->b, ':');
	put_value(k, key);
}

/* Often as it should be, seldom far from it. */
static void make_body(struct maker *k)
{
	const char *order[COUNT_OF(known)];
	size_t n = COUNT_OF(known) - !one_in(k, 5);

	memcpy(order, known, sizeof order);
	for (size_t i = n; one_in(k, 3) && i > 1; i--) {
		size_t j = (size_t)rng_below(&k->r, i);
		const char *key = order[j];

		order[j] = order[i - 1];
		order[i - 1] = key;
	}
	buf_reset(&k->b);
	buf_char(&k->b, '{');
	for (size_t i = 0; i < n; i++) {
		if (one_in(k, 15))
			put_member(k, NULL);
		if (!one_in(k, 60))
			put_member(k, order[i]);
		if (one_in(k, 150))
			put_member(k, order[i]);
	}
	buf_char(&k->b, '}');
}

static void change_a_byte(struct maker *k)
{
	static const char bytes[] = "{}[]\",:\\0159-.eEtnuA ~\xc3\xff\x01";
	size_t at = (size_t)rng_below(&k->r, k->b.len);
	char c = bytes[rng_below(&k->r, sizeof bytes)];

	switch (rng_below(&k->r, 3)) {
	case 0:
		k->b.data[at] = c;
		break;
	case 1:
		buf_char(&k->b, c);
		memmove(k->b.data + at + 1, k->b.data + at, k->b.len - at - 1);
		k->b.data[at] = c;
		break;
	default:
		memmove(k->b.data + at, k->b.data + at + 1, k->b.len - at - 1);
		k->b.len--;
	}
}

/* How many were Messages. */
static int compare(struct maker *k, int rounds, void (*make)(struct maker *))
{
	int messages = 0;

	for (int i = 0; i < rounds; i++) {
		char *copy;

		make(k);
		for (int changes = 0; one_in(k, 3) && changes < 4; changes++)
			change_a_byte(k);
		assert_false(k->b.failed);
		copy = exact_copy(k->b.data, k->b.len);
		messages += assert_agrees(copy, k->b.len);
		free(copy);
	}
	buf_free(&k->b);
	return messages;
}

static void agrees_with_cjson_on_bodies_of_every_kind(void **state)
{
	struct maker k = { .b = { 0 } };

	(void)state;
	rng_init(&k.r, 23);
	assert_in_range(compare(&k, 200000, make_body), 40000, 160000);
}

/* Without a space or an escape, as a rule: what message_read reads. */
static void make_plain(struct maker *k)
{
	struct message m = example("plain text, and some more", 0, false);
	struct frame *f = NULL;

	m.message.data_bytes = (size_t)rng_below(&k->r, 26);
	m.message.seq = 1 + (rng_u64(&k->r) >> rng_between(&k->r, 11, 63));
	m.message.origin.addr.port = (uint16_t)(1 + rng_below(&k->r, 65535));
	m.message.origin.addr.ip[0] = (uint8_t)rng_below(&k->r, 256);
	assert_int_equal(codec_encode(&m, &f), ERR_OK);
	buf_reset(&k->b);
	buf_add(&k->b, f->body, f->body_bytes);
	frame_release(f);
}

static void agrees_with_cjson_near_what_we_write(void **state)
{
	struct maker k = { .b = { 0 } };

	(void)state;
	rng_init(&k.r, 29);
	assert_in_range(compare(&k, 100000, make_plain), 50000, 95000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_we_write_where_it_stands),
		cmocka_unit_test(reads_what_we_write_in_other_words),
		cmocka_unit_test(leaves_every_other_body_to_the_codec),
		cmocka_unit_test(no_memory_is_needed_for_plain_data),
		cmocka_unit_test(survives_every_allocation_that_fails),
		cmocka_unit_test(agrees_with_cjson_near_what_we_write),
		cmocka_unit_test(agrees_with_cjson_on_bodies_of_every_kind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
