#include "peer/hub.h"

#include "io/clock.h"
#include "io/sock.h"
#include "peer/dialer.h"
#include "peer/output.h"
#include "peer/seeds.h"

#include <stdlib.h>
#include <string.h>

#define RECHECK_MS 1000 /* how often a wait with neighbors looks around */

/* Locking key: (c) constant, (n) mu, (t) set before the ticker runs. */
struct hub {
	struct peer *peer;              /* (c) */
	struct mutex mu;                /* node.mu */
	struct node *node;              /* (n) */
	struct effects effects;         /* (n) */
	struct link *links[LINK_SLOTS]; /* (n) a reference each */
	link_set overflowed;  /* (n) to be taken down after the effects */
	struct cond tick;     /* the deadline moved, or stop */
	struct cond changed;  /* links, answers, stop: for who waits */
	int64_t tick_ms;      /* (n) when the ticker will look next */
	uint64_t synced;      /* (n) EF_SYNCED so far */
	struct hash found_id; /* (n) last answer to EV_FIND */
	struct frame *found;  /* (n) NULL: nobody had it */
	uint64_t finds;       /* (n) answers so far */
	bool settled;         /* (n) EF_SETTLED came */
	bool stopping;        /* (n) */
	pthread_t ticker;     /* (t) */
	bool has_ticker;      /* (t) */
};

/* What one locked section left to do without the lock. */
struct work {
	struct link *touched[2 * LINK_SLOTS]; /* a reference each */
	size_t n;
};

/* What the event of a step was about, for the effects. */
struct subject {
	struct link *link;     /* of a request or a dial */
	struct parcel *parcel; /* of a frame */
};

/* --- work after the lock ---------------------------------------------- */

static void touch(struct work *w, struct link *l)
{
	for (size_t i = 0; i < w->n; i++)
		if (w->touched[i] == l)
			return;
	if (w->n < 2 * LINK_SLOTS)
		w->touched[w->n++] = link_hold(l);
}

static void flush_work(struct work *w)
{
	for (size_t i = 0; i < w->n; i++)
		link_flush(w->touched[i]);
}

static void wait_work(struct work *w, size_t high, int64_t stall_ms,
		      int64_t bound_ms)
{
	int64_t deadline = clock_ms() + bound_ms;

	for (size_t i = 0; i < w->n; i++)
		link_wait_room(w->touched[i], high, stall_ms, deadline);
}

static void release_work(struct work *w)
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
	touch(w, l);
}

static void queue_set_locked(struct hub *h, struct work *w, link_set to,
			     const struct frame_head *head, struct frame *f)
	NEEDS(h->mu)
{
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
		log_event(log, LOG_DEBUG, KIND_PLAIN, WAY_OUT, name, &l->who,
			  "%s", "");
}

