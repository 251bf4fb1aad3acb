/* SPDX-License-Identifier: Apache-2.0 */
/** @file inspection.h  weir/inspect.h from inside. */
#ifndef WEIR_EVIDENCE_INSPECTION_H
#define WEIR_EVIDENCE_INSPECTION_H

#include "base/cleanup.h"
#include "base/findings.h"
#include "io/digest.h"
#include "tensor/model.h"
#include "weir/inspect.h"

WEIR_DEFINE_CLEANUP(weir_inspection *, weir_inspection_free)

struct weir_inspection {
    weir_model *model;
    weir_findings *findings;
    weir_verdict verdict;
    weir_verdict *verdicts;            /**< one a file, findings of every rule included */
    char (*sha256)[DIGEST_TEXT_BYTES]; /**< one a file, "" where it was not read whole */
    char id[DIGEST_TEXT_BYTES]; /**< SHA-256 over (path, NUL, hex, LF) of the sorted files, or "" */
    char payload_id[DIGEST_TEXT_BYTES]; /**< SHA-256 over the sorted tensor hashes, or "" */
    uint64_t parameters;                /**< numbers in all stored tensors */
    uint64_t tensor_bytes;
    uint64_t file_bytes;
    uint64_t dtype_parameters[WEIR_DTYPE_COUNT];
};

/** Take the hash of a file that another pass read whole; "" is ignored. */
void inspection_take_sha256(weir_inspection *inspection, size_t file_index, const char *sha256);

/**
 * Hash the files that have no hash yet, and make the two ids.
 * @param path       where the model lies
 * @param callbacks  may be NULL; may cancel
 */
weir_code inspection_hash(weir_inspection *inspection, const char *path,
                          const weir_callbacks *callbacks, weir_error *err);

/**
 * Hash every tensor: its dtype, shape and bytes. The id is the SHA-256 over the sorted hashes, so
 * that names and the division into files do not matter; "" without tensors. Cost: one read of the
 * weights.
 */
enum { PAYLOAD_UNASKED_BYTES_MAX = 256 << 20 }; /* so many weights are hashed without being asked */
weir_code model_payload_id(char out[static DIGEST_TEXT_BYTES], const weir_model *model,
                           const weir_callbacks *callbacks, weir_error *err);

#endif
