#include "wire/message.h"

#include "test.h"

static void names_every_type_as_the_protocol_does(void **state)
{
	static const char *const names[] = {
		"Register",         "Get Peer List", "Peer List",  "Death",
		"Death Reply",      "Peer Request",  "Peer Reply", "Liveliness",
		"Liveliness Reply", "Message",       "Have",       "getData",
		"Not Found",        "Graft",         "Prune",      "Bye",
	};

	(void)state;
	assert_int_equal(COUNT_OF(names), MSG_TYPES);
	for (unsigned i = 0; i < MSG_TYPES; i++)
		assert_string_equal(message_name((enum message_type)i),
				    names[i]);
}

static void names_every_reason_and_verdict(void **state)
{
	(void)state;
	assert_string_equal(death_reason_name(DEATH_LEFT), "left");
	assert_string_equal(death_reason_name(DEATH_SILENT), "silent");
	assert_string_equal(death_reason_name(DEATH_RESET), "reset");
	assert_string_equal(death_reason_name(DEATH_REFUSED), "refused");
	assert_string_equal(death_verdict_name(VERDICT_REMOVED), "removed");
	assert_string_equal(death_verdict_name(VERDICT_VERIFYING), "verifying");
	assert_string_equal(death_verdict_name(VERDICT_ALIVE), "alive");
	assert_string_equal(death_verdict_name(VERDICT_UNKNOWN), "unknown");
	assert_string_equal(death_verdict_name(VERDICT_BUSY), "busy");
	assert_string_equal(peer_verdict_name(PEER_ACCEPTED), "accepted");
	assert_string_equal(peer_verdict_name(PEER_BUSY), "busy");
	assert_string_equal(peer_verdict_name(PEER_DUPLICATE), "duplicate");
	assert_string_equal(peer_verdict_name(PEER_SELF), "self");
	assert_string_equal(bye_reason_name(BYE_ROTATE), "rotate");
	assert_string_equal(bye_reason_name(BYE_BUSY), "busy");
	assert_string_equal(bye_reason_name(BYE_DUPLICATE), "duplicate");
	assert_string_equal(bye_reason_name(BYE_SLOW), "slow");
	assert_string_equal(bye_reason_name(BYE_SHUTDOWN), "shutdown");
}

static void has_a_name_even_for_nonsense(void **state)
{
	(void)state;
	assert_string_equal(message_name(MSG_TYPES), "?");
	assert_string_equal(message_name((enum message_type) - 1), "?");
	assert_string_equal(death_reason_name((enum death_reason)4), "?");
	assert_string_equal(death_verdict_name((enum death_verdict)5), "?");
	assert_string_equal(peer_verdict_name((enum peer_verdict)4), "?");
	assert_string_equal(bye_reason_name((enum bye_reason)5), "?");
}

static void clears_a_message_twice(void **state)
{
	struct message m = { .type = MSG_MESSAGE, .memory = malloc(3) };

	(void)state;
	m.message.data = m.memory;
	m.message.data_bytes = 3;
	message_clear(&m);
	assert_null(m.memory);
	assert_null(m.message.data);
	message_clear(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_every_type_as_the_protocol_does),
		cmocka_unit_test(names_every_reason_and_verdict),
		cmocka_unit_test(has_a_name_even_for_nonsense),
		cmocka_unit_test(clears_a_message_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
