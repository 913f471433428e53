#include "scarce.h"
#include "test.h"

#include "base/rng.h"
#include "core/store.h"

#define RUNS 16

/* A store, the runs it knows, and nothing of the rest of a node. */
struct desk {
	struct origins origins;
	struct store store;
	struct origin *runs[RUNS];
};

static void open_desk(struct desk *d, uint64_t count_max, uint64_t bytes_max)
{
	origins_init(&d->origins, 100, 42);
	store_init(&d->store, count_max, bytes_max, 42);
	for (unsigned i = 0; i < RUNS; i++) {
		struct identity id = { .incarnation = 1,
				       .addr = { .family = ADDR_V4,
						 .port = (uint16_t)(i + 1) } };

		d->runs[i] = origins_add(&d->origins, &id);
		assert_non_null(d->runs[i]);
	}
}

static void close_desk(struct desk *d)
{
	store_free(&d->store);
	origins_free(&d->origins);
}

/* No two with the same body; at least 9 bytes. */
static struct frame *frame_of(unsigned run, uint64_t seq, size_t bytes)
{
	struct frame *f = frame_new(bytes);

	assert_non_null(f);
	memset(f->body, 0, bytes);
	f->body[0] = (uint8_t)run;
	memcpy(f->body + 1, &seq, sizeof seq);
	return f;
}

static struct hash id_of(unsigned run, uint64_t seq, size_t bytes)
{
	struct frame *f = frame_of(run, seq, bytes);
	struct hash id = hash_of(f->body, bytes);

	frame_release(f);
	return id;
}

static enum err put(struct desk *d, unsigned run, uint64_t seq, size_t bytes)
{
	struct frame *f = frame_of(run, seq, bytes);
	enum err e;

	e = store_put(&d->store, f, d->runs[run], seq, 3);
	frame_release(f); /* the store holds its own */
	return e;
}

static bool has(struct desk *d, unsigned run, uint64_t seq)
{
	return store_by_seq(&d->store, d->runs[run], seq) != NULL;
}

static bool has_id(struct desk *d, unsigned run, uint64_t seq, size_t bytes)
{
	struct hash id = id_of(run, seq, bytes);
	const struct stored *e = store_by_id(&d->store, &id);

	assert_ptr_equal(e, store_by_seq(&d->store, d->runs[run], seq));
	return e != NULL;
}

static void what_was_put_is_found_by_id_and_by_seq(void **state)
{
	struct hash id = id_of(1, 7, 50);
	const struct stored *e;
	struct desk d;

	(void)state;
	open_desk(&d, 10, 100000);
	assert_int_equal(put(&d, 1, 7, 50), ERR_OK);
	assert_true(has(&d, 1, 7));
	assert_false(has(&d, 1, 8));
	assert_false(has(&d, 2, 7));
	e = store_by_id(&d.store, &id);
	assert_int_equal(e->seq, 7);
	assert_ptr_equal(e->run, d.runs[1]);
	assert_int_equal(e->hops, 3);
	assert_int_equal(e->frame->body_bytes, 50);
	assert_int_equal(d.store.count, 1);
	assert_int_equal(d.store.bytes, 50 + STORE_FRAME_OVERHEAD);
	close_desk(&d);
}

static void a_full_store_drops_the_oldest_of_the_largest_run(void **state)
{
	struct desk d;

	(void)state;
	open_desk(&d, 5, 100000);
	assert_int_equal(put(&d, 0, 9, 50), ERR_OK); /* by arrival, not seq */
	assert_int_equal(put(&d, 1, 1, 50), ERR_OK);
	assert_int_equal(put(&d, 0, 2, 50), ERR_OK);
	assert_int_equal(put(&d, 2, 1, 50), ERR_OK);
	assert_int_equal(put(&d, 0, 3, 50), ERR_OK);
	assert_int_equal(put(&d, 1, 2, 50), ERR_OK);
	assert_false(has(&d, 0, 9));
	assert_true(has(&d, 1, 1)); /* a quiet run keeps what it has */
	assert_true(has(&d, 0, 2) && has(&d, 0, 3));
	assert_int_equal(d.store.count, 5);
	close_desk(&d);
}

