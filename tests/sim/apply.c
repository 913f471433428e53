/* One step of a node, and its effects. */
#include "sim/apply.h"

#include "sim/sim.h"

/* Events that follow from the effects of a step, at once. */
struct follow_up {
	link_set check, full;
};

/* --- sending ---------------------------------------------------------- */

/* A link did not take it. */
static void overflow(struct follow_up *f, uint8_t slot)
{
	f->full = (link_set)(f->full | 1u << slot);
}

static void check_links(struct sim *s, uint32_t peer, const struct effect *e)
{
	if (e->links == 0 || (e->links & ~s->peers.v[peer].links) != 0)
		check_failed(s, "effects",
			     "peer %u sends to links %x, it has %x", peer,
			     (unsigned)e->links,
			     (unsigned)s->peers.v[peer].links);
}

static void send_message(struct sim *s, uint32_t peer, const struct effect *e,
			 const struct about *about, struct follow_up *f)
{
	const struct peer *p = &s->peers.v[peer];
	uint32_t number = about->number;

	if (number == NOBODY || s->traffic.v[number].frame != e->send.frame)
		number = traffic_number(s, e->send.frame);
	check_links(s, peer, e);
	sim_mix(s, number);
	sim_mix(s, (uint64_t)e->send.head.flags << 8 | e->send.head.hops);
	for (uint8_t i = 0; i < LINK_SLOTS; i++) {
		unsigned side;

		if ((e->links & p->links & 1u << i) == 0)
			continue;
		side = net_side(s, p->conn[i], peer, i);
		traffic_sent(s, e->send.frame->body_bytes);
		if (net_message(s, p->conn[i], !side, number, &e->send.head))
			check_told(s, p->conn[i], side, number);
		else
			overflow(f, i);
		if (net_behind(s, p->conn[i], !side) &&
		    !s->net.v[p->conn[i]].side[side].watching)
			overflow(f, i);
	}
}

static void say(struct sim *s, uint32_t peer, const struct effect *e,
		struct follow_up *f)
{
	const struct peer *p = &s->peers.v[peer];
	struct control *c = control_new(s, &e->say);

	check_links(s, peer, e);
	for (uint8_t i = 0; i < LINK_SLOTS; i++) {
		unsigned side;

		if ((e->links & p->links & 1u << i) == 0)
			continue;
		side = net_side(s, p->conn[i], peer, i);
		traffic_said(s, &e->say, c->bytes);
		if (net_control(s, p->conn[i], !side, ITEM_CONTROL, c, 0))
			check_told_list(s, p->conn[i], side, &e->say);
		else
			overflow(f, i);
	}
	control_release(c);
}

static void say_bye(struct sim *s, uint32_t conn, unsigned to,
		    enum bye_reason why)
{
	struct message m = { .type = MSG_BYE, .bye = { .reason = why } };
	struct control *c = control_new(s, &m);

	/* Behind a full outbox it does not fit either; the end comes anyway. */
	if (!net_control(s, conn, to, ITEM_CONTROL, c, 0))
		net_down(s, conn, to);
	control_release(c);
}

/* --- links come and go ------------------------------------------------ */

static void enter(struct sim *s, uint32_t peer, uint32_t conn, unsigned side,
		  uint8_t slot)
{
	struct peer *p = &s->peers.v[peer];
	struct side *e = &s->net.v[conn].side[side];

	p->conn[slot] = conn;
	p->links = (link_set)(p->links | 1u << slot);
	s->check.links_changed = true;
	e->state = SIDE_LINKED;
	e->slot = slot;
	check_linked(s, conn, side);
	if (p->linked_ms < 0) {
		p->linked_ms = sim_now(s);
		p->first_owed = s->traffic.n;
	}
}

static void dial(struct sim *s, uint32_t peer, const struct effect *e)
{
	struct message m = { .type = MSG_PEER_REQUEST,
			     .peer_request = e->dial.request };
	uint32_t to = peers_at(s, &e->dial.to);
	struct item refused = { .kind = ITEM_DIAL_FAILED,
				.peer = peer,
				.number = e->dial.id,
				.flags = DIAL_REFUSED };
	struct control *c;
	uint32_t conn;
	int64_t base;

	if (to == NOBODY) {
		queue_push(&s->queue, sim_now(s) + 1, &refused);
		return;
	}
	conn = net_connect(s, peer, to, e->dial.id);
	base = s->net.v[conn].base_ms;
	net_push(s, sim_now(s) + s->config.overlay.dial_timeout_ms,
		 ITEM_DIAL_TIMER, conn, 0);
	if (net_cut(s, &s->net.v[conn]))
		return; /* nobody answers the SYN */
	if (s->peers.v[to].state == PEER_GONE) {
		net_close(s, conn, 0, SIDE_CLOSED);
		queue_push(&s->queue, sim_now(s) + net_delay(s, 2 * base),
			   &refused);
		return;
	}
	s->net.v[conn].asked_ms = sim_now(s) + 2 * base;
	c = control_new(s, &m);
	net_control(s, conn, 1, ITEM_REQUEST, c, 2 * base);
	control_release(c);
}

static void answer_request(struct sim *s, uint32_t peer, const struct effect *e)
{
	uint32_t conn = (uint32_t)e->conn;
	struct control *c = control_new(s, &e->say);

	if (e->link != LINK_NONE)
		enter(s, peer, conn, 1, e->link);
	net_control(s, conn, 0, ITEM_REPLY, c, 0);
	control_release(c);
	if (e->link == LINK_NONE)
		net_close(s, conn, 1, SIDE_CLOSED);
}

