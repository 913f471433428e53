#include "io/link.h"

#include "sockets.h"

#include "io/talk.h"

/* A link on one end of a connection, raw bytes on the other. */
struct fixture {
	struct link *link;
	int fd[2];
	atomic_uint_fast64_t bytes_out;
};

static struct link_limits limits = { .outbox_max = 1 << 20,
				     .slow_ms = 300,
				     .slow_bytes = 1 << 16 };

static int open_link(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	struct talk t;

	if (f == NULL)
		return -1;
	tcp_pair(ADDR_V4, f->fd);
	talk_accept(&t, f->fd[0], NULL, FRAME_BODY_STRANGER_MAX);
	f->link = link_new(&t, &limits, &f->bytes_out);
	*state = f;
	return f->link == NULL ? -1 : 0;
}

static int close_link(void **state)
{
	struct fixture *f = *state;

	link_close(f->link);
	link_release(f->link);
	sock_close(f->fd[0]);
	sock_close(f->fd[1]);
	free(f);
	return 0;
}

/* Queues one frame whose body is n times the letter c. */
static enum err queue(struct fixture *f, char c, size_t n)
{
	struct frame_head head = { .hops = 3, .body_bytes = (uint32_t)n };
	struct frame *fr = frame_new(n);
	enum err e;

	assert_non_null(fr);
	memset(fr->body, c, n);
	e = link_queue(f->link, &head, fr);
	frame_release(fr);
	return e;
}

static void read_exactly(int fd, uint8_t *to, size_t n)
{
	while (n > 0) {
		size_t got = 0;

		assert_ok(sock_recv(fd, to, n, &got, SOON));
		to += got;
		n -= got;
	}
}

static void expect_frame(struct fixture *f, char c, size_t n)
{
	uint8_t *bytes = malloc(FRAME_HEAD_BYTES + n);
	struct frame_head head;

	assert_non_null(bytes);
	read_exactly(f->fd[1], bytes, FRAME_HEAD_BYTES + n);
	assert_ok(frame_head_read(bytes, FRAME_BODY_MAX, &head));
	assert_int_equal(head.body_bytes, n);
	assert_int_equal(head.hops, 3);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(bytes[FRAME_HEAD_BYTES + i], c);
	free(bytes);
}

static void expect_end(struct fixture *f)
{
	uint8_t byte;
	size_t got;

	assert_int_equal(sock_recv(f->fd[1], &byte, 1, &got, SOON), ERR_CLOSED);
}

static void frames_leave_in_the_order_they_were_queued(void **state)
{
	struct fixture *f = *state;

	for (char c = 'a'; c <= 'z'; c++)
		assert_ok(queue(f, c, 100));
	link_flush(f->link);
	for (char c = 'a'; c <= 'z'; c++)
		expect_frame(f, c, 100);
	assert_int_equal(link_backlog(f->link), 0);
	assert_int_equal(atomic_load(&f->bytes_out), 26 * 108);
}

static void more_frames_than_one_system_call_takes_all_leave(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 5 * LINK_BATCH; i++)
		assert_ok(queue(f, (char)('a' + i % 26), 10));
	link_flush(f->link);
	for (int i = 0; i < 5 * LINK_BATCH; i++)
		expect_frame(f, (char)('a' + i % 26), 10);
}

static void a_full_outbox_refuses_and_stays_as_it_was(void **state)
{
	struct fixture *f = *state;
	size_t room = limits.outbox_max - LINK_FRAME_OVERHEAD;

	assert_int_equal(queue(f, 'x', room + 1), ERR_FULL);
	assert_int_equal(link_backlog(f->link), 0);
	assert_ok(queue(f, 'x', room));
	assert_int_equal(queue(f, 'y', 2), ERR_FULL);
	assert_int_equal(link_backlog(f->link), limits.outbox_max);
}

/* Queues and flushes until the kernel takes no more; returns the frames. */
static size_t fill(struct fixture *f)
{
	size_t n = 0;

	while (queue(f, 'f', 60000) == ERR_OK) {
		link_flush(f->link);
		n++;
	}
	return n;
}

static void what_the_kernel_does_not_take_is_left_to_the_writer(void **state)
{
	struct fixture *f = *state;
	size_t n = fill(f);

	assert_true(link_backlog(f->link) > 0);
	assert_ok(link_start_writer(f->link));
	for (size_t i = 0; i < n; i++)
		expect_frame(f, 'f', 60000);
	EVENTUALLY(link_backlog(f->link) == 0);
}

static void a_reader_that_takes_too_little_is_slow(void **state)
{
	struct fixture *f = *state;

	fill(f);
	assert_ok(link_start_writer(f->link));
	EVENTUALLY(link_is_slow(f->link));
	assert_int_equal(queue(f, 'x', 10), ERR_CLOSED);
}

