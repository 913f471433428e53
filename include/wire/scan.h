/* The strict look at a body before cJSON sees it (faults.md: cJSON accepts
 * much that is not JSON, and recursion as deep as a stranger likes).
 *
 * Accepts exactly one JSON object: depth <= SCAN_DEPTH_MAX, <= SCAN_VALUES_MAX
 * values, strict UTF-8, no raw control bytes, no \u0000 and no lone surrogate,
 * numbers as RFC 8259 writes them, no key twice in one object (keys compared
 * after unescaping), nothing before or after the object but white space.
 * Pure, allocates nothing, linear but for the keys of one object.
 *
 * What it has to look at anyway it can hand over: where the members of the
 * object stand, so that a Message needs no second reading (codec_message.c).
 */
#ifndef WIRE_SCAN_H
#define WIRE_SCAN_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCAN_DEPTH_MAX 8
#define SCAN_VALUES_MAX 4096 /* cJSON takes 80 bytes a value: 320 KiB */
#define SCAN_KEYS_MAX 32     /* in one object: our largest has 8 */

/* A piece of the body. Of a string, what stands between its quotes; plain: no
 * escapes in it, the bytes mean themselves. */
struct scan_text {
	const uint8_t *at;
	size_t n;
	bool plain;
};

enum scan_kind { SCAN_STRING, SCAN_NUMBER, SCAN_OTHER };

struct scan_member {
	struct scan_text key, value;
	enum scan_kind kind;
};

struct scan_members {
	size_t n;
	struct scan_member v[SCAN_KEYS_MAX]; /* as they come */
};

/* The same as scan_object, and on ERR_OK the members of the object. They point
 * into bytes. */
enum err MUST_CHECK scan_members(const void *bytes, size_t n,
				 struct scan_members *out, const char **why);
/* The bytes that the inside of an accepted string stands for, at most as many
 * as it has; returns how many. */
size_t scan_unescape(const struct scan_text *t, uint8_t *out);

/* ERR_OK or ERR_SYNTAX; *why (may be NULL) then says what, in a few words. */
enum err MUST_CHECK scan_object(const void *bytes, size_t n, const char **why);

#endif
