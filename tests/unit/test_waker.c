#include "io/waker.h"

#include "sockets.h"

/* A thread that blocks on fd under a waker, and what came of it. */
struct victim {
	struct waker waker;
	int fd;
	struct addr to;
	int64_t deadline_ms;
	enum err (*act)(struct victim *v);
	atomic_int tid;
	enum err result;
};

static enum err act_recv(struct victim *v)
{
	char c;
	size_t got;

	return sock_recv(v->fd, &c, 1, &got, v->deadline_ms);
}

static enum err act_send(struct victim *v)
{
	static char more_than_fits[32 << 20];

	return sock_send(v->fd, more_than_fits, sizeof more_than_fits,
			 v->deadline_ms);
}

static enum err act_accept(struct victim *v)
{
	struct addr remote;
	int fd;

	return sock_accept(v->fd, &fd, &remote);
}

static enum err act_connect(struct victim *v)
{
	return sock_connect(v->fd, &v->to, v->deadline_ms);
}

static enum err act_sleep(struct victim *v)
{
	return waker_sleep(&v->waker, v->deadline_ms);
}

static void *run_victim(void *arg)
{
	struct victim *v = arg;

	atomic_store(&v->tid, gettid());
	v->result = v->act(v);
	return NULL;
}

/* Starts it, waits until it is blocked, stops the waker: it must be back long
 * before its deadline. */
static enum err wake(struct victim *v)
{
	pthread_t t;

	waker_init(&v->waker);
	assert_ok(waker_watch(&v->waker, v->fd));
	assert_ok(thread_start(&t, run_victim, v, "victim"));
	EVENTUALLY(atomic_load(&v->tid) != 0 && asleep(atomic_load(&v->tid)));
	waker_stop(&v->waker);
	thread_join(t);
	waker_unwatch(&v->waker);
	waker_destroy(&v->waker);
	return v->result;
}

static void wakes_a_recv_with_and_without_deadline(void **state)
{
	int64_t deadlines[] = { INT64_MAX, SOON };
	int fd[2];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(deadlines); i++) {
		struct victim v = { .act = act_recv,
				    .deadline_ms = deadlines[i] };

		tcp_pair(ADDR_V4, fd);
		v.fd = fd[0];
		assert_int_equal(wake(&v), ERR_CLOSED);
		sock_close(fd[0]);
		sock_close(fd[1]);
	}
}

static void wakes_a_send_that_nobody_reads(void **state)
{
	struct victim v = { .act = act_send, .deadline_ms = SOON };
	int fd[2];

	(void)state;
	tcp_pair(ADDR_V4, fd);
	v.fd = fd[0];
	assert_int_equal(wake(&v), ERR_RESET);
	sock_close(fd[0]);
	sock_close(fd[1]);
}

static void wakes_an_accept(void **state)
{
	struct victim v = { .act = act_accept };
	struct addr bound;

	(void)state;
	v.fd = listen_local(ADDR_V4, &bound);
	assert_int_equal(wake(&v), ERR_SYSTEM);
	sock_close(v.fd);
}

static void wakes_a_connect_that_hangs(void **state)
{
	struct victim v = { .act = act_connect, .deadline_ms = SOON };
	struct full_listener full;

	(void)state;
	full_listener_open(&full);
	v.to = full.addr;
	assert_ok(sock_open(&v.to, &v.fd));
	assert_int_equal(wake(&v), ERR_SYSTEM);
	sock_close(v.fd);
	full_listener_close(&full);
}

static void ends_a_connect_that_begins_after_the_stop(void **state)
{
	int64_t start_ms = clock_ms();
	struct full_listener full;
	struct waker w;
	int fd;

	(void)state;
	full_listener_open(&full);
	waker_init(&w);
	assert_ok(sock_open(&full.addr, &fd));
	assert_ok(waker_watch(&w, fd));
	waker_stop(&w);
	assert_int_equal(sock_connect(fd, &full.addr, SOON), ERR_SYSTEM);
	assert_true(clock_ms() < start_ms + PATIENCE_MS / 2);
	waker_unwatch(&w);
	waker_destroy(&w);
	sock_close(fd);
	full_listener_close(&full);
}

static void wakes_a_sleeper(void **state)
{
	struct victim v = { .act = act_sleep,
			    .fd = -1,
			    .deadline_ms = INT64_MAX };

	(void)state;
	assert_int_equal(wake(&v), ERR_STOPPED);
}

static void a_sleep_ends_at_its_deadline(void **state)
{
	int64_t start_ms = clock_ms();
	struct waker w;

	(void)state;
	waker_init(&w);
	assert_int_equal(waker_sleep(&w, start_ms + 20), ERR_TIMEOUT);
	assert_true(clock_ms() >= start_ms + 19);
	assert_int_equal(waker_sleep(&w, start_ms), ERR_TIMEOUT);
	waker_destroy(&w);
}

static void a_stopped_waker_refuses_everything(void **state)
{
	struct waker w;

	(void)state;
	waker_init(&w);
	assert_false(waker_stopped(&w));
	waker_stop(&w);
	waker_stop(&w);
	assert_true(waker_stopped(&w));
	assert_int_equal(waker_watch(&w, 0), ERR_STOPPED);
	assert_int_equal(waker_sleep(&w, INT64_MAX), ERR_STOPPED);
	waker_destroy(&w);
}

static void leaves_alone_what_it_does_not_watch(void **state)
{
	struct waker w;
	int fd[2];
	char c = 0;
	size_t got = 0;

	(void)state;
	tcp_pair(ADDR_V6, fd);
	waker_init(&w);
	assert_ok(waker_watch(&w, fd[0]));
	waker_unwatch(&w);
	waker_stop(&w);
	assert_ok(sock_send(fd[0], "x", 1, SOON));
	assert_ok(sock_recv(fd[1], &c, 1, &got, SOON));
	assert_int_equal(c, 'x');
	waker_destroy(&w);
	sock_close(fd[0]);
	sock_close(fd[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wakes_a_recv_with_and_without_deadline),
		cmocka_unit_test(wakes_a_send_that_nobody_reads),
		cmocka_unit_test(wakes_an_accept),
		cmocka_unit_test(wakes_a_connect_that_hangs),
		cmocka_unit_test(ends_a_connect_that_begins_after_the_stop),
		cmocka_unit_test(wakes_a_sleeper),
		cmocka_unit_test(a_sleep_ends_at_its_deadline),
		cmocka_unit_test(a_stopped_waker_refuses_everything),
		cmocka_unit_test(leaves_alone_what_it_does_not_watch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
