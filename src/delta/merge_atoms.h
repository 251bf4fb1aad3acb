/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file merge_atoms.h  Merges that leave numbers out at random, which no replay can follow: dare,
 * della; and mosaics, whose every number is one source's own.
 *
 * Of n parents every number shows one of 2^n subsets S, and with it
 *     C - B = sum over j in S of c_(S,j) T_j
 * with the same few coefficients for the whole tensor: c_(S,j) = p_j where kept parts are added,
 * w_j p_j over the sum of the w in S where they are normalised. The subsets are told by the
 * nearest sum, the coefficients by least squares, in turn, until they rest.
 *
 * A number tells only where every part is some units large. Null: numbers that follow no subset
 * come within a unit of one by chance, at most 2^(n+1) units in the range that the sums span.
 */
#ifndef WEIR_DELTA_MERGE_ATOMS_H
#define WEIR_DELTA_MERGE_ATOMS_H

#include "delta/merge_sample.h"

enum { ATOM_PARENTS_MAX = 3, ATOM_SUBSETS = 1 << ATOM_PARENTS_MAX };

typedef struct merge_atoms {
    size_t parents;
    double parts[ATOM_SUBSETS][ATOM_PARENTS_MAX]; /**< c_(S,j); the bits of S are the parents */
    uint64_t telling;
    uint64_t hit;                     /**< of these, within a unit of a subset's sum */
    uint64_t taken[ATOM_PARENTS_MAX]; /**< of these, with parent j */
    double slope[ATOM_PARENTS_MAX];   /**< of the chance to be taken, over the rank of |T_j| in its
                                         row, from 0 to 1; about 0 for dare, 2 epsilon for della */
    double rest;                      /**< squares left, all numbers */
    double change;                    /**< squares of C - B, all numbers */
} merge_atoms;

/**
 * @param sample     the first `parents` columns are the parents'
 * @param unit_bits  mantissa bits of the model's numbers
 * @return WEIR_OK; WEIR_ERR_NOMEM
 */
weir_code merge_atoms_fit(merge_atoms *out, const merge_sample *sample, size_t parents,
                          int unit_bits, weir_error *err);

/** Which source each number is one of. */
typedef struct merge_mosaic {
    uint64_t telling;                       /**< numbers where no two sources are equal */
    uint64_t hit;                           /**< of these, equal to one source's */
    uint64_t of[WEIR_DIFF_PARENTS_MAX + 1]; /**< by column */
} merge_mosaic;

/** Add a sample's numbers. @param columns  of the sample that may be sources */
void merge_mosaic_add(merge_mosaic *out, const merge_sample *sample, size_t columns);

#endif
