/* A received (or published) message on its way through the peer: the frame and
 * what it says. Counted, since output, history and the reader each keep it for
 * a while; constant once others see it. Any thread. */
#ifndef PEER_PARCEL_H
#define PEER_PARCEL_H

#include "wire/codec.h"

struct parcel {
	atomic_uint refs;
	struct frame_head head;
	union {
		struct frame *frame;
		struct parcel *next; /* of a spare one */
	};
	struct message msg; /* may point into the frame */
	bool delivered;     /* new to this peer; the reading thread's note */
	int64_t wall_ms;    /* when it came; its maker's to set */
};

/* Memory of parcels that are gone, for the next ones. A reader has some: it
 * makes and drops hundreds at a time, which is an eighth of its time if each
 * goes through malloc. Zero-initialize it; one owner; trim it to 0 at the end.
 */
struct parcel_spares {
	struct parcel *first;
	size_t n;
};

void parcel_spares_trim(struct parcel_spares *s, size_t keep);

/* Decodes a frame and takes over the caller's reference to it, also when that
 * fails. Errors of codec_decode_frame, with *why; ERR_NOMEM. spares may be
 * NULL, here and below. */
enum err MUST_CHECK parcel_new(struct parcel **p, const struct frame_head *head,
			       struct frame *f, struct parcel_spares *spares,
			       const char **why);
struct parcel *parcel_hold(struct parcel *p);
void parcel_release(struct parcel *p); /* NULL is fine */
/* The same; the last who holds it keeps the memory. */
void parcel_release_to(struct parcel *p, struct parcel_spares *spares);
/* The id of a Message; computed anew, and not cheap. */
struct hash parcel_id(const struct parcel *p);

#endif
