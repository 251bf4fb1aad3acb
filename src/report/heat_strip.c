/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cell is the relative change of the tensors of one role in one layer (the largest, where there
 * are several: experts, biases). A tensor that the base explains bit for bit, as it is or
 * re-encoded, is a dot, whatever rounding moved. Levels are ours, in steps of about three.
 */
#include "report/heat_strip.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"

enum { LEVEL_COUNT = 8, CELL_ABSENT = -1, CELL_EXPLAINED = 0 };

static const double level_floors[LEVEL_COUNT] = {0, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3};
static const char *const level_blocks[LEVEL_COUNT] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
static const char *const level_letters[LEVEL_COUNT] = {"1", "2", "3", "4", "5", "6", "7", "8"};
static const int level_colors[LEVEL_COUNT] = {22, 28, 64, 142, 178, 208, 202, 196}; /* xterm 256 */

typedef struct strip {
    size_t layers;
    int label_columns;
    signed char *cells; /* [role][layer]: CELL_ABSENT, CELL_EXPLAINED, or level + 1 */
} strip;

static signed char cell_of(const tensor_delta *row) {
    if (tensor_delta_is_explained(row)) {
        return CELL_EXPLAINED;
    }
    const double change = tensor_delta_rel_norm(row);
    int level = isfinite(change) ? 0 : LEVEL_COUNT - 1;
    while (isfinite(change) && level + 1 < LEVEL_COUNT && change >= level_floors[level + 1]) {
        level++;
    }
    return (signed char)(level + 1);
}

static size_t count_layers(const weir_diff *diff) {
    enum { LAYERS_SHOWN_MAX = 4096 };
    size_t layers = 0;
    for (size_t i = 0; i < diff->tensor_count; i++) {
        const weir_tensor *tensor = tensor_delta_shown(diff, &diff->tensors[i]);
        if (tensor->layer >= 0 && (size_t)tensor->layer + 1 > layers) {
            layers = (size_t)tensor->layer + 1;
        }
    }
    return layers > LAYERS_SHOWN_MAX ? LAYERS_SHOWN_MAX : layers;
}

static bool fill_strip(strip *out, const weir_diff *diff) {
    out->cells = checked_alloc(out->layers, WEIR_ROLE_COUNT);
    if (!out->cells) {
        return false;
    }
    memset(out->cells, CELL_ABSENT, WEIR_ROLE_COUNT * out->layers);
    for (size_t i = 0; i < diff->tensor_count; i++) {
        const tensor_delta *row = &diff->tensors[i];
        const weir_tensor *tensor = tensor_delta_shown(diff, row);
        if (tensor_delta_is_paired(row) && tensor->layer >= 0 &&
            (size_t)tensor->layer < out->layers) {
            signed char *cell = &out->cells[tensor->role * out->layers + (size_t)tensor->layer];
            const signed char level = cell_of(row);
            if (level > *cell) {
                *cell = level;
            }
        }
    }
    return true;
}

static const char *cell_mark(const paint *out, signed char cell) {
    if (cell == CELL_ABSENT) {
        return " ";
    }
    if (cell == CELL_EXPLAINED) {
        return out->style.unicode ? "·" : ".";
    }
    return out->style.unicode ? level_blocks[cell - 1] : level_letters[cell - 1];
}

/* A run of equal cells, coloured once. */
static void print_cells(const paint *out, signed char cell, size_t count) {
    const bool is_level = out->style.color && cell > CELL_EXPLAINED;
    if (is_level) {
        (void)fprintf(out->stream, "\033[38;5;%dm", level_colors[cell - 1]);
    } else if (out->style.color && cell == CELL_EXPLAINED) {
        (void)fputs("\033[2m", out->stream);
    }
    for (size_t i = 0; i < count; i++) {
        (void)fputs(cell_mark(out, cell), out->stream);
    }
    if (out->style.color && cell != CELL_ABSENT) {
        (void)fputs("\033[0m", out->stream);
    }
}

