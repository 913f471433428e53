#include "peer/publisher.h"

#include "io/clock.h"
#include "peer/hub.h"
#include "peer/parcel.h"

#include <stdlib.h>
#include <string.h>

/* The message as others will see it, with memory of its own. */
static enum err make_parcel(const struct msg_message *m, struct parcel **out)
{
	struct message msg = { .type = MSG_MESSAGE, .message = *m };
	struct frame_head head = { 0 };
	struct frame *f = NULL;
	struct parcel *c;
	enum err e = codec_encode(&msg, &f);

	if (e != ERR_OK)
		return e;
	head.body_bytes = f->body_bytes;
	c = parcel_new(&head, f);
	msg.memory = malloc(m->data_bytes + 1);
	if (c == NULL || msg.memory == NULL) {
		parcel_release(c);
		free(msg.memory);
		return ERR_NOMEM;
	}
	if (m->data_bytes > 0)
		memcpy(msg.memory, m->data, m->data_bytes);
	msg.message.data = msg.memory;
	c->msg = msg;
	c->parsed = true;
	c->wall_ms = m->time_ms;
	parcel_identify(c);
	*out = c;
	return ERR_OK;
}

static void log_published(struct peer *p, const struct msg_message *m)
{
	size_t shown =
		m->data_bytes < LOG_TEXT_MAX ? m->data_bytes : LOG_TEXT_MAX;

	log_event(p->log, LOG_INFO, KIND_MESSAGE, WAY_OUT, "Message", NULL,
		  "seq=%llu bytes=%zu %.*s", (unsigned long long)m->seq,
		  m->data_bytes, (int)shown, (const char *)m->data);
}

enum err publisher_send(struct peer *p, const void *data, size_t n, bool wait)
{
	struct msg_message m = { .time_ms = clock_wall_ms(),
				 .data = data,
				 .data_bytes = n,
				 .base64 = codec_wants_base64(data, n) };
	struct parcel *c = NULL;
	enum err e;

	if (n > p->config->gossip.data_max)
		return ERR_TOO_LONG;
	mutex_lock(&p->publish_mu);
	m.origin = hub_self(p->hub);
	m.seq = hub_next_seq(p->hub);
	e = make_parcel(&m, &c);
	if (e == ERR_OK)
		e = hub_publish(p->hub, c);
	if (e == ERR_OK)
		history_add(&p->history, c, true);
	mutex_unlock(&p->publish_mu);
	if (e == ERR_OK && wait)
		hub_wait_room(p->hub);
	if (e == ERR_OK)
		log_published(p, &c->msg.message);
	parcel_release(c);
	return e;
}
