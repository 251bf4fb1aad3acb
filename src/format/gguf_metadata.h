/* SPDX-License-Identifier: Apache-2.0 */
/** @file gguf_metadata.h  The key-value pairs of a GGUF file, for gguf.c and gguf_shape.c. */
#ifndef WEIR_FORMAT_GGUF_METADATA_H
#define WEIR_FORMAT_GGUF_METADATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/parts.h"
#include "io/byte_reader.h"

/** A whole number or truth value, or an array of them that are all the same. */
typedef struct gguf_number {
    const char *key;
    uint64_t value;
} gguf_number;

/** Zero-initialise; release with gguf_metadata_release(). Texts live in `memory`. */
typedef struct gguf_metadata {
    arena memory;
    gguf_number *numbers;
    size_t number_count;
    size_t number_capacity;
    const char *architecture; /**< general.architecture, or NULL */
    uint64_t tokens;          /**< length of tokenizer.ggml.tokens */
    uint64_t elements;        /**< of arrays, looked at one by one so far */
    uint64_t alignment;       /**< of the data; a power of two once read */
} gguf_metadata;

/** Smallest pair: key length, one byte of key, type, one byte of value. */
enum { GGUF_PAIR_BYTES_MIN = 8 + 1 + 4 + 1 };

/**
 * Read `count` pairs at the cursor into `out` and into the claims, templates and vocabulary of
 * `whole->model`.
 * @return WEIR_OK; WEIR_ERR_FORMAT with the byte; WEIR_ERR_LIMIT; WEIR_ERR_IO; WEIR_ERR_NOMEM
 */
weir_code gguf_metadata_read(gguf_metadata *out, const part *whole, byte_reader *bytes,
                             uint64_t count, weir_error *err);

/** @return whether the key holds a non-negative whole number that fits 64 bits. */
bool gguf_metadata_find(const gguf_metadata *metadata, const char *key, uint64_t *out);

/** Fill what is still unknown of `shape` from the architecture's keys ("llama.block_count" ...). */
weir_code gguf_shape_fill(hyperparameters *shape, arena *memory, const gguf_metadata *metadata,
                          weir_error *err);

void gguf_metadata_release(gguf_metadata *metadata);
static inline void gguf_metadata_release_cleanup(gguf_metadata *metadata) {
    gguf_metadata_release(metadata);
}

#endif
