# SPDX-License-Identifier: Apache-2.0
"""What the judge of modifications found, as the Markdown of docs/evidence.md."""

from __future__ import annotations

from pathlib import Path

from changes.answers import Found
from table import number, share

GROUPS = {
    "1": "copies, shards, names, containers", "2": "casts", "3": "block types, round to nearest",
    "4": "K and IQ types by llama.cpp", "5": "GPTQ, AWQ, NF4, FP8, compressed-tensors", "6": "LoRA, merged",
    "7": "DoRA, rsLoRA, PiSSA, OLoRA, embeddings besides", "8": "full fine-tuning, all objectives",
    "9": "a direction removed (neutral ones)", "10": "merges by mergekit", "11": "layers, experts, by mergekit",
    "12": "pruning, depth and width", "13": "vocabularies", "14": "chat templates", "15": "two or three changes",
    "16": "what fooled simpler tests", "17": "adapter files"}


def rates(title: str, rows: dict[str, Found]) -> list[str]:
    return [f"| {title} | |", "|---|---|", *(f"| {name} | {share(one)} |" for name, one in rows.items() if one["of"]),
            ""]


def confusion_lines(table: dict[str, dict[str, int]]) -> list[str]:
    lines = ["| truth | said (cases) |", "|---|---|"]
    for truth, said in table.items():
        order = sorted(said.items(), key=lambda item: (item[0] != truth, -item[1]))
        lines.append(f"| {truth} | {', '.join(f'{name} {count}' for name, count in order)} |")
    return [*lines, ""]


def group_lines(half: Found) -> list[str]:
    return [
        "| group | cases | right | left open | wrong |", "|---|---|---|---|---|",
        *(f"| {key} {GROUPS[key]} | {one['cases']} | {share(one['right'])} | {one['left_open']} | {one['wrong']} |"
          for key, one in half["groups"].items()), ""]


def class_lines(half: Found) -> list[str]:
    return [
        "| class | cases | precision | recall | F1 |", "|---|---|---|---|---|",
        *(f"| {key} | {one['cases']} | {number(one['precision'])} | {number(one['recall'])} | {number(one['f1'])} |"
          for key, one in half["classes"].items()), ""]


def half_lines(name: str, half: Found) -> list[str]:
    onion, ranks, merges, ablations = half["onion"], half["ranks"], half["merges"], half["ablations"]
    numbers = {
        "cases right": half["right"], "answered with a class": half["coverage"],
        "right where answered": half["selective_accuracy"], "of two and more changes, the outer one": onion["outer"],
        "the one under it": onion["inner"], "all of them": onion["whole"],
        "all of them, in whatever order": onion["any_order"],
        "LoRA of .3% and more: rank exact": ranks["exact"], "within 2": ranks["within_2"],
        "parts touched, where it was said": ranks["modules"],
        "below .3%: a rank was given": ranks["given_below_floor"],
        "a rank that is off by more than 2": ranks["wrong_below_floor"],
        "merges: parents, where it was said": merges["parents"], "method": merges["method"],
        "weights within .01": merges["weights_within_0.01"], "replayed bit for bit": merges["replayed"],
        "called ablated, of those that are not": half["accused"],
        "of those, trained or merged": half["accused_trained"],
        **{f"direction found, {where}": one for where, one in ablations["recall"].items()},
        "parts of it": ablations["modules"], "number of directions": ablations["directions"],
        **half["others"],
    }
    native, quantised = (number(ablations[f"lambda_error_{how}"], 3) for how in ("native", "quantised"))
    errors = "" if not native else f" Mean error of a strength where norms were not kept: {native} as stored, " \
        f"{quantised or 'none said'} once quantised."
    return [
        f"### {name}",
        f"{half['cases']} cases. Macro-F1 over the classes of single changes: {number(half['macro_f1'], 3)}.{errors} "
        f"In {half['with_rest']} right answers a rest was left open besides. The median answer took "
        f"{half['seconds']['median']:.2f} s, the slowest {half['seconds']['most']:.1f} s.", "",
        *rates("share (Wilson's 95% interval)", numbers), *group_lines(half), *class_lines(half),
        *confusion_lines(half["confusion"]),
    ]


def summary_lines(name: str, half: Found) -> list[str]:
    """Of a half that says nothing about cases that nobody has seen."""
    return [f"### {name}",
            f"{half['cases']} cases: right {share(half['right'])}, macro-F1 {number(half['macro_f1'], 3)}, right where "
            f"answered {share(half['selective_accuracy'])}, called ablated wrongly {share(half['accused'])}.", ""]


NAMES = {"held_out": "The held-out half", "development": "The half that the builders saw"}


def write_table(path: Path, result: Found) -> None:
    lines = ["## Modifications, measured",
             "Single changes and chains of them, made by the usual tools of small trained models and of four layers of "
             "SmolLM2-135M (tests/zoo/changes). The held-out half was drawn from the hash of the thresholds.", ""]
    halves = result["halves"]
    for key in ("held_out", "development"):
        if key in halves:
            write = half_lines if key == "held_out" or len(halves) == 1 else summary_lines
            lines += write(NAMES[key], halves[key])
    if "sweep" in result:
        sweep = result["sweep"]
        lines += [f"**Cheap negatives**: {sweep['negatives']} trained models, edited in ways that are no ablation; "
                  f"{sweep['accused']} were called ablated (rate below {sweep['interval'][1]:.2%}); "
                  f"{sweep['failed']} could not be compared.", ""]
    path.write_text("\n".join(lines))
