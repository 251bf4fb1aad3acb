/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file adapter.h  LoRA adapters: which canonical tensors of a base they change, and by what.
 *
 * For one canonical tensor W of the base, of its shape [rows, cols]:
 *     W' = W + scale B A      B [rows, rank]   A [rank, cols]
 * Both come as views in canonical order: of an adapter on a fused module each part takes its rows
 * of B, and the pair of an embedding, which PEFT stores turned, is turned back.
 */
#ifndef WEIR_TENSOR_ADAPTER_H
#define WEIR_TENSOR_ADAPTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tensor/model.h"

/** What a tensor of an adapter is called, taken apart. Borrows from the name. */
typedef struct adapter_name {
    weir_role role;     /**< ADAPTER_A, ADAPTER_B or ADAPTER_OTHER */
    const char *module; /**< "model.layers.0.self_attn.q_proj", not terminated */
    size_t module_len;
    bool is_embedding;
} adapter_name;

/**
 * Take a stored name apart, as PEFT spells it: "base_model.model." MODULE ".lora_A" [".default"]
 * ".weight" and the like. @return false for a name that is no adapter's
 */
bool adapter_name_parse(adapter_name *out, const char *stored_name);

/** One canonical tensor that the adapter changes. */
typedef struct adapter_item {
    const char *name; /**< canonical, in the base: "layers.3.q" */
    tensor_view a;
    tensor_view b;
    uint64_t rank;
    double
        scale; /**< alpha / rank, or alpha / sqrt(rank) with rsLoRA; NaN when alpha is not known */
} adapter_item;

/** Zero-initialise; release with adapter_release(). Views borrow from the adapter. */
typedef struct adapter {
    arena memory;
    adapter_item *items;
    size_t count;
    size_t capacity;
    size_t unresolved; /**< modules that the base does not have, or that do not fit it */
    size_t misfits; /**< of these, modules of layers whose names the base's architecture knows: with
                       a whole base at hand, the adapter was not made for it */
    const char *first_misfit; /**< stored name of the first one's A, borrowed from the adapter;
                                 NULL: none */
    size_t other;             /**< tensors that are no A or B: kept modules, DoRA magnitudes */
} adapter;

/**
 * Resolve the modules of an adapter against its base.
 *
 * @param[out] out   zero-initialised; untouched on failure but for memory that adapter_release()
 * frees
 * @param from       a model whose tensors are an adapter's; must outlive *out
 * @param base       the model it was made for; needed only during the call
 * @return WEIR_OK; WEIR_ERR_LIMIT; WEIR_ERR_NOMEM
 */
weir_code adapter_resolve(adapter *out, const weir_model *from, const weir_model *base,
                          weir_error *err);

void adapter_release(adapter *list);
static inline void adapter_release_cleanup(adapter *list) {
    adapter_release(list);
}

#endif
