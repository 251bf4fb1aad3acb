/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <libsmartcols.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "report/diff_words.h"
#include "report/heat_strip.h"
#include "report/merge_words.h"
#include "report/tables.h"

enum { TENSORS_SHOWN = 10, FILES_SHOWN = 12 };

void print_changes(const paint *out, const weir_diff *diff) {
    for (size_t i = 0; i < diff->change_count; i++) {
        WEIR_CLEANUP(text_buffer_release) text_buffer line = {0};
        text_buffer_format(&line, "%zu. ", i + 1);
        describe_change(&line, diff, &diff->changes[i]);
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
        WEIR_CLEANUP(text_buffer_release) text_buffer line = {0};
        describe_file(&line, &diff->files[i]);
        paint_gathered_field(out, i == 0 ? "files" : "", &line);
    }
    if (shown < diff->file_count) {
        paint_field(out, "", "... and more; see --verbose or --json");
    }
}

static size_t print_gaps(const paint *out, const char *side, const weir_findings *findings,
                         size_t shown) {
    for (size_t i = 0; i < weir_findings_count(findings) && shown < FILES_SHOWN; i++) {
        const weir_finding *finding = weir_findings_get(findings, i);
        if (!diff_finding_is_gap(finding)) {
            continue;
        }
        WEIR_CLEANUP(text_buffer_release) text_buffer line = {0};
        text_buffer_format(&line, "%s of the %s%s%s: %s", finding->file, side,
                           finding->at[0] ? ", " : "", finding->at, finding->message);
        paint_gathered_field(out, shown == 0 ? "not compared" : "", &line);
        shown++;
    }
    return shown;
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
    WEIR_CLEANUP(free) size_t *order = NULL;
    const size_t count = diff_most_changed(&order, diff, out->style.verbosity > 0);
    struct libscols_table *table = new_tensor_table(out);
    *out->is_short = *out->is_short || !order || !table;
    if (order && table && count > 0) {
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

/* How it was put together, and the parents that could not be asked. */
static void print_merge(const paint *out, const weir_diff *diff) {
    WEIR_CLEANUP(text_buffer_release) text_buffer merge = {0};
    describe_merge(&merge, diff);
    if (merge.len > 0) {
        paint_gathered_field(out, "merge", &merge);
    }
    for (size_t i = 0; i < diff->parent_count; i++) {
        if (diff->parents[i].note[0]) {
            WEIR_CLEANUP(text_buffer_release) text_buffer parent = {0};
            describe_parent(&parent, &diff->parents[i]);
            paint_gathered_field(out, "left out", &parent);
        }
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
    print_merge(out, diff);
    print_file_deltas(out, diff);
    (void)print_gaps(out, "model", diff->findings, print_gaps(out, "base", diff->base_findings, 0));
    heat_strip_print(out, diff);
    print_tensors(out, diff);
}
