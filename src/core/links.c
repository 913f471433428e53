#include "core/node_impl.h"

#include <stdlib.h>
#include <string.h>

link_set links_up(const struct node *n)
{
	return n->up;
}

unsigned links_count(const struct node *n)
{
	unsigned count = 0;

	for (unsigned i = 0; i < LINK_SLOTS; i++)
		count += n->links[i].up;
	return count;
}

unsigned links_dialed(const struct node *n)
{
	unsigned count = 0;

	for (unsigned i = 0; i < LINK_SLOTS; i++)
		count += n->links[i].up && n->links[i].info.dialed;
	return count;
}

uint8_t links_by_addr(const struct node *n, const struct addr *a)
{
	for (uint8_t i = 0; i < LINK_SLOTS; i++)
		if (n->links[i].up && addr_equal(&n->links[i].info.id.addr, a))
			return i;
	return LINK_NONE;
}

/* Off loopback one host may not fill our links (eclipse): neither the one it
 * claims to be nor the one it comes from. */
bool links_host_full(const struct node *n, const struct addr *a)
{
	unsigned count = 0;

	if (addr_is_loopback(a) || addr_is_none(a))
		return false;
	for (unsigned i = 0; i < LINK_SLOTS; i++)
		count += n->links[i].up &&
			 (addr_same_host(&n->links[i].info.id.addr, a) ||
			  addr_same_host(&n->links[i].from, a));
	return count >= n->config->overlay.per_host_max;
}

uint8_t link_add(struct step *s, const struct identity *id, bool dialed,
		 uint64_t neighbors, const struct addr *via)
{
	struct node *n = s->n;
	uint8_t slot = 0;

	while (slot < LINK_SLOTS && n->links[slot].up)
		slot++;
	if (slot == LINK_SLOTS)
		return LINK_NONE;
	n->links[slot] = (struct link_state){
		.up = true,
		.info = { .id = *id,
			  .link = slot,
			  .dialed = dialed,
			  .since_ms = s->now,
			  .heard_ms = s->now,
			  .rtt_ms = -1,
			  .neighbors = neighbors },
		.ping_ms = s->now,
		.lazy_until = s->now,
		.asked_ms = NEVER_ASKED_MS,
		.again_ms = NEVER_ASKED_MS,
		.unnoted_ms = NEVER_ASKED_MS,
		.told_ms = NEVER_ASKED_MS,
		.fed_ms = NEVER_ASKED_MS,
	};
	n->up = (link_set)(n->up | link_bit(slot));
	if (via != NULL)
		n->links[slot].via = *via;
	n->overlay.lonely_rounds = 0;
	return slot;
}

void link_remove(struct step *s, uint8_t slot, enum unlink_cause cause,
		 enum bye_reason bye)
{
	struct effect *e = effects_add(s->out, EF_UNLINK);

	e->link = slot;
	e->unlink.cause = cause;
	e->unlink.bye = bye;
	s->n->links[slot].up = false;
	s->n->up = (link_set)(s->n->up & ~link_bit(slot));
	s->n->behind = (link_set)(s->n->behind & ~link_bit(slot));
	s->n->lazy = (link_set)(s->n->lazy & ~link_bit(slot));
	gossip_link_down(s, slot);
	free(s->n->links[slot].answers.v);
	s->n->links[slot].answers = (struct answers){ 0 };
}

struct message *say(struct step *s, link_set to, enum message_type type)
{
	struct effect *e = effects_add(s->out, EF_SAY);

	e->links = to;
	e->say.type = type;
	return &e->say;
}

size_t links_sample(struct step *s, const struct addr *except, size_t want,
		    struct addr_list *out)
{
	struct node *n = s->n;
	struct addr *a = effects_room(s->out, LINK_SLOTS * sizeof *a);
	size_t count = 0;

	for (uint8_t i = 0; i < LINK_SLOTS && a != NULL; i++)
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
