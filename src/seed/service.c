#include "seed/service.h"

#include "base/crypto.h"
#include "io/clock.h"
#include "io/talk.h"
#include "seed/probe.h"
#include "seed/seed.h"
#include "seed/verify.h"

#include <inttypes.h>
#include <string.h>

/* One request and its answer. */
struct exchange {
	struct seed *seed;
	struct conn *conn;
	const struct message *in;
	struct message out;
	struct addr sample[WANT_LIST_MAX]; /* what out.peer_list may point to */
};

static void turn_away(struct exchange *x, enum reject_reason reason,
		      const char *detail)
{
	reject_note(&x->seed->rejects, reason, &x->conn->remote, detail);
}

/* --- Register (R2) ---------------------------------------------------- */

/* The part of the answer that must be of one moment with the listing: of two
 * that join, the second is told of the first (I7). */
static void fill_list_locked(struct exchange *x, const struct addr *asker,
			     size_t want) NEEDS(x->seed->mu)
{
	struct registry *r = x->seed->registry;
	struct msg_peer_list *list = &x->out.peer_list;

	list->peers.v = x->sample;
	list->peers.n = registry_sample(r, asker, clock_ms(), want, x->sample);
	list->count = registry_count(r);
	list->period_ms = (uint64_t)registry_period_ms(r);
}

/* A lease is told to whom it was given, when it was given. Later only to who
 * shows it: anybody on that host could renew, and then say "left". */
static bool renew_locked(struct exchange *x) NEEDS(x->seed->mu)
{
	const struct msg_register *reg = &x->in->reg;
	struct msg_peer_list *list = &x->out.peer_list;
	struct registry *r = x->seed->registry;
	struct registry_entry e;
	int64_t now_ms = clock_ms();

	if (registry_renew(r, &reg->id, now_ms) != ERR_OK ||
	    registry_get(r, &reg->id.addr, now_ms, &e) != ERR_OK)
		return false;
	if (reg->has_lease && crypto_equal(&reg->lease, &e.lease))
		list->lease = e.lease;
	list->reachable = true;
	return true;
}

/* A run that is known needs no proof: nothing about it changes. */
static bool try_renew(struct exchange *x, enum registry_match *match)
{
	const struct msg_register *reg = &x->in->reg;
	bool renewed;

	mutex_lock(&x->seed->mu);
	*match = registry_match(x->seed->registry, &reg->id);
	renewed = renew_locked(x);
	if (renewed)
		fill_list_locked(x, &reg->id.addr, reg->want);
	mutex_unlock(&x->seed->mu);
	return renewed;
}

static bool dial_back(struct exchange *x)
{
	const struct identity *id = &x->in->reg.id;
	int64_t ms = x->seed->config->seed.dial_back_ms;
	struct probe_limits limits = { ms, ms, ms };
	struct identity found;

	return probe_run(x->seed->log, &x->seed->to_peers, &id->addr,
			 &x->conn->waker, &limits, &found) == PROBE_ALIVE &&
	       identity_equal(&found, id);
}

/* The atomic step of R2 for a run that was just proven, or was not. `before`:
 * how it stood before it was dialed. */
static enum err list_proven_locked(struct exchange *x,
				   enum registry_match before,
				   const struct hash *lease) NEEDS(x->seed->mu)
{
	const struct msg_register *reg = &x->in->reg;
	struct registry *r = x->seed->registry;
	enum registry_match now = registry_match(r, &reg->id);
	enum err e;

	/* Another connection was faster: with this run, or with a newer one
	 * that came up after the proof. */
	if (now == MATCH_SAME)
		return renew_locked(x) ? ERR_OK : ERR_NOT_FOUND;
	if (now == MATCH_OLDER && before != MATCH_OLDER)
		return ERR_NOT_FOUND;
	e = registry_put(r, &reg->id, lease, clock_ms());
	if (e == ERR_OK) {
		x->out.peer_list.reachable = true;
		x->out.peer_list.lease = *lease;
	}
	return e;
}

static void register_new(struct exchange *x, enum registry_match before)
{
	const struct msg_register *reg = &x->in->reg;
	struct seed *s = x->seed;
	bool proven = dial_back(x);
	enum err e = ERR_NOT_FOUND;
	struct hash lease;

	crypto_random(&lease, sizeof lease);
	mutex_lock(&x->seed->mu);
	if (proven)
		e = list_proven_locked(x, before, &lease);
	fill_list_locked(x, &reg->id.addr, reg->want);
	mutex_unlock(&x->seed->mu);

	if (e == ERR_OK)
		log_event(s->log, LOG_INFO, KIND_START, WAY_NONE, "join",
			  &reg->id.addr,
			  "incarnation %" PRIu64 ", %" PRIu64 " known",
			  reg->id.incarnation, x->out.peer_list.count);
	else if (e == ERR_FULL)
		turn_away(x, REJECT_FULL, "no room for another peer");
	else if (e == ERR_NOMEM)
		turn_away(x, REJECT_MEMORY, "no memory for another peer");
	else if (before == MATCH_OLDER)
		turn_away(x, REJECT_OLDER, "a newer run is known");
	else
		turn_away(x, REJECT_UNREACHABLE,
			  "the address does not answer as this peer");
}

