/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From aligned arrays to rows.
 *
 * Near: a cosine of at least .5 with the child (the reference) or with the reference (the others).
 * Strangers stand near 0, relatives after heavy further training above .8.
 *
 * Rounding against change: the spacing of floats grows with the number, the change of training does
 * not. So among the numbers near zero are some whose rounding is far below the change even when the
 * change is far below the rounding of a typical number. Only these fine rows are used where there
 * are ROWS_FINE_MIN: on them rounding is as good as independent of the change, and cannot hide a
 * missing parent.
 */
#include "sketch/parents_rows.h"

#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"

enum { DUPLICATE_SAMPLE = 1 << 14, SCALE_ROUNDS = 40 };
static const double cosine_near = 0.5;
static const double rounding_f32 = 0x1p-24;
static const double rounding_bf16 = 0x1p-8;
static const double duplicate_part = 0.99;
/* rms error of rounding over half the spacing just above 1, for numbers spread as weights are. */
static const double rounding_rms = 0.43;

/* 2^floor(log2 |x|), from the bits. */
static double binade(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    const uint32_t exponent = bits >> 23 & 255;
    const uint64_t wide = (uint64_t)((exponent ? exponent : 1) + 1023 - 127) << 52;
    double out;
    memcpy(&out, &wide, sizeof out);
    return out;
}

static double larger(double a, double b) {
    return a > b ? a : b;
}

/* The coarser of the child's type and a candidate's. */
static double spacing_with(const parents_input *input, size_t candidate) {
    const double rounding = larger(input->child_rounding, rounding_f32);
    const double *const theirs = input->candidate_rounding;
    return theirs ? larger(rounding, theirs[candidate]) : rounding;
}

/* The coarsest type of the child and of the candidates that take part. */
static double spacing_of(const parents_input *input, const parents_scan *scan) {
    double rounding = larger(input->child_rounding, rounding_f32);
    for (size_t j = 0; j < input->candidate_count; j++) {
        if (!isnan(scan->distance[j])) {
            rounding = larger(rounding, spacing_with(input, j));
        }
    }
    return rounding;
}

static bool all_finite(const float *values, const parents_input *input) {
    for (size_t p = 0; p < input->piece_count; p++) {
        for (size_t i = 0; i < input->pieces[p].count; i++) {
            if (!isfinite(values[input->pieces[p].begin + i])) {
                return false;
            }
        }
    }
    return true;
}

typedef struct products {
    double aa, bb, ab, dd;
} products;

/* Over the finite numbers of the child. */
static products multiply(const float *a, const float *b, const parents_input *input) {
    products sum = {0};
    for (size_t p = 0; p < input->piece_count; p++) {
        const parents_piece piece = input->pieces[p];
        for (size_t i = piece.begin; i < piece.begin + piece.count; i++) {
            if (!isfinite(input->child[i])) {
                continue;
            }
            const double x = (double)a[i];
            const double y = (double)b[i];
            sum.aa += x * x;
            sum.bb += y * y;
            sum.ab += x * y;
            sum.dd += (x - y) * (x - y);
        }
    }
    return sum;
}

static bool is_near(products sum) {
    return sum.aa > 0 && sum.bb > 0 && sum.ab >= cosine_near * sqrt(sum.aa) * sqrt(sum.bb);
}

static void count_copied(size_t *out, size_t j, const parents_input *input) {
    const float *const candidate = input->candidates[j];
    const double half = spacing_with(input, j);
    for (size_t p = 0; p < input->piece_count; p++) {
        const parents_piece piece = input->pieces[p];
        out[p] = 0;
        for (size_t i = piece.begin; i < piece.begin + piece.count; i++) {
            const double error = fabs((double)input->child[i] - (double)candidate[i]);
            out[p] += error <= 1.001 * half * binade(candidate[i]);
        }
    }
}

static void count_finite(size_t *out, const parents_input *input) {
    for (size_t p = 0; p < input->piece_count; p++) {
        const parents_piece piece = input->pieces[p];
        out[p] = 0;
        for (size_t i = piece.begin; i < piece.begin + piece.count; i++) {
            out[p] += isfinite(input->child[i]) != 0;
        }
    }
}

static size_t numbers_in(const parents_input *input) {
    size_t count = 0;
    for (size_t p = 0; p < input->piece_count; p++) {
        count += input->pieces[p].count;
    }
    return count;
}

