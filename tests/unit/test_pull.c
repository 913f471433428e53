#include "node_fixture.h"

#include "base/rng.h"

#include <time.h>

#define WINDOW 256
#define WIDEST 262144

/* What was asked of that link in the last step, in one frame. */
static const struct range_list *asked(const struct fixture *f, uint8_t slot)
{
	assert_int_equal(said_count(f, slot, MSG_GET_DATA), 1);
	return &said_to(f, slot, MSG_GET_DATA, 0)->get_data.ranges;
}

static bool wait_ask(struct fixture *f, int64_t ms)
{
	return wait_said(f, MSG_GET_DATA, ms);
}

/* The only link that is asked in the last step. */
static uint8_t who_is_asked(const struct fixture *f)
{
	uint8_t who = LINK_NONE;

	for (uint8_t i = 0; i < LINK_SLOTS; i++) {
		if (said_count(f, i, MSG_GET_DATA) == 0)
			continue;
		assert_int_equal(who, LINK_NONE);
		who = i;
	}
	assert_int_not_equal(who, LINK_NONE);
	return who;
}

static void set_rtt(struct fixture *f, uint8_t slot, int64_t ms)
{
	f->node->links[slot].info.rtt_ms = ms;
}

static void hear_have(struct fixture *f, uint8_t slot,
		      const struct identity *run, uint64_t first, uint64_t last)
{
	hear_range(f, slot, MSG_HAVE, run, first, last);
}

static void hear_not_found(struct fixture *f, uint8_t slot,
			   const struct identity *run, uint64_t first,
			   uint64_t last)
{
	hear_range(f, slot, MSG_NOT_FOUND, run, first, last);
}

/* What is left over for a tick that is due now. */
static bool tick_if_due(struct fixture *f)
{
	if (node_deadline_ms(f->node) > f->now)
		return false;
	step_kind(f, EV_TICK);
	return true;
}

static unsigned wants(const struct fixture *f)
{
	return f->node->gossip.wants.n;
}

static uint64_t records(const struct fixture *f)
{
	return origins_count(&f->node->gossip.origins);
}

/* Time goes by and nothing is to happen. */
static void nothing_is_asked(struct fixture *f, int64_t ms)
{
	assert_false(wait_ask(f, ms));
}

/* --- R9: when it is asked for -------------------------------------------- */

static void what_does_not_come_by_itself_is_asked_for(void **state)
{
	struct fixture *f = fixture_with_links(3);
	struct identity a = other_run(1);

	(void)state;
	assert_true(hear_new(f, 0, &a, 1));
	hear_have(f, 2, &a, 1, 4);
	assert_null(said(f, MSG_GET_DATA));
	nothing_is_asked(f, 299);
	assert_true(wait_ask(f, 1));
	assert_int_equal(who_is_asked(f), 2);
	check_only(asked(f, 2), &a, 2, 4);
	assert_true(said(f, MSG_GET_DATA)->say.get_data.graft);
	assert_int_equal(stats(f).getdata_sent, 1);
	/* Who is to send it from now on gets in turn what comes otherwise. */
	assert_true(hear_new(f, 0, &a, 5));
	assert_int_equal(sent_to(f), link_bit(2));
	assert_true(hear_recovery(f, 2, &a, 3));
	assert_int_equal(stats(f).recovered, 1);
	fixture_free(f);
}

static void what_comes_in_time_is_not_asked_for(void **state)
{
	struct fixture *f = fixture_with_links(3);
	struct identity a = other_run(1);

	(void)state;
	hear_have(f, 2, &a, 1, 3);
	f->now += 250;
	for (uint64_t i = 1; i <= 3; i++)
		assert_true(hear_new(f, 0, &a, i));
	assert_int_equal(wants(f), 0);
	nothing_is_asked(f, 60000);
	fixture_free(f);
}

/* Two of the slowest link's round trips, within limits. */
static void how_long_it_waits_follows_the_round_trips(void **state)
{
	static const int64_t rtt[] = { 0, 49, 80, 250, 499, 900, 5000 };
	static const int64_t to1[] = { 100, 100, 160, 500, 998, 1000, 1000 };
	struct fixture *f = fixture_with_links(3);
	struct identity a = other_run(1);

	(void)state;
	for (unsigned i = 0; i < COUNT_OF(rtt); i++) {
		set_rtt(f, 1, rtt[i]);
		set_rtt(f, 2, rtt[i] / 3);
		a = other_run(i);
		hear_have(f, 0, &a, 1, 1);
		nothing_is_asked(f, to1[i] - 1);
		assert_true(wait_ask(f, 1));
		assert_true(hear_recovery(f, 0, &a, 1));
	}
	fixture_free(f);
}

static void what_a_new_neighbor_holds_is_asked_for_at_once(void **state)
{
	struct fixture *f = fixture_with_links(2);
	struct identity a = other_run(1), b = other_run(2);
	struct range r[2] = { { a, 1, 5 }, { b, 3, 3 } };

	(void)state;
	assert_true(hear_new(f, 0, &a, 2));
	hear_all(f, 1, r, 2, false);
	assert_int_equal(who_is_asked(f), 1);
	assert_int_equal(asked(f, 1)->n, 3);
	/* That is history: no reason to be sent the run from now on. */
	assert_false(said(f, MSG_GET_DATA)->say.get_data.graft);
	assert_true(hear_new(f, 0, &a, 6));
	assert_int_equal(sent_to(f), 0);
	fixture_free(f);
}

/* --- R10: whom it is asked of -------------------------------------------- */

static void the_next_announcer_is_asked_after_two_round_trips(void **state)
{
	struct fixture *f = fixture_with_links(3);
	struct identity a = other_run(1);
	uint8_t first;

	(void)state;
	set_rtt(f, 0, 30);
	set_rtt(f, 1, 30);
	set_rtt(f, 2, 240); /* TO1 480 */
	hear_have(f, 0, &a, 1, 9);
	hear_have(f, 1, &a, 1, 9);
	assert_true(wait_ask(f, 480));
	first = who_is_asked(f);
	check_only(asked(f, first), &a, 1, 9);
	nothing_is_asked(f, 479);
	assert_true(wait_ask(f, 1));
	assert_int_equal(who_is_asked(f), !first);
	check_only(asked(f, !first), &a, 1, 9);
	fixture_free(f);
}

static void who_answers_gets_the_time_to_go_on(void **state)
{
	struct fixture *f = fixture_with_links(2);
	struct identity a = other_run(1);
	uint8_t first;

	(void)state;
	hear_have(f, 0, &a, 1, 60);
	hear_have(f, 1, &a, 1, 60);
	assert_true(wait_ask(f, 300));
	first = who_is_asked(f);
	for (uint64_t i = 1; i <= 48; i++) {
		if (i % 8 == 1)
			nothing_is_asked(f, 290);
		assert_true(hear_recovery(f, first, &a, i));
	}
	nothing_is_asked(f, 2100 - 6 * 290 - 1);
	assert_true(wait_ask(f, 1)); /* it stopped */
	assert_int_equal(who_is_asked(f), !first);
	check_only(asked(f, !first), &a, 49, 60);
	fixture_free(f);
}

/* Who brings one message now and then holds up the others. */
static void who_trickles_is_asked_no_longer(void **state)
{
	struct fixture *f = fixture_with_links(2);
	struct identity a = other_run(1);
	uint8_t first;

	(void)state;
	hear_have(f, 0, &a, 1, 60);
	hear_have(f, 1, &a, 1, 60);
	assert_true(wait_ask(f, 300));
	first = who_is_asked(f);
	nothing_is_asked(f, 290);
	assert_true(hear_recovery(f, first, &a, 1));
	nothing_is_asked(f, 9);
	assert_true(wait_ask(f, 1));
	check_only(asked(f, !first), &a, 2, 60);
	fixture_free(f);
}

