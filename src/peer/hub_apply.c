/* Effects out: everything the node wants done is queued here, under node.mu,
 * and nothing here blocks. */
#include "peer/hub_impl.h"

#include "io/clock.h"
#include "io/sock.h"
#include "peer/detail.h"
#include "peer/dialer.h"
#include "peer/output.h"
#include "peer/seeds.h"

/* --- work after the lock ---------------------------------------------- */

void work_touch(struct work *w, struct link *l)
{
	for (size_t i = 0; i < w->n; i++)
		if (w->touched[i] == l)
			return;
	/* Only its own event brings a link in, so one locked section sees the
	 * slots' links and one more; twice the slots cannot be too few. */
	if (w->n < 2 * LINK_SLOTS)
		w->touched[w->n++] = link_hold(l);
}

void work_flush(struct work *w)
{
	for (size_t i = 0; i < w->n; i++)
		link_flush(w->touched[i]);
}

bool work_wait(struct work *w, size_t high, int64_t stall_ms, int64_t bound_ms)
{
	int64_t begun = clock_ms(); /* of all: stalls are waited out together */
	bool room = true;

	for (size_t i = 0; i < w->n; i++)
		if (!atomic_load(&w->touched[i]->behind) &&
		    !link_wait_room(w->touched[i], high, begun, stall_ms,
				    begun + bound_ms))
			room = false;
	return room;
}

void work_release(struct work *w)
{
	for (size_t i = 0; i < w->n; i++)
		link_release(w->touched[i]);
	w->n = 0;
}

/* --- effects: sending ------------------------------------------------- */

static void queue_locked(struct hub *h, struct work *w, struct link *l,
			 const struct frame_head *head, struct frame *f)
	NEEDS(h->mu)
{
	enum err e = link_queue(l, head, f);

	if (e == ERR_FULL || e == ERR_NOMEM)
		h->overflowed |=
			(link_set)(l->slot < LINK_SLOTS ? 1u << l->slot : 0);
	work_touch(w, l);
}

static void queue_set_locked(struct hub *h, struct work *w, link_set to,
			     const struct frame_head *head, struct frame *f)
	NEEDS(h->mu)
{
	frame_address(f, head);
	for (unsigned i = 0; i < LINK_SLOTS; i++)
		if ((to & 1u << i) != 0 && h->links[i] != NULL)
			queue_locked(h, w, h->links[i], head, f);
}

static struct frame *encode(struct hub *h, const struct message *m)
{
	struct frame *f = NULL;

	if (codec_encode(m, &f) != ERR_OK) {
		reject_note(&h->peer->rejects, REJECT_MEMORY, NULL,
			    "no memory for a message to neighbors");
		return NULL;
	}
	return f;
}

static void tell_locked(struct hub *h, struct work *w, struct link *l,
			const struct message *m) NEEDS(h->mu)
{
	struct frame *f = encode(h, m);
	struct frame_head head = { 0 };

	if (f == NULL)
		return;
	head.body_bytes = f->body_bytes;
	queue_locked(h, w, l, &head, f);
	frame_release(f);
}

static void log_said(struct hub *h, const struct link *l,
		     const struct message *m)
{
	struct log *log = h->peer->log;
	const char *name = message_name(m->type);

	if (m->type == MSG_LIVELINESS)
		log_event(log, LOG_INFO, KIND_LIVELINESS, WAY_OUT, name,
			  &l->who, "nonce=%llu",
			  (unsigned long long)m->liveliness.nonce);
	else if (m->type == MSG_LIVELINESS_REPLY)
		log_event(log, LOG_INFO, KIND_LIVELINESS, WAY_OUT, name,
			  &l->who, "neighbors=%llu",
			  (unsigned long long)m->liveliness_reply.neighbors);
	else if (m->type == MSG_PEER_LIST)
		log_event(log, LOG_INFO, KIND_PEER, WAY_OUT, name, &l->who,
			  "%zu peers", m->peer_list.peers.n);
	else
		detail_log(log, WAY_OUT, &l->who, m);
}

