#include "node_fixture.h"

/* Links without a shell: straight into the table. */
static uint8_t add(struct fixture *f, const struct addr *a, bool dialed)
{
	struct step s = { .n = f->node, .now = f->now, .out = &f->fx };
	struct identity id = { .incarnation = 1, .addr = *a };

	return link_add(&s, &id, dialed, 5, NULL);
}

static uint8_t add_number(struct fixture *f, unsigned number, bool dialed)
{
	struct addr a = number_addr(number);

	return add(f, &a, dialed);
}

static void a_new_link_takes_the_first_free_slot(void **state)
{
	struct fixture *f = fixture_new(1);
	struct step s = { .n = f->node, .now = f->now, .out = &f->fx };

	(void)state;
	for (uint8_t i = 0; i < 5; i++)
		assert_int_equal(add_number(f, i, false), i);
	link_remove(&s, 2, UNLINK_RESET, BYE_SLOW);
	assert_int_equal(links_count(f->node), 4);
	assert_int_equal(add_number(f, 9, false), 2);
	assert_int_equal(links_up(f->node), 0x1f);
	fixture_free(f);
}

static void there_are_no_more_links_than_slots(void **state)
{
	struct fixture *f = fixture_new(1);

	(void)state;
	for (unsigned i = 0; i < LINK_SLOTS; i++)
		assert_int_not_equal(add_number(f, i, true), LINK_NONE);
	assert_int_equal(add_number(f, LINK_SLOTS, true), LINK_NONE);
	assert_int_equal(links_up(f->node), 0xffff);
	fixture_free(f);
}

static void links_are_counted_and_found_by_address(void **state)
{
	struct fixture *f = fixture_new(1);
	struct addr a = number_addr(2), b = number_addr(3);

	(void)state;
	add_number(f, 1, true);
	add_number(f, 2, false);
	assert_int_equal(links_count(f->node), 2);
	assert_int_equal(links_dialed(f->node), 1);
	assert_int_equal(links_by_addr(f->node, &a), 1);
	assert_int_equal(links_by_addr(f->node, &b), LINK_NONE);
	fixture_free(f);
}

static void a_removed_link_is_an_effect_and_found_no_more(void **state)
{
	struct fixture *f = fixture_new(1);
	struct step s = { .n = f->node, .now = f->now, .out = &f->fx };
	struct addr a = number_addr(1);
	const struct effect *e;
	uint8_t slot = add_number(f, 1, true);

	(void)state;
	link_remove(&s, slot, UNLINK_BYE_SENT, BYE_ROTATE);
	e = effect_one(f, EF_UNLINK);
	assert_int_equal(e->link, slot);
	assert_int_equal(e->unlink.cause, UNLINK_BYE_SENT);
	assert_int_equal(e->unlink.bye, BYE_ROTATE);
	assert_int_equal(links_by_addr(f->node, &a), LINK_NONE);
	assert_int_equal(links_dialed(f->node), 0);
	fixture_free(f);
}

static void a_host_off_loopback_may_hold_two_links(void **state)
{
	struct fixture *f = fixture_new(1);
	struct addr near = number_addr(50), far = host_addr(1, 50);
	struct addr other = host_addr(2, 50);

	(void)state;
	for (uint16_t i = 1; i <= 2; i++) {
		struct addr a = host_addr(1, i);

		assert_false(links_host_full(f->node, &far));
		add(f, &a, false);
	}
	assert_true(links_host_full(f->node, &far));
	assert_false(links_host_full(f->node, &other));
	for (unsigned i = 0; i < 5; i++)
		add_number(f, i, false);
	assert_false(links_host_full(f->node, &near));
	fixture_free(f);
}

static void a_link_starts_with_what_the_handshake_told(void **state)
{
	struct fixture *f = fixture_new(1);
	struct neighbor out[LINK_SLOTS];

	(void)state;
	f->node->overlay.lonely_rounds = 3;
	add_number(f, 1, true);
	assert_int_equal(f->node->overlay.lonely_rounds, 0);
	assert_int_equal(node_neighbors(f->node, out), 1);
	assert_int_equal(out[0].neighbors, 5);
	assert_int_equal(out[0].since_ms, f->now);
	assert_int_equal(out[0].heard_ms, f->now);
	assert_int_equal(out[0].rtt_ms, -1);
	assert_true(out[0].dialed);
	fixture_free(f);
}

static void a_set_of_links_is_one_bit_a_slot(void **state)
{
	(void)state;
	assert_int_equal(link_bit(0), 1);
	assert_int_equal(link_bit(15), 0x8000);
	assert_int_equal(link_bit(16), 0);
	assert_int_equal(link_bit(LINK_NONE), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_link_takes_the_first_free_slot),
		cmocka_unit_test(there_are_no_more_links_than_slots),
		cmocka_unit_test(links_are_counted_and_found_by_address),
		cmocka_unit_test(a_removed_link_is_an_effect_and_found_no_more),
		cmocka_unit_test(a_host_off_loopback_may_hold_two_links),
		cmocka_unit_test(a_link_starts_with_what_the_handshake_told),
		cmocka_unit_test(a_set_of_links_is_one_bit_a_slot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
