/* SPDX-License-Identifier: Apache-2.0 */
#include "sketch/blocks.h"

#include "base/fail.h"
#include "kernel/unit_code.h"
#include "sketch/fingerprint.h"

weir_code blocks_list(feed_forward **out, size_t *count, const weir_model *model, weir_error *err) {
    feed_forward *items = NULL;
    size_t found = 0;
    size_t kept = 0;
    WEIR_TRY(feed_forward_list(&items, &found, model, err));
    for (size_t i = 0; i < found && kept < BLOCK_COUNT_MAX; i++) {
        const weir_tensor *const up = &items[i].up->base;
        if (up->rows >= BLOCK_UNITS && up->cols > 1 && up->cols <= UNIT_COLS_MAX &&
            items[i].expert < BLOCK_EXPERTS) {
            items[kept++] = items[i];
        }
    }
    *out = items;
    *count = kept;
    return WEIR_OK;
}
