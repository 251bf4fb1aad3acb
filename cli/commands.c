/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "command.h"

/* ---- options ---- */

static const option_spec json = {
    .id = OPTION_JSON,
    .name = "json",
    .help = "Write JSON to standard output: short for -o json.",
};
static const option_spec output = {
    .id = OPTION_OUTPUT,
    .letter = 'o',
    .name = "output",
    .argument = "FORMAT[=FILE]",
    .completes = "table json table= json=",
    .help =
        "Write the result as table or json, to FILE or to standard output. May be repeated. FILE "
        "appears when it is whole: a failure leaves what was there before.",
};
static const option_spec trace_output = {
    .id = OPTION_OUTPUT,
    .letter = 'o',
    .name = "output",
    .argument = "FORMAT[=FILE]",
    .completes = "table json jsonl bundle table= json= jsonl= bundle=",
    .help = "Write the result as table, json, jsonl or bundle, to FILE or to standard output. A "
            "bundle holds all that the verdict rests on, for --replay. May be repeated. FILE "
            "appears when it is whole: a failure leaves what was there before.",
};
static const option_spec diff_output = {
    .id = OPTION_OUTPUT,
    .letter = 'o',
    .name = "output",
    .argument = "FORMAT[=FILE]",
    .completes = "table json html table= json= html=",
    .help = "Write the result as table, json or html, to FILE or to standard output. The html is a "
            "page in one file, with pictures and without script. May be repeated. FILE appears "
            "when it is whole: a failure leaves what was there before.",
};
static const option_spec jsonl = {
    .id = OPTION_JSONL,
    .name = "jsonl",
    .help = "Trace every model of each MODEL, which may be a tree of folders, and write one line "
            "of JSON for each: short for -o jsonl.",
};
static const option_spec resume = {
    .id = OPTION_RESUME,
    .name = "resume",
    .argument = "FILE",
    .help = "As --jsonl, but add the lines to FILE, and pass over models that have one there. What "
            "stops the work leaves FILE for a later call to go on with.",
};
static const option_spec replay = {
    .id = OPTION_REPLAY,
    .name = "replay",
    .argument = "BUNDLE",
    .help = "Check whether the verdict in BUNDLE follows from MODEL: 0 if it does, 1 if not, 4 if "
            "a part of it rests on what no bundle holds.",
};
static const option_spec quiet = {
    .id = OPTION_QUIET,
    .letter = 'q',
    .name = "quiet",
    .help = "Say the verdict in one line, without progress and hints.",
};
static const option_spec verbose = {
    .id = OPTION_VERBOSE,
    .letter = 'v',
    .name = "verbose",
    .help = "Show every tensor and claim, and what weir may touch while it runs.",
};
static const option_spec no_color = {
    .id = OPTION_NO_COLOR,
    .name = "no-color",
    .help = "Write without colours. So do a stream that is no terminal, NO_COLOR and TERM=dumb.",
};
static const option_spec jobs = {
    .id = OPTION_JOBS,
    .name = "jobs",
    .argument = "N",
    .completes = "1 2 4 8 16",
    .help = "Work with N threads. The default is one for each core; the result is the same.",
};
static const option_spec name = {
    .id = OPTION_NAME,
    .name = "name",
    .argument = "NAME",
    .completes = "",
    .help = "Call the model NAME in results. The default is the last part of its path.",
};
static const option_spec digest = {
    .id = OPTION_DIGEST,
    .name = "digest",
    .help = "Read every file whole and give its SHA-256.",
};
static const option_spec lenient = {
    .id = OPTION_LENIENT,
    .name = "lenient",
    .help = "Accept what the formats' reference libraries accept, and name each deviation.",
};
static const option_spec exit_code = {
    .id = OPTION_EXIT_CODE,
    .name = "exit-code",
    .help = "End with 1 when the models differ.",
};
static const option_spec base = {
    .id = OPTION_BASE,
    .name = "base",
    .argument = "BASE",
    .help = "Compare with BASE, the model that this one is said to come from.",
};
static const option_spec parent = {
    .id = OPTION_PARENT,
    .name = "parent",
    .argument = "MODEL",
    .help = "Ask whether MODEL, another model or an adapter, went into a merge. May be repeated, "
            "up to 32 times.",
};
static const option_spec diff_registry = {
    .id = OPTION_REGISTRY,
    .name = "registry",
    .argument = "FILE",
    .help = "Without --parent, take as parents the models in this registry that the model is "
            "linked to, where their weights are at hand.",
};
static const option_spec fail_on = {
    .id = OPTION_FAIL_ON,
    .name = "fail-on",
    .argument = "TIER",
    .completes = "0 1 2 3 4",
    .help = "End with 1 when the tier is TIER or more, with 4 when the evidence cannot exclude it. "
            "Tiers go from 0 (no concern) to 4 (act now).",
};
static const option_spec registry = {
    .id = OPTION_REGISTRY,
    .name = "registry",
    .argument = "FILE",
    .help = "Use the registry in FILE. The default is $XDG_DATA_HOME/weir/registry.db, else "
            "~/.local/share/weir/registry.db.",
};
static const option_spec reason = {
    .id = OPTION_REASON,
    .name = "reason",
    .argument = "TEXT",
    .completes = "",
    .help = "Say why an entry is removed; the record keeps it.",
};
static const option_spec help = {
    .id = OPTION_HELP,
    .letter = 'h',
    .name = "help",
    .help = "Show this help.",
};

