#include "node_fixture.h"

static void ask_ranges(struct fixture *f, uint8_t slot, const struct range *v,
		       size_t n)
{
	hear_ranges(f, slot, MSG_GET_DATA, v, n);
}

static void ask_range(struct fixture *f, uint8_t slot,
		      const struct identity *run, uint64_t first, uint64_t last)
{
	hear_range(f, slot, MSG_GET_DATA, run, first, last);
}

static void ask_id(struct fixture *f, uint8_t slot, const struct hash *id)
{
	struct message m = { .type = MSG_GET_DATA };

	m.get_data.has_id = true;
	m.get_data.id = *id;
	hear(f, slot, &m);
}

/* A node that holds 1 .. count of that run; link 1 is there to ask. */
static struct fixture *fixture_holding(const struct identity *run,
				       uint64_t count)
{
	struct fixture *f = fixture_with_links(2);

	for (uint64_t i = 1; i <= count; i++)
		assert_true(hear_new(f, 0, run, i));
	return f;
}

static void drained(struct fixture *f, uint8_t slot)
{
	link_event(f, slot, EV_DRAINED);
}

static void check_hole(const struct fixture *f, size_t i, uint64_t first,
		       uint64_t last)
{
	const struct effect *e = said(f, MSG_NOT_FOUND);

	assert_non_null(e);
	assert_true(i < e->say.not_found.ranges.n);
	assert_int_equal(e->say.not_found.ranges.v[i].first, first);
	assert_int_equal(e->say.not_found.ranges.v[i].last, last);
}

static void a_message_is_sent_again_by_its_id(void **state)
{
	struct fixture *f = fixture_with_links(3);
	struct identity from = other_run(1);
	struct letter l = letter_new(&from, 1, "text");
	struct hash other = l.id;
	const struct effect *e;

	(void)state;
	hear_letter_as(f, 0, &l, FRAME_SPREAD, 4);
	ask_id(f, 2, &l.id);
	e = effect_one(f, EF_SEND);
	assert_int_equal(e->links, link_bit(2));
	assert_ptr_equal(e->send.frame, l.frame);
	assert_int_equal(e->send.head.flags, FRAME_RECOVERY);
	assert_int_equal(e->send.head.hops, 5);
	assert_null(said(f, MSG_NOT_FOUND));
	other.b[0] ^= 1;
	ask_id(f, 2, &other);
	assert_int_equal(effect_count(f, EF_SEND), 0);
	e = said(f, MSG_NOT_FOUND);
	assert_int_equal(e->links, link_bit(2));
	assert_true(e->say.not_found.has_id);
	assert_memory_equal(&e->say.not_found.id, &other, sizeof other);
	letter_free(&l);
	fixture_free(f);
}

static void ranges_are_answered_with_what_is_held_and_the_rest(void **state)
{
	struct fixture *f = fixture_with_links(2);
	struct identity from = other_run(1);

	(void)state;
	hear_new(f, 0, &from, 9); /* not in order */
	hear_new(f, 0, &from, 3);
	hear_new(f, 0, &from, 4);
	hear_new(f, 0, &from, 20);
	ask_range(f, 1, &from, 2, 10);
	assert_int_equal(effect_count(f, EF_SEND), 3);
	assert_int_equal(said(f, MSG_NOT_FOUND)->say.not_found.ranges.n, 3);
	check_hole(f, 0, 2, 2);
	check_hole(f, 1, 5, 8);
	check_hole(f, 2, 10, 10);
	ask_range(f, 1, &from, 3, 4);
	assert_int_equal(effect_count(f, EF_SEND), 2);
	assert_null(said(f, MSG_NOT_FOUND));
	fixture_free(f);
}

static void a_huge_range_is_no_work(void **state)
{
	struct fixture *f = fixture_with_links(2);
	struct identity from = other_run(1), nobody = other_run(2);

	(void)state;
	hear_new(f, 0, &from, 7);
	ask_range(f, 1, &from, 1, SEQ_MAX);
	assert_int_equal(effect_count(f, EF_SEND), 1);
	check_hole(f, 0, 1, 6);
	check_hole(f, 1, 8, SEQ_MAX);
	ask_range(f, 1, &nobody, 1, SEQ_MAX);
	assert_int_equal(effect_count(f, EF_SEND), 0);
	check_hole(f, 0, 1, SEQ_MAX);
	fixture_free(f);
}

