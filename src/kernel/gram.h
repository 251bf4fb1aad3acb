/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file gram.h  Whether the columns of two sets of rows hang together in the same way: cosines
 * between columns, and a permutation test of their agreement.
 *
 * For rows x of n columns, G[i,j] = sum over rows of weight x_i x_j, and the cosine of columns i
 * and j is G[i,j] / sqrt(G[i,i] G[j,j]). What is compared are the cosines off the diagonal, less
 * their mean, in units of their standard deviation.
 */
#ifndef WEIR_KERNEL_GRAM_H
#define WEIR_KERNEL_GRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GRAM_COLS_MAX = 1024 };

/** Add one row; only sums[i n + j] with j <= i are used. */
void gram_add(double *sums, const float *row, size_t n, double weight);

/**
 * Add the standardised cosines of a Gram matrix to `scores`, both halves of [n, n]; the diagonal
 * stays.
 * @return false, with scores left alone, when a column is zero or not finite, or all cosines are
 * equal
 */
bool gram_add_scores(float *scores, const double *sums, size_t n);

/** Divide by the standard deviation again, cut at 8 of them, and store in steps of 1/4000. */
void gram_store_scores(int16_t *out, const float *scores, size_t n);

/** Sum over j < i of a[i,j] b[i,j]. */
int64_t gram_agreement(const int16_t *a, const int16_t *b, size_t n);

/**
 * How many of `permutations` random orders of a's columns agree with b at least as well as a's own
 * order.
 *
 * Permutation k is drawn from `seed` and k alone, so the count does not depend on the threads. If
 * the order of a's or of b's columns is exchangeable, (1 + count) / (1 + permutations) is a
 * p-value, exactly (Phipson and Smyth 2010).
 *
 * @param n        at most GRAM_COLS_MAX
 * @param threads  at least 1
 */
size_t gram_permuted_agreements(const int16_t *a, const int16_t *b, size_t n, size_t permutations,
                                uint64_t seed, int threads);

#endif
