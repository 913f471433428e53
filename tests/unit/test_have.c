#include "node_fixture.h"

#include "base/rng.h"

#define FLUSH_MS 100

static const struct range_list *told(const struct fixture *f, uint8_t slot)
{
	const struct message *m = said_to(f, slot, MSG_HAVE, 0);

	assert_non_null(m);
	assert_false(m->have.all);
	assert_false(m->have.more);
	return &m->have.ranges;
}

static bool flushed(struct fixture *f)
{
	return wait_said(f, MSG_HAVE, 5 * FLUSH_MS / 2);
}

static void publish_and_forget(struct fixture *f)
{
	struct letter l = publish(f, "mine");

	letter_free(&l);
}

/* --- new messages -------------------------------------------------------- */

static void an_announcement_waits_a_moment_for_others(void **state)
{
	struct fixture *f = fixture_with_links(3);
	struct identity a = other_run(1);
	int64_t due;

	(void)state;
	assert_true(hear_new(f, 0, &a, 1));
	due = f->node->gossip.flush_ms;
	assert_in_range(due - f->now, FLUSH_MS / 2, 5 * FLUSH_MS / 2);
	f->now += FLUSH_MS / 2 - 1;
	assert_true(hear_new(f, 0, &a, 2));
	assert_int_equal(f->node->gossip.flush_ms, due);
	assert_true(wait_said(f, MSG_HAVE, due - f->now));
	assert_int_equal(f->now, due);
	check_only(told(f, 1), &a, 1, 2);
	check_only(told(f, 2), &a, 1, 2);
	assert_int_equal(said_count(f, 0, MSG_HAVE), 0);
	assert_int_equal(stats(f).have_sent, 2);
	assert_false(wait_said(f, MSG_HAVE, 1000)); /* once is enough */
	fixture_free(f);
}

static void of_4096_messages_it_does_not_wait_for_more(void **state)
{
	struct fixture *f = fixture_with_links(2);
	struct identity a = other_run(1);
	unsigned haves = 0;
	uint64_t next = 1;

	(void)state;
	for (uint64_t i = 1; i <= 10000; i++) {
		assert_true(hear_new(f, 0, &a, i));
		if (said(f, MSG_HAVE) == NULL)
			continue;
		check_only(told(f, 1), &a, next, next + 4095);
		next += 4096;
		haves++;
	}
	assert_int_equal(haves, 2);
	assert_true(flushed(f));
	check_only(told(f, 1), &a, next, 10000);
	fixture_free(f);
}

/* Also who has it: it need not keep for us what we have. */
static void of_much_all_are_told(void **state)
{
	struct fixture *f = fixture_with_links(2);
	struct identity a = other_run(1);

	(void)state;
	for (uint64_t i = 1; i <= 256; i++)
		assert_true(hear_new(f, 0, &a, i));
	assert_true(flushed(f));
	check_only(told(f, 0), &a, 1, 256);
	check_only(told(f, 1), &a, 1, 256);
	for (uint64_t i = 257; i <= 511; i++)
		assert_true(hear_new(f, 0, &a, i));
	assert_true(flushed(f));
	assert_int_equal(said_count(f, 0, MSG_HAVE), 0);
	check_only(told(f, 1), &a, 257, 511);
	/* Then that, too, for what is said to all has no hole. */
	for (uint64_t i = 512; i <= 800; i++)
		assert_true(hear_new(f, 0, &a, i));
	assert_true(flushed(f));
	check_only(told(f, 0), &a, 257, 800);
	check_only(told(f, 1), &a, 257, 800);
	fixture_free(f);
}

static void what_follows_a_hole_is_told_again_with_what_fills_it(void **state)
{
	struct fixture *f = fixture_with_links(2);
	struct identity a = other_run(1);

	(void)state;
	for (uint64_t i = 1; i <= 300; i++)
		assert_true(hear_new(f, 0, &a, i));
	assert_true(flushed(f));
	for (uint64_t i = 302; i <= 600; i++)
		assert_true(hear_new(f, 0, &a, i));
	assert_true(flushed(f));
	check_only(told(f, 0), &a, 302, 600);
	assert_true(hear_recovery(f, 1, &a, 301));
	for (uint64_t i = 601; i <= 900; i++)
		assert_true(hear_new(f, 0, &a, i));
	assert_true(flushed(f));
	check_only(told(f, 0), &a, 301, 900);
	fixture_free(f);
}

