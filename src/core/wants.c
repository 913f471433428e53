#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(elt) ((elt)->count = UINT_MAX)

#include "core/wants.h"

#include "base/crypto.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

static link_set bit(uint8_t link)
{
	return (link_set)(link < LINK_SLOTS ? 1u << link : 0);
}

void wants_init(struct wants *w, uint32_t max, uint64_t secret)
{
	memset(w, 0, sizeof *w);
	w->max = max;
	w->secret = secret;
}

void wants_free(struct wants *w)
{
	while (w->n > 0)
		wants_drop(w, w->heap[w->n - 1]);
	free(w->heap);
}

/* --- the heap by time ------------------------------------------------- */

static void heap_set(struct wants *w, uint32_t pos, struct want *t)
{
	w->heap[pos] = t;
	t->heap_pos = pos;
}

static bool before(const struct want *a, const struct want *b)
{
	return a->due_ms != b->due_ms ? a->due_ms < b->due_ms
				      : a->number < b->number;
}

static void heap_up(struct wants *w, uint32_t pos, struct want *t)
{
	while (pos > 0 && before(t, w->heap[(pos - 1) / 2])) {
		heap_set(w, pos, w->heap[(pos - 1) / 2]);
		pos = (pos - 1) / 2;
	}
	heap_set(w, pos, t);
}

static void heap_down(struct wants *w, uint32_t pos, struct want *t)
{
	for (;;) {
		uint32_t below = 2 * pos + 1;

		if (below >= w->n)
			break;
		if (below + 1 < w->n &&
		    before(w->heap[below + 1], w->heap[below]))
			below++;
		if (!before(w->heap[below], t))
			break;
		heap_set(w, pos, w->heap[below]);
		pos = below;
	}
	heap_set(w, pos, t);
}

static enum err heap_add(struct wants *w, struct want *t)
{
	if (w->n == w->cap) {
		uint32_t cap = w->cap ? w->cap * 2 : 8;
		struct want **h = realloc(w->heap, cap * sizeof(*h));

		if (h == NULL)
			return ERR_NOMEM;
		w->heap = h;
		w->cap = cap;
	}
	heap_up(w, w->n++, t);
	return ERR_OK;
}

static void heap_remove(struct wants *w, struct want *t)
{
	struct want *last = w->heap[--w->n];

	if (last == t)
		return;
	heap_up(w, t->heap_pos, last);
	heap_down(w, last->heap_pos, last);
}

void wants_set_due(struct wants *w, struct want *t, int64_t due_ms)
{
	t->due_ms = due_ms;
	heap_up(w, t->heap_pos, t);
	heap_down(w, t->heap_pos, t);
}

struct want *wants_next(const struct wants *w)
{
	return w->n > 0 ? w->heap[0] : NULL;
}

/* --- runs and their lists --------------------------------------------- */

/* Whoever announces chooses the identity. */
static unsigned id_hash(const struct wants *w, const struct identity *id)
{
	return (unsigned)hash_keyed(w->secret, id, IDENTITY_BYTES);
}

static struct wanted_run *find_run(const struct wants *w,
				   const struct identity *id)
{
	struct wanted_run *r = NULL;

	if (w->n > 0)
		HASH_FIND_BYHASHVALUE(hh, w->runs, id, IDENTITY_BYTES,
				      id_hash(w, id), r);
	return r;
}

static struct wanted_run *add_run(struct wants *w, const struct identity *id)
{
	struct wanted_run *r = calloc(1, sizeof *r);

	if (r == NULL)
		return NULL;
	r->id = *id;
	HASH_ADD_KEYPTR_BYHASHVALUE(hh, w->runs, &r->id, IDENTITY_BYTES,
				    id_hash(w, id), r);
	if (r->count == UINT_MAX) { /* uthash had no memory */
		free(r);
		return NULL;
	}
	return r;
}

static void drop_run_if_empty(struct wants *w, struct wanted_run *r)
{
	if (r->count > 0)
		return;
	HASH_DELETE(hh, w->runs, r);
	free(r);
}

static void link_behind(struct wanted_run *r, struct want *after,
			struct want *t)
{
	t->prev = after;
	t->next = after != NULL ? after->next : r->first;
	if (t->next != NULL)
		t->next->prev = t;
	if (after != NULL)
		after->next = t;
	else
		r->first = t;
	r->count++;
}

static void unlink_want(struct wanted_run *r, struct want *t)
{
	if (t->prev != NULL)
		t->prev->next = t->next;
	else
		r->first = t->next;
	if (t->next != NULL)
		t->next->prev = t->prev;
	r->count--;
}

/* A copy of `like`, with its place behind `after`; NULL when out of memory. */
static struct want *insert(struct wants *w, const struct want *like,
			   struct want *after)
{
	struct want *t = malloc(sizeof *t);

	if (t == NULL)
		return NULL;
	*t = *like;
	t->in_line = false;
	t->number = ++w->numbers;
	if (heap_add(w, t) != ERR_OK) {
		free(t);
		return NULL;
	}
	link_behind(t->run, after, t);
	if (t->maker != LINK_NONE) {
		w->made[t->maker]++;
		t->run->made[t->maker]++;
	}
	return t;
}

