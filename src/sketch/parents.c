/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a fit to a statement.
 *
 * In this order, the first that holds:
 *   1 every piece equals a relative's but for rounding: that relative alone (NEAREST, share 1), or
 *     PASSTHROUGH.
 *   2 one common fit leaves nothing but rounding: MERGE, or NEAREST when one member explains all.
 *   3 a fit by piece does: MERGE_LAYERED.
 *   4 subsets by number do: MERGE_SPARSE.
 *   5 the rest is large. Several relatives still contribute (below): MISSING, or UNSETTLED where
 *     step 4 could not be asked or less is explained; else NEAREST.
 * Nothing but rounding (numbers): of the fine rows that moved from the reference, or should have
 * by the fit, full_part are within their rounding and .05 of the change. A parent that is missing
 * with a tenth of the child, or a change of the child's own, leaves most of them outside. In each
 * piece by itself piece_part of them must be, so that none is outvoted.
 * Nothing but rounding (sums): the rest is at most 1.4 times its rounding and .05 of the change.
 *
 * Several contribute: two members with shares of at least share_told, none above share_alone, and
 * contributing_min of the squared change explained. Siblings of equal size whose changes have
 * cosine r explain r^2 or (1 - r) / 2 of the distance to the nearest, at most .25; half a merge
 * explains (1 - r) / 2 for parents of cosine r, .5 for unrelated changes. In a family of at least
 * FAMILY_MIN that is more alike, family_margin over the largest squared cosine of two relatives
 * seen from their base is needed. In one that is less alike, less will do (three times that square
 * and .05, at least contributing_floor), but only for UNSETTLED: a fine-tune on the same data as
 * one relative looks like that, too. These thresholds are ours. A merge that was trained further
 * is MISSING as well.
 */
#include "sketch/parents.h"

#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "kernel/statistics.h"
#include "sketch/parents_fit.h"
#include "sketch/parents_rows.h"
#include "sketch/parents_sparse.h"

static const double full_part = 0.95;
static const double piece_part = 0.75; /* in every piece with some that moved */
static const double copied_part = 0.99;
static const double tolerance_part = 0.05;
enum { FAMILY_MIN = 4 };
static const double contributing_min = 0.28;
static const double contributing_floor = 0.08;
static const double family_margin = 0.1;
static const double share_told = 0.1;
static const double share_alone = 0.85;
static const double share_low = 0.7;
static const double rounding_spread = 1.4;
/* A part of the child that a common fit cannot follow makes its rest large. Then a second, lenient
 * selection proposes; that nothing but rounding is left says which proposals were needed. */
#define LENIENT_LEVEL 0.2
/* No interval is narrower: slerp's angles, and weights rounded to the child's type. */
static const double share_resolution = 0.001;

typedef struct search {
    const parents_input *input;
    parents_rows rows;
    parents_gram gram; /* even */
    parents_gram fine; /* not even, but of sums; not made when rounding is not small */
    parents_fit fit;
} search;

static void search_release_cleanup(search *from) {
    parents_rows_release(&from->rows);
    parents_gram_release(&from->gram);
    parents_gram_release(&from->fine);
}

static void sort_shares(parents_result *result) {
    for (size_t i = 1; i < result->share_count; i++) {
        const parents_share moved = result->shares[i];
        size_t at = i;
        for (; at > 0; at--) {
            const parents_share *before = &result->shares[at - 1];
            const bool is_withheld = isnan(moved.share) != 0;
            if (is_withheld ? before->candidate <= moved.candidate : before->share >= moved.share) {
                break;
            }
            result->shares[at] = *before;
        }
        result->shares[at] = moved;
    }
}

static void add_share(parents_result *result, size_t candidate, double share, double half) {
    result->shares[result->share_count++] = (parents_share){
        .candidate = candidate, .share = share, .low = share - half, .high = share + half};
}

static double interval_half(const parents_fit *fit, size_t i, const search *from) {
    const size_t clusters = from->rows.cluster_count;
    const double t = student_quantile(0.05, clusters > fit->count ? clusters - fit->count : 0);
    return t * fit->errors[i] + fit->slack[i] + share_resolution +
           from->input->child_rounding * fabs(parents_fit_share(fit, i));
}

static void tell_shares(parents_result *result, const parents_fit *fit, const search *from) {
    for (size_t i = 0; i < fit->count; i++) {
        add_share(result, from->rows.relatives[fit->members[i]], parents_fit_share(fit, i),
                  interval_half(fit, i, from));
    }
    sort_shares(result);
}

