/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening: the header says how many there are of everything; from the counts follows where every
 * section stands and how long the file is, and a file that says otherwise is refused. The codes are
 * not read: gigabytes of checksums would cost more than the search. So damage in them can change
 * what a search proposes, never where it reads; the numbers of members are checked when a family is
 * looked into.
 */
#include "sketch/search_index.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/checked.h"
#include "base/fail.h"
#include "io/byte_reader.h"
#include "sketch/index_map.h"

static const char expected_index[] = "a search index of weir";

static weir_code check_digest(const search_index *index, weir_error *err) {
    WEIR_CLEANUP(digest_free) digest *state = NULL;
    uint8_t found[DIGEST_BYTES];
    WEIR_TRY(digest_new(&state, err));
    digest_update(state, index->bytes, INDEX_DIGEST_AT);
    digest_finish(state, found);
    if (memcmp(found, index->bytes + INDEX_DIGEST_AT, sizeof found) != 0) {
        return weir_fail(err, WEIR_ERR_FORMAT, index->name, at_byte(INDEX_DIGEST_AT).text,
                         "the SHA-256 of the header", "another");
    }
    return WEIR_OK;
}

/* What says that this is an index, and one that can be read. */
static weir_code read_start(const search_index *index, byte_reader *reader, weir_error *err) {
    uint8_t magic[8];
    uint32_t version;
    uint32_t header_bytes;
    WEIR_TRY(byte_reader_copy(magic, reader, sizeof magic, "the magic number", err));
    if (memcmp(magic, INDEX_MAGIC, sizeof magic) != 0) {
        return weir_fail(err, WEIR_ERR_FORMAT, index->name, at_byte(0).text, expected_index,
                         "other bytes");
    }
    WEIR_TRY(byte_reader_u32(&version, reader, "the version", err));
    if (version != INDEX_VERSION) {
        return weir_fail(err, WEIR_ERR_UNSUPPORTED, index->name, at_byte(8).text, "version 1",
                         "version %" PRIu32, version);
    }
    WEIR_TRY(byte_reader_u32(&header_bytes, reader, "the header's size", err));
    if (header_bytes != INDEX_HEADER_BYTES || index->len < INDEX_HEADER_BYTES) {
        return weir_fail(err, WEIR_ERR_FORMAT, index->name, at_byte(12).text,
                         "a header of 512 bytes inside the file", "%" PRIu32 " of %zu",
                         header_bytes, index->len);
    }
    return check_digest(index, err);
}

static weir_code check_counts(search_index *index, uint64_t file_bytes, weir_error *err) {
    const index_counts *counts = &index->counts;
    if (counts->entries > SEARCH_ENTRIES_MAX || counts->leaders > counts->entries ||
        counts->groups > counts->leaders || counts->groups > INDEX_GROUPS_MAX ||
        (counts->groups == 0) != (counts->entries == 0)) {
        return weir_fail(err, WEIR_ERR_FORMAT, index->name, at_byte(32).text,
                         "groups of leaders of entries",
                         "%" PRIu32 " groups, %" PRIu64 " leaders, %" PRIu64 " entries",
                         counts->groups, counts->leaders, counts->entries);
    }
    uint64_t bytes;
    if (!index_layout(index->at, &bytes, counts) || bytes != file_bytes || bytes != index->len) {
        return weir_fail(err, WEIR_ERR_FORMAT, index->name, at_byte(24).text,
                         "as many bytes as the counts ask for", "%" PRIu64 " said, %zu there",
                         file_bytes, index->len);
    }
    return WEIR_OK;
}

static weir_code read_counts(search_index *index, byte_reader *reader, weir_error *err) {
    uint64_t file_bytes;
    uint32_t zero;
    WEIR_TRY(byte_reader_u64(&index->generation, reader, "the generation", err));
    WEIR_TRY(byte_reader_u64(&file_bytes, reader, "the file's size", err));
    WEIR_TRY(byte_reader_u64(&index->counts.entries, reader, "the number of entries", err));
    WEIR_TRY(byte_reader_u64(&index->counts.leaders, reader, "the number of leaders", err));
    WEIR_TRY(byte_reader_u32(&index->counts.groups, reader, "the number of groups", err));
    WEIR_TRY(byte_reader_u32(&zero, reader, "a zero", err));
    return check_counts(index, file_bytes, err);
}

