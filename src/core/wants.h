/* What neighbors announced and is not here: ranges of messages, each with who
 * has it, who is being asked for it, and when that is to be looked at again.
 *
 * Kept by the run's identity, not in its record: strangers may announce runs
 * that do not exist, and must not push out the records of those that do.
 * Bounded: max wants on behalf of each link, WANTS_PER_RUN of each run,
 * WANTS_PER_LINK of them announced by one link; then ranges are no longer split
 * for an announcement (who announced a part may be asked for the whole, as a
 * guess) and new ones are refused. Asking splits on, up to twice as many. Width
 * costs nothing. Pure.
 */
#ifndef CORE_WANTS_H
#define CORE_WANTS_H

#include "core/event.h"
#include "core/ranges.h"

#include <uthash.h>

#define WANTS_MAX 8192     /* on behalf of one link: 2 MiB of memory */
#define WANTS_PER_RUN 1024 /* as RANGES_SPANS_MAX: one for each hole, */
#define WANTS_PER_LINK 256 /* and so many of them announced by one link */
#define WANTS_CROWD 128    /* what adjoins and is alike becomes one */

struct wanted_run;

/* Messages first .. last of one run. */
struct want {
	uint64_t first, last;
	struct wanted_run *run;
	struct want *prev, *next; /* in its run, ascending, disjoint */
	struct want *line_prev, *line_next; /* if in_line */
	link_set announced;                 /* links that said they have it */
	link_set guessed; /* that may have it: they had what came after */
	link_set denied;  /* of these, since said Not Found */
	link_set tried;   /* of these, asked in this round */
	uint8_t asked;    /* asked from now, or LINK_NONE */
	uint8_t maker;    /* whose limit it counts against, or LINK_NONE */
	uint8_t rounds;   /* of asking everybody */
	bool graft;       /* whoever is asked shall send the run from then on */
	bool in_line;     /* it waits until a link may be asked for more */
	uint64_t number;  /* in the order of making: of two due first */
	int64_t due_ms;   /* when to look at it again (I5) */
	int64_t asked_ms; /* when it was asked, */
	uint64_t brought; /* and what that link had brought till then */
	int64_t hopeless_ms; /* since when nobody has it; -1: somebody has */
	uint32_t heap_pos;
};

struct wanted_run {
	struct identity id;
	struct want *first;
	unsigned count;
	uint16_t made[LINK_SLOTS]; /* on behalf of that link */
	UT_hash_handle hh;
};

struct wants {
	struct wanted_run *runs; /* uthash head, by hash_keyed of the id */
	struct want **heap;      /* by due_ms */
	struct want *line;       /* utlist head */
	uint32_t n, cap;
	uint32_t made[LINK_SLOTS]; /* on behalf of that link */
	uint32_t max;
	uint64_t numbers;
	uint64_t secret;
};

/* An announcement: by whom, when to look at what is new, and what to ask. */
struct announcement {
	uint8_t link; /* of a guess also LINK_NONE: nobody is known to have it
		       */
	bool graft;
	bool guess; /* nobody said so (R16) */
	int64_t due_ms;
};

/* secret: a random number that nobody knows. */
void wants_init(struct wants *w, uint32_t max, uint64_t secret);
void wants_free(struct wants *w);

/* Notes that a.link has first .. last; `here` is what need not come (may be
 * NULL). What is wanted already gets it as one more source. *looks falls by
 * one for each stretch of it that is not here; at 0 the rest is refused. False
 * if a part was. */
bool wants_announce(struct wants *w, const struct identity *run,
		    const struct ranges *here, uint64_t first, uint64_t last,
		    const struct announcement *a, unsigned *looks);
/* The want that has that seq, or NULL. */
struct want *wants_find(const struct wants *w, const struct identity *run,
			uint64_t seq);
/* The first stretch within from .. to that is not wanted yet. */
bool wants_gap(const struct wants *w, const struct identity *run, uint64_t from,
	       uint64_t to, struct span *gap);
/* The link has not got it after all. */
void wants_deny(struct wants *w, const struct identity *run, uint64_t first,
		uint64_t last, uint8_t link, int64_t now_ms);
/* The link is gone; what was asked from it no longer is and is due now, and so
 * is what nobody else announced. */
void wants_forget_link(struct wants *w, uint8_t link, int64_t now_ms);
/* Cuts off what follows the first `count` messages: a want of its own with
 * the same sources. NULL when out of memory: nothing changed. */
struct want *wants_split(struct wants *w, struct want *t, uint64_t count);
void wants_set_due(struct wants *w, struct want *t, int64_t due_ms);
void wants_line_up(struct wants *w, struct want *t);
void wants_leave_line(struct wants *w, struct want *t);
void wants_drop(struct wants *w, struct want *t);
/* Everything is to be looked at, now. */
void wants_hurry(struct wants *w, int64_t now_ms);
/* A want with a part within first .. last, or NULL. */
struct want *wants_overlapping(const struct wants *w,
			       const struct identity *run, uint64_t first,
			       uint64_t last);
/* Takes first .. last, some but not all of which t has, out of it; returns how
 * many numbers that were. In the middle of t that takes memory: without, all
 * behind first is wanted no more, which are more than last - first + 1. */
uint64_t wants_trim(struct wants *w, struct want *t, uint64_t first,
		    uint64_t last);
/* It came: seq leaves its want, which may end by that. The rest of it, split
 * in two if it was in the middle, goes on as it was. Returns how many numbers
 * are wanted no more, like wants_trim. */
uint64_t wants_take(struct wants *w, struct want *t, uint64_t seq);
/* The one that is due first, or NULL. */
struct want *wants_next(const struct wants *w);

static inline uint64_t want_size(const struct want *t)
{
	return t->last - t->first + 1;
}

#endif
