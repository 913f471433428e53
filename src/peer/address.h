/* Which address this peer listens on, and which one others are to dial. */
#ifndef PEER_ADDRESS_H
#define PEER_ADDRESS_H

#include "core/node.h"
#include "io/exits.h"

/* Both return an exit status and have said on stderr what is wrong. May block
 * in name look-ups; main thread, before any other. */
int address_listen(const struct config *c, struct addr *listen);
/* Fills in the node's identity, config, and source of chance. */
int address_self(const struct config *c, const struct addr *bound,
		 struct node_options *out);

#endif
