#include "scarce.h"
#include "test.h"

#include "base/rng.h"
#include "core/wants.h"

#include <limits.h>
#include <utlist.h>

#define PLENTY 100000
#define A 0 /* links */
#define B 1
#define C 2

/* Nothing of it is here, and no limit but those of the table. */
static bool say_has(struct wants *w, const struct identity *run, uint64_t first,
		    uint64_t last, const struct announcement *a)
{
	unsigned looks = UINT_MAX;

	return wants_announce(w, run, NULL, first, last, a, &looks);
}

static struct identity run_id(unsigned n)
{
	struct identity id = { .incarnation = 7000 + n };

	return id;
}

static bool announce_at(struct wants *w, uint8_t link, uint64_t first,
			uint64_t last, int64_t due_ms)
{
	struct identity run = run_id(0);
	struct announcement a = { .link = link, .due_ms = due_ms };

	return say_has(w, &run, first, last, &a);
}

static bool announce(struct wants *w, uint8_t link, uint64_t first,
		     uint64_t last)
{
	return announce_at(w, link, first, last, 100);
}

static struct want *find(const struct wants *w, uint64_t seq)
{
	struct identity run = run_id(0);

	return wants_find(w, &run, seq);
}

static void deny(struct wants *w, uint8_t link, uint64_t first, uint64_t last,
		 int64_t now)
{
	struct identity run = run_id(0);

	wants_deny(w, &run, first, last, link, now);
}

/* --- what must always hold ----------------------------------------------- */

static void check_run(const struct wanted_run *r)
{
	const struct want *before = NULL;
	unsigned count = 0;

	for (const struct want *t = r->first; t != NULL; t = t->next) {
		assert_ptr_equal(t->run, r);
		assert_ptr_equal(t->prev, before);
		assert_true(t->first <= t->last);
		assert_true(before == NULL || before->last < t->first);
		assert_int_equal(t->denied & ~(t->announced | t->guessed), 0);
		before = t;
		count++;
	}
	assert_true(count > 0); /* an empty run does not stay */
	assert_int_equal(r->count, count);
}

static void check_heap(const struct wants *w)
{
	uint32_t made[LINK_SLOTS] = { 0 };

	for (uint32_t i = 0; i < w->n; i++) {
		const struct want *t = w->heap[i];

		assert_int_equal(t->heap_pos, i);
		assert_true(i == 0 ||
			    w->heap[(i - 1) / 2]->due_ms <= t->due_ms);
		if (t->maker != LINK_NONE)
			made[t->maker]++;
	}
	assert_memory_equal(made, w->made, sizeof made);
}

static void check_line(const struct wants *w)
{
	const struct want *t;
	unsigned waiting = 0, counted = 0;

	for (uint32_t i = 0; i < w->n; i++)
		waiting += w->heap[i]->in_line;
	DL_FOREACH2(w->line, t, line_next)
	{
		assert_true(t->in_line);
		counted++;
	}
	assert_int_equal(counted, waiting);
}

static void check_all(const struct wants *w)
{
	struct wanted_run *r, *next;
	uint32_t sum = 0;

	HASH_ITER (hh, w->runs, r, next) {
		check_run(r);
		sum += r->count;
	}
	assert_int_equal(w->n, sum);
	check_heap(w);
	check_line(w);
}

static const struct wanted_run *run_of(const struct wants *w,
				       const struct identity *id)
{
	const struct wanted_run *r = w->runs;

	while (r != NULL && !identity_equal(&r->id, id))
		r = r->hh.next;
	return r;
}

/* The wants of run 0 as text: "1-3a 4-6aB" is 1 .. 3 announced by link 0, and
 * 4 .. 6 by 0 and 1, the latter denied since. */
static void check_text(const struct wants *w, const char *expected)
{
	struct identity run = run_id(0);
	char text[512] = "";
	size_t n = 0;
	const struct wanted_run *r = NULL;

	check_all(w);
	r = run_of(w, &run);
	for (const struct want *t = r ? r->first : NULL; t; t = t->next) {
		n += (size_t)snprintf(text + n, sizeof text - n, "%s%u-%u",
				      n ? " " : "", (unsigned)t->first,
				      (unsigned)t->last);
		for (unsigned i = 0; i < LINK_SLOTS; i++)
			if (t->announced & 1u << i)
				text[n++] = (char)((t->denied & 1u << i ? 'A'
									: 'a') +
						   i);
		assert_true(n < sizeof text);
		text[n] = '\0';
	}
	assert_string_equal(text, expected);
}

/* --- announcing ---------------------------------------------------------- */

