/* SPDX-License-Identifier: Apache-2.0 */
/* strftime() of the date that the caller gave, in the C locale. */
#include <string.h>

#include "template/machine.h"

static const char *const months[] = {"January",   "February", "March",    "April",
                                     "May",       "June",     "July",     "August",
                                     "September", "October",  "November", "December"};
static const char *const weekdays[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                       "Thursday", "Friday", "Saturday"};

/* Sakamoto's rule; 0 for a Sunday. */
static int weekday(const template_date *date) {
    static const int shift[] = {0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4};
    const int year = date->year - (date->month < 3);
    return (year + year / 4 - year / 100 + year / 400 + shift[date->month - 1] + date->day) % 7;
}

static int day_of_year(const template_date *date) {
    static const int before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    const bool is_leap = (date->year % 4 == 0 && date->year % 100 != 0) || date->year % 400 == 0;
    return before[date->month - 1] + date->day + (is_leap && date->month > 2);
}

static bool add_field(text_buffer *out, const template_date *date, char field) {
    const int hour = date->hour % 12 == 0 ? 12 : date->hour % 12;
    switch (field) {
    case 'Y':
        text_buffer_format(out, "%d", date->year);
        return true;
    case 'y':
        text_buffer_format(out, "%02d", date->year % 100);
        return true;
    case 'm':
        text_buffer_format(out, "%02d", date->month);
        return true;
    case 'd':
        text_buffer_format(out, "%02d", date->day);
        return true;
    case 'e':
        text_buffer_format(out, "%2d", date->day);
        return true;
    case 'H':
        text_buffer_format(out, "%02d", date->hour);
        return true;
    case 'I':
        text_buffer_format(out, "%02d", hour);
        return true;
    case 'M':
        text_buffer_format(out, "%02d", date->minute);
        return true;
    case 'S':
        text_buffer_format(out, "%02d", date->second);
        return true;
    case 'j':
        text_buffer_format(out, "%03d", day_of_year(date));
        return true;
    case 'p':
        text_buffer_format(out, "%s", date->hour < 12 ? "AM" : "PM");
        return true;
    case 'B':
        text_buffer_format(out, "%s", months[date->month - 1]);
        return true;
    case 'b':
    case 'h':
        text_buffer_format(out, "%.3s", months[date->month - 1]);
        return true;
    case 'A':
        text_buffer_format(out, "%s", weekdays[weekday(date)]);
        return true;
    case 'a':
        text_buffer_format(out, "%.3s", weekdays[weekday(date)]);
        return true;
    case 'w':
        text_buffer_format(out, "%d", weekday(date));
        return true;
    case '%':
        text_buffer_format(out, "%%");
        return true;
    default:
        return false;
    }
}

weir_code format_date(machine *on, const datum *format, datum *out) {
    WEIR_CLEANUP(text_buffer_release) text_buffer text = {0};
    WEIR_TRY(machine_needs_text(on, format, "strftime_now()"));
    if (!on->date) {
        return machine_stop(on, TEMPLATE_NOT_RENDERED, "strftime_now() without a date");
    }
    WEIR_TRY(machine_count_bytes(on, 16 * format->len));
    for (size_t i = 0; i < format->len; i++) {
        const char c = format->text[i];
        if (c != '%') {
            text_buffer_add(&text, &c, 1);
            continue;
        }
        i++;
        if (i == format->len) {
            return machine_stop(on, TEMPLATE_NOT_RENDERED, "strftime_now() that ends in %%");
        }
        if (format->text[i] == '-' && i + 1 < format->len &&
            strchr("dmHIMSj", format->text[i + 1])) {
            const size_t before = text.len;
            i++;
            (void)add_field(&text, on->date, format->text[i]);
            while (!text.failed && text.len - before > 1 && text.data[before] == '0') {
                memmove(text.data + before, text.data + before + 1, text.len - before);
                text.len--;
            }
        } else if (!add_field(&text, on->date, format->text[i])) {
            return machine_stop(on, TEMPLATE_NOT_RENDERED, "strftime_now() with %%%c",
                                format->text[i]);
        }
    }
    return machine_take_buffer(on, out, &text);
}
