/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file checkpoint.h  One model as it lies on disk: its files, tensors, claims, templates,
 * tokenizer.
 *
 * A checkpoint is a file or a folder. Every file is identified by content first and name second,
 * read by the parser of its format if weir has one, and listed with a verdict in any case. Nothing
 * is executed.
 */
#ifndef WEIR_FORMAT_CHECKPOINT_H
#define WEIR_FORMAT_CHECKPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/findings.h"
#include "format/claims.h"
#include "format/tensor_table.h"
#include "io/source.h"

/** One file. `format` is static: "safetensors", "gguf", "safetensors-index", "config", "tokenizer",
 *  "tokenizer_config", "special_tokens", "generation_config", "model_index", "modelfile",
 * "chat_template", "adapter_config", "card", "trainer_state", "mergekit_config", "python",
 * "pickle", "torch-zip", "zip", "onnx", "npy", "hdf5", "tensorflow", "sentencepiece", "json",
 * "yaml", "text", "unknown" ... */
typedef struct checkpoint_file {
    const char *path; /**< relative to the checkpoint's folder, or the file's own name; printable */
    const char *raw_path; /**< the same as on disk; NULL for what is listed but not opened */
    const char *format;
    uint64_t bytes;
    weir_verdict verdict;
    weir_source *source; /**< open while the checkpoint lives for files with tensors, else NULL */
} checkpoint_file;

/** A chat template, wherever it stood. */
typedef struct checkpoint_template {
    const char *name; /**< "default", "tool_use" ... */
    const char *text; /**< NUL-terminated; may hold NULs when hostile, so use len */
    size_t len;
    const char *file;
    const char *at; /**< "key chat_template", "" for a file of its own */
} checkpoint_template;

/** A token that a tokenizer treats apart from its model: an added token of tokenizer.json, a
 * control or user-defined token of a GGUF. */
typedef struct added_token {
    uint32_t id;
    bool is_special; /**< left out of decoded text; never made of a user's own characters */
} added_token;

/** What tokenizer.json does before and after its model. */
typedef enum tokenizer_step {
    TOKENIZER_NORMALIZER,
    TOKENIZER_PRE_TOKENIZER,
    TOKENIZER_POST_PROCESSOR,
    TOKENIZER_DECODER,
    TOKENIZER_STEP_COUNT,
} tokenizer_step;

/** Token strings by id; a missing id is NULL. */
typedef struct vocabulary {
    const char **tokens;
    size_t count;
    uint64_t merges; /**< number of BPE merges, 0 when there are none */
    uint8_t
        merges_sha256[32];    /**< over the merges in order, each "LEFT RIGHT\n"; zeros when none */
    const added_token *added; /**< in the order of the file; of one id the last one counts */
    size_t added_count;
    bool has_step[TOKENIZER_STEP_COUNT];           /**< false where the file has null, or nothing */
    uint8_t step_sha256[TOKENIZER_STEP_COUNT][32]; /**< of canonical JSON, canonical_json.h */
    const char *model; /**< "BPE", "Unigram", "WordPiece", "gpt2", "llama" ... or NULL */
    const char *file;  /**< NULL when there is no tokenizer */
} vocabulary;

/** Numbers of the architecture that the roles need; 0 is unknown. From config.json or GGUF
 * metadata. */
typedef struct hyperparameters {
    const char *architecture; /**< model_type of config.json ("llama", "gpt2") or
                                 general.architecture; NULL if unknown */
    uint64_t layers;          /**< num_hidden_layers, n_layer, block_count */
    uint64_t hidden;
    uint64_t heads;
    uint64_t kv_heads;     /**< equal to heads where the config leaves it out */
    uint64_t head_dim;     /**< stated, else hidden / heads */
    uint64_t feed_forward; /**< intermediate_size */
    uint64_t experts;
    uint64_t vocabulary;
    enum { TIED_UNKNOWN, TIED_NO, TIED_YES } tied_head;
    bool new_decoder; /**< falcon: new_decoder_architecture */
    bool multi_query; /**< falcon: multi_query */
} hyperparameters;

/** A PEFT adapter (adapter_config.json), when the checkpoint is one. */
typedef struct adapter_claim {
    bool present;
    const char *type; /**< "LORA" ... */
    const char *base; /**< base_model_name_or_path, or NULL */
    double rank;      /**< r; 0 unknown */
    double alpha;     /**< lora_alpha; 0 unknown */
    bool use_rslora;
    bool use_dora;
    bool fan_in_fan_out;
} adapter_claim;

typedef struct checkpoint {
    arena memory;       /**< owns every text below */
    const char *name;   /**< last path component */
    const char *format; /**< "safetensors", "gguf", "mixed", or "none" when no weights were found */
    bool is_folder;
    checkpoint_file *files;
    size_t file_count;
    tensor_table tensors;
    claims claims;
    checkpoint_template *templates;
    size_t template_count;
    vocabulary vocabulary;
    hyperparameters shape;
    adapter_claim adapter;
} checkpoint;

typedef struct checkpoint_options {
    bool lenient; /**< accept what the reference libraries accept; each deviation is a finding */
    bool skip_vocabulary; /**< do not keep token strings */
} checkpoint_options;

/**
 * Read a file or folder. What is wrong with a part is a finding, and the rest is still read.
 *
 * @param[out] out  release with checkpoint_free(); untouched on failure
 * @param path      file or folder
 * @param options   NULL for defaults
 * @param findings  receives what was noticed; required
 * @return WEIR_OK, also for a folder without weights (format "none") and with malformed parts;
 *         WEIR_ERR_IO when the path itself cannot be opened; WEIR_ERR_LIMIT; WEIR_ERR_NOMEM
 */
weir_code checkpoint_open(checkpoint **out, const char *path, const checkpoint_options *options,
                          weir_findings *findings, weir_error *err);

/** Read one open source as a checkpoint of one file; the checkpoint owns the source from then on.
 */
weir_code checkpoint_open_source(checkpoint **out, weir_source *source,
                                 const checkpoint_options *options, weir_findings *findings,
                                 weir_error *err);

void checkpoint_free(checkpoint *model);
WEIR_DEFINE_CLEANUP(checkpoint *, checkpoint_free)

#endif
