#include "peer/parcel.h"

#include <stdlib.h>

struct parcel *parcel_new(const struct frame_head *head, struct frame *f)
{
	struct parcel *p = calloc(1, sizeof *p);

	if (p == NULL) {
		frame_release(f);
		return NULL;
	}
	atomic_init(&p->refs, 1);
	p->head = *head;
	p->frame = f;
	return p;
}

struct parcel *parcel_hold(struct parcel *p)
{
	atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
	return p;
}

void parcel_release(struct parcel *p)
{
	if (p == NULL ||
	    atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1)
		return;
	if (p->parsed)
		message_clear(&p->msg);
	frame_release(p->frame);
	free(p);
}

void parcel_identify(struct parcel *p)
{
	if (p->has_id)
		return;
	p->id = hash_of(p->frame->body, p->frame->body_bytes);
	p->has_id = true;
}

enum err parcel_parse(struct parcel *p, const char **why)
{
	enum err e;

	if (p->parsed)
		return ERR_OK;
	e = codec_decode_frame(&p->head, p->frame, &p->msg, why);
	p->parsed = e == ERR_OK;
	return e;
}
