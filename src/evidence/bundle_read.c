/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One pass over the JSON. Every object is a table of the members that weir knows: each at most
 * once, those marked as needed at least once, others passed over. A number is an integer in its
 * range or is refused; a fingerprint is decoded and checked by its own reader as it comes.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "evidence/bundle.h"
#include "evidence/result_json.h"
#include "io/digest.h"
#include "io/json_reader.h"

enum { NAME_BYTES_MAX = 4096, MEMBERS_MAX = 16 };

typedef struct reading {
    weir_source *source;
    json_reader *json;
    bundle *out;
    void *object; /* what the object at hand fills */
    size_t range_capacity;
    size_t candidate_capacity;
    size_t layer_capacity; /* of the last candidate */
} reading;

/* Reads the value behind a key. */
typedef weir_code (*member_reader)(reading *run, const json_token *value, weir_error *err);

typedef struct member {
    const char *name;
    member_reader read;
    bool is_needed;
} member;

static weir_code refuse(const reading *run, const json_token *token, const char *expected,
                        const char *found, weir_error *err) {
    return weir_fail(err, WEIR_ERR_FORMAT, weir_source_name(run->source),
                     at_byte(token->offset).text, expected, "%s", found);
}

/* --- values --- */

static const char *kind_name(const json_token *token) {
    static const char *const names[] = {
        [JSON_OBJECT_BEGIN] = "an object",
        [JSON_OBJECT_END] = "an object's end",
        [JSON_ARRAY_BEGIN] = "an array",
        [JSON_ARRAY_END] = "an array's end",
        [JSON_KEY] = "a key",
        [JSON_STRING] = "a string",
        [JSON_NUMBER] = "a number",
        [JSON_TRUE] = "true",
        [JSON_FALSE] = "false",
        [JSON_NULL] = "null",
        [JSON_END] = "the end",
    };
    return names[token->kind];
}

static weir_code take_u64(uint64_t *out, const reading *run, const json_token *value, uint64_t most,
                          weir_error *err) {
    if (value->kind != JSON_NUMBER || !json_token_u64(value, out) || *out > most) {
        return refuse(run, value, "a whole number in its range",
                      value->kind == JSON_NUMBER ? value->text : kind_name(value), err);
    }
    return WEIR_OK;
}

static weir_code take_u32(uint32_t *out, const reading *run, const json_token *value, uint32_t most,
                          weir_error *err) {
    uint64_t number = 0;
    WEIR_TRY(take_u64(&number, run, value, most, err));
    *out = (uint32_t)number;
    return WEIR_OK;
}

static weir_code take_text(const char **out, reading *run, const json_token *value,
                           weir_error *err) {
    if (value->kind != JSON_STRING || value->len > NAME_BYTES_MAX ||
        strlen(value->text) != value->len) {
        return refuse(run, value, "a string of at most 4096 bytes",
                      value->kind == JSON_STRING ? "another" : kind_name(value), err);
    }
    *out = arena_copy_text(&run->out->memory, value->text, value->len);
    return *out ? WEIR_OK : weir_fail_nomem(err);
}

static int hex_digit(char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_hex(const char *text, size_t len) {
    for (size_t i = 0; i < len; i++) {
        if (hex_digit(text[i]) < 0) {
            return false;
        }
    }
    return true;
}

static weir_code take_hash(char out[static DIGEST_TEXT_BYTES], const reading *run,
                           const json_token *value, weir_error *err) {
    if (value->kind != JSON_STRING || value->len != DIGEST_TEXT_BYTES - 1 ||
        !is_hex(value->text, value->len)) {
        return refuse(run, value, "a SHA-256 in 64 lower-case hex digits", "something else", err);
    }
    memcpy(out, value->text, DIGEST_TEXT_BYTES);
    return WEIR_OK;
}

static weir_code take_fingerprint(fingerprint **out, const reading *run, const json_token *value,
                                  weir_error *err) {
    if (value->kind != JSON_STRING || value->len % 2 != 0 || !is_hex(value->text, value->len) ||
        value->len / 2 > BUNDLE_FINGERPRINT_BYTES_MAX) {
        return refuse(run, value, "a fingerprint in lower-case hex digits, of at most 4 MiB",
                      value->kind == JSON_STRING ? "something else" : kind_name(value), err);
    }
    const size_t len = value->len / 2;
    WEIR_CLEANUP(free) uint8_t *bytes = checked_alloc(len, 1);
    if (!bytes) {
        return weir_fail_nomem(err);
    }
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (uint8_t)((unsigned)hex_digit(value->text[2 * i]) << 4 |
                             (unsigned)hex_digit(value->text[2 * i + 1]));
    }
    weir_error inside = {0};
    const weir_code code = fingerprint_decode(out, bytes, len, "fingerprint", &inside);
    if (code == WEIR_OK) {
        return WEIR_OK;
    }
    return code == WEIR_ERR_NOMEM
               ? weir_fail_nomem(err)
               : weir_fail(err, code, weir_source_name(run->source), at_byte(value->offset).text,
                           inside.expected, "%s, at %s of the fingerprint", inside.found,
                           inside.at);
}

