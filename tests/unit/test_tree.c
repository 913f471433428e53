#include "node_fixture.h"

static const struct origin *record(const struct fixture *f,
				   const struct identity *run)
{
	return origins_find(&f->node->gossip.origins, run);
}

static link_set eager(const struct fixture *f, const struct identity *run)
{
	assert_non_null(record(f, run));
	return record(f, run)->eager;
}

static bool grafted_all(const struct fixture *f, uint8_t slot)
{
	const struct message *m;

	for (size_t k = 0; (m = said_to(f, slot, MSG_GRAFT, k)) != NULL; k++)
		if (m->graft.all)
			return true;
	return false;
}

/* Does one of the Grafts (or Prunes) of the last step name that run? */
static bool names_run(const struct fixture *f, uint8_t slot,
		      enum message_type type, const struct identity *run)
{
	const struct message *m;

	for (size_t k = 0; (m = said_to(f, slot, type, k)) != NULL; k++)
		for (size_t i = 0; i < m->graft.runs.n; i++)
			if (identity_equal(&m->graft.runs.v[i], run))
				return true;
	return false;
}

static void publish_and_forget(struct fixture *f)
{
	struct letter l = publish(f, "mine");

	letter_free(&l);
}

/* As of a link whose answers take that long. */
static void pass(struct fixture *f, int64_t ms)
{
	(void)wait_said(f, MSG_BYE, ms);
}

/* --- R7: who sends everything -------------------------------------------- */

static void the_first_link_is_to_send_everything(void **state)
{
	struct fixture *f = fixture_with_links(0);

	(void)state;
	link_up(f, 0);
	assert_true(grafted_all(f, 0));
	assert_int_equal(said_to(f, 0, MSG_GRAFT, 0)->graft.runs.n, 0);
	assert_int_equal(stats(f).grafts, 1);
	fixture_free(f);
}

static void further_links_are_not(void **state)
{
	struct fixture *f = fixture_with_links(1);

	(void)state;
	for (unsigned i = 1; i < 5; i++) {
		link_up(f, i);
		assert_null(said(f, MSG_GRAFT));
	}
	assert_int_equal(stats(f).grafts, 1);
	fixture_free(f);
}

static void it_is_sent_everything_in_turn(void **state)
{
	struct fixture *f = fixture_with_links(0);
	struct identity from = other_run(1);

	(void)state;
	publish_and_forget(f);
	assert_true(hear_new(f, LINK_NONE, &from, 1));
	link_up(f, 0);
	link_up(f, 1);
	publish_and_forget(f); /* what was known before */
	assert_int_equal(sent_to(f), link_bit(0));
	assert_true(hear_new(f, 1, &from, 2));
	assert_int_equal(sent_to(f), link_bit(0));
	from = other_run(2); /* and what comes new */
	assert_true(hear_new(f, 1, &from, 1));
	assert_int_equal(sent_to(f), link_bit(0));
	fixture_free(f);
}

static uint8_t link_up_island(struct fixture *f, unsigned number)
{
	struct identity id = number_id(number);

	return request_full(f, &id, 0, false);
}

static void a_neighbor_without_neighbors_does_not_count_yet(void **state)
{
	struct fixture *f = fixture_with_links(0);

	(void)state;
	link_up_island(f, 0);
	assert_true(grafted_all(f, 0));
	pass(f, 4999);
	link_up_island(f, 1); /* another island: they both wait */
	assert_true(grafted_all(f, 1));
	link_up(f, 2);
	assert_true(grafted_all(f, 2));
	link_up(f, 3);
	assert_null(said(f, MSG_GRAFT)); /* 2 counts */
	fixture_free(f);
}

static void after_five_seconds_it_counts(void **state)
{
	struct fixture *f = fixture_with_links(0);

	(void)state;
	link_up_island(f, 0);
	pass(f, 5000);
	link_up(f, 1);
	assert_null(said(f, MSG_GRAFT));
	fixture_free(f);
}

static void it_counts_as_soon_as_it_has_neighbors(void **state)
{
	struct fixture *f = fixture_with_links(0);
	struct message m = { .type = MSG_LIVELINESS_REPLY };

	(void)state;
	link_up_island(f, 0);
	m.liveliness_reply.id = number_id(0);
	m.liveliness_reply.neighbors = 3;
	hear(f, 0, &m);
	link_up(f, 1);
	assert_null(said(f, MSG_GRAFT));
	fixture_free(f);
}

/* --- R11: Graft and Prune ------------------------------------------------ */

static void who_grafts_all_is_sent_all(void **state)
{
	struct fixture *f = fixture_with_links(4);
	struct identity a = other_run(1), b = other_run(2);

	(void)state;
	assert_true(hear_new(f, 3, &a, 1));
	hear_graft_all(f, 2);
	assert_int_equal(f->fx.n, 0);
	assert_true(hear_new(f, 3, &a, 2));
	assert_int_equal(sent_to(f), link_bit(0) | link_bit(2));
	assert_true(hear_new(f, 3, &b, 1));
	assert_int_equal(sent_to(f), link_bit(0) | link_bit(2));
	fixture_free(f);
}

