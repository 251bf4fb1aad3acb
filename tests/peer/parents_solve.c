/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What weir says about the parents of a child, for comparison with merges that other tools made.
 * Reads cases from stdin until it ends, each in native byte order:
 *     u32 candidates, pieces, numbers a piece, is_projected; f64 child_rounding, child_noise
 *     f32 child[], then each candidate[]
 * and writes one line of JSON a case.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/checked.h"
#include "sketch/parents.h"

static const char *const kinds[] = {
    [PARENTS_NONE] = "none",
    [PARENTS_NEAREST] = "nearest",
    [PARENTS_MERGE] = "merge",
    [PARENTS_MERGE_SPARSE] = "sparse",
    [PARENTS_MERGE_LAYERED] = "layered",
    [PARENTS_PASSTHROUGH] = "passthrough",
    [PARENTS_MISSING] = "missing",
    [PARENTS_UNSETTLED] = "unsettled",
};

static void print_number(double value) {
    if (isfinite(value)) {
        printf("%.9g", value);
    } else {
        printf("null");
    }
}

static void print_result(const parents_result *result, size_t candidates) {
    printf("{\"kind\": \"%s\", \"missing\": %s, \"used\": %zu, \"residual\": ", kinds[result->kind],
           result->missing_parent ? "true" : "false", result->numbers_used);
    print_number(result->residual);
    printf(", \"stands_for\": [");
    for (size_t j = 0; j < candidates; j++) {
        printf("%s%zu", j ? ", " : "", result->stands_for[j]);
    }
    printf("], \"shares\": [");
    for (size_t i = 0; i < result->share_count; i++) {
        const parents_share *share = &result->shares[i];
        printf("%s[%zu, ", i ? ", " : "", share->candidate);
        print_number(share->share);
        printf(", ");
        print_number(share->low);
        printf(", ");
        print_number(share->high);
        printf("]");
    }
    printf("]}\n");
    (void)fflush(stdout);
}

typedef struct header {
    uint32_t candidates, pieces, numbers, is_projected;
    double child_rounding, child_noise;
} header;

static int solve_one(const header *head) {
    const size_t numbers = (size_t)head->pieces * head->numbers;
    float *values = checked_alloc((size_t)head->candidates + 1, numbers * sizeof *values);
    parents_piece *pieces = checked_alloc(head->pieces, sizeof *pieces);
    const float *candidates[PARENT_CANDIDATES_MAX];
    int status = 1;
    const size_t all = ((size_t)head->candidates + 1) * numbers;
    if (values && pieces && head->candidates <= PARENT_CANDIDATES_MAX &&
        fread(values, sizeof *values, all, stdin) == all) {
        for (size_t j = 0; j < head->candidates; j++) {
            candidates[j] = values + (j + 1) * numbers;
        }
        for (size_t p = 0; p < head->pieces; p++) {
            pieces[p] = (parents_piece){p * head->numbers, head->numbers, (int32_t)p};
        }
        const parents_input input = {.child = values,
                                     .candidates = candidates,
                                     .candidate_count = head->candidates,
                                     .pieces = pieces,
                                     .piece_count = head->pieces,
                                     .is_projected = head->is_projected != 0,
                                     .child_rounding = head->child_rounding,
                                     .child_noise = head->child_noise};
        parents_result result;
        weir_error err = {0};
        if (parents_solve(&result, &input, &err) == WEIR_OK) {
            print_result(&result, head->candidates);
            status = 0;
        }
    }
    free(values);
    free(pieces);
    return status;
}

int main(void) {
    header head;
    while (fread(&head, sizeof head, 1, stdin) == 1) {
        if (solve_one(&head)) {
            return 1;
        }
    }
    return 0;
}