static void bytes_are_bounded_and_count_more_than_messages(void **state)
{
	struct desk d;
	uint64_t max = 320 + 3 * STORE_FRAME_OVERHEAD;

	(void)state;
	open_desk(&d, 1000, max);
	assert_int_equal(put(&d, 1, 1, 10), ERR_OK);
	assert_int_equal(put(&d, 1, 2, 10), ERR_OK);
	assert_int_equal(put(&d, 0, 1, 300), ERR_OK); /* the larger in bytes */
	assert_true(has(&d, 1, 1) && has(&d, 1, 2) && has(&d, 0, 1));
	assert_int_equal(put(&d, 2, 1, 200), ERR_OK);
	assert_false(has(&d, 0, 1));
	assert_true(has(&d, 1, 1) && has(&d, 1, 2) && has(&d, 2, 1));
	assert_true(d.store.bytes <= max);
	close_desk(&d);
}

static void one_message_that_fits_nowhere_evicts_nobody(void **state)
{
	struct desk d;

	(void)state;
	open_desk(&d, 10, 1000);
	assert_int_equal(put(&d, 0, 1, 100), ERR_OK);
	assert_int_equal(put(&d, 1, 1, 1000), ERR_TOO_LONG);
	assert_true(has(&d, 0, 1));
	assert_int_equal(put(&d, 1, 1, 1000 - STORE_FRAME_OVERHEAD), ERR_OK);
	assert_false(has(&d, 0, 1)); /* it takes the whole store */
	assert_true(has(&d, 1, 1));
	close_desk(&d);
}

static void frames_are_held_once_and_released(void **state)
{
	struct frame *f = frame_of(0, 1, 10);
	struct desk d;

	(void)state;
	open_desk(&d, 1, 100000);
	assert_int_equal(store_put(&d.store, f, d.runs[0], 1, 0), ERR_OK);
	assert_int_equal(atomic_load(&f->refs), 2);
	assert_int_equal(put(&d, 1, 1, 10), ERR_OK);
	assert_int_equal(atomic_load(&f->refs), 1);
	frame_release(f);
	close_desk(&d);
}

static void a_dropped_run_leaves_nothing_behind(void **state)
{
	struct desk d;

	(void)state;
	open_desk(&d, 100, 100000);
	for (uint64_t i = 1; i <= 10; i++) {
		assert_int_equal(put(&d, 0, i, 10), ERR_OK);
		assert_int_equal(put(&d, 1, i, 10), ERR_OK);
	}
	store_drop_run(&d.store, d.runs[0]);
	store_drop_run(&d.store, d.runs[2]); /* holds nothing */
	for (uint64_t i = 1; i <= 10; i++)
		assert_true(!has(&d, 0, i) && has(&d, 1, i));
	assert_int_equal(d.store.count, 10);
	assert_int_equal(d.runs[0]->held_count, 0);
	assert_int_equal(d.runs[0]->held_bytes, 0);
	assert_int_equal(put(&d, 0, 11, 10), ERR_OK);
	assert_true(has(&d, 0, 11));
	close_desk(&d);
}

/* Some got their ids when the others were not there yet; some of either kind
 * have gone since. */
static void an_id_is_found_whenever_it_is_asked_for(void **state)
{
	struct hash longer = id_of(0, 40, 21);
	struct desk d;

	(void)state;
	open_desk(&d, 8, 100000);
	for (uint64_t i = 1; i <= 6; i++)
		assert_int_equal(put(&d, 0, i, 20), ERR_OK);
	assert_true(has_id(&d, 0, 6, 20));
	for (uint64_t i = 7; i <= 10; i++)
		assert_int_equal(put(&d, 0, i, 20), ERR_OK);
	for (uint64_t i = 1; i <= 10; i++)
		assert_int_equal(has_id(&d, 0, i, 20), i > 2);
	for (uint64_t i = 11; i <= 40; i++) /* those without an id go, too */
		assert_int_equal(put(&d, 0, i, 20), ERR_OK);
	for (uint64_t i = 1; i <= 40; i++)
		assert_int_equal(has_id(&d, 0, i, 20), i > 32);
	assert_null(store_by_id(&d.store, &longer));
	close_desk(&d);
}

