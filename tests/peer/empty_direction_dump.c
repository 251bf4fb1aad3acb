/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether models have an empty direction, for the tests that judge it. Reads a path from each line
 * of stdin, and writes one line of JSON.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "delta/empty_direction.h"

static void print_number(const char *name, double value) {
    if (isfinite(value)) {
        printf(", \"%s\": %.6g", name, value);
    } else {
        printf(", \"%s\": null", name);
    }
}

int main(void) {
    static const char *const answers[] = {"none", "found", "cannot decide"};
    char *line = NULL;
    size_t capacity = 0;
    ssize_t length;
    while ((length = getline(&line, &capacity, stdin)) > 0) {
        line[length - 1] = '\0';
        weir_model *model = NULL;
        weir_findings *findings = NULL;
        weir_error err = {0};
        empty_direction found = {0};
        if (model_open_weights(&model, &findings, line, NULL, &err) != WEIR_OK ||
            empty_direction_find(&found, model, 1, &err) != WEIR_OK) {
            printf("{\"answer\": \"error\"}\n");
        } else {
            printf("{\"answer\": \"%s\", \"why\": \"%s\", \"matrices\": %zu, \"width\": %zu, "
                   "\"dead\": %zu",
                   answers[found.answer], found.why, found.matrix_count, found.width, found.dead);
            print_number("ratio", found.ratio);
            print_number("axis", found.axis);
            print_number("mean", found.mean);
            printf("}\n");
        }
        (void)fflush(stdout);
        weir_model_free(model);
        weir_findings_free(findings);
    }
    free(line);
    return 0;
}
