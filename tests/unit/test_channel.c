#include "wire/channel.h"

#include "test.h"

static void hands_back_what_it_was_given(void **state)
{
	struct channel c;
	uint8_t bytes[] = "0123456789";
	struct iovec in[2] = { { bytes, 4 }, { bytes + 4, 6 } };
	const struct iovec *out = NULL;
	int n = 0;

	(void)state;
	channel_init_plain(&c);
	assert_int_equal(channel_seal(&c, in, 2, &out, &n), ERR_OK);
	assert_ptr_equal(out, in);
	assert_int_equal(n, 2);
	assert_int_equal(out[1].iov_len, 6);
}

static void opens_every_byte_where_it_lies(void **state)
{
	struct channel c;
	uint8_t bytes[] = "0123456789", *plain = NULL;
	size_t used = 99, plain_n = 99;

	(void)state;
	channel_init_plain(&c);
	for (size_t n = 0; n <= sizeof bytes; n++) {
		assert_int_equal(
			channel_open(&c, bytes, n, &used, &plain, &plain_n),
			ERR_OK);
		assert_ptr_equal(plain, bytes);
		assert_int_equal(used, n);
		assert_int_equal(plain_n, n);
	}
}

static void a_plain_one_says_no_end_and_misses_none(void **state)
{
	const struct iovec *out = NULL;
	struct channel c;
	int n = 99;

	(void)state;
	channel_init_plain(&c);
	assert_int_equal(channel_seal_end(&c, &out, &n), ERR_OK);
	assert_int_equal(n, 0);
	assert_false(channel_is_cut(&c));
	assert_false(channel_is_keyed(&c));
}

/* --- keyed ------------------------------------------------------------ */

struct pair {
	struct keyring ring;
	struct channel a, b; /* a dialed b */
	uint8_t first[CHANNEL_FIRST_BYTES], second[CHANNEL_SECOND_BYTES];
};

static struct member_key make_key(uint8_t fill)
{
	struct member_key k;

	memset(k.secret, fill, sizeof k.secret);
	k.id = key_id_of(k.secret);
	return k;
}

static enum err answer(struct pair *p, const uint8_t first[CHANNEL_FIRST_BYTES],
		       struct key_id *id)
{
	uint8_t secret[KEY_BYTES] = { 2 }, in[CHANNEL_FIRST_BYTES];

	memcpy(in, first, sizeof in);
	return channel_answer(&p->ring, CHANNEL_TO_PEER, secret, in, p->second,
			      &p->b, id);
}

/* Dials with the last key of the ring. */
static void greet(struct pair *p, size_t keys)
{
	uint8_t secret[KEY_BYTES] = { 1 };
	struct key_id id;
	struct noise x;

	memset(p, 0, sizeof *p);
	for (p->ring.n = 0; p->ring.n < keys; p->ring.n++)
		p->ring.v[p->ring.n] = make_key((uint8_t)(1 + p->ring.n));
	channel_dial(&x, &p->ring.v[keys - 1], CHANNEL_TO_PEER, secret,
		     p->first);
	assert_int_equal(answer(p, p->first, &id), ERR_OK);
	assert_int_equal(
		channel_dialed(&x, &p->ring.v[keys - 1], p->second, &p->a),
		ERR_OK);
}

static void end(struct pair *p)
{
	channel_free(&p->a);
	channel_free(&p->b);
}

/* What a sends of these vectors, as bytes of our own. */
static uint8_t *sealed(struct channel *c, const struct iovec *in, int in_n,
		       size_t *n)
{
	const struct iovec *out = NULL;
	int out_n = 0;

	assert_int_equal(channel_seal(c, in, in_n, &out, &out_n), ERR_OK);
	assert_int_equal(out_n, 1);
	*n = out[0].iov_len;
	return exact_copy(out[0].iov_base, *n);
}

static uint8_t *sealed_text(struct channel *c, const char *text, size_t *n)
{
	struct iovec in = { (void *)text, strlen(text) };

	return sealed(c, &in, 1, n);
}

