# SPDX-License-Identifier: Apache-2.0
"""weir diff over a small zoo of modifications: models of two layers, each changed by the usual tools."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from conftest import ROOT, WEIR, check_schema

sys.path.insert(0, str(ROOT / "tests" / "zoo"))
from changes.answers import Weir, judge_case  # noqa: E402

Found = dict[str, Any]
Judged = list[Found]
PROVABLE = (1, 2, 3, 5)  # groups that can be re-derived: nothing but the right answer will do


@pytest.fixture(scope="module")
def cases() -> list[Found]:
    python = subprocess.run([ROOT / "tools" / "python-env", "--zoo", "--existing"], capture_output=True,
                            text=True, check=False)
    if python.returncode:
        pytest.skip("no packages for the zoo: tools/python-env --zoo installs them")
    built = subprocess.run([python.stdout.strip(), ROOT / "tests" / "zoo" / "build_changes.py", "--mini"],
                           capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr[-3000:]
    made: list[Found] = json.loads(Path(built.stdout.strip().splitlines()[-1]).read_text())["cases"]
    return made


@pytest.fixture(scope="module")
def answers(cases: list[Found]) -> list[tuple[Found, Found, str]]:
    program = Weir(WEIR)
    asked = [(case, program.diff(case["base"], case["model"], case["parents"])) for case in cases]
    return [(case, answer, error) for case, (answer, _, error) in asked]


@pytest.fixture(scope="module")
def judged(answers: list[tuple[Found, Found, str]]) -> Judged:
    return [judge_case(case, answer, error=error) for case, answer, error in answers]


def told(some: Judged) -> list[str]:
    return [f"{one['id']}: {' > '.join(one['truth'])}, said {' > '.join(one['said'])}" for one in some]


def test_every_case_is_answered(judged: Judged) -> None:
    assert len(judged) >= 30
    assert {one["group"] for one in judged} >= {1, 2, 3, *range(5, 18)}
    assert [(one["id"], one["error"]) for one in judged if one["failed"]] == []


def test_every_answer_keeps_to_its_schema(answers: list[tuple[Found, Found, str]]) -> None:
    for case, answer, _ in answers:
        try:
            check_schema(answer)
        except jsonschema.ValidationError as error:
            pytest.fail(f"{case['id']}: {error.message} at {error.json_path}")


def test_nothing_is_called_ablated_that_is_not(judged: Judged) -> None:
    assert told([one for one in judged if one["accuses"]]) == []


def test_what_can_be_rederived_is_named(judged: Judged) -> None:
    asked = [one for one in judged if one["group"] in PROVABLE and not one["honest"]]

    assert len(asked) >= 6
    assert told([one for one in asked if not one["right"]]) == []


def test_a_single_change_is_named_rightly_or_left_open(judged: Judged) -> None:
    singles = [one for one in judged if len(one["truth"]) == 1]

    assert len(singles) >= 25
    assert told([one for one in singles if not one["right"] and not one["left_open"]]) == []


def test_the_outer_of_two_changes_is_named(judged: Judged) -> None:
    quantised = [one for one in judged if len(one["truth"]) > 1 and one["truth"][0] == "quantised"]

    assert len(quantised) >= 2
    assert told([one for one in quantised if not one["outer"]]) == []


def test_strangers_are_not_linked(judged: Judged) -> None:
    asked = [one for one in judged if one["relation_right"] is not None]

    assert asked
    assert [(one["id"], one["relation"]) for one in asked if not one["relation_right"]] == []
