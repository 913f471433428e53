/* A node and a stream of events: what a shell would tell it, and what nobody
 * should.
 *
 * The input is decoded into a configuration and then, until it ends, into
 * events from a small world: some tens of addresses, runs and numbers, so that
 * chance lets them meet. Frames come as structs, or as text through the codec.
 * After every step the invariants I1, I5 and I10, the limits of every table,
 * and that effects make sense (node_fixture.h); of each message, that it is
 * delivered once (I3).
 */
#include "fuzz.h"

#include "node_fixture.h"

#define PLACES 24     /* addresses there are */
#define LIST_MAX 12   /* elements of a list */
#define IDS_MAX 8     /* ids that are remembered, to be asked for */
#define GIVEN_MAX 512 /* deliveries of one input that are remembered */
#define TEXT_MAX 512  /* bytes of a frame given as text */
#define EVENTS_MAX 400

struct given {
	struct identity run;
	uint64_t seq;
};

struct world {
	struct fixture f;
	struct tape in;
	uint32_t dials[8];        /* the newest that were asked for */
	struct addr dialed[8];    /* and to whom */
	unsigned dial_n;          /* of all */
	struct question asked[8]; /* likewise */
	unsigned asked_n;
	link_set checks; /* EF_CHECK not answered yet */
	struct hash ids[IDS_MAX];
	unsigned id_n;
	struct given given[GIVEN_MAX];
	size_t given_n;
	bool forgets; /* few runs are known, so a message may come again */
	/* What the lists of an event point to. */
	struct addr addrs[LIST_MAX];
	struct range ranges[LIST_MAX];
	struct identity runs[LIST_MAX];
};

static struct world world;
static struct config preset;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	config_init(&preset);
	return crypto_init() == ERR_OK ? 0 : 1;
}

/* --- the small world ---------------------------------------------------- */

static bool coin(struct world *w)
{
	return take(&w->in, 2) == 1;
}

/* Two thirds on loopback, the rest on three hosts, and sometimes myself. */
static struct addr any_addr(struct world *w)
{
	unsigned i = take(&w->in, PLACES + 1);

	if (i == PLACES)
		return w->f.node->self.addr;
	return i % 3 == 0 ? host_addr(1 + i / 3 % 3, (uint16_t)(1 + i))
			  : number_addr(i);
}

static struct identity any_identity(struct world *w)
{
	struct identity id = { .addr = any_addr(w) };

	id.incarnation = 7000 + take(&w->in, 3);
	return id;
}

/* Who publishes: peers of that world, and sometimes myself. */
static struct identity any_run(struct world *w)
{
	unsigned i = take(&w->in, 40);

	return i == 39 ? w->f.node->self : other_run(i % 8 + i / 8 * 100);
}

/* Mostly small, so that they meet; sometimes at the ends of what is allowed. */
static uint64_t any_number(struct world *w, uint64_t most)
{
	unsigned b = take(&w->in, 256);
	uint64_t n;

	if (b < 200)
		n = b;
	else if (b < 253)
		n = UINT64_C(1) << (b - 200);
	else
		n = most - (b - 253);
	return n < most ? n : most;
}

static uint64_t any_seq(struct world *w)
{
	uint64_t n = any_number(w, SEQ_MAX);

	return n > 0 ? n : 1;
}

static struct range any_range(struct world *w)
{
	struct range r = { .run = any_run(w), .first = any_seq(w) };

	r.last = any_number(w, SEQ_MAX - r.first) + r.first;
	return r;
}

static struct hash any_hash(struct world *w)
{
	return w->ids[take(&w->in, IDS_MAX)];
}

static struct addr_list any_addrs(struct world *w, unsigned most)
{
	struct addr_list l = { w->addrs, take(&w->in, most + 1) };

	for (size_t i = 0; i < l.n; i++)
		w->addrs[i] = any_addr(w);
	return l;
}

static struct range_list any_ranges(struct world *w)
{
	struct range_list l = { w->ranges, take(&w->in, LIST_MAX + 1) };

	for (size_t i = 0; i < l.n; i++)
		w->ranges[i] = any_range(w);
	return l;
}

