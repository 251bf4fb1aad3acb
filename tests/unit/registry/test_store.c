/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every store promises, through the interface alone. Another implementation is one more row of
 * `kinds`.
 */
#include <sys/wait.h>

#include "records.h"

typedef struct kind {
    const char *name;
    weir_code (*open)(store *out, const char *path, bool create, unsigned wait_ms, weir_error *err);
} kind;
static const kind kinds[] = {{"sqlite", store_open_sqlite}};
enum { KIND_COUNT = sizeof kinds / sizeof *kinds };

typedef struct fixture {
    test_place spot;
    const kind *of;
    store it;
} fixture;

static fixture begin(const kind *of) {
    fixture made = {.of = of};
    make_place(&made.spot);
    assert_int_equal(of->open(&made.it, made.spot.path, true, 2000, NULL), WEIR_OK);
    return made;
}

static void reopen(fixture *of) {
    of->it.ops->close(of->it.context);
    assert_int_equal(of->of->open(&of->it, of->spot.path, false, 2000, NULL), WEIR_OK);
}

static void end(fixture *of) {
    of->it.ops->close(of->it.context);
    remove_place(&of->spot);
}

#define FOR_EACH_KIND(f)                                                                           \
    for (size_t kind_index = 0; kind_index < KIND_COUNT; kind_index++)                             \
        for (fixture f = begin(&kinds[kind_index]), *once = &f; once; end(&f), once = NULL)

static uint64_t add(const fixture *f, const char *name, unsigned seed, store_outcome expected) {
    static sample slot;
    store_outcome outcome;
    uint64_t row = 0;
    assert_int_equal(
        f->it.ops->add(f->it.context, make_record(&slot, name, seed), &outcome, &row, NULL),
        WEIR_OK);
    assert_int_equal(outcome, expected);
    return row;
}

static store_state state_of(const fixture *f) {
    store_state state;
    assert_int_equal(f->it.ops->state(f->it.context, &state, NULL), WEIR_OK);
    return state;
}

typedef struct seen {
    size_t count;
    uint64_t rows[64];
    uint64_t removed[64];
} seen;

static weir_code see(void *visitor, const weir_registry_entry *entry, weir_error *err) {
    (void)err;
    seen *out = visitor;
    out->rows[out->count] = entry->row;
    out->removed[out->count++] = entry->removed;
    return WEIR_OK;
}

static seen all(const fixture *f) {
    seen found = {0};
    assert_int_equal(f->it.ops->each(f->it.context, see, &found, NULL), WEIR_OK);
    return found;
}

static seen find(const fixture *f, const char *which) {
    seen found = {0};
    assert_int_equal(f->it.ops->find(f->it.context, which, see, &found, NULL), WEIR_OK);
    return found;
}

static void assert_same_text(const char *a, const char *b) {
    assert_int_equal(a == NULL, b == NULL);
    if (a) {
        assert_string_equal(a, b);
    }
}

static void a_record_read_is_the_record_written(void **unused) {
    (void)unused;
    FOR_EACH_KIND(f) {
        static sample slot;
        const store_record *written = make_record(&slot, "one", 1);
        slot.entry.id = "5f" /* any text: the store does not look at it */;
        slot.claims[1].value = "a\xc3\xa4 b";
        WEIR_CLEANUP(arena_release) arena memory = {0};
        store_record read;
        store_outcome outcome;
        uint64_t row = 0;

        assert_int_equal(f.it.ops->add(f.it.context, written, &outcome, &row, NULL), WEIR_OK);
        reopen(&f);
        assert_int_equal(f.it.ops->get(f.it.context, row, &memory, &read, NULL), WEIR_OK);

        assert_string_equal(read.entry->name, "one");
        assert_same_text(read.entry->id, "5f");
        assert_same_text(read.entry->payload_id, NULL);
        assert_same_text(read.entry->location, "/models/one");
        assert_int_equal(read.entry->row, row);
        assert_int_equal(read.entry->added, 1);
        assert_int_equal(read.entry->removed, 0);
        assert_null(read.entry->reason);
        assert_int_equal(read.entry->parameters, 134515008);
        assert_int_equal(read.entry->tensors, 272);
        assert_int_equal(read.entry->hidden, 576);
        assert_int_equal(read.entry->feed_forward, 1536);
        assert_int_equal(read.entry->layers, 30);
        assert_int_equal(read.entry->vocabulary, 49152);
        assert_int_equal(read.entry->blocks, 30);
        assert_int_equal(read.entry->claim_count, 2);
        assert_string_equal(read.entry->claims[0].name, "config.model_type");
        assert_string_equal(read.entry->claims[0].at, "line 3");
        assert_string_equal(read.entry->claims[1].value, "a\xc3\xa4 b");
        assert_string_equal(read.entry->claims[1].file, "README.md");
        assert_int_equal(read.entry->fingerprint_bytes, FINGERPRINT_BYTES);
        assert_memory_equal(read.fingerprint, slot.fingerprint, FINGERPRINT_BYTES);
    }
}

