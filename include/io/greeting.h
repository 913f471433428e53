/* How a connection becomes a channel: with a key both sides prove that they
 * are members before anything else is said (wire/channel.h), without one there
 * is nothing to say.
 *
 * Blocking, with deadlines; the thread that talks on the connection.
 */
#ifndef IO_GREETING_H
#define IO_GREETING_H

#include "io/keys.h"
#include "wire/channel.h"

/* The keys, NULL for none, and which kind of daemon is dialed, or is us. */
struct greeting {
	struct keys *keys;
	enum channel_role role;
};

#define GREETING_WHY_MAX 64

/* What became of it, whether it went well or not. */
struct greeted {
	struct key_id key; /* the one we dialed with, or that was named to us */
	char why[GREETING_WHY_MAX]; /* ERR_KEY: in a few words */
};

/* Who dialed. ERR_KEY: the other side does not answer to our key; else errors
 * of sock_send and sock_recv. */
enum err MUST_CHECK greeting_dial(const struct greeting *g, int fd,
				  struct channel *c, struct greeted *out,
				  int64_t deadline_ms);
/* Who was dialed. ERR_KEY: no member, and has heard nothing. */
enum err MUST_CHECK greeting_answer(const struct greeting *g, int fd,
				    struct channel *c, struct greeted *out,
				    int64_t deadline_ms);

#endif
