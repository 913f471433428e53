/* Fetching what is missing (R9, R10, R16): what neighbors announced is asked
 * for if it does not come by itself, from one after the other, a window of it
 * at a time; what nobody has any more is reported as lost. */
#include "core/node_impl.h"

#define WINDOW 256       /* messages asked at a time from one link */
#define WIDEST 262144    /* of a range or hole, its newest part is looked at */
#define LOOKS 8192       /* stretches that one Have may make us look at */
#define LINE_LOOKS 64    /* who waits in line, for each answer */
#define FLOW_BYTES 32768 /* who brings less in TO2 is asked no longer, */
#define FLOW_FLOOR 4096  /* each message counting as so much at least */
#define AGAIN_MS 30000   /* what was refused is asked about anew after this */
#define ASKS_AT_ONCE WINDOW
#define ASK_RTTS 2     /* TO1 in round trips of the slowest link */
#define HOLE_ASKS 10   /* R16: in TO1 */
#define UNNOTED_MS 100 /* what was not noted is tried this often, at a tick */
#define ROUND_MS 1000  /* all have been asked: once more after this, */
#define ROUND_MAX_MS 30000 /* doubled up to this */
#define BULK_MS 1000     /* old messages: no hurry to ask somebody else, too */
#define HISTORY_MS 10000 /* catch_up = no: history comes within this */

static const struct config_gossip *limits(const struct node *n)
{
	return &n->config->gossip;
}

/* --- how long to wait ------------------------------------------------- */

/* TO1: longer than a round trip, or healthy trees would graft. Simulated with
 * 4,000 peers and 1 % of them replaced every second: at 3, 2 and 1.5 x the
 * largest one 0.018, 0.024 and 0.029 copies too many, and a 99th percentile of
 * 866, 740 and 644 ms. */
int64_t pull_ask_after(const struct node *n)
{
	int64_t rtt = -1;

	for (unsigned i = 0; i < LINK_SLOTS; i++)
		if (n->links[i].up && n->links[i].info.rtt_ms > rtt)
			rtt = n->links[i].info.rtt_ms;
	if (rtt < 0)
		return limits(n)->ask_after_ms;
	rtt *= ASK_RTTS;
	if (rtt < limits(n)->ask_min_ms)
		return limits(n)->ask_min_ms;
	return rtt < limits(n)->ask_max_ms ? rtt : limits(n)->ask_max_ms;
}

/* TO2: the same for an answer of that link. */
static int64_t answer_within(const struct node *n, uint8_t slot, bool graft)
{
	int64_t wait = pull_ask_after(n), rtt = 2 * n->links[slot].info.rtt_ms;

	if (rtt > wait)
		wait = rtt;
	return graft || wait > BULK_MS ? wait : BULK_MS;
}

/* --- what is lost ----------------------------------------------------- */

static void unask(struct step *s, struct want *t)
{
	if (t->asked != LINK_NONE)
		s->n->links[t->asked].asked -= (unsigned)want_size(t);
	t->asked = LINK_NONE;
}

/* Without memory more than these numbers had to be forgotten: who has them
 * shall say so again. */
static void note_forgotten(struct step *s, link_set who)
{
	for (uint8_t i = 0; i < LINK_SLOTS; i++)
		s->n->links[i].missed |= (who & link_bit(i)) != 0;
}

/* These are wanted no more. */
static void drop_within(struct step *s, const struct identity *run,
			uint64_t first, uint64_t last)
{
	struct wants *w = &s->n->gossip.wants;
	struct want *t;

	while ((t = wants_overlapping(w, run, first, last)) != NULL) {
		if (t->first >= first && t->last <= last) {
			unask(s, t);
			wants_drop(w, t);
		} else {
			uint8_t asked = t->asked;
			link_set who = (link_set)(t->announced | t->guessed);
			uint64_t gone = wants_trim(w, t, first, last);

			if (gone > last - first + 1)
				note_forgotten(s, who);
			if (asked != LINK_NONE)
				s->n->links[asked].asked -= (unsigned)gone;
		}
	}
}

void pull_lost(struct step *s, const struct origin *r, uint64_t first,
	       uint64_t last)
{
	struct effect *e = effects_add(s->out, EF_LOST);

	s->n->stats.lost += last - first + 1;
	e->lost = (struct range){ r->id, first, last };
	drop_within(s, &r->id, first, last);
}

/* Between two messages that came: then its loss is one. */
static bool is_hole(const struct origin *r, const struct want *t)
{
	return r != NULL && r->covered.n > 0 &&
	       r->covered.v[0].first < t->first &&
	       ranges_newest(&r->covered) > t->last;
}

