#include "peer/reader.h"

#include "base/buf.h"
#include "io/clock.h"
#include "io/heap.h"
#include "io/server.h"
#include "io/sock.h"
#include "peer/detail.h"
#include "peer/hub.h"

#include <errno.h>
#include <string.h>

#define BUSY_BATCH 64
#define BATCH_MAX 512 /* frames handed over at once */

struct batch {
	struct parcel *parcels[BATCH_MAX];
	size_t n;
	struct parcel_spares spares;
	bool full;       /* more frames may wait in the inbox */
	bool whole;      /* there was a frame; reset by who wants to know */
	enum err breach; /* what ended it early, or ERR_OK */
	const char *why;
};

static void on_drained(struct link *l)
{
	struct peer *p = l->owner;

	hub_on_drained(p->hub, l);
}

struct link *reader_link(struct peer *p, struct talk *t, const struct addr *who)
{
	const struct config_gossip *c = &p->config->gossip;
	struct link_limits limits = { .outbox_max = c->outbox_max,
				      .slow_ms = c->slow_ms,
				      .slow_bytes = c->slow_bytes };
	struct link *l =
		link_new(t, &limits, &p->counters.bytes_out, on_drained);

	if (l == NULL)
		return NULL;
	l->who = *who;
	l->owner = p;
	return l;
}

/* --- collecting ------------------------------------------------------- */

/* Drops the i-th parcel and what follows it. */
static void cut(struct batch *b, size_t i)
{
	for (size_t k = i; k < b->n; k++)
		parcel_release_to(b->parcels[k], &b->spares);
	b->n = i;
}

/* The next frame, decoded. ERR_NOT_FOUND: there is none. */
static enum err next(struct link *l, struct batch *b, struct parcel **p)
{
	struct frame_head head;
	struct frame *f = NULL;
	enum err e = inbox_next(&l->inbox, &head, &f);

	if (e == ERR_OK)
		return parcel_new(p, &head, f, &b->spares, &b->why);
	if (e == ERR_NOMEM)
		b->why = err_text(e);
	else if (e != ERR_NOT_FOUND)
		b->why = inbox_breach(&l->inbox, e);
	return e;
}

/* Unknown types vanish here: they are never forwarded. A malformed frame ends
 * the batch, and the link. */
static void collect(struct peer *p, struct link *l, struct batch *b)
{
	int64_t wall_ms = clock_wall_ms();
	unsigned looked_at = 0;

	b->n = 0;
	b->full = true;
	b->breach = ERR_OK;
	while (looked_at++ < BATCH_MAX) {
		struct parcel **at = &b->parcels[b->n];
		enum err e = next(l, b, at);

		b->full = e != ERR_NOT_FOUND;
		if (e == ERR_NOT_FOUND)
			return;
		b->whole = true;
		if (e == ERR_OK) {
			(*at)->wall_ms = wall_ms;
			b->n++;
		} else if (e == ERR_UNKNOWN) {
			reject_note(
				&p->rejects, REJECT_UNKNOWN, &l->who,
				"a type of message this version does not know");
		} else {
			b->breach = e;
			return;
		}
	}
}

/* --- telling people --------------------------------------------------- */

static char *add(char *at, const char *text, size_t n)
{
	memcpy(at, text, n);
	return at + n;
}

static char *add_number(char *at, const char *name, uint64_t v)
{
	at = add(at, name, strlen(name));
	return at + decimal_write(at, v);
}

/* Without printf: at full speed these lines are a third of all work. */
static void log_message(struct peer *p, const struct link *l,
			const struct parcel *c)
{
	const struct msg_message *m = &c->msg.message;
	size_t shown =
		m->data_bytes < LOG_TEXT_MAX ? m->data_bytes : LOG_TEXT_MAX;
	char text[ADDR_TEXT_MAX + 3 * DECIMAL_MAX + 64 + LOG_TEXT_MAX];
	char *at = text;

	at = add(at, "origin=", strlen("origin="));
	at += addr_format(&m->origin.addr, at);
	at = add_number(at, " seq=", m->seq);
	at = add_number(at, " hops=", c->head.hops + 1u);
	at = add_number(at, " bytes=", m->data_bytes);
	*at++ = ' ';
	at = add(at, (const char *)m->data, shown);
	log_text(p->log, LOG_INFO, KIND_MESSAGE, WAY_IN, "Message", &l->who,
		 text, (size_t)(at - text));
}

