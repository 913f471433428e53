/* Two ends of a connection, with keys: greeting, talk, inbox and link. */
#include "io/greeting.h"

#include "sockets.h"

#include "io/link.h"
#include "io/talk.h"
#include "io/thread.h"
#include "wire/codec.h"

#include <sys/stat.h>
#include <unistd.h>

#define KEY_1 "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n"
#define KEY_2 "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=\n"

struct fixture {
	struct keys *keys, *others;
	struct greeting dialer, answerer;
	int fd[2];
	pthread_t thread;
	/* What came of dialing. */
	struct channel channel;
	struct greeted greeted;
	enum err e;
};

static struct keys *keys_of(const char *text)
{
	char path[] = "/tmp/test_greeting.XXXXXX";
	struct keys *k = NULL;
	struct buf why = { 0 };
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	assert_int_equal(keys_open(&k, path, &why), ERR_OK);
	unlink(path);
	return k;
}

static int open_both(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	if (f == NULL || crypto_init() != ERR_OK)
		return -1;
	f->keys = keys_of(KEY_1);
	f->others = keys_of(KEY_2);
	f->dialer = (struct greeting){ f->keys, CHANNEL_TO_PEER };
	f->answerer = f->dialer;
	tcp_pair(ADDR_V4, f->fd);
	*state = f;
	return 0;
}

static int close_both(void **state)
{
	struct fixture *f = *state;

	channel_free(&f->channel);
	keys_close(f->keys);
	keys_close(f->others);
	sock_close(f->fd[0]);
	sock_close(f->fd[1]);
	free(f);
	return 0;
}

static void *dial(void *arg)
{
	struct fixture *f = arg;

	f->e = greeting_dial(&f->dialer, f->fd[0], &f->channel, &f->greeted,
			     SOON);
	return NULL;
}

static void start_dialing(struct fixture *f)
{
	assert_ok(thread_start(&f->thread, dial, f, "dial"));
}

/* Both greet; the answerer's talk is the result. */
static enum err greet(struct fixture *f, struct talk *far, struct message *m)
{
	enum err e;

	start_dialing(f);
	talk_accept(far, &f->answerer, f->fd[1], NULL, FRAME_BODY_STRANGER_MAX);
	e = talk_recv(far, m, clock_ms() + 300);
	if (e == ERR_KEY) /* as whoever accepted does */
		sock_shutdown(f->fd[1]);
	thread_join(f->thread);
	return e;
}

static void members_greet(void **state)
{
	struct fixture *f = *state;
	struct message m;
	struct talk far;

	assert_int_equal(greet(f, &far, &m), ERR_TIMEOUT);
	assert_ok(f->e);
	assert_true(channel_is_keyed(&f->channel));
	assert_true(key_id_equal(&f->channel.key, &far.channel.key));
	talk_close(&far);
	/* It said so. */
	{
		struct inbox in;
		size_t got;

		inbox_init(&in, &f->channel, FRAME_BODY_MAX);
		sock_shutdown(f->fd[1]);
		assert_ok(inbox_fill(&in, f->fd[0], SOON, &got));
		assert_int_equal(inbox_fill(&in, f->fd[0], SOON, &got),
				 ERR_CLOSED);
		inbox_free(&in);
	}
}

static void who_is_cut_off_is_told(void **state)
{
	struct fixture *f = *state;
	struct message m;
	struct talk far;
	struct inbox in;
	size_t got;

	assert_int_equal(greet(f, &far, &m), ERR_TIMEOUT);
	sock_shutdown(f->fd[1]);
	inbox_init(&in, &f->channel, FRAME_BODY_MAX);
	assert_int_equal(inbox_fill(&in, f->fd[0], SOON, &got), ERR_RESET);
	inbox_free(&in);
	talk_close(&far);
}

static void strangers_do_not(void **state)
{
	struct fixture *f = *state;
	struct message m;
	struct talk far;

	f->dialer.keys = f->others;
	assert_int_equal(greet(f, &far, &m), ERR_KEY);
	assert_int_equal(f->e, ERR_KEY);
	assert_non_null(strstr(f->greeted.why, "no answer to key "));
	assert_non_null(strstr(far.why, " is none of ours"));
	assert_false(channel_is_keyed(&far.channel));
	assert_false(channel_is_keyed(&f->channel));
	talk_close(&far);
}

