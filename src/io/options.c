#include "io/options.h"

#include "io/keys.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define GO_ON (-1)
#define TEXT_COLUMN 30 /* of a help text, where the explanations start */
#define COUNT_MAX INT64_MAX

enum { FOR_SEED = 1 << PROGRAM_SEED, FOR_PEER = 1 << PROGRAM_PEER };
enum { FOR_BOTH = FOR_SEED | FOR_PEER };

/* Options without a letter; above any character. */
enum {
	OPT_LOG_DIR = 256,
	OPT_LOG_LEVEL,
	OPT_SET,
	OPT_CHECK,
	OPT_PRINT_CONFIG,
	OPT_NO_COLOR,
	OPT_SEND,
	OPT_RECEIVE,
	OPT_JSON,
	OPT_COUNT,
	OPT_LIST,
	OPT_GENKEY,
	OPT_WAIT,
};

struct row {
	const char *name, *value; /* --name value; NULL: takes none */
	int letter;               /* or one of OPT_ */
	int who;
	size_t flag; /* the bool in struct options that it sets, 0: none */
	const char *section, *key; /* that it sets, NULL: none */
	const char *text;          /* of --help */
};

#define FLAG(f) offsetof(struct options, f)
/* config is the first member, so that 0 can mean no flag. */
_Static_assert(FLAG(config) == 0, "offset 0 is not a flag");

static const struct row rows[] = {
	{ "config", "FILE", 'c', FOR_BOTH, 0, NULL, NULL,
	  "read FILE (default ./" OPTIONS_FILE " if there, else\n" //
	  OPTIONS_FILE_SYSTEM " if there)" },
	{ "listen", "HOST:PORT", 'l', FOR_SEED, FLAG(listen_given), "peer",
	  "listen", "listen here (default: the address of NAME)" },
	{ "listen", "HOST:PORT", 'l', FOR_PEER, FLAG(listen_given), "peer",
	  "listen", "listen here (default 127.0.0.1:0, any free port)" },
	{ "advertise", "HOST:PORT", 'a', FOR_SEED, 0, "peer", "advertise",
	  "taken as by bin/peer; a seed has no use for it" },
	{ "advertise", "HOST:PORT", 'a', FOR_PEER, 0, "peer", "advertise",
	  "what others are to dial (default: where I listen,\n"
	  "or the address a seed saw when that is a wildcard)" },
	{ "log-dir", "DIR", OPT_LOG_DIR, FOR_SEED, FLAG(log_dir_given), "log",
	  "directory", "write DIR/servers/output_NAME.log (default bin)" },
	{ "log-dir", "DIR", OPT_LOG_DIR, FOR_PEER, FLAG(log_dir_given), "log",
	  "directory",
	  "write DIR/clients/output_PORT.log (default bin;\n"
	  "with --send, --receive or --list: no log)" },
	{ "log-level", "LEVEL", OPT_LOG_LEVEL, FOR_BOTH, 0, "log", "level",
	  "error, warn, info or debug (default info)" },
	{ "set", "SECTION.KEY=VALUE", OPT_SET, FOR_BOTH, 0, NULL, NULL,
	  "set any key of the configuration; repeatable" },
	{ "check", NULL, OPT_CHECK, FOR_BOTH, FLAG(check), NULL, NULL,
	  "check the configuration and exit" },
	{ "print-config", NULL, OPT_PRINT_CONFIG, FOR_BOTH, FLAG(print_config),
	  NULL, NULL, "print the configuration and exit" },
	{ "no-color", NULL, OPT_NO_COLOR, FOR_BOTH, FLAG(no_color), NULL, NULL,
	  "no colors, neither in logs nor on a terminal" },
	{ "send", NULL, OPT_SEND, FOR_PEER, FLAG(send), NULL, NULL,
	  "publish every line of stdin, then leave" },
	{ "receive", NULL, OPT_RECEIVE, FOR_PEER, FLAG(receive), NULL, NULL,
	  "print every message on stdout, a line each" },
	{ "count", "N", OPT_COUNT, FOR_PEER, 0, NULL, NULL,
	  "with --receive: leave after N messages (default:\n"
	  "never)" },
	{ "list", NULL, OPT_LIST, FOR_PEER, FLAG(list), NULL, NULL,
	  "print what every seed has in its list, and exit" },
	{ "genkey", NULL, OPT_GENKEY, FOR_PEER, FLAG(genkey), NULL, NULL,
	  "print a new key, a line for key_file, and exit" },
	{ "json", NULL, OPT_JSON, FOR_PEER, FLAG(json), NULL, NULL,
	  "with --receive or --list: a JSON object per line" },
	{ "wait", "SECONDS", OPT_WAIT, FOR_PEER, 0, NULL, NULL,
	  "with --send: give up after so long without a\n"
	  "neighbor (default 10)" },
	{ "version", NULL, 'V', FOR_BOTH, FLAG(version), NULL, NULL,
	  "print the version and exit" },
	{ "help", NULL, 'h', FOR_BOTH, FLAG(help), NULL, NULL,
	  "print this and exit" },
};
#define ROWS (sizeof rows / sizeof rows[0])

