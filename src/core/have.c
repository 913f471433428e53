/* Announcing: what a link was not sent, it is told of (R7, R8; I2).
 *
 * New messages collect for a moment and go out as ranges; a new link, and one
 * that fell behind and has drained, is told of the whole store. */
#include "core/node_impl.h"

#include <stdlib.h>
#include <string.h>

/* So many are announced at once: ranges, and messages. At full speed a Have for
 * every 256 messages was a third of all frames. */
#define FRESH_MAX 256
#define FRESH_MESSAGES 4096
#define FRESH_BYTES (UINT64_C(1) << 20)
/* From so much on all are told, also those that have it: what they know to be
 * with us they need not keep for us (settled.c). */
#define MUCH_MESSAGES 256
#define MUCH_BYTES (UINT64_C(1) << 18)
#define FRESH_FIRST 8
#define TURNS 4                /* so many of the last ones may go on */
#define AGAIN_MS 10000         /* the whole store, to who asks for that */
#define WALK_RANGES RANGES_MAX /* in one Have of the whole store */

/* Without memory for a list these links are told of the whole store later. */
static void tell_later(struct step *s, link_set to)
{
	for (uint8_t i = 0; i < LINK_SLOTS; i++) {
		if ((to & link_bit(i)) == 0)
			continue;
		s->n->behind = (link_set)(s->n->behind | link_bit(i));
		gossip_watch(s, i);
	}
}

/* --- new messages ----------------------------------------------------- */

static bool make_room(struct gossip *g)
{
	unsigned cap = g->fresh_cap ? g->fresh_cap * 2 : FRESH_FIRST;
	struct fresh *v;

	if (g->fresh_n < g->fresh_cap)
		return true;
	v = cap <= FRESH_MAX ? realloc(g->fresh, cap * sizeof *v) : NULL;
	if (v == NULL)
		return false;
	g->fresh = v;
	g->fresh_cap = cap;
	return true;
}

/* Neighbors would tell each other at the same moment. Drawn, it is one who
 * does, and the other need not any more: at 100 messages/s a third of the
 * frames. Who lacks a message hears of it from the first of its neighbors, so
 * the longest of these waits matter to nobody. */
static int64_t flush_after(const struct step *s)
{
	int64_t wait = s->n->config->gossip.have_flush_ms;

	return wait / 2 + (int64_t)rng_below(&s->n->rng, 2 * (uint64_t)wait);
}

/* As a rule it follows one of the last: runs take turns. */
static bool extend(struct gossip *g, const struct origin *r, uint64_t seq,
		   link_set to)
{
	for (unsigned i = g->fresh_n; i > 0 && g->fresh_n - i < TURNS; i--) {
		struct fresh *f = &g->fresh[i - 1];

		if (f->run != r || f->last + 1 != seq || f->to != to)
			continue;
		f->last = seq;
		return true;
	}
	return false;
}

void have_add(struct step *s, struct origin *r, uint64_t seq, link_set to,
	      uint32_t bytes)
{
	struct gossip *g = &s->n->gossip;

	if (to == 0 && !settled_matters(s->n))
		return;
	if (!extend(g, r, seq, to)) {
		if (!make_room(g))
			have_flush(s);
		if (!make_room(g)) {
			tell_later(s, to);
			return;
		}
		g->fresh[g->fresh_n++] = (struct fresh){ r, seq, seq, to };
	}
	g->fresh_messages++;
	g->fresh_bytes += bytes;
	if (to != 0 && g->flush_ms == NEVER_MS)
		g->flush_ms = s->now + flush_after(s);
	if (g->fresh_messages >= FRESH_MESSAGES ||
	    g->fresh_bytes >= FRESH_BYTES || g->fresh_n == FRESH_MAX)
		have_flush(s);
}

/* Cuts off what follows `last`; without room for it nothing happens. */
static bool cut(struct gossip *g, unsigned i, uint64_t last)
{
	struct fresh tail;

	if (!make_room(g))
		return false;
	tail = g->fresh[i];
	tail.first = last + 1;
	g->fresh[i].last = last;
	g->fresh[g->fresh_n++] = tail;
	return true;
}