/* The gravest of the layers that share a column, when there are more layers than columns. */
static signed char column_cell(const strip *cells, size_t role, size_t layer, size_t per_column) {
    signed char gravest = CELL_ABSENT;
    for (size_t i = layer; i < layer + per_column && i < cells->layers; i++) {
        const signed char cell = cells->cells[role * cells->layers + i];
        if (cell > gravest) {
            gravest = cell;
        }
    }
    return gravest;
}

static void print_row(const paint *out, const strip *cells, size_t role, size_t per_column) {
    (void)fprintf(out->stream, "%-*s", cells->label_columns, role_words((weir_role)role));
    size_t run = 0;
    signed char last = CELL_ABSENT;
    for (size_t layer = 0; layer < cells->layers; layer += per_column) {
        const signed char cell = column_cell(cells, role, layer, per_column);
        if (run > 0 && cell != last) {
            print_cells(out, last, run);
            run = 0;
        }
        last = cell;
        run++;
    }
    print_cells(out, last, run);
    (void)fputc('\n', out->stream);
}

static bool has_cells(const strip *cells, size_t role) {
    for (size_t i = 0; i < cells->layers; i++) {
        if (cells->cells[role * cells->layers + i] != CELL_ABSENT) {
            return true;
        }
    }
    return false;
}

/* Layer numbers above every tenth column. */
static void print_ruler(const paint *out, const strip *cells, size_t per_column) {
    enum { TICK = 10 };
    paint_text(out, INK_DIM, "%-*s", cells->label_columns, "layer");
    const size_t columns = (cells->layers + per_column - 1) / per_column;
    for (size_t column = 0; column < columns; column += TICK) {
        const size_t left = columns - column;
        paint_text(out, INK_DIM, "%-*zu", left < TICK ? 1 : TICK, column * per_column);
    }
    (void)fputc('\n', out->stream);
}

static void print_legend(const paint *out, int indent) {
    const bool unicode = out->style.unicode;
    (void)fprintf(out->stream, "%-*s%s %s", indent, "", unicode ? "·" : ".",
                  "the base's numbers, as they are or re-encoded\n");
    (void)fprintf(out->stream, "%-*s", indent, "");
    static const char *const bounds[LEVEL_COUNT] = {"<0.03%", "<0.1%", "<0.3%", "<1%",
                                                    "<3%",    "<10%",  "<30%",  "30%+"};
    for (int level = 0; level < LEVEL_COUNT; level++) {
        print_cells(out, (signed char)(level + 1), 1);
        (void)fprintf(out->stream, " %s%s", bounds[level], level + 1 < LEVEL_COUNT ? "  " : "\n");
    }
}

static bool has_any_cell(const strip *cells) {
    for (size_t role = 0; role < WEIR_ROLE_COUNT; role++) {
        if (has_cells(cells, role)) {
            return true;
        }
    }
    return false;
}

static int count_label_columns(const strip *cells) {
    size_t most = strlen("layer");
    for (size_t role = 0; role < WEIR_ROLE_COUNT; role++) {
        const size_t len = has_cells(cells, role) ? strlen(role_words((weir_role)role)) : 0;
        most = len > most ? len : most;
    }
    return (int)most + 2;
}

void heat_strip_print(const paint *out, const weir_diff *diff) {
    enum { COLUMNS_MIN = 20 };
    strip cells = {.layers = count_layers(diff)};
    if (cells.layers == 0) {
        return;
    }
    if (!fill_strip(&cells, diff)) {
        *out->is_short = true;
        return;
    }
    if (!has_any_cell(&cells)) {
        free(cells.cells);
        return;
    }
    cells.label_columns = count_label_columns(&cells);
    const int width = out->style.width > 0 ? out->style.width : 80;
    const int left = width - cells.label_columns;
    const size_t room = left > COLUMNS_MIN ? (size_t)left : COLUMNS_MIN;
    const size_t per_column = (cells.layers + room - 1) / room;
    (void)fputc('\n', out->stream);
    paint_text(out, INK_BOLD, "Where, and how much (size of the change over size of the base)\n");
    print_ruler(out, &cells, per_column);
    for (size_t role = 0; role < WEIR_ROLE_COUNT; role++) {
        if (has_cells(&cells, role)) {
            print_row(out, &cells, role, per_column);
        }
    }
    print_legend(out, cells.label_columns);
    free(cells.cells);
}
