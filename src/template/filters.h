/* SPDX-License-Identifier: Apache-2.0 */
/** @file filters.h  The two tables of filters. */
#ifndef WEIR_TEMPLATE_FILTERS_H
#define WEIR_TEMPLATE_FILTERS_H

#include "template/machine.h"

typedef struct named_filter {
    const char *name;
    weir_code (*apply)(machine *on, const datum *of, const arguments *with, datum *out);
} named_filter;

/** Those over items; ends with a NULL name. */
extern const named_filter item_filters[];

#endif
