#include "io/link.h"

#include "sockets.h"

#include "io/talk.h"

/* A link on one end of a connection, raw bytes on the other. */
struct fixture {
	struct link *link;
	int fd[2];
	atomic_uint_fast64_t bytes_out;
	/* The callback of link_watch: */
	atomic_int drained;      /* calls */
	atomic_size_t rest;      /* bytes queued at the last one */
	atomic_int again;        /* it watches again so often */
	atomic_bool hold;        /* it waits inside until this is gone */
	atomic_int left;         /* calls that are over */
	atomic_bool wrong_place; /* on the thread of the test */
	pthread_t test;
};

static void on_drained(struct link *l)
{
	struct fixture *f = l->owner;

	atomic_store(&f->rest, link_backlog(l));
	atomic_fetch_add(&f->drained, 1);
	if (pthread_equal(pthread_self(), f->test))
		atomic_store(&f->wrong_place, true);
	while (atomic_load(&f->hold))
		nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
	if (atomic_load(&f->again) > 0) {
		atomic_fetch_sub(&f->again, 1);
		link_watch(l);
		link_flush(l);
	}
	atomic_fetch_add(&f->left, 1);
}

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
	talk_accept(&t, NULL, f->fd[0], NULL, FRAME_BODY_STRANGER_MAX);
	f->link = link_new(&t, &limits, &f->bytes_out, on_drained);
	*state = f;
	if (f->link == NULL)
		return -1;
	f->link->owner = f;
	f->test = pthread_self();
	return 0;
}

static int close_link(void **state)
{
	struct fixture *f = *state;

	atomic_store(&f->hold, false);
	link_close(f->link);
	link_release(f->link);
	sock_close(f->fd[0]);
	sock_close(f->fd[1]);
	free(f);
	return 0;
}

/* Queues one frame whose body is n times the letter c. Some have its header
 * before it, some another one, some none. */
static enum err queue(struct fixture *f, char c, size_t n)
{
	struct frame_head head = { .hops = 3, .body_bytes = (uint32_t)n };
	struct frame_head other = { .hops = 9, .body_bytes = (uint32_t)n };
	struct frame *fr = frame_new(n);
	enum err e;