static void log_parcel(struct peer *p, const struct link *l,
		       const struct parcel *c)
{
	enum message_type type = c->msg.type;
	const char *name = message_name(type);

	if (c->delivered)
		log_message(p, l, c);
	else if (type == MSG_LIVELINESS || type == MSG_LIVELINESS_REPLY)
		log_event(p->log, LOG_INFO, KIND_LIVELINESS, WAY_IN, name,
			  &l->who, "%s", "");
	else if (type == MSG_BYE)
		log_event(p->log, LOG_INFO, KIND_PEER, WAY_IN, name, &l->who,
			  "%s", bye_reason_name(c->msg.bye.reason));
	else if (type == MSG_MESSAGE)
		log_event(p->log, LOG_DEBUG, KIND_MESSAGE, WAY_IN, name,
			  &l->who, "%s", "a copy");
	else
		detail_log(p->log, WAY_IN, &l->who, &c->msg);
}

static void note_breach(struct peer *p, const struct link *l,
			const struct batch *b)
{
	enum reject_reason reason = REJECT_MALFORMED;

	if (b->breach == ERR_RANGE)
		reason = REJECT_OVERSIZED;
	else if (b->breach == ERR_VERSION)
		reason = REJECT_VERSION;
	else if (b->breach == ERR_NOMEM)
		reason = REJECT_MEMORY;
	reject_note(&p->rejects, reason, &l->who, b->why);
}

/* --- reading ---------------------------------------------------------- */

/* A frame that was begun comes at slow_bytes in slow_ms or ends the link, the
 * counterpart of what we owe a neighbor that sends: else one that trickles
 * would stay for ever, and hold up to a frame of memory. One window may pass
 * in vain: the neighbor may have been stopped for a moment, and whether it is
 * silent for too long is for the liveness to say. */
struct pace {
	int64_t until_ms; /* INT64_MAX: no frame has been begun */
	uint64_t got;     /* of it since the window began */
	unsigned missed;  /* windows in a row that brought too little */
};

#define PACE_MISSES_MAX 2

static void pace_note(struct pace *pace, const struct config_gossip *c,
		      size_t got, bool whole, bool partial)
{
	if (!partial) {
		pace->until_ms = INT64_MAX;
		return;
	}
	pace->got += got;
	if (pace->until_ms != INT64_MAX && !whole && pace->got < c->slow_bytes)
		return;
	*pace = (struct pace){ .until_ms = clock_ms() + c->slow_ms };
}

static bool pace_lost(struct pace *pace, const struct config_gossip *c,
		      const struct link *l)
{
	/* R13: bytes that wait were late through no fault of theirs. */
	if (clock_ms() < pace->until_ms || sock_has_bytes(l->fd))
		return false;
	pace->until_ms = clock_ms() + c->slow_ms;
	pace->got = 0;
	return ++pace->missed == PACE_MISSES_MAX;
}

static void stalled(struct peer *p, struct link *l)
{
	reject_note(&p->rejects, REJECT_STALLED, &l->who,
		    "began a frame and did not go on");
	hub_on_down(p->hub, l, DOWN_BREACH);
}

/* The fault is ours: the neighbor is let go, and not reported as dead. */
static void unreadable(struct peer *p, struct link *l, enum err e)
{
	reject_note(&p->rejects, REJECT_MEMORY, &l->who,
		    e == ERR_SYSTEM ? strerror(errno) : err_text(e));
	hub_on_down(p->hub, l, DOWN_LOCAL);
}

/* Somebody on the way, or a neighbor that is broken. */
static void forged(struct peer *p, struct link *l)
{
	reject_note(&p->rejects, REJECT_MALFORMED, &l->who, "a forged record");
	hub_on_down(p->hub, l, DOWN_BREACH);
}

