/* SPDX-License-Identifier: Apache-2.0 */
/* weir.registry/1: what was asked of a registry and its answer. No location: a path is the user's
 * own. */
#include "evidence/result_json.h"
#include "registry/registry.h"

static const char *action_name(weir_registry_action action) {
    switch (action) {
    case WEIR_REGISTRY_ADD:
        return "add";
    case WEIR_REGISTRY_LIST:
        return "list";
    case WEIR_REGISTRY_SHOW:
        return "show";
    case WEIR_REGISTRY_REMOVE:
        return "remove";
    case WEIR_REGISTRY_EXPORT:
        return "export";
    case WEIR_REGISTRY_VERIFY:
        return "verify";
    }
    return "";
}

static void write_claims(json_writer *json, const weir_registry_entry *entry) {
    json_key(json, "claims");
    json_array_begin(json);
    for (size_t i = 0; i < entry->claim_count; i++) {
        const weir_claim *claim = &entry->claims[i];
        json_object_begin(json);
        json_member_string(json, "name", claim->name);
        json_member_string(json, "value", claim->value);
        json_member_string(json, "grade", "claimed");
        json_member_string(json, "file", claim->file);
        json_member_string(json, "at", claim->at);
        json_object_end(json);
    }
    json_array_end(json);
}

static void write_fingerprint(json_writer *json, const weir_registry_entry *entry,
                              const fingerprint *sketch) {
    json_key(json, "fingerprint");
    json_object_begin(json);
    json_member_string(json, "sha256", entry->fingerprint_id);
    json_member_uint(json, "bytes", entry->fingerprint_bytes);
    json_member_uint(json, "parameters", entry->parameters);
    json_member_uint(json, "tensors", entry->tensors);
    json_member_uint(json, "hidden", entry->hidden);
    json_member_uint(json, "feed_forward", entry->feed_forward);
    json_member_uint(json, "layers", entry->layers);
    json_member_uint(json, "vocabulary", entry->vocabulary);
    json_member_uint(json, "blocks", entry->blocks);
    if (sketch) {
        json_key(json, "content");
        fingerprint_write_json(json, sketch);
    }
    json_object_end(json);
}

static void write_removal(json_writer *json, const weir_registry_entry *entry) {
    json_key(json, "removed");
    if (!entry->removed) {
        json_null(json);
        return;
    }
    json_object_begin(json);
    json_member_uint(json, "generation", entry->removed);
    json_member_string(json, "reason", entry->reason);
    json_object_end(json);
}

static void write_model(json_writer *json, const weir_registry_listing *listing, size_t index) {
    const weir_registry_entry *entry = &listing->entries[index];
    const bool shows_all = listing->action == WEIR_REGISTRY_SHOW;
    json_object_begin(json);
    json_member_uint(json, "entry", entry->row);
    json_member_string(json, "name", entry->name);
    json_member_string(json, "id", entry->id);
    json_member_string(json, "payload_id", entry->payload_id);
    json_member_uint(json, "generation", entry->added);
    write_removal(json, entry);
    if (listing->action == WEIR_REGISTRY_ADD) {
        json_key(json, "new");
        json_bool(json, listing->choices[index].is_new);
    }
    write_claims(json, entry);
    write_fingerprint(json, entry, shows_all ? listing->sketches[index] : NULL);
    json_object_end(json);
}

static void write_problems(json_writer *json, const weir_registry_listing *listing) {
    json_key(json, "problems");
    json_array_begin(json);
    for (size_t i = 0; i < listing->problem_count; i++) {
        const weir_error *problem = &listing->problems[i];
        json_object_begin(json);
        json_member_string(json, "at", problem->at);
        json_member_string(json, "expected", problem->expected);
        json_member_string(json, "found", problem->found);
        json_object_end(json);
    }
    json_array_end(json);
}

void registry_write_json(json_writer *json, const weir_registry_listing *listing) {
    json_object_begin(json);
    json_member_string(json, "schema", "weir.registry/1");
    json_member_string(json, "action", action_name(listing->action));
    json_key(json, "exists");
    json_bool(json, listing->exists);
    json_member_uint(json, "generation", listing->generation);
    json_key(json, "models");
    json_array_begin(json);
    for (size_t i = 0; i < listing->count; i++) {
        write_model(json, listing, i);
    }
    json_array_end(json);
    write_problems(json, listing);
    json_object_end(json);
}
