#include "inject/fault.h"

#include <cjson/cJSON.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOISE_ONE_IN 10

static const char *const names[] = {
#define FAULT_NAME(name, once, lasting) #name,
	FAULT_LIST(FAULT_NAME)
#undef FAULT_NAME
};
static const int errors_once[] = {
#define FAULT_ERROR(name, once, lasting) once,
	FAULT_LIST(FAULT_ERROR)
#undef FAULT_ERROR
};
static const int errors_lasting[] = {
#define FAULT_ERROR(name, once, lasting) lasting,
	FAULT_LIST(FAULT_ERROR)
#undef FAULT_ERROR
};

static struct fault fault;
static struct fault_counts *counts;
static atomic_bool armed;
static bool traced;
static atomic_uint_fast64_t chances; /* drawn so far */
static _Thread_local unsigned spared;

const char *fault_name(enum fault_point p)
{
	return names[p];
}

bool fault_happened(void)
{
	return atomic_load(&counts->failed) > 0;
}

void fault_spare(void)
{
	spared++;
}

void fault_spare_end(void)
{
	spared--;
}

void fault_trace(void)
{
	traced = true;
}

void fault_disarm(void)
{
	atomic_store(&armed, false);
}

/* --- does this call fail? --------------------------------------------- */

/* In a run that is looked at: where the fault happens. */
void __sanitizer_print_stack_trace(void) __attribute__((weak));

static void show_place(void)
{
	if (!traced || __sanitizer_print_stack_trace == NULL)
		return;
	spared++;
	__sanitizer_print_stack_trace();
	spared--;
}

/* 0, or the error it fails with. */
static int verdict(enum fault_point p)
{
	uint64_t n;
	bool fails;

	if (spared > 0 || !atomic_load_explicit(&armed, memory_order_relaxed))
		return 0;
	n = atomic_fetch_add(&counts->calls[p], 1) + 1;
	if (p != fault.point)
		return 0;
	fails = (fault.mode == FAULT_ONCE && n == fault.n) ||
		(fault.mode == FAULT_LASTING && n >= fault.n);
	if (!fails)
		return 0;
	if (atomic_fetch_add(&counts->failed, 1) == 0)
		show_place();
	return fault.mode == FAULT_ONCE ? errors_once[p] : errors_lasting[p];
}

static bool fails(enum fault_point p)
{
	int error = verdict(p);

	if (error != 0)
		errno = error;
	return error != 0;
}

