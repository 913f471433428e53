#include "io/options.h"

#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEEDS "[seeds]\nnode1 = 127.0.0.1:5345\nnode2 = 127.0.0.1:5281\n"

/* What the last run left behind. */
static struct options options;
static char out[32768], err[4096];

/* --- a run with its own stdout and stderr, in a directory of its own ---- */

static char directory[] = "/tmp/options-XXXXXX";

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
	fclose(file);
}

static int enter(void **state)
{
	(void)state;
	if (mkdtemp(directory) == NULL || chdir(directory) != 0)
		return -1;
	return mkdir("dir", 0700);
}

static int leave(void **state)
{
	(void)state;
	unlink("config.ini");
	unlink("other.ini");
	rmdir("dir");
	if (chdir("/") != 0)
		return -1;
	return rmdir(directory);
}

static int fresh(void **state)
{
	(void)state;
	rmdir("config.ini");
	unlink("other.ini");
	write_file("config.ini", SEEDS);
	return 0;
}

/* Sends fd into nothing but memory; returns what it was. */
static int divert(int fd, int to)
{
	int old = dup(fd);

	assert_true(old >= 0 && to >= 0 && dup2(to, fd) == fd);
	return old;
}

static void restore(int fd, int old)
{
	assert_int_equal(dup2(old, fd), fd);
	close(old);
}

static void take_text(int fd, char *text, size_t size)
{
	ssize_t n = pread(fd, text, size - 1, 0);

	assert_true(n >= 0);
	text[n] = '\0';
	close(fd);
}

static int run_into(int to_out, enum program program, char **argv, char **envp)
{
	int to_err = memfd_create("err", 0), old_out, old_err, status, argc = 0;

	while (argv[argc] != NULL)
		argc++;
	fflush(stdout);
	old_out = divert(1, to_out);
	old_err = divert(2, to_err);
	status = options_read(&options, program, argc, argv, envp);
	fflush(stdout);
	clearerr(stdout);
	restore(1, old_out);
	restore(2, old_err);
	take_text(to_err, err, sizeof err);
	return status;
}

static int run_env(enum program program, char **argv, char **envp)
{
	int to_out = memfd_create("out", 0);
	int status = run_into(to_out, program, argv, envp);

	take_text(to_out, out, sizeof out);
	return status;
}

#define ARGV(...) ((char *[]){ "x", __VA_ARGS__, NULL })
#define PEER(...) run_env(PROGRAM_PEER, ARGV(__VA_ARGS__), NULL)
#define SEED(...) run_env(PROGRAM_SEED, ARGV(__VA_ARGS__), NULL)

static void says(int status, int expected, const char *message)
{
	assert_string_equal(err, message);
	assert_int_equal(status, expected);
	assert_string_equal(out, "");
}

/* --- what is printed ---------------------------------------------------- */

static void the_version_goes_to_stdout(void **state)
{
	(void)state;
	assert_int_equal(PEER("--version"), EXIT_DONE);
	assert_string_equal(out, "peer (Seed and Peer) " SEEDPEER_VERSION "\n");
	assert_string_equal(err, "");
	assert_int_equal(SEED("-V"), EXIT_DONE);
	assert_string_equal(out, "seed (Seed and Peer) " SEEDPEER_VERSION "\n");
}

static void the_help_names_every_option_in_80_columns(void **state)
{
	static const char *const common[] = {
		"-c, --config FILE",
		"-l, --listen HOST:PORT",
		"-a, --advertise HOST:PORT",
		"--log-dir DIR",
		"--log-level LEVEL",
		"--set SECTION.KEY=VALUE",
		"--check",
		"--print-config",
		"--no-color",
		"-V, --version",
		"-h, --help",
		"./config.ini",
		"/etc/seedpeer/config.ini",
		"SEEDPEER_SECTION_KEY",
		"Example: ",
		"Usage: bin/",
		"78",
	};
	static const char *const peer[] = {
		"--send",     "--receive",   "--count N",
		"--list ",    "--json",      "--wait SECONDS",
		"default 10", "127.0.0.1:0", " 69 ",
	};

	(void)state;
	for (int p = PROGRAM_SEED; p <= PROGRAM_PEER; p++) {
		char *rest = out, *line;

		assert_int_equal(run_env((enum program)p, ARGV("-h"), NULL),
				 EXIT_DONE);
		assert_string_equal(err, "");
		for (size_t i = 0; i < COUNT_OF(common); i++)
			assert_non_null(strstr(out, common[i]));
		for (size_t i = 0; i < COUNT_OF(peer); i++)
			if ((p == PROGRAM_PEER) != (strstr(out, peer[i]) != 0))
				fail_msg("%s in:\n%s", peer[i], out);
		while ((line = strsep(&rest, "\n")) != NULL)
			assert_true(strlen(line) <= 80);
	}
}

