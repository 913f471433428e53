/* Flow control of the hub: a scripted node in place of core/node.c says what
 * is to be sent, real links and a real output tell how it went. */
#include "peer/hub.h"

#include "scarce.h"
#include "sockets.h"

#include "io/talk.h"
#include "peer/output.h"

#include <fcntl.h>

/* What a part of the peer tells main: linked instead of main.c. */
void peer_finish(struct peer *p, int status)
{
	(void)p;
	(void)status;
}

/* --- a node that does as it is told ----------------------------------- */

struct node {
	/* What to do upon an event of some kind; NULL: nothing. */
	void (*on[EV_STOP + 1])(const struct event *ev, struct effects *out);
};

static struct node node;
static atomic_int events[EV_STOP + 1];       /* how many came */
static atomic_llong deadline_ms = INT64_MAX; /* of the next tick */
static bool refuses;           /* to publish, for want of memory */
static atomic_int output_slow; /* of the last EV_OUTPUT */
static struct identity self;

struct node *node_new(const struct node_options *o)
{
	self = o->self;
	return &node;
}

void node_free(struct node *n)
{
	(void)n;
}

void node_step(struct node *n, int64_t now_ms, const struct event *ev,
	       struct effects *out)
{
	(void)now_ms;
	effects_clear(out);
	atomic_fetch_add(&events[ev->kind], 1);
	if (ev->kind == EV_TICK)
		atomic_store(&deadline_ms, INT64_MAX);
	if (ev->kind == EV_OUTPUT)
		atomic_store(&output_slow, ev->output_slow);
	if (n->on[ev->kind] != NULL)
		n->on[ev->kind](ev, out);
}

int64_t node_deadline_ms(const struct node *n)
{
	(void)n;
	return atomic_load(&deadline_ms);
}

const struct identity *node_self(const struct node *n)
{
	(void)n;
	return &self;
}

uint64_t node_next_seq(const struct node *n)
{
	(void)n;
	return refuses ? 1 : 1 + (uint64_t)atomic_load(&events[EV_PUBLISH]);
}

size_t node_neighbors(const struct node *n, struct neighbor out[LINK_SLOTS])
{
	(void)n;
	(void)out;
	return 0;
}

size_t node_neighbor_count(const struct node *n)
{
	(void)n;
	return 0;
}

struct node_stats node_stats(const struct node *n)
{
	(void)n;
	return (struct node_stats){ 0 };
}

struct frame *node_find(struct node *n, const char *hex, size_t digits,
			struct hash *id, bool *several)
{
	(void)n;
	(void)hex;
	(void)digits;
	(void)id;
	(void)several;
	return NULL;
}

/* --- scripts ---------------------------------------------------------- */

static uint8_t next_slot; /* of the link that asks next */
static struct frame *big; /* what is sent */
static link_set targets = 1;
static int copies = 1;

static void accept_it(const struct event *ev, struct effects *out)
{
	struct effect *e = effects_add(out, EF_VERDICT);

	(void)ev;
	e->link = next_slot++;
	e->say.type = MSG_PEER_REPLY;
	e->say.peer_reply.id = self;
}

static void send_big(const struct event *ev, struct effects *out)
{
	(void)ev;
	for (int i = 0; i < copies; i++) {
		struct effect *e = effects_add(out, EF_SEND);

		e->links = targets;
		e->send.frame = big;
		e->send.head.body_bytes = big->body_bytes;
	}
}

static void send_and_unlink(const struct event *ev, struct effects *out)
{
	struct effect *e;

	send_big(ev, out);
	e = effects_add(out, EF_UNLINK);
	e->link = 0;
	e->unlink.cause = UNLINK_RESET;
}

static void watch_it(const struct event *ev, struct effects *out)
{
	effects_add(out, EF_WATCH)->link = ev->link;
	effects_add(out, EF_WATCH)->link = 9; /* there is no such link */
}

