# SPDX-License-Identifier: Apache-2.0
"""What diff says of the files beside the weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import Weir, check_schema
from models import llama_tensors, write_folder, write_gguf

TEMPLATE = "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}{% endfor %}"


def tokenizer(tokens: list[str], merges: list[str] | None = None) -> str:
    vocabulary = {token: number for number, token in enumerate(tokens)}
    return json.dumps({"version": "1.0", "model": {"type": "BPE", "vocab": vocabulary, "merges": merges or []}})


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    tensors = llama_tensors()
    folders = write_folder(tmp_path / "base", tensors), write_folder(tmp_path / "model", tensors)
    for folder in folders:
        (folder / "chat_template.jinja").write_text(TEMPLATE)
        (folder / "tokenizer.json").write_text(tokenizer(["a", "b", "c", "ab"], ["a b"]))
        (folder / "generation_config.json").write_text(json.dumps({"temperature": 0.7, "top_p": 0.9}))
    return folders


def run(weir: Weir, pair: tuple[Path, Path]) -> dict[str, Any]:
    value = weir("diff", *pair, "--json").json()
    check_schema(value)
    return value


def changed(value: dict[str, Any]) -> dict[str, str]:
    return {file["what"]: file["class"] for file in value["files"]}


def test_equal_files_are_no_change(weir: Weir, pair: tuple[Path, Path]) -> None:
    value = run(weir, pair)

    assert value["relation"] == "identical" and value["files"] == []
    assert [change["class"] for change in value["changes"]] == ["identical"]


def test_a_template_with_injected_text_is_a_change(weir: Weir, pair: tuple[Path, Path]) -> None:
    (pair[1] / "chat_template.jinja").write_text("WEIR-TEST" + TEMPLATE)

    value = run(weir, pair)

    assert changed(value) == {"chat template default": "template_changed"}
    assert value["files"][0]["model"].startswith("WEIR-TEST")
    assert value["relation"] == "identical"
    assert weir("diff", *pair, "--exit-code").code == 1


def test_tokens_are_compared_by_string(weir: Weir, pair: tuple[Path, Path]) -> None:
    (pair[1] / "tokenizer.json").write_text(tokenizer(["a", "c", "b", "ab", "new"], ["a b"]))

    value = run(weir, pair)

    assert changed(value) == {"token strings: 1 added, 0 removed, 2 moved": "tokenizer_changed"}


def test_other_merges_are_a_change(weir: Weir, pair: tuple[Path, Path]) -> None:
    (pair[1] / "tokenizer.json").write_text(tokenizer(["a", "b", "c", "ab"], ["a c"]))

    assert changed(run(weir, pair)) == {"BPE merges": "tokenizer_changed"}


def test_generation_settings_are_compared(weir: Weir, pair: tuple[Path, Path]) -> None:
    (pair[1] / "generation_config.json").write_text(json.dumps({"temperature": 1.5, "top_k": 3, "top_p": 0.9}))

    value = run(weir, pair)

    assert changed(value) == {"generation_config.temperature": "config_changed", "generation_config.top_k": "config_changed"}
    assert {f["what"]: (f["base"], f["model"]) for f in value["files"]}["generation_config.temperature"] == ("0.7", "1.5")


def test_custom_code_is_a_change(weir: Weir, pair: tuple[Path, Path]) -> None:
    (pair[1] / "modeling_x.py").write_text("import os\n")

    assert changed(run(weir, pair)) == {"modeling_x.py": "code_changed"}


def test_bookkeeping_is_no_change(weir: Weir, pair: tuple[Path, Path]) -> None:
    config = json.loads((pair[1] / "config.json").read_text())
    (pair[1] / "config.json").write_text(json.dumps(config | {"transformers_version": "9.9", "_name_or_path": "x/y"}))

    assert run(weir, pair)["files"] == []


def test_a_card_without_its_base_is_only_a_claim(weir: Weir, pair: tuple[Path, Path]) -> None:
    (pair[1] / "README.md").write_text("---\nbase_model: someone/else\nlicense: mit\n---\n# hello\n")

    value = weir("assess", pair[1], "--base", pair[0], "--json").json()

    facts = {fact["fact"]: fact for fact in value["facts"]}
    assert (facts["claim.base_model"]["value"], facts["claim.base_model"]["grade"]) == ("someone/else", "claimed")
    assert facts["weights.relation"]["value"] == "identical" and facts["weights.relation"]["grade"] == "proved"
    assert facts["safety.refusal_change"]["grade"] == "unknown" and facts["safety.refusal_change"]["value"] is None
    assert value["tier"] == {"low": 0, "high": 0}


def test_the_settings_of_a_folder_and_a_gguf_are_compared(weir: Weir, tmp_path: Path) -> None:
    tensors = llama_tensors()
    folder = write_folder(tmp_path / "base", tensors, num_attention_heads=8)

    value = run(weir, (folder, write_gguf(tmp_path / "model.gguf", tensors)))

    assert "attention heads" in changed(value)
