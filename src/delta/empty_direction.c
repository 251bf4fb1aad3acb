/* SPDX-License-Identifier: Apache-2.0 */
#include "delta/empty_direction.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "delta/residual_writes.h"
#include "delta/thresholds.h"
#include "kernel/convert.h"
#include "kernel/smallest_values.h"

enum {
    VECTORS_PER_DIMENSION = 8,
    VECTORS_PER_WIDE_DIMENSION = 4, /* of streams wider than WIDE */
    WIDE = 2048,
    EMPTY_DIRECTION_WIDTH_MAX = 1 << 14,
};

/* Of one model. */
typedef struct writes_of_model {
    const weir_model *model;
    size_t width;
    size_t *indexes; /* the write matrices */
    size_t count;
    double *sums; /* [width, width] */
    size_t vectors;
} writes_of_model;

static inline void writes_of_model_release_cleanup(writes_of_model *writes) {
    free(writes->indexes);
    free(writes->sums);
}

static bool is_write(const weir_tensor *tensor) {
    return tensor->layer >= 0 && role_writes_residual(tensor->role) && !tensor->is_bias &&
           tensor->rows > 1 && tensor->cols > 1 && convert_can_read(tensor->dtype);
}

static uint64_t width_of(const weir_tensor *tensor) {
    return tensor->role == WEIR_ROLE_EMBEDDING ? tensor->cols : tensor->rows;
}

/* Those of the layers: many edits leave the embedding alone. */
static weir_code choose(writes_of_model *out, weir_error *err) {
    const size_t tensors = weir_model_tensor_count(out->model);
    out->indexes = checked_alloc(tensors, sizeof *out->indexes);
    if (!out->indexes) {
        return weir_fail_nomem(err);
    }
    uint64_t width = 0;
    for (size_t i = 0; i < tensors; i++) {
        const weir_tensor *const tensor = weir_model_tensor(out->model, i);
        if (is_write(tensor)) {
            width = width_of(tensor);
        }
    }
    for (size_t i = 0; i < tensors; i++) {
        const weir_tensor *const tensor = weir_model_tensor(out->model, i);
        if (is_write(tensor) && width_of(tensor) == width && width <= EMPTY_DIRECTION_WIDTH_MAX) {
            out->indexes[out->count++] = i;
        }
    }
    out->width = (size_t)width;
    return WEIR_OK;
}

static double square_of(const float *numbers, size_t count) {
    double total = 0;
    for (size_t i = 0; i < count; i++) {
        total += (double)numbers[i] * (double)numbers[i];
    }
    return total;
}

/* An even choice of a matrix's vectors. */
static weir_code add_matrix(writes_of_model *writes, residual_writes *read, size_t index,
                            size_t vectors, unsigned threads, weir_error *err) {
    WEIR_TRY(residual_writes_read_one(read, writes->model, index, vectors * writes->width, err));
    const double square = square_of(read->base, read->count * read->width);
    writes->vectors += read->count;
    return square > 0 ? outer_products_add(writes->sums, read->base, read->count, read->width,
                                           1 / square, threads, err)
                      : WEIR_OK;
}

/* Leave out dimensions that hardly anything writes to, and close the gaps. */
static size_t drop_dead(double *sums, size_t width) {
    double mean = 0;
    for (size_t i = 0; i < width; i++) {
        mean += sums[i * width + i] / (double)width;
    }
    size_t kept = 0;
    WEIR_CLEANUP(free) size_t *indexes = checked_alloc(width, sizeof *indexes);
    for (size_t i = 0; indexes && i < width; i++) {
        if (sums[i * width + i] > THRESHOLD_EMPTY_DEAD * mean) {
            indexes[kept++] = i;
        }
    }
    for (size_t i = 0; i < kept; i++) {
        for (size_t j = 0; j <= i; j++) {
            sums[i * kept + j] = sums[indexes[i] * width + indexes[j]];
        }
    }
    return kept;
}

