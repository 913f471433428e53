#include "seed/daemon.h"

#include "base/crypto.h"
#include "io/sock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* An address to try, and why it would not do. */
struct place {
	char host[HOST_MAX];
	uint16_t port;
	bool next;        /* not here, but another place may do */
	const char *part; /* of us that failed, or "" */
	const char *why;
};

/* --- what is said on stderr ------------------------------------------- */

static int say(int status, struct buf *b)
{
	const char *text = buf_text(b);

	fprintf(stderr, "seed: %s\n", text ? text : err_text(ERR_NOMEM));
	buf_free(b);
	return status;
}

static int say_unknown_name(const struct config *c, const char *name)
{
	struct buf b = { 0 };

	buf_str(&b, "no entry '");
	buf_visible(&b, name, strlen(name));
	buf_str(&b, "' in [seeds], there are:");
	for (size_t i = 0; i < c->seed_count; i++)
		buf_fmt(&b, "%s %s", i == 0 ? "" : ",", c->seeds[i].name);
	return say(EXIT_CONFIG, &b);
}

static int say_not_loopback(const struct addr *a)
{
	char text[ADDR_TEXT_MAX];
	struct buf b = { 0 };

	addr_format(a, text);
	buf_fmt(&b,
		"%s is not loopback, and without a key anybody who reaches it "
		"can join; set [security] key_file (peer --genkey makes a "
		"key), "
		"or insecure = yes",
		text);
	return say(EXIT_CONFIG, &b);
}

/* among: other places were tried before. */
static int say_failed(const struct place *p, bool among)
{
	bool v6 = strchr(p->host, ':') != NULL;
	struct buf b = { 0 };

	buf_str(&b, among ? "no entry of [seeds] is free, the last one: " : "");
	buf_fmt(&b, "cannot start on %s%s%s:%u: %s%s", v6 ? "[" : "", p->host,
		v6 ? "]" : "", (unsigned)p->port, p->part, p->why);
	return say(EXIT_FAILED, &b);
}

/* --- one address ------------------------------------------------------ */

static void log_path(const struct seed_daemon *d, const struct addr *a,
		     char *out, size_t cap)
{
	char name[ADDR_TEXT_MAX];

	addr_format(a, name);
	for (char *p = name; *p; p++)
		if (strchr("[]:", *p))
			*p = '_';
	snprintf(out, cap, "%s/servers/output_%s.log",
		 d->options.config.log.directory, d->name ? d->name : name);
}

static enum err open_log(struct seed_daemon *d, const struct addr *a)
{
	const struct config_log *c = &d->options.config.log;
	const char *no_color = getenv("NO_COLOR");
	bool terminal = isatty(STDERR_FILENO);
	char path[CONFIG_TEXT_MAX + 128];
	struct log_options o = { .path = path, .config = c };

	log_path(d, a, path, sizeof path);
	o.mirror = terminal;
	o.mirror_color = terminal && c->color != COLOR_NEVER &&
			 (!no_color || *no_color == '\0');
	return log_open(&d->log, &o);
}

static bool failed(struct place *p, enum err e, const char *part)
{
	int error = errno;

	p->next = e == ERR_SYSTEM &&
		  (error == EADDRINUSE || error == EADDRNOTAVAIL);
	p->part = part;
	p->why = e == ERR_SYSTEM ? strerror(error) : err_text(e);
	return false;
}

/* The log is opened first, as listening is final: of several seeds that start
 * at the same moment each takes an entry, and none is scared off by another
 * that only tries. It is named after the address, so port 0 must become a
 * number before. */
static bool start_on(struct seed_daemon *d, const struct addr *a,
		     struct place *p)
{
	struct seed_options so = { .config = &d->options.config,
				   .keys = d->keys,
				   .listen = *a };
	enum err e = ERR_OK;
	int fd = -1;

	if (a->port == 0)
		e = sock_listen(a, &fd, &so.listen);
	if (e != ERR_OK)
		return failed(p, e, "");
	sock_close(fd);
	e = open_log(d, &so.listen);
	if (e != ERR_OK)
		return failed(p, e, "log: ");
	so.log = d->log;
	e = seed_start(&d->seed, &so);
	if (e == ERR_OK)
		return true;
	failed(p, e, "");
	log_close(d->log);
	return false;
}

/* --- which address ---------------------------------------------------- */