static void what_is_announced_first_is_one_want(void **state)
{
	struct announcement a = { .link = B, .graft = true, .due_ms = 70 };
	struct identity run = run_id(0);
	struct wants w;
	struct want *t;

	(void)state;
	wants_init(&w, PLENTY, 42);
	assert_null(wants_next(&w));
	assert_null(find(&w, 1));
	assert_true(say_has(&w, &run, 3, 12, &a));
	check_text(&w, "3-12b");
	assert_null(find(&w, 2));
	assert_null(find(&w, 13));
	t = find(&w, 3);
	assert_ptr_equal(t, find(&w, 12));
	assert_ptr_equal(t, wants_next(&w));
	assert_int_equal(want_size(t), 10);
	assert_int_equal(t->due_ms, 70);
	assert_true(t->graft);
	assert_int_equal(t->asked, LINK_NONE);
	assert_true(t->hopeless_ms < 0);
	wants_free(&w);
}

static void a_second_source_cuts_where_its_range_ends(void **state)
{
	struct wants w;

	(void)state;
	wants_init(&w, PLENTY, 42);
	assert_true(announce(&w, A, 1, 10));
	assert_true(announce(&w, B, 4, 6));
	check_text(&w, "1-3a 4-6ab 7-10a");
	assert_true(announce(&w, C, 1, 3)); /* on the cuts: no new ones */
	check_text(&w, "1-3ac 4-6ab 7-10a");
	assert_true(announce(&w, C, 3, 7));
	check_text(&w, "1-2ac 3-3ac 4-6abc 7-7ac 8-10a");
	assert_true(announce(&w, B, 1, 10));
	check_text(&w, "1-2abc 3-3abc 4-6abc 7-7abc 8-10ab");
	wants_free(&w);
}

static void a_range_over_several_wants_fills_what_is_between(void **state)
{
	struct wants w;

	(void)state;
	wants_init(&w, PLENTY, 42);
	assert_true(announce(&w, A, 8, 9));
	assert_true(announce(&w, A, 3, 4)); /* in any order */
	assert_true(announce(&w, B, 1, 12));
	check_text(&w, "1-2b 3-4ab 5-7b 8-9ab 10-12b");
	wants_free(&w);
}

static void ranges_that_touch_stay_apart(void **state)
{
	struct wants w;

	(void)state;
	wants_init(&w, PLENTY, 42);
	assert_true(announce(&w, A, 5, 6));
	assert_true(announce(&w, A, 7, 8));
	assert_true(announce(&w, A, 4, 4));
	check_text(&w, "4-4a 5-6a 7-8a");
	assert_true(announce(&w, A, 5, 6)); /* said again: nothing changes */
	check_text(&w, "4-4a 5-6a 7-8a");
	wants_free(&w);
}

static void the_widest_range_is_one_want(void **state)
{
	uint64_t last = (UINT64_C(1) << 53) - 1;
	struct wants w;

	(void)state;
	wants_init(&w, PLENTY, 42);
	assert_true(announce(&w, A, 1, last));
	assert_int_equal(w.n, 1);
	assert_true(announce(&w, B, last, last));
	assert_true(announce(&w, C, 1, 1));
	assert_int_equal(w.n, 3);
	assert_int_equal(find(&w, last)->announced, 1u << A | 1u << B);
	assert_int_equal(find(&w, last - 1)->announced, 1u << A);
	assert_int_equal(find(&w, 1)->announced, 1u << A | 1u << C);
	check_all(&w);
	wants_free(&w);
}

static void runs_have_nothing_in_common(void **state)
{
	struct announcement a = { .link = A, .due_ms = 5 };
	struct identity run[2] = { run_id(0), run_id(1) };
	struct wants w;

	(void)state;
	wants_init(&w, PLENTY, 42);
	assert_true(say_has(&w, &run[0], 1, 10, &a));
	assert_true(say_has(&w, &run[1], 4, 6, &a));
	check_text(&w, "1-10a");
	assert_null(wants_find(&w, &run[1], 1));
	wants_deny(&w, &run[1], 1, 10, A, 5);
	check_text(&w, "1-10a");
	wants_drop(&w, wants_find(&w, &run[1], 4));
	assert_null(wants_find(&w, &run[1], 4));
	check_text(&w, "1-10a");
	wants_free(&w);
}

static void a_hurried_source_brings_the_time_forward_never_back(void **state)
{
	struct wants w;

	(void)state;
	wants_init(&w, PLENTY, 42);
	announce_at(&w, A, 1, 9, 500);
	announce_at(&w, B, 1, 9, 700);
	assert_int_equal(find(&w, 1)->due_ms, 500);
	announce_at(&w, B, 4, 5, 300);
	assert_int_equal(find(&w, 3)->due_ms, 500);
	assert_int_equal(find(&w, 4)->due_ms, 300);
	assert_ptr_equal(wants_next(&w), find(&w, 5));
	/* Somebody is being asked: he has his time to answer. */
	find(&w, 4)->asked = A;
	announce_at(&w, C, 4, 5, 100);
	assert_int_equal(find(&w, 4)->due_ms, 300);
	check_text(&w, "1-3ab 4-5abc 6-9ab");
	wants_free(&w);
}

