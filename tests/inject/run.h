/* The standard run: a seed and two peers in one process, from reading their
 * configuration to their good-byes, through everything they can do.
 *
 * It waits for what it wants to see (a line of output, a counter), never for
 * time to pass. Where a user would be told of a failure and try again, so does
 * the run. Main thread only.
 */
#ifndef INJECT_RUN_H
#define INJECT_RUN_H

#include "inject/fault.h"

/* How it may end; the exit status of a run's process. */
enum run_end {
	RUN_COMPLETED,     /* all was seen */
	RUN_TOLD_LOSS,     /* all but a message that is told to be missing */
	RUN_REFUSED,       /* a daemon did not start, and said why */
	RUN_GAVE_UP,       /* a peer ended itself with an exit status */
	RUN_CUT_SHORT,     /* something did not come; all stopped cleanly */
	RUN_ENDS,          /* from here on: findings */
	RUN_BROKEN = 20,   /* a message twice, a descriptor or thread left */
	RUN_SANITIZER = 99 /* the sanitizers' own status */
};

struct run_report {
	struct fault_counts counts;
	char step[64]; /* the last one begun, or the first that failed */
	char why[128]; /* of RUN_BROKEN */
	atomic_int_fast64_t run_ms, stop_ms;
};

/* In an empty directory. */
enum run_end run_all(const char *directory, const struct fault *f,
		     struct run_report *report);

#endif
