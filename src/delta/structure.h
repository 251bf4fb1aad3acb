/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file structure.h  Which part of the base each part of the model is, found before numbers are
 * compared: layers, tokens, residual channels, hidden units, heads, experts, and the residual
 * basis.
 *
 * Everything is suspected on sampled rows; the maps then stand behind the pairs of the comparison
 * (tensor_delta.map), so that what is shared proves itself, number by number. Where models of one
 * shape look alike row by row nothing else is tried. Unrelated models get no map.
 */
#ifndef WEIR_DELTA_STRUCTURE_H
#define WEIR_DELTA_STRUCTURE_H

#include "delta/axis_map.h"
#include "delta/diff.h"
#include "delta/expert_map.h"
#include "delta/layer_map.h"
#include "delta/rotation.h"
#include "delta/vocabulary_map.h"

typedef enum layer_axis_kind {
    LAYER_AXIS_UNITS,
    LAYER_AXIS_HEADS,
    LAYER_AXIS_KV_HEADS,
} layer_axis_kind;

/** Hidden units of one feed-forward, or heads of one attention, that are not simply the base's. */
typedef struct layer_axis {
    int32_t layer;  /**< of the model, as in names */
    int32_t expert; /**< FEED_FORWARD_OWN, FEED_FORWARD_SHARED or the expert's number */
    layer_axis_kind kind;
    axis_map map;         /**< of units or heads */
    uint64_t base_groups; /**< heads of k and v; 0 for units */
    uint64_t model_groups;
    axis_map rows; /**< of the rows of q, or of k and v; units: the same as map */
} layer_axis;

/** What a class of structure shows after the comparison. Zero until structure_grade(). */
typedef struct structure_proof {
    weir_grade grade;   /**< PROVED: every shared number of the tensors concerned is the base's,
                           bit for bit or re-derived; STRONG: found by rows that are alike */
    uint64_t tensors;   /**< pairs concerned */
    uint64_t explained; /**< of them, those with the base's numbers throughout */
    uint64_t elements;  /**< shared numbers of all of them */
    uint64_t unchanged; /**< of them, those that are equal to the base's */
} structure_proof;

typedef struct structure_finding {
    bool is_plain; /**< every part is the base's of the same place, or nothing says otherwise */
    layer_map layers;
    vocabulary_map vocabulary;
    axis_map channels; /**< of the residual stream; all zero when they are the base's */
    bool has_channels;
    rotation turn;    /**< .is_found when the residual basis was turned */
    layer_axis *axes; /**< sorted by layer, expert, kind */
    size_t axis_count;
    size_t axis_capacity;
    expert_map *experts; /**< sorted by layer; of layers whose experts are not simply the base's */
    size_t expert_count;
    size_t expert_capacity;

    /* One for each class, after the comparison. A class is there when its grade is not UNKNOWN. */
    structure_proof depth; /**< layers dropped, reordered or added */
    structure_proof duplicated;
    structure_proof vocab;
    structure_proof width;    /**< units, heads, channels left out or added */
    structure_proof permuted; /**< units, heads, channels in another order or mirrored */
    structure_proof rotated;
    structure_proof experts_changed;
    bool width_units, width_heads, width_channels;
    uint64_t units_from, units_to; /**< of the first feed-forward whose width changed */
    uint64_t heads_from, heads_to;
    uint64_t kv_heads_from, kv_heads_to;
    bool permuted_units, permuted_heads, permuted_channels;
    bool is_function_preserving; /**< of what is permuted: every tensor that reads or writes the
                                    permuted parts was moved along, and holds the base's numbers */
} structure_finding;

/**
 * Find the structure of the model in the base; fills diff->structure. Before diff_match().
 * @return WEIR_OK; WEIR_ERR_IO; WEIR_ERR_FORMAT; WEIR_ERR_NOMEM; WEIR_ERR_CANCELLED
 *
 * Cost: of models that look alike, two rows of every matrix.
 */
weir_code diff_structure(weir_diff *diff, const weir_diff_options *options, weir_error *err);

/** Release what is not the arena's; NULL is a no-op. */
void structure_release(structure_finding *found);

/**
 * Name of the tensor of the base that a tensor of the model would be.
 * @param[out] out  owned by diff->memory, or the tensor's own name; NULL: the base has none
 */
weir_code structure_base_name(const char **out, weir_diff *diff, const tensor_view *model,
                              weir_error *err);

/**
 * How two tensors are compared.
 * @param[out] map   NULL for same shape and order
 * @param[out] fits  false when they have different shapes and no map
 */
weir_code structure_pair(const pair_map **map, bool *fits, weir_diff *diff, const tensor_view *base,
                         const tensor_view *model, weir_error *err);

/**
 * Whether copies show which model was first: layers of the model, or all its experts, are equal to
 * one layer or feed-forward of the base, whose own layers all differ. Trained copies would differ.
 */
bool structure_shows_copies(const structure_finding *found);

/** Grade what was found, from the statistics of the pairs. After diff_compare(). */
weir_code structure_grade(weir_diff *diff, weir_error *err);

#endif
