#include "io/log.h"

#include "sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define TEXT_MAX (1 << 20)

struct fixture {
	char dir[64], path[128], older[160];
	struct config_log settings;
	struct log_options options;
	struct log *log;
	struct addr who;
};

static int make_fixture(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	if (f == NULL)
		return -1;
	strcpy(f->dir, "test_log_XXXXXX");
	if (mkdtemp(f->dir) == NULL)
		return -1;
	snprintf(f->path, sizeof f->path, "%s/a.log", f->dir);
	snprintf(f->older, sizeof f->older, "%s.1", f->path);
	f->settings.level = LOG_INFO;
	f->settings.color = COLOR_NEVER;
	f->settings.max_size = 10 << 20;
	f->options.path = f->path;
	f->options.config = &f->settings;
	f->who = local_addr(ADDR_V4);
	f->who.port = 5000;
	*state = f;
	return 0;
}

static int remove_fixture(void **state)
{
	struct fixture *f = *state;

	unlink(f->path);
	unlink(f->older);
	rmdir(f->dir);
	free(f);
	return 0;
}

static void start(struct fixture *f)
{
	assert_ok(log_open(&f->log, &f->options));
}

static char *read_text(const char *path)
{
	static char text[TEXT_MAX];
	FILE *file = fopen(path, "r");
	size_t n;

	assert_non_null(file);
	n = fread(text, 1, sizeof text - 1, file);
	fclose(file);
	text[n] = '\0';
	return text;
}

static size_t count_of(const char *text, char c)
{
	size_t n = 0;

	for (; *text != '\0'; text++)
		n += *text == c;
	return n;
}

static size_t file_size(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? (size_t)st.st_size : 0;
}

/* One line of kind KIND_MESSAGE, and the log is closed. */
static char *log_one(struct fixture *f, const char *details)
{
	start(f);
	log_event(f->log, LOG_INFO, KIND_MESSAGE, WAY_IN, "Message", &f->who,
		  "%s", details);
	log_close(f->log);
	return read_text(f->path);
}

/* "2026-11-22T16:03:41.123Z " */
static char *after_time(char *line)
{
	static const char form[] = "dddd-dd-ddTdd:dd:dd.dddZ ";

	for (size_t i = 0; i < sizeof form - 1; i++) {
		if (form[i] == 'd')
			assert_in_range(line[i], '0', '9');
		else
			assert_int_equal(line[i], form[i]);
	}
	return line + sizeof form - 1;
}

static void writes_one_line_per_event(void **state)
{
	assert_string_equal(after_time(log_one(*state, "5 bytes")),
			    "in  Message 127.0.0.1:5000 5 bytes\n");
}

static void leaves_out_what_is_not_there(void **state)
{
	struct fixture *f = *state;
	char *text;

	start(f);
	log_event(f->log, LOG_INFO, KIND_START, WAY_NONE, "start", NULL, "%s",
		  "");
	log_event(f->log, LOG_INFO, KIND_PEER, WAY_OUT, "Peer Request", &f->who,
		  "%s", "");
	log_close(f->log);
	text = read_text(f->path);
	assert_memory_equal(after_time(text), "--  start\n", 10);
	text = strchr(text, '\n') + 1;
	assert_string_equal(after_time(text),
			    "out Peer Request 127.0.0.1:5000\n");
}

static void colors_the_whole_line_by_its_kind(void **state)
{
	struct fixture *f = *state;
	char *text;

	f->settings.color = COLOR_ALWAYS;
	text = log_one(f, "x");
	assert_memory_equal(text, "\x1b[33m", 5);
	assert_string_equal(after_time(text + 5),
			    "in  Message 127.0.0.1:5000 x\x1b[0m\n");
}

static void plain_events_and_auto_have_no_color(void **state)
{
	struct fixture *f = *state;

	f->settings.color = COLOR_ALWAYS;
	start(f);
	log_event(f->log, LOG_INFO, KIND_PLAIN, WAY_NONE, "x", NULL, "%d", 1);
	log_close(f->log);
	assert_int_equal(count_of(read_text(f->path), '\x1b'), 0);
	f->settings.color = COLOR_AUTO;
	assert_int_equal(count_of(log_one(f, "x"), '\x1b'), 0);
}