/* Norm 1 again after the scaling back, and what it is like. */
static void describe(empty_direction *out, double *vector, const double *scales, size_t width) {
    double square = 0;
    for (size_t i = 0; i < width; i++) {
        /* The correlation matrix lacks diag^(1/2) u where the sums lack u. */
        vector[i] /= sqrt(scales[i]);
        square += vector[i] * vector[i];
    }
    double sum = 0;
    double first = 0;
    double second = 0;
    for (size_t i = 0; i < width; i++) {
        const double share = vector[i] * vector[i] / square;
        sum += vector[i];
        second = share > first ? first : fmax(second, share);
        first = fmax(first, share);
    }
    out->axis = first + second;
    out->mean = fabs(sum) / sqrt(square * (double)width);
}

static weir_code decide(empty_direction *out, writes_of_model *writes, weir_error *err) {
    const size_t width = drop_dead(writes->sums, writes->width);
    out->dead = writes->width - width;
    if (width < THRESHOLD_EMPTY_WIDTH) {
        out->why = "the residual stream is too narrow";
        return WEIR_OK;
    }
    WEIR_CLEANUP(free) double *scales = checked_alloc(width, 2 * sizeof *scales);
    if (!scales) {
        return weir_fail_nomem(err);
    }
    double *const vector = scales + width;
    for (size_t i = 0; i < width; i++) {
        scales[i] = writes->sums[i * width + i];
    }
    double values[2];
    outer_products_scale(writes->sums, scales, width);
    WEIR_TRY(smallest_values_find(values, vector, writes->sums, NULL, width, err));
    out->ratio = values[1] > 0 ? fmax(values[0], 0) / values[1] : (double)NAN;
    if (!isfinite(out->ratio)) {
        out->why = "several directions are empty, or numbers are not finite";
        return WEIR_OK;
    }
    describe(out, vector, scales, width);
    const bool is_apart = out->ratio < THRESHOLD_EMPTY_RATIO;
    const bool is_plain =
        out->axis > THRESHOLD_ABLATION_AXIS || out->mean > THRESHOLD_ABLATION_MEAN;
    out->answer = is_apart && !is_plain ? EMPTY_DIRECTION_FOUND : EMPTY_DIRECTION_NONE;
    out->why = !is_apart ? "no direction is written to far less than the others"
               : is_plain
                   ? "what is not written to is an axis or the mean of the stream"
                   : "one direction is hardly written to, as full directional ablation leaves it";
    return WEIR_OK;
}

weir_code empty_direction_find(empty_direction *out, const weir_model *model, unsigned threads,
                               weir_error *err) {
    empty_direction found = {.answer = EMPTY_DIRECTION_CANNOT_DECIDE, .ratio = (double)NAN};
    WEIR_CLEANUP(writes_of_model_release) writes_of_model writes = {.model = model};
    WEIR_TRY(choose(&writes, err));
    found.matrix_count = writes.count;
    found.width = writes.width;
    if (writes.count < THRESHOLD_EMPTY_MATRICES) {
        found.why = "too few matrices that write to a residual stream can be read";
        *out = found;
        return WEIR_OK;
    }
    writes.sums = calloc(writes.width * writes.width, sizeof *writes.sums);
    if (!writes.sums) {
        return weir_fail_nomem(err);
    }
    const size_t dense = writes.width > WIDE ? VECTORS_PER_WIDE_DIMENSION : VECTORS_PER_DIMENSION;
    const size_t vectors = dense * writes.width / writes.count + 1;
    WEIR_CLEANUP(residual_writes_release) residual_writes read = {0};
    for (size_t i = 0; i < writes.count; i++) {
        WEIR_TRY(add_matrix(&writes, &read, writes.indexes[i], vectors, threads, err));
    }
    if (writes.vectors < THRESHOLD_EMPTY_VECTORS * writes.width) {
        found.why = "the matrices have too few inputs for the width of the stream";
    } else {
        WEIR_TRY(decide(&found, &writes, err));
    }
    *out = found;
    return WEIR_OK;
}
