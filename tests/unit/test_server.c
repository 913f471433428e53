#include "io/server.h"

#include "sockets.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define CALLERS 50

struct fixture {
	struct server *server;
	struct addr addr;
	atomic_int serving;
};

/* Sends back what comes, until the end. */
static void echo(void *arg, struct conn *c)
{
	struct fixture *f = arg;
	char bytes[256];
	size_t got;

	atomic_fetch_add(&f->serving, 1);
	while (sock_recv(c->fd, bytes, sizeof bytes, &got, INT64_MAX) == ERR_OK)
		if (sock_send(c->fd, bytes, got, SOON) != ERR_OK)
			break;
	atomic_fetch_sub(&f->serving, 1);
}

static void open_server(struct fixture *f, int family, size_t connections_max)
{
	struct server_config c = { .name = "test",
				   .listen = local_addr(family),
				   .connections_max = connections_max,
				   .serve = echo,
				   .ctx = f };

	assert_ok(server_open(&f->server, &c, &f->addr));
	assert_ok(server_start(f->server));
}

static void end(struct fixture *f)
{
	server_stop(f->server);
	server_join(f->server);
	assert_int_equal(atomic_load(&f->serving), 0);
}

static int dial(const struct fixture *f)
{
	int fd = -1;

	assert_ok(sock_open(&f->addr, &fd));
	assert_ok(sock_connect(fd, &f->addr, SOON));
	return fd;
}

static void assert_echo(int fd)
{
	char c = 0;
	size_t got = 0;

	assert_ok(sock_send(fd, "e", 1, SOON));
	assert_ok(sock_recv(fd, &c, 1, &got, SOON));
	assert_int_equal(c, 'e');
}

/* Reset or closed, as the kernel likes. */
static void assert_hung_up(int fd)
{
	char c;
	size_t got;
	enum err e = sock_recv(fd, &c, 1, &got, SOON);

	assert_true(e == ERR_CLOSED || e == ERR_RESET);
}

static void serves_callers_over_v4_and_v6(void **state)
{
	static const int families[] = { ADDR_V4, ADDR_V6 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(families); i++) {
		struct fixture f = { 0 };
		int a, b;

		open_server(&f, families[i], 10);
		a = dial(&f);
		b = dial(&f);
		assert_echo(a);
		assert_echo(b);
		assert_int_equal(server_stats(f.server).connections, 2);
		sock_close(a);
		sock_close(b);
		EVENTUALLY(server_stats(f.server).connections == 0);
		assert_int_equal(server_stats(f.server).accepted, 2);
		end(&f);
	}
}

static void says_why_it_cannot_listen(void **state)
{
	struct fixture f = { 0 };
	size_t before = fd_count();
	struct server_config c = { .name = "test" };
	struct server *other;
	struct addr bound;

	(void)state;
	open_server(&f, ADDR_V4, 10);
	c.listen = f.addr;
	assert_int_equal(server_open(&other, &c, &bound), ERR_SYSTEM);
	assert_int_equal(errno, EADDRINUSE);
	end(&f);
	assert_int_equal(fd_count(), before);
}

static void a_server_that_never_started_ends(void **state)
{
	struct server_config c = { .name = "test",
				   .listen = local_addr(ADDR_V4) };
	size_t before = fd_count();
	struct server *s;
	struct addr bound;

	(void)state;
	assert_ok(server_open(&s, &c, &bound));
	server_stop(s);
	server_join(s);
	assert_int_equal(fd_count(), before);
}

static void stops_while_many_are_connected_and_silent(void **state)
{
	struct fixture f = { 0 };
	size_t fds = fd_count(), threads = thread_count();
	int64_t start_ms;
	int fd[CALLERS];

	(void)state;
	open_server(&f, ADDR_V4, CALLERS);
	for (size_t i = 0; i < CALLERS; i++)
		fd[i] = dial(&f);
	EVENTUALLY(atomic_load(&f.serving) == CALLERS);
	start_ms = clock_ms();
	server_stop(f.server);
	server_stop(f.server);
	server_join(f.server);
	assert_true(clock_ms() < start_ms + 2000);
	for (size_t i = 0; i < CALLERS; i++) {
		assert_hung_up(fd[i]);
		sock_close(fd[i]);
	}
	assert_int_equal(fd_count(), fds);
	EVENTUALLY(thread_count() == threads);
}

