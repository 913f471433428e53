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

#include <stddef.h>

#define SCAN_DEPTH_MAX 8
#define SCAN_VALUES_MAX 4096 /* cJSON takes 80 bytes a value: 320 KiB */
#define SCAN_KEYS_MAX 32     /* in one object: our largest has 8 */

/* ERR_OK or ERR_SYNTAX; *why (may be NULL) then says what, in a few words. */
enum err MUST_CHECK scan_object(const void *bytes, size_t n, const char **why);

#endif
