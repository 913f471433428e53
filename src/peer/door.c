#include "peer/door.h"

#include "io/clock.h"
#include "io/talk.h"
#include "peer/hub.h"
#include "peer/reader.h"

#define SEND_MS 5000 /* a short answer that is not taken in this time */

struct visitor {
	struct peer *peer;
	struct conn *conn;
	struct talk talk;
	bool known; /* it said something before: its routine is for debug */
};

/* Who asks on and on must not wash everything else out of the log. */
static enum log_level routine_level(const struct visitor *v)
{
	return v->known ? LOG_DEBUG : LOG_INFO;
}

static enum err answer(struct visitor *v, const struct message *m)
{
	log_event(v->peer->log, routine_level(v),
		  m->type == MSG_PEER_LIST ? KIND_PEER : KIND_LIVELINESS,
		  WAY_OUT, message_name(m->type), &v->conn->remote, "%s", "");
	return talk_send(&v->talk, m, clock_ms() + SEND_MS);
}

static enum err answer_liveliness(struct visitor *v, uint64_t nonce)
{
	struct neighbor neighbors[LINK_SLOTS];
	struct message reply = { .type = MSG_LIVELINESS_REPLY,
				 .liveliness_reply = {
					 .nonce = nonce,
					 .id = hub_self(v->peer->hub),
					 .neighbors = hub_neighbors(
						 v->peer->hub, neighbors) } };

	return answer(v, &reply);
}

static enum err answer_list(struct visitor *v, uint32_t want)
{
	struct neighbor neighbors[LINK_SLOTS];
	struct addr addrs[LINK_SLOTS];
	size_t n = hub_neighbors(v->peer->hub, neighbors);
	struct message reply = { .type = MSG_PEER_LIST };

	for (size_t i = 0; i < n; i++)
		addrs[i] = neighbors[i].id.addr;
	reply.peer_list.count = n;
	reply.peer_list.peers.v = addrs;
	reply.peer_list.peers.n = n < want ? n : want;
	return answer(v, &reply);
}

/* The visitor wants to be a neighbor: the connection is a link from here on,
 * if only to hear our refusal. */
static void introduce(struct visitor *v, const struct msg_peer_request *m)
{
	struct peer *p = v->peer;
	struct link *l = reader_link(p, &v->talk, &m->id.addr);

	if (l == NULL) {
		reject_note(&p->rejects, REJECT_MEMORY, &v->conn->remote,
			    "no memory for a link");
		return;
	}
	if (hub_on_request(p->hub, l, &v->conn->remote, m))
		reader_run(p, l);
	else if (server_stand(v->conn, CONN_IDLE))
		reader_refuse(l);
	else
		link_close(l);
	link_release(l);
}

static void log_asked(struct visitor *v, const struct message *m)
{
	struct log *log = v->peer->log;
	const char *name = message_name(m->type);

	if (m->type == MSG_PEER_REQUEST)
		log_event(log, LOG_INFO, KIND_PEER, WAY_IN, name,
			  &m->peer_request.id.addr, "neighbors=%llu%s",
			  (unsigned long long)m->peer_request.neighbors,
			  m->peer_request.urgent ? " urgent" : "");
	else
		log_event(log, routine_level(v),
			  m->type == MSG_LIVELINESS ? KIND_LIVELINESS
						    : KIND_PEER,
			  WAY_IN, name, &v->conn->remote, "%s", "");
}

/* False: the conversation is over. */
static bool serve_one(struct visitor *v, const struct message *m)
{
	bool request = m->type == MSG_PEER_REQUEST;

	if (!server_stand(v->conn, request ? CONN_BUSY : CONN_IDLE))
		return false;
	log_asked(v, m);
	switch (m->type) {
	case MSG_LIVELINESS:
		return answer_liveliness(v, m->liveliness.nonce) == ERR_OK;
	case MSG_GET_PEER_LIST:
		return answer_list(v, m->get_peer_list.want) == ERR_OK;
	case MSG_PEER_REQUEST:
		introduce(v, &m->peer_request);
		return false;
	default:
		reject_note(&v->peer->rejects, REJECT_UNEXPECTED,
			    &v->conn->remote, message_name(m->type));
		return false;
	}
}

void door_serve(void *ctx, struct conn *c)
{
	struct visitor v = { .peer = ctx, .conn = c };
	const struct config_liveness *times = &v.peer->config->liveness;
	int64_t deadline_ms = clock_ms() + times->handshake_ms;
	bool go_on = true;
	enum err e = ERR_OK;

	talk_accept(&v.talk, &v.peer->to_peers, c->fd, &c->waker,
		    FRAME_BODY_STRANGER_MAX);
	while (go_on) {
		struct message m = { 0 };

		e = talk_recv(&v.talk, &m, deadline_ms);
		if (e == ERR_UNKNOWN) {
			/* No introduction: the deadline stays. */
			reject_note(&v.peer->rejects, REJECT_UNKNOWN,
				    &c->remote,
				    "a type this version does not "
				    "know");
			if (clock_ms() < deadline_ms)
				continue;
			e = ERR_TIMEOUT;
		}
		if (e != ERR_OK)
			break;
		go_on = serve_one(&v, &m);
		message_clear(&m);
		v.known = true;
		deadline_ms = clock_ms() + times->idle_ms;
	}
	if (go_on)
		reject_talk(&v.peer->rejects, &c->remote, &v.talk, e, !v.known);
	talk_close(&v.talk);
}