static void say_locked(struct hub *h, struct work *w, const struct effect *e)
	NEEDS(h->mu)
{
	struct frame *f = encode(h, &e->say);
	struct frame_head head = { 0 };

	/* An announcement is not made twice: they are told of everything. Not
	 * at once, or who has drained already would be told without end. */
	if (f == NULL) {
		h->starved |= e->links;
		return;
	}
	head.body_bytes = f->body_bytes;
	queue_set_locked(h, w, e->links, &head, f);
	frame_release(f);
	for (unsigned i = 0; i < LINK_SLOTS; i++)
		if ((e->links & 1u << i) != 0 && h->links[i] != NULL)
			log_said(h, h->links[i], &e->say);
}

/* --- effects: links come and go --------------------------------------- */

static void enter_locked(struct hub *h, struct link *l, uint8_t slot,
			 const char *how) NEEDS(h->mu)
{
	h->links[slot] = link_hold(l);
	l->slot = slot;
	log_event(h->peer->log, LOG_INFO, KIND_PEER, WAY_NONE, "join", &l->who,
		  "%s, %zu neighbors now", how, node_neighbor_count(h->node));
	cond_broadcast(&h->changed);
}

static void verdict_locked(struct hub *h, struct work *w,
			   const struct effect *e) NEEDS(h->mu)
{
	struct link *l = w->subject;
	const struct msg_peer_reply *r = &e->say.peer_reply;

	log_event(h->peer->log, LOG_INFO, KIND_PEER, WAY_OUT, "Peer Reply",
		  &l->who, "%s, %zu redirects", peer_verdict_name(r->verdict),
		  r->redirect.n);
	tell_locked(h, w, l, &e->say);
	if (e->link != LINK_NONE)
		enter_locked(h, l, e->link, "accepted");
}

static void bye_locked(struct hub *h, struct work *w, struct link *l,
		       enum bye_reason why) NEEDS(h->mu)
{
	struct message m = { .type = MSG_BYE, .bye = { .reason = why } };

	tell_locked(h, w, l, &m);
	log_event(h->peer->log, LOG_INFO, KIND_PEER, WAY_OUT, "Bye", &l->who,
		  "%s", bye_reason_name(why));
}

static void unlink_locked(struct hub *h, struct work *w, const struct effect *e)
	NEEDS(h->mu)
{
	static const char *const words[] = {
		[UNLINK_BYE_SENT] = "leave", [UNLINK_BYE_GOT] = "leave",
		[UNLINK_SILENT] = "lost",    [UNLINK_RESET] = "lost",
		[UNLINK_BREACH] = "lost",    [UNLINK_SLOW] = "lost",
	};
	static const char *const causes[] = {
		[UNLINK_BYE_SENT] = "told to go",
		[UNLINK_BYE_GOT] = "said Bye",
		[UNLINK_SILENT] = "silent",
		[UNLINK_RESET] = "closed",
		[UNLINK_BREACH] = "broke the protocol",
		[UNLINK_SLOW] = "too slow",
	};
	struct link *l = h->links[e->link];

	if (l == NULL)
		return;
	h->links[e->link] = NULL;
	h->overflowed &= (link_set) ~(1u << e->link); /* not the next one's */
	h->starved &= (link_set) ~(1u << e->link);
	l->slot = LINK_NONE;
	if (e->unlink.cause == UNLINK_BYE_SENT)
		bye_locked(h, w, l, e->unlink.bye);
	log_event(h->peer->log, LOG_INFO, KIND_PEER, WAY_NONE,
		  words[e->unlink.cause], &l->who, "%s, %zu neighbors now",
		  causes[e->unlink.cause], node_neighbor_count(h->node));
	if (e->unlink.cause <= UNLINK_BYE_GOT)
		link_finish(l);
	else
		link_abort(l);
	link_release(l);
	cond_broadcast(&h->changed);
}

