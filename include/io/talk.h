/* A short conversation in whole messages over one connection, blocking, with
 * deadlines: how peers and seeds ask each other, and how a link is introduced.
 *
 * Owns the descriptor until talk_take_fd or talk_close. Its inbox points into
 * it: a talk is never copied. One thread at a time.
 */
#ifndef IO_TALK_H
#define IO_TALK_H

#include "io/greeting.h"
#include "io/inbox.h"
#include "io/waker.h"
#include "wire/message.h"

#include <stdbool.h>

#define TALK_SLACK_MS 50 /* a thread that is not run at once is later, too */

struct talk {
	int fd;
	bool borrowed; /* fd and its watch are somebody else's */
	struct channel channel;
	struct inbox inbox;
	struct waker *waker;             /* may be NULL */
	const struct greeting *greeting; /* of who accepted; or NULL */
	bool has_greeted;
	struct greeted greeted;
	const char *why;     /* of the last breach, or ERR_KEY */
	int64_t patience_ms; /* see talk_patience; 0: none */
};

/* Connects, and greets; g as long as the talk, or NULL. ERR_REFUSED,
 * ERR_TIMEOUT, ERR_KEY (t->why says which), ERR_STOPPED, ERR_SYSTEM. */
enum err MUST_CHECK talk_open(struct talk *t, const struct greeting *g,
			      const struct addr *to, struct waker *w,
			      int64_t deadline_ms);
/* The same, leaving from the host of `from` if that has the same address
 * family (rule R2 compares it with the address we register). */
enum err MUST_CHECK talk_open_from(struct talk *t, const struct greeting *g,
				   const struct addr *from,
				   const struct addr *to, struct waker *w,
				   int64_t deadline_ms);
/* Talks on a connection whose descriptor stays its owner's (a server's conn)
 * and is watched already; w is only asked whether it was stopped. The first
 * talk_recv waits for the greeting, too. body_max as for inbox_init; raising
 * t->inbox.body_max later is the caller's business. */
void talk_accept(struct talk *t, const struct greeting *g, int fd,
		 struct waker *w, uint32_t body_max);

/* The descriptor becomes the caller's, to close or to give to server_adopt.
 * The talk may go on using it; what was received stays in the inbox. */
int talk_take_fd(struct talk *t);

/* All that follow: ERR_STOPPED when the waker was stopped. */
enum err MUST_CHECK talk_send(struct talk *t, const struct message *m,
			      int64_t deadline_ms);
/* From now on talk_recv will mostly wait about so long: that becomes cheaper,
 * and no less exact by more than TALK_SLACK_MS. */
void talk_patience(struct talk *t, int64_t ms);
/* The next message; the caller clears it. A Message, which nobody asks for
 * here, comes without its data. ERR_CLOSED, ERR_RESET, ERR_TIMEOUT, ERR_KEY,
 * or a breach (ERR_SYNTAX, ERR_RANGE, ERR_VERSION; t->why says what).
 * ERR_UNKNOWN: a proper frame of a type we do not know; go on. */
enum err MUST_CHECK talk_recv(struct talk *t, struct message *out,
			      int64_t deadline_ms);
/* Sends m and waits for an answer of type `want`, whatever else comes. */
enum err MUST_CHECK talk_ask(struct talk *t, const struct message *m,
			     enum message_type want, struct message *out,
			     int64_t deadline_ms);
void talk_close(struct talk *t);

#endif
