#include "peer/publisher.h"

#include "io/clock.h"
#include "peer/hub.h"
#include "peer/parcel.h"

/* The message as others will see it. */
static enum err make_parcel(const struct msg_message *m, struct parcel **out)
{
	struct message msg = { .type = MSG_MESSAGE, .message = *m };
	struct frame_head head = { 0 };
	struct frame *f = NULL;
	const char *why;
	enum err e = codec_encode(&msg, &f);

	if (e != ERR_OK)
		return e;
	head.body_bytes = f->body_bytes;
	e = parcel_new(out, &head, f, NULL, &why);
	if (e == ERR_OK)
		(*out)->wall_ms = m->time_ms;
	return e;
}

static void log_published(struct peer *p, const struct msg_message *m)
{
	size_t shown =
		m->data_bytes < LOG_TEXT_MAX ? m->data_bytes : LOG_TEXT_MAX;

	log_event(p->log, LOG_INFO, KIND_MESSAGE, WAY_OUT, "Message", NULL,
		  "seq=%llu bytes=%zu %.*s", (unsigned long long)m->seq,
		  m->data_bytes, (int)shown, (const char *)m->data);
}

static enum err make_parcels(const struct line *lines, size_t n,
			     struct msg_message *m, struct parcel **v,
			     size_t *made)
{
	for (*made = 0; *made < n; m->seq++, ++*made) {
		const struct line *l = &lines[*made];
		enum err e;

		m->data = (const uint8_t *)l->text;
		m->data_bytes = l->bytes;
		m->base64 = codec_wants_base64(l->text, l->bytes);
		e = make_parcel(m, &v[*made]);
		if (e != ERR_OK)
			return e;
	}
	return ERR_OK;
}

/* What could be made is sent, also if that is not all. */
static enum err publish(struct peer *p, const struct line *lines, size_t n,
			struct parcel **v, size_t *made, size_t *sent)
{
	struct msg_message m = { .time_ms = clock_wall_ms() };
	enum err e, unmade;

	mutex_lock(&p->publish_mu);
	m.seq = hub_next_seq(p->hub, &m.origin);
	unmade = make_parcels(lines, n, &m, v, made);
	e = hub_publish(p->hub, v, *made, sent);
	history_add(&p->history, v, *sent, true);
	mutex_unlock(&p->publish_mu);
	return e != ERR_OK ? e : unmade;
}

static enum err send_lines(struct peer *p, const struct line *lines, size_t n,
			   bool wait, size_t *sent)
{
	struct parcel *v[PUBLISH_MAX];
	size_t made;
	enum err e;

	*sent = 0;
	for (size_t i = 0; i < n; i++)
		if (lines[i].bytes > p->config->gossip.data_max)
			return ERR_TOO_LONG;
	e = publish(p, lines, n, v, &made, sent);
	if (*sent > 0 && wait)
		hub_wait_room(p->hub);
	for (size_t i = 0; i < *sent && log_wants(p->log, LOG_INFO); i++)
		log_published(p, &v[i]->msg.message);
	for (size_t i = 0; i < made; i++)
		parcel_release(v[i]);
	return e;
}

enum err publisher_send_lines(struct peer *p, const struct line *lines,
			      size_t n, size_t *sent)
{
	return send_lines(p, lines, n, true, sent);
}

enum err publisher_send(struct peer *p, const void *data, size_t n, bool wait)
{
	struct line line = { data, n };
	size_t sent;

	return send_lines(p, &line, 1, wait, &sent);
}
