/* The assembly: what a running peer consists of, who needs whom, and how it
 * starts and ends.
 *
 * One thread opens, starts, stops and joins it; the struct is constant while
 * the threads run, and every part locks for itself. A process may hold several
 * peers. Times are clock_ms times.
 */
#ifndef PEER_PEER_H
#define PEER_PEER_H

#include "io/greeting.h"
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
struct input;

struct counters {
	atomic_uint_fast64_t bytes_in, bytes_out;
};

struct peer {
	const struct options *options;
	const struct config *config;
	int in_fd, out_fd; /* its stdin and stdout; the caller's to close */
	struct log *log;   /* NULL: warnings go to stderr */
	struct hub *hub;
	struct server *server;
	struct dialer *dialer;
	struct seeds *seeds;
	struct output *output;
	struct input *input; /* NULL: nobody reads stdin */
	struct history history;
	struct mutex publish_mu; /* one publisher at a time */
	struct counters counters;
	struct rejects rejects;
	struct greeting to_peers,
		to_seeds;   /* without keys, if there are none */
	struct addr source; /* host our connections leave from; none: any */
	struct addr bound;  /* where it listens */
	int64_t started_ms;
	bool begun;        /* the node had its EV_START */
	int finish_fd;     /* eventfd: somebody wants the peer to end */
	atomic_int status; /* exit status; the first who wants to end sets it */
};

struct peer_options {
	const struct options *options; /* outlives the peer */
	int in_fd, out_fd;             /* likewise open */
};

/* Looks up names and listens, without a thread so far: whoever comes waits.
 * EXIT_DONE, or how to exit; what is wrong is said on stderr. */
int peer_open(struct peer **p, const struct peer_options *o);
/* Joins the network. On anything but ERR_OK (ERR_SYSTEM with errno,
 * ERR_NOMEM) that has been said on stderr, and all of it has ended and is
 * freed; but see `hangs` below. */
enum err MUST_CHECK peer_start(struct peer *p);
/* Says good-bye to everybody (R15). Idempotent, never blocks. */
void peer_stop(struct peer *p);
/* After peer_stop: gives the good-byes and stdout their time, waits for all
 * threads, frees it; a SIGINT or SIGTERM that comes meanwhile over signal_fd
 * (-1: none) lets the next one kill. Returns the exit status.
 * *hangs: a thread is inside of a name look-up, which cannot be woken. Then
 * nothing it may use is freed; the process must end by _exit. */
int peer_join(struct peer *p, int signal_fd, bool *hangs);
/* One that was opened and never started. */
void peer_free(struct peer *p);

/* Asks main to end the peer with that exit status; the first one wins. Any
 * thread, never blocks. */
void peer_finish(struct peer *p, int status);
/* One line with peer_status in the log. Any thread. */
void peer_log_status(struct peer *p);

#endif
