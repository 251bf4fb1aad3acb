/* SPDX-License-Identifier: Apache-2.0 */
#include "synthetic_models.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

const char *const derivative_names[DERIVATIVE_COUNT] = {
    [DERIVATIVE_CAST] = "cast",
    [DERIVATIVE_QUANTISED] = "quantised",
    [DERIVATIVE_FINE_TUNED] = "fine-tuned .95",
    [DERIVATIVE_PRETRAINED] = "pretrained on .7",
    [DERIVATIVE_PRETRAINED_FAR] = "pretrained on .3",
    [DERIVATIVE_PRUNED] = "half of the layers",
    [DERIVATIVE_PRUNED_FAR] = "half of the layers .3",
    [DERIVATIVE_SHUFFLED] = "layers shuffled",
    [DERIVATIVE_UPSCALED] = "layers duplicated",
    [DERIVATIVE_MERGED] = "merged",
    [DERIVATIVE_PASSTHROUGH] = "layers of two families",
    [DERIVATIVE_UPCYCLED] = "upcycled to experts",
    [DERIVATIVE_ROTATED] = "rotated",
    [DERIVATIVE_NARROWED] = "other width",
};

typedef struct architecture {
    uint32_t hidden, layers;
    unsigned weight; /* families of 100 */
    bool has_gate, has_tokens;
} architecture;

static const architecture architectures[] = {
    {4096, 32, 35, true, true}, {2048, 24, 14, true, true}, {5120, 40, 10, true, true},
    {3584, 28, 10, true, true}, {1536, 28, 8, true, true},  {896, 24, 7, true, true},
    {2560, 32, 4, true, true},  {8192, 80, 4, true, true},  {768, 12, 5, false, true},
    {4096, 32, 3, true, false},
};

/* Seeds of what a model's bits depend on. */
enum { SEED_FAMILY = 1, SEED_KIND, SEED_ROOT, SEED_CHILD, SEED_PARENT };

static uint64_t seed_of(const population *of, unsigned what, uint64_t number) {
    return hash_mix(hash_mix(of->seed * 8 + what) ^ number);
}

static double uniform(uint64_t *state) {
    return (double)(hash_next(state) >> 11) * 0x1p-53;
}

static bool is_all_strangers(const population *of) {
    return of->families == 0;
}

uint64_t synthetic_family(const population *of, uint64_t entry) {
    uint64_t state = seed_of(of, SEED_FAMILY, entry);
    return is_all_strangers(of) ? entry
                                : (uint64_t)exp(uniform(&state) * log((double)of->families)) - 1;
}

static const architecture *architecture_of(const population *of, uint64_t family) {
    unsigned left = (unsigned)(seed_of(of, SEED_KIND, family) % 100);
    const architecture *at = architectures;
    while (!is_all_strangers(of) && left >= at->weight) {
        left -= (at++)->weight;
    }
    return at;
}

/* 64 bits, each set with probability p, to 16 binary places. */
static uint64_t sparse_bits(uint64_t *state, uint32_t p16) {
    uint64_t bits = 0;
    for (uint32_t place = (uint32_t)__builtin_ctz(p16 | 1 << 16); place < 16; place++) {
        const uint64_t random = hash_next(state);
        bits = p16 >> place & 1 ? bits | random : bits & random;
    }
    return bits;
}

static void flip(uint64_t *words, size_t count, uint64_t *state, uint32_t p16) {
    for (size_t i = 0; i < count && p16 > 0; i++) {
        words[i] ^= sparse_bits(state, p16);
    }
}

/* The first four binary digits: a few random words fewer for a probability within 6%. */
static uint32_t four_digits(uint32_t number) {
    const int surplus = number > 15 ? 28 - __builtin_clz(number) : 0;
    return (number + (surplus ? 1u << (surplus - 1) : 0)) >> surplus << surplus;
}