static void help_needs_no_configuration(void **state)
{
	(void)state;
	write_file("config.ini", "nonsense\n");
	assert_int_equal(PEER("--help", "-c", "/nonexistent"), EXIT_DONE);
	assert_int_equal(SEED("--version"), EXIT_DONE);
	assert_int_equal(PEER("--help", "--foo"), EXIT_USAGE);
}

static void check_tells_the_file_and_the_seeds(void **state)
{
	(void)state;
	assert_int_equal(PEER("--check"), EXIT_DONE);
	assert_string_equal(out, "config.ini: ok, 2 seeds\n");
	assert_string_equal(err, "");
	assert_int_equal(SEED("--check", "--set", "seeds.node2="), EXIT_DONE);
	assert_string_equal(out, "config.ini: ok, 1 seed\n");
	says(SEED("--check", "-c", "/dev/null"), EXIT_CONFIG,
	     "/dev/null: no seeds: [seeds] is empty or missing\n");
	write_file("config.ini", SEEDS "[peer]\nlisen = 127.0.0.1:1\n");
	says(PEER("--check"), EXIT_CONFIG,
	     "config.ini:5: unknown key 'lisen' in [peer]\n");
}

static void print_config_shows_the_result_of_all_sources(void **state)
{
	static char printed[sizeof out];

	(void)state;
	assert_int_equal(PEER("--print-config", "--set", "overlay.dials=3"),
			 EXIT_DONE);
	assert_string_equal(err, "");
	assert_int_equal(strncmp(out, SEEDS, strlen(SEEDS)), 0);
	assert_non_null(strstr(out, "\ndials = 3\n"));
	assert_null(strchr(out, '#'));
	memcpy(printed, out, sizeof out);
	write_file("other.ini", printed);
	assert_int_equal(SEED("--print-config", "-c", "other.ini"), EXIT_DONE);
	assert_string_equal(out, printed);
}

static void a_full_disk_behind_stdout_is_told(void **state)
{
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(run_into(full, PROGRAM_PEER, ARGV("--help"), NULL),
			 EXIT_OUTPUT);
	assert_string_equal(err, "peer: cannot write to stdout: "
				 "No space left on device\n");
	assert_int_equal(run_into(full, PROGRAM_SEED, ARGV("--check"), NULL),
			 EXIT_OUTPUT);
	close(full);
}

/* --- wrong usage -------------------------------------------------------- */

static void a_wrong_option_gets_one_line_and_a_hint(void **state)
{
	(void)state;
	says(PEER("--foo"), EXIT_USAGE,
	     "peer: unknown option --foo\nTry 'bin/peer --help'.\n");
	says(SEED("--foo=bar"), EXIT_USAGE,
	     "seed: unknown option --foo\nTry 'bin/seed --help'.\n");
	says(PEER("-x"), EXIT_USAGE,
	     "peer: unknown option -x\nTry 'bin/peer --help'.\n");
	says(PEER("--no-color", "-Vx"), EXIT_USAGE,
	     "peer: unknown option -x\nTry 'bin/peer --help'.\n");
	says(PEER("--no-color", "-xV"), EXIT_USAGE,
	     "peer: unknown option -x\nTry 'bin/peer --help'.\n");
	says(PEER("--log"), EXIT_USAGE,
	     "peer: unknown option --log\nTry 'bin/peer --help'.\n");
	says(PEER("--a\x1b[2J"), EXIT_USAGE,
	     "peer: unknown option --a\\x1b[2J\nTry 'bin/peer --help'.\n");
	says(PEER("--check=yes"), EXIT_USAGE,
	     "peer: option --check takes no value\nTry 'bin/peer --help'.\n");
	says(PEER("--help=me"), EXIT_USAGE,
	     "peer: option --help takes no value\nTry 'bin/peer --help'.\n");
	says(PEER("--listen"), EXIT_USAGE,
	     "peer: option --listen needs a value\nTry 'bin/peer --help'.\n");
	says(PEER("--json", "-l"), EXIT_USAGE,
	     "peer: option -l needs a value\nTry 'bin/peer --help'.\n");
	says(SEED("--set"), EXIT_USAGE,
	     "seed: option --set needs a value\nTry 'bin/seed --help'.\n");
	says(SEED("--log-dir"), EXIT_USAGE,
	     "seed: option --log-dir needs a value\nTry 'bin/seed --help'.\n");
}

