/* SPDX-License-Identifier: Apache-2.0 */
/** @file diff.h  weir/diff.h from inside: what the passes of delta/ fill, and what reports read. */
#ifndef WEIR_DELTA_DIFF_H
#define WEIR_DELTA_DIFF_H

#include "base/arena.h"
#include "base/cleanup.h"
#include "io/digest.h"
#include "kernel/pair_stats.h"
#include "tensor/model.h"
#include "weir/diff.h"

WEIR_DEFINE_CLEANUP(weir_diff *, weir_diff_free)

enum { VIEW_NONE = -1 };

/** How a canonical tensor of one side found its partner on the other. */
typedef enum tensor_state {
    TENSOR_COMPARED, /**< same role and shape on both sides, every number read */
    TENSOR_OPAQUE, /**< same role and shape, but the numbers cannot be read: bytes were compared */
    TENSOR_RESHAPED, /**< same role, another shape, and no map says what they share */
    TENSOR_ADDED,    /**< only in the model */
    TENSOR_REMOVED,  /**< only in the base */
} tensor_state;

/**
 * What two tensors share when they do not hold the same rows and columns in one order.
 *
 * Shared row i is row base_rows[i] of the base and row model_rows[i] of the model; a list that is
 * NULL stands for 0, 1, 2 ... Columns likewise. The base's numbers are multiplied by the signs
 * before they are compared. Lists belong to diff->memory; several tensors share them.
 */
typedef struct pair_map {
    uint64_t rows; /**< shared */
    uint64_t cols;
    const uint32_t *base_rows; /**< [rows] */
    const uint32_t *model_rows;
    const uint32_t *base_cols; /**< [cols] */
    const uint32_t *model_cols;
    const int8_t *row_signs; /**< [rows], 1 or -1; NULL for 1 */
    const int8_t *col_signs; /**< [cols] */
} pair_map;

/** One row of the comparison. Statistics are zero unless the state is TENSOR_COMPARED. */
typedef struct tensor_delta {
    ptrdiff_t base_index;  /**< view of the base, or VIEW_NONE */
    ptrdiff_t model_index; /**< view of the model, or VIEW_NONE */
    tensor_state state;
    const pair_map *map;      /**< NULL: same shape, same order */
    weir_change_class change; /**< of the numbers, innermost; how they are stored is told apart */
    pair_stats stats;
    bool bits_equal;    /**< every stored number has the same bits on both sides */
    bool is_varied;     /**< the base's first numbers are not runs of one value, as masks are */
    bool is_replayable; /**< the model's dtype can be re-derived from the base's numbers */
    uint64_t replayed;  /**< elements that the re-derivation reproduces bit for bit */
    bool is_reversed;   /**< re-deriving the base from the model also reproduces every bit */
    double
        rounding_dd; /**< sum of squares that rounding to the model's dtype explains; NaN unknown */
    uint64_t rank;   /**< of an adapter's A, or found in the change; 0 unknown */
    bool is_ablated; /**< a direction was projected out, whatever else was done */
    struct row_look *look; /**< delta/row_look.h; NULL where no second look was taken */
} tensor_delta;

/** Whether the model's tensors are an adapter's, not only its folder's config. */
bool diff_is_adapter(const weir_model *model);

/** Relative Frobenius norm of the change, NaN when it was not measured or the base is zero. */
double tensor_delta_rel_norm(const tensor_delta *delta);
/** Cosine between the two tensors, NaN when one of them is zero. */
double tensor_delta_cosine(const tensor_delta *delta);
/** What rounding to the model's dtype alone does to the base, relative; NaN when it is not known.
 */
double tensor_delta_floor(const tensor_delta *delta);
/** The tensor that a row speaks of: the model's, or the base's where the model has none. Borrowed.
 */
const weir_tensor *tensor_delta_shown(const weir_diff *diff, const tensor_delta *delta);
/** Whether both sides have the tensor in one shape, so that it could be compared. */
bool tensor_delta_is_paired(const tensor_delta *delta);
/** Whether the tensor holds the base's numbers, bit-equal or re-derived bit for bit. */
bool tensor_delta_is_explained(const tensor_delta *delta);