/* Who has only the one neighbor that brings all has nothing to say, until the
 * store is so large that it matters who has what. */
static void who_is_told_nothing_is_told_of_much_alone(void **state)
{
	struct fixture *f = fixture_with_links(1);
	struct identity a = other_run(1);
	uint64_t seq = 0;

	(void)state;
	do
		assert_true(hear_new(f, 0, &a, ++seq));
	while (said(f, MSG_HAVE) == NULL && seq < 50000);
	assert_true(stats(f).store_bytes > f->config.gossip.history_bytes / 2);
	check_only(told(f, 0), &a, 1, seq);
	fixture_free(f);
}

static void runs_in_turn_are_a_range_each(void **state)
{
	struct fixture *f = fixture_with_links(2);

	(void)state;
	for (uint64_t i = 1; i <= 300; i++)
		for (unsigned k = 1; k <= 4; k++) {
			struct identity run = other_run(k);

			assert_true(hear_new(f, 0, &run, i));
			assert_null(said(f, MSG_HAVE));
		}
	assert_int_equal(f->node->gossip.fresh_n, 4);
	assert_true(flushed(f));
	assert_int_equal(told(f, 1)->n, 4);
	fixture_free(f);
}

static void a_mebibyte_is_much_at_once(void **state)
{
	struct fixture *f = fixture_with_links(2);
	struct identity a = other_run(1);
	char *text = calloc(1, 65537);
	uint64_t seq = 0;

	(void)state;
	assert_non_null(text);
	memset(text, 'x', 65536);
	do {
		struct letter l = letter_new(&a, ++seq, text);

		hear_letter(f, 0, &l);
		letter_free(&l);
	} while (said(f, MSG_HAVE) == NULL && seq < 100);
	assert_int_equal(seq, 16);
	check_only(told(f, 0), &a, 1, 16);
	check_only(told(f, 1), &a, 1, 16);
	free(text);
	fixture_free(f);
}

static void nor_of_256_ranges(void **state)
{
	struct fixture *f = fixture_with_links(2);
	struct identity a = other_run(1);

	(void)state;
	for (uint64_t i = 1; i <= 255; i++) {
		assert_true(hear_recovery(f, 0, &a, 2 * i));
		assert_null(said(f, MSG_HAVE));
	}
	assert_true(hear_recovery(f, 0, &a, 512));
	assert_int_equal(told(f, 1)->n, 256);
	check_range(&told(f, 1)->v[255], &a, 512, 512);
	assert_false(flushed(f));
	fixture_free(f);
}

static void consecutive_numbers_of_a_run_are_one_range(void **state)
{
	static const uint64_t seqs[] = { 7, 3, 9, 4, 8, 20, 2 };
	struct fixture *f = fixture_with_links(2);
	struct identity a = other_run(1), b = other_run(2);
	const struct range_list *l;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(seqs); i++) {
		assert_true(hear_recovery(f, 0, &b, seqs[i]));
		assert_true(hear_recovery(f, 0, &a, seqs[i] + 100));
	}
	assert_true(flushed(f));
	l = told(f, 1);
	assert_int_equal(l->n, 6);
	check_range(&l->v[0], &b, 2, 4);
	check_range(&l->v[1], &b, 7, 9);
	check_range(&l->v[2], &b, 20, 20);
	check_range(&l->v[3], &a, 102, 104);
	check_range(&l->v[4], &a, 107, 109);
	check_range(&l->v[5], &a, 120, 120);
	fixture_free(f);
}

static void who_was_sent_it_need_not_be_told(void **state)
{
	struct fixture *f = fixture_with_links(2);
	struct identity a = other_run(1);

	(void)state;
	hear_graft_all(f, 1);
	for (uint64_t i = 1; i <= 5; i++)
		assert_true(hear_new(f, 0, &a, i));
	publish_and_forget(f);
	assert_false(flushed(f));
	fixture_free(f);
}

