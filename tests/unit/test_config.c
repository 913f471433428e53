#include "base/config.h"
#include "base/config_table.h"

#include "test.h"

static struct config config; /* of the test that runs */

static int fresh(void **state)
{
	(void)state;
	config_init(&config);
	return 0;
}

/* Reads n bytes as a file "x.ini"; *said is "" or the message. */
static enum err read_bytes(const char *text, size_t n, char said[512])
{
	char *copy = exact_copy(text, n);
	struct buf message = { 0 };
	enum err err = config_read(&config, "x.ini", copy, n, &message);

	snprintf(said, 512, "%s", buf_text(&message));
	buf_free(&message);
	free(copy);
	return err;
}

static void reads(const char *text)
{
	char said[512];

	if (read_bytes(text, strlen(text), said) != ERR_OK)
		fail_msg("refused: %s\n%s", said, text);
	assert_string_equal(said, "");
}

static void sets(const char *text)
{
	const char *why = "";

	if (config_set_text(&config, text, &why) != ERR_OK)
		fail_msg("%s: %s", text, why);
}

static void refuses(const char *text, const char *reason)
{
	struct config before = config;
	const char *why = "";

	if (config_set_text(&config, text, &why) == ERR_OK)
		fail_msg("%s: accepted", text);
	if (strstr(why, reason) == NULL)
		fail_msg("%s: '%s' is not about '%s'", text, why, reason);
	memcpy(config.why, before.why, sizeof config.why);
	assert_memory_equal(&config, &before, sizeof config);
}

static char *print(bool comments)
{
	struct buf b = { 0 };
	char *text;

	config_print(&config, comments, &b);
	assert_non_null(buf_text(&b));
	text = strdup(b.data);
	buf_free(&b);
	return text;
}

/* --- one value ---------------------------------------------------------- */

static void defaults_are_those_of_the_design(void **state)
{
	(void)state;
	assert_int_equal(config.seed_count, 0);
	assert_string_equal(config.peer.listen, "127.0.0.1:0");
	assert_string_equal(config.peer.advertise, "");
	assert_int_equal(config.peer.message_interval_ms, 0);
	assert_int_equal(config.overlay.dials, 4);
	assert_int_equal(config.overlay.links_max, 12);
	assert_int_equal(config.overlay.repair_first_ms, 50);
	assert_int_equal(config.overlay.repair_max_ms, 30000);
	assert_int_equal(config.liveness.timeout_ms, 15000);
	assert_int_equal(config.gossip.data_max, 65536);
	assert_int_equal(config.gossip.store_bytes, 64 << 20);
	assert_int_equal(config.gossip.outbox_max, 4 << 20);
	assert_int_equal(config.gossip.outbox_high, 128 << 10);
	assert_int_equal(config.gossip.output_max, 32 << 20);
	assert_false(config.seed.allow_foreign);
	assert_int_equal(config.seed.period_ms, 60000);
	assert_int_equal(config.seed.peers_max, 1048576);
	assert_string_equal(config.log.directory, "bin");
	assert_int_equal(config.log.level, LOG_INFO);
	assert_int_equal(config.log.color, COLOR_ALWAYS);
	assert_int_equal(config.log.format, FORMAT_TEXT);
	assert_int_equal(config.log.max_size, 10 << 20);
	assert_false(config.security.insecure);
}

static void reads_every_form_of_a_duration(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} good[] = {
		{ "250ms", 250 },    { "5s", 5000 },
		{ "2m", 120000 },    { "1h", 3600000 },
		{ "5", 5000 },       { "0.5s", 500 },
		{ "1.5", 1500 },     { "0.01", 10 },
		{ "1.5m", 90000 },   { "0.25h", 900000 },
		{ "0.001m", 60 },    { "10ms", 10 },
		{ "10.0ms", 10 },    { "010ms", 10 },
		{ "0", 0 },          { "0s", 0 },
		{ "0.0", 0 },        { "0ms", 0 },
		{ "90s", 90000 },    { "1.000000000s", 1000 },
		{ "0.00025h", 900 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		int64_t ms = -1;

		if (config_parse_duration(good[i].text, &ms) != ERR_OK ||
		    ms != good[i].ms)
			fail_msg("%s: %lld", good[i].text, (long long)ms);
	}
}

static void refuses_every_other_duration(void **state)
{
	static const char *const bad[] = {
		"",
		"s",
		"ms",
		"5 s",
		"5sec",
		"5S",
		"5MS",
		"-5s",
		"+5s",
		"1e3",
		"5d",
		"0x5",
		".5",
		"5.",
		"5.s",
		"1..5",
		"1.5.5",
		"1,5",
		" 5",
		"5 ",
		"5s ",
		"0.0001",
		"0.5ms",
		"1.0005s",
		"5s5",
		"5m5s",
		"inf",
		"nan",
		"0.0000000001s",
		"9999999999999999999999",
		"9223372036854775807",
		"9223372036854775807h",
		"2562047788015216h",
	};
	int64_t ms = 77;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		if (config_parse_duration(bad[i], &ms) == ERR_OK)
			fail_msg("'%s' is no duration", bad[i]);
	assert_int_equal(ms, 77);
}

static void reads_every_form_of_a_size(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {
		{ "65536", 65536 },      { "64K", 65536 },
		{ "64k", 65536 },        { "4M", 4194304 },
		{ "4m", 4194304 },       { "1G", 1073741824 },
		{ "1g", 1073741824 },    { "65537", 65537 },
		{ "64G", 68719476736u },
	};
	static const char *const bad[] = {
		"",
		"K",
		"64KB",
		"64KiB",
		"1.5M",
		"-64K",
		"64 K",
		"64T",
		"64M ",
		" 64M",
		"1G1",
		"0x10000",
		"17179869185G",
		"99999999999999999999",
		"65535",
		"65G",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		char text[64];

		snprintf(text, sizeof text, "gossip.store_bytes=%s",
			 good[i].text);
		sets(text);
		assert_int_equal(config.gossip.store_bytes, good[i].bytes);
	}
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		char text[64];

		snprintf(text, sizeof text, "gossip.store_bytes=%s", bad[i]);
		refuses(text, "store_bytes must be a size (64K to 64G), not '");
	}
}