#define COMMON_OPTIONS &json, &output, &quiet, &verbose, &no_color, &jobs, &help

static const option_spec *const inspect_options[] = {&digest, &lenient, &name, COMMON_OPTIONS,
                                                     NULL};
static const option_spec *const diff_options[] = {
    &parent,      &diff_registry, &exit_code, &digest,   &lenient, &name, &json,
    &diff_output, &quiet,         &verbose,   &no_color, &jobs,    &help, NULL};
static const option_spec *const assess_options[] = {&base,    &registry, &fail_on,       &digest,
                                                    &lenient, &name,     COMMON_OPTIONS, NULL};
static const option_spec *const trace_options[] = {
    &registry, &base,         &jsonl, &resume,  &replay,   &digest, &lenient, &name,
    &json,     &trace_output, &quiet, &verbose, &no_color, &jobs,   &help,    NULL};
static const option_spec *const registry_options[] = {&registry, &name,          &reason, &digest,
                                                      &lenient,  COMMON_OPTIONS, NULL};
static const option_spec *const doctor_options[] = {COMMON_OPTIONS, NULL};
static const option_spec *const help_options[] = {&help, NULL};

/* ---- examples ---- */

static const example_spec inspect_examples[] = {
    {"weir inspect model.gguf", "what one file is, what it claims, whether it is safe to open"},
    {"weir inspect --digest ./Llama-3.2-1B", "a folder, with the SHA-256 of every file"},
    {"weir inspect --json *.safetensors", "several files, as one JSON array"},
    {NULL, NULL},
};
static const example_spec diff_examples[] = {
    {"weir diff upstream.gguf remix.gguf", "what was modified, with a heat strip by layer"},
    {"weir diff -v ./base ./remix", "the same, with every tensor"},
    {"weir diff ./base ./merge --parent ./a --parent ./b", "how a merge was put together"},
    {"weir diff ./base ./remix -o html=diff.html", "a page to send to others"},
    {"weir diff --exit-code -q ./base ./mirror", "whether a mirror is what it says: 0 or 1"},
    {NULL, NULL},
};
static const example_spec assess_examples[] = {
    {"weir assess remix.gguf --base upstream.gguf", "what the remix is and what is not known"},
    {"weir assess ./remix --base ./base --fail-on 3", "a gate for an automatic check"},
    {"weir assess ./remix -o table -o json=report.json", "both for a person and for a program"},
    {NULL, NULL},
};
static const example_spec trace_examples[] = {
    {"weir trace remix.gguf", "which known models these weights come from"},
    {"weir trace ./remix --base ./base", "whether they come from this one"},
    {"weir trace --registry team.db --json ./remix", "against a registry of one's own"},
    {"weir trace --resume lines.jsonl ~/.cache/huggingface/hub", "all models there, a line each"},
    {"weir trace -o bundle=b.json ./remix", "with all that the verdict rests on"},
    {"weir trace --replay b.json ./remix", "whether that verdict holds: 0 or 1"},
    {NULL, NULL},
};
static const example_spec registry_examples[] = {
    {"weir registry add ./Llama-3.2-1B", "take its fingerprint, so that trace can find it"},
    {"weir registry list", "the models that are known"},
    {"weir registry export Llama-3.2-1B l.weirfp", "a fingerprint to give to others, some 20 KB"},
    {"weir registry remove old --reason withdrawn", "searched no more; the record stays"},
    {NULL, NULL},
};
static const example_spec doctor_examples[] = {
    {"weir doctor", "SIMD levels, threads, sandbox"},
    {NULL, NULL},
};
static const example_spec help_examples[] = {
    {"weir help diff", "the same as weir diff --help"},
    {"weir help exit-codes", "what each exit code means"},
    {NULL, NULL},
};

