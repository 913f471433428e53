/* A node on a table: events in, effects out.
 *
 * After every step it checks I1, I5 and I10 of docs/protocol.md and follows
 * the effects as a shell would: a frame may go only to a link that is there.
 */
#ifndef NODE_FIXTURE_H
#define NODE_FIXTURE_H

#include "scarce.h"
#include "test.h"

#include "core/node_impl.h"
#include "wire/codec.h"

#define START_MS 1000000
#define SELF 500 /* number_id of the node under test */

/* 127.0.0.1:1000 and up: loopback, so that no per-host limit is in the way. */
static inline struct addr number_addr(unsigned number)
{
	struct addr a = { .ip = { 127, 0, 0, 1 },
			  .port = (uint16_t)(1000 + number),
			  .family = ADDR_V4 };

	return a;
}

static inline struct identity number_id(unsigned number)
{
	struct identity id = { .incarnation = 7000,
			       .addr = number_addr(number) };

	return id;
}

static inline struct addr host_addr(unsigned host, uint16_t port)
{
	struct addr a = { .ip = { 10, 0, 0, (uint8_t)host },
			  .port = port,
			  .family = ADDR_V4 };

	return a;
}

/* --- what must hold after every step ------------------------------------- */

static inline void check_links(const struct node *n)
{
	assert_true(links_count(n) <= n->config->overlay.links_max);
	for (unsigned i = 0; i < LINK_SLOTS; i++) {
		const struct addr *a = &n->links[i].info.id.addr;

		if (!n->links[i].up)
			continue;
		assert_false(addr_equal(a, &n->self.addr));
		assert_int_equal(n->links[i].info.link, i);
		for (unsigned j = 0; j < i; j++)
			assert_false(n->links[j].up &&
				     addr_equal(&n->links[j].info.id.addr, a));
	}
}

/* I10: alone, but with something under way. */
static inline bool has_plan(const struct node *n)
{
	for (unsigned i = 0; i < DIALS_CAP; i++)
		if (n->overlay.dials[i].used)
			return true;
	return n->registration.round.active || n->overlay.repair_ms != NEVER_MS;
}

static inline void check_codable(const struct message *m)
{
	struct frame *f = NULL;

	assert_int_equal(codec_encode(m, &f), ERR_OK);
	frame_release(f);
}

/* What a shell does with links, as a set of slots. */
static inline void follow_effect(const struct effect *e, link_set *shadow)
{
	bool accepted;

	switch (e->kind) {
	case EF_VERDICT:
		accepted = e->say.peer_reply.verdict == PEER_ACCEPTED;
		check_codable(&e->say);
		assert_int_equal(accepted, e->link != LINK_NONE);
		assert_int_equal(*shadow & link_bit(e->link), 0);
		*shadow = (link_set)(*shadow | link_bit(e->link));
		break;
	case EF_ADOPT:
		assert_true(e->link < LINK_SLOTS);
		assert_int_equal(*shadow & link_bit(e->link), 0);
		*shadow = (link_set)(*shadow | link_bit(e->link));
		break;
	case EF_UNLINK:
		assert_int_not_equal(*shadow & link_bit(e->link), 0);
		*shadow = (link_set)(*shadow & ~link_bit(e->link));
		break;
	case EF_CHECK:
		assert_int_not_equal(*shadow & link_bit(e->link), 0);
		break;
	case EF_SAY:
		check_codable(&e->say);
		assert_int_not_equal(e->links, 0);
		assert_int_equal(e->links & ~*shadow, 0);
		break;
	case EF_SEND:
		assert_non_null(e->send.frame);
		assert_int_equal(e->send.head.body_bytes,
				 e->send.frame->body_bytes);
		assert_int_not_equal(e->links, 0);
		assert_int_equal(e->links & ~*shadow, 0);
		break;
	default:
		break;
	}
}

#define CHECKED_WANTS 4096 /* more are not looked at after each step */

