#include "wire/scan.h"

#include "base/buf.h"
#include "base/rng.h"
#include "base/utf8.h"
#include "test.h"

#include <cjson/cJSON.h>

static enum err scan(const void *bytes, size_t n, const char **why)
{
	void *copy = exact_copy(bytes, n);
	enum err e = scan_object(copy, n, why);

	free(copy);
	return e;
}

static bool accepts(const char *text)
{
	return scan(text, strlen(text), NULL) == ERR_OK;
}

/* What the scan accepts, cJSON must be able to read: otherwise a stranger's
 * bytes would look like a lack of memory. */
static bool cjson_reads(const void *bytes, size_t n)
{
	char *copy = exact_copy(bytes, n);
	cJSON *tree = cJSON_ParseWithLength(copy, n);
	bool ok = cJSON_IsObject(tree);

	cJSON_Delete(tree);
	free(copy);
	return ok;
}

#define TWENTY_DIGITS "12345678901234567890"

static const char *const good[] = {
	"{}",
	" \t\r\n{ \t\r\n} \t\r\n",
	"{\"\":1}",
	"{\"a\":1}",
	" { \"a\" : 1 , \"b\" : [ 1 , 2 ] , \"c\" : { } } ",
	"{\"a\":[]}",
	"{\"a\":[ ]}",
	"{\"a\":[{},[],\"\",0,true,false,null]}",
	"{\"a\":0}",
	"{\"a\":-0}",
	"{\"a\":-1}",
	"{\"a\":10}",
	"{\"a\":1.5}",
	"{\"a\":0.0}",
	"{\"a\":1e5}",
	"{\"a\":1E+5}",
	"{\"a\":1e-5}",
	"{\"a\":0e0}",
	"{\"a\":1.25e09}",
	"{\"a\":1e400}", /* proper JSON; whether it is in range is not ours */
	"{\"a\":9007199254740993}",
	"{\"a\":1234567890" TWENTY_DIGITS TWENTY_DIGITS "1234567890123}",
	"{\"a\":\"\"}",
	"{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"}",
	"{\"a\":\"\\u0001\\u00e4\\u00E4\\uffff\"}",
	"{\"a\":\"\\ud83d\\ude00\"}",
	"{\"a\":\"\\uD800\\uDC00\\uDBFF\\uDFFF\"}",
	"{\"a\":\"\\\\u0000\"}", /* a backslash and five letters */
	"{\"a\":\"\x7f\"}",
	"{\"a\":\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"}",
	"{\"a\":\"12345678\",\"b\":\"1234567\",\"c\":\"123456789\"}",
	"{\"a\":1,\"A\":2,\"b\":{\"a\":1},\"c\":[{\"a\":1},{\"a\":1}]}",
	"{\"a\":1,\"\\u00e1\":2,\"\xc3\xa9\":3}",
	"{\"ab\":1,\"a\":2,\"abc\":3}",
	"{\"\xc3\xa9\":1,\"\xd3\xa9\":2,\"\\u03e9\":3}",
	"{\"\\\\u0061\":1,\"a\":2}",
};

