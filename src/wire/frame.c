#include "wire/frame.h"

#include <stdlib.h>
#include <string.h>

enum err frame_head_read(const uint8_t bytes[FRAME_HEAD_BYTES], uint32_t limit,
			 struct frame_head *out)
{
	uint32_t n = (uint32_t)bytes[4] << 24 | (uint32_t)bytes[5] << 16 |
		     (uint32_t)bytes[6] << 8 | (uint32_t)bytes[7];

	if (bytes[0] != FRAME_VERSION)
		return ERR_VERSION;
	if ((bytes[1] & ~FRAME_FLAGS) != 0 || bytes[3] != 0)
		return ERR_SYNTAX;
	if (n < FRAME_BODY_MIN || n > limit)
		return ERR_RANGE;
	*out = (struct frame_head){ .flags = bytes[1],
				    .hops = bytes[2],
				    .body_bytes = n };
	return ERR_OK;
}

void frame_head_write(const struct frame_head *h,
		      uint8_t bytes[FRAME_HEAD_BYTES])
{
	bytes[0] = FRAME_VERSION;
	bytes[1] = h->flags;
	bytes[2] = h->hops;
	bytes[3] = 0;
	bytes[4] = (uint8_t)(h->body_bytes >> 24);
	bytes[5] = (uint8_t)(h->body_bytes >> 16);
	bytes[6] = (uint8_t)(h->body_bytes >> 8);
	bytes[7] = (uint8_t)h->body_bytes;
}

struct frame *frame_new(size_t body_bytes)
{
	struct frame *f;

	if (body_bytes > FRAME_BODY_MAX)
		return NULL;
	f = malloc(sizeof *f + body_bytes);
	if (f == NULL)
		return NULL;
	atomic_init(&f->refs, 1);
	f->body_bytes = (uint32_t)body_bytes;
	memset(f->head, 0, sizeof f->head);
	return f;
}

void frame_address(struct frame *f, const struct frame_head *h)
{
	if (f->head[0] == 0) /* a version is never 0 */
		frame_head_write(h, f->head);
}

struct frame *frame_hold(struct frame *f)
{
	atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
	return f;
}

void frame_release(struct frame *f)
{
	if (f != NULL &&
	    atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) == 1)
		free(f);
}
