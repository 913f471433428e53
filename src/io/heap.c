#include "io/heap.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#define GROW_BYTES (1024 * 1024)

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
	mallopt(M_TRIM_THRESHOLD, 2 * GROW_BYTES);
#endif
}

/* One call for the pages of a megabyte, instead of a fault for each: 4 to 7 %
 * of a peer's time while its store fills up. What was mapped and trimmed again
 * is left to the faults. Kernels before 5.14 refuse, which is no loss. */
void heap_fill_ahead(void)
{
#if defined(__GLIBC__) && defined(MADV_POPULATE_WRITE)
	static atomic_uintptr_t filled;
	uintptr_t top = (uintptr_t)sbrk(0); /* no system call */
	uintptr_t was = atomic_load_explicit(&filled, memory_order_relaxed);

	if (top <= was || !atomic_compare_exchange_strong(&filled, &was, top))
		return;
	/* Both are page-aligned. Not all that there was before the first time.
	 */
	if (top - was <= 2 * GROW_BYTES)
		madvise((void *)was, top - was, MADV_POPULATE_WRITE);
#endif
}