static struct run_list any_runs(struct world *w)
{
	struct run_list l = { w->runs, take(&w->in, LIST_MAX + 1) };

	for (size_t i = 0; i < l.n; i++)
		w->runs[i] = any_run(w);
	return l;
}

/* --- a step, and what must hold behind it ------------------------------- */

static void check_limits(const struct node *n)
{
	const struct config *c = n->config;
	unsigned dials = 0;

	for (unsigned i = 0; i < DIALS_CAP; i++)
		dials += n->overlay.dials[i].used;
	assert_true(dials <= DIALS_CAP);
	assert_true(n->overlay.candidate_count <= c->overlay.candidates_max);
	assert_true(n->registration.death_count <= DEATHS_CAP);
	assert_true(n->gossip.store.count <= c->gossip.store_messages);
	assert_true(n->gossip.store.bytes <= c->gossip.store_bytes);
}

static void note_effect(struct world *w, const struct effect *e)
{
	if (e->kind == EF_DIAL) {
		w->dials[w->dial_n % COUNT_OF(w->dials)] = e->dial.id;
		w->dialed[w->dial_n++ % COUNT_OF(w->dials)] = e->dial.to;
	} else if (e->kind == EF_SEED) {
		w->asked[w->asked_n++ % COUNT_OF(w->asked)] =
			(struct question){ e->seed.seed, e->seed.question };
	} else if (e->kind == EF_CHECK) {
		w->checks = (link_set)(w->checks | link_bit(e->link));
	} else if (e->kind == EF_LOST) {
		assert_true(e->lost.first >= 1 &&
			    e->lost.first <= e->lost.last);
	}
}

static void send(struct world *w, const struct event *ev)
{
	step(&w->f, ev);
	check_limits(w->f.node);
	for (size_t i = 0; i < w->f.fx.n; i++)
		note_effect(w, &w->f.fx.v[i]);
}

/* I3. With few runs the oldest are forgotten, and what they said is new. */
static void note_delivered(struct world *w, const struct msg_message *m)
{
	size_t times = effect_count(&w->f, EF_DELIVER);

	assert_true(times <= 1);
	if (times == 0)
		return;
	assert_false(identity_equal(&m->origin, node_self(w->f.node)));
	for (size_t i = 0; i < w->given_n && !w->forgets; i++)
		assert_false(w->given[i].seq == m->seq &&
			     identity_equal(&w->given[i].run, &m->origin));
	if (w->given_n < GIVEN_MAX)
		w->given[w->given_n++] = (struct given){ m->origin, m->seq };
}

/* --- time and links ----------------------------------------------------- */

static void event_due(struct world *w)
{
	int64_t due = node_deadline_ms(w->f.node);

	if (due != NEVER_MS && due > w->f.now)
		w->f.now = due;
	send(w, &(struct event){ .kind = EV_TICK });
}

static void event_time(struct world *w)
{
	w->f.now += (int64_t)any_number(w, UINT64_C(1) << 32);
	send(w, &(struct event){ .kind = EV_TICK });
}

static void event_link(struct world *w)
{
	static const enum event_kind kinds[] = { EV_HEARD, EV_DOWN, EV_FULL,
						 EV_DRAINED, EV_CHECKED };
	struct event ev = { .kind = kinds[take(&w->in, COUNT_OF(kinds))],
			    .link = (uint8_t)take(&w->in, LINK_SLOTS + 1) };

	if (ev.link == LINK_SLOTS)
		ev.link = LINK_NONE;
	if (ev.kind == EV_DOWN)
		ev.down = take(&w->in, DOWN_RENEW + 1);
	if (ev.kind == EV_CHECKED)
		ev.bytes_wait = coin(w);
	send(w, &ev);
}

static void event_checked(struct world *w)
{
	bool bytes_wait = coin(w);
	link_set checks = w->checks;

	w->checks = 0;
	for (uint8_t i = 0; i < LINK_SLOTS; i++)
		if ((checks & link_bit(i)) != 0)
			send(w, &(struct event){ .kind = EV_CHECKED,
						 .link = i,
						 .bytes_wait = bytes_wait });
}

