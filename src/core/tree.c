/* Every run grows a tree of its own: which links are sent its messages at once
 * (eager), and which only hear of them (lazy; R7, R8, R11, R12).
 *
 * Delivery does not depend on anything here: what a link is not sent, it is
 * told of (have.c) and fetches (pull.c). This decides the cost alone. */
#include "core/node_impl.h"

#define ISLAND_MS 5000      /* a neighbor without neighbors counts after this */
#define FEED_AGAIN_MS 1000  /* there may be 65,536 runs to go through */
#define PRUNE_AGAIN_MS 1000 /* copies under way do not ask for a Prune each */
/* A copy flagged as a recovery is one if we asked so lately. */
#define ANSWER_MEMORY_MS 60000

static bool grows(const struct node *n)
{
	return n->config->gossip.tree;
}

link_set tree_usable(const struct node *n)
{
	return (link_set)(n->up & ~n->behind);
}

/* Links on which a run may become eager. */
static link_set willing(const struct step *s)
{
	struct node *n = s->n;

	for (uint8_t i = 0; n->lazy != 0 && i < LINK_SLOTS; i++)
		if (s->now >= n->links[i].lazy_until)
			n->lazy = (link_set)(n->lazy & ~link_bit(i));
	return (link_set)(tree_usable(n) & ~n->lazy);
}

link_set tree_eager(const struct step *s, const struct origin *r)
{
	return grows(s->n) ? (link_set)(r->eager & tree_usable(s->n))
			   : willing(s);
}

/* --- lists of runs for Graft and Prune -------------------------------- */

struct run_lists {
	enum message_type type;
	struct identity *v[LINK_SLOTS];
	size_t n[LINK_SLOTS];
};

static void say_runs(struct step *s, struct run_lists *l, uint8_t slot)
{
	struct message *m;

	if (l->n[slot] == 0)
		return;
	m = say(s, link_bit(slot), l->type);
	m->graft.runs = (struct run_list){ l->v[slot], l->n[slot] };
	if (l->type == MSG_GRAFT)
		s->n->stats.grafts++;
	else
		s->n->stats.prunes++;
	l->v[slot] = NULL;
	l->n[slot] = 0;
}

static void add_run(struct step *s, struct run_lists *l, uint8_t slot,
		    const struct identity *id)
{
	if (l->v[slot] == NULL)
		l->v[slot] = effects_room(s->out, RUNS_MAX * sizeof *id);
	if (l->v[slot] == NULL)
		return; /* lazily, then */
	l->v[slot][l->n[slot]++] = *id;
	if (l->n[slot] == RUNS_MAX)
		say_runs(s, l, slot);
}

static void say_all_runs(struct step *s, struct run_lists *l)
{
	for (uint8_t i = 0; i < LINK_SLOTS; i++)
		say_runs(s, l, i);
}

static void say_one_run(struct step *s, enum message_type type, uint8_t slot,
			const struct identity *id)
{
	struct identity *v = effects_room(s->out, sizeof *v);
	struct message *m;

	if (v == NULL)
		return;
	*v = *id;
	m = say(s, link_bit(slot), type);
	m->graft.runs = (struct run_list){ v, 1 };
}

/* --- bits ------------------------------------------------------------- */

/* R7: newcomers in a burst would pair up as islands; a link to somebody who
 * had no neighbors does not count at first. */
static bool counts_as_all(const struct step *s, uint8_t slot)
{
	const struct link_state *l = &s->n->links[slot];
	bool island =
		l->info.neighbors == 0 && s->now - l->info.since_ms < ISLAND_MS;

	return l->up && l->all && !island;
}

static bool has_all(const struct step *s)
{
	for (uint8_t i = 0; i < LINK_SLOTS; i++)
		if (counts_as_all(s, i))
			return true;
	return false;
}

void tree_plant(struct step *s, struct origin *r)
{
	for (uint8_t i = 0; i < LINK_SLOTS; i++)
		if (s->n->links[i].up && s->n->links[i].all)
			r->eager = (link_set)(r->eager | link_bit(i));
}

void tree_spread(struct step *s, struct origin *r)
{
	r->eager = willing(s);
}

/* Whoever grafts us is eager on his side, too: an old Prune is no longer in
 * force there. */
void tree_feed(struct step *s, struct origin *r, uint8_t slot)
{
	r->eager = (link_set)(r->eager | (link_bit(slot) & willing(s)));
	r->pruned = (link_set)(r->pruned & ~link_bit(slot));
}

static void feed_everything(struct step *s, uint8_t slot)
{
	struct link_state *l = &s->n->links[slot];
	struct origin *r;

	if ((willing(s) & link_bit(slot)) == 0 ||
	    (l->all && s->now - l->fed_ms < FEED_AGAIN_MS))
		return;
	l->all = true;
	l->fed_ms = s->now;
	for (r = s->n->gossip.origins.table; r != NULL; r = r->hh.next) {
		r->eager = (link_set)(r->eager | link_bit(slot));
		r->pruned = (link_set)(r->pruned & ~link_bit(slot));
	}
}

