#include "peer/renewal.h"

#include "base/crypto.h"
#include "io/clock.h"
#include "peer/hub.h"

#define PAUSE_MS 200 /* between two links, and up to as much again */
/* Who greeted with a key before it was removed may become a link after that. */
#define LOOK_MS 15000

void renewal_init(struct renewal *r, struct peer *p)
{
	*r = (struct renewal){ .peer = p };
}

static int64_t pause_ms(void)
{
	uint8_t chance;

	crypto_random(&chance, sizeof chance);
	return PAUSE_MS + PAUSE_MS * chance / UINT8_MAX;
}

void renewal_reload(struct renewal *r)
{
	struct peer *p = r->peer;

	if (p->to_peers.keys == NULL ||
	    !keys_reload_logged(p->to_peers.keys, p->log))
		return;
	r->next_ms = clock_ms() + pause_ms();
	r->until_ms = clock_ms() + LOOK_MS;
}

int renewal_wait(const struct renewal *r)
{
	int64_t left = r->next_ms - clock_ms();

	if (r->until_ms == 0)
		return -1;
	return left > 0 ? (int)left : 0;
}

void renewal_go_on(struct renewal *r)
{
	if (r->until_ms == 0 || clock_ms() < r->next_ms)
		return;
	if (hub_renew_link(r->peer->hub, r->peer->to_peers.keys))
		r->until_ms = clock_ms() + LOOK_MS;
	r->next_ms = clock_ms() + pause_ms();
	if (clock_ms() > r->until_ms)
		r->until_ms = 0;
}
