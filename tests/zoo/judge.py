# SPDX-License-Identifier: Apache-2.0
"""The judge of `weir trace`: every model of the zoo is traced, and the answers are held against the truth.

usage: judge.py TRUTH.json WEIR LINK_PAIRS RESULT.json [TABLE.md]

What was said of each model alone goes to RESULT.models.json.

What counts as right is said in judgement.py. Rates have exact 95% intervals (Clopper and Pearson).
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from exact import interval
from judgement import Model, Truth, trace_all
from table import write_table
from traces import Weir
from unrelated import judge_pairs


def rate(hits: int, tries: int) -> Model:
    low, high = interval(hits, tries)
    return {"hits": hits, "of": tries, "rate": hits / tries if tries else None, "interval": [low, high]}


def summarise(judged: list[Model]) -> Model:
    """One line of the table."""
    with_kin = [one for one in judged if one["expected_kin"]]
    directions = [direction for one in judged for direction in one["directions"]]
    layers = [one["layers"] for one in judged if one["layers"]]
    merges = [one["merge"] for one in judged if one["merge"]]
    errors = [error for merge in merges for error in merge["share_errors"]]
    verdicts: dict[str, int] = defaultdict(int)
    for one in judged:
        verdicts[one["verdict"]] += 1
    return {
        "models": len(judged), "verdicts": dict(verdicts),
        "found": rate(sum(one["found"] for one in with_kin), len(with_kin)),
        "derived": rate(sum(one["derived"] for one in with_kin), len(with_kin)),
        "nearest": rate(sum(one["nearest"] for one in judged if one["parents_known"]),
                        sum(one["parents_known"] for one in judged)),
        "false_links": sum(len(one["false"]) for one in judged),
        "stranger_pairs": sum(one["strangers"] for one in judged),
        "direction": rate(directions.count("right"), len(directions)),
        "direction_asked": sum(one["direction_asked"] for one in judged),
        "layers": rate(sum(right for right, _ in layers), sum(asked for _, asked in layers)),
        "f1": statistics.mean(merge["f1"] for merge in merges) if merges else None,
        "whole_set": rate(sum(merge["whole_set"] for merge in merges), len(merges)),
        "share_error": statistics.mean(errors) if errors else None,
        "missing_right": rate(sum(merge["missing_said"] == merge["missing"] for merge in merges),
                              len(merges)),
        "allowed": rate(sum(one["verdict_allowed"] for one in judged), len(judged)),
        "weakest_log10_p": max((one["log10_p"] for one in judged if one["log10_p"] is not None),
                               default=None),
        "seconds": statistics.median(one["seconds"] for one in judged),
    }


def total_of(judged: dict[str, list[Model]]) -> Model:
    everything = [one for some in judged.values() for one in some]
    false = sum(len(one["false"]) for one in everything)
    pairs = sum(one["strangers"] for one in everything)
    roots = [one for key in judged if key.startswith(("N1", "N2 never-trained s")) for one in judged[key]]
    directions = [direction for one in everything for direction in one["directions"]]
    same_seed = rate(sum(len(one["same_seed_links"]) for one in everything),
                     sum(one["same_seed"] for one in everything))
    return {"same_seed": same_seed, "traces": len(everything), "false_links": rate(false, pairs),
            "false_links_of_roots": rate(sum(len(one["false"]) for one in roots),
                                         sum(one["strangers"] for one in roots)),
            "direction": rate(directions.count("right"), len(directions)),
            "direction_asked": sum(one["direction_asked"] for one in everything),
            "failed": [one["id"] for one in everything if one["verdict"] == "failed"]}


def judge(truth_path: Path, program: Path, link_pairs: Path) -> Model:
    truth = Truth(truth_path)
    with tempfile.TemporaryDirectory() as folder:
        judged, registries = trace_all(truth, Weir(program.resolve()), Path(folder))
    losses = {root["id"]: [root["first_loss"], root["last_loss"]] for root in truth.roots
              if root["first_loss"]}
    return {
        "registries": registries,
        "total": total_of(judged),
        "cases": {key: summarise(some) for key, some in sorted(judged.items())},
        "pairs": judge_pairs(link_pairs.resolve(), truth),
        "losses": losses,
        "models": dict(judged),
    }


def main() -> None:
    truth, program, link_pairs, result = (Path(word) for word in sys.argv[1:5])
    judged = judge(truth, program, link_pairs)
    result.with_suffix(".models.json").write_text(json.dumps(judged.pop("models"), indent=1))
    result.write_text(json.dumps(judged, indent=1) + "\n")
    if len(sys.argv) > 5:
        write_table(Path(sys.argv[5]), judged)


if __name__ == "__main__":
    main()