/* Send me everything, and I do as much for you. */
static void take_all(struct step *s, uint8_t slot)
{
	if (s->n->gossip.choked)
		return;
	feed_everything(s, slot);
	say(s, link_bit(slot), MSG_GRAFT)->graft.all = true;
	s->n->stats.grafts++;
}

static uint8_t draw(struct step *s, link_set from)
{
	unsigned count = 0, skip;

	for (uint8_t i = 0; i < LINK_SLOTS; i++)
		count += (from & link_bit(i)) != 0;
	if (count == 0)
		return LINK_NONE;
	skip = (unsigned)rng_below(&s->n->rng, count);
	for (uint8_t i = 0; i < LINK_SLOTS; i++)
		if ((from & link_bit(i)) != 0 && skip-- == 0)
			return i;
	return LINK_NONE;
}

/* R12: another link for the run: one that showed it has its messages by a way
 * of its own, if there is one. */
static uint8_t graft_elsewhere(struct step *s, struct origin *r,
			       link_set except)
{
	link_set from = (link_set)(willing(s) & ~except);
	link_set best = (link_set)(from & r->heard);
	uint8_t slot = draw(s, best != 0 ? best : from);

	if (slot == LINK_NONE || s->n->gossip.choked)
		return LINK_NONE;
	tree_feed(s, r, slot);
	return slot;
}

/* --- duplicates (R8), Graft, Prune (R11) ------------------------------ */

static bool asked_for(const struct step *s, uint8_t slot, uint8_t flags)
{
	return (flags & FRAME_RECOVERY) != 0 &&
	       s->now - s->n->links[slot].asked_ms < ANSWER_MEMORY_MS;
}

static bool active(const struct step *s, const struct origin *r)
{
	return s->now - r->active_ms < ACTIVE_MS;
}

/* The run lost its last link, or its parent: without one its messages would
 * wait for a Have each time. */
static void keep_connected(struct step *s, struct origin *r, link_set except)
{
	bool orphan = r->parent != LINK_NONE && (link_bit(r->parent) & except);
	uint8_t slot;

	if (orphan)
		r->parent = LINK_NONE;
	if ((!orphan && tree_eager(s, r) != 0) || !active(s, r))
		return;
	slot = graft_elsewhere(s, r, except);
	if (slot == LINK_NONE)
		return;
	say_one_run(s, MSG_GRAFT, slot, &r->id);
	s->n->stats.grafts++;
}

/* Was it told lately not to send this run? */
static bool is_told(struct step *s, struct origin *r, uint8_t slot)
{
	if (s->now - r->pruned_ms >= PRUNE_AGAIN_MS)
		r->pruned = 0;
	return (r->pruned & link_bit(slot)) != 0;
}

static void prune(struct step *s, struct origin *r, uint8_t slot)
{
	link_set bit = link_bit(slot);

	r->eager = (link_set)(r->eager & ~bit);
	if (is_told(s, r, slot))
		return;
	if (r->pruned == 0)
		r->pruned_ms = s->now;
	r->pruned = (link_set)(r->pruned | bit);
	say_one_run(s, MSG_PRUNE, slot, &r->id);
	s->n->stats.prunes++;
	keep_connected(s, r, bit);
}

/* The parent of a run stays for as long as it feeds it: of two links that do,
 * now the one is first and now the other, and were each pruned for its copies
 * nobody would bring anything. Another becomes the parent when the present one
 * has stopped, or comes that long behind it. */
static bool is_fed(const struct step *s, const struct origin *r)
{
	return r->parent < LINK_SLOTS && s->n->links[r->parent].up &&
	       s->now - r->fed_ms < pull_ask_after(s->n);
}

static void adopt(struct step *s, struct origin *r, uint8_t slot)
{
	if (r->parent != slot)
		r->rival = LINK_NONE;
	r->parent = slot;
	r->fed_ms = s->now;
	tree_feed(s, r, slot);
}

link_set tree_on_news(struct step *s, struct origin *r, uint8_t slot,
		      uint64_t seq)
{
	if (slot >= LINK_SLOTS)
		return 0;
	/* What was under way when it was told off is no reason to rely on it:
	 * nothing follows. */
	if (slot == r->parent || (!is_fed(s, r) && !is_told(s, r, slot))) {
		adopt(s, r, slot);
		return 0;
	}
	if (r->rival == LINK_NONE && !is_told(s, r, slot)) {
		r->rival = slot;
		r->race_seq = seq;
		r->race_ms = s->now;
	}
	/* It is under way from the parent, unless that has left it out. */
	return grows(s->n) && is_fed(s, r) && ranges_newest(&r->covered) == seq
		       ? link_bit(r->parent)
		       : 0;
}

