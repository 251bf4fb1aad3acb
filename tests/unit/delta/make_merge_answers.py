# SPDX-License-Identifier: Apache-2.0
"""Small merges by mergekit, as the table that test_merge_rule.c compares with.

usage: make_merge_answers.py > merge_answers.h      needs torch and mergekit
"""

from __future__ import annotations

from typing import Any

import torch
from mergekit.merge_methods.api import merge_tensors

COUNT = 24
WEIGHTS, DENSITIES = [0.7, 0.3], [0.5, 0.75]

# name, method, computed, is the base an input, parameters, C fields of the recipe
CASES: list[tuple[str, str, bool, dict[str, Any], str]] = [
    ("linear", "linear", False, {"weight": WEIGHTS}, ".is_normalised = true"),
    ("linear unnormalised", "linear", False, {"weight": WEIGHTS, "normalize": False}, ""),
    ("task arithmetic", "task_arithmetic", True, {"weight": WEIGHTS}, ""),
    ("task arithmetic, lambda", "task_arithmetic", True, {"weight": WEIGHTS, "lambda": 0.8},
     ".lambda = 0.8"),
    ("ties", "ties", True, {"weight": WEIGHTS, "density": DENSITIES}, ".is_normalised = true"),
    ("ties unnormalised", "ties", True, {"weight": WEIGHTS, "density": DENSITIES, "normalize": False}, ""),
    ("breadcrumbs", "breadcrumbs", True, {"weight": WEIGHTS, "density": DENSITIES, "gamma": 0.125},
     ".gamma = 0.125"),
    ("breadcrumbs ties", "breadcrumbs_ties", True,
     {"weight": WEIGHTS, "density": DENSITIES, "gamma": 0.125}, ".gamma = 0.125"),
    ("slerp", "slerp", False, {"t": 0.3}, ""),
    ("nuslerp", "nuslerp", False, {"weight": WEIGHTS}, ""),
    ("nuslerp on the base", "nuslerp", True, {"weight": WEIGHTS}, ".is_on_base = true"),
    ("model stock", "model_stock", True, {}, ""),
    ("sce", "sce", True, {"select_topk": 0.5}, ""),
    ("karcher", "karcher", False, {}, ""),
    ("multislerp", "multislerp", False, {"weight": WEIGHTS}, ""),
    ("multislerp on the base", "multislerp", True, {"weight": WEIGHTS}, ".is_on_base = true"),
    ("nearswap", "nearswap", False, {"t": 0.01}, ".lambda = 0.01"),
    ("ram", "ram", True, {}, ""),
    ("ram plus", "ramplus_tl", True, {}, ""),
]
ENUMS = {"ramplus_tl": "MERGE_RAM_PLUS"}


def bits(tensor: torch.Tensor) -> str:
    numbers = tensor.to(torch.bfloat16).view(torch.int16).tolist()
    lines = [", ".join(f"0x{number & 0xFFFF:04x}" for number in numbers[i:i + 8]) for i in range(0, COUNT, 8)]
    return "{" + ",\n     ".join(lines) + "}"


def main() -> None:
    torch.manual_seed(3)
    base = (torch.randn(COUNT) * 0.5).to(torch.bfloat16)
    sides = [base] + [(base.float() + torch.randn(COUNT) * 0.1).to(torch.bfloat16) for _ in range(2)]
    print("/* SPDX-License-Identifier: Apache-2.0 */\n/* Made by make_merge_answers.py; the halves of float32 that bf16 keeps. */")
    print(f"enum {{ ANSWER_COUNT = {COUNT} }};")
    for name, side in zip(("base", "first", "second"), sides, strict=True):
        print(f"static const uint16_t answer_{name}[ANSWER_COUNT] =\n    {bits(side)};")
    print("typedef struct answer {\n    const char *name;\n    merge_recipe recipe;\n"
          "    uint16_t bits[ANSWER_COUNT];\n} answer;\nstatic const answer answers[] = {")
    for name, method, has_base, parameters, fields in CASES:
        for computed in ("BF16", "F32"):
            mean = method in ("karcher", "multislerp")
            if computed == "BF16" and mean:
                continue  # rounded at every step; not re-computed exactly
            tensors = sides if has_base else sides[1:]
            index = 0 if has_base or method in ("slerp", "nearswap") else None
            out = merge_tensors(tensors, method, parameters=parameters, base_index=index,
                                dtype=torch.bfloat16 if computed == "BF16" else torch.float32,
                                out_dtype=torch.bfloat16)
            enum = ENUMS.get(method, "MERGE_" + method.upper())
            density = "{0.5, 0.75}" if "density" in parameters else "{0.5}" if method == "sce" else "{1, 1}"
            lam = fields if ".lambda" in fields else ", ".join(x for x in (fields, ".lambda = 1") if x)
            print(f'    {{"{name}, {computed}",\n     {{.method = {enum}, .count = 2, .weights = {{0.7, 0.3}},\n'
                  f"      .densities = {density}, {lam}, .computed = WEIR_DTYPE_{computed},\n"
                  f"      .stored = WEIR_DTYPE_BF16}},\n     {bits(out)}}},")
    print("};")


if __name__ == "__main__":
    main()
