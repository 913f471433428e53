/* What a seed turns away: counted by reason, and logged without letting a
 * stranger fill the log.
 *
 * Each reason has SEED_REJECT_LINES lines a second; what comes beyond is
 * counted and summed up in one line. Atomic; any thread.
 */
#ifndef SEED_REJECT_H
#define SEED_REJECT_H

#include "base/addr.h"
#include "base/buf.h"

#include <stdatomic.h>

#define SEED_REJECT_LINES 10

/* Name in the status, what it means for people. */
#define SEED_REJECT_LIST(X)                                                  \
	X(MALFORMED, "malformed")     /* no frame, or no message */          \
	X(OVERSIZED, "oversized")     /* a length out of range */            \
	X(VERSION, "version")         /* of the protocol */                  \
	X(TRUNCATED, "truncated")     /* ended, or stalled, in a frame */    \
	X(HANDSHAKE, "handshake")     /* said nothing in time */             \
	X(UNEXPECTED, "unexpected")   /* a message that is not for a seed */ \
	X(UNKNOWN, "unknown")         /* a type of another version */        \
	X(FOREIGN, "foreign")         /* Register for another's address */   \
	X(UNREACHABLE, "unreachable") /* not proven by the dial-back */      \
	X(OLDER, "older")             /* nor when an older run came back */  \
	X(FULL, "full")               /* no room in the registry */          \
	X(MEMORY, "memory")           /* or no memory at all */

enum seed_reason {
#define SEED_REJECT_ENUM(name, text) SEED_REJECT_##name,
	SEED_REJECT_LIST(SEED_REJECT_ENUM)
#undef SEED_REJECT_ENUM
		SEED_REJECTS
};

struct seed_reject {
	atomic_uint_fast64_t count; /* since the start */
	atomic_uint lines;          /* wanted to be logged since the last sum */
};

struct seed;

void seed_reject_note(struct seed *s, enum seed_reason reason,
		      const struct addr *who, const char *detail);
/* Once a second: says how many lines were left out, opens the next second. */
void seed_reject_sum(struct seed *s);
/* {"reason":count, ...} with every reason in it. */
void seed_reject_print(struct seed *s, struct buf *out);

#endif
