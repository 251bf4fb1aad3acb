# SPDX-License-Identifier: Apache-2.0
"""weir diff --parent: how a merge was put together, and what is no merge."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT, Weir, check_schema
from models import llama_tensors, write_folder


@pytest.fixture(scope="module")
def merges(tmp_path_factory: pytest.TempPathFactory) -> Path:
    python = subprocess.run([ROOT / "tools" / "python-env", "--zoo", "--existing"], capture_output=True,
                            text=True, check=False)
    if python.returncode:
        pytest.skip("no packages for the zoo: tools/python-env --zoo installs them")
    folder = tmp_path_factory.mktemp("merges")
    write_folder(folder / "source", llama_tensors(3))
    made = subprocess.run([python.stdout.strip(), ROOT / "tests" / "e2e" / "merged_models.py", folder],
                          capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr[-3000:]
    return folder


def ask(weir: Weir, base: Path, model: Path, *parents: Path) -> dict[str, Any]:
    words = [word for parent in parents for word in ("--parent", parent)]
    result = weir("diff", "--json", base, model, *words)
    assert result.code == 0, result.err
    answer: dict[str, Any] = result.json()
    check_schema(answer)
    return answer


def merge_of(weir: Weir, folder: Path, name: str, *parents: str) -> dict[str, Any]:
    found: dict[str, Any] = ask(weir, folder / "base", folder / name, *(folder / x for x in parents))["merge"]
    return found


def weights(found: dict[str, Any]) -> dict[str, float]:
    return {source["model"]: source["weight"] for source in found["sources"]}


@pytest.mark.parametrize(("name", "method", "expected"), [
    ("linear", "linear", {"a": 0.7, "b": 0.3}),
    ("task", "task_arithmetic", {"a": 0.9, "b": 0.5}),
    ("ties", "ties", {"a": 0.6, "b": 0.4}),
])
def test_a_merge_is_proved_with_its_weights(weir: Weir, merges: Path, name: str, method: str,
                                            expected: dict[str, float]) -> None:
    found = merge_of(weir, merges, name, "a", "b")

    assert (found["method"], found["grade"]) == (method, "proved")
    assert weights(found) == pytest.approx(expected, abs=0.001)
    assert found["replayed"] >= 0.9999


def test_densities_of_ties_are_told(weir: Weir, merges: Path) -> None:
    found = merge_of(weir, merges, "ties", "a", "b")

    assert {s["model"]: s["density"] for s in found["sources"]} == pytest.approx({"a": 0.5, "b": 0.7}, abs=0.01)


def test_model_stock_needs_no_weights(weir: Weir, merges: Path) -> None:
    found = merge_of(weir, merges, "stock", "a", "b", "c")

    assert (found["method"], found["grade"]) == ("model_stock", "proved")


def test_weights_by_layer_are_told(weir: Weir, merges: Path) -> None:
    found = merge_of(weir, merges, "gradient", "a", "b")

    assert (found["method"], found["grade"]) == ("linear", "proved")
    assert found["sources"][0]["by_layer"] == pytest.approx([1.0, 0.2], abs=0.001)


def test_layers_of_two_models_are_told(weir: Weir, merges: Path) -> None:
    found = merge_of(weir, merges, "stacked", "a", "b")

    assert (found["method"], found["grade"]) == ("passthrough", "proved")
    places = {row["tensor"]: row["source_layer"] for row in found["rows"]}
    assert (places["layers.1.q"], places["layers.2.q"]) == (1, 0)


def test_random_masks_are_told_by_what_they_leave(weir: Weir, merges: Path) -> None:
    found = merge_of(weir, merges, "dare", "a", "b")

    assert (found["method"], found["grade"]) == ("dare", "strong")
    assert {s["model"]: s["density"] for s in found["sources"]} == pytest.approx({"a": 0.5, "b": 0.7}, abs=0.06)


def test_decoys_take_no_part(weir: Weir, merges: Path) -> None:
    found = merge_of(weir, merges, "linear", "a", "b", *(f"decoy{i}" for i in range(20)))

    assert weights(found) == pytest.approx({"a": 0.7, "b": 0.3}, abs=0.001)
    assert found["grade"] == "proved"


@pytest.mark.parametrize("name", ["trained", "half"])
def test_what_is_no_merge_is_not_called_one(weir: Weir, merges: Path, name: str) -> None:
    answer = ask(weir, merges / "base", merges / name, *(merges / x for x in ("a", "b", "c")))

    assert answer["merge"]["method"] in ("none", "nearest")
    assert answer["merge"]["tensors"] == 0
    assert "merged" not in {row["class"] for row in answer["tensors"]}


def test_a_claimed_method_is_shown_beside_what_was_found(weir: Weir, merges: Path) -> None:
    assert merge_of(weir, merges, "linear", "a", "b")["claimed"] == "linear"
    contradicted = merge_of(weir, merges, "c", "a", "b")
    assert contradicted["claimed"] == "linear"
    assert contradicted["method"] in ("none", "nearest", "unknown")


# --- parents that say nothing ---

def test_useless_parents_are_left_out_with_a_note(weir: Weir, tmp_path: Path) -> None:
    tensors = llama_tensors(1)
    base = write_folder(tmp_path / "base", tensors)
    model = write_folder(tmp_path / "model", {name: (1.5 * t).astype(np.float32) for name, t in tensors.items()})
    wide = write_folder(tmp_path / "wide", {"model.embed_tokens.weight": np.ones((7, 5), np.float32)})
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes((base / "model.safetensors").read_bytes()[:5000])
    text = tmp_path / "text.txt"
    text.write_text("no weights\n")
    relative = write_folder(tmp_path / "relative", llama_tensors(2))
    mirror = shutil.copytree(relative, tmp_path / "mirror")

    answer = ask(weir, base, model, base, model, wide, cut, text, tmp_path / "none", relative, mirror)

    states = [parent["state"] for parent in answer["parents"]]
    assert states == ["is_base", "is_model", "misfit", "unreadable", "unreadable", "not_at_hand", "compared",
                      "repeated"]
    assert all(parent["note"] for parent in answer["parents"] if parent["state"] != "compared")
    assert answer["merge"]["method"] in ("none", "nearest")


def test_too_many_parents_are_refused(weir: Weir, tmp_path: Path) -> None:
    base = write_folder(tmp_path / "base", llama_tensors(1))

    result = weir("diff", base, base, *["--parent", base] * 33)

    assert result.code == 2
    assert "32" in result.err


def test_parents_are_found_in_a_registry(weir: Weir, tmp_path: Path) -> None:
    tensors = llama_tensors(1)
    random = np.random.default_rng(5)
    tuned = [{name: t + np.float32(0.05) * t.std() * random.standard_normal(t.shape).astype(np.float32)
              for name, t in tensors.items()} for _ in range(2)]
    base = write_folder(tmp_path / "base", tensors)
    parents = [write_folder(tmp_path / f"parent{i}", t) for i, t in enumerate(tuned)]
    mean = {name: (np.float32(0.5) * tuned[0][name] + np.float32(0.5) * tuned[1][name]) for name in tensors}
    model = write_folder(tmp_path / "model", mean)
    registry = tmp_path / "registry.db"
    for parent in parents:
        assert weir("registry", "add", parent, "--registry", registry).code == 0

    result = weir("diff", "--json", base, model, "--registry", registry)

    assert result.code == 0, result.err
    answer = result.json()
    check_schema(answer)
    assert {parent["name"] for parent in answer["parents"]} == {"parent0", "parent1"}
    assert weights(answer["merge"]) == pytest.approx({"parent0": 0.5, "parent1": 0.5}, abs=0.001)


def test_the_answer_does_not_depend_on_threads(weir: Weir, merges: Path) -> None:
    words = ("diff", "--json", merges / "base", merges / "linear", "--parent", merges / "a", "--parent",
             merges / "b")

    assert weir(*words, "--jobs", "1").out == weir(*words, "--jobs", "3").out
