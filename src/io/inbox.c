#include "io/inbox.h"

#include "io/sock.h"

#include <stdio.h>
#include <string.h>

/* So many small reads in a row, and a large buffer is given back. */
#define CALM_READS 16

void inbox_init(struct inbox *in, struct channel *c, uint32_t body_max)
{
	*in = (struct inbox){ .channel = c,
			      .room = INBOX_IDLE_BYTES,
			      .body_max = body_max };
}

void inbox_free(struct inbox *in)
{
	buf_free(&in->raw);
	in->start = in->opened = 0;
}

/* Moves what is left to the front of the buffer. */
static void compact(struct inbox *in)
{
	if (in->start == 0)
		return;
	buf_drop(&in->raw, in->start);
	in->opened -= in->start;
	in->start = 0;
}

/* Gives memory back: after a large frame at once, after a busy time when it
 * has been over for some reads. Looked at before each wait, so that no quiet
 * connection sits on megabytes. */
static void shrink(struct inbox *in)
{
	size_t left = in->raw.len - in->start;
	bool calm = in->calm >= CALM_READS;

	if (calm) {
		in->room = INBOX_IDLE_BYTES;
		in->calm = 0;
	}
	if (left == 0 && (in->raw.cap > INBOX_READ_BYTES ||
			  (calm && in->raw.cap > INBOX_IDLE_BYTES)))
		inbox_free(in);
}

/* Space for one read. */
static bool make_room(struct inbox *in)
{
	shrink(in);
	if (in->start == in->raw.len)
		in->start = in->opened = in->raw.len = 0;
	if (in->raw.cap - in->raw.len >= in->room)
		return true;
	compact(in);
	/* Half of it will do: else the rest of one frame would double the
	 * buffer of a busy connection. */
	if (in->raw.cap - in->raw.len >= in->room / 2)
		return true;
	in->raw.failed = false;
	return buf_reserve(&in->raw, in->room);
}

/* Reads that fill the buffer ask for a larger one. */
static void learn(struct inbox *in, size_t asked, size_t got)
{
	/* Somebody unknown may send a lot, and is not let in for it. */
	bool known = in->body_max > FRAME_BODY_STRANGER_MAX;

	if (got == asked && known)
		in->room *= 4;
	if (in->room > INBOX_READ_BYTES)
		in->room = INBOX_READ_BYTES;
	in->calm = got < INBOX_IDLE_BYTES ? in->calm + 1 : 0;
}

/* Opens the whole records that arrived, in place. */
static enum err open_records(struct inbox *in)
{
	for (;;) {
		uint8_t *at = (uint8_t *)in->raw.data + in->opened, *plain;
		size_t n = in->raw.len - in->opened, used = 0, plain_n = 0;
		enum err e;

		if (n == 0)
			return ERR_OK;
		e = channel_open(in->channel, at, n, &used, &plain, &plain_n);
		if (e != ERR_OK || used == 0)
			return e;
		if (plain != at)
			memmove(at, plain, plain_n);
		if (plain_n != used)
			memmove(at + plain_n, at + used, n - used);
		in->opened += plain_n;
		in->raw.len -= used - plain_n;
	}
}

enum err inbox_fill(struct inbox *in, int fd, int64_t deadline_ms, size_t *got)
{
	size_t space, n = 0;
	enum err e;

	if (!make_room(in))
		return ERR_NOMEM;
	space = in->raw.cap - in->raw.len;
	if (space > INBOX_READ_BYTES)
		space = INBOX_READ_BYTES;
	e = sock_recv(fd, in->raw.data + in->raw.len, space, &n, deadline_ms);
	if (e == ERR_CLOSED && channel_is_cut(in->channel))
		e = ERR_RESET; /* somebody else may have ended it */
	if (e != ERR_OK)
		return e;
	in->raw.len += n;
	learn(in, space, n);
	e = open_records(in);
	if (e == ERR_OK)
		*got = n;
	return e;
}

enum err inbox_next(struct inbox *in, struct frame_head *head, struct frame **f)
{
	const uint8_t *at = (const uint8_t *)in->raw.data;
	size_t n = in->opened - in->start;
	struct frame_head h;
	struct frame *made;
	enum err e;

	if (n < FRAME_HEAD_BYTES)
		return ERR_NOT_FOUND;
	at += in->start;
	e = frame_head_read(at, in->body_max, &h);
	if (e != ERR_OK)
		return e;
	if (n - FRAME_HEAD_BYTES < h.body_bytes)
		return ERR_NOT_FOUND;
	made = frame_new(h.body_bytes);
	if (made == NULL)
		return ERR_NOMEM;
	memcpy(made->body, at + FRAME_HEAD_BYTES, h.body_bytes);
	in->start += FRAME_HEAD_BYTES + h.body_bytes;
	*head = h;
	*f = made;
	return ERR_OK;
}

const char *inbox_breach(struct inbox *in, enum err e)
{
	switch (e) {
	case ERR_VERSION:
		snprintf(in->breach, sizeof in->breach,
			 "protocol version %u instead of %u",
			 (unsigned)(uint8_t)in->raw.data[in->start],
			 (unsigned)FRAME_VERSION);
		return in->breach;
	case ERR_RANGE:
		return "frame length out of range";
	default:
		return "malformed frame header";
	}
}

bool inbox_partial(const struct inbox *in)
{
	return in->raw.len > in->start;
}
