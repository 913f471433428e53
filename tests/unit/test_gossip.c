#include "node_fixture.h"

#include "base/rng.h"

static struct identity origin(unsigned number)
{
	return number_id(300 + number);
}

static struct fixture *fixture_linked(unsigned links)
{
	struct fixture *f = fixture_new(1);

	join(f, NULL, 0);
	for (unsigned i = 0; i < links; i++)
		link_up(f, i);
	return f;
}

static struct node_stats stats(const struct fixture *f)
{
	return node_stats(f->node);
}

/* --- R8: receiving ------------------------------------------------------- */

static void a_new_message_is_delivered_and_goes_to_all_others(void **state)
{
	struct fixture *f = fixture_linked(4);
	struct identity from = origin(1);
	struct letter l = letter_new(&from, 5, "hello");
	const struct effect *e;

	(void)state;
	hear_letter_as(f, 2, &l, 0, 7);
	assert_int_equal(effect_count(f, EF_DELIVER), 1);
	e = effect_one(f, EF_SEND);
	assert_int_equal(e->links, 0xf & ~link_bit(2));
	assert_ptr_equal(e->send.frame, l.frame); /* byte for byte */
	assert_int_equal(e->send.head.hops, 8);
	assert_int_equal(e->send.head.flags, 0);
	assert_int_equal(stats(f).delivered, 1);
	assert_int_equal(stats(f).forwarded, 1);
	assert_true(node_has_seen(f->node, &l.id));
	letter_free(&l);
	fixture_free(f);
}

static void the_only_neighbor_gets_nothing_back(void **state)
{
	struct fixture *f = fixture_linked(1);
	struct identity from = origin(1);

	(void)state;
	assert_true(hear_new(f, 0, &from, 1));
	assert_int_equal(effect_count(f, EF_SEND), 0);
	assert_int_equal(stats(f).forwarded, 0);
	fixture_free(f);
}

static void hops_stay_at_255(void **state)
{
	static const uint8_t came[] = { 0, 254, 255 }, goes[] = { 1, 255, 255 };
	struct fixture *f = fixture_linked(2);
	struct identity from = origin(1);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(came); i++) {
		struct letter l = letter_new(&from, i + 1, "text");

		hear_letter_as(f, 0, &l, 0, came[i]);
		assert_int_equal(effect_one(f, EF_SEND)->send.head.hops,
				 goes[i]);
		letter_free(&l);
	}
	fixture_free(f);
}

static void spread_is_passed_on_and_recovery_is_not(void **state)
{
	struct fixture *f = fixture_linked(2);
	struct identity from = origin(1);
	struct letter a = letter_new(&from, 1, "a");
	struct letter b = letter_new(&from, 2, "b");

	(void)state;
	hear_letter_as(f, 0, &a, FRAME_SPREAD, 0);
	assert_int_equal(effect_one(f, EF_SEND)->send.head.flags, FRAME_SPREAD);
	hear_letter_as(f, 0, &b, FRAME_RECOVERY, 0);
	assert_int_equal(effect_one(f, EF_SEND)->send.head.flags, 0);
	assert_int_equal(stats(f).recovered, 1);
	letter_free(&a);
	letter_free(&b);
	fixture_free(f);
}

static void a_copy_is_dropped_whoever_sends_it(void **state)
{
	struct fixture *f = fixture_linked(3);
	struct identity from = origin(1);
	struct letter l = letter_new(&from, 1, "text");

	(void)state;
	hear_letter(f, 0, &l);
	for (uint8_t i = 0; i < 3; i++) {
		hear_letter(f, i, &l);
		assert_int_equal(f->fx.n, 0);
	}
	/* Known by its hash, it need not even be parsed. */
	step(f, &(struct event){ .kind = EV_FRAME,
				 .link = 1,
				 .frame = { .frame = l.frame, .id = &l.id } });
	assert_int_equal(f->fx.n, 0);
	assert_int_equal(stats(f).duplicates, 4);
	assert_int_equal(stats(f).delivered, 1);
	letter_free(&l);
	fixture_free(f);
}

static void an_old_copy_behind_the_seen_window_is_still_a_copy(void **state)
{
	struct fixture *f = fixture_new(1);
	struct identity from = origin(1);

	(void)state;
	f->config.gossip.seen_max = 16;
	f->config.gossip.store_messages = 4;
	fixture_renew(f, 1);
	start(f);
	link_up(f, 0);
	for (uint64_t i = 1; i <= 200; i++)
		assert_true(hear_new(f, 0, &from, i));
	for (uint64_t i = 1; i <= 200; i++)
		assert_false(hear_new(f, 0, &from, i));
	assert_int_equal(stats(f).duplicates, 200);
	assert_int_equal(stats(f).conflicts, 0);
	fixture_free(f);
}

