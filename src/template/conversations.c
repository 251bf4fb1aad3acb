/* SPDX-License-Identifier: Apache-2.0 */
#include "template/conversations.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"

#define SAY(role, text) "{\"role\":\"" role "\",\"content\":\"" text "\"}"
#define SYSTEM          SAY("system", "Answer in short sentences.")
#define QUESTION        SAY("user", "Please help me write a letter to the town library.")
#define ANSWER          SAY("assistant", "Dear librarians, thank you for the new shelves.")
#define THANKS          SAY("user", "Thank you. What is the code of the reading room today?")
#define LAST_WORD       SAY("assistant", "It stands on the door.")
#define MANY_LINES      SAY("user", "First line\\n\\n  second line\\tend\\n- a point\\n1. a number\\n")
#define SCRIPTS                                                                                    \
    SAY("user", "Gr\xC3\xBC\xC3\x9F"                                                               \
                "e \xE6\xBC\xA2\xE5\xAD\x97 \xD9\x85\xD8\xB1\xD8\xAD\xD8\xA8\xD8\xA7 "             \
                "\xF0\x9F\x99\x82")
#define MARKS                                                                                      \
    SAY("user", "A test with marks: <b>bold</b> & \\\"quoted\\\" \\\\ {{ name }} [1] 50% @home")
#define EMPTY   SAY("user", "")
#define THOUGHT SAY("assistant", "<think>\\nShelves need labels.\\n</think>\\n\\nUse letters.")
#define CALLING                                                                                    \
    "{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"id\":\"abc123def\","              \
    "\"type\":\"function\",\"function\":{\"name\":\"open_hours\",\"arguments\":"                   \
    "{\"day\":\"Friday\",\"week\":2}}}]}"
#define RESULT                                                                                     \
    "{\"role\":\"tool\",\"name\":\"open_hours\",\"tool_call_id\":\"abc123def\","                   \
    "\"content\":\"nine to five\"}"
#define TOOLS                                                                                      \
    "[{\"type\":\"function\",\"function\":{\"name\":\"open_hours\",\"description\":"               \
    "\"When the library is open\",\"parameters\":{\"type\":\"object\",\"properties\":{\"day\":"    \
    "{\"type\":\"string\",\"description\":\"A weekday\"}},\"required\":[\"day\"]}}}]"

static const char *const lists[] = {
    "[" QUESTION "]",
    "[" SYSTEM "," QUESTION "]",
    "[" QUESTION "," ANSWER "," THANKS "]",
    "[" SYSTEM "," QUESTION "," ANSWER "," THANKS "]",
    "[" QUESTION "," ANSWER "]",
    "[" SYSTEM "," QUESTION "," ANSWER "," THANKS "," LAST_WORD "]",
    "[" MANY_LINES "]",
    "[" SYSTEM "," SCRIPTS "]",
    "[" MARKS "]",
    "[" EMPTY "]",
    "[" SAY("system", "") "," QUESTION "]",
    "[" QUESTION "," THOUGHT "," THANKS "]",
    "[" SYSTEM "," QUESTION "," CALLING "," RESULT "]",
    "[" QUESTION "," CALLING "," RESULT "," ANSWER "," THANKS "]",
    "[" QUESTION "," ANSWER "," MARKS "," LAST_WORD "," SCRIPTS "," ANSWER "," THANKS "]",
    "[" SAY("user", "hello") "," ANSWER "," SAY("user", "What is two and two?") "]",
};
enum { LIST_COUNT = sizeof lists / sizeof *lists };

static const template_date first_date = {2024, 7, 26, 10, 0, 0};
static const template_date second_date = {2027, 2, 13, 22, 30, 0};

typedef struct maker {
    conversation_grid *grid;
    arena *memory;
    weir_error *err;
} maker;