/* A setting waits here until the file and the environment were read. */
struct setting {
	const struct row *row;
	const char *value;
};

struct reading {
	struct options *o;
	enum program program;
	const char *name;         /* of the program */
	const char *path;         /* of -c, or NULL */
	struct buf text;          /* of the file that was read */
	struct setting *settings; /* room for argc of them */
	size_t setting_count;
};

/* --- what is printed -------------------------------------------------- */

/* Whatever stands in argv, it must not play with the terminal. */
static void add_word(struct buf *b, const char *text)
{
	buf_visible(b, text, strlen(text));
}

static void print_error(struct buf *b)
{
	const char *text = buf_text(b);

	fprintf(stderr, "%s\n", text != NULL ? text : err_text(ERR_NOMEM));
	buf_free(b);
}

static int usage_error(const struct reading *r, const char *before,
		       const char *word, const char *after)
{
	struct buf b = { 0 };

	buf_fmt(&b, "%s: %s", r->name, before);
	add_word(&b, word);
	buf_fmt(&b, "%s\nTry 'bin/%s --help'.", after, r->name);
	print_error(&b);
	return EXIT_USAGE;
}

/* "before: why"; before is NULL, an option, or a file. */
static int config_error(const struct reading *r, bool option,
			const char *before, const char *why)
{
	struct buf b = { 0 };

	if (option || before == NULL)
		buf_fmt(&b, "%s: ", r->name);
	if (before != NULL) {
		buf_str(&b, option ? "--" : "");
		add_word(&b, before);
		buf_str(&b, ": ");
	}
	buf_str(&b, why);
	print_error(&b);
	return EXIT_CONFIG;
}

static int print_out(const struct reading *r, struct buf *b)
{
	const char *text = buf_text(b);
	bool good = text != NULL && fwrite(text, 1, b->len, stdout) == b->len &&
		    fflush(stdout) == 0;

	if (!good)
		fprintf(stderr, "%s: cannot write to stdout: %s\n", r->name,
			strerror(text != NULL ? errno : ENOMEM));
	buf_free(b);
	return good ? EXIT_DONE : EXIT_OUTPUT;
}

static void add_row(struct buf *b, const struct row *row)
{
	size_t start = b->len, used;
	const char *line = row->text;

	if (row->letter < OPT_LOG_DIR)
		buf_fmt(b, "  -%c, --%s", row->letter, row->name);
	else
		buf_fmt(b, "      --%s", row->name);
	if (row->value != NULL)
		buf_fmt(b, " %s", row->value);
	for (used = b->len - start; *line != '\0'; used = 0) {
		size_t len = strcspn(line, "\n");

		if (used + 2 > TEXT_COLUMN) {
			buf_char(b, '\n');
			used = 0;
		}
		buf_fmt(b, "%*s", (int)(TEXT_COLUMN - used), "");
		buf_add(b, line, len);
		buf_char(b, '\n');
		line += len + (line[len] == '\n');
	}
}

static int print_help(const struct reading *r)
{
	bool peer = r->program == PROGRAM_PEER;
	struct buf b = { 0 };

	if (peer)
		buf_str(&b, "Usage: bin/peer [OPTIONS]\n"
			    "Joins the network through the seeds, gossips, and "
			    "takes commands on stdin.\n\n");
	else
		buf_str(&b, "Usage: bin/seed [OPTIONS] [NAME]\n"
			    "Keeps the list of the peers. NAME is an entry of "
			    "[seeds]; without it: the\n"
			    "first entry whose address is free.\n\n");
	for (size_t i = 0; i < ROWS; i++)
		if (rows[i].who & (1 << r->program))
			add_row(&b, &rows[i]);
	buf_str(&b, "\nAn option goes before SEEDPEER_SECTION_KEY in the "
		    "environment, that before the\nfile, that before the "
		    "built-in defaults.\n");
	buf_str(&b, "Exit status: 0 done, 1 failed, 2 wrong usage,");
	buf_str(&b, peer ? " 69 nobody reachable,\n" : "\n");
	buf_str(&b, "74 stdout cannot be written, 78 wrong configuration.\n");
	buf_str(&b, peer ? "Example: echo hello | bin/peer --send\n"
			 : "Example: bin/seed --log-level debug node1\n");
	return print_out(r, &b);
}

