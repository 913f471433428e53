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

#define FIRST_ITEMS 64
#define KEPT_ITEMS 1024 /* room of an empty queue */
#define TAKE_MAX 64     /* items taken from the queue at a time */
#define STILL_MS 1000   /* then nobody waits for a reader that takes nothing */
#define ROOM_PART 64    /* of the queue may be full, and nobody waits */
/* So much a thread that comes along with something new writes for others, too:
 * it has a link to read. */
#define FLUSH_BYTES (4 * WRITE_BYTES)

enum item_kind { ITEM_MESSAGE, ITEM_TEXT, ITEM_GAP };

/* Messages not printed, since */
struct gap {
	struct range range;
	bool nobody; /* nobody had them; else since they did not fit */
};

struct item {
	enum item_kind kind;
	union {
		struct parcel *parcel; /* MESSAGE */
		struct buf *text;      /* TEXT */
		struct gap *gap;       /* GAP */
	};
};

/* (c) constant, (q) mu, (w) whoever set writing */
struct output {
	struct output_config config; /* (c) */
	bool terminal;               /* (c) */
	int fd;            /* (c) may be a non-blocking twin of config.fd */
	int wake_fd;       /* (c) eventfd */
	size_t write_max;  /* (c) */
	bool is_socket;    /* (c) */
	bool never_blocks; /* (c) to write: anybody may; else the thread */
	struct mutex mu;
	struct cond work;
	struct cond room; /* see output_wait_room */
	/* (q) since when nobody took anything while somebody waited; else
	 * INT64_MAX */
	int64_t still_ms;
	bool unread;             /* (q) that was for STILL_MS */
	struct item *queue;      /* (q) ring */
	size_t head, count, cap; /* (q) */
	struct gap *last_gap;    /* (q) the last item if it is a gap */
	size_t bytes;            /* (q) of the items */
	bool writing;            /* (q) */
	bool stuck;       /* (q) stdout took less than all: the thread's turn */
	bool slow;        /* (q) see output_message */
	unsigned gaps;    /* (q) */
	uint64_t lost;    /* (q) */
	uint64_t unnamed; /* (q) lost, and no gap says which */
	bool closing;     /* (q) */
	int64_t deadline_ms; /* (q) valid when closing */
	bool ended;          /* (q) nothing is printed any more */
	uint64_t printed;    /* (w) */
	struct buf out;      /* (w) formatted, */
	size_t done;         /* (w) and written so far */
	pthread_t thread;    /* (c) */
};

/* --- formatting ------------------------------------------------------- */

