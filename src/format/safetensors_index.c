/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model.safetensors.index.json:
 *
 *     {"metadata": {"total_size": BYTES, ...}, "weight_map": {"TENSOR": "SHARD FILE", ...}}
 *
 * A shard name is a path that a reader opens, so one that leaves the folder of the index is an
 * attack on the reader. Other members are skipped: writers add their own. Source:
 * huggingface/huggingface_hub, serialization of sharded state dicts; huggingface/transformers,
 * `get_checkpoint_shard_files`, which joins each name to the folder.
 */
#include "format/safetensors.h"

#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "base/limits.h"
#include "base/text.h"
#include "format/name_set.h"
#include "io/json_reader.h"

typedef struct index_reading {
    safetensors_index *index;
    weir_source *source;
    weir_findings *findings;
    json_reader *json;
    size_t entry_capacity;
    name_set tensors;
    name_set shards;
} index_reading;

static void index_reading_release_cleanup(index_reading *reading) {
    json_reader_free(reading->json);
    name_set_release(&reading->tensors);
    name_set_release(&reading->shards);
}

static weir_code fail_at(const index_reading *reading, const json_token *token,
                         const char *expected, const char *found, weir_error *err) {
    return weir_fail(err, WEIR_ERR_FORMAT, weir_source_name(reading->source),
                     at_byte(token->offset).text, expected, "%s", found);
}

static weir_code fail_limit(const index_reading *reading, const json_token *token,
                            const char *expected, weir_error *err) {
    return weir_fail(err, WEIR_ERR_LIMIT, weir_source_name(reading->source),
                     at_byte(token->offset).text, expected, "more");
}

static bool is_separator(char byte) {
    return byte == '/' || byte == '\\';
}

/*
 * Whether a shard name can lead out of the index's folder on any system: absolute, a drive, a home,
 * an address, a ".." component (backslashes separate on Windows), or an end in the middle for C.
 */
static bool leads_outside(const char *name, size_t len) {
    if (strlen(name) != len || is_separator(name[0]) || strstr(name, "://") ||
        strncmp(name, "~/", 2) == 0) {
        return true;
    }
    const char first = (char)(name[0] | 0x20);
    if (first >= 'a' && first <= 'z' && name[1] == ':') {
        return true;
    }
    for (size_t i = 0; i < len; i++) {
        const bool starts_part = i == 0 || is_separator(name[i - 1]);
        if (starts_part && name[i] == '.' && name[i + 1] == '.' &&
            (name[i + 2] == '\0' || is_separator(name[i + 2]))) {
            return true;
        }
    }
    return false;
}

static weir_code fail_outside(const index_reading *reading, const json_token *shard,
                              const char *tensor, weir_error *err) {
    char shown[200]; /* a NUL in the name must be seen, not end it */
    text_escape(shown, sizeof shown, shard->text, shard->len);
    findings_add(reading->findings,
                 &(weir_finding){.id = "index-shard-outside",
                                 .severity = WEIR_SEVERITY_CRITICAL,
                                 .verdict = WEIR_VERDICT_MALICIOUS,
                                 .file = weir_source_name(reading->source),
                                 .at = at_byte(shard->offset).text},
                 "tensor %.200s is said to lie in \"%.200s\", outside the folder of the index",
                 tensor, shown);
    return weir_fail(err, WEIR_ERR_FORMAT, weir_source_name(reading->source),
                     at_byte(shard->offset).text, "a shard inside the folder of the index",
                     "%.150s", shown);
}

/* The index of a shard's name, which is added when it is new. */
static weir_code find_shard(index_reading *reading, uint32_t *out, const json_token *token,
                            weir_error *err) {
    safetensors_index *index = reading->index;
    char *name = arena_copy_text(&index->memory, token->text, token->len);
    if (!name) {
        return weir_fail_nomem(err);
    }
    const uint32_t fresh = (uint32_t)index->shard_count;
    WEIR_TRY(name_set_add(&reading->shards, out, name, fresh, err));
    if (*out != fresh) {
        return WEIR_OK;
    }
    if (index->shard_count == SHARD_COUNT_MAX) {
        return fail_limit(reading, token, "at most 4096 shards", err);
    }
    index->shards[index->shard_count++] = name;
    return WEIR_OK;
}

static weir_code take_tensor_name(index_reading *reading, char **out, const json_token *key,
                                  weir_error *err) {
    safetensors_index *index = reading->index;
    if (strlen(key->text) != key->len) {
        return fail_at(reading, key, "a tensor name without NUL", "a NUL in it", err);
    }
    if (key->len > TENSOR_NAME_BYTES_MAX) {
        return fail_limit(reading, key, "a tensor name of at most 1024 bytes", err);
    }
    if (index->entry_count == TENSOR_COUNT_MAX) {
        return fail_limit(reading, key, "at most 1048576 tensors", err);
    }
    char *name = arena_copy_text(&index->memory, key->text, key->len);
    if (!name) {
        return weir_fail_nomem(err);
    }
    const uint32_t fresh = (uint32_t)index->entry_count;
    uint32_t held;
    WEIR_TRY(name_set_add(&reading->tensors, &held, name, fresh, err));
    if (held != fresh) {
        return fail_at(reading, key, "each tensor once in weight_map", name, err);
    }
    *out = name;
    return WEIR_OK;
}

