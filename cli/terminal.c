/* SPDX-License-Identifier: Apache-2.0 */
#include "terminal.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { WIDTH_DEFAULT = 100, WIDTH_MIN = 40, WIDTH_MAX = 240, WIDTH_UNBROKEN = 4096 };

static const char *environment(const char *name) {
    const char *value = getenv(name); /* before any thread starts */
    return value && *value ? value : NULL;
}

static bool is_dumb(void) {
    const char *term = environment("TERM");
    return !term || strcmp(term, "dumb") == 0;
}

/* POSIX: LC_ALL wins over LC_CTYPE, which wins over LANG. */
static bool is_utf8(void) {
    const char *locale = environment("LC_ALL");
    if (!locale) {
        locale = environment("LC_CTYPE");
    }
    if (!locale) {
        locale = environment("LANG");
    }
    return locale && (strcasestr(locale, "UTF-8") || strcasestr(locale, "UTF8"));
}

static int width_of(FILE *stream) {
    struct winsize window;
    if (ioctl(fileno(stream), TIOCGWINSZ, &window) != 0 || window.ws_col < WIDTH_MIN) {
        return WIDTH_DEFAULT;
    }
    return window.ws_col < WIDTH_MAX ? window.ws_col : WIDTH_MAX;
}

bool terminal_is_closed_pipe(FILE *stream) {
    struct pollfd state = {.fd = fileno(stream), .events = POLLOUT};
    return poll(&state, 1, 0) == 1 && (state.revents & POLLERR) != 0;
}

bool terminal_is_live(FILE *stream) {
    return isatty(fileno(stream)) == 1 && !is_dumb();
}

static int verbosity(const invocation *call) {
    if (call->quiet) {
        return -1;
    }
    return call->verbose ? 1 : 0;
}

/* NO_COLOR counts when it is set and not empty: https://no-color.org */
weir_style terminal_style(FILE *stream, const invocation *call) {
    return (weir_style){
        .color = !call->no_color && !environment("NO_COLOR") && terminal_is_live(stream),
        .unicode = is_utf8(),
        .width = call->quiet ? WIDTH_UNBROKEN : width_of(stream),
        .verbosity = verbosity(call),
    };
}
