/* SPDX-License-Identifier: Apache-2.0 */
/* The restriction, each behaviour in a child process of its own: it cannot be undone. */
#include "../testing.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/sandbox.h"
#include "io/sandbox_filter.h"

enum { PASSED = 0, FAILED = 1, NOT_RESTRICTED = 2 };

static char folder[64]; /* holds inside/ out/ outside.txt, and inside/link -> outside-linked.txt */
static char inside[96];
static char output[96];

static const char *path_of(const char *name) {
    static char path[2][160];
    static unsigned turn;
    turn ^= 1;
    snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
    return path[turn];
}

static void write_file(const char *path) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("text", file);
    assert_int_equal(fclose(file), 0);
}

static int make_folder(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/weir-sandbox-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(inside, sizeof inside, "%s/inside", folder);
    snprintf(output, sizeof output, "%s/out", folder);
    assert_int_equal(mkdir(inside, 0700), 0);
    assert_int_equal(mkdir(path_of("inside/deep"), 0700), 0);
    assert_int_equal(mkdir(output, 0700), 0);
    write_file(path_of("inside/model"));
    write_file(path_of("outside"));
    write_file(path_of("blob"));
    assert_int_equal(symlink("../../blob", path_of("inside/deep/link")), 0);
    assert_int_equal(symlink("/proc/self/environ", path_of("inside/environment")), 0);
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    static const char *const names[] = {
        "inside/deep/link", "inside/environment", "inside/model", "outside", "blob",
        "out/made",         "out/renamed"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        (void)unlink(path_of(names[i]));
    }
    (void)rmdir(path_of("inside/deep"));
    (void)rmdir(inside);
    (void)rmdir(output);
    return rmdir(folder);
}

static weir_code restrict_here(bool allow_network, weir_sandbox_level *level) {
    const char *const reads[] = {inside, "/tmp/weir-sandbox-does-not-exist"};
    const char *const writes[] = {output};
    const weir_sandbox_options options = {reads, 2, writes, 1, allow_network};
    return weir_sandbox_restrict(&options, level, NULL);
}

/* @return the child's wait status. */
static int status_in_child(int (*body)(void)) {
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        _exit(body());
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void assert_passes(int (*body)(void)) {
    const int status = status_in_child(body);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == NOT_RESTRICTED) {
        print_message("this kernel does not offer the restriction under test\n");
        skip();
    }
    assert_int_equal(WEXITSTATUS(status), PASSED);
}

#define CLAIM(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s (%s)\n", __FILE__, __LINE__, #condition, strerror(errno));  \
            return FAILED;                                                                         \
        }                                                                                          \
    } while (0)

#define NEED_LANDLOCK(abi)                                                                         \
    weir_sandbox_level level;                                                                      \
    CLAIM(restrict_here(/* allow_network= */ false, &level) == WEIR_OK);                           \
    if (level.landlock_abi < (abi)) {                                                              \
        return NOT_RESTRICTED;                                                                     \
    }

#define NEED_SECCOMP(allow_network)                                                                \
    weir_sandbox_level level;                                                                      \
    CLAIM(restrict_here(allow_network, &level) == WEIR_OK);                                        \
    if (!level.seccomp) {                                                                          \
        return NOT_RESTRICTED;                                                                     \
    }

static bool can_open(const char *path, int flags) {
    const int fd = open(path, flags, 0600);
    if (fd >= 0) {
        close(fd);
    }
    return fd >= 0;
}

static int read_inside(void) {
    NEED_LANDLOCK(1);
    CLAIM(can_open(path_of("inside/model"), O_RDONLY));
    CLAIM(can_open(inside, O_RDONLY | O_DIRECTORY));
    return PASSED;
}
static void reading_inside_works(void **state) {
    (void)state;
    assert_passes(read_inside);
}

static int read_outside(void) {
    NEED_LANDLOCK(1);
    CLAIM(!can_open(path_of("outside"), O_RDONLY) && errno == EACCES);
    CLAIM(!can_open("/etc/passwd", O_RDONLY) && errno == EACCES);
    CLAIM(!can_open(folder, O_RDONLY | O_DIRECTORY) && errno == EACCES);
    return PASSED;
}
static void reading_outside_is_refused(void **state) {
    (void)state;
    assert_passes(read_outside);
}

