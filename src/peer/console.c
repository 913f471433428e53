#include "peer/console.h"

#include "base/buf.h"
#include "io/clock.h"
#include "peer/hub.h"
#include "peer/output.h"
#include "peer/publisher.h"
#include "peer/status.h"

#include <string.h>

#define TEXT_SHOWN 200 /* bytes of a message in the list of `2` */
#define ID_SHOWN 12    /* hex digits: enough for `get` */
#define PREFIX_MIN 6

struct words {
	const char *command;
	size_t command_n;
	const char *rest; /* what follows one blank */
	size_t rest_n;
};

static void show_time(struct buf *b, int64_t wall_ms)
{
	char text[CLOCK_TEXT_MAX];

	clock_format(wall_ms, text);
	buf_add(b, text + 11, 8); /* HH:MM:SS of an ISO time */
}

static void show_peers(struct peer *p, struct buf *b)
{
	struct neighbor v[LINK_SLOTS];
	size_t n = hub_neighbors(p->hub, v);
	int64_t now = clock_ms(), wall = clock_wall_ms();

	buf_fmt(b, "%zu neighbor%s\n", n, n == 1 ? "" : "s");
	for (size_t i = 0; i < n; i++) {
		char address[ADDR_TEXT_MAX];

		addr_format(&v[i].id.addr, address);
		buf_fmt(b, "  %-21s  %-8s  since ", address,
			v[i].dialed ? "dialed" : "accepted");
		show_time(b, wall - (now - v[i].since_ms));
		if (v[i].rtt_ms < 0)
			buf_str(b, "  rtt -\n");
		else if (v[i].rtt_ms == 0)
			buf_str(b, "  rtt <1 ms\n");
		else
			buf_fmt(b, "  rtt %lld ms\n", (long long)v[i].rtt_ms);
	}
}

static void show_message(struct buf *b, const struct history_entry *e)
{
	const struct msg_message *m = &e->parcel->msg.message;
	size_t shown = m->data_bytes < TEXT_SHOWN ? m->data_bytes : TEXT_SHOWN;
	char id[HASH_HEX + 1], origin[ADDR_TEXT_MAX];
	struct hash hash = parcel_id(e->parcel);

	hash_format(&hash, id);
	addr_format(&m->origin.addr, origin);
	buf_str(b, "  ");
	show_time(b, e->parcel->wall_ms);
	buf_fmt(b, "  %-8s  %s  seq %llu  %.*s  hops %u  ",
		e->sent ? "sent" : "received", origin,
		(unsigned long long)m->seq, ID_SHOWN, id,
		e->sent ? 0u : e->parcel->head.hops + 1u);
	buf_visible(b, m->data, shown);
	buf_str(b, shown < m->data_bytes ? "...\n" : "\n");
}

static void show_messages(struct peer *p, struct buf *b)
{
	struct history_entry v[HISTORY_MAX];
	unsigned n = history_copy(&p->history, v);

	buf_fmt(b, "%u message%s\n", n, n == 1 ? "" : "s");
	for (unsigned i = 0; i < n; i++) {
		show_message(b, &v[i]);
		parcel_release(v[i].parcel);
	}
}

static void do_send(struct peer *p, const struct words *w, struct buf *b)
{
	enum err e;

	if (w->rest_n == 0) {
		buf_str(b, "send what? Write: send TEXT\n");
		return;
	}
	e = publisher_send(p, w->rest, w->rest_n, true);
	if (e == ERR_TOO_LONG)
		buf_fmt(b, "not sent: %zu bytes, at most %llu are allowed\n",
			w->rest_n,
			(unsigned long long)p->config->gossip.data_max);
	else if (e != ERR_OK)
		buf_fmt(b, "not sent: %s\n", err_text(e));
}

