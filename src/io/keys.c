#include "io/keys.h"

#include "io/complain.h"
#include "io/exits.h"
#include "io/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

struct keys {
	char *path;          /* (c) */
	struct mutex mu;     /* keys.mu of the lock order */
	struct keyring ring; /* (mu) */
};

static enum err say(struct buf *why, const char *path, const char *what)
{
	buf_visible(why, path, strlen(path));
	buf_fmt(why, ": %s", what);
	return ERR_SYSTEM;
}

static enum err check_file(int fd, const char *path, struct buf *why)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return say(why, path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return say(why, path, "is not a file");
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return say(why, path, "belongs to somebody else");
	if ((st.st_mode & 077) != 0) {
		buf_visible(why, path, strlen(path));
		buf_fmt(why,
			": others may read or write it (mode %04o); "
			"chmod 600 it",
			(unsigned)(st.st_mode & 07777));
		return ERR_SYSTEM;
	}
	if (st.st_size == 0)
		return say(why, path, "is empty; peer --genkey makes a key");
	if (st.st_size > KEYRING_TEXT_MAX)
		return say(why, path, "is too long for three keys");
	return ERR_OK;
}

/* All of it into text, which has room for KEYRING_TEXT_MAX. */
static enum err read_all(int fd, const char *path, char *text, size_t *n,
			 struct buf *why)
{
	ssize_t got = 1;

	for (*n = 0; *n < KEYRING_TEXT_MAX && got > 0; *n += (size_t)got) {
		got = read(fd, text + *n, KEYRING_TEXT_MAX - *n);
		if (got < 0 && errno == EINTR)
			got = 0;
		else if (got < 0)
			return say(why, path, strerror(errno));
	}
	return ERR_OK;
}

static enum err parse(const char *path, const char *text, size_t n,
		      struct keyring *out, struct buf *why)
{
	const char *what = "";
	unsigned line = 0;
	enum err e = keyring_parse(text, n, out, &line, &what);

	if (e == ERR_OK)
		return ERR_OK;
	buf_visible(why, path, strlen(path));
	if (line > 0)
		buf_fmt(why, ":%u", line);
	buf_fmt(why, ": %s", what);
	return e;
}

static enum err read_ring(const char *path, struct keyring *out,
			  struct buf *why)
{
	char text[KEYRING_TEXT_MAX];
	size_t n = 0;
	/* A pipe must not hold us up before it is refused. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	enum err e;

	if (fd < 0)
		return say(why, path, strerror(errno));
	e = check_file(fd, path, why);
	if (e == ERR_OK)
		e = read_all(fd, path, text, &n, why);
	close(fd);
	if (e == ERR_OK)
		e = parse(path, text, n, out, why);
	crypto_wipe(text, sizeof text);
	return e;
}

enum err keys_open(struct keys **out, const char *path, struct buf *why)
{
	struct keys *k = calloc(1, sizeof *k);
	enum err e = ERR_NOMEM;

	if (k != NULL)
		k->path = strdup(path);
	if (k == NULL || k->path == NULL) {
		buf_str(why, err_text(e));
		free(k);
		return e;
	}
	mutex_init(&k->mu);
	e = read_ring(path, &k->ring, why);
	if (e == ERR_OK && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		e = say(why, path, "the kernel would let the keys out");
	if (e == ERR_OK)
		*out = k;
	else
		keys_close(k);
	return e;
}

int keys_start(struct keys **out, const char *program, const char *path)
{
	struct buf why = { 0 };
	enum err e = ERR_OK;
	const char *text;

	*out = NULL;
	if (*path != '\0')
		e = keys_open(out, path, &why);
	text = buf_text(&why);
	if (e != ERR_OK)
		complain("%s: %s\n", program, text != NULL ? text : path);
	buf_free(&why);
	return e == ERR_OK ? EXIT_DONE : EXIT_CONFIG;
}

static bool same_rings(const struct keyring *a, const struct keyring *b)
{
	bool same = a->n == b->n;

	for (size_t i = 0; i < a->n && same; i++)
		same = key_id_equal(&a->v[i].id, &b->v[i].id);
	return same;
}

enum err keys_reload(struct keys *k, bool *changed, struct buf *why)
{
	struct keyring ring;
	enum err e = read_ring(k->path, &ring, why);

	if (e != ERR_OK)
		return e;
	mutex_lock(&k->mu);
	*changed = !same_rings(&k->ring, &ring);
	k->ring = ring;
	mutex_unlock(&k->mu);
	keyring_wipe(&ring);
	return ERR_OK;
}

static void log_keys(struct keys *k, struct log *log)
{
	char ids[KEYRING_MAX * (KEY_ID_TEXT + 1) + 1] = "";
	struct keyring ring;

	keys_copy(k, &ring);
	for (size_t i = 0; i < ring.n; i++) {
		char *at = ids + i * (KEY_ID_TEXT + 1);

		*at = ' ';
		key_id_format(&ring.v[i].id, at + 1);
	}
	keyring_wipe(&ring);
	log_event(log, LOG_INFO, KIND_START, WAY_NONE, "keys", NULL,
		  "the first to dial with:%s", ids);
}

void keys_log(struct keys *k, struct log *log)
{
	if (k != NULL)
		log_keys(k, log);
}

bool keys_reload_logged(struct keys *k, struct log *log)
{
	struct buf why = { 0 };
	bool changed = false;
	enum err e = keys_reload(k, &changed, &why);
	const char *text = buf_text(&why);

	if (e != ERR_OK)
		log_event(log, LOG_WARN, KIND_WARNING, WAY_NONE, "keys", NULL,
			  "the old ones stay: %s",
			  text != NULL ? text : err_text(e));
	else
		log_keys(k, log);
	buf_free(&why);
	return changed;
}

void keys_close(struct keys *k)
{
	if (k == NULL)
		return;
	keyring_wipe(&k->ring);
	mutex_destroy(&k->mu);
	free(k->path);
	free(k);
}

void keys_copy(struct keys *k, struct keyring *out)
{
	mutex_lock(&k->mu);
	*out = k->ring;
	mutex_unlock(&k->mu);
}

bool keys_have(struct keys *k, const struct key_id *id)
{
	bool have;

	mutex_lock(&k->mu);
	have = keyring_find(&k->ring, id) != NULL;
	mutex_unlock(&k->mu);
	return have;
}
