#include "peer/peer.h"

#include "io/clock.h"
#include "io/complain.h"
#include "io/signals.h"
#include "io/sock.h"
#include "peer/address.h"
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
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

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

void peer_log_status(struct peer *p)
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

static int fail(const char *what, const char *why)
{
	complain("peer: %s: %s\n", what, why);
	return EXIT_FAILED;
}

/* --- opening: names and sockets --------------------------------------- */

static int open_server(struct peer *p, const struct addr *listen)
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
	enum err e = server_open(&p->server, &c, &p->bound);

	if (e == ERR_OK)
		return EXIT_DONE;
	addr_format(listen, text);
	return fail(text, e == ERR_SYSTEM ? strerror(errno) : err_text(e));
}

static int open_keys(struct peer *p)
{
	struct keys *keys;
	int status = keys_start(&keys, "peer", p->config->security.key_file);

	p->to_peers = (struct greeting){ keys, CHANNEL_TO_PEER };
	p->to_seeds = (struct greeting){ keys, CHANNEL_TO_SEED };
	return status;
}

static int make_hub(struct peer *p)
{
	struct node_options no = { 0 };
	int status = address_self(p->config, &p->bound, &no);

	if (status != EXIT_DONE)
		return status;
	if (!addr_is_wildcard(&p->bound))
		p->source = p->bound;
	if (hub_new(&p->hub, p, &no) != ERR_OK)
		return fail("start", err_text(ERR_NOMEM));
	p->finish_fd = eventfd(0, EFD_CLOEXEC);
	return p->finish_fd >= 0 ? EXIT_DONE : fail("start", strerror(errno));
}

int peer_open(struct peer **out, const struct peer_options *o)
{
	struct peer *p = calloc(1, sizeof *p);
	struct addr listen;
	int status;

	if (p == NULL)
		return fail("start", err_text(ERR_NOMEM));
	p->options = o->options;
	p->config = &o->options->config;
	p->in_fd = o->in_fd;
	p->out_fd = o->out_fd;
	p->finish_fd = -1;
	atomic_init(&p->status, -1);
	p->started_ms = clock_ms();
	mutex_init(&p->publish_mu);
	history_init(&p->history);
	status = open_keys(p);
	if (status == EXIT_DONE)
		status = address_listen(p->config, &listen);
	if (status == EXIT_DONE)
		status = open_server(p, &listen);
	if (status == EXIT_DONE)
		status = make_hub(p);
	if (status == EXIT_DONE)
		*out = p;
	else
		peer_free(p);
	return status;
}

/* --- starting: threads ------------------------------------------------ */

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

static void on_caught_up(struct peer *p)
{
	hub_on_output(p->hub);
}

static enum err start_parts(struct peer *p)
{
	struct output_config oc = { .fd = p->out_fd,
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
	keys_log(p->to_peers.keys, p->log);
	if (p->to_peers.keys == NULL && p->config->security.insecure)
		log_event(p->log, LOG_WARN, KIND_WARNING, WAY_NONE, "insecure",
			  NULL,
			  "no key: everybody who reaches this port can "
			  "read and publish");
}

static enum err start_threads(struct peer *p)
{
	const struct options *o = p->options;
	/* Callers wait in the backlog until the node has begun. */
	enum err e = hub_start(p->hub);

	p->begun = true;
	if (e == ERR_OK)
		e = server_start(p->server);
	if (e == ERR_OK && (o->send || !o->receive))
		e = input_start(&p->input, p);
	return e;
}

enum err peer_start(struct peer *p)
{
	enum err e = start_parts(p);
	bool hangs;
	int saved;

	if (e == ERR_OK) {
		log_start(p);
		e = start_threads(p);
	}
	if (e == ERR_OK)
		return ERR_OK;
	saved = errno;
	(void)fail("start", e == ERR_SYSTEM ? strerror(saved) : err_text(e));
	peer_finish(p, EXIT_FAILED);
	peer_stop(p);
	(void)peer_join(p, -1, &hangs);
	errno = saved;
	return e;
}

/* --- stopping (R15) --------------------------------------------------- */

void peer_stop(struct peer *p)
{
	server_stop_listening(p->server);
	if (p->input != NULL)
		input_stop(p->input);
	if (p->dialer != NULL)
		dialer_stop(p->dialer);
	if (p->begun)
		hub_stop(p->hub);
}

static bool seeds_at_work(struct peer *p)
{
	return p->seeds != NULL && seeds_busy(p->seeds) > 0;
}

/* Good-byes are said when no connection and no conversation is left. A leave
 * that nobody asked for by a signal lets the first one pass: it is under way.
 */
static void wait_said(struct peer *p, int signal_fd, int64_t deadline_ms)
{
	struct pollfd fd = { .fd = signal_fd, .events = POLLIN };

	while (clock_ms() < deadline_ms &&
	       (seeds_at_work(p) || server_stats(p->server).connections > 0))
		if (poll(&fd, 1, POLL_MS) > 0 &&
		    signals_read(signal_fd) == WISH_END)
			signals_let_kill();
}

static bool seeds_hang(struct peer *p)
{
	int64_t deadline_ms = clock_ms() + HANG_MS;

	while (seeds_at_work(p) && clock_ms() < deadline_ms)
		poll(NULL, 0, POLL_MS);
	return seeds_at_work(p);
}

static void join_threads(struct peer *p)
{
	int done = EXIT_DONE;

	if (p->input != NULL && !input_join(p->input))
		atomic_compare_exchange_strong(&p->status, &done, EXIT_FAILED);
	p->input = NULL;
	hub_join(p->hub);
	if (p->dialer != NULL)
		dialer_join(p->dialer);
	p->dialer = NULL;
	server_join(p->server);
	p->server = NULL;
}

static void stop_output(struct peer *p)
{
	uint64_t left;

	if (p->output == NULL)
		return;
	left = output_close(p->output, clock_ms() + FLUSH_MS);
	if (left > 0)
		complain("peer: %llu message%s not printed\n",
			 (unsigned long long)left, left == 1 ? "" : "s");
	p->output = NULL;
}

int peer_join(struct peer *p, int signal_fd, bool *hangs)
{
	int status;

	wait_said(p, signal_fd, clock_ms() + LEAVE_MS);
	server_stop(p->server);
	if (p->seeds != NULL)
		seeds_stop(p->seeds);
	join_threads(p);
	stop_output(p);
	status = atomic_load(&p->status);
	log_event(p->log, LOG_INFO, KIND_START, WAY_NONE, "stop", NULL,
		  "status %d", status);
	*hangs = seeds_hang(p);
	if (*hangs) {
		log_end(p->log);
		return status;
	}
	peer_free(p);
	return status;
}

void peer_free(struct peer *p)
{
	if (p->server != NULL) {
		server_stop(p->server);
		server_join(p->server);
	}
	if (p->seeds != NULL)
		seeds_join(p->seeds);
	hub_free(p->hub);
	history_free(&p->history);
	mutex_destroy(&p->publish_mu);
	log_close(p->log);
	keys_close(p->to_peers.keys);
	if (p->finish_fd >= 0)
		close(p->finish_fd);
	free(p);
}
