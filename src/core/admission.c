/* Which connections become links: requests of others (R3), the answers to our
 * own dials (R4), and which of two connections to one peer stays. */
#include "core/node_impl.h"

static const struct config_overlay *limits(const struct node *n)
{
	return &n->config->overlay;
}

/* --- one connection too many ------------------------------------------ */

/* Does a wanted new link to this identity, dialed by us or not, win against
 * the link that is there? Both ends must come to the same answer (R3). */
static bool newer_wins(const struct step *s, const struct link_state *old,
		       bool dialed)
{
	const struct identity *self = &s->n->self, *other = &old->info.id;

	if (s->now - old->info.since_ms > limits(s->n)->tie_ms)
		return false;
	if (old->info.dialed == dialed)
		return true;
	return (identity_compare(self, other) < 0) == dialed;
}

/* Is losing a rather than b the smaller harm? Fewer active runs grow along it,
 * or else it is older. */
static bool rather(const struct step *s, uint8_t a, uint8_t b)
{
	unsigned load_a = tree_load(s, a), load_b = tree_load(s, b);

	if (load_a != load_b)
		return load_a < load_b;
	return s->n->links[a].info.since_ms < s->n->links[b].info.since_ms;
}

/* The link to give up: never one whose far end could be left alone. LINK_NONE
 * if there is none. */
static uint8_t draw_victim(const struct step *s, uint8_t except,
			   bool dialed_only)
{
	const struct node *n = s->n;
	uint8_t victim = LINK_NONE;

	for (uint8_t i = 0; i < LINK_SLOTS; i++) {
		const struct link_state *l = &n->links[i];

		if (!l->up || i == except || (dialed_only && !l->info.dialed) ||
		    l->info.neighbors <= limits(n)->dials)
			continue;
		if (victim == LINK_NONE || rather(s, i, victim))
			victim = i;
	}
	return victim;
}

/* R3: room for a peer that has no link at all, once in a while, by a link
 * that the other side dialed. */
static bool make_room(struct step *s)
{
	struct node *n = s->n;
	uint8_t victim = LINK_NONE;

	if (s->now - n->overlay.urgent_ms < limits(n)->urgent_interval_ms)
		return false;
	for (uint8_t i = 0; i < LINK_SLOTS; i++)
		if (n->links[i].up && !n->links[i].info.dialed &&
		    (victim == LINK_NONE || rather(s, i, victim)))
			victim = i;
	if (victim == LINK_NONE)
		return false;
	n->overlay.urgent_ms = s->now;
	link_remove(s, victim, UNLINK_BYE_SENT, BYE_BUSY);
	return true;
}

/* --- being asked ------------------------------------------------------ */

static struct effect *answer(struct step *s, uint64_t conn,
			     enum peer_verdict verdict)
{
	struct effect *e = effects_add(s->out, EF_VERDICT);

	e->conn = conn;
	e->say.type = MSG_PEER_REPLY;
	e->say.peer_reply.verdict = verdict;
	e->say.peer_reply.id = s->n->self;
	e->say.peer_reply.neighbors = links_count(s->n);
	return e;
}

static void refuse_busy(struct step *s, const struct ev_request *ev)
{
	struct effect *e = answer(s, ev->conn, PEER_BUSY);

	links_sample(s, &ev->request->id.addr, REDIRECT_MAX,
		     &e->say.peer_reply.redirect);
}

static void accept_request(struct step *s, const struct ev_request *ev)
{
	uint8_t slot = link_add(s, &ev->request->id, false,
				ev->request->neighbors, NULL);
	struct effect *e;

	if (slot == LINK_NONE) {
		refuse_busy(s, ev);
		return;
	}
	s->n->links[slot].from = ev->from;
	e = answer(s, ev->conn, PEER_ACCEPTED);
	e->link = slot;
	gossip_link_up(s, slot);
}

/* Somebody who is linked already, by his own word (R3). */
static void on_known(struct step *s, const struct ev_request *ev, uint8_t slot)
{
	struct link_state *old = &s->n->links[slot];
	uint64_t known = old->info.id.incarnation;
	uint64_t claimed = ev->request->id.incarnation;

	if (claimed > known) {
		/* A new run, or a liar: dial the address to see. */
		struct candidate c = { .addr = ev->request->id.addr };

		if (overlay_dial_to(s->n, &c.addr) == NULL)
			overlay_dial(s, &c, DIAL_CHECK);
		refuse_busy(s, ev);
	} else if (claimed < known || !newer_wins(s, old, false)) {
		answer(s, ev->conn, PEER_DUPLICATE);
	} else {
		link_remove(s, slot, UNLINK_BYE_SENT, BYE_DUPLICATE);
		accept_request(s, ev);
	}
}

void admission_on_request(struct step *s, const struct ev_request *ev)
{
	struct node *n = s->n;
	const struct addr *a = &ev->request->id.addr;
	uint8_t slot = links_by_addr(n, a);

	if (overlay_is_self(n, a))
		answer(s, ev->conn, PEER_SELF);
	else if (n->stopped)
		answer(s, ev->conn, PEER_BUSY);
	else if (slot != LINK_NONE)
		on_known(s, ev, slot);
	else if (links_host_full(n, a) || links_host_full(n, &ev->from))
		refuse_busy(s, ev);
	else if (links_count(n) < limits(n)->links_max)
		accept_request(s, ev);
	else if (ev->request->urgent && make_room(s))
		accept_request(s, ev);
	else
		refuse_busy(s, ev);
}

