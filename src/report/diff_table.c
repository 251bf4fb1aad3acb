/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <libsmartcols.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "report/heat_strip.h"
#include "report/tables.h"

enum { TENSORS_SHOWN = 10, FILES_SHOWN = 12 };

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

static void describe_change(text_buffer *text, const diff_change *found) {
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

void print_changes(const paint *out, const weir_diff *diff) {
    for (size_t i = 0; i < diff->change_count; i++) {
        WEIR_CLEANUP(text_buffer_release) text_buffer line = {0};
        text_buffer_format(&line, "%zu. ", i + 1);
        describe_change(&line, &diff->changes[i]);
        text_buffer_format(&line, " [%s]", weir_grade_name(diff->changes[i].grade));
        paint_gathered_field(out, i == 0 ? "changes" : "", &line);
    }
    if (diff->cosine_count > 0) {
        WEIR_CLEANUP(text_buffer_release) text_buffer likeness = {0};
        text_buffer_format(&likeness,
                           "median cosine %.4f over %zu matrices (1 is equal up to scale, "
                           "unrelated weights are near 0)",
                           diff->median_cosine, diff->cosine_count);
        paint_gathered_field(out, "likeness", &likeness);
    }
    if (isfinite(diff->unexplained)) {
        char ratio[32];
        WEIR_CLEANUP(text_buffer_release) text_buffer rest = {0};
        text_buffer_format(&rest, "%s of the squared size of the change",
                           format_ratio(ratio, sizeof ratio, diff->unexplained));
        paint_gathered_field(out, "unexplained", &rest);
    }
}

static void print_file_deltas(const paint *out, const weir_diff *diff) {
    const size_t shown =
        out->style.verbosity > 0 || diff->file_count < FILES_SHOWN ? diff->file_count : FILES_SHOWN;
    for (size_t i = 0; i < shown; i++) {
        const file_delta *file = &diff->files[i];
        WEIR_CLEANUP(text_buffer_release) text_buffer line = {0};
        text_buffer_format(&line, "%s", file->what);
        if (file->change == WEIR_CHANGE_TOKENIZER && file->model[0]) {
            text_buffer_format(&line, "; for example %s", file->model);
        } else if (file->base[0] || file->model[0]) {
            text_buffer_format(&line, ": %s -> %s", file->base[0] ? file->base : "(absent)",
                               file->model[0] ? file->model : "(absent)");
        }
        paint_gathered_field(out, i == 0 ? "files" : "", &line);
    }
    if (shown < diff->file_count) {
        paint_field(out, "", "... and more; see --verbose or --json");
    }
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

static void add_row(struct libscols_table *table, const weir_diff *diff, const tensor_delta *row) {
    char text[5][32];
    const pair_stats *stats = &row->stats;
    const double equal = stats->count ? (double)stats->equal / (double)stats->count : (double)NAN;
    const weir_tensor *tensor = tensor_delta_shown(diff, row);
    struct libscols_line *line = scols_table_new_line(table, NULL);
    if (!line) {
        return;
    }
    (void)snprintf(text[3], sizeof text[3], "%.5f", tensor_delta_cosine(row));
    (void)snprintf(text[4], sizeof text[4], "%s", weir_change_class_name(row->change));
    scols_line_set_data(line, 0, tensor->name);
    scols_line_set_data(line, 1, format_ratio(text[0], sizeof text[0], tensor_delta_rel_norm(row)));
    scols_line_set_data(line, 2, format_ratio(text[1], sizeof text[1], tensor_delta_floor(row)));
    scols_line_set_data(line, 3, format_ratio(text[2], sizeof text[2], equal));
    scols_line_set_data(line, 4, isfinite(tensor_delta_cosine(row)) ? text[3] : "-");
    scols_line_set_data(line, 5, text[4]);
}

static struct libscols_table *new_tensor_table(const paint *out) {
    static const char *const names[] = {"TENSOR",    "CHANGE", "ROUNDING",
                                        "UNCHANGED", "COSINE", "CLASS"};
    struct libscols_table *table = scols_new_table();
    if (!table) {
        return NULL;
    }
    scols_table_set_stream(table, out->stream);
    scols_table_set_termwidth(table, (size_t)(out->style.width > 0 ? out->style.width : 80));
    scols_table_set_termforce(table, SCOLS_TERMFORCE_ALWAYS);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const int flags = i == 0 ? SCOLS_FL_TRUNC : i < 5 ? SCOLS_FL_RIGHT : 0;
        if (!scols_table_new_column(table, names[i], i == 0 ? 0.3 : 9, flags)) {
            scols_unref_table(table);
            return NULL;
        }
    }
    return table;
}

/* The tensors with the largest change; all of them when asked to be verbose. */
static void print_tensors(const paint *out, const weir_diff *diff) {
    WEIR_CLEANUP(free) size_t *order = checked_alloc(diff->tensor_count, sizeof *order);
    struct libscols_table *table = new_tensor_table(out);
    size_t count = 0;
    *out->is_short = *out->is_short || !order || !table;
    for (size_t i = 0; order && i < diff->tensor_count; i++) {
        const tensor_delta *row = &diff->tensors[i];
        const bool is_changed = row->state == TENSOR_COMPARED && !tensor_delta_is_explained(row);
        if (is_changed || (out->style.verbosity > 0 && row->state == TENSOR_COMPARED)) {
            order[count++] = i;
        }
    }
    if (order && table && count > 0) {
        const weir_diff *context = diff;
        qsort_r(order, count, sizeof *order, by_change, &context);
        const size_t shown =
            out->style.verbosity > 0 || count < TENSORS_SHOWN ? count : TENSORS_SHOWN;
        for (size_t i = 0; i < shown; i++) {
            add_row(table, diff, &diff->tensors[order[i]]);
        }
        (void)fputc('\n', out->stream);
        scols_print_table(table);
        if (shown < count) {
            (void)fprintf(out->stream,
                          "... and %zu more changed tensors; see --verbose or --json\n",
                          count - shown);
        }
        paint_paragraph(out, "CHANGE is the size of the difference over the size of the base "
                             "(Frobenius norms); ROUNDING is what the model's storage type alone "
                             "would cause.");
    }
    if (table) {
        scols_unref_table(table);
    }
}

void diff_print(const paint *out, const weir_diff *diff) {
    WEIR_CLEANUP(text_buffer_release) text_buffer verdict = {0};
    describe_diff(&verdict, diff);
    paint_gathered_paragraph(out, &verdict);
    if (out->style.verbosity < 0) {
        return;
    }
    (void)fputc('\n', out->stream);
    print_changes(out, diff);
    print_file_deltas(out, diff);
    heat_strip_print(out, diff);
    print_tensors(out, diff);
}
