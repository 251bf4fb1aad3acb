/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How fast the kernels are beside what the memory gives:
 *     bench_kernel [MIB [PAIRS]]        MIB of each of two bf16 arrays (512), PAIRS of timings (15)
 *
 * Each round times a plain summing loop over the same bytes and then every kernel at every SIMD
 * level, so that whatever else the machine does disturbs all alike. Reported: the median over the
 * rounds of GB/s and of the ratio to that round's summing loop, with the smallest and largest
 * ratio. All cores (OMP_NUM_THREADS). In-cache figures repeat over 256 KiB a core. Dequantisation
 * writes to a buffer of one block, as weir does. The output is JSON.
 */
#include <omp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "kernel/convert.h"
#include "kernel/pair_stats.h"
#include "weir/system.h"

enum { ROUNDS_MAX = 101, CASES_MAX = 64, CACHED_BYTES = 128 << 10, CHUNK_BLOCKS = 64 };

/** The arrays of one run; `a` and `b` are read as whatever a case asks for. */
typedef struct arrays {
    uint8_t *a;
    uint8_t *b;
    size_t bytes; /* of each */
} arrays;

typedef struct bench_case {
    const char *name;
    double (*run)(const arrays *in, weir_dtype dtype); /* bytes read */
    weir_dtype dtype;
    weir_simd level;
    double seconds[ROUNDS_MAX];
    double cpu_seconds[ROUNDS_MAX]; /* of all threads */
    double bytes;
} bench_case;

static volatile double sink;

