/* A connection's bytes: inbox, frame header, pre-scan, codec.
 *
 * The first byte says how the rest becomes a stream: as it is, or (so that a
 * fuzzer need not learn to count) cut at each byte 0xff into bodies that get
 * their headers here; and in what pieces the stream comes. What comes out of
 * the inbox must not depend on the pieces; what decodes must encode, and
 * decode to the same again; what a Message says, cJSON must find in it, too.
 */
#include "fuzz.h"

#include "oracle.h"

#include "io/inbox.h"
#include "io/sock.h"
#include "peer/detail.h"

#define STREAM_MAX 65536
#define CUT 0xff /* in no UTF-8 text */

static struct {
	uint8_t bytes[STREAM_MAX];
	size_t n, sent;    /* what the socket holds, and gave */
	size_t piece_most; /* bytes given at a time */
	unsigned piece;    /* decides about the next */
} stream;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	return crypto_init() == ERR_OK ? 0 : 1;
}

/* --- in place of the operating system ----------------------------------- */

enum err sock_recv(int fd, void *buf, size_t cap, size_t *got,
		   int64_t deadline_ms)
{
	size_t left = stream.n - stream.sent;

	(void)fd;
	(void)deadline_ms;
	assert_true(cap > 0);
	if (left == 0)
		return ERR_CLOSED;
	stream.piece = stream.piece * 1103515245u + 12345u;
	*got = 1 + (stream.piece >> 16) % stream.piece_most;
	*got = *got < cap ? *got : cap;
	*got = *got < left ? *got : left;
	memcpy(buf, stream.bytes + stream.sent, *got);
	stream.sent += *got;
	return ERR_OK;
}

bool log_wants(const struct log *l, enum log_level level)
{
	(void)l;
	(void)level;
	return false;
}

void log_event(struct log *l, enum log_level level, enum log_kind kind,
	       enum log_way way, const char *what, const struct addr *who,
	       const char *fmt, ...)
{
	(void)l, (void)level, (void)kind, (void)way;
	(void)what, (void)who, (void)fmt;
}

/* --- what is said about one body ---------------------------------------- */

static void check_same(const struct message *m, const struct frame *f)
{
	struct message again = { 0 };
	struct frame *g = NULL;
	const char *why = NULL;

	assert_int_equal(codec_decode(f->body, f->body_bytes, &again, &why),
			 ERR_OK);
	assert_int_equal(again.type, m->type);
	assert_int_equal(codec_encode(&again, &g), ERR_OK);
	assert_int_equal(g->body_bytes, f->body_bytes);
	assert_memory_equal(g->body, f->body, f->body_bytes);
	message_clear(&again);
	frame_release(g);
}

static void check_message(struct message *m)
{
	struct frame *f = NULL;
	char text[DETAIL_MAX];

	assert_in_range(m->type, 0, MSG_TYPES - 1);
	assert_int_equal(codec_encode(m, &f), ERR_OK);
	assert_int_equal(scan_object(f->body, f->body_bytes, NULL), ERR_OK);
	check_same(m, f);
	detail_print(m, text);
	assert_true(strlen(text) < DETAIL_MAX);
	if (m->type == MSG_MESSAGE)
		(void)codec_wants_base64(m->message.data,
					 m->message.data_bytes);
	frame_release(f);
	message_clear(m);
}

static void check_body(const struct frame_head *h, const struct frame *f)
{
	const char *why = NULL, *scan_why = NULL;
	enum err scanned = scan_object(f->body, f->body_bytes, &scan_why);
	struct message m = { 0 };
	enum err e = codec_decode_frame(h, f, &m, &why);

	(void)assert_agrees(f->body, f->body_bytes);
	assert_true(scanned == ERR_OK || scanned == ERR_SYNTAX);
	assert_int_equal(scanned == ERR_OK, scan_why == NULL);
	if (scanned != ERR_OK) {
		assert_int_equal(e, ERR_SYNTAX);
		assert_ptr_equal(why, scan_why);
		return;
	}
	/* There is memory: ERR_NOMEM would mean that cJSON refuses what the
	 * scan accepts. */
	assert_true(e == ERR_OK || e == ERR_SYNTAX || e == ERR_UNKNOWN);
	if (e != ERR_OK) {
		assert_non_null(why);
		assert_null(m.memory);
		return;
	}
	assert_true(m.type == MSG_MESSAGE || (h->flags == 0 && h->hops == 0));
	check_message(&m);
}

