/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From statistics to the relation.
 *
 * Derived, proved: every learned tensor that both have, norms included, is the base's bit for bit
 * or re-derived from it (rounded or quantised); at least one matrix of PROOF_ELEMENTS numbers is
 * not the base's own (something was lost) and re-deriving the base from the model does not succeed.
 * What was lost cannot have been added by chance, so the direction is from the base. One matrix is
 * not enough: a model that was made from a relative of the base shares those that the relative
 * kept, and is no child of the base. Copies say as much: layers of the model, or all its experts,
 * that equal one of the base, whose own all differ, while everything else is the base's. Related:
 * some matrix is the base's; or the median cosine over aligned matrices is at least cosine_related;
 * or the base stands in the model in a turned basis. For independent weights of n numbers the
 * cosine has mean 0 and standard deviation about 1 / sqrt(n), so .2 on matrices of 4096 numbers and
 * more is over 12 deviations; the margin is for structure that unrelated training runs share. No
 * link: below cosine_unrelated. Between the two weir does not decide. Vectors (norms, biases) are
 * left out: they are alike in unrelated models. Both thresholds are ours.
 */
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "delta/ablation.h"
#include "delta/merge.h"
#include "delta/row_look.h"
#include "delta/structure.h"

enum { PROOF_ELEMENTS = 4096, COSINES_NEEDED = 4 };
static const double cosine_related = 0.2;
static const double cosine_unrelated = 0.02;

static bool is_learned(const weir_tensor *tensor) {
    return tensor->role != WEIR_ROLE_UNKNOWN && tensor->role != WEIR_ROLE_ROPE &&
           tensor->role != WEIR_ROLE_POSITION_EMBEDDING;
}

/* Learned numbers, and enough of them that likeness says something. Constants of position and
 * tensors whose role is not known are left out: unrelated models share them. */
static bool is_telling(const weir_diff *diff, const tensor_delta *row) {
    const weir_tensor *tensor = tensor_delta_shown(diff, row);
    return row->state == TENSOR_COMPARED && is_learned(tensor) && row->is_varied &&
           tensor->rows > 1 && tensor->cols > 1 && row->stats.count >= PROOF_ELEMENTS &&
           row->stats.sum_aa > 0 && row->stats.sum_bb > 0;
}

static int by_value(const void *left, const void *right) {
    const double a = *(const double *)left;
    const double b = *(const double *)right;
    return (a > b) - (a < b);
}

static weir_code measure_cosine(weir_diff *diff, weir_error *err) {
    WEIR_CLEANUP(free) double *cosines = checked_alloc(diff->tensor_count, sizeof *cosines);
    if (!cosines) {
        return weir_fail_nomem(err);
    }
    size_t count = 0;
    for (size_t i = 0; i < diff->tensor_count; i++) {
        if (is_telling(diff, &diff->tensors[i])) {
            cosines[count++] = tensor_delta_cosine(&diff->tensors[i]);
        }
    }
    qsort(cosines, count, sizeof *cosines, by_value);
    diff->cosine_count = count;
    diff->median_cosine = count ? cosines[count / 2] : (double)NAN;
    return WEIR_OK;
}

typedef struct tally {
    size_t compared;
    size_t bit_equal;
    size_t unmatched;     /* added, removed or reshaped */
    size_t telling_equal; /* telling tensors that are bit-equal */
    size_t proofs;        /* telling tensors re-derived with loss, and not the other way round */
    size_t explained;     /* telling tensors re-derived or equal */
    size_t different;     /* learned tensors that are neither */
} tally;

static tally count_rows(const weir_diff *diff) {
    tally count = {0};
    for (size_t i = 0; i < diff->tensor_count; i++) {
        const tensor_delta *row = &diff->tensors[i];
        const bool is_compared = tensor_delta_is_paired(row);
        const bool is_equal = is_compared && row->change == WEIR_CHANGE_IDENTICAL;
        const bool tells = is_telling(diff, row);
        const bool is_rederived = tells && tensor_delta_is_explained(row);
        count.compared += is_compared;
        count.bit_equal += is_equal;
        count.unmatched += !is_compared;
        count.telling_equal += is_equal && tells;
        count.explained += is_rederived;
        count.different += is_compared && is_learned(tensor_delta_shown(diff, row)) &&
                           !tensor_delta_is_explained(row);
        count.proofs += is_rederived && row->stats.sum_dd > 0 && !row->is_reversed;
    }
    return count;
}