static void no_memory_for_ids_finds_nothing_now_and_all_later(void **state)
{
	struct hash id = id_of(0, 1, 20);
	char hex[HASH_HEX + 1];
	bool several;
	struct desk d;

	(void)state;
	hash_format(&id, hex);
	open_desk(&d, 8, 100000);
	assert_int_equal(put(&d, 0, 1, 20), ERR_OK);
	scarce_after(0, true);
	assert_null(store_by_id(&d.store, &id));
	assert_null(store_by_prefix(&d.store, hex, 8, &several));
	assert_int_equal(scarce_end(), 2);
	assert_true(has_id(&d, 0, 1, 20));
	close_desk(&d);
}

static void the_beginning_of_an_id_finds_one_or_tells_of_several(void **state)
{
	enum { COUNT = 40 }; /* more than there are first digits */
	char hex[COUNT][HASH_HEX + 1];
	bool several = true;
	struct desk d;

	(void)state;
	open_desk(&d, 100, 100000);
	assert_null(store_by_prefix(&d.store, "0", 1, &several));
	assert_false(several);
	for (unsigned i = 0; i < COUNT; i++) {
		struct hash id = id_of(0, i + 1, 10);

		hash_format(&id, hex[i]);
		assert_int_equal(put(&d, 0, i + 1, 10), ERR_OK);
	}
	for (unsigned i = 0; i < COUNT; i++)
		for (size_t digits = 1; digits <= HASH_HEX; digits++) {
			unsigned like = 0;

			for (unsigned k = 0; k < COUNT; k++)
				like += memcmp(hex[i], hex[k], digits) == 0;
			assert_non_null(store_by_prefix(&d.store, hex[i],
							digits, &several));
			assert_int_equal(several, like > 1);
		}
	assert_int_equal(store_by_prefix(&d.store, hex[6], 32, &several)->seq,
			 7);
	assert_null(store_by_prefix(&d.store, hex[6], 33, &several));
	/* A freed slot is no match for the empty beginning either. */
	store_drop_run(&d.store, d.runs[0]);
	assert_null(store_by_prefix(&d.store, "", 0, &several));
	close_desk(&d);
}

/* --- against a naive model ----------------------------------------------- */

#define KEPT_MAX 64

struct kept {
	unsigned run;
	uint64_t seq, bytes;
};

struct model {
	struct kept v[KEPT_MAX]; /* by arrival */
	size_t n;
	uint64_t bytes;
};

static void model_remove(struct model *m, size_t i)
{
	m->bytes -= m->v[i].bytes;
	memmove(&m->v[i], &m->v[i + 1], (--m->n - i) * sizeof m->v[0]);
}

static uint64_t model_bytes(const struct model *m, unsigned run)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < m->n; i++)
		bytes += m->v[i].run == run ? m->v[i].bytes : 0;
	return bytes;
}

static bool is_oldest(const struct model *m, size_t i)
{
	for (size_t j = 0; j < i; j++)
		if (m->v[j].run == m->v[i].run)
			return false;
	return true;
}

/* Of equally large runs the store may choose any: follows its choice, and
 * checks that a largest run lost its oldest. */
static void model_evict(struct model *m, struct desk *d)
{
	uint64_t most = 0;

	for (unsigned r = 0; r < RUNS; r++)
		if (model_bytes(m, r) > most)
			most = model_bytes(m, r);
	for (size_t i = 0; i < m->n; i++) {
		struct kept k = m->v[i];

		if (has(d, k.run, k.seq) || !is_oldest(m, i) ||
		    model_bytes(m, k.run) != most)
			continue;
		model_remove(m, i);
		return;
	}
	fail_msg("the oldest of a largest run is still there");
}