static void who_grafts_a_run_is_sent_that_run(void **state)
{
	struct fixture *f = fixture_with_links(4);
	struct identity a = other_run(1), b = other_run(2);

	(void)state;
	assert_true(hear_new(f, 3, &a, 1));
	assert_true(hear_new(f, 3, &b, 1));
	hear_run(f, 2, MSG_GRAFT, &a);
	assert_int_equal(f->fx.n, 0);
	assert_true(hear_new(f, 3, &a, 2));
	assert_int_equal(sent_to(f), link_bit(0) | link_bit(2));
	assert_true(hear_new(f, 3, &b, 2));
	assert_int_equal(sent_to(f), link_bit(0));
	assert_int_equal(stats(f).rejected, 0);
	fixture_free(f);
}

static void who_prunes_a_run_only_hears_of_it(void **state)
{
	struct fixture *f = fixture_with_links(4);
	struct identity a = other_run(1), b = other_run(2);

	(void)state;
	assert_true(hear_new(f, 3, &a, 1));
	assert_true(hear_new(f, 3, &b, 1));
	hear_run(f, 0, MSG_PRUNE, &a);
	assert_int_equal(f->fx.n, 0); /* 3 is left, who brings it */
	assert_true(hear_new(f, 3, &a, 2));
	assert_int_equal(sent_to(f), 0);
	assert_true(hear_new(f, 3, &b, 2));
	assert_int_equal(sent_to(f), link_bit(0));
	assert_int_equal(stats(f).rejected, 0);
	fixture_free(f);
}

static void unknown_runs_are_one_rejection_and_nothing_more(void **state)
{
	struct fixture *f = fixture_with_links(3);
	struct identity *v = calloc(RUNS_MAX, sizeof *v);
	struct identity known = other_run(999);
	struct message m = { .type = MSG_GRAFT };

	(void)state;
	assert_non_null(v);
	assert_true(hear_new(f, 0, &known, 1));
	for (unsigned i = 0; i < RUNS_MAX; i++)
		v[i] = other_run(i);
	m.graft.runs = (struct run_list){ v, 999 };
	for (unsigned i = 1; i <= 4; i++) {
		hear(f, 1, &m);
		assert_int_equal(f->fx.n, 0);
		assert_int_equal(stats(f).rejected, i);
		m.type = m.type == MSG_GRAFT ? MSG_PRUNE : MSG_GRAFT;
	}
	assert_int_equal(origins_count(&f->node->gossip.origins), 1);
	/* One that is known among them has its effect all the same. */
	m.graft.runs.n = RUNS_MAX;
	m.type = MSG_GRAFT;
	hear(f, 1, &m);
	assert_int_equal(stats(f).rejected, 5);
	assert_int_equal(eager(f, &known), link_bit(0) | link_bit(1));
	free(v);
	fixture_free(f);
}

/* Its messages would otherwise wait for a Have each time. */
static void a_run_that_loses_its_last_link_gets_another(void **state)
{
	struct fixture *f = fixture_with_links(3);
	struct identity a = other_run(1);
	uint8_t next;

	(void)state;
	assert_true(hear_new(f, 0, &a, 1));
	assert_int_equal(eager(f, &a), link_bit(0));
	hear_run(f, 0, MSG_PRUNE, &a);
	next = names_run(f, 1, MSG_GRAFT, &a) ? 1 : 2;
	assert_true(names_run(f, next, MSG_GRAFT, &a));
	assert_int_equal(effect_count(f, EF_SAY), 1);
	assert_int_equal(eager(f, &a), link_bit(next));
	fixture_free(f);
}

static void it_gets_one_that_announced_some_of_it(void **state)
{
	for (uint64_t seed = 1; seed < 20; seed++) {
		struct fixture *f = fixture_new(1);
		struct identity a = other_run(1);

		(void)state;
		fixture_renew(f, seed);
		join(f, NULL, 0);
		for (unsigned i = 0; i < 8; i++)
			link_up(f, i);
		assert_true(hear_new(f, 0, &a, 1));
		hear_range(f, 5, MSG_HAVE, &a, 1, 1);
		hear_run(f, 0, MSG_PRUNE, &a);
		assert_true(names_run(f, 5, MSG_GRAFT, &a));
		assert_int_equal(eager(f, &a), link_bit(5));
		fixture_free(f);
	}
}

static void without_another_link_there_is_nobody_to_graft(void **state)
{
	struct fixture *f = fixture_with_links(1);
	struct identity a = other_run(1);

	(void)state;
	assert_true(hear_new(f, 0, &a, 1));
	hear_run(f, 0, MSG_PRUNE, &a);
	assert_int_equal(f->fx.n, 0);
	/* I2: the neighbor hears of what is new. */
	publish_and_forget(f);
	assert_true(hear_new(f, LINK_NONE, &a, 2));
	assert_true(wait_said(f, MSG_HAVE, 100));
	check_only(&said_to(f, 0, MSG_HAVE, 0)->have.ranges, &a, 2, 2);
	fixture_free(f);
}

static void an_idle_run_needs_no_link(void **state)
{
	struct fixture *f = fixture_with_links(3);
	struct identity a = other_run(1);

	(void)state;
	assert_true(hear_new(f, 0, &a, 1));
	pass(f, 60000);
	hear_run(f, 0, MSG_PRUNE, &a);
	assert_int_equal(f->fx.n, 0);
	fixture_free(f);
}

