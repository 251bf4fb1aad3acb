/* SPDX-License-Identifier: Apache-2.0 */
/* What text_escape() gives out is UTF-8, NUL-terminated and inside its buffer, whatever came in. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char out[96];
    const size_t room = size > 0 ? data[0] % sizeof out : sizeof out;
    text_escape(out, room, (const char *)data, size);
    if (room > 0 && (strlen(out) >= room || !text_is_utf8(out, strlen(out)))) {
        abort();
    }
    return 0;
}