static void json_lines_are_json_and_never_colored(void **state)
{
	struct fixture *f = *state;
	char *text;

	f->settings.color = COLOR_ALWAYS;
	f->settings.format = FORMAT_JSON;
	text = log_one(f, "say \"hi\"\n\x1b[2J\\ \xff\xc3\xa4");
	assert_memory_equal(text, "{\"time\":\"", 9);
	assert_string_equal(text + 33,
			    "\",\"level\":\"info\",\"way\":\"in\","
			    "\"event\":\"Message\","
			    "\"who\":\"127.0.0.1:5000\",\"text\":\""
			    "say \\\"hi\\\"\\\\n\\\\x1b[2J\\\\ \\\\xff"
			    "\xc3\xa4\"}\n");
	start(f);
	log_event(f->log, LOG_WARN, KIND_PLAIN, WAY_NONE, "stop", NULL, "%s",
		  "");
	log_close(f->log);
	text = strchr(read_text(f->path), '\n') + 1;
	assert_string_equal(text + 33, "\",\"level\":\"warn\",\"way\":\"--\","
				       "\"event\":\"stop\",\"text\":\"\"}\n");
}

static void control_bytes_become_visible(void **state)
{
	assert_string_equal(after_time(log_one(*state, "a\nb\x1b[31m\x7f\xff"
						       "\xc2\x9b\xc3\xa4")),
			    "in  Message 127.0.0.1:5000 "
			    "a\\nb\\x1b[31m\\x7f\\xff\\xc2\\x9b\xc3\xa4\n");
}

static void long_details_are_cut_between_characters(void **state)
{
	char details[3001] = "", *text;

	for (size_t i = 0; i + 3 < sizeof details; i += 3)
		memcpy(details + i, "\xe2\x82\xac", 3);
	for (size_t shift = 0; shift < 3; shift++) {
		struct fixture *f = *state;

		unlink(f->path);
		memset(details, 'x', shift);
		memcpy(details + shift, "\xe2\x82\xac", 3);
		for (size_t i = shift; i + 3 < sizeof details; i += 3)
			memcpy(details + i, "\xe2\x82\xac", 3);
		text = log_one(f, details);
		assert_true(strlen(text) < 1100);
		assert_null(strstr(text, "\\x"));
		assert_string_equal(text + strlen(text) - 7,
				    "\xe2\x82\xac...\n");
	}
}

static void only_wanted_levels_are_written(void **state)
{
	struct fixture *f = *state;
	char *text;

	f->settings.level = LOG_WARN;
	start(f);
	assert_true(log_wants(f->log, LOG_ERROR));
	assert_true(log_wants(f->log, LOG_WARN));
	assert_false(log_wants(f->log, LOG_INFO));
	log_event(f->log, LOG_INFO, KIND_PLAIN, WAY_NONE, "no", NULL, "%d", 1);
	log_event(f->log, LOG_WARN, KIND_PLAIN, WAY_NONE, "yes", NULL, "%d", 1);
	log_close(f->log);
	text = read_text(f->path);
	assert_string_equal(after_time(text), "--  yes 1\n");
}

static void lines_reach_the_file_without_being_asked(void **state)
{
	struct fixture *f = *state;

	start(f);
	for (int i = 1; i <= 3; i++) {
		size_t before = file_size(f->path);

		log_event(f->log, LOG_INFO, KIND_PLAIN, WAY_NONE, "x", NULL,
			  "%d", i);
		EVENTUALLY(file_size(f->path) > before);
	}
	log_close(f->log);
}

static void goes_on_with_an_old_file(void **state)
{
	assert_int_equal(count_of(log_one(*state, "1"), '\n'), 1);
	assert_int_equal(count_of(log_one(*state, "2"), '\n'), 2);
}

static void makes_the_directories_it_needs(void **state)
{
	struct fixture *f = *state;
	char deep[160];

	snprintf(deep, sizeof deep, "%s/b/c", f->dir);
	snprintf(f->path, sizeof f->path, "%s/b/c/d.log", f->dir);
	log_one(f, "x");
	assert_int_equal(unlink(f->path), 0);
	assert_int_equal(rmdir(deep), 0);
	*strrchr(deep, '/') = '\0';
	assert_int_equal(rmdir(deep), 0);
}

