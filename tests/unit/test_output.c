#include "peer/output.h"

#include "sockets.h"

#include "peer/parcel.h"

#include <fcntl.h>
#include <signal.h>

/* What the output tells main: linked instead of main.c. */
static atomic_int finished_with = -1;
static atomic_int caught_up;
static atomic_bool hold; /* the callback waits until this is gone */

void peer_finish(struct peer *p, int status)
{
	(void)p;
	atomic_store(&finished_with, status);
}

static void on_caught_up(struct peer *p)
{
	(void)p;
	atomic_fetch_add(&caught_up, 1);
	while (atomic_load(&hold))
		nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
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
	struct parcel *p = NULL;
	const char *why;

	m.message =
		(struct msg_message){ .origin = f->run,
				      .seq = seq,
				      .time_ms = 1000,
				      .data = data,
				      .data_bytes = n,
				      .base64 = codec_wants_base64(data, n) };
	assert_ok(codec_encode(&m, &fr));
	head.body_bytes = fr->body_bytes;
	assert_ok(parcel_new(&p, &head, fr, NULL, &why));
	return p;
}

/* True: the output is slow. */
static bool print(struct fixture *f, uint64_t seq, const char *text)
{
	struct parcel *p = parcel(f, seq, text, strlen(text));

	output_messages(f->output, &p, 1);
	output_flush(f->output);
	parcel_release(p);
	return output_is_slow(f->output);
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
	atomic_store(&caught_up, 0);
	atomic_store(&hold, false);
	*state = f;
	return 0;
}

static void start(struct fixture *f, size_t max_bytes, uint64_t count,
		  bool json)
{
	struct output_config c = { .fd = f->write_fd,
				   .max_bytes = max_bytes,
				   .count = count,
				   .json = json,
				   .caught_up = on_caught_up };

	assert_ok(output_start(&f->output, &c));
}

