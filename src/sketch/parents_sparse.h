/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file parents_sparse.h  Merges in which each number comes from a subset of the parents.
 *
 * With base b and deltas T_j = parent_j - b, number i of the child is
 *     dare [1]:  b + sum_{j in S_i} c_j T_ij            S_i random, c_j = weight / density
 *     ties [2]:  b + sum_{j in S_i} c_{S_i,j} T_ij      S_i by size and sign, c a mean over S_i
 * Each number is given the subset with the smallest error, the coefficients are fitted again, and
 * so on, from several starts. [1] Yu et al. 2024. [2] Yadav et al. 2023.
 */
#ifndef WEIR_SKETCH_PARENTS_SPARSE_H
#define WEIR_SKETCH_PARENTS_SPARSE_H

#include "sketch/parents_fit.h"

enum { SPARSE_PARENTS_MAX = 5 };

typedef struct parents_sparse {
    bool is_found;
    bool had_power;  /**< there were numbers enough to see such a merge, at some base */
    parents_fit fit; /**< least squares of the base and the parents; the base first */
} parents_sparse;

/** Look for a base among the relatives with which the members of `fit` explain every number. */
weir_code parents_sparse_find(parents_sparse *out, const parents_fit *fit, const parents_gram *gram,
                              const parents_rows *rows, weir_error *err);

#endif
