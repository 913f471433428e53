/* Spreading messages. This version floods: every link is eager for every run,
 * and exact dedup (R8) keeps it finite. Trees per run, Have and catch-up come
 * in here: their state belongs into struct origin (eager bits, announcers) and
 * their hooks are gossip_link_up and gossip_link_down. */
#include "core/node_impl.h"

#include <stdlib.h>
#include <string.h>

void gossip_init(struct node *n)
{
	const struct config_gossip *c = &n->config->gossip;
	struct gossip *g = &n->gossip;

	seen_init(&g->seen, (uint32_t)c->seen_max, rng_u64(&n->rng));
	origins_init(&g->origins, c->runs_max);
	store_init(&g->store, c->store_messages, c->store_bytes,
		   rng_u64(&n->rng));
}

void gossip_free(struct node *n)
{
	store_free(&n->gossip.store);
	origins_free(&n->gossip.origins);
	seen_free(&n->gossip.seen);
}

/* --- accepting -------------------------------------------------------- */

static struct origin *record_of(struct node *n, const struct identity *id)
{
	struct gossip *g = &n->gossip;
	struct origin *r = origins_find(&g->origins, id);

	if (r != NULL)
		return r;
	r = origins_surplus(&g->origins);
	if (r != NULL) {
		store_drop_run(&g->store, r);
		origins_remove(&g->origins, r);
	}
	r = origins_add(&g->origins, id);
	if (r != NULL)
		r->pinned = identity_equal(id, &n->self);
	return r;
}

/* Notes a new message everywhere. Nothing is noted when memory is short: the
 * message may then come again by another way. */
static bool take(struct node *n, struct origin *r, uint64_t seq,
		 struct frame *f, const struct hash *id, uint8_t hops)
{
	struct gossip *g = &n->gossip;

	if (ranges_add(&r->covered, seq, &n->stats.lost) != ERR_OK)
		return false;
	/* Both only save work or help others: without memory we go on. */
	(void)!seen_add(&g->seen, id);
	(void)!store_put(&g->store, f, id, r, seq, hops);
	origins_touch(&g->origins, r);
	return true;
}

static void forward(struct step *s, link_set to, struct frame *f,
		    const struct frame_head *head)
{
	struct effect *e;

	if (to == 0)
		return;
	e = effects_add(s->out, EF_SEND);
	e->links = to;
	e->send.frame = f;
	e->send.head = *head;
	e->send.head.body_bytes = f->body_bytes;
}

void gossip_on_publish(struct step *s, const struct ev_publish *ev)
{
	struct node *n = s->n;
	struct origin *r = record_of(n, &n->self);
	struct frame_head head = { 0 };

	/* The first message of a run goes everywhere and grows its tree. */
	if (ev->msg->seq == 1 && ev->frame->body_bytes <= SPREAD_BYTES)
		head.flags = FRAME_SPREAD;
	/* Even without a record others get it; it is sent, not received. */
	n->stats.published++;
	if (r != NULL)
		(void)!take(n, r, ev->msg->seq, ev->frame, ev->id, 0);
	forward(s, links_up(n), ev->frame, &head);
}

/* --- messages for people who asked by id ------------------------------ */

static void found(struct step *s, const struct ev_frame *f)
{
	for (unsigned i = 0; i < FINDS_CAP; i++) {
		struct find *q = &s->n->gossip.finds[i];
		struct effect *e;

		if (!q->used || memcmp(&q->id, f->id, sizeof q->id) != 0)
			continue;
		q->used = false;
		e = effects_add(s->out, EF_FOUND);
		e->found.id = q->id;
		e->found.frame = f->frame;
	}
}

static void not_found(struct step *s, struct find *q)
{
	q->used = false;
	effects_add(s->out, EF_NOT_FOUND)->found.id = q->id;
}

static void find_answered(struct step *s, struct find *q, link_set by)
{
	q->asked = (link_set)(q->asked & ~by);
	if (q->asked == 0)
		not_found(s, q);
}