/* --- R8: first messages and duplicates ----------------------------------- */

static void a_first_message_makes_every_link_eager(void **state)
{
	struct fixture *f = fixture_with_links(4);
	struct identity a = other_run(1);

	(void)state;
	assert_true(hear_as(f, 3, &a, 1, FRAME_SPREAD));
	assert_int_equal(sent_to(f), 7);
	assert_int_equal(eager(f, &a), 0xf);
	/* The one that brings the run brings that, too. */
	assert_true(hear_new(f, 2, &a, 2));
	assert_int_equal(sent_to(f), link_bit(0) | link_bit(1));
	fixture_free(f);
}

static void a_duplicate_is_answered_with_a_prune(void **state)
{
	struct fixture *f = fixture_with_links(4);
	struct identity a = other_run(1);

	(void)state;
	assert_true(hear_as(f, 3, &a, 1, FRAME_SPREAD));
	assert_false(hear_as(f, 2, &a, 1, FRAME_SPREAD));
	assert_int_equal(f->fx.n, 1);
	assert_int_equal(said(f, MSG_PRUNE)->links, link_bit(2));
	assert_true(names_run(f, 2, MSG_PRUNE, &a));
	assert_int_equal(said(f, MSG_PRUNE)->say.graft.runs.n, 1);
	assert_int_equal(eager(f, &a), 0xb);
	assert_true(hear_new(f, 3, &a, 2));
	assert_int_equal(sent_to(f), 3);
	assert_int_equal(stats(f).prunes, 1);
	fixture_free(f);
}

static void my_own_run_has_a_tree_like_any_other(void **state)
{
	struct fixture *f = fixture_with_links(3);
	struct letter l = publish(f, "first");

	(void)state;
	assert_int_equal(sent_to(f), 7);
	hear_letter_as(f, 1, &l, FRAME_SPREAD, 3);
	assert_true(names_run(f, 1, MSG_PRUNE, node_self(f->node)));
	publish_and_forget(f);
	assert_int_equal(sent_to(f), 5);
	letter_free(&l);
	fixture_free(f);
}

/* Copies that were under way do not ask for a Prune each. */
static void copies_within_a_second_are_pruned_once(void **state)
{
	struct fixture *f = fixture_with_links(3);
	struct identity a = other_run(1);

	(void)state;
	for (uint64_t i = 1; i <= 10; i++)
		assert_true(hear_new(f, 0, &a, i));
	for (uint64_t i = 1; i <= 9; i++) {
		assert_false(hear_new(f, 1, &a, i));
		assert_int_equal(said_count(f, 1, MSG_PRUNE), i == 1);
		f->now += 100;
	}
	f->now += 100; /* a second after the Prune */
	assert_false(hear_new(f, 1, &a, 10));
	assert_int_equal(said_count(f, 1, MSG_PRUNE), 1);
	assert_int_equal(stats(f).prunes, 2);
	fixture_free(f);
}

static void two_links_are_pruned_within_a_second(void **state)
{
	struct fixture *f = fixture_with_links(4);
	struct identity a = other_run(1);

	(void)state;
	assert_true(hear_new(f, 0, &a, 1));
	for (uint8_t i = 1; i < 4; i++) {
		assert_false(hear_new(f, i, &a, 1));
		assert_int_equal(said_count(f, i, MSG_PRUNE), 1);
	}
	fixture_free(f);
}

static void who_was_grafted_since_may_be_pruned_again(void **state)
{
	struct fixture *f = fixture_with_links(2);
	struct identity a = other_run(1);

	(void)state;
	assert_true(hear_new(f, 0, &a, 1));
	assert_false(hear_new(f, 1, &a, 1));
	hear_run(f, 1, MSG_GRAFT, &a);
	assert_int_equal(eager(f, &a), 3);
	assert_false(hear_new(f, 1, &a, 1));
	assert_int_equal(said_count(f, 1, MSG_PRUNE), 1);
	assert_int_equal(eager(f, &a), 1);
	fixture_free(f);
}

/* Two links that both bring a run are first in turn. */
static void who_feeds_a_run_is_not_pruned_for_being_second(void **state)
{
	struct fixture *f = fixture_with_links(3);
	struct identity a = other_run(1);

	(void)state;
	assert_true(hear_new(f, 0, &a, 1));
	assert_true(hear_new(f, 1, &a, 2));
	assert_true(hear_new(f, 1, &a, 3));
	assert_int_equal(stats(f).prunes, 0);
	assert_false(hear_new(f, 0, &a, 2));
	assert_true(names_run(f, 1, MSG_PRUNE, &a));
	assert_false(hear_new(f, 0, &a, 3));
	assert_int_equal(f->fx.n, 0);
	assert_int_equal(stats(f).prunes, 1);
	assert_int_equal(eager(f, &a), link_bit(0));
	fixture_free(f);
}

