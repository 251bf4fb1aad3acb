/* SPDX-License-Identifier: Apache-2.0 */
#include "delta/diff.h"

#include <math.h>
#include <string.h>

#include "base/fail.h"
#include "base/findings.h"
#include "delta/ablation.h"
#include "delta/merge.h"
#include "delta/structure.h"

double tensor_delta_rel_norm(const tensor_delta *delta) {
    if (delta->stats.sum_aa > 0) {
        return sqrt(delta->stats.sum_dd / delta->stats.sum_aa);
    }
    return delta->stats.count > 0 && delta->stats.sum_dd == 0 ? 0.0 : (double)NAN;
}

double tensor_delta_cosine(const tensor_delta *delta) {
    const double norms = sqrt(delta->stats.sum_aa) * sqrt(delta->stats.sum_bb);
    return norms > 0 ? delta->stats.sum_ab / norms : (double)NAN;
}

double tensor_delta_floor(const tensor_delta *delta) {
    return delta->stats.sum_aa > 0 ? sqrt(delta->rounding_dd / delta->stats.sum_aa) : (double)NAN;
}

const weir_tensor *tensor_delta_shown(const weir_diff *diff, const tensor_delta *delta) {
    return delta->model_index != VIEW_NONE
               ? &model_view(diff->model, (size_t)delta->model_index)->base
               : &model_view(diff->base, (size_t)delta->base_index)->base;
}

bool tensor_delta_is_paired(const tensor_delta *delta) {
    return delta->state == TENSOR_COMPARED || delta->state == TENSOR_OPAQUE;
}

bool tensor_delta_is_explained(const tensor_delta *delta) {
    return delta->change == WEIR_CHANGE_IDENTICAL || delta->change == WEIR_CHANGE_CAST ||
           delta->change == WEIR_CHANGE_QUANTISED;
}

bool diff_is_adapter(const weir_model *model) {
    if (!model_checkpoint(model)->adapter.present) {
        return false;
    }
    for (size_t i = 0; i < weir_model_tensor_count(model); i++) {
        const weir_role role = weir_model_tensor(model, i)->role;
        if (role == WEIR_ROLE_ADAPTER_A || role == WEIR_ROLE_ADAPTER_B ||
            role == WEIR_ROLE_ADAPTER_OTHER) {
            return true;
        }
    }
    return false;
}

weir_code weir_diff_run(weir_diff **out, const char *base_path, const char *model_path,
                        const weir_diff_options *options, weir_error *err) {
    static const weir_diff_options defaults = WEIR_DIFF_OPTIONS_INIT;
    options = options ? options : &defaults;
    WEIR_CLEANUP(weir_diff_free) weir_diff *diff = calloc(1, sizeof *diff);
    if (!diff) {
        return weir_fail_nomem(err);
    }
    const weir_model_options base_options = {.lenient = options->lenient};
    const weir_model_options model_options = {.lenient = options->lenient, .name = options->name};
    WEIR_TRY(model_open_weights(&diff->base, &diff->base_findings, base_path, &base_options, err));
    if (diff_is_adapter(diff->base)) {
        return weir_fail(err, WEIR_ERR_UNSUPPORTED, weir_model_name(diff->base), NULL,
                         "a base with weights of its own", "an adapter");
    }
    WEIR_TRY(model_open_weights(&diff->model, &diff->findings, model_path, &model_options, err));
    if (diff_is_adapter(diff->model)) {
        WEIR_TRY(diff_adapter(diff, options, err));
    } else {
        WEIR_TRY(diff_structure(diff, options, err));
        WEIR_TRY(diff_match(diff, err));
        WEIR_TRY(diff_compare(diff, options, err));
        WEIR_TRY(structure_grade(diff, err));
    }
    WEIR_TRY(diff_parents(diff, options, err));
    WEIR_TRY(merge_decide(diff, options, err));
    WEIR_TRY(diff_files(diff, base_path, model_path, err));
    WEIR_TRY(diff_copies(diff, base_path, model_path, err));
    WEIR_TRY(diff_decide(diff, err));
    WEIR_TRY(diff_examine(diff, options, err));
    diff_weigh_rest(diff);
    WEIR_TRY(diff_peel(diff, err));
    if (findings_failed(diff->base_findings) || findings_failed(diff->findings)) {
        return weir_fail_nomem(err);
    }
    *out = WEIR_TAKE(diff);
    return WEIR_OK;
}