void wants_line_up(struct wants *w, struct want *t)
{
	if (!t->in_line)
		DL_APPEND2(w->line, t, line_prev, line_next);
	t->in_line = true;
}

void wants_leave_line(struct wants *w, struct want *t)
{
	if (t->in_line)
		DL_DELETE2(w->line, t, line_prev, line_next);
	t->in_line = false;
}

void wants_drop(struct wants *w, struct want *t)
{
	struct wanted_run *r = t->run;

	wants_leave_line(w, t);
	heap_remove(w, t);
	unlink_want(r, t);
	if (t->maker != LINK_NONE) {
		w->made[t->maker]--;
		r->made[t->maker]--;
	}
	free(t);
	drop_run_if_empty(w, r);
}

static int by_number(const void *a, const void *b)
{
	const struct want *x = *(struct want *const *)a;
	const struct want *y = *(struct want *const *)b;

	return (x->number > y->number) - (x->number < y->number);
}

void wants_hurry(struct wants *w, int64_t now_ms)
{
	if (w->n > 1) /* then sorted by number is a heap */
		qsort(w->heap, w->n, sizeof(*w->heap), by_number);
	for (uint32_t i = 0; i < w->n; i++) {
		w->heap[i]->due_ms = now_ms;
		w->heap[i]->heap_pos = i;
	}
}

/* --- splitting -------------------------------------------------------- */

struct want *wants_split(struct wants *w, struct want *t, uint64_t count)
{
	struct want tail = *t, *cut;

	tail.first = t->first + count;
	cut = insert(w, &tail, t);
	if (cut != NULL)
		t->last = tail.first - 1;
	return cut;
}

/* The part of t within first .. last as a want of its own, if it may be cut
 * out; else t as it is. */
static struct want *carve(struct wants *w, struct want *t, uint64_t first,
			  uint64_t last)
{
	if (t->run->count + 2 > WANTS_PER_RUN)
		return t;
	if (t->first < first) {
		struct want *cut = wants_split(w, t, first - t->first);

		if (cut == NULL)
			return t;
		t = cut;
	}
	if (t->last > last)
		(void)!wants_split(w, t, last - t->first + 1);
	return t;
}

/* --- announcements ---------------------------------------------------- */

/* Announcements cost nothing, so nobody's may fill a run. A hole was made by
 * messages, and there is a place for each that a run can have: what is not
 * noted of it would be lost. */
static bool may_add(const struct wants *w, const struct wanted_run *r,
		    const struct announcement *a)
{
	if (r->count >= WANTS_PER_RUN)
		return false;
	return a->link == LINK_NONE ||
	       (w->made[a->link] < w->max &&
		(a->guess || r->made[a->link] < WANTS_PER_LINK));
}

/* Nothing has happened to either yet that would tell them apart. */
static bool is_like(const struct want *a, const struct want *b)
{
	return a->announced == b->announced && a->guessed == b->guessed &&
	       a->denied == 0 && a->tried == 0 && a->asked == LINK_NONE &&
	       a->rounds == 0 && a->graft == b->graft && a->maker == b->maker &&
	       a->hopeless_ms == b->hopeless_ms;
}

static struct want *add_new(struct wants *w, struct wanted_run *r,
			    struct want *after, struct span s,
			    const struct announcement *a)
{
	struct want t = { .first = s.first,
			  .last = s.last,
			  .run = r,
			  .announced = a->guess ? 0 : bit(a->link),
			  .guessed = a->guess ? bit(a->link) : 0,
			  .asked = LINK_NONE,
			  .maker = a->link,
			  .graft = a->graft,
			  .due_ms = a->due_ms,
			  .hopeless_ms = -1 };

	/* Each has its own time, unless there are too many. */
	if (r->count >= WANTS_CROWD && after != NULL &&
	    after->last + 1 == s.first && is_like(after, &t)) {
		after->last = s.last;
		return after;
	}
	return may_add(w, r, a) ? insert(w, &t, after) : NULL;
}

/* One more source of a want that is there; of a part of it, a guess. */
static void add_source(struct wants *w, struct want *t, bool whole,
		       const struct announcement *a)
{
	if (whole && !a->guess)
		t->announced = (link_set)(t->announced | bit(a->link));
	else
		t->guessed = (link_set)(t->guessed | bit(a->link));
	t->denied = (link_set)(t->denied & ~bit(a->link));
	t->hopeless_ms = -1;
	if (t->asked == LINK_NONE && a->due_ms < t->due_ms)
		wants_set_due(w, t, a->due_ms);
}

/* A place in a run's list: behind `before`, at `at`. */
struct place {
	struct want *before, *at;
};

