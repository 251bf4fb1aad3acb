/* SPDX-License-Identifier: Apache-2.0 */
#include "session.h"

#include <errno.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "failure.h"
#include "interrupt.h"
#include "terminal.h"

/* Paths for the sandbox; the strings are owned. */
typedef struct path_list {
    char *items[2 * OPERANDS_MAX + OUTPUTS_MAX + 4]; /* an input may bring its folder */
    size_t count;
} path_list;

static bool append_copy(path_list *list, const char *path) {
    if (list->count == sizeof list->items / sizeof *list->items) {
        return false;
    }
    list->items[list->count] = strdup(path);
    return list->items[list->count] && ++list->count;
}

static bool append_parent(path_list *list, const char *path) {
    char *copy = strdup(path);
    const bool appended = copy && append_copy(list, dirname(copy));
    free(copy);
    return appended;
}

static void free_paths(path_list *list) {
    for (size_t i = 0; i < list->count; i++) {
        free(list->items[i]);
    }
    list->count = 0;
}

/* One part of a model names the others: model-00001-of-00002.gguf, model.safetensors.index.json. */
static bool has_siblings(const char *path) {
    return strstr(path, "-of-") || strstr(path, ".index.json");
}

static bool list_inputs(path_list *list, const session_places *places) {
    for (size_t i = 0; i < places->input_count; i++) {
        if (!append_copy(list, places->inputs[i]) ||
            (has_siblings(places->inputs[i]) && !append_parent(list, places->inputs[i]))) {
            return false;
        }
    }
    return !places->readable || append_copy(list, places->readable);
}

/* The rename at the end needs the folder; what is written directly is open already. */
static bool list_outputs(path_list *list, const cli_session *session,
                         const session_places *places) {
    for (size_t i = 0; i < session->opened; i++) {
        if (session->outputs[i].temporary[0] && !append_parent(list, session->outputs[i].path)) {
            return false;
        }
    }
    return (!places->writable || append_copy(list, places->writable)) &&
           (!places->file || append_parent(list, places->file));
}

static void say_level(const cli_session *session) {
    const weir_sandbox_level *level = &session->level;
    if (session->call->verbose) {
        (void)fprintf(stderr, "weir: restricted: files %s, system calls %s\n",
                      level->landlock_abi > 0 ? "to what was given" : "not limited by this kernel",
                      level->seccomp ? "filtered" : "not filtered by this kernel");
    }
}

static weir_code restrict_process(cli_session *session, const path_list *inputs,
                                  const path_list *outputs, weir_error *err) {
    const weir_sandbox_options options = {
        .read_paths = (const char *const *)inputs->items,
        .read_count = inputs->count,
        .write_paths = (const char *const *)outputs->items,
        .write_count = outputs->count,
    };
    const weir_code code = weir_sandbox_restrict(&options, &session->level, err);
    if (code == WEIR_OK) {
        say_level(session);
    }
    return code;
}

static exit_status enter_sandbox(cli_session *session, const session_places *places) {
    static path_list readable; /* large: not on the stack */
    static path_list writable;
    weir_error err = {0};
    exit_status status = EXIT_DONE;
    if (!list_inputs(&readable, places) || !list_outputs(&writable, session, places)) {
        status = failure_of_memory(session->call);
    } else if (restrict_process(session, &readable, &writable, &err) != WEIR_OK) {
        status = failure_report(session->call, &err);
    }
    free_paths(&readable);
    free_paths(&writable);
    return status;
}

static void discard_outputs(cli_session *session) {
    for (size_t i = 0; i < session->opened; i++) {
        out_file_discard(&session->outputs[i]);
    }
}

exit_status session_begin_in(cli_session *session, const invocation *call,
                             const session_places *places) {
    session->call = call;
    session->opened = 0;
    session->is_written = false;
    exit_status status = EXIT_DONE;
    for (size_t i = 0; i < call->output_count && status == EXIT_DONE; i++) {
        status = out_file_open(&session->outputs[i], call, &call->outputs[i]);
        session->opened += status == EXIT_DONE;
    }
    if (status == EXIT_DONE) {
        status = enter_sandbox(session, places);
    }
    if (status != EXIT_DONE) {
        discard_outputs(session);
        return status;
    }
    progress_line_init(&session->progress, call);
    session->callbacks = (weir_callbacks){
        .context = &session->progress,
        .progress = progress_line_update,
        .is_cancelled = interrupt_requested,
    };
    return EXIT_DONE;
}

exit_status session_begin(cli_session *session, const invocation *call, const char *const *inputs,
                          size_t input_count) {
    const session_places places = {.inputs = inputs, .input_count = input_count};
    return session_begin_in(session, call, &places);
}

exit_status session_write(cli_session *session, session_writer writer, const void *result) {
    progress_line_clear(&session->progress);
    for (size_t i = 0; i < session->opened; i++) {
        out_file *output = &session->outputs[i];
        const weir_style style = terminal_style(output->stream, session->call);
        weir_error err = {0};
        errno = 0;
        const weir_code code =
            writer(output->stream, session->call->outputs[i].format, &style, result, &err);
        if (code != WEIR_OK && code != WEIR_ERR_IO) {
            return failure_report(session->call, &err);
        }
        if (code == WEIR_ERR_IO && !terminal_is_closed_pipe(output->stream)) {
            /* The writer does not know the name of its stream. */
            return failure_of_system(session->call, output->path ? output->path : "standard output",
                                     "a place to write the output", errno ? errno : EIO);
        }
    }
    session->is_written = true;
    return EXIT_DONE;
}

exit_status session_fail(cli_session *session, const weir_error *err) {
    progress_line_clear(&session->progress);
    return failure_report(session->call, err);
}

/* What was not written whole leaves nothing behind. */
exit_status session_end(cli_session *session, exit_status status) {
    progress_line_clear(&session->progress);
    if (interrupt_requested(NULL)) {
        status = interrupt_status();
    } else if (session->is_written) {
        for (size_t i = 0; i < session->opened; i++) {
            const exit_status committed = out_file_commit(&session->outputs[i], session->call);
            status = committed == EXIT_DONE ? status : committed;
        }
    }
    discard_outputs(session);
    return status;
}

void session_hint(const cli_session *session, const char *format, ...) {
    if (session->call->quiet || !terminal_is_live(stderr) || !terminal_is_live(stdout)) {
        return;
    }
    va_list arguments;
    (void)fputs("next: ", stderr);
    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    (void)fputc('\n', stderr);
    va_end(arguments);
}
