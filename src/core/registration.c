#include "core/node_impl.h"

#include <stdlib.h>
#include <string.h>

#define BUSY_MS 1000 /* R14: a busy seed is asked again after this */
#define PERIOD_MIN_MS 10
#define PERIOD_MAX_MS (24 * 3600 * INT64_C(1000))
#define RENEW_JITTER 10 /* percent; keeps a thousand peers out of step */

static unsigned seed_count(const struct node *n)
{
	return (unsigned)n->config->seed_count;
}

static unsigned majority(const struct node *n)
{
	return seed_count(n) / 2 + 1;
}

static uint64_t seed_bit(unsigned seed)
{
	return UINT64_C(1) << seed;
}

static unsigned count_bits(uint64_t set)
{
	unsigned count = 0;

	for (; set != 0; set &= set - 1)
		count++;
	return count;
}

/* A random seed that this round has not asked yet; false if none is left. */
static bool draw_seed(struct node *n, unsigned *seed)
{
	const struct round *r = &n->registration.round;
	unsigned left = seed_count(n) - count_bits(r->asked);
	unsigned skip;

	if (left == 0)
		return false;
	skip = (unsigned)rng_below(&n->rng, left);
	for (unsigned i = 0; i < seed_count(n); i++) {
		if (r->asked & seed_bit(i))
			continue;
		if (skip-- == 0) {
			*seed = i;
			return true;
		}
	}
	return false;
}

static void ask_seed(struct step *s, unsigned seed)
{
	struct node *n = s->n;
	struct round *r = &n->registration.round;
	struct effect *e = effects_add(s->out, EF_SEED);
	bool listed = (n->registration.registered & seed_bit(seed)) != 0;
	bool enough = count_bits(n->registration.registered) >= majority(n);

	r->asked |= seed_bit(seed);
	r->pending |= seed_bit(seed);
	n->registration.outdated &= ~seed_bit(seed);
	e->seed.seed = seed;
	e->seed.self = n->self;
	e->seed.want = (uint32_t)n->config->overlay.sample;
	/* A repair only wants addresses, but heals a lost registration (R5). */
	e->seed.question = r->kind == ROUND_REPAIR && (listed || enough)
				   ? ASK_LIST
				   : ASK_REGISTER;
}

/* Fewer than a majority list me: silent seeds, or they could not reach me. Do
 * not wait for the next renewal, but for longer each time. */
static void plan_retry(struct step *s)
{
	struct registration *g = &s->n->registration;
	const struct config_overlay *c = &s->n->config->overlay;
	int64_t wait = c->repair_ms;

	if (count_bits(g->registered) >= majority(s->n)) {
		g->failures = 0;
		return;
	}
	/* A repair that is planned registers too, and has its own back-off. */
	if (s->n->overlay.repair_ms != NEVER_MS) {
		if (g->renew_ms == NEVER_MS)
			g->renew_ms = s->now + c->repair_max_ms;
		return;
	}
	for (unsigned i = 0; i < g->failures && wait < c->repair_max_ms; i++)
		wait *= 2;
	g->failures++;
	if (wait > c->repair_max_ms)
		wait = c->repair_max_ms;
	wait = rng_jitter(&s->n->rng, wait, RENEW_JITTER);
	if (g->renew_ms <= s->now || s->now + wait < g->renew_ms)
		g->renew_ms = s->now + wait;
}

static void end_round(struct step *s)
{
	struct round *r = &s->n->registration.round;

	r->active = false;
	overlay_round_done(s, r->kind, r->answered);
	plan_retry(s);
}

/* Asks until enough answers are here or on their way (R1). */
static void drive_round(struct step *s)
{
	struct node *n = s->n;
	struct round *r = &n->registration.round;
	unsigned seed;

	while (r->answered + count_bits(r->pending) < r->target &&
	       draw_seed(n, &seed))
		ask_seed(s, seed);
	if (r->pending == 0)
		end_round(s);
}

