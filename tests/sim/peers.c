/* The life of a peer: start, pause, end; and what arrives for it. */
#include "sim/peers.h"

#include "sim/apply.h"
#include "sim/sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NEVER INT64_MAX
#define LEAVE_MAX_MS 10000 /* then it goes, whatever it has said */

void peers_init(struct sim *s, uint32_t most)
{
	struct peers *p = &s->peers;

	rng_init(&p->rng, s->options.seed ^ 0x7065657273);
	p->cap = p->places_cap = most;
	p->v = sim_alloc(most, sizeof *p->v);
	p->at = sim_alloc(most, sizeof *p->at);
	p->alive = sim_alloc(most, sizeof *p->alive);
}

static void forget(struct peer *p)
{
	node_free(p->node);
	free(p->got);
	free(p->waived);
	free(p->hasty);
	free(p->standings);
	free(p->backlog);
	free(p->told);
	p->node = NULL;
	p->got = NULL;
	p->waived = NULL;
	p->hasty = NULL;
	p->standings = NULL;
	p->backlog = NULL;
	p->told = NULL;
	p->backlog_n = p->backlog_cap = p->told_n = p->told_cap = 0;
}

void peers_free(struct sim *s)
{
	for (uint32_t i = 0; i < s->peers.n; i++) {
		forget(&s->peers.v[i]);
		free(s->peers.v[i].said);
	}
	free(s->peers.v);
	free(s->peers.at);
	free(s->peers.alive);
}

/* --- places ----------------------------------------------------------- */

struct addr peers_addr(uint32_t place)
{
	uint32_t n = place + 1;
	struct addr a = { .ip = { 10, (uint8_t)(n >> 16), (uint8_t)(n >> 8),
				  (uint8_t)n },
			  .port = 4000,
			  .family = ADDR_V4 };

	return a;
}

uint32_t peers_at(const struct sim *s, const struct addr *a)
{
	uint32_t n = (uint32_t)a->ip[1] << 16 | (uint32_t)a->ip[2] << 8 |
		     (uint32_t)a->ip[3];

	return n > 0 && n <= s->peers.places ? s->peers.at[n - 1] : NOBODY;
}

struct identity peers_identity(const struct peer *p)
{
	struct identity id;

	memset(&id, 0, sizeof id);
	id.incarnation = p->incarnation;
	id.addr = peers_addr(p->place);
	return id;
}

uint32_t peers_of_run(const struct sim *s, const struct identity *id)
{
	uint32_t peer = peers_at(s, &id->addr);

	while (peer != NOBODY &&
	       s->peers.v[peer].incarnation != id->incarnation)
		peer = s->peers.v[peer].before;
	return peer;
}

static _Noreturn void overfull(void)
{
	fprintf(stderr, "sim: more peers than were foreseen\n");
	exit(1);
}

uint32_t peers_new_place(struct sim *s)
{
	struct peers *p = &s->peers;

	if (p->places == p->places_cap)
		overfull();
	p->at[p->places] = NOBODY;
	return p->places++;
}

/* --- starting --------------------------------------------------------- */

static void step_kind(struct sim *s, uint32_t peer, enum event_kind kind)
{
	struct event ev = { .kind = kind };

	peers_step(s, peer, &ev, &(struct about){ NOBODY, NOBODY, 0 });
}

static void enter_living(struct peers *all, uint32_t peer)
{
	all->v[peer].alive_at = all->alive_n;
	all->alive[all->alive_n++] = peer;
}

static void leave_living(struct peers *all, uint32_t peer)
{
	uint32_t at = all->v[peer].alive_at, last = all->alive[--all->alive_n];

	all->alive[at] = last;
	all->v[last].alive_at = at;
}

/* Its start time, but larger than that of who was there before. */
static uint64_t next_incarnation(const struct sim *s, uint32_t place)
{
	uint64_t now = SIM_EPOCH_MS + (uint64_t)sim_now(s);
	uint32_t before = s->peers.at[place];

	if (before == NOBODY || s->peers.v[before].incarnation < now)
		return now;
	return s->peers.v[before].incarnation + 1;
}

void peers_start(struct sim *s, uint32_t place)
{
	struct peers *all = &s->peers;
	uint32_t number = all->n;
	struct peer *p = &all->v[number];
	struct node_options o = { .config = &s->config };

	if (all->n == all->cap)
		overfull();
	all->n++;
	*p = (struct peer){ .place = place,
			    .incarnation = next_incarnation(s, place),
			    .tick_ms = NEVER,
			    .linked_ms = -1,
			    .resume_ms = -1,
			    .before = all->at[place],
			    .first_ms = -1,
			    .caught_ms = -1,
			    .joiner = all->mid_stream };
	p->half = (uint8_t)sim_chance(&all->rng, 2);
	p->got = sim_alloc(traffic_words(s), sizeof *p->got);
	o.self = peers_identity(p);
	o.rng_seed = rng_u64(&all->rng);
	p->node = node_new(&o);
	if (p->node == NULL)
		abort();
	all->at[place] = number;
	enter_living(all, number);
	step_kind(s, number, EV_START);
}

