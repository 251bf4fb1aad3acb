/* SPDX-License-Identifier: Apache-2.0 */
#include "sketch/families.h"

#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "base/hash.h"
#include "kernel/hamming.h"

/* What is added, as bytes. */
typedef struct candidate {
    uint64_t entry;
    uint32_t group;
    uint32_t parts;
    uint8_t unit[UNIT_BYTES];
    uint8_t token[TOKEN_BYTES];
} candidate;

static weir_code find_group(families *in, uint32_t *out, uint32_t hidden, uint32_t parts,
                            weir_error *err) {
    for (size_t i = in->group_count; i-- > 0;) {
        if (in->groups[i].hidden == hidden && in->groups[i].parts == parts) {
            *out = (uint32_t)i;
            return WEIR_OK;
        }
    }
    if (in->group_count == INDEX_GROUPS_MAX) {
        return weir_fail(err, WEIR_ERR_LIMIT, NULL, NULL, "models of fewer widths", "more than %d",
                         INDEX_GROUPS_MAX);
    }
    void *groups = in->groups;
    const bool grown =
        checked_grow(&groups, &in->group_capacity, in->group_count, sizeof *in->groups);
    in->groups = groups;
    if (!grown) {
        return weir_fail_nomem(err);
    }
    in->groups[in->group_count] = (index_group){.hidden = hidden, .parts = parts};
    *out = (uint32_t)in->group_count++;
    return WEIR_OK;
}

/* Table t has key_bits of the code, from the start of one of its 64 (or, of one part, 32 half)
 * words; the group is mixed in. */
static size_t slot(const families *in, size_t table, const uint8_t *unit, const uint8_t *token,
                   const index_group *group) {
    const uint8_t *at = group->parts & PART_GATE   ? unit + 8 * table
                        : group->parts & PART_UNIT ? unit + 4 * table
                                                   : token + 4 * table;
    const uint64_t salt = hash_mix((uint64_t)group->hidden << 8 | group->parts);
    const uint64_t mask = ((uint64_t)1 << in->key_bits) - 1;
    return (table << in->key_bits) + (size_t)((index_get_u32(at) ^ salt) & mask);
}

static void link_leader(families *in, size_t leader) {
    const index_group *group = &in->groups[in->leaders[leader].group];
    for (size_t table = 0; table < FAMILY_TABLES; table++) {
        int32_t *head = &in->heads[slot(in, table, in->unit[leader], in->token[leader], group)];
        in->next[leader][table] = *head;
        *head = (int32_t)leader;
    }
}

/* Longer keys for more leaders. */
static weir_code make_tables(families *in, unsigned key_bits, weir_error *err) {
    const size_t count = (size_t)FAMILY_TABLES << key_bits;
    int32_t *heads = checked_alloc(count, sizeof *heads);
    if (!heads) {
        return weir_fail_nomem(err);
    }
    memset(heads, 0xFF, count * sizeof *heads); /* FAMILY_NONE */
    free(in->heads);
    in->heads = heads;
    in->key_bits = key_bits;
    for (size_t leader = 0; leader < in->leader_count; leader++) {
        link_leader(in, leader);
    }
    return WEIR_OK;
}

static weir_code keep_tables_wide(families *in, weir_error *err) {
    if (!in->heads) {
        return make_tables(in, FAMILY_KEY_BITS_MIN, err);
    }
    const bool is_full = in->leader_count >> in->key_bits != 0;
    return is_full && in->key_bits < FAMILY_KEY_BITS_MAX ? make_tables(in, in->key_bits + 1, err)
                                                         : WEIR_OK;
}

/* Bits that differ, or at least `most` of them. The first step decides for nearly all strangers: a
 * third of its bits is 7.5 standard deviations from a half, and as far from a sixth. */
static uint32_t bits_apart(const uint8_t *a, const uint8_t *b, size_t bytes, uint32_t most) {
    if (hamming_distance(a, b, HAMMING_STEP) > 8 * HAMMING_STEP / 3) {
        return most;
    }
    const uint32_t apart = hamming_distance(a, b, bytes);
    return apart < most ? apart : most;
}

/* A code counts as near when it is less than this many bits apart. */
static uint32_t border(size_t bytes) {
    return (uint32_t)(8 * bytes + 5) / 6;
}

