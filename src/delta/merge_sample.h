/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file merge_sample.h  Rows of one tensor of the model, the base and several parents in memory:
 * what the search for a recipe works on.
 */
#ifndef WEIR_DELTA_MERGE_SAMPLE_H
#define WEIR_DELTA_MERGE_SAMPLE_H

#include "delta/diff.h"

/** Zero-initialise; release with merge_sample_release(). Arrays hold `count` numbers each, whole
 * rows one after the other. */
typedef struct merge_sample {
    size_t row; /**< of diff->tensors */
    float *memory;
    float *model;
    float *base;
    float *parents[WEIR_DIFF_PARENTS_MAX + 1]; /**< in the order asked for; the base's numbers for
                                                  a parent without the tensor */
    size_t parent_count;
    size_t count;
    size_t cols;
} merge_sample;

/**
 * Read evenly spaced rows.
 *
 * @param[out] out       zero-initialised, or one that was read before
 * @param row            of diff->tensors, in state TENSOR_COMPARED
 * @param parents        `parent_count` indices into diff->parents; VIEW_NONE stands for the base
 * @param elements_most  numbers of each side; at least one row is read
 * @return WEIR_OK; WEIR_ERR_LIMIT for a row of more than ROW_ELEMENTS_MAX; WEIR_ERR_IO;
 * WEIR_ERR_NOMEM
 */
weir_code merge_sample_read(merge_sample *out, const weir_diff *diff, size_t row,
                            const ptrdiff_t *parents, size_t parent_count, size_t elements_most,
                            weir_error *err);

void merge_sample_release(merge_sample *sample);
static inline void merge_sample_release_cleanup(merge_sample *sample) {
    merge_sample_release(sample);
}

#endif