static void close_hole(struct step *s, struct origin *r, uint64_t first,
		       uint64_t last)
{
	struct span also;

	if (ranges_add(&r->covered, first, last, &also) != ERR_OK)
		return;
	pull_lost(s, r, first, last);
	if (also.first != 0)
		pull_lost(s, r, also.first, also.last);
}

/* Nobody has it any more. */
static void on_hopeless(struct step *s, struct want *t)
{
	struct wants *w = &s->n->gossip.wants;
	struct origin *r = origins_find(&s->n->gossip.origins, &t->run->id);

	if (!is_hole(r, t)) {
		wants_drop(w, t); /* whoever has it will say so again */
		return;
	}
	if (t->hopeless_ms < 0)
		t->hopeless_ms = s->now;
	if (s->now - t->hopeless_ms >= limits(s->n)->lost_after_ms) {
		uint64_t first = t->first, last = t->last;

		wants_drop(w, t);
		close_hole(s, r, first, last);
	} else {
		wants_set_due(w, t,
			      t->hopeless_ms + limits(s->n)->lost_after_ms);
	}
}

/* --- asking ----------------------------------------------------------- */

static unsigned room_of(const struct node *n, uint8_t slot)
{
	unsigned asked = n->links[slot].asked;

	return asked < WINDOW ? WINDOW - asked : 0;
}

/* Of these links the one that has least to do for us; LINK_NONE when each has
 * a window full. */
static uint8_t draw_source(struct step *s, link_set from)
{
	uint8_t best = LINK_NONE;
	unsigned ties = 0;

	for (uint8_t i = 0; i < LINK_SLOTS; i++) {
		unsigned room = room_of(s->n, i);

		if ((from & link_bit(i)) == 0 || room == 0)
			continue;
		if (best == LINK_NONE || room > room_of(s->n, best))
			ties = 0;
		else if (room < room_of(s->n, best))
			continue;
		if (rng_below(&s->n->rng, ++ties) == 0)
			best = i;
	}
	return best;
}

static link_set sources(const struct step *s, const struct want *t)
{
	return (link_set)((t->announced | t->guessed) & ~t->denied &
			  links_up(s->n));
}

/* The questions of one step, by link and by whether they graft. */
struct asks {
	struct range *v[LINK_SLOTS][2]; /* room for ASKS_AT_ONCE */
	size_t n[LINK_SLOTS][2];
};

static void say_asks(struct step *s, struct asks *asks, uint8_t slot,
		     bool grafting)
{
	struct message *m;

	if (asks->n[slot][grafting] == 0)
		return;
	m = say(s, link_bit(slot), MSG_GET_DATA);
	m->get_data.ranges = (struct range_list){ asks->v[slot][grafting],
						  asks->n[slot][grafting] };
	m->get_data.graft = grafting;
	s->n->stats.getdata_sent++;
	asks->v[slot][grafting] = NULL;
	asks->n[slot][grafting] = 0;
}

static void say_all_asks(struct step *s, struct asks *asks)
{
	for (uint8_t i = 0; i < LINK_SLOTS; i++) {
		say_asks(s, asks, i, true);
		say_asks(s, asks, i, false);
	}
}

static void add_ask(struct step *s, struct asks *asks, const struct want *t)
{
	struct range **v = &asks->v[t->asked][t->graft];
	size_t *n = &asks->n[t->asked][t->graft];

	if (*v == NULL)
		*v = effects_room(s->out, ASKS_AT_ONCE * sizeof **v);
	if (*v == NULL)
		return; /* it will be asked elsewhere, for want of an answer */
	(*v)[(*n)++] = (struct range){ t->run->id, t->first, t->last };
	if (*n == ASKS_AT_ONCE)
		say_asks(s, asks, t->asked, t->graft);
}

/* R10: whoever is asked for a live run shall send it from now on, and gets
 * from us what we have of it. */
static void graft(struct step *s, const struct want *t)
{
	struct origin *r = origins_find(&s->n->gossip.origins, &t->run->id);

	if (r != NULL)
		tree_feed(s, r, t->asked);
}

static void ask(struct step *s, struct want *t, uint8_t slot, struct asks *asks)
{
	struct link_state *l = &s->n->links[slot];
	struct wants *w = &s->n->gossip.wants;

	if (want_size(t) > room_of(s->n, slot)) {
		struct want *rest = NULL;

		if (t->run->count < 2 * WANTS_PER_RUN)
			rest = wants_split(w, t, room_of(s->n, slot));
		if (rest == NULL) { /* later */
			wants_set_due(w, t, s->now + ROUND_MS);
			return;
		}
		wants_set_due(w, rest, s->now); /* maybe from another one */
	}
	wants_leave_line(w, t);
	t->asked = slot;
	t->asked_ms = s->now;
	t->brought = l->brought;
	t->tried = (link_set)(t->tried | link_bit(slot));
	l->asked += (unsigned)want_size(t);
	l->asked_ms = s->now;
	wants_set_due(w, t, s->now + answer_within(s->n, slot, t->graft));
	add_ask(s, asks, t);
	if (t->graft)
		graft(s, t);
}