/* Says nothing of a place that did not do, unless that is forbidden. */
static int start_at(struct seed_daemon *d, struct place *p)
{
	struct addr a[SOCK_RESOLVE_MAX];
	size_t n = 0;

	p->next = true;
	p->part = "";
	p->why = "no such host";
	if (sock_resolve(p->host, p->port, a, &n) != ERR_OK)
		return EXIT_FAILED;
	for (size_t i = 0; i < n && p->next; i++) {
		if (!config_may_listen(&d->options.config, &a[i])) {
			p->next = false;
			return say_not_loopback(&a[i]);
		}
		if (start_on(d, &a[i], p))
			return SEED_DAEMON_RUNS;
	}
	return EXIT_FAILED;
}

static const struct config_seed *find_entry(const struct config *c,
					    const char *name)
{
	for (size_t i = 0; i < c->seed_count; i++)
		if (strcmp(c->seeds[i].name, name) == 0)
			return &c->seeds[i];
	return NULL;
}

static int start_entry(struct seed_daemon *d, const struct config_seed *entry,
		       struct place *p)
{
	d->name = entry->name;
	snprintf(p->host, sizeof p->host, "%s", entry->host);
	p->port = entry->port;
	return start_at(d, p);
}

static int start_given(struct seed_daemon *d, struct place *p)
{
	const char *listen = d->options.config.peer.listen;

	if (hostport_split(listen, true, p->host, &p->port) != ERR_OK) {
		p->part = "";
		p->why = "not HOST:PORT";
		return EXIT_FAILED;
	}
	return start_at(d, p);
}

static int start_first_free(struct seed_daemon *d, struct place *p)
{
	const struct config *c = &d->options.config;
	int status = EXIT_FAILED;

	p->next = true;
	for (size_t i = 0; i < c->seed_count && p->next; i++) {
		status = start_entry(d, &c->seeds[i], p);
		if (status == SEED_DAEMON_RUNS)
			break;
	}
	return status;
}

static int start(struct seed_daemon *d)
{
	const struct options *o = &d->options;
	const struct config_seed *entry = NULL;
	struct place p = { .port = 0 };
	bool any = !o->name && !o->listen_given;
	int status;

	if (o->name) {
		entry = find_entry(&o->config, o->name);
		if (!entry)
			return say_unknown_name(&o->config, o->name);
		d->name = entry->name;
	}
	if (o->listen_given)
		status = start_given(d, &p);
	else if (entry)
		status = start_entry(d, entry, &p);
	else
		status = start_first_free(d, &p);
	if (status == EXIT_FAILED)
		say_failed(&p, any && p.next && o->config.seed_count > 1);
	return status;
}

static void log_start(struct seed_daemon *d)
{
	log_event(d->log, LOG_INFO, KIND_START, WAY_NONE, "start",
		  &d->seed->self.addr, "seed %s%sversion %s, process %d",
		  d->name ? d->name : "", d->name ? ", " : "", SEEDPEER_VERSION,
		  (int)getpid());
	keys_log(d->keys, d->log);
	if (d->keys == NULL && d->options.config.security.insecure)
		log_event(d->log, LOG_WARN, KIND_WARNING, WAY_NONE, "insecure",
			  NULL,
			  "no key: everybody who reaches this port can "
			  "join");
}

int seed_daemon_start(struct seed_daemon *d)
{
	int status;

	if (crypto_init() != ERR_OK) {
		fputs("seed: no source of random numbers\n", stderr);
		return EXIT_FAILED;
	}
	status = keys_start(&d->keys, "seed",
			    d->options.config.security.key_file);
	if (status == EXIT_DONE)
		status = start(d);
	if (status == SEED_DAEMON_RUNS)
		log_start(d);
	else
		keys_close(d->keys);
	return status;
}

void seed_daemon_stop(struct seed_daemon *d)
{
	log_event(d->log, LOG_INFO, KIND_START, WAY_NONE, "stop",
		  &d->seed->self.addr, "%s", "asked to");
	seed_stop(d->seed);
	seed_join(d->seed);
	keys_close(d->keys);
	log_close(d->log);
}

void seed_daemon_reload(struct seed_daemon *d)
{
	if (d->keys != NULL)
		(void)keys_reload_logged(d->keys, d->log);
}

void seed_daemon_log_status(struct seed_daemon *d)
{
	struct buf b = { 0 };
	const char *text;

	seed_status(d->seed, &b);
	text = buf_text(&b);
	log_event(d->log, LOG_INFO, KIND_PLAIN, WAY_NONE, "status", NULL, "%s",
		  text ? text : err_text(ERR_NOMEM));
	buf_free(&b);
}
