/* Frames that are no Message, on their way.
 *
 * Each is encoded once, for its size and to see that it can be; what arrives
 * is a copy of the struct, or with --through-codec what the text decodes to.
 * Counted references: one frame goes to several neighbors.
 */
#ifndef SIM_CONTROL_H
#define SIM_CONTROL_H

#include "wire/frame.h"
#include "wire/message.h"

struct control {
	uint32_t refs;
	uint32_t bytes;      /* on the wire */
	struct frame *frame; /* with --through-codec, else NULL */
	struct message m;    /* its lists stand behind it */
};

struct sim;

/* With one reference; its text goes into the hash of the run. */
struct control *control_new(struct sim *s, const struct message *m);
struct control *control_hold(struct control *c);
void control_release(struct control *c);
/* With --through-codec: can it be encoded and decoded? */
void control_try(struct sim *s, const struct message *m);
/* What the receiver gets; *out is to be cleared by message_clear. */
void control_open(struct sim *s, const struct control *c, struct message *out);

#endif
