/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file full_bound.h  A change that no matrix of a given rank can have made, without a search.
 *
 * L of rank r explains a change D when every number of D - L lies in the box of its rounding, of
 * half width h. Whatever L is, |D - L| >= t, the root of the squares of D's singular values beyond
 * the r-th [1], and the distances to the boxes are at least |D_ij - L_ij| - h_ij, so root of their
 * squares >= t - |h|. Where this alone is more than a fit may leave, no fit need be tried.
 *
 * [1] Eckart and Young 1936.
 */
#ifndef WEIR_DELTA_FULL_BOUND_H
#define WEIR_DELTA_FULL_BOUND_H

#include "delta/matrix_look.h"

enum { FULL_BOUND_SIDE_MAX = 1024 };

/**
 * The least excess that any matrix of rank `rank` leaves, in units of what rounding would be:
 * sum of squared distances over sum of h^2 / 3 over the numbers that changed.
 *
 * @param[out] out   0 when the bound says nothing: a short side over FULL_BOUND_SIDE_MAX, or a
 * dtype without known steps
 * @param dtype      whose steps the numbers have
 * @return WEIR_OK; WEIR_ERR_NOMEM
 *
 * Cost: a product of the matrix with itself along its long side, and the eigenvalues of that.
 */
weir_code full_bound_excess(double *out, const matrix_look *look, weir_dtype dtype, size_t rank,
                            weir_error *err);

#endif