static void withhold_shares(parents_result *result, const parents_fit *fit, const search *from) {
    for (size_t i = 0; i < fit->count; i++) {
        if (fabs(parents_fit_share(fit, i)) >= PARENTS_SHARE_MIN) {
            add_share(result, from->rows.relatives[fit->members[i]], (double)NAN, 0);
        }
    }
    sort_shares(result);
}

/* -- step 1: copies -- */

static bool is_copied(const parents_scan *scan, const parents_input *input, size_t j, size_t p) {
    const size_t finite = scan->finite[p];
    return finite > 0 &&
           (double)scan->copied[j * input->piece_count + p] >= copied_part * (double)finite;
}

/* Pieces of a layer share one vote. */
static double vote_of(const parents_input *input, size_t piece) {
    size_t same = 0;
    for (size_t p = 0; p < input->piece_count; p++) {
        same += input->pieces[p].layer == input->pieces[piece].layer;
    }
    return 1 / (double)same;
}

/* The candidate that copies most of the open pieces; the nearest, then the lowest, among equals. */
static size_t best_copy(double *votes, const bool *is_open, const parents_scan *scan,
                        const parents_input *input, const double *weights) {
    size_t best = SIZE_MAX;
    *votes = 0;
    for (size_t j = 0; j < input->candidate_count; j++) {
        if (isnan(scan->distance[j])) {
            continue;
        }
        double mine = 0;
        for (size_t p = 0; p < input->piece_count; p++) {
            mine += is_open[p] && is_copied(scan, input, j, p) ? weights[p] : 0;
        }
        if (mine > *votes || (mine > 0 && mine >= *votes && j == scan->nearest)) {
            *votes = mine;
            best = j;
        }
    }
    return best;
}

/* Cover the pieces by copies, the candidate with most first. @return whether all are covered. */
static bool cover(parents_result *result, bool *is_open, double *weights, const parents_scan *scan,
                  const parents_input *input) {
    double all = 0;
    for (size_t p = 0; p < input->piece_count; p++) {
        is_open[p] = scan->finite[p] > 0;
        weights[p] = vote_of(input, p);
        all += is_open[p] ? weights[p] : 0;
    }
    double left = all;
    while (left > 1e-9 && result->share_count < PARENTS_MAX) {
        double votes;
        const size_t best = best_copy(&votes, is_open, scan, input, weights);
        if (best == SIZE_MAX) {
            return false;
        }
        add_share(result, best, votes / all, 0);
        for (size_t p = 0; p < input->piece_count; p++) {
            is_open[p] = is_open[p] && !is_copied(scan, input, best, p);
        }
        left -= votes;
    }
    return left <= 1e-9;
}

static weir_code find_copies(bool *found, parents_result *result, const parents_scan *scan,
                             const parents_input *input, weir_error *err) {
    WEIR_CLEANUP(free) bool *is_open = checked_alloc(input->piece_count, sizeof *is_open);
    WEIR_CLEANUP(free) double *weights = checked_alloc(input->piece_count, sizeof *weights);
    if (!is_open || !weights) {
        return weir_fail_nomem(err);
    }
    parents_result covered = *result;
    *found = !(input->child_noise > 0) && cover(&covered, is_open, weights, scan, input);
    if (*found) {
        covered.kind = covered.share_count > 1 ? PARENTS_PASSTHROUGH : PARENTS_NEAREST;
        covered.residual = 0;
        sort_shares(&covered);
        *result = covered;
    }
    return WEIR_OK;
}

/* -- steps 2 and 3: fits -- */

typedef struct tally {
    size_t moved, explained;
} tally;

static void count_row(tally *into, const search *from, const parents_fit *fit, size_t r) {
    const parents_rows *rows = &from->rows;
    const float *row = rows->values + r * rows->width;
    const double told = parents_fit_predict(fit, row);
    const double tolerance =
        (double)rows->rounding[r] + tolerance_part * rows->scale[rows->piece[r]];
    if (fabs((double)row[0]) > tolerance || fabs(told) > tolerance) {
        into->moved++;
        into->explained += fabs((double)row[0] - told) <= tolerance;
    }
}

/* Of sums: the rest against what rounding leaves, over `count` rows less the unknowns. */
static bool is_rounding(const search *from, double rest, double spare) {
    double allowed = 0;
    const parents_rows *rows = &from->rows;
    for (size_t r = 0; r < rows->count; r++) {
        const double rounding = rounding_spread * (double)rows->rounding[r];
        const double slack = tolerance_part * rows->scale[rows->piece[r]];
        allowed += rounding * rounding + slack * slack;
    }
    return spare > 0 && rest * (double)rows->count <= allowed * spare;
}

