/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The restriction of the process: no_new_privs, Landlock, a system-call filter, no core files.
 *
 * Landlock constants are spelled here because the headers of Debian 12 know only its third version:
 *     ABI 1 files   2 renames across folders   3 truncation   4 TCP   5 device ioctl
 *     ABI 6 signals and abstract sockets       7 log flags, no new right
 * The kernel takes a larger structure than it knows as long as the unknown part is zero.
 *
 * Sources: Documentation/userspace-api/landlock.rst, landlock_create_ruleset(2), seccomp(2).
 */
#include "io/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/seccomp.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fail.h"
#include "base/limits.h"
#include "io/sandbox_filter.h"

enum {
    NR_LANDLOCK_CREATE_RULESET = 444,
    NR_LANDLOCK_ADD_RULE = 445,
    NR_LANDLOCK_RESTRICT_SELF = 446,
    LANDLOCK_ASK_VERSION = 1,
    LANDLOCK_BENEATH = 1,

    FS_WRITE_FILE = 1 << 1,
    FS_READ_FILE = 1 << 2,
    FS_READ_DIR = 1 << 3,
    FS_ABI_1 = (1 << 13) - 1,
    FS_REFER = 1 << 13,
    FS_TRUNCATE = 1 << 14,
    FS_IOCTL_DEV = 1 << 15,
    FS_REMOVE_FILE = 1 << 5,
    FS_MAKE_DIR = 1 << 7,
    FS_MAKE_REG = 1 << 8,

    FS_FILE_RIGHTS =
        FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE, /* what a rule on a file may hold */
    FS_READ = FS_READ_FILE | FS_READ_DIR,
    FS_WRITE = FS_READ | FS_WRITE_FILE | FS_TRUNCATE | FS_REFER | FS_REMOVE_FILE | FS_MAKE_DIR |
               FS_MAKE_REG,

    NET_BIND_AND_CONNECT_TCP = 3,
    SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS = 3,
};

typedef struct ruleset_attributes {
    uint64_t handled_fs;
    uint64_t handled_net;
    uint64_t scoped;
} ruleset_attributes;

typedef struct __attribute__((packed)) beneath_attributes {
    uint64_t allowed;
    int32_t folder;
} beneath_attributes;

typedef struct ruleset {
    sandbox_call kernel;
    int fd;
    uint64_t handled_fs;
    uint32_t links_left; /* links to follow before the rest is left out */
} ruleset;

/*
 * Read late by libraries: locale data and unloaded modules (C library, libgcc), OpenSSL's
 * configuration, the count of processors (OpenMP, OpenBLAS). All belong to the system and are
 * readable by everybody.
 */
static const char *const system_paths[] = {
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/share/locale",
    "/usr/share/zoneinfo",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/ssl/openssl.cnf",
    "/sys/devices/system/cpu",
    "/sys/devices/system/node",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/dev/null",
    "/dev/urandom",
};

/* Host names and certificates, when the user gave an address. */
static const char *const network_paths[] = {
    "/etc/resolv.conf", "/etc/hosts",    "/etc/host.conf", "/etc/nsswitch.conf",
    "/etc/gai.conf",    "/etc/services", "/etc/ssl/certs",
};

/* There in a build with a leak checker alone, which reads and traces its own process at exit. */
static const char *const leak_checker_paths[] = {"/proc/self"};
/* NOLINTNEXTLINE(readability-identifier-naming): the name is the leak checker's. */
extern void __lsan_do_leak_check(void) __attribute__((weak));

long sandbox_kernel(long number, uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d) {
    return syscall(number, a, b, c, d, 0, 0);
}

