#include "io/talk.h"

#include "io/clock.h"
#include "io/sock.h"
#include "wire/codec.h"

static void prepare(struct talk *t, int fd, struct waker *w, uint32_t body_max)
{
	t->greeting = NULL;
	t->has_greeted = false;
	t->greeted = (struct greeted){ .why = "" };
	t->fd = fd;
	t->borrowed = false;
	t->waker = w;
	t->why = "";
	t->patience_ms = 0;
	channel_init_plain(&t->channel);
	inbox_init(&t->inbox, &t->channel, body_max);
}

/* A stopped waker looks like a lost connection to the call it interrupts. */
static enum err explain(struct talk *t, enum err e)
{
	if (e != ERR_OK && t->waker != NULL && waker_stopped(t->waker))
		return ERR_STOPPED;
	return e;
}

enum err talk_open(struct talk *t, const struct greeting *g,
		   const struct addr *to, struct waker *w, int64_t deadline_ms)
{
	static const struct addr anywhere;

	return talk_open_from(t, g, &anywhere, to, w, deadline_ms);
}

enum err talk_open_from(struct talk *t, const struct greeting *g,
			const struct addr *from, const struct addr *to,
			struct waker *w, int64_t deadline_ms)
{
	enum err e;

	prepare(t, -1, w, FRAME_BODY_MAX);
	e = sock_open(to, &t->fd);
	if (e != ERR_OK)
		return e;
	if (from->family == to->family)
		e = sock_leave_from(t->fd, from);
	if (e == ERR_OK && w != NULL && waker_watch(w, t->fd) != ERR_OK)
		e = ERR_STOPPED;
	if (e == ERR_OK)
		e = explain(t, sock_connect(t->fd, to, deadline_ms));
	if (e == ERR_OK)
		e = explain(t, greeting_dial(g, t->fd, &t->channel, &t->greeted,
					     deadline_ms));
	t->why = t->greeted.why;
	if (e != ERR_OK)
		talk_close(t);
	return e;
}

void talk_accept(struct talk *t, const struct greeting *g, int fd,
		 struct waker *w, uint32_t body_max)
{
	prepare(t, fd, w, body_max);
	t->greeting = g;
	t->borrowed = true;
}

/* Whoever came has to show that he is a member before anything else, and to be
 * one each time. */
static enum err await_member(struct talk *t, int64_t deadline_ms)
{
	enum err e;

	if (t->greeting == NULL || t->greeting->keys == NULL)
		return ERR_OK;
	if (t->has_greeted) {
		t->why = "its key was removed";
		return keys_have(t->greeting->keys, &t->channel.key) ? ERR_OK
								     : ERR_KEY;
	}
	e = greeting_answer(t->greeting, t->fd, &t->channel, &t->greeted,
			    deadline_ms);
	t->why = t->greeted.why;
	t->has_greeted = e == ERR_OK;
	return explain(t, e);
}

int talk_take_fd(struct talk *t)
{
	if (!t->borrowed && t->waker != NULL)
		waker_unwatch(t->waker);
	t->borrowed = true;
	t->waker = NULL;
	return t->fd;
}

static enum err send_sealed(struct talk *t, const struct buf *bytes,
			    int64_t deadline_ms)
{
	struct iovec in = { .iov_base = bytes->data, .iov_len = bytes->len };
	const struct iovec *out = NULL;
	int n = 0;
	enum err e = channel_seal(&t->channel, &in, 1, &out, &n);

	for (int i = 0; i < n && e == ERR_OK; i++)
		e = sock_send(t->fd, out[i].iov_base, out[i].iov_len,
			      deadline_ms);
	return e;
}

enum err talk_send(struct talk *t, const struct message *m, int64_t deadline_ms)
{
	uint8_t head[FRAME_HEAD_BYTES];
	struct buf bytes = { 0 };
	struct frame *f = NULL;
	enum err e = codec_encode(m, &f);

