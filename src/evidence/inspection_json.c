/* SPDX-License-Identifier: Apache-2.0 */
#include "evidence/inspection.h"
#include "evidence/result_json.h"

void json_member_string(json_writer *json, const char *key, const char *value) {
    json_key(json, key);
    json_string(json, value);
}

void json_member_uint(json_writer *json, const char *key, uint64_t value) {
    json_key(json, key);
    json_uint(json, value);
}

void json_member_double(json_writer *json, const char *key, double value) {
    json_key(json, key);
    json_double(json, value);
}

void json_member_bool(json_writer *json, const char *key, bool value) {
    json_key(json, key);
    json_bool(json, value);
}

static const char *text_or_null(const char *text) {
    return text[0] ? text : NULL;
}

static void write_model(json_writer *json, const weir_inspection *inspection) {
    const weir_model *model = inspection->model;
    json_key(json, "model");
    json_object_begin(json);
    json_member_string(json, "name", weir_model_name(model));
    json_member_string(json, "id", text_or_null(inspection->id));
    json_member_string(json, "payload_id", text_or_null(inspection->payload_id));
    json_member_string(json, "format", weir_model_format(model));
    json_member_string(json, "architecture", weir_model_architecture(model));
    json_member_uint(json, "parameters", inspection->parameters);
    json_member_uint(json, "tensors", model_checkpoint(model)->tensors.count);
    json_member_uint(json, "bytes", inspection->file_bytes);
    json_key(json, "dtypes");
    json_object_begin(json);
    for (size_t i = 0; i < WEIR_DTYPE_COUNT; i++) {
        if (inspection->dtype_parameters[i] > 0) {
            json_member_uint(json, weir_dtype_name((weir_dtype)i), inspection->dtype_parameters[i]);
        }
    }
    json_object_end(json);
    json_key(json, "known_roles");
    json_bool(json, weir_model_has_known_roles(model));
    json_object_end(json);
}

static void write_files(json_writer *json, const weir_inspection *inspection) {
    const checkpoint *files = model_checkpoint(inspection->model);
    json_key(json, "files");
    json_array_begin(json);
    for (size_t i = 0; i < files->file_count; i++) {
        const checkpoint_file *file = &files->files[i];
        json_object_begin(json);
        json_member_string(json, "path", file->path);
        json_member_uint(json, "bytes", file->bytes);
        json_member_string(json, "sha256", text_or_null(inspection->sha256[i]));
        json_member_string(json, "format", file->format);
        json_member_string(json, "verdict", weir_verdict_name(inspection->verdicts[i]));
        json_object_end(json);
    }
    json_array_end(json);
}

static void write_findings(json_writer *json, const weir_findings *findings) {
    json_key(json, "findings");
    json_array_begin(json);
    for (size_t i = 0; i < weir_findings_count(findings); i++) {
        const weir_finding *finding = weir_findings_get(findings, i);
        json_object_begin(json);
        json_member_string(json, "id", finding->id);
        json_member_string(json, "severity", weir_severity_name(finding->severity));
        json_member_string(json, "file", finding->file);
        json_member_string(json, "at", finding->at);
        json_member_string(json, "message", finding->message);
        json_object_end(json);
    }
    json_array_end(json);
}

static void write_claims(json_writer *json, const weir_model *model) {
    json_key(json, "claims");
    json_array_begin(json);
    for (size_t i = 0; i < weir_model_claim_count(model); i++) {
        const weir_claim *claim = weir_model_claim(model, i);
        json_object_begin(json);
        json_member_string(json, "name", claim->name);
        json_member_string(json, "value", claim->value);
        json_member_string(json, "file", claim->file);
        json_member_string(json, "at", claim->at);
        json_object_end(json);
    }
    json_array_end(json);
}

void inspection_write_json(json_writer *json, const weir_inspection *inspection) {
    json_object_begin(json);
    json_member_string(json, "schema", "weir.inspect/1");
    json_member_string(json, "verdict", weir_verdict_name(inspection->verdict));
    write_model(json, inspection);
    write_files(json, inspection);
    write_findings(json, inspection->findings);
    write_claims(json, inspection->model);
    json_object_end(json);
}