static const char *last_component(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

static int landlock_abi(sandbox_call kernel) {
    const long abi = kernel(NR_LANDLOCK_CREATE_RULESET, 0, 0, LANDLOCK_ASK_VERSION, 0);
    return abi > 0 ? (int)abi : 0;
}

static uint64_t handled_fs(int abi) {
    return (uint64_t)FS_ABI_1 | (abi >= 2 ? (uint64_t)FS_REFER : 0) |
           (abi >= 3 ? (uint64_t)FS_TRUNCATE : 0) | (abi >= 5 ? (uint64_t)FS_IOCTL_DEV : 0);
}

static weir_code add_rule(const ruleset *rules, int fd, bool is_folder, uint64_t allowed,
                          weir_error *err) {
    const beneath_attributes rule = {
        .allowed = allowed & rules->handled_fs & (is_folder ? ~UINT64_C(0) : FS_FILE_RIGHTS),
        .folder = fd,
    };
    if (rules->kernel(NR_LANDLOCK_ADD_RULE, (uintptr_t)rules->fd, LANDLOCK_BENEATH,
                      (uintptr_t)&rule, 0) != 0 &&
        errno != EBADFD) { /* a pipe: it has no place in the tree, and no rule binds it */
        return weir_fail(err, WEIR_ERR_ENVIRONMENT, NULL, NULL, "a Landlock rule", "%s",
                         strerror(errno));
    }
    return WEIR_OK;
}

/* A link into /proc or /sys would open the process itself or the machine, never a model. */
static bool is_kernel_file(int fd) {
    struct statfs info;
    return fstatfs(fd, &info) != 0 || info.f_type == PROC_SUPER_MAGIC || info.f_type == SYSFS_MAGIC;
}

static weir_code allow_link(ruleset *rules, int folder, const char *name, weir_error *err) {
    if (rules->links_left == 0) {
        return WEIR_OK;
    }
    rules->links_left--;
    WEIR_CLEANUP(close) int fd = openat(folder, name, O_PATH | O_CLOEXEC);
    struct stat info;
    if (fd < 0 || fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) || is_kernel_file(fd)) {
        return WEIR_OK;
    }
    return add_rule(rules, fd, /* is_folder= */ false, FS_READ_FILE, err);
}

static void close_folder_cleanup(DIR **folder) {
    if (*folder) {
        (void)closedir(*folder);
    }
}