static void nor_who_announced_it_before_it_came(void **state)
{
	struct fixture *f = fixture_with_links(4);
	struct identity a = other_run(1);

	(void)state;
	hear_range(f, 1, MSG_HAVE, &a, 1, 4);
	hear_range(f, 0, MSG_HAVE, &a, 2, 2); /* it is eager */
	assert_true(hear_new(f, 2, &a, 2));
	assert_int_equal(sent_to(f), 0);
	assert_true(hear_new(f, 2, &a, 3));
	assert_int_equal(sent_to(f), link_bit(0));
	assert_true(flushed(f));
	check_only(told(f, 3), &a, 2, 3);
	assert_int_equal(effect_count(f, EF_SAY), 1);
	fixture_free(f);
}

static void nor_who_announced_it_since(void **state)
{
	struct fixture *f = fixture_with_links(3);
	struct identity a = other_run(1);

	(void)state;
	for (uint64_t i = 1; i <= 9; i++)
		assert_true(hear_new(f, 0, &a, i));
	hear_range(f, 1, MSG_HAVE, &a, 3, 7);
	assert_true(flushed(f));
	assert_int_equal(told(f, 1)->n, 2);
	check_range(&told(f, 1)->v[0], &a, 1, 2);
	check_range(&told(f, 1)->v[1], &a, 8, 9);
	check_only(told(f, 2), &a, 1, 9);
	fixture_free(f);
}

static void nor_who_has_sent_a_copy_since(void **state)
{
	struct fixture *f = fixture_with_links(3);
	struct identity a = other_run(1);
	struct letter l = letter_new(&a, 2, "text");

	(void)state;
	assert_true(hear_new(f, 0, &a, 1));
	hear_letter(f, 0, &l);
	assert_false(hear_new(f, 1, &a, 1));
	hear_letter(f, 2, &l);
	assert_true(flushed(f));
	check_only(told(f, 1), &a, 2, 2);
	check_only(told(f, 2), &a, 1, 1);
	letter_free(&l);
	fixture_free(f);
}

static void nor_who_has_announced_mine_since(void **state)
{
	struct fixture *f = fixture_with_links(3);

	(void)state;
	publish_and_forget(f);
	for (uint8_t i = 1; i < 3; i++)
		hear_run(f, i, MSG_PRUNE, node_self(f->node));
	publish_and_forget(f);
	assert_int_equal(sent_to(f), link_bit(0));
	hear_range(f, 1, MSG_HAVE, node_self(f->node), 2, 2);
	assert_true(flushed(f));
	check_only(told(f, 2), node_self(f->node), 2, 2);
	assert_null(said_to(f, 1, MSG_HAVE, 0));
	fixture_free(f);
}

/* Who brought what follows a hole (R16) is asked for it, but has not said
 * that he has it (I2). */
static void who_brought_what_follows_a_hole_is_told_what_fills_it(void **state)
{
	struct fixture *f = fixture_with_links(3);
	struct identity a = other_run(1);

	(void)state;
	assert_true(hear_new(f, 1, &a, 1));
	assert_true(hear_new(f, 1, &a, 3));
	assert_true(hear_new(f, 2, &a, 2));
	assert_int_equal(sent_to(f), link_bit(0) | link_bit(1));
	fixture_free(f);
}

static void who_has_a_part_is_told_the_rest(void **state)
{
	struct fixture *f = fixture_with_links(3);
	struct identity a = other_run(1);

	(void)state;
	assert_true(hear_new(f, 1, &a, 1));
	for (uint64_t i = 1; i <= WANTS_PER_RUN; i++)
		hear_range(f, 2, MSG_HAVE, &a, 10 * i, 10 * i + 8);
	hear_range(f, 1, MSG_HAVE, &a, 10, 10);
	assert_true(hear_recovery(f, 2, &a, 11));
	assert_int_equal(sent_to(f), link_bit(0) | link_bit(1));
	fixture_free(f);
}

static void a_link_that_went_is_not_told(void **state)
{
	struct fixture *f = fixture_with_links(3);
	struct identity a = other_run(1);

	(void)state;
	assert_true(hear_new(f, 0, &a, 1));
	link_down(f, 1, DOWN_RESET);
	assert_true(flushed(f));
	assert_int_equal(said(f, MSG_HAVE)->links, link_bit(2));
	/* Who takes its place has been told of all there was, and no more. */
	assert_true(hear_new(f, 0, &a, 2));
	link_down(f, 2, DOWN_RESET);
	assert_int_equal(link_up(f, 9), 1);
	assert_true(said_to(f, 1, MSG_HAVE, 0)->have.all);
	assert_false(flushed(f));
	fixture_free(f);
}

