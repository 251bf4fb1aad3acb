/* SPDX-License-Identifier: Apache-2.0 */
#include "report/diff_words.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "delta/template_delta.h"
#include "report/tables.h"

static const char *relation_words(const weir_diff *diff) {
    switch (diff->relation) {
    case WEIR_RELATION_IDENTICAL:
        return "has the same weights as";
    case WEIR_RELATION_DERIVED:
        return "was computed from";
    case WEIR_RELATION_RELATED:
        return "shares an ancestor or an initialisation with";
    case WEIR_RELATION_NO_LINK:
        return "shows no link to";
    case WEIR_RELATION_CANNOT_DECIDE:
        return diff->cosine_count > 0
                   ? "can neither be linked to nor told apart from"
                   : "has no matrix of the same role and shape to be compared with";
    }
    return "";
}

/* "recoded", for the sentence: what happened to the numbers that the base explains. */
static void describe_recoding(text_buffer *text, const weir_diff *diff) {
    const char *separator = ": ";
    for (size_t i = 0; i < diff->change_count; i++) {
        const diff_change *found = &diff->changes[i];
        if (found->change == WEIR_CHANGE_QUANTISED || found->change == WEIR_CHANGE_CAST) {
            text_buffer_format(text, "%s%" PRIu64 " %s stored as %s", separator, found->tensors,
                               found->tensors == 1 ? "tensor is" : "tensors are",
                               weir_dtype_name(found->to));
            separator = ", ";
        }
    }
    for (size_t i = 0; i < diff->change_count; i++) {
        const diff_change *found = &diff->changes[i];
        if (found->change == WEIR_CHANGE_UNKNOWN && isfinite(found->rel_norm)) {
            char ratio[32];
            text_buffer_format(text,
                               "%s%" PRIu64 " of %" PRIu64
                               " tensors hold other numbers than the base's (relative change %s)",
                               separator, found->tensors, found->tensors_of,
                               format_ratio(ratio, sizeof ratio, found->rel_norm));
            separator = ", ";
        }
    }
}

void describe_diff(text_buffer *text, const weir_diff *diff) {
    if (diff_is_adapter(diff->model)) {
        text_buffer_format(text, "%s is an adapter, read as made for %s (claimed, not verified)",
                           weir_model_name(diff->model), weir_model_name(diff->base));
    } else {
        text_buffer_format(text, "%s %s %s (%s)", weir_model_name(diff->model),
                           relation_words(diff), weir_model_name(diff->base),
                           weir_grade_name(diff->grade));
    }
    describe_recoding(text, diff);
    text_buffer_format(text, ".");
}

static void describe_roles(text_buffer *text, const diff_change *found) {
    char layers[128];
    const char *separator = "in ";
    for (size_t i = 0; i < WEIR_ROLE_COUNT; i++) {
        if (found->roles[i]) {
            text_buffer_format(text, "%s%s", separator, role_words((weir_role)i));
            separator = ", ";
        }
    }
    if (found->layer_count > 0) {
        text_buffer_format(text, " of layers %s",
                           format_layers(layers, sizeof layers, found->layers, found->layer_count));
    }
}

