#include "node_fixture.h"

#include "base/rng.h"

static size_t peers(struct addr *out, unsigned from, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out[i] = number_addr(from + (unsigned)i);
	return n;
}

static struct effect dial_at(const struct fixture *f, size_t nth)
{
	const struct effect *e = effect_at(f, EF_DIAL, nth);

	assert_non_null(e);
	return *e;
}

/* Joined, nobody listed, and `links` neighbors that dialed: 0, 1, 2 ... */
static struct fixture *fixture_linked(unsigned links)
{
	struct fixture *f = fixture_new(1);

	join(f, NULL, 0);
	for (unsigned i = 0; i < links; i++)
		link_up(f, i);
	return f;
}

/* Joined with one listed peer, and the dial to it. */
static struct fixture *fixture_dialing(unsigned number, struct effect *dial)
{
	struct fixture *f = fixture_new(1);
	struct addr a = number_addr(number);

	join(f, &a, 1);
	*dial = dial_at(f, 0);
	return f;
}

/* --- R1: dialing --------------------------------------------------------- */

static void four_of_the_listed_are_dialed_at_random(void **state)
{
	bool dialed[10] = { false };
	struct addr a[10];

	(void)state;
	for (uint64_t i = 0; i < 40; i++) {
		struct fixture *f = fixture_new(1);

		fixture_renew(f, i);
		join(f, a, peers(a, 0, 10));
		assert_int_equal(effect_count(f, EF_DIAL), 4);
		for (size_t k = 0; k < 4; k++) {
			struct effect e = dial_at(f, k);

			assert_true(identity_equal(&e.dial.request.id,
						   node_self(f->node)));
			assert_false(e.dial.request.urgent);
			dialed[e.dial.to.port - 1000] = true;
		}
		fixture_free(f);
	}
	for (size_t i = 0; i < 10; i++)
		assert_true(dialed[i]);
}

static void it_dials_on_until_four_own_links_are_up(void **state)
{
	struct fixture *f = fixture_new(1);
	uint32_t open[16];
	size_t n = 0, next = 0;
	unsigned up = 0;
	struct addr a[12];

	(void)state;
	join(f, a, peers(a, 0, 12));
	link_up(f, 100); /* links that others dialed do not count yet */
	link_up(f, 101);
	for (size_t i = 0; i < 4; i++)
		open[n++] = f->node->overlay.dials[i].id;
	while (next < n) {
		struct effect e = { 0 };
		struct identity id = number_id(0);

		for (unsigned i = 0; i < DIALS_CAP; i++)
			if (f->node->overlay.dials[i].used &&
			    f->node->overlay.dials[i].id == open[next])
				id.addr = f->node->overlay.dials[i].to.addr;
		if (next++ % 2 == 0) {
			dial_fails(f, open[next - 1], DIAL_FAILED);
		} else {
			dial_accepted(f, open[next - 1], &id);
			up++;
		}
		for (size_t k = 0; k < effect_count(f, EF_DIAL); k++) {
			e = dial_at(f, k);
			open[n++] = e.dial.id;
		}
	}
	assert_int_equal(up, 4);
	assert_int_equal(links_count(f->node), 6);
	assert_int_equal(effect_count(f, EF_SETTLED), 1);
	fixture_free(f);
}

static void it_never_dials_itself_a_wildcard_or_a_neighbor(void **state)
{
	struct fixture *f = fixture_new(1);
	struct addr a[4];

	(void)state;
	a[0] = number_addr(SELF);
	a[1] = number_addr(1);
	a[2] = number_addr(2);
	memset(a[2].ip, 0, sizeof a[2].ip);
	a[3] = number_addr(3);
	start(f);
	link_up(f, 1);
	seed_lists(f, (struct question){ 0, ASK_REGISTER }, a, 4);
	assert_int_equal(effect_one(f, EF_DIAL)->dial.to.port, 1003);
	fixture_free(f);
}

static void who_turns_out_to_be_myself_is_not_dialed_again(void **state)
{
	struct effect dial;
	struct fixture *f = fixture_dialing(1, &dial);
	struct msg_peer_reply r = { .verdict = PEER_SELF,
				    .id = number_id(SELF) };
	struct addr a = number_addr(1);
	struct identity id = number_id(1);

	(void)state;
	dial_replies(f, dial.dial.id, &r);
	assert_int_equal(effect_count(f, EF_REFUSE), 1);
	assert_true(tick_until(f, EF_SEED, 1000));
	seed_lists(f, (struct question){ 0, ASK_LIST }, &a, 1);
	assert_int_equal(effect_count(f, EF_DIAL), 0);
	request(f, &id);
	assert_int_equal(verdict(f), PEER_SELF);
	fixture_free(f);
}

static void a_dial_that_the_shell_lost_is_given_up(void **state)
{
	struct effect dial;
	struct fixture *f = fixture_dialing(1, &dial);
	struct identity id = number_id(1);

	(void)state;
	assert_true(tick_until(f, EF_SETTLED, 6000));
	assert_int_equal(f->now, START_MS + 6000);
	/* Its late success is declined, so that the far end knows. */
	dial_accepted(f, dial.dial.id, &id);
	assert_int_equal(effect_one(f, EF_REFUSE)->conn, f->conns);
	assert_int_equal(links_count(f->node), 0);
	fixture_free(f);
}

static void a_failed_late_dial_is_nothing(void **state)
{
	struct fixture *f = fixture_linked(1);

	(void)state;
	dial_fails(f, 77, DIAL_REFUSED);
	assert_int_equal(f->fx.n, 0);
	fixture_free(f);
}

static void too_many_candidates_replace_older_ones(void **state)
{
	struct fixture *f = fixture_new(1);
	struct addr a[200];

	(void)state;
	join(f, a, peers(a, 0, 200));
	assert_int_equal(f->node->overlay.candidate_count, 64 - 4);
	fixture_free(f);
}

