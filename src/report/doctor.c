/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this build and this machine support. One list of facts is gathered first; the text for a
 * person and weir.doctor/1 are two ways of writing it.
 */
#include "weir/doctor.h"

#include <inttypes.h>
#include <openssl/crypto.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yaml.h>

#include "base/fail.h"
#include "io/json_writer.h"
#include "weir/system.h"

enum { SIMD_COUNT = WEIR_SIMD_AVX512 + 1 };

typedef struct doctor {
    uint64_t processors; /**< that this process may use */
    uint64_t memory_bytes;
    weir_simd simd;
    bool has_simd[SIMD_COUNT];
    const char *sha256; /**< "hardware", "software", "unknown" */
    weir_sandbox_level offered;
    const weir_sandbox_level *holds; /**< NULL when nothing was asked for */
} doctor;

/*
 * OpenSSL prints the processor features that it found as hexadecimal words: on x86-64 the second
 * word starts with CPUID leaf 7 EBX, whose bit 29 is SHA; on Arm bit 4 is SHA-256
 * (OPENSSL_ia32cap(3)).
 */
static const char *find_sha256(void) {
    static const char x86[] = "CPUINFO: OPENSSL_ia32cap=";
    static const char arm[] = "CPUINFO: OPENSSL_armcap=";
    const char *info = OpenSSL_version(OPENSSL_CPU_INFO);
    char *end = NULL;
    if (strncmp(info, x86, strlen(x86)) == 0) {
        (void)strtoull(info + strlen(x86), &end, 16);
        const uint64_t leaf_7 = *end == ':' ? strtoull(end + 1, NULL, 16) : 0;
        return leaf_7 >> 29 & 1 ? "hardware" : "software";
    }
    if (strncmp(info, arm, strlen(arm)) == 0) {
        return strtoull(info + strlen(arm), NULL, 16) >> 4 & 1 ? "hardware" : "software";
    }
    return "unknown";
}

static uint64_t count_processors(void) {
    cpu_set_t usable;
    if (sched_getaffinity(0, sizeof usable, &usable) == 0) {
        return (uint64_t)CPU_COUNT(&usable);
    }
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (uint64_t)online : 1;
}

static uint64_t count_memory(void) {
    const long pages = sysconf(_SC_PHYS_PAGES);
    const long page_bytes = sysconf(_SC_PAGESIZE);
    return pages > 0 && page_bytes > 0 ? (uint64_t)pages * (uint64_t)page_bytes : 0;
}

static doctor examine(const weir_sandbox_level *level) {
    doctor found = {
        .processors = count_processors(),
        .memory_bytes = count_memory(),
        .simd = weir_simd_level(),
        .sha256 = find_sha256(),
        .offered = weir_sandbox_offered(),
        .holds = level,
    };
    for (int i = 0; i < SIMD_COUNT; i++) {
        found.has_simd[i] = weir_simd_force((weir_simd)i, NULL) == WEIR_OK;
    }
    (void)weir_simd_force(found.simd, NULL);
    return found;
}

static void write_sandbox_json(json_writer *json, const char *key,
                               const weir_sandbox_level *level) {
    json_key(json, key);
    if (!level) {
        json_null(json);
        return;
    }
    json_object_begin(json);
    json_key(json, "landlock_abi");
    json_int(json, level->landlock_abi);
    json_key(json, "seccomp");
    json_bool(json, level->seccomp);
    json_key(json, "no_new_privs");
    json_bool(json, level->no_new_privs);
    json_object_end(json);
}

static void write_machine_json(json_writer *json, const doctor *found) {
    json_key(json, "machine");
    json_object_begin(json);
    json_key(json, "processors");
    json_uint(json, found->processors);
    json_key(json, "memory_bytes");
    json_uint(json, found->memory_bytes);
    json_key(json, "simd");
    json_string(json, weir_simd_name(found->simd));
    json_key(json, "simd_available");
    json_array_begin(json);
    for (int i = 0; i < SIMD_COUNT; i++) {
        if (found->has_simd[i]) {
            json_string(json, weir_simd_name((weir_simd)i));
        }
    }
    json_array_end(json);
    json_key(json, "sha256");
    json_string(json, found->sha256);
    json_object_end(json);
}

