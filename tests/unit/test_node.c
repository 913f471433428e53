#include "node_fixture.h"

#include "base/rng.h"
#include "core/registry.h"

/* --- a fingerprint of effects -------------------------------------------- */

static void mix(struct hash *print, const void *bytes, size_t n)
{
	struct hash both[2] = { *print, hash_of(bytes, n) };

	*print = hash_of(both, sizeof both);
}

static void mix_number(struct hash *print, uint64_t number)
{
	mix(print, &number, sizeof number);
}

static void mix_message(struct hash *print, const struct message *m)
{
	struct frame *f = NULL;

	assert_int_equal(codec_encode(m, &f), ERR_OK);
	mix(print, f->body, f->body_bytes);
	frame_release(f);
}

static void mix_effect(struct hash *print, const struct effect *e)
{
	struct message m = { .type = MSG_PEER_REQUEST };

	mix_number(print, e->kind);
	mix_number(print, e->link);
	mix_number(print, e->links);
	mix_number(print, e->conn);
	if (e->kind == EF_SAY || e->kind == EF_VERDICT)
		mix_message(print, &e->say);
	if (e->kind == EF_SEND) {
		mix(print, e->send.frame->body, e->send.frame->body_bytes);
		mix_number(print, e->send.head.flags);
		mix_number(print, e->send.head.hops);
	}
	if (e->kind == EF_DIAL) {
		m.peer_request = e->dial.request;
		mix_message(print, &m);
		mix_number(print, e->dial.id);
		mix(print, &e->dial.to, sizeof e->dial.to);
	}
	if (e->kind == EF_SEED) {
		mix_number(print, e->seed.seed);
		mix_number(print, e->seed.question);
	}
	if (e->kind == EF_DEATH) {
		mix_number(print, e->death.seeds);
		mix(print, &e->death.death.id.addr, sizeof(struct addr));
		mix_number(print, e->death.death.reason);
	}
	if (e->kind == EF_UNLINK || e->kind == EF_REFUSE) {
		mix_number(print, e->unlink.cause);
		mix_number(print, e->unlink.bye);
	}
}

/* --- random events ------------------------------------------------------- */

#define STRANGERS 30 /* peers that exist */
#define SEQS 60
#define FUZZ_SEEDS 3
#ifndef FUZZ_STEPS
#define FUZZ_STEPS 4000 /* for each seed number */
#endif
#ifndef FUZZ_RUNS
#define FUZZ_RUNS 6
#endif

/* What a shell, and those at its other end, would still do; and much that
 * they should not. */
struct fuzz {
	struct fixture *f;
	struct rng rng;
	struct hash print;
	uint32_t dials[256]; /* the newest of all */
	struct addr dialed[256];
	unsigned dial_count;
	struct question asked[64];
	unsigned asked_count;
	link_set checks;
	bool got[STRANGERS + 1][2][SEQS]; /* I3: delivered */
	struct hash known[8];             /* ids, to be looked for */
	struct addr addrs[40];
};

static unsigned roll(struct fuzz *z, unsigned n)
{
	return (unsigned)rng_below(&z->rng, n);
}

/* Mostly somebody on loopback; some on two hosts; now and then myself. */
static struct addr any_addr(struct fuzz *z)
{
	unsigned n = roll(z, STRANGERS + 1);

	if (n == STRANGERS)
		return number_addr(SELF);
	return n % 3 == 0 ? host_addr(1 + n % 2, (uint16_t)(1 + n))
			  : number_addr(n);
}

static struct identity any_id(struct fuzz *z)
{
	struct identity id = { .incarnation = 7000, .addr = any_addr(z) };

	if (roll(z, 8) == 0)
		id.incarnation += roll(z, 3);
	return id;
}

static struct addr_list any_addrs(struct fuzz *z, unsigned max)
{
	struct addr_list list = { z->addrs, roll(z, max + 1) };

	for (size_t i = 0; i < list.n; i++)
		z->addrs[i] = any_addr(z);
	return list;
}

static void note_effects(struct fuzz *z)
{
	const struct effects *fx = &z->f->fx;

	for (size_t i = 0; i < fx->n; i++) {
		const struct effect *e = &fx->v[i];

		mix_effect(&z->print, e);
		if (e->kind == EF_DIAL) {
			z->dials[z->dial_count % 256] = e->dial.id;
			z->dialed[z->dial_count++ % 256] = e->dial.to;
		} else if (e->kind == EF_SEED) {
			z->asked[z->asked_count++ % 64] =
				(struct question){ e->seed.seed,
						   e->seed.question };
		} else if (e->kind == EF_CHECK) {
			z->checks = (link_set)(z->checks | link_bit(e->link));
		}
	}
}

static void check_limits(const struct node *n)
{
	unsigned dials = 0;

	for (unsigned i = 0; i < DIALS_CAP; i++)
		dials += n->overlay.dials[i].used;
	assert_true(dials <= DIALS_CAP);
	assert_true(n->overlay.candidate_count <=
		    n->config->overlay.candidates_max);
	assert_true(n->registration.death_count <= DEATHS_CAP);
	assert_true(n->gossip.store.count <= n->config->gossip.store_messages);
	assert_true(n->gossip.store.bytes <= n->config->gossip.store_bytes);
	assert_true(n->gossip.seen.n <= n->config->gossip.seen_max);
}

