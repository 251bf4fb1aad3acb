/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From statistics to statements: how the model stands to the base, and the onion of changes.
 *
 * Derived, proved: a matrix of at least PROOF_ELEMENTS numbers is re-derived from the base bit for
 * bit (rounded or quantised), the numbers are not the base's own (something was lost), and
 * re-deriving the base from the model does not succeed. What was lost cannot have been added by
 * chance, so the direction is from the base. Related: the median cosine over aligned matrices is at
 * least cosine_related. For independent weights of n numbers the cosine has mean 0 and standard
 * deviation about 1 / sqrt(n), so .2 on matrices of 4096 numbers and more is over 12 deviations;
 * the margin is for structure that unrelated training runs share. No link: below cosine_unrelated.
 * Between the two weir does not decide. Vectors (norms, biases) are left out: they are alike in
 * unrelated models. Both thresholds are ours.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "delta/diff.h"

enum { PROOF_ELEMENTS = 4096, COSINES_NEEDED = 4 };
static const double cosine_related = 0.2;
static const double cosine_unrelated = 0.02;

/* Learned numbers, and enough of them that likeness says something. Constants of position and
 * tensors whose role is not known are left out: unrelated models share them. */
static bool is_telling(const weir_diff *diff, const tensor_delta *row) {
    const weir_tensor *tensor = tensor_delta_shown(diff, row);
    const bool is_learned = tensor->role != WEIR_ROLE_UNKNOWN && tensor->role != WEIR_ROLE_ROPE &&
                            tensor->role != WEIR_ROLE_POSITION_EMBEDDING;
    return row->state == TENSOR_COMPARED && is_learned && row->is_varied && tensor->rows > 1 &&
           tensor->cols > 1 && row->stats.count >= PROOF_ELEMENTS && row->stats.sum_aa > 0 &&
           row->stats.sum_bb > 0;
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
        count.proofs += is_rederived && row->stats.sum_dd > 0 && !row->is_reversed;
    }
    return count;
}

static void decide_relation(weir_diff *diff) {
    const tally count = count_rows(diff);
    diff->direction = DIRECTION_UNKNOWN;
    diff->relation = WEIR_RELATION_CANNOT_DECIDE;
    diff->grade = WEIR_GRADE_UNKNOWN;
    if (count.compared > 0 && count.bit_equal == count.compared && count.unmatched == 0) {
        diff->relation = WEIR_RELATION_IDENTICAL;
        diff->grade = WEIR_GRADE_PROVED;
    } else if (count.proofs > 0) {
        diff->relation = WEIR_RELATION_DERIVED;
        diff->grade = WEIR_GRADE_PROVED;
        diff->direction = DIRECTION_FROM_BASE;
    } else if (count.explained > 0) {
        diff->relation = WEIR_RELATION_RELATED;
        diff->grade = WEIR_GRADE_PROVED;
    } else if (diff->cosine_count >= COSINES_NEEDED && diff->median_cosine >= cosine_related) {
        diff->relation = WEIR_RELATION_RELATED;
        diff->grade = WEIR_GRADE_STRONG;
    } else if (diff->cosine_count >= COSINES_NEEDED &&
               fabs(diff->median_cosine) < cosine_unrelated) {
        diff->relation = WEIR_RELATION_NO_LINK;
        diff->grade = WEIR_GRADE_WEAK;
    }
}

static weir_code add_change(weir_diff *diff, const diff_change *what, weir_error *err) {
    void *items = diff->changes;
    if (!checked_grow(&items, &diff->change_capacity, diff->change_count, sizeof *diff->changes)) {
        return weir_fail_nomem(err);
    }
    diff->changes = items;
    diff->changes[diff->change_count++] = *what;
    return WEIR_OK;
}

/* Which rows a change gathers. */
typedef struct selection {
    weir_change_class change;
    bool by_dtype;
    weir_dtype from, to;
} selection;

static bool is_selected(const weir_diff *diff, const tensor_delta *row, const selection *select) {
    const bool is_compared = tensor_delta_is_paired(row);
    if (!is_compared || row->change != select->change) {
        return false;
    }
    return !select->by_dtype ||
           (model_view(diff->base, (size_t)row->base_index)->base.dtype == select->from &&
            model_view(diff->model, (size_t)row->model_index)->base.dtype == select->to);
}

static int by_layer(const void *left, const void *right) {
    const int32_t a = *(const int32_t *)left;
    const int32_t b = *(const int32_t *)right;
    return (a > b) - (a < b);
}

