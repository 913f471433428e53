#include "base/crypto.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum err crypto_init(void)
{
	return sodium_init() < 0 ? ERR_SYSTEM : ERR_OK;
}

struct hash hash_of(const void *bytes, size_t n)
{
	struct hash h;

	crypto_generichash(h.b, sizeof h.b, bytes, n, NULL, 0);
	return h;
}

uint64_t hash_keyed(uint64_t secret, const void *bytes, size_t n)
{
	uint8_t key[crypto_shorthash_KEYBYTES] = { 0 };
	uint8_t out[crypto_shorthash_BYTES];
	uint64_t v;

	_Static_assert(sizeof out == sizeof v, "all of the result counts");
	memcpy(key, &secret, sizeof secret);
	crypto_shorthash(out, bytes, n, key);
	memcpy(&v, out, sizeof v);
	return v;
}

void crypto_random(void *out, size_t n)
{
	randombytes_buf(out, n);
}

bool crypto_equal(const struct hash *a, const struct hash *b)
{
	return sodium_memcmp(a->b, b->b, HASH_BYTES) == 0;
}

void crypto_wipe(void *secret, size_t n)
{
	sodium_memzero(secret, n);
}

/* --- what a channel is made of ---------------------------------------- */

_Static_assert(KEY_BYTES == crypto_scalarmult_BYTES &&
		       KEY_BYTES == crypto_aead_chacha20poly1305_ietf_KEYBYTES,
	       "keys of one size");
_Static_assert(TAG_BYTES == crypto_aead_chacha20poly1305_ietf_ABYTES,
	       "the tag of that cipher");
_Static_assert(HASH_FULL_BYTES == crypto_generichash_BYTES_MAX,
	       "all that BLAKE2b gives");

void hash_full(const void *a, size_t a_n, const void *b, size_t b_n,
	       uint8_t out[HASH_FULL_BYTES])
{
	crypto_generichash_state s;

	crypto_generichash_init(&s, NULL, 0, HASH_FULL_BYTES);
	crypto_generichash_update(&s, a, a_n);
	crypto_generichash_update(&s, b, b_n);
	crypto_generichash_final(&s, out, HASH_FULL_BYTES);
	sodium_memzero(&s, sizeof s);
}

void hash_with_key(const uint8_t key[KEY_BYTES], const void *bytes, size_t n,
		   uint8_t *out, size_t out_n)
{
	crypto_generichash(out, out_n, bytes, n, key, KEY_BYTES);
}

void dh_public(const uint8_t secret[KEY_BYTES], uint8_t out[KEY_BYTES])
{
	if (crypto_scalarmult_base(out, secret) != 0)
		abort(); /* it has no way to fail */
}

bool dh_shared(const uint8_t secret[KEY_BYTES],
	       const uint8_t their_public[KEY_BYTES], uint8_t out[KEY_BYTES])
{
	return crypto_scalarmult(out, secret, their_public) == 0;
}

static void nonce_of(uint64_t counter,
		     uint8_t out[crypto_aead_chacha20poly1305_ietf_NPUBBYTES])
{
	memset(out, 0, 4);
	for (unsigned i = 0; i < 8; i++)
		out[4 + i] = (uint8_t)(counter >> 8 * i);
}

void aead_seal(const uint8_t key[KEY_BYTES], uint64_t counter, const void *ad,
	       size_t ad_n, uint8_t *bytes, size_t n)
{
	uint8_t nonce[crypto_aead_chacha20poly1305_ietf_NPUBBYTES];

	nonce_of(counter, nonce);
	crypto_aead_chacha20poly1305_ietf_encrypt(bytes, NULL, bytes, n, ad,
						  ad_n, NULL, nonce, key);
}

bool aead_open(const uint8_t key[KEY_BYTES], uint64_t counter, const void *ad,
	       size_t ad_n, uint8_t *bytes, size_t n)
{
	uint8_t nonce[crypto_aead_chacha20poly1305_ietf_NPUBBYTES];

	if (n < TAG_BYTES)
		return false;
	nonce_of(counter, nonce);
	return crypto_aead_chacha20poly1305_ietf_decrypt(
		       bytes, NULL, NULL, bytes, n, ad, ad_n, nonce, key) == 0;
}

void hash_format(const struct hash *h, char out[HASH_HEX + 1])
{
	sodium_bin2hex(out, HASH_HEX + 1, h->b, HASH_BYTES);
}

bool hash_parse(const char *text, size_t len, struct hash *out)
{
	size_t n = 0;
	struct hash h;

	/* libsodium takes capitals too; one spelling is enough. */
	if (len != HASH_HEX)
		return false;
	for (size_t i = 0; i < len; i++)
		if (memchr("0123456789abcdef", text[i], 16) == NULL)
			return false;
	if (sodium_hex2bin(h.b, HASH_BYTES, text, len, NULL, &n, NULL) != 0 ||
	    n != HASH_BYTES)
		return false;
	*out = h;
	return true;
}

size_t base64_size(size_t n)
{
	return sodium_base64_encoded_len(n, sodium_base64_VARIANT_ORIGINAL) - 1;
}

void base64_encode(const void *bytes, size_t n, char *out)
{
	sodium_bin2base64(out, base64_size(n) + 1, bytes, n,
			  sodium_base64_VARIANT_ORIGINAL);
}

/* libsodium 1.0.18 takes some bytes that are not ASCII for digits. */
static bool is_ascii(const char *text, size_t n)
{
	unsigned char all = 0;

	for (size_t i = 0; i < n; i++)
		all |= (unsigned char)text[i];
	return all < 0x80;
}

enum err base64_decode(const char *text, size_t len, void *out, size_t cap,
		       size_t *out_len)
{
	size_t n = 0;
	const char *end = NULL;

	/* libsodium says ERANGE for missing padding too. */
	if (len % 4 != 0 || !is_ascii(text, len))
		return ERR_SYNTAX;
	errno = 0;
	if (sodium_base642bin(out, cap, text, len, NULL, &n, &end,
			      sodium_base64_VARIANT_ORIGINAL) != 0)
		return errno == ERANGE ? ERR_TOO_LONG : ERR_SYNTAX;
	if (end != text + len)
		return ERR_SYNTAX;
	*out_len = n;
	return ERR_OK;
}
