/* A received (or published) message on its way through the peer: the frame and
 * what it says. Counted, since output, history and the reader each keep it for
 * a while; constant once others see it. Any thread. */
#ifndef PEER_PARCEL_H
#define PEER_PARCEL_H

#include "wire/codec.h"

struct parcel {
	atomic_uint refs;
	struct frame_head head;
	struct frame *frame;
	struct message msg; /* may point into the frame */
	bool delivered;     /* new to this peer; the reading thread's note */
	int64_t wall_ms;    /* when it came; its maker's to set */
};

/* Decodes a frame and takes over the caller's reference to it, also when that
 * fails. Errors of codec_decode_frame, with *why; ERR_NOMEM. */
enum err MUST_CHECK parcel_new(struct parcel **p, const struct frame_head *head,
			       struct frame *f, const char **why);
struct parcel *parcel_hold(struct parcel *p);
void parcel_release(struct parcel *p); /* NULL is fine */
/* The id of a Message; computed anew, and not cheap. */
struct hash parcel_id(const struct parcel *p);

#endif
