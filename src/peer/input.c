#include "peer/input.h"

#include "io/clock.h"
#include "io/complain.h"
#include "io/thread.h"
#include "peer/console.h"
#include "peer/hub.h"
#include "peer/output.h"
#include "peer/publisher.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define READ_BYTES 65536
#define SETTLE_MS 5000     /* commands of a script wait for the join so long */
#define SEND_SETTLE_MS 500 /* and the first line of --send */
#define COUNT_REST_BYTES                                     \
	(64 * 1048576) /* read only to say what was not sent \
			*/

/* Everything but the two descriptors belongs to the input thread until it is
 * joined. */
struct input {
	struct peer *peer; /* (c) */
	int fd;            /* (c) stdin */
	int wake_fd;       /* (c) */
	bool terminal;     /* (c) there is somebody to prompt */
	pthread_t thread;
	struct buf buf; /* read, not used yet */
	size_t start;
	size_t line_max; /* longer ones are refused, not cut */
	bool skipping;   /* inside of a line that was refused */
	bool ended;      /* end of stdin, */
	bool broken;     /* which was no end but an error */
	bool stopped;
	uint64_t line_number, refused, unsent;
	bool untaken; /* published, but nobody said he has it */
};

static bool was_stopped(struct input *in)
{
	struct pollfd fd = { .fd = in->wake_fd, .events = POLLIN };

	if (!in->stopped && poll(&fd, 1, 0) > 0)
		in->stopped = true;
	return in->stopped;
}

/* --- reading lines ----------------------------------------------------------
 */

static bool fill_failed(struct input *in, const char *why)
{
	complain("peer: cannot read stdin: %s\n", why);
	in->broken = in->ended = true;
	return false;
}

/* Until stdin has something or ended; false when stopped, or broken. */
static bool wait_readable(struct input *in)
{
	for (;;) {
		struct pollfd fds[2] = { { .fd = in->fd, .events = POLLIN },
					 { .fd = in->wake_fd,
					   .events = POLLIN } };

		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return fill_failed(in, strerror(errno));
		if (fds[1].revents != 0) {
			in->stopped = true;
			return false;
		}
		/* Interrupted, it says nothing: a read might block. */
		if (fds[0].revents != 0)
			return true;
	}
}

/* Waits for more; false at the end of stdin, or when stopped. What cannot be
 * read ends it too, but is said. */
static bool fill(struct input *in)
{
	ssize_t n = -1;

	buf_drop(&in->buf, in->start);
	in->start = 0;
	if (!buf_reserve(&in->buf, READ_BYTES))
		return fill_failed(in, err_text(ERR_NOMEM));
	while (n < 0) {
		if (!wait_readable(in))
			return false;
		n = read(in->fd, in->buf.data + in->buf.len, READ_BYTES);
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return fill_failed(in, strerror(errno));
	}
	in->ended = n == 0;
	in->buf.len += (size_t)n;
	return n > 0;
}

static void refuse_line(struct input *in, size_t n, bool whole)
{
	in->refused++;
	complain("peer: line %llu is %zu bytes%s, at most %zu are allowed: "
		 "not sent\n",
		 (unsigned long long)in->line_number, n,
		 whole ? "" : " or more", in->line_max);
}

enum taken { TAKEN_LINE, TAKEN_NONE, TAKEN_MORE };

/* The next line of what is read already, without its newline; the last one may
 * have none. Lines over line_max are refused here, whole. TAKEN_MORE: more has
 * to be read first; TAKEN_NONE: nothing comes any more. */
static enum taken take_line(struct input *in, struct line *line)
{
	for (;;) {
		size_t have = in->buf.len - in->start;
		const char *p = have > 0 ? in->buf.data + in->start : "";
		const char *nl = have > 0 ? memchr(p, '\n', have) : NULL;
		size_t len = nl != NULL ? (size_t)(nl - p) : have;

		if (in->stopped ||
		    (nl == NULL && in->ended && (len == 0 || in->broken)))
			return TAKEN_NONE; /* broken: only part of a line */
		if (nl == NULL && !in->ended && len <= in->line_max)
			return TAKEN_MORE;
		if (nl == NULL && !in->ended) { /* too long already */
			if (!in->skipping) {
				in->line_number++;
				refuse_line(in, len, false);
			}
			in->skipping = true;
			in->start = in->buf.len;
			return TAKEN_MORE;
		}
		in->start += len + (nl != NULL);
		if (in->skipping) { /* the end of a line refused before */
			in->skipping = false;
			continue;
		}
		in->line_number++;
		if (len > in->line_max) {
			refuse_line(in, len, true);
			continue;
		}
		*line = (struct line){ p, len };
		return TAKEN_LINE;
	}
}

/* Up to max lines: waits for the first, and adds what came with it. Valid
 * until the next call; none: the end. */
static size_t next_lines(struct input *in, struct line *v, size_t max)
{
	enum taken t;
	size_t n = 0;

	while ((t = take_line(in, v)) == TAKEN_MORE)
		fill(in);
	while (t == TAKEN_LINE && ++n < max)
		t = take_line(in, v + n);
	return n;
}

/* --- the prompt ------------------------------------------------------- */

static void show(struct input *in, const char *text)
{
	struct buf b = { 0 };

	if (!in->terminal)
		return;
	buf_str(&b, text);
	output_text(in->peer->output, &b);
	buf_free(&b);
}

