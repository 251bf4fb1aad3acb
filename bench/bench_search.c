/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a search through a made-up population costs, and what it finds:
 *     bench_search FOLDER ENTRIES FAMILIES RECORDS QUERIES [codes]
 * FAMILIES 0: all are strangers of one width. RECORDS of the entries are kept as whole fingerprints
 * in a file of FOLDER. QUERIES for each kind of derivative. Prints JSON.
 *
 * Found: the search's leaders, 64 by each kind of code, or the members of those families whose
 * leader the exact test links, hold an entry that the exact test links (log10 p of -6 or less over
 * all entries). Recall is the share of found among the queries that the exact test links with their
 * own parent, the entry from which they were made: no other entry is nearer to them, so the test
 * over all entries finds no link where that one has none. Of passthroughs both parents' families
 * must be found.
 *
 * With "codes", hot codes are drawn without the blocks they would come from, and a query is found
 * when a leader of its parent's synthetic family is, for some correlations R of the sums of votes.
 *
 * search_ms: the scan, then its leaders and 64 members fetched, decoded and tested by two threads;
 * the query's hot code is at hand, its fingerprint too. `sum` reads the same bytes as the scan and
 * adds them up with as many threads: the machine's own limit.
 */
#include <inttypes.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/hash.h"
#include "sketch/index_map.h"
#include "sketch/link.h"
#include "sketch/search_index.h"
#include "synthetic_models.h"
#include "weir/system.h"

enum { BATCH = 4096, TIMES = 9, LEADERS = 64, MEMBERS = 64 };

static const double log10_p_linked = -6;

/* Fingerprints as they would lie in a registry. */
typedef struct record_file {
    int fd;
    uint64_t *offsets; /* [count + 1] */
    uint64_t count;
} record_file;

typedef struct bench {
    population of;
    bool is_codes;
    const char *folder;
    char index_path[4096];
    record_file records;
    search_index *index;
    double generate_s, build_s, record_s;
    long build_peak_kib;
} bench;

