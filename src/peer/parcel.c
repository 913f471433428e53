#include "peer/parcel.h"

#include <stdlib.h>

enum err parcel_new(struct parcel **out, const struct frame_head *head,
		    struct frame *f, const char **why)
{
	struct parcel *p = malloc(sizeof *p);
	enum err e = ERR_NOMEM;

	if (p == NULL) {
		*why = err_text(e);
		goto failed;
	}
	e = codec_decode_frame(head, f, &p->msg, why);
	if (e != ERR_OK)
		goto failed;
	atomic_init(&p->refs, 1);
	p->head = *head;
	p->frame = f;
	p->delivered = false;
	p->wall_ms = 0;
	*out = p;
	return ERR_OK;
failed:
	free(p);
	frame_release(f);
	return e;
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
	message_clear(&p->msg);
	frame_release(p->frame);
	free(p);
}

struct hash parcel_id(const struct parcel *p)
{
	return hash_of(p->frame->body, p->frame->body_bytes);
}