void have_known(struct step *s, const struct origin *r, uint64_t first,
		uint64_t last, uint8_t slot)
{
	struct gossip *g = &s->n->gossip;
	link_set left = (link_set)~link_bit(slot);

	/* The pieces cut off come at the end, and so are looked at, too. */
	for (unsigned i = 0; i < g->fresh_n; i++) {
		struct fresh f = g->fresh[i];

		if (f.run != r || f.last < first || f.first > last ||
		    (f.to & link_bit(slot)) == 0)
			continue;
		if (f.first < first) {
			(void)!cut(g, i, first - 1);
			continue;
		}
		if (f.last <= last || cut(g, i, last))
			g->fresh[i].to &= left;
	}
}

void have_forget_run(struct node *n, const struct origin *r)
{
	struct gossip *g = &n->gossip;
	unsigned kept = 0;

	for (unsigned i = 0; i < g->fresh_n; i++)
		if (g->fresh[i].run != r)
			g->fresh[kept++] = g->fresh[i];
	g->fresh_n = kept;
	for (uint8_t i = 0; i < LINK_SLOTS; i++)
		if (n->links[i].walk.at == r) {
			n->links[i].walk.at = r->hh.next;
			n->links[i].walk.seq = 1;
		}
}

void have_forget_link(struct step *s, uint8_t slot)
{
	struct gossip *g = &s->n->gossip;

	for (unsigned i = 0; i < g->fresh_n; i++)
		g->fresh[i].to &= (link_set)~link_bit(slot);
	s->n->links[slot].walk = (struct walk){ 0 };
}

static int by_run_and_seq(const void *a, const void *b)
{
	const struct fresh *x = a, *y = b;

	if (x->run != y->run)
		return x->run->number < y->run->number ? -1 : 1;
	return (x->first > y->first) - (x->first < y->first);
}

/* What is sorted as the ranges for one link; returns how many. */
static size_t collect(const struct gossip *g, link_set bit, struct range *v)
{
	size_t n = 0;

	for (unsigned i = 0; i < g->fresh_n; i++) {
		const struct fresh *f = &g->fresh[i];

		if ((f->to & bit) == 0)
			continue;
		if (n > 0 && v[n - 1].last + 1 == f->first &&
		    identity_equal(&v[n - 1].run, &f->run->id))
			v[n - 1].last = f->last;
		else
			v[n++] =
				(struct range){ f->run->id, f->first, f->last };
	}
	return n;
}

/* What all are told of these messages: with what else is held from where the
 * last time ended. Claims without a hole between them can be believed
 * (settled.c). */
static struct range claim(const struct fresh *f)
{
	struct origin *r = f->run;
	struct range v = { r->id, f->first, f->last };
	struct span held;

	if (!ranges_span(&r->held, f->last, &held))
		return v;
	if (held.last <= r->told) /* it filled a hole */
		v.last = held.last;
	if (held.last <= r->told ||
	    (r->told != 0 && !settled_bridges(r, r->told + 1, held.first - 1)))
		return v;
	if (held.first <= r->told)
		held.first = r->told + 1;
	if (held.first < v.first)
		v.first = held.first;
	v.last = r->told = held.last;
	return v;
}

static size_t collect_for_all(const struct gossip *g, struct range *v)
{
	size_t n = 0;

	for (unsigned i = 0; i < g->fresh_n; i++) {
		struct range next = claim(&g->fresh[i]);

		if (n == 0 || v[n - 1].last < next.last ||
		    v[n - 1].first > next.first ||
		    !identity_equal(&v[n - 1].run, &next.run))
			v[n++] = next;
	}
	return n;
}

static void forget_fresh(struct gossip *g)
{
	g->fresh_n = g->fresh_messages = 0;
	g->fresh_bytes = 0;
	g->flush_ms = NEVER_MS;
}

/* To the links of `to` what is of concern to `bit`, 0: all there is. */
static void tell(struct step *s, link_set to, link_set bit)
{
	struct gossip *g = &s->n->gossip;
	struct range *v = effects_room(s->out, g->fresh_n * sizeof *v);
	size_t n;

	if (v == NULL) {
		tell_later(s, to);
		return;
	}
	n = bit != 0 ? collect(g, bit, v) : collect_for_all(g, v);
	if (n == 0)
		return;
	say(s, to, MSG_HAVE)->have.ranges = (struct range_list){ v, n };
	for (uint8_t i = 0; i < LINK_SLOTS; i++)
		s->n->stats.have_sent += (to & link_bit(i)) != 0;
}

