# SPDX-License-Identifier: Apache-2.0
"""Every pair of models in the zoo, tested without a search: false links, and the law under the null."""

from __future__ import annotations

import subprocess
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from exact import interval, judge_null, upper_bound
from judgement import Truth

LIMIT = -6.0  # log10 of p


@dataclass
class Pairs:
    """What link_pairs said of all pairs of models[0..n)."""

    failed: set[int] = field(default_factory=set)
    log10_p: dict[tuple[int, int], float] = field(default_factory=dict)
    blocks: dict[str, list[tuple[int, int, int, int]]] = field(
        default_factory=lambda: {"rows": [], "tokens": []})  # model, model, fixed points, units
    read: dict[int, tuple[int, int]] = field(default_factory=dict)


def test_pairs(program: Path, paths: list[str], unrelated: int) -> Pairs:
    done = subprocess.run([program, str(unrelated)], input="".join(f"{path}\n" for path in paths),
                          capture_output=True, text=True, check=True)
    found = Pairs()
    for line in done.stdout.splitlines():
        what, *words = line.split()
        if what == "block":
            found.blocks[words[4]].append((int(words[0]), int(words[1]), int(words[5]), int(words[6])))
        elif what == "pair":
            found.log10_p[int(words[0]), int(words[1])] = float(words[2])
        elif what == "failed":
            found.failed.add(int(words[0]))
        elif what == "read":
            found.read[int(words[0])] = (int(words[1]), int(words[2]))
    return found


def origins_of(truth: Truth, model: dict[str, Any]) -> set[str]:
    """Ancestors, and the seeds of their random starts: equal seeds give equal numbers in all families."""
    return set(model["ancestors"]) | {f"seed:{seed}" for seed in truth.seeds(model)}


def count_false(found: Pairs, models: list[dict[str, Any]], which: list[int],
                origins: list[set[str]]) -> dict[str, Any]:
    """Pairs that have no origin in common among `which`, and those called linked."""
    usable = [i for i in which if i not in found.failed]
    pairs, false = 0, []
    for place, i in enumerate(usable):
        for j in usable[place + 1:]:
            if origins[i] & origins[j]:
                continue
            pairs += 1
            if found.log10_p.get((min(i, j), max(i, j)), 0.0) <= LIMIT:
                false.append([models[i]["id"], models[j]["id"]])
    low, high = interval(len(false), pairs)
    return {"models": len(usable), "pairs": pairs, "false_links": len(false), "interval": [low, high],
            "rate_below_with_95_percent": upper_bound(len(false), pairs), "which": false[:50]}


def judge_pairs(program: Path, truth: Truth) -> dict[str, Any]:
    """Roots first; twins share a start with a root and are left out of the null."""
    models = [root for root in truth.roots if root["kind"] != "twin"] + truth.rows
    count = len(models) - len(truth.rows)
    origins = [origins_of(truth, model) for model in models]
    found = test_pairs(program, [model["path"] for model in models], count)
    trained = [i for i in range(count) if models[i]["kind"] == "trained"]
    untrained = [i for i in range(count) if models[i]["kind"] == "random"]
    same = {}
    for family in sorted({models[i]["family"] for i in trained}):
        same[family] = count_false(found, models, [i for i in trained if models[i]["family"] == family],
                                    origins)
    judged: dict[str, Any] = {
        "trained_roots": count_false(found, models, trained, origins),
        "same_family": same,
        "untrained_roots": count_false(found, models, untrained, origins),
        "all_models": count_false(found, models, list(range(len(models))), origins),
        "bytes_of_real_model": {models[i]["id"]: sizes for i, sizes in found.read.items()
                                if models[i].get("case") == "real" or models[i].get("kind") == "real"},
    }
    kinds = set(trained)
    for codes, blocks in found.blocks.items():
        fixed = [(k, n) for i, j, k, n in blocks
                 if i in kinds and j in kinds and not origins[i] & origins[j]]
        if len(fixed) >= 1000:
            judged[f"null_of_{codes}"] = asdict(judge_null(fixed))
    return judged