static void event_request(struct world *w)
{
	struct msg_peer_request m = { .id = any_identity(w) };
	struct event ev = { .kind = EV_REQUEST };

	m.neighbors = any_number(w, COUNT_MAX);
	m.urgent = coin(w);
	ev.request = (struct ev_request){ .conn = ++w->f.conns,
					  .from = m.id.addr,
					  .request = &m };
	if (take(&w->in, 8) == 1)
		ev.request.from = any_addr(w);
	send(w, &ev);
}

static void event_dialed(struct world *w)
{
	unsigned which = take(&w->in, COUNT_OF(w->dials));
	struct msg_peer_reply r = { .verdict = take(&w->in, PEER_SELF + 1),
				    .id = any_identity(w) };
	struct event ev = { .kind = EV_DIALED };

	if (coin(w))
		r.id.addr = w->dialed[which];
	if (r.id.addr.family == ADDR_NONE)
		r.id.addr = number_addr(1); /* no reply is without */
	r.neighbors = any_number(w, COUNT_MAX);
	r.redirect = any_addrs(w, REDIRECT_MAX);
	ev.dialed.dial = w->dials[which];
	ev.dialed.result = take(&w->in, DIAL_FAILED + 1);
	ev.dialed.rtt_ms = (int64_t)any_number(w, 100000);
	if (ev.dialed.result == DIAL_ANSWERED) {
		ev.dialed.conn = ++w->f.conns;
		ev.dialed.reply = &r;
	}
	send(w, &ev);
}

static void event_seed(struct world *w)
{
	struct question q = w->asked[take(&w->in, COUNT_OF(w->asked))];
	struct msg_peer_list list = { .peers = any_addrs(w, LIST_MAX) };
	struct event ev = { .kind = EV_SEED };

	if (take(&w->in, 8) == 1) /* nobody asked */
		q = (struct question){ take(&w->in, 3),
				       take(&w->in, ASK_DEATH + 1) };
	list.count = any_number(w, COUNT_MAX);
	list.registered = q.question == ASK_REGISTER;
	list.reachable = coin(w);
	list.you = any_addr(w);
	list.period_ms = any_number(w, SEQ_MAX);
	ev.seed.seed = q.seed;
	ev.seed.question = q.question;
	ev.seed.answered = coin(w);
	if (q.question == ASK_DEATH) {
		ev.seed.death.id = any_identity(w);
		ev.seed.verdict = take(&w->in, VERDICT_BUSY + 1);
	} else if (ev.seed.answered) {
		ev.seed.list = &list;
	}
	send(w, &ev);
}

/* --- frames ------------------------------------------------------------- */

static uint8_t any_link(struct world *w)
{
	unsigned i = take(&w->in, 2 * LINK_SLOTS);
	struct neighbor v[LINK_SLOTS];
	size_t n = node_neighbors(w->f.node, v);

	if (i == 2 * LINK_SLOTS - 1)
		return LINK_NONE;
	return n > 0 && i < LINK_SLOTS ? v[i % n].link
				       : (uint8_t)(i % LINK_SLOTS);
}

/* A Message came as this frame. */
static void hear_frame(struct world *w, uint8_t link, struct frame *f,
		       const struct message *m)
{
	struct event ev = { .kind = EV_FRAME, .link = link };

	ev.frame.head = (struct frame_head){ (uint8_t)take(&w->in, 4),
					     (uint8_t)take(&w->in, 256),
					     f->body_bytes };
	ev.frame.frame = f;
	ev.frame.msg = m;
	send(w, &ev);
	w->ids[w->id_n++ % IDS_MAX] = hash_of(f->body, f->body_bytes);
	note_delivered(w, &m->message);
}

static void event_message(struct world *w)
{
	static const uint8_t text[20000];
	struct message m = { .type = MSG_MESSAGE };
	struct frame *f = NULL;
	uint8_t link = any_link(w);
	unsigned size;

	m.message.origin = any_run(w);
	m.message.seq = any_seq(w);
	size = take(&w->in, 64);
	m.message.data = size < 62 ? w->in.p : text; /* whatever comes next */
	m.message.data_bytes = size > 61        ? sizeof text
			       : size < w->in.n ? size
						: w->in.n;
	m.message.base64 =
		codec_wants_base64(m.message.data, m.message.data_bytes);
	assert_int_equal(codec_encode(&m, &f), ERR_OK);
	hear_frame(w, link, f, &m);
	frame_release(f);
}