static void but_for_being_late_it_is(void **state)
{
	struct fixture *f = fixture_with_links(3);
	struct identity a = other_run(1);

	(void)state;
	assert_true(hear_new(f, 0, &a, 1));
	pass(f, 200);
	assert_true(hear_new(f, 0, &a, 2));
	assert_true(hear_new(f, 1, &a, 3));
	pass(f, 200);
	assert_true(hear_new(f, 0, &a, 4)); /* it goes on, without 3 */
	pass(f, 200);
	assert_false(hear_new(f, 0, &a, 3));
	assert_true(names_run(f, 0, MSG_PRUNE, &a));
	assert_int_equal(eager(f, &a), link_bit(1));
	fixture_free(f);
}

static void who_has_stopped_feeding_a_run_is_replaced_by_who_does(void **state)
{
	struct fixture *f = fixture_with_links(3);
	struct identity a = other_run(1);

	(void)state;
	assert_true(hear_new(f, 0, &a, 1));
	pass(f, 1000);
	assert_true(hear_new(f, 1, &a, 2));
	assert_int_equal(sent_to(f), link_bit(0));
	assert_false(hear_new(f, 0, &a, 2));
	assert_true(names_run(f, 0, MSG_PRUNE, &a));
	assert_int_equal(eager(f, &a), link_bit(1));
	fixture_free(f);
}

/* What was under way when a link was told off is news like any other, but
 * nothing follows: pruned as well, the parent would leave the run without any.
 */
static void who_was_told_off_is_not_relied_upon(void **state)
{
	struct fixture *f = fixture_with_links(3);
	struct identity a = other_run(1);

	(void)state;
	assert_true(hear_new(f, 0, &a, 1));
	assert_false(hear_new(f, 1, &a, 1));
	assert_true(names_run(f, 1, MSG_PRUNE, &a));
	pass(f, 500); /* longer than the parent feeds it without a message */
	assert_true(hear_new(f, 1, &a, 2));
	assert_false(hear_new(f, 0, &a, 2));
	assert_int_equal(f->fx.n, 0);
	assert_int_equal(eager(f, &a), link_bit(0));
	/* Later it may have been grafted by others: then it counts. */
	pass(f, 1000);
	assert_true(hear_new(f, 1, &a, 3));
	assert_false(hear_new(f, 0, &a, 3));
	assert_true(names_run(f, 0, MSG_PRUNE, &a));
	fixture_free(f);
}

static void a_parent_that_prunes_us_is_replaced_at_once(void **state)
{
	struct fixture *f = fixture_with_links(3);
	struct identity a = other_run(1);

	(void)state;
	assert_true(hear_as(f, 0, &a, 1, FRAME_SPREAD));
	assert_int_equal(eager(f, &a), 7);
	hear_range(f, 1, MSG_HAVE, &a, 1, 1); /* sent by us, for all we know */
	hear_run(f, 1, MSG_PRUNE, &a);
	hear_run(f, 2, MSG_PRUNE, &a);
	hear_range(f, 2, MSG_HAVE, &a, 1, 1); /* it has a way of its own */
	assert_int_equal(f->fx.n, 0);         /* not the one that brings it */
	hear_run(f, 0, MSG_PRUNE, &a);
	assert_true(names_run(f, 2, MSG_GRAFT, &a));
	assert_int_equal(eager(f, &a), link_bit(2));
	fixture_free(f);
}

static void a_copy_that_was_asked_for_is_not_pruned(void **state)
{
	struct fixture *f = fixture_with_links(3);
	struct identity a = other_run(1);

	(void)state;
	assert_true(hear_new(f, 0, &a, 1));
	hear_range(f, 1, MSG_HAVE, &a, 2, 3);
	assert_true(wait_said(f, MSG_GET_DATA, 300));
	assert_true(hear_new(f, 0, &a, 2)); /* both come otherwise */
	assert_true(hear_new(f, 0, &a, 3));
	assert_false(hear_recovery(f, 1, &a, 2));
	assert_int_equal(f->fx.n, 0);
	assert_int_equal(eager(f, &a), 3);
	/* Not as an answer it is. */
	assert_false(hear_new(f, 1, &a, 3));
	assert_true(names_run(f, 1, MSG_PRUNE, &a));
	fixture_free(f);
}

/* Else who flags everything could not be told to stop. */
static void a_recovery_that_was_never_asked_for_is_pruned(void **state)
{
	struct fixture *f = fixture_with_links(3);
	struct identity a = other_run(1);

	(void)state;
	assert_true(hear_new(f, 0, &a, 1));
	assert_false(hear_recovery(f, 1, &a, 1));
	assert_true(names_run(f, 1, MSG_PRUNE, &a));
	fixture_free(f);
}

static void a_recovery_asked_for_long_ago_is_pruned(void **state)
{
	struct fixture *f = fixture_with_links(3);
	struct identity a = other_run(1);

	(void)state;
	hear_range(f, 1, MSG_HAVE, &a, 1, 1);
	assert_true(wait_said(f, MSG_GET_DATA, 300));
	assert_true(hear_new(f, 0, &a, 1));
	f->now += 59999;
	assert_false(hear_recovery(f, 1, &a, 1));
	assert_int_equal(f->fx.n, 0);
	f->now += 1;
	assert_false(hear_recovery(f, 1, &a, 1));
	assert_true(names_run(f, 1, MSG_PRUNE, &a));
	fixture_free(f);
}

