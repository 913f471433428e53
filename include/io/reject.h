/* What a daemon turns away: counted by reason, and logged without letting a
 * stranger fill the log.
 *
 * Each reason has REJECT_LINES lines in REJECT_WINDOW_MS; what comes beyond is
 * counted, and summed up in the next line that is written. Any thread; log.mu
 * is all it may wait for.
 */
#ifndef IO_REJECT_H
#define IO_REJECT_H

#include "base/addr.h"
#include "base/buf.h"
#include "io/log.h"
#include "io/talk.h"

#include <stdatomic.h>

/* Twenty a minute and reason: enough to see what goes on, and a stranger needs
 * days to wash out 10 MiB of log. */
#define REJECT_LINES 20
#define REJECT_WINDOW_MS 60000

/* Name in the status, what it means. */
#define REJECT_LIST(X)                                                        \
	X(MALFORMED, "malformed")   /* not one of our frames or messages */   \
	X(OVERSIZED, "oversized")   /* a length out of range */               \
	X(VERSION, "version")       /* of the protocol */                     \
	X(KEY, "key")               /* no member: not our key, or none */     \
	X(TRUNCATED, "truncated")   /* ended inside a frame */                \
	X(STALLED, "stalled")       /* began a frame and did not go on */     \
	X(HANDSHAKE, "handshake")   /* said nothing in time */                \
	X(UNEXPECTED, "unexpected") /* a message that is not for us */        \
	X(UNKNOWN, "unknown")       /* a type of another version */           \
	X(FOREIGN, "foreign")       /* a Register for somebody else's host */ \
	X(UNREACHABLE, "unreachable") /* not proven by the dial-back */       \
	X(OLDER, "older")             /* nor when an older run came back */   \
	X(FULL, "full")               /* no room in the registry */           \
	X(CONNECTIONS, "connections") /* every place is taken, and in use */  \
	X(SOURCE, "source")           /* too many places for one host */      \
	X(EVICTED, "evicted")         /* made way for a newcomer */           \
	X(DESCRIPTORS, "descriptors") /* none left */                         \
	X(THREADS, "threads")         /* nor a thread */                      \
	X(MEMORY, "memory")           /* nor memory */

enum reject_reason {
#define REJECT_ENUM(name, text) REJECT_##name,
	REJECT_LIST(REJECT_ENUM)
#undef REJECT_ENUM
		REJECT_REASONS
};

struct reject_counter {
	atomic_uint_fast64_t count; /* since the start */
	atomic_int_fast64_t window; /* that `lines` belongs to */
	atomic_uint lines;          /* wanted in that window */
};

/* Zero-initialize it but for the log. */
struct rejects {
	struct log *log;
	struct reject_counter by[REJECT_REASONS];
};

void reject_note(struct rejects *r, enum reject_reason reason,
		 const struct addr *who, const char *detail);
/* The same at a time of the caller's. */
void reject_note_at(struct rejects *r, enum reject_reason reason,
		    const struct addr *who, const char *detail, int64_t now_ms);
/* A conversation that ended with this error of talk_recv; notes nothing for
 * an end that is nobody's fault. first: nothing was said before. */
void reject_talk(struct rejects *r, const struct addr *who,
		 const struct talk *t, enum err e, bool first);
/* "reason":count, ... with every reason in it, without braces. */
void reject_print(struct rejects *r, struct buf *out);

#endif
