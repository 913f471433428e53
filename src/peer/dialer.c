#include "peer/dialer.h"

#include "io/clock.h"
#include "io/pool.h"
#include "io/sock.h"
#include "io/talk.h"
#include "peer/hub.h"
#include "peer/reader.h"

#include <stdlib.h>

#define DIALS_AT_ONCE 8 /* the core never has more open */

struct dialer {
	struct peer *peer;
	struct pool *pool;
};

struct dial_job {
	struct job job;
	struct dialer *dialer;
	uint32_t id;
	struct addr to;
	struct msg_peer_request request;
};

enum err dialer_start(struct dialer **out, struct peer *p)
{
	struct dialer *d = calloc(1, sizeof *d);
	enum err e;

	if (d == NULL)
		return ERR_NOMEM;
	d->peer = p;
	e = pool_start(&d->pool, "dialer", DIALS_AT_ONCE, DIALS_AT_ONCE);
	if (e != ERR_OK) {
		free(d);
		return e;
	}
	*out = d;
	return ERR_OK;
}

void dialer_stop(struct dialer *d)
{
	pool_stop(d->pool);
}

void dialer_join(struct dialer *d)
{
	pool_join(d->pool);
	free(d);
}

static enum dial_result result_of(enum err e)
{
	switch (e) {
	case ERR_OK:
		return DIAL_ANSWERED;
	case ERR_REFUSED:
		return DIAL_REFUSED;
	case ERR_TIMEOUT:
		return DIAL_TIMEOUT;
	default:
		return DIAL_FAILED;
	}
}

static void log_request(struct peer *p, const struct dial_job *j)
{
	log_event(p->log, LOG_INFO, KIND_PEER, WAY_OUT, "Peer Request", &j->to,
		  "neighbors=%llu%s", (unsigned long long)j->request.neighbors,
		  j->request.urgent ? " urgent" : "");
}

static enum err ask(struct peer *p, struct dial_job *j, struct talk *t,
		    struct waker *w, struct message *reply, int64_t *rtt_ms)
{
	struct message m = { .type = MSG_PEER_REQUEST,
			     .peer_request = j->request };
	int64_t deadline = clock_ms() + p->config->overlay.dial_timeout_ms;
	enum err e = talk_open_from(t, &p->to_peers, &p->source, &j->to, w,
				    deadline);

	if (e != ERR_OK)
		return e;
	log_request(p, j);
	*rtt_ms = clock_ms();
	e = talk_ask(t, &m, MSG_PEER_REPLY, reply, deadline);
	*rtt_ms = clock_ms() - *rtt_ms;
	return e;
}

/* The connection is a link now, or says Bye: the server's thread reads it. */
static void hand_over(struct peer *p, struct talk *t, struct link *l,
		      bool linked)
{
	int fd = talk_take_fd(t); /* the server closes it */
	enum err e;

	if (!linked)
		link_finish(l);
	e = server_adopt(p->server, fd, &l->who, reader_serve, link_hold(l));
	if (e != ERR_OK) {
		if (e != ERR_STOPPED)
			reader_give_up(p, l);
		link_close(l);
		link_release(l);
		sock_close(fd);
	}
}

static void on_answer(struct peer *p, struct dial_job *j, struct talk *t,
		      const struct msg_peer_reply *r, int64_t rtt_ms)
{
	struct link *l = NULL;
	bool linked;

	log_event(p->log, LOG_INFO, KIND_PEER, WAY_IN, "Peer Reply", &j->to,
		  "%s, %zu redirects", peer_verdict_name(r->verdict),
		  r->redirect.n);
	if (r->verdict == PEER_ACCEPTED) {
		l = reader_link(p, t, &r->id.addr);
		if (l == NULL) { /* out of memory: as if it had not answered */
			hub_on_dialed(p->hub, j->id, DIAL_FAILED, NULL, NULL,
				      0);
			return;
		}
	}
	linked = hub_on_dialed(p->hub, j->id, DIAL_ANSWERED, l, r, rtt_ms);
	if (l != NULL) {
		hand_over(p, t, l, linked);
		link_release(l);
	}
}

static void run_dial(struct job *job, struct waker *w, bool stopped)
{
	struct dial_job *j = (struct dial_job *)job;
	struct peer *p = j->dialer->peer;
	struct talk t = { .fd = -1 };
	struct message reply = { 0 };
	int64_t rtt_ms = 0;
	enum err e = ERR_STOPPED;

	if (!stopped)
		e = ask(p, j, &t, w, &reply, &rtt_ms);
	if (e == ERR_OK) {
		on_answer(p, j, &t, &reply.peer_reply, rtt_ms);
	} else {
		if (e != ERR_STOPPED)
			log_event(p->log, LOG_INFO, KIND_PEER, WAY_NONE,
				  "unreachable", &j->to, "%s",
				  e == ERR_KEY ? t.why : err_text(e));
		hub_on_dialed(p->hub, j->id, result_of(e), NULL, NULL, 0);
	}
	message_clear(&reply);
	if (t.fd >= 0)
		talk_close(&t);
	free(j);
}

void dialer_dial(struct dialer *d, const struct effect *e)
{
	struct dial_job *j = calloc(1, sizeof *j);

	/* A dial that cannot be made is given up by the core in time. */
	if (j == NULL)
		return;
	j->job.run = run_dial;
	j->dialer = d;
	j->id = e->dial.id;
	j->to = e->dial.to;
	j->request = e->dial.request;
	if (pool_submit(d->pool, &j->job) != ERR_OK)
		free(j);
}
