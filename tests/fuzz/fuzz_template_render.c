/* SPDX-License-Identifier: Apache-2.0 */
/* Two chat templates, split at the first byte 0: parsed, rendered over the grid, compared. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "delta/template_delta.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    WEIR_CLEANUP(arena_release) arena memory = {0};
    const char *base = (const char *)data;
    const char *split = size > 0 ? memchr(base, 0, size) : NULL;
    const size_t base_len = split ? (size_t)(split - base) : size / 2;
    const char *model = base + base_len + (split != NULL);
    const size_t model_len = size - base_len - (split != NULL);
    template_delta delta;
    const weir_code code =
        template_delta_find(&delta, &memory, base, base_len, model, model_len, NULL);
    if (code != WEIR_OK && code != WEIR_ERR_NOMEM) {
        abort();
    }
    for (size_t i = 0; code == WEIR_OK && i < delta.finding_count; i++) {
        const char *text = delta.findings[i].text;
        char escaped[4096];
        text_escape(escaped, sizeof escaped, text, strlen(text));
        if (strlen(text) < 1000 && strcmp(escaped, text) != 0) {
            abort(); /* not printable */
        }
    }
    return 0;
}
