/* SPDX-License-Identifier: Apache-2.0 */
/** @file relation.h  How the weights of two models stand to each other, and how sure that is. */
#ifndef WEIR_RELATION_H
#define WEIR_RELATION_H

#include "weir/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/** How the model's weights stand to the base's. */
typedef enum weir_relation {
    WEIR_RELATION_IDENTICAL, /**< every weight is bit-equal */
    WEIR_RELATION_DERIVED, /**< computed from the base: weights were re-derived from it bit for bit
                            */
    WEIR_RELATION_RELATED, /**< a shared ancestor or initialisation; direction unknown */
    WEIR_RELATION_NO_LINK, /**< aligned tensors are as unlike as unrelated ones */
    WEIR_RELATION_CANNOT_DECIDE,
} weir_relation;

/** How sure a statement is. */
typedef enum weir_grade {
    WEIR_GRADE_UNKNOWN,
    WEIR_GRADE_CLAIMED, /**< a card or config says so */
    WEIR_GRADE_WEAK,
    WEIR_GRADE_STRONG,
    WEIR_GRADE_PROVED, /**< replayed bit for bit, or a finite-sample valid test */
} weir_grade;

/** @return "identical", "derived", "related", "no_link", "cannot_decide". */
WEIR_API const char *weir_relation_name(weir_relation relation);
/** @return "unknown", "claimed", "weak", "strong", "proved". */
WEIR_API const char *weir_grade_name(weir_grade grade);
#ifdef __cplusplus
}
#endif
#endif