static int close_pipe(void **state)
{
	struct fixture *f = *state;

	atomic_store(&hold, false);
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
	struct hash hash;

	start(f, 1 << 20, 0, true);
	output_messages(f->output, &p, 1);
	output_flush(f->output);
	hash = parcel_id(p);
	hash_format(&hash, id);
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

/* --- a slow reader ---------------------------------------------------- */

#define QUEUE_BYTES (1 << 20)

static char thousand[1001]; /* a line that long */

static void start_slow(struct fixture *f)
{
	memset(thousand, 'x', 1000);
	start(f, QUEUE_BYTES, 0, true);
}

/* Prints until the output calls itself slow; the next seq. */
static uint64_t print_until_slow(struct fixture *f, uint64_t seq)
{
	while (!print(f, seq++, thousand))
		assert_true(seq < 10000);
	return seq;
}

/* Reads one line of a FILE that reads the pipe. */
static const char *line_of(FILE *in)
{
	static char got[4096];

	assert_non_null(fgets(got, sizeof got, in));
	return got;
}

static FILE *reader(struct fixture *f)
{
	FILE *in = fdopen(dup(f->read_fd), "r");

	assert_non_null(in);
	return in;
}

/* What the pipe holds, if anything. */
static void read_some(struct fixture *f)
{
	static char junk[65536];

	(void)!fcntl(f->read_fd, F_SETFL, O_NONBLOCK);
	(void)!read(f->read_fd, junk, sizeof junk);
}

static void half_a_queue_is_slow_until_a_quarter_is_left(void **state)
{
	struct fixture *f = *state;
	struct parcel *p;
	uint64_t end, more;
	size_t each;

	start_slow(f);
	p = parcel(f, 1, thousand, 1000);
	each = p->frame->body_bytes + 256;
	end = print_until_slow(f, 1);
	assert_true(end * each > QUEUE_BYTES / 2);
	assert_true(print(f, end++, thousand)); /* still */
	assert_true(output_is_slow(f->output));
	assert_int_equal(atomic_load(&caught_up), 0);
	atomic_store(&hold, true);
	EVENTUALLY((read_some(f), atomic_load(&caught_up) == 1));
	/* The writer stands still, at a quarter: as much fits again until half
	 * is full. */
	assert_false(output_is_slow(f->output));
	more = print_until_slow(f, end);
	assert_in_range((more - end) * each, QUEUE_BYTES / 4,
			QUEUE_BYTES / 4 + 3 * each);
	atomic_store(&hold, false);
	EVENTUALLY((read_some(f), atomic_load(&caught_up) == 2));
	assert_int_equal(output_lost(f->output), 0);
	parcel_release(p);
}

static void a_reader_that_keeps_up_is_never_slow(void **state)
{
	struct fixture *f = *state;
	FILE *in;

	start_slow(f);
	in = reader(f);
	for (uint64_t i = 1; i <= 3000; i++) {
		assert_false(print(f, i, thousand));
		line_of(in);
	}
	assert_int_equal(atomic_load(&caught_up), 0);
	fclose(in);
}

static void *close_output(void *arg)
{
	struct fixture *f = arg;

	output_close(f->output, SOON);
	return f;
}

static void closing_a_slow_output_tells_nobody(void **state)
{
	struct fixture *f = *state;
	pthread_t closer;
	uint64_t seq;

	memset(thousand, 'x', 1000);
	start(f, 16 * QUEUE_BYTES, 0, false);
	seq = print_until_slow(f, 1);
	assert_ok(thread_start(&closer, close_output, f, "close"));
	/* What comes after the close has begun is lost; a queue of which half
	 * is free does not fill up with these that soon. */
	EVENTUALLY((print(f, seq++, ""), output_lost(f->output) > 0));
	fcntl(f->read_fd, F_SETFL, O_NONBLOCK);
	while (pthread_tryjoin_np(closer, NULL) != 0)
		read_some(f);
	f->output = NULL;
	assert_int_equal(atomic_load(&caught_up), 0);
}

/* --- what nobody has any more ----------------------------------------- */

static void lose(struct fixture *f, uint64_t first, uint64_t last)
{
	struct range r = { .run = f->run, .first = first, .last = last };

	output_gap(f->output, &r);
}

static void expect_gap(FILE *in, uint64_t first, uint64_t last)
{
	char want[256];

	snprintf(want, sizeof want,
		 "{\"event\":\"gap\",\"origin\":\"127.0.0.1:4000\","
		 "\"incarnation\":77,\"first\":%llu,\"last\":%llu}\n",
		 (unsigned long long)first, (unsigned long long)last);
	assert_string_equal(line_of(in), want);
}

/* stderr into a pipe; what was written there meanwhile. */
static void catch_stderr(int caught[3])
{
	caught[2] = dup(2);
	assert_int_equal(pipe2(caught, O_NONBLOCK), 0);
	assert_int_equal(dup2(caught[1], 2), 2);
}

static void release_stderr(int caught[3], char *got, size_t cap)
{
	ssize_t n = read(caught[0], got, cap - 1);

	got[n > 0 ? n : 0] = '\0';
	assert_int_equal(dup2(caught[2], 2), 2);
	for (int i = 0; i < 3; i++)
		close(caught[i]);
}

static void what_is_lost_stands_in_its_place(void **state)
{
	struct fixture *f = *state;
	FILE *in = reader(f);
	char said[256];
	int caught[3];

	catch_stderr(caught);
	start(f, 1 << 20, 0, true);
	print(f, 1, "one");
	lose(f, 2, 4);
	print(f, 5, "five");
	assert_non_null(strstr(line_of(in), "\"seq\":1,"));
	expect_gap(in, 2, 4);
	assert_non_null(strstr(line_of(in), "\"seq\":5,"));
	release_stderr(caught, said, sizeof said);
	assert_string_equal(said, ""); /* the reader was told, once */
	assert_int_equal(output_lost(f->output), 0); /* the node counts it */
	fclose(in);
}

static void gaps_in_a_row_are_one_unless_for_different_reasons(void **state)
{
	struct fixture *f = *state;
	uint64_t seq = 1, lost;
	FILE *in;

	start_slow(f);
	while (output_lost(f->output) == 0)
		print(f, seq++, thousand);
	print(f, seq++, thousand); /* the last two do not fit */
	lost = output_lost(f->output);
	lose(f, seq, seq + 1);
	lose(f, seq + 2, seq + 6);
	in = reader(f);
	for (uint64_t i = 1; i < seq - lost; i++)
		assert_null(strstr(line_of(in), "gap"));
	expect_gap(in, seq - lost, seq - 1);
	expect_gap(in, seq, seq + 6);
	fclose(in);
}

static void without_json_stderr_tells_the_two_reasons_apart(void **state)
{
	struct fixture *f = *state;
	char said[256];
	int caught[3];

	catch_stderr(caught);
	start(f, 1 << 20, 0, false);
	lose(f, 2, 4);
	print(f, 5, "five");
	expect_text(f, "five\n"); /* stdout carries messages only */
	release_stderr(caught, said, sizeof said);
	assert_string_equal(said,
			    "peer: 3 messages lost in the network, nobody "
			    "has them any more: 127.0.0.1:4000 seq 2 to "
			    "4\n");
}

#define PIPE_TEST(name) \
	cmocka_unit_test_setup_teardown(name, open_pipe, close_pipe)

/* More than the pipe and the free part of the queue take. */
static void fill(struct fixture *f, size_t max_bytes)
{
	char line[1024];
	uint64_t seq = 0;

	memset(line, 'x', sizeof line - 1);
	line[sizeof line - 1] = 0;
	for (size_t n = 0; n < 65536 + max_bytes / 8; n += sizeof line)
		assert_false(print(f, ++seq, line));
}

static void who_brings_more_waits_for_the_reader_and_not_for_long(void **state)
{
	struct fixture *f = *state;
	int64_t begun;

	start(f, 4 << 20, 0, false);
	output_wait_room(f->output, clock_ms() + 60000); /* there is */
	fill(f, 4 << 20);
	begun = clock_ms();
	output_wait_room(f->output, begun + 50);
	assert_true(clock_ms() >= begun + 50);
	output_wait_room(f->output, begun + 1000);
	output_wait_room(f->output, INT64_MAX); /* nobody reads: not again */
}

static void *read_everything(void *arg)
{
	char junk[65536];

	while (read(*(int *)arg, junk, sizeof junk) > 0)
		;
	return NULL;
}

static void it_goes_on_when_that_has_read(void **state)
{
	struct fixture *f = *state;
	pthread_t reader;

	start(f, 4 << 20, 0, false);
	fill(f, 4 << 20);
	assert_ok(
		thread_start(&reader, read_everything, &f->read_fd, "reader"));
	output_wait_room(f->output, clock_ms() + 60000);
	assert_int_equal(output_close(f->output, clock_ms() + 60000), 0);
	f->output = NULL;
	close(f->write_fd);
	thread_join(reader);
	f->write_fd = dup(f->read_fd); /* something to close */
}

static void nobody_waits_for_an_output_that_is_slow(void **state)
{
	struct fixture *f = *state;
	uint64_t seq = 0;
	char line[1024];

	memset(line, 'x', sizeof line - 1);
	line[sizeof line - 1] = 0;
	start(f, 1 << 20, 0, false);
	while (!print(f, ++seq, line))
		;
	output_wait_room(f->output, INT64_MAX); /* it is told, and waited for
						   by nobody */
}

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
		PIPE_TEST(half_a_queue_is_slow_until_a_quarter_is_left),
		PIPE_TEST(a_reader_that_keeps_up_is_never_slow),
		PIPE_TEST(closing_a_slow_output_tells_nobody),
		PIPE_TEST(
			who_brings_more_waits_for_the_reader_and_not_for_long),
		PIPE_TEST(it_goes_on_when_that_has_read),
		PIPE_TEST(nobody_waits_for_an_output_that_is_slow),
		PIPE_TEST(what_is_lost_stands_in_its_place),
		PIPE_TEST(gaps_in_a_row_are_one_unless_for_different_reasons),
		PIPE_TEST(without_json_stderr_tells_the_two_reasons_apart),
	};

	if (crypto_init() != ERR_OK)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
