/* SPDX-License-Identifier: Apache-2.0 */
#include "base/findings.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/checked.h"
#include "base/fail.h"
#include "base/text.h"

enum { MESSAGE_BYTES_MAX = 1024 };

struct weir_findings {
    arena memory;
    weir_finding *items;
    size_t count;
    size_t capacity;
    bool failed;
};

weir_code weir_findings_new(weir_findings **out, weir_error *err) {
    weir_findings *findings = calloc(1, sizeof *findings);
    if (!findings) {
        return weir_fail_nomem(err);
    }
    *out = findings;
    return WEIR_OK;
}

static const char *copy_printable(weir_findings *findings, const char *text) {
    char printable[MESSAGE_BYTES_MAX];
    text_escape(printable, sizeof printable, text ? text : "", text ? strlen(text) : 0);
    return arena_copy_text(&findings->memory, printable, strlen(printable));
}

void findings_add(weir_findings *findings, const weir_finding *what, const char *format, ...) {
    if (!findings) {
        return;
    }
    char message[MESSAGE_BYTES_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(message, sizeof message, format, args);
    va_end(args);

    weir_finding copy = {.id = what->id,
                         .severity = what->severity,
                         .verdict = what->verdict,
                         .file = copy_printable(findings, what->file),
                         .at = copy_printable(findings, what->at),
                         .message = copy_printable(findings, message)};
    void *items = findings->items;
    if (!copy.file || !copy.at || !copy.message ||
        !checked_grow(&items, &findings->capacity, findings->count, sizeof copy)) {
        findings->failed = true;
        return;
    }
    findings->items = items;
    findings->items[findings->count++] = copy;
}

void findings_add_error(weir_findings *findings, const char *id, const weir_error *err) {
    char line[MESSAGE_BYTES_MAX];
    weir_error unplaced = *err;
    unplaced.file[0] = '\0';
    unplaced.at[0] = '\0';
    const bool is_malformed = err->code == WEIR_ERR_FORMAT;
    findings_add(findings,
                 &(weir_finding){.id = id,
                                 .severity = WEIR_SEVERITY_HIGH,
                                 .verdict = is_malformed ? WEIR_VERDICT_MALFORMED
                                                         : WEIR_VERDICT_NOT_ANALYSED,
                                 .file = err->file,
                                 .at = err->at},
                 "%s", weir_error_format(&unplaced, line, sizeof line));
}

size_t weir_findings_count(const weir_findings *findings) {
    return findings->count;
}

const weir_finding *weir_findings_get(const weir_findings *findings, size_t index) {
    return &findings->items[index];
}

weir_verdict findings_verdict(const weir_findings *findings, const char *file, weir_verdict least) {
    weir_verdict gravest = least;
    for (size_t i = 0; i < findings->count; i++) {
        const weir_finding *finding = &findings->items[i];
        if (finding->verdict > gravest && strcmp(finding->file, file) == 0) {
            gravest = finding->verdict;
        }
    }
    return gravest;
}

int findings_failed(const weir_findings *findings) {
    return findings->failed;
}

void weir_findings_free(weir_findings *findings) {
    if (!findings) {
        return;
    }
    arena_release(&findings->memory);
    free(findings->items);
    free(findings);
}

const char *weir_verdict_name(weir_verdict verdict) {
    switch (verdict) {
    case WEIR_VERDICT_CLEAN:
        return "clean";
    case WEIR_VERDICT_NOT_ANALYSED:
        return "not_analysed";
    case WEIR_VERDICT_SUSPICIOUS:
        return "suspicious";
    case WEIR_VERDICT_MALFORMED:
        return "malformed";
    case WEIR_VERDICT_MALICIOUS:
        return "malicious";
    }
    return "unknown";
}

const char *weir_severity_name(weir_severity severity) {
    switch (severity) {
    case WEIR_SEVERITY_INFO:
        return "info";
    case WEIR_SEVERITY_LOW:
        return "low";
    case WEIR_SEVERITY_MEDIUM:
        return "medium";
    case WEIR_SEVERITY_HIGH:
        return "high";
    case WEIR_SEVERITY_CRITICAL:
        return "critical";
    }
    return "unknown";
}
