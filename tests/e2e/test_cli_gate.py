# SPDX-License-Identifier: Apache-2.0
"""Gates: an exit code answers a question only when it was asked."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Weir
from models import llama_tensors, write_folder


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    tensors = llama_tensors()
    base = write_folder(tmp_path / "base", tensors)
    tensors["lm_head.weight"] = -tensors["lm_head.weight"]
    return base, write_folder(tmp_path / "model", tensors)


def test_a_difference_alone_is_no_failure(weir: Weir, pair: tuple[Path, Path]) -> None:
    assert weir("diff", *pair).code == 0


def test_exit_code_tells_same_from_different(weir: Weir, pair: tuple[Path, Path]) -> None:
    base, model = pair

    assert weir("diff", "--exit-code", base, base).code == 0
    assert weir("diff", "--exit-code", base, model).code == 1


def test_fail_on_follows_the_interval_of_the_tier(weir: Weir, pair: tuple[Path, Path]) -> None:
    base, model = pair
    tier = weir("assess", model, "--base", base, "--json").json()["tier"]

    for limit in range(5):
        wanted = 1 if tier["low"] >= limit else 0 if tier["high"] < limit else 4
        assert weir("assess", model, "--base", base, "--fail-on", limit).code == wanted, limit


def test_a_gate_that_cannot_be_decided_still_writes_the_result(weir: Weir, pair: tuple[Path, Path]) -> None:
    done = weir("assess", pair[1], "--fail-on", "0", "--json")

    assert done.code == 1  # every tier is 0 or more
    assert done.json()["schema"] == "weir.assess/1"
