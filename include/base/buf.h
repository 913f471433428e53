/* A growing byte buffer, and the ways we write text into one.
 *
 * Failure is sticky: after an allocation failed the buffer stays as it was and
 * `failed` is set, so a writer checks once, at the end. Zero-initialize it,
 * buf_free it. One owner at a time.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
	char *data; /* not NUL-terminated, see buf_text */
	size_t len, cap;
	bool failed;
};

void buf_free(struct buf *b);
/* Forget the contents and the failure, keep the memory. */
void buf_reset(struct buf *b);
/* Room for n more bytes; false (and failed) when there is none. */
bool buf_reserve(struct buf *b, size_t n);
void buf_add(struct buf *b, const void *bytes, size_t n);
void buf_str(struct buf *b, const char *text);
void buf_char(struct buf *b, char c);
void buf_u64(struct buf *b, uint64_t v);
void buf_fmt(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Removes the first n bytes. */
void buf_drop(struct buf *b, size_t n);
/* The contents with a NUL behind them, or NULL if anything failed. */
const char *buf_text(struct buf *b);

/* A JSON string with its quotes; bytes must be valid UTF-8. */
void buf_json(struct buf *b, const void *bytes, size_t n);
/* Any bytes made harmless for a terminal or a log: printable UTF-8 as it is,
 * control characters, C1 controls and bytes that are not UTF-8 as \n or \x1b.
 */
void buf_visible(struct buf *b, const void *bytes, size_t n);

/* The same without a buffer: how many bytes that is, and into memory of so
 * many; returns how many. */
size_t json_size(const void *bytes, size_t n);
size_t json_write(char *out, const void *bytes, size_t n);
#define DECIMAL_MAX 20 /* digits of UINT64_MAX */
size_t decimal_write(char out[DECIMAL_MAX], uint64_t v);

#endif
