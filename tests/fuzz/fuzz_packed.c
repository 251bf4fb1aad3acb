/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever tensors stand beside each other under the names of packed weights, each view reads all
 * of its rows or none, inside its file. The input is a recipe: 1 byte     claims, a bit each a
 * tensor   name, dtype, rank (1 byte each), dims (2 bytes each); a name past the last ends them the
 * rest   the bytes of all tensors, over and over
 */
#include "open_as.h"

#include "tensor/model.h"
#include "tensor/view_grid.h"

enum { TENSORS_MAX = 12, RANK_MAX = 4, DATA_BYTES = 1 << 18, COLS_READ_MAX = 1 << 14 };

#define UP      "model.layers.0.mlp.up_proj"
#define EXPERTS "model.layers.0.mlp.experts."

static const char *const names[] = {
    UP ".qweight",
    UP ".qzeros",
    UP ".scales",
    UP ".g_idx",
    UP ".weight",
    UP ".weight_packed",
    UP ".weight_scale",
    UP ".weight_scale_inv",
    UP ".weight_zero_point",
    UP ".weight_shape",
    UP ".weight_g_idx",
    UP ".SCB",
    UP ".weight_format",
    UP ".weight.absmax",
    UP ".weight.quant_map",
    UP ".weight.nested_absmax",
    UP ".weight.nested_quant_map",
    UP ".weight.quant_state.bitsandbytes__nf4",
    EXPERTS "gate_up_proj_blocks",
    EXPERTS "gate_up_proj_scales",
};
enum { NAME_COUNT = sizeof names / sizeof *names };

static const weir_dtype dtypes[] = {
    WEIR_DTYPE_I32, WEIR_DTYPE_F16,  WEIR_DTYPE_F32,     WEIR_DTYPE_U8,      WEIR_DTYPE_I8,
    WEIR_DTYPE_I64, WEIR_DTYPE_BF16, WEIR_DTYPE_F8_E4M3, WEIR_DTYPE_F8_E8M0, WEIR_DTYPE_F64,
};
enum { DTYPE_COUNT = sizeof dtypes / sizeof *dtypes };

static const struct {
    const char *name;
    const char *value;
} said[] = {
    {"config.quantization_config.checkpoint_format", "gptq_v2"},
    {"config.quantization_config.group_size", "24"},
    {"config.quantization_config.weight_block_size", "16, 8"},
    {"config.quantization_config.bits", "4"},
    {"config.text_config.quantization_config.weight_block_size", "0, 3"},
};
enum { SAID_COUNT = sizeof said / sizeof *said };

typedef struct recipe {
    const uint8_t *at;
    const uint8_t *end;
} recipe;

static unsigned take(recipe *in) {
    return in->at < in->end ? *in->at++ : 0;
}

/* One tensor of the recipe behind the `used` bytes of data. @return false after the last */
static bool add_tensor(tensor_table *table, recipe *in, uint64_t *used) {
    uint64_t dims[RANK_MAX];
    uint64_t bytes = 1;
    const unsigned name = take(in);
    if (name >= NAME_COUNT || in->at == in->end) {
        return false;
    }
    const weir_dtype dtype = dtypes[take(in) % DTYPE_COUNT];
    const unsigned rank = take(in) % (RANK_MAX + 1);
    bytes *= weir_dtype_get(dtype)->block_bytes;
    for (unsigned i = 0; i < rank; i++) {
        dims[i] = take(in);
        dims[i] |= (uint64_t)take(in) << 8;
        bytes *= dims[i];
    }
    if (bytes > DATA_BYTES - *used) {
        return true; /* left out */
    }
    const stored_tensor entry = {.name = names[name],
                                 .dims = dims,
                                 .offset = *used,
                                 .bytes = bytes,
                                 .rank = (uint8_t)rank,
                                 .dtype = (uint8_t)dtype};
    *used += bytes;
    return tensor_table_add(table, &entry, strlen(names[name]), NULL) == WEIR_OK;
}

static void read_some(const weir_model *model, size_t index, uint64_t row, uint64_t count) {
    const weir_tensor *const tensor = weir_model_tensor(model, index);
    float *const values = malloc((size_t)(count * tensor->cols + 1) * sizeof *values);
    if (values) {
        const weir_code code = weir_model_read_rows(model, index, row, count, values, NULL);
        require(code == WEIR_OK ||
                (!model_view(model, index)->packed && code == WEIR_ERR_UNSUPPORTED));
    }
    free(values);
}

/* Scales and offsets stand in the same tables as the numbers. */
static void read_some_scales(const weir_model *model, size_t index, uint64_t row, uint64_t count) {
    const tensor_view *const view = model_view(model, index);
    const size_t elements = (size_t)(count * view->base.cols);
    view_grid levels;
    view_scratch scratch = {0};
    float *const scale = malloc((2 * elements + 1) * sizeof *scale);
    if (scale && tensor_view_grid(&levels, view)) {
        require(tensor_view_read_grid(view, row, count, scale, scale + elements, &scratch, NULL) ==
                WEIR_OK);
    }
    view_scratch_release(&scratch);
    free(scale);
}

static void read_model(const weir_model *model) {
    for (size_t i = 0; i < weir_model_tensor_count(model); i++) {
        const weir_tensor *const tensor = weir_model_tensor(model, i);
        if (!model_view(model, i)->packed || tensor->cols > COLS_READ_MAX) {
            continue;
        }
        read_some(model, i, 0, tensor->rows < 3 ? tensor->rows : 3);
        read_some(model, i, tensor->rows - 1, 1);
        read_some_scales(model, i, tensor->rows - 1, 1);
        read_some_scales(model, i, 0, tensor->rows < 3 ? tensor->rows : 3);
        read_some(model, i, tensor->rows / 2,
                  tensor->rows - tensor->rows / 2 < 40 ? tensor->rows - tensor->rows / 2 : 40);
    }
}

static void open_recipe(checkpoint *from, recipe *in, unsigned char *data) {
    const unsigned claims_made = take(in);
    uint64_t used = 0;
    for (size_t i = 0; i < SAID_COUNT; i++) {
        const weir_claim claim = {
            .name = said[i].name, .value = said[i].value, .file = "config.json", .at = ""};
        if (claims_made >> i & 1) {
            (void)claims_add(&from->claims, &claim, strlen(said[i].value), NULL);
        }
    }
    for (size_t i = 0; i < TENSORS_MAX && add_tensor(&from->tensors, in, &used); i++) {
    }
    const size_t left = (size_t)(in->end - in->at);
    for (size_t i = 0; left > 0 && i < used; i++) {
        data[i] = in->at[i % left];
    }
    (void)weir_source_open_memory(&from->files[0].source, data, (size_t)used, "model", NULL);
    WEIR_CLEANUP(weir_model_free) weir_model *model = NULL;
    if (from->files[0].source &&
        model_from_checkpoint(&model, from, NULL, NULL, NULL, NULL) == WEIR_OK) {
        read_model(model);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    recipe in = {.at = bytes, .end = bytes + size};
    checkpoint_file file = {.path = "model", .format = "safetensors"};
    checkpoint from = {.name = "model",
                       .format = "safetensors",
                       .files = &file,
                       .file_count = 1,
                       .shape = {.architecture = size % 2 ? "gpt_oss" : "llama"}};
    unsigned char *const data = calloc(1, DATA_BYTES);
    if (data) {
        open_recipe(&from, &in, data);
    }
    weir_source_free(file.source);
    tensor_table_release(&from.tensors);
    claims_release(&from.claims);
    free(data);
    return 0;
}
