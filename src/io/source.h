/* SPDX-License-Identifier: Apache-2.0 */
/** @file source.h  weir/source.h with its cleanup, for use inside the library. */
#ifndef WEIR_IO_SOURCE_H
#define WEIR_IO_SOURCE_H

#include "base/cleanup.h"
#include "weir/source.h"

WEIR_DEFINE_CLEANUP(weir_source *, weir_source_free)

#endif
