/* SPDX-License-Identifier: Apache-2.0 */
#include "evidence/fact.h"

#include <math.h>
#include <string.h>

#include "delta/ablation.h"
#include "delta/diff.h"
#include "evidence/inspection.h"
#include "evidence/result_json.h"
#include "sketch/trace.h"

static const fact_word words[FACT_COUNT] = {
#define FACT_ROW(id, name, type, unit, producer, meaning)                                          \
    [FACT_##id] = {name, FACT_TYPE_##type, unit, producer, meaning},
    FACT_VOCABULARY(FACT_ROW)
#undef FACT_ROW
};

const fact_word *fact_word_get(fact_id id) {
    return &words[id];
}

static void set_text(fact *out, weir_grade grade, const char *text, const char *source) {
    if (text) {
        *out = (fact){.grade = grade, .text = text, .source = source};
    }
}

static void set_number(fact *out, weir_grade grade, double number, const char *source) {
    if (isfinite(number)) {
        *out = (fact){.grade = grade, .number = number, .source = source};
    }
}

static void set_truth(fact *out, weir_grade grade, bool truth, const char *source) {
    *out = (fact){.grade = grade, .truth = truth, .source = source};
}

/* The first of several claim names that the model makes, or NULL. */
static const weir_claim *find_claim(const weir_model *model, const char *const *names,
                                    size_t count) {
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < weir_model_claim_count(model); j++) {
            const weir_claim *claim = weir_model_claim(model, j);
            if (strcmp(claim->name, names[i]) == 0 && claim->value[0]) {
                return claim;
            }
        }
    }
    return NULL;
}

const weir_claim *claimed_base(const weir_model *model) {
    static const char *const names[] = {"card.base_model", "adapter.base_model_name_or_path",
                                        "merge.base_model", "gguf.general.base_model.0.name"};
    return find_claim(model, names, sizeof names / sizeof *names);
}

static void set_claim(fact *out, const weir_claim *claim) {
    if (claim) {
        set_text(out, WEIR_GRADE_CLAIMED, claim->value, claim->file);
    }
}

static void gather_inspection(fact_table *out, const weir_inspection *inspection) {
    static const char *const license_names[] = {"card.license", "gguf.general.license"};
    const weir_model *model = inspection->model;
    const checkpoint *files = model_checkpoint(model);
    set_text(&out->items[FACT_FILES_VERDICT], WEIR_GRADE_STRONG,
             weir_verdict_name(inspection->verdict), "files");
    if (files->tensors.count > 0) {
        set_number(&out->items[FACT_MODEL_PARAMETERS], WEIR_GRADE_PROVED,
                   (double)inspection->parameters, "tensor headers");
    }
    set_text(&out->items[FACT_MODEL_ARCHITECTURE], WEIR_GRADE_CLAIMED,
             weir_model_architecture(model), "config or metadata");
    set_claim(&out->items[FACT_CLAIM_BASE_MODEL], claimed_base(model));
    set_claim(&out->items[FACT_CLAIM_LICENSE],
              find_claim(model, license_names, sizeof license_names / sizeof *license_names));
    fact *code = &out->items[FACT_CODE_CUSTOM];
    if (files->is_folder) {
        *code =
            (fact){.grade = WEIR_GRADE_STRONG, .document = DOCUMENT_NOT_FOUND, .source = "folder"};
        for (size_t i = 0; i < files->file_count; i++) {
            if (strcmp(files->files[i].format, "python") == 0) {
                code->document = DOCUMENT_PRESENT;
                code->source = files->files[i].path;
            }
        }
    }
}

static bool has_file_delta(const weir_diff *diff, weir_change_class change) {
    for (size_t i = 0; i < diff->file_count; i++) {
        if (diff->files[i].change == change) {
            return true;
        }
    }
    return false;
}

static bool has_file_kind(const weir_diff *diff, file_kind kind) {
    for (size_t i = 0; i < diff->file_count; i++) {
        if (diff->files[i].kind == kind) {
            return true;
        }
    }
    return false;
}

/* What was done to the weights. That nothing was projected out is known only where it was looked
 * for; that a component is gone, only where it is. */
static void gather_changes(fact_table *out, const weir_diff *diff) {
    static const char source[] = "comparison with the base";
    if (diff->classes && diff->classes[0]) {
        set_text(&out->items[FACT_WEIGHTS_CHANGES], diff->classes_grade, diff->classes, source);
    }
    const ablation_verdict *verdict = diff->ablation;
    if (verdict && verdict->answer != ABLATION_CANNOT_DECIDE) {
        set_truth(&out->items[FACT_WEIGHTS_ABLATED], WEIR_GRADE_STRONG,
                  verdict->answer == ABLATION_YES, source);
    }
    if (has_file_kind(diff, FILE_KIND_SAFETY_COMPONENT) ||
        has_file_kind(diff, FILE_KIND_WATERMARK_COMPONENT)) {
        set_truth(&out->items[FACT_SAFETY_COMPONENT], WEIR_GRADE_STRONG, true, source);
    }
}

