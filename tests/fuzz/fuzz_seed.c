/* A seed's conversations: what strangers ask, against one small registry.
 *
 * The input is decoded into connections and, on each, into requests of a small
 * world, raw bytes, pauses and ends. Who lives at which address is a table
 * here; a probe reads it, and nothing ever reaches a network. While a seed
 * dials back, another connection is served: as another thread would. What is
 * listed was proven by a probe, leases are told to whom they belong, nobody
 * who answers is removed.
 */
#include "fuzz.h"

#include "base/crypto.h"
#include "io/clock.h"
#include "io/sock.h"
#include "seed/probe.h"
#include "seed/seed.h"
#include "seed/service.h"
#include "seed/verify.h"
#include "wire/codec.h"

#include <stdarg.h>

#define PLACES 12     /* addresses there are */
#define STRANGERS 16  /* more of them, made up by raw bytes */
#define JOBS_MAX 4    /* waiting checks */
#define PROVEN_MAX 64 /* runs that a probe has seen */
#define NEST_MAX 3    /* connections at a time */
#define RAW_MAX 700   /* bytes at a time; more than a stranger may say */
#define REQUESTS_MAX 60
#define SEED_FD 7

enum nature { ALIVE, SILENT, REFUSED, FAILED, ELSE };

/* Who is at an address. */
struct place {
	struct addr addr;
	enum nature nature;
	uint64_t incarnation;
	struct hash lease; /* the last that was told to it */
	bool kept;         /* a check of a report found it alive */
};

/* What is said on one connection. */
struct line {
	struct conn conn;
	struct buf in;       /* what its socket holds */
	struct buf given;    /* what it gave, but for frames looked at below */
	struct message said; /* the request that is being answered, */
	bool has_said;       /* if there is one; */
	bool proven;         /* and a probe has confirmed it */
	int64_t patience_ms; /* of its socket; 0: endless */
};

static struct {
	struct tape in;
	struct config config;
	struct seed seed;
	int64_t now_ms;
	struct place places[PLACES];
	struct identity proven[PROVEN_MAX];
	size_t proven_n;
	bool forgot; /* more than fit were proven */
	struct job *jobs[JOBS_MAX];
	size_t job_n;
	struct line lines[NEST_MAX];
	unsigned depth, requests;
	uint64_t secrets; /* leases made so far */
	int locks;
} world;

static struct config preset;
static char formatted[256];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	config_init(&preset);
	return crypto_init() == ERR_OK ? 0 : 1;
}

static void serve_one(void);

/* --- the world ---------------------------------------------------------- */

static struct addr place_addr(unsigned i)
{
	struct addr a = { .family = ADDR_V4, .port = (uint16_t)(1000 + i) };

	if (i % 4 == 3) {
		a.family = ADDR_V6;
		a.ip[15] = 1;
	} else {
		a.ip[0] = i % 4 == 2 ? 10 : 127;
		a.ip[3] = (uint8_t)(1 + i % 2);
	}
	return a;
}

static struct place *any_place(void)
{
	return &world.places[take(&world.in, PLACES)];
}

static struct place *place_of(const struct addr *a)
{
	for (unsigned i = 0; i < PLACES; i++)
		if (addr_equal(&world.places[i].addr, a))
			return &world.places[i];
	return NULL;
}

static bool is_proven(const struct identity *id)
{
	for (size_t i = 0; i < world.proven_n; i++)
		if (identity_equal(&world.proven[i], id))
			return true;
	return world.forgot;
}

static void note_proven(const struct identity *id)
{
	if (is_proven(id))
		return;
	if (world.proven_n == PROVEN_MAX)
		world.forgot = true;
	else
		world.proven[world.proven_n++] = *id;
}

/* --- in place of the operating system ----------------------------------- */

int64_t clock_ms(void)
{
	return world.now_ms;
}

void mutex_init(struct mutex *m)
{
	(void)m;
}

void mutex_destroy(struct mutex *m)
{
	(void)m;
}

