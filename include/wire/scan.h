/* The strict look at a body before cJSON sees it (faults.md: cJSON accepts
 * much that is not JSON, and recursion as deep as a stranger likes).
 *
 * Accepts exactly one JSON object: depth <= SCAN_DEPTH_MAX, <= SCAN_VALUES_MAX
 * values, strict UTF-8, no raw control bytes, no \u0000 and no lone surrogate,
 * numbers as RFC 8259 writes them, no key twice in one object (keys compared
 * after unescaping), nothing before or after the object but white space.
 * Pure, allocates nothing, linear but for the keys of one object.
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

/* What stands between the quotes of a string; plain: it has no escapes, the
 * bytes mean themselves. */
struct scan_text {
	const uint8_t *at;
	size_t n;
	bool plain;
};

/* The string whose opening quote is the first of n bytes; false if there is
 * none, or not as strict as all of the above. */
bool scan_text(const uint8_t *bytes, size_t n, struct scan_text *out);
/* The bytes that an accepted string stands for, at most as many as it has;
 * returns how many. */
size_t scan_unescape(const struct scan_text *t, uint8_t *out);

/* ERR_OK or ERR_SYNTAX; *why (may be NULL) then says what, in a few words. */
enum err MUST_CHECK scan_object(const void *bytes, size_t n, const char **why);

#endif
