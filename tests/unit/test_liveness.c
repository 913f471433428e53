#include "node_fixture.h"

/* Four neighbors, so that nothing is repaired meanwhile, and no renewal. */
static struct fixture *fixture_quiet(void)
{
	struct fixture *f = fixture_new(1);

	join(f, NULL, 0);
	for (unsigned i = 0; i < 4; i++)
		link_up(f, i);
	f->node->overlay.repair_ms = NEVER_MS;
	f->node->registration.renew_ms = INT64_MAX / 2;
	return f;
}

static void heard(struct fixture *f, uint8_t slot)
{
	step(f, &(struct event){ .kind = EV_HEARD, .link = slot });
}

static void all_heard(struct fixture *f)
{
	for (uint8_t i = 0; i < 4; i++)
		heard(f, i);
}

static void checked(struct fixture *f, uint8_t slot, bool bytes_wait)
{
	step(f, &(struct event){ .kind = EV_CHECKED,
				 .link = slot,
				 .bytes_wait = bytes_wait });
}

static void reply(struct fixture *f, uint8_t slot, uint64_t nonce,
		  uint64_t neighbors)
{
	struct message m = { .type = MSG_LIVELINESS_REPLY };

	m.liveliness_reply.nonce = nonce;
	m.liveliness_reply.id = number_id(slot);
	m.liveliness_reply.neighbors = neighbors;
	hear(f, slot, &m);
}

/* Ticks to the next Liveliness on this link and returns its nonce. */
static uint64_t wait_ping(struct fixture *f, uint8_t slot, int64_t ms)
{
	int64_t end = f->now + ms;

	while (tick_until(f, EF_SAY, end - f->now))
		for (size_t i = 0; i < f->fx.n; i++) {
			const struct effect *e = &f->fx.v[i];

			if (e->kind == EF_SAY &&
			    e->say.type == MSG_LIVELINESS &&
			    e->links == link_bit(slot))
				return e->say.liveliness.nonce;
		}
	fail_msg("no Liveliness");
	return 0;
}

/* --- asking -------------------------------------------------------------- */

static void a_silent_neighbor_is_asked_after_five_seconds(void **state)
{
	struct fixture *f = fixture_quiet();

	(void)state;
	assert_true(tick_until(f, EF_SAY, 6000));
	assert_int_equal(f->now, START_MS + 5000);
	assert_int_equal(effect_count(f, EF_SAY), 4);
	assert_int_equal(said(f, MSG_LIVELINESS)->links, 1);
	/* And again, as long as nothing comes. */
	assert_true(tick_until(f, EF_SAY, 6000));
	assert_int_equal(f->now, START_MS + 10000);
	fixture_free(f);
}

static void who_sends_is_asked_only_every_thirty_seconds(void **state)
{
	struct fixture *f = fixture_quiet();

	(void)state;
	assert_true(tick_heard_until(f, EF_SAY, 40000));
	assert_int_equal(f->now, START_MS + 30000);
	assert_true(tick_heard_until(f, EF_SAY, 40000));
	assert_int_equal(f->now, START_MS + 60000);
	fixture_free(f);
}

static void no_nonce_is_used_twice(void **state)
{
	struct fixture *f = fixture_quiet();
	uint64_t seen[40];
	size_t n = 0;

	(void)state;
	while (n < 40) {
		assert_true(tick_heard_until(f, EF_SAY, 40000));
		for (size_t i = 0; i < effect_count(f, EF_SAY); i++) {
			seen[n] = effect_at(f, EF_SAY, i)->say.liveliness.nonce;
			assert_true(seen[n] < NONCE_MAX);
			for (size_t k = 0; k < n; k++)
				assert_int_not_equal(seen[k], seen[n]);
			n++;
		}
	}
	fixture_free(f);
}

/* --- answering ----------------------------------------------------------- */

static void a_question_is_answered_with_its_nonce_and_who_i_am(void **state)
{
	struct fixture *f = fixture_quiet();
	struct message m = { .type = MSG_LIVELINESS, .liveliness = { 4711 } };
	const struct effect *e;

	(void)state;
	hear(f, 2, &m);
	e = said(f, MSG_LIVELINESS_REPLY);
	assert_non_null(e);
	assert_int_equal(e->links, link_bit(2));
	assert_int_equal(e->say.liveliness_reply.nonce, 4711);
	assert_int_equal(e->say.liveliness_reply.neighbors, 4);
	assert_true(identity_equal(&e->say.liveliness_reply.id,
				   node_self(f->node)));
	fixture_free(f);
}

static void an_answer_tells_the_time_and_the_neighbors(void **state)
{
	struct fixture *f = fixture_quiet();
	struct neighbor *l = &f->node->links[1].info;
	uint64_t nonce = wait_ping(f, 1, 6000);

	(void)state;
	assert_int_equal(l->rtt_ms, -1);
	f->now += 80;
	reply(f, 1, nonce, 11);
	assert_int_equal(l->rtt_ms, 80);
	assert_int_equal(l->neighbors, 11);
	nonce = wait_ping(f, 1, 6000);
	f->now += 160;
	reply(f, 1, nonce, 3);
	assert_int_equal(l->rtt_ms, 90); /* smoothed by 1/8 */
	assert_int_equal(l->neighbors, 3);
	fixture_free(f);
}

