#include "base/buf.h"

#include "base/utf8.h"
#include "base/word.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buf_free(struct buf *b)
{
	free(b->data);
	*b = (struct buf){ 0 };
}

void buf_reset(struct buf *b)
{
	b->len = 0;
	b->failed = false;
}

bool buf_reserve(struct buf *b, size_t n)
{
	size_t cap = b->cap ? b->cap : 128;
	char *data;

	if (b->failed)
		return false;
	if (n <= b->cap - b->len)
		return true;
	while (cap - b->len < n)
		cap *= 2;
	data = realloc(b->data, cap);
	if (data == NULL) {
		b->failed = true;
		return false;
	}
	b->data = data;
	b->cap = cap;
	return true;
}

void buf_add(struct buf *b, const void *bytes, size_t n)
{
	if (n == 0 || !buf_reserve(b, n))
		return;
	memcpy(b->data + b->len, bytes, n);
	b->len += n;
}

void buf_str(struct buf *b, const char *text)
{
	buf_add(b, text, strlen(text));
}

void buf_char(struct buf *b, char c)
{
	buf_add(b, &c, 1);
}

size_t decimal_write(char out[DECIMAL_MAX], uint64_t v)
{
	char digits[DECIMAL_MAX];
	size_t i = sizeof digits, n;

	do
		digits[--i] = (char)('0' + v % 10);
	while ((v /= 10) != 0);
	n = sizeof digits - i;
	memcpy(out, digits + i, n);
	return n;
}

void buf_u64(struct buf *b, uint64_t v)
{
	if (buf_reserve(b, DECIMAL_MAX))
		b->len += decimal_write(b->data + b->len, v);
}

void buf_fmt(struct buf *b, const char *fmt, ...)
{
	va_list args;
	int n;

	if (!buf_reserve(b, 128))
		return;
	va_start(args, fmt);
	n = vsnprintf(b->data + b->len, b->cap - b->len, fmt, args);
	va_end(args);
	if (n >= 0 && (size_t)n >= b->cap - b->len) {
		if (!buf_reserve(b, (size_t)n + 1))
			return;
		va_start(args, fmt);
		n = vsnprintf(b->data + b->len, b->cap - b->len, fmt, args);
		va_end(args);
	}
	if (n > 0)
		b->len += (size_t)n;
}

void buf_drop(struct buf *b, size_t n)
{
	b->len -= n;
	if (b->len > 0)
		memmove(b->data, b->data + n, b->len);
}

const char *buf_text(struct buf *b)
{
	if (!buf_reserve(b, 1))
		return NULL;
	b->data[b->len] = '\0';
	return b->data;
}

/* The letter of a two-character JSON escape, or 0. */
static char short_escape(unsigned char c)
{
	switch (c) {
	case '"':
	case '\\':
		return (char)c;
	case '\b':
		return 'b';
	case '\f':
		return 'f';
	case '\n':
		return 'n';
	case '\r':
		return 'r';
	case '\t':
		return 't';
	default:
		return 0;
	}
}

static char *put_escape(char *at, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";
	char letter = short_escape(c);

	*at++ = '\\';
	if (letter != 0) {
		*at++ = letter;
		return at;
	}
	memcpy(at, "u00", 3);
	at[3] = hex[c >> 4];
	at[4] = hex[c & 15];
	return at + 5;
}

static bool is_to_escape(unsigned char c)
{
	return c < 0x20 || c == '"' || c == '\\';
}

#define BLOCK_BYTES (4 * WORD_BYTES)

static inline bool is_plain_block(const unsigned char *p)
{
	return (word_to_escape(word_load(p)) |
		word_to_escape(word_load(p + WORD_BYTES)) |
		word_to_escape(word_load(p + 2 * WORD_BYTES)) |
		word_to_escape(word_load(p + 3 * WORD_BYTES))) == 0;
}

size_t json_write(char *out, const void *bytes, size_t n)
{
	const unsigned char *p = bytes;
	char *at = out;
	size_t i = 0;

	*at++ = '"';
	for (; n - i >= BLOCK_BYTES && is_plain_block(p + i);
	     i += BLOCK_BYTES) {
		memcpy(at, p + i, BLOCK_BYTES);
		at += BLOCK_BYTES;
	}
	/* A whole word has room whatever comes of it: the last quote stands
	 * behind. */
	while (n - i >= WORD_BYTES) {
		uint64_t found = word_to_escape(word_load(p + i));
		size_t plain = found != 0 ? word_first(found) : WORD_BYTES;

		memcpy(at, p + i, WORD_BYTES);
		at += plain;
		i += plain;
		if (found != 0)
			at = put_escape(at, p[i++]);
	}
	for (; i < n; i++) {
		if (is_to_escape(p[i]))
			at = put_escape(at, p[i]);
		else
			*at++ = (char)p[i];
	}
	*at++ = '"';
	return (size_t)(at - out);
}

static size_t escape_size(unsigned char c)
{
	return short_escape(c) != 0 ? 2 : 6;
}

size_t json_size(const void *bytes, size_t n)
{
	const unsigned char *p = bytes;
	size_t size = n + 2, i = 0;

	while (n - i >= BLOCK_BYTES && is_plain_block(p + i))
		i += BLOCK_BYTES;
	for (; n - i >= WORD_BYTES; i += WORD_BYTES) {
		uint64_t found = word_to_escape(word_load(p + i));

		for (; found != 0; found &= found - 1)
			size += escape_size(p[i + word_first(found)]) - 1;
	}
	for (; i < n; i++)
		if (is_to_escape(p[i]))
			size += escape_size(p[i]) - 1;
	return size;
}

void buf_json(struct buf *b, const void *bytes, size_t n)
{
	if (buf_reserve(b, json_size(bytes, n)))
		b->len += json_write(b->data + b->len, bytes, n);
}

/* Line and paragraph separators, and what turns the direction of text: with
 * those a line can look like two, or like another one. */
static bool misleads(const unsigned char *p, size_t len)
{
	unsigned point;

	if (len != 3 || p[0] != 0xe2)
		return false;
	point = 0x2000u | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu);
	return (point >= 0x2028 && point <= 0x202e) ||
	       (point >= 0x2066 && point <= 0x2069);
}

void buf_visible(struct buf *b, const void *bytes, size_t n)
{
	const unsigned char *p = bytes;

	for (size_t i = 0; i < n;) {
		size_t len = utf8_sequence(p + i, n - i);
		bool c1 = len == 2 && p[i] == 0xc2 && p[i + 1] < 0xa0;

		if (len > 0 && p[i] >= 0x20 && p[i] != 0x7f && !c1 &&
		    !misleads(p + i, len)) {
			buf_add(b, p + i, len);
			i += len;
		} else if (short_escape(p[i]) != 0) {
			buf_add(b, (char[]){ '\\', short_escape(p[i]) }, 2);
			i++;
		} else {
			buf_fmt(b, "\\x%02x", p[i]);
			i++;
		}
	}
}
