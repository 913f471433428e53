/* The assembly: what a running peer consists of, and who needs whom.
 *
 * Made by main, constant once the threads run; every part locks for itself.
 */
#ifndef PEER_PEER_H
#define PEER_PEER_H

#include "io/log.h"
#include "io/options.h"
#include "io/reject.h"
#include "io/server.h"
#include "peer/history.h"

#include <stdatomic.h>

struct hub;
struct dialer;
struct seeds;
struct output;

struct counters {
	atomic_uint_fast64_t bytes_in, bytes_out;
};

struct peer {
	const struct options *options;
	const struct config *config;
	struct log *log; /* NULL: warnings go to stderr */
	struct hub *hub;
	struct server *server;
	struct dialer *dialer;
	struct seeds *seeds;
	struct output *output;
	struct history history;
	struct mutex publish_mu; /* one publisher at a time */
	struct counters counters;
	struct rejects rejects;
	struct addr source; /* host our connections leave from; none: any */
	int64_t started_ms;
	int finish_fd;     /* eventfd: somebody wants the peer to end */
	atomic_int status; /* exit status; the first who wants to end sets it */
};

/* Asks main to end the peer with that exit status; the first one wins. Any
 * thread, never blocks. */
void peer_finish(struct peer *p, int status);

#endif