void registration_begin(struct step *s, enum round_kind kind)
{
	struct round *r = &s->n->registration.round;

	if (r->active)
		return;
	*r = (struct round){
		.active = true,
		.kind = kind,
		.target = majority(s->n),
		.deadline_ms = s->now + s->n->config->overlay.seed_timeout_ms
	};
	if (kind == ROUND_RENEW) {
		s->n->registration.rotate_drawn = 0;
		memset(&s->n->registration.rotate, 0, sizeof(struct addr));
	}
	drive_round(s);
}

static void plan_renewal(struct step *s, int64_t period_ms)
{
	struct registration *g = &s->n->registration;
	int64_t due;

	/* A seed may be wrong, but not make us spin or vanish. */
	if (period_ms < PERIOD_MIN_MS)
		period_ms = PERIOD_MIN_MS;
	if (period_ms > PERIOD_MAX_MS)
		period_ms = PERIOD_MAX_MS;
	g->period_ms = period_ms;
	due = s->now + rng_jitter(&s->n->rng, period_ms, RENEW_JITTER);
	if (g->renew_ms <= s->now || due < g->renew_ms)
		g->renew_ms = due;
}

/* Reservoir of one: a uniform draw among all addresses of all answers. */
static void draw_rotation(struct node *n, const struct addr *a)
{
	struct registration *g = &n->registration;

	if (!overlay_is_new(n, a))
		return;
	g->rotate_drawn++;
	if (rng_below(&n->rng, g->rotate_drawn) == 0)
		g->rotate = *a;
}

static void take_list(struct step *s, const struct msg_peer_list *list)
{
	struct round *r = &s->n->registration.round;

	for (size_t i = 0; i < list->peers.n; i++) {
		if (r->active && r->kind == ROUND_RENEW)
			draw_rotation(s->n, &list->peers.v[i]);
		else
			overlay_candidate(s, &list->peers.v[i], NULL);
	}
}

/* The wildcard listener learns its address from the first seed that sees it
 * under another. */
static bool learn_address(struct step *s, const struct msg_peer_list *list)
{
	struct node *n = s->n;
	uint16_t port = n->self.addr.port;

	if (!n->learn_address || list->reachable ||
	    addr_same_host(&list->you, &n->self.addr))
		return false;
	n->learn_address = false;
	n->registration.outdated = n->registration.round.pending;
	n->self.addr = list->you;
	n->self.addr.port = port;
	effects_add(s->out, EF_ADDRESS);
	return true;
}

/* An answer to a question that named an address which is not mine: it did not
 * list me, so ask again. */
static bool is_outdated(struct step *s, const struct ev_seed *ev)
{
	if (!ev->answered || ev->question != ASK_REGISTER)
		return false;
	if (learn_address(s, ev->list))
		return true;
	return !ev->list->reachable &&
	       (s->n->registration.outdated & seed_bit(ev->seed)) != 0;
}

static void on_register_answer(struct step *s, const struct ev_seed *ev)
{
	struct registration *g = &s->n->registration;
	uint64_t bit = seed_bit(ev->seed);

	if (ev->list->reachable)
		g->registered |= bit;
	else
		g->registered &= ~bit;
	plan_renewal(s, (int64_t)ev->list->period_ms);
}

/* Notes a report to be sent; dropped when too many wait, or for want of
 * memory: others report him as well, and at last his lease runs out. */
static void add_death(struct registration *g, const struct pending_death *d)
{
	if (g->death_count == DEATHS_CAP)
		return;
	if (g->death_count == g->death_cap) {
		unsigned cap = g->death_cap ? g->death_cap * 2 : 4;
		struct pending_death *v = realloc(g->deaths, cap * sizeof *v);

		if (v == NULL)
			return;
		g->deaths = v;
		g->death_cap = cap;
	}
	g->deaths[g->death_count++] = *d;
}

void registration_free(struct node *n)
{
	free(n->registration.deaths);
}