static void a_new_store_is_empty_at_generation_0(void **unused) {
    (void)unused;
    FOR_EACH_KIND(f) {
        assert_int_equal(state_of(&f).generation, 0);
        assert_int_equal(all(&f).count, 0);
        assert_int_equal(find(&f, "one").count, 0);
    }
}

static void every_change_raises_the_generation(void **unused) {
    (void)unused;
    FOR_EACH_KIND(f) {
        const uint64_t row = add(&f, "one", 1, STORE_ADDED);
        assert_int_equal(state_of(&f).generation, 1);
        add(&f, "two", 2, STORE_ADDED);
        assert_int_equal(state_of(&f).generation, 2);
        assert_int_equal(f.it.ops->remove(f.it.context, row, "wrong licence", NULL), WEIR_OK);
        assert_int_equal(state_of(&f).generation, 3);
        add(&f, "two", 2, STORE_ALREADY_THERE);
        assert_int_equal(state_of(&f).generation, 3);
    }
}

static void the_same_model_under_its_name_is_already_there(void **unused) {
    (void)unused;
    FOR_EACH_KIND(f) {
        const uint64_t row = add(&f, "one", 1, STORE_ADDED);
        assert_int_equal(add(&f, "one", 1, STORE_ALREADY_THERE), row);
        assert_int_equal(all(&f).count, 1);
    }
}

static void another_model_does_not_get_a_taken_name(void **unused) {
    (void)unused;
    FOR_EACH_KIND(f) {
        add(&f, "one", 1, STORE_ADDED);
        add(&f, "one", 2, STORE_NAME_TAKEN);
        assert_int_equal(all(&f).count, 1);
        assert_int_equal(state_of(&f).generation, 1);
    }
}

static void equal_fingerprints_with_other_ids_are_other_models(void **unused) {
    (void)unused;
    FOR_EACH_KIND(f) {
        static sample slot;
        store_outcome outcome;
        uint64_t row;
        const store_record *record = make_record(&slot, "one", 1);
        slot.entry.id = "aa";
        assert_int_equal(f.it.ops->add(f.it.context, record, &outcome, &row, NULL), WEIR_OK);
        slot.entry.id = "bb";

        assert_int_equal(f.it.ops->add(f.it.context, record, &outcome, &row, NULL), WEIR_OK);

        assert_int_equal(outcome, STORE_NAME_TAKEN);
    }
}

static void a_second_look_fills_in_ids_and_moves_the_location(void **unused) {
    (void)unused;
    FOR_EACH_KIND(f) {
        static sample slot;
        WEIR_CLEANUP(arena_release) arena memory = {0};
        store_record read;
        store_outcome outcome;
        uint64_t row = add(&f, "one", 1, STORE_ADDED);
        const store_state before = state_of(&f);
        const store_record *again = make_record(&slot, "one", 1);
        slot.entry.id = "aa";
        slot.entry.payload_id = "bb";
        slot.entry.location = "/elsewhere";

        assert_int_equal(f.it.ops->add(f.it.context, again, &outcome, &row, NULL), WEIR_OK);

        assert_int_equal(outcome, STORE_ALREADY_THERE);
        assert_int_equal(f.it.ops->get(f.it.context, row, &memory, &read, NULL), WEIR_OK);
        assert_string_equal(read.entry->id, "aa");
        assert_string_equal(read.entry->payload_id, "bb");
        assert_string_equal(read.entry->location, "/elsewhere");
        assert_int_equal(state_of(&f).generation, before.generation + 1);
        /* What is searched is the same: an index need not be made again. */
        assert_string_equal(state_of(&f).id, before.id);
    }
}

static weir_code see_hot(void *visitor, uint64_t row, const uint8_t hot[static STORE_HOT_BYTES],
                         weir_error *err) {
    (void)err;
    seen *out = visitor;
    out->removed[out->count] = hot[0];
    out->rows[out->count++] = row;
    return WEIR_OK;
}

