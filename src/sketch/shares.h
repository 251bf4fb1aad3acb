/* SPDX-License-Identifier: Apache-2.0 */
/** @file shares.h  What part of a model each of its candidates gave. */
#ifndef WEIR_SKETCH_SHARES_H
#define WEIR_SKETCH_SHARES_H

#include "sketch/trace.h"

/**
 * Fill parents, missing_parent, residual and the shares of the candidates, from the fingerprints'
 * sums.
 *
 * Layers first: where no candidate covers every block but several cover parts, the model was put
 * together from layers, and a share is the share of the blocks. Else the candidates that cover
 * every block enter parents_solve().
 */
weir_code shares_solve(weir_trace *trace, weir_error *err);

#endif
