/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A safetensors file:
 *
 *     8 bytes   N, little-endian: size of the header
 *     N bytes   the header: a JSON object, then spaces
 *     the rest  tensor data, every byte of it in exactly one tensor
 *
 * The header: {"__metadata__": {"KEY": "TEXT", ...},
 *              "NAME": {"dtype": "F32", "shape": [2, 3], "data_offsets": [BEGIN, END]}, ...}
 * with offsets counted from the end of the header.
 *
 * The specification and its reference library differ: the library takes more (see `remarks`).
 * Strict reading refuses what the specification forbids; lenient reading takes what the library
 * takes and says so. Names that are valid but made to mislead a reader are findings in both.
 *
 * Sources: huggingface/safetensors README.md "Format"; safetensors/src/tensor.rs of 0.8, `Metadata`
 * and `validate`; what the library does where its text does not tell was seen by calling it (an
 * array as a tensor's description, {"F32": null} as a dtype, null as metadata, 127 levels).
 */
#include "format/safetensors.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/dtype.h"
#include "base/fail.h"
#include "base/limits.h"
#include "format/active_text.h"
#include "format/name_set.h"
#include "io/json_reader.h"

enum {
    SIZE_BYTES = 8,
    LENIENT_DEPTH_MAX = 127, /* serde_json's recursion limit allows these */
    ESCAPED_NUL_BYTES = 4,   /* "\x00" */
    METADATA_CLAIMS_MAX = 4096,
    METADATA_NAME_BYTES_MAX = 256,
    REMARKS_SHOWN = 5, /* of one kind; the rest is counted */
    RANK_OF_ANY_LIBRARY = 64,
};

/* --- what is unusual --- */

typedef enum remark_kind {
    REMARK_LEADING_SPACE,
    REMARK_PADDING,
    REMARK_NULL_METADATA,
    REMARK_DUPLICATE_METADATA_KEY,
    REMARK_DUPLICATE_TENSOR,
    REMARK_UNKNOWN_FIELD,
    REMARK_ARRAY_TENSOR,
    REMARK_OBJECT_DTYPE,
    REMARK_DEVIATION_COUNT, /* those above are refused unless reading is lenient */
    REMARK_EMPTY_NAME = REMARK_DEVIATION_COUNT,
    REMARK_NUL_IN_NAME,
    REMARK_CONTROL_IN_NAME,
    REMARK_PATH_NAME,
    REMARK_RANK,
    REMARK_ACTIVE_METADATA,
    REMARK_COUNT,
} remark_kind;

typedef struct remark {
    const char *id;
    weir_severity severity;
    weir_verdict verdict;
    const char *expected;
    const char *found;
} remark;

#define LOW        WEIR_SEVERITY_LOW
#define MEDIUM     WEIR_SEVERITY_MEDIUM
#define HIGH       WEIR_SEVERITY_HIGH
#define CLEAN      WEIR_VERDICT_CLEAN
#define SUSPICIOUS WEIR_VERDICT_SUSPICIOUS

/* Readers disagree about a suspicious one in what the file holds; about the others only whether it
 * is whole. */
static const remark remarks[REMARK_COUNT] = {
    [REMARK_LEADING_SPACE] = {"safetensors-leading-space", LOW, CLEAN,
                              "'{' as the header's first byte", "white space"},
    [REMARK_PADDING] = {"safetensors-padding", LOW, CLEAN, "spaces (0x20) up to the header's end",
                        "other white space"},
    [REMARK_NULL_METADATA] = {"safetensors-null-metadata", LOW, CLEAN, "an object as __metadata__",
                              "null"},
    [REMARK_DUPLICATE_METADATA_KEY] = {"safetensors-duplicate-metadata-key", MEDIUM, SUSPICIOUS,
                                       "each metadata key once", "a key a second time"},
    [REMARK_DUPLICATE_TENSOR] = {"safetensors-duplicate-tensor", HIGH, SUSPICIOUS,
                                 "each tensor name once", "a name a second time"},
    [REMARK_UNKNOWN_FIELD] = {"safetensors-unknown-field", LOW, CLEAN,
                              "the fields dtype, shape and data_offsets", "another field"},
    [REMARK_ARRAY_TENSOR] = {"safetensors-array-tensor", MEDIUM, SUSPICIOUS,
                             "an object as a tensor's description", "an array"},
    [REMARK_OBJECT_DTYPE] = {"safetensors-object-dtype", MEDIUM, SUSPICIOUS, "a string as dtype",
                             "an object"},
    [REMARK_EMPTY_NAME] = {"safetensors-empty-name", LOW, SUSPICIOUS, "a name for each tensor",
                           "an empty one"},
    [REMARK_NUL_IN_NAME] = {"safetensors-nul-in-name", HIGH, SUSPICIOUS, "a name without NUL",
                            "a NUL, where a reader in C ends the name"},
    [REMARK_CONTROL_IN_NAME] = {"safetensors-control-in-name", MEDIUM, SUSPICIOUS,
                                "a name of printable characters", "a control character"},
    [REMARK_PATH_NAME] = {"safetensors-path-name", MEDIUM, SUSPICIOUS, "the name of a tensor",
                          "a path out of the folder, for a reader that makes files of names"},
    [REMARK_RANK] = {"safetensors-rank", MEDIUM, SUSPICIOUS, "a rank that some library can hold",
                     "more than 64 dimensions"},
    [REMARK_ACTIVE_METADATA] = {"safetensors-active-metadata", MEDIUM, SUSPICIOUS,
                                "metadata that describes", "text that is there to be run"},
};

#undef LOW
#undef MEDIUM
#undef HIGH
#undef CLEAN
#undef SUSPICIOUS

/* --- the state of one reading --- */

typedef struct header {
    tensor_table *table;
    claims *metadata;
    weir_source *source;
    weir_findings *findings;
    bool lenient;
    uint32_t file;
    uint64_t end;        /* of the header, in the file */
    uint64_t data_bytes; /* after it */
    size_t first;        /* index of this file's first tensor in the table */
    bool has_metadata;
    json_reader *json;
    name_set names;
    uint32_t seen[REMARK_COUNT];
    char name[TENSOR_NAME_BYTES_MAX * ESCAPED_NUL_BYTES + 1]; /* of the tensor that is read */
} header;

static void header_release(header *reading) {
    json_reader_free(reading->json);
    name_set_release(&reading->names);
}

static void header_release_cleanup(header *reading) {
    header_release(reading);
}

static const char *file_name(const header *reading) {
    return weir_source_name(reading->source);
}

/* "tensor NAME, byte N" inside a tensor's description, else "byte N". */
static place at_token(const header *reading, uint64_t offset) {
    const place byte = at_byte(offset);
    if (reading->name[0] == '\0') {
        return byte;
    }
    place both;
    (void)snprintf(both.text, sizeof both.text, "%.100s, %.40s", at_tensor(reading->name).text,
                   byte.text);
    return both;
}

static void add_remark(header *reading, remark_kind kind, const char *at, const char *note) {
    const remark *what = &remarks[kind];
    if (reading->seen[kind]++ >= REMARKS_SHOWN) {
        return;
    }
    findings_add(reading->findings,
                 &(weir_finding){.id = what->id,
                                 .severity = what->severity,
                                 .verdict = what->verdict,
                                 .file = file_name(reading),
                                 .at = at},
                 "expected %s, found %s%s", what->expected, what->found, note);
}

static void add_counts(const header *reading) {
    for (size_t i = 0; i < REMARK_COUNT; i++) {
        if (reading->seen[i] > REMARKS_SHOWN) {
            findings_add(reading->findings,
                         &(weir_finding){.id = remarks[i].id,
                                         .severity = remarks[i].severity,
                                         .verdict = remarks[i].verdict,
                                         .file = file_name(reading)},
                         "%" PRIu32 " more of these", reading->seen[i] - REMARKS_SHOWN);
        }
    }
}

/* Something that only the reference library takes: refused, or said. */
static weir_code deviate(header *reading, remark_kind kind, uint64_t offset, weir_error *err) {
    const place at = at_token(reading, offset);
    if (!reading->lenient) {
        return weir_fail(err, WEIR_ERR_FORMAT, file_name(reading), at.text, remarks[kind].expected,
                         "%s", remarks[kind].found);
    }
    add_remark(reading, kind, at.text, "; read as the reference library reads it");
    return WEIR_OK;
}

/* --- tokens --- */

static const char *kind_text(json_kind kind) {
    switch (kind) {
    case JSON_OBJECT_BEGIN:
        return "an object";
    case JSON_OBJECT_END:
        return "the end of the object";
    case JSON_ARRAY_BEGIN:
        return "an array";
    case JSON_ARRAY_END:
        return "the end of the array";
    case JSON_KEY:
        return "a key";
    case JSON_STRING:
        return "a string";
    case JSON_NUMBER:
        return "a number";
    case JSON_TRUE:
        return "true";
    case JSON_FALSE:
        return "false";
    case JSON_NULL:
        return "null";
    case JSON_END:
        return "the end";
    }
    return "something else";
}

static weir_code fail_token(const header *reading, const json_token *token, const char *expected,
                            weir_error *err) {
    const place at = at_token(reading, token->offset);
    if (token->kind == JSON_NUMBER || token->kind == JSON_STRING || token->kind == JSON_KEY) {
        return weir_fail(err, WEIR_ERR_FORMAT, file_name(reading), at.text, expected, "%s %.80s",
                         kind_text(token->kind), token->text);
    }
    return weir_fail(err, WEIR_ERR_FORMAT, file_name(reading), at.text, expected, "%s",
                     kind_text(token->kind));
}

static weir_code next_token(header *reading, json_token *token, weir_error *err) {
    return json_reader_next(reading->json, token, err);
}

static weir_code next_of_kind(header *reading, json_token *token, json_kind kind,
                              const char *expected, weir_error *err) {
    WEIR_TRY(next_token(reading, token, err));
    return token->kind == kind ? WEIR_OK : fail_token(reading, token, expected, err);
}

static weir_code next_u64(header *reading, uint64_t *out, const char *expected, weir_error *err) {
    json_token token;
    WEIR_TRY(next_token(reading, &token, err));
    return json_token_u64(&token, out) ? WEIR_OK : fail_token(reading, &token, expected, err);
}

/* Copy text, each NUL written as "\x00"; `out` has room for four times the bytes. */
static void copy_without_nul(char *out, const char *text, size_t len) {
    for (size_t i = 0; i < len; i++) {
        if (text[i] != '\0') {
            *out++ = text[i];
        } else {
            memcpy(out, "\\x00", ESCAPED_NUL_BYTES);
            out += ESCAPED_NUL_BYTES;
        }
    }
    *out = '\0';
}

/* --- __metadata__ --- */

static weir_code keep_claim(header *reading, const char *key, const json_token *value,
                            weir_error *err) {
    if (!reading->metadata || reading->metadata->count >= METADATA_CLAIMS_MAX) {
        return WEIR_OK;
    }
    char name[METADATA_NAME_BYTES_MAX];
    (void)snprintf(name, sizeof name, "safetensors.%s", key);
    return claims_add(reading->metadata,
                      &(weir_claim){.name = name,
                                    .value = value->text,
                                    .file = file_name(reading),
                                    .at = at_byte(value->offset).text},
                      value->len, err);
}

static void check_active(header *reading, const char *key, const json_token *value) {
    active_text active;
    if (active_text_find(&active, key, value->text, value->len)) {
        char note[METADATA_NAME_BYTES_MAX];
        (void)snprintf(note, sizeof note, ": %s in \"%.80s\"", active.what, key);
        add_remark(reading, REMARK_ACTIVE_METADATA, at_byte(value->offset).text, note);
    }
}

static const char *copy_key(arena *memory, const json_token *key) {
    if (strlen(key->text) == key->len) {
        return arena_copy_text(memory, key->text, key->len);
    }
    char *copy = arena_alloc(memory, key->len + 1, ESCAPED_NUL_BYTES);
    if (copy) {
        copy_without_nul(copy, key->text, key->len);
    }
    return copy;
}

/* What was read of __metadata__: keys to find doubles, and the size of all texts. */
typedef struct metadata_texts {
    name_set keys;
    arena memory; /* of the keys */
    uint32_t count;
    uint64_t bytes; /* bounded by the header's size */
} metadata_texts;

static void metadata_texts_release_cleanup(metadata_texts *texts) {
    name_set_release(&texts->keys);
    arena_release(&texts->memory);
}

static weir_code read_metadata_member(header *reading, metadata_texts *texts,
                                      const json_token *key_token, weir_error *err) {
    const uint32_t index = texts->count++;
    texts->bytes += key_token->len;
    const char *key = copy_key(&texts->memory, key_token);
    if (!key) {
        return weir_fail_nomem(err);
    }
    uint32_t held;
    WEIR_TRY(name_set_add(&texts->keys, &held, key, index, err));
    if (held != index) {
        WEIR_TRY(deviate(reading, REMARK_DUPLICATE_METADATA_KEY, key_token->offset, err));
    }
    json_token value;
    WEIR_TRY(next_of_kind(reading, &value, JSON_STRING, "a string in __metadata__", err));
    texts->bytes += value.len;
    if (texts->bytes > SAFETENSORS_METADATA_BYTES_MAX) {
        return weir_fail(err, WEIR_ERR_LIMIT, file_name(reading), at_byte(value.offset).text,
                         "at most 16 MiB of __metadata__", "more");
    }
    check_active(reading, key, &value);
    return keep_claim(reading, key, &value, err);
}

static weir_code read_metadata(header *reading, const json_token *key, weir_error *err) {
    if (reading->has_metadata) {
        return weir_fail(err, WEIR_ERR_FORMAT, file_name(reading), at_byte(key->offset).text,
                         "__metadata__ once", "a second one");
    }
    reading->has_metadata = true;
    json_token token;
    WEIR_TRY(next_token(reading, &token, err));
    if (token.kind == JSON_NULL) {
        return deviate(reading, REMARK_NULL_METADATA, token.offset, err);
    }
    if (token.kind != JSON_OBJECT_BEGIN) {
        return fail_token(reading, &token, "an object as __metadata__", err);
    }
    WEIR_CLEANUP(metadata_texts_release) metadata_texts texts = {0};
    WEIR_TRY(next_token(reading, &token, err));
    while (token.kind != JSON_OBJECT_END) {
        WEIR_TRY(read_metadata_member(reading, &texts, &token, err));
        WEIR_TRY(next_token(reading, &token, err));
    }
    return WEIR_OK;
}

/* --- the name of a tensor --- */

/* Whether a component between slashes or backslashes is "..". */
static bool has_parent_component(const char *name) {
    for (const char *part = name; part; part = strpbrk(part, "/\\")) {
        part += *part == '/' || *part == '\\';
        if (strncmp(part, "..", 2) == 0 && strchr("/\\", part[2])) {
            return true; /* strchr finds the NUL too */
        }
    }
    return false;
}

static bool is_letter(char byte) {
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

/* A place of a file system. A leading slash alone is not: graph exporters name tensors
 * "/encoder/w". */
static bool is_absolute(const char *name) {
    static const char *const roots[] = {"/etc/", "/home/",  "/root/", "/tmp/", "/usr/",
                                        "/var/", "/proc/",  "/sys/",  "/dev/", "/bin/",
                                        "/opt/", "/Users/", "~/",     "\\\\",  "file://"};
    for (size_t i = 0; i < sizeof roots / sizeof *roots; i++) {
        if (strncmp(name, roots[i], strlen(roots[i])) == 0) {
            return true;
        }
    }
    return is_letter(name[0]) && name[1] == ':' && (name[2] == '\\' || name[2] == '/');
}

static bool is_path(const char *name) {
    const bool has_separator = strpbrk(name, "/\\") != NULL;
    return (has_separator && is_absolute(name)) || has_parent_component(name);
}

static bool has_control(const char *name) {
    for (; *name != '\0'; name++) {
        if ((unsigned char)*name < 0x20 || *name == 0x7F) {
            return true;
        }
    }
    return false;
}

static weir_code take_name(header *reading, const json_token *key, weir_error *err) {
    if (key->len > TENSOR_NAME_BYTES_MAX) {
        return weir_fail(err, WEIR_ERR_LIMIT, file_name(reading), at_byte(key->offset).text,
                         "a tensor name of at most 1024 bytes", "%zu bytes", key->len);
    }
    copy_without_nul(reading->name, key->text, key->len);
    if (key->len == 0) {
        add_remark(reading, REMARK_EMPTY_NAME, at_byte(key->offset).text, "");
        return WEIR_OK;
    }
    if (strlen(key->text) != key->len) {
        add_remark(reading, REMARK_NUL_IN_NAME, at_token(reading, key->offset).text, "");
    }
    if (has_control(reading->name)) {
        add_remark(reading, REMARK_CONTROL_IN_NAME, at_token(reading, key->offset).text, "");
    }
    if (is_path(reading->name)) {
        add_remark(reading, REMARK_PATH_NAME, at_token(reading, key->offset).text, "");
    }
    return WEIR_OK;
}

/* --- the description of a tensor --- */

enum { FIELD_DTYPE = 1, FIELD_SHAPE = 2, FIELD_OFFSETS = 4, FIELDS_ALL = 7 };

typedef struct description {
    weir_dtype dtype;
    size_t rank;
    uint64_t dims[TENSOR_RANK_MAX];
    uint64_t begin;
    uint64_t end;
} description;

static weir_code take_dtype(const header *reading, description *out, const json_token *token,
                            weir_error *err) {
    return dtype_find_safetensors(&out->dtype, token->text, token->len)
               ? WEIR_OK
               : fail_token(reading, token, "one of the 22 dtypes of safetensors", err);
}

/* {"F32": null}, which the reference library takes for "F32". */
static weir_code read_object_dtype(header *reading, description *out, uint64_t offset,
                                   weir_error *err) {
    WEIR_TRY(deviate(reading, REMARK_OBJECT_DTYPE, offset, err));
    json_token token;
    WEIR_TRY(next_of_kind(reading, &token, JSON_KEY, "one dtype", err));
    WEIR_TRY(take_dtype(reading, out, &token, err));
    WEIR_TRY(next_of_kind(reading, &token, JSON_NULL, "null", err));
    return next_of_kind(reading, &token, JSON_OBJECT_END, "one dtype", err);
}

static weir_code read_dtype(header *reading, description *out, weir_error *err) {
    json_token token;
    WEIR_TRY(next_token(reading, &token, err));
    if (token.kind == JSON_OBJECT_BEGIN) {
        return read_object_dtype(reading, out, token.offset, err);
    }
    return token.kind == JSON_STRING ? take_dtype(reading, out, &token, err)
                                     : fail_token(reading, &token, "a string as dtype", err);
}

static weir_code fail_rank(header *reading, uint64_t offset, weir_error *err) {
    const place at = at_token(reading, offset);
    json_token token = {.kind = JSON_NUMBER};
    size_t rank = TENSOR_RANK_MAX; /* the numbers before the one that was one too many */
    for (; rank < RANK_OF_ANY_LIBRARY && token.kind == JSON_NUMBER; rank++) {
        WEIR_TRY(next_token(reading, &token, err));
    }
    if (token.kind == JSON_NUMBER) {
        add_remark(reading, REMARK_RANK, at.text, "");
    }
    return weir_fail(err, WEIR_ERR_LIMIT, file_name(reading), at.text,
                     "a shape of at most 16 numbers", "more");
}

static weir_code read_shape(header *reading, description *out, weir_error *err) {
    json_token token;
    WEIR_TRY(next_of_kind(reading, &token, JSON_ARRAY_BEGIN, "an array as shape", err));
    for (out->rank = 0;; out->rank++) {
        WEIR_TRY(next_token(reading, &token, err));
        if (token.kind == JSON_ARRAY_END) {
            return WEIR_OK;
        }
        if (out->rank == TENSOR_RANK_MAX) {
            return fail_rank(reading, token.offset, err);
        }
        if (!json_token_u64(&token, &out->dims[out->rank])) {
            return fail_token(reading, &token, "a plain integer below 2^64 in shape", err);
        }
    }
}

static weir_code read_offsets(header *reading, description *out, weir_error *err) {
    static const char *const expected = "two plain integers below 2^64 as data_offsets";
    json_token token;
    WEIR_TRY(next_of_kind(reading, &token, JSON_ARRAY_BEGIN, expected, err));
    WEIR_TRY(next_u64(reading, &out->begin, expected, err));
    WEIR_TRY(next_u64(reading, &out->end, expected, err));
    return next_of_kind(reading, &token, JSON_ARRAY_END, expected, err);
}

/* The value of a field that only the reference library takes. Its numbers have to be doubles there.
 */
static weir_code skip_unknown(header *reading, uint64_t key_offset, weir_error *err) {
    WEIR_TRY(deviate(reading, REMARK_UNKNOWN_FIELD, key_offset, err));
    json_token token;
    WEIR_TRY(next_token(reading, &token, err));
    const uint32_t depth = token.depth;
    bool is_open = token.kind == JSON_OBJECT_BEGIN || token.kind == JSON_ARRAY_BEGIN;
    for (;;) {
        double number;
        if (token.kind == JSON_NUMBER && !json_token_double(&token, &number)) {
            return fail_token(reading, &token, "a number within a double's range", err);
        }
        if (!is_open) {
            return WEIR_OK;
        }
        WEIR_TRY(next_token(reading, &token, err));
        is_open = token.depth != depth;
    }
}

static unsigned field_of(const json_token *key) {
    return json_token_is(key, "dtype")          ? FIELD_DTYPE
           : json_token_is(key, "shape")        ? FIELD_SHAPE
           : json_token_is(key, "data_offsets") ? FIELD_OFFSETS
                                                : 0;
}

static weir_code read_field(header *reading, description *out, unsigned field, uint64_t key_offset,
                            weir_error *err) {
    return field == FIELD_DTYPE     ? read_dtype(reading, out, err)
           : field == FIELD_SHAPE   ? read_shape(reading, out, err)
           : field == FIELD_OFFSETS ? read_offsets(reading, out, err)
                                    : skip_unknown(reading, key_offset, err);
}

static weir_code read_fields(header *reading, description *out, weir_error *err) {
    unsigned present = 0;
    json_token key;
    WEIR_TRY(next_token(reading, &key, err));
    while (key.kind != JSON_OBJECT_END) {
        const unsigned field = field_of(&key);
        if ((present & field) != 0) {
            return fail_token(reading, &key, "dtype, shape and data_offsets, each once", err);
        }
        present |= field;
        WEIR_TRY(read_field(reading, out, field, key.offset, err));
        WEIR_TRY(next_token(reading, &key, err));
    }
    return present == FIELDS_ALL
               ? WEIR_OK
               : fail_token(reading, &key, "dtype, shape and data_offsets, each once", err);
}

/* ["F32", [2, 3], [0, 24]], which the reference library takes for an object of these fields. */
static weir_code read_array_fields(header *reading, description *out, uint64_t offset,
                                   weir_error *err) {
    WEIR_TRY(deviate(reading, REMARK_ARRAY_TENSOR, offset, err));
    WEIR_TRY(read_dtype(reading, out, err));
    WEIR_TRY(read_shape(reading, out, err));
    WEIR_TRY(read_offsets(reading, out, err));
    json_token token;
    return next_of_kind(reading, &token, JSON_ARRAY_END, "three fields", err);
}

/* A second description of a name: the last one counts, as in the reference library. */
static weir_code replace_earlier(header *reading, uint32_t earlier, uint64_t offset,
                                 weir_error *err) {
    WEIR_TRY(deviate(reading, REMARK_DUPLICATE_TENSOR, offset, err));
    stored_tensor *items = reading->table->items;
    reading->table->count--;
    const char *name = items[earlier].name;
    items[earlier] = items[reading->table->count];
    items[earlier].name = name;
    return WEIR_OK;
}

/* Until the whole header is known, `offset` and `bytes` of an entry hold BEGIN and END. */
static weir_code keep_tensor(header *reading, const description *read, uint64_t key_offset,
                             weir_error *err) {
    tensor_table *table = reading->table;
    const size_t index = table->count;
    if (index - reading->first >= TENSOR_COUNT_MAX || index >= UINT32_MAX) {
        return weir_fail(err, WEIR_ERR_LIMIT, file_name(reading), at_byte(key_offset).text,
                         "at most 1048576 tensors", "more");
    }
    const stored_tensor entry = {.name = reading->name,
                                 .dims = read->dims,
                                 .offset = read->begin,
                                 .bytes = read->end,
                                 .file = reading->file,
                                 .rank = (uint8_t)read->rank,
                                 .dtype = (uint8_t)read->dtype};
    WEIR_TRY(tensor_table_add(table, &entry, strlen(reading->name), err));
    uint32_t held;
    WEIR_TRY(name_set_add(&reading->names, &held, table->items[index].name, (uint32_t)index, err));
    return held == index ? WEIR_OK : replace_earlier(reading, held, key_offset, err);
}

static weir_code read_description(header *reading, description *out, weir_error *err) {
    json_token token;
    WEIR_TRY(next_token(reading, &token, err));
    return token.kind == JSON_OBJECT_BEGIN ? read_fields(reading, out, err)
           : token.kind == JSON_ARRAY_BEGIN
               ? read_array_fields(reading, out, token.offset, err)
               : fail_token(reading, &token, "an object that describes a tensor", err);
}

static weir_code read_tensor(header *reading, const json_token *key, weir_error *err) {
    description read;
    WEIR_TRY(take_name(reading, key, err));
    WEIR_TRY(read_description(reading, &read, err));
    WEIR_TRY(keep_tensor(reading, &read, key->offset, err));
    reading->name[0] = '\0';
    return WEIR_OK;
}

/* --- the header as a whole --- */

static weir_code check_padding_byte(header *reading, char byte, uint64_t offset, weir_error *err) {
    if (byte != '\n' && byte != '\r' && byte != '\t') {
        return weir_fail(err, WEIR_ERR_FORMAT, file_name(reading), at_byte(offset).text,
                         remarks[REMARK_PADDING].expected, "byte 0x%02X",
                         (unsigned)(unsigned char)byte);
    }
    return deviate(reading, REMARK_PADDING, offset, err);
}

/* Between the object's end and the header's end stand spaces only. */
static weir_code check_padding(header *reading, uint64_t begin, weir_error *err) {
    char chunk[16384];
    while (begin < reading->end) {
        const uint64_t left = reading->end - begin;
        const size_t len = left < sizeof chunk ? (size_t)left : sizeof chunk;
        WEIR_TRY(weir_source_read(reading->source, begin, chunk, len, err));
        for (size_t i = 0; i < len; i++) {
            if (chunk[i] != ' ') {
                WEIR_TRY(check_padding_byte(reading, chunk[i], begin + i, err));
            }
        }
        begin += len;
    }
    return WEIR_OK;
}

static weir_code read_member(header *reading, const json_token *key, weir_error *err) {
    return json_token_is(key, "__metadata__") ? read_metadata(reading, key, err)
                                              : read_tensor(reading, key, err);
}

static weir_code read_members(header *reading, weir_error *err) {
    json_token token;
    WEIR_TRY(
        next_of_kind(reading, &token, JSON_OBJECT_BEGIN, "'{' as the header's first byte", err));
    if (token.offset != SIZE_BYTES) {
        WEIR_TRY(deviate(reading, REMARK_LEADING_SPACE, SIZE_BYTES, err));
    }
    WEIR_TRY(next_token(reading, &token, err));
    while (token.kind != JSON_OBJECT_END) {
        WEIR_TRY(read_member(reading, &token, err));
        WEIR_TRY(next_token(reading, &token, err));
    }
    return check_padding(reading, token.offset + 1, err);
}

static weir_code read_header_size(header *reading, weir_error *err) {
    const uint64_t size = weir_source_size(reading->source);
    if (size < SIZE_BYTES) {
        return weir_fail(err, WEIR_ERR_FORMAT, file_name(reading), at_byte(0).text,
                         "8 bytes that hold the header's size", "a file of %" PRIu64 " bytes",
                         size);
    }
    unsigned char bytes[SIZE_BYTES];
    WEIR_TRY(weir_source_read(reading->source, 0, bytes, sizeof bytes, err));
    uint64_t header_bytes = 0;
    for (size_t i = SIZE_BYTES; i-- > 0;) {
        header_bytes = header_bytes << 8 | bytes[i];
    }
    if (header_bytes > SAFETENSORS_HEADER_BYTES_MAX) {
        return weir_fail(err, WEIR_ERR_FORMAT, file_name(reading), at_byte(0).text,
                         "a header of at most 100000000 bytes", "%" PRIu64, header_bytes);
    }
    if (header_bytes > size - SIZE_BYTES) {
        return weir_fail(err, WEIR_ERR_FORMAT, file_name(reading), at_byte(0).text,
                         "a header inside the file", "%" PRIu64 " bytes, %" PRIu64 " left",
                         header_bytes, size - SIZE_BYTES);
    }
    reading->end = SIZE_BYTES + header_bytes;
    reading->data_bytes = size - reading->end;
    return WEIR_OK;
}

/* --- the layout of the data --- */

typedef struct span {
    uint64_t begin;
    uint64_t end;
    size_t index;
} span;

static int compare_spans(const void *left, const void *right) {
    const span *a = left;
    const span *b = right;
    if (a->begin != b->begin) {
        return a->begin < b->begin ? -1 : 1;
    }
    return a->end < b->end ? -1 : a->end > b->end;
}

static bool is_in_order(const span *spans, size_t count) {
    for (size_t i = 1; i < count; i++) {
        if (compare_spans(&spans[i - 1], &spans[i]) > 0) {
            return false;
        }
    }
    return true;
}

/* The bytes between the offsets are exactly those of the shape. */
static weir_code check_tensor_size(const header *reading, const stored_tensor *tensor,
                                   const span *where, weir_error *err) {
    const char *file = file_name(reading);
    uint64_t elements;
    uint64_t bytes;
    if (!tensor_table_elements(&elements, tensor->dims, tensor->rank)) {
        return weir_fail(err, WEIR_ERR_FORMAT, file, at_tensor(tensor->name).text,
                         "fewer than 2^64 elements", "a shape whose product wraps");
    }
    const weir_dtype_info *dtype = weir_dtype_get((weir_dtype)tensor->dtype);
    if (elements % dtype->block_elements != 0) {
        return weir_fail(err, WEIR_ERR_FORMAT, file, at_tensor(tensor->name).text,
                         "a whole number of bytes", "%" PRIu64 " elements of %s", elements,
                         dtype->name);
    }
    if (!dtype_bytes(&bytes, (weir_dtype)tensor->dtype, elements)) {
        return weir_fail(err, WEIR_ERR_FORMAT, file, at_tensor(tensor->name).text,
                         "fewer than 2^64 bytes", "%" PRIu64 " elements of %s", elements,
                         dtype->name);
    }
    if (bytes != where->end - where->begin) {
        return weir_fail(err, WEIR_ERR_FORMAT, file, at_tensor(tensor->name).text,
                         "as many bytes as the shape has",
                         "%" PRIu64 " bytes by shape and dtype, %" PRIu64 " by data_offsets", bytes,
                         where->end - where->begin);
    }
    return WEIR_OK;
}

/* In the order of the data, each tensor starts where the one before ends, and the last ends the
 * file. */
static weir_code check_spans(const header *reading, const span *spans, size_t count,
                             weir_error *err) {
    uint64_t end = 0;
    for (size_t i = 0; i < count; i++) {
        const stored_tensor *tensor = &reading->table->items[spans[i].index];
        if (spans[i].end < spans[i].begin) {
            return weir_fail(err, WEIR_ERR_FORMAT, file_name(reading), at_tensor(tensor->name).text,
                             "data_offsets that do not go back", "[%" PRIu64 ", %" PRIu64 "]",
                             spans[i].begin, spans[i].end);
        }
        if (spans[i].begin != end) {
            return weir_fail(err, WEIR_ERR_FORMAT, file_name(reading), at_tensor(tensor->name).text,
                             "data that starts where the tensor before ends",
                             "start %" PRIu64 " after end %" PRIu64 " (%s)", spans[i].begin, end,
                             spans[i].begin < end ? "overlap" : "hole");
        }
        WEIR_TRY(check_tensor_size(reading, tensor, &spans[i], err));
        end = spans[i].end;
    }
    if (end != reading->data_bytes) {
        return weir_fail(err, WEIR_ERR_FORMAT, file_name(reading), at_byte(reading->end).text,
                         "data that ends with the last tensor",
                         "%" PRIu64 " bytes of tensors, %" PRIu64 " of data", end,
                         reading->data_bytes);
    }
    return WEIR_OK;
}

static weir_code check_layout(header *reading, weir_error *err) {
    stored_tensor *tensors = reading->table->items;
    const size_t count = reading->table->count - reading->first;
    WEIR_CLEANUP(free) span *spans = checked_alloc(count, sizeof *spans);
    if (!spans) {
        return weir_fail_nomem(err);
    }
    for (size_t i = 0; i < count; i++) {
        const size_t index = reading->first + i;
        spans[i] = (span){tensors[index].offset, tensors[index].bytes, index};
    }
    if (!is_in_order(spans, count)) {
        qsort(spans, count, sizeof *spans, compare_spans);
    }
    WEIR_TRY(check_spans(reading, spans, count, err));
    for (size_t i = 0; i < count; i++) {
        tensors[spans[i].index].offset = reading->end + spans[i].begin;
        tensors[spans[i].index].bytes = spans[i].end - spans[i].begin;
    }
    return WEIR_OK;
}

static weir_code read_whole(header *reading, weir_error *err) {
    WEIR_TRY(read_header_size(reading, err));
    const json_options options = {.depth_max = reading->lenient ? LENIENT_DEPTH_MAX
                                                                : SAFETENSORS_JSON_DEPTH_MAX,
                                  .string_bytes_max = SAFETENSORS_METADATA_BYTES_MAX,
                                  .leading_space = reading->lenient};
    WEIR_TRY(
        json_reader_open(&reading->json, reading->source, SIZE_BYTES, reading->end, &options, err));
    WEIR_TRY(read_members(reading, err));
    return check_layout(reading, err);
}

weir_code safetensors_read(const safetensors_target *target, weir_source *source, bool lenient,
                           weir_error *err) {
    WEIR_CLEANUP(header_release)
    header reading = {.table = target->table,
                      .metadata = target->metadata,
                      .source = source,
                      .findings = target->findings,
                      .lenient = lenient,
                      .file = target->file,
                      .first = target->table->count};
    const weir_code code = read_whole(&reading, err);
    add_counts(&reading);
    if (code != WEIR_OK) {
        reading.table->count = reading.first;
    }
    return code;
}