static void decide_relation(weir_diff *diff) {
    const tally count = count_rows(diff);
    diff->direction = DIRECTION_UNKNOWN;
    diff->relation = WEIR_RELATION_CANNOT_DECIDE;
    diff->grade = WEIR_GRADE_UNKNOWN;
    const structure_finding *structure = diff->structure;
    const bool is_same_structure = !structure || structure->is_plain;
    const bool shows_direction = count.proofs > 0 || structure_shows_copies(structure);
    const bool is_turned = structure && structure->rotated.grade == WEIR_GRADE_STRONG;
    if (count.compared > 0 && count.bit_equal == count.compared && count.unmatched == 0 &&
        is_same_structure) {
        diff->relation = WEIR_RELATION_IDENTICAL;
        diff->grade = WEIR_GRADE_PROVED;
    } else if (shows_direction && count.explained > 0 && count.different == 0) {
        diff->relation = WEIR_RELATION_DERIVED;
        diff->grade = WEIR_GRADE_PROVED;
        diff->direction = DIRECTION_FROM_BASE;
    } else if (count.explained > 0) {
        diff->relation = WEIR_RELATION_RELATED;
        diff->grade = WEIR_GRADE_PROVED;
    } else if (diff->cosine_count >= COSINES_NEEDED && diff->median_cosine >= cosine_related) {
        diff->relation = WEIR_RELATION_RELATED;
        diff->grade = WEIR_GRADE_STRONG;
    } else if (is_turned) {
        diff->relation = WEIR_RELATION_RELATED;
        diff->grade = WEIR_GRADE_STRONG;
    } else if (diff->cosine_count >= COSINES_NEEDED &&
               fabs(diff->median_cosine) < cosine_unrelated) {
        diff->relation = WEIR_RELATION_NO_LINK;
        diff->grade = WEIR_GRADE_WEAK;
    }
}

/* Numbers that are no numbers, and bytes that weir cannot read, changed by no amount. */
static bool is_unmeasured(const tensor_delta *row) {
    const pair_stats *stats = &row->stats;
    const bool has_other = stats->nan_a + stats->nan_b + stats->inf_a + stats->inf_b > 0;
    return row->change == WEIR_CHANGE_UNKNOWN &&
           (row->state == TENSOR_OPAQUE || (row->state == TENSOR_COMPARED && has_other));
}

/* Share of a row's change that its class does not account for. */
static double rest_of(const weir_diff *diff, size_t index) {
    const tensor_delta *row = &diff->tensors[index];
    if (tensor_delta_is_explained(row)) {
        return 0;
    }
    if (row->change == WEIR_CHANGE_MERGED) {
        const double rest = diff->merge->rows[index].rest;
        return isfinite(rest) ? rest : 1;
    }
    if (row->change == WEIR_CHANGE_ROTATED) {
        return 0; /* the difference is the other basis; what is left there was checked */
    }
    if (row->change == WEIR_CHANGE_ABLATED) {
        return 1 - diff->ablation->share;
    }
    if (row->change == WEIR_CHANGE_LOW_RANK && !row->look) {
        return 0; /* an adapter's own factors */
    }
    return row->look ? row_look_rest(row->look, row->change) : 1;
}

void diff_weigh_rest(weir_diff *diff) {
    bool is_known = true;
    double all = 0;
    double rest = 0;
    size_t measured = 0;
    for (size_t i = 0; i < diff->tensor_count; i++) {
        const tensor_delta *row = &diff->tensors[i];
        is_known = is_known && !is_unmeasured(row);
        if (row->state == TENSOR_COMPARED) {
            measured++;
            all += row->stats.sum_dd;
            rest += rest_of(diff, i) * row->stats.sum_dd;
        }
    }
    if (measured == 0 || !is_known) {
        diff->unexplained = (double)NAN;
    } else {
        diff->unexplained = all > 0 ? rest / all : 0.0;
    }
}

weir_code diff_decide(weir_diff *diff, weir_error *err) {
    WEIR_TRY(measure_cosine(diff, err));
    decide_relation(diff);
    return WEIR_OK;
}
