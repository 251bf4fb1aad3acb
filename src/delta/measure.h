/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file measure.h  One piece of one pair of tensors: read, convert, measure, re-derive.
 *
 * A piece belongs to one thread until it is merged. A pair is shared by the threads that measure
 * its pieces; only its atomic member changes.
 */
#ifndef WEIR_DELTA_MEASURE_H
#define WEIR_DELTA_MEASURE_H

#include <stdatomic.h>

#include "delta/diff.h"

enum {
    PIECE_ELEMENTS = 1 << 16,
    ROW_ELEMENTS_MAX = 1 << 20, /**< a row that is read whole must fit here */
    PIECE_BYTES_MAX = PIECE_ELEMENTS * 8,
};

/** What one thread works with. */
typedef struct worker {
    float *base;
    float *model;
    float *replay;
    unsigned char *stored; /**< bytes of a re-derivation */
    unsigned char *base_bytes;
    unsigned char *model_bytes;
    view_scratch scratch;
} worker;

/** Make room for pieces of `elements` numbers. On failure, worker_release() frees what there is. */
weir_code worker_init(worker *work, size_t elements, weir_error *err);
void worker_release(worker *work);

typedef struct pair_job {
    const weir_diff *diff;
    tensor_delta *row;
    const tensor_view *base;
    const tensor_view *model;
    weir_dtype base_dtype;
    weir_dtype model_dtype;
    bool is_packed; /* a side is codes that other tensors scale */
    bool is_flat;   /* both sides store the same order in one range */
    bool is_replayable;
    bool is_reversible; /* the base's dtype can be re-derived too, and would say which came first */
    atomic_bool is_one_way; /* set by the first piece that is not reversed: the rest need not try */
    uint64_t cols;          /* of what both sides share */
    uint64_t elements;
    uint64_t base_offset;
    uint64_t model_offset;
    uint64_t piece_elements; /* flat: PIECE_ELEMENTS; else whole rows */
} pair_job;

typedef struct piece {
    pair_job *job;
    uint64_t first; /* element of the pair */
    size_t count;
    bool is_done;
    pair_stats stats;
    bool bits_equal;
    bool is_varied; /* of the first piece of a pair */
    uint64_t replayed;
    bool is_reversed;
    double rounding_dd;
    weir_code code;
    weir_error err;
} piece;

/** How the two tensors of a row are compared. The row's state is TENSOR_COMPARED. */
pair_job pair_job_of(weir_diff *diff, tensor_delta *row);

/** Whether weir can read the numbers of both; otherwise their bytes are all there is. */
bool pair_job_is_readable(const pair_job *job);

/** Name the change of a pair whose pieces are all merged. */
void pair_job_classify(const pair_job *job);

/**
 * Measure a piece whose job, first and count are set; `code` and `err` say how it went.
 * @param kept  PIECE_BYTES_MAX bytes that receive the model's stored bytes of a flat piece, or NULL
 */
void piece_measure(piece *out, worker *work, unsigned char *kept);

/** Bytes of whole blocks of a dtype. */
uint64_t stored_bytes(weir_dtype dtype, uint64_t elements);

#endif