static void another_text_under_a_known_name_prunes_nobody(void **state)
{
	struct fixture *f = fixture_with_links(2);
	struct identity a = other_run(1);
	struct letter fake = letter_new(&a, 1, "fake");

	(void)state;
	assert_true(hear_new(f, 0, &a, 1));
	hear_letter(f, 1, &fake);
	assert_int_equal(f->fx.n, 0);
	letter_free(&fake);
	fixture_free(f);
}

/* --- R12: a link goes ---------------------------------------------------- */

static void what_came_over_a_lost_link_is_grafted_elsewhere(void **state)
{
	struct fixture *f = fixture_with_links(4);
	struct identity a = other_run(1), b = other_run(2);
	uint8_t next = LINK_NONE;

	(void)state;
	assert_true(hear_new(f, 3, &a, 1)); /* eager: 0 and 3 */
	assert_true(hear_new(f, 0, &b, 1)); /* eager: 0 */
	link_down(f, 3, DOWN_RESET);
	for (uint8_t i = 0; i < 3; i++) {
		assert_false(names_run(f, i, MSG_GRAFT, &b));
		if (names_run(f, i, MSG_GRAFT, &a))
			next = i;
	}
	assert_int_not_equal(next, LINK_NONE);
	assert_int_equal(said_count(f, next, MSG_GRAFT), 1);
	assert_int_equal(eager(f, &a), link_bit(0) | link_bit(next));
	assert_int_equal(eager(f, &b), link_bit(0));
	/* Grafted it is, once: the next loss is none of its business. */
	link_up(f, 9);
	link_down(f, 3, DOWN_RESET);
	assert_null(said(f, MSG_GRAFT));
	fixture_free(f);
}

static void best_at_one_that_announced_some_of_it(void **state)
{
	for (uint64_t seed = 1; seed < 20; seed++) {
		struct fixture *f = fixture_new(1);
		struct identity a = other_run(1);

		(void)state;
		fixture_renew(f, seed);
		join(f, NULL, 0);
		for (unsigned i = 0; i < 8; i++)
			link_up(f, i);
		assert_true(hear_new(f, 3, &a, 1));
		hear_range(f, 6, MSG_HAVE, &a, 1, 1);
		link_down(f, 3, DOWN_RESET);
		assert_true(names_run(f, 6, MSG_GRAFT, &a));
		assert_int_equal(said_count(f, 6, MSG_GRAFT), 1);
		fixture_free(f);
	}
}

static void what_is_left_without_a_link_gets_one_too(void **state)
{
	struct fixture *f = fixture_with_links(2);

	(void)state;
	publish_and_forget(f);
	hear_run(f, 1, MSG_PRUNE, node_self(f->node));
	link_down(f, 0, DOWN_RESET);
	assert_int_equal(eager(f, node_self(f->node)), link_bit(1));
	publish_and_forget(f);
	assert_int_equal(sent_to(f), link_bit(1));
	fixture_free(f);
}

static void new_runs_go_along_another_link_then(void **state)
{
	struct fixture *f = fixture_with_links(3);
	struct identity a = other_run(1), b = other_run(2);

	(void)state;
	link_down(f, 1, DOWN_RESET);
	assert_true(hear_new(f, LINK_NONE, &a, 1));
	assert_int_equal(sent_to(f), link_bit(0)); /* 0 is still there */
	link_up(f, 1);
	link_down(f, 0, DOWN_RESET);
	assert_true(hear_new(f, LINK_NONE, &b, 1));
	assert_int_equal(effect_count(f, EF_SEND), 1);
	assert_true(sent_to(f) == link_bit(1) || sent_to(f) == link_bit(2));
	fixture_free(f);
}

static void idle_runs_wait_for_a_have(void **state)
{
	struct fixture *f = fixture_with_links(4);
	struct identity a = other_run(1), b = other_run(2);

	(void)state;
	assert_true(hear_new(f, 3, &a, 1));
	pass(f, 1000);
	assert_true(hear_new(f, 3, &b, 1));
	pass(f, 59500);
	link_down(f, 3, DOWN_RESET);
	for (uint8_t i = 0; i < 3; i++)
		assert_false(names_run(f, i, MSG_GRAFT, &a));
	assert_true(names_run(f, 0, MSG_GRAFT, &b) ||
		    names_run(f, 1, MSG_GRAFT, &b) ||
		    names_run(f, 2, MSG_GRAFT, &b));
	fixture_free(f);
}

/* Every run once, in lists that a frame can hold (the fixture encodes each
 * of them). */
static void many_runs_are_grafted_in_few_frames(void **state)
{
	enum { RUNS = 2500 };
	struct fixture *f = fixture_with_links(2);
	size_t named = 0, frames;

	(void)state;
	for (unsigned i = 0; i < RUNS; i++) {
		struct identity a = other_run(i);

		assert_true(hear_new(f, 1, &a, 1));
	}
	link_down(f, 1, DOWN_RESET);
	frames = said_count(f, 0, MSG_GRAFT);
	assert_int_equal(frames, 3);
	for (size_t i = 0; i < frames; i++)
		named += said_to(f, 0, MSG_GRAFT, i)->graft.runs.n;
	assert_int_equal(named, RUNS);
	fixture_free(f);
}