static void options_of_the_peer_are_unknown_to_the_seed(void **state)
{
	static char *const foreign[] = { "--send",    "--receive", "--json",
					 "--count=1", "--list",    "--wait=1",
					 "--count",   "--list=1" };
	char expected[100];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(foreign); i++) {
		snprintf(expected, sizeof expected, "unknown option %.*s\n",
			 (int)strcspn(foreign[i], "="), foreign[i]);
		assert_int_equal(SEED(foreign[i]), EXIT_USAGE);
		assert_non_null(strstr(err, expected));
	}
	says(SEED("--wait", "7"), EXIT_USAGE,
	     "seed: unknown option --wait\nTry 'bin/seed --help'.\n");
}

static void options_that_do_not_go_together_are_refused(void **state)
{
	(void)state;
	says(PEER("--json"), EXIT_USAGE,
	     "peer: --json needs --receive or --list\n"
	     "Try 'bin/peer --help'.\n");
	assert_int_equal(PEER("--send", "--json"), EXIT_USAGE);
	says(PEER("--count", "3"), EXIT_USAGE,
	     "peer: --count needs --receive\nTry 'bin/peer --help'.\n");
	assert_int_equal(PEER("--list", "--count", "3"), EXIT_USAGE);
	says(PEER("--list", "--send"), EXIT_USAGE,
	     "peer: --list goes with neither --send nor --receive\n"
	     "Try 'bin/peer --help'.\n");
	assert_int_equal(PEER("--receive", "--list"), EXIT_USAGE);
	assert_int_equal(PEER("--send", "--receive", "--json", "--count=1"),
			 -1);
	assert_int_equal(PEER("--json", "--list"), -1);
}

static void a_count_and_a_wait_have_one_form(void **state)
{
	static char *const counts[] = {
		"", "0", "x", "-1", "1.5", "1K", " 1", "99999999999999999999"
	};
	static char *const waits[] = { "", "x", "-1", "5sec", "25h", "0.0001" };

	(void)state;
	says(PEER("--receive", "--count", "x"), EXIT_USAGE,
	     "peer: --count must be 1 or more, not 'x'\n"
	     "Try 'bin/peer --help'.\n");
	says(PEER("--send", "--wait=soon"), EXIT_USAGE,
	     "peer: --wait must be a time up to 24h, not 'soon'\n"
	     "Try 'bin/peer --help'.\n");
	for (size_t i = 0; i < COUNT_OF(counts); i++)
		assert_int_equal(PEER("--receive", "--count", counts[i]),
				 EXIT_USAGE);
	for (size_t i = 0; i < COUNT_OF(waits); i++)
		assert_int_equal(PEER("--send", "--wait", waits[i]),
				 EXIT_USAGE);
	assert_int_equal(PEER("--send", "--wait", "0.25"), -1);
	assert_int_equal(options.wait_ms, 250);
	assert_int_equal(PEER("--send", "--wait=0"), -1);
	assert_int_equal(options.wait_ms, 0);
	assert_int_equal(PEER("--receive", "--count=9223372036854775807"), -1);
	assert_true(options.count == 9223372036854775807u);
}

static void only_a_seed_takes_a_name_and_only_one(void **state)
{
	(void)state;
	says(PEER("node1"), EXIT_USAGE,
	     "peer: unexpected argument 'node1'\nTry 'bin/peer --help'.\n");
	says(SEED("node1", "no\tde2"), EXIT_USAGE,
	     "seed: unexpected argument 'no\\tde2'\n"
	     "Try 'bin/seed --help'.\n");
	assert_int_equal(SEED("node1", "--no-color"), -1);
	assert_string_equal(options.name, "node1");
	assert_int_equal(SEED("--", "-node"), -1);
	assert_string_equal(options.name, "-node");
	assert_int_equal(SEED("--"), -1);
	assert_null(options.name);
}

/* --- options that go on ------------------------------------------------- */

