/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How alike a child must be to be found. For rows of cosine c a bit of the code differs with
 * probability acos(c) / pi; of B bits a true pair differs in about a normal number of them, and a
 * unit is matched when that is less than what the 30 wrong pairs of its row and column differ in.
 * Units count as independent; the matched ones are binomial, and the bets of the blocks add up to
 * about a normal number.
 */
#include <math.h>

#include "sketch/bet.h"
#include "sketch/link.h"

enum { GRID = 400, RIVALS = 2 * (BLOCK_UNITS - 1) };

static double normal_tail(double z) {
    return 0.5 * erfc(z / sqrt(2.0));
}

/* P(a true pair is nearer than all its rivals). */
static double unit_found(double cosine, double bits) {
    const double differs = acos(cosine) / acos(-1.0);
    const double mean = bits * differs;
    const double deviation = sqrt(bits * differs * (1 - differs)) + 1e-9;
    double found = 0;
    for (int i = 0; i < GRID; i++) {
        const double z = -6 + 12 * (i + 0.5) / GRID;
        const double density = exp(-z * z / 2) / sqrt(2 * acos(-1.0)) * 12 / GRID;
        const double rival = (mean + deviation * z - bits / 2) / (sqrt(bits) / 2);
        found += density * pow(normal_tail(rival), RIVALS);
    }
    return found;
}

/* Mean and variance of a block's log10 bet when each of its units is found with probability q. */
static void block_moments(double *mean, double *variance, double q) {
    double first = 0;
    double second = 0;
    double probability = pow(1 - q, BLOCK_UNITS);
    for (unsigned k = 0; k <= BLOCK_UNITS; k++) {
        const double won = log10_bet_of_layer(bet_on_points(false, BLOCK_UNITS, k));
        first += probability * won;
        second += probability * won * won;
        probability *= (BLOCK_UNITS - k) / (k + 1.0) * q / (1 - q);
    }
    *mean = first;
    *variance = second - first * first;
}

static bool is_found(double cosine, double bits, double blocks, double needed) {
    double mean;
    double variance;
    const double q = unit_found(cosine, bits);
    block_moments(&mean, &variance, q < 1 - 1e-9 ? q : 1 - 1e-9);
    return blocks * mean - 1.645 * sqrt(blocks * (variance > 0 ? variance : 0)) >= needed;
}

double link_power(const fingerprint *mine, uint64_t entries, double log10_p_limit) {
    size_t blocks = 0;
    bool has_gate = mine->block_count > 0;
    for (size_t i = 0; i < mine->block_count; i++) {
        blocks += mine->blocks[i].valid == UINT16_MAX;
        has_gate = has_gate && mine->blocks[i].has_gate;
    }
    const double bits = 64 * UNIT_CODE_WORDS * (has_gate ? 2 : 1);
    const double needed = log10((double)entries) + 2 * log10(2.0) - log10_p_limit;
    double low = 0;
    double high = 1;
    if (blocks == 0 || !is_found(1 - 1e-6, bits, (double)blocks, needed)) {
        return 1;
    }
    for (int i = 0; i < 30; i++) {
        const double middle = (low + high) / 2;
        if (is_found(middle, bits, (double)blocks, needed)) {
            high = middle;
        } else {
            low = middle;
        }
    }
    return high;
}