/* I5, and the account of what is asked from each link. */
static inline void check_wants(const struct node *n)
{
	const struct wants *w = &n->gossip.wants;
	uint64_t asked[LINK_SLOTS] = { 0 };

	for (uint32_t i = 0; i < w->n && w->n <= CHECKED_WANTS; i++) {
		const struct want *t = w->heap[i];

		assert_true(t->first <= t->last);
		assert_int_equal(t->heap_pos, i);
		assert_true(t->due_ms < NEVER_MS);
		assert_true(i == 0 ||
			    w->heap[(i - 1) / 2]->due_ms <= t->due_ms);
		assert_int_equal(t->denied & ~(t->announced | t->guessed), 0);
		if (t->asked == LINK_NONE)
			continue;
		assert_true(n->links[t->asked].up);
		asked[t->asked] += want_size(t);
	}
	for (unsigned i = 0; i < LINK_SLOTS && w->n <= CHECKED_WANTS; i++)
		if (n->links[i].up)
			assert_int_equal(n->links[i].asked, asked[i]);
	if (w->n > 0 && !n->gossip.choked)
		assert_true(node_deadline_ms(n) <= w->heap[0]->due_ms);
}

static inline void check_step(const struct node *n, const struct event *ev,
			      int64_t now, const struct effects *fx,
			      link_set *shadow)
{
	for (size_t i = 0; i < fx->n; i++)
		follow_effect(&fx->v[i], shadow);
	assert_int_equal(*shadow, links_up(n));
	assert_int_equal(fx->dropped, 0);
	check_links(n);
	if (n->stopped)
		return;
	check_wants(n);
	assert_true(links_count(n) > 0 || has_plan(n));
	/* A tick that leaves work behind would make the ticker spin. */
	if (ev->kind == EV_TICK)
		assert_true(node_deadline_ms(n) > now);
}

/* A run that others publish; any number of them. */
static inline struct identity other_run(unsigned number)
{
	struct identity id = number_id(300 + number % 100);

	id.incarnation += number / 100;
	return id;
}

/* --- one node ------------------------------------------------------------ */

struct fixture {
	struct config config;
	struct node *node;
	struct effects fx;
	int64_t now;
	unsigned number; /* whose address the node has */
	link_set shadow;
	uint64_t conns; /* names of connections given out */
	/* Every so many steps an allocation of the node fails (0: never), each
	 * third time all behind it, too. */
	unsigned scarce_every;
	unsigned long steps, starved; /* starved: allocations that failed */
};

/* After changes to f->config: a new node with that configuration. */
static inline void fixture_renew(struct fixture *f, uint64_t rng_seed)
{
	struct node_options o = { .config = &f->config,
				  .self = number_id(f->number),
				  .rng_seed = rng_seed };

	node_free(f->node);
	f->node = node_new(&o);
	assert_non_null(f->node);
	f->now = START_MS;
	f->shadow = 0;
	f->conns = 0;
}

static inline struct fixture *fixture_new(size_t seeds)
{
	struct fixture *f = calloc(1, sizeof *f);

	assert_non_null(f);
	config_init(&f->config);
	f->config.seed_count = seeds;
	f->number = SELF;
	effects_init(&f->fx);
	fixture_renew(f, 1);
	return f;
}

static inline void fixture_free(struct fixture *f)
{
	node_free(f->node);
	effects_free(&f->fx);
	free(f);
}

static inline void step(struct fixture *f, const struct event *ev)
{
	unsigned long k = ++f->steps;

	if (f->scarce_every > 0 && k % f->scarce_every == 0)
		scarce_after((long)(k / f->scarce_every % 4),
			     k / f->scarce_every % 3 == 0);
	node_step(f->node, f->now, ev, &f->fx);
	f->starved += (unsigned long)scarce_end();
	check_step(f->node, ev, f->now, &f->fx, &f->shadow);
}

static inline void step_kind(struct fixture *f, enum event_kind kind)
{
	step(f, &(struct event){ .kind = kind });
}

static inline void start(struct fixture *f)
{
	step_kind(f, EV_START);
}

/* --- looking at effects -------------------------------------------------- */

/* The nth of that kind, or NULL. */
static inline const struct effect *effect_at(const struct fixture *f,
					     enum effect_kind kind, size_t nth)
{
	for (size_t i = 0; i < f->fx.n; i++)
		if (f->fx.v[i].kind == kind && nth-- == 0)
			return &f->fx.v[i];
	return NULL;
}

static inline size_t effect_count(const struct fixture *f,
				  enum effect_kind kind)
{
	size_t count = 0;

	while (effect_at(f, kind, count) != NULL)
		count++;
	return count;
}

static inline const struct effect *effect_one(const struct fixture *f,
					      enum effect_kind kind)
{
	assert_int_equal(effect_count(f, kind), 1);
	return effect_at(f, kind, 0);
}

/* The first control message of that type, or NULL. */
static inline const struct effect *said(const struct fixture *f,
					enum message_type type)
{
	for (size_t i = 0; i < f->fx.n; i++)
		if (f->fx.v[i].kind == EF_SAY && f->fx.v[i].say.type == type)
			return &f->fx.v[i];
	return NULL;
}

