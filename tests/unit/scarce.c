#include "scarce.h"

#include <errno.h>
#include <stddef.h>

/* The names that the linker makes of --wrap=malloc. */
void *__real_malloc(size_t n);
void *__real_calloc(size_t count, size_t n);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t count, size_t n);
void *__wrap_realloc(void *p, size_t n);

/* Of the thread that asked: helpers of a test are not meant. */
static _Thread_local long left = SCARCE_NEVER;
static _Thread_local bool persistent;
static _Thread_local long failed;

void scarce_after(long n, bool persist)
{
	left = n;
	persistent = persist;
	failed = 0;
}

long scarce_end(void)
{
	left = SCARCE_NEVER;
	return failed;
}

static bool fails(void)
{
	if (left == SCARCE_NEVER)
		return false;
	if (left > 0) {
		left--;
		return false;
	}
	if (!persistent)
		left = SCARCE_NEVER;
	failed++;
	errno = ENOMEM;
	return true;
}

void *__wrap_malloc(size_t n)
{
	return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t count, size_t n)
{
	return fails() ? NULL : __real_calloc(count, n);
}

void *__wrap_realloc(void *p, size_t n)
{
	return fails() ? NULL : __real_realloc(p, n);
}
