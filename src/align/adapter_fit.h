/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file adapter_fit.h  Whether a LoRA adapter was made for the base that it names: by shapes, and
 * by what training left in it of the base's residual stream.
 */
#ifndef WEIR_ALIGN_ADAPTER_FIT_H
#define WEIR_ALIGN_ADAPTER_FIT_H

#include <stdbool.h>
#include <stddef.h>

#include "tensor/model.h"

enum { ADAPTER_PERMUTATIONS = 9999 };

typedef enum adapter_verdict {
    ADAPTER_CLAIMED, /**< nothing speaks against the base, and nothing but the claim for it */
    ADAPTER_FITS,    /**< trained on this base or on a relative that shares its residual basis */
    ADAPTER_CONTRADICTED, /**< the base lacks a module that the adapter changes, or has it in
                             another shape */
} adapter_verdict;

typedef struct adapter_fit {
    adapter_verdict verdict;
    size_t modules;            /**< that the adapter changes */
    size_t fitting;            /**< of them, those that the base has in a fitting shape */
    char first_unfitting[160]; /**< of what contradicts, as stored and printable; or "" */
    bool is_tested;      /**< false: nothing of the adapter meets the residual stream, or the base's
                            numbers cannot be read; p is 1 */
    double p;            /**< at least 1 / (1 + ADAPTER_PERMUTATIONS) */
    size_t columns;      /**< residual dimensions that were compared */
    size_t adapter_rows; /**< vectors of the adapter in them */
    size_t base_rows;    /**< and of the base */
} adapter_fit;

typedef struct adapter_fit_options {
    unsigned jobs; /**< threads; 0 for one per core; the result is the same */
} adapter_fit_options;

/**
 * Compare an adapter with a base.
 *
 * Let C[i,j] tell how residual dimensions i and j go together in the adapter: the cosine of columns
 * i and j of A, over all modules that read the residual stream (q, k, v, gate, up), plus the cosine
 * of rows i and j of B, over all that write to it (o, down). Let M be the same of the base: cosines
 * of columns of the embedding, plus those of q, k, v, gate and up. Each is taken less its mean and
 * in standard deviations. The statistic is the sum over j < i of C[i,j] M[i,j]; p is the share of
 * random orders of the dimensions for which it is as large.
 *
 * H0: the adapter was not trained on this base, nor on a model that shares its residual basis. Then
 * the order of the residual dimensions of one says nothing about the other's, because
 * initialisation and training know no order of them. The p-value is valid for any number of rows.
 * It is not where an architecture itself tells dimensions apart by index: position embeddings of
 * fixed sines added to the stream, or one and the same fixed rotation written into both. Dimensions
 * that are zero throughout (padding) are left out.
 *
 * @param options  NULL for defaults
 * @return WEIR_OK; WEIR_ERR_ARG when the first model is no adapter; WEIR_ERR_IO; WEIR_ERR_LIMIT;
 * WEIR_ERR_NOMEM
 *
 * Cost: the adapter, and about 4,000 rows of the base; under a second of one core beyond reading.
 */
weir_code adapter_fit_test(adapter_fit *out, const weir_model *from, const weir_model *base,
                           const adapter_fit_options *options, weir_error *err);

#endif
