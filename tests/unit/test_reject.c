#include "io/reject.h"

#include "sockets.h"

static struct rejects rejects;
static char path[64];

static int open_log_file(void **state)
{
	static const struct config_log c = { .level = LOG_WARN,
					     .color = COLOR_NEVER,
					     .max_size = 1 << 20 };
	struct log_options o = { .path = path, .config = &c };
	int fd;

	(void)state;
	snprintf(path, sizeof path, "/tmp/reject_log_XXXXXX");
	fd = mkstemp(path);
	if (fd < 0)
		return -1;
	close(fd);
	memset(&rejects, 0, sizeof rejects);
	return log_open(&rejects.log, &o) == ERR_OK ? 0 : -1;
}

static int remove_log_file(void **state)
{
	(void)state;
	log_close(rejects.log);
	return remove(path);
}

static int count_lines(const char *with)
{
	FILE *f = fopen(path, "r");
	char line[512];
	int n = 0;

	assert_non_null(f);
	while (fgets(line, sizeof line, f) != NULL)
		n += strstr(line, with) != NULL;
	fclose(f);
	return n;
}

static void strangers_cannot_fill_the_log(void **state)
{
	int64_t now_ms = 7 * REJECT_WINDOW_MS;

	(void)state;
	for (int i = 0; i < 1000; i++)
		reject_note_at(&rejects, REJECT_MALFORMED, NULL, "noise",
			       now_ms + i);
	now_ms += REJECT_WINDOW_MS;
	for (int i = 0; i < 3; i++)
		reject_note_at(&rejects, REJECT_MALFORMED, NULL, "noise",
			       now_ms + i);
	log_close(rejects.log);
	rejects.log = NULL;
	assert_int_equal(count_lines("noise"), REJECT_LINES + 3);
	assert_int_equal(count_lines(": 980 more"), 1);
	assert_int_equal(atomic_load(&rejects.by[REJECT_MALFORMED].count),
			 1003);
}

static void one_reason_does_not_hide_another(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++)
		reject_note(&rejects, REJECT_VERSION, NULL, "loud");
	reject_note(&rejects, REJECT_HANDSHAKE, NULL, "quiet");
	log_close(rejects.log);
	rejects.log = NULL;
	assert_int_equal(count_lines("quiet"), 1);
}

static void every_reason_is_in_the_status(void **state)
{
	struct buf b = { 0 };

	(void)state;
	reject_note(&rejects, REJECT_OVERSIZED, NULL, "");
	reject_print(&rejects, &b);
#define REJECT_IN(name, text) \
	assert_non_null(strstr(buf_text(&b), "\"" text "\":"));
	REJECT_LIST(REJECT_IN)
	assert_non_null(strstr(buf_text(&b), "\"oversized\":1,"));
	buf_free(&b);
}

#define LOG_TEST(name) \
	cmocka_unit_test_setup_teardown(name, open_log_file, remove_log_file)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LOG_TEST(strangers_cannot_fill_the_log),
		LOG_TEST(one_reason_does_not_hide_another),
		LOG_TEST(every_reason_is_in_the_status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
