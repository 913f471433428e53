/* What a seed is measured against: a server of the same shape that does
 * nothing.
 *
 * usage: bare_seed PORT
 *
 * A thread for each connection reads a frame and answers with a canned one of
 * the size of a real Peer List, without looking at what it was asked but for
 * the kind: a Register without a lease is dialed back first, as a seed does.
 * It has no table, no limits, no deadlines, no log, and no way to end but by a
 * signal: it shows what the kernel takes.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEAD 8
#define BODY_MAX 512
#define PEERS 32
#define STACK_BYTES (256 * 1024) /* as the threads of a seed */

struct canned {
	char bytes[2048];
	size_t n;
};

static struct canned list, registered, question;

static void can(struct canned *c, const char *body)
{
	size_t n = strlen(body);

	memcpy(c->bytes, "\1\0\0\0\0\0", 6);
	c->bytes[6] = (char)(n >> 8);
	c->bytes[7] = (char)n;
	memcpy(c->bytes + HEAD, body, n);
	c->n = HEAD + n;
}

static void can_all(void)
{
	char peers[1024] = "", body[2000];
	size_t n = 0;

	for (int i = 0; i < PEERS; i++)
		n += (size_t)snprintf(peers + n, sizeof peers - n,
				      "%s\"127.1.0.%d:27%03d\"", i ? "," : "",
				      100 + i, 100 + i);
	snprintf(body, sizeof body,
		 "{\"type\":\"Peer List\",\"count\":1000,\"peers\":[%s]}",
		 peers);
	can(&list, body);
	snprintf(body, sizeof body,
		 "{\"type\":\"Peer List\",\"count\":1000,\"peers\":[%s],"
		 "\"you\":\"127.1.0.100:40000\",\"reachable\":true,"
		 "\"period_ms\":60000,"
		 "\"lease\":\"00112233445566778899aabbccddeeff\"}",
		 peers);
	can(&registered, body);
	can(&question, "{\"type\":\"Liveliness\",\"nonce\":4503599627370496}");
}

/* One frame into at, with a NUL behind it; false: that was the last. */
static int read_frame(int fd, char *at)
{
	size_t n = 0, want = HEAD;

	while (n < want) {
		ssize_t got = recv(fd, at + n, HEAD + BODY_MAX - n, 0);

		if (got <= 0)
			return 0;
		n += (size_t)got;
		if (n >= HEAD)
			want = HEAD +
			       (size_t)((uint8_t)at[6] << 8 | (uint8_t)at[7]);
		if (want > HEAD + BODY_MAX)
			return 0;
	}
	at[n] = '\0';
	return 1;
}

static int send_canned(int fd, const struct canned *c)
{
	return send(fd, c->bytes, c->n, MSG_NOSIGNAL) == (ssize_t)c->n;
}

static void dial_back(const char *request)
{
	const char *a = strstr(request, "\"address\":\"");
	struct sockaddr_in to = { .sin_family = AF_INET };
	char ip[INET_ADDRSTRLEN], answer[HEAD + BODY_MAX + 1];
	unsigned port;
	int fd;

	if (!a || sscanf(a + 11, "%15[0-9.]:%u", ip, &port) != 2)
		return;
	inet_pton(AF_INET, ip, &to.sin_addr);
	to.sin_port = htons((uint16_t)port);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0 &&
	    send_canned(fd, &question))
		(void)read_frame(fd, answer);
	close(fd);
}

static void *serve(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char request[HEAD + BODY_MAX + 1];
	int more = 1;

	while (more && read_frame(fd, request)) {
		const char *body = request + HEAD;
		int is_register = strstr(body, "\"Register\"") != NULL;

		if (is_register && !strstr(body, "\"lease\""))
			dial_back(body);
		more = send_canned(fd, is_register ? &registered : &list);
	}
	close(fd);
	return NULL;
}

static int listen_on(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons(port) };
	int on = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0 ||
	    listen(fd, 1024) < 0) {
		perror("bare_seed");
		exit(1);
	}
	return fd;
}

int main(int argc, char **argv)
{
	pthread_attr_t attr;
	int listener;

	if (argc != 2) {
		fputs("usage: bare_seed PORT\n", stderr);
		return 2;
	}
	can_all();
	listener = listen_on((uint16_t)atoi(argv[1]));
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		pthread_t t;

		if (fd >= 0 &&
		    pthread_create(&t, &attr, serve, (void *)(intptr_t)fd) != 0)
			close(fd);
	}
}
