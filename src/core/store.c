#include "core/store.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_SLOTS 64
#define BLOCK 8 /* seqs in a row that lie side by side in the index */

void store_init(struct store *s, uint64_t count_max, uint64_t bytes_max,
		uint64_t secret)
{
	memset(s, 0, sizeof *s);
	s->count_max = count_max;
	s->bytes_max = bytes_max;
	s->free = STORE_NONE;
	s->unnamed_first = s->unnamed_last = STORE_NONE;
	s->secret = secret | 1;
}

void store_free(struct store *s)
{
	for (uint32_t i = 0; i < s->n; i++)
		frame_release(s->v[i].frame);
	free(s->v);
	free(s->heap);
	index_free(&s->by_id);
	index_free(&s->by_seq);
}

static uint64_t id_hash(const struct store *s, const struct hash *id)
{
	uint64_t w;

	memcpy(&w, id->b, sizeof w);
	w *= s->secret;
	return w ^ (w >> 29);
}

/* Both of these are the choice of whoever publishes. The index uses the hash as
 * a place: eight in a row, which is how messages come and go, lie side by side,
 * in a line of the cache or two, and are hashed once. */
static uint64_t seq_hash(const struct store *s, struct block *b,
			 uint64_t number, uint64_t seq)
{
	uint64_t key[2] = { number, seq / BLOCK };

	if (b->number != number || b->seqs != seq / BLOCK)
		*b = (struct block){ .number = number,
				     .seqs = seq / BLOCK,
				     .hash = (uint32_t)hash_keyed(
					     s->secret, key, sizeof key) };
	return b->hash - b->hash % BLOCK + seq % BLOCK;
}

/* --- the heap of runs ------------------------------------------------- */

static void heap_set(struct store *s, uint32_t pos, struct origin *run)
{
	s->heap[pos] = run;
	run->heap_pos = pos;
}

static void heap_up(struct store *s, uint32_t pos, struct origin *run)
{
	while (pos > 0) {
		struct origin *above = s->heap[(pos - 1) / 2];

		if (above->held_bytes >= run->held_bytes)
			break;
		heap_set(s, pos, above);
		pos = (pos - 1) / 2;
	}
	heap_set(s, pos, run);
}

static void heap_down(struct store *s, uint32_t pos, struct origin *run)
{
	for (;;) {
		uint32_t below = 2 * pos + 1;

		if (below >= s->heap_n)
			break;
		if (below + 1 < s->heap_n &&
		    s->heap[below + 1]->held_bytes > s->heap[below]->held_bytes)
			below++;
		if (s->heap[below]->held_bytes <= run->held_bytes)
			break;
		heap_set(s, pos, s->heap[below]);
		pos = below;
	}
	heap_set(s, pos, run);
}

static enum err heap_add(struct store *s, struct origin *run)
{
	if (s->heap_n == s->heap_cap) {
		uint32_t cap = s->heap_cap ? s->heap_cap * 2 : 16;
		struct origin **h = realloc(s->heap, cap * sizeof(*h));

		if (h == NULL)
			return ERR_NOMEM;
		s->heap = h;
		s->heap_cap = cap;
	}
	heap_up(s, s->heap_n++, run);
	return ERR_OK;
}

static void heap_remove(struct store *s, struct origin *run)
{
	struct origin *last = s->heap[--s->heap_n];

	if (last == run)
		return;
	heap_up(s, run->heap_pos, last);
	heap_down(s, last->heap_pos, last);
}

/* --- ids, when they are asked for ------------------------------------- */

static void await_name(struct store *s, uint32_t slot)
{
	struct stored *e = &s->v[slot];

	e->before = s->unnamed_last;
	e->after = STORE_NONE;
	if (s->unnamed_last != STORE_NONE)
		s->v[s->unnamed_last].after = slot;
	else
		s->unnamed_first = slot;
	s->unnamed_last = slot;
}

static void leave_unnamed(struct store *s, const struct stored *e)
{
	if (e->before != STORE_NONE)
		s->v[e->before].after = e->after;
	else
		s->unnamed_first = e->after;
	if (e->after != STORE_NONE)
		s->v[e->after].before = e->before;
	else
		s->unnamed_last = e->before;
}

static enum err name(struct store *s, uint32_t slot)
{
	struct stored *e = &s->v[slot];
	enum err err;

	e->id = hash_of(e->frame->body, e->frame->body_bytes);
	err = index_put(&s->by_id, id_hash(s, &e->id), slot);
	if (err != ERR_OK)
		return err;
	leave_unnamed(s, e);
	e->named = true;
	return ERR_OK;
}

static enum err name_all(struct store *s)
{
	enum err e = ERR_OK;

	while (e == ERR_OK && s->unnamed_first != STORE_NONE)
		e = name(s, s->unnamed_first);
	return e;
}

/* --- slots ------------------------------------------------------------ */

static enum err take_slot(struct store *s, uint32_t *slot)
{
	if (s->free != STORE_NONE) {
		*slot = s->free;
		s->free = s->v[*slot].newer;
		return ERR_OK;
	}
	if (s->n == s->cap) {
		uint32_t cap = s->cap ? s->cap * 2 : FIRST_SLOTS;
		struct stored *v = realloc(s->v, cap * sizeof *v);

		if (v == NULL)
			return ERR_NOMEM;
		s->v = v;
		s->cap = cap;
	}
	*slot = s->n++;
	return ERR_OK;
}

static void give_slot(struct store *s, uint32_t slot)
{
	memset(&s->v[slot], 0, sizeof s->v[slot]);
	s->v[slot].newer = s->free;
	s->free = slot;
}

uint64_t store_size(const struct frame *f)
{
	return (uint64_t)f->body_bytes + STORE_FRAME_OVERHEAD;
}

