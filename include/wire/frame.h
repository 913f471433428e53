/* Frames: the unit on the wire, an 8-byte header and a body (protocol.md 1).
 *
 * A struct frame is a body, immutable once it is shared: the store, the
 * outboxes and a reader hold the same bytes. The header is a value of its own
 * because it changes at each hop while the body never does. But as a rule all
 * that are sent a body from here are sent it with one and the same header:
 * there is a place for that before the body, so that both go out as one piece
 * of memory. Counting is atomic; everything else is pure. Usable from any
 * thread.
 */
#ifndef WIRE_FRAME_H
#define WIRE_FRAME_H

#include "base/err.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_VERSION 1
#define FRAME_HEAD_BYTES 8
#define FRAME_BODY_MIN 2       /* {} */
#define FRAME_BODY_MAX 1572864 /* 1 MiB of data in base64, and its envelope */
#define FRAME_BODY_STRANGER_MAX                       \
	512 /* what somebody unknown may make us hold \
	     */

enum { FRAME_RECOVERY = 1, FRAME_SPREAD = 2, FRAME_FLAGS = 3 };

struct frame_head {
	uint8_t flags;
	uint8_t hops;
	uint32_t body_bytes;
};

struct frame {
	atomic_uint refs;
	uint32_t body_bytes;
	uint8_t head[FRAME_HEAD_BYTES]; /* all zero: none yet */
	uint8_t body[];                 /* right behind */
};
_Static_assert(offsetof(struct frame, body) ==
		       offsetof(struct frame, head) + FRAME_HEAD_BYTES,
	       "header and body are one piece");

/* Reads a header whose body may have up to limit bytes. ERR_VERSION for
 * another protocol version, ERR_SYNTAX for bits that must be zero, ERR_RANGE
 * for a length outside of FRAME_BODY_MIN .. limit. */
enum err MUST_CHECK frame_head_read(const uint8_t bytes[FRAME_HEAD_BYTES],
				    uint32_t limit, struct frame_head *out);
void frame_head_write(const struct frame_head *h,
		      uint8_t bytes[FRAME_HEAD_BYTES]);

/* A frame with one reference and room for a body to be filled in by the
 * caller before anybody else sees it; NULL when out of memory. */
struct frame *frame_new(size_t body_bytes);
/* The header that it will mostly be sent with; only the first counts. The
 * caller is the only one who does so, and nobody has been given it to send yet.
 */
void frame_address(struct frame *f, const struct frame_head *h);
struct frame *frame_hold(struct frame *f);
void frame_release(struct frame *f); /* NULL is fine */

#endif
