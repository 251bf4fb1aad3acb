/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each rule is a word to find and, where the word alone is also honest, a look at what stands
 * around it. One pass: the set of rules whose word starts with a byte is a bit mask, so most bytes
 * cost one load.
 */
#include "format/active_text.h"

#include <stdint.h>
#include <string.h>

enum { LOOK_AHEAD_BYTES = 256 };

/* A value, and the place in it that is looked at. */
typedef struct view {
    const char *key;
    const char *text;
    size_t len;
} view;

static char lower(char byte) {
    if (byte >= 'A' && byte <= 'Z') {
        return (char)(byte - 'A' + 'a');
    }
    return byte;
}

static bool is_word(char byte) {
    const char small = lower(byte);
    return (small >= 'a' && small <= 'z') || (byte >= '0' && byte <= '9') || byte == '_';
}

static bool is_blank(char byte) {
    return byte == ' ' || byte == '\t';
}

static bool has_word_at(const view *value, size_t at, const char *word) {
    for (size_t i = 0; word[i] != '\0'; i++) {
        if (at + i >= value->len || lower(value->text[at + i]) != word[i]) {
            return false;
        }
    }
    return true;
}

static char byte_at(const view *value, size_t at) {
    if (at >= value->len) {
        return '\0';
    }
    return value->text[at];
}

/* A word of its own, not the tail of another and not a member: "model.eval(" is no call of eval. */
static bool starts_word(const view *value, size_t start) {
    return start == 0 || (!is_word(value->text[start - 1]) && value->text[start - 1] != '.' &&
                          value->text[start - 1] != '-');
}

static size_t skip_blanks(const view *value, size_t at) {
    while (is_blank(byte_at(value, at))) {
        at++;
    }
    return at;
}

/* --- what has to stand around a word; `start` and `end` are the word's --- */

static bool anywhere(const view *value, size_t start, size_t end) {
    (void)value;
    (void)start;
    (void)end;
    return true;
}

static bool alone(const view *value, size_t start, size_t end) {
    (void)end;
    return starts_word(value, start);
}

/* "<script>", "<script src", "<script/": not "<scripted>". */
static bool as_tag(const view *value, size_t start, size_t end) {
    (void)start;
    const char next = byte_at(value, end);
    return next == '>' || next == '/' || is_blank(next) || next == '\n' || next == '\r';
}

/* A frame that loads something; captions may well hold "<iframe>" as a word. */
static bool as_loading_tag(const view *value, size_t start, size_t end) {
    (void)start;
    for (size_t i = end; i < value->len && i < end + LOOK_AHEAD_BYTES; i++) {
        if (value->text[i] == '>') {
            return false;
        }
        if (has_word_at(value, i, "src")) {
            return true;
        }
    }
    return false;
}

/* onerror= and its like, inside an open tag. */
static bool as_event_handler(const view *value, size_t start, size_t end) {
    if (start == 0 || is_word(value->text[start - 1]) ||
        byte_at(value, skip_blanks(value, end)) != '=') {
        return false;
    }
    for (size_t back = 1; back <= start && back <= LOOK_AHEAD_BYTES; back++) {
        const char byte = value->text[start - back];
        if (byte == '<') {
            return is_word(value->text[start - back + 1]);
        }
        if (byte == '>') {
            return false;
        }
    }
    return false;
}

/* An address: at the start of the value, in quotes, or after '='. */
static bool as_address(const view *value, size_t start, size_t end) {
    (void)end;
    if (start == 0) {
        return true;
    }
    const char before = value->text[start - 1];
    return before == '"' || before == '\'' || before == '=' || before == '(';
}

/* rm with a recursive and a force flag, and something to remove. */
static bool as_removal(const view *value, size_t start, size_t end) {
    bool recursive = false;
    bool force = false;
    size_t at = skip_blanks(value, end);
    const size_t limit = end + LOOK_AHEAD_BYTES;
    while (starts_word(value, start) && byte_at(value, at) == '-' && at < limit) {
        while (at < value->len && at < limit && !is_blank(value->text[at]) &&
               value->text[at] != '\n') {
            recursive |= lower(value->text[at]) == 'r';
            force |= value->text[at] == 'f';
            at++;
        }
        at = skip_blanks(value, at);
    }
    const char target = byte_at(value, at);
    return recursive && force && target != '\0' && target != '\n';
}

