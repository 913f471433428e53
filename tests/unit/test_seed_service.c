/* A whole seed but for its main, asked through real sockets on loopback. Its
 * peers are small servers that answer a Liveliness as they are told. */
#include "base/crypto.h"
#include "io/clock.h"
#include "io/sock.h"
#include "io/talk.h"
#include "seed/seed.h"

#include "test.h"

#include <stdatomic.h>
#include <unistd.h>

#define PATIENCE_MS 10000 /* for what must come; a test never waits so long */

static struct config config;
static struct seed *seed;
static struct log *quiet;

static int begin(void **state)
{
	static const struct config_log log = { .level = LOG_DEBUG,
					       .color = COLOR_NEVER };
	struct log_options o = { .path = "/dev/null", .config = &log };

	(void)state;
	assert_int_equal(crypto_init(), ERR_OK);
	assert_int_equal(log_open(&quiet, &o), ERR_OK);
	config_init(&config);
	config.seed.handshake_ms = 300;
	config.seed.idle_ms = 300;
	config.seed.dial_back_ms = 400;
	config.seed.verify_connect_ms = 300;
	config.seed.verify_reply_ms = 300;
	config.seed.verify_retry_ms = 50;
	return 0;
}

static struct addr addr_of(const char *text)
{
	struct addr a;
	char copy[ADDR_TEXT_MAX];

	/* Port 0 has no canonical text, but a listener may ask for it. */
	snprintf(copy, sizeof copy, "%s:1", text);
	assert_true(addr_parse(copy, strlen(copy), &a));
	a.port = 0;
	return a;
}

/* Started by each test, when it has set what it wants otherwise. */
static void start_seed_on(const char *host)
{
	struct seed_options o = { .config = &config,
				  .log = quiet,
				  .listen = addr_of(host) };

	assert_int_equal(seed_start(&seed, &o), ERR_OK);
}

static void start_seed(void)
{
	start_seed_on("127.0.0.1");
}

static void stop_seed(void)
{
	seed_stop(seed);
	seed_stop(seed); /* as often as one likes */
	seed_join(seed);
	seed = NULL;
}

static int end(void **state)
{
	(void)state;
	if (seed)
		stop_seed();
	log_close(quiet);
	return 0;
}

/* --- peers ---------------------------------------------------------------- */

struct peer {
	struct server *server;
	struct identity id; /* what it registers with */
	atomic_uint_fast64_t
		says; /* the incarnation it answers with, 0: mute */
	atomic_int asked;
	atomic_bool holds; /* its first answer, until this is false */
	atomic_bool lies;  /* answers another question */
	struct hash lease;
	struct rejects rejects; /* of its server */
};

static void peer_serve(void *ctx, struct conn *c)
{
	struct peer *p = ctx;
	struct message in, out;
	struct talk t;

	talk_accept(&t, NULL, c->fd, &c->waker, FRAME_BODY_STRANGER_MAX);
	while (talk_recv(&t, &in, clock_ms() + PATIENCE_MS) == ERR_OK) {
		uint64_t says = atomic_load(&p->says);

		assert_int_equal(in.type, MSG_LIVELINESS);
		if (atomic_fetch_add(&p->asked, 1) == 0)
			while (atomic_load(&p->holds))
				usleep(1000);
		out = (struct message){ .type = MSG_LIVELINESS_REPLY };
		out.liveliness_reply.nonce = in.liveliness.nonce;
		out.liveliness_reply.nonce ^= atomic_load(&p->lies);
		out.liveliness_reply.id = p->id;
		out.liveliness_reply.id.incarnation = says;
		message_clear(&in);
		if (says != 0 &&
		    talk_send(&t, &out, clock_ms() + PATIENCE_MS) != ERR_OK)
			break;
	}
	talk_close(&t);
}

static void peer_listen(struct peer *p, struct addr where)
{
	struct server_config c = { .name = "peer",
				   .listen = where,
				   .connections_max = 100,
				   .serve = peer_serve,
				   .ctx = p,
				   .rejects = &p->rejects };

	assert_int_equal(server_open(&p->server, &c, &p->id.addr), ERR_OK);
	assert_int_equal(server_start(p->server), ERR_OK);
}

