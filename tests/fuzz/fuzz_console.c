/* What a person or a script types: stdin's lines, the prompt's commands, and
 * the lines of --send.
 *
 * The first bytes of the input decide about the peer around them: its mode,
 * its messages, the answers it gives. The rest is stdin, and comes in pieces.
 * With --send, exactly the lines of stdin are published, in order, and what
 * is not is counted. What reaches the terminal is text, whatever the messages
 * and the commands hold.
 */
#include "fuzz.h"

#include "base/utf8.h"
#include "io/clock.h"
#include "io/complain.h"
#include "peer/console.h"
#include "peer/hub.h"
#include "peer/input.h"
#include "peer/output.h"
#include "peer/publisher.h"
#include "peer/status.h"

#include <poll.h>
#include <stdarg.h>
#include <unistd.h>

#define CHOICES 12 /* bytes before stdin */
#define WAKE_FD 99

static struct {
	struct peer peer;
	struct options options;
	struct tape choices; /* about what happens around */
	struct tape typed;   /* stdin, not read yet */
	size_t piece;
	bool terminal;
	/* --send: stdin as it should arrive, and what became of its lines. */
	const uint8_t *line, *end;
	size_t line_max;
	uint64_t taken, refused, unsent, finished;
} world;

static struct config preset;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	config_init(&preset);
	return crypto_init() == ERR_OK ? 0 : 1;
}

/* --- in place of the operating system ----------------------------------- */

int __wrap_isatty(int fd);
int __wrap_isatty(int fd)
{
	(void)fd;
	return world.terminal;
}

int __wrap_eventfd(unsigned value, int flags);
int __wrap_eventfd(unsigned value, int flags)
{
	(void)value;
	(void)flags;
	return WAKE_FD;
}

int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_close(int fd)
{
	return fd == WAKE_FD ? 0 : __real_close(fd);
}

/* stdin is always ready: at its end, too. Nobody stops us. */
int __wrap_poll(struct pollfd *fds, nfds_t n, int ms);
int __wrap_poll(struct pollfd *fds, nfds_t n, int ms)
{
	int ready = 0;

	(void)ms;
	for (nfds_t i = 0; i < n; i++) {
		fds[i].revents = fds[i].fd == STDIN_FILENO ? POLLIN : 0;
		ready += fds[i].revents != 0;
	}
	return ready;
}

ssize_t __real_read(int fd, void *buf, size_t n);
ssize_t __wrap_read(int fd, void *buf, size_t n);
ssize_t __wrap_read(int fd, void *buf, size_t n)
{
	size_t got;
	const uint8_t *at;

	if (fd != STDIN_FILENO)
		return __real_read(fd, buf, n);
	at = take_bytes(&world.typed, n < world.piece ? n : world.piece, &got);
	if (got > 0)
		memcpy(buf, at, got);
	return (ssize_t)got;
}

int64_t __wrap_clock_ms(void);
int64_t __wrap_clock_ms(void)
{
	return 1000000;
}

int64_t __wrap_clock_wall_ms(void);
int64_t __wrap_clock_wall_ms(void)
{
	return 1700000000000;
}

/* The input's thread runs here and now. */
enum err thread_start(pthread_t *t, void *(*run)(void *), void *arg,
		      const char *name)
{
	(void)t;
	(void)name;
	run(arg);
	return ERR_OK;
}

void thread_join(pthread_t t)
{
	(void)t;
}

void mutex_init(struct mutex *m)
{
	(void)m;
}

void mutex_destroy(struct mutex *m)
{
	(void)m;
}

void mutex_lock(struct mutex *m) UNCHECKED
{
	(void)m;
}

void mutex_unlock(struct mutex *m) UNCHECKED
{
	(void)m;
}

/* --- in place of the rest of the peer ----------------------------------- */

void complain(const char *fmt, ...)
{
	static const char unsent[] = "peer: %llu line%s not published\n";
	char text[COMPLAIN_MAX];
	va_list args;
	int n;

	va_start(args, fmt);
	if (strcmp(fmt, unsent) == 0)
		world.unsent = va_arg(args, unsigned long long);
	else if (strstr(fmt, "not sent") != NULL)
		world.refused++;
	va_end(args);
	va_start(args, fmt);
	n = vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	assert_in_range(n, 1, sizeof text - 1);
	assert_int_equal(text[n - 1], '\n');
}

/* Valid UTF-8, and of the control characters only the line's end. */
void output_text(struct output *o, struct buf *b)
{
	(void)o;
	assert_false(b->failed);
	assert_true(utf8_valid(b->data, b->len));
	for (size_t i = 0; i < b->len; i++) {
		unsigned char c = (unsigned char)b->data[i];

		assert_true(c >= 0x20 || c == '\n');
		assert_int_not_equal(c, 0x7f);
		assert_false(c == 0xc2 && (unsigned char)b->data[i + 1] < 0xa0);
	}
	buf_reset(b);
}

void peer_status(struct peer *p, struct buf *out)
{
	(void)p;
	buf_str(out, "{}");
}

void peer_finish(struct peer *p, int status)
{
	(void)p;
	assert_in_range(status, 0, 78);
	world.finished++;
}

size_t hub_neighbors(struct hub *h, struct neighbor out[LINK_SLOTS])
{
	size_t n = take(&world.choices, LINK_SLOTS + 1);

	(void)h;
	for (size_t i = 0; i < n; i++)
		out[i] = (struct neighbor){
			.id = { 1, { .family = ADDR_V6, .port = 1 } },
			.dialed = i % 2,
			.since_ms = (int64_t)i - 5,
			.rtt_ms = (int64_t)i - 1
		};
	return n;
}