/* --- effects: all of them --------------------------------------------- */

/* Copies are frequent only where they come in a row: for a stretch of news at
 * a time each lock is taken once. */
void hub_pass_on_locked(struct hub *h, struct work *w)
{
	struct peer *p = h->peer;

	while (w->passed_on < w->stepped) {
		struct parcel *const *first = w->frames + w->passed_on;
		size_t n = 0, left = w->stepped - w->passed_on;

		while (n < left && first[n]->delivered)
			n++;
		w->passed_on += n > 0 ? n : 1;
		if (n == 0)
			continue;
		history_add(&p->history, first, n, false);
		if (p->options->receive) {
			output_messages(p->output, first, n);
			w->printed = true;
		}
	}
}

/* A reader of our output hears of it there, in its place. */
static void lose_locked(struct hub *h, const struct range *r, struct work *w)
	NEEDS(h->mu)
{
	struct peer *p = h->peer;

	hub_pass_on_locked(h, w);
	if (p->options->receive) {
		output_gap(p->output, r);
		w->printed = true;
	}
	if (!p->options->receive || p->log != NULL)
		log_event(p->log, LOG_WARN, KIND_WARNING, WAY_NONE, "lost",
			  &r->run.addr,
			  "%llu messages, seq %llu to %llu: nobody has them "
			  "any more",
			  (unsigned long long)(r->last - r->first + 1),
			  (unsigned long long)r->first,
			  (unsigned long long)r->last);
}

static void keep_found_locked(struct hub *h, const struct effect *e)
	NEEDS(h->mu)
{
	frame_release(h->found);
	h->found = e->kind == EF_FOUND ? frame_hold(e->found.frame) : NULL;
	h->found_id = e->found.id;
	h->finds++;
	cond_broadcast(&h->changed);
}

static void note_locked(struct hub *h, const struct effect *e) NEEDS(h->mu)
{
	struct log *log = h->peer->log;

	if (e->kind == EF_SYNCED) {
		h->synced++;
		cond_broadcast(&h->changed);
	} else if (e->kind == EF_SETTLED) {
		h->settled = true;
		cond_broadcast(&h->changed);
	} else if (e->kind == EF_ADDRESS) {
		log_event(log, LOG_WARN, KIND_WARNING, WAY_NONE, "address",
			  &node_self(h->node)->addr,
			  "this is how a seed sees this peer");
	} else if (e->kind == EF_JOINED) {
		bool none = e->joined.answered == 0;

		log_event(log, none ? LOG_WARN : LOG_INFO,
			  none ? KIND_WARNING : KIND_START, WAY_NONE,
			  "registered", NULL,
			  "%u of %u seeds answered, %zu candidates%s",
			  e->joined.answered, e->joined.asked,
			  e->joined.candidates,
			  none ? "; trying again until one does" : "");
	}
}

static void check_locked(struct hub *h, const struct effect *e, link_set *quiet,
			 link_set *waiting) NEEDS(h->mu)
{
	struct link *l = h->links[e->link];

	if (l != NULL && sock_has_bytes(l->fd))
		*waiting |= (link_set)(1u << e->link);
	else
		*quiet |= (link_set)(1u << e->link);
}

