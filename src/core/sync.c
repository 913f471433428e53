/* Has everything been taken?
 *
 * Who publishes and leaves wants to know that what he said is in other hands.
 * Of each link it is known which own messages were queued on it without a
 * hole; a Liveliness that it answers proves that it read all of these. What no
 * living link was sent (its takers are gone) is sent again to one that is
 * there, flagged as a recovery. */
#include "core/node_impl.h"

#define RESEND_MESSAGES 256 /* then the answer is awaited */
#define RESEND_BYTES 1048576

void sync_queued(struct step *s, link_set to, uint64_t seq)
{
	for (uint8_t i = 0; i < LINK_SLOTS; i++) {
		struct span *has = &s->n->links[i].has;

		if ((to & link_bit(i)) == 0)
			continue;
		if (has->last == 0 || has->last + 1 != seq)
			has->first = seq;
		has->last = seq;
	}
}

static bool covers(const struct span *has, uint64_t seq)
{
	return has->last != 0 && has->first <= seq && seq <= has->last;
}

static void resend(struct step *s, uint8_t slot)
{
	struct node *n = s->n;
	struct gossip *g = &n->gossip;
	const struct origin *own = origins_find(&g->origins, &n->self);
	uint64_t seq = g->taken + 1, bytes = 0;
	uint64_t end = seq + RESEND_MESSAGES;

	n->links[slot].has = (struct span){ seq, seq - 1 };
	for (; seq <= g->sync_seq && seq < end && bytes < RESEND_BYTES; seq++) {
		const struct stored *e =
			own != NULL ? store_by_seq(&g->store, own, seq) : NULL;

		n->links[slot].has.last = seq;
		if (e == NULL) { /* fell out of the store: nobody has it */
			n->stats.lost += seq > g->resent_to;
			continue;
		}
		gossip_send(s, link_bit(slot), e->frame, FRAME_RECOVERY,
			    e->hops);
		bytes += e->frame->body_bytes;
	}
	if (seq - 1 > g->resent_to)
		g->resent_to = seq - 1;
}

static uint8_t draw_link(const struct node *n)
{
	link_set usable = tree_usable(n);

	for (uint8_t i = 0; i < LINK_SLOTS; i++)
		if (usable & link_bit(i))
			return i;
	return LINK_NONE;
}

void sync_pump(struct step *s)
{
	struct node *n = s->n;
	struct gossip *g = &n->gossip;
	bool hope = false;
	uint8_t slot;

	if (!g->syncing)
		return;
	if (g->taken >= g->sync_seq) {
		g->syncing = false;
		effects_add(s->out, EF_SYNCED);
		return;
	}
	for (uint8_t i = 0; i < LINK_SLOTS; i++) {
		struct link_state *l = &n->links[i];

		if (!l->up || !covers(&l->has, g->taken + 1))
			continue;
		hope = true;
		if (!l->pinging || !covers(&l->pinged, g->taken + 1))
			liveness_ping(s, i);
	}
	slot = hope ? LINK_NONE : draw_link(n);
	if (slot != LINK_NONE) {
		resend(s, slot);
		liveness_ping(s, slot);
	}
}

void sync_answered(struct step *s, uint8_t slot)
{
	struct gossip *g = &s->n->gossip;
	const struct span *p = &s->n->links[slot].pinged;

	if (covers(p, g->taken + 1))
		g->taken = p->last;
	sync_pump(s);
}

void sync_begin(struct step *s)
{
	struct gossip *g = &s->n->gossip;

	g->sync_seq = s->n->stats.published;
	g->syncing = true;
	sync_pump(s);
}
