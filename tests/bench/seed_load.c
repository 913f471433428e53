/* Loads a seed, or bare_seed, and says how fast it was.
 *
 * usage: seed_load MODE IP:PORT SECONDS LISTEN [THREADS [RUNS [RATE]]]
 *   renew  connect, Register of a known run with its lease, list, close
 *   join   connect, Register of a new address, be dialed back, list, close
 *   list   Get Peer List on connections that are kept
 *   fill   nothing but what comes before any of these: RUNS (256) join
 * The THREADS (64) listen on ports LISTEN, LISTEN + 1 ... of every 127.x.y.z,
 * and each run has an address of its own there. RATE is how many a second are
 * begun in all; as many as can be without it.
 *
 * Says `filled` on stderr once the RUNS have joined, and prints one line of
 * JSON in the end. Exit status 0, 1 if anything failed, 2 wrong usage.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define HEAD 8
#define ANSWER_MAX 65536
#define REQUEST_MAX 512
#define FIRST_IP 0x7f010000u /* 127.1.0.0 */
#define PATIENCE_S 10

struct run {
	uint32_t ip;
	char lease[33];
};

struct worker {
	pthread_t thread;
	unsigned number;
	int listener;
	struct run *runs;
	size_t run_count;
	uint32_t *took_us; /* one for each that succeeded */
	size_t count, cap;
	size_t errors;
	char answer[ANSWER_MAX + 1];
};

enum mode { MODE_RENEW, MODE_JOIN, MODE_LIST, MODE_FILL, MODES };
static const char *const mode_names[] = { "renew", "join", "list", "fill" };

static enum mode mode;
static struct sockaddr_in target;
static double seconds;
static uint16_t listen_port;
static unsigned threads = 64;
static size_t runs = 256;
static double rate;
static uint64_t incarnation;
static int64_t end_us;
static pthread_barrier_t filled, measured;