static void hot_codes_are_those_of_live_entries(void **unused) {
    (void)unused;
    FOR_EACH_KIND(f) {
        seen found = {0};
        store_state state;
        const uint64_t first = add(&f, "one", 11, STORE_ADDED);
        const uint64_t second = add(&f, "two", 22, STORE_ADDED);
        const uint64_t third = add(&f, "three", 33, STORE_ADDED);
        assert_int_equal(f.it.ops->remove(f.it.context, second, "wrong", NULL), WEIR_OK);

        assert_int_equal(f.it.ops->hot_codes(f.it.context, see_hot, &found, &state, NULL), WEIR_OK);

        assert_int_equal(found.count, 2);
        assert_int_equal(found.rows[0], first);
        assert_int_equal(found.removed[0], 11);
        assert_int_equal(found.rows[1], third);
        assert_int_equal(found.removed[1], 33);
        assert_string_equal(state.id, state_of(&f).id);
    }
}

static void a_removed_entry_stays_as_a_record(void **unused) {
    (void)unused;
    FOR_EACH_KIND(f) {
        WEIR_CLEANUP(arena_release) arena memory = {0};
        store_record read;
        const uint64_t row = add(&f, "one", 1, STORE_ADDED);

        assert_int_equal(f.it.ops->remove(f.it.context, row, "wrong licence", NULL), WEIR_OK);
        reopen(&f);

        assert_int_equal(f.it.ops->get(f.it.context, row, &memory, &read, NULL), WEIR_OK);
        assert_string_equal(read.entry->reason, "wrong licence");
        assert_int_equal(read.entry->removed, 2);
        assert_int_equal(all(&f).count, 1);
        assert_int_equal(find(&f, "one").count, 0);
    }
}

static void adding_a_removed_model_again_makes_a_new_record(void **unused) {
    (void)unused;
    FOR_EACH_KIND(f) {
        const uint64_t row = add(&f, "one", 1, STORE_ADDED);
        assert_int_equal(f.it.ops->remove(f.it.context, row, "wrong", NULL), WEIR_OK);

        const uint64_t again = add(&f, "one", 1, STORE_ADDED);

        assert_int_not_equal(again, row);
        assert_int_equal(all(&f).count, 2);
        assert_int_equal(find(&f, "one").count, 1);
        assert_int_equal(find(&f, "one").rows[0], again);
    }
}

static void removing_twice_or_what_is_not_there_is_refused(void **unused) {
    (void)unused;
    FOR_EACH_KIND(f) {
        weir_error err = {0};
        const uint64_t row = add(&f, "one", 1, STORE_ADDED);
        assert_int_equal(f.it.ops->remove(f.it.context, row, "wrong", NULL), WEIR_OK);

        assert_int_equal(f.it.ops->remove(f.it.context, row, "again", &err), WEIR_ERR_ARG);
        assert_non_null(strstr(err.found, "removed before"));
        assert_int_equal(f.it.ops->remove(f.it.context, 77, "never", &err), WEIR_ERR_ARG);
        assert_int_equal(state_of(&f).generation, 2);
    }
}

static void an_entry_is_found_by_each_of_its_ids(void **unused) {
    (void)unused;
    FOR_EACH_KIND(f) {
        static sample slot;
        store_outcome outcome;
        uint64_t row;
        const store_record *record = make_record(&slot, "one", 1);
        slot.entry.id = "aaaa";
        slot.entry.payload_id = "bbbb";
        assert_int_equal(f.it.ops->add(f.it.context, record, &outcome, &row, NULL), WEIR_OK);
        add(&f, "two", 2, STORE_ADDED);

        assert_int_equal(find(&f, "one").rows[0], row);
        assert_int_equal(find(&f, "aaaa").rows[0], row);
        assert_int_equal(find(&f, "bbbb").rows[0], row);
        make_record(&slot, "one", 1);
        assert_int_equal(find(&f, slot.fingerprint_id).rows[0], row);
        assert_int_equal(find(&f, "cccc").count, 0);
    }
}

static void the_state_tells_what_is_searched(void **unused) {
    (void)unused;
    store_state first;
    store_state second;
    store_state other;
    fixture a = begin(&kinds[0]);
    fixture b = begin(&kinds[0]);

    add(&a, "one", 1, STORE_ADDED);
    add(&b, "another name", 1, STORE_ADDED);
    first = state_of(&a);
    second = state_of(&b);
    add(&b, "two", 2, STORE_ADDED);
    add(&a, "two", 3, STORE_ADDED);
    other = state_of(&a);

    assert_string_equal(first.id, second.id);
    assert_string_not_equal(other.id, state_of(&b).id);
    end(&a);
    end(&b);
}

