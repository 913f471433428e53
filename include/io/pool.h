/* Worker threads that come when there is work and leave when there is none.
 *
 * Jobs run in the order they were submitted, up to threads_max at once; a
 * worker that finds nothing to do for POOL_IDLE_MS ends. For blocking errands:
 * dials, questions to seeds, verifications.
 */
#ifndef IO_POOL_H
#define IO_POOL_H

#include "io/waker.h"

#include <stddef.h>

#define POOL_IDLE_MS 5000

struct job {
	struct job *next;
	/* Runs once and owns the job from then on. With stopped true it must
	 * only free it: the pool ended before its turn came (w is NULL). */
	void (*run)(struct job *j, struct waker *w, bool stopped);
};

struct pool;

enum err MUST_CHECK pool_start(struct pool **p, const char *name,
			       size_t threads_max, size_t queue_max);
/* ERR_FULL, ERR_STOPPED, ERR_SYSTEM (no thread could be made): the job stays
 * the caller's. Never blocks; may be called with node.mu held. */
enum err MUST_CHECK pool_submit(struct pool *p, struct job *j);
/* Jobs queued or running. */
size_t pool_busy(struct pool *p);
/* Wakes every worker; waiting jobs are run with stopped = true. */
void pool_stop(struct pool *p);
void pool_join(struct pool *p); /* after pool_stop; frees the pool */

#endif