static void reads_a_count_of_63_bits_and_no_more(void **state)
{
	uint64_t n = 7;

	(void)state;
	assert_int_equal(config_parse_count("9223372036854775807", &n), ERR_OK);
	assert_int_equal(n, INT64_MAX);
	assert_int_equal(config_parse_count("9223372036854775808", &n),
			 ERR_RANGE);
	assert_int_equal(config_parse_count("18446744073709551617", &n),
			 ERR_RANGE);
	assert_int_equal(config_parse_count("", &n), ERR_SYNTAX);
	assert_int_equal(config_parse_count("1 ", &n), ERR_SYNTAX);
	assert_int_equal(n, INT64_MAX);
}

static void reads_counts_within_their_range(void **state)
{
	static const char *const bad[] = { "",
					   "3",
					   "16",
					   "-4",
					   "4.0",
					   "4K",
					   "x",
					   "0x8",
					   " 5",
					   "+5",
					   "18446744073709551620" };

	(void)state;
	sets("overlay.max_links=4");
	assert_int_equal(config.overlay.links_max, 4);
	sets("overlay.max_links=15");
	assert_int_equal(config.overlay.links_max, 15);
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		char text[64];

		snprintf(text, sizeof text, "overlay.max_links=%s", bad[i]);
		refuses(text, "max_links must be a number (4 to 15), not '");
	}
}

static void reads_truths_and_choices(void **state)
{
	static const char *const yes[] = { "yes", "true", "on" };
	static const char *const no[] = { "no", "false", "off" };
	char text[64];

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		snprintf(text, sizeof text, "security.insecure=%s", yes[i]);
		sets(text);
		assert_true(config.security.insecure);
		snprintf(text, sizeof text, "security.insecure=%s", no[i]);
		sets(text);
		assert_false(config.security.insecure);
	}
	refuses("security.insecure=1", "insecure must be yes or no, not '1'");
	refuses("security.insecure=Yes", "yes or no");
	refuses("security.insecure=", "yes or no");
	sets("log.level=debug");
	assert_int_equal(config.log.level, LOG_DEBUG);
	sets("log.color=never");
	assert_int_equal(config.log.color, COLOR_NEVER);
	sets("log.format=json");
	assert_int_equal(config.log.format, FORMAT_JSON);
	refuses("log.level=loud",
		"level must be error, warn, info or debug, not 'loud'");
	refuses("log.color=on", "always, auto or never");
	refuses("log.format=xml", "text or json");
}

static void reads_addresses_in_one_form_only(void **state)
{
	static const char *const good[] = {
		"127.0.0.1:0",   "0.0.0.0:5345", "[::1]:0",
		"[::]:65535",    "localhost:0",  "[2001:db8::1]:7",
		"a-b_c.d.e1:80", "seed1:80",     "1a.example:80",
	};
	static const char *const bad[] = {
		"",
		":80",
		"127.0.0.1",
		"127.0.0.1:",
		"127.0.0.1:x",
		"127.0.0.1:-1",
		"127.0.0.1:65536",
		"::1:80",
		"[::1]",
		"[::1]80",
		"[]:80",
		"[x]:80",
		"[1.2.3.4]:80",
		"1.2.3:80",
		"1.2.3.4.5:80",
		"256.1.1.1:80",
		"127.0.0.01:80",
		"1234:80",
		"[0::1]:80",
		"[2001:DB8::1]:80",
		"[::ffff:1.2.3.4]:80",
		"[fe80::1%eth0]:80",
		"a b:80",
		" a:80",
		"a:80 ",
		"a:080",
		"-a:80",
		".a:80",
		"a;b:80",
		"a/b:80",
		"http://a:80",
		"\xc3\xa9:80",
		"a\x1b[1m:80",
		"*:80",
	};
	char text[128];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		snprintf(text, sizeof text, "peer.listen=%s", good[i]);
		sets(text);
		assert_string_equal(config.peer.listen, good[i]);
	}
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		snprintf(text, sizeof text, "peer.listen=%s", bad[i]);
		refuses(text, "listen must be HOST:PORT (port 0 to 65535)");
	}
	sets("peer.advertise=example.org:80");
	sets("peer.advertise=");
	assert_string_equal(config.peer.advertise, "");
	refuses("peer.advertise=example.org:0", "or empty (port 1 to 65535)");
}

static void a_path_is_what_a_line_can_hold(void **state)
{
	static const char *const bad[] = {
		"",     " a",    "a ",       "a ;b",  ";a",  "a\nb",
		"a\tb", "a\x7f", "a\x1b[2J", "\"a\"", "'a'", "a\xff",
	};
	char text[CONFIG_TEXT_MAX + 40];
	size_t n;

	(void)state;
	sets("log.directory=/var/log/seed;peer=1: x#y");
	assert_string_equal(config.log.directory, "/var/log/seed;peer=1: x#y");
	sets("log.directory=\xc3\xa9");
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		snprintf(text, sizeof text, "log.directory=%s", bad[i]);
		refuses(text, "directory must be a path");
	}
	n = (size_t)snprintf(text, sizeof text, "log.directory=");
	memset(text + n, 'a', CONFIG_TEXT_MAX - 1);
	text[n + CONFIG_TEXT_MAX - 1] = '\0';
	sets(text);
	text[n + CONFIG_TEXT_MAX - 1] = 'a';
	text[n + CONFIG_TEXT_MAX] = '\0';
	refuses(text, "up to 4095 plain characters, not 'aaa");
}

static void a_reason_shows_the_value_short_and_harmless(void **state)
{
	char text[400] = "overlay.dials=\x1b[31m";
	const char *why = "";

	(void)state;
	memset(text + strlen(text), 'z', 300);
	assert_int_not_equal(config_set_text(&config, text, &why), ERR_OK);
	assert_null(strchr(why, '\x1b'));
	assert_non_null(strstr(why, "'\\x1b[31mzzz"));
	assert_non_null(strstr(why, "zzz...'"));
	assert_true(strlen(why) < 140);
}

