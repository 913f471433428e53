#include "io/link.h"

#include "io/clock.h"
#include "io/sock.h"
#include "io/talk.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_ENTRIES 16
/* A keyed link needs room for what it seals: as much as the heap has at hand,
 * and is not mapped and faulted in anew for each batch (at 128 KiB twice the
 * page faults of a plain one). */
#define SEALED_BATCH_BYTES 49152

/* --- life ------------------------------------------------------------- */

struct link *link_new(struct talk *t, const struct link_limits *limits,
		      atomic_uint_fast64_t *bytes_out,
		      void (*drained)(struct link *l))
{
	struct link *l = calloc(1, sizeof *l);

	if (l == NULL)
		return NULL;
	l->batch = malloc(sizeof *l->batch);
	if (l->batch == NULL) {
		free(l);
		return NULL;
	}
	l->batch->left = l->batch->count = 0;
	atomic_init(&l->refs, 1);
	l->fd = t->fd;
	sock_keep_short(l->fd);
	channel_move(&l->channel, &t->channel);
	l->inbox = t->inbox;
	l->inbox.channel = &l->channel;
	l->inbox.body_max = FRAME_BODY_MAX;
	memset(&t->inbox, 0, sizeof t->inbox);
	l->limits = *limits;
	l->bytes_out = bytes_out;
	l->drained = drained;
	l->slot = UINT8_MAX;
	atomic_init(&l->behind, false);
	mutex_init(&l->mu);
	cond_init(&l->work);
	cond_init(&l->room);
	return l;
}

struct link *link_hold(struct link *l)
{
	atomic_fetch_add_explicit(&l->refs, 1, memory_order_relaxed);
	return l;
}

static size_t entry_bytes(const struct link_entry *e)
{
	return (size_t)e->frame->body_bytes + LINK_FRAME_OVERHEAD;
}

static void release_batch(struct link_batch *b)
{
	for (int i = 0; i < b->count; i++)
		frame_release(b->entries[i].frame);
	b->count = b->left = 0;
}

static void drop_queue_locked(struct link *l) NEEDS(l->mu)
{
	for (; l->count > 0; l->count--) {
		struct link_entry *e = &l->queue[l->head];

		l->backlog -= entry_bytes(e);
		frame_release(e->frame);
		l->head = (l->head + 1) % l->cap;
	}
}

void link_release(struct link *l)
{
	if (atomic_fetch_sub_explicit(&l->refs, 1, memory_order_acq_rel) != 1)
		return;
	mutex_lock(&l->mu);
	drop_queue_locked(l);
	mutex_unlock(&l->mu);
	release_batch(l->batch);
	free(l->batch);
	free(l->queue);
	channel_free(&l->channel);
	inbox_free(&l->inbox);
	cond_destroy(&l->work);
	cond_destroy(&l->room);
	mutex_destroy(&l->mu);
	free(l);
}

/* --- the queue -------------------------------------------------------- */

static enum err grow_locked(struct link *l) NEEDS(l->mu)
{
	size_t cap = l->cap ? l->cap * 2 : FIRST_ENTRIES;
	struct link_entry *q = malloc(cap * sizeof *q);

	if (q == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < l->count; i++)
		q[i] = l->queue[(l->head + i) % l->cap];
	free(l->queue);
	l->queue = q;
	l->head = 0;
	l->cap = cap;
	return ERR_OK;
}

static enum err put_locked(struct link *l, const struct frame_head *head,
			   struct frame *f) NEEDS(l->mu)
{
	struct link_entry e = { .frame = f };

	if (l->finishing || l->closed)
		return ERR_CLOSED;
	if (l->backlog + entry_bytes(&e) > l->limits.outbox_max)
		return ERR_FULL;
	if (l->count == l->cap) {
		enum err err = grow_locked(l);

		if (err != ERR_OK)
			return err;
	}
	frame_head_write(head, e.head);
	frame_hold(f);
	l->queue[(l->head + l->count) % l->cap] = e;
	l->count++;
	l->backlog += entry_bytes(&e);
	return ERR_OK;
}

enum err link_queue(struct link *l, const struct frame_head *head,
		    struct frame *f)
{
	enum err e;

	mutex_lock(&l->mu);
	e = put_locked(l, head, f);
	mutex_unlock(&l->mu);
	return e;
}

size_t link_backlog(struct link *l)
{
	size_t n;

	mutex_lock(&l->mu);
	n = l->backlog;
	mutex_unlock(&l->mu);
	return n;
}

/* Nobody waits for a link that takes nothing any more. */
static bool has_room_locked(const struct link *l, size_t high) NEEDS(l->mu)
{
	return l->backlog <= high || l->finishing || l->closed;
}

bool link_wait_room(struct link *l, size_t high, int64_t since_ms,
		    int64_t stall_ms, int64_t deadline_ms)
{
	bool room;

	mutex_lock(&l->mu);
	l->waiters++;
	while (!has_room_locked(l, high)) {
		int64_t moved = l->moved_ms > since_ms ? l->moved_ms : since_ms;
		int64_t until = moved + stall_ms;

		if (until > deadline_ms)
			until = deadline_ms;
		if (clock_ms() >= until)
			break;
		cond_wait_until(&l->room, &l->mu, until);
		/* Who woke up this late was stopped or starved himself, and
		 * his writer with him: that says nothing about the link. */
		if (clock_ms() - until > stall_ms)
			since_ms = clock_ms();
	}
	room = has_room_locked(l, high);
	l->waiters--;
	mutex_unlock(&l->mu);
	return room;
}

