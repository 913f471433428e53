#include "io/complain.h"

#include "io/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#define PIECE 4096 /* a writable pipe takes this without blocking */

void complain_bytes(int fd, const char *p, size_t n)
{
	/* Who did not read the last word is not waited for again. */
	static atomic_bool deaf;
	int64_t deadline_ms =
		clock_ms() + (atomic_load(&deaf) ? 0 : COMPLAIN_WAIT_MS);

	while (n > 0) {
		struct pollfd ready = { .fd = fd, .events = POLLOUT };
		int64_t left_ms = deadline_ms - clock_ms();
		ssize_t k;

		if (left_ms < 0)
			left_ms = 0;
		if (poll(&ready, 1, (int)left_ms) <= 0) {
			atomic_store(&deaf, true);
			return;
		}
		atomic_store(&deaf, false);
		k = write(fd, p, n < PIECE ? n : PIECE);
		if (k < 0 && errno != EINTR && errno != EAGAIN)
			return;
		p += k < 0 ? 0 : k;
		n -= k < 0 ? 0 : (size_t)k;
	}
}

void complain(const char *fmt, ...)
{
	char text[COMPLAIN_MAX];
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	if (n >= (int)sizeof text)
		n = (int)sizeof text - 1;
	if (n > 0)
		complain_bytes(STDERR_FILENO, text, (size_t)n);
}
