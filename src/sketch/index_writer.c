/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entries go to their families as they come; a member is cut to its short code at once, so that
 * memory is what leaders and short codes take. When all are there, leaders are ordered by group and
 * members by family, and the sections are written one after the other.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "sketch/families.h"
#include "sketch/index_file.h"

typedef struct member {
    uint64_t entry;
    uint32_t leader;
    uint8_t code[SHORT_BYTES];
} member;

struct search_index_writer {
    families all;
    member *members; /* in the order of their entries */
    size_t member_count;
    size_t member_capacity;
    uint64_t last_entry;
    bool has_entries;
};

/* What stands where in the file. */
typedef struct order {
    uint32_t *groups;  /* by hidden and parts */
    uint32_t *leaders; /* by group, then entry */
    uint32_t *first;   /* per leader, by its number in families: its first member in `members` */
    uint32_t *members; /* by family, then entry */
} order;

weir_code search_index_writer_open(search_index_writer **out, weir_error *err) {
    search_index_writer *writer = calloc(1, sizeof *writer);
    if (!writer) {
        return weir_fail_nomem(err);
    }
    *out = writer;
    return WEIR_OK;
}

static weir_code check_addition(const search_index_writer *writer, uint64_t entry,
                                weir_error *err) {
    if (writer->has_entries && entry <= writer->last_entry) {
        return weir_fail(err, WEIR_ERR_ARG, NULL, NULL, "entries in ascending order",
                         "%" PRIu64 " after %" PRIu64, entry, writer->last_entry);
    }
    if (writer->all.leader_count + writer->member_count == SEARCH_ENTRIES_MAX) {
        return weir_fail(err, WEIR_ERR_LIMIT, NULL, NULL, "fewer entries", "more than %d",
                         SEARCH_ENTRIES_MAX);
    }
    return WEIR_OK;
}

static void shorten(uint8_t out[static SHORT_BYTES], const hot_code *code) {
    uint8_t unit[UNIT_BYTES];
    uint8_t token[TOKEN_BYTES];
    index_put_words(unit, code->unit, HOT_UNIT_WORDS);
    index_put_words(token, code->token, HOT_TOKEN_WORDS);
    index_shorten(out, unit, token, hot_code_parts(code));
}

static weir_code add_to_family(search_index_writer *writer, uint64_t entry, const hot_code *code,
                               weir_error *err) {
    void *members = writer->members;
    const bool grown = checked_grow(&members, &writer->member_capacity, writer->member_count,
                                    sizeof *writer->members);
    writer->members = members;
    if (!grown) {
        return weir_fail_nomem(err);
    }
    bool is_leader;
    uint32_t leader;
    WEIR_TRY(families_add(&writer->all, &leader, &is_leader, entry, code, err));
    if (!is_leader) {
        member *at = &writer->members[writer->member_count++];
        *at = (member){.entry = entry, .leader = leader};
        shorten(at->code, code);
    }
    return WEIR_OK;
}

weir_code search_index_writer_add(search_index_writer *writer, uint64_t entry, const hot_code *code,
                                  weir_error *err) {
    WEIR_TRY(check_addition(writer, entry, err));
    if (code->has_unit || code->has_token) {
        WEIR_TRY(add_to_family(writer, entry, code, err));
    }
    writer->last_entry = entry;
    writer->has_entries = true;
    return WEIR_OK;
}

static int compare_groups(const void *a, const void *b, void *context) {
    const index_group *groups = context;
    const index_group *x = &groups[*(const uint32_t *)a];
    const index_group *y = &groups[*(const uint32_t *)b];
    return x->hidden != y->hidden ? (x->hidden > y->hidden) - (x->hidden < y->hidden)
                                  : (x->parts > y->parts) - (x->parts < y->parts);
}

static void release_order(order *of) {
    free(of->groups);
    free(of->leaders);
    free(of->first);
    free(of->members);
}

static inline void release_order_cleanup(order *of) {
    release_order(of);
}

static void order_leaders(order *out, const families *all, uint32_t *start) {
    for (uint32_t i = 0; i < all->group_count; i++) {
        out->groups[i] = i;
    }
    qsort_r(out->groups, all->group_count, sizeof *out->groups, compare_groups, all->groups);
    uint32_t next = 0;
    for (size_t i = 0; i < all->group_count; i++) {
        start[out->groups[i]] = next;
        next += all->groups[out->groups[i]].leader_count;
    }
    for (uint32_t i = 0; i < all->leader_count; i++) {
        out->leaders[start[all->leaders[i].group]++] = i;
    }
}

static void order_members(order *out, const search_index_writer *writer) {
    uint32_t next = 0;
    for (size_t i = 0; i < writer->all.leader_count; i++) {
        const uint32_t leader = out->leaders[i];
        out->first[leader] = next;
        next += writer->all.leaders[leader].member_count;
    }
    for (uint32_t i = 0; i < writer->member_count; i++) {
        out->members[out->first[writer->members[i].leader]++] = i;
    }
    /* Each `first` now is its family's end. */
    for (size_t i = 0; i < writer->all.leader_count; i++) {
        out->first[i] -= writer->all.leaders[i].member_count;
    }
}