static void what_others_bring_is_no_answer_of_his(void **state)
{
	struct fixture *f = fixture_with_links(3);
	struct identity a = other_run(1);
	uint8_t first;

	(void)state;
	hear_have(f, 0, &a, 1, 9);
	hear_have(f, 1, &a, 1, 9);
	assert_true(wait_ask(f, 300));
	first = who_is_asked(f);
	nothing_is_asked(f, 200);
	assert_true(hear_new(f, 2, &a, 1));
	nothing_is_asked(f, 99);
	assert_true(wait_ask(f, 1));
	check_only(asked(f, !first), &a, 2, 9);
	fixture_free(f);
}

static void who_has_not_got_it_is_followed_by_the_next_at_once(void **state)
{
	struct fixture *f = fixture_with_links(3);
	struct identity a = other_run(1);
	uint8_t first, next;

	(void)state;
	for (uint8_t i = 0; i < 3; i++)
		hear_have(f, i, &a, 1, 9);
	assert_true(wait_ask(f, 300));
	first = who_is_asked(f);
	hear_not_found(f, first, &a, 4, 6);
	next = who_is_asked(f);
	assert_int_not_equal(next, first);
	check_only(asked(f, next), &a, 4, 6);
	/* And of the rest he is the one still. */
	assert_int_equal(f->node->links[first].asked, 6);
	hear_not_found(f, next, &a, 4, 6);
	check_only(asked(f, (uint8_t)(3 - first - next)), &a, 4, 6);
	fixture_free(f);
}

/* However much he brought before. */
static void who_has_no_more_of_it_is_followed_by_the_next_at_once(void **state)
{
	struct fixture *f = fixture_with_links(2);
	struct identity a = other_run(1);
	uint8_t first;

	(void)state;
	hear_have(f, 0, &a, 1, 60);
	hear_have(f, 1, &a, 1, 60);
	assert_true(wait_ask(f, 300));
	first = who_is_asked(f);
	for (uint64_t i = 1; i <= 20; i++)
		assert_true(hear_recovery(f, first, &a, i));
	hear_not_found(f, first, &a, 21, 60);
	check_only(asked(f, !first), &a, 21, 60);
	fixture_free(f);
}

static void a_lost_link_is_followed_by_the_next_at_once(void **state)
{
	struct fixture *f = fixture_with_links(3);
	struct identity a = other_run(1);
	uint8_t first;

	(void)state;
	hear_have(f, 0, &a, 1, 9);
	hear_have(f, 1, &a, 1, 9);
	assert_true(wait_ask(f, 300));
	first = who_is_asked(f);
	link_down(f, first, DOWN_RESET);
	assert_int_equal(who_is_asked(f), !first);
	check_only(asked(f, !first), &a, 1, 9);
	fixture_free(f);
}

static void a_lost_link_that_was_not_asked_yet_changes_nothing(void **state)
{
	struct fixture *f = fixture_with_links(3);
	struct identity a = other_run(1);

	(void)state;
	hear_have(f, 1, &a, 1, 9);
	hear_have(f, 2, &a, 1, 9);
	nothing_is_asked(f, 100);
	link_down(f, 1, DOWN_RESET);
	nothing_is_asked(f, 199);
	assert_true(wait_ask(f, 1));
	check_only(asked(f, 2), &a, 1, 9);
	fixture_free(f);
}

/* When nobody answers: once more after 1, 2, 4 ... 30 s. */
static void who_does_not_answer_is_asked_less_and_less_often(void **state)
{
	static const int64_t pause[] = { 1000,  2000,  4000,  8000,
					 16000, 30000, 30000, 30000 };
	struct fixture *f = fixture_with_links(3);
	struct identity a = other_run(1);

	(void)state;
	hear_have(f, 1, &a, 1, 1);
	hear_have(f, 2, &a, 1, 1);
	assert_true(wait_ask(f, 300));
	for (unsigned i = 0; i < COUNT_OF(pause); i++) {
		uint8_t first = who_is_asked(f);

		assert_true(wait_ask(f, 300));
		assert_int_equal(who_is_asked(f), 3 - first);
		nothing_is_asked(f, 300 + pause[i] - 1);
		assert_true(wait_ask(f, 1));
	}
	assert_int_equal(stats(f).lost, 0);
	fixture_free(f);
}

/* --- windows ------------------------------------------------------------- */

static void of_one_link_256_messages_are_asked_at_a_time(void **state)
{
	struct fixture *f = fixture_with_links(1);
	struct identity a = other_run(1);
	uint64_t upto = WINDOW;

	(void)state;
	hear_all_range(f, 0, &a, 1, 1000);
	check_only(asked(f, 0), &a, 1, WINDOW);
	for (uint64_t i = 1; i <= 1000; i++) {
		assert_true(hear_recovery(f, 0, &a, i));
		if (said(f, MSG_GET_DATA) != NULL) {
			assert_int_equal(asked(f, 0)->n, 1);
			assert_int_equal(asked(f, 0)->v[0].first, upto + 1);
			upto = asked(f, 0)->v[0].last;
		}
		assert_true(upto >= i && upto - i <= WINDOW);
		if (tick_if_due(f))
			assert_null(said(f, MSG_GET_DATA));
	}
	assert_int_equal(upto, 1000); /* without a pause */
	assert_int_equal(wants(f), 0);
	assert_true(stats(f).getdata_sent <= 8);
	fixture_free(f);
}

static void many_small_ranges_share_the_window(void **state)
{
	struct fixture *f = fixture_with_links(1);
	struct range *v = calloc(RANGES_MAX, sizeof *v);
	struct identity a = other_run(1);

	(void)state;
	assert_non_null(v);
	for (unsigned i = 0; i < RANGES_MAX; i++)
		v[i] = (struct range){ a, 10 * i + 1, 10 * i + 3 };
	hear_all(f, 0, v, RANGES_MAX, false);
	assert_int_equal(asked(f, 0)->n, 86); /* 85 x 3 + 1 */
	assert_int_equal(f->node->links[0].asked, WINDOW);
	for (unsigned i = 0; i < RANGES_MAX; i++)
		for (uint64_t k = 1; k <= 3; k++) {
			assert_true(hear_recovery(f, 0, &a, 10 * i + k));
			assert_true(f->node->links[0].asked <= WINDOW);
		}
	assert_int_equal(wants(f), 0);
	free(v);
	fixture_free(f);
}

static void a_full_window_does_not_keep_others_from_being_asked(void **state)
{
	struct fixture *f = fixture_with_links(2);
	struct identity a = other_run(1), b = other_run(2);

	(void)state;
	hear_all_range(f, 0, &a, 1, 1000);
	hear_have(f, 0, &b, 1, 1);
	hear_have(f, 1, &b, 1, 1);
	assert_true(wait_ask(f, 300));
	assert_int_equal(who_is_asked(f), 1);
	check_only(asked(f, 1), &b, 1, 1);
	fixture_free(f);
}

/* A store of neighbors: whatever is asked of it, it answers. */
struct shelf {
	struct range v[1024];
	unsigned n;
};

static void shelve(const struct fixture *f, uint8_t slot, struct shelf *q)
{
	const struct message *m;

	for (size_t k = 0; (m = said_to(f, slot, MSG_GET_DATA, k)) != NULL; k++)
		for (size_t i = 0; i < m->get_data.ranges.n; i++) {
			assert_true(q->n < COUNT_OF(q->v));
			q->v[q->n++] = m->get_data.ranges.v[i];
		}
}

