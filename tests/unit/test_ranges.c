#include "test.h"

#include "base/rng.h"
#include "core/ranges.h"

#define NUMBERS 6000

static void add(struct ranges *r, uint64_t seq)
{
	assert_int_equal(ranges_add(r, seq, NULL), ERR_OK);
}

static void check_span(const struct ranges *r, size_t i, uint64_t first,
		       uint64_t last)
{
	assert_true(i < r->n);
	assert_int_equal(r->v[i].first, first);
	assert_int_equal(r->v[i].last, last);
}

static void an_empty_set_has_nothing(void **state)
{
	struct ranges r = { 0 };

	(void)state;
	assert_false(ranges_has(&r, 1));
	ranges_free(&r);
}

static void numbers_in_order_are_one_interval(void **state)
{
	struct ranges r = { 0 };

	(void)state;
	for (uint64_t i = 1; i <= 1000; i++)
		add(&r, i);
	assert_int_equal(r.n, 1);
	check_span(&r, 0, 1, 1000);
	assert_false(ranges_has(&r, 0));
	assert_true(ranges_has(&r, 1));
	assert_true(ranges_has(&r, 1000));
	assert_false(ranges_has(&r, 1001));
	ranges_free(&r);
}

static void a_filled_hole_joins_its_two_sides(void **state)
{
	struct ranges r = { 0 };

	(void)state;
	add(&r, 1);
	add(&r, 3);
	add(&r, 9);
	assert_int_equal(r.n, 3);
	add(&r, 2);
	assert_int_equal(r.n, 2);
	check_span(&r, 0, 1, 3);
	add(&r, 8);
	check_span(&r, 1, 8, 9);
	ranges_free(&r);
}

static void adding_again_changes_nothing(void **state)
{
	struct ranges r = { 0 };
	uint64_t lost = 0;

	(void)state;
	add(&r, 5);
	add(&r, 6);
	assert_int_equal(ranges_add(&r, 5, &lost), ERR_OK);
	assert_int_equal(ranges_add(&r, 6, &lost), ERR_OK);
	assert_int_equal(r.n, 1);
	check_span(&r, 0, 5, 6);
	assert_int_equal(lost, 0);
	ranges_free(&r);
}

static void the_largest_numbers_work(void **state)
{
	const uint64_t top = (UINT64_C(1) << 53) - 1;
	struct ranges r = { 0 };

	(void)state;
	add(&r, top);
	add(&r, 1);
	add(&r, top - 1);
	assert_int_equal(r.n, 2);
	check_span(&r, 1, top - 1, top);
	assert_false(ranges_has(&r, top - 2));
	ranges_free(&r);
}

static void one_interval_too_many_closes_the_oldest_hole_as_lost(void **state)
{
	struct ranges r = { 0 };
	uint64_t lost = 0;

	(void)state;
	for (uint64_t i = 0; i < RANGES_SPANS_MAX; i++)
		add(&r, 10 * i + 5);
	assert_int_equal(r.n, RANGES_SPANS_MAX);
	assert_int_equal(ranges_add(&r, 10 * RANGES_SPANS_MAX + 5, &lost),
			 ERR_OK);
	assert_int_equal(r.n, RANGES_SPANS_MAX);
	assert_int_equal(lost, 9);
	check_span(&r, 0, 5, 15);
	assert_true(ranges_has(&r, 10)); /* it will never be asked for again */
	/* Also when the new one is the oldest. */
	assert_int_equal(ranges_add(&r, 1, &lost), ERR_OK);
	assert_int_equal(lost, 9 + 3);
	check_span(&r, 0, 1, 15);
	ranges_free(&r);
}

/* --- against a naive model ----------------------------------------------- */

struct model {
	bool has[NUMBERS + 2];
	uint64_t lost;
};

static size_t spans(const struct model *m)
{
	size_t n = 0;

	for (size_t i = 1; i < NUMBERS + 2; i++)
		n += m->has[i] && !m->has[i - 1];
	return n;
}

static void model_add(struct model *m, size_t seq)
{
	size_t i = 0;

	if (m->has[seq])
		return;
	m->has[seq] = true;
	if (spans(m) <= RANGES_SPANS_MAX)
		return;
	while (!m->has[i])
		i++;
	while (m->has[i])
		i++;
	for (; !m->has[i]; i++, m->lost++)
		m->has[i] = true;
}

static void compare(const struct ranges *r, const struct model *m)
{
	assert_int_equal(r->n, spans(m));
	for (uint64_t i = 0; i < NUMBERS + 2; i++)
		assert_int_equal(ranges_has(r, i), m->has[i]);
	for (size_t i = 1; i < r->n; i++)
		assert_true(r->v[i - 1].last + 1 < r->v[i].first);
}

/* Numbers below 300 join all the time; those below 6000 hit the limit. */
static void random_additions_agree_with_a_naive_model(void **state)
{
	static const uint64_t tops[] = { 300, 2000, NUMBERS };

	(void)state;
	for (size_t k = 0; k < COUNT_OF(tops); k++) {
		struct model *m = calloc(1, sizeof *m);
		struct ranges r = { 0 };
		uint64_t lost = 0;
		struct rng rng;

		assert_non_null(m);
		rng_init(&rng, 100 + k);
		for (unsigned i = 0; i < 3000; i++) {
			uint64_t seq = 1 + rng_below(&rng, tops[k]);

			assert_int_equal(ranges_add(&r, seq, &lost), ERR_OK);
			model_add(m, seq);
			assert_int_equal(lost, m->lost);
			if (i % 100 == 99)
				compare(&r, m);
		}
		assert_int_equal(m->lost > 0, tops[k] == NUMBERS);
		ranges_free(&r);
		free(m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_set_has_nothing),
		cmocka_unit_test(numbers_in_order_are_one_interval),
		cmocka_unit_test(a_filled_hole_joins_its_two_sides),
		cmocka_unit_test(adding_again_changes_nothing),
		cmocka_unit_test(the_largest_numbers_work),
		cmocka_unit_test(
			one_interval_too_many_closes_the_oldest_hole_as_lost),
		cmocka_unit_test(random_additions_agree_with_a_naive_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
