/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One layer of the onion in words: a few for the history, a sentence of its own for the list.
 */
#include <inttypes.h>
#include <math.h>

#include "delta/ablation.h"
#include "delta/merge.h"
#include "report/diff_words.h"
#include "report/paint.h"

static void describe_roles(text_buffer *text, const diff_change *found) {
    const char *separator = " on ";
    for (size_t i = 0; i < WEIR_ROLE_COUNT; i++) {
        if (found->roles[i]) {
            text_buffer_format(text, "%s%s", separator, role_words((weir_role)i));
            separator = ", ";
        }
    }
}

static void describe_layers(text_buffer *text, const diff_change *found) {
    char layers[128];
    if (found->layer_count > 0) {
        text_buffer_format(text, " of layers %s",
                           format_layers(layers, sizeof layers, found->layers, found->layer_count));
    }
}

static void describe_size(text_buffer *text, const diff_change *found) {
    char ratio[32];
    if (isfinite(found->rel_norm)) {
        text_buffer_format(text, "; the change is %s of those weights",
                           format_ratio(ratio, sizeof ratio, found->rel_norm));
    }
}

static const char *stored_type(const diff_change *found) {
    return found->type ? found->type : weir_dtype_name(found->to);
}

/* "ties of A (0.5), B (0.5)". */
static void describe_parents(text_buffer *text, const weir_diff *diff) {
    const merge_finding *merge = diff->merge;
    const char *separator = " ";
    for (size_t i = 0; i < merge->parent_count; i++) {
        const merge_parent *parent = &merge->parents[i];
        text_buffer_format(text, "%s%s", separator,
                           parent->parent == VIEW_NONE ? weir_model_name(diff->base)
                                                       : diff->parents[parent->parent].name);
        if (isfinite(parent->weight)) {
            text_buffer_format(text, " (weight %.3g)", parent->weight);
        } else if (parent->by_layer) {
            text_buffer_format(text, " (weight by layer)");
        } else if (parent->tensors > 0) {
            text_buffer_format(text, " (%" PRIu64 " tensors)", parent->tensors);
        }
        separator = ", ";
    }
}

static void describe_lambdas(text_buffer *text, const ablation_verdict *verdict) {
    double low = (double)INFINITY;
    double high = -(double)INFINITY;
    for (size_t i = 0; i < verdict->matrix_count; i++) {
        if (verdict->matrices[i].is_edited) {
            low = fmin(low, verdict->matrices[i].lambda);
            high = fmax(high, verdict->matrices[i].lambda);
        }
    }
    if (low <= high) {
        text_buffer_format(text, high - low < 0.02 ? ", strength %.2f" : ", strength %.2f to %.2f",
                           low, high);
    }
}

/* Those whose words never vary. */
static const char *const plain_names[] = {
    [WEIR_CHANGE_IDENTICAL] = "nothing was changed",
    [WEIR_CHANGE_DEPTH] = "given other layers or another order of them",
    [WEIR_CHANGE_LAYERS_DUPLICATED] = "given some layers twice",
    [WEIR_CHANGE_PARTIAL] = "changed in part",
    [WEIR_CHANGE_PERTURBED] = "noise",
    [WEIR_CHANGE_EXPERTS] = "given other experts",
    [WEIR_CHANGE_TEMPLATE] = "another chat template",
    [WEIR_CHANGE_TOKENIZER] = "another tokenizer",
    [WEIR_CHANGE_CONFIG] = "other settings",
    [WEIR_CHANGE_CODE] = "other code",
    [WEIR_CHANGE_UNKNOWN] = "a change that is not decided",
};

static void name_low_rank(text_buffer *text, const diff_change *found) {
    text_buffer_format(text, found->has_row_scale ? "a DoRA" : "a LoRA");
    if (found->rank > 0) {
        text_buffer_format(text, " of rank %s%" PRIu64, found->is_rank_least ? "at least " : "",
                           found->rank);
    }
    describe_roles(text, found);
}

static void name_ablated(text_buffer *text, const weir_diff *diff) {
    if (diff->ablation->directions > 1) {
        text_buffer_format(text, "%zu directions", diff->ablation->directions);
    } else {
        text_buffer_format(text, "a direction");
    }
    text_buffer_format(text, " removed from what writes to the residual stream");
    describe_lambdas(text, diff->ablation);
}