static void peer_start(struct peer *p, const char *host, uint64_t incarnation)
{
	memset(p, 0, sizeof *p);
	p->id.incarnation = incarnation;
	atomic_store(&p->says, incarnation);
	peer_listen(p, addr_of(host));
}

static void peer_stop(struct peer *p)
{
	if (!p->server)
		return;
	server_stop(p->server);
	server_join(p->server);
	p->server = NULL;
}

/* --- conversations -------------------------------------------------------- */

static void dial(struct talk *t)
{
	assert_int_equal(talk_open(t, NULL, &seed->self.addr, NULL,
				   clock_ms() + PATIENCE_MS),
			 ERR_OK);
}

/* The addresses of a list are freed with it: what a test wants to know of
 * them is kept here. */
struct list {
	struct msg_peer_list list;
	struct addr peers[WANT_LIST_MAX];
};

static void take_list(struct message *m, struct list *out)
{
	out->list = m->peer_list;
	for (size_t i = 0; i < m->peer_list.peers.n; i++)
		out->peers[i] = m->peer_list.peers.v[i];
	message_clear(m);
}

static struct message ask_on(struct talk *t, const struct message *m,
			     enum message_type want)
{
	struct message got;

	assert_int_equal(talk_ask(t, m, want, &got, clock_ms() + PATIENCE_MS),
			 ERR_OK);
	return got;
}

static struct message ask(const struct message *m, enum message_type want)
{
	struct message got;
	struct talk t;

	dial(&t);
	got = ask_on(&t, m, want);
	talk_close(&t);
	return got;
}

static struct list say_register(const struct identity *id,
				const struct hash *lease)
{
	struct message m = { .type = MSG_REGISTER }, got;
	struct list l;

	m.reg.id = *id;
	m.reg.want = WANT_REGISTER_MAX;
	if (lease) {
		m.reg.has_lease = true;
		m.reg.lease = *lease;
	}
	got = ask(&m, MSG_PEER_LIST);
	take_list(&got, &l);
	assert_true(l.list.registered);
	return l;
}

static void peer_join(struct peer *p)
{
	struct list l = say_register(&p->id, NULL);

	assert_true(l.list.reachable);
	p->lease = l.list.lease;
}

static struct list get_list(uint32_t want)
{
	struct message m = { .type = MSG_GET_PEER_LIST }, got;
	struct list l;

	m.get_peer_list.want = want;
	got = ask(&m, MSG_PEER_LIST);
	take_list(&got, &l);
	assert_false(l.list.registered);
	return l;
}

static bool handed_out(const struct peer *p)
{
	struct list l = get_list(WANT_LIST_MAX);

	for (size_t i = 0; i < l.list.peers.n; i++)
		if (addr_equal(&l.peers[i], &p->id.addr))
			return true;
	return false;
}

static enum death_verdict say_death(const struct identity *id,
				    enum death_reason reason,
				    const struct hash *lease)
{
	struct message m = { .type = MSG_DEATH }, got;

	m.death.id = *id;
	m.death.reason = reason;
	if (lease) {
		m.death.has_lease = true;
		m.death.lease = *lease;
	}
	got = ask(&m, MSG_DEATH_REPLY);
	return got.death_reply.verdict;
}

static bool is_zero(const struct hash *h)
{
	const struct hash zero = { { 0 } };

	return crypto_equal(h, &zero);
}

static uint64_t status(const char *key)
{
	struct buf b = { 0 };
	char pattern[64];
	const char *at;
	uint64_t n;

	seed_status(seed, &b);
	snprintf(pattern, sizeof pattern, "\"%s\":", key);
	assert_non_null(buf_text(&b));
	at = strstr(buf_text(&b), pattern);
	assert_non_null(at);
	n = strtoull(at + strlen(pattern), NULL, 10);
	buf_free(&b);
	return n;
}

#define WAIT_FOR(condition)                                             \
	for (int64_t until_ms = clock_ms() + PATIENCE_MS; !(condition); \
	     usleep(1000))                                              \
	assert_true(clock_ms() < until_ms)

