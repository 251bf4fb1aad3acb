/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fingerprint as bytes. Everything is little-endian; floats as their IEEE 754 bits.
 *
 *     8   "WEIRFP\r\n"                    a transfer that turns line ends shows
 *     4   version, 1
 *     4   number of blocks
 *     4   number of grids
 *     4   flags: 1 has tokens
 *     8   parameters
 *     24  tensors, hidden, feed_forward, layers, vocabulary, token_count: 4 bytes each
 *     32  SHA-256 of names and shapes
 *     8   hash of the merges
 *     256 MinHash of the token strings, 32 x 8
 *     --- if has tokens: 256 tags, 256 bytes of Gram signs
 *     --- for each grid: 4 block, 9 x 4 hashes of projections as they are, 9 x 8 x 4 as types hold
 * them
 *     --- for each block, sorted by layer and expert:
 *     4   layer      4 expert       2 valid units
 *     1   flags: 1 has gate, 2 has tokens, 4 is sorted      1 zero
 *     8   hash of its numbers       16 profile, 4 x 4       128 sums, 32 x 4
 *     256 codes of up, 16 x 2 x 8   256 of gate if there    512 of tokens if there
 *     32  SHA-256 of everything before it
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "io/byte_reader.h"
#include "io/digest.h"
#include "sketch/fingerprint.h"

static const char magic[8] = "WEIRFP\r\n";

enum {
    HEAD_BYTES = 8 + 4 * 4 + 8 + 6 * 4 + 32 + 8 + TOKENIZER_HASHES * 8,
    TOKEN_BYTES = TOKEN_PICKS + GRAM_WORDS * 8,
    GRID_BYTES = 4 + GRID_ROLES * 4 * (1 + GRID_TYPES),
    BLOCK_BYTES_MAX = 12 + 8 + PROFILE_COUNT * 4 + PROJECTION_COUNT * 4 +
                      BLOCK_UNITS * 8 * (2 * UNIT_CODE_WORDS + TOKEN_CODE_WORDS),
    FLAG_TOKENS = 1,
    BLOCK_FLAG_GATE = 1,
    BLOCK_FLAG_TOKENS = 2,
    BLOCK_FLAG_SORTED = 4,
};

/* --- writing: room for everything was made before --- */

static void put(uint8_t **to, uint64_t number, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) {
        *(*to)++ = (uint8_t)(number >> (8 * i));
    }
}

static void put_words(uint8_t **to, const uint64_t *words, size_t count) {
    for (size_t i = 0; i < count; i++) {
        put(to, words[i], 8);
    }
}

static void put_shorts(uint8_t **to, const uint32_t *values, size_t count) {
    for (size_t i = 0; i < count; i++) {
        put(to, values[i], 4);
    }
}

static void put_floats(uint8_t **to, const float *values, size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        put(to, bits, 4);
    }
}

static void put_bytes(uint8_t **to, const void *bytes, size_t len) {
    memcpy(*to, bytes, len);
    *to += len;
}

static void put_head(uint8_t **to, const fingerprint *from) {
    put_bytes(to, magic, sizeof magic);
    put(to, FINGERPRINT_VERSION, 4);
    put(to, from->block_count, 4);
    put(to, from->grid_count, 4);
    put(to, from->has_tokens ? FLAG_TOKENS : 0, 4);
    put(to, from->parameters, 8);
    put(to, from->tensors, 4);
    put(to, from->hidden, 4);
    put(to, from->feed_forward, 4);
    put(to, from->layers, 4);
    put(to, from->vocabulary, 4);
    put(to, from->token_count, 4);
    put_bytes(to, from->shapes_hash, sizeof from->shapes_hash);
    put(to, from->merges_hash, 8);
    put_words(to, from->tokenizer, TOKENIZER_HASHES);
    if (from->has_tokens) {
        put_bytes(to, from->token_tags, TOKEN_PICKS);
        put_words(to, from->gram, GRAM_WORDS);
    }
    for (size_t i = 0; i < from->grid_count; i++) {
        put(to, from->grids[i].block, 4);
        put_shorts(to, from->grids[i].own, GRID_ROLES);
        put_shorts(to, from->grids[i].hashes[0], (size_t)GRID_ROLES * GRID_TYPES);
    }
}

