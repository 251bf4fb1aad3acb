/* SPDX-License-Identifier: Apache-2.0 */
/** @file link_match.h  The units of one block matched with those of another, by what they hold. */
#ifndef WEIR_SKETCH_LINK_MATCH_H
#define WEIR_SKETCH_LINK_MATCH_H

#include "sketch/link.h"

/** What two models have in common to compare by. */
typedef struct link_frame {
    link_codes codes;
    uint64_t tokens[TOKEN_CODE_WORDS]; /**< bits of the tokens that both picked */
    int token_bits;
    bool is_chain; /**< rising chains instead of fixed points */
} link_frame;

/** What a pair of blocks showed. */
typedef struct link_match {
    unsigned points; /**< in their own place, or in the chain */
    unsigned of;
    int32_t differ; /**< bits in which these units and their partners differ, in all */
} link_match;

/** Set the frame's tokens. @return whether enough are shared to compare by */
bool link_share_tokens(link_frame *by, const fingerprint *mine, const fingerprint *theirs);

/** Whether two blocks can be compared at all: not when both are sorted, or one has no unit. */
bool link_is_comparable(const link_frame *by, const sketch_block *a, const sketch_block *b);

/** Whether two blocks have the same layer and expert. */
bool link_is_same_place(const sketch_block *a, const sketch_block *b);

/** Bits that are compared of each unit. */
int link_bits_compared(const link_frame *by, const sketch_block *a, const sketch_block *b);

/** Whether enough units stand near their own place that a full match may pay. */
bool link_is_promising(const link_frame *by, const sketch_block *a, const sketch_block *b);

/** Match places, whatever the distances. */
link_match link_match_places(const link_frame *by, const sketch_block *a, const sketch_block *b);

/** Match places, or a chain where the frame says so; nothing for a pair that looks hopeless. */
link_match link_match_blocks(const link_frame *by, const sketch_block *a, const sketch_block *b);

#endif