/* The nth control message of that type to this link, or NULL. */
static inline const struct message *said_to(const struct fixture *f,
					    uint8_t slot,
					    enum message_type type, size_t nth)
{
	for (size_t i = 0; i < f->fx.n; i++) {
		const struct effect *e = &f->fx.v[i];

		if (e->kind == EF_SAY && e->say.type == type &&
		    (e->links & link_bit(slot)) != 0 && nth-- == 0)
			return &e->say;
	}
	return NULL;
}

static inline size_t said_count(const struct fixture *f, uint8_t slot,
				enum message_type type)
{
	size_t count = 0;

	while (said_to(f, slot, type, count) != NULL)
		count++;
	return count;
}

/* To which links a Message went. */
static inline link_set sent_to(const struct fixture *f)
{
	link_set set = 0;

	for (size_t i = 0; i < effect_count(f, EF_SEND); i++)
		set = (link_set)(set | effect_at(f, EF_SEND, i)->links);
	return set;
}

static inline size_t sent_count(const struct fixture *f, uint8_t slot)
{
	size_t count = 0;

	for (size_t i = 0; i < effect_count(f, EF_SEND); i++)
		count +=
			(effect_at(f, EF_SEND, i)->links & link_bit(slot)) != 0;
	return count;
}

static inline struct node_stats stats(const struct fixture *f)
{
	return node_stats(f->node);
}

static inline void check_range(const struct range *r,
			       const struct identity *run, uint64_t first,
			       uint64_t last)
{
	assert_true(identity_equal(&r->run, run));
	assert_int_equal(r->first, first);
	assert_int_equal(r->last, last);
}

static inline void check_only(const struct range_list *l,
			      const struct identity *run, uint64_t first,
			      uint64_t last)
{
	assert_int_equal(l->n, 1);
	check_range(&l->v[0], run, first, last);
}

/* --- time ---------------------------------------------------------------- */

/* Ticks when they are due, until an effect of that kind comes; false, and the
 * time gone, when none came within ms. */
static inline bool tick_until(struct fixture *f, enum effect_kind kind,
			      int64_t ms)
{
	int64_t end = f->now + ms;

	while (node_deadline_ms(f->node) <= end) {
		if (node_deadline_ms(f->node) > f->now)
			f->now = node_deadline_ms(f->node);
		step_kind(f, EV_TICK);
		if (effect_count(f, kind) > 0)
			return true;
	}
	f->now = end;
	return false;
}

/* The same with neighbors that keep sending. */
static inline bool tick_heard_until(struct fixture *f, enum effect_kind kind,
				    int64_t ms)
{
	int64_t end = f->now + ms;

	while (f->now < end) {
		int64_t left = end - f->now;

		if (tick_until(f, kind, left < 1000 ? left : 1000))
			return true;
		for (uint8_t i = 0; i < LINK_SLOTS; i++)
			if (f->node->links[i].up)
				step(f, &(struct event){ .kind = EV_HEARD,
							 .link = i });
	}
	return false;
}

/* Ticks when they are due, with neighbors that keep sending, until a control
 * message of that type is said; false, and the time gone, when none was. */
static inline bool wait_said(struct fixture *f, enum message_type type,
			     int64_t ms)
{
	int64_t end = f->now + ms;

	for (;;) {
		int64_t due;

		for (uint8_t i = 0; i < LINK_SLOTS; i++)
			if (f->node->links[i].up)
				step(f, &(struct event){ .kind = EV_HEARD,
							 .link = i });
		due = node_deadline_ms(f->node);
		if (due > end)
			break;
		if (due > f->now)
			f->now = due;
		step_kind(f, EV_TICK);
		if (said(f, type) != NULL)
			return true;
	}
	f->now = end;
	return false;
}

/* --- seeds --------------------------------------------------------------- */

struct question {
	unsigned seed;
	enum seed_question question;
};

/* The questions of the last step, in order; returns how many. */
static inline size_t questions(const struct fixture *f, struct question *q)
{
	size_t n = effect_count(f, EF_SEED);

	assert_true(n <= CONFIG_SEEDS_MAX);
	for (size_t i = 0; i < n; i++) {
		const struct effect *e = effect_at(f, EF_SEED, i);

		q[i] = (struct question){ e->seed.seed, e->seed.question };
	}
	return n;
}

