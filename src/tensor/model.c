/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file model.c  The tensors of a checkpoint under canonical names.
 *
 * Each stored tensor, or each group of them that is one packed weight, is looked up in the role
 * table and split into views. Names are unique in the
 * end: of two stored tensors that would be the same canonical one the first keeps the name, the
 * other stays whole under its stored name, which is a finding; and where even stored names meet (in
 * two files of a folder) the later one gets "#" and its index.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/checked.h"
#include "base/fail.h"
#include "base/findings.h"
#include "base/limits.h"
#include "base/text.h"
#include "tensor/adapter.h"
#include "tensor/layout.h"
#include "tensor/model.h"
#include "tensor/packed_views.h"
#include "tensor/role_table.h"

enum { NAME_SHOWN_BYTES_MAX = 256 };

struct weir_model {
    checkpoint *from;
    void (*release)(checkpoint *);
    arena memory; /* names */
    const char *name;
    view_list views; /* sorted by layer, role, name */
    size_t *by_name; /* indexes of views */
    bool has_known_roles;
    bool head_is_tied;
};

/* How often something happened, and where first. */
typedef struct tally {
    uint64_t count;
    const stored_tensor *first;
} tally;

/* What a stored tensor is, besides what its name says. */
typedef struct stored_state {
    const packed_tensor *packed; /* of which it is the codes; NULL for other tensors */
    bool is_refused;             /* codes that cannot be read */
    bool is_demoted;             /* its canonical names were taken */
    bool is_absorbed;            /* part of a packed weight that has views */
} stored_state;

/* What is needed only while a model is built. */
typedef struct build {
    weir_model *model;
    role_index own; /* of the architecture's family; empty when it is not known */
    role_index merged;
    const stored_tensor **by_name; /* sorted */
    stored_state *states;          /* by index of the stored tensor */
    tally taken;
    tally misfit;
    tally codes;
    tally contradicted;
    const char *codes_why; /* of the first */
    bool all_known;
} build;

static void build_release_cleanup(build *work) {
    role_index_release(&work->own);
    role_index_release(&work->merged);
    free(work->states);
    free(work->by_name);
}

static void count_in(tally *counts, const stored_tensor *stored) {
    counts->first = counts->count == 0 ? stored : counts->first;
    counts->count++;
}

static size_t stored_index_of(const build *work, const stored_tensor *stored) {
    return (size_t)(stored - work->model->from->tensors.items);
}

/* --- names --- */

static bool keeps_stored_name(weir_role role) {
    return role == WEIR_ROLE_UNKNOWN || role == WEIR_ROLE_ADAPTER_A ||
           role == WEIR_ROLE_ADAPTER_B || role == WEIR_ROLE_ADAPTER_OTHER;
}

static weir_code keep_text(const char **out, arena *memory, const text_buffer *text,
                           weir_error *err) {
    const char *const kept = text->failed ? NULL : arena_copy_text(memory, text->data, text->len);
    if (!kept) {
        return weir_fail_nomem(err);
    }
    *out = kept;
    return WEIR_OK;
}

/* "layers.3.experts.7.up.bias" for the views from `begin` on; `part` is the pattern's. */
static weir_code name_views(build *work, size_t begin, const char *part, weir_error *err) {
    view_list *const views = &work->model->views;
    for (size_t i = begin; i < views->count; i++) {
        WEIR_CLEANUP(text_buffer_release) text_buffer text = {0};
        weir_tensor *const tensor = &views->items[i].base;
        if (keeps_stored_name(tensor->role)) {
            tensor->name = tensor->stored_name;
            continue;
        }
        layout_format_name(&text, tensor, part);
        WEIR_TRY(keep_text(&tensor->name, &work->model->memory, &text, err));
    }
    return WEIR_OK;
}

/* --- views --- */

/* Of equal names, in the order of the table. */
static int compare_stored(const void *left, const void *right) {
    const stored_tensor *const a = *(const stored_tensor *const *)left;
    const stored_tensor *const b = *(const stored_tensor *const *)right;
    const int order = strcmp(a->name, b->name);
    return order ? order : (a > b) - (a < b);
}

static int compare_to_stored(const void *name, const void *stored) {
    return strcmp(name, (*(const stored_tensor *const *)stored)->name);
}

static weir_code sort_stored(build *work, weir_error *err) {
    const tensor_table *const table = &work->model->from->tensors;
    work->by_name = checked_alloc(table->count, sizeof *work->by_name);
    work->states = calloc(table->count + 1, sizeof *work->states);
    if (!work->by_name || !work->states) {
        return weir_fail_nomem(err);
    }
    for (size_t i = 0; i < table->count; i++) {
        work->by_name[i] = &table->items[i];
    }
    qsort(work->by_name, table->count, sizeof *work->by_name, compare_stored);
    return WEIR_OK;
}

