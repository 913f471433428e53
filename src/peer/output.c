#include "peer/output.h"

#include "io/clock.h"
#include "io/complain.h"
#include "io/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define ITEM_OVERHEAD 256    /* counted on top of a body: the parcel itself */
#define WRITE_BYTES 65536    /* formatted before a write */
#define PIPE_SAFE_BYTES 4096 /* a writable pipe takes this without blocking */
#define GAPS_MAX 1024 /* separate gaps waiting; then they grow together */

enum item_kind { ITEM_MESSAGE, ITEM_TEXT, ITEM_GAP };

struct item {
	struct item *next;
	enum item_kind kind;
	struct parcel *parcel; /* MESSAGE */
	struct buf text;       /* TEXT */
	struct range gap;      /* GAP: the messages not printed, since */
	bool nobody; /* nobody had them; else since they did not fit */
};

/* (c) constant, (q) mu, (w) the writing thread */
struct output {
	struct output_config config; /* (c) */
	bool terminal;               /* (c) */
	int fd;           /* (c) may be a non-blocking twin of config.fd */
	int wake_fd;      /* (c) eventfd */
	size_t write_max; /* (c) */
	bool is_socket;   /* (c) */
	struct mutex mu;
	struct cond work;
	struct item *head, **tail; /* (q) */
	struct item *last_gap;     /* (q) the tail if it is a gap */
	size_t bytes;              /* (q) */
	bool slow;                 /* (q) see output_message */
	unsigned gaps;             /* (q) */
	uint64_t lost;             /* (q) */
	uint64_t unnamed;          /* (q) lost, and no gap says which */
	bool closing;              /* (q) */
	int64_t deadline_ms;       /* (q) valid when closing */
	bool ended;                /* (q) nothing is printed any more */
	uint64_t printed;          /* (w) */
	struct buf out;            /* (w) */
	pthread_t thread;          /* (c) */
};

/* --- formatting ------------------------------------------------------- */

static void format_json(struct buf *b, const struct parcel *p)
{
	const struct msg_message *m = &p->msg.message;
	char id[HASH_HEX + 1], origin[ADDR_TEXT_MAX];

	hash_format(&p->id, id);
	addr_format(&m->origin.addr, origin);
	buf_fmt(b,
		"{\"id\":\"%s\",\"origin\":\"%s\",\"incarnation\":%llu,"
		"\"seq\":%llu,\"time_ms\":%lld,\"hops\":%u,\"data\":",
		id, origin, (unsigned long long)m->origin.incarnation,
		(unsigned long long)m->seq, (long long)m->time_ms,
		p->head.hops + 1u);
	if (!m->base64) { /* then it is text, the codec saw to it */
		buf_json(b, m->data, m->data_bytes);
	} else {
		size_t n = base64_size(m->data_bytes);

		buf_char(b, '"');
		if (buf_reserve(b, n + 1)) {
			base64_encode(m->data, m->data_bytes, b->data + b->len);
			b->len += n;
		}
		buf_str(b, "\",\"encoding\":\"base64\"");
	}
	buf_char(b, '}');
}

static void format_plain(struct buf *b, const uint8_t *data, size_t n)
{
	while (n > 0) {
		const uint8_t *nl = memchr(data, '\n', n);
		size_t len = nl != NULL ? (size_t)(nl - data) : n;

		buf_add(b, data, len);
		if (nl == NULL)
			return;
		buf_str(b, "\\n"); /* a message stays a line */
		data += len + 1;
		n -= len + 1;
	}
}

void output_format(struct buf *b, const struct parcel *p, bool json,
		   bool terminal)
{
	const struct msg_message *m = &p->msg.message;

	if (json)
		format_json(b, p);
	else if (terminal)
		buf_visible(b, m->data, m->data_bytes);
	else
		format_plain(b, m->data, m->data_bytes);
	buf_char(b, '\n');
}

static uint64_t range_size(const struct range *r)
{
	return r->last - r->first + 1;
}

/* Who reads JSON finds every gap among the messages; what nobody had is no
 * trouble of his that stderr should tell him of as well. */
