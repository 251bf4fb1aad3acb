/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line is made in memory and written at once to every place, then flushed: whatever ends the
 * process, at most the line in work is lost, and a resumed file holds whole lines but for the last.
 *
 * Places are standard output, files of -o jsonl=FILE, which appear when all is done, and the file
 * of --resume, which is added to.
 */
#include "trace_many.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <weir/trace_lines.h>

#include "failure.h"
#include "interrupt.h"
#include "model_walk.h"
#include "terminal.h"

static const char expected_lines[] = "a file of lines to go on with";

/* --- what was asked --- */

bool trace_many_is_asked(const invocation *call) {
    bool is_asked = call->resume != NULL;
    for (size_t i = 0; i < call->output_count; i++) {
        is_asked |= call->outputs[i].format == WEIR_FORMAT_JSONL;
    }
    return is_asked;
}

exit_status trace_many_check(const invocation *call) {
    if (call->name) {
        return failure_of_usage(call->command,
                                "--name names one model; with --jsonl each is called by its path");
    }
    for (size_t i = 0; i < call->output_count; i++) {
        if (call->outputs[i].format != WEIR_FORMAT_JSONL) {
            return failure_of_usage(call->command,
                                    "many models give lines of JSON: --jsonl and --resume go with "
                                    "no other format");
        }
        if (call->resume && call->outputs[i].path &&
            strcmp(call->outputs[i].path, call->resume) == 0) {
            return failure_of_usage(call->command, "two outputs go to '%s'", call->resume);
        }
    }
    return EXIT_DONE;
}

/* --- the file of --resume --- */

exit_status trace_many_open(FILE **out, const invocation *call) {
    struct stat info;
    *out = NULL;
    if (!call->resume) {
        return EXIT_DONE;
    }
    /* O_NONBLOCK: a pipe must not wait for its reader before it is refused. */
    const int fd = open(call->resume, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0666);
    if (fd < 0 || fstat(fd, &info) != 0) {
        const int reason = errno;
        (void)(fd >= 0 && close(fd));
        return failure_of_system(call, call->resume, expected_lines, reason);
    }
    int reason = S_ISREG(info.st_mode) ? 0 : EINVAL;
    if (reason == 0 && flock(fd, LOCK_EX | LOCK_NB) != 0) {
        reason = errno == EWOULDBLOCK ? EBUSY : errno; /* another weir adds to it */
    }
    *out = reason == 0 ? fdopen(fd, "a") : NULL;
    if (!*out) {
        reason = reason ? reason : errno;
        (void)close(fd);
        return failure_of_system(call, call->resume, expected_lines, reason);
    }
    return EXIT_DONE;
}

/* --- the work --- */

typedef struct many {
    cli_session *session;
    weir_tracer *tracer;
    weir_trace_lines *lines; /* of the resumed file; NULL without one */
    FILE *kept;
    bool is_closed[OUTPUTS_MAX]; /* a pipe whose reader has gone */
    exit_status worst;
} many;

static void note_status(many *run, exit_status status) {
    if (status != EXIT_DONE && run->worst != EXIT_ENVIRONMENT) {
        run->worst = status == EXIT_INPUT ? EXIT_INPUT : EXIT_ENVIRONMENT;
    }
}

/* Cut off what the last run left unfinished. */
static exit_status go_on(many *run) {
    weir_error err = {0};
    const invocation *const call = run->session->call;
    if (!run->kept) {
        return EXIT_DONE;
    }
    if (weir_trace_lines_open(&run->lines, call->resume, &err) != WEIR_OK) {
        return session_fail(run->session, &err);
    }
    if (ftruncate(fileno(run->kept), (off_t)weir_trace_lines_bytes(run->lines)) != 0) {
        return failure_of_system(call, call->resume, expected_lines, errno);
    }
    return EXIT_DONE;
}

static bool write_to(FILE *stream, const char *line, size_t len) {
    return fwrite(line, 1, len, stream) == len && fflush(stream) == 0;
}

static exit_status fail_to_write(many *run, const char *place) {
    const int reason = errno ? errno : EIO;
    progress_line_clear(&run->session->progress);
    return failure_of_system(run->session->call, place, "a place to write the output", reason);
}

