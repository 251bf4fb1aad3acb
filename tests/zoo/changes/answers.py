# SPDX-License-Identifier: Apache-2.0
"""Whether an answer of `weir diff` about one case is right. Decided here alone, of nothing but the standard library,
so that the tests can use it too.

  said        the classes of an answer, outermost first, each once. `partial` says where, not what, and is left out;
              so are another container and configuration, and what the case names as going with its change
  right       as many layers as were made, and each of a class that is right there. "unknown" behind them is a rest
              that the answer leaves open: right, and counted
  answered    something other than "unknown" was said
  sound       every class that was said stands where it was made; what is under it may be left open
  honest      "unknown" where the change is below the rounding or has no class of its own: neither right nor wrong
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Found = dict[str, Any]
ALWAYS_BESIDE = {"partial", "repackaged", "config_changed"}
REPLAYED = 0.9999
SECONDS_MOST = 600.0


@dataclass(frozen=True)
class Weir:
    program: Path

    def diff(self, base: str, model: str, parents: list[str]) -> tuple[Found, float, str]:
        """The answer, or {} when there is none; seconds; what was said on stderr."""
        kept = {key: value for key, value in os.environ.items() if key in ("PATH", "HOME", "TMPDIR")}
        given = [word for parent in parents for word in ("--parent", parent)]
        began = time.monotonic()
        try:
            done = subprocess.run([self.program, "diff", "--jobs", "1", "--json", base, model, *given],
                                  capture_output=True, text=True, check=False, timeout=SECONDS_MOST,
                                  env=kept | {"LC_ALL": "C.UTF-8", "ASAN_OPTIONS": "detect_leaks=0"})
        except subprocess.TimeoutExpired:
            return {}, SECONDS_MOST, f"no answer within {SECONDS_MOST} s"
        seconds = time.monotonic() - began
        try:
            answer = json.loads(done.stdout)
        except json.JSONDecodeError:
            answer = {}
        return (answer if answer.get("schema") == "weir.diff/1" else {}), seconds, done.stderr[-500:]


def wilson(hits: int, tries: int, z: float = 1.96) -> tuple[float, float]:
    if tries == 0:
        return 0.0, 1.0
    share = hits / tries
    middle = share + z * z / (2 * tries)
    spread = z * math.sqrt(share * (1 - share) / tries + z * z / (4 * tries * tries))
    whole = 1 + z * z / tries
    return max(0.0, (middle - spread) / whole), min(1.0, (middle + spread) / whole)


def accepts(layer: Found, name: str) -> bool:
    return name == layer["class"] or name in layer["or"]


def said_layers(case: Found, answer: Found) -> list[Found]:
    """The changes that count, each class once."""
    wanted = {name for layer in case["layers"] for name in (layer["class"], *layer["or"])}
    beside = (ALWAYS_BESIDE | set(case["beside"])) - wanted
    said: list[Found] = []
    for one in answer.get("changes", []):
        if one["class"] not in beside and one["class"] not in [other["class"] for other in said]:
            said.append(one)
    if not said and answer.get("relation") == "identical":
        said = [{"class": "identical", "grade": answer.get("grade")}]  # beside another configuration or container
    if any(one["class"] != "identical" for one in said):
        # Equal weights, said beside what changed in the files.
        said = [one for one in said if one["class"] != "identical"]
    return said


def predicted(case: Found, said: list[Found], answer: Found) -> str:
    """One class for a single edit: the truth's if it was said and nothing else was."""
    if not answer:
        return "failed"
    truth = case["layers"][0]
    names = [one["class"] for one in said]
    known = [name for name in names if name != "unknown"]
    if not known:
        if names and accepts(truth, "unknown"):
            return str(truth["class"])
        if any(one["class"] == "partial" for one in answer["changes"]) and accepts(truth, "partial"):
            return str(truth["class"])
        return "unknown" if names else "nothing"
    wrong = [name for name in known if not accepts(truth, name)]
    return wrong[0] if wrong else str(truth["class"])


def sound_layers(case: Found, names: list[str]) -> int | None:
    """How many layers were said, none of them wrongly; None if one was."""
    if names and names[-1] == "unknown" and not (len(names) == len(case["layers"]) and
                                                 accepts(case["layers"][-1], "unknown")):
        names = names[:-1]
    if len(names) > len(case["layers"]):
        return None
    said = zip(case["layers"], names, strict=False)
    return len(names) if all(accepts(layer, name) for layer, name in said) else None


# --- figures of a class ---

def judge_low_rank(truth: Found, said: Found) -> Found:
    judged: Found = {"size": truth.get("size"), "rank_asked": truth.get("rank"), "rank_said": said.get("rank")}
    if truth.get("modules") is not None and said.get("modules") is not None:
        judged["modules_right"] = sorted(said["modules"]) == sorted(truth["modules"])
    return judged


def names_of_parents(case: Found, truth: Found) -> dict[str, str]:
    """Folder name of a parent to its letter: the relatives are named by it."""
    return {Path(path).name: Path(path).name[0] for path in case["parents"]
            if Path(path).name[0] in truth["parents"]}


