/* The C side of differential.py: makes many texts at a time, and says of each
 * what the pre-scan, cJSON and the codec make of it. Built as a library.
 *
 * Not thread-safe. What cJSON read is written in the format of Python's
 * marshal, version 2 with all numbers as floats: so the values can be compared
 * as bytes.
 */
#include "base/buf.h"
#include "base/rng.h"
#include "differ.h"
#include "wire/codec.h"
#include "wire/scan.h"

#include <cjson/cJSON.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 8192

static struct rng rng;
static char **samples;
static size_t *sizes, sample_n;

/* --- mutation ------------------------------------------------------------ */

/* Pieces of JSON, and of what is nearly JSON. */
static const char *const words[] = {
	"{",
	"}",
	"[",
	"]",
	",",
	":",
	"\"",
	"\\",
	"{}",
	"[]",
	"null",
	"true",
	"false",
	"nul",
	"0",
	"-0",
	"01",
	"1.",
	".5",
	"1e5",
	"1E+400",
	"-1e-9",
	"1e",
	"9007199254740993",
	"18446744073709551616",
	"0x10",
	"NaN",
	"Infinity",
	"-Infinity",
	"+1",
	"1.7976931348623159e308",
	"4.9e-324",
	"123456789012345678901234567890123456789012345678901234567890123",
	"1234567890123456789012345678901234567890123456789012345678901234",
	"\"\"",
	"\"a\"",
	"\"a\":1",
	"\"type\"",
	"\"\\u0061\":2",
	"\\u0000",
	"\\u00e9",
	"\\ud83d\\ude00",
	"\\ud83d",
	"\\ude00",
	"\\uD83D\\uDE00",
	"\\ud83d\\ud83d",
	"\\u12",
	"\\uXYZW",
	"\\n",
	"\\/",
	"\\x",
	"\\\"",
	"\xc3\xa9",
	"\xc0\x80",
	"\xed\xa0\x80",
	"\xf4\x90\x80\x80",
	"\xf0\x9f\x98\x80",
	"\xe2\x82",
	"\xff",
	"\xef\xbb\xbf",
	"\x7f",
	"\x01",
	"\t",
	"\r\n",
	" ",
	"\x0c",
	"\xc2\xa0",
	"//",
	"/**/",
	"'",
	"[[[[[[[[",
	"]]]]]]]]",
	"{\"a\":{\"a\":{\"a\":",
	"\xe2\x80\xa8",
	"-",
	"e",
	"E",
};

/* Values at and beyond the ends of what the protocol allows. */
static const char *const values[] = {
	"0",
	"1",
	"-0",
	"-1",
	"1.0",
	"1.5",
	"2e3",
	"32",
	"33",
	"1000",
	"1001",
	"1e-1",
	"10E-1",
	"4294967295",
	"4294967296",
	"4503599627370496",
	"4503599627370497",
	"9007199254740991",
	"9007199254740992",
	"9.007199254740991e15",
	"1e400",
	"true",
	"false",
	"null",
	"[]",
	"{}",
	"\"\"",
	"\"a\"",
	"[[]]",
	"\"127.0.0.1:1\"",
	"\"0.0.0.0:65535\"",
	"\"127.0.0.1:65536\"",
	"\"127.0.0.1:0\"",
	"\"127.0.0.1:01\"",
	"\"127.0.0.01:1\"",
	"\"127.1:1\"",
	"\"localhost:1\"",
	"\"[::1]:1\"",
	"\"[::]:1\"",
	"\"[0:0::1]:1\"",
	"\"[::ffff:127.0.0.1]:1\"",
	"\"[::1.2.3.4]:1\"",
	"\"[fe80::1%lo]:1\"",
	"\"[2001:db8::A]:1\"",
	"\"[2001:db8::a]:1\"",
	"\"::1:1\"",
	"\"127.0.0.1:\\u0031\"",
	"\"00000000000000000000000000000000\"",
	"\"0000000000000000000000000000000A\"",
	"\"000000000000000000000000000000000\"",
	"\"aGVsbG8=\"",
	"\"aGVsbG9=\"",
	"\"aGVsbG8\"",
	"\"base64\"",
	"\"left\"",
	"\"silent\"",
	"\"busy\"",
	"\"removed\"",
	"\"accepted\"",
	"\"slow\"",
	"[\"127.0.0.1:1\",1]",
	"[\"127.0.0.1:1\",1,2,2]",
	"[\"127.0.0.1:1\",1,2,1]",
	"[\"127.0.0.1:1\",0]",
	"\"Bye\"",
	"\"Message\"",
	"\"Peer List\"",
	"\"getData\"",
	"\"Not Found\"",
};