static int print_version(const struct reading *r)
{
	struct buf b = { 0 };

	buf_fmt(&b, "%s (Seed and Peer) %s\n", r->name, SEEDPEER_VERSION);
	return print_out(r, &b);
}

static int print_new_key(const struct reading *r)
{
	char key[KEY_TEXT + 1];
	struct buf b = { 0 };

	if (crypto_init() != ERR_OK) {
		fprintf(stderr, "%s: no source of random numbers\n", r->name);
		return EXIT_FAILED;
	}
	keyring_generate(key);
	buf_fmt(&b, "%s\n", key);
	crypto_wipe(key, sizeof key);
	return print_out(r, &b);
}

static int print_config(const struct reading *r)
{
	struct buf b = { 0 };

	config_print(&r->o->config, false, &b);
	return print_out(r, &b);
}

static int print_check(const struct reading *r)
{
	const char *path = r->o->config_path;
	size_t n = r->o->config.seed_count;
	struct buf b = { 0 };
	struct keys *keys;
	int status = keys_start(&keys, r->name, r->o->config.security.key_file);

	keys_close(keys);
	if (status != EXIT_DONE)
		return status;
	add_word(&b, path != NULL ? path : "no file");
	buf_fmt(&b, ": ok, %zu seed%s\n", n, n == 1 ? "" : "s");
	return print_out(r, &b);
}

/* --- the command line ------------------------------------------------- */

static const struct row *row_of(int who, int letter)
{
	for (size_t i = 0; i < ROWS; i++)
		if (rows[i].letter == letter && (rows[i].who & who) != 0)
			return &rows[i];
	return NULL;
}

/* What getopt_long wants. Each program knows the options of the other one
 * too, to refuse them: else it would take the peer's --list for an
 * abbreviation of --listen. */
static void describe(struct option longs[ROWS + 1], char letters[2 * ROWS + 2])
{
	size_t k = 0;

	letters[k++] = ':'; /* tell a missing value from an unknown option */
	for (size_t i = 0; i < ROWS; i++) {
		const struct row *row = &rows[i];
		int has = row->value ? required_argument : no_argument;

		longs[i] = (struct option){ row->name, has, NULL, row->letter };
		if (row->letter >= OPT_LOG_DIR)
			continue;
		letters[k++] = (char)row->letter;
		if (row->value)
			letters[k++] = ':';
	}
	longs[ROWS] = (struct option){ 0 };
	letters[k] = '\0';
}

/* getopt said ':' or '?'. An unknown long option leaves optopt 0; a word that
 * starts a bundle of letters may not be left behind yet. */
static int option_error(const struct reading *r, int said, char **argv)
{
	const char *word = argv[optind - 1];
	const struct row *row = row_of(FOR_BOTH, optopt);
	char name[64] = { '-', (char)optopt, '\0' };
	bool is_long =
		optopt == 0 || (row != NULL && strncmp(word, "--", 2) == 0);

	if (is_long)
		snprintf(name, sizeof name, "%.*s", (int)strcspn(word, "="),
			 word);
	if (row_of(1 << r->program, optopt) == NULL)
		return usage_error(r, "unknown option ", name, "");
	if (said == ':')
		return usage_error(r, "option ", name, " needs a value");
	return usage_error(r, "option ", name, " takes no value");
}

static int take_count(const struct reading *r, const char *value)
{
	uint64_t n = 0;

	if (config_parse_count(value, &n) != ERR_OK || n == 0 || n > COUNT_MAX)
		return usage_error(r, "--count must be 1 or more, not '", value,
				   "'");
	r->o->count = n;
	return GO_ON;
}

static int take_wait(const struct reading *r, const char *value)
{
	const int64_t day_ms = 86400000;
	int64_t ms = 0;

	if (config_parse_duration(value, &ms) != ERR_OK || ms > day_ms)
		return usage_error(r, "--wait must be a time up to 24h, not '",
				   value, "'");
	r->o->wait_ms = ms;
	return GO_ON;
}

static int take(struct reading *r, int letter, const char *value)
{
	const struct row *row = row_of(1 << r->program, letter);

	if (row == NULL)
		return usage_error(r, "unknown option --",
				   row_of(FOR_BOTH, letter)->name, "");
	if (row->flag != 0)
		*(bool *)((char *)r->o + row->flag) = true;
	if (row->section != NULL || row->letter == OPT_SET)
		r->settings[r->setting_count++] =
			(struct setting){ row, value };
	else if (row->letter == 'c')
		r->path = value;
	else if (row->letter == OPT_COUNT)
		return take_count(r, value);
	else if (row->letter == OPT_WAIT)
		return take_wait(r, value);
	return GO_ON;
}

