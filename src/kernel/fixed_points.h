/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file fixed_points.h  How many points a random order leaves in their place, or in rising order:
 * the exact laws behind the p-value of a shared ancestor.
 */
#ifndef WEIR_KERNEL_FIXED_POINTS_H
#define WEIR_KERNEL_FIXED_POINTS_H

enum { FIXED_POINTS_MAX = 16 };

/**
 * P(F >= k) for F fixed points of a uniformly random permutation of n (the rencontres law [1]).
 *     P(F = k) = D(n - k) / (k! (n - k)!)      D(m) = m D(m - 1) + (-1)^m, D(0) = 1
 * @param n  at most FIXED_POINTS_MAX
 * [1] Riordan 1958, chapter 3.
 */
double fixed_points_tail(int n, int k);

/**
 * A bound of P(F >= k) when only `pairs` of n places hold what can be matched, and the places of
 * one side are a uniformly random choice: C(pairs, k) (n - k)! / n!, at most 1. By the union over
 * the choices of k.
 */
double fixed_points_bound(int n, int pairs, int k);

/** A bound of P(L >= k) for the longest rising chain of a random permutation of n: C(n, k) / k!, at
 * most
 * 1. By the union over the choices of k. */
double rising_chain_bound(int n, int k);

#endif
