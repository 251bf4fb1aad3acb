/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What template_render makes of a template, for comparison with jinja2:
 *
 *     template_dump < CASES       a case is two lengths in bytes and two texts: "12 34\nTEMPLATE" +
 * JSON
 *
 * and prints for each OUTCOME LINE LENGTH, a line end, the text or the message, and a line end.
 * The date is Wednesday, 1 January 2025, 09:05:07.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "template/render.h"

static int dump(const char *text, size_t len, const char *json, size_t json_len) {
    static const template_date date = {2025, 1, 1, 9, 5, 7};
    WEIR_CLEANUP(arena_release) arena memory = {0};
    weir_error err = {0};
    const template_node *tree;
    datum variables;
    template_rendering done;
    if (value_from_json(&variables, &memory, json, json_len, &err) != WEIR_OK) {
        return 1;
    }
    const weir_code code = template_parse(&tree, &memory, text, len, &err);
    if (code != WEIR_OK) {
        char line[600];
        (void)weir_error_format(&err, line, sizeof line);
        printf("%s %s %zu\n%s\n", code == WEIR_ERR_FORMAT ? "malformed" : "unsupported", "0",
               strlen(line), line);
        return 0;
    }
    if (template_render(&done, &memory, tree, &variables, &date, &err) != WEIR_OK) {
        return 1;
    }
    static const char *const outcomes[] = {"rendered", "refused", "failed", "unsupported",
                                           "too-long"};
    const bool is_text = done.outcome == TEMPLATE_RENDERED;
    const size_t size = is_text ? done.len : strlen(done.message);
    printf("%s %u %zu\n", outcomes[done.outcome], (unsigned)done.line, size);
    (void)fwrite(is_text ? done.text : done.message, 1, size, stdout);
    (void)putchar('\n');
    return 0;
}

int main(void) {
    size_t sizes[2];
    while (scanf("%zu %zu", &sizes[0], &sizes[1]) == 2 && getchar() == '\n') {
        char *bytes = malloc(sizes[0] + sizes[1] + 1);
        if (!bytes || fread(bytes, 1, sizes[0] + sizes[1], stdin) != sizes[0] + sizes[1] ||
            dump(bytes, sizes[0], bytes + sizes[0], sizes[1]) != 0) {
            return 1;
        }
        free(bytes);
    }
    return 0;
}
