#include "wire/frame.h"

#include "scarce.h"
#include "test.h"

#include <pthread.h>

static enum err read_head(const uint8_t bytes[FRAME_HEAD_BYTES], uint32_t limit,
			  struct frame_head *out)
{
	uint8_t *copy = exact_copy(bytes, FRAME_HEAD_BYTES);
	enum err e = frame_head_read(copy, limit, out);

	free(copy);
	return e;
}

static void writes_the_header_of_the_protocol(void **state)
{
	static const uint8_t expected[] = { 1, 3, 255, 0, 0, 0x18, 0, 0 };
	struct frame_head h = { FRAME_RECOVERY | FRAME_SPREAD, 255,
				FRAME_BODY_MAX };
	uint8_t bytes[FRAME_HEAD_BYTES];

	(void)state;
	frame_head_write(&h, bytes);
	assert_memory_equal(bytes, expected, sizeof bytes);
}

static void reads_the_header_it_wrote(void **state)
{
	static const uint32_t lengths[] = {
		2, 255, 256, 65535, 65536, 0x10203, FRAME_BODY_MAX
	};
	struct frame_head out;
	uint8_t bytes[FRAME_HEAD_BYTES];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(lengths); i++)
		for (unsigned v = 0; v < 256; v++) {
			struct frame_head h = { v & FRAME_FLAGS, (uint8_t)v,
						lengths[i] };

			frame_head_write(&h, bytes);
			assert_int_equal(read_head(bytes, FRAME_BODY_MAX, &out),
					 ERR_OK);
			assert_int_equal(out.flags, h.flags);
			assert_int_equal(out.hops, h.hops);
			assert_int_equal(out.body_bytes, h.body_bytes);
		}
}

static void refuses_every_other_version(void **state)
{
	uint8_t bytes[] = { 0, 0, 0, 0, 0, 0, 0, 2 };
	struct frame_head out;

	(void)state;
	for (int v = 0; v < 256; v++) {
		bytes[0] = (uint8_t)v;
		assert_int_equal(read_head(bytes, 512, &out),
				 v == 1 ? ERR_OK : ERR_VERSION);
	}
}

static void refuses_bits_that_must_be_zero(void **state)
{
	struct frame_head out;

	(void)state;
	for (int v = 0; v < 256; v++) {
		uint8_t flags[] = { 1, (uint8_t)v, 0, 0, 0, 0, 0, 2 };
		uint8_t zero[] = { 1, 0, 0, (uint8_t)v, 0, 0, 0, 2 };

		assert_int_equal(read_head(flags, 512, &out),
				 v <= 3 ? ERR_OK : ERR_SYNTAX);
		assert_int_equal(read_head(zero, 512, &out),
				 v == 0 ? ERR_OK : ERR_SYNTAX);
	}
}

static void refuses_a_length_outside_of_its_limits(void **state)
{
	static const struct {
		uint32_t n, limit;
		enum err e;
	} t[] = {
		{ 0, 512, ERR_RANGE },
		{ 1, 512, ERR_RANGE },
		{ 2, 512, ERR_OK },
		{ 512, FRAME_BODY_STRANGER_MAX, ERR_OK },
		{ 513, FRAME_BODY_STRANGER_MAX, ERR_RANGE },
		{ FRAME_BODY_MAX, FRAME_BODY_MAX, ERR_OK },
		{ FRAME_BODY_MAX + 1, FRAME_BODY_MAX, ERR_RANGE },
		{ 0x7fffffff, FRAME_BODY_MAX, ERR_RANGE },
		{ 0x80000000, FRAME_BODY_MAX, ERR_RANGE },
		{ 0xffffffff, FRAME_BODY_MAX, ERR_RANGE },
	};
	struct frame_head out = { 1, 2, 3 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(t); i++) {
		uint8_t bytes[] = { 1,
				    0,
				    0,
				    0,
				    (uint8_t)(t[i].n >> 24),
				    (uint8_t)(t[i].n >> 16),
				    (uint8_t)(t[i].n >> 8),
				    (uint8_t)t[i].n };

		out.body_bytes = 3;
		assert_int_equal(read_head(bytes, t[i].limit, &out), t[i].e);
		assert_int_equal(out.body_bytes, t[i].e == ERR_OK ? t[i].n : 3);
	}
}

static void makes_room_for_the_largest_body_and_no_larger(void **state)
{
	struct frame *f = frame_new(FRAME_BODY_MAX);

	(void)state;
	assert_non_null(f);
	assert_int_equal(f->body_bytes, FRAME_BODY_MAX);
	memset(f->body, 'x', FRAME_BODY_MAX);
	frame_release(f);
	assert_null(frame_new(FRAME_BODY_MAX + 1));
	assert_null(frame_new(SIZE_MAX));
}

static void keeps_the_first_header_before_its_body(void **state)
{
	struct frame_head first = { .hops = 3, .body_bytes = 2 };
	struct frame_head second = { .flags = FRAME_RECOVERY, .body_bytes = 2 };
	struct frame *f = frame_new(2);
	struct frame_head out;

	(void)state;
	assert_int_equal(frame_head_read(f->head, FRAME_BODY_MAX, &out),
			 ERR_VERSION); /* none yet */
	memcpy(f->body, "{}", 2);
	frame_address(f, &first);
	frame_address(f, &second);
	assert_int_equal(frame_head_read(f->head, FRAME_BODY_MAX, &out),
			 ERR_OK);
	assert_int_equal(out.hops, 3);
	assert_int_equal(out.flags, 0);
	assert_memory_equal(f->head + FRAME_HEAD_BYTES, "{}", 2);
	frame_release(f);
}

static void lives_until_the_last_release(void **state)
{
	struct frame *f = frame_new(2);

	(void)state;
	assert_ptr_equal(frame_hold(f), f);
	frame_hold(f);
	frame_release(f);
	frame_release(f);
	memcpy(f->body, "{}", 2); /* ASan would tell */
	assert_int_equal(atomic_load(&f->refs), 1);
	frame_release(f);
	frame_release(NULL);
}

static void *hold_and_release(void *frame)
{
	for (int i = 0; i < 20000; i++)
		frame_release(frame_hold(frame));
	frame_release(frame);
	return NULL;
}

static void counts_holders_in_several_threads(void **state)
{
	pthread_t t[2];
	struct frame *f = frame_new(2);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(t); i++)
		assert_int_equal(pthread_create(&t[i], NULL, hold_and_release,
						frame_hold(f)),
				 0);
	for (size_t i = 0; i < COUNT_OF(t); i++)
		pthread_join(t[i], NULL);
	assert_int_equal(atomic_load(&f->refs), 1);
	frame_release(f);
}

static void without_memory_there_is_no_frame(void **state)
{
	(void)state;
	scarce_after(0, true);
	assert_null(frame_new(100));
	assert_int_equal(scarce_end(), 1);
	frame_release(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_the_header_of_the_protocol),
		cmocka_unit_test(reads_the_header_it_wrote),
		cmocka_unit_test(refuses_every_other_version),
		cmocka_unit_test(refuses_bits_that_must_be_zero),
		cmocka_unit_test(refuses_a_length_outside_of_its_limits),
		cmocka_unit_test(makes_room_for_the_largest_body_and_no_larger),
		cmocka_unit_test(keeps_the_first_header_before_its_body),
		cmocka_unit_test(lives_until_the_last_release),
		cmocka_unit_test(counts_holders_in_several_threads),
		cmocka_unit_test(without_memory_there_is_no_frame),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
