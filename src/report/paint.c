/* SPDX-License-Identifier: Apache-2.0 */
#include "report/paint.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

enum { LABEL_COLUMNS = 15, WIDTH_DEFAULT = 80, WIDTH_MIN = 40 };

static const char *ink_code(paint_ink ink) {
    switch (ink) {
    case INK_PLAIN:
        return "";
    case INK_BOLD:
        return "\033[1m";
    case INK_DIM:
        return "\033[2m";
    case INK_GOOD:
        return "\033[32m";
    case INK_NOTICE:
        return "\033[33m";
    case INK_BAD:
        return "\033[1;31m";
    }
    return "";
}

void paint_text(const paint *out, paint_ink ink, const char *format, ...) {
    const bool is_inked = out->style.color && ink != INK_PLAIN;
    va_list args;
    va_start(args, format);
    (void)fputs(is_inked ? ink_code(ink) : "", out->stream);
    (void)vfprintf(out->stream, format, args);
    (void)fputs(is_inked ? "\033[0m" : "", out->stream);
    va_end(args);
}

/* Columns that UTF-8 text takes, counting each character as one. */
static size_t count_columns(const char *text, size_t len) {
    size_t columns = 0;
    for (size_t i = 0; i < len; i++) {
        columns += ((unsigned char)text[i] & 0xC0u) != 0x80u;
    }
    return columns;
}

static void wrap_text(const paint *out, const char *text, size_t indent) {
    const int width = out->style.width > WIDTH_MIN ? out->style.width : WIDTH_DEFAULT;
    const size_t room = (size_t)width > indent + 10 ? (size_t)width - indent : 10;
    size_t column = 0;
    while (*text) {
        const size_t word = strcspn(text, " ");
        const size_t columns = count_columns(text, word);
        if (column > 0 && column + 1 + columns > room) {
            (void)fprintf(out->stream, "\n%*s", (int)indent, "");
            column = 0;
        }
        (void)fprintf(out->stream, "%s%.*s", column > 0 ? " " : "", (int)word, text);
        column += columns + (column > 0);
        text += word;
        text += strspn(text, " ");
    }
    (void)fputc('\n', out->stream);
}

void paint_field(const paint *out, const char *label, const char *text) {
    paint_text(out, INK_DIM, "%-*s", LABEL_COLUMNS, label);
    wrap_text(out, text, LABEL_COLUMNS);
}

void paint_paragraph(const paint *out, const char *text) {
    wrap_text(out, text, 0);
}

static const char *gathered(const paint *out, const text_buffer *text) {
    *out->is_short = *out->is_short || text->failed;
    return text->data ? text->data : "";
}

void paint_gathered_field(const paint *out, const char *label, const text_buffer *text) {
    paint_field(out, label, gathered(out, text));
}

void paint_gathered_paragraph(const paint *out, const text_buffer *text) {
    paint_paragraph(out, gathered(out, text));
}

const char *role_words(weir_role role) {
    static const char *const words[WEIR_ROLE_COUNT] = {
        [WEIR_ROLE_ATTENTION_NORM] = "attention norm",
        [WEIR_ROLE_ATTENTION_POST_NORM] = "attention post-norm",
        [WEIR_ROLE_Q] = "attention query",
        [WEIR_ROLE_K] = "attention key",
        [WEIR_ROLE_V] = "attention value",
        [WEIR_ROLE_O] = "attention output",
        [WEIR_ROLE_Q_NORM] = "query norm",
        [WEIR_ROLE_K_NORM] = "key norm",
        [WEIR_ROLE_FEED_FORWARD_NORM] = "mlp norm",
        [WEIR_ROLE_FEED_FORWARD_POST_NORM] = "mlp post-norm",
        [WEIR_ROLE_GATE] = "mlp gate",
        [WEIR_ROLE_UP] = "mlp up",
        [WEIR_ROLE_DOWN] = "mlp down",
        [WEIR_ROLE_ROUTER] = "expert router",
        [WEIR_ROLE_EXPERT_GATE] = "expert gate",
        [WEIR_ROLE_EXPERT_UP] = "expert up",
        [WEIR_ROLE_EXPERT_DOWN] = "expert down",
        [WEIR_ROLE_FINAL_NORM] = "final norm",
        [WEIR_ROLE_HEAD] = "output head",
    };
    return words[role] ? words[role] : weir_role_name(role);
}

const char *format_count(char *out, size_t size, uint64_t count) {
    char digits[24];
    const int len = snprintf(digits, sizeof digits, "%" PRIu64, count);
    size_t used = 0;
    for (int i = 0; i < len && used + 2 < size; i++) {
        if (i > 0 && (len - i) % 3 == 0) {
            out[used++] = ',';
        }
        out[used++] = digits[i];
    }
    out[used] = '\0';
    return out;
}

const char *format_bytes(char *out, size_t size, uint64_t bytes) {
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1000 && unit + 1 < sizeof units / sizeof *units) {
        value /= 1000;
        unit++;
    }
    (void)snprintf(out, size, unit == 0 || value >= 100 ? "%.0f %s" : "%.1f %s", value,
                   units[unit]);
    return out;
}

const char *format_ratio(char *out, size_t size, double ratio) {
    if (!isfinite(ratio)) {
        (void)snprintf(out, size, "-");
    } else {
        (void)snprintf(out, size, ratio != 0 && fabs(ratio) < 1e-6 ? "%.1e%%" : "%.2g%%",
                       100 * ratio);
    }
    if (isfinite(ratio) && fabs(ratio) >= 0.995) {
        (void)snprintf(out, size, "%.0f%%", 100 * ratio);
    }
    return out;
}

const char *format_layers(char *out, size_t size, const int32_t *layers, size_t count) {
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < count && used + 1 < size;) {
        size_t last = i;
        while (last + 1 < count && layers[last + 1] == layers[last] + 1) {
            last++;
        }
        const char *comma = i > 0 ? ", " : "";
        const int wrote =
            last > i ? snprintf(out + used, size - used, "%s%d-%d", comma, layers[i], layers[last])
                     : snprintf(out + used, size - used, "%s%d", comma, layers[i]);
        used += wrote > 0 ? (size_t)wrote : 0;
        i = last + 1;
    }
    return out;
}
