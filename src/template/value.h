/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file value.h  What a template computes with: Python's values, as far as templates use them.
 *
 * Values never change once they are made, as in a sandbox that is immutable; only a namespace, an
 * iterator and a loop do. All of them live in the arena of one rendering, and the bytes of texts
 * are counted against its limits.
 */
#ifndef WEIR_TEMPLATE_VALUE_H
#define WEIR_TEMPLATE_VALUE_H

#include "base/text.h"
#include "template/syntax.h"

typedef enum value_kind {
    VALUE_UNDEFINED,
    VALUE_NONE,
    VALUE_BOOL,
    VALUE_INTEGER,
    VALUE_FLOAT,
    VALUE_STRING,
    VALUE_LIST,
    VALUE_TUPLE,
    VALUE_RANGE,    /**< range(); its items are in `list` */
    VALUE_VIEW,     /**< dict.items(), keys(), values(); its items are in `list` */
    VALUE_ITERATOR, /**< a generator; its items are in `list`, and are used up by reading */
    VALUE_DICT,
    VALUE_NAMESPACE,
    VALUE_LOOP,
    VALUE_MACRO,
    VALUE_FUNCTION, /**< of the engine, by name */
    VALUE_METHOD,   /**< of a text, dict or list, by name */
} value_kind;

typedef struct datum {
    value_kind kind;
    bool is_safe; /**< a STRING that came out of the filter safe */
    union {
        bool truth;
        int64_t integer;
        double real;
        size_t len;              /**< of text */
        struct value_list *list; /**< LIST to ITERATOR */
        struct value_dict *dict; /**< DICT, NAMESPACE */
        struct value_loop *loop;
        struct value_macro *macro;
        const struct datum *receiver; /**< METHOD */
    };
    const char *text; /**< STRING; FUNCTION and METHOD: name; UNDEFINED: what was asked for */
} datum;

typedef struct value_list {
    datum *items;
    size_t count;
    size_t capacity;
    uint32_t depth;  /**< levels of lists and dicts inside */
    bool is_used_up; /**< ITERATOR */
} value_list;

typedef struct value_dict {
    datum *keys;
    datum *values;
    size_t count;
    size_t capacity;
    uint32_t depth; /**< levels of lists and dicts inside */
} value_dict;

typedef struct value_loop {
    const value_list *items;
    size_t index;         /**< from 0 */
    const datum *changed; /**< what loop.changed() was given last, or NULL */
} value_loop;

struct scope;
typedef struct value_macro {
    const template_node *node; /**< NODE_MACRO, NODE_CALL_BLOCK or NODE_GENERATION */
    struct scope *scope;       /**< where it was defined */
} value_macro;

static inline datum value_none(void) {
    return (datum){.kind = VALUE_NONE};
}
static inline datum value_bool(bool truth) {
    return (datum){.kind = VALUE_BOOL, .truth = truth};
}
static inline datum value_integer(int64_t integer) {
    return (datum){.kind = VALUE_INTEGER, .integer = integer};
}
static inline datum value_float(double real) {
    return (datum){.kind = VALUE_FLOAT, .real = real};
}
/** Borrows the bytes. */
static inline datum value_string(const char *text, size_t len) {
    return (datum){.kind = VALUE_STRING, .text = text, .len = len};
}

/** Whether the value has its items in `list`. */
bool value_has_items(const datum *of);
bool value_is_number(const datum *of); /**< bool, integer or float */
double value_real(const datum *of);    /**< of a number */
bool value_is_text(const datum *of, const char *text);
/** What Python's bool() says. */
bool value_is_true(const datum *of);
/** What == says. @param steps counted up by the work done */
bool value_is_equal(const datum *a, const datum *b, uint64_t *steps);
/** @return levels of lists and dicts: 0 for a text, 1 for a list of texts. */
uint32_t value_depth(const datum *of);
/** @return the place of a key, or the dict's count. */
size_t value_dict_find(const value_dict *dict, const datum *key, uint64_t *steps);

/* Made in an arena; false without memory. */
bool value_list_new(arena *memory, datum *out, value_kind kind, size_t capacity);
bool value_list_add(arena *memory, value_list *list, const datum *item);
bool value_dict_new(arena *memory, datum *out);
/** Set a key to a value, in place or at the end. */
bool value_dict_set(arena *memory, value_dict *dict, const datum *key, const datum *item,
                    uint64_t *steps);
bool value_dict_set_name(arena *memory, value_dict *dict, const char *name, datum item);

typedef enum value_style {
    VALUE_STR,  /**< str(): texts as they are */
    VALUE_REPR, /**< repr(): texts in quotes */
    VALUE_JSON, /**< json.dumps() */
} value_style;

typedef struct value_json_style {
    int indent; /**< -1: on one line */
    bool sorts_keys;
    bool is_ascii;
    const char *item_separator; /**< NULL for Python's */
    const char *key_separator;
} value_json_style;

/**
 * Append a value as Python would write it.
 * @param[out] what  set on failure: what cannot be written
 * @return WEIR_OK; WEIR_ERR_FORMAT where Python fails too; WEIR_ERR_UNSUPPORTED
 */
weir_code value_write(text_buffer *out, const datum *of, value_style style,
                      const value_json_style *json, const char **what);

/** Read a JSON text into a value. @return WEIR_OK; WEIR_ERR_FORMAT; WEIR_ERR_LIMIT; WEIR_ERR_NOMEM
 */
weir_code value_from_json(datum *out, arena *memory, const char *text, size_t len, weir_error *err);

#endif
