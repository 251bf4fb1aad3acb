/* SPDX-License-Identifier: Apache-2.0 */
/** @file diff_words.h  A comparison in a colleague's words, whatever the page is made of. */
#ifndef WEIR_REPORT_DIFF_WORDS_H
#define WEIR_REPORT_DIFF_WORDS_H

#include "base/text.h"
#include "delta/diff.h"

/** What was done, in a few words that can follow "then": "quantised to Q8_0". */
void name_change(text_buffer *text, const weir_diff *diff, const diff_change *found);

/** One layer of the onion in a sentence: "a LoRA of rank 16 on attention query, value ...". */
void describe_change(text_buffer *text, const weir_diff *diff, const diff_change *found);

/** One difference beside the weights. */
void describe_file(text_buffer *text, const file_delta *file);

/**
 * Indexes of rows whose numbers were compared, the most changed first.
 * @param[out] out  malloc'ed; NULL without memory
 * @param all       also rows that hold the base's numbers
 */
size_t diff_most_changed(size_t **out, const weir_diff *diff, bool all);

#endif
