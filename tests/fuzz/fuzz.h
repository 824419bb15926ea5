/* What the fuzz targets share. Each target defines LLVMFuzzerTestOneInput; built with
 * -Dfuzz=true it becomes a libFuzzer program, and always a program that replays files
 * (replay.c). */
#ifndef BN_TESTS_FUZZ_H
#define BN_TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Set by each run: whether the code under test took the input as good. replay.c holds it against
 * the file's name. */
extern bool bn_fuzz_accepted;

/* A property that must hold for every input, also in builds without asserts. */
#define BN_FUZZ_REQUIRE(condition) \
	do {                       \
		if (!(condition))  \
			abort();   \
	} while (0)

#endif
