/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conversions on a pipe, for tests that compare with other tools:
 *     convert read  DTYPE [LEVEL] < stored > float32
 *     convert write DTYPE [LEVEL] < float32 > stored
 * Any failure ends it with status 1 and a line on stderr.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/convert.h"
#include "weir/system.h"

typedef struct bytes {
    unsigned char *data;
    size_t len;
} bytes;

static _Noreturn void fail(const char *what) {
    (void)fprintf(stderr, "convert: %s\n", what);
    exit(1);
}

static bytes read_all(FILE *in) {
    bytes all = {0};
    size_t capacity = 1 << 16;
    size_t got;
    do {
        capacity *= 2;
        unsigned char *moved = realloc(all.data, capacity);
        if (!moved) {
            fail("out of memory");
        }
        all.data = moved;
        got = fread(all.data + all.len, 1, capacity - all.len, in);
        all.len += got;
    } while (got);
    return all;
}

static weir_dtype find_dtype(const char *name) {
    for (int i = 0; i < WEIR_DTYPE_COUNT; i++) {
        if (strcmp(weir_dtype_name((weir_dtype)i), name) == 0) {
            return (weir_dtype)i;
        }
    }
    fail("no such dtype");
}

static void force_level(const char *name) {
    for (weir_simd level = WEIR_SIMD_BASE; level <= WEIR_SIMD_AVX512; level++) {
        if (strcmp(weir_simd_name(level), name) == 0) {
            if (weir_simd_force(level, NULL) != WEIR_OK) {
                fail("this machine lacks that level");
            }
            return;
        }
    }
    fail("no such level");
}

static void convert(bytes *out, weir_dtype dtype, int reading, bytes in) {
    const weir_dtype_info *info = weir_dtype_get(dtype);
    const size_t from = reading ? info->block_bytes : info->block_elements * sizeof(float);
    const size_t to = reading ? info->block_elements * sizeof(float) : info->block_bytes;
    const size_t blocks = in.len / from;
    if (in.len % from || !(reading ? convert_can_read(dtype) : convert_can_write(dtype))) {
        fail("cannot convert this");
    }
    out->len = blocks * to;
    out->data = malloc(out->len + 1);
    if (!out->data) {
        fail("out of memory");
    }
    if (reading) {
        convert_to_f32((float *)(void *)out->data, dtype, in.data, blocks * info->block_elements);
    } else {
        convert_from_f32(out->data, dtype, (const float *)(const void *)in.data,
                         blocks * info->block_elements);
    }
}

int main(int argc, char **argv) {
    if (argc < 3 || argc > 4) {
        fail("usage: convert read|write DTYPE [LEVEL]");
    }
    if (argc == 4) {
        force_level(argv[3]);
    }
    bytes in = read_all(stdin);
    bytes out = {0};
    convert(&out, find_dtype(argv[2]), strcmp(argv[1], "read") == 0, in);
    const size_t written = fwrite(out.data, 1, out.len, stdout);
    free(in.data);
    free(out.data);
    return written == out.len && fflush(stdout) == 0 ? 0 : 1;
}
