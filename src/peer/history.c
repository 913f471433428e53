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

static void add_locked(struct history *h, struct parcel *p, bool sent)
	NEEDS(h->mu)
{
	parcel_release(h->ring[h->next].parcel);
	h->ring[h->next] = (struct history_entry){ parcel_hold(p), sent };
	h->next = (h->next + 1) % HISTORY_MAX;
	if (h->count < HISTORY_MAX)
		h->count++;
}

void history_add(struct history *h, struct parcel *const *p, size_t n,
		 bool sent)
{
	/* Of more than fit the oldest would only come and go. */
	size_t first = n > HISTORY_MAX ? n - HISTORY_MAX : 0;

	mutex_lock(&h->mu);
	for (size_t i = first; i < n; i++)
		add_locked(h, p[i], sent);
	mutex_unlock(&h->mu);
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
