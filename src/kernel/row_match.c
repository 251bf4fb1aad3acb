/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/row_match.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "base/fail.h"
#include "base/hash.h"

enum { ROWS_AT_ONCE = 256, CENTRED_ROWS_MIN = 32 };

double row_cosine(const float *a, const float *b, size_t cols) {
    double aa = 0;
    double bb = 0;
    double ab = 0;
    for (size_t i = 0; i < cols; i++) {
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
        ab += (double)a[i] * (double)b[i];
    }
    const double norms = sqrt(aa) * sqrt(bb);
    return norms > 0 && isfinite(norms) ? ab / norms : (double)NAN;
}

/* --- equal rows --- */

/* What the first number other than zero has to be multiplied with to be positive. */
static float sign_of(const float *row, size_t cols) {
    for (size_t i = 0; i < cols; i++) {
        if (row[i] < 0 || row[i] > 0) {
            return row[i] < 0 ? -1.0F : 1.0F;
        }
    }
    return 1.0F;
}

static bool is_constant(const float *row, size_t cols) {
    for (size_t i = 1; i < cols; i++) {
        if (row[i] < row[0] || row[i] > row[0]) {
            return false;
        }
    }
    return true;
}

static bool is_finite_row(const float *row, size_t cols) {
    for (size_t i = 0; i < cols; i++) {
        if (!isfinite(row[i])) {
            return false;
        }
    }
    return true;
}

static bool are_equal(const float *a, const float *b, size_t cols, float sign) {
    for (size_t i = 0; i < cols; i++) {
        if (a[i] < sign * b[i] || a[i] > sign * b[i]) {
            return false;
        }
    }
    return true;
}

typedef struct row_key {
    uint64_t hash;
    uint32_t index;
} row_key;

/* Both zeros hash alike, and so do both signs of a row where the sign is free. */
static uint64_t hash_row(const float *row, size_t cols, bool any_sign) {
    const float sign = any_sign ? sign_of(row, cols) : 1.0F;
    uint64_t hash = cols;
    for (size_t i = 0; i < cols; i++) {
        const float value = sign * row[i] + 0.0F;
        uint32_t bits;
        memcpy(&bits, &value, sizeof bits);
        hash = hash_mix(hash ^ bits);
    }
    return hash;
}

static int by_hash(const void *left, const void *right) {
    const row_key *a = left;
    const row_key *b = right;
    if (a->hash != b->hash) {
        return a->hash < b->hash ? -1 : 1;
    }
    return (a->index > b->index) - (a->index < b->index);
}

static weir_code sort_keys(row_key **out, size_t *count, const float *rows, size_t row_count,
                           size_t cols, bool any_sign, weir_error *err) {
    row_key *keys = checked_alloc(row_count, sizeof *keys);
    if (!keys) {
        return weir_fail_nomem(err);
    }
    *count = 0;
    for (size_t i = 0; i < row_count; i++) {
        if (is_finite_row(rows + i * cols, cols)) {
            keys[(*count)++] = (row_key){hash_row(rows + i * cols, cols, any_sign), (uint32_t)i};
        }
    }
    qsort(keys, *count, sizeof *keys, by_hash);
    *out = keys;
    return WEIR_OK;
}

typedef struct search {
    uint32_t *partners;
    int8_t *signs;
    row_match_count *count;
    const float *from;
    const float *to;
    size_t from_rows;
    size_t to_rows;
    size_t cols;
    const row_match_options *options;
    bool *is_taken; /* [to_rows] */
} search;

static bool join(search *run, uint32_t i, uint32_t j) {
    const float *a = run->from + i * run->cols;
    const float *b = run->to + j * run->cols;
    const float sign =
        run->options->any_sign ? sign_of(a, run->cols) * sign_of(b, run->cols) : 1.0F;
    if (!are_equal(a, b, run->cols, sign)) {
        return false;
    }
    run->partners[i] = j;
    run->is_taken[j] = true;
    if (run->signs) {
        run->signs[i] = sign < 0 ? -1 : 1;
    }
    run->count->equal++;
    return true;
}

/* Rows of one hash: those at the same index first, the rest in order. */
static void join_group(search *run, const row_key *from, size_t from_count, const row_key *to,
                       size_t to_count) {
    for (size_t i = 0, j = 0; i < from_count && j < to_count;) {
        if (from[i].index == to[j].index) {
            join(run, from[i++].index, to[j++].index);
        } else if (from[i].index < to[j].index) {
            i++;
        } else {
            j++;
        }
    }
    size_t j = 0;
    for (size_t i = 0; i < from_count; i++) {
        if (run->partners[from[i].index] != ROW_MATCH_NONE) {
            continue;
        }
        while (j < to_count && run->is_taken[to[j].index]) {
            j++;
        }
        if (j < to_count) {
            join(run, from[i].index, to[j].index);
        } else if (run->options->may_repeat) {
            join(run, from[i].index, to[0].index);
        }
    }
    const bool is_telling = from_count == 1 && to_count == 1 &&
                            run->partners[from[0].index] != ROW_MATCH_NONE &&
                            !is_constant(run->from + from[0].index * run->cols, run->cols);
    run->count->telling += is_telling;
}

