#include "node_fixture.h"

/* Numbers of peers that a seed may list. */
static size_t peers(struct addr *out, unsigned from, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out[i] = number_addr(from + (unsigned)i);
	return n;
}

static uint64_t set_of(const struct question *q, size_t n)
{
	uint64_t set = 0;

	for (size_t i = 0; i < n; i++)
		set |= UINT64_C(1) << q[i].seed;
	return set;
}

/* --- R1: the start ------------------------------------------------------- */

static void a_majority_of_the_seeds_is_asked_to_register(void **state)
{
	static const size_t want[][2] = { { 1, 1 }, { 2, 2 }, { 3, 2 },
					  { 4, 3 }, { 5, 3 }, { 64, 33 } };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(want); i++) {
		struct fixture *f = fixture_new(want[i][0]);
		struct question q[CONFIG_SEEDS_MAX];
		uint64_t seeds = 0;

		start(f);
		assert_int_equal(questions(f, q), want[i][1]);
		for (size_t k = 0; k < want[i][1]; k++) {
			const struct effect *e = effect_at(f, EF_SEED, k);

			assert_int_equal(q[k].question, ASK_REGISTER);
			assert_int_equal(e->seed.want, 32);
			assert_true(identity_equal(&e->seed.self,
						   node_self(f->node)));
			assert_true(q[k].seed < want[i][0]);
			assert_int_equal(seeds & UINT64_C(1) << q[k].seed, 0);
			seeds |= UINT64_C(1) << q[k].seed;
		}
		fixture_free(f);
	}
}

static void the_majority_is_drawn_at_random(void **state)
{
	struct fixture *f = fixture_new(3);
	bool drawn[8] = { false };

	(void)state;
	for (uint64_t i = 0; i < 100; i++) {
		struct question q[CONFIG_SEEDS_MAX];

		fixture_renew(f, i);
		start(f);
		drawn[set_of(q, questions(f, q))] = true;
	}
	assert_true(drawn[3] && drawn[5] && drawn[6]);
	fixture_free(f);
}

static void a_failed_seed_is_replaced_until_all_were_tried(void **state)
{
	struct fixture *f = fixture_new(5);
	struct question q[CONFIG_SEEDS_MAX];
	size_t n, asked;

	(void)state;
	start(f);
	n = asked = questions(f, q);
	for (size_t i = 0; i < n; i++) {
		bool more = n < 5;

		assert_int_equal(effect_count(f, EF_JOINED), 0);
		seed_silent(f, q[i]);
		assert_int_equal(effect_count(f, EF_SEED), more ? 1 : 0);
		n += questions(f, q + n);
	}
	assert_int_equal(n, 5);
	assert_int_equal(set_of(q, n), 31);
	assert_int_equal(effect_one(f, EF_JOINED)->joined.answered, 0);
	assert_int_equal(effect_one(f, EF_JOINED)->joined.asked, 3);
	fixture_free(f);
}

static void only_as_many_as_failed_are_replaced(void **state)
{
	struct fixture *f = fixture_new(5);
	struct question q[CONFIG_SEEDS_MAX], more[CONFIG_SEEDS_MAX];

	(void)state;
	start(f);
	assert_int_equal(questions(f, q), 3);
	seed_lists(f, q[0], NULL, 0);
	assert_int_equal(effect_count(f, EF_SEED), 0);
	seed_silent(f, q[1]);
	assert_int_equal(questions(f, more), 1);
	seed_lists(f, q[2], NULL, 0);
	assert_int_equal(effect_count(f, EF_JOINED), 0);
	seed_lists(f, more[0], NULL, 0);
	assert_int_equal(effect_one(f, EF_JOINED)->joined.answered, 3);
	assert_int_equal(effect_count(f, EF_SEED), 0);
	fixture_free(f);
}

static void nobody_is_dialed_before_the_answers_are_in(void **state)
{
	struct fixture *f = fixture_new(3);
	struct question q[CONFIG_SEEDS_MAX];
	struct addr a[8];

	(void)state;
	start(f);
	(void)questions(f, q);
	seed_lists(f, q[0], a, peers(a, 0, 8));
	assert_int_equal(effect_count(f, EF_DIAL), 0);
	seed_lists(f, q[1], a, peers(a, 4, 8));
	assert_int_equal(effect_count(f, EF_DIAL), 4);
	assert_int_equal(effect_one(f, EF_JOINED)->joined.candidates, 12);
	fixture_free(f);
}