/* --- R3: being asked ----------------------------------------------------- */

static void somebody_new_is_accepted_and_told_who_we_are(void **state)
{
	struct fixture *f = fixture_linked(0);
	struct identity id = number_id(1);
	const struct effect *e;

	(void)state;
	request_full(f, &id, 3, false);
	e = effect_one(f, EF_VERDICT);
	assert_int_equal(verdict(f), PEER_ACCEPTED);
	assert_true(identity_equal(&e->say.peer_reply.id, node_self(f->node)));
	assert_int_equal(e->say.peer_reply.neighbors, 1);
	assert_int_equal(e->say.peer_reply.redirect.n, 0);
	assert_int_equal(f->node->links[e->link].info.neighbors, 3);
	assert_false(f->node->links[e->link].info.dialed);
	fixture_free(f);
}

static void my_own_request_is_answered_with_self(void **state)
{
	struct fixture *f = fixture_linked(0);
	struct identity id = number_id(SELF);

	(void)state;
	assert_int_equal(request(f, &id), LINK_NONE);
	assert_int_equal(verdict(f), PEER_SELF);
	fixture_free(f);
}

static void twelve_links_are_enough(void **state)
{
	struct fixture *f = fixture_linked(12);
	struct identity id = number_id(3000);
	const struct msg_peer_reply *r;

	(void)state;
	assert_int_equal(links_count(f->node), 12);
	assert_int_equal(request(f, &id), LINK_NONE);
	assert_int_equal(verdict(f), PEER_BUSY);
	r = &effect_one(f, EF_VERDICT)->say.peer_reply;
	assert_int_equal(r->redirect.n, 6);
	for (size_t i = 0; i < 6; i++) {
		assert_in_range(r->redirect.v[i].port, 1000, 1011);
		for (size_t k = 0; k < i; k++)
			assert_false(addr_equal(&r->redirect.v[i],
						&r->redirect.v[k]));
	}
	fixture_free(f);
}

static void a_second_link_while_young_follows_the_tie_break(void **state)
{
	struct fixture *f = fixture_linked(0);
	struct identity small = number_id(1), large = number_id(900);
	struct addr a[2] = { small.addr, large.addr };
	uint8_t slot;

	(void)state;
	assert_true(tick_until(f, EF_SEED, 1000));
	seed_lists(f, (struct question){ 0, ASK_LIST }, a, 2);
	for (unsigned i = 0; i < DIALS_CAP; i++) {
		const struct dial *d = &f->node->overlay.dials[i];
		struct identity id = { 7000, d->to.addr };

		if (d->used)
			dial_accepted(f, d->id, &id);
	}
	assert_int_equal(links_dialed(f->node), 2);
	/* I dialed both. The smaller identity's dial is the one that stays. */
	slot = links_by_addr(f->node, &small.addr);
	assert_int_equal(request(f, &small), slot);
	assert_int_equal(verdict(f), PEER_ACCEPTED);
	assert_int_equal(effect_one(f, EF_UNLINK)->unlink.bye, BYE_DUPLICATE);
	assert_int_equal(request(f, &large), LINK_NONE);
	assert_int_equal(verdict(f), PEER_DUPLICATE);
	/* The same dialer again: the newer stays. */
	slot = request(f, &small);
	assert_int_not_equal(slot, LINK_NONE);
	assert_int_equal(effect_one(f, EF_UNLINK)->unlink.bye, BYE_DUPLICATE);
	assert_int_equal(links_count(f->node), 2);
	fixture_free(f);
}

static void a_second_link_loses_against_one_that_is_not_young(void **state)
{
	struct fixture *f = fixture_linked(1);
	struct identity id = number_id(0);

	(void)state;
	f->now += 3000;
	assert_int_not_equal(request(f, &id), LINK_NONE);
	f->now += 3001;
	assert_int_equal(request(f, &id), LINK_NONE);
	assert_int_equal(verdict(f), PEER_DUPLICATE);
	assert_int_equal(links_count(f->node), 1);
	fixture_free(f);
}

static void a_smaller_incarnation_is_a_duplicate(void **state)
{
	struct fixture *f = fixture_linked(1);
	struct identity id = { .incarnation = 6999, .addr = number_addr(0) };

	(void)state;
	assert_int_equal(request(f, &id), LINK_NONE);
	assert_int_equal(verdict(f), PEER_DUPLICATE);
	assert_int_equal(effect_count(f, EF_DIAL), 0);
	fixture_free(f);
}

static struct fixture *fixture_with_claim(struct effect *dial)
{
	struct fixture *f = fixture_linked(4);
	struct identity id = { .incarnation = 7001, .addr = number_addr(0) };

	f->now += 10000;
	assert_int_equal(request(f, &id), LINK_NONE);
	assert_int_equal(verdict(f), PEER_BUSY);
	*dial = dial_at(f, 0);
	assert_true(addr_equal(&dial->dial.to, &id.addr));
	assert_int_equal(links_count(f->node), 4);
	/* One check at a time is enough. */
	assert_int_equal(request(f, &id), LINK_NONE);
	assert_int_equal(effect_count(f, EF_DIAL), 0);
	return f;
}

static void
a_larger_incarnation_is_dialed_before_it_replaces_a_link(void **state)
{
	struct identity id = { .incarnation = 7001, .addr = number_addr(0) };
	struct effect dial;
	struct fixture *f = fixture_with_claim(&dial);

	(void)state;
	dial_accepted(f, dial.dial.id, &id);
	assert_int_equal(effect_count(f, EF_UNLINK), 1);
	assert_int_equal(effect_count(f, EF_ADOPT), 1);
	assert_int_equal(links_count(f->node), 4);
	assert_int_equal(f->node->links[links_by_addr(f->node, &id.addr)]
				 .info.id.incarnation,
			 7001);
	fixture_free(f);
}