static weir_code add_entry(index_reading *reading, const char *tensor, uint32_t shard,
                           weir_error *err) {
    safetensors_index *index = reading->index;
    void *entries = index->entries;
    if (!checked_grow(&entries, &reading->entry_capacity, index->entry_count,
                      sizeof *index->entries)) {
        return weir_fail_nomem(err);
    }
    index->entries = entries;
    index->entries[index->entry_count++] = (struct index_entry){.tensor = tensor, .shard = shard};
    return WEIR_OK;
}

static weir_code read_weight(index_reading *reading, const json_token *key, weir_error *err) {
    char *tensor = NULL;
    WEIR_TRY(take_tensor_name(reading, &tensor, key, err));
    json_token token;
    WEIR_TRY(json_reader_next(reading->json, &token, err));
    if (token.kind != JSON_STRING || token.len == 0) {
        return fail_at(reading, &token, "the name of a shard file",
                       token.kind == JSON_STRING ? "an empty string" : "another value", err);
    }
    if (leads_outside(token.text, token.len)) {
        return fail_outside(reading, &token, tensor, err);
    }
    uint32_t shard = 0;
    WEIR_TRY(find_shard(reading, &shard, &token, err));
    return add_entry(reading, tensor, shard, err);
}

static weir_code read_weight_map(index_reading *reading, weir_error *err) {
    json_token token;
    WEIR_TRY(json_reader_next(reading->json, &token, err));
    if (token.kind != JSON_OBJECT_BEGIN) {
        return fail_at(reading, &token, "an object as weight_map", "another value", err);
    }
    WEIR_TRY(json_reader_next(reading->json, &token, err));
    while (token.kind != JSON_OBJECT_END) {
        WEIR_TRY(read_weight(reading, &token, err));
        WEIR_TRY(json_reader_next(reading->json, &token, err));
    }
    return WEIR_OK;
}

/* Some writers give total_size as a float; one that is no count of bytes is not taken. */
static void take_total_size(safetensors_index *index, const json_token *token) {
    double size;
    if (json_token_u64(token, &index->total_size)) {
        return;
    }
    if (json_token_double(token, &size) && size >= 0 && size < 0x1p63 &&
        (double)(uint64_t)size == size) {
        index->total_size = (uint64_t)size;
    }
}

static weir_code read_index_metadata(index_reading *reading, weir_error *err) {
    json_token token;
    WEIR_TRY(json_reader_next(reading->json, &token, err));
    if (token.kind != JSON_OBJECT_BEGIN) {
        return json_reader_skip(reading->json, &token, err);
    }
    WEIR_TRY(json_reader_next(reading->json, &token, err));
    while (token.kind != JSON_OBJECT_END) {
        const bool is_total_size = json_token_is(&token, "total_size");
        WEIR_TRY(json_reader_next(reading->json, &token, err));
        if (is_total_size) {
            take_total_size(reading->index, &token);
        }
        WEIR_TRY(json_reader_skip(reading->json, &token, err));
        WEIR_TRY(json_reader_next(reading->json, &token, err));
    }
    return WEIR_OK;
}

/* Which of the two members that count were there. */
typedef struct index_members {
    bool map;
    bool metadata;
} index_members;

static weir_code read_index_member(index_reading *reading, index_members *seen,
                                   const json_token *key, weir_error *err) {
    const bool is_map = json_token_is(key, "weight_map");
    if (!is_map && !json_token_is(key, "metadata")) {
        return json_reader_skip(reading->json, key, err);
    }
    bool *const was_seen = is_map ? &seen->map : &seen->metadata;
    if (*was_seen) {
        return fail_at(reading, key, "weight_map and metadata once", "a second one", err);
    }
    *was_seen = true;
    return is_map ? read_weight_map(reading, err) : read_index_metadata(reading, err);
}

static weir_code read_index_members(index_reading *reading, weir_error *err) {
    index_members seen = {0};
    json_token token;
    WEIR_TRY(json_reader_next(reading->json, &token, err));
    if (token.kind != JSON_OBJECT_BEGIN) {
        return fail_at(reading, &token, "an object", "another value", err);
    }
    WEIR_TRY(json_reader_next(reading->json, &token, err));
    while (token.kind != JSON_OBJECT_END) {
        WEIR_TRY(read_index_member(reading, &seen, &token, err));
        WEIR_TRY(json_reader_next(reading->json, &token, err));
    }
    return seen.map ? json_reader_next(reading->json, &token, err)
                    : fail_at(reading, &token, "a weight_map", "none", err);
}

void safetensors_index_release(safetensors_index *index) {
    arena_release(&index->memory);
    free(index->entries);
    *index = (safetensors_index){0};
}

static void safetensors_index_release_cleanup(safetensors_index *index) {
    safetensors_index_release(index);
}

weir_code safetensors_index_read(safetensors_index *out, weir_source *source,
                                 weir_findings *findings, weir_error *err) {
    WEIR_CLEANUP(safetensors_index_release) safetensors_index index = {0};
    WEIR_CLEANUP(index_reading_release)
    index_reading reading = {.index = &index, .source = source, .findings = findings};
    index.shards = arena_alloc(&index.memory, SHARD_COUNT_MAX, sizeof *index.shards);
    if (!index.shards) {
        return weir_fail_nomem(err);
    }
    WEIR_TRY(json_reader_open(&reading.json, source, 0, weir_source_size(source), NULL, err));
    WEIR_TRY(read_index_members(&reading, err));
    *out = index;
    index = (safetensors_index){0};
    return WEIR_OK;
}
