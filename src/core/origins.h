/* One record per run that ever published: which of its messages were accepted,
 * which are in the store, and along which links its tree grows.
 *
 * Records live as long as the process, so that an old message can never come
 * back as new; only of more than `max` the longest idle one goes, and with it
 * what the store holds of it. The peer's own record is pinned. Pure.
 */
#ifndef CORE_ORIGINS_H
#define CORE_ORIGINS_H

#include "base/addr.h"
#include "core/event.h"
#include "core/ranges.h"

#include <uthash.h>

struct origin {
	struct identity id;
	uint64_t number; /* names the run, never used twice */
	bool pinned;
	struct ranges covered; /* seqs ever accepted */
	uint64_t live_from; /* first seq that came when it was said; 0: none */
	int64_t active_ms;  /* when the newest came */
	/* The tree (R7-R12); the business of tree.c. */
	link_set eager;    /* links that are sent its messages at once */
	link_set heard;    /* links that announced some of it lately */
	link_set pruned;   /* links told lately not to send it to us */
	int64_t pruned_ms; /* the first of them */
	uint8_t parent;    /* the link that brings them to us; LINK_NONE */
	int64_t fed_ms;    /* when it brought one last */
	/* Another link was faster with this one; LINK_NONE: none was. */
	uint8_t rival;
	uint64_t race_seq;
	int64_t race_ms;
	/* What the store holds of it; the store's business. */
	struct ranges held; /* which seqs; the newest pieces of them */
	uint64_t neighbor_has[LINK_SLOTS]; /* up to here all of that */
	uint64_t told; /* how far all neighbors were told that we do */
	uint32_t held_oldest, held_newest; /* slots, linked by arrival */
	uint64_t held_count, held_bytes;
	uint32_t heap_pos;
	/* */
	struct origin *prev, *next; /* by use, longest idle first */
	UT_hash_handle hh;
};

struct origins {
	struct origin *table;  /* uthash head, by hash_keyed of the id */
	struct origin *oldest; /* utlist head */
	struct origin *last;   /* found: messages of a run come in a row */
	uint64_t max, made;
	uint64_t secret;
};

/* secret: a random number that nobody knows. */
void origins_init(struct origins *o, uint64_t max, uint64_t secret);
void origins_free(struct origins *o);
struct origin *origins_find(struct origins *o, const struct identity *id);
/* A new record; NULL when out of memory. The id must not have one. */
struct origin *origins_add(struct origins *o, const struct identity *id);
/* It is in use: moves it away from being dropped. */
void origins_touch(struct origins *o, struct origin *r);
/* The record that has to go before another may be added, or NULL. */
struct origin *origins_surplus(const struct origins *o);
void origins_remove(struct origins *o, struct origin *r);
uint64_t origins_count(const struct origins *o);

#endif
