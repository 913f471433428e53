/* bin/peer: a table of contents. Signals, configuration, log, parts up, wait,
 * parts down. */
#include "base/crypto.h"
#include "io/clock.h"
#include "io/complain.h"
#include "io/notify.h"
#include "io/signals.h"
#include "io/sock.h"
#include "peer/address.h"
#include "peer/chatter.h"
#include "peer/dialer.h"
#include "peer/door.h"
#include "peer/hub.h"
#include "peer/input.h"
#include "peer/output.h"
#include "peer/seeds.h"
#include "peer/status.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

extern char **environ;

#define LEAVE_MS 1200 /* for good-byes; the whole stop takes at most 2 s */
#define FLUSH_MS 400  /* then stdout has this long to take the rest */
#define HANG_MS 200   /* for a seed client that does not wake up */
#define POLL_MS 5     /* how often the stop looks whether all is said */

void peer_finish(struct peer *p, int status)
{
	int none = -1;

	atomic_compare_exchange_strong(&p->status, &none, status);
	(void)!eventfd_write(p->finish_fd, 1);
}

static int fail(const char *what, const char *why)
{
	complain("peer: %s: %s\n", what, why);
	return EXIT_FAILED;
}

/* --- signals ----------------------------------------------------------------
 */

static void log_status(struct peer *p)
{
	struct buf b = { 0 };
	const char *text;

	peer_status(p, &b);
	text = buf_text(&b);
	if (text != NULL)
		log_event(p->log, LOG_INFO, KIND_PLAIN, WAY_NONE, "status",
			  NULL, "%s", text);
	buf_free(&b);
}

/* True if it is time to leave. */
static bool on_signal(struct peer *p, int signal_fd)
{
	switch (signals_read(signal_fd)) {
	case WISH_REOPEN:
		log_reopen(p->log);
		return false;
	case WISH_STATUS:
		log_status(p);
		return false;
	case WISH_NOTHING:
		return false;
	case WISH_END:
		break;
	}
	signals_let_kill(); /* the second one */
	peer_finish(p, EXIT_DONE);
	return true;
}

/* With --receive the end of the reader is our end, also when there is nothing
 * to print: a pipe says so without being asked for anything. */
static int watched_output(const struct peer *p)
{
	return p->options->receive ? output_fd(p->output) : -1;
}

/* Until a signal or a part of the peer wants it to end. */
static void run(struct peer *p, int signal_fd)
{
	struct chatter chatter;

	chatter_init(&chatter, p);
	for (;;) {
		struct pollfd fds[3] = {
			{ .fd = signal_fd, .events = POLLIN },
			{ .fd = p->finish_fd, .events = POLLIN },
			{ .fd = watched_output(p), .events = 0 },
		};
		int n = poll(fds, 3, chatter_wait(&chatter));

		if (n < 0 && errno != EINTR)
			return;
		if (n > 0 && fds[1].revents != 0)
			return;
		if (n > 0 && fds[0].revents != 0 && on_signal(p, signal_fd))
			return;
		if (n > 0 && (fds[2].revents & (POLLERR | POLLHUP)) != 0) {
			peer_finish(p, EXIT_DONE);
			return;
		}
		chatter_say(&chatter);
	}
}

/* --- parts -------------------------------------------------------------------
 */

static enum err open_log(struct peer *p)
{
	const struct options *o = p->options;
	char path[CONFIG_TEXT_MAX + 64];
	struct log_options lo = { .path = path, .config = &p->config->log };

	/* In a pipeline nobody asked for files. */
	if ((o->send || o->receive) && !o->log_dir_given)
		return ERR_OK;
	snprintf(path, sizeof path, "%s/clients/output_%u.log",
		 p->config->log.directory, hub_self(p->hub).addr.port);
	if (log_open(&p->log, &lo) == ERR_OK)
		return ERR_OK;
	(void)fail(path, strerror(errno));
	return ERR_SYSTEM;
}

static int open_server(struct peer *p, const struct addr *listen,
		       struct addr *bound)
{
	struct server_config c = { .name = "peer",
				   .listen = *listen,
				   .connections_max =
					   p->config->peer.connections_max,
				   .per_source_max =
					   p->config->peer.per_source_max,
				   .serve = door_serve,
				   .ctx = p,
				   .rejects = &p->rejects };
	char text[ADDR_TEXT_MAX];

	if (server_open(&p->server, &c, bound) == ERR_OK)
		return EXIT_DONE;
	addr_format(listen, text);
	return fail(text, strerror(errno));
}

static void on_caught_up(struct peer *p)
{
	hub_on_output(p->hub);
}

static enum err start_parts(struct peer *p, const struct node_options *no)
{
	struct output_config oc = { .fd = STDOUT_FILENO,
				    .max_bytes = p->config->gossip.output_max,
				    .count = p->options->count,
				    .json = p->options->json,
				    .peer = p,
				    .caught_up = on_caught_up };
	enum err e = output_start(&p->output, &oc);

	if (e == ERR_OK)
		e = dialer_start(&p->dialer, p);
	if (e == ERR_OK)
		e = seeds_start(&p->seeds, p);
	if (e == ERR_OK)
		e = hub_new(&p->hub, p, no);
	if (e == ERR_OK)
		e = open_log(p);
	p->rejects.log = p->log;
	return e;
}