static void keeps_nothing_of_those_that_left(void **state)
{
	struct fixture f = { 0 };
	size_t fds;

	(void)state;
	open_server(&f, ADDR_V4, 10);
	fds = fd_count();
	for (int i = 0; i < 300; i++) {
		int fd = dial(&f);

		assert_echo(fd);
		sock_close(fd);
		EVENTUALLY(server_stats(f.server).connections == 0);
	}
	assert_int_equal(fd_count(), fds);
	EVENTUALLY(thread_count() <= 3); /* with a sanitizer's own */
	end(&f);
}

static void closes_callers_beyond_its_limit(void **state)
{
	struct fixture f = { 0 };
	int a, b, c;

	(void)state;
	open_server(&f, ADDR_V4, 2);
	a = dial(&f);
	b = dial(&f);
	assert_echo(a);
	assert_echo(b);
	c = dial(&f);
	assert_hung_up(c);
	sock_close(c);
	assert_int_equal(server_stats(f.server).refused, 1);
	assert_echo(a);
	sock_close(b);
	EVENTUALLY(server_stats(f.server).connections == 1);
	c = dial(&f);
	assert_echo(c);
	sock_close(a);
	sock_close(c);
	end(&f);
}

static void adopts_a_connection_we_made(void **state)
{
	struct fixture f = { 0 };
	struct addr remote = local_addr(ADDR_V6);
	int pair[2], full;

	(void)state;
	open_server(&f, ADDR_V4, 1);
	full = dial(&f);
	assert_echo(full);
	tcp_pair(ADDR_V6, pair);
	assert_ok(server_adopt(f.server, pair[0], &remote, echo, &f));
	assert_echo(pair[1]);
	assert_int_equal(server_stats(f.server).connections, 2);
	assert_int_equal(server_stats(f.server).accepted, 1);
	sock_close(pair[1]);
	EVENTUALLY(server_stats(f.server).connections == 1);
	sock_close(full);
	end(&f);
}

static void a_stopped_server_adopts_nothing(void **state)
{
	struct fixture f = { 0 };
	struct addr remote = local_addr(ADDR_V4);
	int pair[2];

	(void)state;
	open_server(&f, ADDR_V4, 1);
	tcp_pair(ADDR_V4, pair);
	server_stop(f.server);
	assert_int_equal(server_adopt(f.server, pair[0], &remote, echo, &f),
			 ERR_STOPPED);
	server_join(f.server);
	assert_ok(sock_send(pair[0], "x", 1, SOON)); /* still ours, and open */
	sock_close(pair[0]);
	sock_close(pair[1]);
}

static void no_longer_listening_it_serves_on(void **state)
{
	struct fixture f = { 0 };
	struct addr remote = local_addr(ADDR_V4);
	int a, late, pair[2];

	(void)state;
	open_server(&f, ADDR_V4, 10);
	a = dial(&f);
	assert_echo(a);
	server_stop_listening(f.server);
	server_stop_listening(f.server);
	assert_ok(sock_open(&f.addr, &late));
	assert_int_equal(sock_connect(late, &f.addr, SOON), ERR_REFUSED);
	sock_close(late);
	assert_echo(a);
	tcp_pair(ADDR_V4, pair);
	assert_ok(server_adopt(f.server, pair[0], &remote, echo, &f));
	assert_echo(pair[1]);
	end(&f);
	assert_hung_up(a);
	assert_hung_up(pair[1]);
	sock_close(a);
	sock_close(pair[1]);
}

/* No new descriptor can be had until give_back. */
static struct rlimit use_up_descriptors(void)
{
	struct rlimit before, none;
	int next = dup(0);

	assert_true(next >= 0);
	getrlimit(RLIMIT_NOFILE, &before);
	none = before;
	none.rlim_cur = (rlim_t)next;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	close(next);
	return before;
}

static int64_t cpu_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* The first caller still gets the descriptor that the waiting accept had
 * set aside; from then on the server sheds. */
