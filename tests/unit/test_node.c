#include "node_fixture.h"

#include "base/rng.h"

/* --- a fingerprint of effects -------------------------------------------- */

static void mix(struct hash *print, const void *bytes, size_t n)
{
	struct hash both[2] = { *print, hash_of(bytes, n) };

	*print = hash_of(both, sizeof both);
}

static void mix_number(struct hash *print, uint64_t number)
{
	mix(print, &number, sizeof number);
}

static void mix_message(struct hash *print, const struct message *m)
{
	struct frame *f = NULL;

	assert_int_equal(codec_encode(m, &f), ERR_OK);
	mix(print, f->body, f->body_bytes);
	frame_release(f);
}

static void mix_effect(struct hash *print, const struct effect *e)
{
	struct message m = { .type = MSG_PEER_REQUEST };

	mix_number(print, e->kind);
	mix_number(print, e->link);
	mix_number(print, e->links);
	mix_number(print, e->conn);
	if (e->kind == EF_SAY || e->kind == EF_VERDICT)
		mix_message(print, &e->say);
	if (e->kind == EF_SEND) {
		mix(print, e->send.frame->body, e->send.frame->body_bytes);
		mix_number(print, e->send.head.flags);
		mix_number(print, e->send.head.hops);
	}
	if (e->kind == EF_DIAL) {
		m.peer_request = e->dial.request;
		mix_message(print, &m);
		mix_number(print, e->dial.id);
		mix(print, &e->dial.to, sizeof e->dial.to);
	}
	if (e->kind == EF_SEED) {
		mix_number(print, e->seed.seed);
		mix_number(print, e->seed.question);
	}
	if (e->kind == EF_DEATH) {
		mix_number(print, e->death.seeds);
		mix(print, &e->death.death.id.addr, sizeof(struct addr));
		mix_number(print, e->death.death.reason);
	}
	if (e->kind == EF_LOST) {
		mix(print, &e->lost.run.addr, sizeof(struct addr));
		mix_number(print, e->lost.first);
		mix_number(print, e->lost.last);
	}
	if (e->kind == EF_UNLINK || e->kind == EF_REFUSE) {
		mix_number(print, e->unlink.cause);
		mix_number(print, e->unlink.bye);
	}
}

/* --- random events ------------------------------------------------------- */

#define STRANGERS 30 /* peers that exist */
#define SEQS 60
#define FUZZ_SEEDS 3
#ifndef FUZZ_STEPS
#define FUZZ_STEPS 4000 /* for each seed number */
#endif
#ifndef FUZZ_RUNS
#define FUZZ_RUNS 6
#endif

/* What a shell, and those at its other end, would still do; and much that
 * they should not. */
struct fuzz {
	struct fixture *f;
	struct rng rng;
	struct hash print;
	uint32_t dials[256]; /* the newest of all */
	struct addr dialed[256];
	unsigned dial_count;
	struct question asked[64];
	unsigned asked_count;
	link_set checks;
	bool got[STRANGERS + 1][2][SEQS]; /* I3: delivered */
	struct hash known[8];             /* ids, to be looked for */
	struct addr addrs[40];
};

static unsigned roll(struct fuzz *z, unsigned n)
{
	return (unsigned)rng_below(&z->rng, n);
}

/* Mostly somebody on loopback; some on two hosts; now and then myself. */
static struct addr any_addr(struct fuzz *z)
{
	unsigned n = roll(z, STRANGERS + 1);

	if (n == STRANGERS)
		return number_addr(SELF);
	return n % 3 == 0 ? host_addr(1 + n % 2, (uint16_t)(1 + n))
			  : number_addr(n);
}

static struct identity any_id(struct fuzz *z)
{
	struct identity id = { .incarnation = 7000, .addr = any_addr(z) };

	if (roll(z, 8) == 0)
		id.incarnation += roll(z, 3);
	return id;
}

static struct addr_list any_addrs(struct fuzz *z, unsigned max)
{
	struct addr_list list = { z->addrs, roll(z, max + 1) };

	for (size_t i = 0; i < list.n; i++)
		z->addrs[i] = any_addr(z);
	return list;
}

