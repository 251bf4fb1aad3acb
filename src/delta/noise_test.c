/* SPDX-License-Identifier: Apache-2.0 */
#include "delta/noise_test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "base/hash.h"
#include "delta/thresholds.h"
#include "kernel/spectrum.h"

enum {
    NOISE_TEST_SHUFFLES = 4,
    CHANGED_LEAST = 2048,
    CHANGED_ONE_IN = 16, /* fewer hide their rows and columns */
    SIDE_LEAST = 32,
    BINADES = 256,
    SHUFFLE_SEED = 0x5EED,
};

/* The three statistics of one matrix. */
typedef struct structure_of {
    double top;
    double rows;
    double cols;
} structure_of;

/* What the shuffles share. */
typedef struct shuffler {
    const matrix_look *look;
    size_t count;
    uint32_t *order; /* indices, binade by binade */
    size_t ends[BINADES];
    float *shuffled;
    spectrum_scratch spectra;
} shuffler;

static void shuffler_release_cleanup(shuffler *at) {
    free(at->order);
    free(at->shuffled);
    spectrum_scratch_release(&at->spectra);
}

static size_t binade_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits >> 23 & 0xFF;
}

static double variance(const double *values, size_t count) {
    double sum = 0;
    double square = 0;
    for (size_t i = 0; i < count; i++) {
        sum += values[i];
    }
    const double mean = sum / (double)count;
    for (size_t i = 0; i < count; i++) {
        square += (values[i] - mean) * (values[i] - mean);
    }
    return square / (double)count;
}

static weir_code measure(structure_of *out, shuffler *at, const float *change, weir_error *err) {
    const size_t rows = at->look->rows;
    const size_t cols = at->look->cols;
    WEIR_CLEANUP(free) double *energies = calloc(rows + cols, sizeof *energies);
    if (!energies) {
        return weir_fail_nomem(err);
    }
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = 0; j < cols; j++) {
            const double square = (double)change[i * cols + j] * (double)change[i * cols + j];
            energies[i] += square;
            energies[rows + j] += square;
        }
    }
    const spectrum_options options = {
        .count = 1, .oversample = 7, .power_iterations = 6, .seed = SHUFFLE_SEED};
    spectrum found;
    WEIR_TRY(spectrum_find(&found, change, rows, cols, &options, &at->spectra, err));
    *out = (structure_of){.top = found.values[0],
                          .rows = variance(energies, rows),
                          .cols = variance(energies + rows, cols)};
    return WEIR_OK;
}

static weir_code prepare(shuffler *out, weir_error *err) {
    out->order = checked_alloc(out->count, sizeof *out->order);
    out->shuffled = checked_alloc(out->count, sizeof *out->shuffled);
    if (!out->order || !out->shuffled) {
        return weir_fail_nomem(err);
    }
    size_t places[BINADES] = {0};
    for (size_t i = 0; i < out->count; i++) {
        out->ends[binade_of(out->look->base[i])]++;
    }
    for (size_t k = 1; k < BINADES; k++) {
        places[k] = out->ends[k - 1];
        out->ends[k] += out->ends[k - 1];
    }
    for (size_t i = 0; i < out->count; i++) {
        out->order[places[binade_of(out->look->base[i])]++] = (uint32_t)i;
    }
    return WEIR_OK;
}

/* Fisher and Yates within each binade: the number at order[i] takes that of a random place. */
static void shuffle(shuffler *at, uint64_t seed) {
    memcpy(at->shuffled, at->look->change, at->count * sizeof *at->shuffled);
    size_t begin = 0;
    for (size_t k = 0; k < BINADES; k++) {
        for (size_t i = at->ends[k]; i > begin + 1; i--) {
            const size_t j = begin + (size_t)(hash_next(&seed) % (i - begin));
            float *const a = at->shuffled + at->order[i - 1];
            float *const b = at->shuffled + at->order[j];
            const float kept = *a;
            *a = *b;
            *b = kept;
        }
        begin = at->ends[k];
    }
}

static bool can_tell(const matrix_look *look) {
    const size_t side = look->rows < look->cols ? look->rows : look->cols;
    const size_t count = look->rows * look->cols;
    size_t changed = 0;
    for (size_t i = 0; i < count; i++) {
        changed += look->change[i] != 0.0F;
    }
    return side >= SIDE_LEAST && changed >= CHANGED_LEAST && changed >= count / CHANGED_ONE_IN &&
           count <= UINT32_MAX;
}

static double larger(double a, double b) {
    return a > b ? a : b;
}

weir_code noise_test_run(noise_test *out, const matrix_look *look, weir_error *err) {
    WEIR_CLEANUP(shuffler_release)
    shuffler at = {.look = look, .count = look->rows * look->cols};
    structure_of own;
    structure_of most = {0};
    *out = (noise_test){0};
    if (!can_tell(look)) {
        return WEIR_OK;
    }
    WEIR_TRY(prepare(&at, err));
    WEIR_TRY(measure(&own, &at, look->change, err));
    for (uint64_t k = 0; k < NOISE_TEST_SHUFFLES; k++) {
        structure_of one;
        shuffle(&at, hash_mix(SHUFFLE_SEED + k));
        WEIR_TRY(measure(&one, &at, at.shuffled, err));
        most = (structure_of){.top = larger(most.top, one.top),
                              .rows = larger(most.rows, one.rows),
                              .cols = larger(most.cols, one.cols)};
    }
    out->is_tested = most.top > 0 && most.rows > 0 && most.cols > 0;
    out->top = most.top > 0 ? own.top / most.top : 0;
    out->rows = most.rows > 0 ? own.rows / most.rows : 0;
    out->cols = most.cols > 0 ? own.cols / most.cols : 0;
    out->is_noise = out->is_tested && out->top <= THRESHOLD_NOISE_TOP &&
                    out->rows <= THRESHOLD_NOISE_ENERGIES && out->cols <= THRESHOLD_NOISE_ENERGIES;
    return WEIR_OK;
}

change_band change_band_of(double rel_norm) {
    return rel_norm < THRESHOLD_BAND_STANDARD  ? CHANGE_BAND_LIGHT
           : rel_norm < THRESHOLD_BAND_HEAVY   ? CHANGE_BAND_STANDARD
           : rel_norm < THRESHOLD_BAND_EXTREME ? CHANGE_BAND_HEAVY
                                               : CHANGE_BAND_EXTREME;
}
