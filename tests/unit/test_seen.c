#include "scarce.h"
#include "test.h"

#include "base/rng.h"
#include "core/seen.h"

static struct hash id_of(uint64_t number)
{
	return hash_of(&number, sizeof number);
}

static void add(struct seen *s, uint64_t number)
{
	struct hash id = id_of(number);

	assert_int_equal(seen_add(s, &id), ERR_OK);
}

static bool has(const struct seen *s, uint64_t number)
{
	struct hash id = id_of(number);

	return seen_has(s, &id);
}

static void nothing_is_known_at_first(void **state)
{
	struct seen s;

	(void)state;
	seen_init(&s, 16, 1);
	assert_false(has(&s, 1));
	add(&s, 1);
	assert_true(has(&s, 1));
	assert_false(has(&s, 2));
	seen_free(&s);
}

/* Windows that are no power of two, below and above the first allocation. */
static void exactly_the_newest_are_known(void **state)
{
	static const uint32_t windows[] = { 1, 16, 100, 128, 300, 1000 };

	(void)state;
	for (size_t k = 0; k < COUNT_OF(windows); k++) {
		uint32_t w = windows[k];
		struct seen s;

		seen_init(&s, w, 99);
		for (uint64_t i = 0; i < 5 * (uint64_t)w; i++) {
			assert_false(has(&s, i));
			add(&s, i);
			assert_true(has(&s, i));
			if (i >= w) {
				assert_false(has(&s, i - w));
				assert_true(has(&s, i - w + 1));
			}
		}
		for (uint64_t i = 0; i < 5 * (uint64_t)w; i++)
			assert_int_equal(has(&s, i), i >= 4 * (uint64_t)w);
		seen_free(&s);
	}
}

static void memory_grows_with_use_and_not_beyond_the_window(void **state)
{
	struct seen s;

	(void)state;
	seen_init(&s, 1000, 5);
	assert_int_equal(s.cap, 0);
	add(&s, 0);
	assert_true(s.cap < 1000);
	for (uint64_t i = 1; i < 3000; i++)
		add(&s, i);
	assert_int_equal(s.cap, 1000);
	assert_int_equal(s.n, 1000);
	assert_int_equal(s.index.used, 1000); /* old ids leave it */
	seen_free(&s);
}

/* The index mixes only the first half of an id. */
static void ids_that_share_a_half_are_told_apart(void **state)
{
	struct hash a = id_of(1), b = a, c = a;
	struct seen s;

	(void)state;
	b.b[HASH_BYTES - 1] ^= 1;
	c.b[0] ^= 1;
	seen_init(&s, 16, 1);
	assert_int_equal(seen_add(&s, &a), ERR_OK);
	assert_true(seen_has(&s, &a));
	assert_false(seen_has(&s, &b));
	assert_false(seen_has(&s, &c));
	assert_int_equal(seen_add(&s, &b), ERR_OK);
	assert_true(seen_has(&s, &b));
	seen_free(&s);
}

/* Some ids are added again after they fell out. */
static void random_use_agrees_with_a_naive_model(void **state)
{
	enum { WINDOW = 50, IDS = 120 };
	uint64_t added[IDS] = { 0 }, clock = 0;
	struct seen s;
	struct rng r;

	(void)state;
	rng_init(&r, 8);
	seen_init(&s, WINDOW, rng_u64(&r));
	for (unsigned i = 0; i < 20000; i++) {
		uint64_t k = rng_below(&r, IDS);
		bool known = added[k] != 0 && clock - added[k] < WINDOW;

		assert_int_equal(has(&s, k), known);
		if (known)
			continue;
		add(&s, k);
		added[k] = ++clock;
	}
	seen_free(&s);
}

/* An id that was not noted may come again; those before it are still known. */
static void without_memory_what_is_known_stays_known(void **state)
{
	struct hash late = id_of(1000);
	struct seen s;
	enum err e = ERR_OK;
	uint64_t n;

	(void)state;
	for (long left = 0; left < 2; left++) { /* the ring, and the index */
		seen_init(&s, 16, 3);
		scarce_after(left, true);
		assert_int_equal(seen_add(&s, &late), ERR_NOMEM);
		assert_int_equal(scarce_end(), 1);
		assert_false(seen_has(&s, &late));
		add(&s, 1);
		assert_true(has(&s, 1));
		seen_free(&s);
	}
	seen_init(&s, 1000, 3);
	add(&s, 0);
	scarce_after(0, true);
	for (n = 1; n < 1000 && e == ERR_OK; n++) {
		struct hash id = id_of(n);

		e = seen_add(&s, &id);
	}
	scarce_end();
	assert_int_equal(e, ERR_NOMEM);
	for (uint64_t i = 0; i + 1 < n; i++)
		assert_true(has(&s, i));
	assert_false(has(&s, n - 1));
	add(&s, n - 1);
	seen_free(&s);
}

/* A full window takes new ids in the place of old ones. */
static void a_full_window_needs_no_more_memory(void **state)
{
	struct seen s;

	(void)state;
	seen_init(&s, 100, 3);
	for (uint64_t i = 0; i < 100; i++)
		add(&s, i);
	scarce_after(0, true);
	for (uint64_t i = 100; i < 1000; i++)
		add(&s, i);
	assert_int_equal(scarce_end(), 0);
	assert_true(has(&s, 999));
	seen_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_known_at_first),
		cmocka_unit_test(exactly_the_newest_are_known),
		cmocka_unit_test(
			memory_grows_with_use_and_not_beyond_the_window),
		cmocka_unit_test(ids_that_share_a_half_are_told_apart),
		cmocka_unit_test(random_use_agrees_with_a_naive_model),
		cmocka_unit_test(without_memory_what_is_known_stays_known),
		cmocka_unit_test(a_full_window_needs_no_more_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