/* --- ending ----------------------------------------------------------- */

static void drop_backlog(struct sim *s, struct peer *p)
{
	struct item *v = p->backlog;
	size_t n = p->backlog_n;

	p->backlog = NULL;
	p->backlog_n = p->backlog_cap = 0;
	for (size_t i = 0; i < n; i++)
		peers_drop(s, &v[i]);
	free(v);
}

/* Its kernel closes what it had, or nobody does. */
static void drop_links(struct sim *s, uint32_t peer, bool says_so)
{
	struct peer *p = &s->peers.v[peer];

	for (unsigned i = 0; i < LINK_SLOTS; i++) {
		uint32_t conn = p->conn[i];
		unsigned side;

		if ((p->links & 1u << i) == 0)
			continue;
		side = net_side(s, conn, peer, (uint8_t)i);
		if (says_so)
			net_down(s, conn, !side);
		net_close(s, conn, side, SIDE_CLOSED);
	}
	p->links = 0;
}

static void push_stop(struct sim *s, uint32_t peer, int64_t at_ms)
{
	struct item it = { .kind = ITEM_STOP, .peer = peer };

	queue_push(&s->queue, at_ms, &it);
}

void peers_leave(struct sim *s, uint32_t peer)
{
	s->peers.v[peer].leaving = true;
	push_stop(s, peer, sim_now(s) + LEAVE_MAX_MS);
	step_kind(s, peer, EV_SYNC);
}

void peers_synced(struct sim *s, uint32_t peer)
{
	if (!s->peers.v[peer].leaving)
		return;
	check_taken(s, peer);
	s->peers.v[peer].taken = true;
	push_stop(s, peer, sim_now(s));
}

void peers_end(struct sim *s, uint32_t peer, enum ending how)
{
	struct peer *p = &s->peers.v[peer];

	if (how == END_LEAVE && p->state == PEER_RUNS)
		step_kind(s, peer, EV_STOP);
	p->ended_ms = sim_now(s);
	drop_links(s, peer, how != END_HOST);
	p->state = how == END_HOST ? PEER_SILENT : PEER_GONE;
	node_free(p->node);
	p->node = NULL;
	drop_backlog(s, p);
	forget(p);
	leave_living(&s->peers, peer);
	if (how == END_RESTART)
		peers_start(s, p->place);
}

uint32_t peers_draw(struct sim *s, struct rng *r)
{
	const struct peers *all = &s->peers;

	for (unsigned tries = 0; tries < 100 && all->alive_n > 0; tries++) {
		uint32_t peer = all->alive[sim_chance(r, all->alive_n)];

		if (all->v[peer].state == PEER_RUNS && !all->v[peer].leaving)
			return peer;
	}
	return NOBODY;
}

/* --- pauses ----------------------------------------------------------- */

void peers_pause(struct sim *s, uint32_t peer, int64_t until_ms)
{
	struct peer *p = &s->peers.v[peer];
	struct item it = { .kind = ITEM_RESUME, .peer = peer };

	p->state = PEER_PAUSED;
	p->resume_ms = until_ms;
	queue_push(&s->queue, until_ms, &it);
}

void peers_choke(struct sim *s, uint32_t peer, int64_t until_ms)
{
	struct item it = { .kind = ITEM_OUTPUT, .peer = peer, .number = 1 };

	queue_push(&s->queue, sim_now(s), &it);
	it.number = 0;
	queue_push(&s->queue, until_ms, &it);
}

static void output_changed(struct sim *s, const struct item *it)
{
	struct event ev = { .kind = EV_OUTPUT, .output_slow = it->number == 1 };

	peers_step(s, it->peer, &ev, &(struct about){ NOBODY, NOBODY, 0 });
}

static void tick(struct sim *s, uint32_t peer)
{
	s->peers.v[peer].tick_ms = NEVER;
	step_kind(s, peer, EV_TICK);
}

/* All its threads wake at once: sometimes the clock is first, sometimes the
 * readers are. */
static void resume(struct sim *s, uint32_t peer)
{
	struct peer *p = &s->peers.v[peer];
	struct item *v = p->backlog;
	size_t n = p->backlog_n;
	bool first = sim_chance(&s->peers.rng, 2) == 0;

	if (p->state != PEER_PAUSED)
		return;
	p->state = PEER_RUNS;
	p->backlog = NULL;
	p->backlog_n = p->backlog_cap = 0;
	if (first)
		tick(s, peer);
	for (size_t i = 0; i < n; i++)
		peers_arrive(s, &v[i]);
	free(v);
	if (!first && p->node != NULL)
		tick(s, peer);
	for (unsigned i = 0; i < LINK_SLOTS; i++)
		if ((p->links & 1u << i) != 0)
			net_watch(s, p->conn[i],
				  !net_side(s, p->conn[i], peer, (uint8_t)i));
}

