/* SPDX-License-Identifier: Apache-2.0 */
/** @file bet.h  The bets of link.h: what a number of units in their place is worth against chance.
 */
#ifndef WEIR_SKETCH_BET_H
#define WEIR_SKETCH_BET_H

#include <stdbool.h>

enum { BET_POINTS_MIN = 3 }; /* fewer units in their place win nothing */

extern const double bet_stake_on_all; /**< of the stake: on every unit being in its place */
extern const double bet_lost_layer;   /**< what a layer without a match leaves of the product */

/** A bound of the probability, under H0, of at least `points` units in place (or in a rising chain)
 * of `of` that could be matched; exact when all BLOCK_UNITS could and places are asked for. */
double bet_tail(bool is_chain, unsigned of, unsigned points);

/**
 * e = sum over t from BET_POINTS_MIN to `of` of w_t [points >= t] / bet_tail(t): three tenths of
 * the stake on t = of, the rest spread evenly. Its mean under H0 is at most 1.
 */
double bet_on_points(bool is_chain, unsigned of, unsigned points);

/** log10(1/10 + 9/10 e): a layer's factor, which one changed layer cannot make zero. */
double log10_bet_of_layer(double e);

#endif
