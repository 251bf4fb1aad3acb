/* SPDX-License-Identifier: Apache-2.0 */
#include "usage.h"

#include <string.h>

enum {
    TEXT_WIDTH = 80,
    OPTION_INDENT = 29,
    ENTRY_INDENT = 16,
    ACTION_INDENT = 20,
    HEAD_BYTES = 80
};

const char usage_purpose[] =
    "who modified an AI model, what was modified, what it did to capability and "
    "safety, how worried to be";

/* Words of `text`, wrapped; the cursor stands at `column` and later lines start at `indent`. */
static void write_wrapped(FILE *stream, const char *text, size_t column, size_t indent) {
    bool is_line_start = true;
    while (*text) {
        const size_t length = strcspn(text, " ");
        if (!is_line_start && column + 1 + length > TEXT_WIDTH) {
            (void)fprintf(stream, "\n%*s", (int)indent, "");
            column = indent;
            is_line_start = true;
        }
        if (!is_line_start) {
            (void)fputc(' ', stream);
            column++;
        }
        (void)fwrite(text, 1, length, stream);
        column += length;
        is_line_start = false;
        text += length + (text[length] == ' ');
    }
    (void)fputc('\n', stream);
}

/* "  head      text", the text in its own column; on the next line when the head is long. */
static void write_entry(FILE *stream, const char *head, const char *text, size_t indent) {
    (void)fprintf(stream, "  %s", head);
    const size_t column = strlen(head) + 2;
    if (column + 2 > indent) {
        (void)fprintf(stream, "\n%*s", (int)indent, "");
    } else {
        (void)fprintf(stream, "%*s", (int)(indent - column), "");
    }
    write_wrapped(stream, text, indent, indent);
}

const char *usage_option_head(const option_spec *option, char *out, size_t size) {
    const char letter[] = {'-', option->letter, ',', ' ', '\0'};
    (void)snprintf(out, size, "%s--%s%s%s", option->letter ? letter : "", option->name,
                   option->argument ? " " : "", option->argument ? option->argument : "");
    return out;
}

static void write_status(FILE *stream, exit_status status) {
    char number[HEAD_BYTES];
    (void)snprintf(number, sizeof number, "%d", (int)status);
    write_entry(stream, number, exit_status_meaning(status), 8);
}

static void write_examples(FILE *stream, const cli_command *command) {
    (void)fputs("\nExamples:\n", stream);
    for (const example_spec *example = command->examples; example->line; example++) {
        (void)fprintf(stream, "  %s\n      %s\n", example->line, example->does);
    }
}

static void write_options(FILE *stream, const cli_command *command) {
    (void)fputs("\nOptions:\n", stream);
    for (size_t i = 0; command->options[i]; i++) {
        char head[HEAD_BYTES];
        write_entry(stream, usage_option_head(command->options[i], head, sizeof head),
                    command->options[i]->help, OPTION_INDENT);
    }
}

static void write_exits(FILE *stream, const cli_command *command) {
    (void)fputs("\nExit codes:\n", stream);
    write_status(stream, EXIT_DONE);
    for (const exit_status *status = command->exits; *status != EXIT_DONE; status++) {
        write_status(stream, *status);
    }
}

static void write_actions(FILE *stream, const cli_command *command) {
    if (command->actions) {
        (void)fputs("\nActions:\n", stream);
    }
    for (const action_spec *action = command->actions; action && action->name; action++) {
        char head[HEAD_BYTES];
        (void)snprintf(head, sizeof head, "%s %s", action->name, action->operands);
        write_entry(stream, head, action->help, ACTION_INDENT);
    }
}

void usage_write_command(FILE *stream, const cli_command *command) {
    const bool has_operands = command->operands[0] != '\0';
    (void)fprintf(stream, "%s\n\nUsage: weir %s [OPTIONS]%s%s\n", command->question, command->name,
                  has_operands ? " " : "", command->operands);
    write_examples(stream, command);
    if (has_operands) {
        (void)fputs("\nArguments:\n", stream);
        write_entry(stream, command->operands, command->operands_help, ENTRY_INDENT);
    }
    write_actions(stream, command);
    write_options(stream, command);
    write_exits(stream, command);
}

void usage_write_all(FILE *stream) {
    (void)fputs("weir: ", stream);
    write_wrapped(stream, usage_purpose, strlen("weir: "), 0);
    (void)fputs("\nUsage: weir VERB [OPTIONS] [ARGUMENTS]\n       weir --version\n\nVerbs:\n",
                stream);
    for (size_t i = 0; command_at(i); i++) {
        write_entry(stream, command_at(i)->name, command_at(i)->question, ENTRY_INDENT);
    }
    (void)fputs("\nTopics:\n", stream);
    for (size_t i = 0; topic_at(i); i++) {
        write_entry(stream, topic_at(i)->name, topic_at(i)->title, ENTRY_INDENT);
    }
    (void)fputs("\nStart with: weir inspect MODEL\n"
                "More on a verb or topic: weir help VERB, weir help TOPIC\n",
                stream);
}

static void write_statuses(FILE *stream) {
    for (size_t i = 0; exit_status_at(i); i++) {
        write_status(stream, exit_status_at(i)->status);
    }
}

void usage_write_topic(FILE *stream, const cli_topic *topic) {
    (void)fprintf(stream, "%s: %s\n\n", topic->name, topic->title);
    if (strcmp(topic->name, "exit-codes") == 0) {
        write_statuses(stream);
        (void)fputc('\n', stream);
    }
    for (const topic_entry *entry = topic->entries; entry->text; entry++) {
        if (entry->word) {
            write_entry(stream, entry->word, entry->text, ENTRY_INDENT);
            continue;
        }
        if (entry != topic->entries) {
            (void)fputc('\n', stream);
        }
        write_wrapped(stream, entry->text, 0, 0);
    }
}