/* The oldest of its run: nobody else ever goes. */
static void unlink_oldest(struct store *s, struct stored *e)
{
	struct origin *run = e->run;

	run->held_oldest = e->newer;
	if (e->newer == STORE_NONE)
		run->held_newest = STORE_NONE;
	run->held_count--;
	run->held_bytes -= store_size(e->frame);
	if (run->held_count == 0)
		heap_remove(s, run);
	else
		heap_down(s, run->heap_pos, run);
}

static void drop_oldest(struct store *s, const struct origin *run)
{
	uint32_t slot = run->held_oldest;
	struct stored *e = &s->v[slot];

	unlink_oldest(s, e);
	if (e->named)
		index_remove(&s->by_id, id_hash(s, &e->id), slot);
	else
		leave_unnamed(s, e);
	index_remove(&s->by_seq,
		     seq_hash(s, &s->dropped, e->run->number, e->seq), slot);
	(void)!ranges_remove(&e->run->held, e->seq); /* it may say too much */
	s->count--;
	s->bytes -= store_size(e->frame);
	frame_release(e->frame);
	give_slot(s, slot);
}

const struct stored *store_first_to_go(const struct store *s)
{
	return s->heap_n > 0 ? &s->v[s->heap[0]->held_oldest] : NULL;
}

void store_drop_first(struct store *s)
{
	drop_oldest(s, s->heap[0]);
}

static void link_newest(struct store *s, uint32_t slot, struct origin *run)
{
	struct stored *e = &s->v[slot];

	e->newer = STORE_NONE;
	if (run->held_newest != STORE_NONE)
		s->v[run->held_newest].newer = slot;
	else
		run->held_oldest = slot;
	run->held_newest = slot;
	run->held_count++;
	run->held_bytes += store_size(e->frame);
	heap_up(s, run->heap_pos, run);
	s->count++;
	s->bytes += store_size(e->frame);
}

static enum err index_slot(struct store *s, uint32_t slot, struct origin *run,
			   uint64_t seq)
{
	enum err e = index_put(&s->by_seq,
			       seq_hash(s, &s->put, run->number, seq), slot);

	if (e != ERR_OK)
		return e;
	if (run->held_count == 0) {
		run->held_oldest = run->held_newest = STORE_NONE;
		e = heap_add(s, run);
		if (e != ERR_OK)
			goto no_heap;
	}
	/* Only a forger's run is in that many pieces. */
	if (run->held.n == RANGES_SPANS_MAX)
		ranges_forget_first(&run->held);
	e = ranges_add(&run->held, seq, seq, NULL);
	if (e != ERR_OK)
		goto no_range;
	return ERR_OK;
no_range:
	if (run->held_count == 0)
		heap_remove(s, run);
no_heap:
	index_remove(&s->by_seq, seq_hash(s, &s->put, run->number, seq), slot);
	return e;
}

enum err store_put(struct store *s, struct frame *f, struct origin *run,
		   uint64_t seq, uint8_t hops)
{
	uint32_t slot = 0;
	enum err e;

	if (store_size(f) > s->bytes_max || s->count_max == 0)
		return ERR_TOO_LONG;
	while (s->count >= s->count_max ||
	       s->bytes + store_size(f) > s->bytes_max)
		store_drop_first(s);
	e = take_slot(s, &slot);
	if (e != ERR_OK)
		return e;
	e = index_slot(s, slot, run, seq);
	if (e != ERR_OK) {
		give_slot(s, slot);
		return e;
	}
	s->v[slot] = (struct stored){
		.frame = frame_hold(f), .run = run, .seq = seq, .hops = hops
	};
	link_newest(s, slot, run);
	await_name(s, slot);
	return ERR_OK;
}

/* --- looking up ------------------------------------------------------- */

struct probe {
	const struct store *store;
	const struct hash *id;
	const struct origin *run;
	uint64_t seq;
};

static bool same_id(const void *ctx, uint32_t slot)
{
	const struct probe *p = ctx;

	return memcmp(&p->store->v[slot].id, p->id, sizeof *p->id) == 0;
}

static bool same_seq(const void *ctx, uint32_t slot)
{
	const struct probe *p = ctx;
	const struct stored *e = &p->store->v[slot];

	return e->run == p->run && e->seq == p->seq;
}

const struct stored *store_by_id(struct store *s, const struct hash *id)
{
	struct probe p = { .store = s, .id = id };
	uint32_t slot;

	if (name_all(s) != ERR_OK)
		return NULL;
	slot = index_find(&s->by_id, id_hash(s, id), same_id, &p);
	return slot == INDEX_NONE ? NULL : &s->v[slot];
}

const struct stored *store_by_seq(struct store *s, const struct origin *run,
				  uint64_t seq)
{
	struct probe p = { .store = s, .run = run, .seq = seq };
	uint32_t slot =
		index_find(&s->by_seq, seq_hash(s, &s->put, run->number, seq),
			   same_seq, &p);

	return slot == INDEX_NONE ? NULL : &s->v[slot];
}

const struct stored *store_by_prefix(struct store *s, const char *hex,
				     size_t digits, bool *several)
{
	const struct stored *found = NULL;
	char text[HASH_HEX + 1];

	*several = false;
	if (digits > HASH_HEX || name_all(s) != ERR_OK)
		return NULL;
	for (uint32_t i = 0; i < s->n; i++) {
		if (s->v[i].frame == NULL)
			continue;
		hash_format(&s->v[i].id, text);
		if (memcmp(text, hex, digits) != 0)
			continue;
		if (found != NULL)
			*several = true;
		found = &s->v[i];
	}
	return found;
}

void store_drop_run(struct store *s, struct origin *run)
{
	while (run->held_count > 0)
		drop_oldest(s, run);
}
