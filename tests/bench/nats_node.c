/* nats_node PORT: a client of a NATS broker on 127.0.0.1, as lean as a floor.
 *
 * Publishes each line of stdin on one subject and prints what comes from the
 * others there ("echo": false keeps its own away). One blocking socket; what
 * one read brings is parsed and printed as one batch, and published likewise.
 * The broker's side of the protocol: INFO {...}, PING, MSG SUBJECT SID BYTES
 * and that many bytes, each ended by CR LF.
 */
#include "floor.h"

#define SUBJECT "b"
#define WELCOME                                                         \
	"CONNECT {\"verbose\":false,\"pedantic\":false,\"echo\":false," \
	"\"lang\":\"c\",\"version\":\"0\"}\r\nSUB " SUBJECT " 1\r\n"

static int broker;
static pthread_mutex_t sending = PTHREAD_MUTEX_INITIALIZER;

static void tell(const char *p, size_t n)
{
	pthread_mutex_lock(&sending);
	if (!write_whole(broker, p, n))
		die("broker");
	pthread_mutex_unlock(&sending);
}

/* The last word of a line of n bytes, as a number. */
static size_t last_number(const char *line, size_t n)
{
	size_t i = n;

	while (i > 0 && line[i - 1] != ' ')
		i--;
	return strtoul(line + i, NULL, 10);
}

static bool begins(const char *line, size_t n, const char *word)
{
	return n > strlen(word) && memcmp(line, word, strlen(word)) == 0;
}

/* One line of the broker, with the payload that follows a MSG, which goes to
 * text. How many bytes that was; 0 when some of it has not come yet. */
static size_t take_one(const char *p, size_t n, struct bytes *text)
{
	const char *end = memchr(p, '\n', n);
	size_t line, payload;

	if (end == NULL)
		return 0;
	line = (size_t)(end + 1 - p);
	if (begins(p, line, "PING"))
		tell("PONG\r\n", 6);
	if (begins(p, line, "-ERR")) {
		fprintf(stderr, "%.*s", (int)line, p);
		exit(1);
	}
	if (!begins(p, line, "MSG "))
		return line;
	payload = last_number(p, line - 2);
	if (n - line < payload + 2)
		return 0;
	bytes_add(text, p + line, payload);
	return line + payload + 2;
}

static void *read_broker(void *arg)
{
	struct bytes in = { 0 }, text = { 0 };

	(void)arg;
	while (bytes_fill(&in, broker, ROOM_BYTES - in.n)) {
		size_t at = 0, took;

		while ((took = take_one(in.at + at, in.n - at, &text)) > 0)
			at += took;
		bytes_drop(&in, at);
		print_lines(&text);
	}
	die("the broker went");
	return NULL;
}

/* Whole lines out of `in`, line ends included, as PUBs into `out`. */
static void publish_lines(struct bytes *in, struct bytes *out)
{
	size_t at = 0;
	char *end;

	while ((end = memchr(in->at + at, '\n', in->n - at)) != NULL) {
		size_t n = (size_t)(end + 1 - (in->at + at));
		char head[40];
		int k = snprintf(head, sizeof head, "PUB " SUBJECT " %zu\r\n",
				 n);

		bytes_add(out, head, (size_t)k);
		bytes_add(out, in->at + at, n);
		bytes_add(out, "\r\n", 2);
		at += n;
	}
	bytes_drop(in, at);
}

int main(int argc, char **argv)
{
	struct bytes in = { 0 }, out = { 0 };

	if (argc != 2)
		return 2;
	signal(SIGPIPE, SIG_IGN);
	broker = tcp_dial(atoi(argv[1]));
	tell(WELCOME, sizeof WELCOME - 1);
	thread_run(read_broker, NULL);
	while (bytes_fill(&in, STDIN_FILENO, LINE_BYTES)) {
		publish_lines(&in, &out);
		tell(out.at, out.n);
		out.n = 0;
	}
	for (;;)
		pause();
}
