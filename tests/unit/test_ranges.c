#include "scarce.h"
#include "test.h"

#include "base/rng.h"
#include "core/ranges.h"

#define NUMBERS 6000

static void add(struct ranges *r, uint64_t seq)
{
	assert_int_equal(ranges_add(r, seq, seq, NULL), ERR_OK);
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
	struct span closed;

	(void)state;
	add(&r, 5);
	add(&r, 6);
	assert_int_equal(ranges_add(&r, 5, 5, &closed), ERR_OK);
	assert_int_equal(closed.first, 0);
	assert_int_equal(ranges_add(&r, 6, 6, &closed), ERR_OK);
	assert_int_equal(closed.first, 0);
	assert_int_equal(r.n, 1);
	check_span(&r, 0, 5, 6);
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

static void a_stretch_swallows_and_joins_what_it_meets(void **state)
{
	struct ranges r = { 0 };

	(void)state;
	for (uint64_t i = 1; i <= 9; i += 2)
		add(&r, i * 10);
	assert_int_equal(ranges_add(&r, 11, 69, NULL), ERR_OK);
	assert_int_equal(r.n, 2); /* touches 10 and 70, swallows 30 and 50 */
	check_span(&r, 0, 10, 70);
	check_span(&r, 1, 90, 90);
	assert_int_equal(ranges_add(&r, 20, 30, NULL), ERR_OK);
	check_span(&r, 0, 10, 70);
	assert_int_equal(ranges_add(&r, 80, 100, NULL), ERR_OK);
	check_span(&r, 1, 80, 100);
	assert_int_equal(ranges_add(&r, 1, 3, NULL), ERR_OK);
	check_span(&r, 0, 1, 3);
	ranges_free(&r);
}

static void one_interval_too_many_closes_the_oldest_hole(void **state)
{
	struct ranges r = { 0 };
	struct span closed;
	uint64_t top = 10 * RANGES_SPANS_MAX + 5;

	(void)state;
	for (uint64_t i = 0; i < RANGES_SPANS_MAX; i++)
		add(&r, 10 * i + 5);
	assert_int_equal(r.n, RANGES_SPANS_MAX);
	assert_int_equal(ranges_add(&r, top, top, &closed), ERR_OK);
	assert_int_equal(r.n, RANGES_SPANS_MAX);
	assert_int_equal(closed.first, 6);
	assert_int_equal(closed.last, 14);
	check_span(&r, 0, 5, 15);
	assert_true(ranges_has(&r, 10)); /* it will never be asked for again */
	/* Also when the new one is the oldest. */
	assert_int_equal(ranges_add(&r, 1, 1, &closed), ERR_OK);
	assert_int_equal(closed.first, 2);
	assert_int_equal(closed.last, 4);
	check_span(&r, 0, 1, 15);
	ranges_free(&r);
}

static void removing_shortens_splits_and_ends_intervals(void **state)
{
	struct ranges r = { 0 };

	(void)state;
	assert_int_equal(ranges_add(&r, 10, 20, NULL), ERR_OK);
	assert_int_equal(ranges_remove(&r, 10), ERR_OK);
	assert_int_equal(ranges_remove(&r, 20), ERR_OK);
	check_span(&r, 0, 11, 19);
	assert_int_equal(ranges_remove(&r, 15), ERR_OK);
	check_span(&r, 0, 11, 14);
	check_span(&r, 1, 16, 19);
	assert_int_equal(ranges_remove(&r, 15), ERR_OK);
	assert_int_equal(r.n, 2);
	add(&r, 30);
	assert_int_equal(ranges_remove(&r, 30), ERR_OK);
	assert_int_equal(r.n, 2);
	ranges_forget_first(&r);
	assert_int_equal(r.n, 1);
	check_span(&r, 0, 16, 19);
	ranges_free(&r);
}

static void gaps_and_overlaps_are_found_in_order(void **state)
{
	struct ranges r = { 0 };
	struct span s;

	(void)state;
	assert_true(ranges_gap(&r, 3, 9, &s));
	assert_int_equal(s.first, 3);
	assert_int_equal(s.last, 9);
	assert_false(ranges_overlap(&r, 3, 9, &s));
	assert_int_equal(ranges_add(&r, 5, 6, NULL), ERR_OK);
	assert_int_equal(ranges_add(&r, 8, 8, NULL), ERR_OK);
	assert_true(ranges_gap(&r, 1, 100, &s));
	assert_int_equal(s.last, 4);
	assert_true(ranges_gap(&r, 5, 100, &s));
	assert_int_equal(s.first, 7);
	assert_int_equal(s.last, 7);
	assert_true(ranges_gap(&r, 8, 100, &s));
	assert_int_equal(s.first, 9);
	assert_int_equal(s.last, 100);
	assert_false(ranges_gap(&r, 5, 6, &s));
	assert_true(ranges_overlap(&r, 1, 5, &s));
	assert_int_equal(s.first, 5);
	assert_int_equal(s.last, 5);
	assert_true(ranges_overlap(&r, 7, 100, &s));
	assert_int_equal(s.first, 8);
	assert_false(ranges_overlap(&r, 9, 100, &s));
	assert_false(ranges_overlap(&r, 7, 7, &s));
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
		struct span closed;
		struct rng rng;

		assert_non_null(m);
		rng_init(&rng, 100 + k);
		for (unsigned i = 0; i < 3000; i++) {
			uint64_t seq = 1 + rng_below(&rng, tops[k]);

			assert_int_equal(ranges_add(&r, seq, seq, &closed),
					 ERR_OK);
			if (closed.first != 0)
				lost += closed.last - closed.first + 1;
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

static void without_memory_a_set_stays_as_it_was(void **state)
{
	struct ranges r = { 0 };

	(void)state;
	scarce_after(0, true);
	assert_int_equal(ranges_add(&r, 5, 9, NULL), ERR_NOMEM);
	assert_int_equal(scarce_end(), 1);
	assert_int_equal(r.n, 0);
	assert_int_equal(ranges_add(&r, 5, 9, NULL), ERR_OK);
	scarce_after(0, true);
	/* A hole in the middle needs a second interval; its ends do not. */
	assert_int_equal(ranges_remove(&r, 7), ERR_NOMEM);
	assert_int_equal(r.n, 1);
	check_span(&r, 0, 5, 9);
	assert_int_equal(ranges_remove(&r, 5), ERR_OK);
	assert_int_equal(ranges_remove(&r, 9), ERR_OK);
	assert_int_equal(scarce_end(), 1);
	check_span(&r, 0, 6, 8);
	assert_int_equal(ranges_remove(&r, 7), ERR_OK);
	assert_int_equal(r.n, 2);
	ranges_free(&r);
}

/* Whoever does not want to know which hole was closed says NULL. */
static void the_oldest_hole_is_closed_though_nobody_asks_which(void **state)
{
	struct ranges r = { 0 };

	(void)state;
	for (uint64_t i = 0; i <= RANGES_SPANS_MAX; i++)
		add(&r, 1 + 2 * i);
	assert_int_equal(r.n, RANGES_SPANS_MAX);
	check_span(&r, 0, 1, 3);
	ranges_free(&r);
}

static void removing_what_is_not_there_changes_nothing(void **state)
{
	struct ranges r = { 0 };

	(void)state;
	assert_int_equal(ranges_remove(&r, 1), ERR_OK);
	add(&r, 5);
	assert_int_equal(ranges_remove(&r, 4), ERR_OK);
	assert_int_equal(ranges_remove(&r, 6), ERR_OK);
	assert_int_equal(r.n, 1);
	check_span(&r, 0, 5, 5);
	ranges_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_set_has_nothing),
		cmocka_unit_test(numbers_in_order_are_one_interval),
		cmocka_unit_test(a_filled_hole_joins_its_two_sides),
		cmocka_unit_test(adding_again_changes_nothing),
		cmocka_unit_test(the_largest_numbers_work),
		cmocka_unit_test(a_stretch_swallows_and_joins_what_it_meets),
		cmocka_unit_test(one_interval_too_many_closes_the_oldest_hole),
		cmocka_unit_test(removing_shortens_splits_and_ends_intervals),
		cmocka_unit_test(gaps_and_overlaps_are_found_in_order),
		cmocka_unit_test(random_additions_agree_with_a_naive_model),
		cmocka_unit_test(without_memory_a_set_stays_as_it_was),
		cmocka_unit_test(
			the_oldest_hole_is_closed_though_nobody_asks_which),
		cmocka_unit_test(removing_what_is_not_there_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
