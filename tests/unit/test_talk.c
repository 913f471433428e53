#include "io/talk.h"

#include "sockets.h"

#include "wire/codec.h"

/* A caller's talk, and the raw end of the other side. */
struct fixture {
	struct waker waker;
	struct talk talk;
	int listener, far;
	struct addr addr;
};

static int open_talk(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	struct addr a = local_addr(ADDR_V4), remote;

	if (f == NULL || sock_listen(&a, &f->listener, &f->addr) != ERR_OK)
		return -1;
	waker_init(&f->waker);
	if (talk_open(&f->talk, NULL, &f->addr, &f->waker, SOON) != ERR_OK ||
	    sock_accept(f->listener, &f->far, &remote) != ERR_OK)
		return -1;
	*state = f;
	return 0;
}

static int close_talk(void **state)
{
	struct fixture *f = *state;

	talk_close(&f->talk);
	waker_destroy(&f->waker);
	sock_close(f->far);
	sock_close(f->listener);
	free(f);
	return 0;
}

static struct message liveliness(uint64_t nonce)
{
	struct message m = { .type = MSG_LIVELINESS };

	m.liveliness.nonce = nonce;
	return m;
}

static struct message liveliness_reply(uint64_t nonce)
{
	struct message m = { .type = MSG_LIVELINESS_REPLY };

	m.liveliness_reply.nonce = nonce;
	m.liveliness_reply.id.incarnation = 5;
	m.liveliness_reply.id.addr = local_addr(ADDR_V6);
	m.liveliness_reply.id.addr.port = 4000;
	return m;
}

/* The far side says it as a talk of its own. */
static void say(struct fixture *f, const struct message *m)
{
	struct talk far;

	talk_accept(&far, NULL, f->far, NULL, FRAME_BODY_MAX);
	assert_ok(talk_send(&far, m, SOON));
	talk_close(&far);
}

static void say_body(struct fixture *f, const char *body)
{
	uint8_t bytes[256];
	struct frame_head h = { .body_bytes = (uint32_t)strlen(body) };

	frame_head_write(&h, bytes);
	memcpy(bytes + FRAME_HEAD_BYTES, body, strlen(body));
	assert_ok(sock_send(f->far, bytes, FRAME_HEAD_BYTES + strlen(body),
			    SOON));
}

static void sends_and_receives_messages(void **state)
{
	struct fixture *f = *state;
	struct message m = liveliness(17), got;
	struct talk far;

	talk_accept(&far, NULL, f->far, NULL, FRAME_BODY_STRANGER_MAX);
	assert_ok(talk_send(&f->talk, &m, SOON));
	assert_ok(talk_recv(&far, &got, SOON));
	assert_int_equal(got.type, MSG_LIVELINESS);
	assert_int_equal(got.liveliness.nonce, 17);
	message_clear(&got);
	m = liveliness_reply(17);
	assert_ok(talk_send(&far, &m, SOON));
	assert_ok(talk_recv(&f->talk, &got, SOON));
	assert_int_equal(got.type, MSG_LIVELINESS_REPLY);
	message_clear(&got);
	talk_close(&far);
}

static void patience_ends_a_wait_like_a_deadline(void **state)
{
	struct fixture *f = *state;
	struct message m = liveliness(3), got;
	int64_t start_ms = clock_ms();

	talk_patience(&f->talk, 100);
	assert_int_equal(talk_recv(&f->talk, &got, start_ms + 100),
			 ERR_TIMEOUT);
	assert_true(clock_ms() >= start_ms + 99);
	/* Another deadline is kept all the same. */
	start_ms = clock_ms();
	assert_int_equal(talk_recv(&f->talk, &got, start_ms + 10), ERR_TIMEOUT);
	assert_true(clock_ms() < start_ms + 100);
	say(f, &m);
	assert_ok(talk_recv(&f->talk, &got, clock_ms() + 100));
	assert_int_equal(got.liveliness.nonce, 3);
	message_clear(&got);
}

struct drip {
	int fd;
	atomic_bool enough;
};

/* A frame at a byte in 20 ms. */
static void *drip(void *arg)
{
	struct drip *d = arg;
	uint8_t bytes[FRAME_HEAD_BYTES + 500] = { 0 };

	frame_head_write(&(struct frame_head){ .body_bytes = 500 }, bytes);
	for (size_t i = 0; i < sizeof bytes && !atomic_load(&d->enough); i++) {
		if (sock_send(d->fd, bytes + i, 1, SOON) != ERR_OK)
			break;
		nanosleep(&(struct timespec){ 0, 20000000 }, NULL);
	}
	return NULL;
}

static void what_trickles_in_does_not_renew_patience(void **state)
{
	struct fixture *f = *state;
	int64_t start_ms = clock_ms();
	struct drip d = { .fd = f->far };
	struct message got;
	pthread_t t;

	talk_patience(&f->talk, 300);
	assert_ok(thread_start(&t, drip, &d, "drip"));
	assert_int_equal(talk_recv(&f->talk, &got, start_ms + 300),
			 ERR_TIMEOUT);
	/* 508 bytes would take ten seconds. */
	assert_true(clock_ms() < start_ms + 5000);
	atomic_store(&d.enough, true);
	thread_join(t);
}

