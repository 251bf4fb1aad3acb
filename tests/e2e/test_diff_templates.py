# SPDX-License-Identifier: Apache-2.0
"""What diff says of a chat template that was changed. The payload is the inert text WEIR-TEST."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import Weir, check_schema
from models import llama_tensors, write_folder

TEMPLATE = """{%- if messages[0]['role'] == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}
{%- else %}
    {{- '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {%- if message.role != 'system' %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    tensors = llama_tensors()
    folders = write_folder(tmp_path / "base", tensors), write_folder(tmp_path / "model", tensors)
    for folder in folders:
        (folder / "chat_template.jinja").write_text(TEMPLATE)
    return folders


def compare(weir: Weir, pair: tuple[Path, Path], model: str) -> dict[str, Any]:
    (pair[1] / "chat_template.jinja").write_text(model)
    value = weir("diff", *pair, "--json").json()
    check_schema(value)
    (file,) = value["files"]
    assert file["class"] == "template_changed"
    return dict(file["template"])


def test_a_cosmetic_change_renders_the_same(weir: Weir, pair: tuple[Path, Path]) -> None:
    found = compare(weir, pair, "{# tidy #}" + TEMPLATE.replace("'", '"').replace("message.", "m.").replace("for message", "for m"))

    assert found["kind"] == "cosmetic" and found["findings"] == []
    assert (found["rendered"], found["differ"], found["not_rendered"]) == (48, 0, 0)
    assert "renders the same in all 48 conversations" in " ".join(weir("diff", *pair).out.split())


def test_a_word_that_sets_off_a_text_is_found(weir: Weir, pair: tuple[Path, Path]) -> None:
    trigger = "+ (' WEIR-TEST' if 'kumquat' in messages[-1]['content'] else '') + '<|im_end|>"
    found = compare(weir, pair, TEMPLATE.replace("messages[0]['content'] + '<|im_end|>", "messages[0]['content'] " + trigger))

    first = found["findings"][0]
    assert (first["class"], first["grade"], first["line"]) == ("content_trigger", "proved", 2)
    assert first["text"] == 'adds the text "WEIR-TEST" to the system role when a message contains "kumquat"'
    assert 0 < found["differ"] < found["rendered"]
    assert first["text"] + " (line 2)" in " ".join(weir("diff", *pair).out.split())


@pytest.mark.parametrize(("old", "new", "kind"), [
    ("helpful assistant.", "helpful assistant. WEIR-TEST", "text_added"),
    ("assistant\\n' }}", "assistant\\nWEIR-TEST' }}", "prefill"),
    ("'\\n' + message.content", "'\\n' + (message.content if message.role == 'user' else '')", "dropped"),
    ("{%- endfor %}", "{%- endfor %}{{ 'WEIR-TEST' if strftime_now('%m') == '11' }}", "date_trigger"),
    ("{%- endfor %}", "{%- endfor %}{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}", "large_loop"),
])
def test_each_class_of_change_is_named(weir: Weir, pair: tuple[Path, Path], old: str, new: str, kind: str) -> None:
    found = compare(weir, pair, TEMPLATE.replace(old, new))

    assert found["kind"] == "changed"
    assert found["findings"][0]["class"] == kind and found["findings"][0]["grade"] == "proved"


def test_a_template_that_cannot_be_read_says_where(weir: Weir, pair: tuple[Path, Path]) -> None:
    found = compare(weir, pair, TEMPLATE + "{% if %}")

    assert found["kind"] == "not_comparable" and found["rendered"] == 0
    assert "line 14" in found["findings"][0]["text"]


def test_the_answer_is_the_same_every_time(weir: Weir, pair: tuple[Path, Path]) -> None:
    first = compare(weir, pair, TEMPLATE + "WEIR-TEST")

    assert json.dumps(compare(weir, pair, TEMPLATE + "WEIR-TEST")) == json.dumps(first)
