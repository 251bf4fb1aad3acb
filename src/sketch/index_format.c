/* SPDX-License-Identifier: Apache-2.0 */
#include "sketch/index_format.h"

#include <string.h>

#include "base/checked.h"

bool index_layout(index_extent out[SECTION_COUNT], uint64_t *file_bytes,
                  const index_counts *counts) {
    const uint64_t members = counts->entries - counts->leaders;
    const struct {
        uint64_t count, size;
    } sections[SECTION_COUNT] = {
        [SECTION_GROUPS] = {counts->groups, GROUP_BYTES},
        [SECTION_UNIT_CODES] = {counts->leaders, UNIT_BYTES},
        [SECTION_TOKEN_CODES] = {counts->leaders, TOKEN_BYTES},
        [SECTION_LEADERS] = {counts->leaders, LEADER_BYTES},
        [SECTION_MEMBER_CODES] = {members, SHORT_BYTES},
        [SECTION_MEMBERS] = {members, ENTRY_BYTES},
    };
    uint64_t end = INDEX_HEADER_BYTES;
    for (size_t i = 0; i < SECTION_COUNT; i++) {
        if (!checked_align_u64(&out[i].offset, end, INDEX_ALIGNMENT) ||
            !checked_mul_u64(&out[i].bytes, sections[i].count, sections[i].size) ||
            !checked_add_u64(&end, out[i].offset, out[i].bytes)) {
            return false;
        }
    }
    *file_bytes = end;
    return true;
}

uint32_t hot_code_parts(const hot_code *code) {
    const uint32_t unit = code->has_unit ? PART_UNIT : 0;
    const uint32_t gate = code->has_unit && code->has_gate ? PART_GATE : 0;
    return unit | gate | (code->has_token ? PART_TOKEN : 0);
}

void index_put_words(uint8_t *out, const uint64_t *words, size_t count) {
    for (size_t i = 0; i < count; i++) {
        index_put_u64(out + 8 * i, words[i]);
    }
}

void index_shorten(uint8_t out[static SHORT_BYTES], const uint8_t *unit, const uint8_t *token,
                   uint32_t parts) {
    const bool has_both = (parts & PART_UNIT) && (parts & PART_TOKEN);
    const uint8_t *first = parts & PART_UNIT ? unit : token;
    for (size_t i = 0; i < BLOCK_UNITS; i++) {
        /* A unit has 16 bytes in either part. */
        memcpy(out + 2 * i, first + 16 * i, 2);
        memcpy(out + SHORT_BYTES / 2 + 2 * i, has_both ? token + 16 * i : first + 16 * i + 2, 2);
    }
}
