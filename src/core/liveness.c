#include "core/node_impl.h"

#define RTT_WEIGHT 8     /* a new sample counts 1/8, as in TCP */
#define LATE_INTERVALS 3 /* a tick is due every interval: two late (R13) */

static const struct config_liveness *limits(const struct node *n)
{
	return &n->config->liveness;
}

void liveness_start(struct step *s)
{
	s->n->liveness.tick_ms = s->now;
}

static uint64_t next_nonce(struct node *n)
{
	n->liveness.nonces = (n->liveness.nonces + 1) & (NONCE_MAX - 1);
	return n->liveness.nonces;
}

void liveness_heard(struct step *s, uint8_t slot)
{
	s->n->links[slot].info.heard_ms = s->now;
	s->n->links[slot].checking = false;
}

void liveness_on_ask(struct step *s, uint8_t slot,
		     const struct msg_liveliness *m)
{
	struct message *reply = say(s, link_bit(slot), MSG_LIVELINESS_REPLY);

	reply->liveliness_reply = (struct msg_liveliness_reply){
		.nonce = m->nonce,
		.id = s->n->self,
		.neighbors = links_count(s->n),
	};
}

void liveness_on_reply(struct step *s, uint8_t slot,
		       const struct msg_liveliness_reply *m)
{
	struct link_state *l = &s->n->links[slot];

	l->info.neighbors = m->neighbors;
	if (l->pinging && m->nonce == l->ping_nonce) {
		int64_t rtt = s->now - l->ping_ms, old = l->info.rtt_ms;

		l->pinging = false;
		l->info.rtt_ms = old < 0 ? rtt : old + (rtt - old) / RTT_WEIGHT;
		sync_answered(s, slot);
	}
}

void liveness_ping(struct step *s, uint8_t slot)
{
	struct link_state *l = &s->n->links[slot];

	l->ping_ms = s->now;
	l->ping_nonce = next_nonce(s->n);
	l->pinged = l->has;
	l->pinging = true;
	say(s, link_bit(slot), MSG_LIVELINESS)->liveliness.nonce =
		l->ping_nonce;
}

/* When the next Liveliness on this link is due: after an interval of silence,
 * and on busy links once in a while, for the RTT and the far end's count. */
static int64_t ping_due(const struct node *n, const struct link_state *l)
{
	int64_t quiet =
		l->info.heard_ms > l->ping_ms ? l->info.heard_ms : l->ping_ms;
	int64_t busy = l->ping_ms + limits(n)->busy_interval_ms;

	quiet += limits(n)->interval_ms;
	return quiet < busy ? quiet : busy;
}

static void look_at(struct step *s, uint8_t slot)
{
	struct link_state *l = &s->n->links[slot];
	int64_t silent = s->now - l->info.heard_ms;

	if (silent >= limits(s->n)->timeout_ms && !l->checking) {
		/* R13: first ask the kernel whether we just did not read. */
		l->checking = true;
		effects_add(s->out, EF_CHECK)->link = slot;
	} else if (s->now >= ping_due(s->n, l)) {
		liveness_ping(s, slot);
	}
}

void liveness_on_checked(struct step *s, uint8_t slot, bool bytes_wait)
{
	struct link_state *l = &s->n->links[slot];

	if (!l->checking)
		return; /* it was heard meanwhile */
	if (bytes_wait)
		liveness_heard(s, slot);
	else
		overlay_lose(s, slot, UNLINK_SILENT);
}

/* R13: who slept himself accuses nobody, and may have been taken for dead. */
static void wake_up(struct step *s)
{
	for (uint8_t i = 0; i < LINK_SLOTS; i++)
		if (s->n->links[i].up)
			liveness_heard(s, i);
	registration_renew_now(s);
}

void liveness_tick(struct step *s)
{
	struct liveness *l = &s->n->liveness;
	int64_t late = LATE_INTERVALS * limits(s->n)->interval_ms;

	if (s->now - l->tick_ms > late)
		wake_up(s);
	l->tick_ms = s->now;
	for (uint8_t i = 0; i < LINK_SLOTS; i++)
		if (s->n->links[i].up)
			look_at(s, i);
}

int64_t liveness_deadline(const struct node *n)
{
	int64_t due = n->liveness.tick_ms + limits(n)->interval_ms;

	for (unsigned i = 0; i < LINK_SLOTS; i++) {
		const struct link_state *l = &n->links[i];
		int64_t dead = l->info.heard_ms + limits(n)->timeout_ms;

		if (!l->up || l->checking)
			continue;
		if (dead < due)
			due = dead;
		if (ping_due(n, l) < due)
			due = ping_due(n, l);
	}
	return due;
}
