#include "base/buf.h"

#include "base/utf8.h"
#include "test.h"

static void assert_holds(struct buf *b, const char *text)
{
	assert_false(b->failed);
	assert_string_equal(buf_text(b), text);
	assert_int_equal(b->len, strlen(text));
	buf_reset(b);
}

static void joins_what_is_added(void **state)
{
	struct buf b = { 0 };

	(void)state;
	buf_add(&b, "a\0b", 3);
	buf_add(&b, NULL, 0);
	buf_char(&b, 'c');
	buf_str(&b, "de");
	buf_str(&b, "");
	assert_int_equal(b.len, 6);
	assert_memory_equal(b.data, "a\0bcde", 6);
	buf_free(&b);
	assert_null(b.data);
	assert_int_equal(b.cap, 0);
}

static void grows_from_byte_to_megabyte(void **state)
{
	struct buf b = { 0 };

	(void)state;
	for (size_t i = 0; i < 1000000; i++)
		buf_char(&b, (char)i);
	assert_int_equal(b.len, 1000000);
	for (size_t i = 0; i < b.len; i++)
		assert_true(b.data[i] == (char)i);
	buf_free(&b);
}

static void keeps_its_memory_when_reset(void **state)
{
	struct buf b = { 0 };
	const char *data;

	(void)state;
	assert_true(buf_reserve(&b, 5000));
	assert_true(b.cap >= 5000);
	data = b.data;
	buf_str(&b, "x");
	buf_reset(&b);
	buf_str(&b, "y");
	assert_ptr_equal(b.data, data);
	assert_holds(&b, "y");
	buf_free(&b);
}

static void stays_failed_until_it_is_reset(void **state)
{
	struct buf b = { 0 };

	(void)state;
	buf_str(&b, "kept");
	b.failed = true;
	buf_str(&b, "lost");
	buf_char(&b, 'l');
	buf_fmt(&b, "%d", 1);
	buf_json(&b, "x", 1);
	assert_false(buf_reserve(&b, 1));
	assert_null(buf_text(&b));
	assert_int_equal(b.len, 4);
	buf_reset(&b);
	buf_str(&b, "again");
	assert_holds(&b, "again");
	buf_free(&b);
}

static void prints_every_integer(void **state)
{
	static const struct {
		uint64_t v;
		const char *text;
	} t[] = {
		{ 0, "0" },
		{ 9, "9" },
		{ 10, "10" },
		{ INT64_MAX, "9223372036854775807" },
	};
	struct buf b = { 0 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(t); i++) {
		buf_u64(&b, t[i].v);
		assert_holds(&b, t[i].text);
	}
	buf_u64(&b, UINT64_MAX);
	assert_holds(&b, "18446744073709551615");
	buf_u64(&b, (UINT64_C(1) << 53) - 1);
	assert_holds(&b, "9007199254740991");
	buf_free(&b);
}

static void formats_text_longer_than_its_room(void **state)
{
	struct buf b = { 0 };
	char text[1000];

	(void)state;
	for (size_t n = 100; n < sizeof text; n++) {
		memset(text, 'x', n);
		text[n] = '\0';
		buf_fmt(&b, "%s", text);
		buf_fmt(&b, "%c%d", '!', 7);
		assert_int_equal(b.len, n + 2);
		assert_memory_equal(b.data, text, n);
		assert_memory_equal(b.data + n, "!7", 2);
		buf_free(&b);
	}
}

static void drops_from_the_front(void **state)
{
	struct buf b = { 0 };

	(void)state;
	buf_str(&b, "abcdef");
	buf_drop(&b, 0);
	buf_drop(&b, 2);
	assert_string_equal(buf_text(&b), "cdef");
	buf_drop(&b, 4);
	assert_holds(&b, "");
	buf_free(&b);
}

static void escapes_what_json_wants_escaped(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
		const char *text;
	} t[] = {
		{ "", 0, "\"\"" },
		{ "plain", 5, "\"plain\"" },
		{ "\"\\/", 3, "\"\\\"\\\\/\"" },
		{ "\b\f\n\r\t", 5, "\"\\b\\f\\n\\r\\t\"" },
		{ "\0\x01\x1f\x7f", 4, "\"\\u0000\\u0001\\u001f\x7f\"" },
		{ "a\nb\nc", 5, "\"a\\nb\\nc\"" },
		{ "\xc3\xa4\xf0\x9f\x98\x80", 6,
		  "\"\xc3\xa4\xf0\x9f\x98\x80\"" },
	};
	struct buf b = { 0 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(t); i++) {
		buf_json(&b, t[i].bytes, t[i].n);
		assert_int_equal(json_size(t[i].bytes, t[i].n), b.len);
		assert_holds(&b, t[i].text);
	}
	buf_free(&b);
}