static void unshelve(struct shelf *q)
{
	if (q->v[0].first++ < q->v[0].last)
		return;
	q->n--;
	memmove(q->v, q->v + 1, q->n * sizeof *q->v);
}

/* A newcomer's history comes from all his neighbors, each message from one. */
static void several_announcers_share_what_is_large(void **state)
{
	enum { LINKS = 4, SEQS = 5000 };
	struct fixture *f = fixture_with_links(LINKS);
	struct identity a = other_run(1);
	struct shelf *q = calloc(LINKS, sizeof *q);
	unsigned came[LINKS] = { 0 }, idle = 0, sum = 0;

	(void)state;
	assert_non_null(q);
	for (uint8_t i = 0; i < LINKS; i++) {
		hear_all_range(f, i, &a, 1, SEQS);
		for (uint8_t k = 0; k < LINKS; k++)
			shelve(f, k, &q[k]);
	}
	for (uint8_t i = 0; idle < LINKS; i = (uint8_t)((i + 1) % LINKS)) {
		idle = q[i].n == 0 ? idle + 1 : 0;
		if (q[i].n == 0)
			continue;
		assert_true(hear_recovery(f, i, &a, q[i].v[0].first));
		assert_true(f->node->links[i].asked <= WINDOW);
		came[i]++;
		unshelve(&q[i]);
		for (uint8_t k = 0; k < LINKS; k++)
			shelve(f, k, &q[k]);
		if (!tick_if_due(f))
			continue;
		for (uint8_t k = 0; k < LINKS; k++)
			shelve(f, k, &q[k]);
	}
	for (uint8_t i = 0; i < LINKS; i++) {
		assert_true(came[i] > SEQS / LINKS / 2);
		sum += came[i];
	}
	assert_int_equal(sum, SEQS);
	assert_int_equal(stats(f).duplicates, 0);
	assert_int_equal(wants(f), 0);
	free(q);
	fixture_free(f);
}

/* --- what nobody has ----------------------------------------------------- */

static void check_lost(const struct fixture *f, size_t nth,
		       const struct identity *run, uint64_t first,
		       uint64_t last)
{
	const struct effect *e = effect_at(f, EF_LOST, nth);

	assert_non_null(e);
	check_range(&e->lost, run, first, last);
}

static void a_hole_that_nobody_has_is_lost_after_30_seconds(void **state)
{
	struct fixture *f = fixture_with_links(3);
	struct identity a = other_run(1);

	(void)state;
	hear_have(f, 1, &a, 1, 9);
	hear_have(f, 2, &a, 1, 9);
	for (uint64_t i = 1; i <= 9; i += 4) /* 1, 5, 9 */
		assert_true(hear_new(f, 0, &a, i));
	hear_not_found(f, 1, &a, 1, 9);
	hear_not_found(f, 2, &a, 1, 9);
	assert_int_equal(effect_count(f, EF_LOST), 0);
	assert_false(tick_heard_until(f, EF_LOST, 29999));
	assert_true(tick_heard_until(f, EF_LOST, 1));
	assert_int_equal(effect_count(f, EF_LOST), 2);
	for (size_t i = 0; i < 2; i++) /* in any order */
		if (effect_at(f, EF_LOST, i)->lost.first == 2)
			check_lost(f, i, &a, 2, 4);
		else
			check_lost(f, i, &a, 6, 8);
	assert_int_equal(stats(f).lost, 6);
	assert_int_equal(wants(f), 0);
	/* It counts as known from now on: lost is lost. */
	assert_false(hear_new(f, 0, &a, 3));
	hear_have(f, 1, &a, 1, 9);
	assert_int_equal(wants(f), 0);
	fixture_free(f);
}

static void who_announces_it_in_time_is_asked(void **state)
{
	struct fixture *f = fixture_with_links(3);
	struct identity a = other_run(1);

	(void)state;
	hear_have(f, 1, &a, 1, 3);
	assert_true(hear_new(f, 0, &a, 1));
	assert_true(hear_new(f, 0, &a, 3));
	assert_true(wait_ask(f, 300));
	hear_not_found(f, 1, &a, 2, 2);
	nothing_is_asked(f, 29000);
	hear_have(f, 2, &a, 2, 2);
	assert_true(wait_ask(f, 300));
	check_only(asked(f, 2), &a, 2, 2);
	assert_true(hear_recovery(f, 2, &a, 2));
	assert_false(tick_heard_until(f, EF_LOST, 60000));
	assert_int_equal(stats(f).lost, 0);
	fixture_free(f);
}

/* When its announcers are gone, too. */
static void a_hole_whose_announcers_went_is_lost_as_well(void **state)
{
	struct fixture *f = fixture_with_links(3);
	struct identity a = other_run(1);

	(void)state;
	hear_have(f, 1, &a, 2, 2);
	assert_true(hear_new(f, 0, &a, 1));
	assert_true(hear_new(f, 0, &a, 3));
	link_down(f, 1, DOWN_RESET);
	assert_false(tick_heard_until(f, EF_LOST, 29999));
	assert_true(tick_heard_until(f, EF_LOST, 1));
	check_lost(f, 0, &a, 2, 2);
	fixture_free(f);
}

static void what_is_not_between_messages_is_dropped_in_silence(void **state)
{
	struct fixture *f = fixture_with_links(3);
	struct identity a = other_run(1), b = other_run(2);

	(void)state;
	assert_true(hear_new(f, 0, &a, 10));
	hear_have(f, 1, &a, 5, 9);
	hear_have(f, 1, &a, 11, 15);
	hear_have(f, 1, &b, 1, 9);
	assert_true(wait_ask(f, 300));
	hear_not_found(f, 1, &a, 1, 20);
	hear_not_found(f, 1, &b, 1, 20);
	assert_int_equal(wants(f), 0);
	assert_false(tick_heard_until(f, EF_LOST, 60000));
	assert_int_equal(stats(f).lost, 0);
	assert_int_equal(records(f), 1);
	/* Not for ever: who announces it is believed again. */
	hear_have(f, 1, &a, 11, 11);
	assert_true(wait_ask(f, 300));
	fixture_free(f);
}

/* A run in more pieces than are kept: its oldest hole closes. */
static void a_hole_that_closes_for_want_of_room_is_lost_at_once(void **state)
{
	struct fixture *f = fixture_with_links(2);
	struct identity a = other_run(1);

	(void)state;
	for (uint64_t i = 1; i <= RANGES_SPANS_MAX; i++)
		assert_true(hear_recovery(f, 0, &a, 10 * i));
	hear_have(f, 1, &a, 12, 14);
	hear_have(f, 1, &a, 22, 24);
	assert_int_equal(effect_count(f, EF_LOST), 0);
	assert_true(hear_recovery(f, 0, &a, 20000));
	assert_int_equal(effect_count(f, EF_LOST), 1);
	check_lost(f, 0, &a, 11, 19);
	assert_int_equal(stats(f).lost, 9);
	assert_true(wait_ask(f, 300));
	check_only(asked(f, 1), &a, 22, 24);
	fixture_free(f);
}

/* --- R16: holes that nobody announced ------------------------------------ */

