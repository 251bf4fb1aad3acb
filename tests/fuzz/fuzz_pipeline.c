/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever a model_index.json holds, it becomes printable claims or is refused with its place. */
#include "open_as.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    open_as("model_index.json", data, size);
    return 0;
}