static void send(struct fuzz *z, const struct event *ev)
{
	step(z->f, ev);
	check_limits(z->f->node);
	note_effects(z);
}

static void fuzz_time(struct fuzz *z)
{
	struct event ev = { .kind = EV_TICK };
	int64_t due = node_deadline_ms(z->f->node);

	if (roll(z, 3) > 0 && due != NEVER_MS && due > z->f->now)
		z->f->now = due;
	else if (roll(z, 60) == 0)
		z->f->now += roll(z, 200000);
	else
		z->f->now += roll(z, 300);
	send(z, &ev);
	for (uint8_t i = 0; i < LINK_SLOTS; i++)
		if (z->checks & link_bit(i))
			send(z, &(struct event){ .kind = EV_CHECKED,
						 .link = i,
						 .bytes_wait = roll(z, 2) });
	z->checks = 0;
}

static void fuzz_seed(struct fuzz *z)
{
	struct question q = { roll(z, FUZZ_SEEDS), roll(z, 2) };
	struct msg_peer_list list = { .peers = any_addrs(z, 32) };
	struct event ev = { .kind = EV_SEED };

	if (roll(z, 5) > 0 && z->asked_count > 0)
		q = z->asked[roll(z,
				  z->asked_count < 64 ? z->asked_count : 64)];
	list.registered = q.question == ASK_REGISTER;
	list.reachable = roll(z, 4) > 0;
	list.you = any_addr(z);
	list.period_ms = roll(z, 3) ? 60000 : roll(z, 100000);
	ev.seed.seed = q.seed;
	ev.seed.question = q.question;
	ev.seed.answered = roll(z, 3) > 0;
	ev.seed.list = ev.seed.answered ? &list : NULL;
	if (roll(z, 10) == 0) {
		ev.seed.question = ASK_DEATH;
		ev.seed.death.id = any_id(z);
		ev.seed.verdict = roll(z, 5);
	}
	send(z, &ev);
}

static void fuzz_request(struct fuzz *z)
{
	struct msg_peer_request m = { any_id(z), roll(z, 13), roll(z, 4) == 0 };
	struct event ev = { .kind = EV_REQUEST,
			    .request = { .conn = roll(z, 100000),
					 .from = m.id.addr,
					 .request = &m } };

	if (roll(z, 10) == 0)
		ev.request.from = any_addr(z);
	send(z, &ev);
}

static void fuzz_dialed(struct fuzz *z)
{
	struct msg_peer_reply r = { .verdict = roll(z, 4),
				    .id = any_id(z),
				    .neighbors = roll(z, 13) };
	struct event ev = { .kind = EV_DIALED, .dialed = { .dial = 1 } };

	if (z->dial_count > 0) {
		unsigned back = roll(z, 6); /* one of the newest */
		unsigned i = (z->dial_count + 255 - back) % 256;

		ev.dialed.dial = z->dials[i];
		if (roll(z, 5) > 0)
			r.id.addr = z->dialed[i];
	}
	if (roll(z, 3) == 0)
		r.verdict = PEER_ACCEPTED;
	if (r.verdict == PEER_BUSY)
		r.redirect = any_addrs(z, REDIRECT_MAX);
	ev.dialed.result = roll(z, 2) ? DIAL_ANSWERED : roll(z, 4);
	ev.dialed.reply = ev.dialed.result == DIAL_ANSWERED ? &r : NULL;
	ev.dialed.rtt_ms = roll(z, 500);
	send(z, &ev);
}

static void fuzz_letter(struct fuzz *z)
{
	unsigned run = roll(z, STRANGERS + 1), later = roll(z, 2);
	uint64_t seq = 1 + roll(z, SEQS - 1);
	struct identity id = { .incarnation = 1 + later,
			       .addr = number_addr(run) };
	bool mine = roll(z, 40) == 0; /* or so they say */
	struct letter l = letter_new(mine ? node_self(z->f->node) : &id, seq,
				     roll(z, 20) && !mine ? "text" : "fake");
	struct event ev = {
		.kind = EV_FRAME,
		.link = (uint8_t)(roll(z, 20) ? roll(z, 16) : LINK_NONE),
		.frame = { .head = { (uint8_t)roll(z, 4), (uint8_t)roll(z, 256),
				     l.frame->body_bytes },
			   .frame = l.frame,
			   .id = &l.id,
			   .msg = &l.msg }
	};

	if (node_has_seen(z->f->node, &l.id) && roll(z, 2))
		ev.frame.msg = NULL;
	send(z, &ev);
	z->known[roll(z, 8)] = l.id;
	if (effect_count(z->f, EF_DELIVER) > 0) {
		assert_false(mine);
		assert_false(z->got[run][later][seq]);
		z->got[run][later][seq] = true;
	}
	letter_free(&l);
}

