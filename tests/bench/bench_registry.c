/* The registry of a seed at a million entries.
 *
 * usage: bench_registry [ENTRIES [loopback]]
 *
 * Each entry is of a host of its own, which is what costs most; with
 * `loopback`, where hosts are not counted, all are of one. Prints one line of
 * JSON: bytes an entry, as malloc counts them and as the process grew; how long
 * a sample of 32 takes; how long until 1 % of all have expired, been checked
 * and removed; and the slowest single call of all.
 */
#include "core/registry.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SAMPLE 32
#define SAMPLES 100000
#define LAPSED_AT_A_TIME 64 /* as the seed asks for them */

static double slowest_us;

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static double since(double begin_us)
{
	double us = now_us() - begin_us;

	if (us > slowest_us)
		slowest_us = us;
	return us;
}

static double resident(void)
{
	long size = 0, pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (!f || fscanf(f, "%ld %ld", &size, &pages) != 2)
		exit(1);
	fclose(f);
	return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static double allocated(void)
{
	struct mallinfo2 m = mallinfo2();

	return (double)(m.uordblks + m.hblkhd);
}

static struct identity run(size_t i, bool loopback)
{
	struct identity id = { .incarnation = 1764000000000 + i };

	id.addr.family = ADDR_V4;
	id.addr.port = 6000;
	id.addr.ip[0] = loopback ? 127 : 11;
	id.addr.ip[1] = (uint8_t)(i >> 16);
	id.addr.ip[2] = (uint8_t)(i >> 8);
	id.addr.ip[3] = (uint8_t)i;
	return id;
}

static void must(enum err e)
{
	if (e == ERR_OK)
		return;
	fprintf(stderr, "bench_registry: %s\n", err_text(e));
	exit(1);
}

static double fill(struct registry *r, size_t n, bool loopback)
{
	struct hash lease = { { 1 } };
	double begin_us = now_us();

	for (size_t i = 0; i < n; i++) {
		struct identity id = run(i, loopback);
		double call_us = now_us();

		must(registry_put(r, &id, &lease, 0));
		since(call_us);
	}
	return (now_us() - begin_us) / (double)n;
}

/* One after the other, a hundred in a millisecond. */
static double renew(struct registry *r, size_t n, bool loopback)
{
	double begin_us = now_us();

	for (size_t i = 0; i < n; i++) {
		struct identity id = run(i, loopback);
		double call_us = now_us();

		must(registry_renew(r, &id, (int64_t)(i / 100)));
		since(call_us);
	}
	return (now_us() - begin_us) / (double)n;
}

static double sample(struct registry *r)
{
	struct addr out[SAMPLE];
	double begin_us = now_us();

	for (int i = 0; i < SAMPLES; i++) {
		double call_us = now_us();

		if (registry_sample(r, NULL, 0, SAMPLE, out) != SAMPLE)
			exit(1);
		since(call_us);
	}
	return (now_us() - begin_us) / SAMPLES;
}

/* All that lapsed by then is checked, found dead and removed. */
static double expire(struct registry *r, size_t n)
{
	/* Each renewal gave this long; the first hundredth began first. */
	int64_t lease_ms = 3 * registry_period_ms(r);
	int64_t now_ms = lease_ms + (int64_t)(n / 100 / 100) - 1;
	size_t got, before = registry_count(r);
	struct identity id[LAPSED_AT_A_TIME];
	double begin_us = now_us(), took_us, call_us = begin_us;

	while ((got = registry_lapsed(r, now_ms, LAPSED_AT_A_TIME, id)) > 0) {
		since(call_us);
		for (size_t i = 0; i < got; i++) {
			must(registry_verify_begin(r, &id[i], now_ms));
			if (!registry_verify_end(r, &id[i], false, now_ms))
				exit(1);
		}
		call_us = now_us();
	}
	took_us = now_us() - begin_us;
	if (before - registry_count(r) != n / 100)
		fprintf(stderr, "bench_registry: %zu expired, not %zu\n",
			before - registry_count(r), n / 100);
	return took_us / 1e3;
}

int main(int argc, char **argv)
{
	size_t n = argc > 1 ? (size_t)atol(argv[1]) : 1000000;
	bool loopback = argc > 2 && strcmp(argv[2], "loopback") == 0;
	struct registry_config c = { .peers_max = n,
				     .per_host_max = 256,
				     .period_ms = 60000,
				     .lease_periods = 3,
				     .seeds = 1,
				     .rng_seed = 1 };
	double was_resident = resident(), was_allocated = allocated();
	struct registry *r = registry_new(&c);
	double put_us, renew_us, sample_us, expire_ms, grown, bytes;

	if (!r)
		return 1;
	put_us = fill(r, n, loopback);
	grown = resident() - was_resident;
	bytes = allocated() - was_allocated;
	renew_us = renew(r, n, loopback);
	sample_us = sample(r);
	expire_ms = expire(r, n);
	printf("{\"entries\":%zu,\"bytes_each\":%.1f,\"resident_each\":%.1f,"
	       "\"put_us\":%.2f,\"renew_us\":%.2f,\"sample_us\":%.2f,"
	       "\"expire_ms\":%.1f,\"slowest_ms\":%.2f}\n",
	       n, bytes / (double)n, grown / (double)n, put_us, renew_us,
	       sample_us, expire_ms, slowest_us / 1e3);
	registry_free(r);
	return 0;
}