/* A message of the history, or why there is none. */
enum err hub_find(struct hub *h, const char *hex, size_t digits,
		  struct frame **f, struct hash *id)
{
	static const enum err errors[] = { ERR_NOT_FOUND, ERR_RANGE,
					   ERR_STOPPED };
	const struct history *all = &world.peer.history;
	unsigned i = take(&world.choices, 8);

	(void)h;
	assert_in_range(digits, 6, HASH_HEX);
	for (size_t k = 0; k < digits; k++)
		assert_non_null(memchr("0123456789abcdef", hex[k], 16));
	if (i >= all->count)
		return errors[i % COUNT_OF(errors)];
	*f = frame_hold(all->ring[i].parcel->frame);
	*id = parcel_id(all->ring[i].parcel);
	return ERR_OK;
}

void hub_wait_settled(struct hub *h, int64_t deadline_ms)
{
	(void)h;
	(void)deadline_ms;
}

bool hub_wait_neighbor(struct hub *h, int64_t deadline_ms)
{
	(void)h;
	(void)deadline_ms;
	return take(&world.choices, 16) != 15;
}

enum err hub_wait_taken(struct hub *h, int64_t patience_ms)
{
	static const enum err errors[] = { ERR_OK, ERR_TIMEOUT, ERR_STOPPED };

	(void)h;
	(void)patience_ms;
	return errors[take(&world.choices, COUNT_OF(errors))];
}

/* The next line of what was typed that is not too long. */
static const uint8_t *expected_line(size_t *n)
{
	const uint8_t *line, *cut;

	do {
		assert_true(world.line < world.end);
		line = world.line;
		cut = memchr(line, '\n', (size_t)(world.end - line));
		*n = (size_t)((cut != NULL ? cut : world.end) - line);
		world.line = line + *n + (cut != NULL);
	} while (*n > world.line_max);
	return line;
}

enum err publisher_send(struct peer *p, const void *data, size_t n, bool wait)
{
	(void)data;
	assert_true(wait);
	assert_false(p->options->send);
	if (n > p->config->gossip.data_max)
		return ERR_TOO_LONG;
	if (take(&world.choices, 32) == 31)
		return ERR_NOMEM;
	world.taken++;
	return ERR_OK;
}

enum err publisher_send_lines(struct peer *p, const struct line *lines,
			      size_t n, size_t *sent)
{
	assert_true(p->options->send);
	assert_in_range(n, 1, PUBLISH_MAX);
	for (*sent = 0; *sent < n; ++*sent) {
		size_t len;
		const uint8_t *line = expected_line(&len);

		assert_int_equal(lines[*sent].bytes, len);
		assert_memory_equal(lines[*sent].text, line, len);
		assert_true(len <= p->config->gossip.data_max);
		if (take(&world.choices, 32) == 31)
			return ERR_NOMEM;
		world.taken++;
	}
	return ERR_OK;
}

/* --- all of it ---------------------------------------------------------- */

static uint64_t count_lines(const uint8_t *p, size_t n)
{
	uint64_t lines = 0;

	for (size_t i = 0; i < n; i++)
		lines += p[i] == '\n';
	return lines + (n > 0 && p[n - 1] != '\n');
}

/* A message like those that came, of the next bytes. */
static void remember(unsigned number)
{
	struct message m = { .type = MSG_MESSAGE };
	struct frame_head head = { .hops = (uint8_t)number };
	struct frame *f = NULL;
	struct parcel *p = NULL;
	const char *why;
	size_t n;

	m.message.origin.addr = (struct addr){ .family = ADDR_V4, .port = 1 };
	m.message.origin.incarnation = 1;
	m.message.seq = 1 + number;
	m.message.data = take_bytes(&world.choices, number * 120, &n);
	m.message.data_bytes = n;
	m.message.base64 = codec_wants_base64(m.message.data, n);
	assert_int_equal(codec_encode(&m, &f), ERR_OK);
	assert_int_equal(parcel_new(&p, &head, f, NULL, &why), ERR_OK);
	history_add(&world.peer.history, &p, 1, number % 2);
	parcel_release(p);
}

static void create(const uint8_t *data, size_t size)
{
	static const size_t pieces[] = { 1, 7, 64, 65536 };
	static const uint64_t longest[] = { 65536, 1, 20, 300 };
	static struct config config;
	struct tape in = { data, size };
	unsigned mode = take(&in, 256), longer = take(&in, 4);
	size_t n;

	memset(&world, 0, sizeof world);
	config = preset;
	config.gossip.data_max = longest[longer];
	world.options.send = (mode & 1) != 0;
	world.options.receive = (mode & 2) != 0;
	world.terminal = (mode & 4) != 0;
	world.piece = pieces[mode >> 3 & 3];
	world.peer.options = &world.options;
	world.peer.config = &config;
	world.line_max = longest[longer];
	history_init(&world.peer.history);
	/* Messages, of the same bytes that are typed and chosen from later. */
	world.choices = in;
	for (unsigned i = 0; i < (mode >> 5) % 4; i++)
		remember(i);
	world.choices.p = take_bytes(&in, CHOICES, &n);
	world.choices.n = n;
	world.typed = in;
	world.line = in.p;
	world.end = in.p + in.n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct peer *p = &world.peer;
	struct input *in = NULL;
	uint64_t lines;
	bool all;

	create(data, size);
	lines = count_lines(world.typed.p, world.typed.n);
	assert_int_equal(input_start(&in, p), ERR_OK);
	all = input_join(in);
	if (world.options.send) {
		assert_int_equal(world.taken + world.refused + world.unsent,
				 lines);
		assert_int_equal(world.typed.n, 0);
		assert_true(!all || world.taken == lines);
		assert_true(world.finished == 1 || world.options.receive);
	}
	assert_true(world.finished <= 1);
	history_free(&p->history);
	return 0;
}
