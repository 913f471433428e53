/* A Message as this program writes it, both ways, and fast: almost all that a
 * network carries is Messages, and almost all of those are of our making.
 *
 * Any other valid spelling of one is the codec's, which reads it by the tables
 * of schema.h. Pure but for memory.
 */
#ifndef WIRE_CODEC_MESSAGE_H
#define WIRE_CODEC_MESSAGE_H

#include "wire/codec.h"

/* True: the body is written as message_write writes, without an escape and not
 * as base64, and *out (whose data points into it) is what codec_decode would
 * make of it. False says nothing about the body. */
bool message_read_plain(const void *body, size_t n, struct message *out);

/* As codec_encode. */
enum err MUST_CHECK message_write(const struct msg_message *m,
				  struct frame **out);

/* codec_decode without message_read_plain, which saves time and changes no
 * answer; apart, so that tests can compare the two. */
enum err MUST_CHECK codec_decode_any(const void *body, size_t n,
				     struct message *out, const char **why);

#endif
