/* Memory that runs out when a test says so.
 *
 * Every unit test is linked with --wrap for malloc, calloc and realloc, which
 * catches what is called from our own code (and uthash's macros in it), not
 * from inside of libc, cJSON or cmocka. For one thread.
 */
#ifndef SCARCE_H
#define SCARCE_H

#include <stdbool.h>

#define SCARCE_NEVER (-1)

/* The next n allocations succeed, the one after those fails; with `persist`
 * all after them too. SCARCE_NEVER: none fails. */
void scarce_after(long n, bool persist);

/* How many failed since scarce_after; and memory is plenty again. */
long scarce_end(void);

#endif
