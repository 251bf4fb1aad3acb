/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Built and run by meson, never installed: what the command table says, as man page sections and
 * shell completions.
 *
 *     generate man PAGE.scd       copies a page; a line that is one marker becomes text of the
 * table:
 *                                 @verbs@ @topics@ @exit-codes@ @synopsis VERB@ @arguments VERB@
 *                                 @options VERB@ @examples VERB@ @exit-codes VERB@ @topic TOPIC@
 *     generate bash|zsh|fish      the completion of that shell
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "topics.h"
#include "usage.h"

enum { LINE_BYTES = 1024, NAME_BYTES = 32 };

/* The table's functions are never called here. */
exit_status cmd_inspect(const invocation *call) {
    (void)call;
    return EXIT_BUG;
}
exit_status cmd_trace(const invocation *call) {
    return cmd_inspect(call);
}
exit_status cmd_diff(const invocation *call) {
    return cmd_inspect(call);
}
exit_status cmd_assess(const invocation *call) {
    return cmd_inspect(call);
}
exit_status cmd_registry(const invocation *call) {
    return cmd_inspect(call);
}
exit_status cmd_doctor(const invocation *call) {
    return cmd_inspect(call);
}
exit_status cmd_help(const invocation *call) {
    return cmd_inspect(call);
}

/* ---- scdoc: https://man.archlinux.org/man/scdoc.5 ---- */

static void write_escaped(const char *text) {
    for (; *text; text++) {
        if (strchr("\\*_`~#", *text)) {
            (void)putchar('\\');
        }
        (void)putchar(*text);
    }
}

static void write_term(const char *term, const char *text) {
    (void)putchar('*');
    write_escaped(term);
    (void)fputs("*\n\t", stdout);
    write_escaped(text);
    (void)fputs("\n\n", stdout);
}

static void man_verbs(void) {
    for (size_t i = 0; command_at(i); i++) {
        char term[NAME_BYTES * 2];
        (void)snprintf(term, sizeof term, "weir-%s(1)", command_at(i)->name);
        write_term(term, command_at(i)->question);
    }
}

static void man_topics(void) {
    for (size_t i = 0; topic_at(i); i++) {
        write_term(topic_at(i)->name, topic_at(i)->title);
    }
}

static void man_status(exit_status status) {
    char number[NAME_BYTES];
    (void)snprintf(number, sizeof number, "%d", (int)status);
    write_term(number, exit_status_meaning(status));
}

static void man_all_statuses(void) {
    for (size_t i = 0; exit_status_at(i); i++) {
        man_status(exit_status_at(i)->status);
    }
}

static void man_synopsis(const cli_command *command) {
    (void)printf("*weir %s* [OPTIONS] ", command->name);
    write_escaped(command->operands);
    (void)fputs("\n\n", stdout);
}

static void man_arguments(const cli_command *command) {
    if (command->operands[0]) {
        write_term(command->operands, command->operands_help);
    }
    for (const action_spec *action = command->actions; action && action->name; action++) {
        char term[NAME_BYTES * 2];
        (void)snprintf(term, sizeof term, "%s%s%s", action->name, action->operands[0] ? " " : "",
                       action->operands);
        write_term(term, action->help);
    }
}

static void man_option(const option_spec *option) {
    if (option->letter) {
        (void)printf("*-%c*, ", option->letter);
    }
    (void)printf("*--%s*", option->name);
    if (option->argument) {
        (void)fputs(" _", stdout);
        write_escaped(option->argument);
        (void)putchar('_');
    }
    (void)fputs("\n\t", stdout);
    write_escaped(option->help);
    (void)fputs("\n\n", stdout);
}

static void man_options(const cli_command *command) {
    for (size_t i = 0; command->options[i]; i++) {
        man_option(command->options[i]);
    }
}

static void man_examples(const cli_command *command) {
    for (const example_spec *example = command->examples; example->line; example++) {
        char does[LINE_BYTES];
        (void)snprintf(does, sizeof does, "%c%s.", example->does[0] & ~0x20, example->does + 1);
        write_term(example->line, does);
    }
}

static void man_statuses(const cli_command *command) {
    man_status(EXIT_DONE);
    for (const exit_status *status = command->exits; *status != EXIT_DONE; status++) {
        man_status(*status);
    }
}

static void man_topic(const cli_topic *topic) {
    for (const topic_entry *entry = topic->entries; entry->text; entry++) {
        if (entry->word) {
            write_term(entry->word, entry->text);
        } else {
            write_escaped(entry->text);
            (void)fputs("\n\n", stdout);
        }
    }
}

static const struct {
    const char *name;
    void (*write)(void);
} general_markers[] = {
    {"verbs", man_verbs},
    {"topics", man_topics},
    {"exit-codes", man_all_statuses},
};

