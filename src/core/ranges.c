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

static void remove_span(struct ranges *r, size_t i)
{
	r->n--;
	memmove(&r->v[i], &r->v[i + 1], (r->n - i) * sizeof *r->v);
}

static enum err insert_span(struct ranges *r, size_t i, uint64_t seq,
			    uint64_t *lost)
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
	r->v[i] = (struct span){ seq, seq };
	r->n++;
	if (r->n > RANGES_SPANS_MAX) {
		if (lost != NULL)
			*lost += r->v[1].first - r->v[0].last - 1;
		r->v[1].first = r->v[0].first;
		remove_span(r, 0);
	}
	return ERR_OK;
}

enum err ranges_add(struct ranges *r, uint64_t seq, uint64_t *lost)
{
	size_t i = find(r, seq);
	bool joins_left = i > 0 && r->v[i - 1].last + 1 == seq;
	bool joins_right = i < r->n && r->v[i].first == seq + 1;

	if (i < r->n && r->v[i].first <= seq)
		return ERR_OK;
	if (joins_left && joins_right) {
		r->v[i - 1].last = r->v[i].last;
		remove_span(r, i);
	} else if (joins_left) {
		r->v[i - 1].last = seq;
	} else if (joins_right) {
		r->v[i].first = seq;
	} else {
		return insert_span(r, i, seq, lost);
	}
	return ERR_OK;
}
