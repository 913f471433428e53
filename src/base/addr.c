#include "base/addr.h"

#include <arpa/inet.h>
#include <string.h>

/* Digits without leading zeros, 0 .. max; returns how many bytes were used. */
static size_t parse_number(const char *p, size_t len, unsigned max,
			   unsigned *out)
{
	size_t i = 0;
	unsigned v = 0;

	while (i < len && p[i] >= '0' && p[i] <= '9') {
		v = v * 10 + (unsigned)(p[i] - '0');
		if (v > max)
			return 0;
		i++;
		if (v == 0)
			break;
	}
	*out = v;
	return i;
}

static bool parse_port(const char *p, size_t len, uint16_t *out)
{
	unsigned v = 0;
	size_t used = parse_number(p, len, 65535, &v);

	if (used == 0 || used != len || v == 0)
		return false;
	*out = (uint16_t)v;
	return true;
}

static bool parse_v4(const char *p, size_t len, struct addr *a)
{
	for (int i = 0; i < 4; i++) {
		unsigned v = 0;
		size_t used = parse_number(p, len, 255, &v);
		char after = i < 3 ? '.' : ':';

		if (used == 0 || used >= len || p[used] != after)
			return false;
		a->ip[i] = (uint8_t)v;
		p += used + 1;
		len -= used + 1;
	}
	a->family = ADDR_V4;
	return parse_port(p, len, &a->port);
}

static bool is_v4_mapped(const struct addr *a)
{
	static const uint8_t prefix[12] = { [10] = 0xff, [11] = 0xff };

	return memcmp(a->ip, prefix, sizeof prefix) == 0;
}

static bool parse_v6(const char *p, size_t len, struct addr *a)
{
	char host[INET6_ADDRSTRLEN], canonical[INET6_ADDRSTRLEN];
	const char *end = memchr(p, ']', len);
	size_t n;

	if (end == NULL)
		return false;
	n = (size_t)(end - p) - 1;
	if (n == 0 || n >= sizeof host || len - n < 4 || end[1] != ':')
		return false;
	memcpy(host, p + 1, n);
	host[n] = '\0';
	if (inet_pton(AF_INET6, host, a->ip) != 1 || is_v4_mapped(a))
		return false;
	if (inet_ntop(AF_INET6, a->ip, canonical, sizeof canonical) == NULL ||
	    strlen(canonical) != n || memcmp(host, canonical, n) != 0)
		return false;
	a->family = ADDR_V6;
	return parse_port(end + 2, len - n - 3, &a->port);
}

bool addr_parse(const char *text, size_t len, struct addr *out)
{
	struct addr a = { 0 };
	bool ok;

	if (len == 0 || len >= ADDR_TEXT_MAX)
		return false;
	ok = text[0] == '[' ? parse_v6(text, len, &a) : parse_v4(text, len, &a);
	if (ok)
		*out = a;
	return ok;
}

/* 0 .. 65535 in decimal; returns its length. snprintf takes ten times as long,
 * and each Message names its origin. */
static size_t put_number(char *out, unsigned v)
{
	char digits[5];
	size_t n = 0, i = sizeof digits;

	do
		digits[--i] = (char)('0' + v % 10);
	while ((v /= 10) != 0);
	while (i < sizeof digits)
		out[n++] = digits[i++];
	return n;
}

static size_t put_host(const struct addr *a, char *out)
{
	size_t n = 0;

	if (a->family == ADDR_NONE) {
		out[n++] = '-';
	} else if (a->family == ADDR_V6) {
		if (inet_ntop(AF_INET6, a->ip, out, INET6_ADDRSTRLEN) != NULL)
			n = strlen(out);
	} else {
		for (int i = 0; i < 4; i++) {
			if (i > 0)
				out[n++] = '.';
			n += put_number(out + n, a->ip[i]);
		}
	}
	return n;
}

size_t addr_format_host(const struct addr *a, char out[ADDR_TEXT_MAX])
{
	size_t n = put_host(a, out);

	out[n] = '\0';
	return n;
}

size_t addr_format(const struct addr *a, char out[ADDR_TEXT_MAX])
{
	size_t n = 0;

	if (a->family == ADDR_V6)
		out[n++] = '[';
	n += put_host(a, out + n);
	if (a->family == ADDR_V6)
		out[n++] = ']';
	if (a->family != ADDR_NONE) {
		out[n++] = ':';
		n += put_number(out + n, a->port);
	}
	out[n] = '\0';
	return n;
}

bool addr_equal(const struct addr *a, const struct addr *b)
{
	return memcmp(a, b, sizeof *a) == 0;
}

bool addr_same_host(const struct addr *a, const struct addr *b)
{
	return a->family == b->family &&
	       memcmp(a->ip, b->ip, sizeof a->ip) == 0;
}

int addr_compare(const struct addr *a, const struct addr *b)
{
	int d = (int)a->family - (int)b->family;

	if (d == 0)
		d = memcmp(a->ip, b->ip, sizeof a->ip);
	if (d == 0)
		d = (int)a->port - (int)b->port;
	return d;
}

bool addr_is_none(const struct addr *a)
{
	return a->family == ADDR_NONE;
}

struct addr addr_source(const struct addr *a)
{
	struct addr source = *a;

	source.port = 0;
	if (a->family == ADDR_V6)
		memset(source.ip + 8, 0, 8);
	return source;
}

bool addr_is_loopback(const struct addr *a)
{
	static const uint8_t one[16] = { [15] = 1 };

	if (a->family == ADDR_V4)
		return a->ip[0] == 127;
	return a->family == ADDR_V6 && memcmp(a->ip, one, sizeof one) == 0;
}

bool addr_is_wildcard(const struct addr *a)
{
	static const uint8_t any[16];

	return a->family != ADDR_NONE && memcmp(a->ip, any, sizeof any) == 0;
}

bool identity_equal(const struct identity *a, const struct identity *b)
{
	return a->incarnation == b->incarnation &&
	       addr_equal(&a->addr, &b->addr);
}

int identity_compare(const struct identity *a, const struct identity *b)
{
	int d = addr_compare(&a->addr, &b->addr);

	if (d != 0)
		return d;
	return (a->incarnation > b->incarnation) -
	       (a->incarnation < b->incarnation);
}

enum err hostport_split(const char *text, bool allow_zero, char host[HOST_MAX],
			uint16_t *port)
{
	const char *colon = strrchr(text, ':'), *first = text;
	size_t n, used, digits;
	unsigned v = 0;

	if (colon == NULL)
		return ERR_SYNTAX;
	n = (size_t)(colon - text);
	if (text[0] == '[') {
		if (n < 3 || colon[-1] != ']')
			return ERR_SYNTAX;
		first = text + 1;
		n -= 2;
	} else if (memchr(text, ':', n) != NULL) {
		return ERR_SYNTAX; /* IPv6 wants its brackets */
	}
	if (n == 0 || n >= HOST_MAX || memchr(first, ' ', n) != NULL)
		return ERR_SYNTAX;
	digits = strlen(colon + 1);
	if (digits == 0 || strspn(colon + 1, "0123456789") != digits)
		return ERR_SYNTAX;
	used = parse_number(colon + 1, digits, 65535, &v);
	if (used != digits || (v == 0 && !allow_zero))
		return ERR_RANGE;
	memcpy(host, first, n);
	host[n] = '\0';
	*port = (uint16_t)v;
	return ERR_OK;
}
