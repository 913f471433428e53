/* The life of a network: it joins, gets warm, publishes while things happen,
 * and must be well again in the end. */
#include "base/crypto.h"
#include "sim/graph.h"
#include "sim/report.h"
#include "sim/sim.h"

#include <stdlib.h>

#define JOINS_PER_S 1000
#define JOIN_MAX_MS 60000 /* from the last start to one component */
#define QUIET_MS 5000     /* nobody was sent or told anything new */
#define SETTLE_MAX_MS 300000
#define WANDER_MS 60000
#define PROBE_MAX_MS 60000

/* --- phases ----------------------------------------------------------- */

static bool all_linked(const struct sim *s)
{
	for (uint32_t i = 0; i < s->peers.alive_n; i++)
		if (s->peers.v[s->peers.alive[i]].links == 0)
			return s->peers.alive_n == 1;
	return true;
}

static void run_for(struct sim *s, int64_t ms)
{
	sim_run(s, sim_now(s) + ms);
}

static void join(struct sim *s)
{
	uint32_t n = s->options.peers;
	int64_t window = (int64_t)n * 1000 / JOINS_PER_S, end;

	if (window < 1000)
		window = 1000;
	faults_plan_join(s, window);
	for (uint32_t i = 0; i < n; i++) {
		struct item it = { .kind = ITEM_START, .number = NOBODY };

		queue_push(&s->queue,
			   sim_now(s) +
				   sim_chance(&s->faults.rng, (uint32_t)window),
			   &it);
	}
	run_for(s, window);
	end = sim_now(s) + JOIN_MAX_MS;
	if (s->options.seed_split_ms > 0)
		end += s->options.seed_split_ms + SETTLE_MAX_MS;
	while (s->check.violations == 0 && sim_now(s) < end &&
	       (s->net.seed_split || !all_linked(s) || graph_components(s) > 1))
		run_for(s, 500);
	check_after_join(s);
}

static void warm(struct sim *s)
{
	int64_t ms = s->options.warm_ms;

	traffic_warm(s, ms / 2);
	run_for(s, ms);
}

static void stream(struct sim *s)
{
	faults_plan_stream(s);
	traffic_stream(s);
	while (s->check.violations == 0 && s->traffic.left > 0 &&
	       s->peers.alive_n > 0)
		run_for(s, 1000);
	if (sim_now(s) < s->faults.end_ms)
		sim_run(s, s->faults.end_ms);
}

/* With small stores old messages wander for ever: each new link may bring some
 * that nobody else has any more, and so new holes. */
static bool is_well(struct sim *s, int64_t for_ms)
{
	bool quiet = sim_now(s) - s->traffic.busy_ms >= QUIET_MS;
	bool settled = (quiet && check_idle(s)) ||
		       (!check_all_fits(s) && for_ms > WANDER_MS);
	struct account a;

	if (!settled || graph_components(s) > 1 || !all_linked(s))
		return false;
	traffic_account(s, &a);
	return a.lost == 0 && a.behind == 0;
}

/* Until there is nothing left to say, and all have what they should. */
static void settle(struct sim *s, int64_t most_ms)
{
	int64_t begin = sim_now(s), end = begin + most_ms;

	while (s->check.violations == 0 && sim_now(s) < end) {
		run_for(s, 1000);
		if (is_well(s, sim_now(s) - begin))
			return;
	}
}

/* I6: with nothing going on, the trees are trees. A first message mends what
 * faults have left; the second one may cost no copy too many. */
static double probe_once(struct sim *s)
{
	double copies = (double)s->traffic.cost.copies;
	double deliveries = (double)s->traffic.deliveries;

	for (uint32_t i = 0; i < s->traffic.roles; i++) {
		uint32_t peer = s->traffic.publishers[i];

		if (s->peers.v[peer].state == PEER_RUNS)
			traffic_publish(s, peer);
		run_for(s, 10);
	}
	settle(s, PROBE_MAX_MS);
	copies = (double)s->traffic.cost.copies - copies;
	deliveries = (double)s->traffic.deliveries - deliveries;
	return deliveries > 0 ? copies / deliveries - 1 : 0;
}

static void probe(struct sim *s, struct report *r)
{
	/* Renewals bring new links, and these a few copies more. */
	bool strict = s->check.tracking && !faults_any(s) &&
		      sim_now(s) < SIM_START_MS + s->config.seed.period_ms / 2;

	r->probe_first = probe_once(s);
	r->probe_redundancy = probe_once(s);
	if (strict && s->check.violations == 0 && r->probe_redundancy != 0)
		check_failed(s, "I6", "%.4f copies too many for each delivery",
			     r->probe_redundancy);
}

/* --- the program ------------------------------------------------------ */

static struct sim *sim_new(int argc, char **argv)
{
	struct sim *s = sim_alloc(1, sizeof *s);

	s->wall_start = sim_wall_s();
	config_init(&s->config);
	options_read(&s->options, &s->config, argc, argv);
	if (crypto_init() != ERR_OK)
		exit(1);
	queue_init(&s->queue, SIM_START_MS);
	effects_init(&s->effects);
	check_init(s);
	faults_init(s);
	net_init(s);
	traffic_init(s);
	peers_init(s, faults_most_peers(s));
	seedside_init(s);
	return s;
}

static void drop_items(struct sim *s)
{
	struct item it;

	while (queue_pop(&s->queue, INT64_MAX, &it)) {
		if (it.kind <= ITEM_DOWN)
			control_release(it.body);
		else
			seedside_forget(&it);
	}
}

static void sim_free(struct sim *s)
{
	drop_items(s);
	queue_free(&s->queue);
	net_free(s);
	peers_free(s);
	seedside_free(s);
	traffic_free(s);
	effects_free(&s->effects);
	free(s->options.command);
	free(s);
}

static void complain(struct sim *s, const struct account *a)
{
	if (a->lost > 0)
		check_failed(s, "delivery",
			     "peer %u misses message %u, which is owed to it "
			     "and held by a neighbor",
			     a->peer, a->number);
	else if (a->wrong > 0 && check_all_fits(s))
		check_failed(s, "R10",
			     "peer %u says that message %u is lost, which a "
			     "neighbor holds",
			     a->peer, a->number);
	else if (a->dropped > 0 && check_all_leave(s))
		check_failed(s, "R15",
			     "%llu messages are gone with peers that left when "
			     "they were taken",
			     (unsigned long long)a->dropped);
	else if (a->behind > 0)
		check_failed(s, "I4",
			     "peer %u has not caught up with message %u, which "
			     "a neighbor holds",
			     a->peer, a->number);
}

int main(int argc, char **argv)
{
	struct sim *s = sim_new(argc, argv);
	struct report r;
	bool well;

	join(s);
	warm(s);
	stream(s);
	settle(s, SETTLE_MAX_MS);
	if (s->check.violations == 0)
		check_quiet(s);
	report_take(s, &r);
	complain(s, &r.account);
	if (s->check.violations == 0 && s->config.gossip.tree)
		probe(s, &r);
	report_print(s, &r);
	well = s->check.violations == 0 && r.account.lost == 0;
	sim_free(s);
	return well ? 0 : 1;
}