static void fill_lists(struct world *w, struct message *m)
{
	switch (m->type) {
	case MSG_HAVE:
		m->have.ranges = any_ranges(w);
		m->have.all = coin(w);
		m->have.more = coin(w);
		break;
	case MSG_GET_DATA:
		m->get_data.has_id = take(&w->in, 8) == 1;
		m->get_data.id = any_hash(w);
		if (!m->get_data.has_id)
			m->get_data.ranges = any_ranges(w);
		m->get_data.graft = coin(w);
		break;
	case MSG_NOT_FOUND:
		m->not_found.has_id = take(&w->in, 8) == 1;
		m->not_found.id = any_hash(w);
		if (!m->not_found.has_id)
			m->not_found.ranges = any_ranges(w);
		break;
	default: /* Graft, Prune */
		m->graft.runs = any_runs(w);
		m->graft.all = m->type == MSG_GRAFT && coin(w);
		break;
	}
}

static void fill_words(struct world *w, struct message *m)
{
	switch (m->type) {
	case MSG_LIVELINESS:
		m->liveliness.nonce = any_number(w, NONCE_MAX);
		break;
	case MSG_LIVELINESS_REPLY:
		m->liveliness_reply.nonce =
			w->f.node->liveness.nonces - take(&w->in, 3);
		m->liveliness_reply.id = any_identity(w);
		m->liveliness_reply.neighbors = any_number(w, COUNT_MAX);
		break;
	case MSG_GET_PEER_LIST:
		m->get_peer_list.want = (uint32_t)any_number(w, WANT_LIST_MAX);
		break;
	case MSG_PEER_LIST:
		m->peer_list.count = any_number(w, COUNT_MAX);
		m->peer_list.peers = any_addrs(w, LIST_MAX);
		break;
	case MSG_BYE:
		m->bye.reason = take(&w->in, BYE_SHUTDOWN + 1);
		break;
	default: /* what one only says to a seed, or before */
		break;
	}
}

/* Twice as often what carries gossip. */
static void event_control(struct world *w)
{
	static const enum message_type types[] = {
		MSG_HAVE,      MSG_GET_DATA,  MSG_NOT_FOUND,
		MSG_GRAFT,     MSG_PRUNE,     MSG_HAVE,
		MSG_GET_DATA,  MSG_NOT_FOUND, MSG_LIVELINESS,
		MSG_BYE,       MSG_PEER_LIST, MSG_LIVELINESS_REPLY,
		MSG_REGISTER,  MSG_DEATH,     MSG_GET_PEER_LIST,
		MSG_PEER_REPLY
	};
	unsigned i = take(&w->in, COUNT_OF(types));
	struct message m = { .type = types[i] };
	struct event ev = { .kind = EV_FRAME, .frame = { .msg = &m } };

	ev.link = any_link(w);
	if (i < 8)
		fill_lists(w, &m);
	else
		fill_words(w, &m);
	send(w, &ev);
}

/* A body as a fuzzer writes it. */
static void event_text(struct world *w)
{
	uint8_t link = any_link(w);
	size_t n, most = take(&w->in, 256) * 2;
	const uint8_t *text = take_bytes(&w->in, most, &n);
	struct frame *f;
	struct message m;

	if (codec_decode(text, n, &m, NULL) != ERR_OK)
		return;
	if (m.type == MSG_MESSAGE) {
		f = frame_new(n);
		assert_non_null(f);
		memcpy(f->body, text, n);
		hear_frame(w, link, f, &m);
		frame_release(f);
	} else {
		send(w, &(struct event){ .kind = EV_FRAME,
					 .link = link,
					 .frame = { .msg = &m } });
	}
	message_clear(&m);
}

/* --- the user ----------------------------------------------------------- */

