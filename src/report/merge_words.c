/* SPDX-License-Identifier: Apache-2.0 */
#include "report/merge_words.h"

#include <math.h>
#include <string.h>

#include "delta/merge.h"

static void describe_weight(text_buffer *text, const merge_parent *source) {
    if (source->tensors > 0) {
        text_buffer_format(text, "%zu tensors", source->tensors);
    } else if (isnan(source->weight) && !source->by_layer) {
        text_buffer_format(text, "no weight of its own");
    } else if (isnan(source->weight)) {
        text_buffer_format(text, "by layer");
    } else {
        text_buffer_format(text, "%.4g", source->weight);
    }
    if (!isnan(source->density)) {
        text_buffer_format(text, ", density %.2g", source->density);
    }
}

static void describe_sources(text_buffer *text, const weir_diff *diff) {
    const merge_finding *found = diff->merge;
    for (size_t i = 0; i < found->parent_count; i++) {
        const merge_parent *source = &found->parents[i];
        text_buffer_format(text, "%s%s (",
                           i == 0                        ? " of "
                           : i + 1 < found->parent_count ? ", "
                                                         : " and ",
                           source->parent == VIEW_NONE ? weir_model_name(diff->base)
                                                       : diff->parents[source->parent].name);
        describe_weight(text, source);
        text_buffer_format(text, ")");
    }
}

static bool is_merge(merge_method method) {
    return method != MERGE_NONE && method != MERGE_NEAREST && method != MERGE_UNKNOWN;
}

/* What the card says, against what was found. */
static void describe_claim(text_buffer *text, const merge_finding *found) {
    if (!found->claimed) {
        return;
    }
    const char *told = merge_method_name(found->method);
    text_buffer_format(text, "; its files say %s", found->claimed);
    if (!is_merge(found->method)) {
        text_buffer_format(text, ": not verified");
    } else if (strcmp(found->claimed, told) != 0) {
        text_buffer_format(text, ", the numbers come out as %s", told);
    } else {
        text_buffer_format(text, ": %s", found->grade == WEIR_GRADE_PROVED ? "verified" : "agrees");
    }
}

/* Without parents a claim is all there is. */
static void describe_bare_claim(text_buffer *text, const weir_diff *diff) {
    for (size_t i = 0; i < weir_model_claim_count(diff->model); i++) {
        const weir_claim *claim = weir_model_claim(diff->model, i);
        if (strcmp(claim->name, "merge.merge_method") == 0) {
            text_buffer_format(text,
                               "its files say %s: not verified; --parent MODEL for each parent"
                               " would tell",
                               claim->value);
            return;
        }
    }
}

void describe_merge(text_buffer *text, const weir_diff *diff) {
    const merge_finding *found = diff->merge;
    if (!found) {
        describe_bare_claim(text, diff);
        return;
    }
    if (is_merge(found->method)) {
        text_buffer_format(text, "%s", merge_method_name(found->method));
        describe_sources(text, diff);
        text_buffer_format(text, " [%s]: ", weir_grade_name(found->grade));
    }
    text_buffer_format(text, "%s",
                       found->detail[0] ? found->detail : "no parent could be compared");
    describe_claim(text, found);
}

void describe_parent(text_buffer *text, const diff_parent *parent) {
    text_buffer_format(text, "%s %s", parent->name, parent->note);
}