static void fuzz_ranges(struct fuzz *z, struct message *m, struct range *v)
{
	size_t n = roll(z, 9);

	for (size_t i = 0; i < n; i++) {
		v[i].run = (struct identity){ .incarnation = 1 + roll(z, 2),
					      .addr = number_addr(
						      roll(z, STRANGERS + 1)) };
		v[i].first = 1 + roll(z, SEQS);
		v[i].last = roll(z, 5) ? v[i].first + roll(z, 10) : SEQ_MAX;
	}
	m->get_data.ranges = (struct range_list){ v, n };
}

static void fuzz_control(struct fuzz *z)
{
	static const enum message_type types[] = {
		MSG_LIVELINESS,    MSG_LIVELINESS_REPLY,
		MSG_GET_PEER_LIST, MSG_PEER_LIST,
		MSG_GET_DATA,      MSG_NOT_FOUND,
		MSG_BYE,           MSG_HAVE,
		MSG_GRAFT,         MSG_PRUNE,
		MSG_REGISTER,      MSG_PEER_REPLY
	};
	struct message m = { .type = types[roll(z, COUNT_OF(types))] };
	struct hash known = z->known[roll(z, 8)];
	struct event ev = { .kind = EV_FRAME,
			    .link = (uint8_t)roll(z, 16),
			    .frame = { .msg = &m } };
	struct range v[8];

	if (m.type == MSG_LIVELINESS_REPLY)
		m.liveliness_reply = (struct msg_liveliness_reply){
			.nonce = z->f->node->liveness.nonces - roll(z, 3),
			.id = any_id(z),
			.neighbors = roll(z, 13)
		};
	else if (m.type == MSG_GET_PEER_LIST)
		m.get_peer_list.want = roll(z, 40);
	else if (m.type == MSG_PEER_LIST)
		m.peer_list.peers = any_addrs(z, 12);
	else if (m.type == MSG_GET_DATA && roll(z, 3))
		fuzz_ranges(z, &m, v);
	else if (m.type == MSG_GET_DATA)
		m.get_data =
			(struct msg_get_data){ .has_id = true, .id = known };
	else if (m.type == MSG_NOT_FOUND)
		m.not_found =
			(struct msg_not_found){ .has_id = true, .id = known };
	else if (m.type == MSG_BYE)
		m.bye.reason = roll(z, 5);
	send(z, &ev);
}

static void fuzz_link(struct fuzz *z)
{
	struct event ev = { .kind = EV_HEARD,
			    .link = (uint8_t)(roll(z, 20) ? roll(z, 16)
							  : LINK_NONE) };
	unsigned what = roll(z, 20);

	if (what == 0) {
		ev.kind = EV_DOWN;
		ev.down = roll(z, 4);
	} else if (what == 1) {
		ev.kind = EV_CHECKED;
		ev.bytes_wait = roll(z, 2);
	}
	send(z, &ev);
}

static void fuzz_user(struct fuzz *z)
{
	struct event ev = { .kind = EV_SYNC };
	struct letter l;

	if (roll(z, 3) == 0) {
		send(z, &ev);
	} else if (roll(z, 2)) {
		ev.kind = EV_FIND;
		ev.find = z->known[roll(z, 8)];
		send(z, &ev);
	} else {
		l = publish(z->f, "mine");
		check_limits(z->f->node);
		note_effects(z);
		letter_free(&l);
	}
}

/* Small windows, and the ends of what may be configured. */
static void fuzz_config(struct config *c, unsigned kind)
{
	c->gossip.seen_max = 16;
	c->gossip.store_messages = 100;
	if (kind == 1) {
		c->overlay.links_max = 15;
		c->overlay.dials = 15;
		c->overlay.candidates_max = 6;
		c->gossip.store_bytes = 5000;
	} else if (kind == 2) {
		c->overlay.links_max = 4;
		c->overlay.per_host_max = 1;
		c->overlay.repair_first_ms = c->overlay.repair_ms = 10;
		c->overlay.candidates_max = 1;
	}
}

static struct hash run_fuzz(uint64_t events, uint64_t chance, unsigned steps)
{
	static void (*const what[])(struct fuzz * z) = {
		fuzz_time,   fuzz_time,   fuzz_time,   fuzz_time,
		fuzz_seed,   fuzz_seed,   fuzz_dialed, fuzz_dialed,
		fuzz_dialed, fuzz_dialed, fuzz_link,   fuzz_letter,
		fuzz_letter, fuzz_letter, fuzz_user,   fuzz_control,
		fuzz_request
	};
	struct fuzz *z = calloc(1, sizeof *z);
	struct hash print;

	assert_non_null(z);
	rng_init(&z->rng, events);
	z->f = fixture_new(FUZZ_SEEDS);
	fuzz_config(&z->f->config, (unsigned)events % 3);
	fixture_renew(z->f, chance);
	z->f->node->learn_address = events % 2;
	send(z, &(struct event){ .kind = EV_START });
	for (unsigned i = 0; i < steps; i++)
		what[roll(z, COUNT_OF(what))](z);
	send(z, &(struct event){ .kind = EV_STOP });
	assert_int_equal(links_count(z->f->node), 0);
	for (unsigned i = 0; i < steps / 20; i++)
		what[roll(z, COUNT_OF(what))](z);
	assert_int_equal(links_count(z->f->node), 0);
	print = z->print;
	fixture_free(z->f);
	free(z);
	return print;
}