static bool stored_name_exists(const void *context, const char *name) {
    const build *const work = context;
    return bsearch(name, work->by_name, work->model->from->tensors.count, sizeof *work->by_name,
                   compare_to_stored) != NULL;
}

/* One that could not be looked at, for a disk that fails, stays what it is stored as. */
static weir_code look_for_packed(build *work, const packed_search *in, size_t index,
                                 const char **why, weir_findings *findings, weir_error *err) {
    weir_error failure = {0};
    const weir_code code = packed_find(&work->states[index].packed, why, in,
                                       &in->from->tensors.items[index], &failure);
    if (code == WEIR_ERR_IO) {
        findings_add_error(findings, "file-unreadable", &failure);
        *why = "tables that cannot be read";
        return WEIR_OK;
    }
    if (code != WEIR_OK && err) {
        *err = failure;
    }
    return code;
}

static weir_code find_packed(build *work, weir_findings *findings, weir_error *err) {
    const checkpoint *const from = work->model->from;
    const packed_search in = {
        .from = from, .by_name = work->by_name, .memory = &work->model->memory};
    for (size_t i = 0; i < from->tensors.count; i++) {
        const stored_tensor *const stored = &from->tensors.items[i];
        const char *why;
        WEIR_TRY(look_for_packed(work, &in, i, &why, findings, err));
        if (why) {
            work->codes_why = work->codes.count == 0 ? why : work->codes_why;
            work->states[i].is_refused = true;
            count_in(&work->codes, stored);
        } else if (work->states[i].packed &&
                   packed_contradicts(work->states[i].packed, &from->claims)) {
            count_in(&work->contradicted, stored);
        }
    }
    return WEIR_OK;
}

static bool find_role(build *work, role_match *out, const char *stored_name) {
    if (work->own.count > 0 &&
        role_index_find(&work->own, out, stored_name, stored_name_exists, work)) {
        return true;
    }
    work->all_known = false;
    return role_index_find(&work->merged, out, stored_name, stored_name_exists, work);
}

static weir_code add_whole(build *work, const stored_tensor *stored, weir_role role,
                           weir_error *err) {
    view_list *const views = &work->model->views;
    const size_t begin = views->count;
    WEIR_TRY(layout_whole(views, stored, err));
    views->items[begin].base.role = role;
    work->all_known = work->all_known && role != WEIR_ROLE_UNKNOWN;
    return name_views(work, begin, NULL, err);
}

static weir_code add_stored(build *work, const stored_tensor *stored, weir_error *err) {
    view_list *const views = &work->model->views;
    const size_t begin = views->count;
    const stored_state *const state = &work->states[stored_index_of(work, stored)];
    adapter_name parsed = {.role = WEIR_ROLE_UNKNOWN};
    role_match match;
    if (adapter_name_parse(&parsed, stored->name) || state->is_demoted || state->is_refused ||
        state->packed || !find_role(work, &match, stored->name)) {
        return add_whole(work, stored, parsed.role, err);
    }
    bool fits = false;
    WEIR_TRY(layout_split(views, &fits, stored, &match, &work->model->from->shape, err));
    if (!fits) {
        count_in(&work->misfit, stored);
        return add_whole(work, stored, WEIR_ROLE_UNKNOWN, err);
    }
    return name_views(work, begin, match.pattern->part, err);
}

/* The views of a packed weight whose role is known; its stored tensors have none of their own then.
 */
static weir_code add_packed(build *work, const stored_tensor *stored, weir_error *err) {
    const stored_state *const state = &work->states[stored_index_of(work, stored)];
    view_list *const views = &work->model->views;
    const size_t begin = views->count;
    role_match match;
    if (!state->packed || state->is_demoted || !find_role(work, &match, state->packed->name)) {
        return WEIR_OK;
    }
    bool fits = false;
    WEIR_TRY(packed_split(views, &fits, state->packed, &match, &work->model->from->shape, err));
    if (!fits) {
        count_in(&work->misfit, stored);
        return WEIR_OK;
    }
    for (size_t i = 0; i < state->packed->member_count; i++) {
        work->states[stored_index_of(work, state->packed->members[i])].is_absorbed = true;
    }
    return name_views(work, begin, match.pattern->part, err);
}

