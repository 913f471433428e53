/* Dials: connect, send the Peer Request, wait for the Peer Reply, and hand the
 * connection to the hub. A few workers, so that one dead address does not hold
 * up the others. dialer_dial never blocks (it is called under node.mu). */
#ifndef PEER_DIALER_H
#define PEER_DIALER_H

#include "core/effect.h"
#include "peer/peer.h"

struct dialer;

enum err MUST_CHECK dialer_start(struct dialer **d, struct peer *p);
void dialer_dial(struct dialer *d, const struct effect *e); /* EF_DIAL */
void dialer_stop(struct dialer *d);
void dialer_join(struct dialer *d); /* frees it */

#endif
