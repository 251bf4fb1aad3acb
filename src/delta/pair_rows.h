/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file pair_rows.h  The numbers that two tensors share, row by row, whatever order each side keeps
 * them in.
 */
#ifndef WEIR_DELTA_PAIR_ROWS_H
#define WEIR_DELTA_PAIR_ROWS_H

#include "delta/diff.h"

enum {
    PAIR_SPAN_ELEMENTS = 1 << 22, /**< read at once of a side whose rows are stored as columns */
};

/** Rows and columns that both sides have: those of the map where the row has one. */
uint64_t pair_row_count(const weir_diff *diff, const tensor_delta *row);
uint64_t pair_col_count(const weir_diff *diff, const tensor_delta *row);

/**
 * Read shared rows of both sides as float32.
 *
 * @param[out] base, model  row_count * pair_col_count floats each
 * @param row_begin         of the pair's rows; row_begin + row_count <= pair_row_count
 * @return as tensor_view_read(); WEIR_ERR_NOMEM
 *
 * Cost: rows in another order are read run by run. Where a side stores rows as columns or as packed
 * codes, the whole span between the first and the last wanted row is read, so that few calls for
 * many rows are cheaper than many calls for few.
 */
weir_code pair_rows_read(float *base, float *model, const weir_diff *diff, const tensor_delta *row,
                         uint64_t row_begin, uint64_t row_count, view_scratch *scratch,
                         weir_error *err);

#endif
