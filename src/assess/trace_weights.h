/* SPDX-License-Identifier: Apache-2.0 */
/** @file trace_weights.h  What the weights of the candidates add to a trace, where they are at
 * hand. */
#ifndef WEIR_ASSESS_TRACE_WEIGHTS_H
#define WEIR_ASSESS_TRACE_WEIGHTS_H

#include "sketch/trace.h"

/**
 * Give models that looked alike a second look where no link was found, and solve for several
 * parents. A candidate whose weights cannot be opened is judged by its fingerprint.
 *
 * @param mine  the model, or NULL when only its fingerprint is there
 * @return WEIR_OK; WEIR_ERR_CANCELLED; WEIR_ERR_NOMEM
 */
weir_code trace_use_weights(weir_trace *trace, const weir_model *mine,
                            const weir_trace_options *options, weir_error *err);

#endif