static void say_locked(struct hub *h, struct work *w, const struct effect *e)
	NEEDS(h->mu)
{
	struct frame *f = encode(h, &e->say);
	struct frame_head head = { 0 };

	if (f == NULL)
		return;
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
			   const struct effect *e, struct link *l) NEEDS(h->mu)
{
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

static void deliver(struct hub *h, struct parcel *p)
{
	p->delivered = true;
	history_add(&h->peer->history, p, false);
	if (h->peer->options->receive)
		output_message(h->peer->output, p);
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

static void step_locked(struct hub *h, const struct event *ev,
			const struct subject *on, struct work *w) NEEDS(h->mu);

static void check_locked(struct hub *h, const struct effect *e, link_set *quiet,
			 link_set *waiting) NEEDS(h->mu)
{
	struct link *l = h->links[e->link];

	if (l != NULL && sock_has_bytes(l->fd))
		*waiting |= (link_set)(1u << e->link);
	else
		*quiet |= (link_set)(1u << e->link);
}

static void apply_locked(struct hub *h, const struct effect *e,
			 const struct subject *on, struct work *w) NEEDS(h->mu)
{
	switch (e->kind) {
	case EF_SEND:
		queue_set_locked(h, w, e->links, &e->send.head, e->send.frame);
		break;
	case EF_SAY:
		say_locked(h, w, e);
		break;
	case EF_VERDICT:
		verdict_locked(h, w, e, on->link);
		break;
	case EF_DIAL:
		dialer_dial(h->peer->dialer, e);
		break;
	case EF_ADOPT:
		enter_locked(h, on->link, e->link, "dialed");
		break;
	case EF_REFUSE:
		if (on->link != NULL)
			bye_locked(h, w, on->link, e->unlink.bye);
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
		deliver(h, on->parcel);
		break;
	case EF_FOUND:
	case EF_NOT_FOUND:
		keep_found_locked(h, e);
		break;
	case EF_CHECK: /* step_locked: it leads to another step */
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
	struct subject none = { 0 };
	struct event ev = *like;

	for (uint8_t i = 0; i < LINK_SLOTS; i++) {
		ev.link = i;
		if ((set & 1u << i) != 0)
			step_locked(h, &ev, &none, w);
	}
}

/* One step and its effects. Some effects are questions whose answers are
 * events again; they follow at once, after the effects of this step. */
static void step_locked(struct hub *h, const struct event *ev,
			const struct subject *on, struct work *w)
{
	link_set quiet = 0, waiting = 0, over;

	node_step(h->node, clock_ms(), ev, &h->effects);
	for (size_t i = 0; i < h->effects.n; i++) {
		const struct effect *e = &h->effects.v[i];

		if (e->kind == EF_CHECK)
			check_locked(h, e, &quiet, &waiting);
		else
			apply_locked(h, e, on, w);
	}
	over = h->overflowed;
	h->overflowed = 0;
	if (quiet != 0)
		follow_up_locked(h, quiet,
				 &(struct event){ .kind = EV_CHECKED }, w);
	if (waiting != 0)
		follow_up_locked(h, waiting,
				 &(struct event){ .kind = EV_CHECKED,
						  .bytes_wait = true },
				 w);
	if (over != 0)
		follow_up_locked(
			h, over,
			&(struct event){ .kind = EV_DOWN, .down = DOWN_SLOW },
			w);
}

/* The ticker sleeps until tick_ms; wake it when that got earlier. */
static void retime_locked(struct hub *h) NEEDS(h->mu)
{
	if (node_deadline_ms(h->node) < h->tick_ms)
		cond_signal(&h->tick);
}

static void one_step(struct hub *h, const struct event *ev,
		     const struct subject *on)
{
	struct work w = { .n = 0 };

	mutex_lock(&h->mu);
	step_locked(h, ev, on, &w);
	retime_locked(h);
	mutex_unlock(&h->mu);
	flush_work(&w);
	release_work(&w);
}

/* --- events ----------------------------------------------------------- */

bool hub_on_request(struct hub *h, struct link *l, const struct addr *from,
		    const struct msg_peer_request *m)
{
	struct event ev = { .kind = EV_REQUEST,
			    .request = { .from = *from, .request = m } };

	one_step(h, &ev, &(struct subject){ .link = l });
	/* It may have been taken down again by now: not our concern here. */
	mutex_lock(&h->mu);
	bool linked = l->slot != LINK_NONE;
	mutex_unlock(&h->mu);
	return linked;
}

bool hub_on_dialed(struct hub *h, uint32_t dial, enum dial_result result,
		   struct link *l, const struct msg_peer_reply *reply,
		   int64_t rtt_ms)
{
	struct event ev = { .kind = EV_DIALED,
			    .dialed = { .dial = dial,
					.result = result,
					.reply = reply,
					.rtt_ms = rtt_ms } };
	bool linked = false;

	one_step(h, &ev, &(struct subject){ .link = l });
	if (l != NULL) {
		mutex_lock(&h->mu);
		linked = l->slot != LINK_NONE;
		mutex_unlock(&h->mu);
	}
	return linked;
}

void hub_mark_seen(struct hub *h, struct parcel *const *p, size_t n, bool *seen)
{
	mutex_lock(&h->mu);
	for (size_t i = 0; i < n; i++)
		seen[i] = p[i]->has_id && node_has_seen(h->node, &p[i]->id);
	mutex_unlock(&h->mu);
}

static void frame_event(struct event *ev, struct link *l, struct parcel *p)
{
	*ev = (struct event){ .kind = EV_FRAME,
			      .link = l->slot,
			      .frame = { .head = p->head,
					 .frame = p->frame,
					 .id = p->has_id ? &p->id : NULL,
					 .msg = p->parsed ? &p->msg : NULL } };
}

void hub_on_frames(struct hub *h, struct link *l, struct parcel *const *p,
		   size_t n)
{
	const struct config_gossip *c = &h->peer->config->gossip;
	struct work w = { .n = 0 };
	struct event ev;

	mutex_lock(&h->mu);
	for (size_t i = 0; i < n; i++) {
		frame_event(&ev, l, p[i]);
		step_locked(h, &ev, &(struct subject){ .parcel = p[i] }, &w);
	}
	retime_locked(h);
	mutex_unlock(&h->mu);
	flush_work(&w);
	/* Above half of an outbox this reader stops taking more in. */
	wait_work(&w, c->outbox_max / 2, c->forward_wait_ms, c->slow_ms);
	release_work(&w);
}

void hub_on_heard(struct hub *h, struct link *l)
{
	struct event ev = { .kind = EV_HEARD };
	struct work w = { .n = 0 };

	mutex_lock(&h->mu);
	ev.link = l->slot;
	step_locked(h, &ev, &(struct subject){ 0 }, &w);
	mutex_unlock(&h->mu);
	release_work(&w);
}

void hub_on_down(struct hub *h, struct link *l, enum down_cause cause)
{
	struct event ev = { .kind = EV_DOWN, .down = cause };
	struct work w = { .n = 0 };

	mutex_lock(&h->mu);
	if (l->slot != LINK_NONE) {
		ev.link = l->slot;
		step_locked(h, &ev, &(struct subject){ 0 }, &w);
		retime_locked(h);
	}
	mutex_unlock(&h->mu);
	flush_work(&w);
	release_work(&w);
}

void hub_on_seed(struct hub *h, const struct ev_seed *answer)
{
	struct event ev = { .kind = EV_SEED, .seed = *answer };

	one_step(h, &ev, &(struct subject){ 0 });
}

/* --- publishing ------------------------------------------------------- */

uint64_t hub_next_seq(struct hub *h)
{
	uint64_t seq;

	mutex_lock(&h->mu);
	seq = node_next_seq(h->node);
	mutex_unlock(&h->mu);
	return seq;
}

bool hub_publish(struct hub *h, struct parcel *p)
{
	struct event ev = { .kind = EV_PUBLISH,
			    .publish = { .frame = p->frame,
					 .id = &p->id,
					 .msg = &p->msg.message } };
	struct work w = { .n = 0 };
	bool stopping;

	mutex_lock(&h->mu);
	stopping = h->stopping;
	if (!stopping)
		step_locked(h, &ev, &(struct subject){ .parcel = p }, &w);
	mutex_unlock(&h->mu);
	flush_work(&w);
	release_work(&w);
	return !stopping;
}

void hub_wait_room(struct hub *h)
{
	const struct config_gossip *c = &h->peer->config->gossip;
	struct work w = { .n = 0 };

	mutex_lock(&h->mu);
	for (unsigned i = 0; i < LINK_SLOTS; i++)
		if (h->links[i] != NULL)
			touch(&w, h->links[i]);
	mutex_unlock(&h->mu);
	wait_work(&w, c->outbox_high, c->publish_wait_ms, c->publish_wait_ms);
	release_work(&w);
}

bool hub_wait_neighbor(struct hub *h, int64_t deadline_ms)
{
	bool there;

	mutex_lock(&h->mu);
	while (!h->stopping && node_neighbor_count(h->node) == 0)
		if (!cond_wait_until(&h->changed, &h->mu, deadline_ms))
			break;
	there = !h->stopping && node_neighbor_count(h->node) > 0;
	mutex_unlock(&h->mu);
	return there;
}

void hub_wait_settled(struct hub *h, int64_t deadline_ms)
{
	mutex_lock(&h->mu);
	while (!h->stopping && !h->settled)
		if (!cond_wait_until(&h->changed, &h->mu, deadline_ms))
			break;
	mutex_unlock(&h->mu);
}

enum err hub_wait_taken(struct hub *h, int64_t patience_ms)
{
	struct event ev = { .kind = EV_SYNC };
	int64_t alone = clock_ms() + patience_ms;
	enum err e = ERR_OK;
	uint64_t before;

	mutex_lock(&h->mu);
	before = h->synced;
	mutex_unlock(&h->mu);
	one_step(h, &ev, &(struct subject){ 0 });
	mutex_lock(&h->mu);
	while (h->synced == before && e == ERR_OK) {
		/* Patience is for having nobody, not for a slow neighbor:
		 * liveness decides about that one. */
		if (node_neighbor_count(h->node) > 0)
			alone = clock_ms() + patience_ms + RECHECK_MS;
		if (h->stopping)
			e = ERR_STOPPED;
		else if (!cond_wait_until(&h->changed, &h->mu, alone) &&
			 node_neighbor_count(h->node) == 0)
			e = ERR_TIMEOUT;
	}
	if (h->synced != before)
		e = ERR_OK;
	mutex_unlock(&h->mu);
	return e;
}

/* --- questions -------------------------------------------------------- */

static enum err wait_found_locked(struct hub *h, uint64_t before,
				  const struct hash *id, struct frame **f)
	NEEDS(h->mu)
{
	while (h->finds == before ||
	       memcmp(&h->found_id, id, sizeof *id) != 0) {
		if (h->stopping)
			return ERR_STOPPED;
		before = h->finds;
		cond_wait(&h->changed, &h->mu); /* the node has the deadline */
	}
	if (h->found == NULL)
		return ERR_NOT_FOUND;
	*f = frame_hold(h->found);
	return ERR_OK;
}

enum err hub_find(struct hub *h, const char *hex, size_t digits,
		  struct frame **f, struct hash *id)
{
	struct event ev = { .kind = EV_FIND };
	struct work w = { .n = 0 };
	bool several = false;
	struct frame *held;
	enum err e = ERR_NOT_FOUND;

	mutex_lock(&h->mu);
	held = node_find(h->node, hex, digits, id, &several);
	if (several) {
		e = ERR_RANGE;
	} else if (held != NULL) {
		*f = frame_hold(held);
		e = ERR_OK;
	} else if (hash_parse(hex, digits, &ev.find)) {
		uint64_t before = h->finds;

		*id = ev.find;
		step_locked(h, &ev, &(struct subject){ 0 }, &w);
		retime_locked(h);
		mutex_unlock(&h->mu);
		flush_work(&w);
		release_work(&w);
		mutex_lock(&h->mu);
		e = wait_found_locked(h, before, id, f);
	}
	mutex_unlock(&h->mu);
	return e;
}

struct identity hub_self(struct hub *h)
{
	struct identity id;

	mutex_lock(&h->mu);
	id = *node_self(h->node);
	mutex_unlock(&h->mu);
	return id;
}

size_t hub_neighbors(struct hub *h, struct neighbor out[LINK_SLOTS])
{
	size_t n;

	mutex_lock(&h->mu);
	n = node_neighbors(h->node, out);
	mutex_unlock(&h->mu);
	return n;
}

struct node_stats hub_stats(struct hub *h)
{
	struct node_stats stats;

	mutex_lock(&h->mu);
	stats = node_stats(h->node);
	mutex_unlock(&h->mu);
	return stats;
}

size_t hub_outbox_bytes(struct hub *h)
{
	size_t bytes = 0;

	mutex_lock(&h->mu);
	for (unsigned i = 0; i < LINK_SLOTS; i++)
		if (h->links[i] != NULL)
			bytes += link_backlog(h->links[i]);
	mutex_unlock(&h->mu);
	return bytes;
}

/* --- life ------------------------------------------------------------- */

enum err hub_new(struct hub **out, struct peer *p, const struct node_options *o)
{
	struct hub *h = calloc(1, sizeof *h);

	if (h == NULL)
		return ERR_NOMEM;
	h->peer = p;
	h->node = node_new(o);
	if (h->node == NULL) {
		free(h);
		return ERR_NOMEM;
	}
	effects_init(&h->effects);
	mutex_init(&h->mu);
	cond_init(&h->tick);
	cond_init(&h->changed);
	*out = h;
	return ERR_OK;
}

static void *run_ticker(void *arg)
{
	struct hub *h = arg;

	mutex_lock(&h->mu);
	while (!h->stopping) {
		struct event ev = { .kind = EV_TICK };
		struct work w = { .n = 0 };

		h->tick_ms = node_deadline_ms(h->node);
		if (clock_ms() < h->tick_ms) {
			cond_wait_until(&h->tick, &h->mu, h->tick_ms);
			continue;
		}
		step_locked(h, &ev, &(struct subject){ 0 }, &w);
		mutex_unlock(&h->mu);
		flush_work(&w);
		release_work(&w);
		mutex_lock(&h->mu);
	}
	mutex_unlock(&h->mu);
	return NULL;
}

enum err hub_start(struct hub *h)
{
	struct event ev = { .kind = EV_START };
	enum err e;

	one_step(h, &ev, &(struct subject){ 0 });
	e = thread_start(&h->ticker, run_ticker, h, "liveness");
	h->has_ticker = e == ERR_OK;
	return e;
}

void hub_stop(struct hub *h)
{
	struct event ev = { .kind = EV_STOP };

	mutex_lock(&h->mu);
	bool first = !h->stopping;
	h->stopping = true;
	cond_broadcast(&h->tick);
	cond_broadcast(&h->changed);
	mutex_unlock(&h->mu);
	if (first)
		one_step(h, &ev, &(struct subject){ 0 });
}

void hub_join(struct hub *h)
{
	if (h->has_ticker)
		thread_join(h->ticker);
	h->has_ticker = false;
}

void hub_free(struct hub *h)
{
	if (h == NULL)
		return;
	for (unsigned i = 0; i < LINK_SLOTS; i++)
		if (h->links[i] != NULL)
			link_release(h->links[i]);
	frame_release(h->found);
	effects_free(&h->effects);
	node_free(h->node);
	cond_destroy(&h->tick);
	cond_destroy(&h->changed);
	mutex_destroy(&h->mu);
	free(h);
}