/* --- arrivals over a connection --------------------------------------- */

static void hear_message(struct sim *s, const struct item *it, uint8_t slot)
{
	const struct published *m = &s->traffic.v[it->number];
	struct message decoded = { .type = MSG_MESSAGE };
	struct event ev = { .kind = EV_FRAME, .link = slot };

	traffic_copy(s, it->number);
	check_told(s, it->conn, it->side, it->number);
	ev.frame.head =
		(struct frame_head){ .flags = it->flags,
				     .hops = it->hops,
				     .body_bytes = m->frame->body_bytes };
	ev.frame.frame = m->frame;
	ev.frame.msg = &m->msg;
	if (s->options.through_codec && traffic_decode(s, it->number, &decoded))
		ev.frame.msg = &decoded;
	peers_step(s, it->peer, &ev,
		   &(struct about){ it->conn, it->number,
				    (uint8_t)(it->hops + 1) });
	message_clear(&decoded);
}

static void hear_control(struct sim *s, const struct item *it, uint8_t slot)
{
	struct message m;
	struct event ev = { .kind = EV_FRAME, .link = slot };

	control_open(s, it->body, &m);
	check_told_list(s, it->conn, it->side, &m);
	ev.frame.msg = &m;
	peers_step(s, it->peer, &ev, &(struct about){ it->conn, NOBODY, 0 });
	message_clear(&m);
}

static void hear_request(struct sim *s, const struct item *it)
{
	const struct conn *c = &s->net.v[it->conn];
	struct message m;
	struct event ev = { .kind = EV_REQUEST };

	control_open(s, it->body, &m);
	ev.request.conn = it->conn;
	ev.request.from = peers_addr(s->peers.v[c->side[0].peer].place);
	ev.request.from.port = 50000;
	ev.request.request = &m.peer_request;
	peers_step(s, it->peer, &ev, &(struct about){ it->conn, NOBODY, 0 });
	message_clear(&m);
}

static void hear_reply(struct sim *s, const struct item *it)
{
	const struct conn *c = &s->net.v[it->conn];
	struct message m;
	struct event ev = { .kind = EV_DIALED };

	control_open(s, it->body, &m);
	ev.dialed.dial = c->dial;
	ev.dialed.conn = it->conn;
	ev.dialed.result = DIAL_ANSWERED;
	ev.dialed.reply = &m.peer_reply;
	ev.dialed.rtt_ms = sim_now(s) - c->asked_ms;
	peers_step(s, it->peer, &ev, &(struct about){ it->conn, NOBODY, 0 });
	message_clear(&m);
}

static void dial_failed(struct sim *s, uint32_t peer, uint32_t dial,
			enum dial_result result)
{
	struct event ev = { .kind = EV_DIALED,
			    .dialed = { .dial = dial, .result = result } };

	peers_step(s, peer, &ev, &(struct about){ NOBODY, NOBODY, 0 });
}

static void break_link(struct sim *s, const struct item *it,
		       enum down_cause cause)
{
	const struct side *e = &s->net.v[it->conn].side[it->side];
	struct event ev = { .kind = EV_DOWN, .link = e->slot, .down = cause };

	if (e->state == SIDE_LINKED)
		peers_step(s, it->peer, &ev,
			   &(struct about){ it->conn, NOBODY, 0 });
}

/* The other end is closed before it answered, or is gone. */
static void hear_down(struct sim *s, const struct item *it)
{
	struct conn *c = &s->net.v[it->conn];

	if (c->side[it->side].state == SIDE_OPEN) {
		net_close(s, it->conn, it->side, SIDE_CLOSED);
		if (it->side == 0)
			dial_failed(s, it->peer, c->dial, DIAL_FAILED);
		return;
	}
	break_link(s, it, DOWN_RESET);
}

static void dial_timer(struct sim *s, const struct item *it)
{
	struct conn *c = &s->net.v[it->conn];

	if (c->side[0].state != SIDE_OPEN)
		return;
	net_down(s, it->conn, 1);
	net_close(s, it->conn, 0, SIDE_CLOSED);
	dial_failed(s, it->peer, c->dial, DIAL_TIMEOUT);
}

/* It is still stuck, and took nothing for so long. */
static void look_whether_slow(struct sim *s, const struct item *it)
{
	struct conn *c = &s->net.v[it->conn];
	struct side *far = &c->side[!it->side];

	far->timing = false;
	if (c->side[it->side].state == SIDE_LINKED &&
	    net_blocked(s, c, !it->side) &&
	    far->read_ms + s->config.gossip.slow_ms <= sim_now(s)) {
		s->traffic.slow++;
		break_link(s, it, DOWN_SLOW);
	}
}

