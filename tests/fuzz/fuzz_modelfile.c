/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever a Modelfile holds, it becomes printable claims or is refused with its line. */
#include "open_as.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    open_as("Modelfile", data, size);
    return 0;
}
