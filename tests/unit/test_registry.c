#include "core/registry.h"

#include "scarce.h"
#include "test.h"

#include <time.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#define PERIOD_MS 1000
#define LEASE_MS (3 * PERIOD_MS)

static struct addr address(uint32_t n)
{
	struct addr a;

	memset(&a, 0, sizeof a);
	a.family = ADDR_V4;
	a.port = (uint16_t)(1024 + n % 60000);
	a.ip[0] = 10;
	n /= 60000;
	a.ip[2] = (uint8_t)(n >> 8);
	a.ip[3] = (uint8_t)n;
	return a;
}

static struct identity run(uint32_t n, uint64_t incarnation)
{
	struct identity id;

	memset(&id, 0, sizeof id);
	id.addr = address(n);
	id.incarnation = incarnation;
	return id;
}

static struct hash lease(uint32_t n)
{
	struct hash h;

	memset(&h, 0, sizeof h);
	memcpy(h.b, &n, sizeof n);
	return h;
}

static struct identity run_at(const char *text)
{
	struct identity id = { .incarnation = 1 };

	assert_true(addr_parse(text, strlen(text), &id.addr));
	return id;
}

static struct registry *registry_of(size_t peers_max)
{
	struct registry_config c = { .peers_max = peers_max,
				     .period_ms = PERIOD_MS,
				     .lease_periods = 3,
				     .seeds = 3,
				     .rng_seed = 42 };
	struct registry *r = registry_new(&c);

	assert_non_null(r);
	return r;
}

static void put(struct registry *r, uint32_t n, uint64_t inc, int64_t now)
{
	struct identity id = run(n, inc);
	struct hash h = lease(n);

	assert_int_equal(registry_put(r, &id, &h, now), ERR_OK);
}

static bool known(struct registry *r, uint32_t n, struct registry_entry *e,
		  int64_t now)
{
	struct addr a = address(n);

	return registry_get(r, &a, now, e) == ERR_OK;
}

static bool sampled(struct registry *r, uint32_t n, int64_t now)
{
	struct addr out[64], a = address(n);
	size_t got = registry_sample(r, NULL, now, 64, out);

	assert_true(registry_count(r) <= 64);
	for (size_t i = 0; i < got; i++)
		if (addr_equal(&out[i], &a))
			return true;
	return false;
}

static void a_new_registry_is_empty(void **state)
{
	struct registry *r = registry_of(10);
	struct addr out[4];
	struct identity id = run(1, 1), ids[4];
	struct registry_entry e;

	(void)state;
	assert_int_equal(registry_count(r), 0);
	assert_int_equal(registry_sample(r, NULL, 0, 4, out), 0);
	assert_int_equal(registry_lapsed(r, 1 << 30, 4, ids), 0);
	assert_int_equal(registry_match(r, &id), MATCH_NEW);
	assert_false(known(r, 1, &e, 0));
	assert_false(registry_remove(r, &id));
	assert_int_equal(registry_renew(r, &id, 0), ERR_NOT_FOUND);
	assert_int_equal(registry_verify_begin(r, &id, 0), ERR_NOT_FOUND);
	assert_false(registry_verify_end(r, &id, false, 0));
	registry_verify_cancel(r, &id);
	registry_free(r);
	registry_free(NULL);
}

static void what_was_put_is_found_with_its_lease(void **state)
{
	struct registry *r = registry_of(10);
	struct identity id = run(7, 99);
	struct hash h = lease(7);
	struct registry_entry e;

	(void)state;
	put(r, 7, 99, 100);
	assert_true(known(r, 7, &e, 100));
	assert_true(identity_equal(&e.id, &id));
	assert_true(crypto_equal(&e.lease, &h));
	assert_false(e.verifying);
	assert_false(e.lapsed);
	assert_true(sampled(r, 7, 100));
	registry_free(r);
}

static void incarnations_are_older_the_same_or_newer(void **state)
{
	struct registry *r = registry_of(10);
	struct identity older = run(1, 9), same = run(1, 10),
			newer = run(1, 11);

	(void)state;
	put(r, 1, 10, 0);
	assert_int_equal(registry_match(r, &older), MATCH_OLDER);
	assert_int_equal(registry_match(r, &same), MATCH_SAME);
	assert_int_equal(registry_match(r, &newer), MATCH_NEWER);
	/* Only the run that is known can be renewed or checked. */
	assert_int_equal(registry_renew(r, &older, 0), ERR_NOT_FOUND);
	assert_int_equal(registry_renew(r, &newer, 0), ERR_NOT_FOUND);
	assert_int_equal(registry_verify_begin(r, &newer, 0), ERR_NOT_FOUND);
	registry_free(r);
}

