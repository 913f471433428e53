#include "scarce.h"
#include "test.h"

#include "base/rng.h"
#include "core/origins.h"

static struct identity id_of(unsigned number)
{
	struct identity id;

	memset(&id, 0, sizeof id);
	id.addr.family = ADDR_V4;
	id.addr.ip[0] = 10;
	id.addr.port = (uint16_t)(1 + number);
	id.incarnation = 1000 + number % 3;
	return id;
}

static struct origin *add(struct origins *o, unsigned number)
{
	struct identity id = id_of(number);
	struct origin *r = origins_add(o, &id);

	assert_non_null(r);
	return r;
}

static struct origin *find(struct origins *o, unsigned number)
{
	struct identity id = id_of(number);

	return origins_find(o, &id);
}

static void a_run_is_found_by_address_and_incarnation(void **state)
{
	struct origins o;
	struct origin *r;
	struct identity other = id_of(1);

	(void)state;
	origins_init(&o, 10, 42);
	assert_null(find(&o, 1));
	r = add(&o, 1);
	assert_ptr_equal(find(&o, 1), r);
	assert_null(find(&o, 2));
	other.incarnation++;
	assert_null(origins_find(&o, &other));
	assert_int_equal(origins_count(&o), 1);
	origins_free(&o);
}

/* An identity has four bytes of padding that nobody sets. */
static void bytes_of_padding_do_not_matter(void **state)
{
	struct identity dirty;
	struct origins o;
	struct origin *r;

	(void)state;
	origins_init(&o, 10, 42);
	r = add(&o, 4);
	memset(&dirty, 0xee, sizeof dirty);
	dirty.incarnation = r->id.incarnation;
	dirty.addr = r->id.addr;
	assert_ptr_equal(origins_find(&o, &dirty), r);
	origins_free(&o);
}

static void no_number_is_given_twice(void **state)
{
	struct origins o;
	struct origin *r;
	uint64_t first;

	(void)state;
	origins_init(&o, 10, 42);
	r = add(&o, 1);
	first = r->number;
	origins_remove(&o, r);
	r = add(&o, 1);
	assert_int_not_equal(r->number, first);
	assert_int_not_equal(r->number, 0);
	origins_free(&o);
}

static void only_of_too_many_the_longest_idle_has_to_go(void **state)
{
	struct origins o;

	(void)state;
	origins_init(&o, 3, 42);
	for (unsigned i = 0; i < 3; i++) {
		assert_null(origins_surplus(&o));
		add(&o, i);
	}
	assert_ptr_equal(origins_surplus(&o), find(&o, 0));
	origins_touch(&o, find(&o, 0));
	assert_ptr_equal(origins_surplus(&o), find(&o, 1));
	origins_touch(&o, find(&o, 0)); /* it is the newest already */
	assert_ptr_equal(origins_surplus(&o), find(&o, 1));
	origins_remove(&o, find(&o, 1));
	assert_null(origins_surplus(&o));
	origins_free(&o);
}

static void a_pinned_run_never_has_to_go(void **state)
{
	struct origins o;

	(void)state;
	origins_init(&o, 2, 42);
	add(&o, 0)->pinned = true;
	add(&o, 1);
	assert_ptr_equal(origins_surplus(&o), find(&o, 1));
	origins_remove(&o, find(&o, 1));
	o.max = 1;
	assert_null(origins_surplus(&o)); /* rather one more than none */
	origins_free(&o);
}

static void random_use_agrees_with_a_naive_model(void **state)
{
	enum { IDS = 60, MAX = 20 };
	uint64_t used[IDS] = { 0 }, clock = 0;
	struct origins o;
	struct rng rng;

	(void)state;
	rng_init(&rng, 12);
	origins_init(&o, MAX, 42);
	for (unsigned i = 0; i < 20000; i++) {
		unsigned k = (unsigned)rng_below(&rng, IDS), idle = IDS;
		struct origin *r = find(&o, k), *gone;
		size_t known = 0;

		assert_int_equal(r != NULL, used[k] != 0);
		for (unsigned j = 0; j < IDS; j++) {
			known += used[j] != 0;
			if (used[j] != 0 &&
			    (idle == IDS || used[j] < used[idle]))
				idle = j;
		}
		assert_int_equal(origins_count(&o), known);
		if (r != NULL) {
			origins_touch(&o, r);
			used[k] = ++clock;
			continue;
		}
		gone = origins_surplus(&o);
		assert_int_equal(gone != NULL, known == MAX);
		if (gone != NULL) {
			assert_ptr_equal(gone, find(&o, idle));
			origins_remove(&o, gone);
			used[idle] = 0;
		}
		assert_int_equal(ranges_add(&add(&o, k)->covered, k, k, NULL),
				 ERR_OK);
		used[k] = ++clock;
	}
	origins_free(&o);
}

/* The record, uthash's first table and its buckets. */
static void without_memory_there_is_no_record(void **state)
{
	struct identity id = id_of(1);
	struct origins o;

	(void)state;
	for (long left = 0; left < 3; left++) {
		origins_init(&o, 10, 42);
		scarce_after(left, false);
		assert_null(origins_add(&o, &id));
		assert_int_equal(scarce_end(), 1);
		assert_int_equal(origins_count(&o), 0);
		assert_null(origins_find(&o, &id));
		assert_null(origins_surplus(&o));
		assert_non_null(origins_add(&o, &id));
		assert_non_null(origins_find(&o, &id));
		origins_free(&o);
	}
}

/* What somebody can find who knows the table but not its secret: identities
 * that the hash of uthash itself puts into one of 1,024 places. */
static void crafted_identities_do_not_meet_in_one_place(void **state)
{
	struct identity id = { .addr = { .family = ADDR_V4, .port = 5000 } };
	unsigned longest = 0, made = 0;
	struct origins o;
	(void)state;

	origins_init(&o, 10000, 42);
	while (made < 4000) {
		unsigned hash;

		id.incarnation++;
		HASH_JEN(&id, IDENTITY_BYTES, hash);
		if ((hash & 1023) != 0)
			continue;
		assert_non_null(origins_add(&o, &id));
		made++;
	}
	for (unsigned i = 0; i < o.table->hh.tbl->num_buckets; i++)
		if (o.table->hh.tbl->buckets[i].count > longest)
			longest = o.table->hh.tbl->buckets[i].count;
	assert_in_range(longest, 1, 40);
	origins_free(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_run_is_found_by_address_and_incarnation),
		cmocka_unit_test(bytes_of_padding_do_not_matter),
		cmocka_unit_test(no_number_is_given_twice),
		cmocka_unit_test(only_of_too_many_the_longest_idle_has_to_go),
		cmocka_unit_test(a_pinned_run_never_has_to_go),
		cmocka_unit_test(random_use_agrees_with_a_naive_model),
		cmocka_unit_test(without_memory_there_is_no_record),
		cmocka_unit_test(crafted_identities_do_not_meet_in_one_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
