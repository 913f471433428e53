#include "io/server.h"

#include "io/clock.h"
#include "io/sock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>

/* When accepting fails for want of something, it is tried again after this. */
#define RETRY_MS 50
#define COMPLAIN_MS 10000 /* refusals fill one log line in this time */

/* (n) conns.mu of the server; the rest is constant while the thread runs */
struct entry {
	struct conn conn;
	struct server *server;
	void (*serve)(void *arg, struct conn *c);
	void *arg;
	bool accepted;             /* counts against connections_max */
	pthread_t thread;          /* (n) */
	struct entry *prev, *next; /* (n) */
};

/* (n) mu, which is conns.mu of the lock order; (a) accepting thread once it
 * runs; (c) constant; (m) the thread that starts and joins the server */
struct server {
	struct server_config config; /* (c) */
	int listener;                /* (a) */
	int reserve; /* (a) given up to accept when descriptors run out */
	int64_t complained_ms; /* (a) */
	uint64_t unsaid;       /* (a) refusals since then */
	pthread_t thread;      /* (m) */
	bool started;          /* (m) */
	struct waker waker;    /* of the accepting thread */
	struct mutex mu;
	struct cond gone;    /* a connection ended */
	struct entry *alive; /* (n) */
	struct entry *ended; /* (n) the one nobody has joined yet */
	size_t connections, accepted_now; /* (n) */
	uint64_t accepted, refused;       /* (n) */
	bool deaf;                        /* (n) no more from the listener */
	bool stopped;                     /* (n) */
};