static void a_hole_is_asked_of_who_brought_what_follows(void **state)
{
	struct fixture *f = fixture_with_links(3);
	struct identity a = other_run(1);

	(void)state;
	assert_true(hear_new(f, 1, &a, 1));
	assert_true(hear_new(f, 2, &a, 5));
	nothing_is_asked(f, 4999);
	assert_true(wait_ask(f, 1));
	assert_int_equal(who_is_asked(f), 2);
	check_only(asked(f, 2), &a, 2, 4);
	assert_true(said(f, MSG_GET_DATA)->say.get_data.graft);
	hear_not_found(f, 2, &a, 2, 4);
	assert_true(tick_heard_until(f, EF_LOST, 30000));
	check_lost(f, 0, &a, 2, 4);
	fixture_free(f);
}

static void or_after_ten_waits_if_that_is_longer(void **state)
{
	struct fixture *f = fixture_with_links(2);
	struct identity a = other_run(1);

	(void)state;
	set_rtt(f, 0, 350); /* TO1 700 */
	assert_true(hear_new(f, 1, &a, 1));
	assert_true(hear_new(f, 1, &a, 3));
	nothing_is_asked(f, 6999);
	assert_true(wait_ask(f, 1));
	fixture_free(f);
}

static void a_hole_that_closes_in_time_is_not_asked_for(void **state)
{
	struct fixture *f = fixture_with_links(2);
	struct identity a = other_run(1);

	(void)state;
	assert_true(hear_new(f, 0, &a, 1));
	assert_true(hear_new(f, 0, &a, 4));
	assert_true(hear_new(f, 1, &a, 3));
	assert_true(hear_new(f, 0, &a, 2));
	assert_int_equal(wants(f), 0);
	nothing_is_asked(f, 60000);
	fixture_free(f);
}

static void below_the_first_live_message_there_are_no_holes(void **state)
{
	struct fixture *f = fixture_with_links(2);
	struct identity a = other_run(1);

	(void)state;
	assert_true(hear_recovery(f, 0, &a, 2));
	assert_true(hear_recovery(f, 0, &a, 5));
	assert_true(hear_new(f, 0, &a, 10));
	assert_true(hear_recovery(f, 1, &a, 7));
	assert_int_equal(wants(f), 0);
	nothing_is_asked(f, 60000);
	assert_true(hear_new(f, 0, &a, 12));
	assert_true(wait_ask(f, 5000));
	check_only(asked(f, 0), &a, 11, 11);
	fixture_free(f);
}

/* History may be ahead of the first message that comes as it is said. */
static void above_the_first_live_message_there_are_also_older_ones(void **state)
{
	struct fixture *f = fixture_with_links(3);
	struct identity a = other_run(1);

	(void)state;
	assert_true(hear_recovery(f, 2, &a, 2));
	assert_true(hear_recovery(f, 2, &a, 8));
	assert_true(hear_recovery(f, 2, &a, 12));
	assert_int_equal(wants(f), 0);
	assert_true(hear_new(f, 1, &a, 5));
	assert_int_equal(wants(f), 2);
	assert_true(wait_ask(f, 5000));
	assert_int_equal(who_is_asked(f), 1);
	assert_int_equal(asked(f, 1)->n, 2);
	for (size_t i = 0; i < 2; i++) /* in any order */
		if (asked(f, 1)->v[i].first == 6)
			check_range(&asked(f, 1)->v[i], &a, 6, 7);
		else
			check_range(&asked(f, 1)->v[i], &a, 9, 11);
	fixture_free(f);
}

/* Nobody can be asked, but it is no secret. */
static void a_hole_whose_bringer_is_gone_is_lost_in_the_end(void **state)
{
	struct fixture *f = fixture_with_links(2);
	struct identity a = other_run(1);

	(void)state;
	assert_true(hear_new(f, 0, &a, 1));
	assert_true(hear_new(f, LINK_NONE, &a, 4));
	nothing_is_asked(f, 5000);
	assert_false(tick_heard_until(f, EF_LOST, 29999));
	assert_true(tick_heard_until(f, EF_LOST, 1));
	check_lost(f, 0, &a, 2, 3);
	fixture_free(f);
}

/* A busy link is behind what others announce: no reason to ask. */
static void what_its_feeder_will_bring_is_not_asked_for(void **state)
{
	struct fixture *f = fixture_with_links(3);
	struct identity a = other_run(1);

	(void)state;
	assert_true(hear_new(f, 0, &a, 1));
	hear_have(f, 1, &a, 2, 90);
	for (uint64_t i = 2; i <= 20; i++) {
		nothing_is_asked(f, 200);
		assert_true(hear_new(f, 0, &a, i));
	}
	/* What it has left out it will not bring. */
	assert_true(hear_new(f, 0, &a, 31));
	assert_true(wait_ask(f, 300));
	check_range(&asked(f, 1)->v[0], &a, 21, 30);
	/* And when it stops, the rest is asked for. */
	assert_true(wait_ask(f, 300));
	check_only(asked(f, 1), &a, 32, 90);
	fixture_free(f);
}

static void an_announced_hole_is_asked_of_its_announcer_first(void **state)
{
	struct fixture *f = fixture_with_links(3);
	struct identity a = other_run(1);

	(void)state;
	assert_true(hear_new(f, 0, &a, 1));
	assert_true(hear_new(f, 0, &a, 5));
	hear_have(f, 1, &a, 3, 3);
	assert_true(wait_ask(f, 300));
	assert_int_equal(asked(f, who_is_asked(f))->n, 1);
	check_only(asked(f, 1), &a, 3, 3);
	fixture_free(f);
}

/* --- 2^53 ---------------------------------------------------------------- */

static void the_widest_hole_costs_its_newest_part(void **state)
{
	struct fixture *f = fixture_with_links(2);
	struct identity a = other_run(1);

	(void)state;
	assert_true(hear_new(f, 0, &a, 1));
	assert_true(hear_new(f, 0, &a, SEQ_MAX));
	check_lost(f, 0, &a, 2, SEQ_MAX - 1 - WIDEST);
	assert_int_equal(effect_count(f, EF_LOST), 1);
	assert_int_equal(stats(f).lost, SEQ_MAX - 2 - WIDEST);
	assert_int_equal(wants(f), 1);
	assert_true(wait_ask(f, 5000));
	check_only(asked(f, 0), &a, SEQ_MAX - WIDEST, SEQ_MAX - WIDEST + 255);
	fixture_free(f);
}

static void a_hole_of_the_widest_width_is_wanted_whole(void **state)
{
	struct fixture *f = fixture_with_links(2);
	struct identity a = other_run(1), b = other_run(2);

	(void)state;
	assert_true(hear_new(f, 0, &a, 1));
	assert_true(hear_new(f, 0, &a, WIDEST + 2));
	assert_int_equal(effect_count(f, EF_LOST), 0);
	assert_true(hear_new(f, 0, &b, 1));
	assert_true(hear_new(f, 0, &b, WIDEST + 3)); /* one more */
	check_lost(f, 0, &b, 2, 2);
	assert_int_equal(stats(f).lost, 1);
	fixture_free(f);
}

static void the_widest_range_costs_its_newest_part(void **state)
{
	struct fixture *f = fixture_with_links(2);
	struct identity a = other_run(1), b = other_run(2);
	struct range r[2] = { { a, 1, SEQ_MAX }, { b, 1, WIDEST } };

	(void)state;
	hear_ranges(f, 0, MSG_HAVE, r, 2);
	assert_int_equal(wants(f), 2);
	assert_true(wait_ask(f, 300));
	assert_int_equal(f->node->links[0].asked, WINDOW);
	hear_all_range(f, 1, &a, 1, SEQ_MAX);
	/* 0 was asked for the first of it. */
	check_only(asked(f, 1), &a, SEQ_MAX - WIDEST + 1 + WINDOW,
		   SEQ_MAX - WIDEST + 2 * WINDOW);
	assert_int_equal(records(f), 0);
	hear_not_found(f, 0, &a, 1, SEQ_MAX);
	hear_not_found(f, 0, &b, 1, SEQ_MAX);
	hear_not_found(f, 1, &a, 1, SEQ_MAX);
	assert_int_equal(wants(f), 0);
	fixture_free(f);
}

