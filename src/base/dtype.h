/* SPDX-License-Identifier: Apache-2.0 */
/** @file dtype.h  Look-ups in the dtype table that only parsers need. */
#ifndef WEIR_BASE_DTYPE_H
#define WEIR_BASE_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/dtype.h"

/** Find a dtype by its safetensors spelling (exact case). @return false when it is none of the 22.
 */
bool dtype_find_safetensors(weir_dtype *out, const char *name, size_t len);

/** Find a dtype by its id in a GGUF file. @return false for removed and unknown ids. */
bool dtype_find_ggml(weir_dtype *out, uint32_t ggml_type);

/**
 * Bytes of `count` elements.
 * @return false when the product wraps or `count` is not a whole number of blocks
 */
bool dtype_bytes(uint64_t *out, weir_dtype dtype, uint64_t count);

#endif
