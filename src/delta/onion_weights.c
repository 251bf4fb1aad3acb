/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inner layers of the onion: what the numbers became. Zeros lie outside, for whatever was there
 * before is gone; then merges; then what one training or one edit left.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "delta/ablation.h"
#include "delta/merge.h"
#include "delta/onion.h"
#include "delta/row_look.h"
#include "delta/thresholds.h"

static bool has_zeros(const weir_diff *diff, const tensor_delta *row,
                      const onion_selection *select) {
    (void)diff;
    (void)select;
    return row->look && row->look->zeros.is_pruned;
}

/* A short name for programs; pruning_format has the words. */
static void name_pattern(char *out, size_t size, const pruning *found) {
    if (found->group > 0) {
        (void)snprintf(out, size, "%u:%u", found->kept, found->group);
        return;
    }
    const char *name = "other";
    switch (found->rule) {
    case PRUNING_TENSOR:
        name = "magnitude";
        break;
    case PRUNING_ROW:
        name = "magnitude_by_row";
        break;
    case PRUNING_COLUMNS_WEIGHED:
        name = "weighed_by_column";
        break;
    case PRUNING_ROWS:
        name = "rows";
        break;
    case PRUNING_COLUMNS:
        name = "columns";
        break;
    case PRUNING_GROUP:
    case PRUNING_OTHER:
        break;
    }
    (void)snprintf(out, size, "%s", name);
}

static weir_code add_pruned(weir_diff *diff, weir_error *err) {
    const onion_selection select = {.is_wanted = has_zeros};
    diff_change found = onion_change(WEIR_CHANGE_PRUNED, WEIR_GRADE_PROVED);
    WEIR_TRY(onion_gather(diff, &found, &select, err));
    if (found.tensors == 0) {
        return WEIR_OK;
    }
    const pruning *largest = NULL;
    double zeros = 0;
    uint64_t survivors = 0;
    uint64_t equal = 0;
    for (size_t i = 0; i < diff->tensor_count; i++) {
        const tensor_delta *row = &diff->tensors[i];
        if (!tensor_delta_is_paired(row) || !has_zeros(diff, row, &select)) {
            continue;
        }
        const pruning *zero = &row->look->zeros;
        largest = !largest || zero->count > largest->count ? zero : largest;
        zeros += zero->sparsity * (double)zero->count;
        survivors += zero->survivors;
        equal += zero->survivors_equal;
        if (!zero->is_survivors_proved && !zero->is_rule_proved) {
            found.grade = WEIR_GRADE_STRONG;
        }
    }
    char pattern[24];
    name_pattern(pattern, sizeof pattern, largest);
    found.pattern = arena_copy_text(&diff->memory, pattern, strlen(pattern));
    if (!found.pattern) {
        return weir_fail_nomem(err);
    }
    found.sparsity = zeros / (double)(found.elements ? found.elements : 1);
    found.replay = survivors > 0 ? (double)equal / (double)survivors : (double)NAN;
    char rule[PRUNING_TEXT_BYTES];
    char detail[200];
    pruning_format(largest, rule);
    (void)snprintf(detail, sizeof detail, "Rule: %s. The numbers that are left %s", rule,
                   equal == survivors ? "are the base's" : "changed too, see below");
    return onion_add_detailed(diff, found, detail, err);
}

static weir_code add_merged(weir_diff *diff, weir_error *err) {
    const merge_finding *merge = diff->merge;
    if (!merge) {
        return WEIR_OK;
    }
    diff_change found = onion_change(WEIR_CHANGE_MERGED, merge->grade);
    const onion_selection select = {.is_wanted = onion_has_class, .change = WEIR_CHANGE_MERGED};
    WEIR_TRY(onion_gather(diff, &found, &select, err));
    if (found.tensors == 0) {
        return WEIR_OK;
    }
    found.detail = merge->detail;
    found.replay =
        merge->replayed_of > 0 ? (double)merge->replayed / (double)merge->replayed_of : (double)NAN;
    return onion_add(diff, &found, err);
}

/*
 * Whether the projection came after the rest: r = u'D along the direction is then -lambda u'W up to
 * (1 - lambda) of what else was done along it, and the identity holds to rounding at full strength;
 * what is trained afterwards writes along the direction again.
 */