static void after_four_seconds_it_goes_on_with_what_came(void **state)
{
	struct fixture *f = fixture_new(3);
	struct question q[CONFIG_SEEDS_MAX];
	struct addr a[8];

	(void)state;
	start(f);
	(void)questions(f, q);
	seed_lists(f, q[1], a, peers(a, 0, 2));
	assert_true(tick_until(f, EF_JOINED, 5000));
	assert_int_equal(f->now, START_MS + 4000);
	assert_int_equal(effect_one(f, EF_JOINED)->joined.answered, 1);
	assert_int_equal(effect_count(f, EF_DIAL), 2);
	/* The late answer still helps. */
	f->now += 100;
	seed_lists(f, q[0], a, peers(a, 1, 3));
	assert_int_equal(effect_count(f, EF_DIAL), 2);
	assert_int_equal(effect_count(f, EF_JOINED), 0);
	fixture_free(f);
}

/* --- R6: renewal --------------------------------------------------------- */

static void renewal_comes_after_a_period_with_a_new_majority(void **state)
{
	struct fixture *f = fixture_new(5);
	struct question q[CONFIG_SEEDS_MAX];
	uint64_t sets[12];
	bool differ = false;
	int64_t last;

	(void)state;
	join(f, NULL, 0);
	for (unsigned i = 0; i < 4; i++)
		link_up(f, i);
	/* The repairs that ran so far are none of our business here. */
	for (unsigned i = 0; i < 12; i++) {
		size_t n;

		last = f->now;
		assert_true(tick_heard_until(f, EF_SEED, 100000));
		assert_in_range(f->now - last, 54000, 66000);
		n = questions(f, q);
		assert_int_equal(n, 3);
		sets[i] = set_of(q, n);
		differ |= sets[i] != sets[0];
		for (size_t k = 0; k < n; k++) {
			assert_int_equal(q[k].question, ASK_REGISTER);
			seed_lists(f, q[k], NULL, 0);
		}
	}
	assert_true(differ);
	fixture_free(f);
}

static void an_unanswered_renewal_is_tried_again(void **state)
{
	struct fixture *f = fixture_new(1);
	struct question q[CONFIG_SEEDS_MAX];

	(void)state;
	join(f, NULL, 0);
	for (unsigned i = 0; i < 4; i++)
		link_up(f, i);
	for (unsigned i = 0; i < 3; i++) {
		assert_true(tick_heard_until(f, EF_SEED, 70000));
		assert_int_equal(questions(f, q), 1);
		assert_int_equal(q[0].question, ASK_REGISTER);
		seed_silent(f, q[0]);
	}
	fixture_free(f);
}

static void register_with_period(struct fixture *f, uint64_t period_ms)
{
	struct question q[CONFIG_SEEDS_MAX];
	struct msg_peer_list list = { .registered = true,
				      .reachable = true,
				      .you = number_addr(SELF),
				      .period_ms = period_ms };

	start(f);
	(void)questions(f, q);
	step(f, &(struct event){ .kind = EV_SEED,
				 .seed = { .seed = q[0].seed,
					   .question = q[0].question,
					   .answered = true,
					   .list = &list } });
}

static void a_period_of_nothing_or_of_ages_is_not_obeyed(void **state)
{
	static const uint64_t ages = (UINT64_C(1) << 53) - 1;
	struct fixture *f = fixture_new(1);

	(void)state;
	register_with_period(f, 0);
	assert_true(f->node->registration.renew_ms > f->now);
	fixture_renew(f, 1);
	register_with_period(f, ages);
	assert_true(f->node->registration.renew_ms <=
		    f->now + 2 * 24 * 3600 * INT64_C(1000));
	fixture_free(f);
}

/* Somebody dials a peer whom no seed has answered yet; it has all the links it
 * wants, and still must get onto a list. */
static void who_is_on_no_list_asks_again_even_with_links(void **state)
{
	struct fixture *f = fixture_new(1);
	struct question q[CONFIG_SEEDS_MAX];

	(void)state;
	start(f);
	(void)questions(f, q);
	seed_silent(f, q[0]);
	for (unsigned i = 0; i < 6; i++)
		link_up(f, i);
	assert_true(tick_heard_until(f, EF_SEED, 61000));
	assert_int_equal(questions(f, q), 1);
	assert_int_equal(q[0].question, ASK_REGISTER);
	seed_silent(f, q[0]);
	assert_true(tick_heard_until(f, EF_SEED, 61000));
	fixture_free(f);
}

