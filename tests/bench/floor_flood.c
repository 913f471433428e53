/* floor_flood INDEX COUNT BASE: what flooding costs without any protocol.
 *
 * Node INDEX listens on BASE + INDEX and dials up to four earlier nodes; a line
 * of stdin is published, a line from elsewhere is printed once and passed on to
 * every other link. Blocking sockets, a reader and a writer thread per link.
 *
 * The overlay has cycles: nodes that wait for each other's sockets would hang
 * for ever. So who forwards sends only what the socket takes at once, and
 * leaves the rest to the writer of that link. Only the publisher waits.
 */
#include "floor.h"

#define DIALS 4
#define LINKS_MAX 256
#define PUBLISHER_WAITS (4u << 20) /* with more than this queued on a link */
#define REST_KEPT (1u << 20)       /* a larger empty buffer is given back */

struct link {
	int fd;
	pthread_mutex_t mu;
	pthread_cond_t changed;
	struct bytes rest; /* what the socket did not take; under mu */
	bool sending;      /* the writer has some of it; under mu */
	bool over;         /* under mu */
};

static struct link *links[LINKS_MAX];
static int link_count;
static pthread_rwlock_t table = PTHREAD_RWLOCK_INITIALIZER;

/* --- ids seen: two tables, the older one is forgotten when the newer is full
 */

#define SEEN_BITS 17
#define SEEN_CELLS (1u << SEEN_BITS)

static uint64_t seen_first[SEEN_CELLS], seen_second[SEEN_CELLS];
static uint64_t *newer = seen_first, *older = seen_second;
static unsigned newer_count;
static pthread_mutex_t seen_mu = PTHREAD_MUTEX_INITIALIZER;

/* The cell that holds the id, or the free one where it belongs. */
static uint64_t *seen_cell(uint64_t *cells, uint64_t id)
{
	uint64_t i = (id * 0x9E3779B97F4A7C15u) >> (64 - SEEN_BITS);

	while (cells[i] != 0 && cells[i] != id)
		i = (i + 1) % SEEN_CELLS;
	return &cells[i];
}

/* Is it new? Then it is noted. Under seen_mu. */
static bool seen_note(uint64_t id)
{
	uint64_t *cell = seen_cell(newer, id);

	if (*cell == id || *seen_cell(older, id) == id)
		return false;
	*cell = id;
	if (++newer_count > SEEN_CELLS / 2) {
		uint64_t *forgotten = older;

		older = newer;
		newer = memset(forgotten, 0, SEEN_CELLS * sizeof *forgotten);
		newer_count = 0;
	}
	return true;
}

/* --- links ---------------------------------------------------------------- */

