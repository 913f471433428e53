#include "io/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static enum err send_state(const char *path, const char *state)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	size_t n = strlen(path);
	ssize_t sent;
	int fd, saved;

	if (n == 0 || n >= sizeof to.sun_path) {
		errno = ENAMETOOLONG;
		return ERR_SYSTEM;
	}
	memcpy(to.sun_path, path, n);
	if (to.sun_path[0] == '@') /* an abstract socket */
		to.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return ERR_SYSTEM;
	sent = sendto(fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT,
		      (struct sockaddr *)&to,
		      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
	saved = errno;
	close(fd);
	errno = saved;
	return sent < 0 ? ERR_SYSTEM : ERR_OK;
}

enum err notify_ready(void)
{
	const char *path = getenv("NOTIFY_SOCKET");

	return path ? send_state(path, "READY=1") : ERR_NOT_FOUND;
}