	if (e != ERR_OK)
		return e;
	frame_head_write(&(struct frame_head){ .body_bytes = f->body_bytes },
			 head);
	/* One piece: head and body in one packet, one record when sealed. */
	buf_add(&bytes, head, sizeof head);
	buf_add(&bytes, f->body, f->body_bytes);
	e = bytes.failed ? ERR_NOMEM : send_sealed(t, &bytes, deadline_ms);
	buf_free(&bytes);
	frame_release(f);
	return explain(t, e);
}

void talk_patience(struct talk *t, int64_t ms)
{
	if (t->patience_ms != ms)
		t->patience_ms = sock_patience(t->fd, ms) ? ms : 0;
}

/* May the kernel end the wait? A moment after what trickles in less is left
 * than its patience, and the wait ends at the deadline itself. */
static bool may_be_patient(const struct talk *t, int64_t deadline_ms)
{
	int64_t left_ms;

	if (t->patience_ms == 0)
		return false;
	left_ms = deadline_ms - clock_ms();
	return left_ms <= t->patience_ms + TALK_SLACK_MS &&
	       left_ms >= t->patience_ms - TALK_SLACK_MS;
}

/* The next frame, waiting for it until the deadline. */
static enum err next_frame(struct talk *t, struct frame_head *head,
			   struct frame **f, int64_t deadline_ms)
{
	bool late = false;
	size_t got;
	enum err e;

	for (;;) {
		e = inbox_next(&t->inbox, head, f);
		if (e == ERR_SYNTAX || e == ERR_RANGE || e == ERR_VERSION)
			t->why = inbox_breach(&t->inbox, e);
		if (e != ERR_NOT_FOUND)
			return e;
		/* Bytes that still trickle in do not stretch the deadline. */
		if (late)
			return ERR_TIMEOUT;
		e = inbox_fill(&t->inbox, t->fd,
			       may_be_patient(t, deadline_ms) ? INT64_MAX
							      : deadline_ms,
			       &got);
		if (e == ERR_SYNTAX)
			t->why = "a forged record";
		if (e != ERR_OK)
			return explain(t, e);
		late = clock_ms() > deadline_ms;
	}
}

enum err talk_recv(struct talk *t, struct message *out, int64_t deadline_ms)
{
	struct frame_head head;
	struct frame *f = NULL;
	enum err e = await_member(t, deadline_ms);

	if (e == ERR_OK)
		e = next_frame(t, &head, &f, deadline_ms);
	if (e != ERR_OK)
		return e;
	e = codec_decode_frame(&head, f, out, &t->why);
	if (e == ERR_OK && out->type == MSG_MESSAGE) {
		out->message.data = NULL; /* it may stand in the frame */
		out->message.data_bytes = 0;
	}
	frame_release(f);
	return e;
}

enum err talk_ask(struct talk *t, const struct message *m,
		  enum message_type want, struct message *out,
		  int64_t deadline_ms)
{
	enum err e = talk_send(t, m, deadline_ms);

	while (e == ERR_OK || e == ERR_UNKNOWN) {
		struct message got;

		e = talk_recv(t, &got, deadline_ms);
		if (e == ERR_OK && got.type == want) {
			*out = got;
			return ERR_OK;
		}
		if (e == ERR_OK)
			message_clear(&got);
		/* Chatter does not count as an answer. */
		if ((e == ERR_OK || e == ERR_UNKNOWN) &&
		    clock_ms() > deadline_ms)
			e = ERR_TIMEOUT;
	}
	return e;
}

/* As far as the kernel takes it; who is not there any more misses nothing. */
static void say_end(struct talk *t)
{
	const struct iovec *out = NULL;
	size_t sent;
	int n = 0;

	if (channel_seal_end(&t->channel, &out, &n) == ERR_OK && n > 0)
		(void)!sock_send_now(t->fd, out, n, &sent);
}

void talk_close(struct talk *t)
{
	say_end(t);
	channel_free(&t->channel);
	if (!t->borrowed) {
		if (t->waker != NULL)
			waker_unwatch(t->waker);
		sock_close(t->fd);
	}
	t->fd = -1;
	inbox_free(&t->inbox);
}
