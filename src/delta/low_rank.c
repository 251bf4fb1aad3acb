/* SPDX-License-Identifier: Apache-2.0 */
#include "delta/low_rank.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "base/hash.h"
#include "delta/full_bound.h"
#include "delta/rounding.h"
#include "delta/thresholds.h"
#include "kernel/convert.h"

enum {
    FIRST_VALUES = 48,
    ALL_VALUES = LOW_RANK_MOST + BOX_FIT_SPARE,
    PROBED = 1 << 12,
    NOISE_VALUES = 8,
    NOISE_SEED = 1
};

/* One question at work. */
typedef struct search {
    matrix_look look; /* borrows the caller's arrays; its dtype is what the numbers show */
    low_rank_scratch *scratch;
    low_rank_fit *out;
    spectrum raw;
    bool with_scale;
    size_t cap; /* largest rank that the changed numbers can speak of */
    size_t changed;
} search;

/* Numbers in a float32 file may have been rounded to fewer bits on the way there. */
static bool is_narrower(const matrix_look *look, weir_dtype dtype) {
    const size_t count = look->rows * look->cols;
    const size_t stride = count > PROBED ? count / PROBED : 1;
    for (size_t i = 0; i < count; i += stride) {
        const float value = look->base[i] + look->change[i];
        uint16_t stored;
        float back;
        convert_from_f32(&stored, dtype, &value, 1);
        convert_to_f32(&back, dtype, &stored, 1);
        if (back != value) {
            return false;
        }
    }
    return true;
}

static weir_dtype shown_dtype(const matrix_look *look) {
    if (look->dtype != WEIR_DTYPE_F32 && look->dtype != WEIR_DTYPE_F64) {
        return look->dtype;
    }
    if (is_narrower(look, WEIR_DTYPE_BF16)) {
        return WEIR_DTYPE_BF16;
    }
    return is_narrower(look, WEIR_DTYPE_F16) ? WEIR_DTYPE_F16 : WEIR_DTYPE_F32;
}

static double half_perimeter(const matrix_look *look) {
    return sqrt((double)look->rows) + sqrt((double)look->cols);
}

/* The largest singular value of rounding alone. Float32's own steps are a millionth of a number's
 * size at most, and so is what a merge in float32 leaves of the change's. */
static double modelled_edge(const search *at) {
    const matrix_look *const look = &at->look;
    const double count = (double)look->rows * (double)look->cols;
    double square = look->rounding;
    if (look->dtype == WEIR_DTYPE_F32) {
        square = look->base_square / count * 0x1p-42 + look->change_square / count * 0x1p-40;
    } else if (!(square > 0)) {
        square = rounding_mean_square(look->dtype, look->base, look->rows * look->cols);
    }
    return sqrt(square) * half_perimeter(look);
}

static size_t count_changed(const matrix_look *look) {
    size_t changed = 0;
    for (size_t i = 0; i < look->rows * look->cols; i++) {
        changed += look->change[i] != 0.0F;
    }
    return changed;
}

/* A matrix of rank r has r (rows + cols - r) free numbers: no more of them than half the numbers
 * that could contradict it. */
static size_t find_cap(const matrix_look *look, size_t changed) {
    const size_t side = look->rows < look->cols ? look->rows : look->cols;
    size_t rank = 0;
    while (rank < side && rank < LOW_RANK_MOST &&
           (rank + 1) * (look->rows + look->cols - rank - 1) <= changed / 2) {
        rank++;
    }
    return rank;
}

/* Share of the change's square along the rows of the base, in multiples of what chance gives. */
static double scale_over_chance(const matrix_look *look) {
    double along = 0;
    for (size_t i = 0; i < look->rows; i++) {
        const float *const w = look->base + i * look->cols;
        const float *const x = look->change + i * look->cols;
        double cross = 0;
        double square = 0;
        for (size_t j = 0; j < look->cols; j++) {
            cross += (double)x[j] * (double)w[j];
            square += (double)w[j] * (double)w[j];
        }
        along += square > 0 ? cross * cross / square : 0;
    }
    return along / look->change_square * (double)look->cols;
}

