/* The handshake Noise_NNpsk0_25519_ChaChaPoly_BLAKE2b of the Noise Protocol
 * Framework, revision 34: two messages, by which both sides prove that they
 * hold one key and agree on fresh secrets. Whoever learns the key later cannot
 * read what was sent before.
 *
 * Bytes in, bytes out: chance comes in as the ephemeral secret of each side,
 * 32 random bytes that are never used again. Pure; one thread at a time.
 */
#ifndef WIRE_NOISE_H
#define WIRE_NOISE_H

#include "base/crypto.h"

/* A message is an ephemeral key and a sealed payload, which may be empty. */
#define NOISE_MESSAGE_BYTES (KEY_BYTES + TAG_BYTES)
#define NOISE_REKEY_RECORDS (UINT64_C(1) << 20)

/* One direction after the handshake: what keeps its records apart. */
struct noise_half {
	uint8_t key[KEY_BYTES];
	uint64_t counter; /* records so far */
};

struct noise {
	uint8_t chain[HASH_FULL_BYTES];
	uint8_t hash[HASH_FULL_BYTES]; /* of all that was said; no secret */
	uint8_t secret[KEY_BYTES], public_key[KEY_BYTES]; /* ephemeral ones */
	uint8_t theirs[KEY_BYTES];
	struct noise_half seal; /* of the payloads */
};

/* Both sides, with the same psk and prologue. */
void noise_begin(struct noise *x, const uint8_t psk[KEY_BYTES],
		 const void *prologue, size_t prologue_n,
		 const uint8_t secret[KEY_BYTES]);
/* The first message, of who dialed; n bytes of payload make
 * NOISE_MESSAGE_BYTES + n of message. Reading costs no Diffie-Hellman, and is
 * false for whoever has not got the key; *payload lies in `message`, which is
 * overwritten. */
void noise_write_first(struct noise *x, const void *payload, size_t n,
		       uint8_t *message);
bool MUST_CHECK noise_read_first(struct noise *x, uint8_t *message,
				 size_t message_n, const uint8_t **payload);
/* The second one, the answer to it. False as well if the other side's
 * ephemeral key is none. */
bool MUST_CHECK noise_write_second(struct noise *x, const void *payload,
				   size_t n, uint8_t *message);
bool MUST_CHECK noise_read_second(struct noise *x, uint8_t *message,
				  size_t message_n, const uint8_t **payload);
/* After both: what who dialed sends, and what who answered does. Wipes all of
 * x but its hash. */
void noise_split(struct noise *x, struct noise_half *dialed,
		 struct noise_half *answered);
void noise_wipe(struct noise *x);

/* A record in place, as aead_seal and aead_open; each moves the half on, also
 * to its next key in time. */
void noise_seal(struct noise_half *h, const void *ad, size_t ad_n,
		uint8_t *bytes, size_t n);
bool MUST_CHECK noise_open(struct noise_half *h, const void *ad, size_t ad_n,
			   uint8_t *bytes, size_t n);

#endif
