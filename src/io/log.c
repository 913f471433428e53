#include "io/log.h"

#include "base/buf.h"
#include "io/clock.h"
#include "io/complain.h"
#include "io/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DETAILS_MAX 1024  /* longer ones are cut */
#define BUFFER_KEPT 65536 /* bytes of an empty buffer */

/* (l) mu, which is log.mu of the lock order; (f) flusher once it runs;
 * (c) constant */
struct log {
	char *path, *older;     /* (c) the file and what it is rotated to */
	enum log_level level;   /* (c) */
	enum log_format format; /* (c) */
	bool color, mirror, mirror_color; /* (c) */
	uint64_t max_size;                /* (c) */
	pthread_t thread;                 /* (c) */

	struct mutex mu;
	struct cond wake;
	struct buf lines, copies; /* (l) for the file, for stderr */
	uint64_t lost;            /* (l) lines there was no room for */
	bool reopen, closing;     /* (l) */

	int mirror_fd; /* (c) stderr */
	int fd;        /* (f) -1: could not be opened */
	bool regular;  /* (f) may be rotated */
	bool torn;     /* (f) the file ends within a line */
	bool astray;   /* (f) fd was renamed, and no new file could be had */
	bool said;     /* (f) that it cannot be written */
	uint64_t size; /* (f) of the file */
	uint64_t unwritten; /* (f) lines dropped and not yet told of */
};

/* ---- one line ---------------------------------------------------------- */

static const char *const level_names[] = { "error", "warn", "info", "debug" };
static const char *const way_names[] = { "in", "out", "--" };
static const char *const colors[] = {
	[KIND_PLAIN] = "",
	[KIND_START] = "\x1b[1;32m",
	[KIND_DEATH] = "\x1b[31m",
	[KIND_LIVELINESS] = "\x1b[32m",
	[KIND_PEER] = "\x1b[34m",
	[KIND_MESSAGE] = "\x1b[33m",
	[KIND_WARNING] = "\x1b[1;33m",
};

struct event {
	enum log_level level;
	enum log_way way;
	const char *what, *who; /* who may be NULL */
	const char *details;
	size_t details_bytes;
};

static void add_details(struct buf *b, const struct event *e)
{
	for (size_t i = 0; i < e->details_bytes; i++) {
		if (e->details[i] < 0x20 || e->details[i] > 0x7e) {
			buf_visible(b, e->details, e->details_bytes);
			return;
		}
	}
	buf_add(b, e->details, e->details_bytes); /* nearly always */
}

static void format_text(struct buf *b, const char *time, const struct event *e)
{
	buf_str(b, time);
	buf_char(b, ' ');
	buf_str(b, way_names[e->way]);
	buf_str(b, e->way == WAY_OUT ? " " : "  "); /* a column */
	buf_str(b, e->what);
	if (e->who != NULL) {
		buf_char(b, ' ');
		buf_str(b, e->who);
	}
	if (e->details_bytes > 0) {
		buf_char(b, ' ');
		add_details(b, e);
	}
}

static void add_member(struct buf *b, const char *name, const char *value)
{
	buf_str(b, name);
	buf_json(b, value, strlen(value));
}

static void format_json(struct buf *b, const char *time, const struct event *e)
{
	struct buf details = { 0 };

	/* Visible first: JSON has no way to write bytes that are no text. */
	add_details(&details, e);
	add_member(b, "{\"time\":", time);
	add_member(b, ",\"level\":", level_names[e->level]);
	add_member(b, ",\"way\":", way_names[e->way]);
	add_member(b, ",\"event\":", e->what);
	if (e->who != NULL)
		add_member(b, ",\"who\":", e->who);
	buf_str(b, ",\"text\":");
	buf_json(b, details.len > 0 ? details.data : "", details.len);
	buf_char(b, '}');
	if (details.failed)
		b->failed = true;
	buf_free(&details);
}

static size_t format_details(char out[DETAILS_MAX], const char *fmt,
			     va_list args) PRINTF_LIKE(2, 0);

/* Too long a text is cut between characters and ends in "...". */
static size_t format_details(char out[DETAILS_MAX], const char *fmt,
			     va_list args)
{
	int want = vsnprintf(out, DETAILS_MAX, fmt, args);
	size_t n;

	if (want < 0)
		return 0;
	if (want < DETAILS_MAX)
		return (size_t)want;
	n = DETAILS_MAX - 4;
	while (n > 0 && ((unsigned char)out[n] & 0xc0) == 0x80)
		n--;
	memcpy(out + n, "...", 4);
	return n + 3;
}