static size_t group_end(const row_key *keys, size_t begin, size_t count) {
    size_t end = begin;
    while (end < count && keys[end].hash == keys[begin].hash) {
        end++;
    }
    return end;
}

static weir_code join_equal(search *run, weir_error *err) {
    WEIR_CLEANUP(free) row_key *from = NULL;
    WEIR_CLEANUP(free) row_key *to = NULL;
    size_t from_count = 0;
    size_t to_count = 0;
    const bool any_sign = run->options->any_sign;
    WEIR_TRY(sort_keys(&from, &from_count, run->from, run->from_rows, run->cols, any_sign, err));
    WEIR_TRY(sort_keys(&to, &to_count, run->to, run->to_rows, run->cols, any_sign, err));
    for (size_t i = 0, j = 0; i < from_count && j < to_count;) {
        if (from[i].hash < to[j].hash) {
            i++;
        } else if (from[i].hash > to[j].hash) {
            j++;
        } else {
            const size_t i_end = group_end(from, i, from_count);
            const size_t j_end = group_end(to, j, to_count);
            join_group(run, from + i, i_end - i, to + j, j_end - j);
            i = i_end;
            j = j_end;
        }
    }
    return WEIR_OK;
}

/* --- nearest rows --- */

/* Rows without a partner, centred and of length 1. */
typedef struct directions {
    float *rows;
    uint32_t *indices;
    size_t count;
} directions;

static void release_directions(directions *of) {
    free(of->rows);
    free(of->indices);
}

static inline void release_directions_cleanup(directions *of) {
    release_directions(of);
}

static weir_code mean_row(double **out, const float *rows, size_t row_count, size_t cols,
                          weir_error *err) {
    double *mean = calloc(cols ? cols : 1, sizeof *mean);
    if (!mean) {
        return weir_fail_nomem(err);
    }
    *out = mean;
    size_t count = 0;
    for (size_t i = 0; i < row_count; i++) {
        const float *row = rows + i * cols;
        if (!is_finite_row(row, cols)) {
            continue;
        }
        count++;
        for (size_t j = 0; j < cols; j++) {
            mean[j] += (double)row[j];
        }
    }
    for (size_t j = 0; j < cols; j++) {
        mean[j] = count >= CENTRED_ROWS_MIN ? mean[j] / (double)count : 0;
    }
    return WEIR_OK;
}

static bool add_direction(float *out, const float *row, const double *mean, size_t cols) {
    double square = 0;
    double before = 0;
    for (size_t j = 0; j < cols; j++) {
        const double value = (double)row[j] - mean[j];
        square += value * value;
        before += (double)row[j] * (double)row[j];
    }
    /* What is left of a row that is the mean is rounding. */
    if (!(square > 1e-12 * before) || !isfinite(square)) {
        return false;
    }
    const double scale = 1 / sqrt(square);
    for (size_t j = 0; j < cols; j++) {
        out[j] = (float)(((double)row[j] - mean[j]) * scale);
    }
    return true;
}

static weir_code gather_directions(directions *out, const float *rows, size_t row_count,
                                   size_t cols, bool keep_mean, const uint32_t *partners,
                                   const bool *is_taken, weir_error *err) {
    WEIR_CLEANUP(free) double *mean = NULL;
    WEIR_TRY(mean_row(&mean, rows, keep_mean ? 0 : row_count, cols, err));
    size_t elements;
    out->indices = checked_alloc(row_count, sizeof *out->indices);
    out->rows = checked_mul_size(&elements, row_count, cols)
                    ? checked_alloc(elements, sizeof(float))
                    : NULL;
    if (!out->indices || !out->rows) {
        return weir_fail_nomem(err);
    }
    for (size_t i = 0; i < row_count; i++) {
        const bool is_done = partners ? partners[i] != ROW_MATCH_NONE : is_taken && is_taken[i];
        if (!is_done && add_direction(out->rows + out->count * cols, rows + i * cols, mean, cols)) {
            out->indices[out->count++] = (uint32_t)i;
        }
    }
    return WEIR_OK;
}

/* The nearest of a row, or of a column, of the product. */
typedef struct nearest {
    float best; /* magnitude where the sign is free */
    float next;
    uint32_t index;
    bool is_negative;
} nearest;

static void take_cosine(nearest *of, float cosine, uint32_t index, bool any_sign) {
    const float value = any_sign && cosine < 0 ? -cosine : cosine;
    if (value > of->best) {
        of->next = of->best;
        of->best = value;
        of->index = index;
        of->is_negative = cosine < 0;
    } else if (value > of->next) {
        of->next = value;
    }
}

static double cosine_needed(const search *run) {
    const double pairs = (double)run->from_rows * (double)run->to_rows;
    const double chance = sqrt(2 * log(1000 * pairs) / (double)run->cols);
    return chance > run->options->cosine_min ? chance : run->options->cosine_min;
}