static int open_reserve(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

enum err server_open(struct server **out, const struct server_config *c,
		     struct addr *bound)
{
	struct server *s = calloc(1, sizeof *s);
	enum err e;

	if (s == NULL)
		return ERR_NOMEM;
	e = sock_listen(&c->listen, &s->listener, bound);
	if (e != ERR_OK) {
		int saved = errno;

		free(s);
		errno = saved;
		return e;
	}
	s->config = *c;
	s->reserve = open_reserve();
	s->complained_ms = clock_ms() - COMPLAIN_MS;
	waker_init(&s->waker);
	mutex_init(&s->mu);
	cond_init(&s->gone);
	if (waker_watch(&s->waker, s->listener) != ERR_OK)
		abort(); /* nobody knows this waker yet */
	*out = s;
	return ERR_OK;
}

static void entry_free(struct entry *n)
{
	waker_destroy(&n->conn.waker);
	free(n);
}

static void entry_join(struct entry *n)
{
	if (n == NULL)
		return;
	thread_join(n->thread);
	entry_free(n);
}

/* Takes n off the list and makes it the one to be joined; the one that was
 * that before is handed back. */
static struct entry *leave_locked(struct server *s, struct entry *n)
	NEEDS(s->mu)
{
	struct entry *before = s->ended;

	if (n->prev != NULL)
		n->prev->next = n->next;
	else
		s->alive = n->next;
	if (n->next != NULL)
		n->next->prev = n->prev;
	s->ended = n;
	s->connections--;
	if (n->accepted)
		s->accepted_now--;
	cond_broadcast(&s->gone);
	return before;
}

static void *entry_main(void *arg)
{
	struct entry *n = arg, *before;
	struct server *s = n->server;

	n->serve(n->arg, &n->conn);
	waker_unwatch(&n->conn.waker);
	sock_close(n->conn.fd);
	mutex_lock(&s->mu);
	before = leave_locked(s, n);
	mutex_unlock(&s->mu);
	/* Each that ends joins the one that ended before it, so that one is
	 * left for server_join. The server itself may be gone by now. */
	entry_join(before);
	return NULL;
}

static enum err admit_locked(struct server *s, struct entry *n) NEEDS(s->mu)
{
	enum err e;

	if (s->stopped || (n->accepted && s->deaf))
		return ERR_STOPPED;
	if (n->accepted && s->accepted_now >= s->config.connections_max)
		return ERR_FULL;
	e = thread_start(&n->thread, entry_main, n, s->config.name);
	if (e != ERR_OK)
		return e;
	n->next = s->alive;
	if (n->next != NULL)
		n->next->prev = n;
	s->alive = n;
	s->connections++;
	if (n->accepted) {
		s->accepted_now++;
		s->accepted++;
	}
	return ERR_OK;
}

/* Gives the connection its thread; n is freed when that fails. */
static enum err admit(struct server *s, struct entry *n)
{
	enum err e = waker_watch(&n->conn.waker, n->conn.fd);
	int saved;

	if (e == ERR_OK) {
		mutex_lock(&s->mu);
		e = admit_locked(s, n);
		mutex_unlock(&s->mu);
	}
	if (e != ERR_OK) {
		saved = errno;
		entry_free(n);
		errno = saved;
	}
	return e;
}

static struct entry *entry_new(struct server *s, int fd,
			       const struct addr *remote)
{
	struct entry *n = calloc(1, sizeof *n);

	if (n == NULL)
		return NULL;
	n->server = s;
	n->conn.fd = fd;
	n->conn.remote = *remote;
	waker_init(&n->conn.waker);
	return n;
}

enum err server_adopt(struct server *s, int fd, const struct addr *remote,
		      void (*serve)(void *arg, struct conn *c), void *arg)
{
	struct entry *n = entry_new(s, fd, remote);

	if (n == NULL)
		return ERR_SYSTEM;
	n->serve = serve;
	n->arg = arg;
	return admit(s, n);
}

/* Anybody can cause this as often as they like: one line in a while. */
static void complain(struct server *s, const struct addr *who, const char *why)
{
	int64_t now_ms = clock_ms();

	s->unsaid++;
	if (now_ms - s->complained_ms < COMPLAIN_MS)
		return;
	log_event(s->config.log, LOG_WARN, KIND_WARNING, WAY_IN, "refused", who,
		  "%s (%" PRIu64 " since the last such line)", why, s->unsaid);
	s->complained_ms = now_ms;
	s->unsaid = 0;
}

static void refuse(struct server *s, int fd, const struct addr *who,
		   const char *why)
{
	mutex_lock(&s->mu);
	s->refused++;
	mutex_unlock(&s->mu);
	sock_close(fd);
	complain(s, who, why);
}

static void welcome(struct server *s, int fd, const struct addr *remote)
{
	struct entry *n = entry_new(s, fd, remote);
	enum err e;

	if (n == NULL) {
		refuse(s, fd, remote, err_text(ERR_NOMEM));
		return;
	}
	n->serve = s->config.serve;
	n->arg = s->config.ctx;
	n->accepted = true;
	e = admit(s, n);
	if (e == ERR_FULL)
		refuse(s, fd, remote, "too many connections");
	else if (e == ERR_STOPPED)
		sock_close(fd);
	else if (e != ERR_OK)
		refuse(s, fd, remote, "no thread for it");
}

/* Out of descriptors. accept would fail at once, again and again; with the
 * reserve given up it waits for a caller as it should. If by then there is a
 * new reserve the caller is welcome, else it is sent away. */
static void accept_scarce(struct server *s)
{
	struct addr remote = { 0 };
	int fd = -1;
	bool got;

	sock_close(s->reserve);
	got = sock_accept(s->listener, &fd, &remote) == ERR_OK;
	s->reserve = open_reserve();
	if (got && s->reserve >= 0) {
		welcome(s, fd, &remote);
		return;
	}
	if (got)
		refuse(s, fd, &remote, "no descriptor left");
	if (s->reserve < 0)
		s->reserve = open_reserve();
	if (!got || s->reserve < 0)
		waker_sleep(&s->waker, clock_ms() + RETRY_MS);
}

/* accept failed: is it about one caller, or about us? */
static void accept_failed(struct server *s, int error)
{
	switch (error) {
	case EMFILE:
	case ENFILE:
		accept_scarce(s);
		break;
	case ECONNABORTED:
	case EPROTO:
	case EPERM:
	case ENETDOWN:
	case ENETUNREACH:
	case EHOSTDOWN:
	case EHOSTUNREACH:
	case ENONET:
	case ENOPROTOOPT:
	case EOPNOTSUPP:
	case ETIMEDOUT:
		break; /* of the caller, who has gone */
	default:
		if (!waker_stopped(&s->waker))
			complain(s, NULL, "cannot accept");
		waker_sleep(&s->waker, clock_ms() + RETRY_MS);
	}
}

static void *accept_main(void *arg)
{
	struct server *s = arg;

	while (!waker_stopped(&s->waker)) {
		struct addr remote;
		int fd;

		if (sock_accept(s->listener, &fd, &remote) == ERR_OK)
			welcome(s, fd, &remote);
		else
			accept_failed(s, errno);
	}
	waker_unwatch(&s->waker);
	sock_close(s->listener);
	s->listener = -1;
	return NULL;
}

void server_log_to(struct server *s, struct log *log)
{
	s->config.log = log;
}

enum err server_start(struct server *s)
{
	enum err e = thread_start(&s->thread, accept_main, s, s->config.name);

	if (e == ERR_OK)
		s->started = true;
	return e;
}

struct server_stats server_stats(struct server *s)
{
	struct server_stats stats;

	mutex_lock(&s->mu);
	stats.accepted = s->accepted;
	stats.refused = s->refused;
	stats.connections = s->connections;
	mutex_unlock(&s->mu);
	return stats;
}

void server_stop_listening(struct server *s)
{
	mutex_lock(&s->mu);
	s->deaf = true;
	mutex_unlock(&s->mu);
	waker_stop(&s->waker); /* a listener that is shut down refuses */
}

void server_stop(struct server *s)
{
	server_stop_listening(s);
	mutex_lock(&s->mu);
	s->stopped = true;
	for (struct entry *n = s->alive; n != NULL; n = n->next)
		waker_stop(&n->conn.waker);
	mutex_unlock(&s->mu);
}

void server_join(struct server *s)
{
	struct entry *last;

	if (s->started)
		thread_join(s->thread);
	mutex_lock(&s->mu);
	while (s->connections > 0)
		cond_wait(&s->gone, &s->mu);
	last = s->ended;
	mutex_unlock(&s->mu);
	entry_join(last);
	sock_close(s->listener); /* of a server that was never started */
	sock_close(s->reserve);
	cond_destroy(&s->gone);
	mutex_destroy(&s->mu);
	waker_destroy(&s->waker);
	free(s);
}