static void who_announces_again_has_it_again(void **state)
{
	struct wants w;

	(void)state;
	wants_init(&w, PLENTY, 42);
	announce(&w, A, 1, 9);
	deny(&w, A, 1, 9, 50);
	find(&w, 1)->hopeless_ms = 50;
	check_text(&w, "1-9A");
	announce(&w, A, 5, 9);
	check_text(&w, "1-4A 5-9a");
	assert_int_equal(find(&w, 4)->hopeless_ms, 50);
	assert_true(find(&w, 5)->hopeless_ms < 0);
	wants_free(&w);
}

/* R16: he may be asked, but has not said that he has it. */
static void a_guess_is_no_announcement(void **state)
{
	struct announcement a = { .link = A, .guess = true, .due_ms = 500 };
	struct identity run = run_id(0);
	struct wants w;

	(void)state;
	wants_init(&w, PLENTY, 42);
	assert_true(say_has(&w, &run, 1, 9, &a));
	check_text(&w, "1-9");
	assert_int_equal(find(&w, 1)->guessed, 1u << A);
	assert_int_equal(w.made[A], 1);
	deny(&w, A, 4, 9, 90);
	assert_int_equal(find(&w, 4)->denied, 1u << A);
	assert_int_equal(find(&w, 4)->due_ms, 90);
	assert_int_equal(find(&w, 3)->due_ms, 500);
	announce(&w, B, 8, 9);
	announce(&w, A, 8, 9); /* now he says so */
	check_text(&w, "1-3 4-7 8-9ab");
	wants_forget_link(&w, A, 70);
	check_text(&w, "1-3 4-7 8-9b");
	assert_int_equal(find(&w, 1)->guessed, 0);
	assert_int_equal(find(&w, 1)->due_ms, 70);
	assert_int_equal(find(&w, 8)->due_ms, 90);
	wants_free(&w);
}

static void check_gap(const struct wants *w, uint64_t from, uint64_t to,
		      uint64_t first, uint64_t last)
{
	struct identity run = run_id(0);
	struct span gap = { 0 };

	assert_int_equal(wants_gap(w, &run, from, to, &gap), first <= last);
	if (first > last)
		return;
	assert_int_equal(gap.first, first);
	assert_int_equal(gap.last, last);
}

static void a_gap_is_what_is_not_wanted_yet(void **state)
{
	struct wants w;

	(void)state;
	wants_init(&w, PLENTY, 42);
	check_gap(&w, 3, 8, 3, 8);
	announce(&w, A, 5, 6);
	announce(&w, A, 7, 9);
	announce(&w, A, 20, 29);
	check_gap(&w, 1, 4, 1, 4);
	check_gap(&w, 1, 5, 1, 4);
	check_gap(&w, 1, 99, 1, 4);
	check_gap(&w, 5, 9, 1, 0); /* none */
	check_gap(&w, 6, 99, 10, 19);
	check_gap(&w, 12, 15, 12, 15);
	check_gap(&w, 29, 99, 30, 99);
	check_gap(&w, 30, 30, 30, 30);
	check_gap(&w, 25, 29, 1, 0);
	wants_free(&w);
}

/* --- messages come ------------------------------------------------------- */

static void what_came_leaves_its_want(void **state)
{
	struct wants w;

	(void)state;
	wants_init(&w, PLENTY, 42);
	announce(&w, A, 1, 9);
	assert_int_equal(wants_take(&w, find(&w, 1), 1), 1);
	check_text(&w, "2-9a");
	assert_int_equal(wants_take(&w, find(&w, 9), 9), 1);
	check_text(&w, "2-8a");
	assert_int_equal(wants_take(&w, find(&w, 5), 5), 1);
	check_text(&w, "2-4a 6-8a");
	assert_null(find(&w, 5));
	assert_int_equal(wants_take(&w, find(&w, 3), 3), 1);
	check_text(&w, "2-2a 4-4a 6-8a");
	assert_int_equal(wants_take(&w, find(&w, 4), 4), 1);
	check_text(&w, "2-2a 6-8a");
	assert_int_equal(wants_take(&w, find(&w, 2), 2), 1);
	for (uint64_t i = 6; i <= 8; i++)
		assert_int_equal(wants_take(&w, find(&w, i), i), 1);
	assert_int_equal(w.n, 0);
	assert_int_equal(HASH_COUNT(w.runs), 0);
	assert_int_equal(w.made[A], 0);
	wants_free(&w);
}

