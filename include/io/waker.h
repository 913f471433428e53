/* A way to wake one thread from whatever it is blocked in.
 *
 * The thread announces the descriptor it works on (watch) and takes it back
 * before closing (unwatch); anybody may then stop the waker: the descriptor
 * is shut down, which wakes accept, recv, send and connect (close would not),
 * and every later watch is refused. waker_stop is idempotent and never blocks.
 */
#ifndef IO_WAKER_H
#define IO_WAKER_H

#include "io/thread.h"

struct waker {
	struct mutex mu;
	struct cond stop_cond;
	int fd;       /* (mu) -1: none */
	bool stopped; /* (mu) */
};

void waker_init(struct waker *w);
void waker_destroy(struct waker *w);
void waker_stop(struct waker *w);
bool waker_stopped(struct waker *w);
/* ERR_STOPPED: do not block on fd, leave. */
enum err MUST_CHECK waker_watch(struct waker *w, int fd);
void waker_unwatch(struct waker *w);
/* Waits until the deadline; ERR_TIMEOUT then, ERR_STOPPED when woken. */
enum err waker_sleep(struct waker *w, int64_t deadline_ms);

#endif