static const char *const bad[] = {
	"",
	" ",
	"1",
	"\"a\"",
	"[]",
	"null",
	"[{}]",
	"\xef\xbb\xbf{}", /* BOM */
	"{",
	"}",
	"{{}}",
	"{}}",
	"{}{}",
	"{} x",
	"{},",
	"{}//",
	"/**/{}",
	"{\"a\"}",
	"{\"a\":}",
	"{\"a\",1}",
	"{\"a\" 1}",
	"{:1}",
	"{1:1}",
	"{a:1}",
	"{'a':1}",
	"{null:1}",
	"{\"a\":1,}",
	"{,\"a\":1}",
	"{\"a\":1,,\"b\":2}",
	"{\"a\":1 \"b\":2}",
	"{\"a\":1;\"b\":2}",
	"{\"a\":1]",
	"{\"a\":[1}",
	"{\"a\":[1,]}",
	"{\"a\":[,1]}",
	"{\"a\":[,]}",
	"{\"a\":[1 2]}",
	"{\"a\":[1",
	"{\"a\":\v1}",
	"{\"a\":\f1}",
	"{\"a\":\xc2\xa0\"\"}", /* a no-break space is no space */
	/* words */
	"{\"a\":True}",
	"{\"a\":tru}",
	"{\"a\":truee}",
	"{\"a\":nul}",
	"{\"a\":NULL}",
	"{\"a\":fals",
	"{\"a\":undefined}",
	"{\"a\":NaN}",
	"{\"a\":Infinity}",
	"{\"a\":-Infinity}",
	/* numbers */
	"{\"a\":01}",
	"{\"a\":00}",
	"{\"a\":-01}",
	"{\"a\":0123456789}",
	"{\"a\":1.}",
	"{\"a\":.5}",
	"{\"a\":-.5}",
	"{\"a\":1.e5}",
	"{\"a\":1e}",
	"{\"a\":1e+}",
	"{\"a\":1e-}",
	"{\"a\":1e5.5}",
	"{\"a\":1.5.5}",
	"{\"a\":+1}",
	"{\"a\":-}",
	"{\"a\":--1}",
	"{\"a\":- 1}",
	"{\"a\":0x10}",
	"{\"a\":1_000}",
	"{\"a\":1f}",
	"{\"a\":1234567890" TWENTY_DIGITS TWENTY_DIGITS "12345678901234}",
	/* strings */
	"{\"a\":\"",
	"{\"a\":\"\\",
	"{\"a\":\"\\\"}",
	"{\"a\":\"\n\"}",
	"{\"a\":\"\t\"}",
	"{\"a\":\"\x01\"}",
	"{\"a\":\"\x1f\"}",
	"{\"a\":\"12345678\x1f\"}",
	"{\"\x01\":1}",
	"{\"a\":\"\\x41\"}",
	"{\"a\":\"\\a\"}",
	"{\"a\":\"\\'\"}",
	"{\"a\":\"\\0\"}",
	"{\"a\":\"\\U0041\"}",
	"{\"a\":\"\\u\"}",
	"{\"a\":\"\\u004\"}",
	"{\"a\":\"\\u004g\"}",
	"{\"a\":\"\\u 041\"}",
	"{\"a\":\"\\u-041\"}",
	"{\"a\":\"\\u+041\"}",
	"{\"a\":\"\\u0000\"}",
	"{\"a\":\"x\\u0000y\"}",
	"{\"ty\\u0000pe\":1}",
	"{\"a\":\"\\ud800\"}",
	"{\"a\":\"\\udbff\"}",
	"{\"a\":\"\\udc00\"}",
	"{\"a\":\"\\udfff\"}",
	"{\"a\":\"\\ud83d\\u0041\"}",
	"{\"a\":\"\\ud83dxude00\"}",
	"{\"a\":\"\\ud83d\\nde00\"}",
	"{\"a\":\"\\ud83d\\ud83d\"}",
	"{\"a\":\"\\ude00\\ud83d\"}",
	"{\"a\":\"\\ud83d \\ude00\"}",
	"{\"a\":\"\\ud83d",
	"{\"a\":\"\\ud83d\\",
	"{\"a\":\"\\ud83d\\ude0",
	/* not UTF-8 */
	"{\"a\":\"\x80\"}",
	"{\"a\":\"\xc0\xaf\"}",
	"{\"a\":\"\xc3\"}",
	"{\"a\":\"\xe2\x82\"}",
	"{\"a\":\"\xed\xa0\x80\"}",
	"{\"a\":\"\xed\xa0\xbd\xed\xb8\x80\"}",
	"{\"a\":\"\xf4\x90\x80\x80\"}",
	"{\"a\":\"\xff\"}",
	"{\"a\":\"12345678\xff\"}",
	"{\"\xff\":1}",
	"{\xff}",
	/* a key twice */
	"{\"a\":1,\"a\":2}",
	"{\"\":1,\"\":2}",
	"{\"a\":1,\"b\":2,\"a\":1}",
	"{\"a\":1,\"\\u0061\":2}",
	"{\"\\u0061\":1,\"a\":2}",
	"{\"\\u006a\":1,\"\\u006A\":2}",
	"{\"ty\\u0070e\":1,\"type\":2}",
	"{\"\\n\":1,\"\\u000a\":2}",
	"{\"\\/\":1,\"/\":2}",
	"{\"\\\\\":1,\"\\u005c\":2}",
	"{\"\\\"\":1,\"\\u0022\":2}",
	"{\"\xc3\xa9\":1,\"\\u00e9\":2}",
	"{\"\xe2\x82\xac\":1,\"\\u20aC\":2}",
	"{\"\xf0\x9f\x98\x80\":1,\"\\ud83d\\ude00\":2}",
	"{\"\xdf\xbf\":1,\"\\u07ff\":2}",
	"{\"\xef\xbf\xbf\":1,\"\\uffff\":2}",
	"{\"\xf4\x8f\xbf\xbf\":1,\"\\udbff\\udfff\":2}",
	"{\"x\":{\"a\":1,\"a\":2}}",
	"{\"x\":[1,{\"a\":1,\"a\":2}]}",
	"{\"a\":{\"a\":{}},\"b\":1,\"a\":1}",
};