static void nor_does_who_means_another_kind(void **state)
{
	struct fixture *f = *state;
	struct message m;
	struct talk far;

	f->dialer.role = CHANNEL_TO_SEED;
	assert_int_equal(greet(f, &far, &m), ERR_KEY);
	assert_int_equal(f->e, ERR_KEY);
	assert_non_null(strstr(far.why, "another kind of daemon"));
	talk_close(&far);
}

static void who_says_less_than_a_hello_is_waited_for_and_let_go(void **state)
{
	struct fixture *f = *state;
	struct message m;
	struct talk far;

	assert_ok(sock_send(f->fd[0], "\xd5SnP", 4, SOON));
	talk_accept(&far, &f->answerer, f->fd[1], NULL, 512);
	assert_int_equal(talk_recv(&far, &m, clock_ms() + 100), ERR_TIMEOUT);
	talk_close(&far);
}

static void a_member_whose_key_was_removed_is_none(void **state)
{
	struct fixture *f = *state;
	struct message m;
	struct talk far;

	assert_int_equal(greet(f, &far, &m), ERR_TIMEOUT);
	f->answerer.keys = f->others;
	assert_int_equal(talk_recv(&far, &m, SOON), ERR_KEY);
	assert_string_equal(far.why, "its key was removed");
	talk_close(&far);
}

/* --- links ------------------------------------------------------------ */

static struct frame *frame_of(size_t n, uint8_t c)
{
	struct frame *x = frame_new((uint32_t)n);

	assert_non_null(x);
	memset(x->body, c, n);
	return x;
}

static void *run_near(void *arg)
{
	struct fixture *f = arg;
	static struct link_limits limits = { .outbox_max = 8 << 20,
					     .slow_ms = 5000,
					     .slow_bytes = 1 };
	struct talk t = { .fd = f->fd[0] };
	struct link *l;

	channel_move(&t.channel, &f->channel);
	inbox_init(&t.inbox, &t.channel, FRAME_BODY_MAX);
	l = link_new(&t, &limits, NULL, NULL);
	assert_non_null(l);
	assert_ok(link_start_writer(l));
	for (unsigned i = 0; i < 1000; i++) {
		struct frame *x = frame_of(2 + i * 3, (uint8_t)i);
		struct frame_head head = { .body_bytes = x->body_bytes };

		assert_ok(link_queue(l, &head, x));
		frame_release(x);
		if (i % 7 == 0)
			link_flush(l);
	}
	link_flush(l);
	link_finish(l);
	assert_true(link_wait_room(l, 0, clock_ms(), 5000, SOON));
	/* Its end has been read when the other side says its own. */
	{
		size_t got;

		assert_ok(inbox_fill(&l->inbox, l->fd, SOON, &got));
		assert_int_equal(inbox_fill(&l->inbox, l->fd, SOON, &got),
				 ERR_CLOSED);
	}
	link_close(l);
	link_release(l);
	return NULL;
}

static void a_link_says_all_and_its_end(void **state)
{
	struct fixture *f = *state;
	struct message m;
	struct talk far;
	enum err e = ERR_OK;
	unsigned seen = 0;
	size_t got;

	assert_int_equal(greet(f, &far, &m), ERR_TIMEOUT);
	far.inbox.body_max = FRAME_BODY_MAX;
	assert_ok(thread_start(&f->thread, run_near, f, "near"));
	while (e == ERR_OK) {
		struct frame_head head;
		struct frame *x;

		while (inbox_next(&far.inbox, &head, &x) == ERR_OK) {
			assert_int_equal(x->body_bytes, 2 + seen * 3);
			assert_int_equal(x->body[0], (uint8_t)seen);
			assert_int_equal(x->body[x->body_bytes - 1],
					 (uint8_t)seen);
			frame_release(x);
			seen++;
		}
		e = inbox_fill(&far.inbox, far.fd, SOON, &got);
	}
	assert_int_equal(e, ERR_CLOSED); /* not a cut */
	assert_int_equal(seen, 1000);
	talk_close(&far);
	sock_shutdown(f->fd[1]);
	thread_join(f->thread);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_both, close_both)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(members_greet),
		TEST(who_is_cut_off_is_told),
		TEST(strangers_do_not),
		TEST(nor_does_who_means_another_kind),
		TEST(who_says_less_than_a_hello_is_waited_for_and_let_go),
		TEST(a_member_whose_key_was_removed_is_none),
		TEST(a_link_says_all_and_its_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