static void after_256_messages_the_link_has_to_drain(void **state)
{
	struct identity from = other_run(1);
	struct fixture *f = fixture_holding(&from, 600);
	struct range r[2] = { { from, 1, 1000 }, { other_run(2), 1, 5 } };

	(void)state;
	ask_ranges(f, 1, r, 2);
	assert_int_equal(sent_count(f, 1), 256);
	assert_int_equal(effect_one(f, EF_WATCH)->link, 1);
	assert_null(said(f, MSG_NOT_FOUND)); /* not looked at yet */
	drained(f, 1);
	assert_int_equal(sent_count(f, 1), 256);
	assert_int_equal(effect_one(f, EF_WATCH)->link, 1);
	drained(f, 1);
	assert_int_equal(sent_count(f, 1), 88);
	assert_int_equal(effect_count(f, EF_WATCH), 0);
	assert_int_equal(said(f, MSG_NOT_FOUND)->say.not_found.ranges.n, 2);
	check_hole(f, 0, 601, 1000);
	check_hole(f, 1, 1, 5);
	drained(f, 1);
	assert_int_equal(f->fx.n, 0);
	assert_null(f->node->links[1].answers.v);
	fixture_free(f);
}

/* Each message once, in order, over all the portions. */
static void the_portions_of_an_answer_follow_each_other(void **state)
{
	struct identity from = other_run(1);
	struct fixture *f = fixture_with_links(2);
	struct letter *l = calloc(600, sizeof *l);
	unsigned got = 0;

	(void)state;
	assert_non_null(l);
	for (unsigned i = 0; i < 600; i++) {
		l[i] = letter_new(&from, i + 1, "text");
		hear_letter(f, 0, &l[i]);
	}
	ask_range(f, 1, &from, 1, 600);
	while (got < 600) {
		assert_true(effect_count(f, EF_SEND) > 0);
		for (size_t i = 0; i < effect_count(f, EF_SEND); i++) {
			const struct effect *e = effect_at(f, EF_SEND, i);

			assert_ptr_equal(e->send.frame, l[got].frame);
			assert_int_equal(e->send.head.flags, FRAME_RECOVERY);
			got++;
		}
		drained(f, 1);
	}
	for (unsigned i = 0; i < 600; i++)
		letter_free(&l[i]);
	free(l);
	fixture_free(f);
}

static void after_a_mebibyte_the_link_has_to_drain(void **state)
{
	enum { SIZE = 300000 };
	struct fixture *f = fixture_with_links(2);
	struct identity from = other_run(1);
	char *text = calloc(1, SIZE + 1);

	(void)state;
	assert_non_null(text);
	memset(text, 'x', SIZE);
	for (uint64_t i = 1; i <= 6; i++) {
		struct letter l = letter_new(&from, i, text);

		hear_letter(f, 0, &l);
		letter_free(&l);
	}
	ask_range(f, 1, &from, 1, 6);
	assert_int_equal(sent_count(f, 1), 4);
	assert_int_equal(effect_one(f, EF_WATCH)->link, 1);
	drained(f, 1);
	assert_int_equal(sent_count(f, 1), 2);
	assert_null(said(f, MSG_NOT_FOUND));
	free(text);
	fixture_free(f);
}

static void what_is_asked_while_the_link_is_full_waits_its_turn(void **state)
{
	struct identity from = other_run(1);
	struct fixture *f = fixture_holding(&from, 300);

	(void)state;
	ask_range(f, 1, &from, 1, 256);
	ask_range(f, 1, &from, 290, 310);
	assert_int_equal(f->fx.n, 0);
	/* Another link is no worse off. */
	ask_range(f, 0, &from, 300, 300);
	assert_int_equal(sent_count(f, 0), 1);
	drained(f, 1);
	assert_int_equal(sent_count(f, 1), 11);
	check_hole(f, 0, 301, 310);
	fixture_free(f);
}

static void the_same_asked_again_while_it_waits_comes_once(void **state)
{
	struct identity from = other_run(1);
	struct fixture *f = fixture_holding(&from, 300);

	(void)state;
	ask_range(f, 1, &from, 1, 256);
	for (int i = 0; i < 5; i++) {
		ask_range(f, 1, &from, 281, 290);
		ask_range(f, 1, &from, 291, 300);
		assert_int_equal(f->fx.n, 0);
	}
	drained(f, 1);
	assert_int_equal(sent_count(f, 1), 20);
	drained(f, 1);
	assert_int_equal(f->fx.n, 0);
	/* It is not forbidden for ever. */
	ask_range(f, 1, &from, 281, 290);
	assert_int_equal(sent_count(f, 1), 10);
	fixture_free(f);
}

