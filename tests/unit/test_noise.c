/* Against the published vectors of this pattern: those of the cacophony
 * project, as the snow project carries them. */
#include "wire/noise.h"

#include "test.h"

#define BYTES_MAX 128

static const char prologue[] = "John Galt";
static const char psk[] = "This is my Austrian perspective!";
static const char dialer_secret[] =
	"893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a";
static const char answerer_secret[] =
	"bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b";
static const char handshake_hash[] =
	"ed5e9692d0ab507b6c2beec3f584fd5b127817a9d20b26cd50aa72c507260fa3"
	"1aa7d88dd3723316338af37ce0b4cfb2923aeb848bbf2b934911306f01ffc963";

/* Who dials sends the first, the other side the second, and so on. */
static const struct {
	const char *payload, *message;
} said[] = {
	{ "Ludwig von Mises",
	  "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c7944"
	  "ed63df2f5a12aee1185ee9c50305f2ecf12421dcb53c047a63b784cf7c54a105" },
	{ "Murray Rothbard",
	  "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f1448088430e"
	  "0fe7d5c0c9b92f7478716c8852f1b4f389edb75e3ebe546fafafd5b6f0f7" },
	{ "F. A. Hayek",
	  "0fe04b26dcfbb69f8a6a94c61f1a26ef88769218d32f5d17c068a6" },
	{ "Carl Menger",
	  "2239e0c540c01f09eb1f4cc5258fd5acfefff18a5a3773f21b7bfe" },
	{ "Jean-Baptiste Say", "f216cb03d30fb8af1e561fe02a07552d09b416e27a75e62"
			       "c77d193718b0bdaae9f" },
	{ "Eugen B\xf6hm von Bawerk",
	  "6e8baf98b944184dd7dc5ef14d8108cbeca626de118a5460f3308e294d61e17238"
	  "bce29bd9" },
};

static size_t unhex(const char *text, uint8_t *out)
{
	size_t n = strlen(text) / 2;

	for (size_t i = 0; i < n; i++) {
		unsigned byte = 0;

		assert_int_equal(sscanf(text + 2 * i, "%2x", &byte), 1);
		out[i] = (uint8_t)byte;
	}
	return n;
}

struct sides {
	struct noise dialer, answerer;
};

static void begin(struct sides *s)
{
	uint8_t secret[KEY_BYTES];

	assert_int_equal(unhex(dialer_secret, secret), KEY_BYTES);
	noise_begin(&s->dialer, (const uint8_t *)psk, prologue,
		    strlen(prologue), secret);
	assert_int_equal(unhex(answerer_secret, secret), KEY_BYTES);
	noise_begin(&s->answerer, (const uint8_t *)psk, prologue,
		    strlen(prologue), secret);
}

static size_t check_bytes(size_t i, const uint8_t *got)
{
	uint8_t want[BYTES_MAX];
	size_t n = unhex(said[i].message, want);

	assert_memory_equal(got, want, n);
	return n;
}

static void check_payload(size_t i, const uint8_t *got, size_t n)
{
	assert_int_equal(n, strlen(said[i].payload));
	assert_memory_equal(got, said[i].payload, n);
}

static void first(struct sides *s, uint8_t *m)
{
	const uint8_t *payload = NULL;
	size_t n = strlen(said[0].payload);

	noise_write_first(&s->dialer, said[0].payload, n, m);
	assert_int_equal(check_bytes(0, m), NOISE_MESSAGE_BYTES + n);
	assert_true(noise_read_first(&s->answerer, m, NOISE_MESSAGE_BYTES + n,
				     &payload));
	check_payload(0, payload, n);
}

static void second(struct sides *s, uint8_t *m)
{
	const uint8_t *payload = NULL;
	size_t n = strlen(said[1].payload);

	assert_true(noise_write_second(&s->answerer, said[1].payload, n, m));
	assert_int_equal(check_bytes(1, m), NOISE_MESSAGE_BYTES + n);
	assert_true(noise_read_second(&s->dialer, m, NOISE_MESSAGE_BYTES + n,
				      &payload));
	check_payload(1, payload, n);
}

static void does_as_published(void **state)
{
	uint8_t m[BYTES_MAX], hash[HASH_FULL_BYTES];
	/* Of the dialer and of who answers: what they send and receive. */
	struct noise_half out[2], in[2];
	struct sides s;

	(void)state;
	begin(&s);
	first(&s, m);
	second(&s, m);
	noise_split(&s.dialer, &out[0], &in[0]);
	noise_split(&s.answerer, &in[1], &out[1]);
	assert_int_equal(unhex(handshake_hash, hash), sizeof hash);
	assert_memory_equal(s.dialer.hash, hash, sizeof hash);
	assert_memory_equal(s.answerer.hash, hash, sizeof hash);
	for (size_t i = 2; i < COUNT_OF(said); i++) {
		size_t n = strlen(said[i].payload);

		memcpy(m, said[i].payload, n);
		noise_seal(&out[i % 2], NULL, 0, m, n);
		assert_int_equal(check_bytes(i, m), n + TAG_BYTES);
		assert_true(
			noise_open(&in[1 - i % 2], NULL, 0, m, n + TAG_BYTES));
		check_payload(i, m, n);
	}
}

