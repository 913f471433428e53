/* bin/peer: a table of contents. Options, names, signals, start, wait, stop. */
#include "base/crypto.h"
#include "io/complain.h"
#include "io/heap.h"
#include "io/notify.h"
#include "io/signals.h"
#include "peer/chatter.h"
#include "peer/output.h"
#include "peer/peer.h"
#include "peer/renewal.h"
#include "peer/seeds.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

static int fail(const char *what, const char *why)
{
	complain("peer: %s: %s\n", what, why);
	return EXIT_FAILED;
}

/* True if it is time to leave. */
static bool on_signal(struct peer *p, int signal_fd, struct renewal *renewal)
{
	switch (signals_read(signal_fd)) {
	case WISH_REOPEN:
		log_reopen(p->log);
		renewal_reload(renewal);
		return false;
	case WISH_STATUS:
		peer_log_status(p);
		return false;
	case WISH_NOTHING:
		return false;
	case WISH_END:
		break;
	}
	signals_let_kill(); /* the second one */
	peer_finish(p, EXIT_DONE);
	return true;
}

/* With --receive the end of the reader is our end, also when there is nothing
 * to print: a pipe says so without being asked for anything. */
static int watched_output(const struct peer *p)
{
	return p->options->receive ? output_fd(p->output) : -1;
}

/* Of two times to wait, -1: for ever. */
static int sooner(int a, int b)
{
	if (a < 0 || b < 0)
		return a > b ? a : b;
	return a < b ? a : b;
}

/* Until a signal or a part of the peer wants it to end. */
static void run(struct peer *p, int signal_fd)
{
	struct renewal renewal;
	struct chatter chatter;

	chatter_init(&chatter, p);
	renewal_init(&renewal, p);
	for (;;) {
		struct pollfd fds[3] = {
			{ .fd = signal_fd, .events = POLLIN },
			{ .fd = p->finish_fd, .events = POLLIN },
			{ .fd = watched_output(p), .events = 0 },
		};
		int n = poll(
			fds, 3,
			sooner(chatter_wait(&chatter), renewal_wait(&renewal)));

		if (n < 0 && errno != EINTR)
			return;
		if (n > 0 && fds[1].revents != 0)
			return;
		if (n > 0 && fds[0].revents != 0 &&
		    on_signal(p, signal_fd, &renewal))
			return;
		if (n > 0 && (fds[2].revents & (POLLERR | POLLHUP)) != 0) {
			peer_finish(p, EXIT_DONE);
			return;
		}
		chatter_say(&chatter);
		renewal_go_on(&renewal);
	}
}

int main(int argc, char **argv)
{
	static struct options options;
	struct peer_options po = { .options = &options,
				   .in_fd = STDIN_FILENO,
				   .out_fd = STDOUT_FILENO };
	struct peer *peer = NULL;
	int signal_fd, status;
	bool hangs;

	heap_settle();
	signals_hold_streams();
	status = options_read(&options, PROGRAM_PEER, argc, argv, environ);
	if (status >= 0)
		return status;
	if (crypto_init() != ERR_OK)
		return fail("libsodium", "no randomness");
	if (options.list)
		return seeds_print_lists(&options);
	status = peer_open(&peer, &po);
	if (status != EXIT_DONE)
		return status;
	/* Up to here names are looked up, and a signal just ends it. */
	signal_fd = signals_block();
	if (signal_fd < 0) {
		status = fail("signals", strerror(errno));
		peer_free(peer);
		return status;
	}
	if (peer_start(peer) != ERR_OK)
		return EXIT_FAILED;
	notify_ready();
	run(peer, signal_fd);
	peer_stop(peer);
	status = peer_join(peer, signal_fd, &hangs);
	if (hangs)
		_exit(status);
	return status;
}