/* --- R2 ------------------------------------------------------------------- */

static void a_new_peer_is_dialed_back_and_listed(void **state)
{
	struct peer p;
	struct list l;

	(void)state;
	start_seed();
	peer_start(&p, "127.0.0.1", 1000);
	l = say_register(&p.id, NULL);
	assert_true(l.list.reachable);
	assert_int_equal(atomic_load(&p.asked), 1);
	assert_int_equal(l.list.count, 1);
	assert_int_equal(l.list.peers.n, 0);
	assert_int_equal(l.list.period_ms, config.seed.period_ms);
	assert_false(is_zero(&l.list.lease));
	assert_true(addr_same_host(&l.list.you, &p.id.addr));
	assert_true(handed_out(&p));
	assert_int_equal(status("registers"), 1);
	peer_stop(&p);
}

static void it_works_on_ipv6_too(void **state)
{
	struct peer p;

	(void)state;
	start_seed_on("[::1]");
	peer_start(&p, "[::1]", 1000);
	peer_join(&p);
	assert_true(handed_out(&p));
	peer_stop(&p);
}

static void who_does_not_answer_is_not_listed(void **state)
{
	struct peer refusing, mute, other, liar;
	struct list l;

	(void)state;
	start_seed();
	peer_start(&refusing, "127.0.0.1", 1000);
	peer_stop(&refusing);
	peer_start(&mute, "127.0.0.1", 1000);
	atomic_store(&mute.says, 0);
	peer_start(&other, "127.0.0.1", 1000);
	atomic_store(&other.says, 999);
	peer_start(&liar, "127.0.0.1", 1000);
	atomic_store(&liar.lies, true);
	l = say_register(&refusing.id, NULL);
	assert_false(l.list.reachable);
	assert_true(is_zero(&l.list.lease));
	assert_false(say_register(&mute.id, NULL).list.reachable);
	assert_false(say_register(&other.id, NULL).list.reachable);
	assert_false(say_register(&liar.id, NULL).list.reachable);
	assert_int_equal(get_list(10).list.count, 0);
	assert_int_equal(status("unreachable"), 4);
	peer_stop(&liar);
	peer_stop(&mute);
	peer_stop(&other);
}

static void another_hosts_address_is_not_listed(void **state)
{
	struct peer p, known;
	struct list l;

	(void)state;
	start_seed();
	peer_start(&known, "127.0.0.1", 1);
	peer_join(&known);
	peer_start(&p, "127.0.0.2", 1000);
	l = say_register(&p.id, NULL);
	assert_false(l.list.reachable);
	assert_true(is_zero(&l.list.lease));
	assert_int_equal(l.list.peers.n, 0);
	assert_int_equal(l.list.count, 1);
	assert_int_equal(atomic_load(&p.asked), 0);
	assert_int_equal(status("foreign"), 1);
	peer_stop(&p);
	peer_stop(&known);
}

static void with_allow_foreign_it_is_listed_if_it_answers(void **state)
{
	struct peer p;

	(void)state;
	config.seed.allow_foreign = true;
	start_seed();
	peer_start(&p, "127.0.0.2", 1000);
	peer_join(&p);
	assert_int_equal(atomic_load(&p.asked), 1);
	peer_stop(&p);
}

static void a_seed_does_not_list_itself(void **state)
{
	(void)state;
	start_seed();
	assert_false(say_register(&seed->self, NULL).list.reachable);
	assert_int_equal(get_list(10).list.count, 0);
}

static void a_renewal_is_not_dialed_back(void **state)
{
	struct peer p;

	(void)state;
	start_seed();
	peer_start(&p, "127.0.0.1", 1000);
	peer_join(&p);
	atomic_store(&p.says, 0);
	assert_true(say_register(&p.id, &p.lease).list.reachable);
	assert_int_equal(atomic_load(&p.asked), 1);
	peer_stop(&p);
}

