#include "base/word.h"

#include "base/rng.h"
#include "test.h"

static bool is_to_escape(unsigned char c)
{
	return c < 0x20 || c == '"' || c == '\\';
}

static bool is_beyond_ascii(unsigned char c)
{
	return c >= 0x80;
}

/* Exactly the bytes that are meant have their top bit set. */
static void assert_marks(uint64_t mask, const unsigned char *p,
			 bool (*meant)(unsigned char))
{
	for (size_t i = 0; i < WORD_BYTES; i++)
		assert_int_equal(mask >> 8 * i & 0xff, meant(p[i]) ? 0x80 : 0);
}

static void assert_judges(const unsigned char *p)
{
	uint64_t w = word_load(p), other = word_not_digits(w);
	size_t digits = 0;

	assert_marks(word_to_escape(w), p, is_to_escape);
	assert_marks(word_beyond_ascii(w), p, is_beyond_ascii);
	while (digits < WORD_BYTES && p[digits] >= '0' && p[digits] <= '9')
		digits++;
	if (digits == WORD_BYTES)
		assert_true(other == 0);
	else
		assert_int_equal(word_first(other), digits);
}

static void knows_every_byte_at_every_place(void **state)
{
	static const unsigned char around[] = { '0', 'a', 0, '"', 0xff, '9' };
	unsigned char p[WORD_BYTES];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(around); i++)
		for (size_t at = 0; at < WORD_BYTES; at++)
			for (int c = 0; c < 256; c++) {
				memset(p, around[i], sizeof p);
				p[at] = (unsigned char)c;
				assert_judges(p);
			}
}

static void knows_bytes_in_any_company(void **state)
{
	static const unsigned char some[] = {
		0,   1,    0x1f, 0x20, 0x21, '"',  0x23, '/',  '0',  '9', ':',
		'?', '\\', ']',  0x7f, 0x80, 0xa2, 0xdc, 0xf9, 0xfa, 0xff
	};
	unsigned char p[WORD_BYTES];
	struct rng r;

	(void)state;
	rng_init(&r, 5);
	for (int round = 0; round < 20000; round++) {
		for (size_t i = 0; i < WORD_BYTES; i++)
			p[i] = some[rng_below(&r, COUNT_OF(some))];
		assert_judges(p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_every_byte_at_every_place),
		cmocka_unit_test(knows_bytes_in_any_company),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
