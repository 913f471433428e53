/* The owner of the node: node.mu, the link table, and the effects.
 *
 * Every event of every thread goes through here: lock, step, apply the
 * effects, unlock, flush the touched links. Effects only queue (frames to
 * outboxes, jobs to pools, messages to the output), so that nothing blocks
 * under node.mu. Functions may be called from any thread that holds no lock
 * but publish.mu.
 */
#ifndef PEER_HUB_H
#define PEER_HUB_H

#include "core/node.h"
#include "io/link.h"
#include "peer/parcel.h"
#include "peer/peer.h"

struct hub;

enum err MUST_CHECK hub_new(struct hub **h, struct peer *p,
			    const struct node_options *o);
/* EV_START, and the thread that ticks the node. */
enum err MUST_CHECK hub_start(struct hub *h);
/* EV_STOP: Bye to the neighbors, Death of myself to the seeds. Later events
 * find a node that wants nothing. */
void hub_stop(struct hub *h);
void hub_join(struct hub *h); /* the ticker; after hub_stop */
void hub_free(struct hub *h);

/* A Peer Request came over this (new) link; the answer is queued on it. True:
 * it is a neighbor now; else the answer is the last it hears. */
bool hub_on_request(struct hub *h, struct link *l, const struct addr *from,
		    const struct msg_peer_request *m);
/* A dial ended; link and reply only if answered. True: it is a neighbor. */
bool hub_on_dialed(struct hub *h, uint32_t dial, enum dial_result result,
		   struct link *l, const struct msg_peer_reply *reply,
		   int64_t rtt_ms);
/* Frames of one link, in order; `delivered` says afterwards which messages
 * were new. Waits a bounded time when neighbors do not take what is forwarded;
 * a neighbor that then still did not is told to the node (EV_FULL). */
void hub_on_frames(struct hub *h, struct link *l, struct parcel *const *p,
		   size_t n);
void hub_on_heard(struct hub *h, struct link *l);
void hub_on_down(struct hub *h, struct link *l, enum down_cause cause);
/* The keys of the links, v with room for LINK_SLOTS; how many. */
size_t hub_link_keys(struct hub *h, struct key_id *v);
/* Makes one link anew whose key is none of these any more. False: all are. */
bool hub_renew_link(struct hub *h, struct keys *k);
/* Little is left to send on a watched link (its writer thread). */
void hub_on_drained(struct hub *h, struct link *l);
/* The output has caught up (whoever writes it). */
void hub_on_output(struct hub *h);
void hub_on_seed(struct hub *h, const struct ev_seed *ev);

/* Who publishes, and the seq of his next message. */
uint64_t hub_next_seq(struct hub *h, struct identity *self);
/* Own messages with that seq and the following. The caller holds publish_mu
 * since hub_next_seq. ERR_STOPPED: the peer is stopping; ERR_NOMEM. Then only
 * the first *sent of them (may be none) were sent. */
enum err MUST_CHECK hub_publish(struct hub *h, struct parcel *const *p,
				size_t n, size_t *sent);
/* Waits while a neighbor that was sent the last own messages is far behind, at
 * most [gossip] publish_wait; then it is EV_FULL. The caller holds no lock. */
void hub_wait_room(struct hub *h);
/* False: no neighbor until the deadline, or the peer stops. */
bool hub_wait_neighbor(struct hub *h, int64_t deadline_ms);
/* Until the first round of dials is over, so that there is something to see. */
void hub_wait_settled(struct hub *h, int64_t deadline_ms);
/* Has a neighbor taken all that was published? ERR_OK; ERR_TIMEOUT: no
 * neighbor for patience_ms; ERR_STOPPED. */
enum err MUST_CHECK hub_wait_taken(struct hub *h, int64_t patience_ms);
/* A message by id, or by unique prefix if it is held here; waits for the
 * neighbors' answers. ERR_NOT_FOUND, ERR_RANGE (several), ERR_STOPPED. */
enum err MUST_CHECK hub_find(struct hub *h, const char *hex, size_t digits,
			     struct frame **f, struct hash *id);

struct identity hub_self(struct hub *h);
size_t hub_neighbors(struct hub *h, struct neighbor out[LINK_SLOTS]);
struct node_stats hub_stats(struct hub *h);
size_t hub_outbox_bytes(struct hub *h);

#endif
