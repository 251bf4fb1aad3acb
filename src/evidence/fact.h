/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file fact.h  A measurement or a claim in the form that rules read: never a bare value.
 *
 * The vocabulary is one table; schema, documentation and rule checks are made from it.
 */
#ifndef WEIR_EVIDENCE_FACT_H
#define WEIR_EVIDENCE_FACT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "delta/empty_direction.h"
#include "io/json_writer.h"
#include "weir/diff.h"
#include "weir/inspect.h"
#include "weir/trace.h"

/*   ID                     name                      type    unit          producer   meaning */
#define FACT_VOCABULARY(X)                                                                         \
    X(FILES_VERDICT, "files.verdict", TEXT, "", "inspect",                                         \
      "gravest verdict of any file that weir has rules for")                                       \
    X(MODEL_PARAMETERS, "model.parameters", NUMBER, "parameters", "inspect",                       \
      "numbers stored in all tensors")                                                             \
    X(MODEL_ARCHITECTURE, "model.architecture", TEXT, "", "inspect",                               \
      "architecture that the config or metadata states")                                           \
    X(CODE_CUSTOM, "code.custom", DOCUMENT, "", "inspect",                                         \
      "Python code that a loader is told to run")                                                  \
    X(CLAIM_BASE_MODEL, "claim.base_model", TEXT, "", "inspect",                                   \
      "upstream that the card, metadata or adapter names")                                         \
    X(LINEAGE_RELATION, "lineage.relation", TEXT, "", "trace",                                     \
      "how the weights stand to the nearest known model")                                          \
    X(LINEAGE_NEAREST, "lineage.nearest", TEXT, "", "trace",                                       \
      "the known model that the weights come from, or share an ancestor with")                     \
    X(CLAIM_LICENSE, "claim.license", TEXT, "", "inspect",                                         \
      "licence that the card or metadata names")                                                   \
    X(WEIGHTS_RELATION, "weights.relation", TEXT, "", "diff",                                      \
      "how the weights stand to the base's weights")                                               \
    X(WEIGHTS_FROM_BASE, "weights.from_base", BOOL, "", "diff",                                    \
      "whether the weights were computed from the base's")                                         \
    X(WEIGHTS_CHANGED, "weights.changed_share", NUMBER, "share", "diff",                           \
      "tensors whose numbers are neither the base's nor re-derived from them")                     \
    X(WEIGHTS_REL_NORM, "weights.rel_norm", NUMBER, "ratio", "diff",                               \
      "Frobenius norm of the change over that of the base, all compared tensors")                  \
    X(WEIGHTS_UNEXPLAINED, "weights.unexplained", NUMBER, "share", "diff",                         \
      "share of the squared norm of the change that no named change accounts for")                 \
    X(WEIGHTS_CHANGES, "weights.changes", TEXT, "", "diff",                                        \
      "classes of the changes to the weights, outermost first")                                    \
    X(WEIGHTS_ABLATED, "weights.ablated", BOOL, "", "diff",                                        \
      "whether a direction was projected out of what writes to the residual stream")               \
    X(WEIGHTS_EMPTY_DIRECTION, "weights.empty_direction", BOOL, "", "assess",                      \
      "whether nothing in the model writes along one direction, as full ablation leaves it")       \
    X(SAFETY_COMPONENT, "safety.component_changed", BOOL, "", "diff",                              \
      "whether a safety checker, guard or watermark of the base is gone or emptied")               \
    X(TEMPLATE_CHANGED, "template.changed", BOOL, "", "diff",                                      \
      "whether a chat template differs from the base's")                                           \
    X(TOKENIZER_CHANGED, "tokenizer.changed", BOOL, "", "diff",                                    \
      "whether token strings, their ids or merges differ from the base's")                         \
    X(CONFIG_CHANGED, "config.changed", BOOL, "", "diff",                                          \
      "whether settings of the architecture or of generation differ from the base's")              \
    X(CAPABILITY_CHANGE, "capability.change", NUMBER, "share", "probe",                            \
      "paired difference in tasks solved, model minus base")                                       \
    X(REFUSAL_CHANGE, "safety.refusal_change", NUMBER, "share", "probe",                           \
      "paired difference in refusals of harmful requests, model minus base")                       \
    X(BASE_COMPUTE, "base.training_compute", NUMBER, "FLOP", "policy",                             \
      "training compute of the base")                                                              \
    X(OPENNESS, "openness", TEXT, "", "policy", "who can obtain the weights")

typedef enum fact_id {
#define FACT_ENUM(id, name, type, unit, producer, meaning) FACT_##id,
    FACT_VOCABULARY(FACT_ENUM)
#undef FACT_ENUM
        FACT_COUNT,
} fact_id;

typedef enum fact_type {
    FACT_TYPE_TEXT,
    FACT_TYPE_NUMBER,
    FACT_TYPE_BOOL,
    FACT_TYPE_DOCUMENT
} fact_type;

typedef struct fact_word {
    const char *name;
    fact_type type;
    const char *unit;
    const char *producer;
    const char *meaning;
} fact_word;

/** @return the vocabulary's row; static. */
const fact_word *fact_word_get(fact_id id);

/** Present or not, of a document or file that was looked for. */
typedef enum fact_document {
    DOCUMENT_NOT_EXAMINED,
    DOCUMENT_NOT_FOUND,
    DOCUMENT_PRESENT
} fact_document;

/** One fact. A grade of UNKNOWN means that the value is not known, whatever the members hold. */
typedef struct fact {
    weir_grade grade;
    const char *text;
    double number;
    bool truth;
    fact_document document;
    const char *source; /**< file, or the comparison, or what is missing */
} fact;

/** All facts about one model, by id. */
typedef struct fact_table {
    fact items[FACT_COUNT];
} fact_table;

/** Facts from what was run; `diff` may be NULL. Texts are borrowed from both. */
void facts_gather(fact_table *out, const weir_inspection *inspection, const weir_diff *diff,
                  const weir_trace *trace);

/** The fact of what was looked for in the model alone; nothing where that cannot be decided. */
void facts_add_empty_direction(fact_table *out, const empty_direction *found);

/** Write the array of facts, in the order of the vocabulary. */
void facts_write_json(json_writer *json, const fact_table *facts);

/** What a model's card, adapter, merge or metadata names as its base; NULL when nothing does.
 * Borrowed. */
const weir_claim *claimed_base(const weir_model *model);

#endif
