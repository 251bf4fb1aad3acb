/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/nearest.h"

#include <string.h>

#include "kernel/unit_code.h"

enum { SLICE_ROWS = 16 };

static void code_slice(code_list *out, size_t begin, float *rows, size_t row_count,
                       const code_frame *frame) {
    for (size_t i = 0; i < row_count; i++) {
        out->usable[begin + i] = true;
    }
    unit_rows_normalise(rows, row_count, frame->cols, frame->gain, out->usable + begin);
    unit_token_codes(out->codes + begin, rows, row_count, frame->cols, frame->tokens);
}

void code_list_fill(code_list *out, size_t begin, float *rows, size_t row_count,
                    const code_frame *frame) {
    const size_t slices = (row_count + SLICE_ROWS - 1) / SLICE_ROWS;
#pragma omp parallel for num_threads(frame->threads) schedule(dynamic, 1)
    for (size_t slice = 0; slice < slices; slice++) {
        const size_t first = slice * SLICE_ROWS;
        const size_t count = row_count - first < SLICE_ROWS ? row_count - first : SLICE_ROWS;
        code_slice(out, begin + first, rows + first * frame->cols, count, frame);
    }
}

/* Bits in bytes, the bytes of all words together, the bytes added up: a machine's own instruction
 * for this is not part of the base level. Eight bits a word and byte, 4 words: at most 32 a byte.
 */
static uint64_t byte_counts(uint64_t bits) {
    bits -= bits >> 1 & 0x5555555555555555U;
    bits = (bits & 0x3333333333333333U) + (bits >> 2 & 0x3333333333333333U);
    return (bits + (bits >> 4)) & 0x0F0F0F0F0F0F0F0FU;
}

uint32_t code_distance(const uint64_t a[CODE_WORDS], const uint64_t b[CODE_WORDS]) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < CODE_WORDS; i++) {
        bytes += byte_counts(a[i] ^ b[i]);
    }
    const uint64_t pairs = (bytes & 0x00FF00FF00FF00FFU) + (bytes >> 8 & 0x00FF00FF00FF00FFU);
    return (uint32_t)((pairs * 0x0001000100010001U) >> 48);
}

static uint32_t nearest_code(const uint64_t code[CODE_WORDS], const code_list *to,
                             uint32_t mirror_bits) {
    uint32_t nearest = NEAREST_NONE;
    uint32_t lowest = UINT32_MAX;
    for (size_t j = 0; j < to->count; j++) {
        if (!to->usable[j]) {
            continue;
        }
        const uint32_t straight = code_distance(code, to->codes[j]);
        const uint32_t mirrored = straight < mirror_bits ? mirror_bits - straight : 0;
        const uint32_t distance = mirror_bits && mirrored < straight ? mirrored : straight;
        if (distance < lowest) {
            lowest = distance;
            nearest = (uint32_t)j;
        } else if (distance == lowest) {
            nearest = NEAREST_NONE;
        }
    }
    return nearest;
}

void nearest_codes(uint32_t *out, const code_list *from, const code_list *to, uint32_t mirror_bits,
                   int threads) {
#pragma omp parallel for num_threads(threads) schedule(dynamic, 16)
    for (size_t i = 0; i < from->count; i++) {
        out[i] = from->usable[i] ? nearest_code(from->codes[i], to, mirror_bits) : NEAREST_NONE;
    }
}