static weir_code add_all(build *work, weir_error *err) {
    const checkpoint *const from = work->model->from;
    view_list *const views = &work->model->views;
    views->count = 0;
    work->all_known = true;
    work->misfit = (tally){0};
    for (size_t i = 0; i < from->tensors.count; i++) {
        work->states[i].is_absorbed = false;
    }
    for (size_t i = 0; i < from->tensors.count; i++) {
        WEIR_TRY(add_packed(work, &from->tensors.items[i], err));
    }
    for (size_t i = 0; i < from->tensors.count; i++) {
        if (!work->states[i].is_absorbed) {
            WEIR_TRY(add_stored(work, &from->tensors.items[i], err));
        }
    }
    for (size_t i = 0; i < views->count; i++) {
        const uint32_t file = views->items[i].stored->file;
        views->items[i].source = file < from->file_count ? from->files[file].source : NULL;
    }
    return WEIR_OK;
}

/* --- unique names --- */

/* By name; of equal names the canonical ones first, then as stored. */
static int compare_names(const void *left, const void *right) {
    const tensor_view *a = *(const tensor_view *const *)left;
    const tensor_view *b = *(const tensor_view *const *)right;
    const int order = strcmp(a->base.name, b->base.name);
    if (order != 0) {
        return order;
    }
    const int kept = keeps_stored_name(a->base.role) - keeps_stored_name(b->base.role);
    return kept ? kept : (a->stored > b->stored) - (a->stored < b->stored);
}

/* Pointers to all views, sorted by compare_names, in place of *out; release with free(). */
static weir_code sort_names(tensor_view ***out, const view_list *views, weir_error *err) {
    tensor_view **const sorted = checked_alloc(views->count, sizeof *sorted);
    if (!sorted) {
        return weir_fail_nomem(err);
    }
    free(*out);
    for (size_t i = 0; i < views->count; i++) {
        sorted[i] = &views->items[i];
    }
    qsort(sorted, views->count, sizeof *sorted, compare_names);
    *out = sorted;
    return WEIR_OK;
}

/* Of stored tensors that share a canonical name, all but the first lose it. */
static void mark_taken(build *work, tensor_view *const *sorted) {
    for (size_t i = 1; i < work->model->views.count; i++) {
        const weir_tensor *const tensor = &sorted[i]->base;
        const size_t index = stored_index_of(work, sorted[i]->stored);
        if (!keeps_stored_name(tensor->role) && !work->states[index].is_demoted &&
            strcmp(tensor->name, sorted[i - 1]->base.name) == 0) {
            work->states[index].is_demoted = true;
            count_in(&work->taken, sorted[i]->stored);
        }
    }
}

/* Put "#" and the index of the stored tensor behind every name that is not the first of its kind.
 */
static weir_code rename_equal(build *work, bool *found, tensor_view *const *sorted,
                              weir_error *err) {
    *found = false;
    const char *previous = NULL;
    for (size_t i = 0; i < work->model->views.count; i++) {
        WEIR_CLEANUP(text_buffer_release) text_buffer text = {0};
        weir_tensor *const tensor = &sorted[i]->base;
        if (!previous || strcmp(previous, tensor->name) != 0) {
            previous = tensor->name;
            continue;
        }
        text_buffer_format(&text, "%s#%zu", tensor->name, stored_index_of(work, sorted[i]->stored));
        WEIR_TRY(keep_text(&tensor->name, &work->model->memory, &text, err));
        *found = true;
    }
    return WEIR_OK;
}

enum { RENAME_ROUNDS_MAX = 8 }; /* a file can be made to need any number; no honest one needs two */

static weir_code make_unique(build *work, weir_error *err) {
    const view_list *const views = &work->model->views;
    WEIR_CLEANUP(free) tensor_view **sorted = NULL;
    WEIR_TRY(sort_names(&sorted, views, err));
    mark_taken(work, sorted);
    if (work->taken.count > 0) {
        WEIR_TRY(add_all(work, err));
        WEIR_TRY(sort_names(&sorted, views, err));
    }
    bool found;
    WEIR_TRY(rename_equal(work, &found, sorted, err));
    for (int round = 0; found; round++) {
        if (round == RENAME_ROUNDS_MAX) {
            return weir_fail(err, WEIR_ERR_LIMIT, NULL, NULL, "tensor names that differ",
                             "names made to collide");
        }
        WEIR_TRY(sort_names(&sorted, views, err));
        WEIR_TRY(rename_equal(work, &found, sorted, err));
    }
    return WEIR_OK;
}

/* --- the model --- */

