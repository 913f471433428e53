#include "node_fixture.h"

static void find(struct fixture *f, const struct hash *id)
{
	step(f, &(struct event){ .kind = EV_FIND, .find = *id });
}

static void say_not_found(struct fixture *f, uint8_t slot,
			  const struct hash *id)
{
	struct message m = { .type = MSG_NOT_FOUND };

	m.not_found.has_id = true;
	m.not_found.id = *id;
	hear(f, slot, &m);
}

static struct hash some_id(uint8_t n)
{
	struct hash id = { .b = { n } };

	return id;
}

static void what_is_held_is_found_at_once(void **state)
{
	struct fixture *f = fixture_with_links(1);
	struct letter l = publish(f, "text");
	char hex[HASH_HEX + 1];
	bool several = true;
	struct hash id;

	(void)state;
	find(f, &l.id);
	assert_ptr_equal(effect_one(f, EF_FOUND)->found.frame, l.frame);
	hash_format(&l.id, hex);
	assert_ptr_equal(node_find(f->node, hex, 6, &id, &several), l.frame);
	assert_memory_equal(&id, &l.id, sizeof id);
	assert_false(several);
	letter_free(&l);
	fixture_free(f);
}

static void neighbors_are_asked_and_the_first_answer_counts(void **state)
{
	struct fixture *f = fixture_with_links(3);
	struct identity from = other_run(1);
	struct letter l = letter_new(&from, 1, "text");

	(void)state;
	find(f, &l.id);
	assert_int_equal(said(f, MSG_GET_DATA)->links, 7);
	assert_memory_equal(&said(f, MSG_GET_DATA)->say.get_data.id, &l.id,
			    sizeof l.id);
	say_not_found(f, 0, &l.id);
	assert_int_equal(f->fx.n, 0);
	hear_letter_as(f, 1, &l, FRAME_RECOVERY, 2);
	assert_ptr_equal(effect_one(f, EF_FOUND)->found.frame, l.frame);
	assert_int_equal(effect_count(f, EF_DELIVER), 1); /* it was new, too */
	say_not_found(f, 2, &l.id);
	assert_int_equal(f->fx.n, 0);
	letter_free(&l);
	fixture_free(f);
}

/* Delivered long ago, and no longer held. */
static void a_known_message_is_found_without_being_delivered(void **state)
{
	struct fixture *f = fixture_new(1);
	struct identity from = other_run(1);
	struct letter l = letter_new(&from, 1, "text");

	(void)state;
	f->config.gossip.store_messages = 1;
	fixture_renew(f, 1);
	start(f);
	link_up(f, 0);
	hear_letter(f, 0, &l);
	hear_new(f, 0, &from, 2);
	find(f, &l.id);
	assert_int_equal(effect_count(f, EF_FOUND), 0);
	hear_letter(f, 0, &l);
	assert_ptr_equal(effect_one(f, EF_FOUND)->found.frame, l.frame);
	assert_int_equal(effect_count(f, EF_DELIVER), 0);
	letter_free(&l);
	fixture_free(f);
}

static void nobody_has_it_when_all_said_so_or_are_gone(void **state)
{
	struct fixture *f = fixture_with_links(3);
	struct hash id = some_id(1);

	(void)state;
	find(f, &id);
	say_not_found(f, 0, &id);
	say_not_found(f, 0, &id); /* twice counts once */
	link_down(f, 1, DOWN_RESET);
	assert_int_equal(effect_count(f, EF_NOT_FOUND), 0);
	link_up(f, 9); /* it was not asked */
	say_not_found(f, 1, &id);
	assert_int_equal(effect_count(f, EF_NOT_FOUND), 0);
	hear_bye(f, 2);
	assert_int_equal(effect_count(f, EF_NOT_FOUND), 1);
	fixture_free(f);
}

static void nobody_answering_is_not_found_after_three_seconds(void **state)
{
	struct fixture *f = fixture_with_links(1);
	struct hash id = some_id(1);
	int64_t asked = f->now;

	(void)state;
	find(f, &id);
	assert_true(tick_until(f, EF_NOT_FOUND, 5000));
	assert_int_equal(f->now - asked, 3000);
	assert_memory_equal(&effect_one(f, EF_NOT_FOUND)->found.id, &id,
			    sizeof id);
	fixture_free(f);
}

static void without_neighbors_or_room_it_is_not_found_at_once(void **state)
{
	struct fixture *f = fixture_with_links(0);
	struct hash id = some_id(1);

	(void)state;
	find(f, &id);
	assert_int_equal(effect_count(f, EF_NOT_FOUND), 1);
	link_up(f, 1);
	for (uint8_t i = 0; i <= FINDS_CAP; i++) {
		id = some_id(i);
		find(f, &id);
		assert_int_equal(effect_count(f, EF_NOT_FOUND), i == FINDS_CAP);
	}
	link_down(f, 0, DOWN_RESET);
	assert_int_equal(effect_count(f, EF_NOT_FOUND), FINDS_CAP);
	fixture_free(f);
}

/* Each of those asked may answer; that is no reason for a Prune. */
static void late_answers_are_copies_and_no_more(void **state)
{
	struct fixture *f = fixture_with_links(3);
	struct identity from = other_run(1);
	struct letter l = letter_new(&from, 1, "text");

	(void)state;
	find(f, &l.id);
	hear_letter_as(f, 1, &l, FRAME_RECOVERY, 2);
	for (uint8_t i = 0; i < 3; i++) {
		hear_letter_as(f, i, &l, FRAME_RECOVERY, 2);
		assert_int_equal(f->fx.n, 0);
	}
	assert_int_equal(stats(f).duplicates, 3);
	assert_int_equal(stats(f).prunes, 0);
	letter_free(&l);
	fixture_free(f);
}

static void two_who_look_for_one_message_both_find_it(void **state)
{
	struct fixture *f = fixture_with_links(1);
	struct identity from = other_run(1);
	struct letter l = letter_new(&from, 1, "text");

	(void)state;
	find(f, &l.id);
	find(f, &l.id);
	hear_letter_as(f, 0, &l, FRAME_RECOVERY, 2);
	assert_int_equal(effect_count(f, EF_FOUND), 2);
	assert_false(tick_until(f, EF_NOT_FOUND, 4000));
	letter_free(&l);
	fixture_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_held_is_found_at_once),
		cmocka_unit_test(
			neighbors_are_asked_and_the_first_answer_counts),
		cmocka_unit_test(
			a_known_message_is_found_without_being_delivered),
		cmocka_unit_test(nobody_has_it_when_all_said_so_or_are_gone),
		cmocka_unit_test(
			nobody_answering_is_not_found_after_three_seconds),
		cmocka_unit_test(
			without_neighbors_or_room_it_is_not_found_at_once),
		cmocka_unit_test(late_answers_are_copies_and_no_more),
		cmocka_unit_test(two_who_look_for_one_message_both_find_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