def weight_errors(said: Found, wanted: float) -> list[float]:
    """Of one weight for all, or of those of the layers."""
    weights = [said["weight"]] if said.get("weight") is not None else said.get("layers") or []
    return [abs(weight - wanted) for weight in weights if weight is not None]


def judge_merged(case: Found, truth: Found, said: Found) -> Found:
    letters = names_of_parents(case, truth)
    base = Path(case["base"]).name
    parents = {one["model"]: one for one in said.get("parents") or [] if one["model"] != base}
    judged: Found = {"method_right": said.get("method") in truth["methods"], "method": said.get("method")}
    if truth["parents"]:
        judged["parents_right"] = set(parents) == set(letters)
    if truth.get("weights") and all(name in parents for name in letters):
        errors = [weight_errors(parents[name], truth["weights"][letter]) for name, letter in letters.items()]
        judged["weight_error"] = max(map(max, errors)) if all(errors) else None
    if truth.get("replay"):
        judged["replay"] = said.get("replay")
    return judged


def judge_ablated(truth: Found, said: Found) -> Found:
    """Strengths are compared where one is said and one was set; parts that were left alone have none."""
    judged: Found = {"modules_right": sorted(said.get("modules") or []) == sorted(truth["modules"]),
                     "directions_right": said.get("directions") == truth["directions"]}
    wanted = {"o": truth["o"], "down": truth["down"], "expert_down": truth["down"]}
    errors = []
    for one in said.get("lambda_by_layer") or []:
        if one["module"] in wanted and one["layer"] is not None and one["lambda"] is not None:
            errors.append(abs(one["lambda"] - wanted[one["module"]][one["layer"]]))
    return judged | ({"lambda_errors": errors, "plain": truth["plain"]} if errors else {})


def judge_figures(case: Found, truth: Found, said: Found) -> Found:
    name = said["class"]
    if name == "low_rank" and truth["class"] == "low_rank":
        return judge_low_rank(truth, said)
    if name == "merged" and truth["class"] == "merged":
        return judge_merged(case, truth, said)
    if name == "ablated" and truth["class"] == "ablated":
        return judge_ablated(truth, said)
    if name == "pruned" and truth["class"] == "pruned" and said.get("sparsity") is not None:
        judged: Found = {"sparsity_right": abs(said["sparsity"] - truth["sparsity"]) <= 0.02}
        if truth.get("pattern"):
            judged["pattern_right"] = said.get("pattern") == truth["pattern"]
        return judged
    if name in ("depth_changed", "layers_duplicated") and truth.get("map"):
        return {"map_right": (said.get("map") or said.get("layers")) == truth["map"]}
    if name == "vocab_changed" and truth.get("added") is not None:
        counts = (truth["added"], truth.get("removed", 0))
        return {"counts_right": (said.get("added"), said.get("removed", 0)) == counts}
    if name == "scaled" and truth.get("axis"):
        return {"axis_right": said.get("axis") == truth["axis"]}
    if name == "quantised" and truth.get("type"):
        return {"type": said.get("type"), "type_asked": truth["type"]}
    return {}


def judge_case(case: Found, answer: Found, seconds: float = 0.0, error: str = "") -> Found:
    said = said_layers(case, answer)
    names = [one["class"] for one in said]
    wanted = case["layers"]
    single = len(wanted) == 1
    known = [name for name in names if name != "unknown"]
    label = predicted(case, said, answer)
    layers = sound_layers(case, names)
    right = label == wanted[0]["class"] if single else layers == len(wanted)
    is_open = not right and (not known if single else layers is not None)
    by_class = {one["class"]: one for one in said}
    figures = {layer["class"]: judge_figures(case, layer, by_class[name])
               for layer in wanted for name in (layer["class"], *layer["or"]) if name in by_class}
    return {
        "id": case["id"], "group": case["group"], "kind": case["kind"], "half": case["half"],
        "family": case["family"], "truth": [layer["class"] for layer in wanted], "said": names,
        "grades": [one.get("grade") for one in said], "label": label, "right": right,
        "answered": bool(known) or right, "honest": case["honest"], "left_open": is_open and bool(answer),
        "sound": right or is_open,
        "with_rest": right and bool(known) and names[-1] == "unknown",
        "outer": bool(names) and accepts(wanted[0], names[0]),
        "any_order": len(known) == len(wanted) and all(
            any(accepts(layer, name) for name in known) for layer in wanted),
        "inner": None if single else len(names) > 1 and accepts(wanted[1], names[1]),
        "accuses": "ablated" in names and not any(layer["class"] == "ablated" for layer in wanted),
        "trained": case["trained"], "relation": answer.get("relation"),
        "relation_right": answer.get("relation") in case["relation"] if case["relation"] else None,
        "unexplained": answer.get("unexplained"), "figures": figures, "wanted": wanted,
        "failed": not answer, "error": error if not answer else "", "seconds": round(seconds, 3),
    }
