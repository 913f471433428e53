#include "sim/traffic.h"

#include "sim/sim.h"
#include "wire/codec.h"

#include <stdlib.h>
#include <string.h>

#define HISTORY_MS 10000
#define PROBES 2 /* messages of each publisher after the stream (I6) */

void traffic_init(struct sim *s)
{
	const struct options *o = &s->options;
	struct traffic *t = &s->traffic;
	size_t cells = 64;

	rng_init(&t->rng, o->seed ^ 0x74726166);
	t->roles = o->publishers;
	t->max = (uint32_t)(o->messages + PROBES) * o->publishers;
	t->v = sim_alloc(t->max, sizeof *t->v);
	t->publishers = sim_alloc(t->roles, sizeof *t->publishers);
	t->text = sim_alloc(o->data_bytes + 1, 1);
	for (uint32_t i = 0; i < o->data_bytes; i++)
		t->text[i] = (uint8_t)('a' + i % 26);
	while (cells < 2 * (size_t)t->max)
		cells *= 2;
	t->numbers = sim_alloc(cells, sizeof *t->numbers);
	memset(t->numbers, 0xff, cells * sizeof *t->numbers);
	t->mask = cells - 1;
	t->left = o->messages * o->publishers;
}

void traffic_free(struct sim *s)
{
	struct traffic *t = &s->traffic;

	for (uint32_t i = 0; i < t->n; i++)
		frame_release(t->v[i].frame);
	free(t->v);
	free(t->publishers);
	free(t->text);
	free(t->numbers);
}

size_t traffic_words(const struct sim *s)
{
	return s->traffic.max / 64 + 1;
}

/* --- frames and their numbers ----------------------------------------- */

/* Where the table has, or would have, this frame. Which cell that is depends
 * on memory, but nobody ever walks over the cells. */
