/* SPDX-License-Identifier: Apache-2.0 */
/** @file gguf.h  GGUF v2 and v3, little-endian: metadata and tensor table. */
#ifndef WEIR_FORMAT_GGUF_H
#define WEIR_FORMAT_GGUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/parts.h"

/** What a file says about the split that it is a part of; all 0 for a whole file. */
typedef struct gguf_split {
    uint64_t index;   /**< split.no, from 0 */
    uint64_t count;   /**< split.count */
    uint64_t tensors; /**< split.tensors.count: of all parts together */
} gguf_split;

/**
 * Read header, metadata and tensor infos; no tensor data is touched.
 *
 * Fills, in `in->model`: tensors (file = `file`); claims "gguf.KEY" (arrays as "[N] first, second
 * ...", the text of a chat template left out); templates (tokenizer.chat_template and
 * tokenizer.chat_template.NAME); vocabulary, unless there is one already; shape, unless its
 * architecture is known already. The arrays templates, tokens and all texts live in model->memory.
 *
 * @param split  receives split.no, split.count, split.tensors.count
 * @param file   index that the tensors get
 * @return WEIR_OK; WEIR_ERR_FORMAT with the byte; WEIR_ERR_LIMIT; WEIR_ERR_UNSUPPORTED (version 1,
 *         big-endian); WEIR_ERR_IO; WEIR_ERR_NOMEM. On failure no tensors of this file and no
 *         vocabulary stay; claims and templates do, for they are worth showing.
 *
 * Cost: one sequential read of what precedes the data; 64 KiB and what is kept.
 * Source: ggml/docs/gguf.md; llama.cpp ggml/src/gguf.cpp for what is refused; docs/formats/gguf.md.
 */
weir_code gguf_read(gguf_split *split, const part *in, uint32_t file, weir_error *err);

/** A file name "PREFIX-00002-of-00003.gguf", taken apart. */
typedef struct gguf_split_name {
    size_t prefix_len; /**< bytes of PREFIX, which may hold folders; never 0 */
    uint32_t index;    /**< from 0: 1 for the name above */
    uint32_t count;    /**< index < count */
} gguf_split_name;

/** @return whether `name` is the name of a part of a split. */
bool gguf_split_name_parse(gguf_split_name *out, const char *name);

/**
 * Form the name of part `index` (from 0) of `count`.
 * @return false when it does not fit into `size` bytes, or index >= count or count > 99999
 */
bool gguf_split_name_format(char *out, size_t size, const char *prefix, size_t prefix_len,
                            uint32_t index, uint32_t count);

#endif