static void put_block(uint8_t **to, const sketch_block *block) {
    put(to, (uint32_t)block->layer, 4);
    put(to, (uint32_t)block->expert, 4);
    put(to, block->valid, 2);
    put(to,
        (block->has_gate ? BLOCK_FLAG_GATE : 0U) | (block->has_tokens ? BLOCK_FLAG_TOKENS : 0U) |
            (block->is_sorted ? BLOCK_FLAG_SORTED : 0U),
        1);
    put(to, 0, 1);
    put(to, block->values_hash, 8);
    put_floats(to, block->profile, PROFILE_COUNT);
    put_floats(to, block->projection, PROJECTION_COUNT);
    put_words(to, block->up[0], (size_t)BLOCK_UNITS * UNIT_CODE_WORDS);
    if (block->has_gate) {
        put_words(to, block->gate[0], (size_t)BLOCK_UNITS * UNIT_CODE_WORDS);
    }
    if (block->has_tokens) {
        put_words(to, block->token[0], (size_t)BLOCK_UNITS * TOKEN_CODE_WORDS);
    }
}

static weir_code hash_of(uint8_t out[static DIGEST_BYTES], const uint8_t *bytes, size_t len,
                         weir_error *err) {
    WEIR_CLEANUP(digest_free) digest *hash = NULL;
    WEIR_TRY(digest_new(&hash, err));
    digest_update(hash, bytes, len);
    digest_finish(hash, out);
    return WEIR_OK;
}

weir_code fingerprint_encode(uint8_t **out, size_t *len, const fingerprint *from, weir_error *err) {
    const size_t room = HEAD_BYTES + TOKEN_BYTES + (size_t)GRID_BLOCKS * GRID_BYTES +
                        from->block_count * BLOCK_BYTES_MAX + DIGEST_BYTES;
    WEIR_CLEANUP(free) uint8_t *bytes = malloc(room);
    if (!bytes) {
        return weir_fail_nomem(err);
    }
    uint8_t *end = bytes;
    put_head(&end, from);
    for (size_t i = 0; i < from->block_count; i++) {
        put_block(&end, &from->blocks[i]);
    }
    uint8_t hash[DIGEST_BYTES];
    WEIR_TRY(hash_of(hash, bytes, (size_t)(end - bytes), err));
    put_bytes(&end, hash, sizeof hash);
    *len = (size_t)(end - bytes);
    *out = WEIR_TAKE(bytes);
    return WEIR_OK;
}

/* --- reading --- */

static weir_code get_words(uint64_t *out, byte_reader *from, size_t count, const char *what,
                           weir_error *err) {
    for (size_t i = 0; i < count; i++) {
        WEIR_TRY(byte_reader_u64(&out[i], from, what, err));
    }
    return WEIR_OK;
}

static weir_code get_shorts(uint32_t *out, byte_reader *from, size_t count, const char *what,
                            weir_error *err) {
    for (size_t i = 0; i < count; i++) {
        WEIR_TRY(byte_reader_u32(&out[i], from, what, err));
    }
    return WEIR_OK;
}

static weir_code get_floats(float *out, byte_reader *from, size_t count, const char *what,
                            weir_error *err) {
    for (size_t i = 0; i < count; i++) {
        WEIR_TRY(byte_reader_f32(&out[i], from, what, err));
    }
    return WEIR_OK;
}

static weir_code refuse(const byte_reader *from, const char *expected, uint64_t found,
                        weir_error *err) {
    return weir_fail(err, WEIR_ERR_FORMAT, weir_source_name(from->source),
                     at_byte(byte_reader_offset(from)).text, expected, "%" PRIu64, found);
}

static weir_code get_count(uint32_t *out, byte_reader *from, uint32_t most, const char *what,
                           weir_error *err) {
    WEIR_TRY(byte_reader_u32(out, from, what, err));
    return *out <= most ? WEIR_OK : refuse(from, what, *out, err);
}

