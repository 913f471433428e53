#include "sim/faults.h"

#include "sim/graph.h"
#include "sim/sim.h"

#define LOOK_MS 50
#define LOOK_MAX_MS 600000 /* then it will not become whole */
#define STORM_MS 1000
#define PAUSE_MIN_MS 5000
#define PAUSE_MAX_MS 20000

enum {
	FAULT_CRASH,
	FAULT_CHURN,
	FAULT_SPLIT,
	FAULT_HEAL,
	FAULT_PAUSE,
	FAULT_OUTPUT,
	FAULT_SEED_RESTART,
	FAULT_SEED_HEAL,
	FAULT_LOOK
};

static double stream_s(const struct sim *s)
{
	return (double)(s->options.messages * s->options.publishers) /
	       s->options.rate;
}

uint32_t faults_most_peers(const struct sim *s)
{
	const struct options *o = &s->options;
	double n = o->peers + (double)o->join_storm;

	n += (stream_s(s) + 10) * o->churn.share * n * 1.2;
	n += o->crash.how == END_RESTART ? o->crash.share * n : 0;
	return (uint32_t)n + 16;
}

void faults_init(struct sim *s)
{
	rng_init(&s->faults.rng, s->options.seed ^ 0x6661756c74);
	s->faults.whole_ms = -1;
}

bool faults_any(const struct sim *s)
{
	const struct options *o = &s->options;

	return o->crash.share > 0 || o->churn.share > 0 || o->pause > 0 ||
	       o->slow_output > 0 || o->partition_ms > 0 ||
	       o->seed_split_ms > 0 || o->join_storm > 0 || o->seed_restart;
}

static void plan(struct sim *s, int64_t at_ms, uint32_t what)
{
	struct item it = { .kind = ITEM_FAULT, .number = what };

	queue_push(&s->queue, at_ms, &it);
	if (what != FAULT_LOOK && what != FAULT_CHURN &&
	    at_ms > s->faults.end_ms)
		s->faults.end_ms = at_ms;
}

void faults_plan_join(struct sim *s, int64_t ms)
{
	if (s->options.seed_split_ms == 0)
		return;
	s->net.seed_split = true;
	plan(s, sim_now(s) + ms + s->options.seed_split_ms, FAULT_SEED_HEAL);
}

static void plan_start(struct sim *s, int64_t at_ms)
{
	struct item it = { .kind = ITEM_START, .number = NOBODY };

	queue_push(&s->queue, at_ms, &it);
}

static void plan_storm(struct sim *s, int64_t at_ms)
{
	for (uint32_t i = 0; i < s->options.join_storm; i++)
		plan_start(s, at_ms + sim_chance(&s->faults.rng, STORM_MS));
	if (at_ms + STORM_MS > s->faults.end_ms)
		s->faults.end_ms = at_ms + STORM_MS;
}

void faults_plan_stream(struct sim *s)
{
	const struct options *o = &s->options;
	int64_t mid = sim_now(s) + traffic_stream_ms(s) / 3;

	s->peers.mid_stream = true;
	if (o->crash.share > 0)
		plan(s, mid, FAULT_CRASH);
	if (o->churn.share > 0)
		plan(s, sim_now(s), FAULT_CHURN);
	if (o->partition_ms > 0) {
		plan(s, mid, FAULT_SPLIT);
		plan(s, mid + o->partition_ms, FAULT_HEAL);
	}
	if (o->pause > 0)
		plan(s, mid, FAULT_PAUSE);
	if (o->slow_output > 0)
		plan(s, mid, FAULT_OUTPUT);
	if (o->join_storm > 0)
		plan_storm(s, mid);
	if (o->seed_restart)
		plan(s, mid, FAULT_SEED_RESTART);
}

/* --- one component again? --------------------------------------------- */

static void look_from_now(struct sim *s)
{
	s->faults.look_from_ms = sim_now(s);
	s->faults.whole_ms = -1;
	plan(s, sim_now(s), FAULT_LOOK);
}

static void look(struct sim *s)
{
	int64_t passed = sim_now(s) - s->faults.look_from_ms;

	if (s->faults.whole_ms >= 0)
		return;
	if (graph_components(s) <= 1)
		s->faults.whole_ms = passed;
	else if (passed < LOOK_MAX_MS)
		plan(s, sim_now(s) + LOOK_MS, FAULT_LOOK);
}

/* --- the faults ------------------------------------------------------- */

static void end_one(struct sim *s, enum ending how)
{
	uint32_t peer = peers_draw(s, &s->faults.rng);

	/* Two must be left to speak of a network. */
	if (peer == NOBODY || s->peers.alive_n <= 2)
		return;
	s->faults.ended++;
	if (how == END_LEAVE)
		peers_leave(s, peer);
	else
		peers_end(s, peer, how);
}

static void crash(struct sim *s)
{
	const struct loss *l = &s->options.crash;
	uint32_t n = (uint32_t)(l->share * s->peers.alive_n);

	for (uint32_t i = 0; i < n; i++)
		end_one(s, l->how);
	look_from_now(s);
}

static void churn(struct sim *s)
{
	const struct loss *l = &s->options.churn;
	double a_second = l->share * s->options.peers;

	if (s->traffic.left == 0)
		return;
	end_one(s, l->how);
	if (l->how != END_RESTART)
		plan_start(s, sim_now(s));
	s->faults.started++;
	plan(s,
	     sim_now(s) + 1 +
		     sim_chance(&s->faults.rng, (uint32_t)(2000 / a_second)),
	     FAULT_CHURN);
}

/* Stops some peers, or those who read their output. */
static void pause(struct sim *s, double share,
		  void (*stop)(struct sim *, uint32_t, int64_t))
{
	uint32_t n = (uint32_t)(share * s->peers.alive_n);
	struct rng *r = &s->faults.rng;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t peer = peers_draw(s, r);
		int64_t ms = rng_between(r, PAUSE_MIN_MS, PAUSE_MAX_MS);

		if (peer != NOBODY)
			stop(s, peer, sim_now(s) + ms);
	}
	if (sim_now(s) + PAUSE_MAX_MS > s->faults.end_ms)
		s->faults.end_ms = sim_now(s) + PAUSE_MAX_MS;
}

void faults_arrive(struct sim *s, const struct item *it)
{
	switch (it->number) {
	case FAULT_CRASH:
		crash(s);
		break;
	case FAULT_CHURN:
		churn(s);
		break;
	case FAULT_SPLIT:
		net_split(s);
		break;
	case FAULT_HEAL:
		net_heal(s);
		look_from_now(s);
		break;
	case FAULT_PAUSE:
		pause(s, s->options.pause, peers_pause);
		break;
	case FAULT_OUTPUT:
		pause(s, s->options.slow_output, peers_choke);
		break;
	case FAULT_SEED_RESTART:
		seedside_restart(s);
		break;
	case FAULT_SEED_HEAL:
		s->net.seed_split = false;
		s->net.healed_ms = sim_now(s);
		look_from_now(s);
		break;
	case FAULT_LOOK:
		look(s);
		break;
	}
}
