/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file claims.h  What files say about their model. Claims are context: they never decide a weight
 * verdict.
 *
 * Claim names are dotted: the file's kind, then the key as its writer spells it, nested keys joined
 * by dots: "config.hidden_size", "card.base_model", "adapter.r", "gguf.general.name",
 * "merge.merge_method", "trainer.total_flos", "safetensors.format". Lists of scalars are joined by
 * ", ".
 */
#ifndef WEIR_FORMAT_CLAIMS_H
#define WEIR_FORMAT_CLAIMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "weir/error.h"
#include "weir/model.h"

/** Zero-initialise; release with claims_release(). Texts live in `memory`. */
typedef struct claims {
    arena memory;
    weir_claim *items;
    size_t count;
    size_t capacity;
} claims;

/**
 * Add a claim; everything is copied and made printable, a value over CLAIM_VALUE_BYTES_MAX is cut.
 * @param claim  its `value` has `value_len` bytes, of which any may be NUL; `at` may be NULL
 */
weir_code claims_add(claims *list, const weir_claim *claim, size_t value_len, weir_error *err);

/** @return the value of the first claim of that name, or NULL. Borrowed. */
const char *claims_find(const claims *list, const char *name);

/** @return whether the first claim of that name is a plain unsigned integer. */
bool claims_find_u64(const claims *list, const char *name, uint64_t *out);

void claims_release(claims *list);

#endif