static void a_setting_is_section_dot_key(void **state)
{
	static const char *const bad[] = { "",        "x", "peer.listen",
					   "=",       ".", "listen=127.0.0.1:0",
					   "peer=1.2" };
	char text[200];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		refuses(bad[i], "must be section.key=value, not '");
	refuses("peer.=1", "unknown key '' in [peer]");
	refuses(".listen=1", "unknown section ''");
	refuses("peer.lisen=1", "unknown key 'lisen' in [peer]");
	refuses("peer.LISTEN=1", "unknown key 'LISTEN' in [peer]");
	refuses("pear.listen=1", "unknown section 'pear'");
	refuses("peer .listen=1", "unknown section 'peer '");
	refuses("peer.listen =1", "unknown key 'listen '");
	refuses("peer.interval=1", "unknown key");
	memset(text, 'a', sizeof text);
	memcpy(text + 190, ".b=c", 5);
	refuses(text, "must be section.key=value");
}

/* --- seeds -------------------------------------------------------------- */

static void seeds_are_added_replaced_and_removed(void **state)
{
	(void)state;
	sets("seeds.a=127.0.0.1:1");
	sets("seeds.B_2-x=[::1]:2");
	sets("seeds.c=example.org:3");
	assert_int_equal(config.seed_count, 3);
	assert_string_equal(config.seeds[1].name, "B_2-x");
	assert_string_equal(config.seeds[1].host, "::1");
	assert_int_equal(config.seeds[1].port, 2);
	sets("seeds.a=127.0.0.2:9");
	assert_int_equal(config.seed_count, 3);
	assert_string_equal(config.seeds[0].host, "127.0.0.2");
	assert_int_equal(config.seeds[0].port, 9);
	sets("seeds.a=");
	assert_int_equal(config.seed_count, 2);
	assert_string_equal(config.seeds[0].name, "B_2-x");
	assert_string_equal(config.seeds[1].name, "c");
	refuses("seeds.a=", "no seed of this name");
	refuses("seeds.a=127.0.0.1:0", "a must be HOST:PORT (port 1 to 65535)");
	refuses("seeds.a=127.0.0.1", "not '127.0.0.1'");
	refuses("seeds.=a:1", "1 to 31 of A-Z a-z 0-9 _ -");
	refuses("seeds.a b=a:1", "not 'a b'");
	refuses("seeds.../../x=a:1", "not '../../x'");
	refuses("seeds.a12345678901234567890123456789012=a:1", "1 to 31");
	sets("seeds.a123456789012345678901234567890=a:1");
}

static void there_may_be_64_seeds(void **state)
{
	char text[64];

	(void)state;
	for (int i = 0; i < CONFIG_SEEDS_MAX; i++) {
		snprintf(text, sizeof text, "seeds.n%d=127.0.0.1:%d", i, i + 1);
		sets(text);
	}
	refuses("seeds.more=127.0.0.1:1000", "more than 64 seeds");
	sets("seeds.n63=127.0.0.1:1000");
	sets("seeds.n0=");
	sets("seeds.more=127.0.0.1:1001");
	assert_string_equal(config.seeds[62].name, "n63");
	assert_string_equal(config.seeds[63].name, "more");
}

/* --- a file ------------------------------------------------------------- */

static void reads_a_file_of_every_legal_form(void **state)
{
	(void)state;
	reads("; comment\n"
	      "# comment with = and : and [\n"
	      "   # indented comment\n"
	      " \t \n"
	      "\n"
	      "[seeds]\n"
	      "node1 = 127.0.0.1:5345\n"
	      "node2=[::1]:5281 ; the second\n"
	      "node-3\t=\tseed.example.org:5061\n"
	      "[peer] ; comment\n"
	      "listen = 127.0.0.1:7000\r\n"
	      "advertise =\n"
	      "[log]# comment\n"
	      "directory = a=b;c:d#e\n"
	      "[peer]\n"
	      "message_interval = 0.5s");
	assert_int_equal(config.seed_count, 3);
	assert_string_equal(config.seeds[0].host, "127.0.0.1");
	assert_int_equal(config.seeds[0].port, 5345);
	assert_string_equal(config.seeds[1].host, "::1");
	assert_string_equal(config.seeds[2].name, "node-3");
	assert_string_equal(config.seeds[2].host, "seed.example.org");
	assert_string_equal(config.peer.listen, "127.0.0.1:7000");
	assert_string_equal(config.log.directory, "a=b;c:d#e");
	assert_int_equal(config.peer.message_interval_ms, 500);
}

static void an_empty_file_changes_nothing(void **state)
{
	static const char *const texts[] = { "",     "\n",     "\r\n",
					     "\n\n", "[peer]", "# only this" };
	struct config before = config;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(texts); i++)
		reads(texts[i]);
	assert_memory_equal(&config, &before, sizeof config);
}

static void a_line_may_have_190_bytes(void **state)
{
	char text[256], said[512];

	(void)state;
	for (int crlf = 0; crlf < 2; crlf++) {
		size_t n = (size_t)snprintf(text, sizeof text,
					    "[log]\ndirectory = ");

		memset(text + n, 'd', sizeof text - n);
		n = 6 + CONFIG_LINE_MAX;
		strcpy(text + n, crlf ? "\r\n" : "\n");
		reads(text);
		assert_int_equal(strlen(config.log.directory),
				 CONFIG_LINE_MAX - strlen("directory = "));
		text[n] = 'd';
		strcpy(text + n + 1, crlf ? "\r\n" : "\n");
		assert_int_equal(read_bytes(text, strlen(text), said),
				 ERR_TOO_LONG);
		assert_string_equal(said,
				    "x.ini:2: line of 191 bytes, 190 at most");
	}
}

