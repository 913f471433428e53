/* A listening socket and a thread per connection.
 *
 * The server owns the listener, the table of connection threads and their
 * joining; what is said on a connection is the business of the function it
 * was given. Connections dialed by us are put into the same table
 * (server_adopt), so that there is one place where connection threads end.
 */
#ifndef IO_SERVER_H
#define IO_SERVER_H

#include "io/log.h"
#include "io/waker.h"

#include <stddef.h>
#include <stdint.h>

struct conn {
	int fd; /* closed by the server after serve returned */
	struct addr remote;
	struct waker waker; /* watches fd for the whole life of the conn */
};

struct server_config {
	const char *name; /* of its threads */
	struct addr listen;
	size_t connections_max; /* accepted ones; more are closed at once */
	/* Runs in the connection's own thread. */
	void (*serve)(void *ctx, struct conn *c);
	void *ctx;
	struct log *log;
};

struct server_stats {
	uint64_t accepted, refused; /* since the start */
	size_t connections;         /* now */
};

struct server;

/* Bound and listening when it returns; *bound is the real address. */
enum err MUST_CHECK server_open(struct server **s,
				const struct server_config *c,
				struct addr *bound);
/* Another log than the one it was opened with; before server_start. */
void server_log_to(struct server *s, struct log *log);
/* Starts accepting. */
enum err MUST_CHECK server_start(struct server *s);
/* Runs serve(arg, conn) for a connection we made; fd is the server's on
 * ERR_OK. Not counted against connections_max. ERR_STOPPED, ERR_SYSTEM. */
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