static void random_events_break_no_invariant(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < FUZZ_RUNS; i++) {
		print_message("events %llu\n", (unsigned long long)i);
		run_fuzz(i, i, FUZZ_STEPS);
	}
}

static void same_seed_and_events_give_the_same_effects(void **state)
{
	struct hash a = run_fuzz(77, 1, 2000), b = run_fuzz(77, 1, 2000);
	struct hash c = run_fuzz(77, 2, 2000);

	(void)state;
	assert_memory_equal(&a, &b, sizeof a);
	assert_memory_not_equal(&a, &c, sizeof a);
}

/* --- R15 ----------------------------------------------------------------- */

static void who_stops_says_bye_and_leaves_the_seeds(void **state)
{
	struct fixture *f = fixture_new(3);

	(void)state;
	join(f, NULL, 0);
	for (unsigned i = 0; i < 5; i++)
		link_up(f, i);
	step_kind(f, EV_STOP);
	assert_int_equal(effect_count(f, EF_UNLINK), 5);
	for (size_t i = 0; i < 5; i++) {
		const struct effect *e = effect_at(f, EF_UNLINK, i);

		assert_int_equal(e->unlink.cause, UNLINK_BYE_SENT);
		assert_int_equal(e->unlink.bye, BYE_SHUTDOWN);
	}
	assert_int_equal(f->fx.v[f->fx.n - 1].kind, EF_LEAVE);
	assert_int_equal(node_deadline_ms(f->node), NEVER_MS);
	fixture_free(f);
}

static void who_has_stopped_takes_nobody_and_dials_nobody(void **state)
{
	struct addr a[3] = { number_addr(1), number_addr(2), number_addr(3) };
	struct fixture *f = fixture_new(1);
	struct msg_peer_reply busy = { .verdict = PEER_BUSY,
				       .id = number_id(1),
				       .redirect = { a, 3 } };
	struct identity id = number_id(9), other;
	struct effect dials[2];

	(void)state;
	join(f, a, 2);
	for (size_t i = 0; i < 2; i++)
		dials[i] = *effect_at(f, EF_DIAL, i);
	step_kind(f, EV_STOP);
	assert_int_equal(request(f, &id), LINK_NONE);
	assert_int_equal(verdict(f), PEER_BUSY);
	dial_replies(f, dials[0].dial.id, &busy);
	assert_int_equal(effect_count(f, EF_DIAL), 0);
	other = (struct identity){ 7000, dials[1].dial.to };
	dial_accepted(f, dials[1].dial.id, &other);
	assert_int_equal(effect_count(f, EF_REFUSE), 1);
	f->now += 100000;
	step_kind(f, EV_TICK);
	assert_int_equal(f->fx.n, 0);
	fixture_free(f);
}

/* --- I10 ----------------------------------------------------------------- */

/* Everything that can go wrong at a start does: after each step check_step has
 * seen that something is still under way. */
static void who_has_no_link_goes_on_trying(void **state)
{
	struct addr a = number_addr(1);
	struct fixture *f = fixture_new(2);
	unsigned dials = 0, asked = 0;

	(void)state;
	start(f);
	for (unsigned i = 0; i < 400; i++) {
		struct question q[CONFIG_SEEDS_MAX];
		size_t n = questions(f, q);
		const struct effect *e = effect_at(f, EF_DIAL, 0);

		if (e != NULL && ++dials % 2 == 0) {
			dial_fails(f, e->dial.id, DIAL_REFUSED);
		} else if (n > 0 && ++asked % 3 == 0) {
			seed_lists(f, q[0], &a, 1);
		} else if (n > 0 && asked % 3 == 1) {
			seed_silent(f, q[0]);
		} else { /* silence of all */
			f->now = node_deadline_ms(f->node);
			step_kind(f, EV_TICK);
		}
	}
	assert_true(dials > 10);
	fixture_free(f);
}

static void frames_that_make_no_sense_are_counted(void **state)
{
	static const enum message_type types[] = { MSG_REGISTER, MSG_DEATH,
						   MSG_DEATH_REPLY,
						   MSG_PEER_REQUEST,
						   MSG_PEER_REPLY };
	struct fixture *f = fixture_new(1);

	(void)state;
	join(f, NULL, 0);
	link_up(f, 1);
	for (size_t i = 0; i < COUNT_OF(types); i++) {
		struct message m = { .type = types[i] };

		hear(f, 0, &m);
		assert_int_equal(f->fx.n, 0);
		assert_int_equal(node_stats(f->node).rejected, i + 1);
	}
	assert_int_equal(node_neighbor_count(f->node), 1);
	fixture_free(f);
}

/* --- a network in one process -------------------------------------------- */

#define NET_PEERS 30
#define NET_SEEDS 3
#define NET_KILLED 10
#define NET_LETTERS 100
#define NET_PUBLISHERS 5
#define NET_LATENCY_MS 60
#define NET_RUNS 20 /* random seed numbers */