static void a_proven_run_replaces_another_of_its_address(void **state)
{
	struct registry *r = registry_of(1);
	struct registry_entry e;
	struct hash h = lease(5);
	struct identity newer = run(1, 11), older = run(1, 3);

	(void)state;
	put(r, 1, 10, 0);
	assert_int_equal(registry_put(r, &newer, &h, 0), ERR_OK);
	assert_int_equal(registry_count(r), 1);
	assert_true(known(r, 1, &e, 0));
	assert_int_equal(e.id.incarnation, 11);
	assert_true(crypto_equal(&e.lease, &h));
	/* A clock that was set back: the caller has proof, so it counts. */
	assert_int_equal(registry_put(r, &older, &h, 0), ERR_OK);
	assert_int_equal(registry_match(r, &newer), MATCH_NEWER);
	registry_free(r);
}

static void remove_takes_that_run_or_with_zero_any(void **state)
{
	struct registry *r = registry_of(10);
	struct identity other = run(1, 9), same = run(1, 10), any = run(2, 0);

	(void)state;
	put(r, 1, 10, 0);
	put(r, 2, 10, 0);
	assert_false(registry_remove(r, &other));
	assert_true(registry_remove(r, &same));
	assert_false(registry_remove(r, &same));
	assert_true(registry_remove(r, &any));
	assert_int_equal(registry_count(r), 0);
	registry_free(r);
}

static void a_full_registry_refuses_new_addresses_only(void **state)
{
	struct registry *r = registry_of(3);
	struct identity id = run(4, 1), known_one = run(2, 1);
	struct hash h = lease(4);

	(void)state;
	for (uint32_t i = 1; i <= 3; i++)
		put(r, i, 1, 0);
	assert_int_equal(registry_put(r, &id, &h, 0), ERR_FULL);
	put(r, 2, 2, 0);
	known_one.incarnation = 2;
	assert_true(registry_remove(r, &known_one));
	assert_int_equal(registry_put(r, &id, &h, 0), ERR_OK);
	assert_int_equal(registry_count(r), 3);
	registry_free(r);
}

static enum err put_at(struct registry *r, const char *text)
{
	struct identity id = run_at(text);
	struct hash h = lease(1);

	return registry_put(r, &id, &h, 0);
}

static void one_host_cannot_fill_the_list(void **state)
{
	struct registry_config c = { .peers_max = 100,
				     .per_host_max = 2,
				     .period_ms = PERIOD_MS,
				     .lease_periods = 3,
				     .seeds = 1 };
	struct registry *r = registry_new(&c);
	struct identity first = run_at("192.0.2.1:1");
	struct identity v6 = run_at("[2001:db8::7]:1");

	(void)state;
	assert_int_equal(put_at(r, "192.0.2.1:1"), ERR_OK);
	assert_int_equal(put_at(r, "192.0.2.1:2"), ERR_OK);
	assert_int_equal(put_at(r, "192.0.2.1:3"), ERR_FULL);
	assert_int_equal(put_at(r, "192.0.2.1:2"), ERR_OK); /* is listed */
	assert_int_equal(put_at(r, "192.0.2.2:3"), ERR_OK);
	/* In IPv6 whoever has an address has a /64. */
	assert_int_equal(put_at(r, "[2001:db8::7]:1"), ERR_OK);
	assert_int_equal(put_at(r, "[2001:db8::8]:1"), ERR_OK);
	assert_int_equal(put_at(r, "[2001:db8::9]:1"), ERR_FULL);
	assert_int_equal(put_at(r, "[2001:db8:0:1::9]:1"), ERR_OK);
	for (int i = 0; i < 5; i++) {
		char text[ADDR_TEXT_MAX];

		snprintf(text, sizeof text, "127.0.0.1:%d", 1 + i);
		assert_int_equal(put_at(r, text), ERR_OK);
	}
	assert_true(registry_remove(r, &first));
	assert_int_equal(put_at(r, "192.0.2.1:3"), ERR_OK);
	assert_int_equal(put_at(r, "192.0.2.1:4"), ERR_FULL);
	assert_int_equal(registry_verify_begin(r, &v6, 0), ERR_OK);
	assert_true(registry_verify_end(r, &v6, false, 0));
	assert_int_equal(put_at(r, "[2001:db8::9]:1"), ERR_OK);
	registry_free(r);
}