static void when_the_last_link_goes_nobody_is_told(void **state)
{
	struct fixture *f = fixture_with_links(1);
	struct identity a = other_run(1);

	(void)state;
	assert_true(hear_new(f, 0, &a, 1));
	link_down(f, 0, DOWN_RESET);
	assert_int_equal(effect_count(f, EF_SAY), 0);
	link_up(f, 1);
	assert_true(grafted_all(f, 0));
	publish_and_forget(f);
	assert_int_equal(sent_to(f), link_bit(0));
	assert_true(hear_new(f, LINK_NONE, &a, 2));
	assert_int_equal(sent_to(f), link_bit(0));
	fixture_free(f);
}

/* --- Flow: a neighbor that takes no more --------------------------------- */

static void a_full_link_gets_nothing_until_it_has_drained(void **state)
{
	struct fixture *f = fixture_with_links(3);
	struct identity a = other_run(1);

	(void)state;
	hear_graft_all(f, 1);
	publish_and_forget(f);
	link_event(f, 1, EV_FULL);
	assert_int_equal(effect_one(f, EF_WATCH)->link, 1);
	for (uint64_t i = 1; i <= 5; i++) {
		publish_and_forget(f);
		assert_int_equal(sent_to(f) & link_bit(1), 0);
		assert_true(hear_as(f, 0, &a, i, i == 1 ? FRAME_SPREAD : 0));
		assert_int_equal(sent_to(f) & link_bit(1), 0);
	}
	hear_graft_all(f, 1);
	hear_run(f, 1, MSG_GRAFT, &a);
	assert_true(hear_new(f, 0, &a, 6));
	assert_int_equal(sent_to(f) & link_bit(1), 0);
	for (unsigned i = 0; i < 20; i++)
		if (wait_said(f, MSG_HAVE, 100))
			assert_null(said_to(f, 1, MSG_HAVE, 0));
	link_event(f, 1, EV_DRAINED);
	assert_true(said_to(f, 1, MSG_HAVE, 0)->have.all);
	assert_int_equal(said_to(f, 1, MSG_HAVE, 0)->have.ranges.n, 2);
	check_range(&said_to(f, 1, MSG_HAVE, 0)->have.ranges.v[0],
		    node_self(f->node), 1, 6);
	check_range(&said_to(f, 1, MSG_HAVE, 0)->have.ranges.v[1], &a, 1, 6);
	fixture_free(f);
}

static void after_that_it_only_hears_of_messages_for_a_minute(void **state)
{
	struct fixture *f = fixture_with_links(2);
	struct identity a = other_run(1);
	int64_t full;

	(void)state;
	assert_true(hear_as(f, 0, &a, 1, FRAME_SPREAD));
	full = f->now;
	link_event(f, 1, EV_FULL);
	pass(f, 1000);
	link_event(f, 1, EV_DRAINED);
	hear_run(f, 1, MSG_GRAFT, &a);
	assert_true(hear_new(f, 0, &a, 2));
	assert_int_equal(sent_to(f), 0);
	assert_true(wait_said(f, MSG_HAVE, 100));
	check_only(&said_to(f, 1, MSG_HAVE, 0)->have.ranges, &a, 2, 2);
	pass(f, full + 59999 - f->now);
	hear_run(f, 1, MSG_GRAFT, &a);
	assert_int_equal(eager(f, &a), link_bit(0));
	pass(f, 1);
	hear_run(f, 1, MSG_GRAFT, &a);
	assert_int_equal(eager(f, &a), 3);
	assert_true(hear_new(f, 0, &a, 3));
	assert_int_equal(sent_to(f), link_bit(1));
	fixture_free(f);
}

static void each_time_it_is_full_the_minute_begins_anew(void **state)
{
	struct fixture *f = fixture_with_links(2);
	struct identity a = other_run(1);

	(void)state;
	assert_true(hear_as(f, 0, &a, 1, FRAME_SPREAD));
	link_event(f, 1, EV_FULL);
	pass(f, 30000);
	link_event(f, 1, EV_FULL);
	assert_int_equal(f->fx.n, 1);
	assert_int_equal(effect_one(f, EF_WATCH)->link, 1);
	link_event(f, 1, EV_DRAINED);
	pass(f, 59999);
	hear_run(f, 1, MSG_GRAFT, &a);
	assert_int_equal(eager(f, &a), link_bit(0));
	pass(f, 1);
	hear_run(f, 1, MSG_GRAFT, &a);
	assert_int_equal(eager(f, &a), 3);
	fixture_free(f);
}