static const struct bad_file {
	const char *text;
	unsigned line;
	const char *reason;
} bad_files[] = {
	/* Not a line at all. */
	{ "\xef\xbb\xbf[peer]\n", 1, "byte order mark" },
	{ "\xef\xbb\xbf", 1, "byte order mark" },
	{ "[peer]\n\xef\xbb\xbflisten = a:1\n", 2, "unknown key" },
	{ "[peer]\nlisten = a\rb\n", 2, "control character 0x0d" },
	{ "[peer]\rlisten = a:1\r", 1, "control character 0x0d" },
	{ "# a\x1b[31m\n", 1, "control character 0x1b" },
	{ "\f\n", 1, "control character 0x0c" },
	{ "[peer]\nlisten = a:1\x7f\n", 2, "control character 0x7f" },
	{ "\xff\xfe[peer]\n", 1, "bytes that are no UTF-8" },
	{ "[log]\ndirectory = caf\xe9\n", 2, "no UTF-8" },
	{ "# caf\xe9\n", 1, "no UTF-8" },
	{ "# \xe2\x82", 1, "no UTF-8" },
	{ "# \xc0\xaf\n", 1, "no UTF-8" },
	/* Sections. */
	{ "[]\n", 1, "section without a name" },
	{ "\n\n[pear]\n", 3, "unknown section [pear]" },
	{ "[Peer]\n", 1, "unknown section [Peer]" },
	{ "[ peer ]\n", 1, "unknown section [ peer ]" },
	{ "[peer\n", 1, "without its ']'" },
	{ "[\n", 1, "without its ']'" },
	{ "[peer ; x]\n", 1, "unknown section" },
	{ "[peer] x\n", 1, "text behind the ']'" },
	{ "[peer]]\n", 1, "text behind the ']'" },
	{ "[peer] listen = a:1\n", 1, "text behind the ']'" },
	{ "[peerpeerpeerpeerpeerpeerpeerpeerpeerpeerpeerpeerpeer]\n", 1,
	  "unknown section" },
	{ "[peer.listen]\n", 1, "unknown section" },
	{ "listen = a:1\n", 1, "before the first [section]" },
	{ "# x\n\nlisten = a:1\n[peer]\n", 3, "before the first [section]" },
	/* What is no key = value. */
	{ "[peer]\nlisten\n", 2, "neither [section] nor key = value" },
	{ "[peer]\nlisten ; = a:1\n", 2, "neither" },
	{ "[peer]\n# listen\nlisten a\n", 3, "neither" },
	{ "[peer]\n= a:1\n", 2, "no key before the '='" },
	{ "[peer]\nlisten: 127.0.0.1:1\n", 2, "':' before the '='" },
	{ "[seeds]\nnode1: 127.0.0.1:5345\n", 2, "':' before the '='" },
	{ "[seeds]\nnode1:x = 127.0.0.1:5345\n", 2, "':' before the '='" },
	{ "[seeds]\n127.0.0.1:5345\n", 2, "':' before the '='" },
	{ "[peer]\n listen = a:1\n", 2, "indented" },
	{ "[peer]\n\tlisten = a:1\n", 2, "indented" },
	{ " [peer]\n", 1, "indented" },
	{ "[seeds]\nnode1 = 127.0.0.1:5345,\n  127.0.0.1:5281\n", 2,
	  "must be HOST:PORT" },
	{ "[seeds]\nnode1 = 127.0.0.1:5345\n  127.0.0.1:5281\n", 3,
	  "indented" },
	/* Keys. */
	{ "[peer]\nlisen = a:1\n", 2, "unknown key 'lisen' in [peer]" },
	{ "[peer]\nconnections_max = 1\n", 2, "unknown key" },
	{ "[peer]\nLISTEN = a:1\n", 2, "unknown key 'LISTEN'" },
	{ "[peer]\n\"listen\" = a:1\n", 2, "unknown key" },
	{ "[seed]\nnode1 = 127.0.0.1:5345\n", 2, "unknown key 'node1'" },
	{ "[overlay]\ninterval = 5s\n", 2, "in [overlay]" },
	{ "[peer]\nlisten = a:1\nlisten = a:1\n", 3, "second time" },
	{ "[peer]\nlisten = a:1\n[log]\n[peer]\nlisten = b:1\n", 5,
	  "listen is set a second time" },
	{ "[seeds]\na = a:1\nb = b:1\na = c:1\n", 4, "second time" },
	/* Values. */
	{ "[peer]\nlisten =\n", 2, "listen must be HOST:PORT" },
	{ "[peer]\nlisten = ; a:1\n", 2, "not ''" },
	{ "[peer]\nlisten = 127.0.0.1\n", 2, "listen must be HOST:PORT" },
	{ "[peer]\nlisten = a:65536\n", 2, "(port 0 to 65535)" },
	{ "[peer]\nlisten = \"a:1\"\n", 2, "not '\"a:1\"'" },
	{ "[peer]\nlisten = a:1 # here\n", 2, "not 'a:1 # here'" },
	{ "[peer]\nadvertise = a:0\n", 2, "(port 1 to 65535)" },
	{ "[peer]\nmessage_interval = 9ms\n", 2, "(0 or 10ms to 24h)" },
	{ "[peer]\nmessage_interval = 25h\n", 2, "not '25h'" },
	{ "[peer]\nmessage_interval = five\n", 2, "not 'five'" },
	{ "[peer]\nmax_connections = 0\n", 2, "(1 to 65536)" },
	{ "[overlay]\n\n\nmax_links = 16\n", 4, "(4 to 15), not '16'" },
	{ "[overlay]\nmax_links = 3\n", 2, "(4 to 15)" },
	{ "[overlay]\ndials = 0\n", 2, "(1 to 15)" },
	{ "[overlay]\nsample = 33\n", 2, "(1 to 32)" },
	{ "[overlay]\ntie = 0\n", 2, "a duration (10ms to 1h), not '0'" },
	{ "[overlay]\nreport_delay = -1\n", 2, "(0 to 1h)" },
	{ "[overlay]\ndial_timeout = 0.0005s\n", 2, "not '0.0005s'" },
	{ "[liveness]\ninterval = 5 s\n", 2, "not '5 s'" },
	{ "[liveness]\ntimeout = 0\n", 2, "(10ms to 24h)" },
	{ "[gossip]\nmax_data = 2M\n", 2, "a size (1 to 1M), not '2M'" },
	{ "[gossip]\nmax_data = 1048577\n", 2, "(1 to 1M)" },
	{ "[gossip]\nmax_outbox = 4MB\n", 2, "not '4MB'" },
	{ "[gossip]\nmax_runs = 64K\n", 2, "a number (1 to 16777216)" },
	{ "[seed]\nallow_foreign = maybe\n", 2, "yes or no, not 'maybe'" },
	{ "[seed]\nperiod = 1d\n", 2, "not '1d'" },
	{ "[seed]\nmax_verify = 1e3\n", 2, "not '1e3'" },
	{ "[log]\ndirectory =\n", 2, "directory must be a path" },
	{ "[log]\nlevel = verbose\n", 2, "error, warn, info or debug" },
	{ "[log]\ncolor = yes\n", 2, "always, auto or never" },
	{ "[log]\nmax_size = 1K\n", 2, "(4K to 64G)" },
	{ "[security]\ninsecure\n", 2, "neither" },
	/* Seeds. */
	{ "[seeds]\na =\n", 2, "without HOST:PORT" },
	{ "[seeds]\na = a:0\n", 2, "a must be HOST:PORT (port 1 to 65535)" },
	{ "[seeds]\na = 127.0.0.1:5345 127.0.0.1:5281\n", 2, "HOST:PORT" },
	{ "[seeds]\na.b = a:1\n", 2, "a seed's name" },
	{ "[seeds]\na = 0.0.0.0:1\n", 2, "wildcard" },
	{ "[seeds]\na = [::]:1\n", 2, "wildcard" },
	{ "[seeds]\na/b = a:1\n", 2, "not 'a/b'" },
	{ "[seeds]\n\xc3\xa9 = a:1\n", 2, "a seed's name" },
	{ "[seeds]\na12345678901234567890123456789012 = a:1\n", 2, "1 to 31" },
	/* The line ends do not move the count. */
	{ "\r\n\r\n[peer]\r\nx = 1\r\n", 4, "unknown key 'x'" },
	{ "[seeds]\na = a:1\n\n; c\n[log]\nlevel = info\nlevel=warn", 7,
	  "second time" },
};

