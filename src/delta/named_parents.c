/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Other models that may have gone into the model: opened, judged, and paired with the rows of the
 * comparison by canonical name and shape. A parent that cannot say anything is left out with a
 * note; only exhausted memory and a wish to stop end the work.
 *
 * Whether two sides hold the same numbers is judged by some rows of every shared tensor, evenly
 * spaced, as float32. A parent that differs from the base in none of them would add nothing to a
 * fit, which reads no more. A copy stored in a coarser dtype is not the same numbers.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cancel.h"
#include "base/checked.h"
#include "base/fail.h"
#include "base/findings.h"
#include "base/text.h"
#include "delta/diff.h"
#include "kernel/convert.h"

enum { ROW_ELEMENTS_READ_MAX = 1 << 20, ROWS_JUDGED = 8 };

/* Two sides, row by row of the comparison. */
typedef struct twins {
    float *a;
    float *b;
    view_scratch scratch;
} twins;

static void twins_release_cleanup(twins *pair) {
    free(pair->a);
    free(pair->b);
    view_scratch_release(&pair->scratch);
}

static const char *last_component(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

static weir_code keep_printable(const char **out, weir_diff *diff, const char *text,
                                weir_error *err) {
    char printable[512];
    text_escape(printable, sizeof printable, text, strlen(text));
    return arena_keep_text(out, &diff->memory, printable, err);
}

static void close_parent(diff_parent *parent) {
    weir_model_free(parent->model);
    weir_findings_free(parent->findings);
    parent->model = NULL;
    parent->findings = NULL;
}

static weir_code leave_out(weir_diff *diff, diff_parent *parent, parent_state state,
                           const char *note, weir_error *err) {
    parent->state = state;
    close_parent(parent);
    return keep_printable(&parent->note, diff, note, err);
}

/* --- open --- */

static weir_code open_parent(weir_diff *diff, diff_parent *out, const char *path, const char *name,
                             const weir_diff_options *options, weir_error *err) {
    weir_error why = {0};
    const weir_model_options how = {.lenient = options->lenient, .name = name};
    *out = (diff_parent){.note = ""};
    WEIR_TRY(keep_printable(&out->name, diff,
                            name   ? name
                            : path ? last_component(path)
                                   : "?",
                            err));
    if (!path) {
        return leave_out(diff, out, PARENT_NOT_AT_HAND, "known, but its weights are not at hand",
                         err);
    }
    const weir_code code = model_open_weights(&out->model, &out->findings, path, &how, &why);
    if (code == WEIR_ERR_NOMEM || code == WEIR_ERR_CANCELLED) {
        *err = why;
        return code;
    }
    if (code != WEIR_OK) {
        char note[600];
        (void)snprintf(note, sizeof note, "cannot be read: %s%s%s", why.found,
                       why.expected[0] ? ", expected " : "", why.expected);
        return leave_out(diff, out, code == WEIR_ERR_IO ? PARENT_NOT_AT_HAND : PARENT_UNREADABLE,
                         note, err);
    }
    out->name = arena_copy_text(&diff->memory, weir_model_name(out->model),
                                strlen(weir_model_name(out->model)));
    out->state = diff_is_adapter(out->model) ? PARENT_ADAPTER : PARENT_USABLE;
    return out->name ? WEIR_OK : weir_fail_nomem(err);
}

/* --- pair --- */

/* The tensor that stands for `tensor` of the base: a tied head is the embedding. */
static ptrdiff_t find_view(const weir_model *parent, const weir_tensor *tensor) {
    size_t index;
    if (!model_find(parent, tensor->name, &index)) {
        const bool is_tied = strcmp(tensor->name, "head") == 0 && model_head_is_tied(parent);
        if (!is_tied || !model_find(parent, "embedding", &index)) {
            return VIEW_NONE;
        }
    }
    const weir_tensor *found = weir_model_tensor(parent, index);
    const bool fits = found->rows == tensor->rows && found->cols == tensor->cols;
    return fits && convert_can_read(found->dtype) ? (ptrdiff_t)index : VIEW_NONE;
}

static weir_code pair_parent(weir_diff *diff, diff_parent *parent, weir_error *err) {
    parent->views = arena_alloc(&diff->memory, diff->tensor_count + 1, sizeof *parent->views);
    if (!parent->views) {
        return weir_fail_nomem(err);
    }
    for (size_t i = 0; i < diff->tensor_count; i++) {
        const tensor_delta *row = &diff->tensors[i];
        const bool is_plain = row->state == TENSOR_COMPARED && !row->map;
        /* By the base's name: a layer of the model may be another one of the base. */
        parent->views[i] =
            is_plain
                ? find_view(parent->model, &model_view(diff->base, (size_t)row->base_index)->base)
                : VIEW_NONE;
        parent->paired += parent->views[i] != VIEW_NONE;
    }
    return WEIR_OK;
}

/* --- judge --- */

/* Whether some rows of two tensors of one shape hold the same bits. */
static weir_code are_rows_equal(bool *are_equal, twins *pair, const tensor_view *a,
                                const tensor_view *b, weir_error *err) {
    const size_t cols = (size_t)a->base.cols;
    const uint64_t rows = a->base.rows < ROWS_JUDGED ? a->base.rows : ROWS_JUDGED;
    *are_equal = true;
    for (uint64_t i = 0; i < rows && *are_equal && cols <= ROW_ELEMENTS_READ_MAX; i++) {
        const uint64_t row = i * (a->base.rows / rows);
        WEIR_TRY(tensor_view_read(a, row, 1, pair->a, &pair->scratch, err));
        WEIR_TRY(tensor_view_read(b, row, 1, pair->b, &pair->scratch, err));
        *are_equal = memcmp(pair->a, pair->b, cols * sizeof *pair->a) == 0;
    }
    return WEIR_OK;
}

typedef enum other_side { SIDE_BASE, SIDE_MODEL, SIDE_PARENT } other_side;

static const tensor_view *view_of(const weir_diff *diff, size_t row, other_side side,
                                  const diff_parent *parent) {
    switch (side) {
    case SIDE_BASE:
        return model_view(diff->base, (size_t)diff->tensors[row].base_index);
    case SIDE_MODEL:
        return model_view(diff->model, (size_t)diff->tensors[row].model_index);
    case SIDE_PARENT:
        return parent->views[row] == VIEW_NONE
                   ? NULL
                   : model_view(parent->model, (size_t)parent->views[row]);
    }
    return NULL;
}

/* Whether the rows of every tensor that both have are alike, and there is one. */
static weir_code is_same(bool *out, const weir_diff *diff, twins *pair, const diff_parent *parent,
                         other_side side, const diff_parent *other, weir_error *err) {
    size_t shared = 0;
    *out = true;
    for (size_t i = 0; i < diff->tensor_count && *out; i++) {
        const tensor_view *mine = view_of(diff, i, SIDE_PARENT, parent);
        const bool is_readable = mine && convert_can_read(mine->base.dtype);
        const tensor_view *theirs = is_readable ? view_of(diff, i, side, other) : NULL;
        if (theirs && convert_can_read(theirs->base.dtype)) {
            shared++;
            WEIR_TRY(are_rows_equal(out, pair, mine, theirs, err));
        }
    }
    *out = *out && shared > 0;
    return WEIR_OK;
}

static weir_code judge(weir_diff *diff, diff_parent *parent, twins *pair, weir_error *err) {
    bool same;
    if (diff_is_adapter(diff->model)) {
        return leave_out(diff, parent, PARENT_MISFIT, "the model is an adapter, not a merge", err);
    }
    if (parent->paired == 0) {
        return leave_out(diff, parent, PARENT_MISFIT,
                         "has no tensor of the name and shape of one of the model's", err);
    }
    WEIR_TRY(is_same(&same, diff, pair, parent, SIDE_BASE, NULL, err));
    if (same) {
        return leave_out(diff, parent, PARENT_IS_BASE, "holds the base's own numbers", err);
    }
    WEIR_TRY(is_same(&same, diff, pair, parent, SIDE_MODEL, NULL, err));
    if (same) {
        return leave_out(diff, parent, PARENT_IS_MODEL, "holds the model's own numbers", err);
    }
    for (const diff_parent *before = diff->parents; before < parent; before++) {
        if (before->state != PARENT_USABLE || before->paired != parent->paired) {
            continue;
        }
        WEIR_TRY(is_same(&same, diff, pair, parent, SIDE_PARENT, before, err));
        if (same) {
            char note[600];
            (void)snprintf(note, sizeof note, "holds the same numbers as %s", before->name);
            return leave_out(diff, parent, PARENT_REPEATED, note, err);
        }
    }
    return WEIR_OK;
}

weir_code diff_parents(weir_diff *diff, const weir_diff_options *options, weir_error *err) {
    if (options->parent_count == 0) {
        return WEIR_OK;
    }
    if (options->parent_count > WEIR_DIFF_PARENTS_MAX) {
        return weir_fail(err, WEIR_ERR_LIMIT, NULL, NULL, "at most 32 parents", "%zu",
                         options->parent_count);
    }
    WEIR_CLEANUP(twins_release)
    twins pair = {.a = checked_alloc(ROW_ELEMENTS_READ_MAX, 4),
                  .b = checked_alloc(ROW_ELEMENTS_READ_MAX, 4)};
    diff->parents = arena_alloc(&diff->memory, options->parent_count, sizeof *diff->parents);
    diff->adapters = arena_alloc(&diff->memory, options->parent_count, sizeof *diff->adapters);
    if (!pair.a || !pair.b || !diff->parents || !diff->adapters) {
        return weir_fail_nomem(err);
    }
    for (size_t i = 0; i < options->parent_count; i++) {
        if (is_cancelled(options->callbacks)) {
            return weir_fail(err, WEIR_ERR_CANCELLED, NULL, NULL, NULL, "cancelled");
        }
        diff_parent *const next = &diff->parents[diff->parent_count];
        const char *const name = options->parent_names ? options->parent_names[i] : NULL;
        const weir_code code = open_parent(diff, next, options->parents[i], name, options, err);
        diff->parent_count++; /* what it holds is freed with the diff, also on failure */
        WEIR_TRY(code);
        if (next->state == PARENT_ADAPTER) {
            diff->adapters[diff->adapter_count++] = *next;
            diff->parent_count--;
        } else if (next->state == PARENT_USABLE) {
            WEIR_TRY(pair_parent(diff, next, err));
            WEIR_TRY(judge(diff, next, &pair, err));
        }
    }
    return WEIR_OK;
}
