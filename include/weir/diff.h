/* SPDX-License-Identifier: Apache-2.0 */
/** @file diff.h  What was modified between a base and a model, tensor by tensor and file by file.
 */
#ifndef WEIR_DIFF_H
#define WEIR_DIFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/error.h"
#include "weir/finding.h"
#include "weir/model.h"
#include "weir/progress.h"
#include "weir/relation.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Kinds of modification. What weir cannot name is UNKNOWN, with its statistics. */
typedef enum weir_change_class {
    WEIR_CHANGE_IDENTICAL,
    WEIR_CHANGE_REPACKAGED,
    WEIR_CHANGE_CAST,
    WEIR_CHANGE_QUANTISED,
    WEIR_CHANGE_PRUNED,            /**< numbers set to zero */
    WEIR_CHANGE_DEPTH,             /**< layers dropped, reordered or taken elsewhere */
    WEIR_CHANGE_LAYERS_DUPLICATED, /**< layers that stand in the model more than once */
    WEIR_CHANGE_WIDTH,             /**< units, heads or channels left out or added */
    WEIR_CHANGE_VOCABULARY,        /**< rows of the embedding added, removed or reordered */
    WEIR_CHANGE_PERMUTED,          /**< units, heads or channels in another order */
    WEIR_CHANGE_ROTATED,           /**< another basis of the residual stream */
    WEIR_CHANGE_MERGED,            /**< computed from two models or more */
    WEIR_CHANGE_LOW_RANK,
    WEIR_CHANGE_SCALED,  /**< multiplied: all, row by row or column by column */
    WEIR_CHANGE_ABLATED, /**< directions projected out of what writes to the residual stream */
    WEIR_CHANGE_PARTIAL,
    WEIR_CHANGE_FULL_RANK, /**< trained: fine-tuning, continued pretraining, preference tuning */
    WEIR_CHANGE_PERTURBED, /**< noise */
    WEIR_CHANGE_EXPERTS,   /**< experts or their router */
    WEIR_CHANGE_TEMPLATE,
    WEIR_CHANGE_TOKENIZER,
    WEIR_CHANGE_CONFIG,
    WEIR_CHANGE_CODE,
    WEIR_CHANGE_UNKNOWN,
} weir_change_class;

typedef struct weir_diff weir_diff;

enum { WEIR_DIFF_PARENTS_MAX = 32 };

typedef struct weir_diff_options {
    const char *name; /**< how results call the model; NULL for the last path component */
    const weir_callbacks *callbacks; /**< NULL for none */
    unsigned jobs;                   /**< threads; 0 for one per core */
    bool lenient;                    /**< accept what the reference libraries accept */
    bool digest;                     /**< hash the model's files in the same pass */
    /** Other models or adapters that may have gone into the model: files or folders. NULL in the
     * place of a path: known, but not at hand. */
    const char *const *parents;
    const char *const *parent_names; /**< how results call them; NULL for their last components */
    size_t parent_count;             /**< at most WEIR_DIFF_PARENTS_MAX */
} weir_diff_options;
#define WEIR_DIFF_OPTIONS_INIT                                                                     \
    { 0 }

/**
 * Compare two models. Tensors are matched by role, across containers and dtypes; each matched pair
 * is read once. An adapter as the model is compared as what it adds to the base.
 *
 * @param[out] out    release with weir_diff_free(); untouched on failure
 * @param base_path   the upstream: file or folder
 * @param model_path  the downstream: file, folder or adapter
 * @param options     NULL for defaults
 * @return WEIR_OK, also when nothing aligns (relation NO_LINK or CANNOT_DECIDE);
 *         WEIR_ERR_UNSUPPORTED when either side holds no weights or the base is an adapter;
 * WEIR_ERR_FORMAT when either side's weights are malformed; WEIR_ERR_LIMIT for too many parents;
 * WEIR_ERR_IO; WEIR_ERR_CANCELLED; WEIR_ERR_NOMEM. A parent that cannot be used is left out, and
 * the result says why.
 *
 * Cost: one sequential read of both, memory bounded whatever the models' size. The result is the
 * same bytes for any number of threads.
 */
WEIR_API weir_code weir_diff_run(weir_diff **out, const char *base_path, const char *model_path,
                                 const weir_diff_options *options, weir_error *err);

WEIR_API weir_relation weir_diff_relation(const weir_diff *diff);
WEIR_API weir_grade weir_diff_grade(const weir_diff *diff);
/** @return whether a weight, template, tokenizer, config or code difference was found. */
WEIR_API bool weir_diff_has_changes(const weir_diff *diff);
/** @return whether every part of both models could be read: none is malformed. */
WEIR_API bool weir_diff_is_whole(const weir_diff *diff);
/** NULL is a no-op. */
WEIR_API void weir_diff_free(weir_diff *diff);

/** @return "identical", "repackaged", "cast", "quantised", "template_changed" ... */
WEIR_API const char *weir_change_class_name(weir_change_class change_class);

#ifdef __cplusplus
}
#endif
#endif