/* Whether two candidates differ by no more than a mirror in another dtype does. */
static bool is_duplicate(const float *a, const float *b, const parents_input *input) {
    const size_t step = numbers_in(input) / DUPLICATE_SAMPLE + 1;
    size_t at = 0;
    size_t looked = 0;
    size_t same = 0;
    for (size_t p = 0; p < input->piece_count; p++) {
        const parents_piece piece = input->pieces[p];
        for (size_t i = 0; i < piece.count; i++, at++) {
            if (at % step) {
                continue;
            }
            const float x = a[piece.begin + i];
            const double error = fabs((double)x - (double)b[piece.begin + i]);
            looked++;
            same += error <= 1.001 * rounding_bf16 * larger(binade(x), binade(b[piece.begin + i]));
        }
    }
    return (double)same >= duplicate_part * (double)looked;
}

/* Sums mix numbers of all sizes: all that can be asked is whether they differ by the rounding
 * that the two dtypes differ by. */
static bool is_projected_duplicate(size_t a, size_t b, const parents_input *input) {
    const products sum = multiply(input->candidates[a], input->candidates[b], input);
    const double *rounding = input->candidate_rounding;
    const double part =
        rounding && rounding[a] != rounding[b] ? larger(rounding[a], rounding[b]) : rounding_f32;
    return sum.dd <= 1.2 * 1.2 * rounding_rms * rounding_rms * part * part * sum.aa;
}

/* How many bits below bf16's a candidate's numbers use, over a sample: more in the original than in
 * its mirror. */
static size_t fineness(const float *values, const parents_input *input) {
    const size_t step = numbers_in(input) / DUPLICATE_SAMPLE + 1;
    size_t at = 0;
    size_t used = 0;
    for (size_t p = 0; p < input->piece_count; p++) {
        for (size_t i = 0; i < input->pieces[p].count; i++, at++) {
            uint32_t bits;
            memcpy(&bits, &values[input->pieces[p].begin + i], sizeof bits);
            bits &= 0xffff;
            used += at % step == 0 && bits ? 16 - (size_t)__builtin_ctz(bits) : 0;
        }
    }
    return used;
}

/* b, which is further from the child, joins a; the finer of the two stands for both and for those
 * that joined before. */
static void join(parents_scan *scan, size_t a, size_t b, const parents_input *input) {
    const bool b_is_finer = !input->is_projected && fineness(input->candidates[b], input) >
                                                        fineness(input->candidates[a], input);
    const size_t kept = b_is_finer ? b : a;
    const size_t gone = b_is_finer ? a : b;
    for (size_t j = 0; j < input->candidate_count; j++) {
        scan->stands_for[j] = scan->stands_for[j] == gone ? kept : scan->stands_for[j];
    }
    scan->distance[gone] = (double)NAN;
    scan->nearest = scan->nearest == gone ? kept : scan->nearest;
}

/* Nearest to the child first. */
static void collapse(parents_scan *scan, const parents_input *input) {
    size_t order[PARENT_CANDIDATES_MAX];
    size_t count = 0;
    for (size_t j = 0; j < input->candidate_count; j++) {
        if (isnan(scan->distance[j])) {
            continue;
        }
        size_t at = count++;
        for (; at > 0 && scan->distance[order[at - 1]] > scan->distance[j]; at--) {
            order[at] = order[at - 1];
        }
        order[at] = j;
    }
    for (size_t k = 1; k < count; k++) {
        for (size_t before = 0; before < k; before++) {
            const size_t a = order[before];
            const size_t b = order[k];
            if (scan->stands_for[a] == a &&
                (input->is_projected
                     ? is_projected_duplicate(a, b, input)
                     : is_duplicate(input->candidates[a], input->candidates[b], input))) {
                join(scan, a, b, input);
                break;
            }
        }
    }
}

static void find_nearest(parents_scan *scan, const parents_input *input) {
    scan->nearest = SIZE_MAX;
    for (size_t j = 0; j < input->candidate_count; j++) {
        scan->distance[j] = (double)NAN;
        scan->stands_for[j] = j;
        if (!input->candidates[j] || !all_finite(input->candidates[j], input)) {
            continue;
        }
        count_copied(scan->copied + j * input->piece_count, j, input);
        const products sum = multiply(input->child, input->candidates[j], input);
        if (is_near(sum)) {
            scan->distance[j] = sum.dd;
            if (scan->nearest == SIZE_MAX || sum.dd < scan->distance[scan->nearest]) {
                scan->nearest = j;
            }
        }
    }
}

