#include "base/config_table.h"
#include "base/utf8.h"

#include <stdio.h>
#include <string.h>

struct unit {
	const char *name;
	uint64_t factor;
};

/* The largest first: printing takes the first that divides. */
static const struct unit durations[] = {
	{ "h", 3600000 }, { "m", 60000 }, { "s", 1000 }, { "ms", 1 }
};
static const struct unit sizes[] = {
	{ "G", 1073741824 }, { "M", 1048576 }, { "K", 1024 }, { "", 1 }
};
static const char *const truths[] = { "no",  "yes", "false", "true",
				      "off", "on",  NULL };

/* Digits; *p moves behind them. */
static enum err read_digits(const char **p, uint64_t *out)
{
	const char *first = *p;
	uint64_t v = 0;

	for (; **p >= '0' && **p <= '9'; ++*p) {
		uint64_t digit = (uint64_t)(**p - '0');

		if (v > (INT64_MAX - digit) / 10)
			return ERR_RANGE;
		v = v * 10 + digit;
	}
	*out = v;
	return *p == first ? ERR_SYNTAX : ERR_OK;
}

/* Thousandths and below, as a count of units: ".5" of 1000 is 500. */
static enum err read_fraction(const char **p, uint64_t factor, uint64_t *out)
{
	uint64_t v = 0, scale = 1;
	const char *first;
	enum err err;

	if (**p != '.')
		return ERR_OK;
	first = ++*p;
	err = read_digits(p, &v);
	if (err != ERR_OK)
		return err;
	if (*p - first > 9)
		return ERR_RANGE;
	for (; first < *p; first++)
		scale *= 10;
	*out = v * factor / scale;
	return v * factor % scale == 0 ? ERR_OK : ERR_RANGE;
}

static uint64_t unit_factor(const struct unit *units, const char *name)
{
	for (size_t i = 0; i < 4; i++)
		if (strcmp(units[i].name, name) == 0)
			return units[i].factor;
	return 0;
}

enum err config_parse_duration(const char *text, int64_t *ms)
{
	const char *p = text, *unit = text + strspn(text, "0123456789.");
	uint64_t whole = 0, part = 0;
	uint64_t factor = unit_factor(durations, *unit ? unit : "s");
	enum err err;

	if (factor == 0)
		return ERR_SYNTAX;
	err = read_digits(&p, &whole);
	if (err == ERR_OK)
		err = read_fraction(&p, factor, &part);
	if (err != ERR_OK)
		return err;
	if (p != unit)
		return ERR_SYNTAX;
	if (whole > INT64_MAX / factor - 1)
		return ERR_RANGE;
	*ms = (int64_t)(whole * factor + part);
	return ERR_OK;
}

enum err config_parse_count(const char *text, uint64_t *out)
{
	uint64_t v = 0;
	enum err err = read_digits(&text, &v);

	if (err == ERR_OK && *text != '\0')
		err = ERR_SYNTAX;
	if (err == ERR_OK)
		*out = v;
	return err;
}

static enum err parse_size(const char *text, uint64_t *out)
{
	uint64_t v = 0, factor;
	enum err err = read_digits(&text, &v);
	char unit[2] = { *text, '\0' };

	if (err != ERR_OK)
		return err;
	if (*text >= 'a' && *text <= 'z')
		unit[0] = (char)(*text - 'a' + 'A');
	factor = unit_factor(sizes, unit);
	if (factor == 0 || (*text != '\0' && text[1] != '\0'))
		return ERR_SYNTAX;
	if (v > INT64_MAX / factor)
		return ERR_RANGE;
	*out = v * factor;
	return ERR_OK;
}

static enum err parse_word(const char *const *words, const char *text,
			   uint64_t *out)
{
	for (size_t i = 0; words[i] != NULL; i++)
		if (strcmp(words[i], text) == 0) {
			*out = i;
			return ERR_OK;
		}
	return ERR_SYNTAX;
}

/* A numeric host must be an address, and written in the only way that
 * compares equal to itself; any other host is a name to be resolved. */
static bool host_valid(const char *host, bool bracketed)
{
	static const char digits[] = "0123456789.";
	static const char letters[] = "0123456789.-_"
				      "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	size_t len = strlen(host);
	char text[HOST_MAX + 8];
	struct addr ignored;
	int n;

	if (!bracketed && strspn(host, digits) != len)
		return strspn(host, letters) == len && host[0] != '-' &&
		       host[0] != '.';
	n = snprintf(text, sizeof text, bracketed ? "[%s]:1" : "%s:1", host);
	return addr_parse(text, (size_t)n, &ignored);
}

enum err config_hostport(const char *text, bool allow_zero, char host[HOST_MAX],
			 uint16_t *port)
{
	char h[HOST_MAX];
	uint16_t p;
	enum err err = hostport_split(text, allow_zero, h, &p);

	if (err != ERR_OK)
		return err;
	if (!host_valid(h, text[0] == '['))
		return ERR_SYNTAX;
	memcpy(host, h, strlen(h) + 1);
	*port = p;
	return ERR_OK;
}

