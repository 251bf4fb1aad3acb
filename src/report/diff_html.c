/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One comparison as a page: the verdict, the onion as nested boxes (what was done last lies
 * outside), where the change is, what files differ, the most changed tensors.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "delta/row_look.h"
#include "report/diff_words.h"
#include "report/heat_grid.h"
#include "report/html.h"
#include "report/tables.h"

enum { CELL = 14, CELL_STEP = 15, LABEL_WIDTH = 190, COLUMNS_MAX = 256, ROWS_SHOWN = 60 };

static void write_verdict(const paint *out, const weir_diff *diff) {
    WEIR_CLEANUP(text_buffer_release) text_buffer verdict = {0};
    describe_diff(&verdict, diff);
    (void)fputs("<h1>What was modified: ", out->stream);
    html_name(out->stream, weir_model_name(diff->model));
    (void)fputs("</h1>\n<p class=\"verdict\">", out->stream);
    html_gathered(out, &verdict);
    (void)fputs("</p>\n", out->stream);
}

static void write_changes(const paint *out, const weir_diff *diff) {
    (void)fputs("<h2>The onion: every change, the last one first</h2>\n<ol class=\"onion\">\n",
                out->stream);
    for (size_t i = 0; i < diff->change_count; i++) {
        WEIR_CLEANUP(text_buffer_release) text_buffer line = {0};
        describe_change(&line, diff, &diff->changes[i]);
        (void)fprintf(out->stream,
                      "<li><span class=\"class\">%zu. %s</span><span class=\"grade\">%s</span><br>",
                      i + 1, weir_change_class_name(diff->changes[i].change),
                      weir_grade_name(diff->changes[i].grade));
        html_gathered(out, &line);
        (void)fputs("</li>\n", out->stream);
    }
    (void)fputs("</ol>\n", out->stream);
    if (isfinite(diff->unexplained)) {
        char ratio[32];
        (void)fprintf(
            out->stream,
            "<p>Unexplained: <strong>%s</strong> of the squared size of the change.</p>\n",
            format_ratio(ratio, sizeof ratio, diff->unexplained));
    }
}

static void write_heat_row(const paint *out, const heat_grid *grid, size_t role, size_t top,
                           size_t per_column) {
    FILE *stream = out->stream;
    (void)fprintf(stream, "<text x=\"0\" y=\"%zu\">", top + CELL - 3);
    html_text(stream, role_words((weir_role)role));
    (void)fputs("</text>\n", stream);
    for (size_t layer = 0; layer < grid->layers; layer += per_column) {
        const signed char cell = heat_grid_gravest(grid, role, layer, per_column);
        if (cell == HEAT_ABSENT) {
            continue;
        }
        (void)fprintf(
            stream,
            "<rect class=\"h%d\" x=\"%zu\" y=\"%zu\" width=\"%d\" height=\"%d\"><title>%s, "
            "layer %zu: %s</title></rect>",
            cell, LABEL_WIDTH + layer / per_column * CELL_STEP, top, CELL, CELL,
            role_words((weir_role)role), layer,
            cell == HEAT_EXPLAINED ? "the base's numbers" : heat_level_bounds[cell - 1]);
    }
    (void)fputc('\n', stream);
}

static void write_heat_legend(const paint *out, size_t top) {
    FILE *stream = out->stream;
    size_t left = LABEL_WIDTH;
    for (int level = HEAT_EXPLAINED; level <= HEAT_LEVEL_COUNT; level++) {
        (void)fprintf(stream,
                      "<rect class=\"h%d\" x=\"%zu\" y=\"%zu\" width=\"%d\" height=\"%d\"/>"
                      "<text x=\"%zu\" y=\"%zu\">",
                      level, left, top, CELL, CELL, left + CELL + 4, top + CELL - 3);
        html_text(stream, level == HEAT_EXPLAINED ? "the base's" : heat_level_bounds[level - 1]);
        (void)fputs("</text>\n", stream);
        left += level == HEAT_EXPLAINED ? 84 : 68;
    }
}