weir_code parents_scan_all(parents_scan *out, const parents_input *input, weir_error *err) {
    parents_scan scan = {0};
    const size_t cells = input->candidate_count * input->piece_count;
    scan.copied = calloc(cells ? cells : 1, sizeof *scan.copied);
    scan.finite = calloc(input->piece_count ? input->piece_count : 1, sizeof *scan.finite);
    if (!scan.copied || !scan.finite) {
        parents_scan_release(&scan);
        return weir_fail_nomem(err);
    }
    count_finite(scan.finite, input);
    find_nearest(&scan, input);
    for (size_t j = 0; scan.nearest != SIZE_MAX && j < input->candidate_count; j++) {
        if (!isnan(scan.distance[j]) &&
            !is_near(multiply(input->candidates[j], input->candidates[scan.nearest], input))) {
            scan.distance[j] = (double)NAN;
        }
    }
    collapse(&scan, input);
    *out = scan;
    return WEIR_OK;
}

void parents_scan_release(parents_scan *scan) {
    free(scan->copied);
    free(scan->finite);
    *scan = (parents_scan){0};
}

/* What every number's rounding can be, besides what grows with the number itself. */
typedef struct floor_of {
    double spacing;  /* times the binade of the number */
    double constant; /* per piece: rms of the child's numbers times this */
    double part;     /* of the change, that a fine row's rounding may be */
} floor_of;

static floor_of floor_from(const parents_input *input, const parents_scan *scan) {
    const double spacing = spacing_of(input, scan);
    const double uniform =
        1.7320508075688772; /* the largest error of a uniform one, over its rms */
    const double noise = uniform * input->child_noise;
    if (input->is_projected) {
        return (floor_of){.constant = input->child_noise + rounding_rms * spacing,
                          .part = FINE_PART_PROJECTED};
    }
    return (floor_of){.spacing = ROUNDINGS * spacing, .constant = noise, .part = FINE_PART};
}

typedef struct gathering {
    const parents_input *input;
    const float *reference;
    floor_of floor;
    double *rms; /* of the child's numbers, by piece */
} gathering;

static double rounding_at(const gathering *from, size_t piece, size_t i) {
    const double size = larger(binade(from->input->child[i]), binade(from->reference[i]));
    return from->floor.spacing * size + from->floor.constant * from->rms[piece];
}

static double change_at(const gathering *from, size_t i) {
    return (double)from->input->child[i] - (double)from->reference[i];
}

/* Mean square of the change over the rows that are fine when the change of piece p is scale[p].
 * @param[out] fine  how many are; 0 when a piece has few of them: too little is known of it then */
static double fine_square(const gathering *from, const double *scale, double *by_piece,
                          size_t *fine) {
    double sum = 0;
    size_t least = SIZE_MAX;
    *fine = 0;
    for (size_t p = 0; p < from->input->piece_count; p++) {
        const parents_piece piece = from->input->pieces[p];
        double here = 0;
        size_t count = 0;
        for (size_t i = piece.begin; i < piece.begin + piece.count; i++) {
            if (isfinite(from->input->child[i]) &&
                rounding_at(from, p, i) <= from->floor.part * scale[p]) {
                here += change_at(from, i) * change_at(from, i);
                count++;
            }
        }
        by_piece[p] = count ? here / (double)count : 0;
        sum += here;
        least = count < least && from->rms[p] > 0 ? count : least;
        *fine += count;
    }
    const double mean = *fine ? sum / (double)*fine : 0;
    *fine = least >= *fine / (8 * from->input->piece_count) + 1 ? *fine : 0;
    return mean;
}

/* Find the scale of the change from the rows that are fine at that scale: downwards from one at
 * which all are. Returns how many are fine in the end; scale is by piece. */
static size_t find_scale(double *scale, double *by_piece, const gathering *from) {
    const size_t pieces = from->input->piece_count;
    double whole = (double)INFINITY;
    size_t fine = 0;
    size_t before = SIZE_MAX;
    for (int round = 0; round < SCALE_ROUNDS; round++) {
        for (size_t p = 0; p < pieces; p++) {
            scale[p] = whole;
        }
        whole = sqrt(fine_square(from, scale, by_piece, &fine));
        if (fine == before || fine == 0) {
            break;
        }
        before = fine;
    }
    for (size_t p = 0; p < pieces; p++) {
        scale[p] = larger(sqrt(by_piece[p]), whole / 4);
    }
    (void)fine_square(from, scale, by_piece, &fine);
    return fine;
}

