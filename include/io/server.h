/* A listening socket and a thread per connection.
 *
 * A thread whose connection has ended waits a moment for another one.
 *
 * The server owns the listener, the table of connection threads and their
 * joining; what is said on a connection is the business of the function it
 * was given. Connections dialed by us are put into the same table
 * (server_adopt), so that there is one place where connection threads end.
 *
 * Whoever connects is let in; when all places are taken, somebody who has
 * nothing to do with us makes way. So strangers that connect and say nothing
 * cannot shut the door.
 */
#ifndef IO_SERVER_H
#define IO_SERVER_H

#include "io/reject.h"
#include "io/waker.h"

#include <stddef.h>
#include <stdint.h>

/* So long everybody may stay to say what he came for, even when thousands come
 * in a second; until then they wait in the backlog of the kernel, and what they
 * say with them. */
#define SERVER_GRACE_MS 20

/* Who makes way first: the longest of the silent, then of the idle, and of the
 * busy nobody. An accepted connection begins silent. */
enum conn_standing {
	CONN_SILENT, /* said nothing of sense so far */
	CONN_IDLE,   /* did, and nothing is to be done for it now */
	CONN_BUSY    /* is being answered, or is a link */
};

struct conn {
	int fd; /* closed by the server after serve returned */
	struct addr remote;
	struct waker waker; /* watches fd for the whole life of the conn */
};

struct server_config {
	const char *name; /* of its threads */
	struct addr listen;
	size_t connections_max; /* accepted ones */
	size_t per_source_max;  /* of those, of one addr_source; 0: any number;
				 * does not count on loopback */
	/* Runs in the connection's own thread. */
	void (*serve)(void *ctx, struct conn *c);
	void *ctx;
	struct rejects *rejects; /* counts and logs who is turned away */
};

struct server_stats {
	uint64_t accepted;  /* since the start */
	uint64_t refused;   /* closed for want of something, at once or later */
	size_t connections; /* now */
};

struct server;

/* Bound and listening when it returns; *bound is the real address. */
enum err MUST_CHECK server_open(struct server **s,
				const struct server_config *c,
				struct addr *bound);
/* Starts accepting. */
enum err MUST_CHECK server_start(struct server *s);
/* The connection's own thread says how it stands. False: it was told to make
 * way and must leave. */
bool MUST_CHECK server_stand(struct conn *c, enum conn_standing standing);
/* Runs serve(arg, conn) for a connection we made, which counts as busy; fd is
 * the server's on ERR_OK. Not counted against connections_max. ERR_STOPPED,
 * ERR_SYSTEM. */
enum err MUST_CHECK server_adopt(struct server *s, int fd,
				 const struct addr *remote,
				 void (*serve)(void *arg, struct conn *c),
				 void *arg);
struct server_stats server_stats(struct server *s);
/* No new connection from now on, they are refused; those that are there live
 * on. Never blocks. */
void server_stop_listening(struct server *s);
/* Wakes everything. Idempotent. */
void server_stop(struct server *s);
void server_join(struct server *s); /* frees it; after server_stop */

#endif
