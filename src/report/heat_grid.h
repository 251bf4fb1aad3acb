/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file heat_grid.h  Where the change is, as a grid of levels: one row a role, one column a layer.
 *
 * A cell is the relative change of the tensors of one role in one layer (the largest, where there
 * are several: experts, biases). A tensor that the base explains bit for bit, as it is or
 * re-encoded, is explained, whatever rounding moved. Levels are ours, in steps of about three.
 */
#ifndef WEIR_REPORT_HEAT_GRID_H
#define WEIR_REPORT_HEAT_GRID_H

#include "delta/diff.h"

enum { HEAT_LEVEL_COUNT = 8, HEAT_ABSENT = -1, HEAT_EXPLAINED = 0 };

/** Least change of each level; "<0.03%", "<0.1%" ... "30%+". */
extern const char *const heat_level_bounds[HEAT_LEVEL_COUNT];

/** Release with heat_grid_release(). */
typedef struct heat_grid {
    size_t layers;
    signed char *cells; /**< [role][layer]: HEAT_ABSENT, HEAT_EXPLAINED, or level + 1 */
} heat_grid;

/** @return false without memory. A model without layers leaves a grid without cells. */
bool heat_grid_fill(heat_grid *out, const weir_diff *diff);
signed char heat_grid_cell(const heat_grid *grid, size_t role, size_t layer);
/** The gravest cell of `layers` layers from `layer` on, where several share a column. */
signed char heat_grid_gravest(const heat_grid *grid, size_t role, size_t layer, size_t layers);
/** Whether a role has a cell in any layer. */
bool heat_grid_has_role(const heat_grid *grid, size_t role);
bool heat_grid_is_empty(const heat_grid *grid);
void heat_grid_release(heat_grid *grid);
static inline void heat_grid_release_cleanup(heat_grid *grid) {
    heat_grid_release(grid);
}

#endif
