#include "io/sock.h"

#include "sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/time.h>

static const int families[] = { ADDR_V4, ADDR_V6 };

static void carries_bytes_both_ways_over_v4_and_v6(void **state)
{
	char text[8] = "";
	size_t got = 0;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(families); i++) {
		int fd[2];

		tcp_pair(families[i], fd);
		assert_ok(sock_send(fd[0], "ping", 4, SOON));
		assert_ok(sock_recv(fd[1], text, sizeof text, &got, INT64_MAX));
		assert_memory_equal(text, "ping", got);
		assert_ok(sock_send(fd[1], "pong", 4, SOON));
		assert_ok(sock_recv(fd[0], text, sizeof text, &got, SOON));
		assert_memory_equal(text, "pong", got);
		sock_close(fd[0]);
		sock_close(fd[1]);
	}
}

static void tells_the_addresses_of_both_ends(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(families); i++) {
		struct addr want = local_addr(families[i]), bound, remote;
		int listener = listen_local(families[i], &bound), fd, peer;

		assert_true(addr_same_host(&bound, &want));
		assert_int_not_equal(bound.port, 0);
		assert_ok(sock_open(&bound, &fd));
		assert_ok(sock_connect(fd, &bound, SOON));
		assert_ok(sock_accept(listener, &peer, &remote));
		assert_true(addr_same_host(&remote, &want));
		assert_int_not_equal(remote.port, bound.port);
		sock_close(fd);
		sock_close(peer);
		sock_close(listener);
	}
}

static void sets_what_every_connection_needs(void **state)
{
	int fd[2];

	(void)state;
	tcp_pair(ADDR_V4, fd);
	for (size_t i = 0; i < 2; i++) {
		int on = 0;
		socklen_t len = sizeof on;

		getsockopt(fd[i], IPPROTO_TCP, TCP_NODELAY, &on, &len);
		assert_true(on);
		assert_true(fcntl(fd[i], F_GETFD) & FD_CLOEXEC);
		assert_false(fcntl(fd[i], F_GETFL) & O_NONBLOCK);
		sock_close(fd[i]);
	}
}

static int option(int fd, int name)
{
	int value = 0;
	socklen_t len = sizeof value;

	assert_int_equal(getsockopt(fd, SOL_SOCKET, name, &value, &len), 0);
	return value;
}

static void near_ones_can_be_kept_short(void **state)
{
	int fd[2];

	(void)state;
	tcp_pair(ADDR_V4, fd);
	for (size_t i = 0; i < 2; i++) {
		sock_keep_short(fd[i]);
		assert_int_equal(option(fd[i], SO_SNDBUF), 131072);
		assert_int_equal(option(fd[i], SO_RCVBUF), 131072);
		sock_close(fd[i]);
	}
	sock_keep_short(-1); /* nothing to keep */
}

static void names_the_reason_why_it_cannot_listen(void **state)
{
	struct addr bound, other, far;
	int listener = listen_local(ADDR_V4, &bound), fd = -7;

	(void)state;
	assert_int_equal(sock_listen(&bound, &fd, &other), ERR_SYSTEM);
	assert_int_equal(errno, EADDRINUSE);
	assert_true(addr_parse("192.0.2.1:80", 12, &far));
	assert_int_equal(sock_listen(&far, &fd, &other), ERR_SYSTEM);
	assert_int_equal(errno, EADDRNOTAVAIL);
	assert_int_equal(fd, -7);
	sock_close(listener);
}

static void v4_and_v6_wildcards_share_a_port(void **state)
{
	struct addr four = { .family = ADDR_V4 }, six = { .family = ADDR_V6 };
	struct addr bound, same;
	int a = -1, b = -1;

	(void)state;
	assert_ok(sock_listen(&six, &a, &bound));
	four.port = bound.port;
	assert_ok(sock_listen(&four, &b, &same));
	assert_int_equal(same.port, bound.port);
	sock_close(a);
	sock_close(b);
}

static void says_refused_when_nobody_listens(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(families); i++) {
		struct addr bound;
		int fd = listen_local(families[i], &bound);

		sock_close(fd);
		assert_ok(sock_open(&bound, &fd));
		assert_int_equal(sock_connect(fd, &bound, SOON), ERR_REFUSED);
		sock_close(fd);
	}
}

