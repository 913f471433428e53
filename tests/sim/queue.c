#include "sim/queue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WHEEL_BITS 12
#define CHUNK_ITEMS 31 /* with its head a little less than 1 KiB */

_Static_assert(1 << WHEEL_BITS == WHEEL_SLOTS, "slots are counted in bits");

struct chunk {
	struct chunk *next;
	uint32_t n;
	struct item v[CHUNK_ITEMS];
};

void queue_init(struct queue *q, int64_t now_ms)
{
	memset(q, 0, sizeof *q);
	q->now_ms = now_ms;
}

static void free_chunks(struct chunk *c)
{
	while (c != NULL) {
		struct chunk *next = c->next;

		free(c);
		c = next;
	}
}

void queue_free(struct queue *q)
{
	for (unsigned i = 0; i < WHEEL_SLOTS; i++) {
		free_chunks(q->near[i].first);
		free_chunks(q->mid[i].first);
	}
	free_chunks(q->far.first);
	free_chunks(q->unused);
	queue_init(q, 0);
}

static struct chunk *new_chunk(struct queue *q)
{
	struct chunk *c = q->unused;

	if (c != NULL) {
		q->unused = c->next;
	} else {
		c = malloc(sizeof *c);
		if (c == NULL) {
			fprintf(stderr, "sim: out of memory\n");
			exit(1);
		}
	}
	c->next = NULL;
	c->n = 0;
	return c;
}

static void put(struct queue *q, struct bucket *b, const struct item *item)
{
	if (b->last == NULL || b->last->n == CHUNK_ITEMS) {
		struct chunk *c = new_chunk(q);

		if (b->last == NULL)
			b->first = c;
		else
			b->last->next = c;
		b->last = c;
	}
	b->last->v[b->last->n++] = *item;
}

static size_t slot_of(int64_t ms, int shift)
{
	return (size_t)(ms >> shift) & (WHEEL_SLOTS - 1);
}

/* Into the wheel that its time belongs to, as seen from now. */
static void place(struct queue *q, const struct item *item)
{
	int64_t at = item->at_ms, now = q->now_ms;

	if (at >> WHEEL_BITS == now >> WHEEL_BITS)
		put(q, &q->near[slot_of(at, 0)], item);
	else if (at >> 2 * WHEEL_BITS == now >> 2 * WHEEL_BITS)
		put(q, &q->mid[slot_of(at, WHEEL_BITS)], item);
	else
		put(q, &q->far, item);
}

void queue_push(struct queue *q, int64_t at_ms, const struct item *item)
{
	struct item it = *item;

	it.at_ms = at_ms < q->now_ms ? q->now_ms : at_ms;
	q->count++;
	place(q, &it);
}

/* The items of a coarse bucket go where they belong now, in their order. */
static void spread(struct queue *q, struct bucket *b)
{
	struct chunk *c = b->first;

	*b = (struct bucket){ 0 };
	while (c != NULL) {
		struct chunk *next = c->next;

		for (uint32_t i = 0; i < c->n; i++)
			place(q, &c->v[i]);
		c->next = q->unused;
		q->unused = c;
		c = next;
	}
}

static void next_ms(struct queue *q)
{
	int64_t old = q->now_ms++;

	if (old >> 2 * WHEEL_BITS != q->now_ms >> 2 * WHEEL_BITS)
		spread(q, &q->far);
	if (old >> WHEEL_BITS != q->now_ms >> WHEEL_BITS)
		spread(q, &q->mid[slot_of(q->now_ms, WHEEL_BITS)]);
}

/* The chunk that the next item of this ms is in, or NULL. */
static struct chunk *current(struct queue *q)
{
	struct bucket *b = &q->near[slot_of(q->now_ms, 0)];
	struct chunk *c = b->first;

	if (c == NULL || q->read < c->n)
		return c;
	if (q->read < CHUNK_ITEMS && c->next == NULL) {
		/* All taken: it may get more as long as this ms lasts, and
		 * serves the bucket from its beginning again. */
		c->n = 0;
		q->read = 0;
		return NULL;
	}
	b->first = c->next;
	if (b->first == NULL)
		b->last = NULL;
	c->next = q->unused;
	q->unused = c;
	q->read = 0;
	return current(q);
}

/* An empty chunk that the past ms left behind. */
static void leave_ms(struct queue *q)
{
	struct bucket *b = &q->near[slot_of(q->now_ms, 0)];

	if (b->first != NULL) {
		b->first->next = q->unused;
		q->unused = b->first;
	}
	*b = (struct bucket){ 0 };
	q->read = 0;
}

bool queue_pop(struct queue *q, int64_t until_ms, struct item *out)
{
	struct chunk *c = current(q);

	if (q->count == 0) { /* all buckets are empty: no need to look */
		leave_ms(q);
		q->now_ms = until_ms;
		return false;
	}
	while (c == NULL && q->now_ms < until_ms) {
		leave_ms(q);
		next_ms(q);
		c = current(q);
	}
	if (c == NULL)
		return false;
	*out = c->v[q->read++];
	q->count--;
	return true;
}

const struct item *queue_ahead(const struct queue *q, unsigned distance)
{
	const struct chunk *c = q->near[slot_of(q->now_ms, 0)].first;
	uint32_t at = q->read + distance;

	if (c != NULL && at >= c->n) {
		at -= c->n;
		c = c->next;
	}
	return c != NULL && at < c->n ? &c->v[at] : NULL;
}
