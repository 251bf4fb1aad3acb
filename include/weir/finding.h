/* SPDX-License-Identifier: Apache-2.0 */
/** @file finding.h  What weir noticed in a file: many per call, each with its place. */
#ifndef WEIR_FINDING_H
#define WEIR_FINDING_H

#include <stddef.h>

#include "weir/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Verdict on one file. A later constant is never overruled by an earlier one. */
typedef enum weir_verdict {
    WEIR_VERDICT_CLEAN,        /**< read whole by weir's rules, nothing found */
    WEIR_VERDICT_NOT_ANALYSED, /**< identified, but weir has no rules for its content */
    WEIR_VERDICT_SUSPICIOUS,   /**< unusual, and no honest writer needs it */
    WEIR_VERDICT_MALFORMED,    /**< breaks its format's specification */
    WEIR_VERDICT_MALICIOUS,    /**< asks a reader to do what only an attack needs */
} weir_verdict;

typedef enum weir_severity {
    WEIR_SEVERITY_INFO,
    WEIR_SEVERITY_LOW,
    WEIR_SEVERITY_MEDIUM,
    WEIR_SEVERITY_HIGH,
    WEIR_SEVERITY_CRITICAL,
} weir_severity;

typedef struct weir_finding {
    const char *id; /**< stable, "FORMAT-WHAT": "gguf-duplicate-key" */
    weir_severity severity;
    weir_verdict verdict; /**< what it makes of its file; CLEAN for a remark */
    const char *file;     /**< relative to the model */
    const char *at;       /**< place inside the file, may be "" */
    const char *message;  /**< one sentence for a person */
} weir_finding;

/** Many findings, in the order in which they were added. */
typedef struct weir_findings weir_findings;

WEIR_API weir_code weir_findings_new(weir_findings **out, weir_error *err);
WEIR_API size_t weir_findings_count(const weir_findings *findings);
/** @return borrowed; valid until the findings are freed. `index` < count. */
WEIR_API const weir_finding *weir_findings_get(const weir_findings *findings, size_t index);
WEIR_API void weir_findings_free(weir_findings *findings);

/** @return "clean", "not_analysed", "suspicious", "malformed", "malicious". */
WEIR_API const char *weir_verdict_name(weir_verdict verdict);
/** @return "info", "low", "medium", "high", "critical". */
WEIR_API const char *weir_severity_name(weir_severity severity);

#ifdef __cplusplus
}
#endif
#endif
