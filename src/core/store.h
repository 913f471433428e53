/* The messages a peer holds, to answer getData with.
 *
 * Frames by arrival, found by id, by the beginning of an id, and by run and
 * seq. Bounded by count and bytes; when full, the run that holds most loses
 * its oldest, so that one loud publisher cannot push out the others.
 * Memory is taken as it fills. Pure; holds a reference to each frame.
 */
#ifndef CORE_STORE_H
#define CORE_STORE_H

#include "base/crypto.h"
#include "core/index.h"
#include "core/origins.h"
#include "wire/frame.h"

#define STORE_NONE UINT32_MAX    /* no slot: the end of a run's list */
#define STORE_FRAME_OVERHEAD 128 /* bytes counted on top of a body */

struct stored {
	struct frame *frame; /* NULL: a free slot */
	struct hash id;
	struct origin *run;
	uint64_t seq;
	uint32_t newer; /* the next slot of its run, or of the free ones */
	uint8_t hops;   /* as it arrived here */
};

struct store {
	struct stored *v;
	uint32_t n, cap,
		free; /* slots used so far, allocated, first free one */
	struct index by_id, by_seq;
	struct origin **heap; /* runs with something held, most bytes first */
	uint32_t heap_n, heap_cap;
	uint64_t count, bytes, count_max, bytes_max;
	uint64_t secret;
};

void store_init(struct store *s, uint64_t count_max, uint64_t bytes_max,
		uint64_t secret);
void store_free(struct store *s);
/* Holds the frame, evicting what must go. Neither id nor (run, seq) may be
 * there yet. ERR_NOMEM, ERR_TOO_LONG (larger than the whole store). */
enum err MUST_CHECK store_put(struct store *s, struct frame *f,
			      const struct hash *id, struct origin *run,
			      uint64_t seq, uint8_t hops);
const struct stored *store_by_id(const struct store *s, const struct hash *id);
const struct stored *store_by_seq(const struct store *s,
				  const struct origin *run, uint64_t seq);
/* By the first hex digits of an id: linear, for people. */
const struct stored *store_by_prefix(const struct store *s, const char *hex,
				     size_t digits, bool *several);
void store_drop_run(struct store *s, struct origin *run);

#endif