static void a_false_claim_of_a_newer_run_changes_nothing(void **state)
{
	static const enum peer_verdict says[] = { PEER_DUPLICATE, PEER_BUSY,
						  PEER_ACCEPTED };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(says); i++) {
		struct effect dial;
		struct fixture *f = fixture_with_claim(&dial);
		struct msg_peer_reply r = { .verdict = says[i],
					    .id = number_id(0) };

		dial_replies(f, dial.dial.id, &r);
		assert_int_equal(effect_count(f, EF_UNLINK), 0);
		assert_int_equal(effect_count(f, EF_REFUSE), 1);
		assert_int_equal(links_count(f->node), 4);
		fixture_free(f);
	}
}

static void an_older_run_that_answers_replaces_nobody(void **state)
{
	struct effect dial;
	struct fixture *f = fixture_dialing(900, &dial);
	struct identity id = { .incarnation = 6999, .addr = number_addr(900) };

	(void)state;
	link_up(f, 900);
	dial_accepted(f, dial.dial.id, &id);
	assert_int_equal(effect_count(f, EF_UNLINK), 0);
	assert_int_equal(effect_one(f, EF_REFUSE)->unlink.bye, BYE_DUPLICATE);
	fixture_free(f);
}

/* The one who was dialed says it is a newer run of my neighbor elsewhere. */
static void a_stranger_cannot_take_the_place_of_a_neighbor(void **state)
{
	struct effect dial;
	struct fixture *f = fixture_dialing(1, &dial);
	struct identity id = { .incarnation = 9000, .addr = number_addr(0) };
	uint8_t slot = link_up(f, 0);

	(void)state;
	f->now += 10000;
	dial_accepted(f, dial.dial.id, &id);
	assert_int_equal(effect_count(f, EF_UNLINK), 0);
	assert_int_equal(effect_count(f, EF_REFUSE), 1);
	assert_int_equal(f->node->links[slot].info.id.incarnation, 7000);
	fixture_free(f);
}

static void room_is_made_for_the_urgent_once_in_ten_seconds(void **state)
{
	struct fixture *f = fixture_linked(12);
	struct identity a = number_id(200), b = number_id(201);

	(void)state;
	assert_int_equal(request_full(f, &a, 0, false), LINK_NONE);
	assert_int_not_equal(request_full(f, &a, 0, true), LINK_NONE);
	assert_int_equal(effect_one(f, EF_UNLINK)->unlink.bye, BYE_BUSY);
	assert_int_equal(links_count(f->node), 12);
	f->now += 9999;
	assert_int_equal(request_full(f, &b, 0, true), LINK_NONE);
	assert_int_equal(verdict(f), PEER_BUSY);
	f->now += 1;
	assert_int_not_equal(request_full(f, &b, 0, true), LINK_NONE);
	fixture_free(f);
}

static void own_dials_make_no_room_for_the_urgent(void **state)
{
	struct fixture *f = fixture_linked(12);
	struct identity a = number_id(200);

	(void)state;
	for (unsigned i = 0; i < LINK_SLOTS; i++)
		f->node->links[i].info.dialed = i != 5;
	assert_int_not_equal(request_full(f, &a, 0, true), LINK_NONE);
	assert_int_equal(effect_one(f, EF_UNLINK)->link, 5);
	f->now += 20000;
	f->node->links[5].info.dialed = true;
	a = number_id(201);
	assert_int_equal(request_full(f, &a, 0, true), LINK_NONE);
	fixture_free(f);
}

static void only_a_lonely_peer_is_urgent_on_its_second_round(void **state)
{
	struct fixture *f = fixture_new(1);
	struct msg_peer_reply busy = { .verdict = PEER_BUSY,
				       .id = number_id(0) };
	uint32_t ids[4];
	struct addr a[4];

	(void)state;
	join(f, a, peers(a, 0, 4));
	for (size_t i = 0; i < 4; i++)
		ids[i] = dial_at(f, i).dial.id;
	for (size_t i = 0; i < 4; i++)
		dial_replies(f, ids[i], &busy);
	assert_true(tick_until(f, EF_SEED, 1000));
	seed_lists(f, (struct question){ 0, ASK_LIST }, a, 4);
	assert_int_equal(effect_count(f, EF_DIAL), 4);
	for (size_t i = 0; i < 4; i++) /* on one dial at a time */
		assert_int_equal(dial_at(f, i).dial.request.urgent, i == 0);
	fixture_free(f);
}

static void who_found_somebody_is_not_urgent_any_more(void **state)
{
	struct fixture *f = fixture_new(1);
	struct addr a[4];
	uint32_t ids[4];
	uint8_t slot;

	(void)state;
	join(f, NULL, 0);
	assert_true(tick_until(f, EF_SEED, 1000)); /* a lonely round */
	seed_lists(f, (struct question){ 0, ASK_LIST }, NULL, 0);
	assert_true(f->node->overlay.lonely_rounds > 0);
	slot = link_up(f, 9);
	assert_true(tick_until(f, EF_SEED, 60000));
	seed_lists(f, (struct question){ 0, ASK_LIST }, a, peers(a, 0, 4));
	assert_int_equal(effect_count(f, EF_DIAL), 3);
	for (size_t i = 0; i < 3; i++) {
		assert_false(dial_at(f, i).dial.request.urgent);
		ids[i] = dial_at(f, i).dial.id;
	}
	/* Alone again: that is a first round. */
	for (size_t i = 0; i < 3; i++)
		dial_fails(f, ids[i], DIAL_REFUSED);
	link_down(f, slot, DOWN_RESET);
	for (size_t i = 0; i < effect_count(f, EF_DIAL); i++)
		assert_false(dial_at(f, i).dial.request.urgent);
	fixture_free(f);
}