static weir_code refuse(void *visitor, const weir_registry_entry *entry, weir_error *err) {
    (void)entry;
    (void)err;
    ++*(size_t *)visitor;
    return WEIR_ERR_CANCELLED;
}

static void a_visitor_that_fails_ends_the_visit(void **unused) {
    (void)unused;
    FOR_EACH_KIND(f) {
        size_t calls = 0;
        add(&f, "one", 1, STORE_ADDED);
        add(&f, "two", 2, STORE_ADDED);

        assert_int_equal(f.it.ops->each(f.it.context, refuse, &calls, NULL), WEIR_ERR_CANCELLED);

        assert_int_equal(calls, 1);
        add(&f, "three", 3, STORE_ADDED); /* nothing is left open */
    }
}

/* In a process of its own: adds `count` entries and says how many it was told were added. */
static pid_t start_adder(const fixture *f, unsigned first, unsigned count) {
    const pid_t child = fork();
    if (child != 0) {
        return child;
    }
    static sample slot;
    store own;
    int status = f->of->open(&own, f->spot.path, true, 20000, NULL) == WEIR_OK ? 0 : 1;
    for (unsigned i = first; status == 0 && i < first + count; i++) {
        char name[16];
        store_outcome outcome;
        uint64_t row;
        (void)snprintf(name, sizeof name, "m%u", i);
        const weir_code code =
            own.ops->add(own.context, make_record(&slot, name, i), &outcome, &row, NULL);
        status = code == WEIR_OK && outcome == STORE_ADDED ? 0 : 2;
    }
    _exit(status);
}

static void two_processes_add_at_once_and_nothing_is_lost(void **unused) {
    (void)unused;
    FOR_EACH_KIND(f) {
        enum { EACH = 20 };
        const pid_t adders[2] = {start_adder(&f, 0, EACH), start_adder(&f, 100, EACH)};
        for (size_t i = 0; i < 2; i++) {
            int status = -1;
            assert_int_equal(waitpid(adders[i], &status, 0), adders[i]);
            assert_int_equal(status, 0);
        }

        const seen found = all(&f);

        assert_int_equal(found.count, 2 * EACH);
        assert_int_equal(state_of(&f).generation, 2 * EACH);
        for (size_t i = 0; i < found.count; i++) {
            assert_int_equal(found.rows[i], i + 1);
        }
    }
}

static weir_code count_problem(void *visitor, const weir_error *problem, weir_error *err) {
    (void)problem;
    (void)err;
    ++*(size_t *)visitor;
    return WEIR_OK;
}

static void a_whole_store_verifies(void **unused) {
    (void)unused;
    FOR_EACH_KIND(f) {
        size_t problems = 0;
        const uint64_t row = add(&f, "one", 1, STORE_ADDED);
        add(&f, "two", 2, STORE_ADDED);
        assert_int_equal(f.it.ops->remove(f.it.context, row, "wrong", NULL), WEIR_OK);

        assert_int_equal(f.it.ops->verify(f.it.context, count_problem, &problems, NULL), WEIR_OK);

        assert_int_equal(problems, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_store_is_empty_at_generation_0),
        cmocka_unit_test(a_record_read_is_the_record_written),
        cmocka_unit_test(every_change_raises_the_generation),
        cmocka_unit_test(the_same_model_under_its_name_is_already_there),
        cmocka_unit_test(another_model_does_not_get_a_taken_name),
        cmocka_unit_test(equal_fingerprints_with_other_ids_are_other_models),
        cmocka_unit_test(a_second_look_fills_in_ids_and_moves_the_location),
        cmocka_unit_test(hot_codes_are_those_of_live_entries),
        cmocka_unit_test(a_removed_entry_stays_as_a_record),
        cmocka_unit_test(adding_a_removed_model_again_makes_a_new_record),
        cmocka_unit_test(removing_twice_or_what_is_not_there_is_refused),
        cmocka_unit_test(an_entry_is_found_by_each_of_its_ids),
        cmocka_unit_test(the_state_tells_what_is_searched),
        cmocka_unit_test(a_visitor_that_fails_ends_the_visit),
        cmocka_unit_test(two_processes_add_at_once_and_nothing_is_lost),
        cmocka_unit_test(a_whole_store_verifies),
    };
    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