static void of_a_forgotten_run_nothing_is_announced(void **state)
{
	struct fixture *f = fixture_new(1);
	struct identity a = other_run(1), b = other_run(2), c = other_run(3);

	(void)state;
	f->config.gossip.runs_max = 2;
	fixture_relink(f, 2);
	assert_true(hear_new(f, 0, &a, 1));
	assert_true(hear_new(f, 0, &b, 1));
	assert_true(hear_new(f, 0, &c, 1)); /* a goes */
	assert_true(flushed(f));
	assert_int_equal(told(f, 1)->n, 2);
	check_range(&told(f, 1)->v[0], &b, 1, 1);
	check_range(&told(f, 1)->v[1], &c, 1, 1);
	fixture_free(f);
}

/* --- the whole store ----------------------------------------------------- */

static void an_empty_store_is_nothing_to_talk_about(void **state)
{
	struct fixture *f = fixture_with_links(1);

	(void)state;
	assert_int_equal(stats(f).have_sent, 0);
	link_event(f, 0, EV_DRAINED);
	link_event(f, 0, EV_FULL);
	link_event(f, 0, EV_DRAINED);
	assert_null(said(f, MSG_HAVE));
	assert_int_equal(stats(f).have_sent, 0);
	fixture_free(f);
}

static void a_new_link_is_told_of_all_that_is_held(void **state)
{
	struct fixture *f = fixture_new(1);
	struct identity a = other_run(1), b = other_run(2);
	const struct message *m;

	(void)state;
	f->config.gossip.store_messages = 5;
	fixture_relink(f, 1);
	for (uint64_t i = 1; i <= 5; i++)
		assert_true(hear_new(f, 0, &a, i));
	assert_true(hear_new(f, 0, &b, 4)); /* 1 of a goes */
	assert_true(hear_new(f, 0, &a, 9)); /* 2 */
	link_up(f, 1);
	m = said_to(f, 1, MSG_HAVE, 0);
	assert_true(m->have.all);
	assert_false(m->have.more);
	assert_int_equal(m->have.ranges.n, 3);
	check_range(&m->have.ranges.v[0], &a, 3, 5);
	check_range(&m->have.ranges.v[1], &a, 9, 9);
	check_range(&m->have.ranges.v[2], &b, 4, 4);
	assert_int_equal(effect_count(f, EF_WATCH), 0);
	fixture_free(f);
}

/* The node holds `runs` runs with seq 1, 3 and 5 of each. */
static struct fixture *fixture_full_of_runs(unsigned runs)
{
	struct fixture *f = fixture_new(1);

	f->config.gossip.runs_max = runs;
	fixture_relink(f, 1);
	for (unsigned i = 0; i < runs; i++) {
		struct identity a = other_run(i);

		for (uint64_t k = 1; k <= 5; k += 2)
			assert_true(hear_recovery(f, 0, &a, k));
	}
	return f;
}

static void a_large_store_is_told_in_chunks_as_they_drain(void **state)
{
	enum { RUNS = 900 };
	struct fixture *f = fixture_full_of_runs(RUNS);
	size_t got = 0;

	(void)state;
	assert_int_equal(link_up(f, 1), 1);
	for (unsigned chunk = 0; chunk < 4; chunk++) {
		const struct message *m = said_to(f, 1, MSG_HAVE, 0);
		bool last = chunk == 3;

		assert_int_equal(said_count(f, 1, MSG_HAVE), 1);
		assert_true(m->have.all);
		assert_int_equal(m->have.more, !last);
		assert_int_equal(m->have.ranges.n, last ? 300 : RANGES_MAX);
		assert_int_equal(effect_count(f, EF_WATCH), !last);
		for (size_t i = 0; i < m->have.ranges.n; i++, got++) {
			struct identity a = other_run((unsigned)(got / 3));
			uint64_t seq = 2 * (got % 3) + 1;

			check_range(&m->have.ranges.v[i], &a, seq, seq);
		}
		assert_false(wait_said(f, MSG_HAVE, 2000)); /* not by itself */
		link_event(f, 1, EV_DRAINED);
	}
	assert_int_equal(got, 3 * RUNS);
	assert_int_equal(f->fx.n, 0);
	fixture_free(f);
}