void mutex_lock(struct mutex *m) UNCHECKED
{
	(void)m;
	world.locks++;
	assert_int_equal(world.locks, 1); /* no two at a time, none twice */
}

void mutex_unlock(struct mutex *m) UNCHECKED
{
	(void)m;
	world.locks--;
	assert_int_equal(world.locks, 0);
}

void cond_init(struct cond *c)
{
	(void)c;
}

void cond_destroy(struct cond *c)
{
	(void)c;
}

void cond_broadcast(struct cond *c)
{
	(void)c;
}

/* It becomes later, and nobody comes. */
bool cond_wait_until(struct cond *c, struct mutex *m, int64_t deadline_ms)
{
	(void)c;
	(void)m;
	if (deadline_ms > world.now_ms)
		world.now_ms = deadline_ms;
	return false;
}

bool server_stand(struct conn *c, enum conn_standing standing)
{
	(void)c;
	(void)standing;
	assert_int_equal(world.locks, 0);
	return take(&world.in, 64) != 63; /* rarely told to make way */
}

bool log_wants(const struct log *l, enum log_level level)
{
	(void)l;
	(void)level;
	return true;
}

/* ASan looks at every text that is put into a line. */
void log_event(struct log *l, enum log_level level, enum log_kind kind,
	       enum log_way way, const char *what, const struct addr *who,
	       const char *fmt, ...)
{
	va_list args;

	(void)l, (void)level, (void)kind, (void)way, (void)who;
	assert_non_null(what);
	assert_int_equal(world.locks, 0);
	va_start(args, fmt);
	assert_true(vsnprintf(formatted, sizeof formatted, fmt, args) >= 0);
	va_end(args);
}

enum err pool_submit(struct pool *p, struct job *j)
{
	(void)p;
	assert_int_equal(world.locks, 0);
	if (world.job_n == JOBS_MAX)
		return ERR_FULL;
	world.jobs[world.job_n++] = j;
	return ERR_OK;
}

size_t pool_busy(struct pool *p)
{
	(void)p;
	return world.job_n;
}

/* Leases that differ, and can be repeated. */
void __wrap_crypto_random(void *out, size_t n);
void __wrap_crypto_random(void *out, size_t n)
{
	memset(out, 0xa5, n);
	world.secrets++;
	memcpy(out, &world.secrets, n < 8 ? n : 8);
}

/* The request that the service is at: the first in what it was given that is a
 * message it knows. NULL: it is at none. */
static const struct message *current(struct line *l)
{
	struct frame_head h;

	while (!l->has_said && l->given.len >= FRAME_HEAD_BYTES) {
		const uint8_t *at = (const uint8_t *)l->given.data;

		if (frame_head_read(at, FRAME_BODY_STRANGER_MAX, &h) !=
			    ERR_OK ||
		    FRAME_HEAD_BYTES + h.body_bytes > l->given.len)
			break;
		l->proven = false;
		l->has_said = codec_decode(at + FRAME_HEAD_BYTES, h.body_bytes,
					   &l->said, NULL) == ERR_OK;
		if (l->has_said && l->said.type == MSG_MESSAGE)
			l->said.message.data = NULL; /* it stands in given */
		buf_drop(&l->given, FRAME_HEAD_BYTES + h.body_bytes);
	}
	return l->has_said ? &l->said : NULL;
}

static void answered(struct line *l)
{
	message_clear(&l->said);
	l->has_said = false;
}

/* --- nothing is connected to anything ----------------------------------- */

enum err sock_open(const struct addr *to, int *fd)
{
	(void)to;
	(void)fd;
	fail_msg("a socket was opened");
	return ERR_SYSTEM;
}

enum err sock_leave_from(int fd, const struct addr *from)
{
	(void)fd;
	(void)from;
	return ERR_SYSTEM;
}

enum err sock_connect(int fd, const struct addr *to, int64_t deadline_ms)
{
	(void)fd;
	(void)to;
	(void)deadline_ms;
	return ERR_SYSTEM;
}

