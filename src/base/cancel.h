/* SPDX-License-Identifier: Apache-2.0 */
/** @file cancel.h  The one question that long work asks between its pieces. */
#ifndef WEIR_BASE_CANCEL_H
#define WEIR_BASE_CANCEL_H

#include <stdbool.h>

#include "weir/progress.h"

/** @return whether the caller wants the work to stop; false without callbacks (NULL). */
static inline bool is_cancelled(const weir_callbacks *callbacks) {
    return callbacks && callbacks->is_cancelled && callbacks->is_cancelled(callbacks->context);
}

#endif
