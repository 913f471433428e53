/* The two ways to read a body. Pure. */
#ifndef WIRE_CODEC_IMPL_H
#define WIRE_CODEC_IMPL_H

#include "wire/message.h"

/* Any type in any layout, by cJSON: decides what is right. As codec_decode, but
 * the body must have passed the scan, and why must not be NULL. */
enum err MUST_CHECK codec_decode_slowly(const void *body, size_t n,
					struct message *out, const char **why);

/* A Message in the very layout that we write. False: it is something else, or
 * wrong; only the other way tells which. */
bool codec_read_message(const void *body, size_t n, struct message *out);

#endif