static bool may_register(const struct exchange *x)
{
	const struct addr *a = &x->in->reg.id.addr;

	/* Dialed back, a seed would prove itself. */
	if (addr_equal(a, &x->seed->self.addr))
		return false;
	return x->seed->config->seed.allow_foreign ||
	       addr_same_host(a, &x->conn->remote);
}

static void answer_register(struct exchange *x)
{
	const struct msg_register *reg = &x->in->reg;
	struct msg_peer_list *list = &x->out.peer_list;
	struct seed *s = x->seed;
	enum registry_match match;
	char text[ADDR_TEXT_MAX];

	atomic_fetch_add(&s->counters.registers, 1);
	addr_format(&reg->id.addr, text);
	log_event(s->log, LOG_INFO, KIND_PLAIN, WAY_IN, "Register",
		  &x->conn->remote, "%s incarnation %" PRIu64 ", want %u", text,
		  reg->id.incarnation, (unsigned)reg->want);
	x->out.type = MSG_PEER_LIST;
	list->registered = true;
	list->you = x->conn->remote;
	if (!may_register(x)) {
		turn_away(x, REJECT_FOREIGN,
			  "Register for an address that is not the sender's");
		mutex_lock(&x->seed->mu);
		fill_list_locked(x, NULL, 0);
		mutex_unlock(&x->seed->mu);
	} else if (!try_renew(x, &match)) {
		register_new(x, match);
	}
}

/* --- Get Peer List, Liveliness ---------------------------------------- */

static void answer_list(struct exchange *x)
{
	struct seed *s = x->seed;
	uint32_t want = x->in->get_peer_list.want;

	atomic_fetch_add(&s->counters.lists, 1);
	log_event(s->log, LOG_INFO, KIND_PLAIN, WAY_IN, "Get Peer List",
		  &x->conn->remote, "want %u", (unsigned)want);
	x->out.type = MSG_PEER_LIST;
	mutex_lock(&x->seed->mu);
	fill_list_locked(x, NULL, want);
	mutex_unlock(&x->seed->mu);
}

static void answer_liveliness(struct exchange *x)
{
	struct msg_liveliness_reply *reply = &x->out.liveliness_reply;
	struct seed *s = x->seed;

	log_event(s->log, LOG_INFO, KIND_LIVELINESS, WAY_IN, "Liveliness",
		  &x->conn->remote, "nonce %" PRIu64, x->in->liveliness.nonce);
	x->out.type = MSG_LIVELINESS_REPLY;
	reply->nonce = x->in->liveliness.nonce;
	reply->id = s->self;
	mutex_lock(&x->seed->mu);
	reply->neighbors = registry_count(s->registry);
	mutex_unlock(&x->seed->mu);
}

/* --- Death (R14) ------------------------------------------------------ */

static bool shows_lease(const struct msg_death *d,
			const struct registry_entry *e)
{
	return d->reason == DEATH_LEFT && d->has_lease &&
	       crypto_equal(&d->lease, &e->lease);
}

/* *target is the run in question when the answer is removed or verifying.
 * *begun: a check of it has begun and must be submitted. */
static enum death_verdict judge_locked(struct seed *s,
				       const struct msg_death *d,
				       struct identity *target, bool *begun)
	NEEDS(s->mu)
{
	int64_t now_ms = clock_ms();
	struct registry_entry e;

	if (registry_get(s->registry, &d->id.addr, now_ms, &e) != ERR_OK)
		return VERDICT_UNKNOWN;
	if (d->id.incarnation > e.id.incarnation)
		return VERDICT_UNKNOWN;
	if (d->id.incarnation != 0 && d->id.incarnation < e.id.incarnation)
		return VERDICT_ALIVE;
	*target = e.id;
	if (shows_lease(d, &e)) {
		registry_remove(s->registry, &e.id);
		return VERDICT_REMOVED;
	}
	*begun = registry_verify_begin(s->registry, &e.id, now_ms) == ERR_OK;
	return VERDICT_VERIFYING;
}

static void log_death(const struct exchange *x)
{
	const struct msg_death *d = &x->in->death;
	char dead[ADDR_TEXT_MAX], reporter[ADDR_TEXT_MAX] = "nobody";

	addr_format(&d->id.addr, dead);
	if (!addr_is_none(&d->reporter))
		addr_format(&d->reporter, reporter);
	log_event(x->seed->log, LOG_INFO, KIND_DEATH, WAY_IN, "Death",
		  &x->conn->remote, "%s incarnation %" PRIu64 ", %s, says %s",
		  dead, d->id.incarnation, death_reason_name(d->reason),
		  reporter);
}