static inline void seed_silent(struct fixture *f, struct question q)
{
	step(f, &(struct event){
			.kind = EV_SEED,
			.seed = { .seed = q.seed, .question = q.question } });
}

static inline void seed_lists(struct fixture *f, struct question q,
			      const struct addr *peers, size_t n)
{
	struct msg_peer_list list = { .count = n, .peers = { peers, n } };

	if (q.question == ASK_REGISTER) {
		list.registered = list.reachable = true;
		list.you = number_addr(SELF);
		list.period_ms = 60000;
	}
	step(f, &(struct event){ .kind = EV_SEED,
				 .seed = { .seed = q.seed,
					   .question = q.question,
					   .answered = true,
					   .list = &list } });
}

/* Starts; every seed that is asked lists these. The effects are those of the
 * last answer: the dials. */
static inline void join(struct fixture *f, const struct addr *peers, size_t n)
{
	struct question q[CONFIG_SEEDS_MAX];
	size_t count;

	start(f);
	count = questions(f, q);
	for (size_t i = 0; i < count; i++)
		seed_lists(f, q[i], peers, n);
}

/* --- neighbors ----------------------------------------------------------- */

/* A Peer Request; the slot of the link, or LINK_NONE. */
static inline uint8_t request_full(struct fixture *f, const struct identity *id,
				   uint64_t neighbors, bool urgent)
{
	struct msg_peer_request m = { *id, neighbors, urgent };

	step(f, &(struct event){ .kind = EV_REQUEST,
				 .request = { .conn = ++f->conns,
					      .from = id->addr,
					      .request = &m } });
	return effect_one(f, EF_VERDICT)->link;
}

static inline uint8_t request(struct fixture *f, const struct identity *id)
{
	return request_full(f, id, 8, false);
}

static inline enum peer_verdict verdict(const struct fixture *f)
{
	return effect_one(f, EF_VERDICT)->say.peer_reply.verdict;
}

/* A neighbor that dialed us. */
static inline uint8_t link_up(struct fixture *f, unsigned number)
{
	struct identity id = number_id(number);
	uint8_t slot = request(f, &id);

	assert_true(slot != LINK_NONE);
	return slot;
}

/* A node that waits for no seed, with that many neighbors in slots 0 ..;
 * the first of them is eager for everything (R7). */
static inline struct fixture *fixture_with_links(unsigned links)
{
	struct fixture *f = fixture_new(1);

	join(f, NULL, 0);
	for (unsigned i = 0; i < links; i++)
		assert_int_equal(link_up(f, i), i);
	return f;
}

/* The same after changes to f->config. */
static inline void fixture_relink(struct fixture *f, unsigned links)
{
	fixture_renew(f, 1);
	join(f, NULL, 0);
	for (unsigned i = 0; i < links; i++)
		assert_int_equal(link_up(f, i), i);
}

static inline void link_event(struct fixture *f, uint8_t slot,
			      enum event_kind kind)
{
	step(f, &(struct event){ .kind = kind, .link = slot });
}

static inline void output_slow(struct fixture *f, bool slow)
{
	step(f, &(struct event){ .kind = EV_OUTPUT, .output_slow = slow });
}

static inline void dial_fails(struct fixture *f, uint32_t dial,
			      enum dial_result result)
{
	step(f,
	     &(struct event){ .kind = EV_DIALED,
			      .dialed = { .dial = dial, .result = result } });
}

static inline void dial_replies(struct fixture *f, uint32_t dial,
				const struct msg_peer_reply *reply)
{
	step(f, &(struct event){ .kind = EV_DIALED,
				 .dialed = { .dial = dial,
					     .conn = ++f->conns,
					     .result = DIAL_ANSWERED,
					     .reply = reply,
					     .rtt_ms = 20 } });
}

static inline void dial_accepted(struct fixture *f, uint32_t dial,
				 const struct identity *id)
{
	struct msg_peer_reply r = { .verdict = PEER_ACCEPTED,
				    .id = *id,
				    .neighbors = 8 };

	dial_replies(f, dial, &r);
}

static inline void link_down(struct fixture *f, uint8_t slot,
			     enum down_cause cause)
{
	step(f,
	     &(struct event){ .kind = EV_DOWN, .link = slot, .down = cause });
}

/* --- frames -------------------------------------------------------------- */

/* A control message from a neighbor. */
static inline void hear(struct fixture *f, uint8_t slot,
			const struct message *m)
{
	step(f, &(struct event){ .kind = EV_FRAME,
				 .link = slot,
				 .frame = { .msg = m } });
}

