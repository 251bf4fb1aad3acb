/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file ablation_evidence.h  What is measured of the write matrices, and the decision from it.
 *
 * Each matrix is fitted under several candidates (one direction for all, a few for all, one for
 * its layer) and in two forms (as it is, and with its rows normalised, as tools that keep row norms
 * project). Numbers only; the directions are gone when the decision is made.
 */
#ifndef WEIR_DELTA_ABLATION_EVIDENCE_H
#define WEIR_DELTA_ABLATION_EVIDENCE_H

#include "delta/ablation.h"
#include "delta/ablation_fit.h"

typedef enum ablation_form {
    ABLATION_FORM_PLAIN,
    ABLATION_FORM_ROW_NORMS,
    ABLATION_FORM_COUNT,
} ablation_form;

typedef enum ablation_candidate {
    ABLATION_CANDIDATE_ONE,
    ABLATION_CANDIDATE_FEW,
    ABLATION_CANDIDATE_LAYER,
    ABLATION_CANDIDATE_EIGEN, /**< the direction of ablation_eigen.h, in the plain form */
    ABLATION_CANDIDATE_COUNT,
} ablation_candidate;

/** Of one write matrix. */
typedef struct ablation_evidence {
    size_t row; /**< of diff->tensors */
    int32_t layer;
    size_t count; /**< vectors at hand */
    size_t width;
    double rounding[ABLATION_FORM_COUNT]; /**< sum over the numbers at hand; NaN unknown */
    bool is_rounding_exact; /**< a float dtype's; that of blocks is a few per cent off */
    double structured[ABLATION_FORM_COUNT]; /**< energy of the change's own strongest directions
                                               above the edge of noise */
    double own[ABLATION_FORM_COUNT];        /**< of the strongest one: |cos(W W'u, u)| */
    ablation_fit fits[ABLATION_FORM_COUNT]
                     [ABLATION_CANDIDATE_COUNT]; /**< base_square is 0 where
                                                    the candidate is not there */
} ablation_evidence;

typedef struct ablation_pool {
    ablation_evidence *items;
    size_t count;
    size_t directions[ABLATION_FORM_COUNT][ABLATION_CANDIDATE_COUNT]; /**< of one matrix; 0: no such
                                                                         candidate */
    double eigen_ratio;                                               /**< NaN: unmeasured */
    double eigen_axis; /**< of the vector of the smallest */
    double eigen_mean;
    double eigen_own;
    double eigen_in_change; /**< share of it in the change's strongest directions */
} ablation_pool;

/**
 * Decide. out->matrices has room for pool->count.
 *
 * One direction for all wins when it passes all tests; else of the others that pass, the one with
 * the larger share. When none does, the figures are those of the candidate with the largest share.
 *
 * @return WEIR_OK; WEIR_ERR_NOMEM
 */
weir_code ablation_decide(ablation_verdict *out, const ablation_pool *pool, weir_error *err);

#endif
