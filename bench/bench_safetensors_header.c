/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time and peak memory of reading one safetensors header, everything checked:
 *
 *     bench_safetensors_header FILE [RUNS]
 *
 * Prints each run's wall and processor time, the median of the wall times, and the process's peak
 * resident memory. make_big_header.py makes a file worth measuring.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "format/safetensors.h"

enum { RUNS_MAX = 101, RUNS_DEFAULT = 5 };

static double seconds(clockid_t clock) {
    struct timespec now;
    (void)clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static int compare_doubles(const void *left, const void *right) {
    const double a = *(const double *)left;
    const double b = *(const double *)right;
    return a < b ? -1 : a > b;
}

static double read_once(const char *path) {
    weir_error err = {0};
    weir_source *source = NULL;
    tensor_table table = {0};
    const double wall = seconds(CLOCK_MONOTONIC);
    const double processor = seconds(CLOCK_PROCESS_CPUTIME_ID);
    weir_code code = weir_source_open_file(&source, AT_FDCWD, path, path, &err);
    if (code == WEIR_OK) {
        code = safetensors_read(&table, NULL, source, 0, /* lenient= */ false, NULL, &err);
    }
    const double took = seconds(CLOCK_MONOTONIC) - wall;
    if (code != WEIR_OK) {
        char line[1024];
        fprintf(stderr, "%s\n", weir_error_format(&err, line, sizeof line));
        exit(3);
    }
    printf("%zu tensors: %.3f s wall, %.3f s processor\n", table.count, took,
           seconds(CLOCK_PROCESS_CPUTIME_ID) - processor);
    tensor_table_release(&table);
    weir_source_free(source);
    return took;
}

int main(int argc, char **argv) {
    const long wanted = argc > 2 ? strtol(argv[2], NULL, 10) : RUNS_DEFAULT;
    if (argc < 2 || wanted < 1 || wanted > RUNS_MAX) {
        fprintf(stderr, "usage: %s FILE [RUNS, at most %d]\n", argv[0], RUNS_MAX);
        return 2;
    }
    double took[RUNS_MAX];
    for (long i = 0; i < wanted; i++) {
        took[i] = read_once(argv[1]);
    }
    qsort(took, (size_t)wanted, sizeof *took, compare_doubles);
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    printf("median %.3f s, peak %ld MiB\n", took[wanted / 2], usage.ru_maxrss / 1024);
    return 0;
}