void sock_close(int fd)
{
	(void)fd;
	fail_msg("a descriptor of somebody else's was closed");
}

/* It was a dial-back if it has a connection's waker, else a check. */
static void note_for_request(const struct waker *w,
			     const struct identity *found)
{
	struct place *p = place_of(&found->addr);

	for (unsigned i = 0; i < world.depth; i++) {
		struct line *l = &world.lines[i];
		const struct message *m;

		if (w != &l->conn.waker)
			continue;
		m = current(l);
		assert_true(m != NULL && m->type == MSG_REGISTER);
		l->proven = identity_equal(&m->reg.id, found);
		return;
	}
	if (p != NULL)
		p->kept = true;
}

enum probe_outcome probe_run(struct log *log, const struct greeting *g,
			     const struct addr *to, struct waker *w,
			     const struct probe_limits *limits,
			     struct identity *found)
{
	const struct place *p = place_of(to);
	enum nature n = p == NULL ? REFUSED : p->nature;

	(void)log;
	(void)g;
	assert_int_equal(world.locks, 0);
	assert_true(limits->total_ms > 0);
	waker_unwatch(w);
	if (take(&world.in, 4) == 1) /* meanwhile */
		serve_one();
	if (n == ALIVE || n == ELSE) {
		found->addr = *to;
		found->incarnation = p->incarnation;
		if (n == ELSE)
			found->addr = place_addr(PLACES);
		else
			note_proven(found);
		note_for_request(w, found);
		return PROBE_ALIVE;
	}
	world.now_ms += n == SILENT ? limits->total_ms : 1;
	return n == SILENT    ? PROBE_SILENT
	       : n == REFUSED ? PROBE_REFUSED
			      : PROBE_FAILED;
}

const char *probe_outcome_name(enum probe_outcome o)
{
	assert_in_range(o, PROBE_ALIVE, PROBE_FAILED);
	return "outcome";
}

/* --- what must hold ------------------------------------------------------ */

/* The registry as a whole, between two requests. */
static void check_registry(void)
{
	struct registry *r = world.seed.registry;
	struct addr all[WANT_LIST_MAX];
	struct registry_entry e;
	size_t n = registry_sample(r, NULL, world.now_ms, WANT_LIST_MAX, all);
	size_t known = 0;

	assert_true(registry_count(r) <= world.config.seed.peers_max);
	assert_true(n <= registry_count(r));
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(registry_get(r, &all[i], world.now_ms, &e),
				 ERR_OK);
		assert_true(is_proven(&e.id));
		assert_false(e.lapsed);
		/* Hidden meanwhile, unless it has answered a check before. */
		assert_true(!e.verifying || place_of(&all[i])->kept);
	}
	for (unsigned i = 0; i < PLACES; i++) {
		const struct addr *a = &world.places[i].addr;

		if (registry_get(r, a, world.now_ms, &e) != ERR_OK)
			continue;
		assert_true(is_proven(&e.id));
		known++;
	}
	/* Nobody lives anywhere else. */
	assert_int_equal(registry_count(r), known);
}

static bool is_none(const struct hash *h)
{
	static const struct hash none;

	return memcmp(h, &none, sizeof none) == 0;
}

/* A lease is told to whom was just proven, or who shows it. */
static void check_lease(struct line *l, const struct msg_peer_list *m)
{
	const struct msg_register *r = &l->said.reg;
	struct place *p = place_of(&r->id.addr);

	if (is_none(&m->lease))
		return;
	assert_non_null(p);
	assert_true(m->reachable);
	assert_true(l->proven || (r->has_lease && memcmp(&r->lease, &m->lease,
							 HASH_BYTES) == 0));
	p->lease = m->lease;
}