static void accepts_what_rfc_8259_calls_an_object(void **state)
{
	const char *why = NULL;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		if (scan(good[i], strlen(good[i]), &why) != ERR_OK)
			fail_msg("%s: %s", good[i], why);
		if (!cjson_reads(good[i], strlen(good[i])))
			fail_msg("cJSON cannot read %s", good[i]);
	}
}

static void refuses_everything_else_and_says_why(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		const char *why = NULL;

		if (scan(bad[i], strlen(bad[i]), &why) != ERR_SYNTAX)
			fail_msg("%s was accepted", bad[i]);
		assert_non_null(why);
	}
}

static void refuses_every_beginning_of_an_object(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		size_t end = (size_t)(strrchr(good[i], '}') - good[i]);

		for (size_t n = 0; n <= end; n++)
			if (scan(good[i], n, NULL) == ERR_OK)
				fail_msg("%.*s", (int)n, good[i]);
	}
}

static void refuses_a_nul_byte_anywhere(void **state)
{
	static const char text[] =
		"{ \"a\" : [ \"x\\n\" , 1 ] , \"b\" : true } ";
	const size_t n = sizeof text - 1;
	char changed[sizeof text + 1];

	(void)state;
	assert_true(accepts(text));
	for (size_t i = 0; i <= n; i++) {
		memcpy(changed, text, i);
		changed[i] = '\0';
		memcpy(changed + i + 1, text + i, n - i);
		assert_int_equal(scan(changed, n + 1, NULL), ERR_SYNTAX);
	}
}

static void leaves_why_alone_when_it_accepts(void **state)
{
	const char *why = "before";

	(void)state;
	assert_int_equal(scan("{}", 2, &why), ERR_OK);
	assert_string_equal(why, "before");
	assert_int_equal(scan("{\"a\":1,\"a\":2}", 13, &why), ERR_SYNTAX);
	assert_string_equal(why, "a key twice in one object");
}

static void finds_a_bad_byte_at_every_offset_of_a_word(void **state)
{
	static const char stops[] = { '"', '\\', '\0', '\n', 0x1f, (char)0x80 };
	char text[64];

	(void)state;
	for (size_t at = 0; at < 24; at++)
		for (size_t i = 0; i < COUNT_OF(stops); i++) {
			memcpy(text, "{\"a\":\"", 6);
			memset(text + 6, '~', 24);
			memcpy(text + 30, "\"}", 2);
			assert_int_equal(scan(text, 32, NULL), ERR_OK);
			text[6 + at] = stops[i];
			assert_int_equal(scan(text, 32, NULL), ERR_SYNTAX);
		}
}

/* Every byte value in a string, alone among plain ones. */
static void knows_every_plain_byte(void **state)
{
	(void)state;
	for (int c = 0; c < 256; c++) {
		char text[] = "{\"a\":\"xxx.xxxxxxxx\"}";
		bool plain = c >= 0x20 && c < 0x80 && c != '"' && c != '\\';

		text[9] = (char)c;
		assert_int_equal(scan(text, sizeof text - 1, NULL) == ERR_OK,
				 plain);
	}
}

static void nested(struct buf *b, const char *open, const char *middle,
		   const char *close, int depth)
{
	buf_reset(b);
	buf_str(b, "{\"a\":");
	for (int i = 1; i < depth; i++)
		buf_str(b, open);
	buf_str(b, middle);
	for (int i = 1; i < depth; i++)
		buf_str(b, close);
	buf_str(b, "}");
}