static bool starts_interpreter(const view *value, size_t at) {
    static const char *const names[] = {"sh",     "bash", "zsh",  "dash", "ksh",
                                        "python", "perl", "ruby", "node", "php"};
    at = skip_blanks(value, at);
    if (has_word_at(value, at, "sudo ")) {
        at = skip_blanks(value, at + strlen("sudo "));
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const size_t end = at + strlen(names[i]);
        const char next = byte_at(value, end);
        if (has_word_at(value, at, names[i]) &&
            (!is_word(next) || (strcmp(names[i], "python") == 0 && next == '3'))) {
            return true;
        }
    }
    return false;
}

/* What is fetched or decoded goes straight into an interpreter. */
static bool as_pipe_to_shell(const view *value, size_t start, size_t end) {
    if (!starts_word(value, start) || !is_blank(byte_at(value, end))) {
        return false;
    }
    bool has_argument = false;
    for (size_t i = end; i < value->len && i < end + LOOK_AHEAD_BYTES; i++) {
        const char byte = value->text[i];
        if (byte == '\n') {
            return false;
        }
        has_argument |= byte == '.' || byte == '/' || byte == '-';
        if (byte == '|' && has_argument && starts_interpreter(value, i + 1)) {
            return true;
        }
    }
    return false;
}

/* chmod 777 PATH, or a set-user-id bit. */
static bool as_opening_mode(const view *value, size_t start, size_t end) {
    static const char *const modes[] = {"777 ", "0777 ", "-r 777 ", "u+s ", "4755 ", "a+rwx "};
    const size_t at = skip_blanks(value, end);
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        if (has_word_at(value, at, modes[i])) {
            return starts_word(value, start);
        }
    }
    return false;
}

/* A statement, not prose: "import os;" or nothing else at all. */
static bool as_statement(const view *value, size_t start, size_t end) {
    const size_t at = skip_blanks(value, end);
    return starts_word(value, start) && (byte_at(value, at) == ';' || at >= value->len);
}

/* eval and exec of something that is built: a literal, decoded or read text. */
static bool as_evaluation(const view *value, size_t start, size_t end) {
    static const char *const built[] = {"'",       "\"",     "compile(", "base64", "__",
                                        "open(",   "input(", "bytes",    "codecs", "requests",
                                        "urllib",  "zlib",   "marshal",  "atob(",  "chr(",
                                        "request", "b'",     "b\"",      "f'",     "f\""};
    if (!starts_word(value, start)) {
        return false;
    }
    const size_t at = skip_blanks(value, end);
    for (size_t i = 0; i < sizeof built / sizeof *built; i++) {
        if (has_word_at(value, at, built[i])) {
            return true;
        }
    }
    return false;
}

/* A script for an interpreter as the whole value. */
static bool as_first_line(const view *value, size_t start, size_t end) {
    (void)value;
    (void)end;
    return start == 0;
}

static bool key_has(const char *key, const char *word) {
    const view whole = {.text = key, .len = strlen(key)};
    for (size_t i = 0; i < whole.len; i++) {
        if (has_word_at(&whole, i, word)) {
            return true;
        }
    }
    return false;
}

/* An address as the whole value of a key that says that something is to be called there. */
static bool is_called_address(const view *value, size_t start) {
    static const char *const words[] = {"callback", "webhook", "exfil", "beacon", "payload"};
    if (start > strlen("https")) {
        return false;
    }
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (key_has(value->key, words[i])) {
            return true;
        }
    }
    return false;
}

static bool is_address_end(char byte) {
    return byte == '\0' || byte == ' ' || byte == '"' || byte == '\'' || byte == '\n' ||
           byte == '>' || byte == ')' || byte == '<' || byte == '\\';
}

/* Hosts that exist to catch requests, and the doors of chat services for programs. */
static bool as_reporting_address(const view *value, size_t start, size_t end) {
    static const char *const places[] = {"webhook.site",
                                         "requestbin.",
                                         "pipedream.net",
                                         "burpcollaborator.net",
                                         "oastify.com",
                                         "interact.sh",
                                         "canarytokens.",
                                         "discord.com/api/webhooks/",
                                         "api.telegram.org/b",
                                         "oast.fun",
                                         "oast.pro",
                                         "oast.live",
                                         "oast.me",
                                         "oast.site",
                                         "hooks.slack.com/serv",
                                         "/exfil"};
    if (is_called_address(value, start)) {
        return true;
    }
    for (size_t i = end; i < end + LOOK_AHEAD_BYTES && !is_address_end(byte_at(value, i)); i++) {
        for (size_t j = 0; j < sizeof places / sizeof *places; j++) {
            if (has_word_at(value, i, places[j])) {
                return true;
            }
        }
    }
    return false;
}

