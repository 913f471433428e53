/* Frames: the unit on the wire, an 8-byte header and a body (protocol.md 1).
 *
 * A struct frame is a body alone, immutable once it is shared: the store, the
 * outboxes and a reader hold the same bytes. The header is a value of its own
 * because it changes at each hop while the body never does.
 * Counting is atomic; everything else is pure. Usable from any thread.
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
	uint8_t body[];
};

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
struct frame *frame_hold(struct frame *f);
void frame_release(struct frame *f); /* NULL is fine */

#endif
