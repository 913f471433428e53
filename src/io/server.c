#include "io/server.h"

#include "io/clock.h"
#include "io/sock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* When accepting fails for want of something, it is tried again after this. */
#define RETRY_MS 50
#define SCARCE_MS (2 * RETRY_MS) /* see accept_scarce */
#define COMPLAIN_MS 60000 /* its failures fill one log line in this time */
/* So many may be on their way out at once; then accepting waits. They hold
 * threads beyond the limit, those that make way also a descriptor. */
#define LEAVING_MAX 4
/* Whoever has served a connection waits for the next one so long, if not too
 * many do: starting and ending a thread costs as much as all else that is done
 * for a short conversation. Those that came last are taken first, so that only
 * as many stay as are needed. */
#define PARKED_MAX 64
#define PARKED_MS 1000

/* Lists of entries: by standing, and those that were told to make way. */
enum { LIST_LEAVING = CONN_BUSY + 1, LISTS };

/* A thread and the connection it serves. (n) conns.mu of the server; the rest
 * is constant while a connection is served, and (n) while the thread is parked
 */
struct entry {
	struct conn conn; /* first: a conn is its entry */
	struct server *server;
	void (*serve)(void *arg, struct conn *c);
	void *arg;
	bool accepted;             /* not made by us */
	bool parked;               /* (n) serves nothing, waits for more */
	struct cond more;          /* it came, or no more will */
	pthread_t thread;          /* (n) */
	unsigned list;             /* (n) the one it is in, */
	int64_t since_ms;          /* (n) and since when */
	struct entry *prev, *next; /* (n) */
};

/* A connection that has no thread yet. */
struct guest {
	int fd;
	const struct addr *remote;
	void (*serve)(void *arg, struct conn *c);
	void *arg;
	bool accepted;
};

/* (n) mu, which is conns.mu of the lock order; (a) accepting thread once it
 * runs; (c) constant; (m) the thread that starts and joins the server */
struct server {
	struct server_config config; /* (c) */
	int listener;                /* (a) */
	int reserve; /* (a) given up to accept when descriptors run out, */
	int64_t scarce_ms;     /* (a) and not kept again before this */
	int64_t complained_ms; /* (a) */
	uint64_t unsaid;       /* (a) failures since then */
	pthread_t thread;      /* (m) */
	bool started;          /* (m) */
	struct waker waker;    /* of the accepting thread */
	struct mutex mu;
	struct cond gone; /* a connection ended, or no more are wanted */
	struct entry *alive[LISTS]; /* (n) the longest there first, */
	size_t count[LISTS];        /* (n) and how many that are */
	struct entry *parked;       /* (n) the last to come first */
	size_t parked_count;        /* (n) */
	struct entry *ended;        /* (n) the one nobody has joined yet */
	size_t threads;             /* (n) that have not ended */
	size_t connections;         /* (n) */
	size_t accepted_now;        /* (n) without those that make way */
	size_t unjoined;            /* (n) ended, but its thread may run */
	uint64_t accepted, refused; /* (n) */
	bool deaf;                  /* (n) no more from the listener */
	bool stopped;               /* (n) */
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

static struct entry *entry_new(struct server *s)
{
	struct entry *n = calloc(1, sizeof *n);

