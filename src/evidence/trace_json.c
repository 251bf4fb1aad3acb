/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "evidence/result_json.h"
#include "sketch/trace.h"

/* Text of the null for those who read one candidate alone. */
const char trace_exact_null[] =
    "the order of the hidden units of at least one of the two models comes from a random "
    "initialisation of its own";

static const char calibrated_null[] = "as often as in independently trained models with the same "
                                      "tokenizer does the nearest unit by one of "
                                      "its rows name the nearest by the other";

const char *trace_direction_name(trace_direction direction) {
    return direction == TRACE_FROM ? "from" : direction == TRACE_TO ? "to" : "unknown";
}

static const char *why_name(trace_why why) {
    static const char *const names[] = {
        [TRACE_WHY_NONE] = NULL,
        [TRACE_WHY_GRID] = "grid",
        [TRACE_WHY_GRID_IN_PART] = "grid_in_part",
        [TRACE_WHY_DUPLICATES] = "duplicates",
    };
    return names[why];
}

static const char *reason_name(const trace_candidate *candidate) {
    if (candidate->relation != WEIR_RELATION_RELATED) {
        return "shared_weights";
    }
    return trace_may_share_start(candidate) ? "shared_initialisation_possible"
                                            : "direction_unknown";
}

static const char *parents_name(parents_kind kind) {
    static const char *const names[] = {
        [PARENTS_NONE] = "none",
        [PARENTS_NEAREST] = "nearest",
        [PARENTS_MERGE] = "merge",
        [PARENTS_MERGE_SPARSE] = "merge_sparse",
        [PARENTS_MERGE_LAYERED] = "merge_layered",
        [PARENTS_PASSTHROUGH] = "passthrough",
        [PARENTS_MISSING] = "missing",
        [PARENTS_UNSETTLED] = "unsettled",
    };
    return names[kind];
}

static void write_block_place(json_writer *json, const char *key, const char *expert_key,
                              const sketch_block *block) {
    json_key(json, key);
    json_int(json, block->layer);
    if (block->expert != EXPERT_NONE) {
        json_key(json, expert_key);
        json_int(json, block->expert);
    }
}

static void write_block_layers(json_writer *json, const weir_trace *trace,
                               const trace_candidate *candidate) {
    json_key(json, "layers");
    json_array_begin(json);
    for (size_t i = 0; i < candidate->link.pair_count; i++) {
        const link_pair *const pair = &candidate->link.pairs[i];
        json_object_begin(json);
        write_block_place(json, "mine", "mine_expert", &trace->sketch->blocks[pair->mine]);
        write_block_place(json, "theirs", "theirs_expert",
                          &candidate->sketch->blocks[pair->theirs]);
        json_member_uint(json, "matched", pair->matched);
        json_member_uint(json, "of", pair->of);
        json_object_end(json);
    }
    json_array_end(json);
}

/* Of the second look: whole layers, whatever the order of their units. */
static void write_unit_layers(json_writer *json, const unit_map *units) {
    json_key(json, "layers");
    json_array_begin(json);
    for (size_t i = 0; i < units->layer_count; i++) {
        json_object_begin(json);
        json_key(json, "mine");
        json_int(json, units->layers[i].mine);
        json_key(json, "theirs");
        json_int(json, units->layers[i].theirs);
        json_member_uint(json, "matched", units->layers[i].agree);
        json_member_uint(json, "of", units->layers[i].of);
        json_object_end(json);
    }
    json_array_end(json);
    json_key(json, "units_permuted");
    json_bool(json, units->units_permuted);
    json_key(json, "basis_changed");
    json_bool(json, units->basis_changed);
}

void trace_write_layers(json_writer *json, const weir_trace *trace,
                        const trace_candidate *candidate) {
    if (candidate->by_units) {
        write_unit_layers(json, &candidate->units);
    } else {
        write_block_layers(json, trace, candidate);
    }
}

const char *trace_matched_by(const trace_candidate *candidate) {
    return candidate->by_units                        ? "units"
           : candidate->link.codes == LINK_UNIT_CODES ? "rows"
                                                      : "tokens";
}

static void write_share(json_writer *json, const trace_candidate *candidate) {
    json_member_double(json, "share", candidate->share);
    json_key(json, "share_interval");
    if (isnan(candidate->share)) {
        json_null(json);
        return;
    }
    json_array_begin(json);
    json_double(json, candidate->share_low);
    json_double(json, candidate->share_high);
    json_array_end(json);
}

