#include "sim/seedside.h"

#include "sim/sim.h"

#include <stdlib.h>
#include <string.h>

#define SWEEP_MAX_MS 1000
#define SWEEPS_PER_PERIOD 10
#define LAPSED_AT_A_TIME 64

/* One conversation: a question on its way, then its answer. */
struct talk {
	uint32_t peer, seed;
	enum seed_question question;
	bool answered;
	int64_t deadline_ms; /* the peer's patience */
	union {
		struct msg_register reg;
		uint32_t want;
		struct msg_death death;
	};
	enum registry_match match; /* how a Register stood at first */
	enum death_verdict verdict;
	struct msg_peer_list list; /* the answer; its addresses are `peers` */
	struct addr peers[WANT_REGISTER_MAX];
};

/* A seed's look at a peer: for a Register, or a verification. */
struct check_job {
	struct check_job *next;
	struct talk *talk;  /* of a dial-back, else NULL */
	struct identity id; /* who is looked for */
	uint32_t seed, tries;
	uint64_t generation;  /* of the seed's table */
	int64_t begun_ms;     /* the whole verification */
	int64_t asked_ms;     /* this try */
	bool refused, silent; /* what the try came to; neither: an answer, */
	uint64_t found;       /* from this incarnation */
};

/* --- life ------------------------------------------------------------- */

static struct registry *new_registry(struct sim *s)
{
	const struct config *c = &s->config;
	struct registry_config rc = { .peers_max = c->seed.peers_max,
				      .period_ms = c->seed.period_ms,
				      .lease_periods = c->seed.lease_periods,
				      .seeds = c->seed_count,
				      .rng_seed = rng_u64(&s->seeds.rng) };
	struct registry *r = registry_new(&rc);

	if (r == NULL)
		abort();
	return r;
}

static void plan_sweep(struct sim *s, uint32_t seed)
{
	int64_t ms = s->config.seed.period_ms / SWEEPS_PER_PERIOD;
	struct item it = { .kind = ITEM_SWEEP, .number = seed };

	if (ms > SWEEP_MAX_MS)
		ms = SWEEP_MAX_MS;
	queue_push(&s->queue, sim_now(s) + (ms > 0 ? ms : 1), &it);
}

void seedside_init(struct sim *s)
{
	rng_init(&s->seeds.rng, s->options.seed ^ 0x7365656473);
	s->seeds.v = sim_alloc(s->options.seeds, sizeof *s->seeds.v);
	for (uint32_t i = 0; i < s->options.seeds; i++) {
		s->seeds.v[i].registry = new_registry(s);
		plan_sweep(s, i);
	}
}

static void drop_waiting(struct seed *d)
{
	while (d->first != NULL) {
		struct check_job *next = d->first->next;

		free(d->first);
		d->first = next;
	}
	d->last = NULL;
	d->waiting = 0;
}

void seedside_free(struct sim *s)
{
	for (uint32_t i = 0; i < s->options.seeds && s->seeds.v != NULL; i++) {
		drop_waiting(&s->seeds.v[i]);
		registry_free(s->seeds.v[i].registry);
	}
	free(s->seeds.v);
}

void seedside_restart(struct sim *s)
{
	for (uint32_t i = 0; i < s->options.seeds; i++) {
		struct seed *d = &s->seeds.v[i];

		drop_waiting(d);
		registry_free(d->registry);
		d->registry = new_registry(s);
		d->generation++;
		d->verifying = 0;
	}
}

static int64_t distance(const struct sim *s, uint32_t place, uint32_t seed)
{
	return net_latency(s, place, NET_SEED_PLACE + seed);
}

/* --- in words ---------------------------------------------------------- */

static void try_question(struct sim *s, const struct talk *t)
{
	struct message m = { .type = MSG_REGISTER };

	if (t->question == ASK_REGISTER) {
		m.reg = t->reg;
	} else if (t->question == ASK_LIST) {
		m.type = MSG_GET_PEER_LIST;
		m.get_peer_list.want = t->want;
	} else {
		m.type = MSG_DEATH;
		m.death = t->death;
	}
	control_try(s, &m);
}

