#include "inject/run.h"

#include "base/crypto.h"
#include "io/clock.h"
#include "io/talk.h"
#include "io/usage.h"
#include "peer/console.h"
#include "peer/hub.h"
#include "peer/output.h"
#include "peer/peer.h"
#include "peer/publisher.h"
#include "peer/seeds.h"
#include "seed/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_MS 20000   /* for one step, when it can succeed */
#define HOPE_MS 60          /* when the fault lasts */
#define AGAIN_MS 500        /* a user who sees no answer asks again */
#define LOOK_MS 2           /* how often a counter is looked at */
#define TALK_MS 1000        /* for a conversation of the run itself */
#define THREADS_BASE_MS 20  /* for those of before to go, */
#define THREADS_END_MS 2000 /* and for those of the run */
#define TEXT_MAX (512 * 1024)
#define LARGE_BYTES 40000
#define FILLERS 4 /* so many more, and Bert drops the first message */

enum who { ANNA, BERT, MEMBERS };

struct member {
	struct options options;
	struct peer *peer;
	int in, out;           /* our ends of its stdin and stdout, */
	int peer_in, peer_out; /* and its own */
	char text[TEXT_MAX];
	size_t n;
};

static const struct fault *fault;
static const char *directory;
static struct seed_daemon home_seed;
static bool has_seed;
static struct member members[MEMBERS];
static struct addr seed_addr;
static char large[LARGE_BYTES + 1];
static char first_id[HASH_HEX + 1];
static bool hopeless; /* a fault that lasts took the first step already */
static bool refused, told;

/* --- waiting ---------------------------------------------------------- */

static void read_output(struct member *m)
{
	ssize_t k = 1;

	while (m->peer != NULL && k > 0 && m->n < TEXT_MAX) {
		k = read(m->out, m->text + m->n, TEXT_MAX - m->n);
		m->n += k > 0 ? (size_t)k : 0;
	}
}

static bool gave_up(void)
{
	for (int i = 0; i < MEMBERS; i++)
		if (members[i].peer != NULL &&
		    atomic_load(&members[i].peer->status) >= 0)
			return true;
	return false;
}

static int64_t patience_ms(void)
{
	if (hopeless)
		return 0;
	return fault->mode == FAULT_LASTING && fault_happened() ? HOPE_MS
								: PATIENCE_MS;
}

static void look_again(void)
{
	struct pollfd fds[MEMBERS];

	for (int i = 0; i < MEMBERS; i++)
		fds[i] = (struct pollfd){ .fd = members[i].peer != NULL
							? members[i].out
							: -1,
					  .events = POLLIN };
	(void)poll(fds, MEMBERS, LOOK_MS);
}

typedef bool condition(const void *arg);

/* Until it is met or cannot be any more; at most limit_ms. */
static bool await_for(condition *met, const void *arg, int64_t limit_ms)
{
	int64_t begun = clock_ms();

	for (;;) {
		int64_t left = patience_ms();

		for (int i = 0; i < MEMBERS; i++)
			read_output(&members[i]);
		if (met(arg))
			return true;
		if (left > limit_ms)
			left = limit_ms;
		if (gave_up() || clock_ms() - begun >= left)
			return false;
		look_again();
	}
}

static bool await(condition *met, const void *arg)
{
	return await_for(met, arg, PATIENCE_MS);
}

/* --- what is waited for ----------------------------------------------- */

static bool linked(const void *arg)
{
	struct neighbor v[LINK_SLOTS];
	const struct member *m = arg;

	return hub_neighbors(m->peer->hub, v) > 0;
}

static size_t registered(void)
{
	size_t n;

	mutex_lock(&home_seed.seed->mu);
	n = registry_count(home_seed.seed->registry);
	mutex_unlock(&home_seed.seed->mu);
	return n;
}

static bool registered_are(const void *arg)
{
	return registered() == *(const size_t *)arg;
}

static bool refuted(const void *arg)
{
	(void)arg;
	return atomic_load(&home_seed.seed->counters.deaths_refuted) > 0;
}

