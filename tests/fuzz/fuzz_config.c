/* The configuration reader: a file's text, --set, the environment.
 *
 * The input is cut at bytes 0xff into parts; the first byte of each says what
 * it is. What is refused changes nothing and says where and why; what was
 * accepted can be printed, and read back to the same.
 */
#include "fuzz.h"

#include "base/config.h"

#define CUT 0xff
#define PART_MAX 4096

static struct config preset;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	config_init(&preset);
	return 0;
}

/* But for seeds that were removed, and the scratch of the last reason. */
static void check_same(const struct config *a, const struct config *b)
{
	const size_t from = offsetof(struct config, seed_count);

	assert_int_equal(a->seed_count, b->seed_count);
	assert_memory_equal(a->seeds, b->seeds,
			    a->seed_count * sizeof a->seeds[0]);
	assert_memory_equal((const char *)a + from, (const char *)b + from,
			    offsetof(struct config, why) - from);
}

static void check_reason(const char *why)
{
	assert_true(why[0] != '\0');
	for (; *why != '\0'; why++)
		assert_true((unsigned char)*why >= 0x20 && *why != 0x7f);
}

/* "name:12: reason", one line */
static void check_message(struct buf *message, const char *name)
{
	const char *text = buf_text(message);
	size_t n = strlen(name);

	assert_non_null(text);
	assert_memory_equal(text, name, n);
	assert_true(text[n] == ':');
	check_reason(text);
}

/* Where a key is set that the text was accepted with. */
static void check_lines(const char *text, size_t n)
{
	static const char *const settings[] = { "gossip.max_data", "seeds.a",
						"log.level" };
	unsigned lines = 1;

	for (size_t i = 0; i < n; i++)
		lines += text[i] == '\n';
	for (size_t i = 0; i < COUNT_OF(settings); i++)
		assert_in_range(config_line_of(text, n, settings[i]), 0, lines);
}

/* --- the three sources -------------------------------------------------- */

static void read_text(struct config *c, const char *text, size_t n)
{
	struct config before = *c;
	struct buf message = { 0 };

	if (config_read(c, "a.ini", text, n, &message) != ERR_OK) {
		check_message(&message, "a.ini");
		check_same(c, &before);
	} else {
		assert_int_equal(message.len, 0);
		check_lines(text, n);
	}
	buf_free(&message);
}

static void read_set(struct config *c, const char *text)
{
	struct config before = *c;
	const char *why = NULL;

	if (config_set_text(c, text, &why) != ERR_OK) {
		assert_non_null(why);
		check_reason(why);
		check_same(c, &before);
	}
}

/* Lines are variables. */
static void read_environment(struct config *c, char *text)
{
	struct config before = *c;
	struct buf message = { 0 };
	char *envp[9] = { 0 };
	char *rest = text;
	int n = 0;

	while (n < 8 && (envp[n] = strtok_r(rest, "\n", &rest)) != NULL)
		n++;
	if (config_read_env(c, envp, &message) != ERR_OK) {
		check_reason(buf_text(&message));
		check_same(c, &before);
	} else {
		assert_int_equal(message.len, 0);
	}
	buf_free(&message);
}

/* --- what was accepted -------------------------------------------------- */

static void check_seeds(const struct config *c)
{
	assert_true(c->seed_count <= CONFIG_SEEDS_MAX);
	for (size_t i = 0; i < c->seed_count; i++) {
		const struct config_seed *s = &c->seeds[i];

		assert_in_range(strnlen(s->name, CONFIG_NAME_MAX), 1,
				CONFIG_NAME_MAX - 1);
		assert_in_range(strnlen(s->host, HOST_MAX), 1, HOST_MAX - 1);
		assert_int_not_equal(s->port, 0);
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(s->name, c->seeds[k].name);
	}
}

static bool has_long_line(const struct buf *text)
{
	size_t line = 0;

	for (size_t i = 0; i < text->len; i++) {
		line = text->data[i] == '\n' ? 0 : line + 1;
		if (line > CONFIG_LINE_MAX)
			return true;
	}
	return false;
}

/* A directory given by --set may be longer than a line of a file, hold bytes
 * that start a comment there, or begin and end with blanks. */
static bool fits_a_file(const struct config *c, const struct buf *text)
{
	const char *d = c->log.directory;
	size_t n = strlen(d);

	return !has_long_line(text) && strpbrk(d, ";#\n\r\t") == NULL &&
	       (n == 0 || (d[0] != ' ' && d[n - 1] != ' '));
}

static void check_printed(const struct config *c)
{
	struct config again = preset;
	struct buf text = { 0 }, message = { 0 };

	config_print(c, false, &text);
	assert_false(text.failed);
	if (fits_a_file(c, &text)) {
		enum err e = config_read(&again, "b.ini", text.data, text.len,
					 &message);

		if (e != ERR_OK)
			fail_msg("%s", buf_text(&message));
		check_same(&again, c);
	}
	buf_free(&text);
	buf_free(&message);
}

/* The keys it blames are there to be changed. */
static void check_fault(struct config *c, const struct config_fault *fault)
{
	struct config_fault again;
	char text[CONFIG_SETTING_MAX + 2];
	const char *why;

	check_reason(fault->why);
	for (size_t i = 0; i < 2 && fault->keys[i][0] != '\0'; i++) {
		snprintf(text, sizeof text, "%s=?", fault->keys[i]);
		assert_int_not_equal(config_set_text(c, text, &why),
				     ERR_UNKNOWN);
	}
	assert_int_not_equal(config_check(c, &again), ERR_OK);
}

static void read_part(struct config *c, const uint8_t *part, size_t n)
{
	char text[PART_MAX + 1];
	uint8_t *copy;

	if (n == 0)
		return;
	switch (part[0] % 4) {
	case 0:
	case 1:
		memcpy(text, part + 1, n - 1);
		text[n - 1] = '\0';
		if (part[0] % 4 == 0)
			read_set(c, text);
		else
			read_environment(c, text);
		break;
	default:
		copy = exact_copy(part + 1, n - 1);
		read_text(c, (const char *)copy, n - 1);
		free(copy);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tape in = { data, size };
	static struct config c;
	struct config_fault fault;

	c = preset;
	while (in.n > 0) {
		const uint8_t *cut = memchr(in.p, CUT, in.n);
		size_t n = cut == NULL ? in.n : (size_t)(cut - in.p), all;

		read_part(&c, in.p, n < PART_MAX ? n : PART_MAX);
		take_bytes(&in, n + 1, &all);
	}
	check_seeds(&c);
	if (config_check(&c, &fault) == ERR_OK) {
		assert_in_range(c.seed_count, 1, CONFIG_SEEDS_MAX);
		check_printed(&c);
	} else {
		check_fault(&c, &fault);
	}
	return 0;
}