/* --- R5: what a repair asks ---------------------------------------------- */

static void a_repair_wants_a_list_from_seeds_that_know_me(void **state)
{
	struct fixture *f = fixture_new(1);
	struct question q[CONFIG_SEEDS_MAX];

	(void)state;
	join(f, NULL, 0);
	assert_true(tick_until(f, EF_SEED, 1000));
	assert_int_equal(questions(f, q), 1);
	assert_int_equal(q[0].question, ASK_LIST);
	assert_int_equal(effect_one(f, EF_SEED)->seed.want, 32);
	fixture_free(f);
}

static void a_repair_registers_where_that_is_missing(void **state)
{
	struct fixture *f = fixture_new(3);
	struct question q[CONFIG_SEEDS_MAX];

	(void)state;
	start(f);
	assert_int_equal(questions(f, q), 2);
	seed_silent(f, q[0]);
	(void)questions(f, q + 2);
	seed_silent(f, q[1]);
	seed_silent(f, q[2]);
	assert_true(tick_until(f, EF_SEED, 1000));
	assert_int_equal(questions(f, q), 2);
	assert_int_equal(q[0].question, ASK_REGISTER);
	assert_int_equal(q[1].question, ASK_REGISTER);
	fixture_free(f);
}

/* --- the address a seed sees --------------------------------------------- */

static void answer_seen_as(struct fixture *f, unsigned seed,
			   const struct addr *you, bool reachable)
{
	struct msg_peer_list list = { .registered = true,
				      .reachable = reachable,
				      .you = *you,
				      .period_ms = 60000 };

	step(f, &(struct event){ .kind = EV_SEED,
				 .seed = { .seed = seed,
					   .question = ASK_REGISTER,
					   .answered = true,
					   .list = &list } });
}

static struct fixture *fixture_that_learns(size_t seeds)
{
	struct fixture *f = fixture_new(seeds);

	f->node->learn_address = true;
	return f;
}

static void a_wildcard_listener_learns_its_address_and_asks_again(void **state)
{
	struct fixture *f = fixture_that_learns(1);
	struct addr seen = host_addr(7, 40000), me = host_addr(7, 1000 + SELF);

	(void)state;
	start(f);
	answer_seen_as(f, 0, &seen, false);
	assert_int_equal(effect_count(f, EF_ADDRESS), 1);
	assert_int_equal(effect_count(f, EF_JOINED), 0);
	assert_true(addr_equal(&node_self(f->node)->addr, &me));
	assert_true(addr_equal(&effect_one(f, EF_SEED)->seed.self.addr, &me));
	answer_seen_as(f, 0, &seen, true);
	assert_int_equal(effect_one(f, EF_JOINED)->joined.answered, 1);
	assert_int_equal(effect_count(f, EF_SEED), 0);
	fixture_free(f);
}

/* The others were asked under the old address, too. */
static void having_learned_it_registers_with_the_whole_majority(void **state)
{
	struct fixture *f = fixture_that_learns(5);
	struct addr seen = host_addr(7, 40000);
	struct question q[CONFIG_SEEDS_MAX];
	struct addr me = host_addr(7, 1000 + SELF);

	(void)state;
	start(f);
	assert_int_equal(questions(f, q), 3);
	answer_seen_as(f, q[0].seed, &seen, false);
	assert_int_equal(effect_one(f, EF_SEED)->seed.seed, q[0].seed);
	for (size_t i = 1; i < 3; i++) {
		const struct effect *e;

		answer_seen_as(f, q[i].seed, &seen, false);
		assert_int_equal(effect_count(f, EF_ADDRESS), 0);
		e = effect_one(f, EF_SEED);
		assert_int_equal(e->seed.seed, q[i].seed);
		assert_int_equal(e->seed.question, ASK_REGISTER);
		assert_true(addr_equal(&e->seed.self.addr, &me));
	}
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(effect_count(f, EF_JOINED), 0);
		answer_seen_as(f, q[i].seed, &seen, i != 1);
		assert_int_equal(effect_count(f, EF_SEED), 0); /* once */
	}
	assert_int_equal(effect_one(f, EF_JOINED)->joined.answered, 3);
	fixture_free(f);
}

