#include "peer/parcel.h"

#include <stdlib.h>

static struct parcel *take_memory(struct parcel_spares *s)
{
	struct parcel *p;

	if (s == NULL || s->first == NULL)
		return malloc(sizeof *p);
	p = s->first;
	s->first = p->next;
	s->n--;
	return p;
}

static void give_memory(struct parcel_spares *s, struct parcel *p)
{
	if (s == NULL) {
		free(p);
		return;
	}
	p->next = s->first;
	s->first = p;
	s->n++;
}

void parcel_spares_trim(struct parcel_spares *s, size_t keep)
{
	while (s->n > keep)
		free(take_memory(s));
}

enum err parcel_new(struct parcel **out, const struct frame_head *head,
		    struct frame *f, struct parcel_spares *spares,
		    const char **why)
{
	struct parcel *p = take_memory(spares);
	enum err e;

	if (p == NULL) {
		*why = err_text(ERR_NOMEM);
		frame_release(f);
		return ERR_NOMEM;
	}
	e = codec_decode_frame(head, f, &p->msg, why);
	if (e != ERR_OK) {
		give_memory(spares, p);
		frame_release(f);
		return e;
	}
	atomic_init(&p->refs, 1);
	p->head = *head;
	p->frame = f;
	p->delivered = false;
	p->wall_ms = 0;
	*out = p;
	return ERR_OK;
}

struct parcel *parcel_hold(struct parcel *p)
{
	atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
	return p;
}

void parcel_release_to(struct parcel *p, struct parcel_spares *spares)
{
	if (atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1)
		return;
	message_clear(&p->msg);
	frame_release(p->frame);
	give_memory(spares, p);
}

void parcel_release(struct parcel *p)
{
	if (p != NULL)
		parcel_release_to(p, NULL);
}

struct hash parcel_id(const struct parcel *p)
{
	return hash_of(p->frame->body, p->frame->body_bytes);
}
