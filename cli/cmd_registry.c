/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include <weir/registry.h>

#include "failure.h"
#include "registry_place.h"
#include "session.h"

/* One run of the verb. */
typedef struct registry_work {
    const invocation *call;
    const char *const *operands; /* those after the action */
    size_t operand_count;
    cli_session session;
    weir_registry *registry;
    weir_registry_choice *choices; /* one an operand */
    size_t choice_count;
    out_file exported;
} registry_work;

static weir_code write_result(FILE *stream, weir_format format, const weir_style *style,
                              const void *result, weir_error *err) {
    return weir_report_registry(stream, format, style, result, err);
}

static exit_status write_listing(registry_work *work, weir_registry_listing *listing) {
    const exit_status status = session_write(&work->session, write_result, listing);
    weir_registry_listing_free(listing);
    return status;
}

static exit_status write_choices(registry_work *work, weir_registry_action action) {
    weir_error err = {0};
    weir_registry_listing *listing = NULL;
    if (weir_registry_show(&listing, work->registry, action, work->choices, work->choice_count,
                           &err) != WEIR_OK) {
        return session_fail(&work->session, &err);
    }
    return write_listing(work, listing);
}

/* What one of several models makes impossible is said, and the others go on. */
static exit_status fail_one(registry_work *work, const weir_error *err) {
    return work->operand_count > 1 ? failure_report_line(err) : session_fail(&work->session, err);
}

static exit_status add_one(registry_work *work, const char *model) {
    const invocation *call = work->call;
    const weir_registry_add_options options = {
        .name = call->name,
        .callbacks = &work->session.callbacks,
        .jobs = call->jobs,
        .digest = call->digest,
        .lenient = call->lenient,
    };
    weir_error err = {0};
    weir_registry_choice *choice = &work->choices[work->choice_count];
    if (weir_registry_add(&choice->row, &choice->is_new, work->registry, model, &options, &err) !=
        WEIR_OK) {
        return fail_one(work, &err);
    }
    work->choice_count++;
    return EXIT_DONE;
}

static exit_status run_add(registry_work *work) {
    exit_status status = EXIT_DONE;
    for (size_t i = 0; i < work->operand_count && status != EXIT_INTERRUPTED; i++) {
        const exit_status added = add_one(work, work->operands[i]);
        status = status == EXIT_DONE || added == EXIT_INTERRUPTED ? added : status;
    }
    if (work->choice_count > 0 && status != EXIT_INTERRUPTED) {
        const exit_status written = write_choices(work, WEIR_REGISTRY_ADD);
        status = written == EXIT_DONE ? status : written;
    }
    return status;
}

static exit_status run_list(registry_work *work) {
    weir_error err = {0};
    weir_registry_listing *listing = NULL;
    if (weir_registry_list(&listing, work->registry, &err) != WEIR_OK) {
        return session_fail(&work->session, &err);
    }
    return write_listing(work, listing);
}

static exit_status choose(registry_work *work, const char *which) {
    weir_error err = {0};
    if (weir_registry_find(&work->choices[work->choice_count].row, work->registry, which, &err) !=
        WEIR_OK) {
        return session_fail(&work->session, &err);
    }
    work->choice_count++;
    return EXIT_DONE;
}

/* All are found before anything is done. */
static exit_status choose_all(registry_work *work, size_t count) {
    exit_status status = EXIT_DONE;
    for (size_t i = 0; i < count && status == EXIT_DONE; i++) {
        status = choose(work, work->operands[i]);
    }
    return status;
}

static exit_status run_show(registry_work *work) {
    const exit_status status = choose_all(work, work->operand_count);
    return status == EXIT_DONE ? write_choices(work, WEIR_REGISTRY_SHOW) : status;
}

static exit_status run_remove(registry_work *work) {
    const char *reason = work->call->reason ? work->call->reason : "no reason given";
    exit_status status = choose_all(work, work->operand_count);
    size_t removed = 0;
    while (status == EXIT_DONE && removed < work->choice_count) {
        weir_error err = {0};
        if (weir_registry_remove(work->registry, work->choices[removed].row, reason, &err) !=
            WEIR_OK) {
            status = session_fail(&work->session, &err);
        } else {
            removed++;
        }
    }
    if (removed > 0 && status == EXIT_DONE) {
        status = write_choices(work, WEIR_REGISTRY_REMOVE);
    }
    return status;
}

static exit_status run_export(registry_work *work) {
    weir_error err = {0};
    exit_status status = choose_all(work, 1);
    if (status != EXIT_DONE) {
        return status;
    }
    if (weir_registry_export(work->registry, work->choices[0].row, work->exported.stream, &err) !=
        WEIR_OK) {
        return session_fail(&work->session, &err);
    }
    status = out_file_commit(&work->exported, work->call);
    return status == EXIT_DONE ? write_choices(work, WEIR_REGISTRY_EXPORT) : status;
}