static void deliver_it(const struct event *ev, struct effects *out)
{
	(void)ev;
	effects_add(out, EF_DELIVER);
}

static void lose_some(const struct event *ev, struct effects *out)
{
	struct effect *e = effects_add(out, EF_LOST);

	(void)ev;
	e->lost = (struct range){ self, 2, 4 };
}

/* --- a hub with links -------------------------------------------------- */

#define OUTBOX_BYTES (1 << 20)
#define BIG_BYTES 360000 /* two fit into an outbox, three do not */

struct fixture {
	struct peer peer;
	struct config config;
	struct options options;
	struct link *links[2];
	int near[2], far[2];
	int read_fd, write_fd; /* of the output */
};

static void on_drained(struct link *l)
{
	struct peer *p = l->owner;

	hub_on_drained(p->hub, l);
}

static void on_caught_up(struct peer *p)
{
	hub_on_output(p->hub);
}

static void open_link(struct fixture *f, size_t i)
{
	static const struct link_limits limits = { .outbox_max = OUTBOX_BYTES,
						   .slow_ms = PATIENCE_MS,
						   .slow_bytes = 1 };
	struct msg_peer_request request = { .neighbors = 0 };
	int fd[2];
	struct talk t;

	tcp_pair(ADDR_V4, fd);
	f->near[i] = fd[0];
	f->far[i] = fd[1];
	talk_accept(&t, NULL, fd[0], NULL, FRAME_BODY_STRANGER_MAX);
	f->links[i] = link_new(&t, &limits, NULL, on_drained);
	assert_non_null(f->links[i]);
	f->links[i]->owner = &f->peer;
	assert_true(
		hub_on_request(f->peer.hub, f->links[i], &self.addr, &request));
}

static int open_hub(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	struct node_options o = { .self = { .incarnation = 7 } };
	int fd[2];

	if (f == NULL || pipe(fd) != 0)
		return -1;
	f->read_fd = fd[0];
	f->write_fd = fd[1];
	config_init(&f->config);
	f->config.gossip.outbox_max = OUTBOX_BYTES;
	f->config.gossip.outbox_high = 65536;
	f->config.gossip.publish_wait_ms = PATIENCE_MS;
	f->config.gossip.forward_wait_ms = PATIENCE_MS;
	f->config.gossip.slow_ms = PATIENCE_MS;
	f->peer.config = &f->config;
	f->peer.options = &f->options;
	memset(&node, 0, sizeof node);
	for (size_t i = 0; i < COUNT_OF(events); i++)
		atomic_store(&events[i], 0);
	next_slot = 0;
	targets = 1;
	copies = 1;
	o.self.addr = local_addr(ADDR_V4);
	o.self.addr.port = 4000;
	assert_ok(hub_new(&f->peer.hub, &f->peer, &o));
	history_init(&f->peer.history);
	node.on[EV_REQUEST] = accept_it;
	big = frame_new(BIG_BYTES);
	assert_non_null(big);
	memset(big->body, 'b', BIG_BYTES);
	open_link(f, 0);
	open_link(f, 1);
	*state = f;
	return 0;
}

static int close_hub(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < COUNT_OF(f->links); i++)
		link_close(f->links[i]);
	if (f->peer.output != NULL)
		output_close(f->peer.output, clock_ms());
	hub_free(f->peer.hub);
	for (size_t i = 0; i < COUNT_OF(f->links); i++) {
		link_release(f->links[i]);
		sock_close(f->near[i]);
		sock_close(f->far[i]);
	}
	history_free(&f->peer.history);
	frame_release(big);
	close(f->read_fd);
	close(f->write_fd);
	free(f);
	return 0;
}

static void open_output(struct fixture *f)
{
	struct output_config c = { .fd = f->write_fd,
				   .max_bytes = 1 << 20,
				   .json = true,
				   .peer = &f->peer,
				   .caught_up = on_caught_up };

	f->options.receive = true;
	assert_ok(output_start(&f->peer.output, &c));
}

