/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/relation.h"

const char *weir_relation_name(weir_relation relation) {
    switch (relation) {
    case WEIR_RELATION_IDENTICAL:
        return "identical";
    case WEIR_RELATION_DERIVED:
        return "derived";
    case WEIR_RELATION_RELATED:
        return "related";
    case WEIR_RELATION_NO_LINK:
        return "no_link";
    case WEIR_RELATION_CANNOT_DECIDE:
        return "cannot_decide";
    }
    return "cannot_decide";
}

const char *weir_grade_name(weir_grade grade) {
    switch (grade) {
    case WEIR_GRADE_UNKNOWN:
        return "unknown";
    case WEIR_GRADE_CLAIMED:
        return "claimed";
    case WEIR_GRADE_WEAK:
        return "weak";
    case WEIR_GRADE_STRONG:
        return "strong";
    case WEIR_GRADE_PROVED:
        return "proved";
    }
    return "unknown";
}