static void its_runs_are_grafted_elsewhere(void **state)
{
	struct fixture *f = fixture_with_links(3);
	struct identity a = other_run(1), b = other_run(2);

	(void)state;
	assert_true(hear_new(f, 0, &a, 1)); /* eager: 0 alone */
	assert_true(hear_new(f, 1, &b, 1)); /* eager: 0 and 1 */
	link_event(f, 0, EV_FULL);
	assert_int_equal(eager(f, &a) & link_bit(0), 0);
	assert_int_not_equal(eager(f, &a), 0);
	assert_true(names_run(f, 1, MSG_GRAFT, &a) ||
		    names_run(f, 2, MSG_GRAFT, &a));
	assert_false(names_run(f, 2, MSG_GRAFT, &b));
	b = other_run(3); /* new runs do not wait for it, either */
	assert_true(hear_new(f, LINK_NONE, &b, 1));
	assert_true(sent_to(f) == link_bit(1) || sent_to(f) == link_bit(2));
	fixture_free(f);
}

static void a_lazy_link_that_grafts_all_stays_lazy(void **state)
{
	struct fixture *f = fixture_with_links(2);
	struct identity a = other_run(1);

	(void)state;
	link_event(f, 1, EV_FULL);
	link_event(f, 1, EV_DRAINED);
	hear_graft_all(f, 1);
	assert_true(hear_new(f, 0, &a, 1));
	assert_int_equal(sent_to(f), 0);
	fixture_free(f);
}

/* --- Flow: when we take no more ------------------------------------------ */

static void a_choked_peer_prunes_every_run_everywhere(void **state)
{
	struct fixture *f = fixture_with_links(3);
	struct identity a = other_run(1), b = other_run(2), idle = other_run(3);

	(void)state;
	assert_true(hear_new(f, 0, &idle, 1));
	pass(f, 60000);
	publish_and_forget(f);
	assert_true(hear_new(f, 0, &a, 1));
	assert_true(hear_new(f, 1, &b, 1));
	output_slow(f, true);
	for (uint8_t i = 0; i < 3; i++) {
		assert_true(names_run(f, i, MSG_PRUNE, &a));
		assert_true(names_run(f, i, MSG_PRUNE, &b));
		assert_false(names_run(f, i, MSG_PRUNE, &idle));
		assert_false(names_run(f, i, MSG_PRUNE, node_self(f->node)));
		assert_int_equal(said_count(f, i, MSG_PRUNE), 1);
	}
	output_slow(f, true); /* no news */
	assert_int_equal(f->fx.n, 0);
	fixture_free(f);
}

static void it_still_passes_on_what_comes(void **state)
{
	struct fixture *f = fixture_with_links(3);
	struct identity a = other_run(1);

	(void)state;
	assert_true(hear_new(f, 1, &a, 1));
	output_slow(f, true);
	assert_true(hear_new(f, 1, &a, 2));
	assert_int_equal(sent_to(f), link_bit(0));
	assert_true(wait_said(f, MSG_HAVE, 100));
	check_only(&said_to(f, 2, MSG_HAVE, 0)->have.ranges, &a, 1, 2);
	fixture_free(f);
}

static void it_asks_for_nothing_until_it_has_caught_up(void **state)
{
	struct fixture *f = fixture_with_links(3);
	struct identity a = other_run(1), b = other_run(2);

	(void)state;
	hear_range(f, 1, MSG_HAVE, &a, 1, 5);
	output_slow(f, true);
	hear_range(f, 1, MSG_HAVE, &a, 6, 9);
	hear_all_range(f, 2, &b, 1, 400);
	assert_null(said(f, MSG_GET_DATA));
	assert_false(wait_said(f, MSG_GET_DATA, 100000));
	output_slow(f, false);
	assert_int_equal(said_count(f, 1, MSG_GET_DATA), 1);
	assert_int_equal(said_count(f, 2, MSG_GET_DATA), 1);
	check_only(&said_to(f, 2, MSG_GET_DATA, 0)->get_data.ranges, &b, 1,
		   256);
	fixture_free(f);
}

static void it_grafts_nothing_either(void **state)
{
	struct fixture *f = fixture_with_links(3);
	struct identity a = other_run(1);

	(void)state;
	assert_true(hear_new(f, 0, &a, 1));
	output_slow(f, true);
	link_down(f, 0, DOWN_RESET);
	assert_null(said(f, MSG_GRAFT));
	fixture_free(f);
}

/* --- how much hangs on a link -------------------------------------------- */

static void a_link_carries_as_many_active_runs_as_it_is_eager_for(void **state)
{
	struct fixture *f = fixture_with_links(3);
	struct step s = { f->node, f->now, &f->fx };
	struct identity a = other_run(1), b = other_run(2), c = other_run(3);

	(void)state;
	assert_int_equal(tree_load(&s, 0), 0);
	assert_true(hear_new(f, 0, &a, 1));
	pass(f, 30000);
	assert_true(hear_new(f, 1, &b, 1));
	assert_true(hear_new(f, 1, &c, 1));
	s.now = f->now;
	assert_int_equal(tree_load(&s, 0), 3);
	assert_int_equal(tree_load(&s, 1), 2);
	assert_int_equal(tree_load(&s, 2), 0);
	pass(f, 30000);
	s.now = f->now;
	assert_int_equal(tree_load(&s, 0), 2);
	pass(f, 30000);
	s.now = f->now;
	assert_int_equal(tree_load(&s, 0), 0);
	fixture_free(f);
}

