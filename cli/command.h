/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file command.h  The command table: one source for parsing, help, man pages and completions.
 *
 * commands.c holds the data. arguments.c turns it into popt tables, usage.c into help, generate.c
 * into man page sections and shell completions. A verb is listed here only when it works.
 */
#ifndef WEIR_CLI_COMMAND_H
#define WEIR_CLI_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include <weir/report.h>

/** What the process says when it ends. DESIGN: answers and failures never share a code. */
typedef enum exit_status {
    EXIT_DONE = 0,
    EXIT_ANSWER_NO = 1,
    EXIT_USAGE = 2,
    EXIT_INPUT = 3,
    EXIT_EVIDENCE = 4,
    EXIT_ENVIRONMENT = 5,
    EXIT_BUG = 70,
    EXIT_INTERRUPTED = 130,
    EXIT_TERMINATED = 143,
} exit_status;

typedef struct exit_status_info {
    exit_status status;
    const char *meaning;
} exit_status_info;

typedef enum option_id {
    OPTION_END, /* closes an array of options; popt also takes 0 for "no value" */
    OPTION_JSON,
    OPTION_OUTPUT,
    OPTION_QUIET,
    OPTION_VERBOSE,
    OPTION_NO_COLOR,
    OPTION_JOBS,
    OPTION_NAME,
    OPTION_DIGEST,
    OPTION_LENIENT,
    OPTION_EXIT_CODE,
    OPTION_BASE,
    OPTION_PARENT,
    OPTION_FAIL_ON,
    OPTION_REGISTRY,
    OPTION_REASON,
    OPTION_JSONL,
    OPTION_RESUME,
    OPTION_REPLAY,
    OPTION_HELP,
} option_id;

typedef struct option_spec {
    option_id id;
    char letter;           /* '\0': long form only */
    const char *name;      /* without the dashes */
    const char *argument;  /* what help calls its value; NULL for a switch */
    const char *completes; /* words that a shell offers for the value; NULL for file names */
    const char *help;      /* sentences */
} option_spec;

typedef struct example_spec {
    const char *line; /* what is typed */
    const char *does; /* what it answers */
} example_spec;

/* What a verb of several actions is asked to do: its first operand. */
typedef struct action_spec {
    const char *name;
    const char *operands; /* those after it, or "" */
    const char *help;     /* sentences */
} action_spec;

typedef struct invocation invocation;

typedef struct cli_command {
    const char *name;
    const char *question; /* what it answers, as a question */
    const char *operands; /* "MODEL..." or "" */
    const char *operands_help;
    const char *completes;      /* as for an option; NULL for file names */
    const action_spec *actions; /* ends with {NULL}; NULL: the verb does one thing. `completes`
                                   names them, and a shell offers file names after one */
    const char *formats;        /* those it writes besides table and json: "jsonl, bundle"; NULL */
    size_t operands_min;
    size_t operands_max;
    const option_spec *const *options; /* ends with NULL */
    const example_spec *examples;      /* ends with {NULL} */
    const exit_status *exits;          /* what this verb may end with; ends with EXIT_DONE */
    exit_status (*run)(const invocation *call);
} cli_command;

enum { OUTPUTS_MAX = 8, OPERANDS_MAX = 4096, PARENTS_MAX = 32, FAIL_ON_UNSET = -1 };

/** One `-o FORMAT[=FILE]`. */
typedef struct output_spec {
    weir_format format;
    const char *path; /* NULL: standard output */
} output_spec;

/** A command line, parsed. Strings are borrowed from argv's copy and live as long as the process.
 */
struct invocation {
    const cli_command *command;
    output_spec outputs[OUTPUTS_MAX];
    size_t output_count;
    const char *const *operands;
    size_t operand_count;
    const char *name;
    const char *base;
    const char *parents[PARENTS_MAX];
    size_t parent_count;
    const char *registry;
    const char *reason;
    const char *resume;
    const char *replay;
    unsigned jobs; /* 0: as many as the machine has */
    int fail_on;   /* FAIL_ON_UNSET or a tier */
    bool help;
    bool quiet;
    bool verbose;
    bool no_color;
    bool digest;
    bool lenient;
    bool exit_code;
};

/** @return the row of a verb, or NULL. */
const cli_command *command_find(const char *verb);

/** @return the `index`-th verb in the order of help, or NULL past the end. */
const cli_command *command_at(size_t index);

/** @return whether a later version has this verb. */
bool command_is_planned(const char *verb);

/** @return the verb that a mistyped name is nearest to, or NULL when none is near. */
const cli_command *command_nearest(const char *verb);

/** @return the `index`-th exit status in rising order, or NULL past the end. */
const exit_status_info *exit_status_at(size_t index);

/** @return what a status means, in words; static. */
const char *exit_status_meaning(exit_status status);

/* One file a verb. */
exit_status cmd_inspect(const invocation *call);
exit_status cmd_trace(const invocation *call);
exit_status cmd_diff(const invocation *call);
exit_status cmd_assess(const invocation *call);
exit_status cmd_registry(const invocation *call);
exit_status cmd_doctor(const invocation *call);
exit_status cmd_help(const invocation *call);

#endif
