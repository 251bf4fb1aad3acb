/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The numbers of the architecture. Keys are "{architecture}.NAME"; names are those of gguf-py,
 * constants.py, class Keys. A number that differs from layer to layer (an array) stays unknown.
 */
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "format/gguf_metadata.h"

static void fill_number(uint64_t *number, const gguf_metadata *metadata, const char *name) {
    char key[256];
    const int len = snprintf(key, sizeof key, "%s.%s", metadata->architecture, name);
    uint64_t found;
    if (*number == 0 && len > 0 && (size_t)len < sizeof key &&
        gguf_metadata_find(metadata, key, &found)) {
        *number = found;
    }
}

weir_code gguf_shape_fill(hyperparameters *shape, arena *memory, const gguf_metadata *metadata,
                          weir_error *err) {
    if (!metadata->architecture || shape->architecture) {
        return WEIR_OK;
    }
    shape->architecture =
        arena_copy_text(memory, metadata->architecture, strlen(metadata->architecture));
    if (!shape->architecture) {
        return weir_fail_nomem(err);
    }
    fill_number(&shape->layers, metadata, "block_count");
    fill_number(&shape->hidden, metadata, "embedding_length");
    fill_number(&shape->heads, metadata, "attention.head_count");
    fill_number(&shape->kv_heads, metadata, "attention.head_count_kv");
    fill_number(&shape->head_dim, metadata, "attention.key_length");
    fill_number(&shape->feed_forward, metadata, "feed_forward_length");
    fill_number(&shape->experts, metadata, "expert_count");
    fill_number(&shape->vocabulary, metadata, "vocab_size");
    if (shape->kv_heads == 0) {
        shape->kv_heads = shape->heads;
    }
    if (shape->head_dim == 0 && shape->heads != 0) {
        shape->head_dim = shape->hidden / shape->heads;
    }
    if (shape->vocabulary == 0) {
        shape->vocabulary = metadata->tokens;
    }
    return WEIR_OK;
}
