# SPDX-License-Identifier: Apache-2.0
"""The judge of `weir diff`: every case of the zoo of modifications is asked, and the answers are held against the
truth.

usage: judge_changes.py CHANGES.json WEIR RESULT.json [TABLE.md] [--half HALF] [--most N] [--sweep N] [--wrong FILE]

What counts as right is said in changes/answers.py. What was said of each case alone goes to RESULT.cases.json.
Intervals are Wilson's, of 95%.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from changes.answers import REPLAYED, Found, Weir, judge_case, wilson
from judgement import WORKERS
from traces import in_pairs

SIZE_OF_RANKS = 3e-3
WEIGHT_NEAR = 0.01


def rate(hits: int, tries: int) -> Found:
    low, high = wilson(hits, tries)
    return {"hits": hits, "of": tries, "rate": hits / tries if tries else None, "interval": [low, high]}


def share(some: list[Found], what: str) -> Found:
    return rate(sum(bool(one[what]) for one in some), len(some))


def confusion(singles: list[Found]) -> dict[str, dict[str, int]]:
    table: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for one in singles:
        table[one["truth"][0]]["left open, rightly" if one["honest"] and one["left_open"] else one["label"]] += 1
    return {truth: dict(said) for truth, said in sorted(table.items())}


def f1_by_class(singles: list[Found]) -> dict[str, Found]:
    """Cases that may be left open and were do not count."""
    counted = [one for one in singles if not (one["honest"] and one["left_open"])]
    result = {}
    for name in sorted({one["truth"][0] for one in counted}):
        hits = sum(one["truth"][0] == name == one["label"] for one in counted)
        said = sum(one["label"] == name for one in counted)
        were = sum(one["truth"][0] == name for one in counted)
        result[name] = {"cases": were, "precision": hits / said if said else None, "recall": hits / were,
                        "f1": 2 * hits / (said + were)}
    return result


def figures(judged: list[Found], name: str) -> list[Found]:
    """What was said of a class by those that said it."""
    return [one["figures"][name] for one in judged if one["figures"].get(name)]


def judge_ranks(judged: list[Found]) -> Found:
    asked = [one for one in judged if one["group"] in (6, 7) and one["wanted"][0].get("rank")]
    large = [one for one in asked if one["wanted"][0]["size"] >= SIZE_OF_RANKS]
    small = [one for one in asked if one["wanted"][0]["size"] < SIZE_OF_RANKS]

    def off(one: Found) -> float:
        said = one["figures"].get("low_rank", {}).get("rank_said")
        return float("inf") if said is None else abs(said - one["wanted"][0]["rank"])

    said_small = [one for one in small if off(one) < float("inf")]
    modules = [one["figures"]["low_rank"].get("modules_right") for one in large if one["figures"].get("low_rank")]
    return {"exact": rate(sum(off(one) == 0 for one in large), len(large)),
            "within_2": rate(sum(off(one) <= 2 for one in large), len(large)),
            "given": rate(sum(off(one) < float("inf") for one in large), len(large)),
            "modules": rate(sum(bool(one) for one in modules), len(modules)),
            "given_below_floor": rate(len(said_small), len(small)),
            "wrong_below_floor": rate(sum(off(one) > 2 for one in said_small), len(small))}


def judge_merges(judged: list[Found]) -> Found:
    merges = [one for one in judged if one["group"] == 10]
    said = [one["figures"]["merged"] for one in merges if one["figures"].get("merged")]
    weighted = [one for one in merges if one["wanted"][0].get("weights")]
    near = [one for one in weighted
            if (one["figures"].get("merged", {}).get("weight_error") or 0.0) <= WEIGHT_NEAR
            and one["figures"].get("merged", {}).get("weight_error") is not None]
    replays = [one for one in merges if one["wanted"][0].get("replay")]
    replayed = [one for one in replays if (one["figures"].get("merged", {}).get("replay") or 0.0) >= REPLAYED]
    return {"parents": rate(sum(bool(one.get("parents_right")) for one in said), len(said)),
            "method": rate(sum(one["method_right"] for one in said), len(said)),
            "weights_within_0.01": rate(len(near), len(weighted)),
            "replayed": rate(len(replayed), len(replays))}


def judge_ablations(judged: list[Found]) -> Found:
    result: Found = {}
    for storage in ("native", "Q8_0", "Q4_0"):
        for low, high in ((0.0, 0.31), (0.31, 0.499), (0.499, 0.95), (0.95, 9.0)):
            some = [one for one in judged if one["group"] == 9
                    and low < one["wanted"][-1]["strength"] <= high
                    and (one["wanted"][0].get("type", "native") == storage)]
            found = sum("ablated" in one["said"] for one in some)
            if some:
                result[f"{storage}, strength {low:.2g} to {high:.2g}"] = rate(found, len(some))
    said = figures(judged, "ablated")
    native = figures([one for one in judged if one["truth"] == ["ablated"]], "ablated")
    quantised = figures([one for one in judged if one["truth"] == ["quantised", "ablated"]], "ablated")

    def mean_error(some: list[Found]) -> float | None:
        errors = [error for one in some if one.get("plain") for error in one["lambda_errors"]]
        return sum(errors) / len(errors) if errors else None

    return {"recall": result, "modules": rate(sum(one["modules_right"] for one in said), len(said)),
            "directions": rate(sum(one["directions_right"] for one in said), len(said)),
            "lambda_error_native": mean_error(native), "lambda_error_quantised": mean_error(quantised)}


def others_right(judged: list[Found]) -> Found:
    """Figures of the remaining classes that are right or wrong."""
    counts: dict[str, list[bool]] = defaultdict(list)
    for one in judged:
        for name, said in one["figures"].items():
            for what, value in said.items():
                if what.endswith("_right") and name not in ("low_rank", "merged", "ablated"):
                    counts[f"{name} {what.removesuffix('_right')}"].append(value)
        if one["relation_right"] is not None:
            counts["relation"].append(one["relation_right"])
    return {name: rate(sum(some), len(some)) for name, some in sorted(counts.items())}


def summarise(judged: list[Found]) -> Found:
    singles = [one for one in judged if len(one["truth"]) == 1]
    onions = [one for one in judged if len(one["truth"]) > 1]
    asked = [one for one in judged if not one["honest"]]
    answered = [one for one in judged if one["answered"] and not (one["honest"] and one["left_open"])]
    by_class = f1_by_class(singles)
    negatives = [one for one in judged if "ablated" not in one["truth"]]
    groups = {number: [one for one in judged if one["group"] == number] for number in range(1, 18)}
    return {
        "cases": len(judged), "failed": [one["id"] for one in judged if one["failed"]],
        "macro_f1": sum(one["f1"] for one in by_class.values()) / len(by_class) if by_class else None,
        "classes": by_class, "confusion": confusion(singles), "coverage": share(asked, "answered"),
        "selective_accuracy": share(answered, "sound"),
        "seconds": {"median": statistics.median(one["seconds"] for one in judged),
                    "most": max(one["seconds"] for one in judged),
                    "slowest": max(judged, key=lambda one: one["seconds"])["id"]},
        "right": share(judged, "right"), "with_rest": sum(one["with_rest"] for one in judged),
        "onion": {"outer": share(onions, "outer"), "inner": share(onions, "inner"), "whole": share(onions, "right"),
                  "any_order": share(onions, "any_order")},
        "ranks": judge_ranks(judged), "merges": judge_merges(judged), "ablations": judge_ablations(judged),
        "accused": share(negatives, "accuses"),
        "accused_trained": share([one for one in negatives if one["trained"]], "accuses"),
        "others": others_right(judged),
        "groups": {str(number): {"cases": len(some), "right": share(some, "right"),
                                 "left_open": sum(one["left_open"] for one in some),
                                 "wrong": sum(not one["right"] and not one["left_open"] for one in some)}
                   for number, some in groups.items() if some},
    }


def some_of_each(cases: list[Found], most: int) -> list[Found]:
    """That many of a kind, or an eighth of it where it has many."""
    sizes = Counter(case["kind"] for case in cases)
    seen: Counter[str] = Counter()
    chosen = []
    for case in sorted(cases, key=lambda case: hashlib.sha256(case["id"].encode()).hexdigest()):
        seen[case["kind"]] += 1
        if seen[case["kind"]] <= max(most, sizes[case["kind"]] // 8):
            chosen.append(case)
    return sorted(chosen, key=lambda case: (case["half"], case["group"], case["id"]))


def ask(weir: Weir, cases: list[Found]) -> list[Found]:
    def one(case: Found) -> Found:
        answer, seconds, error = weir.diff(case["base"], case["model"], case["parents"])
        return judge_case(case, answer, seconds, error)

    judged: list[Found] = in_pairs(WORKERS, [(one, case) for case in cases], "asked")
    return judged


def wrong_lines(judged: list[Found]) -> list[str]:
    """For who builds the decision: what was said where something else is true, and what took longest."""
    lines = []
    for one in sorted(judged, key=lambda one: (one["group"], one["kind"], one["id"])):
        if one["right"] or (one["honest"] and one["left_open"]):
            continue
        how = "open" if one["left_open"] else "FALSE ACCUSATION" if one["accuses"] else \
            "failed" if one["failed"] else "wrong"
        lines.append(f"| {one['group']} | {one['id']} | {' > '.join(one['truth'])} | "
                     f"{' > '.join(one['said']) or 'nothing'} | {how} |")
    for one in sorted(judged, key=lambda one: -one["seconds"])[:10]:
        lines.append(f"| {one['group']} | {one['id']} | took {one['seconds']:.1f} s | | slow |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description="judge weir diff")
    parser.add_argument("changes", type=Path)
    parser.add_argument("weir", type=Path)
    parser.add_argument("result", type=Path)
    parser.add_argument("table", type=Path, nargs="?")
    parser.add_argument("--half", choices=("development", "held_out"))
    parser.add_argument("--sweep", type=int, default=0, help="cheap negatives, edited and compared on the spot")
    parser.add_argument("--most", type=int, default=10**6, help="cases of a kind, for a quick look")
    parser.add_argument("--wrong", type=Path, help="where to list the answers that are wrong")
    options = parser.parse_args()
    whole = json.loads(options.changes.read_text())
    weir = Weir(options.weir.resolve())
    cases = [case for case in whole["cases"] if options.half in (None, case["half"])]
    judged = ask(weir, some_of_each(cases, options.most))
    halves = sorted({one["half"] for one in judged})
    result: dict[str, Any] = {"seed": whole["seed"], "halves": {
        half: summarise([one for one in judged if one["half"] == half]) for half in halves}}
    if options.sweep:
        # torch is imported only for this.
        from changes.sweep import sweep

        roots = Path(whole["roots"])
        first = int(hashlib.sha256(whole["seed"].encode()).hexdigest()[:8], 16)
        result["sweep"] = sweep(weir, roots, whole["root_names"], options.sweep, first)
    options.result.with_suffix(".cases.json").write_text(json.dumps(judged, indent=1))
    options.result.write_text(json.dumps(result, indent=1) + "\n")
    if options.wrong:
        options.wrong.write_text("\n".join(wrong_lines(judged)) + "\n")
    if options.table:
        from changes.result_table import write_table

        write_table(options.table, result)


if __name__ == "__main__":
    main()