static void flip_block(sketch_block *block, uint64_t *state, double cosine) {
    const uint32_t p16 = four_digits((uint32_t)lround(acos(cosine) / acos(-1.0) * 65536));
    flip((uint64_t *)block->up, BLOCK_UNITS * UNIT_CODE_WORDS, state, p16);
    if (block->has_gate) {
        flip((uint64_t *)block->gate, BLOCK_UNITS * UNIT_CODE_WORDS, state, p16);
    }
    if (block->has_tokens) {
        flip((uint64_t *)block->token, BLOCK_UNITS * TOKEN_CODE_WORDS, state, p16);
    }
}

static void make_root_block(sketch_block *block, uint64_t *state, const architecture *shape) {
    block->has_gate = shape->has_gate;
    block->has_tokens = shape->has_tokens;
    for (size_t unit = 0; unit < BLOCK_UNITS; unit++) {
        for (size_t i = 0; i < UNIT_CODE_WORDS; i++) {
            block->up[unit][i] = hash_next(state);
            block->gate[unit][i] = shape->has_gate ? hash_next(state) : 0;
        }
        for (size_t i = 0; i < TOKEN_CODE_WORDS; i += 2) {
            const uint64_t coins = hash_next(state) & 0xFFFFFFFF;
            const uint64_t seen = coins | coins << 32;
            block->token[unit][i] = shape->has_tokens ? seen ^ sparse_bits(state, 13107) : 0;
            block->token[unit][i + 1] = shape->has_tokens ? seen ^ sparse_bits(state, 13107) : 0;
        }
    }
}

static void number_blocks(fingerprint *model) {
    for (size_t i = 0; i < model->block_count; i++) {
        model->blocks[i].layer = (int32_t)i;
        model->blocks[i].expert = EXPERT_NONE;
        model->blocks[i].valid = 0xFFFF;
    }
    model->layers = (uint32_t)model->block_count;
}

static void make_root(fingerprint *out, const population *of, uint64_t family) {
    const architecture *shape = architecture_of(of, family);
    uint64_t state = seed_of(of, SEED_ROOT, family);
    out->hidden = shape->hidden;
    out->has_tokens = shape->has_tokens;
    out->block_count = shape->layers;
    memset(out->token_tags, shape->has_tokens ? 7 : 0, sizeof out->token_tags);
    for (size_t i = 0; i < out->block_count; i++) {
        make_root_block(&out->blocks[i], &state, shape);
    }
    number_blocks(out);
}

static void flip_all(fingerprint *model, uint64_t *state, double cosine) {
    for (size_t i = 0; i < model->block_count && cosine < 1; i++) {
        flip_block(&model->blocks[i], state, cosine);
    }
}

static void drop_layers(fingerprint *model, size_t first, size_t count) {
    const size_t rest = model->block_count - first - count;
    memmove(&model->blocks[first], &model->blocks[first + count], rest * sizeof *model->blocks);
    model->block_count -= count;
    number_blocks(model);
}

/* The cosine of one step from a model to a member made of it; 0: layers are lost, a share of up to
 * half. */
static double draw_cosine(double *place, uint64_t *state) {
    static const struct {
        double below, from, to;
    } kinds[] = {{.03, 1, 1}, {.38, .995, 1}, {.83, .998, 1}, {.95, .9, .99}, {.98, .3, .9}};
    const double kind = uniform(state);
    *place = uniform(state);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (kind < kinds[i].below) {
            /* Cosines are near 1 rather than spread evenly. */
            return kinds[i].to - (kinds[i].to - kinds[i].from) * *place * *place;
        }
    }
    return 0;
}

static void change(fingerprint *model, uint64_t *state) {
    double place;
    const double cosine = draw_cosine(&place, state);
    if (cosine > 0) {
        flip_all(model, state, cosine);
        return;
    }
    const size_t lost = 1 + (size_t)(place * (double)(model->block_count / 2));
    drop_layers(model, (model->block_count - lost) / 2, lost);
    flip_all(model, state, .99);
}

