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
    weir_verdict *verdicts;              /**< one a file, findings of every rule included */
    char (*sha256)[DIGEST_TEXT_BYTES];   /**< one a file, "" where it was not read whole */
    char id[DIGEST_TEXT_BYTES];          /**< SHA-256 over (path, NUL, hex, LF) of the sorted files, or "" */
    char payload_id[DIGEST_TEXT_BYTES];  /**< SHA-256 over the sorted tensor hashes, or "" */
    uint64_t parameters;                 /**< numbers in all stored tensors */
    uint64_t tensor_bytes;
    uint64_t file_bytes;
    uint64_t dtype_parameters[WEIR_DTYPE_COUNT];
};

/** Take the hash of a file that another pass read whole; "" is ignored. The ids are made anew. */
weir_code inspection_take_sha256(weir_inspection *inspection, size_t file_index, const char *sha256,
                                 weir_error *err);

#endif
