#include "io/waker.h"

#include <sys/socket.h>

void waker_init(struct waker *w)
{
	mutex_init(&w->mu);
	cond_init(&w->stop_cond);
	w->fd = -1;
	w->stopped = false;
}

void waker_destroy(struct waker *w)
{
	cond_destroy(&w->stop_cond);
	mutex_destroy(&w->mu);
}

void waker_stop(struct waker *w)
{
	mutex_lock(&w->mu);
	w->stopped = true;
	/* Under the lock, so that the descriptor cannot be closed and its
	 * number given to somebody else between the look and the call. */
	if (w->fd >= 0)
		shutdown(w->fd, SHUT_RDWR);
	cond_broadcast(&w->stop_cond);
	mutex_unlock(&w->mu);
}

bool waker_stopped(struct waker *w)
{
	bool stopped;

	mutex_lock(&w->mu);
	stopped = w->stopped;
	mutex_unlock(&w->mu);
	return stopped;
}

enum err waker_watch(struct waker *w, int fd)
{
	enum err e = ERR_STOPPED;

	mutex_lock(&w->mu);
	if (!w->stopped) {
		w->fd = fd;
		e = ERR_OK;
	}
	mutex_unlock(&w->mu);
	return e;
}

void waker_unwatch(struct waker *w)
{
	mutex_lock(&w->mu);
	w->fd = -1;
	mutex_unlock(&w->mu);
}

enum err waker_sleep(struct waker *w, int64_t deadline_ms)
{
	bool in_time = true;
	enum err e;

	mutex_lock(&w->mu);
	while (!w->stopped && in_time)
		in_time = cond_wait_until(&w->stop_cond, &w->mu, deadline_ms);
	e = w->stopped ? ERR_STOPPED : ERR_TIMEOUT;
	mutex_unlock(&w->mu);
	return e;
}