static void note_effects(struct fuzz *z)
{
	const struct effects *fx = &z->f->fx;

	for (size_t i = 0; i < fx->n; i++) {
		const struct effect *e = &fx->v[i];

		mix_effect(&z->print, e);
		if (e->kind == EF_DIAL) {
			z->dials[z->dial_count % 256] = e->dial.id;
			z->dialed[z->dial_count++ % 256] = e->dial.to;
		} else if (e->kind == EF_SEED) {
			z->asked[z->asked_count++ % 64] =
				(struct question){ e->seed.seed,
						   e->seed.question };
		} else if (e->kind == EF_CHECK) {
			z->checks = (link_set)(z->checks | link_bit(e->link));
		}
	}
}

static void check_limits(const struct node *n)
{
	unsigned dials = 0;

	for (unsigned i = 0; i < DIALS_CAP; i++)
		dials += n->overlay.dials[i].used;
	assert_true(dials <= DIALS_CAP);
	assert_true(n->overlay.candidate_count <=
		    n->config->overlay.candidates_max);
	assert_true(n->registration.death_count <= DEATHS_CAP);
	assert_true(n->gossip.store.count <= n->config->gossip.store_messages);
	assert_true(n->gossip.store.bytes <= n->config->gossip.store_bytes);
}

/* What is asked from a link is counted there, and nothing is asked from a link
 * that is down; a want is never of what is here already. */
static void check_asks(struct node *n)
{
	const struct wants *w = &n->gossip.wants;
	uint64_t asked[LINK_SLOTS] = { 0 };

	for (uint32_t i = 0; i < w->n; i++) {
		const struct want *t = w->heap[i];
		const struct origin *r =
			origins_find(&n->gossip.origins, &t->run->id);
		struct span s;

		assert_true(i == 0 ||
			    w->heap[(i - 1) / 2]->due_ms <= t->due_ms);
		if (r != NULL)
			assert_false(ranges_overlap(&r->covered, t->first,
						    t->last, &s));
		if (t->asked == LINK_NONE)
			continue;
		assert_true(n->links[t->asked].up);
		asked[t->asked] += want_size(t);
	}
	for (unsigned i = 0; i < LINK_SLOTS; i++)
		if (n->links[i].up)
			assert_int_equal(n->links[i].asked, asked[i]);
	/* I5 */
	if (w->n > 0 && !n->gossip.choked && !n->stopped)
		assert_true(node_deadline_ms(n) <= w->heap[0]->due_ms);
}

static void send(struct fuzz *z, const struct event *ev)
{
	step(z->f, ev);
	check_limits(z->f->node);
	check_asks(z->f->node);
	note_effects(z);
}

static void fuzz_time(struct fuzz *z)
{
	struct event ev = { .kind = EV_TICK };
	int64_t due = node_deadline_ms(z->f->node);

	if (roll(z, 3) > 0 && due != NEVER_MS && due > z->f->now)
		z->f->now = due;
	else if (roll(z, 60) == 0)
		z->f->now += roll(z, 200000);
	else
		z->f->now += roll(z, 300);
	send(z, &ev);
	for (uint8_t i = 0; i < LINK_SLOTS; i++)
		if (z->checks & link_bit(i))
			send(z, &(struct event){ .kind = EV_CHECKED,
						 .link = i,
						 .bytes_wait = roll(z, 2) });
	z->checks = 0;
}

static void fuzz_seed(struct fuzz *z)
{
	struct question q = { roll(z, FUZZ_SEEDS), roll(z, 2) };
	struct msg_peer_list list = { .peers = any_addrs(z, 32) };
	struct event ev = { .kind = EV_SEED };

	if (roll(z, 5) > 0 && z->asked_count > 0)
		q = z->asked[roll(z,
				  z->asked_count < 64 ? z->asked_count : 64)];
	list.registered = q.question == ASK_REGISTER;
	list.reachable = roll(z, 4) > 0;
	list.you = any_addr(z);
	list.period_ms = roll(z, 3) ? 60000 : roll(z, 100000);
	ev.seed.seed = q.seed;
	ev.seed.question = q.question;
	ev.seed.answered = roll(z, 3) > 0;
	ev.seed.list = ev.seed.answered ? &list : NULL;
	if (roll(z, 10) == 0) {
		ev.seed.question = ASK_DEATH;
		ev.seed.death.id = any_id(z);
		ev.seed.verdict = roll(z, 5);
	}
	send(z, &ev);
}

