/* After a key was removed: the links under it are made anew under another, one
 * after the other and with pauses, so that no peer loses all its links at once.
 * Main thread. */
#ifndef PEER_RENEWAL_H
#define PEER_RENEWAL_H

#include "peer/peer.h"

struct renewal {
	struct peer *peer;
	int64_t next_ms, until_ms; /* NEVER while there is nothing to do */
};

void renewal_init(struct renewal *r, struct peer *p);
/* SIGHUP: reads the key file again. What is wrong with it is said in the log,
 * and then the old keys stay. */
void renewal_reload(struct renewal *r);
/* Milliseconds until the next link's turn, -1: never; as poll takes it. */
int renewal_wait(const struct renewal *r);
/* Makes one link anew if it is time. */
void renewal_go_on(struct renewal *r);

#endif
