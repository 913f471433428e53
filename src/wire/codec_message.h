/* A Message as this program writes it, both ways, and fast: almost all that a
 * network carries is Messages, and almost all of those are of our making.
 *
 * Any other valid spelling of one is the codec's, which reads it by the tables
 * of schema.h. Pure but for memory.
 */
#ifndef WIRE_CODEC_MESSAGE_H
#define WIRE_CODEC_MESSAGE_H

#include "wire/codec.h"
#include "wire/scan.h"

/* True: the body is laid out as message_write does it, and *out is what
 * codec_decode_any would make of it. False says nothing about the body. */
bool message_read(const void *body, size_t n, struct message *out);

/* What the string of the field "data" stands for, with or without the field
 * that says base64. Whatever it returns, message_clear frees m. */
enum err MUST_CHECK message_read_data(const struct scan_text *text, bool base64,
				      struct message *m);

/* As codec_encode. */
enum err MUST_CHECK message_write(const struct msg_message *m,
				  struct frame **out);

/* codec_decode without message_read, which saves time and changes no answer;
 * apart, so that tests can compare the two. */
enum err MUST_CHECK codec_decode_any(const void *body, size_t n,
				     struct message *out, const char **why);

#endif