struct sight {
	const struct member *member;
	size_t from; /* in its text */
	const char *text;
};

static bool seen(const void *arg)
{
	const struct sight *s = arg;

	return memmem(s->member->text + s->from, s->member->n - s->from,
		      s->text, strlen(s->text)) != NULL;
}

/* The message itself, or the word that one is missing. */
static bool delivered(const void *arg)
{
	struct sight gap = *(const struct sight *)arg;

	gap.text = "\"event\":\"gap\"";
	if (seen(arg))
		return true;
	told = told || seen(&gap);
	return told;
}

static bool await_message(enum who at, const char *text)
{
	struct sight s = { &members[at], 0, text };

	return await(delivered, &s);
}

/* --- the steps -------------------------------------------------------- */

static int read_options(struct options *o, enum program program, int argc,
			const char *const *words)
{
	char *argv[24];

	for (int i = 0; i < argc; i++)
		argv[i] = (char *)(uintptr_t)words[i];
	argv[argc] = NULL;
	return options_read(o, program, argc, argv, NULL);
}

static bool start_seed(void)
{
	char file[256];
	const char *const words[] = { "seed",     "--config",    file,
				      "--listen", "127.0.0.1:0", "--log-dir",
				      directory };
	int status;

	snprintf(file, sizeof file, "%s/config", directory);
	fault_spare_end();
	status = read_options(&home_seed.options, PROGRAM_SEED, 7, words);
	if (status < 0)
		status = seed_daemon_start(&home_seed);
	fault_spare();
	has_seed = status == SEED_DAEMON_RUNS;
	refused = !has_seed;
	if (has_seed)
		seed_addr = home_seed.seed->self.addr;
	return has_seed;
}

static bool open_pipes(struct member *m, struct peer_options *po)
{
	int in[2], out[2];

	/* One writes to a pipe, the other to a socket. */
	if (pipe2(in, O_CLOEXEC) != 0 ||
	    (m == &members[ANNA]
		     ? pipe2(out, O_CLOEXEC)
		     : socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
				  out)) != 0)
		return false;
	(void)fcntl(out[0], F_SETFL, O_NONBLOCK);
	m->in = in[1];
	m->out = out[0];
	po->in_fd = m->peer_in = in[0];
	po->out_fd = m->peer_out = out[1];
	return true;
}

static bool start_peer(struct member *m, const char *setting)
{
	char file[256], seed[ADDR_TEXT_MAX + 16] = "seeds.s=";
	const char *const words[] = { "peer",   "--config",  file,
				      "--set",  seed,        "--set",
				      setting,  "--log-dir", directory,
				      "--send", "--receive", "--json",
				      "--wait", "30" };
	struct peer_options po = { .options = &m->options };
	struct peer *p = NULL;
	int status;

	snprintf(file, sizeof file, "%s/config", directory);
	addr_format(&seed_addr, seed + strlen(seed));
	if (!open_pipes(m, &po))
		abort();
	fault_spare_end();
	status = read_options(&m->options, PROGRAM_PEER, 14, words);
	if (status < 0)
		status = peer_open(&p, &po);
	if (status == EXIT_DONE && peer_start(p) != ERR_OK)
		status = EXIT_FAILED;
	fault_spare();
	if (status == EXIT_DONE)
		m->peer = p;
	refused = refused || m->peer == NULL;
	return m->peer != NULL;
}

static bool start_anna(void)
{
	return start_peer(&members[ANNA], "peer.max_connections=64");
}

/* He keeps so little that in the end he must ask for what is old. */
static bool start_bert(void)
{
	return start_peer(&members[BERT], "gossip.store_messages=8");
}

static bool register_one(void)
{
	const size_t one = 1;

	return await(registered_are, &one);
}

static bool link_both(void)
{
	const size_t two = 2;

	return await(linked, &members[ANNA]) && await(linked, &members[BERT]) &&
	       await(registered_are, &two);
}

