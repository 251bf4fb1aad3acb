/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A GGUF file, all numbers little-endian:
 *   0    "GGUF"
 *   4    u32 version (2 or 3)
 *   8    u64 number of tensors
 *   16   u64 number of key-value pairs
 *   24   pairs                                             gguf_metadata.c
 *        per tensor: string name, u32 rank, u64 dims[rank] innermost first, u32 type, u64 offset
 *        padding to the alignment
 *        data; a tensor's offset counts from here and is the padded sum of the sizes before it
 * A tensor's bytes are known to lie inside the file before anything of that size is allocated.
 * Sources: ggml/docs/gguf.md "File Structure"; llama.cpp ggml/src/gguf.cpp for what is refused.
 */
#include "format/gguf.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/dtype.h"
#include "base/fail.h"
#include "base/limits.h"
#include "base/text.h"
#include "format/gguf_metadata.h"
#include "format/gguf_names.h"
#include "io/byte_reader.h"

enum {
    MAGIC_BYTES = 4,
    TENSOR_INFO_BYTES_MIN = 8 + 4 + 4 + 8, /* a name without bytes, a rank of 0 */
};

typedef struct header {
    uint64_t tensors;
    uint64_t pairs;
} header;

/* Where the data of the tensors lie, as far as the infos were read. */
typedef struct layout {
    uint64_t alignment;
    uint64_t next; /* offset that the next tensor must have, from the start of the data */
    gguf_names names;
} layout;

static void layout_release_cleanup(layout *data) {
    gguf_names_release(&data->names);
}

static bool counts_fit(const header *counts, uint64_t left) {
    return counts->tensors <= left / TENSOR_INFO_BYTES_MIN &&
           counts->pairs <= left / GGUF_PAIR_BYTES_MIN &&
           counts->tensors * TENSOR_INFO_BYTES_MIN + counts->pairs * GGUF_PAIR_BYTES_MIN <= left;
}

/* Versions that exist but are not read are unsupported if their own counts make sense; every file
   has at least one pair, the architecture. Whatever else says so is broken. */
static weir_code refuse_version(byte_reader *bytes, uint32_t version, weir_error *err) {
    const uint32_t swapped = __builtin_bswap32(version);
    const char *kind = NULL;
    header counts = {0};
    if (version == 1 && byte_reader_left(bytes) >= 2 * sizeof(uint32_t)) {
        uint32_t tensors;
        uint32_t pairs;
        WEIR_TRY(byte_reader_u32(&tensors, bytes, "the number of tensors", err));
        WEIR_TRY(byte_reader_u32(&pairs, bytes, "the number of pairs", err));
        counts = (header){tensors, pairs};
        kind = "version 1, which current readers refuse too";
    } else if ((swapped == 2 || swapped == 3) && byte_reader_left(bytes) >= 2 * sizeof(uint64_t)) {
        uint64_t tensors;
        uint64_t pairs;
        WEIR_TRY(byte_reader_u64(&tensors, bytes, "the number of tensors", err));
        WEIR_TRY(byte_reader_u64(&pairs, bytes, "the number of pairs", err));
        counts = (header){__builtin_bswap64(tensors), __builtin_bswap64(pairs)};
        kind = "a big-endian file";
    }
    const char *file = weir_source_name(bytes->source);
    if (kind && counts.pairs > 0 && counts_fit(&counts, byte_reader_left(bytes))) {
        return weir_fail(err, WEIR_ERR_UNSUPPORTED, file, at_byte(MAGIC_BYTES).text,
                         "little-endian GGUF of version 2 or 3", "%s", kind);
    }
    return weir_fail(err, WEIR_ERR_FORMAT, file, at_byte(MAGIC_BYTES).text, "version 2 or 3",
                     "%" PRIu32, version);
}

static weir_code read_header(header *out, byte_reader *bytes, weir_error *err) {
    const char *file = weir_source_name(bytes->source);
    const char *magic;
    WEIR_TRY(byte_reader_view(&magic, bytes, MAGIC_BYTES, "the magic \"GGUF\"", err));
    if (memcmp(magic, "GGUF", MAGIC_BYTES) != 0) {
        return weir_fail(err, WEIR_ERR_FORMAT, file, at_byte(0).text, "the magic \"GGUF\"",
                         "\"%.4s\"", magic);
    }
    uint32_t version;
    WEIR_TRY(byte_reader_u32(&version, bytes, "the version", err));
    if (version != 2 && version != 3) {
        return refuse_version(bytes, version, err);
    }
    WEIR_TRY(byte_reader_u64(&out->tensors, bytes, "the number of tensors", err));
    WEIR_TRY(byte_reader_u64(&out->pairs, bytes, "the number of pairs", err));
    const uint64_t left = byte_reader_left(bytes);
    if (!counts_fit(out, left)) {
        return weir_fail(err, WEIR_ERR_FORMAT, file, at_byte(8).text,
                         "counts that fit into the file",
                         "%" PRIu64 " tensors and %" PRIu64 " pairs, %" PRIu64 " bytes left",
                         out->tensors, out->pairs, left);
    }
    if (out->tensors > TENSOR_COUNT_MAX) {
        return weir_fail(err, WEIR_ERR_LIMIT, file, at_byte(8).text, "at most 1048576 tensors",
                         "%" PRIu64, out->tensors);
    }
    return WEIR_OK;
}

