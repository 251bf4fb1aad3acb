/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system-call filter: a list of what analysing files never needs, as classic BPF.
 *
 *     other architecture, x32        kill: a program of one ABI has no honest reason for another's
 * calls a listed call                  EPERM clone                          EPERM unless it makes a
 * thread, and without a new namespace clone3                         ENOSYS: its flags lie in
 * memory, where a filter cannot read them; the C library then uses clone ioctl that types on a
 * terminal EPERM everything else                allowed; Landlock decides about files
 *
 * EPERM and not kill: the C library tries some of these and lives without (a name service socket),
 * and an analysis that meets one must end with a located error and its other results, not with a
 * dead process. The action is refused all the same.
 *
 * Sources: seccomp(2), clone(2), Documentation/userspace-api/seccomp_filter.rst.
 */
#include "io/sandbox_filter.h"

#include <assert.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

enum {
    /* Calls newer than Debian 12's headers; the same numbers on every processor. */
    NR_MOUNT_SETATTR = 442,
    NR_QUOTACTL_FD = 443,
    NR_OPEN_TREE_ATTR = 467,
    TERMINAL_LINUX_COMMAND = 0x541C, /* TIOCLINUX: pastes the selection as typed text */
    /* Where the kernel puts what the filter reads; both processors are little-endian. */
    AT_NUMBER = offsetof(struct seccomp_data, nr),
    AT_ARCH = offsetof(struct seccomp_data, arch),
    AT_ARGUMENT_0 = offsetof(struct seccomp_data, args[0]),
    AT_ARGUMENT_1 = offsetof(struct seccomp_data, args[1]),
};
static const uint32_t namespace_flags = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS |
                                        CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;

static const uint16_t refused_always[] = {
    /* Other programs, and the inside of other processes. */
    SYS_execve,
    SYS_execveat,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_pidfd_getfd,
    SYS_process_madvise,
    SYS_kcmp,
    /* Ways around the filter or around path checks. */
    SYS_io_uring_setup,
    SYS_io_uring_enter,
    SYS_io_uring_register,
    SYS_open_by_handle_at,
    /* The kernel's own programs, modules and measurements. */
    SYS_bpf,
    SYS_perf_event_open,
    SYS_userfaultfd,
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_kexec_load,
    SYS_kexec_file_load,
    SYS_syslog,
    SYS_reboot,
    /* Mounts and namespaces. */
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_chroot,
    SYS_unshare,
    SYS_setns,
    SYS_move_mount,
    SYS_open_tree,
    SYS_fsopen,
    SYS_fsconfig,
    SYS_fsmount,
    SYS_fspick,
    NR_MOUNT_SETATTR,
    NR_OPEN_TREE_ATTR,
    /* Keys, and the state of the machine. */
    SYS_add_key,
    SYS_request_key,
    SYS_keyctl,
    SYS_swapon,
    SYS_swapoff,
    SYS_acct,
    SYS_quotactl,
    NR_QUOTACTL_FD,
    SYS_settimeofday,
    SYS_clock_settime,
    SYS_adjtimex,
    SYS_clock_adjtime,
    SYS_sethostname,
    SYS_setdomainname,
    SYS_vhangup,
    SYS_nfsservctl,
    SYS_personality,
};

static const uint16_t refused_without_network[] = {
    SYS_socket, SYS_socketpair, SYS_connect, SYS_bind,    SYS_listen,
    SYS_accept, SYS_accept4,    SYS_sendto,  SYS_sendmsg, SYS_sendmmsg,
};

/* The leak checker of a sanitizer build stops its own threads by ptrace from a cloned process. */
static const uint16_t refused_unless_leak_checked[] = {SYS_ptrace};

static void add(sandbox_filter *filter, struct sock_filter instruction) {
    assert(filter->count < SANDBOX_FILTER_INSTRUCTIONS_MAX);
    filter->instructions[filter->count++] = instruction;
}

static void add_load(sandbox_filter *filter, uint32_t offset) {
    add(filter, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset));
}

static void add_return(sandbox_filter *filter, uint32_t action) {
    add(filter, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action));
}

/* If the loaded word compares so with `value`, end with `action`. */
static void add_end_if(sandbox_filter *filter, uint16_t comparison, uint32_t value,
                       uint32_t action) {
    add(filter, (struct sock_filter)BPF_JUMP(BPF_JMP | comparison | BPF_K, value, 0, 1));
    add_return(filter, action);
}

static const uint32_t refuse = SECCOMP_RET_ERRNO | EPERM;

static void add_list(sandbox_filter *filter, const uint16_t *numbers, size_t count) {
    for (size_t i = 0; i < count; i++) {
        add_end_if(filter, BPF_JEQ, numbers[i], refuse);
    }
}

static void add_architecture(sandbox_filter *filter, const sandbox_processor *processor) {
    add_load(filter, AT_ARCH);
    add(filter,
        (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, processor->audit_arch, 1, 0));
    add_return(filter, SECCOMP_RET_KILL_PROCESS);
    add_load(filter, AT_NUMBER);
    if (processor->foreign_bit) {
        add_end_if(filter, BPF_JSET, processor->foreign_bit, SECCOMP_RET_KILL_PROCESS);
    }
}

/* Each ends the program for its call, so that the loaded word is still the number behind it. */
static void add_clone(sandbox_filter *filter) {
    add_end_if(filter, BPF_JEQ, SYS_clone3, SECCOMP_RET_ERRNO | ENOSYS);
    add(filter, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 6));
    add_load(filter, AT_ARGUMENT_0);
    add_end_if(filter, BPF_JSET, namespace_flags, refuse);
    add_end_if(filter, BPF_JSET, CLONE_THREAD, SECCOMP_RET_ALLOW);
    add_return(filter, refuse);
}

static void add_ioctl(sandbox_filter *filter) {
    add(filter, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 6));
    add_load(filter, AT_ARGUMENT_1);
    add_end_if(filter, BPF_JEQ, TIOCSTI, refuse);
    add_end_if(filter, BPF_JEQ, TERMINAL_LINUX_COMMAND, refuse);
    add_return(filter, SECCOMP_RET_ALLOW);
}

#define ADD_LIST(filter, list) add_list(filter, list, sizeof(list) / sizeof *(list))

void sandbox_filter_build(sandbox_filter *out, const sandbox_processor *processor,
                          bool allow_network, bool leak_checked) {
    out->count = 0;
    add_architecture(out, processor);
    ADD_LIST(out, refused_always);
    add_list(out, processor->refused, processor->refused_count);
    if (!allow_network) {
        ADD_LIST(out, refused_without_network);
    }
    if (!leak_checked) {
        ADD_LIST(out, refused_unless_leak_checked);
        add_clone(out);
    }
    add_ioctl(out);
    add_return(out, SECCOMP_RET_ALLOW);
}