/* Fill counts, norm, roles and layers of a change from the rows that show it. */
static weir_code gather_rows(weir_diff *diff, diff_change *out, const selection *select,
                             weir_error *err) {
    double sum_dd = 0;
    double sum_aa = 0;
    int32_t *layers = arena_alloc(&diff->memory, diff->tensor_count + 1, sizeof *layers);
    if (!layers) {
        return weir_fail_nomem(err);
    }
    size_t layer_count = 0;
    for (size_t i = 0; i < diff->tensor_count; i++) {
        const tensor_delta *row = &diff->tensors[i];
        out->tensors_of += tensor_delta_is_paired(row);
        if (!is_selected(diff, row, select)) {
            continue;
        }
        const weir_tensor *tensor = tensor_delta_shown(diff, row);
        out->tensors++;
        out->elements += tensor->rows * tensor->cols;
        out->roles[tensor->role] = true;
        sum_dd += row->stats.sum_dd;
        sum_aa += row->stats.sum_aa;
        if (tensor->layer >= 0) {
            layers[layer_count++] = tensor->layer;
        }
    }
    qsort(layers, layer_count, sizeof *layers, by_layer);
    size_t distinct = 0;
    for (size_t i = 0; i < layer_count; i++) {
        if (distinct == 0 || layers[i] != layers[distinct - 1]) {
            layers[distinct++] = layers[i];
        }
    }
    out->layers = layers;
    out->layer_count = distinct;
    out->rel_norm = sum_aa > 0 ? sqrt(sum_dd / sum_aa) : (double)NAN;
    return WEIR_OK;
}

/* One change for each pair of dtypes that replays as `class`. */
static weir_code add_replays(weir_diff *diff, weir_change_class class, weir_error *err) {
    bool is_done[WEIR_DTYPE_COUNT][WEIR_DTYPE_COUNT] = {{false}};
    for (size_t i = 0; i < diff->tensor_count; i++) {
        const tensor_delta *row = &diff->tensors[i];
        const bool is_compared = tensor_delta_is_paired(row);
        if (!is_compared || row->change != class) {
            continue;
        }
        const weir_dtype from = model_view(diff->base, (size_t)row->base_index)->base.dtype;
        const weir_dtype to = model_view(diff->model, (size_t)row->model_index)->base.dtype;
        if (is_done[from][to]) {
            continue;
        }
        is_done[from][to] = true;
        diff_change found = {.change = class, .grade = WEIR_GRADE_PROVED, .from = from, .to = to};
        WEIR_TRY(gather_rows(
            diff, &found, &(selection){.change = class, .by_dtype = true, .from = from, .to = to},
            err));
        WEIR_TRY(add_change(diff, &found, err));
    }
    return WEIR_OK;
}

/* Whether the differences are those of a change to the base, and not those of two models. */
static bool is_linked(const weir_diff *diff) {
    return diff->relation == WEIR_RELATION_IDENTICAL || diff->relation == WEIR_RELATION_DERIVED ||
           diff->relation == WEIR_RELATION_RELATED;
}

/* The numbers are the base's, but the container is another. */
static weir_code add_repackaged(weir_diff *diff, weir_error *err) {
    const char *base_format = weir_model_format(diff->base);
    const char *model_format = weir_model_format(diff->model);
    if (!is_linked(diff) || strcmp(base_format, model_format) == 0) {
        return WEIR_OK;
    }
    char detail[128];
    (void)snprintf(detail, sizeof detail, "%s to %s", base_format, model_format);
    const diff_change found = {.change = WEIR_CHANGE_REPACKAGED,
                               .grade = WEIR_GRADE_PROVED,
                               .rel_norm = 0,
                               .detail = arena_copy_text(&diff->memory, detail, strlen(detail))};
    return found.detail ? add_change(diff, &found, err) : weir_fail_nomem(err);
}

static size_t count_explained(const weir_diff *diff) {
    size_t explained = 0;
    for (size_t i = 0; i < diff->tensor_count; i++) {
        const tensor_delta *row = &diff->tensors[i];
        const bool is_compared = tensor_delta_is_paired(row);
        const weir_tensor *tensor = tensor_delta_shown(diff, row);
        explained += is_compared && tensor->rows > 1 && tensor_delta_is_explained(row);
    }
    return explained;
}

/* Changes that no replay explains: where they are, if they leave matrices alone, then what is known
 * of them. The finer classes take their place between the two. */
static weir_code add_unexplained(weir_diff *diff, weir_error *err) {
    const selection rest = {.change = WEIR_CHANGE_UNKNOWN};
    diff_change found = {.change = WEIR_CHANGE_UNKNOWN, .grade = WEIR_GRADE_UNKNOWN};
    WEIR_TRY(gather_rows(diff, &found, &rest, err));
    if (found.tensors == 0) {
        return WEIR_OK;
    }
    if (is_linked(diff) && count_explained(diff) > 0) {
        diff_change partial = found;
        partial.change = WEIR_CHANGE_PARTIAL;
        partial.grade = WEIR_GRADE_PROVED;
        WEIR_TRY(add_change(diff, &partial, err));
    }
    return add_change(diff, &found, err);
}