static void refuse(struct sim *s, const struct effect *e)
{
	uint32_t conn = (uint32_t)e->conn;

	say_bye(s, conn, 1, e->unlink.bye);
	net_close(s, conn, 0, SIDE_DRAIN);
}

static void unlink_slot(struct sim *s, uint32_t peer, const struct effect *e)
{
	struct peer *p = &s->peers.v[peer];
	uint32_t conn = p->conn[e->link];
	unsigned side = net_side(s, conn, peer, e->link);

	p->links = (link_set)(p->links & ~(1u << e->link));
	p->conn[e->link] = NOBODY;
	s->check.links_changed = true;
	if (e->unlink.cause == UNLINK_BYE_SENT)
		say_bye(s, conn, !side, e->unlink.bye);
	else if (e->unlink.cause != UNLINK_BYE_GOT)
		net_down(s, conn, !side);
	net_close(s, conn, side,
		  e->unlink.cause <= UNLINK_BYE_GOT ? SIDE_DRAIN : SIDE_CLOSED);
}

static void watch(struct sim *s, uint32_t peer, uint8_t slot)
{
	uint32_t conn = s->peers.v[peer].conn[slot];
	unsigned side = net_side(s, conn, peer, slot);

	s->net.v[conn].side[side].watching = true;
	net_watch(s, conn, side);
}

/* --- all effects ------------------------------------------------------ */

static void mix_effect(struct sim *s, uint32_t peer, const struct effect *e)
{
	sim_mix(s, (uint64_t)peer << 32 | (uint64_t)e->kind << 24 |
			   (uint64_t)e->link << 16 | e->links);
	sim_mix(s, (uint64_t)sim_now(s) << 24 ^ e->conn);
	if (e->kind == EF_SEED)
		sim_mix(s, e->seed.seed << 8 | (unsigned)e->seed.question);
	else if (e->kind == EF_DEATH)
		sim_mix(s, e->death.seeds ^ e->death.death.id.incarnation);
	else if (e->kind == EF_UNLINK || e->kind == EF_REFUSE)
		sim_mix(s, (uint64_t)e->unlink.cause << 8 | e->unlink.bye);
	else if (e->kind == EF_DIAL)
		sim_mix(s, (uint64_t)e->dial.id << 32 |
				   (uint64_t)e->dial.to.ip[2] << 8 |
				   e->dial.to.ip[3]);
	else if (e->kind == EF_LOST)
		sim_mix(s, e->lost.first ^ e->lost.last << 32);
}

static void apply(struct sim *s, uint32_t peer, const struct effect *e,
		  const struct about *about, struct follow_up *f)
{
	mix_effect(s, peer, e);
	switch (e->kind) {
	case EF_SEND:
		send_message(s, peer, e, about, f);
		break;
	case EF_SAY:
		say(s, peer, e, f);
		break;
	case EF_VERDICT:
		answer_request(s, peer, e);
		break;
	case EF_DIAL:
		dial(s, peer, e);
		break;
	case EF_ADOPT:
		enter(s, peer, (uint32_t)e->conn, 0, e->link);
		break;
	case EF_REFUSE:
		refuse(s, e);
		break;
	case EF_UNLINK:
		unlink_slot(s, peer, e);
		break;
	case EF_SEED:
		seedside_ask(s, peer, e);
		break;
	case EF_DEATH:
		seedside_report(s, peer, e);
		break;
	case EF_LEAVE:
		seedside_leave(s, peer);
		break;
	case EF_DELIVER:
		traffic_deliver(s, peer, about->number, about->hops);
		break;
	case EF_LOST:
		traffic_lost(s, peer, &e->lost);
		break;
	case EF_CHECK:
		f->check = (link_set)(f->check | 1u << e->link);
		break;
	case EF_WATCH:
		watch(s, peer, e->link);
		break;
	case EF_JOINED:
		check_joined(s, peer, e);
		break;
	case EF_SYNCED:
		peers_synced(s, peer);
		break;
	case EF_FOUND:
	case EF_NOT_FOUND:
	case EF_SETTLED:
	case EF_ADDRESS:
		break; /* for people */
	}
}

void apply_retime(struct sim *s, uint32_t peer)
{
	struct peer *p = &s->peers.v[peer];
	struct item it = { .kind = ITEM_TICK, .peer = peer };
	int64_t due = node_deadline_ms(p->node);

	if (due >= p->tick_ms)
		return;
	if (due < sim_now(s))
		due = sim_now(s);
	p->tick_ms = due;
	queue_push(&s->queue, due, &it);
}

static void follow(struct sim *s, uint32_t peer, enum event_kind kind,
		   link_set set)
{
	struct event ev = { .kind = kind };

	for (uint8_t i = 0; i < LINK_SLOTS; i++) {
		ev.link = i;
		if ((set & s->peers.v[peer].links & 1u << i) == 0)
			continue;
		s->traffic.full += kind == EV_FULL;
		peers_step(s, peer, &ev, &(struct about){ NOBODY, NOBODY, 0 });
	}
}

void peers_step(struct sim *s, uint32_t peer, const struct event *ev,
		const struct about *about)
{
	struct peer *p = &s->peers.v[peer];
	struct follow_up f = { 0 };

	node_step(p->node, sim_now(s), ev, &s->effects);
	s->steps++;
	for (size_t i = 0; i < s->effects.n; i++)
		apply(s, peer, &s->effects.v[i], about, &f);
	check_step(s, peer, ev);
	apply_retime(s, peer);
	s->depth++;
	if (f.check != 0)
		follow(s, peer, EV_CHECKED, f.check);
	f.full &= (link_set)~s->told_full;
	s->told_full |= f.full;
	if (f.full != 0)
		follow(s, peer, EV_FULL, f.full);
	if (--s->depth == 0)
		s->told_full = 0;
}