static void refuses_a_bad_file_at_the_right_line(void **state)
{
	char said[512], start[32];

	(void)state;
	assert_true(COUNT_OF(bad_files) >= 60);
	for (size_t i = 0; i < COUNT_OF(bad_files); i++) {
		const struct bad_file *b = &bad_files[i];
		struct config before;

		config_init(&config);
		before = config;
		if (read_bytes(b->text, strlen(b->text), said) == ERR_OK)
			fail_msg("accepted: %s", b->text);
		snprintf(start, sizeof start, "x.ini:%u: ", b->line);
		if (strncmp(said, start, strlen(start)) != 0 ||
		    strstr(said, b->reason) == NULL)
			fail_msg("'%s' is not '%s...%s' for:\n%s", said, start,
				 b->reason, b->text);
		assert_null(strchr(said, '\n'));
		assert_memory_equal(&config, &before, sizeof config);
	}
}

static void the_line_of_a_key_is_found_in_its_section(void **state)
{
	static const char text[] = "[overlay]\n"
				   "# dials = 1\n"
				   "max_links\t= 5\r\n"
				   "\n"
				   "[seeds] ; dials = 2\n"
				   "dials = a:1\n"
				   "a=b:1\n"
				   "[overlay]# again\n"
				   "dials=5\n"
				   "dial_timeout = 5s";
	static const struct {
		const char *setting;
		unsigned line;
	} cases[] = {
		{ "overlay.dials", 9 },
		{ "overlay.max_links", 3 },
		{ "seeds.dials", 6 },
		{ "seeds.a", 7 },
		{ "overlay.dial_timeout", 10 },
		{ "overlay.dial", 0 },
		{ "overlay.sample", 0 },
		{ "seeds.max_links", 0 },
		{ "over.dials", 0 },
		{ "overlays.dials", 0 },
	};
	const size_t n = sizeof text - 1;
	char *copy = exact_copy(text, n);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		assert_int_equal(config_line_of(copy, n, cases[i].setting),
				 cases[i].line);
	assert_int_equal(config_line_of(copy, 0, "overlay.dials"), 0);
	/* Cut anywhere, it looks at nothing behind the end. */
	for (size_t i = 0; i < n; i++) {
		char *part = exact_copy(text, i);

		(void)config_line_of(part, i, "overlay.dial_timeout");
		free(part);
	}
	free(copy);
}

static void refuses_a_nul_at_its_line(void **state)
{
	static const char a[] = "[peer]\nlisten = a:1\0\n";
	static const char b[] = "[peer]\n# x\n\n#\0";
	char said[512];

	(void)state;
	assert_int_equal(read_bytes(a, sizeof a - 1, said), ERR_SYNTAX);
	assert_string_equal(said, "x.ini:2: control character 0x00");
	assert_int_equal(read_bytes(b, sizeof b - 1, said), ERR_SYNTAX);
	assert_string_equal(said, "x.ini:4: control character 0x00");
}

/* inih alone splits these: what comes behind byte 199 becomes a line. */
static void an_over_long_comment_sets_nothing(void **state)
{
	char text[600], said[512];

	(void)state;
	memset(text, 'x', sizeof text);
	memcpy(text, "[overlay]\n#", 11);
	snprintf(text + 11 + 198, 40, "dials = 1\n");
	assert_int_equal(read_bytes(text, strlen(text), said), ERR_TOO_LONG);
	assert_non_null(strstr(said, "x.ini:2: line of "));
	assert_int_equal(config.overlay.dials, 4);
}

static void the_65th_seed_is_refused_at_its_line(void **state)
{
	char text[4096] = "[seeds]\n", said[512];

	(void)state;
	for (int i = 1; i <= 65; i++)
		snprintf(text + strlen(text), 40, "n%d = 127.0.0.1:%d\n", i, i);
	assert_int_equal(read_bytes(text, strlen(text), said), ERR_FULL);
	assert_string_equal(said, "x.ini:66: more than 64 seeds");
	*strstr(text, "n65") = '\0';
	reads(text);
	assert_int_equal(config.seed_count, 64);
	reads(text); /* a second file may say the same */
	assert_int_equal(config.seed_count, 64);
}

static void the_name_of_a_file_cannot_play_with_the_terminal(void **state)
{
	struct buf message = { 0 };

	(void)state;
	assert_int_not_equal(
		config_read(&config, "a\x1b[2Jb", "x", 1, &message), ERR_OK);
	assert_string_equal(buf_text(&message),
			    "a\\x1b[2Jb:1: neither [section] nor key = value");
	buf_free(&message);
}

