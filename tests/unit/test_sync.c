#include "node_fixture.h"

static void answer_nonce(struct fixture *f, uint8_t slot, uint64_t nonce)
{
	struct message m = { .type = MSG_LIVELINESS_REPLY };

	m.liveliness_reply.nonce = nonce;
	m.liveliness_reply.id = number_id(slot);
	hear(f, slot, &m);
}

/* Of the Liveliness that went to this one link. */
static uint64_t nonce_for(struct fixture *f, uint8_t slot)
{
	for (size_t i = 0; i < f->fx.n; i++) {
		const struct effect *e = &f->fx.v[i];

		if (e->kind == EF_SAY && e->say.type == MSG_LIVELINESS &&
		    e->links == link_bit(slot))
			return e->say.liveliness.nonce;
	}
	fail_msg("no Liveliness to link %u", slot);
	return 0;
}

static void nothing_published_is_taken_at_once(void **state)
{
	struct fixture *f = fixture_with_links(1);

	(void)state;
	step_kind(f, EV_SYNC);
	assert_int_equal(effect_count(f, EF_SYNCED), 1);
	assert_null(said(f, MSG_LIVELINESS));
	fixture_free(f);
}

static void one_neighbor_that_answers_has_taken_all(void **state)
{
	struct fixture *f = fixture_with_links(3);
	struct letter l = publish(f, "mine");
	uint64_t nonce[3];

	(void)state;
	step_kind(f, EV_SYNC);
	for (uint8_t i = 0; i < 3; i++)
		nonce[i] = nonce_for(f, i);
	answer_nonce(f, 0, nonce[1]);
	assert_int_equal(effect_count(f, EF_SYNCED), 0);
	answer_nonce(f, 1, nonce[1]);
	assert_int_equal(effect_count(f, EF_SYNCED), 1);
	answer_nonce(f, 2, nonce[2]);
	assert_int_equal(effect_count(f, EF_SYNCED), 0);
	letter_free(&l);
	fixture_free(f);
}

static void a_lost_neighbor_need_not_answer(void **state)
{
	struct fixture *f = fixture_with_links(2);
	struct letter l = publish(f, "mine");
	uint64_t nonce;

	(void)state;
	step_kind(f, EV_SYNC);
	nonce = nonce_for(f, 1);
	link_down(f, 0, DOWN_RESET);
	assert_int_equal(effect_count(f, EF_SYNCED), 0);
	answer_nonce(f, 1, nonce);
	assert_int_equal(effect_count(f, EF_SYNCED), 1);
	letter_free(&l);
	fixture_free(f);
}

static void what_no_living_neighbor_got_is_sent_again(void **state)
{
	struct fixture *f = fixture_with_links(1);
	struct letter first = publish(f, "first"), second, third;

	(void)state;
	second = publish(f, "second");
	step_kind(f, EV_SYNC);
	link_down(f, 0, DOWN_RESET);
	link_up(f, 5);
	assert_int_equal(sent_count(f, 0), 2); /* at once */
	assert_int_equal(effect_at(f, EF_SEND, 0)->send.head.flags,
			 FRAME_RECOVERY);
	assert_ptr_equal(effect_at(f, EF_SEND, 0)->send.frame, first.frame);
	assert_int_equal(effect_count(f, EF_SYNCED), 0);
	answer_nonce(f, 0, nonce_for(f, 0));
	assert_int_equal(effect_count(f, EF_SYNCED), 1);
	assert_int_equal(effect_count(f, EF_SEND), 0);
	/* From here on it gets everything as it is published. */
	third = publish(f, "third");
	assert_int_equal(sent_count(f, 0), 1);
	step_kind(f, EV_SYNC);
	answer_nonce(f, 0, nonce_for(f, 0));
	assert_int_equal(sent_count(f, 0), 0);
	assert_int_equal(effect_count(f, EF_SYNCED), 1);
	letter_free(&first);
	letter_free(&second);
	letter_free(&third);
	fixture_free(f);
}

static void many_are_sent_again_in_portions(void **state)
{
	struct fixture *f = fixture_with_links(1);
	size_t again = 0;

	(void)state;
	for (int i = 0; i < 600; i++) {
		struct letter l = publish(f, "one of many");

		letter_free(&l);
	}
	step_kind(f, EV_SYNC);
	link_down(f, 0, DOWN_RESET);
	link_up(f, 5);
	for (int i = 0; i < 5 && effect_count(f, EF_SYNCED) == 0; i++) {
		assert_true(sent_count(f, 0) <= 256);
		again += sent_count(f, 0);
		answer_nonce(f, 0, nonce_for(f, 0));
	}
	assert_int_equal(effect_count(f, EF_SYNCED), 1);
	assert_int_equal(again, 600);
	fixture_free(f);
}

/* A Have moves nothing: only who was sent it can have taken it. */
static void who_only_heard_of_it_has_not_taken_it(void **state)
{
	struct fixture *f = fixture_with_links(2);
	struct letter l[2];
	uint64_t nonce;

	(void)state;
	l[0] = publish(f, "first"); /* goes everywhere, */
	hear_run(f, 1, MSG_PRUNE, node_self(f->node));
	l[1] = publish(f, "second"); /* and this does not */
	assert_int_equal(sent_to(f), link_bit(0));
	assert_true(wait_said(f, MSG_HAVE, 100));
	step_kind(f, EV_SYNC);
	nonce = nonce_for(f, 0);
	answer_nonce(f, 1, nonce_for(f, 1));
	assert_int_equal(effect_count(f, EF_SYNCED), 0);
	answer_nonce(f, 0, nonce);
	assert_int_equal(effect_count(f, EF_SYNCED), 1);
	/* Had 0 gone, 1 would have been sent what it lacks. */
	letter_free(&l[1]);
	l[1] = publish(f, "third");
	step_kind(f, EV_SYNC);
	assert_null(said_to(f, 1, MSG_LIVELINESS, 0));
	link_down(f, 0, DOWN_RESET);
	assert_int_equal(sent_count(f, 1), 1);
	answer_nonce(f, 1, nonce_for(f, 1));
	assert_int_equal(effect_count(f, EF_SYNCED), 1);
	letter_free(&l[0]);
	letter_free(&l[1]);
	fixture_free(f);
}

