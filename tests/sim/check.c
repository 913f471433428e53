#include "sim/check.h"

#include "core/node_impl.h"
#include "sim/graph.h"
#include "sim/sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define LISTED_WHOLE 32   /* peers that fit into one list of a seed */
#define WANT_MAX_MS 60000 /* the longest pause of R10, and some */
#define REMOVAL_MS 14000  /* from the start of a verification, at most */
#define TURNOVER_PEERS 20 /* of which one leaves now and then */

void check_init(struct sim *s)
{
	s->check.tracking =
		s->options.full_checks ||
		s->options.peers + s->options.join_storm <= CHECK_SMALL;
}

void check_failed(struct sim *s, const char *rule, const char *format, ...)
{
	va_list args;

	if (s->check.violations++ > 0)
		return; /* what follows is of the first */
	fprintf(stderr, "sim: %s is broken at %.3f s: ", rule,
		(double)(sim_now(s) - SIM_START_MS) / 1000);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\nsim: to repeat: %s\n", s->options.command);
}

/* --- after every step ------------------------------------------------- */

static void check_one_link(struct sim *s, uint32_t peer, unsigned slot)
{
	const struct peer *p = &s->peers.v[peer];
	const struct node *n = p->node;
	const struct identity *id = &n->links[slot].info.id;
	struct addr self = peers_addr(p->place);

	if (addr_equal(&id->addr, &self))
		check_failed(s, "I1", "peer %u has a link to itself", peer);
	for (unsigned i = 0; i < slot; i++)
		if (n->links[i].up &&
		    addr_equal(&n->links[i].info.id.addr, &id->addr))
			check_failed(s, "I1",
				     "peer %u has two links to one address",
				     peer);
}

/* I1, and the shell's view is the core's. */
static void check_links(struct sim *s, uint32_t peer)
{
	const struct peer *p = &s->peers.v[peer];
	const struct node *n = p->node;

	if (links_up(n) != p->links)
		check_failed(s, "effects", "peer %u has links %x, not %x", peer,
			     (unsigned)links_up(n), (unsigned)p->links);
	if (links_count(n) > n->config->overlay.links_max)
		check_failed(s, "I1", "peer %u has %u links", peer,
			     links_count(n));
	for (unsigned i = 0; i < LINK_SLOTS; i++)
		if (n->links[i].up)
			check_one_link(s, peer, i);
}

/* I10: alone, but with something under way. */
static bool has_plan(const struct node *n)
{
	for (unsigned i = 0; i < DIALS_CAP; i++)
		if (n->overlay.dials[i].used)
			return true;
	return n->registration.round.active || n->overlay.repair_ms != NEVER_MS;
}

/* I5: what is wanted is looked at again, and in time. */
static void check_wants(struct sim *s, uint32_t peer)
{
	const struct node *n = s->peers.v[peer].node;
	const struct want *t = wants_next(&n->gossip.wants);

	if (t == NULL || n->gossip.choked || n->stopped)
		return;
	if (node_deadline_ms(n) > t->due_ms ||
	    t->due_ms > sim_now(s) + WANT_MAX_MS)
		check_failed(s, "I5", "peer %u looks at a want too late", peer);
}

void check_step(struct sim *s, uint32_t peer, const struct event *ev)
{
	const struct peer *p = &s->peers.v[peer];

	if (s->check.links_changed) {
		s->check.links_changed = false;
		check_links(s, peer);
	}
	if (s->effects.dropped > 0)
		check_failed(s, "effects", "out of memory");
	if (p->links == 0 && !p->node->stopped && !has_plan(p->node))
		check_failed(s, "I10", "peer %u is alone without a plan", peer);
	check_wants(s, peer);
	if (ev->kind == EV_TICK && node_deadline_ms(p->node) <= sim_now(s))
		check_failed(s, "ticks", "peer %u wants to tick again at once",
			     peer);
}

/* --- I2 --------------------------------------------------------------- */

void check_linked(struct sim *s, uint32_t conn, unsigned side)
{
	struct conn *c = &s->net.v[conn];

	if (s->check.tracking && c->known[side] == NULL)
		c->known[side] =
			sim_alloc(traffic_words(s), sizeof *c->known[side]);
}

void check_told(struct sim *s, uint32_t conn, unsigned side, uint32_t number)
{
	uint64_t *known = s->net.v[conn].known[side];

	if (known != NULL)
		traffic_mark(known, number);
}

void check_told_list(struct sim *s, uint32_t conn, unsigned side,
		     const struct message *m)
{
	uint64_t *known = s->net.v[conn].known[side];

	if (known == NULL || m->type != MSG_HAVE)
		return;
	for (size_t i = 0; i < m->have.ranges.n; i++) {
		const struct range *r = &m->have.ranges.v[i];
		uint32_t peer = peers_of_run(s, &r->run);
		const struct peer *p;

		if (peer == NOBODY)
			continue;
		p = &s->peers.v[peer];
		for (uint64_t q = r->first; q <= r->last && q <= p->said_n; q++)
			traffic_mark(known, p->said[q - 1]);
	}
}

