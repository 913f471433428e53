#include "base/addr.h"

#include "test.h"

static bool parses(const char *text, struct addr *out)
{
	size_t n = strlen(text);
	char *copy = exact_copy(text, n);
	bool ok = addr_parse(copy, n, out);

	free(copy);
	return ok;
}

static struct addr address(const char *text)
{
	struct addr a = { 0 };

	if (!parses(text, &a))
		fail_msg("%s is not an address", text);
	return a;
}

static void prints_what_it_read(void **state)
{
	static const char *const texts[] = {
		"127.0.0.1:1",
		"0.0.0.0:80",
		"255.255.255.255:65535",
		"10.20.30.40:7000",
		"[::1]:7000",
		"[::]:1",
		"[2001:db8::1]:65535",
		"[fe80::1:2:3:4]:9",
		"[1:2:3:4:5:6:7:8]:10",
		"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
	};
	char text[ADDR_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		struct addr a = address(texts[i]);

		assert_int_equal(addr_format(&a, text), strlen(texts[i]));
		assert_string_equal(text, texts[i]);
	}
}

static void refuses_every_other_text(void **state)
{
	static const char *const texts[] = {
		"",
		":",
		":80",
		"1",
		"1.2.3.4",
		"1.2.3.4:",
		"1.2.3:80",
		"1.2.3.4.5:80",
		"1.2.3.4:0",
		"1.2.3.4:65536",
		"1.2.3.4:99999",
		"1.2.3.4:99999999999999999999",
		"256.2.3.4:80",
		"1.2.3.4:-1",
		"1.2.3.4:+1",
		"1.2.3.4:8x",
		"1.2.3.4:80 ",
		" 1.2.3.4:80",
		"-1.2.3.4:80",
		"0x1.2.3.4:80",
		"1.2.3.4 :80",
		"1..3.4:80",
		"localhost:80",
		"seed.example.org:80",
		"1.2.3.4:80:80",
		/* IPv6 */
		"::1:80",
		"[::1]",
		"[::1]:",
		"[::1]80",
		"[::1]:0",
		"[]:80",
		"[::1:80",
		"[::1]:65536",
		"[::g]:80",
		"[fe80::1%eth0]:80",
		"[fe80::1%1]:80",
		"[1.2.3.4]:80",
		"[1:2:3:4:5:6:7]:80",
		"[1:2:3:4:5:6:7:8:9]:80",
		"[",
		"[]",
		"[]:",
		"[:",
		"[::1]:80]",
	};
	struct addr a;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(texts); i++)
		if (parses(texts[i], &a))
			fail_msg("%s was accepted", texts[i]);
}

static void refuses_an_address_with_leading_zeros(void **state)
{
	static const char *const texts[] = {
		"01.2.3.4:80", "1.2.3.04:80",     "1.2.3.00:80",
		"1.2.3.4:080", "[::01]:80",       "[2001:0db8::1]:80",
		"1.2.3.4:00",  "[0:0:0::0001]:1",
	};
	struct addr a;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(texts); i++)
		if (parses(texts[i], &a))
			fail_msg("%s was accepted", texts[i]);
}

static void refuses_a_second_spelling_of_an_address(void **state)
{
	static const char *const texts[] = {
		"[0:0:0:0:0:0:0:1]:80", "[2001:DB8::1]:80",
		"[2001:db8:0::1]:80",   "[::ffff:1.2.3.4]:80",
		"[::ffff:102:304]:80",  "[1:2:3:4:5:6:7::]:80",
		"[1::2:0:0:0:0]:80",
	};
	struct addr a;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(texts); i++)
		if (parses(texts[i], &a))
			fail_msg("%s was accepted", texts[i]);
}

static void refuses_a_nul_inside(void **state)
{
	static const char v6[] = "[::1\0ff]:80", v4[] = "1.2.3.4\0:80";
	struct addr a;

	(void)state;
	assert_false(addr_parse(v6, sizeof v6 - 1, &a));
	assert_false(addr_parse(v4, sizeof v4 - 1, &a));
}

static void refuses_every_beginning_of_an_address(void **state)
{
	static const char *const texts[] = { "10.20.30.40:7",
					     "[2001:db8::1]:7" };
	struct addr a;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(texts); i++)
		for (size_t n = 0; n < strlen(texts[i]); n++) {
			char *copy = exact_copy(texts[i], n);

			assert_false(addr_parse(copy, n, &a));
			free(copy);
		}
}