static void format_json(struct buf *b, const struct parcel *p)
{
	const struct msg_message *m = &p->msg.message;
	char id[HASH_HEX + 1], origin[ADDR_TEXT_MAX];
	struct hash hash = parcel_id(p);

	hash_format(&hash, id);
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

/* as_sent: it stands in the frame as it is. Then it has no newline: there, as
 * in any JSON, that would be an escape. */
static void format_plain(struct buf *b, const uint8_t *data, size_t n,
			 bool as_sent)
{
	while (n > 0) {
		const uint8_t *nl = as_sent ? NULL : memchr(data, '\n', n);
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
		format_plain(b, m->data, m->data_bytes, p->msg.memory == NULL);
	buf_char(b, '\n');
}

static uint64_t range_size(const struct range *r)
{
	return r->last - r->first + 1;
}

/* Who reads JSON finds every gap among the messages; what nobody had is no
 * trouble of his that stderr should tell him of as well. */
static void format_gap(struct output *o, const struct gap *gap)
{
	const struct range *r = &gap->range;
	char origin[ADDR_TEXT_MAX];

	addr_format(&r->run.addr, origin);
	if (o->config.json)
		buf_fmt(&o->out,
			"{\"event\":\"gap\",\"origin\":\"%s\","
			"\"incarnation\":%llu,\"first\":%llu,\"last\":%llu}\n",
			origin, (unsigned long long)r->run.incarnation,
			(unsigned long long)r->first,
			(unsigned long long)r->last);
	if (o->config.json && gap->nobody)
		return;
	complain("peer: %llu messages %s: %s seq %llu to %llu\n",
		 (unsigned long long)range_size(r),
		 gap->nobody ? "lost in the network, nobody has them any more"
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
		return i->text->len + ITEM_OVERHEAD;
	case ITEM_GAP:
		break;
	}
	return 0;
}

static void item_free(const struct item *i)
{
	switch (i->kind) {
	case ITEM_MESSAGE:
		parcel_release(i->parcel);
		break;
	case ITEM_TEXT:
		buf_free(i->text);
		free(i->text);
		break;
	case ITEM_GAP:
		free(i->gap);
		break;
	}
}

static bool grow_locked(struct output *o) NEEDS(o->mu)
{
	size_t cap = o->cap ? o->cap * 2 : FIRST_ITEMS;
	struct item *q = malloc(cap * sizeof *q);

	if (q == NULL)
		return false;
	for (size_t i = 0; i < o->count; i++)
		q[i] = o->queue[(o->head + i) % o->cap];
	free(o->queue);
	o->queue = q;
	o->head = 0;
	o->cap = cap;
	return true;
}

/* False when there is no memory, or no room for so many bytes. */
static bool append_locked(struct output *o, const struct item *i) NEEDS(o->mu)
{
	size_t bytes = item_bytes(i);

	if (o->bytes + bytes > o->config.max_bytes ||
	    (o->count == o->cap && !grow_locked(o)))
		return false;
	o->queue[(o->head + o->count++) % o->cap] = *i;
	o->last_gap = i->kind == ITEM_GAP ? i->gap : NULL;
	o->bytes += bytes;
	return true;
}

/* Notes a gap where its messages would have stood; the last one grows. */
static void gap_locked(struct output *o, const struct range *r, bool nobody)
	NEEDS(o->mu)
{
	struct gap *gap = o->last_gap;
	struct item item = { .kind = ITEM_GAP };

	if (gap != NULL && gap->nobody == nobody &&
	    identity_equal(&gap->range.run, &r->run) &&
	    r->first == gap->range.last + 1) {
		gap->range.last = r->last;
		return;
	}
	gap = o->gaps < GAPS_MAX ? malloc(sizeof *gap) : NULL;
	item.gap = gap;
	if (gap == NULL || !append_locked(o, &item)) {
		free(gap);
		o->unnamed += range_size(r);
		return;
	}
	*gap = (struct gap){ *r, nobody };
	o->gaps++;
}

/* The message does not fit. */
static void miss_locked(struct output *o, const struct msg_message *m)
	NEEDS(o->mu)
{
	struct range r = { .run = m->origin, .first = m->seq, .last = m->seq };

	o->lost++;
	gap_locked(o, &r, false);
}

static void message_locked(struct output *o, struct parcel *p) NEEDS(o->mu)
{
	struct item i = { .kind = ITEM_MESSAGE, .parcel = p };

	if (append_locked(o, &i))
		parcel_hold(p);
	else
		miss_locked(o, &p->msg.message);
}

static bool has_room_locked(const struct output *o) NEEDS(o->mu)
{
	return o->bytes <= o->config.max_bytes / ROOM_PART || o->slow ||
	       o->unread || o->ended || o->closing;
}

static void tell_room_locked(struct output *o) NEEDS(o->mu)
{
	if (has_room_locked(o))
		cond_broadcast(&o->room);
}

void output_messages(struct output *o, struct parcel *const *p, size_t n)
{
	mutex_lock(&o->mu);
	if (o->closing)
		o->lost += n;
	else if (!o->ended)
		for (size_t i = 0; i < n; i++)
			message_locked(o, p[i]);
	if (!o->closing && o->bytes > o->config.max_bytes / 2)
		o->slow = true;
	tell_room_locked(o);
	mutex_unlock(&o->mu);
}

void output_wait_room(struct output *o, int64_t deadline_ms)
{
	bool in_time = true;

	mutex_lock(&o->mu);
	if (!has_room_locked(o) && o->still_ms == INT64_MAX)
		o->still_ms = clock_ms();
	while (in_time && !has_room_locked(o))
		in_time = cond_wait_until(&o->room, &o->mu, deadline_ms);
	if (!in_time && o->still_ms != INT64_MAX &&
	    clock_ms() - o->still_ms >= STILL_MS) {
		o->unread = true;
		tell_room_locked(o);
	}
	mutex_unlock(&o->mu);
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
	struct buf *text = b->failed ? NULL : malloc(sizeof *text);
	struct item i = { .kind = ITEM_TEXT, .text = text };
	bool taken = false;

	if (text == NULL) {
		complain("peer: no memory to show an answer\n");
		buf_reset(b);
		return;
	}
	*text = *b;
	*b = (struct buf){ 0 };
	mutex_lock(&o->mu);
	if (!o->ended && !o->closing)
		taken = append_locked(o, &i);
	mutex_unlock(&o->mu);
	if (taken)
		output_flush(o);
	else
		item_free(&i);
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
	tell_room_locked(o);
	mutex_unlock(&o->mu);
	buf_reset(&o->out);
	o->done = 0;
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

enum wrote {
	WROTE_ALL,  /* of what is formatted */
	WROTE_PART, /* stdout may take more */
	WROTE_NONE, /* stdout is full */
	WROTE_LAST  /* nothing is printed any more */
};

static enum wrote write_piece(struct output *o)
{
	size_t n = o->out.len - o->done;
	ssize_t w = write_some(o, o->out.data + o->done,
			       n < o->write_max ? n : o->write_max);

	if (w < 0 && errno == EAGAIN)
		return WROTE_NONE;
	if (w < 0 && errno != EINTR) {
		end_output(o, errno);
		return WROTE_LAST;
	}
	o->done += w > 0 ? (size_t)w : 0;
	if (o->done < o->out.len)
		return WROTE_PART;
	buf_reset(&o->out);
	o->done = 0;
	if (o->out.cap > 2 * WRITE_BYTES)
		buf_free(&o->out);
	return WROTE_ALL;
}

/* There was no memory to format it. A message becomes a gap, there and on
 * stderr, which needs none. */
static void print_missed(struct output *o, const struct item *i)
{
	const struct msg_message *m;
	size_t before = o->out.len;
	struct gap gap = { 0 };

	if (i->kind == ITEM_TEXT)
		complain("peer: no memory to show %zu bytes\n", i->text->len);
	if (i->kind != ITEM_MESSAGE)
		return; /* a gap is on stderr already */
	m = &i->parcel->msg.message;
	gap.range = (struct range){ m->origin, m->seq, m->seq };
	mutex_lock(&o->mu);
	o->lost++;
	mutex_unlock(&o->mu);
	format_gap(o, &gap);
	if (o->out.failed)
		o->out.len = before;
	o->out.failed = false;
}

static void format_item(struct output *o, const struct item *i)
{
	switch (i->kind) {
	case ITEM_MESSAGE:
		output_format(&o->out, i->parcel, o->config.json, o->terminal);
		o->printed += !o->out.failed;
		break;
	case ITEM_TEXT:
		buf_add(&o->out, i->text->data, i->text->len);
		break;
	case ITEM_GAP:
		format_gap(o, i->gap);
		break;
	}
}

static bool all_printed(const struct output *o)
{
	return o->config.count > 0 && o->printed == o->config.count;
}

static void print_item(struct output *o, const struct item *i)
{
	size_t before = o->out.len;

	if (all_printed(o))
		return;
	format_item(o, i);
	if (!o->out.failed)
		return;
	o->out.len = before;
	o->out.failed = false;
	print_missed(o, i);
}

static bool take_locked(struct output *o, struct item *i) NEEDS(o->mu)
{
	if (o->count == 0)
		return false;
	*i = o->queue[o->head];
	o->head = (o->head + 1) % o->cap;
	o->count--;
	o->still_ms = INT64_MAX;
	o->unread = false;
	if (o->count == 0)
		o->last_gap = NULL;
	o->gaps -= i->kind == ITEM_GAP;
	o->bytes -= item_bytes(i);
	return true;
}

static size_t take_some_locked(struct output *o, struct item v[TAKE_MAX])
	NEEDS(o->mu)
{
	size_t n = 0, bytes = 0;

	while (n < TAKE_MAX && bytes < WRITE_BYTES && take_locked(o, &v[n]))
		bytes += item_bytes(&v[n++]);
	if (o->count == 0 && o->cap > KEPT_ITEMS) {
		free(o->queue);
		o->queue = NULL;
		o->head = o->cap = 0;
	}
	return n;
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

/* Formats as much as goes into one write; false if nothing was queued. */
static bool format_some(struct output *o)
{
	struct item v[TAKE_MAX];
	bool caught_up, any = false;
	size_t n;

	do {
		mutex_lock(&o->mu);
		n = take_some_locked(o, v);
		caught_up = caught_up_locked(o);
		tell_room_locked(o);
		mutex_unlock(&o->mu);
		for (size_t i = 0; i < n; i++) {
			print_item(o, &v[i]);
			item_free(&v[i]);
		}
		if (caught_up && o->config.caught_up != NULL)
			o->config.caught_up(o->config.peer);
		any = any || n > 0;
	} while (n > 0 && o->out.len < WRITE_BYTES && !all_printed(o));
	return any;
}

static enum wrote all_written(struct output *o)
{
	if (!all_printed(o))
		return WROTE_ALL;
	mutex_lock(&o->mu);
	o->ended = true;
	tell_room_locked(o);
	mutex_unlock(&o->mu);
	peer_finish(o->config.peer, EXIT_DONE);
	return WROTE_LAST;
}

static enum wrote write_at_once(struct output *o)
{
	enum wrote w = WROTE_ALL;
	size_t bytes = 0;

	while (w == WROTE_ALL && bytes < FLUSH_BYTES && format_some(o)) {
		bytes += o->out.len;
		do
			w = write_piece(o);
		while (w == WROTE_PART);
		if (w == WROTE_ALL)
			w = all_written(o);
	}
	return w;
}

void output_flush(struct output *o)
{
	mutex_lock(&o->mu);
	if (!o->never_blocks && o->count > 0)
		cond_signal(&o->work);
	if (o->never_blocks && o->count > 0 && !o->writing && !o->stuck &&
	    !o->ended) {
		o->writing = true;
		mutex_unlock(&o->mu);
		enum wrote w = write_at_once(o);
		mutex_lock(&o->mu);
		o->writing = false;
		o->stuck = w == WROTE_NONE;
		/* What came meanwhile, and was left to me. */
		if (o->stuck || o->count > 0 || o->closing)
			cond_signal(&o->work);
	}
	mutex_unlock(&o->mu);
}

/* Writes what is formatted, or something of what is queued. False when that
 * was the end of it, or the stop would not wait any longer. */
static bool write_patiently(struct output *o)
{
	enum wrote w = o->never_blocks ? WROTE_PART : WROTE_NONE;

	if (o->out.len == 0 && !format_some(o))
		return true;
	while (w != WROTE_ALL) {
		int error = w == WROTE_NONE ? wait_writable(o) : 0;

		if (error != 0 && error != ETIMEDOUT)
			end_output(o, error);
		if (error != 0)
			return false;
		w = write_piece(o);
		if (w == WROTE_LAST)
			return false;
		if (w == WROTE_PART && !o->never_blocks)
			w = WROTE_NONE;
	}
	return all_written(o) == WROTE_ALL;
}

/* Something is left for the thread, or nothing will come any more. */
static bool its_turn_locked(const struct output *o) NEEDS(o->mu)
{
	return !o->writing &&
	       (o->stuck || o->count > 0 || o->closing || o->ended);
}

static void *run_output(void *arg)
{
	struct output *o = arg;
	bool going = true;

	mutex_lock(&o->mu);
	while (going) {
		while (!its_turn_locked(o))
			cond_wait(&o->work, &o->mu);
		if (o->ended || (!o->stuck && o->count == 0))
			break;
		o->writing = true;
		mutex_unlock(&o->mu);
		going = write_patiently(o);
		mutex_lock(&o->mu);
		o->stuck = false;
		o->writing = false;
	}
	mutex_unlock(&o->mu);
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
	o->is_socket = o->never_blocks = S_ISSOCK(st.st_mode);
	if (!S_ISFIFO(st.st_mode) && !S_ISCHR(st.st_mode))
		return;
	if ((fcntl(o->fd, F_GETFL) & O_ACCMODE) == O_RDONLY)
		return;
	snprintf(path, sizeof path, "/proc/self/fd/%d", o->config.fd);
	o->fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	o->never_blocks = o->fd >= 0;
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
	free(o->queue);
	buf_free(&o->out);
	cond_destroy(&o->work);
	cond_destroy(&o->room);
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
	o->terminal = isatty(c->fd);
	o->still_ms = INT64_MAX;
	o->wake_fd = eventfd(0, EFD_CLOEXEC);
	if (o->wake_fd < 0) {
		free(o);
		return ERR_SYSTEM;
	}
	open_twin(o);
	mutex_init(&o->mu);
	cond_init(&o->work);
	cond_init(&o->room);
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
static uint64_t count_lines(const struct output *o)
{
	uint64_t lines = 0;

	for (size_t i = o->done; i < o->out.len; i++)
		lines += o->out.data[i] == '\n';
	return lines;
}

uint64_t output_close(struct output *o, int64_t deadline_ms)
{
	uint64_t left = 0;
	struct item i;

	mutex_lock(&o->mu);
	o->closing = true;
	o->deadline_ms = deadline_ms;
	cond_signal(&o->work);
	tell_room_locked(o);
	mutex_unlock(&o->mu);
	(void)!eventfd_write(o->wake_fd, 1);
	thread_join(o->thread);
	mutex_lock(&o->mu);
	while (take_locked(o, &i)) {
		if (i.kind == ITEM_MESSAGE && !o->ended)
			left++;
		if (i.kind == ITEM_GAP && !o->ended)
			left += range_size(&i.gap->range);
		item_free(&i);
	}
	mutex_unlock(&o->mu);
	left += o->unnamed + count_lines(o);
	output_free(o);
	return left;
}