static void runs_of_one_address_have_nothing_in_common(void **state)
{
	struct fixture *f = fixture_linked(1);
	struct identity a = origin(1), b = a;

	(void)state;
	b.incarnation++;
	assert_true(hear_new(f, 0, &a, 1));
	assert_true(hear_new(f, 0, &b, 1));
	assert_false(hear_new(f, 0, &a, 1));
	fixture_free(f);
}

static void another_text_under_a_known_name_is_a_conflict(void **state)
{
	struct fixture *f = fixture_linked(2);
	struct identity from = origin(1);
	struct letter a = letter_new(&from, 3, "one");
	struct letter b = letter_new(&from, 3, "two");

	(void)state;
	hear_letter(f, 0, &a);
	hear_letter(f, 1, &b);
	assert_int_equal(f->fx.n, 0);
	assert_int_equal(stats(f).conflicts, 1);
	assert_int_equal(stats(f).duplicates, 0);
	letter_free(&a);
	letter_free(&b);
	fixture_free(f);
}

static void my_own_message_coming_back_is_a_copy(void **state)
{
	struct fixture *f = fixture_linked(2);
	struct letter l = publish(f, "mine");

	(void)state;
	hear_letter_as(f, 1, &l, 0, 3);
	assert_int_equal(f->fx.n, 0);
	assert_int_equal(stats(f).duplicates, 1);
	assert_int_equal(stats(f).conflicts, 0);
	letter_free(&l);
	fixture_free(f);
}

static void nobody_else_speaks_in_my_name(void **state)
{
	struct fixture *f = fixture_linked(2);
	struct identity me = number_id(SELF);
	struct letter mine, fake;

	(void)state;
	assert_false(hear_new(f, 0, &me, 1));
	assert_int_equal(f->fx.n, 0);
	mine = publish(f, "mine");
	fake = letter_new(&me, 1, "fake");
	hear_letter(f, 0, &fake);
	assert_int_equal(f->fx.n, 0);
	assert_int_equal(stats(f).conflicts, 2);
	assert_int_equal(stats(f).delivered, 0);
	/* The forgery did not keep my own first message from being noted. */
	hear_letter(f, 0, &mine);
	assert_int_equal(stats(f).duplicates, 1);
	letter_free(&mine);
	letter_free(&fake);
	fixture_free(f);
}

/* A link that said Bye is read to its end. */
static void what_was_sent_before_a_bye_still_counts(void **state)
{
	struct fixture *f = fixture_linked(2);
	struct identity from = origin(1);
	struct message ask = { .type = MSG_LIVELINESS };

	(void)state;
	assert_true(hear_new(f, LINK_NONE, &from, 1));
	assert_int_equal(effect_one(f, EF_SEND)->links, 3);
	hear(f, LINK_NONE, &ask);
	assert_int_equal(f->fx.n, 0);
	fixture_free(f);
}

static void of_too_many_runs_the_idle_one_goes_with_its_messages(void **state)
{
	struct fixture *f = fixture_new(1);
	struct identity a = origin(1), b = origin(2), c = origin(3);
	struct letter mine;

	(void)state;
	f->config.gossip.runs_max = 3;
	f->config.gossip.seen_max = 16;
	fixture_renew(f, 1);
	start(f);
	link_up(f, 0);
	mine = publish(f, "mine");
	assert_true(hear_new(f, 0, &a, 1));
	assert_true(hear_new(f, 0, &b, 1));
	assert_true(hear_new(f, 0, &a, 2));
	assert_int_equal(stats(f).store_messages, 4);
	assert_true(hear_new(f, 0, &c, 1)); /* b goes, not mine */
	assert_int_equal(stats(f).store_messages, 4);
	for (uint64_t i = 2; i < 40; i++)
		assert_true(hear_new(f, 0, &c, i));
	assert_false(hear_new(f, 0, &a, 1));
	hear_letter(f, 0, &mine);
	assert_int_equal(effect_count(f, EF_DELIVER), 0);
	assert_int_equal(stats(f).conflicts, 0);
	step(f, &(struct event){ .kind = EV_FIND, .find = mine.id });
	assert_int_equal(effect_count(f, EF_FOUND), 1);
	assert_true(hear_new(f, 0, &b, 1)); /* forgotten: new again */
	letter_free(&mine);
	fixture_free(f);
}