static struct parcel *parcel(size_t n)
{
	static uint8_t text[65536];
	struct message m = { .type = MSG_MESSAGE };
	struct frame_head head = { 0 };
	struct frame *fr = NULL;
	struct parcel *p = NULL;
	const char *why;

	memset(text, 'x', sizeof text);
	m.message.origin = self;
	m.message.seq = 1;
	m.message.data = text;
	m.message.data_bytes = n;
	assert_ok(codec_encode(&m, &fr));
	head.body_bytes = fr->body_bytes;
	assert_ok(parcel_new(&p, &head, fr, NULL, &why));
	return p;
}

static enum err publish_it(struct fixture *f, struct parcel *p)
{
	size_t sent;
	enum err e = hub_publish(f->peer.hub, &p, 1, &sent);

	assert_int_equal(sent, e == ERR_OK);
	return e;
}

static void publish(struct fixture *f)
{
	struct parcel *p = parcel(10);

	assert_ok(publish_it(f, p));
	parcel_release(p);
}

/* A frame came over link 1. */
static void hear(struct fixture *f)
{
	struct parcel *p = parcel(10);

	hub_on_frames(f->peer.hub, f->links[1], &p, 1);
	parcel_release(p);
}

static void read_some(int fd)
{
	static char junk[1 << 20];

	(void)!fcntl(fd, F_SETFL, O_NONBLOCK);
	(void)!read(fd, junk, sizeof junk);
}

static int count(enum event_kind k)
{
	return atomic_load(&events[k]);
}

/* --- full -------------------------------------------------------------- */

static void a_full_link_is_told_once_whatever_the_answer(void **state)
{
	struct fixture *f = *state;

	node.on[EV_PUBLISH] = send_big;
	node.on[EV_FULL] = send_big; /* which does not fit either */
	copies = 5;
	publish(f);
	assert_int_equal(count(EV_FULL), 1);
	assert_int_equal(count(EV_DOWN), 0);
	assert_true(atomic_load(&f->links[0]->behind));
	assert_false(atomic_load(&f->links[1]->behind));
}

static void each_full_link_is_told(void **state)
{
	struct fixture *f = *state;

	node.on[EV_PUBLISH] = send_big;
	copies = 3;
	targets = 3;
	publish(f);
	assert_int_equal(count(EV_FULL), 2);
}

static void a_link_that_is_full_again_later_is_told_again(void **state)
{
	struct fixture *f = *state;

	node.on[EV_PUBLISH] = send_big;
	copies = 3;
	stuff(f->near[0]);
	publish(f);
	publish(f);
	assert_int_equal(count(EV_FULL), 2);
}

static void a_link_that_went_is_not_told_that_it_was_full(void **state)
{
	struct fixture *f = *state;

	node.on[EV_PUBLISH] = send_and_unlink;
	copies = 3;
	publish(f);
	assert_int_equal(count(EV_FULL), 0);
}

/* --- memory ------------------------------------------------------------ */

static void drop_one(const struct event *ev, struct effects *out)
{
	(void)ev;
	out->dropped++;
}

/* Starts the ticker, and waits for its first tick. */
static void tick(struct fixture *f)
{
	int before = count(EV_TICK);

	atomic_store(&deadline_ms, 0);
	assert_ok(hub_start(f->peer.hub));
	EVENTUALLY(count(EV_TICK) > before);
}

static void end_ticks(struct fixture *f)
{
	hub_stop(f->peer.hub);
	hub_join(f->peer.hub);
}

/* Nobody knows whom it was for. At a tick: at once there is no memory either,
 * and they would be told without end. */
static void when_an_effect_found_no_memory_every_link_is_told(void **state)
{
	struct fixture *f = *state;

	node.on[EV_PUBLISH] = drop_one;
	publish(f);
	assert_int_equal(count(EV_FULL), 0);
	tick(f);
	EVENTUALLY(count(EV_FULL) == 2);
	node.on[EV_PUBLISH] = NULL;
	publish(f);
	assert_int_equal(count(EV_FULL), 2);
	end_ticks(f);
}

