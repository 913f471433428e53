/* The keys this process has, as its key file gives them; keys_reload reads it
 * again. Whoever has them does not let its memory out: no core is dumped, and
 * no other process of this user may look into it.
 *
 * Any thread.
 */
#ifndef IO_KEYS_H
#define IO_KEYS_H

#include "base/buf.h"
#include "base/keyring.h"
#include "io/log.h"

struct keys;

/* On anything but ERR_OK *why says in a sentence what is wrong with the file:
 * it must be a regular one of ours or root's that nobody else can read or
 * write, with one to three keys in it. */
enum err MUST_CHECK keys_open(struct keys **k, const char *path,
			      struct buf *why);
/* The same for a program that starts: an empty path means no keys (NULL).
 * EXIT_DONE, or how to exit, and the sentence is on stderr. */
int keys_start(struct keys **k, const char *program, const char *path);
/* The same again; when it fails the old keys stay. *changed: there are other
 * ones now, or another one is the first. */
enum err MUST_CHECK keys_reload(struct keys *k, bool *changed, struct buf *why);
/* The same, for a SIGHUP: what came of it is in the log. True: the keys are
 * other ones now. */
bool keys_reload_logged(struct keys *k, struct log *log);
void keys_close(struct keys *k); /* wipes them; NULL is fine */

/* Their ids, in one line. NULL: nothing. */
void keys_log(struct keys *k, struct log *log);
/* A copy; the caller wipes it. */
void keys_copy(struct keys *k, struct keyring *out);
bool keys_have(struct keys *k, const struct key_id *id);

#endif