/* Add a conversation from the JSON of its messages. `thinking`: -1 unset, 0 or 1. */
static weir_code add(const maker *in, const char *messages, bool has_prompt, bool has_tools,
                     int thinking, conversation **out) {
    datum list;
    datum tools = value_none();
    conversation *made = &in->grid->items[in->grid->count];
    arena *memory = in->memory;
    WEIR_TRY(value_from_json(&list, memory, messages, strlen(messages), in->err));
    if (has_tools) {
        WEIR_TRY(value_from_json(&tools, memory, TOOLS, sizeof TOOLS - 1, in->err));
    }
    bool is_made = value_dict_new(memory, &made->variables);
    value_dict *dict = is_made ? made->variables.dict : NULL;
    is_made = is_made && value_dict_set_name(memory, dict, "messages", list) &&
              value_dict_set_name(memory, dict, "tools", tools) &&
              value_dict_set_name(memory, dict, "documents", value_none()) &&
              value_dict_set_name(memory, dict, "add_generation_prompt", value_bool(has_prompt)) &&
              value_dict_set_name(memory, dict, "bos_token", value_string("<s>", 3)) &&
              value_dict_set_name(memory, dict, "eos_token", value_string("</s>", 4)) &&
              value_dict_set_name(memory, dict, "unk_token", value_string("<unk>", 5)) &&
              value_dict_set_name(memory, dict, "pad_token", value_string("<pad>", 5));
    if (is_made && thinking >= 0) {
        is_made = value_dict_set_name(memory, dict, "enable_thinking", value_bool(thinking)) &&
                  value_dict_set_name(memory, dict, "thinking", value_bool(thinking));
    }
    if (!is_made) {
        return weir_fail_nomem(in->err);
    }
    made->messages = &dict->values[0];
    made->date = first_date;
    made->has_prompt = has_prompt;
    in->grid->count++;
    if (out) {
        *out = made;
    }
    return WEIR_OK;
}

static weir_code add_fixed(const maker *in) {
    static const size_t with_tools[] = {0, 3, 12, 13};
    static const size_t with_thinking[] = {2, 11};
    for (size_t i = 0; i < LIST_COUNT; i++) {
        WEIR_TRY(add(in, lists[i], /* has_prompt= */ true, /* has_tools= */ false, -1, NULL));
        WEIR_TRY(add(in, lists[i], /* has_prompt= */ false, /* has_tools= */ false, -1, NULL));
    }
    for (size_t i = 0; i < sizeof with_tools / sizeof *with_tools; i++) {
        WEIR_TRY(
            add(in, lists[with_tools[i]], /* has_prompt= */ true, /* has_tools= */ true, -1, NULL));
        WEIR_TRY(add(in, lists[with_tools[i]], /* has_prompt= */ false, /* has_tools= */ true, -1,
                     NULL));
    }
    for (size_t i = 0; i < sizeof with_thinking / sizeof *with_thinking; i++) {
        const char *list = lists[with_thinking[i]];
        WEIR_TRY(add(in, list, /* has_prompt= */ true, /* has_tools= */ false, 0, NULL));
        WEIR_TRY(add(in, list, /* has_prompt= */ true, /* has_tools= */ false, 1, NULL));
    }
    for (size_t i = 0; i < 4; i++) {
        conversation *made;
        WEIR_TRY(add(in, lists[i], /* has_prompt= */ true, /* has_tools= */ false, -1, &made));
        made->date = second_date;
    }
    return WEIR_OK;
}

/* A text as the inside of a JSON string. */
static void add_escaped(text_buffer *out, const char *text, size_t len) {
    for (size_t i = 0; i < len; i++) {
        const unsigned char c = (unsigned char)text[i];
        if (c < 0x20 || c == '"' || c == '\\') {
            text_buffer_format(out, "\\u%04x", (unsigned)c);
        } else {
            text_buffer_add(out, text + i, 1);
        }
    }
}

static weir_code name_probe(const maker *in, conversation *made, const char *text, size_t len) {
    char shown[80];
    text_escape(shown, sizeof shown, text, len);
    made->probe = arena_copy_text(in->memory, shown, strlen(shown));
    return made->probe ? WEIR_OK : weir_fail_nomem(in->err);
}

