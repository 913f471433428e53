/* The keys of a network: whoever holds one is a member.
 *
 * One to three keys as text, one a line, base64 of 32 random bytes; blank
 * lines and lines that begin with # do not count. The first is the one we
 * dial with, all are accepted: so a key can be changed without a moment in
 * which two members have none in common. Pure; wipe what you parsed.
 */
#ifndef BASE_KEYRING_H
#define BASE_KEYRING_H

#include "base/crypto.h"

#define KEYRING_MAX 3         /* the old one, the new one, and a mistake */
#define KEYRING_TEXT_MAX 4096 /* of a key file, comments included */
#define KEY_ID_BYTES 8
#define KEY_ID_TEXT (2 * KEY_ID_BYTES)
#define KEY_TEXT 44 /* characters of a key in base64 */

/* What a key may be called where others can see it. */
struct key_id {
	uint8_t b[KEY_ID_BYTES];
};

struct member_key {
	uint8_t secret[KEY_BYTES];
	struct key_id id;
};

struct keyring {
	struct member_key v[KEYRING_MAX];
	size_t n;
};

/* The id is the begin of BLAKE2b-128 of "id", keyed with the key. */
struct key_id key_id_of(const uint8_t secret[KEY_BYTES]);
bool key_id_equal(const struct key_id *a, const struct key_id *b);
void key_id_format(const struct key_id *id, char out[KEY_ID_TEXT + 1]);

/* ERR_SYNTAX, ERR_RANGE (no key, or too many): *line is where, counted from 1,
 * or 0, and *why says what; the ring is empty then. */
enum err MUST_CHECK keyring_parse(const char *text, size_t n,
				  struct keyring *out, unsigned *line,
				  const char **why);
/* NULL if there is none with that id. */
const struct member_key *keyring_find(const struct keyring *r,
				      const struct key_id *id);
void keyring_wipe(struct keyring *r);
/* A new key as text. Wipe it when it is written. */
void keyring_generate(char out[KEY_TEXT + 1]);

#endif