/* Somebody reports the death of a living peer again and again. */
static void
who_answered_a_moment_ago_is_not_hidden_by_the_next_report(void **state)
{
	struct registry *r = registry_of(10);
	struct identity id = run(1, 1);
	struct registry_entry e;
	int64_t now = PERIOD_MS / 2;

	(void)state;
	put(r, 1, 1, 0);
	assert_int_equal(registry_verify_begin(r, &id, 0), ERR_OK);
	assert_false(sampled(r, 1, 0));
	assert_false(registry_verify_end(r, &id, true, 0));
	assert_int_equal(registry_verify_begin(r, &id, now), ERR_OK);
	assert_int_equal(registry_verify_begin(r, &id, now), ERR_FULL);
	assert_true(known(r, 1, &e, now) && e.verifying);
	assert_true(sampled(r, 1, now));
	/* It is checked all the same, and believed when it is not true. */
	assert_true(registry_verify_end(r, &id, false, now));
	assert_false(known(r, 1, &e, now));
	/* Another run must earn that anew, and the same one after a period. */
	put(r, 1, 2, now);
	id.incarnation = 2;
	assert_int_equal(registry_verify_begin(r, &id, now), ERR_OK);
	assert_false(sampled(r, 1, now));
	assert_false(registry_verify_end(r, &id, true, now));
	now += PERIOD_MS;
	assert_int_equal(registry_verify_begin(r, &id, now), ERR_OK);
	assert_false(sampled(r, 1, now));
	registry_free(r);
}

static void the_asker_is_never_in_its_sample(void **state)
{
	struct registry *r = registry_of(100);
	struct addr out[64], asker = address(13), stranger = address(5000);

	(void)state;
	for (uint32_t i = 0; i < 40; i++)
		put(r, i, 1, 0);
	for (int round = 0; round < 20000; round++) {
		size_t want = (size_t)round % 41;
		size_t got = registry_sample(r, &asker, 0, want, out);

		assert_int_equal(got, want < 39 ? want : 39);
		for (size_t i = 0; i < got; i++)
			assert_false(addr_equal(&out[i], &asker));
	}
	assert_int_equal(registry_sample(r, &stranger, 0, 64, out), 40);
	assert_int_equal(registry_sample(r, NULL, 0, 64, out), 40);
	registry_free(r);
}

static void nobody_is_in_a_sample_twice(void **state)
{
	struct registry *r = registry_of(1000);
	struct addr out[500];

	(void)state;
	for (uint32_t i = 0; i < 600; i++)
		put(r, i, 1, 0);
	for (int round = 0; round < 50; round++) {
		size_t got = registry_sample(r, NULL, 0, 500, out);
		bool seen[600] = { false };

		assert_int_equal(got, 500);
		for (size_t i = 0; i < got; i++) {
			uint32_t n = out[i].port - 1024u;

			assert_true(n < 600 && !seen[n]);
			seen[n] = true;
		}
	}
	registry_free(r);
}

/* 50 peers, samples of 8 without the asker, 60,000 times: each of the other
 * 49 is expected 9,796 times. For chi-square with 48 degrees of freedom 100
 * is beyond one in 100,000, and the seed of chance is fixed. */
static void samples_are_uniform(void **state)
{
	struct registry *r = registry_of(100);
	struct addr out[8], asker = address(0);
	uint32_t hits[50] = { 0 };
	double expected = 60000.0 * 8 / 49, chi = 0;

	(void)state;
	for (uint32_t i = 0; i < 50; i++)
		put(r, i, 1, 0);
	for (int round = 0; round < 60000; round++) {
		assert_int_equal(registry_sample(r, &asker, 0, 8, out), 8);
		for (int i = 0; i < 8; i++)
			hits[out[i].port - 1024]++;
	}
	assert_int_equal(hits[0], 0);
	for (int i = 1; i < 50; i++) {
		double d = (double)hits[i] - expected;

		chi += d * d / expected;
	}
	assert_true(chi < 100);
	registry_free(r);
}

