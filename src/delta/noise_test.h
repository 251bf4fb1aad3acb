/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file noise_test.h  Whether a change is noise: numbers that know neither their row nor their
 * column.
 *
 * H0: among numbers of the base of one size (one binade), those of the change are exchangeable.
 * Added Gaussian or uniform noise, jitter of one unit in the last place and noise in proportion to
 * the numbers all obey it, also after rounding. Training does not: its changes have outlying
 * singular values, and rows and columns of unequal energy. Compared are, with the same of the
 * change shuffled within binades: the largest singular value, and how unequal the energies of the
 * rows and of the columns are.
 */
#ifndef WEIR_DELTA_NOISE_TEST_H
#define WEIR_DELTA_NOISE_TEST_H

#include <stdbool.h>

#include "delta/matrix_look.h"

typedef struct noise_test {
    bool is_tested; /**< false: too few numbers changed to tell, or too short a side */
    bool is_noise;  /**< all three are as small as those of shuffled changes */
    double top;     /**< largest singular value over the largest of the shuffled ones */
    double rows;    /**< variance of the rows' energies over the largest of the shuffled ones */
    double cols;    /**< and of the columns' */
} noise_test;

/**
 * Test a change. Deterministic: the shuffles have a fixed seed.
 *
 * @return WEIR_OK; WEIR_ERR_NOMEM
 *
 * Cost: NOISE_TEST_SHUFFLES shuffles of the look and as many largest singular values; two more
 * arrays of the look in memory.
 */
weir_code noise_test_run(noise_test *out, const matrix_look *look, weir_error *err);

/** Size of a full-rank change, in steps of modeldelta's ladder, which it drew from seven pairs of a
 * base and its instruct model. */
typedef enum change_band {
    CHANGE_BAND_LIGHT,    /**< below 1.5% of the base's norm */
    CHANGE_BAND_STANDARD, /**< to 5% */
    CHANGE_BAND_HEAVY,    /**< to 12% */
    CHANGE_BAND_EXTREME,
} change_band;

change_band change_band_of(double rel_norm);

#endif
