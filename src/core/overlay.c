#include "core/node_impl.h"

#include <string.h>

#define REPAIR_JITTER 50 /* percent */
#define FLEETING_MS 3000 /* the end of a younger link is no news */
#define PER_REDIRECT 2   /* links or dials that one peer's redirects may win */

static const struct config_overlay *limits(const struct node *n)
{
	return &n->config->overlay;
}

void overlay_init(struct node *n)
{
	n->overlay.joining = true;
	n->overlay.repair_ms = NEVER_MS;
	n->overlay.urgent_ms = -limits(n)->urgent_interval_ms;
}

/* --- candidates ------------------------------------------------------- */

static bool is_alias(const struct node *n, const struct addr *a)
{
	for (unsigned i = 0; i < n->overlay.alias_count; i++)
		if (addr_equal(&n->overlay.aliases[i], a))
			return true;
	return addr_equal(&n->self.addr, a);
}

static struct dial *dial_to(struct node *n, const struct addr *a)
{
	for (unsigned i = 0; i < DIALS_CAP; i++) {
		struct dial *d = &n->overlay.dials[i];

		if (d->used && addr_equal(&d->to.addr, a))
			return d;
	}
	return NULL;
}

static unsigned dials_open(const struct node *n)
{
	unsigned count = 0;

	for (unsigned i = 0; i < DIALS_CAP; i++)
		count += n->overlay.dials[i].used;
	return count;
}

/* Nobody I am, am linked to or am dialing. */
bool overlay_is_new(const struct node *n, const struct addr *a)
{
	for (unsigned i = 0; i < DIALS_CAP; i++)
		if (n->overlay.dials[i].used &&
		    addr_equal(&n->overlay.dials[i].to.addr, a))
			return false;
	return !is_alias(n, a) && links_by_addr(n, a) == LINK_NONE;
}

bool overlay_candidate(struct step *s, const struct addr *a,
		       const struct addr *via)
{
	struct overlay *o = &s->n->overlay;
	struct candidate c = { .addr = *a };
	uint64_t max = limits(s->n)->candidates_max;

	if (via != NULL)
		c.via = *via;
	if (!overlay_is_new(s->n, a) || addr_is_wildcard(a))
		return false;
	for (unsigned i = 0; i < o->candidate_count; i++)
		if (addr_equal(&o->candidates[i].addr, a))
			return false;
	if (o->candidate_count < max && o->candidate_count < CANDIDATES_CAP)
		o->candidates[o->candidate_count++] = c;
	else /* the newest know best who is alive */
		o->candidates[rng_below(&s->n->rng, o->candidate_count)] = c;
	return true;
}

/* At most two links by the word of one peer (R4, protocol.md 4). */
static bool redirect_full(const struct node *n, const struct addr *via)
{
	unsigned count = 0;

	if (addr_is_none(via))
		return false;
	for (unsigned i = 0; i < LINK_SLOTS; i++)
		count += n->links[i].up && addr_equal(&n->links[i].via, via);
	for (unsigned i = 0; i < DIALS_CAP; i++)
		count += n->overlay.dials[i].used &&
			 addr_equal(&n->overlay.dials[i].to.via, via);
	return count >= PER_REDIRECT;
}

/* Draws until one may be dialed; the others are forgotten. */
static bool draw_candidate(struct node *n, struct candidate *out)
{
	struct overlay *o = &n->overlay;

	while (o->candidate_count > 0) {
		uint64_t i = rng_below(&n->rng, o->candidate_count);

		*out = o->candidates[i];
		o->candidates[i] = o->candidates[--o->candidate_count];
		if (overlay_is_new(n, &out->addr) &&
		    !links_host_full(n, &out->addr) &&
		    !redirect_full(n, &out->via))
			return true;
	}
	return false;
}

/* --- dialing ---------------------------------------------------------- */

/* R3: only who has no link at all, and not at once, may push in; one dial at
 * a time. */
static bool may_be_urgent(const struct node *n)
{
	for (unsigned i = 0; i < DIALS_CAP; i++)
		if (n->overlay.dials[i].used && n->overlay.dials[i].urgent)
			return false;
	return n->overlay.lonely_rounds > 0 && links_count(n) == 0;
}

static bool start_dial(struct step *s, const struct candidate *to,
		       enum dial_purpose purpose)
{
	struct node *n = s->n;
	struct dial *d = n->overlay.dials;
	struct effect *e;

	while (d < n->overlay.dials + DIALS_CAP && d->used)
		d++;
	if (d == n->overlay.dials + DIALS_CAP)
		return false;
	*d = (struct dial){ .used = true,
			    .urgent = may_be_urgent(n),
			    .purpose = purpose,
			    .id = ++n->overlay.dial_ids,
			    .to = *to,
			    .deadline_ms =
				    s->now + 2 * limits(n)->dial_timeout_ms };
	e = effects_add(s->out, EF_DIAL);
	e->dial.id = d->id;
	e->dial.to = to->addr;
	e->dial.request = (struct msg_peer_request){
		.id = n->self,
		.neighbors = links_count(n),
		.urgent = d->urgent,
	};
	return true;
}

