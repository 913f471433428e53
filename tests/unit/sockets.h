/* What tests with sockets and threads share. */
#ifndef SOCKETS_H
#define SOCKETS_H

#include "io/clock.h"
#include "io/sock.h"
#include "io/thread.h"

#include "test.h"

#include <dirent.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_MS 20000 /* for what must happen, on a slow machine */
#define SOON (clock_ms() + PATIENCE_MS)

/* Waits for a condition instead of some time. */
#define EVENTUALLY(condition)                                              \
	do {                                                               \
		int64_t until_ms_ = SOON;                                  \
		while (!(condition)) {                                     \
			if (clock_ms() > until_ms_)                        \
				fail_msg("never: %s", #condition);         \
			nanosleep(&(struct timespec){ 0, 1000000 }, NULL); \
		}                                                          \
	} while (0)

#define assert_ok(e) assert_string_equal(err_text(e), err_text(ERR_OK))

static inline struct addr local_addr(int family)
{
	struct addr a = { .family = (uint8_t)family };

	if (family == ADDR_V6)
		a.ip[15] = 1;
	else
		memcpy(a.ip, (uint8_t[]){ 127, 0, 0, 1 }, 4);
	return a;
}

static inline int listen_local(int family, struct addr *bound)
{
	struct addr a = local_addr(family);
	int fd = -1;

	assert_ok(sock_listen(&a, &fd, bound));
	return fd;
}

/* Two ends of one TCP connection. */
static inline void tcp_pair(int family, int fd[2])
{
	struct addr bound, remote;
	int listener = listen_local(family, &bound);

	assert_ok(sock_open(&bound, &fd[0]));
	assert_ok(sock_connect(fd[0], &bound, SOON));
	assert_ok(sock_accept(listener, &fd[1], &remote));
	sock_close(listener);
}

/* A listener that answers nobody: dialing it hangs. */
struct full_listener {
	int listener, callers[8];
	struct addr addr;
};

static inline void full_listener_open(struct full_listener *f)
{
	struct sockaddr_in name = { .sin_family = AF_INET };
	socklen_t len = sizeof name;

	name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	f->listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(
		bind(f->listener, (struct sockaddr *)&name, sizeof name), 0);
	assert_int_equal(listen(f->listener, 0), 0);
	getsockname(f->listener, (struct sockaddr *)&name, &len);
	f->addr = local_addr(ADDR_V4);
	f->addr.port = ntohs(name.sin_port);
	for (size_t i = 0; i < COUNT_OF(f->callers); i++) {
		f->callers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)connect(f->callers[i], (struct sockaddr *)&name, len);
	}
}

static inline void full_listener_close(struct full_listener *f)
{
	sock_close(f->listener);
	for (size_t i = 0; i < COUNT_OF(f->callers); i++)
		sock_close(f->callers[i]);
}

/* Fills what the kernel takes at this moment for a reader that does not read.
 * Later it may take a little more, as bytes move on to the reader's side. */
static inline void stuff(int fd)
{
	static char junk[65536];
	struct iovec v = { junk, sizeof junk };
	size_t sent = 0;
	int64_t until_ms = SOON;

	do {
		assert_ok(sock_send_now(fd, &v, 1, &sent));
		assert_true(clock_ms() < until_ms);
	} while (sent > 0);
}

/* Is that thread of ours waiting in the kernel? */
static inline bool asleep(pid_t tid)
{
	char path[64], text[256] = "", *p;
	FILE *f;

	snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)tid);
	f = fopen(path, "r");
	if (f == NULL)
		return false;
	p = fgets(text, sizeof text, f) ? strrchr(text, ')') : NULL;
	fclose(f);
	return p != NULL && p[2] == 'S';
}

static inline size_t thread_count(void)
{
	DIR *d = opendir("/proc/self/task");
	size_t n = 0;

	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n - 2; /* . and .. */
}

static inline size_t fd_count(void)
{
	DIR *d = opendir("/proc/self/fd");
	size_t n = 0;

	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n - 3; /* . and .. and d itself */
}

#endif