/* A command, until its answer is seen. */
static bool command(enum who at, const char *line, const char *answer)
{
	struct member *m = &members[at];
	int64_t begun = clock_ms();
	bool ok;

	do {
		struct sight s = { m, m->n, answer };

		fault_spare_end();
		(void)console_line(m->peer, line, strlen(line));
		fault_spare();
		ok = await_for(seen, &s, AGAIN_MS);
	} while (!ok && !gave_up() && clock_ms() - begun < patience_ms());
	return ok;
}

static bool publish(enum who by, const void *data, size_t n)
{
	int64_t begun = clock_ms();
	enum err e;

	do {
		fault_spare_end();
		e = publisher_send(members[by].peer, data, n, true);
		fault_spare();
	} while (e == ERR_NOMEM && clock_ms() - begun < patience_ms());
	return e == ERR_OK;
}

/* Before Bert is there: he asks for it later (Have, getData). */
static bool publish_early(void)
{
	return publish(ANNA, "before you came", 15);
}

static void keep_first_id(void)
{
	static const char key[] = "{\"id\":\"";
	const struct member *m = &members[BERT];
	const char *at = memmem(m->text, m->n, key, sizeof key - 1);

	if (at != NULL && at + 64 < m->text + m->n)
		memcpy(first_id, at + sizeof key - 1, HASH_HEX);
}

static bool catch_up(void)
{
	bool ok = await_message(BERT, "\"data\":\"before you came\"");

	keep_first_id();
	return ok;
}

static bool write_lines(enum who by, const char *lines)
{
	size_t n = strlen(lines);

	return write(members[by].in, lines, n) == (ssize_t)n;
}

static bool send_lines(void)
{
	return write_lines(ANNA, "one of anna\ntwo of anna\nthree of anna\n") &&
	       write_lines(BERT, "one of bert\ntwo of bert\n") &&
	       await_message(BERT, "\"data\":\"one of anna\"") &&
	       await_message(BERT, "\"data\":\"three of anna\"") &&
	       await_message(ANNA, "\"data\":\"one of bert\"") &&
	       await_message(ANNA, "\"data\":\"two of bert\"");
}

static bool send_large(void)
{
	memset(large, 'L', LARGE_BYTES);
	memcpy(large, "large", 5);
	return publish(BERT, large, LARGE_BYTES) &&
	       await_message(ANNA, "\"data\":\"largeLLL");
}

static bool send_binary(void)
{
	static const uint8_t bytes[] = { 0, 1, 2, 0xff, 0xfe, '\n', 0 };

	return publish(ANNA, bytes, sizeof bytes) &&
	       await_message(BERT, "\"encoding\":\"base64\"");
}

static bool end_of_input(void)
{
	close(members[BERT].in);
	members[BERT].in = -1;
	return true;
}

static bool look_around(void)
{
	return command(ANNA, "peers", "1 neighbor\n") &&
	       command(BERT, "messages", "received") &&
	       command(ANNA, "status", "\"uptime_ms\":") &&
	       command(BERT, "help", "this list") &&
	       command(BERT, "what", "unknown command");
}

/* One that only the other holds, and one that nobody has. */
static bool find(void)
{
	char line[64];

	for (int i = 1; i <= FILLERS; i++) {
		snprintf(line, sizeof line, "filler %d", i);
		if (!publish(ANNA, line, strlen(line)))
			return false;
	}
	snprintf(line, sizeof line, "\"data\":\"filler %d\"", FILLERS);
	if (!await_message(BERT, line))
		return false;
	snprintf(line, sizeof line, "get %s", first_id);
	return (first_id[0] == '\0' ||
		command(BERT, line, "before you came")) &&
	       command(ANNA, "get 000102030405060708090a0b0c0d0e0f",
		       "no such message");
}

static bool print_lists(void)
{
	int64_t begun = clock_ms();
	int status;

	do {
		fault_spare_end();
		status = seeds_print_lists(&members[ANNA].options);
		fault_spare();
	} while (status != EXIT_DONE && clock_ms() - begun < patience_ms());
	return status == EXIT_DONE;
}

