#include "io/server.h"

#include "sockets.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define CALLERS 50

struct fixture {
	struct server *server;
	struct addr addr;
	struct rejects rejects;
	atomic_int serving;
};

static uint64_t rejected(struct fixture *f, enum reject_reason reason)
{
	return atomic_load(&f->rejects.by[reason].count);
}

/* Sends back what comes, until the end. 'i' and 'b' say how the connection
 * wants to stand from now on. */
static void echo(void *arg, struct conn *c)
{
	struct fixture *f = arg;
	char bytes[256];
	size_t got;

	atomic_fetch_add(&f->serving, 1);
	while (sock_recv(c->fd, bytes, sizeof bytes, &got, INT64_MAX) ==
	       ERR_OK) {
		if ((bytes[0] == 'i' && !server_stand(c, CONN_IDLE)) ||
		    (bytes[0] == 'b' && !server_stand(c, CONN_BUSY)))
			break;
		if (sock_send(c->fd, bytes, got, SOON) != ERR_OK)
			break;
	}
	atomic_fetch_sub(&f->serving, 1);
}

static struct server_config config_of(struct fixture *f, int family)
{
	return (struct server_config){ .name = "test",
				       .listen = local_addr(family),
				       .serve = echo,
				       .ctx = f,
				       .rejects = &f->rejects };
}

static void start(struct fixture *f, const struct server_config *c)
{
	assert_ok(server_open(&f->server, c, &f->addr));
	assert_ok(server_start(f->server));
}