/* A link that drains slowly is asked for no more than one question. */
static void more_than_800_ranges_do_not_wait(void **state)
{
	struct identity from = other_run(1);
	struct fixture *f = fixture_holding(&from, 3000);
	struct range *v = calloc(RANGES_MAX, sizeof *v);
	unsigned sent = 0;

	(void)state;
	assert_non_null(v);
	ask_range(f, 1, &from, 1, 256);
	for (unsigned k = 0; k < 10; k++) {
		for (unsigned i = 0; i < RANGES_MAX; i++)
			v[i] = (struct range){ from, 300 + i + k, 300 + i + k };
		ask_ranges(f, 1, v, RANGES_MAX);
		assert_int_equal(f->fx.n, 0);
		assert_int_equal(stats(f).rejected, k);
		assert_int_equal(f->node->links[1].answers.n, RANGES_MAX);
		assert_true(f->node->links[1].answers.cap <= 2 * RANGES_MAX);
	}
	do {
		drained(f, 1);
		assert_true(sent_count(f, 1) <= 256);
		sent += (unsigned)sent_count(f, 1);
	} while (effect_count(f, EF_WATCH) > 0);
	assert_int_equal(sent, RANGES_MAX);
	free(v);
	fixture_free(f);
}

/* Two questions of 800 single messages, the second while half of the first
 * still waits: what of it finds room comes behind the first. */
static void a_second_question_waits_behind_the_rest_of_the_first(void **state)
{
	struct identity from = other_run(1);
	struct fixture *f = fixture_with_links(2);
	struct letter *l = calloc(2000, sizeof *l);
	struct range v[RANGES_MAX];
	unsigned got = 0;

	(void)state;
	assert_non_null(l);
	for (unsigned i = 0; i < 2000; i++) {
		l[i] = letter_new(&from, i + 1, "text");
		hear_letter(f, 0, &l[i]);
	}
	for (unsigned i = 0; i < RANGES_MAX; i++)
		v[i] = (struct range){ from, 1 + i, 1 + i };
	ask_ranges(f, 1, v, RANGES_MAX);
	got = (unsigned)sent_count(f, 1);
	assert_int_equal(got, 256);
	for (unsigned i = 0; i < RANGES_MAX; i++)
		v[i] = (struct range){ from, 1001 + i, 1001 + i };
	ask_ranges(f, 1, v, RANGES_MAX);
	assert_int_equal(f->fx.n, 0);
	assert_int_equal(stats(f).rejected, 1); /* part of it had no room */
	for (drained(f, 1); f->fx.n > 0; drained(f, 1))
		for (size_t i = 0; i < effect_count(f, EF_SEND); i++, got++) {
			unsigned want = got < RANGES_MAX ? got : got + 200;

			assert_ptr_equal(effect_at(f, EF_SEND, i)->send.frame,
					 l[want].frame);
		}
	assert_int_equal(got, RANGES_MAX + 256);
	for (unsigned i = 0; i < 2000; i++)
		letter_free(&l[i]);
	free(l);
	fixture_free(f);
}

static void a_new_link_in_the_slot_gets_nothing_of_the_old_ones(void **state)
{
	struct identity from = other_run(1);
	struct fixture *f = fixture_holding(&from, 300);

	(void)state;
	ask_range(f, 1, &from, 1, 256);
	ask_range(f, 1, &from, 257, 300);
	link_down(f, 1, DOWN_RESET);
	assert_int_equal(link_up(f, 7), 1);
	assert_int_equal(f->node->links[1].answers.n, 0);
	ask_range(f, 1, &from, 1, 2); /* and is not full */
	assert_int_equal(sent_count(f, 1), 2);
	drained(f, 1);
	assert_int_equal(f->fx.n, 0);
	fixture_free(f);
}

/* What is evicted between two portions is not there any more. */
static void what_went_while_it_waited_is_not_found(void **state)
{
	struct identity from = other_run(1);
	struct fixture *f = fixture_new(1);

	(void)state;
	f->config.gossip.store_messages = 400;
	fixture_relink(f, 2);
	for (uint64_t i = 1; i <= 400; i++)
		hear_new(f, 0, &from, i);
	ask_range(f, 1, &from, 1, 300);
	assert_int_equal(sent_count(f, 1), 256);
	for (uint64_t i = 401; i <= 680; i++)
		hear_new(f, 0, &from, i); /* 1 .. 280 go */
	drained(f, 1);
	assert_int_equal(sent_count(f, 1), 20);
	assert_int_equal(said(f, MSG_NOT_FOUND)->say.not_found.ranges.n, 1);
	check_hole(f, 0, 257, 280);
	fixture_free(f);
}