static void the_same_seed_of_chance_gives_the_same_samples(void **state)
{
	struct registry *a = registry_of(100), *b = registry_of(100);
	struct addr x[10], y[10];

	(void)state;
	for (uint32_t i = 0; i < 100; i++) {
		put(a, i, 1, 0);
		put(b, i, 1, 0);
	}
	for (int round = 0; round < 100; round++) {
		assert_int_equal(registry_sample(a, NULL, 0, 10, x), 10);
		assert_int_equal(registry_sample(b, NULL, 0, 10, y), 10);
		assert_memory_equal(x, y, sizeof x);
	}
	registry_free(a);
	registry_free(b);
}

static void a_lease_lapses_and_a_renewal_extends_it(void **state)
{
	struct registry *r = registry_of(10);
	struct identity id = run(1, 1), out[4];
	struct registry_entry e;

	(void)state;
	put(r, 1, 1, 0);
	put(r, 2, 1, 0);
	assert_int_equal(registry_renew(r, &id, 500), ERR_OK);
	assert_int_equal(registry_lapsed(r, LEASE_MS - 1, 4, out), 0);
	assert_true(sampled(r, 2, LEASE_MS - 1));
	assert_false(sampled(r, 2, LEASE_MS));
	assert_true(sampled(r, 1, LEASE_MS));
	assert_int_equal(registry_lapsed(r, LEASE_MS, 4, out), 1);
	assert_true(known(r, 2, &e, LEASE_MS));
	assert_true(e.lapsed && identity_equal(&e.id, &out[0]));
	/* It is still known until somebody has looked. */
	assert_int_equal(registry_count(r), 2);
	assert_int_equal(registry_renew(r, &out[0], LEASE_MS + 10), ERR_OK);
	assert_true(sampled(r, 2, LEASE_MS + 10));
	assert_int_equal(registry_lapsed(r, LEASE_MS + 500, 4, out), 1);
	assert_true(identity_equal(&id, &out[0]));
	registry_free(r);
}

static void lapsed_ones_come_in_bounded_portions(void **state)
{
	struct registry *r = registry_of(100);
	struct identity out[64];

	(void)state;
	for (uint32_t i = 0; i < 100; i++)
		put(r, i, 1, i);
	assert_int_equal(registry_lapsed(r, LEASE_MS + 49, 64, out), 50);
	assert_int_equal(registry_lapsed(r, LEASE_MS + 49, 8, out), 8);
	for (int left = 100; left > 0; left -= 10) {
		assert_int_equal(registry_lapsed(r, 1 << 20, 10, out), 10);
		for (int i = 0; i < 10; i++)
			assert_true(registry_remove(r, &out[i]));
	}
	assert_int_equal(registry_lapsed(r, 1 << 20, 10, out), 0);
	assert_int_equal(registry_count(r), 0);
	registry_free(r);
}

static void a_run_in_check_is_hidden_but_counted(void **state)
{
	struct registry *r = registry_of(10);
	struct identity id = run(1, 1);
	struct registry_entry e;

	(void)state;
	put(r, 1, 1, 0);
	put(r, 2, 1, 0);
	assert_int_equal(registry_verify_begin(r, &id, 0), ERR_OK);
	assert_int_equal(registry_verify_begin(r, &id, 0), ERR_FULL);
	assert_false(sampled(r, 1, 0));
	assert_int_equal(registry_count(r), 2);
	assert_true(known(r, 1, &e, 0) && e.verifying);
	assert_false(registry_verify_end(r, &id, true, 10));
	assert_true(sampled(r, 1, 10));
	assert_true(known(r, 1, &e, 10) && !e.verifying);
	registry_free(r);
}

static void a_check_that_fails_removes(void **state)
{
	struct registry *r = registry_of(10);
	struct identity id = run(1, 1);
	struct registry_entry e;

	(void)state;
	put(r, 1, 1, 0);
	assert_int_equal(registry_verify_begin(r, &id, 0), ERR_OK);
	assert_true(registry_verify_end(r, &id, false, 10));
	assert_false(known(r, 1, &e, 10));
	assert_int_equal(registry_count(r), 0);
	registry_free(r);
}

static void a_check_that_was_cancelled_changes_nothing(void **state)
{
	struct registry *r = registry_of(10);
	struct identity id = run(1, 1), out[2];

	(void)state;
	put(r, 1, 1, 0);
	assert_int_equal(registry_verify_begin(r, &id, 0), ERR_OK);
	registry_verify_cancel(r, &id);
	assert_true(sampled(r, 1, 0));
	/* Without a check there is nothing to end. */
	assert_false(registry_verify_end(r, &id, false, 0));
	assert_int_equal(registry_count(r), 1);
	/* Lapsed meanwhile: it stays so. */
	assert_int_equal(registry_verify_begin(r, &id, 0), ERR_OK);
	assert_int_equal(registry_lapsed(r, LEASE_MS, 2, out), 0);
	registry_verify_cancel(r, &id);
	assert_false(sampled(r, 1, LEASE_MS));
	assert_int_equal(registry_lapsed(r, LEASE_MS, 2, out), 1);
	registry_free(r);
}

