#include "sim/report.h"

#include "sim/graph.h"
#include "sim/sim.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

/* --- taking ----------------------------------------------------------- */

static int64_t hist_at(const uint64_t *hist, double share)
{
	uint64_t all = 0, sum = 0;
	int64_t ms = 0;

	for (size_t i = 0; i <= HIST_MS; i++)
		all += hist[i];
	for (; ms < HIST_MS; ms++) {
		sum += hist[ms];
		if ((double)sum >= share * (double)all)
			break;
	}
	return all > 0 ? ms : 0;
}

static int by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* Of values that it sorts. */
static int64_t share_of(int64_t *v, size_t n, double share)
{
	size_t i = (size_t)(share * (double)n);

	qsort(v, n, sizeof *v, by_size);
	return n > 0 ? v[i < n ? i : n - 1] : -1;
}

static double last_median(const struct traffic *t)
{
	int64_t *v = sim_alloc(t->n, sizeof *v);
	int64_t median;

	for (uint32_t i = 0; i < t->n; i++)
		v[i] = t->v[i].last_ms - t->v[i].at_ms;
	median = share_of(v, t->n, 0.5);
	free(v);
	return (double)median;
}

static void take_joiners(const struct sim *s, struct report *r)
{
	int64_t *live = sim_alloc(s->peers.n, sizeof *live);
	int64_t *caught = sim_alloc(s->peers.n, sizeof *caught);
	size_t lives = 0, catches = 0;

	for (uint32_t i = 0; i < s->peers.n; i++) {
		const struct peer *p = &s->peers.v[i];

		if (!p->joiner || p->linked_ms < 0)
			continue;
		if (p->first_ms >= 0)
			live[lives++] = p->first_ms;
		if (p->caught_ms >= 0)
			caught[catches++] = p->caught_ms - p->linked_ms;
	}
	r->joiner_first_p50_ms = share_of(live, lives, 0.5);
	r->joiner_first_p99_ms = share_of(live, lives, 0.99);
	r->catchup_p50_ms = share_of(caught, catches, 0.5);
	r->catchup_p99_ms = share_of(caught, catches, 0.99);
	free(live);
	free(caught);
}

static double per(double a, double b)
{
	return b > 0 ? a / b : 0;
}

static void take_after(const struct aftermath *a, struct report *r)
{
	bool any = a->messages > 0;

	r->after_messages = a->messages;
	r->after_redundancy = per((double)a->copies, (double)a->deliveries) - 1;
	r->after_median_ms = any ? hist_at(a->hist, 0.5) : -1;
	r->after_p99_ms = any ? hist_at(a->hist, 0.99) : -1;
	r->after_max_ms = any ? a->max_ms : -1;
}

/* All that was allocated, but for the simulator's own big tables. */
static uint64_t memory_per_peer(const struct sim *s)
{
	struct mallinfo2 m = mallinfo2();
	uint64_t own = s->peers.cap * sizeof(struct peer) +
		       s->net.cap * sizeof(struct conn) +
		       s->traffic.max * sizeof(struct published) +
		       (s->traffic.mask + 1) * sizeof(uint32_t) +
		       s->peers.alive_n * traffic_words(s) * sizeof(uint64_t);
	uint64_t all = m.uordblks + m.hblkhd;

	return s->peers.alive_n > 0 && all > own
		       ? (all - own) / s->peers.alive_n
		       : 0;
}

void report_take(struct sim *s, struct report *r)
{
	const struct traffic *t = &s->traffic;
	const struct cost *c = &t->cost;
	struct degrees d = graph_degrees(s);

	*r = (struct report){ .messages = t->n,
			      .components = graph_components(s),
			      .degree_max = d.max,
			      .degree_mean = d.mean,
			      .deliveries = (double)t->deliveries,
			      .cost = *c,
			      .probe_first = -1,
			      .probe_redundancy = -1 };
	traffic_account(s, &r->account);
	r->redundancy = per((double)(c->copies - c->copies_first),
			    (double)(t->deliveries - t->deliveries_first)) -
			(t->deliveries > t->deliveries_first);
	r->redundancy_all =
		per((double)c->copies, r->deliveries) - (t->deliveries > 0);
	r->last_median_ms = last_median(t);
	r->median_ms = hist_at(t->hist, 0.5);
	r->p99_ms = hist_at(t->hist, 0.99);
	take_after(&t->after, r);
	take_joiners(s, r);
	r->memory_per_peer = memory_per_peer(s);
	r->virtual_s = (double)(sim_now(s) - SIM_START_MS) / 1000;
}

/* --- printing --------------------------------------------------------- */

/* One figure, as a JSON field or as a line of a table. */
struct pen {
	bool json, begun;
};

static void put_name(struct pen *p, const char *name)
{
	if (p->json)
		printf("%s\"%s\":", p->begun ? "," : "{", name);
	else
		printf("%-22s ", name);
	p->begun = true;
}

static void put_end(const struct pen *p)
{
	if (!p->json)
		putchar('\n');
}

static void put_count(struct pen *p, const char *name, uint64_t v)
{
	put_name(p, name);
	printf("%llu", (unsigned long long)v);
	put_end(p);
}