static int compare_views(const void *left, const void *right) {
    const weir_tensor *const a = &((const tensor_view *)left)->base;
    const weir_tensor *const b = &((const tensor_view *)right)->base;
    if (a->layer != b->layer) {
        return a->layer < b->layer ? -1 : 1;
    }
    if (a->role != b->role) {
        return a->role < b->role ? -1 : 1;
    }
    return strcmp(a->name, b->name);
}

static weir_code index_names(weir_model *model, weir_error *err) {
    WEIR_CLEANUP(free) tensor_view **sorted = NULL;
    WEIR_TRY(sort_names(&sorted, &model->views, err));
    model->by_name = checked_alloc(model->views.count, sizeof *model->by_name);
    if (!model->by_name) {
        return weir_fail_nomem(err);
    }
    for (size_t i = 0; i < model->views.count; i++) {
        model->by_name[i] = (size_t)(sorted[i] - model->views.items);
    }
    return WEIR_OK;
}

/* `where` keeps the place's text for as long as the finding is needed. */
static weir_finding finding_of(const checkpoint *from, const tally *counts, const char *id,
                               place *where) {
    const uint32_t file = counts->first->file;
    *where = at_tensor(counts->first->name);
    return (weir_finding){.id = id,
                          .severity = WEIR_SEVERITY_LOW,
                          .verdict = WEIR_VERDICT_CLEAN,
                          .file = file < from->file_count ? from->files[file].path : NULL,
                          .at = where->text};
}

static void report_tally(weir_findings *findings, const checkpoint *from, const tally *counts,
                         const char *id, const char *what) {
    if (counts->count == 0) {
        return;
    }
    place where;
    const weir_finding finding = finding_of(from, counts, id, &where);
    findings_add(findings, &finding, "%" PRIu64 " %s, this one first; compared by stored name",
                 counts->count, what);
}

static void report_packed(weir_findings *findings, const build *work) {
    const checkpoint *const from = work->model->from;
    place where;
    if (work->codes.count > 0) {
        const weir_finding finding =
            finding_of(from, &work->codes, "tensor-scaled-elsewhere", &where);
        findings_add(findings, &finding,
                     "%" PRIu64 " tensors hold codes that cannot be read as numbers, this one "
                     "first (%s); compared by stored name",
                     work->codes.count, work->codes_why);
    }
    if (work->contradicted.count > 0) {
        const weir_finding finding =
            finding_of(from, &work->contradicted, "quantization-config-differs", &where);
        findings_add(findings, &finding,
                     "%" PRIu64 " packed tensors have other bits or another group size than the "
                     "configuration says, this one first; the shapes are believed",
                     work->contradicted.count);
    }
}

/* llama.cpp uses the embedding wherever a file has no output tensor. */
static bool head_is_tied(const weir_model *model, const role_family *family) {
    bool has_embedding = false;
    for (size_t i = 0; i < model->views.count; i++) {
        const weir_role role = model->views.items[i].base.role;
        if (role == WEIR_ROLE_HEAD) {
            return false;
        }
        has_embedding = has_embedding || role == WEIR_ROLE_EMBEDDING;
    }
    const checkpoint *const from = model->from;
    return has_embedding &&
           (from->shape.tied_head == TIED_YES || strcmp(from->format, "gguf") == 0 ||
            (from->shape.tied_head == TIED_UNKNOWN && family && family->tied_by_default));
}

static weir_code build_model(weir_model *model, weir_findings *findings, weir_error *err) {
    WEIR_CLEANUP(build_release) build work = {.model = model};
    const checkpoint *const from = model->from;
    const role_family *const family = role_family_find(from->shape.architecture);
    if (family) {
        WEIR_TRY(role_index_build(&work.own, family, err));
    }
    WEIR_TRY(role_index_build(&work.merged, NULL, err));
    WEIR_TRY(sort_stored(&work, err));
    WEIR_TRY(find_packed(&work, findings, err));
    WEIR_TRY(add_all(&work, err));
    WEIR_TRY(make_unique(&work, err));
    if (model->views.count > 0) {
        qsort(model->views.items, model->views.count, sizeof *model->views.items, compare_views);
    }
    WEIR_TRY(index_names(model, err));
    report_tally(findings, from, &work.taken, "tensor-role-taken",
                 "tensors have a role that another tensor has already");
    report_tally(findings, from, &work.misfit, "tensor-layout-unknown",
                 "tensors have a shape that does not fit their role");
    report_packed(findings, &work);
    model->has_known_roles = family && work.all_known;
    model->head_is_tied = head_is_tied(model, family);
    return WEIR_OK;
}