/* Who was asked and answers at a decent pace gets the time to go on. */
static bool is_being_answered(struct step *s, struct want *t)
{
	const struct link_state *l = &s->n->links[t->asked];

	if (l->brought - t->brought < FLOW_BYTES ||
	    s->now - t->asked_ms > limits(s->n)->lost_after_ms)
		return false;
	t->brought = l->brought;
	wants_set_due(&s->n->gossip.wants, t,
		      s->now + answer_within(s->n, t->asked, t->graft));
	return true;
}

static int64_t pause_of_round(const struct want *t)
{
	int64_t wait = ROUND_MS;

	for (unsigned i = 1; i < t->rounds && wait < ROUND_MAX_MS; i++)
		wait *= 2;
	return wait < ROUND_MAX_MS ? wait : ROUND_MAX_MS;
}

/* Links keep the order: what its feeder has not brought yet of a run, it will
 * bring next. Announcements may be far ahead of a busy link, and whoever asks
 * then is sent everything twice. */
static bool comes_by_itself(struct step *s, struct want *t)
{
	const struct origin *r =
		origins_find(&s->n->gossip.origins, &t->run->id);
	int64_t until;

	if (r == NULL || !t->graft || t->asked != LINK_NONE ||
	    ranges_newest(&r->covered) >= t->first || r->parent >= LINK_SLOTS ||
	    !s->n->links[r->parent].up)
		return false;
	until = r->fed_ms + pull_ask_after(s->n);
	if (until <= s->now)
		return false;
	wants_set_due(&s->n->gossip.wants, t, until);
	return true;
}

/* What to do about a want whose time has come (R10). */
static void decide(struct step *s, struct want *t, struct asks *asks)
{
	struct wants *w = &s->n->gossip.wants;
	link_set have = sources(s, t), next, sure;
	uint8_t slot;

	if (t->asked != LINK_NONE && (have & link_bit(t->asked)) != 0 &&
	    is_being_answered(s, t))
		return;
	if (comes_by_itself(s, t))
		return;
	unask(s, t);
	next = (link_set)(have & ~t->tried);
	if (have == 0) {
		on_hopeless(s, t);
	} else if (s->n->gossip.choked) {
		wants_set_due(w, t, s->now + ROUND_MS);
	} else if (next == 0) {
		t->tried = 0;
		t->rounds = (uint8_t)(t->rounds + (t->rounds < UINT8_MAX));
		wants_set_due(w, t, s->now + pause_of_round(t));
	} else {
		sure = (link_set)(next & t->announced);
		slot = draw_source(s, sure != 0 ? sure : next);
		if (slot != LINK_NONE) {
			ask(s, t, slot, asks);
		} else {
			wants_line_up(w, t);
			wants_set_due(w, t, s->now + limits(s->n)->ask_max_ms);
		}
	}
}

/* What a link announced was more than could be noted: once there is room it is
 * asked to say again what it has, by a getData for nothing. */
static void ask_again(struct step *s)
{
	const struct wants *w = &s->n->gossip.wants;

	for (uint8_t i = 0; i < LINK_SLOTS; i++) {
		struct link_state *l = &s->n->links[i];

		if (!l->up || !l->missed || s->now - l->again_ms < AGAIN_MS ||
		    w->made[i] > w->max / 2)
			continue;
		l->missed = false;
		l->again_ms = s->now;
		say(s, link_bit(i), MSG_GET_DATA);
		s->n->stats.getdata_sent++;
	}
}

/* --- what was not noted ----------------------------------------------- */

void pull_unnoted(struct step *s, uint8_t slot, const struct identity *run,
		  uint64_t first, uint64_t last)
{
	const struct wants *w = &s->n->gossip.wants;
	struct link_state *l;

	if (slot >= LINK_SLOTS)
		return; /* others will say that they have it */
	l = &s->n->links[slot];
	if (l->unnoted_n < UNNOTED_CAP && last - first < WINDOW &&
	    w->made[slot] < w->max)
		l->unnoted[l->unnoted_n++] =
			(struct range){ *run, first, last };
	else
		l->missed = true;
}