/* One question on a connection of its own. */
static bool ask(const struct addr *to, const struct message *m,
		enum message_type want)
{
	int64_t begun = clock_ms(), deadline;
	struct message reply = { 0 };
	struct talk t;
	enum err e;

	do {
		deadline = clock_ms() + TALK_MS;
		fault_spare_end();
		e = talk_open(&t, NULL, to, NULL, deadline);
		if (e == ERR_OK) {
			e = talk_ask(&t, m, want, &reply, deadline);
			talk_close(&t);
		}
		if (e == ERR_OK)
			message_clear(&reply);
		fault_spare();
	} while (e != ERR_OK && clock_ms() - begun < patience_ms());
	return e == ERR_OK;
}

static bool visit(void)
{
	struct message alive = { .type = MSG_LIVELINESS,
				 .liveliness = { .nonce = 1 } };
	struct message list = { .type = MSG_GET_PEER_LIST,
				.get_peer_list = { .want = 8 } };
	const struct addr *anna = &members[ANNA].peer->bound;

	return ask(anna, &alive, MSG_LIVELINESS_REPLY) &&
	       ask(anna, &list, MSG_PEER_LIST) &&
	       ask(&seed_addr, &list, MSG_PEER_LIST) &&
	       ask(&seed_addr, &alive, MSG_LIVELINESS_REPLY);
}

/* She is said to be dead, and the seed looks. */
static bool lie_about_anna(void)
{
	struct message m = { .type = MSG_DEATH };
	int64_t begun = clock_ms();
	bool ok;

	m.death.id = hub_self(members[ANNA].peer->hub);
	m.death.reporter = members[BERT].peer->bound;
	m.death.reason = DEATH_SILENT;
	do
		ok = ask(&seed_addr, &m, MSG_DEATH_REPLY) &&
		     await_for(refuted, NULL, AGAIN_MS);
	while (!ok && clock_ms() - begun < patience_ms());
	return ok;
}

static bool write_status(void)
{
	fault_spare_end();
	peer_log_status(members[ANNA].peer);
	seed_daemon_log_status(&home_seed);
	log_reopen(members[ANNA].peer->log);
	fault_spare();
	return true;
}

static void stop_member(struct member *m)
{
	bool hangs = false;

	if (m->peer == NULL)
		return;
	fault_spare_end();
	peer_finish(m->peer, EXIT_DONE);
	peer_stop(m->peer);
	/* What it still has to say to stdout fits into the pipe. */
	(void)peer_join(m->peer, -1, &hangs);
	fault_spare();
	if (hangs)
		abort(); /* no name look-up here takes time */
	m->peer = NULL;
}

static bool bert_leaves(void)
{
	const size_t one = 1;

	read_output(&members[BERT]);
	stop_member(&members[BERT]);
	return await(registered_are, &one);
}

/* --- all of it -------------------------------------------------------- */

struct step {
	const char *name;
	bool (*run)(void);
};

static const struct step starts[] = {
	{ "start the seed", start_seed },
	{ "start a peer", start_anna },
};

static const struct step alone[] = {
	{ "register", register_one },
	{ "publish before anybody is there", publish_early },
};

static const struct step together[] = {
	{ "link", link_both },
	{ "catch up", catch_up },
	{ "send lines both ways", send_lines },
	{ "send a large message", send_large },
	{ "send a binary message", send_binary },
	{ "end of input", end_of_input },
	{ "commands", look_around },
	{ "find by id", find },
	{ "lists of the seeds", print_lists },
	{ "answer strangers", visit },
	{ "a death that is none", lie_about_anna },
	{ "status, reopened log", write_status },
	{ "leave", bert_leaves },
};

/* With a fault that lasts the rest is done without hope, for what it breaks. */
static bool run_steps(const struct step *v, size_t n, struct run_report *report)
{
	for (size_t i = 0; i < n; i++) {
		if (!hopeless)
			snprintf(report->step, sizeof report->step, "%s",
				 v[i].name);
		if (v[i].run())
			continue;
		if (refused || gave_up() || fault->mode != FAULT_LASTING)
			return false;
		hopeless = true;
	}
	return true;
}