static uint8_t *sealed_end(struct channel *c, size_t *n)
{
	const struct iovec *out = NULL;
	int out_n = 0;

	assert_int_equal(channel_seal_end(c, &out, &out_n), ERR_OK);
	assert_int_equal(out_n, 1);
	*n = out[0].iov_len;
	return exact_copy(out[0].iov_base, *n);
}

static enum err open_all(struct channel *c, uint8_t *bytes, size_t n,
			 size_t *used, char *text)
{
	uint8_t *plain = NULL;
	size_t plain_n = 0;
	enum err e = channel_open(c, bytes, n, used, &plain, &plain_n);

	if (e == ERR_OK) {
		memcpy(text, plain, plain_n);
		text[plain_n] = '\0';
	}
	return e;
}

static void both_ways_what_was_sealed_opens(void **state)
{
	struct pair p;
	char text[64];
	size_t n, used;

	(void)state;
	greet(&p, 1);
	for (unsigned i = 0; i < 4; i++) {
		struct channel *from = i % 2 == 0 ? &p.a : &p.b;
		struct channel *to = i % 2 == 0 ? &p.b : &p.a;
		uint8_t *bytes = sealed_text(from, "hear, hear", &n);

		assert_int_equal(n, 4 + 10 + TAG_BYTES);
		assert_null(memmem(bytes, n, "hear", 4));
		assert_int_equal(open_all(to, bytes, n, &used, text), ERR_OK);
		assert_int_equal(used, n);
		assert_string_equal(text, "hear, hear");
		free(bytes);
	}
	assert_memory_equal(p.a.hash, p.b.hash, sizeof p.a.hash);
	end(&p);
}

/* Longer than a record, in pieces that end anywhere, and more than one call. */
static void many_vectors_become_records_and_one_stream(void **state)
{
	size_t total = 3 * CHANNEL_RECORD_MAX + 77, n, at = 0, have = 0,
	       got = 0;
	uint8_t *plain = malloc(total), *bytes, *in, *buffer;
	struct iovec v[5];
	struct pair p;

	(void)state;
	greet(&p, 1);
	for (size_t i = 0; i < total; i++)
		plain[i] = (uint8_t)(i * 7 + i / 251);
	for (size_t i = 0; i < COUNT_OF(v); i++) {
		size_t len = i == 4 ? total - at : i * 5000; /* one is empty */

		v[i] = (struct iovec){ plain + at, len };
		at += len;
	}
	bytes = sealed(&p.a, v, COUNT_OF(v), &n);
	assert_int_equal(n, total + 4 * (4 + TAG_BYTES));
	buffer = malloc(n);
	for (at = 0; at < n;) {
		size_t some = n - at < 1777 ? n - at : 1777, used = 0, made = 0;

		memcpy(buffer + have, bytes + at, some);
		have += some;
		at += some;
		assert_int_equal(
			channel_open(&p.b, buffer, have, &used, &in, &made),
			ERR_OK);
		assert_memory_equal(in, plain + got, made);
		got += made;
		memmove(buffer, buffer + used, have - used);
		have -= used;
	}
	assert_int_equal(got, total);
	assert_int_equal(have, 0);
	free(plain);
	free(bytes);
	free(buffer);
	end(&p);
}

static void what_is_not_whole_waits(void **state)
{
	struct pair p;
	char text[64];
	uint8_t *bytes;
	size_t n, used;

	(void)state;
	greet(&p, 1);
	bytes = sealed_text(&p.a, "abc", &n);
	for (size_t some = 0; some < n; some++) {
		uint8_t *part = exact_copy(bytes, some);

		assert_int_equal(open_all(&p.b, part, some, &used, text),
				 ERR_OK);
		assert_int_equal(used, 0);
		free(part);
	}
	assert_int_equal(open_all(&p.b, bytes, n, &used, text), ERR_OK);
	assert_string_equal(text, "abc");
	free(bytes);
	end(&p);
}

/* A bit of the length may also ask for more bytes than there are: then nothing
 * comes of it either. */
