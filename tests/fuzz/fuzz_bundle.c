/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever bytes come, they are refused with a place, or are a bundle whose parts can be tested
 * against each other. */
#include <stdint.h>
#include <stdlib.h>

#include "evidence/bundle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    WEIR_CLEANUP(weir_source_free) weir_source *source = NULL;
    WEIR_CLEANUP(bundle_free) bundle *read = NULL;
    weir_error err = {0};
    if (weir_source_open_memory(&source, data, size, "fuzz", &err) != WEIR_OK) {
        abort();
    }
    if (bundle_read(&read, source, &err) != WEIR_OK) {
        if (err.code == WEIR_OK || !err.expected[0]) {
            abort();
        }
        return 0;
    }
    for (size_t i = 0; i < read->candidate_count; i++) {
        WEIR_CLEANUP(link_result_release) link_result result = {0};
        if (link_test(&result, read->sketch, read->candidates[i].sketch, read->entries, &err) !=
                WEIR_OK ||
            result.log10_p > 0) {
            abort();
        }
    }
    return 0;
}