static void waiting_for_room_ends_when_nothing_moves(void **state)
{
	struct fixture *f = *state;
	int64_t begun = clock_ms();

	fill(f);
	link_wait_room(f->link, 0, 50, SOON);
	assert_true(clock_ms() - begun < PATIENCE_MS);
	assert_true(link_backlog(f->link) > 0);
}

static void waiting_for_room_ends_when_there_is_room(void **state)
{
	struct fixture *f = *state;
	size_t n = fill(f);

	assert_ok(link_start_writer(f->link));
	for (size_t i = 0; i < n; i++)
		expect_frame(f, 'f', 60000);
	link_wait_room(f->link, 0, PATIENCE_MS, SOON);
	assert_int_equal(link_backlog(f->link), 0);
}

static void finishing_sends_the_rest_and_then_half_closes(void **state)
{
	struct fixture *f = *state;
	uint8_t byte = 7, back = 0;
	size_t got = 0;

	assert_ok(queue(f, 'l', 500));
	link_finish(f->link);
	assert_int_equal(queue(f, 'x', 10), ERR_CLOSED);
	expect_frame(f, 'l', 500);
	expect_end(f);
	/* The other direction still works: nothing under way is lost. */
	assert_ok(sock_send(f->fd[1], &byte, 1, SOON));
	assert_ok(sock_recv(f->fd[0], &back, 1, &got, SOON));
	assert_int_equal(back, 7);
}

static void finishing_a_full_link_sends_all_of_it_first(void **state)
{
	struct fixture *f = *state;
	size_t n = fill(f);

	assert_ok(link_start_writer(f->link));
	link_finish(f->link);
	for (size_t i = 0; i < n; i++)
		expect_frame(f, 'f', 60000);
	expect_end(f);
}

static void a_finished_link_does_not_wait_for_ever_for_the_end(void **state)
{
	struct fixture *f = *state;
	uint8_t byte;
	size_t got;

	assert_ok(link_start_writer(f->link));
	link_finish(f->link);
	/* Nobody closes the far end, but our reader comes back. */
	assert_int_not_equal(sock_recv(f->fd[0], &byte, 1, &got, SOON),
			     ERR_TIMEOUT);
}

static void aborting_wakes_the_reader_and_drops_the_queue(void **state)
{
	struct fixture *f = *state;
	uint8_t byte;
	size_t got;

	assert_ok(queue(f, 'x', 100));
	link_abort(f->link);
	link_abort(f->link);
	assert_int_equal(link_backlog(f->link), 0);
	assert_int_not_equal(sock_recv(f->fd[0], &byte, 1, &got, SOON), ERR_OK);
	expect_end(f);
}

static void *queue_many(void *arg)
{
	struct fixture *f = arg;

	for (int i = 0; i < 500; i++) {
		while (queue(f, 'q', 1000) == ERR_FULL)
			link_wait_room(f->link, limits.outbox_max / 2,
				       PATIENCE_MS, SOON);
		link_flush(f->link);
	}
	return NULL;
}

static void frames_of_many_threads_never_mix(void **state)
{
	struct fixture *f = *state;
	pthread_t threads[4];

	assert_ok(link_start_writer(f->link));
	for (size_t i = 0; i < COUNT_OF(threads); i++)
		assert_ok(thread_start(&threads[i], queue_many, f, "queue"));
	for (int i = 0; i < 2000; i++)
		expect_frame(f, 'q', 1000);
	for (size_t i = 0; i < COUNT_OF(threads); i++)
		thread_join(threads[i]);
}

#define LINK_TEST(name) \
	cmocka_unit_test_setup_teardown(name, open_link, close_link)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LINK_TEST(frames_leave_in_the_order_they_were_queued),
		LINK_TEST(more_frames_than_one_system_call_takes_all_leave),
		LINK_TEST(a_full_outbox_refuses_and_stays_as_it_was),
		LINK_TEST(what_the_kernel_does_not_take_is_left_to_the_writer),
		LINK_TEST(a_reader_that_takes_too_little_is_slow),
		LINK_TEST(waiting_for_room_ends_when_nothing_moves),
		LINK_TEST(waiting_for_room_ends_when_there_is_room),
		LINK_TEST(finishing_sends_the_rest_and_then_half_closes),
		LINK_TEST(finishing_a_full_link_sends_all_of_it_first),
		LINK_TEST(a_finished_link_does_not_wait_for_ever_for_the_end),
		LINK_TEST(aborting_wakes_the_reader_and_drops_the_queue),
		LINK_TEST(frames_of_many_threads_never_mix),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
