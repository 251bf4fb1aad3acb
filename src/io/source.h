/* SPDX-License-Identifier: Apache-2.0 */
/** @file source.h  weir/source.h with its cleanup, for use inside the library. */
#ifndef WEIR_IO_SOURCE_H
#define WEIR_IO_SOURCE_H

#include "base/cleanup.h"
#include "weir/source.h"

WEIR_DEFINE_CLEANUP(weir_source *, weir_source_free)

/**
 * Say that a range will be read soon, so that the system may fetch it meanwhile. A hint: nothing is
 * read or counted, ranges past the end and sources that are no files are fine.
 */
void source_expect(weir_source *source, uint64_t offset, uint64_t len);

typedef struct source_range {
    uint64_t offset;
    uint64_t bytes;
} source_range;

/**
 * Remember from now on which ranges are read. Call before threads share the source; a second call
 * changes nothing. Who does not ask pays one comparison a read.
 * @return WEIR_OK; WEIR_ERR_NOMEM
 */
weir_code source_keep_ranges(weir_source *source, weir_error *err);

/**
 * The ranges that were read since source_keep_ranges(): in order, overlaps and neighbours joined.
 *
 * @param[out] out    malloc'ed; NULL when nobody asked to remember
 * @param[out] count  of ranges
 * @return WEIR_OK; WEIR_ERR_NOMEM, also when memory had run out while they were kept
 */
weir_code source_kept_ranges(source_range **out, size_t *count, weir_source *source,
                             weir_error *err);

#endif
