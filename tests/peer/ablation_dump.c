/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What weir measures of the write matrices of pairs of models, for the tests that judge it. Reads
 * lines "BASE<tab>MODEL" from stdin, and writes one line of JSON for each. usage: [THREADS]
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "delta/ablation.h"

static void print_number(const char *name, double value) {
    if (isfinite(value)) {
        printf("\"%s\": %.6g", name, value);
    } else {
        printf("\"%s\": null", name);
    }
}

static void print_verdict(const weir_diff *diff, const ablation_verdict *verdict) {
    static const char *const answers[] = {"no", "yes", "cannot decide"};
    static const char *const scopes[] = {"none", "global", "layer"};
    printf("{\"answer\": \"%s\", \"why\": \"%s\", \"scope\": \"%s\", \"directions\": %zu, "
           "\"row_norms\": %d, \"by_eigen\": %d, \"edited\": %zu, \"of\": %zu, ",
           answers[verdict->answer], verdict->why ? verdict->why : "", scopes[verdict->scope],
           verdict->directions, verdict->by_row_norms, verdict->by_eigenvalue,
           verdict->edited_count, verdict->matrix_count);
    const struct {
        const char *name;
        double value;
    } figures[] = {{"identity", verdict->identity},
                   {"share", verdict->share},
                   {"axis", verdict->axis},
                   {"mean", verdict->mean},
                   {"own", verdict->own},
                   {"eigen", verdict->eigen_ratio},
                   {"eigen_in_change", verdict->eigen_in_change}};
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) {
        print_number(figures[i].name, figures[i].value);
        printf(", ");
    }
    printf("\"matrices\": [");
    for (size_t i = 0; i < verdict->matrix_count; i++) {
        const ablation_matrix *const matrix = &verdict->matrices[i];
        printf("%s{\"name\": \"%s\", \"edited\": %d, ", i ? ", " : "",
               tensor_delta_shown(diff, &diff->tensors[matrix->row])->name, matrix->is_edited);
        print_number("change", matrix->change);
        printf(", ");
        print_number("noise", matrix->noise);
        printf(", ");
        print_number("share", matrix->share);
        printf(", ");
        print_number("identity", matrix->identity);
        printf(", ");
        print_number("lambda", matrix->lambda);
        printf(", ");
        print_number("own", matrix->own);
        printf("}");
    }
    printf("]}\n");
    (void)fflush(stdout);
}

int main(int argc, char **argv) {
    const unsigned threads = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1;
    char *line = NULL;
    size_t capacity = 0;
    ssize_t length;
    while ((length = getline(&line, &capacity, stdin)) > 0) {
        line[length - 1] = '\0';
        char *const tab = strchr(line, '\t');
        if (!tab) {
            return 2;
        }
        *tab = '\0';
        weir_diff *diff = NULL;
        ablation_verdict verdict = {0};
        weir_error err = {0};
        const weir_diff_options options = {.jobs = 1};
        if (weir_diff_run(&diff, line, tab + 1, &options, &err) != WEIR_OK ||
            ablation_examine(&verdict, diff, threads, &err) != WEIR_OK) {
            printf("{\"answer\": \"error\", \"why\": \"%s\"}\n", err.found);
            (void)fflush(stdout);
        } else {
            print_verdict(diff, &verdict);
        }
        ablation_verdict_release(&verdict);
        weir_diff_free(diff);
    }
    free(line);
    return 0;
}