static void without_descriptors_it_sheds_and_does_not_spin(void **state)
{
	struct fixture f = { 0 };
	int fd[10], first, later;
	struct rlimit before;
	int64_t wall_ms, busy_ms;

	(void)state;
	open_server(&f, ADDR_V4, 100);
	assert_ok(sock_open(&f.addr, &first));
	assert_ok(sock_open(&f.addr, &later));
	for (size_t i = 0; i < COUNT_OF(fd); i++)
		assert_ok(sock_open(&f.addr, &fd[i]));
	before = use_up_descriptors();
	assert_ok(sock_connect(first, &f.addr, SOON));
	wall_ms = clock_ms();
	busy_ms = cpu_ms();
	for (size_t i = 0; i < COUNT_OF(fd); i++) {
		assert_ok(sock_connect(fd[i], &f.addr, SOON));
		if (i > 0)
			assert_hung_up(fd[i]);
		sock_shutdown(fd[i]);
	}
	assert_true(server_stats(f.server).refused >= COUNT_OF(fd) - 2);
	nanosleep(&(struct timespec){ 0, 200000000 }, NULL);
	assert_true(cpu_ms() - busy_ms < (clock_ms() - wall_ms) / 2);
	setrlimit(RLIMIT_NOFILE, &before);
	EVENTUALLY(server_stats(f.server).connections <= 1);
	assert_ok(sock_connect(later, &f.addr, SOON));
	assert_echo(later);
	sock_close(first);
	sock_close(later);
	for (size_t i = 0; i < COUNT_OF(fd); i++)
		sock_close(fd[i]);
	end(&f);
}

/* In a process of its own, whose user gets no thread more. */
static void serve_without_threads(void)
{
	struct fixture f = { 0 };
	struct rlimit one = { 1, 1 };
	int fd;

	if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0)
		_exit(77);
	open_server(&f, ADDR_V4, 10);
	if (setrlimit(RLIMIT_NPROC, &one) != 0)
		_exit(77);
	for (int i = 0; i < 5; i++) {
		fd = dial(&f);
		assert_hung_up(fd);
		sock_close(fd);
	}
	if (server_stats(f.server).refused != 5 ||
	    server_stats(f.server).accepted != 0)
		_exit(1);
	end(&f);
	_exit(0);
}

static void without_a_thread_only_that_caller_is_lost(void **state)
{
	int status = 0;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		serve_without_threads();
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void says_once_that_it_refuses(void **state)
{
	char path[] = "server_log_XXXXXX", text[4096] = "";
	struct config_log settings = { .level = LOG_INFO,
				       .color = COLOR_NEVER,
				       .max_size = 1 << 20 };
	struct log_options options = { .config = &settings };
	struct fixture f = { 0 };
	struct server_config c = { .name = "test",
				   .listen = local_addr(ADDR_V4),
				   .serve = echo,
				   .ctx = &f };
	FILE *file;
	size_t lines = 0;

	(void)state;
	close(mkstemp(path));
	options.path = path;
	assert_ok(log_open(&c.log, &options));
	assert_ok(server_open(&f.server, &c, &f.addr));
	assert_ok(server_start(f.server));
	for (int i = 0; i < 20; i++) {
		int fd = dial(&f);

		assert_hung_up(fd);
		sock_close(fd);
	}
	end(&f);
	log_close(c.log);
	file = fopen(path, "r");
	assert_non_null(file);
	while (fgets(text, sizeof text, file) != NULL)
		lines++;
	fclose(file);
	unlink(path);
	assert_int_equal(lines, 1);
	assert_non_null(strstr(text, "refused 127.0.0.1:"));
	assert_non_null(strstr(text, "too many connections"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(serves_callers_over_v4_and_v6),
		cmocka_unit_test(says_why_it_cannot_listen),
		cmocka_unit_test(a_server_that_never_started_ends),
		cmocka_unit_test(stops_while_many_are_connected_and_silent),
		cmocka_unit_test(keeps_nothing_of_those_that_left),
		cmocka_unit_test(closes_callers_beyond_its_limit),
		cmocka_unit_test(adopts_a_connection_we_made),
		cmocka_unit_test(a_stopped_server_adopts_nothing),
		cmocka_unit_test(no_longer_listening_it_serves_on),
		cmocka_unit_test(
			without_descriptors_it_sheds_and_does_not_spin),
		cmocka_unit_test(without_a_thread_only_that_caller_is_lost),
		cmocka_unit_test(says_once_that_it_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
