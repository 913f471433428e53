#include "io/clock.h"

#include "test.h"

#include <time.h>

static void never_goes_back(void **state)
{
	int64_t last = clock_ms();

	(void)state;
	for (int i = 0; i < 100000; i++) {
		int64_t now = clock_ms();

		assert_true(now >= last);
		last = now;
	}
}

static void advances_with_the_time(void **state)
{
	int64_t before = clock_ms(), after;

	(void)state;
	nanosleep(&(struct timespec){ 0, 20000000 }, NULL);
	after = clock_ms();
	assert_true(after - before >= 19);
}

static void knows_the_wall_time(void **state)
{
	int64_t before = (int64_t)time(NULL), now = clock_wall_ms();

	(void)state;
	assert_true(now / 1000 >= before - 1 && now / 1000 <= before + 10);
}

static void writes_times_in_utc(void **state)
{
	static const struct {
		int64_t ms;
		const char *text;
	} cases[] = {
		{ 0, "1970-01-01T00:00:00.000Z" },
		{ 1, "1970-01-01T00:00:00.001Z" },
		{ -1, "1969-12-31T23:59:59.999Z" },
		{ -1000, "1969-12-31T23:59:59.000Z" },
		{ 951782400000, "2000-02-29T00:00:00.000Z" },
		{ 951782400999, "2000-02-29T00:00:00.999Z" },
		{ 951782401000, "2000-02-29T00:00:01.000Z" },
		{ 2147483648000, "2038-01-19T03:14:08.000Z" },
		{ 4102444799999, "2099-12-31T23:59:59.999Z" },
	};
	char text[CLOCK_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		clock_format(cases[i].ms, text);
		assert_string_equal(text, cases[i].text);
	}
}

static void survives_times_beyond_any_calendar(void **state)
{
	static const int64_t cases[] = { INT64_MAX, INT64_MIN, INT64_MAX / 2,
					 253402300800000 };
	char text[CLOCK_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		clock_format(cases[i], text);
		assert_true(strlen(text) < CLOCK_TEXT_MAX);
		assert_int_equal(text[strlen(text) - 1], 'Z');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(never_goes_back),
		cmocka_unit_test(advances_with_the_time),
		cmocka_unit_test(knows_the_wall_time),
		cmocka_unit_test(writes_times_in_utc),
		cmocka_unit_test(survives_times_beyond_any_calendar),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