static void on_death_answer(struct step *s, const struct ev_seed *ev)
{
	struct registration *g = &s->n->registration;

	if (!ev->answered || ev->verdict != VERDICT_BUSY)
		return;
	for (unsigned i = 0; i < g->death_count; i++) {
		struct pending_death *d = &g->deaths[i];

		if (identity_equal(&d->death.id, &ev->death.id)) {
			d->seeds |= seed_bit(ev->seed);
			return;
		}
	}
	add_death(g, &(struct pending_death){ .death = ev->death,
					      .seeds = seed_bit(ev->seed),
					      .due_ms = s->now + BUSY_MS });
}

void registration_on_seed(struct step *s, const struct ev_seed *ev)
{
	struct registration *g = &s->n->registration;
	struct round *r = &g->round;
	uint64_t bit = seed_bit(ev->seed);
	bool counts = r->active && (r->pending & bit) != 0;

	/* R15: a Register now would undo the Death that was just sent. */
	if (s->n->stopped)
		return;
	if (ev->question == ASK_DEATH) {
		on_death_answer(s, ev);
		return;
	}
	r->pending &= ~bit;
	if (is_outdated(s, ev)) {
		ask_seed(s, ev->seed);
		return;
	}
	if (!ev->answered) {
		g->registered &= ~bit;
	} else {
		r->answered += counts;
		take_list(s, ev->list);
		if (ev->question == ASK_REGISTER)
			on_register_answer(s, ev);
	}
	if (counts)
		drive_round(s);
	else
		overlay_fill(s); /* a late answer may still help */
}

void registration_report(struct step *s, const struct identity *id,
			 enum death_reason reason)
{
	struct node *n = s->n;
	struct registration *g = &n->registration;
	int64_t delay = n->config->overlay.report_delay_ms;
	unsigned seeds = seed_count(n);
	struct pending_death d = {
		.death = { .id = *id,
			   .reporter = n->self.addr,
			   .reason = reason },
		.seeds = seeds >= 64 ? UINT64_MAX : seed_bit(seeds) - 1,
	};

	for (unsigned i = 0; i < g->death_count; i++)
		if (addr_equal(&g->deaths[i].death.id.addr, &id->addr))
			return;
	if (seeds == 0)
		return;
	d.due_ms = s->now + (int64_t)rng_below(&n->rng, (uint64_t)delay + 1);
	add_death(g, &d);
}

static void send_deaths(struct step *s)
{
	struct registration *g = &s->n->registration;

	for (unsigned i = 0; i < g->death_count;) {
		struct pending_death *d = &g->deaths[i];
		struct effect *e;

		if (d->due_ms > s->now) {
			i++;
			continue;
		}
		e = effects_add(s->out, EF_DEATH);
		e->death.death = d->death;
		e->death.seeds = d->seeds;
		s->n->stats.deaths_reported++;
		*d = g->deaths[--g->death_count];
	}
}

void registration_renew_now(struct step *s)
{
	if (s->n->registration.period_ms > 0)
		s->n->registration.renew_ms = s->now;
}

void registration_tick(struct step *s)
{
	struct registration *g = &s->n->registration;

	/* Go on with what came; silent seeds may still answer later. */
	if (g->round.active && s->now >= g->round.deadline_ms)
		end_round(s);
	if (!g->round.active && s->now >= g->renew_ms) {
		/* Until an answer says otherwise, try again in a period. */
		g->renew_ms = s->now +
			      (g->period_ms > 0
				       ? g->period_ms
				       : s->n->config->overlay.repair_max_ms);
		registration_begin(s, ROUND_RENEW);
	}
	send_deaths(s);
}

int64_t registration_deadline(const struct node *n)
{
	const struct registration *g = &n->registration;
	int64_t due = g->round.active ? g->round.deadline_ms : g->renew_ms;

	for (unsigned i = 0; i < g->death_count; i++)
		if (g->deaths[i].due_ms < due)
			due = g->deaths[i].due_ms;
	return due;
}
