/* SPDX-License-Identifier: Apache-2.0 */
/** @file merge_words.h  How a merge was put together, in a colleague's words. */
#ifndef WEIR_REPORT_MERGE_WORDS_H
#define WEIR_REPORT_MERGE_WORDS_H

#include "base/text.h"
#include "delta/diff.h"

/** "linear of a (0.7) and b (0.3): 99.99% ..."; nothing without parents. */
void describe_merge(text_buffer *text, const weir_diff *diff);

/** A parent that took no part, and why: "base-copy holds the base's own numbers". */
void describe_parent(text_buffer *text, const diff_parent *parent);

#endif
