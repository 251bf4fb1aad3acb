/* SPDX-License-Identifier: Apache-2.0 */
/** @file machine.h  What the parts of the renderer share: the state of one rendering. */
#ifndef WEIR_TEMPLATE_MACHINE_H
#define WEIR_TEMPLATE_MACHINE_H

#include "base/fail.h"
#include "base/limits.h"
#include "template/render.h"

typedef struct binding {
    const char *name;
    size_t len;
    datum held;
    struct binding *next;
} binding;

typedef struct scope {
    struct scope *parent;
    binding *bindings;
} scope;

typedef struct machine {
    arena *memory;
    size_t memory_bytes_max; /* of memory->bytes */
    uint64_t steps;
    size_t written; /* bytes of all texts written so far, block texts too */
    uint32_t depth;
    const template_date *date;
    text_buffer *out;  /* what is written to now */
    bool filters_loop; /* inside a loop's filter, which Jinja runs between the rounds */
    enum { FLOW_ON, FLOW_BREAK, FLOW_CONTINUE } flow;
    template_outcome outcome;
    uint32_t line; /* of the part at hand */
    char message[192];
} machine;

/* Functions here and in the parts return WEIR_OK, or the code with which the rendering stops;
 * machine_stop() has then noted outcome, line and message. */

__attribute__((format(printf, 3, 4))) void machine_note(machine *on, template_outcome outcome,
                                                        const char *message, ...);
/* Note why the rendering stops. A macro, as weir_fail is one: the compiler sees that it fails. */
/* NOLINTNEXTLINE(readability-identifier-naming): it is called, and reads, as a function. */
#define machine_stop(on, outcome, ...)                                                             \
    (machine_note((on), (outcome), __VA_ARGS__), (weir_code)WEIR_ERR_FORMAT)
static inline weir_code machine_nomem(machine *on) {
    on->outcome = TEMPLATE_NOT_RENDERED;
    return WEIR_ERR_NOMEM;
}
/** Count `steps` of work. */
weir_code machine_count(machine *on, uint64_t steps);
weir_code machine_count_bytes(machine *on, size_t bytes);
/** Count one level of nesting and the work of one part. Undo with machine_leave(). */
weir_code machine_enter(machine *on, const template_node *node);
void machine_leave(machine *on);

weir_code machine_text(machine *on, datum *out, const char *bytes, size_t len);
weir_code machine_take_buffer(machine *on, datum *out, const text_buffer *text);
weir_code machine_list(machine *on, datum *out, value_kind kind, size_t capacity);
weir_code machine_add(machine *on, const datum *list, const datum *item);
weir_code machine_dict(machine *on, datum *out);
weir_code machine_set(machine *on, const datum *dict, const datum *key, const datum *item);

/** str() of a value: itself when it is a text. */
weir_code machine_str(machine *on, datum *out, const datum *of);
weir_code machine_write(machine *on, const datum *of); /**< to the output */
weir_code machine_write_bytes(machine *on, const char *bytes, size_t len);

/** What a for loop goes over. The list is shared unless it had to be made; an iterator is used up.
 */
weir_code machine_items(machine *on, datum *out, const datum *of, const char *reader);
weir_code machine_needs_text(machine *on, const datum *of, const char *reader);

scope *machine_scope(machine *on, scope *parent); /**< NULL without memory */
weir_code scope_set(machine *on, scope *in, const char *name, size_t len, const datum *to);

/* Arguments of a call, a filter or a test. */
typedef struct arguments {
    const datum *items;
    size_t count;
    const datum *names; /* texts */
    const datum *named;
    size_t named_count;
} arguments;

/** @return argument `index` or that of this name, or NULL. */
const datum *argument(const arguments *of, size_t index, const char *name);
/** Stop unless there are at most `most` arguments by place and only these names. */
weir_code arguments_check(machine *on, const arguments *of, size_t least, size_t most,
                          const char *const *names, const char *callee);

/* The parts. `env` is the scope of names. */
weir_code evaluate(machine *on, scope *env, const template_node *node, datum *out);
weir_code evaluate_filled(machine *on, scope *env, const template_node *node, const datum *hole,
                          datum *out);
weir_code execute(machine *on, scope *env, const template_node *body);
weir_code execute_to_text(machine *on, scope *env, const template_node *body, datum *out);
weir_code operate(machine *on, const template_node *node, const datum *left, const datum *right,
                  datum *out);
weir_code compare_values(machine *on, const char *operation, size_t len, const datum *left,
                         const datum *right, bool *out);
weir_code order_values(machine *on, const datum *left, const datum *right, int *out);
weir_code is_inside(machine *on, const datum *item, const datum *container, bool *out);
weir_code get_attribute(machine *on, const datum *object, const char *name, size_t len, datum *out);
weir_code get_item(machine *on, const datum *object, const datum *index, datum *out);
weir_code get_slice(machine *on, const datum *object, const datum bounds[3], datum *out);
weir_code call_value(machine *on, const datum *callee, const arguments *with, datum *out);
weir_code call_macro(machine *on, const value_macro *macro, const arguments *with, datum *out);
weir_code call_function(machine *on, const char *name, const arguments *with, datum *out);
weir_code call_method(machine *on, const datum *receiver, const char *name, const arguments *with,
                      datum *out);
bool find_function(const char *name, size_t len, datum *out);
bool find_method(const datum *receiver, const char *name, size_t len, const char **out);
weir_code apply_filter(machine *on, const char *name, size_t len, const datum *input,
                       const arguments *with, datum *out);
weir_code apply_test(machine *on, const char *name, size_t len, const datum *input,
                     const arguments *with, bool *out);
weir_code format_date(machine *on, const datum *format, datum *out);

/* Text work that methods and filters share. */
weir_code text_strip(machine *on, const datum *of, const datum *characters, bool front, bool back,
                     datum *out);
weir_code text_replace(machine *on, const datum *of, const datum *old, const datum *fresh,
                       int64_t limit, datum *out);
weir_code text_map(machine *on, const datum *of, const char *how, datum *out);
weir_code text_join(machine *on, const datum *separator, const datum *list, bool is_filter,
                    datum *out);

#endif
