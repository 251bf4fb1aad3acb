/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What weir says about safetensors headers and indexes, one line a file, for comparison with the
 * reference:
 *
 *     safetensors_verdict [--lenient] FILE...
 *     ok|refused <TAB> VERDICT <TAB> FILE <TAB> number of tensors, or the error
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/findings.h"
#include "format/safetensors.h"

static weir_code read_file(weir_source *source, bool lenient, size_t *count,
                           weir_findings *findings, weir_error *err) {
    const char *name = weir_source_name(source);
    const size_t len = strlen(name);
    weir_code code;
    if (len >= 5 && strcmp(name + len - 5, ".json") == 0) {
        safetensors_index index = {0};
        code = safetensors_index_read(&index, source, findings, err);
        *count = index.entry_count;
        safetensors_index_release(&index);
        return code;
    }
    tensor_table table = {0};
    code = safetensors_read(&(safetensors_target){.table = &table, .findings = findings}, source,
                            lenient, err);
    *count = table.count;
    tensor_table_release(&table);
    return code;
}

static void print_verdict(const char *path, bool lenient) {
    weir_error err = {0};
    WEIR_CLEANUP(weir_findings_free) weir_findings *findings = NULL;
    WEIR_CLEANUP(weir_source_free) weir_source *source = NULL;
    size_t count = 0;
    weir_code code = weir_findings_new(&findings, &err);
    if (code == WEIR_OK) {
        code = weir_source_open_file(&source, AT_FDCWD, path, path, &err);
    }
    if (code == WEIR_OK) {
        code = read_file(source, lenient, &count, findings, &err);
    }
    if (code != WEIR_OK) {
        char line[1024];
        findings_add_error(findings, "safetensors-malformed", &err);
        (void)weir_error_format(&err, line, sizeof line);
        printf("refused\t%s\t%s\t%s\n",
               weir_verdict_name(findings_verdict(findings, err.file, WEIR_VERDICT_CLEAN)), path,
               line);
        return;
    }
    printf("ok\t%s\t%s\t%zu\n",
           weir_verdict_name(findings_verdict(findings, path, WEIR_VERDICT_CLEAN)), path, count);
}

int main(int argc, char **argv) {
    const bool lenient = argc > 1 && strcmp(argv[1], "--lenient") == 0;
    for (int i = lenient ? 2 : 1; i < argc; i++) {
        print_verdict(argv[i], lenient);
    }
    return 0;
}
