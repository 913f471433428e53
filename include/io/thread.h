/* Threads, locks and conditions: pthreads with our defaults, and with the
 * attributes that let clang check who holds which lock.
 *
 * LOCK ORDER, all of it. A thread that holds a lock of the left column may
 * take only what stands to the right of it.
 *
 *   lock          guards                                 may then take
 *   publish.mu    one publisher at a time, its seq       node.mu, outbox.mu,
 *                                                        history.mu
 *   node.mu       the node and the links of a peer       outbox.mu, queue.mu,
 *                                                        history.mu, seeds.mu,
 *                                                        waker.mu, keys.mu
 *   outbox.mu     one link's queued frames               -
 *   history.mu    the last messages of a peer            -
 *   seeds.mu      leases and standing of the seeds       -
 *   registry.mu   a seed's peer list                     -
 *   queue.mu      entries of a pool, of the output queue waker.mu
 *   conns.mu      the table of connection threads        waker.mu
 *   waker.mu      the descriptor a thread is blocked on  -
 *   keys.mu       the keys of the key file               -
 *   log.mu        the log buffer                         -
 *
 * What a lower part calls upwards (a link that drained, an output that caught
 * up) it calls holding none of these.
 * log.mu is a leaf: it may be taken under any other. No lock is held over a
 * call that can block; the one exception is a warning of a peer without a log
 * (--send, --receive): stderr may take up to 100 ms for it.
 */
#ifndef IO_THREAD_H
#define IO_THREAD_H

#include "base/err.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __clang__
#define THREAD_ATTR(x) __attribute__((x))
#else
#define THREAD_ATTR(x)
#endif
#define CAPABILITY(name) THREAD_ATTR(capability(name))
#define ACQUIRES(m) THREAD_ATTR(acquire_capability(m))
#define RELEASES(m) THREAD_ATTR(release_capability(m))
#define NEEDS(m) THREAD_ATTR(requires_capability(m))
#define UNCHECKED THREAD_ATTR(no_thread_safety_analysis)

/* cJSON at its depth limit overflows 128 KiB (faults.md 0.2); 1,000 threads
 * with this much cost 10 MB resident. */
#define THREAD_STACK_BYTES (256 * 1024)

struct CAPABILITY("mutex") mutex {
	pthread_mutex_t m;
};

struct cond {
	pthread_cond_t c;
};

void mutex_init(struct mutex *m);
void mutex_destroy(struct mutex *m);
void mutex_lock(struct mutex *m) ACQUIRES(*m);
void mutex_unlock(struct mutex *m) RELEASES(*m);

void cond_init(struct cond *c); /* on CLOCK_MONOTONIC */
void cond_destroy(struct cond *c);
void cond_signal(struct cond *c);
void cond_broadcast(struct cond *c);
void cond_wait(struct cond *c, struct mutex *m) NEEDS(*m);
/* false once deadline_ms (clock_ms time) has passed. */
bool cond_wait_until(struct cond *c, struct mutex *m, int64_t deadline_ms)
	NEEDS(*m);

/* Joinable, small explicit stack, all signals blocked as in its maker.
 * ERR_SYSTEM with errno (EAGAIN: no more threads). */
enum err MUST_CHECK thread_start(pthread_t *t, void *(*run)(void *), void *arg,
				 const char *name);
void thread_join(pthread_t t);

#endif