static void append(struct buf *b, const struct buf *line, const char *color)
{
	if (*color != '\0') {
		buf_str(b, color);
		buf_add(b, line->data, line->len);
		buf_str(b, "\x1b[0m\n");
	} else {
		buf_add(b, line->data, line->len);
		buf_char(b, '\n');
	}
}

/* All of the line or nothing; nothing is a lost line. */
static bool append_bounded(struct buf *b, const struct buf *line,
			   const char *color)
{
	size_t before = b->len;

	if (line->failed || before + line->len > LOG_BUFFER_MAX)
		return false;
	append(b, line, color);
	if (b->failed) {
		b->len = before;
		b->failed = false;
		return false;
	}
	return true;
}

static void submit(struct log *l, const struct buf *line, enum log_kind kind)
{
	const char *color = colors[kind];
	bool first, full;

	mutex_lock(&l->mu);
	first = l->lines.len == 0;
	if (!append_bounded(&l->lines, line, l->color ? color : ""))
		l->lost++;
	if (l->mirror)
		(void)append_bounded(&l->copies, line,
				     l->mirror_color ? color : "");
	full = l->lines.len > LOG_BUFFER_MAX / 2;
	if (first || full)
		cond_signal(&l->wake);
	mutex_unlock(&l->mu);
}

/* Before there is a log: the line goes where somebody may see it. */
static void tell_stderr(const struct buf *line)
{
	struct buf out = { 0 };

	append(&out, line, "");
	if (!out.failed)
		complain_bytes(STDERR_FILENO, out.data, out.len);
	buf_free(&out);
}

bool log_wants(const struct log *l, enum log_level level)
{
	return level <= (l != NULL ? l->level : LOG_WARN);
}

void log_text(struct log *l, enum log_level level, enum log_kind kind,
	      enum log_way way, const char *what, const struct addr *who,
	      const char *text, size_t n)
{
	struct event e = { .level = level,
			   .way = way,
			   .what = what,
			   .details = text,
			   .details_bytes = n };
	char time[CLOCK_TEXT_MAX], name[ADDR_TEXT_MAX];
	struct buf line = { 0 };

	if (!log_wants(l, level))
		return;
	if (who != NULL) {
		addr_format(who, name);
		e.who = name;
	}
	clock_format(clock_wall_ms(), time);
	buf_reserve(&line, 128 + n);
	if (l != NULL && l->format == FORMAT_JSON)
		format_json(&line, time, &e);
	else
		format_text(&line, time, &e);
	if (l != NULL)
		submit(l, &line, kind);
	else
		tell_stderr(&line);
	buf_free(&line);
}

void log_event(struct log *l, enum log_level level, enum log_kind kind,
	       enum log_way way, const char *what, const struct addr *who,
	       const char *fmt, ...)
{
	char details[DETAILS_MAX];
	va_list args;
	size_t n;

	if (!log_wants(l, level))
		return;
	va_start(args, fmt);
	n = format_details(details, fmt, args);
	va_end(args);
	log_text(l, level, kind, way, what, who, details, n);
}

/* ---- the file, only the flusher ---------------------------------------- */

/* Once per trouble, not once per line. */
static void say(struct log *l, const char *trouble)
{
	struct buf text = { 0 };
	int error = errno;

	if (l->said)
		return;
	l->said = true;
	buf_fmt(&text, "log %s: %s: %s\n", l->path, trouble, strerror(error));
	if (!text.failed)
		complain_bytes(STDERR_FILENO, text.data, text.len);
	buf_free(&text);
}

/* Makes the directories on the way to path; what fails shows at open. */
static void make_directories(char *path)
{
	for (char *p = path + 1; *p != '\0'; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		(void)mkdir(path, 0777);
		*p = '/';
	}
}

static int open_file(struct log *l)
{
	struct stat st;
	int fd;

	make_directories(l->path);
	fd = open(l->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY,
		  0644);
	if (fd < 0)
		return -1;
	l->regular = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
	l->size = l->regular ? (uint64_t)st.st_size : 0;
	return fd;
}