static void check_list(struct line *l, const struct msg_peer_list *m)
{
	bool reg = l->said.type == MSG_REGISTER;
	uint32_t want = reg ? l->said.reg.want : l->said.get_peer_list.want;

	assert_int_equal(m->registered, reg);
	assert_true(m->peers.n <= want && m->peers.n <= m->count);
	for (size_t i = 0; i < m->peers.n; i++) {
		assert_non_null(place_of(&m->peers.v[i]));
		if (reg)
			assert_false(addr_equal(&m->peers.v[i],
						&l->said.reg.id.addr));
		for (size_t k = 0; k < i; k++)
			assert_false(
				addr_equal(&m->peers.v[i], &m->peers.v[k]));
	}
	if (!reg)
		return;
	assert_true(addr_equal(&m->you, &l->conn.remote));
	assert_true(m->period_ms >= (uint64_t)world.config.seed.period_ms);
	check_lease(l, m);
}

static void check_verdict(const struct line *l, const struct msg_death_reply *m)
{
	const struct msg_death *d = &l->said.death;
	const struct place *p = place_of(&d->id.addr);

	if (m->verdict != VERDICT_REMOVED)
		return;
	assert_non_null(p);
	assert_true(d->has_lease && d->reason == DEATH_LEFT);
	assert_memory_equal(&d->lease, &p->lease, HASH_BYTES);
}

static void check_answer(struct line *l, const struct message *m)
{
	static const enum message_type answers[MSG_TYPES] = {
		[MSG_REGISTER] = MSG_PEER_LIST,
		[MSG_GET_PEER_LIST] = MSG_PEER_LIST,
		[MSG_DEATH] = MSG_DEATH_REPLY,
		[MSG_LIVELINESS] = MSG_LIVELINESS_REPLY,
	};

	assert_non_null(current(l)); /* nothing is said unasked */
	assert_int_equal(m->type, answers[l->said.type]);
	if (m->type == MSG_PEER_LIST)
		check_list(l, &m->peer_list);
	else if (m->type == MSG_DEATH_REPLY)
		check_verdict(l, &m->death_reply);
	else
		assert_int_equal(m->liveliness_reply.nonce,
				 l->said.liveliness.nonce);
	answered(l);
}

/* One whole frame at a time: a talk sends head and body in one piece. */
enum err sock_send(int fd, const void *bytes, size_t n, int64_t deadline_ms)
{
	struct line *l = &world.lines[fd - SEED_FD];
	struct frame_head h;
	struct message m;

	assert_int_equal(world.locks, 0);
	assert_true(deadline_ms > world.now_ms);
	assert_int_equal(frame_head_read(bytes, FRAME_BODY_MAX, &h), ERR_OK);
	assert_int_equal(n, FRAME_HEAD_BYTES + h.body_bytes);
	assert_int_equal(codec_decode((const uint8_t *)bytes + FRAME_HEAD_BYTES,
				      h.body_bytes, &m, NULL),
			 ERR_OK);
	check_answer(l, &m);
	message_clear(&m);
	return take(&world.in, 32) == 31 ? ERR_RESET : ERR_OK;
}

/* --- what is asked ------------------------------------------------------ */

static struct identity any_identity(void)
{
	struct place *p = any_place();
	struct identity id = { p->incarnation, p->addr };
	unsigned how = take(&world.in, 8);

	if (how == 1)
		id.incarnation++;
	else if (how == 2 && id.incarnation > 1)
		id.incarnation--;
	else if (how == 3)
		id.addr.port = (uint16_t)(1 + take(&world.in, 256));
	else if (how == 4)
		id = world.seed.self;
	return id;
}

static struct message any_request(void)
{
	static const enum message_type types[] = {
		MSG_REGISTER,      MSG_REGISTER,   MSG_REGISTER,
		MSG_DEATH,         MSG_DEATH,      MSG_DEATH,
		MSG_GET_PEER_LIST, MSG_LIVELINESS, MSG_BYE
	};
	struct message m = { .type = types[take(&world.in, COUNT_OF(types))] };
	bool leased = take(&world.in, 2) == 1;

