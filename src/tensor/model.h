/* SPDX-License-Identifier: Apache-2.0 */
/** @file model.h  weir/model.h from inside: views of stored tensors, and how to read them. */
#ifndef WEIR_TENSOR_MODEL_H
#define WEIR_TENSOR_MODEL_H

#include "base/cleanup.h"
#include "format/checkpoint.h"
#include "tensor/packed.h"
#include "weir/model.h"

WEIR_DEFINE_CLEANUP(weir_model *, weir_model_free)

/**
 * Where a canonical tensor's numbers stand. The canonical array is [rows, cols]. Stored row s(r) of
 * canonical row r, in a stored array of rows of `cols` elements that begins at first_element:
 *     straight: row_begin + r
 *     strided:  row_begin + (r / group_rows) * group_stride + r % group_rows  (fused qkv by head)
 *     rope:     row_begin + the permutation of llama.cpp's converter inside each head of head_rows:
 *               h head_rows + p head_rows / 2 + j  stands at  h head_rows + 2 j + p  (p is 0 or 1)
 * transposed: the stored array is [cols, stored_cols] and canonical row r is its column s(r).
 * by_element: a vector (rows is 1) whose element c is stored element s(c).
 * packed: the stored array is the matrix that `packed` stands for; `stored` is its codes, and the
 * dtype of the view is theirs.
 */
typedef struct tensor_view {
    weir_tensor base;
    const stored_tensor *stored;
    weir_source *source;
    uint64_t
        first_element; /**< elements of the stored tensor before its first one (experts stacked) */
    uint64_t row_begin;
    uint64_t group_rows; /**< 0: not strided */
    uint64_t group_stride;
    uint64_t head_rows;   /**< 0: not permuted */
    uint64_t stored_cols; /**< of the stored array when transposed */
    bool transposed;
    bool by_element; /**< implies strided or rope; a straight vector is an ordinary row */
    float offset;    /**< added to every number read (Gemma in GGUF: -1) */
    const packed_tensor *packed; /**< NULL: the stored numbers are the numbers */
} tensor_view;

/**
 * Make a model of what was read. The layouts of docs/roles.md are applied; what does not fit them
 * keeps its stored name and an unknown role.
 *
 * @param[out] out  release with weir_model_free(); untouched on failure
 * @param taken     owned by the model from now on, also on failure
 * @param release   frees `taken`; NULL when the caller keeps it for longer than the model
 * @param options   NULL for defaults
 * @return WEIR_OK; WEIR_ERR_LIMIT for more than TENSOR_COUNT_MAX views; WEIR_ERR_NOMEM
 */
weir_code model_from_checkpoint(weir_model **out, checkpoint *taken, void (*release)(checkpoint *),
                                const weir_model_options *options, weir_findings *findings,
                                weir_error *err);

/**
 * Open a model whose weights are to be read. Malformed weights are no ground for a measurement.
 *
 * @param[out] model     release with weir_model_free(); may be set on failure
 * @param[out] findings  release with weir_findings_free(); may be set on failure
 * @return as weir_model_open(); WEIR_ERR_FORMAT for malformed weights; WEIR_ERR_UNSUPPORTED without
 * any
 */
weir_code model_open_weights(weir_model **model, weir_findings **findings, const char *path,
                             const weir_model_options *options, weir_error *err);

const checkpoint *model_checkpoint(const weir_model *model);
const tensor_view *model_view(const weir_model *model, size_t index);

/**
 * Add up the numbers of all tensors by the dtype that stores them. A packed weight counts for what
 * it stands for, under the dtype of its codes; its scales and tables count for nothing.
 * @param[out] by_dtype  WEIR_DTYPE_COUNT counts
 * @return WEIR_OK; WEIR_ERR_NOMEM
 */
weir_code model_count_parameters(const weir_model *model, uint64_t *by_dtype, weir_error *err);

/** Find a canonical tensor by name. @return false when there is none. */
bool model_find(const weir_model *model, const char *name, size_t *index);

/** Whether the model has no head of its own and uses the embedding for it. */
bool model_head_is_tied(const weir_model *model);

/** Whether canonical rows are stored rows, in order, in one range, unchanged: what the fast paths
 * need. */
bool tensor_view_is_plain(const tensor_view *view);

/**
 * Whether two views of equal shape order their numbers alike, so that stored numbers can be
 * compared in stored order. True for two plain views, and for two whole rope-permuted tensors with
 * heads of equal size.
 */
bool tensor_view_same_order(const tensor_view *a, const tensor_view *b);

/** Stored row (of a view by elements: stored element) s(r) of canonical row r, before which
 * first_element numbers of the stored tensor stand. */
uint64_t tensor_view_place(const tensor_view *view, uint64_t r);

/** Stored bytes that `elements` numbers of a view take; of a packed one, those of its codes. */
uint64_t tensor_view_bytes(const tensor_view *view, uint64_t elements);

/** Byte range of the rows of a plain view, or of all rows of a rope-permuted one. */
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
static inline void view_scratch_release_cleanup(view_scratch *scratch) {
    view_scratch_release(scratch);
}

#endif
