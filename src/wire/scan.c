#include "wire/scan.h"

#include "base/utf8.h"
#include "base/word.h"

#include <string.h>

/* Each scan_... takes the place to look at and returns the place behind what
 * it found there, or NULL when that must be refused. */
struct scan {
	const unsigned char *end;
	unsigned depth, values;
	bool escaped; /* the last string had a backslash */
	struct scan_members *outermost;
	const char *why;
};

typedef const unsigned char *place;

static place scan_value(struct scan *s, place p, struct scan_member *m);

static place refuse(struct scan *s, const char *why)
{
	s->why = why;
	return NULL;
}

static inline bool is_at(const struct scan *s, place p, unsigned char c)
{
	return p < s->end && *p == c;
}

static place skip_some_space(place p, place end)
{
	while (p < end && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r'))
		p++;
	return p;
}

/* There is none as a rule, and it is below all that is no space. */
static inline place skip_space(const struct scan *s, place p)
{
	return p < s->end && *p <= ' ' ? skip_some_space(p, s->end) : p;
}

/* What of eight bytes in a string is not plain ASCII. */
static inline uint64_t not_plain(place p)
{
	uint64_t w = word_load(p);

	return word_to_escape(w) | word_beyond_ascii(w);
}

/* The first word alone: most strings are short. */
static inline place skip_ascii(place p, place end)
{
	while (end - p >= WORD_BYTES) {
		uint64_t found = not_plain(p);

		if (found != 0)
			return p + word_first(found);
		p += WORD_BYTES;
		while (end - p >= 4 * WORD_BYTES &&
		       (not_plain(p) | not_plain(p + WORD_BYTES) |
			not_plain(p + 2 * WORD_BYTES) |
			not_plain(p + 3 * WORD_BYTES)) == 0)
			p += 4 * WORD_BYTES;
	}
	while (p < end && *p >= 0x20 && *p < 0x80 && *p != '"' && *p != '\\')
		p++;
	return p;
}

/* To the first byte that cannot stand in a string as it is: a quote, a
 * backslash, a control byte, no UTF-8; or to the end. */
static inline place skip_plain(place p, place end)
{
	size_t len;

	do {
		p = skip_ascii(p, end);
		len = p < end && *p >= 0x80 ? utf8_run(p, (size_t)(end - p))
					    : 0;
		p += len;
	} while (len > 0);
	return p;
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
static int32_t hex4(place p)
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
static place scan_unicode_escape(struct scan *s, place p)
{
	int32_t unit = s->end - p < 4 ? -1 : hex4(p);

	if (unit < 0)
		return refuse(s, "bad \\u escape");
	if (unit == 0)
		return refuse(s, "\\u0000 in a string");
	p += 4;
	if (is_low_surrogate(unit))
		return refuse(s, "lone surrogate");
	if (!is_high_surrogate(unit))
		return p;
	if (s->end - p < 6 || p[0] != '\\' || p[1] != 'u' ||
	    !is_low_surrogate(hex4(p + 2)))
		return refuse(s, "lone surrogate");
	return p + 6;
}

/* Behind the backslash. */
static place scan_escape(struct scan *s, place p)
{
	s->escaped = true;
	if (is_at(s, p, 'u'))
		return scan_unicode_escape(s, p + 1);
	if (p == s->end || *p == '\0' || strchr("\"\\/bfnrt", *p) == NULL)
		return refuse(s, "bad escape");
	return p + 1;
}

static place scan_string(struct scan *s, place p)
{
	s->escaped = false;
	if (!is_at(s, p, '"'))
		return refuse(s, "string expected");
	for (p++; p != NULL; p = scan_escape(s, p + 1)) {
		p = skip_plain(p, s->end);
		if (p == s->end)
			return refuse(s, "string without end");
		if (*p == '"')
			return p + 1;
		if (*p < 0x20)
			return refuse(s, "control byte in a string");
		if (*p != '\\')
			return refuse(s, "not UTF-8");
	}
	return NULL;
}

bool scan_text(place p, place end, struct scan_text *out)
{
	struct scan s = { .end = end };
	place behind = scan_string(&s, p);

	if (behind == NULL)
		return false;
	*out = (struct scan_text){ p + 1, (size_t)(behind - p) - 2, s.escaped };
	return true;
}

static place skip_digits(place p, place end)
{
	for (; end - p >= WORD_BYTES; p += WORD_BYTES) {
		uint64_t found = word_not_digits(word_load(p));

		if (found != 0)
			return p + word_first(found);
	}
	while (p < end && *p >= '0' && *p <= '9')
		p++;
	return p;
}

/* One or more. */
static inline place scan_digits(struct scan *s, place p)
{
	place end = skip_digits(p, s->end);

	return end > p ? end : refuse(s, "bad number");
}

static place scan_exponent(struct scan *s, place p)
{
	p += is_at(s, p, '+') || is_at(s, p, '-');
	return scan_digits(s, p);
}

static place scan_number(struct scan *s, place p)
{
	place first = p;

	if (is_at(s, p, '-'))
		p++;
	else if (p == s->end || *p < '0' || *p > '9')
		return refuse(s, "value expected");
	/* A digit behind a leading zero is left to be "expected , or }". */
	p = is_at(s, p, '0') ? p + 1 : scan_digits(s, p);
	if (p != NULL && is_at(s, p, '.'))
		p = scan_digits(s, p + 1);
	if (p != NULL && (is_at(s, p, 'e') || is_at(s, p, 'E')))
		p = scan_exponent(s, p + 1);
	if (p != NULL && p - first > SCAN_NUMBER_MAX)
		return refuse(s, "number too long");
	return p;
}

static place scan_word(struct scan *s, place p, const char *word)
{
	size_t n = strlen(word);

	if ((size_t)(s->end - p) < n || memcmp(p, word, n) != 0)
		return refuse(s, "value expected");
	return p + n;
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

/* UTF-8 of a code point; returns its length. */
static size_t put_point(uint32_t point, unsigned char out[4])
{
	if (point < 0x80) {
		out[0] = (unsigned char)point;
		return 1;
	}
	if (point < 0x800) {
		out[0] = (unsigned char)(0xc0 | point >> 6);
		out[1] = (unsigned char)(0x80 | (point & 0x3f));
		return 2;
	}
	if (point < 0x10000) {
		out[0] = (unsigned char)(0xe0 | point >> 12);
		out[1] = (unsigned char)(0x80 | (point >> 6 & 0x3f));
		out[2] = (unsigned char)(0x80 | (point & 0x3f));
		return 3;
	}
	out[0] = (unsigned char)(0xf0 | point >> 18);
	out[1] = (unsigned char)(0x80 | (point >> 12 & 0x3f));
	out[2] = (unsigned char)(0x80 | (point >> 6 & 0x3f));
	out[3] = (unsigned char)(0x80 | (point & 0x3f));
	return 4;
}

/* From the next backslash on; what is before it is taken as it is. */
static size_t plain_bytes(const unsigned char *p, const unsigned char *end)
{
	const unsigned char *slash = memchr(p, '\\', (size_t)(end - p));

	return (size_t)((slash != NULL ? slash : end) - p);
}

size_t scan_text_copy(const struct scan_text *t, void *out, size_t cap)
{
	const unsigned char *p = t->at, *end = t->at + t->n;
	unsigned char point[4];
	size_t n = 0;

	while (p < end) {
		const unsigned char *from = p;
		size_t len = plain_bytes(p, end);

		if (len > 0) {
			p += len;
		} else {
			len = put_point(next_point(&p), point);
			from = point;
		}
		if (n < cap)
			memcpy((char *)out + n, from,
			       len < cap - n ? len : cap - n);
		n += len;
	}
	return n;
}

bool scan_text_is(const struct scan_text *t, const char *word, size_t n)
{
	const unsigned char *p = t->at, *end = t->at + t->n;

	if (!t->escaped)
		return t->n == n && memcmp(t->at, word, n) == 0;
	for (; p < end && n > 0; word++, n--)
		if (next_point(&p) != (unsigned char)*word)
			return false;
	return p == end && n == 0;
}

static uint64_t mix(uint64_t h, uint64_t word)
{
	h = (h ^ word) * UINT64_C(0x9e3779b97f4a7c15);
	return h ^ h >> 29;
}

/* Of fewer bytes than a word has. */
static uint64_t mix_rest(uint64_t h, place p, size_t n)
{
	uint64_t word = 0;

	while (n-- > 0)
		word = word << 8 | p[n];
	return mix(h, word);
}

static uint64_t plain_hash(place p, size_t n)
{
	uint64_t h = 0;

	for (; n >= WORD_BYTES; p += WORD_BYTES, n -= WORD_BYTES)
		h = mix(h, word_load(p));
	return mix_rest(h, p, n);
}

/* The same of a text that must be unescaped for it. */
static uint64_t escaped_hash(place p, size_t n)
{
	unsigned char bytes[WORD_BYTES + 3];
	size_t have = 0;
	place end = p + n;
	uint64_t h = 0;

	while (p < end) {
		have += put_point(next_point(&p), bytes + have);
		if (have >= WORD_BYTES) {
			h = mix(h, word_load(bytes));
			have -= WORD_BYTES;
			memmove(bytes, bytes + WORD_BYTES, have);
		}
	}
	return mix_rest(h, bytes, have);
}

static bool text_equal(const struct scan_text *a, const struct scan_text *b)
{
	const unsigned char *p = a->at, *q = b->at;
	const unsigned char *p_end = p + a->n, *q_end = q + b->n;

	if (!a->escaped && !b->escaped)
		return a->n == b->n && memcmp(p, q, a->n) == 0;
	while (p < p_end && q < q_end)
		if (next_point(&p) != next_point(&q))
			return false;
	return p == p_end && q == q_end;
}

static bool is_among(const struct scan_members *all,
		     const struct scan_member *m)
{
	for (size_t i = 0; i < all->n; i++)
		if (all->v[i].hash == m->hash &&
		    text_equal(&all->v[i].key, &m->key))
			return true;
	return false;
}

/* A key of fewer bytes than a word has, plain: most are. NULL: another one. */
static inline place scan_short_key(const struct scan *s, place p,
				   struct scan_member *m)
{
	uint64_t word, found;
	size_t n;

	if (s->end - p <= WORD_BYTES || *p != '"')
		return NULL;
	word = word_load(++p);
	found = word_to_escape(word) | word_beyond_ascii(word);
	if (found == 0)
		return NULL;
	n = word_first(found);
	if (p[n] != '"')
		return NULL;
	m->key = (struct scan_text){ p, n, false };
	m->hash = mix(0, word & ~(UINT64_MAX << 8 * n));
	return p + n + 1;
}

static place scan_any_key(struct scan *s, place p, struct scan_member *m)
{
	place at = p + 1;

	p = scan_string(s, p);
	if (p == NULL)
		return NULL;
	m->key = (struct scan_text){ at, (size_t)(p - 1 - at), s->escaped };
	m->hash = s->escaped ? escaped_hash(at, m->key.n)
			     : plain_hash(at, m->key.n);
	return p;
}

/* A key that is not among those before it, and its colon. The hash is of the
 * unescaped text, so that only keys which are (nearly always) equal are ever
 * compared; `seen` has a bit set for each, and most often answers alone. */
static inline place scan_key(struct scan *s, place p,
			     const struct scan_members *all,
			     struct scan_member *m, uint64_t *seen)
{
	place behind = scan_short_key(s, p, m);
	uint64_t bit;

	if (behind == NULL)
		behind = scan_any_key(s, p, m);
	if (behind == NULL)
		return NULL;
	bit = UINT64_C(1) << m->hash % 64;
	if ((*seen & bit) != 0 && is_among(all, m))
		return refuse(s, "a key twice in one object");
	*seen |= bit;
	p = skip_space(s, behind);
	return is_at(s, p, ':') ? p + 1 : refuse(s, "colon expected");
}

/* The bracket that is the current byte. */
static place enter(struct scan *s, place p)
{
	if (++s->depth > SCAN_DEPTH_MAX)
		return refuse(s, "nested too deeply");
	return skip_space(s, p + 1);
}

static place scan_braces(struct scan *s, place p)
{
	struct scan_members inner, *all = s->depth == 0 ? s->outermost : &inner;
	uint64_t seen = 0;

	all->n = 0;
	p = enter(s, p);
	if (p == NULL)
		return NULL;
	for (; all->n > 0 || !is_at(s, p, '}'); p++) {
		struct scan_member *m = &all->v[all->n];

		if (all->n == SCAN_KEYS_MAX)
			return refuse(s, "too many keys in one object");
		p = scan_key(s, skip_space(s, p), all, m, &seen);
		if (p != NULL)
			p = scan_value(s, p, m);
		if (p == NULL)
			return NULL;
		all->n++;
		if (!is_at(s, p, ','))
			break;
	}
	if (!is_at(s, p, '}'))
		return refuse(s, "comma or } expected");
	s->depth--;
	return p + 1;
}

static place scan_brackets(struct scan *s, place p)
{
	bool first = true;

	p = enter(s, p);
	if (p == NULL)
		return NULL;
	for (; !first || !is_at(s, p, ']'); p++) {
		p = scan_value(s, p, NULL);
		if (p == NULL)
			return NULL;
		first = false;
		if (!is_at(s, p, ','))
			break;
	}
	if (!is_at(s, p, ']'))
		return refuse(s, "comma or ] expected");
	s->depth--;
	return p + 1;
}

static place scan_bare_value(struct scan *s, place p)
{
	switch (p < s->end ? *p : '\0') {
	case '{':
		return scan_braces(s, p);
	case '[':
		return scan_brackets(s, p);
	case '"':
		return scan_string(s, p);
	case 't':
		return scan_word(s, p, "true");
	case 'f':
		return scan_word(s, p, "false");
	case 'n':
		return scan_word(s, p, "null");
	default:
		return scan_number(s, p);
	}
}

/* With the white space around it, noted in m unless that is NULL. Recursion
 * ends at SCAN_DEPTH_MAX. */
static place scan_value(struct scan *s, place p, struct scan_member *m)
{
	place from;

	if (++s->values > SCAN_VALUES_MAX)
		return refuse(s, "too many values");
	from = skip_space(s, p);
	p = scan_bare_value(s, from);
	if (p == NULL)
		return NULL;
	if (m != NULL) {
		size_t quote = *from == '"';

		m->kind = (char)*from;
		m->value.at = from + quote;
		m->value.n = (size_t)(p - from) - 2 * quote;
		m->value.escaped = quote && s->escaped;
	}
	return skip_space(s, p);
}

enum err scan_members(const void *bytes, size_t n, struct scan_members *out,
		      const char **why)
{
	place p = n > 0 ? bytes : (place) "";
	struct scan s = { .end = p + n, .outermost = out };

	p = skip_space(&s, p);
	p = is_at(&s, p, '{') ? scan_value(&s, p, NULL)
			      : refuse(&s, "not an object");
	if (p != NULL && p != s.end)
		p = refuse(&s, "bytes after the object");
	if (p == NULL && why != NULL)
		*why = s.why;
	return p != NULL ? ERR_OK : ERR_SYNTAX;
}

enum err scan_object(const void *bytes, size_t n, const char **why)
{
	struct scan_members members;

	return scan_members(bytes, n, &members, why);
}
