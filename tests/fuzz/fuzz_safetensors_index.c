/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as an index of shards. What must hold: a failure says where; accepted shard names are
 * relative and have no ".." component; every entry names a shard of the list.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "format/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int holds) {
    if (!holds) {
        abort();
    }
}

static void check_shard(const char *name) {
    check(name[0] != '\0' && name[0] != '/' && name[0] != '\\');
    check(strcmp(name, "..") != 0 && strncmp(name, "../", 3) != 0);
    check(!strstr(name, "/../") && !strstr(name, "\\..\\"));
    check(text_is_utf8(name, strlen(name)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    WEIR_CLEANUP(weir_source_free) weir_source *source = NULL;
    WEIR_CLEANUP(weir_findings_free) weir_findings *findings = NULL;
    check(weir_source_open_memory(&source, data, size, "fuzz", NULL) == WEIR_OK);
    check(weir_findings_new(&findings, NULL) == WEIR_OK);
    safetensors_index index = {0};
    weir_error err = {0};
    const weir_code code = safetensors_index_read(&index, source, findings, &err);
    if (code != WEIR_OK) {
        check(code == err.code && err.at[0] != '\0' && err.found[0] != '\0');
        check(index.entry_count == 0 && !index.entries);
        return 0;
    }
    for (size_t i = 0; i < index.shard_count; i++) {
        check_shard(index.shards[i]);
    }
    for (size_t i = 0; i < index.entry_count; i++) {
        check(index.entries[i].shard < index.shard_count);
    }
    safetensors_index_release(&index);
    return 0;
}