static void does_not_connect_to_itself(void **state)
{
	struct addr own;
	int fd = listen_local(ADDR_V4, &own);
	struct sockaddr_in name = { .sin_family = AF_INET,
				    .sin_port = htons(own.port) };

	(void)state;
	sock_close(fd);
	name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_ok(sock_open(&own, &fd));
	assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof name), 0);
	assert_int_equal(sock_connect(fd, &own, SOON), ERR_REFUSED);
	sock_close(fd);
}

static void a_connect_ends_at_its_deadline(void **state)
{
	int64_t start_ms = clock_ms();
	struct full_listener full;
	int fd;

	(void)state;
	full_listener_open(&full);
	assert_ok(sock_open(&full.addr, &fd));
	assert_int_equal(sock_connect(fd, &full.addr, start_ms + 100),
			 ERR_TIMEOUT);
	assert_true(clock_ms() >= start_ms + 100);
	assert_true(clock_ms() < start_ms + 5000);
	sock_close(fd);
	full_listener_close(&full);
}

static void tells_an_end_from_a_reset(void **state)
{
	struct linger hard = { 1, 0 };
	int fd[2];
	char c;
	size_t got;

	(void)state;
	tcp_pair(ADDR_V4, fd);
	sock_close(fd[1]);
	assert_int_equal(sock_recv(fd[0], &c, 1, &got, SOON), ERR_CLOSED);
	sock_close(fd[0]);
	tcp_pair(ADDR_V4, fd);
	setsockopt(fd[1], SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
	sock_close(fd[1]);
	assert_int_equal(sock_recv(fd[0], &c, 1, &got, INT64_MAX), ERR_RESET);
	sock_close(fd[0]);
}

static void a_recv_ends_at_its_deadline(void **state)
{
	int64_t start_ms = clock_ms();
	int fd[2];
	char c;
	size_t got;

	(void)state;
	tcp_pair(ADDR_V4, fd);
	assert_int_equal(sock_recv(fd[0], &c, 1, &got, start_ms + 50),
			 ERR_TIMEOUT);
	assert_true(clock_ms() >= start_ms + 50);
	sock_close(fd[0]);
	sock_close(fd[1]);
}

static void without_a_deadline_patience_ends_a_recv(void **state)
{
	int64_t start_ms = clock_ms();
	int fd[2];
	char c;
	size_t got;

	(void)state;
	tcp_pair(ADDR_V4, fd);
	assert_true(sock_patience(fd[0], 50));
	assert_int_equal(sock_recv(fd[0], &c, 1, &got, INT64_MAX), ERR_TIMEOUT);
	assert_true(clock_ms() >= start_ms + 49);
	assert_ok(sock_send(fd[1], "x", 1, 0));
	assert_ok(sock_recv(fd[0], &c, 1, &got, INT64_MAX));
	assert_false(sock_patience(-1, 50));
	sock_close(fd[0]);
	sock_close(fd[1]);
}

static void a_deadline_that_passed_still_looks_once(void **state)
{
	int fd[2];
	char c;
	size_t got = 0;

	(void)state;
	tcp_pair(ADDR_V4, fd);
	assert_int_equal(sock_recv(fd[0], &c, 1, &got, 0), ERR_TIMEOUT);
	assert_int_equal(sock_recv(fd[0], &c, 1, &got, INT64_MIN), ERR_TIMEOUT);
	assert_ok(sock_send(fd[1], "x", 1, 0));
	EVENTUALLY(sock_has_bytes(fd[0]));
	assert_ok(sock_recv(fd[0], &c, 1, &got, 0));
	assert_int_equal(got, 1);
	sock_close(fd[0]);
	sock_close(fd[1]);
}

struct sipper {
	int fd;
	atomic_bool enough;
};

/* Reads a little again and again, so that there is always some room. */
static void *sip(void *arg)
{
	struct sipper *s = arg;
	char mouthful[4096];
	size_t got;

	while (!atomic_load(&s->enough)) {
		if (sock_recv(s->fd, mouthful, sizeof mouthful, &got,
			      clock_ms() + 100) == ERR_CLOSED)
			break;
		nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
	}
	return NULL;
}

static void a_slow_reader_does_not_stretch_a_send(void **state)
{
	static char big[64 << 20];
	struct sipper s = { .enough = false };
	int64_t start_ms;
	pthread_t t;
	int fd[2];

	(void)state;
	tcp_pair(ADDR_V4, fd);
	s.fd = fd[1];
	assert_ok(thread_start(&t, sip, &s, "sipper"));
	start_ms = clock_ms();
	assert_int_equal(sock_send(fd[0], big, sizeof big, start_ms + 300),
			 ERR_TIMEOUT);
	assert_true(clock_ms() >= start_ms + 300);
	assert_true(clock_ms() < start_ms + 3000);
	atomic_store(&s.enough, true);
	sock_close(fd[0]);
	thread_join(t);
	sock_close(fd[1]);
}

static void sends_now_only_what_the_kernel_takes(void **state)
{
	static char junk[65536];
	struct iovec v[2] = { { junk, sizeof junk }, { junk, sizeof junk } };
	int fd[2];
	size_t sent = 0;

	(void)state;
	tcp_pair(ADDR_V4, fd);
	assert_ok(sock_send_now(fd[0], v, 2, &sent));
	assert_true(sent > 0);
	do
		stuff(fd[0]); /* until nothing is taken, which is no error */
	while (sock_wait_writable(fd[0], clock_ms() + 20) == ERR_OK);
	assert_int_equal(sock_wait_writable(fd[0], clock_ms()), ERR_TIMEOUT);
	sock_close(fd[1]);
	assert_ok(sock_wait_writable(fd[0], SOON)); /* so that it is told */
	assert_int_equal(sock_send_now(fd[0], v, 2, &sent), ERR_RESET);
	sock_close(fd[0]);
}

static void writing_to_the_dead_raises_no_signal(void **state)
{
	enum err e = ERR_OK;
	int fd[2];

	(void)state;
	signal(SIGPIPE, SIG_DFL);
	tcp_pair(ADDR_V4, fd);
	sock_close(fd[1]);
	for (int64_t until_ms = SOON; e == ERR_OK && clock_ms() < until_ms;)
		e = sock_send(fd[0], "x", 1, SOON);
	assert_int_equal(e, ERR_RESET);
	sock_close(fd[0]);
}

static void nothing(int number)
{
	(void)number;
}

static void a_hail_of_signals_changes_nothing(void **state)
{
	struct sigaction act = { .sa_handler = nothing }; /* no SA_RESTART */
	struct itimerval hail = { { 0, 1000 }, { 0, 1000 } }, calm = { 0 };
	int64_t start_ms = clock_ms();
	struct full_listener full;
	int fd[2], caller;
	char c;
	size_t got;

	(void)state;
	full_listener_open(&full);
	tcp_pair(ADDR_V4, fd);
	assert_ok(sock_open(&full.addr, &caller));
	sigaction(SIGALRM, &act, NULL);
	setitimer(ITIMER_REAL, &hail, NULL);
	assert_int_equal(sock_recv(fd[0], &c, 1, &got, start_ms + 100),
			 ERR_TIMEOUT);
	assert_int_equal(sock_connect(caller, &full.addr, start_ms + 200),
			 ERR_TIMEOUT);
	assert_true(clock_ms() >= start_ms + 200);
	setitimer(ITIMER_REAL, &calm, NULL);
	sock_close(caller);
	sock_close(fd[0]);
	sock_close(fd[1]);
	full_listener_close(&full);
}

static void knows_its_own_side_of_a_route(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(families); i++) {
		struct addr to = local_addr(families[i]), own;

		to.port = 9;
		assert_ok(sock_local_toward(&to, &own));
		assert_true(addr_same_host(&own, &to));
		assert_int_equal(own.port, 0);
	}
}

