/* SPDX-License-Identifier: Apache-2.0 */
/** @file model.h  One model as typed tensors with roles, whatever container it came in. */
#ifndef WEIR_MODEL_H
#define WEIR_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/dtype.h"
#include "weir/error.h"
#include "weir/finding.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Something that a file says about its model. All fields are printable; borrowed from the model.
 */
typedef struct weir_claim {
    const char *name;
    const char *value;
    const char *file;
    const char *at;
} weir_claim;

/** What a tensor does in a transformer. */
typedef enum weir_role {
    WEIR_ROLE_UNKNOWN,
    WEIR_ROLE_EMBEDDING,
    WEIR_ROLE_POSITION_EMBEDDING,
    WEIR_ROLE_TOKEN_TYPE_EMBEDDING,
    WEIR_ROLE_EMBEDDING_NORM,
    WEIR_ROLE_ATTENTION_NORM,      /**< before attention */
    WEIR_ROLE_ATTENTION_POST_NORM, /**< after attention, before the residual sum or BERT's after it
                                    */
    WEIR_ROLE_Q,
    WEIR_ROLE_K,
    WEIR_ROLE_V,
    WEIR_ROLE_O,
    WEIR_ROLE_Q_NORM,
    WEIR_ROLE_K_NORM,
    WEIR_ROLE_Q_A, /**< deepseek: down-projection of q */
    WEIR_ROLE_Q_A_NORM,
    WEIR_ROLE_Q_B,
    WEIR_ROLE_KV_A, /**< deepseek: kv_a_proj_with_mqa */
    WEIR_ROLE_KV_A_NORM,
    WEIR_ROLE_KV_B,
    WEIR_ROLE_SINKS, /**< gpt-oss: attention sinks */
    WEIR_ROLE_FEED_FORWARD_NORM,
    WEIR_ROLE_FEED_FORWARD_POST_NORM,
    WEIR_ROLE_GATE,
    WEIR_ROLE_UP,
    WEIR_ROLE_DOWN,
    WEIR_ROLE_ROUTER,
    WEIR_ROLE_ROUTER_BIAS, /**< deepseek v3: e_score_correction_bias */
    WEIR_ROLE_EXPERT_GATE,
    WEIR_ROLE_EXPERT_UP,
    WEIR_ROLE_EXPERT_DOWN,
    WEIR_ROLE_SHARED_EXPERT_GATE,
    WEIR_ROLE_SHARED_EXPERT_UP,
    WEIR_ROLE_SHARED_EXPERT_DOWN,
    WEIR_ROLE_SHARED_EXPERT_ROUTER,
    WEIR_ROLE_FINAL_NORM,
    WEIR_ROLE_HEAD,
    WEIR_ROLE_POOLER,
    WEIR_ROLE_ROPE,      /**< stored frequencies and other constants of position */
    WEIR_ROLE_ADAPTER_A, /**< LoRA A of the module named by the tensor */
    WEIR_ROLE_ADAPTER_B,
    WEIR_ROLE_ADAPTER_OTHER,
    WEIR_ROLE_COUNT,
} weir_role;

/** @return "embedding", "q", "expert_gate" ...; static. */
WEIR_API const char *weir_role_name(weir_role role);

/**
 * One canonical tensor. Names are the same for every container of an architecture:
 * "embedding", "layers.3.q", "layers.3.q.bias", "layers.3.experts.7.up", "head"; a tensor whose
 * role is unknown keeps its stored name.
 */
typedef struct weir_tensor {
    const char *name;
    const char *stored_name; /**< of the tensor that it is, or is a part of, in the file */
    weir_role role;
    bool is_bias;
    int32_t layer;    /**< -1 outside the layers */
    int32_t expert;   /**< -1 for what is not one expert's */
    weir_dtype dtype; /**< as stored; of a packed weight, that of its codes */
    uint64_t rows;    /**< outputs; 1 for vectors */
    uint64_t cols;    /**< inputs, contiguous in the canonical order */
} weir_tensor;

typedef struct weir_model weir_model;

typedef struct weir_model_options {
    bool lenient;     /**< accept what the reference libraries accept, and name each deviation */
    const char *name; /**< how results call the model; NULL for the last path component */
} weir_model_options;
#define WEIR_MODEL_OPTIONS_INIT                                                                    \
    { 0 }

/**
 * Open a file or folder as a model; tensor data is not read, but for the small tables that say how
 * packed weights are meant (orders of groups, code books, shapes).
 *
 * @param[out] out  release with weir_model_free(); untouched on failure
 * @param options   NULL for defaults
 * @param findings  receives what was noticed in the files; required
 * @return WEIR_OK, also without any weights (tensor count 0); WEIR_ERR_IO; WEIR_ERR_LIMIT;
 * WEIR_ERR_NOMEM
 *
 * Thread safety: a const model may be shared.
 */
WEIR_API weir_code weir_model_open(weir_model **out, const char *path,
                                   const weir_model_options *options, weir_findings *findings,
                                   weir_error *err);

WEIR_API const char *weir_model_name(const weir_model *model);
/** @return "safetensors", "gguf", "mixed" or "none". */
WEIR_API const char *weir_model_format(const weir_model *model);
/** @return the architecture that config or metadata claims ("llama"), or NULL. */
WEIR_API const char *weir_model_architecture(const weir_model *model);
/** @return whether every weight got its role from the architecture's own table. */
WEIR_API bool weir_model_has_known_roles(const weir_model *model);
WEIR_API size_t weir_model_tensor_count(const weir_model *model);
/** @return borrowed; valid until the model is freed. Sorted by layer, then role, then name. */
WEIR_API const weir_tensor *weir_model_tensor(const weir_model *model, size_t index);
WEIR_API size_t weir_model_claim_count(const weir_model *model);
WEIR_API const weir_claim *weir_model_claim(const weir_model *model, size_t index);

/**
 * Read rows of one tensor as float32 in canonical order: fused tensors split, llama's q/k row
 * permutation undone, Conv1D turned to [outputs, inputs], Gemma's norm offset taken out, packed
 * weights (GPTQ, AWQ, bitsandbytes, FP8 and integers with scales, MXFP4) dequantised.
 *
 * @param[out] out   row_count * cols floats
 * @return WEIR_OK; WEIR_ERR_ARG for rows outside; WEIR_ERR_UNSUPPORTED for an opaque dtype;
 * WEIR_ERR_IO
 */
WEIR_API weir_code weir_model_read_rows(const weir_model *model, size_t tensor_index,
                                        uint64_t row_begin, uint64_t row_count, float *out,
                                        weir_error *err);

/** NULL is a no-op. */
WEIR_API void weir_model_free(weir_model *model);

#ifdef __cplusplus
}
#endif
#endif
