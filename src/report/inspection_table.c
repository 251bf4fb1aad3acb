/* SPDX-License-Identifier: Apache-2.0 */
#include <libsmartcols.h>
#include <stdlib.h>
#include <string.h>

#include "evidence/inspection.h"
#include "report/tables.h"

enum { FILES_SHOWN = 20, CLAIMS_SHOWN = 12 };

static paint_ink verdict_ink(weir_verdict verdict) {
    switch (verdict) {
    case WEIR_VERDICT_CLEAN:
        return INK_GOOD;
    case WEIR_VERDICT_NOT_ANALYSED:
    case WEIR_VERDICT_SUSPICIOUS:
        return INK_NOTICE;
    case WEIR_VERDICT_MALFORMED:
    case WEIR_VERDICT_MALICIOUS:
        return INK_BAD;
    }
    return INK_PLAIN;
}

static const char *verdict_words(weir_verdict verdict) {
    switch (verdict) {
    case WEIR_VERDICT_CLEAN:
        return "clean";
    case WEIR_VERDICT_NOT_ANALYSED:
        return "not analysed (weir has no rules for these files, or could not read them)";
    case WEIR_VERDICT_SUSPICIOUS:
        return "suspicious";
    case WEIR_VERDICT_MALFORMED:
        return "malformed";
    case WEIR_VERDICT_MALICIOUS:
        return "malicious: do not open it with anything that executes";
    }
    return "";
}

void describe_model(text_buffer *text, const weir_inspection *inspection) {
    char size[32];
    char parameters[32];
    const weir_model *model = inspection->model;
    const checkpoint *files = model_checkpoint(model);
    if (files->tensors.count == 0) {
        text_buffer_format(text, "no weights that weir reads");
    } else {
        text_buffer_format(
            text, "%s, %s architecture, %s parameters in %zu tensors", weir_model_format(model),
            weir_model_architecture(model) ? weir_model_architecture(model) : "unstated",
            format_count(parameters, sizeof parameters, inspection->parameters),
            files->tensors.count);
        const char *separator = " (";
        for (size_t i = 0; i < WEIR_DTYPE_COUNT; i++) {
            if (inspection->dtype_parameters[i] > 0) {
                text_buffer_format(text, "%s%s", separator, weir_dtype_name((weir_dtype)i));
                separator = ", ";
            }
        }
        text_buffer_format(text, "%s", separator[0] == ',' ? ")" : "");
    }
    text_buffer_format(text, "; %s in %zu %s",
                       format_bytes(size, sizeof size, inspection->file_bytes), files->file_count,
                       files->file_count == 1 ? "file" : "files");
}

static const char *severity_mark(weir_severity severity) {
    switch (severity) {
    case WEIR_SEVERITY_INFO:
        return "note";
    case WEIR_SEVERITY_LOW:
    case WEIR_SEVERITY_MEDIUM:
    case WEIR_SEVERITY_HIGH:
    case WEIR_SEVERITY_CRITICAL:
        return weir_severity_name(severity);
    }
    return "";
}

void print_findings(const paint *out, const weir_findings *findings) {
    const size_t count = weir_findings_count(findings);
    const size_t shown = out->style.verbosity > 0 || count < FILES_SHOWN ? count : FILES_SHOWN;
    for (size_t i = 0; i < shown; i++) {
        const weir_finding *finding = weir_findings_get(findings, i);
        WEIR_CLEANUP(text_buffer_release) text_buffer line = {0};
        if (finding->severity == WEIR_SEVERITY_INFO && out->style.verbosity < 1) {
            continue;
        }
        text_buffer_format(&line, "%s: %s%s%s%s [%s]", severity_mark(finding->severity),
                           finding->file, finding->at[0] ? ", " : "", finding->at,
                           finding->file[0] || finding->at[0] ? ":" : "", finding->id);
        text_buffer_format(&line, " %s", finding->message);
        paint_gathered_field(out, "finding", &line);
    }
    if (shown < count) {
        paint_field(out, "", "... and more; see --verbose or --json");
    }
}