static void drained(struct sim *s, const struct item *it)
{
	const struct side *e = &s->net.v[it->conn].side[it->side];
	struct event ev = { .kind = EV_DRAINED, .link = e->slot };

	if (e->state == SIDE_LINKED)
		peers_step(s, it->peer, &ev,
			   &(struct about){ it->conn, NOBODY, 0 });
}

/* An end that reads: a link, one after its Bye, or one that is new. */
static void hear(struct sim *s, const struct item *it)
{
	const struct side *e = &s->net.v[it->conn].side[it->side];
	uint8_t slot = e->slot;

	if (it->kind == ITEM_REQUEST)
		hear_request(s, it);
	else if (it->kind == ITEM_REPLY)
		hear_reply(s, it);
	else if (it->kind == ITEM_MESSAGE)
		hear_message(s, it, slot);
	else
		hear_control(s, it, slot);
}

/* A frame that nobody reads makes the kernel there send a reset. */
static void bounce(struct sim *s, const struct item *it)
{
	struct conn *c = &s->net.v[it->conn];

	if (s->peers.v[it->peer].state != PEER_SILENT)
		net_down(s, it->conn, !it->side);
	if (c->side[it->side].state == SIDE_OPEN)
		net_close(s, it->conn, it->side, SIDE_CLOSED);
}

static void arrive_conn(struct sim *s, const struct item *it)
{
	const struct conn *c = &s->net.v[it->conn];
	const struct side *e = &c->side[it->side];
	bool reads = s->peers.v[it->peer].node != NULL &&
		     (e->state < SIDE_DRAIN ||
		      (e->state == SIDE_DRAIN && sim_now(s) <= e->drain_ms));

	net_read(s, it);
	if (it->kind == ITEM_DOWN) {
		if (reads)
			hear_down(s, it);
	} else if (reads) {
		hear(s, it);
	} else {
		bounce(s, it);
	}
	net_done(s, it);
}

/* --- arrivals, all of them -------------------------------------------- */

void peers_drop(struct sim *s, const struct item *it)
{
	if (it->kind <= ITEM_DOWN)
		arrive_conn(s, it); /* nobody reads: this says so */
	else if (it->kind <= ITEM_SLOW)
		net_done(s, it);
	else if (it->kind == ITEM_ANSWER)
		seedside_forget(it);
}

static void arrive_about_conn(struct sim *s, const struct item *it)
{
	if (s->peers.v[it->peer].node != NULL) {
		if (it->kind == ITEM_DIAL_TIMER)
			dial_timer(s, it);
		else if (it->kind == ITEM_SLOW)
			look_whether_slow(s, it);
		else
			drained(s, it);
	}
	net_done(s, it);
}

static void arrive_tick(struct sim *s, const struct item *it)
{
	struct peer *p = &s->peers.v[it->peer];

	if (it->at_ms != p->tick_ms)
		return; /* another one counts */
	p->tick_ms = NEVER;
	if (node_deadline_ms(p->node) > sim_now(s))
		apply_retime(s, it->peer);
	else
		tick(s, it->peer);
}

static bool keep_for_later(struct sim *s, const struct item *it)
{
	struct peer *p = &s->peers.v[it->peer];

	if (p->state != PEER_PAUSED || it->kind == ITEM_RESUME)
		return false;
	if (it->kind == ITEM_TICK)
		return true; /* it ticks when it wakes up */
	p->backlog = sim_grow(p->backlog, &p->backlog_cap, p->backlog_n + 1,
			      sizeof *it);
	p->backlog[p->backlog_n++] = *it;
	return true;
}

void peers_arrive(struct sim *s, const struct item *it)
{
	if (keep_for_later(s, it))
		return;
	if (it->kind <= ITEM_DOWN) {
		arrive_conn(s, it);
	} else if (it->kind <= ITEM_SLOW) {
		arrive_about_conn(s, it);
	} else if (s->peers.v[it->peer].node == NULL) {
		peers_drop(s, it);
	} else if (it->kind == ITEM_TICK) {
		arrive_tick(s, it);
	} else if (it->kind == ITEM_DIAL_FAILED) {
		dial_failed(s, it->peer, it->number,
			    (enum dial_result)it->flags);
	} else if (it->kind == ITEM_ANSWER) {
		seedside_answered(s, it);
	} else if (it->kind == ITEM_OUTPUT) {
		output_changed(s, it);
	} else if (it->kind == ITEM_STOP) {
		peers_end(s, it->peer, END_LEAVE);
	} else {
		resume(s, it->peer);
	}
}
