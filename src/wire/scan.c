#include "wire/scan.h"

#include "base/utf8.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* cJSON copies a number into 64 bytes and stumbles over the rest; the longest
 * number of ours has 16 digits. */
#define NUMBER_BYTES_MAX 63

struct scan {
	const unsigned char *p, *end;
	unsigned depth, values;
	const char *why;
};

/* The inside of a key's quotes. The hash is over the unescaped text, so that
 * only keys which are (nearly always) equal are ever compared. */
struct key {
	const unsigned char *at, *end;
	uint64_t hash;
};

static bool scan_value(struct scan *s);

static bool refuse(struct scan *s, const char *why)
{
	s->why = why;
	return false;
}

static void skip_space(struct scan *s)
{
	while (s->p < s->end && (*s->p == ' ' || *s->p == '\n' ||
				 *s->p == '\t' || *s->p == '\r'))
		s->p++;
}

static bool take(struct scan *s, unsigned char c)
{
	if (s->p == s->end || *s->p != c)
		return false;
	s->p++;
	return true;
}

/* Is one of eight bytes a quote, a backslash, a control byte or not ASCII?
 * (x - 1 for every byte) & ~x has its top bit set where x was 0; the same with
 * 32 in place of 1 finds bytes below 32. Borrows run only upwards from a hit,
 * so "none at all" is exact. */
static bool is_plain(const unsigned char *p)
{
	const uint64_t ones = 0x0101010101010101u;
	uint64_t w, quote, slash;

	memcpy(&w, p, sizeof w);
	quote = w ^ ones * '"';
	slash = w ^ ones * '\\';
	return ((w | ((w - ones * 32) & ~w) | ((quote - ones) & ~quote) |
		 ((slash - ones) & ~slash)) &
		ones * 0x80) == 0;
}