/** What a difference beside the weights is about, most worrying first: the order of the rows. */
typedef enum file_kind {
    FILE_KIND_SAFETY_COMPONENT,     /**< a safety checker, guard or moderation part */
    FILE_KIND_WATERMARK_COMPONENT,  /**< what marks the output */
    FILE_KIND_CHAT_TEMPLATE_PLACES, /**< two places of one model hold different templates */
    FILE_KIND_CHAT_TEMPLATE,
    FILE_KIND_SYSTEM_PROMPT,
    FILE_KIND_AUTO_MAP,  /**< which Python code a loader is told to run */
    FILE_KIND_CODE_FILE, /**< a Python file */
    FILE_KIND_SPECIAL_TOKENS,
    FILE_KIND_NORMALIZER, /**< the steps of tokenizer.json, by their names there */
    FILE_KIND_PRE_TOKENIZER,
    FILE_KIND_POST_PROCESSOR,
    FILE_KIND_DECODER,
    FILE_KIND_TOKENS,
    FILE_KIND_MERGES,
    FILE_KIND_TOKENIZER_SETTING,
    FILE_KIND_GENERATION, /**< sampling, end tokens, suppressed and forced tokens */
    FILE_KIND_CONFIG,
} file_kind;

/** A difference between files of the same kind on both sides. */
typedef struct file_delta {
    weir_change_class change; /**< TEMPLATE, TOKENIZER, CONFIG or CODE */
    file_kind kind;
    weir_grade grade; /**< PROVED: read in the files; STRONG: a tensor is known by its name */
    const char *what; /**< "chat template default", "config.hidden_act", a sentence */
    const char *base; /**< value or "" when it is absent; printable, cut */
    const char *model;
    const char *file; /**< where it stands in the model, or stood in the base; "" for several */
    const struct template_delta *template; /**< of a chat template that both have; else NULL */
} file_delta;

/** One layer of the onion, outermost first. */
typedef struct diff_change {
    weir_change_class change;
    weir_grade grade;
    weir_dtype from, to; /**< CAST and QUANTISED */
    uint64_t tensors;    /**< how many tensors show it */
    uint64_t tensors_of; /**< out of how many that could */
    uint64_t rederived;  /**< how many of them hold the base's numbers, proved by replay */
    uint64_t contained;  /**< QUANTISED: how many have codes near the base's numbers, no more */
    uint64_t elements;
    double rel_norm; /**< over the tensors that show it; NaN when unmeasured */
    bool roles[WEIR_ROLE_COUNT];
    const int32_t *layers; /**< sorted, distinct */
    size_t layer_count;
    const char *detail; /**< a sentence for a person, or NULL */

    /* What only some classes have; zero, NULL or NaN in others. MERGED is told from diff->merge,
     * ABLATED from diff->ablation. */
    const char
        *type;       /**< QUANTISED: a type that is no dtype of its own: "nf4", "gptq"; else NULL */
    double sparsity; /**< PRUNED: zeros of all */
    const char *pattern; /**< PRUNED: "2:4", "magnitude" ... */
    const int32_t *map;  /**< DEPTH, LAYERS_DUPLICATED: which layer of the base each layer of the
                            model is, -1 for none */
    size_t map_count;
    uint64_t added, removed, moved; /**< VOCABULARY: rows */
    const char *axes;            /**< PERMUTED, ROTATED, WIDTH: "units, heads"; SCALED: "row" ... */
    bool is_function_preserving; /**< PERMUTED, ROTATED */
    uint64_t rank;               /**< LOW_RANK: the largest; 0 unknown */
    bool is_rank_least;          /**< LOW_RANK: what lies below rounding was not counted */
    double alpha;           /**< LOW_RANK: scale over rank of an adapter in files; NaN unknown */
    bool is_applied;        /**< LOW_RANK: added to the weights, not beside them */
    bool has_row_scale;     /**< LOW_RANK: with a factor for every row, as DoRA leaves */
    const char *band;       /**< FULL_RANK: "light", "standard", "heavy", "extreme" */
    const int32_t *experts; /**< EXPERTS: sorted, distinct */
    size_t expert_count;
    bool is_router_changed; /**< EXPERTS */
    double replay; /**< share of the numbers that a replay gave bit for bit; NaN without one */
} diff_change;

