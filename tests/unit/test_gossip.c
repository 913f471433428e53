#include "node_fixture.h"
#include "scarce.h"

#include "base/rng.h"

/* --- R8: receiving ------------------------------------------------------- */

static void a_new_message_is_delivered_and_goes_to_all_others(void **state)
{
	struct fixture *f = fixture_with_links(4);
	struct identity from = other_run(1);
	struct letter l = letter_new(&from, 5, "hello");
	const struct effect *e;

	(void)state;
	hear_graft_all(f, 1);
	hear_letter_as(f, 2, &l, 0, 7);
	assert_int_equal(effect_count(f, EF_DELIVER), 1);
	e = effect_one(f, EF_SEND);
	assert_int_equal(e->links, link_bit(0) | link_bit(1));
	assert_ptr_equal(e->send.frame, l.frame); /* byte for byte */
	assert_int_equal(e->send.head.hops, 8);
	assert_int_equal(e->send.head.flags, 0);
	assert_int_equal(stats(f).delivered, 1);
	assert_int_equal(stats(f).forwarded, 1);
	/* Who is not sent it hears of it; who brought it, neither. */
	assert_true(wait_said(f, MSG_HAVE, 100));
	check_only(&said_to(f, 3, MSG_HAVE, 0)->have.ranges, &from, 5, 5);
	assert_int_equal(said(f, MSG_HAVE)->links, link_bit(3));
	assert_int_equal(stats(f).have_sent, 1);
	letter_free(&l);
	fixture_free(f);
}

static void the_only_neighbor_gets_nothing_back(void **state)
{
	struct fixture *f = fixture_with_links(1);
	struct identity from = other_run(1);

	(void)state;
	assert_true(hear_new(f, 0, &from, 1));
	assert_int_equal(effect_count(f, EF_SEND), 0);
	assert_int_equal(stats(f).forwarded, 0);
	assert_false(wait_said(f, MSG_HAVE, 1000));
	fixture_free(f);
}

static void hops_stay_at_255(void **state)
{
	static const uint8_t came[] = { 0, 254, 255 }, goes[] = { 1, 255, 255 };
	struct fixture *f = fixture_with_links(2);
	struct identity from = other_run(1);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(came); i++) {
		struct letter l = letter_new(&from, i + 1, "text");

		hear_letter_as(f, 1, &l, 0, came[i]);
		assert_int_equal(effect_one(f, EF_SEND)->send.head.hops,
				 goes[i]);
		letter_free(&l);
	}
	fixture_free(f);
}

