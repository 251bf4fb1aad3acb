/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file number_grid.h  Which numbers a quantised block can hold: the levels of its type, times a
 * scale, plus an offset.
 *
 *     number = scale * level + offset
 *
 * Scale and offset are the block's own, as the file has them. Numbers of some types (IQ1, IQ2, IQ3)
 * are chosen several at a time out of a list of rows, so that not every combination of levels
 * exists: there `spread` is the side of the room that one row of the list has to itself, in gaps
 * between levels: (combinations / rows)^(1 / numbers of a row).
 *
 * Source: the layouts and formulas of kernel/read_blocks.h, read_k.h, read_small.h, read_iq.h.
 */
#ifndef WEIR_KERNEL_NUMBER_GRID_H
#define WEIR_KERNEL_NUMBER_GRID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/dtype.h"

typedef struct number_grid {
    const float *levels; /**< ascending, distinct, finite; borrowed */
    size_t level_count;  /**< at least 2 */
    size_t group;        /**< consecutive numbers that share a scale; 0: none do */
    float spread;        /**< 1 where each number is coded on its own */
    float slack; /**< share of a number by which the borders between codes are unsure: encoders work
                    with a scale, or a quotient, that is finer than what is stored */
} number_grid;

/** The levels of whole numbers from `low` to `high`, -128 <= low < high <= 255. */
number_grid number_grid_whole(int low, int high);

/** The levels of a block dtype. @return false for other dtypes */
bool number_grid_of(number_grid *out, weir_dtype dtype);

/**
 * Scale and offset of every number of some blocks.
 *
 * @param[out] scale, offset  `count` floats each; a scale of 0 means that the codes say nothing
 * @param dtype   one that number_grid_of() knows
 * @param stored  as in convert_to_f32()
 */
void number_grid_read(float *scale, float *offset, weir_dtype dtype, const void *stored,
                      size_t count);

/**
 * What the cells of some codes say of numbers that may have been rounded to them. A cell is what is
 * nearer to a code's number than to that of any other; those at the ends have no outer bound.
 */
typedef struct cell_stats {
    uint64_t count;    /**< numbers that were held against a cell */
    uint64_t mute;     /**< not counted: a scale of 0, or something that is not finite */
    uint64_t equal;    /**< inside: coded anew with the block's own scale, they get that code */
    uint64_t strict;   /**< inside without the slack */
    uint64_t one_step; /**< of groups that one factor of their scale puts inside, all of them; it
                          lies between 1 / CELL_FACTOR_MOST and CELL_FACTOR_MOST */
    uint64_t near;     /**< at most `reach` gaps from the code's number, past the ends too */
    double residual_square; /**< sum of (code's number - number)^2 */
    double residual_base;   /**< sum of (code's number - number) number */
    double base_square;
    double expected_square; /**< sum of residual^2 for numbers that lie evenly in their cells */
    double flips; /**< sum of 1 / (2 h) over numbers within h, a sixteenth of a gap, of a border: a
                     change of mean size e makes e * flips of the numbers leave, for a small e */
} cell_stats;

#define CELL_FACTOR_MOST 1.3F

/**
 * Hold numbers against the cells of their codes and add to `sum`.
 *
 * A number at a border belongs to both sides; so does one that is nearer to it than grid->slack
 * times its own size.
 *
 * @param base    `count` numbers that may have been quantised
 * @param model   the numbers of the codes
 * @param count   a multiple of grid->group, where that is not 0
 */
void cell_stats_add(cell_stats *sum, const number_grid *grid, const float *base, const float *model,
                    const float *scale, const float *offset, size_t count, float reach);

/** Mean square of what rounding to cells leaves: numbers spread evenly over the cells of `model`.
 */
double cell_noise(const number_grid *grid, const float *model, const float *scale,
                  const float *offset, size_t count);

#endif
