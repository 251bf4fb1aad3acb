/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file html.h  A page that is one file: no script, nothing fetched, pictures as inline SVG. Names
 * come from models and are escaped.
 */
#ifndef WEIR_REPORT_HTML_H
#define WEIR_REPORT_HTML_H

#include <stdio.h>

#include "report/paint.h"

/** Write text with the characters that HTML gives a meaning escaped, in content and attributes. */
void html_text(FILE *stream, const char *text);

/** html_text of what was gathered. */
void html_gathered(const paint *out, const text_buffer *text);

/** html_text of a name from a file, made printable first; cut at 500 bytes. */
void html_name(FILE *stream, const char *name);

/** Everything up to and with <main>. @param title  escaped here */
void html_begin(FILE *stream, const char *title);
void html_end(FILE *stream);

/** The comparison as a page. */
void diff_write_html(const paint *out, const weir_diff *diff);

#endif