/* Each costs a walk over all runs. */
static void who_grafts_all_all_the_time_is_obeyed_once_a_second(void **state)
{
	struct fixture *f = fixture_with_links(3);
	struct identity a = other_run(1);

	(void)state;
	assert_true(hear_new(f, 0, &a, 1));
	hear_graft_all(f, 2);
	hear_run(f, 2, MSG_PRUNE, &a);
	hear_graft_all(f, 2);
	assert_true(hear_new(f, 0, &a, 2));
	assert_int_equal(sent_to(f) & link_bit(2), 0);
	pass(f, 1000);
	hear_graft_all(f, 2);
	assert_true(hear_new(f, 0, &a, 3));
	assert_int_equal(sent_to(f) & link_bit(2), link_bit(2));
	fixture_free(f);
}

static void without_trees_nobody_is_pruned(void **state)
{
	struct fixture *f = fixture_new(1);
	struct identity a = other_run(1);

	(void)state;
	f->config.gossip.tree = false;
	fixture_relink(f, 3);
	assert_true(hear_new(f, 0, &a, 1));
	assert_int_equal(sent_to(f), link_bit(1) | link_bit(2));
	assert_false(hear_new(f, 1, &a, 1));
	assert_null(said(f, MSG_PRUNE));
	output_slow(f, true);
	assert_null(said(f, MSG_PRUNE));
	assert_true(hear_new(f, 0, &a, 2));
	assert_int_equal(sent_to(f), link_bit(1) | link_bit(2));
	assert_int_equal(stats(f).prunes, 0);
	fixture_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_link_is_to_send_everything),
		cmocka_unit_test(further_links_are_not),
		cmocka_unit_test(it_is_sent_everything_in_turn),
		cmocka_unit_test(
			a_neighbor_without_neighbors_does_not_count_yet),
		cmocka_unit_test(after_five_seconds_it_counts),
		cmocka_unit_test(it_counts_as_soon_as_it_has_neighbors),
		cmocka_unit_test(who_grafts_all_is_sent_all),
		cmocka_unit_test(who_grafts_a_run_is_sent_that_run),
		cmocka_unit_test(who_prunes_a_run_only_hears_of_it),
		cmocka_unit_test(
			unknown_runs_are_one_rejection_and_nothing_more),
		cmocka_unit_test(a_run_that_loses_its_last_link_gets_another),
		cmocka_unit_test(it_gets_one_that_announced_some_of_it),
		cmocka_unit_test(without_another_link_there_is_nobody_to_graft),
		cmocka_unit_test(an_idle_run_needs_no_link),
		cmocka_unit_test(a_first_message_makes_every_link_eager),
		cmocka_unit_test(a_duplicate_is_answered_with_a_prune),
		cmocka_unit_test(my_own_run_has_a_tree_like_any_other),
		cmocka_unit_test(copies_within_a_second_are_pruned_once),
		cmocka_unit_test(two_links_are_pruned_within_a_second),
		cmocka_unit_test(who_was_grafted_since_may_be_pruned_again),
		cmocka_unit_test(
			who_feeds_a_run_is_not_pruned_for_being_second),
		cmocka_unit_test(but_for_being_late_it_is),
		cmocka_unit_test(who_was_told_off_is_not_relied_upon),
		cmocka_unit_test(a_parent_that_prunes_us_is_replaced_at_once),
		cmocka_unit_test(
			who_has_stopped_feeding_a_run_is_replaced_by_who_does),
		cmocka_unit_test(a_copy_that_was_asked_for_is_not_pruned),
		cmocka_unit_test(a_recovery_that_was_never_asked_for_is_pruned),
		cmocka_unit_test(a_recovery_asked_for_long_ago_is_pruned),
		cmocka_unit_test(another_text_under_a_known_name_prunes_nobody),
		cmocka_unit_test(
			what_came_over_a_lost_link_is_grafted_elsewhere),
		cmocka_unit_test(best_at_one_that_announced_some_of_it),
		cmocka_unit_test(what_is_left_without_a_link_gets_one_too),
		cmocka_unit_test(new_runs_go_along_another_link_then),
		cmocka_unit_test(idle_runs_wait_for_a_have),
		cmocka_unit_test(many_runs_are_grafted_in_few_frames),
		cmocka_unit_test(when_the_last_link_goes_nobody_is_told),
		cmocka_unit_test(a_full_link_gets_nothing_until_it_has_drained),
		cmocka_unit_test(
			after_that_it_only_hears_of_messages_for_a_minute),
		cmocka_unit_test(each_time_it_is_full_the_minute_begins_anew),
		cmocka_unit_test(its_runs_are_grafted_elsewhere),
		cmocka_unit_test(a_choked_peer_prunes_every_run_everywhere),
		cmocka_unit_test(it_still_passes_on_what_comes),
		cmocka_unit_test(it_asks_for_nothing_until_it_has_caught_up),
		cmocka_unit_test(
			a_link_carries_as_many_active_runs_as_it_is_eager_for),
		cmocka_unit_test(a_lazy_link_that_grafts_all_stays_lazy),
		cmocka_unit_test(it_grafts_nothing_either),
		cmocka_unit_test(
			who_grafts_all_all_the_time_is_obeyed_once_a_second),
		cmocka_unit_test(without_trees_nobody_is_pruned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
