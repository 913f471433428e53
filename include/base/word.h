/* Eight bytes of text at a time, as one number; portable, no wider registers.
 *
 * The first byte is the lowest of the number on every machine, so that the
 * lowest bit of a mask names the first byte it is about. Pure, and inline:
 * these are the inner loops of the scan and of writing JSON.
 */
#ifndef BASE_WORD_H
#define BASE_WORD_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define WORD_BYTES 8
#define WORD_ONES UINT64_C(0x0101010101010101)
#define WORD_TOPS (WORD_ONES * 0x80)

static inline uint64_t word_load(const unsigned char *p)
{
	uint64_t w;

	memcpy(&w, p, sizeof w);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	w = __builtin_bswap64(w);
#endif
	return w;
}

/* The top bit of each byte that is not ASCII. */
static inline uint64_t word_beyond_ascii(uint64_t w)
{
	return w & WORD_TOPS;
}

/* The top bit of each byte that JSON wants escaped: a quote, a backslash or a
 * control byte. With seven bits in each byte no sum reaches the next one. A
 * quote (0x22) with bit 1 turned over is 0x20, and nothing else moves across
 * 0x20: one comparison finds it together with the control bytes. */
static inline uint64_t word_to_escape(uint64_t w)
{
	uint64_t low = w & ~WORD_TOPS;
	uint64_t above = (low ^ WORD_ONES * 0x02) + WORD_ONES * (0x80 - 0x21);
	uint64_t other = (low ^ WORD_ONES * '\\') + WORD_ONES * 0x7f;

	return ~((above & other) | w) & WORD_TOPS;
}

/* Not zero unless all bytes are decimal digits: of one the upper half is 3,
 * also when 6 is added to it. */
static inline uint64_t word_not_digits(uint64_t w)
{
	const uint64_t upper = WORD_ONES * 0xf0, threes = WORD_ONES * 0x30;

	return ((w & upper) ^ threes) |
	       (((w + WORD_ONES * 6) & upper) ^ threes);
}

/* Which byte the lowest bit of a mask is in; the mask is not zero. */
static inline size_t word_first(uint64_t mask)
{
	return (size_t)__builtin_ctzll(mask) / 8;
}

#endif