static void open_server(struct fixture *f, int family, size_t connections_max)
{
	struct server_config c = config_of(f, family);

	c.connections_max = connections_max;
	start(f, &c);
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

static enum err try_say(int fd, char what)
{
	char c = 0;
	size_t got = 0;
	enum err e = sock_send(fd, &what, 1, SOON);

	if (e == ERR_OK)
		e = sock_recv(fd, &c, 1, &got, SOON);
	if (e == ERR_OK)
		assert_int_equal(c, what);
	return e;
}

static void say(int fd, char what)
{
	assert_ok(try_say(fd, what));
}

static void close_all(const int *fd, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sock_close(fd[i]);
}

static void assert_echo(int fd)
{
	say(fd, 'e');
}

/* A caller that stands like this: silent 'e', idle 'i', busy 'b'. */
static int dial_as(const struct fixture *f, char standing)
{
	int fd = dial(f);

	say(fd, standing);
	return fd;
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
	struct server_config c = config_of(&f, ADDR_V4);
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

static void when_all_places_are_in_use_it_refuses(void **state)
{
	struct fixture f = { 0 };
	int a, b, c;

	(void)state;
	open_server(&f, ADDR_V4, 2);
	a = dial_as(&f, 'b');
	b = dial_as(&f, 'b');
	c = dial(&f);
	assert_hung_up(c);
	sock_close(c);
	assert_int_equal(server_stats(f.server).refused, 1);
	assert_int_equal(rejected(&f, REJECT_CONNECTIONS), 1);
	assert_int_equal(rejected(&f, REJECT_EVICTED), 0);
	assert_echo(a);
	sock_close(b);
	EVENTUALLY(server_stats(f.server).connections == 1);
	c = dial(&f);
	assert_echo(c);
	sock_close(a);
	sock_close(c);
	end(&f);
}

/* From now on whoever is there has had his time to speak. */
static void let_grace_pass(void)
{
	int64_t begun_ms = clock_ms();

	EVENTUALLY(clock_ms() > begun_ms + SERVER_GRACE_MS);
}

static void the_longest_of_the_silent_makes_way(void **state)
{
	struct fixture f = { 0 };
	int idle, busy, first, second, third, fourth;

	(void)state;
	open_server(&f, ADDR_V4, 4);
	idle = dial_as(&f, 'i');
	busy = dial_as(&f, 'b');
	first = dial_as(&f, 'e');
	second = dial_as(&f, 'e');
	let_grace_pass();
	third = dial_as(&f, 'e');
	assert_hung_up(first);
	fourth = dial_as(&f, 'e');
	assert_hung_up(second);
	assert_echo(idle);
	assert_echo(busy);
	assert_echo(third);
	assert_echo(fourth);
	assert_int_equal(rejected(&f, REJECT_EVICTED), 2);
	assert_int_equal(server_stats(f.server).refused, 2);
	EVENTUALLY(server_stats(f.server).connections == 4);
	close_all((int[]){ idle, busy, first, second, third, fourth }, 6);
	end(&f);
}

/* A silent one that had no time yet is not the first to go where most others
 * have nothing to say any more; a crowd of them is. */
static void who_just_came_may_stay_unless_he_is_a_crowd(void **state)
{
	unsigned in_time = 0;

	(void)state;
	while (in_time < 2) { /* on a busy machine it takes several tries */
		bool crowd = in_time > 0, kept = false;
		struct fixture f = { 0 };
		int fd[4];
		int64_t begun_ms;

		open_server(&f, ADDR_V4, 3);
		fd[0] = dial_as(&f, 'i');
		if (!crowd)
			fd[1] = dial_as(&f, 'i');
		let_grace_pass();
		begun_ms = clock_ms();
		for (size_t i = crowd ? 1 : 2; i < 3; i++)
			fd[i] = dial_as(&f, 'e');
		kept = clock_ms() < begun_ms + SERVER_GRACE_MS;
		fd[3] = dial_as(&f, 'e');
		kept = kept &&
		       (crowd || clock_ms() < begun_ms + SERVER_GRACE_MS);
		if (kept) {
			assert_hung_up(fd[crowd ? 1 : 0]);
			assert_echo(fd[crowd ? 0 : 1]);
			assert_echo(fd[2]);
			assert_echo(fd[3]);
			in_time++;
		}
		close_all(fd, 4);
		end(&f);
	}
}

static void then_the_longest_of_the_idle(void **state)
{
	struct fixture f = { 0 };
	int early, late, busy, next;

	(void)state;
	open_server(&f, ADDR_V4, 3);
	early = dial_as(&f, 'i');
	late = dial_as(&f, 'i');
	busy = dial_as(&f, 'b');
	say(early, 'b'); /* and so it is the one that became idle last */
	say(early, 'i');
	next = dial_as(&f, 'b');
	assert_hung_up(late);
	assert_echo(early);
	assert_echo(busy);
	close_all((int[]){ early, late, busy, next }, 4);
	end(&f);
}

/* As strangers do who want to shut the door. */
static void a_crowd_of_the_silent_never_shuts_the_door(void **state)
{
	struct fixture f = { 0 };
	size_t threads = thread_count(), fds = fd_count(), most = 0;
	int crowd[500], friend;

	(void)state;
	open_server(&f, ADDR_V4, 8);
	friend = dial_as(&f, 'b');
	for (size_t i = 0; i < COUNT_OF(crowd); i++) {
		size_t now = thread_count() - threads;

		crowd[i] = dial(&f);
		most = now > most ? now : most;
		if (i % 50 == 49) {
			int guest = dial_as(&f, 'e');

			sock_close(guest);
		}
	}
	assert_echo(friend);
	/* 8 places, the listener, those that leave, one that is not joined,
	 * and one of a sanitizer */
	assert_in_range(most, 1, 8 + 1 + 5 + 1 + 1);
	assert_int_equal(rejected(&f, REJECT_CONNECTIONS), 0);
	sock_close(friend);
	close_all(crowd, COUNT_OF(crowd));
	end(&f);
	assert_int_equal(fd_count(), fds);
}

static void loopback_has_no_limit_of_one_host(void **state)
{
	static const int families[] = { ADDR_V4, ADDR_V6 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(families); i++) {
		struct fixture f = { 0 };
		struct server_config c = config_of(&f, families[i]);
		int fd[5];

		c.connections_max = 10;
		c.per_source_max = 2;
		start(&f, &c);
		for (size_t k = 0; k < COUNT_OF(fd); k++)
			fd[k] = dial_as(&f, 'b');
		assert_int_equal(server_stats(f.server).refused, 0);
		close_all(fd, COUNT_OF(fd));
		end(&f);
	}
}

static void one_host_off_loopback_gets_so_many_places(void **state)
{
	struct fixture f = { 0 };
	struct server_config c = config_of(&f, ADDR_V4);
	struct addr own = { 0 },
		    far = { .family = ADDR_V4, .ip = { 192, 0, 2 } };
	int a, b, d;

	(void)state;
	far.ip[3] = 1;
	far.port = 9;
	if (sock_local_toward(&far, &own) != ERR_OK || addr_is_loopback(&own))
		skip(); /* no way out of this machine, no address but loopback
			 */
	c.listen = own;
	c.connections_max = 10;
	c.per_source_max = 2;
	start(&f, &c);
	a = dial_as(&f, 'b');
	b = dial_as(&f, 'b');
	d = dial(&f);
	assert_hung_up(d);
	sock_close(d);
	assert_int_equal(rejected(&f, REJECT_SOURCE), 1);
	say(b, 'i'); /* has nothing to do with us any more: it makes way */
	d = dial(&f);
	if (try_say(d, 'b') != ERR_OK) { /* but not at once */
		sock_close(d);
		let_grace_pass();
		d = dial_as(&f, 'b');
	}
	assert_hung_up(b);
	assert_echo(a);
	assert_int_equal(rejected(&f, REJECT_EVICTED), 1);
	sock_close(a);
	sock_close(b);
	sock_close(d);
	end(&f);
}

static void adopts_a_connection_we_made(void **state)
{
	struct fixture f = { 0 };
	struct addr remote = local_addr(ADDR_V6);
	int pair[2], full;

	(void)state;
	open_server(&f, ADDR_V4, 1);
	full = dial_as(&f, 'b');
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

/* A busy one holds the descriptor that a waiting accept may have set aside;
 * from then on the server sheds. */
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
	(void)!try_say(first, 'b');
	wall_ms = clock_ms();
	busy_ms = cpu_ms();
	for (size_t i = 0; i < COUNT_OF(fd); i++) {
		assert_ok(sock_connect(fd[i], &f.addr, SOON));
		assert_hung_up(fd[i]);
		sock_shutdown(fd[i]);
	}
	assert_true(server_stats(f.server).refused >= COUNT_OF(fd));
	assert_true(rejected(&f, REJECT_DESCRIPTORS) >= COUNT_OF(fd));
	nanosleep(&(struct timespec){ 0, 200000000 }, NULL);
	assert_true(cpu_ms() - busy_ms < (clock_ms() - wall_ms) / 2);
	setrlimit(RLIMIT_NOFILE, &before);
	EVENTUALLY(server_stats(f.server).connections <= 1);
	assert_ok(sock_connect(later, &f.addr, SOON));
	assert_echo(later);
	sock_close(first);
	sock_close(later);
	close_all(fd, COUNT_OF(fd));
	end(&f);
}

/* The first newcomer gets the descriptor that a waiting accept may have set
 * aside, the others those of the silent, the oldest first. */
static void the_silent_give_up_their_descriptors(void **state)
{
	struct fixture f = { 0 };
	int fd[4], next[3];
	struct rlimit before;

	(void)state;
	open_server(&f, ADDR_V4, 100);
	for (size_t i = 0; i < COUNT_OF(fd); i++)
		fd[i] = dial_as(&f, 'e');
	for (size_t i = 0; i < COUNT_OF(next); i++)
		assert_ok(sock_open(&f.addr, &next[i]));
	before = use_up_descriptors();
	for (size_t i = 0; i < COUNT_OF(next); i++) {
		assert_ok(sock_connect(next[i], &f.addr, SOON));
		say(next[i], 'b');
	}
	setrlimit(RLIMIT_NOFILE, &before);
	assert_hung_up(fd[0]);
	assert_hung_up(fd[1]);
	assert_echo(fd[3]);
	assert_in_range(rejected(&f, REJECT_EVICTED), 2, 3);
	assert_int_equal(rejected(&f, REJECT_DESCRIPTORS), 0);
	close_all(next, COUNT_OF(next));
	close_all(fd, COUNT_OF(fd));
	end(&f);
}

/* One after the other: with one thread, it and the listener's. */
static void a_thread_serves_the_next_caller_too(void **state)
{
	struct fixture f = { 0 };
	size_t threads = thread_count();
	int fd;

	(void)state;
	open_server(&f, ADDR_V4, 10);
	for (int i = 0; i < 100; i++) {
		fd = dial_as(&f, i % 2 ? 'i' : 'b');
		sock_close(fd);
		EVENTUALLY(server_stats(f.server).connections == 0);
	}
	assert_true(thread_count() <= threads + 2);
	/* It does not wait for ever. */
	EVENTUALLY(thread_count() == threads + 1);
	fd = dial_as(&f, 'e');
	end(&f);
	sock_close(fd);
	EVENTUALLY(thread_count() == threads);
}

/* Told to make way for one newcomer, a thread serves the next all the same. */
static void who_was_evicted_leaves_nothing_to_the_next(void **state)
{
	struct fixture f = { 0 };
	int fd[20];

	(void)state;
	open_server(&f, ADDR_V4, 2);
	for (size_t i = 0; i < COUNT_OF(fd); i++)
		fd[i] = dial_as(&f, 'i');
	assert_int_equal(rejected(&f, REJECT_EVICTED), COUNT_OF(fd) - 2);
	assert_echo(fd[COUNT_OF(fd) - 1]);
	close_all(fd, COUNT_OF(fd));
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
	    rejected(&f, REJECT_THREADS) != 5 ||
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(serves_callers_over_v4_and_v6),
		cmocka_unit_test(says_why_it_cannot_listen),
		cmocka_unit_test(a_server_that_never_started_ends),
		cmocka_unit_test(stops_while_many_are_connected_and_silent),
		cmocka_unit_test(keeps_nothing_of_those_that_left),
		cmocka_unit_test(when_all_places_are_in_use_it_refuses),
		cmocka_unit_test(the_longest_of_the_silent_makes_way),
		cmocka_unit_test(then_the_longest_of_the_idle),
		cmocka_unit_test(who_just_came_may_stay_unless_he_is_a_crowd),
		cmocka_unit_test(a_crowd_of_the_silent_never_shuts_the_door),
		cmocka_unit_test(loopback_has_no_limit_of_one_host),
		cmocka_unit_test(one_host_off_loopback_gets_so_many_places),
		cmocka_unit_test(adopts_a_connection_we_made),
		cmocka_unit_test(a_stopped_server_adopts_nothing),
		cmocka_unit_test(no_longer_listening_it_serves_on),
		cmocka_unit_test(
			without_descriptors_it_sheds_and_does_not_spin),
		cmocka_unit_test(the_silent_give_up_their_descriptors),
		cmocka_unit_test(a_thread_serves_the_next_caller_too),
		cmocka_unit_test(who_was_evicted_leaves_nothing_to_the_next),
		cmocka_unit_test(without_a_thread_only_that_caller_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
