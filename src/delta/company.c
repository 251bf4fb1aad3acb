/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small and faint tensors follow the others: where the matrices that can be told were trained in
 * full, norms and biases that moved were trained too, and a matrix that does not tell is one more
 * of them. Where those that can be told are of low rank, one of the same role that does not tell is
 * taken for theirs, and so is one too small to show that rank. What few show among many others is
 * not told as an edit of its own. Where no matrix changed, that is all to be said.
 */
#include "delta/examine.h"
#include "delta/row_look.h"

/* What the rows that can be told are, taken together. */
typedef struct company {
    size_t full;     /* trained in full */
    size_t small;    /* of them, too small to show an adapter of the rank of the others */
    size_t uneven;   /* of them, those that are large enough and no noise by their own test */
    size_t vectors;  /* norms and biases that moved */
    size_t low;      /* of low rank */
    size_t noise;    /* no more than noise */
    size_t uniform;  /* scaled or disturbed by noise */
    size_t open;     /* changed matrices that tell nothing of their own, not for being faint */
    size_t matrices; /* that changed */
    uint64_t rank;   /* the largest of those of low rank */
    bool is_low_role[WEIR_ROLE_COUNT];
} company;

static uint64_t short_side(const weir_diff *diff, const tensor_delta *row) {
    const weir_tensor *tensor = tensor_delta_shown(diff, row);
    return tensor->rows < tensor->cols ? tensor->rows : tensor->cols;
}

/* A matrix of full rank may be too small to show an adapter of a rank that others have. */
static bool is_too_small(const weir_diff *diff, const tensor_delta *row, uint64_t rank) {
    return short_side(diff, row) < 4 * (rank + 1); /* a row scale counts for one */
}

/* Of shorter ones a few numbers make rows look uneven. */
static bool is_too_small_for_noise(const weir_diff *diff, const tensor_delta *row) {
    enum { NOISE_SIDE = 64 };
    return !row->look->noise.is_tested || short_side(diff, row) < NOISE_SIDE;
}

static bool is_faint(const tensor_delta *row) {
    return row->look->is_measured && row->look->low_rank.verdict == LOW_RANK_BELOW_FLOOR;
}

static company find_company(const weir_diff *diff) {
    company all = {0};
    for (size_t i = 0; i < diff->tensor_count; i++) {
        const tensor_delta *row = &diff->tensors[i];
        if (row->look && row->change == WEIR_CHANGE_LOW_RANK) {
            all.low++;
            all.rank = row->rank > all.rank ? row->rank : all.rank;
            all.is_low_role[tensor_delta_shown(diff, row)->role] = true;
        }
    }
    for (size_t i = 0; i < diff->tensor_count; i++) {
        const tensor_delta *row = &diff->tensors[i];
        if (!row->look || tensor_delta_shown(diff, row)->rows < 2) {
            all.vectors += row->look != NULL;
            continue;
        }
        const bool is_full = row->change == WEIR_CHANGE_FULL_RANK;
        all.matrices++;
        all.full += is_full;
        all.uneven += is_full && !is_too_small_for_noise(diff, row);
        all.small += is_full && is_too_small(diff, row, all.rank);
        all.uniform += row->change == WEIR_CHANGE_SCALED || row->change == WEIR_CHANGE_PERTURBED;
        all.noise += row->change == WEIR_CHANGE_PERTURBED;
        all.open += row->change == WEIR_CHANGE_UNKNOWN && !is_faint(row);
    }
    return all;
}

/* A class that only few of the matrices show, among others that were trained or tell nothing, is no
 * edit of its own: chance and the storage's noise make such rows. */
static bool is_stray(const tensor_delta *row, const company *all) {
    const size_t others = all->full + all->open;
    const bool is_uniform =
        row->change == WEIR_CHANGE_SCALED || row->change == WEIR_CHANGE_PERTURBED;
    const bool is_low = row->change == WEIR_CHANGE_LOW_RANK && !row->look->is_replayed;
    return (is_uniform && all->uniform <= others + all->low) || (is_low && 2 * all->low < others);
}

/* The class of a row that its neighbours tell, else its own. */
static weir_change_class class_by_company(const weir_diff *diff, const tensor_delta *row,
                                          const company *all) {
    const weir_tensor *tensor = tensor_delta_shown(diff, row);
    const bool is_vector = tensor->rows == 1;
    const bool is_trained = all->full > all->low;
    const bool is_open = row->look->is_measured && row->change == WEIR_CHANGE_UNKNOWN;
    if (is_stray(row, all)) {
        return is_trained ? WEIR_CHANGE_FULL_RANK
               : all->is_low_role[tensor->role] && 2 * all->low >= all->full + all->open
                   ? WEIR_CHANGE_LOW_RANK
                   : WEIR_CHANGE_UNKNOWN;
    }
    /* Noise is tested matrix by matrix: small ones do not tell, and of many one looks uneven by
     * chance. */
    const bool is_in_noise = is_too_small_for_noise(diff, row) ? 2 * all->noise > all->full
                                                               : 4 * all->uneven <= all->noise;
    if (row->change == WEIR_CHANGE_FULL_RANK && all->low == 0 && is_in_noise) {
        return WEIR_CHANGE_PERTURBED;
    }
    if (row->change == WEIR_CHANGE_FULL_RANK) {
        /* Few that were not resolved among many of the same roles are more of the same adapter. */
        const bool is_few = 4 * all->full <= all->low && all->is_low_role[tensor->role];
        const bool are_small = all->full == all->small && all->low >= all->small;
        const bool is_adapter = all->low > 1 && all->vectors == 0 && (is_few || are_small);
        return is_adapter ? WEIR_CHANGE_LOW_RANK : WEIR_CHANGE_FULL_RANK;
    }
    if (row->change != WEIR_CHANGE_UNKNOWN) {
        return row->change;
    }
    if (is_vector && all->matrices == 0) {
        return WEIR_CHANGE_PARTIAL;
    }
    if ((is_vector || is_open) && is_trained) {
        return WEIR_CHANGE_FULL_RANK;
    }
    const bool is_company_low =
        all->low > 1 && all->full == all->small && 2 * all->low >= all->open;
    const bool is_theirs = is_open && all->is_low_role[tensor->role];
    const bool cannot_show = is_open && is_too_small(diff, row, all->rank);
    return is_company_low && (is_theirs || cannot_show) ? WEIR_CHANGE_LOW_RANK
                                                        : WEIR_CHANGE_UNKNOWN;
}

void diff_follow_company(weir_diff *diff) {
    const company all = find_company(diff);
    for (size_t i = 0; i < diff->tensor_count; i++) {
        tensor_delta *row = &diff->tensors[i];
        if (row->look) {
            row->change = class_by_company(diff, row, &all);
        }
    }
}
