#include "io/sock.h"

#include "io/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Connections that wait for accept: bursts of joiners, not a steady state. */
#define BACKLOG 1024
/* sock_keep_short: the kernel makes 128 KiB of it, which at a round trip of 2
 * ms still carry 64 MB a second. */
#define SHORT_BYTES 65536
#define NEAR_US 2000

union name {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static socklen_t name_from_addr(const struct addr *a, union name *out)
{
	memset(out, 0, sizeof *out);
	if (a->family == ADDR_V6) {
		out->v6.sin6_family = AF_INET6;
		out->v6.sin6_port = htons(a->port);
		memcpy(&out->v6.sin6_addr, a->ip, 16);
		return sizeof out->v6;
	}
	out->v4.sin_family = AF_INET;
	out->v4.sin_port = htons(a->port);
	memcpy(&out->v4.sin_addr, a->ip, 4);
	return sizeof out->v4;
}

/* An IPv4 address in IPv6 clothes becomes plain IPv4: one address, one text.
 * False for anything else and for a zone, which an addr cannot name. */
static bool name_to_addr(const union name *n, struct addr *out)
{
	struct addr a = { 0 };

	if (n->any.sa_family == AF_INET) {
		a.family = ADDR_V4;
		a.port = ntohs(n->v4.sin_port);
		memcpy(a.ip, &n->v4.sin_addr, 4);
	} else if (n->any.sa_family == AF_INET6) {
		bool mapped = IN6_IS_ADDR_V4MAPPED(&n->v6.sin6_addr);

		if (n->v6.sin6_scope_id != 0)
			return false;
		a.family = mapped ? ADDR_V4 : ADDR_V6;
		a.port = ntohs(n->v6.sin6_port);
		if (mapped)
			memcpy(a.ip, n->v6.sin6_addr.s6_addr + 12, 4);
		else
			memcpy(a.ip, &n->v6.sin6_addr, 16);
	} else {
		return false;
	}
	*out = a;
	return true;
}

static bool own_name(int fd, struct addr *out)
{
	union name name = { 0 };
	socklen_t len = sizeof name;

	return getsockname(fd, &name.any, &len) == 0 &&
	       name_to_addr(&name, out);
}

static int domain_of(const struct addr *a)
{
	return a->family == ADDR_V6 ? AF_INET6 : AF_INET;
}

static void set_on(int fd, int level, int option)
{
	int on = 1;

	/* Fails only on what is no such socket; then the next call tells. */
	(void)setsockopt(fd, level, option, &on, sizeof on);
}

static enum err close_failed(int fd)
{
	int saved = errno;

	sock_close(fd);
	errno = saved;
	return ERR_SYSTEM;
}

enum err sock_listen(const struct addr *a, int *fd, struct addr *bound)
{
	union name name;
	socklen_t len = name_from_addr(a, &name);
	struct addr real = { 0 };
	int s = socket(domain_of(a), SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (s < 0)
		return ERR_SYSTEM;
	set_on(s, SOL_SOCKET, SO_REUSEADDR);
	set_on(s, IPPROTO_TCP, TCP_NODELAY); /* what it accepts has it, too */
	if (a->family == ADDR_V6)
		set_on(s, IPPROTO_IPV6, IPV6_V6ONLY);
	if (bind(s, &name.any, len) < 0 || listen(s, BACKLOG) < 0 ||
	    !own_name(s, &real))
		return close_failed(s);
	*fd = s;
	*bound = real;
	return ERR_OK;
}

enum err sock_accept(int listener, int *fd, struct addr *remote)
{
	union name name = { 0 };
	socklen_t len;
	int s;

	do {
		len = sizeof name;
		s = accept4(listener, &name.any, &len, SOCK_CLOEXEC);
	} while (s < 0 && errno == EINTR);
	if (s < 0)
		return ERR_SYSTEM;
	if (!name_to_addr(&name, remote)) {
		errno = ECONNABORTED; /* a link-local caller: go on */
		return close_failed(s);
	}
	*fd = s;
	return ERR_OK;
}

enum err sock_open(const struct addr *to, int *fd)
{
	int s = socket(domain_of(to), SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (s < 0)
		return ERR_SYSTEM;
	set_on(s, IPPROTO_TCP, TCP_NODELAY);
	*fd = s;
	return ERR_OK;
}

enum err sock_leave_from(int fd, const struct addr *from)
{
	struct addr any_port = *from;
	union name name;
	socklen_t len;

