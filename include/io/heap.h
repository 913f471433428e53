/* How the C library and the kernel keep memory for us. */
#ifndef IO_HEAP_H
#define IO_HEAP_H

/* Once, before any thread. */
void heap_settle(void);
/* A busy thread says that the heap will soon be used as far as it has grown.
 * Cheap; any thread. */
void heap_fill_ahead(void);

#endif