static void what_a_wide_hole_closes_is_not_asked_for(void **state)
{
	struct fixture *f = fixture_with_links(2);
	struct identity a = other_run(1);

	(void)state;
	assert_true(hear_new(f, 0, &a, 1));
	hear_have(f, 1, &a, 2, 1000000);
	assert_true(hear_new(f, 0, &a, 1000101));
	check_lost(f, 0, &a, 2, 1000100 - WIDEST);
	assert_true(wait_ask(f, 300));
	assert_int_equal(asked(f, 1)->v[0].first, 1000101 - WIDEST);
	fixture_free(f);
}

/* --- catch_up = no ------------------------------------------------------- */

static struct fixture *fixture_without_history(unsigned links)
{
	struct fixture *f = fixture_new(1);

	f->config.gossip.catch_up = false;
	fixture_relink(f, links);
	return f;
}

static void what_was_said_before_is_not_fetched(void **state)
{
	struct fixture *f = fixture_without_history(2);
	struct identity a = other_run(1);

	(void)state;
	hear_all_range(f, 0, &a, 1, 50);
	nothing_is_asked(f, 60000);
	assert_false(hear_new(f, 0, &a, 50));
	assert_true(hear_new(f, 0, &a, 51));
	hear_have(f, 0, &a, 52, 52); /* what is said now is */
	assert_true(wait_ask(f, 300));
	fixture_free(f);
}

static void the_first_that_holds_anything_says_what_was_before(void **state)
{
	struct fixture *f = fixture_without_history(3);
	struct identity a = other_run(1), b = other_run(2);

	(void)state;
	hear_all_range(f, 0, &a, 1, 50);
	hear_all_range(f, 1, &a, 1, 60); /* came while we were there */
	check_only(asked(f, 1), &a, 51, 60);
	hear_all_range(f, 2, &b, 1, 3);
	check_only(asked(f, 2), &b, 1, 3);
	fixture_free(f);
}

static void to_its_last_chunk(void **state)
{
	struct fixture *f = fixture_without_history(2);
	struct identity a = other_run(1), b = other_run(2), c = other_run(3);
	struct range ra = { a, 1, 50 }, rb = { b, 1, 50 };

	(void)state;
	hear_all(f, 0, &ra, 1, true);
	hear_all(f, 0, &rb, 1, true);
	hear_all(f, 0, NULL, 0, true);
	assert_null(said(f, MSG_GET_DATA));
	hear_all_range(f, 0, &c, 1, 50);
	assert_null(said(f, MSG_GET_DATA));
	hear_all_range(f, 0, &c, 51, 51);
	check_only(asked(f, 0), &c, 51, 51);
	assert_int_equal(records(f), 3);
	fixture_free(f);
}

static void to_its_last_chunk_whatever_others_say(void **state)
{
	struct fixture *f = fixture_without_history(2);
	struct identity a = other_run(1), b = other_run(2);
	struct range ra = { a, 1, 50 };

	(void)state;
	hear_all(f, 0, &ra, 1, true);
	hear_all_range(f, 1, &a, 1, 50);
	hear_all_range(f, 0, &b, 1, 50);
	assert_null(said(f, MSG_GET_DATA));
	fixture_free(f);
}

static void for_ten_seconds_at_most(void **state)
{
	struct fixture *f = fixture_without_history(2);
	struct identity a = other_run(1), b = other_run(2);
	struct range ra = { a, 1, 50 };

	(void)state;
	nothing_is_asked(f, 10000);
	hear_all(f, 0, &ra, 1, true);
	assert_null(said(f, MSG_GET_DATA));
	f->now++;
	hear_all_range(f, 0, &b, 1, 50);
	check_only(asked(f, 0), &b, 1, 50);
	fixture_free(f);
}

static void what_counts_as_known_is_not_asked_for(void **state)
{
	struct fixture *f = fixture_without_history(2);
	struct identity a = other_run(1);

	(void)state;
	hear_have(f, 0, &a, 5, 20);
	hear_all_range(f, 1, &a, 1, 10);
	assert_true(wait_ask(f, 300));
	check_only(asked(f, 0), &a, 11, 20);
	fixture_free(f);
}

static void with_catch_up_everything_is_fetched(void **state)
{
	struct fixture *f = fixture_with_links(1);
	struct identity a = other_run(1);

	(void)state;
	hear_all_range(f, 0, &a, 1, 50);
	check_only(asked(f, 0), &a, 1, 50);
	fixture_free(f);
}

/* --- what makes no sense, or too much of it ------------------------------ */

static void of_my_own_messages_nobody_tells_me(void **state)
{
	struct fixture *f = fixture_with_links(2);
	struct identity me = *node_self(f->node), a = other_run(1);
	struct range r[3] = { { me, 1, 2 }, { me, 1, SEQ_MAX }, { a, 1, 1 } };
	struct letter l = publish(f, "mine");

	(void)state;
	hear_have(f, 1, &me, 1, 1);
	assert_int_equal(stats(f).rejected, 0);
	assert_int_equal(wants(f), 0);
	hear_ranges(f, 1, MSG_HAVE, r, 3); /* I never published those */
	assert_int_equal(stats(f).rejected, 1);
	assert_int_equal(wants(f), 1); /* the others count */
	hear_all(f, 1, r, 2, false);
	assert_int_equal(stats(f).rejected, 2);
	assert_null(said(f, MSG_GET_DATA));
	assert_int_equal(node_next_seq(f->node), 2);
	letter_free(&l);
	fixture_free(f);
}

static void a_run_that_was_only_announced_has_no_record(void **state)
{
	struct fixture *f = fixture_new(1);

	(void)state;
	f->config.gossip.runs_max = 10;
	fixture_relink(f, 2);
	for (unsigned i = 0; i < 10; i++) {
		struct identity a = other_run(i);

		assert_true(hear_new(f, 0, &a, 1));
	}
	for (unsigned i = 10; i < 100; i++) {
		struct identity a = other_run(i);

		hear_have(f, 1, &a, 1, 5);
		hear_not_found(f, 1, &a, 1, 5);
	}
	assert_int_equal(records(f), 10);
	for (unsigned i = 0; i < 10; i++) {
		struct identity a = other_run(i);

		assert_false(hear_new(f, 0, &a, 1));
	}
	fixture_free(f);
}

/* The limit is one of each link; others are believed as ever. */
static void thousands_of_ranges_are_a_bounded_matter(void **state)
{
	enum { MAX = 2000 };
	struct fixture *f = fixture_new(1);
	struct range *v = calloc(RANGES_MAX, sizeof *v);
	struct identity a = other_run(99999);

	(void)state;
	assert_non_null(v);
	f->config.gossip.runs_max = MAX;
	fixture_relink(f, 3);
	for (unsigned frame = 0; frame < 20; frame++) {
		for (unsigned i = 0; i < RANGES_MAX; i++)
			v[i] = (struct range){
				other_run(frame * RANGES_MAX + i), 1, SEQ_MAX
			};
		hear_ranges(f, 1, MSG_HAVE, v, RANGES_MAX);
		assert_true(wants(f) <= MAX);
		/* One rejection a frame, once it is too much. */
		assert_int_equal(stats(f).rejected, frame < 2 ? 0 : frame - 1);
	}
	assert_int_equal(wants(f), MAX);
	assert_int_equal(records(f), 0);
	assert_true(hear_new(f, 0, &a, 1));
	hear_have(f, 2, &a, 1, 4);
	assert_int_equal(wants(f), MAX + 1);
	assert_true(wait_ask(f, 300));
	check_only(asked(f, 2), &a, 2, 4);
	/* It goes as it came. */
	link_down(f, 1, DOWN_RESET);
	assert_int_equal(wants(f), 1);
	free(v);
	fixture_free(f);
}

