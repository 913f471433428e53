#include "io/thread.h"

#include "io/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NAME_MAX_BYTES 16 /* what Linux keeps of a thread's name, with NUL */

/* Locks and conditions fail only when we misuse them: never go on then, also
 * not in a build without assert. */
static void must(int rc)
{
	if (rc != 0)
		abort();
}

void mutex_init(struct mutex *m)
{
	must(pthread_mutex_init(&m->m, NULL));
}

void mutex_destroy(struct mutex *m)
{
	must(pthread_mutex_destroy(&m->m));
}

void mutex_lock(struct mutex *m) UNCHECKED
{
	must(pthread_mutex_lock(&m->m));
}

void mutex_unlock(struct mutex *m) UNCHECKED
{
	must(pthread_mutex_unlock(&m->m));
}

void cond_init(struct cond *c)
{
	pthread_condattr_t attr;

	must(pthread_condattr_init(&attr));
	must(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC));
	must(pthread_cond_init(&c->c, &attr));
	pthread_condattr_destroy(&attr);
}

void cond_destroy(struct cond *c)
{
	must(pthread_cond_destroy(&c->c));
}

void cond_signal(struct cond *c)
{
	must(pthread_cond_signal(&c->c));
}

void cond_broadcast(struct cond *c)
{
	must(pthread_cond_broadcast(&c->c));
}

void cond_wait(struct cond *c, struct mutex *m)
{
	must(pthread_cond_wait(&c->c, &m->m));
}

bool cond_wait_until(struct cond *c, struct mutex *m, int64_t deadline_ms)
{
	struct timespec t;
	int rc;

	if (deadline_ms == INT64_MAX) {
		cond_wait(c, m);
		return true;
	}
	if (deadline_ms < 0)
		deadline_ms = 0;
	t.tv_sec = (time_t)(deadline_ms / 1000);
	t.tv_nsec = (long)(deadline_ms % 1000) * 1000000;
	rc = pthread_cond_timedwait(&c->c, &m->m, &t);
	if (rc == ETIMEDOUT)
		return false;
	must(rc);
	return true;
}

struct start {
	void *(*run)(void *);
	void *arg;
	char name[NAME_MAX_BYTES];
};

/* A thread names itself: naming another one opens a file in /proc, which
 * fails just when descriptors are scarce. */
static void *begin(void *p)
{
	struct start s = *(struct start *)p;

	free(p);
	pthread_setname_np(pthread_self(), s.name);
	return s.run(s.arg);
}

enum err thread_start(pthread_t *t, void *(*run)(void *), void *arg,
		      const char *name)
{
	struct start *s = calloc(1, sizeof *s);
	pthread_attr_t attr;
	int rc;

	if (s == NULL)
		return ERR_SYSTEM;
	s->run = run;
	s->arg = arg;
	strncpy(s->name, name, sizeof s->name - 1);
	must(pthread_attr_init(&attr));
	must(pthread_attr_setstacksize(&attr, THREAD_STACK_BYTES));
	rc = pthread_create(t, &attr, begin, s);
	pthread_attr_destroy(&attr);
	if (rc != 0) {
		free(s);
		errno = rc;
		return ERR_SYSTEM;
	}
	return ERR_OK;
}

void thread_join(pthread_t t)
{
	must(pthread_join(t, NULL));
}