/* Wanted from the link that has it, as if it had announced it just now. */
static void note_unnoted(struct step *s, uint8_t slot)
{
	struct link_state *l = &s->n->links[slot];
	struct announcement a = { .link = slot, .due_ms = s->now };
	unsigned looks = LOOKS, kept = 0;

	if (s->now - l->unnoted_ms < UNNOTED_MS)
		return;
	l->unnoted_ms = s->now;
	for (unsigned i = 0; i < l->unnoted_n; i++) {
		const struct range *v = &l->unnoted[i];
		struct origin *r = origins_find(&s->n->gossip.origins, &v->run);

		if (!wants_announce(&s->n->gossip.wants, &v->run,
				    r != NULL ? &r->covered : NULL, v->first,
				    v->last, &a, &looks))
			l->unnoted[kept++] = *v;
	}
	l->unnoted_n = kept;
}

void pull_pump(struct step *s)
{
	struct wants *w = &s->n->gossip.wants;
	struct asks asks = { 0 };
	struct want *t;

	if (s->n->stopped)
		return;
	while ((t = wants_next(w)) != NULL && t->due_ms <= s->now)
		decide(s, t, &asks);
	say_all_asks(s, &asks);
}

/* A link has room in its window again: who waited in line may ask it. Who may
 * not goes to the end, so that nobody is looked at all the time. */
static void serve_line(struct step *s, uint8_t slot)
{
	struct wants *w = &s->n->gossip.wants;
	struct asks asks = { 0 };
	struct want *t, *turned = NULL;

	for (unsigned i = 0; i < LINE_LOOKS && room_of(s->n, slot) > 0; i++) {
		t = w->line;
		if (t == NULL || t == turned)
			break;
		wants_leave_line(w, t);
		if (sources(s, t) & ~t->tried & link_bit(slot)) {
			ask(s, t, slot, &asks);
			continue;
		}
		if (turned == NULL)
			turned = t;
		wants_line_up(w, t);
	}
	say_all_asks(s, &asks);
}

/* --- messages that came ----------------------------------------------- */

struct pulled pull_took(struct step *s, uint8_t slot, const struct identity *id,
			uint64_t seq, uint32_t bytes)
{
	struct wants *w = &s->n->gossip.wants;
	struct want *t = wants_find(w, id, seq);
	struct pulled p = { 0 };
	struct link_state *from;
	link_set who;
	uint64_t gone;
	uint8_t asked;

	if (t == NULL)
		return p;
	p.announced = t->announced;
	who = (link_set)(t->announced | t->guessed);
	asked = t->asked;
	p.graft = asked != LINK_NONE && asked == slot && t->graft;
	gone = wants_take(w, t, seq);
	if (gone > 1)
		note_forgotten(s, who);
	if (asked == LINK_NONE)
		return p;
	from = &s->n->links[asked];
	from->asked -= (unsigned)gone;
	if (asked == slot)
		from->brought += bytes > FLOW_FLOOR ? bytes : FLOW_FLOOR;
	if (w->line != NULL && room_of(s->n, asked) >= WINDOW / 2 &&
	    !s->n->gossip.choked)
		serve_line(s, asked);
	return p;
}

/* first .. last are between messages that came: what nobody announced of them
 * is asked of whoever brought the later one, in a while. What cannot even be
 * noted is lost. */
static void want_hole(struct step *s, struct origin *r, uint64_t first,
		      uint64_t last, uint8_t slot)
{
	struct wants *w = &s->n->gossip.wants;
	int64_t wait = HOLE_ASKS * pull_ask_after(s->n);
	struct announcement a = { .link = slot, .graft = true, .guess = true };
	unsigned looks = 1;
	struct span gap;

	if (last - first >= WIDEST) {
		close_hole(s, r, first, last - WIDEST);
		first = last - WIDEST + 1;
	}
	if (wait < limits(s->n)->hole_wait_ms)
		wait = limits(s->n)->hole_wait_ms;
	a.due_ms = s->now + wait;
	while (first <= last && wants_gap(w, &r->id, first, last, &gap)) {
		if (!wants_announce(w, &r->id, NULL, gap.first, gap.last, &a,
				    &looks))
			close_hole(s, r, gap.first, gap.last);
		first = gap.last + 1;
		looks = 1;
	}
}

void pull_live(struct step *s, struct origin *r, uint64_t seq, uint8_t slot)
{
	uint64_t newest = ranges_newest(&r->covered);
	uint64_t from = seq;
	struct span gap;

	if (r->live_from != 0)
		return;
	r->live_from = seq;
	/* Newer ones may have come before, as history. */
	while (from < newest && ranges_gap(&r->covered, from, newest, &gap)) {
		want_hole(s, r, gap.first, gap.last, slot);
		from = gap.last + 1;
	}
}