/* Where a probed text stands: alone, inside, first and last in the user's last message; in the
 * system's, the first, the assistant's and a tool's message. %s is the text. */
static const char *const places[] = {
    "[" SAY("user", "%s") "]",
    "[" SYSTEM "," SAY("user", "Please say what %s means.") "]",
    "[" QUESTION "," ANSWER "," SAY("user", "%s is a word.") "]",
    "[" SAY("user", "The word is %s") "]",
    "[" SAY("system", "The word %s is short.") "," QUESTION "]",
    "[" SAY("user", "Is %s a word?") "," ANSWER "," THANKS "]",
    "[" QUESTION "," SAY("assistant", "The word %s is short.") "," THANKS "]",
    "[" SYSTEM "," QUESTION "," CALLING ",{\"role\":\"tool\",\"name\":\"open_hours\",\"tool_call_"
    "id\":\"abc123def\",\"content\":\"%s\"}]",
};

static weir_code add_text_probes(const maker *in, const char *text, size_t len) {
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        WEIR_CLEANUP(text_buffer_release) text_buffer json = {0};
        const char *gap = strstr(places[i], "%s");
        conversation *made;
        if (in->grid->count >= CONVERSATION_COUNT + PROBES_MAX) {
            return WEIR_OK;
        }
        text_buffer_add(&json, places[i], (size_t)(gap - places[i]));
        add_escaped(&json, text, len);
        text_buffer_add(&json, gap + 2, strlen(gap + 2));
        if (json.failed) {
            return weir_fail_nomem(in->err);
        }
        if (!text_is_utf8(text, len)) {
            return WEIR_OK;
        }
        WEIR_TRY(add(in, json.data, /* has_prompt= */ true, /* has_tools= */ false, -1, &made));
        WEIR_TRY(name_probe(in, made, text, len));
    }
    return WEIR_OK;
}

/* A message of just more characters, and a conversation of just more messages, than a number. */
static weir_code add_number_probes(const maker *in, int64_t number) {
    enum { LENGTH_MAX = 4096, TURNS_MAX = 48 };
    WEIR_CLEANUP(text_buffer_release) text_buffer json = {0};
    WEIR_CLEANUP(text_buffer_release) text_buffer turns = {0};
    char shown[48];
    conversation *made;
    if (number < 2 || number > LENGTH_MAX ||
        in->grid->count + 2 > CONVERSATION_COUNT + PROBES_MAX) {
        return WEIR_OK;
    }
    text_buffer_format(&json, "[{\"role\":\"user\",\"content\":\"");
    for (int64_t i = 0; i <= number; i++) {
        text_buffer_add(&json, i % 6 == 5 ? " " : "a", 1);
    }
    text_buffer_format(&json, "\"}]");
    for (int64_t i = 0; number <= TURNS_MAX && i <= number / 2; i++) {
        text_buffer_format(&turns, "%s" QUESTION "," ANSWER, i ? "," : "[");
    }
    text_buffer_format(&turns, "," THANKS "]");
    if (json.failed || turns.failed) {
        return weir_fail_nomem(in->err);
    }
    WEIR_TRY(add(in, json.data, /* has_prompt= */ true, /* has_tools= */ false, -1, &made));
    (void)snprintf(shown, sizeof shown, "more than %d characters", (int)number);
    WEIR_TRY(name_probe(in, made, shown, strlen(shown)));
    if (number <= TURNS_MAX) {
        WEIR_TRY(add(in, turns.data, /* has_prompt= */ true, /* has_tools= */ false, -1, &made));
        (void)snprintf(shown, sizeof shown, "more than %d messages", (int)number);
        WEIR_TRY(name_probe(in, made, shown, strlen(shown)));
    }
    return WEIR_OK;
}

static bool is_listed(const taint_report *in, size_t count, const template_node *node) {
    for (size_t i = 0; i < count; i++) {
        const template_node *other = in->probes[i];
        if (other->kind == node->kind && other->integer == node->integer &&
            other->len == node->len && memcmp(other->text, node->text, node->len) == 0) {
            return true;
        }
    }
    return false;
}

