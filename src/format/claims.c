/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything that is kept was made printable first, so that a claim can be shown on a terminal and
 * compared as it is shown. A value that is cut ends with a note that has the first half of its
 * SHA-256, so that two long values which differ behind the cut are seen to differ.
 */
#include "format/claims.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "base/limits.h"
#include "base/text.h"
#include "io/digest.h"

enum {
    CUT_NOTE_BYTES = 80,
    LABEL_BYTES_MAX = 512,     /* a name, a file, a place: what is longer ends there */
    ESCAPE_BYTES_PER_BYTE = 4, /* one byte becomes "\xNN" at worst */
};

static const char *copy_label(arena *memory, const char *text) {
    char printable[LABEL_BYTES_MAX];
    text_escape(printable, sizeof printable, text ? text : "", text ? strlen(text) : 0);
    return arena_copy_text(memory, printable, strlen(printable));
}

/* The longest prefix of at most CLAIM_VALUE_BYTES_MAX bytes that splits no UTF-8 character. */
static size_t kept_bytes(const char *value, size_t len) {
    if (len <= CLAIM_VALUE_BYTES_MAX) {
        return len;
    }
    size_t kept = CLAIM_VALUE_BYTES_MAX;
    for (size_t back = 0; back < 3 && ((unsigned char)value[kept] & 0xC0u) == 0x80u; back++) {
        kept--;
    }
    return kept;
}

static weir_code note_cut(char out[CUT_NOTE_BYTES], const char *value, size_t len,
                          weir_error *err) {
    WEIR_CLEANUP(digest_free) digest *hash = NULL;
    uint8_t bytes[DIGEST_BYTES];
    char text[DIGEST_TEXT_BYTES];
    WEIR_TRY(digest_new(&hash, err));
    digest_update(hash, value, len);
    digest_finish(hash, bytes);
    digest_format(text, bytes);
    (void)snprintf(out, CUT_NOTE_BYTES, " [cut; sha256 of %zu bytes: %.32s]", len, text);
    return WEIR_OK;
}

static weir_code copy_value(const char **out, arena *memory, const char *value, size_t len,
                            weir_error *err) {
    char printable[(size_t)CLAIM_VALUE_BYTES_MAX * ESCAPE_BYTES_PER_BYTE + 1 + CUT_NOTE_BYTES];
    const size_t kept = kept_bytes(value, len);
    text_escape(printable, sizeof printable - CUT_NOTE_BYTES, value, kept);
    if (kept < len) {
        WEIR_TRY(note_cut(printable + strlen(printable), value, len, err));
    }
    *out = arena_copy_text(memory, printable, strlen(printable));
    return *out ? WEIR_OK : weir_fail_nomem(err);
}

weir_code claims_add(claims *list, const weir_claim *claim, size_t value_len, weir_error *err) {
    void *items = list->items;
    if (!checked_grow(&items, &list->capacity, list->count, sizeof *list->items)) {
        return weir_fail_nomem(err);
    }
    list->items = items;
    const char *value;
    WEIR_TRY(copy_value(&value, &list->memory, claim->value, value_len, err));
    const weir_claim copy = {.name = copy_label(&list->memory, claim->name),
                             .value = value,
                             .file = copy_label(&list->memory, claim->file),
                             .at = copy_label(&list->memory, claim->at)};
    if (!copy.name || !copy.file || !copy.at) {
        return weir_fail_nomem(err);
    }
    list->items[list->count++] = copy;
    return WEIR_OK;
}

const char *claims_find(const claims *list, const char *name) {
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->items[i].name, name) == 0) {
            return list->items[i].value;
        }
    }
    return NULL;
}

bool claims_find_u64(const claims *list, const char *name, uint64_t *out) {
    const char *value = claims_find(list, name);
    if (!value || value[0] == '\0') {
        return false;
    }
    uint64_t number = 0;
    for (const char *digit = value; *digit != '\0'; digit++) {
        if (*digit < '0' || *digit > '9' || !checked_mul_u64(&number, number, 10) ||
            !checked_add_u64(&number, number, (uint64_t)(*digit - '0'))) {
            return false;
        }
    }
    *out = number;
    return true;
}

void claims_release(claims *list) {
    arena_release(&list->memory);
    free(list->items);
    *list = (claims){0};
}