static void try_answer(struct sim *s, const struct talk *t)
{
	struct message m = { .type = MSG_PEER_LIST };

	if (t->question == ASK_DEATH) {
		m.type = MSG_DEATH_REPLY;
		m.death_reply.verdict = t->verdict;
	} else {
		m.peer_list = t->list;
	}
	control_try(s, &m);
}

/* --- asking ----------------------------------------------------------- */

static void push_talk(struct sim *s, int64_t at_ms, enum item_kind kind,
		      struct talk *t)
{
	struct item it = { .kind = (uint8_t)kind,
			   .peer = t->peer,
			   .number = t->seed,
			   .body = t };

	queue_push(&s->queue, at_ms, &it);
}

/* Connects and asks; a seed that cannot be reached says nothing till the
 * peer's patience ends. */
static void send_question(struct sim *s, struct talk *t)
{
	int64_t base = distance(s, s->peers.v[t->peer].place, t->seed);

	t->deadline_ms = sim_now(s) + s->config.overlay.seed_timeout_ms;
	try_question(s, t);
	if (net_reaches_seed(s, t->peer, t->seed))
		push_talk(s, sim_now(s) + 2 * base + net_delay(s, base),
			  ITEM_ASK, t);
	else
		push_talk(s, t->deadline_ms, ITEM_ANSWER, t);
}

static struct talk *new_talk(uint32_t peer, uint32_t seed,
			     enum seed_question question)
{
	struct talk *t = sim_alloc(1, sizeof *t);

	t->peer = peer;
	t->seed = seed;
	t->question = question;
	return t;
}

static struct standing *standing_of(struct sim *s, uint32_t peer, uint32_t seed)
{
	struct peer *p = &s->peers.v[peer];

	if (p->standings == NULL)
		p->standings =
			sim_alloc(s->options.seeds, sizeof *p->standings);
	return &p->standings[seed];
}

void seedside_ask(struct sim *s, uint32_t peer, const struct effect *e)
{
	struct talk *t = new_talk(peer, e->seed.seed, e->seed.question);
	const struct standing *known = standing_of(s, peer, e->seed.seed);

	if (t->question == ASK_REGISTER) {
		t->reg.id = e->seed.self;
		t->reg.want = e->seed.want;
		t->reg.has_lease = known->held;
		t->reg.lease = known->lease;
	} else {
		t->want = e->seed.want;
	}
	send_question(s, t);
}

void seedside_report(struct sim *s, uint32_t peer, const struct effect *e)
{
	for (uint32_t i = 0; i < s->options.seeds; i++) {
		struct talk *t;

		if ((e->death.seeds & UINT64_C(1) << i) == 0)
			continue;
		t = new_talk(peer, i, ASK_DEATH);
		t->death = e->death.death;
		send_question(s, t);
	}
}

void seedside_leave(struct sim *s, uint32_t peer)
{
	const struct peer *p = &s->peers.v[peer];

	for (uint32_t i = 0; i < s->options.seeds; i++) {
		struct standing *known = standing_of(s, peer, i);
		struct talk *t;

		if (!known->listed)
			continue;
		t = new_talk(peer, i, ASK_DEATH);
		t->death = (struct msg_death){ .id = peers_identity(p),
					       .reporter = peers_addr(p->place),
					       .reason = DEATH_LEFT,
					       .has_lease = known->held,
					       .lease = known->lease };
		send_question(s, t);
	}
}

/* --- answering -------------------------------------------------------- */

static void send_answer(struct sim *s, struct talk *t)
{
	int64_t base = distance(s, s->peers.v[t->peer].place, t->seed);
	int64_t at = sim_now(s) + net_delay(s, base);

	try_answer(s, t);
	t->answered =
		net_reaches_seed(s, t->peer, t->seed) && at <= t->deadline_ms;
	if (!t->answered && at < t->deadline_ms)
		at = t->deadline_ms;
	push_talk(s, at, ITEM_ANSWER, t);
}

