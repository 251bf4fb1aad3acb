/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir VERB [OPTIONS] [ARGUMENTS]
 *
 * Everything that the environment may say is read here and in terminal.c: WEIR_SIMD, the locale,
 * TERM and NO_COLOR. The library reads none of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <weir/system.h>

#include "arguments.h"
#include "failure.h"
#include "interrupt.h"
#include "terminal.h"
#include "usage.h"

/* WEIR_SIMD=base|avx2|avx512 makes tests and measurements use one level; results are the same. */
static exit_status force_simd(void) {
    const char *wanted = getenv("WEIR_SIMD");
    if (!wanted || !*wanted) {
        return EXIT_DONE;
    }
    for (weir_simd level = WEIR_SIMD_BASE; level <= WEIR_SIMD_AVX512; level++) {
        if (strcmp(wanted, weir_simd_name(level)) != 0) {
            continue;
        }
        if (weir_simd_force(level, NULL) == WEIR_OK) {
            return EXIT_DONE;
        }
        (void)fprintf(stderr, "weir: this machine lacks WEIR_SIMD=%s\n", wanted);
        return EXIT_ENVIRONMENT;
    }
    return failure_of_usage(NULL, "WEIR_SIMD is one of base, avx2, avx512, not '%s'", wanted);
}

static exit_status refuse_verb(const char *verb) {
    if (verb[0] == '-') {
        return failure_of_usage(NULL, "%s: no such option; options follow the verb", verb);
    }
    if (command_is_planned(verb)) {
        return failure_of_usage(NULL, "'%s' is not in this version (%s)", verb, weir_version());
    }
    const cli_command *nearest = command_nearest(verb);
    if (nearest) {
        return failure_of_usage(NULL, "no verb '%s'; did you mean '%s'?", verb, nearest->name);
    }
    return failure_of_usage(NULL, "no verb '%s'", verb);
}

static exit_status run_verb(const cli_command *command, int argc, const char *const *argv) {
    invocation call;
    exit_status status = arguments_parse(&call, command, argc, argv);
    if (status != EXIT_DONE) {
        return status;
    }
    if (call.help) {
        usage_write_command(stdout, command);
        return EXIT_DONE;
    }
    status = force_simd();
    return status == EXIT_DONE ? command->run(&call) : status;
}

static exit_status dispatch(int argc, const char *const *argv) {
    if (argc < 2) {
        usage_write_all(stderr);
        return EXIT_USAGE;
    }
    const char *verb = argv[1];
    if (strcmp(verb, "--version") == 0) {
        (void)printf("weir %s\n", weir_version());
        return EXIT_DONE;
    }
    if (strcmp(verb, "--help") == 0 || strcmp(verb, "-h") == 0) {
        usage_write_all(stdout);
        return EXIT_DONE;
    }
    const cli_command *command = command_find(verb);
    return command ? run_verb(command, argc - 1, argv + 1) : refuse_verb(verb);
}

static exit_status flush_stdout(exit_status status) {
    errno = 0;
    if ((fflush(stdout) == 0 && !ferror(stdout)) || terminal_is_closed_pipe(stdout) ||
        status == EXIT_ENVIRONMENT) {
        return status;
    }
    (void)fprintf(stderr, "weir: standard output: %s\n", strerror(errno ? errno : EIO));
    return EXIT_ENVIRONMENT;
}

/* A stream that the caller closed would be the number of the next file that is opened, and messages
 * would go into it. The wrong direction keeps it unusable. */
static void occupy_standard_streams(void) {
    for (int stream = STDIN_FILENO; stream <= STDERR_FILENO; stream++) {
        if (fcntl(stream, F_GETFD) < 0 && errno == EBADF) {
            (void)open("/dev/null", stream == STDIN_FILENO ? O_WRONLY : O_RDONLY);
        }
    }
}

/* Every model keeps its weights open: many operands, or many shards, need more than the usual 1024.
 */
static void allow_open_files(void) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
}

int main(int argc, char **argv) {
    occupy_standard_streams();
    allow_open_files();
    interrupt_install();
    (void)setlocale(LC_CTYPE, ""); /* how wide a character is, for the tables */
    const exit_status status = flush_stdout(dispatch(argc, (const char *const *)argv));
    const exit_status stopped = interrupt_status();
    return (int)(stopped == EXIT_DONE ? status : stopped);
}
