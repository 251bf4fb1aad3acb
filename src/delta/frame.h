/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file frame.h  Rows of both models over the same residual channels, whatever order, signs, width
 * or basis each model keeps them in.
 *
 * Sampled channels, at most FRAME_COLS, evenly spaced among those that both models have. Where the
 * basis was turned, x_model = x_base Q, a row w of the model that reads the stream through a norm
 * of gain g stands for (w * g) Q^T in the base's basis, and a row of the base for w * g.
 */
#ifndef WEIR_DELTA_FRAME_H
#define WEIR_DELTA_FRAME_H

#include "delta/axis_map.h"
#include "delta/layer_views.h"
#include "delta/rotation.h"
#include "tensor/model.h"

enum { FRAME_COLS = 256 };

typedef enum frame_side { FRAME_BASE, FRAME_MODEL } frame_side;

typedef struct residual_frame {
    uint64_t base_hidden;
    uint64_t model_hidden;
    size_t cols; /**< 0: no channel is known to be shared */
    uint32_t base_cols[FRAME_COLS];
    uint32_t model_cols[FRAME_COLS];
    int8_t signs[FRAME_COLS];
    const rotation *turn; /**< NULL unless the basis was turned */
    float *turned;        /**< [cols, hidden]: rows base_cols of Q; NULL unless turned */
} residual_frame;

/** Channels of the same index, or those of a map. */
void frame_of_index(residual_frame *out, uint64_t base_hidden, uint64_t model_hidden);
void frame_of_map(residual_frame *out, const axis_map *channels);
/** Channels of the base's basis. `turned` belongs to the arena. */
weir_code frame_of_rotation(residual_frame *out, arena *memory, const rotation *turn,
                            weir_error *err);

/** Width of the residual stream: of the embedding, else of what reads the stream; 0 unknown. */
uint64_t frame_hidden(const weir_model *model);

/**
 * Read the gain of the norm that a role of a layer reads through.
 * @param[out] gain  malloc'ed, [hidden]; NULL when the frame is not turned, or without such a norm
 */
weir_code frame_read_gain(float **gain, const residual_frame *frame, const weir_model *model,
                          const layer_views *layer, weir_role role, weir_error *err);

/** Whether rows of this view can be read in the frame. */
bool frame_fits(const residual_frame *frame, frame_side side, const tensor_view *view);

/**
 * Read rows of a tensor whose columns are the residual stream.
 *
 * @param[out] out  [count, frame->cols], of the base multiplied by the signs
 * @param gain      [hidden of the side], or NULL: of a turned basis, the norm that the rows read
 *                  through
 * @param step      rows row_begin, row_begin + step ...
 */
weir_code frame_read(float *out, const residual_frame *frame, frame_side side,
                     const tensor_view *view, const float *gain, uint64_t row_begin, uint64_t step,
                     size_t count, view_scratch *scratch, weir_error *err);

#endif