static int hex_value(unsigned char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Four hex digits at p, or -1. */
static int32_t hex4(const unsigned char *p)
{
	int32_t v = 0;

	for (int i = 0; i < 4; i++) {
		int digit = hex_value(p[i]);

		if (digit < 0)
			return -1;
		v = v * 16 + digit;
	}
	return v;
}

static bool is_high_surrogate(int32_t unit)
{
	return unit >= 0xd800 && unit <= 0xdbff;
}

static bool is_low_surrogate(int32_t unit)
{
	return unit >= 0xdc00 && unit <= 0xdfff;
}

/* Behind "\u". */
static bool scan_unicode_escape(struct scan *s)
{
	int32_t unit = s->end - s->p < 4 ? -1 : hex4(s->p);

	if (unit < 0)
		return refuse(s, "bad \\u escape");
	if (unit == 0)
		return refuse(s, "\\u0000 in a string");
	s->p += 4;
	if (is_low_surrogate(unit))
		return refuse(s, "lone surrogate");
	if (!is_high_surrogate(unit))
		return true;
	if (s->end - s->p < 6 || s->p[0] != '\\' || s->p[1] != 'u' ||
	    !is_low_surrogate(hex4(s->p + 2)))
		return refuse(s, "lone surrogate");
	s->p += 6;
	return true;
}

/* Behind the backslash. */
static bool scan_escape(struct scan *s)
{
	if (take(s, 'u'))
		return scan_unicode_escape(s);
	if (s->p == s->end || *s->p == '\0' ||
	    strchr("\"\\/bfnrt", *s->p) == NULL)
		return refuse(s, "bad escape");
	s->p++;
	return true;
}

static bool scan_string(struct scan *s)
{
	if (!take(s, '"'))
		return refuse(s, "string expected");
	for (;;) {
		size_t left = (size_t)(s->end - s->p), len;

		while (left >= 8 && is_plain(s->p)) {
			s->p += 8;
			left -= 8;
		}
		if (left == 0)
			return refuse(s, "string without end");
		if (take(s, '"'))
			return true;
		if (take(s, '\\')) {
			if (!scan_escape(s))
				return false;
			continue;
		}
		if (*s->p < 0x20)
			return refuse(s, "control byte in a string");
		len = utf8_sequence(s->p, left);
		if (len == 0)
			return refuse(s, "not UTF-8");
		s->p += len;
	}
}

/* One or more digits. */
static bool take_digits(struct scan *s)
{
	const unsigned char *first = s->p;

	while (s->p < s->end && *s->p >= '0' && *s->p <= '9')
		s->p++;
	return s->p > first;
}

static bool scan_number(struct scan *s)
{
	const unsigned char *first = s->p;

	take(s, '-');
	/* A digit behind a leading zero is left to be "expected , or }". */
	if (!take(s, '0') && !take_digits(s))
		return refuse(s,
			      first == s->p ? "value expected" : "bad number");
	if (take(s, '.') && !take_digits(s))
		return refuse(s, "bad number");
	if (take(s, 'e') || take(s, 'E')) {
		if (!take(s, '+'))
			take(s, '-');
		if (!take_digits(s))
			return refuse(s, "bad number");
	}
	if (s->p - first > NUMBER_BYTES_MAX)
		return refuse(s, "number too long");
	return true;
}

static bool scan_word(struct scan *s, const char *word)
{
	size_t n = strlen(word);

	if ((size_t)(s->end - s->p) < n || memcmp(s->p, word, n) != 0)
		return refuse(s, "value expected");
	s->p += n;
	return true;
}

/* Of \b \f \n \r \t; the other short escapes stand for themselves. */
static uint32_t short_escape(unsigned char c)
{
	switch (c) {
	case 'b':
		return '\b';
	case 'f':
		return '\f';
	case 'n':
		return '\n';
	case 'r':
		return '\r';
	case 't':
		return '\t';
	default:
		return c;
	}
}

static uint32_t next_escaped(const unsigned char **p)
{
	unsigned char c = *(*p)++;
	int32_t unit, low;

	if (c != 'u')
		return short_escape(c);
	unit = hex4(*p);
	*p += 4;
	if (!is_high_surrogate(unit))
		return (uint32_t)unit;
	low = hex4(*p + 2);
	*p += 6;
	return 0x10000u + (uint32_t)((unit - 0xd800) * 1024 + low - 0xdc00);
}

/* The next code point of a string that scan_string has accepted. */
static uint32_t next_point(const unsigned char **p)
{
	unsigned char c = *(*p)++;
	uint32_t point;
	int tails;

	if (c == '\\')
		return next_escaped(p);
	if (c < 0x80)
		return c;
	tails = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
	point = c & (0x3fu >> tails);
	while (tails-- > 0)
		point = point << 6 | (*(*p)++ & 0x3fu);
	return point;
}

static uint64_t key_hash(const struct key *k)
{
	uint64_t h = 0xcbf29ce484222325u; /* FNV-1a, by code points */

	for (const unsigned char *p = k->at; p < k->end;)
		h = (h ^ next_point(&p)) * 0x100000001b3u;
	return h;
}

static bool key_equal(const struct key *a, const struct key *b)
{
	const unsigned char *p = a->at, *q = b->at;

	if (a->hash != b->hash)
		return false;
	while (p < a->end && q < b->end)
		if (next_point(&p) != next_point(&q))
			return false;
	return p == a->end && q == b->end;
}

/* A key that is not among the n before it, and its colon. */
static bool scan_key(struct scan *s, struct key *keys, size_t n)
{
	struct key *k = &keys[n];

	if (n == SCAN_KEYS_MAX)
		return refuse(s, "too many keys in one object");
	k->at = s->p + 1;
	if (!scan_string(s))
		return false;
	k->end = s->p - 1;
	k->hash = key_hash(k);
	for (size_t i = 0; i < n; i++)
		if (key_equal(&keys[i], k))
			return refuse(s, "a key twice in one object");
	skip_space(s);
	return take(s, ':') || refuse(s, "colon expected");
}

/* The bracket that is the current byte. */
static bool enter(struct scan *s)
{
	if (++s->depth > SCAN_DEPTH_MAX)
		return refuse(s, "nested too deeply");
	s->p++;
	skip_space(s);
	return true;
}

static bool scan_members(struct scan *s)
{
	struct key keys[SCAN_KEYS_MAX];
	size_t n = 0;

	if (!enter(s))
		return false;
	if (!take(s, '}')) {
		do {
			skip_space(s);
			if (!scan_key(s, keys, n++) || !scan_value(s))
				return false;
		} while (take(s, ','));
		if (!take(s, '}'))
			return refuse(s, "comma or } expected");
	}
	s->depth--;
	return true;
}

static bool scan_elements(struct scan *s)
{
	if (!enter(s))
		return false;
	if (!take(s, ']')) {
		do {
			if (!scan_value(s))
				return false;
		} while (take(s, ','));
		if (!take(s, ']'))
			return refuse(s, "comma or ] expected");
	}
	s->depth--;
	return true;
}

static bool scan_bare_value(struct scan *s)
{
	switch (s->p < s->end ? *s->p : '\0') {
	case '{':
		return scan_members(s);
	case '[':
		return scan_elements(s);
	case '"':
		return scan_string(s);
	case 't':
		return scan_word(s, "true");
	case 'f':
		return scan_word(s, "false");
	case 'n':
		return scan_word(s, "null");
	default:
		return scan_number(s);
	}
}

/* With the white space around it. Recursion ends at SCAN_DEPTH_MAX. */
static bool scan_value(struct scan *s)
{
	if (++s->values > SCAN_VALUES_MAX)
		return refuse(s, "too many values");
	skip_space(s);
	if (!scan_bare_value(s))
		return false;
	skip_space(s);
	return true;
}

enum err scan_object(const void *bytes, size_t n, const char **why)
{
	struct scan s = { .p = bytes };
	bool ok;

	s.end = n > 0 ? s.p + n : s.p;
	skip_space(&s);
	if (s.p == s.end || *s.p != '{')
		ok = refuse(&s, "not an object");
	else
		ok = scan_value(&s);
	if (ok && s.p != s.end)
		ok = refuse(&s, "bytes after the object");
	if (!ok && why != NULL)
		*why = s.why;
	return ok ? ERR_OK : ERR_SYNTAX;
}