static void fill_row(parents_rows *rows, const gathering *from, size_t i) {
    float *row = rows->values + rows->count * rows->width;
    row[0] = (float)change_at(from, i);
    row[1] = from->reference[i];
    for (size_t j = 1; j < rows->relative_count; j++) {
        const float *relative = from->input->candidates[rows->relatives[j]];
        row[1 + j] = (float)((double)relative[i] - (double)from->reference[i]);
    }
}

/* 16 runs a piece are its rows when it has 16; more in a model of few layers. */
static size_t runs_per_piece(size_t pieces) {
    return pieces >= 4 ? 16 : pieces >= 2 ? 32 : 64;
}

static void fill_rows(parents_rows *rows, const gathering *from, size_t step) {
    const parents_input *input = from->input;
    const size_t runs = runs_per_piece(input->piece_count);
    size_t at = 0;
    for (size_t p = 0; p < input->piece_count; p++) {
        const parents_piece piece = input->pieces[p];
        for (size_t i = 0; i < piece.count; i++) {
            const double rounding = rounding_at(from, p, piece.begin + i);
            const bool fits = rows->is_coarse || rounding <= from->floor.part * rows->scale[p];
            if (!isfinite(input->child[piece.begin + i]) || !fits || at++ % step) {
                continue;
            }
            fill_row(rows, from, piece.begin + i);
            rows->rounding[rows->count] = (float)rounding;
            rows->piece[rows->count] = (uint32_t)p;
            rows->cluster[rows->count] = (uint32_t)(p * runs + i * runs / piece.count);
            rows->count++;
        }
    }
    rows->cluster_count = input->piece_count * runs;
}

static void name_relatives(parents_rows *rows, const parents_scan *scan,
                           const parents_input *input) {
    rows->relatives[rows->relative_count++] = scan->nearest;
    for (size_t j = 0; j < input->candidate_count; j++) {
        if (j != scan->nearest && !isnan(scan->distance[j])) {
            rows->relatives[rows->relative_count++] = j;
        }
    }
    rows->width = rows->relative_count + 1;
}

static void measure_rms(double *rms, const parents_input *input) {
    for (size_t p = 0; p < input->piece_count; p++) {
        const parents_piece piece = input->pieces[p];
        double sum = 0;
        for (size_t i = piece.begin; i < piece.begin + piece.count; i++) {
            const double x = (double)input->child[i];
            sum += isfinite(x) ? x * x : 0;
        }
        rms[p] = piece.count ? sqrt(sum / (double)piece.count) : 0;
    }
}

weir_code parents_rows_gather(parents_rows *out, const parents_scan *scan,
                              const parents_input *input, weir_error *err) {
    WEIR_CLEANUP(parents_rows_release)
    parents_rows rows = {.piece_count = input->piece_count, .is_projected = input->is_projected};
    WEIR_CLEANUP(free) double *work = checked_alloc(input->piece_count, 2 * sizeof *work);
    rows.scale = checked_alloc(input->piece_count, sizeof *rows.scale);
    if (!work || !rows.scale) {
        return weir_fail_nomem(err);
    }
    const gathering from = {.input = input,
                            .reference = input->candidates[scan->nearest],
                            .floor = floor_from(input, scan),
                            .rms = work};
    measure_rms(work, input);
    name_relatives(&rows, scan, input);
    size_t wanted = find_scale(rows.scale, work + input->piece_count, &from);
    rows.is_coarse = wanted < ROWS_FINE_MIN;
    if (rows.is_coarse) {
        wanted = numbers_in(input);
    }
    const size_t step = wanted / ROWS_MAX + 1;
    const size_t room = wanted / step + 1;
    rows.values = checked_alloc(room, rows.width * sizeof *rows.values);
    rows.rounding = checked_alloc(room, sizeof *rows.rounding);
    rows.piece = checked_alloc(room, sizeof *rows.piece);
    rows.cluster = checked_alloc(room, sizeof *rows.cluster);
    if (!rows.values || !rows.rounding || !rows.piece || !rows.cluster) {
        return weir_fail_nomem(err);
    }
    fill_rows(&rows, &from, step);
    *out = rows;
    rows = (parents_rows){0};
    return WEIR_OK;
}

void parents_rows_release(parents_rows *rows) {
    free(rows->values);
    free(rows->rounding);
    free(rows->piece);
    free(rows->cluster);
    free(rows->scale);
    *rows = (parents_rows){0};
}