/* Members that some types have. */
static const char *const extras[] = {
	"\"encoding\":\"base64\"",
	"\"encoding\":\"gzip\"",
	"\"all\":true",
	"\"more\":false",
	"\"graft\":1",
	"\"urgent\":false",
	"\"want\":5",
	"\"period_ms\":5",
	"\"id\":\"00000000000000000000000000000000\"",
	"\"lease\":\"00000000000000000000000000000000\"",
	"\"lease\":null",
	"\"ranges\":[]",
	"\"redirect\":[]",
	"\"reporter\":\"[::1]:1\"",
	"\"you\":\"[::1]:1\"",
	"\"reachable\":false",
	"\"new\":[1]",
};

struct text {
	char *at;
	size_t n;
};

static size_t below(size_t n)
{
	return n == 0 ? 0 : (size_t)rng_below(&rng, n);
}

/* Replaces n bytes at `at` of the text by others, as far as there is room. */
static void splice(struct text *t, size_t at, size_t n, const char *by,
		   size_t by_n)
{
	if (at > t->n)
		return; /* an insertion before it found no room */
	if (n > t->n - at)
		n = t->n - at;
	if (t->n - n + by_n > TEXT_MAX)
		return;
	memmove(t->at + at + by_n, t->at + at + n, t->n - at - n);
	memcpy(t->at + at, by, by_n);
	t->n += by_n - n;
}

/* Where a byte of this kind is, or anywhere. */
static size_t place_of(const struct text *t, const char *kinds)
{
	size_t from = below(t->n + 1);

	for (size_t i = 0; i < t->n; i++) {
		size_t at = (from + i) % t->n;

		if (t->at[at] != '\0' && strchr(kinds, t->at[at]) != NULL)
			return at;
	}
	return from;
}

/* The value or string that begins here, as well as one can see. */
static size_t value_size(const struct text *t, size_t at)
{
	size_t i = at, depth = 0;
	bool quoted = false;

	if (at < t->n && memchr("\"{[", t->at[at], 3) == NULL) { /* bare */
		while (i < t->n && memchr(",:]} \"", t->at[i], 6) == NULL)
			i++;
		return i - at;
	}
	for (; i < t->n; i++) {
		char c = t->at[i];

		if (quoted && c == '\\')
			i++;
		else if (c == '"')
			quoted = !quoted;
		else if (!quoted && (c == '{' || c == '['))
			depth++;
		else if (!quoted && (c == '}' || c == ']'))
			depth -= depth > 0;
		else
			continue;
		if (!quoted && depth == 0)
			break;
	}
	return (i < t->n ? i + 1 : t->n) - at;
}

static void mutate_word(struct text *t)
{
	const char *w = words[below(sizeof words / sizeof words[0])];

	splice(t, below(t->n + 1), below(4) == 0 ? below(4) : 0, w, strlen(w));
}

static void mutate_byte(struct text *t)
{
	char c = (char)below(256);
	size_t at = below(t->n + 1);

	if (below(3) == 0)
		c = (char)(t->n > 0 ? t->at[at % t->n] ^ (1 << below(8)) : c);
	splice(t, at, below(3) > 0, &c, below(4) > 0);
}

/* Another digit, one more, or one less. */
static void mutate_digit(struct text *t)
{
	size_t at = place_of(t, "0123456789");
	char c = (char)('0' + below(10));

	splice(t, at, below(3) > 0, &c, below(3) > 0);
}

