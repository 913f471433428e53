/* The table behind core/registry.h.
 *
 * One dense array of slot numbers holds all entries in three groups, so that
 * each question is answered by a part of it: the first part is what samples are
 * drawn from, the second what the sweeper asks for. An entry knows its place
 * and moves to another group by swaps at the borders. Entries whose lease runs
 * also hang in a list ordered by its end; a lapse is noticed at its head.
 * Chance and order come from the dense array only, never from addresses in
 * memory. Memory: 72 bytes an entry, 4 to 5 in the array, 11 to 21 in the
 * index; it is kept for reuse until registry_free. Each host off loopback takes
 * 24 and 11 to 21 bytes more.
 */
#include "core/registry.h"

#include "core/index.h"
#include "core/slab.h"

#include <stdlib.h>
#include <string.h>

#define REGISTERS_PER_S 5000 /* what one seed should have to answer */
#define PLACES_MAX ((1u << 30) - 1)
#define NEVER_MS INT64_MIN
#define NOBODY SLAB_NONE

enum group {
	GROUP_LISTED, /* handed out, if the lease still runs */
	GROUP_LAPSED, /* the lease has run out, nobody checks yet */
	GROUP_HIDDEN, /* being checked, see is_trusted */
	GROUPS
};

struct entry {
	uint64_t incarnation;
	int64_t expires_ms;
	int64_t answered_ms; /* a check found it alive; or NEVER_MS */
	struct hash lease;
	struct addr addr;        /* the key */
	uint32_t place : 30;     /* index in dense */
	uint32_t checking : 1;   /* somebody looks whether it lives */
	uint32_t lease_runs : 1; /* it hangs in the order of leases, */
	uint32_t before, after;  /* between these slots, or NOBODY */
};

/* How many entries one addr_source has. */
struct host {
	struct addr source; /* the key */
	uint32_t count;     /* never 0 */
};

struct registry {
	struct registry_config config;
	struct rng rng;
	uint64_t salt;       /* so that nobody can choose colliding addresses */
	struct slab entries; /* the slots */
	struct index by_addr;
	struct slab hosts; /* none for loopback */
	struct index by_source;
	uint32_t next_to_end, last_to_end; /* of the running leases */
	uint32_t *dense;
	size_t dense_cap;
	size_t end[GROUPS]; /* where each group ends in dense */
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
	r->entries = slab_of(sizeof(struct entry));
	r->hosts = slab_of(sizeof(struct host));
	r->next_to_end = r->last_to_end = NOBODY;
	return r;
}

void registry_free(struct registry *r)
{
	if (!r)
		return;
	index_free(&r->by_addr);
	index_free(&r->by_source);
	slab_free(&r->entries);
	slab_free(&r->hosts);
	free(r->dense);
	free(r);
}

/* --- who is where ------------------------------------------------------ */

static struct entry *entry_at(const struct registry *r, uint32_t slot)
{
	return slab_at(&r->entries, slot);
}

static uint32_t slot_of(const struct registry *r, const struct entry *e)
{
	return r->dense[e->place];
}