static void a_question_waits_for_its_kind_of_answer(void **state)
{
	struct fixture *f = *state;
	struct message m = liveliness(1), answer = liveliness_reply(1), got;

	say(f, &m);
	say_body(f, "{\"type\":\"Something New\"}");
	say(f, &m);
	say(f, &answer);
	assert_ok(talk_ask(&f->talk, &m, MSG_LIVELINESS_REPLY, &got, SOON));
	assert_int_equal(got.liveliness_reply.nonce, 1);
	message_clear(&got);
}

static void an_unknown_type_is_told_and_does_no_harm(void **state)
{
	struct fixture *f = *state;
	struct message m = liveliness(1), got;

	say_body(f, "{\"type\":\"Something New\"}");
	say(f, &m);
	assert_int_equal(talk_recv(&f->talk, &got, SOON), ERR_UNKNOWN);
	assert_ok(talk_recv(&f->talk, &got, SOON));
	message_clear(&got);
}

static void a_breach_comes_with_its_reason(void **state)
{
	static const struct {
		uint8_t head[FRAME_HEAD_BYTES];
		enum err want;
		const char *why;
	} cases[] = {
		{ { 2, 0, 0, 0, 0, 0, 0, 2 },
		  ERR_VERSION,
		  "protocol version 2 instead of 1" },
		{ { 1, 0, 0, 0, 0, 0, 0, 1 },
		  ERR_RANGE,
		  "frame length out of range" },
		{ { 1, 0, 0, 9, 0, 0, 0, 2 },
		  ERR_SYNTAX,
		  "malformed frame header" },
	};
	struct fixture *f = *state;
	struct message got;

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		inbox_free(&f->talk.inbox);
		assert_ok(sock_send(f->far, cases[i].head, FRAME_HEAD_BYTES,
				    SOON));
		assert_int_equal(talk_recv(&f->talk, &got, SOON),
				 cases[i].want);
		assert_string_equal(f->talk.why, cases[i].why);
	}
	inbox_free(&f->talk.inbox);
	say_body(f, "{\"type\":\"Liveliness\",\"nonce\":-1}");
	assert_int_equal(talk_recv(&f->talk, &got, SOON), ERR_SYNTAX);
	assert_true(strlen(f->talk.why) > 0);
}

static void a_stranger_may_say_little(void **state)
{
	static const uint8_t head[] = { 1, 0, 0, 0, 0, 0, 2, 1 };
	struct fixture *f = *state;
	struct message got;
	struct talk far;

	talk_accept(&far, NULL, f->far, NULL, FRAME_BODY_STRANGER_MAX);
	assert_ok(sock_send(f->talk.fd, head, sizeof head, SOON));
	assert_int_equal(talk_recv(&far, &got, SOON), ERR_RANGE);
	talk_close(&far);
}

struct dribbler {
	int fd;
	bool whole; /* whole frames, or bytes of one */
	atomic_bool enough;
};

/* Fast enough that there is always something to read. */
static void *dribble(void *arg)
{
	static const char promise[] = "\1\0\0\0\0\x10\0\0";
	static const char one[] = "\1\0\0\0\0\0\0\x1f"
				  "{\"type\":\"Liveliness\",\"nonce\":7}";
	struct dribbler *d = arg;
	char chatter[200 * (sizeof one - 1)];
	enum err e = ERR_OK;

	for (size_t i = 0; i < sizeof chatter; i += sizeof one - 1)
		memcpy(chatter + i, one, sizeof one - 1);
	if (!d->whole)
		e = sock_send(d->fd, promise, 8, SOON);
	while (e == ERR_OK && !atomic_load(&d->enough)) {
		if (d->whole)
			e = sock_send(d->fd, chatter, sizeof chatter, SOON);
		else
			e = sock_send(d->fd, "x", 1, SOON);
	}
	return NULL;
}

static void dribble_against(struct fixture *f, bool whole)
{
	struct dribbler d = { .fd = f->far, .whole = whole };
	struct message m = liveliness(3), got;
	int64_t start_ms = clock_ms();
	pthread_t t;

	assert_ok(thread_start(&t, dribble, &d, "dribbler"));
	assert_int_equal(
		talk_ask(&f->talk, &m, MSG_PEER_LIST, &got, start_ms + 200),
		ERR_TIMEOUT);
	assert_true(clock_ms() >= start_ms + 200);
	assert_true(clock_ms() < start_ms + 5000);
	atomic_store(&d.enough, true);
	sock_shutdown(f->far);
	thread_join(t);
}

static void dribbled_bytes_do_not_stretch_a_deadline(void **state)
{
	dribble_against(*state, false);
}

static void endless_chatter_does_not_stretch_a_deadline(void **state)
{
	dribble_against(*state, true);
}