bool check_holds(struct sim *s, uint32_t peer, uint32_t number)
{
	struct node *n = s->peers.v[peer].node;
	const struct published *m = &s->traffic.v[number];
	const struct msg_message *said = &m->msg.message;
	const struct origin *r;

	if (n == NULL)
		return false;
	r = origins_find(&n->gossip.origins, &said->origin);
	return r != NULL &&
	       store_by_seq(&n->gossip.store, r, said->seq) != NULL;
}

/* What this end holds, the other end was sent or told of, or it came from
 * there. */
static void check_side(struct sim *s, uint32_t conn, unsigned side)
{
	const struct conn *c = &s->net.v[conn];
	uint32_t peer = c->side[side].peer;

	for (uint32_t i = 0; i < s->traffic.n; i++)
		if (!traffic_has(c->known[side], i) && check_holds(s, peer, i))
			check_failed(s, "I2",
				     "peer %u holds message %u of peer %u, and "
				     "did not tell peer %u",
				     peer, i, s->traffic.v[i].origin,
				     c->side[!side].peer);
}

static void check_told_all(struct sim *s)
{
	for (uint32_t i = 0; i < s->net.n && s->check.violations == 0; i++) {
		const struct conn *c = &s->net.v[i];

		for (unsigned k = 0; k < 2; k++)
			if (c->used && c->side[0].state == SIDE_LINKED &&
			    c->side[1].state == SIDE_LINKED &&
			    c->known[k] != NULL)
				check_side(s, i, k);
	}
}

/* --- I4 --------------------------------------------------------------- */

static const struct origin *record(const struct sim *s, uint32_t peer,
				   uint32_t run)
{
	struct identity id = peers_identity(&s->peers.v[run]);

	return origins_find(&s->peers.v[peer].node->gossip.origins, &id);
}

static uint64_t newest(const struct origin *r)
{
	return r != NULL && r->covered.n > 0
		       ? r->covered.v[r->covered.n - 1].last
		       : 0;
}

static bool anybody_holds(struct sim *s, uint32_t number)
{
	for (uint32_t i = 0; i < s->peers.alive_n; i++)
		if (check_holds(s, s->peers.alive[i], number))
			return true;
	return false;
}

/* Holes that are left are of messages that died with their holders. */
static void check_holes(struct sim *s, uint32_t peer, uint32_t run)
{
	const struct peer *p = &s->peers.v[run];
	const struct ranges *covered = &record(s, peer, run)->covered;

	for (size_t i = 1; i < covered->n; i++)
		for (uint64_t q = covered->v[i - 1].last + 1;
		     q < covered->v[i].first && q <= p->said_n; q++)
			if (anybody_holds(s, p->said[q - 1]))
				check_failed(s, "I4",
					     "peer %u misses seq %llu of peer "
					     "%u, which others hold",
					     peer, (unsigned long long)q, run);
}

static void check_run_covered(struct sim *s, uint32_t run)
{
	uint64_t top = 0;

	for (uint32_t i = 0; i < s->peers.alive_n; i++) {
		uint64_t last = newest(record(s, s->peers.alive[i], run));

		top = last > top ? last : top;
	}
	for (uint32_t i = 0; i < s->peers.alive_n; i++) {
		uint32_t peer = s->peers.alive[i];
		uint64_t last = newest(record(s, peer, run));

		if (last == 0)
			continue;
		if (last != top)
			check_failed(s, "I4",
				     "peer %u knows peer %u up to %llu, others "
				     "up to %llu",
				     peer, run, (unsigned long long)last,
				     (unsigned long long)top);
		check_holes(s, peer, run);
	}
}

bool check_all_fits(const struct sim *s)
{
	uint64_t each = s->options.data_bytes + 512;

	return s->traffic.n <= s->config.gossip.store_messages &&
	       s->traffic.n * each <= s->config.gossip.store_bytes;
}

bool check_all_leave(const struct sim *s)
{
	const struct options *o = &s->options;

	return (o->crash.share <= 0 || o->crash.how == END_LEAVE) &&
	       (o->churn.share <= 0 ||
		(o->churn.how == END_LEAVE && o->peers >= TURNOVER_PEERS)) &&
	       check_all_fits(s);
}

/* A message that came as history to who wants none is not seen here. */
void check_taken(struct sim *s, uint32_t peer)
{
	const struct peer *p = &s->peers.v[peer];

	if (!s->config.gossip.catch_up || !check_all_fits(s))
		return;
	for (size_t i = 0; i < p->said_n; i++)
		if (!s->traffic.v[p->said[i]].spread)
			check_failed(
				s, "R15",
				"peer %u is told that message %u is taken, "
				"which nobody else has",
				peer, p->said[i]);
}

static void check_covered(struct sim *s)
{
	for (uint32_t i = 0; i < s->peers.n && s->check.violations == 0; i++)
		if (s->peers.v[i].said_n > 0)
			check_run_covered(s, i);
}

