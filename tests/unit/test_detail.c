#include "peer/detail.h"

#include "test.h"

static struct identity run(unsigned last)
{
	struct identity id = { .incarnation = 9 };

	id.addr.family = ADDR_V4;
	memcpy(id.addr.ip, (uint8_t[]){ 127, 0, 0, (uint8_t)last }, 4);
	id.addr.port = 4000;
	return id;
}

static void expect(const struct message *m, const char *want)
{
	char got[DETAIL_MAX];

	memset(got, 'x', sizeof got);
	detail_print(m, got);
	assert_string_equal(got, want);
}

static void lists_tell_their_number_and_their_first(void **state)
{
	struct range r[2] = { { run(1), 3, 5 }, { run(2), 1, 1 } };
	struct identity runs[2] = { run(3), run(4) };
	struct message have = { .type = MSG_HAVE,
				.have = { .ranges = { r, 2 } } };
	struct message none = { .type = MSG_NOT_FOUND,
				.not_found = { .ranges = { r + 1, 1 } } };
	struct message prune = { .type = MSG_PRUNE,
				 .graft = { .runs = { runs, 2 } } };

	(void)state;
	expect(&have, "ranges=2 origin=127.0.0.1:4000 seq=3-5");
	expect(&none, "ranges=1 origin=127.0.0.2:4000 seq=1-1");
	expect(&prune, "runs=2 origin=127.0.0.3:4000");
}

static void flags_are_words(void **state)
{
	struct range r = { run(1), 1, 2 };
	struct message have = {
		.type = MSG_HAVE,
		.have = { .ranges = { &r, 1 }, .all = true, .more = true }
	};
	struct message ask = { .type = MSG_GET_DATA,
			       .get_data = { .ranges = { &r, 1 },
					     .graft = true } };
	struct message graft = { .type = MSG_GRAFT, .graft = { .all = true } };

	(void)state;
	expect(&have, "ranges=1 origin=127.0.0.1:4000 seq=1-2 all more");
	expect(&ask, "ranges=1 origin=127.0.0.1:4000 seq=1-2 graft");
	expect(&graft, "runs=0 all");
}

static void an_empty_list_is_fine(void **state)
{
	struct message have = { .type = MSG_HAVE, .have = { .all = true } };

	(void)state;
	expect(&have, "ranges=0 all");
}

static void a_message_by_its_id(void **state)
{
	struct message ask = { .type = MSG_GET_DATA,
			       .get_data = { .has_id = true } };
	struct message none = { .type = MSG_NOT_FOUND,
				.not_found = { .has_id = true } };

	(void)state;
	memset(ask.get_data.id.b, 0xab, HASH_BYTES);
	expect(&ask, "id=abababababababababababababababab");
	expect(&none, "id=00000000000000000000000000000000");
}

static void the_longest_fits(void **state)
{
	struct range r = { .first = UINT64_MAX, .last = UINT64_MAX };
	struct message have = { .type = MSG_HAVE,
				.have = { .ranges = { &r, SIZE_MAX },
					  .all = true,
					  .more = true } };
	char got[DETAIL_MAX];

	(void)state;
	r.run.addr.family = ADDR_V6;
	for (int i = 0; i < 16; i++)
		r.run.addr.ip[i] = 0xf1;
	r.run.addr.port = 65535;
	detail_print(&have, got);
	assert_non_null(strstr(got, " all more"));
}

static void others_have_nothing_to_add(void **state)
{
	struct message bye = { .type = MSG_BYE };

	(void)state;
	expect(&bye, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_tell_their_number_and_their_first),
		cmocka_unit_test(flags_are_words),
		cmocka_unit_test(an_empty_list_is_fine),
		cmocka_unit_test(a_message_by_its_id),
		cmocka_unit_test(the_longest_fits),
		cmocka_unit_test(others_have_nothing_to_add),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
