/* floor_tree INDEX COUNT BASE: what passing frames down a tree costs.
 *
 * Node INDEX listens on BASE + INDEX and dials its parent; each has up to four
 * children. Every frame arrives once, so nothing is looked up, and there is no
 * cycle in which blocking writes could wait for each other.
 */
#include "floor.h"

#define CHILDREN 4
#define LINKS_MAX 32

struct link {
	int fd;
	pthread_mutex_t mu; /* one writer at a time */
	bool over;          /* under mu */
};

static struct link links[LINKS_MAX];
static int link_count;
static pthread_rwlock_t table = PTHREAD_RWLOCK_INITIALIZER;

static void forward(const char *frames, size_t n, const struct link *from)
{
	if (n == 0)
		return;
	pthread_rwlock_rdlock(&table);
	for (int i = 0; i < link_count; i++) {
		struct link *l = &links[i];

		if (l == from)
			continue;
		pthread_mutex_lock(&l->mu);
		l->over = l->over || !write_whole(l->fd, frames, n);
		pthread_mutex_unlock(&l->mu);
	}
	pthread_rwlock_unlock(&table);
}

/* The text of the whole frames in `in`; how many bytes those are. */
static size_t take_text(const struct bytes *in, struct bytes *text)
{
	size_t at = 0;

	while (in->n - at >= HEAD_BYTES) {
		struct head h = head_read(in->at + at);

		if (in->n - at < HEAD_BYTES + h.bytes)
			break;
		bytes_add(text, in->at + at + HEAD_BYTES, h.bytes);
		at += HEAD_BYTES + h.bytes;
	}
	return at;
}

static void *link_read(void *arg)
{
	struct link *l = arg;
	struct bytes in = { 0 }, text = { 0 };

	while (bytes_fill(&in, l->fd, ROOM_BYTES - in.n)) {
		size_t whole = take_text(&in, &text);

		forward(in.at, whole, l);
		print_lines(&text);
		bytes_drop(&in, whole);
	}
	free(in.at);
	free(text.at);
	return NULL;
}

static void link_add(int fd)
{
	struct link *l;

	pthread_rwlock_wrlock(&table);
	if (link_count == LINKS_MAX)
		die("links");
	l = &links[link_count++];
	l->fd = fd;
	pthread_mutex_init(&l->mu, NULL);
	pthread_rwlock_unlock(&table);
	thread_run(link_read, l);
}

static void *accept_links(void *listener)
{
	for (;;)
		link_add(tcp_accept(*(int *)listener));
	return NULL;
}

/* Whole lines out of `in` as frames into `out`. */
static void frame_lines(struct bytes *in, struct bytes *out)
{
	size_t at = 0;
	char *end;

	while ((end = memchr(in->at + at, '\n', in->n - at)) != NULL) {
		uint32_t n = (uint32_t)(end + 1 - (in->at + at));
		char head[HEAD_BYTES];

		head_write(head, (struct head){ n, 0 });
		bytes_add(out, head, sizeof head);
		bytes_add(out, in->at + at, n);
		at += n;
	}
	bytes_drop(in, at);
}

int main(int argc, char **argv)
{
	struct bytes in = { 0 }, out = { 0 };
	int me, base, listener;

	if (argc != 4)
		return 2;
	me = atoi(argv[1]);
	base = atoi(argv[3]);
	signal(SIGPIPE, SIG_IGN);
	listener = tcp_listen(base + me);
	if (me > 0)
		link_add(tcp_dial(base + (me - 1) / CHILDREN));
	thread_run(accept_links, &listener);
	while (bytes_fill(&in, STDIN_FILENO, LINE_BYTES)) {
		frame_lines(&in, &out);
		forward(out.at, out.n, NULL);
		out.n = 0;
	}
	for (;;)
		pause();
}
