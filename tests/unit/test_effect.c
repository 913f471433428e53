#include "scarce.h"
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

static void clearing_empties_the_list(void **state)
{
	struct effects e;

	(void)state;
	effects_init(&e);
	effects_add(&e, EF_LEAVE);
	effects_clear(&e);
	assert_int_equal(e.n, 0);
	effects_free(&e);
}

/* Rooms of all sizes, each filled with its own byte; none may touch another,
 * and all are aligned for anything. */
static void rooms_do_not_overlap_and_stay_where_they_are(void **state)
{
	static const size_t sizes[] = { 1, 48,  4000,   4096, 4097, 16, 9000,
					1, 700, 100000, 3000, 3000, 0,  8 };
	unsigned char *rooms[COUNT_OF(sizes)];
	struct effects e;

	(void)state;
	effects_init(&e);
	for (unsigned round = 0; round < 3; round++) {
		for (size_t i = 0; i < COUNT_OF(sizes); i++) {
			rooms[i] = effects_room(&e, sizes[i]);
			assert_non_null(rooms[i]);
			assert_int_equal((uintptr_t)rooms[i] % 16, 0);
			memset(rooms[i], (int)i + 1, sizes[i]);
		}
		for (size_t i = 0; i < COUNT_OF(sizes); i++)
			for (size_t k = 0; k < sizes[i]; k++)
				assert_int_equal(rooms[i][k], i + 1);
		effects_clear(&e);
	}
	effects_free(&e);
}

static void a_small_room_is_taken_from_the_same_memory_again(void **state)
{
	struct effects e;
	void *first;

	(void)state;
	effects_init(&e);
	first = effects_room(&e, 100);
	effects_clear(&e);
	assert_ptr_equal(effects_room(&e, 200), first);
	effects_free(&e);
}

static void what_finds_no_memory_is_counted_and_may_be_written_to(void **state)
{
	struct effects e;
	struct effect *f = NULL;

	(void)state;
	effects_init(&e);
	scarce_after(0, true);
	for (unsigned i = 0; e.dropped == 0; i++) {
		assert_true(i <= EFFECTS_FIRST);
		f = effects_add(&e, EF_SAY);
		assert_int_equal(f->kind, EF_SAY);
		assert_int_equal(f->link, LINK_NONE);
		f->links = (link_set)(i + 1);
	}
	assert_null(effects_room(&e, 8));
	scarce_end();
	for (unsigned i = 0; i < e.n; i++)
		assert_int_equal(e.v[i].links, i + 1);
	effects_add(&e, EF_SAY)->links = (link_set)(e.n + 1);
	assert_int_equal(e.v[e.n - 1].links, e.n);
	assert_int_equal(e.dropped, 1);
	effects_free(&e);
}

static void what_nobody_repeats_has_room_without_memory(void **state)
{
	struct effects e;

	(void)state;
	effects_init(&e);
	scarce_after(0, true);
	for (unsigned i = 0; i < 1000; i++)
		effects_add(&e, EF_SEND);
	assert_true(e.dropped > 900);
	e.dropped = 0;
	for (unsigned i = 0; i < LINK_SLOTS; i++)
		effects_add(&e, EF_UNLINK)->link = (uint8_t)i;
	effects_add(&e, EF_LEAVE);
	assert_int_equal(e.dropped, 0);
	assert_int_equal(e.v[e.n - 1].kind, EF_LEAVE);
	assert_int_equal(e.v[e.n - 2].link, LINK_SLOTS - 1);
	assert_true(scarce_end() > 0);
	effects_free(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_effect_starts_as_nothing_but_its_kind),
		cmocka_unit_test(effects_keep_their_order_while_the_list_grows),
		cmocka_unit_test(clearing_empties_the_list),
		cmocka_unit_test(rooms_do_not_overlap_and_stay_where_they_are),
		cmocka_unit_test(
			a_small_room_is_taken_from_the_same_memory_again),
		cmocka_unit_test(
			what_finds_no_memory_is_counted_and_may_be_written_to),
		cmocka_unit_test(what_nobody_repeats_has_room_without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
