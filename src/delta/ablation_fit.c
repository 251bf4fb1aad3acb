/* SPDX-License-Identifier: Apache-2.0 */
#include "delta/ablation_fit.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"

/* Each round fits the inputs, the dimensions and the strength once. After four nothing moves that
 * a threshold could see, also where one coordinate holds half of the direction. */
enum { ROUNDS = 4, K_MAX = ABLATION_FIT_DIRECTIONS_MAX };

/* One pair, as the steps below see it. */
typedef struct pair {
    const float *base;
    const float *change;
    size_t count;
    size_t width;
    const float *directions;
    size_t k;
    double strength[K_MAX][K_MAX];
    ablation_workspace *work;
    float *predicted; /* one vector */
} pair;

static weir_code make_room(ablation_workspace *work, size_t count, size_t width, weir_error *err) {
    if (width > work->width_capacity) {
        free(work->dimension_scale);
        free(work->sums);
        work->dimension_scale = checked_alloc(width, 2 * sizeof *work->dimension_scale);
        work->sums = checked_alloc(width, 2 * sizeof *work->sums);
        work->width_capacity = work->dimension_scale && work->sums ? width : 0;
    }
    if (count > work->count_capacity) {
        free(work->input_scale);
        free(work->along);
        work->input_scale = checked_alloc(count, sizeof *work->input_scale);
        work->along = checked_alloc(count, K_MAX * sizeof *work->along);
        work->count_capacity = work->input_scale && work->along ? count : 0;
    }
    const bool has_room = work->width_capacity >= width && work->count_capacity >= count;
    return has_room ? WEIR_OK : weir_fail_nomem(err);
}

/* along [count, k] = W U' */
static void project(const pair *at) {
    if (at->k > 0) {
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)at->count, (int)at->k,
                    (int)at->width, 1.0F, at->base, (int)at->width, at->directions, (int)at->width,
                    0.0F, at->work->along, (int)at->k);
    }
}

/* w_j - U' M' U w_j, before the scales. */
static void predict(const pair *at, size_t j) {
    const float *const base = at->base + j * at->width;
    float *const out = at->predicted;
    memcpy(out, base, at->width * sizeof *out);
    for (size_t l = 0; l < at->k; l++) {
        double factor = 0;
        for (size_t i = 0; i < at->k; i++) {
            factor += (double)at->work->along[j * at->k + i] * at->strength[i][l];
        }
        const float *const direction = at->directions + l * at->width;
        const float by = (float)factor;
        for (size_t i = 0; i < at->width; i++) {
            out[i] -= by * direction[i];
        }
    }
}

/* Least squares of the inputs' scales with the dimensions' held, then of the dimensions'. */
static void fit_scales(pair *at, bool with_dimensions) {
    const size_t width = at->width;
    float *const a = at->work->dimension_scale;
    double *const products = at->work->sums;
    double *const squares = at->work->sums + width;
    memset(products, 0, 2 * width * sizeof *products);
    for (size_t j = 0; j < at->count; j++) {
        const float *const base = at->base + j * width;
        const float *const change = at->change + j * width;
        predict(at, j);
        float product = 0;
        float square = 0;
        for (size_t i = 0; i < width; i++) {
            const float scaled = a[i] * at->predicted[i];
            product += scaled * (base[i] + change[i]);
            square += scaled * scaled;
        }
        const float b = square > 0 ? product / square : 1.0F;
        at->work->input_scale[j] = b;
        for (size_t i = 0; i < width; i++) {
            const float scaled = b * at->predicted[i];
            products[i] += (double)(scaled * (base[i] + change[i]));
            squares[i] += (double)(scaled * scaled);
        }
    }
    for (size_t i = 0; with_dimensions && i < width; i++) {
        a[i] = squares[i] > 0 ? (float)(products[i] / squares[i]) : 1.0F;
    }
}

/* What is summed over the inputs for the strength: moments of r_j = U (x_j - b_j a o w_j) and of
 * w_j along the directions. */
typedef struct moments {
    double along[K_MAX][K_MAX];  /* sum of b^2 (U w)(U w)' */
    double cross[K_MAX][K_MAX];  /* sum of b (U w) r' */
    double scaled[K_MAX][K_MAX]; /* (U o a)(U o a)' */
    double square;               /* sum of |r|^2 */
    double left;                 /* sum of |x - b a o w|^2 */
} moments;

static void store_left(const pair *at, size_t j, float *left) {
    const float *const base = at->base + j * at->width;
    const float *const change = at->change + j * at->width;
    const float *const a = at->work->dimension_scale;
    const float b = at->work->input_scale[j];
    for (size_t i = 0; i < at->width; i++) {
        /* x - b a w, written so that tiny changes keep their digits. */
        left[i] = change[i] + (1.0F - b * a[i]) * base[i];
    }
}