static void foresees_the_size_of_every_escaped_byte(void **state)
{
	struct buf b = { 0 };

	(void)state;
	for (int c = 0; c < 256; c++) {
		char text[3] = { 'x', (char)c, 'y' };

		buf_reset(&b);
		buf_json(&b, text, 3);
		assert_int_equal(json_size(text, 3), b.len);
	}
	buf_free(&b);
}

/* Longer than a few words, with something to escape at every place; into
 * memory that has no byte to spare. */
static void escapes_at_every_place_of_a_long_text(void **state)
{
	static const char *const escapes[] = { "\n\\n", "\x1f\\u001f",
					       "\"\\\"" };
	char text[100];

	(void)state;
	for (size_t n = 1; n < sizeof text; n++)
		for (size_t at = 0; at < n; at++) {
			const char *e = escapes[(n + at) % COUNT_OF(escapes)];
			size_t size = n + 2 + strlen(e + 1) - 1;
			char *out = malloc(size);

			memset(text, 'x', n);
			text[at] = e[0];
			assert_int_equal(json_size(text, n), size);
			assert_int_equal(json_write(out, text, n), size);
			assert_int_equal(out[0], '"');
			assert_memory_equal(out + 1, text, at);
			assert_memory_equal(out + 1 + at, e + 1, strlen(e + 1));
			assert_memory_equal(out + 1 + at + strlen(e + 1),
					    text + at + 1, n - at - 1);
			assert_int_equal(out[size - 1], '"');
			free(out);
		}
}

static void makes_bytes_harmless_for_a_terminal(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
		const char *text;
	} t[] = {
		{ "plain", 5, "plain" },
		{ "\x1b[2J", 4, "\\x1b[2J" },
		{ "a\nb\r\t", 5, "a\\nb\\r\\t" },
		{ "\0\x7f", 2, "\\x00\\x7f" },
		{ "\xc2\x9b", 2, "\\xc2\\x9b" }, /* C1: CSI in one character */
		{ "\xc2\xa0\xc3\xa4", 4, "\xc2\xa0\xc3\xa4" },
		{ "\xff\xc3(", 3, "\\xff\\xc3(" },
		{ "\xed\xa0\x80", 3, "\\xed\\xa0\\x80" },
		{ "\xe2\x82", 2, "\\xe2\\x82" },
		/* What makes one line look like two, or like another one. */
		{ "\xe2\x80\xa8", 3, "\\xe2\\x80\\xa8" },
		{ "a\xe2\x80\xae"
		  "b",
		  5, "a\\xe2\\x80\\xaeb" },
		{ "\xe2\x81\xa6", 3, "\\xe2\\x81\\xa6" },
		{ "\xe2\x81\xa9", 3, "\\xe2\\x81\\xa9" },
		{ "\xe2\x80\xa7", 3, "\xe2\x80\xa7" },
		{ "\xe2\x80\xaf", 3, "\xe2\x80\xaf" },
		{ "\xe2\x81\xa5", 3, "\xe2\x81\xa5" },
		{ "\xe3\x80\xa8", 3, "\xe3\x80\xa8" },
	};
	struct buf b = { 0 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(t); i++) {
		char *copy = exact_copy(t[i].bytes, t[i].n);

		buf_visible(&b, copy, t[i].n);
		free(copy);
		assert_holds(&b, t[i].text);
	}
	buf_free(&b);
}

static void makes_every_pair_of_bytes_harmless(void **state)
{
	struct buf b = { 0 };

	(void)state;
	for (unsigned v = 0; v < 0x10000; v++) {
		unsigned char pair[2] = { (unsigned char)(v >> 8),
					  (unsigned char)v };

		buf_reset(&b);
		buf_visible(&b, pair, 2);
		assert_true(utf8_valid(b.data, b.len));
		for (size_t i = 0; i < b.len; i++)
			assert_true((unsigned char)b.data[i] >= 0x20 &&
				    b.data[i] != 0x7f);
	}
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(joins_what_is_added),
		cmocka_unit_test(grows_from_byte_to_megabyte),
		cmocka_unit_test(keeps_its_memory_when_reset),
		cmocka_unit_test(stays_failed_until_it_is_reset),
		cmocka_unit_test(prints_every_integer),
		cmocka_unit_test(formats_text_longer_than_its_room),
		cmocka_unit_test(drops_from_the_front),
		cmocka_unit_test(escapes_what_json_wants_escaped),
		cmocka_unit_test(foresees_the_size_of_every_escaped_byte),
		cmocka_unit_test(escapes_at_every_place_of_a_long_text),
		cmocka_unit_test(makes_bytes_harmless_for_a_terminal),
		cmocka_unit_test(makes_every_pair_of_bytes_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