/* One info while it is read; `dims` innermost first. */
typedef struct info {
    uint64_t offset; /* of the info in the file */
    size_t name_len;
    char name[GGUF_NAME_BYTES_MAX];
    uint32_t rank;
    uint64_t dims[GGUF_RANK_MAX];
    weir_dtype dtype;
    uint64_t bytes;
    uint64_t begin;   /* from the start of the data */
    bool is_left_out; /* a block type without dimensions: no number of bytes is right */
} info;

static weir_code read_name(info *out, byte_reader *bytes, weir_error *err) {
    const char *file = weir_source_name(bytes->source);
    out->offset = byte_reader_offset(bytes);
    uint64_t len;
    WEIR_TRY(byte_reader_u64(&len, bytes, "a tensor name's length", err));
    if (len >= GGUF_NAME_BYTES_MAX) {
        return weir_fail(err, WEIR_ERR_FORMAT, file, at_byte(out->offset).text,
                         "a tensor name under 64 bytes", "%" PRIu64 " bytes", len);
    }
    WEIR_TRY(byte_reader_copy(out->name, bytes, (size_t)len, "a tensor's name", err));
    out->name[len] = '\0';
    out->name_len = (size_t)len;
    if (memchr(out->name, '\0', out->name_len) || !text_is_utf8(out->name, out->name_len)) {
        char printable[GGUF_NAME_BYTES_MAX * 4];
        text_escape(printable, sizeof printable, out->name, out->name_len);
        return weir_fail(err, WEIR_ERR_FORMAT, file, at_byte(out->offset).text,
                         "a tensor name in UTF-8 without NUL", "%s", printable);
    }
    return WEIR_OK;
}

static weir_code read_dims(info *out, byte_reader *bytes, weir_error *err) {
    const char *file = weir_source_name(bytes->source);
    const uint64_t offset = byte_reader_offset(bytes);
    WEIR_TRY(byte_reader_u32(&out->rank, bytes, "a tensor's rank", err));
    if (out->rank > GGUF_RANK_MAX) {
        return weir_fail(err, WEIR_ERR_FORMAT, file, at_byte(offset).text, "at most 4 dimensions",
                         "%" PRIu32 " in tensor %s", out->rank, out->name);
    }
    uint64_t elements = 1; /* a zero counts as one: strides must not wrap either */
    for (uint32_t i = 0; i < out->rank; i++) {
        const uint64_t at = byte_reader_offset(bytes);
        uint64_t dim;
        WEIR_TRY(byte_reader_u64(&dim, bytes, "a dimension", err));
        if (!checked_mul_u64(&elements, elements, dim ? dim : 1) || elements >= INT64_MAX) {
            return weir_fail(err, WEIR_ERR_FORMAT, file, at_byte(at).text,
                             "dimensions whose product is under 2^63 - 1",
                             "%" PRIu64 " as dimension %" PRIu32 " of tensor %s", dim, i,
                             out->name);
        }
        out->dims[i] = dim;
    }
    return WEIR_OK;
}

static weir_code read_type(info *out, byte_reader *bytes, weir_error *err) {
    const char *file = weir_source_name(bytes->source);
    const uint64_t offset = byte_reader_offset(bytes);
    uint32_t type;
    WEIR_TRY(byte_reader_u32(&type, bytes, "a tensor's type", err));
    if (!dtype_find_ggml(&out->dtype, type)) {
        return weir_fail(err, WEIR_ERR_FORMAT, file, at_byte(offset).text,
                         "a ggml type that exists", "%" PRIu32 " in tensor %s", type, out->name);
    }
    const uint64_t row = out->rank > 0 ? out->dims[0] : 1;
    const weir_dtype_info *dtype = weir_dtype_get(out->dtype);
    if (out->rank == 0 && dtype->block_elements > 1) {
        out->is_left_out = true;
        return WEIR_OK;
    }
    if (row % dtype->block_elements != 0) {
        return weir_fail(err, WEIR_ERR_FORMAT, file, at_byte(offset).text, "rows of whole blocks",
                         "%" PRIu64 " elements a row, %u a block of %s, in tensor %s", row,
                         (unsigned)dtype->block_elements, dtype->name, out->name);
    }
    uint64_t elements;
    if (!tensor_table_elements(&elements, out->dims, out->rank) ||
        !dtype_bytes(&out->bytes, out->dtype, elements)) {
        return weir_fail(err, WEIR_ERR_FORMAT, file, at_byte(offset).text,
                         "a size in bytes under 2^64", "more, in tensor %s", out->name);
    }
    return WEIR_OK;
}