static void says_why_it_cannot_open(void **state)
{
	struct fixture *f = *state;
	size_t before = fd_count();

	f->options.path = f->dir;
	assert_int_equal(log_open(&f->log, &f->options), ERR_SYSTEM);
	assert_int_equal(errno, EISDIR);
	f->options.path = "/dev/null/x.log";
	assert_int_equal(log_open(&f->log, &f->options), ERR_SYSTEM);
	assert_int_equal(errno, ENOTDIR);
	assert_int_equal(fd_count(), before);
}

static void rotates_at_whole_lines_and_keeps_one_file(void **state)
{
	struct fixture *f = *state;
	char *text;

	f->settings.max_size = 4096;
	start(f);
	for (int i = 0; i < 1000; i++)
		log_event(f->log, LOG_INFO, KIND_PLAIN, WAY_NONE, "x", NULL,
			  "number %d", i);
	log_close(f->log);
	assert_in_range(file_size(f->path), 1, 4096);
	assert_in_range(file_size(f->older), 4000, 4096);
	text = read_text(f->older);
	after_time(text);
	assert_int_equal(text[strlen(text) - 1], '\n');
	text = read_text(f->path);
	after_time(text);
	assert_non_null(strstr(text, " number 999\n"));
}

static void a_line_larger_than_the_file_is_written_whole(void **state)
{
	struct fixture *f = *state;

	f->settings.max_size = 16;
	start(f);
	for (int i = 0; i < 3; i++)
		log_event(f->log, LOG_INFO, KIND_PLAIN, WAY_NONE, "x", NULL,
			  "number %d", i);
	log_close(f->log);
	assert_string_equal(after_time(read_text(f->path)), "--  x number 2\n");
	assert_string_equal(after_time(read_text(f->older)),
			    "--  x number 1\n");
}

/* stderr into a file or pipe for a while. */
static int redirect_stderr(int to)
{
	int saved = dup(STDERR_FILENO);

	fflush(stderr);
	assert_true(saved >= 0 && dup2(to, STDERR_FILENO) >= 0);
	return saved;
}

static void restore_stderr(int saved)
{
	fflush(stderr);
	dup2(saved, STDERR_FILENO);
	close(saved);
}

static void stays_bounded_when_it_cannot_rotate(void **state)
{
	struct fixture *f = *state;
	int null = open("/dev/null", O_WRONLY), saved = redirect_stderr(null);

	assert_int_equal(mkdir(f->older, 0700), 0);
	f->settings.max_size = 4096;
	start(f);
	for (int i = 0; i < 1000; i++)
		log_event(f->log, LOG_INFO, KIND_PLAIN, WAY_NONE, "x", NULL,
			  "number %d", i);
	log_close(f->log);
	restore_stderr(saved);
	close(null);
	rmdir(f->older);
	assert_in_range(file_size(f->path), 1, 4096);
	assert_non_null(strstr(read_text(f->path), " number 999\n"));
}

/* A pipe of our own: should this fail, no device must be renamed. */
/* Without a SIGHUP it is noticed when it would be rotated: as much as that may
 * be lost, but not the disk. */
static void a_deleted_log_comes_back_at_its_full_size(void **state)
{
	struct fixture *f = *state;

	f->settings.max_size = 4096;
	start(f);
	log_event(f->log, LOG_INFO, KIND_PLAIN, WAY_NONE, "x", NULL, "first");
	EVENTUALLY(file_size(f->path) > 0);
	assert_int_equal(unlink(f->path), 0);
	for (int i = 0; i < 1000; i++)
		log_event(f->log, LOG_INFO, KIND_PLAIN, WAY_NONE, "x", NULL,
			  "number %d", i);
	log_close(f->log);
	assert_in_range(file_size(f->path), 1, 4096);
	assert_non_null(strstr(read_text(f->path), " number 999\n"));
}

static void a_deleted_log_and_its_directory_come_back_when_asked(void **state)
{
	struct fixture *f = *state;

	start(f);
	log_event(f->log, LOG_INFO, KIND_PLAIN, WAY_NONE, "x", NULL, "%d", 1);
	EVENTUALLY(file_size(f->path) > 0);
	assert_int_equal(unlink(f->path), 0);
	assert_int_equal(rmdir(f->dir), 0);
	log_reopen(f->log);
	EVENTUALLY(access(f->path, F_OK) == 0);
	log_event(f->log, LOG_INFO, KIND_PLAIN, WAY_NONE, "x", NULL, "%d", 2);
	log_close(f->log);
	assert_string_equal(after_time(read_text(f->path)), "--  x 2\n");
}