static int read_links(void) {
    NEED_LANDLOCK(1);
    CLAIM(can_open(path_of("inside/deep/link"), O_RDONLY));
    CLAIM(!can_open(path_of("inside/deep/link"), O_WRONLY) && errno == EACCES);
    return PASSED;
}
static void a_file_that_a_link_inside_leads_to_is_readable(void **state) {
    (void)state;
    assert_passes(read_links);
}

static int read_kernel_link(void) {
    NEED_LANDLOCK(1);
    CLAIM(!can_open(path_of("inside/environment"), O_RDONLY));
    return PASSED;
}
static void a_link_into_proc_is_not_followed(void **state) {
    (void)state;
    extern void __lsan_do_leak_check(void) __attribute__((weak));
    if (__lsan_do_leak_check) {
        skip(); /* the leak checker needs the process's own files */
    }
    assert_passes(read_kernel_link);
}

static int open_missing(void) {
    NEED_LANDLOCK(1);
    CLAIM(!can_open(path_of("inside/nothing"), O_RDONLY) && errno == ENOENT);
    CLAIM(!can_open("/tmp/weir-sandbox-does-not-exist", O_RDONLY) && errno == ENOENT);
    return PASSED;
}
static void a_missing_file_is_still_told_as_missing(void **state) {
    (void)state;
    assert_passes(open_missing);
}

static int write_outside(void) {
    NEED_LANDLOCK(1);
    CLAIM(!can_open(path_of("made"), O_WRONLY | O_CREAT) && errno == EACCES);
    CLAIM(!can_open(path_of("inside/model"), O_WRONLY) && errno == EACCES);
    CLAIM(unlink(path_of("inside/model")) != 0 && errno == EACCES);
    CLAIM(mkdir(path_of("inside/made"), 0700) != 0 && errno == EACCES);
    CLAIM(level.landlock_abi < 3 || (truncate(path_of("outside"), 0) != 0 && errno == EACCES));
    return PASSED;
}
static void writing_outside_is_refused(void **state) {
    (void)state;
    assert_passes(write_outside);
}

static int write_output(void) {
    NEED_LANDLOCK(1);
    CLAIM(can_open(path_of("out/made"), O_RDWR | O_CREAT | O_TRUNC));
    CLAIM(rename(path_of("out/made"), path_of("out/renamed")) == 0);
    CLAIM(unlink(path_of("out/renamed")) == 0);
    CLAIM(can_open("/dev/null", O_RDWR));
    return PASSED;
}
static void writing_beneath_an_output_works(void **state) {
    (void)state;
    assert_passes(write_output);
}

static int use_open_descriptor(void) {
    const int fd = open(path_of("outside"), O_RDWR);
    NEED_LANDLOCK(1);
    CLAIM(write(fd, "more", 4) == 4);
    CLAIM(ftruncate(fd, 4) == 0);
    return PASSED;
}
static void a_descriptor_opened_before_still_writes(void **state) {
    (void)state;
    assert_passes(use_open_descriptor);
}

static int start_program(void) {
    NEED_SECCOMP(/* allow_network= */ false);
    char *const arguments[] = {(char *)"true", NULL};
    CLAIM(execv("/bin/true", arguments) != 0 && errno == EPERM);
    CLAIM(syscall(SYS_execveat, AT_FDCWD, "/bin/true", arguments, NULL, 0) != 0 && errno == EPERM);
    return PASSED;
}
static void starting_a_program_is_refused(void **state) {
    (void)state;
    assert_passes(start_program);
}

static int start_process(void) {
    NEED_SECCOMP(/* allow_network= */ false);
    const pid_t child = fork();
    if (child == 0) {
        _exit(0);
    }
    CLAIM(child < 0 && errno == EPERM);
    return PASSED;
}
static void starting_a_process_is_refused(void **state) {
    (void)state;
    extern void __lsan_do_leak_check(void) __attribute__((weak));
    if (__lsan_do_leak_check) {
        skip(); /* the leak checker clones a process */
    }
    assert_passes(start_process);
}