/* The only offset that is allowed is the next free one, so nothing overlaps and nothing is hidden.
 */
static weir_code read_offset(info *out, layout *data, byte_reader *bytes, weir_error *err) {
    const char *file = weir_source_name(bytes->source);
    const uint64_t offset = byte_reader_offset(bytes);
    WEIR_TRY(byte_reader_u64(&out->begin, bytes, "a tensor's offset", err));
    if (out->begin != data->next) {
        char expected[96];
        (void)snprintf(expected, sizeof expected,
                       "offset %" PRIu64 ", the padded end of the tensor before", data->next);
        return weir_fail(err, WEIR_ERR_FORMAT, file, at_byte(offset).text, expected,
                         "%" PRIu64 " in tensor %s", out->begin, out->name);
    }
    uint64_t padded;
    if (!checked_align_u64(&padded, out->bytes, data->alignment) ||
        !checked_add_u64(&data->next, data->next, padded)) {
        return weir_fail(err, WEIR_ERR_FORMAT, file, at_byte(offset).text,
                         "sizes whose sum is under 2^64", "more, with tensor %s", out->name);
    }
    return WEIR_OK;
}

static weir_code add_tensor(checkpoint *model, const info *read, uint32_t file, layout *data,
                            weir_error *err) {
    uint64_t dims[GGUF_RANK_MAX];
    for (uint32_t i = 0; i < read->rank; i++) {
        dims[i] = read->dims[read->rank - 1 - i];
    }
    const stored_tensor entry = {.name = read->name,
                                 .dims = dims,
                                 .offset = read->begin,
                                 .bytes = read->bytes,
                                 .file = file,
                                 .rank = (uint8_t)read->rank,
                                 .dtype = (uint8_t)read->dtype};
    WEIR_TRY(tensor_table_add(&model->tensors, &entry, read->name_len, err));
    const stored_tensor *stored = &model->tensors.items[model->tensors.count - 1];
    const gguf_name name = {.text = stored->name, .len = read->name_len, .offset = read->offset};
    return gguf_names_add(&data->names, name) ? WEIR_OK : weir_fail_nomem(err);
}

static void remark_info(const info *read, const char *file, weir_findings *findings) {
    const place at = at_byte(read->offset);
    weir_finding finding = {.severity = WEIR_SEVERITY_MEDIUM,
                            .verdict = WEIR_VERDICT_SUSPICIOUS,
                            .file = file,
                            .at = at.text};
    if (read->rank == 0) {
        finding.id = "gguf-rank-zero";
        findings_add(findings, &finding, "tensor %s has no dimensions; no known writer makes one%s",
                     read->name, read->is_left_out ? ", and its type has no single elements" : "");
    }
    if (read->name_len == 0) {
        finding.id = "gguf-empty-tensor-name";
        findings_add(findings, &finding, "a tensor has an empty name");
    }
}

static weir_code read_infos(layout *data, const part *in, uint32_t file, byte_reader *bytes,
                            uint64_t count, weir_error *err) {
    const char *name = weir_source_name(bytes->source);
    for (uint64_t i = 0; i < count; i++) {
        info read = {0};
        WEIR_TRY(read_name(&read, bytes, err));
        WEIR_TRY(read_dims(&read, bytes, err));
        WEIR_TRY(read_type(&read, bytes, err));
        WEIR_TRY(read_offset(&read, data, bytes, err));
        if (!read.is_left_out) {
            WEIR_TRY(add_tensor(in->model, &read, file, data, err));
        }
        remark_info(&read, name, in->findings);
    }
    gguf_name again;
    if (gguf_names_find_repeated(&data->names, &again)) {
        return weir_fail(err, WEIR_ERR_FORMAT, name, at_byte(again.offset).text,
                         "each tensor name once", "%s again", again.text);
    }
    return WEIR_OK;
}

/* Turn offsets from the start of the data into offsets from the start of the file. */
static weir_code place_tensors(stored_tensor *tensors, size_t count, uint64_t data_begin,
                               const weir_source *source, weir_error *err) {
    const uint64_t size = weir_source_size(source);
    for (size_t i = 0; i < count; i++) {
        uint64_t begin;
        uint64_t end;
        if (!checked_add_u64(&begin, tensors[i].offset, data_begin) ||
            !checked_add_u64(&end, begin, tensors[i].bytes) || end > size) {
            char expected[128];
            (void)snprintf(expected, sizeof expected, "the data of tensor %s inside the file",
                           tensors[i].name);
            return weir_fail(err, WEIR_ERR_FORMAT, weir_source_name(source),
                             at_byte(data_begin + tensors[i].offset).text, expected,
                             "%" PRIu64 " bytes from there in a file of %" PRIu64, tensors[i].bytes,
                             size);
        }
        tensors[i].offset = begin;
    }
    return WEIR_OK;
}