static void an_answer_to_nothing_tells_no_time(void **state)
{
	struct fixture *f = fixture_quiet();
	uint64_t nonce = wait_ping(f, 1, 6000);

	(void)state;
	f->now += 80;
	reply(f, 1, nonce + 1, 8);
	assert_int_equal(f->node->links[1].info.rtt_ms, -1);
	reply(f, 1, nonce, 8);
	f->now += 1000;
	reply(f, 1, nonce, 8); /* twice */
	assert_int_equal(f->node->links[1].info.rtt_ms, 80);
	fixture_free(f);
}

/* --- silence ------------------------------------------------------------- */

static void fifteen_seconds_of_silence_are_checked_then_death(void **state)
{
	struct fixture *f = fixture_quiet();
	const struct effect *e;

	(void)state;
	f->now += 1000;
	for (uint8_t i = 1; i < 4; i++)
		heard(f, i);
	assert_true(tick_until(f, EF_CHECK, 20000));
	assert_int_equal(f->now, START_MS + 15000);
	assert_int_equal(effect_one(f, EF_CHECK)->link, 0);
	assert_int_equal(links_count(f->node), 4);
	checked(f, 0, false);
	e = effect_one(f, EF_UNLINK);
	assert_int_equal(e->link, 0);
	assert_int_equal(e->unlink.cause, UNLINK_SILENT);
	assert_true(tick_until(f, EF_DEATH, 300));
	assert_int_equal(effect_one(f, EF_DEATH)->death.death.reason,
			 DEATH_SILENT);
	fixture_free(f);
}

static void bytes_that_wait_in_the_kernel_are_a_sign_of_life(void **state)
{
	struct fixture *f = fixture_quiet();

	(void)state;
	assert_true(tick_until(f, EF_CHECK, 20000));
	assert_int_equal(effect_count(f, EF_CHECK), 4);
	for (uint8_t i = 0; i < 4; i++)
		checked(f, i, true);
	assert_int_equal(links_count(f->node), 4);
	assert_false(tick_until(f, EF_DEATH, 14000));
	assert_int_equal(links_count(f->node), 4);
	assert_true(tick_until(f, EF_CHECK, 1000));
	fixture_free(f);
}

static void a_check_is_asked_once_and_overtaken_by_bytes(void **state)
{
	struct fixture *f = fixture_quiet();

	(void)state;
	assert_true(tick_until(f, EF_CHECK, 20000));
	assert_false(tick_until(f, EF_CHECK, 12000));
	all_heard(f);
	checked(f, 0, false);
	assert_int_equal(effect_count(f, EF_UNLINK), 0);
	assert_int_equal(links_count(f->node), 4);
	fixture_free(f);
}

/* The slot was given to somebody else between question and answer. */
static void a_check_accuses_nobody_else(void **state)
{
	struct fixture *f = fixture_quiet();

	(void)state;
	assert_true(tick_until(f, EF_CHECK, 20000));
	hear_bye(f, 0);
	assert_int_equal(link_up(f, 50), 0);
	checked(f, 0, false);
	assert_int_equal(links_count(f->node), 4);
	fixture_free(f);
}

/* --- R13: being late oneself --------------------------------------------- */

static void who_slept_accuses_nobody(void **state)
{
	struct fixture *f = fixture_quiet();

	(void)state;
	assert_true(tick_until(f, EF_SAY, 6000));
	f->now += 60000;
	step_kind(f, EV_TICK);
	assert_int_equal(effect_count(f, EF_CHECK), 0);
	assert_int_equal(effect_count(f, EF_UNLINK), 0);
	/* And it registers again: others may have taken it for dead. */
	assert_int_equal(effect_one(f, EF_SEED)->seed.question, ASK_REGISTER);
	assert_false(tick_until(f, EF_CHECK, 14999));
	assert_true(tick_until(f, EF_CHECK, 1));
	fixture_free(f);
}

static void a_little_late_is_not_asleep(void **state)
{
	struct fixture *f = fixture_quiet();

	(void)state;
	f->now += 15000; /* three intervals: two late */
	step_kind(f, EV_TICK);
	assert_int_equal(effect_count(f, EF_CHECK), 4);
	fixture_free(f);
}

static void any_frame_is_a_sign_of_life(void **state)
{
	struct fixture *f = fixture_quiet();
	struct letter l =
		letter_new(&(struct identity){ 1, number_addr(9) }, 1, "text");

	(void)state;
	f->now += 14000;
	step_kind(f, EV_TICK);
	all_heard(f);
	f->now += 9000;
	hear_letter(f, 0, &l);
	f->now += 100;
	hear_letter(f, 1, &l);
	reply(f, 2, 1, 1);
	assert_true(tick_until(f, EF_CHECK, 6000));
	assert_int_equal(effect_one(f, EF_CHECK)->link, 3);
	letter_free(&l);
	fixture_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_silent_neighbor_is_asked_after_five_seconds),
		cmocka_unit_test(who_sends_is_asked_only_every_thirty_seconds),
		cmocka_unit_test(no_nonce_is_used_twice),
		cmocka_unit_test(
			a_question_is_answered_with_its_nonce_and_who_i_am),
		cmocka_unit_test(an_answer_tells_the_time_and_the_neighbors),
		cmocka_unit_test(an_answer_to_nothing_tells_no_time),
		cmocka_unit_test(
			fifteen_seconds_of_silence_are_checked_then_death),
		cmocka_unit_test(
			bytes_that_wait_in_the_kernel_are_a_sign_of_life),
		cmocka_unit_test(a_check_is_asked_once_and_overtaken_by_bytes),
		cmocka_unit_test(a_check_accuses_nobody_else),
		cmocka_unit_test(who_slept_accuses_nobody),
		cmocka_unit_test(a_little_late_is_not_asleep),
		cmocka_unit_test(any_frame_is_a_sign_of_life),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