static void without_options_all_is_off(void **state)
{
	(void)state;
	assert_int_equal(PEER("--"), -1);
	assert_string_equal(out, "");
	assert_string_equal(err, "");
	assert_string_equal(options.config_path, "config.ini");
	assert_int_equal(options.config.seed_count, 2);
	assert_false(options.send || options.receive || options.json ||
		     options.list || options.no_color || options.check ||
		     options.print_config || options.help || options.version ||
		     options.listen_given || options.log_dir_given);
	assert_int_equal(options.count, 0);
	assert_int_equal(options.wait_ms, 10000);
}

static void every_option_arrives_where_it_belongs(void **state)
{
	(void)state;
	assert_int_equal(PEER("-l", "127.0.0.1:7000", "-a", "a.example:7001",
			      "--log-dir", "/tmp/logs", "--log-level", "debug",
			      "--set", "overlay.dials=2", "--set",
			      "seeds.more=[::1]:9", "--no-color", "--send",
			      "--receive", "--json", "--count", "17", "--wait",
			      "3"),
			 -1);
	assert_string_equal(options.config.peer.listen, "127.0.0.1:7000");
	assert_string_equal(options.config.peer.advertise, "a.example:7001");
	assert_string_equal(options.config.log.directory, "/tmp/logs");
	assert_int_equal(options.config.log.level, LOG_DEBUG);
	assert_int_equal(options.config.log.color, COLOR_NEVER);
	assert_int_equal(options.config.overlay.dials, 2);
	assert_int_equal(options.config.seed_count, 3);
	assert_true(options.no_color && options.send && options.receive &&
		    options.json && options.listen_given &&
		    options.log_dir_given && !options.list);
	assert_int_equal(options.count, 17);
	assert_int_equal(options.wait_ms, 3000);
	assert_int_equal(PEER("--list"), -1);
	assert_true(options.list);
	assert_int_equal(SEED("--listen=0.0.0.0:1", "--log-dir=x", "node2"),
			 -1);
	assert_true(options.listen_given && options.log_dir_given);
	assert_string_equal(options.config.peer.listen, "0.0.0.0:1");
	assert_string_equal(options.name, "node2");
}

static void no_color_wins_over_everything(void **state)
{
	(void)state;
	assert_int_equal(PEER("--no-color", "--set", "log.color=always"), -1);
	assert_int_equal(options.config.log.color, COLOR_NEVER);
}

static void the_later_of_two_options_wins(void **state)
{
	(void)state;
	assert_int_equal(PEER("-l", "a:1", "--set", "peer.listen=b:2"), -1);
	assert_string_equal(options.config.peer.listen, "b:2");
	assert_int_equal(PEER("--set", "peer.listen=b:2", "-l", "a:1"), -1);
	assert_string_equal(options.config.peer.listen, "a:1");
}

static void a_wrong_value_of_an_option_is_a_wrong_configuration(void **state)
{
	(void)state;
	says(PEER("-l", "here"), EXIT_CONFIG,
	     "peer: --listen: listen must be HOST:PORT (port 0 to 65535), "
	     "not 'here'\n");
	says(PEER("--advertise", "a:0"), EXIT_CONFIG,
	     "peer: --advertise: advertise must be HOST:PORT or empty "
	     "(port 1 to 65535), not 'a:0'\n");
	says(SEED("--log-level=loud"), EXIT_CONFIG,
	     "seed: --log-level: level must be error, warn, info or debug, "
	     "not 'loud'\n");
	says(SEED("--log-dir", ""), EXIT_CONFIG,
	     "seed: --log-dir: directory must be a path of up to 4095 plain "
	     "characters, not ''\n");
	says(PEER("--set", "overlay.dials=x"), EXIT_CONFIG,
	     "peer: --set overlay.dials: dials must be a number (1 to 15), not "
	     "'x'\n");
	says(PEER("--set", "overlay.dails=1"), EXIT_CONFIG,
	     "peer: --set overlay.dails: unknown key 'dails' in [overlay]\n");
	says(PEER("--set", "dials"), EXIT_CONFIG,
	     "peer: --set: must be section.key=value, not 'dials'\n");
	says(PEER("--set", "liveness.timeout=1s"), EXIT_CONFIG,
	     "peer: --set liveness.timeout: [liveness] timeout must be longer "
	     "than interval\n");
}