static void format_gap(struct output *o, const struct item *i)
{
	const struct range *r = &i->gap;
	char origin[ADDR_TEXT_MAX];

	addr_format(&r->run.addr, origin);
	if (o->config.json)
		buf_fmt(&o->out,
			"{\"event\":\"gap\",\"origin\":\"%s\","
			"\"incarnation\":%llu,\"first\":%llu,\"last\":%llu}\n",
			origin, (unsigned long long)r->run.incarnation,
			(unsigned long long)r->first,
			(unsigned long long)r->last);
	if (o->config.json && i->nobody)
		return;
	complain("peer: %llu messages %s: %s seq %llu to %llu\n",
		 (unsigned long long)range_size(r),
		 i->nobody ? "lost in the network, nobody has them any more"
			   : "not printed, stdout was not read or "
			     "memory is short",
		 origin, (unsigned long long)r->first,
		 (unsigned long long)r->last);
}

/* --- the queue -------------------------------------------------------- */

static size_t item_bytes(const struct item *i)
{
	switch (i->kind) {
	case ITEM_MESSAGE:
		return i->parcel->frame->body_bytes + ITEM_OVERHEAD;
	case ITEM_TEXT:
		return i->text.len + ITEM_OVERHEAD;
	case ITEM_GAP:
		break;
	}
	return 0;
}

static void item_free(struct item *i)
{
	parcel_release(i->parcel);
	buf_free(&i->text);
	free(i);
}

static void append_locked(struct output *o, struct item *i) NEEDS(o->mu)
{
	*o->tail = i;
	o->tail = &i->next;
	o->last_gap = i->kind == ITEM_GAP ? i : NULL;
	o->bytes += item_bytes(i);
	cond_signal(&o->work);
}

/* Notes a gap where its messages would have stood; the last one grows. */
static void gap_locked(struct output *o, const struct range *r, bool nobody)
	NEEDS(o->mu)
{
	struct item *gap = o->last_gap;

	if (gap != NULL && gap->nobody == nobody &&
	    identity_equal(&gap->gap.run, &r->run) &&
	    r->first == gap->gap.last + 1) {
		gap->gap.last = r->last;
		return;
	}
	gap = o->gaps < GAPS_MAX ? calloc(1, sizeof *gap) : NULL;
	if (gap == NULL) {
		o->unnamed += range_size(r);
		return;
	}
	gap->kind = ITEM_GAP;
	gap->gap = *r;
	gap->nobody = nobody;
	o->gaps++;
	append_locked(o, gap);
}

/* The message does not fit. */
static void miss_locked(struct output *o, const struct msg_message *m)
	NEEDS(o->mu)
{
	struct range r = { .run = m->origin, .first = m->seq, .last = m->seq };

	o->lost++;
	gap_locked(o, &r, false);
}

bool output_message(struct output *o, struct parcel *p)
{
	struct item *i = calloc(1, sizeof *i);
	bool slow;

	mutex_lock(&o->mu);
	if (o->ended || o->closing) {
		o->lost += o->closing;
		free(i);
	} else if (i == NULL ||
		   o->bytes + p->frame->body_bytes + ITEM_OVERHEAD >
			   o->config.max_bytes) {
		miss_locked(o, &p->msg.message);
		free(i);
	} else {
		i->kind = ITEM_MESSAGE;
		i->parcel = parcel_hold(p);
		append_locked(o, i);
		o->slow = o->slow || o->bytes > o->config.max_bytes / 2;
	}
	slow = o->slow;
	mutex_unlock(&o->mu);
	return slow;
}

void output_gap(struct output *o, const struct range *r)
{
	mutex_lock(&o->mu);
	if (!o->ended && !o->closing)
		gap_locked(o, r, true);
	mutex_unlock(&o->mu);
}

bool output_is_slow(struct output *o)
{
	bool slow;

	mutex_lock(&o->mu);
	slow = o->slow;
	mutex_unlock(&o->mu);
	return slow;
}

void output_text(struct output *o, struct buf *b)
{
	struct item *i = calloc(1, sizeof *i);

	if (i == NULL || b->failed)
		complain("peer: no memory to show an answer\n");
	mutex_lock(&o->mu);
	if (i == NULL || b->failed || o->ended || o->closing ||
	    o->bytes + b->len > o->config.max_bytes) {
		free(i);
		buf_reset(b);
	} else {
		i->kind = ITEM_TEXT;
		i->text = *b;
		*b = (struct buf){ 0 };
		append_locked(o, i);
	}
	mutex_unlock(&o->mu);
}

uint64_t output_lost(struct output *o)
{
	uint64_t lost;

	mutex_lock(&o->mu);
	lost = o->lost;
	mutex_unlock(&o->mu);
	return lost;
}

/* --- writing ---------------------------------------------------------- */

