/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file search_index.h  The derived file that millions of fingerprints are searched with.
 *
 * Each fingerprint has a hot code: the majority sign, over its blocks, of every bit of its unit
 * codes and of its token codes, so that the order and the number of layers do not matter. Entries
 * whose hot codes are nearly equal form a family with one leader; a search scans the leaders
 * (popcount) and then looks into the families that the caller asks for. hot_code.c says what a
 * search finds and why, families.h who becomes a leader.
 *
 * A search only proposes: whoever asks tests what it brings up.
 *
 * The file is derived from the registry, can be made again at any time, and is replaced atomically.
 * It is the program's own file: it may be mapped. docs/formats/search-index.md has its layout. What
 * is damaged in its header is refused when it is opened, what is damaged elsewhere by
 * search_index_verify(); whatever the bytes are, no read leaves the file.
 */
#ifndef WEIR_SKETCH_SEARCH_INDEX_H
#define WEIR_SKETCH_SEARCH_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sketch/fingerprint.h"

enum {
    HOT_UNIT_WORDS = 64,  /* 4096 bits: 16 units x 128 of up, then 16 x 128 of gate */
    HOT_TOKEN_WORDS = 32, /* 2048 bits: 16 units, the first 128 token bits */
    SEARCH_ENTRIES_MAX = 1 << 30,
};

/** Bits with weights 0 to 3: low + 2 high. Only a code that is searched with needs the weights. */
typedef struct hot_code {
    uint64_t unit[HOT_UNIT_WORDS]; /**< all zero where the fingerprint lacks it, as below */
    uint64_t unit_low[HOT_UNIT_WORDS];
    uint64_t unit_high[HOT_UNIT_WORDS];
    uint64_t token[HOT_TOKEN_WORDS];
    uint64_t token_low[HOT_TOKEN_WORDS];
    uint64_t token_high[HOT_TOKEN_WORDS];
    uint32_t hidden; /**< unit codes compare only at equal width */
    bool has_unit;
    bool has_gate; /**< without it the second half of unit is zero and does not count */
    bool has_token;
} hot_code;

/**
 * Majority sign over the blocks; a tie takes the bit of the first block that takes part. The weight
 * of a bit grows with its majority. A unit that no block has takes bits that only equal
 * fingerprints share, and weighs nothing.
 */
void hot_code_make(hot_code *out, const fingerprint *from);

/** Gathers entries, groups them into families and writes the file. */
typedef struct search_index_writer search_index_writer;
weir_code search_index_writer_open(search_index_writer **out, weir_error *err);

/**
 * Add one entry; its weights are not used. A code with neither part is left out, and not counted:
 * nothing could find it.
 * @param entry  the caller's number for it (the registry's row id): larger than any before it, so
 * that a set of entries gives one file, byte for byte
 * @return WEIR_OK; WEIR_ERR_ARG when it is not larger; WEIR_ERR_LIMIT past SEARCH_ENTRIES_MAX;
 * WEIR_ERR_NOMEM
 */
weir_code search_index_writer_add(search_index_writer *writer, uint64_t entry, const hot_code *code,
                                  weir_error *err);

/**
 * Write to `path` by way of a temporary file in the same folder, fsync and rename; on failure
 * nothing is left behind and a file that was there stays.
 * @param generation  kept in the file: what state of the registry it was made from
 * @return WEIR_OK; WEIR_ERR_IO; WEIR_ERR_NOMEM
 */
weir_code search_index_writer_finish(search_index_writer *writer, const char *path,
                                     uint64_t generation, weir_error *err);
void search_index_writer_free(search_index_writer *writer);
WEIR_DEFINE_CLEANUP(search_index_writer *, search_index_writer_free)

/** Shareable between threads. */
typedef struct search_index search_index;

/**
 * Map the file. Only its header and its table of groups are read, so that the cost does not depend
 * on its size.
 * @return WEIR_OK; WEIR_ERR_IO when missing; WEIR_ERR_FORMAT when truncated or damaged;
 * WEIR_ERR_UNSUPPORTED for another version; WEIR_ERR_NOMEM
 */
weir_code search_index_open(search_index **out, const char *path, weir_error *err);

/** The same over bytes that stay the caller's and must outlive *out. @param name  for errors */
weir_code search_index_open_memory(search_index **out, const uint8_t *bytes, size_t len,
                                   const char *name, weir_error *err);

/** Read all of it and compare with the checksums. @return WEIR_OK; WEIR_ERR_FORMAT; WEIR_ERR_NOMEM
 */
weir_code search_index_verify(const search_index *index, weir_error *err);

uint64_t search_index_entry_count(const search_index *index);
uint64_t search_index_leader_count(const search_index *index);
uint64_t search_index_generation(const search_index *index);
/** @return lower-case hex of the SHA-256 that names this state of the index: "index_id" in results.
 */
const char *search_index_id(const search_index *index);

/** One entry that a search brought up. */
typedef struct search_hit {
    uint64_t entry;
    uint32_t family;      /**< of which leader: index into the leaders */
    uint32_t family_size; /**< the leader counted */
    float unit_score;     /**< standard deviations above chance, for bits b with weights w:
                             (sum w [b agrees] - sum w / 2) / (sqrt(sum w^2) / 2) */
    float token_score;    /**< NAN where a part is missing or, of unit, the widths differ */
} search_hit;

/**
 * The leaders nearest to a code: the best `wanted` by unit score and the best `wanted` by token
 * score; and where the nearest is recognised, the best half of `wanted` by those unit bits in which
 * the code differs from that one, so that a second parent is found beside a first with many
 * relatives. Each leader once, sorted by the better of its scores, ties by entry: a second parent
 * need not be among the first, so all should be tested. The result is the same for any number of
 * threads.
 * @param[out] out  *count hits, malloc'ed
 * @param jobs      threads; 0 for one per core
 * @return WEIR_OK; WEIR_ERR_FORMAT when the index is damaged; WEIR_ERR_NOMEM
 */
weir_code search_index_leaders(search_hit **out, size_t *count, const search_index *index,
                               const hot_code *code, size_t wanted, unsigned jobs, weir_error *err);

/**
 * The members of a family nearest to a code, at most `wanted`, the leader among them. Scores are
 * those of the short codes: 256 bits of each part, or 512 of the only one. Sorted by their sum;
 * where the leader is recognised (5 or more) by only one part, by that.
 * @return as above; WEIR_ERR_ARG for a family that is not there
 */
weir_code search_index_members(search_hit **out, size_t *count, const search_index *index,
                               uint32_t family, const hot_code *code, size_t wanted,
                               weir_error *err);

void search_index_free(search_index *index);
WEIR_DEFINE_CLEANUP(search_index *, search_index_free)

#endif