void synthetic_entry(fingerprint *out, const population *of, uint64_t entry) {
    const uint64_t family = synthetic_family(of, entry);
    make_root(out, of, family);
    if (is_all_strangers(of)) {
        return;
    }
    uint64_t state = seed_of(of, SEED_CHILD, entry);
    if (hash_next(&state) & 1) {
        /* One of so many intermediate models, each with children of its own. */
        uint64_t parent = seed_of(of, SEED_PARENT, family * 4096 + hash_next(&state) % 64);
        change(out, &parent);
    }
    change(out, &state);
}

static double correlation_of(double cosine) {
    return 1 - 2 * acos(cosine) / acos(-1.0);
}

static void change_code(hot_code *code, uint64_t *state) {
    double place;
    const double cosine = draw_cosine(&place, state);
    const double r =
        cosine > 0 ? correlation_of(cosine) : correlation_of(.99) * sqrt(1 - place / 2);
    const uint32_t p16 = four_digits((uint32_t)lround(acos(r) / acos(-1.0) * 65536));
    flip(code->unit, code->has_gate ? HOT_UNIT_WORDS : HOT_UNIT_WORDS / 2, state, p16);
    flip(code->token, code->has_token ? HOT_TOKEN_WORDS : 0, state, p16);
}

void synthetic_code(hot_code *out, const population *of, uint64_t entry) {
    const uint64_t family = synthetic_family(of, entry);
    const architecture *shape = architecture_of(of, family);
    uint64_t root = seed_of(of, SEED_ROOT, family);
    *out = (hot_code){.hidden = shape->hidden,
                      .has_unit = true,
                      .has_gate = shape->has_gate,
                      .has_token = shape->has_tokens};
    for (size_t i = 0; i < HOT_UNIT_WORDS; i++) {
        out->unit[i] = shape->has_gate || i < HOT_UNIT_WORDS / 2 ? hash_next(&root) : 0;
    }
    for (size_t i = 0; i < HOT_TOKEN_WORDS && shape->has_tokens; i++) {
        out->token[i] = hash_next(&root);
    }
    uint64_t state = seed_of(of, SEED_CHILD, entry);
    if (!is_all_strangers(of) && hash_next(&state) & 1) {
        uint64_t parent = seed_of(of, SEED_PARENT, family * 4096 + hash_next(&state) % 64);
        change_code(out, &parent);
    }
    if (!is_all_strangers(of)) {
        change_code(out, &state);
    }
}

/* Two independent normal numbers [Box, Muller 1958]. */
static void normal_pair(double out[2], uint64_t *state) {
    const double radius = sqrt(-2 * log(1 - uniform(state)));
    const double angle = 2 * acos(-1.0) * uniform(state);
    out[0] = radius * cos(angle);
    out[1] = radius * sin(angle);
}

/* The sum of which only the sign is known: a normal number of that sign. */
static double sum_behind(const uint64_t *words, size_t bit, double normal) {
    return words[bit / 64] >> bit % 64 & 1 ? fabs(normal) : -fabs(normal);
}

static void derive_bits(uint64_t *planes[3], const uint64_t *parent, const uint64_t *second,
                        size_t bits, double r, uint64_t *state) {
    const double rest = sqrt(1 - r * r * (second ? 2 : 1));
    for (size_t bit = 0; bit < bits; bit++) {
        double normals[4];
        normal_pair(normals, state);
        normal_pair(normals + 2, state);
        double sum = r * sum_behind(parent, bit, normals[0]) + rest * normals[1];
        sum += second ? r * sum_behind(second, bit, normals[2]) : 0;
        const double level = fabs(sum) / .651;
        const uint64_t weight = level >= 2.5 ? 3 : level >= 1.5 ? 2 : level >= .5 ? 1 : 0;
        planes[0][bit / 64] |= (uint64_t)(sum > 0) << bit % 64;
        planes[1][bit / 64] |= (weight & 1) << bit % 64;
        planes[2][bit / 64] |= (weight >> 1) << bit % 64;
    }
}

