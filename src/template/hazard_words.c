/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words that lead out of a template. The lists hold what Python objects and Jinja's own globals
 * offer to an injected template; they are not taken from samples.
 *
 * Sources: Python data model, "Special names"; inspect module, table of attributes; Jinja
 * documentation, "List of Global Functions" and "Sandbox"; [CVE-2024-34359], [CVE-2025-27516].
 */
#include "template/hazard_words.h"

#include <string.h>
#include <strings.h>

/* Between the underscores. The first part has no other use, so that even a string may not hold one.
 */
enum { STRONG_COUNT = 26 };
static const char *const internals[] = {
    "class",         "mro",          "base",
    "bases",         "subclasses",   "globals",
    "builtins",      "import",       "init",
    "dict",          "getattribute", "getitem",
    "reduce",        "reduce_ex",    "closure",
    "subclasshook",  "getattr",      "setattr",
    "delattr",       "wrapped",      "init_subclass",
    "class_getitem", "kwdefaults",   "qualname",
    "build_class",   "objclass",     "code",
    "func",          "self",         "module",
    "loader",        "spec",         "new",
    "call",          "name",         "doc",
    "file",          "path",         "package",
    "defaults",      "annotations",  "weakref",
    "slots",         "set_name",     "enter",
    "exit",          "del",          "dir",
    "get",           "set",          "prepare",
    "format",        "getstate",     "setstate",
    "cached",        "main",         "text_signature",
    "debug",         "context",      "traceback",
    "str",           "repr",         "iter",
    "next",          "add",          "contains",
    "len",           "eq",           "hash",
    "sizeof",
};

static const char *const plain_internals[] = {
    "mro",          "gi_frame",       "gi_code",   "gi_yieldfrom", "cr_frame",     "cr_code",
    "cr_await",     "ag_frame",       "ag_code",   "f_globals",    "f_builtins",   "f_locals",
    "f_back",       "f_code",         "tb_frame",  "tb_next",      "func_globals", "func_code",
    "func_closure", "func_dict",      "im_func",   "im_self",      "im_class",     "co_code",
    "co_consts",    "__subclasses__", "_getframe", "__builtins__",
};

static const char *const commands[] = {
    "popen",
    "Popen",
    "popen2",
    "check_output",
    "check_call",
    "getoutput",
    "getstatusoutput",
    "import_module",
    "load_module",
    "exec_module",
    "execv",
    "execve",
    "execvp",
    "execl",
    "execlp",
    "spawnl",
    "spawnv",
    "spawnlp",
    "posix_spawn",
    "fromhex",
    "b64decode",
    "b32decode",
    "b16decode",
    "a85decode",
    "b85decode",
    "decodebytes",
    "unhexlify",
    "a2b_base64",
    "a2b_hex",
    "urlopen",
    "create_subprocess_shell",
    "create_subprocess_exec",
    "startfile",
    "execfile",
    "find_module",
    "_module",
    "b64_decode",
    "base64_decode",
};

static const char *const calls[] = {
    "system",
    "eval",
    "exec",
    "open",
    "compile",
    "__import__",
    "getattr",
    "setattr",
    "delattr",
    "globals",
    "locals",
    "breakpoint",
    "execfile",
    "fork",
    "unlink",
    "rmtree",
    "chmod",
    "putenv",
    "loads",
    "from_pyfile",
    "from_object",
    "from_envvar",
    "from_prefixed_env",
};

typedef struct root_word {
    const char *name;
    hazard_root root;
} root_word;

