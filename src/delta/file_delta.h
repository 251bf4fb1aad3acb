/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file file_delta.h  The comparisons of files beside the weights, and the rows that they make.
 *
 * Each comparison adds rows to diff->files. Nothing of a file is executed or rendered here; what
 * could not be read is no difference, because reading it left a finding already.
 */
#ifndef WEIR_DELTA_FILE_DELTA_H
#define WEIR_DELTA_FILE_DELTA_H

#include "delta/diff.h"

/** One side of a comparison: what was read of it, and its folder to read more from. */
typedef struct file_side {
    const checkpoint *files;
    const weir_findings *findings; /**< from reading it */
    int directory;                 /**< open while the comparison lasts; -1 for a single file */
} file_side;

/** Base and model side by side. */
typedef struct file_pair {
    weir_diff *diff;
    file_side base;
    file_side model;
} file_pair;

/** @return "safety_component", "chat_template" ...: the member "kind" of weir.diff/1. */
const char *file_kind_name(file_kind kind);

/** Add a row; its texts are made printable, cut and copied, and may be NULL. */
weir_code file_delta_add(weir_diff *diff, const file_delta *row, weir_error *err);

/** Whether a file of this format at the top of a folder could not be read whole. */
bool file_side_is_broken(const file_side *side, const char *format);

/** Whether a name speaks of a safety check or a watermark, by its words. @param[out] out which */
bool component_is_named(file_kind *out, const char *name);
/** Whether a setting's value means that the thing is not there: absent, null, false, empty. */
bool component_is_off(const char *value);

/** Settings of config.json, generation_config.json, tokenizer_config.json, model_index.json,
 *  Modelfile and GGUF metadata, claim by claim. */
weir_code compare_settings(const file_pair *pair, weir_error *err);
/** Whether the places of the model where chat templates stand agree with each other. */
weir_code compare_template_places(const file_pair *pair, weir_error *err);
/** Token strings, ids, flags, merges, and the steps around the tokenizer's model. */
weir_code compare_tokenizers(const file_pair *pair, weir_error *err);
/** Python files by SHA-256. */
weir_code compare_code(const file_pair *pair, weir_error *err);
/** Safety checkers and watermarks whose folder or tensors are gone, or whose numbers are. */
weir_code compare_components(const file_pair *pair, weir_error *err);

#endif
