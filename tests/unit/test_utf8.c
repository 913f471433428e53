#include "base/utf8.h"

#include "test.h"

struct vector {
	const char *bytes;
	size_t n;
};
#define V(text)                        \
	{                              \
		text, sizeof(text) - 1 \
	}

static const struct vector good[] = {
	V(""),
	V("plain ASCII, longer than a word"),
	V("\x00"),
	V("\x7f"),
	V("\xc2\x80"),         /* U+0080, the first of two bytes */
	V("\xdf\xbf"),         /* U+07FF, the last */
	V("\xe0\xa0\x80"),     /* U+0800 */
	V("\xed\x9f\xbf"),     /* U+D7FF, below the surrogates */
	V("\xee\x80\x80"),     /* U+E000, above them */
	V("\xef\xbf\xbf"),     /* U+FFFF */
	V("\xf0\x90\x80\x80"), /* U+10000 */
	V("\xf4\x8f\xbf\xbf"), /* U+10FFFF */
	V("1234567\xc3\xa4"),  /* over the edge of a word */
	V("\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5"),
};

static const struct vector bad[] = {
	V("\x80"),
	V("\xbf"),
	V("\xc0\x80"), /* overlong NUL */
	V("\xc0\xaf"), /* overlong / */
	V("\xc1\xbf"),
	V("\xe0\x80\xaf"),
	V("\xe0\x9f\xbf"), /* overlong U+07FF */
	V("\xf0\x80\x80\xaf"),
	V("\xf0\x8f\xbf\xbf"),         /* overlong U+FFFF */
	V("\xed\xa0\x80"),             /* U+D800 */
	V("\xed\xbf\xbf"),             /* U+DFFF */
	V("\xed\xa0\x80\xed\xb0\x80"), /* a pair, as CESU-8 */
	V("\xf4\x90\x80\x80"),         /* U+110000 */
	V("\xf5\x80\x80\x80"),
	V("\xf8\x88\x80\x80\x80"),
	V("\xfe"),
	V("\xff"),
	V("\xc3"), /* cut short */
	V("\xe2\x82"),
	V("\xf0\x9f\x98"),
	V("\xc3("), /* a wrong tail, in each place */
	V("\xe2(\xa1"),
	V("\xe2\x82("),
	V("\xf0(\x8c\xbc"),
	V("\xf0\x90(\xbc"),
	V("\xf0\x90\x8c("),
};

static bool valid_within(const struct vector *v, size_t before, size_t after)
{
	char text[160];
	char *copy;
	bool ok;

	memset(text, 'x', sizeof text);
	memcpy(text + before, v->bytes, v->n);
	copy = exact_copy(text, before + v->n + after);
	ok = utf8_valid(copy, before + v->n + after);
	free(copy);
	return ok;
}

static void accepts_good_text_at_any_offset(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(good); i++)
		for (size_t k = 0; k < 1024; k++)
			if (!valid_within(&good[i], k % 64, k / 64))
				fail_msg("vector %zu at %zu", i, k);
}

static void refuses_bad_text_at_any_offset(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		for (size_t k = 0; k < 1024; k++)
			if (valid_within(&bad[i], k % 64, k / 64))
				fail_msg("vector %zu at %zu", i, k);
}

/* The definition, without any table: code points to bytes. */
static size_t encode(uint32_t c, unsigned char *p)
{
	if (c < 0x80) {
		p[0] = (unsigned char)c;
		return 1;
	}
	if (c < 0x800) {
		p[0] = (unsigned char)(0xc0 | c >> 6);
		p[1] = (unsigned char)(0x80 | (c & 63));
		return 2;
	}
	if (c < 0x10000) {
		p[0] = (unsigned char)(0xe0 | c >> 12);
		p[1] = (unsigned char)(0x80 | (c >> 6 & 63));
		p[2] = (unsigned char)(0x80 | (c & 63));
		return 3;
	}
	p[0] = (unsigned char)(0xf0 | c >> 18);
	p[1] = (unsigned char)(0x80 | (c >> 12 & 63));
	p[2] = (unsigned char)(0x80 | (c >> 6 & 63));
	p[3] = (unsigned char)(0x80 | (c & 63));
	return 4;
}

static void measures_every_code_point_and_no_surrogate(void **state)
{
	unsigned char p[4];

	(void)state;
	for (uint32_t c = 0; c < 0x120000; c++) {
		size_t n = encode(c, p);
		bool exists = c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);

		if (utf8_sequence(p, n) != (exists ? n : 0))
			fail_msg("U+%04X", c);
		if (n > 1 && utf8_sequence(p, n - 1) != 0)
			fail_msg("U+%04X cut short", c);
	}
	assert_int_equal(utf8_sequence(p, 0), 0);
}

static void accepts_as_many_sequences_as_there_are_code_points(void **state)
{
	int two = 0, three = 0;

	(void)state;
	for (unsigned v = 0; v < 0x1000000; v++) {
		unsigned char p[3] = { (unsigned char)(v >> 16),
				       (unsigned char)(v >> 8),
				       (unsigned char)v };
		size_t n = utf8_sequence(p, 3);

		three += n == 3;
		two += n == 2 && p[2] == 0;
	}
	assert_int_equal(two, 0x800 - 0x80);
	assert_int_equal(three, 0x10000 - 0x800 - 0x800);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepts_good_text_at_any_offset),
		cmocka_unit_test(refuses_bad_text_at_any_offset),
		cmocka_unit_test(measures_every_code_point_and_no_surrogate),
		cmocka_unit_test(
			accepts_as_many_sequences_as_there_are_code_points),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
