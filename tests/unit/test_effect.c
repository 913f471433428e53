#include "test.h"

#include "core/effect.h"

static void an_effect_starts_as_nothing_but_its_kind(void **state)
{
	static const struct hash zero;
	struct effects e;
	struct effect *f;

	(void)state;
	effects_init(&e);
	f = effects_add(&e, EF_FOUND);
	memset(&f->found, 0xff, sizeof f->found);
	f->links = 3;
	effects_clear(&e);
	f = effects_add(&e, EF_NOT_FOUND);
	assert_int_equal(f->kind, EF_NOT_FOUND);
	assert_int_equal(f->link, LINK_NONE);
	assert_int_equal(f->links, 0);
	assert_memory_equal(&f->found.id, &zero, sizeof zero);
	assert_null(f->found.frame);
	effects_free(&e);
}

static void effects_keep_their_order_while_the_list_grows(void **state)
{
	struct effects e;

	(void)state;
	effects_init(&e);
	for (unsigned i = 0; i < 1000; i++)
		effects_add(&e, EF_REFUSE)->conn = i;
	assert_int_equal(e.n, 1000);
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(e.v[i].conn, i);
	assert_int_equal(e.dropped, 0);
	effects_free(&e);
}

static void clearing_empties_all_three_lists(void **state)
{
	struct range r = { .first = 1, .last = 2 };
	struct effects e;
	size_t n = 5;

	(void)state;
	effects_init(&e);
	effects_add(&e, EF_LEAVE);
	(void)effects_addrs(&e, &n);
	assert_true(effects_range(&e, &r));
	effects_clear(&e);
	assert_int_equal(e.n, 0);
	assert_int_equal(e.addr_count, 0);
	assert_int_equal(e.range_count, 0);
	effects_free(&e);
}

static void room_for_addresses_is_cut_to_what_there_is(void **state)
{
	struct effects e;
	struct addr *a, *b;
	size_t n = EFFECT_ADDRS - 4;

	(void)state;
	effects_init(&e);
	a = effects_addrs(&e, &n);
	assert_int_equal(n, EFFECT_ADDRS - 4);
	n = 6;
	b = effects_addrs(&e, &n);
	assert_int_equal(n, 4);
	assert_ptr_equal(b, a + EFFECT_ADDRS - 4);
	n = 6;
	(void)effects_addrs(&e, &n);
	assert_int_equal(n, 0);
	effects_free(&e);
}

static void ranges_are_taken_until_there_is_no_room(void **state)
{
	struct range r = { .first = 1 };
	struct effects e;

	(void)state;
	effects_init(&e);
	for (r.last = 1; r.last <= EFFECT_RANGES; r.last++)
		assert_true(effects_range(&e, &r));
	assert_false(effects_range(&e, &r));
	assert_int_equal(e.range_count, EFFECT_RANGES);
	assert_int_equal(e.ranges[EFFECT_RANGES - 1].last, EFFECT_RANGES);
	effects_free(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_effect_starts_as_nothing_but_its_kind),
		cmocka_unit_test(effects_keep_their_order_while_the_list_grows),
		cmocka_unit_test(clearing_empties_all_three_lists),
		cmocka_unit_test(room_for_addresses_is_cut_to_what_there_is),
		cmocka_unit_test(ranges_are_taken_until_there_is_no_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