/* Many copies, any order, small windows: each exactly once. */
static void random_messages_are_delivered_exactly_once(void **state)
{
	enum { RUNS = 5, SEQS = 400 };
	bool got[RUNS][SEQS] = { { false } };
	struct fixture *f = fixture_new(1);
	struct rng r;

	(void)state;
	f->config.gossip.seen_max = 16;
	f->config.gossip.store_messages = 50;
	fixture_renew(f, 1);
	rng_init(&r, 5);
	start(f);
	for (unsigned i = 0; i < 3; i++)
		link_up(f, i);
	for (unsigned i = 0; i < 8000; i++) {
		unsigned run = (unsigned)rng_below(&r, RUNS);
		uint64_t seq = 1 + rng_below(&r, SEQS - 1);
		struct identity from = origin(run);
		uint8_t slot = (uint8_t)rng_below(&r, 3);

		assert_int_equal(hear_new(f, slot, &from, seq), !got[run][seq]);
		got[run][seq] = true;
	}
	assert_int_equal(stats(f).conflicts, 0);
	fixture_free(f);
}

/* --- publishing ---------------------------------------------------------- */

static void what_is_published_goes_to_every_neighbor(void **state)
{
	struct fixture *f = fixture_linked(3);
	struct letter l = publish(f, "text");
	const struct effect *e = effect_one(f, EF_SEND);

	(void)state;
	assert_int_equal(e->links, 7);
	assert_int_equal(e->send.head.hops, 0);
	assert_int_equal(effect_count(f, EF_DELIVER), 0);
	assert_int_equal(stats(f).published, 1);
	assert_int_equal(stats(f).store_messages, 1);
	assert_int_equal(node_next_seq(f->node), 2);
	letter_free(&l);
	fixture_free(f);
}

static void the_first_message_of_a_run_is_spread(void **state)
{
	struct fixture *f = fixture_linked(1);
	struct letter l = publish(f, "first");

	(void)state;
	assert_int_equal(effect_one(f, EF_SEND)->send.head.flags, FRAME_SPREAD);
	letter_free(&l);
	l = publish(f, "second");
	assert_int_equal(effect_one(f, EF_SEND)->send.head.flags, 0);
	letter_free(&l);
	fixture_free(f);
}

static void a_large_first_message_is_not_spread(void **state)
{
	struct fixture *f = fixture_linked(1);
	char *text = calloc(1, SPREAD_BYTES + 1);
	struct letter l;

	(void)state;
	assert_non_null(text);
	memset(text, 'x', SPREAD_BYTES);
	l = publish(f, text);
	assert_int_equal(effect_one(f, EF_SEND)->send.head.flags, 0);
	letter_free(&l);
	free(text);
	fixture_free(f);
}

static void who_has_no_neighbor_publishes_for_later(void **state)
{
	struct fixture *f = fixture_linked(0);
	struct letter l = publish(f, "text");

	(void)state;
	assert_int_equal(f->fx.n, 0);
	assert_int_equal(stats(f).store_messages, 1);
	letter_free(&l);
	fixture_free(f);
}

/* --- R11: answering getData ---------------------------------------------- */

static void ask_ranges(struct fixture *f, uint8_t slot, const struct range *v,
		       size_t n)
{
	struct message m = { .type = MSG_GET_DATA };

	m.get_data.ranges = (struct range_list){ v, n };
	hear(f, slot, &m);
}

static void ask_range(struct fixture *f, uint8_t slot,
		      const struct identity *run, uint64_t first, uint64_t last)
{
	struct range r = { *run, first, last };

	ask_ranges(f, slot, &r, 1);
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
	struct fixture *f = fixture_linked(3);
	struct identity from = origin(1);
	struct letter l = letter_new(&from, 1, "text");
	struct message m = { .type = MSG_GET_DATA };
	const struct effect *e;

	(void)state;
	hear_letter_as(f, 0, &l, FRAME_SPREAD, 4);
	m.get_data.has_id = true;
	m.get_data.id = l.id;
	hear(f, 2, &m);
	e = effect_one(f, EF_SEND);
	assert_int_equal(e->links, link_bit(2));
	assert_ptr_equal(e->send.frame, l.frame);
	assert_int_equal(e->send.head.flags, FRAME_RECOVERY);
	assert_int_equal(e->send.head.hops, 5);
	assert_null(said(f, MSG_NOT_FOUND));
	m.get_data.id.b[0] ^= 1;
	hear(f, 2, &m);
	assert_int_equal(effect_count(f, EF_SEND), 0);
	e = said(f, MSG_NOT_FOUND);
	assert_int_equal(e->links, link_bit(2));
	assert_true(e->say.not_found.has_id);
	assert_memory_equal(&e->say.not_found.id, &m.get_data.id,
			    sizeof m.get_data.id);
	letter_free(&l);
	fixture_free(f);
}

