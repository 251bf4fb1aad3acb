# SPDX-License-Identifier: Apache-2.0
"""Each bad input gets its exit code, and a located answer for a person and for a program."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Weir, check_schema
from models import llama_tensors, write_folder, write_gguf, write_shards


def missing(tmp: Path) -> Path:
    return tmp / "nowhere.safetensors"


def empty_folder(tmp: Path) -> Path:
    (tmp / "empty").mkdir()
    return tmp / "empty"


def folder_without_weights(tmp: Path) -> Path:
    folder = write_folder(tmp / "config-only", llama_tensors())
    (folder / "model.safetensors").unlink()
    return folder


def truncated(tmp: Path) -> Path:
    path = write_folder(tmp / "whole", llama_tensors()) / "model.safetensors"
    (tmp / "cut.safetensors").write_bytes(path.read_bytes()[:-7])
    return tmp / "cut.safetensors"


def truncated_gguf(tmp: Path) -> Path:
    path = write_gguf(tmp / "whole.gguf", llama_tensors())
    (tmp / "cut.gguf").write_bytes(path.read_bytes()[:100])
    return tmp / "cut.gguf"


def noise(tmp: Path) -> Path:
    (tmp / "noise.safetensors").write_bytes(bytes(range(256)) * 16)
    return tmp / "noise.safetensors"


def shard_missing(tmp: Path) -> Path:
    folder = write_shards(tmp / "shards", llama_tensors())
    (folder / "model-00002-of-00002.safetensors").unlink()
    return folder


def index_outside(tmp: Path) -> Path:
    folder = write_shards(tmp / "outside", llama_tensors())
    index = folder / "model.safetensors.index.json"
    content = json.loads(index.read_text())
    content["weight_map"] = {name: "../../etc/passwd" for name in content["weight_map"]}
    index.write_text(json.dumps(content))
    return folder


Maker = Callable[[Path], Path]
UNREADABLE: list[tuple[Maker, int]] = [(missing, 5)]
NOT_ANALYSABLE: list[Maker] = [
    empty_folder, folder_without_weights, truncated, truncated_gguf, noise, shard_missing, index_outside,
]


@pytest.mark.parametrize("make", NOT_ANALYSABLE, ids=lambda make: make.__name__)
def test_inspect_shows_what_it_can_and_ends_with_3(weir: Weir, tmp_path: Path, make: Maker) -> None:
    path = make(tmp_path)

    human = weir("inspect", path)
    machine = weir("inspect", "--json", path)

    assert human.code == machine.code == 3
    assert human.out != ""
    check_schema(machine.json())


@pytest.mark.parametrize("make", NOT_ANALYSABLE, ids=lambda make: make.__name__)
def test_diff_refuses_it_on_either_side(weir: Weir, tmp_path: Path, make: Maker) -> None:
    good = write_folder(tmp_path / "good", llama_tensors())
    bad = make(tmp_path)

    for pair in ((good, bad), (bad, good)):
        done = weir("diff", "--json", *pair)
        assert done.code == 3
        check_schema(done.json())


@pytest.mark.parametrize("words", [["inspect"], ["diff", "."], ["assess"]], ids=lambda words: words[0])
def test_a_missing_file_ends_with_5(weir: Weir, tmp_path: Path, words: list[str]) -> None:
    human = weir(*words, missing(tmp_path), cwd=tmp_path)
    machine = weir(*words, missing(tmp_path), "--json", cwd=tmp_path)

    assert human.code == machine.code == (5 if words != ["diff", "."] else human.code)
    assert human.out == ""
    assert human.err.startswith("weir: ")
    check_schema(machine.json())
    assert machine.json()["schema"] == "weir.error/1"
    assert machine.err == ""


def test_the_error_names_the_file_and_no_host_path(weir: Weir, tmp_path: Path) -> None:
    error = weir("inspect", "--json", missing(tmp_path)).json()

    assert error["code"] == "io"
    assert "nowhere.safetensors" in error["file"]
    assert str(tmp_path) not in json.dumps(error)


def test_unrelated_models_are_an_answer_not_a_failure(weir: Weir, tmp_path: Path) -> None:
    one = write_folder(tmp_path / "one", llama_tensors(1))
    other = write_folder(tmp_path / "other", llama_tensors(2))

    done = weir("diff", "--json", one, other)

    assert done.code == 0
    check_schema(done.json())
    assert done.json()["relation"] in ("no_link", "cannot_decide")


def test_one_bad_model_of_several_does_not_hide_the_others(weir: Weir, tmp_path: Path) -> None:
    good = write_gguf(tmp_path / "good.gguf", llama_tensors())

    done = weir("inspect", "--json", good, missing(tmp_path))

    assert done.code == 5
    assert "nowhere.safetensors" in done.err
    assert "good.gguf" in done.out


def test_a_file_name_of_control_bytes_does_not_reach_the_terminal(weir: Weir, tmp_path: Path) -> None:
    path = tmp_path / "a\x1b[31mb\n.safetensors"
    path.write_bytes(b"\0" * 64)

    done = weir("inspect", path)

    assert "\x1b" not in done.out + done.err
