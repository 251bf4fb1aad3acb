/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file search_index.h  The derived file that millions of fingerprints are searched with.
 *
 * Each fingerprint has a hot code: the majority sign, over its blocks, of every bit of its unit
 * codes and of its token codes, so that the order and the number of layers do not matter. Entries
 * whose hot codes are nearly equal form a family with one leader; a search scans the leaders
 * (popcount) and then looks into the families that the caller asks for.
 *
 * The file is derived from the registry, can be made again at any time, and is replaced atomically.
 * It is the program's own file: it may be mapped. A damaged one is refused (checksum of every
 * section), and the caller builds it anew.
 */
#ifndef WEIR_SKETCH_SEARCH_INDEX_H
#define WEIR_SKETCH_SEARCH_INDEX_H

#include <stddef.h>
#include <stdint.h>

#include "sketch/fingerprint.h"

enum {
    HOT_UNIT_WORDS = 64,  /* 4096 bits: 16 units, up and gate, 128 bits each */
    HOT_TOKEN_WORDS = 32, /* 2048 bits: 16 units, the first 128 token bits */
};

/** What is searched. All of a part is zero when the fingerprint lacks it. */
typedef struct hot_code {
    uint64_t unit[HOT_UNIT_WORDS];
    uint64_t token[HOT_TOKEN_WORDS];
    uint32_t hidden; /**< unit codes compare only at equal width */
    bool has_unit;
    bool has_token;
} hot_code;

/** Majority sign over the blocks; a tie is broken by the bit of the first block that takes part. */
void hot_code_make(hot_code *out, const fingerprint *from);

/** Gathers entries, groups them into families and writes the file. */
typedef struct search_index_writer search_index_writer;
weir_code search_index_writer_open(search_index_writer **out, weir_error *err);
/** @param entry  the caller's number for it (the registry's row id); unique */
weir_code search_index_writer_add(search_index_writer *writer, uint64_t entry, const hot_code *code,
                                  weir_error *err);
/**
 * Write to `path` by way of a temporary file in the same folder, fsync and rename.
 * @param generation  kept in the file: what state of the registry it was made from
 */
weir_code search_index_writer_finish(search_index_writer *writer, const char *path,
                                     uint64_t generation, weir_error *err);
void search_index_writer_free(search_index_writer *writer);
WEIR_DEFINE_CLEANUP(search_index_writer *, search_index_writer_free)

typedef struct search_index search_index;
/** @return WEIR_OK; WEIR_ERR_IO when missing; WEIR_ERR_FORMAT when damaged; WEIR_ERR_UNSUPPORTED */
weir_code search_index_open(search_index **out, const char *path, weir_error *err);
uint64_t search_index_entry_count(const search_index *index);
uint64_t search_index_leader_count(const search_index *index);
uint64_t search_index_generation(const search_index *index);
/** @return lower-case hex of the SHA-256 that names this state of the index: "index_id" in results.
 */
const char *search_index_id(const search_index *index);

/** One entry that a search brought up. */
typedef struct search_hit {
    uint64_t entry;
    uint32_t family; /**< of which leader: index into the leaders */
    uint32_t family_size;
    float unit_score;  /**< standard deviations above chance: (agreeing bits - n/2) / (sqrt(n)/2) */
    float token_score; /**< NAN where a part is missing or the widths differ */
} search_hit;

/**
 * The leaders nearest to a code: the best `wanted` by unit score and the best `wanted` by token
 * score, each leader once, sorted by the better of its scores, ties by entry. The result is the
 * same for any number of threads.
 * @param[out] out  *count hits, malloc'ed
 */
weir_code search_index_leaders(search_hit **out, size_t *count, const search_index *index,
                               const hot_code *code, size_t wanted, unsigned jobs, weir_error *err);

/** The members of a family nearest to a code, at most `wanted`, the leader among them. */
weir_code search_index_members(search_hit **out, size_t *count, const search_index *index,
                               uint32_t family, const hot_code *code, size_t wanted,
                               weir_error *err);

void search_index_free(search_index *index);
WEIR_DEFINE_CLEANUP(search_index *, search_index_free)

#endif