/* Little is left of a watched outbox. Who is leaving needs no more. */
static bool drained_locked(const struct link *l) NEEDS(l->mu)
{
	return l->watched && !l->finishing && l->backlog <= LINK_LOW;
}

void link_watch(struct link *l)
{
	mutex_lock(&l->mu);
	l->watched = true;
	if (drained_locked(l))
		cond_signal(&l->work);
	mutex_unlock(&l->mu);
}

/* --- sending ---------------------------------------------------------- */

/* One, if its header is the one before the body. */
static int pieces(struct link_entry *en, struct iovec v[2])
{
	struct frame *f = en->frame;

	if (memcmp(en->head, f->head, FRAME_HEAD_BYTES) == 0) {
		v[0] = (struct iovec){ f->head,
				       FRAME_HEAD_BYTES + f->body_bytes };
		return 1;
	}
	v[0] = (struct iovec){ en->head, FRAME_HEAD_BYTES };
	v[1] = (struct iovec){ f->body, f->body_bytes };
	return 2;
}

/* Moves entries into the batch; behind the last of a link that is finishing
 * its end, once. False: there is nothing to send. */
static bool load_locked(struct link *l) NEEDS(l->mu)
{
	struct link_batch *b = l->batch;
	size_t bytes = 0, most = LINK_BATCH_BYTES;

	if (channel_is_keyed(&l->channel))
		most = SEALED_BATCH_BYTES;
	b->count = b->left = 0;
	b->last = l->count == 0 && l->finishing && !l->ended;
	l->ended |= b->last;
	while (b->count < LINK_BATCH && bytes < most && l->count > 0) {
		struct link_entry *en = &b->entries[b->count++];

		*en = l->queue[l->head];
		l->head = (l->head + 1) % l->cap;
		l->count--;
		b->left += pieces(en, &b->vectors[b->left]);
		bytes += entry_bytes(en);
	}
	return b->count > 0 || b->last;
}

/* Makes of a batch that was loaded what travels. Without the lock: sealing
 * 128 KiB takes as long as a hundred messages do. */
static enum err seal(struct link *l)
{
	struct link_batch *b = l->batch;
	const struct iovec *sealed = b->vectors;
	int n = 0;
	enum err e;

	if (b->last)
		e = channel_seal_end(&l->channel, &sealed, &n);
	else
		e = channel_seal(&l->channel, b->vectors, b->left, &sealed, &n);
	if (e != ERR_OK)
		return e;
	if (sealed != b->vectors)
		memcpy(b->vectors, sealed, (size_t)n * sizeof *sealed);
	b->next = b->vectors;
	b->left = n;
	return ERR_OK;
}

/* Marks n bytes of the batch as sent. */
static void advance(struct link_batch *b, size_t n)
{
	while (n > 0) {
		struct iovec *v = b->next;

		if (n < v->iov_len) {
			v->iov_base = (char *)v->iov_base + n;
			v->iov_len -= n;
			return;
		}
		n -= v->iov_len;
		b->next++;
		b->left--;
	}
}

static void batch_done_locked(struct link *l) NEEDS(l->mu)
{
	for (int i = 0; i < l->batch->count; i++)
		l->backlog -= entry_bytes(&l->batch->entries[i]);
	release_batch(l->batch);
}

/* The batch is left alone: its flusher may be inside of sendmsg. */
static void abort_locked(struct link *l) NEEDS(l->mu)
{
	l->closed = true;
	drop_queue_locked(l);
	sock_shutdown(l->fd);
	cond_broadcast(&l->work);
	cond_broadcast(&l->room);
}

static void half_close_locked(struct link *l) NEEDS(l->mu)
{
	l->half_closed = true;
	(void)!shutdown(l->fd, SHUT_WR);
	cond_signal(&l->work);
}

static void sent_locked(struct link *l, size_t n) NEEDS(l->mu)
{
	advance(l->batch, n);
	l->sent += n;
	if (n > 0)
		l->moved_ms = clock_ms();
	if (l->bytes_out != NULL)
		atomic_fetch_add_explicit(l->bytes_out, n,
					  memory_order_relaxed);
}

/* Sends until the queue is empty or the kernel takes no more. The caller set
 * flushing; the lock is let go around each system call. */
