/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file vocabulary_map.h  Which row of the base's embedding each row of the model's is.
 *
 * Three ways, the first that the numbers bear out: rows at the same index; rows of the same token
 * string (of several equal strings in order), and beyond the strings, where padding stands, at the
 * same place behind them; rows of the same bits. The head follows.
 */
#ifndef WEIR_DELTA_VOCABULARY_MAP_H
#define WEIR_DELTA_VOCABULARY_MAP_H

#include "delta/axis_map.h"
#include "tensor/model.h"

typedef enum vocabulary_way {
    VOCABULARY_BY_INDEX,
    VOCABULARY_BY_STRING,
    VOCABULARY_BY_ROW, /**< equal rows */
} vocabulary_way;

typedef struct vocabulary_map {
    bool is_found; /**< the rows are not simply the base's */
    vocabulary_way way;
    axis_map rows;
    uint64_t added;
    uint64_t removed;
    uint64_t moved;         /**< shared, at another index */
    double agreement;       /**< mean cosine of sampled shared rows over the same channels; NaN when
                               there are none to compare */
    uint64_t new_rows;      /**< added rows that were looked at */
    double new_norm;        /**< their median norm, in medians of the old rows'; NaN without any */
    double new_mean_cosine; /**< their median cosine to the mean of the old rows */
    double old_mean_cosine; /**< the old rows' */
    uint64_t new_zero;      /**< of new_rows, those that are zero throughout */
} vocabulary_map;

/**
 * Map the rows of two embeddings.
 *
 * @return WEIR_OK, also when one has no embedding that can be read; WEIR_ERR_IO; WEIR_ERR_NOMEM
 * Cost: a hash of every token string, some hundred rows; of embeddings that are not alike by index
 * or string, every row.
 */
weir_code vocabulary_map_find(vocabulary_map *out, arena *memory, const weir_model *base,
                              const weir_model *model, weir_error *err);

#endif