static void goes_eight_deep_and_no_deeper(void **state)
{
	static const int too_deep[] = { 9, 10, 64, 1000, 1001, 100000 };
	struct buf b = { 0 };
	const char *why = NULL;

	(void)state;
	nested(&b, "[", "1", "]", SCAN_DEPTH_MAX);
	assert_int_equal(scan(b.data, b.len, &why), ERR_OK);
	nested(&b, "{\"a\":", "1", "}", SCAN_DEPTH_MAX);
	assert_int_equal(scan(b.data, b.len, &why), ERR_OK);
	for (size_t i = 0; i < COUNT_OF(too_deep); i++) {
		nested(&b, "[", "1", "]", too_deep[i]);
		assert_int_equal(scan(b.data, b.len, &why), ERR_SYNTAX);
		assert_string_equal(why, "nested too deeply");
		nested(&b, "{\"a\":", "1", "}", too_deep[i]);
		assert_int_equal(scan(b.data, b.len, &why), ERR_SYNTAX);
		assert_string_equal(why, "nested too deeply");
	}
	buf_free(&b);
}

static void comes_back_up_from_the_depth(void **state)
{
	(void)state;
	assert_true(accepts("{\"a\":[[[[[[[]]]]]]],\"b\":[[[[[[[]]]]]]],"
			    "\"c\":{\"d\":[[[[[[]]]]]]}}"));
}

/* {"a":[1,1,...]} with n ones: n + 2 values. */
static void ones(struct buf *b, const char *one, int n)
{
	buf_reset(b);
	buf_str(b, "{\"a\":[");
	for (int i = 0; i < n; i++) {
		buf_str(b, i > 0 ? "," : "");
		buf_str(b, one);
	}
	buf_str(b, "]}");
}

static void counts_values_of_every_kind(void **state)
{
	static const char *const kinds[] = { "1",    "\"\"", "[]",
					     "true", "null", "{}" };
	struct buf b = { 0 };
	const char *why = NULL;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		ones(&b, kinds[i], SCAN_VALUES_MAX - 2);
		assert_int_equal(scan(b.data, b.len, &why), ERR_OK);
		assert_true(cjson_reads(b.data, b.len));
		ones(&b, kinds[i], SCAN_VALUES_MAX - 1);
		assert_int_equal(scan(b.data, b.len, &why), ERR_SYNTAX);
		assert_string_equal(why, "too many values");
	}
	buf_free(&b);
}

static void keys(struct buf *b, int n)
{
	buf_reset(b);
	for (int i = 0; i < n; i++)
		buf_fmt(b, "%s\"k%d\":1", i > 0 ? "," : "{", i);
	buf_str(b, "}");
}

static void counts_the_keys_of_one_object(void **state)
{
	struct buf b = { 0 };
	const char *why = NULL;

	(void)state;
	keys(&b, SCAN_KEYS_MAX);
	assert_int_equal(scan(b.data, b.len, &why), ERR_OK);
	b.data[b.len - 1] = ','; /* the last key is compared with the first */
	buf_str(&b, "\"k0\":1}");
	assert_int_equal(scan(b.data, b.len, &why), ERR_SYNTAX);
	keys(&b, SCAN_KEYS_MAX + 1);
	assert_int_equal(scan(b.data, b.len, &why), ERR_SYNTAX);
	assert_string_equal(why, "too many keys in one object");
	/* The limit is of one object. */
	buf_reset(&b);
	buf_str(&b, "{\"a\":");
	for (int i = 0; i < 2; i++) {
		struct buf inner = { 0 };

		keys(&inner, SCAN_KEYS_MAX);
		buf_str(&b, i > 0 ? ",\"b\":" : "");
		buf_add(&b, inner.data, inner.len);
		buf_free(&inner);
	}
	buf_str(&b, "}");
	assert_int_equal(scan(b.data, b.len, &why), ERR_OK);
	buf_free(&b);
}

