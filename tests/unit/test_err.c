#include "base/err.h"

#include "test.h"

static void names_every_error(void **state)
{
	(void)state;
	assert_string_equal(err_text(ERR_OK), "no error");
	assert_string_equal(err_text(ERR_SYNTAX), "malformed");
	assert_string_equal(err_text(ERR_SYSTEM), "system error");
}

static void has_a_text_for_no_error_of_ours(void **state)
{
	(void)state;
	assert_string_equal(err_text((enum err)(ERR_SYSTEM + 1)),
			    "unknown error");
	assert_string_equal(err_text((enum err) - 1), "unknown error");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_every_error),
		cmocka_unit_test(has_a_text_for_no_error_of_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
