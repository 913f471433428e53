#include "node_fixture.h"

#define LETTER_BYTES 10000
#define MIB (UINT64_C(1) << 20)
#define HISTORY (3 * MIB) /* what is always kept, */
#define SLACK (2 * MIB)   /* and what may still be under way */
#define MANY 800          /* letters: more than twice the history */
#define RETURN_MS 30000   /* who was lost may come back */

static char text[LETTER_BYTES + 1];

/* Like what a neighbor at full speed brings: all at one moment. */
static void hear_long(struct fixture *f, uint8_t slot,
		      const struct identity *run, uint64_t seq)
{
	struct letter l = letter_new(run, seq, text);

	hear_letter(f, slot, &l);
	letter_free(&l);
	assert_int_equal(effect_count(f, EF_DELIVER), 1);
}

static struct origin *record(const struct fixture *f,
			     const struct identity *run)
{
	struct origin *r = origins_find(&f->node->gossip.origins, run);

	assert_non_null(r);
	return r;
}

static bool holds(const struct fixture *f, const struct identity *run,
		  uint64_t seq)
{
	return store_by_seq(&f->node->gossip.store, record(f, run), seq) !=
	       NULL;
}

/* Link 1 says of each that it has it, too. */
static void hear_settled(struct fixture *f, const struct identity *run,
			 uint64_t first, uint64_t last)
{
	for (uint64_t seq = first; seq <= last; seq++) {
		hear_long(f, 0, run, seq);
		hear_range(f, 1, MSG_HAVE, run, seq, seq);
	}
}

static void what_all_have_makes_way_for_more(void **state)
{
	struct fixture *f = fixture_with_links(2);
	struct identity a = other_run(1);

	(void)state;
	hear_settled(f, &a, 1, MANY);
	assert_in_range(stats(f).store_bytes, HISTORY - LETTER_BYTES,
			HISTORY + SLACK);
	assert_false(holds(f, &a, 1));
	assert_true(holds(f, &a, MANY));
	assert_false(hear_new(f, 1, &a, 1)); /* it is known as ever */
	fixture_free(f);
}

static void what_is_not_too_much_stays(void **state)
{
	struct fixture *f = fixture_with_links(2);
	struct identity a = other_run(1);

	(void)state;
	hear_settled(f, &a, 1, 300);
	assert_int_equal(stats(f).store_messages, 300);
	fixture_free(f);
}

static void what_comes_slowly_stays(void **state)
{
	struct fixture *f = fixture_with_links(2);
	struct identity a = other_run(1);

	(void)state;
	for (uint64_t seq = 1; seq <= MANY; seq++) {
		f->now += 12; /* 0.9 MB in a second */
		hear_settled(f, &a, seq, seq);
	}
	assert_int_equal(stats(f).store_messages, MANY);
	fixture_free(f);
}

static void a_pause_is_no_room_for_a_burst(void **state)
{
	struct fixture *f = fixture_with_links(2);
	struct identity a = other_run(1);

	(void)state;
	f->now += 3600000;
	hear_settled(f, &a, 1, MANY);
	assert_true(stats(f).store_bytes < HISTORY + SLACK);
	fixture_free(f);
}

static void what_somebody_may_lack_stays(void **state)
{
	struct fixture *f = fixture_with_links(2);
	struct identity a = other_run(1);

	(void)state;
	for (uint64_t seq = 1; seq <= MANY; seq++)
		hear_long(f, 0, &a, seq);
	assert_int_equal(stats(f).store_messages, MANY);
	fixture_free(f);
}

static void also_when_it_has_what_came_after(void **state)
{
	struct fixture *f = fixture_with_links(2);
	struct identity a = other_run(1);

	(void)state;
	hear_settled(f, &a, 1, 10);
	hear_long(f, 0, &a, 11);
	hear_settled(f, &a, 12, MANY);
	assert_int_equal(stats(f).store_messages, MANY - 10);
	assert_true(holds(f, &a, 11));
	fixture_free(f);
}

static void it_goes_when_that_has_come_bit_by_bit(void **state)
{
	struct fixture *f = fixture_with_links(2);
	struct identity a = other_run(1);
	uint64_t held;

	(void)state;
	for (uint64_t seq = 1; seq <= MANY; seq++)
		hear_long(f, 0, &a, seq);
	hear_range(f, 1, MSG_HAVE, &a, 1, MANY);
	assert_int_equal(stats(f).store_messages, MANY);
	for (uint64_t seq = MANY + 1; seq < MANY + 20; seq++) {
		held = stats(f).store_messages;
		hear_long(f, 0, &a, seq);
		assert_true(stats(f).store_messages + 64 > held);
	}
	assert_true(stats(f).store_bytes < HISTORY + SLACK);
	fixture_free(f);
}

