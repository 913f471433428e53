/* stdout: a queue, and whoever writes it.
 *
 * A queue of up to max bytes stands between the network and whoever reads us:
 * a full pipe never holds up a link for long. What does not fit is not dropped
 * in silence: a gap says which messages are missing. As with a link, who queued
 * something may write what stdout takes at once (output_flush), one at a time;
 * the rest is left to a thread of its own, the only one that ever waits for
 * stdout, and never without also listening for the stop.
 * output_messages, output_gap and output_is_slow may be called under node.mu.
 */
#ifndef PEER_OUTPUT_H
#define PEER_OUTPUT_H

#include "base/buf.h"
#include "peer/parcel.h"
#include "peer/peer.h"

struct output;

struct output_config {
	int fd;
	size_t max_bytes;
	uint64_t count; /* end the peer after so many messages; 0: never */
	bool json;
	struct peer *peer; /* told when the output ends (peer_finish) */
	/* A slow output is a quarter full again; or NULL. Whoever writes calls
	 * it, holding no lock; never after output_close returned. */
	void (*caught_up)(struct peer *p);
};

enum err MUST_CHECK output_start(struct output **o,
				 const struct output_config *c);
/* n delivered messages. The output becomes slow when messages fill more than
 * half of the queue, until caught_up. */
void output_messages(struct output *o, struct parcel *const *p, size_t n);
bool output_is_slow(struct output *o);
/* Who brings more waits until no more than a 64th of the queue is full, it is
 * slow, or that time has come; for a reader that takes nothing, not for more
 * than a second in all. The caller holds no lock. */
void output_wait_room(struct output *o, int64_t deadline_ms);
/* These messages will never come: nobody in the network has them any more. */
void output_gap(struct output *o, const struct range *r);
/* Text of the prompt; the buffer is emptied. */
void output_text(struct output *o, struct buf *b);
/* Sees to it that what is queued gets written. Waits for nothing; the caller
 * holds no lock. */
void output_flush(struct output *o);
/* Messages that could not be printed, so far. */
uint64_t output_lost(struct output *o);
/* Its descriptor, for who wants to hear that the reader went away. */
int output_fd(const struct output *o);
/* No more is queued; what is there is written until the deadline. Returns how
 * many messages remained unwritten. Frees it. */
uint64_t output_close(struct output *o, int64_t deadline_ms);

/* One message as --receive prints it, with its newline. */
void output_format(struct buf *b, const struct parcel *p, bool json,
		   bool terminal);

#endif
