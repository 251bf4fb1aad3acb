/* SPDX-License-Identifier: Apache-2.0 */
#include "arguments.h"

#include <limits.h>
#include <popt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/assess.h>

#include "failure.h"

enum { OPTIONS_MAX = 32, JOBS_MAX = 1024, FORMAT_NAME_BYTES = 32 };

/* popt's table holds no sentences here: usage.c writes help from the same rows. */
static void fill_table(struct poptOption *table, const cli_command *command) {
    size_t count = 0;
    for (; command->options[count] && count + 1 < OPTIONS_MAX; count++) {
        const option_spec *option = command->options[count];
        table[count] = (struct poptOption){
            .longName = option->name,
            .shortName = option->letter,
            .argInfo = option->argument ? POPT_ARG_STRING : POPT_ARG_NONE,
            .val = (int)option->id,
        };
    }
    table[count] = (struct poptOption)POPT_TABLEEND;
}

static bool parse_number(const char *text, long low, long high, long *out) {
    char *end = NULL;
    const long value = strtol(text, &end, 10);
    if (end == text || *end || value < low || value > high) {
        return false;
    }
    *out = value;
    return true;
}

static exit_status take_jobs(invocation *call, const char *value) {
    long jobs = 0;
    if (!parse_number(value, 1, JOBS_MAX, &jobs)) {
        return failure_of_usage(call->command, "--jobs takes a number from 1 to %d, not '%s'",
                                JOBS_MAX, value);
    }
    call->jobs = (unsigned)jobs;
    return EXIT_DONE;
}

static exit_status take_fail_on(invocation *call, const char *value) {
    long tier = 0;
    if (!parse_number(value, WEIR_TIER_MIN, WEIR_TIER_MAX, &tier)) {
        return failure_of_usage(call->command, "--fail-on takes a tier from %d to %d, not '%s'",
                                WEIR_TIER_MIN, WEIR_TIER_MAX, value);
    }
    call->fail_on = (int)tier;
    return EXIT_DONE;
}

/* Whether a list of words with ", " between them has this one. */
static bool has_word(const char *list, const char *word) {
    const size_t length = strlen(word);
    for (const char *at = list; at; at = strstr(at, ", ")) {
        at += *at == ',' ? 2 : 0;
        if (strncmp(at, word, length) == 0 && (at[length] == '\0' || at[length] == ',')) {
            return true;
        }
    }
    return false;
}

/* "json", "json=report.json", "json=-". */
static exit_status take_output(invocation *call, const char *value) {
    char name[FORMAT_NAME_BYTES] = "";
    const size_t length = strcspn(value, "=");
    if (length < sizeof name) {
        memcpy(name, value, length);
    }
    weir_format format = WEIR_FORMAT_TABLE;
    const bool is_known = weir_format_find(&format, name, NULL) == WEIR_OK;
    const bool is_common = format == WEIR_FORMAT_TABLE || format == WEIR_FORMAT_JSON;
    const char *others = call->command->formats;
    if (!is_known || !(is_common || (others && has_word(others, name)))) {
        return failure_of_usage(call->command, "no output format '%.*s'; there is: table, json%s%s",
                                (int)length, value, others ? ", " : "", others ? others : "");
    }
    const char *path = value[length] ? value + length + 1 : NULL;
    if (path && !*path) {
        return failure_of_usage(call->command, "no file name after '%s'", value);
    }
    if (path && strcmp(path, "-") == 0) {
        path = NULL;
    }
    if (call->output_count == OUTPUTS_MAX) {
        return failure_of_usage(call->command, "more than %d outputs", OUTPUTS_MAX);
    }
    call->outputs[call->output_count++] = (output_spec){.format = format, .path = path};
    return EXIT_DONE;
}

static exit_status take_parent(invocation *call, const char *value) {
    if (!value[0]) {
        return failure_of_usage(call->command, "--parent takes a model, not an empty name");
    }
    if (call->parent_count == PARENTS_MAX) {
        return failure_of_usage(call->command, "more than %d parents", PARENTS_MAX);
    }
    call->parents[call->parent_count++] = value;
    return EXIT_DONE;
}

