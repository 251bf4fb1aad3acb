/* SPDX-License-Identifier: Apache-2.0 */
/** @file safetensors.h  The header of a safetensors file as a tensor table. */
#ifndef WEIR_FORMAT_SAFETENSORS_H
#define WEIR_FORMAT_SAFETENSORS_H

#include <stdbool.h>

#include "base/findings.h"
#include "format/claims.h"
#include "format/tensor_table.h"
#include "io/source.h"

/** What the header of a file is read into. */
typedef struct safetensors_target {
    tensor_table *table;     /**< tensors are added with file = `file`; a failure takes them back */
    claims *metadata;        /**< gets "safetensors.KEY" claims of __metadata__; may be NULL */
    weir_findings *findings; /**< may be NULL */
    uint32_t file;
} safetensors_target;

/**
 * Read the header; no tensor data is touched.
 *
 * @param lenient  accept what the reference library accepts (duplicate keys, leading space,
 * unknown fields, NUL in names ...), each deviation a finding
 * @return WEIR_OK; WEIR_ERR_FORMAT with the byte; WEIR_ERR_LIMIT; WEIR_ERR_IO; WEIR_ERR_NOMEM
 * Cost: O(header) time; memory is the table's own (about 100 bytes a tensor).
 * Source: huggingface/safetensors README.md "Format" and safetensors/src/tensor.rs.
 */
weir_code safetensors_read(const safetensors_target *target, weir_source *source, bool lenient,
                           weir_error *err);

/** What a model.safetensors.index.json says. Zero-initialise; release with
 * safetensors_index_release(). */
typedef struct safetensors_index {
    arena memory;
    const char **shards; /**< distinct shard names in first-seen order; safe relative names */
    size_t shard_count;
    struct index_entry {
        const char *tensor;
        uint32_t shard; /**< index into shards */
    } * entries;
    size_t entry_count;
    uint64_t total_size; /**< metadata.total_size, 0 when not stated */
} safetensors_index;

/**
 * Read an index. A shard name that is absolute, has a ".." or a NUL is refused with a finding of
 * verdict malicious ("index-shard-outside") and WEIR_ERR_FORMAT.
 */
weir_code safetensors_index_read(safetensors_index *out, weir_source *source,
                                 weir_findings *findings, weir_error *err);
void safetensors_index_release(safetensors_index *index);

#endif