static size_t count_above(const spectrum *found, double edge) {
    size_t count = 0;
    while (count < found->count && found->values[count] >= edge) {
        count++;
    }
    return count;
}

static weir_code begin(search *at, weir_error *err) {
    WEIR_TRY(
        box_fit_begin(&at->raw, &at->look, at->with_scale, FIRST_VALUES, &at->scratch->fits, err));
    if (count_above(&at->raw, at->out->edge) + 8 >= at->raw.count &&
        at->raw.count == FIRST_VALUES) {
        WEIR_TRY(box_fit_begin(&at->raw, &at->look, at->with_scale, ALL_VALUES, &at->scratch->fits,
                               err));
    }
    low_rank_fit *const out = at->out;
    out->has_row_scale = at->with_scale;
    out->value_count = at->raw.count < LOW_RANK_VALUES ? at->raw.count : LOW_RANK_VALUES;
    memcpy(out->values, at->raw.values, out->value_count * sizeof *out->values);
    return WEIR_OK;
}

static weir_code try_rank(box_fit *out, search *at, size_t rank, weir_error *err) {
    return box_fit_run(out, &at->look, at->with_scale, rank, THRESHOLD_RANK_EXCESS,
                       &at->scratch->fits, err);
}

/* Whether the change's own spectrum goes on past the rank without a drop, so that more directions
 * may hide in what rounding left. */
static bool has_tail(const spectrum *raw, size_t rank) {
    return rank > 0 && rank < raw->count &&
           raw->values[rank - 1] < THRESHOLD_RANK_GAP * raw->values[rank];
}

static void accept(search *at, size_t rank, const box_fit *fit) {
    low_rank_fit *const out = at->out;
    double energy = 0;
    for (size_t i = 0; i < rank && i < at->raw.count; i++) {
        energy += at->raw.values[i] * at->raw.values[i];
    }
    out->verdict = rank > 0         ? LOW_RANK_CLEAR
                   : at->with_scale ? LOW_RANK_NONE
                                    : LOW_RANK_BELOW_FLOOR;
    out->rank = rank;
    out->is_lower_bound = has_tail(&at->raw, rank);
    out->excess = fit->excess;
    out->reproduced = fit->reproduced;
    out->row_scale_std = fit->scale_std;
    out->energy = at->raw.square > 0 ? energy / at->raw.square : 1;
}

/* The last place where the values of a fit of too high a rank fall off. */
static size_t last_gap(const box_fit *fit, size_t rank) {
    size_t last = 0;
    for (size_t i = 1; i < rank && i < fit->count; i++) {
        last = fit->values[i - 1] >= THRESHOLD_RANK_GAP * fit->values[i] ? i : last;
    }
    return last;
}

/* The smallest rank that explains the change lies in (low, high], and `high` does: halve. */
static weir_code narrow(search *at, size_t low, size_t high, const box_fit *of_high,
                        weir_error *err) {
    box_fit best = *of_high;
    while (high - low > 1) {
        const size_t middle = low + (high - low) / 2;
        box_fit fit;
        WEIR_TRY(try_rank(&fit, at, middle, err));
        if (fit.excess <= THRESHOLD_RANK_EXCESS) {
            high = middle;
            best = fit;
        } else {
            low = middle;
        }
    }
    accept(at, high, &best);
    return WEIR_OK;
}

/* A fit of rank `rank` explains the change; which is the smallest that does? Where the fit's values
 * end in a gap, that is tried, and the rank below it must fail. */
static weir_code find_smallest(search *at, size_t rank, const box_fit *fit, weir_error *err) {
    const size_t gap = last_gap(fit, rank);
    box_fit here;
    box_fit below;
    if (gap == 0) {
        return narrow(at, 0, rank, fit, err);
    }
    WEIR_TRY(try_rank(&here, at, gap, err));
    if (here.excess > THRESHOLD_RANK_EXCESS) {
        return narrow(at, gap, rank, fit, err);
    }
    WEIR_TRY(try_rank(&below, at, gap - 1, err));
    if (below.excess > THRESHOLD_RANK_EXCESS) {
        accept(at, gap, &here);
        return WEIR_OK;
    }
    return narrow(at, 0, gap - 1, &below, err);
}