static void ranges_are_answered_with_what_is_held_and_the_rest(void **state)
{
	struct fixture *f = fixture_linked(2);
	struct identity from = origin(1);

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
	struct fixture *f = fixture_linked(2);
	struct identity from = origin(1), nobody = origin(2);

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

static void one_question_is_answered_with_256_messages(void **state)
{
	struct fixture *f = fixture_linked(2);
	struct identity from = origin(1);
	struct range r[2] = { { from, 1, 1000 }, { origin(2), 1, 5 } };

	(void)state;
	for (uint64_t i = 1; i <= 300; i++)
		hear_new(f, 0, &from, i);
	ask_ranges(f, 1, r, 2);
	assert_int_equal(effect_count(f, EF_SEND), 256);
	assert_null(said(f, MSG_NOT_FOUND)); /* who wants more asks again */
	ask_range(f, 1, &from, 257, 1000);
	assert_int_equal(effect_count(f, EF_SEND), 44);
	check_hole(f, 0, 301, 1000);
	fixture_free(f);
}

static void one_question_is_answered_with_a_mebibyte(void **state)
{
	enum { SIZE = 300000 };
	struct fixture *f = fixture_linked(2);
	struct identity from = origin(1);
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
	assert_int_equal(effect_count(f, EF_SEND), 4);
	free(text);
	fixture_free(f);
}

static void a_full_question_of_holes_fits_one_answer(void **state)
{
	struct fixture *f = fixture_linked(2);
	struct range *v = calloc(RANGES_MAX, sizeof *v);

	(void)state;
	assert_non_null(v);
	for (unsigned i = 0; i < RANGES_MAX; i++)
		v[i] = (struct range){ origin(i % 7), 10 * i + 1, 10 * i + 3 };
	for (unsigned i = 0; i < 7; i++) {
		struct identity from = origin(i);

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
	free(v);
	fixture_free(f);
}

/* A member may ask for 800 ranges of a run of which 20,000 messages are held:
 * all of them behind what is held, or one message each. Neither may cost a
 * walk over all that is held for each of the ranges. */
static void many_ranges_of_a_long_run_cost_little(void **state)
{
	enum { HELD = 20000 };
	struct fixture *f = fixture_linked(2);
	struct range *v = calloc(RANGES_MAX, sizeof *v);
	struct identity from = origin(1);
	unsigned sent = 0;

	(void)state;
	assert_non_null(v);
	for (uint64_t i = 1; i <= HELD; i++)
		hear_new(f, 0, &from, i);
	for (unsigned i = 0; i < RANGES_MAX; i++)
		v[i] = (struct range){ from, 20 * i + 1, 20 * i + 1 };
	for (unsigned i = 0; i < RANGES_MAX; i += 200) {
		ask_ranges(f, 1, v + i, 200);
		sent += (unsigned)effect_count(f, EF_SEND);
	}
	assert_int_equal(sent, RANGES_MAX);
	for (unsigned i = 0; i < RANGES_MAX; i++)
		v[i] = (struct range){ from, HELD + 1, SEQ_MAX };
	ask_ranges(f, 1, v, RANGES_MAX);
	check_hole(f, 0, HELD + 1, SEQ_MAX);
	assert_true(said(f, MSG_NOT_FOUND)->say.not_found.ranges.n <=
		    65536 / HELD + 1);
	free(v);
	fixture_free(f);
}

/* --- has it been taken? -------------------------------------------------- */

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
	struct fixture *f = fixture_linked(1);

	(void)state;
	step_kind(f, EV_SYNC);
	assert_int_equal(effect_count(f, EF_SYNCED), 1);
	assert_null(said(f, MSG_LIVELINESS));
	fixture_free(f);
}

static void one_neighbor_that_answers_has_taken_all(void **state)
{
	struct fixture *f = fixture_linked(3);
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
	struct fixture *f = fixture_linked(2);
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

static size_t sent_again(struct fixture *f, uint8_t slot)
{
	size_t n = 0;

	for (size_t i = 0; i < f->fx.n; i++)
		n += f->fx.v[i].kind == EF_SEND &&
		     f->fx.v[i].links == link_bit(slot);
	return n;
}

static void what_no_living_neighbor_got_is_sent_again(void **state)
{
	struct fixture *f = fixture_linked(1);
	struct letter first = publish(f, "first"), second, third;

	(void)state;
	second = publish(f, "second");
	step_kind(f, EV_SYNC);
	link_down(f, 0, DOWN_RESET);
	link_up(f, 5);
	/* The new one proves only that it lives. */
	answer_nonce(f, 0, nonce_for(f, 0));
	assert_int_equal(effect_count(f, EF_SYNCED), 0);
	assert_int_equal(sent_again(f, 0), 2);
	answer_nonce(f, 0, nonce_for(f, 0));
	assert_int_equal(effect_count(f, EF_SYNCED), 1);
	/* From here on it gets everything as it is published. */
	third = publish(f, "third");
	step_kind(f, EV_SYNC);
	answer_nonce(f, 0, nonce_for(f, 0));
	assert_int_equal(sent_again(f, 0), 0);
	assert_int_equal(effect_count(f, EF_SYNCED), 1);
	letter_free(&first);
	letter_free(&second);
	letter_free(&third);
	fixture_free(f);
}

static void many_are_sent_again_in_portions(void **state)
{
	struct fixture *f = fixture_linked(1);
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
		answer_nonce(f, 0, nonce_for(f, 0));
		assert_true(sent_again(f, 0) <= 256);
		again += sent_again(f, 0);
	}
	assert_int_equal(effect_count(f, EF_SYNCED), 1);
	assert_int_equal(again, 600);
	fixture_free(f);
}

/* --- a message by its id ------------------------------------------------- */

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
	struct fixture *f = fixture_linked(1);
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
	struct fixture *f = fixture_linked(3);
	struct identity from = origin(1);
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
	struct identity from = origin(1);
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
	step(f, &(struct event){ .kind = EV_FRAME,
				 .link = 0,
				 .frame = { .frame = l.frame, .id = &l.id } });
	assert_ptr_equal(effect_one(f, EF_FOUND)->found.frame, l.frame);
	assert_int_equal(effect_count(f, EF_DELIVER), 0);
	letter_free(&l);
	fixture_free(f);
}