/* ---- exit codes ---- */

static const exit_status_info statuses[] = {
    {EXIT_DONE, "Done, also when the honest answer is \"cannot decide\"."},
    {EXIT_ANSWER_NO, "The answer is no. Only when a gate was asked for."},
    {EXIT_USAGE, "The command line is wrong."},
    {EXIT_INPUT,
     "An input cannot be analysed: malformed, over a limit or not supported. What could be "
     "analysed is shown."},
    {EXIT_EVIDENCE,
     "The evidence does not reach the gate that was asked for: it neither passes nor "
     "fails."},
    {EXIT_ENVIRONMENT,
     "The system failed: a missing file, a full disk, exhausted memory, a registry that is locked, "
     "damaged or made by a newer version, a missing component."},
    {EXIT_BUG, "A bug in weir."},
    {EXIT_INTERRUPTED, "Stopped by ctrl-C."},
    {EXIT_TERMINATED, "Stopped by SIGTERM."},
};

static const exit_status plain_exits[] = {EXIT_USAGE, EXIT_ENVIRONMENT, EXIT_DONE};
static const exit_status inspect_exits[] = {EXIT_USAGE, EXIT_INPUT, EXIT_ENVIRONMENT, EXIT_DONE};
static const exit_status diff_exits[] = {EXIT_ANSWER_NO, EXIT_USAGE, EXIT_INPUT, EXIT_ENVIRONMENT,
                                         EXIT_DONE};
static const exit_status trace_exits[] = {EXIT_ANSWER_NO, EXIT_USAGE,       EXIT_INPUT,
                                          EXIT_EVIDENCE,  EXIT_ENVIRONMENT, EXIT_DONE};
static const exit_status registry_exits[] = {EXIT_ANSWER_NO, EXIT_USAGE, EXIT_INPUT,
                                             EXIT_ENVIRONMENT, EXIT_DONE};
static const exit_status assess_exits[] = {EXIT_ANSWER_NO, EXIT_USAGE,       EXIT_INPUT,
                                           EXIT_EVIDENCE,  EXIT_ENVIRONMENT, EXIT_DONE};

/* ---- verbs ---- */

static const action_spec registry_actions[] = {
    {"add", "MODEL...",
     "Take the fingerprints of models, or take in fingerprints from .weirfp files."},
    {"list", "", "Show all models. With --verbose also those that were removed, and why."},
    {"show", "NAME...",
     "Show all that is kept of a model. NAME is a name, #ENTRY or an id; JSON has the whole "
     "fingerprint."},
    {"remove", "NAME...", "Take models out of the search. Their records stay."},
    {"export", "NAME FILE", "Write a fingerprint to FILE, to give to others."},
    {"verify", "", "Read the whole registry and look for damage: 1 when there is any."},
    {NULL, NULL, NULL},
};