static void only_who_shows_the_lease_is_told_it_again(void **state)
{
	struct hash wrong = { { 1 } };
	struct peer p;
	struct list l;

	(void)state;
	start_seed();
	peer_start(&p, "127.0.0.1", 1000);
	peer_join(&p);
	l = say_register(&p.id, NULL);
	assert_true(l.list.reachable && is_zero(&l.list.lease));
	l = say_register(&p.id, &wrong);
	assert_true(l.list.reachable && is_zero(&l.list.lease));
	l = say_register(&p.id, &p.lease);
	assert_true(crypto_equal(&l.list.lease, &p.lease));
	/* What a stranger renewed is not the stranger's. */
	assert_int_equal(say_death(&p.id, DEATH_LEFT, &p.lease),
			 VERDICT_REMOVED);
	peer_stop(&p);
}

static void a_newer_run_replaces_the_known_one_once_proven(void **state)
{
	struct identity newer;
	struct peer p;

	(void)state;
	start_seed();
	peer_start(&p, "127.0.0.1", 1000);
	peer_join(&p);
	newer = p.id;
	newer.incarnation = 2000;
	assert_false(say_register(&newer, NULL).list.reachable);
	assert_true(say_register(&p.id, NULL).list.reachable);
	atomic_store(&p.says, 2000);
	assert_true(say_register(&newer, NULL).list.reachable);
	assert_int_equal(get_list(10).list.count, 1);
	assert_int_equal(say_death(&p.id, DEATH_LEFT, &p.lease), VERDICT_ALIVE);
	peer_stop(&p);
}

static void an_older_run_is_ignored_unless_it_is_proven(void **state)
{
	struct identity older;
	struct peer p;

	(void)state;
	start_seed();
	peer_start(&p, "127.0.0.1", 1000);
	peer_join(&p);
	older = p.id;
	older.incarnation = 500;
	assert_false(say_register(&older, NULL).list.reachable);
	assert_int_equal(status("older"), 1);
	/* Its clock was set back. */
	atomic_store(&p.says, 500);
	assert_true(say_register(&older, NULL).list.reachable);
	assert_int_equal(get_list(10).list.count, 1);
	peer_stop(&p);
}

/* The old run answered the dial-back, and then a new one took its place. */
static void a_proof_that_a_newer_run_overtook_counts_no_more(void **state)
{
	struct message m = { .type = MSG_REGISTER }, got;
	struct identity newer;
	struct peer p;
	struct talk t;

	(void)state;
	config.seed.dial_back_ms = PATIENCE_MS;
	start_seed();
	peer_start(&p, "127.0.0.1", 1000);
	atomic_store(&p.holds, true);
	m.reg.id = p.id;
	dial(&t);
	assert_int_equal(talk_send(&t, &m, clock_ms() + PATIENCE_MS), ERR_OK);
	WAIT_FOR(atomic_load(&p.asked) == 1);
	newer = p.id;
	newer.incarnation = 2000;
	atomic_store(&p.says, 2000);
	assert_true(say_register(&newer, NULL).list.reachable);
	atomic_store(&p.holds, false);
	assert_int_equal(talk_recv(&t, &got, clock_ms() + PATIENCE_MS), ERR_OK);
	assert_false(got.peer_list.reachable);
	message_clear(&got);
	talk_close(&t);
	assert_int_equal(say_death(&p.id, DEATH_RESET, NULL), VERDICT_ALIVE);
	peer_stop(&p);
}

static void the_second_to_join_is_told_of_the_first(void **state)
{
	struct peer a, b;
	struct list l;

	(void)state;
	start_seed();
	peer_start(&a, "127.0.0.1", 1);
	peer_start(&b, "127.0.0.1", 1);
	peer_join(&a);
	l = say_register(&b.id, NULL);
	assert_int_equal(l.list.count, 2);
	assert_int_equal(l.list.peers.n, 1);
	assert_true(addr_equal(&l.peers[0], &a.id.addr));
	peer_stop(&a);
	peer_stop(&b);
}

static void a_full_seed_lists_nobody_else_but_helps(void **state)
{
	struct peer a, b;
	struct list l;

	(void)state;
	config.seed.peers_max = 1;
	start_seed();
	peer_start(&a, "127.0.0.1", 1);
	peer_start(&b, "127.0.0.1", 1);
	peer_join(&a);
	l = say_register(&b.id, NULL);
	assert_false(l.list.reachable);
	assert_true(is_zero(&l.list.lease));
	assert_int_equal(l.list.count, 1);
	assert_int_equal(l.list.peers.n, 1);
	assert_int_equal(status("full"), 1);
	peer_stop(&a);
	peer_stop(&b);
}