	/* Without this the kernel would take a port away from everybody at
	 * once, instead of one per destination at the connect. */
	set_on(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT);
	any_port.port = 0;
	len = name_from_addr(&any_port, &name);
	return bind(fd, &name.any, len) < 0 ? ERR_SYSTEM : ERR_OK;
}

static int poll_timeout(int64_t deadline_ms)
{
	int64_t now = clock_ms();

	if (deadline_ms == INT64_MAX)
		return -1;
	if (deadline_ms <= now)
		return 0;
	return deadline_ms - now > INT_MAX ? INT_MAX : (int)(deadline_ms - now);
}

/* Looks once even when the deadline has passed. Errors of the socket count as
 * ready: the call that follows reports them. */
static enum err wait_ready(int fd, short events, int64_t deadline_ms,
			   short *seen)
{
	struct pollfd p = { .fd = fd, .events = events };

	for (;;) {
		int n = poll(&p, 1, poll_timeout(deadline_ms));

		if (n > 0)
			break;
		if (n == 0 && clock_ms() >= deadline_ms)
			return ERR_TIMEOUT;
		if (n < 0 && errno != EINTR)
			return ERR_SYSTEM;
	}
	*seen = p.revents;
	return ERR_OK;
}

static enum err connect_error(int error)
{
	errno = error;
	switch (error) {
	case 0:
		return ERR_OK;
	case ECONNREFUSED:
		return ERR_REFUSED;
	case ETIMEDOUT:
		return ERR_TIMEOUT;
	default:
		return ERR_SYSTEM;
	}
}

static enum err finish_connect(int fd, int64_t deadline_ms)
{
	int error = 0;
	socklen_t len = sizeof error;
	short seen = 0;
	enum err e = wait_ready(fd, POLLOUT, deadline_ms, &seen);

	if (e != ERR_OK)
		return e;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		return ERR_SYSTEM;
	if (error == 0 && (seen & POLLHUP) != 0)
		error = ECONNABORTED; /* shut down by a waker */
	return connect_error(error);
}

/* Linux connects a socket to itself when the port it picks is the one it
 * dials; nobody listens there. */
static bool connected_to_itself(int fd, const struct addr *to)
{
	struct addr own;

	return own_name(fd, &own) && addr_equal(&own, to);
}

/* Not a blocking connect: shut down a moment before, that would not wake. A
 * poll sees the shutdown whenever it came. */
enum err sock_connect(int fd, const struct addr *to, int64_t deadline_ms)
{
	union name name;
	socklen_t len = name_from_addr(to, &name);
	int flags = fcntl(fd, F_GETFL), saved;
	enum err e;

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return ERR_SYSTEM;
	if (connect(fd, &name.any, len) == 0)
		e = ERR_OK;
	else if (errno == EINPROGRESS)
		e = finish_connect(fd, deadline_ms);
	else
		e = connect_error(errno);
	saved = errno;
	if (e == ERR_OK && fcntl(fd, F_SETFL, flags) < 0)
		return ERR_SYSTEM;
	if (e == ERR_OK && connected_to_itself(fd, to))
		return ERR_REFUSED;
	errno = saved;
	return e;
}

/* Whatever the network did to it, the connection is over. */
static enum err stream_error(void)
{
	switch (errno) {
	case ECONNRESET:
	case ECONNABORTED:
	case EPIPE:
	case ETIMEDOUT:
	case EHOSTUNREACH:
	case ENETUNREACH:
	case EHOSTDOWN:
	case ENETDOWN:
		return ERR_RESET;
	default:
		return ERR_SYSTEM;
	}
}

enum err sock_send_now(int fd, const struct iovec *v, int n, size_t *sent)
{
	struct msghdr m = { .msg_iov = (struct iovec *)(uintptr_t)v,
			    .msg_iovlen = (size_t)n };
	ssize_t done;

	do
		done = sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (done < 0 && errno == EINTR);
	if (done < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
		return stream_error();
	*sent = done < 0 ? 0 : (size_t)done;
	return ERR_OK;
}

enum err sock_wait_writable(int fd, int64_t deadline_ms)
{
	short seen = 0;

