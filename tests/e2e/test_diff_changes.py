# SPDX-License-Identifier: Apache-2.0
"""The inner layers of the onion: edits made with numpy, and what weir calls them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from conftest import Weir, check_schema
from safetensors.numpy import save_file

HIDDEN, UNITS, LAYERS, WORDS = 256, 512, 6, 400
Tensors = dict[str, np.ndarray]
WRITES = ("o_proj", "down_proj")


def make_base(seed: int = 1) -> Tensors:
    random = np.random.default_rng(seed)

    def matrix(rows: int, cols: int) -> np.ndarray:
        spread = np.exp(random.normal(size=(rows, 1)) * 0.2)  # rows of trained matrices differ in size
        return (random.normal(size=(rows, cols)) * spread * 0.03).astype(np.float32)

    out = {"model.embed_tokens.weight": matrix(WORDS, HIDDEN), "lm_head.weight": matrix(WORDS, HIDDEN),
           "model.norm.weight": 1 + 0.1 * random.normal(size=HIDDEN).astype(np.float32)}
    for i in range(LAYERS):
        at = f"model.layers.{i}"
        out |= {f"{at}.self_attn.{name}_proj.weight": matrix(HIDDEN, HIDDEN) for name in "qkvo"}
        out |= {f"{at}.mlp.gate_proj.weight": matrix(UNITS, HIDDEN), f"{at}.mlp.up_proj.weight": matrix(UNITS, HIDDEN),
                f"{at}.mlp.down_proj.weight": matrix(HIDDEN, UNITS)}
        out |= {f"{at}.{name}.weight": 1 + 0.1 * random.normal(size=HIDDEN).astype(np.float32)
                for name in ("input_layernorm", "post_attention_layernorm")}
    return {name: values.astype(ml_dtypes.bfloat16) for name, values in out.items()}


BASE = make_base()


def edited(edit: Callable[[str, np.ndarray, np.random.Generator], np.ndarray], names: tuple[str, ...],
           dtype: Any = ml_dtypes.bfloat16) -> Tensors:
    random = np.random.default_rng(7)
    return {name: edit(name, values.astype(np.float32), random).astype(dtype)
            if any(part in name for part in names) else values.astype(dtype)
            for name, values in BASE.items()}


def sized(change: np.ndarray, of: np.ndarray, relative: float) -> np.ndarray:
    return change * (relative * np.linalg.norm(of) / np.linalg.norm(change))


@pytest.fixture
def changes(weir: Weir, tmp_path: Path) -> Callable[[Tensors], list[dict[str, Any]]]:
    def run(model: Tensors) -> list[dict[str, Any]]:
        save_file(BASE, tmp_path / "base.safetensors")
        save_file(model, tmp_path / "model.safetensors")
        result = weir("diff", "--json", tmp_path / "base.safetensors", tmp_path / "model.safetensors")
        assert result.code == 0, result.err
        value = result.json()
        check_schema(value)
        return value["changes"]

    return run


def one(changes: list[dict[str, Any]], name: str) -> dict[str, Any]:
    found = [change for change in changes if change["class"] == name]
    assert len(found) == 1, [change["class"] for change in changes]
    return found[0]


@pytest.mark.parametrize("rank", [1, 4, 16])
def test_a_merged_adapter_is_of_low_rank(changes: Any, rank: int) -> None:
    def edit(_: str, values: np.ndarray, random: np.random.Generator) -> np.ndarray:
        change = random.normal(size=(len(values), rank)) @ random.normal(size=(rank, values.shape[1]))
        return values + sized(change, values, 0.01)

    found = changes(edited(edit, ("q_proj", "v_proj")))

    low = one(found, "low_rank")
    assert low["rank"] == rank
    assert sorted(low["modules"]) == ["q", "v"]
    assert low["layers"] == list(range(LAYERS))
    assert low["applied"] is True
    assert not {"ablated", "full_rank", "unknown"} & {change["class"] for change in found}


def test_training_everything_is_of_full_rank(changes: Any) -> None:
    def edit(_: str, values: np.ndarray, random: np.random.Generator) -> np.ndarray:
        rows = np.exp(random.normal(size=(len(values), 1)) * 0.5) if values.ndim == 2 else 1
        return values + sized(random.normal(size=values.shape) * rows, values, 0.03)

    found = changes(edited(edit, ("",)))

    full = one(found, "full_rank")
    assert full["band"] == "standard"
    assert not {"ablated", "low_rank", "partial"} & {change["class"] for change in found}


def ablate(strength: float) -> Callable[[str, np.ndarray, np.random.Generator], np.ndarray]:
    direction = np.random.default_rng(3).normal(size=HIDDEN)
    direction /= np.linalg.norm(direction)

    def edit(_: str, values: np.ndarray, __: np.random.Generator) -> np.ndarray:
        return values - strength * np.outer(direction, direction @ values)

    return edit


@pytest.mark.parametrize("strength", [0.6, 1.0, 1.2])
def test_a_projected_direction_is_ablated(changes: Any, strength: float) -> None:
    found = changes(edited(ablate(strength), WRITES))

    ablated = one(found, "ablated")
    assert sorted(ablated["modules"]) == ["down", "o"]
    assert len(ablated["lambda_by_layer"]) == 2 * LAYERS
    assert all(abs(row["lambda"] - strength) < 0.02 for row in ablated["lambda_by_layer"])
    assert "low_rank" not in {change["class"] for change in found}


def test_no_direction_leaves_the_process(changes: Any) -> None:
    ablated = one(changes(edited(ablate(1.0), WRITES)), "ablated")

    lists = [value for value in ablated.values() if isinstance(value, list)]
    assert all(len(value) < HIDDEN for value in lists)


def test_a_matrix_times_a_number_is_scaled_and_never_ablated(changes: Any) -> None:
    found = changes(edited(lambda _, values, __: values * np.float32(0.97), WRITES))

    assert one(found, "scaled")["axis"] == "all"
    assert "ablated" not in {change["class"] for change in found}


def test_two_of_four_zeros_are_pruned(changes: Any) -> None:
    def edit(_: str, values: np.ndarray, __: np.random.Generator) -> np.ndarray:
        groups = np.abs(values).reshape(len(values), -1, 4)
        order = groups.argsort(axis=2).argsort(axis=2)
        return (values.reshape(groups.shape) * (order >= 2)).reshape(values.shape)

    found = changes(edited(edit, ("proj",)))

    pruned = one(found, "pruned")
    assert pruned["pattern"].startswith("2:4")
    assert pruned["sparsity"] == pytest.approx(0.5, abs=0.001)
    assert pruned["grade"] == "proved"


def test_noise_is_perturbed(changes: Any) -> None:
    def edit(_: str, values: np.ndarray, random: np.random.Generator) -> np.ndarray:
        return values + sized(random.normal(size=values.shape), values, 0.05)

    found = changes(edited(edit, ("proj",)))

    assert one(found, "perturbed")["rel_norm"] == pytest.approx(0.05, rel=0.05)


def test_an_unrelated_model_gets_no_story(changes: Any) -> None:
    found = changes(make_base(seed=2))

    assert {change["class"] for change in found} == {"unknown"}


def test_only_norms_are_partial(changes: Any) -> None:
    found = changes(edited(lambda _, values, random: values + 0.02 * random.normal(size=values.shape), ("norm",)))

    assert [change["class"] for change in found] == ["partial"]


def write_adapter(folder: Path, rank: int, scale: float) -> tuple[Path, Tensors]:
    """A LoRA adapter on q as PEFT stores it, and the base with it merged in."""
    random = np.random.default_rng(11)
    factors: Tensors = {}
    merged = dict(BASE)
    for i in range(LAYERS):
        module = f"model.layers.{i}.self_attn.q_proj"
        a = (random.normal(size=(rank, HIDDEN)) * 0.05).astype(np.float32)
        b = (random.normal(size=(HIDDEN, rank)) * 0.02).astype(np.float32)
        factors |= {f"base_model.model.{module}.lora_A.weight": a, f"base_model.model.{module}.lora_B.weight": b}
        name = f"{module}.weight"
        merged[name] = (BASE[name].astype(np.float32) + scale * (b @ a)).astype(ml_dtypes.bfloat16)
    folder.mkdir()
    save_file(factors, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps(
        {"peft_type": "LORA", "r": rank, "lora_alpha": rank * scale, "target_modules": ["q_proj"]}))
    return folder, merged


def test_a_named_adapter_is_merged_again_and_proved(weir: Weir, tmp_path: Path) -> None:
    adapter, merged = write_adapter(tmp_path / "adapter", rank=4, scale=2.0)
    save_file(BASE, tmp_path / "base.safetensors")
    save_file(merged, tmp_path / "model.safetensors")

    result = weir("diff", "--json", tmp_path / "base.safetensors", tmp_path / "model.safetensors",
                  "--parent", adapter)

    assert result.code == 0, result.err
    low = one(result.json()["changes"], "low_rank")
    assert (low["rank"], low["grade"], low["modules"]) == (4, "proved", ["q"])
    assert low["alpha"] == pytest.approx(8.0, rel=1e-3)
    assert low["replay"] > 0.999


def test_another_adapter_proves_nothing(weir: Weir, tmp_path: Path) -> None:
    adapter, _ = write_adapter(tmp_path / "adapter", rank=4, scale=2.0)
    model = edited(lambda _, values, random: values + sized(
        random.normal(size=(len(values), 4)) @ random.normal(size=(4, values.shape[1])), values, 0.01), ("q_proj",))
    save_file(BASE, tmp_path / "base.safetensors")
    save_file(model, tmp_path / "model.safetensors")

    result = weir("diff", "--json", tmp_path / "base.safetensors", tmp_path / "model.safetensors",
                  "--parent", adapter)

    low = one(result.json()["changes"], "low_rank")
    assert (low["rank"], low["grade"]) == (4, "strong")


def test_the_second_look_says_the_same_for_any_number_of_threads(weir: Weir, tmp_path: Path) -> None:
    save_file(BASE, tmp_path / "base.safetensors")
    save_file(edited(ablate(1.0), WRITES), tmp_path / "model.safetensors")

    said = {weir("diff", "--json", "--jobs", jobs, tmp_path / "base.safetensors", tmp_path / "model.safetensors").out
            for jobs in (1, 2, 2, 3, 4)}

    assert len(said) == 1
