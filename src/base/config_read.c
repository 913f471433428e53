/* A file's text and the environment, laid over a configuration.
 *
 * inih does the parsing, but it is only handed lines it cannot misread: it
 * splits long ones, joins indented ones, takes ':' for '=', ignores what
 * stands behind a ']', all in silence. It asks for line after line through
 * reader_line, which therefore also knows where an error is.
 */
#include "base/config_table.h"
#include "base/utf8.h"

#include <ini.h>
#include <stdio.h>
#include <string.h>

#define BLANKS " \t"

struct reader {
	struct config *config;
	const char *name; /* of the file, for messages */
	const char *at;   /* what is left of the text */
	size_t left;
	unsigned line;
	enum err err; /* the first one; nothing is read behind it */
	struct buf *message;
	bool seen[CONFIG_KEYS_MAX];
	char seeds[CONFIG_SEEDS_MAX][CONFIG_NAME_MAX];
	size_t seed_count;
};

static bool refuse(struct reader *r, enum err err, const char *why)
{
	if (r->err == ERR_OK) {
		r->err = err;
		buf_visible(r->message, r->name, strlen(r->name));
		buf_fmt(r->message, ":%u: ", r->line);
		buf_visible(r->message, why, strlen(why));
	}
	return false;
}

/* What no line may have, whatever it says. */
static bool bytes_valid(struct reader *r, const char *line, size_t len)
{
	char why[80];

	if (r->line == 1 && len >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0)
		return refuse(r, ERR_SYNTAX,
			      "starts with a byte order mark: save it without");
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)line[i];

		if ((c >= 0x20 && c != 0x7f) || c == '\t')
			continue;
		snprintf(why, sizeof why, "control character 0x%02x", c);
		return refuse(r, ERR_SYNTAX, why);
	}
	if (!utf8_valid(line, len))
		return refuse(r, ERR_SYNTAX, "bytes that are no UTF-8");
	if (len > CONFIG_LINE_MAX) {
		snprintf(why, sizeof why, "line of %zu bytes, %d at most", len,
			 CONFIG_LINE_MAX);
		return refuse(r, ERR_TOO_LONG, why);
	}
	return true;
}

static bool section_valid(struct reader *r, const char *line)
{
	const char *end = strchr(line, ']');
	char name[CONFIG_LINE_MAX + 1], why[CONFIG_WHY_MAX];
	const char *rest;

	if (end == NULL)
		return refuse(r, ERR_SYNTAX, "section without its ']'");
	rest = end + 1 + strspn(end + 1, BLANKS);
	if (*rest != '\0' && *rest != ';' && *rest != '#')
		return refuse(r, ERR_SYNTAX, "text behind the ']'");
	memcpy(name, line + 1, (size_t)(end - line - 1));
	name[end - line - 1] = '\0';
	if (name[0] == '\0')
		return refuse(r, ERR_SYNTAX, "section without a name");
	if (config_section_known(name))
		return true;
	snprintf(why, sizeof why, "unknown section [%.60s]", name);
	return refuse(r, ERR_UNKNOWN, why);
}

/* key = value, and the '=' is not in a comment, nor a ':' before it. */
static bool pair_valid(struct reader *r, const char *line)
{
	size_t key = strcspn(line, "=:;");

	if (line[key] == '=' && key > 0)
		return true;
	if (line[key] == '=')
		return refuse(r, ERR_SYNTAX, "no key before the '='");
	if (line[key] == ':')
		return refuse(r, ERR_SYNTAX,
			      "':' before the '=': write key = value");
	return refuse(r, ERR_SYNTAX, "neither [section] nor key = value");
}

static bool line_valid(struct reader *r, const char *line)
{
	size_t indent = strspn(line, BLANKS);

	if (strchr(";#", line[indent]) != NULL)
		return true; /* nothing, or a comment */
	if (indent > 0)
		return refuse(r, ERR_SYNTAX,
			      "indented: a value cannot go on in a new line");
	return line[0] == '[' ? section_valid(r, line) : pair_valid(r, line);
}

/* fgets for inih: the next line, or NULL at the end and after an error. */
static char *reader_line(char *out, int cap, void *user)
{
	struct reader *r = user;
	const char *end;
	size_t len, used;

	if (r->left == 0 || r->err != ERR_OK)
		return NULL;
	end = memchr(r->at, '\n', r->left);
	used = end != NULL ? (size_t)(end - r->at) + 1 : r->left;
	len = end != NULL ? used - 1 : used;
	if (end != NULL && len > 0 && r->at[len - 1] == '\r')
		len--;
	r->line++;
	if (!bytes_valid(r, r->at, len))
		return NULL;
	if (len >= (size_t)cap) { /* an inih built with shorter lines */
		refuse(r, ERR_TOO_LONG, "line too long for inih");
		return NULL;
	}
	memcpy(out, r->at, len);
	out[len] = '\0';
	r->at += used;
	r->left -= used;
	return line_valid(r, out) ? out : NULL;
}

/* True when this file did not set the key yet; remembers it. */
static bool first_time(struct reader *r, const char *section, const char *key)
{
	const struct config_key *k = config_key_find(section, key);

	if (k != NULL) {
		bool *seen = &r->seen[k - config_keys];

		if (*seen)
			return false;
		*seen = true;
		return true;
	}
	if (strcmp(section, CONFIG_SEEDS_SECTION) != 0)
		return true;
	for (size_t i = 0; i < r->seed_count; i++)
		if (strcmp(r->seeds[i], key) == 0)
			return false;
	if (strlen(key) < CONFIG_NAME_MAX && r->seed_count < CONFIG_SEEDS_MAX)
		memcpy(r->seeds[r->seed_count++], key, strlen(key) + 1);
	return true;
}

