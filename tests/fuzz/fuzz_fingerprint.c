/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever bytes come, they are refused, or are a fingerprint that is written as these very bytes
 * and can be tested against itself. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sketch/link.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    WEIR_CLEANUP(fingerprint_free) fingerprint *sketch = NULL;
    WEIR_CLEANUP(free) uint8_t *again = NULL;
    WEIR_CLEANUP(link_result_release) link_result result = {0};
    size_t len = 0;
    if (fingerprint_decode(&sketch, data, size, "fuzz", NULL) != WEIR_OK) {
        return 0;
    }
    if (fingerprint_encode(&again, &len, sketch, NULL) != WEIR_OK || len != size ||
        memcmp(again, data, size) != 0 || link_test(&result, sketch, sketch, 1, NULL) != WEIR_OK) {
        abort();
    }
    return 0;
}
