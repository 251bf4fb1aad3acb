/* SPDX-License-Identifier: Apache-2.0 */
#include "delta/row_look.h"

#include <math.h>
#include <stdint.h>

#include "base/fail.h"
#include "delta/ablation.h"
#include "delta/thresholds.h"

enum { THIN_SIDE = 512 };

/* Codes that the base's numbers get too; the whole pair is read where the sample agrees. */
static weir_code look_at_codes(row_look *out, const weir_diff *diff, const tensor_delta *row,
                               weir_error *err) {
    if (!containment_applies(diff, row)) {
        return WEIR_OK;
    }
    out->is_contained = true;
    WEIR_TRY(containment_measure(&out->codes, diff, row, LOOK_SAMPLE_ELEMENTS, err));
    return out->codes.verdict == CONTAINMENT_NO
               ? WEIR_OK
               : containment_measure(&out->codes, diff, row, SIZE_MAX, err);
}

static weir_code look_at_way(row_look *out, const weir_diff *diff, const tensor_delta *row,
                             weir_error *err) {
    const weir_dtype dtype = model_view(diff->model, (size_t)row->model_index)->base.dtype;
    if (dtype != WEIR_DTYPE_F32 && dtype != WEIR_DTYPE_F16 && dtype != WEIR_DTYPE_BF16) {
        return WEIR_OK;
    }
    WEIR_TRY(detour_find(&out->way, diff, row, LOOK_SAMPLE_ELEMENTS, err));
    return out->way.kind == DETOUR_NONE ? WEIR_OK : detour_prove(&out->way, diff, row, err);
}

static bool is_settled(const row_look *look) {
    return look->way.is_proved || (look->is_contained && look->codes.verdict != CONTAINMENT_NO);
}

/* Of one matrix: was it multiplied, is it of low rank, is it noise? */
static weir_code test_change(row_look *out, const matrix_look *look, low_rank_scratch *scratch,
                             weir_error *err) {
    out->is_measured = true;
    out->rounding = look->rounding;
    out->base_norm = sqrt(look->base_square);
    if (out->zeros.is_pruned) {
        /* The zeros cut holes into whatever was there: a factor or a rank can no longer be seen. */
        WEIR_TRY(low_rank_find(&out->low_rank, look, scratch, err));
        const bool is_full = out->low_rank.verdict == LOW_RANK_FULL;
        out->low_rank.verdict = is_full ? LOW_RANK_FULL : LOW_RANK_UNSETTLED;
        return WEIR_OK;
    }
    WEIR_TRY(scale_fit_find(&out->scale, look, err));
    if (out->scale.axis != SCALE_NONE) {
        return WEIR_OK;
    }
    WEIR_TRY(low_rank_find(&out->low_rank, look, scratch, err));
    return out->low_rank.verdict == LOW_RANK_FULL ? noise_test_run(&out->noise, look, err)
                                                  : WEIR_OK;
}

/* A part of the matrix settles most; where it leaves the rank open, all rows at hand are tested. */
static weir_code look_at_change(row_look *out, const weir_diff *diff, const tensor_delta *row,
                                look_memory *memory, weir_error *err) {
    matrix_look *look = &memory->look;
    const weir_code code = matrix_look_read(look, diff, row, LOOK_SAMPLE_ELEMENTS, err);
    if (code != WEIR_OK) {
        return code == WEIR_ERR_LIMIT ? WEIR_OK
                                      : code; /* a row too long to hold is not looked at */
    }
    if (out->way.kind != DETOUR_NONE) {
        WEIR_TRY(detour_take_off(look, &out->way, look->dtype, err));
    }
    if (pruning_is_suspected(look)) {
        WEIR_TRY(pruning_measure(&out->zeros, look, diff, row, err));
        if (out->zeros.is_survivors_proved) {
            return WEIR_OK;
        }
        if (out->zeros.is_pruned) {
            pruning_mask(look);
        }
    }
    WEIR_TRY(ablation_suspect(&out->is_suspect, look, err));
    WEIR_TRY(matrix_look_thin(&memory->thin, look, THIN_SIDE, THIN_SIDE, err));
    WEIR_TRY(test_change(out, &memory->thin, &memory->scratch, err));
    const low_rank_verdict verdict = out->low_rank.verdict;
    const bool is_open = verdict == LOW_RANK_UNSETTLED || verdict == LOW_RANK_BELOW_FLOOR;
    const bool is_thinner = memory->thin.rows < look->rows || memory->thin.cols < look->cols;
    return out->scale.axis == SCALE_NONE && is_open && is_thinner
               ? test_change(out, look, &memory->scratch, err)
               : WEIR_OK;
}

weir_code row_look_take(row_look *out, const weir_diff *diff, const tensor_delta *row,
                        look_memory *memory, weir_error *err) {
    *out = (row_look){.rounding = (double)NAN};
    WEIR_TRY(look_at_codes(out, diff, row, err));
    if (!is_settled(out)) {
        WEIR_TRY(look_at_way(out, diff, row, err));
    }
    const bool is_matrix = tensor_delta_shown(diff, row)->rows > 1;
    const bool has_pattern = row->stats.count - row->stats.equal >= THRESHOLD_PATTERN_NUMBERS;
    return is_matrix && has_pattern && !is_settled(out)
               ? look_at_change(out, diff, row, memory, err)
               : WEIR_OK;
}

void look_memory_release(look_memory *memory) {
    matrix_look_release(&memory->look);
    matrix_look_release(&memory->thin);
    low_rank_scratch_release(&memory->scratch);
}

bool row_look_proves_codes(const row_look *look) {
    return look->is_contained && look->codes.verdict == CONTAINMENT_PROVED &&
           look->codes.excess > THRESHOLD_CODED_EXCESS;
}

bool row_look_proves_pruning(const row_look *look) {
    return look->zeros.is_pruned && look->zeros.is_survivors_proved;
}

weir_change_class row_look_class(const row_look *look) {
    if (look->way.is_proved) {
        return look->way.kind == DETOUR_FLOAT ? WEIR_CHANGE_CAST : WEIR_CHANGE_QUANTISED;
    }
    if (look->is_contained && look->codes.verdict != CONTAINMENT_NO) {
        return WEIR_CHANGE_QUANTISED;
    }
    if (row_look_proves_pruning(look)) {
        return WEIR_CHANGE_PRUNED;
    }
    if (!look->is_measured) {
        return WEIR_CHANGE_UNKNOWN;
    }
    if (look->scale.axis != SCALE_NONE) {
        return WEIR_CHANGE_SCALED;
    }
    switch (look->low_rank.verdict) {
    case LOW_RANK_CLEAR:
        return WEIR_CHANGE_LOW_RANK;
    case LOW_RANK_FULL:
        return look->noise.is_noise ? WEIR_CHANGE_PERTURBED : WEIR_CHANGE_FULL_RANK;
    case LOW_RANK_NONE:
    case LOW_RANK_BELOW_FLOOR:
    case LOW_RANK_UNSETTLED:
        break;
    }
    return WEIR_CHANGE_UNKNOWN;
}

double row_look_rest(const row_look *look, weir_change_class change) {
    switch ((int)change) {
    case WEIR_CHANGE_PRUNED:
        return look->zeros.is_survivors_proved ? 0 : 1;
    case WEIR_CHANGE_SCALED:
        return isfinite(look->scale.excess) ? 0 : look->scale.left;
    case WEIR_CHANGE_LOW_RANK:
        if (look->is_replayed) {
            return 0;
        }
        return isfinite(look->low_rank.excess) ? 0 : 1 - look->low_rank.energy;
    default:
        return 1;
    }
}