static void resolves_numbers(void **state)
{
	struct addr v[SOCK_RESOLVE_MAX], want;
	size_t n = 0;

	(void)state;
	assert_ok(sock_resolve("127.0.0.1", 5345, v, &n));
	assert_int_equal(n, 1);
	assert_true(addr_parse("127.0.0.1:5345", 14, &want));
	assert_true(addr_equal(&v[0], &want));
	assert_ok(sock_resolve("::1", 80, v, &n));
	assert_true(addr_parse("[::1]:80", 8, &want));
	assert_true(addr_equal(&v[0], &want));
}

static void resolves_a_name(void **state)
{
	struct addr v[SOCK_RESOLVE_MAX];
	size_t n = 0;

	(void)state;
	if (access("/etc/hosts", R_OK) != 0)
		skip(); /* a bare root knows no name, not even this one */
	assert_ok(sock_resolve("localhost", 80, v, &n));
	assert_true(n >= 1 && addr_is_loopback(&v[0]));
}

static void one_address_has_one_form(void **state)
{
	struct addr v[SOCK_RESOLVE_MAX], want;
	size_t n = 0;

	(void)state;
	assert_ok(sock_resolve("::ffff:127.0.0.1", 80, v, &n));
	assert_true(addr_parse("127.0.0.1:80", 12, &want));
	assert_true(addr_equal(&v[0], &want));
	assert_int_equal(sock_resolve("fe80::1%lo", 80, v, &n), ERR_NOT_FOUND);
}

