#include "peer/output.h"

#include "sockets.h"

#include "peer/parcel.h"

#include <fcntl.h>
#include <signal.h>

/* What the output tells main: linked instead of main.c. */
static atomic_int finished_with = -1;

void peer_finish(struct peer *p, int status)
{
	(void)p;
	atomic_store(&finished_with, status);
}

/* An output into a pipe that a test reads when it likes. */
struct fixture {
	struct output *output;
	int read_fd, write_fd;
	struct identity run;
};

static struct parcel *parcel(struct fixture *f, uint64_t seq, const void *data,
			     size_t n)
{
	struct message m = { .type = MSG_MESSAGE };
	struct frame_head head = { .hops = 1 };
	struct frame *fr = NULL;
	struct parcel *p;

	m.message =
		(struct msg_message){ .origin = f->run,
				      .seq = seq,
				      .time_ms = 1000,
				      .data = data,
				      .data_bytes = n,
				      .base64 = codec_wants_base64(data, n) };
	assert_ok(codec_encode(&m, &fr));
	head.body_bytes = fr->body_bytes;
	p = parcel_new(&head, fr);
	assert_non_null(p);
	parcel_identify(p);
	assert_ok(parcel_parse(p, NULL));
	return p;
}

static void print(struct fixture *f, uint64_t seq, const char *text)
{
	struct parcel *p = parcel(f, seq, text, strlen(text));

	output_message(f->output, p);
	parcel_release(p);
}

static int open_pipe(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	int fd[2];

	if (f == NULL || pipe(fd) != 0)
		return -1;
	signal(SIGPIPE, SIG_IGN);
	f->read_fd = fd[0];
	f->write_fd = fd[1];
	f->run.incarnation = 77;
	f->run.addr = local_addr(ADDR_V4);
	f->run.addr.port = 4000;
	atomic_store(&finished_with, -1);
	*state = f;
	return 0;
}

static void start(struct fixture *f, size_t max_bytes, uint64_t count,
		  bool json)
{
	struct output_config c = { .fd = f->write_fd,
				   .max_bytes = max_bytes,
				   .count = count,
				   .json = json };

	assert_ok(output_start(&f->output, &c));
}

static int close_pipe(void **state)
{
	struct fixture *f = *state;

	if (f->output != NULL)
		output_close(f->output, clock_ms());
	if (f->read_fd >= 0)
		close(f->read_fd);
	close(f->write_fd);
	free(f);
	return 0;
}

static void expect_text(struct fixture *f, const char *text)
{
	size_t n = strlen(text), have = 0;
	char *got = calloc(1, n + 1);

	assert_non_null(got);
	while (have < n) {
		ssize_t r = read(f->read_fd, got + have, n - have);

		assert_true(r > 0);
		have += (size_t)r;
	}
	assert_string_equal(got, text);
	free(got);
}

static void a_message_is_a_line_also_with_a_newline_in_it(void **state)
{
	struct fixture *f = *state;

	start(f, 1 << 20, 0, false);
	print(f, 1, "plain");
	print(f, 2, "two\nlines\n");
	print(f, 3, "");
	print(f, 4, "tab\tand \\ stay");
	expect_text(f, "plain\ntwo\\nlines\\n\n\ntab\tand \\ stay\n");
}

static void json_has_every_field(void **state)
{
	struct fixture *f = *state;
	struct parcel *p = parcel(f, 9, "say \"hi\"\n", 9);
	char id[HASH_HEX + 1], want[512];

	start(f, 1 << 20, 0, true);
	output_message(f->output, p);
	hash_format(&p->id, id);
	snprintf(want, sizeof want,
		 "{\"id\":\"%s\",\"origin\":\"127.0.0.1:4000\","
		 "\"incarnation\":77,\"seq\":9,\"time_ms\":1000,\"hops\":2,"
		 "\"data\":\"say \\\"hi\\\"\\n\"}\n",
		 id);
	expect_text(f, want);
	parcel_release(p);
}

static void bytes_that_are_no_text_are_base64_in_json(void **state)
{
	struct fixture *f = *state;
	struct parcel *p = parcel(f, 1, "\xff\x00\xfe", 3);
	struct buf b = { 0 };

	output_format(&b, p, true, false);
	assert_non_null(buf_text(&b));
	assert_non_null(strstr(buf_text(&b),
			       "\"data\":\"/wD+\",\"encoding\":\"base64\"}"));
	buf_free(&b);
	parcel_release(p);
}

static void a_terminal_gets_no_control_characters(void **state)
{
	struct fixture *f = *state;
	struct parcel *p = parcel(f, 1, "a\x1b[2J\nb", 7);
	struct buf b = { 0 };

	output_format(&b, p, false, true);
	assert_string_equal(buf_text(&b), "a\\x1b[2J\\nb\n");
	buf_free(&b);
	parcel_release(p);
}

