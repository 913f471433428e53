#include "seed/probe.h"

#include "base/crypto.h"
#include "io/clock.h"
#include "io/talk.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

const char *probe_outcome_name(enum probe_outcome o)
{
	static const char *const name[] = { "alive", "refused", "silent",
					    "not probed" };

	return name[o];
}

static enum probe_outcome from_error(enum err e)
{
	switch (e) {
	case ERR_OK:
		return PROBE_ALIVE;
	case ERR_REFUSED:
	case ERR_CLOSED:
	case ERR_RESET:
	case ERR_KEY: /* somebody is there, but no member */
		return PROBE_REFUSED;
	case ERR_TIMEOUT:
	case ERR_SYNTAX:
	case ERR_RANGE:
	case ERR_VERSION:
		return PROBE_SILENT;
	default:
		return PROBE_FAILED;
	}
}

/* A router or the neighbor table says that the host is gone: that is news of
 * them. No route, no descriptor, no memory: that is news of us. */
static enum probe_outcome from_open_error(enum err e)
{
	if (e == ERR_SYSTEM && errno == EHOSTUNREACH)
		return PROBE_REFUSED;
	return from_error(e);
}

static uint64_t random_nonce(void)
{
	uint64_t n;

	crypto_random(&n, sizeof n);
	return n % (NONCE_MAX + 1);
}

/* Replies to other questions, and all other messages, are passed over. */
static enum err ask(struct talk *t, int64_t deadline_ms, struct identity *found)
{
	struct message m = { .type = MSG_LIVELINESS }, got;
	uint64_t nonce = random_nonce();
	enum err e;

	m.liveliness.nonce = nonce;
	e = talk_send(t, &m, deadline_ms);
	while (e == ERR_OK || e == ERR_UNKNOWN) {
		if (clock_ms() > deadline_ms)
			return ERR_TIMEOUT;
		e = talk_recv(t, &got, deadline_ms);
		if (e != ERR_OK)
			continue;
		if (got.type == MSG_LIVELINESS_REPLY &&
		    got.liveliness_reply.nonce == nonce) {
			*found = got.liveliness_reply.id;
			message_clear(&got);
			return ERR_OK;
		}
		message_clear(&got);
	}
	return e;
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

enum probe_outcome probe_run(struct log *log, const struct greeting *g,
			     const struct addr *to, struct waker *w,
			     const struct probe_limits *limits,
			     struct identity *found)
{
	int64_t now_ms = clock_ms(), end_ms = now_ms + limits->total_ms;
	enum probe_outcome o;
	struct talk t;
	enum err e;

	e = talk_open(&t, g, to, w,
		      earlier(now_ms + limits->connect_ms, end_ms));
	o = from_open_error(e);
	if (e == ERR_OK) {
		log_event(log, LOG_INFO, KIND_LIVELINESS, WAY_OUT, "Liveliness",
			  to, "are you there");
		e = ask(&t, earlier(clock_ms() + limits->reply_ms, end_ms),
			found);
		talk_close(&t);
		o = from_error(e);
	}
	if (o == PROBE_ALIVE)
		log_event(log, LOG_INFO, KIND_LIVELINESS, WAY_IN,
			  "Liveliness Reply", to, "incarnation %" PRIu64,
			  found->incarnation);
	else
		log_event(log, LOG_INFO, KIND_LIVELINESS, WAY_NONE, "probe", to,
			  "%s: %s", probe_outcome_name(o), err_text(e));
	return o;
}