static void does_not_rotate_what_is_no_file(void **state)
{
	struct fixture *f = *state;
	char text[1024] = "";
	int reader;

	assert_int_equal(mkfifo(f->path, 0600), 0);
	reader = open(f->path, O_RDWR | O_NONBLOCK);
	f->settings.max_size = 16;
	start(f);
	for (int i = 0; i < 10; i++)
		log_event(f->log, LOG_INFO, KIND_PLAIN, WAY_NONE, "x", NULL,
			  "number %d", i);
	log_close(f->log);
	assert_int_equal(access(f->older, F_OK), -1);
	assert_true(read(reader, text, sizeof text - 1) > 0);
	assert_int_equal(count_of(text, '\n'), 10);
	close(reader);
}

static void opens_its_file_again_when_asked(void **state)
{
	struct fixture *f = *state;

	start(f);
	log_event(f->log, LOG_INFO, KIND_PLAIN, WAY_NONE, "x", NULL, "%d", 1);
	EVENTUALLY(file_size(f->path) > 0);
	assert_int_equal(rename(f->path, f->older), 0);
	log_reopen(f->log);
	EVENTUALLY(access(f->path, F_OK) == 0);
	log_event(f->log, LOG_INFO, KIND_PLAIN, WAY_NONE, "x", NULL, "%d", 2);
	log_close(f->log);
	assert_string_equal(after_time(read_text(f->path)), "--  x 2\n");
	assert_string_equal(after_time(read_text(f->older)), "--  x 1\n");
	log_reopen(NULL);
}

/* stderr goes into this file, so that a test can see what was said. */
static int record_stderr(struct fixture *f, char path[160])
{
	int fd, saved;

	snprintf(path, 160, "%s/stderr", f->dir);
	fd = open(path, O_RDWR | O_CREAT | O_APPEND, 0600);
	saved = redirect_stderr(fd);
	close(fd);
	return saved;
}

static void a_full_disk_is_said_once(void **state)
{
	struct fixture *f = *state;
	char path[160];
	int saved = record_stderr(f, path);

	f->options.path = "/dev/full";
	start(f);
	for (int i = 0; i < 5; i++) {
		log_event(f->log, LOG_INFO, KIND_PLAIN, WAY_NONE, "x", NULL,
			  "%d", i);
		EVENTUALLY(file_size(path) > 0);
		log_reopen(f->log); /* makes it write again at once */
	}
	log_close(f->log);
	restore_stderr(saved);
	assert_string_equal(read_text(path),
			    "log /dev/full: cannot be written, lines are "
			    "dropped: No space left on device\n");
	unlink(path);
}

static void log_numbers(struct fixture *f, int first, int last)
{
	for (int i = first; i <= last; i++)
		log_event(f->log, LOG_INFO, KIND_PLAIN, WAY_NONE, "x", NULL,
			  "%d", i);
}

static void tells_how_many_lines_a_full_disk_cost(void **state)
{
	struct fixture *f = *state;
	struct rlimit before, small;
	char path[160], *text, *told;
	int saved = record_stderr(f, path);
	size_t written, lost;

	signal(SIGXFSZ, SIG_IGN); /* the write fails with EFBIG then */
	getrlimit(RLIMIT_FSIZE, &before);
	small = before;
	small.rlim_cur = 1000;
	start(f);
	setrlimit(RLIMIT_FSIZE, &small);
	log_numbers(f, 1, 100);
	EVENTUALLY(file_size(path) > 0); /* it was said: it has failed */
	setrlimit(RLIMIT_FSIZE, &before);
	assert_int_equal(file_size(f->path), 1000);
	log_numbers(f, 101, 101);
	log_close(f->log);
	restore_stderr(saved);
	unlink(path);
	text = read_text(f->path);
	told = strstr(text, " lines lost\n");
	assert_non_null(told);
	assert_non_null(strstr(told, "--  x 101\n"));
	while (told[-1] != ' ')
		told--;
	lost = (size_t)atoi(told);
	/* Without the torn line, the notice and the last one. */
	written = count_of(text, '\n') - 3;
	assert_int_equal(written + lost, 100);
}

