/* SPDX-License-Identifier: Apache-2.0 */
#include "assess/trace_ranges.h"

#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/checked.h"
#include "base/fail.h"

enum { PIECE_BYTES = 1 << 20 };

weir_code trace_ranges_keep(const weir_model *model, weir_error *err) {
    const checkpoint *const files = model_checkpoint(model);
    for (size_t i = 0; i < files->file_count; i++) {
        if (files->files[i].source) {
            WEIR_TRY(source_keep_ranges(files->files[i].source, err));
        }
    }
    return WEIR_OK;
}

weir_code range_hash(char out[static DIGEST_TEXT_BYTES], weir_source *source,
                     const source_range *range, const weir_callbacks *callbacks, weir_error *err) {
    WEIR_CLEANUP(digest_free) digest *state = NULL;
    WEIR_CLEANUP(free) unsigned char *piece = malloc(PIECE_BYTES);
    uint8_t hash[DIGEST_BYTES];
    WEIR_TRY(digest_new(&state, err));
    if (!piece) {
        return weir_fail_nomem(err);
    }
    for (uint64_t done = 0; done < range->bytes;) {
        const uint64_t left = range->bytes - done;
        const size_t len = left < PIECE_BYTES ? (size_t)left : PIECE_BYTES;
        if (is_cancelled(callbacks)) {
            return weir_fail(err, WEIR_ERR_CANCELLED, NULL, NULL, NULL, "stopped");
        }
        WEIR_TRY(weir_source_read(source, range->offset + done, piece, len, err));
        digest_update(state, piece, len);
        done += len;
    }
    digest_finish(state, hash);
    digest_format(out, hash);
    return WEIR_OK;
}

static weir_code note_range(weir_trace *trace, size_t *capacity, const checkpoint_file *file,
                            const source_range *range, const weir_callbacks *callbacks,
                            weir_error *err) {
    void *items = trace->ranges;
    if (!checked_grow(&items, capacity, trace->range_count, sizeof *trace->ranges)) {
        return weir_fail_nomem(err);
    }
    trace->ranges = items;
    trace_range noted = {.offset = range->offset, .bytes = range->bytes};
    noted.file = arena_copy_text(&trace->memory, file->path, strlen(file->path));
    if (!noted.file) {
        return weir_fail_nomem(err);
    }
    WEIR_TRY(range_hash(noted.sha256, file->source, range, callbacks, err));
    trace->ranges[trace->range_count++] = noted;
    return WEIR_OK;
}

weir_code trace_ranges_note(weir_trace *trace, const weir_model *model,
                            const weir_callbacks *callbacks, weir_error *err) {
    const checkpoint *const files = model_checkpoint(model);
    size_t capacity = 0;
    for (size_t i = 0; i < files->file_count; i++) {
        WEIR_CLEANUP(free) source_range *ranges = NULL;
        size_t count = 0;
        if (!files->files[i].source) {
            continue;
        }
        WEIR_TRY(source_kept_ranges(&ranges, &count, files->files[i].source, err));
        for (size_t r = 0; r < count; r++) {
            WEIR_TRY(note_range(trace, &capacity, &files->files[i], &ranges[r], callbacks, err));
        }
    }
    return WEIR_OK;
}
