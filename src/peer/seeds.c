#include "peer/seeds.h"

#include "io/clock.h"
#include "io/pool.h"
#include "io/sock.h"
#include "io/talk.h"
#include "peer/hub.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEEDS_AT_ONCE 8
#define SEEDS_QUEUED 4096 /* deaths of a crowd, to each of the seeds */

/* What we know of one seed. */
struct standing {
	bool down;   /* it did not answer the last time */
	bool listed; /* it said so */
	bool held;
	struct hash value;
};

struct seeds {
	struct peer *peer;
	struct pool *pool;
	struct mutex mu;
	struct standing standings[CONFIG_SEEDS_MAX]; /* (mu) */
	bool leaving;                                /* (mu) */
	struct identity self; /* (mu) valid when leaving */
};

struct seed_job {
	struct job job;
	struct seeds *seeds;
	unsigned seed;
	enum seed_question question;
	struct message request;
};

/* --- one conversation --------------------------------------------------------
 */

/* As whom and from where we ask. */
struct asker {
	const struct greeting *greeting;
	const struct addr *from;
};

static enum err ask_addr(const struct asker *as, const struct addr *to,
			 const struct message *m, enum message_type want,
			 struct waker *w, int64_t deadline,
			 struct message *reply)
{
	struct talk t;
	enum err e =
		talk_open_from(&t, as->greeting, as->from, to, w, deadline);

	if (e != ERR_OK)
		return e;
	e = talk_ask(&t, m, want, reply, deadline);
	talk_close(&t);
	return e;
}

/* Each address of the seed's name, until one answers. */
static enum err ask_seed(const struct config_seed *seed, const struct asker *as,
			 const struct message *m, enum message_type want,
			 struct waker *w, int64_t timeout_ms,
			 struct message *reply, struct addr *who)
{
	struct addr addrs[SOCK_RESOLVE_MAX];
	size_t n = 0;
	int64_t deadline = clock_ms() + timeout_ms;
	enum err e = sock_resolve(seed->host, seed->port, addrs, &n);

	for (size_t i = 0; i < n; i++) {
		*who = addrs[i];
		e = ask_addr(as, &addrs[i], m, want, w, deadline, reply);
		if (e == ERR_OK || e == ERR_STOPPED)
			break;
	}
	return e;
}

/* --- leases ----------------------------------------------------------- */

static bool get_lease(struct seeds *s, unsigned seed, struct hash *out)
{
	bool held;

	mutex_lock(&s->mu);
	held = s->standings[seed].held;
	*out = s->standings[seed].value;
	mutex_unlock(&s->mu);
	return held;
}

/* Zero means "none given": an older one stays good (R2). */
static void keep_lease(struct seeds *s, unsigned seed,
		       const struct msg_peer_list *list)
{
	static const struct hash none;
	struct standing *l = &s->standings[seed];

	mutex_lock(&s->mu);
	l->listed = list->reachable;
	if (memcmp(&list->lease, &none, sizeof none) != 0) {
		l->held = true;
		l->value = list->lease;
	}
	mutex_unlock(&s->mu);
}

/* Does that seed list me, as far as I know? */
static bool listed_by(struct seeds *s, unsigned seed)
{
	bool listed;

	mutex_lock(&s->mu);
	listed = s->standings[seed].listed;
	mutex_unlock(&s->mu);
	return listed;
}

/* A seed that is down is worth a warning once, not at every try. */
static bool note_answer(struct seeds *s, unsigned seed, bool answered)
{
	bool news;

	mutex_lock(&s->mu);
	news = s->standings[seed].down == answered;
	s->standings[seed].down = !answered;
	mutex_unlock(&s->mu);
	return news;
}

/* --- jobs ------------------------------------------------------------- */

static void log_asked(struct seed_job *j, const struct config_seed *seed,
		      const struct addr *who)
{
	struct log *log = j->seeds->peer->log;
	enum message_type type = j->request.type;

	if (type == MSG_DEATH) {
		char dead[ADDR_TEXT_MAX];

		addr_format(&j->request.death.id.addr, dead);
		log_event(log, LOG_INFO, KIND_DEATH, WAY_OUT,
			  message_name(type), who, "seed=%s address=%s %s",
			  seed->name, dead,
			  death_reason_name(j->request.death.reason));
	} else {
		log_event(log, LOG_INFO, KIND_PLAIN, WAY_OUT,
			  message_name(type), who, "seed=%s", seed->name);
	}
}

static void log_answer(struct seed_job *j, const struct config_seed *seed,
		       const struct addr *who, enum err e,
		       const struct message *reply)
{
	struct log *log = j->seeds->peer->log;
	bool news = note_answer(j->seeds, j->seed, e == ERR_OK);

	if (e != ERR_OK)
		log_event(log, news ? LOG_WARN : LOG_INFO, KIND_WARNING,
			  WAY_NONE, "seed", who, "%s does not answer: %s",
			  seed->name, err_text(e));
	else if (reply->type == MSG_DEATH_REPLY)
		log_event(log, LOG_INFO, KIND_DEATH, WAY_IN, "Death Reply", who,
			  "%s", death_verdict_name(reply->death_reply.verdict));
	else if (reply->peer_list.registered && !reply->peer_list.reachable)
		log_event(log, LOG_WARN, KIND_WARNING, WAY_IN, "Peer List", who,
			  "%s cannot reach this peer and does not list it",
			  seed->name);
	else
		log_event(log, LOG_INFO, KIND_PLAIN, WAY_IN, "Peer List", who,
			  "%zu of %llu peers", reply->peer_list.peers.n,
			  (unsigned long long)reply->peer_list.count);
}

