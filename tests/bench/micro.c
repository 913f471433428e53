/* micro: what the hot functions of a peer cost, one by one.
 *
 * usage: micro             all of them: one JSON object, ns per call (median)
 *        micro NAME COUNT  one of them, COUNT calls: for a profiler. What is
 *                          measured runs inside of a function called timed_NAME
 *                          (valgrind --toggle-collect=timed_NAME).
 *
 * Each subject prepares what it works on, does COUNT calls in timed_NAME, and
 * cleans up. The node that is stepped is the one of bin/peer, with eight links.
 */
#include "base/crypto.h"
#include "core/node.h"
#include "io/clock.h"
#include "io/link.h"
#include "io/talk.h"
#include "wire/codec.h"
#include "wire/scan.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define DATA_BYTES 256
#define NEIGHBORS 8
#define REPEAT_MS 30 /* of one repeat, about */
#define REPEATS 9    /* and the median of so many */
#define CALIBRATE 2000
#define CALLS_MAX 50000 /* frames are made before the clock runs */
#define TIMED __attribute__((noinline)) static void

/* A failure here says nothing about speed: stop. */
static void need(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "micro: %s failed\n", what);
	exit(1);
}

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* --- what they work on ---------------------------------------------------- */

static uint8_t text[DATA_BYTES];

static struct identity run_of(unsigned number)
{
	struct identity id = { .incarnation = 1764000000000,
			       .addr = { .ip = { 127, 0, 0, 1 },
					 .port = (uint16_t)(2000 + number),
					 .family = ADDR_V4 } };

	return id;
}

static struct message message_of(uint64_t seq)
{
	struct message m = { .type = MSG_MESSAGE };

	m.message.origin = run_of(999);
	m.message.seq = seq;
	m.message.time_ms = 1764000000000;
	m.message.data = text;
	m.message.data_bytes = sizeof text;
	return m;
}

static struct frame *frame_of(uint64_t seq)
{
	struct message m = message_of(seq);
	struct frame *f = NULL;

	need(codec_encode(&m, &f) == ERR_OK, "codec_encode");
	return f;
}

/* --- bytes and messages --------------------------------------------------- */

TIMED timed_scan(const struct frame *f, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		need(scan_object(f->body, f->body_bytes, NULL) == ERR_OK,
		     "scan_object");
}

TIMED timed_decode(const struct frame *f, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct message m;

		need(codec_decode(f->body, f->body_bytes, &m, NULL) == ERR_OK,
		     "codec_decode");
		message_clear(&m);
	}
}

TIMED timed_hash(const struct frame *f, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct hash h = hash_of(f->body, f->body_bytes);

		(void)h;
	}
}

TIMED timed_encode(const struct message *m, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct frame *f = NULL;

		need(codec_encode(m, &f) == ERR_OK, "codec_encode");
		frame_release(f);
	}
}

static double timed(void (*run)(const struct frame *, unsigned), unsigned count)
{
	struct frame *f = frame_of(1);
	double begin = now_ns(), end;

	run(f, count);
	end = now_ns();
	frame_release(f);
	return end - begin;
}

static double scan(unsigned count)
{
	return timed(timed_scan, count);
}
static double decode(unsigned count)
{
	return timed(timed_decode, count);
}
static double hash(unsigned count)
{
	return timed(timed_hash, count);
}

static double encode(unsigned count)
{
	struct message m = message_of(1);
	double begin = now_ns();

	timed_encode(&m, count);
	return now_ns() - begin;
}

/* --- a node --------------------------------------------------------------- */

/* A node with neighbors, and messages for it that are encoded already. */
struct stage {
	struct config config;
	struct node *node;
	struct effects fx;
	struct frame **frames;
	struct message *msgs;
	unsigned count;
};

static void stage_step(struct stage *s, const struct event *ev)
{
	node_step(s->node, clock_ms(), ev, &s->fx);
}

static void stage_links(struct stage *s)
{
	for (unsigned i = 0; i < NEIGHBORS; i++) {
		struct msg_peer_request r = { .id = run_of(1 + i),
					      .neighbors = NEIGHBORS };
		struct event ev = { .kind = EV_REQUEST,
				    .request = { .conn = 1 + i,
						 .from = r.id.addr,
						 .request = &r } };

		stage_step(s, &ev);
	}
	need(node_neighbor_count(s->node) == NEIGHBORS, "linking");
}

static struct stage *stage_open(unsigned count)
{
	struct stage *s = calloc(1, sizeof *s);
	struct node_options o = { .self = run_of(0), .rng_seed = 1 };

	need(s != NULL, "memory");
	config_init(&s->config);
	o.config = &s->config;
	s->node = node_new(&o);
	need(s->node != NULL, "node_new");
	effects_init(&s->fx);
	stage_step(s, &(struct event){ .kind = EV_START });
	stage_links(s);
	s->count = count;
	s->frames = calloc(count, sizeof *s->frames);
	s->msgs = calloc(count, sizeof *s->msgs);
	need(s->frames && s->msgs, "memory");
	for (unsigned i = 0; i < count; i++) {
		s->frames[i] = frame_of(i + 1);
		s->msgs[i] = message_of(i + 1);
	}
	return s;
}

static void stage_close(struct stage *s)
{
	node_free(s->node);
	effects_free(&s->fx);
	for (unsigned i = 0; i < s->count; i++)
		frame_release(s->frames[i]);
	free(s->frames);
	free(s->msgs);
	free(s);
}