static const root_word roots[] = {
    {"os", HAZARD_ROOT_MODULE},
    {"sys", HAZARD_ROOT_MODULE},
    {"subprocess", HAZARD_ROOT_MODULE},
    {"importlib", HAZARD_ROOT_MODULE},
    {"builtins", HAZARD_ROOT_MODULE},
    {"shutil", HAZARD_ROOT_MODULE},
    {"socket", HAZARD_ROOT_MODULE},
    {"pty", HAZARD_ROOT_MODULE},
    {"ctypes", HAZARD_ROOT_MODULE},
    {"pickle", HAZARD_ROOT_MODULE},
    {"marshal", HAZARD_ROOT_MODULE},
    {"posix", HAZARD_ROOT_MODULE},
    {"pathlib", HAZARD_ROOT_MODULE},
    {"urllib", HAZARD_ROOT_MODULE},
    {"base64", HAZARD_ROOT_MODULE},
    {"codecs", HAZARD_ROOT_MODULE},
    {"eval", HAZARD_ROOT_FUNCTION},
    {"exec", HAZARD_ROOT_FUNCTION},
    {"execfile", HAZARD_ROOT_FUNCTION},
    {"compile", HAZARD_ROOT_FUNCTION},
    {"open", HAZARD_ROOT_FUNCTION},
    {"getattr", HAZARD_ROOT_FUNCTION},
    {"setattr", HAZARD_ROOT_FUNCTION},
    {"globals", HAZARD_ROOT_FUNCTION},
    {"locals", HAZARD_ROOT_FUNCTION},
    {"vars", HAZARD_ROOT_FUNCTION},
    {"breakpoint", HAZARD_ROOT_FUNCTION},
    {"system", HAZARD_ROOT_FUNCTION},
    {"popen", HAZARD_ROOT_FUNCTION},
    {"import_module", HAZARD_ROOT_FUNCTION},
    {"b64decode", HAZARD_ROOT_FUNCTION},
    {"lipsum", HAZARD_ROOT_ENGINE},
    {"cycler", HAZARD_ROOT_ENGINE},
    {"joiner", HAZARD_ROOT_ENGINE},
    {"namespace", HAZARD_ROOT_ENGINE},
    {"range", HAZARD_ROOT_ENGINE},
    {"raise_exception", HAZARD_ROOT_ENGINE},
    {"strftime_now", HAZARD_ROOT_ENGINE},
    {"url_for", HAZARD_ROOT_WEB},
    {"get_flashed_messages", HAZARD_ROOT_WEB},
    {"request", HAZARD_ROOT_WEB},
    {"session", HAZARD_ROOT_WEB},
    {"config", HAZARD_ROOT_CONFIG},
    {"self", HAZARD_ROOT_SELF},
};
_Static_assert(sizeof roots / sizeof *roots <= HAZARD_ROOT_COUNT_MAX, "every root has its bit");

#define COUNT(list) (sizeof(list) / sizeof *(list))

static bool is_in(const char *const *list, size_t count, const char *name, size_t len) {
    for (size_t i = 0; i < count; i++) {
        if (strlen(list[i]) == len && memcmp(list[i], name, len) == 0) {
            return true;
        }
    }
    return false;
}

static bool has_underlines(const char *name, size_t len) {
    return len > 4 && memcmp(name, "__", 2) == 0 && memcmp(name + len - 2, "__", 2) == 0;
}

hazard_word hazard_word_find(const char *name, size_t len) {
    static const char private_prefix[] = "_TemplateReference__";
    if (is_in(plain_internals, COUNT(plain_internals), name, len) ||
        (len >= sizeof private_prefix - 1 &&
         memcmp(name, private_prefix, sizeof private_prefix - 1) == 0)) {
        return HAZARD_WORD_INTERNAL;
    }
    if (has_underlines(name, len)) {
        return is_in(internals, COUNT(internals), name + 2, len - 4) ? HAZARD_WORD_INTERNAL
                                                                     : HAZARD_WORD_UNDERLINED;
    }
    if (is_in(commands, COUNT(commands), name, len)) {
        return HAZARD_WORD_COMMAND;
    }
    return is_in(calls, COUNT(calls), name, len) ? HAZARD_WORD_CALL : HAZARD_WORD_PLAIN;
}

bool hazard_word_inside(const char *text, size_t len, size_t *out_begin, size_t *out_end) {
    for (size_t begin = 0; begin + 4 < len; begin++) {
        if (text[begin] != '_' || text[begin + 1] != '_') {
            continue;
        }
        for (size_t i = 0; i < STRONG_COUNT; i++) {
            const size_t word = strlen(internals[i]);
            if (len - begin >= word + 4 && memcmp(text + begin + 2, internals[i], word) == 0 &&
                memcmp(text + begin + 2 + word, "__", 2) == 0) {
                *out_begin = begin;
                *out_end = begin + word + 4;
                return true;
            }
        }
    }
    return false;
}

hazard_root hazard_root_find(const char *name, size_t len, unsigned *out_index) {
    for (unsigned i = 0; i < COUNT(roots); i++) {
        if (strlen(roots[i].name) == len && memcmp(roots[i].name, name, len) == 0) {
            *out_index = i;
            return roots[i].root;
        }
    }
    return HAZARD_ROOT_PLAIN;
}

