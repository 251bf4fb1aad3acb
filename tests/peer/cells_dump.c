/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers held against the cells of codes, for tests with encoders of other tools:
 *     cells_dump DTYPE COUNT REACH < stored, then COUNT float32
 * prints the members of cell_stats and the mean square of rounding as one JSON object.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/convert.h"
#include "kernel/number_grid.h"

static _Noreturn void fail(const char *what) {
    (void)fprintf(stderr, "cells_dump: %s\n", what);
    exit(1);
}

static weir_dtype find_dtype(const char *name) {
    for (int i = 0; i < WEIR_DTYPE_COUNT; i++) {
        if (strcmp(weir_dtype_name((weir_dtype)i), name) == 0) {
            return (weir_dtype)i;
        }
    }
    fail("no such dtype");
}

int main(int argc, char **argv) {
    number_grid grid;
    if (argc != 4 || !number_grid_of(&grid, find_dtype(argv[1]))) {
        fail("usage: cells_dump DTYPE COUNT REACH");
    }
    const weir_dtype dtype = find_dtype(argv[1]);
    const weir_dtype_info *info = weir_dtype_get(dtype);
    const size_t count = strtoull(argv[2], NULL, 10) / info->block_elements * info->block_elements;
    const size_t bytes = count / info->block_elements * info->block_bytes;
    unsigned char *stored = malloc(bytes + 1);
    float *numbers = malloc((4 * count + 1) * sizeof *numbers);
    if (!stored || !numbers || fread(stored, 1, bytes, stdin) != bytes ||
        fread(numbers, sizeof *numbers, count, stdin) != count) {
        fail("too little to read");
    }
    float *model = numbers + count;
    float *scale = model + count;
    float *offset = scale + count;
    convert_to_f32(model, dtype, stored, count);
    number_grid_read(scale, offset, dtype, stored, count);
    cell_stats all = {0};
    cell_stats_add(&all, &grid, numbers, model, scale, offset, count, strtof(argv[3], NULL));
    printf("{\"count\": %" PRIu64 ", \"mute\": %" PRIu64 ", \"equal\": %" PRIu64
           ", \"strict\": %" PRIu64 ", \"one_step\": %" PRIu64 ", \"near\": %" PRIu64
           ", \"residual_square\": %.17g, \"residual_base\": %.17g, \"base_square\": %.17g"
           ", \"expected_square\": %.17g, \"flips\": %.17g, \"noise\": %.17g}\n",
           all.count, all.mute, all.equal, all.strict, all.one_step, all.near, all.residual_square,
           all.residual_base, all.base_square, all.expected_square, all.flips,
           cell_noise(&grid, model, scale, offset, count));
    free(stored);
    free(numbers);
    return 0;
}