/* A store that fills whole chunks ends with one of them. */
static void what_fits_is_told_in_one(void **state)
{
	struct fixture *f = fixture_new(1);

	(void)state;
	fixture_relink(f, 1);
	for (unsigned i = 0; i < RANGES_MAX; i++) {
		struct identity a = other_run(i);

		assert_true(hear_new(f, 0, &a, 1));
	}
	assert_int_equal(link_up(f, 1), 1);
	for (unsigned chunk = 0; said_to(f, 1, MSG_HAVE, 0)->have.more;
	     chunk++) {
		assert_int_equal(chunk, 0);
		link_event(f, 1, EV_DRAINED);
		assert_int_equal(said_count(f, 1, MSG_HAVE), 1);
	}
	fixture_free(f);
}

static void what_comes_meanwhile_is_announced_as_ever(void **state)
{
	struct fixture *f = fixture_full_of_runs(900);
	struct identity old = other_run(0);
	struct identity late = other_run(899);

	(void)state;
	link_up(f, 1);
	assert_true(hear_recovery(f, 0, &old, 2));  /* the walk is past it, */
	assert_true(hear_recovery(f, 0, &late, 2)); /* and comes to this */
	assert_true(flushed(f));
	assert_int_equal(told(f, 1)->n, 2);
	check_range(&told(f, 1)->v[0], &old, 2, 2);
	check_range(&told(f, 1)->v[1], &late, 2, 2);
	fixture_free(f);
}

/* Where the walk stands the record goes: it goes on behind it, and ends. */
static void runs_that_go_meanwhile_do_no_harm(void **state)
{
	enum { RUNS = 900 };
	struct fixture *f = fixture_full_of_runs(RUNS);
	size_t ranges = RANGES_MAX, chunks = 1;

	(void)state;
	link_up(f, 1);
	/* The longest idle one goes for each that comes: 800 ranges are 266
	 * runs and two of the next, which goes, too. */
	for (unsigned i = 0; i < 270; i++) {
		struct identity a = other_run(RUNS + i);

		assert_true(hear_new(f, 1, &a, 1));
	}
	while (said_to(f, 1, MSG_HAVE, 0) == NULL ||
	       said_to(f, 1, MSG_HAVE, 0)->have.more) {
		const struct message *m;

		link_event(f, 1, EV_DRAINED);
		m = said_to(f, 1, MSG_HAVE, 0);
		assert_true(chunks++ < 10);
		ranges += m->have.ranges.n;
		if (chunks == 2) {
			struct identity next = other_run(270);

			check_range(&m->have.ranges.v[0], &next, 1, 1);
		}
	}
	assert_int_equal(ranges, RANGES_MAX + 3 * (RUNS - 270) + 270);
	fixture_free(f);
}

/* All that the walk had before it is gone: it ends without a range. */
static void a_walk_with_nothing_left_says_so(void **state)
{
	struct fixture *f = fixture_full_of_runs(267);
	struct identity last = other_run(266);

	(void)state;
	for (unsigned i = 0; i < 266; i++) {
		struct identity a = other_run(i);

		assert_true(hear_recovery(f, 0, &a, 7));
	}
	link_up(f, 1);
	assert_true(said_to(f, 1, MSG_HAVE, 0)->have.more);
	/* Whatever stands last in the table now, in the end it ends. */
	for (unsigned i = 0; i < 300; i++) {
		struct identity a = other_run(1000 + i);

		assert_true(hear_new(f, 0, &a, 1));
	}
	assert_null(origins_find(&f->node->gossip.origins, &last));
	for (unsigned i = 0; i < 5 && said_to(f, 1, MSG_HAVE, 0) == NULL; i++)
		link_event(f, 1, EV_DRAINED);
	assert_true(said_to(f, 1, MSG_HAVE, 0)->have.all);
	assert_false(said_to(f, 1, MSG_HAVE, 0)->have.more);
	fixture_free(f);
}

static void a_link_that_gets_full_meanwhile_is_told_from_the_start(void **state)
{
	struct fixture *f = fixture_full_of_runs(900);
	struct identity first = other_run(0);

	(void)state;
	link_up(f, 1);
	link_event(f, 1, EV_DRAINED);
	link_event(f, 1, EV_FULL);
	assert_null(said_to(f, 1, MSG_HAVE, 0));
	link_event(f, 1, EV_DRAINED);
	check_range(&said_to(f, 1, MSG_HAVE, 0)->have.ranges.v[0], &first, 1,
		    1);
	assert_true(said_to(f, 1, MSG_HAVE, 0)->have.more);
	assert_int_equal(effect_one(f, EF_WATCH)->link, 1);
	fixture_free(f);
}

