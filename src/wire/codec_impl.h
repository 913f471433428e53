/* The two ways to read a body that scan_members has accepted. Pure. */
#ifndef WIRE_CODEC_IMPL_H
#define WIRE_CODEC_IMPL_H

#include "wire/message.h"
#include "wire/scan.h"

/* Any type, by cJSON. As codec_decode, but why must not be NULL. It decides
 * what is right; tests compare the other way with it. */
enum err MUST_CHECK codec_decode_slowly(const void *body, size_t n,
					struct message *out, const char **why);

/* A Message as they come by the million. False: it is none, or something is
 * unusual or wrong; then the other one says what. */
bool codec_read_message(const struct scan_members *members,
			struct message *out);

#endif
