/* SPDX-License-Identifier: Apache-2.0 */
#include "report/heat_strip.h"

#include <string.h>

#include "report/heat_grid.h"

static const char *const level_blocks[HEAT_LEVEL_COUNT] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
static const char *const level_letters[HEAT_LEVEL_COUNT] = {"1", "2", "3", "4", "5", "6", "7", "8"};
static const int level_colors[HEAT_LEVEL_COUNT] = {22,  28,  64,  142,
                                                   178, 208, 202, 196}; /* xterm 256 */

static const char *cell_mark(const paint *out, signed char cell) {
    if (cell == HEAT_ABSENT) {
        return " ";
    }
    if (cell == HEAT_EXPLAINED) {
        return out->style.unicode ? "·" : ".";
    }
    return out->style.unicode ? level_blocks[cell - 1] : level_letters[cell - 1];
}

/* A run of equal cells, coloured once. */
static void print_cells(const paint *out, signed char cell, size_t count) {
    const bool is_level = out->style.color && cell > HEAT_EXPLAINED;
    if (is_level) {
        (void)fprintf(out->stream, "\033[38;5;%dm", level_colors[cell - 1]);
    } else if (out->style.color && cell == HEAT_EXPLAINED) {
        (void)fputs("\033[2m", out->stream);
    }
    for (size_t i = 0; i < count; i++) {
        (void)fputs(cell_mark(out, cell), out->stream);
    }
    if (out->style.color && cell != HEAT_ABSENT) {
        (void)fputs("\033[0m", out->stream);
    }
}

static void print_row(const paint *out, const heat_grid *grid, size_t role, int label_columns,
                      size_t per_column) {
    (void)fprintf(out->stream, "%-*s", label_columns, role_words((weir_role)role));
    size_t run = 0;
    signed char last = HEAT_ABSENT;
    for (size_t layer = 0; layer < grid->layers; layer += per_column) {
        const signed char cell = heat_grid_gravest(grid, role, layer, per_column);
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

/* Layer numbers above every tenth column. */
static void print_ruler(const paint *out, const heat_grid *grid, int label_columns,
                        size_t per_column) {
    enum { TICK = 10 };
    paint_text(out, INK_DIM, "%-*s", label_columns, "layer");
    const size_t columns = (grid->layers + per_column - 1) / per_column;
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
    for (int level = 0; level < HEAT_LEVEL_COUNT; level++) {
        print_cells(out, (signed char)(level + 1), 1);
        (void)fprintf(out->stream, " %s%s", heat_level_bounds[level],
                      level + 1 < HEAT_LEVEL_COUNT ? "  " : "\n");
    }
}

static int count_label_columns(const heat_grid *grid) {
    size_t most = strlen("layer");
    for (size_t role = 0; role < WEIR_ROLE_COUNT; role++) {
        const size_t len = heat_grid_has_role(grid, role) ? strlen(role_words((weir_role)role)) : 0;
        most = len > most ? len : most;
    }
    return (int)most + 2;
}

void heat_strip_print(const paint *out, const weir_diff *diff) {
    enum { COLUMNS_MIN = 20 };
    WEIR_CLEANUP(heat_grid_release) heat_grid grid = {0};
    if (!heat_grid_fill(&grid, diff)) {
        *out->is_short = true;
        return;
    }
    if (heat_grid_is_empty(&grid)) {
        return;
    }
    const int label_columns = count_label_columns(&grid);
    const int width = out->style.width > 0 ? out->style.width : 80;
    const int left = width - label_columns;
    const size_t room = left > COLUMNS_MIN ? (size_t)left : COLUMNS_MIN;
    const size_t per_column = (grid.layers + room - 1) / room;
    (void)fputc('\n', out->stream);
    paint_text(out, INK_BOLD, "Where, and how much (size of the change over size of the base)\n");
    print_ruler(out, &grid, label_columns, per_column);
    for (size_t role = 0; role < WEIR_ROLE_COUNT; role++) {
        if (heat_grid_has_role(&grid, role)) {
            print_row(out, &grid, role, label_columns, per_column);
        }
    }
    print_legend(out, label_columns);
}