static bool ablation_is_last(const weir_diff *diff) {
    return diff->ablation && diff->ablation->answer == ABLATION_YES &&
           diff->ablation->identity >= THRESHOLD_IDENTITY_LAST;
}

static weir_code add_ablated(weir_diff *diff, weir_error *err) {
    const ablation_verdict *verdict = diff->ablation;
    if (!verdict || verdict->answer != ABLATION_YES) {
        return WEIR_OK;
    }
    diff_change found = onion_change(WEIR_CHANGE_ABLATED, WEIR_GRADE_STRONG);
    const onion_selection select = {.is_wanted = onion_is_ablated};
    WEIR_TRY(onion_gather(diff, &found, &select, err));
    return onion_add(diff, &found, err);
}

/* What the rows of low rank show together. */
static void sum_low_rank(diff_change *found, const weir_diff *diff) {
    uint64_t replayed = 0;
    double equal = 0;
    double count = 0;
    for (size_t i = 0; i < diff->tensor_count; i++) {
        const tensor_delta *row = &diff->tensors[i];
        if (!tensor_delta_is_paired(row) || row->change != WEIR_CHANGE_LOW_RANK) {
            continue;
        }
        found->rank = row->rank > found->rank ? row->rank : found->rank;
        if (!row->look) {
            continue;
        }
        const low_rank_fit *fit = &row->look->low_rank;
        found->is_applied = true;
        found->has_row_scale = found->has_row_scale || fit->has_row_scale;
        if (row->look->is_replayed) {
            replayed++;
            equal += row->look->adapter_equal * (double)row->stats.count;
            count += (double)row->stats.count;
            found->alpha = row->look->adapter_scale * (double)row->rank;
        } else {
            found->is_rank_least = found->is_rank_least || fit->is_lower_bound;
        }
    }
    if (replayed > 0) {
        found->replay = equal / count;
        found->rederived = replayed;
        found->grade = replayed == found->tensors ? WEIR_GRADE_PROVED : WEIR_GRADE_STRONG;
    }
}

/* The adapter that was merged in again, where one was named. */
static const char *replayed_adapter(const weir_diff *diff) {
    for (size_t i = 0; i < diff->tensor_count; i++) {
        const tensor_delta *row = &diff->tensors[i];
        if (row->look && row->look->is_replayed) {
            return row->look->adapter->name;
        }
    }
    return NULL;
}

static weir_code add_low_rank(weir_diff *diff, weir_error *err) {
    diff_change found = onion_change(WEIR_CHANGE_LOW_RANK, WEIR_GRADE_STRONG);
    const onion_selection select = {.is_wanted = onion_has_class, .change = WEIR_CHANGE_LOW_RANK};
    WEIR_TRY(onion_gather(diff, &found, &select, err));
    if (found.tensors == 0) {
        return WEIR_OK;
    }
    sum_low_rank(&found, diff);
    const char *adapter = replayed_adapter(diff);
    if (adapter) {
        char detail[700];
        (void)snprintf(detail, sizeof detail,
                       "Merging %.500s into the base again gives %llu of the %llu tensors", adapter,
                       (unsigned long long)found.rederived, (unsigned long long)found.tensors);
        return onion_add_detailed(diff, found, detail, err);
    }
    if (!found.is_applied) {
        found.grade = WEIR_GRADE_PROVED;
        found.detail = "An adapter beside the base, not merged into it";
    }
    return onion_add(diff, &found, err);
}

static const char *axis_name(scale_axis axis) {
    switch (axis) {
    case SCALE_ALL:
        return "all";
    case SCALE_ROW:
        return "row";
    case SCALE_COLUMN:
        return "column";
    case SCALE_NONE:
        break;
    }
    return NULL;
}

/* One layer for each axis. */
static bool has_axis(const weir_diff *diff, const tensor_delta *row,
                     const onion_selection *select) {
    (void)diff;
    return row->look && row->change == WEIR_CHANGE_SCALED &&
           (int)row->look->scale.axis == select->axis;
}

static weir_code add_scaled(weir_diff *diff, weir_error *err) {
    for (scale_axis axis = SCALE_ALL; axis <= SCALE_COLUMN; axis++) {
        diff_change found = onion_change(WEIR_CHANGE_SCALED, WEIR_GRADE_STRONG);
        const onion_selection select = {.is_wanted = has_axis, .axis = (int)axis};
        WEIR_TRY(onion_gather(diff, &found, &select, err));
        found.axes = axis_name(axis);
        if (found.tensors > 0) {
            WEIR_TRY(onion_add(diff, &found, err));
        }
    }
    return WEIR_OK;
}

