/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file statistics.h  Tails and quantiles of Student's t: exact finite sums, no libm but sqrt.
 *
 * For even nu, with c = nu / (nu + t^2) [1, 26.7.4]:
 *     P(|T| <= t) = sqrt(1 - c) (1 + c 1/2 + c^2 (1 3)/(2 4) + ... + c^(nu/2-1) (1 3 ...)/(2 4
 * ...)) An odd nu is taken as the even one below it, and one above STUDENT_DF_MAX as that, so that
 * tails are never too small nor intervals too short. Below about 1e-13 a tail is rounding.
 * [1] Abramowitz and Stegun 1964.
 */
#ifndef WEIR_KERNEL_STATISTICS_H
#define WEIR_KERNEL_STATISTICS_H

#include <stddef.h>

enum { STUDENT_DF_MIN = 2, STUDENT_DF_MAX = 1000 };

/** P(|T| > |t|) with `df` degrees of freedom; 1 when df < STUDENT_DF_MIN or t is NaN. */
double student_two_sided(double t, size_t df);

/** The t with P(|T| > t) = tail, 1e-12 <= tail <= 1; infinite when df < STUDENT_DF_MIN. */
double student_quantile(double tail, size_t df);

#endif