/* --- R14 ------------------------------------------------------------------ */

static void a_death_of_nobody_known_is_unknown(void **state)
{
	struct peer p;
	struct identity later;

	(void)state;
	start_seed();
	peer_start(&p, "127.0.0.1", 1000);
	assert_int_equal(say_death(&p.id, DEATH_RESET, NULL), VERDICT_UNKNOWN);
	peer_join(&p);
	later = p.id;
	later.incarnation = 1001;
	assert_int_equal(say_death(&later, DEATH_RESET, NULL), VERDICT_UNKNOWN);
	assert_int_equal(atomic_load(&p.asked), 1);
	assert_int_equal(status("deaths"), 2);
	peer_stop(&p);
}

static void who_leaves_with_its_lease_is_gone_at_once(void **state)
{
	struct peer p;

	(void)state;
	start_seed();
	peer_start(&p, "127.0.0.1", 1000);
	peer_join(&p);
	assert_int_equal(say_death(&p.id, DEATH_LEFT, &p.lease),
			 VERDICT_REMOVED);
	assert_int_equal(get_list(10).list.count, 0);
	assert_int_equal(say_death(&p.id, DEATH_LEFT, &p.lease),
			 VERDICT_UNKNOWN);
	assert_int_equal(status("deaths_confirmed"), 1);
	peer_stop(&p);
}

static void a_forged_death_never_removes_a_live_peer(void **state)
{
	struct hash forged = { { 7 } };
	struct peer p;

	(void)state;
	start_seed();
	peer_start(&p, "127.0.0.1", 1000);
	peer_join(&p);
	for (int i = 0; i < 60; i++) {
		struct identity id = p.id;
		enum death_reason reason = (enum death_reason)(i % 4);
		enum death_verdict v;

		id.incarnation = i % 3 == 0 ? 0 : id.incarnation;
		v = say_death(&id, reason, i / 4 % 2 ? &forged : NULL);
		assert_int_equal(v, VERDICT_VERIFYING);
		assert_int_equal(get_list(10).list.count, 1);
	}
	/* The lease with another reason than left is not enough either. */
	assert_int_equal(say_death(&p.id, DEATH_SILENT, &p.lease),
			 VERDICT_VERIFYING);
	WAIT_FOR(handed_out(&p));
	assert_int_equal(status("deaths_confirmed"), 0);
	assert_true(status("deaths_refuted") > 0);
	peer_stop(&p);
}

static void a_true_death_is_found_after_two_refusals(void **state)
{
	struct peer p;

	(void)state;
	start_seed();
	peer_start(&p, "127.0.0.1", 1000);
	peer_join(&p);
	peer_stop(&p);
	assert_int_equal(say_death(&p.id, DEATH_REFUSED, NULL),
			 VERDICT_VERIFYING);
	WAIT_FOR(get_list(10).list.count == 0);
	assert_int_equal(status("deaths_confirmed"), 1);
}

static void one_refusal_is_not_enough(void **state)
{
	struct peer p;

	(void)state;
	config.seed.verify_retry_ms = 300;
	start_seed();
	peer_start(&p, "127.0.0.1", 1000);
	peer_join(&p);
	peer_stop(&p);
	assert_int_equal(say_death(&p.id, DEATH_REFUSED, NULL),
			 VERDICT_VERIFYING);
	usleep(100000); /* the first try is over, or the test proves less */
	peer_listen(&p, p.id.addr);
	WAIT_FOR(handed_out(&p));
	assert_int_equal(status("deaths_refuted"), 1);
	peer_stop(&p);
}

static void a_peer_that_only_accepts_is_found_dead(void **state)
{
	struct peer p;

	(void)state;
	start_seed();
	peer_start(&p, "127.0.0.1", 1000);
	peer_join(&p);
	atomic_store(&p.says, 0);
	assert_int_equal(say_death(&p.id, DEATH_SILENT, NULL),
			 VERDICT_VERIFYING);
	WAIT_FOR(get_list(10).list.count == 0);
	assert_int_equal(atomic_load(&p.asked), 2);
	peer_stop(&p);
}

