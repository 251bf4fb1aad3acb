/* SPDX-License-Identifier: Apache-2.0 */
/** @file paint.h  Words and colours of what a person reads. */
#ifndef WEIR_REPORT_PAINT_H
#define WEIR_REPORT_PAINT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/text.h"
#include "delta/diff.h"
#include "weir/report.h"

typedef enum paint_ink { INK_PLAIN, INK_BOLD, INK_DIM, INK_GOOD, INK_NOTICE, INK_BAD } paint_ink;

/** A stream with the reader's style. */
typedef struct paint {
    FILE *stream;
    weir_style style;
    bool *is_short; /**< set when something was left out for lack of memory */
} paint;

/** Print formatted text in an ink; the ink is dropped without colour. */
__attribute__((format(printf, 3, 4))) void paint_text(const paint *out, paint_ink ink,
                                                      const char *format, ...);

/** Print a labelled line, the text wrapped to the width under itself. */
void paint_field(const paint *out, const char *label, const char *text);

/** paint_field for text that was gathered. */
void paint_gathered_field(const paint *out, const char *label, const text_buffer *text);

/** paint_paragraph for text that was gathered. */
void paint_gathered_paragraph(const paint *out, const text_buffer *text);

/** Print a paragraph wrapped to the width. */
void paint_paragraph(const paint *out, const char *text);

/** @return a role in words: "attention query", "mlp down"; static. */
const char *role_words(weir_role role);

/* Formatters: each writes a NUL-terminated text and returns `out`. */
const char *format_count(char *out, size_t size, uint64_t count); /**< "134,515,008" */
const char *format_bytes(char *out, size_t size, uint64_t bytes); /**< "98.4 MB" */
const char *format_ratio(char *out, size_t size, double ratio);   /**< "4.1%", "0.012%" */
/** "1, 3-7, 12"; layers sorted. */
const char *format_layers(char *out, size_t size, const int32_t *layers, size_t count);

#endif
