/* All that we take from libsodium, and the only file that includes it.
 * Call crypto_init once before any thread exists; the rest is thread-safe. */
#ifndef BASE_CRYPTO_H
#define BASE_CRYPTO_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HASH_BYTES 16 /* 128 bits: 2^64 messages before a chance collision */
#define HASH_HEX (2 * HASH_BYTES)

struct hash {
	uint8_t b[HASH_BYTES];
};

enum err MUST_CHECK crypto_init(void);
/* BLAKE2b with a 128-bit result. */
struct hash hash_of(const void *bytes, size_t n);
void crypto_random(void *out, size_t n);
/* SipHash of the bytes: for tables whose keys strangers choose. Without the
 * secret nobody can find keys that meet in one place. */
uint64_t hash_keyed(uint64_t secret, const void *bytes, size_t n);
/* For leases: takes the same time whatever differs. */
bool crypto_equal(const struct hash *a, const struct hash *b);

void hash_format(const struct hash *h, char out[HASH_HEX + 1]);
/* Exactly 32 lower-case hex digits. */
bool hash_parse(const char *text, size_t len, struct hash *out);

/* Base64 with padding (RFC 4648 section 4). */
size_t base64_size(size_t n); /* characters, without a NUL */
void base64_encode(const void *bytes, size_t n, char *out /* size + NUL */);
/* ERR_SYNTAX, or ERR_TOO_LONG when cap does not hold it. */
enum err MUST_CHECK base64_decode(const char *text, size_t len, void *out,
				  size_t cap, size_t *out_len);

#endif