static void off_loopback_a_host_gets_two_links(void **state)
{
	struct fixture *f = fixture_linked(0);
	struct identity id = { .incarnation = 1 };

	(void)state;
	for (uint16_t i = 1; i <= 3; i++) {
		id.addr = host_addr(9, i);
		assert_int_equal(request(f, &id) != LINK_NONE, i <= 2);
	}
	assert_int_equal(verdict(f), PEER_BUSY);
	id.addr = host_addr(10, 1);
	assert_int_not_equal(request(f, &id), LINK_NONE);
	fixture_free(f);
}

/* What somebody claims to be proves nothing; where it comes from does. */
static void a_host_that_claims_other_addresses_gets_two_links(void **state)
{
	struct fixture *f = fixture_linked(0);
	struct addr from = host_addr(9, 55555);

	(void)state;
	for (unsigned i = 1; i <= 3; i++) {
		struct identity id = { .incarnation = 1,
				       .addr = i < 3 ? host_addr(20 + i, 1)
						     : number_addr(i) };
		struct msg_peer_request m = { .id = id };

		step(f, &(struct event){ .kind = EV_REQUEST,
					 .request = { .conn = i,
						      .from = from,
						      .request = &m } });
		assert_int_equal(verdict(f), i < 3 ? PEER_ACCEPTED : PEER_BUSY);
	}
	fixture_free(f);
}

static void off_loopback_no_third_link_to_a_host_is_dialed(void **state)
{
	struct fixture *f = fixture_new(1);
	struct addr a[3] = { host_addr(9, 3), host_addr(9, 4),
			     host_addr(8, 1) };
	struct identity id = { .incarnation = 1 };

	(void)state;
	start(f);
	for (uint16_t i = 1; i <= 2; i++) {
		id.addr = host_addr(9, i);
		assert_int_not_equal(request(f, &id), LINK_NONE);
	}
	seed_lists(f, (struct question){ 0, ASK_REGISTER }, a, 3);
	assert_true(addr_equal(&effect_one(f, EF_DIAL)->dial.to, &a[2]));
	fixture_free(f);
}

/* --- two that dial each other (R3) --------------------------------------- */

#define WIRES 4 /* two connections, two directions */
#define WAITING 4
#define CHOICES 32

enum parcel_kind { P_REQUEST, P_REPLY, P_BYE };

struct parcel {
	enum parcel_kind kind;
	struct msg_peer_reply reply;
};

/* Connection 0 is dialed by end 0, connection 1 by end 1. */
struct pair {
	struct fixture *end[2];
	uint32_t dial[2];
	uint8_t slot[2][2];                 /* by connection, then end */
	struct parcel wire[WIRES][WAITING]; /* by 2 * connection + to */
	size_t waiting[WIRES];
};

static void put_on_wire(struct pair *p, unsigned conn, unsigned to,
			const struct parcel *what)
{
	unsigned w = 2 * conn + to;

	assert_true(p->waiting[w] < WAITING);
	p->wire[w][p->waiting[w]++] = *what;
}

/* What an end's last step did; it was about this connection. */
static void apply_effects(struct pair *p, unsigned end, unsigned conn)
{
	const struct fixture *f = p->end[end];
	struct parcel bye = { .kind = P_BYE };

	for (size_t i = 0; i < f->fx.n; i++) {
		const struct effect *e = &f->fx.v[i];
		struct parcel reply = { .kind = P_REPLY,
					.reply = e->say.peer_reply };

		if (e->kind == EF_VERDICT)
			put_on_wire(p, conn, !end, &reply);
		if ((e->kind == EF_VERDICT || e->kind == EF_ADOPT) &&
		    e->link != LINK_NONE)
			p->slot[conn][end] = e->link;
		if (e->kind == EF_REFUSE)
			put_on_wire(p, conn, !end, &bye);
		for (unsigned c = 0; c < 2 && e->kind == EF_UNLINK; c++) {
			if (p->slot[c][end] != e->link)
				continue;
			p->slot[c][end] = LINK_NONE;
			if (e->unlink.cause == UNLINK_BYE_SENT)
				put_on_wire(p, c, !end, &bye);
			break;
		}
	}
}

static void arrive(struct pair *p, unsigned w)
{
	unsigned conn = w / 2, to = w % 2;
	struct fixture *f = p->end[to];
	struct identity from = p->end[!to]->node->self;
	struct parcel what = p->wire[w][0];

	p->waiting[w]--;
	memmove(&p->wire[w][0], &p->wire[w][1], p->waiting[w] * sizeof what);
	if (what.kind == P_REQUEST)
		request(f, &from);
	else if (what.kind == P_REPLY)
		dial_replies(f, p->dial[conn], &what.reply);
	else if (p->slot[conn][to] != LINK_NONE)
		hear_bye(f, p->slot[conn][to]);
	else
		return;
	apply_effects(p, to, conn);
}

/* Both have just dialed each other and nothing arrived yet. */
static void pair_open(struct pair *p)
{
	memset(p, 0, sizeof *p);
	memset(p->slot, LINK_NONE, sizeof p->slot);
	for (unsigned i = 0; i < 2; i++) {
		struct addr other = number_addr(2 - i);
		struct parcel ask = { .kind = P_REQUEST };

		p->end[i] = fixture_new(1);
		p->end[i]->number = 1 + i;
		fixture_renew(p->end[i], i);
		join(p->end[i], &other, 1);
		p->dial[i] = dial_at(p->end[i], 0).dial.id;
		put_on_wire(p, i, !i, &ask);
	}
}

static void pair_close(struct pair *p)
{
	fixture_free(p->end[0]);
	fixture_free(p->end[1]);
}

