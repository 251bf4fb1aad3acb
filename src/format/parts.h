/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file parts.h  Readers of what lies in a model folder beside the weights.
 *
 * Each reads one source into the checkpoint, as claims, templates, vocabulary or numbers, and fails
 * with the place of what is wrong; what was read before the failure stays.
 */
#ifndef WEIR_FORMAT_PARTS_H
#define WEIR_FORMAT_PARTS_H

#include "format/checkpoint.h"

/** One file on its way into a checkpoint. All borrowed. */
typedef struct part {
    checkpoint *model;
    weir_source *source;
    const checkpoint_options *options; /**< never NULL */
    weir_findings *findings;
} part;

/** config.json as "config.*", and the numbers of the architecture. */
weir_code config_read(const part *in, weir_error *err);
weir_code generation_config_read(const part *in, weir_error *err);
weir_code preprocessor_config_read(const part *in, weir_error *err);
weir_code quantize_config_read(const part *in, weir_error *err);
/** special_tokens_map.json as "special_tokens.*". */
/** model_index.json of a diffusers pipeline as "model_index.*": each part is [library, class]. */
weir_code model_index_read(const part *in, weir_error *err);
/** A Modelfile of Ollama as "modelfile.*"; a text, of which nothing is run or fetched. */
weir_code modelfile_read(const part *in, weir_error *err);
weir_code special_tokens_read(const part *in, weir_error *err);
/** trainer_state.json as "trainer.*": the scalars at its top, never the log. */
weir_code trainer_state_read(const part *in, weir_error *err);

/** adapter_config.json of PEFT as "adapter.*" and as the checkpoint's adapter_claim. */
weir_code adapter_read(const part *in, weir_error *err);

/** The YAML front matter of README.md as "card.*"; evaluation tables and widgets are left out. */
weir_code card_read(const part *in, weir_error *err);
/** mergekit_config.yml as "merge.*". */
weir_code mergekit_read(const part *in, weir_error *err);

/** tokenizer_config.json as "tokenizer_config.*", and its chat templates. */
weir_code tokenizer_config_read(const part *in, weir_error *err);
/** A template file, or any JSON or YAML document with a key "chat_template"; no claims are made. */
weir_code chat_template_read(const part *in, weir_error *err);

/** Keep a copy of one template. One over TEMPLATE_BYTES_MAX is not kept, and that is a finding. */
weir_code checkpoint_keep_template(checkpoint *model, const checkpoint_template *from,
                                   weir_findings *findings, weir_error *err);

/** tokenizer.json: token strings, merges and "tokenizer.*". */
weir_code tokenizer_read(const part *in, weir_error *err);
/** vocab.json and added_tokens.json: {"token": id}. */
weir_code vocabulary_json_read(const part *in, weir_error *err);
/** vocab.txt of BERT: a token a line, ids from 0. */
weir_code vocabulary_list_read(const part *in, weir_error *err);
/** merges.txt: "LEFT RIGHT" a line. */
weir_code merges_read(const part *in, weir_error *err);

#endif