/* A copy from the parent: by how much was the other one faster? */
static void end_race(struct step *s, struct origin *r, uint64_t seq)
{
	uint8_t rival = r->rival, parent = r->parent;

	r->fed_ms = s->now;
	if (rival == LINK_NONE || seq < r->race_seq)
		return;
	r->rival = LINK_NONE;
	if (s->now - r->race_ms < pull_ask_after(s->n)) {
		prune(s, r, rival);
	} else {
		adopt(s, r, rival);
		prune(s, r, parent);
	}
}

void tree_on_duplicate(struct step *s, struct origin *r, uint8_t slot,
		       uint64_t seq, uint8_t flags)
{
	if (!grows(s->n) || slot >= LINK_SLOTS || !s->n->links[slot].up ||
	    asked_for(s, slot, flags))
		return;
	if (slot == r->parent)
		end_race(s, r, seq);
	else
		prune(s, r, slot);
}

void tree_on_graft(struct step *s, uint8_t slot, const struct msg_graft *m)
{
	bool unknown = false;

	if (m->all)
		feed_everything(s, slot);
	for (size_t i = 0; i < m->runs.n; i++) {
		struct origin *r =
			origins_find(&s->n->gossip.origins, &m->runs.v[i]);

		if (r != NULL)
			tree_feed(s, r, slot);
		else
			unknown = true;
	}
	s->n->stats.rejected += unknown;
}

void tree_on_prune(struct step *s, uint8_t slot, const struct msg_graft *m)
{
	bool unknown = false;

	for (size_t i = 0; i < m->runs.n; i++) {
		struct origin *r =
			origins_find(&s->n->gossip.origins, &m->runs.v[i]);

		if (r == NULL) {
			unknown = true;
			continue;
		}
		r->eager = (link_set)(r->eager & ~link_bit(slot));
		keep_connected(s, r, link_bit(slot));
	}
	s->n->stats.rejected += unknown;
}

/* --- links come and go (R7, R12) -------------------------------------- */

void tree_link_up(struct step *s, uint8_t slot)
{
	if (grows(s->n) && !has_all(s))
		take_all(s, slot);
}

/* Newest first, and not more than are active: the others wait for a Have. */
static void regrow(struct step *s, uint8_t lost, bool gone)
{
	struct origin *oldest = s->n->gossip.origins.oldest, *r;
	struct run_lists grafts = { .type = MSG_GRAFT };

	if (oldest == NULL || willing(s) == 0)
		return;
	for (r = oldest->prev; active(s, r); r = r->prev) {
		uint8_t slot = LINK_NONE;

		if ((gone && r->parent == lost) || tree_eager(s, r) == 0)
			slot = graft_elsewhere(s, r, link_bit(lost));
		if (slot != LINK_NONE)
			add_run(s, &grafts, slot, &r->id);
		if (r == oldest)
			break;
	}
	say_all_runs(s, &grafts);
}

void tree_link_down(struct step *s, uint8_t slot)
{
	bool gone = !s->n->links[slot].up;
	link_set left = (link_set)~link_bit(slot);
	struct origin *r;
	uint8_t other;

	for (r = s->n->gossip.origins.table; r != NULL; r = r->hh.next) {
		r->eager &= left;
		r->heard &= left;
		r->pruned &= left;
	}
	s->n->links[slot].all = false;
	if (!grows(s->n) || s->n->stopped)
		return;
	regrow(s, slot, gone);
	for (r = s->n->gossip.origins.table; r != NULL; r = r->hh.next) {
		if (r->rival == slot)
			r->rival = LINK_NONE;
		if (gone && r->parent == slot)
			r->parent = LINK_NONE;
	}
	/* No Graft for that: it would close a loop in every run's tree. */
	other = has_all(s) ? LINK_NONE : draw(s, (link_set)(willing(s) & left));
	if (other != LINK_NONE)
		s->n->links[other].all = true;
}

/* --- when we cannot keep up ourselves --------------------------------- */

void tree_choke(struct step *s)
{
	struct run_lists prunes = { .type = MSG_PRUNE };
	struct origin *r;

	if (!grows(s->n))
		return;
	for (r = s->n->gossip.origins.table; r != NULL; r = r->hh.next) {
		if (r->pinned || !active(s, r))
			continue;
		for (uint8_t i = 0; i < LINK_SLOTS; i++)
			if (s->n->links[i].up)
				add_run(s, &prunes, i, &r->id);
		r->pruned = links_up(s->n);
		r->pruned_ms = s->now;
	}
	say_all_runs(s, &prunes);
}

unsigned tree_load(const struct step *s, uint8_t slot)
{
	struct origin *oldest = s->n->gossip.origins.oldest, *r;
	unsigned count = 0;

	if (oldest == NULL)
		return 0;
	for (r = oldest->prev; active(s, r); r = r->prev) {
		count += (r->eager & link_bit(slot)) != 0;
		if (r == oldest)
			break;
	}
	return count;
}