/* --- being answered --------------------------------------------------- */

static void refuse_dialed(struct step *s, uint64_t conn, enum bye_reason why)
{
	struct effect *e = effects_add(s->out, EF_REFUSE);

	e->conn = conn;
	e->unlink.cause = UNLINK_BYE_SENT;
	e->unlink.bye = why;
}

/* R6: after a rotation one link goes, so that degrees stay what they were. */
static void balance(struct step *s, uint8_t fresh)
{
	struct node *n = s->n;
	bool over_all = links_count(n) > limits(n)->links_max;
	uint8_t victim;

	if (!over_all && links_dialed(n) <= limits(n)->dials)
		return;
	victim = draw_victim(s, fresh, !over_all);
	if (victim == LINK_NONE && over_all)
		victim = fresh;
	if (victim != LINK_NONE)
		link_remove(s, victim, UNLINK_BYE_SENT, BYE_ROTATE);
}

static void adopt(struct step *s, const struct dial *d,
		  const struct ev_dialed *ev)
{
	struct effect *e;
	uint8_t slot = link_add(s, &ev->reply->id, true, ev->reply->neighbors,
				&d->to.via);

	if (slot == LINK_NONE) {
		refuse_dialed(s, ev->conn, BYE_BUSY);
		return;
	}
	s->n->links[slot].info.rtt_ms = ev->rtt_ms;
	e = effects_add(s->out, EF_ADOPT);
	e->conn = ev->conn;
	e->link = slot;
	gossip_link_up(s, slot);
	if (d->purpose == DIAL_ROTATE)
		balance(s, slot);
}

static void on_accepted(struct step *s, const struct dial *d,
			const struct ev_dialed *ev)
{
	struct node *n = s->n;
	const struct identity *id = &ev->reply->id;
	uint8_t slot = links_by_addr(n, &id->addr);
	uint64_t max = limits(n)->links_max + (d->purpose == DIAL_ROTATE);

	if (overlay_is_self(n, &id->addr)) {
		refuse_dialed(s, ev->conn, BYE_DUPLICATE);
		return;
	}
	if (slot != LINK_NONE) {
		struct link_state *old = &n->links[slot];
		/* A newer run proves itself by answering at its address;
		 * anybody can name another's. */
		bool newer_run = id->incarnation > old->info.id.incarnation &&
				 addr_equal(&id->addr, &d->to.addr);

		if (!newer_run &&
		    (id->incarnation != old->info.id.incarnation ||
		     !newer_wins(s, old, true))) {
			refuse_dialed(s, ev->conn, BYE_DUPLICATE);
			return;
		}
		link_remove(s, slot, UNLINK_BYE_SENT, BYE_DUPLICATE);
	}
	if (links_count(n) >= max || links_host_full(n, &id->addr) ||
	    n->stopped)
		refuse_dialed(s, ev->conn, BYE_BUSY);
	else
		adopt(s, d, ev);
}

static void take_redirects(struct step *s, const struct dial *d,
			   const struct msg_peer_reply *r)
{
	for (size_t i = 0; i < r->redirect.n; i++)
		overlay_candidate(s, &r->redirect.v[i], &d->to.addr);
}

static void on_failed(struct step *s, const struct dial *d,
		      enum dial_result result)
{
	struct identity id = { .addr = d->to.addr };

	/* R4: only what a seed listed; others know nothing of it anyway. */
	if (!addr_is_none(&d->to.via) || d->purpose == DIAL_CHECK)
		return;
	if (result == DIAL_REFUSED)
		registration_report(s, &id, DEATH_REFUSED);
	else if (result == DIAL_TIMEOUT)
		registration_report(s, &id, DEATH_SILENT);
}

static void on_self(struct step *s, const struct addr *a)
{
	struct overlay *o = &s->n->overlay;

	if (!overlay_is_self(s->n, a) && o->alias_count < ALIASES_CAP)
		o->aliases[o->alias_count++] = *a;
}

static void on_reply(struct step *s, const struct dial *d,
		     const struct ev_dialed *ev)
{
	switch (ev->reply->verdict) {
	case PEER_ACCEPTED:
		on_accepted(s, d, ev);
		return;
	case PEER_BUSY:
		take_redirects(s, d, ev->reply);
		break;
	case PEER_SELF:
		on_self(s, &d->to.addr);
		break;
	case PEER_DUPLICATE:
		break;
	}
	refuse_dialed(s, ev->conn, BYE_BUSY);
}

void admission_on_dialed(struct step *s, const struct ev_dialed *ev)
{
	struct dial done = { 0 };

	for (unsigned i = 0; i < DIALS_CAP; i++) {
		struct dial *d = &s->n->overlay.dials[i];

		if (d->used && d->id == ev->dial) {
			done = *d;
			d->used = false;
		}
	}
	if (!done.used) {
		if (ev->result == DIAL_ANSWERED)
			refuse_dialed(s, ev->conn, BYE_BUSY);
		return;
	}
	if (ev->result == DIAL_ANSWERED)
		on_reply(s, &done, ev);
	else
		on_failed(s, &done, ev->result);
	overlay_fill(s);
}
