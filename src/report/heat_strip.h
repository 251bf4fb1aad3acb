/* SPDX-License-Identifier: Apache-2.0 */
/** @file heat_strip.h  Where the change is: one row a role, one column a layer. */
#ifndef WEIR_REPORT_HEAT_STRIP_H
#define WEIR_REPORT_HEAT_STRIP_H

#include "report/paint.h"

/** Print the strip and its legend; prints nothing for a model without layers. */
void heat_strip_print(const paint *out, const weir_diff *diff);

#endif