/* @return EXIT_DONE, also when a reader has gone; or a reported failure */
static exit_status write_line(many *run, const char *line, size_t len) {
    cli_session *const session = run->session;
    errno = 0;
    if (run->kept && !write_to(run->kept, line, len)) {
        return fail_to_write(run, session->call->resume);
    }
    for (size_t i = 0; i < session->opened; i++) {
        const out_file *const output = &session->outputs[i];
        if (terminal_is_live(output->stream)) { /* where the progress line stands as well */
            progress_line_clear(&session->progress);
        }
        errno = 0;
        if (run->is_closed[i] || write_to(output->stream, line, len)) {
            continue;
        }
        run->is_closed[i] = terminal_is_closed_pipe(output->stream);
        if (!run->is_closed[i]) {
            return fail_to_write(run, output->path ? output->path : "standard output");
        }
    }
    return EXIT_DONE;
}

static bool has_reader(const many *run) {
    bool has_one = run->kept != NULL;
    for (size_t i = 0; i < run->session->opened; i++) {
        has_one |= !run->is_closed[i];
    }
    return has_one;
}

/* Writes the trace, or why there is none. */
static exit_status write_answer(many *run, const model_place *place, const weir_trace *trace,
                                const weir_error *failure) {
    char *line = NULL;
    size_t len = 0;
    FILE *const memory = open_memstream(&line, &len);
    if (!memory) {
        return failure_of_memory(run->session->call);
    }
    const weir_code code = trace ? weir_report_trace(memory, WEIR_FORMAT_JSONL, NULL, trace, NULL)
                                 : weir_report_model_error(memory, place->name, failure, NULL);
    const bool is_whole = fclose(memory) == 0 && code == WEIR_OK && line;
    const exit_status status =
        is_whole ? write_line(run, line, len) : failure_of_memory(run->session->call);
    free(line);
    return status;
}

/* Texts of our own, but for the name, which the line has as "model". */
static weir_error problem_of(const model_place *place) {
    const bool is_deep = place->problem == WEIR_ERR_LIMIT;
    weir_error failure = {.code = place->problem};
    (void)snprintf(failure.expected, sizeof failure.expected, "%s",
                   is_deep ? "folders nested 8 deep at most" : "a folder that can be listed");
    (void)snprintf(failure.found, sizeof failure.found, "%s",
                   is_deep ? "one more" : "one that cannot");
    return failure;
}

/* @return EXIT_DONE to go on, whatever the model was; or what ends the work */
static exit_status trace_place(many *run, const model_place *place) {
    weir_trace *trace = NULL;
    weir_error failure = problem_of(place);
    weir_code code = place->problem;
    if (code == WEIR_OK) {
        failure = (weir_error){0};
        code = weir_tracer_trace(&trace, run->tracer, place->path, place->name, &failure);
    }
    if (code == WEIR_ERR_CANCELLED) {
        return EXIT_INTERRUPTED;
    }
    note_status(run, failure_status(code));
    const exit_status status = write_answer(run, place, trace, &failure);
    weir_trace_free(trace);
    return status;
}

static exit_status trace_list(many *run, const model_list *list) {
    size_t skipped = 0;
    for (size_t i = 0; i < list->count; i++) {
        char name[WEIR_TRACE_NAME_BYTES_MAX];
        if (interrupt_requested(NULL)) {
            return EXIT_INTERRUPTED;
        }
        weir_trace_printable_name(name, sizeof name, list->items[i].name);
        if (run->lines && weir_trace_lines_take(run->lines, name)) {
            skipped++;
            continue;
        }
        progress_line_count(&run->session->progress, i - skipped, list->count - skipped);
        const exit_status status = trace_place(run, &list->items[i]);
        if (status != EXIT_DONE) {
            return status;
        }
        if (!has_reader(run)) {
            break;
        }
    }
    run->session->is_written = true;
    return run->worst;
}

static exit_status trace_operands(many *run) {
    const invocation *const call = run->session->call;
    model_list list = {0};
    bool has_memory = true;
    for (size_t i = 0; has_memory && i < call->operand_count; i++) {
        has_memory = model_list_add(&list, call->operands[i]);
    }
    const exit_status status = has_memory ? trace_list(run, &list) : failure_of_memory(call);
    model_list_release(&list);
    return status;
}

exit_status trace_many_run(cli_session *session, const weir_trace_options *options, FILE *kept) {
    static const weir_callbacks callbacks = {.is_cancelled = interrupt_requested};
    many run = {.session = session, .kept = kept, .worst = EXIT_DONE};
    weir_trace_options how = *options;
    weir_error err = {0};
    how.callbacks = &callbacks; /* progress is that of models */
    exit_status status = go_on(&run);
    if (status == EXIT_DONE && weir_tracer_open(&run.tracer, &how, &err) != WEIR_OK) {
        status = session_fail(session, &err);
    }
    if (status == EXIT_DONE) {
        status = trace_operands(&run);
    }
    weir_tracer_free(run.tracer);
    weir_trace_lines_free(run.lines);
    return status;
}