static double now(clockid_t clock) {
    struct timespec time;
    (void)clock_gettime(clock, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static uint64_t sum_words(const uint8_t *bytes, size_t len) {
    uint64_t sums[8] = {0};
    for (size_t i = 0; i + 64 <= len; i += 64) {
        uint64_t words[8];
        memcpy(words, bytes + i, sizeof words);
        for (size_t j = 0; j < 8; j++) {
            sums[j] += words[j];
        }
    }
    return sums[0] + sums[1] + sums[2] + sums[3] + sums[4] + sums[5] + sums[6] + sums[7];
}

static double run_sum(const arrays *in, weir_dtype dtype) {
    (void)dtype;
    const size_t chunk = (size_t)1 << 20;
    uint64_t total = 0;
#pragma omp parallel for schedule(static) reduction(+ : total)
    for (size_t at = 0; at < in->bytes; at += chunk) {
        const size_t len = in->bytes - at < chunk ? in->bytes - at : chunk;
        total += sum_words(in->a + at, len) + sum_words(in->b + at, len);
    }
    sink = (double)total;
    return 2.0 * (double)in->bytes;
}

static void pair_chunk(pair_stats *out, const arrays *in, size_t block, size_t blocks) {
    const uint16_t *a = (const uint16_t *)(const void *)in->a;
    const uint16_t *b = (const uint16_t *)(const void *)in->b;
    *out = (pair_stats){0};
    for (size_t i = block; i < block + blocks; i++) {
        pair_stats one;
        pair_stats_block_bf16(&one, a + i * PAIR_BLOCK, b + i * PAIR_BLOCK, PAIR_BLOCK);
        pair_stats_merge(out, &one);
    }
}

static double run_pair(const arrays *in, weir_dtype dtype) {
    (void)dtype;
    const size_t chunks = in->bytes / 2 / PAIR_BLOCK / CHUNK_BLOCKS;
    double total = 0;
#pragma omp parallel for schedule(static) reduction(+ : total)
    for (size_t i = 0; i < chunks; i++) {
        pair_stats sums;
        pair_chunk(&sums, in, i * CHUNK_BLOCKS, CHUNK_BLOCKS);
        total += sums.sum_dd + sums.sum_ulp2;
    }
    sink = total;
    return (double)chunks * CHUNK_BLOCKS * PAIR_BLOCK * 4;
}

static double run_pair_cached(const arrays *in, weir_dtype dtype) {
    (void)dtype;
    const size_t blocks = CACHED_BYTES / 2 / PAIR_BLOCK;
    const size_t rounds = 512;
#pragma omp parallel
    {
        pair_stats sums;
        const size_t offset = (size_t)omp_get_thread_num() * CACHED_BYTES;
        const arrays mine = {.a = in->a + offset, .b = in->b + offset};
        for (size_t i = 0; i < rounds; i++) {
            pair_chunk(&sums, &mine, 0, blocks);
        }
#pragma omp critical
        sink = sums.sum_dd;
    }
    return (double)omp_get_max_threads() * (double)rounds * 2 * CACHED_BYTES;
}

/** Dequantise, one block of 4096 elements after the other. */
static double run_read(const arrays *in, weir_dtype dtype) {
    const weir_dtype_info *info = weir_dtype_get(dtype);
    const size_t piece = (size_t)PAIR_BLOCK / info->block_elements * info->block_bytes;
    const size_t pieces = in->bytes / 4 / piece;
    double total = 0;
#pragma omp parallel for schedule(static) reduction(+ : total)
    for (size_t i = 0; i < pieces; i++) {
        float values[PAIR_BLOCK];
        convert_to_f32(values, dtype, in->a + i * piece, PAIR_BLOCK);
        total += (double)values[i % PAIR_BLOCK];
    }
    sink = total;
    return (double)pieces * (double)piece;
}

/** Dequantise one array and compare it with bf16 values, as a diff across formats does. */
static double run_read_pair(const arrays *in, weir_dtype dtype) {
    const weir_dtype_info *info = weir_dtype_get(dtype);
    const size_t piece = (size_t)PAIR_BLOCK / info->block_elements * info->block_bytes;
    const size_t pieces = in->bytes / 4 / (2 * (size_t)PAIR_BLOCK);
    double total = 0;
#pragma omp parallel for schedule(static) reduction(+ : total)
    for (size_t i = 0; i < pieces; i++) {
        float a[PAIR_BLOCK];
        float b[PAIR_BLOCK];
        pair_stats one;
        convert_to_f32(a, dtype, in->a + i * piece, PAIR_BLOCK);
        convert_to_f32(b, WEIR_DTYPE_BF16, in->b + i * 2 * PAIR_BLOCK, PAIR_BLOCK);
        pair_stats_block_f32(&one, a, b, PAIR_BLOCK);
        total += one.sum_dd;
    }
    sink = total;
    return (double)pieces * (double)(piece + 2 * (size_t)PAIR_BLOCK);
}

static uint8_t *allocate(size_t bytes) {
    const size_t huge = (size_t)2 << 20;
    uint8_t *memory = aligned_alloc(huge, (bytes + huge - 1) / huge * huge);
    if (!memory) {
        (void)fprintf(stderr, "bench_kernel: out of memory\n");
        exit(1);
    }
    (void)madvise(memory, bytes, MADV_HUGEPAGE);
    return memory;
}

/**
 * bf16 weights of about 0.02 and a copy of which every eighth is changed a little. Read as ggml
 * blocks these bytes have scales of every kind but NaN and infinity.
 */
static void fill(const arrays *out) {
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < out->bytes / 2; i++) {
        uint32_t random = (uint32_t)i * 2654435761u;
        random ^= random >> 15;
        random *= 2246822519u;
        const uint16_t sign = (uint16_t)(random >> 16 & 0x8000);
        const uint16_t value = (uint16_t)(sign | (0x3B80 + (random & 0x1FF)));
        const uint16_t changed = (uint16_t)(value + (random >> 20 & 7 ? 0 : 1));
        memcpy(out->a + 2 * i, &value, sizeof value);
        memcpy(out->b + 2 * i, &changed, sizeof changed);
    }
}

static int compare_doubles(const void *a, const void *b) {
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

/** Sorts. */
static double median(double *values, size_t count) {
    qsort(values, count, sizeof *values, compare_doubles);
    return values[count / 2];
}

/** GB/s of each round; by the clock, or a core's when it has the core to itself. */
static void rates(double *out, const bench_case *one, size_t rounds, bool by_cpu) {
    const double *seconds = by_cpu ? one->cpu_seconds : one->seconds;
    for (size_t i = 0; i < rounds; i++) {
        out[i] = one->bytes / seconds[i] / 1e9;
    }
}

static void report_ratio(const char *name, const bench_case *one, const bench_case *reference,
                         size_t rounds, bool by_cpu) {
    double ratio[ROUNDS_MAX];
    double reference_rate[ROUNDS_MAX];
    rates(ratio, one, rounds, by_cpu);
    rates(reference_rate, reference, rounds, by_cpu);
    for (size_t i = 0; i < rounds; i++) {
        ratio[i] /= reference_rate[i];
    }
    const double middle = median(ratio, rounds);
    printf(", \"%s\": [%.3f, %.3f, %.3f]", name, ratio[0], middle, ratio[rounds - 1]);
}

static void report(const bench_case *one, const bench_case *reference, size_t rounds, bool last) {
    double rate[ROUNDS_MAX];
    rates(rate, one, rounds, /* by_cpu= */ false);
    printf("    {\"name\": \"%s\", \"level\": \"%s\", \"gb_per_s\": %.2f, ", one->name,
           weir_simd_name(one->level), median(rate, rounds));
    rates(rate, one, rounds, /* by_cpu= */ true);
    printf("\"gb_per_cpu_s\": %.2f", median(rate, rounds));
    report_ratio("of_sum", one, reference, rounds, /* by_cpu= */ false);
    report_ratio("of_sum_cpu", one, reference, rounds, /* by_cpu= */ true);
    printf("}%s\n", last ? "" : ",");
}

static size_t add_cases(bench_case *cases) {
    static const bench_case each[] = {
        {.name = "pair_bf16", .run = run_pair},
        {.name = "pair_bf16_in_cache", .run = run_pair_cached},
        {.name = "read_Q8_0", .run = run_read, .dtype = WEIR_DTYPE_Q8_0},
        {.name = "read_Q4_K", .run = run_read, .dtype = WEIR_DTYPE_Q4_K},
        {.name = "read_Q6_K", .run = run_read, .dtype = WEIR_DTYPE_Q6_K},
        {.name = "read_F16", .run = run_read, .dtype = WEIR_DTYPE_F16},
        {.name = "read_pair_Q8_0", .run = run_read_pair, .dtype = WEIR_DTYPE_Q8_0},
        {.name = "read_pair_Q4_K", .run = run_read_pair, .dtype = WEIR_DTYPE_Q4_K},
        {.name = "read_pair_Q6_K", .run = run_read_pair, .dtype = WEIR_DTYPE_Q6_K},
    };
    size_t count = 0;
    cases[count++] = (bench_case){.name = "sum", .run = run_sum};
    for (weir_simd level = WEIR_SIMD_BASE; level <= WEIR_SIMD_AVX512; level++) {
        if (weir_simd_force(level, NULL) != WEIR_OK) {
            continue;
        }
        for (size_t i = 0; i < sizeof each / sizeof *each; i++) {
            cases[count] = each[i];
            cases[count++].level = level;
        }
    }
    return count;
}

int main(int argc, char **argv) {
    static bench_case cases[CASES_MAX];
    const size_t bytes = (size_t)(argc > 1 ? strtoul(argv[1], NULL, 10) : 512) << 20;
    const size_t rounds = (size_t)(argc > 2 ? strtoul(argv[2], NULL, 10) : 15);
    if (bytes < (size_t)CACHED_BYTES * 256 || rounds < 1 || rounds > ROUNDS_MAX) {
        (void)fprintf(stderr, "usage: bench_kernel [MIB [PAIRS]]\n");
        return 2;
    }
    const arrays in = {.a = allocate(bytes), .b = allocate(bytes), .bytes = bytes};
    fill(&in);
    const size_t count = add_cases(cases);
    for (size_t round = 0; round < rounds; round++) {
        for (size_t i = 0; i < count; i++) {
            (void)weir_simd_force(cases[i].level, NULL);
            const double start = now(CLOCK_MONOTONIC);
            const double cpu_start = now(CLOCK_PROCESS_CPUTIME_ID);
            cases[i].bytes = cases[i].run(&in, cases[i].dtype);
            cases[i].seconds[round] = now(CLOCK_MONOTONIC) - start;
            cases[i].cpu_seconds[round] = now(CLOCK_PROCESS_CPUTIME_ID) - cpu_start;
        }
    }
    printf("{\n  \"threads\": %d, \"mib_each\": %zu, \"pairs\": %zu,\n  \"cases\": [\n",
           omp_get_max_threads(), bytes >> 20, rounds);
    for (size_t i = 0; i < count; i++) {
        report(&cases[i], &cases[0], rounds, i + 1 == count);
    }
    printf("  ]\n}\n");
    free(in.a);
    free(in.b);
    return 0;
}
