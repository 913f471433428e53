#include "seed/verify.h"

#include "io/clock.h"
#include "seed/probe.h"
#include "seed/seed.h"

#include <inttypes.h>
#include <stdlib.h>

#define LAPSED_AT_A_TIME 64 /* under one hold of registry.mu */

struct check {
	struct job job; /* first: a job is its check */
	struct seed *seed;
	struct identity id;
	enum verify_cause cause;
};

static void cancel(struct seed *s, const struct identity *id)
{
	mutex_lock(&s->mu);
	registry_verify_cancel(s->registry, id);
	mutex_unlock(&s->mu);
}

/* One refusal may be a moment's: a second one settles it (R14). So does a
 * second failure of our own, which settles nothing. */
static enum probe_outcome look(struct check *c, struct waker *w,
			       struct identity *found)
{
	const struct config_seed_role *role = &c->seed->config->seed;
	struct probe_limits limits = {
		.connect_ms = role->verify_connect_ms,
		.reply_ms = role->verify_reply_ms,
		.total_ms = role->verify_connect_ms + role->verify_reply_ms,
	};
	enum probe_outcome o;

	for (int tries = 0;; tries++) {
		o = probe_run(c->seed->log, &c->seed->to_peers, &c->id.addr, w,
			      &limits, found);
		if (o == PROBE_ALIVE || o == PROBE_SILENT || tries == 1)
			return o;
		if (waker_sleep(w, clock_ms() + role->verify_retry_ms) ==
		    ERR_STOPPED)
			return PROBE_FAILED;
	}
}

static void settle(struct check *c, bool alive, const char *why)
{
	struct seed *s = c->seed;
	bool removed;

	mutex_lock(&s->mu);
	removed = registry_verify_end(s->registry, &c->id, alive, clock_ms());
	mutex_unlock(&s->mu);
	if (c->cause == VERIFY_DEATH)
		atomic_fetch_add(alive ? &s->counters.deaths_refuted
				       : &s->counters.deaths_confirmed,
				 1);
	if (removed)
		log_event(s->log, LOG_INFO, KIND_DEATH, WAY_NONE, "lost",
			  &c->id.addr, "incarnation %" PRIu64 ": %s",
			  c->id.incarnation, why);
	else
		log_event(s->log, LOG_INFO, KIND_LIVELINESS, WAY_NONE,
			  alive ? "kept" : "gone before", &c->id.addr,
			  "incarnation %" PRIu64 ": %s", c->id.incarnation,
			  why);
}

static void check_run(struct job *j, struct waker *w, bool stopped)
{
	struct check *c = (struct check *)(void *)j;
	struct identity found;
	enum probe_outcome o = stopped ? PROBE_FAILED : look(c, w, &found);

	if (o == PROBE_FAILED)
		cancel(c->seed, &c->id);
	else if (o == PROBE_ALIVE && !identity_equal(&found, &c->id))
		settle(c, false, "another run answers");
	else
		settle(c, o == PROBE_ALIVE, probe_outcome_name(o));
	free(c);
}

enum err verify_submit(struct seed *s, const struct identity *id,
		       enum verify_cause cause)
{
	struct check *c = malloc(sizeof *c);
	enum err e = ERR_NOMEM;

	if (c) {
		*c = (struct check){ .job.run = check_run,
				     .seed = s,
				     .id = *id,
				     .cause = cause };
		e = pool_submit(s->verifiers, &c->job);
	}
	if (e != ERR_OK) {
		free(c);
		cancel(s, id);
	}
	return e;
}

static size_t begin_lapsed(struct seed *s, struct identity *out)
{
	int64_t now_ms = clock_ms();
	size_t n, begun = 0;

	mutex_lock(&s->mu);
	n = registry_lapsed(s->registry, now_ms, LAPSED_AT_A_TIME, out);
	for (size_t i = 0; i < n; i++)
		if (registry_verify_begin(s->registry, &out[i], now_ms) ==
		    ERR_OK)
			out[begun++] = out[i];
	mutex_unlock(&s->mu);
	return begun;
}

static void say_lapsed(struct seed *s, const struct identity *id)
{
	log_event(s->log, LOG_INFO, KIND_LIVELINESS, WAY_NONE, "lapsed",
		  &id->addr, "incarnation %" PRIu64 ": not renewed",
		  id->incarnation);
}

void verify_lapsed(struct seed *s)
{
	const struct config_seed_role *role = &s->config->seed;
	struct identity id[LAPSED_AT_A_TIME];
	bool more = true;

	while (more && pool_busy(s->verifiers) <= role->verify_queue / 2) {
		size_t n = begin_lapsed(s, id);

		more = n > 0;
		for (size_t i = 0; i < n; i++) {
			/* Each one that was begun, also when there is no room:
			 * that ends its check. */
			if (verify_submit(s, &id[i], VERIFY_LAPSE) != ERR_OK)
				more = false;
			else
				say_lapsed(s, &id[i]);
		}
	}
}