/* A path that a line of a file can hold: inih trims blanks at both ends and
 * takes a ';' behind a blank for a comment. Quotes would become part of it. */
static bool path_valid(const char *text)
{
	size_t len = strlen(text);

	if (len == 0 || strchr(" ;\"'", text[0]) != NULL ||
	    text[len - 1] == ' ' || strstr(text, " ;") != NULL ||
	    !utf8_valid(text, len))
		return false;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			return false;
	return true;
}

static enum err read_text(const struct config_key *k, char *field,
			  const char *text)
{
	size_t len = strlen(text);
	char host[HOST_MAX];
	uint16_t port;
	enum err err = ERR_OK;

	if (len >= k->size)
		return ERR_TOO_LONG;
	if (k->kind == KIND_TEXT && !(len == 0 && k->max != 0) &&
	    !path_valid(text))
		return ERR_SYNTAX;
	if (k->kind == KIND_HOSTPORT && !(len == 0 && k->max != 0))
		err = config_hostport(text, k->min == 0, host, &port);
	if (err == ERR_OK) {
		memset(field, 0, k->size);
		memcpy(field, text, len);
	}
	return err;
}

static enum err read_number(const struct config_key *k, const char *text,
			    uint64_t *out)
{
	int64_t ms = 0;
	enum err err;

	switch (k->kind) {
	case KIND_DURATION:
		err = config_parse_duration(text, &ms);
		*out = (uint64_t)ms;
		break;
	case KIND_SIZE:
		err = parse_size(text, out);
		break;
	case KIND_COUNT:
		err = config_parse_count(text, out);
		break;
	default:
		return parse_word(k->words, text, out);
	}
	if (err == ERR_OK && (*out < k->min || *out > k->max) &&
	    !(k->off && *out == 0))
		err = ERR_RANGE;
	return err;
}

enum err config_value_read(const struct config_key *k, struct config *c,
			   const char *text)
{
	char *field = (char *)c + k->offset;
	uint64_t v = 0;
	enum err err;

	if (k->kind == KIND_TEXT || k->kind == KIND_HOSTPORT)
		return read_text(k, field, text);
	if (k->kind == KIND_BOOL) {
		err = parse_word(truths, text, &v);
		if (err == ERR_OK)
			*(bool *)field = v % 2 != 0;
		return err;
	}
	err = read_number(k, text, &v);
	if (err == ERR_OK)
		memcpy(field, &v, sizeof v);
	return err;
}

static void print_number(enum config_kind kind, uint64_t v, struct buf *out)
{
	const struct unit *unit = kind == KIND_SIZE ? sizes : durations;

	if (kind == KIND_COUNT || v == 0) {
		buf_u64(out, v);
		return;
	}
	while (v % unit->factor != 0)
		unit++;
	buf_u64(out, v / unit->factor);
	buf_str(out, unit->name);
}

void config_value_print(const struct config_key *k, const struct config *c,
			struct buf *out)
{
	const char *field = (const char *)c + k->offset;
	uint64_t v;

	switch (k->kind) {
	case KIND_TEXT:
	case KIND_HOSTPORT:
		buf_str(out, field);
		break;
	case KIND_BOOL:
		buf_str(out, truths[*(const bool *)field]);
		break;
	case KIND_CHOICE:
		memcpy(&v, field, sizeof v);
		buf_str(out, k->words[v]);
		break;
	default:
		memcpy(&v, field, sizeof v);
		print_number(k->kind, v, out);
	}
}

static void print_words(const char *const *words, struct buf *out)
{
	for (size_t i = 0; words[i] != NULL; i++) {
		if (i > 0)
			buf_str(out, words[i + 1] != NULL ? ", " : " or ");
		buf_str(out, words[i]);
	}
}

void config_value_range(const struct config_key *k, struct buf *out)
{
	switch (k->kind) {
	case KIND_TEXT:
		buf_str(out, k->max ? "a path or empty" : "a path");
		break;
	case KIND_HOSTPORT:
		buf_str(out, k->max ? "HOST:PORT or empty" : "HOST:PORT");
		break;
	case KIND_BOOL:
		buf_str(out, "yes or no");
		break;
	case KIND_CHOICE:
		print_words(k->words, out);
		break;
	default:
		if (k->off)
			buf_str(out, "0 or ");
		print_number(k->kind, k->min, out);
		buf_str(out, " to ");
		print_number(k->kind, k->max, out);
	}
}

void config_value_form(const struct config_key *k, struct buf *out)
{
	static const char *const nouns[] = {
		[KIND_DURATION] = "a duration",
		[KIND_SIZE] = "a size",
		[KIND_COUNT] = "a number",
	};
	bool number = k->kind == KIND_DURATION || k->kind == KIND_SIZE ||
		      k->kind == KIND_COUNT;

	if (number)
		buf_fmt(out, "%s (", nouns[k->kind]);
	config_value_range(k, out);
	if (number)
		buf_char(out, ')');
	if (k->kind == KIND_HOSTPORT)
		buf_fmt(out, " (port %u to 65535)", (unsigned)k->min);
	if (k->kind == KIND_TEXT)
		buf_fmt(out, " of up to %zu plain characters", k->size - 1);
}