static weir_code take_relation(weir_relation *out, const reading *run, const json_token *value,
                               weir_error *err) {
    for (weir_relation i = WEIR_RELATION_IDENTICAL; i <= WEIR_RELATION_CANNOT_DECIDE; i++) {
        if (value->kind == JSON_STRING && json_token_is(value, weir_relation_name(i))) {
            *out = i;
            return WEIR_OK;
        }
    }
    return refuse(run, value, "a verdict", "another word", err);
}

/* --- objects --- */

/* The members of an object whose bracket was read. */
static weir_code read_object(reading *run, const json_token *begin, void *object,
                             const member *members, weir_error *err) {
    bool seen[MEMBERS_MAX] = {false};
    json_token key;
    json_token value;
    for (;;) {
        size_t i = 0;
        WEIR_TRY(json_reader_next(run->json, &key, err));
        if (key.kind == JSON_OBJECT_END) {
            break;
        }
        while (members[i].name && !json_token_is(&key, members[i].name)) {
            i++;
        }
        if (!members[i].name) {
            WEIR_TRY(json_reader_skip(run->json, &key, err));
            continue;
        }
        if (seen[i]) {
            return refuse(run, &key, "each member once", members[i].name, err);
        }
        seen[i] = true;
        WEIR_TRY(json_reader_next(run->json, &value, err));
        run->object = object;
        WEIR_TRY(members[i].read(run, &value, err));
    }
    for (size_t i = 0; members[i].name; i++) {
        if (members[i].is_needed && !seen[i]) {
            return refuse(run, begin, members[i].name, "an object without it", err);
        }
    }
    return WEIR_OK;
}

/* Each item of an array whose bracket is at hand. */
static weir_code read_array(reading *run, const json_token *begin, member_reader read,
                            weir_error *err) {
    json_token item;
    if (begin->kind != JSON_ARRAY_BEGIN) {
        return refuse(run, begin, "an array", kind_name(begin), err);
    }
    for (;;) {
        WEIR_TRY(json_reader_next(run->json, &item, err));
        if (item.kind == JSON_ARRAY_END) {
            return WEIR_OK;
        }
        if (item.kind != JSON_OBJECT_BEGIN) {
            return refuse(run, &item, "an object", kind_name(&item), err);
        }
        WEIR_TRY(read(run, &item, err));
    }
}

/* Room for one more, zeroed. */
static weir_code add_item(void **out, void **items, size_t *count, size_t *capacity, size_t bytes,
                          weir_error *err) {
    if (!checked_grow(items, capacity, *count, bytes)) {
        return weir_fail_nomem(err);
    }
    *out = (char *)*items + *count * bytes;
    memset(*out, 0, bytes);
    ++*count;
    return WEIR_OK;
}

static weir_code fail_limit(const reading *run, const json_token *token, const char *expected,
                            weir_error *err) {
    return weir_fail(err, WEIR_ERR_LIMIT, weir_source_name(run->source),
                     at_byte(token->offset).text, expected, "more");
}

/* --- ranges --- */

static weir_code range_file(reading *run, const json_token *value, weir_error *err) {
    trace_range *const range = run->object;
    return take_text(&range->file, run, value, err);
}

static weir_code range_offset(reading *run, const json_token *value, weir_error *err) {
    trace_range *const range = run->object;
    return take_u64(&range->offset, run, value, INT64_MAX, err);
}

