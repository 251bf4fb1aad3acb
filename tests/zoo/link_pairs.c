/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tests every pair of models for shared weights, and shows the statistic behind it, for the judge
 * of the zoo: link_pairs UNRELATED < paths One path a line; a model that cannot be opened is noted
 * as "failed INDEX". Of the first UNRELATED models it prints for every pair of blocks with the same
 * number block I J LAYER EXPERT CODES FIXED OF and of all pairs whose p, for one entry searched, is
 * below a tenth pair I J LOG10_P CODES COSINE at the end "read INDEX BYTES OF_BYTES" for every
 * model. Any other failure ends it with status 1.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sketch/link.h"
#include "weir/finding.h"
#include "weir/model.h"

enum { MODELS_MAX = 4096, PATH_MAX_BYTES = 4096 };

static fingerprint *models[MODELS_MAX];
static fingerprint_cost costs[MODELS_MAX];
static size_t model_count;

static void read_models(void) {
    char path[PATH_MAX_BYTES];
    while (model_count < MODELS_MAX && fgets(path, sizeof path, stdin)) {
        path[strcspn(path, "\n")] = '\0';
        const fingerprint_options options = {.jobs = 1};
        weir_model *model = NULL;
        weir_findings *findings = NULL;
        weir_error err = {0};
        if (weir_findings_new(&findings, &err) != WEIR_OK ||
            weir_model_open(&model, path, NULL, findings, &err) != WEIR_OK ||
            fingerprint_make(&models[model_count], model, &options, &costs[model_count], &err) !=
                WEIR_OK) {
            printf("failed %zu\n", model_count);
        }
        weir_model_free(model);
        weir_findings_free(findings);
        model_count++;
    }
}

static void show_blocks(size_t i, size_t j) {
    for (size_t a = 0; a < models[i]->block_count; a++) {
        for (size_t b = 0; b < models[j]->block_count; b++) {
            const sketch_block *const mine = &models[i]->blocks[a];
            const sketch_block *const theirs = &models[j]->blocks[b];
            if (mine->layer != theirs->layer || mine->expert != theirs->expert) {
                continue;
            }
            const link_codes kinds[] = {LINK_UNIT_CODES, LINK_TOKEN_CODES};
            for (size_t k = 0; k < 2; k++) {
                unsigned of = 0;
                const bool comparable = k == 0 ? models[i]->hidden == models[j]->hidden
                                               : mine->has_tokens && theirs->has_tokens;
                const unsigned fixed =
                    comparable ? link_fixed_points(mine, theirs, kinds[k], &of) : 0;
                if (of) {
                    printf("block %zu %zu %" PRId32 " %" PRId32 " %s %u %u\n", i, j, mine->layer,
                           mine->expert, k == 0 ? "rows" : "tokens", fixed, of);
                }
            }
        }
    }
}

static int test_pairs(size_t unrelated) {
    for (size_t i = 0; i < model_count; i++) {
        for (size_t j = i + 1; models[i] && j < model_count; j++) {
            if (!models[j]) {
                continue;
            }
            if (j < unrelated) {
                show_blocks(i, j);
            }
            link_result result = {0};
            if (link_test(&result, models[i], models[j], 1, NULL) != WEIR_OK) {
                return 1;
            }
            if (result.log10_p < -1) {
                printf("pair %zu %zu %.3f %s %.4f\n", i, j, result.log10_p,
                       result.codes == LINK_UNIT_CODES ? "rows" : "tokens", result.cosine);
            }
            link_result_release(&result);
        }
    }
    return 0;
}

int main(int argc, char **argv) {
    if (argc != 2) {
        (void)fprintf(stderr, "usage: link_pairs UNRELATED < paths\n");
        return 2;
    }
    read_models();
    const int code = test_pairs(strtoul(argv[1], NULL, 10));
    for (size_t i = 0; i < model_count; i++) {
        printf("read %zu %" PRIu64 " %" PRIu64 "\n", i, costs[i].bytes_read, costs[i].bytes_stored);
        fingerprint_free(models[i]);
    }
    return code;
}
