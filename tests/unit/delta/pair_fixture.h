/* SPDX-License-Identifier: Apache-2.0 */
/** @file pair_fixture.h  Two models in memory that hold one matrix each, as a diff that was
 * matched. */
#ifndef WEIR_TESTS_DELTA_PAIR_FIXTURE_H
#define WEIR_TESTS_DELTA_PAIR_FIXTURE_H

#include <math.h>

#include "../tensor/fixture.h"

#include "delta/diff.h"
#include "kernel/convert.h"

typedef struct pair_fixture {
    fixture base;
    fixture model;
    weir_diff diff;
    tensor_delta row;
} pair_fixture;

/** Both sides as stored bytes of their dtypes. Close with pair_close(). */
static inline void pair_open(pair_fixture *out, uint64_t rows, uint64_t cols, weir_dtype base_dtype,
                             const void *base, weir_dtype model_dtype, const void *model) {
    const uint64_t dims[] = {rows, cols};
    memset(out, 0, sizeof *out);
    fixture_open(&out->base, NULL, "safetensors");
    fixture_open(&out->model, NULL, "safetensors");
    fixture_add(&out->base, "w", base_dtype, dims, 2, base);
    fixture_add(&out->model, "w", model_dtype, dims, 2, model);
    assert_int_equal(weir_findings_new(&out->diff.findings, NULL), WEIR_OK);
    assert_int_equal(weir_findings_new(&out->diff.base_findings, NULL), WEIR_OK);
    out->diff.base = fixture_model(&out->base, out->diff.base_findings);
    out->diff.model = fixture_model(&out->model, out->diff.findings);
    out->row = (tensor_delta){.state = TENSOR_COMPARED, .change = WEIR_CHANGE_UNKNOWN};
}

/** Numbers, stored as dtypes that weir writes. */
static inline void pair_open_numbers(pair_fixture *out, uint64_t rows, uint64_t cols,
                                     weir_dtype base_dtype, const float *base,
                                     weir_dtype model_dtype, const float *model) {
    const size_t count = (size_t)(rows * cols);
    unsigned char *const stored = calloc(2 * count, sizeof(float));
    assert_non_null(stored);
    convert_from_f32(stored, base_dtype, base, count);
    convert_from_f32(stored + count * sizeof(float), model_dtype, model, count);
    pair_open(out, rows, cols, base_dtype, stored, model_dtype, stored + count * sizeof(float));
    free(stored);
}

static inline void pair_close(pair_fixture *pair) {
    weir_model_free(pair->diff.base);
    weir_model_free(pair->diff.model);
    weir_findings_free(pair->diff.base_findings);
    weir_findings_free(pair->diff.findings);
    fixture_close(&pair->base);
    fixture_close(&pair->model);
}

/** Uniform in (0, 1), by splitmix64. */
static inline double draw_unit(uint64_t *state) {
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return ((double)((z ^ z >> 31) >> 11) + 0.5) * 0x1p-53;
}

/** Standard normal (Box and Muller 1958). */
static inline double draw_normal(uint64_t *state) {
    const double size = sqrt(-2 * log(draw_unit(state)));
    return size * cos(6.283185307179586 * draw_unit(state));
}

/** Numbers of a layer, held by bfloat16. @return an array of [rows, cols]; free() it */
static inline float *draw_matrix(size_t rows, size_t cols, uint64_t seed) {
    float *const out = calloc(rows * cols, sizeof *out);
    uint16_t *const stored = calloc(rows * cols, sizeof *stored);
    assert_non_null(out);
    assert_non_null(stored);
    for (size_t i = 0; i < rows * cols; i++) {
        out[i] = (float)(0.02 * draw_normal(&seed));
    }
    convert_from_f32(stored, WEIR_DTYPE_BF16, out, rows * cols);
    convert_to_f32(out, WEIR_DTYPE_BF16, stored, rows * cols);
    free(stored);
    return out;
}

#endif
