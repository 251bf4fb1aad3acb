/* SPDX-License-Identifier: Apache-2.0 */
/** @file model.h  weir/model.h from inside: views of stored tensors, and how to read them. */
#ifndef WEIR_TENSOR_MODEL_H
#define WEIR_TENSOR_MODEL_H

#include "base/cleanup.h"
#include "format/checkpoint.h"
#include "weir/model.h"

WEIR_DEFINE_CLEANUP(weir_model *, weir_model_free)

/**
 * Where a canonical tensor's numbers stand. The canonical array is [rows, cols]. Stored row of canonical
 * row r, in a stored array of rows of `cols` elements:
 *     straight: row_begin + r
 *     strided:  row_begin + (r / group_rows) * group_stride + r % group_rows  (fused qkv by head)
 *     rope:     row_begin + the permutation of llama.cpp's converter inside each head of head_rows
 * transposed: the stored array is [cols, stored_cols] and canonical row r is its column row_begin + r.
 */
typedef struct tensor_view {
    weir_tensor base;
    const stored_tensor *stored;
    weir_source *source;
    uint64_t first_element;   /**< elements of the stored tensor before its first one (experts stacked) */
    uint64_t row_begin;
    uint64_t group_rows;      /**< 0: not strided */
    uint64_t group_stride;
    uint64_t head_rows;       /**< 0: not permuted */
    uint64_t stored_cols;     /**< of the stored array when transposed */
    bool transposed;
    float offset;             /**< added to every number read (Gemma in GGUF: -1) */
} tensor_view;

const checkpoint *model_checkpoint(const weir_model *model);
const tensor_view *model_view(const weir_model *model, size_t index);

/** Find a canonical tensor by name. @return false when there is none. */
bool model_find(const weir_model *model, const char *name, size_t *index);

/** Whether canonical rows are stored rows, in order, in one range: what the fast paths need. */
bool tensor_view_is_plain(const tensor_view *view);

/** Whether two views order their numbers alike, so that stored bytes can be compared in stored order. */
bool tensor_view_same_order(const tensor_view *a, const tensor_view *b);

/** Byte range of the rows of a plain view. */
void tensor_view_range(const tensor_view *view, uint64_t row_begin, uint64_t row_count,
                       uint64_t *offset, uint64_t *bytes);

/** weir_model_read_rows on a view; `scratch` is a reusable buffer of the caller's thread. */
typedef struct view_scratch {
    unsigned char *data;
    size_t capacity;
} view_scratch;
weir_code tensor_view_read(const tensor_view *view, uint64_t row_begin, uint64_t row_count,
                           float *out, view_scratch *scratch, weir_error *err);
void view_scratch_release(view_scratch *scratch);

#endif
