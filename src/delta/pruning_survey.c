/* SPDX-License-Identifier: Apache-2.0 */
#include "delta/pruning_survey.h"

#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"

const size_t survey_group_sizes[SURVEY_GROUP_SIZES] = {2, 4, 8, SURVEY_GROUP_MAX};

/* What happened to a number. */
enum { STATE_OTHER, STATE_ZEROED, STATE_KEPT };

void survey_release(survey *all) {
    free(all->used);
    free(all->by_size);
    free(all->states);
    free(all->gone);
    free(all->sizes);
}

weir_code survey_init(survey *all, size_t cols, weir_error *err) {
    all->cols = cols;
    all->smallest_kept = INFINITY;
    all->used = calloc(cols, sizeof *all->used);
    all->by_size = calloc(SURVEY_SIZE_BINS, sizeof *all->by_size);
    all->states = checked_alloc(cols, sizeof *all->states);
    all->gone = checked_alloc(cols, sizeof *all->gone);
    all->sizes = checked_alloc(cols, sizeof *all->sizes);
    const bool has_all = all->used && all->by_size && all->states && all->gone && all->sizes;
    return has_all ? WEIR_OK : weir_fail_nomem(err);
}

static bool is_zero(float x) {
    return !(x < 0.0F || x > 0.0F) && !isnan(x);
}

/* --- one row --- */

/* Numbers on the wrong side of any border between zeroed and kept: the fewer of those kept that are
 * below the largest zeroed and those zeroed that are above the smallest kept. */
static uint64_t order_errors(const float *sizes, const uint8_t *states, size_t count) {
    float largest = -INFINITY;
    float smallest = INFINITY;
    for (size_t i = 0; i < count; i++) {
        largest = states[i] == STATE_ZEROED && sizes[i] > largest ? sizes[i] : largest;
        smallest = states[i] == STATE_KEPT && sizes[i] < smallest ? sizes[i] : smallest;
    }
    if (largest <= smallest) {
        return 0;
    }
    uint64_t kept_below = 0;
    uint64_t zeroed_above = 0;
    for (size_t i = 0; i < count; i++) {
        kept_below += states[i] == STATE_KEPT && sizes[i] < largest;
        zeroed_above += states[i] == STATE_ZEROED && sizes[i] > smallest;
    }
    return kept_below < zeroed_above ? kept_below : zeroed_above;
}

static uint64_t group_order_errors(const float *sizes, const uint8_t *states, size_t count,
                                   size_t group) {
    uint64_t errors = 0;
    for (size_t i = 0; i < count; i += group) {
        errors += order_errors(sizes + i, states + i, count - i < group ? count - i : group);
    }
    return errors;
}

/* In a group that was left with exactly n numbers, zeros that the base would have had anyway may
 * come on top. */
static void count_groups(survey *all, size_t which) {
    const size_t group = survey_group_sizes[which];
    if (all->cols % group != 0) {
        return;
    }
    for (size_t i = 0; i < all->cols; i += group) {
        size_t zeros = 0;
        size_t zeroed = 0;
        for (size_t j = i; j < i + group; j++) {
            zeros += all->gone[j];
            zeroed += all->states[j] == STATE_ZEROED;
        }
        for (size_t n = zeroed; n <= zeros; n++) {
            all->fits[which][n]++;
        }
        all->groups[which]++;
    }
    all->group_errors[which] += group_order_errors(all->sizes, all->states, all->cols, group);
}

/* The row's numbers as they are told apart. Those that rounding makes zero are no decision. */
static void sort_states(survey *all, const row_numbers *row) {
    for (size_t c = 0; c < all->cols; c++) {
        const float step = row->step ? row->step[c] : 0.0F;
        const bool gone = survey_is_gone(row->model[c], step);
        const bool is_told = isfinite(row->model[c]) && isfinite(row->base[c]) &&
                             !survey_is_gone(row->own[c], step) && !is_zero(row->base[c]);
        all->gone[c] = gone;
        all->states[c] = !is_told ? STATE_OTHER : gone ? STATE_ZEROED : STATE_KEPT;
        all->sizes[c] = isfinite(row->base[c]) ? fabsf(row->base[c]) : 0.0F;
        all->used[c] += !gone;
        all->model_zeros += gone;
        all->left += !gone;
    }
}

static void add_sizes(survey *all) {
    for (size_t c = 0; c < all->cols; c++) {
        const float size = all->sizes[c];
        const double square = (double)size * (double)size;
        uint32_t bits;
        memcpy(&bits, &size, sizeof bits);
        if (all->states[c] == STATE_ZEROED) {
            all->zeroed++;
            all->zeroed_square += square;
            all->by_size[bits >> 16][0]++;
            all->largest_zeroed = size > all->largest_zeroed ? size : all->largest_zeroed;
        } else if (all->states[c] == STATE_KEPT) {
            all->kept++;
            all->kept_square += square;
            all->by_size[bits >> 16][1]++;
            all->smallest_kept = size < all->smallest_kept ? size : all->smallest_kept;
        }
    }
}

void survey_add_row(survey *all, const row_numbers *row) {
    const uint64_t left_before = all->left;
    all->rows++;
    sort_states(all, row);
    all->zero_rows += all->left == left_before;
    add_sizes(all);
    for (size_t c = 0; row->masked && c < all->cols; c++) {
        const bool is_equal = row->masked[c] <= row->model[c] && row->masked[c] >= row->model[c];
        all->kept_equal += all->states[c] == STATE_KEPT && is_equal;
    }
    all->row_errors += order_errors(all->sizes, all->states, all->cols);
    for (size_t which = 0; which < SURVEY_GROUP_SIZES; which++) {
        count_groups(all, which);
    }
    if (all->weights) {
        for (size_t c = 0; c < all->cols; c++) {
            all->sizes[c] *= all->weights[c];
        }
        all->weighed_errors +=
            group_order_errors(all->sizes, all->states, all->cols, all->weighed_group);
    }
}
