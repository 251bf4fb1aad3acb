/* SPDX-License-Identifier: Apache-2.0 */
#include "out_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "failure.h"
#include "interrupt.h"
#include "terminal.h"

static const char expected_writable[] = "a place to write the output";

static bool is_special(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode);
}

/* mkostemp makes files private; a report has the mode that any new file of the user has. */
static void give_usual_mode(int fd) {
    const mode_t mask = umask(0);
    (void)umask(mask);
    (void)fchmod(fd, 0666 & ~mask);
}

static int open_temporary(out_file *file) {
    const int length =
        snprintf(file->temporary, sizeof file->temporary, "%s.part-XXXXXX", file->path);
    if (length < 0 || (size_t)length >= sizeof file->temporary) {
        errno = ENAMETOOLONG;
        file->temporary[0] = '\0';
        return -1;
    }
    const int fd = mkostemp(file->temporary, O_CLOEXEC);
    if (fd < 0) {
        file->temporary[0] = '\0';
        return -1;
    }
    file->slot = interrupt_remember_file(file->temporary);
    give_usual_mode(fd);
    return fd;
}

static int open_place(out_file *file) {
    struct stat info;
    if (stat(file->path, &info) == 0 && S_ISDIR(info.st_mode)) {
        errno = EISDIR;
        return -1;
    }
    if (is_special(file->path)) {
        return open(file->path, O_WRONLY | O_CLOEXEC);
    }
    return open_temporary(file);
}

exit_status out_file_open(out_file *file, const invocation *call, const output_spec *spec) {
    *file = (out_file){.path = spec->path, .slot = -1};
    if (!spec->path) {
        file->stream = stdout;
        return EXIT_DONE;
    }
    const int fd = open_place(file);
    if (fd < 0) {
        return failure_of_system(call, file->path, expected_writable, errno);
    }
    file->stream = fdopen(fd, "w");
    if (!file->stream) {
        const int saved_errno = errno;
        (void)close(fd);
        return failure_of_system(call, file->path, expected_writable, saved_errno);
    }
    return EXIT_DONE;
}

static exit_status commit_stdout(const invocation *call) {
    errno = 0;
    if ((fflush(stdout) == 0 && !ferror(stdout)) || terminal_is_closed_pipe(stdout)) {
        return EXIT_DONE;
    }
    return failure_of_system(call, "standard output", expected_writable, errno ? errno : EIO);
}

/* The bytes are on disk before the name points at them. */
static int finish(out_file *file) {
    const bool is_regular = file->temporary[0] != '\0';
    int failed = 0;
    if (fflush(file->stream) != 0 || ferror(file->stream) ||
        (is_regular && fsync(fileno(file->stream)) != 0)) {
        failed = errno ? errno : EIO;
    }
    if (fclose(file->stream) != 0 && failed == 0) {
        failed = errno;
    }
    file->stream = NULL;
    if (is_regular && failed == 0 && rename(file->temporary, file->path) != 0) {
        failed = errno;
    }
    return failed;
}

exit_status out_file_commit(out_file *file, const invocation *call) {
    if (!file->path) {
        return commit_stdout(call);
    }
    errno = 0;
    const int failed = finish(file);
    if (failed && !(failed == EPIPE && file->temporary[0] == '\0')) {
        out_file_discard(file);
        return failure_of_system(call, file->path, expected_writable, failed);
    }
    interrupt_forget_file(file->slot);
    file->temporary[0] = '\0';
    return EXIT_DONE;
}

void out_file_discard(out_file *file) {
    if (file->path && file->stream) {
        (void)fclose(file->stream);
        file->stream = NULL;
    }
    if (file->temporary[0]) {
        (void)unlink(file->temporary);
        interrupt_forget_file(file->slot);
        file->temporary[0] = '\0';
    }
}