static void apply_locked(struct hub *h, const struct effect *e, struct work *w)
	NEEDS(h->mu)
{
	switch (e->kind) {
	case EF_SEND:
		queue_set_locked(h, w, e->links, &e->send.head, e->send.frame);
		break;
	case EF_SAY:
		say_locked(h, w, e);
		break;
	case EF_VERDICT:
		verdict_locked(h, w, e);
		break;
	case EF_DIAL:
		dialer_dial(h->peer->dialer, e);
		break;
	case EF_ADOPT:
		enter_locked(h, w->subject, e->link, "dialed");
		break;
	case EF_REFUSE:
		if (w->subject != NULL)
			bye_locked(h, w, w->subject, e->unlink.bye);
		break;
	case EF_UNLINK:
		unlink_locked(h, w, e);
		break;
	case EF_SEED:
		seeds_ask(h->peer->seeds, e);
		break;
	case EF_DEATH:
		seeds_report(h->peer->seeds, e);
		break;
	case EF_LEAVE:
		seeds_leave(h->peer->seeds, node_self(h->node));
		break;
	case EF_DELIVER:
		w->frames[w->stepped]->delivered = true;
		break;
	case EF_FOUND:
	case EF_NOT_FOUND:
		keep_found_locked(h, e);
		break;
	case EF_WATCH:
		if (h->links[e->link] != NULL)
			link_watch(h->links[e->link]);
		break;
	case EF_LOST:
		lose_locked(h, &e->lost, w);
		break;
	case EF_CHECK: /* hub_step_locked: it leads to another step */
		break;
	case EF_SYNCED:
	case EF_SETTLED:
	case EF_JOINED:
	case EF_ADDRESS:
		note_locked(h, e);
		break;
	}
}

static void follow_up_locked(struct hub *h, link_set set,
			     const struct event *like, struct work *w)
	NEEDS(h->mu)
{
	struct event ev = *like;

	for (uint8_t i = 0; set != 0 && i < LINK_SLOTS; i++) {
		ev.link = i;
		if ((set & 1u << i) != 0)
			hub_step_locked(h, &ev, w);
	}
}

void hub_full_locked(struct hub *h, link_set full, struct work *w)
{
	full &= (link_set)~w->told_full;
	w->told_full |= full;
	for (unsigned i = 0; i < LINK_SLOTS; i++) {
		struct link *l = h->links[i];

		if ((full & 1u << i) != 0 && l != NULL &&
		    !atomic_exchange(&l->behind, true))
			log_event(h->peer->log, LOG_INFO, KIND_PEER, WAY_NONE,
				  "behind", &l->who, "%zu bytes wait for it",
				  link_backlog(l));
	}
	follow_up_locked(h, full, &(struct event){ .kind = EV_FULL }, w);
}

/* Steps that the effects of the last one made necessary. */
static void after_effects_locked(struct hub *h, link_set quiet,
				 link_set waiting, struct work *w) NEEDS(h->mu)
{
	link_set over = h->overflowed;

	if ((quiet | waiting | over) == 0)
		return;
	h->overflowed = 0;
	follow_up_locked(h, quiet, &(struct event){ .kind = EV_CHECKED }, w);
	follow_up_locked(
		h, waiting,
		&(struct event){ .kind = EV_CHECKED, .bytes_wait = true }, w);
	hub_full_locked(h, over, w);
}

/* Effects found no memory, and any link may miss something: each is told of
 * everything at the next tick, once it has drained. */
static void effects_dropped_locked(struct hub *h) NEEDS(h->mu)
{
	h->dropped = h->effects.dropped;
	reject_note(&h->peer->rejects, REJECT_MEMORY, NULL,
		    "no memory for what the node wants done");
	for (unsigned i = 0; i < LINK_SLOTS; i++)
		if (h->links[i] != NULL)
			h->starved |= (link_set)(1u << i);
}

void hub_step_locked(struct hub *h, const struct event *ev, struct work *w)
{
	link_set quiet = 0, waiting = 0;

	node_step(h->node, w->now_ms, ev, &h->effects);
	for (size_t i = 0; i < h->effects.n; i++) {
		const struct effect *e = &h->effects.v[i];

		if (e->kind == EF_CHECK)
			check_locked(h, e, &quiet, &waiting);
		else
			apply_locked(h, e, w);
	}
	if (h->effects.dropped != h->dropped)
		effects_dropped_locked(h);
	after_effects_locked(h, quiet, waiting, w);
}
