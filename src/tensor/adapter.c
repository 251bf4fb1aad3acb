/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file adapter.c  From the modules of a LoRA adapter to the canonical tensors of its base.
 *
 * The weight of a module is looked up under its Hugging Face name whatever container the base came
 * in: a tensor [outputs, inputs] that is not there is split as the real one would be, and B's rows
 * go the way of the outputs. Sources: huggingface/peft, src/peft/tuners/lora/layer.py (scaling,
 * get_delta_weight; the embedding's pair is multiplied and then transposed) and
 * src/peft/utils/save_and_load.py (names).
 */
#include "tensor/adapter.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "base/limits.h"
#include "base/text.h"
#include "tensor/layout.h"
#include "tensor/role_table.h"

static const struct adapter_mark {
    const char *text;
    weir_role role;
    bool is_embedding;
} marks[] = {
    {".lora_A", WEIR_ROLE_ADAPTER_A, false},
    {".lora_B", WEIR_ROLE_ADAPTER_B, false},
    {".lora_embedding_A", WEIR_ROLE_ADAPTER_A, true},
    {".lora_embedding_B", WEIR_ROLE_ADAPTER_B, true},
    {".lora_magnitude_vector", WEIR_ROLE_ADAPTER_OTHER, false},
    {".modules_to_save", WEIR_ROLE_ADAPTER_OTHER, false},
};

static const char wrapper[] = "base_model.model.";

bool adapter_name_parse(adapter_name *out, const char *stored_name) {
    const bool wrapped = strncmp(stored_name, wrapper, sizeof wrapper - 1) == 0;
    const char *const module = stored_name + (wrapped ? sizeof wrapper - 1 : 0);
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        const char *const found = strstr(module, marks[i].text);
        const char after = found ? found[strlen(marks[i].text)] : 'x';
        if (after == '.' || after == '\0') {
            *out = (adapter_name){.role = marks[i].role,
                                  .module = module,
                                  .module_len = (size_t)(found - module),
                                  .is_embedding = marks[i].is_embedding};
            return true;
        }
    }
    *out = (adapter_name){.role = wrapped ? WEIR_ROLE_ADAPTER_OTHER : WEIR_ROLE_UNKNOWN,
                          .module = module,
                          .module_len = strlen(module)};
    return wrapped;
}

/* What adapter_resolve works with for all modules. */
typedef struct resolve {
    adapter *out;
    const weir_model *from;
    const weir_model *base;
    role_index own;
    role_index merged;
} resolve;

static void resolve_release_cleanup(resolve *work) {
    role_index_release(&work->own);
    role_index_release(&work->merged);
}

/* A and B of one module, and W's shape as they imply it. */
typedef struct module_pair {
    const tensor_view *a;
    const tensor_view *b;
    adapter_name name;
    uint64_t rank;
    uint64_t outputs;
    uint64_t inputs;
} module_pair;

/* The B beside an A: its name with the last letter of the mark changed. */
static bool find_b(const weir_model *from, const tensor_view *a, const adapter_name *name,
                   size_t *index) {
    char wanted[TENSOR_NAME_BYTES_MAX + 1];
    const char *const stored = a->base.stored_name;
    const size_t len = strlen(stored);
    const size_t letter = (size_t)(name->module - stored) + name->module_len +
                          strlen(name->is_embedding ? ".lora_embedding_" : ".lora_");
    if (len >= sizeof wanted || letter >= len) {
        return false;
    }
    memcpy(wanted, stored, len + 1);
    wanted[letter] = 'B';
    return model_find(from, wanted, index);
}

/* @return whether both are matrices that can be multiplied */
static bool read_pair(module_pair *out, const resolve *work, size_t a_index) {
    size_t b_index;
    *out = (module_pair){.a = model_view(work->from, a_index)};
    (void)adapter_name_parse(&out->name, out->a->base.stored_name);
    if (!find_b(work->from, out->a, &out->name, &b_index)) {
        return false;
    }
    out->b = model_view(work->from, b_index);
    const weir_tensor *const a = &out->a->base;
    const weir_tensor *const b = &out->b->base;
    out->rank = a->rows;
    out->outputs = out->name.is_embedding ? a->cols : b->rows;
    out->inputs = out->name.is_embedding ? b->rows : a->cols;
    return out->a->stored->rank == 2 && out->b->stored->rank == 2 && a->rows == b->cols &&
           a->rows > 0;
}

/* The views that the module's weight would have in a Hugging Face folder, by layout_split(). */
static weir_code split_weight(view_list *out, role_match *match, const resolve *work,
                              const module_pair *pair, weir_error *err) {
    WEIR_CLEANUP(text_buffer_release) text_buffer text = {0};
    text_buffer_add(&text, pair->name.module, pair->name.module_len);
    text_buffer_format(&text, ".weight");
    if (text.failed) {
        return weir_fail_nomem(err);
    }
    if (!role_index_find(&work->own, match, text.data, NULL, NULL) &&
        !role_index_find(&work->merged, match, text.data, NULL, NULL)) {
        return WEIR_OK;
    }
    const bool turned = match->pattern->layout == ROLE_LAYOUT_TURNED ||
                        match->pattern->layout == ROLE_LAYOUT_QKV_TURNED;
    const uint64_t dims[] = {turned ? pair->inputs : pair->outputs,
                             turned ? pair->outputs : pair->inputs};
    const stored_tensor weight = {.name = "", .dims = dims, .rank = 2, .dtype = WEIR_DTYPE_F32};
    bool fits;
    return layout_split(out, &fits, &weight, match, &model_checkpoint(work->base)->shape, err);
}