static int digit_value(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 99;
}

/* Read up to `most` digits. @return how many there were. */
static size_t read_digits(unsigned *out, const char *text, size_t len, int base, size_t most) {
    size_t i = 0;
    *out = 0;
    for (; i < len && i < most && digit_value(text[i]) < base; i++) {
        *out = *out * (unsigned)base + (unsigned)digit_value(text[i]);
    }
    return i;
}

static void add_character(text_buffer *out, unsigned character) {
    const char c = character < 0x80 ? (char)character : 0x1A;
    text_buffer_add(out, &c, 1);
}

/* \N{LOW LINE} and the letters of the alphabet; text behind the N. @return the bytes used. */
static size_t decode_named(text_buffer *out, const char *text, size_t len) {
    static const char low_line[] = "LOW LINE";
    static const char small[] = "LATIN SMALL LETTER ";
    const char *close = len > 1 && text[0] == '{' ? memchr(text, '}', len) : NULL;
    if (!close) {
        return 0;
    }
    const size_t name = (size_t)(close - text) - 1;
    unsigned character = 0x1A;
    if (name == sizeof low_line - 1 && strncasecmp(text + 1, low_line, name) == 0) {
        character = '_';
    } else if (name == sizeof small && strncasecmp(text + 1, small, name - 1) == 0) {
        character = (unsigned char)(text[name] | 0x20);
    }
    add_character(out, character);
    return name + 2;
}

/* One escape, text behind the backslash. @return the bytes used. */
static size_t decode_escape(text_buffer *out, const char *text, size_t len) {
    static const char plain[] = "n\nt\tr\ra\ab\bf\fv\v";
    unsigned character;
    const char c = text[0];
    if (c == 'x' || c == 'u' || c == 'U') {
        const size_t most = c == 'x' ? 2 : c == 'u' ? 4 : 8;
        const size_t used = read_digits(&character, text + 1, len - 1, 16, most);
        add_character(out, used ? character : 0x1A);
        return 1 + used;
    }
    if (c >= '0' && c <= '7') {
        const size_t used = read_digits(&character, text, len, 8, 3);
        add_character(out, character);
        return used;
    }
    if (c == 'N') {
        return 1 + decode_named(out, text + 1, len - 1);
    }
    if (c == '\n') {
        return 1;
    }
    for (size_t i = 0; plain[i]; i += 2) {
        if (plain[i] == c) {
            add_character(out, (unsigned char)plain[i + 1]);
            return 1;
        }
    }
    add_character(out, (unsigned char)c);
    return 1;
}

/* &#95; and &#x5f; @return the bytes used, 0 when it is no entity. */
static size_t decode_entity(text_buffer *out, const char *text, size_t len) {
    if (len < 4 || text[0] != '&' || text[1] != '#') {
        return 0;
    }
    const bool is_hex = (text[2] | 0x20) == 'x';
    const size_t begin = is_hex ? 3 : 2;
    unsigned character;
    const size_t used = read_digits(&character, text + begin, len - begin, is_hex ? 16 : 10, 7);
    if (used == 0 || begin + used >= len || text[begin + used] != ';') {
        return 0;
    }
    add_character(out, character);
    return begin + used + 1;
}

void hazard_literal_decode(text_buffer *out, const char *literal, size_t len) {
    if (len < 2) {
        return;
    }
    const char *text = literal + 1;
    for (size_t left = len - 2; left > 0;) {
        size_t used = 0;
        if (text[0] == '\\' && left > 1) {
            used = 1 + decode_escape(out, text + 1, left - 1);
        } else if (text[0] == '&') {
            used = decode_entity(out, text, left);
        }
        if (used == 0) {
            add_character(out, (unsigned char)text[0]);
            used = 1;
        }
        text += used;
        left -= used;
    }
}

bool hazard_is_encoded(const char *text, size_t len) {
    enum { ENCODED_BYTES_MIN = 256 };
    if (len < ENCODED_BYTES_MIN) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        const char c = text[i];
        const bool is_digit = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
                              (c >= 'a' && c <= 'z') || c == '+' || c == '/' || c == '=' ||
                              c == '\n';
        if (!is_digit) {
            return false;
        }
    }
    return true;
}