static bool is_full(tally count, size_t unknowns) {
    return count.moved >= 4 * unknowns + 8 &&
           (double)count.explained >= full_part * (double)count.moved;
}

static bool is_outvoted(tally piece) {
    return piece.moved >= 4 && (double)piece.explained < piece_part * (double)piece.moved;
}

static bool explains_all(const search *from, const parents_fit *fit) {
    if (from->rows.is_projected) {
        return is_rounding(from, fit->rest, (double)from->rows.count - (double)fit->count);
    }
    /* Rows are in the order of pieces: each piece by itself, too, so that none is outvoted. */
    tally count = {0};
    tally piece = {0};
    for (size_t r = 0; r < from->rows.count; r++) {
        if (r > 0 && from->rows.piece[r] != from->rows.piece[r - 1]) {
            if (is_outvoted(piece)) {
                return false;
            }
            piece = (tally){0};
        }
        count_row(&count, from, fit, r);
        count_row(&piece, from, fit, r);
    }
    return !is_outvoted(piece) && is_full(count, fit->count);
}

/* One fit a piece, and their mean over the layers. */
typedef struct layered {
    parents_fit *fits;
    size_t *counts;
    parents_fit mean;
} layered;

static void layered_release_cleanup(layered *all) {
    free(all->fits);
    free(all->counts);
}

/* Errors as if rows were independent; enough for a mean over layers that are. */
static void add_to_mean(layered *all, const search *from, size_t piece, double part) {
    const parents_fit *fit = &all->fits[piece];
    const double spare = (double)all->counts[piece] - (double)fit->count;
    const double *sums = parents_gram_of(&from->fine, piece);
    for (size_t i = 0; i < fit->count; i++) {
        const double share = parents_fit_share(fit, i);
        all->mean.weights[i] += part * share;
        const size_t column = fit->members[i] ? fit->members[i] + 1 : fit->members[!i] + 1;
        const double square = sums[column * from->gram.width + column];
        const double error = spare > 0 && square > 0 ? fit->rest / spare / square : 0;
        all->mean.errors[i] += part * part * error;
    }
}

static bool fit_pieces(layered *all, const parents_fit *common, const search *from) {
    tally count = {0};
    const parents_rows *rows = &from->rows;
    for (size_t p = 0; p < rows->piece_count; p++) {
        all->fits[p] = *common;
        if (all->counts[p] < 6 * common->count + 6 ||
            !parents_fit_solve(&all->fits[p], &from->fine, p)) {
            return false;
        }
    }
    const size_t unknowns = common->count * rows->piece_count;
    if (rows->is_projected) {
        double rest = 0;
        for (size_t p = 0; p < rows->piece_count; p++) {
            rest += all->fits[p].rest;
        }
        return is_rounding(from, rest, (double)rows->count - (double)unknowns);
    }
    for (size_t r = 0; r < rows->count; r++) {
        count_row(&count, from, &all->fits[rows->piece[r]], r);
    }
    return is_full(count, unknowns);
}

/* Take away members that no piece needs, the one with the smallest largest share first. */
static void prune_layered(layered *all, parents_fit *fit, const search *from) {
    while (fit->count > 2) {
        size_t least = 0;
        double smallest = (double)INFINITY;
        for (size_t i = 0; i < fit->count; i++) {
            double largest = 0;
            for (size_t p = 0; p < from->rows.piece_count; p++) {
                const double share = fabs(parents_fit_share(&all->fits[p], i));
                largest = share > largest ? share : largest;
            }
            if (largest < smallest) {
                smallest = largest;
                least = i;
            }
        }
        parents_fit fewer = *fit;
        fewer.count--;
        for (size_t i = least; i < fewer.count; i++) {
            fewer.members[i] = fewer.members[i + 1];
        }
        if (!fit_pieces(all, &fewer, from)) {
            break;
        }
        *fit = fewer;
    }
    (void)fit_pieces(all, fit, from);
}

