/* SPDX-License-Identifier: Apache-2.0 */
/** @file onion.h  Layers of the onion: what onion.c orders, and who fills them. */
#ifndef WEIR_DELTA_ONION_H
#define WEIR_DELTA_ONION_H

#include "delta/diff.h"

/** A change that has nothing yet. */
diff_change onion_change(weir_change_class change, weir_grade grade);

/** Append a layer; its detail, if it has one, must live as long as the diff. */
weir_code onion_add(weir_diff *diff, const diff_change *what, weir_error *err);

/** Append a layer with a detail, which is kept. */
weir_code onion_add_detailed(weir_diff *diff, diff_change what, const char *detail,
                             weir_error *err);

/** Which rows a layer gathers. */
typedef struct onion_selection {
    bool (*is_wanted)(const weir_diff *diff, const tensor_delta *row,
                      const struct onion_selection *select);
    weir_change_class change;
    weir_dtype from, to;
    int way;  /**< a detour_kind */
    int axis; /**< a scale_axis */
} onion_selection;

/** Rows of select->change. */
bool onion_has_class(const weir_diff *diff, const tensor_delta *row, const onion_selection *select);
/** Rows that an ablation edited, whatever else was done to them. */
bool onion_is_ablated(const weir_diff *diff, const tensor_delta *row,
                      const onion_selection *select);

/** Whether a class is about files and not about weights. */
bool onion_is_beside_weights(weir_change_class change);

/** Sort numbers and drop repeats. @return how many are left */
size_t onion_sort_distinct(int32_t *numbers, size_t count);

/** Fill counts, norm, roles and layers of a change from the paired rows that are wanted. */
weir_code onion_gather(weir_diff *diff, diff_change *out, const onion_selection *select,
                       weir_error *err);

/** Gather the rows of the change's own class, and append it where there are any. */
weir_code onion_add_class(weir_diff *diff, diff_change found, weir_error *err);

/** Whether the differences are those of a change to the base, and not those of two models. */
bool onion_is_linked(const weir_diff *diff);

/* The layers, outermost first; each appends what there is of it. */
weir_code onion_add_storage(weir_diff *diff, weir_error *err);   /**< containers, dtypes, codes */
weir_code onion_add_structure(weir_diff *diff, weir_error *err); /**< depth, width, order ... */
weir_code onion_add_weights(weir_diff *diff, weir_error *err);   /**< what the numbers became */

#endif