static void fill_list(struct sim *s, struct talk *t, const struct addr *asker,
		      size_t want)
{
	struct registry *r = s->seeds.v[t->seed].registry;
	size_t most = sizeof t->peers / sizeof t->peers[0];

	t->list.peers.v = t->peers;
	t->list.peers.n = registry_sample(r, asker, sim_now(s),
					  want < most ? want : most, t->peers);
	t->list.count = registry_count(r);
	t->list.period_ms = (uint64_t)registry_period_ms(r);
}

static bool renew(struct sim *s, struct talk *t)
{
	struct registry *r = s->seeds.v[t->seed].registry;
	struct registry_entry e;

	if (registry_renew(r, &t->reg.id, sim_now(s)) != ERR_OK ||
	    registry_get(r, &t->reg.id.addr, sim_now(s), &e) != ERR_OK)
		return false;
	if (t->reg.has_lease &&
	    memcmp(&t->reg.lease, &e.lease, sizeof e.lease) == 0)
		t->list.lease = e.lease;
	t->list.reachable = true;
	return true;
}

/* The atomic step of R2. */
static void list_proven(struct sim *s, struct talk *t)
{
	struct registry *r = s->seeds.v[t->seed].registry;
	enum registry_match match = registry_match(r, &t->reg.id);
	struct hash lease;

	if (match == MATCH_SAME) {
		renew(s, t);
		return;
	}
	if (match == MATCH_OLDER && t->match != MATCH_OLDER)
		return;
	for (unsigned i = 0; i < sizeof lease.b; i++)
		lease.b[i] = (uint8_t)rng_u64(&s->seeds.rng);
	if (registry_put(r, &t->reg.id, &lease, sim_now(s)) == ERR_OK) {
		t->list.reachable = true;
		t->list.lease = lease;
	}
}

static void try_peer(struct sim *s, struct check_job *j);

static void on_register(struct sim *s, struct talk *t)
{
	struct seed *d = &s->seeds.v[t->seed];
	struct check_job *j;

	s->seeds.registers++;
	t->list.registered = true;
	t->list.you = peers_addr(s->peers.v[t->peer].place);
	t->match = registry_match(d->registry, &t->reg.id);
	if (renew(s, t)) {
		fill_list(s, t, &t->reg.id.addr, t->reg.want);
		send_answer(s, t);
		return;
	}
	j = sim_alloc(1, sizeof *j);
	j->talk = t;
	j->id = t->reg.id;
	j->seed = t->seed;
	j->generation = d->generation;
	j->begun_ms = sim_now(s);
	try_peer(s, j);
}

static void end_register(struct sim *s, struct check_job *j)
{
	struct talk *t = j->talk;

	if (j->generation == s->seeds.v[t->seed].generation) {
		if (!j->refused && !j->silent && j->found == j->id.incarnation)
			list_proven(s, t);
		fill_list(s, t, &t->reg.id.addr, t->reg.want);
		send_answer(s, t);
	} else { /* the seed ended meanwhile, and its connections */
		t->deadline_ms = 0;
		send_answer(s, t);
	}
	free(j);
}

/* --- looking at a peer ------------------------------------------------ */

static void push_job(struct sim *s, int64_t at_ms, enum item_kind kind,
		     struct check_job *j)
{
	struct item it = { .kind = (uint8_t)kind,
			   .number = j->seed,
			   .body = j };

	queue_push(&s->queue, at_ms, &it);
}

static int64_t connect_limit(const struct sim *s, const struct check_job *j)
{
	return j->talk != NULL ? s->config.seed.dial_back_ms
			       : s->config.seed.verify_connect_ms;
}

