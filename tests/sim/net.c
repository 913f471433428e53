#include "sim/net.h"

#include "sim/sim.h"

#include <stdlib.h>
#include <string.h>

#define KERNEL_BYTES 16384 /* that a connection takes besides an outbox */
#define LITTLE_BYTES 16384 /* left to send: drained */
#define FRAME_ROOM 64      /* counted on top of each frame, as the shell does */
#define RETRY_MAX_MS 3000  /* until TCP notices that a split has healed */
#define DRAIN_MS 2000      /* that a link is read after a Bye */

void net_init(struct sim *s)
{
	rng_init(&s->net.rng, s->options.seed ^ 0x6e6574);
	s->net.salt = rng_u64(&s->net.rng);
	s->net.free = NOBODY;
}

void net_free(struct sim *s)
{
	for (uint32_t i = 0; i < s->net.n; i++) {
		free(s->net.v[i].known[0]);
		free(s->net.v[i].known[1]);
	}
	for (size_t i = 0; i < s->net.held_n; i++)
		control_release(s->net.held[i].body);
	free(s->net.held);
	free(s->net.v);
}

/* --- distance --------------------------------------------------------- */

static uint64_t mix(uint64_t z)
{
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

int64_t net_latency(const struct sim *s, uint32_t a, uint32_t b)
{
	const struct options *o = &s->options;
	uint64_t spread = (uint64_t)(o->latency_max_ms - o->latency_min_ms) + 1;
	uint64_t pair = a < b ? (uint64_t)a << 32 | b : (uint64_t)b << 32 | a;

	return o->latency_min_ms + (int64_t)(mix(pair ^ s->net.salt) % spread);
}

int64_t net_delay(struct sim *s, int64_t base_ms)
{
	return base_ms + sim_chance(&s->net.rng, (uint32_t)base_ms / 5 + 1);
}

/* --- who hears whom --------------------------------------------------- */

static const struct peer *end_of(const struct sim *s, const struct conn *c,
				 unsigned side)
{
	return &s->peers.v[c->side[side].peer];
}

bool net_cut(const struct sim *s, const struct conn *c)
{
	return s->net.split && end_of(s, c, 0)->half != end_of(s, c, 1)->half;
}

bool net_reaches_seed(const struct sim *s, uint32_t peer, uint32_t seed)
{
	return !(s->net.split || s->net.seed_split) ||
	       s->peers.v[peer].half == (seed & 1);
}

bool net_blocked(const struct sim *s, const struct conn *c, unsigned side)
{
	return end_of(s, c, side)->state == PEER_PAUSED || net_cut(s, c);
}

/* --- connections ------------------------------------------------------ */

uint32_t net_connect(struct sim *s, uint32_t from, uint32_t to, uint32_t dial)
{
	struct net *n = &s->net;
	uint32_t i = n->free;
	struct conn *c;

	if (i != NOBODY) {
		n->free = n->v[i].next_free;
	} else {
		n->v = sim_grow(n->v, &n->cap, n->n + 1, sizeof *n->v);
		i = n->n++;
	}
	c = &n->v[i];
	*c = (struct conn){ .used = true, .dial = dial };
	for (unsigned k = 0; k < 2; k++) {
		c->side[k].peer = k == 0 ? from : to;
		c->side[k].slot = LINK_NONE;
	}
	c->base_ms = (uint32_t)net_latency(s, s->peers.v[from].place,
					   s->peers.v[to].place);
	n->used++;
	return i;
}

unsigned net_side(const struct sim *s, uint32_t conn, uint32_t peer,
		  uint8_t slot)
{
	const struct side *first = &s->net.v[conn].side[0];

	return !(first->peer == peer && first->slot == slot);
}

static bool is_over(const struct sim *s, const struct conn *c, unsigned side)
{
	return c->side[side].state >= SIDE_DRAIN ||
	       end_of(s, c, side)->node == NULL;
}

/* Forgets it when nobody can hear of it any more. */
static void reap(struct sim *s, uint32_t conn)
{
	struct conn *c = &s->net.v[conn];

	if (!c->used || c->pending > 0 || !is_over(s, c, 0) ||
	    !is_over(s, c, 1))
		return;
	free(c->known[0]);
	free(c->known[1]);
	c->known[0] = c->known[1] = NULL;
	c->used = false;
	c->next_free = s->net.free;
	s->net.free = conn;
	s->net.used--;
}

void net_close(struct sim *s, uint32_t conn, unsigned side,
	       enum side_state state)
{
	struct side *e = &s->net.v[conn].side[side];

	if (e->state < state)
		e->state = (uint8_t)state;
	e->slot = LINK_NONE;
	e->drain_ms = sim_now(s) + DRAIN_MS;
	reap(s, conn);
}

/* --- sending ---------------------------------------------------------- */

/* Behind all that is on its way to that end. */
static void send(struct sim *s, uint32_t conn, unsigned to, struct item *it,
		 int64_t extra_ms)
{
	struct conn *c = &s->net.v[conn];
	struct side *e = &c->side[to];
	int64_t at = sim_now(s) + extra_ms + net_delay(s, c->base_ms);

	it->conn = conn;
	it->peer = e->peer;
	it->side = (uint8_t)to;
	c->pending++;
	if (net_cut(s, c)) {
		s->net.held = sim_grow(s->net.held, &s->net.held_cap,
				       s->net.held_n + 1, sizeof *it);
		s->net.held[s->net.held_n++] = *it;
		return;
	}
	if (at < e->newest_ms)
		at = e->newest_ms;
	e->newest_ms = at;
	queue_push(&s->queue, at, it);
}

/* The outbox: a link that does not read takes what fits. */
static bool has_room(struct sim *s, uint32_t conn, unsigned to, uint32_t bytes)
{
	struct conn *c = &s->net.v[conn];
	struct side *e = &c->side[to];

	if (net_blocked(s, c, to)) {
		if (e->queued_bytes + bytes >
		    s->config.gossip.outbox_max + KERNEL_BYTES)
			return false;
		if (e->queued_bytes > KERNEL_BYTES && !e->timing) {
			e->timing = true;
			net_push(s, sim_now(s) + s->config.gossip.slow_ms,
				 ITEM_SLOW, conn, !to);
		}
	}
	e->queued_bytes += bytes;
	return true;
}

bool net_behind(const struct sim *s, uint32_t conn, unsigned to)
{
	const struct conn *c = &s->net.v[conn];

	return c->side[to].queued_bytes >
		       s->config.gossip.outbox_max / 2 + KERNEL_BYTES &&
	       net_blocked(s, c, to);
}

/* Nobody will ever read it: a dead host, or an end that is closed already and
 * says so (a process that ended with unread input resets). */
static bool is_lost(struct sim *s, uint32_t conn, unsigned to)
{
	return end_of(s, &s->net.v[conn], to)->state == PEER_SILENT;
}

bool net_message(struct sim *s, uint32_t conn, unsigned to, uint32_t number,
		 const struct frame_head *head)
{
	struct item it = { .kind = ITEM_MESSAGE,
			   .number = number,
			   .flags = head->flags,
			   .hops = head->hops };

	if (is_lost(s, conn, to))
		return true;
	if (!has_room(s, conn, to, head->body_bytes + FRAME_ROOM))
		return false;
	send(s, conn, to, &it, 0);
	return true;
}

bool net_control(struct sim *s, uint32_t conn, unsigned to, enum item_kind kind,
		 struct control *c, int64_t extra_ms)
{
	struct item it = { .kind = (uint8_t)kind };

	if (is_lost(s, conn, to))
		return true;
	if (!has_room(s, conn, to, c->bytes + FRAME_ROOM))
		return false;
	it.body = control_hold(c);
	send(s, conn, to, &it, extra_ms);
	return true;
}

void net_down(struct sim *s, uint32_t conn, unsigned to)
{
	struct item it = { .kind = ITEM_DOWN };
	struct side *e = &s->net.v[conn].side[to];

	if (e->downed || e->state >= SIDE_DRAIN || is_lost(s, conn, to))
		return;
	e->downed = true;
	send(s, conn, to, &it, 0);
}

void net_push(struct sim *s, int64_t at_ms, enum item_kind kind, uint32_t conn,
	      unsigned side)
{
	struct conn *c = &s->net.v[conn];
	struct item it = { .kind = (uint8_t)kind,
			   .conn = conn,
			   .side = (uint8_t)side,
			   .peer = c->side[side].peer };

	c->pending++;
	queue_push(&s->queue, at_ms, &it);
}

/* --- having arrived --------------------------------------------------- */

static uint32_t bytes_of(const struct sim *s, const struct item *it)
{
	const struct control *c = it->body;

	if (it->kind == ITEM_MESSAGE)
		return s->traffic.v[it->number].frame->body_bytes + FRAME_ROOM;
	return c != NULL ? c->bytes + FRAME_ROOM : 0;
}

void net_watch(struct sim *s, uint32_t conn, unsigned side)
{
	struct conn *c = &s->net.v[conn];

	if (!c->side[side].watching ||
	    c->side[!side].queued_bytes > LITTLE_BYTES ||
	    net_blocked(s, c, !side))
		return;
	c->side[side].watching = false;
	net_push(s, sim_now(s) + 1, ITEM_DRAINED, conn, side);
}

void net_read(struct sim *s, const struct item *it)
{
	struct conn *c = &s->net.v[it->conn];
	struct side *e = &c->side[it->side];

	e->queued_bytes -= bytes_of(s, it);
	if (e->timing)
		e->read_ms = sim_now(s);
	if (c->side[!it->side].watching)
		net_watch(s, it->conn, !it->side);
}

void net_done(struct sim *s, const struct item *it)
{
	control_release(it->body);
	s->net.v[it->conn].pending--;
	reap(s, it->conn);
}

/* --- splits ----------------------------------------------------------- */

void net_split(struct sim *s)
{
	s->net.split = true;
	s->net.split_ms = sim_now(s);
}

/* TCP has kept what was sent, and finds out after a while that it can go. */
void net_heal(struct sim *s)
{
	struct net *n = &s->net;
	int64_t lasted = sim_now(s) - n->split_ms;
	uint32_t retry =
		(uint32_t)(lasted < RETRY_MAX_MS ? lasted : RETRY_MAX_MS);

	n->split = false;
	n->healed_ms = sim_now(s);
	for (size_t i = 0; i < n->held_n; i++) {
		struct item *it = &n->held[i];
		struct conn *c = &n->v[it->conn];
		struct side *e = &c->side[it->side];
		int64_t at = sim_now(s) + net_delay(s, c->base_ms) +
			     sim_chance(&n->rng, retry + 1);

		if (at < e->newest_ms)
			at = e->newest_ms;
		e->newest_ms = at;
		queue_push(&s->queue, at, it);
	}
	n->held_n = 0;
	for (uint32_t i = 0; i < n->n; i++)
		for (unsigned k = 0; k < 2 && n->v[i].used; k++)
			net_watch(s, i, k);
}
