/* Runs a fuzz target over inputs that are there, without a fuzzer.
 *
 * usage: replay_NAME FILE...
 *
 * A file whose name ends in .pack holds many inputs, each behind its length in
 * four bytes, big-endian (tests/fuzz/pack.py makes them); any other file is
 * one input. The first finding ends the process; it is said before each input
 * which one it is, when there are arguments to narrow it down to: with -v.
 */
#include "fuzz.h"

static bool verbose;

static uint8_t *read_file(const char *name, size_t *n)
{
	FILE *f = fopen(name, "rb");
	uint8_t *bytes = NULL;
	long end;

	if (f == NULL || fseek(f, 0, SEEK_END) != 0 || (end = ftell(f)) < 0) {
		perror(name);
		exit(1);
	}
	rewind(f);
	bytes = malloc((size_t)end + 1);
	*n = bytes == NULL ? 0 : fread(bytes, 1, (size_t)end, f);
	if (bytes == NULL || *n != (size_t)end) {
		fprintf(stderr, "%s: cannot be read\n", name);
		exit(1);
	}
	fclose(f);
	return bytes;
}

static void run_one(const char *name, size_t number, const uint8_t *bytes,
		    size_t n)
{
	uint8_t *copy = exact_copy(bytes, n);

	if (verbose)
		fprintf(stderr, "%s: input %zu, %zu bytes\n", name, number, n);
	LLVMFuzzerTestOneInput(copy, n);
	free(copy);
}

static size_t run_pack(const char *name, const uint8_t *at, size_t left)
{
	size_t count = 0;

	while (left >= 4) {
		size_t n = (size_t)at[0] << 24 | (size_t)at[1] << 16 |
			   (size_t)at[2] << 8 | (size_t)at[3];

		if (n > left - 4)
			break;
		run_one(name, count++, at + 4, n);
		at += 4 + n;
		left -= 4 + n;
	}
	if (left > 0) {
		fprintf(stderr, "%s: cut off\n", name);
		exit(1);
	}
	return count;
}

int main(int argc, char **argv)
{
	size_t count = 0;

	LLVMFuzzerInitialize(&argc, &argv);
	for (int i = 1; i < argc; i++) {
		size_t n, len = strlen(argv[i]);
		uint8_t *bytes;

		if (strcmp(argv[i], "-v") == 0) {
			verbose = true;
			continue;
		}
		bytes = read_file(argv[i], &n);
		if (len > 5 && strcmp(argv[i] + len - 5, ".pack") == 0) {
			count += run_pack(argv[i], bytes, n);
		} else {
			run_one(argv[i], 0, bytes, n);
			count++;
		}
		free(bytes);
	}
	printf("%zu inputs\n", count);
	return count == 0;
}
