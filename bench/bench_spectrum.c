/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long the largest singular values of a matrix take:
 *     bench_spectrum FILE ROWS COLS COUNT ITERATIONS ROUNDS     FILE: float32, row-major
 * Prints JSON: seconds of each round, and the values. bench_spectrum.py runs it beside torch.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "kernel/spectrum.h"

static double now(void) {
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static float *read_matrix(const char *path, size_t count) {
    FILE *const file = fopen(path, "rb");
    float *const matrix = calloc(count, sizeof *matrix);
    if (!file || !matrix || fread(matrix, sizeof *matrix, count, file) != count) {
        (void)fprintf(stderr, "bench_spectrum: %s cannot be read\n", path);
        exit(1);
    }
    (void)fclose(file);
    return matrix;
}

int main(int argc, char **argv) {
    if (argc != 7) {
        (void)fprintf(stderr, "usage: bench_spectrum FILE ROWS COLS COUNT ITERATIONS ROUNDS\n");
        return 2;
    }
    const size_t rows = strtoul(argv[2], NULL, 10);
    const size_t cols = strtoul(argv[3], NULL, 10);
    const spectrum_options options = {.count = strtoul(argv[4], NULL, 10),
                                      .oversample = 6,
                                      .power_iterations = strtoul(argv[5], NULL, 10),
                                      .with_vectors = true};
    const size_t rounds = strtoul(argv[6], NULL, 10);
    float *const matrix = read_matrix(argv[1], rows * cols);
    spectrum_scratch scratch = {0};
    spectrum found;
    (void)printf("{\"seconds\": [");
    for (size_t i = 0; i < rounds; i++) {
        const double begin = now();
        if (spectrum_find(&found, matrix, rows, cols, &options, &scratch, NULL) != WEIR_OK) {
            return 1;
        }
        (void)printf("%s%.6f", i ? ", " : "", now() - begin);
    }
    (void)printf("], \"values\": [");
    for (size_t i = 0; i < found.count; i++) {
        (void)printf("%s%.9g", i ? ", " : "", found.values[i]);
    }
    (void)printf("]}\n");
    spectrum_scratch_release(&scratch);
    free(matrix);
    return 0;
}