static int64_t write_deadline(struct output *o)
{
	int64_t deadline;

	mutex_lock(&o->mu);
	deadline = o->closing ? o->deadline_ms : INT64_MAX;
	mutex_unlock(&o->mu);
	return deadline;
}

/* Until stdout takes something: 0; ETIMEDOUT at the stop's deadline, or why
 * waiting fails. */
static int wait_writable(struct output *o)
{
	for (;;) {
		struct pollfd fds[2] = { { .fd = o->fd, .events = POLLOUT },
					 { .fd = o->wake_fd,
					   .events = POLLIN } };
		int64_t deadline = write_deadline(o), left = -1;
		/* Once closing, the eventfd stays readable: do not poll it. */
		nfds_t n = deadline == INT64_MAX ? 2 : 1;

		if (n == 1) {
			left = deadline - clock_ms();
			if (left <= 0)
				return ETIMEDOUT;
		}
		if (poll(fds, n, (int)left) < 0 && errno != EINTR)
			return errno;
		if (fds[0].revents != 0)
			return 0;
	}
}

/* The reader went away (a quiet end), or the disk is full (a loud one). */
static void end_output(struct output *o, int error)
{
	mutex_lock(&o->mu);
	o->ended = true;
	mutex_unlock(&o->mu);
	buf_reset(&o->out);
	if (error != EPIPE)
		complain("peer: cannot write stdout: %s\n", strerror(error));
	peer_finish(o->config.peer, error == EPIPE ? EXIT_DONE : EXIT_OUTPUT);
}

