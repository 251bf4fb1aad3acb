/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file pruning_survey.h  What every rule of pruning needs to know of a matrix, added up row by
 * row.
 *
 * A rule that orders numbers by some size explains a row (or a group) when no kept number is
 * smaller than one that became zero. Where it does not, the fewer of the two kinds on the wrong
 * side are its errors.
 */
#ifndef WEIR_DELTA_PRUNING_SURVEY_H
#define WEIR_DELTA_PRUNING_SURVEY_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "weir/error.h"

enum {
    SURVEY_GROUP_SIZES = 4,
    SURVEY_GROUP_MAX = 16,
    SURVEY_SIZE_BINS = 1 << 16, /**< of magnitudes: their upper 16 bits */
};

/** The m of n of m that are looked for. */
extern const size_t survey_group_sizes[SURVEY_GROUP_SIZES];

/** Zero-initialise and survey_init(); release with survey_release(). */
typedef struct survey {
    size_t cols;
    uint64_t rows;
    uint64_t model_zeros;
    uint64_t left;
    uint64_t zeroed;
    uint64_t kept;
    uint64_t kept_equal;
    double zeroed_square;
    double kept_square;
    uint64_t fits[SURVEY_GROUP_SIZES]
                 [SURVEY_GROUP_MAX + 1]; /* groups in which exactly so many are zero */
    uint64_t groups[SURVEY_GROUP_SIZES];
    uint64_t row_errors;
    uint64_t group_errors[SURVEY_GROUP_SIZES];
    uint64_t weighed_errors;
    uint64_t zero_rows;
    uint32_t *used;         /* [cols]: rows in which the column is not zero */
    uint64_t (*by_size)[2]; /* [SURVEY_SIZE_BINS]: zeroed and kept by magnitude */
    float largest_zeroed;
    float smallest_kept;
    const float *weights; /* [cols], or NULL */
    size_t weighed_group; /* numbers that Wanda's rule compares; cols or a group's */
    uint8_t *states;      /* [cols] */
    uint8_t *gone;        /* [cols]: the model's number is zero */
    float *sizes;         /* [cols] */
} survey;

/* One row of [cols] numbers. */
typedef struct row_numbers {
    const float *base;
    const float *model;
    const float *own;    /* the base as the stored dtype has it */
    const float *masked; /* the same beside the model's zeros; NULL: not known */
    const float *step;   /* between levels of the stored numbers; NULL for floats */
} row_numbers;

/** Whether a stored number stands for zero: it is the level nearest to zero, which in blocks with a
 * minimum is not zero itself. `step` is 0 for floats. */
static inline bool survey_is_gone(float model, float step) {
    return fabsf(model) <= 0.5F * step;
}

/** @return WEIR_OK; WEIR_ERR_NOMEM */
weir_code survey_init(survey *all, size_t cols, weir_error *err);
void survey_add_row(survey *all, const row_numbers *row);
void survey_release(survey *all);
static inline void survey_release_cleanup(survey *all) {
    survey_release(all);
}

#endif