/* Not of the whole store and then of its newest messages once more. */
static void a_link_that_drained_is_told_once(void **state)
{
	struct fixture *f = fixture_with_links(2);
	struct identity a = other_run(1);

	(void)state;
	assert_true(hear_new(f, 0, &a, 1));
	link_event(f, 1, EV_FULL);
	link_event(f, 1, EV_DRAINED);
	check_only(&said_to(f, 1, MSG_HAVE, 0)->have.ranges, &a, 1, 1);
	assert_false(wait_said(f, MSG_HAVE, 1000));
	fixture_free(f);
}

/* --- I2 ------------------------------------------------------------------ */

#define RUNS 3
#define SEQS 120
#define LINKS 5

/* Which messages each link has, or has heard of. */
struct world {
	struct fixture *f;
	struct rng r;
	bool held[RUNS][SEQS + 1];
	bool sent[LINK_SLOTS][RUNS][SEQS + 1];
	bool came[LINK_SLOTS][RUNS][SEQS + 1];
	bool full[LINK_SLOTS];
	unsigned links; /* that came so far */
};

static unsigned draw(struct world *w, unsigned below)
{
	return (unsigned)rng_below(&w->r, below);
}

static void note_ranges(bool v[RUNS][SEQS + 1], const struct range_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		for (unsigned run = 0; run < RUNS; run++) {
			struct identity id = other_run(run);

			if (!identity_equal(&id, &l->v[i].run))
				continue;
			for (uint64_t k = l->v[i].first; k <= l->v[i].last; k++)
				v[run][k] = true;
		}
}

/* What the last step said to whom. run, seq: of the message it was about. */
static void observe(struct world *w, unsigned run, uint64_t seq)
{
	const struct fixture *f = w->f;

	for (size_t i = 0; i < f->fx.n; i++) {
		const struct effect *e = &f->fx.v[i];

		for (uint8_t k = 0; k < LINK_SLOTS; k++) {
			if ((e->links & link_bit(k)) == 0)
				continue;
			if (e->kind == EF_SEND) {
				assert_false(w->full[k]);
				w->sent[k][run][seq] = true;
			} else if (e->kind == EF_SAY &&
				   e->say.type == MSG_HAVE) {
				assert_false(w->full[k]);
				note_ranges(w->sent[k], &e->say.have.ranges);
			}
		}
	}
}

static void world_message(struct world *w, uint8_t slot)
{
	unsigned run = draw(w, RUNS);
	struct identity id = other_run(run);
	uint64_t seq = 1 + draw(w, SEQS);
	static const uint8_t flags[] = { 0, 0, FRAME_SPREAD, FRAME_RECOVERY };

	hear_as(w->f, slot, &id, seq, flags[draw(w, COUNT_OF(flags))]);
	w->held[run][seq] = true;
	w->came[slot][run][seq] = true;
	observe(w, run, seq);
}

static void world_ranges(struct world *w, uint8_t slot, enum message_type type)
{
	unsigned run = draw(w, RUNS);
	struct range r = { other_run(run), 1 + draw(w, SEQS), 0 };
	struct range_list l = { &r, 1 };

	r.last = r.first + draw(w, 5);
	r.last = r.last < SEQS ? r.last : SEQS;
	if (type == MSG_HAVE)
		note_ranges(w->came[slot], &l);
	if (type == MSG_HAVE && draw(w, 3) == 0)
		hear_all(w->f, slot, &r, 1, false);
	else
		hear_ranges(w->f, slot, type, &r, 1);
	observe(w, 0, 0);
}

static void world_link(struct world *w, uint8_t slot)
{
	if (w->f->node->links[slot].up) {
		link_down(w->f, slot, DOWN_RESET);
		observe(w, 0, 0);
		memset(w->sent[slot], 0, sizeof w->sent[slot]);
		memset(w->came[slot], 0, sizeof w->came[slot]);
		w->full[slot] = false;
	} else {
		(void)link_up(w->f, 1000 + w->links++);
		observe(w, 0, 0);
	}
}