static void a_copy_goes_to_stderr(void **state)
{
	struct fixture *f = *state;
	char text[256] = "";
	int ends[2], saved;

	assert_int_equal(pipe(ends), 0);
	saved = redirect_stderr(ends[1]);
	f->options.mirror = f->options.mirror_color = true;
	start(f);
	log_event(f->log, LOG_INFO, KIND_DEATH, WAY_OUT, "Death", &f->who, "%s",
		  "silent");
	log_close(f->log);
	restore_stderr(saved);
	assert_true(read(ends[0], text, sizeof text - 1) > 0);
	assert_memory_equal(text, "\x1b[31m", 5);
	assert_string_equal(after_time(text + 5),
			    "out Death 127.0.0.1:5000 silent\x1b[0m\n");
	assert_string_equal(after_time(read_text(f->path)),
			    "out Death 127.0.0.1:5000 silent\n");
	close(ends[0]);
	close(ends[1]);
}

static void a_stderr_nobody_reads_stops_nothing(void **state)
{
	static char junk[65536];
	struct fixture *f = *state;
	int64_t start_ms = clock_ms();
	int ends[2], saved;

	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], junk, sizeof junk), sizeof junk);
	saved = redirect_stderr(ends[1]);
	f->options.mirror = true;
	start(f);
	for (int i = 0; i < 100; i++)
		log_event(f->log, LOG_INFO, KIND_PLAIN, WAY_NONE, "x", NULL,
			  "%d", i);
	log_close(f->log);
	log_event(NULL, LOG_ERROR, KIND_PLAIN, WAY_NONE, "x", NULL, "%d", 1);
	restore_stderr(saved);
	assert_true(clock_ms() < start_ms + 2000);
	assert_int_equal(count_of(read_text(f->path), '\n'), 100);
	close(ends[0]);
	close(ends[1]);
}

static void without_a_log_warnings_go_to_stderr(void **state)
{
	char text[256] = "";
	int ends[2], saved;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	saved = redirect_stderr(ends[1]);
	log_event(NULL, LOG_INFO, KIND_PLAIN, WAY_NONE, "no", NULL, "%d", 1);
	log_event(NULL, LOG_WARN, KIND_WARNING, WAY_IN, "refused", NULL, "%d",
		  2);
	restore_stderr(saved);
	assert_true(read(ends[0], text, sizeof text - 1) > 0);
	assert_string_equal(after_time(text), "in  refused 2\n");
	assert_true(log_wants(NULL, LOG_WARN));
	assert_false(log_wants(NULL, LOG_INFO));
	log_close(NULL);
	close(ends[0]);
	close(ends[1]);
}

static void *log_many(void *arg)
{
	struct fixture *f = arg;

	for (int i = 0; i < 1000; i++)
		log_event(f->log, LOG_INFO, KIND_PEER, WAY_IN, "Message",
			  &f->who, "number %04d", i);
	return NULL;
}

static void lines_of_many_threads_are_never_mixed(void **state)
{
	static const char rest[] = "in  Message 127.0.0.1:5000 number dddd\n";
	struct fixture *f = *state;
	pthread_t t[4];
	char *line;
	size_t lines = 0;

	start(f);
	for (size_t i = 0; i < COUNT_OF(t); i++)
		assert_ok(thread_start(&t[i], log_many, f, "logger"));
	for (size_t i = 0; i < COUNT_OF(t); i++)
		thread_join(t[i]);
	log_close(f->log);
	for (line = read_text(f->path); *line != '\0'; lines++) {
		line = after_time(line);
		assert_memory_equal(line, rest, sizeof rest - 6);
		line += sizeof rest - 1;
		assert_int_equal(line[-1], '\n');
	}
	assert_int_equal(lines, 4000);
}

static off_t size_of(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return st.st_size;
}