/* The nth wire with something on it. */
static unsigned nth_busy(const struct pair *p, unsigned nth, unsigned *busy)
{
	unsigned found = WIRES;

	*busy = 0;
	for (unsigned w = 0; w < WIRES; w++)
		if (p->waiting[w] > 0 && (*busy)++ == nth)
			found = w;
	return found;
}

static void check_one_common_link(const struct pair *p)
{
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(links_count(p->end[i]->node), 1);
	for (unsigned c = 0; c < 2; c++)
		assert_int_equal(p->slot[c][0] != LINK_NONE,
				 p->slot[c][1] != LINK_NONE);
	assert_true(p->slot[0][0] != LINK_NONE || p->slot[1][0] != LINK_NONE);
}

/* Runs one order of arrivals; afterwards `choice` names the next one. False
 * when that was the last. */
static bool run_order(unsigned choice[CHOICES])
{
	unsigned options[CHOICES] = { 0 };
	size_t n = 0;
	struct pair p;
	unsigned w;

	pair_open(&p);
	while ((w = nth_busy(&p, choice[n], &options[n])) < WIRES) {
		arrive(&p, w);
		n++;
		assert_true(n < CHOICES);
	}
	check_one_common_link(&p);
	pair_close(&p);
	while (n > 0 && choice[n - 1] + 1 >= options[n - 1])
		choice[--n] = 0;
	if (n == 0)
		return false;
	choice[n - 1]++;
	return true;
}

static void two_that_dial_each_other_keep_the_same_one_link(void **state)
{
	unsigned choice[CHOICES] = { 0 };
	unsigned orders = 1;

	(void)state;
	while (run_order(choice))
		orders++;
	assert_true(orders >= 6);
}

/* --- R4: refused and failed dials ---------------------------------------- */

static void redirects_are_dialed_two_at_a_time(void **state)
{
	struct effect dial;
	struct fixture *f = fixture_dialing(1, &dial);
	struct addr a[6];
	struct msg_peer_reply busy = { .verdict = PEER_BUSY,
				       .id = number_id(1),
				       .redirect = { a, peers(a, 10, 6) } };

	(void)state;
	dial_replies(f, dial.dial.id, &busy);
	assert_int_equal(effect_count(f, EF_REFUSE), 1);
	assert_int_equal(effect_count(f, EF_DIAL), 2);
	fixture_free(f);
}

static void links_by_the_word_of_one_peer_stay_two(void **state)
{
	struct effect dial, by_word[2];
	struct fixture *f = fixture_dialing(1, &dial);
	struct addr a[6], listed = number_addr(1);
	struct msg_peer_reply busy = { .verdict = PEER_BUSY,
				       .id = number_id(1),
				       .redirect = { a, peers(a, 10, 6) } };

	(void)state;
	dial_replies(f, dial.dial.id, &busy);
	by_word[0] = dial_at(f, 0);
	by_word[1] = dial_at(f, 1);
	for (size_t i = 0; i < 2; i++) {
		struct identity id = { 7000, by_word[i].dial.to };

		dial_accepted(f, by_word[i].dial.id, &id);
		assert_int_equal(effect_count(f, EF_DIAL), 0);
	}
	assert_true(tick_until(f, EF_SEED, 1000));
	seed_lists(f, (struct question){ 0, ASK_LIST }, &listed, 1);
	peers(a, 20, 6);
	dial_replies(f, dial_at(f, 0).dial.id, &busy);
	assert_int_equal(effect_count(f, EF_DIAL), 0);
	assert_int_equal(links_count(f->node), 2);
	fixture_free(f);
}

static void a_listed_peer_that_does_not_answer_is_reported(void **state)
{
	static const struct {
		enum dial_result result;
		enum death_reason reason;
	} cases[] = { { DIAL_REFUSED, DEATH_REFUSED },
		      { DIAL_TIMEOUT, DEATH_SILENT } };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct effect dial;
		struct fixture *f = fixture_dialing(1, &dial);
		const struct msg_death *d;

		dial_fails(f, dial.dial.id, cases[i].result);
		assert_true(tick_until(f, EF_DEATH, 300));
		d = &effect_one(f, EF_DEATH)->death.death;
		assert_int_equal(d->reason, cases[i].reason);
		assert_int_equal(d->id.incarnation, 0);
		assert_true(addr_equal(&d->id.addr, &dial.dial.to));
		fixture_free(f);
	}
}

static void a_dial_that_failed_on_our_side_accuses_nobody(void **state)
{
	struct effect dial;
	struct fixture *f = fixture_dialing(1, &dial);

	(void)state;
	dial_fails(f, dial.dial.id, DIAL_FAILED);
	assert_false(tick_until(f, EF_DEATH, 1000));
	fixture_free(f);
}

static void who_was_only_a_redirect_is_not_reported(void **state)
{
	struct effect dial;
	struct fixture *f = fixture_dialing(1, &dial);
	struct addr a = number_addr(10);
	struct msg_peer_reply busy = { .verdict = PEER_BUSY,
				       .id = number_id(1),
				       .redirect = { &a, 1 } };

	(void)state;
	dial_replies(f, dial.dial.id, &busy);
	dial_fails(f, dial_at(f, 0).dial.id, DIAL_REFUSED);
	assert_false(tick_until(f, EF_DEATH, 1000));
	fixture_free(f);
}

/* --- R5: repair ---------------------------------------------------------- */