#define RUN_STEPS(v, report) run_steps(v, sizeof(v) / sizeof(v)[0], report)

static enum run_end run_peers(struct run_report *report)
{
	bool ok = RUN_STEPS(starts, report) && RUN_STEPS(alone, report);

	if (ok) {
		if (!hopeless)
			strcpy(report->step, "start another peer");
		ok = start_bert() && RUN_STEPS(together, report);
	}
	if (refused)
		return RUN_REFUSED;
	if (gave_up())
		return RUN_GAVE_UP;
	if (!ok || hopeless)
		return RUN_CUT_SHORT;
	return told ? RUN_TOLD_LOSS : RUN_COMPLETED;
}

static void stop_all(void)
{
	for (int i = 0; i < MEMBERS; i++)
		stop_member(&members[i]);
	if (!has_seed)
		return;
	fault_spare_end();
	seed_daemon_stop(&home_seed);
	fault_spare();
}

static bool printed_twice(void)
{
	static const char *const texts[] = {
		"\"data\":\"before you came", "\"data\":\"one of anna",
		"\"data\":\"three of anna",   "\"data\":\"one of bert",
		"\"data\":\"two of bert",     "\"data\":\"largeLLL",
	};

	for (size_t i = 0; i < MEMBERS * sizeof texts / sizeof texts[0]; i++) {
		const struct member *m = &members[i % MEMBERS];
		const char *text = texts[i / MEMBERS];
		size_t n = strlen(text);
		const char *at = memmem(m->text, m->n, text, n);
		size_t rest = at ? (size_t)(m->text + m->n - at) - n : 0;

		if (at != NULL && memmem(at + n, rest, text, n) != NULL)
			return true;
	}
	return false;
}

static void close_pipes(struct member *m)
{
	int fds[] = { m->in, m->out, m->peer_in, m->peer_out };

	for (size_t i = 0; i < 4; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static void *do_nothing(void *arg)
{
	return arg;
}

/* How many there are, at most so long after: the kernel lists a thread that was
 * joined for a moment more. */
static uint64_t threads_after(uint64_t want, int64_t patience_ms)
{
	int64_t until_ms = clock_ms() + patience_ms;
	uint64_t n = usage_threads();

	while (n > want && clock_ms() < until_ms) {
		nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
		n = usage_threads();
	}
	return n;
}

/* The first thread may bring one of a sanitizer's own with it. */
static uint64_t base_threads(void)
{
	uint64_t before = usage_threads();
	pthread_t t;

	if (pthread_create(&t, NULL, do_nothing, NULL) != 0 ||
	    pthread_join(t, NULL) != 0)
		abort();
	return threads_after(before, THREADS_BASE_MS);
}

enum run_end run_all(const char *dir, const struct fault *f,
		     struct run_report *report)
{
	uint64_t fds = usage_fds(), threads, left;
	int64_t begun = clock_ms();
	enum run_end end;

	fault = f;
	directory = dir;
	for (int i = 0; i < MEMBERS; i++)
		members[i].in = members[i].out = members[i].peer_in =
			members[i].peer_out = -1;
	fault_spare();
	threads = base_threads();
	fault_arm(f, &report->counts);
	end = run_peers(report);
	atomic_store(&report->run_ms, clock_ms() - begun);
	begun = clock_ms();
	stop_all();
	atomic_store(&report->stop_ms, clock_ms() - begun);
	fault_disarm();
	left = threads_after(threads, THREADS_END_MS);
	for (int i = 0; i < MEMBERS; i++)
		close_pipes(&members[i]);
	if (printed_twice())
		snprintf(report->why, sizeof report->why, "a message twice");
	else if (usage_fds() != fds)
		snprintf(report->why, sizeof report->why, "%d descriptors left",
			 (int)(usage_fds() - fds));
	else if (left > threads)
		snprintf(report->why, sizeof report->why, "%d threads left",
			 (int)(left - threads));
	return report->why[0] != '\0' ? RUN_BROKEN : end;
}