static weir_code get_magic(byte_reader *from, weir_error *err) {
    const char *head = NULL;
    uint32_t version = 0;
    WEIR_TRY(byte_reader_view(&head, from, sizeof magic, "the mark of a fingerprint", err));
    if (memcmp(head, magic, sizeof magic) != 0) {
        return weir_fail(err, WEIR_ERR_FORMAT, weir_source_name(from->source), at_byte(0).text,
                         "a fingerprint (\"WEIRFP\")", "other bytes");
    }
    WEIR_TRY(byte_reader_u32(&version, from, "the version", err));
    if (version != FINGERPRINT_VERSION) {
        return weir_fail(err, WEIR_ERR_UNSUPPORTED, weir_source_name(from->source), at_byte(8).text,
                         "fingerprint version 1", "version %" PRIu32, version);
    }
    return WEIR_OK;
}

static weir_code get_head(fingerprint *out, byte_reader *from, weir_error *err) {
    uint32_t block_count = 0;
    uint32_t flags = 0;
    WEIR_TRY(get_magic(from, err));
    WEIR_TRY(get_count(&block_count, from, BLOCK_COUNT_MAX, "at most 2048 blocks", err));
    WEIR_TRY(get_count(&out->grid_count, from, GRID_BLOCKS, "at most 3 grids", err));
    WEIR_TRY(get_count(&flags, from, FLAG_TOKENS, "known flags", err));
    out->block_count = block_count;
    out->has_tokens = flags & FLAG_TOKENS;
    WEIR_TRY(byte_reader_u64(&out->parameters, from, "the parameters", err));
    WEIR_TRY(byte_reader_u32(&out->tensors, from, "the tensors", err));
    WEIR_TRY(byte_reader_u32(&out->hidden, from, "the width", err));
    WEIR_TRY(byte_reader_u32(&out->feed_forward, from, "the units", err));
    WEIR_TRY(byte_reader_u32(&out->layers, from, "the layers", err));
    WEIR_TRY(byte_reader_u32(&out->vocabulary, from, "the vocabulary", err));
    WEIR_TRY(byte_reader_u32(&out->token_count, from, "the token strings", err));
    WEIR_TRY(byte_reader_copy(out->shapes_hash, from, sizeof out->shapes_hash, "a hash", err));
    WEIR_TRY(byte_reader_u64(&out->merges_hash, from, "a hash", err));
    WEIR_TRY(get_words(out->tokenizer, from, TOKENIZER_HASHES, "hashes of tokens", err));
    if (out->has_tokens) {
        WEIR_TRY(byte_reader_copy(out->token_tags, from, TOKEN_PICKS, "token tags", err));
        WEIR_TRY(get_words(out->gram, from, GRAM_WORDS, "Gram signs", err));
    }
    for (size_t i = 0; i < out->grid_count; i++) {
        WEIR_TRY(byte_reader_u32(&out->grids[i].block, from, "a grid's block", err));
        WEIR_TRY(get_shorts(out->grids[i].own, from, GRID_ROLES, "hashes of a grid", err));
        WEIR_TRY(get_shorts(out->grids[i].hashes[0], from, (size_t)GRID_ROLES * GRID_TYPES,
                            "hashes of a grid", err));
        if (out->grids[i].block >= block_count) {
            return refuse(from, "a grid of a block that is there", out->grids[i].block, err);
        }
    }
    return WEIR_OK;
}

static bool follows(const sketch_block *block, const sketch_block *before) {
    return block->layer > before->layer ||
           (block->layer == before->layer && block->expert > before->expert);
}

static weir_code get_block_head(sketch_block *out, byte_reader *from, weir_error *err) {
    uint32_t layer = 0;
    uint32_t expert = 0;
    uint8_t flags = 0;
    uint8_t zero = 0;
    WEIR_TRY(byte_reader_u32(&layer, from, "a layer", err));
    WEIR_TRY(byte_reader_u32(&expert, from, "an expert", err));
    WEIR_TRY(byte_reader_u16(&out->valid, from, "the units that take part", err));
    WEIR_TRY(byte_reader_u8(&flags, from, "flags", err));
    WEIR_TRY(byte_reader_u8(&zero, from, "a zero", err));
    out->layer = (int32_t)layer;
    out->expert = (int32_t)expert;
    if (out->layer < 0 || out->expert < EXPERT_SHARED || out->expert >= BLOCK_EXPERTS) {
        return refuse(from, "a layer and an expert", layer, err);
    }
    if (flags > (BLOCK_FLAG_GATE | BLOCK_FLAG_TOKENS | BLOCK_FLAG_SORTED) || zero != 0) {
        return refuse(from, "known flags", flags, err);
    }
    out->has_gate = flags & BLOCK_FLAG_GATE;
    out->has_tokens = flags & BLOCK_FLAG_TOKENS;
    out->is_sorted = flags & BLOCK_FLAG_SORTED;
    return WEIR_OK;
}