/* One batch; false when the link is over. */
static bool read_batch(struct peer *p, struct link *l, struct batch *b)
{
	size_t n;

	collect(p, l, b);
	if (b->n > 0)
		hub_on_frames(p->hub, l, b->parcels, b->n);
	for (size_t i = 0; i < b->n && log_wants(p->log, LOG_INFO); i++)
		log_parcel(p, l, b->parcels[i]);
	n = b->n;
	cut(b, 0);
	parcel_spares_trim(&b->spares, n); /* a quiet link keeps few */
	if (n >= BUSY_BATCH)
		heap_fill_ahead();
	if (b->breach == ERR_OK)
		return true;
	note_breach(p, l, b);
	hub_on_down(p->hub, l,
		    b->breach == ERR_NOMEM ? DOWN_LOCAL : DOWN_BREACH);
	return false;
}

/* What the socket has now, or by the end of the window, if anything. */
static bool fill(struct peer *p, struct link *l, const struct pace *pace,
		 size_t *got)
{
	int64_t drain_ms, deadline = pace->until_ms;
	enum err e;

	/* The link's writer ends a drain that takes too long; a connection
	 * that never became a link has no writer. */
	if (link_finishing(l, &drain_ms)) {
		if (clock_ms() >= drain_ms)
			return false;
		if (drain_ms < deadline)
			deadline = drain_ms;
	}
	e = inbox_fill(&l->inbox, l->fd, deadline, got);
	if (e == ERR_TIMEOUT && deadline == pace->until_ms)
		return true;
	if (e == ERR_NOMEM || e == ERR_SYSTEM)
		unreadable(p, l, e);
	if (e == ERR_SYNTAX)
		forged(p, l);
	if (e != ERR_OK)
		return false;
	atomic_fetch_add_explicit(&p->counters.bytes_in, *got,
				  memory_order_relaxed);
	return true;
}

static bool read_some(struct peer *p, struct link *l, struct batch *b,
		      struct pace *pace)
{
	const struct config_gossip *c = &p->config->gossip;
	bool partial;
	size_t got = 0;

	if (!fill(p, l, pace, &got))
		return false;
	b->whole = false;
	do {
		if (!read_batch(p, l, b))
			return false;
	} while (b->full);
	partial = inbox_partial(&l->inbox);
	if (partial && !b->whole && got > 0)
		hub_on_heard(p->hub, l);
	pace_note(pace, c, got, b->whole, partial);
	if (!pace_lost(pace, c, l))
		return true;
	stalled(p, l);
	return false;
}

void reader_give_up(struct peer *p, struct link *l)
{
	log_event(p->log, LOG_WARN, KIND_WARNING, WAY_NONE, "resources",
		  &l->who, "no thread for this link: %s", strerror(errno));
	hub_on_down(p->hub, l, DOWN_LOCAL);
}

void reader_refuse(struct link *l)
{
	uint8_t junk[4096];
	int64_t drain_ms;
	size_t got;

	link_finish(l);
	(void)!link_finishing(l, &drain_ms);
	while (clock_ms() < drain_ms &&
	       sock_recv(l->fd, junk, sizeof junk, &got, drain_ms) == ERR_OK)
		;
	link_close(l);
}

void reader_run(struct peer *p, struct link *l)
{
	struct pace pace = { .until_ms = INT64_MAX };
	struct batch b;
	int64_t drain_ms;
	bool live = true;

	memset(&b, 0, sizeof b);
	b.full = true;
	if (!link_finishing(l, &drain_ms))
		live = link_start_writer(l) == ERR_OK;
	if (!live)
		reader_give_up(p, l);
	/* What came together with the introduction is read first. */
	while (live && b.full)
		live = read_batch(p, l, &b);
	if (live && inbox_partial(&l->inbox))
		pace_note(&pace, &p->config->gossip, 0, true, true);
	while (live)
		live = read_some(p, l, &b, &pace);
	parcel_spares_trim(&b.spares, 0);
	hub_on_down(p->hub, l, link_is_slow(l) ? DOWN_SLOW : DOWN_RESET);
	link_close(l);
	log_event(p->log, LOG_INFO, KIND_PLAIN, WAY_NONE, "closed", &l->who,
		  "%s", "");
}

void reader_serve(void *arg, struct conn *c)
{
	struct link *l = arg;

	(void)c;
	reader_run(l->owner, l);
	link_release(l);
}
