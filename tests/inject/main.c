/* Fault injection: fails the n-th call of each wrapped function, for n = 1, 2,
 * 3 ... until a run completes without having come that far; each once alone
 * and once with all later calls failing as well; then disturbs a tenth of all
 * reads, writes and waits. Every run is a process of its own with a time
 * limit. Meant for a build with sanitizers.
 *
 * What must hold: no crash, no leak, no hang, no descriptor or thread left, no
 * message twice. A fault that happens once must not keep a run from completing
 * unless a daemon says that it does not start or ends. One that lasts may, but
 * the daemons then still stop.
 */
#include "inject/run.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RUN_SECONDS 60  /* then it hangs */
#define TRIES 2         /* for a point that was not reached */
#define STOP_AFTER 2    /* points in a row not reached: that was all */
#define FINDINGS_MAX 40 /* enough to work on */
#define JOBS_MAX 64
#define CAUSE_MAX 160

const char *__asan_default_options(void);
const char *__ubsan_default_options(void);
const char *__tsan_default_options(void);

const char *__asan_default_options(void)
{
	return "exitcode=99:detect_leaks=1";
}

const char *__ubsan_default_options(void)
{
	return "exitcode=99:print_stacktrace=1";
}

const char *__tsan_default_options(void)
{
	return "exitcode=99:halt_on_error=1:second_deadlock_stack=1";
}

static const char configuration[] =
	"[seeds]\ns = 127.0.0.1:1\n"
	"[overlay]\ndial_timeout = 1s\nseed_timeout = 1s\nrepair_first = 10ms\n"
	"repair = 20ms\nrepair_max = 100ms\nurgent_interval = 50ms\n"
	"tie = 200ms\nreport_delay = 10ms\n"
	"[liveness]\ninterval = 50ms\nbusy_interval = 100ms\ntimeout = 8s\n"
	"[gossip]\nhave_flush = 10ms\nask_after = 30ms\nask_min = 20ms\n"
	"ask_max = 100ms\nhole_wait = 50ms\nlost_after = 10s\n"
	"lazy_time = 50ms\n"
	"[seed]\nperiod = 100ms\nlease_periods = 50\nverify_retry = 20ms\n"
	"dial_back = 1s\nverify_connect = 1s\nverify_reply = 2s\n"
	"[log]\nlevel = debug\nmax_size = ";

enum { ONCE, LASTING, MODES };

static const enum fault_mode modes[] = { FAULT_ONCE, FAULT_LASTING };

/* Of one function and mode; shared by the workers. */
struct tally {
	atomic_uint next;      /* point to try */
	atomic_uint in_vain;   /* in a row not reached */
	atomic_uint unreached; /* in all */
	atomic_uint ends[RUN_ENDS];
	atomic_uint findings;
};

struct board {
	struct tally tallies[FAULT_POINTS][MODES];
	struct tally noise;
	atomic_uint runs, findings;
	atomic_int_fast64_t stop_max_ms;
	struct run_report reports[JOBS_MAX + 1];
};

static struct board *board;
static char home[64]; /* of everything the runs write */
static const char *program;
static unsigned every = 1, from = 0, jobs = 2, noises = 30;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* --- one run ---------------------------------------------------------- */

static int remove_one(const char *path, const struct stat *st, int type,
		      struct FTW *walk)
{
	(void)st, (void)type, (void)walk;
	return remove(path);
}

/* Logs so small that they rotate in a run; large for who looks at one. */
static void make_directory(unsigned job, const char *log_size, char *path,
			   size_t n)
{
	char file[160];
	FILE *f;

	snprintf(path, n, "%s/%u", home, job);
	(void)nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	snprintf(file, sizeof file, "%s/config", path);
	if (mkdir(path, 0777) != 0 || (f = fopen(file, "w")) == NULL ||
	    fprintf(f, "%s%s\n", configuration, log_size) < 0 ||
	    fclose(f) != 0) {
		perror(path);
		exit(1);
	}
}

static void run_child(const struct fault *f, unsigned job, const char *said)
{
	char path[128];
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	make_directory(job, "4K", path, sizeof path);
	if (said != NULL && freopen(said, "w", stderr) == NULL)
		exit(1);
	if (freopen("/dev/null", "w", stdout) == NULL)
		exit(1);
	setvbuf(stderr, NULL, _IONBF, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_IGN);
	exit((int)run_all(path, f, &board->reports[job]));
}

