/* Addresses and identities.
 *
 * An address is numeric and canonical: one text for one address, so that
 * comparing texts and comparing structs mean the same thing on every machine.
 * Host names exist only in [seeds] and on the command line; see hostport_split.
 * All functions are pure and may be called from any thread.
 */
#ifndef BASE_ADDR_H
#define BASE_ADDR_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum addr_family { ADDR_NONE = 0, ADDR_V4 = 4, ADDR_V6 = 6 };

/* 20 bytes without padding: may be compared and hashed as memory. An IPv4
 * address fills the first 4 bytes of ip, the rest is zero. All zero: none. */
struct addr {
	uint8_t ip[16];
	uint16_t port;  /* host byte order */
	uint8_t family; /* enum addr_family */
	uint8_t zero;
};

/* One run of a peer: where it is dialed, and when it started. */
struct identity {
	uint64_t incarnation; /* start time, ms since 1970; 0: any run */
	struct addr addr;
};
/* An identity has padding at its end: hash and compare this many bytes. */
#define IDENTITY_BYTES (sizeof(uint64_t) + sizeof(struct addr))

#define ADDR_TEXT_MAX                                                    \
	56           /* "[8 x 4 hex digits + 7 colons]:65535" + NUL = 48 \
		      */
#define HOST_MAX 256 /* a DNS name has at most 253 characters */

/* Canonical "1.2.3.4:80" or "[2001:db8::1]:80" of len bytes. Refuses names,
 * leading zeros, zone ids, port 0, and every second spelling of an address
 * (IPv4-mapped IPv6 among them). */
bool addr_parse(const char *text, size_t len, struct addr *out);
/* Writes the canonical text with its NUL, returns its length. */
size_t addr_format(const struct addr *a, char out[ADDR_TEXT_MAX]);
/* The host part alone, without brackets. */
size_t addr_format_host(const struct addr *a, char out[ADDR_TEXT_MAX]);

bool addr_equal(const struct addr *a, const struct addr *b);
bool addr_same_host(const struct addr *a, const struct addr *b);
int addr_compare(const struct addr *a, const struct addr *b);
/* Who is behind an address, as far as limits go: the IPv4 address, or the /64
 * of an IPv6 address, which one host has to itself as a rule. */
struct addr addr_source(const struct addr *a);
bool addr_is_none(const struct addr *a);
bool addr_is_loopback(const struct addr *a);
bool addr_is_wildcard(const struct addr *a);

bool identity_equal(const struct identity *a, const struct identity *b);
/* By address, then by incarnation: the "smaller" of rule R3. */
int identity_compare(const struct identity *a, const struct identity *b);

/* Splits "host:port", "[v6]:port" as a person writes it; the host may be a
 * name, the port may be 0 when allow_zero. ERR_SYNTAX or ERR_RANGE (port). */
enum err MUST_CHECK hostport_split(const char *text, bool allow_zero,
				   char host[HOST_MAX], uint16_t *port);

#endif