static void pass_on(struct seed_job *j, enum err e, const struct message *reply)
{
	struct ev_seed ev = { .seed = j->seed,
			      .question = j->question,
			      .answered = e == ERR_OK };

	if (j->question == ASK_DEATH) {
		ev.death = j->request.death;
		if (ev.answered)
			ev.verdict = reply->death_reply.verdict;
	} else {
		ev.list = ev.answered ? &reply->peer_list : NULL;
	}
	hub_on_seed(j->seeds->peer->hub, &ev);
}

static void run_seed_job(struct job *job, struct waker *w, bool stopped);

static struct seed_job *job_for(struct seeds *s, unsigned seed,
				enum seed_question q)
{
	struct seed_job *j = calloc(1, sizeof *j);

	if (j == NULL)
		return NULL;
	j->job.run = run_seed_job;
	j->seeds = s;
	j->seed = seed;
	j->question = q;
	return j;
}

/* What cannot be asked is as good as unanswered: the core has deadlines. */
static void submit(struct seeds *s, struct seed_job *j)
{
	if (pool_submit(s->pool, &j->job) != ERR_OK)
		free(j);
}

static void say_leave(struct seeds *s, unsigned seed,
		      const struct identity *self)
{
	struct seed_job *j = job_for(s, seed, ASK_DEATH);

	if (j == NULL)
		return;
	j->request.type = MSG_DEATH;
	j->request.death = (struct msg_death){ .id = *self,
					       .reporter = self->addr,
					       .reason = DEATH_LEFT };
	j->request.death.has_lease =
		get_lease(s, seed, &j->request.death.lease);
	submit(s, j);
}

/* After the leave: a Register that is still queued is not made, and one that
 * was under way is taken back. */
static bool is_leaving(struct seeds *s, struct identity *self)
{
	bool leaving;

	mutex_lock(&s->mu);
	leaving = s->leaving;
	*self = s->self;
	mutex_unlock(&s->mu);
	return leaving;
}

void seeds_leave(struct seeds *s, const struct identity *self)
{
	mutex_lock(&s->mu);
	s->leaving = true;
	s->self = *self;
	mutex_unlock(&s->mu);
	for (unsigned i = 0; i < s->peer->config->seed_count; i++)
		if (listed_by(s, i))
			say_leave(s, i, self);
}

static void run_seed_job(struct job *job, struct waker *w, bool stopped)
{
	struct seed_job *j = (struct seed_job *)job;
	const struct peer *p = j->seeds->peer;
	const struct config *c = p->config;
	const struct config_seed *seed = &c->seeds[j->seed];
	struct asker as = { &p->to_seeds, &p->source };
	struct message reply = { 0 };
	struct addr who = { 0 };
	struct identity self;
	enum err e;

	if (stopped ||
	    (is_leaving(j->seeds, &self) && j->question == ASK_REGISTER)) {
		free(j);
		return;
	}
	if (j->request.type == MSG_REGISTER)
		j->request.reg.has_lease =
			get_lease(j->seeds, j->seed, &j->request.reg.lease);
	e = ask_seed(seed, &as, &j->request,
		     j->question == ASK_DEATH ? MSG_DEATH_REPLY : MSG_PEER_LIST,
		     w, c->overlay.seed_timeout_ms, &reply, &who);
	log_asked(j, seed, &who);
	if (e == ERR_OK && j->question == ASK_REGISTER) {
		if (reply.peer_list.registered)
			keep_lease(j->seeds, j->seed, &reply.peer_list);
		else
			e = ERR_SYNTAX; /* no answer to a Register */
	}
	log_answer(j, seed, &who, e, &reply);
	if (e == ERR_OK && j->question == ASK_REGISTER &&
	    is_leaving(j->seeds, &self))
		say_leave(j->seeds, j->seed, &self);
	pass_on(j, e, &reply);
	message_clear(&reply);
	free(j);
}

void seeds_ask(struct seeds *s, const struct effect *e)
{
	struct seed_job *j = job_for(s, e->seed.seed, e->seed.question);

	if (j == NULL)
		return;
	if (e->seed.question == ASK_REGISTER) {
		j->request.type = MSG_REGISTER;
		j->request.reg.id = e->seed.self;
		j->request.reg.want = e->seed.want;
	} else {
		j->request.type = MSG_GET_PEER_LIST;
		j->request.get_peer_list.want = e->seed.want;
	}
	submit(s, j);
}