static void write_heat_map(const paint *out, const weir_diff *diff) {
    WEIR_CLEANUP(heat_grid_release) heat_grid grid = {0};
    if (!heat_grid_fill(&grid, diff)) {
        *out->is_short = true;
        return;
    }
    if (heat_grid_is_empty(&grid)) {
        return;
    }
    FILE *stream = out->stream;
    size_t rows = 0;
    for (size_t role = 0; role < WEIR_ROLE_COUNT; role++) {
        rows += heat_grid_has_role(&grid, role);
    }
    const size_t per_column = (grid.layers + COLUMNS_MAX - 1) / COLUMNS_MAX;
    const size_t columns = (grid.layers + per_column - 1) / per_column;
    const size_t width_of_legend = LABEL_WIDTH + 84 + HEAT_LEVEL_COUNT * 68;
    const size_t width_of_cells = LABEL_WIDTH + columns * CELL_STEP;
    const size_t width = width_of_cells > width_of_legend ? width_of_cells : width_of_legend;
    (void)fprintf(stream,
                  "<h2>Where, and how much</h2>\n<figure><svg role=\"img\" "
                  "aria-label=\"Size of the change by role and layer\" width=\"%zu\" "
                  "height=\"%zu\">\n",
                  width, (rows + 3) * CELL_STEP);
    for (size_t column = 0; column < columns; column += 5) {
        (void)fprintf(stream, "<text class=\"dim\" x=\"%zu\" y=\"11\">%zu</text>",
                      LABEL_WIDTH + column * CELL_STEP, column * per_column);
    }
    (void)fputs("<text class=\"dim\" x=\"0\" y=\"11\">layer</text>\n", stream);
    size_t top = CELL_STEP;
    for (size_t role = 0; role < WEIR_ROLE_COUNT; role++) {
        if (heat_grid_has_role(&grid, role)) {
            write_heat_row(out, &grid, role, top, per_column);
            top += CELL_STEP;
        }
    }
    write_heat_legend(out, top + CELL_STEP / 2);
    (void)fputs(
        "</svg><figcaption>Size of the difference over the size of the base, one cell a role "
        "and layer. Grey: the base's own numbers, as they are or stored in another "
        "type.</figcaption></figure>\n",
        stream);
}

enum { SPARK_BARS = 32, SPARK_BAR = 7, SPARK_WIDTH = SPARK_BARS * SPARK_BAR, SPARK_HEIGHT = 70 };
static const double spark_decades = 4; /* below the largest value */

/* Height of a value on a logarithmic scale whose top is `largest`. */
static int spark_height(double value, double largest) {
    const double level = value > 0 ? 1 + log10(value / largest) / spark_decades : 0;
    return (int)(SPARK_HEIGHT * (level > 0 ? fmin(level, 1) : 0));
}

static void write_spectrum(const paint *out, const weir_diff *diff, const tensor_delta *row) {
    const low_rank_fit *fit = &row->look->low_rank;
    const double largest = fmax(fit->values[0], isfinite(fit->edge) ? fit->edge : 0);
    FILE *stream = out->stream;
    (void)fprintf(stream,
                  "<figure><svg role=\"img\" aria-label=\"Spectrum of a change\" width=\"%d\" "
                  "height=\"%d\">",
                  SPARK_WIDTH, SPARK_HEIGHT);
    for (size_t i = 0; i < fit->value_count && i < SPARK_BARS; i++) {
        const int height = spark_height(fit->values[i], largest);
        (void)fprintf(stream, "<rect class=\"bar\" x=\"%zu\" y=\"%d\" width=\"%d\" height=\"%d\"/>",
                      i * SPARK_BAR, SPARK_HEIGHT - height, SPARK_BAR - 1, height);
    }
    if (isfinite(fit->edge) && fit->edge > 0) {
        const int edge = SPARK_HEIGHT - spark_height(fit->edge, largest);
        (void)fprintf(stream, "<line class=\"edge\" x1=\"0\" x2=\"%d\" y1=\"%d\" y2=\"%d\"/>",
                      SPARK_WIDTH, edge, edge);
    }
    (void)fputs("</svg><figcaption><code>", stream);
    html_name(stream, tensor_delta_shown(diff, row)->name);
    (void)fprintf(stream, "</code>: %s", weir_change_class_name(row->change));
    if (row->rank > 0) {
        (void)fprintf(stream, ", rank %" PRIu64, row->rank);
    }
    (void)fputs("</figcaption></figure>\n", stream);
}