static void both_halves_go_on_as_the_whole_was(void **state)
{
	struct wants w;
	struct want *t;

	(void)state;
	wants_init(&w, PLENTY, 42);
	announce_at(&w, A, 1, 9, 400);
	announce_at(&w, B, 1, 9, 400);
	deny(&w, B, 1, 9, 400);
	t = find(&w, 1);
	t->asked = A;
	t->tried = 1u << A;
	t->rounds = 3;
	t->asked_ms = 333;
	t->hopeless_ms = 22;
	assert_int_equal(wants_take(&w, t, 5), 1);
	check_text(&w, "1-4aB 6-9aB");
	for (unsigned i = 1; i <= 6; i += 5) {
		t = find(&w, i);
		assert_int_equal(t->asked, A);
		assert_int_equal(t->tried, 1u << A);
		assert_int_equal(t->rounds, 3);
		assert_int_equal(t->asked_ms, 333);
		assert_int_equal(t->hopeless_ms, 22);
		assert_int_equal(t->due_ms, 400);
	}
	wants_free(&w);
}

static void a_split_cuts_off_what_follows(void **state)
{
	struct wants w;
	struct want *rest;

	(void)state;
	wants_init(&w, PLENTY, 42);
	announce(&w, A, 11, 20);
	announce(&w, A, 30, 30);
	rest = wants_split(&w, find(&w, 11), 3);
	assert_ptr_equal(rest, find(&w, 14));
	check_text(&w, "11-13a 14-20a 30-30a");
	assert_int_equal(w.made[A], 3);
	wants_free(&w);
}

/* --- denials and lost links ---------------------------------------------- */

static void who_has_not_got_a_part_is_asked_for_the_others_only(void **state)
{
	struct wants w;

	(void)state;
	wants_init(&w, PLENTY, 42);
	announce_at(&w, A, 1, 9, 500);
	announce_at(&w, B, 1, 9, 500);
	find(&w, 1)->asked = B;
	deny(&w, B, 4, 5, 80);
	check_text(&w, "1-3ab 4-5aB 6-9ab");
	assert_int_equal(find(&w, 4)->due_ms, 80); /* somebody else, now */
	assert_int_equal(find(&w, 3)->due_ms, 500);
	assert_int_equal(find(&w, 6)->due_ms, 500);
	/* B is being asked for the rest; A has time to be asked later. */
	deny(&w, A, 8, 20, 90);
	check_text(&w, "1-3ab 4-5aB 6-7ab 8-9Ab");
	assert_int_equal(find(&w, 8)->due_ms, 500);
	wants_free(&w);
}

static void who_announced_nothing_denies_nothing(void **state)
{
	struct wants w;

	(void)state;
	wants_init(&w, PLENTY, 42);
	announce_at(&w, A, 1, 9, 500);
	deny(&w, B, 2, 5, 80);
	deny(&w, A, 10, 500, 80);
	check_text(&w, "1-9a");
	assert_int_equal(find(&w, 1)->due_ms, 500);
	wants_free(&w);
}

static void a_lost_link_has_nothing_and_is_asked_nothing(void **state)
{
	struct wants w;

	(void)state;
	wants_init(&w, PLENTY, 42);
	announce_at(&w, A, 1, 3, 500); /* A alone */
	announce_at(&w, A, 4, 6, 500); /* both, A is asked */
	announce_at(&w, B, 4, 6, 500);
	announce_at(&w, A, 7, 9, 500); /* both, B is asked */
	announce_at(&w, B, 7, 9, 500);
	deny(&w, A, 9, 9, 500);
	find(&w, 4)->asked = A;
	find(&w, 7)->asked = B;
	find(&w, 7)->tried = 1u << A | 1u << B;
	assert_int_equal(w.made[A], 4);
	wants_forget_link(&w, A, 90);
	check_text(&w, "1-3 4-6b 7-8b 9-9b");
	assert_int_equal(w.made[A], 0);
	assert_int_equal(find(&w, 1)->due_ms, 90);
	assert_int_equal(find(&w, 4)->due_ms, 90);
	assert_int_equal(find(&w, 4)->asked, LINK_NONE);
	assert_int_equal(find(&w, 7)->due_ms, 500);
	assert_int_equal(find(&w, 7)->asked, B);
	assert_int_equal(find(&w, 7)->tried, 1u << B);
	wants_free(&w);
}

/* --- limits -------------------------------------------------------------- */

static void each_link_has_a_limit_of_its_own(void **state)
{
	struct wants w;

	(void)state;
	wants_init(&w, 3, 42);
	for (uint64_t i = 1; i <= 5; i++)
		assert_int_equal(announce(&w, A, 10 * i, 10 * i + 1), i <= 3);
	check_text(&w, "10-11a 20-21a 30-31a");
	assert_true(announce(&w, B, 40, 41)); /* not at the others' cost */
	assert_true(announce(&w, A, 40, 41)); /* one more source costs none */
	check_text(&w, "10-11a 20-21a 30-31a 40-41ab");
	assert_false(announce(&w, A, 30, 50)); /* the known part counts */
	check_text(&w, "10-11a 20-21a 30-31a 40-41ab");
	wants_drop(&w, find(&w, 10));
	assert_true(announce(&w, A, 12, 12));
	wants_free(&w);
}

