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

/* Forgets a secret; the compiler cannot leave it out. */
void crypto_wipe(void *secret, size_t n);

/* --- what a channel is made of (wire/noise) ---------------------------- */

#define KEY_BYTES 32
#define TAG_BYTES 16       /* what sealing adds */
#define HASH_FULL_BYTES 64 /* BLAKE2b's longest */

/* BLAKE2b-512 of a then b. */
void hash_full(const void *a, size_t a_n, const void *b, size_t b_n,
	       uint8_t out[HASH_FULL_BYTES]);
/* Keyed BLAKE2b; out_n from 16 to 64. */
void hash_with_key(const uint8_t key[KEY_BYTES], const void *bytes, size_t n,
		   uint8_t *out, size_t out_n);

/* Any 32 random bytes are an X25519 secret. */
void dh_public(const uint8_t secret[KEY_BYTES], uint8_t out[KEY_BYTES]);
/* False: the other side's is one of the few points that give away all. */
bool MUST_CHECK dh_shared(const uint8_t secret[KEY_BYTES],
			  const uint8_t their_public[KEY_BYTES],
			  uint8_t out[KEY_BYTES]);

/* ChaCha20-Poly1305 (RFC 8439) in place, its nonce 32 zero bits and the counter
 * in little endian. A counter is used once with a key. Sealing makes of n bytes
 * n + TAG_BYTES. */
void aead_seal(const uint8_t key[KEY_BYTES], uint64_t counter, const void *ad,
	       size_t ad_n, uint8_t *bytes, size_t n);
/* Of n bytes, the tag included, it makes n - TAG_BYTES; false, and they are
 * worth nothing, if a bit of them or of ad is not what was sealed. */
bool MUST_CHECK aead_open(const uint8_t key[KEY_BYTES], uint64_t counter,
			  const void *ad, size_t ad_n, uint8_t *bytes,
			  size_t n);

/* Base64 with padding (RFC 4648 section 4). */
size_t base64_size(size_t n); /* characters, without a NUL */
void base64_encode(const void *bytes, size_t n, char *out /* size + NUL */);
/* ERR_SYNTAX, or ERR_TOO_LONG when cap does not hold it. */
enum err MUST_CHECK base64_decode(const char *text, size_t len, void *out,
				  size_t cap, size_t *out_len);

#endif
