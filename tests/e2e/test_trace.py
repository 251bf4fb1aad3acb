# SPDX-License-Identifier: Apache-2.0
"""weir trace as a person and a program use it, on small models made on the spot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Weir, check_schema
from models import LAYERS, Tensors, llama_tensors, write_folder, write_gguf, write_shards
from test_cli_output import on_terminal

COUNT = 5


@pytest.fixture
def known(weir: Weir, tmp_path: Path) -> Path:
    """A registry of five strangers."""
    file = tmp_path / "registry.db"
    folders = [write_folder(tmp_path / f"root-{i}", llama_tensors(i)) for i in range(COUNT)]
    assert weir("registry", "add", "--registry", file, *folders).code == 0
    return file


def trace(weir: Weir, known: Path, model: Path, *more: object) -> Any:
    done = weir("trace", "--json", "--registry", known, model, *more)
    assert (done.code, done.err) == (0, ""), done.err
    answer = done.json()
    check_schema(answer)
    return answer


def first(answer: Any) -> Any:
    return answer["candidates"][0]


def noisy(tensors: Tensors, share: float, seed: int = 99) -> Tensors:
    """As training leaves them: every number moved a little."""
    random = np.random.default_rng(seed)
    return {name: (value + share * value.std() * random.standard_normal(value.shape)).astype(np.float32)
            for name, value in tensors.items()}


def test_a_copy_is_identical(weir: Weir, known: Path, tmp_path: Path) -> None:
    copy = write_shards(tmp_path / "copy", llama_tensors(3))

    answer = trace(weir, known, copy)

    assert answer["verdict"] == "identical"
    assert first(answer)["model"]["name"] == "root-3"
    assert first(answer)["log10_p"] < -15
    assert [layer["matched"] for layer in first(answer)["layers"]] == [16] * LAYERS


def test_a_child_is_related_and_nothing_says_which_came_first(weir: Weir, known: Path, tmp_path: Path) -> None:
    child = write_folder(tmp_path / "child", noisy(llama_tensors(2), 0.02))

    answer = trace(weir, known, child)

    assert answer["verdict"] == "related"
    assert [c["model"]["name"] for c in answer["candidates"]] == ["root-2"]
    assert (first(answer)["direction"], first(answer)["null"]) == ("unknown", "exact")
    assert first(answer)["reason"] == "direction_unknown"
    assert first(answer)["cosine"] > 0.98
    assert abs(first(answer)["distance"] - 0.02) < 0.01


def test_far_training_may_be_a_shared_start(weir: Weir, known: Path, tmp_path: Path) -> None:
    child = write_folder(tmp_path / "child", noisy(llama_tensors(2), 1.0))

    answer = trace(weir, known, child)

    assert (answer["verdict"], first(answer)["reason"]) == ("related", "shared_initialisation_possible")


@pytest.mark.parametrize("kind", ["Q8_0", "F16"])
def test_a_rounded_child_was_made_from_its_parent(weir: Weir, known: Path, tmp_path: Path, kind: str) -> None:
    child = write_gguf(tmp_path / "child.gguf", llama_tensors(1), kind)

    answer = trace(weir, known, child)

    assert answer["verdict"] == "derived"
    assert (first(answer)["direction"], first(answer)["direction_evidence"]) == ("from", "grid")
    assert first(answer)["grid"] == kind


def test_the_parent_of_a_rounded_child_is_pointed_at_from_the_other_side(
        weir: Weir, known: Path, tmp_path: Path) -> None:
    child = write_gguf(tmp_path / "child.gguf", llama_tensors(7), "Q8_0")
    assert weir("registry", "add", "--registry", known, child).code == 0
    parent = write_folder(tmp_path / "parent", llama_tensors(7))

    answer = trace(weir, known, parent)

    assert (answer["verdict"], first(answer)["direction"]) == ("related", "to")


def test_a_wider_copy_of_rounded_numbers_has_no_direction(weir: Weir, known: Path, tmp_path: Path) -> None:
    rounded = {name: value.astype(np.float16) for name, value in llama_tensors(8).items()}
    wide = {name: value.astype(np.float32) for name, value in rounded.items()}
    assert weir("registry", "add", "--registry", known, write_folder(tmp_path / "half", rounded)).code == 0

    answer = trace(weir, known, write_folder(tmp_path / "wide", wide))

    assert first(answer)["model"]["name"] == "half"
    assert (first(answer)["verdict"], first(answer)["direction"]) == ("related", "unknown")


def test_a_stranger_has_no_link_and_the_power_is_told(weir: Weir, known: Path, tmp_path: Path) -> None:
    stranger = write_folder(tmp_path / "stranger", llama_tensors(50))

    answer = trace(weir, known, stranger)

    assert (answer["verdict"], answer["candidates"]) == ("no_link", [])
    assert 0.1 < answer["power"]["cosine"] < 0.6
    assert answer["searched"]["entries"] >= COUNT
    words = weir("trace", "--registry", known, stranger).out
    assert "shows no link to any of" in words and "would have been" in words


def test_a_forged_card_changes_nothing_but_what_it_says(weir: Weir, known: Path, tmp_path: Path) -> None:
    stranger = write_folder(tmp_path / "stranger", llama_tensors(51))
    (stranger / "README.md").write_text("---\nbase_model: root-0\n---\n")

    answer = trace(weir, known, stranger)

    assert (answer["verdict"], answer["claimed_base"]) == ("no_link", "root-0")
    assert weir("trace", "--registry", known, stranger).out.startswith("The card says root-0; the weights say:")


def test_layers_in_another_order_are_mapped(weir: Weir, known: Path, tmp_path: Path) -> None:
    swapped = {}
    for name, value in llama_tensors(4).items():
        swapped[name.replace("layers.0.", "layers.X.").replace("layers.1.", "layers.0.")
                .replace("layers.X.", "layers.1.")] = value

    answer = trace(weir, known, write_folder(tmp_path / "swapped", swapped))

    assert answer["verdict"] == "related"
    assert [(layer["mine"], layer["theirs"]) for layer in first(answer)["layers"]] == [(0, 1), (1, 0)]


def test_both_parents_of_a_merge_are_named_with_their_shares(weir: Weir, known: Path, tmp_path: Path) -> None:
    base = llama_tensors(0)
    one, two = noisy(base, 0.03, seed=1), noisy(base, 0.03, seed=2)
    for name, tensors in (("one", one), ("two", two)):
        assert weir("registry", "add", "--registry", known, write_folder(tmp_path / name, tensors)).code == 0
    merged = {name: (0.3 * one[name] + 0.7 * two[name]).astype(np.float32) for name in base}

    answer = trace(weir, known, write_folder(tmp_path / "merged", merged))

    shares = {c["model"]["name"]: c["share"] for c in answer["candidates"] if c["parent"]}
    assert answer["parents"]["kind"] == "merge"
    assert shares == {"one": pytest.approx(0.3, abs=0.01), "two": pytest.approx(0.7, abs=0.01)}
    assert not answer["missing_parent"]


def test_layers_of_two_strangers_are_two_parents(weir: Weir, known: Path, tmp_path: Path) -> None:
    one, two = llama_tensors(0), llama_tensors(1)
    both = {name: (two if "layers.1." in name else one)[name] for name in one}

    answer = trace(weir, known, write_folder(tmp_path / "both", both))

    assert answer["parents"]["kind"] == "passthrough"
    assert {c["model"]["name"]: c["share"] for c in answer["candidates"] if c["parent"]} == {
        "root-0": 0.5, "root-1": 0.5}


def test_a_fingerprint_is_traced_like_its_model(weir: Weir, known: Path, tmp_path: Path) -> None:
    file = tmp_path / "kept.weirfp"
    assert weir("registry", "export", "--registry", known, "root-2", file).code == 0

    answer = trace(weir, known, file)

    assert first(answer)["model"]["name"] == "root-2"
    assert (answer["verdict"], first(answer)["cosine"]) == ("related", 1)
    assert answer["bytes_read"] == 0


def test_a_given_base_is_tested_without_a_registry(weir: Weir, tmp_path: Path) -> None:
    base = write_folder(tmp_path / "base", llama_tensors(1))
    child = write_folder(tmp_path / "child", noisy(llama_tensors(1), 0.01))
    nowhere = tmp_path / "no.db"

    assert first(trace(weir, nowhere, child, "--base", base))["model"]["name"] == "base"
    assert not nowhere.exists()


def test_too_few_units_cannot_be_decided(weir: Weir, known: Path, tmp_path: Path) -> None:
    tensors = {name: value[:12] if "gate" in name or "up_proj" in name else
               value[:, :12] if "down" in name else value for name, value in llama_tensors(1).items()}

    answer = trace(weir, known, write_folder(tmp_path / "tiny", tensors, intermediate_size=12))

    assert answer["verdict"] == "cannot_decide"
    assert "16 units" in answer["cannot_decide_because"]


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_rows_without_content_cannot_be_decided(weir: Weir, known: Path, tmp_path: Path, value: float) -> None:
    tensors = {name: np.full_like(array, value) if "mlp" in name else array
               for name, array in llama_tensors(1).items()}

    answer = trace(weir, known, write_folder(tmp_path / "empty", tensors))

    assert answer["verdict"] == "cannot_decide"
    assert {row["what"] for row in answer["excluded"]} == {"layer 0", "layer 1"}


def sorted_units(tensors: Tensors) -> Tensors:
    """The same function, its units in the order of their size, as some serving formats keep them."""
    done = dict(tensors)
    for layer in range(LAYERS):
        gate, up, down = (f"model.layers.{layer}.mlp.{part}_proj.weight" for part in ("gate", "up", "down"))
        order = np.argsort(np.linalg.norm(tensors[up], axis=1))
        done |= {gate: tensors[gate][order], up: tensors[up][order], down: tensors[down][:, order]}
    return {name: np.ascontiguousarray(value) for name, value in done.items()}


def test_units_sorted_by_size_are_no_evidence(weir: Weir, tmp_path: Path) -> None:
    base = write_folder(tmp_path / "base", sorted_units(llama_tensors(1)))
    child = write_folder(tmp_path / "child", sorted_units(noisy(llama_tensors(1), 0.01)))

    answer = trace(weir, tmp_path / "no.db", child, "--base", base)

    assert {row["why"] for row in answer["excluded"]} == {"units are sorted by size"}
    assert all(c["null"] == "calibrated" for c in answer["candidates"])


def test_nothing_to_search_cannot_be_decided(weir: Weir, tmp_path: Path) -> None:
    model = write_folder(tmp_path / "model", llama_tensors(1))
    empty = tmp_path / "prefix" / "bin"
    empty.mkdir(parents=True)

    answer = trace(weir, tmp_path / "no.db", model)

    if answer["searched"]["entries"] == 0:
        assert "nothing was given to search" in answer["cannot_decide_because"]
    else:  # the fingerprints that come with weir
        assert answer["verdict"] == "no_link"


def test_threads_and_levels_do_not_change_a_byte(weir: Weir, known: Path, tmp_path: Path) -> None:
    child = write_folder(tmp_path / "child", noisy(llama_tensors(2), 0.02))

    answers = {weir("trace", "--json", "--registry", known, child, "--jobs", jobs,
                    env={"WEIR_SIMD": level}).out
               for jobs in (1, 2, 4) for level in ("base", "avx2")}

    assert len({text for text in answers if text}) == 1


def test_bad_input_is_located(weir: Weir, known: Path, tmp_path: Path) -> None:
    broken = write_folder(tmp_path / "broken", llama_tensors(1))
    file = broken / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    damaged = tmp_path / "damaged.weirfp"
    assert weir("registry", "export", "--registry", known, "root-0", damaged).code == 0
    damaged.write_bytes(damaged.read_bytes()[:500])

    for path, place in ((broken, "model.safetensors"), (damaged, "byte")):
        done = weir("trace", "--registry", known, path)
        assert done.code == 3
        assert place in done.err
    assert weir("trace", "--registry", known, tmp_path / "absent").code == 5
    assert weir("trace").code == 2
    failure = weir("trace", "--json", "--registry", known, broken).json()
    check_schema(failure)


def test_no_host_path_is_in_the_answer(weir: Weir, known: Path, tmp_path: Path) -> None:
    child = write_folder(tmp_path / "child", noisy(llama_tensors(2), 0.02))

    assert str(tmp_path) not in json.dumps(trace(weir, known, child))
    assert str(tmp_path) not in weir("trace", "-v", "--registry", known, child).out


def test_a_hostile_name_cannot_write_to_the_terminal(weir: Weir, known: Path, tmp_path: Path) -> None:
    model = write_folder(tmp_path / "evil\x1b[31m", llama_tensors(2))

    code, shown = on_terminal(["trace", "--no-color", "--registry", known, model])

    assert code == 0 and "\x1b[31m" not in shown
