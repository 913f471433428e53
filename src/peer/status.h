/* The peer in figures: the `status` object of the prompt and of SIGUSR1. */
#ifndef PEER_STATUS_H
#define PEER_STATUS_H

#include "base/buf.h"
#include "peer/peer.h"

/* One JSON object on one line, without a newline. Any thread. */
void peer_status(struct peer *p, struct buf *out);

#endif
