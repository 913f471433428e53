/* A received (or published) message on its way through the peer: the frame,
 * what it says, and its id. Counted, since output, history and the reader
 * each keep it for a while; constant once others see it. Any thread. */
#ifndef PEER_PARCEL_H
#define PEER_PARCEL_H

#include "wire/codec.h"

struct parcel {
	atomic_uint refs;
	struct frame_head head;
	struct frame *frame;
	struct hash id; /* of a Message */
	bool has_id;
	bool parsed;     /* msg is there */
	bool delivered;  /* new to this peer; the reading thread's note */
	int64_t wall_ms; /* when it came */
	struct message msg;
};

/* Takes over the caller's reference of the frame, also when it fails (NULL:
 * out of memory). */
struct parcel *parcel_new(const struct frame_head *head, struct frame *f);
struct parcel *parcel_hold(struct parcel *p);
void parcel_release(struct parcel *p); /* NULL is fine */
/* Computes the id unless it is there. */
void parcel_identify(struct parcel *p);
/* Decodes the body; errors of codec_decode. */
enum err MUST_CHECK parcel_parse(struct parcel *p, const char **why);

#endif
