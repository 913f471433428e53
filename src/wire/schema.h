/* What the types of protocol.md consist of: one table per type describes its
 * fields in the order of the document; the reader and the writer of the codec
 * follow the tables. A new message is a new table. Constant.
 */
#ifndef WIRE_SCHEMA_H
#define WIRE_SCHEMA_H

#include "wire/message.h"

enum kind {
	KIND_INTEGER,
	KIND_WORD, /* an enum, by name */
	KIND_BOOLEAN,
	KIND_ADDRESS,
	KIND_HASH,
	/* At most one of these in a message: it owns message.memory. */
	KIND_ADDRESSES,
	KIND_RANGES,
	KIND_RUNS,
	KIND_DATA, /* with "encoding" behind it */
};

enum presence {
	ALWAYS,  /* required; the only one that need not be named */
	LENIENT, /* written always, but may be missing when read */
	IF_SET,  /* written unless zero, zero when missing */
	MARKS,   /* its being there is the flag, and the other way round */
	WITH,    /* required with the flag, else ignored */
	WITHOUT, /* required without the flag, else refused */
};

struct field {
	const char *key;
	size_t key_bytes;
	const char *why; /* what to say when it is not right */
	enum kind kind;
	enum presence presence;
	uint16_t offset, size; /* in struct message */
	uint16_t flag;   /* offset of the bool that MARKS, WITH, WITHOUT mean */
	uint64_t lo, hi; /* of an integer; hi: last word, longest list */
	uint64_t missing; /* a LENIENT integer that is */
	const char *(*word)(unsigned);
};

struct schema {
	const char *name; /* on the wire */
	size_t name_bytes;
	const struct field *fields;
	size_t n;
};

extern const struct schema schemas[MSG_TYPES];

/* What addr_list, range_list and run_list have in common. */
struct any_list {
	const void *v;
	size_t n;
};
_Static_assert(sizeof(struct any_list) == sizeof(struct addr_list) &&
		       sizeof(struct any_list) == sizeof(struct range_list) &&
		       sizeof(struct any_list) == sizeof(struct run_list),
	       "lists are a pointer and a count");

static inline size_t element_size(const struct field *f)
{
	return f->kind == KIND_ADDRESSES ? sizeof(struct addr)
	       : f->kind == KIND_RANGES  ? sizeof(struct range)
					 : sizeof(struct identity);
}

#endif