static weir_code range_bytes(reading *run, const json_token *value, weir_error *err) {
    trace_range *const range = run->object;
    return take_u64(&range->bytes, run, value, INT64_MAX, err);
}

static weir_code range_sha256(reading *run, const json_token *value, weir_error *err) {
    trace_range *const range = run->object;
    return take_hash(range->sha256, run, value, err);
}

static weir_code read_range(reading *run, const json_token *begin, weir_error *err) {
    static const member members[] = {{"file", range_file, true},
                                     {"offset", range_offset, true},
                                     {"bytes", range_bytes, true},
                                     {"sha256", range_sha256, true},
                                     {NULL, NULL, false}};
    bundle *const out = run->out;
    void *items = out->ranges;
    void *range = NULL;
    if (out->range_count == BUNDLE_RANGES_MAX) {
        return fail_limit(run, begin, "at most 1048576 ranges", err);
    }
    const weir_code code =
        add_item(&range, &items, &out->range_count, &run->range_capacity, sizeof *out->ranges, err);
    out->ranges = items;
    WEIR_TRY(code);
    return read_object(run, begin, range, members, err);
}

static weir_code read_ranges(reading *run, const json_token *value, weir_error *err) {
    return read_array(run, value, read_range, err);
}

/* --- layers --- */

static weir_code take_layer(int32_t *out, reading *run, const json_token *value, weir_error *err) {
    uint32_t number = 0;
    WEIR_TRY(take_u32(&number, run, value, INT32_MAX, err));
    *out = (int32_t)number;
    return WEIR_OK;
}

/* -2 is the shared expert. */
static weir_code take_expert(int32_t *out, reading *run, const json_token *value, weir_error *err) {
    if (value->kind == JSON_NUMBER && strcmp(value->text, "-2") == 0) {
        *out = EXPERT_SHARED;
        return WEIR_OK;
    }
    uint32_t number = 0;
    WEIR_TRY(take_u32(&number, run, value, BLOCK_EXPERTS - 1, err));
    *out = (int32_t)number;
    return WEIR_OK;
}

static weir_code layer_mine(reading *run, const json_token *value, weir_error *err) {
    return take_layer(&((bundle_layer *)run->object)->mine, run, value, err);
}

static weir_code layer_theirs(reading *run, const json_token *value, weir_error *err) {
    return take_layer(&((bundle_layer *)run->object)->theirs, run, value, err);
}

static weir_code layer_mine_expert(reading *run, const json_token *value, weir_error *err) {
    return take_expert(&((bundle_layer *)run->object)->mine_expert, run, value, err);
}

static weir_code layer_theirs_expert(reading *run, const json_token *value, weir_error *err) {
    return take_expert(&((bundle_layer *)run->object)->theirs_expert, run, value, err);
}

static weir_code layer_matched(reading *run, const json_token *value, weir_error *err) {
    return take_u32(&((bundle_layer *)run->object)->matched, run, value, INT32_MAX, err);
}

static weir_code layer_of(reading *run, const json_token *value, weir_error *err) {
    return take_u32(&((bundle_layer *)run->object)->of, run, value, INT32_MAX, err);
}

static weir_code read_layer(reading *run, const json_token *begin, weir_error *err) {
    static const member members[] = {{"mine", layer_mine, true},
                                     {"mine_expert", layer_mine_expert, false},
                                     {"theirs", layer_theirs, true},
                                     {"theirs_expert", layer_theirs_expert, false},
                                     {"matched", layer_matched, true},
                                     {"of", layer_of, true},
                                     {NULL, NULL, false}};
    bundle_candidate *const of = &run->out->candidates[run->out->candidate_count - 1];
    void *items = of->layers;
    void *item = NULL;
    if (of->layer_count == BLOCK_COUNT_MAX) {
        return fail_limit(run, begin, "at most 2048 layers", err);
    }
    const weir_code code =
        add_item(&item, &items, &of->layer_count, &run->layer_capacity, sizeof *of->layers, err);
    of->layers = items;
    WEIR_TRY(code);
    bundle_layer *const layer = item;
    layer->mine_expert = EXPERT_NONE;
    layer->theirs_expert = EXPERT_NONE;
    return read_object(run, begin, layer, members, err);
}

/* --- candidates --- */