static void run_prompt(struct input *in)
{
	struct line line;

	show(in, CONSOLE_MENU CONSOLE_PROMPT);
	/* A script's first command means a peer that has joined. */
	if (!in->terminal)
		hub_wait_settled(in->peer->hub, clock_ms() + SETTLE_MS);
	while (next_lines(in, &line, 1) > 0) {
		if (!console_line(in->peer, line.text, line.bytes)) {
			peer_finish(in->peer, EXIT_DONE);
			return;
		}
		show(in, CONSOLE_PROMPT);
	}
	show(in, "\n"); /* the shell's prompt wants its own line */
}

/* --- --send ----------------------------------------------------------- */

static uint64_t count_lines(const char *p, size_t n, bool *open)
{
	uint64_t lines = 0;

	for (size_t i = 0; i < n; i++)
		lines += p[i] == '\n';
	if (n > 0)
		*open = p[n - 1] != '\n';
	return lines;
}

/* Lines that stand in the buffer, and that stdin has without waiting. */
static uint64_t count_unsent(struct input *in)
{
	struct pollfd fd = { .fd = in->fd, .events = POLLIN };
	size_t total = 0;
	bool open = false;
	uint64_t lines = 0;
	char chunk[4096];

	if (in->buf.len > in->start)
		lines = count_lines(in->buf.data + in->start,
				    in->buf.len - in->start, &open);
	while (!in->ended && total < COUNT_REST_BYTES && poll(&fd, 1, 0) > 0) {
		ssize_t n = read(in->fd, chunk, sizeof chunk);

		if (n <= 0)
			break;
		total += (size_t)n;
		lines += count_lines(chunk, (size_t)n, &open);
	}
	lines += open;
	/* The first may be the rest of one that was refused already. */
	return lines > 0 && in->skipping ? lines - 1 : lines;
}

static void say_alone(struct input *in)
{
	complain("peer: no neighbor within %lld s\n",
		 (long long)in->peer->options->wait_ms / 1000);
}

/* Publishes them, waiting for a neighbor if there is none. */
static enum err send_lines(struct input *in, const struct line *v, size_t n)
{
	struct peer *p = in->peer;
	enum err e = ERR_OK;
	size_t sent = 0;

	if (hub_wait_neighbor(p->hub, clock_ms() + p->options->wait_ms))
		e = publisher_send_lines(p, v, n, &sent);
	else
		e = was_stopped(in) ? ERR_STOPPED : ERR_TIMEOUT;
	in->unsent += n - sent;
	return e;
}

/* Everything is published: wait until a neighbor has it all. */
static enum err wait_taken(struct input *in)
{
	const struct options *o = in->peer->options;

	if (in->line_number == in->refused)
		return ERR_OK;
	return hub_wait_taken(in->peer->hub, o->wait_ms);
}

static int status_of(struct input *in, enum err e)
{
	if (e == ERR_TIMEOUT)
		return EXIT_UNREACHABLE;
	return e != ERR_OK || in->refused > 0 || in->unsent > 0 || in->broken
		       ? EXIT_FAILED
		       : EXIT_DONE;
}

static void run_send(struct input *in)
{
	struct line lines[PUBLISH_MAX];
	enum err e = ERR_OK;
	size_t n;

	/* Several neighbors are better than the first: one may just leave. */
	hub_wait_settled(in->peer->hub, clock_ms() + SEND_SETTLE_MS);
	while (e == ERR_OK && (n = next_lines(in, lines, PUBLISH_MAX)) > 0) {
		e = send_lines(in, lines, n);
		if (e == ERR_NOMEM)
			complain("peer: out of memory\n");
	}
	if (e != ERR_OK || in->stopped || in->broken)
		in->unsent += count_unsent(in);
	else
		e = wait_taken(in);
	if (e == ERR_TIMEOUT)
		say_alone(in);
	in->untaken = e == ERR_STOPPED && in->unsent == 0;
	if (e != ERR_OK || in->broken || !in->peer->options->receive)
		peer_finish(in->peer, status_of(in, e));
}

/* --- life ------------------------------------------------------------- */

static void *run_input(void *arg)
{
	struct input *in = arg;

	if (in->peer->options->send)
		run_send(in);
	else
		run_prompt(in);
	return NULL;
}

enum err input_start(struct input **out, struct peer *p)
{
	struct input *in = calloc(1, sizeof *in);
	enum err e = ERR_SYSTEM;

	if (in == NULL)
		return ERR_NOMEM;
	in->peer = p;
	in->fd = p->in_fd;
	in->terminal = isatty(p->in_fd) && isatty(p->out_fd);
	in->line_max = (size_t)p->config->gossip.data_max;
	if (!p->options->send)
		in->line_max += sizeof "send ";
	in->wake_fd = eventfd(0, EFD_CLOEXEC);
	if (in->wake_fd >= 0)
		e = thread_start(&in->thread, run_input, in, "input");
	if (e != ERR_OK) {
		if (in->wake_fd >= 0)
			close(in->wake_fd);
		free(in);
		return e;
	}
	*out = in;
	return ERR_OK;
}

void input_stop(struct input *in)
{
	(void)!eventfd_write(in->wake_fd, 1);
}

bool input_join(struct input *in)
{
	bool in_send = in->peer->options->send, all;

	thread_join(in->thread);
	all = in->unsent == 0 && in->refused == 0 && !in->untaken &&
	      !in->broken;
	if (in->unsent > 0)
		complain("peer: %llu line%s not published\n",
			 (unsigned long long)in->unsent,
			 in->unsent == 1 ? "" : "s");
	if (in->untaken)
		complain("peer: no neighbor said that it has all messages\n");
	close(in->wake_fd);
	buf_free(&in->buf);
	free(in);
	return all || !in_send;
}