static int64_t whole_limit(const struct sim *s, const struct check_job *j)
{
	return j->talk != NULL ? s->config.seed.dial_back_ms
			       : s->config.seed.verify_connect_ms +
					 s->config.seed.verify_reply_ms;
}

static void try_peer(struct sim *s, struct check_job *j)
{
	uint32_t peer = peers_at(s, &j->id.addr);
	int64_t base;

	j->asked_ms = sim_now(s);
	j->refused = peer == NOBODY;
	j->silent = false;
	if (peer == NOBODY) {
		push_job(s, sim_now(s) + 1, ITEM_PROBED, j);
		return;
	}
	base = distance(s, s->peers.v[peer].place, j->seed);
	push_job(s, sim_now(s) + 2 * base + net_delay(s, base), ITEM_PROBE, j);
}

/* The question reaches the peer, or does not. Its shell answers without
 * asking the core. */
static void reach_peer(struct sim *s, struct check_job *j)
{
	uint32_t peer = peers_at(s, &j->id.addr);
	const struct peer *p = &s->peers.v[peer];
	int64_t base = distance(s, p->place, j->seed);
	int64_t end = j->asked_ms + whole_limit(s, j);
	int64_t at = sim_now(s) + net_delay(s, base);

	j->refused = p->state == PEER_GONE;
	j->found = p->incarnation;
	if (p->state == PEER_SILENT || !net_reaches_seed(s, peer, j->seed)) {
		j->silent = true;
		at = j->asked_ms + connect_limit(s, j);
	} else if (p->state == PEER_PAUSED) {
		at += p->resume_ms - sim_now(s);
		j->silent = at > end;
	} else if (p->node != NULL && at > end) {
		j->silent = true;
	}
	push_job(s, at < end ? at : end, ITEM_PROBED, j);
}

/* --- verification (R14, R17) ------------------------------------------ */

static void start_waiting(struct sim *s, struct seed *d)
{
	while (d->first != NULL && d->verifying < s->config.seed.verify_max) {
		struct check_job *j = d->first;

		d->first = j->next;
		if (d->first == NULL)
			d->last = NULL;
		d->waiting--;
		d->verifying++;
		j->begun_ms = sim_now(s);
		try_peer(s, j);
	}
}

/* False: the queue is full. */
static bool submit(struct sim *s, uint32_t seed, const struct identity *id)
{
	struct seed *d = &s->seeds.v[seed];
	struct check_job *j;

	if (d->waiting >= s->config.seed.verify_queue) {
		registry_verify_cancel(d->registry, id);
		return false;
	}
	j = sim_alloc(1, sizeof *j);
	j->id = *id;
	j->seed = seed;
	j->generation = d->generation;
	if (d->last != NULL)
		d->last->next = j;
	else
		d->first = j;
	d->last = j;
	d->waiting++;
	start_waiting(s, d);
	return true;
}

static void end_verification(struct sim *s, struct check_job *j)
{
	struct seed *d = &s->seeds.v[j->seed];
	bool alive = !j->refused && !j->silent && j->found == j->id.incarnation;

	if (j->generation == d->generation) {
		if (registry_verify_end(d->registry, &j->id, alive,
					sim_now(s))) {
			s->seeds.removed++;
			check_removed(s, j->seed, &j->id, j->begun_ms);
		}
		s->seeds.refuted += alive;
		d->verifying--;
		start_waiting(s, d);
	}
	free(j);
}

static void on_probed(struct sim *s, struct check_job *j)
{
	struct seed *d = &s->seeds.v[j->seed];

	if (j->talk != NULL) {
		end_register(s, j);
	} else if (j->refused && j->tries == 0 &&
		   j->generation == d->generation) {
		/* One refusal may be a moment's. */
		j->tries = 1;
		push_job(s, sim_now(s) + s->config.seed.verify_retry_ms,
			 ITEM_PROBE, j);
	} else {
		end_verification(s, j);
	}
}