static void says_when_a_name_means_nothing(void **state)
{
	struct addr v[SOCK_RESOLVE_MAX];
	char label[71] = "";
	size_t n = 42;

	(void)state;
	memset(label, 'a', sizeof label - 1); /* no label is that long */
	assert_int_equal(sock_resolve(label, 80, v, &n), ERR_NOT_FOUND);
	assert_int_equal(n, 42);
}

/* The Makefile puts these in front of the real ones. */
int __wrap_getaddrinfo(const char *host, const char *service,
		       const struct addrinfo *hints, struct addrinfo **out);
int __real_getaddrinfo(const char *host, const char *service,
		       const struct addrinfo *hints, struct addrinfo **out);
void __wrap_freeaddrinfo(struct addrinfo *list);
void __real_freeaddrinfo(struct addrinfo *list);

/* "many" has twelve addresses, of which each comes twice. */
static struct addrinfo answers[24];
static struct sockaddr_in names[24];
static bool freed;

int __wrap_getaddrinfo(const char *host, const char *service,
		       const struct addrinfo *hints, struct addrinfo **out)
{
	if (strcmp(host, "many") != 0)
		return __real_getaddrinfo(host, service, hints, out);
	for (size_t i = 0; i < COUNT_OF(answers); i++) {
		names[i].sin_family = AF_INET;
		names[i].sin_port = htons((uint16_t)atoi(service));
		names[i].sin_addr.s_addr = htonl(0x0a000001u + (uint32_t)i / 2);
		answers[i] = (struct addrinfo){
			.ai_addr = (struct sockaddr *)&names[i],
			.ai_addrlen = sizeof names[i],
			.ai_next = i + 1 < COUNT_OF(answers) ? &answers[i + 1]
							     : NULL
		};
	}
	freed = false;
	*out = answers;
	return 0;
}

void __wrap_freeaddrinfo(struct addrinfo *list)
{
	if (list == answers)
		freed = true;
	else
		__real_freeaddrinfo(list);
}

static void of_a_name_with_many_addresses_it_takes_eight(void **state)
{
	struct addr *v = calloc(SOCK_RESOLVE_MAX, sizeof *v);
	size_t n = 0;

	(void)state;
	assert_non_null(v);
	assert_ok(sock_resolve("many", 80, v, &n));
	assert_int_equal(n, SOCK_RESOLVE_MAX);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(v[i].ip[3], i + 1);
		assert_int_equal(v[i].port, 80);
	}
	assert_true(freed);
	free(v);
}

static void closing_nothing_is_fine(void **state)
{
	(void)state;
	sock_close(-1);
	assert_false(sock_has_bytes(-1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(carries_bytes_both_ways_over_v4_and_v6),
		cmocka_unit_test(tells_the_addresses_of_both_ends),
		cmocka_unit_test(sets_what_every_connection_needs),
		cmocka_unit_test(near_ones_can_be_kept_short),
		cmocka_unit_test(names_the_reason_why_it_cannot_listen),
		cmocka_unit_test(v4_and_v6_wildcards_share_a_port),
		cmocka_unit_test(says_refused_when_nobody_listens),
		cmocka_unit_test(does_not_connect_to_itself),
		cmocka_unit_test(a_connect_ends_at_its_deadline),
		cmocka_unit_test(tells_an_end_from_a_reset),
		cmocka_unit_test(a_recv_ends_at_its_deadline),
		cmocka_unit_test(without_a_deadline_patience_ends_a_recv),
		cmocka_unit_test(a_deadline_that_passed_still_looks_once),
		cmocka_unit_test(a_slow_reader_does_not_stretch_a_send),
		cmocka_unit_test(sends_now_only_what_the_kernel_takes),
		cmocka_unit_test(writing_to_the_dead_raises_no_signal),
		cmocka_unit_test(a_hail_of_signals_changes_nothing),
		cmocka_unit_test(knows_its_own_side_of_a_route),
		cmocka_unit_test(resolves_numbers),
		cmocka_unit_test(resolves_a_name),
		cmocka_unit_test(one_address_has_one_form),
		cmocka_unit_test(says_when_a_name_means_nothing),
		cmocka_unit_test(of_a_name_with_many_addresses_it_takes_eight),
		cmocka_unit_test(closing_nothing_is_fine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