/* --- the stream --------------------------------------------------------- */

static void add_body(const uint8_t *body, size_t n)
{
	static const char message[] = "{\"type\":\"Message\",";
	struct frame_head h = { .body_bytes = (uint32_t)n };

	if (stream.n + FRAME_HEAD_BYTES + n > STREAM_MAX)
		return;
	if (n > sizeof message &&
	    memcmp(body, message, sizeof message - 1) == 0) {
		h.flags = n % 4;
		h.hops = (uint8_t)n;
	}
	frame_head_write(&h, stream.bytes + stream.n);
	memcpy(stream.bytes + stream.n + FRAME_HEAD_BYTES, body, n);
	stream.n += FRAME_HEAD_BYTES + n;
}

static void fill_stream(struct tape *in, bool as_it_is)
{
	size_t n;
	const uint8_t *at;

	stream.n = stream.sent = 0;
	if (as_it_is) {
		at = take_bytes(in, STREAM_MAX, &n);
		memcpy(stream.bytes, at, n);
		stream.n = n;
	}
	while (in->n > 0) {
		const uint8_t *cut = memchr(in->p, CUT, in->n);

		n = cut == NULL ? in->n : (size_t)(cut - in->p);
		add_body(in->p, n);
		take_bytes(in, n + 1, &n);
	}
}

/* The same frame, read from the stream as a whole. */
static void check_frame(size_t at, const struct frame_head *h,
			const struct frame *f)
{
	struct frame_head want;

	assert_true(at + FRAME_HEAD_BYTES + f->body_bytes <= stream.sent);
	assert_int_equal(
		frame_head_read(stream.bytes + at, FRAME_BODY_MAX, &want),
		ERR_OK);
	assert_int_equal(h->body_bytes, f->body_bytes);
	assert_int_equal(want.body_bytes, f->body_bytes);
	assert_int_equal(want.flags, h->flags);
	assert_int_equal(want.hops, h->hops);
	assert_memory_equal(stream.bytes + at + FRAME_HEAD_BYTES, f->body,
			    f->body_bytes);
}

/* Why the inbox wants no more of it: at `at` there is no whole frame. */
static void check_end(enum err e, size_t at, uint32_t limit)
{
	struct frame_head h;
	enum err want;

	if (e == ERR_NOT_FOUND) {
		assert_int_equal(stream.sent, stream.n);
		if (stream.n - at < FRAME_HEAD_BYTES)
			return;
		assert_int_equal(frame_head_read(stream.bytes + at, limit, &h),
				 ERR_OK);
		assert_true(stream.n - at - FRAME_HEAD_BYTES < h.body_bytes);
		return;
	}
	want = frame_head_read(stream.bytes + at, limit, &h);
	assert_int_equal(e, want);
	assert_int_not_equal(e, ERR_OK);
}

static enum err next(struct inbox *in, struct frame_head *h, struct frame **f)
{
	enum err e = inbox_next(in, h, f);
	size_t got;

	while (e == ERR_NOT_FOUND) {
		if (inbox_fill(in, 0, 0, &got) != ERR_OK)
			return ERR_NOT_FOUND;
		e = inbox_next(in, h, f);
	}
	return e;
}

static void read_stream(uint32_t limit)
{
	struct channel plain;
	struct frame_head h;
	struct frame *f = NULL;
	struct inbox in;
	size_t at = 0;
	enum err e;

	channel_init_plain(&plain);
	inbox_init(&in, &plain, limit);
	while ((e = next(&in, &h, &f)) == ERR_OK) {
		check_frame(at, &h, f);
		check_body(&h, f);
		at += FRAME_HEAD_BYTES + f->body_bytes;
		frame_release(f);
		in.body_max = limit = FRAME_BODY_MAX; /* introduced itself */
	}
	check_end(e, at, limit);
	assert_true(in.raw.cap <= 2 * (size_t)INBOX_READ_BYTES + STREAM_MAX);
	inbox_free(&in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t pieces[] = { 1,          3,          16,
					 600,        STREAM_MAX, STREAM_MAX,
					 STREAM_MAX, STREAM_MAX };
	struct tape in = { data, size };
	unsigned how = take(&in, 256);

	stream.piece = how;
	stream.piece_most = pieces[how >> 1 & 7];
	fill_stream(&in, (how & 1) != 0);
	read_stream((how & 16) != 0 ? FRAME_BODY_STRANGER_MAX : FRAME_BODY_MAX);
	return 0;
}