static exit_status run_verify(registry_work *work) {
    weir_error err = {0};
    weir_registry_listing *listing = NULL;
    if (weir_registry_verify(&listing, work->registry, &work->session.callbacks, &err) != WEIR_OK) {
        return session_fail(&work->session, &err);
    }
    const bool is_damaged = weir_registry_listing_problem_count(listing) > 0;
    const exit_status status = write_listing(work, listing);
    return status == EXIT_DONE && is_damaged ? EXIT_ANSWER_NO : status;
}

typedef struct registry_action {
    const char *name;
    const char *operands;
    size_t operands_min;
    size_t operands_max;
    bool adds;
    exit_status (*run)(registry_work *work);
} registry_action;

static const registry_action actions[] = {
    {"add", "MODEL...", 1, OPERANDS_MAX, true, run_add},
    {"list", "", 0, 0, false, run_list},
    {"show", "NAME...", 1, OPERANDS_MAX, false, run_show},
    {"remove", "NAME...", 1, OPERANDS_MAX, false, run_remove},
    {"export", "NAME FILE", 2, 2, false, run_export},
    {"verify", "", 0, 0, false, run_verify},
};

static const registry_action *find_action(const char *name) {
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
        if (strcmp(actions[i].name, name) == 0) {
            return &actions[i];
        }
    }
    return NULL;
}

static exit_status check_call(const registry_action *action, const registry_work *work) {
    const invocation *call = work->call;
    if (work->operand_count < action->operands_min) {
        return failure_of_usage(call->command, "registry %s needs %s", action->name,
                                action->operands);
    }
    if (work->operand_count > action->operands_max) {
        return failure_of_usage(call->command, "one argument too many: '%s'",
                                work->operands[action->operands_max]);
    }
    if ((call->name || call->digest || call->lenient) && !action->adds) {
        return failure_of_usage(call->command, "%s is for registry add",
                                call->name     ? "--name"
                                : call->digest ? "--digest"
                                               : "--lenient");
    }
    if (call->name && work->operand_count > 1) {
        return failure_of_usage(call->command, "--name is for one model");
    }
    if (call->reason && action->run != run_remove) {
        return failure_of_usage(call->command, "--reason is for registry remove");
    }
    return EXIT_DONE;
}

/* Between the opening of the registry and its closing. */
static exit_status run_action(registry_work *work, const registry_action *action,
                              const registry_place *place) {
    const weir_registry_options options = {
        .create = action->adds,
        .scratch = place->scratch[0] ? place->scratch : NULL,
    };
    weir_error err = {0};
    work->choices = calloc(work->operand_count + 1, sizeof *work->choices);
    if (!work->choices) {
        return failure_of_memory(work->call);
    }
    if (weir_registry_open(&work->registry, place->path, &options, &err) != WEIR_OK) {
        return session_fail(&work->session, &err);
    }
    return action->run(work);
}

static exit_status run_in_session(registry_work *work, const registry_action *action) {
    static registry_place place; /* large: not on the stack */
    session_places places = {0};
    exit_status status = registry_place_find(&place, work->call, action->adds);
    if (status != EXIT_DONE) {
        return status;
    }
    registry_place_allow(&places, &place);
    if (action->adds) {
        places.inputs = work->operands;
        places.input_count = work->operand_count;
    }
    places.file = work->exported.temporary[0] ? work->exported.path : NULL;
    status = session_begin_in(&work->session, work->call, &places);
    if (status != EXIT_DONE) {
        return status;
    }
    status = run_action(work, action, &place);
    weir_registry_free(work->registry);
    free(work->choices);
    return session_end(&work->session, status);
}

exit_status cmd_registry(const invocation *call) {
    static registry_work work; /* large: not on the stack */
    const registry_action *action = find_action(call->operands[0]);
    if (!action) {
        return failure_of_usage(call->command, "no action '%s'; there is: %s", call->operands[0],
                                call->command->completes);
    }
    work = (registry_work){
        .call = call,
        .operands = call->operands + 1,
        .operand_count = call->operand_count - 1,
    };
    exit_status status = check_call(action, &work);
    if (status == EXIT_DONE && action->run == run_export) {
        const output_spec spec = {.path = work.operands[1]};
        status = out_file_open(&work.exported, call, &spec);
    }
    if (status != EXIT_DONE) {
        return status;
    }
    status = run_in_session(&work, action);
    out_file_discard(&work.exported);
    return status;
}
