/* The table behind core/registry.h.
 *
 * One dense array of pointers holds all entries in three groups, so that each
 * question is answered by a part of it: the first part is what samples are
 * drawn from, the second what the sweeper asks for. An entry knows its place
 * and moves to another group by swaps at the borders. Entries whose lease runs
 * also hang in a list ordered by its end; a lapse is noticed at its head.
 * Chance and order come from the dense array only, never from addresses in
 * memory. Memory: 136 bytes an entry, 8 to 10 in the array, and 10 to 20 for
 * the hash buckets; it is kept for reuse until registry_free. Each host off
 * loopback takes 100 bytes more.
 */
#include "core/registry.h"

#include <stdlib.h>
#include <string.h>

/* Out of memory is an answer here, not the end of the process. The macro is
 * used in entry_insert and host_add only, which have such a variable. */
#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(entry) ((void)(entry), oom = true)
#include <uthash.h>
#include <utlist.h>

#define REGISTERS_PER_S 5000 /* what one seed should have to answer */
#define PLACES_MAX INT32_MAX
#define NEVER_MS INT64_MIN
#define SLAB_ENTRIES 480 /* 64 KB at a time: no malloc header per entry */

enum group {
	GROUP_LISTED, /* handed out, if the lease still runs */
	GROUP_LAPSED, /* the lease has run out, nobody checks yet */
	GROUP_HIDDEN, /* being checked, see is_trusted */
	GROUPS
};

struct entry {
	uint64_t incarnation;
	struct addr addr;      /* the key */
	uint32_t place : 31;   /* index in dense */
	uint32_t checking : 1; /* somebody looks whether it lives */
	struct hash lease;
	int64_t expires_ms;
	int64_t answered_ms;       /* a check found it alive; or NEVER_MS */
	struct entry *prev, *next; /* lapse order; prev is NULL outside */
	UT_hash_handle hh;
};

/* How many entries one addr_source has. */
struct host {
	struct addr source; /* the key */
	uint32_t count;     /* never 0 */
	UT_hash_handle hh;
};

struct slab {
	struct slab *next;
	struct entry v[SLAB_ENTRIES];
};

struct registry {
	struct registry_config config;
	struct rng rng;
	uint64_t salt;       /* so that nobody can choose colliding addresses */
	struct entry *table; /* uthash, by address */
	struct host *hosts;  /* uthash, by source; none for loopback */
	struct entry *order; /* running leases, the next to end first */
	struct entry **dense;
	size_t dense_cap;
	size_t end[GROUPS]; /* where each group ends in dense */
	struct slab *slabs;
	struct entry *unused; /* linked by next */
};

struct registry *registry_new(const struct registry_config *c)
{
	struct registry *r = calloc(1, sizeof *r);

	if (!r)
		return NULL;
	r->config = *c;
	if (r->config.peers_max > PLACES_MAX)
		r->config.peers_max = PLACES_MAX;
	rng_init(&r->rng, c->rng_seed);
	r->salt = rng_u64(&r->rng);
	return r;
}

/* --- the hash table --------------------------------------------------- */

