/* The names are those of the Noise specification, section 5, where it gives
 * one: MixHash, MixKey, MixKeyAndHash, Split, REKEY. */
#include "wire/noise.h"

#include <string.h>

#define BLOCK_BYTES 128 /* of BLAKE2b, for HMAC */

static const char name[] = "Noise_NNpsk0_25519_ChaChaPoly_BLAKE2b";

/* --- HMAC (RFC 2104) and HKDF (RFC 5869, as Noise uses it) ------------- */

static void hmac(const uint8_t key[HASH_FULL_BYTES], const void *bytes,
		 size_t n, uint8_t out[HASH_FULL_BYTES])
{
	uint8_t pad[BLOCK_BYTES], inner[HASH_FULL_BYTES];

	memset(pad, 0x36, sizeof pad);
	for (unsigned i = 0; i < HASH_FULL_BYTES; i++)
		pad[i] ^= key[i];
	hash_full(pad, sizeof pad, bytes, n, inner);
	for (unsigned i = 0; i < sizeof pad; i++)
		pad[i] ^= 0x36 ^ 0x5c;
	hash_full(pad, sizeof pad, inner, sizeof inner, out);
	crypto_wipe(pad, sizeof pad);
	crypto_wipe(inner, sizeof inner);
}

/* Chains the key with new bytes; `count` results, 2 or 3, each a HASH. */
static void hkdf(const uint8_t chain[HASH_FULL_BYTES], const void *bytes,
		 size_t n, unsigned count, uint8_t out[][HASH_FULL_BYTES])
{
	uint8_t temp[HASH_FULL_BYTES], input[HASH_FULL_BYTES + 1];

	hmac(chain, bytes, n, temp);
	for (unsigned i = 0; i < count; i++) {
		size_t before = i > 0 ? HASH_FULL_BYTES : 0;

		if (i > 0)
			memcpy(input, out[i - 1], HASH_FULL_BYTES);
		input[before] = (uint8_t)(i + 1);
		hmac(temp, input, before + 1, out[i]);
	}
	crypto_wipe(temp, sizeof temp);
	crypto_wipe(input, sizeof input);
}

/* --- the state -------------------------------------------------------- */

static void mix_hash(struct noise *x, const void *bytes, size_t n)
{
	hash_full(x->hash, sizeof x->hash, bytes, n, x->hash);
}

static void set_key(struct noise_half *h, const uint8_t key[HASH_FULL_BYTES])
{
	memcpy(h->key, key, KEY_BYTES);
	h->counter = 0;
}

static void mix_key(struct noise *x, const uint8_t bytes[KEY_BYTES])
{
	uint8_t out[2][HASH_FULL_BYTES];

	hkdf(x->chain, bytes, KEY_BYTES, 2, out);
	memcpy(x->chain, out[0], sizeof x->chain);
	set_key(&x->seal, out[1]);
	crypto_wipe(out, sizeof out);
}

static void mix_key_and_hash(struct noise *x, const uint8_t psk[KEY_BYTES])
{
	uint8_t out[3][HASH_FULL_BYTES];

	hkdf(x->chain, psk, KEY_BYTES, 3, out);
	memcpy(x->chain, out[0], sizeof x->chain);
	mix_hash(x, out[1], sizeof out[1]);
	set_key(&x->seal, out[2]);
	crypto_wipe(out, sizeof out);
}

/* Token e, of either side. */
static void mix_ephemeral(struct noise *x, const uint8_t key[KEY_BYTES])
{
	mix_hash(x, key, KEY_BYTES);
	mix_key(x, key);
}

/* Token ee. */
static bool mix_shared(struct noise *x)
{
	uint8_t shared[KEY_BYTES];
	bool good = dh_shared(x->secret, x->theirs, shared);

	if (good)
		mix_key(x, shared);
	crypto_wipe(shared, sizeof shared);
	return good;
}

static void seal_and_hash(struct noise *x, const void *payload, size_t n,
			  uint8_t *out)
{
	if (n > 0)
		memcpy(out, payload, n);
	noise_seal(&x->seal, x->hash, sizeof x->hash, out, n);
	mix_hash(x, out, n + TAG_BYTES);
}

