/* Publishing: user bytes -> a numbered, encoded message -> the hub. One
 * publisher at a time (publish_mu). Any thread that holds no lock. */
#ifndef PEER_PUBLISHER_H
#define PEER_PUBLISHER_H

#include "peer/peer.h"

/* ERR_TOO_LONG: more than [gossip] max_data. ERR_STOPPED: not sent, the peer
 * is ending. ERR_NOMEM. wait: as long as neighbors are far behind, at most
 * [gossip] publish_wait. */
enum err MUST_CHECK publisher_send(struct peer *p, const void *data, size_t n,
				   bool wait);

#endif
