/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What template_delta_find says of two templates:
 *
 *     template_delta_dump BASE MODEL
 *     KIND <TAB> differ <TAB> rendered <TAB> unrendered <TAB> first difference
 *     CLASS <TAB> grade <TAB> line <TAB> text           a line a finding
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "delta/template_delta.h"

static int read_file(text_buffer *out, const char *path) {
    char block[4096];
    size_t len;
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        return 1;
    }
    while ((len = fread(block, 1, sizeof block, file)) > 0) {
        text_buffer_add(out, block, len);
    }
    return fclose(file);
}

int main(int argc, char **argv) {
    WEIR_CLEANUP(text_buffer_release) text_buffer base = {0};
    WEIR_CLEANUP(text_buffer_release) text_buffer model = {0};
    WEIR_CLEANUP(arena_release) arena memory = {0};
    template_delta delta;
    if (argc != 3 || read_file(&base, argv[1]) != 0 || read_file(&model, argv[2]) != 0 ||
        template_delta_find(&delta, &memory, base.data ? base.data : "", base.len,
                            model.data ? model.data : "", model.len, NULL) != WEIR_OK) {
        return 2;
    }
    printf("%s\t%zu\t%zu\t%zu\t%s\n", template_delta_kind_name(delta.kind), delta.rendered_differ,
           delta.rendered_n, delta.unrendered_n, delta.first_difference);
    for (size_t i = 0; i < delta.finding_count; i++) {
        const template_finding *found = &delta.findings[i];
        printf("%s\t%s\t%u\t%s\n", template_finding_class_name(found->kind),
               weir_grade_name(found->grade), (unsigned)found->line, found->text);
    }
    return 0;
}