static void fuzz_request(struct fuzz *z)
{
	struct msg_peer_request m = { any_id(z), roll(z, 13), roll(z, 4) == 0 };
	struct event ev = { .kind = EV_REQUEST,
			    .request = { .conn = roll(z, 100000),
					 .from = m.id.addr,
					 .request = &m } };

	if (roll(z, 10) == 0)
		ev.request.from = any_addr(z);
	send(z, &ev);
}

static void fuzz_dialed(struct fuzz *z)
{
	struct msg_peer_reply r = { .verdict = roll(z, 4),
				    .id = any_id(z),
				    .neighbors = roll(z, 13) };
	struct event ev = { .kind = EV_DIALED, .dialed = { .dial = 1 } };

	if (z->dial_count > 0) {
		unsigned back = roll(z, 6); /* one of the newest */
		unsigned i = (z->dial_count + 255 - back) % 256;

		ev.dialed.dial = z->dials[i];
		if (roll(z, 5) > 0)
			r.id.addr = z->dialed[i];
	}
	if (roll(z, 3) == 0)
		r.verdict = PEER_ACCEPTED;
	if (r.verdict == PEER_BUSY)
		r.redirect = any_addrs(z, REDIRECT_MAX);
	ev.dialed.result = roll(z, 2) ? DIAL_ANSWERED : roll(z, 4);
	ev.dialed.reply = ev.dialed.result == DIAL_ANSWERED ? &r : NULL;
	ev.dialed.rtt_ms = roll(z, 500);
	send(z, &ev);
}

static void fuzz_letter(struct fuzz *z)
{
	unsigned run = roll(z, STRANGERS + 1), later = roll(z, 2);
	uint64_t seq = 1 + roll(z, SEQS - 1);
	struct identity id = { .incarnation = 1 + later,
			       .addr = number_addr(run) };
	bool mine = roll(z, 40) == 0; /* or so they say */
	struct letter l = letter_new(mine ? node_self(z->f->node) : &id, seq,
				     roll(z, 20) && !mine ? "text" : "fake");
	struct event ev = {
		.kind = EV_FRAME,
		.link = (uint8_t)(roll(z, 20) ? roll(z, 16) : LINK_NONE),
		.frame = { .head = { (uint8_t)roll(z, 4), (uint8_t)roll(z, 256),
				     l.frame->body_bytes },
			   .frame = l.frame,
			   .msg = &l.msg }
	};

	send(z, &ev);
	z->known[roll(z, 8)] = l.id;
	if (effect_count(z->f, EF_DELIVER) > 0) {
		assert_false(mine);
		assert_false(z->got[run][later][seq]);
		z->got[run][later][seq] = true;
	}
	letter_free(&l);
}

static void fuzz_ranges(struct fuzz *z, struct message *m, struct range *v)
{
	size_t n = roll(z, 9);

	for (size_t i = 0; i < n; i++) {
		v[i].run = (struct identity){ .incarnation = 1 + roll(z, 2),
					      .addr = number_addr(
						      roll(z, STRANGERS + 1)) };
		v[i].first = 1 + roll(z, SEQS);
		v[i].last = roll(z, 5) ? v[i].first + roll(z, 10) : SEQ_MAX;
	}
	/* Have, getData and Not Found begin alike. */
	m->have.ranges = (struct range_list){ v, n };
}

static void fuzz_runs(struct fuzz *z, struct message *m, struct identity *v)
{
	size_t n = roll(z, 9);

	for (size_t i = 0; i < n; i++)
		v[i] = (struct identity){ .incarnation = 1 + roll(z, 2),
					  .addr = number_addr(
						  roll(z, STRANGERS + 1)) };
	m->graft.runs = (struct run_list){ v, n };
	m->graft.all = m->type == MSG_GRAFT && roll(z, 5) == 0;
}