/* Another value, or one more member: most of it stays well-formed. */
static void mutate_field(struct text *t)
{
	size_t at = place_of(t, ":[,") + 1;
	const char *v = values[below(sizeof values / sizeof values[0])];

	if (below(4) == 0) {
		v = extras[below(sizeof extras / sizeof extras[0])];
		at = place_of(t, "{,") + 1;
		splice(t, at, 0, ",", 1);
		splice(t, at, 0, v, strlen(v));
	} else if (at < t->n) {
		splice(t, at, value_size(t, at), v, strlen(v));
	}
}

/* A value goes, comes twice, or takes another's place. */
static void mutate_value(struct text *t)
{
	char copy[512];
	size_t at = place_of(t, "\"{["), n = value_size(t, at), to, m;

	if (n > sizeof copy)
		return;
	memcpy(copy, t->at + at, n);
	to = place_of(t, "\"{[,:");
	m = value_size(t, to);
	switch (below(5)) {
	case 0:
		splice(t, at, n, "", 0);
		break;
	case 4: /* a list grows */
		for (size_t k = 1 + below(8); k > 0; k--) {
			splice(t, at, 0, ",", 1);
			splice(t, at, 0, copy, n);
		}
		break;
	case 1:
		splice(t, to, m, copy, n);
		break;
	case 2:
		splice(t, to, 0, copy, n);
		break;
	default:
		splice(t, at, n, "[", 1);
		splice(t, at + 1, 0, copy, n);
		splice(t, at + 1 + n, 0, "]", 1);
	}
}

/* A member again, maybe with its key escaped: a key twice. */
static void mutate_member(struct text *t)
{
	char copy[520];
	size_t at = place_of(t, "{,") + 1, n = 1;

	while (at + n < t->n && t->at[at + n] != ',' && t->at[at + n] != '}')
		n++;
	if (at >= t->n || n > 500)
		return;
	memcpy(copy, t->at + at, n);
	copy[n++] = ',';
	splice(t, at, 0, copy, n);
	if (below(2) == 0 && t->n > at + 2 && t->at[at] == '"') {
		char escaped[8] = "\\u0000";
		static const char digits[] = "0123456789abcdef";
		unsigned char c = (unsigned char)t->at[at + 1];

		escaped[4] = digits[c >> 4];
		escaped[5] = digits[c & 15];
		splice(t, at + 1, 1, escaped, 6);
	}
}

/* Many of something: to the limits of depth, values, keys, digits. */
static void mutate_many(struct text *t)
{
	static const char *const parts[] = { "[",           "1",       "0,",
					     "1,",          "{\"a\":", " ",
					     "\"k%zu\":0,", "]",       "}" };
	const char *part = parts[below(sizeof parts / sizeof parts[0])];
	size_t n = below(4) == 0 ? below(70) : below(12), at = below(t->n + 1);
	char one[32];

	if (below(2) == 0)
		at = place_of(t, "[{");
	if (below(40) == 0 && strchr(part, ',') != NULL)
		n = (part[0] == '"' ? 40 : 4080) + below(30);
	at += at < t->n;
	for (size_t i = 0; i < n; i++) {
		const char *percent = strchr(part, '%');

		if (percent == NULL)
			memcpy(one, part, strlen(part) + 1);
		else
			snprintf(one, sizeof one, "\"k%zu\":0,", i);
		splice(t, at, 0, one, strlen(one));
	}
}

/* A well-formed text of another sample inside of this one. */
static void mutate_cross(struct text *t)
{
	size_t i = below(sample_n), at = place_of(t, ":[,");

	if (sizes[i] < 600 && at < t->n)
		splice(t, at + 1, value_size(t, at + 1 < t->n ? at + 1 : at),
		       samples[i], sizes[i]);
}

static void mutate(struct text *t)
{
	static void (*const how[])(struct text * t) = {
		mutate_word,  mutate_byte,   mutate_digit, mutate_value,
		mutate_value, mutate_member, mutate_many,  mutate_cross,
		mutate_digit, mutate_field,  mutate_field, mutate_field
	};

	for (size_t n = below(2) ? 1 : 1 + below(4); n > 0; n--)
		how[below(sizeof how / sizeof how[0])](t);
}

/* --- what cJSON read, as marshal would write it -------------------------- */