/* The new file first: if it cannot be had, the old one goes on. */
static void reopen(struct log *l)
{
	int fd = open_file(l);

	if (fd < 0) {
		say(l, "cannot be opened");
		return;
	}
	if (l->fd >= 0)
		close(l->fd);
	l->fd = fd;
	l->torn = l->astray = false;
}

static void rotate(struct log *l)
{
	bool moved = rename(l->path, l->older) == 0;

	/* Deleted: a new one is better than one that nobody can read. */
	if (moved || errno == ENOENT) {
		l->astray = true;
		if (moved)
			l->size = 0;
		reopen(l);
		if (moved || !l->astray)
			return;
	}
	/* Bounded all the same: without an older file there is only one. */
	say(l, "cannot be rotated, starting it over");
	if (l->fd >= 0 && ftruncate(l->fd, 0) == 0)
		l->size = 0;
}

static uint64_t count_lines(const char *p, size_t n)
{
	uint64_t lines = 0;

	for (size_t i = 0; i < n; i++)
		lines += p[i] == '\n';
	return lines;
}

/* How much of it was written. */
static size_t write_bytes(struct log *l, const char *p, size_t n)
{
	size_t done = 0;

	while (done < n && l->fd >= 0) {
		ssize_t k = write(l->fd, p + done, n - done);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0) {
			say(l, "cannot be written, lines are dropped");
			break;
		}
		done += (size_t)k;
	}
	l->size += done;
	if (done > 0)
		l->torn = p[done - 1] != '\n';
	return done;
}

/* The largest piece of whole lines that still fits, at least one line. */
static size_t piece_size(const struct log *l, const char *p, size_t n)
{
	uint64_t room = l->max_size > l->size ? l->max_size - l->size : 0;
	const char *end = NULL;

	if (!l->regular || n <= room)
		return n;
	if (room > 0)
		end = memrchr(p, '\n', (size_t)room);
	if (end == NULL && l->size > 0)
		return 0;
	if (end == NULL)
		end = memchr(p, '\n', n);
	return end == NULL ? n : (size_t)(end - p) + 1;
}

static bool write_lines(struct log *l, const char *p, size_t n)
{
	while (n > 0) {
		size_t piece = piece_size(l, p, n), done;

		if (piece == 0) {
			uint64_t before = l->size;

			rotate(l);
			if (l->size < before)
				continue;
			piece = n;
		}
		done = write_bytes(l, p, piece);
		p += done;
		n -= done;
		if (done < piece) {
			l->unwritten += count_lines(p, n);
			return false;
		}
	}
	return true;
}

/* After a gap: ends the torn line and says how much is missing. */
static bool tell_gap(struct log *l)
{
	struct event e = { .level = LOG_WARN, .way = WAY_NONE, .what = "log" };
	char details[64], time[CLOCK_TEXT_MAX];
	struct buf line = { 0 };
	uint64_t lines = l->unwritten;
	bool ok;

	if (lines == 0)
		return true;
	if (l->torn && write_bytes(l, "\n", 1) < 1)
		return false;
	e.details_bytes =
		(size_t)snprintf(details, sizeof details, "%llu lines lost",
				 (unsigned long long)lines);
	e.details = details;
	clock_format(clock_wall_ms(), time);
	if (l->format == FORMAT_JSON)
		format_json(&line, time, &e);
	else
		format_text(&line, time, &e);
	buf_char(&line, '\n');
	ok = !line.failed && write_lines(l, line.data, line.len);
	l->unwritten = ok ? 0 : lines;
	buf_free(&line);
	return ok;
}

static void write_file(struct log *l, const struct buf *b, bool reopen_asked)
{
	if (reopen_asked || l->astray || l->fd < 0)
		reopen(l);
	if (!tell_gap(l))
		l->unwritten += count_lines(b->data, b->len);
	else if (write_lines(l, b->data, b->len) && b->len > 0)
		l->said = false;
}

/* ---- the flusher ------------------------------------------------------- */

static bool idle_locked(const struct log *l) NEEDS(l->mu)
{
	return l->lines.len == 0 && l->copies.len == 0 && !l->closing &&
	       !l->reopen;
}

