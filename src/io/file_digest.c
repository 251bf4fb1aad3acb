/* SPDX-License-Identifier: Apache-2.0 */
#include "io/file_digest.h"

#include "base/cancel.h"
#include "base/fail.h"

enum { READ_BYTES = 1 << 20 };

/* Hash the file from where the state stands up to `end`. */
static weir_code hash_until(file_digest *file, uint64_t end, const weir_callbacks *callbacks,
                            weir_error *err) {
    WEIR_CLEANUP(free) unsigned char *buffer = malloc(READ_BYTES);
    if (!buffer) {
        return weir_fail_nomem(err);
    }
    while (file->position < end) {
        const uint64_t left = end - file->position;
        const size_t len = left < READ_BYTES ? (size_t)left : READ_BYTES;
        if (is_cancelled(callbacks)) {
            return weir_fail(err, WEIR_ERR_CANCELLED, NULL, NULL, NULL, "cancelled");
        }
        WEIR_TRY(weir_source_read(file->source, file->position, buffer, len, err));
        digest_update(file->state, buffer, len);
        file->position += len;
        if (callbacks && callbacks->progress) {
            callbacks->progress(callbacks->context, "hashing", file->position,
                                weir_source_size(file->source));
        }
    }
    return WEIR_OK;
}

static weir_code begin(file_digest *file, weir_error *err) {
    return file->state ? WEIR_OK : digest_new(&file->state, err);
}

weir_code file_digest_feed(file_digest *file, uint64_t offset, const void *data, size_t len,
                           weir_error *err) {
    WEIR_TRY(begin(file, err));
    if (offset < file->position) {
        file->is_out_of_order = true;
    }
    if (file->is_out_of_order) {
        return WEIR_OK;
    }
    WEIR_TRY(hash_until(file, offset, NULL, err));
    digest_update(file->state, data, len);
    file->position += len;
    return WEIR_OK;
}

weir_code file_digest_finish(file_digest *file, uint8_t out[static DIGEST_BYTES],
                             const weir_callbacks *callbacks, weir_error *err) {
    WEIR_TRY(begin(file, err));
    if (file->is_out_of_order) {
        digest_finish(file->state, out);
        file->position = 0;
        file->is_out_of_order = false;
    }
    WEIR_TRY(hash_until(file, weir_source_size(file->source), callbacks, err));
    digest_finish(file->state, out);
    return WEIR_OK;
}

void file_digest_release(file_digest *file) {
    digest_free(file->state);
    file->state = NULL;
}
