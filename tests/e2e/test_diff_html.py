# SPDX-License-Identifier: Apache-2.0
"""The page of a comparison: whole, without script, and safe whatever a model calls its tensors."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import numpy as np
from conftest import Weir
from safetensors.numpy import save_file

VOID = {"meta", "rect", "line", "br"}


class Page(HTMLParser):
    """Checks that tags close in order, and gathers tags and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.words = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


def write_pair(folder: Path, name: str) -> tuple[Path, Path]:
    random = np.random.default_rng(1)
    base = {name: random.normal(size=(64, 64)).astype(np.float32)}
    base |= {f"model.layers.{i}.mlp.down_proj.weight": random.normal(size=(64, 64)).astype(np.float32)
             for i in range(3)}
    model = {key: value + (0.01 if "down_proj" in key else 0) * random.normal(size=value.shape).astype(np.float32)
             for key, value in base.items()}
    model[name] = base[name] * np.float32(1.5)
    paths = folder / "a.safetensors", folder / "b.safetensors"
    save_file(base, paths[0])
    save_file(model, paths[1])
    return paths


def test_a_page_is_whole_and_shows_the_verdict_the_onion_and_the_map(weir: Weir, tmp_path: Path) -> None:
    base, model = write_pair(tmp_path, "model.embed_tokens.weight")

    result = weir("diff", base, model, "-o", f"html={tmp_path / 'page.html'}")

    assert result.code == 0, result.err
    page = Page((tmp_path / "page.html").read_text())
    assert page.open == []
    assert {"h1", "ol", "svg", "rect", "table"} <= set(page.tags)
    assert "script" not in page.tags
    assert not {"src", "href", "onload"} & page.attributes
    assert "b.safetensors" in page.words
    assert "layer 2" in page.words


def test_a_name_is_shown_and_never_becomes_markup(weir: Weir, tmp_path: Path) -> None:
    name = "<script>alert('x')</script>&\x1b[31m\"quoted\""
    base, model = write_pair(tmp_path, name)

    result = weir("diff", base, model, "-o", "html")

    assert result.code == 0, result.err
    page = Page(result.out)
    assert page.open == []
    assert "script" not in page.tags
    assert "<script>alert('x')</script>&" in page.words
    assert "\x1b" not in result.out


def test_other_results_have_no_page(weir: Weir, tmp_path: Path) -> None:
    base, _ = write_pair(tmp_path, "model.embed_tokens.weight")

    result = weir("inspect", base, "-o", "html")

    assert result.code == 2
    assert "html" in result.err
