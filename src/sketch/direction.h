/* SPDX-License-Identifier: Apache-2.0 */
/** @file direction.h  Which of two linked models was made from the other, from their fingerprints.
 */
#ifndef WEIR_SKETCH_DIRECTION_H
#define WEIR_SKETCH_DIRECTION_H

#include "sketch/trace.h"

/**
 * Fill direction, why and grid of a candidate whose link was found. Two rules, and nothing else
 * gives a direction: grid        every block of one side that was hashed is the other's block
 * rounded to one type, and at least one is not also equal to it. What rounding took away cannot
 * have been put back. A copy in a wider type holds equal numbers and says nothing. duplicates
 * several blocks of one side match one block of the other, whose own blocks all differ: layers were
 * copied, or a feed-forward became several experts
 */
void direction_decide(trace_candidate *candidate, const fingerprint *mine);

#endif
