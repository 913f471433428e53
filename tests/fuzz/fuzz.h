/* What every fuzz target needs: its entry points, and an input taken apart.
 *
 * A target is one file, tests/fuzz/fuzz_NAME.c. It checks with cmocka's
 * asserts; outside of a test of cmocka's a failed one ends the process, and
 * that is a finding. No target touches a clock, a file, a socket or chance:
 * the same input always does the same.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include "test.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Bytes that decide; when none are left, all is 0 and `in->n`, too. */
struct tape {
	const uint8_t *p;
	size_t n;
};

/* 0 .. below - 1, below at most 256 */
static inline unsigned take(struct tape *in, unsigned below)
{
	if (in->n == 0)
		return 0;
	in->n--;
	return *in->p++ % below;
}

/* Up to max bytes of them, in place; *n says how many. */
static inline const uint8_t *take_bytes(struct tape *in, size_t max, size_t *n)
{
	const uint8_t *at = in->p;

	*n = in->n < max ? in->n : max;
	in->p += *n;
	in->n -= *n;
	return at;
}

#endif