static void remark_trailing(const weir_source *source, uint64_t data_end, weir_findings *findings) {
    const uint64_t size = weir_source_size(source);
    if (size > data_end) {
        findings_add(findings,
                     &(weir_finding){.id = "gguf-trailing-bytes",
                                     .severity = WEIR_SEVERITY_INFO,
                                     .verdict = WEIR_VERDICT_CLEAN,
                                     .file = weir_source_name(source),
                                     .at = at_byte(data_end).text},
                     "%" PRIu64 " bytes follow the last tensor; readers ignore them",
                     size - data_end);
    }
}

static weir_code read_tensors(const part *in, uint32_t file, byte_reader *bytes, uint64_t count,
                              uint64_t alignment, weir_error *err) {
    const tensor_table *tensors = &in->model->tensors;
    const size_t first = tensors->count;
    WEIR_CLEANUP(layout_release) layout data = {.alignment = alignment};
    WEIR_TRY(read_infos(&data, in, file, bytes, count, err));
    uint64_t data_begin;
    uint64_t data_end;
    if (!checked_align_u64(&data_begin, byte_reader_offset(bytes), data.alignment) ||
        !checked_add_u64(&data_end, data_begin, data.next)) {
        return weir_fail(err, WEIR_ERR_FORMAT, weir_source_name(bytes->source),
                         at_byte(byte_reader_offset(bytes)).text, "data that end before 2^64",
                         "more");
    }
    WEIR_TRY(
        place_tensors(tensors->items + first, tensors->count - first, data_begin, in->source, err));
    remark_trailing(in->source, data_end, in->findings);
    return WEIR_OK;
}

/* A model whose head is not stored uses its embedding, unless it is an encoder. */
static void find_tied_head(checkpoint *model, size_t first, const gguf_metadata *metadata,
                           bool is_part) {
    bool has_embedding = false;
    bool has_head = false;
    for (size_t i = first; i < model->tensors.count; i++) {
        has_embedding =
            has_embedding || strcmp(model->tensors.items[i].name, "token_embd.weight") == 0;
        has_head = has_head || strcmp(model->tensors.items[i].name, "output.weight") == 0;
    }
    char key[256];
    uint64_t is_causal = 1;
    (void)snprintf(key, sizeof key, "%s.attention.causal",
                   metadata->architecture ? metadata->architecture : "");
    (void)gguf_metadata_find(metadata, key, &is_causal);
    if (has_head) {
        model->shape.tied_head = TIED_NO;
    } else if (has_embedding && !is_part && is_causal && model->shape.tied_head == TIED_UNKNOWN) {
        model->shape.tied_head = TIED_YES;
    }
}

static gguf_split find_split(const gguf_metadata *metadata) {
    gguf_split split = {0};
    if (gguf_metadata_find(metadata, "split.count", &split.count) && split.count > 0) {
        (void)gguf_metadata_find(metadata, "split.no", &split.index);
        (void)gguf_metadata_find(metadata, "split.tensors.count", &split.tensors);
    }
    return split;
}

static weir_code read_file(gguf_split *split, const part *in, uint32_t file, byte_reader *bytes,
                           weir_error *err) {
    checkpoint *model = in->model;
    header counts;
    WEIR_TRY(read_header(&counts, bytes, err));
    WEIR_CLEANUP(gguf_metadata_release) gguf_metadata metadata = {0};
    WEIR_TRY(gguf_metadata_read(&metadata, in, bytes, counts.pairs, err));
    const size_t first = model->tensors.count;
    WEIR_TRY(read_tensors(in, file, bytes, counts.tensors, metadata.alignment, err));
    WEIR_TRY(gguf_shape_fill(&model->shape, &model->memory, &metadata, err));
    *split = find_split(&metadata);
    find_tied_head(model, first, &metadata, split->count > 1);
    return WEIR_OK;
}

weir_code gguf_read(gguf_split *split, const part *in, uint32_t file, weir_error *err) {
    checkpoint *model = in->model;
    const size_t first = model->tensors.count;
    const vocabulary before = model->vocabulary;
    WEIR_CLEANUP(byte_reader_release) byte_reader bytes = {0};
    WEIR_TRY(byte_reader_init(&bytes, in->source, 0, weir_source_size(in->source), err));
    const weir_code code = read_file(split, in, file, &bytes, err);
    if (code != WEIR_OK) {
        model->tensors.count = first;
        model->vocabulary = before;
    }
    return code;
}