/* Whatever bytes come: no crash, one line, and a config that prints. */
static void survives_every_cut_and_flip_of_a_file(void **state)
{
	char said[512];
	char *text;
	size_t n;

	(void)state;
	sets("seeds.node1=127.0.0.1:5345");
	text = print(false);
	n = strlen(text);
	for (size_t i = 0; i < n; i++) {
		static const char flips[] = "\0\n:=;# [\xff";
		char old = text[i];

		(void)!read_bytes(text, i, said);
		text[i] = flips[i % (sizeof flips - 1)];
		if (read_bytes(text, n, said) != ERR_OK) {
			assert_int_equal(strncmp(said, "x.ini:", 6), 0);
			assert_null(strchr(said, '\n'));
		}
		text[i] = old;
	}
	free(text);
}

/* --- printing ----------------------------------------------------------- */

/* A second value for any key, different from the preset. */
static void other_value(const struct config_key *k, char out[64])
{
	struct config c = config;
	char lowest[32], highest[32];

	snprintf(lowest, sizeof lowest, "%llu%s", (unsigned long long)k->min,
		 k->kind == KIND_DURATION ? "ms" : "");
	snprintf(highest, sizeof highest, "%llu%s", (unsigned long long)k->max,
		 k->kind == KIND_DURATION ? "ms" : "");
	switch (k->kind) {
	case KIND_TEXT:
		snprintf(out, 64, "/tmp/%s x", k->name);
		break;
	case KIND_HOSTPORT:
		snprintf(out, 64, "%s.example:17", k->name);
		break;
	case KIND_BOOL:
		snprintf(out, 64, "%s", *k->preset == 'n' ? "yes" : "no");
		break;
	case KIND_CHOICE:
		snprintf(out, 64, "%s", k->words[1]);
		if (strcmp(out, k->preset) == 0)
			snprintf(out, 64, "%s", k->words[0]);
		break;
	default:
		assert_int_equal(config_value_read(k, &c, highest), ERR_OK);
		assert_int_equal(config_value_read(k, &c, lowest), ERR_OK);
		snprintf(out, 64, "%s", lowest);
		if (memcmp(&c, &config, sizeof c) == 0)
			snprintf(out, 64, "%s", highest);
	}
}

static void every_key_has_a_field_of_its_own(void **state)
{
	(void)state;
	for (size_t i = 0; i < config_key_count; i++) {
		const struct config_key *k = &config_keys[i];
		struct config before = config;
		const char *why = "";
		char value[64];

		assert_true(k->offset + k->size <= sizeof config);
		if (k->kind >= KIND_DURATION && k->kind != KIND_BOOL)
			assert_int_equal(k->size, 8);
		if (k->kind == KIND_BOOL)
			assert_int_equal(k->size, sizeof(bool));
		assert_true(config_section_known(k->section));
		assert_ptr_equal(config_key_find(k->section, k->name), k);
		other_value(k, value);
		assert_int_equal(
			config_set(&config, k->section, k->name, value, &why),
			ERR_OK);
		assert_memory_not_equal((char *)&config + k->offset,
					(char *)&before + k->offset, k->size);
		memcpy((char *)&config + k->offset, (char *)&before + k->offset,
		       k->size);
		assert_memory_equal(&config, &before, sizeof config);
	}
}

static void what_was_printed_reads_back_the_same(void **state)
{
	char value[64];
	const char *why;

	(void)state;
	for (int changed = 0; changed < 2; changed++) {
		struct config before;

		config_init(&config);
		for (size_t i = 0; changed && i < config_key_count; i++) {
			const struct config_key *k = &config_keys[i];

			other_value(k, value);
			assert_int_equal(config_set(&config, k->section,
						    k->name, value, &why),
					 ERR_OK);
		}
		sets("seeds.node1=127.0.0.1:5345");
		sets("seeds.six=[2001:db8::1]:5281");
		sets("seeds.a-name=seed.example.org:65535");
		before = config;
		for (int comments = 0; comments < 2; comments++) {
			char *text = print(comments != 0), *again;

			config_init(&config);
			reads(text);
			assert_memory_equal(&config, &before, sizeof config);
			again = print(comments != 0);
			assert_string_equal(again, text);
			free(again);
			free(text);
		}
	}
}

