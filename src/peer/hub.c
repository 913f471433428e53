#include "peer/hub.h"

#include "io/clock.h"
#include "peer/hub_impl.h"
#include "peer/output.h"

#include <stdlib.h>
#include <string.h>

#define RECHECK_MS 1000 /* how often a wait with neighbors looks around */
/* So long a batch (512 messages) may wait for whoever reads our stdout. */
#define PRINT_WAIT_MS 20

/* The ticker sleeps until tick_ms; wake it when that got earlier. */
static void retime_locked(struct hub *h) NEEDS(h->mu)
{
	if (node_deadline_ms(h->node) < h->tick_ms)
		cond_signal(&h->tick);
}

/* The node hears that the output is slow, once until it has caught up. */
static void look_at_output_locked(struct hub *h, struct work *w) NEEDS(h->mu)
{
	struct event ev = { .kind = EV_OUTPUT, .output_slow = true };

	if (h->output_slow || !output_is_slow(h->peer->output))
		return;
	h->output_slow = true;
	log_event(h->peer->log, LOG_INFO, KIND_PLAIN, WAY_NONE, "output", NULL,
		  "%s", "too slow, more than half of its queue is full");
	hub_step_locked(h, &ev, w);
}

void hub_begin(struct hub *h, struct work *w)
{
	mutex_lock(&h->mu);
	w->now_ms = clock_ms();
	w->subject = NULL;
	w->frames = NULL;
	w->stepped = w->passed_on = 0;
	w->printed = false;
	w->told_full = 0;
	w->n = 0;
}

void hub_end(struct hub *h, struct work *w)
{
	hub_pass_on_locked(h, w);
	if (w->printed)
		look_at_output_locked(h, w);
	retime_locked(h);
	mutex_unlock(&h->mu);
	work_flush(w);
	if (w->printed)
		output_flush(h->peer->output);
}

static void one_step(struct hub *h, const struct event *ev)
{
	struct work w;

	hub_begin(h, &w);
	hub_step_locked(h, ev, &w);
	hub_end(h, &w);
	work_release(&w);
}

/* The same about a connection; is it a neighbor's link afterwards? */
static bool step_about(struct hub *h, const struct event *ev, struct link *l)
{
	struct work w;
	bool linked;

	hub_begin(h, &w);
	w.subject = l;
	hub_step_locked(h, ev, &w);
	linked = l != NULL && l->slot != LINK_NONE;
	hub_end(h, &w);
	work_release(&w);
	return linked;
}

/* --- waiting for room ------------------------------------------------- */

/* Those of w that are more than high behind, still. */
static void give_up_on(struct hub *h, const struct work *w, size_t high)
{
	struct work after;
	link_set full = 0;

	hub_begin(h, &after);
	for (size_t i = 0; i < w->n; i++) {
		struct link *l = w->touched[i];

		if (l->slot != LINK_NONE && !atomic_load(&l->behind) &&
		    link_backlog(l) > high)
			full |= (link_set)(1u << l->slot);
	}
	hub_full_locked(h, full, &after);
	hub_end(h, &after);
	work_release(&after);
}

static void wait_room(struct hub *h, struct work *w, size_t high,
		      int64_t stall_ms, int64_t bound_ms)
{
	if (!work_wait(w, high, stall_ms, bound_ms))
		give_up_on(h, w, high);
}

/* Flow: a reader waits for who takes what it forwards.
 *
 * High is three eighths of an outbox. Above it must fit what still comes when
 * nobody waited in vain: one batch (128 KiB) of each of twelve readers and 1
 * MiB of answers. And it is more than outbox_high, where publishers wait:
 * messages are held back where they are made rather than on their way. Progress
 * extends the wait: a neighbor that takes bytes, however busy its machine, is
 * worth more than one that has to ask for every message. Only forward_wait
 * without a byte ends it, and slow_ms whatever happens. It cannot last: peers
 * that wait for each other in a circle all end after forward_wait, and a link
 * that was given up is not waited for again until it drained. */
static void wait_forwarded(struct hub *h, struct work *w)
{
	const struct config_gossip *c = &h->peer->config->gossip;

	wait_room(h, w, c->outbox_max / 8 * 3, c->forward_wait_ms, c->slow_ms);
}

/* --- events ----------------------------------------------------------- */