/* Ranks from a little above what stands out of the edge, doubled while they fall short: weak
 * directions of a weak change lie below it. */
static weir_code find_enough(size_t *rank, box_fit *fit, search *at, weir_error *err) {
    const size_t near = count_above(&at->raw, at->out->edge);
    *rank = near + near / 2 + 4;
    for (;;) {
        *rank = *rank < at->cap ? *rank : at->cap;
        WEIR_TRY(try_rank(fit, at, *rank, err));
        if (fit->excess <= THRESHOLD_RANK_EXCESS || *rank == at->cap) {
            return WEIR_OK;
        }
        *rank *= 2;
    }
}

/* Decide with the row scale that the search has now. */
static weir_code search_rank(search *at, weir_error *err) {
    low_rank_fit *const out = at->out;
    size_t rank;
    box_fit fit;
    WEIR_TRY(begin(at, err));
    if (at->with_scale) {
        WEIR_TRY(try_rank(&fit, at, 0, err));
        if (fit.excess <= THRESHOLD_RANK_EXCESS) {
            accept(at, 0, &fit);
            return WEIR_OK;
        }
    }
    WEIR_TRY(find_enough(&rank, &fit, at, err));
    if (fit.excess <= THRESHOLD_RANK_EXCESS) {
        return find_smallest(at, rank, &fit, err);
    }
    out->rank = count_above(&at->raw, THRESHOLD_RANK_OVER_EDGE * out->edge);
    out->excess = fit.excess;
    out->reproduced = fit.reproduced;
    out->row_scale_std = fit.scale_std;
    out->verdict = fit.excess >= THRESHOLD_FULL_EXCESS && out->unchanged <= THRESHOLD_FULL_UNCHANGED
                       ? LOW_RANK_FULL
                       : LOW_RANK_UNSETTLED;
    return WEIR_OK;
}

/* A row scale is one more direction's worth of free numbers: what does without it at one rank more
 * is plain. @return whether it is */
static weir_code is_plain_enough(bool *out, search *at, weir_error *err) {
    box_fit fit;
    spectrum raw;
    *out = false;
    const size_t rank = at->out->rank + 1;
    WEIR_TRY(box_fit_begin(&raw, &at->look, false, rank + BOX_FIT_SPARE, &at->scratch->fits, err));
    WEIR_TRY(
        box_fit_run(&fit, &at->look, false, rank, THRESHOLD_RANK_EXCESS, &at->scratch->fits, err));
    *out = fit.excess <= THRESHOLD_RANK_EXCESS;
    return WEIR_OK;
}

static weir_code search_ranks(search *at, bool runs_along_rows, weir_error *err) {
    at->with_scale = runs_along_rows;
    WEIR_TRY(search_rank(at, err));
    if (!runs_along_rows || at->out->verdict == LOW_RANK_NONE) {
        return WEIR_OK;
    }
    bool is_plain = at->out->verdict != LOW_RANK_CLEAR;
    if (!is_plain) {
        WEIR_TRY(is_plain_enough(&is_plain, at, err));
    }
    at->with_scale = false;
    return is_plain ? search_rank(at, err) : WEIR_OK;
}

/* A change so far from every rank that may be told that none need be tried. */
static weir_code bound_says_full(bool *is_full, search *at, weir_error *err) {
    low_rank_fit *const out = at->out;
    double excess;
    WEIR_TRY(full_bound_excess(&excess, &at->look, at->look.dtype, at->cap, err));
    *is_full = excess >= THRESHOLD_FULL_EXCESS;
    if (*is_full) {
        WEIR_TRY(begin(at, err));
        out->rank = count_above(&at->raw, THRESHOLD_RANK_OVER_EDGE * out->edge);
        out->excess = excess;
        out->verdict = LOW_RANK_FULL;
    }
    return WEIR_OK;
}