static void on_probe(struct sim *s, struct check_job *j)
{
	if (j->tries == 1) { /* the pause is over: the second try */
		j->tries = 2;
		try_peer(s, j);
	} else {
		reach_peer(s, j);
	}
}

static void sweep(struct sim *s, uint32_t seed)
{
	struct seed *d = &s->seeds.v[seed];
	struct identity id[LAPSED_AT_A_TIME];
	size_t n = LAPSED_AT_A_TIME;

	while (n > 0 && d->waiting <= s->config.seed.verify_queue / 2) {
		n = registry_lapsed(d->registry, sim_now(s), LAPSED_AT_A_TIME,
				    id);
		for (size_t i = 0; i < n; i++)
			if (registry_verify_begin(d->registry, &id[i],
						  sim_now(s)) == ERR_OK)
				(void)submit(s, seed, &id[i]);
	}
	plan_sweep(s, seed);
}

static enum death_verdict judge(struct sim *s, const struct talk *t)
{
	struct registry *r = s->seeds.v[t->seed].registry;
	const struct msg_death *d = &t->death;
	struct registry_entry e;

	if (registry_get(r, &d->id.addr, sim_now(s), &e) != ERR_OK ||
	    d->id.incarnation > e.id.incarnation)
		return VERDICT_UNKNOWN;
	if (d->id.incarnation != 0 && d->id.incarnation < e.id.incarnation)
		return VERDICT_ALIVE;
	if (d->reason == DEATH_LEFT && d->has_lease &&
	    memcmp(&d->lease, &e.lease, sizeof e.lease) == 0) {
		registry_remove(r, &e.id);
		return VERDICT_REMOVED;
	}
	if (registry_verify_begin(r, &e.id, sim_now(s)) != ERR_OK)
		return VERDICT_VERIFYING;
	return submit(s, t->seed, &e.id) ? VERDICT_VERIFYING : VERDICT_BUSY;
}

/* --- arrivals --------------------------------------------------------- */

static void on_ask(struct sim *s, struct talk *t)
{
	if (t->question == ASK_REGISTER) {
		on_register(s, t);
		return;
	}
	if (t->question == ASK_DEATH) {
		s->seeds.deaths++;
		t->verdict = judge(s, t);
	} else {
		fill_list(s, t, NULL, t->want);
	}
	send_answer(s, t);
}

void seedside_arrive(struct sim *s, const struct item *it)
{
	if (it->kind == ITEM_ASK)
		on_ask(s, it->body);
	else if (it->kind == ITEM_PROBE)
		on_probe(s, it->body);
	else if (it->kind == ITEM_PROBED)
		on_probed(s, it->body);
	else
		sweep(s, it->number);
}

/* The shell keeps the lease; zero means "none given", an older stays good. */
static void keep_lease(struct sim *s, const struct talk *t)
{
	static const struct hash none;
	struct standing *known = standing_of(s, t->peer, t->seed);

	known->listed = t->list.reachable;
	if (memcmp(&t->list.lease, &none, sizeof none) != 0) {
		known->held = true;
		known->lease = t->list.lease;
	}
}

void seedside_answered(struct sim *s, const struct item *it)
{
	struct talk *t = it->body;
	struct event ev = { .kind = EV_SEED,
			    .seed = { .seed = t->seed,
				      .question = t->question,
				      .answered = t->answered } };

	if (t->question == ASK_DEATH) {
		ev.seed.death = t->death;
		ev.seed.verdict = t->verdict;
	} else if (t->answered) {
		ev.seed.list = &t->list;
		check_list(s, t->peer, &t->list);
		if (t->question == ASK_REGISTER)
			keep_lease(s, t);
	}
	peers_step(s, t->peer, &ev, &(struct about){ NOBODY, NOBODY, 0 });
	free(t);
}

void seedside_forget(const struct item *it)
{
	struct check_job *j = it->body;

	if (it->kind == ITEM_PROBE || it->kind == ITEM_PROBED)
		free(j->talk);
	free(it->body);
}
