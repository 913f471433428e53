#include "scarce.h"
#include "test.h"

#include "base/rng.h"
#include "core/index.h"

#define ENTRIES 3000

/* The naive model: which hash each slot was put under; 0: it was not. */
struct model {
	uint64_t hash[ENTRIES];
	size_t used;
};

static bool always(const void *ctx, uint32_t slot)
{
	(void)ctx;
	(void)slot;
	return true;
}

static bool is_slot(const void *ctx, uint32_t slot)
{
	return *(const uint32_t *)ctx == slot;
}

static void put(struct index *ix, struct model *m, uint32_t slot, uint64_t hash)
{
	assert_int_equal(index_put(ix, hash, slot), ERR_OK);
	m->hash[slot] = hash;
	m->used++;
}

static void take(struct index *ix, struct model *m, uint32_t slot)
{
	index_remove(ix, m->hash[slot], slot);
	m->hash[slot] = 0;
	m->used--;
}

static void check(const struct index *ix, const struct model *m)
{
	assert_int_equal(ix->used, m->used);
	for (uint32_t i = 0; i < ENTRIES; i++)
		if (m->hash[i] != 0)
			assert_int_equal(
				index_find(ix, m->hash[i], is_slot, &i), i);
}

static void an_empty_index_finds_nothing(void **state)
{
	struct index ix = { 0 };

	(void)state;
	assert_int_equal(index_find(&ix, 1, always, NULL), INDEX_NONE);
	index_free(&ix);
}

static void what_was_put_is_found_and_nothing_else(void **state)
{
	struct index ix = { 0 };

	(void)state;
	assert_int_equal(index_put(&ix, 77, 0), ERR_OK);
	assert_int_equal(index_put(&ix, 78, UINT32_MAX - 1), ERR_OK);
	assert_int_equal(index_find(&ix, 77, always, NULL), 0);
	assert_int_equal(index_find(&ix, 78, always, NULL), UINT32_MAX - 1);
	assert_int_equal(index_find(&ix, 79, always, NULL), INDEX_NONE);
	index_remove(&ix, 77, 0);
	assert_int_equal(index_find(&ix, 77, always, NULL), INDEX_NONE);
	index_free(&ix);
}

static void equal_hashes_are_told_apart_by_their_owner(void **state)
{
	struct index ix = { 0 };
	uint32_t wanted = 2, other = 9;

	(void)state;
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(index_put(&ix, 5, i), ERR_OK);
	assert_int_equal(index_find(&ix, 5, is_slot, &wanted), 2);
	assert_int_equal(index_find(&ix, 5, is_slot, &other), INDEX_NONE);
	index_remove(&ix, 5, 2);
	assert_int_equal(index_find(&ix, 5, is_slot, &wanted), INDEX_NONE);
	wanted = 3;
	assert_int_equal(index_find(&ix, 5, is_slot, &wanted), 3);
	index_free(&ix);
}

static void growing_keeps_all_and_stays_half_full(void **state)
{
	struct index ix = { 0 };
	struct model m = { .used = 0 };
	struct rng r;

	(void)state;
	rng_init(&r, 3);
	for (uint32_t i = 0; i < ENTRIES; i++) {
		put(&ix, &m, i, rng_u64(&r) | 1);
		assert_true(ix.used * 2 <= ix.now.mask + 1);
	}
	check(&ix, &m);
	index_free(&ix);
}

/* Few different homes make long runs of full cells, and those near the last
 * cell wrap around: what shifting back must get right. */
static void random_puts_and_removals_agree_with_a_naive_model(void **state)
{
	static const uint64_t masks[] = { 0x3f, 0xff, UINT32_MAX };

	(void)state;
	for (size_t k = 0; k < COUNT_OF(masks); k++) {
		struct index ix = { 0 };
		struct model m = { .used = 0 };
		struct rng r;

		rng_init(&r, k);
		for (unsigned i = 0; i < 20000; i++) {
			uint32_t slot = (uint32_t)rng_below(&r, 180);
			uint64_t hash = rng_u64(&r) & masks[k];

			if (m.hash[slot] != 0)
				take(&ix, &m, slot);
			else /* homes from the end of the table, too */
				put(&ix, &m, slot, (hash + 230) | 256);
			if (i % 64 == 0)
				check(&ix, &m);
		}
		check(&ix, &m);
		index_free(&ix);
	}
}

/* Until everything has moved, what is looked for, and removed, may be in
 * either table. */
static void growing_is_done_by_and_by(void **state)
{
	struct index ix = { 0 };
	struct model m = { 0 };
	struct rng r;
	uint32_t n = 0;
	unsigned calls = 0;
	size_t cells;

	(void)state;
	rng_init(&r, 5);
	while (n < 1025) /* 2048 cells are half full */
		put(&ix, &m, n++, rng_u64(&r) | 1);
	assert_non_null(ix.old.cells);
	cells = ix.old.mask + 1;
	check(&ix, &m);
	for (; ix.old.cells != NULL; calls++) {
		size_t before = ix.moved;

		if (calls % 3 == 0)
			put(&ix, &m, n++, rng_u64(&r) | 1);
		else
			take(&ix, &m, calls);
		assert_true(ix.old.cells == NULL || ix.moved <= before + 8);
		check(&ix, &m);
		assert_int_equal(index_find(&ix, rng_u64(&r), always, NULL),
				 INDEX_NONE);
	}
	assert_in_range(calls, cells / 8 - 1, cells / 8);
	index_free(&ix);
	/* In the middle of it all ends well, too. */
	for (n = 0, m = (struct model){ 0 }; n < 129; n++)
		put(&ix, &m, n, n + 1);
	assert_non_null(ix.old.cells);
	index_free(&ix);
	assert_int_equal(index_find(&ix, 1, always, NULL), INDEX_NONE);
}

static void without_memory_an_index_keeps_what_it_has(void **state)
{
	struct index ix = { 0 };
	struct model m = { 0 };
	enum err e = ERR_OK;
	uint32_t n = 0;

	(void)state;
	scarce_after(0, true);
	assert_int_equal(index_put(&ix, 1, 0), ERR_NOMEM);
	assert_int_equal(scarce_end(), 1);
	put(&ix, &m, n++, 99);
	scarce_after(0, true);
	for (; e == ERR_OK && n < ENTRIES; n++) {
		e = index_put(&ix, 1000 * n, n);
		if (e == ERR_OK) {
			m.hash[n] = 1000 * n;
			m.used++;
		}
	}
	assert_int_equal(e, ERR_NOMEM);
	check(&ix, &m);
	scarce_end();
	put(&ix, &m, n, 7);
	check(&ix, &m);
	index_free(&ix);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_index_finds_nothing),
		cmocka_unit_test(what_was_put_is_found_and_nothing_else),
		cmocka_unit_test(equal_hashes_are_told_apart_by_their_owner),
		cmocka_unit_test(growing_keeps_all_and_stays_half_full),
		cmocka_unit_test(
			random_puts_and_removals_agree_with_a_naive_model),
		cmocka_unit_test(growing_is_done_by_and_by),
		cmocka_unit_test(without_memory_an_index_keeps_what_it_has),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