/* R10, R16: a hole above what came live is filled or was said to be lost. */
static void check_gap(struct sim *s, uint32_t peer, const struct origin *r,
		      uint64_t seq)
{
	const struct node *n = s->peers.v[peer].node;

	if (r->live_from == 0 || seq <= r->live_from ||
	    wants_find(&n->gossip.wants, &r->id, seq) != NULL)
		return;
	check_failed(s, "R10",
		     "peer %u misses seq %llu of peer %u and does not say so",
		     peer, (unsigned long long)seq, peers_of_run(s, &r->id));
}

static void check_gaps(struct sim *s, uint32_t peer)
{
	const struct origin *r = s->peers.v[peer].node->gossip.origins.oldest;

	for (; r != NULL; r = r->next)
		for (size_t i = 1; i < r->covered.n; i++)
			check_gap(s, peer, r, r->covered.v[i - 1].last + 1);
}

bool check_idle(const struct sim *s)
{
	for (uint32_t i = 0; i < s->peers.alive_n; i++)
		if (s->peers.v[s->peers.alive[i]].node->gossip.wants.n > 0)
			return false;
	return true;
}

/* --- I7 --------------------------------------------------------------- */

void check_list(struct sim *s, uint32_t peer, const struct msg_peer_list *l)
{
	struct peer *p = &s->peers.v[peer];

	if (!s->check.tracking || p->joined)
		return;
	for (size_t i = 0; i < l->peers.n; i++) {
		uint32_t other = peers_at(s, &l->peers.v[i]);

		if (other == NOBODY)
			continue;
		p->told = sim_grow(p->told, &p->told_cap, p->told_n + 1,
				   sizeof *p->told);
		p->told[p->told_n++] = other;
	}
}

void check_joined(struct sim *s, uint32_t peer, const struct effect *e)
{
	struct peer *p = &s->peers.v[peer];

	p->joined = true;
	p->settled = e->joined.answered >= e->joined.asked;
}

static bool was_told(const struct peer *p, uint32_t of)
{
	for (size_t i = 0; i < p->told_n; i++)
		if (p->told[i] == of)
			return true;
	return false;
}

static bool know_one(const struct peer *p, const struct peer *q)
{
	for (size_t i = 0; i < p->told_n; i++)
		if (was_told(q, p->told[i]))
			return true;
	return false;
}

void check_after_join(struct sim *s)
{
	struct peer *v = s->peers.v;

	if (!s->check.tracking || s->peers.n > LISTED_WHOLE ||
	    s->options.seed_split_ms > 0 || s->seeds.deaths > 0)
		return;
	for (uint32_t i = 0; i < s->peers.n; i++)
		for (uint32_t k = 0; k < i; k++)
			if (v[i].settled && v[k].settled &&
			    !was_told(&v[i], k) && !was_told(&v[k], i) &&
			    !know_one(&v[i], &v[k]))
				check_failed(s, "I7",
					     "peers %u and %u were not told of "
					     "each other",
					     i, k);
}

/* --- I8 --------------------------------------------------------------- */

void check_removed(struct sim *s, uint32_t seed, const struct identity *id,
		   int64_t begun_ms)
{
	uint32_t peer = peers_of_run(s, id);
	const struct peer *p;

	if (peer == NOBODY)
		return;
	p = &s->peers.v[peer];
	if (p->node == NULL || p->state == PEER_PAUSED ||
	    p->resume_ms >= begun_ms || !net_reaches_seed(s, peer, seed) ||
	    s->net.healed_ms >= begun_ms)
		return;
	check_failed(s, "I8", "seed %u removes peer %u, which answers", seed,
		     peer);
}

/* The dead do not stay: gone at the end of their lease, and its check. */
static void check_forgotten(struct sim *s, uint32_t seed)
{
	const struct registry *r = s->seeds.v[seed].registry;
	int64_t lease_ms = (int64_t)s->config.seed.lease_periods *
			   registry_period_ms(r) * 11 / 10;

	for (uint32_t i = 0; i < s->peers.n; i++) {
		const struct peer *p = &s->peers.v[i];
		struct addr a = peers_addr(p->place);
		struct registry_entry e;

		if (p->node == NULL &&
		    p->ended_ms + lease_ms + REMOVAL_MS < sim_now(s) &&
		    registry_get(r, &a, sim_now(s), &e) == ERR_OK &&
		    e.id.incarnation == p->incarnation)
			check_failed(s, "I8", "seed %u still lists peer %u",
				     seed, i);
	}
}

/* --- all of it -------------------------------------------------------- */

void check_quiet(struct sim *s)
{
	bool whole = graph_components(s) == 1;

	if (!whole && s->peers.alive_n > 1)
		check_failed(s, "I9", "%u peers in %u parts", s->peers.alive_n,
			     graph_components(s));
	if (s->check.tracking)
		check_told_all(s);
	if (whole && check_all_fits(s) && s->config.gossip.catch_up &&
	    s->peers.alive_n * (uint64_t)s->options.publishers <= 1000000)
		check_covered(s);
	if (check_all_fits(s) && !check_idle(s))
		check_failed(s, "I5", "somebody wants something for ever");
	for (uint32_t i = 0; i < s->peers.alive_n; i++)
		check_gaps(s, s->peers.alive[i]);
	for (uint32_t i = 0; i < s->options.seeds; i++)
		check_forgotten(s, i);
}
