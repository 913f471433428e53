#include "io/pool.h"

#include "io/clock.h"

#include <errno.h>
#include <stdlib.h>

struct worker {
	struct pool *pool;
	struct worker *next; /* (q) */
	pthread_t thread;    /* (q) */
	struct waker waker;
};

/* (q) mu, which is queue.mu of the lock order; (c) constant */
struct pool {
	const char *name;              /* (c) */
	size_t threads_max, queue_max; /* (c) */
	struct mutex mu;
	struct cond work;          /* a job came, or the end */
	struct cond gone;          /* a worker left */
	struct job *first, **last; /* (q) waiting */
	size_t queued, running;    /* (q) */
	size_t workers, idle;      /* (q) threads; those that wait for a job */
	struct worker *alive;      /* (q) */
	struct worker *ended;      /* (q) the one nobody has joined yet */
	bool stopped;              /* (q) */
};

enum err pool_start(struct pool **out, const char *name, size_t threads_max,
		    size_t queue_max)
{
	struct pool *p = calloc(1, sizeof *p);

	if (p == NULL)
		return ERR_NOMEM;
	p->name = name;
	p->threads_max = threads_max;
	p->queue_max = queue_max;
	p->last = &p->first;
	mutex_init(&p->mu);
	cond_init(&p->work);
	cond_init(&p->gone);
	*out = p;
	return ERR_OK;
}

static void put_locked(struct pool *p, struct job *j) NEEDS(p->mu)
{
	j->next = NULL;
	*p->last = j;
	p->last = &j->next;
	p->queued++;
}

/* The next job, or NULL when the worker should leave. */
static struct job *take_locked(struct pool *p) NEEDS(p->mu)
{
	int64_t deadline_ms = clock_ms() + POOL_IDLE_MS;
	bool in_time = true;
	struct job *j;

	p->idle++;
	while (p->first == NULL && !p->stopped && in_time)
		in_time = cond_wait_until(&p->work, &p->mu, deadline_ms);
	p->idle--;
	j = p->first;
	if (j == NULL)
		return NULL;
	p->first = j->next;
	if (p->first == NULL)
		p->last = &p->first;
	p->queued--;
	return j;
}

static void worker_join(struct worker *w)
{
	if (w == NULL)
		return;
	thread_join(w->thread);
	waker_destroy(&w->waker);
	free(w);
}

/* Takes w off the list and makes it the one to be joined; the one that was
 * that before is handed back. */
static struct worker *leave_locked(struct pool *p, struct worker *w)
	NEEDS(p->mu)
{
	struct worker *before = p->ended, **at = &p->alive;

	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	p->ended = w;
	p->workers--;
	cond_broadcast(&p->gone);
	return before;
}

static void *worker_main(void *arg)
{
	struct worker *w = arg, *before;
	struct pool *p = w->pool;
	struct job *j;

	mutex_lock(&p->mu);
	while ((j = take_locked(p)) != NULL) {
		p->running++;
		mutex_unlock(&p->mu);
		j->run(j, &w->waker, false);
		mutex_lock(&p->mu);
		p->running--;
	}
	before = leave_locked(p, w);
	mutex_unlock(&p->mu);
	/* Each that ends joins the one that ended before it, so that one is
	 * left for pool_join. The pool itself may be gone by now. */
	worker_join(before);
	return NULL;
}

static enum err hire_locked(struct pool *p) NEEDS(p->mu)
{
	struct worker *w = calloc(1, sizeof *w);
	enum err e;

	if (w == NULL)
		return ERR_SYSTEM;
	w->pool = p;
	waker_init(&w->waker);
	e = thread_start(&w->thread, worker_main, w, p->name);
	if (e != ERR_OK) {
		int saved = errno;

		waker_destroy(&w->waker);
		free(w);
		errno = saved;
		return e;
	}
	w->next = p->alive;
	p->alive = w;
	p->workers++;
	return ERR_OK;
}

static enum err submit_locked(struct pool *p, struct job *j) NEEDS(p->mu)
{
	if (p->stopped)
		return ERR_STOPPED;
	if (p->queued >= p->queue_max)
		return ERR_FULL;
	/* Failing to hire matters only when nobody else would do it. */
	if (p->queued >= p->idle && p->workers < p->threads_max &&
	    hire_locked(p) != ERR_OK && p->workers == 0)
		return ERR_SYSTEM;
	put_locked(p, j);
	cond_signal(&p->work);
	return ERR_OK;
}

enum err pool_submit(struct pool *p, struct job *j)
{
	enum err e;

	mutex_lock(&p->mu);
	e = submit_locked(p, j);
	mutex_unlock(&p->mu);
	return e;
}

size_t pool_busy(struct pool *p)
{
	size_t n;

	mutex_lock(&p->mu);
	n = p->queued + p->running;
	mutex_unlock(&p->mu);
	return n;
}

void pool_stop(struct pool *p)
{
	struct job *waiting;

	mutex_lock(&p->mu);
	p->stopped = true;
	waiting = p->first;
	p->first = NULL;
	p->last = &p->first;
	p->queued = 0;
	for (struct worker *w = p->alive; w != NULL; w = w->next)
		waker_stop(&w->waker);
	cond_broadcast(&p->work);
	mutex_unlock(&p->mu);
	while (waiting != NULL) {
		struct job *next = waiting->next;

		waiting->run(waiting, NULL, true);
		waiting = next;
	}
}

void pool_join(struct pool *p)
{
	struct worker *last;

	mutex_lock(&p->mu);
	while (p->workers > 0)
		cond_wait(&p->gone, &p->mu);
	last = p->ended;
	mutex_unlock(&p->mu);
	worker_join(last);
	cond_destroy(&p->gone);
	cond_destroy(&p->work);
	mutex_destroy(&p->mu);
	free(p);
}
