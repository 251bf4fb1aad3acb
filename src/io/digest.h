/* SPDX-License-Identifier: Apache-2.0 */
/** @file digest.h  SHA-256, fed piece by piece (OpenSSL EVP; SHA instructions where there are any).
 */
#ifndef WEIR_IO_DIGEST_H
#define WEIR_IO_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "weir/error.h"

enum { DIGEST_BYTES = 32, DIGEST_TEXT_BYTES = 65 };

typedef struct digest digest;

weir_code digest_new(digest **out, weir_error *err);
void digest_update(digest *state, const void *data, size_t len);
/** Write the hash; the state starts anew. */
void digest_finish(digest *state, uint8_t out[static DIGEST_BYTES]);
void digest_free(digest *state);
WEIR_DEFINE_CLEANUP(digest *, digest_free)

/** Lower-case hex, NUL-terminated. */
void digest_format(char out[static DIGEST_TEXT_BYTES], const uint8_t hash[static DIGEST_BYTES]);

#endif
