/* Messages that people ask for by their id. */
#include "core/node_impl.h"

#include <string.h>

#define FIND_TIMEOUT_MS 3000 /* a person is waiting */

static bool same(const struct find *q, const struct hash *id)
{
	return q->used && memcmp(&q->id, id, sizeof *id) == 0;
}

static void found(struct step *s, const struct hash *id, struct frame *f)
{
	struct effect *e = effects_add(s->out, EF_FOUND);

	e->found.id = *id;
	e->found.frame = f;
}

static void not_found(struct step *s, struct find *q)
{
	q->used = false;
	effects_add(s->out, EF_NOT_FOUND)->found.id = q->id;
}

void find_begin(struct step *s, const struct hash *id)
{
	struct gossip *g = &s->n->gossip;
	const struct stored *held = store_by_id(&g->store, id);
	struct find *q = g->finds;
	struct message *m;

	if (held != NULL) {
		found(s, id, held->frame);
		return;
	}
	while (q < g->finds + FINDS_CAP && q->used)
		q++;
	if (links_up(s->n) == 0 || q == g->finds + FINDS_CAP) {
		effects_add(s->out, EF_NOT_FOUND)->found.id = *id;
		return;
	}
	*q = (struct find){ .used = true,
			    .id = *id,
			    .asked = links_up(s->n),
			    .deadline_ms = s->now + FIND_TIMEOUT_MS };
	m = say(s, q->asked, MSG_GET_DATA);
	m->get_data.has_id = true;
	m->get_data.id = *id;
	s->n->stats.getdata_sent++;
	for (uint8_t i = 0; i < LINK_SLOTS; i++)
		if (q->asked & link_bit(i))
			s->n->links[i].asked_ms = s->now;
}

void find_came(struct step *s, const struct ev_frame *f)
{
	struct hash id;

	if (find_deadline(s->n) == NEVER_MS)
		return; /* hashing costs more than all the rest */
	id = hash_of(f->frame->body, f->frame->body_bytes);
	for (unsigned i = 0; i < FINDS_CAP; i++) {
		struct find *q = &s->n->gossip.finds[i];

		if (!same(q, &id))
			continue;
		q->used = false;
		found(s, &id, f->frame);
	}
}

static void answered(struct step *s, struct find *q, uint8_t slot)
{
	q->asked = (link_set)(q->asked & ~link_bit(slot));
	if (q->asked == 0)
		not_found(s, q);
}

void find_denied(struct step *s, uint8_t slot, const struct hash *id)
{
	for (unsigned i = 0; i < FINDS_CAP; i++)
		if (same(&s->n->gossip.finds[i], id))
			answered(s, &s->n->gossip.finds[i], slot);
}

void find_link_down(struct step *s, uint8_t slot)
{
	for (unsigned i = 0; i < FINDS_CAP; i++) {
		struct find *q = &s->n->gossip.finds[i];

		if (q->used && (q->asked & link_bit(slot)) != 0)
			answered(s, q, slot);
	}
}

void find_tick(struct step *s)
{
	for (unsigned i = 0; i < FINDS_CAP; i++) {
		struct find *q = &s->n->gossip.finds[i];

		if (q->used && s->now >= q->deadline_ms)
			not_found(s, q);
	}
}

int64_t find_deadline(const struct node *n)
{
	int64_t due = NEVER_MS;

	for (unsigned i = 0; i < FINDS_CAP; i++)
		if (n->gossip.finds[i].used &&
		    n->gossip.finds[i].deadline_ms < due)
			due = n->gossip.finds[i].deadline_ms;
	return due;
}
