/* The process around a seed: which address is its own, its log, its start.
 *
 * Main only, before and after the seed's threads. What goes wrong is said on
 * stderr in one line.
 */
#ifndef SEED_DAEMON_H
#define SEED_DAEMON_H

#include "io/log.h"
#include "io/options.h"
#include "seed/seed.h"

struct seed_daemon {
	struct options options; /* read by options_read */
	const char *name;       /* its entry of [seeds], NULL: none */
	struct keys *keys;      /* NULL: none */
	struct log *log;
	struct seed *seed;
};

#define SEED_DAEMON_RUNS (-1) /* not an exit status */

/* Listens on --listen, else on the entry that was named, else on the first
 * entry that is free. SEED_DAEMON_RUNS, or how to exit. */
int seed_daemon_start(struct seed_daemon *d);
void seed_daemon_stop(struct seed_daemon *d);
/* SIGHUP: reads the key file again. */
void seed_daemon_reload(struct seed_daemon *d);
/* One line with seed_status in the log. */
void seed_daemon_log_status(struct seed_daemon *d);

#endif