static void a_refused_run_leaves_nothing_behind(void **state)
{
	struct announcement a = { .link = A };
	struct wants w;

	(void)state;
	wants_init(&w, 1, 42);
	announce(&w, A, 1, 1);
	for (unsigned i = 1; i < 100; i++) {
		struct identity run = run_id(i);

		assert_false(say_has(&w, &run, 1, 5, &a));
	}
	assert_int_equal(HASH_COUNT(w.runs), 1);
	assert_int_equal(w.n, 1);
	wants_free(&w);
}

static void a_run_with_too_many_pieces_is_cut_no_more(void **state)
{
	struct identity other = run_id(1);
	struct announcement a = { .link = A };
	struct wants w;

	(void)state;
	wants_init(&w, PLENTY, 42);
	for (uint64_t i = 1; i <= WANTS_PER_RUN; i++)
		assert_true(
			announce(&w, (uint8_t)(4 + i % 4), 10 * i, 10 * i + 4));
	assert_false(announce(&w, A, 7, 7));
	assert_false(announce(&w, B, 1, 2));
	/* Who has a part may have the whole; who has not, has nothing. */
	assert_true(announce(&w, B, 12, 12));
	assert_int_equal(find(&w, 10)->announced, 1u << 5);
	assert_int_equal(find(&w, 10)->guessed, 1u << B);
	assert_ptr_equal(find(&w, 14), find(&w, 10));
	deny(&w, B, 13, 13, 50);
	assert_int_equal(find(&w, 10)->denied, 1u << B);
	assert_int_equal(w.n, WANTS_PER_RUN);
	/* Other runs are no worse off. */
	assert_true(say_has(&w, &other, 1, 10, &a));
	check_all(&w);
	wants_free(&w);
}

/* What cannot be noted of a hole is lost, so announcements leave room. */
static void a_hole_is_noted_among_all_that_a_link_announced(void **state)
{
	struct announcement a = { .link = A, .guess = true };
	struct identity run = run_id(0);
	struct wants w;

	(void)state;
	wants_init(&w, PLENTY, 42);
	for (uint64_t i = 1; i <= WANTS_PER_LINK; i++)
		assert_true(announce(&w, A, 10 * i, 10 * i));
	assert_false(announce(&w, A, 7, 7));
	for (uint64_t i = WANTS_PER_LINK; i < WANTS_PER_RUN; i++)
		assert_true(say_has(&w, &run, 10 * i + 5, 10 * i + 6, &a));
	assert_int_equal(w.n, WANTS_PER_RUN);
	assert_int_equal(find(&w, 10 * WANTS_PER_LINK + 5)->guessed, 1u << A);
	assert_false(say_has(&w, &run, 7, 7, &a));
	check_all(&w);
	wants_free(&w);
}

static void one_wide_range_over_a_full_run_ends_in_time(void **state)
{
	uint64_t last = (UINT64_C(1) << 53) - 1;
	struct wants w;

	(void)state;
	wants_init(&w, PLENTY, 42);
	for (uint64_t i = 1; i <= WANTS_PER_LINK; i++)
		assert_true(announce(&w, A, 10 * i, 10 * i));
	/* One in each gap, and there is no room for the last of them. */
	assert_false(announce(&w, B, 1, last));
	assert_int_equal(w.n, 2 * WANTS_PER_LINK);
	assert_int_equal(find(&w, 10 * WANTS_PER_LINK)->announced,
			 1u << A | 1u << B);
	check_all(&w);
	wants_free(&w);
}

/* One message after the other, announced before any came. */
static void in_a_crowd_what_is_alike_becomes_one(void **state)
{
	struct wants w;

	(void)state;
	wants_init(&w, PLENTY, 42);
	for (uint64_t i = 1; i <= 3000; i++)
		assert_true(announce(&w, A, i, i));
	assert_int_equal(w.n, WANTS_CROWD);
	assert_int_equal(find(&w, 3000)->first, WANTS_CROWD);
	/* Not with what has another source. */
	assert_true(announce(&w, B, 3001, 3001));
	assert_int_equal(w.n, WANTS_CROWD + 1);
	check_all(&w);
	wants_free(&w);
}

/* --- order --------------------------------------------------------------- */

