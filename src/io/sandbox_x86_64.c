/* SPDX-License-Identifier: Apache-2.0 */
/* The system-call filter on x86-64. x32 shares the architecture word and marks its calls by bit 30.
 */
#include <linux/audit.h>
#include <sys/syscall.h>

#include "io/sandbox.h"

static const uint16_t refused[] = {
    SYS_fork,          SYS_vfork,        SYS_ioperm,          SYS_iopl,  SYS_modify_ldt, SYS_uselib,
    SYS_create_module, SYS_query_module, SYS_get_kernel_syms, SYS_ustat, SYS_sysfs,
};

const sandbox_processor sandbox_this_processor = {
    .audit_arch = AUDIT_ARCH_X86_64,
    .foreign_bit = 0x40000000,
    .refused = refused,
    .refused_count = sizeof refused / sizeof *refused,
};