static void an_address_that_was_given_is_not_learned(void **state)
{
	struct fixture *f = fixture_new(1);
	struct addr seen = host_addr(7, 40000), me = number_addr(SELF);

	(void)state;
	start(f);
	answer_seen_as(f, 0, &seen, false);
	assert_int_equal(effect_count(f, EF_ADDRESS), 0);
	assert_int_equal(effect_count(f, EF_SEED), 0);
	assert_true(addr_equal(&node_self(f->node)->addr, &me));
	fixture_free(f);
}

/* --- R12, R14: deaths ---------------------------------------------------- */

static struct fixture *fixture_with_link(size_t seeds, uint8_t *slot)
{
	struct fixture *f = fixture_new(seeds);

	join(f, NULL, 0);
	*slot = link_up(f, 1);
	return f;
}

static void a_lost_neighbor_is_reported_to_every_seed(void **state)
{
	uint8_t slot;
	struct fixture *f = fixture_with_link(5, &slot);
	struct identity id = number_id(1);
	const struct effect *e;

	(void)state;
	link_down(f, slot, DOWN_RESET);
	assert_true(tick_until(f, EF_DEATH, 300));
	e = effect_one(f, EF_DEATH);
	assert_int_equal(e->death.seeds, 31);
	assert_int_equal(e->death.death.reason, DEATH_RESET);
	assert_true(identity_equal(&e->death.death.id, &id));
	assert_true(addr_equal(&e->death.death.reporter,
			       &node_self(f->node)->addr));
	assert_false(tick_until(f, EF_DEATH, 5000));
	fixture_free(f);
}

static void reports_are_spread_over_300_ms(void **state)
{
	int64_t least = 1000, most = 0;

	(void)state;
	for (uint64_t i = 0; i < 200; i++) {
		struct fixture *f = fixture_new(1);
		int64_t lost;
		uint8_t slot;

		fixture_renew(f, i);
		join(f, NULL, 0);
		slot = link_up(f, 1);
		lost = f->now;
		link_down(f, slot, DOWN_RESET);
		assert_true(tick_until(f, EF_DEATH, 300));
		least = f->now - lost < least ? f->now - lost : least;
		most = f->now - lost > most ? f->now - lost : most;
		fixture_free(f);
	}
	assert_in_range(least, 0, 20);
	assert_in_range(most, 280, 300);
}

static void who_said_bye_is_not_reported(void **state)
{
	uint8_t slot;
	struct fixture *f = fixture_with_link(1, &slot);

	(void)state;
	hear_bye(f, slot);
	assert_int_equal(effect_one(f, EF_UNLINK)->unlink.cause,
			 UNLINK_BYE_GOT);
	assert_false(tick_until(f, EF_DEATH, 2000));
	fixture_free(f);
}

static void breaking_the_protocol_is_no_death(void **state)
{
	uint8_t slot;
	struct fixture *f = fixture_with_link(1, &slot);

	(void)state;
	link_down(f, slot, DOWN_BREACH);
	assert_false(tick_until(f, EF_DEATH, 2000));
	fixture_free(f);
}

static void one_address_is_reported_once_at_a_time(void **state)
{
	uint8_t slot;
	struct fixture *f = fixture_with_link(1, &slot);
	struct identity again = { .incarnation = 7001, .addr = number_addr(1) };

	(void)state;
	link_down(f, slot, DOWN_RESET);
	slot = request(f, &again);
	link_down(f, slot, DOWN_RESET);
	assert_true(tick_until(f, EF_DEATH, 300));
	assert_int_equal(effect_count(f, EF_DEATH), 1);
	assert_false(tick_until(f, EF_DEATH, 1000));
	fixture_free(f);
}

static void answer_death(struct fixture *f, unsigned seed,
			 const struct msg_death *d, enum death_verdict v)
{
	step(f, &(struct event){ .kind = EV_SEED,
				 .seed = { .seed = seed,
					   .question = ASK_DEATH,
					   .answered = true,
					   .death = *d,
					   .verdict = v } });
}

