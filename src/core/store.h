/* The messages a peer holds, to answer getData with.
 *
 * Frames by arrival, found by run and seq, by id, and by the beginning of an
 * id. Bounded by count and bytes; when full, the run that holds most loses
 * its oldest, so that one loud publisher cannot push out the others.
 * An id is a hash of the whole body and costs more than all the rest of a
 * message's way through a peer. It is computed when somebody first asks for
 * a message by its id, for all that are held: once for each message, so that
 * asking often costs nobody more than hashing each as it comes.
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
	struct origin *run;
	uint64_t seq;
	uint32_t newer; /* the next slot of its run, or of the free ones */
	uint8_t hops;   /* as it arrived here */
	bool named;     /* its id is known and in by_id, else it is linked: */
	uint32_t before, after; /* among those without, by arrival */
	struct hash id;         /* if named */
};

/* Eight seqs of a run and their hash; number 0: nothing yet. */
struct block {
	uint64_t number, seqs;
	uint32_t hash;
};

struct store {
	struct stored *v;
	uint32_t n, cap,
		free; /* slots used so far, allocated, first free one */
	struct index by_id, by_seq;
	uint32_t unnamed_first, unnamed_last; /* slots without an id yet */
	struct origin **heap; /* runs with something held, most bytes first */
	uint32_t heap_n, heap_cap;
	uint64_t count, bytes, count_max, bytes_max;
	uint64_t secret;
	struct block put, dropped; /* the last ones, see seq_hash */
};

void store_init(struct store *s, uint64_t count_max, uint64_t bytes_max,
		uint64_t secret);
void store_free(struct store *s);
/* Holds the frame, evicting what must go. (run, seq) must not be there yet.
 * ERR_NOMEM, ERR_TOO_LONG (larger than the whole store). */
enum err MUST_CHECK store_put(struct store *s, struct frame *f,
			      struct origin *run, uint64_t seq, uint8_t hops);
/* NULL also when there is no memory to look by id. */
const struct stored *store_by_id(struct store *s, const struct hash *id);
const struct stored *store_by_seq(struct store *s, const struct origin *run,
				  uint64_t seq);
/* By the first hex digits of an id: linear, for people. */
const struct stored *store_by_prefix(struct store *s, const char *hex,
				     size_t digits, bool *several);
void store_drop_run(struct store *s, struct origin *run);
/* What a frame counts for in bytes. */
uint64_t store_size(const struct frame *f);
/* What makes way when it is full; NULL: it holds nothing. */
const struct stored *store_first_to_go(const struct store *s);
void store_drop_first(struct store *s);

#endif