/* False if it had to be killed. SIGCHLD is blocked. */
static bool wait_child(pid_t pid, int *status)
{
	double end = now() + RUN_SECONDS;
	struct timespec look = { .tv_nsec = 100000000 };
	sigset_t child;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	while (waitpid(pid, status, WNOHANG) == 0) {
		if (now() > end) {
			kill(pid, SIGKILL);
			waitpid(pid, status, 0);
			return false;
		}
		(void)sigtimedwait(&child, NULL, &look);
	}
	return true;
}

static void describe(const struct fault *f, char *out, size_t n)
{
	if (f->mode == FAULT_NOISE)
		snprintf(out, n, "noise:%llu", (unsigned long long)f->n);
	else
		snprintf(out, n, "%s:%llu:%s", fault_name(f->point),
			 (unsigned long long)f->n,
			 f->mode == FAULT_ONCE ? "once" : "lasting");
}

/* What is wrong about how the run ended; NULL: nothing. */
static const char *judge(const struct fault *f, bool in_time, int status,
			 const struct run_report *r, char cause[CAUSE_MAX])
{
	int code = WEXITSTATUS(status);

	if (!in_time)
		snprintf(cause, CAUSE_MAX, "hangs in '%s'", r->step);
	else if (WIFSIGNALED(status))
		snprintf(cause, CAUSE_MAX, "signal %d in '%s'",
			 WTERMSIG(status), r->step);
	else if (code == RUN_BROKEN)
		snprintf(cause, CAUSE_MAX, "%s", r->why);
	else if (code == RUN_SANITIZER)
		snprintf(cause, CAUSE_MAX, "a sanitizer reports, in '%s'",
			 r->step);
	else if (code >= RUN_ENDS)
		snprintf(cause, CAUSE_MAX, "exit status %d", code);
	else if (code == RUN_CUT_SHORT && f->mode != FAULT_LASTING)
		snprintf(cause, CAUSE_MAX, "'%s' never came true", r->step);
	else
		return NULL;
	return cause;
}

static void tell_finding(const struct fault *f, unsigned job, const char *cause)
{
	char what[80], said[160], kept[160];

	describe(f, what, sizeof what);
	snprintf(said, sizeof said, "%s/%u.said", home, job);
	snprintf(kept, sizeof kept, "%s.finding.%s", program, what);
	printf("FINDING %s: %s\n  what it said: %s\n  repeat: %s --only %s\n",
	       what, cause, kept, program, what);
	if (rename(said, kept) != 0)
		perror(kept);
	atomic_fetch_add(&board->findings, 1);
}

/* Returns whether the fault happened; what came of it is in the tally. */
static bool run_one(const struct fault *f, unsigned job, struct tally *t)
{
	struct run_report *r = &board->reports[job];
	char said[160], cause[CAUSE_MAX];
	const char *wrong;
	int64_t stop_ms;
	bool in_time;
	int status = 0;
	pid_t pid;

	memset(r, 0, sizeof *r);
	snprintf(said, sizeof said, "%s/%u.said", home, job);
	pid = fork();
	if (pid == 0)
		run_child(f, job, said);
	in_time = wait_child(pid, &status);
	atomic_fetch_add(&board->runs, 1);
	wrong = judge(f, in_time, status, r, cause);
	stop_ms = atomic_load(&r->stop_ms);
	if (stop_ms > atomic_load(&board->stop_max_ms))
		atomic_store(&board->stop_max_ms, stop_ms);
	if (wrong != NULL) {
		tell_finding(f, job, wrong);
		atomic_fetch_add(&t->findings, 1);
		return true;
	}
	if (atomic_load(&r->counts.failed) == 0)
		return false;
	atomic_fetch_add(&t->ends[WEXITSTATUS(status)], 1);
	return true;
}

/* --- all points ------------------------------------------------------- */

static bool enough(void)
{
	return atomic_load(&board->findings) >= FINDINGS_MAX;
}