static void put32(struct buf *b, size_t v)
{
	char le[4] = { (char)v, (char)(v >> 8), (char)(v >> 16),
		       (char)(v >> 24) };

	buf_add(b, le, sizeof le);
}

static void put_text(struct buf *b, const char *text)
{
	buf_char(b, 'u');
	put32(b, strlen(text));
	buf_str(b, text);
}

static void put_value(struct buf *b, const cJSON *v)
{
	if (cJSON_IsNumber(v)) {
		buf_char(b, 'g');
		buf_add(b, &v->valuedouble, sizeof v->valuedouble);
	} else if (cJSON_IsString(v)) {
		put_text(b, v->valuestring);
	} else if (cJSON_IsArray(v)) {
		buf_char(b, '[');
		put32(b, (size_t)cJSON_GetArraySize(v));
		for (v = v->child; v != NULL; v = v->next)
			put_value(b, v);
	} else if (cJSON_IsObject(v)) {
		buf_char(b, '{');
		for (v = v->child; v != NULL; v = v->next) {
			put_text(b, v->string);
			put_value(b, v);
		}
		buf_char(b, '0');
	} else {
		buf_char(b, cJSON_IsTrue(v)    ? 'T'
			    : cJSON_IsFalse(v) ? 'F'
					       : 'N');
	}
}

/* --- for Python ---------------------------------------------------------- */

void differ_init(uint64_t seed)
{
	rng_init(&rng, seed);
}

void differ_sample(const char *text, size_t n)
{
	samples = realloc(samples, (sample_n + 1) * sizeof *samples);
	sizes = realloc(sizes, (sample_n + 1) * sizeof *sizes);
	if (samples == NULL || sizes == NULL)
		abort();
	samples[sample_n] = malloc(n + 1);
	if (samples[sample_n] == NULL)
		abort();
	memcpy(samples[sample_n], text, n);
	sizes[sample_n++] = n;
}

static void judge(const char *text, size_t n, struct differ_case *c,
		  struct buf *out)
{
	struct message m = { 0 };
	const char *why = NULL;
	struct frame *f = NULL;
	cJSON *v;

	c->scan = scan_object(text, n, &c->why);
	c->decoded = ERR_SYNTAX;
	c->tree_at = c->frame_at = out->len;
	if (c->scan != ERR_OK)
		return;
	v = cJSON_ParseWithLengthOpts(text, n, NULL, false);
	if (v != NULL)
		put_value(out, v);
	cJSON_Delete(v);
	c->frame_at = out->len;
	c->decoded = codec_decode(text, n, &m, &why);
	if (c->decoded != ERR_OK)
		return;
	c->encoded = codec_encode(&m, &f);
	if (c->encoded == ERR_OK)
		buf_add(out, f->body, f->body_bytes);
	frame_release(f);
	message_clear(&m);
}

/* Long ones cost much and say little. */
static size_t pick(void)
{
	size_t k = below(sample_n);

	return sizes[k] > 1000 && below(16) > 0 ? below(sample_n) : k;
}

size_t differ_batch(size_t n, struct differ_case *cases, const char **bytes)
{
	static struct buf out;
	char room[TEXT_MAX];

	buf_reset(&out);
	for (size_t i = 0; i < n; i++) {
		size_t k = pick();
		struct text t = { room, sizes[k] };
		char *exact;

		memcpy(room, samples[k], sizes[k]);
		mutate(&t);
		cases[i].text_at = out.len;
		buf_add(&out, t.at, t.n);
		/* Its own block, so that a sanitizer sees a step too far. */
		exact = malloc(t.n);
		if (exact == NULL && t.n > 0)
			abort();
		memcpy(exact, t.at, t.n);
		judge(exact, t.n, &cases[i], &out);
		free(exact);
		cases[i].end = out.len;
	}
	if (out.failed)
		abort();
	*bytes = out.data;
	return out.len;
}

void differ_one(const char *text, size_t n, struct differ_case *c,
		const char **bytes)
{
	static struct buf out;

	buf_reset(&out);
	c->text_at = 0;
	buf_add(&out, text, n);
	judge(text, n, c, &out);
	c->end = out.len;
	*bytes = out.data;
}