static int64_t read_us(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int64_t now_us(void)
{
	return read_us(CLOCK_MONOTONIC);
}

/* --- frames ----------------------------------------------------------- */

static bool send_body(int fd, const char *body)
{
	char frame[HEAD + REQUEST_MAX] = "\1\0\0\0\0\0";
	size_t n = strlen(body);

	frame[6] = (char)(n >> 8);
	frame[7] = (char)n;
	memcpy(frame + HEAD, body, n);
	return send(fd, frame, HEAD + n, MSG_NOSIGNAL) == (ssize_t)(HEAD + n);
}

/* The body, with a NUL behind it, in w->answer. */
static char *recv_body(struct worker *w, int fd)
{
	size_t n = 0, want = HEAD;
	const uint8_t *b = (const uint8_t *)w->answer;

	while (n < want) {
		ssize_t got = recv(fd, w->answer + n, ANSWER_MAX - n, 0);

		if (got <= 0)
			return NULL;
		n += (size_t)got;
		if (n >= HEAD)
			want = HEAD +
			       ((size_t)b[5] << 16 | (size_t)b[6] << 8 | b[7]);
		if (want > ANSWER_MAX)
			return NULL;
	}
	w->answer[n] = '\0';
	return w->answer + HEAD;
}

/* --- one conversation ------------------------------------------------- */

static int dial_from(uint32_t ip)
{
	struct sockaddr_in from = { .sin_family = AF_INET };
	int on = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

	from.sin_addr.s_addr = htonl(ip);
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
	if (bind(fd, (struct sockaddr *)&from, sizeof from) < 0 ||
	    connect(fd, (struct sockaddr *)&target, sizeof target) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static uint16_t port_of(const struct worker *w)
{
	return (uint16_t)(listen_port + w->number);
}

static size_t address_text(const struct worker *w, uint32_t ip, char out[32])
{
	return (size_t)snprintf(out, 32, "%u.%u.%u.%u:%u", ip >> 24,
				ip >> 16 & 255, ip >> 8 & 255, ip & 255,
				(unsigned)port_of(w));
}

static bool ask_register(struct worker *w, int fd, const struct run *r)
{
	char body[REQUEST_MAX], a[32], lease[64] = "";

	address_text(w, r->ip, a);
	if (r->lease[0])
		snprintf(lease, sizeof lease, ",\"lease\":\"%s\"", r->lease);
	snprintf(body, sizeof body,
		 "{\"type\":\"Register\",\"address\":\"%s\","
		 "\"incarnation\":%llu,\"want\":32%s}",
		 a, (unsigned long long)incarnation, lease);
	return send_body(fd, body);
}

/* Says to whoever dials that this run lives there. */
static bool answer_dial_back(struct worker *w, uint32_t ip)
{
	char body[REQUEST_MAX], a[32];
	int fd = accept(w->listener, NULL, NULL);
	const char *asked = fd < 0 ? NULL : recv_body(w, fd);
	const char *nonce = asked ? strstr(asked, "\"nonce\":") : NULL;
	bool ok = false;

	if (nonce) {
		address_text(w, ip, a);
		snprintf(body, sizeof body,
			 "{\"type\":\"Liveliness Reply\",\"nonce\":%llu,"
			 "\"address\":\"%s\",\"incarnation\":%llu,"
			 "\"neighbors\":4}",
			 strtoull(nonce + 8, NULL, 10), a,
			 (unsigned long long)incarnation);
		ok = send_body(fd, body);
	}
	if (fd >= 0)
		close(fd);
	return ok;
}

/* A run without a lease is new and will be dialed back. */
static bool do_register(struct worker *w, struct run *r)
{
	int fd = dial_from(r->ip);
	bool fresh = !r->lease[0];
	const char *body = NULL, *lease = NULL;

	if (fd >= 0 && ask_register(w, fd, r) &&
	    (!fresh || answer_dial_back(w, r->ip)))
		body = recv_body(w, fd);
	if (body && strstr(body, "\"reachable\":true"))
		lease = strstr(body, "\"lease\":\"");
	if (lease)
		memcpy(r->lease, lease + 9, 32);
	if (fd >= 0)
		close(fd);
	return lease != NULL;
}

static bool do_list(struct worker *w, int fd)
{
	return send_body(fd, "{\"type\":\"Get Peer List\",\"want\":32}") &&
	       recv_body(w, fd) != NULL;
}

/* --- a thread --------------------------------------------------------- */

static void note(struct worker *w, bool ok, int64_t since_us)
{
	if (!ok) {
		w->errors++;
		return;
	}
	if (w->count == w->cap) {
		w->cap = w->cap * 2 + 1024;
		w->took_us = realloc(w->took_us, w->cap * sizeof *w->took_us);
		if (!w->took_us)
			abort();
	}
	w->took_us[w->count++] = (uint32_t)(now_us() - since_us);
}

/* Addresses of this worker, the ones that join later behind those that join at
 * first; no two workers have the same. */
static uint32_t address_of(const struct worker *w, size_t i)
{
	return FIRST_IP + (uint32_t)i * threads + w->number;
}

static void fill(struct worker *w)
{
	w->run_count = runs / threads + (w->number < runs % threads);
	w->runs = calloc(w->run_count + 1, sizeof *w->runs);
	if (!w->runs)
		abort();
	for (size_t i = 0; i < w->run_count; i++) {
		w->runs[i].ip = address_of(w, i);
		w->errors += !do_register(w, &w->runs[i]);
	}
}

static bool one(struct worker *w, size_t i, int fd)
{
	struct run fresh = { .ip = address_of(w, w->run_count + i) };

	switch (mode) {
	case MODE_RENEW:
		return do_register(w, &w->runs[i % w->run_count]);
	case MODE_JOIN:
		return do_register(w, &fresh);
	default:
		return do_list(w, fd);
	}
}

static void measure(struct worker *w)
{
	int fd = mode == MODE_LIST ? dial_from(address_of(w, 0)) : -1;
	int64_t step_us = rate > 0 ? (int64_t)(1e6 * threads / rate) : 0;
	int64_t begin_us = now_us(), due_us = begin_us;

	due_us += step_us * w->number / threads;
	for (size_t i = 0; begin_us < end_us; i++) {
		if (step_us > 0 && due_us > begin_us) {
			usleep((useconds_t)(due_us - begin_us));
			begin_us = due_us; /* late is late */
		}
		due_us += step_us;
		note(w, one(w, i, fd), begin_us);
		begin_us = now_us();
		if (w->errors > 100)
			break;
	}
	if (fd >= 0)
		close(fd);
}

static void *work(void *arg)
{
	struct worker *w = arg;

	fill(w);
	pthread_barrier_wait(&filled);
	pthread_barrier_wait(&measured);
	if (mode != MODE_FILL)
		measure(w);
	return NULL;
}

/* On loopback only, whatever address of it is dialed. */
static int listen_anywhere(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons(port) };
	struct timeval patience = { .tv_sec = PATIENCE_S };
	int on = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3) < 0 ||
	    bind(fd, (struct sockaddr *)&a, sizeof a) < 0 ||
	    listen(fd, 1024) < 0) {
		perror("seed_load: listen");
		exit(1);
	}
	return fd;
}