static void write_candidate(json_writer *json, const weir_trace *trace,
                            const trace_candidate *candidate) {
    json_object_begin(json);
    json_key(json, "model");
    json_object_begin(json);
    json_member_string(json, "name", candidate->name);
    json_object_end(json);
    json_member_string(json, "verdict", weir_relation_name(candidate->relation));
    json_member_string(json, "direction", trace_direction_name(candidate->direction));
    json_member_string(json, "direction_evidence", why_name(candidate->why));
    json_member_string(json, "grid",
                       candidate->why == TRACE_WHY_GRID || candidate->why == TRACE_WHY_GRID_IN_PART
                           ? weir_dtype_name(candidate->grid)
                           : NULL);
    json_member_double(json, "log10_p", candidate->link.log10_p);
    json_member_string(json, "null", candidate->by_units ? "calibrated" : "exact");
    json_member_string(json, "null_text", candidate->by_units ? calibrated_null : trace_exact_null);
    json_member_string(json, "matched_by", trace_matched_by(candidate));
    json_member_double(json, "cosine", candidate->link.cosine);
    json_member_double(json, "distance", candidate->distance);
    json_member_string(json, "reason", reason_name(candidate));
    json_member_uint(json, "equal_blocks", candidate->link.equal_blocks);
    trace_write_layers(json, trace, candidate);
    json_key(json, "parent");
    json_bool(json, candidate->is_parent);
    write_share(json, candidate);
    json_object_end(json);
}

static void write_search(json_writer *json, const weir_trace *trace) {
    json_key(json, "power");
    json_object_begin(json);
    json_member_double(json, "cosine", trace->power < 1 ? trace->power : (double)NAN);
    json_member_double(json, "probability", 0.95);
    json_object_end(json);
    json_key(json, "searched");
    json_object_begin(json);
    json_member_uint(json, "entries", trace->entries);
    json_member_uint(json, "tested", trace->tested);
    json_member_string(json, "index_id", trace->index_id[0] ? trace->index_id : NULL);
    json_member_double(json, "best_log10_p", trace->best_log10_p);
    json_object_end(json);
    json_key(json, "excluded");
    json_array_begin(json);
    for (size_t i = 0; i < trace->exclusion_count; i++) {
        json_object_begin(json);
        json_member_string(json, "what", trace->exclusions[i].what);
        json_member_string(json, "why", trace->exclusions[i].why);
        json_object_end(json);
    }
    json_array_end(json);
    json_member_uint(json, "bytes_read", trace->cost.bytes_read);
    json_member_uint(json, "ranges_read", trace->cost.ranges_read);
    json_member_uint(json, "bytes_stored", trace->cost.bytes_stored);
}

static void write_adapter(json_writer *json, const trace_adapter *adapter) {
    static const char *const verdicts[] = {[ADAPTER_CLAIMED] = "claimed",
                                           [ADAPTER_FITS] = "fits",
                                           [ADAPTER_CONTRADICTED] = "contradicted"};
    json_key(json, "adapter");
    if (!adapter->is_adapter) {
        json_null(json);
        return;
    }
    const adapter_fit *const fit = &adapter->fit;
    json_object_begin(json);
    json_member_string(json, "tested", adapter->tested);
    json_member_string(json, "verdict", verdicts[fit->verdict]);
    json_member_double(json, "p", adapter->tested && fit->is_tested ? fit->p : (double)NAN);
    json_member_uint(json, "modules", fit->modules);
    json_member_uint(json, "fitting", fit->fitting);
    json_member_string(json, "first_unfitting",
                       fit->first_unfitting[0] ? fit->first_unfitting : NULL);
    json_object_end(json);
}

void trace_write_json(json_writer *json, const weir_trace *trace) {
    json_object_begin(json);
    json_member_string(json, "schema", "weir.trace/1");
    json_key(json, "model");
    json_object_begin(json);
    json_member_string(json, "name", trace->name);
    json_member_string(json, "payload_id", trace->payload_id[0] ? trace->payload_id : NULL);
    json_object_end(json);
    json_member_string(json, "verdict", weir_relation_name(trace->relation));
    json_member_string(json, "cannot_decide_because", trace->cannot);
    json_member_string(json, "claimed_base", trace->claimed_base);
    write_adapter(json, &trace->adapter);
    json_key(json, "candidates");
    json_array_begin(json);
    for (size_t i = 0; i < trace->candidate_count; i++) {
        write_candidate(json, trace, &trace->candidates[i]);
    }
    json_array_end(json);
    json_member_uint(json, "linked", trace->linked_count);
    json_key(json, "missing_parent");
    json_bool(json, trace->missing_parent);
    json_key(json, "parents");
    json_object_begin(json);
    json_member_string(json, "kind", parents_name(trace->parents));
    json_member_double(json, "residual", trace->residual);
    json_object_end(json);
    write_search(json, trace);
    json_object_end(json);
}
