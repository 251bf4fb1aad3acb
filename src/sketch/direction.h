/* SPDX-License-Identifier: Apache-2.0 */
/** @file direction.h  Which of two linked models was made from the other, from their fingerprints.
 */
#ifndef WEIR_SKETCH_DIRECTION_H
#define WEIR_SKETCH_DIRECTION_H

#include "sketch/trace.h"

/**
 * Fill direction, why and grid of a candidate whose link was found. Two rules, and nothing else
 * gives a direction: grid        every projection of the layers that both have hashed is, on one
 * side, the other's rounded to a type or equal to it, at least one is not equal, and the reverse
 * does not hold. What rounding took away cannot have been put back. A copy in a wider type holds
 * equal numbers and says nothing. Where some projections hold other numbers the model was made from
 * the candidate or from a relative with the same ones: why says so, and the direction stays
 * unknown. duplicates  several blocks of one side match one block of the other, whose own blocks
 * all differ: layers were copied, or a feed-forward became several experts; and every hashed
 * projection that both have is equal
 */
void direction_decide(trace_candidate *candidate, const fingerprint *mine);

#endif