/* A little at a time is not told to all: nobody knows that we have it. */
static void what_others_were_not_told_of_stays(void **state)
{
	struct fixture *f = fixture_with_links(2);
	struct identity a = other_run(1);

	(void)state;
	for (uint64_t seq = 1; seq <= MANY; seq += 20) {
		hear_settled(f, &a, seq, seq + 19);
		f->node->gossip.flush_ms = f->now;
		step_kind(f, EV_TICK);
	}
	assert_int_equal(record(f, &a)->told, 0);
	assert_int_equal(stats(f).store_messages, MANY);
	fixture_free(f);
}

static void nothing_is_told_to_all_while_somebody_is_behind(void **state)
{
	struct fixture *f = fixture_with_links(3);
	struct identity a = other_run(1);

	(void)state;
	link_event(f, 2, EV_FULL);
	hear_settled(f, &a, 1, MANY);
	assert_int_equal(record(f, &a)->told, 0);
	assert_int_equal(stats(f).store_messages, MANY);
	link_event(f, 2, EV_DRAINED);
	hear_settled(f, &a, MANY + 1, 2 * MANY);
	assert_true(record(f, &a)->told > MANY);
	fixture_free(f);
}

static void who_announced_what_came_has_it(void **state)
{
	struct fixture *f = fixture_with_links(2);
	struct identity a = other_run(1);

	(void)state;
	hear_range(f, 1, MSG_HAVE, &a, 1, 2);
	assert_true(hear_new(f, 0, &a, 1));
	assert_true(hear_new(f, 0, &a, 2));
	assert_int_equal(record(f, &a)->neighbor_has[1], 2);
	fixture_free(f);
}

static void without_neighbors_all_stays_for_the_first(void **state)
{
	struct fixture *f = fixture_with_links(0);

	(void)state;
	for (uint64_t i = 0; i < MANY; i++) {
		struct letter l = publish(f, text);

		letter_free(&l);
	}
	assert_int_equal(stats(f).store_messages, MANY);
	fixture_free(f);
}

static void a_new_neighbor_has_nothing(void **state)
{
	struct fixture *f = fixture_with_links(2);
	struct identity a = other_run(1);
	uint64_t held;

	(void)state;
	hear_settled(f, &a, 1, MANY);
	held = stats(f).store_messages;
	link_down(f, 1, DOWN_RESET);
	assert_int_equal(link_up(f, 7), 1); /* in its place */
	f->now += RETURN_MS;
	for (uint64_t seq = MANY + 1; seq <= 2 * MANY; seq++)
		hear_long(f, 0, &a, seq);
	assert_int_equal(stats(f).store_messages, held + MANY);
	/* Until it says so; from where we still hold is enough. */
	hear_range(f, 1, MSG_HAVE, &a, record(f, &a)->held.v[0].first,
		   2 * MANY);
	hear_long(f, 0, &a, 2 * MANY + 1);
	assert_true(stats(f).store_messages < held + MANY);
	fixture_free(f);
}

/* All its neighbors lost it, and keep for it what it lacks. */
static void for_who_was_lost_all_stays_a_while(void **state)
{
	struct fixture *f = fixture_with_links(3);
	struct identity a = other_run(1);

	(void)state;
	hear_settled(f, &a, 1, MANY);
	assert_int_equal(stats(f).store_messages, MANY);
	link_down(f, 2, DOWN_RESET);
	hear_settled(f, &a, MANY + 1, 2 * MANY);
	assert_int_equal(stats(f).store_messages, 2 * MANY);
	f->now += RETURN_MS;
	hear_settled(f, &a, 2 * MANY + 1, 2 * MANY + 40);
	assert_true(stats(f).store_bytes < HISTORY + SLACK);
	fixture_free(f);
}

static void what_was_lost_for_all_is_no_hole(void **state)
{
	struct fixture *f = fixture_with_links(2);
	struct identity a = other_run(1);
	struct origin *r;

	(void)state;
	hear_settled(f, &a, 1, 10);
	hear_settled(f, &a, 12, 20);
	r = record(f, &a);
	assert_int_equal(r->neighbor_has[1], 10);
	assert_int_equal(ranges_add(&r->covered, 11, 11, NULL), ERR_OK);
	for (uint8_t i = 0; i < 2; i++) /* as they claim now, too */
		hear_range(f, i, MSG_HAVE, &a, 12, 20);
	hear_settled(f, &a, 21, MANY);
	assert_int_equal(r->neighbor_has[1], MANY);
	assert_true(stats(f).store_bytes < HISTORY + SLACK);
	fixture_free(f);
}

