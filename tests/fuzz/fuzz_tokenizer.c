/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever a tokenizer.json holds, it becomes a bounded vocabulary or is refused with its place. */
#include "open_as.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    open_as("tokenizer.json", data, size);
    return 0;
}
