/* What every unit test needs around cmocka. */
#ifndef TEST_H
#define TEST_H

/* cmocka wants these before itself, in this order. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

/* A heap block of exactly these bytes, so that ASan sees the first step too
 * far; free it. */
static inline void *exact_copy(const void *bytes, size_t n)
{
	void *copy = malloc(n);

	assert_true(copy != NULL || n == 0);
	if (n > 0)
		memcpy(copy, bytes, n);
	return copy;
}

#endif