static void prints_the_most_natural_unit(void **state)
{
	static const struct {
		const char *setting, *line;
	} cases[] = {
		{ "liveness.interval=1.5", "\ninterval = 1500ms\n" },
		{ "liveness.interval=90s", "\ninterval = 90s\n" },
		{ "liveness.interval=120", "\ninterval = 2m\n" },
		{ "liveness.timeout=7200", "\ntimeout = 2h\n" },
		{ "liveness.timeout=60000ms", "\ntimeout = 1m\n" },
		{ "peer.message_interval=0s", "\nmessage_interval = 0\n" },
		{ "gossip.store_bytes=1048576K", "\nstore_bytes = 1G\n" },
		{ "gossip.store_bytes=1536K", "\nstore_bytes = 1536K\n" },
		{ "gossip.store_bytes=65537", "\nstore_bytes = 65537\n" },
		{ "gossip.max_runs=4096", "\nmax_runs = 4096\n" },
		{ "seed.allow_foreign=on", "\nallow_foreign = yes\n" },
		{ "log.level=debug", "\nlevel = debug\n" },
		{ "peer.advertise=", "\nadvertise =\n" },
		{ "seeds.six=[::1]:80", "\nsix = [::1]:80\n" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char *text;

		sets(cases[i].setting);
		text = print(false);
		if (strstr(text, cases[i].line) == NULL)
			fail_msg("no%sin:\n%s", cases[i].line, text);
		assert_null(strchr(text, '#'));
		free(text);
	}
}

static void comments_explain_every_key_in_short_lines(void **state)
{
	char *text = print(true), *rest = text, *line;
	char before[100] = "";
	size_t explained = 0;

	(void)state;
	while ((line = strsep(&rest, "\n")) != NULL) {
		if (strlen(line) > 80)
			fail_msg("more than 80 columns: %s", line);
		if (strchr("#[", line[0]) == NULL) {
			assert_int_equal(before[0], '#');
			assert_non_null(strstr(before, ", default "));
			explained++;
		}
		snprintf(before, sizeof before, "%s", line);
	}
	assert_int_equal(explained, config_key_count);
	free(text);
}

/* --- config.ini --------------------------------------------------------- */

/* Regenerate it by hand when this fails: see what the message expects. */
static void the_shipped_file_is_the_defaults_and_three_seeds(void **state)
{
	static char text[65536];
	FILE *file = fopen("config.ini", "r");
	struct config shipped;
	char *expected;
	size_t n;

	(void)state;
	assert_non_null(file); /* run it from the root of the repository */
	n = fread(text, 1, sizeof text - 1, file);
	fclose(file);
	text[n] = '\0';
	reads(text);
	shipped = config;
	config_init(&config);
	sets("seeds.node1=127.0.0.1:5345");
	sets("seeds.node2=127.0.0.1:5281");
	sets("seeds.node3=127.0.0.1:5061");
	sets("peer.message_interval=5s");
	assert_memory_equal(&shipped, &config, sizeof config);
	expected = print(true);
	assert_string_equal(text, expected);
	free(expected);
}

/* --- the environment ---------------------------------------------------- */

static void reads_env(const char *a, const char *b)
{
	char one[100], two[100];
	char *envp[] = { one, two, NULL };
	struct buf message = { 0 };

	snprintf(one, sizeof one, "%s", a);
	snprintf(two, sizeof two, "%s", b);
	if (config_read_env(&config, envp, &message) != ERR_OK)
		fail_msg("%s %s: %s", a, b, buf_text(&message));
	assert_int_equal(message.len, 0);
}

static void the_environment_sets_any_key(void **state)
{
	(void)state;
	reads_env("SEEDPEER_OVERLAY_MAX_LINKS=7", "SEEDPEER_LOG_LEVEL=debug");
	assert_int_equal(config.overlay.links_max, 7);
	assert_int_equal(config.log.level, LOG_DEBUG);
	reads_env("SEEDPEER_SEED_PERIOD=10ms", "SEEDPEER_PEER_ADVERTISE=");
	assert_int_equal(config.seed.period_ms, 10);
	reads_env("SEEDPEER_LOG_DIRECTORY=/a=b", "SEEDPEER_LOG_DIRECTORY=/c=d");
	assert_string_equal(config.log.directory, "/c=d");
}

static void the_environment_sets_seeds(void **state)
{
	(void)state;
	sets("seeds.Node-1=127.0.0.1:1");
	reads_env("SEEDPEER_SEEDS_NODE_1=127.0.0.2:2",
		  "SEEDPEER_SEEDS_EXTRA=127.0.0.3:3");
	assert_int_equal(config.seed_count, 2);
	assert_string_equal(config.seeds[0].name, "Node-1");
	assert_string_equal(config.seeds[0].host, "127.0.0.2");
	assert_string_equal(config.seeds[1].name, "extra");
	reads_env("SEEDPEER_SEEDS_extra=", "PATH=/bin");
	assert_int_equal(config.seed_count, 1);
}

static void the_environment_of_others_is_left_alone(void **state)
{
	struct config before = config;

	(void)state;
	reads_env("SEEDPEER=1", "SEEDPEER_=2");
	reads_env("SEEDPEER_PEER=1", "SEEDPEER_BIN=x");
	reads_env("SEEDPEER_PEER_LISTEN", "SEEDPEER_TEST_DIR=/x");
	reads_env("XSEEDPEER_LOG_LEVEL=debug", "seedpeer_LOG_LEVEL=debug");
	reads_env("SEEDPEER__LISTEN=a:1", "SEEDPEER_SEEDS=a:1");
	/* of a service called seedpeer-seed */
	reads_env("SEEDPEER_SEED_PORT=tcp://192.0.2.1:5345",
		  "SEEDPEER_SEED_PORT_5345_TCP_ADDR=192.0.2.1");
	reads_env("SEEDPEER_SEED_SERVICE_HOST=192.0.2.1",
		  "SEEDPEER_SEED_0_SERVICE_PORT=5345");
	reads_env("SEEDPEER_PEER_METRICS_PORT=tcp://192.0.2.1:5345",
		  "SEEDPEER_PEER_METRICS_PORT_7000_TCP=192.0.2.1");
	reads_env("", "=");
	assert_memory_equal(&config, &before, sizeof config);
}

static void a_bad_variable_is_named(void **state)
{
	static const struct {
		const char *variable, *message;
	} bad[] = {
		{ "SEEDPEER_OVERLAY_DIALS=0",
		  "environment SEEDPEER_OVERLAY_DIALS: dials must be a number "
		  "(1 to 15), "
		  "not '0'" },
		{ "SEEDPEER_LOG_LEVEL=", "environment SEEDPEER_LOG_LEVEL: "
					 "level must be error, warn, info or "
					 "debug, not ''" },
		{ "SEEDPEER_SEEDS_A=1",
		  "environment SEEDPEER_SEEDS_A: a must be HOST:PORT (port 1 "
		  "to 65535), not '1'" },
		{ "SEEDPEER_PEER_LISEN=a:1",
		  "environment SEEDPEER_PEER_LISEN: unknown key 'lisen' in "
		  "[peer]" },
		{ "SEEDPEER_SEED_PERIODE=1",
		  "environment SEEDPEER_SEED_PERIODE: unknown key 'periode' in "
		  "[seed]" },
		{ "SEEDPEER_LOG_=1",
		  "environment SEEDPEER_LOG_: unknown key '' in [log]" },
		{ "SEEDPEER_LOG_DIRECTORY=\xff",
		  "environment SEEDPEER_LOG_DIRECTORY: directory must be a "
		  "path of up to 4095 plain characters, not '\\xff'" },
		{ "SEEDPEER_SEEDS_A=[::]:1",
		  "environment SEEDPEER_SEEDS_A: nobody can dial a wildcard "
		  "address; a seed listens on one with -l HOST:PORT" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		char first[] = "SEEDPEER_OVERLAY_MAX_LINKS=5", text[300];
		char *envp[] = { first, text, NULL };
		struct buf message = { 0 };

		snprintf(text, sizeof text, "%s", bad[i].variable);
		assert_int_not_equal(config_read_env(&config, envp, &message),
				     ERR_OK);
		assert_string_equal(buf_text(&message), bad[i].message);
		assert_int_equal(config.overlay.links_max, 12);
		buf_free(&message);
	}
}

/* --- the whole ---------------------------------------------------------- */

static void defaults_with_a_seed_are_consistent(void **state)
{
	struct config_fault fault;

	(void)state;
	assert_int_not_equal(config_check(&config, &fault), ERR_OK);
	assert_string_equal(fault.why, "no seeds: [seeds] is empty or missing");
	assert_string_equal(fault.keys[0], "");
	sets("seeds.a=127.0.0.1:1");
	sets("seeds.b=127.0.0.1:2");
	sets("seeds.c=127.0.0.2:1");
	assert_int_equal(config_check(&config, &fault), ERR_OK);
}

static void check_named(const char *key, const char *a, const char *b)
{
	size_t n = strlen(key);

	assert_true(n > 0);
	if ((strncmp(a, key, n) != 0 || a[n] != '=') &&
	    (strncmp(b, key, n) != 0 || b[n] != '='))
		fail_msg("%s is neither of %s, %s", key, a, b);
}

static void contradictions_are_refused(void **state)
{
	static const struct {
		const char *a, *b, *reason;
	} bad[] = {
		{ "liveness.timeout=5s", "liveness.interval=5s",
		  "timeout must be longer than interval" },
		{ "gossip.outbox_high=4M", "gossip.max_outbox=4M",
		  "outbox_high must be less than max_outbox" },
		{ "overlay.repair_first=31s", "overlay.repair_max=30s",
		  "repair_first must not be above repair_max" },
		{ "overlay.repair=31s", "overlay.repair_max=30s",
		  "repair must not be above repair_max" },
		{ "overlay.dials=5", "overlay.max_links=4",
		  "dials must not be more than max_links" },
		{ "overlay.dials=5", "overlay.max_candidates=4",
		  "dials must not be more than max_candidates" },
		{ "gossip.slow_bytes=5M", "gossip.max_outbox=4M",
		  "slow_bytes" },
		{ "gossip.max_outbox=1536K", "gossip.max_data=1M",
		  "max_outbox must be at least twice max_data" },
		{ "gossip.store_bytes=1M", "gossip.max_data=1M",
		  "store_bytes must be at least twice max_data" },
		{ "gossip.max_output=1M", "gossip.max_data=1M",
		  "max_output must be at least twice max_data" },
		{ "gossip.ask_min=2s", "gossip.ask_max=1s",
		  "ask_min must not be above ask_max" },
		{ "gossip.outbox_high=5M", "gossip.max_outbox=4M",
		  "outbox_high must be less than max_outbox" },
		{ "peer.advertise=0.0.0.0:80", "peer.listen=0.0.0.0:80",
		  "wildcard" },
		{ "peer.advertise=[::]:80", "peer.listen=[::]:80", "wildcard" },
		{ "seeds.x=127.0.0.1:9", "seeds.y=127.0.0.1:9",
		  "seeds x and y have the same address" },
		{ "seeds.x=Seed.example:9", "seeds.y=seed.EXAMPLE:9",
		  "same address" },
		{ "seeds.x=[::1]:9", "seeds.y=[::1]:9", "same address" },
	};
	struct config_fault fault;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		config_init(&config);
		sets("seeds.a=127.0.0.1:1");
		sets(bad[i].a);
		sets(bad[i].b);
		if (config_check(&config, &fault) == ERR_OK)
			fail_msg("%s, %s: fine?", bad[i].a, bad[i].b);
		if (strstr(fault.why, bad[i].reason) == NULL)
			fail_msg("'%s' is not about %s", fault.why,
				 bad[i].reason);
		/* The keys it names are those that were set. */
		check_named(fault.keys[0], bad[i].a, bad[i].b);
		if (fault.keys[1][0] != '\0')
			check_named(fault.keys[1], bad[i].a, bad[i].b);
	}
}

static void tests_may_run_with_very_short_times(void **state)
{
	struct config_fault fault;
	const char *why = "";

	(void)state;
	for (size_t i = 0; i < config_key_count; i++) {
		const struct config_key *k = &config_keys[i];

		if (k->kind == KIND_DURATION && strcmp(k->name, "timeout") != 0)
			assert_int_equal(config_set(&config, k->section,
						    k->name, "10ms", &why),
					 ERR_OK);
	}
	sets("liveness.timeout=11ms");
	sets("overlay.report_delay=0");
	sets("seeds.a=127.0.0.1:1");
	assert_int_equal(config_check(&config, &fault), ERR_OK);
}

#define TEST(name) cmocka_unit_test_setup(name, fresh)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(defaults_are_those_of_the_design),
		TEST(reads_every_form_of_a_duration),
		TEST(refuses_every_other_duration),
		TEST(reads_every_form_of_a_size),
		TEST(reads_a_count_of_63_bits_and_no_more),
		TEST(reads_counts_within_their_range),
		TEST(reads_truths_and_choices),
		TEST(reads_addresses_in_one_form_only),
		TEST(a_path_is_what_a_line_can_hold),
		TEST(a_reason_shows_the_value_short_and_harmless),
		TEST(a_setting_is_section_dot_key),
		TEST(seeds_are_added_replaced_and_removed),
		TEST(there_may_be_64_seeds),
		TEST(reads_a_file_of_every_legal_form),
		TEST(an_empty_file_changes_nothing),
		TEST(a_line_may_have_190_bytes),
		TEST(refuses_a_bad_file_at_the_right_line),
		TEST(the_line_of_a_key_is_found_in_its_section),
		TEST(refuses_a_nul_at_its_line),
		TEST(an_over_long_comment_sets_nothing),
		TEST(the_65th_seed_is_refused_at_its_line),
		TEST(the_name_of_a_file_cannot_play_with_the_terminal),
		TEST(survives_every_cut_and_flip_of_a_file),
		TEST(every_key_has_a_field_of_its_own),
		TEST(what_was_printed_reads_back_the_same),
		TEST(prints_the_most_natural_unit),
		TEST(comments_explain_every_key_in_short_lines),
		TEST(the_shipped_file_is_the_defaults_and_three_seeds),
		TEST(the_environment_sets_any_key),
		TEST(the_environment_sets_seeds),
		TEST(the_environment_of_others_is_left_alone),
		TEST(a_bad_variable_is_named),
		TEST(defaults_with_a_seed_are_consistent),
		TEST(contradictions_are_refused),
		TEST(tests_may_run_with_very_short_times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
