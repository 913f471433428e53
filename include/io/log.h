/* The event log: one line per event, for people or as JSON.
 *
 * log_event formats outside of any lock, appends to a buffer under log.mu and
 * never waits for the disk; a thread of the log's own writes the buffer within
 * 100 ms. If the disk is full that is said once on stderr, lines are dropped
 * and counted, and writing goes on when there is room. A NULL log is valid and
 * drops everything below LOG_WARN; the rest goes to stderr.
 * Any thread, also with other locks held (log.mu is a leaf).
 */
#ifndef IO_LOG_H
#define IO_LOG_H

#include "base/addr.h"
#include "base/config.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

#define LOG_FLUSH_MS 100
#define LOG_BUFFER_MAX 1048576 /* lines beyond this are dropped, counted */
#define LOG_TEXT_MAX 80        /* bytes of a user's message shown in a line */

/* What an event is about; decides its color. */
enum log_kind {
	KIND_PLAIN,
	KIND_START,      /* bold green */
	KIND_DEATH,      /* red */
	KIND_LIVELINESS, /* green */
	KIND_PEER,       /* blue: Peer Request, Peer Reply, links */
	KIND_MESSAGE,    /* yellow */
	KIND_WARNING     /* bold yellow */
};

enum log_way { WAY_IN, WAY_OUT, WAY_NONE };

struct log_options {
	const char *path; /* directories are made */
	const struct config_log *config;
	bool mirror; /* copy to stderr */
	bool mirror_color;
};

struct log;

/* ERR_SYSTEM with errno. Started at once. */
enum err MUST_CHECK log_open(struct log **l, const struct log_options *o);
bool log_wants(const struct log *l, enum log_level level);
/* what: a message name or an event word; who may be NULL. */
void log_event(struct log *l, enum log_level level, enum log_kind kind,
	       enum log_way way, const char *what, const struct addr *who,
	       const char *fmt, ...) PRINTF_LIKE(7, 8);
/* The same with n bytes of text as they are: for what is logged by the
 * thousand, where formatting would take most of the time. */
void log_text(struct log *l, enum log_level level, enum log_kind kind,
	      enum log_way way, const char *what, const struct addr *who,
	      const char *text, size_t n);
/* Reopens the file at the next write (SIGHUP). */
void log_reopen(struct log *l);
/* Writes what is buffered and frees it. NULL is fine. */
void log_close(struct log *l);
/* The same without freeing anything: for a process that ends while threads
 * still run that may log something, which then is written nowhere. */
void log_end(struct log *l);

#endif
