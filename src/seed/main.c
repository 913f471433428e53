/* bin/seed: keeps the list of the peers. Signals are blocked before any thread
 * exists, so that all of them wait for main. */
#include "io/exits.h"
#include "io/heap.h"
#include "io/notify.h"
#include "io/signals.h"
#include "seed/daemon.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

extern char **environ;

/* A connection needs one descriptor, and one more while it dials back. */
static void raise_descriptor_limit(const struct config_seed_role *c)
{
	rlim_t want = 2 * c->connections_max + c->verify_max + 64;
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) != 0 || l.rlim_cur >= want)
		return;
	l.rlim_cur = l.rlim_max < want ? l.rlim_max : want;
	setrlimit(RLIMIT_NOFILE, &l);
}

static void run(struct seed_daemon *d, int signal_fd)
{
	for (;;) {
		switch (signals_read(signal_fd)) {
		case WISH_END:
			return;
		case WISH_REOPEN:
			log_reopen(d->log);
			seed_daemon_reload(d);
			break;
		case WISH_STATUS:
			seed_daemon_log_status(d);
			break;
		case WISH_NOTHING:
			break;
		}
	}
}

int main(int argc, char **argv)
{
	static struct seed_daemon d;
	int signal_fd, status;

	heap_settle();
	signals_hold_streams();
	signal_fd = signals_block();
	status = options_read(&d.options, PROGRAM_SEED, argc, argv, environ);
	if (status >= 0)
		return status;
	if (signal_fd < 0) {
		fprintf(stderr, "seed: signals: %s\n", strerror(errno));
		return EXIT_FAILED;
	}
	raise_descriptor_limit(&d.options.config.seed);
	status = seed_daemon_start(&d);
	if (status != SEED_DAEMON_RUNS)
		return status;
	notify_ready();
	run(&d, signal_fd);
	signals_let_kill();
	seed_daemon_stop(&d);
	return EXIT_DONE;
}