/* A key, a prologue or an order that is not the same opens nothing. */
static void who_differs_is_refused(void **state)
{
	uint8_t m[BYTES_MAX], other[KEY_BYTES] = { 7 };
	const uint8_t *payload = NULL;
	struct noise x;
	struct sides s;

	(void)state;
	begin(&s);
	noise_write_first(&s.dialer, NULL, 0, m);
	noise_begin(&x, other, prologue, strlen(prologue), other);
	assert_false(noise_read_first(&x, m, NOISE_MESSAGE_BYTES, &payload));
	begin(&s);
	noise_write_first(&s.dialer, NULL, 0, m);
	noise_begin(&x, (const uint8_t *)psk, prologue, strlen(prologue) - 1,
		    other);
	assert_false(noise_read_first(&x, m, NOISE_MESSAGE_BYTES, &payload));
	begin(&s);
	noise_write_first(&s.dialer, NULL, 0, m);
	assert_false(noise_read_first(&s.answerer, m, NOISE_MESSAGE_BYTES - 1,
				      &payload));
}

static void every_single_bit_counts(void **state)
{
	uint8_t right[BYTES_MAX], m[BYTES_MAX];
	const uint8_t *payload = NULL;
	size_t n = NOISE_MESSAGE_BYTES + strlen(said[0].payload);
	struct sides s;

	(void)state;
	unhex(said[0].message, right);
	for (size_t bit = 0; bit < 8 * n; bit++) {
		begin(&s);
		memcpy(m, right, n);
		m[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_false(noise_read_first(&s.answerer, m, n, &payload));
	}
	n = NOISE_MESSAGE_BYTES + strlen(said[1].payload);
	unhex(said[1].message, right);
	for (size_t bit = 0; bit < 8 * n; bit++) {
		begin(&s);
		first(&s, m);
		memcpy(m, right, n);
		m[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_false(noise_read_second(&s.dialer, m, n, &payload));
	}
}

/* The points of small order, of which every secret makes zero. */
static void an_ephemeral_key_that_is_none_is_refused(void **state)
{
	static const uint8_t zero[KEY_BYTES], one[KEY_BYTES] = { 1 };
	const uint8_t *const bad[] = { zero, one };
	uint8_t secret[KEY_BYTES] = { 9 }, out[KEY_BYTES];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_false(dh_shared(secret, bad[i], out));
}

/* The other side's is the point zero: the tag of the first message cannot tell
 * whoever has the psk from doing that. */
static void whose_ephemeral_key_is_none_gets_no_answer(void **state)
{
	uint8_t m[BYTES_MAX] = { 0 };
	const uint8_t *payload = NULL;
	struct sides s;

	(void)state;
	begin(&s);
	memset(s.answerer.theirs, 0, KEY_BYTES);
	assert_false(noise_write_second(&s.answerer, NULL, 0, m));
	begin(&s);
	memset(m, 0, sizeof m);
	assert_false(
		noise_read_second(&s.dialer, m, NOISE_MESSAGE_BYTES, &payload));
	begin(&s);
	assert_false(noise_read_second(&s.dialer, m, NOISE_MESSAGE_BYTES - 1,
				       &payload));
}

static void the_key_moves_on_in_time(void **state)
{
	struct noise_half out = { .counter = NOISE_REKEY_RECORDS - 2 },
			  in = out;
	uint8_t before[KEY_BYTES] = { 0 }, m[1 + TAG_BYTES];

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		m[0] = (uint8_t)i;
		noise_seal(&out, NULL, 0, m, 1);
		assert_true(noise_open(&in, NULL, 0, m, sizeof m));
		assert_int_equal(m[0], i);
		assert_int_equal(memcmp(out.key, before, KEY_BYTES) != 0,
				 i >= 1);
		assert_memory_equal(out.key, in.key, KEY_BYTES);
	}
	assert_int_equal(out.counter, NOISE_REKEY_RECORDS + 2);
}

static void a_split_leaves_no_secret(void **state)
{
	static const struct noise nothing;
	uint8_t m[BYTES_MAX];
	struct noise_half a, b;
	struct sides s;

	(void)state;
	begin(&s);
	first(&s, m);
	second(&s, m);
	noise_split(&s.dialer, &a, &b);
	memset(s.dialer.hash, 0, sizeof s.dialer.hash);
	assert_memory_equal(&s.dialer, &nothing, sizeof nothing);
}

static int start(void **state)
{
	(void)state;
	return crypto_init() == ERR_OK ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(does_as_published),
		cmocka_unit_test(who_differs_is_refused),
		cmocka_unit_test(every_single_bit_counts),
		cmocka_unit_test(an_ephemeral_key_that_is_none_is_refused),
		cmocka_unit_test(whose_ephemeral_key_is_none_gets_no_answer),
		cmocka_unit_test(the_key_moves_on_in_time),
		cmocka_unit_test(a_split_leaves_no_secret),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
