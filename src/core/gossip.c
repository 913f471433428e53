/* Spreading messages: what is new is delivered, stored, and sent on (R8). Who
 * is sent it at once is the matter of tree.c, who only hears of it of have.c,
 * and what is missing is fetched by pull.c. */
#include "core/node_impl.h"

#include <stdlib.h>
#include <string.h>

void gossip_init(struct node *n)
{
	const struct config_gossip *c = &n->config->gossip;
	struct gossip *g = &n->gossip;
	uint64_t secret;

	secret = rng_u64(&n->rng);
	origins_init(&g->origins, c->runs_max, secret);
	store_init(&g->store, c->store_messages, c->store_bytes, secret);
	wants_init(&g->wants,
		   c->runs_max < WANTS_MAX ? (uint32_t)c->runs_max : WANTS_MAX,
		   secret);
	g->flush_ms = NEVER_MS;
	g->history_link = LINK_NONE;
}

void gossip_free(struct node *n)
{
	struct gossip *g = &n->gossip;

	free(g->fresh);
	wants_free(&g->wants);
	store_free(&g->store);
	origins_free(&g->origins);
	for (unsigned i = 0; i < LINK_SLOTS; i++)
		free(n->links[i].answers.v);
}

/* --- accepting -------------------------------------------------------- */

struct origin *gossip_record(struct step *s, const struct identity *id)
{
	struct gossip *g = &s->n->gossip;
	struct origin *r = origins_find(&g->origins, id);

	if (r != NULL)
		return r;
	r = origins_surplus(&g->origins);
	if (r != NULL) {
		have_forget_run(s->n, r);
		store_drop_run(&g->store, r);
		origins_remove(&g->origins, r);
	}
	r = origins_add(&g->origins, id);
	if (r == NULL)
		return NULL;
	r->pinned = identity_equal(id, &s->n->self);
	r->active_ms = s->now;
	tree_plant(s, r);
	return r;
}

/* Notes a new message everywhere, or, for want of memory, nowhere: then it is
 * as if it had not come, and can come again. */
static bool take(struct step *s, struct origin *r, uint64_t seq, uint8_t slot,
		 struct frame *f, uint8_t hops)
{
	struct gossip *g = &s->n->gossip;
	struct span closed;

	if (ranges_add(&r->covered, seq, seq, &closed) != ERR_OK)
		return false;
	if (closed.first != 0)
		pull_lost(s, r, closed.first, closed.last);
	settled_make_room(s, f);
	/* What others cannot get from us might be lost to them. */
	if (store_put(&g->store, f, r, seq, hops) == ERR_NOMEM &&
	    ranges_remove(&r->covered, seq) == ERR_OK)
		return false;
	settled_took(r, seq, slot);
	r->active_ms = s->now;
	origins_touch(&g->origins, r);
	return true;
}

/* --- sending ---------------------------------------------------------- */

void gossip_send(struct step *s, link_set to, struct frame *f, uint8_t flags,
		 uint8_t hops)
{
	struct effect *e;

	if (to == 0)
		return;
	e = effects_add(s->out, EF_SEND);
	e->links = to;
	e->send.frame = f;
	e->send.head = (struct frame_head){ .flags = flags,
					    .hops = hops,
					    .body_bytes = f->body_bytes };
}

void gossip_watch(struct step *s, uint8_t slot)
{
	if (s->n->links[slot].watched)
		return;
	s->n->links[slot].watched = true;
	effects_add(s->out, EF_WATCH)->link = slot;
}

/* R8, C2: to the eager ones at once, but those that only hear of it; nothing to
 * those that have it. Returns who was sent it. */
static link_set spread(struct step *s, struct origin *r, uint64_t seq,
		       struct frame *f, const struct frame_head *head,
		       link_set have, link_set hear)
{
	link_set others = (link_set)(tree_usable(s->n) & ~have), eager;
	uint8_t flags = seq == 1 ? head->flags & FRAME_SPREAD : 0;

	if (flags != 0)
		tree_spread(s, r);
	eager = (link_set)(tree_eager(s, r) & others & ~hear);
	gossip_send(s, eager, f, flags, head->hops);
	have_add(s, r, seq, (link_set)(others & ~eager), f->body_bytes);
	return eager;
}

void gossip_on_publish(struct step *s, const struct ev_publish *ev)
{
	struct node *n = s->n;
	struct origin *r = gossip_record(s, &n->self);
	struct frame_head head = { 0 };
	link_set sent;

	/* The first message of a run goes everywhere and grows its tree. */
	if (ev->msg->seq == 1 && ev->frame->body_bytes <= SPREAD_BYTES)
		head.flags = FRAME_SPREAD;
	if (r == NULL || !take(s, r, ev->msg->seq, LINK_NONE, ev->frame, 0)) {
		n->stats.starved++;
		return;
	}
	n->stats.published++;
	sent = spread(s, r, ev->msg->seq, ev->frame, &head, 0, 0);
	sync_queued(s, sent, ev->msg->seq);
}

/* --- receiving (R8) --------------------------------------------------- */

static bool same_body(const struct frame *a, const struct frame *b)
{
	return a->body_bytes == b->body_bytes &&
	       memcmp(a->body, b->body, a->body_bytes) == 0;
}

/* What is covered is a copy; as far as it is still held, one with another text
 * is told from it. */
