/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file merge.h  Whether a model was computed from its base and given parents, by which method and
 * with which coefficients.
 *
 * With base B, parents X_i and task vectors T_i = X_i - B, the methods of mergekit [1] are
 * re-computed in their own arithmetic and compared number by number:
 *     linear           sum w_i X_i, over sum w_i when normalised
 *     slerp, nuslerp   s_0 X_0 + s_1 X_1, the angle from the parents; linear at small angles
 *     task_arithmetic  B + lambda sum w_i T_i
 *     ties             T_i reduced to its largest share, one sign elected for every number
 *     ...
 * How it is used: diff_examine() calls merge_decide() once the pairs are compared. Rows that the
 * recipe explains get change = WEIR_CHANGE_MERGED; the onion's layer is told from diff->merge.
 * A merge is claimed only when nothing but rounding (or the quantiser's noise) is left. The null:
 * the model is one relative and changes of its own; then numbers that moved by more than their
 * rounding do not follow any sum of given models, and most of them are not re-computed.
 *
 * [1] arcee-ai/mergekit, merge_methods.
 */
#ifndef WEIR_DELTA_MERGE_H
#define WEIR_DELTA_MERGE_H

#include "delta/diff.h"

enum { MERGE_PARENTS_MAX = 8 };

typedef enum merge_method {
    MERGE_NONE,        /**< no parent is near, or the base alone explains the model */
    MERGE_NEAREST,     /**< one parent is nearest; the rest is the model's own: no merge */
    MERGE_COPY,        /**< all numbers are one parent's */
    MERGE_UNKNOWN,     /**< several parents contribute, but no method leaves nothing */
    MERGE_PASSTHROUGH, /**< whole tensors, each from one parent or the base */
    MERGE_MOSAIC,      /**< every number is one of the sources' own */
    MERGE_LINEAR, /**< weighted sum; of two parents at small angle slerp gives the same numbers */
    MERGE_SLERP,
    MERGE_NUSLERP,
    MERGE_TASK_ARITHMETIC,
    MERGE_TIES,
    MERGE_BREADCRUMBS,
    MERGE_BREADCRUMBS_TIES,
    MERGE_DARE, /**< random numbers left out, dare or della: atoms, no replay */
    MERGE_MODEL_STOCK,
    MERGE_SCE,
    MERGE_KARCHER,
    MERGE_MULTISLERP,
    MERGE_NEARSWAP,
    MERGE_RAM,
    MERGE_RAM_PLUS,
} merge_method;

/** One source of the merge. */
typedef struct merge_parent {
    ptrdiff_t parent; /**< of diff->parents, or VIEW_NONE for the base */
    double weight;    /**< the same for all tensors; NaN when it differs */
    double error;     /**< half a 95% interval; 0 where a replay proves the weight; NaN unknown */
    double density;   /**< of sparse methods; NaN else */
    double *by_layer; /**< layer_count weights, over the numbers of a layer's tensors; NaN without
                         any; NULL when all tensors have `weight` */
    size_t tensors;   /**< passthrough: taken from it */
} merge_parent;

/** What is told of one row of diff->tensors. */
typedef struct merge_row {
    bool is_fitted;    /**< some parent differs from the base here */
    bool is_explained; /**< nothing but rounding is left; change is WEIR_CHANGE_MERGED */
    bool is_proved;    /**< re-computed, THRESHOLD_REPLAY_PROVED of the numbers bit for bit */
    double weights[MERGE_PARENTS_MAX]; /**< of merge_finding.parents, in that order */
    double scale;                      /**< of the base, beyond 1 - sum of weights; 0 for most */
    uint64_t replayed;                 /**< numbers re-computed bit for bit */
    uint64_t replayed_of;              /**< numbers read for that; 0: not tried */
    double rest;          /**< unexplained squared norm over that of the change; NaN unknown */
    ptrdiff_t source;     /**< passthrough: index into merge_finding.parents, or VIEW_NONE */
    int32_t source_layer; /**< passthrough: of the source; -1 outside the layers */
} merge_row;

typedef struct merge_finding {
    merge_method method;
    weir_grade grade;
    merge_parent parents[MERGE_PARENTS_MAX];
    size_t parent_count;
    double lambda; /**< task arithmetic and its kin; 1 where it cannot be told from weights */
    bool is_normalised;
    weir_dtype computed; /**< the dtype whose arithmetic re-computes the numbers */
    uint64_t replayed;   /**< over the rows that were tried */
    uint64_t replayed_of;
    double rest;         /**< unexplained squared norm over that of the change, all rows */
    merge_row *rows;     /**< by row of diff->tensors */
    uint64_t tensors;    /**< explained */
    uint64_t tensors_of; /**< that changed and that some parent has */
    int32_t layer_count; /**< of merge_parent.by_layer */
    const char *claimed; /**< what the card or mergekit_config.yml says, or NULL */
    const char *detail;  /**< a sentence for a person */
} merge_finding;

/**
 * Decide, from diff->parents; fills diff->merge and the class of rows that the merge explains.
 *
 * @return WEIR_OK, also when nothing is found; WEIR_ERR_IO; WEIR_ERR_CANCELLED; WEIR_ERR_NOMEM
 *
 * Cost: a sample of rows of every side; then, for a recipe that fits the sample, one read of the
 * rows of the model, the base and the parents in the recipe (two where a method ranks numbers).
 * The result is the same for any number of threads.
 */
weir_code merge_decide(weir_diff *diff, const weir_diff_options *options, weir_error *err);

/** @return "linear", "ties" ...; "none", "nearest", "copy", "unknown". */
const char *merge_method_name(merge_method method);

#endif
