#include "io/inbox.h"

#include "scarce.h"
#include "sockets.h"

#include <sys/socket.h>

struct fixture {
	int fd[2]; /* the inbox reads 0, the test writes 1 */
	struct channel channel;
	struct inbox in;
};

static int open_inbox(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	if (f == NULL || socketpair(AF_UNIX, SOCK_STREAM, 0, f->fd) != 0)
		return -1;
	channel_init_plain(&f->channel);
	inbox_init(&f->in, &f->channel, FRAME_BODY_MAX);
	*state = f;
	return 0;
}

static int close_inbox(void **state)
{
	struct fixture *f = *state;

	inbox_free(&f->in);
	sock_close(f->fd[0]);
	sock_close(f->fd[1]);
	free(f);
	return 0;
}

/* A frame whose body is n times the letter. */
static size_t put_frame(uint8_t *at, uint8_t hops, char letter, size_t n)
{
	struct frame_head h = { .hops = hops, .body_bytes = (uint32_t)n };

	frame_head_write(&h, at);
	memset(at + FRAME_HEAD_BYTES, letter, n);
	return FRAME_HEAD_BYTES + n;
}

static void feed(struct fixture *f, const void *bytes, size_t n)
{
	size_t got;

	if (n == 0)
		return;
	assert_int_equal(write(f->fd[1], bytes, n), (ssize_t)n);
	while (sock_has_bytes(f->fd[0]))
		assert_ok(inbox_fill(&f->in, f->fd[0], SOON, &got));
}

static void take(struct fixture *f, uint8_t hops, char letter, size_t n)
{
	struct frame_head head;
	struct frame *frame = NULL;

	assert_ok(inbox_next(&f->in, &head, &frame));
	assert_int_equal(head.hops, hops);
	assert_int_equal(frame->body_bytes, n);
	for (size_t i = 0; i < n; i++)
		assert_true(frame->body[i] == letter);
	frame_release(frame);
}

static enum err look(struct fixture *f)
{
	struct frame_head head;
	struct frame *frame = NULL;
	enum err e = inbox_next(&f->in, &head, &frame);

	frame_release(frame);
	return e;
}

static void an_empty_inbox_has_nothing(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(look(f), ERR_NOT_FOUND);
	assert_false(inbox_partial(&f->in));
}

static void frames_split_at_every_byte_come_out_whole(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[64];
	size_t first = put_frame(bytes, 1, 'a', 9);
	size_t all = first + put_frame(bytes + first, 2, 'b', 17);

	for (size_t i = 0; i <= all; i++) {
		feed(f, bytes, i);
		if (i >= first)
			take(f, 1, 'a', 9);
		if (i == all)
			take(f, 2, 'b', 17);
		assert_int_equal(look(f), ERR_NOT_FOUND);
		assert_int_equal(inbox_partial(&f->in),
				 i != 0 && i != first && i != all);
		feed(f, bytes + i, all - i);
		if (i < first)
			take(f, 1, 'a', 9);
		if (i < all)
			take(f, 2, 'b', 17);
		assert_int_equal(look(f), ERR_NOT_FOUND);
		assert_false(inbox_partial(&f->in));
	}
}

static void frames_that_trickle_in_come_out_whole(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[3000];
	size_t n = put_frame(bytes, 3, 'c', 2000);

	for (size_t i = 0; i < n; i++) {
		assert_int_equal(look(f), ERR_NOT_FOUND);
		feed(f, bytes + i, 1);
	}
	take(f, 3, 'c', 2000);
}

static void a_thousand_frames_may_come_at_once(void **state)
{
	struct fixture *f = *state;
	uint8_t *bytes = malloc(1000 * 64);
	size_t n = 0;

	assert_non_null(bytes);
	for (unsigned i = 0; i < 1000; i++)
		n += put_frame(bytes + n, (uint8_t)i, (char)('a' + i % 26),
			       2 + i % 50);
	feed(f, bytes, n);
	for (unsigned i = 0; i < 1000; i++)
		take(f, (uint8_t)i, (char)('a' + i % 26), 2 + i % 50);
	assert_int_equal(look(f), ERR_NOT_FOUND);
	assert_false(inbox_partial(&f->in));
	free(bytes);
}

static void breaches_of_the_header_are_told_apart(void **state)
{
	static const struct {
		uint8_t head[FRAME_HEAD_BYTES];
		enum err want;
	} cases[] = {
		{ { 1, 0, 0, 0, 0, 0, 0, 0 }, ERR_RANGE },
		{ { 1, 0, 0, 0, 0, 0, 0, 1 }, ERR_RANGE },
		{ { 1, 0, 0, 0, 0, 0x18, 0, 1 }, ERR_RANGE },
		{ { 1, 0, 0, 0, 0x80, 0, 0, 0 }, ERR_RANGE },
		{ { 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff }, ERR_RANGE },
		{ { 0, 0, 0, 0, 0, 0, 0, 2 }, ERR_VERSION },
		{ { 2, 0, 0, 0, 0, 0, 0, 2 }, ERR_VERSION },
		{ { 'G', 'E', 'T', ' ', '/', ' ', 'H', 'T' }, ERR_VERSION },
		{ { 1, 4, 0, 0, 0, 0, 0, 2 }, ERR_SYNTAX },
		{ { 1, 0, 0, 1, 0, 0, 0, 2 }, ERR_SYNTAX },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		inbox_free(&f->in);
		feed(f, cases[i].head, FRAME_HEAD_BYTES - 1);
		assert_int_equal(look(f), ERR_NOT_FOUND);
		feed(f, cases[i].head + FRAME_HEAD_BYTES - 1, 1);
		assert_int_equal(look(f), cases[i].want);
		assert_int_equal(look(f), cases[i].want); /* for good */
	}
}

