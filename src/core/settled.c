/* Which messages every neighbor has, and what that is worth: the store need
 * not take memory for them in a hurry.
 *
 * A message is settled once all neighbors are known to have it. Only somebody
 * who comes later may still ask for it; what is not settled may be asked for
 * by a neighbor at any moment. So history grows at a pace of its own, and a
 * burst at full speed is carried by the memory there is: pages that are
 * touched for the first time are the dearest part of a stored message. */
#include "core/node_impl.h"

#include <string.h>

/* History always grows as far as is configured, and by this much in a second
 * beyond it. */
#define HISTORY_PER_S (UINT64_C(1) << 20)
#define CREDIT_MS 1000 /* a pause counts for no more than this */
/* Who dropped off may come back to anybody, and nobody else keeps for it what
 * it lacks. */
#define RETURN_MS 30000
#define DROPS_MAX 64 /* for one new message: what settled late goes slowly */

bool settled_bridges(const struct origin *r, uint64_t from, uint64_t to)
{
	struct span some;

	return from > to || (!ranges_gap(&r->covered, from, to, &some) &&
			     !ranges_overlap(&r->held, from, to, &some));
}

/* r->neighbor_has[slot] is the seq up to which that neighbor has all that we
 * hold of the run. A claim that leaves out something we hold, or may come to
 * hold, is not believed; whoever had a hole claims across it once that is
 * filled. */
void settled_note(struct origin *r, uint8_t slot, uint64_t first, uint64_t last)
{
	uint64_t has;

	if (slot >= LINK_SLOTS)
		return; /* the link has gone meanwhile */
	has = r->neighbor_has[slot];
	if (last > has && ((r->held.n > 0 && first <= r->held.v[0].first) ||
			   settled_bridges(r, has + 1, first - 1)))
		r->neighbor_has[slot] = last;
}

void settled_took(struct origin *r, uint64_t seq, uint8_t slot)
{
	if (r->held.n > 0 && r->held.v[0].first == seq)
		memset(r->neighbor_has, 0,
		       sizeof r->neighbor_has); /* they were about the rest */
	settled_note(r, slot, seq, seq);
}

void settled_keep(struct step *s)
{
	s->n->gossip.settling.keep_until_ms = s->now + RETURN_MS;
}

void settled_link_down(struct node *n, uint8_t slot)
{
	struct origin *r;

	for (r = n->gossip.origins.table; r != NULL; r = r->hh.next)
		r->neighbor_has[slot] = 0;
}

/* Without neighbors whoever comes first is one. And those who still keep it for
 * us are to be told first: what is claimed should be held. */
static bool is_settled(const struct step *s, const struct stored *e)
{
	const struct node *n = s->n;

	if (n->up == 0 || e->seq > e->run->told ||
	    s->now < n->gossip.settling.keep_until_ms)
		return false;
	for (uint8_t i = 0; i < LINK_SLOTS; i++)
		if ((n->up & link_bit(i)) != 0 &&
		    e->run->neighbor_has[i] < e->seq)
			return false;
	return true;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* How far history may have grown by now. What was kept beyond that for others
 * does not count; nor does more than a moment without anything to keep, into
 * which any message has to fit. */
static uint64_t allowed(struct step *s, uint64_t size)
{
	struct settling *t = &s->n->gossip.settling;
	uint64_t per_ms = HISTORY_PER_S / 1000;
	uint64_t credit = larger(per_ms * CREDIT_MS, size);
	uint64_t grown = per_ms * (uint64_t)(s->now - t->room_ms);

	t->room_ms = s->now;
	t->room = smaller(t->room + smaller(grown, credit),
			  s->n->gossip.store.bytes + credit);
	t->room = larger(t->room, s->n->config->gossip.history_bytes);
	return t->room;
}

bool settled_matters(const struct node *n)
{
	return n->gossip.store.bytes > n->config->gossip.history_bytes / 2;
}

/* Nobody has to be sent my own again that all neighbors have. */
static void drop(struct gossip *g, const struct stored *e)
{
	if (e->run->pinned && e->seq == g->taken + 1)
		g->taken = e->seq;
	store_drop_first(&g->store);
}

void settled_make_room(struct step *s, const struct frame *f)
{
	struct store *store = &s->n->gossip.store;
	uint64_t size = store_size(f), may = allowed(s, size);

	for (unsigned i = 0; i < DROPS_MAX && store->bytes + size > may; i++) {
		const struct stored *e = store_first_to_go(store);

		if (e == NULL || !is_settled(s, e))
			return;
		drop(&s->n->gossip, e);
	}
}
