#include "scarce.h"
#include "test.h"

#include "base/rng.h"
#include "core/slab.h"

#define ITEMS 5000

struct item {
	uint64_t a;
	uint32_t b[3];
};

static struct item *item(const struct slab *s, uint32_t n)
{
	return slab_at(s, n);
}

static void every_number_is_zeroed_and_its_own(void **state)
{
	struct slab s = slab_of(sizeof(struct item));

	(void)state;
	for (uint32_t i = 0; i < ITEMS; i++) {
		uint32_t n = slab_take(&s);

		assert_int_equal(n, i);
		assert_int_equal(item(&s, n)->a, 0);
		assert_int_equal(item(&s, n)->b[2], 0);
		item(&s, n)->a = item(&s, n)->b[2] = i + 1;
	}
	for (uint32_t i = 0; i < ITEMS; i++)
		assert_int_equal(item(&s, i)->a, i + 1);
	slab_free(&s);
}

static void what_is_there_never_moves(void **state)
{
	struct slab s = slab_of(sizeof(struct item));
	struct item *first = item(&s, slab_take(&s));

	(void)state;
	for (uint32_t i = 1; i < ITEMS; i++)
		assert_int_equal(slab_take(&s), i);
	assert_ptr_equal(item(&s, 0), first);
	slab_free(&s);
}

static void what_was_given_back_comes_again(void **state)
{
	struct slab s = slab_of(sizeof(struct item));
	bool taken[ITEMS] = { false };
	struct rng rng;
	uint32_t n, most = 0, count = 0;

	(void)state;
	rng_init(&rng, 1);
	for (int i = 0; i < 100000; i++) {
		n = (uint32_t)rng_below(&rng, ITEMS);
		if (taken[n]) {
			assert_int_equal(item(&s, n)->a, n);
			memset(item(&s, n), 0xff, sizeof(struct item));
			slab_give(&s, n);
			taken[n] = false;
			count--;
		} else if (count < ITEMS / 2) {
			n = slab_take(&s);
			assert_true(n < ITEMS && !taken[n]);
			assert_int_equal(item(&s, n)->b[0], 0);
			item(&s, n)->a = n;
			taken[n] = true;
			most = ++count > most ? count : most;
		}
	}
	/* As many as there ever were at once, and no more. */
	assert_int_equal(s.fresh, most);
	slab_free(&s);
}

static void without_memory_nothing_is_lost(void **state)
{
	struct slab s = slab_of(sizeof(struct item));
	unsigned failures = 0;
	uint32_t n = 0;

	(void)state;
	for (uint32_t i = 0; i < ITEMS; i++) {
		for (long left = 0;; left++) {
			scarce_after(left, false);
			n = slab_take(&s);
			if (scarce_end() == 0)
				break;
			assert_int_equal(n, SLAB_NONE);
			failures++;
		}
		assert_int_equal(n, i);
	}
	assert_true(failures > ITEMS / 1024);
	slab_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_number_is_zeroed_and_its_own),
		cmocka_unit_test(what_is_there_never_moves),
		cmocka_unit_test(what_was_given_back_comes_again),
		cmocka_unit_test(without_memory_nothing_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