static uint64_t mix(uint64_t z)
{
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static unsigned key_hash(const struct registry *r, const struct addr *a)
{
	uint64_t word[3] = { 0, 0, 0 };

	_Static_assert(sizeof *a <= sizeof word, "all of the address counts");
	memcpy(word, a, sizeof *a);
	return (unsigned)mix(mix(mix(r->salt ^ word[0]) ^ word[1]) ^ word[2]);
}

static struct entry *entry_find(const struct registry *r, const struct addr *a)
{
	struct entry *e = NULL;

	HASH_FIND_BYHASHVALUE(hh, r->table, a, sizeof *a, key_hash(r, a), e);
	return e;
}

/* The entry of exactly that run. */
static struct entry *entry_of_run(const struct registry *r,
				  const struct identity *id)
{
	struct entry *e = entry_find(r, &id->addr);

	return e && e->incarnation == id->incarnation ? e : NULL;
}

static struct identity entry_id(const struct entry *e)
{
	struct identity id;

	memset(&id, 0, sizeof id);
	id.incarnation = e->incarnation;
	id.addr = e->addr;
	return id;
}

/* --- hosts ------------------------------------------------------------ */

static struct host *host_find(const struct registry *r, const struct addr *a)
{
	struct addr source = addr_source(a);
	struct host *h = NULL;

	HASH_FIND_BYHASHVALUE(hh, r->hosts, &source, sizeof source,
			      key_hash(r, &source), h);
	return h;
}

/* Counts an entry to its host. False: out of memory. */
static bool host_add(struct registry *r, const struct addr *a)
{
	struct host *h;
	bool oom = false;

	if (addr_is_loopback(a))
		return true;
	h = host_find(r, a);
	if (!h) {
		h = calloc(1, sizeof *h);
		if (!h)
			return false;
		h->source = addr_source(a);
		HASH_ADD_KEYPTR_BYHASHVALUE(hh, r->hosts, &h->source,
					    sizeof h->source,
					    key_hash(r, &h->source), h);
	}
	if (oom) {
		free(h);
		return false;
	}
	h->count++;
	return true;
}

static void host_drop(struct registry *r, const struct addr *a)
{
	struct host *h = addr_is_loopback(a) ? NULL : host_find(r, a);

	if (!h || --h->count > 0)
		return;
	HASH_DELETE(hh, r->hosts, h);
	free(h);
}

static bool host_is_full(const struct registry *r, const struct addr *a)
{
	const struct host *h = addr_is_loopback(a) ? NULL : host_find(r, a);

	return h && r->config.per_host_max > 0 &&
	       h->count >= r->config.per_host_max;
}

static void hosts_free(struct registry *r)
{
	struct host *h, *next;

	HASH_ITER (hh, r->hosts, h, next) {
		HASH_DELETE(hh, r->hosts, h);
		free(h);
	}
}

void registry_free(struct registry *r)
{
	if (!r)
		return;
	HASH_CLEAR(hh, r->table);
	hosts_free(r);
	while (r->slabs) {
		struct slab *s = r->slabs;

		r->slabs = s->next;
		free(s);
	}
	free(r->dense);
	free(r);
}

/* --- the three groups ------------------------------------------------- */

static enum group entry_group(const struct registry *r, const struct entry *e)
{
	enum group g = GROUP_LISTED;

	while (e->place >= r->end[g])
		g++;
	return g;
}

static void swap_places(struct registry *r, size_t i, size_t j)
{
	struct entry *a = r->dense[i], *b = r->dense[j];

	r->dense[i] = b;
	b->place = (uint32_t)i & PLACES_MAX;
	r->dense[j] = a;
	a->place = (uint32_t)j & PLACES_MAX;
}

static void entry_move(struct registry *r, struct entry *e, enum group to)
{
	enum group g = entry_group(r, e);

	for (; g < to; g++)
		swap_places(r, e->place, --r->end[g]);
	for (; g > to; g--)
		swap_places(r, e->place, r->end[g - 1]++);
}

/* --- leases ----------------------------------------------------------- */

static bool lease_runs(const struct entry *e)
{
	return e->prev != NULL;
}

static void lease_stop(struct registry *r, struct entry *e)
{
	if (!lease_runs(e))
		return;
	DL_DELETE(r->order, e);
	e->prev = e->next = NULL;
}

/* No lease ends before one that was given earlier: when the population, and
 * with it the period, shrinks, a lease is a little long for a while. That
 * keeps the list ordered without a search. */
static void lease_start(struct registry *r, struct entry *e, int64_t now_ms)
{
	int64_t ends_ms = now_ms + (int64_t)r->config.lease_periods *
					   registry_period_ms(r);

	lease_stop(r, e);
	if (r->order && r->order->prev->expires_ms > ends_ms)
		ends_ms = r->order->prev->expires_ms;
	e->expires_ms = ends_ms;
	DL_APPEND(r->order, e);
}

/* Every lease that has run out by now leaves the list, and its entry the
 * listed ones. Each lapse is paid for once. */
static void lapse(struct registry *r, int64_t now_ms)
{
	while (r->order && r->order->expires_ms <= now_ms) {
		struct entry *e = r->order;

		lease_stop(r, e);
		if (entry_group(r, e) == GROUP_LISTED)
			entry_move(r, e,
				   e->checking ? GROUP_HIDDEN : GROUP_LAPSED);
	}
}

/* --- entries ---------------------------------------------------------- */

static struct entry *entry_new(struct registry *r)
{
	struct entry *e;

	if (!r->unused) {
		struct slab *s = malloc(sizeof *s);

		if (!s)
			return NULL;
		s->next = r->slabs;
		r->slabs = s;
		for (size_t i = 0; i < SLAB_ENTRIES; i++)
			LL_PREPEND(r->unused, &s->v[i]);
	}
	e = r->unused;
	LL_DELETE(r->unused, e);
	memset(e, 0, sizeof *e);
	return e;
}

static bool dense_reserve(struct registry *r)
{
	struct entry **grown;
	size_t cap = r->dense_cap + r->dense_cap / 4 + 16;

	if (r->end[GROUP_HIDDEN] < r->dense_cap)
		return true;
	grown = realloc(r->dense, cap * sizeof *grown);
	if (!grown)
		return false;
	r->dense = grown;
	r->dense_cap = cap;
	return true;
}

/* A new, listed entry whose lease does not run yet; NULL: out of memory. */
static struct entry *entry_insert(struct registry *r, const struct addr *a)
{
	struct entry *e = dense_reserve(r) ? entry_new(r) : NULL;
	bool oom = false;

	if (!e)
		return NULL;
	if (!host_add(r, a)) {
		LL_PREPEND(r->unused, e);
		return NULL;
	}
	e->addr = *a;
	HASH_ADD_KEYPTR_BYHASHVALUE(hh, r->table, &e->addr, sizeof e->addr,
				    key_hash(r, a), e);
	if (oom) {
		host_drop(r, a);
		LL_PREPEND(r->unused, e);
		return NULL;
	}
	e->place = (uint32_t)r->end[GROUP_HIDDEN]++ & PLACES_MAX;
	r->dense[e->place] = e;
	entry_move(r, e, GROUP_LISTED);
	return e;
}

static void entry_delete(struct registry *r, struct entry *e)
{
	lease_stop(r, e);
	entry_move(r, e, GROUP_HIDDEN);
	swap_places(r, e->place, --r->end[GROUP_HIDDEN]);
	HASH_DELETE(hh, r->table, e);
	host_drop(r, &e->addr);
	LL_PREPEND(r->unused, e);
}

/* --- what the seed asks and tells ------------------------------------- */

enum registry_match registry_match(const struct registry *r,
				   const struct identity *id)
{
	const struct entry *e = entry_find(r, &id->addr);

	if (!e)
		return MATCH_NEW;
	if (e->incarnation == id->incarnation)
		return MATCH_SAME;
	return id->incarnation > e->incarnation ? MATCH_NEWER : MATCH_OLDER;
}

enum err registry_get(const struct registry *r, const struct addr *a,
		      int64_t now_ms, struct registry_entry *out)
{
	const struct entry *e = entry_find(r, a);

	if (!e)
		return ERR_NOT_FOUND;
	out->id = entry_id(e);
	out->lease = e->lease;
	out->verifying = e->checking;
	out->lapsed = e->expires_ms <= now_ms;
	return ERR_OK;
}

enum err registry_put(struct registry *r, const struct identity *id,
		      const struct hash *lease, int64_t now_ms)
{
	struct entry *e = entry_find(r, &id->addr);
	bool same = e && e->incarnation == id->incarnation;

	if (!e) {
		if (registry_count(r) >= r->config.peers_max ||
		    host_is_full(r, &id->addr))
			return ERR_FULL;
		e = entry_insert(r, &id->addr);
		if (!e)
			return ERR_NOMEM;
	}
	e->incarnation = id->incarnation;
	e->lease = *lease;
	lease_start(r, e, now_ms);
	/* The same run's check goes on (R14); another run's is over. */
	if (!same) {
		e->checking = false;
		e->answered_ms = NEVER_MS;
	}
	if (!same || entry_group(r, e) == GROUP_LAPSED)
		entry_move(r, e, GROUP_LISTED);
	return ERR_OK;
}

enum err registry_renew(struct registry *r, const struct identity *id,
			int64_t now_ms)
{
	struct entry *e = entry_of_run(r, id);

	if (!e)
		return ERR_NOT_FOUND;
	lease_start(r, e, now_ms);
	if (entry_group(r, e) == GROUP_LAPSED)
		entry_move(r, e, GROUP_LISTED);
	return ERR_OK;
}

bool registry_remove(struct registry *r, const struct identity *id)
{
	struct entry *e = id->incarnation == 0 ? entry_find(r, &id->addr)
					       : entry_of_run(r, id);

	if (!e)
		return false;
	entry_delete(r, e);
	return true;
}

/* It lived a moment ago: a report of its death is probably wrong, too. */
static bool is_trusted(const struct registry *r, const struct entry *e,
		       int64_t now_ms)
{
	return e->answered_ms > now_ms - r->config.period_ms &&
	       entry_group(r, e) == GROUP_LISTED;
}

enum err registry_verify_begin(struct registry *r, const struct identity *id,
			       int64_t now_ms)
{
	struct entry *e = entry_of_run(r, id);

	if (!e)
		return ERR_NOT_FOUND;
	if (e->checking)
		return ERR_FULL;
	e->checking = true;
	if (!is_trusted(r, e, now_ms))
		entry_move(r, e, GROUP_HIDDEN);
	return ERR_OK;
}

/* The entry of that run, if it is being checked. */
static struct entry *entry_in_check(const struct registry *r,
				    const struct identity *id)
{
	struct entry *e = entry_of_run(r, id);

	return e && e->checking ? e : NULL;
}

bool registry_verify_end(struct registry *r, const struct identity *id,
			 bool alive, int64_t now_ms)
{
	struct entry *e = entry_in_check(r, id);

	if (!e)
		return false;
	if (!alive) {
		entry_delete(r, e);
		return true;
	}
	e->checking = false;
	e->answered_ms = now_ms;
	if (e->expires_ms <= now_ms)
		lease_start(r, e, now_ms);
	entry_move(r, e, GROUP_LISTED);
	return false;
}

void registry_verify_cancel(struct registry *r, const struct identity *id)
{
	struct entry *e = entry_in_check(r, id);

	if (!e)
		return;
	e->checking = false;
	entry_move(r, e, lease_runs(e) ? GROUP_LISTED : GROUP_LAPSED);
}

size_t registry_sample(struct registry *r, const struct addr *asker,
		       int64_t now_ms, size_t want, struct addr *out)
{
	struct entry *self = asker ? entry_find(r, asker) : NULL;
	size_t n;

	lapse(r, now_ms);
	n = r->end[GROUP_LISTED];
	/* The asker goes behind those that can be drawn. */
	if (self && self->place < n)
		swap_places(r, self->place, --n);
	if (want > n)
		want = n;
	for (size_t i = 0; i < want; i++) {
		size_t j = i + (size_t)rng_below(&r->rng, n - i);

		swap_places(r, i, j);
		out[i] = r->dense[i]->addr;
	}
	return want;
}

size_t registry_count(const struct registry *r)
{
	return r->end[GROUP_HIDDEN];
}

size_t registry_lapsed(struct registry *r, int64_t now_ms, size_t max,
		       struct identity *out)
{
	size_t first, n;

	lapse(r, now_ms);
	first = r->end[GROUP_LISTED];
	n = r->end[GROUP_LAPSED] - first;
	if (n > max)
		n = max;
	for (size_t i = 0; i < n; i++)
		out[i] = entry_id(r->dense[first + i]);
	return n;
}

int64_t registry_period_ms(const struct registry *r)
{
	size_t n = r->config.seeds > 0 ? r->config.seeds : 1;
	uint64_t load = (uint64_t)registry_count(r) * (n / 2 + 1) * 1000;
	int64_t spread_ms = (int64_t)(load / (n * REGISTERS_PER_S));

	return spread_ms > r->config.period_ms ? spread_ms
					       : r->config.period_ms;
}