static weir_code write_json(FILE *stream, const doctor *found, weir_error *err) {
    json_writer json = json_writer_init(stream);
    json_object_begin(&json);
    json_key(&json, "schema");
    json_string(&json, "weir.doctor/1");
    json_key(&json, "version");
    json_string(&json, weir_version());
    write_machine_json(&json, found);
    json_key(&json, "sandbox");
    json_object_begin(&json);
    write_sandbox_json(&json, "offered", &found->offered);
    write_sandbox_json(&json, "holds", found->holds);
    json_object_end(&json);
    json_key(&json, "components");
    json_object_begin(&json);
    json_key(&json, "openssl");
    json_string(&json, OpenSSL_version(OPENSSL_VERSION_STRING));
    json_key(&json, "libyaml");
    json_string(&json, yaml_get_version_string());
    json_key(&json, "weir-llama");
    json_null(&json);
    json_key(&json, "sqlite");
    json_null(&json);
    json_object_end(&json);
    json_object_end(&json);
    return json_writer_finish(&json, err);
}

static void write_level(FILE *stream, const char *label, const weir_sandbox_level *level) {
    (void)fprintf(stream, "%-14s", label);
    if (level->landlock_abi > 0) {
        (void)fprintf(stream, "files%s%s by Landlock ABI %d",
                      level->landlock_abi >= 4 ? ", TCP" : "",
                      level->landlock_abi >= 6 ? ", signals" : "", level->landlock_abi);
    } else {
        (void)fputs("files not restricted (no Landlock)", stream);
    }
    (void)fprintf(stream, "; system calls %s; %s\n", level->seccomp ? "filtered" : "not filtered",
                  level->no_new_privs ? "no new privileges" : "new privileges possible");
}

static bool is_whole(const weir_sandbox_level *level) {
    return level->landlock_abi >= 6 && level->seccomp && level->no_new_privs;
}

static weir_code write_text(FILE *stream, const doctor *found, weir_error *err) {
    const weir_sandbox_level *judged = found->holds ? found->holds : &found->offered;
    (void)fprintf(stream, "weir %s works here%s\n\n", weir_version(),
                  is_whole(judged) ? "; untrusted files are read under the full restriction"
                                   : "; this kernel offers only part of the restriction");
    (void)fprintf(stream, "%-14s%" PRIu64 "\n", "processors", found->processors);
    (void)fprintf(stream, "%-14s%.1f GiB\n", "memory", (double)found->memory_bytes / (1 << 30));
    (void)fprintf(stream, "%-14s%s (available:", "arithmetic", weir_simd_name(found->simd));
    for (int i = 0; i < SIMD_COUNT; i++) {
        if (found->has_simd[i]) {
            (void)fprintf(stream, " %s", weir_simd_name((weir_simd)i));
        }
    }
    (void)fputs("; the results are the same bytes with each)\n", stream);
    (void)fprintf(stream, "%-14sOpenSSL %s, %s\n", "SHA-256",
                  OpenSSL_version(OPENSSL_VERSION_STRING), found->sha256);
    (void)fprintf(stream, "%-14s%s\n", "libyaml", yaml_get_version_string());
    (void)fprintf(stream, "%-14snot present: weir probe is not available\n", "weir-llama");
    (void)fprintf(stream, "%-14snot used by this version\n", "SQLite");
    write_level(stream, "kernel offers", &found->offered);
    if (found->holds) {
        write_level(stream, "holds now", found->holds);
    }
    if (fflush(stream) != 0 || ferror(stream)) {
        return weir_fail(err, WEIR_ERR_IO, NULL, NULL, NULL, "output: cannot be written");
    }
    return WEIR_OK;
}

weir_code weir_doctor_report(FILE *stream, bool json, const weir_sandbox_level *level,
                             weir_error *err) {
    const doctor found = examine(level);
    return json ? write_json(stream, &found, err) : write_text(stream, &found, err);
}