void pull_hole(struct step *s, struct origin *r, uint64_t seq, uint8_t slot)
{
	size_t i = r->covered.n;
	uint64_t below;

	while (i > 0 && r->covered.v[i - 1].first > seq)
		i--;
	if (i < 2 || r->live_from == 0 || r->covered.v[i - 1].first < seq)
		return;
	below = r->covered.v[i - 2].last;
	if (below >= r->live_from)
		want_hole(s, r, below + 1, seq - 1, slot);
}

/* --- announcements (R9) ----------------------------------------------- */

/* The newest part of what is announced. */
static uint64_t newest_part(const struct range *v)
{
	return v->last - v->first < WIDEST ? v->first : v->last - WIDEST + 1;
}

/* catch_up = no: what was said before we came counts as known. It is what the
 * first neighbor that holds anything announces, to its last part, and what
 * others announce meanwhile. */
static bool is_history(struct step *s, uint8_t slot, const struct msg_have *m)
{
	struct gossip *g = &s->n->gossip;

	if (limits(s->n)->catch_up || g->history_over || !m->all)
		return false;
	if (s->now > g->history_ms) {
		g->history_over = true;
		return false;
	}
	if (g->history_link == LINK_NONE && m->ranges.n > 0)
		g->history_link = slot;
	if (g->history_link == slot && !m->more)
		g->history_over = true;
	return true;
}

static void skip(struct step *s, const struct range *v)
{
	struct origin *r = gossip_record(s, &v->run);
	uint64_t first = newest_part(v);
	struct span closed;

	if (r == NULL ||
	    ranges_add(&r->covered, first, v->last, &closed) != ERR_OK)
		return;
	drop_within(s, &v->run, first, v->last);
	if (closed.first != 0)
		pull_lost(s, r, closed.first, closed.last);
	pull_hole(s, r, first, LINK_NONE);
}

/* Those that are sent it say so, too, but have it from us. */
static void note_heard(struct origin *r, uint8_t slot)
{
	if ((r->eager & link_bit(slot)) == 0)
		r->heard = (link_set)(r->heard | link_bit(slot));
}

void pull_on_have(struct step *s, uint8_t slot, const struct msg_have *m)
{
	struct announcement a = { .link = slot,
				  .graft = !m->all,
				  .due_ms = s->now };
	bool history = is_history(s, slot, m), bad = false, refused = false;
	unsigned looks = LOOKS;

	if (!m->all)
		a.due_ms += pull_ask_after(s->n);
	for (size_t i = 0; i < m->ranges.n; i++) {
		const struct range *v = &m->ranges.v[i];
		struct origin *r = origins_find(&s->n->gossip.origins, &v->run);

		if (r != NULL) {
			note_heard(r, slot);
			have_known(s, r, v->first, v->last, slot);
			settled_note(r, slot, v->first, v->last);
		}
		if (identity_equal(&v->run, &s->n->self))
			bad |= v->last > s->n->stats.published;
		else if (history)
			skip(s, v);
		else if (!wants_announce(&s->n->gossip.wants, &v->run,
					 r != NULL ? &r->covered : NULL,
					 newest_part(v), v->last, &a, &looks)) {
			refused = true;
			pull_unnoted(s, slot, &v->run, newest_part(v), v->last);
		}
	}
	s->n->stats.rejected += bad || refused;
	pull_pump(s);
}

void pull_on_not_found(struct step *s, uint8_t slot,
		       const struct range_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		wants_deny(&s->n->gossip.wants, &list->v[i].run,
			   list->v[i].first, list->v[i].last, slot, s->now);
	pull_pump(s);
}

/* --- links and time --------------------------------------------------- */

void pull_link_up(struct step *s)
{
	if (s->n->gossip.history_ms == 0)
		s->n->gossip.history_ms = s->now + HISTORY_MS;
}

void pull_link_down(struct step *s, uint8_t slot)
{
	struct gossip *g = &s->n->gossip;

	if (g->history_link == slot)
		g->history_over = true;
	wants_forget_link(&g->wants, slot, s->now);
	pull_pump(s);
}

void pull_tick(struct step *s)
{
	for (uint8_t i = 0; i < LINK_SLOTS; i++)
		if (s->n->links[i].up)
			note_unnoted(s, i);
	pull_pump(s);
	ask_again(s);
}

int64_t pull_deadline(const struct node *n)
{
	const struct want *t = wants_next(&n->gossip.wants);

	return t == NULL ? NEVER_MS : t->due_ms;
}
