/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file families.h  Who is a leader and who is a member: most published models are a base with
 * little changed, and their hot codes differ from its own in a few bits of a hundred.
 *
 * Entries come one after the other. One whose unit code and whose token code, of those it has, both
 * differ in less than a sixth of the bits from a leader's, of equal width and parts, becomes a
 * member of that leader's family; any other becomes a leader. A sixth is R = cos(pi / 6) = .87 of
 * hot_code.c, a cosine of rows of about .985: casts, 8- and 4-bit quantisation, adapters and
 * fine-tunes stay below it (.02 to .12). A search that would see a member's code with z sees the
 * leader's with .87 z at least.
 *
 * Near leaders are found without comparing all pairs: 64 tables, each keyed by other bits of the
 * code, at most 20 of them and about as many as tell the leaders apart. A code that differs in a
 * share d of the bits has one of 20-bit keys in common with probability 1 - (1 - (1 - d)^20)^64:
 * more than .99 up to d = .12, .92 at .15, .82 at a sixth. Who is missed becomes a leader: that
 * costs space, not answers. At most FAMILY_TRIES codes are compared for one entry, so that no set
 * of entries makes the work grow with its square.
 */
#ifndef WEIR_SKETCH_FAMILIES_H
#define WEIR_SKETCH_FAMILIES_H

#include "sketch/index_format.h"

enum {
    FAMILY_TABLES = 64,
    FAMILY_KEY_BITS_MIN = 8,
    FAMILY_KEY_BITS_MAX = 20,
    FAMILY_TRIES = 256,
    FAMILY_NONE = -1,
};

typedef struct family_leader {
    uint64_t entry;
    uint32_t group;
    uint32_t member_count;
} family_leader;

/** Zero-initialise; release with families_release(). */
typedef struct families {
    index_group *groups; /**< in the order of their first entry; first_leader is not used */
    size_t group_count;
    size_t group_capacity;
    family_leader *leaders; /**< in the order of their entries */
    uint8_t (*unit)[UNIT_BYTES];
    uint8_t (*token)[TOKEN_BYTES];
    size_t leader_count;
    size_t leader_capacity;
    int32_t (*next)[FAMILY_TABLES]; /**< per leader: the leader after it under the same key */
    int32_t *heads;                 /**< [FAMILY_TABLES << key_bits] */
    unsigned key_bits;
} families;

/**
 * Put an entry into a family.
 * @param[out] leader     of which leader, also when it became one itself
 * @param[out] is_leader  whether it did
 * @param unit, token     UNIT_BYTES and TOKEN_BYTES
 */
weir_code families_add(families *to, uint32_t *leader, bool *is_leader, uint64_t entry,
                       const hot_code *code, weir_error *err);
void families_release(families *all);

#endif