static void nobody_has_it_when_all_said_so_or_are_gone(void **state)
{
	struct fixture *f = fixture_linked(3);
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
	struct fixture *f = fixture_linked(1);
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
	struct fixture *f = fixture_linked(0);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_new_message_is_delivered_and_goes_to_all_others),
		cmocka_unit_test(the_only_neighbor_gets_nothing_back),
		cmocka_unit_test(hops_stay_at_255),
		cmocka_unit_test(spread_is_passed_on_and_recovery_is_not),
		cmocka_unit_test(a_copy_is_dropped_whoever_sends_it),
		cmocka_unit_test(
			an_old_copy_behind_the_seen_window_is_still_a_copy),
		cmocka_unit_test(runs_of_one_address_have_nothing_in_common),
		cmocka_unit_test(another_text_under_a_known_name_is_a_conflict),
		cmocka_unit_test(my_own_message_coming_back_is_a_copy),
		cmocka_unit_test(nobody_else_speaks_in_my_name),
		cmocka_unit_test(what_was_sent_before_a_bye_still_counts),
		cmocka_unit_test(
			of_too_many_runs_the_idle_one_goes_with_its_messages),
		cmocka_unit_test(random_messages_are_delivered_exactly_once),
		cmocka_unit_test(what_is_published_goes_to_every_neighbor),
		cmocka_unit_test(the_first_message_of_a_run_is_spread),
		cmocka_unit_test(a_large_first_message_is_not_spread),
		cmocka_unit_test(who_has_no_neighbor_publishes_for_later),
		cmocka_unit_test(a_message_is_sent_again_by_its_id),
		cmocka_unit_test(
			ranges_are_answered_with_what_is_held_and_the_rest),
		cmocka_unit_test(a_huge_range_is_no_work),
		cmocka_unit_test(one_question_is_answered_with_256_messages),
		cmocka_unit_test(one_question_is_answered_with_a_mebibyte),
		cmocka_unit_test(a_full_question_of_holes_fits_one_answer),
		cmocka_unit_test(many_ranges_of_a_long_run_cost_little),
		cmocka_unit_test(one_neighbor_that_answers_has_taken_all),
		cmocka_unit_test(a_lost_neighbor_need_not_answer),
		cmocka_unit_test(nothing_published_is_taken_at_once),
		cmocka_unit_test(what_no_living_neighbor_got_is_sent_again),
		cmocka_unit_test(many_are_sent_again_in_portions),
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
