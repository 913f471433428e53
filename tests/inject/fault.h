/* Faults on order: each function below is wrapped by the linker (--wrap), in
 * every object of ours; a run can make its n-th call fail, that one alone or
 * it and all later ones, or disturb a tenth of all reads, writes and waits.
 *
 * cJSON is a shared library and not reached by --wrap, but its own hooks send
 * its memory through our malloc. What libc and libsodium do inside stays whole.
 *
 * One run per process: threads make the order of calls vary from run to run,
 * so "the n-th call" is a different one each time; it is a point as long as
 * some call was the n-th.
 */
#ifndef INJECT_FAULT_H
#define INJECT_FAULT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Function; what it says when a single call fails, and when all do. For
 * getaddrinfo and pthread_create this is their result. */
#define FAULT_LIST(X)                         \
	X(malloc, ENOMEM, ENOMEM)             \
	X(calloc, ENOMEM, ENOMEM)             \
	X(realloc, ENOMEM, ENOMEM)            \
	X(strdup, ENOMEM, ENOMEM)             \
	X(pthread_create, EAGAIN, EAGAIN)     \
	X(socket, EMFILE, ENOBUFS)            \
	X(bind, EADDRNOTAVAIL, EACCES)        \
	X(listen, EADDRINUSE, EADDRINUSE)     \
	X(accept4, ECONNABORTED, EMFILE)      \
	X(connect, ECONNREFUSED, ENETUNREACH) \
	X(getsockname, ENOBUFS, ENOBUFS)      \
	X(getsockopt, ENOBUFS, ENOBUFS)       \
	X(getaddrinfo, EAI_AGAIN, EAI_MEMORY) \
	X(sendmsg, ECONNRESET, ENOBUFS)       \
	X(recv, ECONNRESET, ENOMEM)           \
	X(send, EPIPE, ENOBUFS)               \
	X(read, EIO, EIO)                     \
	X(write, EIO, ENOSPC)                 \
	X(open, EMFILE, EACCES)               \
	X(fcntl, EINVAL, EINVAL)              \
	X(poll, ENOMEM, ENOMEM)               \
	X(ioctl, EINVAL, EINVAL)              \
	X(eventfd, EMFILE, ENFILE)            \
	X(fstat, EIO, EIO)                    \
	X(ftruncate, EIO, EIO)                \
	X(rename, EACCES, EACCES)             \
	X(mkdir, ENOSPC, ENOSPC)              \
	X(opendir, EMFILE, ENFILE)

enum fault_point {
#define FAULT_ENUM(name, once, lasting) FAULT_##name,
	FAULT_LIST(FAULT_ENUM)
#undef FAULT_ENUM
		FAULT_POINTS
};

enum fault_mode {
	FAULT_NONE,
	FAULT_ONCE,    /* the n-th call alone */
	FAULT_LASTING, /* it and all that follow */
	FAULT_NOISE    /* n seeds the chance of short calls and EINTR */
};

struct fault {
	enum fault_mode mode;
	enum fault_point point;
	uint64_t n;
};

/* In memory that the parent of the run sees, too. */
struct fault_counts {
	atomic_uint_fast64_t calls[FAULT_POINTS];
	atomic_uint_fast64_t failed; /* calls that were made to fail */
};

const char *fault_name(enum fault_point p);
/* From now on; before any other thread exists. */
void fault_arm(const struct fault *f, struct fault_counts *c);
/* From now on nothing is counted or fails any more. */
void fault_disarm(void);
/* Print where the first fault happens (with sanitizers). Before fault_arm. */
void fault_trace(void);
/* Has the fault happened? */
bool fault_happened(void);
/* The calling thread's calls are the test's own: not counted, never failed.
 * Nests. */
void fault_spare(void);
void fault_spare_end(void);

#endif