static void refuses_numbers_that_cjson_would_cut(void **state)
{
	char text[400];

	(void)state;
	for (size_t digits = 1; digits <= 300; digits++) {
		size_t n = 5;
		bool ok;

		memcpy(text, "{\"a\":", n);
		memset(text + n, '7', digits);
		n += digits;
		text[n++] = '}';
		ok = scan(text, n, NULL) == ERR_OK;
		assert_int_equal(ok, digits <= 63);
		if (ok)
			assert_true(cjson_reads(text, n));
	}
}

/* One random change: a byte lost, doubled, or made another. */
static size_t mutate(struct rng *r, char *text, size_t n, size_t room)
{
	static const char letters[] = "{}[]\",:\\u0019eE+-. \ntfn\xc3\xa4\xff";
	size_t at = (size_t)rng_below(r, n);

	switch (rng_below(r, 4)) {
	case 0:
		memmove(text + at, text + at + 1, n - at - 1);
		return n - 1;
	case 1:
		if (n == room)
			return n;
		memmove(text + at + 1, text + at, n - at);
		return n + 1;
	case 2:
		text[at] = (char)rng_below(r, 256);
		return n;
	default:
		text[at] = letters[rng_below(r, sizeof letters - 1)];
		return n;
	}
}

static void accepts_nothing_that_cjson_refuses(void **state)
{
	struct rng r;
	int accepted = 0;

	(void)state;
	rng_init(&r, 42);
	for (int round = 0; round < 100000; round++) {
		const char *from = good[rng_below(&r, COUNT_OF(good))];
		char text[128];
		size_t n = strlen(from);

		assert_true(n < sizeof text);
		memcpy(text, from, n);
		for (uint64_t i = rng_below(&r, 4) + 1; i > 0 && n > 1; i--)
			n = mutate(&r, text, n, sizeof text);
		if (scan(text, n, NULL) != ERR_OK)
			continue;
		accepted++;
		if (!utf8_valid(text, n) || !cjson_reads(text, n))
			fail_msg("round %d: %.*s", round, (int)n, text);
	}
	assert_true(accepted > 1000); /* or the comparison says nothing */
}

/* -- Where the members are. -- */

static void assert_text(const struct scan_text *t, const char *at, size_t n)
{
	assert_ptr_equal(t->at, at);
	assert_int_equal(t->n, n);
}

static void notes_where_the_outermost_members_are(void **state)
{
	static const char text[] =
		" {\"a\":1, \"\\u0062\" : {\"c\":\"\\n\"} ,"
		"\"\":\"d\\\\\",\"e\":[2,\"f\"]\t,\"g\":true} ";
	static const struct {
		const char *key, *value, *kinds;
		bool key_escaped, value_escaped;
	} t[] = {
		{ "a", "1", "1", false, false },
		{ "\\u0062", "{\"c\":\"\\n\"}", "{", true, false },
		{ "", "d\\\\", "\"", false, true },
		{ "e", "[2,\"f\"]", "[", false, false },
		{ "g", "true", "t", false, false },
	};
	struct scan_members all;

	(void)state;
	assert_int_equal(scan_members(text, strlen(text), &all, NULL), ERR_OK);
	assert_int_equal(all.n, COUNT_OF(t));
	for (size_t i = 0; i < COUNT_OF(t); i++) {
		const struct scan_member *m = &all.v[i];

		assert_int_equal(m->key.n, strlen(t[i].key));
		assert_memory_equal(m->key.at, t[i].key, m->key.n);
		assert_int_equal(m->value.n, strlen(t[i].value));
		assert_memory_equal(m->value.at, t[i].value, m->value.n);
		assert_int_equal(m->kind, t[i].kinds[0]);
		assert_int_equal(m->key.escaped, t[i].key_escaped);
		assert_int_equal(m->value.escaped, t[i].value_escaped);
	}
	assert_text(&all.v[2].value, strstr(text, "d\\"), 3);
	assert_int_equal(scan_members("{}", 2, &all, NULL), ERR_OK);
	assert_int_equal(all.n, 0);
}