	return wait_ready(fd, POLLOUT, deadline_ms, &seen);
}

enum err sock_send(int fd, const void *bytes, size_t n, int64_t deadline_ms)
{
	struct iovec v = { .iov_base = (void *)(uintptr_t)bytes, .iov_len = n };

	for (;;) {
		size_t sent = 0;
		enum err e = sock_send_now(fd, &v, 1, &sent);

		if (e != ERR_OK)
			return e;
		v.iov_base = (char *)v.iov_base + sent;
		v.iov_len -= sent;
		if (v.iov_len == 0)
			return ERR_OK;
		/* Asked here too: a reader that always just made room would
		 * stretch the deadline for ever. */
		if (clock_ms() >= deadline_ms)
			return ERR_TIMEOUT;
		e = sock_wait_writable(fd, deadline_ms);
		if (e != ERR_OK)
			return e;
	}
}

void sock_keep_short(int fd)
{
	struct tcp_info info;
	socklen_t n = sizeof info;
	int bytes = SHORT_BYTES;

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &n) != 0 ||
	    info.tcpi_rtt == 0 || info.tcpi_rtt > NEAR_US)
		return;
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
}

bool sock_patience(int fd, int64_t ms)
{
	struct timeval t = { .tv_sec = (time_t)(ms / 1000),
			     .tv_usec = (suseconds_t)(ms % 1000 * 1000) };

	return setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t) == 0;
}

enum err sock_recv(int fd, void *buf, size_t cap, size_t *got,
		   int64_t deadline_ms)
{
	int flags = deadline_ms == INT64_MAX ? 0 : MSG_DONTWAIT;

	for (;;) {
		/* First: what is there costs no poll. */
		ssize_t n = recv(fd, buf, cap, flags);
		short seen = 0;
		enum err e;

		if (n > 0) {
			*got = (size_t)n;
			return ERR_OK;
		}
		if (n == 0)
			return ERR_CLOSED;
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN && errno != EWOULDBLOCK)
			return stream_error();
		if (flags == 0)
			return ERR_TIMEOUT; /* of sock_patience */
		e = wait_ready(fd, POLLIN, deadline_ms, &seen);
		if (e != ERR_OK)
			return e;
	}
}

bool sock_has_bytes(int fd)
{
	int n = 0;

	return ioctl(fd, FIONREAD, &n) == 0 && n > 0;
}

enum err sock_local_toward(const struct addr *to, struct addr *out)
{
	union name name;
	socklen_t len = name_from_addr(to, &name);
	struct addr own = { 0 };
	int s = socket(domain_of(to), SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (s < 0)
		return ERR_SYSTEM;
	if (connect(s, &name.any, len) < 0 || !own_name(s, &own))
		return close_failed(s);
	sock_close(s);
	own.port = 0; /* of the probe, means nothing */
	*out = own;
	return ERR_OK;
}

static bool known(const struct addr *v, size_t n, const struct addr *a)
{
	for (size_t i = 0; i < n; i++) {
		if (addr_equal(&v[i], a))
			return true;
	}
	return false;
}

enum err sock_resolve(const char *host, uint16_t port,
		      struct addr out[SOCK_RESOLVE_MAX], size_t *n)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC,
				  .ai_socktype = SOCK_STREAM,
				  .ai_flags = AI_NUMERICSERV };
	struct addrinfo *list = NULL;
	char service[8];
	size_t count = 0;

	snprintf(service, sizeof service, "%u", (unsigned)port);
	if (getaddrinfo(host, service, &hints, &list) != 0)
		return ERR_NOT_FOUND;
	for (struct addrinfo *i = list; i != NULL; i = i->ai_next) {
		union name name = { 0 };
		struct addr a;

		if (count == SOCK_RESOLVE_MAX || i->ai_addrlen > sizeof name)
			continue;
		memcpy(&name, i->ai_addr, i->ai_addrlen);
		if (name_to_addr(&name, &a) && !known(out, count, &a))
			out[count++] = a;
	}
	freeaddrinfo(list);
	if (count == 0)
		return ERR_NOT_FOUND;
	*n = count;
	return ERR_OK;
}

void sock_shutdown(int fd)
{
	shutdown(fd, SHUT_RDWR);
}

void sock_close(int fd)
{
	if (fd >= 0)
		close(fd); /* never again on EINTR: Linux has closed it */
}