static void a_busy_seed_is_told_again_after_a_second(void **state)
{
	uint8_t slot;
	struct fixture *f = fixture_with_link(3, &slot);
	struct msg_death d;
	int64_t told;

	(void)state;
	link_down(f, slot, DOWN_RESET);
	assert_true(tick_until(f, EF_DEATH, 300));
	d = effect_one(f, EF_DEATH)->death.death;
	told = f->now;
	answer_death(f, 0, &d, VERDICT_VERIFYING);
	answer_death(f, 1, &d, VERDICT_BUSY);
	answer_death(f, 2, &d, VERDICT_BUSY);
	assert_true(tick_until(f, EF_DEATH, 2000));
	assert_int_equal(f->now, told + 1000);
	assert_int_equal(effect_one(f, EF_DEATH)->death.seeds, 6);
	answer_death(f, 1, &d, VERDICT_REMOVED);
	answer_death(f, 2, &d, VERDICT_UNKNOWN);
	assert_false(tick_until(f, EF_DEATH, 5000));
	fixture_free(f);
}

/* --- R15 ----------------------------------------------------------------- */

static void who_leaves_asks_no_seed_any_more(void **state)
{
	struct fixture *f = fixture_new(5);
	struct question q[CONFIG_SEEDS_MAX];
	struct addr a[8];

	(void)state;
	start(f);
	assert_int_equal(questions(f, q), 3);
	step_kind(f, EV_STOP);
	/* A Register now would undo the Death that has just been sent. */
	seed_silent(f, q[0]);
	assert_int_equal(f->fx.n, 0);
	seed_lists(f, q[1], a, peers(a, 0, 8));
	assert_int_equal(f->fx.n, 0);
	seed_lists(f, q[2], a, peers(a, 0, 8));
	assert_int_equal(f->fx.n, 0);
	fixture_free(f);
}

static void with_64_seeds_a_death_goes_to_each_of_them(void **state)
{
	struct fixture *f = fixture_new(64);

	(void)state;
	join(f, NULL, 0);
	link_down(f, link_up(f, 1), DOWN_RESET);
	assert_true(tick_until(f, EF_DEATH, 300));
	assert_int_equal(effect_one(f, EF_DEATH)->death.seeds, UINT64_MAX);
	fixture_free(f);
}

/* So many at once are no deaths but our own trouble. */
static void no_more_than_64_deaths_wait_to_be_reported(void **state)
{
	struct fixture *f = fixture_with_links(0);
	unsigned told = 0;

	(void)state;
	for (unsigned i = 0; i < 100; i++)
		link_down(f, link_up(f, i), DOWN_RESET);
	assert_int_equal(f->node->registration.death_count, 64);
	while (tick_until(f, EF_DEATH, 300))
		told += (unsigned)effect_count(f, EF_DEATH);
	assert_int_equal(told, 64);
	assert_int_equal(stats(f).deaths_reported, 64);
	/* After that there is room again. */
	link_down(f, link_up(f, 80), DOWN_RESET);
	assert_true(tick_until(f, EF_DEATH, 300));
	fixture_free(f);
}

static void without_memory_a_death_is_not_reported_and_the_next_is(void **state)
{
	struct fixture *f = fixture_with_links(2);
	struct identity second = number_id(1);

	(void)state;
	scarce_after(0, true);
	node_step(f->node, f->now,
		  &(struct event){
			  .kind = EV_DOWN, .link = 0, .down = DOWN_RESET },
		  &f->fx);
	assert_true(scarce_end() > 0);
	f->shadow = links_up(f->node);
	assert_int_equal(f->node->registration.death_count, 0);
	link_down(f, 1, DOWN_RESET);
	assert_true(tick_until(f, EF_DEATH, 300));
	assert_true(identity_equal(&effect_one(f, EF_DEATH)->death.death.id,
				   &second));
	fixture_free(f);
}

/* Two of three are enough: the third is only asked whom it knows. */
static void a_repair_asks_for_a_list_where_enough_know_me(void **state)
{
	struct fixture *f = fixture_new(3);
	struct question q[CONFIG_SEEDS_MAX];
	unsigned strangers = 0;

	(void)state;
	join(f, NULL, 0);
	for (unsigned round = 0; round < 5; round++) {
		assert_true(tick_until(f, EF_SEED, 60000));
		assert_int_equal(questions(f, q), 2);
		for (unsigned i = 0; i < 2; i++) {
			uint64_t bit = UINT64_C(1) << q[i].seed;

			assert_int_equal(q[i].question, ASK_LIST);
			strangers +=
				(f->node->registration.registered & bit) == 0;
		}
		seed_lists(f, q[0], NULL, 0);
		seed_lists(f, q[1], NULL, 0);
	}
	assert_true(strangers > 0);
	fixture_free(f);
}

