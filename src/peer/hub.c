#include "peer/hub.h"

#include "io/clock.h"
#include "peer/hub_impl.h"
#include "peer/output.h"

#include <stdlib.h>
#include <string.h>

#define RECHECK_MS 1000 /* how often a wait with neighbors looks around */

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
	hub_step_locked(h, ev, on, &w);
	retime_locked(h);
	mutex_unlock(&h->mu);
	work_flush(&w);
	work_release(&w);
}

/* --- waiting for room ------------------------------------------------- */

/* Those of w that are more than high behind, still. */
static void give_up_on(struct hub *h, const struct work *w, size_t high)
{
	struct work after = { .n = 0 };
	link_set full = 0;

	mutex_lock(&h->mu);
	for (size_t i = 0; i < w->n; i++) {
		struct link *l = w->touched[i];

		if (l->slot != LINK_NONE && !atomic_load(&l->behind) &&
		    link_backlog(l) > high)
			full |= (link_set)(1u << l->slot);
	}
	hub_full_locked(h, full, &after);
	retime_locked(h);
	mutex_unlock(&h->mu);
	work_flush(&after);
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
 * High is half of an outbox. Above it must fit what still comes when nobody
 * waited in vain: one batch (64 KiB) of each of twelve readers and 1 MiB of
 * answers. And it is more than outbox_high, where publishers wait: messages
 * are held back where they are made rather than on their way.
 * Progress extends the wait: a neighbor that takes bytes, however busy its
 * machine, is worth more than one that has to ask for every message. Only
 * forward_wait without a byte ends it, and slow_ms whatever happens. It cannot
 * last: peers that wait for each other in a circle all end after forward_wait,
 * and a link that was given up is not waited for again until it drained. */
static void wait_forwarded(struct hub *h, struct work *w)
{
	const struct config_gossip *c = &h->peer->config->gossip;

	wait_room(h, w, c->outbox_max / 2, c->forward_wait_ms, c->slow_ms);
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
	struct work w = { .n = 0 };
	struct event ev;

	mutex_lock(&h->mu);
	for (size_t i = 0; i < n; i++) {
		frame_event(&ev, l, p[i]);
		hub_step_locked(h, &ev, &(struct subject){ .parcel = p[i] },
				&w);
	}
	retime_locked(h);
	mutex_unlock(&h->mu);
	work_flush(&w);
	wait_forwarded(h, &w);
	work_release(&w);
}

void hub_on_heard(struct hub *h, struct link *l)
{
	struct event ev = { .kind = EV_HEARD };
	struct work w = { .n = 0 };

	mutex_lock(&h->mu);
	ev.link = l->slot;
	hub_step_locked(h, &ev, &(struct subject){ 0 }, &w);
	mutex_unlock(&h->mu);
	work_release(&w);
}

void hub_on_down(struct hub *h, struct link *l, enum down_cause cause)
{
	struct event ev = { .kind = EV_DOWN, .down = cause };
	struct work w = { .n = 0 };

	mutex_lock(&h->mu);
	if (l->slot != LINK_NONE) {
		ev.link = l->slot;
		hub_step_locked(h, &ev, &(struct subject){ 0 }, &w);
		retime_locked(h);
	}
	mutex_unlock(&h->mu);
	work_flush(&w);
	work_release(&w);
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
	hub_step_locked(h, &ev, &(struct subject){ 0 }, w);
	retime_locked(h);
}

void hub_on_drained(struct hub *h, struct link *l)
{
	struct work w = { .n = 0 };

	mutex_lock(&h->mu);
	if (l->slot != LINK_NONE)
		drained_locked(h, l, &w);
	mutex_unlock(&h->mu);
	work_flush(&w);
	work_release(&w);
}

void hub_on_output(struct hub *h)
{
	struct event ev = { .kind = EV_OUTPUT, .output_slow = false };
	struct work w = { .n = 0 };

	mutex_lock(&h->mu);
	/* It may be slow again by now. */
	if (h->output_slow && !output_is_slow(h->peer->output)) {
		h->output_slow = false;
		log_event(h->peer->log, LOG_INFO, KIND_PLAIN, WAY_NONE,
			  "output", NULL, "%s", "caught up");
		hub_step_locked(h, &ev, &(struct subject){ 0 }, &w);
		retime_locked(h);
	}
	mutex_unlock(&h->mu);
	work_flush(&w);
	work_release(&w);
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

/* The slots of touched links; node.mu is held. */
static link_set slots_locked(const struct work *w)
{
	link_set set = 0;

	for (size_t i = 0; i < w->n; i++)
		if (w->touched[i]->slot != LINK_NONE)
			set |= (link_set)(1u << w->touched[i]->slot);
	return set;
}

enum err hub_publish(struct hub *h, struct parcel *p)
{
	struct event ev = { .kind = EV_PUBLISH,
			    .publish = { .frame = p->frame,
					 .id = &p->id,
					 .msg = &p->msg.message } };
	struct work w = { .n = 0 };
	enum err e = ERR_OK;

	mutex_lock(&h->mu);
	if (h->stopping) {
		e = ERR_STOPPED;
	} else {
		hub_step_locked(h, &ev, &(struct subject){ .parcel = p }, &w);
		h->published_to = slots_locked(&w);
		if (node_next_seq(h->node) == p->msg.message.seq)
			e = ERR_NOMEM;
	}
	mutex_unlock(&h->mu);
	work_flush(&w);
	work_release(&w);
	return e;
}

void hub_wait_room(struct hub *h)
{
	const struct config_gossip *c = &h->peer->config->gossip;
	struct work w = { .n = 0 };

	mutex_lock(&h->mu);
	for (unsigned i = 0; i < LINK_SLOTS; i++)
		if ((h->published_to & 1u << i) != 0 && h->links[i] != NULL)
			work_touch(&w, h->links[i]);
	mutex_unlock(&h->mu);
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
		hub_step_locked(h, &ev, &(struct subject){ 0 }, &w);
		retime_locked(h);
		mutex_unlock(&h->mu);
		work_flush(&w);
		work_release(&w);
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
		h->overflowed |= h->starved;
		h->starved = 0;
		hub_step_locked(h, &ev, &(struct subject){ 0 }, &w);
		mutex_unlock(&h->mu);
		work_flush(&w);
		work_release(&w);
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