static void check(struct desk *d, const struct model *m)
{
	uint64_t bytes = 0;

	assert_int_equal(d->store.count, m->n);
	assert_true(d->store.n <= 51); /* slots are used again */
	assert_int_equal(d->store.bytes, m->bytes);
	for (size_t i = 0; i < m->n; i++)
		assert_true(has(d, m->v[i].run, m->v[i].seq));
	for (unsigned r = 0; r < RUNS; r++) {
		assert_int_equal(d->runs[r]->held_bytes, model_bytes(m, r));
		bytes += d->runs[r]->held_bytes;
	}
	assert_int_equal(bytes, m->bytes);
	for (uint32_t i = 0; i < d->store.heap_n; i++) {
		const struct origin *run = d->store.heap[i];

		assert_int_equal(run->heap_pos, i);
		assert_true(d->store.heap[i ? (i - 1) / 2 : 0]->held_bytes >=
			    run->held_bytes);
	}
}

static void random_use_agrees_with_a_naive_model(void **state)
{
	const uint64_t bytes_max = 40 * 180;
	uint64_t next[RUNS] = { 0 };
	struct model m = { .n = 0 };
	struct desk d;
	struct rng r;

	(void)state;
	rng_init(&r, 77);
	open_desk(&d, 50, bytes_max);
	for (unsigned i = 0; i < 8000; i++) {
		unsigned run = (unsigned)rng_below(&r, RUNS);
		size_t size = (size_t)rng_below(&r, 120) + 9;
		struct kept k = { run, ++next[run],
				  size + STORE_FRAME_OVERHEAD };

		if (rng_below(&r, 15) == 0) {
			store_drop_run(&d.store, d.runs[run]);
			for (size_t j = m.n; j-- > 0;)
				if (m.v[j].run == run)
					model_remove(&m, j);
			check(&d, &m);
			continue;
		}
		assert_int_equal(put(&d, run, k.seq, size), ERR_OK);
		while (m.n >= d.store.count)
			model_evict(&m, &d);
		assert_true(m.n < 50 && m.bytes + k.bytes <= bytes_max);
		m.v[m.n++] = k;
		m.bytes += k.bytes;
		if (i % 16 == 0)
			check(&d, &m);
	}
	check(&d, &m);
	close_desk(&d);
}

/* Each allocation of a put fails in turn: nothing of the message is there, all
 * else is, and the next try succeeds. */
static void
without_memory_a_message_is_not_kept_and_the_others_are(void **state)
{
	unsigned failures = 0;

	(void)state;
	for (unsigned before = 0; before < 4; before++) {
		for (long left = 0;; left++) {
			struct frame *f = frame_of(1, 1, 10);
			struct desk d;
			enum err e;

			open_desk(&d, 1000, 1000000);
			/* 0: an empty store; else one about to grow. */
			for (unsigned i = 0; before && i < 63 + before; i++)
				assert_int_equal(put(&d, 2, 2 * i + 1, 10),
						 ERR_OK);
			scarce_after(left, false);
			e = store_put(&d.store, f, d.runs[1], 1, 0);
			if (scarce_end() == 0) {
				assert_int_equal(e, ERR_OK);
				left = -2;
			} else {
				assert_int_equal(e, ERR_NOMEM);
				assert_false(has(&d, 1, 1));
				assert_int_equal(d.runs[1]->held_count, 0);
				assert_false(ranges_has(&d.runs[1]->held, 1));
				failures++;
			}
			for (unsigned i = 0; before && i < 63 + before; i++)
				assert_true(has(&d, 2, 2 * i + 1));
			if (e != ERR_OK)
				assert_int_equal(put(&d, 1, 1, 10), ERR_OK);
			assert_true(has(&d, 1, 1));
			frame_release(f);
			close_desk(&d);
			if (left < 0)
				break;
		}
	}
	assert_true(failures >= 6);
}