/* Its path is gone, and no descriptor is left to open another. */
static void a_log_that_cannot_come_back_is_bounded(void **state)
{
	struct fixture *f = *state;
	struct rlimit before, none;
	int held;

	f->settings.max_size = 50000;
	start(f);
	held = open(f->path, O_RDONLY);
	assert_true(held >= 0);
	assert_int_equal(unlink(f->path), 0);
	getrlimit(RLIMIT_NOFILE, &before);
	none = before;
	none.rlim_cur = (rlim_t)held + 1;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	for (int round = 0; round < 10; round++) {
		off_t was = size_of(held);

		for (int i = 0; i < 300; i++)
			log_event(f->log, LOG_INFO, KIND_PLAIN, WAY_NONE,
				  "event", NULL, "%0100d", i);
		EVENTUALLY(size_of(held) != was);
		assert_true(size_of(held) < 2 * 50000 + 10000);
	}
	setrlimit(RLIMIT_NOFILE, &before);
	close(held);
	log_close(f->log);
}

/* As at the end of a process whose threads cannot all be waited for. */
static void what_is_logged_after_the_end_is_written_nowhere(void **state)
{
	static struct log *kept; /* that is the point: it is never freed */
	struct fixture *f = *state;
	char *text;

	start(f);
	kept = f->log;
	log_event(kept, LOG_INFO, KIND_PLAIN, WAY_NONE, "before", NULL, "%s",
		  "");
	log_end(kept);
	text = read_text(f->path);
	assert_non_null(strstr(text, "before"));
	for (int i = 0; i < 10000; i++)
		log_event(kept, LOG_INFO, KIND_PLAIN, WAY_NONE, "after", NULL,
			  "%s", "");
	assert_null(strstr(read_text(f->path), "after"));
}

static void a_flood_is_bounded_and_counted(void **state)
{
	static char details[1000];
	struct fixture *f = *state;
	size_t lines = 0, lost = 0;
	char line[2048];
	FILE *file;

	memset(details, 'x', sizeof details - 1);
	f->settings.max_size = 1 << 30;
	start(f);
	for (int i = 0; i < 20000; i++)
		log_event(f->log, LOG_INFO, KIND_PLAIN, WAY_NONE, "x", NULL,
			  "%s", details);
	log_close(f->log);
	file = fopen(f->path, "r");
	assert_non_null(file);
	while (fgets(line, sizeof line, file) != NULL) {
		char *told = strstr(line, " lines lost\n");

		if (told == NULL) {
			lines++;
			continue;
		}
		while (told[-1] != ' ')
			told--;
		lost += (size_t)atoi(told);
	}
	fclose(file);
	assert_int_equal(lines + lost, 20000);
}

#define LOG_TEST(name) \
	cmocka_unit_test_setup_teardown(name, make_fixture, remove_fixture)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LOG_TEST(writes_one_line_per_event),
		LOG_TEST(leaves_out_what_is_not_there),
		LOG_TEST(colors_the_whole_line_by_its_kind),
		LOG_TEST(plain_events_and_auto_have_no_color),
		LOG_TEST(json_lines_are_json_and_never_colored),
		LOG_TEST(control_bytes_become_visible),
		LOG_TEST(long_details_are_cut_between_characters),
		LOG_TEST(only_wanted_levels_are_written),
		LOG_TEST(lines_reach_the_file_without_being_asked),
		LOG_TEST(goes_on_with_an_old_file),
		LOG_TEST(makes_the_directories_it_needs),
		LOG_TEST(says_why_it_cannot_open),
		LOG_TEST(rotates_at_whole_lines_and_keeps_one_file),
		LOG_TEST(a_line_larger_than_the_file_is_written_whole),
		LOG_TEST(stays_bounded_when_it_cannot_rotate),
		LOG_TEST(a_deleted_log_comes_back_at_its_full_size),
		LOG_TEST(a_deleted_log_and_its_directory_come_back_when_asked),
		LOG_TEST(does_not_rotate_what_is_no_file),
		LOG_TEST(opens_its_file_again_when_asked),
		LOG_TEST(a_full_disk_is_said_once),
		LOG_TEST(tells_how_many_lines_a_full_disk_cost),
		LOG_TEST(a_copy_goes_to_stderr),
		LOG_TEST(a_stderr_nobody_reads_stops_nothing),
		LOG_TEST(without_a_log_warnings_go_to_stderr),
		LOG_TEST(lines_of_many_threads_are_never_mixed),
		LOG_TEST(a_log_that_cannot_come_back_is_bounded),
		LOG_TEST(what_is_logged_after_the_end_is_written_nowhere),
		LOG_TEST(a_flood_is_bounded_and_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
