/* What a seed says on one connection: requests in, answers out, until the
 * other side ends it, falls silent or breaks the protocol.
 *
 * Rules R2 (Register), R14 (Death) and the limits of a stranger. Runs in the
 * connection's own thread.
 */
#ifndef SEED_SERVICE_H
#define SEED_SERVICE_H

#include "io/server.h"

/* For server_config.serve; ctx is the struct seed. */
void service_serve(void *ctx, struct conn *c);

#endif
