/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file spectrum.h  The largest singular values of a matrix, and their vectors.
 *
 * Large matrices go through a randomised range finder [1, algorithms 4.4 and 5.1]: with a random
 * sign matrix O [cols, k + oversample],
 *     Q = orth(A O), then `power_iterations` times  Q = orth(A orth(A' Q)),  A ~ Q Q' A,
 * and the singular values of the small Q' A are those of A but for a part that falls with the power
 * of the gap. Matrices with a short side, or of which many values are wanted, are decomposed whole.
 *
 * Numbers are float32 throughout: a singular value is off by a few 1e-7 of the largest one. The
 * vectors are for callers inside the process; nothing writes them out.
 *
 * [1] Halko, Martinsson and Tropp 2011, Finding structure with randomness.
 */
#ifndef WEIR_KERNEL_SPECTRUM_H
#define WEIR_KERNEL_SPECTRUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/error.h"

enum {
    SPECTRUM_VALUES_MAX = 256,
    SPECTRUM_EXACT_SIDE = 256, /**< short sides up to this are decomposed whole */
};

typedef struct spectrum_options {
    size_t count;            /**< singular values wanted, 1 to SPECTRUM_VALUES_MAX */
    size_t oversample;       /**< columns of the sketch beyond `count`; 16 is plenty */
    size_t power_iterations; /**< 2 for spectra that fall, 4 for flat ones */
    uint64_t seed;           /**< of the sketch */
    bool with_vectors;
    const float *start; /**< [count + oversample, cols]: right vectors to begin with, as an earlier
                           call on nearly the same matrix gave them; NULL: random signs. Not in
                           the scratch */
} spectrum_options;
#define SPECTRUM_OPTIONS_INIT                                                                      \
    { .count = 32, .oversample = 16, .power_iterations = 2 }

/** Memory that is used again from call to call. Zero-initialise; release when done. */
typedef struct spectrum_scratch {
    float *memory;
    size_t capacity; /**< in floats */
} spectrum_scratch;

typedef struct spectrum {
    size_t count;      /**< min(wanted, rows, cols); 0 when a number is not finite */
    size_t not_finite; /**< numbers that are NaN or infinite */
    bool is_exact;     /**< decomposed whole */
    double square;     /**< sum of squares of all numbers, which is that of all singular values */
    double values[SPECTRUM_VALUES_MAX]; /**< falling */
    const float *left;  /**< [count, rows]: vector i stands at left + i rows; NULL unless asked for.
                           Borrowed from the scratch until its next use */
    const float *right; /**< [count, cols] */
} spectrum;

/**
 * Find the largest singular values of a matrix [rows, cols], row-major.
 *
 * A zero matrix has zero singular values; an empty one has none. With a NaN or an infinity in it
 * nothing is computed: count is 0, and not_finite says why.
 *
 * @param scratch  the caller's, one a thread
 * @return WEIR_OK; WEIR_ERR_LIMIT for a side over INT32_MAX; WEIR_ERR_NOMEM
 *
 * The same matrix, options and build give the same numbers, in any thread: BLAS works with one.
 * Cost: 2 rows cols (count + oversample) (2 + 2 power_iterations) flops; memory
 * (rows + cols) (count + oversample) floats twice, or rows cols when decomposed whole, and when the
 * numbers are so large or small that they must be scaled first.
 */
weir_code spectrum_find(spectrum *out, const float *matrix, size_t rows, size_t cols,
                        const spectrum_options *options, spectrum_scratch *scratch,
                        weir_error *err);

void spectrum_scratch_release(spectrum_scratch *scratch);
static inline void spectrum_scratch_release_cleanup(spectrum_scratch *scratch) {
    spectrum_scratch_release(scratch);
}

#endif
