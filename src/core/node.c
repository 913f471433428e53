#include "core/node.h"

#include "core/node_impl.h"

#include <stdlib.h>

struct node *node_new(const struct node_options *o)
{
	struct node *n = calloc(1, sizeof *n);

	if (n == NULL)
		return NULL;
	n->config = o->config;
	n->self = o->self;
	n->learn_address = o->learn_address;
	rng_init(&n->rng, o->rng_seed);
	n->liveness.nonces = rng_u64(&n->rng) & (NONCE_MAX - 1);
	n->registration.renew_ms = NEVER_MS;
	gossip_init(n);
	if (!overlay_init(n)) {
		node_free(n);
		return NULL;
	}
	return n;
}

void node_free(struct node *n)
{
	if (n == NULL)
		return;
	gossip_free(n);
	overlay_free(n);
	registration_free(n);
	free(n);
}

/* R15: say good-bye everywhere. The shell flushes and closes. */
static void stop(struct step *s)
{
	have_hand_over(s);
	s->n->stopped = true;
	for (uint8_t i = 0; i < LINK_SLOTS; i++)
		if (s->n->links[i].up)
			link_remove(s, i, UNLINK_BYE_SENT, BYE_SHUTDOWN);
	effects_add(s->out, EF_LEAVE);
}

static void tick(struct step *s)
{
	if (s->n->stopped)
		return;
	liveness_tick(s);
	registration_tick(s);
	overlay_tick(s);
	gossip_tick(s);
}

/* Frames that are no Message, from a neighbor. */
static void on_control(struct step *s, uint8_t slot, const struct message *m)
{
	switch (m->type) {
	case MSG_LIVELINESS:
		liveness_on_ask(s, slot, &m->liveliness);
		break;
	case MSG_LIVELINESS_REPLY:
		liveness_on_reply(s, slot, &m->liveliness_reply);
		break;
	case MSG_GET_PEER_LIST:
		overlay_on_get_peer_list(s, slot, &m->get_peer_list);
		break;
	case MSG_PEER_LIST:
		overlay_on_peer_list(s, slot, &m->peer_list);
		break;
	case MSG_GET_DATA:
		answer_get_data(s, slot, &m->get_data);
		break;
	case MSG_NOT_FOUND:
		gossip_on_not_found(s, slot, &m->not_found);
		break;
	case MSG_BYE:
		overlay_on_bye(s, slot, m->bye.reason);
		break;
	case MSG_HAVE:
		pull_on_have(s, slot, &m->have);
		break;
	case MSG_GRAFT:
		tree_on_graft(s, slot, &m->graft);
		break;
	case MSG_PRUNE:
		tree_on_prune(s, slot, &m->graft);
		break;
	default:
		s->n->stats.rejected++;
	}
}

/* A link that said or got a Bye is read to its end: what was sent before
 * still counts as gossip, but it is no neighbor any more. */
static void on_frame(struct step *s, uint8_t slot, const struct ev_frame *f)
{
	bool linked = slot < LINK_SLOTS && s->n->links[slot].up;

	if (linked)
		liveness_heard(s, slot);
	if (f->msg->type == MSG_MESSAGE)
		gossip_on_message(s, linked ? slot : LINK_NONE, f);
	else if (linked)
		on_control(s, slot, f->msg);
}

static void on_down(struct step *s, uint8_t slot, enum down_cause cause)
{
	static const enum unlink_cause causes[] = {
		[DOWN_RESET] = UNLINK_RESET,
		[DOWN_BREACH] = UNLINK_BREACH,
		[DOWN_SLOW] = UNLINK_SLOW,
	};

	if (cause == DOWN_LOCAL)
		overlay_give_up(s, slot);
	else if (cause == DOWN_RENEW)
		overlay_renew(s, slot);
	else
		overlay_lose(s, slot, causes[cause]);
}

static void on_link_event(struct step *s, const struct event *ev)
{
	if (ev->link >= LINK_SLOTS || !s->n->links[ev->link].up)
		return;
	switch (ev->kind) {
	case EV_HEARD:
		liveness_heard(s, ev->link);
		break;
	case EV_DOWN:
		on_down(s, ev->link, ev->down);
		break;
	case EV_CHECKED:
		liveness_on_checked(s, ev->link, ev->bytes_wait);
		break;
	case EV_FULL:
		gossip_link_full(s, ev->link);
		break;
	case EV_DRAINED:
		gossip_link_drained(s, ev->link);
		break;
	default:
		break;
	}
}

void node_step(struct node *n, int64_t now_ms, const struct event *ev,
	       struct effects *out)
{
	struct step s = { .n = n, .now = now_ms, .out = out };

	effects_clear(out);
	switch (ev->kind) {
	case EV_START:
		liveness_start(&s);
		registration_begin(&s, ROUND_JOIN);
		break;
	case EV_TICK:
		tick(&s);
		break;
	case EV_SEED:
		registration_on_seed(&s, &ev->seed);
		break;
	case EV_REQUEST:
		admission_on_request(&s, &ev->request);
		break;
	case EV_DIALED:
		admission_on_dialed(&s, &ev->dialed);
		break;
	case EV_FRAME:
		on_frame(&s, ev->link, &ev->frame);
		break;
	case EV_HEARD:
	case EV_DOWN:
	case EV_CHECKED:
	case EV_FULL:
	case EV_DRAINED:
		on_link_event(&s, ev);
		break;
	case EV_OUTPUT:
		gossip_on_output(&s, ev->output_slow);
		break;
	case EV_PUBLISH:
		gossip_on_publish(&s, &ev->publish);
		break;
	case EV_SYNC:
		sync_begin(&s);
		break;
	case EV_FIND:
		find_begin(&s, &ev->find);
		break;
	case EV_STOP:
		stop(&s);
		break;
	}
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

int64_t node_deadline_ms(const struct node *n)
{
	if (n->stopped)
		return NEVER_MS;
	return earlier(earlier(liveness_deadline(n), registration_deadline(n)),
		       earlier(overlay_deadline(n), gossip_deadline(n)));
}

const struct identity *node_self(const struct node *n)
{
	return &n->self;
}

uint64_t node_next_seq(const struct node *n)
{
	return n->stats.published + 1;
}

size_t node_neighbors(const struct node *n, struct neighbor out[LINK_SLOTS])
{
	size_t count = 0;

	for (unsigned i = 0; i < LINK_SLOTS; i++)
		if (n->links[i].up)
			out[count++] = n->links[i].info;
	return count;
}

size_t node_neighbor_count(const struct node *n)
{
	return links_count(n);
}

struct node_stats node_stats(const struct node *n)
{
	struct node_stats stats = n->stats;

	stats.store_messages = n->gossip.store.count;
	stats.store_bytes = n->gossip.store.bytes;
	return stats;
}

struct frame *node_find(struct node *n, const char *hex, size_t digits,
			struct hash *id, bool *several)
{
	const struct stored *held =
		store_by_prefix(&n->gossip.store, hex, digits, several);

	if (held == NULL)
		return NULL;
	*id = held->id;
	return held->frame;
}