/* n: with the tag. */
static bool open_and_hash(struct noise *x, uint8_t *bytes, size_t n)
{
	uint8_t before[HASH_FULL_BYTES];

	/* What is opened in place is gone: its hash comes first. */
	memcpy(before, x->hash, sizeof before);
	mix_hash(x, bytes, n);
	return noise_open(&x->seal, before, sizeof before, bytes, n);
}

/* --- the two messages -------------------------------------------------- */

void noise_begin(struct noise *x, const uint8_t psk[KEY_BYTES],
		 const void *prologue, size_t prologue_n,
		 const uint8_t secret[KEY_BYTES])
{
	_Static_assert(sizeof name - 1 <= HASH_FULL_BYTES,
		       "a longer name would be hashed");
	memset(x, 0, sizeof *x);
	memcpy(x->hash, name, sizeof name - 1);
	memcpy(x->chain, x->hash, sizeof x->chain);
	memcpy(x->secret, secret, KEY_BYTES);
	mix_hash(x, prologue, prologue_n);
	mix_key_and_hash(x, psk); /* token psk, before all others */
}

void noise_write_first(struct noise *x, const void *payload, size_t n,
		       uint8_t *message)
{
	dh_public(x->secret, x->public_key);
	memcpy(message, x->public_key, KEY_BYTES);
	mix_ephemeral(x, x->public_key);
	seal_and_hash(x, payload, n, message + KEY_BYTES);
}

bool noise_read_first(struct noise *x, uint8_t *message, size_t message_n,
		      const uint8_t **payload)
{
	if (message_n < NOISE_MESSAGE_BYTES)
		return false;
	memcpy(x->theirs, message, KEY_BYTES);
	mix_ephemeral(x, x->theirs);
	*payload = message + KEY_BYTES;
	return open_and_hash(x, message + KEY_BYTES, message_n - KEY_BYTES);
}

bool noise_write_second(struct noise *x, const void *payload, size_t n,
			uint8_t *message)
{
	dh_public(x->secret, x->public_key);
	memcpy(message, x->public_key, KEY_BYTES);
	mix_ephemeral(x, x->public_key);
	if (!mix_shared(x))
		return false;
	seal_and_hash(x, payload, n, message + KEY_BYTES);
	return true;
}

bool noise_read_second(struct noise *x, uint8_t *message, size_t message_n,
		       const uint8_t **payload)
{
	if (message_n < NOISE_MESSAGE_BYTES)
		return false;
	memcpy(x->theirs, message, KEY_BYTES);
	mix_ephemeral(x, x->theirs);
	*payload = message + KEY_BYTES;
	return mix_shared(x) &&
	       open_and_hash(x, message + KEY_BYTES, message_n - KEY_BYTES);
}

void noise_split(struct noise *x, struct noise_half *dialed,
		 struct noise_half *answered)
{
	uint8_t out[2][HASH_FULL_BYTES], hash[HASH_FULL_BYTES];

	hkdf(x->chain, NULL, 0, 2, out);
	set_key(dialed, out[0]);
	set_key(answered, out[1]);
	crypto_wipe(out, sizeof out);
	memcpy(hash, x->hash, sizeof hash);
	noise_wipe(x);
	memcpy(x->hash, hash, sizeof hash);
}

void noise_wipe(struct noise *x)
{
	crypto_wipe(x, sizeof *x);
}

/* --- records ---------------------------------------------------------- */

/* Who gets hold of a key cannot read what was sealed with the one before. */
static void move_on(struct noise_half *h)
{
	uint8_t next[KEY_BYTES + TAG_BYTES] = { 0 };

	if (++h->counter % NOISE_REKEY_RECORDS != 0)
		return;
	aead_seal(h->key, UINT64_MAX, NULL, 0, next, KEY_BYTES);
	memcpy(h->key, next, KEY_BYTES);
	crypto_wipe(next, sizeof next);
}

void noise_seal(struct noise_half *h, const void *ad, size_t ad_n,
		uint8_t *bytes, size_t n)
{
	aead_seal(h->key, h->counter, ad, ad_n, bytes, n);
	move_on(h);
}

bool noise_open(struct noise_half *h, const void *ad, size_t ad_n,
		uint8_t *bytes, size_t n)
{
	if (!aead_open(h->key, h->counter, ad, ad_n, bytes, n))
		return false;
	move_on(h);
	return true;
}
