/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A record's checksum is a SHA-256 over its fields, so that a flipped byte anywhere in it is
 * noticed when it is read: number  8 bytes, little-endian text    its length + 1 as a number, then
 * its bytes; an absent text is the number 0 in the order row, name, id, payload_id, location,
 * added, removed, reason, parameters, tensors, hidden, feed_forward, layers, vocabulary, blocks,
 * fingerprint_id, fingerprint_bytes, count of claims, and of each claim name, value, file, at.
 *
 * The chain of states: id' = SHA-256(text id, number row, text fingerprint_id).
 */
#include "registry/record.h"

#include <string.h>

static void add_number(digest *state, uint64_t value) {
    uint8_t bytes[8];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(value >> (8 * i));
    }
    digest_update(state, bytes, sizeof bytes);
}

static void add_text(digest *state, const char *text) {
    if (!text) {
        add_number(state, 0);
        return;
    }
    const size_t len = strlen(text);
    add_number(state, (uint64_t)len + 1);
    digest_update(state, text, len);
}

static void add_claims(digest *state, const weir_registry_entry *entry) {
    add_number(state, entry->claim_count);
    for (size_t i = 0; i < entry->claim_count; i++) {
        add_text(state, entry->claims[i].name);
        add_text(state, entry->claims[i].value);
        add_text(state, entry->claims[i].file);
        add_text(state, entry->claims[i].at);
    }
}

weir_code record_checksum(uint8_t out[static DIGEST_BYTES], const weir_registry_entry *entry,
                          weir_error *err) {
    WEIR_CLEANUP(digest_free) digest *state = NULL;
    WEIR_TRY(digest_new(&state, err));
    add_number(state, entry->row);
    add_text(state, entry->name);
    add_text(state, entry->id);
    add_text(state, entry->payload_id);
    add_text(state, entry->location);
    add_number(state, entry->added);
    add_number(state, entry->removed);
    add_text(state, entry->reason);
    add_number(state, entry->parameters);
    add_number(state, entry->tensors);
    add_number(state, entry->hidden);
    add_number(state, entry->feed_forward);
    add_number(state, entry->layers);
    add_number(state, entry->vocabulary);
    add_number(state, entry->blocks);
    add_text(state, entry->fingerprint_id);
    add_number(state, entry->fingerprint_bytes);
    add_claims(state, entry);
    digest_finish(state, out);
    return WEIR_OK;
}

weir_code record_hash(uint8_t out[static DIGEST_BYTES], const void *bytes, size_t len,
                      weir_error *err) {
    WEIR_CLEANUP(digest_free) digest *state = NULL;
    WEIR_TRY(digest_new(&state, err));
    digest_update(state, bytes, len);
    digest_finish(state, out);
    return WEIR_OK;
}

weir_code record_chain(char id[static DIGEST_TEXT_BYTES], uint64_t row, const char *fingerprint_id,
                       weir_error *err) {
    WEIR_CLEANUP(digest_free) digest *state = NULL;
    uint8_t next[DIGEST_BYTES];
    WEIR_TRY(digest_new(&state, err));
    add_text(state, id);
    add_number(state, row);
    add_text(state, fingerprint_id);
    digest_finish(state, next);
    digest_format(id, next);
    return WEIR_OK;
}