static void a_renewal_does_not_end_a_check(void **state)
{
	struct registry *r = registry_of(10);
	struct identity id = run(1, 1);

	(void)state;
	put(r, 1, 1, 0);
	assert_int_equal(registry_verify_begin(r, &id, 0), ERR_OK);
	assert_int_equal(registry_renew(r, &id, 10), ERR_OK);
	assert_false(sampled(r, 1, 10));
	put(r, 1, 1, 20);
	assert_false(sampled(r, 1, 20));
	assert_true(registry_verify_end(r, &id, false, 30));
	registry_free(r);
}

static void a_check_of_a_replaced_run_does_nothing(void **state)
{
	struct registry *r = registry_of(10);
	struct identity old = run(1, 1), new = run(1, 2);

	(void)state;
	put(r, 1, 1, 0);
	assert_int_equal(registry_verify_begin(r, &old, 0), ERR_OK);
	put(r, 1, 2, 5);
	assert_true(sampled(r, 1, 5));
	assert_false(registry_verify_end(r, &old, false, 10));
	assert_true(sampled(r, 1, 10));
	/* Nor does the old check end the new one's. */
	assert_int_equal(registry_verify_begin(r, &new, 0), ERR_OK);
	assert_false(registry_verify_end(r, &old, false, 10));
	registry_verify_cancel(r, &old);
	assert_false(sampled(r, 1, 10));
	registry_free(r);
}

static void a_lapsed_run_that_is_alive_gets_a_new_lease(void **state)
{
	struct registry *r = registry_of(10);
	struct identity id, other = run(2, 1);
	struct registry_entry e;

	(void)state;
	put(r, 1, 1, 0);
	put(r, 2, 1, 0);
	assert_int_equal(registry_verify_begin(r, &other, 0), ERR_OK);
	assert_false(registry_verify_end(r, &other, true, 100));
	assert_int_equal(registry_lapsed(r, LEASE_MS, 1, &id), 1);
	assert_int_equal(registry_verify_begin(r, &id, 0), ERR_OK);
	assert_false(registry_verify_end(r, &id, true, LEASE_MS + 50));
	assert_true(known(r, 1, &e, 2 * LEASE_MS + 49));
	assert_false(e.lapsed && identity_equal(&e.id, &id));
	assert_int_equal(registry_lapsed(r, LEASE_MS + 60, 1, &id), 1);
	registry_free(r);
}

static void the_period_grows_with_the_population(void **state)
{
	struct registry *r = registry_of(100000);

	(void)state;
	assert_int_equal(registry_period_ms(r), PERIOD_MS);
	for (uint32_t i = 0; i < 15000; i++)
		put(r, i, 1, 0);
	/* N k / (n 5000/s) = 15000 * 2 / 15000 s: 2 s */
	assert_int_equal(registry_period_ms(r), 2000);
	for (uint32_t i = 0; i < 15000; i++) {
		struct identity id = run(i, 1);

		assert_true(registry_remove(r, &id));
	}
	assert_int_equal(registry_period_ms(r), PERIOD_MS);
	registry_free(r);
}

/* The list of leases stays in order when the period shrinks. */
static void no_lease_ends_before_one_given_earlier(void **state)
{
	struct registry *r = registry_of(100000);
	struct registry_entry e;

	(void)state;
	for (uint32_t i = 0; i < 15000; i++)
		put(r, i, 1, 0);
	for (uint32_t i = 1; i < 15000; i++) {
		struct identity id = run(i, 1);

		assert_true(i == 14999 || registry_remove(r, &id));
	}
	/* 14999 was given 6 s, its follower would have got 3. */
	put(r, 20000, 1, 1);
	assert_true(known(r, 20000, &e, 5000) && !e.lapsed);
	assert_true(known(r, 20000, &e, 6000) && e.lapsed);
	assert_true(known(r, 14999, &e, 6000) && e.lapsed);
	registry_free(r);
}

