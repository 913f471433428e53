#include "io/keys.h"

#include "test.h"

#include "io/exits.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_1 "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n"
#define KEY_2 "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=\n"

struct fixture {
	char dir[32], path[48];
	struct keys *keys;
};

static void put(const struct fixture *f, const char *text, mode_t mode)
{
	FILE *file = fopen(f->path, "w");

	assert_non_null(file);
	assert_int_equal(fputs(text, file) < 0, 0);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(f->path, mode), 0);
}

static int open_keys(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	struct buf why = { 0 };

	if (f == NULL)
		return -1;
	snprintf(f->dir, sizeof f->dir, "/tmp/test_keys.XXXXXX");
	if (crypto_init() != ERR_OK || mkdtemp(f->dir) == NULL)
		return -1;
	snprintf(f->path, sizeof f->path, "%s/key", f->dir);
	put(f, KEY_1, 0600);
	*state = f;
	return keys_open(&f->keys, f->path, &why) == ERR_OK ? 0 : -1;
}

static int close_keys(void **state)
{
	struct fixture *f = *state;

	keys_close(f->keys);
	unlink(f->path);
	rmdir(f->dir);
	free(f);
	return 0;
}

static uint8_t first_byte(struct keys *k)
{
	struct keyring r;

	keys_copy(k, &r);
	assert_true(r.n > 0);
	return r.v[0].secret[0];
}

static void who_has_keys_lets_nobody_look(void **state)
{
	(void)state;
	assert_int_equal(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 0);
}

static void reads_its_file_again(void **state)
{
	struct fixture *f = *state;
	struct key_id one, two;
	struct buf why = { 0 };
	bool changed = true;
	struct keyring r;

	keys_copy(f->keys, &r);
	one = r.v[0].id;
	assert_int_equal(keys_reload(f->keys, &changed, &why), ERR_OK);
	assert_false(changed);
	put(f, KEY_1 KEY_2, 0600);
	assert_int_equal(keys_reload(f->keys, &changed, &why), ERR_OK);
	assert_true(changed);
	keys_copy(f->keys, &r);
	two = r.v[1].id;
	assert_int_equal(first_byte(f->keys), 1);
	put(f, KEY_2 KEY_1, 0400);
	assert_int_equal(keys_reload(f->keys, &changed, &why), ERR_OK);
	assert_true(changed);
	assert_int_equal(first_byte(f->keys), 2);
	put(f, KEY_2, 0600);
	assert_int_equal(keys_reload(f->keys, &changed, &why), ERR_OK);
	assert_true(keys_have(f->keys, &two));
	assert_false(keys_have(f->keys, &one));
	assert_int_equal(why.len, 0);
}

static void what_is_wrong_leaves_the_old_ones(void **state)
{
	static const struct {
		const char *text;
		mode_t mode;
		const char *why;
	} bad[] = {
		{ KEY_2, 0640, "(mode 0640); chmod 600 it" },
		{ KEY_2, 0602, "(mode 0602)" },
		{ "", 0600, "is empty" },
		{ "x\n", 0600, "/key:1: not a key" },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		struct buf why = { 0 };
		bool changed = false;

		put(f, bad[i].text, bad[i].mode);
		assert_int_not_equal(keys_reload(f->keys, &changed, &why),
				     ERR_OK);
		assert_non_null(strstr(buf_text(&why), bad[i].why));
		assert_false(changed);
		assert_int_equal(first_byte(f->keys), 1);
		buf_free(&why);
	}
}

static void a_program_starts_without_keys_or_says_why_not(void **state)
{
	struct fixture *f = *state;
	struct keys *k = f->keys;

	assert_int_equal(keys_start(&k, "test", ""), EXIT_DONE);
	assert_null(k);
	assert_int_equal(keys_start(&k, "test", f->path), EXIT_DONE);
	assert_non_null(k);
	keys_close(k);
	assert_int_equal(keys_start(&k, "test", "/does/not/exist"),
			 EXIT_CONFIG);
	assert_null(k);
	keys_close(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(who_has_keys_lets_nobody_look,
						open_keys, close_keys),
		cmocka_unit_test_setup_teardown(reads_its_file_again, open_keys,
						close_keys),
		cmocka_unit_test_setup_teardown(
			what_is_wrong_leaves_the_old_ones, open_keys,
			close_keys),
		cmocka_unit_test_setup_teardown(
			a_program_starts_without_keys_or_says_why_not,
			open_keys, close_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
