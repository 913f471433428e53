/* Answering getData (R11): what is held is sent, flagged as a recovery, the
 * rest is Not Found.
 *
 * At most ANSWER_MESSAGES or ANSWER_BYTES are queued on a link before it has
 * drained; the rest of a question waits here as ranges, at most ANSWER_RANGES
 * for a link. Who asks for more than that asks again. */
#include "core/node_impl.h"

#include <stdlib.h>
#include <string.h>

#define ANSWER_MESSAGES 256
#define ANSWER_BYTES 1048576
#define ANSWER_RANGES RANGES_MAX /* what one getData can name */

static bool full(const struct answers *a)
{
	return a->messages >= ANSWER_MESSAGES || a->bytes >= ANSWER_BYTES;
}

static void send_stored(struct step *s, uint8_t slot, const struct stored *held)
{
	struct answers *a = &s->n->links[slot].answers;

	gossip_send(s, link_bit(slot), held->frame, FRAME_RECOVERY, held->hops);
	a->messages++;
	a->bytes += held->frame->body_bytes;
}

/* --- the queue -------------------------------------------------------- */

static bool reserve(struct answers *a, size_t more)
{
	size_t cap = a->n + more;
	struct range *v;

	if (a->first > 0)
		memmove(a->v, a->v + a->first, a->n * sizeof *v);
	a->first = 0;
	if (cap <= a->cap)
		return true;
	v = realloc(a->v, cap * sizeof *v);
	if (v == NULL)
		return false;
	a->v = v;
	a->cap = cap;
	return true;
}

static bool same_range(const struct range *a, const struct range *b)
{
	return a->first == b->first && a->last == b->last &&
	       identity_equal(&a->run, &b->run);
}

/* Whoever asks for the same again while it waits gets it once: what waited
 * before the question, and the range just before it. The 800 ranges of a
 * question are not all compared with one another: that would take longer than
 * answering them. */
static bool waits(const struct answers *a, size_t before, const struct range *r)
{
	const struct range *v = a->v + a->first;

	for (size_t i = 0; i < before; i++)
		if (same_range(&v[i], r))
			return true;
	return a->n > before && same_range(&v[a->n - 1], r);
}

static void queue(struct step *s, uint8_t slot, const struct range_list *list)
{
	struct answers *a = &s->n->links[slot].answers;
	size_t room = ANSWER_RANGES - a->n, before = a->n;
	size_t n = list->n < room ? list->n : room;

	if (!reserve(a, n))
		n = 0;
	if (n < list->n)
		s->n->stats.rejected++;
	for (size_t i = 0; i < n; i++)
		if (!waits(a, before, &list->v[i]))
			a->v[a->n++] = list->v[i];
}

/* --- what is missing -------------------------------------------------- */

/* The ranges of one Not Found, collected while answering. */
struct missing {
	uint8_t slot;
	struct range *v;
	size_t n;
};

static void say_missing(struct step *s, struct missing *m)
{
	struct message *reply;

	if (m->n == 0)
		return;
	reply = say(s, link_bit(m->slot), MSG_NOT_FOUND);
	reply->not_found.ranges = (struct range_list){ m->v, m->n };
	m->v = NULL;
	m->n = 0;
}

static void miss(struct step *s, struct missing *m, const struct identity *run,
		 uint64_t first, uint64_t last)
{
	if (m->v == NULL)
		m->v = effects_room(s->out, RANGES_MAX * sizeof *m->v);
	if (m->v == NULL)
		return; /* they will ask somebody else for want of an answer */
	m->v[m->n++] = (struct range){ *run, first, last };
	if (m->n == RANGES_MAX)
		say_missing(s, m);
}

/* --- answering -------------------------------------------------------- */

/* Sends the messages of a held stretch; returns the seq it stopped before. */
static uint64_t send_stretch(struct step *s, struct missing *m,
			     const struct origin *r, const struct span *held)
{
	struct store *st = &s->n->gossip.store;
	uint64_t seq;

	for (seq = held->first; seq <= held->last; seq++) {
		const struct stored *e = store_by_seq(st, r, seq);

		if (full(&s->n->links[m->slot].answers))
			break;
		if (e != NULL)
			send_stored(s, m->slot, e);
		else
			miss(s, m, &r->id, seq, seq);
	}
	return seq;
}

/* Answers the range from its start; false, and the range cut to what is left,
 * when the link has had enough. */
static bool answer_range(struct step *s, struct missing *m, struct range *want)
{
	const struct origin *r =
		origins_find(&s->n->gossip.origins, &want->run);
	struct span held;

	while (want->first <= want->last) {
		if (full(&s->n->links[m->slot].answers))
			return false;
		if (r == NULL ||
		    !ranges_overlap(&r->held, want->first, want->last, &held)) {
			miss(s, m, &want->run, want->first, want->last);
			return true;
		}
		if (held.first > want->first)
			miss(s, m, &want->run, want->first, held.first - 1);
		want->first = send_stretch(s, m, r, &held);
	}
	return true;
}

static void answer(struct step *s, uint8_t slot)
{
	struct answers *a = &s->n->links[slot].answers;
	struct missing m = { .slot = slot };

	if ((s->n->behind & link_bit(slot)) != 0)
		return; /* when it has drained */
	while (a->n > 0 && answer_range(s, &m, &a->v[a->first])) {
		a->first++;
		a->n--;
	}
	say_missing(s, &m);
	if (full(a))
		gossip_watch(s, slot);
	if (a->n > 0)
		return;
	free(a->v);
	a->v = NULL;
	a->first = a->cap = 0;
}

static void answer_id(struct step *s, uint8_t slot, const struct hash *id)
{
	const struct stored *held = store_by_id(&s->n->gossip.store, id);
	struct message *m;

	if (held != NULL) {
		struct range r = { held->run->id, held->seq, held->seq };

		queue(s, slot, &(struct range_list){ &r, 1 });
		answer(s, slot);
		return;
	}
	m = say(s, link_bit(slot), MSG_NOT_FOUND);
	m->not_found.has_id = true;
	m->not_found.id = *id;
}

void answer_more(struct step *s, uint8_t slot)
{
	struct answers *a = &s->n->links[slot].answers;

	a->messages = a->bytes = 0;
	answer(s, slot);
}

void answer_get_data(struct step *s, uint8_t slot, const struct msg_get_data *m)
{
	bool unknown = false;

	if (m->has_id) {
		answer_id(s, slot, &m->id);
		return;
	}
	if (m->ranges.n == 0) {
		have_again(s, slot);
		return;
	}
	for (size_t i = 0; m->graft && i < m->ranges.n; i++) {
		struct origin *r = origins_find(&s->n->gossip.origins,
						&m->ranges.v[i].run);

		if (r != NULL)
			tree_feed(s, r, slot);
		else
			unknown = true;
	}
	s->n->stats.rejected += unknown;
	queue(s, slot, &m->ranges);
	answer(s, slot);
}
