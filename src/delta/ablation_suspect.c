/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sample of rows keeps the rank of a change, and a common scale. So what is looked at is how much
 * of the change, less that scale, three directions hold.
 */
#include <math.h>

#include "base/checked.h"
#include "base/fail.h"
#include "delta/ablation.h"
#include "delta/thresholds.h"
#include "kernel/spectrum.h"

enum { STRONGEST = 3 };

/* The change without what a common scale of the base explains. */
static double take_scale_out(float *out, const matrix_look *look) {
    const size_t elements = look->rows * look->cols;
    double product = 0;
    for (size_t i = 0; i < elements; i++) {
        product += (double)look->change[i] * (double)look->base[i];
    }
    const float scale = look->base_square > 0 ? (float)(product / look->base_square) : 0.0F;
    double square = 0;
    for (size_t i = 0; i < elements; i++) {
        out[i] = look->change[i] - scale * look->base[i];
        square += (double)out[i] * (double)out[i];
    }
    return square;
}

weir_code ablation_suspect(bool *out, const matrix_look *look, weir_error *err) {
    const double elements = (double)look->rows * (double)look->cols;
    *out = false;
    if (look->rows < 2 || look->cols < 2 || !(look->change_square > 0)) {
        return WEIR_OK;
    }
    WEIR_CLEANUP(free)
    float *change = checked_alloc(look->rows, look->cols * sizeof *change);
    if (!change) {
        return weir_fail_nomem(err);
    }
    const double square = take_scale_out(change, look);
    WEIR_CLEANUP(spectrum_scratch_release) spectrum_scratch scratch = {0};
    const spectrum_options options = {.count = STRONGEST, .oversample = 9, .power_iterations = 2};
    spectrum found;
    WEIR_TRY(spectrum_find(&found, change, look->rows, look->cols, &options, &scratch, err));
    double rest = square;
    for (size_t k = 0; k < found.count; k++) {
        rest -= found.values[k] * found.values[k];
    }
    const double sides = sqrt((double)look->rows) + sqrt((double)look->cols);
    const double edge = fmax(rest, 0) / elements * sides * sides;
    double structured = 0;
    for (size_t k = 0; k < found.count; k++) {
        structured += fmax(found.values[k] * found.values[k] - edge, 0);
    }
    /* Where rounding is not known, all that is not structured may be rounding. */
    const double above = isfinite(look->rounding) ? square - THRESHOLD_ABLATION_BLOCK_ROUNDING *
                                                                 look->rounding * elements
                                                  : 0;
    *out = structured > THRESHOLD_ABLATION_SUSPECT_EDGE * edge &&
           structured > THRESHOLD_ABLATION_SUSPECT * above;
    return WEIR_OK;
}
