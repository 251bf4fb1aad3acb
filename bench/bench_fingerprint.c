/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a fingerprint of one model costs, step by step:
 *
 *     bench_fingerprint MODEL [RUNS]
 *
 * Prints JSON: the smallest wall and processor times over RUNS of opening (headers, config and
 * tokenizer), of making and of encoding; bytes of weights read and stored; the encoded size; the
 * peak resident memory after opening and at the end, so that what the tokenizer takes can be told
 * from what the fingerprint takes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "base/fail.h"
#include "base/findings.h"
#include "sketch/fingerprint.h"

enum { RUNS_MAX = 1000, RUNS_DEFAULT = 7 };

typedef enum stage { STAGE_OPEN, STAGE_MAKE, STAGE_ENCODE, STAGE_COUNT } stage;

typedef struct cost {
    double wall[STAGE_COUNT];
    double processor[STAGE_COUNT];
    long peak_open_kib; /* of the first run, before anything was read of the weights */
    fingerprint_cost weights;
    size_t encoded_bytes;
    size_t blocks;
} cost;

typedef struct watch {
    double wall;
    double processor;
} watch;

static double seconds(clockid_t clock) {
    struct timespec now;
    (void)clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static watch watch_start(void) {
    return (watch){seconds(CLOCK_MONOTONIC), seconds(CLOCK_PROCESS_CPUTIME_ID)};
}

static void keep_smallest(double *kept, double took) {
    if (*kept <= 0 || took < *kept) {
        *kept = took;
    }
}

static void watch_stop(cost *into, stage of, watch begun) {
    const watch now = watch_start();
    keep_smallest(&into->wall[of], now.wall - begun.wall);
    keep_smallest(&into->processor[of], now.processor - begun.processor);
}

static long peak_kib(void) {
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

static weir_code run_once(cost *into, const char *path, weir_error *err) {
    WEIR_CLEANUP(weir_findings_free) weir_findings *findings = NULL;
    WEIR_CLEANUP(weir_model_free) weir_model *model = NULL;
    WEIR_CLEANUP(fingerprint_free) fingerprint *sketch = NULL;
    uint8_t *bytes = NULL;
    WEIR_TRY(weir_findings_new(&findings, err));
    watch begun = watch_start();
    WEIR_TRY(weir_model_open(&model, path, NULL, findings, err));
    watch_stop(into, STAGE_OPEN, begun);
    if (!into->peak_open_kib) {
        into->peak_open_kib = peak_kib();
    }
    begun = watch_start();
    WEIR_TRY(fingerprint_make(&sketch, model, NULL, &into->weights, err));
    watch_stop(into, STAGE_MAKE, begun);
    begun = watch_start();
    WEIR_TRY(fingerprint_encode(&bytes, &into->encoded_bytes, sketch, err));
    watch_stop(into, STAGE_ENCODE, begun);
    into->blocks = sketch->block_count;
    free(bytes);
    return WEIR_OK;
}

static void print_cost(const cost *of, long runs) {
    static const char *const names[STAGE_COUNT] = {"open", "make", "encode"};
    printf("{");
    for (int i = 0; i < STAGE_COUNT; i++) {
        printf("\"%s_wall_s\": %.5f, \"%s_cpu_s\": %.5f, ", names[i], of->wall[i], names[i],
               of->processor[i]);
    }
    printf("\"weight_bytes_read\": %llu, \"ranges_read\": %llu, \"weight_bytes_stored\": %llu, ",
           (unsigned long long)of->weights.bytes_read, (unsigned long long)of->weights.ranges_read,
           (unsigned long long)of->weights.bytes_stored);
    printf("\"blocks\": %zu, \"encoded_bytes\": %zu, ", of->blocks, of->encoded_bytes);
    printf("\"peak_open_mib\": %.1f, \"peak_mib\": %.1f, \"runs\": %ld}\n",
           (double)of->peak_open_kib / 1024, (double)peak_kib() / 1024, runs);
}

int main(int argc, char **argv) {
    const long wanted = argc > 2 ? strtol(argv[2], NULL, 10) : RUNS_DEFAULT;
    if (argc < 2 || wanted < 1 || wanted > RUNS_MAX) {
        fprintf(stderr, "usage: %s MODEL [RUNS, at most %d]\n", argv[0], RUNS_MAX);
        return 2;
    }
    cost measured = {0};
    for (long i = 0; i < wanted; i++) {
        weir_error err = {0};
        if (run_once(&measured, argv[1], &err) != WEIR_OK) {
            char line[1024];
            fprintf(stderr, "%s\n", weir_error_format(&err, line, sizeof line));
            return 3;
        }
    }
    print_cost(&measured, wanted);
    return 0;
}
