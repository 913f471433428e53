/* What floor_flood, floor_tree and nats_node share: bytes in batches, sockets
 * of 127.0.0.1, threads. They are yardsticks: no limits, no protocol, and an
 * error ends the program.
 *
 * A frame is a head (length of the text, id), then the text: one line with its
 * line end. Native byte order: both ends are on this machine.
 */
#ifndef FLOOR_H
#define FLOOR_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEAD_BYTES 12
#define ROOM_BYTES (256 * 1024) /* most that is read from a link at a time */
#define LINE_BYTES (64 * 1024)  /* the longest line, and a read of stdin */
#define STACK_BYTES (128 * 1024)
#define DIAL_TRIES 3000 /* 2 ms apart: the others are starting, too */

static inline void die(const char *what)
{
	perror(what);
	exit(1);
}

static inline void *need(void *memory)
{
	if (memory == NULL)
		die("memory");
	return memory;
}

/* --- frames --------------------------------------------------------------- */

struct head {
	uint32_t bytes;
	uint64_t id;
};

static inline struct head head_read(const char *at)
{
	struct head h;

	memcpy(&h.bytes, at, sizeof h.bytes);
	memcpy(&h.id, at + sizeof h.bytes, sizeof h.id);
	return h;
}

static inline void head_write(char *at, struct head h)
{
	memcpy(at, &h.bytes, sizeof h.bytes);
	memcpy(at + sizeof h.bytes, &h.id, sizeof h.id);
}

/* --- bytes ---------------------------------------------------------------- */

/* Bytes that grow at the end and go at the front. */
struct bytes {
	char *at;
	size_t n, room;
};

static inline void bytes_reserve(struct bytes *b, size_t more)
{
	if (b->n + more <= b->room)
		return;
	b->room = 2 * (b->n + more);
	b->at = need(realloc(b->at, b->room));
}

static inline void bytes_add(struct bytes *b, const char *p, size_t n)
{
	bytes_reserve(b, n);
	memcpy(b->at + b->n, p, n);
	b->n += n;
}

static inline void bytes_drop(struct bytes *b, size_t n)
{
	b->n -= n;
	memmove(b->at, b->at + n, b->n);
}

/* One read, of at most `most` bytes; false at the end of the stream. */
static inline bool bytes_fill(struct bytes *b, int fd, size_t most)
{
	ssize_t got;

	bytes_reserve(b, most);
	do
		got = read(fd, b->at + b->n, most);
	while (got < 0 && errno == EINTR);
	if (got <= 0)
		return false;
	b->n += (size_t)got;
	return true;
}

static inline bool write_whole(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t put = write(fd, p, n);

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return false;
		p += put;
		n -= (size_t)put;
	}
	return true;
}

/* --- what is delivered ---------------------------------------------------- */

static pthread_mutex_t printing = PTHREAD_MUTEX_INITIALIZER;

/* Prints the lines of one batch and forgets them. */
static inline void print_lines(struct bytes *text)
{
	if (text->n == 0)
		return;
	pthread_mutex_lock(&printing);
	if (!write_whole(STDOUT_FILENO, text->at, text->n))
		die("stdout");
	pthread_mutex_unlock(&printing);
	text->n = 0;
}

/* --- sockets and threads -------------------------------------------------- */

static inline struct sockaddr_in place(int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons((uint16_t)port),
				 .sin_addr = { htonl(INADDR_LOOPBACK) } };

	return a;
}

static inline int tcp_socket(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	int yes = 1;

	if (fd < 0)
		die("socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
	return fd;
}

static inline int tcp_listen(int port)
{
	struct sockaddr_in a = place(port);
	int fd = tcp_socket();

	if (bind(fd, (struct sockaddr *)&a, sizeof a) != 0 ||
	    listen(fd, 128) != 0)
		die("listen");
	return fd;
}

static inline int tcp_accept(int listener)
{
	int fd, yes = 1;

	do
		fd = accept(listener, NULL, NULL);
	while (fd < 0 && errno == EINTR);
	if (fd < 0)
		die("accept");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
	return fd;
}

static inline int tcp_dial(int port)
{
	struct sockaddr_in a = place(port);

	for (int i = 0; i < DIAL_TRIES; i++) {
		int fd = tcp_socket();

		if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0)
			return fd;
		close(fd);
		usleep(2000);
	}
	die("connect");
	return -1;
}

static inline void thread_run(void *(*run)(void *), void *arg)
{
	pthread_attr_t how;
	pthread_t id;

	pthread_attr_init(&how);
	pthread_attr_setstacksize(&how, STACK_BYTES);
	pthread_attr_setdetachstate(&how, PTHREAD_CREATE_DETACHED);
	if (pthread_create(&id, &how, run, arg) != 0)
		die("thread");
	pthread_attr_destroy(&how);
}

#endif