/* What is on its way. Bodies are encoded and decoded again, as on a wire. */
enum item_kind {
	IT_START,
	IT_REQUEST, /* the first frame of a connection */
	IT_REPLY,
	IT_CONTROL,
	IT_LETTER,
	IT_DOWN,
	IT_REFUSED, /* nobody listens there */
	IT_ASK,     /* at a seed */
	IT_ANSWER,
	IT_DEATH /* at a seed */
};

struct item {
	int64_t at_ms;
	uint64_t order;
	enum item_kind kind;
	unsigned peer, side; /* who gets it; which end of the connection */
	unsigned conn, letter;
	uint32_t dial;
	struct frame_head head;
	struct question ask;
	struct frame *body;
};

struct conn {
	unsigned peer[2]; /* who dialed, who was dialed */
	uint8_t slot[2];
	uint32_t dial;
	int64_t newest_ms[2]; /* of what is on its way to that end */
};

struct member {
	struct node *node;
	bool alive;
	int64_t due_ms;
	link_set shadow;
	unsigned conn[LINK_SLOTS];
	uint8_t got[NET_LETTERS];
};

struct net {
	struct config config;
	struct rng rng;
	int64_t now_ms;
	struct member members[NET_PEERS];
	struct registry *seeds[NET_SEEDS];
	struct conn *conns;
	size_t conn_count, conn_cap;
	struct item *queue; /* a heap, earliest first */
	size_t queued, queue_cap;
	uint64_t order;
	struct effects fx;
	struct letter letters[NET_LETTERS];
	unsigned letter_count;
};

static bool before(const struct item *a, const struct item *b)
{
	return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order;
}

static struct item *net_send(struct net *w, enum item_kind kind, unsigned peer,
			     int64_t at_ms)
{
	struct item new = {
		.at_ms = at_ms, .order = ++w->order, .kind = kind, .peer = peer
	};
	size_t i = w->queued++;

	if (w->queued > w->queue_cap) {
		w->queue_cap = 2 * w->queue_cap + 64;
		w->queue = realloc(w->queue, w->queue_cap * sizeof new);
		assert_non_null(w->queue);
	}
	for (; i > 0 && before(&new, &w->queue[(i - 1) / 2]); i = (i - 1) / 2)
		w->queue[i] = w->queue[(i - 1) / 2];
	w->queue[i] = new;
	return &w->queue[i];
}

static struct item net_take(struct net *w)
{
	struct item first = w->queue[0], last = w->queue[--w->queued];
	size_t i = 0;

	for (;;) {
		size_t k = 2 * i + 1;

		if (k >= w->queued)
			break;
		if (k + 1 < w->queued && before(&w->queue[k + 1], &w->queue[k]))
			k++;
		if (!before(&w->queue[k], &last))
			break;
		w->queue[i] = w->queue[k];
		i = k;
	}
	w->queue[i] = last;
	return first;
}

static int64_t latency(struct net *w)
{
	return 1 + (int64_t)rng_below(&w->rng, NET_LATENCY_MS);
}

/* To one end of a connection, behind what is on its way already. */
static struct item *net_send_conn(struct net *w, enum item_kind kind,
				  unsigned conn, unsigned side)
{
	struct conn *c = &w->conns[conn];
	int64_t at = w->now_ms + latency(w);
	struct item *it;

	if (at < c->newest_ms[side])
		at = c->newest_ms[side];
	c->newest_ms[side] = at;
	it = net_send(w, kind, c->peer[side], at);
	it->conn = conn;
	it->side = side;
	return it;
}

static void net_say(struct net *w, enum item_kind kind, unsigned conn,
		    unsigned side, const struct message *m)
{
	struct frame *f = NULL;

	assert_int_equal(codec_encode(m, &f), ERR_OK);
	net_send_conn(w, kind, conn, side)->body = f;
}

/* Which end of the connection is that member? A peer never links to itself. */
static unsigned side_of(const struct net *w, unsigned conn, unsigned peer)
{
	return w->conns[conn].peer[1] == peer;
}

static void net_dial(struct net *w, unsigned from, const struct effect *e)
{
	unsigned to = e->dial.to.port - 1000u;
	struct message m = { .type = MSG_PEER_REQUEST,
			     .peer_request = e->dial.request };

	assert_true(to < NET_PEERS && to != from);
	if (!w->members[to].alive) {
		net_send(w, IT_REFUSED, from, w->now_ms + latency(w))->dial =
			e->dial.id;
		return;
	}
	if (w->conn_count == w->conn_cap) {
		w->conn_cap = 2 * w->conn_cap + 64;
		w->conns = realloc(w->conns, w->conn_cap * sizeof *w->conns);
		assert_non_null(w->conns);
	}
	w->conns[w->conn_count] = (struct conn){
		.peer = { from, to },
		.slot = { LINK_NONE, LINK_NONE },
		.dial = e->dial.id,
	};
	net_say(w, IT_REQUEST, (unsigned)w->conn_count++, 1, &m);
}

static void net_bind(struct net *w, unsigned peer, unsigned conn, uint8_t slot)
{
	w->conns[conn].slot[side_of(w, conn, peer)] = slot;
	w->members[peer].conn[slot] = conn;
}

