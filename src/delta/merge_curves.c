/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mergekit takes a list of numbers in the place of a weight as the corners of a polygon over the
 * depth: with m corners v and L layers, layer l has x = l / (L - 1) (m - 1) and
 *     v(l) = (1 - f) v[i] + f v[i + 1],   i = floor(x), f = x - i.
 * Weights may differ between attention, feed-forward and the rest ("filter"). For every such group
 * the polygon with fewest corners that passes near every layer's weight is taken.
 *
 * Source: arcee-ai/mergekit, config.py: evaluate_setting; docs/mergekit README "Parameter
 * Specification".
 */
#include <math.h>
#include <stdlib.h>

#include "base/fail.h"
#include "delta/merge_run.h"

enum { CORNERS_MAX = 12, GROUPS = 3, LAYERS_MAX = 1024 };
static const double corner_steps = 20; /* corners are written in steps of .05 */
static const double near_enough = 0.01;

/* Which filter a tensor would fall under. */
static int group_of(const weir_tensor *tensor) {
    switch ((int)tensor->role) {
    case WEIR_ROLE_Q:
    case WEIR_ROLE_K:
    case WEIR_ROLE_V:
    case WEIR_ROLE_O:
    case WEIR_ROLE_Q_NORM:
    case WEIR_ROLE_K_NORM:
        return 0;
    case WEIR_ROLE_GATE:
    case WEIR_ROLE_UP:
    case WEIR_ROLE_DOWN:
        return 1;
    default:
        return 2;
    }
}

/* One group and one parent: the weights of its tensors by layer. */
typedef struct points {
    const merge_run *run;
    size_t parent;
    int group;
    int32_t layers;
} points;

static const weir_tensor *tensor_of(const points *of, size_t work) {
    const merge_run *run = of->run;
    return tensor_delta_shown(run->diff, &run->diff->tensors[run->works[work].row]);
}

static bool is_point(const points *of, size_t work) {
    const weir_tensor *tensor = tensor_of(of, work);
    return tensor->layer >= 0 && tensor->layer < of->layers && group_of(tensor) == of->group &&
           !of->run->works[work].is_still;
}

static double weight_of(const points *of, size_t work) {
    return merge_fit_weight(&of->run->works[work].fit, of->parent);
}

static double error_of(const points *of, size_t work) {
    const merge_fit *fit = &of->run->works[work].fit;
    for (size_t i = 0; i < fit->count; i++) {
        if (fit->members[i] == of->parent) {
            return fmax(fit->errors[i], 1e-4);
        }
    }
    return (double)INFINITY;
}

static double polygon_at(const double *corners, int count, int32_t layer, int32_t layers) {
    const double x = layers > 1 ? (double)layer / (double)(layers - 1) * (count - 1) : 0;
    const int i = (int)floor(x);
    const int next = i + 1 < count ? i + 1 : count - 1;
    const double part = x - i;
    return (1 - part) * corners[i] + part * corners[next];
}

/* Corner by corner, least squares with hats: a few sweeps of Gauss-Seidel, which always converges
 * here, then the grid. */
static void fit_corners(double *corners, int count, const points *of) {
    enum { SWEEPS = 60 };
    for (int c = 0; c < count; c++) {
        corners[c] = 0;
    }
    for (int sweep = 0; sweep < SWEEPS; sweep++) {
        for (int c = 0; c < count; c++) {
            double above = 0;
            double below = 0;
            for (size_t w = 0; w < of->run->work_count; w++) {
                if (!is_point(of, w)) {
                    continue;
                }
                double hat[CORNERS_MAX] = {0};
                hat[c] = 1;
                const int32_t layer = tensor_of(of, w)->layer;
                const double part = polygon_at(hat, count, layer, of->layers);
                const double left =
                    weight_of(of, w) - polygon_at(corners, count, layer, of->layers);
                const double weight = 1 / (error_of(of, w) * error_of(of, w));
                above += weight * part * (left + part * corners[c]);
                below += weight * part * part;
            }
            corners[c] = below > 0 ? above / below : corners[c];
        }
    }
    for (int c = 0; c < count; c++) {
        corners[c] = nearbyint(corners[c] * corner_steps) / corner_steps;
    }
}

static bool passes_near(const double *corners, int count, const points *of) {
    size_t met = 0;
    for (size_t w = 0; w < of->run->work_count; w++) {
        if (is_point(of, w)) {
            const double told = polygon_at(corners, count, tensor_of(of, w)->layer, of->layers);
            if (fabs(told - weight_of(of, w)) > near_enough + 4 * error_of(of, w)) {
                return false;
            }
            met++;
        }
    }
    return met > 0;
}

static void tell_group(double *weights, const points *of) {
    double corners[CORNERS_MAX];
    const int most = of->layers < CORNERS_MAX ? of->layers + 1 : CORNERS_MAX;
    for (int count = 1; count <= most; count++) {
        fit_corners(corners, count, of);
        if (!passes_near(corners, count, of)) {
            continue;
        }
        for (size_t w = 0; w < of->run->work_count; w++) {
            if (is_point(of, w)) {
                weights[w * MERGE_PARENTS_MAX + of->parent] =
                    polygon_at(corners, count, tensor_of(of, w)->layer, of->layers);
            }
        }
        return;
    }
}

weir_code merge_curves(double *weights, const merge_run *run, weir_error *err) {
    int32_t layers = 0;
    (void)err;
    for (size_t w = 0; w < run->work_count; w++) {
        const weir_tensor *tensor =
            tensor_delta_shown(run->diff, &run->diff->tensors[run->works[w].row]);
        layers = tensor->layer >= layers ? tensor->layer + 1 : layers;
        for (size_t j = 0; j < MERGE_PARENTS_MAX; j++) {
            weights[w * MERGE_PARENTS_MAX + j] = (double)NAN;
        }
    }
    if (layers > LAYERS_MAX) {
        return WEIR_OK;
    }
    for (size_t parent = 0; parent < run->chosen_count; parent++) {
        for (int group = 0; group < GROUPS; group++) {
            const points of = {.run = run, .parent = parent, .group = group, .layers = layers};
            tell_group(weights, &of);
        }
    }
    return WEIR_OK;
}