static void event_user(struct world *w)
{
	struct event ev = { .kind = EV_SYNC };
	struct letter l;

	switch (take(&w->in, 8)) {
	case 0:
		send(w, &ev);
		break;
	case 1:
		ev.kind = EV_FIND;
		ev.find = any_hash(w);
		send(w, &ev);
		break;
	case 2:
		ev.kind = EV_OUTPUT;
		ev.output_slow = coin(w);
		send(w, &ev);
		break;
	default:
		if (w->f.node->stopped)
			break; /* the shell refuses it */
		l = publish(&w->f, "mine");
		check_limits(w->f.node);
		for (size_t i = 0; i < w->f.fx.n; i++)
			note_effect(w, &w->f.fx.v[i]);
		w->ids[w->id_n++ % IDS_MAX] = l.id;
		letter_free(&l);
	}
}

static void event_stop(struct world *w)
{
	if (take(&w->in, 16) != 1 || w->f.node->stopped)
		return;
	send(w, &(struct event){ .kind = EV_STOP });
	assert_int_equal(links_count(w->f.node), 0);
	assert_int_equal(node_deadline_ms(w->f.node), NEVER_MS);
}

/* --- all of it ---------------------------------------------------------- */

/* Small tables, that they overflow; the ends of what may be configured. */
static void configure(struct world *w)
{
	static const uint64_t sizes[] = { 16, 100, 3, 1000 };
	struct config *c = &w->f.config;
	unsigned b = take(&w->in, 256), s = take(&w->in, 256);

	*c = preset;
	c->gossip.tree = (b & 1) == 0;
	c->gossip.catch_up = (b & 2) == 0;
	c->overlay.links_max = (b & 4) == 0 ? 12 : (b & 8) == 0 ? 15 : 4;
	c->overlay.dials = (b & 16) == 0 ? 4 : c->overlay.links_max;
	c->overlay.candidates_max = (b & 32) == 0 ? 64 : 4;
	c->overlay.per_host_max = (b & 64) == 0 ? 2 : 1;
	if ((b & 128) != 0)
		c->overlay.repair_first_ms = c->overlay.repair_ms = 10;
	c->seed_count = 1 + s % 3;
	c->gossip.store_messages = sizes[s / 4 % 4];
	c->gossip.store_bytes = 65536;
	w->forgets = (s & 16) != 0;
	c->gossip.runs_max = w->forgets ? 3 : 100;
	w->f.steps = 0;
	w->f.scarce_every = s >= 224 ? 3 : 0;
}

/* Memory gets scarce for the node, not for the list of what it wants done:
 * what that loses the shell has to know. */
static void prepare_effects(struct world *w)
{
	effects_init(&w->f.fx);
	for (unsigned i = 0; w->f.scarce_every > 0 && i < 512; i++)
		effects_add(&w->f.fx, EF_LEAVE);
	effects_clear(&w->f.fx);
}

static void create(struct world *w)
{
	struct node_options o = { .config = &w->f.config,
				  .self = number_id(SELF) };
	unsigned b = take(&w->in, 256);

	o.learn_address = (b & 1) != 0;
	o.rng_seed = b / 2;
	w->f.node = node_new(&o);
	assert_non_null(w->f.node);
	w->f.now = START_MS;
	w->f.number = SELF;
	w->f.shadow = 0;
	w->f.conns = 0;
	w->dial_n = w->asked_n = w->id_n = 0;
	w->checks = 0;
	w->given_n = 0;
	memset(w->dials, 0, sizeof w->dials);
	memset(w->dialed, 0, sizeof w->dialed);
	memset(w->asked, 0, sizeof w->asked);
	memset(w->ids, 0, sizeof w->ids);
	send(w, &(struct event){ .kind = EV_START });
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const events[])(struct world * w) = {
		event_due,     event_time,    event_link,    event_request,
		event_dialed,  event_seed,    event_message, event_control,
		event_user,    event_checked, event_text,    event_stop,
		event_control, event_message, event_due,     event_request
	};
	struct world *w = &world;

	w->in = (struct tape){ data, size };
	configure(w);
	prepare_effects(w);
	create(w);
	for (unsigned i = 0; i < EVENTS_MAX && w->in.n > 0; i++)
		events[take(&w->in, COUNT_OF(events))](w);
	node_free(w->f.node);
	effects_free(&w->f.fx);
	return 0;
}