static void silence_ends_at_the_deadline(void **state)
{
	struct fixture *f = *state;
	struct message got;
	int64_t start_ms = clock_ms();

	assert_int_equal(talk_recv(&f->talk, &got, start_ms + 50), ERR_TIMEOUT);
	assert_true(clock_ms() >= start_ms + 50);
}

static void nobody_reading_ends_at_the_deadline(void **state)
{
	struct fixture *f = *state;
	struct message m = liveliness(3);
	int64_t until_ms = SOON;
	enum err e = ERR_OK;

	stuff(f->talk.fd);
	while (e == ERR_OK && clock_ms() < until_ms)
		e = talk_send(&f->talk, &m, clock_ms() + 50);
	assert_int_equal(e, ERR_TIMEOUT);
}

static void the_end_of_the_stream_is_told(void **state)
{
	struct fixture *f = *state;
	struct message got;

	assert_ok(sock_send(f->far, "\1\0\0", 3, SOON));
	sock_shutdown(f->far);
	assert_int_equal(talk_recv(&f->talk, &got, SOON), ERR_CLOSED);
}

static void *stop_waker(void *arg)
{
	waker_stop(arg);
	return NULL;
}

static void a_stop_ends_a_talk(void **state)
{
	struct fixture *f = *state;
	struct message m = liveliness(3), got;
	pthread_t t;

	assert_ok(thread_start(&t, stop_waker, &f->waker, "stopper"));
	assert_int_equal(talk_ask(&f->talk, &m, MSG_PEER_LIST, &got, SOON),
			 ERR_STOPPED);
	thread_join(t);
	assert_int_equal(talk_send(&f->talk, &m, SOON), ERR_STOPPED);
}

static void a_stop_ends_an_open_that_hangs(void **state)
{
	struct full_listener full;
	struct waker w;
	struct talk t;
	pthread_t stopper;

	(void)state;
	full_listener_open(&full);
	waker_init(&w);
	assert_ok(thread_start(&stopper, stop_waker, &w, "stopper"));
	assert_int_equal(talk_open(&t, NULL, &full.addr, &w, SOON),
			 ERR_STOPPED);
	thread_join(stopper);
	waker_destroy(&w);
	full_listener_close(&full);
}

static void an_open_that_fails_leaves_nothing_open(void **state)
{
	size_t before = fd_count();
	struct addr bound;
	struct waker w;
	struct talk t;
	int fd = listen_local(ADDR_V6, &bound);

	(void)state;
	sock_close(fd);
	waker_init(&w);
	assert_int_equal(talk_open(&t, NULL, &bound, &w, SOON), ERR_REFUSED);
	assert_int_equal(talk_open(&t, NULL, &bound, NULL, SOON), ERR_REFUSED);
	waker_stop(&w); /* must not touch what is closed */
	assert_int_equal(talk_open(&t, NULL, &bound, &w, SOON), ERR_STOPPED);
	waker_destroy(&w);
	assert_int_equal(fd_count(), before);
}

static void a_borrowed_descriptor_stays_open(void **state)
{
	struct fixture *f = *state;
	struct message m = liveliness(1);

	say(f, &m); /* opens and closes a talk of its own */
	say(f, &m);
	assert_ok(sock_send(f->far, "x", 1, SOON));
}

static void a_taken_descriptor_outlives_talk_and_waker(void **state)
{
	struct fixture *f = *state;
	struct message m = liveliness(1), got;
	int fd;

	say(f, &m);
	say(f, &m);
	assert_ok(talk_recv(&f->talk, &got, SOON));
	message_clear(&got);
	fd = talk_take_fd(&f->talk);
	waker_stop(&f->waker);
	/* What had come with the first message is still there. */
	assert_ok(talk_recv(&f->talk, &got, SOON));
	message_clear(&got);
	talk_close(&f->talk);
	assert_ok(sock_send(fd, "x", 1, SOON));
	sock_close(fd);
}

#define TALK_TEST(name) \
	cmocka_unit_test_setup_teardown(name, open_talk, close_talk)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TALK_TEST(sends_and_receives_messages),
		TALK_TEST(a_question_waits_for_its_kind_of_answer),
		TALK_TEST(an_unknown_type_is_told_and_does_no_harm),
		TALK_TEST(a_breach_comes_with_its_reason),
		TALK_TEST(a_stranger_may_say_little),
		TALK_TEST(dribbled_bytes_do_not_stretch_a_deadline),
		TALK_TEST(endless_chatter_does_not_stretch_a_deadline),
		TALK_TEST(patience_ends_a_wait_like_a_deadline),
		TALK_TEST(what_trickles_in_does_not_renew_patience),
		TALK_TEST(silence_ends_at_the_deadline),
		TALK_TEST(nobody_reading_ends_at_the_deadline),
		TALK_TEST(the_end_of_the_stream_is_told),
		TALK_TEST(a_stop_ends_a_talk),
		cmocka_unit_test(a_stop_ends_an_open_that_hangs),
		cmocka_unit_test(an_open_that_fails_leaves_nothing_open),
		TALK_TEST(a_borrowed_descriptor_stays_open),
		TALK_TEST(a_taken_descriptor_outlives_talk_and_waker),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
