#include "base/crypto.h"

#include "test.h"

static struct hash parsed(const char *hex)
{
	struct hash h = { { 0 } };

	assert_true(hash_parse(hex, strlen(hex), &h));
	return h;
}

static void hashes_as_python_does(void **state)
{
	/* hashlib.blake2b(text, digest_size=16) */
	static const char zeros[1000];
	static const struct {
		const char *bytes;
		size_t n;
		const char *hex;
	} t[] = {
		{ "", 0, "cae66941d9efbd404e4d88758ea67670" },
		{ "abc", 3, "cf4ab791c62b8d2b2109c90275287816" },
		{ zeros, sizeof zeros, "8c4f87abd07f9bf325b52dac4a399466" },
	};
	char hex[HASH_HEX + 1];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(t); i++) {
		struct hash h = hash_of(t[i].bytes, t[i].n);

		hash_format(&h, hex);
		assert_string_equal(hex, t[i].hex);
	}
}

static void prints_the_hash_it_read(void **state)
{
	static const char text[] = "00ff0123456789abcdef8000007f1e2d";
	struct hash h = parsed(text);
	char out[HASH_HEX + 1];

	(void)state;
	assert_int_equal(h.b[0], 0);
	assert_int_equal(h.b[1], 0xff);
	assert_int_equal(h.b[15], 0x2d);
	hash_format(&h, out);
	assert_string_equal(out, text);
}

static void refuses_what_is_not_32_lower_case_digits(void **state)
{
	static const char *const texts[] = {
		"",
		"0123456789abcdef0123456789abcde",
		"0123456789abcdef0123456789abcdef0",
		"0123456789ABCDEF0123456789abcdef",
		"0123456789abcdef0123456789abcdeg",
		" 123456789abcdef0123456789abcdef",
		"0x23456789abcdef0123456789abcdef",
		"01:3456789abcdef0123456789abcde:",
	};
	static const char nul[] = "0123456789abcdef\0"
				  "123456789abcdef";
	struct hash h;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(texts); i++)
		if (hash_parse(texts[i], strlen(texts[i]), &h))
			fail_msg("%s was accepted", texts[i]);
	assert_int_equal(sizeof nul - 1, HASH_HEX);
	assert_false(hash_parse(nul, HASH_HEX, &h));
}

static void tells_leases_apart_by_every_byte(void **state)
{
	struct hash a = hash_of("x", 1), b = a;

	(void)state;
	assert_true(crypto_equal(&a, &b));
	for (size_t i = 0; i < HASH_BYTES; i++) {
		b.b[i] ^= 0x80;
		assert_false(crypto_equal(&a, &b));
		b.b[i] ^= 0x80;
	}
}

static void draws_other_bytes_every_time(void **state)
{
	struct hash a, b;

	(void)state;
	crypto_random(&a, sizeof a);
	crypto_random(&b, sizeof b);
	assert_false(crypto_equal(&a, &b));
}

static enum err decode(const char *text, size_t cap, char *out, size_t *n)
{
	size_t len = strlen(text);
	char *copy = exact_copy(text, len);
	char *room = malloc(cap + (cap == 0));
	enum err e = base64_decode(copy, len, room, cap, n);

	if (e == ERR_OK)
		memcpy(out, room, *n);
	free(room);
	free(copy);
	return e;
}

static void turns_the_vectors_of_rfc_4648_both_ways(void **state)
{
	static const struct {
		const char *plain, *text;
	} t[] = {
		{ "", "" },
		{ "f", "Zg==" },
		{ "fo", "Zm8=" },
		{ "foo", "Zm9v" },
		{ "foob", "Zm9vYg==" },
		{ "fooba", "Zm9vYmE=" },
		{ "foobar", "Zm9vYmFy" },
		{ "\xfb\xff\xfe", "+//+" },
	};
	char out[16];
	size_t n;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(t); i++) {
		size_t len = strlen(t[i].plain);

		assert_int_equal(base64_size(len), strlen(t[i].text));
		base64_encode(t[i].plain, len, out);
		assert_string_equal(out, t[i].text);
		n = 99;
		assert_int_equal(decode(t[i].text, len, out, &n), ERR_OK);
		assert_int_equal(n, len);
		assert_memory_equal(out, t[i].plain, len);
	}
}

static void refuses_malformed_base64(void **state)
{
	static const char *const texts[] = {
		"Z",
		"Zg",
		"Zg=",
		"Zg===",
		"=",
		"==",
		"====",
		"Z===",
		"Zm9v=",
		"Zm9vZg",
		"Zg==Zg==",
		"Zm=v",
		"Zh==" /* bits that are no data */,
		"Zm9=",
		"Zm9\n",
		"Zm9v\n",
		"Zm 9",
		" Zm9v",
		"Zm9-",
		"Zm9_",
		"Zm9*",
		"Zg==\n",
		"Zg=a",
		"Zm9vZm9",
	};
	char out[64];
	size_t n = 77;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(texts); i++)
		if (decode(texts[i], 48, out, &n) != ERR_SYNTAX)
			fail_msg("%s was not ERR_SYNTAX", texts[i]);
	assert_int_equal(n, 77);
}

static void says_when_the_bytes_do_not_fit(void **state)
{
	char out[16];
	size_t n;

	(void)state;
	assert_int_equal(decode("Zm9v", 2, out, &n), ERR_TOO_LONG);
	assert_int_equal(decode("Zm8=", 1, out, &n), ERR_TOO_LONG);
	assert_int_equal(decode("Zg==", 0, out, &n), ERR_TOO_LONG);
	assert_int_equal(decode("Zm9v", 3, out, &n), ERR_OK);
}

static void turns_all_bytes_of_all_lengths_both_ways(void **state)
{
	unsigned char in[300];
	char text[404], out[300];
	size_t n;

	(void)state;
	for (size_t i = 0; i < sizeof in; i++)
		in[i] = (unsigned char)(i * 7);
	for (size_t len = 0; len <= sizeof in; len++) {
		base64_encode(in, len, text);
		assert_int_equal(strlen(text), base64_size(len));
		assert_int_equal(decode(text, len, out, &n), ERR_OK);
		assert_int_equal(n, len);
		assert_memory_equal(out, in, len);
	}
}

static int set_up(void **state)
{
	(void)state;
	return crypto_init() == ERR_OK ? 0 : -1;
}

/* libsodium 1.0.18 takes bytes above 0x7f for a '/'. */
static void takes_no_byte_for_another_one_in_base64(void **state)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz0123456789+/";
	char out[8];
	size_t n;

	(void)state;
	for (unsigned at = 0; at < 8; at++)
		for (unsigned c = 1; c < 256; c++) {
			char text[] = "AAAAAAAA";
			bool digit = strchr(digits, (int)c) != NULL;
			bool padding = c == '=' && at == 7;

			text[at] = (char)c;
			assert_int_equal(decode(text, 6, out, &n),
					 digit || padding ? ERR_OK
							  : ERR_SYNTAX);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hashes_as_python_does),
		cmocka_unit_test(prints_the_hash_it_read),
		cmocka_unit_test(refuses_what_is_not_32_lower_case_digits),
		cmocka_unit_test(tells_leases_apart_by_every_byte),
		cmocka_unit_test(draws_other_bytes_every_time),
		cmocka_unit_test(turns_the_vectors_of_rfc_4648_both_ways),
		cmocka_unit_test(refuses_malformed_base64),
		cmocka_unit_test(takes_no_byte_for_another_one_in_base64),
		cmocka_unit_test(says_when_the_bytes_do_not_fit),
		cmocka_unit_test(turns_all_bytes_of_all_lengths_both_ways),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