static void of_a_contradiction_the_last_word_is_blamed(void **state)
{
	static const char reason[] =
		"[overlay] dials must not be more than max_links\n";
	char *envp[] = { "SEEDPEER_OVERLAY_MAX_LINKS=4", "SEEDPEER_=", NULL };
	char expected[200];

	(void)state;
	write_file("config.ini",
		   SEEDS "[overlay]\nmax_links = 5\n\ndials = 6\n");
	snprintf(expected, sizeof expected, "config.ini:7: %s", reason);
	says(PEER("--check"), EXIT_CONFIG, expected);
	says(SEED("--set", "log.level=debug"), EXIT_CONFIG, expected);
	snprintf(expected, sizeof expected,
		 "environment SEEDPEER_OVERLAY_MAX_LINKS: %s", reason);
	says(run_env(PROGRAM_PEER, ARGV("--check"), envp), EXIT_CONFIG,
	     expected);
	snprintf(expected, sizeof expected, "peer: --set overlay.dials: %s",
		 reason);
	says(run_env(PROGRAM_PEER, ARGV("--set", "overlay.dials=5", "--check"),
		     envp),
	     EXIT_CONFIG, expected);
	assert_int_equal(
		run_env(PROGRAM_PEER, ARGV("--set", "overlay.dials=4"), envp),
		-1);
}

static void a_contradicting_option_is_named(void **state)
{
	(void)state;
	says(PEER("-l", "a:1", "-a", "0.0.0.0:1"), EXIT_CONFIG,
	     "peer: --advertise: [peer] advertise: nobody can dial a wildcard "
	     "address\n");
	says(PEER("--set", "seeds.node2=127.0.0.1:5345"), EXIT_CONFIG,
	     "peer: --set seeds.node2: seeds node1 and node2 have the same "
	     "address\n");
	write_file("config.ini", "[peer]\nadvertise =\n");
	says(PEER("--check"), EXIT_CONFIG,
	     "config.ini: no seeds: [seeds] is empty or missing\n");
}

/* --- where the configuration comes from --------------------------------- */

static void option_over_environment_over_file_over_built_in(void **state)
{
	char *envp[] = { "SEEDPEER_OVERLAY_DIALS=6",
			 "SEEDPEER_OVERLAY_SAMPLE=7",
			 "SEEDPEER_SEEDS_NODE2=127.0.0.1:9", "HOME=/", NULL };

	(void)state;
	write_file("config.ini", SEEDS "[overlay]\ndials = 5\nsample = 5\n"
				       "max_links = 11\n");
	assert_int_equal(
		run_env(PROGRAM_PEER, ARGV("--set", "overlay.sample=8"), envp),
		-1);
	assert_int_equal(options.config.overlay.sample, 8);
	assert_int_equal(options.config.overlay.dials, 6);
	assert_int_equal(options.config.overlay.links_max, 11);
	assert_int_equal(options.config.overlay.per_host_max, 2);
	assert_int_equal(options.config.seed_count, 2);
	assert_int_equal(options.config.seeds[1].port, 9);
}

static void a_bad_variable_is_a_wrong_configuration(void **state)
{
	char *envp[] = { "SEEDPEER_OVERLAY_DIALS=many", NULL };

	(void)state;
	says(run_env(PROGRAM_PEER, ARGV("--set", "overlay.dials=3"), envp),
	     EXIT_CONFIG,
	     "environment SEEDPEER_OVERLAY_DIALS: dials must be a number (1 to "
	     "15), "
	     "not 'many'\n");
}

static void a_file_that_was_named_must_be_there(void **state)
{
	(void)state;
	says(PEER("-c", "missing.ini"), EXIT_CONFIG,
	     "missing.ini: No such file or directory\n");
	says(PEER("-c", "config.ini/x"), EXIT_CONFIG,
	     "config.ini/x: Not a directory\n");
	says(PEER("-c", ""), EXIT_CONFIG, ": No such file or directory\n");
	says(PEER("-c", "dir"), EXIT_CONFIG, "dir: is a directory\n");
	says(PEER("--config=/"), EXIT_CONFIG, "/: is a directory\n");
	write_file("other.ini", "[seeds]\nx = 127.0.0.1:1\n");
	assert_int_equal(PEER("-c", "other.ini"), -1);
	assert_string_equal(options.config_path, "other.ini");
	assert_int_equal(options.config.seed_count, 1);
	assert_int_equal(PEER("-c", "missing.ini", "-c", "other.ini"), -1);
}

