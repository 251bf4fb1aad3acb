/* SPDX-License-Identifier: Apache-2.0 */
/** @file index_map.h  An opened search index, from inside. */
#ifndef WEIR_SKETCH_INDEX_MAP_H
#define WEIR_SKETCH_INDEX_MAP_H

#include "sketch/index_format.h"

struct search_index {
    const uint8_t *bytes;
    size_t len;
    bool is_mapped;
    char *name; /**< for errors; no path */
    index_counts counts;
    uint64_t generation;
    index_extent at[SECTION_COUNT];
    uint8_t sha256[SECTION_COUNT][DIGEST_BYTES];
    char id[DIGEST_TEXT_BYTES];
    index_group *groups; /**< they cover the leaders */
};

/** Where a section's record stands; `record` must be below its count. */
static inline const uint8_t *index_record(const search_index *index, index_section section,
                                          uint64_t record, size_t record_bytes) {
    return index->bytes + index->at[section].offset + record * record_bytes;
}

static inline uint64_t index_member_count(const search_index *index) {
    return index->counts.entries - index->counts.leaders;
}

#endif