static uint64_t mix(uint64_t z)
{
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static uint64_t key_hash(const struct registry *r, const struct addr *a)
{
	uint64_t word[3] = { 0, 0, 0 };

	_Static_assert(sizeof *a <= sizeof word, "all of the address counts");
	memcpy(word, a, sizeof *a);
	return mix(mix(mix(r->salt ^ word[0]) ^ word[1]) ^ word[2]);
}

struct wanted {
	const struct registry *r;
	const struct addr *key;
};

static bool is_entry(const void *ctx, uint32_t slot)
{
	const struct wanted *w = ctx;

	return addr_equal(&entry_at(w->r, slot)->addr, w->key);
}

static struct entry *entry_find(const struct registry *r, const struct addr *a)
{
	struct wanted w = { r, a };
	uint32_t slot = index_find(&r->by_addr, key_hash(r, a), is_entry, &w);

	return slot == INDEX_NONE ? NULL : entry_at(r, slot);
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

static struct host *host_at(const struct registry *r, uint32_t number)
{
	return slab_at(&r->hosts, number);
}

static bool is_host(const void *ctx, uint32_t number)
{
	const struct wanted *w = ctx;

	return addr_equal(&host_at(w->r, number)->source, w->key);
}

/* Its number, or INDEX_NONE. */
static uint32_t host_find(const struct registry *r, const struct addr *source)
{
	struct wanted w = { r, source };

	return index_find(&r->by_source, key_hash(r, source), is_host, &w);
}

/* A host that nobody is counted to yet, or INDEX_NONE: out of memory. */
static uint32_t host_new(struct registry *r, const struct addr *source)
{
	uint32_t number = slab_take(&r->hosts);

	if (number == SLAB_NONE)
		return INDEX_NONE;
	if (index_put(&r->by_source, key_hash(r, source), number) != ERR_OK) {
		slab_give(&r->hosts, number);
		return INDEX_NONE;
	}
	host_at(r, number)->source = *source;
	return number;
}

/* Counts an entry to its host. False: out of memory. */
static bool host_add(struct registry *r, const struct addr *a)
{
	struct addr source = addr_source(a);
	uint32_t number;

	if (addr_is_loopback(a))
		return true;
	number = host_find(r, &source);
	if (number == INDEX_NONE)
		number = host_new(r, &source);
	if (number == INDEX_NONE)
		return false;
	host_at(r, number)->count++;
	return true;
}

static void host_drop(struct registry *r, const struct addr *a)
{
	struct addr source = addr_source(a);
	uint32_t number;

	if (addr_is_loopback(a))
		return;
	number = host_find(r, &source);
	if (--host_at(r, number)->count > 0)
		return;
	index_remove(&r->by_source, key_hash(r, &source), number);
	slab_give(&r->hosts, number);
}

static bool host_is_full(const struct registry *r, const struct addr *a)
{
	struct addr source = addr_source(a);
	uint32_t number;

	if (r->config.per_host_max == 0 || addr_is_loopback(a))
		return false;
	number = host_find(r, &source);
	return number != INDEX_NONE &&
	       host_at(r, number)->count >= r->config.per_host_max;
}

/* --- the three groups ------------------------------------------------- */

static enum group entry_group(const struct registry *r, const struct entry *e)
{
	enum group g = GROUP_LISTED;

	while (e->place >= r->end[g])
		g++;
	return g;
}

static void put_at(struct registry *r, size_t place, uint32_t slot)
{
	r->dense[place] = slot;
	entry_at(r, slot)->place = (uint32_t)place & PLACES_MAX;
}

static void swap_places(struct registry *r, size_t i, size_t j)
{
	uint32_t a = r->dense[i], b = r->dense[j];

	put_at(r, i, b);
	put_at(r, j, a);
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

static void lease_stop(struct registry *r, struct entry *e)
{
	if (!e->lease_runs)
		return;
	if (e->before == NOBODY)
		r->next_to_end = e->after;
	else
		entry_at(r, e->before)->after = e->after;
	if (e->after == NOBODY)
		r->last_to_end = e->before;
	else
		entry_at(r, e->after)->before = e->before;
	e->lease_runs = false;
}

static void lease_append(struct registry *r, struct entry *e)
{
	uint32_t slot = slot_of(r, e);

	e->before = r->last_to_end;
	e->after = NOBODY;
	if (e->before == NOBODY)
		r->next_to_end = slot;
	else
		entry_at(r, e->before)->after = slot;
	r->last_to_end = slot;
	e->lease_runs = true;
}

/* No lease ends before one that was given earlier: when the population, and
 * with it the period, shrinks, a lease is a little long for a while. That
 * keeps the list ordered without a search. */
static void lease_start(struct registry *r, struct entry *e, int64_t now_ms)
{
	int64_t ends_ms = now_ms + (int64_t)r->config.lease_periods *
					   registry_period_ms(r);

	lease_stop(r, e);
	if (r->last_to_end != NOBODY &&
	    entry_at(r, r->last_to_end)->expires_ms > ends_ms)
		ends_ms = entry_at(r, r->last_to_end)->expires_ms;
	e->expires_ms = ends_ms;
	lease_append(r, e);
}

/* Every lease that has run out by now leaves the list, and its entry the
 * listed ones. Each lapse is paid for once. */
static void lapse(struct registry *r, int64_t now_ms)
{
	while (r->next_to_end != NOBODY) {
		struct entry *e = entry_at(r, r->next_to_end);

		if (e->expires_ms > now_ms)
			return;
		lease_stop(r, e);
		if (entry_group(r, e) == GROUP_LISTED)
			entry_move(r, e,
				   e->checking ? GROUP_HIDDEN : GROUP_LAPSED);
	}
}

/* --- entries ---------------------------------------------------------- */

static bool dense_reserve(struct registry *r)
{
	uint32_t *grown;
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

/* A slot that can be found by its address, and is counted; or SLAB_NONE. */
static uint32_t slot_new(struct registry *r, const struct addr *a)
{
	uint32_t slot = slab_take(&r->entries);

	if (slot == SLAB_NONE)
		return SLAB_NONE;
	entry_at(r, slot)->addr = *a;
	if (!host_add(r, a)) {
		slab_give(&r->entries, slot);
		return SLAB_NONE;
	}
	if (index_put(&r->by_addr, key_hash(r, a), slot) != ERR_OK) {
		host_drop(r, a);
		slab_give(&r->entries, slot);
		return SLAB_NONE;
	}
	return slot;
}

/* A new, listed entry whose lease does not run yet; NULL: out of memory. */
static struct entry *entry_insert(struct registry *r, const struct addr *a)
{
	uint32_t slot = dense_reserve(r) ? slot_new(r, a) : SLAB_NONE;

	if (slot == SLAB_NONE)
		return NULL;
	put_at(r, r->end[GROUP_HIDDEN]++, slot);
	entry_move(r, entry_at(r, slot), GROUP_LISTED);
	return entry_at(r, slot);
}

static void entry_delete(struct registry *r, struct entry *e)
{
	uint32_t slot = slot_of(r, e);

	lease_stop(r, e);
	entry_move(r, e, GROUP_HIDDEN);
	swap_places(r, e->place, --r->end[GROUP_HIDDEN]);
	index_remove(&r->by_addr, key_hash(r, &e->addr), slot);
	host_drop(r, &e->addr);
	slab_give(&r->entries, slot);
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
	entry_move(r, e, e->lease_runs ? GROUP_LISTED : GROUP_LAPSED);
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
		out[i] = entry_at(r, r->dense[i])->addr;
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
		out[i] = entry_id(entry_at(r, r->dense[first + i]));
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
