/* SPDX-License-Identifier: Apache-2.0 */
#include "base/threads.h"

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>

int threads_wanted(unsigned jobs) {
    cpu_set_t allowed;
    if (jobs == 0) {
        jobs =
            sched_getaffinity(0, sizeof allowed, &allowed) == 0 ? (unsigned)CPU_COUNT(&allowed) : 1;
    }
    return jobs < THREADS_MAX ? (int)jobs : THREADS_MAX;
}

/* All wait for it, so that all exist at one time. */
typedef struct gate {
    pthread_mutex_t lock;
    pthread_cond_t opened;
    bool is_open;
} gate;

static void *wait_at(void *context) {
    gate *at = context;
    (void)pthread_mutex_lock(&at->lock);
    while (!at->is_open) {
        (void)pthread_cond_wait(&at->opened, &at->lock);
    }
    (void)pthread_mutex_unlock(&at->lock);
    return NULL;
}

static void open_gate(gate *at) {
    (void)pthread_mutex_lock(&at->lock);
    at->is_open = true;
    (void)pthread_cond_broadcast(&at->opened);
    (void)pthread_mutex_unlock(&at->lock);
}

int threads_startable(int wanted) {
    gate shared = {.lock = PTHREAD_MUTEX_INITIALIZER, .opened = PTHREAD_COND_INITIALIZER};
    pthread_t started[THREADS_MAX];
    int count = 0;
    while (count + 1 < wanted && count + 1 < THREADS_MAX &&
           pthread_create(&started[count], NULL, wait_at, &shared) == 0) {
        count++;
    }
    open_gate(&shared);
    for (int i = 0; i < count; i++) {
        (void)pthread_join(started[i], NULL);
    }
    return count + 1;
}