static weir_code make_order(order *out, const search_index_writer *writer, weir_error *err) {
    const families *all = &writer->all;
    out->groups = checked_alloc(all->group_count, sizeof *out->groups);
    out->leaders = calloc(all->leader_count + 1, sizeof *out->leaders);
    out->first = calloc(all->leader_count + 1, sizeof *out->first);
    out->members = calloc(writer->member_count + 1, sizeof *out->members);
    WEIR_CLEANUP(free) uint32_t *start = checked_alloc(all->group_count, sizeof *start);
    if (!out->groups || !out->leaders || !out->first || !out->members || !start) {
        return weir_fail_nomem(err);
    }
    order_leaders(out, all, start);
    order_members(out, writer);
    return WEIR_OK;
}

static weir_code write_groups(index_file *file, const order *by, const families *all,
                              weir_error *err) {
    for (size_t i = 0; i < all->group_count; i++) {
        const index_group *group = &all->groups[by->groups[i]];
        uint8_t bytes[GROUP_BYTES] = {0};
        index_put_u32(bytes, group->hidden);
        index_put_u32(bytes + 4, group->parts);
        index_put_u32(bytes + 8, group->leader_count);
        WEIR_TRY(index_file_write(file, bytes, sizeof bytes, err));
    }
    return WEIR_OK;
}

static weir_code write_leader(index_file *file, index_section section, const order *by,
                              const families *all, size_t leader, weir_error *err) {
    if (section == SECTION_UNIT_CODES) {
        return index_file_write(file, all->unit[leader], UNIT_BYTES, err);
    }
    if (section == SECTION_TOKEN_CODES) {
        return index_file_write(file, all->token[leader], TOKEN_BYTES, err);
    }
    uint8_t bytes[LEADER_BYTES];
    index_put_u64(bytes, all->leaders[leader].entry);
    index_put_u32(bytes + 8, by->first[leader]);
    index_put_u32(bytes + 12, all->leaders[leader].member_count);
    return index_file_write(file, bytes, sizeof bytes, err);
}

static weir_code write_member(index_file *file, index_section section, const member *one,
                              weir_error *err) {
    if (section == SECTION_MEMBER_CODES) {
        return index_file_write(file, one->code, SHORT_BYTES, err);
    }
    uint8_t bytes[ENTRY_BYTES];
    index_put_u64(bytes, one->entry);
    return index_file_write(file, bytes, sizeof bytes, err);
}

static weir_code write_section(index_file *file, index_section section, const order *by,
                               const search_index_writer *writer, weir_error *err) {
    const families *all = &writer->all;
    if (section == SECTION_GROUPS) {
        return write_groups(file, by, all, err);
    }
    const bool is_of_leaders = section < SECTION_MEMBER_CODES;
    const size_t count = is_of_leaders ? all->leader_count : writer->member_count;
    for (size_t i = 0; i < count; i++) {
        WEIR_TRY(is_of_leaders
                     ? write_leader(file, section, by, all, by->leaders[i], err)
                     : write_member(file, section, &writer->members[by->members[i]], err));
    }
    return WEIR_OK;
}

static void put_numbers(uint8_t *header, const index_counts *counts, uint64_t generation,
                        uint64_t file_bytes) {
    /* NOLINTNEXTLINE(bugprone-not-null-terminated-result): 8 bytes, no text */
    memcpy(header, INDEX_MAGIC, 8);
    index_put_u32(header + 8, INDEX_VERSION);
    index_put_u32(header + 12, INDEX_HEADER_BYTES);
    index_put_u64(header + 16, generation);
    index_put_u64(header + 24, file_bytes);
    index_put_u64(header + 32, counts->entries);
    index_put_u64(header + 40, counts->leaders);
    index_put_u32(header + 48, counts->groups);
    index_put_u32(header + 52, 0);
}

weir_code search_index_writer_finish(search_index_writer *writer, const char *path,
                                     uint64_t generation, weir_error *err) {
    const index_counts counts = {.entries = writer->all.leader_count + writer->member_count,
                                 .leaders = writer->all.leader_count,
                                 .groups = (uint32_t)writer->all.group_count};
    index_extent at[SECTION_COUNT];
    uint64_t file_bytes;
    if (!index_layout(at, &file_bytes, &counts)) {
        return weir_fail_nomem(err);
    }
    WEIR_CLEANUP(release_order) order by = {0};
    WEIR_TRY(make_order(&by, writer, err));
    WEIR_CLEANUP(index_file_release) index_file file = {.fd = -1};
    WEIR_TRY(index_file_open(&file, path, err));
    uint8_t header[INDEX_HEADER_BYTES] = {0};
    put_numbers(header, &counts, generation, file_bytes);
    for (size_t i = 0; i < SECTION_COUNT; i++) {
        uint8_t *row = header + INDEX_SECTIONS_AT + i * INDEX_SECTION_ROW_BYTES;
        index_put_u64(row, at[i].offset);
        index_put_u64(row + 8, at[i].bytes);
        WEIR_TRY(index_file_begin(&file, &at[i], err));
        WEIR_TRY(write_section(&file, (index_section)i, &by, writer, err));
        WEIR_TRY(index_file_end(&file, row + 16, err));
    }
    return index_file_commit(&file, header, err);
}

void search_index_writer_free(search_index_writer *writer) {
    if (writer) {
        families_release(&writer->all);
        free(writer->members);
        free(writer);
    }
}
