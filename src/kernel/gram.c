/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/gram.h"

#include <math.h>

#include "base/hash.h"

static const double score_max = 8;
static const double score_steps = 4000;

void gram_add(double *sums, const float *row, size_t n, double weight) {
    for (size_t i = 0; i < n; i++) {
        const double factor = weight * (double)row[i];
        double *const line = sums + i * n;
        for (size_t j = 0; j <= i; j++) {
            line[j] += factor * (double)row[j];
        }
    }
}

/* Mean and inverse standard deviation of what stands below the diagonal. */
typedef struct spread {
    double mean;
    double inverse;
} spread;

static bool find_spread(spread *out, const float *values, size_t n) {
    const double count = (double)n * (double)(n - 1) / 2;
    double sum = 0;
    double squares = 0;
    for (size_t i = 1; i < n; i++) {
        for (size_t j = 0; j < i; j++) {
            sum += (double)values[i * n + j];
        }
    }
    out->mean = sum / count;
    for (size_t i = 1; i < n; i++) {
        for (size_t j = 0; j < i; j++) {
            const double away = (double)values[i * n + j] - out->mean;
            squares += away * away;
        }
    }
    out->inverse = 1 / sqrt(squares / count);
    return n > 2 && isfinite(out->inverse) && isfinite(out->mean);
}

/* The cosine of two columns as float32, which is as fine as it needs to be. */
static float cosine(const double *sums, size_t n, size_t i, size_t j) {
    return (float)(sums[i * n + j] / sqrt(sums[i * n + i]) / sqrt(sums[j * n + j]));
}

/* Mean and deviation of the cosines, which are not kept. */
static bool find_cosine_spread(spread *out, const double *sums, size_t n) {
    const double count = (double)n * (double)(n - 1) / 2;
    double sum = 0;
    double squares = 0;
    for (size_t i = 1; i < n; i++) {
        for (size_t j = 0; j < i; j++) {
            const double value = (double)cosine(sums, n, i, j);
            sum += value;
            squares += value * value;
        }
    }
    out->mean = sum / count;
    const double variance = squares / count - out->mean * out->mean;
    out->inverse = variance > 1e-12 ? 1 / sqrt(variance) : INFINITY;
    return n > 2 && isfinite(out->inverse) && isfinite(out->mean);
}

bool gram_add_scores(float *scores, const double *sums, size_t n) {
    spread found;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(sums[i * n + i]) || !(sums[i * n + i] > 0)) {
            return false;
        }
    }
    if (!find_cosine_spread(&found, sums, n)) {
        return false;
    }
    for (size_t i = 1; i < n; i++) {
        for (size_t j = 0; j < i; j++) {
            const double away = (double)cosine(sums, n, i, j) - found.mean;
            const float score = (float)(away * found.inverse);
            scores[i * n + j] += score;
            scores[j * n + i] += score;
        }
    }
    return true;
}

void gram_store_scores(int16_t *out, const float *scores, size_t n) {
    spread found;
    const bool has_spread = find_spread(&found, scores, n);
    for (size_t i = 0; i < n * n; i++) {
        double score = has_spread ? (double)scores[i] * found.inverse : 0;
        score = score > score_max ? score_max : score < -score_max ? -score_max : score;
        out[i] = (int16_t)(score * score_steps);
    }
}

int64_t gram_agreement(const int16_t *a, const int16_t *b, size_t n) {
    int64_t sum = 0;
    for (size_t i = 1; i < n; i++) {
        for (size_t j = 0; j < i; j++) {
            const int32_t product = a[i * n + j] * b[i * n + j];
            sum += product;
        }
    }
    return sum;
}

static void draw_order(uint16_t *order, size_t n, uint64_t seed) {
    for (size_t i = 0; i < n; i++) {
        order[i] = (uint16_t)i;
    }
    for (size_t i = n; i > 1; i--) {
        const size_t j = (size_t)(hash_next(&seed) % i); /* even but for one part in 2^54 */
        const uint16_t kept = order[i - 1];
        order[i - 1] = order[j];
        order[j] = kept;
    }
}

/* A row is brought into order first, so that its products are taken along two arrays. */
static int64_t permuted_agreement(const int16_t *a, const int16_t *b, size_t n,
                                  const uint16_t *order) {
    int16_t moved[GRAM_COLS_MAX];
    int64_t sum = 0;
    for (size_t i = 1; i < n; i++) {
        const int16_t *const row = a + order[i] * n;
        const int16_t *const with = b + i * n;
        for (size_t j = 0; j < i; j++) {
            moved[j] = row[order[j]];
        }
        for (size_t j = 0; j < i; j++) {
            const int32_t product = moved[j] * with[j];
            sum += product;
        }
    }
    return sum;
}

size_t gram_permuted_agreements(const int16_t *a, const int16_t *b, size_t n, size_t permutations,
                                uint64_t seed, int threads) {
    const int64_t own = gram_agreement(a, b, n);
    size_t count = 0;
#pragma omp parallel for num_threads(threads) schedule(static) reduction(+ : count)
    for (size_t k = 0; k < permutations; k++) {
        uint16_t order[GRAM_COLS_MAX];
        draw_order(order, n, hash_mix(seed + k));
        count += permuted_agreement(a, b, n, order) >= own;
    }
    return count;
}
