/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file index_format.h  The layout of the search index: docs/formats/search-index.md as code.
 *
 * All numbers are little-endian, and the words of codes too, so that a code is a string of bytes on
 * every machine. Sections follow each other in the order of index_section, each at the next
 * multiple of INDEX_ALIGNMENT; so the counts alone say where everything stands, and a file in which
 * it stands elsewhere is refused.
 */
#ifndef WEIR_SKETCH_INDEX_FORMAT_H
#define WEIR_SKETCH_INDEX_FORMAT_H

#include <stdbool.h>
#include <stdint.h>

#include "io/digest.h"
#include "sketch/search_index.h"

#define INDEX_MAGIC "WEIRIX\r\n"

enum {
    INDEX_VERSION = 1,
    INDEX_HEADER_BYTES = 512,
    INDEX_DIGEST_AT = INDEX_HEADER_BYTES - DIGEST_BYTES, /* of everything before it */
    INDEX_SECTIONS_AT = 56,
    INDEX_SECTION_ROW_BYTES = 16 + DIGEST_BYTES,
    INDEX_ALIGNMENT = 64,
    INDEX_GROUPS_MAX = 1 << 20,
    UNIT_BYTES = 8 * HOT_UNIT_WORDS,
    TOKEN_BYTES = 8 * HOT_TOKEN_WORDS,
    SHORT_BYTES = 64,
    GROUP_BYTES = 16,
    LEADER_BYTES = 16,
    ENTRY_BYTES = 8,
};

typedef enum index_section {
    SECTION_GROUPS,       /**< u32 hidden, parts, leaders, 0; sorted by hidden and parts */
    SECTION_UNIT_CODES,   /**< UNIT_BYTES a leader, in the order of groups and entries */
    SECTION_TOKEN_CODES,  /**< TOKEN_BYTES a leader */
    SECTION_LEADERS,      /**< u64 entry, u32 first member, u32 members */
    SECTION_MEMBER_CODES, /**< SHORT_BYTES a member, family after family, sorted by entry */
    SECTION_MEMBERS,      /**< u64 entry */
    SECTION_COUNT,
} index_section;

enum { PART_UNIT = 1, PART_GATE = 2, PART_TOKEN = 4, PARTS_MAX = 7 };

/** Leaders of one width and of the same parts stand together. */
typedef struct index_group {
    uint32_t hidden;
    uint32_t parts;
    uint32_t first_leader;
    uint32_t leader_count;
} index_group;

typedef struct index_counts {
    uint64_t entries;
    uint64_t leaders;
    uint32_t groups;
} index_counts;

typedef struct index_extent {
    uint64_t offset;
    uint64_t bytes;
} index_extent;

/** Where sections stand, and the size of the file. @return false when it does not fit 64 bits */
bool index_layout(index_extent out[SECTION_COUNT], uint64_t *file_bytes,
                  const index_counts *counts);

uint32_t hot_code_parts(const hot_code *code);

/** The words as bytes. */
void index_put_words(uint8_t *out, const uint64_t *words, size_t count);

/**
 * The short code: the first 16 bits of each unit's up and the first 16 of its token code; without
 * tokens 32 bits of up; without up 32 of tokens. Given the bytes of the two parts, or of their
 * weights.
 */
void index_shorten(uint8_t out[static SHORT_BYTES], const uint8_t *unit, const uint8_t *token,
                   uint32_t parts);

static inline uint32_t index_get_u32(const uint8_t *bytes) {
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
           (uint32_t)bytes[3] << 24;
}

static inline uint64_t index_get_u64(const uint8_t *bytes) {
    return index_get_u32(bytes) | (uint64_t)index_get_u32(bytes + 4) << 32;
}

static inline void index_put_u32(uint8_t *bytes, uint32_t number) {
    for (size_t i = 0; i < 4; i++) {
        bytes[i] = (uint8_t)(number >> 8 * i);
    }
}

static inline void index_put_u64(uint8_t *bytes, uint64_t number) {
    index_put_u32(bytes, (uint32_t)number);
    index_put_u32(bytes + 4, (uint32_t)(number >> 32));
}

#endif