/* What was done, in a few words that follow "then". */
void name_change(text_buffer *text, const weir_diff *diff, const diff_change *found) {
    if (plain_names[found->change]) {
        text_buffer_format(text, "%s", plain_names[found->change]);
        return;
    }
    switch ((int)found->change) {
    case WEIR_CHANGE_REPACKAGED:
        text_buffer_format(text, "put in another container, %s", found->detail);
        break;
    case WEIR_CHANGE_CAST:
        text_buffer_format(text, "stored as %s", stored_type(found));
        break;
    case WEIR_CHANGE_QUANTISED:
        text_buffer_format(text, "quantised to %s", stored_type(found));
        break;
    case WEIR_CHANGE_PRUNED:
        text_buffer_format(text, "pruned (%s, %.0f%% zeros)", found->pattern,
                           found->sparsity * 100);
        break;
    case WEIR_CHANGE_WIDTH:
        text_buffer_format(text, "made narrower or wider (%s)", found->axes);
        break;
    case WEIR_CHANGE_VOCABULARY:
        text_buffer_format(
            text, "given another vocabulary (%" PRIu64 " tokens added, %" PRIu64 " removed)",
            found->added, found->removed);
        break;
    case WEIR_CHANGE_PERMUTED:
        text_buffer_format(text, "put in another order (%s)", found->axes);
        break;
    case WEIR_CHANGE_ROTATED:
        text_buffer_format(text, "turned to another basis (%s)", found->axes);
        break;
    case WEIR_CHANGE_MERGED:
        text_buffer_format(text, "a merge (%s) of", merge_method_name(diff->merge->method));
        describe_parents(text, diff);
        break;
    case WEIR_CHANGE_LOW_RANK:
        name_low_rank(text, found);
        break;
    case WEIR_CHANGE_SCALED:
        text_buffer_format(text, "scaled (%s)", found->axes);
        break;
    case WEIR_CHANGE_ABLATED:
        name_ablated(text, diff);
        break;
    default:
        text_buffer_format(text, "trained further (%s)", found->band ? found->band : "in part");
        break;
    }
}

/* "0-3, 8-11 of the base", for a map of layers. */
static void describe_map(text_buffer *text, const diff_change *found) {
    const char *separator = "";
    for (size_t i = 0; i < found->map_count;) {
        size_t run = i;
        while (found->map[i] >= 0 && run + 1 < found->map_count &&
               found->map[run + 1] == found->map[run] + 1) {
            run++;
        }
        if (found->map[i] < 0) {
            text_buffer_format(text, "%sa new one", separator);
        } else if (run == i) {
            text_buffer_format(text, "%s%" PRId32, separator, found->map[i]);
        } else {
            text_buffer_format(text, "%s%" PRId32 "-%" PRId32, separator, found->map[i],
                               found->map[run]);
        }
        separator = ", ";
        i = run + 1;
    }
}

static void describe_storage(text_buffer *text, const diff_change *found) {
    text_buffer_format(
        text, "%s from %s to %s: ", found->change == WEIR_CHANGE_CAST ? "cast" : "quantised",
        weir_dtype_name(found->from), stored_type(found));
    text_buffer_format(text,
                       found->change == WEIR_CHANGE_CAST
                           ? "%" PRIu64 " of %" PRIu64
                             " tensors are the base's numbers rounded, every one checked"
                           : "%" PRIu64 " of %" PRIu64
                             " tensors are re-derived from the base, 100%% of their numbers",
                       found->rederived, found->tensors);
    if (found->contained > 0) {
        text_buffer_format(text,
                           "; the codes of %" PRIu64 " more lie within the steps around the "
                           "base's numbers",
                           found->contained);
    }
    if (found->rederived + found->contained < found->tensors) {
        text_buffer_format(text, "; the others hold other numbers inside, see below");
    }
}

static void describe_adapter(text_buffer *text, const diff_change *found) {
    text_buffer_format(text, found->is_applied ? "low-rank change" : "low-rank adapter");
    if (found->rank > 0) {
        text_buffer_format(text, " of rank %s%" PRIu64, found->is_rank_least ? "at least " : "",
                           found->rank);
    }
    describe_roles(text, found);
    describe_layers(text, found);
    if (found->is_applied) {
        text_buffer_format(text, ", what a merged %s leaves",
                           found->has_row_scale ? "DoRA" : "LoRA");
    }
    describe_size(text, found);
}

static void describe_ablated(text_buffer *text, const weir_diff *diff, const diff_change *found) {
    const ablation_verdict *verdict = diff->ablation;
    text_buffer_format(text,
                       "ablated: %s%s projected out of %zu of %zu matrices that write to the "
                       "residual stream",
                       verdict->directions > 1 ? "several directions" : "one direction",
                       verdict->scope == ABLATION_SCOPE_PER_LAYER ? " a layer" : "",
                       verdict->edited_count, verdict->matrix_count);
    describe_lambdas(text, verdict);
    text_buffer_format(text, " (change against what it would be: cosine %.3f)", verdict->identity);
    describe_size(text, found);
    text_buffer_format(text, ". What the direction stood for cannot be read from weights");
}