static inline void hear_bye(struct fixture *f, uint8_t slot)
{
	struct message m = { .type = MSG_BYE, .bye = { BYE_SHUTDOWN } };

	hear(f, slot, &m);
}

static inline void hear_ranges(struct fixture *f, uint8_t slot,
			       enum message_type type, const struct range *v,
			       size_t n)
{
	struct message m = { .type = type };
	struct range_list list = { v, n };

	if (type == MSG_HAVE)
		m.have.ranges = list;
	else if (type == MSG_GET_DATA)
		m.get_data.ranges = list;
	else
		m.not_found.ranges = list;
	hear(f, slot, &m);
}

static inline void hear_range(struct fixture *f, uint8_t slot,
			      enum message_type type,
			      const struct identity *run, uint64_t first,
			      uint64_t last)
{
	struct range r = { *run, first, last };

	hear_ranges(f, slot, type, &r, 1);
}

/* A Have of the whole store, or a chunk of it. */
static inline void hear_all(struct fixture *f, uint8_t slot,
			    const struct range *v, size_t n, bool more)
{
	struct message m = { .type = MSG_HAVE };

	m.have.ranges = (struct range_list){ v, n };
	m.have.all = true;
	m.have.more = more;
	hear(f, slot, &m);
}

static inline void hear_all_range(struct fixture *f, uint8_t slot,
				  const struct identity *run, uint64_t first,
				  uint64_t last)
{
	struct range r = { *run, first, last };

	hear_all(f, slot, &r, 1, false);
}

/* Graft or Prune of one run. */
static inline void hear_run(struct fixture *f, uint8_t slot,
			    enum message_type type, const struct identity *run)
{
	struct message m = { .type = type };

	m.graft.runs = (struct run_list){ run, 1 };
	hear(f, slot, &m);
}

static inline void hear_graft_all(struct fixture *f, uint8_t slot)
{
	struct message m = { .type = MSG_GRAFT };

	m.graft.all = true;
	hear(f, slot, &m);
}

/* A Message with its frame and id. */
struct letter {
	struct frame *frame;
	struct hash id;
	struct message msg;
};

static inline struct letter letter_new(const struct identity *origin,
				       uint64_t seq, const char *text)
{
	struct letter l = { .msg = { .type = MSG_MESSAGE } };

	l.msg.message.origin = *origin;
	l.msg.message.seq = seq;
	l.msg.message.data = (const uint8_t *)text;
	l.msg.message.data_bytes = strlen(text);
	assert_int_equal(codec_encode(&l.msg, &l.frame), ERR_OK);
	l.id = hash_of(l.frame->body, l.frame->body_bytes);
	return l;
}

static inline void letter_free(struct letter *l)
{
	frame_release(l->frame);
}

static inline void hear_letter_as(struct fixture *f, uint8_t slot,
				  const struct letter *l, uint8_t flags,
				  uint8_t hops)
{
	step(f, &(struct event){ .kind = EV_FRAME,
				 .link = slot,
				 .frame = { .head = { flags, hops,
						      l->frame->body_bytes },
					    .frame = l->frame,
					    .msg = &l->msg } });
}

static inline void hear_letter(struct fixture *f, uint8_t slot,
			       const struct letter *l)
{
	hear_letter_as(f, slot, l, 0, 0);
}

/* Was it news? The node keeps no hold on a letter that fell out of its
 * store. */
static inline bool hear_as(struct fixture *f, uint8_t slot,
			   const struct identity *origin, uint64_t seq,
			   uint8_t flags)
{
	struct letter l = letter_new(origin, seq, "text");

	hear_letter_as(f, slot, &l, flags, 0);
	letter_free(&l);
	return effect_count(f, EF_DELIVER) == 1;
}

static inline bool hear_new(struct fixture *f, uint8_t slot,
			    const struct identity *origin, uint64_t seq)
{
	return hear_as(f, slot, origin, seq, 0);
}

static inline bool hear_recovery(struct fixture *f, uint8_t slot,
				 const struct identity *origin, uint64_t seq)
{
	return hear_as(f, slot, origin, seq, FRAME_RECOVERY);
}

static inline struct letter publish(struct fixture *f, const char *text)
{
	struct letter l =
		letter_new(node_self(f->node), node_next_seq(f->node), text);

	step(f, &(struct event){ .kind = EV_PUBLISH,
				 .publish = { .frame = l.frame,
					      .msg = &l.msg.message } });
	return l;
}

#endif