static void pump_locked(struct link *l) NEEDS(l->mu)
{
	while (!l->closed) {
		bool loaded = false;
		enum err e = ERR_OK;
		size_t sent = 0;

		if (l->batch->left == 0) {
			batch_done_locked(l);
			loaded = load_locked(l);
			if (!loaded)
				break;
		}
		mutex_unlock(&l->mu);
		if (loaded)
			e = seal(l);
		if (e == ERR_OK && l->batch->left > 0)
			e = sock_send_now(l->fd, l->batch->next, l->batch->left,
					  &sent);
		mutex_lock(&l->mu);
		if (e != ERR_OK) {
			abort_locked(l);
			break;
		}
		sent_locked(l, sent);
		if (l->batch->left > 0) {
			l->stuck = true;
			break;
		}
	}
	if (!l->closed && l->ended && l->count == 0 && l->batch->left == 0 &&
	    !l->half_closed)
		half_close_locked(l);
	if (l->batch->left == 0)
		channel_rest(&l->channel);
}

static void flush_locked(struct link *l) NEEDS(l->mu)
{
	l->flushing = true;
	pump_locked(l);
	l->flushing = false;
	if (l->stuck || drained_locked(l))
		cond_signal(&l->work);
	if (l->waiters > 0)
		cond_broadcast(&l->room);
}

void link_flush(struct link *l)
{
	mutex_lock(&l->mu);
	if (!l->flushing && !l->stuck && !l->closed)
		flush_locked(l);
	mutex_unlock(&l->mu);
}

/* --- the writer: what the kernel did not take ------------------------- */

/* One wait for the socket, and what it then takes. */
static void push_locked(struct link *l, int64_t deadline_ms) NEEDS(l->mu)
{
	enum err e;

	mutex_unlock(&l->mu);
	e = sock_wait_writable(l->fd, deadline_ms);
	mutex_lock(&l->mu);
	if (e == ERR_OK && !l->closed) {
		l->stuck = false;
		flush_locked(l);
	} else if (e != ERR_TIMEOUT && !l->closed) {
		abort_locked(l);
	}
}

/* Sends until the kernel took all, or there is something to tell. Slow is who
 * took too little in a window; after a Bye nobody waits longer than for the
 * end of the link. */
static void write_stuck_locked(struct link *l) NEEDS(l->mu)
{
	int64_t window = clock_ms() + l->limits.slow_ms;
	uint64_t begun = l->sent;

	/* Telling begins the window anew; it follows upon progress. */
	while (l->stuck && !l->closed && !drained_locked(l)) {
		bool last = l->finishing && l->drain_ms < window;

		push_locked(l, last ? l->drain_ms : window);
		if (!l->stuck || l->closed)
			return;
		if (last && clock_ms() >= l->drain_ms) {
			abort_locked(l);
		} else if (clock_ms() >= window) {
			l->slow = l->sent - begun < l->limits.slow_bytes;
			if (l->slow)
				abort_locked(l);
			window = clock_ms() + l->limits.slow_ms;
			begun = l->sent;
		}
	}
}

/* From this thread and without the lock, so that whoever drained the outbox
 * never finds himself inside of the callback, or of his own locks. */
static void tell_drained_locked(struct link *l) NEEDS(l->mu)
{
	l->watched = false;
	mutex_unlock(&l->mu);
	l->drained(l);
	mutex_lock(&l->mu);
}

static void *write_link(void *arg)
{
	struct link *l = arg;

	mutex_lock(&l->mu);
	while (!l->closed) {
		if (drained_locked(l))
			tell_drained_locked(l);
		else if (l->stuck && !l->flushing)
			write_stuck_locked(l);
		else if (!l->finishing)
			cond_wait(&l->work, &l->mu);
		else if (!cond_wait_until(&l->work, &l->mu, l->drain_ms))
			abort_locked(l); /* the other side does not end */
	}
	mutex_unlock(&l->mu);
	return NULL;
}

enum err link_start_writer(struct link *l)
{
	enum err e = thread_start(&l->writer, write_link, l, "link-writer");

	l->has_writer = e == ERR_OK;
	return e;
}

/* --- ending ----------------------------------------------------------- */

void link_finish(struct link *l)
{
	mutex_lock(&l->mu);
	if (!l->finishing && !l->closed) {
		l->finishing = true;
		l->drain_ms = clock_ms() + LINK_DRAIN_MS;
		cond_broadcast(&l->work);
		cond_broadcast(&l->room);
		if (!l->flushing && !l->stuck)
			flush_locked(l);
	}
	mutex_unlock(&l->mu);
}

bool link_finishing(struct link *l, int64_t *drain_ms)
{
	bool finishing;

	mutex_lock(&l->mu);
	finishing = l->finishing;
	*drain_ms = l->drain_ms;
	mutex_unlock(&l->mu);
	return finishing;
}

void link_abort(struct link *l)
{
	mutex_lock(&l->mu);
	if (!l->closed)
		abort_locked(l);
	mutex_unlock(&l->mu);
}

bool link_is_slow(struct link *l)
{
	bool slow;

	mutex_lock(&l->mu);
	slow = l->slow;
	mutex_unlock(&l->mu);
	return slow;
}

void link_close(struct link *l)
{
	link_abort(l);
	if (l->has_writer)
		thread_join(l->writer);
	l->has_writer = false;
	/* Somebody may be inside of sendmsg still; the shutdown wakes him. */
	mutex_lock(&l->mu);
	l->waiters++;
	while (l->flushing)
		cond_wait(&l->room, &l->mu);
	l->waiters--;
	mutex_unlock(&l->mu);
}