static void every_single_bit_of_a_record_counts(void **state)
{
	char text[64];
	size_t n = 4 + 3 + TAG_BYTES, used, waits = 0;

	(void)state;
	for (size_t bit = 0; bit < 8 * n; bit++) {
		struct pair p;
		uint8_t *bytes;
		enum err e;

		greet(&p, 1);
		bytes = sealed_text(&p.a, "abc", &n);
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		e = open_all(&p.b, bytes, n, &used, text);
		if (e == ERR_OK && used == 0)
			waits++;
		else
			assert_int_equal(e, ERR_SYNTAX);
		assert_true(bit < 32 || e != ERR_OK);
		free(bytes);
		end(&p);
	}
	assert_in_range(waits, 1, 14);
}

static void every_single_bit_of_a_greeting_counts(void **state)
{
	uint8_t first[CHANNEL_FIRST_BYTES], second[CHANNEL_SECOND_BYTES];
	struct pair p, q;
	struct key_id id;

	(void)state;
	greet(&p, 1);
	q = p;
	for (size_t bit = 0; bit < 8 * sizeof first; bit++) {
		memcpy(first, p.first, sizeof first);
		first[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_not_equal(answer(&q, first, &id), ERR_OK);
	}
	for (size_t bit = 0; bit < 8 * sizeof second; bit++) {
		uint8_t secret[KEY_BYTES] = { 1 };
		struct noise x;

		channel_dial(&x, &p.ring.v[0], CHANNEL_TO_PEER, secret, first);
		memcpy(second, p.second, sizeof second);
		second[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(channel_dialed(&x, &p.ring.v[0], second, &q.a),
				 ERR_SYNTAX);
	}
	end(&p);
}

static void says_why_nobody_is_let_in(void **state)
{
	uint8_t first[CHANNEL_FIRST_BYTES], secret[KEY_BYTES] = { 1 };
	struct member_key other = make_key(77);
	struct noise x;
	struct key_id id;
	struct pair p;

	(void)state;
	greet(&p, 2);
	/* He names a key of ours that is not his. */
	other.id = p.ring.v[0].id;
	channel_dial(&x, &other, CHANNEL_TO_PEER, secret, first);
	assert_int_equal(answer(&p, first, &id), ERR_RESET);
	other = make_key(77);
	channel_dial(&x, &other, CHANNEL_TO_PEER, secret, first);
	assert_int_equal(answer(&p, first, &id), ERR_NOT_FOUND);
	assert_true(key_id_equal(&id, &other.id));
	channel_dial(&x, &p.ring.v[1], CHANNEL_TO_SEED, secret, first);
	assert_int_equal(answer(&p, first, &id), ERR_UNKNOWN);
	first[4]++;
	assert_int_equal(answer(&p, first, &id), ERR_VERSION);
	memset(first, '{', sizeof first);
	assert_int_equal(answer(&p, first, &id), ERR_SYNTAX);
	end(&p);
}

static void each_key_of_the_ring_is_accepted(void **state)
{
	struct pair p;

	(void)state;
	for (size_t keys = 1; keys <= KEYRING_MAX; keys++) {
		greet(&p, keys);
		assert_true(key_id_equal(&p.b.key, &p.ring.v[keys - 1].id));
		assert_true(key_id_equal(&p.a.key, &p.b.key));
		end(&p);
	}
}

static void nothing_is_taken_twice_or_out_of_turn(void **state)
{
	uint8_t *one, *two, *copy;
	size_t n, used;
	struct pair p;
	char text[64];

	(void)state;
	greet(&p, 1);
	one = sealed_text(&p.a, "one", &n);
	two = sealed_text(&p.a, "two", &n);
	copy = exact_copy(two, n);
	assert_int_equal(open_all(&p.b, copy, n, &used, text), ERR_SYNTAX);
	free(copy);
	copy = exact_copy(one, n);
	assert_int_equal(open_all(&p.b, one, n, &used, text), ERR_OK);
	assert_int_equal(open_all(&p.b, copy, n, &used, text), ERR_SYNTAX);
	/* Nor by who sealed it. */
	assert_int_equal(open_all(&p.a, two, n, &used, text), ERR_SYNTAX);
	free(one);
	free(two);
	free(copy);
	end(&p);
}

static void an_end_is_told_from_a_cut(void **state)
{
	uint8_t *bytes;
	size_t n, used;
	struct pair p;
	char text[64];

	(void)state;
	greet(&p, 1);
	bytes = sealed_text(&p.a, "bye", &n);
	assert_int_equal(open_all(&p.b, bytes, n, &used, text), ERR_OK);
	free(bytes);
	assert_true(channel_is_cut(&p.b));
	bytes = sealed_end(&p.a, &n);
	assert_int_equal(open_all(&p.b, bytes, n, &used, text), ERR_OK);
	assert_int_equal(used, n);
	assert_string_equal(text, "");
	free(bytes);
	assert_false(channel_is_cut(&p.b));
	assert_true(channel_is_cut(&p.a));
	/* There is nothing behind the last one. */
	bytes = sealed_text(&p.a, "no", &n);
	assert_int_equal(open_all(&p.b, bytes, n, &used, text), ERR_SYNTAX);
	free(bytes);
	end(&p);
}

static void lengths_out_of_range_are_not_waited_for(void **state)
{
	static const uint8_t lengths[][4] = { { 0, 0, 0, 0 },
					      { 0, 0, 0, TAG_BYTES - 1 },
					      { 0, 0, 0x40, 17 },
					      { 0xff, 0xff, 0xff, 0xff } };
	struct pair p;

	(void)state;
	greet(&p, 1);
	for (size_t i = 0; i < COUNT_OF(lengths); i++) {
		uint8_t bytes[4], *plain;
		size_t used, n;

		memcpy(bytes, lengths[i], 4);
		assert_int_equal(
			channel_open(&p.b, bytes, 4, &used, &plain, &n),
			ERR_SYNTAX);
	}
	end(&p);
}

static void a_quiet_one_keeps_little(void **state)
{
	size_t n;
	uint8_t big[60000] = { 0 };
	struct iovec in = { big, sizeof big };
	struct pair p;

	(void)state;
	greet(&p, 1);
	free(sealed(&p.a, &in, 1, &n));
	assert_true(p.a.sealed.cap >= n);
	channel_rest(&p.a);
	assert_in_range(p.a.sealed.cap, 0, 4096);
	free(sealed_text(&p.a, "little", &n));
	channel_rest(&p.a);
	assert_true(p.a.sealed.cap > 0);
	end(&p);
}

static void moving_leaves_nothing_behind(void **state)
{
	struct channel plain, c;
	struct pair p;
	uint8_t *bytes;
	size_t n, used;
	char text[64];

	(void)state;
	greet(&p, 1);
	free(sealed_text(&p.a, "first", &n));
	channel_init_plain(&plain);
	channel_move(&c, &p.a);
	assert_memory_equal(&p.a, &plain, sizeof plain);
	bytes = sealed_text(&c, "second", &n);
	assert_int_equal(open_all(&p.b, bytes, n, &used, text), ERR_SYNTAX);
	free(bytes);
	channel_free(&c);
	assert_memory_equal(&c, &plain, sizeof plain);
	end(&p);
}

static int start(void **state)
{
	(void)state;
	return crypto_init() == ERR_OK ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hands_back_what_it_was_given),
		cmocka_unit_test(opens_every_byte_where_it_lies),
		cmocka_unit_test(a_plain_one_says_no_end_and_misses_none),
		cmocka_unit_test(both_ways_what_was_sealed_opens),
		cmocka_unit_test(many_vectors_become_records_and_one_stream),
		cmocka_unit_test(what_is_not_whole_waits),
		cmocka_unit_test(every_single_bit_of_a_record_counts),
		cmocka_unit_test(every_single_bit_of_a_greeting_counts),
		cmocka_unit_test(says_why_nobody_is_let_in),
		cmocka_unit_test(each_key_of_the_ring_is_accepted),
		cmocka_unit_test(nothing_is_taken_twice_or_out_of_turn),
		cmocka_unit_test(an_end_is_told_from_a_cut),
		cmocka_unit_test(lengths_out_of_range_are_not_waited_for),
		cmocka_unit_test(a_quiet_one_keeps_little),
		cmocka_unit_test(moving_leaves_nothing_behind),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
