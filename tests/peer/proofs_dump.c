/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the proofs by replay say of two models, for tests with other tools' files:
 *     proofs_dump BASE MODEL [containment|detour|pruning]...
 * prints a line of JSON for every matrix that both have in one shape.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "delta/containment.h"
#include "delta/detour.h"
#include "delta/matrix_look.h"
#include "delta/pruning.h"

static _Noreturn void fail(const weir_error *err) {
    (void)fprintf(stderr, "proofs_dump: %s at %s: %s, not %s\n", err->file, err->at, err->found,
                  err->expected);
    exit(1);
}

static void print_number(const char *name, double value) {
    if (isnan(value)) {
        printf(", \"%s\": null", name);
    } else {
        printf(", \"%s\": %.9g", name, value);
    }
}

static void print_count(const char *name, uint64_t value) {
    printf(", \"%s\": %" PRIu64, name, value);
}

static void print_containment(const weir_diff *diff, const tensor_delta *row) {
    static const char *const verdicts[] = {"no", "consistent", "strong", "proved"};
    weir_error err = {0};
    containment found;
    containment sample;
    if (!containment_applies(diff, row)) {
        return;
    }
    if (containment_measure(&sample, diff, row, LOOK_SAMPLE_ELEMENTS / 64, &err) != WEIR_OK ||
        containment_measure(&found, diff, row, SIZE_MAX, &err) != WEIR_OK) {
        fail(&err);
    }
    printf(", \"containment\": {\"verdict\": \"%s\", \"sample\": \"%s\", \"via\": \"%s\"",
           verdicts[found.verdict], verdicts[sample.verdict], weir_dtype_name(found.via));
    print_count("count", found.cells.count);
    print_count("mute", found.cells.mute);
    print_count("worst_row_left", found.worst_row_left);
    print_number("equal", found.equal_share);
    print_number("explained", found.explained_share);
    print_number("near", found.near_share);
    print_number("excess", found.excess);
    print_number("correlation", found.correlation);
    print_number("hidden_likely", found.hidden_likely);
    print_number("hidden_most", found.hidden_most);
    printf("}");
}

static void print_detour(const weir_diff *diff, const tensor_delta *row) {
    weir_error err = {0};
    detour found;
    if (detour_find(&found, diff, row, LOOK_SAMPLE_ELEMENTS / 64, &err) != WEIR_OK ||
        detour_prove(&found, diff, row, &err) != WEIR_OK) {
        fail(&err);
    }
    printf(", \"detour\": {\"via\": \"%s\", \"proved\": %s", detour_name(&found),
           found.is_proved ? "true" : "false");
    print_count("count", found.count);
    print_count("replayed", found.replayed);
    print_count("changed", found.changed);
    print_number("explained", detour_explained(&found));
    printf("}");
}

static void print_pruning(const weir_diff *diff, const tensor_delta *row) {
    WEIR_CLEANUP(matrix_look_release) matrix_look look = {0};
    weir_error err = {0};
    if (matrix_look_read(&look, diff, row, LOOK_SAMPLE_ELEMENTS / 64, &err) != WEIR_OK) {
        fail(&err);
    }
    print_number("rounding", look.coded_rounding);
    print_number("change", look.change_square / (double)(look.rows * look.cols));
    if (!pruning_is_suspected(&look)) {
        return;
    }
    pruning found;
    char text[PRUNING_TEXT_BYTES];
    if (pruning_measure(&found, &look, diff, row, &err) != WEIR_OK) {
        fail(&err);
    }
    pruning_format(&found, text);
    printf(", \"pruning\": {\"text\": \"%s\", \"rule\": %d", text, found.rule);
    print_count("group", found.group);
    print_count("kept", found.kept);
    print_count("zeros", found.zeros);
    print_count("survivors", found.survivors);
    print_count("survivors_equal", found.survivors_equal);
    print_count("zero_rows", found.zero_rows);
    print_count("zero_cols", found.zero_cols);
    print_number("sparsity", found.sparsity);
    print_number("rule_share", found.rule_share);
    print_number("size_ratio", found.size_ratio);
    printf(", \"survivors_proved\": %s, \"rule_proved\": %s}",
           found.is_survivors_proved ? "true" : "false", found.is_rule_proved ? "true" : "false");
}

int main(int argc, char **argv) {
    weir_error err = {0};
    WEIR_CLEANUP(weir_diff_free) weir_diff *diff = calloc(1, sizeof *diff);
    if (argc < 3 || !diff) {
        (void)fprintf(stderr, "usage: proofs_dump BASE MODEL [containment|detour|pruning]...\n");
        return 1;
    }
    if (model_open_weights(&diff->base, &diff->base_findings, argv[1], NULL, &err) != WEIR_OK ||
        model_open_weights(&diff->model, &diff->findings, argv[2], NULL, &err) != WEIR_OK ||
        diff_match(diff, &err) != WEIR_OK) {
        fail(&err);
    }
    for (size_t i = 0; i < diff->tensor_count; i++) {
        const tensor_delta *const row = &diff->tensors[i];
        const weir_tensor *const shown = tensor_delta_shown(diff, row);
        if (row->state != TENSOR_COMPARED || shown->rows < 2) {
            continue;
        }
        printf("{\"name\": \"%s\", \"dtype\": \"%s\"", shown->name, weir_dtype_name(shown->dtype));
        for (int j = 3; j < argc; j++) {
            if (strcmp(argv[j], "containment") == 0) {
                print_containment(diff, row);
            } else if (strcmp(argv[j], "detour") == 0) {
                print_detour(diff, row);
            } else {
                print_pruning(diff, row);
            }
        }
        printf("}\n");
    }
    return 0;
}
