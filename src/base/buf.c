#include "base/buf.h"

#include "base/utf8.h"

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

void buf_u64(struct buf *b, uint64_t v)
{
	char digits[20];
	size_t i = sizeof digits;

	do
		digits[--i] = (char)('0' + v % 10);
	while ((v /= 10) != 0);
	buf_add(b, digits + i, sizeof digits - i);
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

void buf_json(struct buf *b, const void *bytes, size_t n)
{
	const unsigned char *p = bytes;
	size_t plain = 0;

	buf_char(b, '"');
	if (n == 0)
		p = (const unsigned char *)""; /* NULL may not be added to */
	for (size_t i = 0; i < n; i++) {
		char c = short_escape(p[i]);

		if (c == 0 && p[i] >= 0x20)
			continue;
		buf_add(b, p + plain, i - plain);
		plain = i + 1;
		if (c != 0)
			buf_add(b, (char[]){ '\\', c }, 2);
		else
			buf_fmt(b, "\\u%04x", p[i]);
	}
	buf_add(b, p + plain, n - plain);
	buf_char(b, '"');
}

size_t buf_json_size(const void *bytes, size_t n)
{
	const unsigned char *p = bytes;
	size_t size = n + 2;

	for (size_t i = 0; i < n; i++) {
		if (short_escape(p[i]) != 0)
			size += 1;
		else if (p[i] < 0x20)
			size += 5;
	}
	return size;
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