/* Invariant I7, the part of one seed: of two that register, the second is
 * told of the first, in whichever order they come. */
static void of_two_joiners_the_second_is_told_of_the_first(void **state)
{
	(void)state;
	for (uint32_t first = 1; first <= 2; first++) {
		struct registry *r = registry_of(10);
		struct addr a = address(first), b = address(3 - first), out[32];

		put(r, first, 1, 0);
		assert_int_equal(registry_sample(r, &a, 0, 32, out), 0);
		put(r, 3 - first, 1, 0);
		assert_int_equal(registry_sample(r, &b, 0, 32, out), 1);
		assert_true(addr_equal(&out[0], &a));
		registry_free(r);
	}
}

/* --- against a table so simple that it is evidently right ---------------- */

#define MODEL 48

struct model {
	bool there, verifying, hidden;
	uint64_t incarnation;
	int64_t expires_ms, answered_ms;
	struct hash lease;
};

static size_t model_count(const struct model *m)
{
	size_t n = 0;

	for (int i = 0; i < MODEL; i++)
		n += m[i].there;
	return n;
}

static void model_put(struct registry *r, struct model *m, uint32_t n,
		      uint64_t inc, int64_t now, uint32_t chance)
{
	struct identity id = run(n, inc);
	struct hash h = lease(chance);
	enum err e = registry_put(r, &id, &h, now);

	if (!m[n].there && model_count(m) == MODEL - 8) {
		assert_int_equal(e, ERR_FULL);
		return;
	}
	assert_int_equal(e, ERR_OK);
	if (!m[n].there || m[n].incarnation != inc) {
		m[n].verifying = m[n].hidden = false;
		m[n].answered_ms = -PERIOD_MS;
	}
	m[n].there = true;
	m[n].incarnation = inc;
	m[n].lease = h;
	m[n].expires_ms = now + LEASE_MS;
}

static void model_verify(struct registry *r, struct model *m, uint32_t n,
			 uint64_t inc, int64_t now, int what)
{
	struct identity id = run(n, inc);
	bool hit = m[n].there && m[n].incarnation == inc;

	if (what == 0) {
		enum err want = !hit             ? ERR_NOT_FOUND
				: m[n].verifying ? ERR_FULL
						 : ERR_OK;

		assert_int_equal(registry_verify_begin(r, &id, now), want);
		if (want == ERR_OK) {
			m[n].verifying = true;
			m[n].hidden = now - m[n].answered_ms >= PERIOD_MS ||
				      m[n].expires_ms <= now;
		}
		return;
	}
	hit = hit && m[n].verifying;
	if (what == 1) {
		registry_verify_cancel(r, &id);
	} else {
		bool alive = what == 2;

		assert_int_equal(registry_verify_end(r, &id, alive, now),
				 hit && !alive);
		if (hit && !alive)
			m[n].there = false;
		if (hit && alive && m[n].expires_ms <= now)
			m[n].expires_ms = now + LEASE_MS;
		if (hit && alive)
			m[n].answered_ms = now;
	}
	if (hit)
		m[n].verifying = m[n].hidden = false;
}

static void model_compare(struct registry *r, const struct model *m,
			  int64_t now)
{
	struct addr out[MODEL];
	struct identity ids[MODEL];
	size_t listed = 0, lapsed = 0, got;

	assert_int_equal(registry_count(r), model_count(m));
	for (uint32_t i = 0; i < MODEL; i++) {
		struct registry_entry e;

		assert_int_equal(known(r, i, &e, now), m[i].there);
		if (!m[i].there)
			continue;
		assert_int_equal(e.id.incarnation, m[i].incarnation);
		assert_int_equal(e.verifying, m[i].verifying);
		assert_int_equal(e.lapsed, m[i].expires_ms <= now);
		assert_memory_equal(&e.lease, &m[i].lease, sizeof e.lease);
		listed += !m[i].hidden && !e.lapsed;
		lapsed += !e.verifying && e.lapsed;
	}
	got = registry_sample(r, NULL, now, MODEL, out);
	assert_int_equal(got, listed);
	for (size_t i = 0; i < got; i++) {
		const struct model *x = &m[out[i].port - 1024];

		assert_true(x->there && !x->hidden && x->expires_ms > now);
	}
	got = registry_lapsed(r, now, MODEL, ids);
	assert_int_equal(got, lapsed);
	for (size_t i = 0; i < got; i++) {
		const struct model *x = &m[ids[i].addr.port - 1024];

		assert_true(x->there && !x->verifying && x->expires_ms <= now);
	}
}