static void a_stranger_is_held_short_until_introduced(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[2000];
	size_t n;

	f->in.body_max = FRAME_BODY_STRANGER_MAX;
	feed(f, bytes, put_frame(bytes, 0, 'd', FRAME_BODY_STRANGER_MAX));
	take(f, 0, 'd', FRAME_BODY_STRANGER_MAX);
	n = put_frame(bytes, 0, 'e', FRAME_BODY_STRANGER_MAX + 1);
	feed(f, bytes, n);
	assert_int_equal(look(f), ERR_RANGE);
	f->in.body_max = FRAME_BODY_MAX;
	take(f, 0, 'e', FRAME_BODY_STRANGER_MAX + 1);
}

static void a_promise_costs_no_memory(void **state)
{
	static const uint8_t head[] = { 1, 0, 0, 0, 0, 0x18, 0, 0 };
	struct fixture *f = *state;

	feed(f, head, sizeof head);
	assert_int_equal(look(f), ERR_NOT_FOUND);
	assert_true(inbox_partial(&f->in));
	assert_true(f->in.raw.cap <= INBOX_IDLE_BYTES);
}

struct writer {
	int fd;
	const uint8_t *bytes;
	size_t n;
};

static void *write_all(void *arg)
{
	struct writer *w = arg;

	if (sock_send(w->fd, w->bytes, w->n, SOON) != ERR_OK)
		abort();
	return NULL;
}

/* Sends from another thread, as no socket holds that much. */
static void pass_largest_frame(struct fixture *f)
{
	uint8_t *bytes = malloc(FRAME_HEAD_BYTES + FRAME_BODY_MAX);
	struct writer w = { .fd = f->fd[1], .bytes = bytes };
	size_t got;
	pthread_t t;

	assert_non_null(bytes);
	w.n = put_frame(bytes, 7, 'z', FRAME_BODY_MAX);
	assert_ok(thread_start(&t, write_all, &w, "writer"));
	while (f->in.raw.len < w.n) {
		assert_ok(inbox_fill(&f->in, f->fd[0], SOON, &got));
		assert_true(got <= INBOX_READ_BYTES);
	}
	thread_join(t);
	take(f, 7, 'z', FRAME_BODY_MAX);
	free(bytes);
}

static void the_largest_frame_passes_and_its_memory_goes_back(void **state)
{
	struct fixture *f = *state;
	size_t got;

	pass_largest_frame(f);
	assert_true(f->in.raw.cap > INBOX_READ_BYTES);
	assert_int_equal(inbox_fill(&f->in, f->fd[0], 0, &got), ERR_TIMEOUT);
	assert_true(f->in.raw.cap <= INBOX_READ_BYTES);
}

static void a_connection_that_calms_down_keeps_little(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[32];
	size_t n = put_frame(bytes, 0, 'f', 10), got;

	pass_largest_frame(f);
	for (int i = 0; i < 40; i++) {
		feed(f, bytes, n);
		take(f, 0, 'f', 10);
	}
	assert_int_equal(inbox_fill(&f->in, f->fd[0], 0, &got), ERR_TIMEOUT);
	assert_true(f->in.raw.cap <= INBOX_IDLE_BYTES);
}

static void a_busy_connection_reads_much_at_a_time(void **state)
{
	static uint8_t bytes[1 << 18];
	struct fixture *f = *state;
	struct writer w = { .fd = f->fd[1], .bytes = bytes };
	size_t got, most = 0, left = 0;
	pthread_t t;

	while (w.n + 1008 <= sizeof bytes) {
		w.n += put_frame(bytes + w.n, 0, 'g', 1000);
		left++;
	}
	assert_ok(thread_start(&t, write_all, &w, "writer"));
	while (left > 0) {
		assert_ok(inbox_fill(&f->in, f->fd[0], SOON, &got));
		most = got > most ? got : most;
		for (; look(f) == ERR_OK; left--)
			;
		assert_true(f->in.raw.cap <= 2 * INBOX_READ_BYTES);
	}
	thread_join(t);
	assert_true(most > INBOX_IDLE_BYTES);
}

static void passes_on_what_the_socket_says(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[32];
	size_t n = put_frame(bytes, 0, 'h', 10), got = 99;

	assert_int_equal(inbox_fill(&f->in, f->fd[0], 0, &got), ERR_TIMEOUT);
	feed(f, bytes, n - 1);
	sock_close(f->fd[1]);
	f->fd[1] = -1;
	assert_int_equal(inbox_fill(&f->in, f->fd[0], SOON, &got), ERR_CLOSED);
	assert_int_equal(got, 99);
	assert_true(inbox_partial(&f->in));
}

