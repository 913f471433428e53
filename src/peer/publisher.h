/* Publishing: user bytes -> a numbered, encoded message -> the hub. One
 * publisher at a time (publish_mu). Any thread that holds no lock. */
#ifndef PEER_PUBLISHER_H
#define PEER_PUBLISHER_H

#include "peer/peer.h"

#define PUBLISH_MAX 256 /* lines at a time: of 256 bytes, 64 KiB */

struct line {
	const void *text;
	size_t bytes;
};

/* ERR_TOO_LONG: more than [gossip] max_data. ERR_STOPPED: not sent, the peer
 * is ending. ERR_NOMEM. wait: as long as neighbors are far behind, at most
 * [gossip] publish_wait. */
enum err MUST_CHECK publisher_send(struct peer *p, const void *data, size_t n,
				   bool wait);
/* The same of up to PUBLISH_MAX messages at once, in that order, with a wait
 * after them: what costs as much for many as for one is done once. Of an error
 * the first *sent of them are sent all the same. */
enum err MUST_CHECK publisher_send_lines(struct peer *p,
					 const struct line *lines, size_t n,
					 size_t *sent);

#endif