typedef struct rule {
    const char *word; /* lower case */
    bool (*holds)(const view *value, size_t start, size_t end);
    const char *what;
} rule;

static const rule rules[] = {
    {"<script", as_tag, "an HTML script element"},
    {"<iframe", as_loading_tag, "an HTML frame"},
    {"onerror", as_event_handler, "an HTML event handler"},
    {"onload", as_event_handler, "an HTML event handler"},
    {"onclick", as_event_handler, "an HTML event handler"},
    {"onfocus", as_event_handler, "an HTML event handler"},
    {"onmouseover", as_event_handler, "an HTML event handler"},
    {"javascript:", as_address, "a javascript: address"},
    {"vbscript:", as_address, "a vbscript: address"},
    {"data:text/html", as_address, "an HTML page as an address"},
    {"${jndi:", anywhere, "a look-up that a logger would carry out"},
    {"rm", as_removal, "a shell command that removes files"},
    {"curl", as_pipe_to_shell, "a download that is piped into an interpreter"},
    {"wget", as_pipe_to_shell, "a download that is piped into an interpreter"},
    {"base64", as_pipe_to_shell, "decoded text that is piped into an interpreter"},
    {"$(curl ", anywhere, "a shell command substitution that downloads"},
    {"$(wget ", anywhere, "a shell command substitution that downloads"},
    {"<(curl ", anywhere, "a shell process substitution that downloads"},
    {"chmod", as_opening_mode, "a shell command that opens permissions"},
    {"/dev/tcp/", anywhere, "a shell connection to another machine"},
    {"nc -e", alone, "a shell connection to another machine"},
    {"powershell -e", alone, "an encoded PowerShell command"},
    {"powershell.exe -e", alone, "an encoded PowerShell command"},
    {"invoke-expression", alone, "a PowerShell evaluation"},
    {"cmd.exe /c", alone, "a Windows shell command"},
    {"#!/", as_first_line, "a script"},
    {"os.system(", alone, "Python code that starts a process"},
    {"os.popen(", alone, "Python code that starts a process"},
    {"subprocess.call(", alone, "Python code that starts a process"},
    {"subprocess.run(", alone, "Python code that starts a process"},
    {"subprocess.popen(", alone, "Python code that starts a process"},
    {"subprocess.check_", alone, "Python code that starts a process"},
    {"subprocess.getoutput(", alone, "Python code that starts a process"},
    {"pty.spawn(", alone, "Python code that starts a process"},
    {"import subprocess", alone, "Python code that loads subprocess"},
    {"import os", as_statement, "Python code that loads os"},
    {"import pty", as_statement, "Python code that loads pty"},
    {"import socket", as_statement, "Python code that loads socket"},
    {"__import__(", alone, "Python code that loads a module by name"},
    {"pickle.loads(", alone, "Python code that unpickles"},
    {"marshal.loads(", alone, "Python code that loads compiled code"},
    {"eval(", as_evaluation, "code that evaluates text"},
    {"exec(", as_evaluation, "code that evaluates text"},
    {"__subclasses__", anywhere, "a walk through Python's classes"},
    {"__globals__", anywhere, "a walk to Python's globals"},
    {"://", as_reporting_address, "an address that data would be sent to"},
};
enum { RULE_COUNT = sizeof rules / sizeof *rules };
_Static_assert(RULE_COUNT <= 64, "a rule is a bit");

static bool rule_fits(const rule *candidate, const view *value, size_t at) {
    return has_word_at(value, at, candidate->word) &&
           candidate->holds(value, at, at + strlen(candidate->word));
}

bool active_text_find(active_text *out, const char *key, const char *text, size_t len) {
    uint64_t rules_of[256] = {0};
    for (size_t i = 0; i < RULE_COUNT; i++) {
        const unsigned char first = (unsigned char)rules[i].word[0];
        rules_of[first] |= UINT64_C(1) << i;
        if (first >= 'a' && first <= 'z') {
            rules_of[first - 'a' + 'A'] |= UINT64_C(1) << i;
        }
    }
    const view value = {.key = key, .text = text, .len = len};
    for (size_t at = 0; at < len; at++) {
        for (uint64_t left = rules_of[(unsigned char)text[at]]; left != 0; left &= left - 1) {
            const rule *candidate = &rules[__builtin_ctzll(left)];
            if (rule_fits(candidate, &value, at)) {
                *out = (active_text){.what = candidate->what, .offset = at};
                return true;
            }
        }
    }
    return false;
}