/* The pauses between questions when no seed answers. */
static void check_pauses(uint64_t rng_seed)
{
	struct fixture *f = fixture_new(1);
	int64_t wait = 50;

	fixture_renew(f, rng_seed);
	start(f);
	seed_silent(f, (struct question){ 0, ASK_REGISTER });
	f->node->registration.renew_ms = INT64_MAX / 2; /* not the matter */
	for (unsigned i = 0; i < 12; i++) {
		int64_t since = f->now;

		assert_true(tick_until(f, EF_SEED, 60000));
		assert_in_range(f->now - since, wait / 2, wait + wait / 2);
		seed_silent(f, (struct question){ 0, ASK_REGISTER });
		wait = i == 0 ? 500 : wait * 2;
		wait = wait > 30000 ? 30000 : wait;
	}
	fixture_free(f);
}

static void pauses_between_repairs_double_up_to_thirty_seconds(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < 50; i++)
		check_pauses(i);
}

static void a_loss_is_repaired_at_once_whatever_the_pause_was(void **state)
{
	struct fixture *f = fixture_linked(2);
	int64_t since;

	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		assert_true(tick_heard_until(f, EF_SEED, 60000));
		seed_silent(f, (struct question){ 0, ASK_LIST });
	}
	since = f->now;
	link_down(f, 0, DOWN_RESET);
	assert_true(tick_until(f, EF_SEED, 1000));
	assert_in_range(f->now - since, 25, 75);
	fixture_free(f);
}

/* Somebody accepts every time and says Bye at once (no thread left, say).
 * Returns how often a seed is asked for addresses in five minutes. */
static unsigned count_questions(struct fixture *f)
{
	struct addr a = number_addr(40);
	struct identity id = number_id(40);
	int64_t end = f->now + 300000;
	unsigned asked = 0;

	while (f->now < end) {
		if (!tick_heard_until(f, EF_SEED, end - f->now))
			break;
		asked++;
		seed_lists(f, (struct question){ 0, ASK_LIST }, &a, 1);
		if (effect_count(f, EF_DIAL) == 0)
			continue;
		dial_accepted(f, dial_at(f, 0).dial.id, &id);
		hear_bye(f, effect_one(f, EF_ADOPT)->link);
	}
	return asked;
}

static void a_link_that_never_lasts_is_no_reason_to_hurry(void **state)
{
	(void)state;
	for (unsigned links = 0; links <= 3; links += 3) {
		struct fixture *f = fixture_linked(links);

		assert_in_range(count_questions(f), 5, 30);
		fixture_free(f);
	}
}

static void neighbors_are_asked_when_no_seed_answers(void **state)
{
	struct fixture *f = fixture_linked(2);
	struct addr a[3] = { number_addr(0), number_addr(SELF),
			     number_addr(30) };
	struct message list = { .type = MSG_PEER_LIST };
	const struct effect *e;

	(void)state;
	list.peer_list.peers = (struct addr_list){ a, 3 };
	assert_true(tick_until(f, EF_SEED, 1000));
	assert_null(said(f, MSG_GET_PEER_LIST));
	seed_silent(f, (struct question){ 0, ASK_LIST });
	e = said(f, MSG_GET_PEER_LIST);
	assert_non_null(e);
	assert_int_equal(e->links, 3);
	hear(f, 1, &list);
	assert_true(addr_equal(&effect_one(f, EF_DIAL)->dial.to, &a[2]));
	fixture_free(f);
}

static void a_list_that_was_not_asked_for_dials_nobody(void **state)
{
	struct fixture *f = fixture_linked(2);
	struct addr a[1] = { number_addr(30) };
	struct message list = { .type = MSG_PEER_LIST };

	(void)state;
	list.peer_list.peers = (struct addr_list){ a, 1 };
	hear(f, 1, &list);
	assert_int_equal(effect_count(f, EF_DIAL), 0);
	assert_int_equal(node_stats(f->node).rejected, 1);
	assert_true(tick_until(f, EF_SEED, 1000));
	seed_silent(f, (struct question){ 0, ASK_LIST });
	list.peer_list.peers.n = 0;
	hear(f, 1, &list); /* this answer, and no second one */
	list.peer_list.peers.n = 1;
	hear(f, 1, &list);
	assert_int_equal(effect_count(f, EF_DIAL), 0);
	assert_int_equal(node_stats(f->node).rejected, 2);
	fixture_free(f);
}

static void neighbors_are_left_alone_while_a_seed_answers(void **state)
{
	struct fixture *f = fixture_linked(2);

	(void)state;
	assert_true(tick_until(f, EF_SEED, 1000));
	seed_lists(f, (struct question){ 0, ASK_LIST }, NULL, 0);
	assert_null(said(f, MSG_GET_PEER_LIST));
	fixture_free(f);
}

static void a_neighbor_may_win_two_links_with_its_list(void **state)
{
	struct fixture *f = fixture_linked(1);
	struct message list = { .type = MSG_PEER_LIST };
	struct addr a[10];

	(void)state;
	assert_true(tick_until(f, EF_SEED, 1000));
	seed_silent(f, (struct question){ 0, ASK_LIST });
	list.peer_list.peers = (struct addr_list){ a, peers(a, 30, 10) };
	hear(f, 0, &list);
	assert_int_equal(effect_count(f, EF_DIAL), 2);
	fixture_free(f);
}

static void four_links_need_no_repair(void **state)
{
	struct fixture *f = fixture_linked(4);

	(void)state;
	assert_false(tick_heard_until(f, EF_SEED, 50000));
	fixture_free(f);
}