static void the_one_that_is_due_first_is_next(void **state)
{
	enum { COUNT = 120 };
	int64_t before = 0;
	struct wants w;
	struct rng r;

	(void)state;
	wants_init(&w, PLENTY, 42);
	rng_init(&r, 3);
	for (uint64_t i = 1; i <= COUNT; i++)
		announce_at(&w, A, 2 * i, 2 * i, 1000);
	for (uint64_t i = 1; i <= COUNT; i++) {
		wants_set_due(&w, find(&w, 2 * i), (int64_t)rng_below(&r, 300));
		check_heap(&w);
	}
	for (unsigned i = 0; i < COUNT; i++) {
		struct want *t = wants_next(&w);

		assert_true(t->due_ms >= before);
		before = t->due_ms;
		wants_drop(&w, t);
		check_heap(&w);
	}
	assert_null(wants_next(&w));
	wants_free(&w);
}

static void who_waits_longer_stands_further_to_the_front(void **state)
{
	struct wants w;

	(void)state;
	wants_init(&w, PLENTY, 42);
	for (uint64_t i = 1; i <= 5; i++) {
		announce(&w, A, 2 * i, 2 * i);
		wants_line_up(&w, find(&w, 2 * i));
	}
	wants_line_up(&w, find(&w, 2)); /* he stands there already */
	check_line(&w);
	wants_leave_line(&w, find(&w, 6));
	wants_leave_line(&w, find(&w, 6));
	wants_drop(&w, find(&w, 2));
	assert_int_equal(wants_take(&w, find(&w, 10), 10), 1);
	check_line(&w);
	assert_ptr_equal(w.line, find(&w, 4));
	assert_ptr_equal(w.line->line_next, find(&w, 8));
	wants_line_up(&w, find(&w, 6));
	assert_ptr_equal(w.line->line_next->line_next, find(&w, 6));
	check_all(&w);
	wants_free(&w);
}

static void a_piece_of_who_waits_does_not_wait(void **state)
{
	struct wants w;

	(void)state;
	wants_init(&w, PLENTY, 42);
	announce(&w, A, 1, 9);
	wants_line_up(&w, find(&w, 1));
	assert_int_equal(wants_take(&w, find(&w, 5), 5), 1);
	assert_true(find(&w, 1)->in_line);
	assert_false(find(&w, 6)->in_line);
	check_all(&w);
	wants_drop(&w, find(&w, 6));
	wants_drop(&w, find(&w, 1));
	assert_null(w.line);
	wants_free(&w);
}

static void what_overlaps_is_found_and_trimmed(void **state)
{
	struct identity run = run_id(0), other = run_id(1);
	struct wants w;

	(void)state;
	wants_init(&w, PLENTY, 42);
	announce(&w, A, 10, 19);
	announce(&w, A, 30, 39);
	assert_null(wants_overlapping(&w, &run, 1, 9));
	assert_null(wants_overlapping(&w, &run, 20, 29));
	assert_null(wants_overlapping(&w, &run, 40, 99));
	assert_null(wants_overlapping(&w, &other, 1, 99));
	assert_ptr_equal(wants_overlapping(&w, &run, 19, 99), find(&w, 10));
	assert_ptr_equal(wants_overlapping(&w, &run, 20, 30), find(&w, 30));
	/* from the front, from the end, out of the middle */
	assert_int_equal(wants_trim(&w, find(&w, 10), 1, 12), 3);
	assert_null(find(&w, 12));
	assert_int_equal(find(&w, 13)->last, 19);
	assert_int_equal(wants_trim(&w, find(&w, 13), 18, 25), 2);
	assert_int_equal(find(&w, 13)->last, 17);
	assert_int_equal(wants_trim(&w, find(&w, 30), 33, 34), 2);
	assert_int_equal(find(&w, 30)->last, 32);
	assert_int_equal(find(&w, 35)->last, 39);
	check_all(&w);
	wants_free(&w);
}

/* --- against a model that looks at each number --------------------------- */

#define RUNS 2
#define SEQS 120 /* fewer than WANTS_CROWD: each keeps its own time */
#define LINKS 4

struct cell {
	bool wanted;
	link_set announced, denied;
	uint8_t asked;
	int64_t due_ms;
};

struct model {
	struct wants w;
	struct rng r;
	struct cell v[RUNS][SEQS + 1];
	bool exact; /* no limit was reached */
};

static void model_announce(struct model *m, unsigned run, uint64_t first,
			   uint64_t last, uint8_t link)
{
	struct announcement a = { .link = link,
				  .due_ms = (int64_t)rng_below(&m->r, 1000) };
	struct identity id = run_id(run);
	bool whole = say_has(&m->w, &id, first, last, &a);

	assert_true(whole || !m->exact);
	for (uint64_t i = first; i <= last; i++) {
		struct cell *c = &m->v[run][i];

		if (wants_find(&m->w, &id, i) == NULL) {
			assert_false(whole);
			break; /* refused, and so is what follows */
		}
		if (!c->wanted)
			*c = (struct cell){ .wanted = true,
					    .asked = LINK_NONE,
					    .due_ms = a.due_ms };
		c->announced = (link_set)(c->announced | 1u << link);
		c->denied = (link_set)(c->denied & ~(1u << link));
		if (c->asked == LINK_NONE && a.due_ms < c->due_ms)
			c->due_ms = a.due_ms;
	}
}

