/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The statistic behind every trace, for tests of its law:
 *     link_null FINGERPRINT...
 * For every pair of fingerprint files, one line for each block of equal number:
 *     block TAB first file TAB second file TAB block TAB units in their place TAB units that could
 * match and one line for the pair: pair TAB first file TAB second file TAB log10 of p for one entry
 * TAB cosine
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/checked.h"
#include "sketch/folder_library.h"
#include "sketch/link.h"

static void print_pair(char **names, fingerprint *const *sketches, size_t a, size_t b) {
    WEIR_CLEANUP(link_result_release) link_result result = {0};
    const fingerprint *const mine = sketches[a];
    const fingerprint *const theirs = sketches[b];
    const size_t count =
        mine->block_count < theirs->block_count ? mine->block_count : theirs->block_count;
    for (size_t i = 0; i < count; i++) {
        unsigned of = 0;
        const unsigned points =
            link_fixed_points(&mine->blocks[i], &theirs->blocks[i], LINK_UNIT_CODES, &of);
        (void)printf("block\t%s\t%s\t%zu\t%u\t%u\n", names[a], names[b], i, points, of);
    }
    if (link_test(&result, mine, theirs, 1, NULL) == WEIR_OK) {
        (void)printf("pair\t%s\t%s\t%.9f\t%.6f\n", names[a], names[b], result.log10_p,
                     result.cosine);
    }
}

int main(int argc, char **argv) {
    const size_t count = (size_t)(argc > 1 ? argc - 1 : 0);
    fingerprint **sketches = calloc(count + 1, sizeof *sketches);
    int failed = sketches ? 0 : 1;
    for (size_t i = 0; i < count && !failed; i++) {
        weir_error err = {0};
        char line[512];
        failed = fingerprint_read(&sketches[i], argv[i + 1], &err) != WEIR_OK;
        if (failed) {
            (void)fprintf(stderr, "link_null: %s\n", weir_error_format(&err, line, sizeof line));
        }
    }
    for (size_t a = 0; a < count && !failed; a++) {
        for (size_t b = 0; b < a; b++) {
            print_pair(argv + 1, sketches, a, b);
        }
    }
    for (size_t i = 0; sketches && i < count; i++) {
        fingerprint_free(sketches[i]);
    }
    free(sketches);
    return failed;
}