static void say_have(const struct event *ev, struct effects *out)
{
	static struct range v;
	struct effect *e = effects_add(out, EF_SAY);

	(void)ev;
	e->links = 2;
	e->say.type = MSG_HAVE;
	v = (struct range){ self, 1, 1 };
	e->say.have.ranges = (struct range_list){ &v, 1 };
}

static void what_could_not_be_said_for_want_of_memory_is_told(void **state)
{
	struct fixture *f = *state;
	struct parcel *p = parcel(10);
	enum err e;

	node.on[EV_PUBLISH] = say_have;
	scarce_after(0, false);
	e = publish_it(f, p);
	assert_int_equal(scarce_end(), 1);
	parcel_release(p);
	assert_ok(e);
	assert_int_equal(count(EV_FULL), 0);
	tick(f);
	EVENTUALLY(count(EV_FULL) == 1);
	end_ticks(f);
}

/* The node says so by leaving its sequence number as it was. */
static void who_publishes_hears_that_there_was_no_memory(void **state)
{
	struct fixture *f = *state;
	struct parcel *p = parcel(10);

	refuses = true;
	assert_int_equal(publish_it(f, p), ERR_NOMEM);
	refuses = false;
	assert_ok(publish_it(f, p));
	parcel_release(p);
}

/* --- waiting ----------------------------------------------------------- */

static void a_publisher_waits_once_for_a_neighbor_that_is_stuck(void **state)
{
	struct fixture *f = *state;
	int64_t begun;

	node.on[EV_PUBLISH] = send_big;
	f->config.gossip.publish_wait_ms = 30;
	stuff(f->near[0]);
	publish(f);
	assert_int_equal(count(EV_FULL), 0); /* it fits, but is far behind */
	hub_wait_room(f->peer.hub);
	assert_int_equal(count(EV_FULL), 1);
	f->config.gossip.publish_wait_ms = 2 * PATIENCE_MS;
	begun = clock_ms();
	publish(f);
	hub_wait_room(f->peer.hub);
	assert_true(clock_ms() - begun < PATIENCE_MS);
	assert_int_equal(count(EV_FULL), 1);
}

static void *read_all(void *arg)
{
	uint8_t junk[65536];
	size_t got;

	while (sock_recv(*(int *)arg, junk, sizeof junk, &got, SOON) == ERR_OK)
		;
	return NULL;
}

static void a_publisher_waits_for_nobody_he_did_not_send_to(void **state)
{
	struct fixture *f = *state;
	int64_t begun = clock_ms();
	pthread_t far;

	assert_ok(link_start_writer(f->links[1]));
	assert_ok(thread_start(&far, read_all, &f->far[1], "far"));
	node.on[EV_FRAME] =
		send_big; /* fits, less than three eighths of an outbox */
	node.on[EV_PUBLISH] = send_big;
	f->config.gossip.publish_wait_ms = 2 * PATIENCE_MS;
	stuff(f->near[0]);
	hear(f);
	targets = 2;
	publish(f);
	hub_wait_room(f->peer.hub);
	assert_true(clock_ms() - begun < PATIENCE_MS);
	assert_int_equal(count(EV_FULL), 0);
	link_abort(f->links[1]);
	thread_join(far);
}

static void a_reader_waits_once_for_a_neighbor_that_is_stuck(void **state)
{
	struct fixture *f = *state;
	int64_t begun;

	node.on[EV_FRAME] = send_big;
	f->config.gossip.forward_wait_ms = 30;
	stuff(f->near[0]);
	hear(f);
	assert_int_equal(count(EV_FULL), 0); /* less than three eighths */
	hear(f);
	assert_int_equal(count(EV_FULL), 1);
	f->config.gossip.forward_wait_ms = 2 * PATIENCE_MS;
	f->config.gossip.slow_ms = 2 * PATIENCE_MS;
	targets = 2;
	begun = clock_ms();
	hear(f); /* to the other one */
	assert_int_equal(count(EV_FULL), 1);
	targets = 1;
	hear(f); /* does not fit any more: told, not waited for */
	assert_int_equal(count(EV_FULL), 2);
	assert_true(clock_ms() - begun < PATIENCE_MS);
}