static int reader_pair(void *user, const char *section, const char *key,
		       const char *value)
{
	struct reader *r = user;
	char again[CONFIG_LINE_MAX + 40];
	const char *why = "";
	enum err err;

	if (key == NULL || value == NULL)
		return 1; /* some builds of inih announce sections */
	if (section[0] == '\0')
		return refuse(r, ERR_SYNTAX,
			      "a key before the first [section]");
	if (!first_time(r, section, key)) {
		snprintf(again, sizeof again, "%s is set a second time", key);
		return refuse(r, ERR_SYNTAX, again);
	}
	if (strcmp(section, CONFIG_SEEDS_SECTION) == 0 && value[0] == '\0')
		return refuse(r, ERR_SYNTAX, "a seed without HOST:PORT");
	err = config_set(r->config, section, key, value, &why);
	return err == ERR_OK || refuse(r, err, why);
}

enum err config_read(struct config *c, const char *name, const char *text,
		     size_t len, struct buf *message)
{
	struct config next = *c;
	struct reader r = { .config = &next,
			    .name = name,
			    .at = text,
			    .left = len,
			    .message = message };
	int bad = ini_parse_stream(reader_line, &r, reader_pair, &r);

	if (bad < 0)
		refuse(&r, ERR_NOMEM, err_text(ERR_NOMEM));
	else if (bad > 0)
		refuse(&r, ERR_SYNTAX, "not understood");
	if (r.err == ERR_OK)
		*c = next;
	return r.err;
}

/* --- looking for a line ------------------------------------------------- */

/* Is this "KEY", or "KEY = ..."? */
static bool sets(const char *line, size_t len, const char *key)
{
	size_t n = strlen(key);

	if (len < n || memcmp(line, key, n) != 0)
		return false;
	while (n < len && strchr(BLANKS, line[n]) != NULL)
		n++;
	return n < len && line[n] == '=';
}

unsigned config_line_of(const char *text, size_t len, const char *setting)
{
	size_t section = strcspn(setting, ".");
	bool inside = false;
	unsigned number = 0;

	while (len > 0) {
		const char *end = memchr(text, '\n', len);
		size_t n = end != NULL ? (size_t)(end - text) : len;

		number++;
		if (n > 0 && text[0] == '[')
			inside = n > section + 1 &&
				 memcmp(text + 1, setting, section) == 0 &&
				 text[section + 1] == ']';
		else if (inside && sets(text, n, setting + section + 1))
			return number;
		n += end != NULL;
		text += n;
		len -= n;
	}
	return 0;
}

/* --- the environment ---------------------------------------------------- */

static char lower(char ch)
{
	return ch >= 'A' && ch <= 'Z' ? (char)(ch - 'A' + 'a') : ch;
}

/* The seed that an environment variable means: there, names are written in
 * capitals and cannot hold a '-'. A new one gets its name in small letters. */
static void match_seed(const struct config *c, char *name)
{
	for (size_t i = 0; i < c->seed_count; i++) {
		const char *s = c->seeds[i].name;
		size_t n = 0;

		while (s[n] != '\0' && (lower(s[n]) == name[n] ||
					(s[n] == '-' && name[n] == '_')))
			n++;
		if (s[n] == '\0' && name[n] == '\0') {
			memcpy(name, s, n);
			return;
		}
	}
}

/* Docker and Kubernetes name the address of a service so, and one may well be
 * called seedpeer-seed, or seedpeer-seed-0. No key of ours looks like that. */
static bool is_service_link(const char *key)
{
	char name[CONFIG_SETTING_MAX];
	int n = snprintf(name, sizeof name, "_%s_", key);

	return n >= (int)sizeof name || strstr(name, "_port_") != NULL ||
	       strstr(name, "_service_") != NULL;
}

static enum err read_variable(struct config *c, const char *name,
			      const char *value, const char **why)
{
	char text[128]; /* longer ones name no key of ours, cut or not */
	char *key;
	size_t len = (size_t)(value - 1 - name);

	if (len >= sizeof text)
		len = sizeof text - 1;
	for (size_t i = 0; i < len; i++)
		text[i] = lower(name[i]);
	text[len] = '\0';
	key = strchr(text, '_');
	if (key == NULL)
		return ERR_OK;
	*key++ = '\0';
	if (strcmp(text, CONFIG_SEEDS_SECTION) == 0)
		match_seed(c, key);
	else if (!config_section_known(text) || is_service_link(key))
		return ERR_OK;
	return config_set(c, text, key, value, why);
}

enum err config_read_env(struct config *c, char *const *envp,
			 struct buf *message)
{
	static const char prefix[] = "SEEDPEER_";
	size_t skip = sizeof prefix - 1;
	struct config next = *c;
	const char *why = "";

	for (; *envp != NULL; envp++) {
		const char *equals = strchr(*envp, '=');
		enum err err;

		if (equals == NULL || strncmp(*envp, prefix, skip) != 0)
			continue;
		err = read_variable(&next, *envp + skip, equals + 1, &why);
		if (err != ERR_OK) {
			buf_str(message, "environment ");
			buf_visible(message, *envp, (size_t)(equals - *envp));
			buf_fmt(message, ": %s", why);
			return err;
		}
	}
	*c = next;
	return ERR_OK;
}
