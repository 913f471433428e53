/* Received bytes on their way to whole frames.
 *
 * Owns the bytes read from one socket and not yet taken as frames. Memory
 * grows with what really arrived, not with what a header promises. Used by
 * one reading thread at a time.
 */
#ifndef IO_INBOX_H
#define IO_INBOX_H

#include "base/buf.h"
#include "wire/channel.h"
#include "wire/frame.h"

#include <stdint.h>

#define INBOX_READ_BYTES 131072 /* most taken from the kernel at a time */
#define INBOX_IDLE_BYTES 4096   /* what a quiet connection keeps */
#define INBOX_BREACH_MAX 48     /* "protocol version 255 instead of 1" */

struct inbox {
	struct channel *channel;
	struct buf raw;
	size_t start;      /* raw from here to `opened`: plain, to be framed */
	size_t opened;     /* raw from here on: as received, not yet opened */
	size_t room;       /* how much the next read should have space for */
	unsigned calm;     /* small reads in a row */
	uint32_t body_max; /* grows once the other side introduced itself */
	char breach[INBOX_BREACH_MAX]; /* see inbox_breach */
};

void inbox_init(struct inbox *in, struct channel *c, uint32_t body_max);
void inbox_free(struct inbox *in);
/* One recv of what is there, waiting up to the deadline for the first byte.
 * Errors of sock_recv, ERR_NOMEM; ERR_SYNTAX: not what the other side sealed.
 * ERR_CLOSED is an end that it meant. *got: how many bytes came. */
enum err MUST_CHECK inbox_fill(struct inbox *in, int fd, int64_t deadline_ms,
			       size_t *got);
/* The next whole frame, one reference for the caller. ERR_NOT_FOUND: more
 * bytes are needed. ERR_VERSION, ERR_SYNTAX, ERR_RANGE: a breach; ERR_NOMEM */
enum err MUST_CHECK inbox_next(struct inbox *in, struct frame_head *head,
			       struct frame **f);
/* What is wrong with the header that inbox_next refused with e; valid until
 * the next call. */
const char *inbox_breach(struct inbox *in, enum err e);
/* Is part of a frame waiting for its rest? */
bool inbox_partial(const struct inbox *in);

#endif