static void unescapes_what_it_noted(void **state)
{
	static const char text[] = "{\"k\\u0065y\":\"a\\u00e4\\/\xc3\xa4\\ud83d"
				   "\\ude00\\u20ac\\b\\f\\n\\r\\t\\\"\\\\z\"}";
	static const char expected[] = "a\xc3\xa4/\xc3\xa4\xf0\x9f\x98\x80"
				       "\xe2\x82\xac\b\f\n\r\t\"\\z";
	size_t n = sizeof expected - 1;
	struct scan_members all;
	char out[sizeof expected];

	(void)state;
	assert_int_equal(scan_members(text, strlen(text), &all, NULL), ERR_OK);
	for (size_t cap = 0; cap <= n; cap++) {
		memset(out, '#', sizeof out);
		assert_int_equal(scan_text_copy(&all.v[0].value, out, cap), n);
		assert_memory_equal(out, expected, cap);
		assert_int_equal(out[cap], '#');
	}
	assert_true(scan_text_is(&all.v[0].key, "key", 3));
	assert_false(scan_text_is(&all.v[0].key, "kex", 3));
	assert_false(scan_text_is(&all.v[0].key, "ke", 2));
	assert_false(scan_text_is(&all.v[0].key, "keys", 4));
}

/* Keys of every length, the second with a part of it escaped: found. With one
 * letter changed: not. */
static void finds_a_key_again_however_it_is_written(void **state)
{
	char letters[41], text[400];

	(void)state;
	for (size_t n = 1; n < sizeof letters; n++)
		for (size_t at = 0; at < n; at++) {
			for (size_t i = 0; i < n; i++)
				letters[i] = (char)('a' + i % 26);
			letters[n] = '\0';
			sprintf(text, "{\"%s\":1,\"%.*s\\u%04x%s\":2}", letters,
				(int)at, letters, (unsigned)letters[at],
				letters + at + 1);
			assert_int_equal(scan_object(text, strlen(text), NULL),
					 ERR_SYNTAX);
			sprintf(text, "{\"%s\":1,\"%.*s\\u%04x%s\":2}", letters,
				(int)at, letters, (unsigned)letters[at] ^ 1,
				letters + at + 1);
			assert_int_equal(scan_object(text, strlen(text), NULL),
					 ERR_OK);
			sprintf(text, "{\"%s\":1,\"%s\":2}", letters, letters);
			assert_int_equal(scan_object(text, strlen(text), NULL),
					 ERR_SYNTAX);
			letters[at] ^= 1;
		}
}

/* Code points of more than a byte, across the words of a hash. */
static void finds_a_key_again_behind_what_is_not_ascii(void **state)
{
	char text[200];

	(void)state;
	for (int n = 0; n < 20; n++)
		for (int more = 0; more < 20; more++) {
			sprintf(text,
				"{\"%.*s\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80%.*"
				"s\":1,"
				"\"%.*s\\u00e4\\u20ac\\ud83d\\ude00%.*s\":2}",
				n, "abcdefghijklmnopqrst", more,
				"ABCDEFGHIJKLMNOPQRST", n,
				"abcdefghijklmnopqrst", more,
				"ABCDEFGHIJKLMNOPQRST");
			assert_int_equal(scan_object(text, strlen(text), NULL),
					 ERR_SYNTAX);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepts_what_rfc_8259_calls_an_object),
		cmocka_unit_test(refuses_everything_else_and_says_why),
		cmocka_unit_test(refuses_every_beginning_of_an_object),
		cmocka_unit_test(refuses_a_nul_byte_anywhere),
		cmocka_unit_test(leaves_why_alone_when_it_accepts),
		cmocka_unit_test(finds_a_bad_byte_at_every_offset_of_a_word),
		cmocka_unit_test(knows_every_plain_byte),
		cmocka_unit_test(goes_eight_deep_and_no_deeper),
		cmocka_unit_test(comes_back_up_from_the_depth),
		cmocka_unit_test(counts_values_of_every_kind),
		cmocka_unit_test(counts_the_keys_of_one_object),
		cmocka_unit_test(refuses_numbers_that_cjson_would_cut),
		cmocka_unit_test(accepts_nothing_that_cjson_refuses),
		cmocka_unit_test(notes_where_the_outermost_members_are),
		cmocka_unit_test(unescapes_what_it_noted),
		cmocka_unit_test(finds_a_key_again_however_it_is_written),
		cmocka_unit_test(finds_a_key_again_behind_what_is_not_ascii),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