/* -1: there is no such figure. */
static void put_ms(struct pen *p, const char *name, int64_t v)
{
	put_name(p, name);
	printf(v < 0 ? "null" : "%lld", (long long)v);
	put_end(p);
}

static void put_real(struct pen *p, const char *name, double v, int digits)
{
	put_name(p, name);
	printf("%.*f", digits, v);
	put_end(p);
}

static void put_share(struct pen *p, const char *name, double v)
{
	if (v < 0)
		put_ms(p, name, -1);
	else
		put_real(p, name, v, 5);
}

static void put_seconds(struct pen *p, const char *name, int64_t ms)
{
	if (ms < 0)
		put_ms(p, name, -1);
	else
		put_real(p, name, (double)ms / 1000, 3);
}

static void put_hash(struct pen *p, uint64_t hash)
{
	put_name(p, "hash");
	printf(p->json ? "\"%016llx\"" : "%016llx", (unsigned long long)hash);
	put_end(p);
}

static void print_delivery(const struct sim *s, const struct report *r,
			   struct pen *p)
{
	const struct account *a = &r->account;

	put_count(p, "peers", s->peers.alive_n);
	put_count(p, "publishers", s->options.publishers);
	put_count(p, "messages", r->messages);
	put_real(p, "reliability",
		 a->owed > 0 ? per((double)a->delivered, (double)a->owed) : 1,
		 6);
	put_real(p, "redundancy", r->redundancy, 5);
	put_real(p, "redundancy_all", r->redundancy_all, 5);
	put_real(p, "have_per_delivery",
		 per((double)r->cost.have, r->deliveries), 4);
	put_real(p, "getdata_per_delivery",
		 per((double)r->cost.get_data, r->deliveries), 4);
	put_ms(p, "median_ms", r->median_ms);
	put_ms(p, "p99_ms", r->p99_ms);
	put_real(p, "last_median_ms", r->last_median_ms, 0);
	put_ms(p, "max_ms", s->traffic.max_ms);
	put_count(p, "max_hops", s->traffic.max_hops);
}

static void print_network(const struct sim *s, const struct report *r,
			  struct pen *p, double wall)
{
	put_count(p, "degree_max", r->degree_max);
	put_real(p, "degree_mean", r->degree_mean, 2);
	put_count(p, "components", r->components);
	put_count(p, "lost", r->account.lost);
	put_count(p, "duplicates", s->traffic.duplicates);
	put_count(p, "violations", s->check.violations);
	put_real(p, "virtual_s", r->virtual_s, 1);
	put_real(p, "wall_s", wall, 2);
	put_hash(p, s->hash);
}

static void print_more(const struct sim *s, const struct report *r,
		       struct pen *p, double wall)
{
	put_real(p, "prunes_per_delivery",
		 per((double)r->cost.prune, r->deliveries), 4);
	put_real(p, "grafts_per_delivery",
		 per((double)r->cost.graft, r->deliveries), 4);
	put_real(p, "notfound_per_delivery",
		 per((double)r->cost.not_found, r->deliveries), 4);
	put_real(p, "bytes_per_delivery",
		 per((double)r->cost.bytes, r->deliveries), 1);
	put_share(p, "probe_first", r->probe_first);
	put_share(p, "probe_redundancy", r->probe_redundancy);
	put_seconds(p, "one_component_after_s", s->faults.whole_ms);
	put_count(p, "after_messages", r->after_messages);
	put_share(p, "after_redundancy", r->after_redundancy);
	put_ms(p, "after_median_ms", r->after_median_ms);
	put_ms(p, "after_p99_ms", r->after_p99_ms);
	put_ms(p, "after_max_ms", r->after_max_ms);
	put_ms(p, "joiner_first_p50_ms", r->joiner_first_p50_ms);
	put_ms(p, "joiner_first_p99_ms", r->joiner_first_p99_ms);
	put_ms(p, "catchup_p50_ms", r->catchup_p50_ms);
	put_ms(p, "catchup_p99_ms", r->catchup_p99_ms);
	put_count(p, "reported_lost", s->traffic.reported_lost);
	put_count(p, "wrongly_lost", r->account.wrong);
	put_count(p, "died_with_publisher", r->account.orphans);
	put_count(p, "died_though_taken", r->account.dropped);
	put_count(p, "not_caught_up", r->account.behind);
	put_count(p, "owed", r->account.owed);
	put_count(p, "deliveries", (uint64_t)r->deliveries);
	put_count(p, "caught_up", s->traffic.caught_up);
	put_count(p, "links_full", s->traffic.full);
	put_count(p, "links_slow", s->traffic.slow);
	put_count(p, "peers_ended", s->faults.ended);
	put_count(p, "seed_registers", s->seeds.registers);
	put_count(p, "seed_deaths", s->seeds.deaths);
	put_count(p, "seed_removed", s->seeds.removed);
	put_count(p, "memory_per_peer_bytes", r->memory_per_peer);
	put_count(p, "steps", s->steps);
	put_real(p, "steps_per_s", per((double)s->steps, wall), 0);
}

void report_print(const struct sim *s, const struct report *r)
{
	struct pen p = { .json = s->options.json };
	double wall = sim_wall_s() - s->wall_start;

	print_delivery(s, r, &p);
	print_network(s, r, &p, wall);
	print_more(s, r, &p, wall);
	if (p.json)
		printf("}\n");
}