/* first .. last, of which nothing is here, from that place on. */
static bool announce_gap(struct wants *w, struct wanted_run *r, struct place *p,
			 struct span s, const struct announcement *a)
{
	while (p->at != NULL && p->at->last < s.first) {
		p->before = p->at;
		p->at = p->at->next;
	}
	while (s.first <= s.last) {
		struct want *t = p->at;

		if (t == NULL || t->first > s.first) { /* wanted by nobody */
			struct span new = s;

			if (t != NULL && t->first <= s.last)
				new.last = t->first - 1;
			t = add_new(w, r, p->before, new, a);
			if (t == NULL)
				return false;
			s.first = new.last + 1;
		} else {
			t = carve(w, t, s.first, s.last);
			add_source(w, t,
				   t->first >= s.first && t->last <= s.last, a);
			s.first = t->last + 1;
		}
		p->before = t;
		p->at = t->next;
	}
	return true;
}

bool wants_announce(struct wants *w, const struct identity *run,
		    const struct ranges *here, uint64_t first, uint64_t last,
		    const struct announcement *a, unsigned *looks)
{
	static const struct ranges nothing;
	struct wanted_run *r = find_run(w, run);
	struct place p = { NULL, NULL };
	bool whole = true;
	struct span gap;

	if (here == NULL)
		here = &nothing;
	if (!ranges_gap(here, first, last, &gap))
		return true;
	if (r == NULL && (a->link == LINK_NONE || w->made[a->link] < w->max))
		r = add_run(w, run);
	if (r == NULL)
		return false;
	p.at = r->first;
	while (whole && first <= last && ranges_gap(here, first, last, &gap)) {
		whole = *looks > 0 && announce_gap(w, r, &p, gap, a);
		*looks -= *looks > 0;
		first = gap.last + 1;
	}
	drop_run_if_empty(w, r);
	return whole;
}

struct want *wants_find(const struct wants *w, const struct identity *run,
			uint64_t seq)
{
	struct wanted_run *r = find_run(w, run);
	struct want *t = r != NULL ? r->first : NULL;

	while (t != NULL && t->last < seq)
		t = t->next;
	return t != NULL && t->first <= seq ? t : NULL;
}

bool wants_gap(const struct wants *w, const struct identity *run, uint64_t from,
	       uint64_t to, struct span *gap)
{
	struct wanted_run *r = find_run(w, run);
	struct want *t = r != NULL ? r->first : NULL;

	for (; t != NULL && t->first <= from; t = t->next)
		if (t->last >= from)
			from = t->last + 1;
	if (t != NULL && t->first <= to)
		to = t->first - 1;
	*gap = (struct span){ from, to };
	return from <= to;
}

void wants_deny(struct wants *w, const struct identity *run, uint64_t first,
		uint64_t last, uint8_t link, int64_t now_ms)
{
	struct wanted_run *r = find_run(w, run);
	struct want *t = r != NULL ? r->first : NULL;

	for (; t != NULL && t->first <= last; t = t->next) {
		if (t->last < first || (t->denied & bit(link)) != 0 ||
		    ((t->announced | t->guessed) & bit(link)) == 0)
			continue;
		t = carve(w, t, first, last);
		t->denied = (link_set)(t->denied | bit(link));
		if (t->asked == link || t->asked == LINK_NONE)
			wants_set_due(w, t, now_ms);
	}
}

void wants_forget_link(struct wants *w, uint8_t link, int64_t now_ms)
{
	struct wanted_run *r, *next;

	HASH_ITER (hh, w->runs, r, next)
		for (struct want *t = r->first; t != NULL; t = t->next) {
			t->announced = (link_set)(t->announced & ~bit(link));
			t->guessed = (link_set)(t->guessed & ~bit(link));
			t->denied = (link_set)(t->denied & ~bit(link));
			t->tried = (link_set)(t->tried & ~bit(link));
			if (t->maker == link) {
				t->maker = LINK_NONE;
				w->made[link]--;
				r->made[link]--;
			}
			if (t->asked == link ||
			    (t->announced | t->guessed) == 0)
				wants_set_due(w, t, now_ms);
			if (t->asked == link)
				t->asked = LINK_NONE;
		}
}

struct want *wants_overlapping(const struct wants *w,
			       const struct identity *run, uint64_t first,
			       uint64_t last)
{
	struct wanted_run *r = find_run(w, run);
	struct want *t = r != NULL ? r->first : NULL;

	while (t != NULL && t->last < first)
		t = t->next;
	return t != NULL && t->first <= last ? t : NULL;
}

uint64_t wants_trim(struct wants *w, struct want *t, uint64_t first,
		    uint64_t last)
{
	uint64_t before = want_size(t), rest = 0;

	if (t->first >= first) {
		t->first = last + 1;
	} else {
		if (t->last > last) {
			struct want *tail =
				wants_split(w, t, last + 1 - t->first);

			/* Without memory for it the tail is not wanted. */
			rest = tail != NULL ? want_size(tail) : 0;
		}
		t->last = first - 1;
	}
	return before - want_size(t) - rest;
}

uint64_t wants_take(struct wants *w, struct want *t, uint64_t seq)
{
	if (t->first < t->last)
		return wants_trim(w, t, seq, seq);
	wants_drop(w, t);
	return 1;
}