static unsigned missing_links(const struct node *n)
{
	unsigned dials = dials_open(n), links = links_count(n);
	unsigned have = n->overlay.joining ? links_dialed(n) : links;
	unsigned want = (unsigned)limits(n)->dials;

	if (links + dials >= limits(n)->links_max)
		return 0;
	return have + dials < want ? want - have - dials : 0;
}

static void plan_repair(struct step *s)
{
	struct overlay *o = &s->n->overlay;
	const struct config_overlay *c = limits(s->n);
	int64_t wait = c->repair_first_ms;

	if (o->repair_ms != NEVER_MS || s->n->registration.round.active)
		return;
	if (o->attempt > 0) {
		wait = c->repair_ms;
		for (unsigned i = 1; i < o->attempt && wait < c->repair_max_ms;
		     i++)
			wait *= 2;
		if (wait > c->repair_max_ms)
			wait = c->repair_max_ms;
	}
	o->attempt++;
	o->repair_ms = s->now + rng_jitter(&s->n->rng, wait, REPAIR_JITTER);
}

void overlay_fill(struct step *s)
{
	struct node *n = s->n;
	struct overlay *o = &n->overlay;
	struct candidate c;

	if (n->stopped)
		return;
	/* R1: first all answers, then the shuffle. */
	if (n->registration.round.active &&
	    n->registration.round.kind == ROUND_JOIN)
		return;
	while (missing_links(n) > 0 && draw_candidate(n, &c))
		if (!start_dial(s, &c, DIAL_LINK))
			break;
	if (dials_open(n) > 0)
		return;
	if (o->joining)
		effects_add(s->out, EF_SETTLED);
	o->joining = false;
	if (missing_links(n) == 0) {
		o->repair_ms = NEVER_MS;
		return;
	}
	if (links_count(n) == 0)
		o->lonely_rounds++;
	plan_repair(s);
}

/* No seed answers: neighbors know peers too (R5). */
static void ask_neighbors(struct step *s)
{
	if (links_count(s->n) > 0)
		say(s, links_up(s->n), MSG_GET_PEER_LIST)->get_peer_list.want =
			(uint32_t)limits(s->n)->sample;
}

/* R6: a link to somebody new heals a network that the seeds had split. */
static void rotate(struct step *s)
{
	struct registration *g = &s->n->registration;
	struct candidate c = { .addr = g->rotate };

	if (g->rotate_drawn > 0 && overlay_is_new(s->n, &c.addr) &&
	    !links_host_full(s->n, &c.addr))
		start_dial(s, &c, DIAL_ROTATE);
}