static void it_does_what_a_naive_table_does(void **state)
{
	struct registry *r = registry_of(MODEL - 8);
	struct model m[MODEL] = { { .there = false } };
	struct rng rng;
	int64_t now = 0;

	(void)state;
	rng_init(&rng, 4711);
	for (uint32_t step = 0; step < 60000; step++) {
		uint32_t n = (uint32_t)rng_below(&rng, MODEL);
		uint64_t inc = 1 + rng_below(&rng, 3);
		struct identity id = run(n, inc);
		int what = (int)rng_below(&rng, 8);
		bool hit = m[n].there && m[n].incarnation == inc;

		now += rng_between(&rng, 0, 60);
		if (what == 0) {
			model_put(r, m, n, inc, now, step);
		} else if (what == 1) {
			assert_int_equal(registry_renew(r, &id, now),
					 hit ? ERR_OK : ERR_NOT_FOUND);
			if (hit)
				m[n].expires_ms = now + LEASE_MS;
		} else if (what == 2) {
			if (rng_below(&rng, 4) == 0) {
				id.incarnation = 0;
				hit = m[n].there;
			}
			assert_int_equal(registry_remove(r, &id), hit);
			m[n].there = m[n].there && !hit;
		} else if (what < 7) {
			model_verify(r, m, n, inc, now, what - 3);
		}
		model_compare(r, m, now);
	}
	registry_free(r);
}

/* --- a million ------------------------------------------------------------ */

#define MILLION 1000000

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static size_t allocated(void)
{
#ifdef __GLIBC__
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
#else
	return 0;
#endif
}

static void memory_of_the_removed_is_used_again(void **state)
{
	struct registry *r = registry_of(1000);
	size_t before = 0;

	(void)state;
	for (uint64_t round = 1; round < 200; round++) {
		for (uint32_t i = 0; i < 1000; i++)
			put(r, i, round, 0);
		for (uint32_t i = 0; i < 1000; i++) {
			struct identity id = run(i, round);

			assert_true(registry_remove(r, &id));
		}
		if (round == 1)
			before = allocated();
	}
	/* Freed small blocks stay counted; a leak would be 25 MB. */
	assert_true(allocated() <= before + 100000);
	registry_free(r);
}

/* Each from a host of its own, one after the other. */
static void hosts_that_left_take_no_memory_either(void **state)
{
	struct registry *r = registry_of(10);

	(void)state;
	put(r, 0, 1, 0);
	scarce_after(0, true);
	for (uint32_t i = 1; i < 5000; i++) {
		struct identity id = run(60000 * i, 1);

		put(r, 60000 * i, 1, 0);
		assert_true(registry_remove(r, &id));
	}
	assert_int_equal(scarce_end(), 0);
	registry_free(r);
}

/* Bounds are ten times and more what a slow machine needs, and still far from
 * what anything that looks at all entries would take. */
static void a_million_entries_stay_fast_and_small(void **state)
{
	struct registry *r = registry_of(2 * MILLION);
	struct addr asker = address(5), out[32];
	struct identity ids[64];
	double t = seconds();
	size_t bytes = allocated();

	(void)state;
	for (uint32_t i = 0; i < MILLION; i++)
		put(r, i, 1, i / 1000);
	assert_true(seconds() - t < 10);
	bytes = allocated() - bytes; /* 0 under a sanitizer */
	print_message("insert %.2f s, %.1f bytes an entry\n", seconds() - t,
		      (double)bytes / MILLION);
	assert_true(bytes <= (size_t)168 * MILLION);
	assert_int_equal(registry_period_ms(r), 133333);

	t = seconds();
	for (int i = 0; i < 100000; i++)
		assert_int_equal(registry_sample(r, &asker, 1000, 32, out), 32);
	print_message("sample of 32: %.2f us\n", (seconds() - t) * 10);
	assert_true(seconds() - t < 20);

	t = seconds();
	for (uint32_t i = 0; i < MILLION; i++) {
		struct identity id = run(i, 1);

		assert_int_equal(registry_renew(r, &id, 2000), ERR_OK);
	}
	print_message("renew: %.2f us\n", seconds() - t);
	assert_true(seconds() - t < 10);

	t = seconds();
	for (int i = 0; i < 100000; i++)
		assert_int_equal(registry_lapsed(r, 3000, 64, ids), 0);
	assert_int_equal(registry_lapsed(r, INT64_MAX, 64, ids), 64);
	for (int i = 0; i < 100000; i++)
		assert_int_equal(registry_lapsed(r, INT64_MAX, 64, ids), 64);
	print_message("lapsed: %.2f us\n", (seconds() - t) * 5);
	assert_true(seconds() - t < 10);
	registry_free(r);
}