static void a_reader_that_finds_room_goes_on(void **state)
{
	struct fixture *f = *state;
	pthread_t far;

	assert_ok(link_start_writer(f->links[0]));
	assert_ok(thread_start(&far, read_all, &f->far[0], "far"));
	node.on[EV_FRAME] = send_big;
	for (int i = 0; i < 40; i++)
		hear(f); /* half an outbox and one more: fits */
	assert_int_equal(count(EV_FULL), 0);
	link_abort(f->links[0]);
	thread_join(far);
}

/* --- drained ----------------------------------------------------------- */

static void a_watched_link_is_told_when_it_drained(void **state)
{
	struct fixture *f = *state;

	node.on[EV_PUBLISH] = send_big;
	node.on[EV_FULL] = watch_it;
	copies = 3;
	stuff(f->near[0]);
	publish(f);
	assert_ok(link_start_writer(f->links[0]));
	assert_true(atomic_load(&f->links[0]->behind));
	assert_int_equal(count(EV_DRAINED), 0);
	EVENTUALLY((read_some(f->far[0]), count(EV_DRAINED) == 1));
	assert_false(atomic_load(&f->links[0]->behind));
}

static void what_drained_before_it_was_full_is_no_news(void **state)
{
	struct fixture *f = *state;

	node.on[EV_PUBLISH] = send_big;
	copies = 3;
	stuff(f->near[0]);
	publish(f);
	hub_on_drained(f->peer.hub, f->links[0]); /* late */
	assert_int_equal(count(EV_DRAINED), 0);
	assert_true(atomic_load(&f->links[0]->behind));
	assert_ok(link_start_writer(f->links[0]));
	EVENTUALLY((read_some(f->far[0]), count(EV_DRAINED) == 1));
}

static void a_link_that_is_none_any_more_tells_nothing(void **state)
{
	struct fixture *f = *state;

	node.on[EV_PUBLISH] = send_and_unlink;
	publish(f);
	hub_on_drained(f->peer.hub, f->links[0]);
	assert_int_equal(count(EV_DRAINED), 0);
}

/* --- the output -------------------------------------------------------- */

static void deliver_until_slow(struct fixture *f)
{
	struct parcel *p = parcel(60000);
	int already = count(EV_OUTPUT);

	for (int i = 0; count(EV_OUTPUT) == already; i++) {
		assert_true(i < 100);
		hub_on_frames(f->peer.hub, f->links[1], &p, 1);
	}
	hub_on_frames(f->peer.hub, f->links[1], &p, 1);
	parcel_release(p);
}

static void a_slow_output_is_told_once_and_so_is_its_end(void **state)
{
	struct fixture *f = *state;

	open_output(f);
	node.on[EV_FRAME] = deliver_it;
	deliver_until_slow(f);
	assert_int_equal(count(EV_OUTPUT), 1);
	assert_true(atomic_load(&output_slow));
	EVENTUALLY((read_some(f->read_fd), count(EV_OUTPUT) == 2));
	assert_false(atomic_load(&output_slow));
	deliver_until_slow(f);
	assert_int_equal(count(EV_OUTPUT), 3);
	assert_true(atomic_load(&output_slow));
}

static void a_reader_waits_a_little_for_who_reads_the_output(void **state)
{
	struct fixture *f = *state;
	int64_t begun;

	open_output(f);
	node.on[EV_FRAME] = deliver_it;
	do { /* until the pipe and a 64th of the queue are full */
		assert_false(output_is_slow(f->peer.output));
		begun = clock_ms();
		hear(f);
	} while (clock_ms() - begun < 15);
	assert_int_equal(count(EV_OUTPUT), 0);
}