void gossip_on_find(struct step *s, const struct hash *id)
{
	struct gossip *g = &s->n->gossip;
	const struct stored *held = store_by_id(&g->store, id);
	struct find *q = g->finds;
	struct message *m;

	if (held != NULL) {
		struct effect *e = effects_add(s->out, EF_FOUND);

		e->found.id = *id;
		e->found.frame = held->frame;
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
}

void gossip_on_not_found(struct step *s, uint8_t slot,
			 const struct msg_not_found *m)
{
	for (unsigned i = 0; i < FINDS_CAP; i++) {
		struct find *q = &s->n->gossip.finds[i];

		if (q->used && m->has_id &&
		    memcmp(&q->id, &m->id, sizeof q->id) == 0)
			find_answered(s, q, link_bit(slot));
	}
}

/* --- receiving (R8) --------------------------------------------------- */

static void count_repeat(struct node *n, const struct origin *r, uint64_t seq,
			 const struct hash *id)
{
	const struct stored *held = store_by_seq(&n->gossip.store, r, seq);

	if (held != NULL && memcmp(&held->id, id, sizeof *id) != 0)
		n->stats.conflicts++;
	else
		n->stats.duplicates++;
}

static bool is_news(struct step *s, const struct ev_frame *f, uint8_t hops)
{
	struct node *n = s->n;
	const struct msg_message *m = &f->msg->message;
	struct origin *r;

	if (seen_has(&n->gossip.seen, f->id)) {
		n->stats.duplicates++;
		return false;
	}
	r = record_of(n, &m->origin);
	if (r != NULL && ranges_has(&r->covered, m->seq)) {
		count_repeat(n, r, m->seq, f->id);
		return false;
	}
	if (identity_equal(&m->origin, &n->self)) {
		n->stats.conflicts++; /* I never published that */
		return false;
	}
	return r != NULL && take(n, r, m->seq, f->frame, f->id, hops);
}

void gossip_on_message(struct step *s, uint8_t slot, const struct ev_frame *f)
{
	struct node *n = s->n;
	struct frame_head head = f->head;

	head.hops = (uint8_t)(head.hops + (head.hops < UINT8_MAX));
	found(s, f);
	if (f->msg == NULL) {
		n->stats.duplicates++;
		return;
	}
	if (!is_news(s, f, head.hops))
		return;
	n->stats.delivered++;
	n->stats.recovered += (f->head.flags & FRAME_RECOVERY) != 0;
	effects_add(s->out, EF_DELIVER);
	head.flags &= (uint8_t)~FRAME_RECOVERY;
	n->stats.forwarded += (links_up(n) & ~link_bit(slot)) != 0;
	forward(s, (link_set)(links_up(n) & ~link_bit(slot)), f->frame, &head);
}

/* --- answering getData (R11) ------------------------------------------ */

/* What one getData has cost so far, and of the range being answered the seqs
 * that are held. */
struct answer {
	uint8_t slot;
	uint64_t messages, bytes, looks;
	uint64_t held[ANSWER_MESSAGES];
	size_t held_n;
	bool cut; /* more is held than one answer takes */
	struct range *missing; /* room for RANGES_MAX */
	size_t missing_n;
};

static bool answer_full(const struct answer *a)
{
	return a->messages >= ANSWER_MESSAGES || a->bytes >= ANSWER_BYTES;
}

static void send_stored(struct step *s, struct answer *a,
			const struct stored *held)
{
	struct frame_head head = { .flags = FRAME_RECOVERY,
				   .hops = held->hops };

	forward(s, link_bit(a->slot), held->frame, &head);
	a->messages++;
	a->bytes += held->frame->body_bytes;
}

static int by_seq(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* False when the answer was full before. */
static bool offer(struct step *s, struct answer *a, const struct stored *e)
{
	if (e == NULL)
		return true;
	a->cut = answer_full(a);
	if (a->cut)
		return false;
	send_stored(s, a, e);
	a->held[a->held_n++] = e->seq;
	return true;
}

/* Sends what is held of the range: seq by seq, or if it is wider than the
 * run's messages are many, by a walk over these; it may be 2^53 wide. */
static void answer_held(struct step *s, struct answer *a,
			const struct range *want)
{
	const struct store *st = &s->n->gossip.store;
	const struct origin *r =
		origins_find(&s->n->gossip.origins, &want->run);
	uint32_t slot;

	a->held_n = 0;
	a->cut = false;
	if (r == NULL || r->held_count == 0)
		return;
	if (want->last - want->first < r->held_count) {
		a->looks += want->last - want->first + 1;
		for (uint64_t seq = want->first; seq <= want->last; seq++)
			if (!offer(s, a, store_by_seq(st, r, seq)))
				return;
		return;
	}
	a->looks += r->held_count;
	for (slot = r->held_oldest; slot != STORE_NONE;
	     slot = st->v[slot].newer) {
		const struct stored *e = &st->v[slot];

		if (e->seq >= want->first && e->seq <= want->last &&
		    !offer(s, a, e))
			return;
	}
	qsort(a->held, a->held_n, sizeof a->held[0], by_seq);
}

static bool miss(struct answer *a, const struct range *hole)
{
	if (a->missing == NULL || a->missing_n == RANGES_MAX)
		return false;
	a->missing[a->missing_n++] = *hole;
	return true;
}

/* Says Not Found for the rest of the range. */
static void note_missing(struct answer *a, const struct range *want)
{
	struct range hole = *want;

	for (size_t i = 0; i < a->held_n; i++) {
		hole.last = a->held[i] - 1;
		if (hole.first <= hole.last && !miss(a, &hole))
			return;
		hole.first = a->held[i] + 1;
	}
	hole.last = want->last;
	if (hole.first <= hole.last)
		(void)!miss(a, &hole);
}

static void answer_id(struct step *s, struct answer *a, const struct hash *id)
{
	const struct stored *held = store_by_id(&s->n->gossip.store, id);
	struct message *m;

	if (held != NULL) {
		send_stored(s, a, held);
		return;
	}
	m = say(s, link_bit(a->slot), MSG_NOT_FOUND);
	m->not_found.has_id = true;
	m->not_found.id = *id;
}

/* At most one batch is sent for one question; who wants more asks again. */
void gossip_on_get_data(struct step *s, uint8_t slot,
			const struct msg_get_data *m)
{
	struct answer a = { .slot = slot };
	struct message *reply;

	if (m->has_id) {
		answer_id(s, &a, &m->id);
		return;
	}
	a.missing = effects_room(s->out, RANGES_MAX * sizeof *a.missing);
	for (size_t i = 0;
	     i < m->ranges.n && !answer_full(&a) && a.looks < ANSWER_LOOKS;
	     i++) {
		answer_held(s, &a, &m->ranges.v[i]);
		if (!a.cut)
			note_missing(&a, &m->ranges.v[i]);
	}
	if (a.missing_n == 0)
		return;
	reply = say(s, link_bit(slot), MSG_NOT_FOUND);
	reply->not_found.ranges = (struct range_list){ a.missing, a.missing_n };
}

/* --- has everything been taken? --------------------------------------- */

/* Who publishes and leaves wants to know that what he said is in other hands.
 * Each link has everything from has_from on; a Liveliness that it answers
 * proves that it read all that was queued before. What no living link ever
 * got (its takers are gone) is sent again to one that is there. */

static void resend(struct step *s, uint8_t slot)
{
	struct node *n = s->n;
	struct gossip *g = &n->gossip;
	struct link_state *l = &n->links[slot];
	const struct origin *own = origins_find(&g->origins, &n->self);
	uint64_t seq = g->taken + 1, end = seq + ANSWER_MESSAGES;
	struct answer a = { .slot = slot };

	for (; seq < l->has_from && seq < end && !answer_full(&a); seq++) {
		const struct stored *e =
			own != NULL ? store_by_seq(&g->store, own, seq) : NULL;

		if (e != NULL)
			send_stored(s, &a, e);
		else
			n->stats.lost++; /* fell out of the store */
	}
	l->resent_to = seq - 1;
	liveness_ping(s, slot, l->resent_to);
}

void gossip_taken(struct step *s, uint8_t slot, uint64_t seq)
{
	struct gossip *g = &s->n->gossip;
	struct link_state *l = &s->n->links[slot];
	bool gapless = l->has_from <= g->taken + 1 || seq <= l->resent_to;

	if (gapless && seq > g->taken)
		g->taken = seq;
	if (!g->syncing)
		return;
	if (g->taken >= g->sync_seq) {
		g->syncing = false;
		effects_add(s->out, EF_SYNCED);
	} else if (l->has_from <= g->taken + 1) {
		liveness_ping(s, slot, s->n->stats.published);
	} else {
		resend(s, slot);
	}
}

void gossip_on_sync(struct step *s)
{
	struct gossip *g = &s->n->gossip;

	g->sync_seq = s->n->stats.published;
	g->syncing = g->taken < g->sync_seq;
	if (!g->syncing)
		effects_add(s->out, EF_SYNCED);
	for (uint8_t i = 0; i < LINK_SLOTS && g->syncing; i++)
		if (s->n->links[i].up)
			liveness_ping(s, i, s->n->stats.published);
}

void gossip_link_up(struct step *s, uint8_t slot)
{
	if (s->n->gossip.syncing)
		liveness_ping(s, slot, s->n->stats.published);
}

void gossip_link_down(struct step *s, uint8_t slot)
{
	for (unsigned i = 0; i < FINDS_CAP; i++) {
		struct find *q = &s->n->gossip.finds[i];

		if (q->used && (q->asked & link_bit(slot)) != 0)
			find_answered(s, q, link_bit(slot));
	}
}

void gossip_tick(struct step *s)
{
	for (unsigned i = 0; i < FINDS_CAP; i++) {
		struct find *q = &s->n->gossip.finds[i];

		if (q->used && s->now >= q->deadline_ms)
			not_found(s, q);
	}
}

int64_t gossip_deadline(const struct node *n)
{
	int64_t due = NEVER_MS;

	for (unsigned i = 0; i < FINDS_CAP; i++)
		if (n->gossip.finds[i].used &&
		    n->gossip.finds[i].deadline_ms < due)
			due = n->gossip.finds[i].deadline_ms;
	return due;
}