static void a_peer_list_for_a_neighbor_names_the_others(void **state)
{
	struct fixture *f = fixture_linked(5);
	struct message ask = { .type = MSG_GET_PEER_LIST };
	const struct effect *e;

	(void)state;
	ask.get_peer_list.want = 32;
	hear(f, 2, &ask);
	e = said(f, MSG_PEER_LIST);
	assert_non_null(e);
	assert_int_equal(e->links, link_bit(2));
	assert_int_equal(e->say.peer_list.count, 5);
	assert_int_equal(e->say.peer_list.peers.n, 4);
	for (size_t i = 0; i < 4; i++)
		assert_int_not_equal(e->say.peer_list.peers.v[i].port, 1002);
	ask.get_peer_list.want = 3;
	hear(f, 2, &ask);
	assert_int_equal(said(f, MSG_PEER_LIST)->say.peer_list.peers.n, 3);
	ask.get_peer_list.want = 0;
	hear(f, 2, &ask);
	assert_int_equal(said(f, MSG_PEER_LIST)->say.peer_list.peers.n, 0);
	fixture_free(f);
}

static void a_link_we_cannot_keep_is_left_without_haste(void **state)
{
	struct fixture *f = fixture_linked(2);
	const struct effect *e;
	int64_t since;

	(void)state;
	assert_true(tick_until(f, EF_SEED, 1000));
	seed_lists(f, (struct question){ 0, ASK_LIST }, NULL, 0);
	since = f->now;
	link_down(f, 0, DOWN_LOCAL);
	e = effect_one(f, EF_UNLINK);
	assert_int_equal(e->unlink.cause, UNLINK_BYE_SENT);
	assert_int_equal(e->unlink.bye, BYE_BUSY);
	assert_true(tick_until(f, EF_SEED, 5000));
	assert_true(f->now - since >= 250);
	assert_false(tick_until(f, EF_DEATH, 1000));
	fixture_free(f);
}

static void a_link_that_is_to_be_made_anew_is_dialed_at_once(void **state)
{
	struct fixture *f = fixture_linked(3);
	struct addr who = f->node->links[1].info.id.addr;
	const struct effect *e;

	(void)state;
	link_down(f, 1, DOWN_RENEW);
	e = effect_one(f, EF_UNLINK);
	assert_int_equal(e->link, 1);
	assert_int_equal(e->unlink.cause, UNLINK_BYE_SENT);
	assert_int_equal(e->unlink.bye, BYE_ROTATE);
	assert_true(addr_equal(&effect_one(f, EF_DIAL)->dial.to, &who));
	/* Nobody is dead. */
	assert_false(tick_until(f, EF_DEATH, 1000));
	fixture_free(f);
}

/* --- R6: rotation -------------------------------------------------------- */

/* A peer with own links to 0 .. own-1 and foreign ones to 100 ..., whose far
 * ends have that many neighbors, at its renewal with somebody new listed. */
static struct fixture *fixture_rotating(unsigned own, unsigned foreign,
					uint64_t far, struct effect *dial)
{
	struct fixture *f = fixture_linked(0);
	struct addr fresh[3] = { number_addr(0), number_addr(300),
				 number_addr(SELF) };

	for (unsigned i = 0; i < own + foreign; i++) {
		struct identity id = number_id(i < own ? i : 100 + i);
		uint8_t slot = request_full(f, &id, far, false);

		assert_int_not_equal(slot, LINK_NONE);
		f->node->links[slot].info.dialed = i < own;
		f->now += 10;
	}
	f->node->overlay.repair_ms = NEVER_MS;
	f->node->registration.renew_ms = f->now;
	step_kind(f, EV_TICK);
	assert_int_equal(effect_one(f, EF_SEED)->seed.question, ASK_REGISTER);
	seed_lists(f, (struct question){ 0, ASK_REGISTER }, fresh, 3);
	*dial = dial_at(f, 0);
	assert_true(addr_equal(&dial->dial.to, &fresh[1]));
	return f;
}

static void a_renewal_dials_one_random_stranger(void **state)
{
	bool drawn[10] = { false };
	struct addr a[10];

	(void)state;
	for (uint64_t i = 0; i < 150; i++) {
		struct fixture *f = fixture_new(1);

		fixture_renew(f, i);
		join(f, NULL, 0);
		for (unsigned k = 0; k < 4; k++)
			link_up(f, 100 + k);
		f->node->overlay.repair_ms = NEVER_MS;
		f->node->registration.renew_ms = f->now;
		step_kind(f, EV_TICK);
		seed_lists(f, (struct question){ 0, ASK_REGISTER }, a,
			   peers(a, 0, 10));
		drawn[effect_one(f, EF_DIAL)->dial.to.port - 1000] = true;
		fixture_free(f);
	}
	for (size_t i = 0; i < 10; i++)
		assert_true(drawn[i]);
}

static void with_more_than_four_own_links_the_oldest_goes(void **state)
{
	struct effect dial;
	struct fixture *f = fixture_rotating(4, 2, 8, &dial);
	struct identity id = number_id(300);

	(void)state;
	f->node->links[5].info.since_ms = 0; /* older, but not my own */
	dial_accepted(f, dial.dial.id, &id);
	assert_int_equal(effect_count(f, EF_ADOPT), 1);
	assert_int_equal(effect_one(f, EF_UNLINK)->link, 0);
	assert_int_equal(effect_one(f, EF_UNLINK)->unlink.bye, BYE_ROTATE);
	assert_int_equal(links_dialed(f->node), 4);
	fixture_free(f);
}

static void with_fewer_own_links_rotation_only_adds(void **state)
{
	struct effect dial;
	struct fixture *f = fixture_rotating(3, 3, 8, &dial);
	struct identity id = number_id(300);

	(void)state;
	dial_accepted(f, dial.dial.id, &id);
	assert_int_equal(effect_count(f, EF_UNLINK), 0);
	assert_int_equal(links_count(f->node), 7);
	fixture_free(f);
}