static void net_unlink(struct net *w, unsigned peer, const struct effect *e)
{
	unsigned conn = w->members[peer].conn[e->link];
	unsigned side = side_of(w, conn, peer);
	struct message m = { .type = MSG_BYE, .bye = { e->unlink.bye } };

	w->conns[conn].slot[side] = LINK_NONE;
	if (e->unlink.cause == UNLINK_BYE_SENT)
		net_say(w, IT_CONTROL, conn, !side, &m);
	else if (e->unlink.cause != UNLINK_BYE_GOT)
		net_send_conn(w, IT_DOWN, conn, !side);
}

static unsigned letter_of(const struct net *w, const struct frame *f)
{
	unsigned i = 0;

	while (i < w->letter_count && w->letters[i].frame != f)
		i++;
	assert_true(i < w->letter_count);
	return i;
}

static void net_forward(struct net *w, unsigned peer, const struct effect *e)
{
	for (uint8_t i = 0; i < LINK_SLOTS; i++) {
		unsigned conn = w->members[peer].conn[i];
		unsigned to;
		struct item *it;

		if ((e->links & link_bit(i)) == 0)
			continue;
		to = !side_of(w, conn, peer);
		if (e->kind == EF_SAY) {
			net_say(w, IT_CONTROL, conn, to, &e->say);
			continue;
		}
		it = net_send_conn(w, IT_LETTER, conn, to);
		it->letter = letter_of(w, e->send.frame);
		it->head = e->send.head;
	}
}

static void net_ask(struct net *w, unsigned peer, const struct effect *e)
{
	for (unsigned i = 0; i < NET_SEEDS; i++) {
		struct item *it;

		if (e->kind == EF_DEATH
			    ? (e->death.seeds & UINT64_C(1) << i) == 0
			    : e->seed.seed != i)
			continue;
		it = net_send(w, e->kind == EF_DEATH ? IT_DEATH : IT_ASK, peer,
			      w->now_ms + latency(w));
		it->ask = (struct question){ i, e->seed.question };
		if (e->kind == EF_DEATH)
			it->letter = e->death.death.id.addr.port - 1000u;
	}
}

static void net_step(struct net *w, unsigned peer, const struct event *ev,
		     const struct item *about)
{
	struct member *m = &w->members[peer];
	struct message bye = { .type = MSG_BYE };
	link_set checks = 0, drained = 0;

	node_step(m->node, w->now_ms, ev, &w->fx);
	check_step(m->node, ev, w->now_ms, &w->fx, &m->shadow);
	m->due_ms = node_deadline_ms(m->node);
	for (size_t i = 0; i < w->fx.n; i++) {
		const struct effect *e = &w->fx.v[i];

		if (e->kind == EF_SEND || e->kind == EF_SAY) {
			net_forward(w, peer, e);
		} else if (e->kind == EF_VERDICT) {
			net_say(w, IT_REPLY, about->conn, 0, &e->say);
			if (e->link != LINK_NONE)
				net_bind(w, peer, about->conn, e->link);
		} else if (e->kind == EF_ADOPT) {
			net_bind(w, peer, about->conn, e->link);
		} else if (e->kind == EF_REFUSE) {
			net_say(w, IT_CONTROL, about->conn, 1, &bye);
		} else if (e->kind == EF_UNLINK) {
			net_unlink(w, peer, e);
		} else if (e->kind == EF_DIAL) {
			net_dial(w, peer, e);
		} else if (e->kind == EF_SEED || e->kind == EF_DEATH) {
			net_ask(w, peer, e);
		} else if (e->kind == EF_CHECK) {
			checks = (link_set)(checks | link_bit(e->link));
		} else if (e->kind == EF_WATCH) {
			drained = (link_set)(drained | link_bit(e->link));
		} else if (e->kind == EF_DELIVER) {
			m->got[about->letter]++;
			assert_int_equal(m->got[about->letter], 1); /* I3 */
		}
	}
	for (uint8_t i = 0; i < LINK_SLOTS; i++)
		if (checks & link_bit(i))
			net_step(w, peer,
				 &(struct event){ .kind = EV_CHECKED,
						  .link = i },
				 NULL);
	for (uint8_t i = 0; i < LINK_SLOTS; i++)
		if (drained & link_bit(i))
			net_step(w, peer,
				 &(struct event){ .kind = EV_DRAINED,
						  .link = i },
				 NULL);
}

/* --- the other end of a question: a toy seed ----------------------------- */

static void seed_answer(struct net *w, const struct item *it)
{
	struct registry *r = w->seeds[it->ask.seed];
	struct identity id = number_id(it->peer);
	struct message m = { .type = MSG_PEER_LIST };
	struct addr sample[32];
	struct hash lease = { { 1 } };
	struct item *back;
	struct frame *f = NULL;

	if (it->ask.question == ASK_REGISTER) {
		if (w->members[it->peer].alive &&
		    registry_renew(r, &id, w->now_ms) != ERR_OK)
			assert_int_equal(
				registry_put(r, &id, &lease, w->now_ms),
				ERR_OK);
		m.peer_list.registered = m.peer_list.reachable = true;
		m.peer_list.you = id.addr;
		m.peer_list.period_ms = (uint64_t)registry_period_ms(r);
	}
	m.peer_list.peers.v = sample;
	m.peer_list.peers.n =
		registry_sample(r, &id.addr, w->now_ms, 32, sample);
	m.peer_list.count = registry_count(r);
	assert_int_equal(codec_encode(&m, &f), ERR_OK);
	back = net_send(w, IT_ANSWER, it->peer, w->now_ms + latency(w));
	back->ask = it->ask;
	back->body = f;
}