static size_t cell_of(const struct traffic *t, const struct frame *f)
{
	size_t i = ((uintptr_t)f >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 20 &
		   t->mask;

	while (t->numbers[i] != NOBODY && t->v[t->numbers[i]].frame != f)
		i = (i + 1) & t->mask;
	return i;
}

uint32_t traffic_number(struct sim *s, const struct frame *f)
{
	uint32_t number = s->traffic.numbers[cell_of(&s->traffic, f)];

	if (number != NOBODY)
		return number;
	check_failed(s, "effects", "a frame that nobody published");
	return 0;
}

bool traffic_decode(struct sim *s, uint32_t number, struct message *out)
{
	const struct frame *f = s->traffic.v[number].frame;
	const char *why = "";

	if (codec_decode(f->body, f->body_bytes, out, &why) == ERR_OK)
		return true;
	check_failed(s, "codec", "a Message that cannot be decoded: %s", why);
	return false;
}

/* --- publishing ------------------------------------------------------- */

static void encode(struct sim *s, struct published *m, uint64_t seq)
{
	struct traffic *t = &s->traffic;

	m->msg.type = MSG_MESSAGE;
	m->msg.message = (struct msg_message){
		.origin = peers_identity(&s->peers.v[m->origin]),
		.seq = seq,
		.time_ms = (int64_t)SIM_EPOCH_MS + sim_now(s),
		.data = t->text,
		.data_bytes = s->options.data_bytes,
	};
	if (codec_encode(&m->msg, &m->frame) != ERR_OK)
		abort();
}

void traffic_publish(struct sim *s, uint32_t peer)
{
	struct traffic *t = &s->traffic;
	struct peer *p = &s->peers.v[peer];
	struct published *m = &t->v[t->n];
	struct event ev = { .kind = EV_PUBLISH };
	uint32_t number = t->n;

	if (t->n == t->max)
		return;
	m->origin = peer;
	m->at_ms = m->last_ms = sim_now(s);
	m->first = node_next_seq(p->node) == 1;
	m->after = s->faults.look_from_ms > 0;
	t->after.messages += m->after;
	encode(s, m, node_next_seq(p->node));
	t->n++;
	t->numbers[cell_of(t, m->frame)] = number;
	p->said =
		sim_grow(p->said, &p->said_cap, p->said_n + 1, sizeof *p->said);
	p->said[p->said_n++] = number;
	traffic_mark(p->got, number);
	ev.publish.frame = m->frame;
	ev.publish.msg = &m->msg.message;
	peers_step(s, peer, &ev, &(struct about){ NOBODY, number, 0 });
}

/* Who has that part; another when he has ended. Nobody publishes while he is
 * paused: somebody else speaks for him. */
static uint32_t speaker(struct sim *s, uint32_t role)
{
	struct traffic *t = &s->traffic;
	const struct peer *p = &s->peers.v[t->publishers[role]];

	if (p->state == PEER_RUNS && !p->leaving)
		return t->publishers[role];
	if (p->state != PEER_PAUSED) {
		t->publishers[role] = peers_draw(s, &t->rng);
		return t->publishers[role];
	}
	return peers_draw(s, &t->rng);
}

static void plan(struct sim *s, int64_t at_ms)
{
	struct item it = { .kind = ITEM_PUBLISH };

	queue_push(&s->queue, at_ms, &it);
}

void traffic_publish_due(struct sim *s)
{
	struct traffic *t = &s->traffic;
	uint32_t peer;

	if (t->left == 0 || s->peers.alive_n == 0)
		return;
	t->left--;
	peer = speaker(s, t->turn);
	t->turn = (t->turn + 1) % t->roles;
	if (peer != NOBODY)
		traffic_publish(s, peer);
	t->next_ms += t->gap_ms;
	if (t->gap_ms > 0)
		plan(s, (int64_t)t->next_ms);
}

void traffic_warm(struct sim *s, int64_t ms)
{
	struct traffic *t = &s->traffic;

	for (uint32_t i = 0; i < t->roles; i++) {
		uint32_t k = i * s->peers.alive_n / t->roles;

		t->publishers[i] = s->peers.alive[k];
	}
	for (uint32_t i = 0; i < t->roles && t->left > 0; i++)
		plan(s, sim_now(s) + ms * (i + 1) / (t->roles + 1));
}

void traffic_stream(struct sim *s)
{
	struct traffic *t = &s->traffic;

	t->gap_ms = 1000 / s->options.rate;
	t->next_ms = (double)sim_now(s);
	plan(s, sim_now(s));
}

int64_t traffic_stream_ms(const struct sim *s)
{
	return (int64_t)((double)s->traffic.left * 1000 / s->options.rate);
}

/* --- what it costs ---------------------------------------------------- */

void traffic_sent(struct sim *s, uint32_t body_bytes)
{
	s->traffic.cost.bytes += FRAME_HEAD_BYTES + body_bytes;
	s->traffic.busy_ms = sim_now(s);
}

void traffic_said(struct sim *s, const struct message *m, uint32_t bytes)
{
	struct cost *c = &s->traffic.cost;
	/* Renewals bring new links, which are told of all, for ever. */
	bool upkeep = m->type == MSG_GRAFT || m->type == MSG_PRUNE ||
		      (m->type == MSG_HAVE && m->have.all);

	switch (m->type) {
	case MSG_HAVE:
		c->have++;
		break;
	case MSG_GET_DATA:
		c->get_data++;
		break;
	case MSG_NOT_FOUND:
		c->not_found++;
		break;
	case MSG_GRAFT:
		c->graft++;
		break;
	case MSG_PRUNE:
		c->prune++;
		break;
	default:
		return;
	}
	c->bytes += bytes;
	if (!upkeep)
		s->traffic.busy_ms = sim_now(s);
}

void traffic_copy(struct sim *s, uint32_t number)
{
	struct traffic *t = &s->traffic;
	const struct published *m = &t->v[number];

	t->cost.copies++;
	t->cost.copies_first += m->first;
	t->after.copies += m->after && !m->first;
}

/* --- what comes of it ------------------------------------------------- */

static void note_live(struct sim *s, struct peer *p, struct published *m)
{
	struct traffic *t = &s->traffic;
	int64_t ms = sim_now(s) - m->at_ms;

	t->hist[ms < HIST_MS ? ms : HIST_MS]++;
	if (ms > t->max_ms)
		t->max_ms = ms;
	if (m->after) {
		t->after.hist[ms < HIST_MS ? ms : HIST_MS]++;
		if (ms > t->after.max_ms)
			t->after.max_ms = ms;
	}
	m->last_ms = sim_now(s);
	if (m == &t->v[p->first_owed])
		p->first_ms = ms;
}

void traffic_deliver(struct sim *s, uint32_t peer, uint32_t number,
		     uint8_t hops)
{
	struct traffic *t = &s->traffic;
	struct peer *p = &s->peers.v[peer];
	struct published *m = &t->v[number];

	if (traffic_has(p->got, number)) {
		t->duplicates++;
		check_failed(s, "I3", "peer %u delivers message %u again", peer,
			     number);
		return;
	}
	traffic_mark(p->got, number);
	m->spread = true;
	t->deliveries++;
	if (hops > t->max_hops)
		t->max_hops = hops;
	t->deliveries_first += m->first;
	t->after.deliveries += m->after && !m->first;
	if (number >= p->first_owed) {
		note_live(s, p, m);
	} else {
		t->caught_up++;
		p->caught_ms = sim_now(s);
	}
}

static bool neighbor_holds(struct sim *s, uint32_t peer, uint32_t number)
{
	const struct peer *p = &s->peers.v[peer];

	for (uint8_t i = 0; i < LINK_SLOTS; i++) {
		const struct conn *c;
		unsigned far;

		if ((p->links & 1u << i) == 0)
			continue;
		c = &s->net.v[p->conn[i]];
		far = !net_side(s, p->conn[i], peer, i);
		if (c->side[far].state == SIDE_LINKED &&
		    check_holds(s, c->side[far].peer, number))
			return true;
	}
	return false;
}

void traffic_lost(struct sim *s, uint32_t peer, const struct range *r)
{
	struct peer *p = &s->peers.v[peer];
	uint32_t origin = peers_of_run(s, &r->run);
	const struct peer *o;

	s->traffic.reported_lost += r->last - r->first + 1;
	if (origin == NOBODY)
		return;
	o = &s->peers.v[origin];
	if (p->waived == NULL)
		p->waived = sim_alloc(traffic_words(s), sizeof *p->waived);
	if (p->hasty == NULL)
		p->hasty = sim_alloc(traffic_words(s), sizeof *p->hasty);
	for (uint64_t q = r->first; q <= r->last && q <= o->said_n; q++) {
		traffic_mark(p->waived, o->said[q - 1]);
		if (neighbor_holds(s, peer, o->said[q - 1]))
			traffic_mark(p->hasty, o->said[q - 1]);
	}
}

/* --- the account ------------------------------------------------------ */

static unsigned bits(uint64_t w)
{
	return (unsigned)__builtin_popcountll(w);
}

static void look_at_missing(struct sim *s, uint32_t peer, size_t word,
			    uint64_t missing, uint32_t first,
			    struct account *out)
{
	const uint64_t *waived = s->peers.v[peer].waived;
	const uint64_t *hasty = s->peers.v[peer].hasty;

	for (unsigned b = 0; b < 64; b++) {
		uint32_t number = (uint32_t)(word * 64 + b);

		if ((missing >> b & 1) == 0 || !neighbor_holds(s, peer, number))
			continue;
		if (waived != NULL && traffic_has(waived, number) &&
		    !traffic_has(hasty, number))
			continue; /* it came to the neighbor later */
		else if (waived != NULL && traffic_has(waived, number))
			out->wrong++;
		else if (number >= first)
			out->lost++;
		else if (s->config.gossip.catch_up)
			out->behind++;
		else
			continue; /* history that it does not want */
		out->peer = peer;
		out->number = number;
	}
}

/* catch_up = no: what is said while the history still comes is history. */
static uint32_t first_owed(const struct sim *s, const struct peer *p)
{
	const struct traffic *t = &s->traffic;
	uint32_t first = p->first_owed;

	while (!s->config.gossip.catch_up && first < t->n &&
	       t->v[first].at_ms <= p->linked_ms + HISTORY_MS)
		first++;
	return first;
}

static void account_peer(struct sim *s, uint32_t peer, const uint64_t *any,
			 struct account *out)
{
	const struct peer *p = &s->peers.v[peer];
	uint32_t number = first_owed(s, p);
	size_t first = number / 64;

	if (p->linked_ms < 0)
		return;
	for (size_t w = 0; w < traffic_words(s); w++) {
		uint64_t missing = any[w] & ~p->got[w];
		uint64_t owed = w < first ? 0 : any[w];

		if (w == first)
			owed &= UINT64_MAX << number % 64;
		out->owed += bits(owed);
		out->delivered += bits(owed & p->got[w]);
		if (missing != 0)
			look_at_missing(s, peer, w, missing, number, out);
	}
}

void traffic_account(struct sim *s, struct account *out)
{
	const struct peers *all = &s->peers;
	size_t words = traffic_words(s);
	uint64_t *any = sim_alloc(words, sizeof *any);

	*out = (struct account){ 0 };
	for (uint32_t i = 0; i < all->alive_n; i++)
		for (size_t w = 0; w < words; w++)
			any[w] |= all->v[all->alive[i]].got[w];
	for (uint32_t i = 0; i < s->traffic.n; i++) {
		if (traffic_has(any, i))
			continue;
		out->orphans++;
		out->dropped += all->v[s->traffic.v[i].origin].taken;
	}
	for (uint32_t i = 0; i < all->alive_n; i++)
		account_peer(s, all->alive[i], any, out);
	free(any);
}
