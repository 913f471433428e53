/* The seam between frames and sockets: bytes in, bytes out.
 *
 * A channel turns the plain bytes of frames into what travels (seal) and back
 * (open). A plain one passes them through without touching them; a keyed one
 * makes records of them that only the other end can read or make. Nothing else
 * in the program knows which it has, but for the greeting that begins a keyed
 * one. The sending and the receiving half share no state, so a reader and a
 * writer thread need no common lock; each half has one user at a time. Pure.
 *
 * Greeting: who dialed sends 64 bytes, a hello and the first message of the
 * handshake (wire/noise) whose prologue it is; who holds the key that the hello
 * names answers with the 48 of the second, everybody else with nothing. There
 * is nothing to negotiate.
 *
 * Record: four bytes of length, most significant first, that are authenticated
 * with what follows; then the sealed bytes and their tag. One without bytes is
 * the last of its direction: an end that was not said is a cut.
 */
#ifndef WIRE_CHANNEL_H
#define WIRE_CHANNEL_H

#include "base/buf.h"
#include "base/err.h"
#include "base/keyring.h"
#include "wire/noise.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define CHANNEL_HELLO_BYTES 16
#define CHANNEL_FIRST_BYTES (CHANNEL_HELLO_BYTES + NOISE_MESSAGE_BYTES)
#define CHANNEL_SECOND_BYTES NOISE_MESSAGE_BYTES
/* Plain bytes of a record. Longer ones cost less each, and must be there as a
 * whole before the first of their bytes can be used. */
#define CHANNEL_RECORD_MAX 16384

/* Whom the dialer means to talk to: nobody in between can send him to a daemon
 * of the other kind. */
enum channel_role { CHANNEL_TO_PEER = 1, CHANNEL_TO_SEED = 2 };

struct channel {
	uint8_t kind;
	bool ended;        /* receiving half: the last record came */
	struct key_id key; /* of a keyed one, constant */
	uint8_t hash[HASH_FULL_BYTES]; /* of its handshake, constant */
	struct noise_half sending, receiving;
	struct buf sealed;   /* sending half: records on their way out */
	struct iovec vector; /* sending half: all of them */
};

void channel_init_plain(struct channel *c);
/* Wipes and frees; the channel is plain then. */
void channel_free(struct channel *c);
/* The same channel at another place; `from` is a plain one then. */
void channel_move(struct channel *to, struct channel *from);
bool channel_is_keyed(const struct channel *c);

/* --- greeting --------------------------------------------------------- */

/* Who dials: what to send first, and what to make of the answer. secret: 32
 * random bytes that nobody else knows and that are not used again. ERR_SYNTAX:
 * whoever answered has not got the key. Keep x in between; it is wiped. */
void channel_dial(struct noise *x, const struct member_key *k,
		  enum channel_role to, const uint8_t secret[KEY_BYTES],
		  uint8_t out[CHANNEL_FIRST_BYTES]);
enum err MUST_CHECK channel_dialed(struct noise *x, const struct member_key *k,
				   uint8_t in[CHANNEL_SECOND_BYTES],
				   struct channel *c);
/* May this be the begin of a greeting, so that the rest is worth waiting for?
 */
bool channel_is_hello(const uint8_t in[CHANNEL_HELLO_BYTES]);
/* Who was dialed, and is of kind `self`: `in` is what came, and overwritten.
 * ERR_SYNTAX: not a hello; ERR_VERSION; ERR_NOT_FOUND: a key we do not have,
 * *id says which; ERR_RESET: it is ours, but not his; ERR_UNKNOWN: he means a
 * daemon of the other kind. To all of these nothing is to be answered. */
enum err MUST_CHECK channel_answer(const struct keyring *ring,
				   enum channel_role self,
				   const uint8_t secret[KEY_BYTES],
				   uint8_t in[CHANNEL_FIRST_BYTES],
				   uint8_t out[CHANNEL_SECOND_BYTES],
				   struct channel *c, struct key_id *id);

/* --- records ---------------------------------------------------------- */

/* Sending half. Makes of the n vectors in `in` what must be written to the
 * socket, in order: *out has *out_n vectors that stay valid until the next
 * call. A plain channel hands back `in` itself. ERR_NOMEM */
enum err MUST_CHECK channel_seal(struct channel *c, const struct iovec *in,
				 int n, const struct iovec **out, int *out_n);
/* Sending half, once: that nothing follows. A plain channel has nothing to
 * say, the end of the stream says it. */
enum err MUST_CHECK channel_seal_end(struct channel *c,
				     const struct iovec **out, int *out_n);
/* Sending half: all was written, and more may be long in coming. */
void channel_rest(struct channel *c);

/* Receiving half. Of n received bytes, turns the first *used into *plain_n
 * plain bytes at *plain, which may lie inside of `in`. Bytes that do not make
 * a whole record yet are left (*used may be 0). ERR_SYNTAX: forged, or
 * something after the last record; the channel is of no use any more. */
enum err MUST_CHECK channel_open(struct channel *c, uint8_t *in, size_t n,
				 size_t *used, uint8_t **plain,
				 size_t *plain_n);
/* Receiving half, at the end of the stream: did the other side not say so? */
bool channel_is_cut(const struct channel *c);

#endif
