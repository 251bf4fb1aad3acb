# SPDX-License-Identifier: Apache-2.0
"""The result is the same bytes for any number of threads and any SIMD level, whatever the layout."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import Weir
from models import Tensors, llama_tensors, write_folder, write_gguf
from safetensors.numpy import save_file

Pair = tuple[Path, Path]


def write_model(folder: Path, tensors: Tensors, **config: object) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    save_file(tensors, folder / "model.safetensors")
    return folder


def noisy(tensors: Tensors) -> Tensors:
    random = np.random.default_rng(7)
    return {name: (values + 0.01 * random.standard_normal(values.shape)).astype(np.float32)
            for name, values in tensors.items()}


def rope_rows(tmp: Path) -> Pair:
    """llama's q and k, permuted in the GGUF file."""
    return write_folder(tmp / "base", llama_tensors()), write_gguf(tmp / "model.gguf", noisy(llama_tensors()))


def quantised_rows(tmp: Path) -> Pair:
    return write_folder(tmp / "base", llama_tensors()), write_gguf(tmp / "model.gguf", llama_tensors(), "Q8_0")


def turned_matrices(tmp: Path) -> Pair:
    """GPT-2's Conv1D, of widths that no vector register divides."""
    def model(seed: int) -> Path:
        random = np.random.default_rng(seed)
        shapes = {"wte.weight": (1331, 60), "h.0.attn.c_attn.weight": (60, 180), "h.0.attn.c_attn.bias": (180,),
                  "h.0.mlp.c_fc.weight": (60, 240), "h.0.mlp.c_proj.weight": (240, 60)}
        tensors = {name: random.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
        return write_model(tmp / str(seed), tensors, model_type="gpt2", n_embd=60, n_head=4, n_layer=1)
    return model(0), model(1)


def fused_groups(tmp: Path) -> Pair:
    """GPT-NeoX: q, k and v of each head stand together."""
    def model(seed: int) -> Path:
        random = np.random.default_rng(seed)
        prefix = "gpt_neox.layers.0.attention.query_key_value."
        shapes = {"gpt_neox.embed_in.weight": (1333, 96), prefix + "weight": (288, 96), prefix + "bias": (288,)}
        tensors = {name: random.standard_normal(shape).astype(np.float16) for name, shape in shapes.items()}
        return write_model(tmp / str(seed), tensors, model_type="gpt_neox", hidden_size=96, num_attention_heads=4,
                           num_hidden_layers=1)
    return model(0), model(1)


def odd_lengths(tmp: Path) -> Pair:
    """Pieces that end in the middle of a block, and numbers that are no numbers."""
    random = np.random.default_rng(3)
    numbers = random.standard_normal(70001 * 7)
    numbers[::1009] = np.nan
    numbers[::2003] = np.inf
    values = {"x": numbers[:65537].reshape(1, -1), "y": numbers[:65541].reshape(3, -1), "z": numbers.reshape(-1, 7)}
    save_file({name: value.astype(np.float64) for name, value in values.items()}, tmp / "base.safetensors")
    save_file({name: value.astype(np.float16) for name, value in values.items()}, tmp / "model.safetensors")
    return tmp / "base.safetensors", tmp / "model.safetensors"


@pytest.mark.parametrize("make", [rope_rows, quantised_rows, turned_matrices, fused_groups, odd_lengths])
def test_threads_and_simd_levels_do_not_show(weir: Weir, tmp_path: Path, make: Callable[[Path], Pair]) -> None:
    base, model = make(tmp_path)
    levels = [level for level in ("base", "avx2", "avx512")
              if weir("diff", "-q", base, model, env={"WEIR_SIMD": level}).code == 0]

    results = {weir("diff", "--json", "--jobs", jobs, base, model, env={"WEIR_SIMD": level}).out
               for level in levels for jobs in (1, 2, 5)}

    assert "base" in levels
    assert len(results) == 1
    assert "compared" in results.pop()
