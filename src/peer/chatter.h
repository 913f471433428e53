/* The demo messages: "hello", "hi", "bye" in turn, every message_interval, so
 * that somebody who watches a network sees it move. Main thread. */
#ifndef PEER_CHATTER_H
#define PEER_CHATTER_H

#include "peer/peer.h"

struct chatter {
	struct peer *peer;
	int64_t interval_ms; /* 0: silent */
	int64_t next_ms;
	uint64_t number;
};

void chatter_init(struct chatter *c, struct peer *p);
/* Milliseconds until the next message, -1: never; as poll takes it. */
int chatter_wait(const struct chatter *c);
/* Says it if it is time. */
void chatter_say(struct chatter *c);

#endif
