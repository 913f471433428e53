#include "io/thread.h"

#include "sockets.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

struct seen {
	char name[16];
	size_t stack_bytes;
	bool usr1_blocked;
};

static void *look_at_myself(void *arg)
{
	struct seen *s = arg;
	pthread_attr_t attr;
	sigset_t mask;

	pthread_getname_np(pthread_self(), s->name, sizeof s->name);
	if (pthread_getattr_np(pthread_self(), &attr) == 0) {
		pthread_attr_getstacksize(&attr, &s->stack_bytes);
		pthread_attr_destroy(&attr);
	}
	pthread_sigmask(SIG_BLOCK, NULL, &mask);
	s->usr1_blocked = sigismember(&mask, SIGUSR1) == 1;
	return NULL;
}

static void starts_a_named_thread_with_a_small_stack(void **state)
{
	struct seen s = { 0 };
	pthread_t t;

	(void)state;
	assert_ok(thread_start(&t, look_at_myself, &s, "reader"));
	thread_join(t);
	assert_string_equal(s.name, "reader");
	assert_true(s.stack_bytes >= THREAD_STACK_BYTES);
	assert_true(s.stack_bytes < 16 * THREAD_STACK_BYTES);
}

static void cuts_a_name_that_is_too_long(void **state)
{
	struct seen s = { 0 };
	pthread_t t;

	(void)state;
	assert_ok(
		thread_start(&t, look_at_myself, &s, "a-name-of-more-than-15"));
	thread_join(t);
	assert_string_equal(s.name, "a-name-of-more-");
}

static void inherits_the_blocked_signals(void **state)
{
	struct seen s = { 0 };
	sigset_t usr1;
	pthread_t t;

	(void)state;
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &usr1, NULL);
	assert_ok(thread_start(&t, look_at_myself, &s, "masked"));
	thread_join(t);
	assert_true(s.usr1_blocked);
	pthread_sigmask(SIG_UNBLOCK, &usr1, NULL);
	assert_ok(thread_start(&t, look_at_myself, &s, "open"));
	thread_join(t);
	assert_false(s.usr1_blocked);
}

/* In a process of its own, of a user that may have one thread only. */
static void refuse_more_threads(void)
{
	struct rlimit one = { 1, 1 };
	struct seen s;
	pthread_t t;

	if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0)
		_exit(77);
	if (setrlimit(RLIMIT_NPROC, &one) != 0)
		_exit(77);
	if (thread_start(&t, look_at_myself, &s, "never") == ERR_OK)
		_exit(1);
	_exit(errno == EAGAIN ? 0 : 2);
}

static void says_when_there_are_no_more_threads(void **state)
{
	int status = 0;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		refuse_more_threads();
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

struct counter {
	struct mutex mu;
	struct cond changed;
	int value;
};

static void *add_many(void *arg)
{
	struct counter *c = arg;

	for (int i = 0; i < 10000; i++) {
		mutex_lock(&c->mu);
		c->value++;
		cond_signal(&c->changed);
		mutex_unlock(&c->mu);
	}
	return NULL;
}

static void a_lock_keeps_threads_apart(void **state)
{
	struct counter c = { .value = 0 };
	pthread_t t[4];

	(void)state;
	mutex_init(&c.mu);
	cond_init(&c.changed);
	for (size_t i = 0; i < COUNT_OF(t); i++)
		assert_ok(thread_start(&t[i], add_many, &c, "adder"));
	mutex_lock(&c.mu);
	while (c.value < 40000)
		cond_wait(&c.changed, &c.mu);
	mutex_unlock(&c.mu);
	for (size_t i = 0; i < COUNT_OF(t); i++)
		thread_join(t[i]);
	assert_int_equal(c.value, 40000);
	cond_destroy(&c.changed);
	mutex_destroy(&c.mu);
}

static void a_wait_ends_at_its_deadline(void **state)
{
	struct counter c = { .value = 0 };
	int64_t start_ms = clock_ms();

	(void)state;
	mutex_init(&c.mu);
	cond_init(&c.changed);
	mutex_lock(&c.mu);
	while (cond_wait_until(&c.changed, &c.mu, start_ms + 30))
		;
	assert_true(clock_ms() >= start_ms + 29);
	assert_false(cond_wait_until(&c.changed, &c.mu, start_ms));
	assert_false(cond_wait_until(&c.changed, &c.mu, -5));
	mutex_unlock(&c.mu);
	cond_destroy(&c.changed);
	mutex_destroy(&c.mu);
}

static void *set_one(void *arg)
{
	struct counter *c = arg;

	mutex_lock(&c->mu);
	c->value = 1;
	cond_broadcast(&c->changed);
	mutex_unlock(&c->mu);
	return NULL;
}

static void a_wait_without_end_is_woken(void **state)
{
	struct counter c = { .value = 0 };
	pthread_t t;

	(void)state;
	mutex_init(&c.mu);
	cond_init(&c.changed);
	mutex_lock(&c.mu);
	assert_ok(thread_start(&t, set_one, &c, "setter"));
	while (c.value == 0)
		assert_true(cond_wait_until(&c.changed, &c.mu, INT64_MAX));
	mutex_unlock(&c.mu);
	thread_join(t);
	cond_destroy(&c.changed);
	mutex_destroy(&c.mu);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(starts_a_named_thread_with_a_small_stack),
		cmocka_unit_test(cuts_a_name_that_is_too_long),
		cmocka_unit_test(inherits_the_blocked_signals),
		cmocka_unit_test(says_when_there_are_no_more_threads),
		cmocka_unit_test(a_lock_keeps_threads_apart),
		cmocka_unit_test(a_wait_ends_at_its_deadline),
		cmocka_unit_test(a_wait_without_end_is_woken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
