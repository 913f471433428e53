#include "core/ranges.h"

#include <stdlib.h>
#include <string.h>

void ranges_free(struct ranges *r)
{
	free(r->v);
	*r = (struct ranges){ 0 };
}

/* Index of the first span that ends at or behind seq; n if there is none. */
static size_t find(const struct ranges *r, uint64_t seq)
{
	size_t lo = 0, hi = r->n;

	/* Nearly always the newest span is the one. */
	if (r->n > 0 && r->v[r->n - 1].last < seq)
		return r->n;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (r->v[mid].last < seq)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

bool ranges_has(const struct ranges *r, uint64_t seq)
{
	size_t i = find(r, seq);

	return i < r->n && r->v[i].first <= seq;
}

bool ranges_span(const struct ranges *r, uint64_t seq, struct span *span)
{
	size_t i = find(r, seq);

	if (i == r->n || r->v[i].first > seq)
		return false;
	*span = r->v[i];
	return true;
}

uint64_t ranges_newest(const struct ranges *r)
{
	return r->n > 0 ? r->v[r->n - 1].last : 0;
}

static void remove_spans(struct ranges *r, size_t i, size_t count)
{
	r->n -= count;
	memmove(&r->v[i], &r->v[i + count], (r->n - i) * sizeof *r->v);
}

static enum err insert_span(struct ranges *r, size_t i, struct span s)
{
	if (r->n == r->cap) {
		size_t cap = r->cap ? r->cap * 2 : 1;
		struct span *v = realloc(r->v, cap * sizeof *v);

		if (v == NULL)
			return ERR_NOMEM;
		r->v = v;
		r->cap = cap;
	}
	memmove(&r->v[i + 1], &r->v[i], (r->n - i) * sizeof *r->v);
	r->v[i] = s;
	r->n++;
	return ERR_OK;
}

static void close_oldest_hole(struct ranges *r, struct span *closed)
{
	if (closed != NULL)
		*closed = (struct span){ r->v[0].last + 1, r->v[1].first - 1 };
	r->v[1].first = r->v[0].first;
	remove_spans(r, 0, 1);
}

enum err ranges_add(struct ranges *r, uint64_t first, uint64_t last,
		    struct span *closed)
{
	/* The spans that [first, last] overlaps or touches are i .. end-1. */
	size_t i = find(r, first > 0 ? first - 1 : 0), end = i;
	enum err e;

	if (closed != NULL)
		closed->first = 0;
	while (end < r->n && r->v[end].first <= last + 1)
		end++;
	if (end > i) {
		if (r->v[i].first > first)
			r->v[i].first = first;
		if (r->v[end - 1].last > last)
			last = r->v[end - 1].last;
		r->v[i].last = last;
		remove_spans(r, i + 1, end - i - 1);
		return ERR_OK;
	}
	e = insert_span(r, i, (struct span){ first, last });
	if (e == ERR_OK && r->n > RANGES_SPANS_MAX)
		close_oldest_hole(r, closed);
	return e;
}

enum err ranges_remove(struct ranges *r, uint64_t seq)
{
	size_t i = find(r, seq);
	struct span tail;
	enum err e;

	if (i == r->n || r->v[i].first > seq)
		return ERR_OK;
	tail = (struct span){ seq + 1, r->v[i].last };
	if (r->v[i].first == seq && tail.last == seq) {
		remove_spans(r, i, 1);
	} else if (r->v[i].first == seq) {
		r->v[i].first = seq + 1;
	} else if (tail.last == seq) {
		r->v[i].last = seq - 1;
	} else {
		e = insert_span(r, i + 1, tail);
		if (e != ERR_OK)
			return e;
		r->v[i].last = seq - 1;
	}
	return ERR_OK;
}

void ranges_forget_first(struct ranges *r)
{
	remove_spans(r, 0, 1);
}

bool ranges_gap(const struct ranges *r, uint64_t from, uint64_t to,
		struct span *gap)
{
	size_t i = find(r, from);

	if (i < r->n && r->v[i].first <= from) {
		from = r->v[i].last + 1;
		i++;
	}
	if (i < r->n && r->v[i].first <= to)
		to = r->v[i].first - 1;
	*gap = (struct span){ from, to };
	return from <= to;
}

bool ranges_overlap(const struct ranges *r, uint64_t from, uint64_t to,
		    struct span *common)
{
	size_t i = find(r, from);

	if (i == r->n || r->v[i].first > to)
		return false;
	common->first = r->v[i].first > from ? r->v[i].first : from;
	common->last = r->v[i].last < to ? r->v[i].last : to;
	return true;
}