void describe_change(text_buffer *text, const diff_change *found) {
    char ratio[32];
    switch (found->change) {
    case WEIR_CHANGE_IDENTICAL:
        text_buffer_format(text, "identical: nothing was changed");
        break;
    case WEIR_CHANGE_REPACKAGED:
        text_buffer_format(text, "repackaged: %s", found->detail);
        break;
    case WEIR_CHANGE_CAST:
        text_buffer_format(text,
                           "cast from %s to %s: %" PRIu64 " of %" PRIu64
                           " tensors are the base's numbers rounded, every one checked",
                           weir_dtype_name(found->from), weir_dtype_name(found->to), found->tensors,
                           found->tensors_of);
        break;
    case WEIR_CHANGE_QUANTISED:
        text_buffer_format(text,
                           "quantised from %s to %s: %" PRIu64 " of %" PRIu64
                           " tensors are re-derived from the base, 100%% of their numbers",
                           weir_dtype_name(found->from), weir_dtype_name(found->to), found->tensors,
                           found->tensors_of);
        break;
    case WEIR_CHANGE_LOW_RANK:
        text_buffer_format(text, "low-rank adapter on %" PRIu64 " tensors, relative change %s ",
                           found->tensors, format_ratio(ratio, sizeof ratio, found->rel_norm));
        describe_roles(text, found);
        break;
    case WEIR_CHANGE_PARTIAL:
        text_buffer_format(text,
                           "partial: only %" PRIu64 " of %" PRIu64 " tensors hold other numbers, ",
                           found->tensors, found->tensors_of);
        describe_roles(text, found);
        text_buffer_format(text, "; the rest is the base, bit for bit or re-encoded");
        break;
    case WEIR_CHANGE_TEMPLATE:
    case WEIR_CHANGE_TOKENIZER:
    case WEIR_CHANGE_CONFIG:
    case WEIR_CHANGE_CODE:
        text_buffer_format(text, "%s: %s", weir_change_class_name(found->change), found->detail);
        break;
    case WEIR_CHANGE_PRUNED:
    case WEIR_CHANGE_DEPTH:
    case WEIR_CHANGE_LAYERS_DUPLICATED:
    case WEIR_CHANGE_WIDTH:
    case WEIR_CHANGE_VOCABULARY:
    case WEIR_CHANGE_PERMUTED:
    case WEIR_CHANGE_ROTATED:
    case WEIR_CHANGE_MERGED:
    case WEIR_CHANGE_SCALED:
    case WEIR_CHANGE_ABLATED:
    case WEIR_CHANGE_FULL_RANK:
    case WEIR_CHANGE_PERTURBED:
    case WEIR_CHANGE_EXPERTS:
    case WEIR_CHANGE_UNKNOWN:
        if (found->detail && found->detail[0]) {
            text_buffer_format(text, "%s", found->detail);
        } else {
            text_buffer_format(
                text, "kind of edit not decided: relative change %s over %" PRIu64 " tensors",
                format_ratio(ratio, sizeof ratio, found->rel_norm), found->tensors);
        }
        break;
    }
}

/* ": was -> is", in which only one of the two may be there. */
static void describe_values(text_buffer *text, const file_delta *file) {
    if (file->base[0] || file->model[0]) {
        text_buffer_format(text, ": %s -> %s", file->base[0] ? file->base : "(absent)",
                           file->model[0] ? file->model : "(absent)");
    }
}

static void describe_code_file(text_buffer *text, const file_delta *file) {
    if (!file->base[0]) {
        text_buffer_format(text,
                           "%s is new: Python code that a loader runs when it is told to "
                           "trust the model",
                           file->what);
    } else if (!file->model[0]) {
        text_buffer_format(text, "%s, Python code, is removed", file->what);
    } else {
        text_buffer_format(text, "%s, Python code, holds other text (%.19s -> %.19s)", file->what,
                           file->base, file->model);
    }
}

/* The findings, without the statements where there is anything graver; then what was rendered. */
static void describe_template(text_buffer *text, const template_delta *found) {
    enum { SHOWN_MAX = 4 };
    const bool has_other =
        found->finding_count > 0 && found->findings[0].kind < TEMPLATE_FINDING_STATEMENT;
    size_t shown = 0;
    for (size_t i = 0; i < found->finding_count && shown < SHOWN_MAX; i++) {
        const template_finding *finding = &found->findings[i];
        if (has_other && finding->kind == TEMPLATE_FINDING_STATEMENT) {
            break;
        }
        text_buffer_format(text, "%s%s", shown++ ? "; " : "", finding->text);
        if (finding->line > 0) {
            text_buffer_format(text, " (line %" PRIu32 ")", finding->line);
        }
    }
    const size_t tried = found->rendered_n + found->unrendered_n;
    if (found->kind == TEMPLATE_DELTA_NOT_COMPARABLE) {
        return;
    }
    if (found->kind == TEMPLATE_DELTA_COSMETIC) {
        text_buffer_format(text, "written differently, means the same");
    }
    if (found->rendered_differ == 0 && found->rendered_n > 0) {
        text_buffer_format(text, "; renders the same in %s%zu conversations",
                           found->unrendered_n ? "" : "all ", found->rendered_n);
    } else if (found->rendered_differ > 0) {
        text_buffer_format(text, "; renders differently in %zu of %zu conversations, first %s",
                           found->rendered_differ, found->rendered_n, found->first_difference);
    }
    if (found->unrendered_n > 0) {
        text_buffer_format(text, "; %zu of %zu could not be rendered", found->unrendered_n, tried);
    }
}

