/* SPDX-License-Identifier: Apache-2.0 */
/*
 * File names of a split, "PREFIX-00002-of-00003.gguf": numbers count from one and have five digits.
 * Source: llama.cpp, src/llama.cpp, llama_split_path.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "format/gguf.h"

/* Five digits at `text` as a number. */
static bool parse_five(uint32_t *out, const char *text) {
    uint32_t number = 0;
    for (size_t i = 0; i < 5; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
        number = number * 10 + (uint32_t)(text[i] - '0');
    }
    *out = number;
    return true;
}

bool gguf_split_name_parse(gguf_split_name *out, const char *name) {
    static const char ending[] = "-00000-of-00000.gguf";
    const size_t ending_len = sizeof ending - 1;
    const size_t len = strlen(name);
    if (len <= ending_len) {
        return false;
    }
    const char *tail = name + len - ending_len;
    uint32_t number;
    uint32_t count;
    if (tail[0] != '-' || !parse_five(&number, tail + 1) || memcmp(tail + 6, "-of-", 4) != 0 ||
        !parse_five(&count, tail + 10) || strcmp(tail + 15, ".gguf") != 0 || number == 0 ||
        number > count) {
        return false;
    }
    *out = (gguf_split_name){.prefix_len = len - ending_len, .index = number - 1, .count = count};
    return true;
}

bool gguf_split_name_format(char *out, size_t size, const char *prefix, size_t prefix_len,
                            uint32_t index, uint32_t count) {
    if (index >= count || count > 99999 || prefix_len > INT32_MAX) {
        return false;
    }
    const int len = snprintf(out, size, "%.*s-%05" PRIu32 "-of-%05" PRIu32 ".gguf", (int)prefix_len,
                             prefix, index + 1, count);
    return len > 0 && (size_t)len < size;
}
