#include "seed/seed.h"

#include "io/clock.h"
#include "seed/service.h"
#include "seed/verify.h"

#include <errno.h>
#include <stdlib.h>

#define SWEEP_MAX_MS 1000 /* a dead peer outlives its lease by this */
#define SWEEP_MIN_MS 5
#define SWEEPS_PER_PERIOD 10

/* --- the sweeper ------------------------------------------------------ */

static int64_t sweep_interval_ms(const struct config *c)
{
	int64_t ms = c->seed.period_ms / SWEEPS_PER_PERIOD;

	if (ms > SWEEP_MAX_MS)
		return SWEEP_MAX_MS;
	return ms < SWEEP_MIN_MS ? SWEEP_MIN_MS : ms;
}

static void *sweep(void *arg)
{
	struct seed *s = arg;
	int64_t interval_ms = sweep_interval_ms(s->config);

	while (waker_sleep(&s->sweeper_waker, clock_ms() + interval_ms) !=
	       ERR_STOPPED)
		verify_lapsed(s);
	return NULL;
}

/* --- start and end ---------------------------------------------------- */

static struct registry *make_registry(const struct config *c)
{
	struct registry_config rc = { .peers_max = c->seed.peers_max,
				      .period_ms = c->seed.period_ms,
				      .per_host_max = c->seed.per_host_max,
				      .lease_periods = c->seed.lease_periods,
				      .seeds = c->seed_count };

	crypto_random(&rc.rng_seed, sizeof rc.rng_seed);
	return registry_new(&rc);
}

static enum err open_server(struct seed *s, const struct seed_options *o)
{
	const struct config_seed_role *role = &o->config->seed;
	struct server_config sc = { .name = "conn",
				    .listen = o->listen,
				    .connections_max = role->connections_max,
				    .per_source_max = role->per_source_max,
				    .serve = service_serve,
				    .ctx = s,
				    .rejects = &s->rejects };

	s->self.incarnation = (uint64_t)clock_wall_ms();
	return server_open(&s->server, &sc, &s->self.addr);
}

static enum err start_threads(struct seed *s)
{
	enum err e =
		pool_start(&s->verifiers, "verify", s->config->seed.verify_max,
			   s->config->seed.verify_queue);

	if (e == ERR_OK)
		e = thread_start(&s->sweeper, sweep, s, "sweeper");
	s->sweeping = e == ERR_OK;
	return e == ERR_OK ? server_start(s->server) : e;
}

enum err seed_start(struct seed **out, const struct seed_options *o)
{
	struct seed *s = calloc(1, sizeof *s);
	enum err e = ERR_NOMEM;
	int saved;

	if (!s)
		return ERR_NOMEM;
	s->config = o->config;
	s->log = o->log;
	s->rejects.log = o->log;
	s->to_us = (struct greeting){ o->keys, CHANNEL_TO_SEED };
	s->to_peers = (struct greeting){ o->keys, CHANNEL_TO_PEER };
	mutex_init(&s->mu);
	waker_init(&s->sweeper_waker);
	s->registry = make_registry(o->config);
	if (s->registry)
		e = open_server(s, o);
	if (e == ERR_OK)
		e = start_threads(s);
	if (e != ERR_OK) {
		saved = errno;
		seed_stop(s);
		seed_join(s);
		errno = saved;
		return e;
	}
	*out = s;
	return ERR_OK;
}

void seed_stop(struct seed *s)
{
	if (s->server)
		server_stop(s->server);
	waker_stop(&s->sweeper_waker);
	if (s->verifiers)
		pool_stop(s->verifiers);
}

/* The verifiers last: connections and the sweeper give them work. */
void seed_join(struct seed *s)
{
	if (s->server)
		server_join(s->server);
	if (s->sweeping)
		thread_join(s->sweeper);
	if (s->verifiers)
		pool_join(s->verifiers);
	registry_free(s->registry);
	waker_destroy(&s->sweeper_waker);
	mutex_destroy(&s->mu);
	free(s);
}