static const cli_command commands[] = {
    {
        .name = "inspect",
        .question = "What is this file, and is it safe to open?",
        .operands = "MODEL...",
        .operands_help = "Files or folders. Nothing in them is executed.",
        .operands_min = 1,
        .operands_max = OPERANDS_MAX,
        .options = inspect_options,
        .examples = inspect_examples,
        .exits = inspect_exits,
        .run = cmd_inspect,
    },
    {
        .name = "trace",
        .question = "Which known models do these weights come from?",
        .operands = "MODEL...",
        .operands_help = "A file, a folder, or a fingerprint (*.weirfp). With --jsonl or --resume "
                         "several, and trees of folders.",
        .formats = "jsonl, bundle",
        .operands_min = 1,
        .operands_max = OPERANDS_MAX,
        .options = trace_options,
        .examples = trace_examples,
        .exits = trace_exits,
        .run = cmd_trace,
    },
    {
        .name = "diff",
        .question = "What was modified between a base and a model?",
        .operands = "BASE MODEL",
        .operands_help =
            "The upstream and the downstream: files or folders in any two formats. MODEL may "
            "be an adapter.",
        .formats = "html",
        .operands_min = 2,
        .operands_max = 2,
        .options = diff_options,
        .examples = diff_examples,
        .exits = diff_exits,
        .run = cmd_diff,
    },
    {
        .name = "assess",
        .question = "Should we be worried about this model?",
        .operands = "MODEL",
        .operands_help = "A file, a folder or an adapter.",
        .operands_min = 1,
        .operands_max = 1,
        .options = assess_options,
        .examples = assess_examples,
        .exits = assess_exits,
        .run = cmd_assess,
    },
    {
        .name = "registry",
        .question = "Which models are known, so that an upstream can be found?",
        .operands = "ACTION [ARGUMENT...]",
        .operands_help = "What to do, and with what.",
        .completes = "add list show remove export verify",
        .actions = registry_actions,
        .operands_min = 1,
        .operands_max = OPERANDS_MAX,
        .options = registry_options,
        .examples = registry_examples,
        .exits = registry_exits,
        .run = cmd_registry,
    },
    {
        .name = "doctor",
        .question = "What does this machine support?",
        .operands = "",
        .operands_max = 0,
        .options = doctor_options,
        .examples = doctor_examples,
        .exits = plain_exits,
        .run = cmd_doctor,
    },
    {
        .name = "help",
        .question = "How is a verb used? What does a word mean?",
        .operands = "[VERB|TOPIC]",
        .operands_help = "A verb of this list, or a topic: exit-codes, formats, evidence.",
        .completes = "inspect trace diff assess registry doctor exit-codes formats evidence",
        .operands_max = 1,
        .options = help_options,
        .examples = help_examples,
        .exits = plain_exits,
        .run = cmd_help,
    },
};

static const char *const planned[] = {
    "probe",  "stress",   "scaffold", "import", "attest", "verify", "log",
    "export", "incident", "monitor",  "policy", "serve",  "worker",
};

const cli_command *command_at(size_t index) {
    return index < sizeof commands / sizeof *commands ? &commands[index] : NULL;
}

const cli_command *command_find(const char *verb) {
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(commands[i].name, verb) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}

bool command_is_planned(const char *verb) {
    for (size_t i = 0; i < sizeof planned / sizeof *planned; i++) {
        if (strcmp(planned[i], verb) == 0) {
            return true;
        }
    }
    return false;
}

enum { VERB_LENGTH_MAX = 16, DISTANCE_MAX = 2 };

/* Levenshtein distance: insertions, deletions and replacements. Both texts are short. */
static size_t edit_distance(const char *a, const char *b) {
    size_t row[VERB_LENGTH_MAX + 1];
    const size_t b_length = strlen(b);
    for (size_t j = 0; j <= b_length; j++) {
        row[j] = j;
    }
    for (size_t i = 0; a[i]; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < b_length; j++) {
            const size_t replaced = diagonal + (a[i] != b[j]);
            const size_t shifted = (row[j] < row[j + 1] ? row[j] : row[j + 1]) + 1;
            diagonal = row[j + 1];
            row[j + 1] = replaced < shifted ? replaced : shifted;
        }
    }
    return row[b_length];
}

const cli_command *command_nearest(const char *verb) {
    const cli_command *nearest = NULL;
    size_t nearest_distance = DISTANCE_MAX + 1;
    if (strlen(verb) > VERB_LENGTH_MAX) {
        return NULL;
    }
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        const size_t distance = edit_distance(verb, commands[i].name);
        if (distance < nearest_distance) {
            nearest = &commands[i];
            nearest_distance = distance;
        }
    }
    return nearest;
}

const exit_status_info *exit_status_at(size_t index) {
    return index < sizeof statuses / sizeof *statuses ? &statuses[index] : NULL;
}

const char *exit_status_meaning(exit_status status) {
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        if (statuses[i].status == status) {
            return statuses[i].meaning;
        }
    }
    return "";
}
