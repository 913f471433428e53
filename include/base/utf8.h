/* Strict UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing above
 * U+10FFFF. Pure. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Length 1 .. 4 of the valid sequence at p, or 0. n: bytes that are there. */
size_t utf8_sequence(const unsigned char *p, size_t n);
/* Bytes of the whole valid sequences at p up to the first ASCII byte. */
size_t utf8_run(const unsigned char *p, size_t n);
bool utf8_valid(const void *bytes, size_t n);

#endif