static void many_pieces_of_one_run_are_a_bounded_matter(void **state)
{
	struct fixture *f = fixture_with_links(3);
	struct range *v = calloc(RANGES_MAX, sizeof *v);
	struct identity a = other_run(1);

	(void)state;
	assert_non_null(v);
	assert_true(hear_new(f, 0, &a, 1));
	for (unsigned frame = 0; frame < 10; frame++) {
		for (unsigned i = 0; i < RANGES_MAX; i++) {
			uint64_t seq = 10 * (frame * RANGES_MAX + i) + 5;

			v[i] = (struct range){ a, seq, seq + 3 };
		}
		hear_ranges(f, 1, MSG_HAVE, v, RANGES_MAX);
		assert_true(wants(f) <= WANTS_PER_RUN);
	}
	assert_int_equal(stats(f).rejected, 10);
	/* Messages come as ever, and are not forgotten. */
	for (uint64_t i = 2; i <= 3000; i++)
		assert_true(hear_new(f, 0, &a, i));
	assert_int_equal(stats(f).duplicates, 0);
	assert_int_equal(stats(f).lost, 0);
	free(v);
	fixture_free(f);
}

static void ranges_over_many_holes_cost_little(void **state)
{
	struct fixture *f = fixture_with_links(2);
	struct range *v = calloc(RANGES_MAX, sizeof *v);
	struct identity a = other_run(1);
	clock_t begin;

	(void)state;
	assert_non_null(v);
	for (uint64_t i = 1; i <= RANGES_SPANS_MAX; i++)
		assert_true(hear_recovery(f, 0, &a, 2 * i));
	for (unsigned i = 0; i < RANGES_MAX; i++)
		v[i] = (struct range){ a, 1, 2 * RANGES_SPANS_MAX };
	begin = clock();
	for (unsigned i = 0; i < 5; i++)
		hear_ranges(f, 1, MSG_HAVE, v, RANGES_MAX);
	assert_true(clock() - begin < CLOCKS_PER_SEC);
	free(v);
	fixture_free(f);
}

static void who_never_answers_leaves_a_bounded_number_of_pieces(void **state)
{
	struct fixture *f = fixture_with_links(8);
	struct identity a = other_run(1);
	unsigned most = 0;

	(void)state;
	for (uint8_t i = 0; i < 8; i++)
		for (uint64_t k = 0; k < 1600; k += 2)
			hear_have(f, i, &a, k * WIDEST + 1, (k + 1) * WIDEST);
	for (unsigned i = 0; i < 2000; i++) {
		(void)wait_ask(f, 1000);
		most = wants(f) > most ? wants(f) : most;
	}
	assert_true(most <= 2 * WANTS_PER_RUN);
	fixture_free(f);
}

static void what_is_announced_to_a_choked_peer_is_bounded(void **state)
{
	enum { MAX = 100 };
	struct fixture *f = fixture_new(1);
	struct range *v = calloc(MAX, sizeof *v);

	(void)state;
	assert_non_null(v);
	f->config.gossip.runs_max = MAX;
	fixture_relink(f, 1);
	output_slow(f, true);
	for (unsigned i = 0; i < 50; i++) {
		assert_int_equal(link_up(f, 1000 + i), 1);
		for (unsigned k = 0; k < MAX; k++)
			v[k] = (struct range){ other_run(MAX * i + k), 1, 1 };
		hear_ranges(f, 1, MSG_HAVE, v, MAX);
		link_down(f, 1, DOWN_RESET);
	}
	assert_true(wants(f) <= LINK_SLOTS * MAX);
	free(v);
	fixture_free(f);
}

static void what_is_closed_while_asking_harms_nobody(void **state)
{
	struct fixture *f = fixture_with_links(3);
	struct identity a = other_run(1);
	int64_t hopeless;

	(void)state;
	for (uint64_t i = 1; i <= RANGES_SPANS_MAX; i++)
		assert_true(hear_recovery(f, 0, &a, 10 * i));
	hear_have(f, 1, &a, 5015, 5015);
	assert_true(wait_ask(f, 300));
	hear_not_found(f, 1, &a, 5015, 5015);
	hopeless = f->now;
	nothing_is_asked(f, 29000);
	hear_have(f, 2, &a, 11, 19);
	assert_true(node_deadline_ms(f->node) <= f->now + 300);
	f->now = hopeless + 30000;
	step_kind(f, EV_TICK);
	assert_int_equal(effect_count(f, EF_LOST), 2);
	check_lost(f, 0, &a, 5015, 5015);
	check_lost(f, 1, &a, 11, 19);
	nothing_is_asked(f, 60000);
	fixture_free(f);
}

/* What was refused is not forgotten: its link is asked to say it again. */
static void who_said_too_much_is_asked_again_when_there_is_room(void **state)
{
	enum { MAX = 100 };
	struct fixture *f = fixture_new(1);
	struct range *v = calloc(2 * MAX, sizeof *v);

	(void)state;
	assert_non_null(v);
	f->config.gossip.runs_max = MAX;
	fixture_relink(f, 2);
	for (unsigned k = 0; k < 2 * MAX; k++)
		v[k] = (struct range){ other_run(k), 1, 1 };
	hear_ranges(f, 1, MSG_HAVE, v, 2 * MAX);
	assert_int_equal(wants(f), MAX);
	assert_true(wait_ask(f, 300));
	for (unsigned k = 0; k < MAX; k++)
		hear_not_found(f, 1, &v[k].run, 1, 1);
	assert_int_equal(wants(f), 0);
	while (said(f, MSG_GET_DATA) == NULL)
		assert_true(tick_heard_until(f, EF_SAY, 6000));
	assert_int_equal(said_to(f, 1, MSG_GET_DATA, 0)->get_data.ranges.n, 0);
	assert_false(said_to(f, 1, MSG_GET_DATA, 0)->get_data.has_id);
	free(v);
	fixture_free(f);
}

/* Not Found by itself makes no haste. */
static void not_found_of_what_was_not_asked_hurries_nobody(void **state)
{
	struct fixture *f = fixture_with_links(3);
	struct identity a = other_run(1);

	(void)state;
	hear_have(f, 1, &a, 1, 5);
	hear_not_found(f, 2, &a, 1, SEQ_MAX); /* he announced nothing */
	hear_not_found(f, 1, &a, 6, SEQ_MAX);
	nothing_is_asked(f, 299);
	assert_true(wait_ask(f, 1));
	check_only(asked(f, 1), &a, 1, 5);
	fixture_free(f);
}

/* --- in the end it is all there ------------------------------------------ */

#define RUNS 2
#define SEQS 300
#define LINKS 4

/* Neighbors that hold some messages, announce them, and mostly answer. */
struct swarm {
	struct fixture *f;
	struct rng r;
	bool held[LINK_SLOTS][RUNS][SEQS + 1];
	bool wrong; /* they do what they should not */
	unsigned links;
	struct shelf open[LINK_SLOTS]; /* asked of them */
};

