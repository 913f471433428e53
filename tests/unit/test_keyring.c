#include "base/keyring.h"

#include "test.h"

/* 32 bytes of 0, of 1, of 2 and of 3. */
#define KEY_0 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define KEY_1 "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
#define KEY_2 "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI="
#define KEY_3 "AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM="

static enum err parse(const char *text, struct keyring *r, unsigned *line,
		      const char **why)
{
	char *copy = exact_copy(text, strlen(text));
	enum err e = keyring_parse(copy, strlen(text), r, line, why);

	free(copy);
	return e;
}

static void takes_one_to_three_keys(void **state)
{
	const char *why;
	struct keyring r;
	unsigned line;

	(void)state;
	assert_int_equal(parse(KEY_1, &r, &line, &why), ERR_OK);
	assert_int_equal(r.n, 1);
	assert_int_equal(r.v[0].secret[31], 1);
	assert_int_equal(parse("# of May\r\n\r\n  " KEY_2 "\t\r\n" KEY_0
			       "\n\n#\n" KEY_1 "\n",
			       &r, &line, &why),
			 ERR_OK);
	assert_int_equal(r.n, 3);
	assert_int_equal(r.v[0].secret[0], 2);
	assert_int_equal(r.v[1].secret[0], 0);
	assert_int_equal(r.v[2].secret[0], 1);
}

static void refuses_what_is_none(void **state)
{
	static const struct {
		const char *text, *why;
		enum err e;
		unsigned line;
	} bad[] = {
		{ "", "no key", ERR_RANGE, 0 },
		{ "\n# nothing\n", "no key", ERR_RANGE, 0 },
		{ KEY_1 "\nsecret\n", "not a key", ERR_SYNTAX, 2 },
		{ KEY_1 " " KEY_2, "not a key", ERR_SYNTAX, 1 },
		{ "\n\nAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQ==",
		  "not a key", ERR_SYNTAX, 3 },
		{ "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB", "not a key",
		  ERR_SYNTAX, 1 },
		{ KEY_1 "\n" KEY_2 "\n" KEY_1, "twice", ERR_SYNTAX, 3 },
		{ KEY_0 "\n" KEY_1 "\n" KEY_2 "\n" KEY_3, "more than 3",
		  ERR_RANGE, 4 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		static const struct keyring nothing;
		const char *why = "";
		struct keyring r;
		unsigned line = 99;

		assert_int_equal(parse(bad[i].text, &r, &line, &why), bad[i].e);
		assert_int_equal(line, bad[i].line);
		assert_non_null(strstr(why, bad[i].why));
		assert_memory_equal(&r, &nothing, sizeof r);
	}
}

static void a_nul_is_no_end(void **state)
{
	static const char text[] = KEY_1 "\n\0\n";
	const char *why;
	struct keyring r;
	unsigned line;

	(void)state;
	assert_int_equal(keyring_parse(text, sizeof text - 1, &r, &line, &why),
			 ERR_SYNTAX);
	assert_int_equal(line, 2);
}

static void finds_a_key_by_its_id(void **state)
{
	char text[KEY_ID_TEXT + 1];
	const char *why;
	struct key_id other = { { 1 } };
	struct keyring r;
	unsigned line;

	(void)state;
	assert_int_equal(parse(KEY_1 "\n" KEY_2, &r, &line, &why), ERR_OK);
	assert_ptr_equal(keyring_find(&r, &r.v[1].id), &r.v[1]);
	assert_null(keyring_find(&r, &other));
	assert_false(key_id_equal(&r.v[0].id, &r.v[1].id));
	/* BLAKE2b-128 of "id" keyed with 32 bytes of 1, from Python's hashlib.
	 */
	key_id_format(&r.v[0].id, text);
	assert_string_equal(text, "2988cf6a94520c40");
}

static void makes_a_new_key_each_time(void **state)
{
	char a[KEY_TEXT + 1], b[KEY_TEXT + 1];
	const char *why;
	struct keyring r;
	unsigned line;

	(void)state;
	keyring_generate(a);
	keyring_generate(b);
	assert_int_equal(strlen(a), KEY_TEXT);
	assert_string_not_equal(a, b);
	assert_int_equal(parse(a, &r, &line, &why), ERR_OK);
}

static int start(void **state)
{
	(void)state;
	return crypto_init() == ERR_OK ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_one_to_three_keys),
		cmocka_unit_test(refuses_what_is_none),
		cmocka_unit_test(a_nul_is_no_end),
		cmocka_unit_test(finds_a_key_by_its_id),
		cmocka_unit_test(makes_a_new_key_each_time),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
