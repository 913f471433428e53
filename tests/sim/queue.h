/* Virtual time, and everything that will happen in it.
 *
 * A wheel of one bucket per ms, a coarser one behind it, and a list for what
 * is hours away. What is due at the same ms comes out in the order in which it
 * was put in, so that a run depends on nothing but its options. Times are ms;
 * an item is a value, whatever its body points to belongs to the sender.
 */
#ifndef SIM_QUEUE_H
#define SIM_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NOBODY UINT32_MAX /* no peer, no connection, no message */

enum item_kind {
	/* Over a connection, in order. */
	ITEM_MESSAGE, /* number: which one */
	ITEM_CONTROL,
	ITEM_REQUEST,
	ITEM_REPLY,
	ITEM_DOWN, /* the other end is gone, and its host says so */
	/* About a connection. */
	ITEM_DIAL_TIMER,
	ITEM_DRAINED,
	ITEM_SLOW,
	/* To a peer. */
	ITEM_DIAL_FAILED, /* number: of the dial, flags: enum dial_result */
	ITEM_TICK,
	ITEM_ANSWER, /* of a seed */
	ITEM_RESUME,
	ITEM_OUTPUT, /* number: 1 slow, 0 not any more */
	ITEM_STOP,   /* it is time to leave */
	/* To a seed. */
	ITEM_ASK,
	ITEM_PROBE,  /* a seed's question reaches a peer */
	ITEM_PROBED, /* and this is what comes of it */
	ITEM_SWEEP,
	/* What the scenario has in store. */
	ITEM_START, /* number: the place of a new peer */
	ITEM_PUBLISH,
	ITEM_FAULT,
	ITEM_KINDS
};

struct item {
	int64_t at_ms;
	void *body;
	uint32_t peer, conn, number;
	uint8_t kind, side; /* side: which end of the connection gets it */
	uint8_t flags, hops;
};

#define WHEEL_SLOTS 4096 /* of either wheel; a power of two */

struct chunk;
struct bucket {
	struct chunk *first, *last;
};

struct queue {
	int64_t now_ms;
	struct bucket near[WHEEL_SLOTS]; /* ms of the current 4096 */
	struct bucket mid[WHEEL_SLOTS];  /* the next 4096 times 4096 ms */
	struct bucket far;
	uint32_t read; /* items of the current bucket's first chunk taken */
	struct chunk *unused;
	uint64_t count; /* items in it */
};

void queue_init(struct queue *q, int64_t now_ms);
void queue_free(struct queue *q);
/* Not before now. */
void queue_push(struct queue *q, int64_t at_ms, const struct item *item);
/* The next item up to and including until_ms; false when there is none, and
 * then it is until_ms. */
bool queue_pop(struct queue *q, int64_t until_ms, struct item *out);
/* One of the items that will come soon, for prefetching; NULL: not known. */
const struct item *queue_ahead(const struct queue *q, unsigned distance);

#endif