/* DT_UNKNOWN stands for file systems that do not say. */
static unsigned char entry_type(int folder, const struct dirent *entry) {
    struct stat info;
    if (entry->d_type != DT_UNKNOWN) {
        return entry->d_type;
    }
    if (fstatat(folder, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
        return DT_UNKNOWN;
    }
    return (unsigned char)IFTODT(info.st_mode);
}

/* Allow what the links inside a folder lead to. The folder itself is allowed already. */
static weir_code allow_links(ruleset *rules, int parent, const char *name, unsigned depth,
                             weir_error *err) {
    const int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    WEIR_CLEANUP(close_folder) DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
    if (!folder) {
        close_cleanup(&fd);
        return WEIR_OK;
    }
    for (const struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        const unsigned char type = entry_type(fd, entry);
        if (type == DT_LNK) {
            WEIR_TRY(allow_link(rules, fd, entry->d_name, err));
        } else if (type == DT_DIR && depth < FOLDER_DEPTH_MAX) {
            WEIR_TRY(allow_links(rules, fd, entry->d_name, depth + 1, err));
        }
    }
    return WEIR_OK;
}

/* @return WEIR_OK, also when the path cannot be opened and then has no rule. */
static weir_code allow_path(ruleset *rules, const char *path, uint64_t allowed, bool *out_opened,
                            weir_error *err) {
    WEIR_CLEANUP(close) int fd = open(path, O_PATH | O_CLOEXEC);
    struct stat info;
    *out_opened = fd >= 0 && fstat(fd, &info) == 0;
    if (!*out_opened) {
        return WEIR_OK;
    }
    return add_rule(rules, fd, S_ISDIR(info.st_mode), allowed, err);
}

static weir_code allow_list(ruleset *rules, const char *const *paths, size_t count,
                            weir_error *err) {
    bool opened;
    for (size_t i = 0; i < count; i++) {
        WEIR_TRY(allow_path(rules, paths[i], FS_READ, &opened, err));
    }
    return WEIR_OK;
}

#define ALLOW_LIST(rules, list, err) allow_list(rules, list, sizeof(list) / sizeof *(list), err)

static weir_code allow_reading(ruleset *rules, const weir_sandbox_options *options,
                               weir_error *err) {
    WEIR_TRY(ALLOW_LIST(rules, system_paths, err));
    if (options->allow_network) {
        WEIR_TRY(ALLOW_LIST(rules, network_paths, err));
    }
    if (__lsan_do_leak_check) {
        WEIR_TRY(ALLOW_LIST(rules, leak_checker_paths, err));
    }
    WEIR_TRY(allow_list(rules, options->read_paths, options->read_count, err));
    for (size_t i = 0; i < options->read_count; i++) {
        WEIR_TRY(allow_links(rules, AT_FDCWD, options->read_paths[i], /* depth= */ 0, err));
    }
    return WEIR_OK;
}

static weir_code allow_writing(ruleset *rules, const weir_sandbox_options *options,
                               weir_error *err) {
    bool opened;
    WEIR_TRY(allow_path(rules, "/dev/null", FS_READ_FILE | FS_WRITE_FILE, &opened, err));
    for (size_t i = 0; i < options->write_count; i++) {
        const char *path = options->write_paths[i];
        WEIR_TRY(allow_path(rules, path, FS_WRITE, &opened, err));
        if (!opened) {
            return weir_fail(err, WEIR_ERR_IO, last_component(path), NULL, "an output that exists",
                             "%s", strerror(errno));
        }
    }
    return WEIR_OK;
}

static weir_code restrict_files(const weir_sandbox_options *options, sandbox_call kernel, int abi,
                                weir_error *err) {
    const ruleset_attributes wanted = {
        .handled_fs = handled_fs(abi),
        .handled_net = abi >= 4 && !options->allow_network ? NET_BIND_AND_CONNECT_TCP : 0,
        .scoped = abi >= 6 ? SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS : 0,
    };
    WEIR_CLEANUP(close)
    int fd = (int)kernel(NR_LANDLOCK_CREATE_RULESET, (uintptr_t)&wanted, sizeof wanted, 0, 0);
    if (fd < 0) {
        return weir_fail(err, WEIR_ERR_ENVIRONMENT, NULL, NULL, "a Landlock ruleset", "%s",
                         strerror(errno));
    }
    ruleset rules = {kernel, fd, wanted.handled_fs, FOLDER_FILES_MAX};
    WEIR_TRY(allow_reading(&rules, options, err));
    WEIR_TRY(allow_writing(&rules, options, err));
    if (kernel(NR_LANDLOCK_RESTRICT_SELF, (uintptr_t)fd, 0, 0, 0) != 0) {
        return weir_fail(err, WEIR_ERR_ENVIRONMENT, NULL, NULL, "Landlock to hold", "%s",
                         strerror(errno));
    }
    return WEIR_OK;
}

static bool has_seccomp(sandbox_call kernel) {
    const uint32_t action = SECCOMP_RET_ERRNO;
    return sandbox_this_processor.audit_arch != 0 &&
           kernel(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, (uintptr_t)&action, 0) == 0;
}

static weir_code filter_calls(bool allow_network, sandbox_call kernel, weir_error *err) {
    sandbox_filter filter;
    sandbox_filter_build(&filter, &sandbox_this_processor, allow_network,
                         __lsan_do_leak_check != NULL);
    const struct sock_fprog program = {filter.count, filter.instructions};
    if (kernel(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, (uintptr_t)&program, 0) != 0) {
        return weir_fail(err, WEIR_ERR_ENVIRONMENT, NULL, NULL, "a system-call filter to hold",
                         "%s", strerror(errno));
    }
    return WEIR_OK;
}

/* The restriction binds the thread that asks and those it starts, not those that run already. */
static bool has_threads(void) {
    WEIR_CLEANUP(close_folder) DIR *tasks = opendir("/proc/self/task");
    size_t count = 0;
    if (tasks) {
        for (const struct dirent *entry = readdir(tasks); entry; entry = readdir(tasks)) {
            count += entry->d_name[0] != '.';
        }
    }
    return count > 1;
}

weir_code sandbox_restrict(const weir_sandbox_options *options, sandbox_call kernel,
                           weir_sandbox_level *out, weir_error *err) {
    static const weir_sandbox_options no_options = WEIR_SANDBOX_OPTIONS_INIT;
    options = options ? options : &no_options;
    if (has_threads()) {
        return weir_fail(err, WEIR_ERR_ARG, NULL, NULL, "a restriction before threads start",
                         "threads that run already");
    }
    /* OpenSSL reads its configuration, and the modules it names, when it is first used: now. */
    (void)OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG, NULL);
    const struct rlimit no_core = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &no_core);
    weir_sandbox_level level = {
        .no_new_privs = kernel(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0) == 0,
    };
    /* Without no_new_privs the kernel gives the other two to the superuser alone. */
    const int abi = level.no_new_privs ? landlock_abi(kernel) : 0;
    if (abi > 0) {
        WEIR_TRY(restrict_files(options, kernel, abi, err));
        level.landlock_abi = abi;
    }
    if (level.no_new_privs && has_seccomp(kernel)) {
        WEIR_TRY(filter_calls(options->allow_network, kernel, err));
        level.seccomp = true;
    }
    if (out) {
        *out = level;
    }
    return WEIR_OK;
}

weir_sandbox_level sandbox_offered(sandbox_call kernel) {
    return (weir_sandbox_level){
        .landlock_abi = landlock_abi(kernel),
        .seccomp = has_seccomp(kernel),
        .no_new_privs = kernel(SYS_prctl, PR_GET_NO_NEW_PRIVS, 0, 0, 0) >= 0,
    };
}

weir_code weir_sandbox_restrict(const weir_sandbox_options *options, weir_sandbox_level *out,
                                weir_error *err) {
    return sandbox_restrict(options, sandbox_kernel, out, err);
}

weir_sandbox_level weir_sandbox_offered(void) {
    return sandbox_offered(sandbox_kernel);
}