/* With steps known: try ranks. */
static weir_code decide_by_boxes(search *at, weir_error *err) {
    low_rank_fit *const out = at->out;
    const double along = scale_over_chance(&at->look);
    out->edge = modelled_edge(at);
    out->is_edge_modelled = true;
    WEIR_TRY(box_fit_begin(&at->raw, &at->look, false, 1, &at->scratch->fits, err));
    if (at->raw.values[0] < THRESHOLD_RANK_OVER_EDGE * out->edge) {
        out->verdict = LOW_RANK_BELOW_FLOOR;
        out->value_count = 1;
        out->values[0] = at->raw.values[0];
        return WEIR_OK;
    }
    const bool runs_along_rows = along >= THRESHOLD_ROW_SCALE_OVER_CHANCE;
    bool is_full = false;
    WEIR_TRY(!runs_along_rows && out->unchanged <= THRESHOLD_FULL_UNCHANGED
                 ? bound_says_full(&is_full, at, err)
                 : WEIR_OK);
    return is_full ? WEIR_OK : search_ranks(at, runs_along_rows, err);
}

/* What storing the base itself in a block dtype does to it: the noise that any edit stands in, with
 * the same unequal steps. Where the model's own dtype cannot be written (K and IQ types), Q4_0
 * shows how steps are spread, and the size is taken from the data. */
static weir_code make_noise(float *out, const matrix_look *look, weir_dtype dtype,
                            weir_error *err) {
    const size_t count = look->rows * look->cols;
    WEIR_CLEANUP(free) unsigned char *stored = checked_alloc(look->cols, 2 * sizeof *stored);
    if (!stored) {
        return weir_fail_nomem(err);
    }
    for (size_t i = 0; i < count; i += look->cols) {
        convert_from_f32(stored, dtype, look->base + i, look->cols);
        convert_to_f32(out + i, dtype, stored, look->cols);
        for (size_t j = i; j < i + look->cols; j++) {
            out[j] -= look->base[j];
        }
    }
    return WEIR_OK;
}

/* Numbers that lie on a grid round to themselves: the errors of two roundings are drawn, each even
 * in its step. */
static weir_code draw_noise(float *out, const matrix_look *look) {
    uint64_t state = hash_mix(NOISE_SEED);
    for (size_t i = 0; i < look->rows * look->cols; i += look->cols) {
        (void)rounding_half_steps(out + i, look->dtype, look->base + i, look->cols);
        for (size_t j = i; j < i + look->cols; j++) {
            const double first = ldexp((double)(hash_next(&state) >> 11), -53);
            const double second = ldexp((double)(hash_next(&state) >> 11), -53);
            out[j] *= (float)(2 * (first - second));
        }
    }
    return WEIR_OK;
}

/* Spectrum of the noise of storage, and its sum of squares. */
static weir_code find_noise(spectrum *out, search *at, weir_error *err) {
    const matrix_look *const look = &at->look;
    const bool is_written = convert_can_write(look->dtype) && !isnan(look->rounding);
    WEIR_CLEANUP(free) float *noise = checked_alloc(look->rows * look->cols, sizeof *noise);
    if (!noise) {
        return weir_fail_nomem(err);
    }
    WEIR_TRY(look->is_twice_rounded && is_written
                 ? draw_noise(noise, look)
                 : make_noise(noise, look, is_written ? look->dtype : WEIR_DTYPE_Q4_0, err));
    const spectrum_options options = {
        .count = NOISE_VALUES, .oversample = 16, .power_iterations = 4, .seed = NOISE_SEED};
    return spectrum_find(out, noise, look->rows, look->cols, &options, &at->scratch->fits.spectra,
                         err);
}

/* Mean square of what lies beyond the first `rank` directions. */
static double mean_square_beyond(const search *at, size_t rank) {
    double left = at->raw.square;
    for (size_t i = 0; i < rank; i++) {
        left -= at->raw.values[i] * at->raw.values[i];
    }
    const double freedom =
        ((double)at->look.rows - (double)rank) * ((double)at->look.cols - (double)rank);
    return left > 0 ? left / freedom : 0;
}

/* Whether the values beyond the rank fall as those of the noise do. */
static bool is_like_noise(const search *at, const spectrum *noise, size_t rank, double size) {
    for (size_t i = 0; i < noise->count && rank + i < at->raw.count; i++) {
        if (at->raw.values[rank + i] > THRESHOLD_BULK_OVER_NOISE * size * noise->values[i]) {
            return false;
        }
    }
    return true;
}

/* What the rank leaves is the noise, or more; more is of full rank only when every rank that can be
 * told leaves more, since weak directions hide in the noise too. */
