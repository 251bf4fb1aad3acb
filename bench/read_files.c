/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine's limit for a comparison: read two files side by side with all cores and do nothing
 * else. Pieces of 128 KiB of each file by pread, as weir reads a bf16 pair. Prints seconds. usage:
 * read_files A B
 */
#include <fcntl.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE_BYTES = 128 << 10 };

static int open_file(const char *path, long long *size) {
    struct stat info;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &info) != 0) {
        perror(path);
        exit(5);
    }
    *size = (long long)info.st_size;
    return fd;
}

static void read_piece(int fd, char *buffer, long long piece, long long size) {
    const long long offset = piece * PIECE_BYTES;
    if (offset < size && pread(fd, buffer, PIECE_BYTES, offset) <= 0) {
        perror("read");
        exit(5);
    }
}

int main(int argc, char **argv) {
    if (argc != 3) {
        return 2;
    }
    long long size_a;
    long long size_b;
    const int a = open_file(argv[1], &size_a);
    const int b = open_file(argv[2], &size_b);
    const long long pieces = ((size_a > size_b ? size_a : size_b) + PIECE_BYTES - 1) / PIECE_BYTES;
    const double begin = omp_get_wtime();
#pragma omp parallel
    {
        char *buffer = malloc(PIECE_BYTES);
#pragma omp for schedule(dynamic)
        for (long long i = 0; i < pieces; i++) {
            read_piece(a, buffer, i, size_a);
            read_piece(b, buffer, i, size_b);
        }
        free(buffer);
    }
    printf("%.6f\n", omp_get_wtime() - begin);
    (void)close(a);
    (void)close(b);
    return 0;
}
