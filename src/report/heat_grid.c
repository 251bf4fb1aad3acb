/* SPDX-License-Identifier: Apache-2.0 */
#include "report/heat_grid.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"

static const double level_floors[HEAT_LEVEL_COUNT] = {0,    0.0003, 0.001, 0.003,
                                                      0.01, 0.03,   0.1,   0.3};
const char *const heat_level_bounds[HEAT_LEVEL_COUNT] = {"<0.03%", "<0.1%", "<0.3%", "<1%",
                                                         "<3%",    "<10%",  "<30%",  "30%+"};

static signed char cell_of(const tensor_delta *row) {
    if (tensor_delta_is_explained(row)) {
        return HEAT_EXPLAINED;
    }
    const double change = tensor_delta_rel_norm(row);
    int level = isfinite(change) ? 0 : HEAT_LEVEL_COUNT - 1;
    while (isfinite(change) && level + 1 < HEAT_LEVEL_COUNT && change >= level_floors[level + 1]) {
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

bool heat_grid_fill(heat_grid *out, const weir_diff *diff) {
    heat_grid grid = {.layers = count_layers(diff)};
    grid.cells = checked_alloc(grid.layers + 1, WEIR_ROLE_COUNT);
    if (!grid.cells) {
        return false;
    }
    memset(grid.cells, HEAT_ABSENT, WEIR_ROLE_COUNT * grid.layers);
    for (size_t i = 0; i < diff->tensor_count; i++) {
        const tensor_delta *row = &diff->tensors[i];
        const weir_tensor *tensor = tensor_delta_shown(diff, row);
        if (tensor_delta_is_paired(row) && tensor->layer >= 0 &&
            (size_t)tensor->layer < grid.layers) {
            signed char *cell = &grid.cells[tensor->role * grid.layers + (size_t)tensor->layer];
            const signed char level = cell_of(row);
            *cell = level > *cell ? level : *cell;
        }
    }
    *out = grid;
    return true;
}

signed char heat_grid_cell(const heat_grid *grid, size_t role, size_t layer) {
    return grid->cells[role * grid->layers + layer];
}

signed char heat_grid_gravest(const heat_grid *grid, size_t role, size_t layer, size_t layers) {
    signed char gravest = HEAT_ABSENT;
    for (size_t i = layer; i < layer + layers && i < grid->layers; i++) {
        const signed char cell = heat_grid_cell(grid, role, i);
        gravest = cell > gravest ? cell : gravest;
    }
    return gravest;
}

bool heat_grid_has_role(const heat_grid *grid, size_t role) {
    for (size_t i = 0; i < grid->layers; i++) {
        if (heat_grid_cell(grid, role, i) != HEAT_ABSENT) {
            return true;
        }
    }
    return false;
}

bool heat_grid_is_empty(const heat_grid *grid) {
    for (size_t role = 0; role < WEIR_ROLE_COUNT; role++) {
        if (heat_grid_has_role(grid, role)) {
            return false;
        }
    }
    return true;
}

void heat_grid_release(heat_grid *grid) {
    free(grid->cells);
    *grid = (heat_grid){0};
}
