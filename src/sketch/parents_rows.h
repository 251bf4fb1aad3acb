/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file parents_rows.h  The numbers that a search for parents works on, and who takes part.
 *
 * A row is one number of the child with what the relatives have in its place:
 *     column 0        child - reference
 *     column 1        reference
 *     column 1 + j    relative j - reference, j >= 1; relative 0 is the reference, the nearest
 */
#ifndef WEIR_SKETCH_PARENTS_ROWS_H
#define WEIR_SKETCH_PARENTS_ROWS_H

#include "base/cleanup.h"
#include "sketch/parents.h"

enum {
    ROWS_MAX = 1 << 17,
    ROWS_FINE_MIN = 32, /* below these many nothing but the nearest is said */
};

/* Roundings that one number went through, in halves of a spacing: the last one, and those of the
 * parents or of the steps before, weighed by their shares. */
#define ROUNDINGS           2.0
/* A row is fine when its rounding is below this part of the change: then its rounding is as good as
 * independent of the change (six spacings and more). */
#define FINE_PART           0.2
/* Of sums, whose rounding is known by its rms only. */
#define FINE_PART_PROJECTED 0.15

/** What one pass over all numbers says of each candidate. */
typedef struct parents_scan {
    size_t nearest; /**< candidate; SIZE_MAX: none is near */
    size_t *copied; /**< [candidates][pieces]: numbers equal but for rounding */
    size_t *finite; /**< [pieces] finite numbers of the child */
    double distance[PARENT_CANDIDATES_MAX]; /**< squared; NaN for one that takes no part */
    size_t stands_for[PARENT_CANDIDATES_MAX];
} parents_scan;

weir_code parents_scan_all(parents_scan *out, const parents_input *input, weir_error *err);
void parents_scan_release(parents_scan *scan);
static inline void parents_scan_release_cleanup(parents_scan *scan) {
    parents_scan_release(scan);
}

typedef struct parents_rows {
    size_t relatives[PARENT_CANDIDATES_MAX]; /**< candidates by column; [0] is the reference */
    size_t relative_count;
    size_t width; /**< columns of a row: relative_count + 1 */
    size_t count;
    size_t piece_count;
    size_t cluster_count;
    float *values;     /**< [count][width] */
    float *rounding;   /**< [count] largest error of ROUNDINGS roundings; projected: rms of one */
    uint32_t *piece;   /**< [count] */
    uint32_t *cluster; /**< [count] short runs of numbers inside a piece; not falling */
    double *scale;     /**< [piece_count] rms of column 0, at least a quarter of the whole's */
    bool is_projected;
    bool is_coarse; /**< rounding is not small against the change: rows of all numbers */
} parents_rows;

weir_code parents_rows_gather(parents_rows *out, const parents_scan *scan,
                              const parents_input *input, weir_error *err);
void parents_rows_release(parents_rows *rows);
static inline void parents_rows_release_cleanup(parents_rows *rows) {
    parents_rows_release(rows);
}

#endif
