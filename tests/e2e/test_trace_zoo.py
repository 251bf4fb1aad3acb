# SPDX-License-Identifier: Apache-2.0
"""weir trace over a small zoo: real models of two layers, and what the usual tools make of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, WEIR, check_schema

sys.path.insert(0, str(ROOT / "tests" / "zoo"))
import judgement  # noqa: E402
from traces import Weir  # noqa: E402

Judged = dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def truth() -> judgement.Truth:
    python = subprocess.run([ROOT / "tools" / "python-env", "--zoo", "--existing"], capture_output=True,
                            text=True, check=False)
    if python.returncode:
        pytest.skip("no packages for the zoo: tools/python-env --zoo installs them")
    built = subprocess.run([python.stdout.strip(), ROOT / "tests" / "zoo" / "build.py", "--mini"],
                           capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr[-3000:]
    return judgement.Truth(Path(built.stdout.strip().splitlines()[-1]))


@pytest.fixture(scope="module")
def traced(truth: judgement.Truth, tmp_path_factory: pytest.TempPathFactory) -> Judged:
    judged, _ = judgement.trace_all(truth, Weir(WEIR), tmp_path_factory.mktemp("registries"))
    return judged


def everything(traced: Judged) -> list[dict[str, Any]]:
    return [one for some in traced.values() for one in some]


def ids(models: list[dict[str, Any]]) -> list[str]:
    return [f"{one['id']}: {one['verdict']} {one['log10_p']}" for one in models]


def test_every_trace_ends_with_an_answer(traced: Judged) -> None:
    assert len(everything(traced)) > 100
    assert ids([one for one in everything(traced) if one["verdict"] == "failed"]) == []


def test_no_model_is_linked_to_a_stranger(traced: Judged) -> None:
    strangers = sum(one["strangers"] for one in everything(traced))

    assert strangers > 500
    assert [(one["id"], one["false"]) for one in everything(traced) if one["false"]] == []


def test_every_descendant_is_linked(traced: Judged) -> None:
    asked = [one for one in everything(traced)
             if one["link"] == "yes" and one["expected_kin"] and not one["pass_two"]]

    assert len(asked) > 50
    assert ids([one for one in asked if not one["found"]]) == []


def test_changed_orders_and_bases_are_linked(traced: Judged) -> None:
    asked = [one for one in everything(traced) if one["pass_two"]]

    assert len(asked) >= 5
    assert ids([one for one in asked if not one["found"]]) == []


def test_a_direction_that_is_given_is_right(traced: Judged) -> None:
    given = [one for one in everything(traced) if one["directions"]]

    assert given
    assert [one["id"] for one in given if "wrong" in one["directions"]] == []


def test_layers_are_mapped(traced: Judged) -> None:
    mapped = [one for one in everything(traced) if one["layers"]]

    assert len(mapped) >= 4
    assert [one["id"] for one in mapped if one["layers"][0] != one["layers"][1]] == []


def test_parents_of_a_merge_are_named(traced: Judged) -> None:
    merges = [one for one in everything(traced) if one["merge"] and not one["merge"]["missing"]]

    assert len(merges) >= 8
    assert [one["id"] for one in merges if not one["merge"]["whole_set"]] == []


def test_a_parent_is_called_missing_only_when_one_is(traced: Judged) -> None:
    """Half of one known parent and half of an unknown one is also what training does to the former mixed
    with its root: nobody can tell, so only the merge of three is asked for."""
    merges = [one for one in everything(traced) if one["merge"]]
    lost = traced["P7 merge-linear-3-parent-lost"]

    assert [one["id"] for one in merges if one["merge"]["missing_said"] > one["merge"]["missing"]] == []
    assert [one["id"] for one in lost if not one["merge"]["missing_said"]] == []


def test_a_shared_start_is_never_called_descent(traced: Judged) -> None:
    twins = traced["N4 same start, other text"]

    assert [one["verdict"] for one in twins] == ["related"] * len(twins)
    assert {one["reason"] for one in twins} == {"shared_initialisation_possible"}


def test_what_holds_nothing_to_compare_is_not_decided(traced: Judged) -> None:
    empty = [one for one in everything(traced) if one["link"] == "undecidable"]

    assert len(empty) >= 6
    assert ids([one for one in empty if one["verdict"] not in ("cannot_decide", "refused")]) == []


def test_an_adapter_is_held_against_the_base_that_it_names(traced: Judged) -> None:
    right, wrong = (traced[f"P12 adapter-{kind}-base"] for kind in ("right", "wrong"))

    assert [one["id"] for one in right if one["adapter"] != "fits"] == []
    assert [one["id"] for one in wrong if one["adapter"] == "fits"] == []


def test_the_answer_keeps_to_its_schema(truth: judgement.Truth, tmp_path: Path) -> None:
    registry, program = tmp_path / "registry.db", Weir(WEIR)
    program.add(registry, [model["path"] for model in truth.roots])
    row = next(row for row in truth.rows if row["case"] == "P3")

    check_schema(program.trace(row["id"], row["path"], registry).whole)