static void writes_nothing_when_it_refuses(void **state)
{
	struct addr a = address("1.2.3.4:5"), before = a;

	(void)state;
	assert_false(parses("9.9.9.9:0", &a));
	assert_true(addr_equal(&a, &before));
}

static void fills_every_byte_of_an_address(void **state)
{
	struct addr a;
	static const uint8_t expected[sizeof a] = { 1, 2, 3, 4 };

	(void)state;
	memset(&a, 0xff, sizeof a);
	assert_true(parses("1.2.3.4:258", &a));
	assert_int_equal(a.port, 258);
	assert_int_equal(a.family, ADDR_V4);
	a.port = 0;
	a.family = 0;
	assert_memory_equal(&a, expected, sizeof a);
}

static void prints_a_host_without_brackets(void **state)
{
	struct addr v4 = address("1.2.3.4:5"), v6 = address("[::1]:5");
	char text[ADDR_TEXT_MAX];

	(void)state;
	assert_int_equal(addr_format_host(&v4, text), 7);
	assert_string_equal(text, "1.2.3.4");
	assert_int_equal(addr_format_host(&v6, text), 3);
	assert_string_equal(text, "::1");
}

static void prints_no_address_as_a_dash(void **state)
{
	struct addr none = { 0 };
	char text[ADDR_TEXT_MAX];

	(void)state;
	assert_int_equal(addr_format(&none, text), 1);
	assert_string_equal(text, "-");
	assert_int_equal(addr_format_host(&none, text), 1);
	assert_string_equal(text, "-");
}

static void orders_addresses_by_family_host_and_port(void **state)
{
	static const char *const ascending[] = {
		"1.2.3.4:5",   "1.2.3.4:6", "1.2.3.4:300", "1.2.4.0:1",
		"200.0.0.1:1", "[::1]:1",   "[::1]:2",     "[fe80::]:1",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(ascending); i++)
		for (size_t j = 0; j < COUNT_OF(ascending); j++) {
			struct addr a = address(ascending[i]);
			struct addr b = address(ascending[j]);
			int d = addr_compare(&a, &b);

			assert_int_equal((d > 0) - (d < 0), (i > j) - (i < j));
			assert_int_equal(addr_equal(&a, &b), i == j);
		}
}

static void tells_hosts_apart_but_not_ports(void **state)
{
	struct addr a = address("1.2.3.4:5"), b = address("1.2.3.4:6");
	struct addr c = address("1.2.3.5:5"), d = address("[102:304::]:5");

	(void)state;
	assert_true(addr_same_host(&a, &b));
	assert_false(addr_same_host(&a, &c));
	assert_false(addr_same_host(&a, &d));
}

