/* How the C library keeps memory for us. Called once, before any thread. */
#ifndef IO_HEAP_H
#define IO_HEAP_H

void heap_settle(void);

#endif
