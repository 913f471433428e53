/* What differential.py calls, by ctypes. */
#ifndef DIFFER_H
#define DIFFER_H

#include <stddef.h>
#include <stdint.h>

/* Of one text: it stands in the bytes from text_at on to tree_at; what cJSON
 * read of it, if the scan accepted it, on to frame_at; the body encoded again,
 * if it was a message, on to end. */
struct differ_case {
	uint64_t text_at, tree_at, frame_at, end;
	const char *why;            /* of the scan */
	unsigned scan, decoded, encoded; /* enum err */
};

void differ_init(uint64_t seed);
void differ_sample(const char *text, size_t n);
/* n mutations of the samples; returns how many bytes there are. */
size_t differ_batch(size_t n, struct differ_case *cases, const char **bytes);
/* One text as it is. */
void differ_one(const char *text, size_t n, struct differ_case *c,
		const char **bytes);

#endif
