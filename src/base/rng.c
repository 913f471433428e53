#include "base/rng.h"

void rng_init(struct rng *r, uint64_t seed)
{
	r->state = seed;
}

/* SplitMix64 (Steele, Lea, Flood 2014): one word of state, passes BigCrush,
 * any seed is a good seed. */
uint64_t rng_u64(struct rng *r)
{
	uint64_t z = (r->state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

uint64_t rng_below(struct rng *r, uint64_t n)
{
	/* Reject the low end that would make some results likelier. */
	uint64_t skew = (0 - n) % n, draw;

	do
		draw = rng_u64(r);
	while (draw < skew);
	return draw % n;
}

int64_t rng_between(struct rng *r, int64_t lo, int64_t hi)
{
	return lo + (int64_t)rng_below(r, (uint64_t)(hi - lo) + 1);
}

int64_t rng_jitter(struct rng *r, int64_t value, int spread_percent)
{
	int64_t spread = value * spread_percent / 100;

	return spread > 0 ? value + rng_between(r, -spread, spread) : value;
}
