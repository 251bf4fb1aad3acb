/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nothing is shown in the first second: most work is done by then. After it the line is rewritten
 * at most ten times a second:   comparing   43%   1.2 of 2.8 GB   612 MB/s
 * or, of many models:           43 of 512 models   3.1/s   2:31 left
 */
#include "progress_line.h"

#include <math.h>
#include <stdio.h>

#include "terminal.h"

static const double delay_seconds = 1.0;
static const double interval_seconds = 0.1;

static double seconds_since(const struct timespec *then) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - then->tv_sec) + (double)(now.tv_nsec - then->tv_nsec) / 1e9;
}

void progress_line_init(progress_line *line, const invocation *call) {
    *line = (progress_line){.is_live = !call->quiet && terminal_is_live(stderr)};
    (void)clock_gettime(CLOCK_MONOTONIC, &line->started);
    line->written = line->started;
}

static void enter_stage(progress_line *line, const char *stage, uint64_t done) {
    line->stage = stage;
    line->stage_begin = done;
    (void)clock_gettime(CLOCK_MONOTONIC, &line->stage_started);
}

static void write_line(const progress_line *line, uint64_t done, uint64_t total) {
    const double seconds = seconds_since(&line->stage_started);
    const uint64_t moved = done >= line->stage_begin ? done - line->stage_begin : 0;
    const double rate = seconds > 0 ? (double)moved / seconds : 0;
    const double percent = total > 0 ? 100.0 * (double)done / (double)total : 100.0;
    (void)fprintf(stderr, "\r\033[K%s  %3.0f%%  %.2f of %.2f GB  %.0f MB/s", line->stage, percent,
                  (double)done / 1e9, (double)total / 1e9, rate / 1e6);
    (void)fflush(stderr);
}

void progress_line_update(void *context, const char *stage, uint64_t done, uint64_t total) {
    progress_line *line = context;
    if (!line->is_live) {
        return;
    }
    if (line->stage != stage) {
        enter_stage(line, stage, done);
    }
    if (seconds_since(&line->started) < delay_seconds ||
        seconds_since(&line->written) < interval_seconds) {
        return;
    }
    write_line(line, done, total);
    (void)clock_gettime(CLOCK_MONOTONIC, &line->written);
    line->is_shown = true;
}

void progress_line_count(progress_line *line, size_t done, size_t total) {
    const double seconds = seconds_since(&line->started);
    if (!line->is_live || seconds < delay_seconds ||
        seconds_since(&line->written) < interval_seconds) {
        return;
    }
    const double rate = (double)done / seconds;
    (void)fprintf(stderr, "\r\033[K%zu of %zu models", done, total);
    if (done > 0) {
        const double left = (double)(total - done) / rate;
        (void)fprintf(stderr, "  %.1f/s  %.0f:%02d left", rate, floor(left / 60),
                      (int)fmod(left, 60));
    }
    (void)fflush(stderr);
    (void)clock_gettime(CLOCK_MONOTONIC, &line->written);
    line->is_shown = true;
}

void progress_line_clear(progress_line *line) {
    if (line->is_shown) {
        (void)fputs("\r\033[K", stderr);
        (void)fflush(stderr);
        line->is_shown = false;
    }
}
