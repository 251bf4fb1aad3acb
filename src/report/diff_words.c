/* SPDX-License-Identifier: Apache-2.0 */
#include "report/diff_words.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "delta/onion.h"
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

/* The history: the onion from its core outwards, then what lies beside the weights. */
static void describe_history(text_buffer *text, const weir_diff *diff) {
    const char *separator = ": ";
    for (size_t i = diff->change_count; i-- > 0;) {
        const diff_change *found = &diff->changes[i];
        if (onion_is_beside_weights(found->change) || found->change == WEIR_CHANGE_PARTIAL ||
            found->change == WEIR_CHANGE_IDENTICAL) {
            continue;
        }
        text_buffer_format(text, "%s", separator);
        name_change(text, diff, found);
        if (isfinite(found->replay)) {
            text_buffer_format(text, " (%s: %.4g%% of the numbers)", weir_grade_name(found->grade),
                               floor(found->replay * 1e4) / 1e2);
        } else if (found->change != WEIR_CHANGE_UNKNOWN) {
            text_buffer_format(text, " (%s)", weir_grade_name(found->grade));
        }
        separator = ", then ";
    }
    for (size_t i = 0; i < diff->change_count; i++) {
        if (onion_is_beside_weights(diff->changes[i].change)) {
            text_buffer_format(text, "%s", *separator == ':' ? ": " : "; ");
            name_change(text, diff, &diff->changes[i]);
            separator = "; ";
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
    describe_history(text, diff);
    text_buffer_format(text, ".");
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