bool hub_on_request(struct hub *h, struct link *l, const struct addr *from,
		    const struct msg_peer_request *m)
{
	struct event ev = { .kind = EV_REQUEST,
			    .request = { .from = *from, .request = m } };

	return step_about(h, &ev, l);
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

	return step_about(h, &ev, l);
}

static void frame_event(struct event *ev, struct link *l, struct parcel *p)
{
	*ev = (struct event){
		.kind = EV_FRAME,
		.link = l->slot,
		.frame = { .head = p->head, .frame = p->frame, .msg = &p->msg }
	};
}

void hub_on_frames(struct hub *h, struct link *l, struct parcel *const *p,
		   size_t n)
{
	struct work w;
	struct event ev;

	hub_begin(h, &w);
	w.frames = p;
	for (; w.stepped < n; w.stepped++) {
		frame_event(&ev, l, p[w.stepped]);
		hub_step_locked(h, &ev, &w);
	}
	hub_end(h, &w);
	wait_forwarded(h, &w);
	if (w.printed)
		output_wait_room(h->peer->output, clock_ms() + PRINT_WAIT_MS);
	work_release(&w);
}

void hub_on_heard(struct hub *h, struct link *l)
{
	struct event ev = { .kind = EV_HEARD };
	struct work w;

	hub_begin(h, &w);
	ev.link = l->slot;
	hub_step_locked(h, &ev, &w);
	hub_end(h, &w);
	work_release(&w);
}

void hub_on_down(struct hub *h, struct link *l, enum down_cause cause)
{
	struct event ev = { .kind = EV_DOWN, .down = cause };
	struct work w;

	hub_begin(h, &w);
	if (l->slot != LINK_NONE) {
		ev.link = l->slot;
		hub_step_locked(h, &ev, &w);
	}
	hub_end(h, &w);
	work_release(&w);
}

size_t hub_link_keys(struct hub *h, struct key_id *v)
{
	size_t n = 0;

	mutex_lock(&h->mu);
	for (unsigned i = 0; i < LINK_SLOTS; i++)
		if (h->links[i] != NULL &&
		    channel_is_keyed(&h->links[i]->channel))
			v[n++] = h->links[i]->channel.key;
	mutex_unlock(&h->mu);
	return n;
}

static bool is_stale(const struct link *l, struct keys *k)
{
	return l != NULL && channel_is_keyed(&l->channel) &&
	       !keys_have(k, &l->channel.key);
}

bool hub_renew_link(struct hub *h, struct keys *k)
{
	struct event ev = { .kind = EV_DOWN, .down = DOWN_RENEW };
	struct work w;
	bool stale = false;

	hub_begin(h, &w);
	for (ev.link = 0; ev.link < LINK_SLOTS; ev.link++) {
		stale = is_stale(h->links[ev.link], k);
		if (stale)
			break;
	}
	if (stale)
		hub_step_locked(h, &ev, &w);
	hub_end(h, &w);
	work_release(&w);
	return stale;
}

static void drained_locked(struct hub *h, struct link *l, struct work *w)
	NEEDS(h->mu)
{
	struct event ev = { .kind = EV_DRAINED, .link = l->slot };

	/* It became full after it had drained, before we came here. */
	if (atomic_load(&l->behind) && link_backlog(l) > LINK_LOW) {
		link_watch(l);
		return;
	}
	if (atomic_exchange(&l->behind, false))
		log_event(h->peer->log, LOG_INFO, KIND_PEER, WAY_NONE,
			  "drained", &l->who, "%s", "takes messages again");
	hub_step_locked(h, &ev, w);
}

void hub_on_drained(struct hub *h, struct link *l)
{
	struct work w;

	hub_begin(h, &w);
	if (l->slot != LINK_NONE)
		drained_locked(h, l, &w);
	hub_end(h, &w);
	work_release(&w);
}

void hub_on_output(struct hub *h)
{
	struct event ev = { .kind = EV_OUTPUT, .output_slow = false };
	struct work w;

	hub_begin(h, &w);
	/* It may be slow again by now. */
	if (h->output_slow && !output_is_slow(h->peer->output)) {
		h->output_slow = false;
		log_event(h->peer->log, LOG_INFO, KIND_PLAIN, WAY_NONE,
			  "output", NULL, "%s", "caught up");
		hub_step_locked(h, &ev, &w);
	}
	hub_end(h, &w);
	work_release(&w);
}