static void log_start(struct peer *p)
{
	struct identity self = hub_self(p->hub);

	log_event(p->log, LOG_INFO, KIND_START, WAY_NONE, "start", &self.addr,
		  "incarnation=%llu version %s, %zu seeds configured",
		  (unsigned long long)self.incarnation, SEEDPEER_VERSION,
		  p->config->seed_count);
	if (p->config->security.insecure)
		log_event(p->log, LOG_WARN, KIND_WARNING, WAY_NONE, "insecure",
			  NULL,
			  "no key: everybody who reaches this port can "
			  "read and publish");
}

static enum err start_threads(struct peer *p, struct input **in)
{
	const struct options *o = p->options;
	/* Callers wait in the backlog until the node has begun. */
	enum err e = hub_start(p->hub);

	if (e == ERR_OK)
		e = server_start(p->server);
	if (e == ERR_OK && (o->send || !o->receive))
		e = input_start(in, p);
	if (e == ERR_OK)
		notify_ready();
	return e;
}

/* --- stopping (R15) --------------------------------------------------- */

/* Good-byes are said when no connection and no conversation is left. A leave
 * that nobody asked for by a signal lets the first one pass: it is under way.
 */
static void wait_said(struct peer *p, int signal_fd, int64_t deadline_ms)
{
	struct pollfd fd = { .fd = signal_fd, .events = POLLIN };

	while (clock_ms() < deadline_ms &&
	       (seeds_busy(p->seeds) > 0 ||
		server_stats(p->server).connections > 0))
		if (poll(&fd, 1, POLL_MS) > 0 &&
		    signals_read(signal_fd) == WISH_END)
			signals_let_kill();
}

/* A name look-up cannot be woken; its thread is left behind, at the end of
 * the process. */
static bool seeds_hang(struct peer *p)
{
	int64_t deadline_ms = clock_ms() + HANG_MS;

	while (seeds_busy(p->seeds) > 0 && clock_ms() < deadline_ms)
		poll(NULL, 0, POLL_MS);
	return seeds_busy(p->seeds) > 0;
}

static void stop_threads(struct peer *p, struct input *in, int signal_fd)
{
	int done = EXIT_DONE;

	server_stop_listening(p->server);
	if (in != NULL)
		input_stop(in);
	dialer_stop(p->dialer);
	hub_stop(p->hub);
	wait_said(p, signal_fd, clock_ms() + LEAVE_MS);
	server_stop(p->server);
	seeds_stop(p->seeds);
	if (in != NULL && !input_join(in))
		atomic_compare_exchange_strong(&p->status, &done, EXIT_FAILED);
	hub_join(p->hub);
	dialer_join(p->dialer);
	server_join(p->server);
}

static void stop_output(struct peer *p)
{
	uint64_t left = output_close(p->output, clock_ms() + FLUSH_MS);

	if (left > 0)
		complain("peer: %llu message%s not printed\n",
			 (unsigned long long)left, left == 1 ? "" : "s");
	p->output = NULL;
}

static int stop(struct peer *p, struct input *in, int signal_fd)
{
	stop_threads(p, in, signal_fd);
	stop_output(p);
	log_event(p->log, LOG_INFO, KIND_START, WAY_NONE, "stop", NULL,
		  "status %d", atomic_load(&p->status));
	if (seeds_hang(p)) {
		log_close(p->log);
		_exit(atomic_load(&p->status));
	}
	seeds_join(p->seeds);
	hub_free(p->hub);
	history_free(&p->history);
	log_close(p->log);
	return atomic_load(&p->status);
}

int main(int argc, char **argv)
{
	static struct options options;
	static struct peer peer = { .status = -1 };
	struct node_options no = { 0 };
	struct input *in = NULL;
	struct addr listen, bound = { 0 };
	int signal_fd, status;

	signals_hold_streams();
	status = options_read(&options, PROGRAM_PEER, argc, argv, environ);
	if (status >= 0)
		return status;
	if (crypto_init() != ERR_OK)
		return fail("libsodium", "no randomness");
	if (options.list)
		return seeds_print_lists(&options);
	peer.options = &options;
	peer.config = &options.config;
	peer.started_ms = clock_ms();
	mutex_init(&peer.publish_mu);
	history_init(&peer.history);
	status = address_listen(&options.config, &listen);
	if (status == EXIT_DONE)
		status = open_server(&peer, &listen, &bound);
	if (status == EXIT_DONE)
		status = address_self(&options.config, &bound, &no);
	if (status != EXIT_DONE)
		return status;
	/* Up to here names are looked up, and a signal just ends it. */
	signal_fd = signals_block();
	peer.finish_fd = eventfd(0, EFD_CLOEXEC);
	if (!addr_is_wildcard(&bound))
		peer.source = bound;
	if (signal_fd < 0 || peer.finish_fd < 0 ||
	    start_parts(&peer, &no) != ERR_OK)
		return fail("start", strerror(errno));
	log_start(&peer);
	if (start_threads(&peer, &in) == ERR_OK)
		run(&peer, signal_fd);
	else
		peer_finish(&peer, fail("start", strerror(errno)));
	return stop(&peer, in, signal_fd);
}
