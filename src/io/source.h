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

#endif