	if (m.type == MSG_REGISTER) {
		m.reg.id = any_identity();
		m.reg.want = take(&world.in, WANT_REGISTER_MAX + 1);
		m.reg.has_lease = leased;
		m.reg.lease = any_place()->lease;
	} else if (m.type == MSG_DEATH) {
		m.death.id = any_identity();
		m.death.reason = take(&world.in, DEATH_REFUSED + 1);
		m.death.has_lease = leased;
		m.death.lease = any_place()->lease;
		if (take(&world.in, 4) == 1)
			m.death.id.incarnation = 0;
		if (take(&world.in, 2) == 1)
			m.death.reporter = any_place()->addr;
	} else if (m.type == MSG_GET_PEER_LIST) {
		m.get_peer_list.want = 4 * take(&world.in, 250);
	} else if (m.type == MSG_LIVELINESS) {
		m.liveliness.nonce = take(&world.in, 256);
	}
	return m;
}

static void add_frame(struct buf *to, const void *body, size_t n)
{
	struct frame_head h = { .body_bytes = (uint32_t)n };
	uint8_t head[FRAME_HEAD_BYTES];

	frame_head_write(&h, head);
	buf_add(to, head, sizeof head);
	buf_add(to, body, n);
}

static void add_request(struct line *l)
{
	struct message m = any_request();
	struct frame *f = NULL;

	if (codec_encode(&m, &f) != ERR_OK)
		return;
	add_frame(&l->in, f->body, f->body_bytes);
	frame_release(f);
}

static void add_raw(struct line *l, bool framed)
{
	size_t n, most = take(&world.in, 256) * RAW_MAX / 255;
	const uint8_t *bytes = take_bytes(&world.in, most, &n);

	if (framed)
		add_frame(&l->in, bytes, n);
	else
		buf_add(&l->in, bytes, n);
}

/* What a seed does by itself. */
static void run_job(void)
{
	struct job *j = world.jobs[0];
	struct waker w;

	memmove(world.jobs, world.jobs + 1, --world.job_n * sizeof *world.jobs);
	waker_init(&w);
	if (take(&world.in, 16) == 1)
		j->run(j, NULL, true);
	else
		j->run(j, &w, false);
	waker_destroy(&w);
}

/* R14: who answers within a check is not removed by it. */
static void run_checked_job(void)
{
	struct registry *r = world.seed.registry;
	struct registry_entry before[PLACES], after;
	bool there[PLACES], alive[PLACES];

	if (world.job_n == 0)
		return;
	for (unsigned i = 0; i < PLACES; i++) {
		const struct place *p = &world.places[i];

		there[i] = registry_get(r, &p->addr, world.now_ms,
					&before[i]) == ERR_OK;
		alive[i] = there[i] && p->nature == ALIVE &&
			   before[i].id.incarnation == p->incarnation;
	}
	world.requests += REQUESTS_MAX; /* nobody else meanwhile */
	run_job();
	world.requests -= REQUESTS_MAX;
	for (unsigned i = 0; i < PLACES; i++) {
		const struct addr *a = &world.places[i].addr;

		if (!alive[i])
			continue;
		assert_int_equal(registry_get(r, a, world.now_ms, &after),
				 ERR_OK);
		assert_true(identity_equal(&after.id, &before[i].id));
	}
}

/* Somebody starts, ends, or starts anew. */
static void change_place(void)
{
	struct place *p = any_place();

	p->nature = take(&world.in, ELSE + 1);
	p->incarnation += take(&world.in, 2);
}

/* What the socket gives next: the input decides. */
static enum err next_bytes(struct line *l)
{
	switch (take(&world.in, 16)) {
	case 0:
		return ERR_CLOSED;
	case 1:
		return ERR_RESET;
	case 2:
		add_raw(l, false);
		break;
	case 3:
		add_raw(l, true);
		break;
	case 4:
		change_place();
		break;
	case 5:
		world.now_ms += 1 << take(&world.in, 20);
		break;
	case 6:
		run_checked_job();
		break;
	case 7:
		verify_lapsed(&world.seed);
		break;
	case 8:
		serve_one();
		break;
	default:
		add_request(l);
	}
	return ERR_OK;
}