static void a_full_question_of_holes_is_answered_in_two(void **state)
{
	struct fixture *f = fixture_with_links(2);
	struct range *v = calloc(RANGES_MAX, sizeof *v);

	(void)state;
	assert_non_null(v);
	for (unsigned i = 0; i < RANGES_MAX; i++)
		v[i] = (struct range){ other_run(i % 7), 10 * i + 1,
				       10 * i + 3 };
	for (unsigned i = 0; i < 7; i++) {
		struct identity from = other_run(i);

		for (unsigned k = 0; k < 20; k++)
			hear_new(f, 0, &from, 10 * (i + 7 * k) + 2);
	}
	/* Two holes in some of them: more than one Not Found can name. */
	ask_ranges(f, 1, v, RANGES_MAX);
	assert_int_equal(effect_count(f, EF_SEND), 140);
	assert_int_equal(said(f, MSG_NOT_FOUND)->say.not_found.ranges.n,
			 RANGES_MAX);
	check_hole(f, 0, 1, 1);
	check_hole(f, 1, 3, 3);
	assert_int_equal(said_to(f, 1, MSG_NOT_FOUND, 1)->not_found.ranges.n,
			 140);
	free(v);
	fixture_free(f);
}

/* A member may ask for 800 ranges of a run of which 20,000 messages are held:
 * all of them behind what is held, or one message each. Neither may cost a
 * walk over all that is held for each of the ranges. */
static void many_ranges_of_a_long_run_cost_little(void **state)
{
	enum { HELD = 20000 };
	struct fixture *f = fixture_with_links(2);
	struct range *v = calloc(RANGES_MAX, sizeof *v);
	struct identity from = other_run(1);
	unsigned sent = 0;

	(void)state;
	assert_non_null(v);
	for (uint64_t i = 1; i <= HELD; i++)
		hear_new(f, 0, &from, i);
	for (unsigned i = 0; i < RANGES_MAX; i++)
		v[i] = (struct range){ from, 20 * i + 1, 20 * i + 1 };
	ask_ranges(f, 1, v, RANGES_MAX);
	while (effect_count(f, EF_SEND) > 0) {
		sent += (unsigned)sent_count(f, 1);
		drained(f, 1);
	}
	assert_int_equal(sent, RANGES_MAX);
	for (unsigned i = 0; i < RANGES_MAX; i++)
		v[i] = (struct range){ from, HELD + 1, SEQ_MAX };
	ask_ranges(f, 1, v, RANGES_MAX);
	check_hole(f, 0, HELD + 1, SEQ_MAX);
	assert_int_equal(said_count(f, 1, MSG_NOT_FOUND), 1);
	assert_true(said(f, MSG_NOT_FOUND)->say.not_found.ranges.n <=
		    RANGES_MAX);
	free(v);
	fixture_free(f);
}

/* --- with graft ---------------------------------------------------------- */

static void ask_graft(struct fixture *f, uint8_t slot, const struct range *v,
		      size_t n)
{
	struct message m = { .type = MSG_GET_DATA };

	m.get_data.ranges = (struct range_list){ v, n };
	m.get_data.graft = true;
	hear(f, slot, &m);
}

static void who_asks_with_graft_is_sent_the_run_from_then_on(void **state)
{
	struct identity from = other_run(1);
	struct fixture *f = fixture_with_links(4);
	struct range r = { from, 1, 1 };

	(void)state;
	hear_new(f, 3, &from, 1);
	ask_range(f, 1, &from, 1, 1); /* without: only the answer */
	ask_graft(f, 2, &r, 1);
	assert_int_equal(sent_count(f, 2), 1);
	assert_true(hear_new(f, 3, &from, 2));
	assert_int_equal(sent_to(f), link_bit(0) | link_bit(2));
	assert_int_equal(stats(f).rejected, 0);
	fixture_free(f);
}

/* It may be the first sign of a run here; it does not make a record. */
static void unknown_runs_asked_with_graft_are_one_rejection(void **state)
{
	struct fixture *f = fixture_with_links(2);
	struct range *v = calloc(RANGES_MAX, sizeof *v);

	(void)state;
	assert_non_null(v);
	for (unsigned i = 0; i < RANGES_MAX; i++)
		v[i] = (struct range){ other_run(i), 1, SEQ_MAX };
	for (unsigned i = 1; i <= 3; i++) {
		ask_graft(f, 1, v, RANGES_MAX);
		assert_int_equal(stats(f).rejected, i);
		assert_int_equal(
			said_to(f, 1, MSG_NOT_FOUND, 0)->not_found.ranges.n,
			RANGES_MAX);
	}
	assert_int_equal(origins_count(&f->node->gossip.origins), 0);
	assert_int_equal(f->node->gossip.wants.n, 0);
	free(v);
	fixture_free(f);
}