static void a_run_whose_address_another_run_answers_is_dead(void **state)
{
	struct peer p;

	(void)state;
	start_seed();
	peer_start(&p, "127.0.0.1", 1000);
	peer_join(&p);
	atomic_store(&p.says, 2000);
	assert_int_equal(say_death(&p.id, DEATH_SILENT, NULL),
			 VERDICT_VERIFYING);
	WAIT_FOR(get_list(10).list.count == 0);
	peer_stop(&p);
}

static void while_it_is_checked_it_is_not_handed_out(void **state)
{
	struct peer p;

	(void)state;
	config.seed.verify_reply_ms = 2000;
	start_seed();
	peer_start(&p, "127.0.0.1", 1000);
	peer_join(&p);
	atomic_store(&p.says, 0);
	for (int i = 0; i < 20; i++)
		assert_int_equal(say_death(&p.id, DEATH_SILENT, NULL),
				 VERDICT_VERIFYING);
	assert_false(handed_out(&p));
	assert_int_equal(get_list(10).list.count, 1);
	/* A renewal does not end the check (R14), and there is only one. */
	assert_true(say_register(&p.id, &p.lease).list.reachable);
	assert_false(handed_out(&p));
	WAIT_FOR(atomic_load(&p.asked) == 2);
	peer_stop(&p);
}

static void when_nobody_is_free_to_check_the_answer_is_busy(void **state)
{
	struct peer p[3];

	(void)state;
	config.seed.verify_max = 1;
	config.seed.verify_queue = 1;
	config.seed.verify_reply_ms = 5000;
	start_seed();
	for (int i = 0; i < 3; i++) {
		peer_start(&p[i], "127.0.0.1", 1000);
		peer_join(&p[i]);
		atomic_store(&p[i].says, 0);
	}
	assert_int_equal(say_death(&p[0].id, DEATH_SILENT, NULL),
			 VERDICT_VERIFYING);
	WAIT_FOR(atomic_load(&p[0].asked) == 2);
	assert_int_equal(say_death(&p[1].id, DEATH_SILENT, NULL),
			 VERDICT_VERIFYING);
	assert_int_equal(say_death(&p[2].id, DEATH_SILENT, NULL), VERDICT_BUSY);
	assert_false(handed_out(&p[0]) || handed_out(&p[1]));
	assert_true(handed_out(&p[2]));
	for (int i = 0; i < 3; i++)
		peer_stop(&p[i]);
}

/* --- R17 ------------------------------------------------------------------ */

static void a_lapsed_lease_is_checked_and_the_dead_removed(void **state)
{
	struct peer alive, dead;

	(void)state;
	config.seed.period_ms = 50;
	start_seed();
	peer_start(&alive, "127.0.0.1", 1000);
	peer_start(&dead, "127.0.0.1", 1000);
	peer_join(&alive);
	peer_join(&dead);
	peer_stop(&dead);
	WAIT_FOR(get_list(10).list.count == 1);
	WAIT_FOR(atomic_load(&alive.asked) > 2);
	assert_int_equal(get_list(10).list.count, 1);
	/* These were nobody's reports. */
	assert_int_equal(status("deaths_confirmed"), 0);
	assert_int_equal(status("deaths_refuted"), 0);
	peer_stop(&alive);
}

/* --- the connection ------------------------------------------------------- */

static void it_answers_a_liveliness_with_its_identity(void **state)
{
	struct message m = { .type = MSG_LIVELINESS }, got;

	(void)state;
	start_seed();
	m.liveliness.nonce = NONCE_MAX;
	got = ask(&m, MSG_LIVELINESS_REPLY);
	assert_int_equal(got.liveliness_reply.nonce, NONCE_MAX);
	assert_true(identity_equal(&got.liveliness_reply.id, &seed->self));
	assert_int_equal(got.liveliness_reply.neighbors, 0);
	message_clear(&got);
}