static weir_code find_layered(bool *found, parents_result *result, const parents_fit *common,
                              const search *from, weir_error *err) {
    const size_t pieces = from->rows.piece_count;
    WEIR_CLEANUP(layered_release)
    layered all = {.fits = calloc(pieces, sizeof *all.fits),
                   .counts = calloc(pieces, sizeof *all.counts)};
    if (!all.fits || !all.counts) {
        return weir_fail_nomem(err);
    }
    for (size_t r = 0; r < from->rows.count; r++) {
        all.counts[from->rows.piece[r]]++;
    }
    *found = common->count > 1 && pieces > 1 && fit_pieces(&all, common, from);
    if (!*found) {
        return WEIR_OK;
    }
    all.mean = *common;
    prune_layered(&all, &all.mean, from);
    double votes = 0;
    for (size_t p = 0; p < pieces; p++) {
        votes += vote_of(from->input, p);
    }
    memset(all.mean.weights, 0, sizeof all.mean.weights);
    memset(all.mean.errors, 0, sizeof all.mean.errors);
    all.mean.scale = 0;
    for (size_t p = 0; p < pieces; p++) {
        add_to_mean(&all, from, p, vote_of(from->input, p) / votes);
    }
    for (size_t i = 0; i < all.mean.count; i++) {
        all.mean.errors[i] = sqrt(all.mean.errors[i]);
    }
    result->kind = PARENTS_MERGE_LAYERED;
    tell_shares(result, &all.mean, from);
    return WEIR_OK;
}

/* -- step 5: a large rest -- */

static double apart(const double *sums, size_t width, size_t a, size_t b) {
    return a && b ? sums[(a + 1) * width + b + 1] : 0;
}

/* (a - frame) . (b - frame) over relatives. */
static double seen_from(const parents_gram *gram, size_t frame, size_t a, size_t b) {
    const double *sums = parents_gram_of(gram, gram->piece_count);
    const size_t width = gram->width;
    return apart(sums, width, a, b) - apart(sums, width, a, frame) - apart(sums, width, frame, b) +
           apart(sums, width, frame, frame);
}

/* The largest squared cosine of two relatives, seen from the relative from which they are least
 * alike on the whole: from the base, two fine-tunes of it. NaN for a family of fewer than four. */
static double family_likeness(const search *from) {
    const size_t count = from->rows.relative_count;
    double least = (double)INFINITY;
    double likeness = (double)NAN;
    for (size_t frame = 0; frame < count && count >= FAMILY_MIN; frame++) {
        double sum = 0;
        double most = 0;
        for (size_t a = 0; a < count; a++) {
            for (size_t b = a + 1; b < count; b++) {
                if (a == frame || b == frame) {
                    continue;
                }
                const double ab = seen_from(&from->gram, frame, a, b);
                const double part =
                    ab * ab /
                    (seen_from(&from->gram, frame, a, a) * seen_from(&from->gram, frame, b, b));
                sum += part;
                most = part > most ? part : most;
            }
        }
        if (sum < least) {
            least = sum;
            likeness = most;
        }
    }
    return likeness;
}

/* What must be explained: more than likeness among siblings explains. */
static double contributing_least(const search *from) {
    const double likeness = family_likeness(from);
    if (isnan(likeness)) {
        return contributing_min;
    }
    const double unlike = 3 * likeness + 0.05;
    const double least = unlike < contributing_floor ? contributing_floor
                         : unlike < contributing_min ? unlike
                                                     : contributing_min;
    return likeness + family_margin > contributing_min ? likeness + family_margin : least;
}

static bool several_contribute(const search *from, const parents_fit *fit, double explained) {
    size_t told = 0;
    for (size_t i = 0; i < fit->count; i++) {
        const double share = parents_fit_share(fit, i);
        told += share >= share_told;
        if (share > share_alone) {
            return false;
        }
    }
    return told >= 2 && explained >= contributing_least(from);
}

/* The nearest's share is 1 where its interval reaches share_alone and excludes less than share_low:
 * else it is withheld. */
static weir_code tell_nearest(parents_result *result, const search *from, weir_error *err) {
    const parents_fit *fit = &from->fit;
    double low = 0;
    double high = 0;
    if (fit->count == 1) {
        double bound;
        WEIR_TRY(parents_fit_bound(&bound, fit, &from->gram, &from->rows, err));
        low = 1 - bound;
        high = 1;
    }
    for (size_t i = 0; i < fit->count && fit->count > 1; i++) {
        if (fit->members[i] == 0) {
            const double half = interval_half(fit, i, from);
            low = parents_fit_share(fit, i) - half;
            high = low + 2 * half;
        }
    }
    const bool is_one = high >= share_alone && low >= share_low;
    result->kind = PARENTS_NEAREST;
    result->shares[result->share_count++] = (parents_share){
        .candidate = from->rows.relatives[0],
        .share = is_one ? 1 : (double)NAN,
        .low = !is_one   ? (double)NAN
               : low < 1 ? low
                         : 1,
        .high = !is_one ? (double)NAN : 1,
    };
    return WEIR_OK;
}