static void a_reader_that_sleeps_gets_everything_that_fits(void **state)
{
	struct fixture *f = *state;
	char line[1001];
	FILE *in;

	memset(line, 'x', 1000);
	line[1000] = '\0';
	start(f, 16 << 20, 0, false);
	for (uint64_t i = 1; i <= 2000; i++)
		print(f, i, line); /* never blocks: 2 MB, a pipe takes 64 KiB */
	in = fdopen(dup(f->read_fd), "r");
	assert_non_null(in);
	for (int i = 0; i < 2000; i++) {
		char got[1100];

		assert_non_null(fgets(got, sizeof got, in));
		assert_int_equal(strlen(got), 1001);
	}
	fclose(in);
	assert_int_equal(output_lost(f->output), 0);
}

static void what_does_not_fit_is_said_as_a_gap_in_its_place(void **state)
{
	struct fixture *f = *state;
	char line[1001], got[2048];
	uint64_t printed = 0, missed = 0, next = 1;
	FILE *in;

	memset(line, 'x', 1000);
	line[1000] = '\0';
	start(f, 100000, 0, true);
	for (uint64_t i = 1; i <= 1000; i++)
		print(f, i, line);
	missed = output_lost(f->output);
	assert_true(missed > 0 && missed < 1000);
	in = fdopen(dup(f->read_fd), "r");
	assert_non_null(in);
	while (printed + missed < 1000 || next <= 1000) {
		unsigned long long first, last, seq;
		const char *p;

		assert_non_null(fgets(got, sizeof got, in));
		p = strstr(got, "\"first\":");
		if (p != NULL) {
			assert_int_equal(sscanf(p,
						"\"first\":%llu,\"last\":%llu",
						&first, &last),
					 2);
			assert_int_equal(first, next);
			next = last + 1;
			continue;
		}
		p = strstr(got, "\"seq\":");
		assert_int_equal(sscanf(p, "\"seq\":%llu", &seq), 1);
		assert_int_equal(seq, next);
		next++;
		printed++;
	}
	assert_int_equal(printed + missed, 1000);
	fclose(in);
}

static void the_output_ends_after_the_wanted_number(void **state)
{
	struct fixture *f = *state;
	char got[64];

	start(f, 1 << 20, 2, false);
	print(f, 1, "one");
	print(f, 2, "two");
	print(f, 3, "three");
	EVENTUALLY(atomic_load(&finished_with) == EXIT_DONE);
	output_close(f->output, SOON);
	f->output = NULL;
	assert_int_equal(read(f->read_fd, got, sizeof got), 8);
	assert_memory_equal(got, "one\ntwo\n", 8);
}

static void a_reader_that_went_away_is_a_quiet_end(void **state)
{
	struct fixture *f = *state;

	start(f, 1 << 20, 0, false);
	close(f->read_fd);
	f->read_fd = -1;
	print(f, 1, "to nobody");
	EVENTUALLY(atomic_load(&finished_with) == EXIT_DONE);
}

static void a_full_disk_is_a_failure(void **state)
{
	struct fixture *f = *state;

	close(f->write_fd);
	f->write_fd = open("/dev/full", O_WRONLY);
	assert_true(f->write_fd >= 0);
	start(f, 1 << 20, 0, false);
	print(f, 1, "nowhere to go");
	EVENTUALLY(atomic_load(&finished_with) == EXIT_OUTPUT);
}

static void closing_does_not_wait_for_a_reader_that_sleeps(void **state)
{
	struct fixture *f = *state;
	char line[1001];
	int64_t begun = clock_ms();

	memset(line, 'x', 1000);
	line[1000] = '\0';
	start(f, 16 << 20, 0, false);
	for (uint64_t i = 1; i <= 1000; i++)
		print(f, i, line);
	assert_true(output_close(f->output, clock_ms() + 50) > 0);
	f->output = NULL;
	assert_true(clock_ms() - begun < PATIENCE_MS);
}

#define PIPE_TEST(name) \
	cmocka_unit_test_setup_teardown(name, open_pipe, close_pipe)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PIPE_TEST(a_message_is_a_line_also_with_a_newline_in_it),
		PIPE_TEST(json_has_every_field),
		PIPE_TEST(bytes_that_are_no_text_are_base64_in_json),
		PIPE_TEST(a_terminal_gets_no_control_characters),
		PIPE_TEST(a_reader_that_sleeps_gets_everything_that_fits),
		PIPE_TEST(what_does_not_fit_is_said_as_a_gap_in_its_place),
		PIPE_TEST(the_output_ends_after_the_wanted_number),
		PIPE_TEST(a_reader_that_went_away_is_a_quiet_end),
		PIPE_TEST(a_full_disk_is_a_failure),
		PIPE_TEST(closing_does_not_wait_for_a_reader_that_sleeps),
	};

	if (crypto_init() != ERR_OK)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