weir_relation weir_diff_relation(const weir_diff *diff) {
    return diff->relation;
}

weir_grade weir_diff_grade(const weir_diff *diff) {
    return diff->grade;
}

bool weir_diff_has_changes(const weir_diff *diff) {
    return diff->relation != WEIR_RELATION_IDENTICAL || diff->file_count > 0;
}

bool diff_finding_is_gap(const weir_finding *finding) {
    return finding->verdict == WEIR_VERDICT_MALFORMED ||
           finding->verdict == WEIR_VERDICT_NOT_ANALYSED;
}

static bool has_malformed(const weir_findings *findings) {
    for (size_t i = 0; i < weir_findings_count(findings); i++) {
        if (weir_findings_get(findings, i)->verdict == WEIR_VERDICT_MALFORMED) {
            return true;
        }
    }
    return false;
}

bool weir_diff_is_whole(const weir_diff *diff) {
    return !has_malformed(diff->base_findings) && !has_malformed(diff->findings);
}

void weir_diff_free(weir_diff *diff) {
    if (!diff) {
        return;
    }
    weir_model_free(diff->base);
    weir_model_free(diff->model);
    weir_findings_free(diff->base_findings);
    weir_findings_free(diff->findings);
    structure_release(diff->structure);
    for (size_t i = 0; i < diff->parent_count; i++) {
        weir_model_free(diff->parents[i].model);
        weir_findings_free(diff->parents[i].findings);
    }
    for (size_t i = 0; i < diff->adapter_count; i++) {
        weir_model_free(diff->adapters[i].model);
        weir_findings_free(diff->adapters[i].findings);
    }
    for (size_t i = 0; i < diff->tensor_count; i++) {
        free(diff->tensors[i].look);
    }
    if (diff->ablation) {
        ablation_verdict_release(diff->ablation);
        free(diff->ablation);
    }
    free(diff->tensors);
    free(diff->files);
    free(diff->changes);
    free(diff->sha256);
    arena_release(&diff->memory);
    free(diff);
}

const char *weir_change_class_name(weir_change_class change_class) {
    switch (change_class) {
    case WEIR_CHANGE_IDENTICAL:
        return "identical";
    case WEIR_CHANGE_REPACKAGED:
        return "repackaged";
    case WEIR_CHANGE_CAST:
        return "cast";
    case WEIR_CHANGE_QUANTISED:
        return "quantised";
    case WEIR_CHANGE_PRUNED:
        return "pruned";
    case WEIR_CHANGE_DEPTH:
        return "depth_changed";
    case WEIR_CHANGE_LAYERS_DUPLICATED:
        return "layers_duplicated";
    case WEIR_CHANGE_WIDTH:
        return "width_changed";
    case WEIR_CHANGE_VOCABULARY:
        return "vocab_changed";
    case WEIR_CHANGE_PERMUTED:
        return "permuted";
    case WEIR_CHANGE_ROTATED:
        return "rotated";
    case WEIR_CHANGE_MERGED:
        return "merged";
    case WEIR_CHANGE_LOW_RANK:
        return "low_rank";
    case WEIR_CHANGE_SCALED:
        return "scaled";
    case WEIR_CHANGE_ABLATED:
        return "ablated";
    case WEIR_CHANGE_PARTIAL:
        return "partial";
    case WEIR_CHANGE_FULL_RANK:
        return "full_rank";
    case WEIR_CHANGE_PERTURBED:
        return "perturbed";
    case WEIR_CHANGE_EXPERTS:
        return "experts_changed";
    case WEIR_CHANGE_TEMPLATE:
        return "template_changed";
    case WEIR_CHANGE_TOKENIZER:
        return "tokenizer_changed";
    case WEIR_CHANGE_CONFIG:
        return "config_changed";
    case WEIR_CHANGE_CODE:
        return "code_changed";
    case WEIR_CHANGE_UNKNOWN:
        return "unknown";
    }
    return "unknown";
}
