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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hands_back_what_it_was_given),
		cmocka_unit_test(opens_every_byte_where_it_lies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
