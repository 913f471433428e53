#include "base/utf8.h"

#include "base/word.h"

static inline bool is_tail(unsigned char c)
{
	return (c & 0xc0) == 0x80;
}

static inline size_t sequence(const unsigned char *p, size_t n)
{
	/* Bounds of the second byte are what excludes overlong forms,
	 * surrogates and code points that do not exist. */
	unsigned char lo = 0x80, hi = 0xbf;

	if (n == 0)
		return 0;
	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xe0)
		return p[0] >= 0xc2 && n >= 2 && is_tail(p[1]) ? 2 : 0;
	if (p[0] < 0xf0) {
		if (p[0] == 0xe0)
			lo = 0xa0;
		else if (p[0] == 0xed)
			hi = 0x9f;
		return n >= 3 && p[1] >= lo && p[1] <= hi && is_tail(p[2]) ? 3
									   : 0;
	}
	if (p[0] == 0xf0)
		lo = 0x90;
	else if (p[0] == 0xf4)
		hi = 0x8f;
	return p[0] <= 0xf4 && n >= 4 && p[1] >= lo && p[1] <= hi &&
			       is_tail(p[2]) && is_tail(p[3])
		       ? 4
		       : 0;
}

size_t utf8_sequence(const unsigned char *p, size_t n)
{
	return sequence(p, n);
}

size_t utf8_run(const unsigned char *p, size_t n)
{
	size_t i = 0, len;

	while (i < n && p[i] >= 0x80) {
		len = sequence(p + i, n - i);
		if (len == 0)
			break;
		i += len;
	}
	return i;
}

/* Most text is ASCII: many bytes at a time. */
static size_t ascii_bytes(const unsigned char *p, size_t n)
{
	size_t i = 0;

	while (n - i >= 4 * WORD_BYTES &&
	       word_beyond_ascii(word_load(p + i) |
				 word_load(p + i + WORD_BYTES) |
				 word_load(p + i + 2 * WORD_BYTES) |
				 word_load(p + i + 3 * WORD_BYTES)) == 0)
		i += 4 * WORD_BYTES;
	for (; n - i >= WORD_BYTES; i += WORD_BYTES) {
		uint64_t found = word_beyond_ascii(word_load(p + i));

		if (found != 0)
			return i + word_first(found);
	}
	while (i < n && p[i] < 0x80)
		i++;
	return i;
}

bool utf8_valid(const void *bytes, size_t n)
{
	const unsigned char *p = bytes;
	size_t i = 0;

	while (i < n) {
		size_t len = p[i] < 0x80 ? ascii_bytes(p + i, n - i)
					 : utf8_run(p + i, n - i);

		if (len == 0)
			return false;
		i += len;
	}
	return true;
}