/* What its outbox did not take is not with it. */
static void a_full_link_proves_nothing_until_it_has_drained(void **state)
{
	struct fixture *f = fixture_with_links(1);
	struct letter l = publish(f, "mine");
	uint64_t nonce;

	(void)state;
	step_kind(f, EV_SYNC);
	nonce = nonce_for(f, 0);
	link_event(f, 0, EV_FULL);
	assert_int_equal(effect_count(f, EF_SEND), 0);
	link_event(f, 0, EV_DRAINED);
	assert_int_equal(sent_count(f, 0), 1);
	assert_int_not_equal(nonce_for(f, 0), nonce);
	nonce = nonce_for(f, 0);
	answer_nonce(f, 0, nonce - 1); /* an old one */
	assert_int_equal(effect_count(f, EF_SYNCED), 0);
	answer_nonce(f, 0, nonce);
	assert_int_equal(effect_count(f, EF_SYNCED), 1);
	letter_free(&l);
	fixture_free(f);
}

static void what_fell_out_of_the_store_is_lost_once(void **state)
{
	struct fixture *f = fixture_new(1);

	(void)state;
	f->config.gossip.store_messages = 4;
	fixture_relink(f, 0);
	for (int i = 0; i < 10; i++) {
		struct letter l = publish(f, "to nobody");

		letter_free(&l);
	}
	step_kind(f, EV_SYNC);
	assert_int_equal(effect_count(f, EF_SYNCED), 0);
	link_up(f, 1);
	assert_int_equal(sent_count(f, 0), 4);
	assert_int_equal(stats(f).lost, 6);
	link_down(f, 0, DOWN_RESET);
	link_up(f, 2);
	assert_int_equal(sent_count(f, 0), 4);
	assert_int_equal(stats(f).lost, 6);
	answer_nonce(f, 0, nonce_for(f, 0));
	assert_int_equal(effect_count(f, EF_SYNCED), 1);
	fixture_free(f);
}

/* Who got 1 and 3 and not 2 has taken nothing for sure. */
static void who_was_left_out_in_between_is_sent_all_of_it_again(void **state)
{
	struct fixture *f = fixture_with_links(2);
	struct letter l[3];

	(void)state;
	l[0] = publish(f, "first");
	assert_int_equal(sent_to(f), 3);
	hear_run(f, 1, MSG_PRUNE, node_self(f->node));
	l[1] = publish(f, "second");
	assert_int_equal(sent_to(f), link_bit(0));
	hear_run(f, 1, MSG_GRAFT, node_self(f->node));
	l[2] = publish(f, "third");
	assert_int_equal(sent_to(f), 3);
	link_down(f, 0, DOWN_RESET);
	step_kind(f, EV_SYNC);
	assert_int_equal(sent_count(f, 1), 3);
	for (size_t i = 0; i < 3; i++)
		assert_ptr_equal(effect_at(f, EF_SEND, i)->send.frame,
				 l[i].frame);
	assert_int_equal(effect_count(f, EF_SYNCED), 0);
	answer_nonce(f, 1, nonce_for(f, 1));
	assert_int_equal(effect_count(f, EF_SYNCED), 1);
	for (size_t i = 0; i < 3; i++)
		letter_free(&l[i]);
	fixture_free(f);
}

static void large_ones_are_sent_again_a_mebibyte_at_a_time(void **state)
{
	enum { SIZE = 400000 };
	struct fixture *f = fixture_with_links(1);
	char *text = calloc(1, SIZE + 1);

	(void)state;
	assert_non_null(text);
	memset(text, 'x', SIZE);
	for (int i = 0; i < 5; i++) {
		struct letter l = publish(f, text);

		letter_free(&l);
	}
	step_kind(f, EV_SYNC);
	link_down(f, 0, DOWN_RESET);
	link_up(f, 5);
	assert_int_equal(sent_count(f, 0), 3);
	answer_nonce(f, 0, nonce_for(f, 0));
	assert_int_equal(sent_count(f, 0), 2);
	answer_nonce(f, 0, nonce_for(f, 0));
	assert_int_equal(effect_count(f, EF_SYNCED), 1);
	free(text);
	fixture_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_published_is_taken_at_once),
		cmocka_unit_test(one_neighbor_that_answers_has_taken_all),
		cmocka_unit_test(a_lost_neighbor_need_not_answer),
		cmocka_unit_test(what_no_living_neighbor_got_is_sent_again),
		cmocka_unit_test(many_are_sent_again_in_portions),
		cmocka_unit_test(who_only_heard_of_it_has_not_taken_it),
		cmocka_unit_test(
			a_full_link_proves_nothing_until_it_has_drained),
		cmocka_unit_test(what_fell_out_of_the_store_is_lost_once),
		cmocka_unit_test(
			who_was_left_out_in_between_is_sent_all_of_it_again),
		cmocka_unit_test(
			large_ones_are_sent_again_a_mebibyte_at_a_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