static double now(void) {
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static void require(weir_code code, const weir_error *err) {
    if (code != WEIR_OK) {
        char text[512];
        (void)fprintf(stderr, "bench_search: %s\n", weir_error_format(err, text, sizeof text));
        exit(1);
    }
}

static double cpu_now(void) {
    struct timespec time;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static long peak_kib(void) {
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

/* --- making --- */

static void make_codes(hot_code *codes, const bench *run, uint64_t first, size_t count) {
    const population *of = &run->of;
#pragma omp parallel
    {
        fingerprint *model = synthetic_new();
#pragma omp for schedule(dynamic, 32)
        for (size_t i = 0; i < count; i++) {
            if (run->is_codes) {
                synthetic_code(&codes[i], of, first + i);
                continue;
            }
            synthetic_entry(model, of, first + i);
            hot_code_make(&codes[i], model);
        }
        synthetic_free(model);
    }
}

static void build(bench *run) {
    weir_error err = {0};
    search_index_writer *writer = NULL;
    hot_code *codes = calloc(BATCH, sizeof *codes);
    require(search_index_writer_open(&writer, &err), &err);
    for (uint64_t first = 0; codes && first < run->of.entries; first += BATCH) {
        const uint64_t left = run->of.entries - first;
        const size_t count = left < BATCH ? (size_t)left : BATCH;
        const double start = now();
        make_codes(codes, run, first, count);
        const double made = now();
        for (size_t i = 0; i < count; i++) {
            require(search_index_writer_add(writer, first + i, &codes[i], &err), &err);
        }
        run->generate_s += made - start;
        run->build_s += now() - made;
    }
    const double start = now();
    require(search_index_writer_finish(writer, run->index_path, 1, &err), &err);
    run->build_s += now() - start;
    run->build_peak_kib = peak_kib();
    search_index_writer_free(writer);
    free(codes);
}

static void keep_records(bench *run) {
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/records", run->folder);
    FILE *file = fopen(path, "w+");
    weir_error err = {0};
    fingerprint *model = synthetic_new();
    run->records.offsets = calloc(run->records.count + 1, sizeof(uint64_t));
    const double start = now();
    for (uint64_t i = 0; file && run->records.offsets && i < run->records.count; i++) {
        uint8_t *bytes = NULL;
        size_t len = 0;
        synthetic_entry(model, &run->of, i);
        require(fingerprint_encode(&bytes, &len, model, &err), &err);
        run->records.offsets[i + 1] = run->records.offsets[i] + len;
        if (fwrite(bytes, 1, len, file) != len) {
            perror(path);
            exit(1);
        }
        free(bytes);
    }
    run->record_s = now() - start;
    if (!file || fflush(file) != 0 || (run->records.fd = dup(fileno(file))) < 0) {
        perror(path);
        exit(1);
    }
    (void)fclose(file);
    (void)unlink(path);
    synthetic_free(model);
}

/* Entries past the last record read another's: the cost is the same, the answer no link. */
static fingerprint *fetch_record(const record_file *from, uint64_t entry) {
    static _Thread_local uint8_t bytes[1 << 20];
    weir_error err = {0};
    fingerprint *model = NULL;
    const uint64_t at = entry % from->count;
    const size_t len = (size_t)(from->offsets[at + 1] - from->offsets[at]);
    if (len > sizeof bytes ||
        pread(from->fd, bytes, len, (off_t)from->offsets[at]) != (ssize_t)len) {
        perror("records");
        exit(1);
    }
    require(fingerprint_decode(&model, bytes, len, "record", &err), &err);
    return model;
}

/* --- searching --- */

static double link_of(const bench *run, const fingerprint *mine, const fingerprint *theirs) {
    weir_error err = {0};
    link_result result = {0};
    require(link_test(&result, mine, theirs, run->of.entries, &err), &err);
    const double log10_p = result.log10_p;
    link_result_release(&result);
    return log10_p;
}

static bool is_linked(const bench *run, const fingerprint *mine, uint64_t entry) {
    fingerprint *theirs = synthetic_new();
    synthetic_entry(theirs, &run->of, entry);
    const double log10_p = link_of(run, mine, theirs);
    synthetic_free(theirs);
    return log10_p <= log10_p_linked;
}

typedef struct tally {
    uint64_t queries;  /* that the exact test links with their parent */
    uint64_t unlinked; /* that it does not */
    uint64_t found;    /* a linked entry was brought up */
    uint64_t parent;   /* the parent's own family was */
} tally;

static uint32_t *leaders_of_entries(const search_index *index, uint64_t entries) {
    uint32_t *leaders = calloc(entries, sizeof *leaders);
    for (uint32_t i = 0; leaders && i < index->counts.leaders; i++) {
        const uint8_t *row = index_record(index, SECTION_LEADERS, i, LEADER_BYTES);
        const uint64_t first = index_get_u32(row + 8);
        leaders[index_get_u64(row)] = i;
        for (uint64_t j = first; j < first + index_get_u32(row + 12); j++) {
            leaders[index_get_u64(index_record(index, SECTION_MEMBERS, j, ENTRY_BYTES))] = i;
        }
    }
    return leaders;
}

/* Whether a linked entry of this entry's synthetic family is among what the search brings up. */
static bool finds_family(const bench *run, const fingerprint *query, const search_hit *hits,
                         size_t count, uint64_t parent) {
    const uint64_t family = synthetic_family(&run->of, parent);
    bool found = false;
    for (size_t i = 0; i < count && !found; i++) {
        if (synthetic_family(&run->of, hits[i].entry) == family) {
            found = is_linked(run, query, hits[i].entry);
        }
    }
    return found;
}

static bool has_leader(const search_hit *hits, size_t count, uint32_t leader) {
    for (size_t i = 0; i < count; i++) {
        if (hits[i].family == leader) {
            return true;
        }
    }
    return false;
}

static void try_query(tally *out, const bench *run, const uint32_t *leaders, derivative kind,
                      uint64_t number, fingerprint *query) {
    uint64_t seed = number * 2654435761u + kind;
    const uint64_t parent = hash_next(&seed) % run->of.entries;
    uint64_t second;
    if (!synthetic_derive(query, &second, kind, &run->of, parent, number)) {
        return;
    }
    if (!is_linked(run, query, parent) || !is_linked(run, query, second)) {
        out->unlinked++;
        return;
    }
    weir_error err = {0};
    search_hit *hits = NULL;
    size_t count = 0;
    hot_code code;
    hot_code_make(&code, query);
    require(search_index_leaders(&hits, &count, run->index, &code, LEADERS, 2, &err), &err);
    out->queries++;
    out->found += finds_family(run, query, hits, count, parent) &&
                  (second == parent || finds_family(run, query, hits, count, second));
    out->parent += has_leader(hits, count, leaders[parent]) &&
                   (second == parent || has_leader(hits, count, leaders[second]));
    free(hits);
}

static bool has_family(const bench *run, const search_hit *hits, size_t count, uint64_t entry) {
    for (size_t i = 0; i < count; i++) {
        if (synthetic_family(&run->of, hits[i].entry) == synthetic_family(&run->of, entry)) {
            return true;
        }
    }
    return false;
}

static void try_code(tally *out, const bench *run, const uint32_t *leaders, double r, bool has_two,
                     uint64_t number) {
    uint64_t seed = number * 2654435761u + (uint64_t)(r * 1000) + has_two;
    const uint64_t parent = hash_next(&seed) % run->of.entries;
    uint64_t second = parent;
    hot_code parents[2];
    hot_code code;
    if (has_two && !synthetic_second(&second, &run->of, parent, seed)) {
        return;
    }
    synthetic_code(&parents[0], &run->of, parent);
    synthetic_code(&parents[1], &run->of, second);
    synthetic_code_derive(&code, &parents[0], has_two ? &parents[1] : NULL, r, seed);
    weir_error err = {0};
    search_hit *hits = NULL;
    size_t count = 0;
    require(search_index_leaders(&hits, &count, run->index, &code, LEADERS, 2, &err), &err);
    out->queries++;
    out->found += has_family(run, hits, count, parent) && has_family(run, hits, count, second);
    out->parent +=
        has_leader(hits, count, leaders[parent]) && has_leader(hits, count, leaders[second]);
    free(hits);
}

static void report_codes(const bench *run, uint64_t queries) {
    static const struct {
        const char *name;
        double r;
        bool has_two;
    } kinds[] = {{"fine-tuned .95", .798, false},
                 {"half of the layers", .564, false},
                 {"pretrained on .3", .194, false},
                 {"half of the layers .3", .137, false},
                 {"layers of two families", .5, true}};
    enum { KINDS = sizeof kinds / sizeof *kinds };
    uint32_t *leaders = leaders_of_entries(run->index, run->of.entries);
    printf("  \"recall_of_codes\": [\n");
    for (size_t i = 0; i < KINDS; i++) {
        tally sum = {0};
        for (uint64_t j = 0; j < queries; j++) {
            try_code(&sum, run, leaders, kinds[i].r, kinds[i].has_two, j);
        }
        printf("    {\"kind\": \"%s\", \"correlation\": %.3f, \"queries\": %" PRIu64
               ", \"found\": %" PRIu64 ", \"family_of_parent_found\": %" PRIu64 "}%s\n",
               kinds[i].name, kinds[i].r, sum.queries, sum.found, sum.parent,
               i + 1 < KINDS ? "," : "");
        (void)fflush(stdout);
    }
    printf("  ],\n");
    free(leaders);
}

static void report_recall(const bench *run, uint64_t queries) {
    uint32_t *leaders = leaders_of_entries(run->index, run->of.entries);
    fingerprint *query = synthetic_new();
    printf("  \"recall\": [\n");
    for (derivative kind = 0; kind < DERIVATIVE_COUNT; kind++) {
        tally sum = {0};
        for (uint64_t i = 0; i < queries; i++) {
            try_query(&sum, run, leaders, kind, i, query);
        }
        printf("    {\"kind\": \"%s\", \"linked_by_exact_test\": %" PRIu64
               ", \"not_linked\": %" PRIu64 ", \"found\": %" PRIu64
               ", \"family_of_parent_found\": %" PRIu64 "}%s\n",
               derivative_names[kind], sum.queries, sum.unlinked, sum.found, sum.parent,
               kind + 1 < DERIVATIVE_COUNT ? "," : "");
        (void)fflush(stdout);
    }
    printf("  ],\n");
    synthetic_free(query);
    free(leaders);
}

/* --- timing --- */

static int compare_doubles(const void *a, const void *b) {
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_times(const char *name, double *seconds) {
    qsort(seconds, TIMES, sizeof *seconds, compare_doubles);
    printf("  \"%s\": {\"min\": %.3f, \"median\": %.3f, \"max\": %.3f},\n", name, 1e3 * seconds[0],
           1e3 * seconds[TIMES / 2], 1e3 * seconds[TIMES - 1]);
}

static void test_all(const bench *run, const fingerprint *query, const search_hit *hits,
                     size_t count) {
#pragma omp parallel for schedule(dynamic, 1) num_threads(2)
    for (size_t i = 0; i < count; i++) {
        fingerprint *theirs = fetch_record(&run->records, hits[i].entry);
        (void)link_of(run, query, theirs);
        fingerprint_free(theirs);
    }
}

/* The leaders and the members of the best families are fetched and tested. @return the tests
 * made */
static size_t search_whole(const bench *run, const fingerprint *query, const hot_code *code) {
    weir_error err = {0};
    search_hit *hits = NULL;
    size_t count = 0;
    size_t opened = 0;
    require(search_index_leaders(&hits, &count, run->index, code, LEADERS, 2, &err), &err);
    test_all(run, query, hits, count);
    for (size_t i = 0; i < count && opened < MEMBERS; i++) {
        search_hit *members = NULL;
        size_t member_count = 0;
        require(search_index_members(&members, &member_count, run->index, hits[i].family, code,
                                     MEMBERS - opened, &err),
                &err);
        test_all(run, query, members, member_count);
        opened += member_count;
        free(members);
    }
    free(hits);
    return count + opened;
}

static double sum_bytes(const uint8_t *bytes, uint64_t len) {
    const double start = now();
    const uint64_t chunk = 1 << 20;
    uint64_t total = 0;
#pragma omp parallel for schedule(static) reduction(+ : total) num_threads(2)
    for (uint64_t at = 0; at < len; at += chunk) {
        const uint64_t end = at + chunk < len ? at + chunk : len;
        uint64_t sums[8] = {0};
        for (uint64_t i = at; i + 64 <= end; i += 64) {
            uint64_t words[8];
            memcpy(words, bytes + i, sizeof words);
            for (size_t j = 0; j < 8; j++) {
                sums[j] += words[j];
            }
        }
        for (size_t j = 0; j < 8; j++) {
            total += sums[j];
        }
    }
    static volatile uint64_t sink;
    sink = total;
    (void)sink;
    return now() - start;
}

/* Bytes that a search by this code reads of the leaders' codes, which stand together. */
static uint64_t scanned_unit_bytes(const search_index *index, const hot_code *code,
                                   const uint8_t **first) {
    uint64_t bytes = 0;
    *first = index->bytes;
    for (size_t i = index->counts.groups; i-- > 0;) {
        const index_group *group = &index->groups[i];
        if (group->hidden == code->hidden && (group->parts & PART_UNIT)) {
            bytes += (uint64_t)group->leader_count * UNIT_BYTES;
            *first = index_record(index, SECTION_UNIT_CODES, group->first_leader, UNIT_BYTES);
        }
    }
    return bytes;
}

static uint64_t entry_of_width(const population *of, uint32_t hidden, uint64_t number,
                               fingerprint *model) {
    uint64_t entry = hash_mix(number) % of->entries;
    for (;; entry = (entry + 1) % of->entries) {
        synthetic_entry(model, of, entry);
        if (model->hidden == hidden && model->has_tokens) {
            return entry;
        }
    }
}

static void time_level(bench *run, weir_simd level, const hot_code *code) {
    double seconds[TIMES];
    char name[64];
    weir_error err = {0};
    if (weir_simd_force(level, NULL) != WEIR_OK) {
        return;
    }
    for (size_t i = 0; i < TIMES; i++) {
        search_hit *hits = NULL;
        size_t count = 0;
        const double start = now();
        require(search_index_leaders(&hits, &count, run->index, code, LEADERS, 2, &err), &err);
        seconds[i] = now() - start;
        free(hits);
    }
    (void)snprintf(name, sizeof name, "scan_ms_%s", weir_simd_name(level));
    print_times(name, seconds);
}

static void make_timed_query(hot_code *code, fingerprint *query, const bench *run,
                             uint64_t number) {
    uint64_t second;
    const uint64_t parent = entry_of_width(&run->of, 4096, number, query);
    if (run->is_codes) {
        hot_code theirs;
        synthetic_code(&theirs, &run->of, parent);
        synthetic_code_derive(code, &theirs, NULL, .798, number);
    } else {
        (void)synthetic_derive(query, &second, DERIVATIVE_FINE_TUNED, &run->of, parent, 5);
        hot_code_make(code, query);
    }
}

/* Of the most frequent width: the longest scans. */
static void report_times(bench *run) {
    weir_error err = {0};
    fingerprint *query = synthetic_new();
    double scan[TIMES];
    double scan_cpu[TIMES];
    double whole[TIMES];
    double whole_cpu[TIMES];
    double sum[TIMES];
    double ratio[TIMES];
    double open_s = now();
    size_t tests = 0;
    require(search_index_open(&run->index, run->index_path, &err), &err);
    open_s = now() - open_s;
    printf("  \"open_ms\": %.3f,\n", 1e3 * open_s);
    hot_code code = {0};
    uint64_t bytes = 0;
    for (int i = -1; i < TIMES; i++) {
        search_hit *hits = NULL;
        size_t count = 0;
        make_timed_query(&code, query, run, (uint64_t)(i + 7));
        const double cpu_start = cpu_now();
        const double start = now();
        require(search_index_leaders(&hits, &count, run->index, &code, LEADERS, 2, &err), &err);
        const double seconds = now() - start;
        const double cpu_seconds = cpu_now() - cpu_start;
        free(hits);
        if (i < 0) {
            printf("  \"scan_ms_first_touch\": %.3f,\n", 1e3 * seconds);
            continue;
        }
        scan[i] = seconds;
        scan_cpu[i] = cpu_seconds;
        const uint8_t *first;
        const uint64_t unit_bytes = scanned_unit_bytes(run->index, &code, &first);
        const index_extent *tokens = &run->index->at[SECTION_TOKEN_CODES];
        sum[i] = sum_bytes(first, unit_bytes) +
                 sum_bytes(run->index->bytes + tokens->offset, tokens->bytes);
        bytes = unit_bytes + tokens->bytes;
        ratio[i] = sum[i] / scan[i] * 1e-3;
        if (run->records.count > 0) {
            const double cpu_began = cpu_now();
            const double began = now();
            tests = search_whole(run, query, &code);
            whole_cpu[i] = cpu_now() - cpu_began;
            whole[i] = now() - began;
        }
    }
    print_times("scan_ms", scan);
    print_times("scan_cpu_ms", scan_cpu);
    print_times("sum_of_same_bytes_ms", sum);
    print_times("scan_speed_of_sum", ratio);
    printf("  \"scanned_bytes\": %" PRIu64 ",\n", bytes);
    if (run->records.count > 0) {
        print_times("search_ms", whole);
        print_times("search_cpu_ms", whole_cpu);
        printf("  \"exact_tests\": %zu,\n", tests);
    }
    for (weir_simd level = WEIR_SIMD_BASE; level <= WEIR_SIMD_AVX512; level++) {
        time_level(run, level, &code);
    }
    const double start = now();
    require(search_index_verify(run->index, &err), &err);
    printf("  \"verify_ms\": %.1f,\n", 1e3 * (now() - start));
    synthetic_free(query);
}

static void report_families(const bench *run) {
    uint64_t largest = 0;
    for (uint32_t i = 0; i < run->index->counts.leaders; i++) {
        const uint8_t *row = index_record(run->index, SECTION_LEADERS, i, LEADER_BYTES);
        const uint64_t members = index_get_u32(row + 12);
        largest = members + 1 > largest ? members + 1 : largest;
    }
    printf("  \"leaders\": %" PRIu64 ",\n  \"largest_family\": %" PRIu64 ",\n",
           search_index_leader_count(run->index), largest);
}

int main(int argc, char **argv) {
    if (argc != 6 && argc != 7) {
        (void)fprintf(stderr,
                      "usage: bench_search FOLDER ENTRIES FAMILIES RECORDS QUERIES [codes]\n");
        return 2;
    }
    bench run = {.folder = argv[1],
                 .is_codes = argc == 7,
                 .of = {.seed = 20,
                        .entries = strtoull(argv[2], NULL, 10),
                        .families = strtoull(argv[3], NULL, 10)},
                 .records = {.fd = -1, .count = strtoull(argv[4], NULL, 10)}};
    const uint64_t queries = strtoull(argv[5], NULL, 10);
    if (run.of.entries < 16 || run.records.count > run.of.entries) {
        (void)fprintf(stderr, "bench_search: at least 16 entries, at most as many records\n");
        return 2;
    }
    (void)snprintf(run.index_path, sizeof run.index_path, "%s/index", run.folder);
    build(&run);
    if (run.records.count > 0) {
        keep_records(&run);
    }
    struct stat info = {0};
    (void)stat(run.index_path, &info);
    printf("{\n  \"entries\": %" PRIu64 ",\n  \"synthetic_families\": %" PRIu64 ",\n",
           run.of.entries, run.of.families);
    printf("  \"generate_s\": %.2f,\n  \"build_s\": %.2f,\n  \"build_peak_mib\": %.1f,\n",
           run.generate_s, run.build_s, (double)run.build_peak_kib / 1024);
    printf("  \"index_bytes\": %lld,\n  \"records\": %" PRIu64 ",\n  \"record_bytes\": %" PRIu64
           ",\n",
           (long long)info.st_size, run.records.count,
           run.records.count ? run.records.offsets[run.records.count] : 0);
    report_times(&run);
    report_families(&run);
    (void)weir_simd_force(WEIR_SIMD_AVX512, NULL);
    if (run.is_codes) {
        report_codes(&run, queries);
    } else {
        report_recall(&run, queries);
    }
    printf("  \"threads\": 2\n}\n");
    search_index_free(run.index);
    (void)unlink(run.index_path);
    free(run.records.offsets);
    return 0;
}