static weir_code get_block(sketch_block *out, byte_reader *from, weir_error *err) {
    WEIR_TRY(get_block_head(out, from, err));
    WEIR_TRY(byte_reader_u64(&out->values_hash, from, "a hash", err));
    WEIR_TRY(get_floats(out->profile, from, PROFILE_COUNT, "the profile", err));
    WEIR_TRY(get_floats(out->projection, from, PROJECTION_COUNT, "the sums", err));
    WEIR_TRY(
        get_words(out->up[0], from, (size_t)BLOCK_UNITS * UNIT_CODE_WORDS, "codes of up", err));
    if (out->has_gate) {
        WEIR_TRY(get_words(out->gate[0], from, (size_t)BLOCK_UNITS * UNIT_CODE_WORDS,
                           "codes of gate", err));
    }
    if (out->has_tokens) {
        WEIR_TRY(get_words(out->token[0], from, (size_t)BLOCK_UNITS * TOKEN_CODE_WORDS,
                           "token codes", err));
    }
    return WEIR_OK;
}

static weir_code get_blocks(fingerprint *out, byte_reader *from, weir_error *err) {
    out->blocks = calloc(out->block_count + 1, sizeof *out->blocks);
    if (!out->blocks) {
        return weir_fail_nomem(err);
    }
    for (size_t i = 0; i < out->block_count; i++) {
        WEIR_TRY(get_block(&out->blocks[i], from, err));
        if (i > 0 && !follows(&out->blocks[i], &out->blocks[i - 1])) {
            return refuse(from, "blocks in order", i, err);
        }
    }
    return WEIR_OK;
}

static weir_code check_hash(const byte_reader *from, const uint8_t *bytes, size_t len,
                            weir_error *err) {
    uint8_t hash[DIGEST_BYTES];
    const uint64_t end = byte_reader_offset(from);
    if (len - end != DIGEST_BYTES) {
        return refuse(from, "a SHA-256 and nothing more", len - end, err);
    }
    WEIR_TRY(hash_of(hash, bytes, (size_t)end, err));
    if (memcmp(hash, bytes + end, DIGEST_BYTES) != 0) {
        return weir_fail(err, WEIR_ERR_FORMAT, weir_source_name(from->source), at_byte(end).text,
                         "the SHA-256 of what stands before it", "another: the file is damaged");
    }
    return WEIR_OK;
}

weir_code fingerprint_decode(fingerprint **out, const uint8_t *bytes, size_t len, const char *name,
                             weir_error *err) {
    WEIR_CLEANUP(fingerprint_free) fingerprint *sketch = calloc(1, sizeof *sketch);
    WEIR_CLEANUP(weir_source_free) weir_source *source = NULL;
    WEIR_CLEANUP(byte_reader_release) byte_reader reader = {0};
    if (!sketch) {
        return weir_fail_nomem(err);
    }
    WEIR_TRY(weir_source_open_memory(&source, bytes, len, name, err));
    WEIR_TRY(byte_reader_init(&reader, source, 0, len, err));
    WEIR_TRY(get_head(sketch, &reader, err));
    if (byte_reader_left(&reader) / (12 + 8) < sketch->block_count) {
        return refuse(&reader, "as many blocks as the file has room for", sketch->block_count, err);
    }
    WEIR_TRY(get_blocks(sketch, &reader, err));
    WEIR_TRY(check_hash(&reader, bytes, len, err));
    *out = WEIR_TAKE(sketch);
    return WEIR_OK;
}