static weir_code read_sections(search_index *index, byte_reader *reader, weir_error *err) {
    for (size_t i = 0; i < SECTION_COUNT; i++) {
        const uint64_t here = byte_reader_offset(reader);
        index_extent said;
        WEIR_TRY(byte_reader_u64(&said.offset, reader, "a section's offset", err));
        WEIR_TRY(byte_reader_u64(&said.bytes, reader, "a section's size", err));
        WEIR_TRY(byte_reader_copy(index->sha256[i], reader, DIGEST_BYTES, "a checksum", err));
        if (said.offset != index->at[i].offset || said.bytes != index->at[i].bytes) {
            return weir_fail(err, WEIR_ERR_FORMAT, index->name, at_byte(here).text,
                             "the section where the counts put it", "%" PRIu64 " bytes at %" PRIu64,
                             said.bytes, said.offset);
        }
    }
    return WEIR_OK;
}

static bool is_after(const index_group *one, const index_group *before) {
    return one->hidden > before->hidden ||
           (one->hidden == before->hidden && one->parts > before->parts);
}

static weir_code read_group(search_index *index, size_t number, uint64_t *next_leader,
                            byte_reader *reader, weir_error *err) {
    const uint64_t here = byte_reader_offset(reader);
    index_group *group = &index->groups[number];
    uint32_t zero;
    WEIR_TRY(byte_reader_u32(&group->hidden, reader, "a width", err));
    WEIR_TRY(byte_reader_u32(&group->parts, reader, "the parts of codes", err));
    WEIR_TRY(byte_reader_u32(&group->leader_count, reader, "the number of leaders", err));
    WEIR_TRY(byte_reader_u32(&zero, reader, "a zero", err));
    const bool has_parts = group->parts > 0 && group->parts <= PARTS_MAX &&
                           (group->parts & (PART_UNIT | PART_GATE)) != PART_GATE;
    if (!has_parts || group->leader_count == 0 ||
        group->leader_count > index->counts.leaders - *next_leader ||
        (number > 0 && !is_after(group, group - 1))) {
        return weir_fail(err, WEIR_ERR_FORMAT, index->name, at_byte(here).text,
                         "groups in order that share out the leaders",
                         "width %" PRIu32 ", parts %" PRIu32 ", %" PRIu32 " leaders", group->hidden,
                         group->parts, group->leader_count);
    }
    group->first_leader = (uint32_t)*next_leader;
    *next_leader += group->leader_count;
    return WEIR_OK;
}

static weir_code read_groups(search_index *index, weir_source *source, weir_error *err) {
    WEIR_CLEANUP(byte_reader_release) byte_reader reader = {0};
    const index_extent *at = &index->at[SECTION_GROUPS];
    WEIR_TRY(byte_reader_init(&reader, source, at->offset, at->offset + at->bytes, err));
    index->groups = checked_alloc(index->counts.groups, sizeof *index->groups);
    if (!index->groups) {
        return weir_fail_nomem(err);
    }
    uint64_t leaders = 0;
    for (size_t i = 0; i < index->counts.groups; i++) {
        WEIR_TRY(read_group(index, i, &leaders, &reader, err));
    }
    if (leaders != index->counts.leaders) {
        return weir_fail(err, WEIR_ERR_FORMAT, index->name, at_byte(at->offset).text,
                         "all leaders in groups", "%" PRIu64 " of %" PRIu64, leaders,
                         index->counts.leaders);
    }
    return WEIR_OK;
}

