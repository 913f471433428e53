/* The strict look at a body before anything else reads it (faults.md: cJSON
 * accepts much that is not JSON, and recursion as deep as a stranger likes).
 *
 * Accepts exactly one JSON object: depth <= SCAN_DEPTH_MAX, <= SCAN_VALUES_MAX
 * values, strict UTF-8, no raw control bytes, no \u0000 and no lone surrogate,
 * numbers as RFC 8259 writes them, no key twice in one object (keys compared
 * after unescaping), nothing before or after the object but white space. On
 * the way it notes where the members of the object are, so that the codec
 * need not look for them again.
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
#define SCAN_NUMBER_MAX                                           \
	63 /* bytes; cJSON stumbles over more, our longest has 16 \
	    */

/* Bytes of the body, which must outlive it: of a string what is between its
 * quotes. */
struct scan_text {
	const unsigned char *at;
	size_t n;
	bool escaped; /* a string with a backslash in it */
};

struct scan_member {
	struct scan_text key, value;
	uint64_t hash; /* of the unescaped key */
	char kind;     /* the first byte of the value: " { [ t f n - or digit */
};

/* Of the outermost object, in the order of the body. */
struct scan_members {
	size_t n;
	struct scan_member v[SCAN_KEYS_MAX];
};

/* ERR_OK or ERR_SYNTAX; *why (may be NULL) then says what, in a few words, and
 * *out is not to be looked at. */
enum err MUST_CHECK scan_members(const void *bytes, size_t n,
				 struct scan_members *out, const char **why);
enum err MUST_CHECK scan_object(const void *bytes, size_t n, const char **why);

/* The string whose opening quote is at p; false: there is none, or not as
 * strict as all of the above. */
bool scan_text(const unsigned char *p, const unsigned char *end,
	       struct scan_text *out);
/* Is this, unescaped, the given ASCII word of n bytes? */
bool scan_text_is(const struct scan_text *t, const char *word, size_t n);
/* The unescaped text, as much of it as fits, without a NUL; returns how long
 * all of it is, which is t->n at most. */
size_t scan_text_copy(const struct scan_text *t, void *out, size_t cap);

#endif
