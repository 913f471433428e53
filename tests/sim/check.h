/* What must always hold: the invariants of docs/protocol.md.
 *
 * Cheap ones after every step, those about the whole network when it is quiet.
 * Some need to remember who told whom what; they are made for small networks,
 * or for all with --full-checks. The first breach is printed with the command
 * that repeats it, and ends the run.
 */
#ifndef SIM_CHECK_H
#define SIM_CHECK_H

#include "core/effect.h"

#include <stdbool.h>
#include <stdint.h>

#define CHECK_SMALL 200 /* peers */

struct check {
	bool tracking;      /* I2: what was told over each link */
	bool links_changed; /* in this step (I1) */
	uint64_t violations;
};

struct sim;

void check_init(struct sim *s);
void check_failed(struct sim *s, const char *rule, const char *format, ...)
	PRINTF_LIKE(3, 4);

/* After every step: I1, I10, and a deadline in the future. */
void check_step(struct sim *s, uint32_t peer, const struct event *ev);
/* I2: that end of a connection knows that the other end has, or was sent or
 * told of, this message; or what a Have lists. */
void check_linked(struct sim *s, uint32_t conn, unsigned side);
void check_told(struct sim *s, uint32_t conn, unsigned side, uint32_t number);
void check_told_list(struct sim *s, uint32_t conn, unsigned side,
		     const struct message *m);
/* Does it hold that message in its store? */
bool check_holds(struct sim *s, uint32_t peer, uint32_t number);
/* I7: a seed's list came; the first round is over. */
void check_list(struct sim *s, uint32_t peer, const struct msg_peer_list *l);
void check_joined(struct sim *s, uint32_t peer, const struct effect *e);
/* I8: that seed has removed that run after a check that began then. */
void check_removed(struct sim *s, uint32_t seed, const struct identity *id,
		   int64_t begun_ms);

/* R15: who was told that all he said is taken; it is. */
void check_taken(struct sim *s, uint32_t peer);

/* Nothing can have been evicted; nobody has ended but by leaving, and in no
 * network so small that all who had a message may leave before those who came
 * instead have asked for it. */
bool check_all_fits(const struct sim *s);
bool check_all_leave(const struct sim *s);
/* Nobody wants anything any more. */
bool check_idle(const struct sim *s);
/* When everybody has joined: I7. */
void check_after_join(struct sim *s);
/* When all is quiet: I2, I4, I5, I8, I9, and R10: no gap in silence. */
void check_quiet(struct sim *s);

#endif