static int open_sockets(void) {
    NEED_SECCOMP(/* allow_network= */ false);
    static const int families[] = {AF_INET, AF_INET6, AF_UNIX, AF_NETLINK};
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        CLAIM(socket(families[i], SOCK_DGRAM, 0) < 0 && errno == EPERM);
    }
    return PASSED;
}
static void sockets_are_refused(void **state) {
    (void)state;
    assert_passes(open_sockets);
}

static int open_socket_with_network(void) {
    NEED_SECCOMP(/* allow_network= */ true);
    CLAIM(socket(AF_UNIX, SOCK_STREAM, 0) >= 0);
    char *const arguments[] = {(char *)"true", NULL};
    CLAIM(execv("/bin/true", arguments) != 0 && errno == EPERM);
    return PASSED;
}
static void an_allowed_network_opens_sockets_and_nothing_else(void **state) {
    (void)state;
    assert_passes(open_socket_with_network);
}

static int call_the_kernel(void) {
    NEED_SECCOMP(/* allow_network= */ false);
    static const long numbers[] = {
        SYS_process_vm_readv,
        SYS_process_vm_writev,
        SYS_bpf,
        SYS_mount,
        SYS_umount2,
        SYS_pivot_root,
        SYS_unshare,
        SYS_setns,
        SYS_kexec_load,
        SYS_init_module,
        SYS_finit_module,
        SYS_keyctl,
        SYS_add_key,
        SYS_userfaultfd,
        SYS_perf_event_open,
        SYS_io_uring_setup,
        SYS_chroot,
        SYS_open_by_handle_at,
        SYS_reboot,
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        errno = 0;
        CLAIM(syscall(numbers[i], -1, 0, 0, 0, 0, 0) == -1 && errno == EPERM);
    }
    CLAIM(ioctl(STDIN_FILENO, TIOCSTI, "x") != 0 && errno == EPERM);
    return PASSED;
}
static void calls_that_no_analysis_needs_are_refused(void **state) {
    (void)state;
    assert_passes(call_the_kernel);
}

static int call_another_abi(void) {
    NEED_SECCOMP(/* allow_network= */ false);
    if (sandbox_this_processor.foreign_bit == 0) {
        return NOT_RESTRICTED;
    }
    (void)syscall((long)sandbox_this_processor.foreign_bit | SYS_getpid);
    return PASSED;
}
static void a_call_of_another_abi_ends_the_process(void **state) {
    (void)state;

    const int status = status_in_child(call_another_abi);

    if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_RESTRICTED) {
        print_message("no other ABI here, or no filter\n");
        skip();
    }
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSYS);
}

static void *set_true(void *flag) {
    *(bool *)flag = true;
    return NULL;
}

static int use_threads(void) {
    weir_sandbox_level level;
    CLAIM(restrict_here(/* allow_network= */ false, &level) == WEIR_OK);
    pthread_t thread;
    bool ran = false;
    CLAIM(pthread_create(&thread, NULL, set_true, &ran) == 0);
    CLAIM(pthread_join(thread, NULL) == 0 && ran);
    long sum = 0;
#pragma omp parallel for reduction(+ : sum) num_threads(4)
    for (long i = 0; i < 1000; i++) {
        sum += i;
    }
    CLAIM(sum == 499500);
    return PASSED;
}
static void threads_and_openmp_work(void **state) {
    (void)state;
    assert_passes(use_threads);
}

static int use_openssl(void) {
    weir_sandbox_level level;
    CLAIM(restrict_here(/* allow_network= */ false, &level) == WEIR_OK);
    unsigned char digest[32];
    unsigned int len = 0;
    CLAIM(EVP_Digest("abc", 3, digest, &len, EVP_sha256(), NULL) == 1);
    CLAIM(len == 32 && digest[0] == 0xBA && digest[31] == 0xAD); /* FIPS 180-2, appendix B.1 */
    return PASSED;
}
static void openssl_works(void **state) {
    (void)state;
    assert_passes(use_openssl);
}