static void gather_norms(fact_table *out, const weir_diff *diff) {
    double sum_dd = 0;
    double sum_aa = 0;
    size_t compared = 0;
    size_t changed = 0;
    for (size_t i = 0; i < diff->tensor_count; i++) {
        const tensor_delta *row = &diff->tensors[i];
        if (row->state == TENSOR_COMPARED) {
            sum_dd += row->stats.sum_dd;
            sum_aa += row->stats.sum_aa;
            compared++;
            changed += !tensor_delta_is_explained(row);
        }
    }
    if (compared > 0) {
        set_number(&out->items[FACT_WEIGHTS_CHANGED], WEIR_GRADE_PROVED,
                   (double)changed / (double)compared, "comparison with the base");
        set_number(&out->items[FACT_WEIGHTS_REL_NORM], WEIR_GRADE_PROVED,
                   sum_aa > 0 ? sqrt(sum_dd / sum_aa) : (double)NAN, "comparison with the base");
    }
}

static void gather_diff(fact_table *out, const weir_diff *diff) {
    static const char source[] = "comparison with the base";
    set_text(&out->items[FACT_WEIGHTS_RELATION], diff->grade, weir_relation_name(diff->relation),
             source);
    if (diff->direction == DIRECTION_FROM_BASE) {
        set_truth(&out->items[FACT_WEIGHTS_FROM_BASE], diff->grade, true, source);
    }
    set_number(&out->items[FACT_WEIGHTS_UNEXPLAINED], WEIR_GRADE_PROVED, diff->unexplained, source);
    gather_norms(out, diff);
    gather_changes(out, diff);
    const checkpoint *base = model_checkpoint(diff->base);
    const checkpoint *model = model_checkpoint(diff->model);
    if (base->template_count > 0 && model->template_count > 0) {
        set_truth(&out->items[FACT_TEMPLATE_CHANGED], WEIR_GRADE_PROVED,
                  has_file_delta(diff, WEIR_CHANGE_TEMPLATE), source);
    }
    if (base->vocabulary.file && model->vocabulary.file) {
        set_truth(&out->items[FACT_TOKENIZER_CHANGED], WEIR_GRADE_PROVED,
                  has_file_delta(diff, WEIR_CHANGE_TOKENIZER), source);
    }
    if (base->claims.count > 0 && model->claims.count > 0) {
        set_truth(&out->items[FACT_CONFIG_CHANGED], WEIR_GRADE_PROVED,
                  has_file_delta(diff, WEIR_CHANGE_CONFIG), source);
    }
}

/* A search that found nothing says so weakly: it knows only what was searched. */
static void gather_trace(fact_table *out, const weir_trace *trace) {
    static const char source[] = "search among known models";
    const bool is_linked = trace->candidate_count > 0;
    const weir_grade grade = !is_linked                      ? WEIR_GRADE_WEAK
                             : trace->candidates[0].by_units ? WEIR_GRADE_STRONG
                                                             : WEIR_GRADE_PROVED;
    if (trace->relation != WEIR_RELATION_CANNOT_DECIDE) {
        set_text(&out->items[FACT_LINEAGE_RELATION], grade, weir_relation_name(trace->relation),
                 source);
    }
    if (is_linked) {
        set_text(&out->items[FACT_LINEAGE_NEAREST], grade, trace->candidates[0].name, source);
    }
}

void facts_gather(fact_table *out, const weir_inspection *inspection, const weir_diff *diff,
                  const weir_trace *trace) {
    *out = (fact_table){0};
    gather_inspection(out, inspection);
    if (trace) {
        gather_trace(out, trace);
    }
    if (diff) {
        gather_diff(out, diff);
    }
}

void facts_add_empty_direction(fact_table *out, const empty_direction *found) {
    if (found->answer != EMPTY_DIRECTION_CANNOT_DECIDE) {
        set_truth(&out->items[FACT_WEIGHTS_EMPTY_DIRECTION], WEIR_GRADE_STRONG,
                  found->answer == EMPTY_DIRECTION_FOUND, "the model's own matrices");
    }
}

static const char *document_name(fact_document document) {
    switch (document) {
    case DOCUMENT_NOT_EXAMINED:
        return "not_examined";
    case DOCUMENT_NOT_FOUND:
        return "not_found";
    case DOCUMENT_PRESENT:
        return "present";
    }
    return "not_examined";
}

static void write_value(json_writer *json, const fact *item, fact_type type) {
    json_key(json, "value");
    if (type == FACT_TYPE_DOCUMENT) {
        json_string(json, document_name(item->document));
        return;
    }
    if (item->grade == WEIR_GRADE_UNKNOWN) {
        json_null(json);
        return;
    }
    switch (type) {
    case FACT_TYPE_TEXT:
        json_string(json, item->text);
        break;
    case FACT_TYPE_NUMBER:
        json_double(json, item->number);
        break;
    case FACT_TYPE_BOOL:
        json_bool(json, item->truth);
        break;
    case FACT_TYPE_DOCUMENT:
        break;
    }
}

void facts_write_json(json_writer *json, const fact_table *facts) {
    json_array_begin(json);
    for (size_t i = 0; i < FACT_COUNT; i++) {
        const fact_word *word = fact_word_get((fact_id)i);
        const fact *item = &facts->items[i];
        json_object_begin(json);
        json_member_string(json, "fact", word->name);
        write_value(json, item, word->type);
        if (word->unit[0]) {
            json_member_string(json, "unit", word->unit);
        }
        json_member_string(json, "grade", weir_grade_name(item->grade));
        json_member_string(json, "source", item->source);
        json_key(json, "evidence");
        json_array_begin(json);
        if (item->grade != WEIR_GRADE_UNKNOWN) {
            json_string(json, word->producer);
        }
        json_array_end(json);
        json_object_end(json);
    }
    json_array_end(json);
}