	assert_non_null(fr);
	memset(fr->body, c, n);
	if (n % 3 > 0)
		frame_address(fr, n % 3 == 1 ? &head : &other);
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

/* Here the other end is near. */
static void what_waits_in_the_kernel_is_short(void **state)
{
	struct fixture *f = *state;
	int bytes = 0;
	socklen_t n = sizeof bytes;

	assert_int_equal(
		getsockopt(f->fd[0], SOL_SOCKET, SO_SNDBUF, &bytes, &n), 0);
	assert_int_equal(bytes, 131072);
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
	assert_false(link_wait_room(f->link, 0, begun, 50, SOON));
	assert_true(clock_ms() - begun < PATIENCE_MS);
	assert_true(link_backlog(f->link) > 0);
}

static void a_stall_counts_from_the_last_byte(void **state)
{
	struct fixture *f = *state;
	int64_t begun = clock_ms();

	fill(f);
	/* Since ever, but the last byte is younger than `begun`. */
	assert_false(link_wait_room(f->link, 0, 0, 300, SOON));
	assert_true(clock_ms() - begun >= 300);
	begun = clock_ms();
	assert_false(link_wait_room(f->link, 0, 0, 300, SOON));
	assert_true(clock_ms() - begun < PATIENCE_MS);
}

static void
nobody_waits_longer_than_the_deadline_though_a_link_may_stall(void **state)
{
	struct fixture *f = *state;
	int64_t begun = clock_ms();

	fill(f);
	assert_false(link_wait_room(f->link, 0, begun, 10 * PATIENCE_MS,
				    begun + 50));
	assert_in_range(clock_ms() - begun, 50, PATIENCE_MS);
}

static void a_link_that_finishes_is_not_waited_for(void **state)
{
	struct fixture *f = *state;

	fill(f);
	link_finish(f->link);
	assert_true(link_wait_room(f->link, 0, clock_ms(), PATIENCE_MS, SOON));
	assert_true(link_backlog(f->link) > 0);
}

static void *wait_for_room(void *arg)
{
	struct fixture *f = arg;
	bool room = link_wait_room(f->link, 0, clock_ms(), 2 * PATIENCE_MS,
				   INT64_MAX);

	return room ? f : NULL;
}

static bool somebody_waits(struct link *l)
{
	bool waits;

	mutex_lock(&l->mu);
	waits = l->waiters > 0;
	mutex_unlock(&l->mu);
	return waits;
}

static void finishing_wakes_who_waits_for_room(void **state)
{
	struct fixture *f = *state;
	int64_t begun = clock_ms();
	pthread_t waiter;
	void *room = NULL;

	fill(f);
	assert_ok(thread_start(&waiter, wait_for_room, f, "wait"));
	EVENTUALLY(somebody_waits(f->link));
	link_finish(f->link);
	assert_int_equal(pthread_join(waiter, &room), 0);
	assert_ptr_equal(room, f);
	assert_true(clock_ms() - begun < PATIENCE_MS);
}

static void ending_it_wakes_who_waits_for_room(void **state)
{
	struct fixture *f = *state;
	int64_t begun = clock_ms();
	pthread_t waiter;
	void *room = NULL;

	fill(f);
	assert_ok(thread_start(&waiter, wait_for_room, f, "wait"));
	EVENTUALLY(somebody_waits(f->link));
	link_abort(f->link);
	assert_int_equal(pthread_join(waiter, &room), 0);
	assert_ptr_equal(room, f);
	assert_true(clock_ms() - begun < PATIENCE_MS);
}

static void waiting_for_room_ends_when_there_is_room(void **state)
{
	struct fixture *f = *state;
	size_t n = fill(f);

	assert_ok(link_start_writer(f->link));
	for (size_t i = 0; i < n; i++)
		expect_frame(f, 'f', 60000);
	assert_true(link_wait_room(f->link, 0, clock_ms(), PATIENCE_MS, SOON));
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
			(void)!link_wait_room(f->link, limits.outbox_max / 2,
					      clock_ms(), PATIENCE_MS, SOON);
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

/* --- watching --------------------------------------------------------- */

static void expect_all(struct fixture *f, size_t n)
{
	for (size_t i = 0; i < n; i++)
		expect_frame(f, 'f', 60000);
}

static void a_watched_link_says_once_that_it_drained(void **state)
{
	struct fixture *f = *state;
	size_t n = fill(f);

	link_watch(f->link);
	assert_ok(link_start_writer(f->link));
	expect_all(f, n);
	EVENTUALLY(atomic_load(&f->left) == 1);
	assert_ok(queue(f, 'x', 10));
	link_flush(f->link);
	expect_frame(f, 'x', 10);
	link_watch(f->link); /* had there been more calls, they came before */
	EVENTUALLY(atomic_load(&f->left) == 2);
	assert_int_equal(atomic_load(&f->drained), 2);
	assert_false(atomic_load(&f->wrong_place));
}

static void read_a_little(int fd)
{
	uint8_t junk[16384];

	(void)!recv(fd, junk, sizeof junk, MSG_DONTWAIT);
}

/* The kernel takes little at a time: the outbox sinks slowly, and what passes
 * the mark is not the end yet. */
static void
a_link_is_drained_when_little_is_left_not_when_all_went(void **state)
{
	struct fixture *f = *state;
	int small = 16384;

	setsockopt(f->fd[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
	setsockopt(f->fd[1], SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
	stuff(f->fd[0]);
	f->link->limits.slow_ms = PATIENCE_MS;
	for (int i = 0; i < 11; i++)
		assert_ok(queue(f, 'f', 50000));
	link_flush(f->link);
	link_watch(f->link);
	assert_ok(link_start_writer(f->link));
	EVENTUALLY((read_a_little(f->fd[1]), atomic_load(&f->left) == 1));
	assert_in_range(atomic_load(&f->rest), 1, LINK_LOW);
}

static void whoever_sends_the_last_the_writer_tells(void **state)
{
	struct fixture *f = *state;

	assert_ok(link_start_writer(f->link));
	link_watch(f->link);
	EVENTUALLY(atomic_load(&f->left) == 1); /* it runs, and waits again */
	for (int i = 0; i < 2400; i++) /* much to count, little to send */
		assert_ok(queue(f, 'f', 1));
	link_watch(f->link);
	assert_int_equal(atomic_load(&f->drained), 1);
	link_flush(f->link);
	EVENTUALLY(atomic_load(&f->left) == 2);
	assert_false(atomic_load(&f->wrong_place));
}

static void an_empty_link_is_drained_as_soon_as_it_is_watched(void **state)
{
	struct fixture *f = *state;

	assert_ok(link_start_writer(f->link));
	link_watch(f->link);
	EVENTUALLY(atomic_load(&f->left) == 1);
	assert_false(atomic_load(&f->wrong_place));
}

static void a_link_watched_before_its_writer_runs_is_not_forgotten(void **state)
{
	struct fixture *f = *state;

	link_watch(f->link);
	assert_int_equal(atomic_load(&f->drained), 0);
	assert_ok(link_start_writer(f->link));
	EVENTUALLY(atomic_load(&f->left) == 1);
}

static void a_callback_may_watch_and_flush_again(void **state)
{
	struct fixture *f = *state;

	atomic_store(&f->again, 5);
	assert_ok(link_start_writer(f->link));
	link_watch(f->link);
	EVENTUALLY(atomic_load(&f->left) == 6);
}

static void a_full_link_that_ends_drains_for_nobody(void **state)
{
	struct fixture *f = *state;

	fill(f);
	link_watch(f->link);
	assert_ok(link_start_writer(f->link));
	link_abort(f->link); /* what is left is little, and means nothing */
	link_close(f->link);
	link_watch(f->link);
	assert_int_equal(atomic_load(&f->drained), 0);
}

static void a_link_that_says_goodbye_is_not_asked_for_more(void **state)
{
	struct fixture *f = *state;
	size_t n = fill(f);

	link_watch(f->link);
	link_finish(f->link);
	assert_ok(link_start_writer(f->link));
	expect_all(f, n);
	expect_end(f);
	link_watch(f->link);
	link_close(f->link);
	assert_int_equal(atomic_load(&f->drained), 0);
}

static void *close_and_look(void *arg)
{
	struct fixture *f = arg;

	link_close(f->link);
	/* As a return value: did the callback outlive it? */
	return atomic_load(&f->left) == 1 ? f : NULL;
}

static void closing_waits_for_a_callback_that_runs(void **state)
{
	struct fixture *f = *state;
	void *done = NULL;
	pthread_t closer;

	atomic_store(&f->hold, true);
	assert_ok(link_start_writer(f->link));
	link_watch(f->link);
	EVENTUALLY(atomic_load(&f->drained) == 1);
	assert_ok(thread_start(&closer, close_and_look, f, "close"));
	/* Its abort ends the link for us: it is inside of link_close now. */
	EVENTUALLY(queue(f, 'x', 1) == ERR_CLOSED);
	atomic_store(&f->hold, false);
	assert_int_equal(pthread_join(closer, &done), 0);
	assert_ptr_equal(done, f);
}

static void *watch_many(void *arg)
{
	struct fixture *f = arg;

	for (int i = 0; i < 1000; i++)
		link_watch(f->link);
	return NULL;
}

static void watching_from_many_threads_loses_nothing(void **state)
{
	struct fixture *f = *state;
	pthread_t threads[4];
	int before;

	assert_ok(link_start_writer(f->link));
	for (size_t i = 0; i < COUNT_OF(threads); i++)
		assert_ok(thread_start(&threads[i], watch_many, f, "watch"));
	for (size_t i = 0; i < COUNT_OF(threads); i++)
		thread_join(threads[i]);
	before = atomic_load(&f->left);
	assert_true(before <= 4000);
	link_watch(f->link);
	EVENTUALLY(atomic_load(&f->left) > before);
}

#define LINK_TEST(name) \
	cmocka_unit_test_setup_teardown(name, open_link, close_link)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LINK_TEST(what_waits_in_the_kernel_is_short),
		LINK_TEST(frames_leave_in_the_order_they_were_queued),
		LINK_TEST(more_frames_than_one_system_call_takes_all_leave),
		LINK_TEST(a_full_outbox_refuses_and_stays_as_it_was),
		LINK_TEST(what_the_kernel_does_not_take_is_left_to_the_writer),
		LINK_TEST(a_reader_that_takes_too_little_is_slow),
		LINK_TEST(waiting_for_room_ends_when_nothing_moves),
		LINK_TEST(a_stall_counts_from_the_last_byte),
		LINK_TEST(
			nobody_waits_longer_than_the_deadline_though_a_link_may_stall),
		LINK_TEST(a_link_that_finishes_is_not_waited_for),
		LINK_TEST(finishing_wakes_who_waits_for_room),
		LINK_TEST(ending_it_wakes_who_waits_for_room),
		LINK_TEST(waiting_for_room_ends_when_there_is_room),
		LINK_TEST(finishing_sends_the_rest_and_then_half_closes),
		LINK_TEST(finishing_a_full_link_sends_all_of_it_first),
		LINK_TEST(a_finished_link_does_not_wait_for_ever_for_the_end),
		LINK_TEST(aborting_wakes_the_reader_and_drops_the_queue),
		LINK_TEST(frames_of_many_threads_never_mix),
		LINK_TEST(a_watched_link_says_once_that_it_drained),
		LINK_TEST(
			a_link_is_drained_when_little_is_left_not_when_all_went),
		LINK_TEST(whoever_sends_the_last_the_writer_tells),
		LINK_TEST(an_empty_link_is_drained_as_soon_as_it_is_watched),
		LINK_TEST(
			a_link_watched_before_its_writer_runs_is_not_forgotten),
		LINK_TEST(a_callback_may_watch_and_flush_again),
		LINK_TEST(a_full_link_that_ends_drains_for_nobody),
		LINK_TEST(a_link_that_says_goodbye_is_not_asked_for_more),
		LINK_TEST(closing_waits_for_a_callback_that_runs),
		LINK_TEST(watching_from_many_threads_loses_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
