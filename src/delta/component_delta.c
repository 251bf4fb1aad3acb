/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Safety checkers, guards and watermarks. What a base never had is no finding: only parts whose
 * tensors or folder the base holds are looked for in the model. A part is known by the words of its
 * name, because no role tells it; so the grade is strong and never proved.
 *
 *   removed  the base has tensors of the part, the model has none of them
 *   nulled   every tensor of the part whose numbers vary in the base is one value throughout in the
 *            model: such a part gives the same answer to everything
 *
 * A pipeline of diffusers names its parts in model_index.json, each with a folder of its own;
 * setting_delta.c compares what is named, here the folder must be there.
 */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "delta/file_delta.h"

enum {
    NAME_BYTES = 192,
    WORD_BYTES = 24,
    PARTS_MAX = 64,
    ROW_ELEMENTS_MAX = 1 << 20, /* longer rows are not looked at */
};

static bool is_watermark_word(const char *word) {
    static const char start[] = "watermark";
    return strncmp(word, start, sizeof start - 1) == 0;
}

static bool is_safety_word(const char *word) {
    static const char *const words[] = {"safety",     "guard",     "guardrail", "guardrails",
                                        "moderation", "moderator", "nsfw"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(word, words[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* The end of the dotted part of `name` whose words tell a component; 0 when none does. */
static size_t find_component(file_kind *out, const char *name) {
    char word[WORD_BYTES];
    size_t len = 0;
    for (size_t i = 0;; i++) {
        const unsigned char byte = (unsigned char)name[i];
        if (isalpha(byte)) {
            word[len] = (char)tolower(byte);
            len += len < sizeof word - 1;
            continue;
        }
        word[len] = '\0';
        const bool is_safety = is_safety_word(word);
        if (is_safety || is_watermark_word(word)) {
            *out = is_safety ? FILE_KIND_SAFETY_COMPONENT : FILE_KIND_WATERMARK_COMPONENT;
            return i + strcspn(name + i, ".");
        }
        if (byte == '\0') {
            return 0;
        }
        len = 0;
    }
}

bool component_is_named(file_kind *out, const char *name) {
    return find_component(out, name) > 0;
}

bool component_is_off(const char *value) {
    static const char *const off[] = {"false", "[]", "{}"};
    for (size_t i = 0; value && i < sizeof off / sizeof *off; i++) {
        if (strcmp(value, off[i]) == 0) {
            return true;
        }
    }
    /* A list of nothing, as [null, null] is claimed. */
    while (value && *value) {
        const size_t len = strcspn(value, ",");
        const size_t blanks = strspn(value, " ");
        if (len > blanks && (len - blanks != 4 || memcmp(value + blanks, "null", 4) != 0)) {
            return false;
        }
        value += len + (value[len] == ',');
    }
    return true;
}

/* ---- tensors ---- */

/* One part, by the beginning of its tensors' names. */
typedef struct part_tally {
    char name[NAME_BYTES];
    file_kind kind;
    const char *file;
    size_t of_base;  /* tensors that the base has */
    size_t removed;  /* and the model has not */
    size_t telling;  /* tensors on both sides whose numbers vary in the base */
    size_t constant; /* of those, one value throughout in the model */
} part_tally;

typedef struct part_list {
    part_tally items[PARTS_MAX];
    size_t count;
} part_list;

/* The part that a tensor belongs to; NULL for none, and past PARTS_MAX parts. */
static part_tally *find_part(part_list *parts, const weir_tensor *tensor, const char *file) {
    file_kind kind;
    const size_t len = find_component(&kind, tensor->name);
    if (len == 0 || len >= NAME_BYTES) {
        return NULL;
    }
    for (size_t i = 0; i < parts->count; i++) {
        if (strlen(parts->items[i].name) == len &&
            memcmp(parts->items[i].name, tensor->name, len) == 0) {
            return &parts->items[i];
        }
    }
    if (parts->count == PARTS_MAX) {
        return NULL;
    }
    part_tally *part = &parts->items[parts->count++];
    *part = (part_tally){.kind = kind, .file = file};
    memcpy(part->name, tensor->name, len);
    return part;
}

/* Whether all numbers of a tensor are one value; reads until one is not. */
static weir_code check_constant(bool *is_constant, const tensor_view *view, weir_error *err) {
    *is_constant = false;
    const uint64_t cols = view->base.cols;
    if (cols == 0 || cols > ROW_ELEMENTS_MAX) {
        return WEIR_OK;
    }
    WEIR_CLEANUP(free) float *row = checked_alloc((size_t)cols, sizeof *row);
    WEIR_CLEANUP(view_scratch_release) view_scratch scratch = {0};
    if (!row) {
        return weir_fail_nomem(err);
    }
    float first = 0;
    for (uint64_t r = 0; r < view->base.rows; r++) {
        WEIR_TRY(tensor_view_read(view, r, 1, row, &scratch, err));
        first = r == 0 ? row[0] : first;
        for (uint64_t c = 0; c < cols; c++) {
            /* All of them NaN is one value too. */
            if (row[c] != first && !(isnan(row[c]) && isnan(first))) {
                return WEIR_OK;
            }
        }
    }
    *is_constant = view->base.rows > 0;
    return WEIR_OK;
}

static weir_code count_row(part_list *parts, const weir_diff *diff, const tensor_delta *row,
                           weir_error *err) {
    if (row->base_index == VIEW_NONE) {
        return WEIR_OK;
    }
    const tensor_view *view = model_view(diff->base, (size_t)row->base_index);
    part_tally *part =
        find_part(parts, &view->base, model_checkpoint(diff->base)->files[view->stored->file].path);
    if (!part) {
        return WEIR_OK;
    }
    part->of_base++;
    part->removed += row->state == TENSOR_REMOVED;
    if (row->state == TENSOR_COMPARED && row->is_varied) {
        bool is_constant = false;
        if (row->change != WEIR_CHANGE_IDENTICAL) {
            WEIR_TRY(check_constant(&is_constant, model_view(diff->model, (size_t)row->model_index),
                                    err));
        }
        part->telling++;
        part->constant += is_constant;
    }
    return WEIR_OK;
}

static weir_code add_row(weir_diff *diff, const part_tally *part, const char *what, const char *was,
                         const char *is, weir_error *err) {
    const file_delta row = {.change = WEIR_CHANGE_CONFIG,
                            .kind = part->kind,
                            .grade = WEIR_GRADE_STRONG,
                            .what = what,
                            .base = was,
                            .model = is,
                            .file = part->file};
    return file_delta_add(diff, &row, err);
}

static weir_code report_part(weir_diff *diff, const part_tally *part, weir_error *err) {
    char what[NAME_BYTES + 96];
    if (part->removed > 0) {
        (void)snprintf(what, sizeof what, "%s is %sremoved: %zu of its %zu tensors are gone",
                       part->name, part->removed == part->of_base ? "" : "partly ", part->removed,
                       part->of_base);
        WEIR_TRY(add_row(diff, part, what, "present", "", err));
    }
    if (part->constant > 0) {
        (void)snprintf(what, sizeof what,
                       "%s is %snulled: %zu of its %zu tensors hold one value throughout",
                       part->name, part->constant == part->telling ? "" : "partly ", part->constant,
                       part->telling);
        WEIR_TRY(add_row(diff, part, what, "varied numbers", "one value", err));
    }
    return WEIR_OK;
}

static weir_code compare_tensors(weir_diff *diff, weir_error *err) {
    WEIR_CLEANUP(free) part_list *parts = calloc(1, sizeof *parts);
    if (!parts) {
        return weir_fail_nomem(err);
    }
    for (size_t i = 0; i < diff->tensor_count; i++) {
        WEIR_TRY(count_row(parts, diff, &diff->tensors[i], err));
    }
    for (size_t i = 0; i < parts->count; i++) {
        WEIR_TRY(report_part(diff, &parts->items[i], err));
    }
    return WEIR_OK;
}

/* ---- folders of a pipeline ---- */

static bool has_folder(const checkpoint *files, const char *name) {
    const size_t len = strlen(name);
    for (size_t i = 0; i < files->file_count; i++) {
        if (strncmp(files->files[i].path, name, len) == 0 && files->files[i].path[len] == '/') {
            return true;
        }
    }
    return false;
}

static const char index_prefix[] = "model_index.";

/* The part that an entry of the base's index names, when it is a safety check or a watermark. */
static const char *find_entry(file_kind *kind, const weir_claim *entry) {
    if (strncmp(entry->name, index_prefix, sizeof index_prefix - 1) != 0) {
        return NULL;
    }
    const char *part = entry->name + sizeof index_prefix - 1;
    const bool is_part = !strchr(part, '.') && component_is_named(kind, part);
    return is_part && !component_is_off(entry->value) ? part : NULL;
}

/* A part that both indexes name, and whose folder only the base has. */
static weir_code compare_folder(const file_pair *pair, const weir_claim *entry, file_kind kind,
                                weir_error *err) {
    const char *part = entry->name + sizeof index_prefix - 1;
    if (component_is_off(claims_find(&pair->model.files->claims, entry->name)) ||
        !has_folder(pair->base.files, part) || has_folder(pair->model.files, part)) {
        return WEIR_OK;
    }
    char what[NAME_BYTES];
    (void)snprintf(what, sizeof what, "model_index.json names %.64s, and its folder is missing",
                   part);
    const file_delta row = {.change = WEIR_CHANGE_CONFIG,
                            .kind = kind,
                            .grade = WEIR_GRADE_PROVED,
                            .what = what,
                            .base = "present",
                            .model = "",
                            .file = part};
    return file_delta_add(pair->diff, &row, err);
}

weir_code compare_components(const file_pair *pair, weir_error *err) {
    WEIR_TRY(compare_tensors(pair->diff, err));
    if (file_side_is_broken(&pair->base, "model_index") ||
        file_side_is_broken(&pair->model, "model_index")) {
        return WEIR_OK;
    }
    const claims *list = &pair->base.files->claims;
    size_t parts = 0;
    for (size_t i = 0; i < list->count && parts < PARTS_MAX; i++) {
        file_kind kind;
        if (find_entry(&kind, &list->items[i])) {
            parts++;
            WEIR_TRY(compare_folder(pair, &list->items[i], kind, err));
        }
    }
    return WEIR_OK;
}
