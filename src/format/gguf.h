/* SPDX-License-Identifier: Apache-2.0 */
/** @file gguf.h  GGUF v2 and v3: metadata and tensor table. */
#ifndef WEIR_FORMAT_GGUF_H
#define WEIR_FORMAT_GGUF_H

#include "format/checkpoint.h"

/**
 * Read header, metadata and tensor infos; no tensor data is touched.
 *
 * Fills, in `model`: tensors (file = `file`), claims "gguf.KEY" (arrays as "[N] first, second ..."),
 * templates (tokenizer.chat_template and tokenizer.chat_template.NAME), vocabulary, shape.
 *
 * @param split  receives split.no, split.count, split.tensors.count; all 0 for a whole file
 * @return WEIR_OK; WEIR_ERR_FORMAT with the byte; WEIR_ERR_LIMIT; WEIR_ERR_UNSUPPORTED (version 1);
 *         WEIR_ERR_IO; WEIR_ERR_NOMEM. On failure no tensors of this file stay in the table.
 * Source: ggml/docs/gguf.md; llama.cpp ggml/src/gguf.cpp for what is refused.
 */
typedef struct gguf_split {
    uint64_t index;
    uint64_t count;
    uint64_t tensors;
} gguf_split;

weir_code gguf_read(checkpoint *model, gguf_split *split, weir_source *source, uint32_t file,
                    const checkpoint_options *options, weir_findings *findings, weir_error *err);

#endif
