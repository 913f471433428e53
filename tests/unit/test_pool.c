#include "io/pool.h"

#include "sockets.h"

#include <sys/resource.h>
#include <sys/wait.h>

#define JOBS_MAX 512

/* What the jobs of one test did. */
struct record {
	struct mutex mu;
	struct cond changed;
	int order[JOBS_MAX];
	size_t ran, stopped, running, most;
	bool open; /* the gate jobs wait at */
};

struct task {
	struct job job;
	struct record *record;
	int number;
	bool at_gate, until_woken;
};

static void note_end(struct record *r)
{
	mutex_lock(&r->mu);
	r->running--;
	cond_broadcast(&r->changed);
	mutex_unlock(&r->mu);
}

static void run_task(struct job *j, struct waker *w, bool stopped)
{
	struct task *t = (struct task *)j;
	struct record *r = t->record;

	mutex_lock(&r->mu);
	if (stopped) {
		r->stopped++;
		mutex_unlock(&r->mu);
		assert_null(w);
		free(t);
		return;
	}
	r->order[r->ran++] = t->number;
	if (++r->running > r->most)
		r->most = r->running;
	cond_broadcast(&r->changed);
	while (t->at_gate && !r->open)
		cond_wait(&r->changed, &r->mu);
	mutex_unlock(&r->mu);
	if (t->until_woken && waker_sleep(w, SOON) != ERR_STOPPED)
		abort();
	note_end(r);
	free(t);
}

static int open_record(void **state)
{
	struct record *r = calloc(1, sizeof *r);

	if (r == NULL)
		return -1;
	mutex_init(&r->mu);
	cond_init(&r->changed);
	*state = r;
	return 0;
}

static int close_record(void **state)
{
	struct record *r = *state;

	cond_destroy(&r->changed);
	mutex_destroy(&r->mu);
	free(r);
	return 0;
}

static struct task *task_new(struct record *r, int number)
{
	struct task *t = calloc(1, sizeof *t);

	assert_non_null(t);
	t->job.run = run_task;
	t->record = r;
	t->number = number;
	return t;
}

static void submit(struct pool *p, struct task *t)
{
	assert_ok(pool_submit(p, &t->job));
}

static void submit_at_gate(struct pool *p, struct record *r, int number)
{
	struct task *t = task_new(r, number);

	t->at_gate = true;
	submit(p, t);
}

static void open_gate(struct record *r)
{
	mutex_lock(&r->mu);
	r->open = true;
	cond_broadcast(&r->changed);
	mutex_unlock(&r->mu);
}

static void wait_running(struct record *r, size_t n)
{
	int64_t until_ms = SOON;

	mutex_lock(&r->mu);
	while (r->running != n)
		assert_true(cond_wait_until(&r->changed, &r->mu, until_ms));
	mutex_unlock(&r->mu);
}

static void end(struct pool *p)
{
	pool_stop(p);
	pool_join(p);
}

static void one_worker_keeps_the_order(void **state)
{
	struct record *r = *state;
	struct pool *p;

	assert_ok(pool_start(&p, "one", 1, 100));
	submit_at_gate(p, r, 0);
	for (int i = 1; i < 50; i++)
		submit(p, task_new(r, i));
	assert_int_equal(pool_busy(p), 50);
	open_gate(r);
	EVENTUALLY(pool_busy(p) == 0);
	end(p);
	assert_int_equal(r->ran, 50);
	assert_int_equal(r->most, 1);
	for (int i = 0; i < 50; i++)
		assert_int_equal(r->order[i], i);
}

static void as_many_run_at_once_as_are_allowed(void **state)
{
	struct record *r = *state;
	struct pool *p;

	assert_ok(pool_start(&p, "four", 4, 100));
	for (int i = 0; i < 20; i++)
		submit_at_gate(p, r, i);
	wait_running(r, 4);
	open_gate(r);
	EVENTUALLY(pool_busy(p) == 0);
	end(p);
	assert_int_equal(r->ran, 20);
	assert_int_equal(r->most, 4);
}

static void a_worker_is_used_again(void **state)
{
	struct record *r = *state;
	size_t before = thread_count();
	struct pool *p;

	assert_ok(pool_start(&p, "again", 8, 100));
	assert_int_equal(thread_count(), before); /* none without work */
	submit(p, task_new(r, 0));
	EVENTUALLY(pool_busy(p) == 0);
	assert_int_equal(thread_count(), before + 1);
	end(p);
	EVENTUALLY(thread_count() == before);
}