static void on_covered(struct step *s, struct origin *r, uint8_t slot,
		       const struct ev_frame *f)
{
	uint64_t seq = f->msg->message.seq;
	const struct stored *held = store_by_seq(&s->n->gossip.store, r, seq);

	if (held != NULL && !same_body(held->frame, f->frame)) {
		s->n->stats.conflicts++;
		return;
	}
	s->n->stats.duplicates++;
	have_known(s, r, seq, seq, slot);
	settled_note(r, slot, seq, seq);
	tree_on_duplicate(s, r, slot, seq, f->head.flags);
}

static void not_taken(struct step *s, uint8_t slot, const struct msg_message *m)
{
	s->n->stats.starved++;
	pull_unnoted(s, slot, &m->origin, m->seq, m->seq);
}

static void on_news(struct step *s, struct origin *r, uint8_t slot,
		    const struct ev_frame *f)
{
	struct node *n = s->n;
	const struct msg_message *m = &f->msg->message;
	bool recovery = (f->head.flags & FRAME_RECOVERY) != 0, live;
	struct frame_head head = f->head;
	struct pulled p;
	link_set sent, hear = 0;

	head.hops = (uint8_t)(head.hops + (head.hops < UINT8_MAX));
	if (!take(s, r, m->seq, slot, f->frame, head.hops)) {
		not_taken(s, slot, m);
		return;
	}
	n->stats.delivered++;
	n->stats.recovered += recovery;
	effects_add(s->out, EF_DELIVER);
	p = pull_took(s, slot, &m->origin, m->seq, f->frame->body_bytes);
	for (uint8_t i = 0; p.announced != 0 && i < LINK_SLOTS; i++)
		if ((p.announced & link_bit(i)) != 0)
			settled_note(r, i, m->seq, m->seq);
	live = !recovery || p.graft; /* said now, not before we came */
	if (live)
		hear = tree_on_news(s, r, slot, m->seq);
	sent = spread(s, r, m->seq, f->frame, &head,
		      (link_set)(p.announced | link_bit(slot)), hear);
	n->stats.forwarded += sent != 0;
	if (live)
		pull_live(s, r, m->seq, slot);
	pull_hole(s, r, m->seq, slot);
}

void gossip_on_message(struct step *s, uint8_t slot, const struct ev_frame *f)
{
	struct node *n = s->n;
	const struct msg_message *m = &f->msg->message;
	struct origin *r = origins_find(&n->gossip.origins, &m->origin);

	find_came(s, f);
	if (r != NULL && ranges_has(&r->covered, m->seq)) {
		on_covered(s, r, slot, f);
	} else if (identity_equal(&m->origin, &n->self)) {
		n->stats.conflicts++; /* I never published that */
	} else {
		if (r == NULL)
			r = gossip_record(s, &m->origin);
		if (r != NULL)
			on_news(s, r, slot, f);
		else
			not_taken(s, slot, m);
	}
}

void gossip_on_not_found(struct step *s, uint8_t slot,
			 const struct msg_not_found *m)
{
	if (m->has_id)
		find_denied(s, slot, &m->id);
	else
		pull_on_not_found(s, slot, &m->ranges);
}

/* --- links ------------------------------------------------------------ */

void gossip_link_up(struct step *s, uint8_t slot)
{
	tree_link_up(s, slot);
	pull_link_up(s);
	have_walk(s, slot);
	sync_pump(s);
}

void gossip_link_down(struct step *s, uint8_t slot)
{
	find_link_down(s, slot);
	have_forget_link(s, slot);
	settled_link_down(s->n, slot);
	tree_link_down(s, slot);
	pull_link_down(s, slot);
	sync_pump(s);
}

/* Flow: it takes no more. Until it has drained it gets nothing that can wait,
 * then a Have of everything; and no run for some time. */
void gossip_link_full(struct step *s, uint8_t slot)
{
	struct link_state *l = &s->n->links[slot];
	link_set before = s->n->behind;

	l->lazy_until = s->now + s->n->config->gossip.lazy_ms;
	s->n->lazy = (link_set)(s->n->lazy | link_bit(slot));
	l->watched = false; /* whoever is full is watched anew */
	gossip_watch(s, slot);
	s->n->behind = (link_set)(before | link_bit(slot));
	if (s->n->behind == before)
		return;
	l->has = (struct span){ 0 };
	have_forget_link(s, slot);
	tree_link_down(s, slot);
	sync_pump(s);
}

void gossip_link_drained(struct step *s, uint8_t slot)
{
	link_set bit = link_bit(slot);

	s->n->links[slot].watched = false;
	if ((s->n->behind & bit) != 0) {
		s->n->behind = (link_set)(s->n->behind & ~bit);
		have_walk(s, slot);
	} else {
		have_walk_on(s, slot);
	}
	answer_more(s, slot);
	sync_pump(s);
}

void gossip_on_output(struct step *s, bool slow)
{
	struct gossip *g = &s->n->gossip;

	if (slow && !g->choked)
		tree_choke(s);
	if (!slow && g->choked)
		wants_hurry(&g->wants, s->now);
	g->choked = slow;
	pull_pump(s);
}

/* --- time ------------------------------------------------------------- */

void gossip_tick(struct step *s)
{
	find_tick(s);
	if (s->now >= s->n->gossip.flush_ms)
		have_flush(s);
	have_tick(s);
	pull_tick(s);
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

int64_t gossip_deadline(const struct node *n)
{
	return earlier(earlier(find_deadline(n), n->gossip.flush_ms),
		       pull_deadline(n));
}
