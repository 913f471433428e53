/* The last messages, for the prompt's `2`. Holds parcels. Any thread. */
#ifndef PEER_HISTORY_H
#define PEER_HISTORY_H

#include "peer/parcel.h"

#include "io/thread.h"

#define HISTORY_MAX 100

struct history_entry {
	struct parcel *parcel;
	bool sent; /* by this peer */
};

struct history {
	struct mutex mu;
	struct history_entry ring[HISTORY_MAX]; /* (mu) */
	unsigned next, count;                   /* (mu) */
};

void history_init(struct history *h);
void history_free(struct history *h);
/* n messages, oldest first. */
void history_add(struct history *h, struct parcel *const *p, size_t n,
		 bool sent);
/* Oldest first, each with a reference for the caller; returns how many. */
unsigned history_copy(struct history *h, struct history_entry out[HISTORY_MAX]);

#endif