static void a_full_queue_refuses(void **state)
{
	struct record *r = *state;
	struct task *extra = task_new(r, 9);
	struct pool *p;

	assert_ok(pool_start(&p, "full", 1, 2));
	submit_at_gate(p, r, 0);
	wait_running(r, 1);
	submit(p, task_new(r, 1));
	submit(p, task_new(r, 2));
	assert_int_equal(pool_submit(p, &extra->job), ERR_FULL);
	open_gate(r);
	EVENTUALLY(pool_busy(p) == 0);
	submit(p, extra);
	EVENTUALLY(pool_busy(p) == 0);
	end(p);
	assert_int_equal(r->ran, 4);
}

static void a_stop_wakes_who_runs_and_frees_who_waits(void **state)
{
	struct record *r = *state;
	struct task *late = task_new(r, 9);
	struct pool *p;

	assert_ok(pool_start(&p, "stop", 3, 100));
	for (int i = 0; i < 3; i++) {
		struct task *t = task_new(r, i);

		t->until_woken = true;
		submit(p, t);
	}
	wait_running(r, 3);
	for (int i = 3; i < 10; i++)
		submit(p, task_new(r, i));
	pool_stop(p);
	pool_stop(p);
	assert_int_equal(pool_submit(p, &late->job), ERR_STOPPED);
	free(late);
	pool_join(p);
	assert_int_equal(r->ran, 3);
	assert_int_equal(r->stopped, 7);
	assert_int_equal(r->running, 0);
}

static void a_pool_that_was_never_used_ends(void **state)
{
	struct pool *p;

	(void)state;
	assert_ok(pool_start(&p, "unused", 3, 100));
	end(p);
}

static void idle_workers_leave_and_come_again(void **state)
{
	struct record *r = *state;
	size_t before = thread_count();
	int64_t start_ms = clock_ms();
	struct pool *p;

	assert_ok(pool_start(&p, "idle", 8, 100));
	for (int i = 0; i < 8; i++)
		submit_at_gate(p, r, i);
	wait_running(r, 8);
	open_gate(r);
	EVENTUALLY(thread_count() == before);
	assert_true(clock_ms() >= start_ms + POOL_IDLE_MS);
	submit(p, task_new(r, 8));
	EVENTUALLY(pool_busy(p) == 0);
	end(p);
	assert_int_equal(r->ran, 9);
}

struct submitter {
	struct pool *pool;
	struct record *record;
};

static void *submit_many(void *arg)
{
	struct submitter *s = arg;

	for (int i = 0; i < 100; i++) {
		struct task *t = task_new(s->record, i);

		if (pool_submit(s->pool, &t->job) != ERR_OK)
			abort();
	}
	return NULL;
}

static void many_may_submit_at_once(void **state)
{
	struct record *r = *state;
	struct submitter s = { .record = r };
	pthread_t t[4];

	assert_ok(pool_start(&s.pool, "many", 6, JOBS_MAX));
	for (size_t i = 0; i < COUNT_OF(t); i++)
		assert_ok(thread_start(&t[i], submit_many, &s, "submitter"));
	for (size_t i = 0; i < COUNT_OF(t); i++)
		thread_join(t[i]);
	EVENTUALLY(pool_busy(s.pool) == 0);
	end(s.pool);
	assert_int_equal(r->ran, 400);
	assert_true(r->most <= 6);
}

/* In a process of its own, of a user that may have one thread only. */
static void submit_without_threads(void)
{
	struct rlimit one = { 1, 1 };
	struct task t = { .job = { .run = run_task } };
	struct pool *p;

	if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0)
		_exit(77);
	if (setrlimit(RLIMIT_NPROC, &one) != 0 ||
	    pool_start(&p, "poor", 2, 10) != ERR_OK)
		_exit(77);
	if (pool_submit(p, &t.job) != ERR_SYSTEM || pool_busy(p) != 0)
		_exit(1);
	end(p);
	_exit(0);
}

static void without_a_thread_the_job_stays_with_the_caller(void **state)
{
	int status = 0;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		submit_without_threads();
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

#define POOL_TEST(name) \
	cmocka_unit_test_setup_teardown(name, open_record, close_record)

int main(void)
{
	const struct CMUnitTest tests[] = {
		POOL_TEST(one_worker_keeps_the_order),
		POOL_TEST(as_many_run_at_once_as_are_allowed),
		POOL_TEST(a_worker_is_used_again),
		POOL_TEST(a_full_queue_refuses),
		POOL_TEST(a_stop_wakes_who_runs_and_frees_who_waits),
		POOL_TEST(a_pool_that_was_never_used_ends),
		POOL_TEST(idle_workers_leave_and_come_again),
		POOL_TEST(many_may_submit_at_once),
		POOL_TEST(without_a_thread_the_job_stays_with_the_caller),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
