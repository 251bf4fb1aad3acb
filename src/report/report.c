/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/report.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "assess/assessment.h"
#include "assess/replay.h"
#include "base/fail.h"
#include "evidence/bundle.h"
#include "evidence/result_json.h"
#include "io/json_writer.h"
#include "registry/registry.h"
#include "report/html.h"
#include "report/tables.h"

weir_code weir_format_find(weir_format *out, const char *name, weir_error *err) {
    static const struct {
        const char *name;
        weir_format format;
    } formats[] = {{"table", WEIR_FORMAT_TABLE},
                   {"json", WEIR_FORMAT_JSON},
                   {"jsonl", WEIR_FORMAT_JSONL},
                   {"bundle", WEIR_FORMAT_BUNDLE},
                   {"html", WEIR_FORMAT_HTML}};
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        if (strcmp(formats[i].name, name) == 0) {
            *out = formats[i].format;
            return WEIR_OK;
        }
    }
    return weir_fail(err, WEIR_ERR_ARG, NULL, NULL, "a format: table, json, jsonl, bundle, html",
                     "%s", name);
}

/* Lines and bundles are of traces alone, pages of comparisons. */
static weir_code check_format(weir_format format, weir_error *err) {
    return format == WEIR_FORMAT_TABLE || format == WEIR_FORMAT_JSON
               ? WEIR_OK
               : weir_fail(err, WEIR_ERR_ARG, NULL, NULL, "the format table or json",
                           "one that this result does not have");
}

static paint painter(FILE *stream, const weir_style *style, bool *is_short) {
    paint out = {.stream = stream, .style = style ? *style : (weir_style){0}};
    out.is_short = is_short;
    if (out.style.verbosity < 0) {
        out.style.width = INT_MAX; /* one verdict, one line: for programs that read lines */
    }
    return out;
}

static weir_code finish(FILE *stream, bool is_short, weir_error *err) {
    if (is_short) {
        return weir_fail_nomem(err);
    }
    if (fflush(stream) != 0 || ferror(stream)) {
        return weir_fail(err, WEIR_ERR_IO, NULL, NULL, NULL, "output: %s", strerror(errno));
    }
    return WEIR_OK;
}

weir_code weir_report_inspections(FILE *stream, weir_format format, const weir_style *style,
                                  const weir_inspection *const *inspections, size_t count,
                                  weir_error *err) {
    bool is_short = false;
    const paint out = painter(stream, style, &is_short);
    json_writer json = json_writer_init(stream);
    WEIR_TRY(check_format(format, err));
    if (format == WEIR_FORMAT_JSON && count != 1) {
        json_array_begin(&json);
    }
    for (size_t i = 0; i < count; i++) {
        if (format == WEIR_FORMAT_JSON) {
            inspection_write_json(&json, inspections[i]);
        } else {
            (void)fputs(i > 0 ? "\n" : "", stream);
            inspection_print(&out, inspections[i]);
        }
    }
    if (format == WEIR_FORMAT_TABLE) {
        return finish(stream, is_short, err);
    }
    if (count != 1) {
        json_array_end(&json);
    }
    return json_writer_finish(&json, err);
}

weir_code weir_report_diff(FILE *stream, weir_format format, const weir_style *style,
                           const weir_diff *diff, weir_error *err) {
    bool is_short = false;
    const paint out = painter(stream, style, &is_short);
    if (format == WEIR_FORMAT_HTML) {
        diff_write_html(&out, diff);
        return finish(stream, is_short, err);
    }
    WEIR_TRY(check_format(format, err));
    if (format == WEIR_FORMAT_JSON) {
        json_writer json = json_writer_init(stream);
        diff_write_json(&json, diff);
        return json_writer_finish(&json, err);
    }
    diff_print(&out, diff);
    return finish(stream, is_short, err);
}

weir_code weir_report_assessment(FILE *stream, weir_format format, const weir_style *style,
                                 const weir_assessment *assessment, weir_error *err) {
    WEIR_TRY(check_format(format, err));
    if (format == WEIR_FORMAT_JSON) {
        json_writer json = json_writer_init(stream);
        assessment_write_json(&json, assessment);
        return json_writer_finish(&json, err);
    }
    bool is_short = false;
    const paint out = painter(stream, style, &is_short);
    assessment_print(&out, assessment);
    return finish(stream, is_short, err);
}

weir_code weir_report_trace(FILE *stream, weir_format format, const weir_style *style,
                            const weir_trace *trace, weir_error *err) {
    if (format == WEIR_FORMAT_BUNDLE) {
        return bundle_write(stream, trace, err);
    }
    if (format != WEIR_FORMAT_TABLE) {
        json_writer json = format == WEIR_FORMAT_JSONL ? json_writer_init_compact(stream)
                                                       : json_writer_init(stream);
        trace_write_json(&json, trace);
        return json_writer_finish(&json, err);
    }
    bool is_short = false;
    const paint out = painter(stream, style, &is_short);
    trace_print(&out, trace);
    return finish(stream, is_short, err);
}

weir_code weir_report_replay(FILE *stream, weir_format format, const weir_style *style,
                             const weir_replay *replay, weir_error *err) {
    WEIR_TRY(check_format(format, err));
    if (format == WEIR_FORMAT_JSON) {
        json_writer json = json_writer_init(stream);
        replay_write_json(&json, replay);
        return json_writer_finish(&json, err);
    }
    bool is_short = false;
    const paint out = painter(stream, style, &is_short);
    replay_print(&out, replay);
    return finish(stream, is_short, err);
}

weir_code weir_report_registry(FILE *stream, weir_format format, const weir_style *style,
                               const weir_registry_listing *listing, weir_error *err) {
    WEIR_TRY(check_format(format, err));
    if (format == WEIR_FORMAT_JSON) {
        json_writer json = json_writer_init(stream);
        registry_write_json(&json, listing);
        return json_writer_finish(&json, err);
    }
    bool is_short = false;
    const paint out = painter(stream, style, &is_short);
    registry_print(&out, listing);
    return finish(stream, is_short, err);
}

static void write_error(json_writer *json, const char *model, const weir_error *failure) {
    json_object_begin(json);
    json_member_string(json, "schema", "weir.error/1");
    json_member_string(json, "code", weir_code_name(failure->code));
    json_member_string(json, "file", failure->file);
    json_member_string(json, "at", failure->at);
    json_member_string(json, "expected", failure->expected);
    json_member_string(json, "found", failure->found);
    if (model) {
        json_member_string(json, "model", model);
    }
    json_object_end(json);
}

weir_code weir_report_model_error(FILE *stream, const char *model, const weir_error *failure,
                                  weir_error *err) {
    char printable[WEIR_TRACE_NAME_BYTES_MAX];
    json_writer json = json_writer_init_compact(stream);
    weir_trace_printable_name(printable, sizeof printable, model);
    write_error(&json, printable, failure);
    return json_writer_finish(&json, err);
}

weir_code weir_report_error(FILE *stream, const weir_error *failure, weir_error *err) {
    json_writer json = json_writer_init(stream);
    write_error(&json, NULL, failure);
    return json_writer_finish(&json, err);
}