static void join_nearest(search *run, const directions *from, const directions *to,
                         const nearest *of_from, const nearest *of_to) {
    const double needed = cosine_needed(run);
    double sum = 0;
    for (size_t i = 0; i < from->count; i++) {
        const nearest *found = &of_from[i];
        const bool is_mutual = run->options->may_repeat || of_to[found->index].index == i;
        const double apart = 1 - (double)found->best;
        const double next_apart = 1 - (double)found->next;
        if ((double)found->best < needed || !is_mutual ||
            apart > run->options->nearness * next_apart) {
            continue;
        }
        run->partners[from->indices[i]] = to->indices[found->index];
        if (run->signs) {
            run->signs[from->indices[i]] = found->is_negative ? -1 : 1;
        }
        run->count->near++;
        sum += (double)found->best;
    }
    if (run->count->near > 0) {
        run->count->cosine = sum / (double)run->count->near;
    }
}

static weir_code search_nearest(search *run, const directions *from, const directions *to,
                                weir_error *err) {
    WEIR_CLEANUP(free) nearest *of_from = checked_alloc(from->count, sizeof *of_from);
    WEIR_CLEANUP(free) nearest *of_to = checked_alloc(to->count, sizeof *of_to);
    size_t elements;
    WEIR_CLEANUP(free)
    float *product = checked_mul_size(&elements, ROWS_AT_ONCE, to->count)
                         ? checked_alloc(elements, sizeof *product)
                         : NULL;
    if (!of_from || !of_to || !product) {
        return weir_fail_nomem(err);
    }
    const nearest none = {.best = -2, .next = -2};
    for (size_t j = 0; j < to->count; j++) {
        of_to[j] = none;
    }
    for (size_t begin = 0; begin < from->count; begin += ROWS_AT_ONCE) {
        const size_t left = from->count - begin;
        const size_t rows = left < ROWS_AT_ONCE ? left : ROWS_AT_ONCE;
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)rows, (int)to->count,
                    (int)run->cols, 1.0F, from->rows + begin * run->cols, (int)run->cols, to->rows,
                    (int)run->cols, 0.0F, product, (int)to->count);
        for (size_t i = 0; i < rows; i++) {
            of_from[begin + i] = none;
            for (size_t j = 0; j < to->count; j++) {
                const float cosine = product[i * to->count + j];
                take_cosine(&of_from[begin + i], cosine, (uint32_t)j, run->options->any_sign);
                take_cosine(&of_to[j], cosine, (uint32_t)(begin + i), run->options->any_sign);
            }
        }
    }
    join_nearest(run, from, to, of_from, of_to);
    return WEIR_OK;
}

static bool is_too_much(const search *run, size_t from_count, size_t to_count) {
    uint64_t work;
    return !checked_mul_u64(&work, from_count, to_count) ||
           !checked_mul_u64(&work, work, run->cols) || work > ROW_MATCH_WORK_MAX ||
           to_count > INT32_MAX || run->cols > INT32_MAX;
}

static weir_code join_near(search *run, weir_error *err) {
    if (run->count->equal == run->from_rows || run->options->only_equal) {
        return WEIR_OK;
    }
    if (is_too_much(run, run->from_rows - run->count->equal, run->to_rows)) {
        run->count->is_limited = true;
        return WEIR_OK;
    }
    WEIR_CLEANUP(release_directions) directions from = {0};
    WEIR_CLEANUP(release_directions) directions to = {0};
    /* Rows of free sign have no common mean. */
    const bool keep_mean = run->options->any_sign || run->options->keep_mean;
    WEIR_TRY(gather_directions(&from, run->from, run->from_rows, run->cols, keep_mean,
                               run->partners, NULL, err));
    WEIR_TRY(gather_directions(&to, run->to, run->to_rows, run->cols, keep_mean, NULL,
                               run->options->may_repeat ? NULL : run->is_taken, err));
    return from.count > 0 && to.count > 0 ? search_nearest(run, &from, &to, err) : WEIR_OK;
}

weir_code row_match_find(uint32_t *partners, int8_t *signs, row_match_count *count,
                         const float *from, size_t from_rows, const float *to, size_t to_rows,
                         size_t cols, const row_match_options *options, weir_error *err) {
    *count = (row_match_count){.cosine = (double)NAN};
    for (size_t i = 0; i < from_rows; i++) {
        partners[i] = ROW_MATCH_NONE;
        if (signs) {
            signs[i] = 1;
        }
    }
    if (from_rows == 0 || to_rows == 0 || cols == 0) {
        return WEIR_OK;
    }
    WEIR_CLEANUP(free) bool *is_taken = calloc(to_rows, sizeof *is_taken);
    if (!is_taken) {
        return weir_fail_nomem(err);
    }
    search run = {.partners = partners,
                  .signs = signs,
                  .count = count,
                  .from = from,
                  .to = to,
                  .from_rows = from_rows,
                  .to_rows = to_rows,
                  .cols = cols,
                  .options = options,
                  .is_taken = is_taken};
    WEIR_TRY(join_equal(&run, err));
    return join_near(&run, err);
}