static int check_usage(const struct reading *r)
{
	const struct options *o = r->o;

	if (o->json && !o->receive && !o->list)
		return usage_error(r, "--json needs --receive or --list", "",
				   "");
	if (o->count > 0 && !o->receive)
		return usage_error(r, "--count needs --receive", "", "");
	if (o->list && (o->send || o->receive))
		return usage_error(r, "--list goes with neither --send nor ",
				   "--receive", "");
	return GO_ON;
}

static int take_operands(struct reading *r, int n, char **operands)
{
	int max = r->program == PROGRAM_SEED ? 1 : 0;

	if (n > max)
		return usage_error(r, "unexpected argument '", operands[max],
				   "'");
	if (n == 1)
		r->o->name = operands[0];
	return GO_ON;
}

static int read_arguments(struct reading *r, int argc, char **argv)
{
	struct option longs[ROWS + 1];
	char letters[2 * ROWS + 2];
	int letter, status;

	describe(longs, letters);
	optind = 0; /* from the start, whoever used getopt before */
	opterr = 0;
	for (;;) {
		letter = getopt_long(argc, argv, letters, longs, NULL);
		if (letter == -1)
			break;
		if (letter == ':' || letter == '?')
			return option_error(r, letter, argv);
		status = take(r, letter, optarg);
		if (status != GO_ON)
			return status;
	}
	status = take_operands(r, argc - optind, argv + optind);
	return status == GO_ON ? check_usage(r) : status;
}

/* --- the configuration ------------------------------------------------ */

/* All of fd into b; an errno, EFBIG beyond CONFIG_FILE_MAX. */
static int read_all(int fd, struct buf *b)
{
	const size_t step = 16384;
	ssize_t n;

	for (;;) {
		if (!buf_reserve(b, step))
			return ENOMEM;
		n = read(fd, b->data + b->len, step);
		if (n == 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return errno;
		if (n > 0)
			b->len += (size_t)n;
		if (b->len > CONFIG_FILE_MAX)
			return EFBIG;
	}
}

/* The contents of a file; an errno, of which read gives EISDIR by itself. */
static int read_file(const char *path, struct buf *b)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int error;

	if (fd < 0)
		return errno;
	error = read_all(fd, b);
	close(fd);
	return error;
}

static int file_error(const struct reading *r, const char *path, int error)
{
	if (error == EISDIR)
		return config_error(r, false, path, "is a directory");
	if (error == EFBIG)
		return config_error(r, false, path, "is larger than 1 MiB");
	return config_error(r, false, path, strerror(error));
}

/* optional: a file that is not there is no error. */
static int read_config(struct reading *r, const char *path, bool optional)
{
	struct buf message = { 0 };
	int error = read_file(path, &r->text);
	int status = GO_ON;

	if (error != 0) {
		if (!optional || (error != ENOENT && error != ENOTDIR))
			status = file_error(r, path, error);
	} else if (config_read(&r->o->config, path, r->text.data, r->text.len,
			       &message) != ERR_OK) {
		print_error(&message);
		status = EXIT_CONFIG;
	} else {
		r->o->config_path = path;
	}
	return status;
}

static int read_environment(struct reading *r, char *const *envp)
{
	struct buf message = { 0 };

	if (envp == NULL ||
	    config_read_env(&r->o->config, envp, &message) == ERR_OK)
		return GO_ON;
	print_error(&message);
	return EXIT_CONFIG;
}

/* The option as a person finds it again: --set with what it sets. */
static int setting_error(const struct reading *r, const struct setting *s,
			 const char *why)
{
	size_t key = s->row->section == NULL ? strcspn(s->value, "=") : 0;
	char name[CONFIG_SETTING_MAX + 16];

	if (key == 0 || s->value[key] == '\0' || key >= CONFIG_SETTING_MAX)
		return config_error(r, true, s->row->name, why);
	snprintf(name, sizeof name, "%s %.*s", s->row->name, (int)key,
		 s->value);
	return config_error(r, true, name, why);
}

static int apply_settings(struct reading *r)
{
	struct config *c = &r->o->config;

	for (size_t i = 0; i < r->setting_count; i++) {
		const struct setting *s = &r->settings[i];
		const char *why = "";
		enum err err;

		if (s->row->section != NULL)
			err = config_set(c, s->row->section, s->row->key,
					 s->value, &why);
		else
			err = config_set_text(c, s->value, &why);
		if (err != ERR_OK)
			return setting_error(r, s, why);
	}
	if (r->o->no_color)
		c->log.color = COLOR_NEVER;
	return GO_ON;
}