#define INBOX_TEST(name) \
	cmocka_unit_test_setup_teardown(name, open_inbox, close_inbox)

static void without_memory_a_frame_stays_and_comes_out_later(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[64];
	size_t n = put_frame(bytes, 3, 'm', 20), got = 99;

	assert_int_equal(write(f->fd[1], bytes, n), (ssize_t)n);
	scarce_after(0, true);
	assert_int_equal(inbox_fill(&f->in, f->fd[0], SOON, &got), ERR_NOMEM);
	assert_int_equal(scarce_end(), 1);
	assert_int_equal(got, 99);
	assert_ok(inbox_fill(&f->in, f->fd[0], SOON, &got));
	assert_int_equal(got, n);
	scarce_after(0, true);
	assert_int_equal(look(f), ERR_NOMEM);
	assert_int_equal(scarce_end(), 1);
	take(f, 3, 'm', 20);
	assert_false(inbox_partial(&f->in));
}

/* --- a channel that does something ------------------------------------- */

/* The Makefile puts this in front of channel_open: records of a length byte
 * and that many bytes, each but the length with its bits turned over; a length
 * of 0 is a forgery. */
enum err __wrap_channel_open(struct channel *c, uint8_t *in, size_t n,
			     size_t *used, uint8_t **plain, size_t *plain_n);
enum err __real_channel_open(struct channel *c, uint8_t *in, size_t n,
			     size_t *used, uint8_t **plain, size_t *plain_n);

static bool records; /* else plain */

enum err __wrap_channel_open(struct channel *c, uint8_t *in, size_t n,
			     size_t *used, uint8_t **plain, size_t *plain_n)
{
	if (!records)
		return __real_channel_open(c, in, n, used, plain, plain_n);
	if (in[0] == 0)
		return ERR_SYNTAX;
	*used = *plain_n = 0;
	if (n < 1u + in[0])
		return ERR_OK;
	*used = 1u + in[0];
	*plain = in + 1;
	*plain_n = in[0];
	for (size_t i = 1; i < *used; i++)
		in[i] ^= 0xff;
	return ERR_OK;
}

static size_t put_record(uint8_t *at, const uint8_t *bytes, size_t n)
{
	at[0] = (uint8_t)n;
	for (size_t i = 0; i < n; i++)
		at[1 + i] = bytes[i] ^ 0xff;
	return 1 + n;
}

/* Two frames in three records, of which none ends where a frame does; the
 * bytes arrive in two parts, cut anywhere. */
static void records_of_a_channel_need_not_fit_the_frames(void **state)
{
	struct fixture *f = *state;
	uint8_t plain[64], sealed[80];
	size_t n = put_frame(plain, 1, 'a', 9), all;

	n += put_frame(plain + n, 2, 'b', 17);
	all = put_record(sealed, plain, 5);
	all += put_record(sealed + all, plain + 5, 20);
	all += put_record(sealed + all, plain + 25, n - 25);
	records = true;
	for (size_t i = 0; i <= all; i++) {
		feed(f, sealed, i);
		feed(f, sealed + i, all - i);
		take(f, 1, 'a', 9);
		take(f, 2, 'b', 17);
		assert_int_equal(look(f), ERR_NOT_FOUND);
		assert_false(inbox_partial(&f->in));
	}
	records = false;
}

static void a_forged_record_ends_the_connection(void **state)
{
	struct fixture *f = *state;
	uint8_t plain[64], sealed[80] = { 0 };
	size_t n = put_frame(plain, 1, 'a', 9), got = 99;

	n = put_record(sealed, plain, n);
	sealed[n++] = 0;
	records = true;
	assert_int_equal(write(f->fd[1], sealed, n), (ssize_t)n);
	assert_int_equal(inbox_fill(&f->in, f->fd[0], SOON, &got), ERR_SYNTAX);
	assert_int_equal(got, 99);
	records = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		INBOX_TEST(an_empty_inbox_has_nothing),
		INBOX_TEST(frames_split_at_every_byte_come_out_whole),
		INBOX_TEST(frames_that_trickle_in_come_out_whole),
		INBOX_TEST(a_thousand_frames_may_come_at_once),
		INBOX_TEST(breaches_of_the_header_are_told_apart),
		INBOX_TEST(a_stranger_is_held_short_until_introduced),
		INBOX_TEST(a_promise_costs_no_memory),
		INBOX_TEST(the_largest_frame_passes_and_its_memory_goes_back),
		INBOX_TEST(a_connection_that_calms_down_keeps_little),
		INBOX_TEST(a_busy_connection_reads_much_at_a_time),
		INBOX_TEST(passes_on_what_the_socket_says),
		INBOX_TEST(without_memory_a_frame_stays_and_comes_out_later),
		INBOX_TEST(records_of_a_channel_need_not_fit_the_frames),
		INBOX_TEST(a_forged_record_ends_the_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
