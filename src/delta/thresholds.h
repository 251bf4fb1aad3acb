/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file thresholds.h  Every number by which delta/ decides, and where each comes from.
 *
 * One file, so that a reader sees them together and so that the held-out cases of the zoo, which
 * are drawn from the SHA-256 of this file, change whenever one of them does. All are ours.
 */
#ifndef WEIR_DELTA_THRESHOLDS_H
#define WEIR_DELTA_THRESHOLDS_H

/* A replay is called proved from this share of equal numbers on: what is left is ties of rounding
 * in another order of sums. A wrong coefficient leaves 6% unequal and more. */
static const double THRESHOLD_REPLAY_PROVED = 0.9999;

/* A singular value belongs to the edit when it is so many times the largest one that rounding of
 * the same numbers would have. At the edge itself rounding that copies the edit's pattern is
 * counted too. */
static const double THRESHOLD_RANK_OVER_EDGE = 1.5;

#endif