static weir_code judge_rest(search *at, size_t rank, double noise_square, weir_error *err) {
    low_rank_fit *const out = at->out;
    const double over = mean_square_beyond(at, rank) / noise_square;
    if (rank <= at->cap && over <= THRESHOLD_NOISE_SQUARE) {
        const bool is_less = over < 2 - THRESHOLD_NOISE_SQUARE; /* two roundings of like numbers */
        out->verdict = is_less    ? LOW_RANK_UNSETTLED
                       : rank > 0 ? LOW_RANK_CLEAR
                                  : LOW_RANK_BELOW_FLOOR;
        return WEIR_OK;
    }
    if (at->raw.count < at->cap) {
        WEIR_TRY(box_fit_begin(&at->raw, &at->look, false, ALL_VALUES, &at->scratch->fits, err));
    }
    out->verdict = mean_square_beyond(at, at->cap) > THRESHOLD_FULL_SQUARE * noise_square
                       ? LOW_RANK_FULL
                       : LOW_RANK_UNSETTLED;
    return WEIR_OK;
}

/* In block dtypes all steps of a block are equal and wide, so that a full-rank change fits into the
 * boxes as well. There the noise is known instead: directions are what stands out of its largest
 * singular value, and what is left must have its square, or, where its size is not known, its
 * shape. */
static weir_code decide_by_noise(search *at, weir_error *err) {
    low_rank_fit *const out = at->out;
    const bool has_size = !isnan(at->look.rounding) && rounding_mantissa_bits(at->look.dtype) < 0;
    const double count = (double)at->look.rows * (double)at->look.cols;
    spectrum noise;
    WEIR_TRY(find_noise(&noise, at, err));
    if (!(noise.square > 0)) {
        return WEIR_OK; /* the base lies on the very grid: nothing to compare with */
    }
    double size = 1;
    size_t rank = 0;
    WEIR_TRY(begin(at, err));
    for (; rank < at->raw.count; rank++) {
        size = has_size ? 1 : sqrt(mean_square_beyond(at, rank) * count / noise.square);
        out->edge = size * noise.values[0];
        if (at->raw.values[rank] < THRESHOLD_RANK_OVER_NOISE * out->edge) {
            break;
        }
    }
    out->is_edge_modelled = has_size;
    out->rank = rank;
    out->is_lower_bound = rank > 0;
    out->energy = 1 - mean_square_beyond(at, rank) * count / at->raw.square;
    return has_size || is_like_noise(at, &noise, rank, size)
               ? judge_rest(at, rank, size * size * noise.square / count, err)
               : WEIR_OK;
}

static weir_code decide(search *at, weir_error *err) {
    if (!isnan(at->look.rounding) && rounding_mantissa_bits(at->look.dtype) >= 0) {
        return decide_by_boxes(at, err);
    }
    /* Blocks of 32 along the rows, or nothing is known of the steps. */
    return at->look.cols % 32 == 0 ? decide_by_noise(at, err) : WEIR_OK;
}

weir_code low_rank_find(low_rank_fit *out, const matrix_look *look, low_rank_scratch *scratch,
                        weir_error *err) {
    low_rank_fit found = {.excess = (double)NAN, .reproduced = (double)NAN};
    search at = {.look = *look, .scratch = scratch, .out = &found};
    at.look.dtype = shown_dtype(look);
    at.changed = count_changed(look);
    const double count = (double)look->rows * (double)look->cols;
    found.unchanged = count > 0 ? 1 - (double)at.changed / count : 1;
    at.cap = find_cap(look, at.changed);
    if (at.changed == 0) {
        found.verdict = LOW_RANK_NONE;
    } else {
        WEIR_TRY(decide(&at, err));
    }
    const bool is_open =
        found.verdict == LOW_RANK_UNSETTLED || found.verdict == LOW_RANK_BELOW_FLOOR;
    found.whole_could_settle = is_open && !matrix_look_is_whole(look);
    *out = found;
    return WEIR_OK;
}

void low_rank_scratch_release(low_rank_scratch *scratch) {
    box_fit_scratch_release(&scratch->fits);
    *scratch = (low_rank_scratch){0};
}
