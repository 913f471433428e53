#include "io/heap.h"

#include <malloc.h>

#define GROW_BYTES (256 * 1024)

/* By default glibc makes a heap for each few threads, and lets it grow by one
 * page and one system call at a time: with a store that fills up, 1.4 calls for
 * each message that 16 peers delivered, an eighth of their time. One heap for
 * all threads also costs 70 KiB less in a peer that does nothing. They hardly
 * wait for each other: small pieces come from a cache that each thread has, and
 * what is done with a message takes longer than getting memory for it. */
void heap_settle(void)
{
#ifdef __GLIBC__
	mallopt(M_ARENA_MAX, 1);
	mallopt(M_TOP_PAD, GROW_BYTES);
	mallopt(M_TRIM_THRESHOLD, 4 * GROW_BYTES);
#endif
}
