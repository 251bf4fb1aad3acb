/* SPDX-License-Identifier: Apache-2.0 */
/** @file canonical_json.h  One hash for all spellings of a JSON value. */
#ifndef WEIR_FORMAT_CANONICAL_JSON_H
#define WEIR_FORMAT_CANONICAL_JSON_H

#include "io/digest.h"
#include "io/source.h"

/** A value whose canonical text is longer is refused. */
enum { CANONICAL_BYTES_MAX = 16 << 20 };

/**
 * SHA-256 of a JSON value without white space, with the members of every object sorted by the
 * bytes of their keys, strings as UTF-8 with the short escapes, and numbers as they are written:
 * json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False) of Python.
 *
 * @param begin  where the value begins in the source; what follows it is not read
 * @return WEIR_OK; WEIR_ERR_FORMAT; WEIR_ERR_LIMIT past CANONICAL_BYTES_MAX; WEIR_ERR_IO;
 *         WEIR_ERR_NOMEM
 *
 * Cost: one read of the value, memory of at most four times its canonical text.
 */
weir_code canonical_json_hash(uint8_t out[static DIGEST_BYTES], weir_source *source, uint64_t begin,
                              weir_error *err);

#endif