/* Steps 2 to 4 with the relatives that a selection at one level takes. */
static weir_code find_merge(bool *found, parents_sparse *sparse, parents_result *result,
                            const search *from, weir_error *err) {
    parents_fit fit = from->fit;
    const parents_gram *gram = &from->fine;
    if (parents_fit_solve(&fit, gram, gram->piece_count) && explains_all(from, &fit)) {
        *found = true;
        WEIR_TRY(parents_fit_prune(&fit, gram, &from->rows, err));
        result->kind = fit.count > 1 ? PARENTS_MERGE : PARENTS_NEAREST;
        tell_shares(result, &fit, from);
        return WEIR_OK;
    }
    WEIR_TRY(find_layered(found, result, &fit, from, err));
    if (*found || from->rows.is_projected) {
        return WEIR_OK;
    }
    WEIR_TRY(parents_sparse_find(sparse, &from->fit, &from->gram, &from->rows, err));
    if (sparse->is_found) {
        *found = true;
        result->kind = PARENTS_MERGE_SPARSE;
        tell_shares(result, &sparse->fit, from);
    }
    return WEIR_OK;
}

static weir_code decide(parents_result *result, search *from, weir_error *err) {
    const double change = parents_gram_of(&from->gram, from->gram.piece_count)[0];
    const double explained = change > 0 ? 1 - from->fit.rest / change : 0;
    result->residual = change > 0 ? sqrt(from->fit.rest / change) : (double)NAN;
    result->numbers_used = from->rows.count;
    bool found = false;
    parents_sparse sparse = {0};
    if (!from->rows.is_coarse) {
        WEIR_TRY(find_merge(&found, &sparse, result, from, err));
    }
    if (!found && !from->rows.is_coarse) {
        const parents_fit strict = from->fit;
        const bool had_power = sparse.had_power;
        WEIR_TRY(parents_fit_select(&from->fit, LENIENT_LEVEL, &from->gram, &from->rows, err));
        WEIR_TRY(find_merge(&found, &sparse, result, from, err));
        from->fit = strict;
        sparse.had_power = had_power;
    }
    if (found) {
        return WEIR_OK;
    }
    if (!from->rows.is_coarse && several_contribute(from, &from->fit, explained)) {
        result->missing_parent = sparse.had_power && explained >= contributing_min;
        result->kind = result->missing_parent ? PARENTS_MISSING : PARENTS_UNSETTLED;
        withhold_shares(result, &from->fit, from);
    } else {
        WEIR_TRY(tell_nearest(result, from, err));
    }
    return WEIR_OK;
}

static weir_code check_input(const parents_input *input, weir_error *err) {
    if (input->candidate_count > PARENT_CANDIDATES_MAX) {
        return weir_fail(err, WEIR_ERR_ARG, NULL, NULL, "at most 64 candidates", "%zu",
                         input->candidate_count);
    }
    if (input->piece_count > PARENT_PIECES_MAX) {
        return weir_fail(err, WEIR_ERR_ARG, NULL, NULL, "at most 4096 pieces", "%zu",
                         input->piece_count);
    }
    return WEIR_OK;
}

weir_code parents_solve(parents_result *out, const parents_input *input, weir_error *err) {
    WEIR_TRY(check_input(input, err));
    WEIR_CLEANUP(parents_scan_release) parents_scan scan = {0};
    WEIR_TRY(parents_scan_all(&scan, input, err));
    parents_result result = {.kind = PARENTS_NONE, .residual = (double)NAN};
    memcpy(result.stands_for, scan.stands_for, sizeof result.stands_for);
    if (scan.nearest == SIZE_MAX) {
        *out = result;
        return WEIR_OK;
    }
    bool is_copy;
    WEIR_TRY(find_copies(&is_copy, &result, &scan, input, err));
    if (!is_copy) {
        WEIR_CLEANUP(search_release) search from = {.input = input};
        WEIR_TRY(parents_rows_gather(&from.rows, &scan, input, err));
        WEIR_TRY(parents_gram_make(&from.gram, /* is_even= */ true, &from.rows, err));
        if (!from.rows.is_coarse) {
            WEIR_TRY(
                parents_gram_make(&from.fine, /* is_even= */ input->is_projected, &from.rows, err));
        }
        WEIR_TRY(parents_fit_select(&from.fit, PARENTS_STEP_LEVEL, &from.gram, &from.rows, err));
        WEIR_TRY(decide(&result, &from, err));
    }
    *out = result;
    return WEIR_OK;
}