static void a_repair_does_not_disturb_a_renewal(void **state)
{
	struct fixture *f = fixture_new(3);
	struct question q[CONFIG_SEEDS_MAX];

	(void)state;
	join(f, NULL, 0);
	for (unsigned i = 0; i < 4; i++)
		link_up(f, i);
	link_down(f, 0, DOWN_RESET);
	f->node->registration.renew_ms = f->now;
	step_kind(f, EV_TICK);
	assert_int_equal(questions(f, q), 2);
	/* The repair is due while the seeds are being asked. */
	assert_true(f->node->overlay.repair_ms < f->now + 1000);
	assert_false(tick_until(f, EF_SEED, 1000));
	seed_lists(f, q[0], NULL, 0);
	seed_lists(f, q[1], NULL, 0);
	assert_true(tick_until(f, EF_SEED, 60000));
	fixture_free(f);
}

/* Doubled from 300 ms on, but 500 ms is the limit, give or take a tenth. */
static void
a_registration_is_tried_again_after_the_longest_pause_at_most(void **state)
{
	struct fixture *f = fixture_new(1);
	struct question q[CONFIG_SEEDS_MAX];

	(void)state;
	f->config.overlay.repair_ms = 300;
	f->config.overlay.repair_max_ms = 500;
	fixture_renew(f, 1);
	join(f, NULL, 0);
	for (unsigned i = 0; i < 4; i++)
		link_up(f, i);
	assert_true(tick_heard_until(f, EF_SEED, 70000)); /* the renewal */
	for (unsigned i = 0; i < 20; i++) {
		int64_t begun = f->now;

		assert_int_equal(questions(f, q), 1);
		seed_silent(f, q[0]);
		assert_true(tick_heard_until(f, EF_SEED, 5000));
		assert_in_range(f->now - begun, 270, 550);
	}
	fixture_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_majority_of_the_seeds_is_asked_to_register),
		cmocka_unit_test(the_majority_is_drawn_at_random),
		cmocka_unit_test(
			a_failed_seed_is_replaced_until_all_were_tried),
		cmocka_unit_test(only_as_many_as_failed_are_replaced),
		cmocka_unit_test(nobody_is_dialed_before_the_answers_are_in),
		cmocka_unit_test(after_four_seconds_it_goes_on_with_what_came),
		cmocka_unit_test(
			renewal_comes_after_a_period_with_a_new_majority),
		cmocka_unit_test(an_unanswered_renewal_is_tried_again),
		cmocka_unit_test(a_period_of_nothing_or_of_ages_is_not_obeyed),
		cmocka_unit_test(who_is_on_no_list_asks_again_even_with_links),
		cmocka_unit_test(a_repair_wants_a_list_from_seeds_that_know_me),
		cmocka_unit_test(a_repair_registers_where_that_is_missing),
		cmocka_unit_test(
			a_wildcard_listener_learns_its_address_and_asks_again),
		cmocka_unit_test(
			having_learned_it_registers_with_the_whole_majority),
		cmocka_unit_test(an_address_that_was_given_is_not_learned),
		cmocka_unit_test(a_lost_neighbor_is_reported_to_every_seed),
		cmocka_unit_test(reports_are_spread_over_300_ms),
		cmocka_unit_test(who_said_bye_is_not_reported),
		cmocka_unit_test(breaking_the_protocol_is_no_death),
		cmocka_unit_test(one_address_is_reported_once_at_a_time),
		cmocka_unit_test(a_busy_seed_is_told_again_after_a_second),
		cmocka_unit_test(who_leaves_asks_no_seed_any_more),
		cmocka_unit_test(with_64_seeds_a_death_goes_to_each_of_them),
		cmocka_unit_test(no_more_than_64_deaths_wait_to_be_reported),
		cmocka_unit_test(
			without_memory_a_death_is_not_reported_and_the_next_is),
		cmocka_unit_test(a_repair_asks_for_a_list_where_enough_know_me),
		cmocka_unit_test(a_repair_does_not_disturb_a_renewal),
		cmocka_unit_test(
			a_registration_is_tried_again_after_the_longest_pause_at_most),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
