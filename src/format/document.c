/* SPDX-License-Identifier: Apache-2.0 */
#include "format/document.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/limits.h"

static weir_code check_size(const weir_source *source, uint64_t size_max, weir_error *err) {
    if (weir_source_size(source) <= size_max) {
        return WEIR_OK;
    }
    char expected[64];
    (void)snprintf(expected, sizeof expected, "at most %" PRIu64 " bytes", size_max);
    return weir_fail(err, WEIR_ERR_LIMIT, weir_source_name(source), NULL, expected,
                     "%" PRIu64 " bytes", weir_source_size(source));
}

weir_code document_open_json(document *out, weir_source *source, uint64_t size_max,
                             weir_error *err) {
    const json_options options = {.string_bytes_max = DOCUMENT_STRING_BYTES_MAX,
                                  .leading_space = true,
                                  .cut_long_strings = true,
                                  .python_numbers = true};
    WEIR_TRY(check_size(source, size_max, err));
    json_reader *json = NULL;
    WEIR_TRY(json_reader_open(&json, source, 0, weir_source_size(source), &options, err));
    *out = (document){.file = weir_source_name(source), .json = json};
    return WEIR_OK;
}

weir_code source_read_text(char **out, size_t *len, weir_source *source, uint64_t size_max,
                           weir_error *err) {
    WEIR_TRY(check_size(source, size_max, err));
    const size_t size = (size_t)weir_source_size(source);
    uint64_t room; /* with the NUL */
    WEIR_CLEANUP(free)
    char *text = checked_add_u64(&room, size, 1) ? checked_alloc((size_t)room, 1) : NULL;
    if (!text) {
        return weir_fail_nomem(err);
    }
    WEIR_TRY(weir_source_read(source, 0, text, size, err));
    text[size] = '\0';
    *out = WEIR_TAKE(text);
    *len = size;
    return WEIR_OK;
}

weir_code document_open_yaml(document *out, const char *text, size_t len, const char *file,
                             uint64_t first_line, weir_error *err) {
    yaml_reader *yaml = NULL;
    WEIR_TRY(yaml_reader_open(&yaml, text, len, file, first_line, err));
    *out = (document){.file = file, .yaml = yaml};
    return WEIR_OK;
}

weir_code document_open_yaml_source(document *out, weir_source *source, weir_error *err) {
    WEIR_CLEANUP(free) char *text = NULL;
    size_t len = 0;
    WEIR_TRY(source_read_text(&text, &len, source, CARD_BYTES_MAX, err));
    WEIR_TRY(document_open_yaml(out, text, len, weir_source_name(source), 1, err));
    out->text = WEIR_TAKE(text);
    return WEIR_OK;
}

weir_code document_next(document *source, json_token *out, weir_error *err) {
    return source->json ? json_reader_next(source->json, out, err)
                        : yaml_reader_next(source->yaml, out, err);
}

weir_code document_skip(document *source, const json_token *begun, weir_error *err) {
    const uint32_t depth = begun->depth;
    json_token token = *begun;
    if (begun->kind == JSON_KEY) {
        WEIR_TRY(document_next(source, &token, err));
    }
    if (token.kind != JSON_OBJECT_BEGIN && token.kind != JSON_ARRAY_BEGIN) {
        return WEIR_OK;
    }
    do {
        WEIR_TRY(document_next(source, &token, err));
    } while (token.depth != depth ||
             (token.kind != JSON_OBJECT_END && token.kind != JSON_ARRAY_END));
    return WEIR_OK;
}

place document_place(const document *source, uint64_t offset) {
    return source->json ? at_byte(offset) : at_line(offset);
}

void document_close(document *source) {
    json_reader_free(source->json);
    yaml_reader_free(source->yaml);
    free(source->text);
    *source = (document){0};
}