static weir_code candidate_name(reading *run, const json_token *value, weir_error *err) {
    bundle_candidate *const candidate = run->object;
    return take_text(&candidate->name, run, value, err);
}

static weir_code candidate_verdict(reading *run, const json_token *value, weir_error *err) {
    bundle_candidate *const candidate = run->object;
    WEIR_TRY(take_relation(&candidate->relation, run, value, err));
    return candidate->relation <= WEIR_RELATION_RELATED
               ? WEIR_OK
               : refuse(run, value, "identical, derived or related", value->text, err);
}

static weir_code candidate_direction(reading *run, const json_token *value, weir_error *err) {
    bundle_candidate *const candidate = run->object;
    for (trace_direction i = TRACE_DIRECTION_UNKNOWN; i <= TRACE_TO; i++) {
        if (value->kind == JSON_STRING && json_token_is(value, trace_direction_name(i))) {
            candidate->direction = i;
            return WEIR_OK;
        }
    }
    return refuse(run, value, "from, to or unknown", kind_name(value), err);
}

static weir_code candidate_log10_p(reading *run, const json_token *value, weir_error *err) {
    bundle_candidate *const candidate = run->object;
    if (value->kind != JSON_NUMBER || !json_token_double(value, &candidate->log10_p) ||
        candidate->log10_p > 0) {
        return refuse(run, value, "a number of at most 0",
                      value->kind == JSON_NUMBER ? value->text : kind_name(value), err);
    }
    return WEIR_OK;
}

static weir_code candidate_matched_by(reading *run, const json_token *value, weir_error *err) {
    bundle_candidate *const candidate = run->object;
    candidate->by_units = json_token_is(value, "units");
    return value->kind == JSON_STRING && (candidate->by_units || json_token_is(value, "rows") ||
                                          json_token_is(value, "tokens"))
               ? WEIR_OK
               : refuse(run, value, "rows, tokens or units", kind_name(value), err);
}

static weir_code candidate_payload_id(reading *run, const json_token *value, weir_error *err) {
    bundle_candidate *const candidate = run->object;
    return value->kind == JSON_NULL ? WEIR_OK : take_hash(candidate->payload_id, run, value, err);
}

static weir_code candidate_layers(reading *run, const json_token *value, weir_error *err) {
    run->layer_capacity = 0;
    return read_array(run, value, read_layer, err);
}

static weir_code candidate_fingerprint(reading *run, const json_token *value, weir_error *err) {
    bundle_candidate *const candidate = run->object;
    return take_fingerprint(&candidate->sketch, run, value, err);
}

static weir_code read_candidate(reading *run, const json_token *begin, weir_error *err) {
    static const member members[] = {{"name", candidate_name, true},
                                     {"verdict", candidate_verdict, true},
                                     {"direction", candidate_direction, true},
                                     {"log10_p", candidate_log10_p, true},
                                     {"matched_by", candidate_matched_by, true},
                                     {"payload_id", candidate_payload_id, true},
                                     {"layers", candidate_layers, true},
                                     {"fingerprint", candidate_fingerprint, true},
                                     {NULL, NULL, false}};
    bundle *const out = run->out;
    void *items = out->candidates;
    void *item = NULL;
    if (out->candidate_count == TRACE_CANDIDATES_MAX) {
        return fail_limit(run, begin, "at most 64 candidates", err);
    }
    const weir_code code = add_item(&item, &items, &out->candidate_count, &run->candidate_capacity,
                                    sizeof *out->candidates, err);
    out->candidates = items;
    WEIR_TRY(code);
    return read_object(run, begin, item, members, err);
}

/* --- the whole --- */

static weir_code bundle_schema(reading *run, const json_token *value, weir_error *err) {
    if (value->kind == JSON_STRING && json_token_is(value, "weir.bundle/1")) {
        return WEIR_OK;
    }
    return refuse(run, value, "the schema weir.bundle/1",
                  value->kind == JSON_STRING ? value->text : kind_name(value), err);
}

static weir_code bundle_lenient(reading *run, const json_token *value, weir_error *err) {
    run->out->lenient = value->kind == JSON_TRUE;
    return value->kind == JSON_TRUE || value->kind == JSON_FALSE
               ? WEIR_OK
               : refuse(run, value, "true or false", kind_name(value), err);
}

