/* SPDX-License-Identifier: Apache-2.0 */
/* The system-call filter on 64-bit Arm: only the calls that every processor has. */
#include <linux/audit.h>

#include "io/sandbox.h"

const sandbox_processor sandbox_this_processor = {.audit_arch = AUDIT_ARCH_AARCH64};
