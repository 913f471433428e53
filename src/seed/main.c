/* bin/seed: keeps the list of the peers. Signals are blocked before any thread
 * exists, so that all of them wait for main. */
#include "io/exits.h"
#include "io/notify.h"
#include "seed/daemon.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>

extern char **environ;

static sigset_t block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	return set;
}

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

/* Until somebody wants it to end; says how. */
static const char *wait_for_the_end(struct seed_daemon *d, const sigset_t *set)
{
	int number;

	for (;;) {
		if (sigwait(set, &number) != 0)
			continue;
		if (number == SIGHUP)
			log_reopen(d->log);
		else if (number == SIGUSR1)
			seed_daemon_log_status(d);
		else
			return number == SIGINT ? "SIGINT" : "SIGTERM";
	}
}

/* From now on a second one ends the process at once. */
static void let_signals_kill(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

int main(int argc, char **argv)
{
	static struct seed_daemon d;
	sigset_t set = block_signals();
	const char *why;
	int status =
		options_read(&d.options, PROGRAM_SEED, argc, argv, environ);

	if (status >= 0)
		return status;
	raise_descriptor_limit(&d.options.config.seed);
	status = seed_daemon_start(&d);
	if (status != SEED_DAEMON_RUNS)
		return status;
	notify_ready();
	why = wait_for_the_end(&d, &set);
	let_signals_kill();
	seed_daemon_stop(&d, why);
	return EXIT_DONE;
}