static void model_take(struct model *m, unsigned run, uint64_t seq)
{
	struct identity id = run_id(run);
	struct want *t = wants_find(&m->w, &id, seq);

	assert_int_equal(t != NULL, m->v[run][seq].wanted);
	if (t == NULL)
		return;
	assert_int_equal(wants_take(&m->w, t, seq), 1);
	m->v[run][seq].wanted = false;
}

static void model_deny(struct model *m, unsigned run, uint64_t first,
		       uint64_t last, uint8_t link)
{
	int64_t now = (int64_t)rng_below(&m->r, 1000);
	struct identity id = run_id(run);

	wants_deny(&m->w, &id, first, last, link, now);
	for (uint64_t i = first; i <= last; i++) {
		struct cell *c = &m->v[run][i];

		if (!c->wanted || (c->announced & 1u << link) == 0 ||
		    (c->denied & 1u << link) != 0)
			continue;
		c->denied = (link_set)(c->denied | 1u << link);
		if (c->asked == link || c->asked == LINK_NONE)
			c->due_ms = now;
	}
}

static void model_forget(struct model *m, uint8_t link)
{
	int64_t now = (int64_t)rng_below(&m->r, 1000);

	wants_forget_link(&m->w, link, now);
	for (unsigned run = 0; run < RUNS; run++)
		for (uint64_t i = 1; i <= SEQS; i++) {
			struct cell *c = &m->v[run][i];

			c->announced = (link_set)(c->announced & ~(1u << link));
			c->denied = (link_set)(c->denied & ~(1u << link));
			if (c->asked == link || c->announced == 0)
				c->due_ms = now;
			if (c->asked == link)
				c->asked = LINK_NONE;
		}
}

/* What pull.c does with one want: it asks for it, or for its first part, lets
 * it wait in line, or gives it up. */
static void model_decide(struct model *m, unsigned run, uint64_t seq)
{
	struct identity id = run_id(run);
	struct want *t = wants_find(&m->w, &id, seq);
	int64_t due = (int64_t)rng_below(&m->r, 1000);
	unsigned what = (unsigned)rng_below(&m->r, 5);

	if (t == NULL)
		return;
	if (what == 0 && want_size(t) > 1 && m->w.n < SEQS) {
		assert_non_null(wants_split(
			&m->w, t, 1 + rng_below(&m->r, want_size(t) - 1)));
		return;
	}
	if (what == 1) {
		wants_line_up(&m->w, t);
		return;
	}
	wants_leave_line(&m->w, t);
	if (what == 2)
		t->asked = (uint8_t)rng_below(&m->r, LINKS);
	wants_set_due(&m->w, t, due);
	for (uint64_t i = t->first; i <= t->last; i++) {
		m->v[run][i].asked = t->asked;
		m->v[run][i].due_ms = due;
		m->v[run][i].wanted = what != 3;
	}
	if (what == 3)
		wants_drop(&m->w, t);
}

static void model_check(const struct model *m)
{
	check_all(&m->w);
	for (unsigned run = 0; run < RUNS; run++) {
		const struct wanted_run *r = NULL;
		const struct want *t;
		struct identity id = run_id(run);

		r = run_of(&m->w, &id);
		t = r != NULL ? r->first : NULL;
		for (uint64_t i = 1; i <= SEQS; i++) {
			const struct cell *c = &m->v[run][i];

			while (t != NULL && t->last < i)
				t = t->next;
			if (t == NULL || t->first > i) {
				assert_false(c->wanted);
				continue;
			}
			assert_true(c->wanted);
			assert_int_equal(c->asked, t->asked);
			assert_int_equal(c->due_ms, t->due_ms);
			assert_int_equal(c->announced, t->announced);
			assert_int_equal(c->denied, t->denied);
		}
	}
}

static void model_run(uint64_t seed, uint32_t max, unsigned widest)
{
	struct model *m = calloc(1, sizeof *m);

	assert_non_null(m);
	wants_init(&m->w, max, 42);
	rng_init(&m->r, seed);
	m->exact = max == PLENTY;
	for (unsigned i = 0; i < 20000; i++) {
		unsigned run = (unsigned)rng_below(&m->r, RUNS);
		uint8_t link = (uint8_t)rng_below(&m->r, LINKS);
		uint64_t first = 1 + rng_below(&m->r, SEQS), last;
		unsigned what = (unsigned)rng_below(&m->r, 100);

		last = first + rng_below(&m->r, widest);
		last = last < SEQS ? last : SEQS;
		if (what < 25)
			model_announce(m, run, first, last, link);
		else if (what < 70)
			model_take(m, run, first);
		else if (what < 80)
			model_deny(m, run, first, last, link);
		else if (what < 99)
			model_decide(m, run, first);
		else if (what == 99)
			model_forget(m, link);
		model_check(m);
	}
	wants_free(&m->w);
	free(m);
}

