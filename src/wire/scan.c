#include "wire/scan.h"

#include "base/utf8.h"

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* cJSON copies a number into 64 bytes and stumbles over the rest; the longest
 * number of ours has 16 digits. */
#define NUMBER_BYTES_MAX 63

struct scan {
	const unsigned char *p, *end;
	unsigned depth, values;
	bool escapes; /* in the last string */
	const char *why;
};

/* Our own keys are shorter: such are compared as they are. */
#define KEY_SHORT 32

/* The inside of a key's quotes. Of a long one also a hash of what it says, so
 * that not each is compared with each. */
struct key {
	const unsigned char *at, *end;
	size_t n;
	bool plain, is_long;
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

#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

/* Of eight bytes, the top bit of each that is a quote, a backslash, a control
 * byte or not ASCII. With 7f added only zero stays below 80, with 60 only what
 * is below 20, and no sum of ASCII carries into the next byte: the lowest bit
 * is exact. */
static uint64_t special_of_eight(const unsigned char *p)
{
	uint64_t w, plain;

	memcpy(&w, p, sizeof w);
	w = le64toh(w);
	plain = ((w ^ EACH('"')) + EACH(0x7f)) &
		((w ^ EACH('\\')) + EACH(0x7f)) & (w + EACH(0x60)) & ~w;
	return ~plain & EACH(0x80);
}

static void skip_plain(struct scan *s)
{
	const unsigned char *p = s->p;

	for (; s->end - p >= 8; p += 8) {
		uint64_t hits = special_of_eight(p);

		if (hits != 0) {
			p += __builtin_ctzll(hits) / 8;
			break;
		}
	}
	s->p = p;
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
	s->escapes = false;
	if (!take(s, '"'))
		return refuse(s, "string expected");
	for (;;) {
		size_t len;

		skip_plain(s);
		if (s->p == s->end)
			return refuse(s, "string without end");
		if (take(s, '"'))
			return true;
		if (take(s, '\\')) {
			s->escapes = true;
			if (!scan_escape(s))
				return false;
			continue;
		}
		if (*s->p < 0x20)
			return refuse(s, "control byte in a string");
		len = utf8_sequence(s->p, (size_t)(s->end - s->p));
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

static bool says_the_same(const struct key *a, const struct key *b)
{
	const unsigned char *p = a->at, *q = b->at;

	while (p < a->end && q < b->end)
		if (next_point(&p) != next_point(&q))
			return false;
	return p == a->end && q == b->end;
}

static bool key_equal(const struct key *a, const struct key *b)
{
	if (a->plain && b->plain && a->n != b->n)
		return false;
	if (a->is_long && b->is_long && a->hash != b->hash)
		return false;
	if (a->plain && b->plain)
		return memcmp(a->at, b->at, a->n) == 0;
	return says_the_same(a, b);
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
	k->n = (size_t)(k->end - k->at);
	k->plain = !s->escapes;
	k->is_long = k->n > KEY_SHORT;
	if (k->is_long)
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

/* --- one string -------------------------------------------------------- */

bool scan_text(const uint8_t *bytes, size_t n, struct scan_text *out)
{
	struct scan s = { .p = bytes, .end = bytes + n };

	if (!scan_string(&s))
		return false;
	*out = (struct scan_text){ bytes + 1, (size_t)(s.p - bytes) - 2,
				   !s.escapes };
	return true;
}

static size_t write_point(uint32_t point, uint8_t *out)
{
	unsigned tails = point < 0x80      ? 0
			 : point < 0x800   ? 1
			 : point < 0x10000 ? 2
					   : 3;
	static const uint8_t lead[] = { 0, 0xc0, 0xe0, 0xf0 };

	out[0] = (uint8_t)(lead[tails] | point >> 6 * tails);
	for (unsigned i = 1; i <= tails; i++)
		out[i] = (uint8_t)(0x80 | (point >> 6 * (tails - i) & 0x3f));
	return 1 + tails;
}

size_t scan_unescape(const struct scan_text *t, uint8_t *out)
{
	const unsigned char *p = t->at, *end = t->at + t->n;
	uint8_t *to = out;

	while (p < end) {
		const unsigned char *slash = memchr(p, '\\', (size_t)(end - p));
		size_t n = (size_t)((slash != NULL ? slash : end) - p);

		memcpy(to, p, n);
		to += n;
		p += n;
		if (slash != NULL)
			to += write_point(next_point(&p), to);
	}
	return (size_t)(to - out);
}
