/* SPDX-License-Identifier: Apache-2.0 */
#include "sketch/bet.h"

#include <math.h>

#include "kernel/fixed_points.h"
#include "sketch/fingerprint.h"

const double bet_stake_on_all = 0.3;
const double bet_lost_layer = 0.1;

double bet_tail(bool is_chain, unsigned of, unsigned points) {
    if (is_chain) {
        return rising_chain_bound((int)of, (int)points);
    }
    return of == BLOCK_UNITS ? fixed_points_tail(BLOCK_UNITS, (int)points)
                             : fixed_points_bound(BLOCK_UNITS, (int)of, (int)points);
}

double bet_on_points(bool is_chain, unsigned of, unsigned points) {
    if (of < BET_POINTS_MIN + 1) {
        return 0;
    }
    double won = 0;
    for (unsigned t = BET_POINTS_MIN; t <= points; t++) {
        const double stake =
            t == of ? bet_stake_on_all : (1 - bet_stake_on_all) / (double)(of - BET_POINTS_MIN);
        won += stake / bet_tail(is_chain, of, t);
    }
    return won;
}

double log10_bet_of_layer(double e) {
    return log10(bet_lost_layer + (1 - bet_lost_layer) * e);
}