/* U o a [k, width]: where an ablation under the dimensions' scales shows. */
static void scale_directions(const pair *at, float *out) {
    for (size_t l = 0; l < at->k; l++) {
        for (size_t i = 0; i < at->width; i++) {
            out[l * at->width + i] =
                at->directions[l * at->width + i] * at->work->dimension_scale[i];
        }
    }
}

static void add_moments(moments *sums, const pair *at, size_t j, const float *left,
                        const float *scaled) {
    double along[K_MAX];
    const double b = (double)at->work->input_scale[j];
    float square = 0;
    for (size_t i = 0; i < at->width; i++) {
        square += left[i] * left[i];
    }
    sums->left += (double)square;
    for (size_t l = 0; l < at->k; l++) {
        float sum = 0;
        for (size_t i = 0; i < at->width; i++) {
            sum += left[i] * scaled[l * at->width + i];
        }
        along[l] = (double)sum;
        sums->square += along[l] * along[l];
    }
    for (size_t i = 0; i < at->k; i++) {
        const double of_base = b * (double)at->work->along[j * at->k + i];
        for (size_t l = 0; l < at->k; l++) {
            sums->along[i][l] += of_base * b * (double)at->work->along[j * at->k + l];
            sums->cross[i][l] += of_base * along[l];
        }
    }
}

/* Solve a x = b in place for k right-hand sides, by Gauss with pivots; false when singular. */
static bool solve(double a[K_MAX][K_MAX], double b[K_MAX][K_MAX], size_t k) {
    for (size_t step = 0; step < k; step++) {
        size_t pivot = step;
        for (size_t i = step + 1; i < k; i++) {
            pivot = fabs(a[i][step]) > fabs(a[pivot][step]) ? i : pivot;
        }
        if (!(fabs(a[pivot][step]) > 0)) {
            return false;
        }
        for (size_t j = 0; j < k; j++) {
            const double of_a = a[step][j];
            const double of_b = b[step][j];
            a[step][j] = a[pivot][j];
            a[pivot][j] = of_a;
            b[step][j] = b[pivot][j];
            b[pivot][j] = of_b;
        }
        for (size_t i = 0; i < k; i++) {
            const double factor = i == step ? 0 : a[i][step] / a[step][step];
            for (size_t j = 0; j < k; j++) {
                a[i][j] -= factor * a[step][j];
                b[i][j] -= factor * b[step][j];
            }
        }
    }
    for (size_t i = 0; i < k; i++) {
        for (size_t j = 0; j < k; j++) {
            b[i][j] /= a[i][i];
        }
    }
    return true;
}

static void turn(double out[K_MAX][K_MAX], double in[K_MAX][K_MAX]) {
    for (size_t i = 0; i < K_MAX; i++) {
        for (size_t j = 0; j < K_MAX; j++) {
            out[i][j] = in[j][i];
        }
    }
}

/* M = -(sum b^2 ww')^-1 (sum b w r') S^-1, S = (U o a)(U o a)', which is nearly the identity. */
static void solve_strength(pair *at, const moments *sums) {
    moments copy = *sums;
    double turned[K_MAX][K_MAX];
    const bool is_solved = solve(copy.along, copy.cross, at->k);
    turn(turned, copy.cross);
    const bool is_whole = is_solved && solve(copy.scaled, turned, at->k);
    for (size_t i = 0; i < at->k; i++) {
        for (size_t l = 0; l < at->k; l++) {
            at->strength[i][l] = is_whole ? -turned[l][i] : 0;
        }
    }
}

/* Energy of what the scales leave that lies along the directions and follows -M w. */
static double fitted_square(const pair *at, const moments *sums) {
    double total = 0;
    for (size_t l = 0; l < at->k; l++) {
        for (size_t i = 0; i < at->k; i++) {
            /* tr((MS)' sum(b w r')) with the sign of r = -b w M S: at the least squares it is the
             * explained energy of r. */
            double weight = 0;
            for (size_t o = 0; o < at->k; o++) {
                weight += at->strength[i][o] * sums->scaled[o][l];
            }
            total -= weight * sums->cross[i][l];
        }
    }
    return total;
}

static void measure(moments *out, pair *at, float *left, float *scaled) {
    *out = (moments){0};
    scale_directions(at, scaled);
    for (size_t i = 0; i < at->k; i++) {
        for (size_t l = 0; l < at->k; l++) {
            out->scaled[i][l] = (double)cblas_sdot((int)at->width, scaled + i * at->width, 1,
                                                   scaled + l * at->width, 1);
        }
    }
    for (size_t j = 0; j < at->count; j++) {
        float *const row = left ? left + j * at->width : at->predicted;
        store_left(at, j, row);
        add_moments(out, at, j, row, scaled);
    }
}

/* What the whole fit leaves. */
static double rest_square(const pair *at) {
    const float *const a = at->work->dimension_scale;
    double total = 0;
    for (size_t j = 0; j < at->count; j++) {
        const float *const base = at->base + j * at->width;
        const float *const change = at->change + j * at->width;
        const float b = at->work->input_scale[j];
        predict(at, j);
        float square = 0;
        for (size_t i = 0; i < at->width; i++) {
            const float rest = change[i] + (base[i] - b * a[i] * at->predicted[i]);
            square += rest * rest;
        }
        total += (double)square;
    }
    return total;
}

