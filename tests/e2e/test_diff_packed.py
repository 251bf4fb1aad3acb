# SPDX-License-Identifier: Apache-2.0
"""Models whose weights are packed codes, against the numbers that they stand for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from conftest import Weir, check_schema
from models import llama_tensors, write_folder, write_shards
from packed import PACKERS, packed_model

ROLES = {"q_proj": "q", "k_proj": "k", "v_proj": "v", "o_proj": "o", "gate_proj": "gate", "up_proj": "up",
         "down_proj": "down"}


def run(weir: Weir, base: Path, model: Path, *more: str) -> dict[str, Any]:
    result = weir("diff", base, model, "--json", *more)
    assert result.code == 0, result.err
    value = result.json()
    check_schema(value)
    return value


def canonical(name: str) -> str:
    _, _, layer, _, module, _ = name.split(".")
    return f"layers.{layer}.{ROLES[module]}"


@pytest.mark.parametrize("kind", PACKERS)
def test_statistics_are_those_of_the_dequantised_numbers(weir: Weir, tmp_path: Path, kind: str) -> None:
    base = llama_tensors()
    stored, meant = packed_model(base, PACKERS[kind])

    value = run(weir, write_folder(tmp_path / "a", base), write_folder(tmp_path / "b", stored))

    rows = {row["name"]: row for row in value["tensors"]}
    assert len(rows) == len(base)
    for name in (name for name in base if name.endswith("_proj.weight")):
        a, b = base[name].astype(np.float64), meant[name].astype(np.float64)
        row = rows[canonical(name)]
        assert row["class"] == "unknown"
        assert row["rel_norm"] == pytest.approx(np.linalg.norm(b - a) / np.linalg.norm(a), rel=1e-5)
        assert row["cosine"] == pytest.approx(np.vdot(a, b) / np.linalg.norm(a) / np.linalg.norm(b), rel=1e-5)
        assert row["max_abs_change"] == pytest.approx(np.abs(b - a).max(), rel=1e-4)
    assert (value["relation"], value["grade"]) == ("related", "proved")  # the embedding is the base's own


@pytest.mark.parametrize("kind", PACKERS)
def test_packed_models_of_other_weights_are_not_linked(weir: Weir, tmp_path: Path, kind: str) -> None:
    stored, _ = packed_model(llama_tensors(seed=1), PACKERS[kind])

    value = run(weir, write_folder(tmp_path / "a", llama_tensors(seed=2)), write_folder(tmp_path / "b", stored))

    assert value["relation"] in ("no_link", "cannot_decide")


@pytest.mark.parametrize("kind", PACKERS)
@pytest.mark.parametrize("turned", [False, True])
def test_packing_alone_proves_no_direction(weir: Weir, tmp_path: Path, kind: str, turned: bool) -> None:
    stored, meant = packed_model(llama_tensors(), PACKERS[kind])
    half = {name: values.astype(ml_dtypes.bfloat16) if name.endswith("_proj.weight") else values
            for name, values in meant.items()}
    sides = [write_folder(tmp_path / "a", stored), write_folder(tmp_path / "b", half)]

    value = run(weir, *(reversed(sides) if turned else sides))

    assert value["relation"] == "related"
    assert value["direction"] == "unknown"
    assert not {"quantised", "cast"} & {change["class"] for change in value["changes"]}


@pytest.mark.parametrize("kind", PACKERS)
def test_parts_may_stand_in_different_files(weir: Weir, tmp_path: Path, kind: str) -> None:
    stored, _ = packed_model(llama_tensors(), PACKERS[kind])

    value = run(weir, write_folder(tmp_path / "a", stored), write_shards(tmp_path / "b", stored, count=3), "--digest")

    assert value["relation"] == "identical"
    assert {row["class"] for row in value["tensors"]} == {"identical"}


def test_a_change_of_one_scale_is_seen(weir: Weir, tmp_path: Path) -> None:
    stored, _ = packed_model(llama_tensors(), PACKERS["gptq"])
    edited = dict(stored)
    name = "model.layers.1.mlp.up_proj"
    edited[name + ".scales"] = stored[name + ".scales"].copy()
    edited[name + ".scales"][1, 7] *= 2

    value = run(weir, write_folder(tmp_path / "a", stored), write_folder(tmp_path / "b", edited))

    changed = [row for row in value["tensors"] if row["class"] != "identical"]
    assert [row["name"] for row in changed] == ["layers.1.up"]
    assert 0 < 1 - changed[0]["unchanged"] <= 32 / (96 * 64)


def test_a_group_that_does_not_exist_is_a_finding(weir: Weir, tmp_path: Path) -> None:
    stored, _ = packed_model(llama_tensors(), PACKERS["gptq_act_order"])
    order = stored["model.layers.0.self_attn.q_proj.g_idx"].copy()
    order[3] = 2
    stored["model.layers.0.self_attn.q_proj.g_idx"] = order

    value = run(weir, write_folder(tmp_path / "a", llama_tensors()), write_folder(tmp_path / "b", stored))

    assert "layers.0.q" in {row["name"] for row in value["tensors"] if row["state"] == "removed"}