static const char *band_name(double rel_norm) {
    switch (change_band_of(rel_norm)) {
    case CHANGE_BAND_LIGHT:
        return "light";
    case CHANGE_BAND_STANDARD:
        return "standard";
    case CHANGE_BAND_HEAVY:
        return "heavy";
    case CHANGE_BAND_EXTREME:
        break;
    }
    return "extreme";
}

static weir_code add_full_rank(weir_diff *diff, weir_error *err) {
    diff_change found = onion_change(WEIR_CHANGE_FULL_RANK, WEIR_GRADE_STRONG);
    const onion_selection select = {.is_wanted = onion_has_class, .change = WEIR_CHANGE_FULL_RANK};
    WEIR_TRY(onion_gather(diff, &found, &select, err));
    found.band = isfinite(found.rel_norm) ? band_name(found.rel_norm) : NULL;
    return found.tensors > 0 ? onion_add(diff, &found, err) : WEIR_OK;
}

static bool is_left(const weir_diff *diff, const tensor_delta *row, const onion_selection *select) {
    (void)diff;
    (void)select;
    return !tensor_delta_is_explained(row);
}

static size_t count_explained_matrices(const weir_diff *diff) {
    size_t explained = 0;
    for (size_t i = 0; i < diff->tensor_count; i++) {
        const tensor_delta *row = &diff->tensors[i];
        explained += tensor_delta_is_paired(row) && tensor_delta_shown(diff, row)->rows > 1 &&
                     tensor_delta_is_explained(row);
    }
    return explained;
}

/* Where the change is, when it leaves matrices alone. */
static weir_code add_partial(weir_diff *diff, weir_error *err) {
    diff_change found = onion_change(WEIR_CHANGE_PARTIAL, WEIR_GRADE_PROVED);
    WEIR_TRY(onion_gather(diff, &found, &(onion_selection){.is_wanted = is_left}, err));
    const bool is_part =
        found.tensors > 0 && onion_is_linked(diff) && count_explained_matrices(diff) > 0;
    return is_part ? onion_add(diff, &found, err) : WEIR_OK;
}

/* What no test names, and why not where the numbers say it. */
static weir_code add_unknown(weir_diff *diff, weir_error *err) {
    diff_change found = onion_change(WEIR_CHANGE_UNKNOWN, WEIR_GRADE_UNKNOWN);
    const onion_selection select = {.is_wanted = onion_has_class, .change = WEIR_CHANGE_UNKNOWN};
    WEIR_TRY(onion_gather(diff, &found, &select, err));
    if (found.tensors == 0) {
        return WEIR_OK;
    }
    uint64_t below = 0;
    for (size_t i = 0; i < diff->tensor_count; i++) {
        const tensor_delta *row = &diff->tensors[i];
        below += row->look && row->change == WEIR_CHANGE_UNKNOWN && row->look->is_measured &&
                 row->look->low_rank.verdict == LOW_RANK_BELOW_FLOOR;
    }
    if (below == 0) {
        return onion_add(diff, &found, err);
    }
    char detail[200];
    (void)snprintf(
        detail, sizeof detail,
        "changed below the rounding of the storage type in %llu of %llu tensors: whether "
        "an adapter or a training did it cannot be told",
        (unsigned long long)below, (unsigned long long)found.tensors);
    return onion_add_detailed(diff, found, detail, err);
}

weir_code onion_add_weights(weir_diff *diff, weir_error *err) {
    WEIR_TRY(add_pruned(diff, err));
    WEIR_TRY(add_merged(diff, err));
    const bool is_last = ablation_is_last(diff);
    WEIR_TRY(is_last ? add_ablated(diff, err) : WEIR_OK);
    WEIR_TRY(add_low_rank(diff, err));
    WEIR_TRY(add_full_rank(diff, err));
    WEIR_TRY(is_last ? WEIR_OK : add_ablated(diff, err));
    WEIR_TRY(add_scaled(diff, err));
    WEIR_TRY(onion_add_class(diff, onion_change(WEIR_CHANGE_PERTURBED, WEIR_GRADE_STRONG), err));
    WEIR_TRY(add_partial(diff, err));
    return add_unknown(diff, err);
}
