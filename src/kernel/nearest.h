/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file nearest.h  Token codes of many rows, and which code of another list is nearest to each, on
 * several threads. Every result belongs to one row alone, so the number of threads changes nothing.
 */
#ifndef WEIR_KERNEL_NEAREST_H
#define WEIR_KERNEL_NEAREST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CODE_WORDS = 4, CODE_BITS = 64 * CODE_WORDS };

/** No code of the other list is usable, or two are equally near. */
#define NEAREST_NONE UINT32_MAX

/** Codes of rows. Only usable ones are compared. */
typedef struct code_list {
    uint64_t (*codes)[CODE_WORDS];
    bool *usable;
    size_t count; /**< below NEAREST_NONE */
} code_list;

/** What rows are coded with. */
typedef struct code_frame {
    const float *tokens; /**< [TOKEN_CODE_ROWS, cols] */
    const float *gain;   /**< [cols], or NULL for 1 */
    size_t cols;
    int threads; /**< at least 1; no more than threads_startable() allows */
} code_frame;

/**
 * Normalise rows as unit_rows_normalise() does, and code them as unit_token_codes() does, into the
 * codes [begin, begin + row_count) of a list; `usable` becomes false for rows that have no
 * direction.
 * @param rows  [row_count, cols], overwritten
 */
void code_list_fill(code_list *out, size_t begin, float *rows, size_t row_count,
                    const code_frame *frame);

/** Bits that differ. */
uint32_t code_distance(const uint64_t a[CODE_WORDS], const uint64_t b[CODE_WORDS]);

/**
 * For each code of `from` the index of the nearest in `to`, or NEAREST_NONE.
 *
 * @param out          from->count indices
 * @param mirror_bits  0, or how many bits of the codes are in use: then a code is as near as its
 * mirror image, min(distance, mirror_bits - distance) Cost: from->count * to->count distances.
 */
void nearest_codes(uint32_t *out, const code_list *from, const code_list *to, uint32_t mirror_bits,
                   int threads);

#endif