/* --- too many questions -------------------------------------------------- */

/* Each step's work is bounded, and a link that does not drain gets no more. */
static void a_flood_of_questions_gets_a_bounded_answer(void **state)
{
	struct identity from = other_run(1);
	struct fixture *f = fixture_holding(&from, 2000);
	struct range *v = calloc(RANGES_MAX, sizeof *v);
	size_t sent = 0;

	(void)state;
	assert_non_null(v);
	for (unsigned i = 0; i < RANGES_MAX; i++)
		v[i] = (struct range){ from, 1 + i, SEQ_MAX };
	for (unsigned i = 0; i < 200; i++) {
		ask_ranges(f, 1, v, RANGES_MAX);
		sent += sent_count(f, 1);
		assert_true(f->node->links[1].answers.n <= RANGES_MAX);
	}
	assert_int_equal(sent, 256);
	/* The others are answered as if nothing was. */
	ask_range(f, 0, &from, 5, 6);
	assert_int_equal(sent_count(f, 0), 2);
	free(v);
	fixture_free(f);
}

static void a_flood_of_questions_by_id_gets_a_bounded_answer(void **state)
{
	struct identity from = other_run(1);
	struct fixture *f = fixture_with_links(2);
	struct letter l = letter_new(&from, 1, "text");
	size_t sent = 0;

	(void)state;
	hear_letter(f, 0, &l);
	for (unsigned i = 0; i < 1000; i++) {
		ask_id(f, 1, &l.id);
		sent += sent_count(f, 1);
	}
	assert_true(sent <= 256);
	letter_free(&l);
	fixture_free(f);
}

static void a_range_repeated_in_one_question_comes_once(void **state)
{
	struct identity from = other_run(1);
	struct fixture *f = fixture_holding(&from, 100);
	struct range *v = calloc(RANGES_MAX, sizeof *v);
	size_t sent;

	(void)state;
	assert_non_null(v);
	for (unsigned i = 0; i < RANGES_MAX; i++)
		v[i] = (struct range){ from, 1, 100 };
	ask_ranges(f, 1, v, RANGES_MAX);
	sent = sent_count(f, 1);
	for (unsigned i = 0; i < 10; i++) {
		drained(f, 1);
		sent += sent_count(f, 1);
	}
	assert_int_equal(sent, 100);
	free(v);
	fixture_free(f);
}

static void a_full_link_is_answered_when_it_has_drained(void **state)
{
	struct identity from = other_run(1);
	struct fixture *f = fixture_holding(&from, 10);

	(void)state;
	link_event(f, 1, EV_FULL);
	ask_range(f, 1, &from, 1, 10);
	assert_int_equal(sent_count(f, 1), 0);
	drained(f, 1);
	assert_int_equal(sent_count(f, 1), 10);
	fixture_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_is_sent_again_by_its_id),
		cmocka_unit_test(
			ranges_are_answered_with_what_is_held_and_the_rest),
		cmocka_unit_test(a_huge_range_is_no_work),
		cmocka_unit_test(after_256_messages_the_link_has_to_drain),
		cmocka_unit_test(the_portions_of_an_answer_follow_each_other),
		cmocka_unit_test(after_a_mebibyte_the_link_has_to_drain),
		cmocka_unit_test(
			what_is_asked_while_the_link_is_full_waits_its_turn),
		cmocka_unit_test(
			the_same_asked_again_while_it_waits_comes_once),
		cmocka_unit_test(more_than_800_ranges_do_not_wait),
		cmocka_unit_test(
			a_second_question_waits_behind_the_rest_of_the_first),
		cmocka_unit_test(
			a_new_link_in_the_slot_gets_nothing_of_the_old_ones),
		cmocka_unit_test(what_went_while_it_waited_is_not_found),
		cmocka_unit_test(a_full_question_of_holes_is_answered_in_two),
		cmocka_unit_test(many_ranges_of_a_long_run_cost_little),
		cmocka_unit_test(
			who_asks_with_graft_is_sent_the_run_from_then_on),
		cmocka_unit_test(
			unknown_runs_asked_with_graft_are_one_rejection),
		cmocka_unit_test(a_flood_of_questions_gets_a_bounded_answer),
		cmocka_unit_test(
			a_flood_of_questions_by_id_gets_a_bounded_answer),
		cmocka_unit_test(a_range_repeated_in_one_question_comes_once),
		cmocka_unit_test(a_full_link_is_answered_when_it_has_drained),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
