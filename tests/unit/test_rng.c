#include "base/rng.h"

#include "test.h"

static void draws_the_published_numbers(void **state)
{
	/* SplitMix64 from 1234567, as listed by the reference program. */
	static const uint64_t expected[] = {
		6457827717110365317u,  3203168211198807973u,
		9817491932198370423u,  4593380528125082431u,
		16408922859458223821u,
	};
	struct rng r;

	(void)state;
	rng_init(&r, 1234567);
	for (size_t i = 0; i < COUNT_OF(expected); i++)
		assert_true(rng_u64(&r) == expected[i]);
}

static void repeats_itself_from_the_same_seed(void **state)
{
	struct rng a, b, c;
	bool differs = false;

	(void)state;
	rng_init(&a, 7);
	rng_init(&b, 7);
	rng_init(&c, 8);
	for (int i = 0; i < 100; i++) {
		uint64_t draw = rng_u64(&a);

		assert_true(draw == rng_u64(&b));
		differs |= draw != rng_u64(&c);
	}
	assert_true(differs);
}

static void stays_below_and_reaches_every_number(void **state)
{
	struct rng r;
	int hits[10] = { 0 };

	(void)state;
	rng_init(&r, 1);
	for (int i = 0; i < 100000; i++) {
		uint64_t draw = rng_below(&r, 10);

		assert_true(draw < 10);
		hits[draw]++;
	}
	for (int i = 0; i < 10; i++)
		assert_in_range(hits[i], 9500, 10500);
	assert_true(rng_below(&r, 1) == 0);
	assert_true(rng_below(&r, UINT64_MAX) < UINT64_MAX);
}

static void is_fair_when_the_range_is_two_thirds_of_all(void **state)
{
	/* Without rejection the lower half would come up twice as often. */
	const uint64_t n = UINT64_C(3) << 62;
	struct rng r;
	int low = 0;

	(void)state;
	rng_init(&r, 2);
	for (int i = 0; i < 30000; i++)
		low += rng_below(&r, n) < UINT64_C(1) << 62;
	assert_in_range(low, 9500, 10500);
}

static void draws_both_ends_of_a_range(void **state)
{
	struct rng r;
	bool lo = false, hi = false;

	(void)state;
	rng_init(&r, 3);
	for (int i = 0; i < 1000; i++) {
		int64_t draw = rng_between(&r, -2, 2);

		assert_true(draw >= -2 && draw <= 2);
		lo |= draw == -2;
		hi |= draw == 2;
	}
	assert_true(lo && hi);
	assert_true(rng_between(&r, 5, 5) == 5);
}

static void jitters_within_its_spread(void **state)
{
	struct rng r;
	int64_t least = INT64_MAX, most = 0;

	(void)state;
	rng_init(&r, 4);
	for (int i = 0; i < 10000; i++) {
		int64_t v = rng_jitter(&r, 1000, 50);

		least = v < least ? v : least;
		most = v > most ? v : most;
	}
	assert_in_range(least, 500, 510);
	assert_in_range(most, 1490, 1500);
	assert_true(rng_jitter(&r, 1000, 0) == 1000);
	assert_true(rng_jitter(&r, 0, 50) == 0);
	assert_true(rng_jitter(&r, 1, 50) == 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(draws_the_published_numbers),
		cmocka_unit_test(repeats_itself_from_the_same_seed),
		cmocka_unit_test(stays_below_and_reaches_every_number),
		cmocka_unit_test(is_fair_when_the_range_is_two_thirds_of_all),
		cmocka_unit_test(draws_both_ends_of_a_range),
		cmocka_unit_test(jitters_within_its_spread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
