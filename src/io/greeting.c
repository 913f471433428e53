#include "io/greeting.h"

#include "io/sock.h"

#include <stdio.h>

static bool is_plain(const struct greeting *g)
{
	return g == NULL || g->keys == NULL;
}

/* n bytes, and not one of those behind them. */
static enum err receive(int fd, uint8_t *out, size_t n, int64_t deadline_ms)
{
	enum err e = ERR_OK;
	size_t got;

	for (; n > 0 && e == ERR_OK; out += got, n -= got) {
		got = 0;
		e = sock_recv(fd, out, n, &got, deadline_ms);
	}
	return e;
}

/* A fresh one for each greeting. */
static void draw_secret(uint8_t out[KEY_BYTES])
{
	crypto_random(out, KEY_BYTES);
}

static enum err not_ours(struct greeted *out, const char *what)
{
	char id[KEY_ID_TEXT + 1];

	key_id_format(&out->key, id);
	snprintf(out->why, sizeof out->why, what, id);
	return ERR_KEY;
}

/* --- dialing ---------------------------------------------------------- */

static enum err dial_with(const struct member_key *k, enum channel_role role,
			  int fd, struct channel *c, struct greeted *out,
			  int64_t deadline_ms)
{
	uint8_t secret[KEY_BYTES], first[CHANNEL_FIRST_BYTES];
	uint8_t second[CHANNEL_SECOND_BYTES];
	struct noise x;
	enum err e;

	out->key = k->id;
	draw_secret(secret);
	channel_dial(&x, k, role, secret, first);
	crypto_wipe(secret, sizeof secret);
	e = sock_send(fd, first, sizeof first, deadline_ms);
	if (e == ERR_OK)
		e = receive(fd, second, sizeof second, deadline_ms);
	if (e == ERR_OK && channel_dialed(&x, k, second, c) != ERR_OK)
		e = ERR_SYNTAX;
	noise_wipe(&x);
	/* Who has not got it, or is no member at all, closes without a word. */
	if (e == ERR_SYNTAX || e == ERR_CLOSED || e == ERR_RESET)
		e = not_ours(out, "no answer to key %s");
	return e;
}

enum err greeting_dial(const struct greeting *g, int fd, struct channel *c,
		       struct greeted *out, int64_t deadline_ms)
{
	struct keyring ring;
	enum err e;

	channel_init_plain(c);
	if (is_plain(g))
		return ERR_OK;
	keys_copy(g->keys, &ring);
	e = dial_with(&ring.v[0], g->role, fd, c, out, deadline_ms);
	keyring_wipe(&ring);
	return e;
}

/* --- being dialed ------------------------------------------------------ */

static enum err explain(enum err e, struct greeted *out)
{
	switch (e) {
	case ERR_OK:
		return ERR_OK;
	case ERR_NOT_FOUND:
		return not_ours(out, "key %s is none of ours");
	case ERR_RESET:
		return not_ours(out, "names key %s and has not got it");
	case ERR_UNKNOWN:
		return not_ours(out,
				"key %s, but means another kind of daemon");
	case ERR_VERSION:
		return not_ours(out, "a hello of another version");
	default:
		return not_ours(out, "says no hello, has no key");
	}
}

/* What comes is looked at as soon as a hello is there: who sends something
 * else, and less, is not waited for. */
static enum err receive_first(int fd, uint8_t first[CHANNEL_FIRST_BYTES],
			      int64_t deadline_ms)
{
	enum err e = receive(fd, first, CHANNEL_HELLO_BYTES, deadline_ms);

	if (e != ERR_OK || !channel_is_hello(first))
		return e;
	return receive(fd, first + CHANNEL_HELLO_BYTES,
		       CHANNEL_FIRST_BYTES - CHANNEL_HELLO_BYTES, deadline_ms);
}

enum err greeting_answer(const struct greeting *g, int fd, struct channel *c,
			 struct greeted *out, int64_t deadline_ms)
{
	uint8_t first[CHANNEL_FIRST_BYTES] = { 0 }, secret[KEY_BYTES];
	uint8_t second[CHANNEL_SECOND_BYTES];
	struct keyring ring;
	enum err e;

	channel_init_plain(c);
	if (is_plain(g))
		return ERR_OK;
	e = receive_first(fd, first, deadline_ms);
	if (e != ERR_OK)
		return e;
	keys_copy(g->keys, &ring);
	draw_secret(secret);
	e = explain(channel_answer(&ring, g->role, secret, first, second, c,
				   &out->key),
		    out);
	crypto_wipe(secret, sizeof secret);
	keyring_wipe(&ring);
	if (e == ERR_OK)
		e = sock_send(fd, second, sizeof second, deadline_ms);
	if (e != ERR_OK)
		channel_free(c);
	return e;
}
