/* The one table of keys, and the forms of their values.
 *
 * Everything a configuration can say is a row here; reading, setting, checking
 * and printing are loops over it. Numbers are kept as 64 bits: durations in
 * ms, sizes in bytes, choices as the index of their word. Constant, pure.
 */
#ifndef BASE_CONFIG_TABLE_H
#define BASE_CONFIG_TABLE_H

#include "base/buf.h"
#include "base/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_KEYS_MAX 80 /* rows, for arrays with one entry per key */
#define CONFIG_SEEDS_SECTION "seeds"

enum config_kind {
	KIND_TEXT,     /* a path; max: 1 when it may be empty */
	KIND_HOSTPORT, /* min: the smallest port; max: 1 when it may be empty */
	KIND_DURATION,
	KIND_SIZE,
	KIND_COUNT,
	KIND_BOOL,
	KIND_CHOICE,
};

struct config_key {
	const char *section, *name;
	enum config_kind kind;
	size_t offset, size; /* of the field in struct config */
	uint64_t min, max;
	bool off; /* 0 is allowed though below min: it turns the thing off */
	const char *const *words; /* of a choice, NULL behind the last */
	const char *preset; /* the built-in default, as a person writes it */
	const char *text;   /* what it is for */
};

struct config_section {
	const char *name, *text;
};

extern const struct config_key config_keys[];
extern const size_t config_key_count;
extern const struct config_section config_sections[];
extern const size_t config_section_count;

bool config_section_known(const char *section);
const struct config_key *config_key_find(const char *section, const char *name);

/* Writes the field of k in c; ERR_OK or why not, and then c is unchanged. */
enum err MUST_CHECK config_value_read(const struct config_key *k,
				      struct config *c, const char *text);
/* In the largest unit that is exact; config_value_read takes it back. */
void config_value_print(const struct config_key *k, const struct config *c,
			struct buf *out);
/* "10ms to 1h", "yes or no"; and with a noun in front for a sentence. */
void config_value_range(const struct config_key *k, struct buf *out);
void config_value_form(const struct config_key *k, struct buf *out);

/* "host:port" as we accept it: numeric addresses in their canonical form,
 * names of letters, digits, '.', '-' and '_'. */
enum err MUST_CHECK config_hostport(const char *text, bool allow_zero,
				    char host[HOST_MAX], uint16_t *port);

#endif
