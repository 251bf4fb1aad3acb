/* SPDX-License-Identifier: Apache-2.0 */
#include "report/html.h"

#include <string.h>

/* Colours that differ in lightness as well as in hue, so that they can be told apart without hue;
 * a dark page where the reader's system asks for one. Level 1 to 8 of the heat map are h1 to h8. */
static const char page_style[] =
    ":root{color-scheme:light dark;--ink:#1b1f24;--dim:#57606a;--paper:#fff;--line:#d0d7de;"
    "--box:#f6f8fa;--h0:#eaeef2;--h1:#fcf4b6;--h2:#f9d976;--h3:#f5b84a;--h4:#ee9035;--h5:#dd6a33;"
    "--h6:#c04438;--h7:#94243f;--h8:#5c0f3b;--bar:#3b6ea8;--edge:#c04438}"
    "@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--dim:#9aa4af;--paper:#0d1117;"
    "--line:#30363d;--box:#161b22;--h0:#21262d;--h1:#3d2a4d;--h2:#5b2a5c;--h3:#822b5d;--h4:#aa3155;"
    "--h5:#cf4446;--h6:#ea6a35;--h7:#f79d3c;--h8:#fcdf7c;--bar:#6ea8e0;--edge:#f79d3c}}"
    "body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif}"
    "main{max-width:64rem;margin:0 auto;padding:1.5rem}"
    "h1{font-size:1.4rem;margin:0 0 .5rem}h2{font-size:1.1rem;margin:2rem 0 .5rem}"
    ".verdict{font-size:1.1rem;border-left:.3rem solid var(--bar);padding:.3rem .8rem;"
    "background:var(--box)}"
    ".onion{margin:0;padding:0;list-style:none}"
    ".onion li{border:1px solid var(--line);border-radius:.5rem;padding:.5rem .8rem;"
    "margin:.4rem 0;background:var(--box)}"
    ".class{font-weight:600}.grade{border:1px solid var(--line);border-radius:1rem;"
    "padding:0 .5rem;font-size:.85rem;margin-left:.4rem}"
    ".dim,figcaption{color:var(--dim);font-size:.9rem}"
    "figure{margin:0;overflow-x:auto}svg{max-width:none;display:block}"
    "svg text{fill:var(--ink);font:11px system-ui,sans-serif}svg .dim{fill:var(--dim)}"
    "table{border-collapse:collapse;font-size:.85rem}td,th{padding:.15rem .6rem;"
    "border-bottom:1px solid var(--line);text-align:right;white-space:nowrap}"
    "td:first-child,th:first-child{text-align:left}.scroll{overflow-x:auto}"
    ".sparks{display:grid;grid-template-columns:repeat(auto-fill,minmax(15rem,1fr));gap:1rem}"
    ".h0{fill:var(--h0)}.h1{fill:var(--h1)}.h2{fill:var(--h2)}.h3{fill:var(--h3)}"
    ".h4{fill:var(--h4)}.h5{fill:var(--h5)}.h6{fill:var(--h6)}.h7{fill:var(--h7)}"
    ".h8{fill:var(--h8)}.bar{fill:var(--bar)}.edge{stroke:var(--edge);stroke-dasharray:4 3}"
    "code{font-size:.9em;overflow-wrap:anywhere}";

void html_text(FILE *stream, const char *text) {
    for (const char *at = text; *at; at++) {
        switch (*at) {
        case '&':
            (void)fputs("&amp;", stream);
            break;
        case '<':
            (void)fputs("&lt;", stream);
            break;
        case '>':
            (void)fputs("&gt;", stream);
            break;
        case '"':
            (void)fputs("&quot;", stream);
            break;
        case '\'':
            (void)fputs("&#39;", stream);
            break;
        default:
            (void)fputc(*at, stream);
        }
    }
}

void html_gathered(const paint *out, const text_buffer *text) {
    *out->is_short = *out->is_short || text->failed;
    html_text(out->stream, text->data ? text->data : "");
}

void html_name(FILE *stream, const char *name) {
    char shown[500];
    text_escape(shown, sizeof shown, name, strlen(name));
    html_text(stream, shown);
}

void html_begin(FILE *stream, const char *title) {
    (void)fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
                "<meta http-equiv=\"Content-Security-Policy\" "
                "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n<title>",
                stream);
    html_text(stream, title);
    (void)fprintf(stream, "</title>\n<style>%s</style>\n</head>\n<body>\n<main>\n", page_style);
}

void html_end(FILE *stream) {
    (void)fputs("</main>\n</body>\n</html>\n", stream);
}