static void fuzz_control(struct fuzz *z)
{
	static const enum message_type types[] = {
		MSG_LIVELINESS,    MSG_LIVELINESS_REPLY,
		MSG_GET_PEER_LIST, MSG_PEER_LIST,
		MSG_GET_DATA,      MSG_NOT_FOUND,
		MSG_BYE,           MSG_HAVE,
		MSG_GRAFT,         MSG_PRUNE,
		MSG_REGISTER,      MSG_PEER_REPLY
	};
	struct message m = { .type = types[roll(z, COUNT_OF(types))] };
	struct hash known = z->known[roll(z, 8)];
	struct event ev = { .kind = EV_FRAME,
			    .link = (uint8_t)roll(z, 16),
			    .frame = { .msg = &m } };
	struct identity runs[8];
	struct range v[8];

	if (m.type == MSG_LIVELINESS_REPLY)
		m.liveliness_reply = (struct msg_liveliness_reply){
			.nonce = z->f->node->liveness.nonces - roll(z, 3),
			.id = any_id(z),
			.neighbors = roll(z, 13)
		};
	else if (m.type == MSG_GET_PEER_LIST)
		m.get_peer_list.want = roll(z, 40);
	else if (m.type == MSG_PEER_LIST)
		m.peer_list.peers = any_addrs(z, 12);
	else if (m.type == MSG_HAVE ||
		 ((m.type == MSG_GET_DATA || m.type == MSG_NOT_FOUND) &&
		  roll(z, 3)))
		fuzz_ranges(z, &m, v);
	else if (m.type == MSG_GRAFT || m.type == MSG_PRUNE)
		fuzz_runs(z, &m, runs);
	else if (m.type == MSG_GET_DATA)
		m.get_data =
			(struct msg_get_data){ .has_id = true, .id = known };
	else if (m.type == MSG_NOT_FOUND)
		m.not_found =
			(struct msg_not_found){ .has_id = true, .id = known };
	else if (m.type == MSG_BYE)
		m.bye.reason = roll(z, 5);
	if (m.type == MSG_HAVE)
		m.have.more = m.have.all = roll(z, 2);
	if (m.type == MSG_GET_DATA)
		m.get_data.graft = roll(z, 2);
	send(z, &ev);
}

static void fuzz_link(struct fuzz *z)
{
	struct event ev = { .kind = EV_HEARD,
			    .link = (uint8_t)(roll(z, 20) ? roll(z, 16)
							  : LINK_NONE) };
	unsigned what = roll(z, 20);

	if (what == 0) {
		ev.kind = EV_DOWN;
		ev.down = roll(z, 4);
	} else if (what == 1) {
		ev.kind = EV_CHECKED;
		ev.bytes_wait = roll(z, 2);
	} else if (what < 4) {
		ev.kind = EV_FULL;
	} else if (what < 10) {
		ev.kind = EV_DRAINED;
	} else if (what == 10) {
		ev.kind = EV_OUTPUT;
		ev.output_slow = roll(z, 2);
	}
	send(z, &ev);
}

static void fuzz_user(struct fuzz *z)
{
	struct event ev = { .kind = EV_SYNC };
	struct letter l;

	if (roll(z, 3) == 0) {
		send(z, &ev);
	} else if (roll(z, 2)) {
		ev.kind = EV_FIND;
		ev.find = z->known[roll(z, 8)];
		send(z, &ev);
	} else {
		l = publish(z->f, "mine");
		check_limits(z->f->node);
		note_effects(z);
		letter_free(&l);
	}
}

/* Small windows, and the ends of what may be configured. */
static void fuzz_config(struct config *c, unsigned kind)
{
	c->gossip.store_messages = 100;
	if (kind == 1) {
		c->overlay.links_max = 15;
		c->overlay.dials = 15;
		c->overlay.candidates_max = 6;
		c->gossip.store_bytes = 5000;
	} else if (kind == 2) {
		c->overlay.links_max = 4;
		c->overlay.per_host_max = 1;
		c->overlay.repair_first_ms = c->overlay.repair_ms = 10;
		c->overlay.candidates_max = 1;
		c->gossip.catch_up = false;
	}
}

/* The list of effects grows before memory gets scarce: what it loses for want
 * of memory the shell has to know, not the node. */
static void fuzz_scarce(struct fuzz *z, unsigned every)
{
	z->f->scarce_every = every;
	for (unsigned i = 0; every > 0 && i < 4096; i++)
		effects_add(&z->f->fx, EF_LEAVE);
	effects_clear(&z->f->fx);
}