/* This worker's share of the points of one function. */
static void work_on(enum fault_point p, int mode, unsigned job)
{
	const struct run_report *clean = &board->reports[JOBS_MAX];
	struct tally *t = &board->tallies[p][mode];

	while (atomic_load(&t->in_vain) < STOP_AFTER && !enough()) {
		struct fault f = { .mode = modes[mode], .point = p };
		bool reached = false;

		f.n = 1 + from +
		      (uint64_t)atomic_fetch_add(&t->next, 1) * every;
		/* A sample needs no proof that there are no more. */
		if (every > 1 && f.n > atomic_load(&clean->counts.calls[p]))
			break;
		for (int i = 0; i < TRIES && !reached; i++)
			reached = run_one(&f, job, t);
		if (reached) {
			atomic_store(&t->in_vain, 0);
		} else {
			atomic_fetch_add(&t->in_vain, 1);
			atomic_fetch_add(&t->unreached, 1);
		}
	}
}

static void make_noise(unsigned job)
{
	struct tally *t = &board->noise;
	struct fault f = { .mode = FAULT_NOISE, .point = FAULT_POINTS };

	while ((f.n = 1 + atomic_fetch_add(&t->next, 1)) <= noises && !enough())
		(void)run_one(&f, job, t);
}

static void work(unsigned job)
{
	make_noise(job);
	for (int p = 0; p < FAULT_POINTS; p++)
		for (int mode = 0; mode < MODES; mode++)
			work_on((enum fault_point)p, mode, job);
}

static void work_all(void)
{
	pid_t pids[JOBS_MAX];
	int status;

	for (unsigned i = 0; i < jobs; i++) {
		pids[i] = fork();
		if (pids[i] != 0)
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		work(i);
		_exit(0);
	}
	for (unsigned i = 0; i < jobs; i++)
		if (waitpid(pids[i], &status, 0) < 0 || status != 0)
			atomic_fetch_add(&board->findings, 1);
}

/* --- the table -------------------------------------------------------- */

static unsigned reached(const struct tally *t)
{
	unsigned n = atomic_load(&t->findings);

	for (int i = 0; i < RUN_ENDS; i++)
		n += atomic_load(&t->ends[i]);
	return n;
}

static void print_ends(const struct tally *t)
{
	printf(" %6u %6u %4u %4u %5u %4u", reached(t),
	       atomic_load(&t->ends[RUN_COMPLETED]),
	       atomic_load(&t->ends[RUN_TOLD_LOSS]),
	       atomic_load(&t->ends[RUN_REFUSED]) +
		       atomic_load(&t->ends[RUN_GAVE_UP]),
	       atomic_load(&t->ends[RUN_CUT_SHORT]), atomic_load(&t->findings));
}

/* Numbers tried in vain: the ends of all lines, and holes within them, where
 * the threads of a run took turns otherwise than in the ones before. */
static unsigned unreached(void)
{
	unsigned n = 0;

	for (int p = 0; p < FAULT_POINTS; p++)
		for (int mode = 0; mode < MODES; mode++)
			n += atomic_load(&board->tallies[p][mode].unreached);
	return n;
}

static unsigned print_table(const struct run_report *clean)
{
	unsigned points = 0;

	printf("\n%-15s %6s | %-34s | %-34s\n", "", "", "the n-th call fails",
	       "and all later ones");
	printf("%-15s %6s |", "function", "calls");
	for (int mode = 0; mode < MODES; mode++)
		printf(" %6s %6s %4s %4s %5s %4s%s", "points", "done", "told",
		       "end", "short", "bad", mode == 0 ? " |" : "\n");
	for (int p = 0; p < FAULT_POINTS; p++) {
		const struct tally *t = board->tallies[p];

		printf("%-15s %6llu |", fault_name((enum fault_point)p),
		       (unsigned long long)atomic_load(
			       &clean->counts.calls[p]));
		print_ends(&t[ONCE]);
		printf(" |");
		print_ends(&t[LASTING]);
		printf("\n");
		points += reached(&t[ONCE]) + reached(&t[LASTING]);
	}
	printf("%-15s %6s |", "short and EINTR", "");
	print_ends(&board->noise);
	printf(" | seeds 1 to %u, a tenth of all calls\n", noises);
	return points;
}

static int summarize(const struct run_report *clean, double begun)
{
	unsigned points = print_table(clean);
	unsigned bad = atomic_load(&board->findings);

	printf("done: all was seen. told: but for a message that is told to be "
	       "missing.\nend: a daemon said that it cannot start or go on. "
	       "short: not all was seen, and all stopped.\nbad: crash, leak, "
	       "hang, or something lost in silence.\n");
	printf("%u points%s in %u runs, %.0f s; %u numbers not reached; "
	       "longest stop %lld ms; %u findings\n",
	       points, every > 1 ? " of a sample" : "",
	       atomic_load(&board->runs), now() - begun, unreached(),
	       (long long)atomic_load(&board->stop_max_ms), bad);
	return bad == 0 && points > 0 ? 0 : 1;
}

