/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file ablation.h  Whether directions were projected out of what writes to the residual stream.
 *
 * Directional ablation replaces W [outputs, inputs] by W - lambda u u'W, u a unit vector of the
 * residual stream [1]. So the change is of rank one, and more: its row r = u'D along u is
 * -lambda w, w = u'W. That identity alone accuses scaling, SVD compression and zeroed dimensions
 * falsely. `ablated` needs all of
 *     identity  |cos(r, w)| after a common, a row and a column scale are fitted out,
 *     share     of the energy of the change above rounding that -lambda u u'W explains, or an
 *               outlying smallest generalised eigenvalue of (sum X X'/|W|^2, sum W W'/|W|^2),
 *     sharing   of u by the matrices: one for all, a few for all, or one a layer,
 *     innocence of u: no coordinate axis, not the mean of the stream, not a singular vector of W.
 * Everything comes from weights. Directions stay inside this file's callees: results hold numbers.
 *
 * [1] Arditi et al. 2024, Refusal in language models is mediated by a single direction, section 4.
 */
#ifndef WEIR_DELTA_ABLATION_H
#define WEIR_DELTA_ABLATION_H

#include "delta/diff.h"
#include "delta/matrix_look.h"
#include "delta/residual_writes.h"

enum {
    ABLATION_DIRECTIONS_MAX = 4,
};

typedef enum ablation_answer {
    ABLATION_NO,            /**< measured, and not all of the conjunction holds */
    ABLATION_YES,           /**< all of it holds */
    ABLATION_CANNOT_DECIDE, /**< too few matrices, too narrow a stream, or nothing above rounding */
} ablation_answer;

typedef enum ablation_scope {
    ABLATION_SCOPE_NONE,
    ABLATION_SCOPE_GLOBAL,    /**< the same directions in every matrix */
    ABLATION_SCOPE_PER_LAYER, /**< one direction in the matrices of a layer */
} ablation_scope;

/** One write matrix under the scope that explains it best. */
typedef struct ablation_matrix {
    size_t row;      /**< of diff->tensors */
    double change;   /**< energy of the change less the fitted scales, over that of the base */
    double noise;    /**< of it, what rounding explains; NaN when the dtypes do not tell */
    double share;    /**< of change - noise that the ablation explains */
    double identity; /**< |cos(r, w)| */
    double lambda;   /**< strength; of several directions, the mean */
    double own;     /**< |cos(W W'v, v)| of the matrix's own strongest direction v: 1 when that is a
                       singular vector of W */
    bool is_edited; /**< its change stands above rounding and shows the direction */
} ablation_matrix;

/** Zero-initialise; release with ablation_verdict_release(). */
typedef struct ablation_verdict {
    ablation_answer answer;
    ablation_scope scope;
    size_t directions;  /**< 1 to ABLATION_DIRECTIONS_MAX; of one layer when per layer */
    bool by_row_norms;  /**< projected out of W with its rows normalised */
    bool by_eigenvalue; /**< found by the smallest generalised eigenvalue, not by the share */
    const char *why;    /**< a static sentence: what decided, or what is missing */
    ablation_matrix *matrices;
    size_t matrix_count;
    size_t edited_count;
    double identity;        /**< pooled over the edited matrices */
    double share;           /**< pooled over all write matrices */
    double axis;            /**< median: energy of the k directions on k + 2 coordinates */
    double mean;            /**< median of |u'1| / sqrt(width): 1 for centring */
    double own;             /**< median over edited matrices */
    double eigen_ratio;     /**< smallest generalised eigenvalue over the second; NaN unmeasured */
    double eigen_in_change; /**< of that direction, what lies among the change's strongest ones */
} ablation_verdict;

/**
 * Whether a changed matrix is worth the whole test: three directions hold much of its change
 * above rounding. Cheap, on a sample of rows; says nothing alone.
 *
 * @return WEIR_OK; WEIR_ERR_NOMEM
 */
weir_code ablation_suspect(bool *out, const matrix_look *look, weir_error *err);

/**
 * Measure all compared write matrices of a pair, and decide.
 *
 * Call it when a few write matrices are suspected. Each write matrix is read twice; when the shares
 * alone do not decide, once more for the eigenvalues, and once more when these show something.
 *
 * @param[out] out  zero-initialised; release with ablation_verdict_release()
 * @param threads   at least 1; each takes 3 arrays of WRITES_ELEMENTS floats (48 MiB)
 * @return WEIR_OK; WEIR_ERR_IO; WEIR_ERR_NOMEM
 *
 * The same numbers for any count of threads.
 */
weir_code ablation_examine(ablation_verdict *out, const weir_diff *diff, unsigned threads,
                           weir_error *err);

void ablation_verdict_release(ablation_verdict *verdict);
static inline void ablation_verdict_release_cleanup(ablation_verdict *verdict) {
    ablation_verdict_release(verdict);
}

#endif
