/* Chance as a value: the same seed gives the same draws, on every machine.
 * Not for secrets (see base/crypto.h). One owner at a time, no lock inside. */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include <stdint.h>

struct rng {
	uint64_t state;
};

void rng_init(struct rng *r, uint64_t seed);
uint64_t rng_u64(struct rng *r);
/* Uniform in 0 .. n-1; n must not be 0. */
uint64_t rng_below(struct rng *r, uint64_t n);
/* Uniform in lo .. hi, both included. */
int64_t rng_between(struct rng *r, int64_t lo, int64_t hi);
/* value -50 % .. +50 % when spread_percent is 50. */
int64_t rng_jitter(struct rng *r, int64_t value, int spread_percent);

#endif