void synthetic_code_derive(hot_code *out, const hot_code *parent, const hot_code *second, double r,
                           uint64_t seed) {
    uint64_t state = hash_mix(seed);
    *out = (hot_code){.hidden = parent->hidden,
                      .has_unit = true,
                      .has_gate = parent->has_gate,
                      .has_token = parent->has_token};
    derive_bits((uint64_t *[]){out->unit, out->unit_low, out->unit_high}, parent->unit,
                second ? second->unit : NULL, parent->has_gate ? 4096 : 2048, r, &state);
    derive_bits((uint64_t *[]){out->token, out->token_low, out->token_high}, parent->token,
                second ? second->token : NULL, parent->has_token ? 2048 : 0, r, &state);
}

fingerprint *synthetic_new(void) {
    fingerprint *model = calloc(1, sizeof *model);
    if (model) {
        model->blocks = calloc(SYNTHETIC_BLOCKS_MAX, sizeof *model->blocks);
    }
    if (!model || !model->blocks) {
        abort();
    }
    memset(model->tokenizer, 0xFF, sizeof model->tokenizer);
    return model;
}

void synthetic_free(fingerprint *model) {
    free(model->blocks);
    free(model);
}

static void keep_every_other(fingerprint *model) {
    for (size_t i = 0; i < model->block_count / 2; i++) {
        model->blocks[i] = model->blocks[2 * i];
    }
    model->block_count /= 2;
    number_blocks(model);
}

static void shuffle(fingerprint *model, uint64_t *state) {
    for (size_t i = model->block_count; i > 1; i--) {
        const size_t j = hash_next(state) % i;
        const sketch_block kept = model->blocks[i - 1];
        model->blocks[i - 1] = model->blocks[j];
        model->blocks[j] = kept;
    }
    number_blocks(model);
}

static void duplicate_middle(fingerprint *model) {
    const size_t quarter = model->block_count / 4;
    const size_t end = 3 * quarter;
    memmove(&model->blocks[end + 2 * quarter], &model->blocks[end],
            (model->block_count - end) * sizeof *model->blocks);
    memcpy(&model->blocks[end], &model->blocks[quarter], 2 * quarter * sizeof *model->blocks);
    model->block_count += 2 * quarter;
    number_blocks(model);
}

static void upcycle(fingerprint *model, uint64_t *state) {
    const size_t layers = model->block_count;
    for (size_t i = layers; i-- > 0;) {
        const sketch_block kept = model->blocks[i];
        for (size_t expert = 0; expert < 4; expert++) {
            sketch_block *block = &model->blocks[4 * i + expert];
            *block = kept;
            block->layer = (int32_t)i;
            block->expert = (int32_t)expert;
            flip_block(block, state, .9);
        }
    }
    model->block_count *= 4;
}

/* Where two rows differ in sign, their mean has the sign of either. */
static void mix(uint64_t *words, const uint64_t *others, size_t count, uint64_t *state) {
    for (size_t i = 0; i < count; i++) {
        const uint64_t which = hash_next(state);
        words[i] = (words[i] & which) | (others[i] & ~which);
    }
}

static void merge(fingerprint *model, const fingerprint *other, uint64_t *state) {
    for (size_t i = 0; i < model->block_count && i < other->block_count; i++) {
        sketch_block *to = &model->blocks[i];
        const sketch_block *from = &other->blocks[i];
        mix((uint64_t *)to->up, (const uint64_t *)from->up, BLOCK_UNITS * UNIT_CODE_WORDS, state);
        mix((uint64_t *)to->gate, (const uint64_t *)from->gate, BLOCK_UNITS * UNIT_CODE_WORDS,
            state);
        mix((uint64_t *)to->token, (const uint64_t *)from->token, BLOCK_UNITS * TOKEN_CODE_WORDS,
            state);
    }
}

static void scramble_units(fingerprint *model, uint64_t *state) {
    for (size_t i = 0; i < model->block_count; i++) {
        sketch_block *block = &model->blocks[i];
        for (size_t j = 0; j < BLOCK_UNITS * UNIT_CODE_WORDS; j++) {
            block->up[j / UNIT_CODE_WORDS][j % UNIT_CODE_WORDS] = hash_next(state);
            block->gate[j / UNIT_CODE_WORDS][j % UNIT_CODE_WORDS] =
                block->has_gate ? hash_next(state) : 0;
        }
    }
}

