/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes through the JSON reader, with three settings. What must hold: offsets do not go back
 * and lie inside, depth follows the brackets, text ends with a NUL and is UTF-8, a document that is
 * refused whole is refused with cut strings too.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/text.h"
#include "io/json_reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int holds) {
    if (!holds) {
        abort();
    }
}

static weir_code read_all(weir_source *source, size_t size, const json_options *options) {
    WEIR_CLEANUP(json_reader_free) json_reader *reader = NULL;
    check(json_reader_open(&reader, source, 0, size, options, NULL) == WEIR_OK);
    uint64_t last = 0;
    uint32_t depth = 0;
    json_token token = {0};
    do {
        weir_error err = {0};
        const weir_code code = json_reader_next(reader, &token, &err);
        if (code != WEIR_OK) {
            check(code == err.code && err.at[0] != '\0' && err.found[0] != '\0');
            return code;
        }
        const int is_end = token.kind == JSON_OBJECT_END || token.kind == JSON_ARRAY_END;
        depth -= is_end ? 1 : 0;
        check(token.depth == depth && token.offset >= last && token.offset <= size);
        check(token.text[token.len] == '\0' && text_is_utf8(token.text, token.len));
        depth += token.kind == JSON_OBJECT_BEGIN || token.kind == JSON_ARRAY_BEGIN ? 1 : 0;
        last = token.offset;
        double number;
        (void)json_token_double(&token, &number);
    } while (token.kind != JSON_END);
    check(depth == 0);
    return WEIR_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    WEIR_CLEANUP(weir_source_free) weir_source *source = NULL;
    check(weir_source_open_memory(&source, data, size, "fuzz", NULL) == WEIR_OK);
    const json_options cut = {
        .string_bytes_max = 5, .cut_long_strings = true, .leading_space = true};
    const json_options tight = {.depth_max = 3};
    const weir_code whole = read_all(source, size, NULL);
    const weir_code with_cuts = read_all(source, size, &cut);
    check(with_cuts == whole || whole == WEIR_ERR_LIMIT);
    (void)read_all(source, size, &tight);
    return 0;
}