static weir_code parse(search_index *index, weir_error *err) {
    WEIR_CLEANUP(weir_source_free) weir_source *source = NULL;
    WEIR_CLEANUP(byte_reader_release) byte_reader reader = {0};
    const uint64_t end = index->len < INDEX_HEADER_BYTES ? index->len : INDEX_HEADER_BYTES;
    WEIR_TRY(weir_source_open_memory(&source, index->bytes, index->len, index->name, err));
    WEIR_TRY(byte_reader_init(&reader, source, 0, end, err));
    WEIR_TRY(read_start(index, &reader, err));
    WEIR_TRY(read_counts(index, &reader, err));
    WEIR_TRY(read_sections(index, &reader, err));
    WEIR_TRY(read_groups(index, source, err));
    digest_format(index->id, index->bytes + INDEX_DIGEST_AT);
    return WEIR_OK;
}

weir_code search_index_open_memory(search_index **out, const uint8_t *bytes, size_t len,
                                   const char *name, weir_error *err) {
    WEIR_CLEANUP(search_index_free) search_index *index = calloc(1, sizeof *index);
    if (!index || !(index->name = strdup(name))) {
        return weir_fail_nomem(err);
    }
    index->bytes = bytes;
    index->len = len;
    WEIR_TRY(parse(index, err));
    *out = WEIR_TAKE(index);
    return WEIR_OK;
}

/* An empty file cannot be mapped: it stays without bytes. */
static weir_code map_file(search_index *index, const char *path, weir_error *err) {
    WEIR_CLEANUP(close) const int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat info;
    if (fd < 0 || fstat(fd, &info) != 0) {
        return weir_fail(err, WEIR_ERR_IO, index->name, NULL, expected_index, "%s",
                         strerror(errno));
    }
    if (!S_ISREG(info.st_mode)) {
        return weir_fail(err, WEIR_ERR_IO, index->name, NULL, expected_index, "no regular file");
    }
    if (info.st_size == 0) {
        return WEIR_OK;
    }
    void *bytes = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (bytes == MAP_FAILED) {
        return weir_fail(err, WEIR_ERR_IO, index->name, NULL, "a file that can be mapped", "%s",
                         strerror(errno));
    }
    index->bytes = bytes;
    index->len = (size_t)info.st_size;
    index->is_mapped = true;
    return WEIR_OK;
}

weir_code search_index_open(search_index **out, const char *path, weir_error *err) {
    WEIR_CLEANUP(search_index_free) search_index *index = calloc(1, sizeof *index);
    const char *slash = strrchr(path, '/');
    if (!index || !(index->name = strdup(slash ? slash + 1 : path))) {
        return weir_fail_nomem(err);
    }
    WEIR_TRY(map_file(index, path, err));
    WEIR_TRY(parse(index, err));
    *out = WEIR_TAKE(index);
    return WEIR_OK;
}

weir_code search_index_verify(const search_index *index, weir_error *err) {
    WEIR_CLEANUP(digest_free) digest *state = NULL;
    WEIR_TRY(digest_new(&state, err));
    for (size_t i = 0; i < SECTION_COUNT; i++) {
        uint8_t found[DIGEST_BYTES];
        digest_update(state, index->bytes + index->at[i].offset, (size_t)index->at[i].bytes);
        digest_finish(state, found);
        if (memcmp(found, index->sha256[i], sizeof found) != 0) {
            return weir_fail(err, WEIR_ERR_FORMAT, index->name, at_byte(index->at[i].offset).text,
                             "a section with its SHA-256", "another");
        }
    }
    return WEIR_OK;
}

uint64_t search_index_entry_count(const search_index *index) {
    return index->counts.entries;
}

uint64_t search_index_leader_count(const search_index *index) {
    return index->counts.leaders;
}

uint64_t search_index_generation(const search_index *index) {
    return index->generation;
}

const char *search_index_id(const search_index *index) {
    return index->id;
}

void search_index_free(search_index *index) {
    if (index) {
        if (index->is_mapped) {
            /* NOLINTNEXTLINE(performance-no-int-to-ptr): it was mapped, and is given back */
            (void)munmap((void *)(uintptr_t)index->bytes, index->len);
        }
        free(index->groups);
        free(index->name);
        free(index);
    }
}
