#include "io/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static int64_t read_clock(clockid_t id)
{
	struct timespec t = { 0 };

	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t clock_ms(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

int64_t clock_wall_ms(void)
{
	return read_clock(CLOCK_REALTIME);
}

/* gmtime_r takes a lock of libc's; a thread asks it once a second only. */
static const char *second_text(time_t second)
{
	static _Thread_local time_t cached;
	static _Thread_local char text[CLOCK_TEXT_MAX];
	struct tm tm = { 0 };

	if (cached == second && text[0] != '\0')
		return text;
	if (gmtime_r(&second, &tm) == NULL ||
	    strftime(text, sizeof text - 6, "%Y-%m-%dT%H:%M:%S", &tm) == 0)
		memcpy(text, "-", 2);
	cached = second;
	return text;
}

void clock_format(int64_t wall_ms, char out[CLOCK_TEXT_MAX])
{
	int64_t second = wall_ms / 1000, ms = wall_ms % 1000;
	const char *text;
	size_t n;

	if (ms < 0) {
		ms += 1000;
		second--;
	}
	text = second_text((time_t)second);
	n = strnlen(text, CLOCK_TEXT_MAX - sizeof ".000Z");
	memcpy(out, text, n);
	out[n++] = '.';
	for (int64_t unit = 100; unit > 0; unit /= 10)
		out[n++] = (char)('0' + ms / unit % 10);
	out[n++] = 'Z';
	out[n] = '\0';
}