static exit_status take_option(invocation *call, option_id id, const char *value) {
    switch (id) {
    case OPTION_JSON:
        return take_output(call, "json");
    case OPTION_JSONL:
        return take_output(call, "jsonl");
    case OPTION_OUTPUT:
        return take_output(call, value);
    case OPTION_JOBS:
        return take_jobs(call, value);
    case OPTION_FAIL_ON:
        return take_fail_on(call, value);
    case OPTION_QUIET:
        call->quiet = true;
        break;
    case OPTION_VERBOSE:
        call->verbose = true;
        break;
    case OPTION_NO_COLOR:
        call->no_color = true;
        break;
    case OPTION_NAME:
        if (!value[0]) {
            return failure_of_usage(call->command, "--name takes a name, not an empty one");
        }
        call->name = value;
        break;
    case OPTION_BASE:
        call->base = value;
        break;
    case OPTION_PARENT:
        return take_parent(call, value);
    case OPTION_REGISTRY:
        if (!value[0]) {
            return failure_of_usage(call->command, "--registry takes a file, not an empty name");
        }
        call->registry = value;
        break;
    case OPTION_REASON:
        call->reason = value;
        break;
    case OPTION_RESUME:
        call->resume = value;
        break;
    case OPTION_REPLAY:
        call->replay = value;
        break;
    case OPTION_DIGEST:
        call->digest = true;
        break;
    case OPTION_LENIENT:
        call->lenient = true;
        break;
    case OPTION_EXIT_CODE:
        call->exit_code = true;
        break;
    case OPTION_HELP:
        call->help = true;
        break;
    case OPTION_END:
        break;
    }
    return EXIT_DONE;
}

static exit_status take_options(invocation *call, poptContext context) {
    int id = 0;
    while ((id = poptGetNextOpt(context)) > 0) {
        /* The value is popt's own copy; it is kept for the life of the process. */
        const exit_status status = take_option(call, (option_id)id, poptGetOptArg(context));
        if (status != EXIT_DONE) {
            return status;
        }
    }
    if (id < -1) {
        return failure_of_usage(call->command, "%s: %s",
                                poptBadOption(context, POPT_BADOPTION_NOALIAS),
                                id == POPT_ERROR_BADOPT ? "no such option" : poptStrerror(id));
    }
    return EXIT_DONE;
}

static exit_status take_operands(invocation *call, poptContext context) {
    const char **operands = poptGetArgs(context); /* lives as long as the context */
    call->operands = operands;
    while (operands && operands[call->operand_count]) {
        call->operand_count++;
    }
    const cli_command *command = call->command;
    if (call->help) {
        return EXIT_DONE;
    }
    if (call->operand_count < command->operands_min) {
        return failure_of_usage(command, "%s needs %s", command->name, command->operands);
    }
    if (operands && call->operand_count > command->operands_max) {
        return failure_of_usage(command, "one argument too many: '%s'",
                                operands[command->operands_max]);
    }
    return EXIT_DONE;
}

static bool has_output_before(const invocation *call, size_t index) {
    for (size_t i = 0; i < index; i++) {
        if (call->outputs[i].path &&
            strcmp(call->outputs[i].path, call->outputs[index].path) == 0) {
            return true;
        }
    }
    return false;
}

/* Two outputs cannot share a stream or a file: neither could be read. */
static exit_status check_outputs(invocation *call) {
    size_t on_stdout = 0;
    for (size_t i = 0; i < call->output_count; i++) {
        on_stdout += !call->outputs[i].path;
        if (call->outputs[i].path && has_output_before(call, i)) {
            return failure_of_usage(call->command, "two outputs go to '%s'", call->outputs[i].path);
        }
    }
    if (on_stdout > 1) {
        return failure_of_usage(call->command, "only one output can go to standard output");
    }
    if (call->output_count == 0 && !call->resume) {
        call->outputs[call->output_count++] = (output_spec){.format = WEIR_FORMAT_TABLE};
    }
    if (call->quiet && call->verbose) {
        return failure_of_usage(call->command, "--quiet and --verbose exclude each other");
    }
    return EXIT_DONE;
}

exit_status arguments_parse(invocation *call, const cli_command *command, int argc,
                            const char *const *argv) {
    struct poptOption table[OPTIONS_MAX];
    fill_table(table, command);
    *call = (invocation){.command = command, .fail_on = FAIL_ON_UNSET};
    /* Never freed: the invocation borrows operands and values until the process ends. */
    static poptContext context;
    context = poptGetContext(NULL, argc, (const char **)argv, table, POPT_CONTEXT_NO_EXEC);
    if (!context) {
        (void)fputs("weir: out of memory\n", stderr);
        return EXIT_ENVIRONMENT;
    }
    exit_status status = take_options(call, context);
    if (status == EXIT_DONE) {
        status = take_operands(call, context);
    }
    if (status == EXIT_DONE) {
        status = check_outputs(call);
    }
    return status;
}
