/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a fuzz target as an ordinary test: once over every seed of a folder, and, for seeds of at
 * most 4 KiB, over every prefix of the seed and over every copy in which one byte became 00, FF,
 * itself ^ 01 or itself ^ 80. That is the truncation and mutation table of a parser; what it must
 * show is only that nothing crashes, hangs or reads outside, so it says most in a build with
 * sanitizers. Each input is a heap block of exactly its size, so that reading one byte past it is
 * seen.
 *
 *     replay_NAME FOLDER
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MUTATED_BYTES_MAX = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void run_exact(const uint8_t *data, size_t size) {
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy) {
        perror("malloc");
        exit(2);
    }
    if (size > 0) {
        memcpy(copy, data, size);
    }
    (void)LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static void run_prefixes(const uint8_t *data, size_t size) {
    for (size_t len = 0; len < size; len++) {
        run_exact(data, len);
    }
}

static void run_mutations(uint8_t *data, size_t size) {
    for (size_t i = 0; i < size; i++) {
        const uint8_t original = data[i];
        const uint8_t mutants[] = {0x00, 0xFF, (uint8_t)(original ^ 0x01),
                                   (uint8_t)(original ^ 0x80)};
        for (size_t j = 0; j < sizeof mutants; j++) {
            data[i] = mutants[j];
            run_exact(data, size);
        }
        data[i] = original;
    }
}

/* The bytes of a seed; the caller frees. A seed that cannot be read is an error of the set-up. */
static uint8_t *read_seed(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    struct stat info;
    if (!file || fstat(fileno(file), &info) != 0) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(2);
    }
    *size = (size_t)info.st_size;
    uint8_t *data = malloc(*size ? *size : 1);
    if (!data || fread(data, 1, *size, file) != *size) {
        fprintf(stderr, "%s: cannot be read whole\n", path);
        exit(2);
    }
    (void)fclose(file);
    return data;
}

static int is_seed(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 2;
    }
    struct dirent **entries = NULL;
    const int count = scandir(argv[1], &entries, is_seed, alphasort);
    if (count <= 0) {
        fprintf(stderr, "%s: no seeds\n", argv[1]);
        return 2;
    }
    for (int i = 0; i < count; i++) {
        char path[4096];
        (void)snprintf(path, sizeof path, "%s/%s", argv[1], entries[i]->d_name);
        size_t size = 0;
        uint8_t *data = read_seed(path, &size);
        run_exact(data, size);
        if (size <= MUTATED_BYTES_MAX) {
            run_prefixes(data, size);
            run_mutations(data, size);
        }
        free(data);
        free(entries[i]);
    }
    free(entries);
    printf("%d seeds\n", count);
    return 0;
}