/* Each allocation fails in turn; what is there stays, and the peer is taken
 * when he comes again. */
static void without_memory_a_peer_is_refused_and_the_others_stay(void **state)
{
	struct registry_config c = { .peers_max = 5000,
				     .period_ms = PERIOD_MS,
				     .lease_periods = 3,
				     .seeds = 3 };
	struct registry_entry e;
	unsigned failures = 0;
	enum err err;

	(void)state;
	scarce_after(0, false);
	assert_null(registry_new(&c));
	assert_int_equal(scarce_end(), 1);
	for (long left = 0; left < 8; left++) {
		struct registry *r = registry_of(5000);

		for (uint32_t i = 0; i < 2000; i++) {
			struct identity id = run(i, 1);
			struct hash h = lease(i);

			scarce_after(left, false);
			err = registry_put(r, &id, &h, 0);
			if (scarce_end() == 0) {
				assert_int_equal(err, ERR_OK);
				continue;
			}
			assert_int_equal(err, ERR_NOMEM);
			assert_false(known(r, i, &e, 0));
			assert_int_equal(registry_count(r), i);
			failures++;
			put(r, i, 1, 0);
			assert_true(known(r, i, &e, 0));
		}
		assert_int_equal(registry_count(r), 2000);
		registry_free(r);
	}
	assert_true(failures > 8);
}

static void a_list_is_never_larger_than_it_can_number(void **state)
{
	struct registry_config c = { .peers_max = SIZE_MAX,
				     .period_ms = PERIOD_MS,
				     .lease_periods = 3,
				     .seeds = 3 };
	struct registry *r = registry_new(&c);

	(void)state;
	assert_non_null(r);
	put(r, 1, 1, 0);
	assert_int_equal(registry_count(r), 1);
	registry_free(r);
	registry_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_registry_is_empty),
		cmocka_unit_test(what_was_put_is_found_with_its_lease),
		cmocka_unit_test(incarnations_are_older_the_same_or_newer),
		cmocka_unit_test(a_proven_run_replaces_another_of_its_address),
		cmocka_unit_test(remove_takes_that_run_or_with_zero_any),
		cmocka_unit_test(a_full_registry_refuses_new_addresses_only),
		cmocka_unit_test(one_host_cannot_fill_the_list),
		cmocka_unit_test(
			who_answered_a_moment_ago_is_not_hidden_by_the_next_report),
		cmocka_unit_test(the_asker_is_never_in_its_sample),
		cmocka_unit_test(nobody_is_in_a_sample_twice),
		cmocka_unit_test(samples_are_uniform),
		cmocka_unit_test(
			the_same_seed_of_chance_gives_the_same_samples),
		cmocka_unit_test(a_lease_lapses_and_a_renewal_extends_it),
		cmocka_unit_test(lapsed_ones_come_in_bounded_portions),
		cmocka_unit_test(a_run_in_check_is_hidden_but_counted),
		cmocka_unit_test(a_check_that_fails_removes),
		cmocka_unit_test(a_check_that_was_cancelled_changes_nothing),
		cmocka_unit_test(a_renewal_does_not_end_a_check),
		cmocka_unit_test(a_check_of_a_replaced_run_does_nothing),
		cmocka_unit_test(a_lapsed_run_that_is_alive_gets_a_new_lease),
		cmocka_unit_test(the_period_grows_with_the_population),
		cmocka_unit_test(no_lease_ends_before_one_given_earlier),
		cmocka_unit_test(memory_of_the_removed_is_used_again),
		cmocka_unit_test(hosts_that_left_take_no_memory_either),
		cmocka_unit_test(
			of_two_joiners_the_second_is_told_of_the_first),
		cmocka_unit_test(it_does_what_a_naive_table_does),
		cmocka_unit_test(a_million_entries_stay_fast_and_small),
		cmocka_unit_test(
			without_memory_a_peer_is_refused_and_the_others_stay),
		cmocka_unit_test(a_list_is_never_larger_than_it_can_number),
	};

	return cmocka_run_group_tests_name("registry", tests, NULL, NULL);
}