void have_flush(struct step *s)
{
	struct gossip *g = &s->n->gossip;
	link_set usable = tree_usable(s->n);

	if (g->fresh_n > 1)
		qsort(g->fresh, g->fresh_n, sizeof *g->fresh, by_run_and_seq);
	/* Who is behind is told of everything later, and till then keeps us
	 * from settling anything. */
	if (s->n->behind == 0 && usable != 0 &&
	    (g->fresh_messages >= MUCH_MESSAGES ||
	     g->fresh_bytes >= MUCH_BYTES)) {
		tell(s, usable, 0);
	} else {
		for (uint8_t i = 0; i < LINK_SLOTS; i++)
			if ((usable & link_bit(i)) != 0)
				tell(s, link_bit(i), link_bit(i));
	}
	forget_fresh(g);
}

/* --- the whole store -------------------------------------------------- */

static bool walk_step(struct walk *w, struct range *out)
{
	while (w->at != NULL) {
		struct span held;

		if (ranges_overlap(&w->at->held, w->seq, SEQ_MAX, &held)) {
			*out = (struct range){ w->at->id, held.first,
					       held.last };
			w->seq = held.last + 1;
			return true;
		}
		w->at = w->at->hh.next;
		w->seq = 1;
	}
	return false;
}

void have_walk_on(struct step *s, uint8_t slot)
{
	struct walk *w = &s->n->links[slot].walk;
	struct range *v;
	struct message *m;
	size_t n = 0;

	if (!w->active)
		return;
	v = effects_room(s->out, WALK_RANGES * sizeof *v);
	if (v == NULL) {
		gossip_watch(s, slot); /* later */
		return;
	}
	while (n < WALK_RANGES && walk_step(w, &v[n]))
		n++;
	w->active = w->at != NULL;
	m = say(s, link_bit(slot), MSG_HAVE);
	m->have.ranges = (struct range_list){ v, n };
	m->have.all = true;
	m->have.more = w->active;
	s->n->stats.have_sent++;
	if (w->active)
		gossip_watch(s, slot);
}

void have_walk(struct step *s, uint8_t slot)
{
	struct walk *w = &s->n->links[slot].walk;

	s->n->links[slot].told_ms = s->now;
	s->n->links[slot].tell_again = false;
	if (s->n->gossip.store.count == 0)
		return;
	*w = (struct walk){ .active = true,
			    .at = s->n->gossip.origins.table,
			    .seq = 1 };
	have_walk_on(s, slot);
}

void have_again(struct step *s, uint8_t slot)
{
	struct link_state *l = &s->n->links[slot];

	l->tell_again = true;
	if (l->walk.active || (s->n->behind & link_bit(slot)) != 0 ||
	    s->now - l->told_ms < AGAIN_MS)
		return; /* later: he does not ask twice */
	have_walk(s, slot);
}

void have_tick(struct step *s)
{
	for (uint8_t i = 0; i < LINK_SLOTS; i++)
		if (s->n->links[i].up && s->n->links[i].tell_again)
			have_again(s, i);
}

static void hand_over(struct step *s, const struct origin *r, uint64_t seq,
		      link_set to)
{
	const struct stored *e = store_by_seq(&s->n->gossip.store, r, seq);

	if (e != NULL)
		gossip_send(s, to, e->frame, FRAME_RECOVERY, e->hops);
}

/* Who leaves cannot be asked any more: what he was going to announce he sends,
 * as if it had been asked for. */
void have_hand_over(struct step *s)
{
	struct gossip *g = &s->n->gossip;
	link_set usable = tree_usable(s->n);

	for (unsigned i = 0; i < g->fresh_n; i++) {
		const struct fresh *f = &g->fresh[i];

		if ((f->to & usable) == 0)
			continue;
		for (uint64_t seq = f->first; seq <= f->last; seq++)
			hand_over(s, f->run, seq, (link_set)(f->to & usable));
	}
	forget_fresh(g);
}
