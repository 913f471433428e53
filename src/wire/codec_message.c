/* Messages, as our own encoder writes them: read from one end to the other,
 * without a tree of values, and as a rule without memory or a copy of the data.
 * There are millions of these; whatever is written in another way, or wrong, is
 * left to cJSON, which takes ten times as long. */
#include "wire/codec_impl.h"

#include "base/crypto.h"
#include "wire/scan.h"

#include <stdlib.h>
#include <string.h>

#define DIGITS_MAX 16 /* SEQ_MAX has so many */

struct cursor {
	const uint8_t *p, *end;
};

static bool take(struct cursor *c, const char *text, size_t n)
{
	if ((size_t)(c->end - c->p) < n || memcmp(c->p, text, n) != 0)
		return false;
	c->p += n;
	return true;
}

#define TAKE(c, literal) take(c, literal, sizeof(literal) - 1)

static bool take_address(struct cursor *c, struct addr *out)
{
	size_t left = (size_t)(c->end - c->p);
	const uint8_t *quote =
		memchr(c->p, '"', left < ADDR_TEXT_MAX ? left : ADDR_TEXT_MAX);
	const char *text = (const char *)c->p;

	if (quote == NULL || !addr_parse(text, (size_t)(quote - c->p), out))
		return false;
	c->p = quote + 1;
	return true;
}

static bool take_number(struct cursor *c, uint64_t least, uint64_t *out)
{
	const uint8_t *first = c->p, *p = first;
	size_t left = (size_t)(c->end - p), n;
	const uint8_t *stop =
		left > DIGITS_MAX + 1 ? p + DIGITS_MAX + 1 : c->end;
	uint64_t v = 0;

	for (; p < stop; p++) {
		unsigned digit = *p - (unsigned)'0';

		if (digit > 9)
			break;
		v = v * 10 + digit;
	}
	c->p = p;
	*out = v;
	n = (size_t)(p - first);
	return n > 0 && n <= DIGITS_MAX && (*first != '0' || n == 1) &&
	       v >= least && v <= SEQ_MAX;
}

/* Data that does not mean itself, in memory of its own. */
static bool decode_data(const struct scan_text *t, struct message *m)
{
	struct msg_message *said = &m->message;
	size_t room = said->base64 ? t->n / 4 * 3 : t->n;
	enum err e = ERR_OK;

	m->memory = malloc(room + 1);
	if (m->memory == NULL)
		return false;
	said->data = m->memory;
	if (!said->base64)
		said->data_bytes = scan_unescape(t, m->memory);
	else
		e = base64_decode((const char *)t->at, t->n, m->memory, room,
				  &said->data_bytes);
	if (e == ERR_OK && said->data_bytes <= DATA_MAX)
		return true;
	message_clear(m);
	return false;
}

static bool take_data(struct cursor *c, struct message *m)
{
	struct scan_text t;

	if (!scan_text(c->p, (size_t)(c->end - c->p), &t))
		return false;
	c->p = t.at + t.n + 1;
	m->message.base64 = TAKE(c, ",\"encoding\":\"base64\"");
	if (!TAKE(c, "}") || c->p != c->end)
		return false;
	if (m->message.base64 ? t.plain : !t.plain)
		return decode_data(&t, m);
	m->message.data = t.at;
	m->message.data_bytes = t.n;
	return t.plain && t.n <= DATA_MAX;
}

bool codec_read_message(const void *body, size_t n, struct message *out)
{
	struct cursor c = { body, (const uint8_t *)body + n };
	struct message m = { .type = MSG_MESSAGE };
	struct msg_message *said = &m.message;
	uint64_t time_ms = 0;

	if (!TAKE(&c, "{\"type\":\"Message\",\"origin\":\"") ||
	    !take_address(&c, &said->origin.addr) ||
	    !TAKE(&c, ",\"incarnation\":") ||
	    !take_number(&c, 1, &said->origin.incarnation) ||
	    !TAKE(&c, ",\"seq\":") || !take_number(&c, 1, &said->seq) ||
	    !TAKE(&c, ",\"time\":") || !take_number(&c, 0, &time_ms) ||
	    !TAKE(&c, ",\"data\":") || !take_data(&c, &m))
		return false;
	said->time_ms = (int64_t)time_ms;
	*out = m;
	return true;
}
