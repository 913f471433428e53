#include "io/inbox.h"

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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
