/* SPDX-License-Identifier: Apache-2.0 */
/** @file record.h  The checksums by which every store knows that a record is the one that was
 * written. */
#ifndef WEIR_REGISTRY_RECORD_H
#define WEIR_REGISTRY_RECORD_H

#include "base/fail.h"
#include "registry/store.h"

/**
 * SHA-256 over all fields of an entry, in the order of record.c. The fingerprint takes part by its
 * id.
 */
weir_code record_checksum(uint8_t out[static DIGEST_BYTES], const weir_registry_entry *entry,
                          weir_error *err);

/** SHA-256 of bytes. */
weir_code record_hash(uint8_t out[static DIGEST_BYTES], const void *bytes, size_t len,
                      weir_error *err);

/** The id of the state after entry `row` with this fingerprint was added (or, NULL, removed). */
weir_code record_chain(char id[static DIGEST_TEXT_BYTES], uint64_t row, const char *fingerprint_id,
                       weir_error *err);

#endif