void describe_file(text_buffer *text, const file_delta *file) {
    if (file->template) {
        text_buffer_format(text, "%s: ", file->what);
        describe_template(text, file->template);
        return;
    }
    switch (file->kind) {
    case FILE_KIND_SAFETY_COMPONENT:
    case FILE_KIND_WATERMARK_COMPONENT:
        text_buffer_format(text, "%s (%s%s%s)", file->what, weir_grade_name(file->grade),
                           file->file[0] ? ", " : "", file->file);
        describe_values(text, file);
        return;
    case FILE_KIND_CHAT_TEMPLATE_PLACES:
        text_buffer_format(text, "%s (%s)", file->what, file->model);
        return;
    case FILE_KIND_CODE_FILE:
        describe_code_file(text, file);
        return;
    case FILE_KIND_AUTO_MAP:
        text_buffer_format(text, "%s, which names Python code for a loader to run", file->what);
        break;
    case FILE_KIND_SYSTEM_PROMPT:
        text_buffer_format(text, "system prompt, %s", file->what);
        break;
    case FILE_KIND_NORMALIZER:
    case FILE_KIND_PRE_TOKENIZER:
    case FILE_KIND_POST_PROCESSOR:
    case FILE_KIND_DECODER:
        text_buffer_format(text, "%s of the tokenizer", file->what);
        break;
    case FILE_KIND_MERGES:
        text_buffer_format(text, "other %s", file->what);
        break;
    case FILE_KIND_TOKENS:
    case FILE_KIND_SPECIAL_TOKENS:
        text_buffer_format(text, "%s", file->what);
        if (strchr(file->what, ':') && !file->base[0] && file->model[0]) {
            text_buffer_format(text, "; for example %s", file->model);
            return;
        }
        break;
    case FILE_KIND_CHAT_TEMPLATE:
    case FILE_KIND_TOKENIZER_SETTING:
    case FILE_KIND_GENERATION:
    case FILE_KIND_CONFIG:
        text_buffer_format(text, "%s", file->what);
        break;
    }
    describe_values(text, file);
}

/* How far a row stands up; a change that is no number stands above all. */
static double rank_of_change(const tensor_delta *row) {
    const double change = tensor_delta_rel_norm(row);
    return isnan(change) ? (double)INFINITY : change;
}

static int by_change(const void *left, const void *right, void *context) {
    const weir_diff *diff = *(const weir_diff **)context;
    const tensor_delta *a = &diff->tensors[*(const size_t *)left];
    const tensor_delta *b = &diff->tensors[*(const size_t *)right];
    const bool explained_a = tensor_delta_is_explained(a);
    const bool explained_b = tensor_delta_is_explained(b);
    if (explained_a != explained_b) {
        return explained_a ? 1 : -1;
    }
    const double change_a = rank_of_change(a);
    const double change_b = rank_of_change(b);
    if (change_a > change_b || change_a < change_b) {
        return change_a > change_b ? -1 : 1;
    }
    return *(const size_t *)left < *(const size_t *)right ? -1 : 1;
}

size_t diff_most_changed(size_t **out, const weir_diff *diff, bool all) {
    size_t *order = checked_alloc(diff->tensor_count, sizeof *order);
    size_t count = 0;
    *out = order;
    for (size_t i = 0; order && i < diff->tensor_count; i++) {
        const tensor_delta *row = &diff->tensors[i];
        if (row->state == TENSOR_COMPARED && (all || !tensor_delta_is_explained(row))) {
            order[count++] = i;
        }
    }
    const weir_diff *context = diff;
    if (count > 0) {
        qsort_r(order, count, sizeof *order, by_change, &context);
    }
    return count;
}