static weir_code model_name(reading *run, const json_token *value, weir_error *err) {
    return take_text(&run->out->name, run, value, err);
}

static weir_code model_payload(reading *run, const json_token *value, weir_error *err) {
    return value->kind == JSON_NULL ? WEIR_OK : take_hash(run->out->payload_id, run, value, err);
}

static weir_code model_fingerprint(reading *run, const json_token *value, weir_error *err) {
    return take_fingerprint(&run->out->sketch, run, value, err);
}

static weir_code bundle_model(reading *run, const json_token *value, weir_error *err) {
    static const member members[] = {{"name", model_name, true},
                                     {"payload_id", model_payload, true},
                                     {"fingerprint", model_fingerprint, true},
                                     {NULL, NULL, false}};
    if (value->kind != JSON_OBJECT_BEGIN) {
        return refuse(run, value, "an object", kind_name(value), err);
    }
    const json_token begin = *value;
    return read_object(run, &begin, NULL, members, err);
}

static weir_code bundle_verdict(reading *run, const json_token *value, weir_error *err) {
    return take_relation(&run->out->relation, run, value, err);
}

static weir_code bundle_entries(reading *run, const json_token *value, weir_error *err) {
    return take_u64(&run->out->entries, run, value, UINT64_MAX, err);
}

static weir_code bundle_candidates(reading *run, const json_token *value, weir_error *err) {
    return read_array(run, value, read_candidate, err);
}

/* What was found has been searched for, and a verdict of a link has a candidate. */
static weir_code check_whole(const reading *run, const json_token *begin, weir_error *err) {
    const bundle *const out = run->out;
    if (out->candidate_count > out->entries) {
        return refuse(run, begin, "entries that include the candidates", "fewer", err);
    }
    if ((out->relation <= WEIR_RELATION_RELATED) != (out->candidate_count > 0)) {
        return refuse(run, begin, "candidates where the verdict is a link, and none elsewhere",
                      "otherwise", err);
    }
    return WEIR_OK;
}

static weir_code read_whole(reading *run, weir_error *err) {
    static const member members[] = {
        {"schema", bundle_schema, true},   {"lenient", bundle_lenient, true},
        {"model", bundle_model, true},     {"verdict", bundle_verdict, true},
        {"entries", bundle_entries, true}, {"candidates", bundle_candidates, true},
        {"ranges", read_ranges, true},     {NULL, NULL, false}};
    json_token token;
    WEIR_TRY(json_reader_next(run->json, &token, err));
    if (token.kind != JSON_OBJECT_BEGIN) {
        return refuse(run, &token, "a bundle, which is an object", kind_name(&token), err);
    }
    const json_token begin = token;
    WEIR_TRY(read_object(run, &begin, NULL, members, err));
    WEIR_TRY(json_reader_next(run->json, &token, err)); /* nothing stands behind it */
    return check_whole(run, &begin, err);
}

static void reading_release_cleanup(reading *run) {
    json_reader_free(run->json);
}

weir_code bundle_read(bundle **out, weir_source *source, weir_error *err) {
    WEIR_CLEANUP(reading_release) reading run = {.source = source};
    WEIR_CLEANUP(bundle_free) bundle *made = calloc(1, sizeof *made);
    if (!made) {
        return weir_fail_nomem(err);
    }
    if (weir_source_size(source) > BUNDLE_BYTES_MAX) {
        return weir_fail(err, WEIR_ERR_LIMIT, weir_source_name(source), NULL,
                         "a bundle of at most 1 GiB", "%" PRIu64 " bytes",
                         weir_source_size(source));
    }
    run.out = made;
    WEIR_TRY(json_reader_open(&run.json, source, 0, weir_source_size(source), NULL, err));
    WEIR_TRY(read_whole(&run, err));
    *out = WEIR_TAKE(made);
    return WEIR_OK;
}

void bundle_free(bundle *it) {
    if (!it) {
        return;
    }
    for (size_t i = 0; i < it->candidate_count; i++) {
        fingerprint_free(it->candidates[i].sketch);
        free(it->candidates[i].layers);
    }
    fingerprint_free(it->sketch);
    free(it->candidates);
    free(it->ranges);
    arena_release(&it->memory);
    free(it);
}