static struct hash run_fuzz_scarce(uint64_t events, uint64_t chance,
				   unsigned steps, unsigned scarce_every)
{
	static void (*const what[])(struct fuzz * z) = {
		fuzz_time,    fuzz_time,    fuzz_time,   fuzz_time,
		fuzz_seed,    fuzz_seed,    fuzz_dialed, fuzz_dialed,
		fuzz_dialed,  fuzz_dialed,  fuzz_link,   fuzz_letter,
		fuzz_letter,  fuzz_letter,  fuzz_user,   fuzz_control,
		fuzz_control, fuzz_control, fuzz_request
	};
	struct fuzz *z = calloc(1, sizeof *z);
	struct hash print;

	assert_non_null(z);
	rng_init(&z->rng, events);
	z->f = fixture_new(FUZZ_SEEDS);
	fuzz_config(&z->f->config, (unsigned)events % 3);
	fixture_renew(z->f, chance);
	z->f->node->learn_address = events % 2;
	fuzz_scarce(z, scarce_every);
	send(z, &(struct event){ .kind = EV_START });
	for (unsigned i = 0; i < steps; i++)
		what[roll(z, COUNT_OF(what))](z);
	send(z, &(struct event){ .kind = EV_STOP });
	assert_int_equal(links_count(z->f->node), 0);
	for (unsigned i = 0; i < steps / 20; i++)
		what[roll(z, COUNT_OF(what))](z);
	assert_int_equal(links_count(z->f->node), 0);
	print = z->print;
	if (scarce_every > 0)
		assert_true(z->f->starved > steps / scarce_every / 10);
	fixture_free(z->f);
	free(z);
	return print;
}

static struct hash run_fuzz(uint64_t events, uint64_t chance, unsigned steps)
{
	return run_fuzz_scarce(events, chance, steps, 0);
}

static void random_events_break_no_invariant(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < FUZZ_RUNS; i++) {
		print_message("events %llu\n", (unsigned long long)i);
		run_fuzz(i, i, FUZZ_STEPS);
	}
}

/* What finds no memory is left out or put off; all that must hold, holds. */
static void random_failures_of_memory_break_no_invariant(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < FUZZ_RUNS; i++) {
		print_message("events %llu\n", (unsigned long long)i);
		run_fuzz_scarce(i, i, FUZZ_STEPS, 1 + (unsigned)i % 3);
	}
}

static void without_memory_there_is_no_node(void **state)
{
	struct config c;
	struct node *n = NULL;
	long left;

	(void)state;
	config_init(&c);
	for (left = 0; n == NULL; left++) {
		struct node_options o = { .config = &c, .self = number_id(1) };

		scarce_after(left, false);
		n = node_new(&o);
		assert_int_equal(scarce_end() > 0, n == NULL);
	}
	assert_true(left > 2);
	node_free(n);
	node_free(NULL);
}

static void same_seed_and_events_give_the_same_effects(void **state)
{
	struct hash a = run_fuzz(77, 1, 2000), b = run_fuzz(77, 1, 2000);
	struct hash c = run_fuzz(77, 2, 2000);

	(void)state;
	assert_memory_equal(&a, &b, sizeof a);
	assert_memory_not_equal(&a, &c, sizeof a);
}

/* --- R15 ----------------------------------------------------------------- */

static void who_stops_says_bye_and_leaves_the_seeds(void **state)
{
	struct fixture *f = fixture_new(3);

	(void)state;
	join(f, NULL, 0);
	for (unsigned i = 0; i < 5; i++)
		link_up(f, i);
	step_kind(f, EV_STOP);
	assert_int_equal(effect_count(f, EF_UNLINK), 5);
	for (size_t i = 0; i < 5; i++) {
		const struct effect *e = effect_at(f, EF_UNLINK, i);

		assert_int_equal(e->unlink.cause, UNLINK_BYE_SENT);
		assert_int_equal(e->unlink.bye, BYE_SHUTDOWN);
	}
	assert_int_equal(f->fx.v[f->fx.n - 1].kind, EF_LEAVE);
	assert_int_equal(node_deadline_ms(f->node), NEVER_MS);
	fixture_free(f);
}