static int look_at_process(void) {
    weir_sandbox_level level;
    CLAIM(restrict_here(/* allow_network= */ false, &level) == WEIR_OK);
    struct rlimit limit;
    CLAIM(getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_max == 0);
    CLAIM(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == level.no_new_privs);
    return PASSED;
}
static void no_core_file_and_no_new_privileges(void **state) {
    (void)state;
    assert_passes(look_at_process);
}

static void *wait_forever(void *unused) {
    (void)pause();
    return unused;
}

static int restrict_with_thread(void) {
    pthread_t thread;
    CLAIM(pthread_create(&thread, NULL, wait_forever, NULL) == 0);
    weir_error err = {0};
    CLAIM(weir_sandbox_restrict(NULL, NULL, &err) == WEIR_ERR_ARG);
    return PASSED;
}
static void a_process_with_threads_is_refused(void **state) {
    (void)state;
    assert_passes(restrict_with_thread);
}

static int restrict_with_missing_output(void) {
    if (weir_sandbox_offered().landlock_abi == 0) {
        return NOT_RESTRICTED;
    }
    const char *const writes[] = {"/tmp/weir-sandbox-does-not-exist/report.json"};
    const weir_sandbox_options options = {.write_paths = writes, .write_count = 1};
    weir_error err = {0};
    CLAIM(weir_sandbox_restrict(&options, NULL, &err) == WEIR_ERR_IO);
    CLAIM(strcmp(err.file, "report.json") == 0);
    return PASSED;
}
static void a_missing_output_is_told_without_its_folder(void **state) {
    (void)state;
    assert_passes(restrict_with_missing_output);
}

/* Kernels that lack a part. */
static long kernel_without_landlock(long number, uintptr_t a, uintptr_t b, uintptr_t c,
                                    uintptr_t d) {
    if (number >= 444 && number <= 446) {
        errno = ENOSYS;
        return -1;
    }
    return sandbox_kernel(number, a, b, c, d);
}
static long kernel_without_seccomp(long number, uintptr_t a, uintptr_t b, uintptr_t c,
                                   uintptr_t d) {
    if (number == SYS_seccomp) {
        errno = ENOSYS;
        return -1;
    }
    return sandbox_kernel(number, a, b, c, d);
}
static long kernel_without_anything(long number, uintptr_t a, uintptr_t b, uintptr_t c,
                                    uintptr_t d) {
    (void)number, (void)a, (void)b, (void)c, (void)d;
    errno = ENOSYS;
    return -1;
}
static uint64_t asked_rights[3];
static long kernel_of_first_abi(long number, uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d) {
    if (number == 444 && a == 0) {
        return 1;
    }
    if (number == 444) {
        memcpy(asked_rights, (const void *)a, sizeof asked_rights);
    }
    return sandbox_kernel(number, a, b, c, d);
}

static int lack_landlock(void) {
    weir_sandbox_level level = {.landlock_abi = 99};
    CLAIM(sandbox_restrict(NULL, kernel_without_landlock, &level, NULL) == WEIR_OK);
    CLAIM(level.landlock_abi == 0);
    CLAIM(can_open(path_of("outside"), O_RDONLY));
    CLAIM(!level.seccomp || socket(AF_INET, SOCK_STREAM, 0) < 0);
    return PASSED;
}
static int lack_seccomp(void) {
    weir_sandbox_level level = {.seccomp = true};
    CLAIM(sandbox_restrict(NULL, kernel_without_seccomp, &level, NULL) == WEIR_OK);
    CLAIM(!level.seccomp);
    CLAIM(level.landlock_abi == 0 || !can_open(path_of("outside"), O_RDONLY));
    CLAIM(socket(AF_UNIX, SOCK_STREAM, 0) >= 0);
    return PASSED;
}
static int lack_everything(void) {
    weir_sandbox_level level = {99, true, true};
    CLAIM(sandbox_restrict(NULL, kernel_without_anything, &level, NULL) == WEIR_OK);
    CLAIM(level.landlock_abi == 0 && !level.seccomp && !level.no_new_privs);
    CLAIM(can_open(path_of("outside"), O_RDWR));
    return PASSED;
}
static void a_kernel_that_lacks_a_part_gives_the_rest_and_says_so(void **state) {
    (void)state;
    assert_passes(lack_landlock);
    assert_passes(lack_seccomp);
    assert_passes(lack_everything);
}