static unsigned draw(struct swarm *w, unsigned below)
{
	return (unsigned)rng_below(&w->r, below);
}

static void swarm_note(struct swarm *w)
{
	for (uint8_t i = 0; i < LINK_SLOTS; i++) {
		struct shelf *q = &w->open[i];

		if (q->n > COUNT_OF(q->v) / 2)
			q->n = 0; /* never answered */
		shelve(w->f, i, q);
	}
}

static void swarm_announce(struct swarm *w, uint8_t slot)
{
	struct range v[RUNS * SEQS];
	size_t n = 0;

	for (unsigned run = 0; run < RUNS; run++)
		for (uint64_t k = 1; k <= SEQS; k++) {
			if (!w->held[slot][run][k])
				continue;
			if (k > 1 && w->held[slot][run][k - 1])
				v[n - 1].last = k;
			else
				v[n++] = (struct range){ other_run(run), k, k };
		}
	hear_all(w->f, slot, v, n, false);
	swarm_note(w);
}

static void swarm_link(struct swarm *w)
{
	uint8_t slot = link_up(w->f, 1000 + w->links++);

	swarm_note(w);
	for (unsigned run = 0; run < RUNS; run++)
		for (uint64_t k = 1; k <= SEQS; k++)
			w->held[slot][run][k] = draw(w, 3) == 0;
	w->open[slot].n = 0;
	swarm_announce(w, slot);
}

/* It gets a message and says so, or sends it. */
static void swarm_new(struct swarm *w, uint8_t slot)
{
	unsigned run = draw(w, RUNS);
	struct identity id = other_run(run);
	uint64_t seq = 1 + draw(w, SEQS);

	w->held[slot][run][seq] = true;
	if (draw(w, 2) == 0)
		hear_have(w->f, slot, &id, seq, seq);
	else
		hear_as(w->f, slot, &id, seq, draw(w, 2) ? 0 : FRAME_RECOVERY);
	swarm_note(w);
}

static void swarm_answer(struct swarm *w, uint8_t slot)
{
	struct shelf *q = &w->open[slot];
	bool held = false;
	struct range r;

	if (q->n == 0)
		return;
	r = q->v[0];
	unshelve(q);
	for (unsigned run = 0; run < RUNS; run++) {
		struct identity id = other_run(run);

		held |= identity_equal(&id, &r.run) && r.first <= SEQS &&
			w->held[slot][run][r.first];
	}
	if (held)
		hear_recovery(w->f, slot, &r.run, r.first);
	else
		hear_not_found(w->f, slot, &r.run, r.first, r.first);
	swarm_note(w);
}

static void swarm_lie(struct swarm *w, uint8_t slot)
{
	struct identity id = other_run(draw(w, RUNS + 1));
	uint64_t first = 1 + draw(w, SEQS), last = first + draw(w, SEQS);
	enum message_type type = draw(w, 2) ? MSG_HAVE : MSG_NOT_FOUND;

	if (w->wrong)
		hear_range(w->f, slot, type, &id, first, last);
	swarm_note(w);
}

static void swarm_time(struct swarm *w, int64_t ms)
{
	int64_t end = w->f->now + ms;

	while (node_deadline_ms(w->f->node) <= end) {
		if (node_deadline_ms(w->f->node) > w->f->now)
			w->f->now = node_deadline_ms(w->f->node);
		step_kind(w->f, EV_TICK);
		swarm_note(w);
		for (uint8_t i = 0; i < LINK_SLOTS; i++)
			if (w->f->node->links[i].up)
				link_event(w->f, i, EV_HEARD);
	}
	w->f->now = end;
}

/* What is covered is wanted no more. */
static void swarm_check(const struct swarm *w)
{
	struct gossip *g = &w->f->node->gossip;

	for (uint32_t i = 0; i < g->wants.n; i++) {
		const struct want *t = g->wants.heap[i];
		const struct origin *r = origins_find(&g->origins, &t->run->id);
		struct span common;

		assert_true(r == NULL || !ranges_overlap(&r->covered, t->first,
							 t->last, &common));
	}
}

static void swarm_step(struct swarm *w)
{
	uint8_t slot = (uint8_t)draw(w, LINKS);
	unsigned what = draw(w, 1000);

	if (!w->f->node->links[slot].up) {
		swarm_link(w);
	} else if (what < 5) {
		link_down(w->f, slot, DOWN_RESET);
		w->open[slot].n = 0;
		swarm_note(w);
	} else if (what < 15) {
		output_slow(w->f, draw(w, 2) == 0);
		swarm_note(w);
	} else if (what < 100) {
		swarm_new(w, slot);
	} else if (what < 150) {
		swarm_lie(w, slot);
	} else if (what < 200) {
		swarm_time(w, draw(w, 2000));
	} else {
		swarm_answer(w, slot);
	}
	swarm_check(w);
}

/* From now on everybody answers. */
static void swarm_settle(struct swarm *w)
{
	output_slow(w->f, false);
	swarm_note(w);
	for (unsigned i = 0; i < 300; i++) {
		for (uint8_t k = 0; k < LINK_SLOTS; k++)
			while (w->f->node->links[k].up && w->open[k].n > 0)
				swarm_answer(w, k);
		swarm_time(w, 500);
	}
}

static void swarm_play(uint64_t seed, bool wrong)
{
	struct swarm *w = calloc(1, sizeof *w);
	struct origins *o;

	assert_non_null(w);
	w->f = fixture_with_links(0);
	w->wrong = wrong;
	o = &w->f->node->gossip.origins;
	rng_init(&w->r, seed);
	for (unsigned i = 0; i < 4000; i++)
		swarm_step(w);
	swarm_settle(w);
	for (unsigned run = 0; run < RUNS; run++) {
		struct identity id = other_run(run);
		const struct origin *r = origins_find(o, &id);

		assert_non_null(r);
		for (uint8_t i = 0; i < LINK_SLOTS; i++)
			for (uint64_t k = 1; k <= SEQS; k++)
				assert_true(!w->f->node->links[i].up ||
					    !w->held[i][run][k] ||
					    ranges_has(&r->covered, k));
	}
	assert_int_equal(wants(w->f), 0);
	fixture_free(w->f);
	free(w);
}

static void what_any_neighbor_has_comes_in_the_end(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 10; seed++)
		swarm_play(seed, false);
}

static void also_when_they_say_what_is_not_so(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 10; seed++)
		swarm_play(seed, true);
}

/* A message from the middle of 2 .. 9, which link 1 announced, comes when only
 * `left` more allocations succeed. */
static struct fixture *take_with_memory_for(long left)
{
	struct fixture *f = fixture_with_links(2);
	struct identity a = other_run(1);
	struct letter l = letter_new(&a, 5, "text");
	struct event ev = { .kind = EV_FRAME,
			    .link = 0,
			    .frame = { .head = { 0, 0, l.frame->body_bytes },
				       .frame = l.frame,
				       .msg = &l.msg } };

	assert_true(hear_new(f, 0, &a, 1)); /* the record is there */
	hear_have(f, 1, &a, 2, 9);
	scarce_after(left, true);
	node_step(f->node, f->now, &ev, &f->fx);
	scarce_end();
	letter_free(&l);
	return f;
}

static void check_wanted(const struct fixture *f, uint64_t first, uint64_t last)
{
	assert_int_equal(wants(f), 1);
	assert_int_equal(f->node->gossip.wants.heap[0]->first, first);
	assert_int_equal(f->node->gossip.wants.heap[0]->last, last);
}

/* It is here already: without memory to cut it out of what is wanted, the rest
 * behind it is forgotten, and whoever announced it is asked to say it again. */
