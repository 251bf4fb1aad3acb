/* SPDX-License-Identifier: Apache-2.0 */
/** @file detect.h  What a file is: by its content first, by its name where the content leaves it
 * open. */
#ifndef WEIR_FORMAT_DETECT_H
#define WEIR_FORMAT_DETECT_H

#include <stdbool.h>

#include "io/source.h"

typedef struct detection {
    const char *format; /**< as in checkpoint_file; static */
    const char
        *pretends;   /**< what the name promises ("a .safetensors file") while the content is an
                          archive, a pickle or a program; static; NULL when name and content agree */
    bool is_program; /**< machine code for some system; not for a llamafile */
} detection;

/**
 * Identify a source; at most its first and last 64 KiB are read, and an unnamed JSON or YAML up to
 * 8 MiB.
 * @return WEIR_OK, also when nothing is known about the file ("unknown"); WEIR_ERR_IO;
 * WEIR_ERR_NOMEM
 */
weir_code detect_format(detection *out, weir_source *source, weir_error *err);

/** @return whether `path` ends in `suffix`, ASCII letters of either case. */
bool path_has_suffix(const char *path, const char *suffix);

/** @return the part of `path` after its last '/'. */
const char *path_base(const char *path);

#endif
