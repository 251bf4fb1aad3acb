/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file smallest_values.h  Sums of outer products, and the two smallest generalised eigenvalues of
 * a pair of them.
 *
 * For symmetric A >= 0 and B > 0 [n, n], the smallest mu with A v = mu B v. Found by inverse
 * iteration with a block of vectors: Z = (A + d I)^-1 B V, then Rayleigh and Ritz inside the span
 * of Z [1, section 11]. d is a ridge far below the mean of the diagonal, taken out of the result
 * again, so that A may be singular: what is looked for is a direction that A lacks.
 *
 * [1] Parlett 1998, The symmetric eigenvalue problem.
 */
#ifndef WEIR_KERNEL_SMALLEST_VALUES_H
#define WEIR_KERNEL_SMALLEST_VALUES_H

#include <stddef.h>

#include "weir/error.h"

/**
 * Add weight * sum over rows of x x' to the lower triangle of sums [width, width].
 *
 * @param rows     [count, width]
 * @param threads  at least 1; the sums are the same for any
 * @return WEIR_OK; WEIR_ERR_NOMEM
 *
 * Cost: count width^2 flops.
 */
weir_code outer_products_add(double *sums, const float *rows, size_t count, size_t width,
                             double weight, unsigned threads, weir_error *err);

/**
 * Divide row and column i of a lower triangle by the root of scales[i]; a scale that is not
 * positive leaves its row alone.
 */
void outer_products_scale(double *sums, const double *scales, size_t width);

/**
 * Find the two smallest generalised eigenvalues, and the vector of the smallest.
 *
 * @param[out] values  rising; NaN when A cannot be factorised (not finite, or far from >= 0)
 * @param[out] vector  n numbers of norm 1; may be NULL
 * @param a            [n, n], lower triangle (row i, columns up to i); the upper one is used up
 * @param b            likewise; NULL for the identity
 * @param n            at least 2
 * @return WEIR_OK; WEIR_ERR_NOMEM
 *
 * The values are Ritz values: the smallest is exact to 1e-6 of the mean of the diagonal when it
 * stands apart, and the second may be a few per cent too large among equals. Deterministic.
 * Cost: n^3 / 3 + 1500 n^2 flops.
 */
weir_code smallest_values_find(double values[2], double *vector, double *a, double *b, size_t n,
                               weir_error *err);

#endif