static void seed_bury(struct net *w, const struct item *it)
{
	struct identity id = number_id(it->letter);

	id.incarnation = 0;
	if (!w->members[it->letter].alive)
		registry_remove(w->seeds[it->ask.seed], &id);
}

/* --- arrivals ------------------------------------------------------------ */

static void arrive_request(struct net *w, const struct item *it,
			   const struct message *m)
{
	struct event ev = { .kind = EV_REQUEST,
			    .request = { .conn = it->conn,
					 .from = m->peer_request.id.addr,
					 .request = &m->peer_request } };

	if (w->members[it->peer].alive)
		net_step(w, it->peer, &ev, it);
	else
		net_send(w, IT_REFUSED, w->conns[it->conn].peer[0],
			 w->now_ms + latency(w))
			->dial = w->conns[it->conn].dial;
}

static void arrive_answer(struct net *w, const struct item *it,
			  const struct message *m)
{
	struct event ev = { .kind = EV_SEED,
			    .seed = { .seed = it->ask.seed,
				      .question = it->ask.question,
				      .answered = true,
				      .list = &m->peer_list } };

	net_step(w, it->peer, &ev, it);
}

static void arrive_frame(struct net *w, const struct item *it,
			 const struct message *m)
{
	struct event ev = { .kind = EV_FRAME,
			    .link = w->conns[it->conn].slot[it->side] };

	if (it->kind == IT_LETTER) {
		const struct letter *l = &w->letters[it->letter];
		bool seen = node_has_seen(w->members[it->peer].node, &l->id);

		ev.frame = (struct ev_frame){ it->head, l->frame, &l->id,
					      seen ? NULL : &l->msg };
	} else {
		ev.frame.msg = m;
	}
	net_step(w, it->peer, &ev, it);
}

static void arrive_reply(struct net *w, const struct item *it,
			 const struct message *m)
{
	struct event ev = { .kind = EV_DIALED,
			    .dialed = { .dial = w->conns[it->conn].dial,
					.conn = it->conn,
					.result = DIAL_ANSWERED,
					.reply = &m->peer_reply,
					.rtt_ms = 30 } };

	net_step(w, it->peer, &ev, it);
}

static void net_arrive_alive(struct net *w, const struct item *it,
			     const struct message *m)
{
	struct event ev = { .kind = EV_START };

	switch (it->kind) {
	case IT_REPLY:
		arrive_reply(w, it, m);
		break;
	case IT_CONTROL:
	case IT_LETTER:
		arrive_frame(w, it, m);
		break;
	case IT_DOWN:
		ev.kind = EV_DOWN;
		ev.link = w->conns[it->conn].slot[it->side];
		net_step(w, it->peer, &ev, it);
		break;
	case IT_REFUSED:
		ev.kind = EV_DIALED;
		ev.dialed.dial = it->dial;
		ev.dialed.result = DIAL_REFUSED;
		net_step(w, it->peer, &ev, it);
		break;
	case IT_ANSWER:
		arrive_answer(w, it, m);
		break;
	default:
		net_step(w, it->peer, &ev, it);
		break;
	}
}

static void net_arrive(struct net *w, const struct item *it)
{
	struct message m = { .type = MSG_BYE };

	if (it->body != NULL)
		assert_int_equal(codec_decode(it->body->body,
					      it->body->body_bytes, &m, NULL),
				 ERR_OK);
	if (it->kind == IT_ASK)
		seed_answer(w, it);
	else if (it->kind == IT_DEATH)
		seed_bury(w, it);
	else if (it->kind == IT_REQUEST)
		arrive_request(w, it, &m);
	else if (w->members[it->peer].alive)
		net_arrive_alive(w, it, &m);
	message_clear(&m);
	frame_release(it->body);
}

static void net_run(struct net *w, int64_t until_ms)
{
	for (;;) {
		unsigned next = 0;
		int64_t due;

		for (unsigned i = 1; i < NET_PEERS; i++)
			if (w->members[i].due_ms < w->members[next].due_ms)
				next = i;
		due = w->members[next].due_ms;
		if (w->queued > 0 && w->queue[0].at_ms <= due)
			due = w->queue[0].at_ms;
		if (due > until_ms)
			break;
		if (due > w->now_ms)
			w->now_ms = due;
		if (w->queued > 0 && w->queue[0].at_ms == due) {
			struct item it = net_take(w);

			net_arrive(w, &it);
		} else {
			net_step(w, next, &(struct event){ .kind = EV_TICK },
				 NULL);
		}
	}
	w->now_ms = until_ms;
}

/* --- one network's life -------------------------------------------------- */

static struct net *net_new(uint64_t seed)
{
	struct net *w = calloc(1, sizeof *w);