/* splitmix64 over the seed and the number of the draw. */
static uint64_t draw(void)
{
	uint64_t x = fault.n + atomic_fetch_add(&chances, 1) *
				       UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static bool noisy(void)
{
	if (fault.mode != FAULT_NOISE || spared > 0 || !atomic_load(&armed) ||
	    draw() % NOISE_ONE_IN != 0)
		return false;
	atomic_fetch_add(&counts->failed, 1);
	return true;
}

static bool interrupted(void)
{
	if (!noisy())
		return false;
	errno = EINTR;
	return true;
}

/* What a call may take of n bytes. */
static size_t portion(size_t n)
{
	return n > 1 && noisy() ? 1 + draw() % (n - 1) : n;
}

/* --- the wrapped functions -------------------------------------------- */

/* The linker's names: what our objects call, and what they meant. */
#define WRAP(type, name, params)   \
	type __real_##name params; \
	type __wrap_##name params; \
	type __wrap_##name params

/* A function that is no more than made to fail. */
#define WRAP_PLAIN(type, name, params, args, failure)                      \
	WRAP(type, name, params)                                           \
	{                                                                  \
		return fails(FAULT_##name) ? failure : __real_##name args; \
	}

WRAP_PLAIN(void *, malloc, (size_t n), (n), NULL)
WRAP_PLAIN(void *, calloc, (size_t n, size_t size), (n, size), NULL)
WRAP_PLAIN(void *, realloc, (void *p, size_t n), (p, n), NULL)
WRAP_PLAIN(char *, strdup, (const char *s), (s), NULL)
WRAP_PLAIN(int, socket, (int domain, int type, int protocol),
	   (domain, type, protocol), -1)
WRAP_PLAIN(int, bind, (int fd, const struct sockaddr *a, socklen_t n),
	   (fd, a, n), -1)
WRAP_PLAIN(int, listen, (int fd, int backlog), (fd, backlog), -1)
WRAP_PLAIN(int, connect, (int fd, const struct sockaddr *a, socklen_t n),
	   (fd, a, n), -1)
WRAP_PLAIN(int, getsockname, (int fd, struct sockaddr *a, socklen_t *n),
	   (fd, a, n), -1)
WRAP_PLAIN(int, getsockopt,
	   (int fd, int level, int name, void *value, socklen_t *n),
	   (fd, level, name, value, n), -1)
WRAP_PLAIN(int, eventfd, (unsigned initial, int flags), (initial, flags), -1)
WRAP_PLAIN(int, fstat, (int fd, struct stat *st), (fd, st), -1)
WRAP_PLAIN(int, ftruncate, (int fd, off_t n), (fd, n), -1)
WRAP_PLAIN(int, rename, (const char *from, const char *to), (from, to), -1)
WRAP_PLAIN(int, mkdir, (const char *path, mode_t mode), (path, mode), -1)
WRAP_PLAIN(DIR *, opendir, (const char *path), (path), NULL)

WRAP(int, pthread_create,
     (pthread_t * t, const pthread_attr_t *a, void *(*run)(void *), void *arg))
{
	int error = verdict(FAULT_pthread_create);

	return error != 0 ? error : __real_pthread_create(t, a, run, arg);
}

WRAP(int, getaddrinfo,
     (const char *host, const char *service, const struct addrinfo *hints,
      struct addrinfo **out))
{
	int error = verdict(FAULT_getaddrinfo);

	return error != 0 ? error
			  : __real_getaddrinfo(host, service, hints, out);
}

WRAP(int, accept4, (int fd, struct sockaddr *a, socklen_t *n, int flags))
{
	if (fails(FAULT_accept4) || interrupted())
		return -1;
	return __real_accept4(fd, a, n, flags);
}

WRAP(int, poll, (struct pollfd * v, nfds_t n, int timeout))
{
	if (fails(FAULT_poll) || interrupted())
		return -1;
	return __real_poll(v, n, timeout);
}

WRAP(ssize_t, recv, (int fd, void *p, size_t n, int flags))
{
	if (fails(FAULT_recv) || interrupted())
		return -1;
	return __real_recv(fd, p, portion(n), flags);
}

WRAP(ssize_t, send, (int fd, const void *p, size_t n, int flags))
{
	if (fails(FAULT_send) || interrupted())
		return -1;
	return __real_send(fd, p, portion(n), flags);
}

WRAP(ssize_t, read, (int fd, void *p, size_t n))
{
	if (fails(FAULT_read) || interrupted())
		return -1;
	return __real_read(fd, p, portion(n));
}

WRAP(ssize_t, write, (int fd, const void *p, size_t n))
{
	if (fails(FAULT_write) || interrupted())
		return -1;
	return __real_write(fd, p, portion(n));
}

/* A short one takes a part of the first piece alone. */
WRAP(ssize_t, sendmsg, (int fd, const struct msghdr *m, int flags))
{
	struct msghdr part = *m;
	struct iovec first;

	if (fails(FAULT_sendmsg) || interrupted())
		return -1;
	if (m->msg_iovlen > 0) {
		first = m->msg_iov[0];
		first.iov_len = portion(first.iov_len);
		if (first.iov_len < m->msg_iov[0].iov_len) {
			part.msg_iov = &first;
			part.msg_iovlen = 1;
		}
	}
	return __real_sendmsg(fd, &part, flags);
}

WRAP(int, open, (const char *path, int flags, ...))
{
	mode_t mode = 0;
	va_list args;

	if (fails(FAULT_open))
		return -1;
	if ((flags & O_CREAT) != 0) {
		va_start(args, flags);
		mode = va_arg(args, mode_t);
		va_end(args);
	}
	return __real_open(path, flags, mode);
}

WRAP(int, fcntl, (int fd, int command, ...))
{
	va_list args;
	long arg;

	if (fails(FAULT_fcntl))
		return -1;
	va_start(args, command);
	arg = va_arg(args, long);
	va_end(args);
	return __real_fcntl(fd, command, arg);
}

WRAP(int, ioctl, (int fd, unsigned long request, ...))
{
	va_list args;
	void *arg;

	if (fails(FAULT_ioctl))
		return -1;
	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	return __real_ioctl(fd, request, arg);
}

/* --- */

void fault_arm(const struct fault *f, struct fault_counts *c)
{
	cJSON_Hooks hooks = { .malloc_fn = __wrap_malloc, .free_fn = free };

	cJSON_InitHooks(&hooks);
	fault = *f;
	counts = c;
	atomic_store(&armed, true);
}