static int compare_falling(const void *a, const void *b) {
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x < y) - (x > y);
}

/* How much of the directions a few coordinates hold: all of it where an axis, or a sum of two, was
 * projected out. */
static double axis_share(const pair *at) {
    double *const energy = at->work->sums;
    for (size_t i = 0; i < at->width; i++) {
        energy[i] = 0;
        for (size_t l = 0; l < at->k; l++) {
            const double number = (double)at->directions[l * at->width + i];
            energy[i] += number * number / (double)at->k;
        }
    }
    qsort(energy, at->width, sizeof *energy, compare_falling);
    double held = 0;
    for (size_t i = 0; i < at->k + 2 && i < at->width; i++) {
        held += energy[i];
    }
    return held;
}

static double mean_cosine(const pair *at) {
    double largest = 0;
    for (size_t l = 0; l < at->k; l++) {
        double sum = 0;
        for (size_t i = 0; i < at->width; i++) {
            sum += (double)at->directions[l * at->width + i];
        }
        largest = fmax(largest, fabs(sum) / sqrt((double)at->width));
    }
    return largest;
}

static double square_of(const float *values, size_t count, size_t width) {
    double total = 0;
    for (size_t j = 0; j < count; j++) {
        float square = 0;
        for (size_t i = 0; i < width; i++) {
            square += values[j * width + i] * values[j * width + i];
        }
        total += (double)square;
    }
    return total;
}

static void reset_scales(const pair *at) {
    for (size_t i = 0; i < at->width; i++) {
        at->work->dimension_scale[i] = 1;
    }
}

/* Fit all that the pair has, in turn. Strength 1 to begin with: the scales of the inputs then come
 * from what lies across the directions, which no strength changes. The dimensions wait until the
 * strength is known, or a heavy coordinate's scale would take its place. */
static void fit(moments *sums, pair *at, float *left, float *scaled) {
    reset_scales(at);
    memset(at->strength, 0, sizeof at->strength);
    for (size_t i = 0; i < at->k; i++) {
        at->strength[i][i] = 1;
    }
    project(at);
    for (int round = 0; round < ROUNDS; round++) {
        fit_scales(at, /* with_dimensions= */ round > 0 || at->k == 0);
        measure(sums, at, left, scaled);
        solve_strength(at, sums);
    }
}

weir_code ablation_fit_pair(ablation_fit *out, const float *base, const float *change, size_t count,
                            size_t width, const float *directions, size_t k, float *left,
                            ablation_workspace *work, weir_error *err) {
    WEIR_TRY(make_room(work, count, width, err));
    WEIR_CLEANUP(free) float *scaled = checked_alloc(width, K_MAX * sizeof *scaled);
    if (!scaled) {
        return weir_fail_nomem(err);
    }
    moments sums;
    pair at = {.base = base,
               .change = change,
               .count = count,
               .width = width,
               .work = work,
               .predicted = work->dimension_scale + width};
    ablation_fit found = {.base_square = square_of(base, count, width)};
    fit(&sums, &at, left, scaled);
    found.scales_square = sums.left;
    found.rest_square = sums.left;
    found.left_square = sums.left;
    if (k > 0) {
        at.directions = directions;
        at.k = k;
        fit(&sums, &at, left, scaled);
        found.rest_square = rest_square(&at);
        found.left_square = sums.left;
        found.along_square = sums.square;
        found.along_fitted = fitted_square(&at, &sums);
        for (size_t i = 0; i < k; i++) {
            found.strength += at.strength[i][i] / (double)k;
        }
        found.axis = axis_share(&at);
        found.mean = mean_cosine(&at);
    }
    *out = found;
    return WEIR_OK;
}

weir_code ablation_own_cosine(double *out, const float *base, size_t count, size_t width,
                              const float *direction, weir_error *err) {
    WEIR_CLEANUP(free) double *sums = calloc(width, sizeof *sums);
    if (!sums) {
        return weir_fail_nomem(err);
    }
    for (size_t j = 0; j < count; j++) {
        const float *const row = base + j * width;
        const float along = cblas_sdot((int)width, row, 1, direction, 1);
        for (size_t i = 0; i < width; i++) {
            sums[i] += (double)(along * row[i]);
        }
    }
    double product = 0;
    double square = 0;
    for (size_t i = 0; i < width; i++) {
        product += sums[i] * (double)direction[i];
        square += sums[i] * sums[i];
    }
    *out = square > 0 ? fabs(product) / sqrt(square) : 1;
    return WEIR_OK;
}

void ablation_workspace_release(ablation_workspace *work) {
    free(work->dimension_scale);
    free(work->input_scale);
    free(work->along);
    free(work->sums);
    *work = (ablation_workspace){0};
}