/* The heap of runs grows at the 17th run. */
static void without_memory_for_one_more_run_the_others_stay(void **state)
{
	struct origins o;
	struct store s;
	struct origin *run[17];
	struct frame *f = frame_new(10);

	(void)state;
	origins_init(&o, 100, 42);
	store_init(&s, 100, 100000, 5);
	for (unsigned i = 0; i < COUNT_OF(run); i++) {
		struct identity who = { .incarnation = i + 1 };

		run[i] = origins_add(&o, &who);
		assert_non_null(run[i]);
		if (i == 16)
			scarce_after(0, true);
		assert_int_equal(store_put(&s, f, run[i], 1, 0),
				 i == 16 ? ERR_NOMEM : ERR_OK);
	}
	assert_int_equal(scarce_end(), 1);
	assert_int_equal(s.count, 16);
	for (unsigned i = 0; i < 17; i++)
		assert_int_equal(store_by_seq(&s, run[i], 1) != NULL, i < 16);
	store_drop_run(&s, run[3]);
	assert_int_equal(s.count, 15);
	store_free(&s);
	origins_free(&o);
	frame_release(f);
}

/* In a run of one message after the other, any of them may be the oldest. */
static void
the_first_of_a_run_may_go_before_an_older_one_of_another(void **state)
{
	struct desk d;

	(void)state;
	open_desk(&d, 3, 100000);
	assert_int_equal(put(&d, 1, 1, 10), ERR_OK);
	assert_int_equal(put(&d, 2, 1, 500), ERR_OK);
	assert_int_equal(put(&d, 2, 2, 500), ERR_OK);
	assert_int_equal(put(&d, 1, 2, 10), ERR_OK);
	assert_true(has(&d, 1, 1)); /* who holds most loses his oldest */
	assert_false(has(&d, 2, 1));
	assert_true(has(&d, 2, 2));
	close_desk(&d);
}

static void a_store_of_no_messages_refuses_all(void **state)
{
	struct desk d;

	(void)state;
	open_desk(&d, 0, 100000);
	assert_int_equal(put(&d, 1, 1, 10), ERR_TOO_LONG);
	close_desk(&d);
	open_desk(&d, 1, 10 + STORE_FRAME_OVERHEAD);
	assert_int_equal(put(&d, 1, 1, 11), ERR_TOO_LONG);
	assert_int_equal(put(&d, 1, 2, 10), ERR_OK);
	close_desk(&d);
}

/* What is held of a run in a thousand pieces is noted for the newest of them;
 * nothing is noted that is not there. */
static void a_run_in_many_pieces_never_claims_what_it_has_not(void **state)
{
	struct desk d;

	(void)state;
	open_desk(&d, 5000, 10000000);
	for (uint64_t i = 0; i < RANGES_SPANS_MAX + 10; i++)
		assert_int_equal(put(&d, 1, 2 * i + 1, 10), ERR_OK);
	assert_int_equal(d.runs[1]->held.n, RANGES_SPANS_MAX);
	for (uint64_t i = 0; i < RANGES_SPANS_MAX + 10; i++) {
		assert_true(has(&d, 1, 2 * i + 1));
		assert_false(ranges_has(&d.runs[1]->held, 2 * i + 2));
		assert_int_equal(ranges_has(&d.runs[1]->held, 2 * i + 1),
				 i >= 10);
	}
	close_desk(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_put_is_found_by_id_and_by_seq),
		cmocka_unit_test(
			a_full_store_drops_the_oldest_of_the_largest_run),
		cmocka_unit_test(
			bytes_are_bounded_and_count_more_than_messages),
		cmocka_unit_test(one_message_that_fits_nowhere_evicts_nobody),
		cmocka_unit_test(frames_are_held_once_and_released),
		cmocka_unit_test(a_dropped_run_leaves_nothing_behind),
		cmocka_unit_test(an_id_is_found_whenever_it_is_asked_for),
		cmocka_unit_test(
			no_memory_for_ids_finds_nothing_now_and_all_later),
		cmocka_unit_test(
			the_beginning_of_an_id_finds_one_or_tells_of_several),
		cmocka_unit_test(random_use_agrees_with_a_naive_model),
		cmocka_unit_test(
			without_memory_a_message_is_not_kept_and_the_others_are),
		cmocka_unit_test(
			without_memory_for_one_more_run_the_others_stay),
		cmocka_unit_test(
			the_first_of_a_run_may_go_before_an_older_one_of_another),
		cmocka_unit_test(a_store_of_no_messages_refuses_all),
		cmocka_unit_test(
			a_run_in_many_pieces_never_claims_what_it_has_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