static int use_first_abi(void) {
    if (weir_sandbox_offered().landlock_abi == 0) {
        return NOT_RESTRICTED;
    }
    weir_sandbox_level level;
    CLAIM(sandbox_restrict(NULL, kernel_of_first_abi, &level, NULL) == WEIR_OK);
    CLAIM(level.landlock_abi == 1);
    CLAIM(asked_rights[0] == 0x1FFF && asked_rights[1] == 0 && asked_rights[2] == 0);
    CLAIM(!can_open(path_of("outside"), O_RDONLY) && errno == EACCES);
    return PASSED;
}
static void the_first_landlock_is_asked_only_for_what_it_knows(void **state) {
    (void)state;
    assert_passes(use_first_abi);
}

static void asking_what_is_offered_restricts_nothing(void **state) {
    (void)state;

    const weir_sandbox_level offered = weir_sandbox_offered();

    assert_true(offered.landlock_abi >= 0);
    assert_true(can_open(path_of("outside"), O_RDWR));
    assert_int_equal(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 0);
}

/* Classic BPF: every jump lands inside, and the last instruction returns. */
static void the_filter_fits_and_every_jump_lands_inside(void **state) {
    (void)state;
    static const uint16_t extra[] = {57, 58};
    static const sandbox_processor processors[] = {{AUDIT_ARCH_X86_64, 0x40000000, extra, 2},
                                                   {AUDIT_ARCH_AARCH64, 0, NULL, 0}};
    for (unsigned which = 0; which < 8; which++) {
        sandbox_filter filter;
        sandbox_filter_build(&filter, &processors[which & 1], which & 2, which & 4);
        assert_in_range(filter.count, 50, SANDBOX_FILTER_INSTRUCTIONS_MAX);
        for (unsigned i = 0; i < filter.count; i++) {
            const struct sock_filter *it = &filter.instructions[i];
            if (BPF_CLASS(it->code) == BPF_JMP) {
                assert_true(i + 1u + it->jt < filter.count);
                assert_true(i + 1u + it->jf < filter.count);
            }
        }
        assert_int_equal(BPF_CLASS(filter.instructions[filter.count - 1].code), BPF_RET);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reading_inside_works),
        cmocka_unit_test(reading_outside_is_refused),
        cmocka_unit_test(a_file_that_a_link_inside_leads_to_is_readable),
        cmocka_unit_test(a_link_into_proc_is_not_followed),
        cmocka_unit_test(a_missing_file_is_still_told_as_missing),
        cmocka_unit_test(writing_outside_is_refused),
        cmocka_unit_test(writing_beneath_an_output_works),
        cmocka_unit_test(a_descriptor_opened_before_still_writes),
        cmocka_unit_test(starting_a_program_is_refused),
        cmocka_unit_test(starting_a_process_is_refused),
        cmocka_unit_test(sockets_are_refused),
        cmocka_unit_test(an_allowed_network_opens_sockets_and_nothing_else),
        cmocka_unit_test(calls_that_no_analysis_needs_are_refused),
        cmocka_unit_test(a_call_of_another_abi_ends_the_process),
        cmocka_unit_test(threads_and_openmp_work),
        cmocka_unit_test(openssl_works),
        cmocka_unit_test(no_core_file_and_no_new_privileges),
        cmocka_unit_test(a_process_with_threads_is_refused),
        cmocka_unit_test(a_missing_output_is_told_without_its_folder),
        cmocka_unit_test(a_kernel_that_lacks_a_part_gives_the_rest_and_says_so),
        cmocka_unit_test(the_first_landlock_is_asked_only_for_what_it_knows),
        cmocka_unit_test(asking_what_is_offered_restricts_nothing),
        cmocka_unit_test(the_filter_fits_and_every_jump_lands_inside),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
