/* The door: what happens on a connection that somebody made to us, from its
 * first byte until it is a link or closed. Short requests (Liveliness, Get
 * Peer List) are answered here, a Peer Request is put to the hub. */
#ifndef PEER_DOOR_H
#define PEER_DOOR_H

#include "io/server.h"

/* The serve function of the peer's server; ctx is the struct peer. */
void door_serve(void *ctx, struct conn *c);

#endif