/* The i-th message comes over a link. */
static void stage_hear(struct stage *s, unsigned i, uint8_t link)
{
	struct frame *f = s->frames[i];
	struct event ev = { .kind = EV_FRAME, .link = link };

	ev.frame.head = (struct frame_head){ .body_bytes = f->body_bytes };
	ev.frame.frame = f;
	ev.frame.msg = &s->msgs[i];
	stage_step(s, &ev);
}

TIMED timed_step_new(struct stage *s)
{
	for (unsigned i = 0; i < s->count; i++)
		stage_hear(s, i, 0);
}

TIMED timed_step_copy(struct stage *s, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		stage_hear(s, 0, 1);
}

static double step_new(unsigned count)
{
	struct stage *s = stage_open(count);
	double begin = now_ns(), end;

	timed_step_new(s);
	end = now_ns();
	need(node_stats(s->node).delivered == count, "delivering");
	stage_close(s);
	return end - begin;
}

static double step_copy(unsigned count)
{
	struct stage *s = stage_open(1);
	double begin, end;

	stage_hear(s, 0, 0);
	begin = now_ns();
	timed_step_copy(s, count);
	end = now_ns();
	need(node_stats(s->node).duplicates >= count, "counting copies");
	stage_close(s);
	return end - begin;
}

/* --- a link --------------------------------------------------------------- */

#define FLUSH_EVERY 16 /* frames of one batch, as after one read */

static void *drain(void *arg)
{
	static char away[1 << 16];

	while (read(*(int *)arg, away, sizeof away) > 0)
		;
	return NULL;
}

static void nobody_waits(struct link *l)
{
	(void)l;
}

TIMED timed_link(struct link *l, struct frame *f, unsigned count)
{
	struct frame_head head = { .body_bytes = f->body_bytes };

	for (unsigned i = 0; i < count; i++) {
		while (link_queue(l, &head, f) == ERR_FULL)
			link_flush(l);
		if (i % FLUSH_EVERY == FLUSH_EVERY - 1)
			link_flush(l);
	}
	while (link_backlog(l) > 0)
		link_flush(l);
}

static double link_write(unsigned count)
{
	struct link_limits limits = { .outbox_max = 1 << 20,
				      .slow_ms = 60000,
				      .slow_bytes = 1 };
	struct frame *f = frame_of(1);
	struct link *l;
	struct talk t;
	pthread_t drainer;
	double begin, end;
	int fd[2];

	need(socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0, "socketpair");
	talk_accept(&t, NULL, fd[0], NULL, FRAME_BODY_MAX);
	l = link_new(&t, &limits, NULL, nobody_waits);
	need(l != NULL, "link_new");
	need(pthread_create(&drainer, NULL, drain, &fd[1]) == 0, "thread");
	need(link_start_writer(l) == ERR_OK, "link_start_writer");
	begin = now_ns();
	timed_link(l, f, count);
	end = now_ns();
	link_close(l);
	link_release(l);
	shutdown(fd[0], SHUT_RDWR);
	pthread_join(drainer, NULL);
	close(fd[0]);
	close(fd[1]);
	frame_release(f);
	return end - begin;
}

/* --- all of it ------------------------------------------------------------ */

static const struct subject {
	const char *name;
	double (*run)(unsigned count); /* ns of all calls */
} subjects[] = {
	{ "scan", scan },         { "decode", decode },
	{ "encode", encode },     { "hash", hash },
	{ "step_new", step_new }, { "step_copy", step_copy },
	{ "link", link_write },
};

#define SUBJECTS (sizeof subjects / sizeof *subjects)

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median_ns(const struct subject *s)
{
	double ns[REPEATS], once = s->run(CALIBRATE) / CALIBRATE;
	double fit = REPEAT_MS * 1e6 / (once > 1 ? once : 1);
	unsigned count = fit > CALLS_MAX ? CALLS_MAX : (unsigned)fit + 1;

	for (unsigned i = 0; i < REPEATS; i++)
		ns[i] = s->run(count) / count;
	qsort(ns, REPEATS, sizeof *ns, by_size);
	return ns[REPEATS / 2];
}

static int run_one(const char *name, const char *times)
{
	unsigned count = (unsigned)strtoul(times, NULL, 10);

	for (size_t i = 0; i < SUBJECTS; i++)
		if (strcmp(subjects[i].name, name) == 0 && count > 0) {
			double ns = subjects[i].run(count);

			printf("{\"%s\": %.1f}\n", name, ns / count);
			return 0;
		}
	fprintf(stderr, "micro: no subject %s, or no count\n", name);
	return 2;
}

int main(int argc, char **argv)
{
	need(crypto_init() == ERR_OK, "crypto_init");
	for (size_t i = 0; i < sizeof text; i++)
		text[i] = (uint8_t)('a' + i % 26);
	if (argc == 3)
		return run_one(argv[1], argv[2]);
	if (argc != 1) {
		fprintf(stderr, "usage: micro [NAME COUNT]\n");
		return 2;
	}
	for (size_t i = 0; i < SUBJECTS; i++)
		printf("%s\"%s\": %.1f", i == 0 ? "{" : ", ", subjects[i].name,
		       median_ns(&subjects[i]));
	printf("}\n");
	return 0;
}