static ssize_t write_some(struct output *o, const char *p, size_t n)
{
	if (o->is_socket)
		return send(o->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	return write(o->fd, p, n);
}

static bool write_out(struct output *o)
{
	size_t done = 0;

	while (done < o->out.len) {
		size_t n = o->out.len - done;
		int error = wait_writable(o);
		ssize_t w;

		if (error == ETIMEDOUT)
			break;
		if (error != 0) {
			end_output(o, error);
			return false;
		}
		w = write_some(o, o->out.data + done,
			       n < o->write_max ? n : o->write_max);
		if (w >= 0) {
			done += (size_t)w;
		} else if (errno != EAGAIN && errno != EINTR) {
			end_output(o, errno);
			return false;
		}
	}
	buf_drop(&o->out, done);
	return o->out.len == 0;
}

/* There was no memory to format it. A message becomes a gap, there and on
 * stderr, which needs none. */
static void print_missed(struct output *o, const struct item *i)
{
	const struct msg_message *m;
	struct item gap = { .kind = ITEM_GAP };
	size_t before = o->out.len;

	if (i->kind == ITEM_TEXT)
		complain("peer: no memory to show %zu bytes\n", i->text.len);
	if (i->kind != ITEM_MESSAGE)
		return; /* a gap is on stderr already */
	m = &i->parcel->msg.message;
	gap.gap = (struct range){ m->origin, m->seq, m->seq };
	mutex_lock(&o->mu);
	o->lost++;
	mutex_unlock(&o->mu);
	format_gap(o, &gap);
	if (o->out.failed)
		o->out.len = before;
	o->out.failed = false;
}

/* Formats one item; true once the wanted number of messages is printed. */
static bool print_item(struct output *o, const struct item *i)
{
	size_t before = o->out.len;
	bool last = false;

	if (i->kind == ITEM_MESSAGE) {
		output_format(&o->out, i->parcel, o->config.json, o->terminal);
		if (!o->out.failed)
			o->printed++;
		last = o->printed == o->config.count;
	} else if (i->kind == ITEM_TEXT) {
		buf_add(&o->out, i->text.data, i->text.len);
	} else {
		format_gap(o, i);
	}
	if (o->out.failed) {
		o->out.len = before;
		o->out.failed = false;
		print_missed(o, i);
		return false;
	}
	return last;
}

static struct item *take_locked(struct output *o) NEEDS(o->mu)
{
	struct item *i = o->head;

	if (i == NULL)
		return NULL;
	o->head = i->next;
	if (o->head == NULL)
		o->tail = &o->head;
	if (i == o->last_gap)
		o->last_gap = NULL;
	o->gaps -= i->kind == ITEM_GAP;
	o->bytes -= item_bytes(i);
	return i;
}

/* A quarter, not a half: between slow and caught up lies a good piece of work,
 * or the neighbors would be pruned and asked again with every message. */
static bool caught_up_locked(struct output *o) NEEDS(o->mu)
{
	if (!o->slow || o->closing || o->bytes > o->config.max_bytes / 4)
		return false;
	o->slow = false;
	return true;
}

static struct item *next_item(struct output *o)
{
	struct item *i;
	bool caught_up;

	mutex_lock(&o->mu);
	i = take_locked(o);
	caught_up = caught_up_locked(o);
	mutex_unlock(&o->mu);
	if (caught_up && o->config.caught_up != NULL)
		o->config.caught_up(o->config.peer);
	return i;
}

/* Writes what is queued; false when the output is over. */
static bool drain(struct output *o)
{
	struct item *i;

	while ((i = next_item(o)) != NULL) {
		bool last = print_item(o, i);

		item_free(i);
		if (o->out.len < WRITE_BYTES && !last)
			continue;
		if (!write_out(o))
			return false;
		if (last) {
			mutex_lock(&o->mu);
			o->ended = true;
			mutex_unlock(&o->mu);
			peer_finish(o->config.peer, EXIT_DONE);
			return false;
		}
	}
	return write_out(o);
}

static void *run_output(void *arg)
{
	struct output *o = arg;
	bool going = true;

	while (going) {
		mutex_lock(&o->mu);
		while (o->head == NULL && !o->closing)
			cond_wait(&o->work, &o->mu);
		going = o->head != NULL;
		mutex_unlock(&o->mu);
		if (going)
			going = drain(o);
	}
	return NULL;
}

/* --- life ------------------------------------------------------------- */

/* A pipe or terminal opened anew has flags of its own: we can make it
 * non-blocking without doing that to whoever shares our stdout. What cannot be
 * written (a stdout that was closed, see signals_hold_streams) stays so: opened
 * anew it would take everything, and all would be lost in silence. */
static void open_twin(struct output *o)
{
	struct stat st;
	char path[64];

	o->fd = o->config.fd;
	o->write_max = WRITE_BYTES;
	if (fstat(o->fd, &st) != 0)
		return;
	o->is_socket = S_ISSOCK(st.st_mode);
	if (!S_ISFIFO(st.st_mode) && !S_ISCHR(st.st_mode))
		return;
	if ((fcntl(o->fd, F_GETFL) & O_ACCMODE) == O_RDONLY)
		return;
	snprintf(path, sizeof path, "/proc/self/fd/%d", o->config.fd);
	o->fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (o->fd < 0) {
		o->fd = o->config.fd;
		o->write_max = PIPE_SAFE_BYTES;
	}
}

static void output_free(struct output *o)
{
	int saved = errno;

	if (o->fd != o->config.fd)
		close(o->fd);
	close(o->wake_fd);
	buf_free(&o->out);
	cond_destroy(&o->work);
	mutex_destroy(&o->mu);
	free(o);
	errno = saved;
}

enum err output_start(struct output **out, const struct output_config *c)
{
	struct output *o = calloc(1, sizeof *o);
	enum err e;

	if (o == NULL)
		return ERR_NOMEM;
	o->config = *c;
	o->tail = &o->head;
	o->terminal = isatty(c->fd);
	o->wake_fd = eventfd(0, EFD_CLOEXEC);
	if (o->wake_fd < 0) {
		free(o);
		return ERR_SYSTEM;
	}
	open_twin(o);
	mutex_init(&o->mu);
	cond_init(&o->work);
	e = thread_start(&o->thread, run_output, o, "output");
	if (e == ERR_OK)
		*out = o;
	else
		output_free(o);
	return e;
}

int output_fd(const struct output *o)
{
	return o->fd;
}

/* Lines that were formatted and not written, one of them maybe in part. */
static uint64_t count_lines(const struct buf *b)
{
	uint64_t lines = 0;

	for (size_t i = 0; i < b->len; i++)
		lines += b->data[i] == '\n';
	return lines;
}

uint64_t output_close(struct output *o, int64_t deadline_ms)
{
	uint64_t left = 0;
	struct item *i;

	mutex_lock(&o->mu);
	o->closing = true;
	o->deadline_ms = deadline_ms;
	cond_signal(&o->work);
	mutex_unlock(&o->mu);
	(void)!eventfd_write(o->wake_fd, 1);
	thread_join(o->thread);
	mutex_lock(&o->mu);
	while ((i = take_locked(o)) != NULL) {
		left += i->kind == ITEM_MESSAGE && !o->ended;
		left += i->kind == ITEM_GAP && !o->ended ? range_size(&i->gap)
							 : 0;
		item_free(i);
	}
	mutex_unlock(&o->mu);
	left += o->unnamed + count_lines(&o->out);
	output_free(o);
	return left;
}