void overlay_round_done(struct step *s, enum round_kind kind, unsigned answered)
{
	if (kind == ROUND_RENEW)
		rotate(s);
	else if (kind == ROUND_REPAIR && answered == 0)
		ask_neighbors(s);
	if (kind == ROUND_JOIN) {
		struct effect *e = effects_add(s->out, EF_JOINED);

		e->joined.asked = s->n->registration.round.target;
		e->joined.answered = answered;
		e->joined.candidates = s->n->overlay.candidate_count;
	}
	overlay_fill(s);
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

/* The link to give up, oldest first: never one whose far end could be left
 * alone. LINK_NONE if there is none. */
static uint8_t draw_victim(const struct node *n, uint8_t except,
			   bool dialed_only)
{
	uint8_t victim = LINK_NONE;

	for (uint8_t i = 0; i < LINK_SLOTS; i++) {
		const struct link_state *l = &n->links[i];

		if (!l->up || i == except || (dialed_only && !l->info.dialed) ||
		    l->info.neighbors <= limits(n)->dials)
			continue;
		if (victim == LINK_NONE ||
		    l->info.since_ms < n->links[victim].info.since_ms)
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
		    (victim == LINK_NONE ||
		     n->links[i].info.neighbors >
			     n->links[victim].info.neighbors))
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

static size_t draw_neighbors(struct step *s, const struct addr *except,
			     size_t want, struct addr_list *out)
{
	struct node *n = s->n;
	size_t room = LINK_SLOTS, count = 0;
	struct addr *a = effects_addrs(s->out, &room);

	for (uint8_t i = 0; i < LINK_SLOTS && count < room; i++)
		if (n->links[i].up &&
		    !addr_equal(&n->links[i].info.id.addr, except))
			a[count++] = n->links[i].info.id.addr;
	for (size_t i = 0; i < want && i < count; i++) {
		size_t j = i + rng_below(&n->rng, count - i);
		struct addr t = a[i];

		a[i] = a[j];
		a[j] = t;
	}
	out->v = a;
	out->n = count < want ? count : want;
	return out->n;
}

static void refuse_busy(struct step *s, const struct ev_request *ev)
{
	struct effect *e = answer(s, ev->conn, PEER_BUSY);

	draw_neighbors(s, &ev->request->id.addr, REDIRECT_MAX,
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

		if (dial_to(s->n, &c.addr) == NULL)
			start_dial(s, &c, DIAL_CHECK);
		refuse_busy(s, ev);
	} else if (claimed < known || !newer_wins(s, old, false)) {
		answer(s, ev->conn, PEER_DUPLICATE);
	} else {
		link_remove(s, slot, UNLINK_BYE_SENT, BYE_DUPLICATE);
		accept_request(s, ev);
	}
}

void overlay_on_request(struct step *s, const struct ev_request *ev)
{
	struct node *n = s->n;
	const struct addr *a = &ev->request->id.addr;
	uint8_t slot = links_by_addr(n, a);

	if (is_alias(n, a))
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
	victim = draw_victim(n, fresh, !over_all);
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

	if (is_alias(n, &id->addr)) {
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

	if (!is_alias(s->n, a) && o->alias_count < ALIASES_CAP)
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

void overlay_on_dialed(struct step *s, const struct ev_dialed *ev)
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

/* --- losing links ----------------------------------------------------- */

/* A loss is news: do not wait out an old back-off (R5). But two that cannot
 * keep each other must not meet again every 50 ms. */
static void after_loss(struct step *s, int64_t since_ms)
{
	struct overlay *o = &s->n->overlay;

	if (s->now - since_ms >= FLEETING_MS) {
		o->attempt = 0;
		o->repair_ms = NEVER_MS;
	}
	overlay_fill(s);
}

void overlay_on_bye(struct step *s, uint8_t slot, enum bye_reason reason)
{
	link_remove(s, slot, UNLINK_BYE_GOT, reason);
	after_loss(s, s->n->links[slot].info.since_ms);
}

void overlay_lose(struct step *s, uint8_t slot, enum unlink_cause cause)
{
	struct identity id = s->n->links[slot].info.id;

	/* R12. A seed finds out which of the slow ones are just slow. */
	link_remove(s, slot, cause, BYE_SLOW);
	if (cause == UNLINK_RESET)
		registration_report(s, &id, DEATH_RESET);
	else if (cause == UNLINK_SILENT || cause == UNLINK_SLOW)
		registration_report(s, &id, DEATH_SILENT);
	after_loss(s, s->n->links[slot].info.since_ms);
}

void overlay_give_up(struct step *s, uint8_t slot)
{
	link_remove(s, slot, UNLINK_BYE_SENT, BYE_BUSY);
	s->n->overlay.candidate_count = 0; /* they would fare no better */
	overlay_fill(s);
}

/* --- lists over links ------------------------------------------------- */

void overlay_on_peer_list(struct step *s, uint8_t slot,
			  const struct msg_peer_list *list)
{
	const struct addr *via = &s->n->links[slot].info.id.addr;

	for (size_t i = 0; i < list->peers.n; i++)
		overlay_candidate(s, &list->peers.v[i], via);
	overlay_fill(s);
}

void overlay_on_get_peer_list(struct step *s, uint8_t slot,
			      const struct msg_get_peer_list *m)
{
	struct message *reply = say(s, link_bit(slot), MSG_PEER_LIST);

	reply->peer_list.count = links_count(s->n);
	draw_neighbors(s, &s->n->links[slot].info.id.addr, m->want,
		       &reply->peer_list.peers);
}

/* A dial that the shell could not even start (no memory, no thread). */
static void give_up_dials(struct step *s)
{
	struct overlay *o = &s->n->overlay;
	bool gone = false;

	for (unsigned i = 0; i < DIALS_CAP; i++) {
		struct dial *d = &o->dials[i];

		if (d->used && s->now >= d->deadline_ms) {
			d->used = false;
			gone = true;
		}
	}
	if (gone)
		overlay_fill(s);
}

void overlay_tick(struct step *s)
{
	struct overlay *o = &s->n->overlay;

	give_up_dials(s);
	if (s->now < o->repair_ms)
		return;
	o->repair_ms = NEVER_MS;
	if (missing_links(s->n) > 0)
		registration_begin(s, ROUND_REPAIR);
}

int64_t overlay_deadline(const struct node *n)
{
	int64_t due = n->overlay.repair_ms;

	for (unsigned i = 0; i < DIALS_CAP; i++)
		if (n->overlay.dials[i].used &&
		    n->overlay.dials[i].deadline_ms < due)
			due = n->overlay.dials[i].deadline_ms;
	return due;
}
