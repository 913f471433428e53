/* Bodies <-> message structs; src/wire/codec.c alone includes cJSON.
 *
 * Decoding is strict about what the protocol names (type, range, presence)
 * and ignores fields it does not know. Pure but for memory; any thread.
 */
#ifndef WIRE_CODEC_H
#define WIRE_CODEC_H

#include "base/err.h"
#include "wire/frame.h"
#include "wire/message.h"

/* On ERR_OK the caller owns *out and clears it with message_clear; what it
 * points to lives in out->memory, but for the data of a Message, which may
 * stand in body: body must outlive that message. ERR_SYNTAX: not our JSON, or a
 * field is missing, of the wrong type or out of range. ERR_UNKNOWN: proper
 * JSON with a type this version does not know (count it, drop it, never
 * forward it). ERR_NOMEM. *why (may be NULL) says what, naming the field; it
 * points to static storage. */
enum err MUST_CHECK codec_decode(const void *body, size_t n,
				 struct message *out, const char **why);

/* The same of a whole frame: flags and hops belong to a Message, on another
 * known type they are ERR_SYNTAX. */
enum err MUST_CHECK codec_decode_frame(const struct frame_head *head,
				       const struct frame *f,
				       struct message *out, const char **why);

/* A new frame with one reference. The text is deterministic: "type" first,
 * then the fields in the order of protocol.md, no white space. ERR_NOMEM;
 * ERR_TOO_LONG when the body or a list would exceed its limit; ERR_RANGE for a
 * value that the decoder would refuse. */
enum err MUST_CHECK codec_encode(const struct message *m, struct frame **out);

/* Rule for Message data: must these bytes travel as base64? (They are not
 * UTF-8 text, hold a NUL, or would be longer escaped than in base64.) */
bool codec_wants_base64(const void *data, size_t n);

#endif
