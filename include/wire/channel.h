/* The seam between frames and sockets: bytes in, bytes out.
 *
 * A channel turns the plain bytes of frames into what travels (seal) and back
 * (open). This plain one passes them through without touching them; an
 * encrypted one is a second implementation of the same three calls and nothing
 * else in the program knows which it has. The sending and the receiving half
 * share no state, so a reader and a writer thread need no common lock; each
 * half has one user at a time. Pure.
 */
#ifndef WIRE_CHANNEL_H
#define WIRE_CHANNEL_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct channel {
	uint8_t kind; /* plain is the only one today */
};

void channel_init_plain(struct channel *c);

/* Sending half. Makes of the n vectors in `in` what must be written to the
 * socket, in order: *out has *out_n vectors that stay valid until the next
 * call. A plain channel hands back `in` itself. */
enum err MUST_CHECK channel_seal(struct channel *c, const struct iovec *in,
				 int n, const struct iovec **out, int *out_n);

/* Receiving half. Of n received bytes, turns the first *used into *plain_n
 * plain bytes at *plain, which may lie inside of `in`. Bytes that do not make
 * a whole record yet are left (*used may be 0). */
enum err MUST_CHECK channel_open(struct channel *c, uint8_t *in, size_t n,
				 size_t *used, uint8_t **plain,
				 size_t *plain_n);

#endif
