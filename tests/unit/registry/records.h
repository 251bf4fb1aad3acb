/* SPDX-License-Identifier: Apache-2.0 */
/** @file records.h  Records to put into a store, and a folder for its file. */
#ifndef WEIR_TESTS_RECORDS_H
#define WEIR_TESTS_RECORDS_H

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../testing.h"
#include "registry/record.h"
#include "registry/store.h"

enum { FINGERPRINT_BYTES = 9000, PATH_BYTES = 128 };

typedef struct sample {
    weir_registry_entry entry;
    weir_claim claims[2];
    char fingerprint_id[DIGEST_TEXT_BYTES];
    uint8_t fingerprint[FINGERPRINT_BYTES];
    uint8_t hot[STORE_HOT_BYTES];
    store_record record;
} sample;

/** A record whose fingerprint is made from `seed`; in static memory that the next call of the same
 * slot overwrites. */
static inline const store_record *make_record(sample *out, const char *name, unsigned seed) {
    uint8_t hash[DIGEST_BYTES];
    for (size_t i = 0; i < sizeof out->fingerprint; i++) {
        out->fingerprint[i] = (uint8_t)(seed * 31 + i * 7 + i / 251);
    }
    for (size_t i = 0; i < sizeof out->hot; i++) {
        out->hot[i] = (uint8_t)(seed + i);
    }
    assert_int_equal(record_hash(hash, out->fingerprint, sizeof out->fingerprint, NULL), WEIR_OK);
    digest_format(out->fingerprint_id, hash);
    out->claims[0] = (weir_claim){"config.model_type", "llama", "config.json", "line 3"};
    out->claims[1] = (weir_claim){"card.license", "apache-2.0", "README.md", ""};
    out->entry = (weir_registry_entry){
        .name = name,
        .location = "/models/one",
        .claims = out->claims,
        .claim_count = 2,
        .parameters = UINT64_C(134515008),
        .tensors = 272,
        .hidden = 576,
        .feed_forward = 1536,
        .layers = 30,
        .vocabulary = 49152,
        .blocks = 30,
        .fingerprint_id = out->fingerprint_id,
        .fingerprint_bytes = sizeof out->fingerprint,
    };
    out->record = (store_record){&out->entry, out->fingerprint, out->hot};
    return &out->record;
}

/** A fresh folder; *path is a file in it that does not exist. */
typedef struct test_place {
    char folder[PATH_BYTES];
    char path[PATH_BYTES + 16];
} test_place;

static inline void make_place(test_place *spot) {
    (void)snprintf(spot->folder, sizeof spot->folder, "/tmp/weir-registry-XXXXXX");
    assert_non_null(mkdtemp(spot->folder));
    (void)snprintf(spot->path, sizeof spot->path, "%s/registry.db", spot->folder);
}

static inline void remove_place(const test_place *spot) {
    char journal[sizeof spot->path + 16];
    (void)snprintf(journal, sizeof journal, "%s-journal", spot->path);
    (void)unlink(journal);
    (void)unlink(spot->path);
    assert_int_equal(rmdir(spot->folder), 0);
}

#endif
