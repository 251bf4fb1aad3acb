/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever the bytes are, search_index_open_memory() answers, and what it accepts can be searched
 * without a read outside. Each input is tried as it is and with the header's checksum made right,
 * so that what is behind the checksum is reached.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sketch/index_format.h"
#include "sketch/search_index.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds) {
    if (!holds) {
        abort();
    }
}

static void search(const search_index *index, const hot_code *code) {
    search_hit *hits = NULL;
    size_t count = 0;
    weir_error err = {0};
    if (search_index_leaders(&hits, &count, index, code, 3, 1, &err) != WEIR_OK) {
        require(hits == NULL && err.found[0] != '\0');
        return;
    }
    require(count <= 6);
    for (size_t i = 0; i < count; i++) {
        search_hit *members = NULL;
        size_t member_count = 0;
        require(hits[i].family < search_index_leader_count(index));
        require(hits[i].family_size <= search_index_entry_count(index));
        require(search_index_members(&members, &member_count, index, hits[i].family, code, 4,
                                     &err) == WEIR_OK);
        require(member_count >= 1 && member_count <= 4);
        free(members);
    }
    free(hits);
}

static void try_bytes(const uint8_t *data, size_t size) {
    static const hot_code codes[] = {
        {.hidden = 64,
         .has_gate = true,
         .has_unit = true,
         .has_token = true,
         .unit_low = {UINT64_MAX},
         .token_low = {UINT64_MAX}},
        {.hidden = 32, .has_unit = true, .unit_high = {UINT64_MAX}},
        {.has_token = true, .token_low = {1}},
    };
    search_index *index = NULL;
    weir_error err = {0};
    if (search_index_open_memory(&index, data, size, "f", &err) != WEIR_OK) {
        require(index == NULL && err.found[0] != '\0');
        return;
    }
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        search(index, &codes[i]);
    }
    (void)search_index_verify(index, &err);
    search_index_free(index);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    try_bytes(data, size);
    uint8_t *copy = size >= INDEX_HEADER_BYTES ? malloc(size) : NULL;
    digest *state = NULL;
    if (copy && digest_new(&state, NULL) == WEIR_OK) {
        memcpy(copy, data, size);
        digest_update(state, copy, INDEX_DIGEST_AT);
        digest_finish(state, copy + INDEX_DIGEST_AT);
        try_bytes(copy, size);
    }
    digest_free(state);
    free(copy);
    return 0;
}