static void spread_is_passed_on_and_recovery_is_not(void **state)
{
	struct fixture *f = fixture_with_links(2);
	struct identity from = other_run(1);
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

/* One flag would let a member flood the network with all he says. */
static void only_a_first_message_is_spread(void **state)
{
	struct fixture *f = fixture_with_links(4);
	struct identity from = other_run(1);

	(void)state;
	for (uint64_t i = 2; i <= 50; i++) {
		assert_true(hear_as(f, 3, &from, i, FRAME_SPREAD));
		assert_int_equal(effect_one(f, EF_SEND)->links, link_bit(0));
		assert_int_equal(effect_one(f, EF_SEND)->send.head.flags, 0);
	}
	assert_true(hear_as(f, 3, &from, 1, FRAME_SPREAD | FRAME_RECOVERY));
	assert_int_equal(effect_one(f, EF_SEND)->links, 7);
	assert_int_equal(effect_one(f, EF_SEND)->send.head.flags, FRAME_SPREAD);
	fixture_free(f);
}

/* It is news all the same, but says nothing about who is fed by whom, and
 * nothing about holes. */
static void a_recovery_that_nobody_asked_for_is_only_a_message(void **state)
{
	struct fixture *f = fixture_with_links(3);
	struct identity from = other_run(1);

	(void)state;
	for (uint64_t i = 1; i <= 9; i += 2)
		assert_true(hear_recovery(f, 2, &from, i));
	assert_int_equal(effect_one(f, EF_SEND)->links, link_bit(0));
	assert_true(hear_new(f, 1, &from, 10));
	assert_int_equal(effect_one(f, EF_SEND)->links, link_bit(0));
	assert_int_equal(stats(f).recovered, 5);
	assert_false(wait_said(f, MSG_GET_DATA, 30000));
	fixture_free(f);
}

static void a_copy_is_dropped_whoever_sends_it(void **state)
{
	struct fixture *f = fixture_with_links(3);
	struct identity from = other_run(1);
	struct letter l = letter_new(&from, 1, "text");

	(void)state;
	hear_letter(f, 0, &l);
	for (uint8_t i = 0; i < 3; i++) {
		hear_letter(f, i, &l);
		assert_int_equal(effect_count(f, EF_DELIVER), 0);
		assert_int_equal(effect_count(f, EF_SEND), 0);
	}
	assert_int_equal(stats(f).store_messages, 1);
	assert_int_equal(stats(f).duplicates, 3);
	assert_int_equal(stats(f).delivered, 1);
	letter_free(&l);
	fixture_free(f);
}

static void an_old_copy_of_what_is_no_longer_held_is_still_a_copy(void **state)
{
	struct fixture *f = fixture_new(1);
	struct identity from = other_run(1);

	(void)state;
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
	struct fixture *f = fixture_with_links(1);
	struct identity a = other_run(1), b = a;

	(void)state;
	b.incarnation++;
	assert_true(hear_new(f, 0, &a, 1));
	assert_true(hear_new(f, 0, &b, 1));
	assert_false(hear_new(f, 0, &a, 1));
	fixture_free(f);
}

static void another_text_under_a_known_name_is_a_conflict(void **state)
{
	struct fixture *f = fixture_with_links(2);
	struct identity from = other_run(1);
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
	struct fixture *f = fixture_with_links(2);
	struct letter l = publish(f, "mine");

	(void)state;
	hear_letter_as(f, 1, &l, 0, 3);
	assert_int_equal(effect_count(f, EF_DELIVER), 0);
	assert_int_equal(effect_count(f, EF_SEND), 0);
	assert_int_equal(stats(f).duplicates, 1);
	assert_int_equal(stats(f).conflicts, 0);
	letter_free(&l);
	fixture_free(f);
}

static void nobody_else_speaks_in_my_name(void **state)
{
	struct fixture *f = fixture_with_links(2);
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
	struct fixture *f = fixture_with_links(2);
	struct identity from = other_run(1);
	struct message ask = { .type = MSG_LIVELINESS };

	(void)state;
	assert_true(hear_new(f, LINK_NONE, &from, 1));
	assert_int_equal(effect_one(f, EF_SEND)->links, link_bit(0));
	hear(f, LINK_NONE, &ask);
	assert_int_equal(f->fx.n, 0);
	/* A hole in it has nobody to be asked for it. */
	assert_true(hear_new(f, LINK_NONE, &from, 5));
	assert_true(wait_said(f, MSG_HAVE, 100));
	assert_int_equal(said(f, MSG_HAVE)->links, link_bit(1));
	assert_int_equal(said(f, MSG_HAVE)->say.have.ranges.n, 2);
	assert_false(wait_said(f, MSG_GET_DATA, 30000));
	/* And a copy has nobody to be told off. */
	assert_false(hear_new(f, LINK_NONE, &from, 1));
	assert_int_equal(f->fx.n, 0);
	fixture_free(f);
}

static void of_too_many_runs_the_idle_one_goes_with_its_messages(void **state)
{
	struct fixture *f = fixture_new(1);
	struct identity a = other_run(1), b = other_run(2), c = other_run(3);
	struct letter mine;

	(void)state;
	f->config.gossip.runs_max = 3;
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
	assert_int_equal(origins_count(&f->node->gossip.origins), 3);
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
	f->config.gossip.store_messages = 50;
	fixture_renew(f, 1);
	rng_init(&r, 5);
	start(f);
	for (unsigned i = 0; i < 3; i++)
		link_up(f, i);
	for (unsigned i = 0; i < 8000; i++) {
		unsigned run = (unsigned)rng_below(&r, RUNS);
		uint64_t seq = 1 + rng_below(&r, SEQS - 1);
		struct identity from = other_run(run);
		uint8_t slot = (uint8_t)rng_below(&r, 3);

		assert_int_equal(hear_new(f, slot, &from, seq), !got[run][seq]);
		got[run][seq] = true;
	}
	assert_int_equal(stats(f).conflicts, 0);
	fixture_free(f);
}

/* tree = no. */
static void without_trees_every_link_is_sent_everything(void **state)
{
	struct fixture *f = fixture_new(1);
	struct identity from = other_run(1);
	struct letter l;

	(void)state;
	f->config.gossip.tree = false;
	fixture_relink(f, 4);
	assert_int_equal(stats(f).grafts, 0);
	for (uint64_t i = 1; i <= 20; i++) {
		assert_true(hear_new(f, 2, &from, i));
		assert_int_equal(effect_one(f, EF_SEND)->links, 0xb);
		for (uint8_t k = 0; k < 4; k++) {
			assert_false(hear_new(f, k, &from, i));
			assert_int_equal(f->fx.n, 0); /* nobody is pruned */
		}
		hear_run(f, 1, MSG_PRUNE, &from);
		l = publish(f, "mine");
		assert_int_equal(effect_one(f, EF_SEND)->links, 0xf);
		letter_free(&l);
	}
	link_down(f, 0, DOWN_RESET);
	assert_null(said(f, MSG_GRAFT));
	assert_int_equal(stats(f).prunes, 0);
	fixture_free(f);
}

/* --- publishing ---------------------------------------------------------- */

static void what_is_published_first_goes_to_every_neighbor(void **state)
{
	struct fixture *f = fixture_with_links(3);
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
	struct fixture *f = fixture_with_links(1);
	struct letter l = publish(f, "first");

	(void)state;
	assert_int_equal(effect_one(f, EF_SEND)->send.head.flags, FRAME_SPREAD);
	letter_free(&l);
	l = publish(f, "second");
	assert_int_equal(effect_one(f, EF_SEND)->send.head.flags, 0);
	letter_free(&l);
	fixture_free(f);
}

/* A first message, the body of which has so many bytes: is it spread? */
static bool spreads(size_t body_bytes)
{
	struct fixture *f = fixture_with_links(1);
	struct letter l = letter_new(node_self(f->node), 1, "");
	size_t n = body_bytes - l.frame->body_bytes;
	char *text = calloc(1, n + 1);
	bool flag;

	assert_non_null(text);
	memset(text, 'x', n);
	letter_free(&l);
	l = publish(f, text);
	assert_int_equal(l.frame->body_bytes, body_bytes);
	flag = effect_one(f, EF_SEND)->send.head.flags == FRAME_SPREAD;
	letter_free(&l);
	free(text);
	fixture_free(f);
	return flag;
}

static void a_first_message_of_more_than_16_kib_is_not_spread(void **state)
{
	(void)state;
	assert_true(spreads(SPREAD_BYTES));
	assert_false(spreads(SPREAD_BYTES + 1));
}

/* ... but to the link that is eager for all, and the others hear of it. */
static void what_is_not_spread_follows_the_tree(void **state)
{
	struct fixture *f = fixture_with_links(3);
	char *text = calloc(1, SPREAD_BYTES + 1);
	struct letter l;

	(void)state;
	assert_non_null(text);
	memset(text, 'x', SPREAD_BYTES);
	l = publish(f, text);
	assert_int_equal(effect_one(f, EF_SEND)->links, link_bit(0));
	assert_true(wait_said(f, MSG_HAVE, 100));
	for (uint8_t i = 1; i < 3; i++)
		check_only(&said_to(f, i, MSG_HAVE, 0)->have.ranges,
			   node_self(f->node), 1, 1);
	letter_free(&l);
	free(text);
	fixture_free(f);
}

static void who_has_no_neighbor_publishes_for_later(void **state)
{
	struct fixture *f = fixture_with_links(0);
	struct letter l = publish(f, "text");

	(void)state;
	assert_int_equal(f->fx.n, 0);
	assert_int_equal(stats(f).store_messages, 1);
	letter_free(&l);
	fixture_free(f);
}

/* --- memory runs out ---------------------------------------------------- */

static void publish_letter(struct fixture *f, struct letter *l)
{
	step(f, &(struct event){ .kind = EV_PUBLISH,
				 .publish = { .frame = l->frame,
					      .msg = &l->msg.message } });
}

/* Each allocation it takes fails in turn. */
static void what_finds_no_memory_is_not_published_and_may_be_again(void **state)
{
	long left = 0, failed;

	(void)state;
	do {
		struct fixture *f = fixture_with_links(1);
		uint64_t seq = node_next_seq(f->node);
		struct letter l = letter_new(node_self(f->node), seq, "mine");

		scarce_after(left++, false);
		publish_letter(f, &l);
		failed = scarce_end();
		if (node_next_seq(f->node) == seq) {
			assert_int_equal(node_stats(f->node).starved, 1);
			publish_letter(f, &l);
		}
		letter_free(&l);
		assert_int_equal(node_next_seq(f->node), seq + 1);
		assert_int_equal(node_stats(f->node).store_messages, 1);
		fixture_free(f);
	} while (failed > 0);
	assert_true(left > 4);
}

/* Nobody tells twice what he has: who was sent it and had no memory asks. */
static void what_finds_no_memory_when_it_comes_is_asked_for(void **state)
{
	struct identity a = other_run(1);
	unsigned asked = 0;
	long left = 0, failed;

	(void)state;
	do {
		struct fixture *f = fixture_with_links(1);
		struct letter l = letter_new(&a, 1, "text");

		scarce_after(left++, false);
		hear_letter_as(f, 0, &l, 0, 0);
		failed = scarce_end();
		letter_free(&l);
		if (effect_count(f, EF_DELIVER) == 0) {
			assert_int_equal(node_stats(f->node).starved, 1);
			while (said(f, MSG_GET_DATA) == NULL)
				assert_true(tick_heard_until(f, EF_SAY, 6000));
			assert_true(hear_recovery(f, 0, &a, 1));
			asked++;
		}
		assert_int_equal(node_stats(f->node).delivered, 1);
		fixture_free(f);
	} while (failed > 0);
	assert_true(asked > 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_new_message_is_delivered_and_goes_to_all_others),
		cmocka_unit_test(the_only_neighbor_gets_nothing_back),
		cmocka_unit_test(hops_stay_at_255),
		cmocka_unit_test(spread_is_passed_on_and_recovery_is_not),
		cmocka_unit_test(only_a_first_message_is_spread),
		cmocka_unit_test(
			a_recovery_that_nobody_asked_for_is_only_a_message),
		cmocka_unit_test(a_copy_is_dropped_whoever_sends_it),
		cmocka_unit_test(
			an_old_copy_of_what_is_no_longer_held_is_still_a_copy),
		cmocka_unit_test(runs_of_one_address_have_nothing_in_common),
		cmocka_unit_test(another_text_under_a_known_name_is_a_conflict),
		cmocka_unit_test(my_own_message_coming_back_is_a_copy),
		cmocka_unit_test(nobody_else_speaks_in_my_name),
		cmocka_unit_test(what_was_sent_before_a_bye_still_counts),
		cmocka_unit_test(
			of_too_many_runs_the_idle_one_goes_with_its_messages),
		cmocka_unit_test(random_messages_are_delivered_exactly_once),
		cmocka_unit_test(without_trees_every_link_is_sent_everything),
		cmocka_unit_test(
			what_is_published_first_goes_to_every_neighbor),
		cmocka_unit_test(the_first_message_of_a_run_is_spread),
		cmocka_unit_test(
			a_first_message_of_more_than_16_kib_is_not_spread),
		cmocka_unit_test(what_is_not_spread_follows_the_tree),
		cmocka_unit_test(who_has_no_neighbor_publishes_for_later),
		cmocka_unit_test(
			what_finds_no_memory_is_not_published_and_may_be_again),
		cmocka_unit_test(
			what_finds_no_memory_when_it_comes_is_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