static void several_requests_may_follow_each_other(void **state)
{
	struct message m = { .type = MSG_GET_PEER_LIST }, got;
	struct talk t;

	(void)state;
	start_seed();
	dial(&t);
	for (int i = 0; i < 50; i++) {
		got = ask_on(&t, &m, MSG_PEER_LIST);
		message_clear(&got);
	}
	talk_close(&t);
	assert_int_equal(status("lists"), 50);
}

/* Sends bytes to the seed; true if it then ends the connection unasked. */
static bool ends_after(const void *bytes, size_t n)
{
	struct talk t;
	char byte;
	size_t got;
	enum err e;

	dial(&t);
	if (n > 0)
		assert_int_equal(
			sock_send(t.fd, bytes, n, clock_ms() + PATIENCE_MS),
			ERR_OK);
	e = sock_recv(t.fd, &byte, 1, &got, clock_ms() + PATIENCE_MS);
	talk_close(&t);
	return e == ERR_CLOSED || e == ERR_RESET;
}

static size_t frame_of(const char *body, uint8_t *out)
{
	struct frame_head h = { .body_bytes = (uint32_t)strlen(body) };

	frame_head_write(&h, out);
	memcpy(out + FRAME_HEAD_BYTES, body, h.body_bytes);
	return FRAME_HEAD_BYTES + h.body_bytes;
}

static void a_breach_ends_the_connection_and_is_counted(void **state)
{
	static const uint8_t version[] = { 2, 0, 0, 0, 0, 0, 0, 2, '{', '}' };
	static const uint8_t big[] = { 1, 0, 0, 0, 0, 0, 2, 1 };
	static const uint8_t huge[] = { 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff };
	static const uint8_t empty[] = { 1, 0, 0, 0, 0, 0, 0, 0 };
	uint8_t frame[600];

	(void)state;
	start_seed();
	assert_true(ends_after(version, sizeof version));
	assert_int_equal(status("version"), 1);
	assert_true(ends_after(big, sizeof big));
	assert_true(ends_after(huge, sizeof huge));
	assert_true(ends_after(empty, sizeof empty));
	assert_int_equal(status("oversized"), 3);
	assert_true(
		ends_after(frame, frame_of("{\"type\":\"Register\"}", frame)));
	assert_true(ends_after(frame, frame_of("{]", frame)));
	assert_int_equal(status("malformed"), 2);
	assert_true(ends_after(frame, frame_of("{\"type\":\"Bye\",\"reason\":"
					       "\"busy\"}",
					       frame)));
	assert_int_equal(status("unexpected"), 1);
	assert_int_equal(get_list(1).list.count, 0);
}

static void an_unknown_type_is_counted_and_passed_over(void **state)
{
	struct message m = { .type = MSG_GET_PEER_LIST }, got;
	uint8_t frame[100];
	struct talk t;
	size_t n = frame_of("{\"type\":\"Weather\",\"rain\":true}", frame);

	(void)state;
	start_seed();
	dial(&t);
	assert_int_equal(sock_send(t.fd, frame, n, clock_ms() + PATIENCE_MS),
			 ERR_OK);
	got = ask_on(&t, &m, MSG_PEER_LIST);
	message_clear(&got);
	talk_close(&t);
	assert_int_equal(status("unknown"), 1);
}

static void silence_and_half_a_frame_are_ended_in_time(void **state)
{
	uint8_t frame[100];
	size_t n = frame_of("{\"type\":\"Get Peer List\"}", frame);
	int64_t started_ms;

	(void)state;
	start_seed();
	started_ms = clock_ms();
	assert_true(ends_after(frame, 0));
	assert_true(ends_after(frame, n - 1));
	assert_true(clock_ms() - started_ms >= 600);
	assert_true(clock_ms() - started_ms < PATIENCE_MS / 2);
	assert_int_equal(status("handshake"), 2);
}

static void who_has_asked_may_stay_until_idle_without_a_word(void **state)
{
	struct message m = { .type = MSG_GET_PEER_LIST }, got;
	struct talk t;
	char byte;
	size_t n;

	(void)state;
	start_seed();
	dial(&t);
	got = ask_on(&t, &m, MSG_PEER_LIST);
	message_clear(&got);
	assert_int_equal(
		sock_recv(t.fd, &byte, 1, &n, clock_ms() + PATIENCE_MS),
		ERR_CLOSED);
	talk_close(&t);
	assert_int_equal(status("handshake"), 0);
	assert_int_equal(status("truncated"), 0);
}

