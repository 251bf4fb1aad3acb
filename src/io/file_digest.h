/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file file_digest.h  SHA-256 of a whole file out of a pass that reads it piece by piece for
 * another purpose. Pieces that arrive in file order cost no further reading; gaps between them
 * (headers, padding) are read here. A piece that arrives out of order makes the file be read once
 * more at the end.
 */
#ifndef WEIR_IO_FILE_DIGEST_H
#define WEIR_IO_FILE_DIGEST_H

#include <stdbool.h>

#include "io/digest.h"
#include "io/source.h"
#include "weir/progress.h"

/** Zero-initialise and set `source`; release with file_digest_release(). */
typedef struct file_digest {
    weir_source *source; /**< borrowed */
    digest *state;
    uint64_t position;
    bool is_out_of_order;
} file_digest;

weir_code file_digest_feed(file_digest *file, uint64_t offset, const void *data, size_t len,
                           weir_error *err);
/** Read what is left and write the hash. @param callbacks may be NULL; may cancel */
weir_code file_digest_finish(file_digest *file, uint8_t out[static DIGEST_BYTES],
                             const weir_callbacks *callbacks, weir_error *err);
void file_digest_release(file_digest *file);
static inline void file_digest_release_cleanup(file_digest *file) {
    file_digest_release(file);
}

#endif