static void
what_was_forgotten_for_want_of_memory_is_announced_again(void **state)
{
	struct fixture *f = take_with_memory_for(0);

	(void)state;
	for (long left = 1; effect_count(f, EF_DELIVER) == 0; left++) {
		check_wanted(f, 2, 9); /* it did not even come */
		fixture_free(f);
		f = take_with_memory_for(left);
	}
	check_wanted(f, 2, 4);
	assert_true(f->node->links[1].missed);
	assert_false(f->node->links[0].missed);
	while (said_count(f, 1, MSG_GET_DATA) == 0 ||
	       said_to(f, 1, MSG_GET_DATA, 0)->get_data.ranges.n > 0)
		assert_true(tick_heard_until(f, EF_SAY, 20000));
	fixture_free(f);
}

static void who_goes_before_his_last_chunk_has_said_all_of_it(void **state)
{
	struct fixture *f = fixture_without_history(2);
	struct identity a = other_run(1), b = other_run(2);
	struct range ra = { a, 1, 50 };

	(void)state;
	hear_all(f, 0, &ra, 1, true);
	link_down(f, 0, DOWN_RESET);
	hear_all_range(f, 1, &b, 1, 9);
	check_only(asked(f, 1), &b, 1, 9);
	fixture_free(f);
}

/* Who holds nothing has said nothing of what was before. */
static void an_empty_announcement_is_not_the_history(void **state)
{
	struct fixture *f = fixture_without_history(2);
	struct identity a = other_run(1);

	(void)state;
	hear_all(f, 0, NULL, 0, false);
	hear_all_range(f, 1, &a, 1, 50);
	nothing_is_asked(f, 60000);
	assert_false(hear_new(f, 1, &a, 50));
	fixture_free(f);
}

/* A large message is as good a sign of life as many small ones. */
static void who_answers_with_large_messages_gets_the_time_to_go_on(void **state)
{
	enum { SIZE = 40000 };
	struct fixture *f = fixture_with_links(2);
	struct identity a = other_run(1);
	char *text = calloc(1, SIZE + 1);
	uint8_t first;

	(void)state;
	assert_non_null(text);
	memset(text, 'x', SIZE);
	hear_have(f, 0, &a, 1, 9);
	hear_have(f, 1, &a, 1, 9);
	assert_true(wait_ask(f, 300));
	first = who_is_asked(f);
	for (uint64_t i = 1; i <= 4; i++) {
		struct letter l = letter_new(&a, i, text);

		nothing_is_asked(f, 290);
		hear_letter_as(f, first, &l, FRAME_RECOVERY, 0);
		assert_int_equal(effect_count(f, EF_DELIVER), 1);
		letter_free(&l);
	}
	assert_true(wait_ask(f, 600)); /* it stopped */
	check_only(asked(f, !first), &a, 5, 9);
	free(text);
	fixture_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_does_not_come_by_itself_is_asked_for),
		cmocka_unit_test(what_comes_in_time_is_not_asked_for),
		cmocka_unit_test(how_long_it_waits_follows_the_round_trips),
		cmocka_unit_test(
			what_a_new_neighbor_holds_is_asked_for_at_once),
		cmocka_unit_test(
			the_next_announcer_is_asked_after_two_round_trips),
		cmocka_unit_test(who_answers_gets_the_time_to_go_on),
		cmocka_unit_test(who_trickles_is_asked_no_longer),
		cmocka_unit_test(what_others_bring_is_no_answer_of_his),
		cmocka_unit_test(
			who_has_not_got_it_is_followed_by_the_next_at_once),
		cmocka_unit_test(
			who_has_no_more_of_it_is_followed_by_the_next_at_once),
		cmocka_unit_test(a_lost_link_is_followed_by_the_next_at_once),
		cmocka_unit_test(
			a_lost_link_that_was_not_asked_yet_changes_nothing),
		cmocka_unit_test(
			who_does_not_answer_is_asked_less_and_less_often),
		cmocka_unit_test(of_one_link_256_messages_are_asked_at_a_time),
		cmocka_unit_test(many_small_ranges_share_the_window),
		cmocka_unit_test(
			a_full_window_does_not_keep_others_from_being_asked),
		cmocka_unit_test(several_announcers_share_what_is_large),
		cmocka_unit_test(
			a_hole_that_nobody_has_is_lost_after_30_seconds),
		cmocka_unit_test(who_announces_it_in_time_is_asked),
		cmocka_unit_test(a_hole_whose_announcers_went_is_lost_as_well),
		cmocka_unit_test(
			what_is_not_between_messages_is_dropped_in_silence),
		cmocka_unit_test(
			a_hole_that_closes_for_want_of_room_is_lost_at_once),
		cmocka_unit_test(a_hole_is_asked_of_who_brought_what_follows),
		cmocka_unit_test(or_after_ten_waits_if_that_is_longer),
		cmocka_unit_test(a_hole_that_closes_in_time_is_not_asked_for),
		cmocka_unit_test(
			below_the_first_live_message_there_are_no_holes),
		cmocka_unit_test(
			above_the_first_live_message_there_are_also_older_ones),
		cmocka_unit_test(
			a_hole_whose_bringer_is_gone_is_lost_in_the_end),
		cmocka_unit_test(what_its_feeder_will_bring_is_not_asked_for),
		cmocka_unit_test(
			an_announced_hole_is_asked_of_its_announcer_first),
		cmocka_unit_test(the_widest_hole_costs_its_newest_part),
		cmocka_unit_test(a_hole_of_the_widest_width_is_wanted_whole),
		cmocka_unit_test(the_widest_range_costs_its_newest_part),
		cmocka_unit_test(what_was_said_before_is_not_fetched),
		cmocka_unit_test(
			the_first_that_holds_anything_says_what_was_before),
		cmocka_unit_test(to_its_last_chunk),
		cmocka_unit_test(for_ten_seconds_at_most),
		cmocka_unit_test(with_catch_up_everything_is_fetched),
		cmocka_unit_test(of_my_own_messages_nobody_tells_me),
		cmocka_unit_test(a_run_that_was_only_announced_has_no_record),
		cmocka_unit_test(thousands_of_ranges_are_a_bounded_matter),
		cmocka_unit_test(many_pieces_of_one_run_are_a_bounded_matter),
		cmocka_unit_test(
			who_said_too_much_is_asked_again_when_there_is_room),
		cmocka_unit_test(
			not_found_of_what_was_not_asked_hurries_nobody),
		cmocka_unit_test(what_any_neighbor_has_comes_in_the_end),
		cmocka_unit_test(also_when_they_say_what_is_not_so),
		cmocka_unit_test(what_a_wide_hole_closes_is_not_asked_for),
		cmocka_unit_test(to_its_last_chunk_whatever_others_say),
		cmocka_unit_test(what_counts_as_known_is_not_asked_for),
		cmocka_unit_test(what_is_announced_to_a_choked_peer_is_bounded),
		cmocka_unit_test(what_is_closed_while_asking_harms_nobody),
		cmocka_unit_test(ranges_over_many_holes_cost_little),
		cmocka_unit_test(
			who_never_answers_leaves_a_bounded_number_of_pieces),
		cmocka_unit_test(
			what_was_forgotten_for_want_of_memory_is_announced_again),
		cmocka_unit_test(
			who_goes_before_his_last_chunk_has_said_all_of_it),
		cmocka_unit_test(an_empty_announcement_is_not_the_history),
		cmocka_unit_test(
			who_answers_with_large_messages_gets_the_time_to_go_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
