/* One link: a connection to a neighbor with a bounded queue of frames to send.
 *
 * Anybody queues; whoever queued tries to flush at once without waiting
 * (link_flush); what the kernel does not take is left to the link's writer
 * thread. One flusher at a time, order kept. Reading is one thread's business
 * (inbox), which also starts the writer and closes the link.
 *
 * Counted: link_hold, link_release. The descriptor is not the link's: whoever
 * made the link closes it, after link_close, when nobody can use it any more.
 * A link knows no protocol: slot, behind, who and owner are its owner's notes.
 */
#ifndef IO_LINK_H
#define IO_LINK_H

#include "base/addr.h"
#include "io/inbox.h"
#include "io/thread.h"
#include "wire/channel.h"
#include "wire/frame.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define LINK_FRAME_OVERHEAD 64  /* bytes counted on top of a queued body */
#define LINK_DRAIN_MS 2000      /* after Bye, the other side has this long */
#define LINK_BATCH 512          /* frames in one system call, */
#define LINK_BATCH_BYTES 131072 /* or so much; room comes back by batches */
/* Bytes queued that count as nearly none. The kernel holds several times as
 * much for a neighbor that is behind: the line does not run dry while its
 * owner thinks of more. */
#define LINK_LOW LINK_BATCH_BYTES

struct link_limits {
	size_t outbox_max;   /* bytes queued; more is refused */
	int64_t slow_ms;     /* less than slow_bytes sent in this time, with */
	uint64_t slow_bytes; /* something queued all the while: slow */
};

struct link_entry {
	struct frame *frame;
	uint8_t head[FRAME_HEAD_BYTES];
};

/* A batch on its way through the channel into the socket; belongs to whoever
 * set `flushing`. */
struct link_batch {
	struct iovec *next; /* not sent yet */
	int left;           /* vectors from next on */
	int count;          /* entries */
	bool last;          /* no entries, but that nothing follows */
	/* Of a quiet link only the first few are ever touched. */
	struct link_entry entries[LINK_BATCH];
	struct iovec vectors[2 * LINK_BATCH];
};

/* (c) constant, (q) mu, (f) whoever set flushing, (r) the reading thread,
 * (o) its owner's lock */
struct link {
	atomic_uint refs;
	int fd;                          /* (c) */
	struct channel channel;          /* (c), halves of their own */
	struct link_limits limits;       /* (c) */
	atomic_uint_fast64_t *bytes_out; /* (c) may be NULL */
	void (*drained)(struct link *l); /* (c) see link_watch */
	struct inbox inbox;              /* (r) */
	pthread_t writer;                /* (r) */
	bool has_writer;                 /* (r) */

	struct mutex mu;
	struct cond work; /* for the writer */
	struct cond room; /* for who waits for room, or for the flusher */
	struct link_entry *queue; /* (q) ring */
	size_t head, count, cap;  /* (q) */
	size_t backlog;           /* (q) bytes queued or being sent */
	uint64_t sent;            /* (q) bytes since the start: progress, */
	int64_t moved_ms;         /* (q) and when there was some last */
	unsigned waiters;         /* (q) on room */
	bool watched;             /* (q) drained is to be called */
	bool flushing;            /* (q) */
	bool stuck; /* (q) the kernel took less than all: the writer's turn */
	bool finishing; /* (q) nothing more is queued; half-close when empty */
	bool ended;     /* (q) it was said that nothing follows */
	bool half_closed;         /* (q) */
	int64_t drain_ms;         /* (q) when reading must have ended */
	bool closed;              /* (q) */
	bool slow;                /* (q) */
	struct link_batch *batch; /* (c), (f) inside */

	uint8_t slot;       /* (o) */
	atomic_bool behind; /* (o) to write: waiting for it is no use */
	struct addr who;    /* (o) the other end, for logs */
	void *owner;        /* (o) */
};

/* One reference. Takes over t's inbox (t becomes empty but for its fd).
 * drained may be NULL if nobody watches. NULL when out of memory. */
struct talk;
struct link *link_new(struct talk *t, const struct link_limits *limits,
		      atomic_uint_fast64_t *bytes_out,
		      void (*drained)(struct link *l));
struct link *link_hold(struct link *l);
void link_release(struct link *l);

/* Takes a reference of the frame. ERR_FULL: over outbox_max; ERR_CLOSED: the
 * link is finishing; ERR_NOMEM. Never blocks. */
enum err MUST_CHECK link_queue(struct link *l, const struct frame_head *head,
			       struct frame *f);
/* Sends what the kernel takes now. Never blocks. */
void link_flush(struct link *l);
/* Bytes queued. */
size_t link_backlog(struct link *l);
/* Waits until at most `high` bytes are queued or the link takes no more at
 * all; gives up (false) when stall_ms passed without any progress, counted
 * from since_ms at the earliest, or at the deadline. */
bool link_wait_room(struct link *l, size_t high, int64_t since_ms,
		    int64_t stall_ms, int64_t deadline_ms);
/* Calls `drained` once, as soon as LINK_LOW or less is queued; also if it is
 * already (but while the kernel takes nothing at all, when it takes some). The
 * writer thread calls it, holding no lock; not for a link that is finishing,
 * and not after link_close returned. Never blocks. */
void link_watch(struct link *l);

/* Nothing more to say: sends what is queued, then half-closes; the reader has
 * LINK_DRAIN_MS to reach the end. Idempotent, never blocks. */
void link_finish(struct link *l);
bool link_finishing(struct link *l, int64_t *drain_ms);
/* Drops what is queued and wakes everybody. Idempotent, never blocks. */
void link_abort(struct link *l);
bool link_is_slow(struct link *l);

/* The reading thread, once: before it reads, and when it has read the end. */
enum err MUST_CHECK link_start_writer(struct link *l);
void link_close(struct link *l);

#endif
