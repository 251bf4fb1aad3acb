# SPDX-License-Identifier: Apache-2.0
"""Models whose weights are packed codes, against the numbers that they stand for: diff, trace and inspect."""

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
        assert row["class"] == "quantised"
        assert row["rel_norm"] == pytest.approx(np.linalg.norm(b - a) / np.linalg.norm(a), rel=1e-5)
        assert row["cosine"] == pytest.approx(np.vdot(a, b) / np.linalg.norm(a) / np.linalg.norm(b), rel=1e-5)
        assert row["max_abs_change"] == pytest.approx(np.abs(b - a).max(), rel=1e-4)
    assert (value["relation"], value["grade"]) in (
        ("derived", "proved"), ("related", "proved"))  # derived where the codes are those of the base's numbers


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
    assert not [change for change in value["changes"]
                if change["class"] in ("quantised", "cast") and change["grade"] == "proved"]


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


@pytest.mark.parametrize("kind", PACKERS)
def test_upstream_of_a_packed_model_is_found(weir: Weir, tmp_path: Path, kind: str) -> None:
    base = llama_tensors()
    stored, _ = packed_model(base, PACKERS[kind])
    registry = tmp_path / "registry.db"
    for name, tensors in (("base", base), ("other", llama_tensors(seed=1))):
        added = weir("registry", "add", write_folder(tmp_path / name, tensors), "--registry", registry)
        assert added.code == 0, added.err

    result = weir("trace", write_folder(tmp_path / "model", stored), "--registry", registry, "--json")

    assert result.code == 0, result.err
    value = result.json()
    check_schema(value)
    found = [row for row in value["candidates"] if row["verdict"] != "no_link"]
    assert [row["model"]["name"] for row in found] == ["base"]
    assert found[0]["verdict"] == "related"
    assert found[0]["log10_p"] < -6


@pytest.mark.parametrize("kind", PACKERS)
def test_inspect_counts_what_the_codes_stand_for(weir: Weir, tmp_path: Path, kind: str) -> None:
    base = llama_tensors()
    stored, _ = packed_model(base, PACKERS[kind])

    value = weir("inspect", write_folder(tmp_path / "model", stored), "--json").json()

    assert value["model"]["parameters"] == sum(values.size for values in base.values())
    assert not value["findings"]


def test_scales_are_bound_to_their_layer(weir: Weir, tmp_path: Path) -> None:
    """The scales of two layers change places: the same bytes are there, and another model."""
    stored, _ = packed_model(llama_tensors(), PACKERS["gptq"])
    names = [f"model.layers.{layer}.mlp.up_proj.scales" for layer in (0, 1)]
    turned = stored | {names[0]: stored[names[1]], names[1]: stored[names[0]]}

    ids = [weir("inspect", write_folder(tmp_path / name, tensors), "--digest", "--json").json()["model"]["payload_id"]
           for name, tensors in (("a", stored), ("b", turned))]

    assert ids[0] != ids[1]


def test_the_configuration_is_asked_where_shapes_cannot_tell(weir: Weir, tmp_path: Path) -> None:
    """Zero points of gptq_v2 are stored as they are, and blocks of FP8 may be of another size."""
    base = llama_tensors()
    name = "model.layers.0.mlp.up_proj"
    parts, values = PACKERS["gptq"](name, base[name + ".weight"])
    ones = np.uint32(0x11111111)
    parts[name + ".qzeros"] = (parts[name + ".qzeros"].view(np.uint32) + ones).view(np.int32)
    other = "model.layers.1.mlp.up_proj"
    codes = (base[other + ".weight"] * 448).astype(ml_dtypes.float8_e4m3fn)
    scales = np.random.default_rng(3).uniform(0.001, 0.002, (3, 4)).astype(np.float32)
    parts |= {other + ".weight": codes, other + ".weight_scale_inv": scales}
    stored = {key: value for key, value in base.items() if key not in (name + ".weight", other + ".weight")} | parts
    meant = dict(base)
    meant[name + ".weight"] = values
    meant[other + ".weight"] = codes.astype(np.float32) * np.kron(scales, np.ones((32, 16), np.float32))
    said = {"quant_method": "gptq", "checkpoint_format": "gptq_v2", "weight_block_size": [32, 16]}

    value = run(weir, write_folder(tmp_path / "a", meant),
                write_folder(tmp_path / "b", stored, quantization_config=said))

    rows = {row["name"]: row for row in value["tensors"]}
    for layer in (0, 1):
        assert rows[f"layers.{layer}.up"]["rel_norm"] == 0
        assert rows[f"layers.{layer}.up"]["unchanged"] == 1