	if (n == NULL)
		return NULL;
	n->server = s;
	waker_init(&n->conn.waker);
	cond_init(&n->more);
	return n;
}

static void entry_free(struct entry *n)
{
	cond_destroy(&n->more);
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

static void list_locked(struct server *s, struct entry *n, unsigned list)
	NEEDS(s->mu)
{
	n->list = list;
	n->since_ms = clock_ms();
	s->count[list]++;
	DL_APPEND(s->alive[list], n);
}

static void unlist_locked(struct server *s, struct entry *n) NEEDS(s->mu)
{
	s->count[n->list]--;
	DL_DELETE(s->alive[n->list], n);
}

static void conn_ended_locked(struct server *s, struct entry *n) NEEDS(s->mu)
{
	unlist_locked(s, n);
	s->connections--;
	if (n->accepted && n->list != LIST_LEAVING)
		s->accepted_now--;
	cond_broadcast(&s->gone);
}

/* Waits for another connection. False: none came, or none is wanted. */
static bool park_locked(struct server *s, struct entry *n) NEEDS(s->mu)
{
	int64_t deadline_ms = clock_ms() + PARKED_MS;
	bool in_time = true;

	if (s->stopped || s->parked_count >= PARKED_MAX)
		return false;
	/* It may have been told to make way; the next one was not. */
	waker_destroy(&n->conn.waker);
	waker_init(&n->conn.waker);
	n->parked = true;
	s->parked_count++;
	DL_PREPEND(s->parked, n);
	while (n->parked && !s->stopped && in_time)
		in_time = cond_wait_until(&n->more, &s->mu, deadline_ms);
	if (!n->parked)
		return true;
	s->parked_count--;
	DL_DELETE(s->parked, n);
	return false;
}

/* Makes n the one to be joined; the one that was that before is handed back. */
static struct entry *leave_locked(struct server *s, struct entry *n)
	NEEDS(s->mu)
{
	struct entry *before = s->ended;

	s->ended = n;
	s->unjoined++;
	s->threads--;
	cond_broadcast(&s->gone);
	return before;
}

static void *entry_main(void *arg)
{
	struct entry *n = arg, *before = NULL;
	struct server *s = n->server;
	bool more = true;

	while (more) {
		n->serve(n->arg, &n->conn);
		waker_unwatch(&n->conn.waker);
		sock_close(n->conn.fd);
		mutex_lock(&s->mu);
		conn_ended_locked(s, n);
		more = park_locked(s, n);
		if (!more)
			before = leave_locked(s, n);
		mutex_unlock(&s->mu);
	}
	/* Each that ends joins the one that ended before it, so that one is
	 * left for server_join, which by that waits for all of them. */
	if (before == NULL)
		return NULL;
	entry_join(before);
	mutex_lock(&s->mu);
	s->unjoined--;
	cond_broadcast(&s->gone);
	mutex_unlock(&s->mu);
	return NULL;
}

static enum err start_locked(struct server *s, struct entry *n) NEEDS(s->mu)
{
	enum err e = thread_start(&n->thread, entry_main, n, s->config.name);
	int saved = errno;

	if (e == ERR_OK)
		s->threads++;
	else
		entry_free(n);
	errno = saved;
	return e;
}

/* A thread that is parked, or a new one, not started yet; NULL: no memory. */
static struct entry *find_thread_locked(struct server *s) NEEDS(s->mu)
{
	struct entry *n = s->parked;

	if (n == NULL)
		return entry_new(s);
	s->parked_count--;
	DL_DELETE(s->parked, n);
	return n;
}

static enum err admit_locked(struct server *s, const struct guest *g)
	NEEDS(s->mu)
{
	struct entry *n;
	enum err e = ERR_OK;

	if (s->stopped || (g->accepted && s->deaf))
		return ERR_STOPPED;
	n = find_thread_locked(s);
	if (n == NULL)
		return ERR_NOMEM;
	n->conn.fd = g->fd;
	n->conn.remote = *g->remote;
	n->serve = g->serve;
	n->arg = g->arg;
	n->accepted = g->accepted;
	if (waker_watch(&n->conn.waker, g->fd) != ERR_OK)
		abort(); /* nobody knows this waker yet */
	if (n->parked) {
		n->parked = false;
		cond_signal(&n->more);
	} else {
		e = start_locked(s, n);
	}
	if (e != ERR_OK)
		return e;
	list_locked(s, n, n->accepted ? CONN_SILENT : CONN_BUSY);
	s->connections++;
	if (n->accepted) {
		s->accepted_now++;
		s->accepted++;
	}
	return ERR_OK;
}

/* Gives the connection its thread. ERR_STOPPED, ERR_NOMEM, ERR_SYSTEM. */
static enum err admit(struct server *s, const struct guest *g)
{
	enum err e;

	mutex_lock(&s->mu);
	e = admit_locked(s, g);
	mutex_unlock(&s->mu);
	return e;
}

enum err server_adopt(struct server *s, int fd, const struct addr *remote,
		      void (*serve)(void *arg, struct conn *c), void *arg)
{
	struct guest g = {
		.fd = fd, .remote = remote, .serve = serve, .arg = arg
	};
	enum err e = admit(s, &g);

	return e == ERR_NOMEM ? ERR_SYSTEM : e;
}

/* --- making way ------------------------------------------------------- */

static bool is_from(const struct entry *n, const struct addr *source)
{
	struct addr own = addr_source(&n->conn.remote);

	return n->accepted && addr_equal(&own, source);
}

static struct entry *longest_locked(struct server *s, unsigned list,
				    const struct addr *source) NEEDS(s->mu)
{
	struct entry *n;

	DL_FOREACH (s->alive[list], n)
		if (source == NULL || is_from(n, source))
			return n;
	return NULL;
}

static bool had_time(const struct entry *n)
{
	return clock_ms() >= n->since_ms + SERVER_GRACE_MS;
}

/* Who makes way for a newcomer; with a source, of those from there. While the
 * silent had no time yet to say what they came for, it depends: where most
 * places are idle one of these goes, else each newcomer would wait for the one
 * before him; a crowd of the silent waits for its own. Of one source, for which
 * nobody waits, an idle one goes. */
static struct entry *victim_locked(struct server *s, const struct addr *source)
	NEEDS(s->mu)
{
	struct entry *silent = longest_locked(s, CONN_SILENT, source);
	struct entry *idle = longest_locked(s, CONN_IDLE, source);

	if (silent == NULL || idle == NULL)
		return silent != NULL ? silent : idle;
	if (had_time(silent))
		return silent;
	if (source == NULL && s->count[CONN_SILENT] >= s->count[CONN_IDLE])
		return silent;
	return idle;
}

/* Waits until few are on their way out. They leave at once: whatever they are
 * blocked in, their waker ends it. One that ended is never joined until the
 * next one ends. */
static void wait_gone_locked(struct server *s, size_t leaving_max) NEEDS(s->mu)
{
	const size_t *leaving = &s->count[LIST_LEAVING];

	while (!s->deaf && (*leaving > leaving_max ||
			    *leaving + s->unjoined > LEAVING_MAX + 1))
		cond_wait(&s->gone, &s->mu);
}

/* Tells one connection to leave, or waits for a moment until one may be told;
 * but for the sake of one source nobody else waits. False: there is none that
 * could. *who: its address. */
static bool make_way_locked(struct server *s, const struct addr *source,
			    struct addr *who) NEEDS(s->mu)
{
	struct entry *n = victim_locked(s, source);

	if (n == NULL || (source != NULL && !had_time(n)))
		return false;
	if (!had_time(n)) {
		cond_wait_until(&s->gone, &s->mu,
				n->since_ms + SERVER_GRACE_MS);
		return true;
	}
	*who = n->conn.remote;
	unlist_locked(s, n);
	list_locked(s, n, LIST_LEAVING);
	s->accepted_now--;
	s->refused++;
	waker_stop(&n->conn.waker);
	return true;
}

static size_t count_from_locked(struct server *s, const struct addr *source)
	NEEDS(s->mu)
{
	size_t count = 0;
	struct entry *n;

	for (unsigned list = CONN_SILENT; list <= CONN_BUSY; list++)
		DL_FOREACH (s->alive[list], n)
			count += is_from(n, source);
	return count;
}

static bool source_full_locked(struct server *s, const struct addr *source)
	NEEDS(s->mu)
{
	return count_from_locked(s, source) >= s->config.per_source_max;
}

/* A place for a newcomer. *evicted: who made way, if anybody had to. False:
 * there is no place, *why says which. */
static bool find_place_locked(struct server *s, const struct addr *remote,
			      struct addr *evicted, enum reject_reason *why)
	NEEDS(s->mu)
{
	struct addr source = addr_source(remote);
	bool limited =
		s->config.per_source_max > 0 && !addr_is_loopback(remote);

	*why = REJECT_SOURCE;
	while (limited && !s->deaf && source_full_locked(s, &source))
		if (!make_way_locked(s, &source, evicted))
			return false;
	*why = REJECT_CONNECTIONS;
	while (!s->deaf && s->accepted_now >= s->config.connections_max)
		if (!make_way_locked(s, NULL, evicted))
			return false;
	wait_gone_locked(s, LEAVING_MAX);
	return true;
}

static void note_evicted(struct server *s, const struct addr *who)
{
	if (!addr_is_none(who))
		reject_note(s->config.rejects, REJECT_EVICTED, who,
			    "makes way for a newcomer");
}

static bool find_place(struct server *s, const struct addr *remote,
		       enum reject_reason *why)
{
	struct addr evicted = { 0 };
	bool found;

	mutex_lock(&s->mu);
	found = find_place_locked(s, remote, &evicted, why);
	mutex_unlock(&s->mu);
	note_evicted(s, &evicted);
	return found;
}

/* Somebody's descriptor for somebody else. */
static bool free_descriptor(struct server *s)
{
	struct addr evicted = { 0 };
	bool freed = true;

	mutex_lock(&s->mu);
	while (freed && !s->deaf && addr_is_none(&evicted))
		freed = make_way_locked(s, NULL, &evicted);
	wait_gone_locked(s, 0);
	mutex_unlock(&s->mu);
	note_evicted(s, &evicted);
	return freed;
}

bool server_stand(struct conn *c, enum conn_standing standing)
{
	struct entry *n = (struct entry *)(void *)c;
	struct server *s = n->server;
	bool stays;

	mutex_lock(&s->mu);
	stays = n->list != LIST_LEAVING;
	if (stays) {
		unlist_locked(s, n);
		list_locked(s, n, standing);
	}
	mutex_unlock(&s->mu);
	return stays;
}

/* --- accepting -------------------------------------------------------- */

static void refuse(struct server *s, int fd, const struct addr *who,
		   enum reject_reason why, const char *detail)
{
	mutex_lock(&s->mu);
	s->refused++;
	mutex_unlock(&s->mu);
	reject_note(s->config.rejects, why, who, detail);
	sock_close(fd);
}

static void seat(struct server *s, int fd, const struct addr *remote)
{
	struct guest g = { .fd = fd,
			   .remote = remote,
			   .serve = s->config.serve,
			   .arg = s->config.ctx,
			   .accepted = true };
	enum err e = admit(s, &g);

	if (e == ERR_STOPPED)
		sock_close(fd);
	else if (e == ERR_NOMEM)
		refuse(s, fd, remote, REJECT_MEMORY, "for a connection");
	else if (e != ERR_OK)
		refuse(s, fd, remote, REJECT_THREADS, "for a connection");
}

static void welcome(struct server *s, int fd, const struct addr *remote)
{
	enum reject_reason why;

	if (find_place(s, remote, &why))
		seat(s, fd, remote);
	else
		refuse(s, fd, remote, why, "every place is in use");
}

/* Out of descriptors. accept would fail at once, again and again; with the
 * reserve given up it waits for a caller as it should, until there is a new
 * reserve (see came). Where nothing is left to give up, time must help. A new
 * reserve is not kept at once, or each of many callers who come and go would
 * cost a failure. */
static void accept_scarce(struct server *s)
{
	if (s->reserve < 0) {
		waker_sleep(&s->waker, clock_ms() + RETRY_MS);
		return;
	}
	sock_close(s->reserve);
	s->reserve = -1;
	s->scarce_ms = clock_ms() + SCARCE_MS;
}

/* A caller is welcome only if there is a reserve besides him, or somebody can
 * make way for it; else he is sent away, with no accept that fails before. */
static void came(struct server *s, int fd, const struct addr *remote)
{
	if (s->reserve < 0)
		s->reserve = open_reserve();
	if (s->reserve < 0 && free_descriptor(s))
		s->reserve = open_reserve();
	if (s->reserve < 0) {
		refuse(s, fd, remote, REJECT_DESCRIPTORS, "for a connection");
		return;
	}
	if (clock_ms() < s->scarce_ms) {
		sock_close(s->reserve);
		s->reserve = -1;
	}
	welcome(s, fd, remote);
}

/* What keeps on failing fills one line in a while. */
static void complain(struct server *s, int error)
{
	int64_t now_ms = clock_ms();

	s->unsaid++;
	if (now_ms - s->complained_ms < COMPLAIN_MS)
		return;
	log_event(s->config.rejects->log, LOG_WARN, KIND_WARNING, WAY_IN,
		  "accept", NULL, "%s (%" PRIu64 " since the last such line)",
		  strerror(error), s->unsaid);
	s->complained_ms = now_ms;
	s->unsaid = 0;
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
			complain(s, error);
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
			came(s, fd, &remote);
		else
			accept_failed(s, errno);
	}
	waker_unwatch(&s->waker);
	sock_close(s->listener);
	s->listener = -1;
	return NULL;
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
	cond_broadcast(&s->gone);
	mutex_unlock(&s->mu);
	waker_stop(&s->waker); /* a listener that is shut down refuses */
}

void server_stop(struct server *s)
{
	struct entry *n;

	server_stop_listening(s);
	mutex_lock(&s->mu);
	s->stopped = true;
	for (unsigned list = 0; list < LISTS; list++)
		DL_FOREACH (s->alive[list], n)
			waker_stop(&n->conn.waker);
	DL_FOREACH (s->parked, n)
		cond_signal(&n->more);
	mutex_unlock(&s->mu);
}

void server_join(struct server *s)
{
	struct entry *last;

	if (s->started)
		thread_join(s->thread);
	mutex_lock(&s->mu);
	while (s->threads > 0)
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