void seeds_report(struct seeds *s, const struct effect *e)
{
	for (unsigned i = 0; i < s->peer->config->seed_count; i++) {
		struct seed_job *j;

		if ((e->death.seeds & UINT64_C(1) << i) == 0)
			continue;
		j = job_for(s, i, ASK_DEATH);
		if (j == NULL)
			return;
		j->request.type = MSG_DEATH;
		j->request.death = e->death.death;
		submit(s, j);
	}
}

/* --- life ------------------------------------------------------------- */

enum err seeds_start(struct seeds **out, struct peer *p)
{
	struct seeds *s = calloc(1, sizeof *s);
	enum err e;

	if (s == NULL)
		return ERR_NOMEM;
	s->peer = p;
	mutex_init(&s->mu);
	e = pool_start(&s->pool, "seed-client", SEEDS_AT_ONCE, SEEDS_QUEUED);
	if (e != ERR_OK) {
		mutex_destroy(&s->mu);
		free(s);
		return e;
	}
	*out = s;
	return ERR_OK;
}

size_t seeds_busy(struct seeds *s)
{
	return pool_busy(s->pool);
}

void seeds_stop(struct seeds *s)
{
	pool_stop(s->pool);
}

void seeds_join(struct seeds *s)
{
	pool_join(s->pool);
	mutex_destroy(&s->mu);
	free(s);
}

/* --- --list ----------------------------------------------------------- */

/* As configured: a name, or a number that may want brackets. */
static void put_host(struct buf *b, const struct config_seed *seed)
{
	bool v6 = strchr(seed->host, ':') != NULL;

	buf_fmt(b, v6 ? "[%s]:%u" : "%s:%u", seed->host, seed->port);
}

static void print_list_json(struct buf *b, const struct config_seed *seed,
			    const struct addr *who,
			    const struct msg_peer_list *list)
{
	char text[ADDR_TEXT_MAX];

	buf_str(b, "{\"seed\":");
	buf_json(b, seed->name, strlen(seed->name));
	addr_format(who, text);
	buf_str(b, ",\"address\":\"");
	if (addr_is_none(who))
		put_host(b, seed);
	else
		buf_str(b, text);
	buf_fmt(b, "\",\"up\":%s,\"count\":%llu,\"peers\":[",
		list != NULL ? "true" : "false",
		list != NULL ? (unsigned long long)list->count : 0ULL);
	for (size_t i = 0; list != NULL && i < list->peers.n; i++) {
		addr_format(&list->peers.v[i], text);
		buf_fmt(b, "%s\"%s\"", i > 0 ? "," : "", text);
	}
	buf_str(b, "]}\n");
}

static void print_list_text(struct buf *b, const struct config_seed *seed,
			    const struct addr *who,
			    const struct msg_peer_list *list, enum err e)
{
	char text[ADDR_TEXT_MAX];

	addr_format(who, text);
	if (list == NULL) {
		buf_fmt(b, "%s ", seed->name);
		put_host(b, seed);
		buf_fmt(b, ": down (%s)\n", err_text(e));
		return;
	}
	buf_fmt(b, "%s %s: %llu peers\n", seed->name, text,
		(unsigned long long)list->count);
	for (size_t i = 0; i < list->peers.n; i++) {
		addr_format(&list->peers.v[i], text);
		buf_fmt(b, "  %s\n", text);
	}
}

static bool print_seed(const struct options *o, const struct greeting *g,
		       const struct config_seed *seed, struct buf *b)
{
	struct message m = { .type = MSG_GET_PEER_LIST,
			     .get_peer_list = { .want = WANT_LIST_MAX } };
	struct message reply = { 0 };
	struct addr anywhere = { 0 }, who = { 0 };
	struct asker as = { g, &anywhere };
	const struct msg_peer_list *list;
	enum err e = ask_seed(seed, &as, &m, MSG_PEER_LIST, NULL,
			      o->config.overlay.seed_timeout_ms, &reply, &who);

	list = e == ERR_OK ? &reply.peer_list : NULL;
	if (o->json)
		print_list_json(b, seed, &who, list);
	else
		print_list_text(b, seed, &who, list, e);
	message_clear(&reply);
	return e == ERR_OK;
}

static int print_lists(const struct options *o, const struct greeting *g)
{
	struct buf b = { 0 };
	bool any = false;
	int status = EXIT_DONE;

	for (size_t i = 0; i < o->config.seed_count; i++)
		any |= print_seed(o, g, &o->config.seeds[i], &b);
	if (b.failed)
		status = EXIT_FAILED;
	else if (fwrite(b.data, 1, b.len, stdout) != b.len ||
		 fflush(stdout) != 0)
		status = EXIT_OUTPUT;
	else if (!any)
		status = EXIT_UNREACHABLE;
	buf_free(&b);
	return status;
}

int seeds_print_lists(const struct options *o)
{
	struct greeting g = { NULL, CHANNEL_TO_SEED };
	int status = keys_start(&g.keys, "peer", o->config.security.key_file);

	if (status == EXIT_DONE)
		status = print_lists(o, &g);
	keys_close(g.keys);
	return status;
}
