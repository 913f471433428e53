/* The stdin thread: prompt commands, or with --send one message per line.
 * Waits for stdin together with a wake-up, so that it can be stopped at any
 * time. */
#ifndef PEER_INPUT_H
#define PEER_INPUT_H

#include "peer/peer.h"

struct input;

enum err MUST_CHECK input_start(struct input **in, struct peer *p);
void input_stop(struct input *in); /* asks, never blocks */
/* After input_stop, hub_stop and server_stop. False: not all that --send was
 * given is published and taken; that has been said on stderr. Frees it. */
bool input_join(struct input *in);

#endif
