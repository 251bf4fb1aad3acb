/* SPDX-License-Identifier: Apache-2.0 */
/** @file trace_adapter.h  An adapter against the base that it names. */
#ifndef WEIR_ASSESS_TRACE_ADAPTER_H
#define WEIR_ASSESS_TRACE_ADAPTER_H

#include "sketch/trace.h"

/**
 * Hold an adapter against options->base_path or, without one, against the model of the registry
 * that has the name that it declares. It holds no weights of its own, so there is nothing to search
 * by.
 *
 * Fills relation (RELATED when it fits, NO_LINK when it cannot belong to that base, else
 * CANNOT_DECIDE), adapter and cannot.
 *
 * @return WEIR_OK, also when no base is at hand; as model_open_weights() for base_path;
 * WEIR_ERR_NOMEM
 */
weir_code trace_try_adapter(weir_trace *trace, const weir_model *adapter,
                            const weir_trace_options *options, weir_error *err);

#endif