static void who_has_stopped_takes_nobody_and_dials_nobody(void **state)
{
	struct addr a[3] = { number_addr(1), number_addr(2), number_addr(3) };
	struct fixture *f = fixture_new(1);
	struct msg_peer_reply busy = { .verdict = PEER_BUSY,
				       .id = number_id(1),
				       .redirect = { a, 3 } };
	struct identity id = number_id(9), other;
	struct effect dials[2];

	(void)state;
	join(f, a, 2);
	for (size_t i = 0; i < 2; i++)
		dials[i] = *effect_at(f, EF_DIAL, i);
	step_kind(f, EV_STOP);
	assert_int_equal(request(f, &id), LINK_NONE);
	assert_int_equal(verdict(f), PEER_BUSY);
	dial_replies(f, dials[0].dial.id, &busy);
	assert_int_equal(effect_count(f, EF_DIAL), 0);
	other = (struct identity){ 7000, dials[1].dial.to };
	dial_accepted(f, dials[1].dial.id, &other);
	assert_int_equal(effect_count(f, EF_REFUSE), 1);
	f->now += 100000;
	step_kind(f, EV_TICK);
	assert_int_equal(f->fx.n, 0);
	fixture_free(f);
}

/* --- I10 ----------------------------------------------------------------- */

/* Everything that can go wrong at a start does: after each step check_step has
 * seen that something is still under way. */
static void who_has_no_link_goes_on_trying(void **state)
{
	struct addr a = number_addr(1);
	struct fixture *f = fixture_new(2);
	unsigned dials = 0, asked = 0;

	(void)state;
	start(f);
	for (unsigned i = 0; i < 400; i++) {
		struct question q[CONFIG_SEEDS_MAX];
		size_t n = questions(f, q);
		const struct effect *e = effect_at(f, EF_DIAL, 0);

		if (e != NULL && ++dials % 2 == 0) {
			dial_fails(f, e->dial.id, DIAL_REFUSED);
		} else if (n > 0 && ++asked % 3 == 0) {
			seed_lists(f, q[0], &a, 1);
		} else if (n > 0 && asked % 3 == 1) {
			seed_silent(f, q[0]);
		} else { /* silence of all */
			f->now = node_deadline_ms(f->node);
			step_kind(f, EV_TICK);
		}
	}
	assert_true(dials > 10);
	fixture_free(f);
}

static void frames_that_make_no_sense_are_counted(void **state)
{
	static const enum message_type types[] = { MSG_REGISTER, MSG_DEATH,
						   MSG_DEATH_REPLY,
						   MSG_PEER_REQUEST,
						   MSG_PEER_REPLY };
	struct fixture *f = fixture_new(1);

	(void)state;
	join(f, NULL, 0);
	link_up(f, 1);
	for (size_t i = 0; i < COUNT_OF(types); i++) {
		struct message m = { .type = types[i] };

		hear(f, 0, &m);
		assert_int_equal(f->fx.n, 0);
		assert_int_equal(node_stats(f->node).rejected, i + 1);
	}
	assert_int_equal(node_neighbor_count(f->node), 1);
	fixture_free(f);
}

static void what_is_not_held_is_not_found_by_its_beginning(void **state)
{
	struct fixture *f = fixture_with_links(1);
	struct letter l = publish(f, "text");
	char hex[HASH_HEX + 1];
	struct hash id;
	bool several;

	(void)state;
	hash_format(&l.id, hex);
	assert_ptr_equal(node_find(f->node, hex, 6, &id, &several), l.frame);
	assert_memory_equal(&id, &l.id, sizeof id);
	assert_false(several);
	hex[0] = hex[0] == '0' ? '1' : '0';
	assert_null(node_find(f->node, hex, 6, &id, &several));
	letter_free(&l);
	fixture_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_stops_says_bye_and_leaves_the_seeds),
		cmocka_unit_test(who_has_stopped_takes_nobody_and_dials_nobody),
		cmocka_unit_test(who_has_no_link_goes_on_trying),
		cmocka_unit_test(frames_that_make_no_sense_are_counted),
		cmocka_unit_test(random_failures_of_memory_break_no_invariant),
		cmocka_unit_test(without_memory_there_is_no_node),
		cmocka_unit_test(same_seed_and_events_give_the_same_effects),
		cmocka_unit_test(random_events_break_no_invariant),
		cmocka_unit_test(
			what_is_not_held_is_not_found_by_its_beginning),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