static void an_empty_file_is_a_file(void **state)
{
	(void)state;
	says(PEER("-c", "/dev/null"), EXIT_CONFIG,
	     "/dev/null: no seeds: [seeds] is empty or missing\n");
	assert_int_equal(PEER("-c", "/dev/null", "--set", "seeds.a=a:1"), -1);
	assert_string_equal(options.config_path, "/dev/null");
}

static void a_default_file_that_is_no_file_is_an_error(void **state)
{
	(void)state;
	unlink("config.ini");
	assert_int_equal(mkdir("config.ini", 0700), 0);
	says(PEER("--set", "seeds.a=a:1"), EXIT_CONFIG,
	     "config.ini: is a directory\n");
}

static void without_any_file_the_built_in_values_hold(void **state)
{
	(void)state;
	unlink("config.ini");
	if (access(OPTIONS_FILE_SYSTEM, F_OK) == 0)
		skip();
	says(PEER("--"), EXIT_CONFIG,
	     "peer: no seeds: [seeds] is empty or missing\n");
	assert_int_equal(PEER("--set", "seeds.a=a:1"), -1);
	assert_null(options.config_path);
	assert_int_equal(SEED("--set", "seeds.a=a:1", "--check"), EXIT_DONE);
	assert_string_equal(out, "no file: ok, 1 seed\n");
}

static void a_file_of_a_mebibyte_is_read_and_a_longer_one_is_not(void **state)
{
	const char line[] = "# sixteen bytes\n";
	char *text = malloc(CONFIG_FILE_MAX + 2);
	size_t n = strlen(SEEDS);

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < CONFIG_FILE_MAX; i++)
		text[i] = line[i % 16];
	memcpy(text, SEEDS "\n#", n + 2);
	text[CONFIG_FILE_MAX] = '\0';
	write_file("config.ini", text);
	assert_int_equal(PEER("--"), -1);
	memcpy(text + CONFIG_FILE_MAX, "\n", 2);
	write_file("config.ini", text);
	says(PEER("--"), EXIT_CONFIG, "config.ini: is larger than 1 MiB\n");
	says(PEER("-c", "/dev/zero"), EXIT_CONFIG,
	     "/dev/zero: is larger than 1 MiB\n");
	free(text);
}

static void a_bad_file_is_told_with_its_line(void **state)
{
	(void)state;
	write_file("other.ini", SEEDS "[log]\nlevel = loud\n");
	says(SEED("-c", "other.ini"), EXIT_CONFIG,
	     "other.ini:5: level must be error, warn, info or debug, "
	     "not 'loud'\n");
}

static void a_name_that_is_no_seed_is_somebody_elses_business(void **state)
{
	(void)state;
	assert_int_equal(SEED("nowhere"), -1);
	assert_string_equal(options.name, "nowhere");
}

#define TEST(name) cmocka_unit_test_setup(name, fresh)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_version_goes_to_stdout),
		TEST(the_help_names_every_option_in_80_columns),
		TEST(help_needs_no_configuration),
		TEST(check_tells_the_file_and_the_seeds),
		TEST(print_config_shows_the_result_of_all_sources),
		TEST(a_full_disk_behind_stdout_is_told),
		TEST(a_wrong_option_gets_one_line_and_a_hint),
		TEST(options_of_the_peer_are_unknown_to_the_seed),
		TEST(options_that_do_not_go_together_are_refused),
		TEST(a_count_and_a_wait_have_one_form),
		TEST(only_a_seed_takes_a_name_and_only_one),
		TEST(without_options_all_is_off),
		TEST(every_option_arrives_where_it_belongs),
		TEST(no_color_wins_over_everything),
		TEST(the_later_of_two_options_wins),
		TEST(a_wrong_value_of_an_option_is_a_wrong_configuration),
		TEST(of_a_contradiction_the_last_word_is_blamed),
		TEST(a_contradicting_option_is_named),
		TEST(option_over_environment_over_file_over_built_in),
		TEST(a_bad_variable_is_a_wrong_configuration),
		TEST(a_file_that_was_named_must_be_there),
		TEST(an_empty_file_is_a_file),
		TEST(a_default_file_that_is_no_file_is_an_error),
		TEST(without_any_file_the_built_in_values_hold),
		TEST(a_file_of_a_mebibyte_is_read_and_a_longer_one_is_not),
		TEST(a_bad_file_is_told_with_its_line),
		TEST(a_name_that_is_no_seed_is_somebody_elses_business),
	};

	return cmocka_run_group_tests(tests, enter, leave);
}