static weir_code add_unmatched(weir_diff *diff, weir_error *err) {
    size_t added = 0;
    size_t removed = 0;
    size_t reshaped = 0;
    for (size_t i = 0; i < diff->tensor_count; i++) {
        added += diff->tensors[i].state == TENSOR_ADDED;
        removed += diff->tensors[i].state == TENSOR_REMOVED;
        reshaped += diff->tensors[i].state == TENSOR_RESHAPED;
    }
    if (added + removed + reshaped == 0) {
        return WEIR_OK;
    }
    char detail[160];
    (void)snprintf(detail, sizeof detail, "%zu tensors added, %zu removed, %zu of another shape",
                   added, removed, reshaped);
    const diff_change found = {.change = WEIR_CHANGE_UNKNOWN,
                               .grade = WEIR_GRADE_UNKNOWN,
                               .tensors = added + removed + reshaped,
                               .tensors_of = diff->tensor_count,
                               .rel_norm = (double)NAN,
                               .detail = arena_copy_text(&diff->memory, detail, strlen(detail))};
    return found.detail ? add_change(diff, &found, err) : weir_fail_nomem(err);
}

static weir_code add_low_rank(weir_diff *diff, weir_error *err) {
    const selection select = {.change = WEIR_CHANGE_LOW_RANK};
    diff_change found = {.change = WEIR_CHANGE_LOW_RANK,
                         .grade = WEIR_GRADE_PROVED,
                         .detail = "an adapter beside the base, not merged into it"};
    WEIR_TRY(gather_rows(diff, &found, &select, err));
    return found.tensors ? add_change(diff, &found, err) : WEIR_OK;
}

/* Differences of files, one change a class. */
static weir_code add_file_changes(weir_diff *diff, weir_error *err) {
    static const weir_change_class classes[] = {WEIR_CHANGE_TEMPLATE, WEIR_CHANGE_TOKENIZER,
                                                WEIR_CHANGE_CONFIG, WEIR_CHANGE_CODE};
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        size_t count = 0;
        const char *first = "";
        for (size_t j = 0; j < diff->file_count; j++) {
            if (diff->files[j].change == classes[i]) {
                first = count == 0 ? diff->files[j].what : first;
                count++;
            }
        }
        if (count == 0) {
            continue;
        }
        char detail[192];
        (void)snprintf(detail, sizeof detail, count == 1 ? "%s" : "%s and %zu more", first,
                       count - 1);
        const diff_change found = {.change = classes[i],
                                   .grade = WEIR_GRADE_PROVED,
                                   .rel_norm = (double)NAN,
                                   .detail =
                                       arena_copy_text(&diff->memory, detail, strlen(detail))};
        WEIR_TRY(found.detail ? add_change(diff, &found, err) : weir_fail_nomem(err));
    }
    return WEIR_OK;
}

/* Numbers that are no numbers, and bytes that weir cannot read, changed by no amount. */
static bool is_unmeasured(const tensor_delta *row) {
    const pair_stats *stats = &row->stats;
    const bool has_other = stats->nan_a + stats->nan_b + stats->inf_a + stats->inf_b > 0;
    return row->change == WEIR_CHANGE_UNKNOWN &&
           (row->state == TENSOR_OPAQUE || (row->state == TENSOR_COMPARED && has_other));
}

static void decide_unexplained(weir_diff *diff) {
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
            rest += row->change == WEIR_CHANGE_UNKNOWN ? row->stats.sum_dd : 0;
        }
    }
    if (measured == 0 || !is_known) {
        diff->unexplained = (double)NAN;
    } else {
        diff->unexplained = all > 0 ? rest / all : 0.0;
    }
}

/* No difference was found: because there is none, or because nothing could be compared. */
static weir_code add_no_change(weir_diff *diff, weir_error *err) {
    const diff_change identical = {
        .change = WEIR_CHANGE_IDENTICAL, .grade = diff->grade, .rel_norm = 0};
    const diff_change unknown = {.change = WEIR_CHANGE_UNKNOWN,
                                 .grade = WEIR_GRADE_UNKNOWN,
                                 .rel_norm = (double)NAN,
                                 .detail = "no tensor of the two could be compared"};
    const bool is_identical = diff->relation == WEIR_RELATION_IDENTICAL;
    return add_change(diff, is_identical ? &identical : &unknown, err);
}

weir_code diff_decide(weir_diff *diff, weir_error *err) {
    WEIR_TRY(measure_cosine(diff, err));
    decide_relation(diff);
    decide_unexplained(diff);
    WEIR_TRY(add_repackaged(diff, err));
    WEIR_TRY(add_replays(diff, WEIR_CHANGE_QUANTISED, err));
    WEIR_TRY(add_replays(diff, WEIR_CHANGE_CAST, err));
    WEIR_TRY(add_low_rank(diff, err));
    WEIR_TRY(add_unexplained(diff, err));
    WEIR_TRY(add_unmatched(diff, err));
    WEIR_TRY(add_file_changes(diff, err));
    return diff->change_count == 0 ? add_no_change(diff, err) : WEIR_OK;
}
