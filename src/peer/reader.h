/* The reading side of a link: takes what the socket has, decodes it outside of
 * any lock, and hands it to the hub in batches. Ends with the link. */
#ifndef PEER_READER_H
#define PEER_READER_H

#include "io/link.h"
#include "io/talk.h"
#include "peer/peer.h"

/* A link over the connection of a talk; who: the neighbor's address. */
struct link *reader_link(struct peer *p, struct talk *t,
			 const struct addr *who);
/* There is no thread for this link: says Bye and why in the log. */
void reader_give_up(struct peer *p, struct link *l);
/* Of a stranger that was not accepted: sends the answer, reads what still
 * comes to nobody, and closes. */
void reader_refuse(struct link *l);
/* Reads until the end, in the calling thread. The link is closed afterwards,
 * its descriptor not. */
void reader_run(struct peer *p, struct link *l);
/* The same as the serve function of an adopted connection; arg is the link,
 * whose reference it takes over. */
struct conn;
void reader_serve(void *arg, struct conn *c);

#endif