void hub_on_seed(struct hub *h, const struct ev_seed *answer)
{
	struct event ev = { .kind = EV_SEED, .seed = *answer };

	one_step(h, &ev);
}

/* --- publishing ------------------------------------------------------- */

uint64_t hub_next_seq(struct hub *h, struct identity *self)
{
	uint64_t seq;

	mutex_lock(&h->mu);
	*self = *node_self(h->node);
	seq = node_next_seq(h->node);
	mutex_unlock(&h->mu);
	return seq;
}

/* The slots of touched links; node.mu is held. */
static link_set slots_locked(const struct work *w)
{
	link_set set = 0;

	for (size_t i = 0; i < w->n; i++)
		if (w->touched[i]->slot != LINK_NONE)
			set |= (link_set)(1u << w->touched[i]->slot);
	return set;
}

/* No seq is left out: it stays what it was when there was no memory. */
static enum err publish_locked(struct hub *h, const struct parcel *p,
			       struct work *w) NEEDS(h->mu)
{
	struct event ev = { .kind = EV_PUBLISH,
			    .publish = { .frame = p->frame,
					 .msg = &p->msg.message } };

	hub_step_locked(h, &ev, w);
	return node_next_seq(h->node) == p->msg.message.seq ? ERR_NOMEM
							    : ERR_OK;
}

enum err hub_publish(struct hub *h, struct parcel *const *p, size_t n,
		     size_t *sent)
{
	struct work w;
	enum err e;

	*sent = 0;
	hub_begin(h, &w);
	e = h->stopping ? ERR_STOPPED : ERR_OK;
	while (e == ERR_OK && *sent < n) {
		e = publish_locked(h, p[*sent], &w);
		*sent += e == ERR_OK;
	}
	if (*sent > 0)
		h->published_to = slots_locked(&w);
	hub_end(h, &w);
	work_release(&w);
	return e;
}

void hub_wait_room(struct hub *h)
{
	const struct config_gossip *c = &h->peer->config->gossip;
	struct work w;

	hub_begin(h, &w);
	for (unsigned i = 0; i < LINK_SLOTS; i++)
		if ((h->published_to & 1u << i) != 0 && h->links[i] != NULL)
			work_touch(&w, h->links[i]);
	hub_end(h, &w);
	wait_room(h, &w, c->outbox_high, c->forward_wait_ms,
		  c->publish_wait_ms);
	work_release(&w);
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
	one_step(h, &ev);
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
	struct work w;
	bool several = false, asked = false;
	uint64_t before;
	struct frame *held;
	enum err e = ERR_NOT_FOUND;

	hub_begin(h, &w);
	before = h->finds;
	held = node_find(h->node, hex, digits, id, &several);
	if (several) {
		e = ERR_RANGE;
	} else if (held != NULL) {
		*f = frame_hold(held);
		e = ERR_OK;
	} else if (hash_parse(hex, digits, &ev.find)) {
		*id = ev.find;
		hub_step_locked(h, &ev, &w);
		asked = true;
	}
	hub_end(h, &w);
	work_release(&w);
	if (!asked)
		return e;
	mutex_lock(&h->mu);
	e = wait_found_locked(h, before, id, f);
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

/* Sleeps until the node has something to do; false when it stops. */
static bool wait_tick(struct hub *h)
{
	bool stopping;

	mutex_lock(&h->mu);
	while (!h->stopping) {
		h->tick_ms = node_deadline_ms(h->node);
		if (clock_ms() >= h->tick_ms)
			break;
		cond_wait_until(&h->tick, &h->mu, h->tick_ms);
	}
	h->overflowed |= h->starved;
	h->starved = 0;
	stopping = h->stopping;
	mutex_unlock(&h->mu);
	return !stopping;
}

static void *run_ticker(void *arg)
{
	struct event ev = { .kind = EV_TICK };
	struct hub *h = arg;

	while (wait_tick(h))
		one_step(h, &ev);
	return NULL;
}

enum err hub_start(struct hub *h)
{
	struct event ev = { .kind = EV_START };
	enum err e;

	one_step(h, &ev);
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
		one_step(h, &ev);
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