	assert_non_null(w);
	config_init(&w->config);
	w->config.seed_count = NET_SEEDS;
	w->now_ms = START_MS;
	rng_init(&w->rng, seed);
	effects_init(&w->fx);
	for (unsigned i = 0; i < NET_SEEDS; i++) {
		struct registry_config c = { .peers_max = 1000,
					     .period_ms = 60000,
					     .lease_periods = 3,
					     .seeds = NET_SEEDS,
					     .rng_seed = seed + i };

		w->seeds[i] = registry_new(&c);
		assert_non_null(w->seeds[i]);
	}
	for (unsigned i = 0; i < NET_PEERS; i++) {
		struct node_options o = { .config = &w->config,
					  .self = number_id(i),
					  .rng_seed = rng_u64(&w->rng) };

		w->members[i].node = node_new(&o);
		assert_non_null(w->members[i].node);
		w->members[i].due_ms = NEVER_MS;
		w->members[i].alive = true;
		net_send(w, IT_START, i,
			 w->now_ms + (int64_t)rng_below(&w->rng, 500));
	}
	return w;
}

static void net_free(struct net *w)
{
	for (unsigned i = 0; i < NET_PEERS; i++)
		node_free(w->members[i].node);
	for (unsigned i = 0; i < NET_SEEDS; i++)
		registry_free(w->seeds[i]);
	for (size_t i = 0; i < w->queued; i++)
		frame_release(w->queue[i].body);
	for (unsigned i = 0; i < w->letter_count; i++)
		letter_free(&w->letters[i]);
	effects_free(&w->fx);
	free(w->queue);
	free(w->conns);
	free(w);
}

/* Marks who can be reached; a link must be one at both of its ends. */
static void net_visit(const struct net *w, unsigned peer, bool *visited)
{
	const struct node *n = w->members[peer].node;

	visited[peer] = true;
	for (unsigned i = 0; i < LINK_SLOTS; i++) {
		unsigned other = n->links[i].info.id.addr.port - 1000u;

		if (!n->links[i].up)
			continue;
		assert_true(w->members[other].alive);
		assert_int_not_equal(
			links_by_addr(w->members[other].node, &n->self.addr),
			LINK_NONE);
		if (!visited[other])
			net_visit(w, other, visited);
	}
}

static void net_check_whole(const struct net *w)
{
	bool visited[NET_PEERS] = { false };
	unsigned first = 0;

	while (!w->members[first].alive)
		first++;
	net_visit(w, first, visited);
	for (unsigned i = 0; i < NET_PEERS; i++) {
		if (!w->members[i].alive)
			continue;
		assert_true(visited[i]);
		assert_in_range(links_count(w->members[i].node), 4, 12);
	}
}

static void net_publish(struct net *w, unsigned peer)
{
	struct member *m = &w->members[peer];
	struct item about = { .letter = w->letter_count++ };
	struct letter *l = &w->letters[about.letter];

	*l = letter_new(node_self(m->node), node_next_seq(m->node), "text");
	m->got[about.letter] = 1;
	net_step(w, peer,
		 &(struct event){
			 .kind = EV_PUBLISH,
			 .publish = { l->frame, &l->id, &l->msg.message } },
		 &about);
}

static void net_publish_all(struct net *w)
{
	for (unsigned i = 0; i < NET_LETTERS; i++) {
		net_publish(w, i % NET_PUBLISHERS * 6);
		net_run(w, w->now_ms + (int64_t)rng_below(&w->rng, 20));
	}
	net_run(w, w->now_ms + 2000);
	for (unsigned i = 0; i < NET_PEERS; i++)
		for (unsigned k = 0; k < NET_LETTERS; k++)
			assert_int_equal(w->members[i].got[k], 1);
}

static void net_kill(struct net *w, unsigned peer)
{
	struct member *m = &w->members[peer];

	m->alive = false;
	m->due_ms = NEVER_MS;
	for (unsigned i = 0; i < LINK_SLOTS; i++)
		if (m->node->links[i].up)
			net_send_conn(w, IT_DOWN, m->conn[i],
				      !side_of(w, m->conn[i], peer));
}

static void thirty_peers_join_gossip_and_survive(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < NET_RUNS; seed++) {
		struct net *w = net_new(seed);

		print_message("network %llu\n", (unsigned long long)seed);
		net_run(w, START_MS + 15000);
		net_check_whole(w);
		net_publish_all(w);
		for (unsigned i = 0; i < NET_KILLED; i++)
			net_kill(w, (unsigned)(seed + i * 3) % NET_PEERS);
		net_run(w, w->now_ms + 10000);
		net_check_whole(w);
		/* Two rounds of renewals and rotations later. */
		net_run(w, w->now_ms + 120000);
		net_check_whole(w);
		net_free(w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_stops_says_bye_and_leaves_the_seeds),
		cmocka_unit_test(who_has_stopped_takes_nobody_and_dials_nobody),
		cmocka_unit_test(who_has_no_link_goes_on_trying),
		cmocka_unit_test(frames_that_make_no_sense_are_counted),
		cmocka_unit_test(same_seed_and_events_give_the_same_effects),
		cmocka_unit_test(random_events_break_no_invariant),
		cmocka_unit_test(thirty_peers_join_gossip_and_survive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