/* --- who is to blame for a contradiction ------------------------------- */

static bool option_sets(const struct setting *s, const char *setting)
{
	char name[CONFIG_SETTING_MAX];
	size_t n = strlen(setting);

	if (s->row->section == NULL)
		return strncmp(s->value, setting, n) == 0 && s->value[n] == '=';
	snprintf(name, sizeof name, "%s.%s", s->row->section, s->row->key);
	return strcmp(name, setting) == 0;
}

/* The variable of envp that sets it, or NULL. */
static const char *variable_of(char *const *envp, const char *setting)
{
	char name[CONFIG_SETTING_MAX + 16];
	size_t n = (size_t)snprintf(name, sizeof name, "SEEDPEER_%s=", setting);

	for (size_t i = 0; i < n; i++) {
		name[i] = (char)toupper((unsigned char)name[i]);
		if (name[i] == '.' || name[i] == '-')
			name[i] = '_';
	}
	for (; envp != NULL && *envp != NULL; envp++)
		if (strncasecmp(*envp, name, n) == 0)
			return *envp;
	return NULL;
}

static int variable_error(const struct reading *r, const char *variable,
			  const char *why)
{
	char name[CONFIG_SETTING_MAX + 32];

	snprintf(name, sizeof name, "environment %.*s",
		 (int)strcspn(variable, "="), variable);
	return config_error(r, false, name, why);
}

/* The one that was said last, as it overrides: an option, a variable, or the
 * later of two lines of the file. */
static int contradiction(const struct reading *r, char *const *envp,
			 const struct config_fault *fault)
{
	const char *path = r->o->config_path;
	struct buf name = { 0 };
	unsigned line = 0;
	int status;

	for (size_t i = r->setting_count; i-- > 0;)
		if (option_sets(&r->settings[i], fault->keys[0]) ||
		    option_sets(&r->settings[i], fault->keys[1]))
			return setting_error(r, &r->settings[i], fault->why);
	for (size_t i = 0; i < 2 && fault->keys[i][0] != '\0'; i++) {
		const char *variable = variable_of(envp, fault->keys[i]);
		unsigned n = config_line_of(r->text.data, r->text.len,
					    fault->keys[i]);

		if (variable != NULL)
			return variable_error(r, variable, fault->why);
		line = n > line ? n : line;
	}
	if (line == 0)
		return config_error(r, false, path, fault->why);
	buf_fmt(&name, "%s:%u", path, line);
	status = config_error(r, false, buf_text(&name), fault->why);
	buf_free(&name);
	return status;
}

static int load(struct reading *r, char *const *envp)
{
	struct config_fault fault;
	int status;

	if (r->path != NULL)
		status = read_config(r, r->path, false);
	else
		status = read_config(r, OPTIONS_FILE, true);
	if (status == GO_ON && r->o->config_path == NULL)
		status = read_config(r, OPTIONS_FILE_SYSTEM, true);
	if (status == GO_ON)
		status = read_environment(r, envp);
	if (status == GO_ON)
		status = apply_settings(r);
	if (status == GO_ON && config_check(&r->o->config, &fault) != ERR_OK)
		status = contradiction(r, envp, &fault);
	return status;
}

static int run(struct reading *r, int argc, char **argv, char *const *envp)
{
	int status = read_arguments(r, argc, argv);

	if (status != GO_ON)
		return status;
	if (r->o->help)
		return print_help(r);
	if (r->o->version)
		return print_version(r);
	if (r->o->genkey)
		return print_new_key(r);
	status = load(r, envp);
	if (status != GO_ON)
		return status;
	if (r->o->print_config)
		return print_config(r);
	if (r->o->check)
		return print_check(r);
	return GO_ON;
}

int options_read(struct options *o, enum program program, int argc, char **argv,
		 char *const *envp)
{
	struct reading r = { .o = o, .program = program };
	int status;

	*o = (struct options){ .wait_ms = OPTIONS_WAIT_MS };
	config_init(&o->config);
	r.name = program == PROGRAM_PEER ? "peer" : "seed";
	r.settings = calloc((size_t)argc + 1, sizeof r.settings[0]);
	if (r.settings == NULL) {
		fprintf(stderr, "%s: %s\n", r.name, err_text(ERR_NOMEM));
		return EXIT_FAILED;
	}
	status = run(&r, argc, argv, envp);
	buf_free(&r.text);
	free(r.settings);
	return status;
}