static void random_wants_are_what_a_plain_table_says(void **state)
{
	(void)state;
	model_run(1, PLENTY, 20);
	model_run(2, PLENTY, SEQS);
}

/* The link's limit holds at every announcement; what is refused is not there
 * and nothing else changes. */
static void random_wants_within_a_limit_are_so_too(void **state)
{
	(void)state;
	model_run(3, 15, 40);
}

/* Each allocation of what one announcement needs fails in turn. */
static void without_memory_less_is_wanted_and_the_rest_stays_whole(void **state)
{
	unsigned failures = 0;

	(void)state;
	for (unsigned before = 0; before < 10; before++) {
		for (long left = 0;; left++) {
			struct wants w;
			bool failed;

			wants_init(&w, PLENTY, 42);
			for (unsigned i = 0; i < before; i++)
				announce(&w, A, 100 * i + 10, 100 * i + 50);
			scarce_after(left, false);
			announce(&w, B, 1, 30); /* cuts the first in two */
			failed = scarce_end() > 0;
			failures += failed;
			check_all(&w);
			/* Said again, all of it is wanted. */
			announce(&w, B, 1, 30);
			check_all(&w);
			for (uint64_t seq = 1; seq <= 30; seq++) {
				struct want *t = find(&w, seq);

				assert_non_null(t);
				assert_true((t->announced & (1u << B)) != 0);
			}
			wants_free(&w);
			if (!failed)
				break;
		}
	}
	assert_true(failures > 20);
}

/* Better too little than what is here already: it would be fetched again and
 * at last called lost. */
static void without_memory_the_rest_behind_a_message_is_forgotten(void **state)
{
	struct want *t;
	struct wants w;

	(void)state;
	wants_init(&w, PLENTY, 42);
	announce(&w, A, 1, 9);
	t = find(&w, 5);
	scarce_after(0, true);
	assert_int_equal(wants_take(&w, t, 5), 5);
	assert_int_equal(scarce_end(), 1);
	check_all(&w);
	assert_int_equal(t->first, 1);
	assert_int_equal(t->last, 4);
	assert_null(find(&w, 9));
	wants_free(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_announced_first_is_one_want),
		cmocka_unit_test(a_second_source_cuts_where_its_range_ends),
		cmocka_unit_test(
			a_range_over_several_wants_fills_what_is_between),
		cmocka_unit_test(ranges_that_touch_stay_apart),
		cmocka_unit_test(the_widest_range_is_one_want),
		cmocka_unit_test(runs_have_nothing_in_common),
		cmocka_unit_test(
			a_hurried_source_brings_the_time_forward_never_back),
		cmocka_unit_test(who_announces_again_has_it_again),
		cmocka_unit_test(a_guess_is_no_announcement),
		cmocka_unit_test(a_gap_is_what_is_not_wanted_yet),
		cmocka_unit_test(what_came_leaves_its_want),
		cmocka_unit_test(both_halves_go_on_as_the_whole_was),
		cmocka_unit_test(a_split_cuts_off_what_follows),
		cmocka_unit_test(
			who_has_not_got_a_part_is_asked_for_the_others_only),
		cmocka_unit_test(who_announced_nothing_denies_nothing),
		cmocka_unit_test(a_lost_link_has_nothing_and_is_asked_nothing),
		cmocka_unit_test(each_link_has_a_limit_of_its_own),
		cmocka_unit_test(a_refused_run_leaves_nothing_behind),
		cmocka_unit_test(a_run_with_too_many_pieces_is_cut_no_more),
		cmocka_unit_test(
			a_hole_is_noted_among_all_that_a_link_announced),
		cmocka_unit_test(one_wide_range_over_a_full_run_ends_in_time),
		cmocka_unit_test(in_a_crowd_what_is_alike_becomes_one),
		cmocka_unit_test(the_one_that_is_due_first_is_next),
		cmocka_unit_test(who_waits_longer_stands_further_to_the_front),
		cmocka_unit_test(a_piece_of_who_waits_does_not_wait),
		cmocka_unit_test(what_overlaps_is_found_and_trimmed),
		cmocka_unit_test(random_wants_are_what_a_plain_table_says),
		cmocka_unit_test(random_wants_within_a_limit_are_so_too),
		cmocka_unit_test(
			without_memory_less_is_wanted_and_the_rest_stays_whole),
		cmocka_unit_test(
			without_memory_the_rest_behind_a_message_is_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
