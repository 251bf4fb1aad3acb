/* SPDX-License-Identifier: Apache-2.0 */
/** @file trace_ranges.h  Which ranges of a model's weights a trace has read, and their hashes: so
 * that whoever holds the model can see that these were his. */
#ifndef WEIR_ASSESS_TRACE_RANGES_H
#define WEIR_ASSESS_TRACE_RANGES_H

#include "io/digest.h"
#include "sketch/trace.h"

/** Remember from now on what is read of the files with weights. */
weir_code trace_ranges_keep(const weir_model *model, weir_error *err);

/** Fill the trace's ranges; reads each of them once more. @return also WEIR_ERR_CANCELLED */
weir_code trace_ranges_note(weir_trace *trace, const weir_model *model,
                            const weir_callbacks *callbacks, weir_error *err);

/** SHA-256 of a range, in hex. @return WEIR_ERR_FORMAT when it passes the end of the source */
weir_code range_hash(char out[static DIGEST_TEXT_BYTES], weir_source *source,
                     const source_range *range, const weir_callbacks *callbacks, weir_error *err);

#endif
