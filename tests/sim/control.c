#include "sim/control.h"

#include "sim/sim.h"
#include "wire/codec.h"

#include <stdlib.h>
#include <string.h>

/* The lists of a message, as (place of the pointer, bytes). */
static size_t list_of(struct message *m, const void ***list)
{
	switch (m->type) {
	case MSG_PEER_LIST:
		*list = (const void **)&m->peer_list.peers.v;
		return m->peer_list.peers.n * sizeof(struct addr);
	case MSG_PEER_REPLY:
		*list = (const void **)&m->peer_reply.redirect.v;
		return m->peer_reply.redirect.n * sizeof(struct addr);
	case MSG_HAVE:
		*list = (const void **)&m->have.ranges.v;
		return m->have.ranges.n * sizeof(struct range);
	case MSG_GET_DATA:
		*list = (const void **)&m->get_data.ranges.v;
		return m->get_data.ranges.n * sizeof(struct range);
	case MSG_NOT_FOUND:
		*list = (const void **)&m->not_found.ranges.v;
		return m->not_found.ranges.n * sizeof(struct range);
	case MSG_GRAFT:
	case MSG_PRUNE:
		*list = (const void **)&m->graft.runs.v;
		return m->graft.runs.n * sizeof(struct identity);
	default:
		*list = NULL;
		return 0;
	}
}

static void mix_text(struct sim *s, const struct frame *f)
{
	size_t n = f->body_bytes;
	uint64_t word;

	sim_mix(s, n);
	for (size_t i = 0; i < n; i += sizeof word) {
		word = 0;
		memcpy(&word, f->body + i,
		       n - i < sizeof word ? n - i : sizeof word);
		sim_mix(s, word);
	}
}

struct control *control_new(struct sim *s, const struct message *m)
{
	struct message copy = *m;
	const void **list;
	size_t bytes = list_of(&copy, &list);
	struct control *c = sim_alloc(1, sizeof *c + bytes);
	struct frame *f = NULL;
	enum err e = codec_encode(m, &f);

	c->refs = 1;
	c->m = *m;
	c->m.memory = NULL;
	list_of(&c->m, &list);
	if (bytes > 0) {
		memcpy(c + 1, *list, bytes);
		*list = c + 1;
	}
	if (e != ERR_OK) {
		check_failed(s, "codec", "a %s that cannot be encoded: %s",
			     message_name(m->type), err_text(e));
		return c;
	}
	c->bytes = FRAME_HEAD_BYTES + f->body_bytes;
	mix_text(s, f);
	if (s->options.through_codec)
		c->frame = f;
	else
		frame_release(f);
	return c;
}

struct control *control_hold(struct control *c)
{
	c->refs++;
	return c;
}

void control_release(struct control *c)
{
	if (c == NULL || --c->refs > 0)
		return;
	frame_release(c->frame);
	free(c);
}

void control_try(struct sim *s, const struct message *m)
{
	struct message out = { .type = MSG_BYE };
	struct control *c;

	if (!s->options.through_codec)
		return;
	c = control_new(s, m);
	control_open(s, c, &out);
	message_clear(&out);
	control_release(c);
}

void control_open(struct sim *s, const struct control *c, struct message *out)
{
	const char *why = "";

	if (c->frame == NULL) {
		*out = c->m;
	} else if (codec_decode(c->frame->body, c->frame->body_bytes, out,
				&why) != ERR_OK) {
		check_failed(s, "codec", "a %s that cannot be decoded: %s",
			     message_name(c->m.type), why);
		*out = c->m;
	}
}