/* Claims that answer a newcomer's first questions. */
static bool is_headline_claim(const char *name) {
    static const char *const names[] = {"card.base_model",
                                        "card.base_model_relation",
                                        "card.license",
                                        "adapter.peft_type",
                                        "adapter.r",
                                        "adapter.base_model_name_or_path",
                                        "merge.merge_method",
                                        "gguf.general.name",
                                        "gguf.general.license",
                                        "gguf.general.base_model.0.name",
                                        "safetensors.format"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

static void print_claims(const paint *out, const weir_model *model) {
    size_t shown = 0;
    for (size_t i = 0; i < weir_model_claim_count(model); i++) {
        const weir_claim *claim = weir_model_claim(model, i);
        if (out->style.verbosity < 1 &&
            (!is_headline_claim(claim->name) || shown == CLAIMS_SHOWN)) {
            continue;
        }
        WEIR_CLEANUP(text_buffer_release) text_buffer line = {0};
        text_buffer_format(&line, "%s = %s (%s)", claim->name, claim->value, claim->file);
        paint_gathered_field(out, "claims", &line);
        shown++;
    }
}

static struct libscols_table *new_file_table(const paint *out) {
    struct libscols_table *table = scols_new_table();
    if (!table) {
        return NULL;
    }
    scols_table_set_stream(table, out->stream);
    scols_table_enable_noheadings(table, 0);
    if (!out->style.unicode) {
        scols_table_enable_ascii(table, 1);
    }
    scols_table_set_termwidth(table, (size_t)(out->style.width > 0 ? out->style.width : 80));
    scols_table_set_termforce(table, SCOLS_TERMFORCE_ALWAYS);
    if (!scols_table_new_column(table, "FILE", 0.5, SCOLS_FL_TRUNC) ||
        !scols_table_new_column(table, "BYTES", 10, SCOLS_FL_RIGHT) ||
        !scols_table_new_column(table, "FORMAT", 12, 0) ||
        !scols_table_new_column(table, "VERDICT", 12, 0)) {
        scols_unref_table(table);
        return NULL;
    }
    return table;
}

static void print_files(const paint *out, const weir_inspection *inspection) {
    const checkpoint *files = model_checkpoint(inspection->model);
    const size_t shown = out->style.verbosity > 0 || files->file_count < FILES_SHOWN
                             ? files->file_count
                             : FILES_SHOWN;
    struct libscols_table *table = new_file_table(out);
    if (!table) {
        *out->is_short = true;
        return;
    }
    for (size_t i = 0; i < shown; i++) {
        char size[32];
        struct libscols_line *line = scols_table_new_line(table, NULL);
        if (!line) {
            break;
        }
        scols_line_set_data(line, 0, files->files[i].path);
        scols_line_set_data(line, 1, format_bytes(size, sizeof size, files->files[i].bytes));
        scols_line_set_data(line, 2, files->files[i].format);
        scols_line_set_data(line, 3, weir_verdict_name(inspection->verdicts[i]));
    }
    scols_print_table(table);
    scols_unref_table(table);
    if (shown < files->file_count) {
        (void)fprintf(out->stream, "... and %zu more files; see --verbose or --json\n",
                      files->file_count - shown);
    }
}

void inspection_print(const paint *out, const weir_inspection *inspection) {
    WEIR_CLEANUP(text_buffer_release) text_buffer what = {0};
    paint_text(out, INK_BOLD, "%s", weir_model_name(inspection->model));
    paint_text(out, verdict_ink(inspection->verdict), ": %s\n", verdict_words(inspection->verdict));
    if (out->style.verbosity < 0) {
        return;
    }
    (void)fputc('\n', out->stream);
    describe_model(&what, inspection);
    paint_gathered_field(out, "what it is", &what);
    if (weir_model_tensor_count(inspection->model) > 0 &&
        !weir_model_has_known_roles(inspection->model)) {
        paint_field(out, "",
                    "weir does not know this architecture, or not all of its tensors: roles "
                    "come from tensor names alone");
    }
    print_claims(out, inspection->model);
    print_findings(out, inspection->findings);
    if (inspection->id[0]) {
        paint_field(out, "id", inspection->id);
    }
    if (inspection->payload_id[0]) {
        paint_field(out, "payload id", inspection->payload_id);
    }
    (void)fputc('\n', out->stream);
    print_files(out, inspection);
}