/* Constants of one report that are not yet among its own or another's. */
static size_t probe_count(const taint_report *of) {
    enum { LOOKED_AT_MAX = 256 };
    return of->probe_count < LOOKED_AT_MAX ? of->probe_count : LOOKED_AT_MAX;
}

static weir_code add_probes(const maker *in, const taint_report *from,
                            const taint_report *already) {
    size_t used = 0;
    for (size_t i = 0; i < probe_count(from) && used < PROBED_MAX; i++) {
        const template_node *node = from->probes[i];
        if (is_listed(from, i, node) ||
            (already && is_listed(already, probe_count(already), node))) {
            continue;
        }
        used++;
        WEIR_TRY(node->kind == NODE_STRING ? add_text_probes(in, node->text, node->len)
                                           : add_number_probes(in, node->integer));
    }
    return WEIR_OK;
}

static weir_code add_date(const maker *in, template_date date) {
    char shown[32];
    conversation *made;
    if (in->grid->count >= CONVERSATION_COUNT + PROBES_MAX) {
        return WEIR_OK;
    }
    WEIR_TRY(add(in, lists[1], /* has_prompt= */ true, /* has_tools= */ false, -1, &made));
    made->date = date;
    made->probes_date = true;
    (void)snprintf(shown, sizeof shown, "%04d-%02d-%02d", date.year, date.month, date.day);
    return name_probe(in, made, shown, strlen(shown));
}

/* A day in or behind what a constant names: a year, a month of it, a day. */
static bool read_date(const template_node *node, template_date *out) {
    int parts[3] = {0, 6, 15};
    size_t count = 0;
    if (node->kind == NODE_INTEGER) {
        parts[0] = node->integer > 1990 && node->integer < 2200 ? (int)node->integer : 0;
    }
    for (size_t i = 0; i < node->len && count < 3; i++) {
        int number = 0;
        size_t digits = 0;
        for (; i < node->len && node->text[i] >= '0' && node->text[i] <= '9' && digits < 4; i++) {
            number = number * 10 + node->text[i] - '0';
            digits++;
        }
        if (digits > 0) {
            parts[count++] = number;
        }
    }
    if (parts[0] < 1990 || parts[0] > 2199 || parts[1] < 1 || parts[1] > 12) {
        return false;
    }
    *out = (template_date){parts[0], parts[1], parts[2] >= 1 && parts[2] <= 28 ? parts[2] : 28,
                           12,       0,        0};
    return true;
}

/* The dates that a template names, the year before and after, and a day of every month. */
static weir_code add_dates(const maker *in, const taint_report *from) {
    for (size_t i = 0; i < from->date_count && i < 4; i++) {
        template_date date;
        if (read_date(from->dates[i], &date)) {
            WEIR_TRY(add_date(in, date));
            date.year++;
            WEIR_TRY(add_date(in, date));
            date.year -= 2;
            WEIR_TRY(add_date(in, date));
        }
    }
    for (int month = 1; from->date_count > 0 && month <= 12; month++) {
        WEIR_TRY(add_date(in, (template_date){2026, month, 1 + month * 2, month + 8, 0, 0}));
    }
    return WEIR_OK;
}

weir_code conversations_make(conversation_grid *out, arena *memory, const taint_report *a,
                             const taint_report *b, weir_error *err) {
    const maker in = {.grid = out, .memory = memory, .err = err};
    *out = (conversation_grid){0};
    out->items = arena_alloc(memory, CONVERSATION_COUNT + PROBES_MAX, sizeof *out->items);
    if (!out->items) {
        return weir_fail_nomem(err);
    }
    WEIR_TRY(add_fixed(&in));
    WEIR_TRY(add_dates(&in, b));
    WEIR_TRY(add_dates(&in, a));
    WEIR_TRY(add_probes(&in, b, NULL));
    return add_probes(&in, a, b);
}
