/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first ctrl-C asks the library to stop through its cancel callback, and the command then
 * leaves by its usual path. A second one, or two seconds without an answer, ends the process from
 * the handler. Handlers do only what POSIX lists as async-signal-safe: write, unlink, alarm, _exit.
 */
#include "interrupt.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

enum { FILES_MAX = OUTPUTS_MAX, GRACE_SECONDS = 2 };

static volatile sig_atomic_t signal_seen;
static const char *_Atomic files[FILES_MAX];

static void leave(int signal_number) {
    for (size_t i = 0; i < FILES_MAX; i++) {
        const char *path = atomic_load(&files[i]);
        if (path) {
            (void)unlink(path);
        }
    }
    _exit(128 + signal_number);
}

static void on_stop(int signal_number) {
    const int saved_errno = errno;
    if (signal_seen) {
        leave(signal_seen);
    }
    signal_seen = signal_number;
    (void)alarm(GRACE_SECONDS);
    errno = saved_errno;
}

static void on_alarm(int signal_number) {
    leave(signal_seen ? signal_seen : signal_number);
}

static void on_abort(int signal_number) {
    (void)signal_number;
    static const char message[] =
        "weir: this is a bug in weir, not in your file: an internal check failed.\n"
        "Please report it with the command line and, if you may share it, the file.\n";
    const ssize_t ignored = write(STDERR_FILENO, message, sizeof message - 1);
    (void)ignored;
    _exit(EXIT_BUG);
}

static void handle(int signal_number, void (*handler)(int)) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(signal_number, &action, NULL);
}

void interrupt_install(void) {
    handle(SIGINT, on_stop);
    handle(SIGTERM, on_stop);
    handle(SIGALRM, on_alarm);
    handle(SIGABRT, on_abort);
    handle(SIGPIPE, SIG_IGN); /* a closed pipe is found when the output is flushed */
    handle(SIGXFSZ, SIG_IGN); /* a file over the limit is a failed write, with a message */
}

bool interrupt_requested(void *context) {
    (void)context;
    return signal_seen != 0;
}

exit_status interrupt_status(void) {
    if (signal_seen == 0) {
        return EXIT_DONE;
    }
    return signal_seen == SIGTERM ? EXIT_TERMINATED : EXIT_INTERRUPTED;
}

int interrupt_remember_file(const char *path) {
    for (int i = 0; i < FILES_MAX; i++) {
        if (!atomic_load(&files[i])) {
            atomic_store(&files[i], path);
            return i;
        }
    }
    return -1;
}

void interrupt_forget_file(int slot) {
    if (slot >= 0) {
        atomic_store(&files[slot], NULL);
    }
}
