/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file role_table.h  From stored tensor names to roles, as data.
 *
 * A family is a set of architectures that name and lay out their tensors alike. Its patterns cover
 * the names of a Hugging Face folder and of a GGUF file together. A pattern is a stored name
 * without its prefix
 * ("model.", "transformer." ...) in which
 *     #   stands for the layer's number, as a whole part of the name
 *     @   for the expert's number, after the layer's
 *     .*  at the end for ".weight" or ".bias" (".gamma" or ".beta" in old BERT files)
 */
#ifndef WEIR_TENSOR_ROLE_TABLE_H
#define WEIR_TENSOR_ROLE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/error.h"
#include "weir/model.h"

/** How the numbers of a stored tensor stand to the canonical one, whose rows are outputs. */
typedef enum role_layout {
    ROLE_LAYOUT_ROWS,           /**< alike */
    ROLE_LAYOUT_ROPE,           /**< rows permuted inside each head by llama.cpp's converter */
    ROLE_LAYOUT_TURNED,         /**< Conv1D: [inputs, outputs] */
    ROLE_LAYOUT_QKV,            /**< rows of q, then k, then v */
    ROLE_LAYOUT_QKV_TURNED,     /**< Conv1D: columns of q, then k, then v */
    ROLE_LAYOUT_QKV_GROUPS,     /**< for each group of heads: its q rows, one head of k, one of v */
    ROLE_LAYOUT_GATE_UP,        /**< rows of gate, then of up */
    ROLE_LAYOUT_EXPERTS,        /**< [experts, outputs, inputs] */
    ROLE_LAYOUT_EXPERTS_TURNED, /**< [experts, inputs, outputs] */
    ROLE_LAYOUT_EXPERTS_GATE_UP,   /**< [experts, gate then up, inputs] */
    ROLE_LAYOUT_EXPERTS_PAIRS,     /**< [experts, inputs, outputs]: gate and up outputs alternate */
    ROLE_LAYOUT_EXPERTS_ROW_PAIRS, /**< [experts, outputs, inputs]: likewise; of packed experts */
} role_layout;

typedef struct role_pattern {
    const char *stored;
    weir_role role; /**< of a tensor that is split: the role of its first part */
    role_layout layout;
    const char *part;  /**< appended to the canonical name: "head" + "score"; may be NULL */
    const char *needs; /**< only where a tensor of this stored name exists too; may be NULL */
    float offset;      /**< to be added to every stored number */
    bool is_bias;      /**< for names that end in neither .weight nor .bias */
} role_pattern;

/** Patterns end at one whose `stored` is NULL; the lists end at NULL. */
typedef struct role_family {
    const char *const *names; /**< model_type of config.json and general.architecture of GGUF */
    const role_pattern *const *patterns;
    bool tied_by_default; /**< the head is the embedding where config.json does not say */
} role_family;

/** @return the family of an architecture, or NULL; NULL gives NULL. */
const role_family *role_family_find(const char *architecture);

/** Patterns sorted for look-up. Zero-initialise; release with role_index_release(). */
typedef struct role_index {
    const role_pattern **items;
    size_t count;
} role_index;

/**
 * @param family  NULL for the merged table: what all families that know a name agree on
 */
weir_code role_index_build(role_index *out, const role_family *family, weir_error *err);
void role_index_release(role_index *index);
static inline void role_index_release_cleanup(role_index *index) {
    role_index_release(index);
}

/** What a stored name says. */
typedef struct role_match {
    const role_pattern *pattern;
    int32_t layer;  /**< -1 outside the layers */
    int32_t expert; /**< -1 for what is not one expert's */
    bool is_bias;
} role_match;

/** @return whether the name is in the index. `exists` answers for role_pattern.needs; NULL: no. */
bool role_index_find(const role_index *index, role_match *out, const char *stored_name,
                     bool (*exists)(const void *context, const char *stored_name),
                     const void *context);

/** @return "q", "gate", "shared_expert.up" ...: the role inside a canonical name; static. */
const char *role_canonical(weir_role role);

#endif