/* Nobody has a key in here. */
void keys_copy(struct keys *k, struct keyring *out)
{
	(void)k;
	(void)out;
	abort();
}

bool keys_have(struct keys *k, const struct key_id *id)
{
	(void)k;
	(void)id;
	abort();
}

enum err sock_send_now(int fd, const struct iovec *v, int n, size_t *sent)
{
	(void)fd;
	(void)v;
	(void)n;
	(void)sent;
	abort();
}

bool sock_patience(int fd, int64_t ms)
{
	world.lines[fd - SEED_FD].patience_ms = ms;
	return true;
}

enum err sock_recv(int fd, void *buf, size_t cap, size_t *got,
		   int64_t deadline_ms)
{
	struct line *l = &world.lines[fd - SEED_FD];
	enum err e = ERR_OK;

	assert_int_equal(world.locks, 0);
	if (deadline_ms == INT64_MAX) {
		assert_true(l->patience_ms > 0);
		deadline_ms = world.now_ms + l->patience_ms;
	}
	while (e == ERR_OK && l->in.len == 0) {
		if (world.in.n == 0 || world.requests > REQUESTS_MAX)
			return ERR_CLOSED;
		world.requests++;
		e = next_bytes(l);
		if (world.now_ms > deadline_ms)
			return ERR_TIMEOUT;
	}
	if (e != ERR_OK)
		return e;
	assert_true(cap > 0);
	*got = l->in.len < cap ? l->in.len : cap;
	memcpy(buf, l->in.data, *got);
	buf_add(&l->given, l->in.data, *got);
	buf_drop(&l->in, *got);
	return ERR_OK;
}

/* --- all of it ---------------------------------------------------------- */

/* One connection, from its beginning to its end. */
static void serve_one(void)
{
	struct line *l;

	if (world.depth == NEST_MAX || world.requests > REQUESTS_MAX)
		return;
	l = &world.lines[world.depth];
	l->conn.fd = SEED_FD + (int)world.depth;
	l->conn.remote = any_place()->addr;
	l->conn.remote.port = 40000;
	waker_init(&l->conn.waker);
	if (waker_watch(&l->conn.waker, l->conn.fd) != ERR_OK)
		abort();
	l->patience_ms = 0;
	world.depth++;
	service_serve(&world.seed, &l->conn);
	world.depth--;
	waker_destroy(&l->conn.waker);
	buf_free(&l->in);
	buf_free(&l->given);
	answered(l);
	check_registry();
}

static void create(void)
{
	struct config *c = &world.config;
	unsigned b = take(&world.in, 256);
	struct registry_config rc = { .period_ms = 1000, .lease_periods = 3 };

	*c = preset;
	c->seed.allow_foreign = (b & 1) != 0;
	c->seed.peers_max = (b & 2) != 0 ? 3 : 100;
	c->seed.verify_queue = JOBS_MAX;
	c->seed.period_ms = rc.period_ms;
	rc.peers_max = c->seed.peers_max;
	rc.per_host_max = (b & 4) != 0 ? 1 : 0;
	rc.seeds = 1 + (b >> 3) % 4;
	rc.rng_seed = b;
	world.seed = (struct seed){ .config = c };
	world.seed.self.incarnation = 5;
	world.seed.self.addr = place_addr(PLACES);
	world.seed.registry = registry_new(&rc);
	assert_non_null(world.seed.registry);
	world.now_ms = 1000000;
	world.proven_n = world.job_n = 0;
	world.depth = world.requests = 0;
	world.secrets = 0;
	world.locks = 0;
	world.forgot = false;
	for (unsigned i = 0; i < PLACES; i++)
		world.places[i] = (struct place){
			.addr = place_addr(i),
			.nature = i % 3 == 2 ? REFUSED : ALIVE,
			.incarnation = 10,
		};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	world.in = (struct tape){ data, size };
	create();
	while (world.in.n > 0 && world.requests <= REQUESTS_MAX)
		serve_one();
	while (world.job_n > 0)
		run_job();
	check_registry();
	registry_free(world.seed.registry);
	return 0;
}