/** What became of a model that was named as a parent. */
typedef enum parent_state {
    PARENT_USABLE,
    PARENT_ADAPTER,     /**< usable, as an adapter */
    PARENT_NOT_AT_HAND, /**< known, or named, but its files cannot be opened */
    PARENT_UNREADABLE,  /**< no weights, or malformed ones */
    PARENT_IS_BASE,     /**< the base's own numbers */
    PARENT_IS_MODEL,    /**< the model's own numbers */
    PARENT_REPEATED,    /**< an earlier parent's numbers */
    PARENT_MISFIT,      /**< no tensor in the shape of the model's */
} parent_state;

/** A model or adapter that may have gone into the model. */
typedef struct diff_parent {
    const char *name;  /**< printable */
    weir_model *model; /**< NULL unless usable */
    weir_findings *findings;
    parent_state state;
    const char *note; /**< why it is left out, or "" */
    ptrdiff_t *views; /**< by row of diff->tensors: the view of equal name and shape, or VIEW_NONE;
                         NULL for adapters and what is left out */
    size_t paired;    /**< rows that have a view */
} diff_parent;

struct structure_finding;

struct weir_diff {
    arena memory;
    weir_model *base;
    weir_model *model;
    weir_findings *base_findings;
    weir_findings *findings;             /**< the model's */
    struct structure_finding *structure; /**< of arena memory; NULL for an adapter */
    tensor_delta *tensors;
    size_t tensor_count;
    file_delta *files;
    size_t file_count;
    size_t file_capacity;
    diff_change *changes;
    size_t change_count;
    size_t change_capacity;
    const char *classes; /**< of the changes to the weights, outermost first: "cast, low_rank" */
    weir_grade classes_grade; /**< the weakest of them */
    bool is_copy;             /**< every byte beside the numbers, but the card's, is the base's */
    weir_relation relation;
    weir_grade grade;
    enum { DIRECTION_UNKNOWN, DIRECTION_FROM_BASE } direction;
    double median_cosine; /**< over compared matrices; NaN without any */
    size_t cosine_count;
    double
        unexplained; /**< share of the squared norm of the change; NaN when nothing was measured */
    uint64_t bytes_compared;
    diff_parent *parents; /**< models, in the order given, those left out among them */
    size_t parent_count;
    diff_parent *adapters; /**< those that are adapters */
    size_t adapter_count;
    struct merge_finding *merge;       /**< delta/merge.h; NULL unless parents were named */
    struct ablation_verdict *ablation; /**< delta/ablation.h; NULL unless it was suspected */
    char (*sha256)[DIGEST_TEXT_BYTES]; /**< of the model's files by index, "" unless hashed; NULL
                                          without --digest */
};

/** Whether a finding says that a part was not compared, because it could not be read whole. */
bool diff_finding_is_gap(const weir_finding *finding);

/* The passes, in the order in which weir_diff_run calls them. */

/** Match the tensors of both models by canonical name; fills diff->tensors. */
weir_code diff_match(weir_diff *diff, weir_error *err);
/** Read every matched pair and fill its statistics and class. */
weir_code diff_compare(weir_diff *diff, const weir_diff_options *options, weir_error *err);
/** Measure what an adapter adds to its base; instead of the two above. */
weir_code diff_adapter(weir_diff *diff, const weir_diff_options *options, weir_error *err);
/** Open the parents that the options name and pair their tensors with the rows of diff->tensors;
 * fills diff->parents and diff->adapters. What cannot be used is left out with a note. */
weir_code diff_parents(weir_diff *diff, const weir_diff_options *options, weir_error *err);
/** Compare configuration, tokenizer, templates, generation settings and code; sorts the rows. */
weir_code diff_files(weir_diff *diff, const char *base_path, const char *model_path,
                     weir_error *err);
/** Find whether everything beside the numbers has the base's bytes; fills diff->is_copy. */
weir_code diff_copies(weir_diff *diff, const char *base_path, const char *model_path,
                      weir_error *err);
/** Decide the relation. */
weir_code diff_decide(weir_diff *diff, weir_error *err);
/** Take the second look at what is unexplained, and give each row its inner class. */
weir_code diff_examine(weir_diff *diff, const weir_diff_options *options, weir_error *err);
/** Fill diff->unexplained, once every row has its class. */
void diff_weigh_rest(weir_diff *diff);
/** Peel the onion: fills diff->changes, outermost first. */
weir_code diff_peel(weir_diff *diff, weir_error *err);

#endif