/* What its outbox did not take is as good as not sent. */
static void world_full(struct world *w, uint8_t slot)
{
	link_event(w->f, slot, EV_FULL);
	w->full[slot] = true;
	memset(w->sent[slot], 0, sizeof w->sent[slot]);
	observe(w, 0, 0);
}

static void world_drain(struct world *w, uint8_t slot)
{
	w->full[slot] = false;
	link_event(w->f, slot, EV_DRAINED);
	observe(w, 0, 0);
}

static void world_run(struct world *w, uint8_t slot)
{
	struct identity id = other_run(draw(w, RUNS));

	hear_run(w->f, slot, draw(w, 2) ? MSG_GRAFT : MSG_PRUNE, &id);
	observe(w, 0, 0);
}

static void world_time(struct world *w, int64_t ms)
{
	int64_t end = w->f->now + ms;

	while (node_deadline_ms(w->f->node) <= end) {
		if (node_deadline_ms(w->f->node) > w->f->now)
			w->f->now = node_deadline_ms(w->f->node);
		step_kind(w->f, EV_TICK);
		observe(w, 0, 0);
		for (uint8_t i = 0; i < LINK_SLOTS; i++)
			if (w->f->node->links[i].up)
				link_event(w->f, i, EV_HEARD);
	}
	w->f->now = end;
}

static void world_check(struct world *w)
{
	for (uint8_t i = 0; i < LINK_SLOTS; i++)
		while (w->f->node->links[i].up && w->f->node->links[i].watched)
			world_drain(w, i);
	world_time(w, 3 * FLUSH_MS);
	for (uint8_t i = 0; i < LINK_SLOTS; i++) {
		if (!w->f->node->links[i].up)
			continue;
		for (unsigned run = 0; run < RUNS; run++)
			for (uint64_t k = 1; k <= SEQS; k++)
				assert_true(!w->held[run][k] ||
					    w->sent[i][run][k] ||
					    w->came[i][run][k]);
	}
}

static void world_step(struct world *w)
{
	uint8_t slot = (uint8_t)draw(w, LINKS);
	unsigned what = draw(w, 100);

	if (what >= 97) {
		world_link(w, slot);
		return;
	}
	if (!w->f->node->links[slot].up)
		return;
	if (what < 30)
		world_message(w, slot);
	else if (what < 45)
		world_ranges(w, slot, MSG_HAVE);
	else if (what < 55)
		world_ranges(w, slot, MSG_NOT_FOUND);
	else if (what < 65)
		world_run(w, slot);
	else if (what < 85)
		world_time(w, draw(w, 50));
	else if (what < 90)
		world_full(w, slot);
	else if (w->f->node->links[slot].watched)
		world_drain(w, slot);
}

static void world_play(uint64_t seed)
{
	struct world *w = calloc(1, sizeof *w);

	assert_non_null(w);
	w->f = fixture_with_links(LINKS);
	rng_init(&w->r, seed);
	for (unsigned i = 1; i <= 1500; i++) {
		world_step(w);
		if (i % 50 == 0)
			world_check(w);
	}
	fixture_free(w->f);
	free(w);
}

static void each_link_has_or_has_heard_of_all_that_is_held(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 30; seed++)
		world_play(seed);
}

static void who_leaves_hands_over_what_was_not_announced_yet(void **state)
{
	struct fixture *f = fixture_with_links(3);
	struct identity a = other_run(1);
	const struct effect *e;

	(void)state;
	assert_true(hear_new(f, 0, &a, 5));
	assert_true(wait_said(f, MSG_HAVE, 100));
	assert_true(hear_new(f, 0, &a, 6));
	step_kind(f, EV_STOP);
	e = effect_one(f, EF_SEND); /* 6 alone, and before the good-byes */
	assert_ptr_equal(e, &f->fx.v[0]);
	assert_int_equal(e->links & link_bit(0), 0);
	assert_int_not_equal(e->links, 0);
	assert_int_equal(e->send.head.flags, FRAME_RECOVERY);
	assert_null(said(f, MSG_HAVE));
	fixture_free(f);
}