/* The second parent: of the same family, or of another of the same width and parts. */
static bool find_second(uint64_t *out, derivative kind, const population *of, uint64_t parent,
                        uint64_t *state) {
    const uint64_t family = synthetic_family(of, parent);
    const architecture *shape = architecture_of(of, family);
    for (size_t tried = 0; tried < 10000; tried++) {
        const uint64_t other = hash_next(state) % of->entries;
        const uint64_t its = synthetic_family(of, other);
        const bool fits = kind == DERIVATIVE_MERGED
                              ? its == family && other != parent
                              : its != family && architecture_of(of, its) == shape;
        if (fits) {
            *out = other;
            return true;
        }
    }
    return false;
}

static bool combine(fingerprint *model, uint64_t *second_parent, derivative kind,
                    const population *of, uint64_t parent, uint64_t *state) {
    if (!find_second(second_parent, kind, of, parent, state)) {
        return false;
    }
    fingerprint *other = synthetic_new();
    synthetic_entry(other, of, *second_parent);
    const bool is_alike = other->block_count == model->block_count;
    if (kind == DERIVATIVE_MERGED) {
        merge(model, other, state);
    } else {
        for (size_t i = model->block_count / 2; is_alike && i < model->block_count; i++) {
            model->blocks[i] = other->blocks[i];
        }
        number_blocks(model);
    }
    synthetic_free(other);
    return is_alike;
}

bool synthetic_second(uint64_t *out, const population *of, uint64_t parent, uint64_t seed) {
    uint64_t state = hash_mix(seed);
    return find_second(out, DERIVATIVE_PASSTHROUGH, of, parent, &state);
}

bool synthetic_derive(fingerprint *out, uint64_t *second_parent, derivative kind,
                      const population *of, uint64_t parent, uint64_t seed) {
    static const double cosines[DERIVATIVE_COUNT] = {
        [DERIVATIVE_CAST] = .99999,       [DERIVATIVE_QUANTISED] = .995,
        [DERIVATIVE_FINE_TUNED] = .95,    [DERIVATIVE_PRETRAINED] = .7,
        [DERIVATIVE_PRETRAINED_FAR] = .3, [DERIVATIVE_PRUNED] = .95,
        [DERIVATIVE_PRUNED_FAR] = .3,     [DERIVATIVE_SHUFFLED] = .95,
        [DERIVATIVE_UPSCALED] = .95,      [DERIVATIVE_MERGED] = 1,
        [DERIVATIVE_PASSTHROUGH] = .99,   [DERIVATIVE_UPCYCLED] = 1,
        [DERIVATIVE_ROTATED] = .95,       [DERIVATIVE_NARROWED] = .8,
    };
    uint64_t state = hash_mix(seed * DERIVATIVE_COUNT + kind);
    *second_parent = parent;
    synthetic_entry(out, of, parent);
    bool can = true;
    if (kind == DERIVATIVE_PRUNED || kind == DERIVATIVE_PRUNED_FAR) {
        keep_every_other(out);
    } else if (kind == DERIVATIVE_SHUFFLED) {
        shuffle(out, &state);
    } else if (kind == DERIVATIVE_UPSCALED) {
        duplicate_middle(out);
    } else if (kind == DERIVATIVE_MERGED || kind == DERIVATIVE_PASSTHROUGH) {
        can = combine(out, second_parent, kind, of, parent, &state);
    } else if (kind == DERIVATIVE_UPCYCLED) {
        upcycle(out, &state);
    } else if (kind == DERIVATIVE_ROTATED || kind == DERIVATIVE_NARROWED) {
        can = out->has_tokens;
        scramble_units(out, &state);
        out->hidden += kind == DERIVATIVE_NARROWED ? 8 : 0;
    }
    flip_all(out, &state, cosines[kind]);
    return can;
}