/* One spectrum a role: of its most changed matrix. */
static void write_spectra(const paint *out, const weir_diff *diff) {
    WEIR_CLEANUP(free) size_t *order = NULL;
    const size_t count = diff_most_changed(&order, diff, /* all= */ false);
    bool is_shown[WEIR_ROLE_COUNT] = {false};
    bool has_any = false;
    for (size_t i = 0; i < count; i++) {
        const tensor_delta *row = &diff->tensors[order[i]];
        const weir_role role = tensor_delta_shown(diff, row)->role;
        if (is_shown[role] || !row->look || !row->look->is_measured ||
            row->look->low_rank.value_count == 0) {
            continue;
        }
        if (!has_any) {
            (void)fputs("<h2>Spectra of the change</h2>\n<div class=\"sparks\">\n", out->stream);
        }
        is_shown[role] = true;
        has_any = true;
        write_spectrum(out, diff, row);
    }
    if (has_any) {
        (void)fputs("</div>\n<p class=\"dim\">The largest singular values of the change of the "
                    "most changed matrix of each role, on a logarithmic scale of four decades. Few "
                    "tall ones and nothing above the dashed line, where rounding ends: an adapter. "
                    "A long slope: training.</p>\n",
                    out->stream);
    }
}

static void write_files(const paint *out, const weir_diff *diff) {
    if (diff->file_count == 0) {
        return;
    }
    (void)fputs("<h2>Beside the weights</h2>\n<ul>\n", out->stream);
    for (size_t i = 0; i < diff->file_count; i++) {
        WEIR_CLEANUP(text_buffer_release) text_buffer line = {0};
        describe_file(&line, &diff->files[i]);
        (void)fputs("<li>", out->stream);
        html_gathered(out, &line);
        (void)fputs("</li>\n", out->stream);
    }
    (void)fputs("</ul>\n", out->stream);
}

static void write_tensor(const paint *out, const weir_diff *diff, const tensor_delta *row) {
    const pair_stats *stats = &row->stats;
    const double unchanged =
        stats->count ? (double)stats->equal / (double)stats->count : (double)NAN;
    const double values[] = {tensor_delta_rel_norm(row), tensor_delta_floor(row), unchanged};
    (void)fputs("<tr><td><code>", out->stream);
    html_name(out->stream, tensor_delta_shown(diff, row)->name);
    (void)fputs("</code></td>", out->stream);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char ratio[32];
        (void)fprintf(out->stream, "<td>%s</td>", format_ratio(ratio, sizeof ratio, values[i]));
    }
    const double cosine = tensor_delta_cosine(row);
    (void)fprintf(out->stream, isfinite(cosine) ? "<td>%.5f</td>" : "<td>-</td>", cosine);
    (void)fprintf(out->stream, "<td>%s</td></tr>\n", weir_change_class_name(row->change));
}

static void write_tensors(const paint *out, const weir_diff *diff) {
    WEIR_CLEANUP(free) size_t *order = NULL;
    const size_t count = diff_most_changed(&order, diff, /* all= */ false);
    if (count == 0) {
        *out->is_short = *out->is_short || !order;
        return;
    }
    (void)fputs(
        "<h2>The most changed tensors</h2>\n<div class=\"scroll\"><table><thead><tr><th>tensor"
        "</th><th>change</th><th>rounding</th><th>unchanged</th><th>cosine</th><th>class</th>"
        "</tr></thead><tbody>\n",
        out->stream);
    for (size_t i = 0; i < count && i < ROWS_SHOWN; i++) {
        write_tensor(out, diff, &diff->tensors[order[i]]);
    }
    (void)fputs("</tbody></table></div>\n", out->stream);
    if (count > ROWS_SHOWN) {
        (void)fprintf(out->stream, "<p class=\"dim\">... and %zu more; the JSON has all.</p>\n",
                      count - ROWS_SHOWN);
    }
}

static void write_reading(const paint *out) {
    (void)fputs(
        "<h2>How to read this</h2>\n<p class=\"dim\">Proved: the model's numbers were made again "
        "from the base's and are equal, bit for bit. Strong: measured, with room to the "
        "nearest other explanation. Weak: one explanation of several. Unknown: weir does not "
        "guess. Change is the size of the difference over the size of the base (Frobenius "
        "norms); rounding is what the model's storage type alone would cause. What a change "
        "does to behaviour cannot be read from weights.</p>\n",
        out->stream);
}

void diff_write_html(const paint *out, const weir_diff *diff) {
    html_begin(out->stream, "weir diff");
    write_verdict(out, diff);
    write_changes(out, diff);
    write_heat_map(out, diff);
    write_spectra(out, diff);
    write_files(out, diff);
    write_tensors(out, diff);
    write_reading(out);
    html_end(out->stream);
}