static void show_found(struct buf *b, struct frame *f, const struct hash *id)
{
	struct frame_head head = { .body_bytes = f->body_bytes };
	struct parcel *c = NULL;
	const char *why;
	char origin[ADDR_TEXT_MAX], hex[HASH_HEX + 1];
	const struct msg_message *m;

	if (parcel_new(&c, &head, f, NULL, &why) != ERR_OK) {
		buf_str(b, "out of memory\n");
		return;
	}
	m = &c->msg.message;
	hash_format(id, hex);
	addr_format(&m->origin.addr, origin);
	buf_fmt(b, "%s from %s, seq %llu, %zu bytes\n", hex, origin,
		(unsigned long long)m->seq, m->data_bytes);
	buf_visible(b, m->data, m->data_bytes);
	buf_char(b, '\n');
	parcel_release(c);
}

static void do_get(struct peer *p, const struct words *w, struct buf *b)
{
	struct frame *f = NULL;
	struct hash id;
	enum err e;

	for (size_t i = 0; i < w->rest_n; i++)
		if (memchr("0123456789abcdef", w->rest[i], 16) == NULL) {
			buf_str(b, "an id is hex digits in small letters\n");
			return;
		}
	if (w->rest_n < PREFIX_MIN || w->rest_n > HASH_HEX) {
		buf_fmt(b, "an id has %d to %d hex digits\n", PREFIX_MIN,
			HASH_HEX);
		return;
	}
	e = hub_find(p->hub, w->rest, w->rest_n, &f, &id);
	if (e == ERR_OK)
		show_found(b, f, &id);
	else if (e == ERR_RANGE)
		buf_str(b, "several messages begin like that; more digits\n");
	else if (e == ERR_NOT_FOUND && w->rest_n < HASH_HEX)
		buf_str(b, "not held here; the neighbors can be asked for a "
			   "whole id of 32 digits\n");
	else
		buf_str(b, "no such message\n");
}

static void show_status(struct peer *p, struct buf *b)
{
	peer_status(p, b);
	buf_char(b, '\n');
}

static void show_help(struct buf *b)
{
	buf_str(b, "  1, peers      the neighbors: address, who dialed, since "
		   "when, round-trip time\n"
		   "  2, messages   the last messages, newest last\n"
		   "  3, exit       leave the network (also quit, Ctrl-C)\n"
		   "  send TEXT     publish TEXT to everybody\n"
		   "  get ID        show a message by its id, or the beginning "
		   "of it\n"
		   "  status        all counters, as one line of JSON\n"
		   "  help          this list\n");
}

static bool is(const struct words *w, const char *name)
{
	return w->command_n == strlen(name) &&
	       memcmp(w->command, name, w->command_n) == 0;
}

static struct words split(const char *line, size_t n)
{
	struct words w = { 0 };
	size_t i = 0;

	while (n > 0 && (line[n - 1] == '\r' || line[n - 1] == '\n'))
		n--;
	while (i < n && (line[i] == ' ' || line[i] == '\t'))
		i++;
	w.command = line + i;
	while (i < n && line[i] != ' ' && line[i] != '\t')
		i++;
	w.command_n = (size_t)(line + i - w.command);
	w.rest = line + (i < n ? i + 1 : n);
	w.rest_n = (size_t)(line + n - w.rest);
	return w;
}

static void unknown(const struct words *w, struct buf *b)
{
	size_t shown = w->command_n < 40 ? w->command_n : 40;

	buf_str(b, "unknown command: ");
	buf_visible(b, w->command, shown);
	buf_str(b, shown < w->command_n ? "... (try help)\n" : " (try help)\n");
}

bool console_line(struct peer *p, const char *line, size_t n)
{
	struct words w = split(line, n);
	struct buf b = { 0 };

	if (w.command_n == 0)
		return true;
	if (is(&w, "3") || is(&w, "exit") || is(&w, "quit"))
		return false;
	if (is(&w, "1") || is(&w, "peers"))
		show_peers(p, &b);
	else if (is(&w, "2") || is(&w, "messages"))
		show_messages(p, &b);
	else if (is(&w, "send"))
		do_send(p, &w, &b);
	else if (is(&w, "get"))
		do_get(p, &w, &b);
	else if (is(&w, "status"))
		show_status(p, &b);
	else if (is(&w, "help"))
		show_help(&b);
	else
		unknown(&w, &b);
	output_text(p->output, &b);
	buf_free(&b);
	return true;
}