static const struct {
    const char *name;
    void (*write)(const cli_command *command);
} verb_markers[] = {
    {"synopsis", man_synopsis}, {"arguments", man_arguments}, {"options", man_options},
    {"examples", man_examples}, {"exit-codes", man_statuses},
};

static bool write_general_marker(const char *name) {
    for (size_t i = 0; i < sizeof general_markers / sizeof *general_markers; i++) {
        if (strcmp(general_markers[i].name, name) == 0) {
            general_markers[i].write();
            return true;
        }
    }
    return false;
}

static bool write_verb_marker(const char *name, const char *verb) {
    const cli_command *command = command_find(verb);
    for (size_t i = 0; command && i < sizeof verb_markers / sizeof *verb_markers; i++) {
        if (strcmp(verb_markers[i].name, name) == 0) {
            verb_markers[i].write(command);
            return true;
        }
    }
    const cli_topic *topic = strcmp(name, "topic") == 0 ? topic_find(verb) : NULL;
    if (topic) {
        man_topic(topic);
    }
    return topic != NULL;
}

/* @return whether the line was no marker, or one that is known */
static bool write_man_line(const char *line) {
    char name[NAME_BYTES];
    char word[NAME_BYTES];
    if (line[0] != '@') {
        (void)fputs(line, stdout);
        return true;
    }
    if (sscanf(line, "@%31[a-z-] %31[a-z-]@", name, word) == 2) {
        return write_verb_marker(name, word);
    }
    return sscanf(line, "@%31[a-z-]@", name) == 1 && write_general_marker(name);
}

