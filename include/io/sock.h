/* Blocking sockets with total deadlines; numeric addresses.
 *
 * Deadlines are clock_ms times and cover the whole call, however slowly the
 * other side dribbles. Nothing raises SIGPIPE. Any thread; one user of a
 * direction of a descriptor at a time.
 */
#ifndef IO_SOCK_H
#define IO_SOCK_H

#include "base/addr.h"
#include "base/err.h"

#include <stddef.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define SOCK_RESOLVE_MAX 8 /* addresses of one name we look at */

/* Bound and listening; *bound has the real port. ERR_SYSTEM with errno. */
enum err MUST_CHECK sock_listen(const struct addr *a, int *fd,
				struct addr *bound);
/* One accepted connection, or ERR_SYSTEM with errno. */
enum err MUST_CHECK sock_accept(int listener, int *fd, struct addr *remote);

/* A fresh, unconnected socket for that address family. */
enum err MUST_CHECK sock_open(const struct addr *to, int *fd);
/* The connection to come shall leave from this host (any port), so that the
 * other side sees the address we go by. ERR_SYSTEM. */
enum err MUST_CHECK sock_leave_from(int fd, const struct addr *from);
/* ERR_REFUSED, ERR_TIMEOUT, ERR_SYSTEM (unreachable and the like). */
enum err MUST_CHECK sock_connect(int fd, const struct addr *to,
				 int64_t deadline_ms);

enum err MUST_CHECK sock_send(int fd, const void *bytes, size_t n,
			      int64_t deadline_ms);
/* What the kernel takes without waiting; *sent may be 0. ERR_RESET. */
enum err MUST_CHECK sock_send_now(int fd, const struct iovec *v, int n,
				  size_t *sent);
/* Waits until the kernel takes something; deadline as above. */
enum err MUST_CHECK sock_wait_writable(int fd, int64_t deadline_ms);
/* Small buffers in the kernel if the other end is near: they are enough, and
 * what waits in deep ones is late. Once, when connected; a far one is left to
 * the kernel's own measure. */
void sock_keep_short(int fd);
/* At least one byte. ERR_CLOSED at the end of the stream, ERR_RESET,
 * ERR_TIMEOUT. A deadline of INT64_MAX waits for ever, or as long as
 * sock_patience said. */
enum err MUST_CHECK sock_recv(int fd, void *buf, size_t cap, size_t *got,
			      int64_t deadline_ms);
/* From now on the kernel itself ends a sock_recv without deadline after so
 * long: one call instead of the three that waiting for a deadline takes. False:
 * it does not. */
bool MUST_CHECK sock_patience(int fd, int64_t ms);
/* Do bytes wait to be read? (R13) */
bool sock_has_bytes(int fd);

/* The address our end of a connection to `to` would have; sends nothing. */
enum err MUST_CHECK sock_local_toward(const struct addr *to, struct addr *out);

/* Names and numbers -> addresses; may block for seconds, call it without any
 * lock. ERR_NOT_FOUND. `name` is host alone, as hostport_split gives it. */
enum err MUST_CHECK sock_resolve(const char *host, uint16_t port,
				 struct addr out[SOCK_RESOLVE_MAX], size_t *n);

void sock_shutdown(int fd);
void sock_close(int fd); /* -1 is fine */

#endif