/* --- the whole -------------------------------------------------------- */

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static int report(struct worker *w, double fill_s, double took_s)
{
	size_t n = 0, errors = 0, at = 0;
	uint32_t *all;

	for (unsigned i = 0; i < threads; i++) {
		n += w[i].count;
		errors += w[i].errors;
	}
	all = calloc(n + 1, sizeof *all);
	if (!all)
		abort();
	for (unsigned i = 0; i < threads; i++)
		for (size_t j = 0; j < w[i].count; j++)
			all[at++] = w[i].took_us[j];
	qsort(all, n, sizeof *all, by_size);
	printf("{\"mode\":\"%s\",\"per_s\":%.0f,\"p50_ms\":%.2f,"
	       "\"p99_ms\":%.2f,\"errors\":%zu,\"filled\":%zu,"
	       "\"fill_per_s\":%.0f}\n",
	       mode_names[mode], (double)n / took_s, all[n / 2] / 1e3,
	       all[n - n / 100 - (n > 0)] / 1e3, errors, runs,
	       (double)runs / fill_s);
	free(all);
	return errors > 0;
}

static bool parse(int argc, char **argv)
{
	char ip[INET_ADDRSTRLEN];
	unsigned port;

	if (argc < 5 || argc > 8)
		return false;
	while (mode < MODES && strcmp(argv[1], mode_names[mode]) != 0)
		mode++;
	if (mode == MODES || sscanf(argv[2], "%15[0-9.]:%u", ip, &port) != 2)
		return false;
	target.sin_family = AF_INET;
	target.sin_port = htons((uint16_t)port);
	seconds = atof(argv[3]);
	listen_port = (uint16_t)atoi(argv[4]);
	threads = argc > 5 ? (unsigned)atoi(argv[5]) : threads;
	runs = argc > 6 ? (size_t)atol(argv[6]) : runs;
	rate = argc > 7 ? atof(argv[7]) : 0;
	return inet_pton(AF_INET, ip, &target.sin_addr) == 1 && threads > 0 &&
	       runs >= threads;
}

int main(int argc, char **argv)
{
	int64_t start_us = now_us(), begin_us;
	struct worker *w;

	if (!parse(argc, argv)) {
		fputs("usage: seed_load renew|join|list|fill IP:PORT SECONDS "
		      "LISTEN [THREADS [RUNS [RATE]]]\n",
		      stderr);
		return 2;
	}
	/* Later than any load before: a known run is not dialed back. */
	incarnation = (uint64_t)read_us(CLOCK_REALTIME) / 1000;
	w = calloc(threads, sizeof *w);
	if (!w)
		return 1;
	pthread_barrier_init(&filled, NULL, threads + 1);
	pthread_barrier_init(&measured, NULL, threads + 1);
	for (unsigned i = 0; i < threads; i++) {
		w[i].number = i;
		w[i].listener = listen_anywhere(port_of(&w[i]));
	}
	for (unsigned i = 0; i < threads; i++)
		if (pthread_create(&w[i].thread, NULL, work, &w[i]) != 0)
			return 1;
	pthread_barrier_wait(&filled);
	fputs("filled\n", stderr);
	begin_us = now_us();
	end_us = begin_us + (int64_t)(seconds * 1e6);
	pthread_barrier_wait(&measured);
	for (unsigned i = 0; i < threads; i++)
		pthread_join(w[i].thread, NULL);
	return report(w, (double)(begin_us - start_us) / 1e6,
		      (double)(now_us() - begin_us) / 1e6);
}