static void it_stops_at_once_whatever_it_is_doing(void **state)
{
	struct message m = { .type = MSG_REGISTER }, got;
	struct peer mute, gone, calm;
	struct talk asking, idle, done;
	int64_t started_ms;

	(void)state;
	config.seed.dial_back_ms = 60000;
	config.seed.verify_reply_ms = 60000;
	config.seed.verify_retry_ms = 60000;
	config.seed.handshake_ms = 60000;
	config.seed.idle_ms = 60000;
	start_seed();
	peer_start(&mute, "127.0.0.1", 1000);
	peer_join(&mute);
	peer_start(&gone, "127.0.0.1", 1000);
	peer_join(&gone);
	peer_stop(&gone);
	atomic_store(&mute.says, 0);
	/* One check waits for a reply, one for its second try, a dial-back for
	 * an answer, a connection for its first word, and one, after its
	 * dial-back, for its next. */
	say_death(&mute.id, DEATH_SILENT, NULL);
	say_death(&gone.id, DEATH_SILENT, NULL);
	peer_start(&calm, "127.0.0.1", 1000);
	m.reg.id = calm.id;
	dial(&done);
	got = ask_on(&done, &m, MSG_PEER_LIST);
	message_clear(&got);
	m.reg.id = mute.id;
	m.reg.id.incarnation = 2000;
	dial(&asking);
	dial(&idle);
	assert_int_equal(talk_send(&asking, &m, clock_ms() + PATIENCE_MS),
			 ERR_OK);
	WAIT_FOR(atomic_load(&mute.asked) == 3);
	started_ms = clock_ms();
	stop_seed();
	assert_true(clock_ms() - started_ms < 2000);
	talk_close(&asking);
	talk_close(&idle);
	talk_close(&done);
	peer_stop(&calm);
	peer_stop(&mute);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_new_peer_is_dialed_back_and_listed),
		TEST(it_works_on_ipv6_too),
		TEST(who_does_not_answer_is_not_listed),
		TEST(another_hosts_address_is_not_listed),
		TEST(with_allow_foreign_it_is_listed_if_it_answers),
		TEST(a_seed_does_not_list_itself),
		TEST(a_renewal_is_not_dialed_back),
		TEST(only_who_shows_the_lease_is_told_it_again),
		TEST(a_newer_run_replaces_the_known_one_once_proven),
		TEST(an_older_run_is_ignored_unless_it_is_proven),
		TEST(a_proof_that_a_newer_run_overtook_counts_no_more),
		TEST(the_second_to_join_is_told_of_the_first),
		TEST(a_full_seed_lists_nobody_else_but_helps),
		TEST(a_death_of_nobody_known_is_unknown),
		TEST(who_leaves_with_its_lease_is_gone_at_once),
		TEST(a_forged_death_never_removes_a_live_peer),
		TEST(a_true_death_is_found_after_two_refusals),
		TEST(one_refusal_is_not_enough),
		TEST(a_peer_that_only_accepts_is_found_dead),
		TEST(a_run_whose_address_another_run_answers_is_dead),
		TEST(while_it_is_checked_it_is_not_handed_out),
		TEST(when_nobody_is_free_to_check_the_answer_is_busy),
		TEST(a_lapsed_lease_is_checked_and_the_dead_removed),
		TEST(it_answers_a_liveliness_with_its_identity),
		TEST(several_requests_may_follow_each_other),
		TEST(a_breach_ends_the_connection_and_is_counted),
		TEST(an_unknown_type_is_counted_and_passed_over),
		TEST(silence_and_half_a_frame_are_ended_in_time),
		TEST(who_has_asked_may_stay_until_idle_without_a_word),
		TEST(it_stops_at_once_whatever_it_is_doing),
	};

	return cmocka_run_group_tests_name("seed service", tests, NULL, NULL);
}
