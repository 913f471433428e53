/* Whom to dial and when: candidates, dials, repair (R1, R5), rotation (R6). */
#include "core/node_impl.h"

#include <stdlib.h>
#include <string.h>

#define REPAIR_JITTER 50 /* percent */
#define FLEETING_MS 3000 /* the end of a younger link is no news */
#define PER_REDIRECT 2   /* links or dials that one peer's redirects may win */

static const struct config_overlay *limits(const struct node *n)
{
	return &n->config->overlay;
}

bool overlay_init(struct node *n)
{
	struct candidate *v = calloc(limits(n)->candidates_max, sizeof *v);

	n->overlay.candidates = v;
	n->overlay.joining = true;
	n->overlay.repair_ms = NEVER_MS;
	n->overlay.urgent_ms = -limits(n)->urgent_interval_ms;
	return v != NULL;
}

void overlay_free(struct node *n)
{
	free(n->overlay.candidates);
}

/* --- candidates ------------------------------------------------------- */

bool overlay_is_self(const struct node *n, const struct addr *a)
{
	for (unsigned i = 0; i < n->overlay.alias_count; i++)
		if (addr_equal(&n->overlay.aliases[i], a))
			return true;
	return addr_equal(&n->self.addr, a);
}

struct dial *overlay_dial_to(struct node *n, const struct addr *a)
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
	return !overlay_is_self(n, a) && links_by_addr(n, a) == LINK_NONE;
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
	if (o->candidate_count < max)
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
	return n->overlay.lonely_rounds > 0; /* a link ends them */
}

bool overlay_dial(struct step *s, const struct candidate *to,
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
		if (!overlay_dial(s, &c, DIAL_LINK))
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
	link_set up = links_up(s->n);

	if (up == 0)
		return;
	say(s, up, MSG_GET_PEER_LIST)->get_peer_list.want =
		(uint32_t)limits(s->n)->sample;
	for (unsigned i = 0; i < LINK_SLOTS; i++)
		s->n->links[i].listing = s->n->links[i].up;
}

/* R6: a link to somebody new heals a network that the seeds had split. */
static void rotate(struct step *s)
{
	struct registration *g = &s->n->registration;
	struct candidate c = { .addr = g->rotate };

	if (g->rotate_drawn > 0 && overlay_is_new(s->n, &c.addr) &&
	    !links_host_full(s->n, &c.addr))
		overlay_dial(s, &c, DIAL_ROTATE);
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
	settled_keep(s);
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

/* The neighbor hears that it was no fault of its, and is dialed at once; should
 * that fail, as many others are missing as ever. */
void overlay_renew(struct step *s, uint8_t slot)
{
	struct candidate c = { .addr = s->n->links[slot].info.id.addr };

	link_remove(s, slot, UNLINK_BYE_SENT, BYE_ROTATE);
	settled_keep(s);
	overlay_dial(s, &c, DIAL_LINK);
	overlay_fill(s);
}

/* --- lists over links ------------------------------------------------- */

/* One answer to one question: a neighbor must not make us dial whom it likes,
 * again and again, nor drive out what the seeds told us. */
void overlay_on_peer_list(struct step *s, uint8_t slot,
			  const struct msg_peer_list *list)
{
	const struct addr *via = &s->n->links[slot].info.id.addr;

	if (!s->n->links[slot].listing) {
		s->n->stats.rejected++;
		return;
	}
	s->n->links[slot].listing = false;
	for (size_t i = 0; i < list->peers.n; i++)
		overlay_candidate(s, &list->peers.v[i], via);
	overlay_fill(s);
}

void overlay_on_get_peer_list(struct step *s, uint8_t slot,
			      const struct msg_get_peer_list *m)
{
	struct message *reply = say(s, link_bit(slot), MSG_PEER_LIST);

	reply->peer_list.count = links_count(s->n);
	links_sample(s, &s->n->links[slot].info.id.addr, m->want,
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