static void a_large_message_has_its_time_as_well(void **state)
{
	struct fixture *f = fixture_with_links(2);
	struct identity a = other_run(1);
	char *large = calloc(1, MIB + 1);

	(void)state;
	assert_non_null(large);
	memset(large, 'x', MIB);
	for (uint64_t seq = 1; seq <= 20; seq++) {
		struct letter l = letter_new(&a, seq, large);

		f->now += 2000;
		hear_letter(f, 0, &l);
		letter_free(&l);
		hear_range(f, 1, MSG_HAVE, &a, seq, seq);
	}
	assert_int_equal(stats(f).store_messages, 20);
	free(large);
	fixture_free(f);
}

/* Asked whether all is taken, we neither send it again nor call it lost. */
static void mine_that_all_have_are_not_lost(void **state)
{
	struct fixture *f = fixture_with_links(2);
	const struct identity self = *node_self(f->node);
	uint64_t seq;

	(void)state;
	for (seq = 1; seq <= MANY; seq++) {
		struct letter l = publish(f, text);

		letter_free(&l);
		hear_range(f, 0, MSG_HAVE, &self, seq, seq);
		hear_range(f, 1, MSG_HAVE, &self, seq, seq);
	}
	assert_false(holds(f, &self, 1));
	for (uint8_t i = 0; i < 2; i++) {
		link_event(f, i, EV_FULL);
		link_event(f, i, EV_DRAINED);
	}
	step_kind(f, EV_SYNC);
	assert_int_equal(stats(f).lost, 0);
	fixture_free(f);
}

static void older_ones_that_come_later_are_another_matter(void **state)
{
	struct fixture *f = fixture_with_links(2);
	struct identity a = other_run(1);

	(void)state;
	hear_settled(f, &a, 100, 110); /* all that we hold */
	assert_int_equal(record(f, &a)->neighbor_has[1], 110);
	assert_true(hear_recovery(f, 0, &a, 99));
	assert_int_equal(record(f, &a)->neighbor_has[1], 0);
	assert_int_equal(record(f, &a)->neighbor_has[0], 99);
	hear_range(f, 1, MSG_HAVE, &a, 99, 110);
	assert_int_equal(record(f, &a)->neighbor_has[1], 110);
	fixture_free(f);
}

static void who_brings_a_copy_has_it(void **state)
{
	struct fixture *f = fixture_with_links(2);
	struct identity a = other_run(1);

	(void)state;
	assert_true(hear_new(f, 0, &a, 1));
	assert_false(hear_new(f, 1, &a, 1));
	assert_int_equal(record(f, &a)->neighbor_has[0], 1);
	assert_int_equal(record(f, &a)->neighbor_has[1], 1);
	fixture_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_all_have_makes_way_for_more),
		cmocka_unit_test(what_is_not_too_much_stays),
		cmocka_unit_test(what_comes_slowly_stays),
		cmocka_unit_test(a_pause_is_no_room_for_a_burst),
		cmocka_unit_test(what_somebody_may_lack_stays),
		cmocka_unit_test(also_when_it_has_what_came_after),
		cmocka_unit_test(it_goes_when_that_has_come_bit_by_bit),
		cmocka_unit_test(what_others_were_not_told_of_stays),
		cmocka_unit_test(
			nothing_is_told_to_all_while_somebody_is_behind),
		cmocka_unit_test(who_announced_what_came_has_it),
		cmocka_unit_test(without_neighbors_all_stays_for_the_first),
		cmocka_unit_test(a_new_neighbor_has_nothing),
		cmocka_unit_test(for_who_was_lost_all_stays_a_while),
		cmocka_unit_test(what_was_lost_for_all_is_no_hole),
		cmocka_unit_test(a_large_message_has_its_time_as_well),
		cmocka_unit_test(mine_that_all_have_are_not_lost),
		cmocka_unit_test(older_ones_that_come_later_are_another_matter),
		cmocka_unit_test(who_brings_a_copy_has_it),
	};

	if (crypto_init() != ERR_OK)
		return 1;
	memset(text, 'x', LETTER_BYTES);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