/* --- main ------------------------------------------------------------- */

/* malloc:17:once, or noise:5 */
static bool parse_fault(const char *text, struct fault *f)
{
	char name[32], mode[16] = "once";
	unsigned long long n;

	if (sscanf(text, "%31[^:]:%llu:%15s", name, &n, mode) < 2)
		return false;
	f->n = n;
	f->mode = strcmp(mode, "lasting") == 0 ? FAULT_LASTING : FAULT_ONCE;
	if (strcmp(name, "noise") == 0) {
		f->mode = FAULT_NOISE;
		f->point = FAULT_POINTS;
		return true;
	}
	for (int p = 0; p < FAULT_POINTS; p++) {
		f->point = (enum fault_point)p;
		if (strcmp(name, fault_name(f->point)) == 0)
			return true;
	}
	return false;
}

/* In this process, so that a debugger can look. */
static int run_only(const struct fault *f)
{
	struct run_report *r = &board->reports[0];
	char path[128];
	enum run_end end;

	make_directory(0, "64M", path, sizeof path);
	signal(SIGPIPE, SIG_IGN);
	fault_trace();
	end = run_all(path, f, r);
	fprintf(stderr,
		"ends with %d in '%s' %s, %llu calls failed, "
		"run %lld ms, stop %lld ms, logs in %s\n",
		(int)end, r->step, r->why,
		(unsigned long long)atomic_load(&r->counts.failed),
		(long long)atomic_load(&r->run_ms),
		(long long)atomic_load(&r->stop_ms), path);
	return (int)end;
}

static int usage(void)
{
	fprintf(stderr,
		"usage: %s [--every K] [--from F] [--jobs N] [--noise N]\n"
		"       %s --only FUNCTION:N[:once|:lasting] | noise:SEED\n"
		"every K: of K points the one numbered F, F + K ...\n",
		program, program);
	return 2;
}

static bool parse_number(const char *name, const char *value)
{
	static const struct {
		const char *name;
		unsigned *value, min, max;
	} options[] = { { "--every", &every, 1, 100000 },
			{ "--from", &from, 0, 100000 },
			{ "--jobs", &jobs, 1, JOBS_MAX },
			{ "--noise", &noises, 0, 100000 } };
	char *end;

	for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
		unsigned long n;

		if (strcmp(name, options[i].name) != 0)
			continue;
		n = strtoul(value, &end, 10);
		*options[i].value = (unsigned)n;
		return *value != '\0' && *end == '\0' && n >= options[i].min &&
		       n <= options[i].max;
	}
	return false;
}

static int run_sweep(void)
{
	struct fault none = { .mode = FAULT_NONE, .point = FAULT_POINTS };
	struct run_report *clean = &board->reports[JOBS_MAX];
	struct tally ignored = { .next = 0 };
	double begun = now();

	if (every > 1)
		printf("every %u points from the %u. on\n", every, from + 1);
	(void)run_one(&none, JOBS_MAX, &ignored);
	if (atomic_load(&board->findings) == 0) {
		printf("a run takes %lld ms and %lld ms to stop\n",
		       (long long)atomic_load(&clean->run_ms),
		       (long long)atomic_load(&clean->stop_ms));
		work_all();
	}
	return summarize(clean, begun);
}

int main(int argc, char **argv)
{
	struct fault only = { .mode = FAULT_NONE };
	sigset_t child;
	int status;

	program = argv[0];
	setvbuf(stdout, NULL, _IOLBF, 0); /* nothing for a child to repeat */
	for (int i = 1; i < argc; i += 2) {
		if (i + 1 == argc)
			return usage();
		if (strcmp(argv[i], "--only") == 0
			    ? !parse_fault(argv[i + 1], &only)
			    : !parse_number(argv[i], argv[i + 1]))
			return usage();
	}
	board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	snprintf(home, sizeof home, "/tmp/inject.XXXXXX");
	if (board == MAP_FAILED || mkdtemp(home) == NULL) {
		perror(program);
		return 1;
	}
	if (only.mode != FAULT_NONE)
		return run_only(&only);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	status = run_sweep();
	(void)nftw(home, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	return status;
}