/* Where things stand. */
static void describe_structure(text_buffer *text, const diff_change *found) {
    switch ((int)found->change) {
    case WEIR_CHANGE_DEPTH:
    case WEIR_CHANGE_LAYERS_DUPLICATED:
        text_buffer_format(text, "%s: the layers are the base's ",
                           found->change == WEIR_CHANGE_DEPTH ? "depth changed"
                                                              : "layers duplicated");
        describe_map(text, found);
        break;
    case WEIR_CHANGE_WIDTH:
        text_buffer_format(text, "width changed: %s", found->axes);
        break;
    case WEIR_CHANGE_VOCABULARY:
        text_buffer_format(text,
                           "vocabulary changed: %" PRIu64 " rows added, %" PRIu64
                           " removed, %" PRIu64 " moved",
                           found->added, found->removed, found->moved);
        break;
    case WEIR_CHANGE_PERMUTED:
    case WEIR_CHANGE_ROTATED:
        text_buffer_format(text, "%s: %s%s", weir_change_class_name(found->change), found->axes,
                           found->is_function_preserving
                               ? ", everywhere alike: the model computes the same"
                               : "; whether it computes the same was not shown");
        break;
    case WEIR_CHANGE_EXPERTS:
        text_buffer_format(text, "experts changed: %zu of them%s", found->expert_count,
                           found->is_router_changed ? ", and the router" : "");
        break;
    }
}

/* What the numbers became. */
static void describe_numbers(text_buffer *text, const weir_diff *diff, const diff_change *found) {
    switch ((int)found->change) {
    case WEIR_CHANGE_LOW_RANK:
        describe_adapter(text, found);
        break;
    case WEIR_CHANGE_SCALED:
        text_buffer_format(text, "scaled (%s)", found->axes);
        describe_roles(text, found);
        describe_layers(text, found);
        describe_size(text, found);
        break;
    case WEIR_CHANGE_ABLATED:
        describe_ablated(text, diff, found);
        break;
    case WEIR_CHANGE_PARTIAL:
        text_buffer_format(text,
                           "partial: only %" PRIu64 " of %" PRIu64 " tensors hold other numbers,",
                           found->tensors, found->tensors_of);
        describe_roles(text, found);
        describe_layers(text, found);
        text_buffer_format(text, "; the rest is the base, bit for bit or re-encoded");
        break;
    case WEIR_CHANGE_FULL_RANK:
        text_buffer_format(text, "trained: %s change of full rank",
                           found->band ? found->band : "a");
        describe_roles(text, found);
        describe_layers(text, found);
        describe_size(text, found);
        text_buffer_format(text, ". On what it was trained cannot be read from weights");
        break;
    case WEIR_CHANGE_PERTURBED:
        text_buffer_format(text, "perturbed: the change has no more structure than noise");
        describe_size(text, found);
        break;
    }
}

void describe_change(text_buffer *text, const weir_diff *diff, const diff_change *found) {
    switch ((int)found->change) {
    case WEIR_CHANGE_IDENTICAL:
        text_buffer_format(text, "identical: nothing was changed");
        return;
    case WEIR_CHANGE_REPACKAGED:
        text_buffer_format(text, "repackaged: %s", found->detail);
        return;
    case WEIR_CHANGE_CAST:
    case WEIR_CHANGE_QUANTISED:
        describe_storage(text, found);
        break;
    case WEIR_CHANGE_PRUNED:
        text_buffer_format(text,
                           "pruned (%s): %.1f%% of the numbers of %" PRIu64 " tensors are zero",
                           found->pattern, found->sparsity * 100, found->tensors);
        describe_layers(text, found);
        break;
    case WEIR_CHANGE_MERGED:
        text_buffer_format(text, "merged by %s:", merge_method_name(diff->merge->method));
        describe_parents(text, diff);
        if (isfinite(found->replay)) {
            text_buffer_format(text, "; computed anew, %.4f%% of the numbers are equal",
                               floor(found->replay * 1e6) / 1e4);
        }
        break;
    case WEIR_CHANGE_DEPTH:
    case WEIR_CHANGE_LAYERS_DUPLICATED:
    case WEIR_CHANGE_WIDTH:
    case WEIR_CHANGE_VOCABULARY:
    case WEIR_CHANGE_PERMUTED:
    case WEIR_CHANGE_ROTATED:
    case WEIR_CHANGE_EXPERTS:
        describe_structure(text, found);
        break;
    case WEIR_CHANGE_TEMPLATE:
    case WEIR_CHANGE_TOKENIZER:
    case WEIR_CHANGE_CONFIG:
    case WEIR_CHANGE_CODE:
        text_buffer_format(text, "%s: %s", weir_change_class_name(found->change), found->detail);
        return;
    case WEIR_CHANGE_UNKNOWN:
        if (!found->detail) {
            text_buffer_format(text, "kind of edit not decided, in %" PRIu64 " tensors",
                               found->tensors);
            describe_size(text, found);
        }
        break;
    default:
        describe_numbers(text, diff, found);
        break;
    }
    if (found->detail) {
        text_buffer_format(text, "%s%s", found->change == WEIR_CHANGE_UNKNOWN ? "" : ". ",
                           found->detail);
    }
}
