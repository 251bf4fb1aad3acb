/* SPDX-License-Identifier: Apache-2.0 */
/*
 * At which likeness a link is found, beside what link_power() says of it:
 *
 *     bench_link_power [TRIALS] [ENTRIES] [LOG10_P_LIMIT]
 *
 * Noise model: each row of a child has cosine c with the same row of its ancestor, and is else
 * noise; rows of ancestors are independent. Numbers are sums of 64 random signs, near enough to
 * Gaussian for angles. Rows become codes as in fingerprint.c and go through link_test() as one of
 * ENTRIES that were searched; a child is found when log10 p is at most the limit. For each shape
 * the smallest c, in steps of .01, at which 95% of TRIALS children are found is looked for by
 * bisection; then as many pairs of strangers are tested. Prints JSON; the same on every machine.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fail.h"
#include "base/hash.h"
#include "kernel/unit_code.h"
#include "sketch/link.h"

enum { STEPS = 100, TRIALS_DEFAULT = 300, TRIALS_MAX = 1000000, COLS_MAX = 4096, BLOCKS_MAX = 32 };

typedef struct shape {
    size_t cols;
    size_t blocks;
    bool has_gate;
} shape;

static const shape shapes[] = {
    {256, 2, true},   {256, 6, true},    {256, 16, true},   {256, 32, true}, {1024, 2, true},
    {1024, 6, true},  {1024, 16, true},  {1024, 32, true},  {4096, 6, true}, {1024, 2, false},
    {1024, 6, false}, {1024, 16, false}, {1024, 32, false},
};

/* Rows of one block of an ancestor and of its child, and what coding them needs. */
typedef struct bench {
    float ancestor[BLOCK_UNITS * COLS_MAX];
    float child[BLOCK_UNITS * COLS_MAX];
    float *scratch;
    sketch_block mine[BLOCKS_MAX];
    sketch_block theirs[BLOCKS_MAX];
    long trials;
    uint64_t entries;
    double limit;
} bench;

static float random_number(uint64_t *state) {
    return (float)(__builtin_popcountll(hash_next(state)) - 32);
}

/* Both rows of numbers at once, so that a child needs no second pass over its ancestor. */
static void make_rows(bench *on, size_t count, double cosine, uint64_t *state) {
    const float kept = (float)cosine;
    const float noise = (float)sqrt(1 - cosine * cosine);
    for (size_t i = 0; i < count; i++) {
        on->ancestor[i] = random_number(state);
        on->child[i] = kept * on->ancestor[i] + noise * random_number(state);
    }
}

static void code_rows(bench *on, uint64_t (*out)[UNIT_CODE_WORDS], float *rows, size_t cols) {
    float projected[BLOCK_UNITS][UNIT_PROJECTIONS];
    unit_rows_normalise(rows, BLOCK_UNITS, cols, NULL, NULL);
    unit_rows_center(rows, BLOCK_UNITS, cols, NULL);
    unit_project(projected, rows, BLOCK_UNITS, cols, on->scratch);
    for (size_t u = 0; u < BLOCK_UNITS; u++) {
        unit_signs(out[u], projected[u], UNIT_PROJECTIONS);
    }
}

static void make_pair(bench *on, const shape *of, double cosine, uint64_t *state) {
    for (size_t i = 0; i < of->blocks; i++) {
        const sketch_block empty = {.layer = (int32_t)i,
                                    .expert = EXPERT_NONE,
                                    .valid = UINT16_MAX,
                                    .has_gate = of->has_gate};
        on->mine[i] = empty;
        on->theirs[i] = empty;
        make_rows(on, BLOCK_UNITS * of->cols, cosine, state);
        code_rows(on, on->theirs[i].up, on->ancestor, of->cols);
        code_rows(on, on->mine[i].up, on->child, of->cols);
        if (of->has_gate) {
            make_rows(on, BLOCK_UNITS * of->cols, cosine, state);
            code_rows(on, on->theirs[i].gate, on->ancestor, of->cols);
            code_rows(on, on->mine[i].gate, on->child, of->cols);
        }
    }
}