static void names_who_is_behind_an_address(void **state)
{
	static const struct {
		const char *one, *other;
		bool same;
	} t[] = {
		{ "192.0.2.1:1", "192.0.2.1:2", true },
		{ "192.0.2.1:1", "192.0.2.2:1", false },
		{ "[2001:db8::1]:1", "[2001:db8::ffff:ffff:ffff:ffff]:2",
		  true },
		{ "[2001:db8::1]:1", "[2001:db8:0:1::1]:1", false },
		{ "[::1]:1", "0.0.0.0:1", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(t); i++) {
		struct addr a = address(t[i].one), b = address(t[i].other);

		a = addr_source(&a);
		b = addr_source(&b);
		assert_int_equal(addr_equal(&a, &b), t[i].same);
		assert_int_equal(a.port, 0);
	}
}

static void knows_loopback_wildcard_and_none(void **state)
{
	struct addr none = { 0 };
	static const struct {
		const char *text;
		bool loopback, wildcard;
	} t[] = {
		{ "127.0.0.1:1", true, false },  { "127.9.9.9:1", true, false },
		{ "126.0.0.1:1", false, false }, { "0.0.0.0:1", false, true },
		{ "[::1]:1", true, false },      { "[::]:1", false, true },
		{ "[7f00::]:1", false, false },  { "[::2]:1", false, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(t); i++) {
		struct addr a = address(t[i].text);

		assert_int_equal(addr_is_loopback(&a), t[i].loopback);
		assert_int_equal(addr_is_wildcard(&a), t[i].wildcard);
		assert_false(addr_is_none(&a));
	}
	assert_true(addr_is_none(&none));
	assert_false(addr_is_loopback(&none));
	assert_false(addr_is_wildcard(&none));
}

static void orders_identities_by_address_then_incarnation(void **state)
{
	struct identity a = { .incarnation = 9, .addr = address("1.1.1.1:1") };
	struct identity b = { .incarnation = 1, .addr = address("1.1.1.1:2") };
	struct identity c = { .incarnation = UINT64_MAX,
			      .addr = address("1.1.1.1:1") };

	(void)state;
	assert_true(identity_compare(&a, &b) < 0);
	assert_true(identity_compare(&b, &a) > 0);
	assert_true(identity_compare(&a, &c) < 0);
	assert_true(identity_compare(&c, &a) > 0);
	assert_int_equal(identity_compare(&a, &a), 0);
	assert_true(identity_equal(&a, &a));
	assert_false(identity_equal(&a, &b));
	assert_false(identity_equal(&a, &c));
}

static void splits_what_a_person_writes(void **state)
{
	static const struct {
		const char *text;
		bool zero;
		const char *host;
		unsigned port;
	} t[] = {
		{ "localhost:80", false, "localhost", 80 },
		{ "1.2.3.4:65535", false, "1.2.3.4", 65535 },
		{ "[::1]:7", false, "::1", 7 },
		{ "[::]:0", true, "::", 0 },
		{ "a:0", true, "a", 0 },
	};
	char host[HOST_MAX];
	uint16_t port;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(t); i++) {
		assert_int_equal(
			hostport_split(t[i].text, t[i].zero, host, &port),
			ERR_OK);
		assert_string_equal(host, t[i].host);
		assert_int_equal(port, t[i].port);
	}
}

static void refuses_what_is_no_host_and_port(void **state)
{
	static const struct {
		const char *text;
		enum err e;
	} t[] = {
		{ "", ERR_SYNTAX },        { "host", ERR_SYNTAX },
		{ ":80", ERR_SYNTAX },     { "host:", ERR_SYNTAX },
		{ "::1:80", ERR_SYNTAX },  { "[::1]", ERR_SYNTAX },
		{ "[]:80", ERR_SYNTAX },   { "a b:80", ERR_SYNTAX },
		{ "host:8x", ERR_SYNTAX }, { "host:-1", ERR_SYNTAX },
		{ "host:0", ERR_RANGE },   { "host:65536", ERR_RANGE },
		{ "host:080", ERR_RANGE }, { "host:4294967376", ERR_RANGE },
	};
	char host[HOST_MAX];
	uint16_t port;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(t); i++)
		if (hostport_split(t[i].text, false, host, &port) != t[i].e)
			fail_msg("%s", t[i].text);
}

static void refuses_a_host_name_that_does_not_fit(void **state)
{
	char text[HOST_MAX + 8], host[HOST_MAX];
	uint16_t port;

	(void)state;
	memset(text, 'a', HOST_MAX);
	strcpy(text + HOST_MAX - 1, ":80");
	assert_int_equal(hostport_split(text, false, host, &port), ERR_OK);
	assert_int_equal(strlen(host), HOST_MAX - 1);
	memset(text, 'a', HOST_MAX);
	strcpy(text + HOST_MAX, ":80");
	assert_int_equal(hostport_split(text, false, host, &port), ERR_SYNTAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prints_what_it_read),
		cmocka_unit_test(refuses_every_other_text),
		cmocka_unit_test(refuses_an_address_with_leading_zeros),
		cmocka_unit_test(refuses_a_second_spelling_of_an_address),
		cmocka_unit_test(refuses_a_nul_inside),
		cmocka_unit_test(refuses_every_beginning_of_an_address),
		cmocka_unit_test(writes_nothing_when_it_refuses),
		cmocka_unit_test(fills_every_byte_of_an_address),
		cmocka_unit_test(prints_a_host_without_brackets),
		cmocka_unit_test(prints_no_address_as_a_dash),
		cmocka_unit_test(orders_addresses_by_family_host_and_port),
		cmocka_unit_test(tells_hosts_apart_but_not_ports),
		cmocka_unit_test(names_who_is_behind_an_address),
		cmocka_unit_test(knows_loopback_wildcard_and_none),
		cmocka_unit_test(orders_identities_by_address_then_incarnation),
		cmocka_unit_test(splits_what_a_person_writes),
		cmocka_unit_test(refuses_what_is_no_host_and_port),
		cmocka_unit_test(refuses_a_host_name_that_does_not_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