static void nobody_with_four_links_loses_one_by_rotation(void **state)
{
	struct effect dial;
	struct fixture *f = fixture_rotating(4, 2, 4, &dial);
	struct identity id = number_id(300);

	(void)state;
	f->node->links[2].info.neighbors = 5;
	dial_accepted(f, dial.dial.id, &id);
	assert_int_equal(effect_one(f, EF_UNLINK)->link, 2);
	fixture_free(f);
	f = fixture_rotating(4, 2, 4, &dial);
	dial_accepted(f, dial.dial.id, &id);
	assert_int_equal(effect_count(f, EF_UNLINK), 0);
	assert_int_equal(links_dialed(f->node), 5);
	fixture_free(f);
}

static void with_twelve_links_the_thirteenth_is_for_a_moment(void **state)
{
	struct effect dial;
	struct fixture *f = fixture_rotating(2, 10, 8, &dial);
	struct identity id = number_id(300);

	(void)state;
	dial_accepted(f, dial.dial.id, &id);
	assert_int_equal(effect_count(f, EF_ADOPT), 1);
	assert_int_equal(effect_one(f, EF_UNLINK)->unlink.bye, BYE_ROTATE);
	assert_int_equal(links_count(f->node), 12);
	fixture_free(f);
	/* Nobody may go: then the new one goes. */
	f = fixture_rotating(2, 10, 4, &dial);
	dial_accepted(f, dial.dial.id, &id);
	assert_int_equal(links_count(f->node), 12);
	assert_int_equal(links_by_addr(f->node, &id.addr), LINK_NONE);
	fixture_free(f);
}

static void an_ordinary_dial_gets_no_thirteenth_link(void **state)
{
	struct effect dial;
	struct fixture *f = fixture_dialing(300, &dial);
	struct identity id = number_id(300);

	(void)state;
	for (unsigned i = 0; i < 12; i++)
		link_up(f, i);
	dial_accepted(f, dial.dial.id, &id);
	assert_int_equal(effect_one(f, EF_REFUSE)->unlink.bye, BYE_BUSY);
	assert_int_equal(links_count(f->node), 12);
	fixture_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(four_of_the_listed_are_dialed_at_random),
		cmocka_unit_test(it_dials_on_until_four_own_links_are_up),
		cmocka_unit_test(
			it_never_dials_itself_a_wildcard_or_a_neighbor),
		cmocka_unit_test(
			who_turns_out_to_be_myself_is_not_dialed_again),
		cmocka_unit_test(a_dial_that_the_shell_lost_is_given_up),
		cmocka_unit_test(a_failed_late_dial_is_nothing),
		cmocka_unit_test(too_many_candidates_replace_older_ones),
		cmocka_unit_test(somebody_new_is_accepted_and_told_who_we_are),
		cmocka_unit_test(my_own_request_is_answered_with_self),
		cmocka_unit_test(twelve_links_are_enough),
		cmocka_unit_test(
			a_second_link_while_young_follows_the_tie_break),
		cmocka_unit_test(
			a_second_link_loses_against_one_that_is_not_young),
		cmocka_unit_test(a_smaller_incarnation_is_a_duplicate),
		cmocka_unit_test(
			a_larger_incarnation_is_dialed_before_it_replaces_a_link),
		cmocka_unit_test(a_false_claim_of_a_newer_run_changes_nothing),
		cmocka_unit_test(an_older_run_that_answers_replaces_nobody),
		cmocka_unit_test(
			a_stranger_cannot_take_the_place_of_a_neighbor),
		cmocka_unit_test(
			room_is_made_for_the_urgent_once_in_ten_seconds),
		cmocka_unit_test(own_dials_make_no_room_for_the_urgent),
		cmocka_unit_test(
			only_a_lonely_peer_is_urgent_on_its_second_round),
		cmocka_unit_test(who_found_somebody_is_not_urgent_any_more),
		cmocka_unit_test(off_loopback_a_host_gets_two_links),
		cmocka_unit_test(
			a_host_that_claims_other_addresses_gets_two_links),
		cmocka_unit_test(
			off_loopback_no_third_link_to_a_host_is_dialed),
		cmocka_unit_test(
			two_that_dial_each_other_keep_the_same_one_link),
		cmocka_unit_test(redirects_are_dialed_two_at_a_time),
		cmocka_unit_test(links_by_the_word_of_one_peer_stay_two),
		cmocka_unit_test(
			a_listed_peer_that_does_not_answer_is_reported),
		cmocka_unit_test(a_dial_that_failed_on_our_side_accuses_nobody),
		cmocka_unit_test(who_was_only_a_redirect_is_not_reported),
		cmocka_unit_test(
			pauses_between_repairs_double_up_to_thirty_seconds),
		cmocka_unit_test(
			a_loss_is_repaired_at_once_whatever_the_pause_was),
		cmocka_unit_test(a_link_that_never_lasts_is_no_reason_to_hurry),
		cmocka_unit_test(neighbors_are_asked_when_no_seed_answers),
		cmocka_unit_test(a_list_that_was_not_asked_for_dials_nobody),
		cmocka_unit_test(neighbors_are_left_alone_while_a_seed_answers),
		cmocka_unit_test(a_neighbor_may_win_two_links_with_its_list),
		cmocka_unit_test(four_links_need_no_repair),
		cmocka_unit_test(a_peer_list_for_a_neighbor_names_the_others),
		cmocka_unit_test(a_link_we_cannot_keep_is_left_without_haste),
		cmocka_unit_test(
			a_link_that_is_to_be_made_anew_is_dialed_at_once),
		cmocka_unit_test(a_renewal_dials_one_random_stranger),
		cmocka_unit_test(with_more_than_four_own_links_the_oldest_goes),
		cmocka_unit_test(with_fewer_own_links_rotation_only_adds),
		cmocka_unit_test(nobody_with_four_links_loses_one_by_rotation),
		cmocka_unit_test(
			with_twelve_links_the_thirteenth_is_for_a_moment),
		cmocka_unit_test(an_ordinary_dial_gets_no_thirteenth_link),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