/* Sleeps until there is something, then lets a few lines gather. */
static void wait_locked(struct log *l) NEEDS(l->mu)
{
	int64_t deadline_ms;
	bool in_time = true;

	while (idle_locked(l))
		cond_wait(&l->wake, &l->mu);
	deadline_ms = clock_ms() + LOG_FLUSH_MS / 2;
	while (in_time && !l->closing && !l->reopen &&
	       l->lines.len <= LOG_BUFFER_MAX / 2)
		in_time = cond_wait_until(&l->wake, &l->mu, deadline_ms);
}

static void swap(struct buf *a, struct buf *b)
{
	struct buf c = *a;

	*a = *b;
	*b = c;
}

/* After a burst the memory goes back. */
static void forget(struct buf *b)
{
	buf_reset(b);
	if (b->cap > BUFFER_KEPT)
		buf_free(b);
}

static void *flush_main(void *arg)
{
	struct log *l = arg;
	struct buf lines = { 0 }, copies = { 0 };
	bool closing, reopen_asked;

	do {
		mutex_lock(&l->mu);
		wait_locked(l);
		swap(&l->lines, &lines);
		swap(&l->copies, &copies);
		l->unwritten += l->lost;
		l->lost = 0;
		closing = l->closing;
		reopen_asked = l->reopen;
		l->reopen = false;
		mutex_unlock(&l->mu);
		write_file(l, &lines, reopen_asked);
		complain_bytes(l->mirror_fd, copies.data, copies.len);
		forget(&lines);
		forget(&copies);
	} while (!closing);
	buf_free(&lines);
	buf_free(&copies);
	return NULL;
}

/* ---- open and close ---------------------------------------------------- */

static void log_free(struct log *l)
{
	int saved = errno;

	if (l->fd >= 0)
		close(l->fd);
	if (l->mirror_fd != STDERR_FILENO)
		close(l->mirror_fd);
	buf_free(&l->lines);
	buf_free(&l->copies);
	cond_destroy(&l->wake);
	mutex_destroy(&l->mu);
	free(l->path);
	free(l->older);
	free(l);
	errno = saved;
}

static bool set_paths(struct log *l, const char *path)
{
	size_t n = strlen(path) + sizeof ".1";

	l->path = strdup(path);
	l->older = malloc(n);
	if (l->path == NULL || l->older == NULL)
		return false;
	snprintf(l->older, n, "%s.1", path);
	return true;
}

/* Somebody may stop a terminal in the middle of a write: our own description
 * of it does not block, without changing the one we share with the shell. */
static int open_mirror(void)
{
	int fd = -1;

	if (isatty(STDERR_FILENO))
		fd = open("/proc/self/fd/2",
			  O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	return fd < 0 ? STDERR_FILENO : fd;
}

enum err log_open(struct log **out, const struct log_options *o)
{
	struct log *l = calloc(1, sizeof *l);

	if (l == NULL)
		return ERR_SYSTEM;
	l->level = (enum log_level)o->config->level;
	l->format = (enum log_format)o->config->format;
	l->max_size = o->config->max_size;
	l->mirror = o->mirror;
	l->mirror_color = o->mirror_color && l->format == FORMAT_TEXT;
	/* A file is no terminal: "auto" means no colors in it. */
	l->color = o->config->color == COLOR_ALWAYS && l->format == FORMAT_TEXT;
	l->mirror_fd = o->mirror ? open_mirror() : STDERR_FILENO;
	l->fd = -1;
	mutex_init(&l->mu);
	cond_init(&l->wake);
	if (set_paths(l, o->path))
		l->fd = open_file(l);
	if (l->fd < 0 ||
	    thread_start(&l->thread, flush_main, l, "log") != ERR_OK) {
		log_free(l);
		return ERR_SYSTEM;
	}
	*out = l;
	return ERR_OK;
}

void log_reopen(struct log *l)
{
	if (l == NULL)
		return;
	mutex_lock(&l->mu);
	l->reopen = true;
	cond_signal(&l->wake);
	mutex_unlock(&l->mu);
}

void log_end(struct log *l)
{
	if (l == NULL)
		return;
	mutex_lock(&l->mu);
	l->closing = true;
	cond_signal(&l->wake);
	mutex_unlock(&l->mu);
	thread_join(l->thread);
}

void log_close(struct log *l)
{
	log_end(l);
	if (l != NULL)
		log_free(l);
}
