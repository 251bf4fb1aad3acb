/* SPDX-License-Identifier: Apache-2.0 */
/** @file packed_claims.h  What the configuration says of packed weights. */
#ifndef WEIR_TENSOR_PACKED_CLAIMS_H
#define WEIR_TENSOR_PACKED_CLAIMS_H

#include "tensor/packed.h"

/** @return the value of a key of the quantisation's configuration, or NULL. Borrowed. */
const char *packed_said(const claims *said, const char *key);

/** @return whether a key is a whole number. */
bool packed_said_number(const claims *said, const char *key, uint64_t *out);

/** @return whether the size of blocks that share a scale is stated; neither is 0 then.
 * Otherwise both are left alone. */
bool packed_said_blocks(const claims *said, uint64_t *rows, uint64_t *cols);

#endif