static void a_late_word_of_the_output_does_not_count(void **state)
{
	struct fixture *f = *state;

	open_output(f);
	node.on[EV_FRAME] = deliver_it;
	hub_on_output(f->peer.hub); /* it never was slow */
	assert_int_equal(count(EV_OUTPUT), 0);
	deliver_until_slow(f);
	hub_on_output(f->peer.hub); /* it is slow again */
	assert_int_equal(count(EV_OUTPUT), 1);
}

static void deliver_then_lose(const struct event *ev, struct effects *out)
{
	if (count(EV_FRAME) == 1)
		deliver_it(ev, out);
	else
		lose_some(ev, out);
}

/* In one batch: the gap stands behind the message that came before it. */
static void a_gap_stands_in_its_place(void **state)
{
	struct fixture *f = *state;
	struct parcel *p[2] = { parcel(10), parcel(10) };
	char got[1024] = "", *gap;
	size_t n = 0;

	open_output(f);
	node.on[EV_FRAME] = deliver_then_lose;
	hub_on_frames(f->peer.hub, f->links[1], p, 2);
	while ((gap = strstr(got, "\"gap\"")) == NULL) {
		ssize_t r = read(f->read_fd, got + n, sizeof got - 1 - n);

		assert_true(r > 0);
		n += (size_t)r;
	}
	assert_non_null(strstr(got, "\"data\""));
	assert_true(strstr(got, "\"data\"") < gap);
	assert_true(p[0]->delivered && !p[1]->delivered);
	parcel_release(p[0]);
	parcel_release(p[1]);
}

static void what_is_lost_is_told_to_who_receives(void **state)
{
	static const char want[] =
		"{\"event\":\"gap\",\"origin\":\"127.0.0.1:4000\","
		"\"incarnation\":7,\"first\":2,\"last\":4}\n";
	struct fixture *f = *state;
	char got[sizeof want] = "";

	open_output(f);
	node.on[EV_PUBLISH] = lose_some;
	publish(f);
	assert_int_equal(read(f->read_fd, got, sizeof got - 1),
			 sizeof want - 1);
	assert_string_equal(got, want);
}

#define HUB_TEST(name) \
	cmocka_unit_test_setup_teardown(name, open_hub, close_hub)

int main(void)
{
	const struct CMUnitTest tests[] = {
		HUB_TEST(a_full_link_is_told_once_whatever_the_answer),
		HUB_TEST(each_full_link_is_told),
		HUB_TEST(a_link_that_is_full_again_later_is_told_again),
		HUB_TEST(a_link_that_went_is_not_told_that_it_was_full),
		HUB_TEST(when_an_effect_found_no_memory_every_link_is_told),
		HUB_TEST(what_could_not_be_said_for_want_of_memory_is_told),
		HUB_TEST(who_publishes_hears_that_there_was_no_memory),
		HUB_TEST(a_publisher_waits_once_for_a_neighbor_that_is_stuck),
		HUB_TEST(a_publisher_waits_for_nobody_he_did_not_send_to),
		HUB_TEST(a_reader_waits_once_for_a_neighbor_that_is_stuck),
		HUB_TEST(a_reader_that_finds_room_goes_on),
		HUB_TEST(a_watched_link_is_told_when_it_drained),
		HUB_TEST(what_drained_before_it_was_full_is_no_news),
		HUB_TEST(a_link_that_is_none_any_more_tells_nothing),
		HUB_TEST(a_slow_output_is_told_once_and_so_is_its_end),
		HUB_TEST(a_reader_waits_a_little_for_who_reads_the_output),
		HUB_TEST(a_late_word_of_the_output_does_not_count),
		HUB_TEST(what_is_lost_is_told_to_who_receives),
		HUB_TEST(a_gap_stands_in_its_place),
	};

	if (crypto_init() != ERR_OK)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
