#include "peer/history.h"

#include <string.h>

void history_init(struct history *h)
{
	memset(h, 0, sizeof *h);
	mutex_init(&h->mu);
}

void history_free(struct history *h)
{
	for (unsigned i = 0; i < HISTORY_MAX; i++)
		parcel_release(h->ring[i].parcel);
	mutex_destroy(&h->mu);
}

void history_add(struct history *h, struct parcel *p, bool sent)
{
	struct parcel *old;

	mutex_lock(&h->mu);
	old = h->ring[h->next].parcel;
	h->ring[h->next] = (struct history_entry){ parcel_hold(p), sent };
	h->next = (h->next + 1) % HISTORY_MAX;
	if (h->count < HISTORY_MAX)
		h->count++;
	mutex_unlock(&h->mu);
	parcel_release(old);
}

unsigned history_copy(struct history *h, struct history_entry out[HISTORY_MAX])
{
	unsigned n;

	mutex_lock(&h->mu);
	n = h->count;
	for (unsigned i = 0; i < n; i++) {
		out[i] = h->ring[(h->next + HISTORY_MAX - n + i) % HISTORY_MAX];
		parcel_hold(out[i].parcel);
	}
	mutex_unlock(&h->mu);
	return n;
}