static fingerprint wrap(const shape *of, sketch_block *blocks) {
    return (fingerprint){.hidden = (uint32_t)of->cols,
                         .feed_forward = BLOCK_UNITS,
                         .layers = (uint32_t)of->blocks,
                         .blocks = blocks,
                         .block_count = of->blocks};
}

/* How many of the trials are linked. @param least  receives the smallest log10 p, may be NULL */
static long count_linked(bench *on, const shape *of, double cosine, double *least) {
    long linked = 0;
    for (long trial = 0; trial < on->trials; trial++) {
        uint64_t state =
            hash_mix((uint64_t)trial + 1) ^ hash_mix(of->cols * BLOCKS_MAX + of->blocks);
        make_pair(on, of, cosine, &state);
        const fingerprint mine = wrap(of, on->mine);
        const fingerprint theirs = wrap(of, on->theirs);
        WEIR_CLEANUP(link_result_release) link_result result = {0};
        if (link_test(&result, &mine, &theirs, on->entries, NULL) != WEIR_OK) {
            fprintf(stderr, "out of memory\n");
            exit(5);
        }
        linked += result.log10_p <= on->limit;
        if (least && result.log10_p < *least) {
            *least = result.log10_p;
        }
    }
    return linked;
}

static bool is_enough(const bench *on, long linked) {
    return linked * 20 >= on->trials * 19;
}

static int smallest_step(bench *on, const shape *of) {
    int low = 0;
    int high = STEPS;
    while (high - low > 1) {
        const int middle = (low + high) / 2;
        if (is_enough(on, count_linked(on, of, (double)middle / STEPS, NULL))) {
            high = middle;
        } else {
            low = middle;
        }
    }
    return high;
}

static void measure_shape(bench *on, const shape *of, bool is_last) {
    const uint64_t any = 1;
    uint64_t state = any;
    make_pair(on, of, 0, &state);
    const fingerprint mine = wrap(of, on->mine);
    const double printed = link_power(&mine, on->entries, on->limit);
    const int step = smallest_step(on, of);
    double least = 0;
    const double trials = (double)on->trials;
    const long at_printed = count_linked(on, of, printed, NULL);
    const long strangers = count_linked(on, of, 0, &least);
    printf("  {\"width\": %zu, \"layers\": %zu, \"gate\": %s, \"stated_cosine\": %.4f, ", of->cols,
           of->blocks, of->has_gate ? "true" : "false", printed);
    printf("\"found_at_stated\": %.4f, \"smallest_cosine\": %.2f, ", (double)at_printed / trials,
           (double)step / STEPS);
    printf("\"strangers_linked\": %ld, \"strangers_least_log10_p\": %.3f}%s\n", strangers, least,
           is_last ? "" : ",");
    (void)fflush(stdout);
}

int main(int argc, char **argv) {
    bench *const on = calloc(1, sizeof *on);
    if (!on || !(on->scratch = malloc(unit_scratch_floats(COLS_MAX) * sizeof(float)))) {
        return 5;
    }
    on->trials = argc > 1 ? strtol(argv[1], NULL, 10) : TRIALS_DEFAULT;
    on->entries = argc > 2 ? strtoull(argv[2], NULL, 10) : 200;
    on->limit = argc > 3 ? strtod(argv[3], NULL) : -6;
    if (on->trials < 1 || on->trials > TRIALS_MAX || on->entries < 1) {
        fprintf(stderr, "usage: %s [TRIALS] [ENTRIES] [LOG10_P_LIMIT]\n", argv[0]);
        return 2;
    }
    const size_t count = sizeof shapes / sizeof *shapes;
    printf("{\"trials\": %ld, \"entries\": %llu, \"log10_p_limit\": %g, \"shapes\": [\n",
           on->trials, (unsigned long long)on->entries, on->limit);
    for (size_t i = 0; i < count; i++) {
        measure_shape(on, &shapes[i], i + 1 == count);
    }
    printf("]}\n");
    free(on->scratch);
    free(on);
    return 0;
}