static int write_man(const char *path) {
    FILE *page = fopen(path, "re");
    if (!page) {
        perror(path);
        return EXIT_FAILURE;
    }
    char line[LINE_BYTES];
    bool is_known = true;
    while (is_known && fgets(line, sizeof line, page)) {
        is_known = write_man_line(line);
    }
    (void)fclose(page);
    if (!is_known) {
        (void)fprintf(stderr, "%s: unknown marker %s", path, line);
    }
    return is_known ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- shells ---- */

static void write_verb_names(void) {
    for (size_t i = 0; command_at(i); i++) {
        (void)printf("%s%s", i ? " " : "", command_at(i)->name);
    }
}

static void write_option_words(const cli_command *command) {
    for (size_t i = 0; command->options[i]; i++) {
        if (command->options[i]->letter) {
            (void)printf("-%c ", command->options[i]->letter);
        }
        (void)printf("--%s ", command->options[i]->name);
    }
}

static void bash_option_value(const cli_command *command, const option_spec *option) {
    if (!option->argument) {
        return;
    }
    (void)printf("    %s:--%s", command->name, option->name);
    if (option->letter) {
        (void)printf("|%s:-%c", command->name, option->letter);
    }
    if (option->completes) {
        (void)printf(") COMPREPLY=($(compgen -W '%s' -- \"$word\")); return ;;\n",
                     option->completes);
    } else {
        (void)puts(") COMPREPLY=($(compgen -f -- \"$word\")); return ;;");
    }
}

static void write_bash(void) {
    (void)puts(
        "# SPDX-License-Identifier: Apache-2.0\n# Completion of weir for bash; made from the "
        "command table.\n_weir() {\n    local word=${COMP_WORDS[COMP_CWORD]} "
        "before=${COMP_WORDS[COMP_CWORD-1]} verb=${COMP_WORDS[1]} options= words= actions=\n"
        "    COMPREPLY=()\n    if [ \"$COMP_CWORD\" -eq 1 ]; then");
    (void)fputs("        COMPREPLY=($(compgen -W '", stdout);
    write_verb_names();
    (void)puts(" --version --help' -- \"$word\")); return\n    fi\n    case $verb:$before in");
    for (size_t i = 0; command_at(i); i++) {
        for (size_t j = 0; command_at(i)->options[j]; j++) {
            bash_option_value(command_at(i), command_at(i)->options[j]);
        }
    }
    (void)puts("    esac\n    case $verb in");
    for (size_t i = 0; command_at(i); i++) {
        (void)printf("    %s) options='", command_at(i)->name);
        write_option_words(command_at(i));
        (void)printf("' words='%s' actions=%s ;;\n",
                     command_at(i)->completes ? command_at(i)->completes : "",
                     command_at(i)->actions ? "yes" : "");
    }
    (void)puts(
        "    esac\n    case $word in\n    -*) COMPREPLY=($(compgen -W \"$options\" -- \"$word\")) "
        ";;\n    *) if [ -n \"$words\" ] && ! { [ -n \"$actions\" ] && [ \"$COMP_CWORD\" -gt 2 ]; "
        "}; then COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
        "       else COMPREPLY=($(compgen -f -- \"$word\")); fi ;;\n    esac\n}\n"
        "complete -o filenames -o bashdefault -F _weir weir");
}

/* Inside '...' of zsh's _arguments: brackets, colons and quotes are special. */
static void write_zsh_text(const char *text) {
    for (; *text; text++) {
        if (*text == '\'') {
            (void)fputs("'\\''", stdout);
        } else {
            if (strchr("[]:\\", *text)) {
                (void)putchar('\\');
            }
            (void)putchar(*text);
        }
    }
}

static void zsh_value(const option_spec *option) {
    if (option->completes) {
        (void)printf(":%s:(%s)", "value", option->completes);
    } else if (option->argument) {
        (void)fputs(":file:_files", stdout);
    }
}

static void zsh_option(const option_spec *option) {
    const char *repeat = option->id == OPTION_OUTPUT ? "*" : "";
    if (option->letter) {
        (void)printf("            '%s-%c[", repeat, option->letter);
        write_zsh_text(option->help);
        (void)putchar(']');
        zsh_value(option);
        (void)puts("' \\");
    }
    (void)printf("            '%s--%s[", repeat, option->name);
    write_zsh_text(option->help);
    (void)putchar(']');
    zsh_value(option);
    (void)puts("' \\");
}

static void write_zsh(void) {
    (void)puts(
        "#compdef weir\n# SPDX-License-Identifier: Apache-2.0\n# Completion of weir for zsh; made "
        "from the command table.\n_weir() {\n    local -a verbs\n    verbs=(");
    for (size_t i = 0; command_at(i); i++) {
        (void)printf("        '%s:", command_at(i)->name);
        write_zsh_text(command_at(i)->question);
        (void)puts("'");
    }
    (void)puts(
        "    )\n    if (( CURRENT == 2 )); then\n        _describe 'verb' verbs\n        return\n"
        "    fi\n    local verb=$words[2]\n    shift words\n    (( CURRENT-- ))\n    case $verb "
        "in");
    for (size_t i = 0; command_at(i); i++) {
        const cli_command *command = command_at(i);
        (void)printf("        %s) _arguments \\\n", command->name);
        for (size_t j = 0; command->options[j]; j++) {
            zsh_option(command->options[j]);
        }
        if (command->actions) {
            (void)printf("            '1:action:(%s)' '*:file:_files' ;;\n", command->completes);
        } else if (command->completes) {
            (void)printf("            '*:word:(%s)' ;;\n", command->completes);
        } else {
            (void)puts("            '*:file:_files' ;;");
        }
    }
    (void)puts("    esac\n}\n_weir \"$@\"");
}

/* Inside '...' of fish only the quote and the backslash are special. */
static void write_fish_text(const char *text) {
    for (; *text; text++) {
        if (*text == '\'' || *text == '\\') {
            (void)putchar('\\');
        }
        (void)putchar(*text);
    }
}

static void fish_option(const cli_command *command, const option_spec *option) {
    (void)printf("complete -c weir -n '__fish_seen_subcommand_from %s' -l %s", command->name,
                 option->name);
    if (option->letter) {
        (void)printf(" -s %c", option->letter);
    }
    if (option->argument) {
        (void)fputs(" -r", stdout);
    }
    if (option->completes) {
        (void)printf(" -f -a '%s'", option->completes);
    }
    (void)fputs(" -d '", stdout);
    write_fish_text(option->help);
    (void)puts("'");
}

static void write_fish(void) {
    (void)puts(
        "# SPDX-License-Identifier: Apache-2.0\n# Completion of weir for fish; made from the "
        "command table.\ncomplete -c weir -n __fish_use_subcommand -f -l version");
    for (size_t i = 0; command_at(i); i++) {
        const cli_command *command = command_at(i);
        (void)printf("complete -c weir -n __fish_use_subcommand -f -a %s -d '", command->name);
        write_fish_text(command->question);
        (void)puts("'");
        for (size_t j = 0; command->options[j]; j++) {
            fish_option(command, command->options[j]);
        }
        if (command->actions) {
            (void)printf("complete -c weir -n '__fish_seen_subcommand_from %s; and not "
                         "__fish_seen_subcommand_from %s' -f -a '%s'\n",
                         command->name, command->completes, command->completes);
        } else if (command->completes) {
            (void)printf("complete -c weir -n '__fish_seen_subcommand_from %s' -f -a '%s'\n",
                         command->name, command->completes);
        }
    }
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "man") == 0) {
        return write_man(argv[2]);
    }
    const char *shell = argc == 2 ? argv[1] : "";
    if (strcmp(shell, "bash") == 0) {
        write_bash();
    } else if (strcmp(shell, "zsh") == 0) {
        write_zsh();
    } else if (strcmp(shell, "fish") == 0) {
        write_fish();
    } else {
        (void)fputs("usage: generate man PAGE.scd | bash | zsh | fish\n", stderr);
        return EXIT_USAGE;
    }
    return EXIT_SUCCESS;
}