static void answer_death(struct exchange *x)
{
	struct seed *s = x->seed;
	struct identity target;
	bool begun = false;
	enum death_verdict v;

	atomic_fetch_add(&s->counters.deaths, 1);
	log_death(x);
	mutex_lock(&s->mu);
	v = judge_locked(s, &x->in->death, &target, &begun);
	mutex_unlock(&s->mu);
	if (begun && verify_submit(s, &target, VERIFY_DEATH) != ERR_OK)
		v = VERDICT_BUSY;
	if (v == VERDICT_REMOVED) {
		atomic_fetch_add(&s->counters.deaths_confirmed, 1);
		log_event(s->log, LOG_INFO, KIND_DEATH, WAY_NONE, "leave",
			  &target.addr, "incarnation %" PRIu64,
			  target.incarnation);
	}
	x->out.type = MSG_DEATH_REPLY;
	x->out.death_reply.verdict = v;
}

/* --- the connection --------------------------------------------------- */

static void log_answer(const struct exchange *x)
{
	const struct message *m = &x->out;
	struct log *l = x->seed->log;
	const struct addr *who = &x->conn->remote;
	const char *name = message_name(m->type);

	if (m->type == MSG_PEER_LIST && m->peer_list.registered)
		log_event(l, LOG_INFO, KIND_PLAIN, WAY_OUT, name, who,
			  "%zu of %" PRIu64 ", %s, renew in %" PRIu64 " ms",
			  m->peer_list.peers.n, m->peer_list.count,
			  m->peer_list.reachable ? "listed" : "not listed",
			  m->peer_list.period_ms);
	else if (m->type == MSG_PEER_LIST)
		log_event(l, LOG_INFO, KIND_PLAIN, WAY_OUT, name, who,
			  "%zu of %" PRIu64, m->peer_list.peers.n,
			  m->peer_list.count);
	else if (m->type == MSG_DEATH_REPLY)
		log_event(l, LOG_INFO, KIND_DEATH, WAY_OUT, name, who, "%s",
			  death_verdict_name(m->death_reply.verdict));
	else
		log_event(l, LOG_INFO, KIND_LIVELINESS, WAY_OUT, name, who,
			  "%" PRIu64 " known", m->liveliness_reply.neighbors);
}

/* False: not something one asks a seed. */
static bool answer(struct exchange *x)
{
	memset(&x->out, 0, sizeof x->out);
	switch (x->in->type) {
	case MSG_REGISTER:
		answer_register(x);
		return true;
	case MSG_GET_PEER_LIST:
		answer_list(x);
		return true;
	case MSG_DEATH:
		answer_death(x);
		return true;
	case MSG_LIVELINESS:
		answer_liveliness(x);
		return true;
	default:
		turn_away(x, REJECT_UNEXPECTED, message_name(x->in->type));
		return false;
	}
}

/* Answers one request; false: that was the last. */
static bool serve_request(struct seed *s, struct conn *c, struct talk *t,
			  const struct message *m)
{
	struct exchange x; /* not cleared: the sample has 20 KB */

	x.seed = s;
	x.conn = c;
	x.in = m;
	if (!server_stand(c, CONN_BUSY) || !answer(&x))
		return false;
	/* A dial-back borrowed the waker. Stopped meanwhile: nothing would
	 * wake this thread any more. */
	if (waker_watch(&c->waker, c->fd) != ERR_OK)
		return false;
	/* Who does not take his answer makes way like any other. */
	if (!server_stand(c, CONN_IDLE))
		return false;
	if (talk_send(t, &x.out, clock_ms() + s->config->seed.idle_ms) !=
	    ERR_OK)
		return false;
	log_answer(&x);
	return true;
}

void service_serve(void *ctx, struct conn *c)
{
	struct seed *s = ctx;
	const struct config_seed_role *limit = &s->config->seed;
	int64_t deadline_ms = clock_ms() + limit->handshake_ms;
	bool first = true, more = true;
	struct talk t;

	talk_accept(&t, &s->to_us, c->fd, &c->waker, FRAME_BODY_STRANGER_MAX);
	while (more) {
		struct message m;
		enum err e = talk_recv(&t, &m, deadline_ms);

		if (e == ERR_UNKNOWN) {
			/* No request: the deadline stays. */
			reject_note(&s->rejects, REJECT_UNKNOWN, &c->remote,
				    "a type of message it does not know");
			more = clock_ms() < deadline_ms;
			continue;
		}
		if (e == ERR_OK) {
			more = serve_request(s, c, &t, &m);
			message_clear(&m);
		} else {
			reject_talk(&s->rejects, &c->remote, &t, e, first);
			more = false;
		}
		first = false;
		talk_patience(&t, limit->idle_ms);
		deadline_ms = clock_ms() + limit->idle_ms;
	}
	talk_close(&t);
}