weir_code model_from_checkpoint(weir_model **out, checkpoint *taken, void (*release)(checkpoint *),
                                const weir_model_options *options, weir_findings *findings,
                                weir_error *err) {
    WEIR_CLEANUP(weir_model_free) weir_model *model = calloc(1, sizeof *model);
    if (!model) {
        if (release) {
            release(taken);
        }
        return weir_fail_nomem(err);
    }
    model->from = taken;
    model->release = release;
    const char *const name = options && options->name ? options->name : taken->name;
    char shown[NAME_SHOWN_BYTES_MAX];
    text_escape(shown, sizeof shown, name ? name : "", name ? strlen(name) : 0);
    model->name = arena_copy_text(&model->memory, shown, strlen(shown));
    if (!model->name) {
        return weir_fail_nomem(err);
    }
    WEIR_TRY(build_model(model, findings, err));
    *out = WEIR_TAKE(model);
    return WEIR_OK;
}

void weir_model_free(weir_model *model) {
    if (!model) {
        return;
    }
    if (model->release) {
        model->release(model->from);
    }
    arena_release(&model->memory);
    free(model->views.items);
    free(model->by_name);
    free(model);
}

/* --- what a model says --- */

const char *weir_model_name(const weir_model *model) {
    return model->name;
}

const char *weir_model_format(const weir_model *model) {
    return model->from->format;
}

const char *weir_model_architecture(const weir_model *model) {
    return model->from->shape.architecture;
}

bool weir_model_has_known_roles(const weir_model *model) {
    return model->has_known_roles;
}

size_t weir_model_tensor_count(const weir_model *model) {
    return model->views.count;
}

const weir_tensor *weir_model_tensor(const weir_model *model, size_t index) {
    return index < model->views.count ? &model->views.items[index].base : NULL;
}

size_t weir_model_claim_count(const weir_model *model) {
    return model->from->claims.count;
}

const weir_claim *weir_model_claim(const weir_model *model, size_t index) {
    return index < model->from->claims.count ? &model->from->claims.items[index] : NULL;
}

weir_code weir_model_read_rows(const weir_model *model, size_t tensor_index, uint64_t row_begin,
                               uint64_t row_count, float *out, weir_error *err) {
    if (tensor_index >= model->views.count) {
        return weir_fail(err, WEIR_ERR_ARG, NULL, NULL, "an index below the tensor count", "%zu",
                         tensor_index);
    }
    WEIR_CLEANUP(view_scratch_release) view_scratch scratch = {0};
    return tensor_view_read(&model->views.items[tensor_index], row_begin, row_count, out, &scratch,
                            err);
}

weir_code model_count_parameters(const weir_model *model, uint64_t *by_dtype, weir_error *err) {
    const tensor_table *const table = &model->from->tensors;
    WEIR_CLEANUP(free) bool *is_part = calloc(table->count + 1, sizeof *is_part);
    if (!is_part) {
        return weir_fail_nomem(err);
    }
    memset(by_dtype, 0, WEIR_DTYPE_COUNT * sizeof *by_dtype);
    for (size_t i = 0; i < model->views.count; i++) {
        const tensor_view *const view = &model->views.items[i];
        for (size_t k = 0; view->packed && k < view->packed->member_count; k++) {
            is_part[view->packed->members[k] - table->items] = true;
        }
        by_dtype[view->base.dtype] += view->packed ? view->base.rows * view->base.cols : 0;
    }
    for (size_t i = 0; i < table->count; i++) {
        uint64_t elements = 0;
        (void)tensor_table_elements(&elements, table->items[i].dims, table->items[i].rank);
        by_dtype[table->items[i].dtype] += is_part[i] ? 0 : elements;
    }
    return WEIR_OK;
}

const checkpoint *model_checkpoint(const weir_model *model) {
    return model->from;
}

const tensor_view *model_view(const weir_model *model, size_t index) {
    return &model->views.items[index];
}

bool model_find(const weir_model *model, const char *name, size_t *index) {
    size_t begin = 0;
    size_t end = model->views.count;
    while (begin < end) {
        const size_t middle = begin + (end - begin) / 2;
        const int order = strcmp(model->views.items[model->by_name[middle]].base.name, name);
        if (order == 0) {
            *index = model->by_name[middle];
            return true;
        }
        if (order < 0) {
            begin = middle + 1;
        } else {
            end = middle;
        }
    }
    return false;
}

bool model_head_is_tied(const weir_model *model) {
    return model->head_is_tied;
}