/* A getData for nothing. */
static void who_missed_some_is_told_again_but_not_all_the_time(void **state)
{
	struct fixture *f = fixture_with_links(1);
	struct message m = { .type = MSG_GET_DATA };
	struct identity a = other_run(1);
	uint8_t slot;

	(void)state;
	assert_true(hear_new(f, 0, &a, 1));
	slot = link_up(f, 77);
	assert_non_null(said(f, MSG_HAVE));
	hear(f, slot, &m);
	assert_null(said(f, MSG_HAVE));
	f->now += 10000;
	hear(f, slot, &m);
	assert_non_null(said_to(f, slot, MSG_HAVE, 0));
	assert_true(said_to(f, slot, MSG_HAVE, 0)->have.all);
	hear(f, slot, &m);
	assert_null(said(f, MSG_HAVE));
	fixture_free(f);
}

/* He asks once: he cannot know that it was too early. */
static void who_missed_some_and_asks_early_is_told_later(void **state)
{
	struct fixture *f = fixture_with_links(1);
	struct message m = { .type = MSG_GET_DATA };
	struct identity a = other_run(1);
	int64_t begun;
	uint8_t slot;

	(void)state;
	assert_true(hear_new(f, 0, &a, 1));
	slot = link_up(f, 77);
	begun = f->now;
	hear(f, slot, &m);
	assert_null(said(f, MSG_HAVE));
	while (said(f, MSG_HAVE) == NULL)
		assert_true(tick_heard_until(f, EF_SAY, 6000));
	assert_true(said_to(f, slot, MSG_HAVE, 0)->have.all);
	assert_true(f->now - begun >= 10000 && f->now - begun < 20000);
	assert_false(f->node->links[slot].tell_again);
	fixture_free(f);
}

static void who_is_behind_is_not_handed_more_at_the_end(void **state)
{
	struct fixture *f = fixture_with_links(3);
	struct identity from = other_run(1);

	(void)state;
	assert_true(hear_new(f, 0, &from, 1)); /* 1 and 2 are to hear of it */
	link_event(f, 1, EV_FULL);
	step_kind(f, EV_STOP);
	assert_int_equal(sent_to(f), link_bit(2));
	fixture_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_announcement_waits_a_moment_for_others),
		cmocka_unit_test(of_4096_messages_it_does_not_wait_for_more),
		cmocka_unit_test(nor_of_256_ranges),
		cmocka_unit_test(of_much_all_are_told),
		cmocka_unit_test(
			what_follows_a_hole_is_told_again_with_what_fills_it),
		cmocka_unit_test(a_mebibyte_is_much_at_once),
		cmocka_unit_test(who_is_told_nothing_is_told_of_much_alone),
		cmocka_unit_test(runs_in_turn_are_a_range_each),
		cmocka_unit_test(consecutive_numbers_of_a_run_are_one_range),
		cmocka_unit_test(who_was_sent_it_need_not_be_told),
		cmocka_unit_test(nor_who_announced_it_before_it_came),
		cmocka_unit_test(nor_who_announced_it_since),
		cmocka_unit_test(nor_who_has_sent_a_copy_since),
		cmocka_unit_test(
			who_brought_what_follows_a_hole_is_told_what_fills_it),
		cmocka_unit_test(a_link_that_went_is_not_told),
		cmocka_unit_test(of_a_forgotten_run_nothing_is_announced),
		cmocka_unit_test(an_empty_store_is_nothing_to_talk_about),
		cmocka_unit_test(
			who_leaves_hands_over_what_was_not_announced_yet),
		cmocka_unit_test(a_new_link_is_told_of_all_that_is_held),
		cmocka_unit_test(
			who_missed_some_is_told_again_but_not_all_the_time),
		cmocka_unit_test(who_missed_some_and_asks_early_is_told_later),
		cmocka_unit_test(a_large_store_is_told_in_chunks_as_they_drain),
		cmocka_unit_test(what_fits_is_told_in_one),
		cmocka_unit_test(what_comes_meanwhile_is_announced_as_ever),
		cmocka_unit_test(runs_that_go_meanwhile_do_no_harm),
		cmocka_unit_test(a_walk_with_nothing_left_says_so),
		cmocka_unit_test(
			a_link_that_gets_full_meanwhile_is_told_from_the_start),
		cmocka_unit_test(a_link_that_drained_is_told_once),
		cmocka_unit_test(
			each_link_has_or_has_heard_of_all_that_is_held),
		cmocka_unit_test(nor_who_has_announced_mine_since),
		cmocka_unit_test(who_has_a_part_is_told_the_rest),
		cmocka_unit_test(who_is_behind_is_not_handed_more_at_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