/* A matrix as it stands, or turned. */
static tensor_view turn(const tensor_view *view) {
    tensor_view turned = *view;
    turned.base.rows = view->base.cols;
    turned.base.cols = view->base.rows;
    turned.stored_cols = view->base.cols;
    turned.transposed = true;
    return turned;
}

static tensor_view rows_for(const tensor_view *b, const tensor_view *weight) {
    tensor_view view = *b;
    view.base.rows = weight->base.rows;
    view.row_begin = weight->row_begin;
    view.group_rows = weight->group_rows;
    view.group_stride = weight->group_stride;
    return view;
}

static double scale_of(const adapter_claim *claim, uint64_t rank) {
    const double r = (double)rank;
    if (!(claim->alpha > 0.0)) {
        return NAN;
    }
    return claim->alpha / (claim->use_rslora ? sqrt(r) : r);
}

static weir_code add_item(resolve *work, const module_pair *pair, const tensor_view *weight,
                          size_t base_index, weir_error *err) {
    const char *const name = model_view(work->base, base_index)->base.name;
    const bool embedding = pair->name.is_embedding;
    const adapter_item item = {.name = arena_copy_text(&work->out->memory, name, strlen(name)),
                               .a = embedding ? turn(pair->b) : *pair->a,
                               .b = embedding ? turn(pair->a) : rows_for(pair->b, weight),
                               .rank = pair->rank,
                               .scale =
                                   scale_of(&model_checkpoint(work->from)->adapter, pair->rank)};
    void *items = work->out->items;
    if (!item.name || !checked_grow(&items, &work->out->capacity, work->out->count, sizeof item)) {
        return weir_fail_nomem(err);
    }
    work->out->items = items;
    work->out->items[work->out->count++] = item;
    return WEIR_OK;
}

static void view_list_release_cleanup(view_list *list) {
    free(list->items);
}

/* A head that is tied, or a module of another program's making, may be missing without any
 * contradiction. */
static void add_unresolved(adapter *out, const module_pair *pair, bool is_known) {
    out->unresolved++;
    if (is_known && out->misfits++ == 0) {
        out->first_misfit = pair->a->base.stored_name;
    }
}

static weir_code resolve_module(resolve *work, size_t a_index, weir_error *err) {
    module_pair pair;
    role_match match = {0};
    WEIR_CLEANUP(view_list_release) view_list parts = {0};
    if (!read_pair(&pair, work, a_index)) {
        add_unresolved(work->out, &pair, false);
        return WEIR_OK;
    }
    WEIR_TRY(split_weight(&parts, &match, work, &pair, err));
    bool all_found = parts.count > 0;
    for (size_t i = 0; i < parts.count; i++) {
        WEIR_CLEANUP(text_buffer_release) text_buffer text = {0};
        size_t index;
        layout_format_name(&text, &parts.items[i].base, match.pattern->part);
        if (text.failed) {
            return weir_fail_nomem(err);
        }
        const bool found = model_find(work->base, text.data, &index);
        const weir_tensor *const tensor = found ? &model_view(work->base, index)->base : NULL;
        if (!tensor || tensor->rows != parts.items[i].base.rows ||
            tensor->cols != parts.items[i].base.cols) {
            all_found = false;
            continue;
        }
        WEIR_TRY(add_item(work, &pair, &parts.items[i], index, err));
    }
    if (!all_found) {
        add_unresolved(work->out, &pair, parts.count > 0 && match.layer >= 0);
    }
    return WEIR_OK;
}

weir_code adapter_resolve(adapter *out, const weir_model *from, const weir_model *base,
                          weir_error *err) {
    WEIR_CLEANUP(resolve_release) resolve work = {.out = out, .from = from, .base = base};
    const role_family *const family = role_family_find(weir_model_architecture(base));
    if (family) {
        WEIR_TRY(role_index_build(&work.own, family, err));
    }
    WEIR_TRY(role_index_build(&work.merged, NULL, err));
    for (size_t i = 0; i < weir_model_tensor_count(from); i++) {
        const weir_role role = weir_model_tensor(from, i)->role;
        if (role == WEIR_ROLE_ADAPTER_A) {
            WEIR_TRY(resolve_module(&work, i, err));
        }
        out->other += role == WEIR_ROLE_ADAPTER_OTHER;
    }
    return WEIR_OK;
}

void adapter_release(adapter *list) {
    arena_release(&list->memory);
    free(list->items);
    *list = (adapter){0};
}
