/* SPDX-License-Identifier: Apache-2.0 */
/** @file weir.h  The whole public API. */
#ifndef WEIR_WEIR_H
#define WEIR_WEIR_H

#include "weir/assess.h"
#include "weir/diff.h"
#include "weir/doctor.h"
#include "weir/dtype.h"
#include "weir/error.h"
#include "weir/finding.h"
#include "weir/inspect.h"
#include "weir/model.h"
#include "weir/progress.h"
#include "weir/registry.h"
#include "weir/relation.h"
#include "weir/replay.h"
#include "weir/report.h"
#include "weir/sandbox.h"
#include "weir/source.h"
#include "weir/system.h"
#include "weir/trace.h"
#include "weir/trace_lines.h"

#endif
