/* Configuration: text -> struct, from one table of keys.
 *
 * A config starts as the built-in defaults (config_init); then the file, the
 * environment and the options are laid over it, in that order, each through
 * config_set, so that every source is checked by the same code. Durations are
 * in ms, sizes in bytes. The only file that includes inih.
 * Reading happens before any thread exists; afterwards it is constant.
 */
#ifndef BASE_CONFIG_H
#define BASE_CONFIG_H

#include "base/addr.h"
#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_SEEDS_MAX 64     /* a majority of them is asked at every start */
#define CONFIG_NAME_MAX 32      /* of a seed; becomes part of a file name */
#define CONFIG_LINE_MAX 190     /* inih 55 splits longer lines in silence */
#define CONFIG_SETTING_MAX 64   /* "section.key" */
#define CONFIG_TEXT_MAX 4096    /* a path */
#define CONFIG_FILE_MAX 1048576 /* nobody writes more by hand */
#define CONFIG_WHY_MAX 320      /* a reason, with the start of the value */

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
enum log_color { COLOR_ALWAYS, COLOR_AUTO, COLOR_NEVER };
enum log_format { FORMAT_TEXT, FORMAT_JSON };

struct config_seed {
	char name[CONFIG_NAME_MAX]; /* [A-Za-z0-9_-]+ */
	char host[HOST_MAX];        /* numeric or a name */
	uint16_t port;
};

struct config_peer {
	char listen[HOST_MAX + 8];    /* host:port, port 0: any */
	char advertise[HOST_MAX + 8]; /* empty: worked out */
	int64_t message_interval_ms;  /* 0: no demo messages */
	uint64_t connections_max;
	uint64_t per_source_max; /* of those, off loopback */
};

struct config_overlay {
	uint64_t dials; /* links this peer opens itself */
	uint64_t links_max;
	uint64_t per_host_max; /* off loopback */
	uint64_t sample;       /* addresses asked from each seed */
	uint64_t candidates_max;
	int64_t dial_timeout_ms;
	int64_t seed_timeout_ms; /* one whole conversation with a seed */
	int64_t repair_first_ms, repair_ms, repair_max_ms;
	int64_t urgent_interval_ms;
	int64_t tie_ms; /* younger links are told apart by identity (R3) */
	int64_t report_delay_ms; /* of a Death: 0 .. this, at random (R12) */
};

struct config_liveness {
	int64_t interval_ms;      /* Liveliness after this much silence */
	int64_t busy_interval_ms; /* and this often on a busy link */
	int64_t timeout_ms;       /* dead after this much silence */
	int64_t handshake_ms;     /* first frame of a connection */
	int64_t idle_ms;          /* a connection that is no link */
};

struct config_gossip {
	bool tree;     /* no: every link is sent everything */
	bool catch_up; /* no: what was said before the start is not fetched */
	int64_t have_flush_ms; /* an announcement waits this long for others */
	int64_t ask_after_ms;  /* R9, R10: TO1 before any RTT is known, */
	int64_t ask_min_ms, ask_max_ms; /* and within this once one is */
	int64_t hole_wait_ms;           /* R16 */
	int64_t lost_after_ms;          /* R10: then nobody had it */
	int64_t lazy_ms; /* a link that fell behind stays lazy at least so long
			  */
	uint64_t data_max; /* bytes of one published message */
	uint64_t runs_max;
	uint64_t store_messages, store_bytes;
	uint64_t history_bytes; /* of that, before settled messages make way */
	uint64_t outbox_max, outbox_high; /* bytes; above high a sender waits */
	int64_t publish_wait_ms; /* a publisher waits this long at most */
	int64_t forward_wait_ms; /* a reader, without progress */
	int64_t slow_ms;         /* less than slow_bytes in this time: slow */
	uint64_t slow_bytes;
	uint64_t output_max; /* bytes queued for stdout */
};

struct config_seed_role {
	bool allow_foreign;
	int64_t period_ms; /* renewal, at least */
	uint64_t lease_periods;
	uint64_t connections_max;
	uint64_t per_source_max; /* of those, off loopback */
	int64_t handshake_ms, idle_ms;
	int64_t dial_back_ms;
	int64_t verify_connect_ms, verify_reply_ms, verify_retry_ms;
	uint64_t verify_max, verify_queue;
	uint64_t peers_max;
	uint64_t per_host_max; /* of those, off loopback */
};

struct config_log {
	char directory[CONFIG_TEXT_MAX]; /* holds servers/ and clients/ */
	int64_t level;                   /* enum log_level */
	int64_t color;                   /* enum log_color, for the files */
	int64_t format;                  /* enum log_format */
	uint64_t max_size;
};

struct config_security {
	char key_file[CONFIG_TEXT_MAX]; /* empty: no key */
	bool insecure; /* listen beyond loopback without a key */
};

struct config {
	struct config_seed seeds[CONFIG_SEEDS_MAX]; /* in file order */
	size_t seed_count;
	struct config_peer peer;
	struct config_overlay overlay;
	struct config_liveness liveness;
	struct config_gossip gossip;
	struct config_seed_role seed;
	struct config_log log;
	struct config_security security;
	char why[CONFIG_WHY_MAX]; /* scratch: the last reason of a refusal */
};

void config_init(struct config *c);

/* Sets one key; section "seeds" takes any name, an empty value removes it.
 * On anything but ERR_OK *why (static or in c's own scratch, valid until the
 * next call) says in a few words what is wrong. */
enum err MUST_CHECK config_set(struct config *c, const char *section,
			       const char *key, const char *value,
			       const char **why);

/* "section.key=value", as --set takes it. */
enum err MUST_CHECK config_set_text(struct config *c, const char *text,
				    const char **why);

/* A whole file's text, with lines that end in LF or CR LF. Messages are
 * "name:line: reason". BOM, NUL, what is no UTF-8, over-long lines, unknown or
 * repeated keys, bad values: the first one ends it. */
enum err MUST_CHECK config_read(struct config *c, const char *name,
				const char *text, size_t len,
				struct buf *message);

/* SEEDPEER_SECTION_KEY=value (and SEEDPEER_SEEDS_NAME) from envp; a variable
 * that names a section of ours and no key of it is refused, others are left
 * alone. Messages are "environment VARIABLE: reason". */
enum err MUST_CHECK config_read_env(struct config *c, char *const *envp,
				    struct buf *message);

/* What is wrong with the whole, and the keys, as "section.key", that together
 * are the cause; empty when there is none. */
struct config_fault {
	const char *why; /* like that of config_set */
	char keys[2][CONFIG_SETTING_MAX];
};

/* What no single key can tell: no seeds, timeouts that contradict. */
enum err MUST_CHECK config_check(struct config *c, struct config_fault *fault);

/* The line of a file, which config_read took, that sets "section.key"; 0: none
 * does. */
unsigned config_line_of(const char *text, size_t len, const char *setting);

/* The forms of the values, for options that are no keys: 250ms, 1.5s, 2m, 1h
 * (a bare number is seconds; exact in ms), and digits. */
enum err MUST_CHECK config_parse_duration(const char *text, int64_t *ms);
enum err MUST_CHECK config_parse_count(const char *text, uint64_t *out);

/* Without a key only loopback is served, unless [security] insecure. */
bool config_may_listen(const struct config *c, const struct addr *a);

/* The whole configuration as a file that config_read takes back. With
 * `comments`, each key has its explanation above it: this is config.ini. */
void config_print(const struct config *c, bool comments, struct buf *out);

#endif