/* How far a leader is in both parts together; UINT32_MAX when it is not near in each. */
static uint32_t distance_to(const families *in, size_t leader, const candidate *of) {
    uint32_t sum = 0;
    if (in->leaders[leader].group != of->group) {
        return UINT32_MAX;
    }
    if (of->parts & PART_UNIT) {
        const size_t bytes = of->parts & PART_GATE ? UNIT_BYTES : UNIT_BYTES / 2;
        const uint32_t apart = bits_apart(in->unit[leader], of->unit, bytes, border(bytes));
        if (apart == border(bytes)) {
            return UINT32_MAX;
        }
        sum += apart;
    }
    if (of->parts & PART_TOKEN) {
        const uint32_t apart =
            bits_apart(in->token[leader], of->token, TOKEN_BYTES, border(TOKEN_BYTES));
        if (apart == border(TOKEN_BYTES)) {
            return UINT32_MAX;
        }
        sum += apart;
    }
    return sum;
}

/* The nearest of those that a table knows, table after table; the first of equals. */
static int32_t find_near(const families *in, const candidate *of) {
    int32_t nearest = FAMILY_NONE;
    uint32_t best = UINT32_MAX;
    size_t tries = 0;
    for (size_t table = 0; table < FAMILY_TABLES; table++) {
        const index_group *group = &in->groups[of->group];
        int32_t leader = in->heads[slot(in, table, of->unit, of->token, group)];
        while (leader != FAMILY_NONE && tries < FAMILY_TRIES) {
            const uint32_t apart = distance_to(in, (size_t)leader, of);
            nearest = apart < best ? leader : nearest;
            best = apart < best ? apart : best;
            leader = in->next[leader][table];
            tries++;
        }
        if (best == 0 || tries == FAMILY_TRIES) {
            break;
        }
    }
    return nearest;
}

static bool grow(void **items, size_t capacity, size_t size) {
    size_t bytes;
    void *moved = checked_mul_size(&bytes, capacity, size) ? realloc(*items, bytes) : NULL;
    *items = moved ? moved : *items;
    return moved != NULL;
}

static weir_code make_room(families *in, weir_error *err) {
    if (in->leader_count < in->leader_capacity) {
        return WEIR_OK;
    }
    const size_t wanted = in->leader_capacity ? 2 * in->leader_capacity : 64;
    void *leaders = in->leaders;
    void *unit = in->unit;
    void *token = in->token;
    void *next = in->next;
    const bool grown =
        grow(&leaders, wanted, sizeof *in->leaders) && grow(&unit, wanted, sizeof *in->unit) &&
        grow(&token, wanted, sizeof *in->token) && grow(&next, wanted, sizeof *in->next);
    in->leaders = leaders;
    in->unit = unit;
    in->token = token;
    in->next = next;
    if (!grown) {
        return weir_fail_nomem(err);
    }
    in->leader_capacity = wanted;
    return WEIR_OK;
}

static weir_code add_leader(families *to, uint32_t *out, const candidate *of, weir_error *err) {
    WEIR_TRY(make_room(to, err));
    WEIR_TRY(keep_tables_wide(to, err));
    const size_t at = to->leader_count;
    to->leaders[at] = (family_leader){.entry = of->entry, .group = of->group};
    memcpy(to->unit[at], of->unit, sizeof of->unit);
    memcpy(to->token[at], of->token, sizeof of->token);
    link_leader(to, at);
    to->groups[of->group].leader_count++;
    to->leader_count++;
    *out = (uint32_t)at;
    return WEIR_OK;
}

weir_code families_add(families *to, uint32_t *leader, bool *is_leader, uint64_t entry,
                       const hot_code *code, weir_error *err) {
    candidate of = {.entry = entry, .parts = hot_code_parts(code)};
    index_put_words(of.unit, code->unit, HOT_UNIT_WORDS);
    index_put_words(of.token, code->token, HOT_TOKEN_WORDS);
    WEIR_TRY(find_group(to, &of.group, code->hidden, of.parts, err));
    const int32_t near = to->heads ? find_near(to, &of) : FAMILY_NONE;
    *is_leader = near == FAMILY_NONE;
    if (*is_leader) {
        return add_leader(to, leader, &of, err);
    }
    *leader = (uint32_t)near;
    to->leaders[near].member_count++;
    return WEIR_OK;
}

void families_release(families *all) {
    free(all->groups);
    free(all->leaders);
    free(all->unit);
    free(all->token);
    free(all->next);
    free(all->heads);
    *all = (families){0};
}