static void link_send(struct link *l, const char *p, size_t n, bool patient)
{
	pthread_mutex_lock(&l->mu);
	while (patient && !l->over && l->rest.n > PUBLISHER_WAITS)
		pthread_cond_wait(&l->changed, &l->mu);
	if (!l->over && l->rest.n == 0 && !l->sending) {
		ssize_t put = send(l->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (put > 0) {
			p += put;
			n -= (size_t)put;
		}
	}
	if (!l->over && n > 0) {
		bytes_add(&l->rest, p, n);
		pthread_cond_broadcast(&l->changed);
	}
	pthread_mutex_unlock(&l->mu);
}

static void *link_write(void *arg)
{
	struct link *l = arg;
	struct bytes mine = { 0 };

	pthread_mutex_lock(&l->mu);
	while (!l->over) {
		struct bytes taken = l->rest;
		bool ok;

		if (taken.n == 0) {
			pthread_cond_wait(&l->changed, &l->mu);
			continue;
		}
		l->rest = mine;
		l->sending = true;
		pthread_cond_broadcast(&l->changed);
		pthread_mutex_unlock(&l->mu);
		ok = write_whole(l->fd, taken.at, taken.n);
		mine = taken;
		mine.n = 0;
		if (mine.room > REST_KEPT) {
			free(mine.at);
			mine = (struct bytes){ 0 };
		}
		pthread_mutex_lock(&l->mu);
		l->sending = false;
		l->over = l->over || !ok;
	}
	pthread_mutex_unlock(&l->mu);
	return NULL;
}

static void forward(const struct bytes *frames, const struct link *from)
{
	if (frames->n == 0)
		return;
	pthread_rwlock_rdlock(&table);
	for (int i = 0; i < link_count; i++)
		if (links[i] != from)
			link_send(links[i], frames->at, frames->n,
				  from == NULL);
	pthread_rwlock_unlock(&table);
}

/* Whole frames out of `in`: those that are new into `out`, their text into
 * `text`. */
static void sort_frames(struct bytes *in, struct bytes *out, struct bytes *text)
{
	size_t at = 0;

	pthread_mutex_lock(&seen_mu);
	while (in->n - at >= HEAD_BYTES) {
		struct head h = head_read(in->at + at);
		size_t whole = HEAD_BYTES + h.bytes;

		if (in->n - at < whole)
			break;
		if (seen_note(h.id)) {
			bytes_add(out, in->at + at, whole);
			bytes_add(text, in->at + at + HEAD_BYTES, h.bytes);
		}
		at += whole;
	}
	pthread_mutex_unlock(&seen_mu);
	bytes_drop(in, at);
}

static void *link_read(void *arg)
{
	struct link *l = arg;
	struct bytes in = { 0 }, out = { 0 }, text = { 0 };

	while (bytes_fill(&in, l->fd, ROOM_BYTES - in.n)) {
		sort_frames(&in, &out, &text);
		forward(&out, l);
		out.n = 0;
		print_lines(&text);
	}
	pthread_mutex_lock(&l->mu);
	l->over = true;
	pthread_cond_broadcast(&l->changed);
	pthread_mutex_unlock(&l->mu);
	free(in.at);
	free(out.at);
	free(text.at);
	return NULL;
}

static void link_add(int fd)
{
	struct link *l = need(calloc(1, sizeof *l));

	l->fd = fd;
	pthread_mutex_init(&l->mu, NULL);
	pthread_cond_init(&l->changed, NULL);
	pthread_rwlock_wrlock(&table);
	if (link_count == LINKS_MAX)
		die("links");
	links[link_count++] = l;
	pthread_rwlock_unlock(&table);
	thread_run(link_read, l);
	thread_run(link_write, l);
}

static void *accept_links(void *listener)
{
	for (;;)
		link_add(tcp_accept(*(int *)listener));
	return NULL;
}

/* Four different earlier nodes, or all when there are no more. */
static void dial_earlier(int me, int base)
{
	unsigned chance = (unsigned)me * 2654435761u + 12345u;
	int chosen[DIALS], n = 0, most = me < DIALS ? me : DIALS;

	while (n < most) {
		int i = 0, to;

		chance = chance * 1103515245u + 12345u;
		to = (int)((chance >> 8) % (unsigned)me);
		while (i < n && chosen[i] != to)
			i++;
		if (i < n)
			continue;
		chosen[n++] = to;
		link_add(tcp_dial(base + to));
	}
}

/* --- publishing ----------------------------------------------------------- */

/* Whole lines out of `in` as frames into `out`. */
static void frame_lines(struct bytes *in, struct bytes *out, uint64_t *id)
{
	size_t at = 0;
	char *end;

	pthread_mutex_lock(&seen_mu);
	while ((end = memchr(in->at + at, '\n', in->n - at)) != NULL) {
		uint32_t n = (uint32_t)(end + 1 - (in->at + at));
		char head[HEAD_BYTES];

		head_write(head, (struct head){ n, ++*id });
		seen_note(*id);
		bytes_add(out, head, sizeof head);
		bytes_add(out, in->at + at, n);
		at += n;
	}
	pthread_mutex_unlock(&seen_mu);
	bytes_drop(in, at);
}

int main(int argc, char **argv)
{
	struct bytes in = { 0 }, out = { 0 };
	int me, base, listener;
	uint64_t id;

	if (argc != 4)
		return 2;
	me = atoi(argv[1]);
	base = atoi(argv[3]);
	id = (uint64_t)(me + 1) << 48;
	signal(SIGPIPE, SIG_IGN);
	listener = tcp_listen(base + me);
	dial_earlier(me, base);
	thread_run(accept_links, &listener);
	while (bytes_fill(&in, STDIN_FILENO, LINE_BYTES)) {
		frame_lines(&in, &out, &id);
		forward(&out, NULL);
		out.n = 0;
	}
	for (;;)
		pause();
}
